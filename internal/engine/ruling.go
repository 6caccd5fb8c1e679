package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/policy"
	"github.com/dibs-deals/dibs/internal/store"
)

// rulingRule is the name under which a ruling stands in a trace.
const rulingRule = "ruling"

// rule answers a registration as was ruled, on the facts of now: pure, like decide, whose place it takes. What the rules would
// have said stays in the trace. Errors: deal.ErrNotPossible when the world does not allow it, deal.FieldErrors.
func rule(v *view, r *deal.Registration, m matches, ruling deal.Ruling, now time.Time) (deal.Decision, error) {
	r.Limit = ruling.Limit
	d, facts := examine(v, r, m, now)
	said := v.policy.Decide(facts, now)
	verdict := policy.Verdict{Rule: rulingRule, Needs: ruling.Needs, Trace: said.Trace}
	for i := range verdict.Trace {
		if t := &verdict.Trace[i]; t.Result == policy.Decided {
			t.Result, t.By = policy.Overridden, rulingRule
		}
	}
	verdict.Trace = append(verdict.Trace, deal.RuleTrace{Rule: rulingRule, Result: policy.Decided, By: cmp.Or(ruling.Cause, "people"), Detail: ruling.String()})
	if !v.policy.Say(&verdict, ruling.ReasonCode, ruling.Usual(), facts) {
		return d, deal.FieldErrors{{Field: "reason_code", Detail: fmt.Sprintf("%q is not in the policy's catalogue: %s", ruling.ReasonCode, strings.Join(v.policy.Reasons(), ", "))}}
	}
	switch ruling.Resolution {
	case deal.ResolveProtect, deal.ResolveSplit:
		verdict.Outcome, verdict.Terms, verdict.Benefits = deal.Protect, new(ruling.Grant.Terms), ruling.Grant.Benefits
		if held := inTheWay(v, r, &d, verdict.Terms.Exclusive, now); len(held) > 0 {
			return d, fmt.Errorf("%w: what would be granted is held: %s; grant a part of it, route it, or end what stands in the way", deal.ErrNotPossible, v.describe(held))
		}
	case deal.ResolveEscalate:
		verdict.Outcome, verdict.Case = deal.Escalate, new(v.policy.Review())
	default:
		if t := ruling.Return; t != nil {
			verdict.KeepsPlace, verdict.AnswerWithin, verdict.OnSilence = t.KeepsPlace, t.Within, t.OnSilence
		}
		verdict.Outcome, verdict.Disposition, verdict.To, verdict.Queue, verdict.Of = deal.RouteTo, ruling.Disposition, ruling.To, ruling.Queue, ""
		if ruling.Disposition == deal.CoSell && ruling.PersonID == "" && ruling.PartnerID == "" {
			verdict.OwnerOf = "opportunity"
		}
	}
	if ahead := v.claims[ruling.Of]; ruling.Disposition == deal.Waitlisted && ahead != nil && mayBe(&d, ahead.ID) {
		d.Resolution.Ref, d.Resolution.NewProspect = ahead.CustomerRef, false // whoever rules so says that it is one customer
	}
	d.Ruling = &ruling
	conclude(v, r, &d, verdict, now)
	if d.Route == nil {
		return d, nil
	}
	if ruling.PersonID != "" {
		d.Route.Person = ruling.PersonID
	}
	if ruling.PartnerID != "" {
		d.Route.PartnerID = ruling.PartnerID
	}
	switch ruling.Disposition {
	case deal.Waitlisted:
		of := ruling.Of
		for _, id := range v.claimsOn(r.CustomerRef.Key()) {
			if c := v.claims[id]; of == "" && id != r.ID && c.HoldsAt(now) {
				of = id
			}
		}
		ahead := v.claims[of]
		if ahead == nil || of == r.ID || !v.oneCustomer(ahead.CustomerRef, r.CustomerRef) && !slices.Contains(r.Behind, ahead.CustomerRef.Key()) || !ahead.HoldsAt(now) && (!ahead.ClaimAt(now) || ahead.Place() > r.Place()) {
			return d, deal.FieldErrors{{Field: "of", Detail: "no claim on this customer that holds, or was filed before, is there to wait behind: nobody would ever move it up"}}
		}
		d.Route.Of, d.Route.Place = of, v.waiting(of, now)+1
	case deal.Merged:
		into := v.claims[ruling.Of]
		if into == nil || into.ID == r.ID || into.Filing.PartnerID != r.Filing.PartnerID {
			return d, deal.FieldErrors{{Field: "of", Detail: fmt.Sprintf("%q is not another live registration of the same partner", ruling.Of)}}
		}
		d.Route.Of = ruling.Of
	}
	return d, nil
}

