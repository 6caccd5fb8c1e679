package policy

import (
	"flag"
	"fmt"

	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

var update = flag.Bool("update", false, "rewrite golden files and generated tables")

var now = time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)

type facts map[string]any

// clean is a tidy new deal by an authorised partner with nothing in its way.
var clean = facts{
	"reg.amount": 32000.0, "reg.amount_known": true, "reg.lines": []string{"firewall"}, "reg.all_lines": false, "reg.line_count": 1,
	"partner.active": true, "partner.agreement_signed": true, "partner.authorised": true, "partner.authorised_country": true,
	"partner.authorised_lines": true, "partner.tier": "silver", "partner.tier_rank": 1,
	"customer.resolved": "none", "customer.country": "DE", "territory.coverage": "partner",
}

// given returns the clean facts with others laid over them.
func given(over ...facts) *Facts {
	f := NewFacts()
	for _, layer := range append([]facts{clean}, over...) {
		for name, v := range layer {
			f.Set(name, v)
		}
	}
	return f
}

// conflict returns a conflict of a kind over every line, with more facts of it in pairs.
func conflict(kind deal.ConflictKind, probability float64, more ...any) facts {
	k := "conflict." + string(kind) + "."
	out := facts{k + "found": true, k + "probability": probability, k + "same_lines": true}
	for i := 0; i < len(more); i += 2 {
		out[k+more[i].(string)] = more[i+1]
	}
	return out
}

func compile(t testing.TB, doc []byte) *Policy {
	t.Helper()
	p, err := Compile(doc)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// with returns the default policy with parts of its text replaced.
func with(t testing.TB, pairs ...string) *Policy {
	t.Helper()
	doc := string(Default())
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(doc, pairs[i]) {
			t.Fatalf("the default policy has no %q", pairs[i])
		}
		doc = strings.Replace(doc, pairs[i], pairs[i+1], 1)
	}
	return compile(t, []byte(doc))
}

