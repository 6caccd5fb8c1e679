package engine

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// Act is what people do to a case. The words are those of the API's paths.
type Act string

// The acts.
const (
	ActAssign      Act = "assign"      // to PersonID; empty: back to the queue
	ActAcknowledge Act = "acknowledge" // it is seen, and whoever says so takes it unless somebody has
	ActComment     Act = "comment"
	ActSnooze      Act = "snooze"  // out of sight until Until; its clocks run on
	ActAsk         Act = "ask"     // the partner, whose answer it waits for, until Until at most
	ActConsult     Act = "consult" // PersonID; empty: the owner of what competes, or of the account
	ActResolve     Act = "resolve"
	ActReopen      Act = "reopen"
)

// Acts lists every Act.
var Acts = []Act{ActAssign, ActAcknowledge, ActComment, ActSnooze, ActAsk, ActConsult, ActResolve, ActReopen}

// Doing is one act. Its version, when not zero, is the one of the case it was decided on: the act is refused with deal.ErrStale
// when the case has changed since.
type Doing struct {
	Act      Act
	Version  uint64
	Text     string // for staff; of a question, for the partner; of a ruling, the reason in words
	Mentions []string
	PersonID string
	Until    time.Time
	Ruling   deal.Ruling
	Confirm  bool // of a resolution: what another person has proposed
}

// answerWithin is how long a partner has to answer a question that names no day.
const answerWithin = "10bd"

// maxSnooze is how far off a snoozed case may be.
const maxSnooze = 366 * 24 * time.Hour

// Do does something to a case and commits it, with what follows for registrations, and returns the case after it. Errors:
// deal.ErrNotFound, deal.ErrNotPossible (resolved already, or the world does not allow it: the text says how), deal.ErrForbidden
// naming why this key may not, deal.ErrStale saying what has changed, deal.FieldErrors, deal.ErrKeyReused, deal.ErrUnavailable.
func (e *Engine) Do(ctx context.Context, q Request, id string, do Doing) (deal.Case, error) {
	if err := do.validate(e.now()).Err(); err != nil {
		return deal.Case{}, err
	}
	for range moveTries {
		k, err := e.cfg.Store.Case(ctx, id)
		if err != nil {
			return k, err
		}
		var apply func(now time.Time) ([]addition, error)
		if do.Act == ActReopen {
			apply, err = e.reopening(ctx, k, do, q.Actor)
			if err != nil {
				return k, err
			}
		} else {
			apply = func(now time.Time) ([]addition, error) {
				a, err := e.act(id, do, q.Actor, now)
				return []addition{a}, err
			}
		}
		_, err = e.submit(ctx, q, apply, id, k.RegistrationID)
		switch {
		case errors.Is(err, errMoved):
			continue
		case errors.Is(err, deal.ErrStale):
			return k, e.since(ctx, id, do.Version)
		case err != nil:
			return k, err
		}
		return e.cfg.Store.Case(ctx, id)
	}
	return deal.Case{}, errors.Join(deal.ErrUnavailable, errMoved)
}

func (d *Doing) validate(now time.Time) deal.FieldErrors {
	n := deal.Note{Text: d.Text, Mentions: d.Mentions}
	needs := d.Act == ActComment || d.Act == ActAsk || d.Act == ActReopen || d.Act == ActResolve
	e := n.Validate(needs)
	d.Text = n.Text
	d.Until = d.Until.UTC().Truncate(time.Microsecond)
	if d.Act == ActSnooze && (!d.Until.After(now) || d.Until.After(now.Add(maxSnooze))) {
		e.Add("until", "is to be given, to come, within a year")
	}
	if d.Act == ActAsk && !d.Until.IsZero() && (!d.Until.After(now) || d.Until.After(now.Add(maxSnooze))) {
		e.Add("until", "is to come, within a year; leave it out for %s", answerWithin)
	}
	if d.Act == ActResolve && !d.Confirm {
		e = append(e, d.Ruling.Validate()...)
	}
	for i := range e {
		if (d.Act == ActResolve || d.Act == ActReopen) && e[i].Field == "text" {
			e[i].Field = "reason"
		}
	}
	return e
}

