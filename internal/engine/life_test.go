package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// waits is a policy under which partners have to do something in time: to complete, to accept, to bring a contract.
const waits = `apiVersion: dealreg/v1
kind: Policy
metadata: {name: waits, title: Waits}
settings:
  currency: EUR
  timezone: Europe/Berlin
  tiers: [silver, gold]
  custom: {want: {type: string}, more: {type: string}}
  calendar: {days: [mon, tue, wed, thu, fri], hours: "09:00..17:00"}
  material_change: {amount_percent: 10, keeps_place: true}
precedence: [returned, route, escalate, protect]
defaults:
  required: {reason: INCOMPLETE, keeps_place: true, answer_within: 5bd, on_silence: decline}
  escalate: {queue: desk, authority: desk, decide: 2bd, on_silence: escalate, escalate_to: director}
rules:
  - {id: keeps, when: custom.want == "keeps", then: {outcome: route, disposition: returned, reason: INCOMPLETE, needs: [amount], keeps_place: true, answer_within: 5bd, on_silence: decline}}
  - {id: further, when: custom.want == "further", then: {outcome: route, disposition: returned, reason: INCOMPLETE, needs: [customer.city], keeps_place: true, answer_within: 5bd, on_silence: decline}}
  - {id: leaves, when: custom.want == "leaves", then: {outcome: route, disposition: returned, reason: INCOMPLETE, needs: [amount], answer_within: 3bd, on_silence: escalate}}
  - {id: both, when: custom.want == "both", then: {outcome: route, disposition: returned, reason: INCOMPLETE, needs: [amount], keeps_place: true, answer_within: 3bd, on_silence: escalate}}
  - {id: silent, when: custom.want == "no clock", then: {outcome: route, disposition: returned, reason: INCOMPLETE, needs: [amount]}}
  - {id: held, when: conflict.held_by_other.found || conflict.pending_other.found, then: {outcome: route, disposition: waitlisted, of: held_by_other, reason: ALREADY_REGISTERED}}
  - {id: review, when: custom.want == "review", then: {outcome: escalate, reason: UNDER_REVIEW}}
  - {id: vendor, when: custom.want == "vendor", then: {outcome: protect, reason: PROTECTED, terms: {days: 60, condition: {days: 5, need: acceptance}}}}
  - {id: meeting, when: custom.want == "meeting", then: {outcome: protect, reason: PROTECTED, terms: {days: 60, condition: {days: 5, need: customer meeting}}}}
  - {id: protect, when: 'true', then: {outcome: protect, reason: PROTECTED, benefits: {margin: raised}, terms: {days: 60, fulfil: [contract, order], extensions: {max: 1, days: 10, needs: request}, condition: {days: 5, need: acceptance, when: promoted}}}}
`

func waiting(t testing.TB) *bench {
	b := newBench(t)
	b.people()
	b.publish(deal.PolicyDocument, waits)
	return b
}

// wants changes what a filing asks of the policy.
func wants(want string) func(deal.Filing) (deal.Filing, error) {
	return func(f deal.Filing) (deal.Filing, error) {
		f.Custom = map[string]string{"want": want}
		return f, nil
	}
}

// types lists the types of the events written with the entry seq.
func (b *bench) types(seq uint64) (out []string) {
	b.t.Helper()
	events, err := b.Store().Events(context.Background(), seq-1, 20)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, ev := range events {
		if ev.Seq == seq {
			out = append(out, strings.TrimSuffix(strings.TrimPrefix(ev.Type, "dibs."), ".v1"))
		}
	}
	return out
}

