package desk

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// registrationsView is the list of registrations.
type registrationsView struct {
	rows     []registrationRow
	statuses []choice
	partner  string
	customer string      // a part of the name
	kept     [][2]string // the other filters: names and values
	next     string
	filtered bool
}

type registrationRow struct {
	href, number, customer, place, partner, amount, lines, status, tone string
	received, until                                                     instant
}

func registrationsPage(v *visit) (view, error) {
	q := v.r.URL.Query()
	f := store.RegistrationFilter{Status: deal.Status(q.Get("status")), PartnerID: q.Get("partner_id"), AccountID: q.Get("account_id"), CustomerName: strings.TrimSpace(q.Get("customer_name")), AsOf: v.now,
		Page: store.Page{After: q.Get("after"), Limit: rowsPerPage + 1, Backwards: true}}
	if f.Status != "" && !slices.Contains(deal.Statuses, f.Status) {
		return view{}, badRequest("there is no such status")
	}
	rs, err := v.store().Registrations(v.ctx(), f)
	if err != nil {
		return view{}, err
	}
	out := registrationsView{partner: v.partner(f.PartnerID), customer: f.CustomerName}
	given := url.Values{}
	for _, k := range []string{"status", "partner_id", "account_id", "customer_name"} {
		if x := q.Get(k); x != "" {
			given.Set(k, x)
			if k != "customer_name" {
				out.kept = append(out.kept, [2]string{k, x})
			}
		}
	}
	out.filtered = len(given) > 0
	to := func(name, value string) string {
		u := maps.Clone(given)
		if u.Del(name); value != "" {
			u.Set(name, value)
		}
		return pathWith(Root+"/registrations", u)
	}
	out.statuses = append(out.statuses, choice{name: "All", href: to("status", ""), current: f.Status == ""})
	for _, s := range deal.Statuses {
		if s != deal.StatusReceived { // it is decided before anybody sees it
			out.statuses = append(out.statuses, choice{name: title(words(string(s))), href: to("status", string(s)), current: f.Status == s})
		}
	}
	if len(rs) > rowsPerPage {
		rs = rs[:rowsPerPage]
		out.next = to("after", rs[len(rs)-1].ID)
	}
	for i := range rs {
		row := v.registrationRow(&rs[i])
		if rs[i].Status == deal.StatusRouted {
			_, d, _, err := v.d.engine.Registration(v.ctx(), rs[i].ID)
			if err != nil {
				return view{}, err
			}
			row.status = statusWords(&rs[i], &d)
		}
		out.rows = append(out.rows, row)
	}
	return view{title: "Registrations", nav: "Registrations", body: registrationsBody(out)}, nil
}

// statusWords is the status of a registration, of a routed one with what became of it.
func statusWords(r *deal.Registration, d *deal.Decision) string {
	s := words(string(r.Status))
	if r.Status == deal.StatusRouted && d.Route != nil {
		s += ": " + strings.ReplaceAll(string(d.Route.Disposition), "_", "-")
	}
	return s
}

func (v *visit) registrationRow(r *deal.Registration) registrationRow {
	status := r.StatusAt(v.now)
	row := registrationRow{href: Root + "/registrations/" + r.ID, number: r.Number, customer: r.Filing.Customer.Name, place: place(&r.Filing.Customer), partner: v.partner(r.Filing.PartnerID),
		amount: money(r.Filing.Amount), lines: lines(v.claimed(r)), status: words(string(status)), tone: tone(status), received: v.at(r.ReceivedAt)}
	if p := r.Protection; p != nil {
		row.until = v.lastDay(p.EndsAt)
	}
	return row
}

// registrationView is the page of one registration.
type registrationView struct {
	r           deal.Registration
	status      string
	tone        string
	partner     string
	distributor string
	amount      string
	received    instant
	from, until instant
	held        bool
	lines       string // that it is for now
	account     string // whom it was resolved to, with its page
	accountHref string
	resolution  string
	caseHref    string
	caseStatus  string
	told        string // what the partner reads
	decisions   []decisionView
	claims      []claimRow
	timeline    []eventLine
	filed       []fact
	words       []filedWords
	terms       []fact
	moves       *moves // nil: nothing can be done, or this key only reads
}

type decisionView struct {
	d         deal.Decision
	at        instant
	outcome   string
	rules     ruleList
	territory territoryView
	evidence  []comparison
	current   bool
	said      string // why, for staff
}

func registrationPage(v *visit) (view, error) { return v.showRegistration(attempt{}) }

