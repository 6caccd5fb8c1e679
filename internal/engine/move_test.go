package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// lives is a policy under which a filing says what becomes of it, and a second claim waits in line.
const lives = `apiVersion: dealreg/v1
kind: Policy
metadata: {name: lives, title: Lives}
settings:
  currency: EUR
  timezone: Europe/Berlin
  tiers: [silver, gold]
  custom: {want: {type: string}}
precedence: [route, escalate, protect]
reasons:
  NOT_ELIGIBLE: {partner: Not for you., internal: Not eligible., appeal: true}
  ALREADY_YOURS: {partner: Yours., internal: The partner's own., appeal: true}
  ALREADY_REGISTERED: {partner: Registered already., internal: Held., appeal: true}
defaults: {escalate: {queue: desk, acknowledge: 3d, decide: 8d}}
rules:
  - {id: referred, when: custom.want == "routed", then: {outcome: route, disposition: referred, to: queue, queue: desk, reason: NOT_ELIGIBLE}}
  - {id: merged, when: custom.want == "merged", then: {outcome: route, disposition: merged, of: own_duplicate, reason: ALREADY_YOURS}}
  - {id: returned, when: custom.want == "returned", then: {outcome: route, disposition: returned, reason: INCOMPLETE, needs: [customer.city]}}
  - {id: incomplete, when: custom.want == "incomplete", then: {outcome: route, disposition: returned, reason: INCOMPLETE, needs: [customer.city], keeps_place: true, answer_within: 9d, on_silence: decline}}
  - {id: unclear, when: custom.want == "unclear", then: {outcome: route, disposition: returned, reason: INCOMPLETE, needs: [customer.city], answer_within: 6d, on_silence: escalate}}
  - {id: held, when: conflict.held_by_other.found || conflict.pending_other.found, then: {outcome: route, disposition: waitlisted, of: held_by_other, reason: ALREADY_REGISTERED}}
  - {id: review, when: custom.want == "escalated", then: {outcome: escalate, reason: UNDER_REVIEW, on_silence: grant, terms: {days: 20}, hold: {provisional: true, days: 5}}}
  - {id: silent, when: custom.want == "silent", then: {outcome: escalate, reason: UNDER_REVIEW, on_silence: decline}}
  - {id: accepted, when: custom.want == "accept", then: {outcome: protect, reason: PROTECTED, terms: {days: 30, condition: {days: 5, need: acceptance}}}}
  - {id: offered, when: custom.want == "offered", then: {outcome: protect, reason: PROTECTED, terms: {days: 30, condition: {days: 4, need: acceptance, when: promoted}}}}
  - {id: conditional, when: custom.want == "conditional", then: {outcome: protect, reason: PROTECTED, terms: {days: 30, condition: {days: 5, need: meeting}}}}
  - {id: protect, when: 'custom.want == ""', then: {outcome: protect, reason: PROTECTED, terms: {days: 30, dwell: 72h, extensions: {max: 2, days: 10, needs: activity}}}}
  - {id: judged, when: 'custom.want == "judged"', then: {outcome: protect, reason: PROTECTED, terms: {months: 1, extensions: {max: 1, needs: the vendor's consent}}}}
  - {id: fixed, when: 'custom.want == "fixed"', then: {outcome: protect, reason: PROTECTED, terms: {days: 30}}}
`

var (
	asOps    = deal.Actor{KeyID: "key_ops", Role: "ops"}
	asPortal = deal.Actor{KeyID: "key_portal", Role: "portal"}
)

func (b *bench) move(by deal.Actor, id string, e deal.Event) (Answer, error) {
	b.t.Helper()
	return b.moveWith(by, id, Moving{Event: e, Reason: "because"})
}

func (b *bench) moveWith(by deal.Actor, id string, m Moving) (Answer, error) {
	b.t.Helper()
	got, err := b.Move(context.Background(), Request{Actor: by}, id, m)
	if err != nil {
		return Answer{}, err
	}
	return b.answer(got), nil
}