// since says what has happened to a case after a version of it.
func (e *Engine) since(ctx context.Context, id string, version uint64) error {
	entries, err := e.cfg.Store.EntriesOf(ctx, []string{id})
	if err != nil {
		return errors.Join(deal.ErrStale, err)
	}
	k, err := e.cfg.Store.Case(ctx, id)
	if err != nil {
		return errors.Join(deal.ErrStale, err)
	}
	var what []string
	for _, x := range entries {
		if x.Seq > version {
			what = append(what, fmt.Sprintf("%s by %s at %s", x.Kind, x.Actor, x.At.Format(time.RFC3339)))
		}
	}
	if k.Status != deal.CaseOpen {
		what = append(what, "it is resolved: "+k.Outcome)
	}
	if len(what) == 0 {
		what = append(what, "one of its registrations")
	}
	return fmt.Errorf("%w; since version %d: %s; the version is %d now", deal.ErrStale, version, strings.Join(what, ", "), k.Version)
}

// act makes the entry of an act on an open case.
func (e *Engine) act(id string, do Doing, by deal.Actor, now time.Time) (addition, error) {
	v := e.view
	open := v.cases[id]
	if open == nil && do.Version > 0 {
		return addition{}, deal.ErrStale
	}
	if open == nil {
		return addition{}, errNoCase(id)
	}
	if do.Version > 0 && do.Version != open.Version {
		return addition{}, deal.ErrStale
	}
	k := *open
	k.Version = v.head.Seq + 1
	n := &deal.Note{Text: do.Text, Mentions: do.Mentions, PersonID: do.PersonID, Until: do.Until}
	for i, m := range do.Mentions {
		if v.people[m] == nil {
			return addition{}, deal.FieldErrors{{Field: fmt.Sprintf("mentions[%d]", i), Detail: fmt.Sprintf("there is no person %q", m)}}
		}
	}
	var kind string
	switch do.Act {
	case ActAssign:
		kind, k.Assignee = deal.EntryAssigned, do.PersonID
		if do.PersonID != "" && !v.belongs(do.PersonID, &k, now) {
			return addition{}, deal.FieldErrors{{Field: "person_id", Detail: fmt.Sprintf("%q is not one of the people of the queue %s%s", do.PersonID, k.Terms.Queue, orAuthority(&k))}}
		}
	case ActAcknowledge:
		kind = deal.EntryAcknowledged
		if !k.AcknowledgedAt.IsZero() {
			return addition{}, fmt.Errorf("%w: it was acknowledged at %s", deal.ErrNotPossible, k.AcknowledgedAt.Format(time.RFC3339))
		}
		k.AcknowledgedAt, k.AcknowledgeBy = now, time.Time{}
		if k.Assignee == "" && by.PersonID != "" && v.belongs(by.PersonID, &k, now) {
			k.Assignee = by.PersonID
		}
	case ActComment:
		kind = deal.EntryCommented
	case ActSnooze:
		kind, k.SnoozedUntil = deal.EntrySnoozed, do.Until
	case ActConsult:
		kind = deal.EntryConsulted
		if n.PersonID == "" {
			n.PersonID = v.counsel(&k, now)
		}
		if n.PersonID == "" || v.people[n.PersonID] == nil {
			return addition{}, deal.FieldErrors{{Field: "person_id", Detail: "say whom: neither the account nor what competes has an owner on the list of people"}}
		}
		if !slices.Contains(k.Consulted, n.PersonID) {
			k.Consulted = append(slices.Clone(k.Consulted), n.PersonID)
		}
	case ActAsk:
		return v.asks(k, n, now)
	case ActResolve:
		return e.resolve(k, do, by, now)
	}
	a, err := caseEntry(kind, k, n)
	if err == nil && do.Act == ActConsult || len(do.Mentions) > 0 {
		err = errors.Join(err, a.tells(&k, "mentioned"))
	}
	return a, err
}

// Why a case about a partner's standing is not asked of it, and not opened again.
const (
	noQuestion = "the case is about the partner, not about a registration that it could answer to; talk to the partner, and comment what it says"
	noReopen   = "it is opened by a change of the partner's status"
)

// asks makes the entry of a question to the partner. The case waits for the answer.
func (v *view) asks(k deal.Case, n *deal.Note, now time.Time) (addition, error) {
	if k.Kind == deal.CaseStanding {
		return addition{}, fmt.Errorf("%w: %s", deal.ErrNotPossible, noQuestion)
	}
	if !k.PausedAt.IsZero() {
		return addition{}, fmt.Errorf("%w: the partner has been asked already, and has until %s", deal.ErrNotPossible, k.AnswerBy.Format(time.RFC3339))
	}
	if n.Until.IsZero() {
		n.Until = after(v.policy.Settings(), now, answerWithin)
	}
	k.PausedAt, k.AnswerBy, k.Question = now, n.Until, k.Version
	if k.AcknowledgedAt.IsZero() {
		k.AcknowledgedAt, k.AcknowledgeBy = now, time.Time{}
	}
	a, err := caseEntry(deal.EntryAsked, k, n)
	if r := v.claims[k.RegistrationID]; err == nil && r != nil {
		var body []byte
		body, err = eventBody(r)
		a.events = append(a.events, store.Event{ID: deal.NewID(deal.EventID), Type: "dibs.registration.asked.v1", Subject: r.ID, Body: body})
	}
	return a, err
}

