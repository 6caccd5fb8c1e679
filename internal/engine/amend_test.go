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
	"github.com/dibs-deals/dibs/internal/policy"
)

// amends is a policy that passes over a tenth of the amount, lets material changes keep their place when it says so, and returns what has
// no description.
const amends = `apiVersion: dealreg/v1
kind: Policy
metadata: {name: amends, title: Amends}
settings:
  currency: EUR
  timezone: Europe/Berlin
  tiers: [silver, gold]
  material_change: {amount_percent: 10, keeps_place: KEEPS}
  custom: {want: {type: string}}
precedence: [route, escalate, protect]
defaults: {escalate: {queue: desk}}
required: [{field: description}]
reasons: {INCOMPLETE: {internal: Incomplete., partner: {en: Something is missing.}}}
rules:
  - {id: held, when: conflict.held_by_other.found || conflict.pending_other.found, then: {outcome: route, disposition: waitlisted, of: held_by_other, reason: ALREADY_REGISTERED}}
  - {id: review, when: custom.want == "review", then: {outcome: escalate, reason: UNDER_REVIEW}}
  - {id: protect, when: 'true', then: {outcome: protect, reason: PROTECTED, terms: {days: 30, extensions: {max: 1, days: 10}}}}
`

func amending(t *testing.T, keeps, returned string) *bench {
	b := newBench(t)
	text := strings.ReplaceAll(amends, "KEEPS", keeps)
	if returned != "" {
		text = strings.Replace(text, "defaults: {escalate: {queue: desk}}", "defaults: {escalate: {queue: desk}, required: {reason: INCOMPLETE, "+returned+"}}", 1)
	}
	b.publish(deal.PolicyDocument, text)
	return b
}

func (b *bench) update(id string, change func(*deal.Filing)) (Answer, error) {
	b.t.Helper()
	return b.moveWith(asPortal, id, Moving{Event: deal.EventUpdate, Reason: "typo", Amend: func(f deal.Filing) (deal.Filing, error) { change(&f); return f, nil }})
}

// What does not bear on the rules is recorded: words, dates, the contact, and an amount within the tolerance. The decision and the
// window stay as they are, and the personal data is the new one.
func TestUpdateRecorded(t *testing.T) {
	t.Parallel()
	b := amending(t, "false", "")
	r, d := b.file(by("P-1", zanzibar))
	b.clock.advance(time.Hour)
	for _, change := range []func(*deal.Filing){
		func(f *deal.Filing) { f.Description = "Another word" },
		func(f *deal.Filing) { f.Contact.Name, f.Contact.Email = "Ada", "ada@zanzibar.example" },
		func(f *deal.Filing) { f.ExpectedCloseDate, f.ExternalID = day("2027-07-31"), "x-1" },
		func(f *deal.Filing) { f.Amount.Value = f.Amount.Value.Mul(decimal.NewFromFloat(1.1)) },
		func(f *deal.Filing) { f.Products[0].Quantity = 9 },
	} {
		a, err := b.update(r.ID, change)
		if err != nil || a.Status != deal.StatusProtected || a.Decision.ID != d.ID || !a.Decision.Protection.EndsAt.Equal(r.Protection.EndsAt) {
			t.Errorf("%+v, %v", a, err)
		}
	}
	after, _, entry := b.last(r.ID)
	if entry.Kind != deal.EntryUpdated || after.PlaceAt != 0 || after.EmailDomain != "zanzibar.example" || strings.Contains(string(entry.Body), "Ada") || strings.Contains(string(entry.Body), "Another word") {
		t.Errorf("%+v\n%s", after, entry.Body)
	}
	whole, _, _, err := b.Registration(context.Background(), r.ID)
	if err != nil || whole.Filing.Contact.Name != "Ada" || whole.Filing.Description != "Another word" || whole.Filing.Evidence[0].Text != "met the CIO" {
		t.Errorf("reads %+v, %v", whole.Filing, err)
	}
	if m, err := b.LastMove(context.Background(), &after); err != nil || !slices.Equal(m.Changed, []string{"products"}) || m.Reason != "typo" {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := b.update(r.ID, func(*deal.Filing) {}); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("nothing changed: %v", err)
	}
	if _, err := b.update(r.ID, func(f *deal.Filing) { f.Type = "renewal" }); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "type") || !strings.Contains(err.Error(), "customer, contact") {
		t.Errorf("the type: %v", err)
	}
	if _, err := b.update(r.ID, func(f *deal.Filing) { f.Products = []deal.Product{{SKU: "SKU-none"}} }); err == nil {
		t.Error("a product that is not sold")
	}
	if _, err := b.move(asPortal, r.ID, deal.EventUpdate); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("of nothing: %v", err)
	}
	b.sound()
}

