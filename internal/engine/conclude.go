package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/policy"
)

// conclude turns a verdict into the decision, and sets on r what follows from it.
func conclude(v *view, r *deal.Registration, d *deal.Decision, verdict policy.Verdict, now time.Time) {
	d.Outcome, d.ReasonCodes, d.PartnerCodes, d.Texts = verdict.Outcome, verdict.Reasons, verdict.PartnerReasons, verdict.Texts
	d.Trace, d.Benefits = verdict.Trace, verdict.Benefits
	if verdict.Appeal {
		d.Appeal = &deal.Appeal{Within: verdict.AppealWithin}
	}
	r.CustomerRef, r.Finding = d.Resolution.Ref, d.Resolution.Finding
	// The time of what this decision takes the place of: it gives no more, to complete what is still returned or to meet a condition.
	review, complete, meet := r.Review, r.AnswerBy, time.Time{}
	if r.OnSilence == "" {
		complete, meet = meet, complete
	}
	r.Protection, r.Hold, r.KeepsPlace, r.Behind, r.AnswerBy, r.OnSilence = nil, nil, false, nil, time.Time{}, ""
	if verdict.Outcome != deal.Protect {
		r.NotAfter, r.Milestones, r.Fulfil, r.Met = time.Time{}, nil, nil, ""
	}
	if verdict.Disposition != deal.Returned {
		r.Review = nil
	}
	r.Decided = deal.Money{}
	set := v.policy.Settings()
	scope := scopeOf(v, r, r.CustomerRef, set)
	zone := set.Timezone
	switch verdict.Outcome {
	case deal.Protect:
		r.Status = deal.StatusProtected
		r.Protection = &deal.Protection{Scope: scope, StartsAt: now, EndsAt: windowEnd(*verdict.Terms, r.ReceivedAt, now, r.Filing.ExpectedCloseDate, zone),
			Anchor: verdict.Terms.Anchor, Shared: !verdict.Terms.Exclusive}
		if r.NotAfter.After(now) && r.Protection.EndsAt.After(r.NotAfter) {
			r.Protection.EndsAt = r.NotAfter
		}
		if c := verdict.Terms.Condition; c != nil && c.When == deal.WhenPromoted && !r.Promoted {
			verdict.Terms.Condition = nil
		}
		if c := verdict.Terms.Condition; c != nil && r.Met != c.Need {
			r.Status = deal.StatusConditional
			if end := sooner(endOfDay(now, c.Days, zone), meet, now); end.Before(r.Protection.EndsAt) {
				r.Protection.EndsAt = end
			}
			r.AnswerBy = r.Protection.EndsAt
		}
		r.Milestones = milestones(r.Milestones, verdict.Terms.Milestones, now, zone)
		r.Fulfil = fulfilments(r.Fulfil, verdict.Terms.Fulfil)
		if r.Protection.Shared {
			r.Protection.Share = share(v, r, scope, now)
		}
		d.Protection, d.Terms = r.Protection, verdict.Terms
	case deal.RouteTo:
		d.Route = route(v, d, verdict, now)
		r.Status, r.KeepsPlace = statusOf(verdict.Disposition), verdict.KeepsPlace
		if by := after(set, now, verdict.AnswerWithin); r.Status == deal.StatusReturned && by.After(now) {
			r.AnswerBy, r.OnSilence = sooner(by, complete, now), cmp.Or(verdict.OnSilence, deal.OnSilenceDecline)
		}
		if r.Status == deal.StatusWaitlisted {
			r.Behind = behind(v, r, d.Conflicts)
		}
	case deal.Escalate:
		r.Status = deal.StatusEscalated
		d.Case = verdict.Case
		if d.DueAt = after(set, now, d.Case.Decide); !d.DueAt.IsZero() {
			if review != nil {
				d.DueAt = sooner(d.DueAt, review.DueAt, now)
			}
			r.Review = &deal.ReviewClock{DueAt: d.DueAt, Decide: d.Case.Decide}
		}
		if h := verdict.Case.Hold; h.Provisional && len(holders(v, r, scope, now, true)) == 0 {
			r.Hold = &deal.Protection{Scope: scope, StartsAt: now, EndsAt: endOfDay(now, h.Days, zone), Anchor: "submission"}
		}
	}
}