// showRegistration is the page of a registration; with an attempt, after something that was tried on it and did not come to be.
func (v *visit) showRegistration(a attempt) (view, error) {
	ctx := v.ctx()
	r, d, file, err := v.d.engine.Registration(ctx, v.r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	out := registrationView{r: r, status: words(string(r.Status)), tone: tone(r.Status), partner: v.partner(r.Filing.PartnerID), distributor: v.partner(r.Filing.DistributorID),
		amount: money(r.Filing.Amount), received: v.at(r.ReceivedAt), told: d.Texts.Partner, lines: lines(v.claimed(&r)), filed: v.filed(&r, &d), words: v.filedWords(&r)}
	out.status = statusWords(&r, &d)
	if p := cmp.Or(r.Protection, r.Hold); p != nil {
		out.from, out.until, out.held = v.at(p.StartsAt), v.lastDay(p.EndsAt), r.HoldsAt(v.now)
	}
	out.resolution = percent(d.Resolution.Probability)
	if id := r.CustomerRef.AccountID; id != "" {
		out.account, out.accountHref = v.name(deal.Accounts, id), Root+"/accounts/"+id
	}
	if file != nil {
		out.caseHref, out.caseStatus = Root+"/cases/"+file.ID, file.Status
	}
	if t := d.Terms; t != nil {
		out.terms = terms(t)
	}
	for _, b := range d.Benefits {
		out.terms = append(out.terms, fact{title(words(b.Name)), b.Value})
	}
	due, err := v.due(&r, &d)
	if err != nil {
		return view{}, err
	}
	out.terms = append(out.terms, due...)
	all, err := v.d.engine.Decisions(ctx, r.ID)
	if err != nil {
		return view{}, err
	}
	subjects := []string{r.ID}
	if r.CaseID != "" {
		subjects = append(subjects, r.CaseID)
	}
	events, err := v.d.engine.Timeline(ctx, subjects)
	if err != nil {
		return view{}, err
	}
	out.timeline = v.timeline(events, nil)
	for i := len(all) - 1; i >= 0; i-- {
		x := decisionView{d: all[i], at: v.at(all[i].At), outcome: title(outcome(&all[i])), rules: v.rules(&all[i]), territory: v.territory(all[i].Territory, all[i].Plan), current: all[i].ID == d.ID}
		if x.current {
			if x.evidence, err = v.comparisons(&r, &all[i]); err != nil {
				return view{}, err
			}
		}
		x.said = x.d.Texts.Internal
		if rl := x.d.Ruling; rl != nil {
			x.outcome, x.said = title(ruled(rl)), "Decided in place of the rules."
			for k := range events {
				if h := &events[k]; h.Decision != nil && h.Decision.ID == x.d.ID {
					x.said = "Decided by " + v.doer(h.By) + ", in place of the rules: " + cmp.Or(h.Text, words(rl.Cause))
				}
			}
		}
		out.decisions = append(out.decisions, x)
	}
	if out.claims, err = v.claimsAround(&r, &d); err != nil {
		return view{}, err
	}
	out.moves = v.moves(&r, d.Terms, out.claims, a)
	return view{status: a.status, title: r.Filing.Customer.Name + ", " + r.Number, nav: "Registrations", body: registrationBody(out)}, nil
}

// due says what is waited for, what has come of it, and into what the registration was merged.
func (v *visit) due(r *deal.Registration, d *deal.Decision) (out []fact, err error) {
	switch {
	case r.Status == deal.StatusReturned && !r.AnswerBy.IsZero():
		out = append(out, fact{"To be completed by", v.at(r.AnswerBy).text + map[string]string{"escalate": ", else people look at it"}[r.OnSilence]})
	case r.Status == deal.StatusConditional && d.Terms.Offered() != nil:
		out = append(out, fact{"To be accepted by", v.at(r.Protection.EndsAt).text + ", else who is next in line gets it"})
	}
	for _, f := range r.Fulfil {
		text := "not there"
		if !f.MetAt.IsZero() {
			text = "there since " + v.day(f.MetAt).text
		}
		out = append(out, fact{title(words(f.Need)), text})
	}
	if earned := r.Earned(); earned != nil && (r.Status == deal.StatusWon || r.Status == deal.StatusExpired) {
		out = append(out, fact{"Benefits", map[bool]string{true: "earned", false: "not earned"}[*earned]})
	}
	for _, id := range v.d.engine.StandsFor(r.ID) {
		if out, err = v.joined(out, "Stands also for", id); err != nil {
			return out, err
		}
	}
	if r.Status != deal.StatusMerged {
		return out, nil
	}
	into := r.Into
	if into == "" { // merged before registrations said into what
		m, err := v.d.engine.LastMove(v.ctx(), r)
		if err != nil || m == nil || m.Into == "" {
			return out, err
		}
		into = m.Into
	}
	return v.joined(out, "Merged into", into)
}

// joined adds what says of another registration, by its number and whose it is.
func (v *visit) joined(out []fact, what, id string) ([]fact, error) {
	r, err := v.store().Registration(v.ctx(), id)
	return append(out, fact{what, r.Number + " of " + v.partner(r.Filing.PartnerID)}), err
}

// terms says what a protection promises.
func terms(t *deal.Terms) []fact {
	var out []fact
	switch {
	case t.Months > 0:
		out = append(out, fact{"Window", count(t.Months, "month", "months") + " from " + words(t.Anchor)})
	case t.Days > 0:
		out = append(out, fact{"Window", count(t.Days, "day", "days") + " from " + words(t.Anchor)})
	}
	if !t.Exclusive {
		out = append(out, fact{"Shared", "others may hold it too"})
	}
	if x := t.Extensions; x != nil {
		by := count(x.Days, "day", "days")
		if x.Months > 0 {
			by = count(x.Months, "month", "months")
		} else if x.Days == 0 {
			by = "the same length"
		}
		text := count(x.Max, "extension", "extensions") + " of " + by
		if x.Needs != "" {
			text += ", needs " + words(x.Needs)
		}
		out = append(out, fact{"Extensions", text})
	}
	for _, m := range t.Milestones {
		out = append(out, fact{"Within " + count(m.Days, "day", "days"), words(m.Need)})
	}
	if c := t.Condition; c != nil {
		when := map[string]string{deal.WhenPromoted: ", as the line moved up to it"}[c.When]
		out = append(out, fact{"Conditional on", words(c.Need) + " within " + count(c.Days, "day", "days") + when})
	}
	if len(t.Fulfil) > 0 {
		out = append(out, fact{"Before it ends", words(strings.Join(t.Fulfil, ", "))})
	}
	if t.Dwell != "" {
		out = append(out, fact{"Least time to a win", t.Dwell})
	}
	return out
}