// resolve makes the entry of a resolution, or of its proposal when a second person has to confirm it.
func (e *Engine) resolve(k deal.Case, do Doing, by deal.Actor, now time.Time) (addition, error) {
	v := e.view
	ruling := do.Ruling
	if do.Confirm {
		if k.Proposal == nil {
			return addition{}, fmt.Errorf("%w: nothing is proposed that could be confirmed", deal.ErrNotPossible)
		}
		ruling = k.Proposal.Ruling
	} else {
		if ruling.RegistrationID == "" {
			ruling.RegistrationID = k.RegistrationID
		}
		if !slices.Contains(k.Members(), ruling.RegistrationID) {
			return addition{}, deal.FieldErrors{{Field: "registration_id", Detail: "the case is about " + strings.Join(k.Members(), ", ")}}
		}
		if err := v.askable(ruling.Needs); err != nil {
			return addition{}, err
		}
		if r := v.claims[ruling.RegistrationID]; r != nil {
			if err := limited(r, &ruling); err != nil {
				return addition{}, err
			}
		}
	}
	if err := v.mayRule(&k, by, now); err != nil {
		return addition{}, err
	}
	standing := k.Kind == deal.CaseStanding
	second := k.Proposal != nil && k.Proposal.By.PersonID != by.PersonID && reflect.DeepEqual(k.Proposal.Ruling, ruling)
	if do.Confirm && !second {
		return addition{}, fmt.Errorf("%w: who has proposed it cannot confirm it; a second person does", deal.ErrForbidden)
	}
	if k.Terms.FourEyes && !second {
		// What could not be granted now is not proposed: the first person learns it at once.
		var err error
		if standing {
			_, err = v.standingRuled(k, ruling, by, do.Text, now)
		} else {
			_, err = e.ruled(&k, ruling, &deal.Move{Event: deal.EventResolve}, by, now)
		}
		if err != nil {
			return addition{}, err
		}
		k.Proposal = &deal.Proposal{Ruling: ruling, By: by, At: now}
		return caseEntry(deal.EntryProposed, k, &deal.Note{Text: do.Text})
	}
	if standing {
		return v.standingRuled(k, ruling, by, do.Text, now)
	}
	return e.ruled(&k, ruling, &deal.Move{Event: deal.EventResolve, Reason: do.Text}, by, now)
}

// reopening makes of a resolved case, as read, what opens it again.
func (e *Engine) reopening(ctx context.Context, k deal.Case, do Doing, by deal.Actor) (func(now time.Time) ([]addition, error), error) {
	r, d, _, err := e.recorded(ctx, k.RegistrationID)
	if err != nil {
		return nil, err
	}
	return func(now time.Time) ([]addition, error) {
		v := e.view
		switch {
		case do.Version > 0 && do.Version != k.Version:
			return nil, deal.ErrStale
		case v.cases[k.ID] != nil:
			return nil, fmt.Errorf("%w: case %s is open", deal.ErrNotPossible, k.ID)
		case k.Kind == deal.CaseStanding:
			return nil, fmt.Errorf("%w: %s", deal.ErrNotPossible, noReopen)
		case !v.holdsVersion(&r) || d.ID != r.DecisionID:
			return nil, errMoved
		case r.CaseID != k.ID:
			return nil, fmt.Errorf("%w: its registration has been decided otherwise since", deal.ErrNotPossible)
		}
		if err := r.Status.Refuse(deal.EventReopen, by.Role); err != nil {
			return nil, err
		}
		set := v.policy.Settings()
		again, reg := k, r
		m := &deal.Move{Event: deal.EventReopen, From: r.Status, To: deal.StatusEscalated, Reason: do.Text, Policy: v.policy.Ref()}
		reg.Status, reg.Version, reg.EndedAt, reg.KeepsPlace = m.To, v.head.Seq+1, time.Time{}, false
		reg.AnswerBy, reg.OnSilence, reg.Review = time.Time{}, "", nil
		joins(&reg, nil)
		again.Status, again.Outcome, again.ResolvedAt, again.RuledBy, again.Ruling, again.Also, again.Version = deal.CaseOpen, "", time.Time{}, "", nil, nil, reg.Version
		again.AcknowledgedAt, again.AcknowledgeBy = time.Time{}, after(set, now, k.Terms.Acknowledge)
		startClock(&again, after(set, now, again.Terms.Decide), now)
		answer, err := canonical(AnswerFor(&reg, &d, &again, now))
		if err != nil {
			return nil, err
		}
		rule := deal.EventRules[deal.EventReopen]
		a := addition{
			entry:  store.Entry{Kind: rule.Entry, Subject: reg.ID, Answer: answer},
			change: &deal.Change{Registrations: []deal.Registration{reg}, Cases: []deal.Case{again}, Move: m},
			events: []store.Event{{ID: deal.NewID(deal.EventID), Type: "dibs." + rule.Entry + ".v1", Subject: reg.ID, Body: answer}},
		}
		return []addition{a}, a.tells(&again, "reopened")
	}, nil
}

