package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// small is a policy with every feature of the language, to be bent by tests.
const small = `apiVersion: dealreg/v1
kind: Policy
metadata: {name: small, title: Small, owner: me, change: first}
settings:
  currency: EUR
  timezone: Europe/Berlin
  tiers: [bronze, Gold]
  lines: [firewall, cloud]
  stages: [early, late]
  public_sector: [public]
  family: together
  reason_prefix: ACME_
  calendar: {days: [mon, tue, wed, thu, fri], hours: "08:00..16:00", holidays: [2027-01-01]}
  custom:
    project: {type: string, required: true, doc: name of the project}
    seats: {type: int}
    region: {type: enum, values: [north, south]}
    hot: {type: bool}
    rate: {type: double}
params:
  certain: {value: 0.92, min: 0.8, max: 0.99}
  possible: {value: 0.6}
  limit: {value: 100000, min: 0, visibility: partner}
  days: {value: 60}
  blocked: {value: [XK, YE]}
  strict: {value: false}
precedence: [declined, escalate, route, protect]
on_error: {outcome: escalate, reason: RULE_ERROR, queue: errors}
on_no_match: {outcome: escalate, reason: NO_RULE, queue: gaps}
reasons:
  PROTECTED:
    partner: {en: "Yours for {{reg.amount}}.", de: "Ihre für {{reg.amount}}."}
    internal: "granted"
  ACME_TOO_BIG: {partner: "Above {{params.limit}}.", internal: "{{reg.amount}} of {{custom.project}}"}
  ACME_HELD: {shown_as: UNDER_REVIEW, internal: "held at {{conflict.held_by_other.probability}}", appeal: true}
required:
  - {field: customer.domain, when: 'reg.type == "project"'}
defaults:
  escalate: {queue: desk, decide: 2bd}
  protect: {terms: {anchor: submission, extensions: {max: 2, days: 10}}, benefits: {margin: a}}
rules:
  - id: too-big
    title: Too big
    when: 'reg.amount >= params.limit'
    then: {outcome: route, disposition: declined, reason: ACME_TOO_BIG, resubmit_after: 30d}
  - id: held
    when: 'conflict.held_by_other.found && conflict.held_by_other.probability >= params.certain'
    then: {outcome: escalate, reason: ACME_HELD, hold: {days: 3}}
  - id: friend
    when: 'reg.has_letter && partner.tier == "Gold"'
    overrides: [held]
    then: {outcome: protect, reason: PROTECTED, terms: {months: 6, exclusive: false}}
  - id: shadowed
    status: shadow
    when: 'custom.seats / reg.line_count > 10'
    then: {outcome: escalate, reason: NO_RULE}
  - id: off
    status: disabled
    when: 'true'
    overrides: [held]
    then: {outcome: escalate, reason: NO_RULE}
  - id: dated
    effective: {from: 2027-04-01, to: 2027-05-01}
    when: 'custom.hot'
    then: {outcome: escalate, reason: UNDER_REVIEW, queue: hot}
  - id: north
    when: 'custom.region == "north" && custom.rate > 0.5 && custom.seats >= 10 && !(customer.country in params.blocked)'
    then: {outcome: protect, reason: PROTECTED, terms: {days: params.days}, benefits: {rebate: "5 %"}}
  - id: ratio
    when: '1000 / reg.line_count > 100 && params.strict == false'
    then: {outcome: protect, reason: PROTECTED, terms: {days: 30}}
`

