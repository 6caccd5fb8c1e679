package policytest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
	"github.com/dibs-deals/dibs/internal/policy"
	"github.com/dibs-deals/dibs/internal/territory"
)

// Limits of one document's tests.
const (
	maxDocument = 1 << 20
	maxCases    = 5_000 // after tables and matrices are unfolded
)

// Suite is a policy with its tests, read and checked.
type Suite struct {
	policy *policy.Policy
	body   []byte
	cases  []*testCase
	want   coverageDoc
	warned document.Errors
}

// Warnings returns what is most likely a slip in the policy or its tests, and keeps nobody from publishing.
func (s *Suite) Warnings() document.Errors { return document.Join(s.policy.Warnings(), s.warned) }

// Policy returns the compiled policy.
func (s *Suite) Policy() *policy.Policy { return s.policy }

// Len returns the number of cases, each row of a table and each cell of a matrix counted.
func (s *Suite) Len() int { return len(s.cases) }

// testCase is one case, ready to run.
type testCase struct {
	name    string
	line    int
	pending string
	now     time.Time

	facts  *policy.Facts // of a case about rules; nil for one that files
	expect *expectation

	world []deal.Record
	plan  string
	steps []step
}

// step is one thing that happens in a case that files. Its parts happen in the order of the fields.
type step struct {
	line   int
	at     time.Time // zero: the clock stays
	after  string    // a term; empty: the clock stays
	put    []deal.Record
	gone   []deal.RecordRef // records that are no more
	file   *deal.Filing
	as     string // the name of what is filed
	act    *actDoc
	amend  []func(f *deal.Filing) // what an update changes
	expect *expectation
	see    []seen
}

type seen struct {
	name   string
	expect *expectation
}

// The document.

type suiteDoc struct {
	Now      string                                `yaml:"now"`
	Facts    map[string]map[string]document.Scalar `yaml:"facts"`
	World    document.Part                         `yaml:"world"`
	Filings  map[string]document.Part              `yaml:"filings"`
	Cases    []caseDoc                             `yaml:"cases"`
	Coverage coverageDoc                           `yaml:"coverage"`
}

// coverageDoc are percentages that must be reached.
type coverageDoc struct {
	Rules      int `yaml:"rules"`
	Boundaries int `yaml:"boundaries"`
}

type caseDoc struct {
	Name    string                       `yaml:"name"`
	Now     string                       `yaml:"now"`
	Pending string                       `yaml:"pending"`
	Use     []string                     `yaml:"use"`
	Set     map[string]document.Part     `yaml:"set"`
	World   document.Part                `yaml:"world"`
	File    document.Part                `yaml:"file"`
	Steps   []stepDoc                    `yaml:"steps"`
	Expect  document.Part                `yaml:"expect"`
	Table   []rowDoc                     `yaml:"table"`
	Matrix  map[string][]document.Scalar `yaml:"matrix"`
}

type rowDoc struct {
	Set    map[string]document.Part `yaml:"set"`
	Expect document.Part            `yaml:"expect"`
}

type stepDoc struct {
	At     string                   `yaml:"at"`
	After  string                   `yaml:"after"`
	Put    document.Part            `yaml:"put"`
	File   document.Part            `yaml:"file"`
	Times  int                      `yaml:"times"` // files so many, with {n} in its texts counted from 1
	Act    *actDoc                  `yaml:"act"`
	Expect document.Part            `yaml:"expect"`
	See    map[string]document.Part `yaml:"see"`
}

// actDoc is something done to a registration, or to its case, after it was filed.
type actDoc struct {
	Do   string `yaml:"do"`
	To   string `yaml:"to"`
	By   string `yaml:"by"`
	Text string `yaml:"text"`

	Evidence []string      `yaml:"evidence"` // kinds, of today
	Partner  string        `yaml:"partner"`  // of a transfer: to whom
	Into     string        `yaml:"into"`     // of a merge: the filing that stands for both
	Set      document.Part `yaml:"set"`      // of an update: the fields of the filing that change
	Refused  bool          `yaml:"refused"`  // it is not possible, or not for this key
}

type filingDoc struct {
	deal.Filing
	Use string `yaml:"use"`
	As  string `yaml:"as"`
}