// defaultCases are what the default policy must do, one or more per rule. rule decides; want is its answer.
var defaultCases = []struct {
	name string
	over []facts
	rule string
	want string // outcome/disposition to queue of
}{
	{"clean", nil, "protect", "protect"},
	{"gold", []facts{{"partner.tier": "gold"}}, "protect-long", "protect"},
	{"platinum", []facts{{"partner.tier": "platinum"}}, "protect-long", "protect"},
	{"a tier nobody declared", []facts{{"partner.tier": "diamond"}}, "protect", "protect"},
	{"no country", []facts{{"reg.missing": []string{"customer.country"}}}, "required", "route/returned submitter needs customer.country"},
	{"no country, so none is covered", []facts{{"reg.missing": []string{"customer.country"}, "partner.authorised_country": false}}, "required",
		"route/returned submitter needs customer.country"},
	{"no amount", []facts{{"reg.missing": []string{"amount"}, "reg.amount_known": false}}, "required", "route/returned submitter needs amount"},
	{"a pre-check without an amount", []facts{{"reg.missing": []string{"amount"}, "reg.amount_known": false, "reg.precheck": true}}, "protect", "protect"},
	{"a tender without its number", []facts{{"reg.missing": []string{"tender.number"}, "reg.tender": true}}, "required", "route/returned submitter needs tender.number"},
	{"no tender, no number", []facts{{"reg.missing": []string{"tender.number"}}}, "protect", "protect"},
	{"incomplete and held", []facts{{"reg.missing": []string{"amount"}}, conflict(deal.HeldByOther, 0.99)}, "required", "route/returned submitter needs amount"},
	{"another's distributor and no amount", []facts{{"reg.missing": []string{"amount"}, "partner.distributor_ok": false}}, "required",
		"route/returned submitter needs amount,distributor_id"},
	{"inactive", []facts{{"partner.active": false, "partner.status": "suspended"}}, "partner-inactive", "route/declined submitter"},
	{"inactive and held", []facts{{"partner.active": false}, conflict(deal.HeldByOther, 0.99)}, "partner-inactive", "route/declined submitter"},
	{"unsigned", []facts{{"partner.agreement_signed": false}}, "agreement-missing", "route/declined submitter"},
	{"signature not recorded", []facts{{"partner.agreement_signed": false, "partner.agreement_known": false}}, "protect", "protect"},
	{"credit hold", []facts{{"partner.credit_hold": true}}, "credit-hold", "route/declined submitter"},
	{"another country", []facts{{"partner.authorised": false, "partner.authorised_country": false}}, "not-authorised", "route/declined submitter"},
	{"another line", []facts{{"partner.authorised": false, "partner.authorised_lines": false}}, "not-authorised", "route/declined submitter"},
	{"another's distributor", []facts{{"partner.distributor_ok": false}}, "distributor-unknown", "route/returned submitter needs distributor_id"},
	{"own again", []facts{conflict(deal.OwnDuplicate, 0.97, "self", true, "status", "protected")}, "own-duplicate", "route/merged submitter of own_duplicate"},
	{"own again while it waits", []facts{conflict(deal.OwnDuplicate, 0.97, "self", true, "status", "waitlisted"), conflict(deal.HeldByOther, 0.97)}, "own-duplicate",
		"route/merged submitter of own_duplicate"},
	{"own, perhaps", []facts{conflict(deal.OwnDuplicate, 0.7, "self", true, "status", "protected")}, "possible-duplicate", "escalate deal-desk"},
	{"own, ended", []facts{conflict(deal.OwnDuplicate, 0.97, "self", true, "status", "expired")}, "protect", "protect"},
	{"own, returned and completed", []facts{conflict(deal.OwnDuplicate, 0.97, "self", true, "status", "returned")}, "protect", "protect"},
	{"own, in part", []facts{conflict(deal.OwnDuplicate, 0.97, "self", true, "status", "protected", "same_lines", false)}, "own-overlap", "escalate deal-desk"},
	{"held", []facts{conflict(deal.HeldByOther, 0.97, "holds", true, "status", "protected")}, "held", "route/waitlisted submitter of held_by_other"},
	{"held and pending", []facts{conflict(deal.HeldByOther, 0.97), conflict(deal.PendingOther, 0.99)}, "held", "route/waitlisted submitter of held_by_other"},
	{"held and large", []facts{conflict(deal.HeldByOther, 0.97), {"reg.amount": 1e6}}, "held", "route/waitlisted submitter of held_by_other"},
	{"held in part", []facts{conflict(deal.HeldByOther, 0.97, "same_lines", false)}, "held-in-part", "escalate deal-desk"},
	{"pending", []facts{conflict(deal.PendingOther, 0.97)}, "pending", "route/waitlisted submitter of pending_other"},
	{"pending in part", []facts{conflict(deal.PendingOther, 0.97, "same_lines", false)}, "pending-in-part", "escalate deal-desk"},
	{"a letter against a holder", []facts{conflict(deal.HeldByOther, 0.97), {"reg.has_letter": true}}, "letter", "escalate channel-disputes"},
	{"a letter against an earlier filing", []facts{conflict(deal.PendingOther, 0.97), {"reg.has_letter": true}}, "letter", "escalate channel-disputes"},
	{"a letter, and nobody there", []facts{{"reg.has_letter": true}}, "protect", "protect"},
	{"perhaps held", []facts{conflict(deal.HeldByOther, 0.7)}, "possible-duplicate", "escalate deal-desk"},
	{"perhaps pending", []facts{conflict(deal.PendingOther, 0.7)}, "possible-duplicate", "escalate deal-desk"},
	{"family", []facts{conflict(deal.FamilyHeld, 0.97, "relation", "parent")}, "family", "escalate deal-desk"},
	{"perhaps family", []facts{conflict(deal.FamilyHeld, 0.6)}, "family", "escalate deal-desk"},
	{"another partner's opportunity", []facts{conflict(deal.PartnerOpportunity, 0.97)}, "partner-opportunity", "escalate channel-disputes"},
	{"perhaps another partner's opportunity", []facts{conflict(deal.PartnerOpportunity, 0.6, "idle_days", 400)}, "partner-opportunity", "escalate channel-disputes"},
	{"the partner's own opportunity", []facts{conflict(deal.PartnerOpportunity, 0.97, "self", true)}, "protect", "protect"},
	{"direct", []facts{conflict(deal.DirectEngaged, 0.97, "idle_days", 5, "stage", "proposal", "stage_no", 2)}, "direct-engaged", "route/co_sell direct_team channel-managers owner opportunity"},
	{"direct, activity unknown", []facts{conflict(deal.DirectEngaged, 0.97)}, "direct-engaged", "route/co_sell direct_team channel-managers owner opportunity"},
	{"direct, gone quiet", []facts{conflict(deal.DirectEngaged, 0.97, "idle_days", 91)}, "direct-unclear", "escalate channel-managers"},
	{"perhaps direct", []facts{conflict(deal.DirectEngaged, 0.6, "idle_days", 5)}, "direct-unclear", "escalate channel-managers"},
	{"named", []facts{conflict(deal.NamedAccount, 0.97), {"customer.named": true}}, "named", "route/referred direct_team sales-ops owner account"},
	{"perhaps named", []facts{conflict(deal.NamedAccount, 0.6)}, "named-possible", "escalate sales-ops"},
	{"direct territory", []facts{{"territory.status": "resolved", "territory.coverage": "direct"}, conflict(deal.TerritoryDirect, 1)}, "territory-direct",
		"route/referred direct_team sales-ops owner territory"},
	{"partner territory", []facts{{"territory.status": "resolved"}}, "protect", "protect"},
	{"another partner's territory", []facts{{"territory.status": "resolved", "territory.assigned": "other"}}, "territory-partner", "escalate territory-ops"},
	{"the partner's own territory", []facts{{"territory.status": "resolved", "territory.assigned": "self"}}, "protect", "protect"},
	{"no territory", []facts{{"territory.status": "none", "territory.coverage": "unknown"}}, "territory-open", "escalate territory-ops"},
	{"two territories", []facts{{"territory.status": "ambiguous", "territory.coverage": "unknown"}}, "territory-open", "escalate territory-ops"},
	{"new business at a customer", []facts{conflict(deal.ExistingCustomer, 0.97)}, "existing-customer", "escalate channel-managers"},
	{"expansion at a customer", []facts{conflict(deal.ExistingCustomer, 0.97), {"reg.type": "expansion"}}, "protect", "protect"},
	{"new business at the partner's own customer", []facts{conflict(deal.ExistingCustomer, 0.97, "self", true)}, "protect", "protect"},
	{"perhaps a customer", []facts{conflict(deal.ExistingCustomer, 0.8), {"customer.resolved": "possible", "customer.probability": 0.8}}, "protect", "protect"},
	{"an incumbent", []facts{conflict(deal.IncumbentOther, 0.97, "since_days", 200), {"reg.type": "renewal"}}, "incumbent", "escalate channel-managers"},
	{"perhaps an incumbent", []facts{conflict(deal.IncumbentOther, 0.7)}, "protect", "protect"},
	{"a mixed-script name", []facts{{"customer.name_suspicious": true}}, "suspicious-name", "escalate deal-desk"},
	{"the partner itself", []facts{{"customer.partner_name": true}}, "own-use", "escalate channel-managers"},
	{"the partner's web site", []facts{{"customer.partner_domain": true}}, "own-use", "escalate channel-managers"},
	{"a published tender", []facts{{"reg.tender": true, "reg.tender_number_given": true, "reg.tender_published": true}}, "tender", "escalate deal-desk"},
	{"a tender before publication", []facts{{"reg.tender": true, "reg.tender_number_given": true}}, "protect", "protect"},
	{"a shared tender", []facts{{"reg.tender": true, "reg.tender_number_given": true}, conflict(deal.TenderShared, 1)}, "tender", "escalate deal-desk"},
	{"a rival product", []facts{{"reg.has_competing_offers": true}}, "competing-offer", "escalate channel-managers"},
	{"strategic", []facts{{"reg.amount": 300000.0}}, "strategic", "escalate deal-desk"},
	{"no rate", []facts{{"reg.rate_missing": true, "reg.amount": 0.0, "reg.amount_known": false}}, "no-rate", "escalate sales-ops"},
	{"truncated", []facts{{"match.truncated": true}}, "degraded", "escalate deal-desk"},
	{"degraded", []facts{{"match.degraded": true}}, "degraded", "escalate deal-desk"},
	{"degraded and named", []facts{{"match.degraded": true}, conflict(deal.NamedAccount, 0.97)}, "named", "route/referred direct_team sales-ops owner account"},
	{"a possible account and nothing more", []facts{{"customer.resolved": "possible", "customer.probability": 0.7, "customer.account_status": "none"}}, "protect", "protect"},
	{"a certain prospect", []facts{{"customer.resolved": "certain", "customer.probability": 0.99, "customer.account_status": "prospect"}}, "protect", "protect"},
}

