package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

func registrationParty(id string) deal.Party { return deal.Party{RegistrationID: id} }
func accountParty(id string) deal.Party      { return deal.Party{AccountID: id} }

func (b *bench) find(who, verdict string, subject, other deal.Party) (Found, error) {
	b.t.Helper()
	return b.Find(context.Background(), Request{Actor: person(who)}, deal.Finding{Verdict: verdict, Subject: subject, Other: other}, "as their register says")
}

// mustFind is find, which must succeed.
func (b *bench) mustFind(verdict string, subject, other deal.Party) Found {
	b.t.Helper()
	f, err := b.find("ada", verdict, subject, other)
	if err != nil {
		b.t.Fatalf("%s: %v", verdict, err)
	}
	return f
}

func wanting(partner, want string, c deal.Customer) deal.Filing {
	f := filing(partner, c)
	f.Custom = map[string]string{"want": want}
	return f
}

// named returns the finding that the evidence of a decision's conflict or candidate with the id names.
func named(d deal.Decision, with string) string {
	for _, list := range d.Candidates {
		for _, c := range list {
			for _, s := range c.Evidence {
				if c.ID == with && s.Term == findingTerm {
					return s.Value
				}
			}
		}
	}
	return ""
}

// Two offices of one name, of which the second may be the first's customer.
var (
	northern = deal.Customer{Name: "Nordlicht Robotics GmbH", Country: "DE", City: "Hamburg", PostalCode: "20095"}
	southern = deal.Customer{Name: "Nordlicht Robotics GmbH", Country: "DE", City: "Hamburg", PostalCode: "20097"}
)

func TestFindings(t *testing.T) { testFindings(t, func(*testing.T) string { return "" }) }