// reader reads one suite.
type reader struct {
	*document.Reader
	p   *policy.Policy
	doc suiteDoc
	now time.Time
	out []*testCase

	money  map[string]document.Path // where an amount in a currency is filed first
	rated  map[string]bool          // currencies that have a rate somewhere
	warned document.Errors
}

func at(steps ...any) document.Path { return steps }

// Load reads a policy and its tests. What is wrong with either is a document.Errors.
func Load(body []byte) (*Suite, error) {
	p, wrong := policy.Draft(body)
	if p == nil {
		return nil, wrong
	}
	r := &reader{Reader: document.Parse(body, maxDocument), p: p, now: time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC), money: map[string]document.Path{}, rated: map[string]bool{}}
	r.Expand = r.relative
	var now string
	r.ReadAt(at("tests", "now"), &now)
	r.now = r.instant(at("tests", "now"), now, r.now)
	r.ReadAt(at("tests"), &r.doc)
	r.world(at("tests", "world"), nil)
	for _, name := range r.Keys("tests", "filings") {
		r.ReadAt(at("tests", "filings", name), &filingDoc{})
	}
	for _, name := range r.Keys("tests", "facts") {
		r.setFacts(policy.NewFacts(), at("tests", "facts", name), r.doc.Facts[name])
	}
	for i := range r.doc.Cases {
		r.unfold(i)
		if len(r.out) > maxCases {
			r.Add(at("tests", "cases", i), "tables and matrices make more than %d cases", maxCases)
			break
		}
	}
	if c := r.doc.Coverage; c.Rules < 0 || c.Rules > 100 || c.Boundaries < 0 || c.Boundaries > 100 {
		r.Add(at("tests", "coverage"), "percentages are from 0 to 100")
	}
	if err := r.Err(); err != nil || wrong != nil {
		var of, its document.Errors
		errors.As(wrong, &of)
		errors.As(err, &its)
		return nil, document.Join(of, its)
	}
	r.unrated()
	return &Suite{policy: p, body: body, cases: r.out, want: r.doc.Coverage, warned: r.warned}, nil
}

func (r *reader) warn(p document.Path, format string, args ...any) {
	line, col := r.Place(p)
	r.warned = append(r.warned, document.Error{Line: line, Column: col, Path: p.String(), Message: fmt.Sprintf(format, args...)})
}

// unrated warns of tests all of whose amounts the policy cannot compare: it goes by another currency, and they have no rate. One among
// others is a test of just that.
func (r *reader) unrated() {
	own := r.p.Settings().Currency
	if _, compared := r.money[own]; compared {
		return
	}
	for c := range r.money {
		if r.rated[c] {
			return
		}
	}
	for _, c := range slices.Sorted(maps.Keys(r.money)) {
		r.warn(r.money[c], "amounts in %s are compared in %s (settings.currency), and no rate is given: to every rule they are 0; file them in %[2]s, or give tests.world rates: [{date: 2027-01-01, from: %[1]s, to: %[2]s, rate: …}]", c, own)
	}
}

// relative reads today, today-30d and today+30d as dates, counted from the case's now in the programme's zone.
func (r *reader) relative(s string) string {
	rest, ok := strings.CutPrefix(s, "today")
	if !ok {
		return s
	}
	day := r.now.In(r.p.Settings().Timezone)
	if rest != "" {
		n, err := strconv.Atoi(strings.TrimSuffix(rest, "d"))
		if err != nil || !strings.HasSuffix(rest, "d") {
			return s
		}
		day = day.AddDate(0, 0, n)
	}
	return day.Format(time.DateOnly)
}

// instant reads an instant, or a day, which stands for its noon in the programme's zone.
func (r *reader) instant(p document.Path, s string, none time.Time) time.Time {
	if s == "" {
		return none
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC()
	}
	t, err := time.ParseInLocation(time.DateOnly, r.relative(s), r.p.Settings().Timezone)
	if err != nil {
		r.Add(p, "%q is not a day (2027-03-01) or an instant (2027-03-01T09:00:00Z)", s)
	}
	return t.Add(12 * time.Hour).UTC()
}

