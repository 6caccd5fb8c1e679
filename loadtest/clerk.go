package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// The clerk says what the default policy's right answers to a registration are, from the truth: who the customer is, what
// the vendor has on it, and which claims on it there are. It is written from the policy's text and shares nothing with
// internal/policy or internal/engine.

// answer is what was, or should be, decided.
type answer struct {
	Outcome, Disposition, Reason string
}

func (a answer) String() string {
	return strings.ReplaceAll(a.Outcome+" "+a.Disposition+" "+a.Reason, "  ", " ")
}

// partners is the answer as a partner reads it.
func (a answer) partners() string {
	return a.Outcome + "/" + a.Disposition + "/" + cmp.Or(shown[a.Reason], a.Reason)
}

const underReview = "UNDER_REVIEW"

// shown is what partners read in place of a reason that would tell them of others.
var shown = map[string]string{"PENDING_OTHER": "ALREADY_REGISTERED", "TERRITORY_DIRECT": "NAMED_ACCOUNT",
	"PARTIAL_OVERLAP": underReview, "POSSIBLE_DUPLICATE": underReview, "CUSTOMER_LETTER": underReview, "FAMILY_HELD": underReview, "DIRECT_UNCLEAR": underReview,
	"PARTNER_ENGAGED": underReview, "NAMED_POSSIBLE": underReview, "TERRITORY_PARTNER": underReview, "TERRITORY_OPEN": underReview, "EXISTING_CUSTOMER": underReview,
	"INCUMBENT": underReview, "TENDER": underReview, "COMPETING_OFFER": underReview, "STRATEGIC": underReview, "SUSPICIOUS_NAME": underReview, "OWN_USE": underReview, "DEGRADED": underReview,
	"NO_EXCHANGE_RATE": underReview}

// strength orders answers, the strongest first.
var strength = []string{"declined", "merged", "returned", "waitlisted", "co_sell", "referred", "route", "escalate", "protect"}

// claim is a registration that stands: it holds, or it waits.
type claim struct {
	id, partner string
	lines       []string
	holds       bool
	garbled     bool // filed under a name that may not be recognised
}

// seen is how a description was recognised.
type seen int

const (
	certainly seen = iota
	possibly
	overlooked
)

// The reasons for which a careful clerk may ask a person, when another customer reads like this one. That is never wrong, and
// how often it happens has a limit.
var cautions = []string{"POSSIBLE_DUPLICATE", "FAMILY_HELD", "PARTNER_ENGAGED", "DIRECT_UNCLEAR", "NAMED_POSSIBLE"}

// right returns the best answer, and all that are right, given the claims on the customer in the order they were filed.
//
// Best is what would be said by who recognises everything. Somebody who is not sure asks a person, which is right as well. Not
// to recognise the customer at all is right when nothing was there to be recognised: no claim, no named account, no open
// business. What would be said by somebody who is thrown by a name that has suffered much is given apart, as missed: it is
// not right, and has a limit.
func (v *vendor) right(f *filed, before []claim, at time.Time) (best answer, all, missed []answer) {
	before = distinct(f, before)
	accounts := []seen{overlooked}
	if f.org.account != nil {
		accounts = []seen{certainly, possibly}
		if !f.Exact && len(before) == 0 && !f.org.account.Named && len(v.business(f)) == 0 {
			accounts = append(accounts, overlooked)
		}
	}
	best = v.decide(f, before, sight{account: accounts[0], business: accounts[0]}, at)
	add := func(list *[]answer, before []claim, accounts []seen) {
		put := func(a answer) {
			if !slices.Contains(all, a) && !slices.Contains(*list, a) {
				*list = append(*list, a)
			}
		}
		for _, s := range sights(accounts, len(before)) {
			a := v.decide(f, before, s, at)
			put(a)
			if a.Outcome == string(deal.Protect) || a.Outcome == string(deal.Escalate) {
				for _, reason := range cautions {
					put(answer{string(deal.Escalate), "", reason})
				}
			}
		}
	}
	add(&all, before, accounts)
	if f.Garbled {
		add(&missed, nil, []seen{overlooked})
	}
	if clear := slices.DeleteFunc(slices.Clone(before), func(c claim) bool { return c.garbled }); len(clear) < len(before) {
		add(&missed, clear, accounts)
	}
	return best, all, missed
}

// sight is how everything was recognised that there is to recognise, and which of several claims of a kind is the strongest: the
// policy's facts are that one's, and claims that are all certain differ a little in how they read.
type sight struct {
	account, business, own, held, waiting seen
	strongest                             int
}