// belongs reports whether the person, or one in whose place the person stands, is of the case's queue or has its authority.
func (v *view) belongs(id string, k *deal.Case, now time.Time) bool {
	return slices.ContainsFunc(v.stands(id, now), func(p *deal.Person) bool {
		return slices.Contains(p.Queues, k.Terms.Queue) || k.Terms.Authority != "" && slices.Contains(p.Queues, k.Terms.Authority)
	})
}

// stands returns the person and those who are away and in whose place the person stands: their manager, or the manager's.
func (v *view) stands(id string, now time.Time) []*deal.Person {
	self := v.people[id]
	if self == nil {
		return nil
	}
	out := []*deal.Person{self}
	for other, p := range v.people {
		if other != id && v.present(other, now) == id {
			out = append(out, p)
		}
	}
	return out
}

func orAuthority(k *deal.Case) string {
	if k.Terms.Authority == "" || k.Terms.Authority == k.Terms.Queue {
		return ""
	}
	return ", and has not the authority " + k.Terms.Authority
}

// mayRule reports why a key may not decide the case: deal.ErrForbidden, in words. Roles and queues say who works a case, the
// authority who decides it, the amount up to what; nobody decides on their own business, or twice.
func (v *view) mayRule(k *deal.Case, by deal.Actor, now time.Time) error {
	if err := v.mayDecide(k, by, now); err != nil || by.Role == "admin" {
		return err
	}
	need := k.Terms.Queue
	if k.Terms.Authority != "" {
		need = k.Terms.Authority
	}
	if !slices.ContainsFunc(v.stands(by.PersonID, now), func(p *deal.Person) bool { return slices.Contains(p.Queues, need) }) {
		return no("this case needs the authority %s, and the queues of %s do not have it", need, by.PersonID)
	}
	return nil
}

func no(format string, args ...any) error {
	return fmt.Errorf("%w: %s", deal.ErrForbidden, fmt.Sprintf(format, args...))
}

// mayDecide is mayRule without the queue: whoever decides on a claim is a person, decides neither on their own business nor twice, and
// has the authority for the amount.
func (v *view) mayDecide(k *deal.Case, by deal.Actor, now time.Time) error {
	if !slices.Contains(deal.EventRules[deal.EventResolve].Roles, by.Role) {
		return no("a key of role %s cannot decide a case", by.Role)
	}
	if by.PersonID == "" {
		return no("cases are decided by people; use a key that names one: dibs keys create --role %s --person ID", by.Role)
	}
	if v.people[by.PersonID] == nil {
		return no("%s is not on the list of people any more", by.PersonID)
	}
	if slices.Contains(k.Recused, by.PersonID) {
		return no("%s decided it before; somebody else decides the appeal", by.PersonID)
	}
	if of := v.interest(k, by.PersonID); of != "" {
		return recused(by.PersonID, of)
	}
	if by.Role == "admin" {
		return nil
	}
	stands := v.stands(by.PersonID, now)
	for _, id := range k.Members() {
		r := v.runs(id)
		if r == nil {
			continue
		}
		amount := v.total(&r.Filing, r.ReceivedAt)
		if amount.IsZero() || slices.ContainsFunc(stands, func(p *deal.Person) bool { return v.covers(p.Authority, amount, now) }) {
			continue
		}
		return no("%s is about %s %s, more than %s may decide alone; assign it to somebody whose authority covers that", id, amount.Value, amount.Currency, by.PersonID)
	}
	return nil
}

// covers reports whether a limit in one currency is at least an amount in another. Without a rate it is not.
func (v *view) covers(limit, amount deal.Money, now time.Time) bool {
	if limit.Currency == amount.Currency {
		return limit.Value.GreaterThanOrEqual(amount.Value)
	}
	currency := v.policy.Settings().Currency
	a, ok := v.convert(limit, currency, now)
	b, known := v.convert(amount, currency, now)
	return ok && known && decimal.NewFromFloat(a).GreaterThanOrEqual(decimal.NewFromFloat(b))
}