// What was returned keeps its place until the instant at which its time is over, however late the worker is; then silence decides.
func TestReturnedSilence(t *testing.T) {
	t.Parallel()
	due := time.Date(2027, 3, 8, 16, 0, 0, 0, time.UTC) // the close of the fifth business day after Monday morning
	t.Run("decline", func(t *testing.T) {
		t.Parallel()
		b := waiting(t)
		first, d := b.file(by("P-1", zanzibar, custom("want", "keeps")))
		second, _ := b.file(by("P-2", zanzibar))
		if first.Status != deal.StatusReturned || !first.AnswerBy.Equal(due) || d.Route.OnSilence != "decline" || second.Status != deal.StatusWaitlisted {
			t.Fatalf("%+v, %+v, %s", first, d.Route, second.Status)
		}
		if a := b.partner(first.ID); !a.Decision.Route.AnswerBy.Equal(due) {
			t.Errorf("the partner reads %+v", a.Decision.Route)
		}
		b.clock.set(due.Add(-time.Microsecond))
		if third, _ := b.file(by("P-3", zanzibar)); third.Status != deal.StatusWaitlisted || b.status(first.ID) != deal.StatusReturned {
			t.Errorf("before it is over: %s, %s", third.Status, b.status(first.ID))
		}
		b.clock.set(due.AddDate(0, 0, 3)) // nobody was at work
		late, _ := b.file(by("P-4", zanzibar))
		gone, _, entry := b.last(first.ID)
		next, _, after := b.last(second.ID)
		if gone.Status != deal.StatusRouted || next.Status != deal.StatusConditional || late.Status != deal.StatusWaitlisted || after.Seq != entry.Seq+1 || after.Size != entry.Size {
			t.Fatalf("%s at %d, %s at %d, %s", gone.Status, entry.Seq, next.Status, after.Seq, late.Status)
		}
		c, err := store.ChangeOf(&entry)
		if err != nil || entry.Actor != deal.System || c.Move.Event != deal.EventSilence || c.Move.From != deal.StatusReturned || c.Decision.Ruling.Cause != deal.CauseSilence {
			t.Errorf("entry %+v, %+v, %v", entry, c.Move, err)
		}
		if a := b.partner(first.ID); a.Decision.ReasonCodes[0] != deal.ReasonNotCompleted || a.Decision.Route.Disposition != deal.Declined || !a.Decision.Route.AnswerBy.IsZero() {
			t.Errorf("the partner reads %+v", a.Decision)
		}
		if _, err := b.moveWith(asPortal, first.ID, Moving{Event: deal.EventUpdate, Amend: wants("")}); !errors.Is(err, deal.ErrNotPossible) {
			t.Errorf("completed when it was over: %v", err)
		}
		b.sound()
	})
	t.Run("who completes it late meets the end first", func(t *testing.T) {
		t.Parallel()
		b := waiting(t)
		for _, want := range []string{"keeps", "leaves"} {
			r, _ := b.file(by("P-1", map[string]deal.Customer{"keeps": zanzibar, "leaves": quixotic}[want], custom("want", want)))
			b.clock.set(r.AnswerBy)
			_, err := b.moveWith(asPortal, r.ID, Moving{Event: deal.EventUpdate, Amend: wants("")})
			if s := b.status(r.ID); want == "keeps" && (!errors.Is(err, deal.ErrNotPossible) || s != deal.StatusRouted) || want == "leaves" && (err != nil || s != deal.StatusProtected) {
				t.Errorf("%s: %v, %s", want, err, s) // one that people look at by now can still be completed
			}
		}
		b.sound()
	})
	t.Run("escalate", func(t *testing.T) {
		t.Parallel()
		b := waiting(t)
		first, _ := b.file(by("P-1", zanzibar, custom("want", "leaves")))
		second, _ := b.file(by("P-2", zanzibar))
		if second.Status != deal.StatusProtected {
			t.Fatalf("beside one that keeps no place: %s", second.Status)
		}
		third, _ := b.file(by("P-3", zanzibar))
		b.clock.set(first.AnswerBy)
		b.put()
		r, _, entry := b.last(first.ID)
		k := b.caseOf(first.ID)
		if r.Status != deal.StatusEscalated || r.Place() != entry.Seq || k.Status != deal.CaseOpen || k.RegistrationID != r.ID || k.Terms.Queue != "desk" || !k.DueAt.Equal(time.Date(2027, 3, 8, 16, 0, 0, 0, time.UTC)) {
			t.Errorf("%+v, %+v", r, k)
		}
		if got := b.types(entry.Seq); !slices.Equal(got, []string{"registration.escalated", "case.opened"}) {
			t.Errorf("told of %v", got)
		}
		if a := b.partner(first.ID); a.Decision.Outcome != deal.Escalate || a.Decision.ReasonCodes[0] != deal.ReasonUnderReview {
			t.Errorf("the partner reads %+v", a.Decision)
		}
		if _, err := b.move(asOps, second.ID, deal.EventLost); err != nil || b.status(third.ID) != deal.StatusConditional {
			t.Errorf("who waited before it comes first: %s, %v", b.status(third.ID), err)
		}
		b.sound()
	})
	t.Run("escalate, in its place", func(t *testing.T) {
		t.Parallel()
		b := waiting(t)
		first, _ := b.file(by("P-1", zanzibar, custom("want", "both")))
		second, _ := b.file(by("P-2", zanzibar))
		b.clock.set(first.AnswerBy.Add(time.Hour))
		third, _ := b.file(by("P-3", zanzibar))
		r, _, _ := b.last(first.ID)
		if r.Status != deal.StatusEscalated || r.Place() != first.Sequence || b.status(second.ID) != deal.StatusWaitlisted || third.Status != deal.StatusWaitlisted {
			t.Errorf("%s at place %d of %d; behind it %s, %s", r.Status, r.Place(), first.Sequence, b.status(second.ID), third.Status)
		}
		b.done("ada", r.CaseID, routes(deal.Declined))
		if b.status(second.ID) != deal.StatusConditional || b.status(third.ID) != deal.StatusWaitlisted {
			t.Errorf("then %s, %s", b.status(second.ID), b.status(third.ID))
		}
		b.sound()
	})
	t.Run("an idle service", func(t *testing.T) {
		t.Parallel()
		b := waiting(t)
		r, _ := b.file(by("P-1", zanzibar, custom("want", "keeps")))
		untold, _ := b.file(by("P-1", quixotic, custom("want", "no clock")))
		b.clock.set(r.AnswerBy)
		for wait := time.Now(); b.status(r.ID) == deal.StatusReturned; time.Sleep(time.Millisecond) {
			if time.Since(wait) > 20*time.Second {
				t.Fatal("nobody writes that its time is over")
			}
		}
		b.clock.advance(400 * 24 * time.Hour)
		b.put()
		if s := b.status(untold.ID); s != deal.StatusReturned {
			t.Errorf("without a time it is %s", s)
		}
		b.sound()
	})
}