// unfold makes the cases of one entry: one, or one for each row of its table or each combination of its matrix.
func (r *reader) unfold(i int) {
	d, p := &r.doc.Cases[i], at("tests", "cases", i)
	if d.Name == "" {
		r.Add(p, "give the case a name")
	}
	standard := r.now
	defer func() { r.now = standard }()
	r.now = r.instant(p.Of("now"), d.Now, r.now)
	if len(d.Table) > 0 && len(d.Matrix) > 0 {
		r.Add(p, "give a case a table or a matrix, not both")
		return
	}
	switch {
	case len(d.Table) > 0:
		for j := range d.Table {
			row := p.Of("table", j)
			r.one(d, p, fmt.Sprintf("%s, row %d", d.Name, j+1), row, r.settings(row.Of("set")), row.Of("expect"))
		}
	case len(d.Matrix) > 0:
		var combine func(keys []string, name string, sets []setting)
		combine = func(keys []string, name string, sets []setting) {
			if len(r.out) > maxCases {
				return
			}
			if len(keys) == 0 {
				r.one(d, p, name, p, sets, nil)
				return
			}
			k := keys[0]
			for j, v := range d.Matrix[k] {
				combine(keys[1:], fmt.Sprintf("%s, %s %v", name, k, v.Value), append(slices.Clip(sets), setting{k, p.Of("matrix", k, j)}))
			}
		}
		combine(r.Keys(p.Of("matrix")...), d.Name, nil)
	default:
		r.one(d, p, d.Name, p, nil, nil)
	}
}

// setting lays one value over a case.
type setting struct {
	name string
	from document.Path
}

func (r *reader) settings(p document.Path) (out []setting) {
	for _, name := range r.Keys(p...) {
		out = append(out, setting{name, p.Of(name)})
	}
	return out
}

// one makes one case. more are the settings of its row or its place in a matrix; expect is where the row expects more.
func (r *reader) one(d *caseDoc, p document.Path, name string, place document.Path, more []setting, expect document.Path) {
	line, _ := r.Place(place)
	c := &testCase{name: name, line: line, pending: d.Pending, now: r.now}
	files := r.Has(p.Of("file")...) || len(d.Steps) > 0
	sets := append(r.settings(p.Of("set")), more...)
	r.out = append(r.out, c)
	if !files {
		c.facts = policy.NewFacts()
		for i, u := range d.Use {
			set, ok := r.doc.Facts[u]
			if !ok {
				r.Add(p.Of("use", i), "tests.facts has no %q%s", u, didYouMean(u, slices.Sorted(maps.Keys(r.doc.Facts))))
			}
			r.setFacts(c.facts, at("tests", "facts", u), set)
		}
		for _, s := range sets {
			var v document.Scalar
			r.ReadAt(s.from, &v)
			r.setFact(c.facts, s.from, s.name, v)
		}
		c.expect = r.expect(p, expect, nil)
		if c.expect == nil {
			r.Add(p, "say what the case expects: expect:")
		}
		return
	}
	if len(d.Use) > 0 {
		r.Add(p.Of("use"), "only a case about facts uses facts; a filing is used with file: {use: …}")
	}
	if r.Has(p.Of("file")...) && len(d.Steps) > 0 {
		r.Add(p.Of("file"), "give a case one file, or steps, not both")
	}
	w := r.world(p.Of("world"), r.world(at("tests", "world"), nil))
	var filing *filingDoc
	if len(d.Steps) == 0 {
		filing = r.filing(p.Of("file"))
	}
	for _, s := range sets {
		r.set(w, filing, s)
	}
	c.world, c.plan = r.rows(w, p), w.Territories
	names := map[string]bool{}
	if filing != nil {
		s := step{line: line, expect: r.expect(p, expect, names)}
		if s.expect == nil {
			r.Add(p, "say what the case expects: expect:")
		}
		r.filed(&s, filing, p.Of("file"), names, r.now)
		c.steps = []step{s}
		return
	}
	if expect != nil {
		r.Add(expect, "a case of steps expects in its steps")
	}
	now := r.now
	for i := range d.Steps {
		s, at := &d.Steps[i], p.Of("steps", i)
		if s.Times > maxCases/10 || s.Times < 0 {
			r.Add(at.Of("times"), "%d is not 1 to %d", s.Times, maxCases/10)
			return
		}
		c.steps = append(c.steps, r.step(s, at, w, names, &now, 1))
		for n := 2; n <= s.Times; n++ {
			again := *s
			again.At, again.After, again.Act, again.See, again.Put = "", "", nil, nil, document.Part{}
			c.steps = append(c.steps, r.step(&again, at, w, names, &now, n))
		}
	}
}

