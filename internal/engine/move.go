package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/policy"
	"github.com/dibs-deals/dibs/internal/store"
)

// errMoved: the registration is not, under the lock, what was read before it.
var errMoved = errors.New("the registration has changed since it was read")

// moveTries is how often a registration is read again when it changes between the reading and the lock. Each time, somebody
// else's move was committed.
const moveTries = 10

// Moving is what is asked of a registration after it was decided.
type Moving struct {
	Event    deal.Event
	Reason   string
	Evidence []deal.Evidence
	To       string `json:",omitempty"` // of a transfer: the partner it is given to; of a merge: the registration that stands for both
	// Amend, of an update, returns the filing as it is to be, normalised and valid. It is asked again when the registration changes
	// meanwhile, and knows nothing else.
	Amend func(deal.Filing) (deal.Filing, error) `json:"-"`
}

// Move brings an event about and commits it, with what follows for those in line. Errors: deal.ErrNotFound,
// deal.ErrNotPossible naming what is possible, deal.ErrForbidden, deal.FieldErrors, deal.ErrKeyReused, deal.ErrUnavailable.
// Who may see the registration is the caller's question.
func (e *Engine) Move(ctx context.Context, q Request, id string, m Moving) (Registered, error) {
	for range moveTries {
		p, err := e.move(ctx, q, id, m)
		if errors.Is(err, errMoved) {
			continue
		}
		if err != nil {
			return Registered{}, err
		}
		return e.registered(ctx, p)
	}
	return Registered{}, errors.Join(deal.ErrUnavailable, errMoved)
}

func (e *Engine) move(ctx context.Context, q Request, id string, m Moving) (*proposal, error) {
	r, d, file, err := e.recorded(ctx, id)
	if err != nil {
		return nil, err
	}
	var am *amended
	if m.Amend != nil {
		if am, err = e.amend(ctx, &r, m.Amend); err != nil {
			return nil, err
		}
	}
	return e.submit(ctx, q, func(now time.Time) ([]addition, error) {
		if !e.view.holdsVersion(&r) || d.ID != r.DecisionID {
			return nil, errMoved
		}
		a, err := e.moving(r, &d, file, m, am, q.Actor, now)
		return []addition{a}, err
	}, r.ID, r.CaseID)
}

// holdsVersion reports whether r is the registration as the view has it.
func (v *view) holdsVersion(r *deal.Registration) bool {
	if c := v.claims[r.ID]; c != nil {
		return c.Version == r.Version
	}
	return slices.ContainsFunc(v.history[r.CustomerRef.Key()], func(p past) bool { return p.id == r.ID && p.version == r.Version })
}