func (b *bench) status(id string) deal.Status {
	b.t.Helper()
	r, _, _, err := b.Registration(context.Background(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return r.Status
}

// TestMoves brings every event about in every status a registration can have: what the table allows happens and is in the
// ledger, everything else is refused and changes nothing.
func TestMoves(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.people()
	b.publish(deal.PolicyDocument, lives)
	names, _ := customers(t, 300, 30_000)
	next := 0
	// reach makes a registration of the status, for a customer of its own.
	reach := func(s deal.Status) string {
		a := names[next]
		next++
		who := deal.Customer{Name: a.Name, Country: a.Country, City: a.City, PostalCode: a.PostalCode}
		by := func(partner string, c deal.Customer, changes ...func(*deal.Filing)) deal.Filing { // time passes here
			return by(partner, c, append(changes, func(f *deal.Filing) { f.ExpectedCloseDate = deal.Date{} })...)
		}
		var r deal.Registration
		switch s {
		case deal.StatusProtected:
			r, _ = b.file(by("P-1", who))
		case deal.StatusWaitlisted:
			b.file(by("P-2", who))
			r, _ = b.file(by("P-1", who))
		case deal.StatusWithdrawn, deal.StatusRevoked, deal.StatusLost, deal.StatusWon:
			r, _ = b.file(by("P-1", who, custom("want", "fixed")))
			for _, e := range deal.Events {
				if slices.Equal(deal.StatusProtected.After(e), []deal.Status{s}) {
					if _, err := b.move(asOps, r.ID, e); err != nil {
						t.Fatal(err)
					}
				}
			}
		case "accept":
			r, _ = b.file(by("P-1", who, custom("want", "accept")))
			s = deal.StatusConditional
		case deal.StatusExpired:
			r, _ = b.file(by("P-1", who))
			b.clock.set(r.Protection.EndsAt)
			b.put() // writes it down
		default:
			r, _ = b.file(by("P-1", who, custom("want", string(s))))
		}
		if got := b.status(r.ID); got != s {
			t.Fatalf("%s reads %s", s, got)
		}
		return r.ID
	}
	for _, s := range deal.Statuses {
		if s == deal.StatusReceived || s == deal.StatusTransferred {
			continue // no registration is ever left in it
		}
		for _, e := range deal.Events {
			if len(deal.EventRules[e].Roles) == 0 {
				continue
			}
			id, want := "", s.After(e)
			rule := func(d deal.Disposition, of string) {
				do := routes(d)
				if do.Ruling.Of = of; d == deal.Returned {
					do.Ruling.Needs = []string{"customer.city"}
				}
				b.done("ada", b.caseOf(id).ID, do)
			}
			switch { // how it came to be in the status matters to what people do to cases
			case e == deal.EventReopen && (s == deal.StatusReturned || s == deal.StatusRouted || s == deal.StatusMerged):
				other := reach(deal.StatusProtected)
				id = reach(deal.StatusEscalated)
				rule(map[deal.Status]deal.Disposition{deal.StatusReturned: deal.Returned, deal.StatusRouted: deal.Declined, deal.StatusMerged: deal.Merged}[s],
					map[bool]string{true: other}[s == deal.StatusMerged])
			case s == deal.StatusWaitlisted && (e == deal.EventResolve || e == deal.EventReopen):
				id = reach(s)
				if _, err := b.move(asPortal, id, deal.EventAppeal); err != nil {
					t.Fatal(err)
				}
				if want = []deal.Status{deal.StatusRouted}; e == deal.EventReopen {
					rule(deal.Waitlisted, "")
					want = s.After(e)
				}
			case s == deal.StatusConditional && e == deal.EventAccept:
				id = reach("accept")
			default:
				id = reach(s)
				if s == deal.StatusEscalated && e == deal.EventRespond {
					b.done("ada", b.caseOf(id).ID, Doing{Act: ActAsk, Text: "Well?"})
				}
			}
			by := asOps
			bring := func() (Answer, error) { return b.move(asOps, id, e) }
			if r, _, _ := b.last(id); r.CaseID != "" && (e == deal.EventResolve || e == deal.EventReopen) {
				by = person("ada")
				bring = func() (Answer, error) {
					do := Doing{Act: ActReopen, Text: "because"}
					if e == deal.EventResolve {
						do = routes(deal.Declined)
						want = want[len(want)-1:]
						if s == deal.StatusEscalated {
							want = []deal.Status{deal.StatusRouted}
						}
					}
					_, err := b.do("ada", r.CaseID, do)
					return b.partner(id), err
				}
			}
			kind := deal.EventRules[e].Entry
			if e == deal.EventTransfer && want != nil {
				want = []deal.Status{s}
				bring = func() (Answer, error) { return b.moveWith(asOps, id, Moving{Event: e, Reason: "because", To: "P-7"}) }
			}
			if e == deal.EventMerge && want != nil {
				by = person("ada")
				into := reach(deal.StatusProtected)
				bring = func() (Answer, error) { return b.moveWith(by, id, Moving{Event: e, Reason: "because", To: into}) }
			}
			if e == deal.EventEvidence && want != nil {
				bring = func() (Answer, error) {
					return b.moveWith(asOps, id, Moving{Event: e, Reason: "because", Evidence: []deal.Evidence{{Kind: "letter", Text: "theirs"}}})
				}
			}
			if e == deal.EventUpdate && want != nil { // words are recorded; what was returned is decided again
				bring = func() (Answer, error) {
					return b.moveWith(asOps, id, Moving{Event: e, Reason: "because", Amend: func(f deal.Filing) (deal.Filing, error) {
						f.Description = "More of it"
						if s == deal.StatusReturned {
							f.Custom = nil
						}
						return f, nil
					}})
				}
				if want = []deal.Status{s}; s == deal.StatusReturned {
					want, kind = []deal.Status{deal.StatusProtected}, deal.EntryDecided
				}
			}
			b.clock.advance(time.Hour)
			if e == deal.EventWon && s == deal.StatusProtected {
				if _, err := b.move(asOps, id, e); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "72h") {
					t.Errorf("won before the terms allow it: %v", err)
				}
				b.clock.advance(71 * time.Hour)
			}
			b.put() // writes down what time has brought about
			before, _, _ := b.last(id)
			got, err := bring()
			after, _, entry := b.last(id)
			if len(want) == 0 {
				if !errors.Is(err, deal.ErrNotPossible) || !reflect.DeepEqual(after, before) {
					t.Errorf("%s of %s: %v, and it is %+v", e, s, err, after)
				}
				continue
			}
			if err != nil || got.Status != want[0] || after.Status != want[0] || after.Version == before.Version {
				t.Errorf("%s of %s: %s, %s, %v", e, s, got.Status, after.Status, err)
				continue
			}
			c, err := store.ChangeOf(&entry)
			if err != nil || c.Move == nil || c.Move.Event != e || c.Move.From != s || c.Move.To != want[0] || c.Move.Policy.Name != "lives" || entry.Actor != by || entry.Kind != kind {
				t.Errorf("%s of %s: entry %+v, %+v, %v", e, s, entry.Kind, c.Move, err)
			}
			if moved, err := b.LastMove(context.Background(), &after); err != nil || moved == nil || moved.Reason != "because" || moved.By != by {
				t.Errorf("%s of %s reads %+v, %v", e, s, moved, err)
			}
			if s == deal.StatusEscalated && e != deal.EventRespond && e != deal.EventUpdate && e != deal.EventEvidence {
				k, err := b.Store().Case(context.Background(), after.CaseID)
				if err != nil || k.Status != "resolved" || k.Outcome != string(want[0]) || got.Decision.Case != nil {
					t.Errorf("%s: its case is %+v, %v, and the partner reads %+v", e, k, err, got.Decision.Case)
				}
			}
		}
	}
	b.sound()
}

// last returns a registration as stored, how many entries there are, and the one that changed it last.
func (b *bench) last(id string) (deal.Registration, uint64, store.Entry) {
	b.t.Helper()
	ctx := context.Background()
	r, err := b.Store().Registration(ctx, id)
	if err != nil {
		b.t.Fatal(err)
	}
	h, err := b.Store().Head(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	e, err := b.Store().Entry(ctx, r.Version)
	if err != nil {
		b.t.Fatal(err)
	}
	return r, h.Seq, e
}

// An extension is as long and as often as the terms say, on the evidence they ask for, and ends with a day of the programme.
func TestExtend(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish(deal.PolicyDocument, lives)
	day := func(s string) deal.Date { d, _ := deal.ParseDate(s); return d }
	ask := func(by deal.Actor, id string, e ...deal.Evidence) (Answer, error) {
		return b.moveWith(by, id, Moving{Event: deal.EventExtend, Evidence: e})
	}
	first, _ := b.file(by("P-1", zanzibar))
	second, _ := b.file(by("P-2", zanzibar))
	var wrong deal.FieldErrors
	for _, e := range [][]deal.Evidence{nil, {{Kind: "meeting"}}, {{Kind: "meeting", Date: day("2027-02-20")}}} {
		if _, err := ask(asPortal, first.ID, e...); !errors.As(err, &wrong) || wrong[0].Field != "evidence" {
			t.Errorf("extended on %v: %v", e, err)
		}
	}
	a, err := ask(asPortal, first.ID, deal.Evidence{Kind: "poc", Date: day("2027-03-01"), Text: "secret"})
	if want := time.Date(2027, 4, 10, 22, 0, 0, 0, time.UTC); err != nil || !a.Decision.Protection.EndsAt.Equal(want) {
		t.Errorf("extended once: %v, %v", a.Decision.Protection, err)
	}
	b.clock.set(first.Protection.EndsAt.Add(time.Hour)) // over, were it not extended
	b.file(by("P-3", quixotic))
	if b.status(first.ID) != deal.StatusProtected || b.status(second.ID) != deal.StatusWaitlisted {
		t.Errorf("after its first end: %s, %s", b.status(first.ID), b.status(second.ID))
	}
	a, err = ask(asOps, first.ID)
	if want := time.Date(2027, 4, 20, 22, 0, 0, 0, time.UTC); err != nil || !a.Decision.Protection.EndsAt.Equal(want) {
		t.Errorf("extended twice: %v, %v", a.Decision.Protection, err)
	}
	if _, err := ask(asOps, first.ID); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "2 extensions") {
		t.Errorf("extended three times: %v", err)
	}
	b.clock.set(a.Decision.Protection.EndsAt)
	if _, err := ask(asOps, first.ID); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("extended at its end: %v", err)
	}
	b.file(by("P-4", deal.Customer{Name: "Kormoran Werft", Country: "DE", City: "Rostock"}))
	if b.status(first.ID) != deal.StatusExpired || b.status(second.ID) != deal.StatusProtected {
		t.Errorf("after its end: %s, %s", b.status(first.ID), b.status(second.ID))
	}
	judged, _ := b.file(by("P-5", deal.Customer{Name: "Aurora Hydro ASA", Country: "NO", City: "Bergen"}, custom("want", "judged")))
	if _, err := ask(asPortal, judged.ID, deal.Evidence{Kind: "meeting"}); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "the vendor's consent") {
		t.Errorf("a partner judges for the vendor: %v", err)
	}
	if a, err := ask(asOps, judged.ID); err != nil || !a.Decision.Protection.EndsAt.Equal(time.Date(2027, 6, 21, 22, 0, 0, 0, time.UTC)) {
		t.Errorf("by as long as it was: %v, %v", a.Decision.Protection, err)
	}
	fixed, _ := b.file(by("P-6", deal.Customer{Name: "Quarzwerk Lausitz", Country: "DE", City: "Cottbus"}, custom("want", "fixed")))
	if _, err := ask(asOps, fixed.ID); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("without terms: %v", err)
	}
	b.sound()
}