func (r *reader) step(d *stepDoc, p document.Path, w *worldDoc, names map[string]bool, now *time.Time, n int) step {
	line, _ := r.Place(p)
	s := step{line: line, after: d.After, act: d.Act}
	if d.At != "" {
		s.at = r.instant(p.Of("at"), d.At, time.Time{})
		if s.at.Before(*now) {
			r.Add(p.Of("at"), "time does not go back: it is %s by now", now.Format(time.RFC3339))
		}
		*now = s.at
	}
	if d.After != "" {
		t, err := r.p.Settings().Calendar.Add(*now, d.After)
		if err != nil {
			r.Add(p.Of("after"), "%v", err)
		} else {
			*now = t
		}
		if d.At != "" {
			r.Add(p.Of("after"), "give at or after, not both")
		}
	}
	if n == 1 && r.Has(p.Of("put")...) {
		s.put, s.gone = r.put(p.Of("put"), w)
	}
	s.expect = r.expect(p, nil, names)
	if r.Has(p.Of("file")...) {
		f := r.filing(p.Of("file"))
		if d.Times > 0 {
			count := func(text string) string { return strings.ReplaceAll(text, "{n}", strconv.Itoa(n)) }
			f.As = count(cmp.Or(f.As, f.PartnerID+"-{n}"))
			f.Customer.Name, f.Customer.Domain, f.ExternalID = count(f.Customer.Name), count(f.Customer.Domain), count(f.ExternalID)
		}
		r.filed(&s, f, p.Of("file"), names, *now)
	} else if s.expect != nil && d.Act == nil {
		r.Add(p.Of("expect"), "expect is of what the step files; use see: {NAME: {…}} for an earlier one")
	}
	if a := d.Act; a != nil {
		switch {
		case !slices.Contains(actions, a.Do):
			r.Add(p.Of("act", "do"), "%q is not one of %s%s", a.Do, strings.Join(actions, ", "), didYouMean(a.Do, actions))
		case a.Do == string(deal.EventTransfer) && a.Partner == "":
			r.Add(p.Of("act"), "say to whom: partner:")
		case a.Do == string(deal.EventMerge) && !names[a.Into]:
			r.Add(p.Of("act"), "say which filing stands for both: into:")
		case a.Do == string(deal.EventEvidence) && len(a.Evidence) == 0:
			r.Add(p.Of("act"), "say what there is: evidence: [meeting]")
		case a.Do == string(deal.EventUpdate) && len(r.Keys(p.Of("act", "set")...)) == 0:
			r.Add(p.Of("act"), "say what changes: set: {amount: 5000 EUR}")
		}
		kinds := append(slices.Clone(deal.EvidenceKinds), deal.Fulfilments...)
		for i, kind := range a.Evidence {
			if !slices.Contains(kinds, kind) {
				r.Add(p.Of("act", "evidence", i), "%q is not one of %s%s", kind, strings.Join(kinds, ", "), didYouMean(kind, kinds))
			}
		}
		for _, field := range r.Keys(p.Of("act", "set")...) {
			s.amend = append(s.amend, func(f *deal.Filing) { r.ReadField(p.Of("act", "set", field), f, field) })
			r.ReadField(p.Of("act", "set", field), &deal.Filing{}, field) // says now what is wrong with it
		}
		if !names[a.To] {
			r.Add(p.Of("act", "to"), "no step before this one files %q", a.To)
		}
	}
	for _, name := range r.Keys(p.Of("see")...) {
		if n > 1 {
			break
		}
		if !names[name] {
			r.Add(p.Of("see", name), "no step before this one files %q", name)
		}
		s.see = append(s.see, seen{name, r.expectAt(p.Of("see", name), nil, names)})
	}
	return s
}

