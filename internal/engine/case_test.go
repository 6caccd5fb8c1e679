package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/world"
)

// disputes is a policy under which a filing says how it is escalated; a second claim waits in line, unless it wants to dispute.
const disputes = `apiVersion: dealreg/v1
kind: Policy
metadata: {name: disputes, title: Disputes}
settings:
  currency: EUR
  timezone: Europe/Berlin
  tiers: [silver, gold]
  custom: {want: {type: string}}
  calendar: {days: [mon, tue, wed, thu, fri], hours: "09:00..17:00"}
precedence: [route, escalate, protect]
reasons:
  NOT_ELIGIBLE: {partner: "Not for you.", internal: "Not eligible.", appeal: true, appeal_within: 5bd}
defaults: {escalate: {queue: desk, authority: desk, acknowledge: 4bh, decide: 2bd, on_silence: escalate, escalate_to: director}}
rules:
  - {id: declined, when: custom.want == "declined", then: {outcome: route, disposition: declined, reason: NOT_ELIGIBLE}}
  - {id: held, when: 'custom.want != "dispute" && (conflict.held_by_other.found || conflict.pending_other.found)', then: {outcome: route, disposition: waitlisted, of: held_by_other, reason: ALREADY_REGISTERED}}
  - {id: dispute, when: 'custom.want == "dispute" && (conflict.held_by_other.found || conflict.pending_other.found)', then: {outcome: escalate, reason: CUSTOMER_LETTER, four_eyes: true}}
  - {id: eyes, when: custom.want == "eyes", then: {outcome: escalate, reason: STRATEGIC, four_eyes: true, hold: {provisional: true, days: 7}}}
  - {id: grant, when: custom.want == "grant", then: {outcome: escalate, reason: UNDER_REVIEW, decide: 10d, on_silence: grant, terms: {days: 15, anchor: submission}}}
  - {id: decline, when: custom.want == "decline", then: {outcome: escalate, reason: UNDER_REVIEW, decide: 3bd, on_silence: decline}}
  - {id: review, when: custom.want == "review", then: {outcome: escalate, reason: UNDER_REVIEW, hold: {provisional: true, days: 5}}}
  - {id: gold, when: partner.tier == "gold", then: {outcome: protect, reason: PROTECTED, terms: {days: 60}, benefits: {margin: gold}}}
  - {id: protect, when: 'true', then: {outcome: protect, reason: PROTECTED, terms: {days: 30}}}
`

// desk is a bench with people: ada and bob decide at the desk up to 50000 EUR, dan is the director, who may decide anything; eve
// only works another queue; zoe is away and bob's own people stand in for nobody.
func desk(t testing.TB, accounts ...*deal.Account) *bench {
	b := newBench(t, accounts...)
	b.people()
	b.publish(deal.PolicyDocument, disputes)
	return b
}

func (b *bench) people() {
	euros := func(n int64) deal.Money { return deal.Money{Value: decimal.New(n, 0), Currency: "EUR"} }
	until, _ := deal.ParseDate("2029-01-01")
	b.put(
		&deal.Person{ID: "ada", Name: "Ada", Queues: []string{"desk"}, Authority: euros(50_000), Manager: "dan"},
		&deal.Person{ID: "bob", Name: "Bob", Queues: []string{"desk"}, Authority: euros(50_000), Manager: "dan"},
		&deal.Person{ID: "dan", Name: "Dan", Queues: []string{"desk", "director"}, Authority: euros(10_000_000)},
		&deal.Person{ID: "eve", Name: "Eve", Queues: []string{"other"}, Authority: euros(10_000_000)},
		&deal.Person{ID: "zoe", Name: "Zoe", Queues: []string{"other"}, Manager: "ada", AwayUntil: until},
	)
}

func person(id string) deal.Actor { return deal.Actor{KeyID: "key_" + id, Role: "ops", PersonID: id} }

func (b *bench) do(who, id string, d Doing) (deal.Case, error) {
	b.t.Helper()
	return b.Do(context.Background(), Request{Actor: person(who)}, id, d)
}

// done does it, which must succeed.
func (b *bench) done(who, id string, d Doing) deal.Case {
	b.t.Helper()
	k, err := b.do(who, id, d)
	if err != nil {
		b.t.Fatalf("%s of %s by %s: %v", d.Act, id, who, err)
	}
	return k
}

func protects() Doing {
	return Doing{Act: ActResolve, Text: "because", Ruling: deal.Ruling{Resolution: deal.ResolveProtect}}
}

func routes(d deal.Disposition) Doing {
	return Doing{Act: ActResolve, Text: "because", Ruling: deal.Ruling{Resolution: deal.ResolveRoute, Disposition: d, ReasonCode: deal.ReasonDeclinedReview}}
}