var compileErrors = []struct{ name, old, new, want string }{
	{"a field nobody knows", "title: Too big", "titel: Too big", `43:5: rules[0].titel: there is no field "titel" here; did you mean "title"?`},
	{"a field given twice", "title: Too big", "id: again", `43:5: rules[0].id: "id" is given twice`},
	{"a misspelt fact", "partner.tier ==", "partner.teir ==", `50:30: rules[2].when: there is no fact partner.teir; did you mean partner.tier?`},
	{"a misspelt parameter", ">= params.limit'", ">= params.limmit'", `44:26: rules[0].when: there is no parameter params.limmit; did you mean params.limit?`},
	{"a value outside a closed list", `"project"'`, `"projekt"'`, `37:49: required[0].when: reg.type is never "projekt"; it is one of new_business, expansion, renewal, service, design, project; did you mean project?`},
	{"a tier nobody declared", `partner.tier == "Gold"`, `partner.tier == "gold"`, `rules[2].when: partner.tier is never "gold"; it is one of bronze, Gold; did you mean Gold?`},
	{"a value outside a custom list", `"north"`, `"nord"`, `custom.region is never "nord"; it is one of north, south`},
	{"a line nobody declared", "'reg.has_letter", `'"fire" in reg.lines`, `reg.lines is never "fire"`},
	{"not a missing field", "'reg.has_letter", `'"customer.phon" in reg.missing`, `reg.missing is never "customer.phon"`},
	{"not a country", "blocked: {value: [XK, YE]}", "blocked: {value: [Kosovo]}", `"Kosovo" is not an ISO 3166-1 alpha-2 country code`},
	{"a text that cannot be checked", "'reg.has_letter", `'("a" + "b") == "ab"`, `compare the text a with a fact directly`},
	{"types that do not compare", "'custom.hot'", `'reg.amount == true'`, `found no matching overload`},
	{"not a condition", "'custom.hot'", `'reg.amount'`, `the condition is a double; it must be true or false`},
	{"a comprehension", "'custom.hot'", `'reg.lines.exists(x, x == "cloud")'`, `exists() is not available`},
	{"a regular expression", "'custom.hot'", `'partner.tier.matches("G.*")'`, `matches() is not available`},
	{"a function", "'custom.hot'", `'size(reg.lines) > 1'`, `size() is not available`},
	{"an index", "'custom.hot'", `'reg.lines[0] == "cloud"'`, `[ ] is not available`},
	{"a mapping", "'custom.hot'", `'{"a": true}["a"]'`, `is not available`},
	{"a null", "'custom.hot'", `'reg.type == null'`, `write a text, a number, true or false`},
	{"syntax", "'custom.hot'", `'custom.hot &&'`, `rules[5].when: `},
	{"a custom field nobody declared", "'custom.hot'", `'custom.cold'`, `settings.custom does not declare custom.cold`},
	{"an empty condition", "when: 'custom.hot'", `when: ''`, `a rule needs a condition`},
	{"a leak to the partner", `"Above {{params.limit}}."`, `"Above {{conflict.held_by_other.probability}}."`,
		`34:36: reasons.ACME_TOO_BIG.partner: a text for partners must not show conflict.held_by_other.probability, which is internal`},
	{"a leak in another language", "Ihre für {{reg.amount}}.", "Ihre für {{territory.id}}.", `reasons.PROTECTED.partner.de: a text for partners must not show territory.id`},
	{"a leaking parameter", "visibility: partner}", "visibility: internal}", `must not show params.limit, which is internal`},
	{"a text with a misspelt fact", "{{reg.amount}} of", "{{reg.amonut}} of", `there is no fact reg.amonut; did you mean reg.amount?`},
	{"a text that is not closed", "{{reg.amount}} of", "{{reg.amount} of", `a {{ is not closed`},
	{"a language that is none", "de: \"Ihre", "german: \"Ihre", `"german" is not a language tag`},
	{"a reason nobody wrote", "reason: ACME_HELD,", "reason: ACME_HOLD,", `48:39: rules[1].then.reason: "ACME_HOLD" is not a reason of this policy: write its texts under reasons; did you mean ACME_HELD?`},
	{"a code of nobody's", "ACME_HELD: {", "HELD: {", `HELD is not a core reason, and does not begin with settings.reason_prefix`},
	{"both texts", "{shown_as: UNDER_REVIEW,", "{shown_as: UNDER_REVIEW, partner: x,", `give the partner a text or shown_as, not both`},
	{"shown as nothing", "shown_as: UNDER_REVIEW", "shown_as: ACME_GONE", `"ACME_GONE" is not a reason with a text for partners`},
	{"no text", "{shown_as: UNDER_REVIEW, internal", "{internal", `write what the partner reads`},
	{"an unknown override", "overrides: [held]\n    then: {outcome: protect", "overrides: [heldd]\n    then: {outcome: protect", `51:17: rules[2].overrides[0]: there is no rule "heldd"; did you mean held?`},
	{"a circle of overrides", "then: {outcome: escalate, reason: ACME_HELD,", "overrides: [friend]\n    then: {outcome: escalate, reason: ACME_HELD,", `the overrides go round in a circle`},
	{"an id used twice", "id: friend", "id: held", `49:9: rules[2].id: "held" is the id of another rule, or reserved`},
	{"a reserved id", "id: friend", "id: required", `or reserved`},
	{"a parameter outside its range", "value: 0.92", "value: 0.7", `21:20: params.certain.value: 0.7 is outside its range 0.8 to 0.99`},
	{"possible above certain", "value: 0.6}", "value: 0.95}", `params.possible must not be above params.certain`},
	{"a probability that is none", "value: 0.6}", "value: 60}", `params.possible is a probability above 0, at most 1`},
	{"a precedence without protect", "[declined, escalate, route, protect]", "[declined, escalate, route]", `the precedence must list protect`},
	{"a precedence with a gap", "[declined, escalate, route, protect]", "[declined, escalate, merged, protect]", `the precedence must list route, or every disposition: referred is missing`},
	{"on_error that protects", "{outcome: escalate, reason: RULE_ERROR, queue: errors}", "{outcome: protect, reason: RULE_ERROR, terms: {days: 1}}", `28:11: on_error: on_error always escalates`},
	{"terms on a route", "resubmit_after: 30d", "terms: {days: 3}", `terms does not go with outcome route`},
	{"a disposition on an escalation", "hold: {days: 3}", "disposition: merged", `disposition does not go with outcome escalate`},
	{"a bad term", "resubmit_after: 30d", "resubmit_after: 30 days", `"30 days" is not a term; write a number and a unit`},
	{"no length", "terms: {days: 30}", "terms: {anchor: approval}", `say how long it protects: either days or months`},
	{"two lengths", "terms: {days: 30}", "terms: {days: 30, months: 1}", `either days or months`},
	{"a wrong anchor", "anchor: submission", "anchor: signature", `"signature" is not one of submission, approval, expected_close_date`},
	{"days that are no number", "days: params.days", "days: params.strict", `"params.strict" is neither a whole number nor a parameter that is one`},
	{"an unknown required field", "field: customer.domain", "field: customer.domian", `"customer.domian" is not a field of a registration; did you mean customer.domain?`},
	{"text for a number", "value: 60}", "value: [", `not YAML`},
	{"a number for a list", "tiers: [bronze, Gold]", "tiers: 3", `"3" is not a list`},
	{"tiers that differ by case only", "tiers: [bronze, Gold]", "tiers: [gold, Gold]", `"Gold" is empty, repeated`},
	{"a time zone of nowhere", "Europe/Berlin", "Berlin", `6:13: settings.timezone: "Berlin" is not a time zone`},
	{"a currency of nobody", "currency: EUR", "currency: EURO", `5:13: settings.currency: "EURO" is not an ISO 4217 code`},
	{"dates in the wrong order", "to: 2027-05-01", "to: 2027-03-01", `rules[5].effective: ends before it begins`},
	{"another kind", "kind: Policy", "kind: TerritoryPlan", `2:7: kind: "TerritoryPlan" is not kind: Policy`},
	{"an API of the future", "dealreg/v1", "dibs/v9", `1:13: apiVersion: a policy begins with apiVersion: dealreg/v1`},
	{"a second document", "rules:\n", "---\nrules:\n", `a second document begins here`},
	{"a region of nowhere", "holidays: [2027-01-01]}", "regions: [FR, Bavaria]}", `13:84: settings.calendar.regions[1]: "Bavaria" is not a region whose holidays are known; list its holidays by date, or write one of AR, AT, AU-ACT,`},
	{"a state of nowhere", "holidays: [2027-01-01]}", "regions: [DE-XX]}", `13:80: settings.calendar.regions[0]: "DE-XX" is not a region whose holidays are known; list its holidays by date, or write one of DE, DE-BB,`},
	{"a day that is none", "holidays: [2027-01-01]}", "holidays: [2027-02-29]}", `13:81: settings.calendar.holidays[0]: "2027-02-29" is not a date`},
	{"an office in no zone", "holidays: [2027-01-01]}", "timezone: EST5}", `13:80: settings.calendar.timezone: "EST5" is not a time zone`},
	{"a custom type", "{type: int}", "{type: integer}", `"integer" is not one of bool, int, double, string, enum`},
}

