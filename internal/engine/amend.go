package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/policy"
	"github.com/dibs-deals/dibs/internal/store"
)

// amended is a filing as it is to be.
type amended struct {
	before  deal.Filing // with its personal data
	after   deal.Filing // without
	given   []string
	domain  string // of the contact's address
	secrets []store.Personal
	changed []string
}

// amend has the filing of r changed by change, outside the lock: it is a function of the filing alone.
func (e *Engine) amend(ctx context.Context, r *deal.Registration, change func(deal.Filing) (deal.Filing, error)) (*amended, error) {
	personal, err := e.personalOf(ctx, r)
	if err != nil {
		return nil, err
	}
	a := &amended{before: r.Filing}
	a.before.Evidence = slices.Clone(r.Filing.Evidence)
	a.before.JoinPersonal(personal)
	mine := a.before // for change to work on
	mine.Evidence, mine.Products, mine.Sites, mine.Competing, mine.Custom = slices.Clone(mine.Evidence), slices.Clone(mine.Products), slices.Clone(mine.Sites), slices.Clone(mine.Competing), maps.Clone(mine.Custom)
	f, err := change(mine)
	if err != nil {
		return nil, err
	}
	a.changed, a.domain = deal.ChangedFields(&a.before, &f), f.Contact.EmailDomain()
	if !slices.Contains(a.changed, "contact") { // what was erased since is not forgotten by the rules
		a.domain = r.EmailDomain
	}
	var people []deal.Personal
	a.after, people = f.SplitPersonal()
	for _, p := range people {
		a.given = append(a.given, p.Field)
	}
	for _, field := range r.Given {
		if top, _, _ := strings.Cut(field, "."); !slices.Contains(a.given, field) && !slices.Contains(a.changed, top) && !strings.HasPrefix(field, "evidence[") {
			a.given = append(a.given, field)
		}
	}
	a.secrets, err = salted(people)
	return a, err
}

// personalOf reads what is left of the personal data of a filing.
func (e *Engine) personalOf(ctx context.Context, r *deal.Registration) ([]deal.Personal, error) {
	ps, err := e.cfg.Store.Personal(ctx, r.PersonalEntry())
	return store.Values(ps), err
}

// update makes the entry of a changed filing. What was returned is decided anew, and so is what a material change leaves of the claim;
// all else is recorded. m says from where.
func (e *Engine) update(r deal.Registration, d *deal.Decision, file *deal.Case, am *amended, m *deal.Move, by deal.Actor, now time.Time) (addition, error) {
	v := e.view
	if err := r.Status.RefuseChange(am.changed); err != nil {
		return addition{}, err
	}
	if len(am.changed) == 0 {
		return addition{}, fmt.Errorf("%w: nothing of the registration would change", deal.ErrNotPossible)
	}
	before := r
	r.Filing, r.EmailDomain, r.Given = am.after, am.domain, am.given
	r.PersonalAt = v.head.Seq + 1
	if errs := v.admit(&r.Filing); len(errs) > 0 {
		return addition{}, errs
	}
	m.Changed = am.changed
	set := v.policy.Settings()
	if r.Status != deal.StatusReturned && !material(v, set, &before, am) {
		if was := v.total(&am.before, r.ReceivedAt); r.Decided.IsZero() && v.total(&am.after, r.ReceivedAt).String() != was.String() {
			r.Decided = was
		}
		m.To = r.Status
		r.Version = v.head.Seq + 1
		a, err := e.recordedMove(r, d, file, m, now)
		a.entry.Personal = am.secrets
		return a, err
	}
	r.DecisionID, r.Status = deal.NewID(deal.DecisionID), deal.StatusReceived
	r.NotAfter, r.Review = time.Time{}, nil
	if before.HoldsAt(now) && before.Status != deal.StatusEscalated {
		r.NotAfter = v.whole(&before, d, now).EndsAt
	}
	if c := before.Review; before.Status == deal.StatusReturned && c != nil && c.DueAt.After(d.At) { // the case it had goes on
		r.Review = &deal.ReviewClock{DueAt: set.Calendar.Later(c.DueAt, d.At, now, c.Decide).Truncate(time.Microsecond), Decide: c.Decide}
	}
	keeps := set.KeepsPlace
	if before.Status == deal.StatusReturned {
		keeps = before.KeepsPlace
	}
	if !keeps {
		r.PlaceAt = v.head.Seq + 1
	}
	a, err := e.decided(r, search(v, ask(v, &r)), now)
	if err == nil && keeps && before.CustomerRef != a.change.Registrations[0].CustomerRef && before.Status != deal.StatusReturned {
		// It comes to mean another customer: there it is the last.
		r.PlaceAt, r.DecisionID = v.head.Seq+1, deal.NewID(deal.DecisionID)
		a, err = e.decided(r, search(v, ask(v, &r)), now)
	}
	if err == nil && before.Status == deal.StatusReturned && a.change.Registrations[0].Status == deal.StatusReturned && asksMore(d, a.change.Decision) {
		// Whoever leaves it incomplete gets no more time; whoever is asked for something else does.
		r.AnswerBy, r.DecisionID = time.Time{}, deal.NewID(deal.DecisionID)
		a, err = e.decided(r, search(v, ask(v, &r)), now)
	}
	if err != nil {
		return addition{}, err
	}
	after := &a.change.Registrations[0]
	if by.Role == "portal" && before.HoldsAt(now) {
		if err := givesUp(&before, after, a.change.Decision, am.changed); err != nil {
			return addition{}, err
		}
	}
	m.To = after.Status
	a.change.Move = m
	a.entry.Personal = am.secrets
	a.frees = before.CustomerRef.Key()
	return a, nil
}