// When a holder goes, the next in line holds from that very entry on: nobody slips in between.
func TestPromotedByMove(t *testing.T) {
	t.Parallel()
	for _, e := range []deal.Event{deal.EventWithdraw, deal.EventRevoke, deal.EventLost} {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.publish(deal.PolicyDocument, lives)
			first, _ := b.file(by("P-1", zanzibar))
			second, _ := b.file(by("P-2", zanzibar))
			third, _ := b.file(by("P-3", zanzibar))
			b.clock.advance(time.Hour)
			if _, err := b.move(asOps, first.ID, e); err != nil {
				t.Fatal(err)
			}
			left, _, at := b.last(first.ID)
			promoted, _, after := b.last(second.ID)
			if after.Seq != at.Seq+1 || after.Size != at.Size {
				t.Errorf("entry %d follows entry %d, in commits %d and %d", after.Seq, at.Seq, at.Size, after.Size)
			}
			if promoted.Status != deal.StatusProtected || !promoted.Protection.StartsAt.Equal(left.Protection.EndsAt) || !left.Protection.EndsAt.Equal(b.clock.now()) {
				t.Errorf("%+v follows %+v", promoted.Protection, left.Protection)
			}
			if s := b.status(third.ID); s != deal.StatusWaitlisted {
				t.Errorf("the third is %s", s)
			}
			late, _ := b.file(by("P-4", zanzibar))
			if late.Status != deal.StatusWaitlisted {
				t.Errorf("a newcomer is %s", late.Status)
			}
			b.sound()
		})
	}
}