// actions are what can happen to a registration after it was filed, named as in the API.
var actions = []string{"extend", "withdraw", "revoke", "won", "lost", "transfer", "evidence", "respond", "accept", "appeal", "update", "merge", "grant", "decline"}

func (r *reader) setFacts(f *policy.Facts, p document.Path, values map[string]document.Scalar) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		r.setFact(f, p.Of(name), name, values[name])
	}
}

func (r *reader) setFact(f *policy.Facts, p document.Path, name string, v document.Scalar) {
	value := v.Value
	if strings.HasPrefix(name, "custom.") && value != nil {
		value = fmt.Sprint(value)
	}
	if value == nil {
		r.Add(p, "give %s a value", name)
		return
	}
	set := r.p.Settings()
	if own, ok := strings.CutPrefix(name, "custom."); ok {
		for _, e := range set.Validate(map[string]string{own: value.(string)}) {
			r.Add(p, "%s %s", e.Field, e.Detail)
		}
	}
	if values, closed := set.Values(name); closed {
		words, list := value.([]string)
		if s, is := value.(string); is && !list {
			words = []string{s}
		}
		for _, w := range words {
			if !slices.Contains(values, w) {
				r.Add(p, "%s is never %q; it is one of %s%s", name, w, strings.Join(slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" }), ", "), didYouMean(w, values))
				return
			}
		}
	}
	if err := f.Put(name, value); err != nil {
		hint := ""
		if f.Get(name) == nil {
			hint = didYouMean(name, factNames)
		}
		r.Add(p, "%v%s", err, hint)
		return
	}
	r.places(f, p, name)
}

// places keeps a tier and its rank, and a sales stage and its place, what the policy's settings make of them: the engine
// never states one without the other.
func (r *reader) places(f *policy.Facts, p document.Path, name string) {
	set := r.p.Settings()
	word, number, list, unknown := "partner.tier", "partner.tier_rank", set.Tiers, 0
	if kind, ok := strings.CutSuffix(strings.TrimSuffix(name, "_no"), ".stage"); ok {
		word, number, list, unknown = kind+".stage", kind+".stage_no", set.Stages, -1
	}
	switch name {
	case word:
		f.Set(number, max(unknown, slices.Index(list, f.Get(word).(string))))
	case number:
		switch at := int(f.Get(number).(int64)); {
		case at >= 0 && at < len(list):
			f.Set(word, list[at])
		case at == unknown:
			f.Set(word, "")
		default:
			r.Add(p, "settings has %d of them, counted from 0", len(list))
		}
	}
}

var factNames = func() (out []string) {
	for _, s := range policy.Schema {
		out = append(out, s.Name)
	}
	return out
}()

func didYouMean(word string, list []string) string {
	if n := document.Nearest(word, list); n != "" {
		return "; did you mean " + n + "?"
	}
	return ""
}

// worldDoc is what there is before anything is filed.
type worldDoc struct {
	records     map[deal.RecordKind]map[string]deal.Record
	order       []deal.RecordRef
	Territories string
}

// worldKinds are the records of a world that are written by their id.
var worldKinds = []deal.RecordKind{deal.Partners, deal.Products, deal.People, deal.Accounts, deal.Opportunities}

// world reads the world at p over a base, which it changes.
func (r *reader) world(p document.Path, w *worldDoc) *worldDoc {
	if w == nil {
		w = &worldDoc{records: map[deal.RecordKind]map[string]deal.Record{}}
	}
	known := []string{string(deal.Rates), "territories"}
	for _, k := range worldKinds {
		known = append(known, string(k))
	}
	for _, k := range r.Keys(p...) {
		if !slices.Contains(known, k) {
			r.Add(p.Of(k), "there is no field %q here; there are %s", k, strings.Join(known, ", "))
		}
	}
	for _, kind := range worldKinds {
		for _, id := range r.Keys(p.Of(string(kind))...) {
			at := p.Of(string(kind), id)
			if r.Null(at) {
				w.remove(kind, id)
				continue
			}
			rec := w.record(kind, id)
			if rec == nil {
				rec = w.add(kind, id)
			}
			r.ReadAt(at, rec)
		}
	}
	for i := range r.Len(p.Of(string(deal.Rates))...) {
		rate := &deal.Rate{}
		r.ReadAt(p.Of(string(deal.Rates), i), rate)
		r.rated[rate.From], r.rated[rate.To] = true, true
		w.put(rate)
	}
	r.ReadAt(p.Of("territories"), &w.Territories)
	if w.Territories != "" {
		plan, err := territory.Compile([]byte(w.Territories))
		if own := r.p.Settings().Currency; err == nil && plan.Currency() != "" && plan.Currency() != own {
			r.warn(p.Of("territories"), "the plan's amounts are in %s, and are compared with deals in %s (settings.currency) as if they were in it", plan.Currency(), own)
		}
		if err != nil {
			var errs document.Errors
			if errors.As(err, &errs) {
				for _, e := range errs {
					r.AddWithin(p.Of("territories"), e.Line, e.Column-1, "in the plan: %s: %s", e.Path, e.Message)
				}
			}
		}
	}
	return w
}

// put reads the records that change in a step over those there are by then, in w, which it changes. It returns the changed
// ones, whole, and those that are taken away.
func (r *reader) put(p document.Path, w *worldDoc) ([]deal.Record, []deal.RecordRef) {
	if r.Has(p.Of("territories")...) {
		r.Add(p.Of("territories"), "the plan is of the whole case; give it in world:")
	}
	var gone []deal.RecordRef
	for _, kind := range worldKinds {
		for _, id := range r.Keys(p.Of(string(kind))...) {
			old, at := w.record(kind, id), p.Of(string(kind), id)
			switch {
			case r.Null(at) && old == nil:
				r.Add(at, "there is no %s to take away", id)
			case r.Null(at):
				gone = append(gone, deal.RecordRef{Kind: kind, Key: id})
			case old != nil: // the record before the change is in the world of the steps before
				whole := reflect.New(reflect.TypeOf(old).Elem())
				whole.Elem().Set(reflect.ValueOf(old).Elem())
				w.records[kind][id] = whole.Interface().(deal.Record)
			}
		}
	}
	r.world(p, w)
	changed := &worldDoc{records: map[deal.RecordKind]map[string]deal.Record{}}
	for _, kind := range worldKinds {
		for _, id := range r.Keys(p.Of(string(kind))...) {
			if rec := w.record(kind, id); rec != nil {
				changed.put(rec)
			}
		}
	}
	for _, rec := range w.records[deal.Rates] {
		if r.Has(p.Of(string(deal.Rates))...) {
			changed.put(rec)
		}
	}
	return r.rows(changed, p), gone
}

func (w *worldDoc) record(kind deal.RecordKind, id string) deal.Record { return w.records[kind][id] }

func (w *worldDoc) remove(kind deal.RecordKind, id string) {
	delete(w.records[kind], id)
	w.order = slices.DeleteFunc(w.order, func(ref deal.RecordRef) bool { return ref.Kind == kind && ref.Key == id })
}

func (w *worldDoc) put(rec deal.Record) {
	kind := rec.Kind()
	if w.records[kind] == nil {
		w.records[kind] = map[string]deal.Record{}
	}
	if _, known := w.records[kind][rec.Key()]; !known {
		w.order = append(w.order, deal.RecordRef{Kind: kind, Key: rec.Key()})
	}
	w.records[kind][rec.Key()] = rec
}

// add makes a record with what a test need not say: a partner is an active reseller that has signed.
func (w *worldDoc) add(kind deal.RecordKind, id string) deal.Record {
	rec := deal.NewRecord(kind)
	switch x := rec.(type) {
	case *deal.Partner:
		signed, _ := deal.ParseDate("2020-01-01")
		*x = deal.Partner{ID: id, Name: id, Type: "reseller", Status: "active", AgreementSignedAt: signed}
	case *deal.Account:
		x.ID, x.Name = id, id
	case *deal.Opportunity:
		x.ID, x.Status = id, "open"
	case *deal.Person:
		x.ID, x.Name = id, id
	case *deal.CatalogueProduct:
		x.SKU = id
	}
	w.put(rec)
	return rec
}

// rows returns the records of a world, checked.
func (r *reader) rows(w *worldDoc, p document.Path) []deal.Record {
	var out []deal.Record
	for _, kind := range deal.RecordKinds {
		for _, ref := range w.order {
			if ref.Kind != kind {
				continue
			}
			rec := w.records[kind][ref.Key]
			if a, ok := rec.(*deal.Account); ok {
				a.Region = deal.CanonicalRegion(a.Country, a.Region)
			}
			wrong, set := rec.Validate(), r.p.Settings()
			if field, word := set.Undeclared(rec); field != "" {
				wrong.Add(field, "%s", set.Misses(field, word))
			}
			for _, e := range wrong {
				r.Add(r.written(p, kind, ref.Key, e.Field), "%s %s: %s %s", kind, ref.Key, e.Field, e.Detail)
			}
			out = append(out, rec)
		}
	}
	return out
}

// written is where a field of a record of a case's world is written: in the case at p, else in the world of all; else p.
func (r *reader) written(p document.Path, kind deal.RecordKind, id, field string) document.Path {
	for _, world := range []document.Path{p.Of("world"), p, at("tests", "world")} {
		if place := world.Of(string(kind), id, field); r.Has(place...) {
			return place
		}
	}
	return p
}

// set lays one value over the world or the filing of a case: partners.P-1.tier, file.amount.
func (r *reader) set(w *worldDoc, f *filingDoc, s setting) {
	kind, rest, _ := strings.Cut(s.name, ".")
	if kind == "file" && f != nil && rest != "" {
		r.ReadField(s.from, &f.Filing, rest)
		return
	}
	id, field, ok := strings.Cut(rest, ".")
	if !ok && id != "" && slices.Contains(worldKinds, deal.RecordKind(kind)) {
		if r.Null(s.from) {
			w.remove(deal.RecordKind(kind), id)
			return
		}
	}
	if !ok || !slices.Contains(worldKinds, deal.RecordKind(kind)) {
		r.Add(s.from, "%q is not file.FIELD, or partners.ID.FIELD, accounts.ID.FIELD, opportunities.ID.FIELD; or opportunities.ID: null, to leave the record out", s.name)
		return
	}
	rec := w.record(deal.RecordKind(kind), id)
	if rec == nil {
		rec = w.add(deal.RecordKind(kind), id)
	}
	r.ReadField(s.from, rec, field)
}

// filing reads what is filed at p, over the named filing it uses.
func (r *reader) filing(p document.Path) *filingDoc {
	f := &filingDoc{Filing: deal.Filing{Type: "new_business"}}
	var use struct {
		filingDoc
	}
	r.ReadAt(p, &use)
	if u := use.Use; u != "" {
		if !r.Has("tests", "filings", u) {
			r.Add(p.Of("use"), "tests.filings has no %q%s", u, didYouMean(u, r.Keys("tests", "filings")))
		}
		r.ReadAt(at("tests", "filings", u), f)
	}
	r.ReadAt(p, f)
	return f
}

// filed checks a filing as the door of the service does, and gives it its name.
func (r *reader) filed(s *step, f *filingDoc, p document.Path, names map[string]bool, now time.Time) {
	f.Normalise()
	errs := append(f.Validate(now), r.p.Settings().Validate(f.Custom)...)
	for _, e := range errs {
		r.Add(p, "%s %s", e.Field, e.Detail)
	}
	for _, m := range append([]deal.Money{f.Amount}, amounts(f.Products)...) {
		if place := p.Of("amount"); m.Currency != "" && r.money[m.Currency] == nil {
			if !r.Has(place...) { // of the filing it uses
				place = p
			}
			r.money[m.Currency] = place
		}
	}
	s.file, s.as = &f.Filing, cmp.Or(f.As, f.PartnerID)
	if names[s.as] {
		r.Add(p, "%q is filed already; give this filing a name of its own with as:", s.as)
	}
	names[s.as] = true
}

func amounts(products []deal.Product) []deal.Money {
	out := make([]deal.Money, len(products))
	for i, p := range products {
		out[i] = p.Amount
	}
	return out
}