// givesUp reports why a partner's change is not made of what holds: it would end the claim, for good, by what is most likely a slip. What is
// incomplete is returned, and who waits is promoted at once; what is merged stands for itself no more.
func givesUp(before, after *deal.Registration, d *deal.Decision, changed []string) error {
	const way = "nothing is changed; withdraw the registration to give the claim up"
	switch after.Status {
	case deal.StatusReturned:
		var e deal.FieldErrors
		fields := d.Route.Needs
		if len(fields) == 0 {
			fields = changed
		}
		for _, f := range fields {
			e.Add(f, "the registration is %s, and so changed it would be returned as incomplete and hold nothing any more; %s", before.Status, way)
		}
		return e.Err()
	case deal.StatusMerged:
		return fmt.Errorf("%w: the registration is %s, and with another %s it would be merged into %s, which is yours as well, and hold nothing any more; %s",
			deal.ErrNotPossible, before.Status, strings.Join(changed, ", "), d.Route.Of, way)
	}
	return nil
}

// asksMore reports whether a decision asks for a field that the one before did not ask for.
func asksMore(before, d *deal.Decision) bool {
	return slices.ContainsFunc(d.Route.Needs, func(need string) bool { return before.Route == nil || !slices.Contains(before.Route.Needs, need) })
}

// whole returns the protection of r as it is once its condition is met: as long as it was granted by d.
func (v *view) whole(r *deal.Registration, d *deal.Decision, now time.Time) *deal.Protection {
	p := *r.Protection
	if r.Status == deal.StatusConditional && d.Terms != nil {
		p.EndsAt = windowEnd(*d.Terms, r.ReceivedAt, d.At, r.Filing.ExpectedCloseDate, v.policy.Settings().Timezone)
		if r.NotAfter.After(now) && p.EndsAt.After(r.NotAfter) {
			p.EndsAt = r.NotAfter
		}
	}
	return &p
}

// fulfils makes of a conditional protection a whole one.
func (v *view) fulfils(r *deal.Registration, d *deal.Decision, m *deal.Move, now time.Time) {
	r.Protection, r.Status, r.Met, r.AnswerBy = v.whole(r, d, now), deal.StatusProtected, d.Terms.Condition.Need, time.Time{}
	m.Met, m.Policy = append(m.Met, r.Met), d.Policy
}