// caseOf returns the case of a registration as stored.
func (b *bench) caseOf(id string) deal.Case {
	b.t.Helper()
	r, err := b.Store().Registration(context.Background(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	k, err := b.Store().Case(context.Background(), r.CaseID)
	if err != nil {
		b.t.Fatal(err)
	}
	return k
}

// partner returns what the partner reads of a registration now.
func (b *bench) partner(id string) Answer {
	b.t.Helper()
	r, d, k, err := b.Registration(context.Background(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return AnswerFor(&r, &d, k, b.clock.now())
}

// A person's resolution is a decision: recorded with its terms, on the facts of its instant, replayed like any other.
func TestResolve(t *testing.T) {
	t.Parallel()
	b := desk(t)
	first, _ := b.file(by("P-1", zanzibar, custom("want", "review")))
	behind, _ := b.file(by("P-2", zanzibar))
	if behind.Status != deal.StatusWaitlisted {
		t.Fatalf("the second is %s", behind.Status)
	}
	b.clock.advance(26 * time.Hour)
	k := b.caseOf(first.ID)
	if k.Kind != deal.CaseEscalation || k.PartnerID != "P-1" || k.Terms.Grant == nil || k.Terms.Grant.Rule != "gold" || !k.DueAt.Equal(time.Date(2027, 3, 3, 16, 0, 0, 0, time.UTC)) {
		t.Fatalf("case %+v, grant %+v", k, k.Terms.Grant)
	}
	k = b.done("ada", k.ID, protects())
	r, _, entry := b.last(first.ID)
	if k.Status != deal.CaseResolved || k.Outcome != "protected" || k.RuledBy != "ada" || r.Status != deal.StatusProtected || r.Hold != nil {
		t.Fatalf("case %+v, registration %+v", k, r)
	}
	if end := time.Date(2027, 5, 1, 22, 0, 0, 0, time.UTC); !r.Protection.StartsAt.Equal(b.clock.now()) || !r.Protection.EndsAt.Equal(end) {
		t.Errorf("protected %v to %v", r.Protection.StartsAt, r.Protection.EndsAt)
	}
	d, err := b.decision(context.Background(), r.Version)
	if err != nil || d.Ruling == nil || d.Terms.Days != 60 || d.Benefits[0].Value != "gold" || d.Ruling.Grant.Rule != "gold" || d.Trace[len(d.Trace)-1].Rule != "ruling" {
		t.Errorf("decision %+v, %v", d, err)
	}
	if entry.Kind != deal.EntryResolved || entry.Actor != person("ada") {
		t.Errorf("entry %s by %v", entry.Kind, entry.Actor)
	}
	if moved, err := b.LastMove(context.Background(), &r); err != nil || moved.Event != deal.EventResolve || moved.Reason != "because" || moved.From != deal.StatusEscalated {
		t.Errorf("moved %+v, %v", moved, err)
	}
	if a := b.partner(first.ID); a.Decision.Outcome != deal.Protect || a.Decision.ReasonCodes[0] != deal.ReasonProtected || a.Decision.Case != nil {
		t.Errorf("the partner reads %+v", a)
	}
	if s := b.status(behind.ID); s != deal.StatusWaitlisted {
		t.Errorf("behind it is %s", s)
	}
	if _, err := b.do("ada", k.ID, protects()); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "reopened") {
		t.Errorf("resolved twice: %v", err)
	}
	// The other resolutions.
	for _, c := range []struct {
		do     Doing
		status deal.Status
		route  deal.Route
	}{
		{routes(deal.Declined), deal.StatusRouted, deal.Route{To: deal.ToSubmitter, Disposition: deal.Declined}},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveCoSell, PersonID: "dan"}}, deal.StatusRouted, deal.Route{To: deal.ToDirectTeam, Disposition: deal.CoSell, Person: "dan"}},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Referred, To: deal.ToPartner, PartnerID: "P-9", ReasonCode: deal.ReasonTerritoryPartner}},
			deal.StatusRouted, deal.Route{To: deal.ToPartner, Disposition: deal.Referred, PartnerID: "P-9"}},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Returned, Needs: []string{"customer.city"}, ReasonCode: deal.ReasonIncomplete}},
			deal.StatusReturned, deal.Route{To: deal.ToSubmitter, Disposition: deal.Returned}},
	} {
		r, _ := b.file(by("P-3", quixotic, custom("want", "review")))
		next, _ := b.file(by("P-4", quixotic))
		b.done("bob", r.CaseID, c.do)
		r, _, _ = b.last(r.ID)
		d, err := b.decision(context.Background(), r.Version)
		if err != nil || r.Status != c.status || d.Route == nil || d.Route.To != c.route.To || d.Route.Disposition != c.route.Disposition || d.Route.Person != c.route.Person || d.Route.PartnerID != c.route.PartnerID {
			t.Errorf("%+v: %s, %+v, %v", c.do.Ruling, r.Status, d.Route, err)
		}
		if s := b.status(next.ID); s != deal.StatusProtected {
			t.Errorf("%+v: who waited is %s", c.do.Ruling, s)
		}
		for _, id := range []string{next.ID, r.ID} {
			if _, err := b.move(asOps, id, deal.EventWithdraw); err != nil && r.Status != deal.StatusRouted {
				t.Fatal(err)
			}
		}
	}
	b.sound()
}

// What is decided, the partner reads as decided: the code that was given, or, where that is one partners read as being under review, the
// usual one of such an answer. Staff read what was given.
func TestResolvedReason(t *testing.T) {
	t.Parallel()
	b := desk(t)
	for _, c := range []struct {
		ruling deal.Ruling
		want   string
	}{
		{deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Declined, ReasonCode: deal.ReasonDeclinedReview}, deal.ReasonDeclinedReview},
		{deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Declined, ReasonCode: deal.ReasonNotEligible}, deal.ReasonNotEligible},
		{deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Declined, ReasonCode: deal.ReasonCompetingOffer}, deal.ReasonDeclinedReview},
		{deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Declined, ReasonCode: deal.ReasonUnderReview}, deal.ReasonDeclinedReview},
		{deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Declined, ReasonCode: deal.ReasonPendingOther}, deal.ReasonAlreadyRegistered},
		{deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Referred, To: deal.ToDirectTeam, ReasonCode: deal.ReasonNamedPossible}, deal.ReasonNamedAccount},
		{deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Referred, To: deal.ToPartner, PartnerID: "P-9", ReasonCode: deal.ReasonTerritoryPartner}, deal.ReasonDeclinedReview},
		{deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Returned, Needs: []string{"customer.city"}, ReasonCode: deal.ReasonSuspiciousName}, deal.ReasonIncomplete},
		{deal.Ruling{Resolution: deal.ResolveCoSell, ReasonCode: deal.ReasonDirectUnclear}, deal.ReasonCoSell},
	} {
		r, _ := b.file(by("P-3", quixotic, custom("want", "review")))
		b.done("bob", r.CaseID, Doing{Act: ActResolve, Text: "x", Ruling: c.ruling})
		a := b.partner(r.ID)
		_, d, _, err := b.Registration(context.Background(), r.ID)
		if err != nil || len(d.ReasonCodes) != 1 || d.ReasonCodes[0] != c.ruling.ReasonCode {
			t.Errorf("%+v: staff read %v, %v", c.ruling, d.ReasonCodes, err)
		}
		if len(a.Decision.ReasonCodes) != 1 || a.Decision.ReasonCodes[0] != c.want || strings.Contains(a.Decision.Explanation, "reviewing") {
			t.Errorf("%+v: the partner reads %v, %s; want %s", c.ruling, a.Decision.ReasonCodes, a.Decision.Explanation, c.want)
		}
		if a.Status == deal.StatusReturned {
			if _, err := b.move(asOps, r.ID, deal.EventWithdraw); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.sound()
}

// What cannot be ruled is refused, and says why.
func TestResolveRefused(t *testing.T) {
	t.Parallel()
	b := desk(t)
	r, _ := b.file(by("P-1", zanzibar, custom("want", "review")))
	big, _ := b.file(by("P-1", quixotic, custom("want", "review"), func(f *deal.Filing) { f.Amount.Value = decimal.New(50_001, 0) }))
	var wrong deal.FieldErrors
	for _, c := range []struct {
		do    Doing
		field string
	}{
		{Doing{Act: ActResolve, Text: "x"}, "resolution"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: "maybe"}}, "resolution"},
		{Doing{Act: ActResolve, Ruling: deal.Ruling{Resolution: deal.ResolveProtect}}, "reason"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveProtect, ReasonCode: "NO_SUCH"}}, "reason_code"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Declined}}, "reason_code"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Declined, ReasonCode: "PROTECTED"}}, "reason_code"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Declined, ReasonCode: "CO_SELL"}}, "reason_code"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveCoSell, ReasonCode: "PROTECTED"}}, "reason_code"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveProtect, ReasonCode: "ALREADY_REGISTERED"}}, "reason_code"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveSplit, Limit: &deal.ScopeLimit{Lines: []string{"network"}}, ReasonCode: "UNDER_REVIEW"}}, "reason_code"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveRoute, ReasonCode: "TENDER"}}, "disposition"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Referred, ReasonCode: "TENDER"}}, "to"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveProtect, Disposition: deal.Declined}}, "disposition"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveProtect, Days: -1}}, "days"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveSplit}}, "lines"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveSplit, Limit: &deal.ScopeLimit{Lines: []string{"security"}}}}, "lines[0]"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveSplit, Limit: &deal.ScopeLimit{Sites: []string{"Kiel"}}}}, "sites[0]"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Waitlisted, ReasonCode: "ALREADY_REGISTERED"}}, "of"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Merged, ReasonCode: "ALREADY_YOURS", Of: "reg_none"}}, "of"},
		{Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveProtect, RegistrationID: "reg_none"}}, "registration_id"},
		{Doing{Act: ActComment}, "text"}, {Doing{Act: ActComment, Text: "x", Mentions: []string{"nobody"}}, "mentions[0]"},
		{Doing{Act: ActAssign, PersonID: "eve"}, "person_id"}, {Doing{Act: ActSnooze}, "until"}, {Doing{Act: ActSnooze, Until: start}, "until"},
		{Doing{Act: ActConsult}, "person_id"}, {Doing{Act: ActAsk}, "text"}, {Doing{Act: ActAsk, Text: "x", Until: start.Add(-time.Hour)}, "until"},
	} {
		if _, err := b.do("ada", r.CaseID, c.do); !errors.As(err, &wrong) || wrong[0].Field != c.field {
			t.Errorf("%+v: %v, want %s", c.do, err, c.field)
		}
	}
	for _, c := range []struct {
		by   deal.Actor
		id   string
		says string
	}{
		{asPortal, r.CaseID, "role portal"}, {asOps, r.CaseID, "--person"}, {person("nobody"), r.CaseID, "list of people"},
		{person("eve"), r.CaseID, "authority desk"}, {person("ada"), big.CaseID, "50001 EUR"},
	} {
		if _, err := b.Do(context.Background(), Request{Actor: c.by}, c.id, protects()); !errors.Is(err, deal.ErrForbidden) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v", c.by, err)
		}
	}
	if _, err := b.do("ada", "case_none", protects()); !errors.Is(err, deal.ErrNotFound) {
		t.Errorf("a case there is not: %v", err)
	}
	if k := b.caseOf(r.ID); k.Version != r.Version || k.Status != deal.CaseOpen {
		t.Errorf("refusals have changed the case: %+v", k)
	}
	// In the place of one who is away, and as an admin, who may whatever is not their own business.
	b.put(&deal.Person{ID: "zed", Name: "Zed", Queues: []string{"desk"}, Authority: deal.Money{Value: decimal.New(99_999, 0), Currency: "EUR"}, Manager: "eve", AwayUntil: day("2027-03-09")})
	b.done("eve", big.CaseID, protects())
	b.clock.set(start.AddDate(0, 0, 20))
	late, _ := b.file(by("P-5", deal.Customer{Name: "Kormoran Werft", Country: "DE", City: "Rostock"}, custom("want", "review")))
	if _, err := b.do("eve", late.CaseID, protects()); !errors.Is(err, deal.ErrForbidden) {
		t.Errorf("zed is back: %v", err)
	}
	if _, err := b.Do(context.Background(), Request{Actor: deal.Actor{KeyID: "k", Role: "admin", PersonID: "eve"}}, late.CaseID, protects()); err != nil {
		t.Error(err)
	}
	b.sound()
}