// A material change is decided again in the same commit. It keeps its place in line or loses it, as the policy says; a window that is granted
// again is no longer than it was.
func TestUpdateMaterial(t *testing.T) {
	t.Parallel()
	for _, keeps := range []string{"true", "false"} {
		t.Run(keeps, func(t *testing.T) {
			t.Parallel()
			b := amending(t, keeps, "")
			first, d := b.file(by("P-1", zanzibar))
			second, _ := b.file(by("P-2", zanzibar))
			b.clock.advance(72 * time.Hour)
			bigger := func(f *deal.Filing) { f.Amount.Value = f.Amount.Value.Mul(decimal.NewFromFloat(1.2)) }
			a, err := b.update(first.ID, bigger)
			if err != nil || a.Decision.ID == d.ID {
				t.Fatalf("%+v, %v", a, err)
			}
			after, _, entry := b.last(first.ID)
			waits, _, _ := b.last(second.ID)
			if entry.Kind != deal.EntryDecided {
				t.Errorf("entry %s", entry.Kind)
			}
			if keeps == "true" {
				if after.Status != deal.StatusProtected || waits.Status != deal.StatusWaitlisted || !after.Protection.EndsAt.Equal(first.Protection.EndsAt) || after.PlaceAt != 0 {
					t.Errorf("keeps: %s until %v, then %s", after.Status, after.Protection, waits.Status)
				}
				// Who comes to mean another customer, for whom somebody waits, is behind them.
				b.file(by("P-3", quixotic))
				b.file(by("P-4", quixotic))
				if a, err := b.update(first.ID, func(f *deal.Filing) { f.Customer = quixotic }); err != nil || a.Status != deal.StatusWaitlisted {
					t.Errorf("another customer: %s, %v", a.Status, err)
				}
				if after, _, _ := b.last(first.ID); after.PlaceAt != after.Version || !after.NotAfter.IsZero() && after.Status != deal.StatusWaitlisted {
					t.Errorf("another customer: %+v", after)
				}
				if s := b.status(second.ID); s != deal.StatusProtected {
					t.Errorf("who waited is %s", s)
				}
			} else {
				if after.Status != deal.StatusWaitlisted || waits.Status != deal.StatusProtected || after.PlaceAt != after.Version {
					t.Errorf("loses: %s, then %s", after.Status, waits.Status)
				}
				b.clock.set(waits.Protection.EndsAt)
				b.put()
				if r, _, _ := b.last(first.ID); r.Status != deal.StatusProtected || !r.Protection.LiveAt(b.clock.now()) {
					t.Errorf("in line, and then: %s %v", r.Status, r.Protection)
				}
			}
			b.sound()
		})
	}
}

// What was returned is completed by an update, which decides it: in the place it had, when the policy let it keep that, else in a new one.
func TestUpdateReturned(t *testing.T) {
	t.Parallel()
	for returned, want := range map[string][2]deal.Status{
		"keeps_place: true": {deal.StatusProtected, deal.StatusWaitlisted}, "keeps_place: false": {deal.StatusWaitlisted, deal.StatusProtected},
	} {
		t.Run(returned, func(t *testing.T) {
			t.Parallel()
			b := amending(t, "false", returned)
			first, _ := b.file(by("P-1", zanzibar, func(f *deal.Filing) { f.Description = "" }))
			if first.Status != deal.StatusReturned {
				t.Fatalf("%s", first.Status)
			}
			second, _ := b.file(by("P-2", zanzibar))
			b.clock.advance(time.Hour)
			a, err := b.update(first.ID, func(f *deal.Filing) { f.Description, f.Type = "Here it is", "expansion" })
			if err != nil || a.Status != want[0] || b.status(second.ID) != want[1] {
				t.Errorf("%s, then %s, %v", a.Status, b.status(second.ID), err)
			}
			b.sound()
		})
	}
}

