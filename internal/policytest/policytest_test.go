package policytest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/policy"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
)

var start = time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)

func small(t *testing.T, pairs ...string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/small.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(doc, pairs[i]) {
			t.Fatalf("testdata/small.yaml has no %q", pairs[i])
		}
		doc = strings.Replace(doc, pairs[i], pairs[i+1], 1)
	}
	return []byte(doc)
}

func run(t *testing.T, doc []byte) (Report, string) {
	t.Helper()
	s, err := Load(doc)
	if err != nil {
		t.Fatal(err)
	}
	report, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := report.Write(&b, "small.yaml", true); err != nil {
		t.Fatal(err)
	}
	return report, b.String()
}

func TestReport(t *testing.T) {
	t.Parallel()
	report, text := run(t, small(t))
	if !report.OK() || report.Passed != 4 || report.Pending != 1 {
		t.Error(text)
	}
	for _, want := range []string{
		"ok       small, row 1  (small.yaml:35)",
		"PENDING  ext  (small.yaml:50)\n           the programme will extend one day",
		"4 passed, 0 failed, 1 pending",
		"coverage: 100 % of the rules, 50 % of the boundaries",
		"    held: conflict.held_by_other.probability >= params.certain (0.9)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}

// Each expectation that is wrong is reported with what came out instead.
func TestMismatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ old, new, want string }{
		{"fired: [protect]}", "fired: [held, protect]}", "fired            - held, protect\n                            + protect\n           rules that fired   protect decided: protect PROTECTED"},
		{"outcome: declined", "outcome: protect", "outcome          - protect\n                            + declined"},
		{"rule: small}", "rule: protect}", "rule             - protect\n                            + small"},
		{"rule: small}", "rule: protect}", "small decided: route/declined BELOW_MINIMUM; reg.amount 999.99\n"},
		{"last_day: 2027-05-30", "last_day: 2027-05-31", "last_day         - 2027-05-31\n                            + 2027-05-30"},
		{"terms: {days: 90}}\n        - after", "terms: {days: 60}}\n        - after", "terms.days       - 60\n                            + 90"},
		{"place: 1", "place: 2", "place            - 2"},
		{"lacks: [Alpha]", "lacks: [taken]", `partner text     - does not say "taken"`},
		{"lacks: [Alpha]", "has: [Alpha]", `partner text     - says "Alpha"`},
		{"waived: [small]", "waived: []", "waived           - none\n                            + small"},
		{"customer.named: true}}", "customer.named: false}}", "facts.customer.named - false\n                            + true"},
		{"A: {status: expired}", "A: {status: protected}", "status           - protected\n                            + expired"},
		{"2027-05-30T22:00:00Z", "2027-05-30T21:00:00Z", "starts_at        - 2027-05-30T21:00:00Z\n                            + 2027-05-30T22:00:00Z"},
		{"    - name: waived", "    - pending: later\n      name: waived", "pending          - later\n                            + it passes: take the mark off"},
		{`"Taken."`, `"Taken by Alpha Systems."`, "does not name the partner Alpha Systems"},
		{"  cases:", "  coverage: {boundaries: 60}\n  cases:", "coverage: 50 % of the boundaries were tried; 60 % are demanded"},
	} {
		report, text := run(t, small(t, c.old, c.new))
		if report.OK() || !strings.Contains(text, c.want) {
			t.Errorf("%s → %s: the report lacks\n%s\nin\n%s", c.old, c.new, c.want, text)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ old, new, want string }{
		{"tier: gold}, B", "teir: gold}, B", `25:41: tests.world.partners.A.teir: there is no field "teir" here; did you mean "tier"?`},
		{"accounts: {ACME", "acounts: {ACME", `there is no field "acounts" here; there are rates, territories, partners`},
		{"reg.amount: 999.99", "reg.amuont: 999.99", `35:30: tests.cases[0].table[0].set.reg.amuont: there is no fact "reg.amuont"; did you mean reg.amount?`},
		{"reg.amount: 999.99", "reg.type: newbiz", `reg.type is never "newbiz"; it is one of`},
		{"reg.amount: 999.99", "partner.tier: golden", `partner.tier is never "golden"; it is one of registered, gold; did you mean gold?`},
		{"reg.amount: 999.99", "partner.tier_rank: 2", `settings has 2 of them, counted from 0`},
		{"reg.amount: 999.99", "custom.colour: red", `custom.colour is not declared by the policy`},
		{"tier: gold}, B", "tier: golden}, B", `partners A: tier is "golden", and the policy's settings have registered, gold; did you mean gold?`},
		{"use: [clean]", "use: [claen]", `tests.facts has no "claen"; did you mean clean?`},
		{"rule: small}", "rule: smal}", `there is no rule "smal"; did you mean small?`},
		{"fired: [protect]", "fired: [protekt]", `there is no rule "protekt"; did you mean protect?`},
		{"outcome: declined", "outcome: refused", `"refused" is not one of protect, escalate, route, referred`},
		{"see: {A: {status: expired}", "see: {C: {status: expired}", `no step before this one files "C"`},
		{"of: A", "of: Z", `no step before this one files "Z"`},
		{"after: 100d", "after: 100 days", `"100 days" is not a term`},
		{"after: 100d", "at: 2027-01-01", `time does not go back`},
		{"use: deal, partner_id: B}\n          expect: {outcome: w", "use: deal}\n          expect: {outcome: w", `"A" is filed already; give this filing a name of its own with as:`},
		{"5000 EUR}", "5000}", `"5000" is not an amount with its currency such as 32000 EUR`},
		{"accounts.ACME.named: true", "accounts.ACME.name_d: true", `there is no field "name_d" in name_d; did you mean named?`},
		{"accounts.ACME.named: true", "account.ACME.named: true", `"account.ACME.named" is not file.FIELD, or partners.ID.FIELD`},
		{"do: extend", "do: prolong", `"prolong" is not one of extend, withdraw`},
		{"do: extend", "do: transfer", `say to whom: partner:`},
		{"do: extend", "do: merge", `say which filing stands for both: into:`},
		{"do: extend", "do: evidence", `say what there is: evidence: [meeting]`},
		{"do: extend", "do: evidence, evidence: [rumour]", `"rumour" is not one of meeting`},
		{"do: extend", "do: update", `say what changes: set:`},
		{"do: extend", "do: update, set: {colour: red}", `there is no field "colour" in colour`},
		{"country: DE}, amount", "country: DEU}, amount", `customer.country "DEU" is not an ISO 3166-1`},
		{"{use: deal, partner_id: B}\n      set", "{use: deall, partner_id: B}\n      set", `tests.filings has no "deall"; did you mean deal?`},
		{"      expect: {outcome: protect, waived: [small], facts: {customer.named: true}}\n", "", `say what the case expects: expect:`},
		{"rule: small, until", "rule: smal, until", `waivers[0].rule: there is no rule "smal"; did you mean small?`},
		{", by: boss", "", `say who granted the waiver: by:`},
	} {
		_, err := Load(small(t, c.old, c.new))
		var errs document.Errors
		if !errors.As(err, &errs) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s:\n got %v\nwant %s", c.old, c.new, err, c.want)
		}
	}
}