func day(s string) deal.Date { d, _ := deal.ParseDate(s); return d }

// Who owns what competes does not decide, not even as an admin.
func TestRecusal(t *testing.T) {
	t.Parallel()
	b := desk(t, &deal.Account{ID: "ZAN", Name: zanzibar.Name, Country: "DE", City: "Ulm", PostalCode: zanzibar.PostalCode, Owner: "ada", Named: true},
		&deal.Account{ID: "QUIX", Name: quixotic.Name, Country: quixotic.Country, City: quixotic.City, PostalCode: quixotic.PostalCode, Owner: "dan"})
	b.put(&deal.Opportunity{ID: "O-1", AccountID: "QUIX", Name: "Brewing", Status: "open", LedBy: "direct", Owner: "bob"})
	named, _ := b.file(by("P-1", zanzibar, custom("want", "review")))
	direct, _ := b.file(by("P-1", quixotic, custom("want", "review")))
	for _, c := range []struct{ who, id, owns string }{{"ada", named.CaseID, "account ZAN"}, {"bob", direct.CaseID, "opportunity O-1"}} {
		for _, role := range []string{"ops", "admin"} {
			_, err := b.Do(context.Background(), Request{Actor: deal.Actor{KeyID: "k", Role: role, PersonID: c.who}}, c.id, protects())
			if !errors.Is(err, deal.ErrForbidden) || !strings.Contains(err.Error(), c.owns) {
				t.Errorf("%s as %s: %v", c.who, role, err)
			}
		}
	}
	if k := b.done("ada", direct.CaseID, Doing{Act: ActConsult, Text: "yours?"}); !slices.Equal(k.Consulted, []string{"bob"}) {
		t.Errorf("consulted %v", k.Consulted)
	}
	b.put(&deal.Opportunity{ID: "O-2", AccountName: "Kormoran Werft", Name: "Yard", Status: "open", LedBy: "direct", Owner: "bob"})
	byName, _ := b.file(by("P-2", deal.Customer{Name: "Kormoran Werft", Country: "DE", City: "Rostock"}, custom("want", "review")))
	if _, err := b.do("bob", byName.CaseID, protects()); !errors.Is(err, deal.ErrForbidden) || !strings.Contains(err.Error(), "opportunity O-2") {
		t.Errorf("an opportunity that names no account: %v", err)
	}
	b.done("bob", named.CaseID, protects())
	b.done("ada", direct.CaseID, routes(deal.Declined))
	b.sound()
}

// Where two people decide, the first proposes and the second confirms, or proposes something else.
func TestFourEyes(t *testing.T) {
	t.Parallel()
	b := desk(t)
	r, _ := b.file(by("P-1", zanzibar, custom("want", "eyes")))
	if _, err := b.do("ada", r.CaseID, Doing{Act: ActResolve, Text: "yes", Confirm: true}); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("confirmed nothing: %v", err)
	}
	k := b.done("ada", r.CaseID, routes(deal.Declined))
	if k.Status != deal.CaseOpen || k.Proposal == nil || k.Proposal.By != person("ada") {
		t.Fatalf("proposed %+v", k)
	}
	if _, err := b.do("ada", r.CaseID, Doing{Act: ActResolve, Text: "yes", Confirm: true}); !errors.Is(err, deal.ErrForbidden) {
		t.Errorf("confirmed by who proposed it: %v", err)
	}
	if k = b.done("ada", r.CaseID, routes(deal.Declined)); k.Status != deal.CaseOpen {
		t.Fatalf("proposing twice decides: %+v", k)
	}
	if k = b.done("bob", r.CaseID, protects()); k.Status != deal.CaseOpen || k.Proposal.By != person("bob") {
		t.Fatalf("another ruling decides: %+v", k)
	}
	if s := b.status(r.ID); s != deal.StatusEscalated {
		t.Errorf("proposed, it is %s", s)
	}
	if k = b.done("ada", r.CaseID, Doing{Act: ActResolve, Text: "yes", Confirm: true}); k.Outcome != "protected" || k.RuledBy != "ada" {
		t.Errorf("confirmed %+v", k)
	}
	other, _ := b.file(by("P-2", quixotic, custom("want", "eyes")))
	b.done("ada", other.CaseID, protects())
	if k = b.done("bob", other.CaseID, protects()); k.Outcome != "protected" {
		t.Errorf("the same from a second person: %+v", k)
	}
	b.sound()
}

