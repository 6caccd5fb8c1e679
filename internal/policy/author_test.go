package policy

import (
	"errors"
	"strings"
	"testing"
)

// authorErrors are what somebody writes who is new to the language. Each message says where, what is wrong and what to
// write instead.
var authorErrors = []struct{ old, new, place, cause, cure string }{
	{`partner.tier == "Gold"'`, `partner.tier = "Gold"'`, "50:43", "= does not compare", "write =="},
	{"'reg.has_letter && partner", "'reg.has_letter and partner", "50:27", `"and" is not an operator`, "write &&"},
	{"reg.amount >= params.limit'", "reg.amount => params.limit'", "44:23", "=> is not an operator", "write >="},
	{"reg.amount >= params.limit'", `reg.amount >= "100000"'`, "44:23", "does not take a number and a text", "write the number without quotes"},
	{"reg.amount >= params.limit'", "reg.amount >= 100,000'", "44:29", "without separators", "100000"},
	{"reg.amount >= params.limit'", "reg.amount >= 100k'", "44:29", `without "k"`, "plain numbers"},
	{"reg.amount >= params.limit'", "amount >= params.limit'", "44:12", "there is no fact amount", "did you mean reg.amount?"},
	{"reg.amount >= params.limit'", "reg.amount >= limit'", "44:26", "there is no fact limit", "did you mean params.limit?"},
	{"'reg.amount >= params.limit'", "!partner.active", "44:11", "YAML reads ! as a mark", "put '!partner.active' in quotes"},
	{"'reg.amount >= params.limit'", `partner.active == "true"`, "44:26", "true or false and a text", "write true or false without quotes"},
	{"'reg.amount >= params.limit'", `customer.name == "Acme"`, "44:11", "there is no fact customer.name", "rules ask what somebody is, never who"},
	{"'reg.amount >= params.limit'", `reg.lines == "cloud"`, "44:21", "a list of texts and a text", `"a" in reg.lines`},
	{"'reg.amount >= params.limit'", `partner.tier == Gold`, "44:27", "there is no fact Gold", `in quotes: "Gold"`},
	{"'reg.amount >= params.limit'", `partner.tier in "Gold"`, "44:24", "in does not take", `write a list: in ["a", "b"]`},
	{"'reg.amount >= params.limit'", `partner.tier >= "Gold"`, "44:24", "texts have no order", "compare partner.tier_rank"},
	{"'reg.amount >= params.limit'", `customer.country == "Germany"`, "44:31", `"Germany" is not an ISO 3166-1`, "such as DE"},
	{"'reg.amount >= params.limit'", "conflict.direct_engaged.idle_days >= 180d", "44:51", `without "d"`, "days as days"},
	{"'reg.amount >= params.limit'", "conflict.held.found", "44:11", "there is no fact conflict.held.found", "the kinds of conflict are held_by_other"},
	{"'reg.amount >= params.limit'", `reg.type == "new"`, "44:23", `reg.type is never "new"`, "one of new_business"},
	{"outcome: route, disposition: declined,", "outcome: reject,", "45:21", `"reject" is not one of`, "a refusal is outcome: route, disposition: declined"},
	{"outcome: route, disposition: declined,", "outcome: declined,", "45:21", `"declined" is not one of`, "write outcome: route, disposition: declined"},
	{"disposition: declined,", "disposition: rejected,", "45:41", `"rejected" is not one of`, "write declined"},
	{", reason: ACME_TOO_BIG", "", "45:11", "say why", "reason: one of the core codes"},
	{"reason: ACME_TOO_BIG", "reason: Too big", "45:59", `"Too big" is not a reason`, "write its texts under reasons"},
	{"decide: 2bd", "decide: 2 business days", "39:35", `"2 business days" is not a term`, "2bd (business days)"},
	{"terms: {days: params.days}", "terms: {days: 90d}", "68:63", `"90d" is neither a whole number`, "write 90"},
	{"terms: {days: params.days}", "terms: {}", "68:56", "say how long it protects", "days or months"},
	{"title: Too big", "title: Too big: really", "43:19", "mapping values are not allowed", "put a text with a colon in quotes"},
	{"    title: Too big", "\ttitle: Too big", "43:1", "found a tab", "indent with spaces"},
	{"overrides: [held]\n    then: {outcome: protect", "overrides: held\n    then: {outcome: protect", "51:16", `"held" is not a list`, "write [a, b]"},
	{"{from: 2027-04-01,", "{from: 01.04.2027,", "63:23", `"01.04.2027" is not a day`, "2027-02-01"},
	{`{{params.limit}}."`, `{params.limit}."`, "34:27", "{params.limit} is shown as it is", "write {{params.limit}}"},
	{"precedence: [declined, escalate, route, protect]\n", "", "1:1", "say which answer is the strongest", "precedence: [declined,"},
	{"\nrules:\n", "\nrule:\n", "41:1", `there is no field "rule" here`, `did you mean "rules"?`},
	{"currency: EUR", "currency: €", "5:13", "is not an ISO 4217 code", "such as EUR"},
}

