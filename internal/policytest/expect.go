package policytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
	"github.com/dibs-deals/dibs/internal/policy"
)

// expectDoc is what a case expects. What it leaves out can be anything.
type expectDoc struct {
	Outcome        string                     `yaml:"outcome"` // protect, escalate, route, or a disposition
	Status         string                     `yaml:"status"`
	To             string                     `yaml:"to"`
	Queue          string                     `yaml:"queue"`
	Person         string                     `yaml:"person"`
	Of             string                     `yaml:"of"` // a name given in the case, or a kind of conflict in one about facts
	Place          *int                       `yaml:"place"`
	Needs          []string                   `yaml:"needs"`
	Resubmit       string                     `yaml:"resubmit_after"`
	Reasons        []string                   `yaml:"reasons"`
	PartnerReasons []string                   `yaml:"partner_reasons"`
	Rule           string                     `yaml:"rule"`
	Fired          []string                   `yaml:"fired"`
	Overridden     []string                   `yaml:"overridden"`
	Shadow         []string                   `yaml:"shadow"`
	Waived         []string                   `yaml:"waived"`
	Starts         string                     `yaml:"starts_at"`
	Ends           string                     `yaml:"ends_at"`
	LastDay        string                     `yaml:"last_day"`
	Earned         *bool                      `yaml:"earned"` // of one that is over: whether its benefits are
	Terms          map[string]document.Scalar `yaml:"terms"`
	Case           map[string]document.Scalar `yaml:"case"`
	Benefits       map[string]document.Scalar `yaml:"benefits"`
	Facts          map[string]document.Scalar `yaml:"facts"`
	PartnerText    textDoc                    `yaml:"partner_text"`
}

type textDoc struct {
	Has   []string `yaml:"has"`
	Lacks []string `yaml:"lacks"`
}

// expectation is an expectDoc, and which lists it gives: an empty list expects none.
type expectation struct {
	expectDoc
	line  int
	lists map[string]bool
}

var listFields = []string{"needs", "reasons", "partner_reasons", "fired", "overridden", "shadow", "waived", "benefits"}

// expect reads the expectation of the thing at p, with that of a row laid over it. It is nil when neither is given.
func (r *reader) expect(p, row document.Path, names map[string]bool) *expectation {
	if !r.Has(p.Of("expect")...) && (row == nil || !r.Has(row...)) {
		return nil
	}
	return r.expectAt(p.Of("expect"), row, names)
}

func (r *reader) expectAt(p, row document.Path, names map[string]bool) *expectation {
	e := &expectation{lists: map[string]bool{}}
	e.line, _ = r.Place(p)
	for _, from := range []document.Path{p, row} {
		if from == nil || !r.Has(from...) {
			continue
		}
		e.line, _ = r.Place(from)
		r.ReadAt(from, &e.expectDoc)
		for _, f := range listFields {
			if r.Has(from.Of(f)...) {
				e.lists[f] = true
			}
		}
		r.known(from, &e.expectDoc, names)
	}
	return e
}