// A partner's change never ends what it holds: what it would leave incomplete, or merge into another of its own, is refused, and says how to
// give a claim up. Nothing has changed then, and who waits still does.
func TestUpdateGivesNothingUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	text := strings.Replace(strings.ReplaceAll(amends, "KEEPS", "true"), "rules:\n", `rules:
  - {id: own, when: conflict.own_duplicate.found && conflict.own_duplicate.same_lines, then: {outcome: route, disposition: merged, of: own_duplicate, reason: ALREADY_YOURS}}
  - {id: sized, when: 'custom.want == "half"', then: {outcome: route, disposition: returned, to: submitter, reason: INCOMPLETE}}
`, 1)
	text = strings.Replace(text, "then: {outcome: escalate, reason: UNDER_REVIEW}", "then: {outcome: escalate, reason: UNDER_REVIEW, queue: desk, hold: {provisional: true, days: 5}}", 1)
	b.publish(deal.PolicyDocument, text)
	holds, _ := b.file(by("P-1", zanzibar))
	waits, _ := b.file(by("P-2", zanzibar))
	other, _ := b.file(by("P-1", quixotic))
	reviewed, _ := b.file(by("P-3", deal.Customer{Name: "Kormoran Werft", Country: "DE", City: "Rostock"}, custom("want", "review")))
	if !reviewed.HoldsAt(b.clock.now()) {
		t.Fatalf("%+v holds nothing while it is looked at", reviewed)
	}
	incomplete := func(f *deal.Filing) { f.Description, f.Competing = "", []string{"Rival"} }
	var wrong deal.FieldErrors
	for id, fields := range map[string]string{holds.ID: "description", reviewed.ID: "description"} {
		before, _, _ := b.last(id)
		if _, err := b.update(id, incomplete); !errors.As(err, &wrong) || wrong[0].Field != fields || !strings.Contains(wrong[0].Detail, "withdraw") {
			t.Errorf("incomplete: %v", err)
		}
		if after, _, _ := b.last(id); after.Version != before.Version {
			t.Errorf("refused, and changed: %+v", after)
		}
	}
	if _, err := b.update(holds.ID, func(f *deal.Filing) { f.Custom = map[string]string{"want": "half"} }); !errors.As(err, &wrong) || wrong[0].Field != "custom" {
		t.Errorf("returned for nothing in particular: %v", err)
	}
	if _, err := b.update(other.ID, func(f *deal.Filing) { f.Customer = zanzibar }); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "withdraw") || !strings.Contains(err.Error(), "customer") {
		t.Errorf("merged: %v", err)
	}
	if b.status(holds.ID) != deal.StatusProtected || b.status(waits.ID) != deal.StatusWaitlisted || b.status(other.ID) != deal.StatusProtected {
		t.Errorf("%s, %s, %s", b.status(holds.ID), b.status(waits.ID), b.status(other.ID))
	}
	// What holds nothing is returned as it always was, and the vendor may change what it likes.
	if a, err := b.update(waits.ID, incomplete); err != nil || a.Status != deal.StatusReturned {
		t.Errorf("who waits: %s, %v", a.Status, err)
	}
	if a, err := b.moveWith(asOps, holds.ID, Moving{Event: deal.EventUpdate, Reason: "x", Amend: func(f deal.Filing) (deal.Filing, error) { incomplete(&f); return f, nil }}); err != nil || a.Status != deal.StatusReturned {
		t.Errorf("the vendor: %s, %v", a.Status, err)
	}
	b.sound()
}

// A change in a case closes it or goes on in another one; one that does not bear on it leaves it open.
func TestUpdateEscalated(t *testing.T) {
	t.Parallel()
	b := amending(t, "true", "")
	r, _ := b.file(by("P-1", zanzibar, custom("want", "review")))
	if a, err := b.update(r.ID, func(f *deal.Filing) { f.Description = "x" }); err != nil || a.Decision.Case == nil || b.caseOf(r.ID).Status != deal.CaseOpen {
		t.Errorf("%+v, %v", a.Decision.Case, err)
	}
	was := r.CaseID
	if a, err := b.update(r.ID, func(f *deal.Filing) { f.Custom = nil }); err != nil || a.Status != deal.StatusProtected || a.Decision.Case != nil {
		t.Errorf("%+v, %v", a, err)
	}
	if k, err := b.Store().Case(context.Background(), was); err != nil || k.Status != deal.CaseResolved || k.Outcome != "protected" {
		t.Errorf("%+v, %v", k, err)
	}
	b.sound()
}