// sooner returns t, or before when that is sooner and still to come.
func sooner(t, before, now time.Time) time.Time {
	if before.After(now) && before.Before(t) {
		return before
	}
	return t
}

// fulfilments are those of a protection that begins now. What was there under a decision that this one takes the place of, is there.
func fulfilments(before []deal.Fulfilment, needs []string) (out []deal.Fulfilment) {
	for _, need := range needs {
		f := deal.Fulfilment{Need: need}
		for _, b := range before {
			if b.Need == need {
				f.MetAt = b.MetAt
			}
		}
		out = append(out, f)
	}
	return out
}

// behind returns the keys of the customers other than r's own whose claims are among the conflicts: when one of them ends, r's turn may have
// come.
func behind(v *view, r *deal.Registration, cs []deal.Conflict) (keys []string) {
	for _, c := range cs {
		if claim := v.claims[c.With]; claim != nil && claim.CustomerRef != r.CustomerRef && !slices.Contains(keys, claim.CustomerRef.Key()) {
			keys = append(keys, claim.CustomerRef.Key())
		}
	}
	slices.Sort(keys)
	return keys
}

// milestones are those of a protection that begins now. One that was met before, under a decision that this one takes the place of, is met.
func milestones(before []deal.Milestone, terms []deal.MilestoneTerms, now time.Time, zone *time.Location) (out []deal.Milestone) {
	for _, t := range terms {
		m := deal.Milestone{Need: t.Need, DueAt: endOfDay(now, t.Days, zone), OnMiss: t.OnMiss}
		for _, b := range before {
			if b.Need == m.Need {
				m.MetAt = b.MetAt
			}
		}
		out = append(out, m)
	}
	return out
}

func statusOf(d deal.Disposition) deal.Status {
	switch d {
	case deal.Waitlisted:
		return deal.StatusWaitlisted
	case deal.Merged:
		return deal.StatusMerged
	case deal.Returned:
		return deal.StatusReturned
	}
	return deal.StatusRouted
}

// guard is the promise of one holder, kept whatever the policy says: an exclusive protection is not granted over a
// live claim of the same customer and overlapping scope, nor a shared one over an exclusive one. The policy's author
// sees the case.
func guard(v *view, r *deal.Registration, d *deal.Decision, verdict policy.Verdict, now time.Time) policy.Verdict {
	if verdict.Outcome != deal.Protect {
		return verdict
	}
	held := inTheWay(v, r, d, verdict.Terms.Exclusive, now)
	if len(held) == 0 {
		return verdict
	}
	verdict.Trace = append(verdict.Trace, deal.RuleTrace{Rule: "one-holder", Result: "decided", Detail: fmt.Sprintf("the policy would protect what %v hold", held)})
	grant := &deal.Grant{Terms: *verdict.Terms, Benefits: verdict.Benefits, Rule: verdict.Rule}
	verdict.Outcome, verdict.Reasons, verdict.Terms = deal.Escalate, []string{deal.ReasonGuard}, nil
	verdict.PartnerReasons, verdict.Benefits, verdict.Appeal = []string{deal.ReasonUnderReview}, nil, false
	review := v.policy.Review() // its clocks; the policy is at fault, and a person who knows it decides
	review.Queue, review.Authority, review.OnSilence, review.Grant, review.Hold = "policy-desk", "", "escalate", grant, deal.HoldTerms{}
	verdict.Case = &review
	verdict.Texts = deal.Texts{Partner: "We are reviewing your registration. Your submission time is kept.",
		Internal: fmt.Sprintf("The policy grants a protection that %v already hold. Correct the policy, or decide by hand.", held)}
	return verdict
}

// inTheWay returns the registrations that hold what r would be granted.
func inTheWay(v *view, r *deal.Registration, d *deal.Decision, exclusive bool, now time.Time) []string {
	set := v.policy.Settings()
	held := holders(v, r, scopeOf(v, r, d.Resolution.Ref, set), now, exclusive)
	for _, c := range d.Conflicts {
		if c.Kind == deal.HeldByOther && (c.Probability >= set.Certain || c.Identifier != "") && !slices.Contains(held, c.With) &&
			(exclusive || !holdingWindow(v.claims[c.With]).Shared) {
			held = append(held, c.With)
		}
	}
	return held
}

// holders returns the registrations that hold any part of the scope at now, by the customer both were resolved to; those
// that share their protection only when shared is true.
func holders(v *view, r *deal.Registration, scope deal.Scope, now time.Time, shared bool) []string {
	return holdersOf(v, scope.Customer.Key(), r, scope, now, shared)
}