// What is made from a decision passes, and holds the rules to it.
func TestFromDecision(t *testing.T) {
	t.Parallel()
	doc := small(t)
	p, err := policy.Compile(doc)
	if err != nil {
		t.Fatal(err)
	}
	f := policy.NewFacts()
	f.Set("reg.amount", 999.5)
	f.Set("reg.lines", []string{"network"})
	f.Set("conflict.held_by_other.found", true)
	f.Set("conflict.held_by_other.probability", 0.95)
	f.Set("partner.live_claims", 3)
	v := p.Decide(f, start)
	d := deal.Decision{ID: "dec_1", At: start, Outcome: v.Outcome, Route: &deal.Route{Disposition: v.Disposition}, ReasonCodes: v.Reasons, Trace: v.Trace,
		Facts: f.Map(), Policy: p.Ref()}
	d.Facts["partner.tier"], d.Facts["conflict.direct_engaged.stage"] = "tin", "somewhere" // as an import may bring them
	text, err := FromDecision(&d, string(doc))
	if err != nil {
		t.Fatal(err)
	}
	made := append(doc, text...)
	report, out := run(t, made)
	if !report.OK() || report.Passed != 5 || !strings.Contains(out, "ok       as decided in dec_1") {
		t.Errorf("%s\n%s", text, out)
	}
	changed := strings.Replace(string(made), "limit: {value: 1000}", "limit: {value: 999}", 1)
	if report, out := run(t, []byte(changed)); report.OK() || !strings.Contains(out, "FAIL     as decided in dec_1") {
		t.Error(out)
	}
	if _, err := FromDecision(&deal.Decision{ID: "dec_2"}, string(doc)); err == nil || !strings.Contains(err.Error(), "no facts") {
		t.Errorf("a decision that was taken over: %v", err)
	}
}