// Whoever leaves it incomplete gets no more time; whoever is asked for something else does. The clock survives a restart.
func TestReturnedAgain(t *testing.T) {
	t.Parallel()
	b := waiting(t)
	r, _ := b.file(by("P-1", zanzibar, custom("want", "keeps")))
	first := r.AnswerBy
	update := func(amend func(deal.Filing) (deal.Filing, error)) deal.Registration {
		t.Helper()
		b.clock.advance(24 * time.Hour)
		if _, err := b.moveWith(asPortal, r.ID, Moving{Event: deal.EventUpdate, Amend: amend}); err != nil {
			t.Fatal(err)
		}
		after, _, _ := b.last(r.ID)
		return after
	}
	if after := update(func(f deal.Filing) (deal.Filing, error) { f.Description += "!"; return f, nil }); !after.AnswerBy.Equal(first) || !after.KeepsPlace {
		t.Errorf("as incomplete as before it has until %v", after.AnswerBy)
	}
	after := update(wants("further"))
	if want := time.Date(2027, 3, 10, 16, 0, 0, 0, time.UTC); !after.AnswerBy.Equal(want) {
		t.Errorf("asked for more it has until %v", after.AnswerBy)
	}
	next, _ := b.file(by("P-2", quixotic, custom("want", "keeps")))
	b.clock.set(next.AnswerBy.Add(-time.Hour))
	if _, err := b.moveWith(asPortal, next.ID, Moving{Event: deal.EventUpdate, Amend: wants("meeting")}); err != nil {
		t.Fatal(err)
	}
	if met, _, _ := b.last(next.ID); met.Status != deal.StatusConditional || !met.Protection.EndsAt.Equal(endOfDay(b.clock.now(), 5, berlin(t))) {
		t.Errorf("completed in the last hour, its condition is to be met by %v", met.AnswerBy)
	}
	other := b.replica()
	b.clock.set(after.AnswerBy)
	other.put()
	if s := other.status(r.ID); s != deal.StatusRouted {
		t.Errorf("through another replica, which has read it from the store, it is %s", s)
	}
	b.sound()
}