// miles is a policy with a condition and milestones, of which one ends the protection.
const miles = `apiVersion: dealreg/v1
kind: Policy
metadata: {name: miles, title: Miles}
settings: {currency: EUR, timezone: Europe/Berlin, tiers: [silver, gold], custom: {want: {type: string}}}
precedence: [route, escalate, protect]
defaults: {escalate: {queue: desk}}
rules:
  - {id: held, when: conflict.held_by_other.found || conflict.pending_other.found, then: {outcome: route, disposition: waitlisted, of: held_by_other, reason: ALREADY_REGISTERED}}
  - {id: first, when: custom.want == "condition", then: {outcome: protect, reason: PROTECTED, terms: {days: 60, condition: {days: 5, need: customer meeting}}}}
  - {id: judged, when: custom.want == "judged", then: {outcome: protect, reason: PROTECTED, terms: {days: 60, condition: {days: 5, need: acceptance}}}}
  - {id: protect, when: 'true', then: {outcome: protect, reason: PROTECTED, terms: {days: 60, milestones: [{days: 5, need: activity}, {days: 30, need: meeting, on_miss: expire}]}}}
`

func (b *bench) show(by deal.Actor, id, kind string) (Answer, error) {
	b.t.Helper()
	return b.moveWith(by, id, Moving{Event: deal.EventEvidence, Evidence: []deal.Evidence{{Kind: kind, Date: deal.Date{Time: b.clock.now().Truncate(24 * time.Hour)}, Text: "secret"}}})
}

// A conditional protection becomes a whole one when its condition is met: by the evidence it names, or by what staff judge.
func TestCondition(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish(deal.PolicyDocument, miles)
	r, d := b.file(by("P-1", zanzibar, custom("want", "condition")))
	judged, _ := b.file(by("P-1", quixotic, custom("want", "judged")))
	if r.Status != deal.StatusConditional {
		t.Fatalf("%s", r.Status)
	}
	if text := b.partner(r.ID).Decision.Explanation; !strings.HasPrefix(text, d.Texts.Partner+" ") || !strings.HasSuffix(text, "conditional: it ends "+r.Protection.EndsAt.UTC().Format("2006-01-02 15:04")+" UTC unless you show this before: customer meeting.") {
		t.Errorf("the partner reads %q", text)
	}
	b.clock.advance(72 * time.Hour)
	if a, err := b.show(asPortal, r.ID, "letter"); err != nil || a.Status != deal.StatusConditional {
		t.Errorf("a letter: %s, %v", a.Status, err)
	}
	if a, err := b.moveWith(asPortal, r.ID, Moving{Event: deal.EventEvidence, Evidence: []deal.Evidence{{Kind: "meeting", Date: day("2027-02-01")}}}); err != nil || a.Status != deal.StatusConditional {
		t.Errorf("a meeting of before: %s, %v", a.Status, err)
	}
	a, err := b.show(asPortal, r.ID, "meeting")
	if want := endOfDay(start, 60, b.policy().Timezone); err != nil || a.Status != deal.StatusProtected || !a.Decision.Protection.EndsAt.Equal(want) || a.Decision.ID != d.ID || a.Decision.Explanation != d.Texts.Partner {
		t.Errorf("a meeting: %+v, %v", a, err)
	}
	after, _, entry := b.last(r.ID)
	if strings.Contains(string(entry.Body), "secret") || len(after.Filing.Evidence) != 4 {
		t.Errorf("%d pieces of evidence: %s", len(after.Filing.Evidence), entry.Body)
	}
	if m, err := b.LastMove(context.Background(), &after); err != nil || !slices.Equal(m.Met, []string{"customer meeting"}) || m.Evidence[0].Text != "secret" || m.To != deal.StatusProtected {
		t.Errorf("%+v, %v", m, err)
	}
	if a, err := b.show(asPortal, judged.ID, "letter"); err != nil || a.Status != deal.StatusConditional {
		t.Errorf("a partner judges: %s, %v", a.Status, err)
	}
	if a, err := b.show(asOps, judged.ID, "other"); err != nil || a.Status != deal.StatusProtected {
		t.Errorf("staff judge: %s, %v", a.Status, err)
	}
	var wrong deal.FieldErrors
	if _, err := b.move(asPortal, r.ID, deal.EventEvidence); !errors.As(err, &wrong) || wrong[0].Field != "evidence" {
		t.Errorf("none: %v", err)
	}
	many := Moving{Event: deal.EventEvidence, Evidence: slices.Repeat([]deal.Evidence{{Kind: "letter"}}, deal.MaxEvidence-3)}
	if _, err := b.moveWith(asOps, r.ID, many); !errors.As(err, &wrong) {
		t.Errorf("too many: %v", err)
	}
	b.sound()
}