// moving makes the entry of an event. The ends of windows are written before it, so the status is that of now.
func (e *Engine) moving(r deal.Registration, d *deal.Decision, file *deal.Case, ask Moving, am *amended, by deal.Actor, now time.Time) (addition, error) {
	v := e.view
	m := &deal.Move{Event: ask.Event, From: r.Status, Reason: ask.Reason, Evidence: slices.Clone(ask.Evidence), Policy: v.policy.Ref()}
	if err := r.Status.Refuse(m.Event, by.Role, v.outOfQuestion(&r, d, by, now)...); err != nil {
		return addition{}, err
	}
	if err := m.Validate(now).Err(); err != nil {
		return addition{}, err
	}
	if m.Event == deal.EventTransfer {
		return e.transfer(r, d, ask.To, m, now)
	}
	if m.Event == deal.EventMerge {
		if err := v.merges(&r, ask.To, m, by, now); err != nil {
			return addition{}, err
		}
	}
	if m.Event == deal.EventEvidence {
		return e.evidence(r, d, file, m, by, now)
	}
	if m.Event == deal.EventUpdate {
		if am == nil {
			return addition{}, fmt.Errorf("%w: an update says what is to change", deal.ErrNotPossible)
		}
		return e.update(r, d, file, am, m, by, now)
	}
	rule := deal.EventRules[m.Event]
	m.To = r.Status.After(m.Event)[0]
	r.Status, r.Version = m.To, v.head.Seq+1
	change := &deal.Change{Move: m}
	switch m.Event {
	case deal.EventResolve, deal.EventReopen:
		return addition{}, fmt.Errorf("%w: it is the case that is to %s", deal.ErrNotPossible, m.Event)
	case deal.EventAppeal, deal.EventRespond:
		if m.Event == deal.EventAppeal {
			m.Policy = d.Policy
		}
		k, err := v.partnerActs(&r, d, file, m, now)
		if err != nil {
			return addition{}, err
		}
		change.Cases, file = []deal.Case{k}, &k
	case deal.EventAccept:
		if err := v.accept(&r, d, m, by, now); err != nil {
			return addition{}, err
		}
	case deal.EventExtend:
		if err := extend(&r, d, m, by, v.policy.Settings().Timezone); err != nil {
			return addition{}, err
		}
		m.Policy = d.Policy
	default:
		if m.Event == deal.EventWon {
			if err := dwelt(&r, d, v.policy.Settings(), now); err != nil {
				return addition{}, err
			}
			if err := v.shown(&r, d, m, by, now); err != nil {
				return addition{}, err
			}
			m.Policy, m.Earned = d.Policy, r.Earned()
		}
		finish(&r, now)
	}
	change.Registrations = []deal.Registration{r}
	a := addition{entry: store.Entry{Kind: rule.Entry, Subject: r.ID}, change: change}
	if len(change.Cases) > 0 {
		if err := a.tells(&change.Cases[0], map[deal.Event]string{deal.EventAppeal: "opened", deal.EventRespond: "answered"}[m.Event]); err != nil {
			return addition{}, err
		}
	}
	if !r.EndedAt.IsZero() {
		if err := v.closed(&a, &r, by, now); err != nil {
			return addition{}, err
		}
		file = nil
	}
	answer, err := canonical(AnswerFor(&r, d, file, now))
	if err != nil {
		return addition{}, err
	}
	a.entry.Answer = answer
	a.events = append(a.events, store.Event{ID: deal.NewID(deal.EventID), Type: "dibs." + rule.Entry + ".v1", Subject: r.ID, Body: answer})
	if m.Event == deal.EventAccept {
		a.happens(&r, string(r.Status), answer)
	}
	if rule.Promotes {
		a.frees = r.CustomerRef.Key()
	}
	if m.Event == deal.EventWon {
		a.won = &r
	}
	return a, nil
}

// finish ends what the registration holds, as of now.
func finish(r *deal.Registration, now time.Time) {
	if p := r.Protection; p != nil && p.EndsAt.After(now) {
		ended := *p
		ended.EndsAt = now
		r.Protection = &ended
	}
	r.Hold, r.KeepsPlace, r.EndedAt, r.AnswerBy, r.OnSilence = nil, false, now, time.Time{}, ""
}

// extend lengthens the window as the terms it was granted under allow. Nobody else can hold any of its scope meanwhile: it is
// held, without a gap.
func extend(r *deal.Registration, d *deal.Decision, m *deal.Move, by deal.Actor, zone *time.Location) error {
	if d.Terms == nil || d.Terms.Extensions == nil || d.Terms.Extensions.Max == 0 {
		return fmt.Errorf("%w: the terms of this protection give no extension", deal.ErrNotPossible)
	}
	t := d.Terms.Extensions
	if r.Extensions >= t.Max {
		return fmt.Errorf("%w: the terms of this protection give %d extensions, and it has had them", deal.ErrNotPossible, t.Max)
	}
	if by.Role == "portal" {
		if err := shows(m, t, r.Protection.StartsAt); err != nil {
			return err
		}
	}
	last := r.Protection.EndsAt.Add(-time.Microsecond) // in the last day
	n, months := t.Days, t.Months
	if n == 0 && months == 0 {
		n, months = d.Terms.Days, d.Terms.Months
	}
	if months > 0 {
		last = addMonths(last.In(zone), months)
	}
	longer := *r.Protection
	longer.EndsAt = endOfDay(last, n, zone)
	r.Protection = &longer
	r.Extensions++
	return nil
}