func TestAuthorErrors(t *testing.T) {
	t.Parallel()
	for _, c := range authorErrors {
		if !strings.Contains(small, c.old) {
			t.Fatalf("the small policy has no %q", c.old)
		}
		_, err := Compile([]byte(strings.Replace(small, c.old, c.new, 1)))
		found := false
		for _, e := range errorsOf(t, err) {
			text := e.Error()
			found = found || strings.HasPrefix(text, c.place+":") && strings.Contains(text, c.cause) && strings.Contains(text, c.cure)
		}
		if !found {
			t.Errorf("%s\n got %v\nwant %s … %s … %s", c.new, err, c.place, c.cause, c.cure)
		}
	}
	if len(authorErrors) < 20 {
		t.Error("twenty are promised")
	}
}

// derivedErrors are of bands, tables, waivers and terms. The text goes before precedence.
var derivedErrors = []struct{ text, want string }{
	{"bands:\n  size: {of: customer.employes, ranges: {all: \">=0\"}}", `28:14: bands.size.of: "customer.employes" is not a fact that is a number; did you mean customer.employees?`},
	{"bands:\n  size: {of: partner.tier, ranges: {all: \">=0\"}}", `"partner.tier" is not a fact that is a number`},
	{"bands:\n  size: {of: custom.hot, ranges: {all: \">=0\"}}", `"custom.hot" is not a fact that is a number`},
	{"bands:\n  size: {of: reg.units, ranges: {unknown: \">=0\"}}", `"unknown" is not a name of a range`},
	{"bands:\n  size: {of: reg.units, ranges: {small: \"<10\", big: \">10\"}}", `">10" is not a range; write ">=1000"`},
	{"bands:\n  size: {of: reg.units, ranges: {small: \"<10\", big: \">=11\"}}", `28:53: bands.size.ranges.big: 10 is in no range of the band`},
	{"tables:\n  t:\n    rows: [{when: {partner.tier: Gold}, value: 1}]", `end the table with a row without when:`},
	{"tables:\n  t:\n    rows: [{when: {partner.tier: gold}, value: 1}, {value: 2}]", `partner.tier is never "gold"; it is one of bronze, Gold; did you mean Gold?`},
	{"tables:\n  t:\n    rows: [{when: {reg.amount: 5}, value: 1}, {value: 2}]", `reg.amount is a number: sort it into a band first, and look the band up`},
	{"tables:\n  t:\n    rows: [{when: {partner.teir: Gold}, value: 1}, {value: 2}]", `there is no fact partner.teir; did you mean partner.tier?`},
	{"tables:\n  t:\n    rows: [{value: 1}, {when: {partner.tier: Gold}, value: 2}, {value: 3}]", `tables.t.rows[1]: never applies: row 1 before it takes all it could`},
	{"tables:\n  t:\n    rows: [{when: {partner.tier: [Gold, bronze]}, value: 1}, {when: {partner.tier: Gold, partner.active: true}, value: 2}, {value: 3}]", `tables.t.rows[1]: never applies: row 1`},
	{"tables:\n  t:\n    rows: [{when: {partner.tier: Gold}, value: yes}, {value: 3}]", `is a int; the rows before it give a string`},
	{"tables:\n  t:\n    rows: [{when: {customer.country: Germany}, value: 1}, {value: 3}]", `"Germany" is not an ISO 3166-1`},
	{"tables:\n  t:\n    visibility: partner\n    rows: [{when: {customer.named: true}, value: 1}, {value: 3}]", `partners must not see it: its rows ask for what is internal`},
	{"tables:\n  t: {rows: []}", `give the table its rows`},
	{"waivers:\n  - {id: w, partner: P-1, rule: hold, until: 2027-09-01, by: x}", `there is no rule "hold"; did you mean held?`},
	{"waivers:\n  - {id: w, partner: P-1, rule: held, by: x}", `a waiver ends: until:`},
	{"waivers:\n  - {id: w, partner: P-1, rule: held, until: soon, by: x}", `"soon" is not a day`},
	{"waivers:\n  - {id: w, rule: held, until: 2027-09-01, by: x}", `name the partner by its id`},
}