// The clock of a case stands still while its registration is returned, and goes on when it is completed, in business time; also of what
// people return, who give the time that the policy gives.
func TestReviewPaused(t *testing.T) {
	t.Parallel()
	b := waiting(t)
	r, d := b.file(by("P-1", zanzibar, custom("want", "review"))) // Monday 10:00 in Berlin, to be decided by the close of Wednesday
	due := time.Date(2027, 3, 3, 16, 0, 0, 0, time.UTC)
	if !d.DueAt.Equal(due) || !b.caseOf(r.ID).DueAt.Equal(due) {
		t.Fatalf("due %v", d.DueAt)
	}
	b.clock.advance(25 * time.Hour) // Tuesday 11:00: 14 business hours are left
	k := b.done("ada", r.CaseID, Doing{Act: ActResolve, Text: "Whose budget?", Ruling: deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Returned, Needs: []string{"description"}, ReasonCode: deal.ReasonIncomplete}})
	back, _, _ := b.last(r.ID)
	if k.Outcome != "returned" || !back.KeepsPlace || !back.AnswerBy.Equal(time.Date(2027, 3, 9, 16, 0, 0, 0, time.UTC)) || back.OnSilence != "decline" {
		t.Fatalf("%+v, %+v", k, back)
	}
	b.clock.set(time.Date(2027, 3, 6, 12, 0, 0, 0, time.UTC)) // a Saturday
	if _, err := b.moveWith(asPortal, r.ID, Moving{Event: deal.EventUpdate, Amend: func(f deal.Filing) (deal.Filing, error) { f.Description = "The CIO's."; return f, nil }}); err != nil {
		t.Fatal(err)
	}
	again, _, _ := b.last(r.ID)
	// 14 hours from Monday 9:00 on are over on Tuesday at 15:00, and a business day ends at its close.
	if k := b.caseOf(r.ID); again.Status != deal.StatusEscalated || k.Status != deal.CaseOpen || !k.DueAt.Equal(time.Date(2027, 3, 9, 16, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %+v", again, k)
	}
	b.clock.set(time.Date(2027, 3, 9, 15, 30, 0, 0, time.UTC)) // half an hour is left
	b.done("ada", again.CaseID, Doing{Act: ActResolve, Text: "And when?", Ruling: deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Returned, Needs: []string{"expected_close_date"}, ReasonCode: deal.ReasonIncomplete}})
	b.clock.set(time.Date(2027, 3, 11, 9, 0, 0, 0, time.UTC))
	if _, err := b.moveWith(asPortal, r.ID, Moving{Event: deal.EventUpdate, Amend: func(f deal.Filing) (deal.Filing, error) { f.Description = "In May."; return f, nil }}); err != nil {
		t.Fatal(err)
	}
	again, d2, k2, err := b.Registration(context.Background(), r.ID)
	if due := time.Date(2027, 3, 11, 16, 0, 0, 0, time.UTC); err != nil || !k2.DueAt.Equal(due) || !d2.DueAt.Equal(due) || !again.Review.DueAt.Equal(due) {
		t.Errorf("half an hour is left of a business day, which is to its close: %v, %v, %v", k2.DueAt, d2.DueAt, err)
	}
	b.sound()
}