// known reports words of an expectation that can never come true.
func (r *reader) known(p document.Path, e *expectDoc, names map[string]bool) {
	outcomes := []string{string(deal.Protect), string(deal.Escalate), string(deal.RouteTo)}
	for _, d := range deal.Dispositions {
		outcomes = append(outcomes, string(d))
	}
	if e.Outcome != "" && !slices.Contains(outcomes, e.Outcome) {
		r.Add(p.Of("outcome"), "%q is not one of %s%s", e.Outcome, strings.Join(outcomes, ", "), didYouMean(e.Outcome, outcomes))
	}
	if e.Status != "" && !slices.Contains(deal.Statuses, deal.Status(e.Status)) {
		words := make([]string, len(deal.Statuses))
		for i, s := range deal.Statuses {
			words[i] = string(s)
		}
		r.Add(p.Of("status"), "%q is not a status of a registration%s", e.Status, didYouMean(e.Status, words))
	}
	rules := []string{"on-error", "on-no-match", "one-holder"}
	for _, x := range r.p.Rules() {
		rules = append(rules, x.ID)
	}
	check := func(field string, words []string, list []string, what string) {
		for i, w := range words {
			if !slices.Contains(list, w) {
				at := p.Of(field)
				if r.Has(at.Of(i)...) {
					at = at.Of(i)
				}
				r.Add(at, "there is no %s %q%s", what, w, didYouMean(w, list))
			}
		}
	}
	if e.Rule != "" {
		check("rule", []string{e.Rule}, rules, "rule")
	}
	check("fired", e.Fired, rules, "rule")
	check("overridden", e.Overridden, rules, "rule")
	check("shadow", e.Shadow, rules, "rule")
	check("waived", e.Waived, rules, "rule")
	codes := append(r.p.Reasons(), deal.ReasonGuard)
	check("reasons", e.Reasons, codes, "reason")
	check("partner_reasons", e.PartnerReasons, codes, "reason")
	if known := r.p.Benefits(); known != nil {
		for _, name := range r.Keys(p.Of("benefits")...) {
			if !slices.Contains(known, name) {
				r.Add(p.Of("benefits", name), "settings.benefits has no %q%s", name, didYouMean(name, known))
			}
		}
	}
	if e.Of != "" && names != nil && !names[e.Of] {
		r.Add(p.Of("of"), "no step before this one files %q", e.Of)
	}
	for _, name := range r.Keys(p.Of("facts")...) {
		if policy.NewFacts().Get(name) == nil && !strings.HasPrefix(name, "custom.") {
			r.Add(p.Of("facts", name), "there is no fact %s%s", name, didYouMean(name, factNames))
		}
	}
	for field, v := range map[string]string{"starts_at": e.Starts, "ends_at": e.Ends} {
		if _, err := time.Parse(time.RFC3339, v); v != "" && err != nil {
			r.Add(p.Of(field), "%q is not an instant as 2027-03-01T09:00:00Z", v)
		}
	}
	if _, err := time.Parse(time.DateOnly, r.relative(e.LastDay)); e.LastDay != "" && err != nil {
		r.Add(p.Of("last_day"), "%q is not a day as 2027-03-01", e.LastDay)
	}
	e.LastDay = r.relative(e.LastDay)
}

// observation is what came out.
type observation struct {
	outcome     deal.Outcome
	disposition deal.Disposition
	status      deal.Status
	route       deal.Route
	of          string
	needs       []string
	reasons     []string
	partner     []string
	rule        string
	trace       []deal.RuleTrace
	terms       *deal.Terms
	file        *deal.CaseTerms
	benefits    []deal.Benefit
	window      *deal.Protection
	earned      *bool
	facts       *policy.Facts
	read        string // all a partner reads of it
}

func (o *observation) rules(results ...string) []string {
	var out []string
	for _, t := range o.trace {
		if slices.Contains(results, t.Result) && t.Rule != "on-error" && t.Rule != "on-no-match" && t.Rule != "one-holder" {
			out = append(out, t.Rule)
		}
	}
	return out
}

// Mismatch is one thing that is not as expected.
type Mismatch struct {
	What string `json:"what"`
	Want string `json:"want"`
	Got  string `json:"got"`
}