func answer(v *Verdict) string {
	s := string(v.Outcome)
	if v.Disposition != "" {
		s += "/" + string(v.Disposition)
	}
	for _, w := range []string{string(v.To), v.Queue} {
		if w != "" {
			s += " " + w
		}
	}
	if v.OwnerOf != "" {
		s += " owner " + v.OwnerOf
	}
	if v.Of != "" {
		s += " of " + v.Of
	}
	if len(v.Needs) > 0 {
		s += " needs " + strings.Join(v.Needs, ",")
	}
	return s
}

func TestDefault(t *testing.T) {
	t.Parallel()
	p := compile(t, Default())
	fired, silent, decided := map[string]bool{}, map[string]bool{}, map[string]bool{}
	var golden strings.Builder
	for _, c := range defaultCases {
		v := p.Decide(given(c.over...), now)
		if v.Rule != c.rule || answer(&v) != c.want {
			t.Errorf("%s:\n got %s: %s\nwant %s: %s\n%+v", c.name, v.Rule, answer(&v), c.rule, c.want, v.Trace)
		}
		seen := map[string]bool{}
		for _, r := range v.Trace {
			seen[r.Rule] = true
		}
		for _, r := range p.Rules() {
			if seen[r.ID] {
				fired[r.ID] = true
			} else {
				silent[r.ID] = true
			}
		}
		decided[v.Rule] = true
		fmt.Fprintf(&golden, "# %s\n%s: %s %s\n", c.name, v.Rule, answer(&v), strings.Join(v.Reasons, " "))
		for _, r := range v.Trace {
			line := strings.Join([]string{r.Result, r.Rule, r.By, r.Detail}, " ")
			fmt.Fprintf(&golden, "  %s\n", strings.Join(strings.Fields(line), " "))
		}
		fmt.Fprintf(&golden, "  partner  %s %s\n  internal %s\n\n", strings.Join(v.PartnerReasons, " "), v.Texts.Partner, v.Texts.Internal)
	}
	never := map[string]string{"below-minimum": "params.minimum_amount is 0, which switches it off; TestDefaultBoundaries sets it", "protect": "always fires"}
	for _, r := range p.Rules() {
		if _, ok := never[r.ID]; ok {
			continue
		}
		if !fired[r.ID] || !silent[r.ID] || !decided[r.ID] {
			t.Errorf("rule %s: seen firing %v, not firing %v, deciding %v", r.ID, fired[r.ID], silent[r.ID], decided[r.ID])
		}
	}
	compareGolden(t, "default_traces.txt", golden.String())
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run the test with -update to write it", err)
	}
	if got != string(want) {
		g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
		for i := range min(len(g), len(w)) {
			if g[i] != w[i] {
				t.Fatalf("%s:%d differs; run the test with -update if that is meant\n got %s\nwant %s", file, i+1, g[i], w[i])
			}
		}
		t.Fatalf("%s has %d lines, not %d; run the test with -update if that is meant", file, len(w), len(g))
	}
}