// accept meets the condition that is acceptance: the partner accepts what the line gave it, the vendor what a partner filed.
func (v *view) accept(r *deal.Registration, d *deal.Decision, m *deal.Move, by deal.Actor, now time.Time) error {
	if err := acceptable(d, by); err != nil {
		return err
	}
	r.Status = m.From
	v.fulfils(r, d, m, now)
	return nil
}

// acceptable returns why it is not for the actor to accept what was decided, or nil.
func acceptable(d *deal.Decision, by deal.Actor) error {
	switch {
	case d.Terms == nil || d.Terms.Condition == nil || deal.Fold(d.Terms.Condition.Need) != deal.NeedAcceptance:
		need := "what its terms ask for"
		if d.Terms != nil && d.Terms.Condition != nil {
			need = d.Terms.Condition.Need
		}
		return fmt.Errorf("%w: it does not wait for acceptance but for %s: add evidence of it", deal.ErrNotPossible, need)
	case d.Terms.Offered() == nil && by.Role == "portal":
		return fmt.Errorf("%w: the vendor accepts it, not the partner that filed it", deal.ErrForbidden)
	}
	return nil
}

// recordedMove is the entry of a move after which the decision stands.
func (e *Engine) recordedMove(r deal.Registration, d *deal.Decision, file *deal.Case, m *deal.Move, now time.Time) (addition, error) {
	answer, err := canonical(AnswerFor(&r, d, file, now))
	kind := deal.EventRules[m.Event].Entry
	return addition{
		entry:  store.Entry{Kind: kind, Subject: r.ID, Answer: answer},
		change: &deal.Change{Move: m, Registrations: []deal.Registration{r}},
		events: []store.Event{{ID: deal.NewID(deal.EventID), Type: "dibs." + kind + ".v1", Subject: r.ID, Body: answer}},
	}, err
}

// immaterial are the fields whose change asks no rule again.
var immaterial = []string{"contact", "expected_close_date", "description", "external_id"}

