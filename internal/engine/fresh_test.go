package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
)

// TestLineSpellings files one customer for one product line under many spellings of the line. There is one holder, with a
// catalogue that knows the line and without.
func TestLineSpellings(t *testing.T) {
	for _, catalogue := range []bool{true, false} {
		t.Run(fmt.Sprintf("catalogue=%v", catalogue), func(t *testing.T) {
			b := newBench(t)
			if !catalogue {
				for _, sku := range []string{"SKU-network", "SKU-security"} {
					if err := b.Delete(context.Background(), Request{Actor: deal.System}, deal.Products, []string{sku}); err != nil {
						t.Fatal(err)
					}
				}
			}
			holders, refused := 0, 0
			for i, line := range []string{"network", "Network", "NETWORK", " network ", "ｎｅｔｗｏｒｋ", "net\u200bwork", "networks", "n\u0435twork"} {
				f := filing(fmt.Sprintf("P-%d", i+1), zanzibar)
				f.Products = []deal.Product{{Line: line}}
				got, err := b.Register(context.Background(), request("key_1", line, f), f)
				var wrong deal.FieldErrors
				switch {
				case errors.As(err, &wrong) && wrong[0].Field == "products[0].line":
					refused++
				case err != nil:
					t.Fatal(err)
				case b.answer(got).Status == deal.StatusProtected:
					holders++
				}
			}
			if want := map[bool][2]int{true: {1, 2}, false: {3, 0}}[catalogue]; holders != want[0] || refused != want[1] {
				t.Errorf("%d holders, %d refused, want %v: without a catalogue another word is another line", holders, refused, want)
			}
			b.sound()
		})
	}
}

// TestProducts: the catalogue decides which line a product is of; one it does not know yet is of the line that is given, if that is sold,
// and then the deal claims every class of its lines.
func TestProducts(t *testing.T) {
	b := newBench(t)
	b.put(&deal.CatalogueProduct{SKU: "FW-200", Line: "security", Class: "appliance"})
	for i, c := range []struct {
		product     deal.Product
		line, wrong string // the line claimed, or the field refused
	}{
		{deal.Product{SKU: "FW-200"}, "security", ""},
		{deal.Product{SKU: "fw-200", Line: "SECURITY"}, "security", ""},
		{deal.Product{SKU: "FW-200", Line: "network"}, "", "products[0].line"},
		{deal.Product{SKU: "FW-999"}, "", "products[0].sku"},
		{deal.Product{SKU: "FW-999", Line: "Security"}, "security", ""},
		{deal.Product{SKU: "FW-999", Line: "firewalls"}, "", "products[0].line"},
	} {
		f := filing("P-1", deal.Customer{Name: fmt.Sprintf("Zanzibar %d Orchestra", i), Country: "DE"})
		f.Products = []deal.Product{c.product}
		got, err := b.Register(context.Background(), request("key_1", fmt.Sprint(i), f), f)
		var wrong deal.FieldErrors
		switch {
		case errors.As(err, &wrong):
			if len(wrong) != 1 || wrong[0].Field != c.wrong {
				t.Errorf("%+v: %v, want %s", c.product, err, c.wrong)
			}
		case err != nil:
			t.Fatal(err)
		case c.wrong != "" || len(b.answer(got).Decision.Protection.Scope.Lines) != 1 || b.answer(got).Decision.Protection.Scope.Lines[0] != c.line:
			t.Errorf("%+v: %+v, want %s %s", c.product, b.answer(got).Decision.Protection, c.line, c.wrong)
		}
	}
	v := b.current.Load()
	set := v.policy.Settings()
	set.ByClass = true
	known := deal.Filing{Products: []deal.Product{{SKU: "FW-200", Line: "security"}}}
	unknown := deal.Filing{Products: append(known.Products, deal.Product{SKU: "FW-999", Line: "security"})}
	if k, u := v.classes(&known, set), v.classes(&unknown, set); len(k) != 1 || len(u) != 0 {
		t.Errorf("classes claimed: %v, with a product that is not in the catalogue %v", k, u)
	}
}