// holdersOf is holders of what a customer of another key holds.
func holdersOf(v *view, customer string, r *deal.Registration, scope deal.Scope, now time.Time, shared bool) []string {
	var out []string
	for _, id := range v.claimsOn(customer) {
		c := v.claims[id]
		if id == r.ID || !c.HoldsAt(now) {
			continue
		}
		if w := holdingWindow(c); (shared || !w.Shared) && scope.Overlap(w.Scope).Meets {
			out = append(out, id)
		}
	}
	return out
}

// share names the shared protection of the scope: the one there is, else a new one, after the registration that begins it.
func share(v *view, r *deal.Registration, scope deal.Scope, now time.Time) string {
	for _, id := range holders(v, r, scope, now, true) {
		if w := holdingWindow(v.claims[id]); w.Share != "" {
			return w.Share
		}
	}
	return "shr_" + strings.TrimPrefix(r.ID, deal.RegistrationID)
}

// lineOf returns the claims on the customer and those that wait for what it may be, by the policy's waitlist criteria, then by filing.
func (v *view) lineOf(customer string) []string {
	return inLine(v, v.around(customer))
}

// inLine orders those who wait for what the customer's holder had, by the policy's waitlist criteria, then by filing.
func inLine(v *view, ids []string) []string {
	out := slices.Clone(ids)
	slices.SortStableFunc(out, func(x, y string) int { return v.compareInLine(v.claims[x], v.claims[y]) })
	return out
}