// material reports whether the rules have to be asked again: the customer, or what is claimed, is another, or the amount is by more than
// the policy passes over, from what it was when it was decided.
func material(v *view, set policy.Settings, r *deal.Registration, am *amended) bool {
	for _, f := range am.changed {
		switch {
		case slices.Contains(immaterial, f):
		case f == "amount", f == "products" && slices.Equal(am.before.Lines(), am.after.Lines()) && slices.Equal(v.classes(&am.before, set), v.classes(&am.after, set)):
			was, is := r.Decided, v.total(&am.after, r.ReceivedAt)
			if was.IsZero() {
				was = v.total(&am.before, r.ReceivedAt)
			}
			limit := was.Value.Abs().Mul(decimal.NewFromFloat(set.MaterialPercent)).Div(decimal.NewFromInt(100))
			if was.Currency != is.Currency || is.Value.Sub(was.Value).Abs().GreaterThan(limit) {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// evidence makes the entry of evidence that is added to a filing. Its words stay in the entry. A condition that it meets is met: the
// protection is as long as it was granted; so are milestones, and what has to be there before it ends.
func (e *Engine) evidence(r deal.Registration, d *deal.Decision, file *deal.Case, m *deal.Move, by deal.Actor, now time.Time) (addition, error) {
	v := e.view
	r.Version = v.head.Seq + 1
	if err := v.shown(&r, d, m, by, now); err != nil {
		return addition{}, err
	}
	was := m.From
	m.To = r.Status
	a, err := e.recordedMove(r, d, file, m, now)
	if err == nil && r.Status != was {
		a.happens(&r, string(r.Status), a.entry.Answer)
	}
	return a, err
}

// shown adds the evidence of a move to the filing, and what it meets.
func (v *view) shown(r *deal.Registration, d *deal.Decision, m *deal.Move, by deal.Actor, now time.Time) error {
	r.Filing.Evidence = slices.Clone(r.Filing.Evidence)
	for _, x := range m.Evidence {
		x.By, x.Text = "", ""
		r.Filing.Evidence = append(r.Filing.Evidence, x)
	}
	if n := len(r.Filing.Evidence); n > deal.MaxEvidence {
		return deal.FieldErrors{{Field: "evidence", Detail: fmt.Sprintf("the registration would have %d pieces of evidence; at most %d are kept", n, deal.MaxEvidence)}}
	}
	p, staff := r.Protection, by.Role != "portal"
	if p == nil || d.Terms == nil {
		return nil
	}
	if c := d.Terms.Condition; c != nil && r.Status == deal.StatusConditional && meets(c.Need, m.Evidence, p.StartsAt, staff) {
		v.fulfils(r, d, m, now)
	}
	r.Milestones = slices.Clone(r.Milestones)
	for i := range r.Milestones {
		if x := &r.Milestones[i]; x.MetAt.IsZero() && x.MissedAt.IsZero() && meets(x.Need, m.Evidence, p.StartsAt, staff) {
			x.MetAt = now
			m.Met = append(m.Met, x.Need)
		}
	}
	r.Fulfil = slices.Clone(r.Fulfil)
	first := p.StartsAt.AddDate(0, 0, -1) // a day begins earlier elsewhere on earth
	for i := range r.Fulfil {
		x := &r.Fulfil[i]
		if x.MetAt.IsZero() && slices.ContainsFunc(m.Evidence, func(e deal.Evidence) bool { return e.Kind == x.Need && (staff || e.Date.After(first)) }) {
			x.MetAt = now
			m.Met = append(m.Met, x.Need)
		}
	}
	return nil
}

// meets reports whether the evidence is what is needed: a kind of evidence that the need names, of since the protection began. What the service
// cannot see for itself, staff see.
func meets(need string, evidence []deal.Evidence, since time.Time, staff bool) bool {
	first := since.AddDate(0, 0, -1) // a day begins earlier elsewhere on earth
	words := strings.Fields(strings.ReplaceAll(deal.Fold(need), "_", " "))
	of := func(kind string) bool {
		return kind == "" && len(evidence) > 0 || slices.ContainsFunc(evidence, func(e deal.Evidence) bool { return (e.Kind == kind || kind == "any") && e.Date.After(first) })
	}
	for _, kind := range deal.EvidenceKinds {
		if kind != "other" && !slices.ContainsFunc(strings.Split(kind, "_"), func(w string) bool { return !slices.Contains(words, w) }) {
			return of(kind)
		}
	}
	if slices.Contains(words, "activity") || slices.Contains(words, "evidence") {
		return of("any")
	}
	return staff && of("")
}

// transfer makes the entry by which a claim becomes another partner's, in the place and the window it has. The rules are asked for that partner, and
// what they would refuse is refused.
func (e *Engine) transfer(r deal.Registration, d *deal.Decision, to string, m *deal.Move, now time.Time) (addition, error) {
	v := e.view
	before := r
	if to == "" || to == r.Filing.PartnerID {
		return addition{}, deal.FieldErrors{{Field: "partner_id", Detail: "is required: another partner than the present one"}}
	}
	r.Filing.PartnerID = to
	if errs := v.admit(&r.Filing); len(errs) > 0 {
		return addition{}, errs
	}
	r.DecisionID, r.Status, r.NotAfter = deal.NewID(deal.DecisionID), deal.StatusReceived, time.Time{}
	if before.HoldsAt(now) {
		r.NotAfter = v.whole(&before, d, now).EndsAt
	}
	a, err := e.decided(r, search(v, ask(v, &r)), now)
	if err != nil {
		return addition{}, err
	}
	after := &a.change.Registrations[0]
	if after.Status != before.Status && after.Status != deal.StatusProtected {
		return addition{}, fmt.Errorf("%w: for partner %s the programme says %s (%s)", deal.ErrNotPossible, to, after.Status, strings.Join(a.change.Decision.ReasonCodes, ", "))
	}
	m.To, m.Before = after.Status, before.Filing.PartnerID
	a.change.Move = m
	gone := before
	gone.Status = deal.StatusTransferred
	body, err := eventBody(&gone)
	a.events = append(a.events, store.Event{ID: deal.NewID(deal.EventID), Type: "dibs.registration.transferred.v1", Subject: r.ID, Body: body,
		PartnerID: before.Filing.PartnerID, DistributorID: before.Filing.DistributorID})
	a.frees = before.CustomerRef.Key()
	return a, err
}