// Every number of the policy, on both sides of where it decides.
func TestDefaultBoundaries(t *testing.T) {
	t.Parallel()
	p := compile(t, Default())
	small := with(t, "minimum_amount:     {value: 0,", "minimum_amount:     {value: 5000,")
	required := with(t, "agreement_required: {value: false,", "agreement_required: {value: true,")
	for _, c := range []struct {
		name  string
		p     *Policy
		over  facts
		rule  string
		extra facts
	}{
		{"held at certain", p, conflict(deal.HeldByOther, 0.90), "held", nil},
		{"held just below certain", p, conflict(deal.HeldByOther, 0.8999999), "possible-duplicate", nil},
		{"held at possible", p, conflict(deal.HeldByOther, 0.20), "possible-duplicate", nil},
		{"held just below possible", p, conflict(deal.HeldByOther, 0.1999999), "protect", nil},
		{"pending just below possible", p, conflict(deal.PendingOther, 0.1999999), "protect", nil},
		{"own just below possible", p, conflict(deal.OwnDuplicate, 0.1999999), "protect", nil},
		{"pending at certain", p, conflict(deal.PendingOther, 0.90), "pending", nil},
		{"pending just below certain", p, conflict(deal.PendingOther, 0.8999999), "possible-duplicate", nil},
		{"own at certain", p, conflict(deal.OwnDuplicate, 0.90), "own-duplicate", nil},
		{"own just below certain", p, conflict(deal.OwnDuplicate, 0.8999999), "possible-duplicate", nil},
		{"direct at certain", p, conflict(deal.DirectEngaged, 0.90, "idle_days", 0), "direct-engaged", nil},
		{"direct just below certain", p, conflict(deal.DirectEngaged, 0.8999999, "idle_days", 0), "direct-unclear", nil},
		{"direct just below possible", p, conflict(deal.DirectEngaged, 0.4999999, "idle_days", 0), "protect", nil},
		{"direct, last day that counts", p, conflict(deal.DirectEngaged, 0.95, "idle_days", 90), "direct-engaged", nil},
		{"direct, first day that does not", p, conflict(deal.DirectEngaged, 0.95, "idle_days", 91), "direct-unclear", nil},
		{"named at certain", p, conflict(deal.NamedAccount, 0.90), "named", nil},
		{"named just below certain", p, conflict(deal.NamedAccount, 0.8999999), "named-possible", nil},
		{"named just below possible", p, conflict(deal.NamedAccount, 0.4999999), "protect", nil},
		{"family at all", p, conflict(deal.FamilyHeld, 0.21), "family", nil},
		{"opportunity just below possible", p, conflict(deal.PartnerOpportunity, 0.4999999), "protect", nil},
		{"customer just below certain", p, conflict(deal.ExistingCustomer, 0.8999999), "protect", nil},
		{"customer at certain", p, conflict(deal.ExistingCustomer, 0.90), "existing-customer", nil},
		{"incumbent at certain", p, conflict(deal.IncumbentOther, 0.90), "incumbent", nil},
		{"incumbent just below certain", p, conflict(deal.IncumbentOther, 0.8999999), "protect", nil},
		{"strategic at", p, facts{"reg.amount": 250000.0}, "strategic", nil},
		{"strategic just below", p, facts{"reg.amount": 249999.99}, "protect", nil},
		{"strategic, amount unknown", p, facts{"reg.amount": 300000.0, "reg.amount_known": false}, "protect", nil},
		{"minimum at", small, facts{"reg.amount": 5000.0}, "protect", nil},
		{"minimum just below", small, facts{"reg.amount": 4999.99}, "below-minimum", nil},
		{"minimum, amount unknown", small, facts{"reg.amount": 0.0, "reg.amount_known": false}, "protect", nil},
		{"no minimum", p, facts{"reg.amount": 0.0}, "protect", nil},
		{"agreement required", required, facts{"partner.agreement_signed": false, "partner.agreement_known": false}, "agreement-missing", nil},
	} {
		if v := c.p.Decide(given(c.over, c.extra), now); v.Rule != c.rule {
			t.Errorf("%s: %s decided, want %s", c.name, v.Rule, c.rule)
		}
	}
	if v := small.Decide(given(facts{"reg.amount": 4999.99}), now); v.Texts.Partner != "Deals of this size are not registered; sell it without one." {
		t.Errorf("the partner reads %q", v.Texts.Partner)
	}
}