func sights(accounts []seen, claims int) (out []sight) {
	for _, account := range accounts {
		business := []seen{certainly, possibly} // it has a name of its own to be recognised by
		if account == overlooked {
			business = []seen{overlooked}
		}
		for _, b := range business {
			if claims == 0 {
				out = append(out, sight{account: account, business: b})
			}
			for strongest := range claims {
				for bits := range 8 {
					out = append(out, sight{account, b, seen(bits & 1), seen(bits >> 1 & 1), seen(bits >> 2), strongest})
				}
			}
		}
	}
	return out
}

// distinct leaves one of claims that make no difference to each other.
func distinct(f *filed, claims []claim) (out []claim) {
	for _, c := range claims {
		if !slices.ContainsFunc(out, func(o claim) bool {
			return (o.partner == f.Filing.PartnerID) == (c.partner == f.Filing.PartnerID) && o.holds == c.holds && o.garbled == c.garbled && slices.Equal(o.lines, c.lines)
		}) {
			out = append(out, c)
		}
	}
	return out
}

// claimsOf parts the claims that are for some of the same lines.
func claimsOf(f *filed, before []claim) (own, others []claim) {
	for _, c := range before {
		if _, meets := common(f.Filing.Lines(), c.lines); !meets {
			continue
		}
		if c.partner == f.Filing.PartnerID {
			own = append(own, c)
		} else {
			others = append(others, c)
		}
	}
	return own, others
}

// common returns the lines in both; none means all.
func common(a, b []string) (lines []string, meets bool) {
	if len(a) == 0 || len(b) == 0 {
		return append(slices.Clone(a), b...), true
	}
	for _, x := range a {
		if slices.Contains(b, x) {
			lines = append(lines, x)
		}
	}
	return lines, len(lines) > 0
}

// business is what the vendor's own pipeline has for the customer and lines.
func (v *vendor) business(f *filed) (out []*deal.Opportunity) {
	if f.org.account == nil {
		return nil
	}
	for _, o := range v.oppsOf[f.org.account.ID] {
		if _, meets := common(f.Filing.Lines(), o.Lines); meets && o.Status != "lost" {
			out = append(out, o)
		}
	}
	return out
}

// where is the territory of the customer, remembered with the filing: it is asked for many times.
func (v *vendor) where(f *filed, known bool, at time.Time) covered {
	i := 0
	if known {
		i = 1
	}
	if f.found[i].at != at {
		f.found[i].at, f.found[i].covered = at, v.plan.find(v.place(f, known, at))
	}
	return f.found[i].covered
}

// place is the customer as the plan is asked about it: what the vendor's record says, and what the filing adds.
func (v *vendor) place(f *filed, known bool, at time.Time) point {
	p := v.asFiled(&f.Filing, at)
	if a := f.org.account; known && a != nil {
		p.Account, p.Ancestors = a.ID, f.org.above
		p.Country, p.Region, p.Postcode = cmp.Or(a.Country, p.Country), cmp.Or(a.Region, p.Region), cmp.Or(a.PostalCode, p.Postcode)
		p.Industry = cmp.Or(a.Industry, p.Industry)
		if a.Employees > 0 {
			p.Employees = a.Employees
		}
	}
	return p
}