// A ruling is refused when the world has changed since, and says how; a part of it may be free.
func TestWorldChanged(t *testing.T) {
	t.Parallel()
	b := desk(t)
	both := func(f *deal.Filing) { f.Products = append(f.Products, deal.Product{SKU: "SKU-security", Quantity: 1}) }
	r, _ := b.file(by("P-1", zanzibar, custom("want", "decline"), both)) // no hold
	b.file(by("P-2", zanzibar, custom("want", "dispute"), both))
	k := b.caseOf(r.ID)
	b.done("dan", k.ID, Doing{Act: ActResolve, Text: "the letter", Ruling: deal.Ruling{Resolution: deal.ResolveSplit, RegistrationID: k.Also[0], Limit: &deal.ScopeLimit{Lines: []string{"Security"}}}})
	k = b.done("bob", k.ID, Doing{Act: ActResolve, Text: "yes", Confirm: true})
	winner, _, _ := b.last(k.Also[0])
	if winner.Status != deal.StatusProtected || !slices.Equal(winner.Protection.Scope.Lines, []string{"security"}) {
		t.Fatalf("split: %+v", winner.Protection)
	}
	// The one in question was decided again, by the rules: the other holds a part of it.
	if r, _, _ = b.last(r.ID); r.Status != deal.StatusWaitlisted {
		t.Fatalf("the other is %s", r.Status)
	}
	b.clock.advance(time.Hour)
	third, _ := b.file(by("P-3", quixotic, custom("want", "decline")))
	if _, err := b.move(asOps, third.ID, deal.EventExtend); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("extended while escalated: %v", err)
	}
	dispute, _ := b.file(by("P-4", zanzibar, custom("want", "dispute"), both))
	if _, err := b.do("dan", dispute.CaseID, protects()); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), winner.ID) || !strings.Contains(err.Error(), "security") {
		t.Errorf("granted over a holder: %v", err)
	}
	free := Doing{Act: ActResolve, Text: "the rest", Ruling: deal.Ruling{Resolution: deal.ResolveSplit, Limit: &deal.ScopeLimit{Lines: []string{"network"}}}}
	b.done("ada", dispute.CaseID, free)
	if k = b.done("bob", dispute.CaseID, free); k.Outcome != "protected" {
		t.Errorf("the rest: %+v", k)
	}
	b.sound()
}

// One dispute has one case; whoever is in it is decided again when it is resolved. No partner sees that it is not alone.
func TestOneDispute(t *testing.T) {
	t.Parallel()
	b := desk(t)
	first, _ := b.file(by("P-1", zanzibar, custom("want", "review")))
	second, _ := b.file(by("P-2", zanzibar, custom("want", "dispute")))
	third, _ := b.file(by("P-3", zanzibar, custom("want", "dispute")))
	k := b.caseOf(first.ID)
	if second.CaseID != k.ID || third.CaseID != k.ID || !slices.Equal(k.Also, []string{second.ID, third.ID}) || !k.Terms.FourEyes {
		t.Fatalf("case %+v", k)
	}
	own := b.partner(second.ID).Decision
	if own.Case == nil || own.Case.ID == k.ID || own.Case.ID != caseID(own.ID) || b.partner(first.ID).Decision.Case.ID != caseID(first.DecisionID) {
		t.Errorf("the second partner reads %+v", own.Case)
	}
	if _, err := b.move(asOps, third.ID, deal.EventWithdraw); err != nil {
		t.Fatal(err)
	}
	if k = b.caseOf(first.ID); !slices.Equal(k.Also, []string{second.ID}) || k.Status != deal.CaseOpen {
		t.Errorf("after one has gone: %+v", k)
	}
	if _, err := b.move(asOps, first.ID, deal.EventWithdraw); err != nil {
		t.Fatal(err)
	}
	if k = b.caseOf(first.ID); k.Status != deal.CaseResolved || k.Outcome != "withdrawn" {
		t.Errorf("after the first has gone: %+v", k)
	}
	if s := b.status(second.ID); s != deal.StatusProtected {
		t.Errorf("the second is %s", s)
	}
	b.sound()
}

// Silence does what the policy says, as of the instant it is due, and is an entry as a person's act is.
func TestSilence(t *testing.T) {
	t.Parallel()
	b := desk(t)
	granted, _ := b.file(by("P-1", zanzibar, custom("want", "grant")))
	declined, _ := b.file(by("P-2", quixotic, custom("want", "decline")))
	behind, _ := b.file(by("P-3", quixotic))
	raised, _ := b.file(by("P-4", deal.Customer{Name: "Kormoran Werft", Country: "DE", City: "Rostock"}, custom("want", "review")))
	b.clock.set(b.caseOf(raised.ID).AcknowledgeBy)
	b.put()
	kinds := func(id string) (out []string) {
		es, err := b.Store().EntriesOf(context.Background(), []string{id})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range es {
			if e.Actor != deal.System && e.Kind != deal.EntryDecided {
				t.Errorf("%s by %v", e.Kind, e.Actor)
			}
			out = append(out, strings.TrimPrefix(e.Kind, "case."))
		}
		return out
	}
	if got := kinds(raised.CaseID); !slices.Equal(got, []string{"unacknowledged"}) {
		t.Errorf("not acknowledged: %v", got)
	}
	k := b.caseOf(raised.ID)
	b.clock.set(k.WarnAt)
	b.put()
	b.clock.set(k.DueAt)
	b.put()
	if k = b.caseOf(raised.ID); k.Terms.Queue != "director" || k.Terms.Authority != "director" || k.Raised != 1 || !k.DueAt.After(b.clock.now()) {
		t.Errorf("raised %+v", k)
	}
	if _, err := b.do("ada", k.ID, protects()); !errors.Is(err, deal.ErrForbidden) {
		t.Errorf("decided below: %v", err)
	}
	b.clock.set(k.DueAt.Add(100 * time.Hour)) // nobody was at work
	b.put()
	if got := kinds(raised.CaseID); !slices.Equal(got, []string{"unacknowledged", "warned", "raised", "warned", "overdue"}) {
		t.Errorf("the life of a case nobody looks at: %v", got)
	}
	if k = b.caseOf(raised.ID); !k.Overdue || k.Status != deal.CaseOpen {
		t.Errorf("overdue %+v", k)
	}
	b.done("dan", k.ID, protects())
	r, _, entry := b.last(declined.ID)
	if r.Status != deal.StatusRouted || entry.Kind != deal.EntryResolved || entry.Actor != deal.System {
		t.Errorf("declined by silence: %s, %s", r.Status, entry.Kind)
	}
	if a := b.partner(declined.ID); a.Decision.ReasonCodes[0] != deal.ReasonNotInTime || a.Decision.Route.Disposition != deal.Declined {
		t.Errorf("the partner reads %+v", a.Decision)
	}
	if s := b.status(behind.ID); s != deal.StatusProtected {
		t.Errorf("behind it is %s", s)
	}
	b.clock.set(b.caseOf(granted.ID).DueAt.Add(-time.Microsecond))
	b.put()
	if s := b.status(granted.ID); s != deal.StatusEscalated {
		t.Errorf("before its time %s", s)
	}
	b.clock.advance(time.Microsecond)
	b.put()
	r, _, _ = b.last(granted.ID)
	if r.Status != deal.StatusProtected || !r.Protection.EndsAt.Equal(time.Date(2027, 3, 16, 23, 0, 0, 0, time.UTC)) {
		t.Errorf("granted by silence: %s, %+v", r.Status, r.Protection)
	}
	if moved, err := b.LastMove(context.Background(), &r); err != nil || moved.Event != deal.EventSilence || moved.By != deal.System {
		t.Errorf("moved %+v, %v", moved, err)
	}
	b.sound()
}