// What the line moves up to is held for its partner until the partner accepts it; in silence it goes to the next in line at that instant.
func TestOffered(t *testing.T) {
	t.Parallel()
	b := waiting(t)
	holder, _ := b.file(by("P-1", zanzibar))
	if holder.Status != deal.StatusProtected {
		t.Fatalf("who comes first has nothing to accept: %s", holder.Status)
	}
	second, _ := b.file(by("P-2", zanzibar))
	third, _ := b.file(by("P-3", zanzibar))
	b.clock.advance(time.Hour)
	if _, err := b.move(asPortal, holder.ID, deal.EventWithdraw); err != nil {
		t.Fatal(err)
	}
	offered, _, entry := b.last(second.ID)
	until := time.Date(2027, 3, 6, 23, 0, 0, 0, time.UTC)
	if offered.Status != deal.StatusConditional || !offered.Promoted || !offered.HoldsAt(b.clock.now()) || !offered.Protection.EndsAt.Equal(until) {
		t.Fatalf("%+v", offered)
	}
	if got := b.types(entry.Seq); !slices.Equal(got, []string{"registration.conditional", "registration.offered"}) {
		t.Errorf("told of %v", got)
	}
	if a := b.partner(second.ID); a.Decision.Protection.Condition == nil || *a.Decision.Protection.Condition != (AnswerMilestone{Need: deal.NeedAcceptance, DueAt: until}) {
		t.Errorf("the partner reads %+v", a.Decision.Protection)
	} else if !strings.HasSuffix(a.Decision.Explanation, "accept before 2027-03-06 23:00 UTC, or it goes to the next in line.") {
		t.Errorf("the partner reads %q", a.Decision.Explanation)
	}
	newcomer, _ := b.file(by("P-4", zanzibar))
	if newcomer.Status != deal.StatusWaitlisted {
		t.Errorf("a newcomer meanwhile is %s", newcomer.Status)
	}
	// A material change gives no more time to accept, and does not shorten what is to be accepted.
	if _, err := b.moveWith(asPortal, second.ID, Moving{Event: deal.EventUpdate, Amend: func(f deal.Filing) (deal.Filing, error) {
		f.Amount.Value = f.Amount.Value.Add(decimal.New(20_000, 0))
		return f, nil
	}}); err != nil {
		t.Fatal(err)
	}
	b.clock.set(until.Add(26 * time.Hour)) // nobody accepts, and nobody was at work
	if _, err := b.move(asPortal, second.ID, deal.EventAccept); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("accepted too late: %v", err)
	}
	lapsed, _, end := b.last(second.ID)
	next, _, after := b.last(third.ID)
	if lapsed.Status != deal.StatusExpired || !lapsed.Protection.EndsAt.Equal(until) || next.Status != deal.StatusConditional || after.Size != end.Size || b.status(newcomer.ID) != deal.StatusWaitlisted {
		t.Errorf("%+v, then %+v", lapsed, next)
	}
	a, err := b.move(asPortal, third.ID, deal.EventAccept)
	accepted, _, entry := b.last(third.ID)
	if end := endOfDay(next.Protection.StartsAt, 60, berlin(t)); err != nil || a.Status != deal.StatusProtected || !accepted.Protection.EndsAt.Equal(end) || !accepted.Protection.StartsAt.Equal(next.Protection.StartsAt) || !accepted.AnswerBy.IsZero() {
		t.Errorf("accepted %+v, %v", accepted.Protection, err)
	}
	if got := b.types(entry.Seq); !slices.Equal(got, []string{"registration.accepted", "registration.protected"}) || entry.Actor != asPortal {
		t.Errorf("told of %v by %v", got, entry.Actor)
	}
	// What was accepted stays accepted, whatever is changed of it.
	if _, err := b.moveWith(asOps, third.ID, Moving{Event: deal.EventUpdate, Amend: func(f deal.Filing) (deal.Filing, error) {
		f.Amount.Value = f.Amount.Value.Add(decimal.New(20_000, 0))
		return f, nil
	}}); err != nil || b.status(third.ID) != deal.StatusProtected {
		t.Errorf("changed: %s, %v", b.status(third.ID), err)
	}
	if changed, _, _ := b.last(third.ID); !changed.Protection.EndsAt.Equal(accepted.Protection.EndsAt) {
		t.Errorf("changed, it ends %v", changed.Protection.EndsAt)
	}
	if _, err := b.move(asPortal, third.ID, deal.EventAccept); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("accepted twice: %v", err)
	}
	b.sound()
}

