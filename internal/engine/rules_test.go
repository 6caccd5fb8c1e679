package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// careless is a policy that grants whatever is asked for: what is left is the engine's own promise.
const careless = `apiVersion: dealreg/v1
kind: Policy
metadata: {name: careless, title: Careless}
settings:
  currency: EUR
  timezone: UTC
  tiers: [silver, gold]
  custom: {part: {type: string}, value: {type: int}, share: {type: bool}, review: {type: bool}, to: {type: enum, values: [holder, incumbent]}}
precedence: [route, escalate, protect]
defaults: {escalate: {queue: desk}}
rules:
  - {id: to-holder, when: custom.to == "holder", then: {outcome: route, disposition: referred, to: partner, owner_of: holder, reason: NOT_ELIGIBLE}}
  - {id: to-incumbent, when: custom.to == "incumbent", then: {outcome: route, disposition: referred, to: partner, owner_of: incumbent, reason: NOT_ELIGIBLE}}
  - {id: review, when: custom.review, then: {outcome: escalate, reason: UNDER_REVIEW, hold: {provisional: true, days: 5}}}
  - {id: share, when: custom.share, then: {outcome: protect, reason: PROTECTED, terms: {days: 30, exclusive: false}, benefits: {price: shared}}}
  - {id: protect, when: '!custom.share', then: {outcome: protect, reason: PROTECTED, terms: {days: 30}, benefits: {price: best}}}
`

func custom(pairs ...string) func(*deal.Filing) {
	return func(f *deal.Filing) {
		f.Custom = map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			f.Custom[pairs[i]] = pairs[i+1]
		}
	}
}

// A shared protection is one, by name, that several hold; it does not stand beside an exclusive one, whatever the policy says.
func TestSharedProtection(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish(deal.PolicyDocument, careless)
	share := custom("share", "true")
	first, _ := b.file(by("P-1", zanzibar, share))
	second, _ := b.file(by("P-2", zanzibar, share))
	if first.Status != deal.StatusProtected || second.Status != deal.StatusProtected || !second.Protection.Shared || second.Protection.Share == "" || second.Protection.Share != first.Protection.Share {
		t.Errorf("two who share: %+v, %+v", first.Protection, second.Protection)
	}
	third, d := b.file(by("P-3", zanzibar))
	if third.Status != deal.StatusEscalated || d.ReasonCodes[0] != deal.ReasonGuard || len(d.Benefits) != 0 {
		t.Errorf("an exclusive one beside them: %s %v %v", third.Status, d.ReasonCodes, d.Benefits)
	}
	held, _ := b.file(by("P-4", zanzibar, custom("review", "true")))
	if held.Status != deal.StatusEscalated || held.Hold != nil {
		t.Errorf("a hold, which is exclusive, beside them: %+v", held.Hold)
	}
	alone, _ := b.file(by("P-1", quixotic))
	fifth, d := b.file(by("P-2", quixotic, share))
	if alone.Status != deal.StatusProtected || fifth.Status != deal.StatusEscalated || d.ReasonCodes[0] != deal.ReasonGuard {
		t.Errorf("a shared one beside an exclusive one: %s %v", fifth.Status, d.ReasonCodes)
	}
	other, _ := b.file(by("P-5", deal.Customer{Name: "Kormoran Werft", Country: "DE", City: "Rostock"}, share))
	if other.Protection.Share == first.Protection.Share {
		t.Error("two customers share one name")
	}
	b.sound()
}

// Claims that a policy tells apart by a field are for different things, in the engine and in the database.
func TestPartsOfACustomer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish(deal.PolicyDocument, strings.Replace(careless, "timezone: UTC", "timezone: UTC\n  distinct_by: [custom.part]", 1))
	north, _ := b.file(by("P-1", zanzibar, custom("part", "North")))
	south, _ := b.file(by("P-2", zanzibar, custom("part", "South")))
	again, d := b.file(by("P-3", zanzibar, custom("part", " north ")))
	whole, dw := b.file(by("P-4", zanzibar))
	if north.Status != deal.StatusProtected || south.Status != deal.StatusProtected || again.Status != deal.StatusEscalated || whole.Status != deal.StatusEscalated {
		t.Errorf("%s, %s, %s %v, %s %v", north.Status, south.Status, again.Status, d.ReasonCodes, whole.Status, dw.ReasonCodes)
	}
	if c, ok := strongest(dw.Conflicts, deal.HeldByOther); !ok || !slices.Contains([]string{north.ID, south.ID}, c.With) {
		t.Errorf("one that names no part is for all of them: %+v", dw.Conflicts)
	}
	x, y := store.Elements(&north), store.Elements(&south)
	if len(x) != 1 || x[0] == y[0] || x[0].Customer != y[0].Customer || x[0].Site == store.Everything {
		t.Errorf("cells %+v, %+v", x, y)
	}
	sites := north
	p := *north.Protection
	p.Scope.Sites = []string{"a", "b"}
	sites.Protection = &p
	if x := store.Elements(&sites); len(x) != 2 || x[0].Site == "a" {
		t.Errorf("cells of sites in a part %+v", x)
	}
	b.sound()
}