// A milestone that is met is met; one that is missed is told of, or ends the protection at its instant, late as the worker may be.
func TestMilestones(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish(deal.PolicyDocument, miles)
	met, _ := b.file(by("P-1", zanzibar))
	missed, _ := b.file(by("P-1", quixotic))
	next, _ := b.file(by("P-2", quixotic))
	zone := b.policy().Timezone
	if m := met.Milestones; len(m) != 2 || !m[0].DueAt.Equal(endOfDay(start, 5, zone)) || !m[1].DueAt.Equal(endOfDay(start, 30, zone)) {
		t.Fatalf("%+v", m)
	}
	b.clock.advance(48 * time.Hour)
	if a, err := b.show(asPortal, met.ID, "meeting"); err != nil || a.Status != deal.StatusProtected {
		t.Fatal(a, err)
	}
	if r, _, _ := b.last(met.ID); r.NextMilestone() != nil || r.Milestones[1].MetAt.IsZero() {
		t.Errorf("%+v", r.Milestones)
	}
	b.clock.set(endOfDay(start, 5, zone))
	b.put()
	r, _, entry := b.last(missed.ID)
	if entry.Kind != "registration.milestone_missed" || r.Status != deal.StatusProtected || !r.Milestones[0].MissedAt.Equal(b.clock.now()) || !r.HoldsAt(b.clock.now()) {
		t.Errorf("%s: %+v", entry.Kind, r)
	}
	at := endOfDay(start, 30, zone)
	b.clock.set(at.Add(-time.Microsecond))
	if s := b.status(missed.ID); s != deal.StatusProtected {
		t.Errorf("the moment before it is %s", s)
	}
	b.clock.set(at.Add(24 * time.Hour)) // nobody was at work
	late, _ := b.file(by("P-3", quixotic))
	r, _, _ = b.last(missed.ID)
	if r.Status != deal.StatusExpired || !r.Protection.EndsAt.Equal(at) || b.status(next.ID) != deal.StatusProtected || late.Status != deal.StatusWaitlisted {
		t.Errorf("%s until %v, then %s, a newcomer %s", r.Status, r.Protection.EndsAt, b.status(next.ID), late.Status)
	}
	if m, err := b.LastMove(context.Background(), &r); err != nil || m.Missed != "meeting" || m.Event != deal.EventExpire {
		t.Errorf("%+v, %v", m, err)
	}
	b.clock.set(endOfDay(start, 200, zone)) // for long
	b.file(by("P-4", zanzibar, undated))
	if s := b.status(met.ID); s != deal.StatusExpired {
		t.Errorf("long after: %s", s)
	}
	long, _ := b.file(by("P-1", deal.Customer{Name: "Kormoran Werft", Country: "DE", City: "Rostock"}, undated))
	behind, _ := b.file(by("P-2", deal.Customer{Name: "Kormoran Werft", Country: "DE", City: "Rostock"}, undated))
	b.clock.advance(400 * 24 * time.Hour)
	b.put()
	if x, y := b.status(long.ID), b.status(behind.ID); x != deal.StatusExpired || y != deal.StatusProtected {
		t.Errorf("a milestone and the end at once: %s, %s", x, y)
	}
	b.sound()
}

func undated(f *deal.Filing) { f.ExpectedCloseDate = deal.Date{} }

func (b *bench) policy() policy.Settings {
	return read(b.Engine, func(v *view) policy.Settings { return v.policy.Settings() })
}