func berlin(t *testing.T) *time.Location {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// An offer that is changed ends no later, and is as long as it was once it is accepted.
func TestOfferChanged(t *testing.T) {
	t.Parallel()
	b := waiting(t)
	first, _ := b.file(by("P-1", zanzibar))
	r, _ := b.file(by("P-2", zanzibar))
	if _, err := b.move(asOps, first.ID, deal.EventLost); err != nil {
		t.Fatal(err)
	}
	offered, _, _ := b.last(r.ID)
	b.clock.advance(48 * time.Hour)
	if _, err := b.moveWith(asPortal, r.ID, Moving{Event: deal.EventUpdate, Amend: func(f deal.Filing) (deal.Filing, error) {
		f.Amount.Value = f.Amount.Value.Add(decimal.New(20_000, 0))
		return f, nil
	}}); err != nil {
		t.Fatal(err)
	}
	if changed, _, _ := b.last(r.ID); changed.Status != deal.StatusConditional || !changed.Protection.EndsAt.Equal(offered.Protection.EndsAt) {
		t.Errorf("changed, it is to be accepted by %v, not %v", changed.Protection.EndsAt, offered.Protection.EndsAt)
	}
	a, err := b.move(asPortal, r.ID, deal.EventAccept)
	if err != nil || !a.Decision.Protection.EndsAt.Equal(endOfDay(offered.Protection.StartsAt, 60, berlin(t))) {
		t.Errorf("accepted until %v, %v", a.Decision.Protection, err)
	}
	b.sound()
}

// Who has to accept follows from the condition: the vendor what a partner filed. What waits for something else is not accepted.
func TestAcceptRefused(t *testing.T) {
	t.Parallel()
	b := waiting(t)
	r, _ := b.file(by("P-1", zanzibar, custom("want", "vendor")))
	if _, err := b.move(asPortal, r.ID, deal.EventAccept); !errors.Is(err, deal.ErrForbidden) || !strings.Contains(err.Error(), "the vendor") {
		t.Errorf("a partner accepts its own filing: %v", err)
	}
	if a, err := b.move(asOps, r.ID, deal.EventAccept); err != nil || a.Status != deal.StatusProtected {
		t.Errorf("the vendor accepts: %s, %v", a.Status, err)
	}
	other, _ := b.file(by("P-1", quixotic, custom("want", "meeting")))
	if _, err := b.move(asOps, other.ID, deal.EventAccept); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "customer meeting") {
		t.Errorf("a meeting is accepted: %v", err)
	}
	b.sound()
}