// What silence would grant, and another holds by then, is sent up instead.
func TestSilenceOverHolder(t *testing.T) {
	t.Parallel()
	b := desk(t)
	first, _ := b.file(by("P-1", zanzibar, custom("want", "grant")))
	b.publish(deal.PolicyDocument, strings.Replace(disputes, `precedence: [route, escalate, protect]`, `precedence: [protect, escalate, route]`, 1))
	second, _ := b.file(by("P-2", zanzibar))
	if second.Status != deal.StatusProtected {
		t.Fatalf("the second is %s", second.Status)
	}
	k := b.caseOf(first.ID)
	b.clock.set(k.DueAt)
	b.put()
	if k = b.caseOf(first.ID); k.Status != deal.CaseOpen || k.Raised != 1 || k.Terms.Queue != "director" {
		t.Errorf("case %+v", k)
	}
	if b.status(first.ID) != deal.StatusEscalated || b.status(second.ID) != deal.StatusProtected {
		t.Errorf("%s and %s", b.status(first.ID), b.status(second.ID))
	}
	b.sound()
}

// A question to the partner stops the clocks until it is answered, or is not in time.
func TestAsk(t *testing.T) {
	t.Parallel()
	b := desk(t)
	r, _ := b.file(by("P-1", zanzibar, custom("want", "review")))
	before := b.caseOf(r.ID)
	b.clock.advance(2 * time.Hour)
	if _, err := b.move(asPortal, r.ID, deal.EventRespond); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("an answer to nothing: %v", err)
	}
	k := b.done("ada", r.CaseID, Doing{Act: ActAsk, Text: "Who signed the letter?"})
	if k.AcknowledgedAt.IsZero() || !k.PausedAt.Equal(b.clock.now()) || !k.AnswerBy.Equal(time.Date(2027, 3, 15, 16, 0, 0, 0, time.UTC)) {
		t.Fatalf("asked %+v", k)
	}
	if a := b.partner(r.ID); a.Decision.Case == nil || !a.Decision.Case.AnswerBy.Equal(k.AnswerBy) {
		t.Errorf("the partner reads %+v", a.Decision.Case)
	}
	if q, err := b.Question(context.Background(), &k); err != nil || q != "Who signed the letter?" {
		t.Errorf("the question reads %q, %v", q, err)
	}
	if _, err := b.do("bob", r.CaseID, Doing{Act: ActAsk, Text: "And when?"}); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("asked twice: %v", err)
	}
	b.clock.set(before.DueAt.Add(time.Hour))
	b.put()
	if k = b.caseOf(r.ID); k.Raised != 0 || k.PausedAt.IsZero() {
		t.Errorf("its clock ran on: %+v", k)
	}
	if _, err := b.moveWith(asPortal, r.ID, Moving{Event: deal.EventRespond, Reason: "The CIO.", Evidence: []deal.Evidence{{Kind: "letter", Text: "scan"}}}); err != nil {
		t.Fatal(err)
	}
	k = b.caseOf(r.ID)
	// It had 21 business hours left at noon on Monday, and has them again from the evening of Wednesday on: until the close of Monday.
	if !k.PausedAt.IsZero() || !k.DueAt.Equal(time.Date(2027, 3, 8, 16, 0, 0, 0, time.UTC)) {
		t.Errorf("answered %+v", k)
	}
	b.done("ada", r.CaseID, Doing{Act: ActAsk, Text: "And when?", Until: b.clock.now().Add(time.Hour)})
	b.clock.advance(3 * time.Hour)
	b.put()
	if k2 := b.caseOf(r.ID); !k2.PausedAt.IsZero() || !k2.DueAt.Equal(k.DueAt) { // an evening costs no business hours
		t.Errorf("not answered in time: %+v", k2)
	}
	if _, err := b.move(asPortal, r.ID, deal.EventRespond); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("too late: %v", err)
	}
	b.sound()
}

// What is done to a case by the way: it is taken, spoken about, put off; nobody overwrites anybody.
func TestActs(t *testing.T) {
	t.Parallel()
	b := desk(t)
	r, _ := b.file(by("P-1", zanzibar, custom("want", "review")))
	k := b.done("ada", r.CaseID, Doing{Act: ActAcknowledge})
	if k.Assignee != "ada" || k.AcknowledgedAt.IsZero() || !k.AcknowledgeBy.IsZero() {
		t.Errorf("acknowledged %+v", k)
	}
	if _, err := b.do("bob", r.CaseID, Doing{Act: ActAcknowledge}); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("twice: %v", err)
	}
	seen := k.Version
	b.done("ada", r.CaseID, Doing{Act: ActAssign, PersonID: "bob", Version: seen})
	k = b.done("bob", r.CaseID, Doing{Act: ActComment, Text: "Dan, yours?", Mentions: []string{"dan"}})
	stale := protects()
	stale.Version = seen
	_, err := b.do("ada", r.CaseID, stale)
	if !errors.Is(err, deal.ErrStale) || !strings.Contains(err.Error(), "case.assigned by key_ada/ops/ada") || !strings.Contains(err.Error(), "case.commented") || !strings.Contains(err.Error(), fmt.Sprint(k.Version)) {
		t.Errorf("decided on what was: %v", err)
	}
	b.done("bob", r.CaseID, Doing{Act: ActSnooze, Until: b.clock.now().Add(time.Hour)})
	b.clock.advance(time.Hour)
	b.put()
	if k = b.caseOf(r.ID); !k.SnoozedUntil.IsZero() {
		t.Errorf("not awake: %+v", k)
	}
	es, err := b.Store().EntriesOf(context.Background(), []string{k.ID})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		if strings.Contains(string(e.Body), "yours?") || strings.Contains(string(e.Answer), "yours?") {
			t.Errorf("%s keeps the words where they cannot be erased", e.Kind)
		}
	}
	// One who leaves leaves their cases to the queue.
	if err := b.Delete(context.Background(), Request{Actor: asOps}, deal.People, []string{"bob"}); err != nil {
		t.Fatal(err)
	}
	if k = b.caseOf(r.ID); k.Assignee != "" {
		t.Errorf("of one who has left: %+v", k)
	}
	b.sound()
}