func TestRunStops(t *testing.T) {
	t.Parallel()
	s, err := Load(small(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A policy is published when its tests pass, and by a second person where it asks for one.
func TestPublish(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	st, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "dibs.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	key, _, err := ledger.NewSigner("dibs/test")
	if err != nil {
		t.Fatal(err)
	}
	cfg := engine.Config{Store: st, Signer: key, Policy: small(t, "rule: small}", "rule: protect}"), Vet: Vet}
	if _, err := engine.Open(ctx, cfg); err == nil || !strings.Contains(err.Error(), "small, row 1: rule is small, not protect") {
		t.Fatalf("a first policy whose tests fail: %v", err)
	}
	cfg.Policy = small(t)
	e, err := engine.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(context.WithoutCancel(ctx))
	author := engine.Request{Actor: deal.Actor{KeyID: "key_author", Role: "policy"}}
	second := engine.Request{Actor: deal.Actor{KeyID: "key_second", Role: "policy"}}
	save := func(doc []byte) int {
		t.Helper()
		d, err := e.SaveDocument(ctx, author, deal.PolicyDocument, doc)
		if err != nil {
			t.Fatal(err)
		}
		return d.Version
	}
	two := save(small(t, "settings: {currency", "settings: {publish: {people: 2}, currency"))
	if _, err := e.Publish(ctx, author, deal.PolicyDocument, two); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("one person published what two must: %v", err)
	}
	if _, err := e.Publish(ctx, second, deal.PolicyDocument, two); err != nil {
		t.Error(err)
	}
	one := save(small(t, "title: T", "title: One person again"))
	if _, err := e.Publish(ctx, author, deal.PolicyDocument, one); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("a draft took the second person away: %v", err)
	}
	broken := save(small(t, "value: 1000}", "value: 2000}"))
	var lines document.Errors
	if _, err := e.Publish(ctx, second, deal.PolicyDocument, broken); !errors.As(err, &lines) || lines[0].Line != 36 ||
		!strings.Contains(lines[0].Message, "small, row 2: outcome is declined, not protect") {
		t.Errorf("a policy whose tests fail: %v", err)
	}
	if live, err := e.Live(deal.PolicyDocument); err != nil || live.Version != two {
		t.Errorf("live is version %d, %v", live.Version, err)
	}
	if _, err := e.Publish(ctx, second, deal.PolicyDocument, 1); err != nil { // back to the first
		t.Error(err)
	}
}

// Shadow rules, rules with dates, waivers and params act in the engine that serves as they do in a case about facts, and the
// decision says so. A value of the policy's own may be written as it is, and a record be left out of a row.
func TestRulesInTheEngine(t *testing.T) {
	t.Parallel()
	doc := small(t, "settings: {currency: EUR,", "settings: {currency: EUR, custom: {hot: {type: bool}, seats: {type: int}},",
		"value: 1000}", "value: 1000, min: 500, max: 2000}",
		"rules:\n", "rules:\n  - {id: trial, status: shadow, when: reg.amount >= 900, then: {outcome: escalate, reason: STRATEGIC, queue: q}}\n"+
			"  - {id: spring, effective: {from: 2027-04-01, to: 2027-05-01}, when: custom.hot && custom.seats > 9, then: {outcome: escalate, reason: STRATEGIC, queue: spring}}\n"+
			"  - {id: direct, when: conflict.direct_engaged.found, then: {outcome: route, disposition: declined, reason: DIRECT_ENGAGED}}\n",
		"until: 2027-12-31", "until: 2027-04-01")
	doc = append(doc, []byte(`
    - name: in the engine
      world:
        accounts: {Q: {name: Quixotic Brewing Company, country: DE, city: Kiel}}
        opportunities: {O: {account_id: Q, led_by: direct, last_activity_at: today-1d}}
      file: {partner_id: B, customer: {name: Quixotic Brewing Company, country: DE, city: Kiel}, amount: 900 EUR, custom: {hot: true, seats: 12}}
      table:
        - {set: {}, expect: {outcome: declined, rule: direct, shadow: [trial], waived: [small]}}
        - {set: {opportunities.O: null}, expect: {outcome: protect, shadow: [trial], waived: [small]}}
        - {set: {opportunities.O: null, file.amount: 899.99 EUR}, expect: {outcome: protect, shadow: [], waived: [small]}}
    - name: dates
      steps:
        - at: 2027-03-31T21:59:59Z
          file: {as: before, partner_id: B, customer: {name: Zanzibar Orchestra Foundation, country: DE}, amount: 900 EUR, custom: {hot: true, seats: 12}}
          expect: {outcome: protect, waived: [small]}
        - at: 2027-03-31T22:00:00Z
          file: {as: then, partner_id: B, customer: {name: Kormoran Werft, country: DE}, amount: 900 EUR, custom: {hot: "true", seats: 12}}
          expect: {outcome: declined, rule: small, fired: [spring, small, protect], waived: []}
        - at: 2027-04-30T21:59:59Z
          file: {as: last, partner_id: B, customer: {name: Samarkand Mills, country: DE}, amount: 1000 EUR, custom: {hot: true, seats: 10}}
          expect: {outcome: escalate, rule: spring, queue: spring}
        - at: 2027-04-30T22:00:00Z
          file: {as: after, partner_id: B, customer: {name: Valparaiso Docks, country: DE}, amount: 1000 EUR, custom: {hot: true, seats: 10}}
          expect: {outcome: protect, fired: [protect]}
`)...)
	if report, text := run(t, doc); !report.OK() || report.Passed < 8 {
		t.Error(text)
	}
	if _, err := Load(bytes.Replace(doc, []byte("value: 1000,"), []byte("value: 2001,"), 1)); err == nil || !strings.Contains(err.Error(), "2001 is outside its range 500 to 2000") {
		t.Errorf("a parameter outside its range: %v", err)
	}
	if _, err := Load(bytes.Replace(doc, []byte("seats: 12"), []byte("seats: twelve"), 1)); err == nil || !strings.Contains(err.Error(), `"twelve" is not a whole number`) {
		t.Errorf("a value of another type: %v", err)
	}
}

// A policy's own currency is that of its plan and of the amounts in its tests, or there is a rate; else its author is warned. One amount
// without a rate among others is a test of that.
func TestMoneyWarnings(t *testing.T) {
	t.Parallel()
	plan := "world:\n    territories: |\n      apiVersion: dealreg/v1\n      kind: TerritoryPlan\n      metadata: {name: p, timezone: UTC, currency: CHF}\n      tiers: [a]\n      territories:\n        - {id: T, tier: a, coverage: direct, owner: {queue: q}}\n"
	for _, c := range []struct {
		pairs []string
		want  string
	}{
		{nil, ""},
		{[]string{"currency: EUR", "currency: USD"}, "39:17: tests.cases[1].steps[0].file: amounts in EUR are compared in USD (settings.currency), and no rate is given"},
		{[]string{"currency: EUR", "currency: USD", "  world:\n", "  world:\n    rates: [{date: 2026-01-01, from: EUR, to: USD, rate: 1.1}]\n"}, ""},
		{[]string{"amount: 5000 EUR", "amount: 5000 CHF"}, ""}, // file.amount of another case is in EUR
		{[]string{"world:\n", plan}, "tests.world.territories: the plan's amounts are in CHF, and are compared with deals in EUR"},
	} {
		s, err := Load(small(t, c.pairs...))
		if err != nil {
			t.Fatalf("%v: %v", c.pairs, err)
		}
		if got := s.Warnings().Error(); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%v: %q, want %q", c.pairs, got, c.want)
		}
	}
}

