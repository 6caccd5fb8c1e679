package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/policy"
)

// coverage is a plan in which Germany is partners' but for two postal areas, France the vendor's own, Austria one
// partner's, and the rest nobody's.
const coverage = `apiVersion: dealreg/v1
kind: TerritoryPlan
metadata: {name: small, title: Small, owner: ops, timezone: Europe/Berlin, currency: EUR}
universe: {country: [DE, FR, AT, CH]}
policy: {gap: allow}
tiers: [field]
territories:
  - {id: DE, tier: field, coverage: partner, owner: {queue: de}, include: {country: [DE]}, exclude: [{postcode: ["10"]}]}
  - {id: FR, tier: field, coverage: direct, owner: {queue: fr}, include: {country: [FR]}}
  - {id: AT, tier: field, coverage: partner, owner: {queue: at, partner_id: P-2}, include: {country: [AT]}}
`

func (b *bench) publish(kind, body string) {
	b.t.Helper()
	q := Request{Actor: deal.System}
	d, err := b.SaveDocument(context.Background(), q, kind, []byte(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.Publish(context.Background(), q, kind, d.Version); err != nil {
		b.t.Fatal(err)
	}
}

// file registers a filing and returns the registration with its decision.
func (b *bench) file(f deal.Filing) (deal.Registration, deal.Decision) {
	b.t.Helper()
	f.Normalise()
	if errs := f.Validate(b.clock.now()); len(errs) > 0 {
		b.t.Fatal(errs)
	}
	got, err := b.Register(context.Background(), request("key_test", deal.NewID("i"), f), f)
	if err != nil {
		b.t.Fatal(err)
	}
	r, d, _, err := b.Registration(context.Background(), got.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	return r, d
}

// foreseen is what a pre-check sees.
func (b *bench) foreseen(f deal.Filing) deal.Decision {
	b.t.Helper()
	d, err := b.Foresee(context.Background(), f)
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

var (
	zanzibar = deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "DE", City: "Ulm", PostalCode: "89073"}
	quixotic = deal.Customer{Name: "Quixotic Brewing Company", Country: "DE", City: "Kiel", PostalCode: "24103"}
)

// by is a filing of the partner for the customer, changed.
func by(partner string, c deal.Customer, changes ...func(*deal.Filing)) deal.Filing {
	f := filing(partner, c)
	for _, change := range changes {
		change(&f)
	}
	return f
}

func lines(ls ...string) func(*deal.Filing) {
	return func(f *deal.Filing) {
		f.Products = nil
		for _, l := range ls {
			f.Products = append(f.Products, deal.Product{SKU: "SKU-" + l})
		}
	}
}

func sites(cities ...string) func(*deal.Filing) {
	return func(f *deal.Filing) {
		for _, c := range cities {
			f.Sites = append(f.Sites, deal.Site{City: c, Country: "DE"})
		}
	}
}

func tender(number string) func(*deal.Filing) {
	return func(f *deal.Filing) { f.Tender = deal.Tender{IsTender: true, Number: number} }
}

func amount(value int64, currency string) func(*deal.Filing) {
	return func(f *deal.Filing) { f.Amount = deal.Money{Value: decimal.New(value, 0), Currency: currency} }
}

func account(id string, c deal.Customer, change func(*deal.Account)) *deal.Account {
	a := &deal.Account{ID: id, Name: c.Name, Country: c.Country, City: c.City, PostalCode: c.PostalCode, TaxID: c.TaxID, Domain: c.Domain, Status: "prospect"}
	if change != nil {
		change(a)
	}
	return a
}

func opportunity(id string, change func(*deal.Opportunity)) *deal.Opportunity {
	touched, _ := deal.ParseDate("2027-02-19")
	o := &deal.Opportunity{ID: id, AccountID: "acc-z", Name: "Network", Stage: "proposal", Status: "open", LedBy: "direct", LastActivityAt: touched}
	if change != nil {
		change(o)
	}
	return o
}

// lostOn loses an opportunity on a day.
func lostOn(day string) func(*deal.Opportunity) {
	return func(o *deal.Opportunity) {
		o.Status = "lost"
		o.LastActivityAt, _ = deal.ParseDate(day)
	}
}

// TestConflicts has each kind of conflict found when it should be, and not otherwise. want lists all that is found, as
// kind:with, in which r0, r1 are the registrations filed before, and * follows what is the partner's own.
func TestConflicts(t *testing.T) {
	t.Parallel()
	z := account("acc-z", zanzibar, nil)
	named := func(n string) deal.Customer { c := zanzibar; c.Name = n; return c }
	hold := func(f deal.Filing) []deal.Filing { return []deal.Filing{f} }
	ulm, kiel := zanzibar, zanzibar
	ulm.TaxID, ulm.Domain = "DE811115368", "zanzibar-ulm.example.org"
	kiel.TaxID, kiel.Domain, kiel.City, kiel.PostalCode = "DE129273398", "orchestra-kiel.example.net", "Kiel", "24103"
	other := func(domain, city string) deal.Customer { // a name that says nothing of the foundation
		return deal.Customer{Name: "Marigold Turbines", Country: "NL", City: city, Domain: domain}
	}
	site := zanzibar
	site.Domain = "oddname.example.org"
	elsewhere := other("oddname.example.org", "Rotterdam")
	var group []deal.Record
	for i, name := range []string{"Ashgrove Dairy", "Bluebell Railways", "Copperfield Mines", "Driftwood Boats"} {
		group = append(group, account("acc-g"+string(rune('0'+i)), deal.Customer{Name: name, Country: "FR", Domain: site.Domain}, nil))
	}
	// A foundation, what it belongs to, what belongs to it, and what belongs to the same.
	family := []deal.Record{account("acc-z", zanzibar, func(a *deal.Account) { a.ParentID = "acc-p" }), account("acc-p", named("Octavian Holding"), nil),
		account("acc-c", named("Persimmon Tickets"), func(a *deal.Account) { a.ParentID = "acc-z" }), account("acc-s", named("Wisteria Ballet"), func(a *deal.Account) { a.ParentID = "acc-p" }),
		account("acc-x", named("Halberd Insurance"), nil)}
	cases := []struct {
		name    string
		records []deal.Record
		plan    string
		before  []deal.Filing
		later   time.Duration // between what was filed before and the filing
		filing  deal.Filing
		want    string
	}{
		{name: "nobody there", filing: by("P-1", zanzibar), want: ""},
		{name: "another customer is held", before: hold(by("P-2", quixotic)), filing: by("P-1", zanzibar), want: ""},

		// Scope: lines, sites, time.
		{name: "held", before: hold(by("P-2", zanzibar)), filing: by("P-1", named("Zanzibar Orchestra Fdn.")), want: "held_by_other:r0"},
		{name: "held, by its account", records: []deal.Record{z}, before: hold(by("P-2", zanzibar)), filing: by("P-1", zanzibar), want: "held_by_other:r0"},
		{name: "another line is held", before: hold(by("P-2", zanzibar, lines("security"))), filing: by("P-1", zanzibar), want: ""},
		{name: "one of the lines is held", before: hold(by("P-2", zanzibar, lines("security"))), filing: by("P-1", zanzibar, lines("network", "security")), want: "held_by_other:r0"},
		{name: "every line is held", before: hold(by("P-2", zanzibar, lines())), filing: by("P-1", zanzibar), want: "held_by_other:r0"},
		{name: "every line is asked for", before: hold(by("P-2", zanzibar)), filing: by("P-1", zanzibar, lines()), want: "held_by_other:r0"},
		{name: "another site is held", before: hold(by("P-2", zanzibar, sites("Ulm"))), filing: by("P-1", zanzibar, sites("Kiel")), want: ""},
		{name: "one of the sites is held", before: hold(by("P-2", zanzibar, sites("Ulm", "Bonn"))), filing: by("P-1", zanzibar, sites("Bonn", "Kiel")), want: "held_by_other:r0"},
		{name: "the whole customer is held", before: hold(by("P-2", zanzibar)), filing: by("P-1", zanzibar, sites("Kiel")), want: "held_by_other:r0"},
		{name: "the site is held, for another line", before: hold(by("P-2", zanzibar, sites("Kiel"), lines("security"))), filing: by("P-1", zanzibar, sites("Kiel")), want: ""},
		{name: "in the last microsecond", before: hold(by("P-2", zanzibar)), later: lastInstant(120), filing: by("P-1", zanzibar), want: "held_by_other:r0"},
		{name: "expired", before: hold(by("P-2", zanzibar)), later: lastInstant(120) + time.Microsecond, filing: by("P-1", zanzibar), want: ""},

		{name: "the site in another spelling is held", before: hold(by("P-2", zanzibar, sites("Köln"))), filing: by("P-1", zanzibar, sites("Koeln")), want: "held_by_other:r0"},
		{name: "the site in another language is held", before: hold(by("P-2", zanzibar, sites("Köln"))), filing: by("P-1", zanzibar, sites("Cologne")), want: "held_by_other:r0"},
		{name: "what may be the site is held", before: hold(by("P-2", zanzibar, func(f *deal.Filing) { f.Sites = []deal.Site{{Name: "Plant 1"}} })), filing: by("P-1", zanzibar, sites("Kiel")), want: "held_by_other:r0"},

		// In line.
		{name: "pending with a hold", before: hold(by("P-2", zanzibar, amount(900_000, "EUR"))), filing: by("P-1", zanzibar), want: "held_by_other:r0"},
		{name: "pending after its hold", before: hold(by("P-2", zanzibar, amount(900_000, "EUR"))), later: lastInstant(7) + time.Microsecond, filing: by("P-1", zanzibar), want: "pending_other:r0"},
		{name: "pending without a hold", before: hold(by("P-2", zanzibar, func(f *deal.Filing) { f.Competing = []string{"rival"} })), filing: by("P-1", zanzibar), want: "pending_other:r0"},
		{name: "held, and others wait", before: []deal.Filing{by("P-2", zanzibar), by("P-3", zanzibar)}, filing: by("P-1", zanzibar), want: "held_by_other:r0 pending_other:r1"},
		{name: "declined before", before: hold(by("P-2", zanzibar, func(f *deal.Filing) { f.PartnerID = "P-gone" })), filing: by("P-1", zanzibar), want: ""},

		// One's own.
		{name: "own", before: hold(by("P-1", zanzibar)), filing: by("P-1", zanzibar), want: "own_duplicate:r0*"},
		{name: "own, through a distributor", before: hold(by("P-1", zanzibar, func(f *deal.Filing) { f.DistributorID = "P-9" })), filing: by("P-1", zanzibar), want: "own_duplicate:r0*"},
		{name: "another's, through one distributor", before: hold(by("P-2", zanzibar, func(f *deal.Filing) { f.DistributorID = "P-9" })),
			filing: by("P-1", zanzibar, func(f *deal.Filing) { f.DistributorID = "P-9" }), want: "held_by_other:r0"},
		{name: "own, of another line", before: hold(by("P-1", zanzibar, lines("security"))), filing: by("P-1", zanzibar), want: ""},
		{name: "own and another's", before: []deal.Filing{by("P-2", zanzibar, lines("security")), by("P-1", zanzibar)}, filing: by("P-1", zanzibar, lines()), want: "held_by_other:r0 own_duplicate:r1*"},

		// One identifier, whatever else they have in common.
		{name: "one web domain", before: hold(by("P-2", site)), filing: by("P-1", elsewhere), want: "held_by_other:r0"},
		{name: "one web domain, of the contact's mail", before: hold(by("P-2", site)), filing: by("P-1", other("", "Rotterdam"), func(f *deal.Filing) { f.Contact.Email = "ann@oddname.example.org" }), want: "held_by_other:r0"},
		{name: "another web domain", before: hold(by("P-2", site)), filing: by("P-1", other("wholly.example.net", "Rotterdam")), want: ""},
		{name: "free mail", before: hold(by("P-2", zanzibar, func(f *deal.Filing) { f.Contact.Email = "bob@gmail.com" })), filing: by("P-1", other("", ""), func(f *deal.Filing) { f.Contact.Email = "ann@gmail.com" }), want: ""},
		{name: "one web domain, for another line", before: hold(by("P-2", site, lines("security"))), filing: by("P-1", elsewhere), want: ""},
		{name: "one web domain, the partner's own claim", before: hold(by("P-1", site)), filing: by("P-1", elsewhere), want: "own_duplicate:r0*"},
		{name: "one tax number", before: hold(by("P-2", ulm)), filing: by("P-1", func() deal.Customer { c := other("", ""); c.TaxID = ulm.TaxID; return c }()), want: "held_by_other:r0"},
		{name: "one web domain of a group", records: group, before: hold(by("P-2", site)), filing: by("P-1", elsewhere), want: ""},
		{name: "the web domain of a named account", records: []deal.Record{account("acc-n", site, func(a *deal.Account) { a.Named = true })}, filing: by("P-1", elsewhere), want: "named_account:acc-n"},
		{name: "the web domain of a named account, and another account's name", records: []deal.Record{account("acc-n", site, func(a *deal.Account) { a.Named = true }), account("acc-q", quixotic, nil)},
			filing: by("P-1", func() deal.Customer { c := quixotic; c.Domain = site.Domain; return c }()), want: "named_account:acc-n"},

		// What the filing says of the customer.
		{name: "the id of a named account, and another name", records: []deal.Record{account("acc-n", quixotic, func(a *deal.Account) { a.Named = true })},
			filing: by("P-1", zanzibar, func(f *deal.Filing) { f.Customer.AccountID = "acc-n" }), want: "named_account:acc-n"},
		{name: "the id of a named account, and the name of another", records: []deal.Record{z, account("acc-n", quixotic, func(a *deal.Account) { a.Named = true })},
			filing: by("P-1", zanzibar, func(f *deal.Filing) { f.Customer.AccountID = "acc-n" }), want: "named_account:acc-n"},
		{name: "an account that its holder names by its id, in other words", records: []deal.Record{account("acc-q", quixotic, nil)},
			before: hold(by("P-2", zanzibar, func(f *deal.Filing) { f.Customer.AccountID = "acc-q" })), filing: by("P-1", quixotic), want: "held_by_other:r0"},
		{name: "the id of no account", records: []deal.Record{z}, filing: by("P-1", zanzibar, func(f *deal.Filing) { f.Customer.AccountID = "acc-none" }), want: ""},
		{name: "what it says is its parent is held", records: []deal.Record{account("acc-p", named("Octavian Holding"), nil)}, before: hold(by("P-2", named("Octavian Holding"))),
			filing: by("P-1", quixotic, func(f *deal.Filing) { f.Customer.Parent = "Octavian Holding" }), want: "family_held:r0"},
		{name: "what it says is its parent is held, and no account", before: hold(by("P-2", named("Octavian Holding"))),
			filing: by("P-1", quixotic, func(f *deal.Filing) { f.Customer.Parent = "Octavian Holding" }), want: "family_held:r0"},
		{name: "a sister by what it says is its parent is held", records: family, before: hold(by("P-2", named("Wisteria Ballet"))),
			filing: by("P-1", quixotic, func(f *deal.Filing) { f.Customer.Parent = "Octavian Holding" }), want: "family_held:r0"},
		{name: "what it says is its parent is nobody's", records: family, before: hold(by("P-2", named("Halberd Insurance"))),
			filing: by("P-1", quixotic, func(f *deal.Filing) { f.Customer.Parent = "Octavian Holding" }), want: ""},

		// Two certain accounts are two customers.
		{name: "one name, two accounts", records: []deal.Record{account("acc-u", ulm, nil), account("acc-k", kiel, nil)}, before: hold(by("P-2", ulm)), filing: by("P-1", kiel), want: ""},
		{name: "one name, one of the two accounts", records: []deal.Record{account("acc-u", ulm, nil), account("acc-k", kiel, nil)}, before: hold(by("P-2", kiel)), filing: by("P-1", kiel), want: "held_by_other:r0"},

		// The vendor's business.
		{name: "the direct team is engaged", records: []deal.Record{z, opportunity("opp-1", nil)}, filing: by("P-1", zanzibar), want: "direct_engaged:opp-1"},
		{name: "the direct team is engaged with a name", records: []deal.Record{opportunity("opp-1", func(o *deal.Opportunity) { o.AccountID, o.AccountName = "", zanzibar.Name })},
			filing: by("P-1", zanzibar), want: "direct_engaged:opp-1"},
		{name: "in another line", records: []deal.Record{z, opportunity("opp-1", func(o *deal.Opportunity) { o.Lines = []string{"security"} })}, filing: by("P-1", zanzibar), want: ""},
		{name: "an opportunity that was lost", records: []deal.Record{z, opportunity("opp-1", func(o *deal.Opportunity) { o.Status = "lost" })}, filing: by("P-1", zanzibar), want: "direct_closed:opp-1"},
		{name: "an opportunity elsewhere", records: []deal.Record{z, account("acc-q", quixotic, nil), opportunity("opp-1", func(o *deal.Opportunity) { o.AccountID = "acc-q" })}, filing: by("P-1", zanzibar), want: ""},
		{name: "another partner leads", records: []deal.Record{z, opportunity("opp-1", func(o *deal.Opportunity) { o.LedBy, o.PartnerID = "partner", "P-2" })}, filing: by("P-1", zanzibar), want: "partner_opportunity:opp-1"},
		{name: "the partner leads", records: []deal.Record{z, opportunity("opp-1", func(o *deal.Opportunity) { o.LedBy, o.PartnerID = "partner", "P-1" })}, filing: by("P-1", zanzibar), want: "partner_opportunity:opp-1*"},
		{name: "another partner sold", records: []deal.Record{z, opportunity("opp-1", func(o *deal.Opportunity) { o.Status, o.LedBy, o.PartnerID = "won", "partner", "P-2" })}, filing: by("P-1", zanzibar), want: "incumbent_other:opp-1"},
		{name: "the partner sold", records: []deal.Record{z, opportunity("opp-1", func(o *deal.Opportunity) { o.Status, o.LedBy, o.PartnerID = "won", "partner", "P-1" })}, filing: by("P-1", zanzibar), want: ""},
		{name: "the direct team sold", records: []deal.Record{z, opportunity("opp-1", func(o *deal.Opportunity) { o.Status = "won" })}, filing: by("P-1", zanzibar), want: "direct_closed:opp-1"},
		{name: "the latest the direct team closed", records: []deal.Record{z, opportunity("opp-1", lostOn("2026-05-01")), opportunity("opp-2", lostOn("2027-02-20")), opportunity("opp-3", lostOn("2026-12-24"))},
			filing: by("P-1", zanzibar), want: "direct_closed:opp-2"},
		{name: "closed in another line", records: []deal.Record{z, opportunity("opp-1", func(o *deal.Opportunity) { o.Status, o.Lines = "lost", []string{"security"} })}, filing: by("P-1", zanzibar), want: ""},
		{name: "a partner's that was lost", records: []deal.Record{z, opportunity("opp-1", func(o *deal.Opportunity) { o.Status, o.LedBy, o.PartnerID = "lost", "partner", "P-2" })}, filing: by("P-1", zanzibar), want: ""},
		{name: "a named account", records: []deal.Record{account("acc-z", zanzibar, func(a *deal.Account) { a.Named = true })}, filing: by("P-1", zanzibar), want: "named_account:acc-z"},
		{name: "a customer", records: []deal.Record{account("acc-z", zanzibar, func(a *deal.Account) { a.Status = "customer" })}, filing: by("P-1", zanzibar), want: "existing_customer:acc-z"},
		{name: "a customer once", records: []deal.Record{account("acc-z", zanzibar, func(a *deal.Account) { a.Status = "former" })}, filing: by("P-1", zanzibar), want: ""},
		{name: "others are named and customers", records: []deal.Record{z, account("acc-q", quixotic, func(a *deal.Account) { a.Named, a.Status = true, "customer" })}, filing: by("P-1", zanzibar), want: ""},

		// The family.
		{name: "the parent is held", records: family, before: hold(by("P-2", named("Octavian Holding"))), filing: by("P-1", zanzibar), want: "family_held:r0"},
		{name: "a subsidiary is held", records: family, before: hold(by("P-2", named("Persimmon Tickets"))), filing: by("P-1", zanzibar), want: "family_held:r0"},
		{name: "a sibling is held", records: family, before: hold(by("P-2", named("Wisteria Ballet"))), filing: by("P-1", zanzibar), want: "family_held:r0"},
		{name: "no kin is held", records: family, before: hold(by("P-2", named("Halberd Insurance"))), filing: by("P-1", zanzibar), want: ""},
		{name: "the parent is the partner's own", records: family, before: hold(by("P-1", named("Octavian Holding"))), filing: by("P-1", zanzibar), want: ""},
		{name: "the parent is held for another line", records: family, before: hold(by("P-2", named("Octavian Holding"), lines("security"))), filing: by("P-1", zanzibar), want: ""},
		{name: "the parent was held", records: family, before: hold(by("P-2", named("Octavian Holding"))), later: lastInstant(120) + time.Microsecond, filing: by("P-1", zanzibar), want: ""},

		// The territory.
		{name: "covered by partners", plan: coverage, filing: by("P-1", zanzibar), want: ""},
		{name: "covered by the direct team", plan: coverage, filing: by("P-1", deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "FR"}), want: "territory_direct:FR"},
		{name: "another partner's", plan: coverage, filing: by("P-1", deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "AT"}), want: "territory_other_partner:AT"},
		{name: "the partner's own", plan: coverage, filing: by("P-2", deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "AT"}), want: ""},
		{name: "nobody's", plan: coverage, filing: by("P-1", deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "CH"}), want: "territory_open:"},
		{name: "excluded", plan: coverage, filing: by("P-1", deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "DE", PostalCode: "10115"}), want: "territory_open:"},

		// The tender, and rivals.
		{name: "one tender", before: hold(by("P-2", quixotic, tender("T-1"))), filing: by("P-1", zanzibar, tender("T-1")), want: "tender_shared:r0"},
		{name: "another tender", before: hold(by("P-2", quixotic, tender("T-2"))), filing: by("P-1", zanzibar, tender("T-1")), want: ""},
		{name: "the partner's own tender", before: hold(by("P-1", quixotic, tender("T-1"))), filing: by("P-1", zanzibar, tender("T-1")), want: ""},
		{name: "a tender that was", before: hold(by("P-2", quixotic, tender("T-1"))), later: lastInstant(120) + time.Microsecond, filing: by("P-1", zanzibar, tender("T-1")), want: ""},
		{name: "a rival product", filing: by("P-1", zanzibar, func(f *deal.Filing) { f.Competing = []string{"rival"} }), want: "competing_offer:rival*"},
	}
	for _, kind := range deal.ConflictKinds {
		found := 0
		for _, c := range cases {
			found += strings.Count(" "+c.want, " "+string(kind)+":")
		}
		if found == 0 {
			t.Errorf("no case finds %s", kind)
		}
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			gone, nine := &deal.Partner{ID: "P-gone", Name: "Gone", Status: "terminated"}, &deal.Partner{ID: "P-9", Name: "Distribution", Type: "distributor", Status: "active"}
			b.put(append([]deal.Record{gone, nine}, c.records...)...)
			if c.plan != "" {
				b.publish(deal.TerritoryDocument, c.plan)
			}
			ids := map[string]string{}
			for i, f := range c.before {
				r, _ := b.file(f)
				ids[r.ID] = "r" + string(rune('0'+i))
			}
			b.clock.advance(c.later)
			f := c.filing
			f.ExpectedCloseDate = deal.Date{Time: b.clock.now().AddDate(0, 3, 0).Truncate(24 * time.Hour)}
			// First as a pre-check would, before the ends of windows are written down; then under the lock, after.
			asked := b.foreseen(f)
			_, d := b.file(f)
			for how, d := range map[string]deal.Decision{"asked": asked, "filed": d} {
				var got []string
				for _, x := range d.Conflicts {
					with := x.With
					if id, ok := ids[with]; ok {
						with = id
					}
					if x.Self {
						with += "*"
					}
					got = append(got, string(x.Kind)+":"+with)
				}
				if g := strings.Join(got, " "); g != c.want {
					t.Errorf("%s: found %q, want %q\ndecision %v, candidates %s", how, g, c.want, d.ReasonCodes, brief(d.Candidates))
				}
			}
			b.sound()
		})
	}
}