func TestDerivedErrors(t *testing.T) {
	t.Parallel()
	for _, c := range derivedErrors {
		_, err := Compile([]byte(strings.Replace(small, "precedence:", c.text+"\nprecedence:", 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.text, err, c.want)
		}
	}
	for _, c := range []struct{ old, new, want string }{
		{"family: together", "family: together\n  distinct_by: [customer.name]", `"customer.name" is not one of customer.domain, tender.number, contact.domain, or a field that settings.custom declares`},
		{"family: together", "family: together\n  claims: by_sku", `"by_sku" is not by_line (a claim is for whole product lines) or by_class`},
		{"family: together", "family: together\n  waitlist: [luck]", `"luck" is not one of incumbent, letter, meeting, tier, amount, submitted`},
		{"family: together", "family: together\n  waitlist: [custom.project]", `"custom.project" is not one of incumbent`},
		{"family: together", "family: together\n  waitlist: [custom.seat]", `"custom.seat" is not one of incumbent`},
		{"family: together", "family: together\n  publish: {people: 3}", `3 is not 1 or 2`},
		{"terms: {days: params.days}", "terms: {days: table.none}", `there is no table.none`},
		{"benefits: {rebate: \"5 %\"}", "benefits: {rebate: table.none}", `there is no table.none`},
		{"appeal: true}", "appeal: true, appeal_within: soon}", `"soon" is not a term`},
		{"appeal: true}", "appeal_within: 15d}", `only a reason with appeal: true can be appealed`},
		{"resubmit_after: 30d", "keeps_place: true", `only a returned registration keeps its place`},
		{"resubmit_after: 30d", "on_silence: decline", `say when silence is over: answer_within:`},
		{"resubmit_after: 30d", "answer_within: 5bd, on_silence: grant", `"grant" is not one of decline, escalate`},
		{"terms: {days: params.days}", "terms: {days: 1, condition: {days: 5}}", `say what must happen first`},
		{"terms: {days: params.days}", "terms: {days: 1, condition: {days: 5, need: acceptance, when: asked}}", `"asked" is not one of promoted`},
		{"terms: {days: params.days}", "terms: {days: 1, milestones: [{days: 5, need: meeting, when: promoted}]}", `when is for a condition`},
		{"terms: {days: params.days}", "terms: {days: 1, fulfil: [handshake]}", `"handshake" is not one of contract, order, purchase_order, account_created`},
		{"terms: {days: params.days}", "terms: {days: 1, dwell: 3}", `"3" is not a term`},
		{"terms: {days: params.days}", "terms: {days: 1, extensions: {max: 1, months: 1, ask: late}}", `"late" is not one of before_end, any_time`},
		{"terms: {days: params.days}", "terms: {days: 1, extensions: {max: 1, days: 1, months: 1}}", `days or months, not both`},
	} {
		_, err := Compile([]byte(strings.Replace(small, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.new, err, c.want)
		}
	}
}

// A table can say for how long a protection lasts; it gives whole numbers of days then.
func TestTableOfDays(t *testing.T) {
	t.Parallel()
	doc := func(values string) []byte {
		return []byte(strings.NewReplacer("precedence:", "tables: {t: {rows: ["+values+"]}}\nprecedence:", "terms: {days: params.days}", "terms: {days: table.t}").Replace(small))
	}
	p := compile(t, doc("{when: {partner.tier: Gold}, value: 120}, {value: 45}"))
	for tier, days := range map[string]int{"Gold": 120, "bronze": 45} {
		over := facts{"custom.project": "x", "custom.region": "north", "custom.rate": "0.6", "custom.seats": "10", "partner.tier": tier}
		if v := p.Decide(given(over), now); v.Terms == nil || v.Terms.Days != days {
			t.Errorf("%s: %+v", tier, v.Terms)
		}
	}
	for _, values := range []string{"{value: 1.5}", "{value: 0}", "{value: x}", "{value: 4000}"} {
		if _, err := Compile(doc(values)); err == nil || !strings.Contains(err.Error(), "days are a whole number of 1 to 3660") {
			t.Errorf("%s: %v", values, err)
		}
	}
	if _, err := Compile([]byte(strings.Replace(small, "when: 'reg.amount >= params.limit'", "when: true", 1))); err != nil {
		t.Errorf("true without quotes: %v", err)
	}
}

func TestBandsAndTables(t *testing.T) {
	t.Parallel()
	p := compile(t, []byte(strings.NewReplacer("precedence:", `bands:
  size: {of: customer.employees, ranges: {small: "<100", large: ">=100"}}
  seats: {of: custom.seats, ranges: {few: "<5", many: ">=5"}}
tables:
  floor:
    rows:
      - {when: {band.size: large, customer.country: [DE, AT]}, value: 9000.5}
      - {when: {band.size: unknown}, value: 1}
      - {when: {reg.lines: cloud, custom.region: north}, value: 7}
      - {when: {customer.public_sector: true}, value: 8}
      - {value: 5}
  word: {visibility: partner, rows: [{when: {custom.hot: "true", band.seats: many}, value: hot}, {value: cold}]}
precedence:`, "'reg.amount >= params.limit'", "reg.amount < table.floor", `"Above {{params.limit}}."`, `"A {{table.word}} one, {{band.seats}}."`,
		`rebate: "5 %"`, "rebate: table.word").Replace(small)))
	decide := func(over facts) Verdict {
		f := given(over)
		f.Set("custom.project", "x")
		return p.Decide(f, now)
	}
	for _, c := range []struct {
		over  facts
		floor float64
	}{
		{facts{"customer.employees": 100, "customer.country": "DE"}, 9000.5},
		{facts{"customer.employees": 99, "customer.country": "DE"}, 5},
		{facts{"customer.employees": 100, "customer.country": "FR"}, 5},
		{facts{"customer.employees": -1}, 1},
		{facts{"customer.employees": 0, "reg.lines": []string{"firewall", "cloud"}, "custom.region": "north"}, 7},
		{facts{"customer.employees": 0, "reg.lines": []string{"firewall"}, "custom.region": "north", "customer.public_sector": true}, 8},
	} {
		c.over["reg.amount"] = c.floor
		if v := decide(c.over); v.Rule == "too-big" {
			t.Errorf("%v: the floor is above %v", c.over, c.floor)
		}
		c.over["reg.amount"] = c.floor - 0.01
		v := decide(c.over)
		if v.Rule != "too-big" || v.Texts.Partner != "A cold one, unknown." {
			t.Errorf("%v: the floor is not %v; %s %q", c.over, c.floor, v.Rule, v.Texts.Partner)
		}
	}
	v := decide(facts{"reg.amount": 0.0, "custom.hot": "true", "custom.seats": "5"})
	if v.Texts.Partner != "A hot one, many." {
		t.Errorf("%q", v.Texts.Partner)
	}
	v = decide(facts{"reg.amount": 1e6, "custom.region": "north", "custom.rate": "0.6", "custom.seats": "10", "custom.hot": "true"})
	if len(v.Benefits) != 1 || v.Benefits[0].Value != "hot" {
		t.Errorf("benefits %v of %s", v.Benefits, v.Rule)
	}
	if v = decide(facts{"reg.amount": 1e6, "custom.region": "north", "custom.rate": "0.6", "custom.seats": "10"}); v.Benefits[0].Value != "cold" {
		t.Errorf("a benefit of one decision shows in another: %v", v.Benefits)
	}
}

func TestInstants(t *testing.T) {
	t.Parallel()
	p := compile(t, []byte(strings.NewReplacer("hot: {type: bool}", "hot: {type: bool}\n    won: {type: instant}\n    made: {type: instant}",
		"'reg.amount >= params.limit'", "custom.won - custom.made < 72").Replace(small)))
	for won, fires := range map[string]bool{"2027-03-04T08:59:59Z": true, "2027-03-04T09:00:00Z": false, "2027-03-04T10:00:00+01:00": false, "2027-03-04": true, "2027-03-05": false} {
		f := given(facts{"custom.project": "x", "custom.made": "2027-03-01T09:00:00Z", "custom.won": won})
		if v := p.Decide(f, now); (v.Rule == "too-big") != fires {
			t.Errorf("won %s: %s", won, v.Rule)
		}
	}
	if errs := p.Settings().Validate(map[string]string{"won": "Tuesday"}); len(errs) != 1 || !strings.Contains(errs[0].Detail, "not an instant") {
		t.Errorf("%v", errs)
	}
}

func TestWaivers(t *testing.T) {
	t.Parallel()
	p := compile(t, []byte(strings.Replace(small, "precedence:", `waivers:
  - {id: w-big, partner: P-1, rule: too-big, until: 2027-06-01, by: channel-director, why: pilot}
  - {id: w-old, partner: P-1, rule: held, until: 2027-02-01, by: channel-director}
precedence:`, 1)))
	if got := p.Waivers("P-1", now); len(got) != 1 || got[0] != "w-big" {
		t.Errorf("P-1 has %v", got)
	}
	if got := p.Waivers("P-2", now); got != nil {
		t.Errorf("P-2 has %v", got)
	}
	end := p.waivers[0].until
	if len(p.Waivers("P-1", end.Add(-1))) != 1 || p.Waivers("P-1", end) != nil {
		t.Error("a waiver is in force up to its end, and not at it")
	}
	over := facts{"custom.project": "x", "reg.amount": 1e6, "reg.has_letter": true, "partner.tier": "Gold", "partner.tier_rank": 1}
	if v := p.Decide(given(over), now); v.Rule != "too-big" {
		t.Errorf("without: %s", v.Rule)
	}
	over["partner.waivers"] = []string{"w-big"}
	v := p.Decide(given(over), now)
	if v.Rule != "friend" || len(v.Trace) < 2 || v.Trace[0].Rule != "too-big" || v.Trace[0].Result != Waived || v.Trace[0].By != "channel-director" ||
		!strings.Contains(v.Trace[0].Detail, "waiver w-big") {
		t.Errorf("with: %s: %+v", v.Rule, v.Trace)
	}
}

// What a partner is told of a refusal is what it knows itself: not what else was found.
func TestOtherReasonsAreDiscreet(t *testing.T) {
	t.Parallel()
	p := compile(t, []byte(strings.NewReplacer("then: {outcome: escalate, reason: ACME_HELD, hold: {days: 3}}", "then: {outcome: route, disposition: declined, reason: ACME_GONE}",
		"  ACME_HELD:", "  ACME_GONE: {partner: \"Gone.\", internal: x}\n  ACME_HELD:").Replace(small)))
	held := facts{"custom.project": "x", "conflict.held_by_other.found": true, "conflict.held_by_other.probability": 0.95}
	if v := p.Decide(given(held), now); strings.Join(v.PartnerReasons, " ") != "ACME_GONE" {
		t.Errorf("held: %v", v.PartnerReasons)
	}
	held["reg.amount"] = 1e6
	if v := p.Decide(given(held), now); strings.Join(v.PartnerReasons, " ") != "ACME_TOO_BIG" || strings.Join(v.Reasons, " ") != "ACME_TOO_BIG ACME_GONE" {
		t.Errorf("too big, and held: partner %v, staff %v", v.PartnerReasons, v.Reasons)
	}
}

func TestBoundaries(t *testing.T) {
	t.Parallel()
	var got []string
	for _, b := range compile(t, []byte(small)).Boundaries() {
		got = append(got, b.String())
	}
	want := "too-big: reg.amount >= params.limit (100000); held: conflict.held_by_other.probability >= params.certain (0.92); north: custom.rate > 0.5; north: custom.seats >= 10"
	if s := strings.Join(got, "; "); s != want {
		t.Errorf("\n got %s\nwant %s", s, want)
	}
	for _, b := range []struct {
		Boundary
		at, below, above bool
	}{{Boundary{Op: "<", Value: 5}, false, true, false}, {Boundary{Op: "<=", Value: 5}, true, true, false}, {Boundary{Op: ">", Value: 5}, false, false, true}, {Boundary{Op: ">=", Value: 5}, true, false, true}} {
		if b.Holds(5) != b.at || b.Holds(4) != b.below || b.Holds(6) != b.above {
			t.Errorf("%v", b.Boundary)
		}
	}
}

// What is wrong is said at once: a misspelt field, or a missing head, hides nothing of what is in it or behind it.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pairs []string
		want  []string // every error, in order
	}{
		{[]string{"metadata:", "metdata:"}, []string{`there is no field "metdata" here; did you mean "metadata"?`}},
		{[]string{"rules:\n", "rles:\n", "{outcome: escalate, reason: ACME_HELD", "{outcome: esclate, reason: ACME_HELT"},
			[]string{`there is no field "rles" here; did you mean "rules"?`, `"esclate" is not one of protect, route, escalate; did you mean escalate?`, `"ACME_HELT" is not a reason of this policy: write its texts under reasons; did you mean ACME_HELD?`}},
		{[]string{"kind: Policy\n", "", "{outcome: escalate, reason: ACME_HELD", "{outcome: fly, reason: ACME_HELT"},
			[]string{"kind: say what it is: kind: Policy", `"fly" is not one of protect, route, escalate`, `"ACME_HELT" is not a reason`}},
		{[]string{"kind: Policy\n", "kind: Polciy\n", "currency:", "curency:"}, []string{`"Polciy" is not kind: Policy`, `there is no field "curency" here; did you mean "currency"?`}},
		{[]string{"kind: Policy\n", "kind: TeritoryPlan\n"}, []string{`"TeritoryPlan" is not kind: Policy; did you mean TerritoryPlan?`}},
		{[]string{"metadata:", "header:"}, []string{"say what it is called: metadata: {name: acme-roe}", `there is no field "header" here`}},
		{[]string{"apiVersion:", "apiVerson:", "outcome: escalate, reason: ACME_HELD", "outcme: escalate, reason: ACME_HELD"}, []string{`"apiVerson" here; did you mean "apiVersion"?`, `"outcme" here; did you mean "outcome"?`}},
	} {
		doc := small
		for i := 0; i < len(c.pairs); i += 2 {
			if !strings.Contains(doc, c.pairs[i]) {
				t.Fatalf("no %s", c.pairs[i])
			}
			doc = strings.Replace(doc, c.pairs[i], c.pairs[i+1], 1)
		}
		_, err := Compile([]byte(doc))
		var errs Errors
		if !errors.As(err, &errs) || len(errs) != len(c.want) {
			t.Errorf("%q: %d errors, want %d:\n%v", c.pairs, len(errs), len(c.want), err)
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(errs[i].Error(), want) {
				t.Errorf("%q: %v, want %s", c.pairs, errs[i], want)
			}
		}
	}
}