// Staff merge a registration into another: who may, into what, and what follows for the line.
func TestMerge(t *testing.T) {
	t.Parallel()
	b := waiting(t)
	merge := func(who deal.Actor, id, into string) (Answer, error) {
		return b.moveWith(who, id, Moving{Event: deal.EventMerge, Reason: "one deal", To: into})
	}
	holder, _ := b.file(by("P-1", zanzibar))
	waits, _ := b.file(by("P-2", zanzibar))
	other, _ := b.file(by("P-1", quixotic))
	behind, _ := b.file(by("P-3", quixotic))
	var wrong deal.FieldErrors
	for _, c := range []struct {
		by       deal.Actor
		id, into string
		is       error
		says     string
	}{
		{asPortal, other.ID, holder.ID, deal.ErrForbidden, "role portal"},
		{asOps, other.ID, holder.ID, deal.ErrForbidden, "--person"},
		{person("nobody"), other.ID, holder.ID, deal.ErrForbidden, "list of people"},
		{person("zoe"), other.ID, holder.ID, deal.ErrForbidden, "EUR"}, // no authority for the amount
		{person("ada"), other.ID, "reg_none", deal.ErrNotPossible, "possible are"},
		{person("ada"), holder.ID, waits.ID, deal.ErrNotPossible, waits.Number},
	} {
		if _, err := merge(c.by, c.id, c.into); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v, want %q", c.by, err, c.says)
		}
	}
	for _, into := range []string{"", other.ID} {
		if _, err := merge(person("ada"), other.ID, into); !errors.As(err, &wrong) || wrong[0].Field != "into" {
			t.Errorf("into %q: %v", into, err)
		}
	}
	if _, err := b.moveWith(person("ada"), other.ID, Moving{Event: deal.EventMerge, To: holder.ID}); !errors.As(err, &wrong) || wrong[0].Field != "reason" {
		t.Errorf("without a reason: %v", err)
	}
	b.clock.advance(time.Hour)
	a, err := merge(person("ada"), other.ID, holder.ID)
	gone, _, entry := b.last(other.ID)
	next, _, after := b.last(behind.ID)
	if err != nil || a.Status != deal.StatusMerged || a.MergedInto != holder.ID || a.Decision.ReasonCodes[0] != "MERGED" || a.Decision.Benefits != nil || gone.HoldsAt(b.clock.now()) {
		t.Errorf("merged %+v, %v", a, err)
	}
	c, err := store.ChangeOf(&entry)
	if err != nil || entry.Kind != "registration.merged" || entry.Actor != person("ada") || c.Move.Into != holder.ID || !slices.Equal(b.types(entry.Seq), []string{"registration.merged"}) {
		t.Errorf("entry %+v, %+v, %v", entry, c.Move, err)
	}
	if next.Status != deal.StatusConditional || after.Seq != entry.Seq+1 || after.Size != entry.Size {
		t.Errorf("who waited is %s", next.Status)
	}
	// Into another partner's: neither reads of the other.
	if a, err := merge(person("ada"), waits.ID, holder.ID); err != nil || a.Status != deal.StatusMerged || a.MergedInto != "" {
		t.Errorf("%+v, %v", a, err)
	}
	if h, _, _ := b.last(holder.ID); h.Version != holder.Version {
		t.Errorf("what stands for both has changed: %+v", h)
	}
	if _, err := b.move(asOps, waits.ID, deal.EventWithdraw); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "merged; possible are: reopen") || strings.Contains(err.Error(), "appeal") {
		t.Errorf("merged, it is withdrawn: %v", err)
	}
	if got := b.StandsFor(holder.ID); !slices.Equal(got, slices.Sorted(slices.Values([]string{other.ID, waits.ID}))) {
		t.Errorf("it stands for %v", got)
	}
	// One with a case: who may decide that may merge it, and the case is resolved.
	third := deal.Customer{Name: "Kormoran Werft", Country: "DE", City: "Rostock"}
	escalated, _ := b.file(by("P-1", third, custom("want", "review")))
	if _, err := merge(person("eve"), escalated.ID, holder.ID); !errors.Is(err, deal.ErrForbidden) || !strings.Contains(err.Error(), "authority desk") {
		t.Errorf("eve: %v", err)
	}
	if _, err := merge(person("bob"), escalated.ID, holder.ID); err != nil {
		t.Error(err)
	}
	k := b.caseOf(escalated.ID)
	if k.Status != deal.CaseResolved || k.Outcome != "merged" || k.RuledBy != "bob" {
		t.Errorf("its case %+v", k)
	}
	if _, err := b.do("ada", k.ID, Doing{Act: ActReopen, Text: "two deals after all"}); err != nil {
		t.Error(err)
	}
	if r, _, _ := b.last(escalated.ID); r.Status != deal.StatusEscalated || r.MergedInto != "" || r.Into != "" || !r.EndedAt.IsZero() {
		t.Errorf("reopened %+v", r)
	}
	for name, e := range map[string]*bench{"here": b, "on a replica that starts": b.replica()} {
		if got := e.StandsFor(holder.ID); !slices.Equal(got, slices.Sorted(slices.Values([]string{other.ID, waits.ID}))) {
			t.Errorf("%s it stands for %v", name, got)
		}
	}
	b.sound()
}