// Who waits behind a claim that was resolved to another customer, which it may be, is promoted when that claim ends, in one line with those
// of that customer.
func TestPromotedAcross(t *testing.T) {
	t.Parallel()
	testPromotedAcross(t, func() string { return "" })
}

func testPromotedAcross(t *testing.T, url func() string) {
	// Two customers that share a web domain, or a tax number, with a third and nothing else.
	hanse := deal.Customer{Name: "Hanseatic Trading GmbH", Country: "DE", City: "Hamburg", Domain: "hanseatic-trading.example"}
	aurora := deal.Customer{Name: "Aurora Hydro ASA", Country: "NO", City: "Bergen", TaxID: "NO974760673MVA"}
	both := deal.Customer{Name: "Kormoran Werft", Country: "DE", City: "Rostock", Domain: hanse.Domain, TaxID: aurora.TaxID}
	start := func(t *testing.T) *bench {
		b := newBenchAt(t, url())
		b.people()
		b.publish(deal.PolicyDocument, lives)
		return b
	}
	is := func(b *bench, want deal.Status, ids ...string) {
		b.t.Helper()
		for _, id := range ids {
			if got := b.status(id); got != want {
				b.t.Errorf("%s is %s, not %s", id, got, want)
			}
		}
	}
	again := func(b *bench) { // who reads the world anew finds them too
		b.close()
		b.open()
	}
	end := func(b *bench, id string, e deal.Event) {
		b.t.Helper()
		if _, err := b.move(asOps, id, e); err != nil {
			b.t.Fatal(err)
		}
	}
	for _, e := range []deal.Event{deal.EventExpire, deal.EventWithdraw, deal.EventRevoke, deal.EventLost} {
		t.Run(string(e), func(t *testing.T) {
			b := start(t)
			holds, _ := b.file(by("P-1", hanse, custom("want", "fixed")))
			across, d := b.file(by("P-2", both))
			beside, _ := b.file(by("P-3", hanse))
			if across.CustomerRef == holds.CustomerRef || beside.CustomerRef != holds.CustomerRef || d.Route.Of != holds.ID {
				t.Fatalf("%+v, %+v and %+v are of", holds.CustomerRef, across.CustomerRef, beside.CustomerRef)
			}
			is(b, deal.StatusWaitlisted, across.ID, beside.ID)
			if _, d, _, _ := b.Registration(context.Background(), beside.ID); d.Route.Place != 2 {
				t.Errorf("its place is %d", d.Route.Place)
			}
			again(b)
			if b.clock.advance(73 * time.Hour); e == deal.EventExpire {
				b.clock.set(holds.Protection.EndsAt)
				b.put()
			} else {
				end(b, holds.ID, e)
			}
			is(b, deal.StatusProtected, across.ID)
			is(b, deal.StatusWaitlisted, beside.ID)
			_, _, at := b.last(holds.ID)
			if r, _, next := b.last(across.ID); next.Seq != at.Seq+1 || next.Size != at.Size || !r.Protection.StartsAt.Equal(b.clock.now()) {
				t.Errorf("entry %d follows entry %d", next.Seq, at.Seq)
			}
			late, _ := b.file(by("P-4", hanse))
			end(b, across.ID, deal.EventWithdraw)
			is(b, deal.StatusProtected, beside.ID)
			is(b, deal.StatusWaitlisted, late.ID)
			b.sound()
		})
	}
	t.Run("won", func(t *testing.T) {
		b := start(t)
		holds, _ := b.file(by("P-1", hanse, custom("want", "fixed")))
		other, _ := b.file(by("P-1", aurora, custom("want", "fixed")))
		twice, _ := b.file(by("P-2", both))
		once, _ := b.file(by("P-3", deal.Customer{Name: "Quarzwerk Lausitz", Country: "DE", City: "Cottbus", Domain: hanse.Domain}))
		is(b, deal.StatusWaitlisted, twice.ID, once.ID)
		end(b, holds.ID, deal.EventWon)
		is(b, deal.StatusRouted, once.ID)
		is(b, deal.StatusWaitlisted, twice.ID) // it may be the other's
		end(b, other.ID, deal.EventWithdraw)
		is(b, deal.StatusProtected, twice.ID)
		b.sound()
	})
	t.Run("two", func(t *testing.T) {
		b := start(t)
		first, _ := b.file(by("P-1", hanse, custom("want", "fixed")))
		second, _ := b.file(by("P-1", aurora, custom("want", "fixed")))
		waits, _ := b.file(by("P-2", both))
		is(b, deal.StatusWaitlisted, waits.ID)
		end(b, first.ID, deal.EventWithdraw)
		if r, _, _ := b.last(waits.ID); r.Version != waits.Version {
			t.Error("one who waits on is told so")
		}
		again(b)
		end(b, second.ID, deal.EventWithdraw)
		is(b, deal.StatusProtected, waits.ID)
		b.sound()
	})
	t.Run("later", func(t *testing.T) { // people let one come first who came later
		b := start(t)
		first, _ := b.file(by("P-1", hanse, custom("want", "fixed")))
		waits, _ := b.file(by("P-2", both))
		later, _ := b.file(by("P-3", aurora))
		is(b, deal.StatusWaitlisted, waits.ID, later.ID)
		end(b, later.ID, deal.EventAppeal)
		b.done("ada", b.caseOf(later.ID).ID, Doing{Act: ActResolve, Text: "because", Ruling: deal.Ruling{Resolution: deal.ResolveProtect, Days: 20}})
		is(b, deal.StatusProtected, later.ID)
		end(b, first.ID, deal.EventWithdraw)
		is(b, deal.StatusWaitlisted, waits.ID)
		again(b)
		end(b, later.ID, deal.EventWithdraw)
		is(b, deal.StatusProtected, waits.ID)
		b.sound()
	})
}

