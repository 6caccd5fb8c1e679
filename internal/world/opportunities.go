package world

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Stages are the sales stages of open opportunities, the earliest first: those of the default policy.
var Stages = []string{"prospecting", "qualification", "proposal", "negotiation"}

// oneInOpen accounts has an open opportunity.
const oneInOpen = 20

// Opportunities yields the vendor's pipeline as of now: some 3,000 open opportunities, led by the direct team or by a
// partner who may sell there, what customers bought (by which partner: the incumbent) and what was lost. Dates are
// relative to now, so the demo is as fresh in three years as today; everything else is the same whatever now is.
func Opportunities(now time.Time) iter.Seq[*deal.Opportunity] {
	today := now.UTC().Truncate(24 * time.Hour)
	sellers := sellersByCountry()
	return func(yield func(*deal.Opportunity) bool) {
		n := 0
		next := func() string { n++; return fmt.Sprintf("OPP-%05d", n) }
		for a := range Accounts() {
			if a.Country == "DE" && (a.Name == cleanName || a.Name == directName || a.Name == namedName) {
				if a.Name == directName && !yield(directOpportunity(next(), a, today)) {
					return
				}
				continue // what the examples are about has no other history
			}
			d := hash("opportunity", a.ID)
			open := d.one(oneInOpen, 1) || a.Named && d.n(3, 1) > 0
			if a.Status == "customer" {
				o := opportunity(next(), a, d, today, sellers)
				o.Status, o.Stage = "won", "won"
				o.CreatedAt, o.CloseDate = days(today, -200-d.n(700, 20)), days(today, -30-d.n(150, 21))
				o.LastActivityAt = o.CloseDate
				if !yield(o) {
					return
				}
			}
			if open && a.Status != "closed" {
				if !yield(opportunity(next(), a, d, today, sellers)) {
					return
				}
			}
			if d.one(130, 2) {
				o := opportunity(next(), a, d, today, sellers)
				o.Status, o.Stage = "lost", "lost"
				o.CreatedAt, o.CloseDate = days(today, -260-d.n(300, 22)), days(today, -20-d.n(230, 23))
				o.LastActivityAt = o.CloseDate
				if !yield(o) {
					return
				}
			}
		}
	}
}

// opportunity makes an open opportunity on the account.
func opportunity(id string, a *deal.Account, d draw, today time.Time, sellers map[string][]*deal.Partner) *deal.Opportunity {
	lines := []string{pick(d, Lines, 3)}
	if second := pick(d, Lines, 4); d.n(3, 5) == 0 && second != lines[0] {
		lines = append(lines, second)
	}
	created := 5 + d.n(280, 6)
	o := &deal.Opportunity{
		ID: id, AccountID: a.ID, AccountName: a.Name, Name: a.Name + ": " + strings.Join(lines, " and "),
		Stage: pick(d, Stages, 7), Status: "open", LedBy: "direct", Owner: a.Owner, Lines: lines,
		Amount:    amount(a, d),
		CreatedAt: days(today, -created), LastActivityAt: days(today, -d.n(min(created, 1+d.n(200, 8)), 9)), CloseDate: days(today, 10+d.n(230, 10)),
	}
	if list := sellers[a.Country]; !a.Named && len(list) > 0 && d.n(5, 11) < 2 {
		p := pick(d, list, 12)
		if p.SellsFor(a.Country, lines) {
			o.LedBy, o.PartnerID, o.Owner = "partner", p.ID, ""
		}
	}
	return o
}

func directOpportunity(id string, a *deal.Account, today time.Time) *deal.Opportunity {
	return &deal.Opportunity{
		ID: id, AccountID: a.ID, AccountName: a.Name, Name: a.Name + ": firewall", Stage: "negotiation", Status: "open", LedBy: "direct",
		Owner: a.Owner, Lines: []string{"firewall"}, Amount: deal.Money{Value: decimal.NewFromInt(180_000), Currency: "EUR"},
		CreatedAt: days(today, -70), LastActivityAt: days(today, -4), CloseDate: days(today, 45),
	}
}

// amount is of the order of the customer's size, in thousands; yen in hundred thousands.
func amount(a *deal.Account, d draw) deal.Money {
	thousands := int64(5 + d.n(60, 13))
	switch {
	case a.Employees >= 5000:
		thousands *= 15
	case a.Employees >= 1000:
		thousands *= 5
	case a.Employees >= 250:
		thousands *= 2
	}
	c := currencyOf(a.Country)
	if c == "JPY" {
		thousands *= 100
	}
	return deal.Money{Value: decimal.NewFromInt(thousands * 1000), Currency: c}
}

// sellersByCountry are the active partners of each country that sell to end customers.
func sellersByCountry() map[string][]*deal.Partner {
	out := map[string][]*deal.Partner{}
	for p := range Partners() {
		if p.Status != "active" || p.Type == "distributor" || p.AgreementSignedAt.IsZero() {
			continue
		}
		for _, c := range p.Countries {
			out[c] = append(out[c], p)
		}
	}
	return out
}

func days(today time.Time, n int) deal.Date { return deal.Date{Time: today.AddDate(0, 0, n)} }