// An appeal is a case of its own: within its time, decided by somebody else.
func TestAppeal(t *testing.T) {
	t.Parallel()
	b := desk(t)
	r, _ := b.file(by("P-1", zanzibar, custom("want", "declined")))
	if a := b.partner(r.ID); a.Decision.Appeal == nil || a.Decision.Appeal.Within != "5bd" {
		t.Fatalf("appeal %+v", a.Decision.Appeal)
	}
	late, _ := b.file(by("P-2", quixotic, custom("want", "declined")))
	got, err := b.move(asPortal, r.ID, deal.EventAppeal)
	if err != nil || got.Status != deal.StatusEscalated || got.Decision.Case == nil || got.Decision.Case.Kind != deal.CaseAppeal || got.Decision.Appeal != nil ||
		!strings.Contains(got.Decision.Explanation, "again") || got.Decision.ReasonCodes[0] != deal.ReasonUnderReview {
		t.Fatalf("appealed %+v, %v", got, err)
	}
	if _, err := b.move(asPortal, r.ID, deal.EventAppeal); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("twice: %v", err)
	}
	other, _ := b.file(by("P-3", zanzibar))
	if other.Status != deal.StatusWaitlisted {
		t.Errorf("who comes while it is looked at is %s", other.Status)
	}
	decline := routes(deal.Declined)
	decline.Ruling.ReasonCode = "NOT_ELIGIBLE"
	k := b.done("ada", b.caseOf(r.ID).ID, decline)
	if s := b.status(other.ID); k.Outcome != "routed" || s != deal.StatusProtected {
		t.Errorf("declined again %+v, and the other is %s", k, s)
	}
	if _, err := b.move(asPortal, r.ID, deal.EventAppeal); err != nil {
		t.Fatalf("once more, on grounds of the new decision: %v", err)
	}
	again := b.caseOf(r.ID)
	if _, err := b.do("ada", again.ID, decline); !errors.Is(err, deal.ErrForbidden) || !strings.Contains(err.Error(), "before") {
		t.Errorf("by who decided it: %v", err)
	}
	wait := Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Waitlisted, ReasonCode: "ALREADY_REGISTERED"}}
	if k = b.done("bob", again.ID, wait); k.Outcome != "waitlisted" {
		t.Errorf("in line: %+v", k)
	}
	if _, err := b.move(asOps, other.ID, deal.EventWithdraw); err != nil {
		t.Fatal(err)
	}
	if s := b.status(r.ID); s != deal.StatusRouted {
		t.Errorf("decided again by the rules it is %s", s)
	}
	b.clock.advance(8 * 24 * time.Hour)
	if _, err := b.move(asPortal, late.ID, deal.EventAppeal); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "5bd") {
		t.Errorf("too late: %v", err)
	}
	b.sound()
}

// Who appeals is a customer of its own, whom nobody was resolved to while it was no claim. Who waits when the holder's window ends waits for
// the appeal from then on, and its turn comes with it.
func TestAppealAhead(t *testing.T) {
	t.Parallel()
	b := desk(t)
	turned, _ := b.file(by("P-1", zanzibar, custom("want", "declined")))
	holder, _ := b.file(by("P-2", zanzibar))
	waits, _ := b.file(by("P-3", zanzibar))
	if holder.Status != deal.StatusProtected || waits.Status != deal.StatusWaitlisted || turned.CustomerRef == holder.CustomerRef {
		t.Fatalf("%s of %v, %s, beside %v", holder.Status, holder.CustomerRef, waits.Status, turned.CustomerRef)
	}
	if _, err := b.move(asPortal, turned.ID, deal.EventAppeal); err != nil {
		t.Fatal(err)
	}
	b.clock.advance(70 * 24 * time.Hour)
	b.lawful(0)
	if of, is := b.status(holder.ID), b.status(waits.ID); of != deal.StatusExpired || is != deal.StatusWaitlisted {
		t.Fatalf("the holder is %s, who waited %s", of, is)
	}
	decline := routes(deal.Declined)
	decline.Ruling.ReasonCode = "NOT_ELIGIBLE"
	b.done("dan", b.caseOf(turned.ID).ID, decline)
	if s := b.status(waits.ID); s != deal.StatusProtected {
		t.Errorf("after the appeal it is %s", s)
	}
	b.sound()
}

// What was resolved can be looked at once more, unless it holds by now.
func TestReopen(t *testing.T) {
	t.Parallel()
	b := desk(t)
	r, _ := b.file(by("P-1", zanzibar, custom("want", "review")))
	reopen := Doing{Act: ActReopen, Text: "a letter came"}
	if _, err := b.do("ada", r.CaseID, reopen); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("an open one: %v", err)
	}
	k := b.done("ada", r.CaseID, routes(deal.Declined))
	b.clock.advance(time.Hour)
	stale := reopen
	stale.Version = k.Version - 1
	if _, err := b.do("ada", r.CaseID, stale); !errors.Is(err, deal.ErrStale) {
		t.Errorf("another version: %v", err)
	}
	if k = b.done("bob", r.CaseID, reopen); k.Status != deal.CaseOpen || k.Outcome != "" || !k.DueAt.After(b.clock.now()) {
		t.Errorf("reopened %+v", k)
	}
	if a := b.partner(r.ID); a.Status != deal.StatusEscalated || !strings.Contains(a.Decision.Explanation, "again") {
		t.Errorf("the partner reads %+v", a)
	}
	b.done("ada", r.CaseID, protects())
	if _, err := b.do("bob", r.CaseID, reopen); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "protected") {
		t.Errorf("while it holds: %v", err)
	}
	b.sound()
}

// Who waits for a deal that is won is told.
func TestClosedWon(t *testing.T) {
	t.Parallel()
	b := desk(t)
	r, _ := b.file(by("P-1", zanzibar))
	second, _ := b.file(by("P-2", zanzibar))
	third, _ := b.file(by("P-3", zanzibar))
	if _, err := b.move(asOps, r.ID, deal.EventWon); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{second.ID, third.ID} {
		a := b.partner(id)
		if a.Status != deal.StatusRouted || a.Decision.ReasonCodes[0] != deal.ReasonClosedWon || !strings.Contains(a.Decision.Explanation, "closed") {
			t.Errorf("who waited reads %+v", a)
		}
	}
	b.sound()
}

// Of many who resolve one case at once, through two replicas, one does, and a retry with its key does not do it again.
func TestResolveAtOnce(t *testing.T) {
	t.Parallel()
	b := desk(t)
	r, _ := b.file(by("P-1", zanzibar, custom("want", "review")))
	other := b.replica()
	version := b.caseOf(r.ID).Version
	const n = 16
	errs := make([]error, n)
	ask := func(i int) (Request, Doing) {
		d := []Doing{protects(), routes(deal.Declined)}[i%2]
		d.Version = version
		return Request{Actor: person([]string{"ada", "bob"}[i%2]), IdemKey: fmt.Sprint("k", i), Hash: []byte{byte(i)}}, d
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			q, d := ask(i)
			_, errs[i] = []*bench{b, other}[i/2%2].Do(context.Background(), q, r.CaseID, d)
		})
	}
	wg.Wait()
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won >= 0:
			t.Errorf("both %d and %d resolved it", won, i)
		case err == nil:
			won = i
		case !errors.Is(err, deal.ErrStale):
			t.Error(err)
		}
	}
	if won < 0 {
		t.Fatal("nobody resolved it")
	}
	head, err := b.Store().Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	q, d := ask(won)
	if k, err := b.Do(context.Background(), q, r.CaseID, d); err != nil || k.Status != deal.CaseResolved {
		t.Errorf("again: %+v, %v", k, err)
	}
	if after, err := b.Store().Head(context.Background()); err != nil || after.Seq != head.Seq {
		t.Errorf("a retry wrote entry %d, %v", after.Seq, err)
	}
	b.sound()
}