// Who waits in line follows in the order the policy says.
func TestWaitlistOrder(t *testing.T) {
	t.Parallel()
	amount := func(n int64) func(*deal.Filing) {
		return func(f *deal.Filing) { f.Amount = deal.Money{Value: decimal.New(n, 0), Currency: "EUR"} }
	}
	proof := func(kind string) func(*deal.Filing) {
		return func(f *deal.Filing) {
			f.Evidence = nil
			if kind != "" {
				f.Evidence = []deal.Evidence{{Kind: kind}}
			}
		}
	}
	for _, c := range []struct {
		order string
		b, c  func(*deal.Filing)
		next  string
	}{
		{"", proof(""), proof("letter"), "P-2"},
		{"[submitted]", proof(""), proof("letter"), "P-2"},
		{"[letter]", proof(""), proof("letter"), "P-3"},
		{"[letter, submitted]", proof("letter"), proof("letter"), "P-2"},
		{"[meeting]", proof("email"), proof("meeting"), "P-3"},
		{"[amount]", amount(10), amount(20), "P-3"},
		{"[amount]", amount(20), amount(10), "P-2"},
		{"[tier]", proof(""), proof(""), "P-3"},
		{"[incumbent]", proof(""), proof(""), "P-3"},
		{"[custom.value]", custom("value", "1"), custom("value", "20"), "P-3"},
		{"[custom.value, submitted]", custom("value", "2"), custom("value", "2"), "P-2"},
		{"[letter, tier]", proof("letter"), proof(""), "P-2"},
	} {
		t.Run(fmt.Sprint(c.order, c.next), func(t *testing.T) {
			t.Parallel()
			acc := &deal.Account{ID: "ACC", Name: quixotic.Name, Country: "DE", City: "Kiel", PostalCode: "24103"}
			b := newBench(t, acc)
			won, _ := deal.ParseDate("2026-05-01")
			b.put(&deal.Partner{ID: "P-2", Name: "Partner 2", Type: "reseller", Tier: "silver", Status: "active"},
				&deal.Opportunity{ID: "O-1", AccountID: "ACC", Status: "won", LedBy: "partner", PartnerID: "P-3", LastActivityAt: won},
				&deal.Opportunity{ID: "O-0", AccountID: "ACC", Status: "won", LedBy: "partner", PartnerID: "P-9", CloseDate: deal.Date{Time: won.AddDate(0, 0, -9)}})
			doc := strings.NewReplacer("precedence:", "reasons: {}\nprecedence:", "rules:\n", "rules:\n  - {id: held, when: conflict.held_by_other.found, then: {outcome: route, disposition: waitlisted, reason: ALREADY_REGISTERED}}\n"+
				"  - {id: pending, when: conflict.pending_other.found, then: {outcome: route, disposition: waitlisted, of: pending_other, reason: PENDING_OTHER}}\n").Replace(careless)
			if c.order != "" {
				doc = strings.Replace(doc, "timezone: UTC", "timezone: UTC\n  waitlist: "+c.order, 1)
			}
			b.publish(deal.PolicyDocument, doc)
			holder, _ := b.file(by("P-1", quixotic))
			x, _ := b.file(by("P-2", quixotic, c.b))
			y, _ := b.file(by("P-3", quixotic, c.c))
			if holder.Status != deal.StatusProtected || x.Status != deal.StatusWaitlisted || y.Status != deal.StatusWaitlisted {
				t.Fatalf("%s, %s, %s", holder.Status, x.Status, y.Status)
			}
			b.clock.advance(40 * 24 * time.Hour)
			b.put(&deal.Partner{ID: "P-40", Name: "Partner 40", Type: "reseller", Status: "active"}) // any entry writes down what has ended
			for _, r := range []deal.Registration{x, y} {
				now, err := b.Store().Registration(t.Context(), r.ID)
				if err != nil {
					t.Fatal(err)
				}
				if (now.Status == deal.StatusProtected) != (now.Filing.PartnerID == c.next) {
					t.Errorf("%s is %s, next is %s", now.Filing.PartnerID, now.Status, c.next)
				}
			}
			b.sound()
		})
	}
}

// A referral names the partner it goes to; staff read it, the partner does not.
func TestReferredToAPartner(t *testing.T) {
	t.Parallel()
	b := newBench(t, &deal.Account{ID: "ACC", Name: quixotic.Name, Country: "DE", City: "Kiel", PostalCode: "24103"})
	won, _ := deal.ParseDate("2026-05-01")
	b.put(&deal.Opportunity{ID: "O-1", AccountID: "ACC", Status: "won", LedBy: "partner", PartnerID: "P-7", LastActivityAt: won})
	b.publish(deal.PolicyDocument, careless)
	b.file(by("P-8", quixotic))
	for to, want := range map[string]string{"holder": "P-8", "incumbent": "P-7"} {
		r, d := b.file(by("P-1", quixotic, custom("to", to)))
		if d.Route == nil || d.Route.PartnerID != want {
			t.Errorf("%s: %+v", to, d.Route)
		}
		answer, err := canonical(AnswerFor(&r, &d, nil, start))
		if err != nil || strings.Contains(string(answer), want) {
			t.Errorf("%s: the partner reads %s", to, answer)
		}
	}
}
