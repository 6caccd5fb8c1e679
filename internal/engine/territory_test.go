package engine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
)

// bySize is a plan that parts Germany by revenue.
const bySize = `apiVersion: dealreg/v1
kind: TerritoryPlan
metadata: {name: by-size, timezone: UTC}
universe: {country: [DE]}
tiers: [field, rest]
territories:
  - {id: LARGE, tier: field, coverage: direct, owner: {rep: u-1, manager: u-2, queue: large}, include: {country: [DE], revenue: ">=50_000_000"}}
  - {id: REST, tier: rest, coverage: partner, owner: {queue: rest}, include: {country: [DE]}}
`

// A new customer belongs to the territory of the parent that its filing names, as its subsidiaries in the accounts do.
func TestTerritoryOfAParent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(account("acc-q", quixotic, nil))
	b.publish(deal.TerritoryDocument, `apiVersion: dealreg/v1
kind: TerritoryPlan
metadata: {name: named, timezone: UTC}
universe: {country: [DE]}
tiers: [named, rest]
territories:
  - {id: NAMED, tier: named, coverage: direct, owner: {rep: u-1, manager: u-2, queue: named}, accounts: {include: [acc-q], with_subsidiaries: true}}
  - {id: REST, tier: rest, coverage: partner, owner: {queue: rest}, include: {country: [DE]}}
`)
	for parent, want := range map[string]string{"": "REST", "Octavian Holding": "REST", quixotic.Name: "NAMED"} {
		if _, d := b.file(by("P-1", zanzibar, func(f *deal.Filing) { f.Customer.Parent = parent })); d.Territory.ID != want {
			t.Errorf("with parent %q: %s, want %s (%s)", parent, d.Territory.ID, want, d.Territory.Why)
		}
	}
}

// A customer's revenue is the account's, else what the partner says of it, else unknown.
func TestTerritoryByRevenue(t *testing.T) {
	t.Parallel()
	said := func(value int64, currency string) deal.Money {
		return deal.Money{Value: decimal.New(value, 0), Currency: currency}
	}
	for _, c := range []struct {
		name    string
		account string // of the account; the account is left out when it is -
		said    deal.Money
		want    string // the territory and what is unknown
	}{
		{"the account's", "50000000.00", deal.Money{}, "LARGE"},
		{"the account's is what counts", "49999999.99", said(60_000_000, "EUR"), "REST"},
		{"more than fits", "999999999999999999999", deal.Money{}, "LARGE"},
		{"the partner's, where the account's is unknown", "", said(60_000_000, "EUR"), "LARGE"},
		{"the partner's", "-", said(49_999_999, "EUR"), "REST"},
		{"without a rate", "-", said(60_000_000, "JPY"), "REST annual_revenue"},
		{"nobody knows", "-", deal.Money{}, "REST annual_revenue"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.publish(deal.TerritoryDocument, bySize)
			f := filing("P-1", zanzibar)
			if c.account != "-" {
				b.put(account("acc-z", zanzibar, func(a *deal.Account) { a.AnnualRevenue = c.account }))
				f.Customer.AccountID = "acc-z"
			}
			f.Customer.AnnualRevenue = c.said
			_, d := b.file(f)
			if got := strings.Join(append([]string{d.Territory.ID}, d.Territory.Unknown...), " "); got != c.want {
				t.Errorf("got %s, want %s (%s)", got, c.want, d.Territory.Why)
			}
		})
	}
}

// A territory's deal goes to its representative, to who stands in, to its manager, and to nobody in person.
func TestTerritoryOwner(t *testing.T) {
	t.Parallel()
	away, _ := deal.ParseDate("2099-01-01")
	for _, c := range []struct {
		name   string
		people []deal.Record
		want   string
	}{
		{"there", []deal.Record{&deal.Person{ID: "u-1", Name: "A"}, &deal.Person{ID: "u-2", Name: "B"}}, "u-1"},
		{"away, with a stand-in", []deal.Record{&deal.Person{ID: "u-1", Name: "A", AwayUntil: away, Manager: "u-3"}, &deal.Person{ID: "u-2", Name: "B"}, &deal.Person{ID: "u-3", Name: "C"}}, "u-3"},
		{"away, without one", []deal.Record{&deal.Person{ID: "u-1", Name: "A", AwayUntil: away}, &deal.Person{ID: "u-2", Name: "B"}}, "u-2"},
		{"gone", []deal.Record{&deal.Person{ID: "u-2", Name: "B"}}, "u-2"},
		{"both gone", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.publish(deal.TerritoryDocument, bySize)
			b.put(c.people...)
			f := filing("P-1", zanzibar)
			f.Customer.AnnualRevenue = deal.Money{Value: decimal.New(60_000_000, 0), Currency: "EUR"}
			_, d := b.file(f)
			if d.Route == nil || d.Route.Person != c.want || d.Route.Queue == "" {
				t.Errorf("route %+v, want person %q and a queue", d.Route, c.want)
			}
		})
	}
}

// A plan that leaves customers to nobody is kept as a draft, and is not published.
func TestPublishRefusesGaps(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish(deal.TerritoryDocument, bySize)
	q := Request{Actor: deal.System}
	ctx := context.Background()
	d, err := b.SaveDocument(ctx, q, deal.TerritoryDocument, []byte(strings.Replace(bySize, "[DE]}\ntiers", "[DE, FR]}\ntiers", 1)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Publish(ctx, q, deal.TerritoryDocument, d.Version)
	errs, is := errors.AsType[document.Errors](err)
	if !is || len(errs) != 1 || errs[0].Line != 4 || !strings.Contains(errs[0].Message, "gap: no territory covers country FR") {
		t.Fatalf("published, or another error: %v", err)
	}
	if live, err := b.Live(deal.TerritoryDocument); err != nil || live.Version != 1 {
		t.Errorf("live is version %d: %v", live.Version, err)
	}
	if _, err := b.Publish(ctx, q, deal.TerritoryDocument, 7); !errors.Is(err, deal.ErrNotFound) {
		t.Errorf("a version there is not: %v", err)
	}
}