func TestDefaultTerms(t *testing.T) {
	t.Parallel()
	p := compile(t, Default())
	v := p.Decide(given(), now)
	if x := v.Terms; x == nil || x.Days != 90 || x.Months != 0 || x.Anchor != "approval" || !x.Exclusive || x.Extensions == nil || *x.Extensions != (deal.ExtensionTerms{Max: 1, Days: 30, Needs: "activity"}) ||
		!slices.Equal(x.Milestones, []deal.MilestoneTerms{{Days: 30, Need: "meeting"}}) {
		t.Errorf("terms %+v", v.Terms)
	}
	if v = p.Decide(given(facts{"partner.tier": "gold"}), now); v.Terms.Days != 120 || v.Terms.Extensions.Days != 60 {
		t.Errorf("terms of gold %+v", v.Terms)
	}
	v = p.Decide(given(facts{"reg.amount": 1e6}), now)
	want := deal.CaseTerms{Queue: "deal-desk", Authority: "channel-director", FourEyes: true, Acknowledge: "4bh", Decide: "2bd", OnSilence: "escalate",
		EscalateTo: "channel-director", Hold: deal.HoldTerms{Provisional: true, Days: 7}}
	if v.Case == nil || v.Case.Grant == nil || v.Case.Grant.Rule != "protect" || v.Case.Grant.Terms.Days != 90 {
		t.Fatalf("case %+v", v.Case)
	}
	if v.Case.Grant = nil; *v.Case != want || v.Queue != want.Queue {
		t.Errorf("case %+v", v.Case)
	}
	if v = p.Decide(given(facts{"reg.amount": 1e6, "partner.tier": "gold"}), now); v.Case.Grant.Rule != "protect-long" || v.Case.Grant.Terms.Days != 120 {
		t.Errorf("a grant to gold gives %+v", v.Case.Grant)
	}
	if v = p.Decide(given(conflict(deal.NamedAccount, 0.95)), now); !v.FindersFee || v.Case != nil || v.Terms != nil {
		t.Errorf("a referral keeps the partner as its source: %+v", v)
	}
	// What a caller does to a verdict stays its own.
	v = p.Decide(given(), now)
	v.Terms.Days, v.Terms.Extensions.Days, v.Terms.Milestones[0].Days = 1, 1, 1
	if w := p.Decide(given(), now); w.Terms.Days != 90 || w.Terms.Extensions.Days != 30 || w.Terms.Milestones[0].Days != 30 {
		t.Errorf("a caller changed the policy: %+v", w.Terms)
	}
}