// shows reports why what was sent is not what an extension needs.
func shows(m *deal.Move, t *deal.ExtensionTerms, since time.Time) error {
	lacks, judged := t.Lacks(m.Reason, m.Evidence, since)
	if len(judged) > 0 {
		return fmt.Errorf("%w: an extension needs %s, which the vendor judges; ask sales operations to extend it", deal.ErrNotPossible, strings.Join(judged, ", "))
	}
	var wrong deal.FieldErrors
	for _, need := range lacks {
		if need == "reason" {
			wrong.Add("reason", "an extension needs a reason; say why in words")
			continue
		}
		hint := map[string]string{"evidence": "send evidence", "activity": "send evidence dated since the protection began"}[need]
		wrong.Add("evidence", "an extension needs %s; %s", need, cmp.Or(hint, "send evidence of kind "+need))
	}
	return wrong.Err()
}

// dwelt reports why it is too early for a win: the terms ask for a time between registration and win.
func dwelt(r *deal.Registration, d *deal.Decision, set policy.Settings, now time.Time) error {
	if d.Terms == nil || d.Terms.Dwell == "" {
		return nil
	}
	from, err := set.Calendar.Add(r.ReceivedAt, d.Terms.Dwell)
	if err == nil && now.Before(from) {
		return fmt.Errorf("%w: the terms of this protection ask for %s between registration and win, which is over at %s", deal.ErrNotPossible, d.Terms.Dwell, from.Format(time.RFC3339))
	}
	return err
}

// Moved is a move with its place in time.
type Moved struct {
	deal.Move
	At time.Time  `json:"at"`
	By deal.Actor `json:"by"`
}

// LastMove returns what last happened to the registration after its current decision, its words joined; nil when nothing has.
func (e *Engine) LastMove(ctx context.Context, r *deal.Registration) (*Moved, error) {
	entry, err := e.cfg.Store.Entry(ctx, r.Version)
	if err != nil {
		return nil, err
	}
	if entry.Personal, err = e.cfg.Store.Personal(ctx, r.Version); err != nil {
		return nil, err
	}
	c, err := store.ChangeOf(&entry)
	if err != nil || c.Move == nil {
		return nil, err
	}
	return &Moved{*c.Move, entry.At, entry.Actor}, nil
}

// ended makes the entry of a window's end, and sets on r what follows. A case keeps its registration alive when only the
// hold it had meanwhile ends: from then on the hold stands in nobody's way, neither here nor in the database.
func (e *Engine) ended(r *deal.Registration, seq uint64, now time.Time) (addition, error) {
	m := &deal.Move{Event: deal.EventExpire, From: r.Status, Policy: e.view.policy.Ref()}
	if r.Status == deal.StatusEscalated {
		m.Event, r.Hold = deal.EventRelease, nil
	} else if due := r.NextMilestone(); due != nil && !now.Before(due.DueAt) && due.DueAt.Before(r.Protection.EndsAt) {
		r.Milestones = slices.Clone(r.Milestones)
		due = r.NextMilestone()
		due.MissedAt, m.Missed, m.Event = due.DueAt, due.Need, deal.EventMiss
		if due.OnMiss == deal.OnMissExpire {
			m.Event = deal.EventExpire
			ended := *r.Protection
			ended.EndsAt = due.DueAt
			r.Protection = &ended
		}
	}
	r.Status, r.Version = r.Status.After(m.Event)[0], seq
	if m.To = r.Status; m.To == deal.StatusExpired {
		m.Earned, r.AnswerBy = r.Earned(), time.Time{}
	}
	kind := deal.EventRules[m.Event].Entry
	body, err := eventBody(r)
	a := addition{
		entry:  store.Entry{Kind: kind, Subject: r.ID, Actor: deal.System, At: now},
		change: &deal.Change{Registrations: []deal.Registration{*r}, Move: m},
		events: []store.Event{{ID: deal.NewID(deal.EventID), Type: "dibs." + kind + ".v1", Subject: r.ID, Body: body}},
	}
	if err == nil && r.Status == deal.StatusExpired {
		err = e.view.leaves(&a, r, now)
	}
	return a, err
}