// Of many who end one registration at once, through two replicas, one does; a retry with its key gets its answer.
func TestMoveAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish(deal.PolicyDocument, lives)
	r, _ := b.file(by("P-1", zanzibar, custom("want", "fixed")))
	other := b.replica()
	const n = 24
	errs := make([]error, n)
	bodies := make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			e := []deal.Event{deal.EventWithdraw, deal.EventLost, deal.EventWon, deal.EventRevoke}[i%4]
			on := []*bench{b, other}[i/4%2]
			q := Request{Actor: asOps, IdemKey: fmt.Sprint("k", i), Hash: []byte{byte(i)}}
			var got Registered
			got, errs[i] = on.Move(context.Background(), q, r.ID, Moving{Event: e, Reason: "because"})
			bodies[i] = string(got.Body)
		})
	}
	wg.Wait()
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won >= 0:
			t.Errorf("both %d and %d ended it", won, i)
		case err == nil:
			won = i
		case !errors.Is(err, deal.ErrNotPossible):
			t.Error(err)
		}
	}
	if won < 0 {
		t.Fatal("nobody ended it")
	}
	e := []deal.Event{deal.EventWithdraw, deal.EventLost, deal.EventWon, deal.EventRevoke}[won%4]
	q := Request{Actor: asOps, IdemKey: fmt.Sprint("k", won), Hash: []byte{byte(won)}}
	again, err := b.Move(context.Background(), q, r.ID, Moving{Event: e, Reason: "because"})
	if err != nil || !again.Replayed || string(again.Body) != bodies[won] {
		t.Errorf("again: %s, %v; first %s", again.Body, err, bodies[won])
	}
	q.Hash = []byte("other")
	if _, err := b.Move(context.Background(), q, r.ID, Moving{Event: e, Reason: "because"}); !errors.Is(err, deal.ErrKeyReused) {
		t.Errorf("another request under the key: %v", err)
	}
	b.sound()
}