// No text for partners in the library holds a number, a date or a name of a fact that is not the partner's own.
func TestDefaultTextsAreDiscreet(t *testing.T) {
	t.Parallel()
	p := compile(t, Default())
	full := given()
	for i := range Schema {
		s := &Schema[i]
		switch s.Type {
		case Double:
			full.Set(s.Name, 0.77)
		case Int:
			full.Set(s.Name, 77)
		case String:
			full.Set(s.Name, "seventy-seven")
		}
	}
	for _, r := range p.rules {
		text := r.then.reason.partner.render(full, []string{"amount"})
		for _, leak := range []string{"77", "seventy", "another partner", "by whom", "%", "{{"} {
			if strings.Contains(strings.ToLower(text), leak) {
				t.Errorf("%s tells the partner %q: %s", r.id, leak, text)
			}
		}
	}
}

func TestLibraryCompiles(t *testing.T) {
	t.Parallel()
	lib := Library()
	if len(lib) == 0 || lib[0].Name != DefaultName {
		t.Fatalf("the library begins with %v", lib)
	}
	for _, l := range lib {
		p, err := Compile(l.Body)
		if err != nil {
			t.Errorf("%s: %v", l.Name, err)
			continue
		}
		if p.Ref().Name != l.Name || p.Title() != l.Title || l.Title == "" {
			t.Errorf("%s calls itself %s, %q", l.Name, p.Ref().Name, p.Title())
		}
		body, ok := Programme(l.Name)
		if !ok || string(body) != string(l.Body) || string(p.Source()) != string(l.Body) {
			t.Errorf("%s is not what Programme returns", l.Name)
		}
	}
	if _, ok := Programme("no-such"); ok {
		t.Error("there is a policy nobody wrote")
	}
	if _, ok := Programme("../library"); ok {
		t.Error("names reach outside the library")
	}
}

// TestDoubts: an amount without a rate reads as 0, and a search that was cut short found nothing. A policy whose rules do not
// ask escalates all the same, where it would have answered by them.
func TestDoubts(t *testing.T) {
	now := time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)
	asleep := func(when string) []string {
		return []string{"when: '" + when + "'", "status: shadow\n    when: '" + when + "'"}
	}
	rate, cut := facts{"reg.rate_missing": true, "reg.amount": 0.0, "reg.amount_known": false}, facts{"match.truncated": true}
	careless := with(t, append(asleep("reg.rate_missing"), asleep("match.truncated || match.degraded")...)...)
	for _, c := range []struct {
		name string
		p    *Policy
		over []facts
		rule string
	}{
		{"asked", compile(t, Default()), []facts{rate}, "no-rate"},
		{"no rate", careless, []facts{rate}, onErrorID},
		{"cut short", careless, []facts{cut}, onErrorID},
		{"degraded", careless, []facts{{"match.degraded": true}}, onErrorID},
		{"it escalates anyway", careless, []facts{cut, {"customer.name_suspicious": true}}, "suspicious-name"},
		{"nothing is in doubt", careless, nil, "protect"},
	} {
		if v := c.p.Decide(given(c.over...), now); v.Rule != c.rule {
			t.Errorf("%s: %s decided, want %s: %+v", c.name, v.Rule, c.rule, v.Trace)
		}
	}
	// Who does not go by amounts needs no rate.
	blunt := compile(t, []byte(`apiVersion: dealreg/v1
kind: Policy
metadata: {name: blunt}
settings: {currency: EUR, timezone: UTC}
precedence: [route, escalate, protect]
rules:
  - {id: protect, when: 'true', then: {outcome: protect, reason: PROTECTED, terms: {days: 90}}}
`))
	if v := blunt.Decide(given(rate), now); v.Rule != "protect" {
		t.Errorf("%s decided: %+v", v.Rule, v.Trace)
	}
	if v := blunt.Decide(given(cut), now); v.Rule != onErrorID {
		t.Errorf("%s decided: %+v", v.Rule, v.Trace)
	}
}