func testFindings(t *testing.T, database func(*testing.T) string) {
	ctx := context.Background()
	made := func(t *testing.T, accounts ...*deal.Account) *bench {
		b := newBenchAt(t, database(t), accounts...)
		b.people()
		b.publish(deal.PolicyDocument, disputes)
		return b
	}
	t.Run("not the same", func(t *testing.T) {
		b := made(t)
		first, _ := b.file(filing("P-1", northern))
		second, d := b.file(wanting("P-2", "dispute", southern))
		if first.Status != deal.StatusProtected || second.Status != deal.StatusEscalated || second.CustomerRef != first.CustomerRef {
			t.Fatalf("the second is %s as %v, the first %v: %s", second.Status, second.CustomerRef, first.CustomerRef, brief(d.Candidates))
		}
		if _, err := b.do("bob", second.CaseID, protects()); err != nil { // the rule has four eyes: this only proposes
			if !errors.Is(err, deal.ErrNotPossible) {
				t.Fatal(err)
			}
		} else {
			t.Fatal("what another holds could be granted")
		}
		until := b.clock.now().Add(40 * 24 * time.Hour)
		f, err := b.Find(ctx, Request{Actor: person("ada")}, deal.Finding{Verdict: deal.FoundDifferent, Subject: registrationParty(second.ID), Other: registrationParty(first.ID), Until: until}, " two companies ")
		if err != nil || f.Status != deal.FindingLive || f.Reason != "two companies" || f.By.PersonID != "ada" || f.CaseID != second.CaseID {
			t.Fatalf("%+v, %v", f, err)
		}
		b.done("bob", second.CaseID, protects())
		b.done("ada", second.CaseID, Doing{Act: ActResolve, Text: "checked", Confirm: true})
		r, d, _, err := b.Registration(ctx, second.ID)
		if err != nil || r.Status != deal.StatusProtected || r.CustomerRef != deal.OwnProspect(second.ID) || named(d, first.ID) != f.ID {
			t.Fatalf("after the finding it is %s as %v, by %q: %v", r.Status, r.CustomerRef, named(d, first.ID), err)
		}
		// Whoever reads like both is neither's for sure: a person looks.
		third, d := b.file(filing("P-3", deal.Customer{Name: "Nordlicht Robotics", Country: "DE", City: "Hamburg"}))
		if third.Status == deal.StatusProtected {
			t.Errorf("a third is %s: %s", third.Status, brief(d.Candidates))
		}
		// Who reads as the second is of its customer, not of the first's.
		again := southern
		again.Street = "Spaldingstr. 5"
		fourth, d := b.file(filing("P-4", again))
		if fourth.CustomerRef != deal.OwnProspect(second.ID) || slices.ContainsFunc(d.Conflicts, func(c deal.Conflict) bool { return c.With == first.ID && c.Kind == deal.HeldByOther }) {
			t.Errorf("who reads as the second is %v: %+v", fourth.CustomerRef, brief(d.Candidates))
		}
		// The time is over, and they may be one again.
		b.clock.set(until)
		d = b.foreseen(filing("P-5", again))
		if named(d, first.ID) != "" {
			t.Error("a finding that has ended is gone by")
		}
		if got, err := b.Finding(ctx, f.ID); err != nil || got.Status != deal.FindingEnded {
			t.Errorf("after its time it is %s, %v", got.Status, err)
		}
		b.sound()
	})
	t.Run("not this account", func(t *testing.T) {
		b := made(t, &deal.Account{ID: "A-1", Name: "Nordlicht Robotics GmbH", Country: "DE", City: "Hamburg", PostalCode: "20095", Named: true, Status: "customer"})
		r, d := b.file(wanting("P-1", "review", southern))
		if r.CustomerRef.AccountID != "A-1" {
			t.Fatalf("resolved to %v: %s", r.CustomerRef, brief(d.Candidates))
		}
		f := b.mustFind(deal.FoundDifferent, accountParty("A-1"), registrationParty(r.ID))
		b.done("ada", r.CaseID, protects())
		r, d, _, err := b.Registration(ctx, r.ID)
		if err != nil || r.CustomerRef != deal.OwnProspect(r.ID) || named(d, "A-1") != f.ID || len(d.Conflicts) != 0 {
			t.Fatalf("it is %v by %q with %v, %v", r.CustomerRef, named(d, "A-1"), d.Conflicts, err)
		}
		if d := b.foreseen(filing("P-2", northern)); d.Resolution.Ref.AccountID != "A-1" {
			t.Errorf("who reads as the account is %v", d.Resolution.Ref)
		}
		// The registration ends, and what it described stays known.
		if _, err := b.move(person("ada"), r.ID, deal.EventWithdraw); err != nil {
			t.Fatal(err)
		}
		same := southern
		d = b.foreseen(filing("P-2", same))
		if d.Resolution.Ref != deal.OwnProspect(r.ID) || d.Resolution.NewProspect || named(d, "A-1") != f.ID {
			t.Errorf("filed anew it is %+v: %s", d.Resolution, brief(d.Candidates))
		}
		same.AccountID = "A-1" // the partner says so
		if d = b.foreseen(filing("P-2", same)); d.Resolution.Status != "possible" {
			t.Errorf("a filing that names the account is %+v", d.Resolution)
		}
		// Taken back, it says nothing.
		if _, err := b.TakeBack(ctx, Request{Actor: person("ada")}, f.ID, "they merged"); err != nil {
			t.Fatal(err)
		}
		if d = b.foreseen(filing("P-2", southern)); d.Resolution.Ref.AccountID != "A-1" || named(d, "A-1") != "" {
			t.Errorf("after it was taken back: %+v", d.Resolution)
		}
		if _, err := b.TakeBack(ctx, Request{Actor: person("ada")}, f.ID, "again"); !errors.Is(err, deal.ErrNotPossible) {
			t.Errorf("taken back twice: %v", err)
		}
		b.sound()
	})
	t.Run("a number of one organisation", func(t *testing.T) {
		b := made(t, &deal.Account{ID: "A-1", Name: "Nordlicht Robotics GmbH", Country: "DE", TaxID: "DE811569869"})
		c := deal.Customer{Name: "Nordlicht Robotics Süd GmbH", Country: "DE", TaxID: "DE811569869"}
		holder, _ := b.file(filing("P-1", deal.Customer{Name: "Nordlicht Robotics GmbH", Country: "DE", AccountID: "A-1"}))
		r, _ := b.file(wanting("P-2", "dispute", c))
		if holder.CustomerRef.AccountID != "A-1" || holder.Status != deal.StatusProtected {
			t.Fatalf("the holder is %s of %v", holder.Status, holder.CustomerRef)
		}
		f := b.mustFind(deal.FoundDifferent, registrationParty(r.ID), accountParty("A-1"))
		if _, err := b.do("ada", r.CaseID, protects()); !errors.Is(err, deal.ErrNotPossible) {
			t.Errorf("two who have one tax number both hold: %v", err)
		}
		d := b.foreseen(filing("P-3", c))
		if d.Outcome == deal.Protect || named(d, "A-1") != f.ID || d.Resolution.Ref.AccountID != "" {
			t.Errorf("with the number it is %s, %+v: %s", d.Outcome, d.Resolution, brief(d.Candidates))
		}
		b.sound()
	})
	t.Run("the same", func(t *testing.T) {
		b := made(t, &deal.Account{ID: "A-1", Name: "Zenith Aerostructures Corporation", Country: "US"}, &deal.Account{ID: "A-2", Name: "Fabrikam Metalworks", Country: "US"})
		former := deal.Customer{Name: "Blue Heron Composites", Country: "US"}
		r, _ := b.file(filing("P-1", former))
		if !strings.HasPrefix(r.CustomerRef.ProspectID, deal.ProspectID) || r.Status != deal.StatusProtected {
			t.Fatalf("%s, %v", r.Status, r.CustomerRef)
		}
		f := b.mustFind(deal.FoundSame, accountParty("A-1"), registrationParty(r.ID))
		if f.Other.AccountID != "A-1" || f.Subject.Name != "Blue Heron Composites" {
			t.Errorf("it stands for %+v", f.Other)
		}
		// Who files for the account comes after who holds under the other name, and the other way round.
		behind, d := b.file(filing("P-2", deal.Customer{Name: "Zenith Aerostructures", Country: "US"}))
		if behind.Status != deal.StatusWaitlisted || behind.CustomerRef.AccountID != "A-1" || d.Route.Of != r.ID || named(d, r.ID) != f.ID {
			t.Errorf("who files for the account is %s as %v behind %v: %s", behind.Status, behind.CustomerRef, d.Route, brief(d.Candidates))
		}
		next, d := b.file(filing("P-3", former))
		if next.Status != deal.StatusWaitlisted || next.CustomerRef.AccountID != "A-1" || d.Resolution.Status != "certain" || named(d, "A-1") != f.ID || d.Route.Place != 2 {
			t.Errorf("who files under the other name is %s as %+v, %+v", next.Status, d.Resolution, d.Route)
		}
		if claims := b.Claims(r.CustomerRef); len(claims) != 3 || claims[1].ID != behind.ID {
			t.Errorf("%d claims on the customer", len(claims))
		}
		// The line is one.
		if _, err := b.move(person("ada"), r.ID, deal.EventWithdraw); err != nil {
			t.Fatal(err)
		}
		if got := b.status(behind.ID); got != deal.StatusProtected {
			t.Errorf("the first in line is %s", got)
		}
		if got := b.status(next.ID); got != deal.StatusWaitlisted {
			t.Errorf("the second is %s", got)
		}
		// Findings agree with each other.
		for name, bad := range map[string]func() (Found, error){
			"twice": func() (Found, error) {
				return b.find("ada", deal.FoundSame, registrationParty(next.ID), registrationParty(next.ID))
			},
			"the opposite": func() (Found, error) {
				return b.find("ada", deal.FoundDifferent, registrationParty(r.ID), accountParty("A-1"))
			},
			"again": func() (Found, error) {
				return b.find("ada", deal.FoundSame, registrationParty(r.ID), accountParty("A-1"))
			},
		} {
			if _, err := bad(); !errors.Is(err, deal.ErrNotPossible) && !errors.As(err, new(deal.FieldErrors)) {
				t.Errorf("%s: %v", name, err)
			}
		}
		b.mustFind(deal.FoundSame, accountParty("A-2"), accountParty("A-1"))
		d = b.foreseen(filing("P-4", deal.Customer{Name: "Fabrikam Metalworks", Country: "US"}))
		if d.Resolution.Ref.AccountID != "A-1" || d.Outcome == deal.Protect {
			t.Errorf("of two accounts that are one it is %+v, %s", d.Resolution, d.Outcome)
		}
		if err := b.Delete(ctx, Request{Actor: person("ada")}, deal.Accounts, []string{"A-2"}); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "are one") {
			t.Errorf("an account that others were found to be is deleted: %v", err)
		}
		// Apart again, the second in line waits for nobody.
		if _, err := b.TakeBack(ctx, Request{Actor: person("ada")}, f.ID, "not so"); err != nil {
			t.Fatal(err)
		}
		if got := b.status(next.ID); got != deal.StatusProtected {
			t.Errorf("after it was taken back the second is %s", got)
		}
		b.sound()
		again := b.replica() // read from the tables
		if d := again.foreseen(filing("P-4", deal.Customer{Name: "Fabrikam Metalworks", Country: "US"})); d.Resolution.Ref.AccountID != "A-1" {
			t.Errorf("another replica says %+v", d.Resolution)
		}
		list, err := b.Findings(ctx, store.FindingFilter{Of: []deal.CustomerRef{{AccountID: "A-1"}}, LiveAt: b.clock.now(), Page: store.Page{Limit: 9}})
		if err != nil || len(list) != 1 || list[0].Subject.AccountID != "A-2" || list[0].Reason == "" {
			t.Errorf("%+v, %v", list, err)
		}
	})
	t.Run("two who hold", func(t *testing.T) {
		b := made(t)
		one, _ := b.file(filing("P-1", deal.Customer{Name: "Blue Heron Composites", Country: "US"}))
		two, _ := b.file(filing("P-2", deal.Customer{Name: "Zenith Aerostructures", Country: "US"}))
		_, err := b.find("ada", deal.FoundSame, registrationParty(one.ID), registrationParty(two.ID))
		if !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), one.Number) || !strings.Contains(err.Error(), two.Number) {
			t.Errorf("two holders were made one: %v", err)
		}
	})
	t.Run("who may", func(t *testing.T) {
		b := made(t, &deal.Account{ID: "A-1", Name: "Nordlicht Robotics GmbH", Country: "DE"})
		r, _ := b.file(wanting("P-1", "review", northern))
		for name, by := range map[string]deal.Actor{"another queue": person("eve"), "a portal": {KeyID: "k", Role: "portal"}, "nobody": {KeyID: "k", Role: "ops"}, "an auditor": {KeyID: "k", Role: "auditor", PersonID: "ada"}} {
			if _, err := b.Find(ctx, Request{Actor: by}, deal.Finding{Verdict: deal.FoundDifferent, Subject: registrationParty(r.ID), Other: accountParty("A-1")}, "so"); !errors.Is(err, deal.ErrForbidden) {
				t.Errorf("%s: %v", name, err)
			}
		}
		var wrong deal.FieldErrors
		_, err := b.Find(ctx, Request{Actor: person("ada")}, deal.Finding{Verdict: "perhaps", Subject: deal.Party{RegistrationID: "reg_none"}, Until: start}, "")
		if !errors.As(err, &wrong) || len(wrong) != 5 {
			t.Errorf("%v", err)
		}
	})
}