// Benefits are paid for what came of a protection before it ended: the win, or the end, says whether.
func TestFulfil(t *testing.T) {
	t.Parallel()
	b := waiting(t)
	show := func(who deal.Actor, id string, day string, kinds ...string) Answer {
		t.Helper()
		d, _ := deal.ParseDate(day)
		var list []deal.Evidence
		for _, k := range kinds {
			list = append(list, deal.Evidence{Kind: k, Date: d, Text: "scan"})
		}
		a, err := b.moveWith(who, id, Moving{Event: deal.EventEvidence, Evidence: list})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	here := func(n int) deal.Customer {
		return []deal.Customer{zanzibar, quixotic, {Name: "Kormoran Werft", Country: "DE", City: "Rostock"}, {Name: "Aurora Hydro ASA", Country: "NO", City: "Bergen"}}[n]
	}
	var ids []string
	for n := range 4 {
		r, _ := b.file(by("P-1", here(n)))
		ids = append(ids, r.ID)
	}
	if a := b.partner(ids[0]); len(a.Decision.Protection.Fulfil) != 2 || a.Decision.Protection.Earned != nil || len(a.Decision.Benefits) != 1 {
		t.Fatalf("the partner reads %+v", a.Decision)
	}
	b.clock.advance(48 * time.Hour)
	if a := show(asPortal, ids[0], "2027-02-20", "contract", "order"); !a.Decision.Protection.Fulfil[0].MetAt.IsZero() {
		t.Errorf("a contract of before the protection counts: %+v", a.Decision.Protection.Fulfil)
	}
	if a := show(asPortal, ids[0], "2027-03-02", "contract"); !a.Decision.Protection.Fulfil[0].MetAt.Equal(b.clock.now()) || !a.Decision.Protection.Fulfil[1].MetAt.IsZero() {
		t.Errorf("the contract: %+v", a.Decision.Protection.Fulfil)
	}
	day, _ := deal.ParseDate("2027-03-03")
	won, err := b.moveWith(asPortal, ids[0], Moving{Event: deal.EventWon, Evidence: []deal.Evidence{{Kind: "order", Date: day}}})
	if err != nil || won.Decision.Protection.Earned == nil || !*won.Decision.Protection.Earned || len(won.Decision.Benefits) != 1 {
		t.Errorf("won with contract and order: %+v, %v", won.Decision, err)
	}
	_, _, entry := b.last(ids[0])
	if c, err := store.ChangeOf(&entry); err != nil || c.Move.Earned == nil || !*c.Move.Earned || !slices.Equal(c.Move.Met, []string{"order"}) {
		t.Errorf("entry %+v, %v", c.Move, err)
	}
	won, err = b.move(asPortal, ids[1], deal.EventWon)
	if err != nil || won.Status != deal.StatusWon || *won.Decision.Protection.Earned || won.Decision.Benefits != nil {
		t.Errorf("won without: %+v, %v", won.Decision, err)
	}
	show(asOps, ids[2], "2027-03-03", "contract", "order")
	r, _, _ := b.last(ids[2])
	b.clock.set(r.Protection.EndsAt)
	b.put()
	for n, want := range map[int]bool{2: true, 3: false} {
		a := b.partner(ids[n])
		r, _, entry := b.last(ids[n])
		c, err := store.ChangeOf(&entry)
		events, err2 := b.Store().Events(context.Background(), entry.Seq-1, 1)
		if err != nil || err2 != nil || r.Status != deal.StatusExpired || *a.Decision.Protection.Earned != want || (len(a.Decision.Benefits) == 1) != want || *c.Move.Earned != want ||
			!strings.Contains(string(events[0].Body), map[bool]string{true: `"earned":true`, false: `"earned":false`}[want]) {
			t.Errorf("%d: %s, %+v, %+v, %s", n, r.Status, a.Decision, c.Move, events[0].Body)
		}
	}
	b.sound()
}