// A programme as somebody wrote it who had the author's page and nothing else: a tier gate, a look-back, a window on a
// condition, a co-sell exception.
func TestAuthorsOwn(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("testdata/lumen.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if report, text := run(t, doc); !report.OK() || report.Pending > 0 {
		t.Error(text)
	}
}

// A tier and its rank, a stage and its place, are never stated one without the other; nor are they in a test.
func TestPlaces(t *testing.T) {
	t.Parallel()
	base := small(t, "tiers: [registered, gold]", "tiers: [registered, gold], stages: [lead, offer]",
		"        - {set: {reg.amount: 999.99}, expect: {outcome: declined, rule: small}}\n        - {set: {reg.amount: 1000}, expect: {outcome: protect, fired: [protect]}}\n", "%%")
	for set, want := range map[string]string{
		"partner.tier: gold":                               "{partner.tier: gold, partner.tier_rank: 1}",
		"partner.tier_rank: 1":                             "{partner.tier: gold, partner.tier_rank: 1}",
		"partner.tier_rank: 0":                             "{partner.tier: registered, partner.tier_rank: 0}",
		"conflict.direct_engaged.stage: offer":             "{conflict.direct_engaged.stage_no: 1}",
		"conflict.direct_engaged.stage_no: 0":              "{conflict.direct_engaged.stage: lead}",
		"conflict.direct_engaged.stage_no: -1":             "{conflict.direct_engaged.stage: ''}",
		"partner.tier: gold, reg.amount: 1":                "{partner.tier_rank: 1}",
		"partner.tier: registered, partner.tier_rank: 1":   "{partner.tier: gold}",
		"conflict.direct_engaged.stage: '', reg.amount: 1": "{conflict.direct_engaged.stage_no: -1}",
	} {
		doc := strings.Replace(string(base), "%%", "        - {set: {"+set+"}, expect: {facts: "+want+"}}\n", 1)
		if report, out := run(t, []byte(doc)); report.Failed > 0 {
			t.Errorf("%s: %s", set, out)
		}
	}
}