// lastInstant is the time from start to the last microsecond of a window of n days that begins there, in a programme
// whose days are those of UTC.
func lastInstant(n int) time.Duration {
	return endOfDay(start, n, time.UTC).Sub(start) - time.Microsecond
}

// TestConflictOrder: another's before one's own, then the likelier, then the older, then by id.
func TestConflictOrder(t *testing.T) {
	cs := []deal.Conflict{
		{Kind: deal.CompetingOffer, With: "x"},
		{Kind: deal.HeldByOther, With: "self", Self: true, Probability: 1},
		{Kind: deal.HeldByOther, With: "young", Probability: 0.9, Since: start},
		{Kind: deal.HeldByOther, With: "b", Probability: 0.9, Since: start.Add(-time.Hour)},
		{Kind: deal.HeldByOther, With: "a", Probability: 0.9, Since: start.Add(-time.Hour)},
		{Kind: deal.HeldByOther, With: "likely", Probability: 0.95, Since: start},
		{Kind: deal.NamedAccount, With: "n"},
	}
	slices.SortStableFunc(cs, stronger)
	var got []string
	for _, c := range cs {
		got = append(got, c.With)
	}
	if want := "likely a b young self n x"; strings.Join(got, " ") != want {
		t.Errorf("in order %v, want %s", got, want)
	}
	if c, ok := strongest(cs, deal.HeldByOther); !ok || c.With != "likely" {
		t.Errorf("the strongest is %+v", c)
	}
	if _, ok := strongest(cs, deal.TenderShared); ok {
		t.Error("a conflict of a kind that was not found")
	}
}