// A claim becomes another partner's in the place and the window it has, when the rules protect it for that one too.
func TestTransfer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish(deal.PolicyDocument, strings.Replace(miles, "  - {id: first,", `  - {id: silver, when: partner.tier == "silver", then: {outcome: route, disposition: declined, reason: NOT_ELIGIBLE}}
  - {id: first,`, 1))
	b.put(&deal.Partner{ID: "P-S", Name: "Silver", Tier: "silver", Status: "active"})
	r, d := b.file(by("P-1", zanzibar))
	waits, _ := b.file(by("P-2", zanzibar))
	b.clock.advance(72 * time.Hour)
	b.show(asPortal, r.ID, "meeting")
	give := func(by deal.Actor, id, to string) (Answer, error) {
		return b.moveWith(by, id, Moving{Event: deal.EventTransfer, Reason: "They have merged", To: to})
	}
	var wrong deal.FieldErrors
	for _, to := range []string{"", "P-1", "P-none"} {
		if _, err := give(asOps, r.ID, to); !errors.As(err, &wrong) || wrong[0].Field != "partner_id" {
			t.Errorf("to %q: %v", to, err)
		}
	}
	if _, err := give(asPortal, r.ID, "P-3"); !errors.Is(err, deal.ErrForbidden) {
		t.Errorf("by a partner: %v", err)
	}
	if _, err := give(asOps, r.ID, "P-S"); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "NOT_ELIGIBLE") {
		t.Errorf("to who may not have it: %v", err)
	}
	a, err := give(asOps, r.ID, "P-3")
	if err != nil || a.PartnerID != "P-3" || a.Status != deal.StatusProtected || a.Decision.ID == d.ID || !a.Decision.Protection.EndsAt.Equal(r.Protection.EndsAt) || a.Decision.Protection.Milestones[1].MetAt.IsZero() {
		t.Errorf("%+v, %v", a, err)
	}
	after, _, entry := b.last(r.ID)
	if after.Place() != r.Sequence || b.status(waits.ID) != deal.StatusWaitlisted {
		t.Errorf("place %d, who waits is %s", after.Place(), b.status(waits.ID))
	}
	if m, err := b.LastMove(context.Background(), &after); err != nil || m.Before != "P-1" || m.Reason != "They have merged" {
		t.Errorf("%+v, %v", m, err)
	}
	events, err := b.Store().Events(context.Background(), entry.Seq-1, 10)
	if err != nil || len(events) != 2 {
		t.Fatalf("%+v, %v", events, err)
	}
	for _, ev := range events {
		want := map[string]string{"dibs.registration.protected.v1": "P-3", "dibs.registration.transferred.v1": "P-1"}[ev.Type]
		if ev.PartnerID != want || want == "P-1" && strings.Contains(string(ev.Body), "P-3") {
			t.Errorf("%s is for %s: %s", ev.Type, ev.PartnerID, ev.Body)
		}
	}
	b.sound()
}

// Steps that are each passed over add up: the rules are asked again once they come to more, from what was decided, than the policy passes over. A decision
// begins anew, and a step back is none.
func TestUpdateStepsAddUp(t *testing.T) {
	t.Parallel()
	b := amending(t, "true", "")
	worth := func(n int64) func(*deal.Filing) {
		return func(f *deal.Filing) { f.Amount = deal.Money{Value: decimal.NewFromInt(n), Currency: "EUR"} }
	}
	r, d := b.file(by("P-1", zanzibar, worth(100_000)))
	b.clock.advance(time.Hour)
	for _, c := range []struct {
		to      int64
		decided bool
	}{{109_000, false}, {91_000, false}, {110_000, false}, {110_001, true}, {121_001, false}, {122_000, true}, {105_000, true}} {
		a, err := b.update(r.ID, worth(c.to))
		if err != nil || (a.Decision.ID != d.ID) != c.decided {
			t.Errorf("to %d: decided again %t, want %t, %v", c.to, a.Decision.ID != d.ID, c.decided, err)
		}
		d.ID = a.Decision.ID
	}
	if _, err := b.update(r.ID, func(f *deal.Filing) {
		f.Products[0].Amount = deal.Money{Value: decimal.NewFromInt(900_000), Currency: "EUR"}
	}); err != nil {
		t.Fatal(err)
	}
	if after, _, _ := b.last(r.ID); after.DecisionID == d.ID {
		t.Error("positions that are worth more than the deal are passed over")
	}
	b.sound()
}