// TestOwnDomain files a customer with the partner's own web site, as a form filled in a hurry has it. It is no evidence: two
// customers of one partner do not become one by it.
func TestOwnDomain(t *testing.T) {
	b := newBench(t)
	signed, _ := deal.ParseDate("2026-01-01")
	b.put(&deal.Partner{ID: "P-1", Name: "Partner 1", Tier: "gold", Status: "active", Domain: "partner-one.example", AgreementSignedAt: signed})
	for _, site := range []string{"partner-one.example", "https://www.partner-one.example/about", "Shop.Partner-One.example"} {
		f := filing("P-1", zanzibar)
		f.Customer.Domain, f.Customer.Website = site, site
		d := b.foreseen(f)
		if len(d.Input.Domains) > 0 {
			t.Errorf("%s: the partner's own domain is evidence: %v", site, d.Input.Domains)
		}
	}
}

// TestPublicSuffix: a domain under which anybody can have a name is nobody's. It makes no two organisations one, and claims that differ in
// nothing else are for the same.
func TestPublicSuffix(t *testing.T) {
	b := newBench(t, &deal.Account{ID: "acc-q", Name: "Quixotic Brewing Company", Domain: "gov.uk", Country: "GB"})
	f := filing("P-1", deal.Customer{Name: "Zanzibar Orchestra Foundation", Website: "https://gov.uk/zanzibar", Country: "GB"})
	if d := b.foreseen(f); d.Resolution.Status != "none" || len(d.Conflicts) > 0 {
		t.Errorf("resolved to %+v, conflicts %+v", d.Resolution, d.Conflicts)
	}
	if part := partOf(&deal.Registration{Filing: f}, []string{"customer.domain"}); part != "" {
		t.Errorf("it claims the part %q", part)
	}
}