// interest returns what the person owns that competes with a registration of the case, or nothing.
func (v *view) interest(k *deal.Case, person string) string {
	for _, id := range k.Members() {
		if r := v.runs(id); r != nil {
			for _, c := range v.competes(r) {
				if c.owner == person {
					return c.what
				}
			}
		}
	}
	return ""
}

// owned is something of the vendor's that competes with a registration.
type owned struct{ owner, what string }

// competes returns the open opportunities at the registration's customer, and the account itself when it is reserved to direct
// sales, with their owners.
func (v *view) competes(r *deal.Registration) []owned {
	a := v.account(r.CustomerRef.AccountID)
	if a == nil {
		return nil
	}
	var out []owned
	for _, id := range v.oppsOf[a.ID] {
		if o := v.opportunities[id]; o.Status == "open" && o.Owner != "" && o.PartnerID != r.Filing.PartnerID {
			out = append(out, owned{o.Owner, "opportunity " + o.ID})
		}
	}
	if a.Named && a.Owner != "" {
		out = append(out, owned{a.Owner, "account " + a.ID})
	}
	return out
}

// counsel returns who is to be asked for a view: the owner of what competes, else of the account; whoever stands in for them.
func (v *view) counsel(k *deal.Case, now time.Time) string {
	r := v.claims[k.RegistrationID]
	if r == nil {
		return ""
	}
	for _, c := range v.competes(r) {
		if p := v.present(c.owner, now); p != "" {
			return p
		}
	}
	if a := v.account(r.CustomerRef.AccountID); a != nil {
		return v.present(a.Owner, now)
	}
	return ""
}

// May is what a key may do to a case, and why not.
type May struct {
	Act  Act    `json:"act"`
	May  bool   `json:"may"`
	Why  string `json:"why,omitempty"`  // not
	Also string `json:"also,omitempty"` // what else is needed
}

// MayDecide reports whether the actor may decide the case now, as far as may says: a queue marks what is for others.
func (e *Engine) MayDecide(k *deal.Case, by deal.Actor) bool {
	now := e.now()
	return read(e, func(v *view) bool { return v.mayRule(k, by, now) == nil })
}

// may lists what the key may do to the case.
func (v *view) may(k *deal.Case, by deal.Actor, now time.Time) []May {
	out := make([]May, len(Acts))
	for i, act := range Acts {
		m := May{Act: act, May: true}
		open := v.cases[k.ID] != nil
		switch {
		case by.Role != "ops" && by.Role != "admin":
			m.Why = "a key of role " + by.Role + " reads cases"
		case act == ActReopen && open:
			m.Why = "it is open"
		case act != ActReopen && !open:
			m.Why = "it is resolved: " + k.Outcome
		case act == ActReopen && k.Kind == deal.CaseStanding:
			m.Why = noReopen
		case act == ActAsk && k.Kind == deal.CaseStanding:
			m.Why = noQuestion
		case act == ActAcknowledge && !k.AcknowledgedAt.IsZero():
			m.Why = "it was acknowledged at " + k.AcknowledgedAt.Format(time.RFC3339)
		case act == ActAsk && !k.PausedAt.IsZero():
			m.Why = "the partner has been asked, and has until " + k.AnswerBy.Format(time.RFC3339)
		case act == ActResolve:
			if err := v.mayRule(k, by, now); err != nil {
				m.Why = strings.TrimPrefix(err.Error(), deal.ErrForbidden.Error()+": ")
			} else if k.Terms.FourEyes && k.Proposal == nil {
				m.Also = "a second person confirms what you propose"
			} else if k.Proposal != nil && k.Proposal.By.PersonID == by.PersonID {
				m.Also = "you proposed " + k.Proposal.Ruling.String() + "; a second person confirms it"
			} else if k.Proposal != nil {
				m.Also = k.Proposal.By.PersonID + " proposed " + k.Proposal.Ruling.String() + "; confirm it, or propose another"
			}
		}
		m.May = m.Why == ""
		out[i] = m
	}
	return out
}

// Question returns what the partner was asked last in the case; empty when nothing was, or when it has been erased.
func (e *Engine) Question(ctx context.Context, k *deal.Case) (string, error) {
	if k.Question == 0 {
		return "", nil
	}
	ps, err := e.cfg.Store.Personal(ctx, k.Question)
	if err != nil {
		return "", err
	}
	var c deal.Change
	c.Note = &deal.Note{}
	c.JoinPersonal(store.Values(ps))
	return c.Note.Text, nil
}