// TestHistories and its twin on PostgreSQL drive random histories, here in several worlds side by side: the same in every run, or as many new
// ones as DIBS_HISTORIES says; DIBS_SEED repeats the world of a failure. The race detector sees the same goroutines in the first few hundred.
func TestHistories(t *testing.T) {
	t.Parallel()
	n := 10_000
	if underRace() {
		n = 500
	}
	if more := os.Getenv("DIBS_HISTORIES"); more != "" {
		if _, err := fmt.Sscan(more, &n); err != nil {
			t.Fatal(err)
		}
	}
	worlds := 4
	if os.Getenv("DIBS_SEED") != "" {
		n, worlds = n/worlds, 1
	}
	for w := range worlds {
		t.Run(fmt.Sprint(w), func(t *testing.T) {
			t.Parallel()
			testHistories(t, "", n/worlds, uint64(w))
		})
	}
}

// underRace reports whether the race detector watches, under which everything takes ten times as long.
func underRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// worldly are customers for histories, and as many other names for them, read once.
var worldly = sync.OnceValue(func() []*deal.Account { picked, _ := pick(200, 30_000); return picked })

// testHistories drives n histories: one customer each at a time, filed for by several partners in one line, then extended,
// withdrawn, revoked, won and lost at random while the clock jumps and nobody is at work meanwhile; where the seed is odd, people also find
// that two of them are for one customer, or are not, and think better of it. After every round: nobody
// beside a holder, and whoever holds is not ahead of one who waited before it. At the end the ledger replays to the same.
func testHistories(t *testing.T, url string, n int, seed uint64) {
	b := newBenchAt(t, url)
	b.people()
	b.publish(deal.PolicyDocument, lives)
	if os.Getenv("DIBS_HISTORIES") != "" {
		seed += uint64(time.Now().UnixNano())
	}
	if os.Getenv("DIBS_SEED") != "" {
		if _, err := fmt.Sscan(os.Getenv("DIBS_SEED"), &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("DIBS_SEED=%d", seed)
	names, aliases := worldly()[:100], worldly()[100:]
	rnd := rand.New(rand.NewPCG(seed, 1))
	ctx := context.Background()
	for done := 0; done < n; done += len(names) {
		b.clock.advance(time.Duration(rnd.IntN(72)) * time.Hour)
		filed, found := make([][]string, len(names)), make([][]string, len(names))
		each := func(f func(i int, r *rand.Rand)) {
			var wg sync.WaitGroup
			for i := range min(len(names), n-done) {
				r := rand.New(rand.NewPCG(rnd.Uint64(), uint64(i)))
				wg.Go(func() { f(i, r) })
			}
			wg.Wait()
		}
		act := func(i int, r *rand.Rand) {
			if len(filed[i]) < 4 && (len(filed[i]) < 2 || r.IntN(3) == 0) {
				a := names[i]
				if r.IntN(4) == 0 { // another customer, which may be this one: it has its web domain
					a = aliases[i]
				}
				f := by(fmt.Sprintf("P-%d", 1+r.IntN(40)), deal.Customer{Name: a.Name, Country: a.Country, City: a.City, PostalCode: a.PostalCode, Domain: fmt.Sprintf("customer%d.example", i)})
				if want := []string{"escalated", "conditional", "silent", "routed", "incomplete", "unclear", "offered", "offered", "accept", "", "", "", "", ""}[r.IntN(14)]; want != "" {
					custom("want", want)(&f)
				}
				got, err := b.Register(ctx, Request{Actor: asPortal}, f)
				if err != nil {
					t.Error(err)
					return
				}
				filed[i] = append(filed[i], got.ID)
				return
			}
			id := filed[i][r.IntN(len(filed[i]))]
			if seed%2 == 1 && r.IntN(5) == 0 {
				f := deal.Finding{Verdict: []string{deal.FoundSame, deal.FoundDifferent}[r.IntN(2)], Subject: registrationParty(id), Other: registrationParty(filed[i][r.IntN(len(filed[i]))])}
				if f.Verdict == deal.FoundDifferent && r.IntN(2) == 0 {
					f.Until = b.clock.now().Add(time.Duration(1+r.IntN(40*24)) * time.Hour)
				}
				var err error
				if len(found[i]) > 0 && r.IntN(2) == 0 {
					_, err = b.TakeBack(ctx, Request{Actor: person("dan")}, found[i][r.IntN(len(found[i]))], "because")
				} else if f.Subject != f.Other {
					var got Found
					if got, err = b.Find(ctx, Request{Actor: person("dan")}, f, "because"); err == nil {
						found[i] = append(found[i], got.ID)
					}
				}
				if err != nil && !errors.Is(err, deal.ErrNotPossible) && !errors.Is(err, deal.ErrForbidden) {
					t.Error(err)
				}
				return
			}
			events := []deal.Event{deal.EventExtend, deal.EventWithdraw, deal.EventRevoke, deal.EventWon, deal.EventLost, deal.EventAppeal, deal.EventResolve, deal.EventReopen, deal.EventRespond, deal.EventUpdate, deal.EventEvidence, deal.EventTransfer, deal.EventAccept, deal.EventMerge}
			e := events[r.IntN(len(events))]
			do, works := map[deal.Event]Doing{
				deal.EventResolve: []Doing{{Act: ActResolve, Text: "because", Ruling: deal.Ruling{Resolution: deal.ResolveProtect, Days: 20}}, routes(deal.Declined), routes(deal.Waitlisted)}[r.IntN(3)],
				deal.EventReopen:  {Act: ActReopen, Text: "because"}, deal.EventRespond: {Act: ActAsk, Text: "Well?"},
			}[e]
			reg, err := b.Store().Registration(ctx, id)
			switch {
			case err == nil && works && reg.CaseID != "":
				if _, err = b.do([]string{"ada", "bob"}[r.IntN(2)], reg.CaseID, do); errors.Is(err, deal.ErrForbidden) {
					err = nil // it ruled before
				}
			case err == nil && e == deal.EventTransfer:
				if to := fmt.Sprintf("P-%d", 1+r.IntN(40)); to != reg.Filing.PartnerID {
					_, err = b.moveWith(asOps, id, Moving{Event: e, Reason: "because", To: to})
				}
			case err == nil && e == deal.EventMerge:
				if into := filed[i][r.IntN(len(filed[i]))]; into != id {
					_, err = b.moveWith(person("dan"), id, Moving{Event: e, Reason: "because", To: into})
				}
				if errors.Is(err, deal.ErrForbidden) {
					err = nil // dan is not of every queue
				}
			case err == nil && e == deal.EventEvidence:
				_, err = b.moveWith(asPortal, id, Moving{Event: e, Evidence: []deal.Evidence{{Kind: "meeting", Date: deal.Date{Time: b.clock.now().Truncate(24 * time.Hour)}}}})
				if wrong := (deal.FieldErrors)(nil); errors.As(err, &wrong) {
					err = nil // it has enough
				}
			case err == nil && e == deal.EventUpdate: // the amount, which is material here, or a word
				more := r.Int64N(3)
				_, err = b.moveWith(asOps, id, Moving{Event: e, Amend: func(f deal.Filing) (deal.Filing, error) {
					f.Description += "."
					f.Amount.Value = f.Amount.Value.Add(decimal.New(more, 0))
					if reg.Status == deal.StatusReturned && more > 0 { // it is completed
						f.Custom = nil
					}
					return f, nil
				}})
			case err == nil:
				_, err = b.move(asOps, id, e)
			}
			var wrong deal.FieldErrors
			if errors.As(err, &wrong) && wrong[0].Field == "of" {
				err = nil // there is nobody to wait behind
			}
			if err != nil && !errors.Is(err, deal.ErrNotPossible) {
				t.Error(err)
			}
		}
		for range 4 {
			each(act)
			if rnd.IntN(3) == 0 {
				b.clock.advance(time.Duration(rnd.IntN(40*24)) * time.Hour)
			}
		}
		b.lawful(seed)
		each(func(i int, _ *rand.Rand) { // the customer is free for the next history
			for _, id := range found[i] {
				if _, err := b.TakeBack(ctx, Request{Actor: person("dan")}, id, "because"); err != nil && !errors.Is(err, deal.ErrNotPossible) && !errors.Is(err, deal.ErrForbidden) {
					t.Error(err)
				}
			}
			for _, id := range slices.Backward(filed[i]) {
				if !read(b.Engine, func(v *view) bool { return v.runs(id) != nil }) {
					continue
				}
				if _, err := b.move(asOps, id, deal.EventWithdraw); err != nil && !errors.Is(err, deal.ErrNotPossible) {
					t.Error(err)
				}
			}
		})
		if t.Failed() {
			t.FailNow()
		}
	}
	b.sound()
}

// lawful holds the world as it is to the promises: one holder of a customer, nobody promoted over one who waited before, and nobody who waits
// for nobody.
func (b *bench) lawful(seed uint64) {
	b.t.Helper()
	for range 10 { // writes down what has ended, some at a time
		b.put()
	}
	now := b.clock.now()
	breaches, err := b.Store().Breaches(context.Background(), now)
	if err != nil || len(breaches) > 0 {
		b.t.Fatalf("seed %d: two holders: %v, %v", seed, breaches, err)
	}
	read(b.Engine, func(v *view) any {
		for customer := range v.claimsOf {
			var holder, first *deal.Registration
			for _, id := range v.claimsOn(customer) {
				c := v.claims[id]
				switch {
				case c.HoldsAt(now) && holder != nil:
					b.t.Errorf("seed %d: %s and %s hold %s", seed, holder.ID, id, customer)
				case c.HoldsAt(now):
					holder = c
				case c.Status == deal.StatusWaitlisted && first == nil:
					first = c
				}
			}
			if holder != nil && first != nil && (b.isRuled(holder.ID) || b.isRuled(first.ID) || len(v.findings.all) > 0) {
				continue // people decided who comes first, or whose customer it is
			}
			if holder != nil && first != nil && first.Filing.PartnerID != holder.Filing.PartnerID && first.Place() < holder.Place() {
				b.t.Errorf("seed %d: %s holds %s, and %s waited before it", seed, holder.ID, customer, first.ID)
			}
		}
		for _, list := range []map[string]*deal.Registration{v.claims, v.returned} {
			for id, c := range list {
				if !c.AnswerBy.IsZero() && !now.Before(c.AnswerBy) {
					b.t.Errorf("seed %d: %s, which is %s, had until %v", seed, id, c.Status, c.AnswerBy)
				}
				if (c.Status == deal.StatusConditional) != (c.Status != deal.StatusReturned && !c.AnswerBy.IsZero()) {
					b.t.Errorf("seed %d: %s, which is %s, has until %v", seed, id, c.Status, c.AnswerBy)
				}
			}
		}
		byPlace := slices.SortedFunc(maps.Values(v.claims), func(a, b *deal.Registration) int { return cmp.Compare(a.Place(), b.Place()) })
		waits := map[string]bool{} // for somebody who is not in line, or for one of these before it
		for _, c := range byPlace {
			ahead := func(key string) bool {
				return slices.ContainsFunc(v.claimsOn(key), func(id string) bool { return v.claims[id].Status != deal.StatusWaitlisted || waits[id] })
			}
			if c.Status == deal.StatusWaitlisted {
				if waits[c.ID] = ahead(c.CustomerRef.Key()) || slices.ContainsFunc(c.Behind, ahead); !waits[c.ID] {
					b.t.Errorf("seed %d: %s waits for nobody", seed, c.ID)
				}
			}
			if k := v.cases[c.CaseID]; c.Status == deal.StatusEscalated && (k == nil || !slices.Contains(k.Members(), c.ID)) {
				b.t.Errorf("seed %d: nobody works on %s, which is escalated", seed, c.ID)
			}
		}
		for _, k := range v.cases {
			if !k.Overdue && k.PausedAt.IsZero() && !k.DueAt.After(now) {
				b.t.Errorf("seed %d: %s was due at %v and is open", seed, k.ID, k.DueAt)
			}
			for _, id := range k.Members() {
				if c := v.claims[id]; c == nil || c.CaseID != k.ID || c.Status != deal.StatusEscalated && k.Kind != deal.CaseAppeal {
					b.t.Errorf("seed %d: %s is about %s, which is %+v", seed, k.ID, id, c)
				}
			}
		}
		return nil
	})
}

// isRuled reports whether people, or silence, have decided the registration last.
func (b *bench) isRuled(id string) bool {
	ds, err := b.Decisions(context.Background(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return ds[len(ds)-1].Ruling != nil
}

// Of very many windows that end together a commit writes some. Whoever comes to one whose end is not written yet finds it ended, and who
// waited there promoted first; so does whoever would still move it.
func TestManyEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish(deal.PolicyDocument, lives)
	const n = 2*endsAtOnce + 50
	names, _ := customers(t, n, 59_000)
	ids := make([][2]string, n)
	at := func(i int) deal.Customer {
		a := names[i]
		return deal.Customer{Name: a.Name, Country: a.Country, City: a.City, PostalCode: a.PostalCode}
	}
	var until time.Time
	for i := range n {
		holds, _ := b.file(by("P-1", at(i), custom("want", "fixed")))
		waits, _ := b.file(by("P-2", at(i)))
		if holds.Status != deal.StatusProtected || waits.Status != deal.StatusWaitlisted {
			t.Fatalf("%d: %s, %s", i, holds.Status, waits.Status)
		}
		ids[i], until = [2]string{holds.ID, waits.ID}, holds.Protection.EndsAt
	}
	b.clock.set(until)
	late, _ := b.file(by("P-3", at(n-1)))
	if late.Status != deal.StatusWaitlisted || b.status(ids[n-1][1]) != deal.StatusProtected {
		t.Errorf("a newcomer is %s, who waited %s", late.Status, b.status(ids[n-1][1]))
	}
	_, _, entry := b.last(late.ID)
	together := 0
	for e, err := range b.Store().Entries(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Size == entry.Size {
			together++
		}
	}
	if together > 2*endsAtOnce+10 {
		t.Errorf("%d entries in one commit", together)
	}
	if _, err := b.move(asOps, ids[n-2][0], deal.EventLost); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("one that has ended is moved: %v", err)
	}
	for range n {
		b.put()
	}
	for i := range n {
		if x, y := b.status(ids[i][0]), b.status(ids[i][1]); x != deal.StatusExpired || y != deal.StatusProtected {
			t.Errorf("%d: %s, %s", i, x, y)
		}
	}
	if end := read(b.Engine, func(v *view) int { return len(v.late) + len(v.lateOf) }); end != 0 {
		t.Errorf("%d are left", end)
	}
	b.sound()
}