// mayBe reports whether the claim is one that the registration is likely enough to be about the same customer as.
func mayBe(d *deal.Decision, claim string) bool {
	return slices.ContainsFunc(d.Conflicts, func(c deal.Conflict) bool {
		return c.With == claim && (c.Kind == deal.HeldByOther || c.Kind == deal.PendingOther)
	})
}

// describe names claims for staff: what they hold, of whom, and until when.
func (v *view) describe(ids []string) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		c := v.claims[id]
		w := holdingWindow(c)
		lines := "every product line"
		if len(w.Scope.Lines) > 0 {
			lines = strings.Join(w.Scope.Lines, ", ")
		}
		parts[i] = fmt.Sprintf("%s (%s) of partner %s is %s for %s from %s until %s", id, c.Number, c.Filing.PartnerID, c.Status, lines,
			w.StartsAt.Format(time.RFC3339), w.EndsAt.Format(time.RFC3339))
	}
	return strings.Join(parts, "; ")
}

// completed completes a ruling with what it grants: what the case's terms say, for as long as the ruling says; or with how long there is
// to complete what it returns.
func completed(v *view, k *deal.Case, ruling deal.Ruling) (deal.Ruling, error) {
	if ruling.Disposition == deal.Returned {
		if back := v.policy.Returning(); back != (deal.Returning{}) {
			ruling.Return = &back
		}
	}
	if ruling.Resolution != deal.ResolveProtect && ruling.Resolution != deal.ResolveSplit {
		return ruling, nil
	}
	g := deal.Grant{Terms: deal.Terms{Anchor: "approval", Exclusive: true}}
	switch {
	case k.Terms.Grant != nil:
		g = *k.Terms.Grant
	case v.policy.Review().Grant != nil:
		g = *v.policy.Review().Grant
	case ruling.Days == 0:
		return ruling, deal.FieldErrors{{Field: "days", Detail: "the policy does not say what a grant gives; say for how many days it protects"}}
	}
	if ruling.Days > 0 {
		g.Terms.Days, g.Terms.Months = ruling.Days, 0
	}
	ruling.Grant = &g
	return ruling, nil
}

// limited turns the lines and sites of a split scope into those of the registration, and reports what it does not name.
func limited(r *deal.Registration, ruling *deal.Ruling) error {
	if ruling.Limit == nil {
		return nil
	}
	var e deal.FieldErrors
	out := deal.ScopeLimit{}
	filed := r.Filing.Lines()
	for i, l := range ruling.Limit.Lines {
		at := slices.IndexFunc(filed, func(f string) bool { return deal.Fold(f) == deal.Fold(l) })
		switch {
		case at >= 0:
			out.Lines = append(out.Lines, filed[at])
		case len(filed) == 0: // it was filed for every line
			out.Lines = append(out.Lines, l)
		default:
			e.Add(fmt.Sprintf("lines[%d]", i), "%q is not one of %s", l, strings.Join(filed, ", "))
		}
	}
	for i, s := range ruling.Limit.Sites {
		at := slices.IndexFunc(r.Filing.Sites, func(f deal.Site) bool { return f.Key() == s || deal.Fold(f.Label()) == deal.Fold(s) })
		if at < 0 {
			labels := make([]string, len(r.Filing.Sites))
			for j, f := range r.Filing.Sites {
				labels[j] = f.Label()
			}
			e.Add(fmt.Sprintf("sites[%d]", i), "%q is not one of the registration's sites: %s", s, strings.Join(labels, ", "))
			continue
		}
		out.Sites = append(out.Sites, r.Filing.Sites[at].Key())
	}
	ruling.Limit = &out
	return e.Err()
}