// TestClaimsByClass: where the policy divides lines by the classes of their products, partners hold one line side by side in different
// classes, and in none twice; a product without a class claims them all.
func TestClaimsByClass(t *testing.T) {
	t.Parallel()
	sku := func(ids ...string) func(*deal.Filing) {
		return func(f *deal.Filing) {
			f.Products = nil
			for _, id := range ids {
				f.Products = append(f.Products, deal.Product{SKU: id})
			}
		}
	}
	const divided = "settings:\n  claims: by_class\n"
	for _, c := range []struct {
		name     string
		settings string
		held     []string // SKUs of P-2
		asked    []string // of P-1
		want     string   // kind of the conflict, and whether it covers all that is asked for
	}{
		{"one class", divided, []string{"S-1"}, []string{"S-2"}, "held_by_other true"},
		{"another class", divided, []string{"S-1"}, []string{"E-1"}, ""},
		{"another class, undivided", "settings:\n", []string{"S-1"}, []string{"E-1"}, "held_by_other true"},
		{"one of the classes", divided, []string{"S-1"}, []string{"S-2", "E-1"}, "held_by_other false"},
		{"one class, of a product in other letters", divided, []string{"S-1"}, []string{"s-2"}, "held_by_other true"},
		{"one class of another line", divided, []string{"S-1"}, []string{"O-1"}, ""},
		{"lines and classes crossed", divided, []string{"S-1", "O-2"}, []string{"E-1", "O-1"}, ""},
		{"held without a class", divided, []string{"N-1"}, []string{"E-1"}, "held_by_other true"},
		{"asked for without a class", divided, []string{"S-1"}, []string{"N-1"}, "held_by_other false"},
		{"held for everything", divided, nil, []string{"E-1"}, "held_by_other true"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.put(&deal.CatalogueProduct{SKU: "S-1", Line: "network", Class: "SMB"}, &deal.CatalogueProduct{SKU: "S-2", Line: "network", Class: "smb"},
				&deal.CatalogueProduct{SKU: "E-1", Line: "network", Class: "enterprise"}, &deal.CatalogueProduct{SKU: "N-1", Line: "network"},
				&deal.CatalogueProduct{SKU: "O-1", Line: "security", Class: "SMB"}, &deal.CatalogueProduct{SKU: "O-2", Line: "security", Class: "enterprise"})
			b.publish(deal.PolicyDocument, strings.Replace(string(policy.Default()), "settings:\n", c.settings, 1))
			first, _ := b.file(by("P-2", zanzibar, sku(c.held...)))
			if first.Status != deal.StatusProtected {
				t.Fatalf("the first is %s", first.Status)
			}
			r, d := b.file(by("P-1", zanzibar, sku(c.asked...)))
			got := ""
			for _, x := range d.Conflicts {
				got += fmt.Sprintf("%s %v", x.Kind, d.Facts["conflict."+string(x.Kind)+".same_lines"] == true)
			}
			if got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
			if want := c.want == ""; (r.Status == deal.StatusProtected) != want {
				t.Errorf("the second is %s (%v)", r.Status, d.ReasonCodes)
			}
			b.sound()
		})
	}
}

// What the matcher calls a relative is not the holder's customer for sure, however alike the names are: a person looks.
func TestRelativeAlike(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	bank := func(name string) deal.Customer {
		return deal.Customer{Name: name, Country: "DE"}
	}
	b.file(by("P-2", bank("Zollernquast AG")))
	r, d := b.file(by("P-1", bank("Zollernquast Stiftung")))
	set := read(b.Engine, func(v *view) policy.Settings { return v.policy.Settings() })
	if len(d.Conflicts) == 0 || d.Conflicts[0].Probability >= set.Certain || r.Status != deal.StatusEscalated {
		t.Errorf("%s: %+v", r.Status, d.Conflicts)
	}
	if same, d := b.file(by("P-3", bank("Zollernquast A.G."))); same.Status != deal.StatusWaitlisted {
		t.Errorf("%s: %+v", same.Status, d.Conflicts)
	}
}