// What a partner holds when it is suspended or terminated stays, is revoked, or is for people to decide, as the policy says.
func TestStanding(t *testing.T) {
	t.Parallel()
	other := deal.Customer{Name: "Kormoran Werft", Country: "DE", City: "Rostock"}
	b := desk(t)
	partner := func(status string) *deal.Partner {
		return &deal.Partner{ID: "P-1", Name: "Partner 1", Type: "reseller", Tier: "gold", Status: status, AgreementSignedAt: day("2026-01-01"), TrainedStaff: 3}
	}
	standing := func() *deal.Case {
		return read(b.Engine, func(v *view) *deal.Case { return v.standingCase("P-1") })
	}
	first, _ := b.file(by("P-1", zanzibar))
	second, _ := b.file(by("P-1", quixotic))
	third, _ := b.file(by("P-1", other))
	behind, _ := b.file(by("P-2", quixotic))
	b.put(partner("suspended"))
	k := standing()
	if k == nil || !slices.Equal(k.Members(), []string{first.ID, second.ID, third.ID}) {
		t.Fatalf("suspended: %+v", k)
	}
	b.put(partner("active"))
	if standing() != nil || b.status(first.ID) != deal.StatusProtected {
		t.Errorf("active again: %+v, %s", standing(), b.status(first.ID))
	}
	b.put(partner("terminated"))
	k = standing()
	if _, err := b.move(asOps, first.ID, deal.EventWithdraw); err != nil {
		t.Fatal(err)
	}
	if now := standing(); now == nil || !slices.Equal(now.Members(), []string{second.ID, third.ID}) {
		t.Errorf("one has gone: %+v", now)
	}
	var wrong deal.FieldErrors
	if _, err := b.do("dan", k.ID, Doing{Act: ActResolve, Text: "x", Ruling: deal.Ruling{Resolution: deal.ResolveCoSell}}); !errors.As(err, &wrong) {
		t.Errorf("sold together: %v", err)
	}
	done := b.done("dan", k.ID, routes(deal.Declined))
	if done.Status != deal.CaseResolved || done.Outcome != "revoked" || done.RuledBy != "dan" {
		t.Errorf("resolved %+v", done)
	}
	if b.status(second.ID) != deal.StatusRevoked || b.status(third.ID) != deal.StatusRevoked || b.status(behind.ID) != deal.StatusProtected {
		t.Errorf("revoked: %s, %s; behind: %s", b.status(second.ID), b.status(third.ID), b.status(behind.ID))
	}
	if _, _, entry := b.last(second.ID); entry.Actor != person("dan") {
		t.Errorf("revoked by %v", entry.Actor)
	}
	b.put(partner("active"))
	fourth, _ := b.file(by("P-1", zanzibar))
	b.put(partner("suspended"))
	if done = b.done("dan", standing().ID, protects()); done.Outcome != "kept" || b.status(fourth.ID) != deal.StatusProtected {
		t.Errorf("kept: %+v, %s", done, b.status(fourth.ID))
	}
	b.put(partner("active"))
	b.publish(deal.PolicyDocument, strings.Replace(disputes, "defaults: {escalate: {", "defaults: {escalate: {four_eyes: true, ", 1))
	b.put(partner("suspended"))
	if k := b.done("dan", standing().ID, routes(deal.Declined)); k.Status != deal.CaseOpen || k.Proposal == nil || b.status(fourth.ID) != deal.StatusProtected {
		t.Errorf("one pair of eyes: %+v, %s", k, b.status(fourth.ID))
	}
	if k := b.done("ada", standing().ID, protects()); k.Proposal == nil || k.Proposal.By != person("ada") {
		t.Errorf("another proposal: %+v", k)
	}
	if k := b.done("dan", standing().ID, Doing{Act: ActResolve, Text: "yes", Confirm: true}); k.Outcome != "kept" || b.status(fourth.ID) != deal.StatusProtected {
		t.Errorf("two pairs of eyes: %+v, %s", k, b.status(fourth.ID))
	}
	b.put(partner("active"))
	b.publish(deal.PolicyDocument, strings.Replace(disputes, "settings:\n", "settings:\n  on_partner: {suspended: keep, terminated: revoke}\n", 1))
	b.put(partner("suspended"))
	if standing() != nil || b.status(fourth.ID) != deal.StatusProtected {
		t.Errorf("kept as the policy says: %+v, %s", standing(), b.status(fourth.ID))
	}
	b.put(partner("terminated"))
	if b.status(fourth.ID) != deal.StatusRevoked {
		t.Errorf("revoked as the policy says: %s", b.status(fourth.ID))
	}
	b.sound()
}

// silences is a policy under which every claim is decided by silence after eight days: granted, or declined when it asks for that.
const silences = `apiVersion: dealreg/v1
kind: Policy
metadata: {name: silences, title: Silences}
settings: {currency: EUR, timezone: Europe/Berlin, tiers: [gold], custom: {want: {type: string}}}
precedence: [route, escalate, protect]
reasons: {ALREADY_REGISTERED: {partner: Registered already., internal: Held.}}
defaults: {escalate: {queue: desk, decide: 8d}}
rules:
  - {id: held, when: conflict.held_by_other.found || conflict.pending_other.found, then: {outcome: route, disposition: waitlisted, of: held_by_other, reason: ALREADY_REGISTERED}}
  - {id: declined, when: custom.want == "declined", then: {outcome: escalate, reason: UNDER_REVIEW, on_silence: decline}}
  - {id: granted, when: custom.want == "granted", then: {outcome: escalate, reason: UNDER_REVIEW, on_silence: grant, terms: {days: 20}}}
  - {id: protect, when: "true", then: {outcome: protect, reason: PROTECTED, terms: {days: 30}}}
`