// compareInLine is negative when a comes before b in the line for a customer, by the policy's criteria, then by filing.
func (v *view) compareInLine(a, b *deal.Registration) int {
	set := v.policy.Settings()
	has := func(r *deal.Registration, kind string) int {
		if slices.ContainsFunc(r.Filing.Evidence, func(e deal.Evidence) bool { return e.Kind == kind }) {
			return 0
		}
		return 1
	}
	for _, by := range set.Waitlist {
		var c int
		switch by {
		case "letter", "meeting":
			c = cmp.Compare(has(a, by), has(b, by))
		case "tier":
			c = cmp.Compare(tierRank(v, b, set), tierRank(v, a, set))
		case "amount":
			p, _ := v.convert(v.total(&a.Filing, a.ReceivedAt), set.Currency, a.ReceivedAt)
			q, _ := v.convert(v.total(&b.Filing, b.ReceivedAt), set.Currency, b.ReceivedAt)
			c = cmp.Compare(q, p)
		case "incumbent":
			last := v.incumbent(a.CustomerRef.AccountID)
			self := func(r *deal.Registration) int {
				if last != nil && last.PartnerID == r.Filing.PartnerID {
					return 0
				}
				return 1
			}
			c = cmp.Compare(self(a), self(b))
		case "submitted":
			c = cmp.Compare(a.Place(), b.Place())
		default:
			field := strings.TrimPrefix(by, "custom.")
			c = cmp.Compare(set.Weight(field, b.Filing.Custom[field]), set.Weight(field, a.Filing.Custom[field]))
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(a.Place(), b.Place())
}

func tierRank(v *view, r *deal.Registration, set policy.Settings) int {
	p := v.partners[r.Filing.PartnerID]
	if p == nil {
		return 0
	}
	_, rank := set.Tier(p.Tier)
	return rank
}

// incumbent returns the last business the account did through a partner, or nil.
func (v *view) incumbent(account string) *deal.Opportunity {
	var last *deal.Opportunity
	for _, id := range v.oppsOf[account] {
		o := v.opportunities[id]
		if o.Status == "won" && o.PartnerID != "" && (last == nil || wonAt(o).After(wonAt(last))) {
			last = o
		}
	}
	return last
}

// wonAt returns the day of the last activity on won business, else of its close.
func wonAt(o *deal.Opportunity) time.Time { return cmp.Or(o.LastActivityAt.Time, o.CloseDate.Time) }

// route fills in whom and what a verdict's target stands for.
func route(v *view, d *deal.Decision, verdict policy.Verdict, now time.Time) *deal.Route {
	t := &deal.Route{To: verdict.To, Disposition: verdict.Disposition, Queue: verdict.Queue, Needs: verdict.Needs, Resubmit: verdict.Resubmit, FindersFee: verdict.FindersFee,
		KeepsPlace: verdict.KeepsPlace, Within: verdict.AnswerWithin, OnSilence: verdict.OnSilence}
	switch verdict.OwnerOf {
	case "opportunity":
		for _, kind := range []deal.ConflictKind{deal.DirectEngaged, deal.PartnerOpportunity} {
			if c, ok := strongest(d.Conflicts, kind); ok && t.Person == "" {
				t.Person = v.present(v.opportunities[c.With].Owner, now)
			}
		}
	case "account":
		if a := v.account(d.Resolution.Ref.AccountID); a != nil {
			t.Person = v.present(a.Owner, now)
		}
	case "incumbent":
		if o := v.incumbent(d.Resolution.Ref.AccountID); o != nil {
			t.PartnerID = o.PartnerID
		}
	case "holder":
		for _, kind := range []deal.ConflictKind{deal.HeldByOther, deal.PendingOther} {
			if c, ok := strongest(d.Conflicts, kind); ok && t.PartnerID == "" {
				t.PartnerID = c.PartnerID
			}
		}
	case "territory":
		t.Person = cmp.Or(v.present(d.Territory.Owner.Rep, now), v.present(d.Territory.Owner.Manager, now))
		t.PartnerID = d.Territory.Owner.PartnerID
		if t.Queue == "" {
			t.Queue = d.Territory.Owner.Queue
		}
	}
	of := deal.ConflictKind(verdict.Of)
	if of == "" && verdict.Disposition == deal.Waitlisted {
		of = deal.HeldByOther
	}
	if c, ok := strongest(d.Conflicts, of); ok {
		t.Of = c.With
		if verdict.Disposition == deal.Waitlisted {
			t.Place = v.waiting(c.With, now) + 1
		}
	}
	return t
}

// present returns the person, or who stands in: a manager while the person is away, nobody for one who has left.
func (v *view) present(id string, now time.Time) string {
	for range maxFamily {
		p := v.people[id]
		if p == nil {
			return ""
		}
		if p.AwayUntil.IsZero() || !now.Before(p.AwayUntil.Time) {
			return id
		}
		id = p.Manager
	}
	return ""
}

// waiting counts the registrations in line for the customer of the registration id.
func (v *view) waiting(id string, now time.Time) int {
	n := 0
	if holder := v.claims[id]; holder != nil {
		for _, other := range v.around(holder.CustomerRef.Key()) {
			if c := v.claims[other]; c.Status == deal.StatusWaitlisted && c.ClaimAt(now) {
				n++
			}
		}
	}
	return n
}

// windowEnd returns the instant at which a protection with these terms ends: the end of the last day, in the
// programme's zone. Anchors: submission and registration count from the filing, approval from the decision,
// expected_close_date from the expected close date.
func windowEnd(t deal.Terms, received, decided time.Time, forecast deal.Date, zone *time.Location) time.Time {
	from := decided
	switch t.Anchor {
	case "submission", "registration":
		from = received
	case "expected_close_date":
		if !forecast.IsZero() {
			y, m, day := forecast.Date()
			from = time.Date(y, m, day, 12, 0, 0, 0, zone)
		}
	}
	if t.Months > 0 {
		from = addMonths(from.In(zone), t.Months)
	}
	end := endOfDay(from, t.Days, zone)
	if !end.After(decided) { // an anchor long past: the day of the decision is the least a protection can be
		end = endOfDay(decided, 0, zone)
	}
	return end
}

// endOfDay returns the first instant after the day that lies n days after t, in the zone.
func endOfDay(t time.Time, n int, zone *time.Location) time.Time {
	y, m, d := t.In(zone).Date()
	end := time.Date(y, m, d+n+1, 0, 0, 0, 0, zone)
	if end.Hour() == 23 { // clocks go forward at that midnight, so the next day begins when they have
		_, end = end.ZoneBounds()
	}
	return end.UTC()
}

// addMonths adds calendar months; a day the target month does not have becomes its last: 31 August and six months is
// the end of February.
func addMonths(t time.Time, n int) time.Time {
	y, m, d := t.Date()
	last := time.Date(y, m+time.Month(n)+1, 0, 0, 0, 0, 0, t.Location()).Day()
	return time.Date(y, m+time.Month(n), min(d, last), 12, 0, 0, 0, t.Location())
}