// ruled makes the entry of a ruling on a registration of the case; without a case (nil), on one that has none to be decided. m says
// by what it came about, and in which words.
func (e *Engine) ruled(k *deal.Case, ruling deal.Ruling, m *deal.Move, by deal.Actor, now time.Time) (addition, error) {
	v := e.view
	claim := v.runs(ruling.RegistrationID)
	if claim == nil {
		return addition{}, fmt.Errorf("%w: registration %s is over", deal.ErrNotPossible, ruling.RegistrationID)
	}
	r := *claim
	m.From, m.Policy = r.Status, v.policy.Ref()
	if k != nil {
		var err error
		if ruling, err = completed(v, k, ruling); err != nil {
			return addition{}, err
		}
	}
	was := r.CustomerRef.Key()
	paused := v.paused(&r, now)
	if r.Status == deal.StatusReturned && !r.KeepsPlace {
		r.PlaceAt = v.head.Seq + 1
	}
	r.Extensions, r.EndedAt, r.AnswerBy, r.Review = 0, time.Time{}, time.Time{}, nil
	r.DecisionID, r.Version, r.Status = deal.NewID(deal.DecisionID), v.head.Seq+1, deal.StatusReceived
	d, err := rule(v, &r, search(v, ask(v, &r)), ruling, now)
	if err != nil {
		return addition{}, err
	}
	if of := v.owns(by.PersonID, d.Conflicts); of != "" {
		return addition{}, recused(by.PersonID, of)
	}
	d.Sequence, m.To = r.Version, r.Status
	if !slices.Contains(m.From.After(m.Event), m.To) {
		return addition{}, fmt.Errorf("%w: %s cannot make of a registration that is %s one that is %s", deal.ErrNotPossible, m.Event, m.From, m.To)
	}
	if r.Status == deal.StatusReturned {
		r.Review = paused
	}
	a := addition{
		entry:  store.Entry{Kind: deal.EntryResolved, Subject: r.ID},
		change: &deal.Change{Decision: &d, Move: m},
	}
	if deal.EventRules[m.Event].Promotes {
		a.frees = was
	}
	if err := v.resolved(&a, k, &r, by, now); err != nil {
		return addition{}, err
	}
	err = v.answered(&a, r, &d, now)
	return a, err
}

// owns returns what the person owns of what competes with a registration, or nothing.
func (v *view) owns(person string, cs []deal.Conflict) string {
	if person == "" {
		return ""
	}
	for _, c := range cs {
		switch c.Kind {
		case deal.DirectEngaged, deal.PartnerOpportunity:
			if o := v.opportunities[c.With]; o != nil && o.Owner == person {
				return "opportunity " + o.ID
			}
		case deal.NamedAccount:
			if a := v.account(c.With); a != nil && a.Owner == person {
				return "account " + a.ID
			}
		}
	}
	return ""
}

func recused(person, of string) error {
	return fmt.Errorf("%w: %s owns %s, which competes with this registration; somebody else decides it", deal.ErrForbidden, person, of)
}

// resolved adds to the addition that the case is resolved by what became of r; everybody else in it is decided again. Without a
// case, the one r has is.
func (v *view) resolved(a *addition, k *deal.Case, r *deal.Registration, by deal.Actor, now time.Time) error {
	if k == nil {
		return v.closed(a, r, by, now)
	}
	asked := *r
	asked.ID, asked.CaseID = k.RegistrationID, k.ID
	if err := v.closed(a, &asked, by, now); err != nil {
		return err
	}
	a.again = slices.DeleteFunc(k.Members(), func(id string) bool { return id == r.ID })
	return nil
}
