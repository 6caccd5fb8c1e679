package engine

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/policy"
	"github.com/dibs-deals/dibs/internal/store"
)

// A case is the file of one dispute. Its entries change the case; what decides it goes through ruling.go. Its clocks run
// out like windows do: every commit looks first, and whoever is idle.

// newCase opens a case on r, whose clocks run by the policy's calendar.
func newCase(id, kind string, r *deal.Registration, terms deal.CaseTerms, set policy.Settings, now time.Time, seq uint64) deal.Case {
	k := deal.Case{ID: id, Kind: kind, RegistrationID: r.ID, PartnerID: r.Filing.PartnerID, Status: deal.CaseOpen, Terms: terms, OpenedAt: now, Version: seq}
	k.AcknowledgeBy = after(set, now, terms.Acknowledge)
	startClock(&k, after(set, now, terms.Decide), now)
	return k
}

// after returns the instant a term after now; zero when there is no term.
func after(set policy.Settings, now time.Time, term string) time.Time {
	if term == "" {
		return time.Time{}
	}
	t, err := set.Calendar.Add(now, term)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// startClock gives a case its time to decide, from now until due. A term of no length is none.
func startClock(k *deal.Case, due, now time.Time) {
	k.DueAt, k.WarnAt, k.Overdue = due, time.Time{}, false
	if !k.DueAt.After(now) {
		k.DueAt = time.Time{}
		return
	}
	k.WarnAt = now.Add(k.DueAt.Sub(now) * 3 / 4).Truncate(time.Microsecond)
}

// resume lets the clocks of a case that waited for the partner run on, as of an instant.
func (v *view) resume(k *deal.Case, at time.Time) {
	cal := v.policy.Settings().Calendar
	k.Resume(func(t time.Time) time.Time {
		return cal.Later(t, k.PausedAt, at, k.Terms.Decide).Truncate(time.Microsecond)
	})
}

// paused returns the clock of the case of r, which stands still from now on because r is returned; nil when it has none, or it has run out.
func (v *view) paused(r *deal.Registration, now time.Time) *deal.ReviewClock {
	k := v.cases[r.CaseID]
	switch {
	case k == nil || k.Kind != deal.CaseEscalation:
		return nil
	case k.RegistrationID != r.ID:
		return r.Review
	}
	own := *k
	if v.resume(&own, now); own.Overdue || !own.DueAt.After(now) {
		return nil
	}
	return &deal.ReviewClock{DueAt: own.DueAt, Decide: own.Terms.Decide}
}

// caseID names the case that a decision opens. A partner whose registration joined another's case reads the name its own would
// have had.
func caseID(decision string) string {
	return deal.CaseID + strings.TrimPrefix(decision, deal.DecisionID)
}

// file is the case of an escalated registration: that of the dispute, if one is open, which the registration joins, else a new one.
func (v *view) file(r *deal.Registration, d *deal.Decision, now time.Time) (k deal.Case, joined bool) {
	for _, c := range d.Conflicts {
		switch c.Kind {
		case deal.HeldByOther, deal.PendingOther, deal.OwnDuplicate:
		default:
			continue
		}
		other := v.claims[c.With]
		if other == nil || v.cases[other.CaseID] == nil || v.cases[other.CaseID].Kind != deal.CaseEscalation {
			continue
		}
		k = *v.cases[other.CaseID]
		k.Also = append(slices.Clone(k.Also), r.ID)
		k.Terms.FourEyes = k.Terms.FourEyes || d.Case.FourEyes
		k.Version = d.Sequence
		return k, true
	}
	k = newCase(caseID(d.ID), deal.CaseEscalation, r, *d.Case, v.policy.Settings(), now, d.Sequence)
	startClock(&k, d.DueAt, now) // which may be sooner: what was returned out of a case comes back with the time it had
	k.ReasonCodes, k.Conflicts, k.Summary = d.ReasonCodes, kindsOf(d.Conflicts), d.Texts.Internal
	return k, false
}

// kindsOf lists the kinds of conflict there are, each once.
func kindsOf(cs []deal.Conflict) (out []deal.ConflictKind) {
	for _, c := range cs {
		if !slices.Contains(out, c.Kind) {
			out = append(out, c.Kind)
		}
	}
	return out
}

// left returns the open case of a registration after it is decided or over, and who else is in it and has to be decided again. nil:
// it has none.
func (v *view) left(r *deal.Registration, outcome deal.Status, now time.Time, seq uint64) (k *deal.Case, others []string) {
	open := v.cases[r.CaseID]
	if open == nil || !slices.Contains(open.Members(), r.ID) {
		return nil, nil
	}
	k = new(*open)
	k.Version = seq
	if k.RegistrationID != r.ID {
		k.Also = slices.DeleteFunc(slices.Clone(k.Also), func(id string) bool { return id == r.ID })
		return k, nil
	}
	v.resume(k, now) // nobody waits for the partner's answer any more
	k.Status, k.Outcome, k.ResolvedAt, k.Proposal = deal.CaseResolved, string(outcome), now, nil
	return k, k.Also
}

// putCase keeps an open case and its next clock, and forgets one that is resolved.
func (v *view) putCase(k *deal.Case) {
	if k.Status != deal.CaseOpen {
		delete(v.cases, k.ID)
		return
	}
	v.cases[k.ID] = k
	if at := k.NextClock(); !at.IsZero() {
		heap.Push(&v.clocks, end{at, k.ID})
	}
}

// popClock takes the case whose clock ran out first, as of now; nil when none did.
func (v *view) popClock(now time.Time) *deal.Case {
	for len(v.clocks) > 0 && !now.Before(v.clocks[0].at) {
		c := heap.Pop(&v.clocks).(end)
		if k := v.cases[c.id]; k != nil && k.NextClock().Equal(c.at) {
			return k
		}
	}
	return nil
}

// dueCase returns the open case with the id if a clock of it has run out at now and nobody is about to write what follows; else nil.
func (v *view) dueCase(id string, now time.Time) *deal.Case {
	if !v.lapsed(id, now) || slices.Contains(v.ticking, id) {
		return nil
	}
	return v.cases[id]
}

// lapsed reports whether there is an open case with the id of which a clock has run out.
func (v *view) lapsed(id string, now time.Time) bool {
	k := v.cases[id]
	if k == nil {
		return false
	}
	at := k.NextClock()
	return !at.IsZero() && !now.Before(at)
}

// ripen has written, before a case or a registration is read, what follows from a clock of its case that has run out. Whoever cannot commit
// reads what is recorded.
func (e *Engine) ripen(ctx context.Context, id string) {
	now := e.now()
	if read(e, func(v *view) bool {
		claim := v.claims[id]
		return v.lapsed(id, now) || claim != nil && v.lapsed(claim.CaseID, now)
	}) {
		_, _ = e.submit(ctx, Request{Actor: deal.System}, func(time.Time) ([]addition, error) { return nil, nil }, id)
	}
}

// ring writes what follows for cases whose clocks have run out, the first first: about endsAtOnce of them.
func (e *Engine) ring(b *store.Batch, now time.Time) error {
	for range endsAtOnce {
		k := e.view.popClock(now)
		if k == nil {
			break
		}
		if err := e.tick(b, *k, now); err != nil {
			return err
		}
	}
	return nil
}

// tick writes what follows from the clock of k that ran out first. It puts that clock off, or stops it.
func (e *Engine) tick(b *store.Batch, k deal.Case, now time.Time) error {
	e.view.ticking = append(e.view.ticking, k.ID)
	defer func() { e.view.ticking = e.view.ticking[:len(e.view.ticking)-1] }()
	at := k.NextClock()
	set := e.view.policy.Settings()
	k.Version = b.NextSeq()
	var kind string
	switch {
	case at.Equal(k.SnoozedUntil):
		kind, k.SnoozedUntil = deal.EntryWoken, time.Time{}
	case !k.PausedAt.IsZero():
		kind = deal.EntryUnanswered
		e.view.resume(&k, at) // not now: whoever is late to notice gives nobody more time
	case at.Equal(k.AcknowledgeBy):
		kind, k.AcknowledgeBy = deal.EntryUnacknowledged, time.Time{}
	case at.Equal(k.WarnAt):
		kind, k.WarnAt = deal.EntryWarned, time.Time{}
	default:
		done, err := e.silence(b, k.ID, now)
		if done || err != nil {
			return err
		}
		open := e.view.cases[k.ID]
		if open == nil {
			return nil
		}
		k = *open // others may have joined it meanwhile
		k.Version = b.NextSeq()
		if up := k.Terms.EscalateTo; up != "" && up != k.Terms.Queue {
			kind = deal.EntryRaised
			k.Terms.Queue, k.Terms.Authority, k.Assignee, k.Proposal = up, up, "", nil
			k.Raised++
			startClock(&k, after(set, now, k.Terms.Decide), now)
		} else {
			kind, k.Overdue = deal.EntryOverdue, true
		}
	}
	a, err := caseEntry(kind, k, nil)
	if err != nil {
		return err
	}
	a.entry.At, a.entry.Actor = now, deal.System
	return e.add(b, a)
}

// silence decides a case as the policy says when nobody has. It reports false when that is to send it up, or when what it would
// grant cannot be granted.
func (e *Engine) silence(b *store.Batch, id string, now time.Time) (bool, error) {
	k := e.view.cases[id]
	ruling := deal.Ruling{RegistrationID: k.RegistrationID, Cause: deal.CauseSilence}
	switch k.Terms.OnSilence {
	case "grant":
		ruling.Resolution, ruling.ReasonCode = deal.ResolveProtect, deal.ReasonProtected
	case "decline":
		ruling.Resolution, ruling.Disposition, ruling.To, ruling.ReasonCode = deal.ResolveRoute, deal.Declined, deal.ToSubmitter, deal.ReasonNotInTime
	default:
		return false, nil
	}
	a, err := e.byItself(b, now, func(now time.Time) (addition, error) {
		open := e.view.cases[id]
		if open == nil {
			return addition{}, errNoCase(id)
		}
		return e.ruled(open, ruling, &deal.Move{Event: deal.EventSilence}, deal.System, now)
	})
	if errors.Is(err, errBatch) {
		return false, err
	}
	if err != nil {
		e.log.Warn("a case could not be decided as the policy says of silence; it is sent up", "case", k.ID, "cause", err)
		return false, nil
	}
	return true, e.append(b, a, now)
}

// byItself derives an entry that the service writes of its own accord, after what it rests on.
func (e *Engine) byItself(b *store.Batch, now time.Time, write func(now time.Time) (addition, error)) (addition, error) {
	additions, err := e.derive(b, &proposal{apply: func(now time.Time) ([]addition, error) {
		a, err := write(now)
		return []addition{a}, err
	}}, now)
	if err != nil {
		return addition{}, err
	}
	a := additions[0]
	a.entry.At, a.entry.Actor = now, deal.System
	return a, nil
}

// uncompleted decides what was returned and was not completed in time, as the policy says of silence.
func (e *Engine) uncompleted(b *store.Batch, id string, now time.Time) error {
	r := e.view.runs(id)
	if r == nil || r.Status != deal.StatusReturned || now.Before(r.AnswerBy) {
		return nil // completed by what came before it in the batch
	}
	ruling := deal.Ruling{RegistrationID: id, Cause: deal.CauseSilence, Resolution: deal.ResolveRoute, Disposition: deal.Declined, To: deal.ToSubmitter, ReasonCode: deal.ReasonNotCompleted}
	if r.OnSilence == deal.OnSilenceEscalate {
		ruling = deal.Ruling{RegistrationID: id, Cause: deal.CauseSilence, Resolution: deal.ResolveEscalate, ReasonCode: deal.ReasonUnderReview}
	}
	a, err := e.byItself(b, now, func(now time.Time) (addition, error) {
		return e.ruled(nil, ruling, &deal.Move{Event: deal.EventSilence}, deal.System, now)
	})
	if errors.Is(err, errBatch) {
		return err
	}
	if err != nil { // it stays returned; the others are not made to wait for it
		e.log.Error("what was returned and not completed could not be decided as the policy says of silence", "registration", id, "error", err)
		return nil
	}
	return e.append(b, a, now)
}

// caseEntry makes the entry of something that happened to a case and leaves its registrations as they are.
func caseEntry(kind string, k deal.Case, n *deal.Note) (addition, error) {
	body, err := json.Marshal(k)
	if err != nil {
		return addition{}, err
	}
	return addition{
		entry:  store.Entry{Kind: kind, Subject: k.ID},
		change: &deal.Change{Cases: []deal.Case{k}, Note: n},
		events: []store.Event{{ID: deal.NewID(deal.EventID), Type: "dibs." + kind + ".v1", Subject: k.ID, Body: body}},
	}, nil
}

// closed adds to an addition that r has left its case: the case as it is then, the event of it, and who is to be decided again.
func (v *view) closed(a *addition, r *deal.Registration, by deal.Actor, now time.Time) error {
	if err := v.leaves(a, r, now); err != nil {
		return err
	}
	k, others := v.left(r, r.Status, now, r.Version)
	if k == nil {
		return nil
	}
	a.again = others
	a.change.Cases = append(a.change.Cases, *k)
	if k.Status != deal.CaseResolved {
		return nil
	}
	kept := &a.change.Cases[len(a.change.Cases)-1]
	kept.RuledBy = by.PersonID
	if d := a.change.Decision; d != nil {
		kept.Ruling = d.Ruling
	}
	return a.tells(kept, "resolved")
}

// tells adds the event that something has happened to a case.
func (a *addition) tells(k *deal.Case, what string) error {
	body, err := json.Marshal(k)
	a.events = append(a.events, store.Event{ID: deal.NewID(deal.EventID), Type: "dibs.case." + what + ".v1", Subject: k.ID, Body: body})
	return err
}

// appealable returns why what was decided of r cannot be appealed at now, or nil.
func (v *view) appealable(r *deal.Registration, d *deal.Decision, now time.Time) error {
	switch {
	case v.cases[r.CaseID] != nil:
		return fmt.Errorf("%w: the registration is under review already", deal.ErrNotPossible)
	case d.Appeal == nil:
		return fmt.Errorf("%w: what was decided cannot be appealed", deal.ErrNotPossible)
	case d.Appeal.Within != "":
		until, err := v.policy.Settings().Calendar.Add(d.At, d.Appeal.Within)
		if err != nil {
			return err
		}
		if !now.Before(until) {
			return fmt.Errorf("%w: it could be appealed within %s, until %s", deal.ErrNotPossible, d.Appeal.Within, until.Format(time.RFC3339))
		}
	}
	return nil
}

// asked reports whether somebody waits for the partner's answer to r.
func (v *view) asked(r *deal.Registration) bool {
	k := v.cases[r.CaseID]
	return k != nil && !k.PausedAt.IsZero() && k.RegistrationID == r.ID
}

// outOfQuestion returns what the status of r would allow, and what was decided of it does not: nobody is told that it is possible.
func (v *view) outOfQuestion(r *deal.Registration, d *deal.Decision, by deal.Actor, now time.Time) (out []deal.Event) {
	if v.appealable(r, d, now) != nil {
		out = append(out, deal.EventAppeal)
	}
	if !v.asked(r) {
		out = append(out, deal.EventRespond)
	}
	if acceptable(d, by) != nil {
		out = append(out, deal.EventAccept)
	}
	return out
}

// partnerActs returns the case of a registration after its partner has appealed, or answered what it was asked.
func (v *view) partnerActs(r *deal.Registration, d *deal.Decision, file *deal.Case, m *deal.Move, now time.Time) (deal.Case, error) {
	if m.Event == deal.EventRespond {
		if !v.asked(r) {
			return deal.Case{}, fmt.Errorf("%w: nobody waits for an answer to this registration", deal.ErrNotPossible)
		}
		k := *v.cases[r.CaseID]
		v.resume(&k, now)
		k.Version = r.Version
		return k, nil
	}
	set := v.policy.Settings()
	if err := v.appealable(r, d, now); err != nil {
		return deal.Case{}, err
	}
	terms := v.policy.Review()
	terms.OnSilence = "escalate" // an appeal is heard
	k := newCase(deal.NewID(deal.CaseID), deal.CaseAppeal, r, terms, set, now, r.Version)
	k.ReasonCodes, k.Conflicts, k.Summary = d.ReasonCodes, kindsOf(d.Conflicts), "Appeal against: "+d.Texts.Internal
	if file != nil && file.RuledBy != "" {
		k.Recused = []string{file.RuledBy}
	}
	r.CaseID = k.ID
	return k, nil
}

// again decides those who were in a case with one that is decided, by the rules, in the order of filing.
func (e *Engine) again(b *store.Batch, ids []string, now time.Time) error {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(x, y string) int {
		a, b := e.view.claims[x], e.view.claims[y]
		if a == nil || b == nil {
			return strings.Compare(x, y)
		}
		return cmp.Compare(a.Place(), b.Place())
	})
	for _, id := range ids {
		if c := e.view.claims[id]; c != nil && c.Status == deal.StatusEscalated {
			if err := e.decideAgain(b, c, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// decideAgain decides a claim by the rules, on the facts of now, and writes what came out, unless it waits in line and has to
// wait on.
func (e *Engine) decideAgain(b *store.Batch, claim *deal.Registration, now time.Time) error {
	r := *claim
	r.DecisionID, r.Status, r.Review = deal.NewID(deal.DecisionID), deal.StatusReceived, nil
	r.Promoted = r.Promoted || claim.Status == deal.StatusWaitlisted
	a, err := e.byItself(b, now, func(now time.Time) (addition, error) {
		if c := e.view.claims[r.ID]; c == nil || c.Version != claim.Version {
			return addition{}, errMoved
		}
		return e.decided(r, search(e.view, ask(e.view, &r)), now)
	})
	switch {
	case errors.Is(err, errBatch):
		return err
	case errors.Is(err, errMoved): // what it rested on was written first, and has moved it on
		return nil
	}
	if err != nil { // one that cannot be decided keeps its place; the others are not made to wait for it
		e.log.Error("one in line could not be decided again", "registration", r.ID, "error", err)
		return nil
	}
	if after := &a.change.Registrations[0]; claim.Status == deal.StatusWaitlisted && after.Status == deal.StatusWaitlisted && after.CustomerRef == claim.CustomerRef &&
		!slices.ContainsFunc(after.Behind, func(key string) bool { return !slices.Contains(claim.Behind, key) }) {
		return nil // where its turn may come from is known
	}
	return e.append(b, a, now)
}

// append adds one entry, and what follows from it.
func (e *Engine) append(b *store.Batch, a addition, now time.Time) error {
	if err := e.add(b, a); err != nil {
		return err
	}
	return e.follows(b, a, now)
}

// follows writes what follows from an entry for others.
func (e *Engine) follows(b *store.Batch, a addition, now time.Time) error {
	if err := e.again(b, a.again, now); err != nil {
		return err
	}
	if a.frees != "" {
		if err := e.promote(b, a.frees, now); err != nil {
			return err
		}
	}
	for _, key := range a.lines {
		if err := e.promote(b, key, now); err != nil {
			return err
		}
	}
	if a.won != nil {
		if err := e.closeLine(b, a.won, now); err != nil {
			return err
		}
	}
	for _, id := range a.revokes {
		if err := e.revoke(b, id, a.entry.Actor, now); err != nil {
			return err
		}
	}
	for _, id := range a.standing {
		if err := e.stands(b, id, now); err != nil {
			return err
		}
	}
	return nil
}

// closeLine tells those who wait for what was won that they wait for nothing, unless somebody else holds it too, or what else they may be.
func (e *Engine) closeLine(b *store.Batch, won *deal.Registration, now time.Time) error {
	v := e.view
	set := v.policy.Settings()
	scope := scopeOf(v, won, won.CustomerRef, set)
	for _, id := range v.lineOf(won.CustomerRef.Key()) {
		c := v.claims[id]
		if c == nil || c.Status != deal.StatusWaitlisted {
			continue
		}
		own := scopeOf(v, c, c.CustomerRef, set)
		if !own.Overlap(scope).Meets || slices.ContainsFunc(append([]string{own.Customer.Key()}, c.Behind...), func(key string) bool {
			return len(holdersOf(v, key, c, own, now, true)) > 0
		}) {
			continue
		}
		ruling := deal.Ruling{RegistrationID: id, Resolution: deal.ResolveRoute, Disposition: deal.Declined, To: deal.ToSubmitter, ReasonCode: deal.ReasonClosedWon, Cause: deal.CauseWon}
		a, err := e.byItself(b, now, func(now time.Time) (addition, error) {
			return e.ruled(nil, ruling, &deal.Move{Event: deal.EventClose}, deal.System, now)
		})
		if errors.Is(err, errBatch) {
			return err
		}
		if err != nil {
			e.log.Error("one who waited for a deal that is won could not be told", "registration", id, "error", err)
			continue
		}
		if err := e.append(b, a, now); err != nil {
			return err
		}
	}
	return nil
}

// forget takes a person who has left out of the cases: they fall to their queues.
func (v *view) forget(people []string, seq uint64) []deal.Case {
	var out []deal.Case
	for _, k := range v.cases {
		if k.Assignee != "" && slices.Contains(people, k.Assignee) {
			free := *k
			free.Assignee, free.Version = "", seq
			out = append(out, free)
		}
	}
	slices.SortFunc(out, func(a, b deal.Case) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// errNoCase says that nothing can be done to a case any more.
func errNoCase(id string) error {
	return fmt.Errorf("%w: case %s is resolved; it can be reopened", deal.ErrNotPossible, id)
}