// What is most likely a slip, and can be published all the same.
func TestWarnings(t *testing.T) {
	t.Parallel()
	base := strings.NewReplacer("  custom:\n", "  benefits: {margin: [a, b], rebate: [\"5 %\"], discount: number}\n  custom:\n").Replace(small) + "\ntests: {}\n"
	warned := func(pairs ...string) string {
		t.Helper()
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(base, pairs[i]) {
				t.Fatalf("no %s", pairs[i])
			}
		}
		return compile(t, []byte(strings.NewReplacer(pairs...).Replace(base))).Warnings().Error()
	}
	if w := compile(t, []byte(base)).Warnings(); len(w) != 0 {
		t.Errorf("%v", w)
	}
	for _, c := range []struct{ old, new, want string }{
		{"  days: {value: 60}\n", "  days: {value: 60}\n  dayz: {value: 60}\n", "26:9: params.dayz: nothing uses params.dayz"},
		{"precedence:", "bands:\n  size: {of: reg.units, ranges: {all: \">=0\"}}\nprecedence:", "bands.size: nothing uses band.size"},
		{"precedence:", "tables:\n  t: {rows: [{value: 1}]}\nprecedence:", "tables.t: nothing uses table.t"},
		{"  ACME_HELD:", "  ACME_HELDD: {shown_as: UNDER_REVIEW, internal: x}\n  ACME_HELD:", "reasons.ACME_HELDD: nothing gives the reason ACME_HELDD"},
		{"  benefits: {margin: [a, b], rebate: [\"5 %\"], discount: number}\n", "", "then.benefits: declare them, so that a misspelt one is found"},
		{"\ntests: {}\n", "\n", "there are no tests"},
		{"precedence: [declined, escalate, route, protect]", "precedence: [protect, declined, escalate, route]", "precedence[0]: protect stands before declined, escalate, route: a rule that protects wins"},
		{"precedence: [declined, escalate, route, protect]", "precedence: [declined, route, protect, escalate]", "precedence[2]: protect stands before escalate:"},
		{"&& conflict.held_by_other.probability >= params.certain'\n    then: {outcome: escalate, reason: ACME_HELD, hold: {days: 3}}", "'\n    then: {outcome: route, disposition: waitlisted, of: held_by_other, reason: ACME_HELD}",
			"rules[1].when: conflict.held_by_other.found begins at params.possible_claim (0.2): what is only perhaps"},
		{"then: {outcome: escalate, reason: ACME_HELD, hold: {days: 3}}", "then: {outcome: route, disposition: waitlisted, of: pending_other, reason: ACME_HELD}",
			"rules[1].then.of: the condition does not ask for conflict.pending_other"},
		{"days: 10}}, benefits", "days: 10, needs: [activity, metting]}}, benefits", `the service cannot see "metting" for itself`},
		{"days: 10}}, benefits", "days: 10, needs: [activity, metting]}}, benefits", `did you mean meeting?`},
		{"days: 10}}, benefits", "days: 10, needs: \"activity, the vendor's consent\"}}, benefits", `the service cannot see "the vendor's consent" for itself`},
	} {
		if got := warned(c.old, c.new); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.new, got, c.want)
		}
	}
	for needs, want := range map[string]string{"activity": "activity", "[activity, meeting]": "activity, meeting", "'activity,meeting'": "activity, meeting", "reasons, and a call": "reasons, and a call"} {
		p := compile(t, []byte(strings.Replace(base, "days: 10}}, benefits", "days: 10, needs: "+strings.ReplaceAll(needs, "reasons, and a call", "'reasons, and a call'")+"}}, benefits", 1)))
		v := p.Decide(given(facts{"custom.project": "x", "reg.line_count": 1, "reg.has_letter": true, "partner.tier": "Gold"}), now)
		if v.Terms == nil || v.Terms.Extensions.Needs != want {
			t.Errorf("%s: %+v", needs, v.Terms)
		}
	}
	for _, c := range []struct{ old, new, want string }{
		{"benefits: {margin: a}", "benefits: {margn: a}", `settings.benefits has no "margn"; did you mean margin?`},
		{"benefits: {margin: a}", "benefits: {margin: aa}", `"aa" is not one of a, b; did you mean a?`},
		{"benefits: {margin: a}", "benefits: {discount: 5 %}", `"5 %" is not a number`},
		{"discount: number", "discount: text", `say what it can be`},
		{"discount: number", "discount: 5", `say what it can be`},
		{"days: 10}}, benefits", "days: 10, needs: 5}}, benefits", `5 is not a text or a list of texts`},
		{"days: 10}}, benefits", "days: 10, needs: ['activity, meeting']}}, benefits", `write each in an item of its own`},
	} {
		if _, err := Compile([]byte(strings.Replace(base, c.old, c.new, 1))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.new, err, c.want)
		}
	}
	tables := strings.NewReplacer("precedence:", "tables:\n  m: {rows: [{when: {partner.tier: Gold}, value: c}, {value: a}]}\nprecedence:", "benefits: {margin: a}", "benefits: {margin: table.m}").Replace(base)
	if _, err := Compile([]byte(tables)); err == nil || !strings.Contains(err.Error(), `of table.m: "c" is not one of a, b`) {
		t.Errorf("%v", err)
	}
}

func TestWeight(t *testing.T) {
	t.Parallel()
	s := compile(t, []byte(strings.Replace(small, "hot: {type: bool}", "hot: {type: bool}\n    seen: {type: instant}", 1))).Settings()
	for _, c := range []struct{ field, before, after string }{
		{"hot", "true", "false"}, {"hot", "false", ""}, {"seats", "10", "9"}, {"seats", "-1", ""}, {"seats", "0", "many"}, {"rate", "0.5", "0.4"},
		{"region", "north", "south"}, {"region", "south", ""}, {"seen", "2027-03-01", "2027-03-02"}, {"seen", "2027-03-02", ""},
	} {
		if s.Weight(c.field, c.before) <= s.Weight(c.field, c.after) {
			t.Errorf("%s: %q does not come before %q", c.field, c.before, c.after)
		}
	}
}