// TestLabels reads from the ledger what people have settled.
// Two who hold are not found to be one, also when one of them was resolved to an account.
func TestFindingOfAccount(t *testing.T) {
	t.Parallel()
	b := newBench(t, account("acc-z", zanzibar, nil))
	b.people()
	of, _ := b.file(by("P-1", zanzibar))
	other, _ := b.file(by("P-2", quixotic))
	if of.Status != deal.StatusProtected || other.Status != deal.StatusProtected || of.CustomerRef.AccountID == "" {
		t.Fatalf("%s of %v, %s", of.Status, of.CustomerRef, other.Status)
	}
	for _, p := range [][2]deal.Party{{registrationParty(of.ID), registrationParty(other.ID)}, {registrationParty(other.ID), registrationParty(of.ID)}, {registrationParty(other.ID), accountParty("acc-z")}} {
		if _, err := b.find("ada", deal.FoundSame, p[0], p[1]); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "both hold") {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if _, err := b.move(asOps, other.ID, deal.EventWithdraw); err != nil {
		t.Fatal(err)
	}
	b.mustFind(deal.FoundSame, registrationParty(of.ID), registrationParty(other.ID))
	if again, d := b.file(by("P-3", quixotic)); again.Status != deal.StatusWaitlisted {
		t.Errorf("%s: %+v", again.Status, d.Conflicts)
	}
	b.sound()
}

func TestLabels(t *testing.T) {
	b := desk(t, &deal.Account{ID: "A-1", Name: "Nordlicht Robotics GmbH", Country: "DE", City: "Hamburg"})
	b.publish(deal.PolicyDocument, strings.ReplaceAll(disputes, ", four_eyes: true", ""))
	holder, _ := b.file(filing("P-1", zanzibar))
	behind, _ := b.file(wanting("P-2", "dispute", zanzibar))
	waits := routes(deal.Waitlisted)
	waits.Ruling.Of, waits.Ruling.ReasonCode = holder.ID, deal.ReasonAlreadyRegistered
	b.done("ada", behind.CaseID, waits)
	r, _ := b.file(filing("P-1", quixotic))
	f := b.mustFind(deal.FoundDifferent, registrationParty(r.ID), accountParty("A-1"))
	gone := b.mustFind(deal.FoundDifferent, registrationParty(holder.ID), accountParty("A-1"))
	if _, err := b.TakeBack(context.Background(), Request{Actor: person("ada")}, gone.ID, "wrong"); err != nil {
		t.Fatal(err)
	}
	twin, _ := b.file(wanting("P-3", "dispute", quixotic))
	if _, err := b.moveWith(person("ada"), twin.ID, Moving{Event: deal.EventMerge, Reason: "one deal", To: r.ID}); err != nil {
		t.Fatal(err)
	}
	list, err := Labels(context.Background(), b.Store())
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	if l := list[0]; !l.Same || l.A.Names[0] != zanzibar.Name || l.B.Names[0] != zanzibar.Name || l.A.City != "Ulm" {
		t.Errorf("%+v", l)
	}
	if l := list[1]; !l.Same || l.A.Names[0] != quixotic.Name || l.B.Names[0] != quixotic.Name {
		t.Errorf("%+v", l)
	}
	if l := list[2]; l.Same || l.A.Names[0] != quixotic.Name || l.B.Names[0] != "Nordlicht Robotics GmbH" || l.Why != f.ID {
		t.Errorf("%+v", l)
	}
}
