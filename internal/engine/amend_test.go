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