// decide goes through the rules in the order of the policy.
func (v *vendor) decide(f *filed, before []claim, s sight, at time.Time) answer {
	account := s.account
	own, others := claimsOf(f, before)
	g := &f.Filing
	p := v.byPartner[g.PartnerID]
	lines := g.Lines()
	amount, known := v.inEuros(g.Amount)
	var found []answer
	route := func(disposition, reason string) { found = append(found, answer{"route", disposition, reason}) }
	person := func(reason string) { found = append(found, answer{"escalate", "", reason}) }

	// What is missing.
	if g.Customer.Country == "" || g.Amount.IsZero() || g.Tender.IsTender && g.Tender.Number == "" {
		route("returned", "INCOMPLETE")
	}
	// The partner.
	if p.Status != "active" {
		route("declined", "PARTNER_INACTIVE")
	}
	if !p.AgreementSignedAt.IsZero() && p.AgreementSignedAt.After(at) {
		route("declined", "AGREEMENT_MISSING")
	}
	if p.CreditHold {
		route("declined", "CREDIT_HOLD")
	}
	elsewhere := len(p.Countries) > 0 && g.Customer.Country != "" && !slices.Contains(p.Countries, g.Customer.Country)
	if elsewhere || len(p.Lines) > 0 && slices.ContainsFunc(lines, func(l string) bool { return !slices.Contains(p.Lines, l) }) {
		route("declined", "NOT_AUTHORISED")
	}
	if d := v.byPartner[g.DistributorID]; g.DistributorID != "" && (d == nil || d.Status != "active" || p.DistributorID != "" && p.DistributorID != d.ID) {
		route("returned", "INCOMPLETE")
	}

	// Claims. Of several of a kind the strongest speaks.
	letter := slices.ContainsFunc(g.Evidence, func(e deal.Evidence) bool { return e.Kind == "letter" })
	against := func(list []claim, all, part func()) {
		if len(list) == 0 {
			return
		}
		shared, _ := common(lines, list[s.strongest%len(list)].lines)
		whole := len(lines) == 0 && len(shared) == 0 || len(lines) > 0 && !slices.ContainsFunc(lines, func(l string) bool { return !slices.Contains(shared, l) })
		if whole {
			all()
		} else {
			part()
		}
	}
	partly := func() { person("PARTIAL_OVERLAP") }
	var held, waiting []claim
	for _, c := range others {
		if c.holds {
			held = append(held, c)
		} else {
			waiting = append(waiting, c)
		}
	}
	if s.own == certainly {
		against(own, func() { route("merged", "ALREADY_YOURS") }, partly)
	}
	in := func(reason string) func() {
		return func() {
			if !letter {
				route("waitlisted", reason)
			}
		}
	}
	sure := false // of anybody's claim
	if s.held == certainly {
		against(held, in("ALREADY_REGISTERED"), partly)
		sure = len(held) > 0
	}
	if s.waiting == certainly {
		against(waiting, in("PENDING_OTHER"), partly)
		sure = sure || len(waiting) > 0
	}
	if letter && sure {
		person("CUSTOMER_LETTER")
	}
	if s.held == possibly && len(held) > 0 || s.waiting == possibly && len(waiting) > 0 || s.own == possibly && len(own) > 0 {
		person("POSSIBLE_DUPLICATE")
	}

	// The vendor's own business and accounts.
	business := v.business(f)
	engaged := func(what func(o *deal.Opportunity)) {
		for _, o := range business {
			if s.business != overlooked {
				what(o)
			}
		}
	}
	engaged(func(o *deal.Opportunity) {
		if o.Status == "open" && o.LedBy == "partner" && o.PartnerID != g.PartnerID {
			person("PARTNER_ENGAGED")
		}
	})
	engaged(func(o *deal.Opportunity) {
		if o.Status == "open" && o.LedBy == "direct" {
			if idle := at.Sub(o.LastActivityAt.Time).Hours() / 24; s.business == certainly && idle < 91 {
				route("co_sell", "DIRECT_ENGAGED")
			} else {
				person("DIRECT_UNCLEAR")
			}
		}
	})
	is := &deal.Account{}
	if account != overlooked {
		is = f.org.account
	}
	switch {
	case is.Named && account == certainly:
		route("referred", "NAMED_ACCOUNT")
	case is.Named:
		person("NAMED_POSSIBLE")
	}

	// The territory.
	where := v.where(f, account == certainly, at)
	if where.Coverage == "direct" {
		route("referred", "TERRITORY_DIRECT")
	}
	if where.Partner != "" && where.Partner != g.PartnerID {
		person("TERRITORY_PARTNER")
	}
	if where.Status != "resolved" {
		person("TERRITORY_OPEN")
	}

	// The customer and the deal.
	if is.Status == "customer" && account == certainly {
		person("EXISTING_CUSTOMER")
	}
	engaged(func(o *deal.Opportunity) {
		if o.Status == "won" && o.PartnerID != "" && o.PartnerID != g.PartnerID && s.business == certainly {
			person("INCUMBENT")
		}
	})
	if f.Kind == "mixed scripts" {
		person("SUSPICIOUS_NAME")
	}
	if g.Tender.IsTender && !g.Tender.PublishedAt.IsZero() && g.Tender.PublishedAt.Before(at) {
		person("TENDER")
	}
	if len(g.Competing) > 0 {
		person("COMPETING_OFFER")
	}
	if known && amount >= 250_000 {
		person("STRATEGIC")
	}
	if !known && !g.Amount.IsZero() {
		person("NO_EXCHANGE_RATE")
	}
	found = append(found, answer{"protect", "", "PROTECTED"})
	return slices.MinFunc(found, func(a, b answer) int {
		return cmp.Compare(slices.Index(strength, cmp.Or(a.Disposition, a.Outcome)), slices.Index(strength, cmp.Or(b.Disposition, b.Outcome)))
	})
}