// compare lists everything that is not as expected.
func (e *expectation) compare(o *observation, zone *time.Location) (out []Mismatch) {
	differ := func(what, want, got string) {
		if want != "" && want != got {
			out = append(out, Mismatch{what, want, got})
		}
	}
	got := string(o.outcome)
	if o.disposition != "" && e.Outcome != string(deal.RouteTo) {
		got = string(o.disposition)
	}
	differ("outcome", e.Outcome, got)
	differ("status", e.Status, string(o.status))
	differ("to", e.To, string(o.route.To))
	queue := o.route.Queue
	if o.file != nil {
		queue = o.file.Queue
	}
	differ("queue", e.Queue, queue)
	differ("person", e.Person, o.route.Person)
	differ("of", e.Of, o.of)
	if e.Place != nil {
		differ("place", strconv.Itoa(*e.Place), strconv.Itoa(o.route.Place))
	}
	differ("resubmit_after", e.Resubmit, o.route.Resubmit)
	differ("rule", e.Rule, o.rule)
	lists := func(field string, want, got []string) {
		if !e.lists[field] {
			return
		}
		want, got = slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))
		if !slices.Equal(want, got) {
			out = append(out, Mismatch{field, listed(want), listed(got)})
		}
	}
	lists("needs", e.Needs, o.needs)
	lists("reasons", e.Reasons, o.reasons)
	lists("partner_reasons", e.PartnerReasons, o.partner)
	lists("fired", e.Fired, o.rules(policy.Decided, policy.Lost, policy.Overridden))
	lists("overridden", e.Overridden, o.rules(policy.Overridden))
	lists("shadow", e.Shadow, o.rules(policy.Shadow))
	lists("waived", e.Waived, o.rules(policy.Waived))
	window := deal.Protection{}
	if o.window != nil {
		window = *o.window
	}
	at := func(what, want string, got time.Time) {
		if t, err := time.Parse(time.RFC3339, want); want != "" && err == nil && !t.Equal(got) {
			out = append(out, Mismatch{what, want, instantText(got)})
		}
	}
	at("starts_at", e.Starts, window.StartsAt)
	at("ends_at", e.Ends, window.EndsAt)
	if e.LastDay != "" {
		day := "none: nothing is protected"
		if o.window != nil {
			day = o.window.EndsAt.Add(-time.Microsecond).In(zone).Format(time.DateOnly)
		}
		differ("last_day", e.LastDay, day)
	}
	if e.Earned != nil {
		got := "not asked for"
		if o.earned != nil {
			got = strconv.FormatBool(*o.earned)
		}
		differ("earned", strconv.FormatBool(*e.Earned), got)
	}
	out = append(out, flat("terms", e.Terms, o.terms)...)
	out = append(out, flat("case", e.Case, o.file)...)
	benefits := map[string]any{}
	for _, b := range o.benefits {
		benefits[b.Name] = b.Value
	}
	out = append(out, flat("benefits", e.Benefits, benefits)...)
	if e.lists["benefits"] {
		for _, b := range o.benefits {
			if _, expected := e.Benefits[b.Name]; !expected {
				out = append(out, Mismatch{"benefits." + b.Name, "none", b.Value})
			}
		}
	}
	for _, name := range sortedKeys(e.Facts) {
		var v any = "unknown"
		if o.facts != nil {
			v = o.facts.Get(name)
		}
		differ("facts."+name, value(e.Facts[name].Value), value(v))
	}
	for _, s := range e.PartnerText.Has {
		if !strings.Contains(strings.ToLower(o.read), strings.ToLower(s)) {
			out = append(out, Mismatch{"partner text", "says " + strconv.Quote(s), o.read})
		}
	}
	for _, s := range e.PartnerText.Lacks {
		if strings.Contains(strings.ToLower(o.read), strings.ToLower(s)) {
			out = append(out, Mismatch{"partner text", "does not say " + strconv.Quote(s), o.read})
		}
	}
	return out
}

func instantText(t time.Time) string {
	if t.IsZero() {
		return "none: nothing is protected"
	}
	return t.UTC().Format(time.RFC3339)
}

func listed(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// flat compares fields by their dotted name: terms {days: 90, extensions.max: 1}. A field that is absent is false, 0 or
// empty.
func flat(what string, want map[string]document.Scalar, got any) (out []Mismatch) {
	if len(want) == 0 {
		return nil
	}
	fields := map[string]any{}
	raw, err := json.Marshal(got)
	if err != nil {
		panic(err) // plain data
	}
	var tree any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		panic(err)
	}
	flatten("", tree, fields)
	for _, name := range sortedKeys(want) {
		w, g := value(want[name].Value), value(fields[name])
		if fields[name] == nil && slices.Contains([]string{"false", "0", ""}, w) {
			continue
		}
		if fields[name] == nil {
			g = "none"
		}
		if w != g {
			out = append(out, Mismatch{what + "." + name, w, g})
		}
	}
	return out
}

func flatten(at string, v any, into map[string]any) {
	switch x := v.(type) {
	case map[string]any:
		for k, e := range x {
			flatten(strings.TrimPrefix(at+"."+k, "."), e, into)
		}
	case []any:
		for i, e := range x {
			flatten(fmt.Sprintf("%s[%d]", at, i), e, into)
		}
	case nil:
	default:
		into[at] = x
	}
}

func value(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case []string:
		return "[" + strings.Join(x, ", ") + "]"
	}
	return fmt.Sprint(v)
}