// Of thousands of cases whose time runs out in one instant a commit writes some. Whoever comes to one of which nothing is written yet, or
// does something about it, finds it decided by silence.
func TestManyClocks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.people()
	b.publish(deal.PolicyDocument, silences)
	_, around := pick(0, 10_000)
	crowd := world.NewCrowd(around)
	at := func(i int) deal.Customer {
		a := crowd.Account(i)
		return deal.Customer{Name: a.Name, Country: a.Country, City: a.City, PostalCode: a.PostalCode, Domain: a.Domain, TaxID: a.TaxID}
	}
	n := 2_400
	if underRace() {
		n = 500
	}
	ids := make([]string, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f := by("P-1", at(i), custom("want", []string{"granted", "declined"}[i%2]))
				f.ExpectedCloseDate = deal.Date{}
				got, err := b.Register(context.Background(), Request{Actor: asPortal}, f)
				if err != nil {
					t.Error(err)
					return
				}
				if a := b.answer(got); a.Status == deal.StatusEscalated {
					ids[i] = a.ID
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	var due time.Time
	open := read(b.Engine, func(v *view) (out []deal.Case) { // those come last whose case is written last
		for _, k := range v.cases {
			out = append(out, *k)
			due = k.DueAt
		}
		slices.SortFunc(out, func(x, y deal.Case) int { return strings.Compare(x.ID, y.ID) })
		return out
	})
	if len(open) < n*8/10 {
		t.Fatalf("of %d claims %d have a case", n, len(open))
	}
	// last returns the claim that of those with the wish is last in line to be written, and its customer.
	last := func(want string) (deal.Case, deal.Customer) {
		for _, k := range slices.Backward(open) {
			if i := slices.Index(ids, k.RegistrationID); i >= 0 && []string{"granted", "declined"}[i%2] == want {
				open = slices.DeleteFunc(open, func(x deal.Case) bool { return x.ID == k.ID })
				return k, at(i)
			}
		}
		t.Fatalf("nobody is to be %s", want)
		return deal.Case{}, deal.Customer{}
	}
	b.clock.set(due.Add(-time.Hour))
	for range 2*n/endsAtOnce + 2 {
		b.put() // warnings
	}
	queued, where := last("declined")
	waits, _ := b.file(by("P-2", where))
	if waits.Status != deal.StatusWaitlisted {
		t.Fatalf("behind a case: %s", waits.Status)
	}
	b.clock.set(due)

	granted, at1 := last("granted")
	f := by("P-3", at1)
	f.Normalise()
	if d, err := b.Foresee(context.Background(), f); err != nil || d.Route == nil || len(d.Conflicts) == 0 || d.Conflicts[0].Kind != deal.HeldByOther {
		t.Errorf("foreseen: %+v, %v", d.Conflicts, err)
	}
	granted2, at2 := last("granted")
	late, _ := b.file(by("P-3", at2))
	_, d, _, err := b.Registration(context.Background(), late.ID)
	if err != nil || late.Status != deal.StatusWaitlisted || d.Conflicts[0].Kind != deal.HeldByOther || d.Conflicts[0].With != granted2.RegistrationID {
		t.Errorf("beside one that silence grants: %s, %+v, %v", late.Status, d.Conflicts, err)
	}
	_, _, entry := b.last(late.ID)
	together := 0
	for e, err := range b.Store().Entries(context.Background(), entry.Seq-uint64(n)/2) {
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
	_, at3 := last("declined")
	if free, _ := b.file(by("P-3", at3)); free.Status != deal.StatusProtected {
		t.Errorf("after one that silence declines: %s", free.Status)
	}
	if behind, _ := b.file(by("P-3", where)); behind.Status != deal.StatusWaitlisted || b.status(waits.ID) != deal.StatusProtected {
		t.Errorf("a newcomer is %s, and who waited is %s", behind.Status, b.status(waits.ID))
	}
	for i, try := range []func(k deal.Case) error{
		func(k deal.Case) error { _, err := b.do("ada", k.ID, routes(deal.Declined)); return err },
		func(k deal.Case) error { _, err := b.do("ada", k.ID, Doing{Act: ActAcknowledge}); return err },
		func(k deal.Case) error { _, err := b.move(asPortal, k.RegistrationID, deal.EventRespond); return err },
	} {
		k, _ := last("granted")
		if err := try(k); !errors.Is(err, deal.ErrNotPossible) || b.status(k.RegistrationID) != deal.StatusProtected {
			t.Errorf("%d: %v, and it is %s", i, err, b.status(k.RegistrationID))
		}
	}
	read1, _ := last("granted")
	if r, d, k, err := b.Registration(context.Background(), read1.RegistrationID); err != nil || r.Status != deal.StatusProtected || d.Outcome != deal.Protect || k != nil && k.Status == deal.CaseOpen {
		t.Errorf("read: %s, %s, %+v, %v", r.Status, d.Outcome, k, err)
	}
	read2, _ := last("declined")
	if f, err := b.File(context.Background(), read2.ID, person("ada")); err != nil || f.Case.Status != deal.CaseResolved || f.Registration.Status != deal.StatusRouted {
		t.Errorf("read: %+v, %v", f.Case, err)
	}
	ended, _ := last("granted")
	if _, err := b.move(asOps, ended.RegistrationID, deal.EventLost); err != nil {
		t.Error(err)
	} else if h := b.kinds(ended.RegistrationID); !slices.Contains(h, deal.EntryResolved) {
		t.Errorf("lost without the grant of an hour before: %v", h)
	}
	for range 2*n/endsAtOnce + 2 {
		b.put()
	}
	for _, k := range append(open, granted, queued) {
		want := deal.StatusProtected
		if i := slices.Index(ids, k.RegistrationID); i%2 == 1 {
			want = deal.StatusRouted
		}
		if got := b.status(k.RegistrationID); got != want {
			t.Errorf("%s is %s, and silence makes it %s", k.RegistrationID, got, want)
		}
	}
	read(b.Engine, func(v *view) any {
		for id := range v.cases { // of some who waited
			if v.lapsed(id, b.clock.now()) {
				t.Errorf("%s is left", id)
			}
		}
		return nil
	})
	b.sound()
}

// kinds lists the kinds of a subject's entries, oldest first.
func (b *bench) kinds(subject string) (out []string) {
	b.t.Helper()
	h, err := b.Timeline(context.Background(), []string{subject})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, x := range h {
		out = append(out, x.Kind)
	}
	return out
}

// Who is ruled to wait behind a claim on what was only perhaps the same customer is in its line from then on, and is decided again
// when it ends.
func TestWaitBehindAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.people()
	b.publish(deal.PolicyDocument, strings.Replace(disputes, `custom.want != "dispute" && (conflict.held_by_other.found || conflict.pending_other.found)`,
		`conflict.held_by_other.probability >= 0.95`, 1))
	named := func(name, city string) deal.Customer { return deal.Customer{Name: name, Country: "DE", City: city} }
	holds, _ := b.file(by("P-1", named("Elbquell Schiffswerft GmbH", "Hamburg")))
	r, _ := b.file(by("P-2", named("Elbquell Schiffswerft Holding SE", "Bremen"), custom("want", "review")))
	far, _ := b.file(by("P-3", named("Zanzibar Orchestra Foundation", "Ulm"), custom("want", "review")))
	if r.Status != deal.StatusEscalated || r.CustomerRef == holds.CustomerRef {
		t.Fatalf("the second is %s on %v; the first on %v", r.Status, r.CustomerRef, holds.CustomerRef)
	}
	wait := Doing{Act: ActResolve, Text: "the holding signs for the yard", Ruling: deal.Ruling{Resolution: deal.ResolveRoute, Disposition: deal.Waitlisted, Of: holds.ID, ReasonCode: "ALREADY_REGISTERED"}}
	if _, err := b.do("ada", far.CaseID, wait); err == nil || !strings.Contains(err.Error(), "of") {
		t.Errorf("behind a claim of which nothing says that it may be on the same customer: %v", err)
	}
	if k := b.done("ada", r.CaseID, wait); k.Outcome != "waitlisted" {
		t.Errorf("ruled to wait: %+v", k)
	}
	now, d, _, err := b.Registration(context.Background(), r.ID)
	if err != nil || now.CustomerRef != holds.CustomerRef || d.Resolution.Ref != holds.CustomerRef || d.Route.Of != holds.ID || d.Route.Place != 1 {
		t.Errorf("it waits on %v behind %+v; the claim ahead is on %v", now.CustomerRef, d.Route, holds.CustomerRef)
	}
	if _, err := b.move(asOps, holds.ID, deal.EventWithdraw); err != nil {
		t.Fatal(err)
	}
	if s := b.status(r.ID); s == deal.StatusWaitlisted {
		t.Error("nobody is ahead, and it was not decided again")
	}
	b.sound()
}