// TestNobody refuses names that name nobody, unless the vendor has an account of that name.
func TestNobody(t *testing.T) {
	b := newBench(t, &deal.Account{ID: "acc-srl", Name: "SRL", Country: "JP"})
	for name, admitted := range map[string]bool{"GmbH": false, "unknown": false, "Kunde vertraulich": false, "Client confidentiel": false, "Confidential Records Inc": true, "n/a": false, "S.R.L.": true, "SRL": true} {
		f := filing("P-1", deal.Customer{Name: name, Country: "JP"})
		_, err := b.Register(context.Background(), request("key_1", name, f), f)
		var wrong deal.FieldErrors
		if refused := errors.As(err, &wrong) && wrong[0].Field == "customer.name"; refused == admitted || err != nil && !refused {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestTwoAccountsFitAlike files for one of two accounts that read the same but for the order of words. The one with the
// name as filed is certain; where neither has it, nobody can say, and another's claim on either is looked at by a person.
func TestTwoAccountsFitAlike(t *testing.T) {
	of, university := &deal.Account{ID: "acc-of", Name: "University of Miami", Country: "US"}, &deal.Account{ID: "acc-u", Name: "Miami University", Country: "US"}
	b := newBench(t, of, university)
	first := b.register("P-1", deal.Customer{Name: "University of Miami", Country: "US"})
	second := b.register("P-2", deal.Customer{Name: "Miami University", Country: "US"})
	for id, want := range map[string]string{first.ID: "acc-of", second.ID: "acc-u"} {
		if r, d, _, err := b.Registration(context.Background(), id); err != nil || r.CustomerRef.AccountID != want || d.Resolution.Status != "certain" {
			t.Errorf("resolved to %+v, want %s (%v)", d.Resolution, want, err)
		}
	}
	if first.Status != deal.StatusProtected || second.Decision.Outcome != deal.Escalate {
		t.Errorf("first %s, second %s: one who files for another account that reads alike is neither refused nor granted", first.Status, second.Status)
	}
	third := b.register("P-3", deal.Customer{Name: "Miami University, The", Country: "US"})
	if _, d, _, err := b.Registration(context.Background(), third.ID); err != nil || third.Status == deal.StatusProtected {
		t.Errorf("third: %+v, %v", d.Resolution, err)
	}
	b.sound()
}

// TestImportedHolders imports two promises of one thing under two spellings. The second is refused, whether the two were
// resolved to one account or not.
func TestImportedHolders(t *testing.T) {
	b := newBench(t)
	row := func(number, partner, name string) Existing {
		f := filing(partner, deal.Customer{Name: name, Country: "DE", City: "Lübeck"})
		return Existing{Number: number, Status: deal.StatusProtected, ReceivedAt: start.AddDate(0, -1, 0), ProtectedFrom: start.AddDate(0, -1, 0), ProtectedUntil: start.AddDate(1, 0, 0), Filing: f}
	}
	errs := b.ImportExisting(context.Background(), deal.System, []Existing{row("OLD-1", "P-1", "Hafen Lübeck GmbH")})
	b.put(&deal.Account{ID: "acc-3", Name: "Hafen Lübeck GmbH", Country: "DE", City: "Lübeck"})
	errs = append(errs, b.ImportExisting(context.Background(), deal.System, []Existing{row("OLD-2", "P-2", "Hafen Luebeck GmbH"), row("OLD-3", "P-3", "Quixotic Brewing Company")})...)
	if errs[0] != nil || errs[1] == nil || errs[2] != nil {
		t.Errorf("imported: %v", errs)
	}
	b.sound()
}

// TestDeceivingNames: a person looks at a name that reads otherwise than it is written.
func TestDeceivingNames(t *testing.T) {
	b := newBench(t)
	for name, want := range map[string]deal.Outcome{"\u202eAG ztalpretneF": deal.Escalate, "Mühlen\u200bwerk Osterholz": deal.Escalate, "Аcme Roboter": deal.Escalate, "Reederei Kestrelhaven": deal.Protect} {
		if a := b.register("P-1", deal.Customer{Name: name, Country: "DE"}); a.Decision.Outcome != want {
			t.Errorf("%q: %s %v", name, a.Decision.Outcome, a.Decision.ReasonCodes)
		}
	}
}

// TestUnknownAccount: an account id that names nobody is recorded for staff, and the partner reads the same as with the id of an account
// on which nothing lies, and as with none.
func TestUnknownAccount(t *testing.T) {
	for name, c := range map[string]deal.Customer{"a stranger": zanzibar, "a customer": quixotic} {
		answers := map[string]string{}
		for _, id := range []string{"", "acc-404", "acc-idle"} {
			b := newBench(t, &deal.Account{ID: "acc-q", Name: quixotic.Name, Country: "DE", City: quixotic.City, PostalCode: quixotic.PostalCode},
				&deal.Account{ID: "acc-idle", Name: "Hafen Lübeck GmbH", Country: "DE", City: "Lübeck"})
			c.AccountID = id
			a := b.register("P-1", c)
			ds, err := b.Decisions(context.Background(), a.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got := ds[0].Resolution.UnknownID; (got != "") != (id == "acc-404") || got != "" && got != id {
				t.Errorf("%s, account %q: recorded as unknown is %q", name, id, got)
			}
			a.ID, a.Decision.ID = "", ""
			text, err := canonical(a)
			if err != nil {
				t.Fatal(err)
			}
			answers[id] = string(text)
			b.sound()
		}
		b := newBench(t, &deal.Account{ID: "acc-q", Name: quixotic.Name, Country: "DE", City: quixotic.City, PostalCode: quixotic.PostalCode},
			&deal.Account{ID: "acc-z", Name: "Zanzibar Orchestral Foundations", Country: "DE"}, &deal.Account{ID: "acc-y", Name: "Zanzibar Foundation for Orchestra", Country: "DE"},
			&deal.Account{ID: "acc-idle", Name: "Hafen Lübeck GmbH", Country: "DE", City: "Lübeck"})
		facts := map[string]string{} // with any policy
		for _, id := range []string{"acc-404", "acc-idle"} {
			c.AccountID = id
			text, err := canonical(b.foreseen(filing("P-1", c)).Facts)
			if err != nil {
				t.Fatal(err)
			}
			facts[id] = string(text)
		}
		if facts["acc-404"] != facts["acc-idle"] {
			t.Errorf("%s: the rules are told\n%s\nof an account that there is not, and\n%s\nof one", name, facts["acc-404"], facts["acc-idle"])
		}
		for _, id := range []string{"acc-404", "acc-idle"} {
			if answers[id] != answers[""] {
				t.Errorf("%s: the partner reads with %s\n%s\nand without\n%s", name, id, answers[id], answers[""])
			}
		}
	}
}