// A step changes the fields it gives of a record, adds records and takes records away; what went before is as it was.
func TestPut(t *testing.T) {
	t.Parallel()
	doc := small(t, "tests:\n", `  - id: direct
    when: conflict.direct_engaged.found || conflict.direct_closed.found && conflict.direct_closed.idle_days < 30
    then: {outcome: route, disposition: declined, reason: DIRECT_ENGAGED}
tests:
`, "waivers:\n  - {id: w1, partner: B, rule: small, until: 2027-12-31, by: boss}\n  - id: direct\n", "  - id: direct\n", "waived: [small]", "outcome: declined", "outcome: protect, outcome", "outcome",
		"    - name: ext\n", `    - name: the direct team comes and goes
      world: {opportunities: {O: {account_id: ACME, led_by: direct, last_activity_at: 2027-02-01}, GONE: {account_id: ACME, led_by: direct}}}
      set: {opportunities.GONE: null}
      steps:
        - file: {use: deal}
          expect: {outcome: declined, rule: direct}
        - put: {opportunities: {O: {status: lost}}}
          file: {use: deal, as: lost}
          expect: {outcome: declined, rule: direct, facts: {conflict.direct_closed.idle_days: 28, conflict.direct_closed.status: lost}}
        - after: 2d
          file: {use: deal, as: later}
          expect: {outcome: protect, facts: {conflict.direct_closed.idle_days: 30}}
        - put: {opportunities: {O: null}, partners: {B: {tier: gold}}}
          file: {use: deal, partner_id: B, customer: {name: Zanzibar Orchestra, country: DE}}
          expect: {outcome: protect, facts: {partner.tier: gold}}
        - file: {use: deal, partner_id: B, as: nobody, customer: {name: Acme Industries, country: DE}}
          expect: {outcome: waitlisted, facts: {conflict.direct_closed.found: false}}
    - name: ext
`)
	if report, out := run(t, doc); !report.OK() {
		t.Error(out)
	}
	if _, err := Load([]byte(strings.Replace(string(doc), "{O: null}", "{P: null}", 1))); err == nil || !strings.Contains(err.Error(), "there is no P to take away") {
		t.Errorf("%v", err)
	}
}

// One run names a slip in the text, one in a type, one in a rule and one in a test, each where it is.
func TestErrorsAtOnce(t *testing.T) {
	t.Parallel()
	doc := small(t, "title: T}", "titel: T}", "{value: 1000}", "{value: 1000, min: few}", "reg.amount < params.limit", "reg.amuont < params.limit", "days: 90}}", "days: 90d}}", "rule: small}", "rule: smal}", "after: 100d", "after: soon")
	_, err := Load(doc)
	var errs document.Errors
	if !errors.As(err, &errs) || len(errs) != 6 {
		t.Fatalf("%v", err)
	}
	for i, want := range []string{"3:21: metadata.titel", "6:29: params.limit.min", "16:11: rules[1].when", "20:63: rules[2].then.terms.days", "35:73: tests.cases[0].table[0].expect.rule", "44:18: tests.cases[1].steps[2].after"} {
		if !strings.HasPrefix(errs[i].Error(), want) {
			t.Errorf("%s is not %s", errs[i], want)
		}
	}
	// What is not YAML in the tests, or in a waiver, hides nothing of the policy.
	for old, slip := range map[string]string{"accounts: {ACME": "accounts: [{ACME", "rule: small, until": "rule: small: until"} {
		broken := strings.Replace(string(doc), old, slip, 1)
		_, err := Load([]byte(broken))
		if !errors.As(err, &errs) || len(errs) < 5 || !strings.Contains(err.Error(), "not YAML") || !strings.Contains(err.Error(), "16:11: rules[1].when") {
			t.Errorf("%s: %v", slip, err)
		}
	}
	// What is not YAML in the rules or the settings hides what speaks of them, and nothing else.
	broken := strings.Replace(string(doc), "when: 'true'", "when: 'true", 1)
	if _, err := Load([]byte(broken)); !errors.As(err, &errs) || len(errs) != 3 || !strings.HasPrefix(errs[2].Error(), "19:") {
		t.Errorf("%v", err)
	}
}