// errorsOf returns what Compile found wrong.
func errorsOf(t *testing.T, err error) Errors {
	t.Helper()
	errs, ok := errors.AsType[Errors](err)
	if !ok {
		t.Fatalf("not an error of the document: %v", err)
	}
	return errs
}

func TestCompileErrors(t *testing.T) {
	t.Parallel()
	compile(t, []byte(small))
	for _, c := range compileErrors {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(small, c.old) {
				t.Fatalf("the policy has no %q", c.old)
			}
			p, err := Compile([]byte(strings.Replace(small, c.old, c.new, 1)))
			if err == nil {
				t.Fatal("no error")
			}
			if p != nil {
				t.Error("a policy comes with an error")
			}
			var list Errors
			if !errors.As(err, &list) {
				t.Fatalf("the error is a %T", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("\n got %v\nwant %s", err, c.want)
			}
		})
	}
	for _, doc := range []string{"", "a", "[1]", "\x00", "apiVersion: dealreg/v1", strings.Repeat("a: 1\n", 1<<20), strings.Repeat("[", 100000)} {
		if _, err := Compile([]byte(doc)); err == nil {
			t.Errorf("%.20q compiles", doc)
		}
	}
}

// Everything that is wrong is reported at once, in the order of the text, each once.
func TestAllErrorsAtOnce(t *testing.T) {
	t.Parallel()
	doc := strings.NewReplacer("currency: EUR", "currency: X", "partner.tier ==", "partner.teir ==", "reason: ACME_HELD", "reason: NOPE", "field: customer.domain", "field: x").Replace(small)
	_, err := Compile([]byte(doc))
	var list Errors
	if !errors.As(err, &list) || len(list) != 4 {
		t.Fatalf("%v", err)
	}
	if !slices.IsSortedFunc(list, func(a, b Error) int { return a.Line - b.Line }) {
		t.Errorf("not in the order of the text: %v", err)
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	p := compile(t, []byte(small))
	base := facts{"custom.project": "x"}
	trace := func(v Verdict) string {
		var out []string
		for _, r := range v.Trace {
			s := r.Rule + " " + r.Result
			if r.By != "" {
				s += " by " + r.By
			}
			out = append(out, s)
		}
		return strings.Join(out, ", ")
	}
	held := conflict(deal.HeldByOther, 0.95)
	for _, c := range []struct {
		name string
		over []facts
		at   time.Time
		rule string
		want string
	}{
		{"one", []facts{{"reg.amount": 5.0}}, now, "ratio", "ratio decided"},
		{"the stronger decides", []facts{{"reg.amount": 2e5}, held}, now, "too-big", "too-big decided, held lost by too-big, ratio lost by too-big"},
		{"the exception overrides", []facts{held, {"reg.has_letter": true, "partner.tier": "Gold"}}, now, "friend", "held overridden by friend, friend decided, ratio lost by friend"},
		{"no exception", []facts{held, {"reg.has_letter": true}}, now, "held", "held decided, ratio lost by held"},
		{"a shadow decides nothing", []facts{{"custom.seats": "50"}}, now, "ratio", "shadowed shadow, ratio decided"},
		{"a shadow that errs disturbs nobody", []facts{{"custom.seats": "many"}}, now, "ratio", "ratio decided, shadowed shadow"},
		{"a rule that errs", []facts{{"reg.line_count": 0}}, now, "on-error", "on-error decided, shadowed shadow, ratio error"},
		{"a rule that errs beside a strong one", []facts{{"reg.line_count": 0, "reg.amount": 2e5}}, now, "on-error", "on-error decided, too-big lost by on-error, shadowed shadow, ratio error"},
		{"nothing matches", []facts{{"reg.line_count": 100}}, now, "on-no-match", "on-no-match decided"},
		{"not yet", []facts{{"custom.hot": "true"}}, time.Date(2027, 3, 31, 21, 59, 59, 0, time.UTC), "ratio", "ratio decided"},
		{"from its first instant", []facts{{"custom.hot": "true"}}, time.Date(2027, 3, 31, 22, 0, 0, 0, time.UTC), "dated", "dated decided, ratio lost by dated"},
		{"to its last", []facts{{"custom.hot": "true"}}, time.Date(2027, 4, 30, 21, 59, 59, 0, time.UTC), "dated", "dated decided, ratio lost by dated"},
		{"no more", []facts{{"custom.hot": "true"}}, time.Date(2027, 4, 30, 22, 0, 0, 0, time.UTC), "ratio", "ratio decided"},
		{"a field that is required", []facts{{"custom.project": ""}}, now, "required", "required decided, ratio lost by required"},
		{"a field required on a condition", []facts{{"reg.type": "project", "reg.missing": []string{"customer.domain"}}}, now, "required", "required decided, ratio lost by required"},
		{"its condition is not met", []facts{{"reg.missing": []string{"customer.domain"}}}, now, "ratio", "ratio decided"},
		{"custom fields", []facts{{"custom.region": "north", "custom.rate": "0.6", "custom.seats": "10", "customer.country": "DE"}}, now, "north", "north decided, ratio lost by north"},
		{"a custom field of another type", []facts{{"custom.region": "north", "custom.rate": "much", "custom.seats": "10"}}, now, "on-error", "on-error decided, ratio lost by on-error, north error"},
	} {
		over := append([]facts{base, {"reg.line_count": 1}}, c.over...)
		if c.name == "a shadow that errs disturbs nobody" {
			over = append(over, facts{"custom.region": "south"})
		}
		v := p.Decide(given(over...), c.at)
		if v.Rule != c.rule || trace(v) != c.want {
			t.Errorf("%s:\n got %s: %s\nwant %s: %s", c.name, v.Rule, trace(v), c.rule, c.want)
		}
		if (v.Rule == "on-error" || v.Rule == "on-no-match") && v.Outcome != deal.Escalate {
			t.Errorf("%s: %s", c.name, v.Outcome)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	p := compile(t, []byte(small))
	base := facts{"custom.project": "Atlas", "reg.line_count": 1}

	v := p.Decide(given(base, facts{"reg.amount": 2e5}), now)
	if v.Resubmit != "30d" || v.To != deal.ToSubmitter || v.Texts.Partner != "Above 100000." || v.Texts.Internal != "200000 of Atlas" {
		t.Errorf("%+v", v)
	}
	v = p.Decide(given(base, conflict(deal.HeldByOther, 0.95)), now)
	if !v.Appeal || v.Queue != "desk" || v.Case.Decide != "2bd" || v.Case.OnSilence != "escalate" || v.Case.Hold != (deal.HoldTerms{Days: 3}) ||
		!slices.Equal(v.Reasons, []string{"ACME_HELD"}) || !slices.Equal(v.PartnerReasons, []string{"UNDER_REVIEW"}) || v.Texts.Internal != "held at 0.95" {
		t.Errorf("%+v %+v", v, v.Case)
	}
	v = p.Decide(given(base, facts{"reg.has_letter": true, "partner.tier": "Gold", "reg.amount": 12.5}), now)
	if v.Terms.Months != 6 || v.Terms.Days != 0 || v.Terms.Exclusive || v.Terms.Anchor != "submission" || v.Terms.Extensions.Max != 2 ||
		!slices.Equal(v.Benefits, []deal.Benefit{{Name: "margin", Value: "a"}}) {
		t.Errorf("%+v %+v", v, v.Terms)
	}
	if v.Texts.Partner != "Yours for 12.5." || v.Texts.Languages["de"] != "Ihre für 12.5." {
		t.Errorf("%+v", v.Texts)
	}
	v = p.Decide(given(base, facts{"custom.region": "north", "custom.rate": "1", "custom.seats": "10"}), now)
	if v.Terms.Days != 60 || !slices.Equal(v.Benefits, []deal.Benefit{{Name: "rebate", Value: "5 %"}}) {
		t.Errorf("%+v %+v", v.Terms, v.Benefits)
	}
	v = p.Decide(given(base, facts{"reg.missing": []string{"customer.domain"}, "reg.type": "project", "custom.project": ""}), now)
	if !slices.Equal(v.Needs, []string{"custom.project", "customer.domain"}) || !strings.Contains(v.Texts.Partner, "custom.project, customer.domain") {
		t.Errorf("%+v", v)
	}
	v = p.Decide(given(base, facts{"reg.line_count": 0}), now)
	if v.Queue != "errors" || !strings.Contains(v.Trace[len(v.Trace)-1].Detail, "division by zero") {
		t.Errorf("%+v", v)
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	p := compile(t, []byte(small))
	ref := p.WithVersion(7).Ref()
	if ref.Name != "small" || ref.Version != 7 || !strings.HasPrefix(ref.Digest, "sha256:") || len(ref.Digest) != 71 || p.Ref().Version != 0 {
		t.Errorf("%+v %+v", ref, p.Ref())
	}
	if q := compile(t, []byte(small+"# \n")); q.Ref().Digest == ref.Digest {
		t.Error("the digest is not of the bytes")
	}
	if !IsPolicy([]byte(small)) || IsPolicy([]byte("kind: TerritoryPlan")) || IsPolicy(nil) {
		t.Error("IsPolicy does not tell policies from other documents")
	}
	s := p.Settings()
	if s.Currency != "EUR" || s.Timezone.String() != "Europe/Berlin" || s.Certain != 0.92 || s.Possible != 0.6 || !s.FamilyScope || s.ReasonPrefix != "ACME_" || len(s.Custom) != 5 {
		t.Errorf("%+v", s)
	}
	for name, want := range map[string]int{"Gold": 1, "GOLD": 1, " bronze ": 0, "platinum": 0, "": 0} {
		if _, got := s.Tier(name); got != want {
			t.Errorf("tier %q has rank %d, want %d", name, got, want)
		}
	}
	if name, n := s.Stage("LATE"); name != "late" || n != 1 {
		t.Errorf("stage %s %d", name, n)
	}
	if _, n := s.Stage("later"); n != -1 {
		t.Errorf("an unknown stage has place %d", n)
	}
	if !s.IsPublicSector("Public") || s.IsPublicSector("retail") || s.IsPublicSector("") {
		t.Error("public sector")
	}
	errs := s.Validate(map[string]string{"seats": "x", "hot": "yes", "rate": "1e400", "region": "west", "nope": "1", "project": "ok"})
	var fields []string
	for _, e := range errs {
		fields = append(fields, e.Field)
	}
	if !slices.Equal(fields, []string{"custom.hot", "custom.nope", "custom.rate", "custom.region", "custom.seats"}) {
		t.Errorf("%v", errs)
	}
	if rules := p.Rules(); len(rules) != 8 || rules[0].ID != "required" || !rules[4].Shadow {
		t.Errorf("%+v", rules)
	}
	if params := p.Params(); len(params) != 7 || params[0].Name != "blocked" || params[1].Value != 0.92 {
		t.Errorf("%+v", params)
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	s := compile(t, Default()).Settings()
	empty := s.Missing(&deal.Filing{})
	for _, f := range empty {
		if !slices.Contains(StandardFields, f) {
			t.Errorf("%s is missing, and not a standard field", f)
		}
	}
	if len(empty) != len(StandardFields) {
		t.Errorf("an empty filing lacks %d of %d standard fields", len(empty), len(StandardFields))
	}
	f := deal.Filing{Contact: deal.Contact{Email: "a@b.example"}, Evidence: []deal.Evidence{{Kind: "meeting"}}}
	f.Customer.Website = "b.example"
	got := s.Missing(&f)
	for _, given := range []string{"contact.email", "customer.domain", "evidence", "evidence.meeting"} {
		if slices.Contains(got, given) {
			t.Errorf("%s is given and counts as missing", given)
		}
	}
	if !slices.Contains(got, "evidence.letter") {
		t.Error("no letter is given, and none is missing")
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		v    any
	}{
		{"reg.amonut", 1.0}, {"reg.amount", "1"}, {"reg.type", "rental"}, {"reg.type", 1}, {"reg.line_count", 1.5}, {"partner.active", "true"},
		{"reg.lines", "firewall"}, {"reg.missing", []string{"customer.nose"}}, {"reg.amount", inf()}, {"custom.x", 1}, {"reg.amount", nil}, {"conflict.held_by_other.status", "gone"},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Set(%s, %v) does not panic", c.name, c.v)
				}
			}()
			NewFacts().Set(c.name, c.v)
		}()
		if c.v == nil {
			continue
		}
		if _, err := FromMap(map[string]any{c.name: c.v}); err == nil {
			t.Errorf("FromMap(%s: %v) does not err", c.name, c.v)
		}
	}
	f := NewFacts()
	if m := f.Map(); len(m) != 0 {
		t.Errorf("facts that are not set differ from their default: %v", m)
	}
	f.Set("reg.amount", 7)
	f.Set("reg.line_count", 2)
	f.Set("reg.lines", []string{"a", "b"})
	f.Set("reg.lines", []string{})
	g := f.Clone()
	g.Set("reg.amount", 8.5)
	if f.Get("reg.amount") != 7.0 || g.Get("reg.amount") != 8.5 || f.Get("reg.line_count") != int64(2) || f.Get("nope") != nil || f.Get("custom.x") != nil {
		t.Errorf("%v %v", f.Map(), g.Map())
	}
	if _, ok := f.Map()["reg.lines"]; ok {
		t.Error("an empty list differs from the default")
	}
}

func inf() float64 { z := 0.0; return 1 / z }

func TestCalendar(t *testing.T) {
	t.Parallel()
	cal := compile(t, []byte(small)).Settings().Calendar // Monday to Friday, 8 to 16 in Berlin; 2027-01-01, a Friday, is a holiday
	berlin, _ := time.LoadLocation("Europe/Berlin")
	for _, c := range []struct{ from, term, want string }{
		{"2027-03-01 09:00", "4bh", "2027-03-01 13:00"},
		{"2027-03-01 14:00", "4bh", "2027-03-02 10:00"},
		{"2027-03-01 12:00", "4bh", "2027-03-01 16:00"},
		{"2027-03-01 07:00", "1bh", "2027-03-01 09:00"},
		{"2027-03-05 15:00", "2bh", "2027-03-08 09:00"}, // over a weekend
		{"2027-12-31 15:00", "2bh", "2028-01-03 09:00"},
		{"2026-12-31 15:00", "2bh", "2027-01-04 09:00"}, // over New Year's Day, a holiday, and a weekend
		{"2027-03-01 09:00", "48bh", "2027-03-09 09:00"},
		{"2027-03-01 12:00", "2bd", "2027-03-03 16:00"},
		{"2027-03-01 07:00", "2bd", "2027-03-02 16:00"}, // the day has not begun: it counts
		{"2027-03-06 12:00", "1bd", "2027-03-08 16:00"},
		{"2027-03-01 12:00", "36h", "2027-03-03 00:00"},
		{"2027-03-27 12:00", "1d", "2027-03-28 12:00"},  // summer time begins: a day is 23 hours
		{"2027-03-27 12:00", "24h", "2027-03-28 13:00"}, // and 24 hours are not a day
		{"2026-08-31 10:00", "6m", "2027-02-28 10:00"},
		{"2027-08-31 10:00", "6m", "2028-02-29 10:00"},
		{"2026-08-31 10:00", "180d", "2027-02-27 10:00"},
		{"2027-03-01 12:00", "0d", "2027-03-01 12:00"},
	} {
		from, err := time.ParseInLocation("2006-01-02 15:04", c.from, berlin)
		if err != nil {
			t.Fatal(err)
		}
		got, err := cal.Add(from, c.term)
		if err != nil {
			t.Fatal(err)
		}
		if s := got.In(berlin).Format("2006-01-02 15:04"); s != c.want {
			t.Errorf("%s + %s = %s, want %s", c.from, c.term, s, c.want)
		}
	}
	for _, c := range []struct{ calendar, zone, from, term, want string }{
		// Over the end of a year: New Year's Day 2028 is a Saturday, which the United States keep on Friday, 31 December, and Germany not at all.
		{`{regions: [US]}`, "Europe/Berlin", "2027-12-30 16:00", "2bh", "2028-01-03 10:00"},
		{`{regions: [DE]}`, "Europe/Berlin", "2027-12-30 16:00", "2bh", "2027-12-31 10:00"},
		{`{regions: [DE, US]}`, "Europe/Berlin", "2027-12-30 16:00", "2bh", "2028-01-03 10:00"},
		{`{regions: [DE]}`, "Europe/Berlin", "2026-12-24 12:00", "1bd", "2026-12-28 17:00"},
		{`{regions: [GB]}`, "Europe/London", "2026-12-24 12:00", "1bd", "2026-12-29 17:00"}, // Boxing Day, a Saturday, is kept on Monday
		{`{regions: [FR], holidays: [2026-07-15]}`, "Europe/Paris", "2026-07-13 12:00", "1bd", "2026-07-16 17:00"},
		{`{regions: [DE]}`, "Europe/Berlin", "2027-05-26 12:00", "1bd", "2027-05-27 17:00"},
		{`{regions: [DE-BY]}`, "Europe/Berlin", "2027-05-26 12:00", "1bd", "2027-05-28 17:00"}, // Corpus Christi
		{`{regions: [US]}`, "Europe/Berlin", "2061-07-01 12:00", "1bd", "2061-07-04 17:00"},    // no more than is known
		// The people who decide work elsewhere: 9 to 17 in New York, which begins summer time two weeks before Berlin.
		{`{timezone: America/New_York}`, "Europe/Berlin", "2027-03-12 09:00", "1bh", "2027-03-12 16:00"},
		{`{timezone: America/New_York}`, "Europe/Berlin", "2027-03-15 09:00", "1bh", "2027-03-15 15:00"},
		{`{timezone: America/New_York}`, "Europe/Berlin", "2027-03-29 09:00", "1bh", "2027-03-29 16:00"},
		{`{timezone: America/New_York}`, "Europe/Berlin", "2027-03-27 12:00", "1d", "2027-03-28 12:00"},                 // the programme's days
		{`{timezone: America/New_York, regions: [US]}`, "Europe/Berlin", "2027-11-25 18:00", "1bh", "2027-11-26 16:00"}, // Thanksgiving
		{`{timezone: Asia/Tokyo, regions: [JP]}`, "Europe/Berlin", "2027-04-28 18:00", "1bd", "2027-04-30 10:00"},       // Thursday in Tokyo already, and a holiday
		// Business days of 24 hours: 48 business hours are two days, and an hour more or less where the clocks change.
		{`{hours: "00:00..24:00"}`, "Europe/Berlin", "2027-03-04 15:00", "48bh", "2027-03-08 15:00"},
		{`{hours: "00:00..24:00"}`, "Europe/Berlin", "2027-03-05 12:00", "1bd", "2027-03-09 00:00"},
		{`{hours: "00:00..24:00", regions: [DE]}`, "Europe/Berlin", "2026-12-30 12:00", "48bh", "2027-01-04 12:00"},
		{`{hours: "00:00..24:00", days: [sat, sun, mon]}`, "Europe/Berlin", "2027-03-27 12:00", "24bh", "2027-03-28 13:00"},
		{`{hours: "00:00..24:00", days: [sat, sun, mon]}`, "Europe/Berlin", "2027-10-30 12:00", "24bh", "2027-10-31 11:00"},
		{`{hours: "02:30..04:00", days: [sun]}`, "Europe/Berlin", "2027-03-28 00:00", "30m", "2029-09-28 00:00"},
		{`{hours: "02:30..04:00", days: [sun]}`, "Europe/Berlin", "2027-03-28 00:00", "1bh", "2027-03-28 04:00"}, // half past two does not come that day
		// Where clocks go forward at midnight, a day begins at one.
		{`{}`, "America/Santiago", "2027-09-03 16:00", "2bh", "2027-09-06 10:00"},
		{`{hours: "00:00..24:00", days: [sat, sun, mon]}`, "America/Santiago", "2027-09-04 22:00", "4bh", "2027-09-05 03:00"},
		{`{hours: "00:00..24:00", days: [sat, sun, mon]}`, "America/Santiago", "2027-09-03 22:00", "1bd", "2027-09-05 01:00"},
	} {
		doc := strings.Replace(strings.Replace(small, "Europe/Berlin", c.zone, 1), `{days: [mon, tue, wed, thu, fri], hours: "08:00..16:00", holidays: [2027-01-01]}`, c.calendar, 1)
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		from, err := time.ParseInLocation("2006-01-02 15:04", c.from, zone)
		if err != nil {
			t.Fatal(err)
		}
		got, err := compile(t, []byte(doc)).Settings().Calendar.Add(from, c.term)
		if s := got.In(zone).Format("2006-01-02 15:04"); err != nil || s != c.want {
			t.Errorf("%s in %s: %s + %s = %s, want %s (%v)", c.calendar, c.zone, c.from, c.term, s, c.want, err)
		}
	}
	for _, term := range []string{"", "4", "bh", "-1d", "4 bh", "99999d", "4w"} {
		if _, err := cal.Add(now, term); err == nil {
			t.Errorf("%q is a term", term)
		}
	}
	if _, err := (Calendar{}).Add(now, "4bh"); err != nil {
		t.Error("a calendar without working days must still end")
	}
}

// A version that was saved keeps the holidays it was saved with, and compiles also when its regions are known no more.
func TestCompileSaved(t *testing.T) {
	t.Parallel()
	doc := []byte(strings.Replace(small, "holidays: [2027-01-01]}", "regions: [DE], holidays: [2027-03-02]}", 1))
	p := compile(t, doc)
	if h := p.Holidays(); !slices.Contains(h, "2027-12-25") || slices.Contains(h, "2027-03-02") || !slices.IsSorted(h) || h[0] < "2020" || h[len(h)-1] > "2061" {
		t.Errorf("%d holidays: %v", len(h), h)
	}
	from := time.Date(2027, 3, 1, 14, 0, 0, 0, time.UTC)
	due := func(p *Policy) string {
		at, _ := p.Settings().Calendar.Add(from, "2bh")
		return at.Format(time.RFC3339)
	}
	for _, c := range []struct {
		doc      string
		holidays []string
		want     string
	}{
		{string(doc), p.Holidays(), "2027-03-03T08:00:00Z"},
		{string(doc), []string{"2027-03-03"}, "2027-03-04T08:00:00Z"},
		{string(doc), nil, "2027-03-03T08:00:00Z"},
		{strings.Replace(string(doc), "[DE]", "[ATLANTIS]", 1), []string{"2027-03-03"}, "2027-03-04T08:00:00Z"},
	} {
		got, err := CompileSaved([]byte(c.doc), c.holidays)
		if err != nil {
			t.Fatal(err)
		}
		if due(got) != c.want || !slices.Equal(got.Holidays(), c.holidays) {
			t.Errorf("with %v: due at %s, want %s", c.holidays, due(got), c.want)
		}
	}
}

// fiftyRules is the default policy with more rules of the usual kind.
func fiftyRules(t testing.TB) *Policy {
	doc := string(Default())
	n := len(compile(t, Default()).Rules())
	var more strings.Builder
	for i := n; i < 50; i++ {
		k := deal.ConflictKinds[i%len(deal.ConflictKinds)]
		more.WriteString("  - id: more-" + string(rune('a'+i-n)) + "\n    when: 'conflict." + string(k) + ".found && conflict." + string(k) +
			".probability >= params.possible && reg.type in [\"renewal\", \"expansion\"] && reg.amount > 1000'\n    then: {outcome: escalate, reason: STRATEGIC}\n")
	}
	return compile(t, []byte(strings.Replace(doc, "rules:\n", "rules:\n"+more.String(), 1)))
}

func BenchmarkDecide50(b *testing.B) {
	p := fiftyRules(b)
	if n := len(p.Rules()); n != 50 {
		b.Fatalf("%d rules", n)
	}
	for _, c := range []struct {
		name string
		f    *Facts
	}{
		{"clean", given()},
		{"contested", given(conflict(deal.HeldByOther, 0.95), conflict(deal.DirectEngaged, 0.7), conflict(deal.ExistingCustomer, 0.95), facts{"reg.amount": 1e6})},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(c.f, now)
			}
		})
	}
}

func BenchmarkFacts(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		given(conflict(deal.HeldByOther, 0.95)).Map()
	}
}

func BenchmarkCompileDefault(b *testing.B) {
	doc := Default()
	for b.Loop() {
		if _, err := Compile(doc); err != nil {
			b.Fatal(err)
		}
	}
}
