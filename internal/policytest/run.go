package policytest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/policy"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
)

// Report is what running a suite found.
type Report struct {
	Policy   deal.DocumentRef `json:"policy"`
	Passed   int              `json:"passed"`
	Failed   int              `json:"failed"`
	Pending  int              `json:"pending"`
	Cases    []Result         `json:"cases"`
	Coverage Coverage         `json:"coverage"`
}

// The results of a case.
const (
	Passed  = "passed"
	Failed  = "failed"
	Pending = "pending"
)

// Result is what became of one case.
type Result struct {
	Name       string     `json:"name"`
	Line       int        `json:"line"`
	Result     string     `json:"result"`
	Pending    string     `json:"pending,omitempty"` // why
	Mismatches []Mismatch `json:"mismatches,omitempty"`
	Trace      []string   `json:"trace,omitempty"` // of the decision that is not as expected
}

// Coverage says what the cases have tried. A boundary is tried when a fact had exactly its value, and was on the other
// side of it too.
type Coverage struct {
	Rules        int      `json:"rules"`
	Boundaries   int      `json:"boundaries"`
	NeverFired   []string `json:"never_fired,omitempty"`
	NeverDecided []string `json:"never_decided,omitempty"` // fired, and lost every time
	Untried      []string `json:"untried,omitempty"`       // boundaries
	Short        []string `json:"short,omitempty"`         // of what the tests' coverage: demands
}

// OK reports whether everything that can be run passed, and the coverage demanded was reached.
func (r *Report) OK() bool { return r.Failed == 0 && len(r.Coverage.Short) == 0 }

// Run runs the cases, each in a world of its own. The error is about the machine, never about a case.
func (s *Suite) Run(ctx context.Context) (Report, error) {
	dir, err := os.MkdirTemp("", "dibs-policy-test-")
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	results := make([]Result, len(s.cases))
	observed := make([][]observation, len(s.cases))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, c := range s.cases {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			var err error
			results[i], observed[i], err = s.run(ctx, c, filepath.Join(dir, fmt.Sprint(i)))
			if err != nil {
				return fmt.Errorf("case %q in line %d: %w", c.name, c.line, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return Report{}, err
	}
	out := Report{Policy: s.policy.Ref(), Cases: results}
	for _, r := range results {
		switch r.Result {
		case Passed:
			out.Passed++
		case Failed:
			out.Failed++
		case Pending:
			out.Pending++
		}
	}
	out.Coverage = s.cover(observed)
	return out, nil
}

// Vet reports what keeps a policy from being published: what is wrong in the text, cases that fail, coverage it demands
// and does not reach. All of it is a document.Errors. It is an engine.Config.Vet.
func Vet(ctx context.Context, body []byte) error {
	s, err := Load(body)
	if err != nil {
		return err
	}
	report, err := s.Run(ctx)
	if err != nil || report.OK() {
		return err
	}
	var out document.Errors
	for _, r := range report.Cases {
		for _, m := range r.Mismatches {
			out = append(out, document.Error{Line: r.Line, Column: 1, Path: "tests", Message: fmt.Sprintf("%s: %s is %s, not %s", r.Name, m.What, m.Got, m.Want)})
		}
	}
	for _, short := range report.Coverage.Short {
		out = append(out, document.Error{Line: 1, Column: 1, Path: "tests.coverage", Message: short})
	}
	return out
}

// cover works out what the observations have tried.
func (s *Suite) cover(observed [][]observation) Coverage {
	fired, decided := map[string]bool{}, map[string]bool{}
	boundaries := s.policy.Boundaries()
	exact, met, unmet := make([]bool, len(boundaries)), make([]bool, len(boundaries)), make([]bool, len(boundaries))
	for _, list := range observed {
		for i := range list {
			for _, t := range list[i].trace {
				fired[t.Rule] = true
			}
			decided[list[i].rule] = true
			for j, b := range boundaries {
				v, ok := number(list[i].facts.Get(b.Fact))
				if !ok {
					continue
				}
				exact[j] = exact[j] || v == b.Value
				if b.Holds(v) {
					met[j] = true
				} else {
					unmet[j] = true
				}
			}
		}
	}
	c := Coverage{Rules: 100, Boundaries: 100}
	rules := s.policy.Rules()
	for _, r := range rules {
		switch {
		case !fired[r.ID]:
			c.NeverFired = append(c.NeverFired, r.ID)
		case !decided[r.ID] && !r.Shadow:
			c.NeverDecided = append(c.NeverDecided, r.ID)
		}
	}
	if len(rules) > 0 {
		c.Rules = 100 * (len(rules) - len(c.NeverFired)) / len(rules)
	}
	for j, b := range boundaries {
		if !exact[j] || !met[j] || !unmet[j] {
			c.Untried = append(c.Untried, b.String())
		}
	}
	if len(boundaries) > 0 {
		c.Boundaries = 100 * (len(boundaries) - len(c.Untried)) / len(boundaries)
	}
	if c.Rules < s.want.Rules {
		c.Short = append(c.Short, fmt.Sprintf("%d %% of the rules fired in a case; %d %% are demanded", c.Rules, s.want.Rules))
	}
	if c.Boundaries < s.want.Boundaries {
		c.Short = append(c.Short, fmt.Sprintf("%d %% of the boundaries were tried; %d %% are demanded", c.Boundaries, s.want.Boundaries))
	}
	return c
}

func number(v any) (float64, bool) {
	switch x := v.(type) {
	case int64:
		return float64(x), true
	case float64:
		return x, true
	}
	return 0, false
}

// run runs one case.
func (s *Suite) run(ctx context.Context, c *testCase, path string) (Result, []observation, error) {
	res := Result{Name: c.name, Line: c.line, Pending: c.pending}
	var seen []observation
	var err error
	if c.facts != nil {
		v := s.policy.Decide(c.facts, c.now)
		o := ofVerdict(&v, c.facts)
		seen = append(seen, o)
		res.note(s.policy, c.expect.compare(&o, s.policy.Settings().Timezone), &o)
	} else {
		seen, err = s.play(ctx, c, path, &res)
	}
	switch {
	case err != nil:
		return res, nil, err
	case c.pending != "" && len(res.Mismatches) > 0:
		res.Result, res.Mismatches, res.Trace = Pending, nil, nil
	case c.pending != "":
		res.Result = Failed
		res.Mismatches = []Mismatch{{"pending", c.pending, "it passes: take the mark off"}}
	case len(res.Mismatches) > 0:
		res.Result = Failed
	default:
		res.Result = Passed
	}
	return res, seen, nil
}

func (r *Result) note(p *policy.Policy, m []Mismatch, o *observation) {
	if len(m) == 0 {
		return
	}
	if len(r.Mismatches) == 0 {
		for _, t := range o.trace {
			line := t.Rule + " " + t.Result
			if t.By != "" {
				line += " to " + t.By
			}
			if t.Result == policy.Overridden {
				line = t.Rule + " overridden by " + t.By
			}
			r.Trace = append(r.Trace, strings.TrimSpace(line+": "+t.Detail)+compared(p, t.Rule, o.facts))
		}
	}
	r.Mismatches = append(r.Mismatches, m...)
}

// compared shows the numbers a rule compared: of a rule that should not have fired, one of them is not what its author
// thought.
func compared(p *policy.Policy, rule string, f *policy.Facts) string {
	var out []string
	for _, b := range p.Boundaries() {
		if b.Rule != rule || f == nil {
			continue
		}
		if v, ok := number(f.Get(b.Fact)); ok {
			said := b.Fact + " " + strconv.FormatFloat(v, 'f', -1, 64)
			if !slices.Contains(out, said) {
				out = append(out, said)
			}
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "; " + strings.Join(out, ", ")
}

func ofVerdict(v *policy.Verdict, f *policy.Facts) observation {
	texts := []string{strings.Join(v.PartnerReasons, " "), v.Texts.Partner}
	for _, lang := range sortedKeys(v.Texts.Languages) {
		texts = append(texts, v.Texts.Languages[lang])
	}
	return observation{outcome: v.Outcome, disposition: v.Disposition, of: v.Of, needs: v.Needs, reasons: v.Reasons, partner: v.PartnerReasons,
		rule: v.Rule, trace: v.Trace, terms: v.Terms, file: v.Case, benefits: v.Benefits, facts: f, read: strings.Join(texts, " "),
		route: deal.Route{To: v.To, Queue: v.Queue, Resubmit: v.Resubmit, Needs: v.Needs, FindersFee: v.FindersFee}}
}

// clock is set by hand. The engine asks it from its own goroutine.
type clock struct{ us atomic.Int64 }

func (c *clock) now() time.Time  { return time.UnixMicro(c.us.Load()).UTC() }
func (c *clock) set(t time.Time) { c.us.Store(t.UnixMicro()) }

// stage is a running case.
type stage struct {
	suite  *Suite
	e      *engine.Engine
	clock  *clock
	ids    map[string]string // name in the case → registration
	names  map[string]string // and back
	world  []deal.Record
	result *Result
}

// play runs a case that files, in an engine of its own.
func (s *Suite) play(ctx context.Context, c *testCase, path string, res *Result) (seen []observation, err error) {
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, err
	}
	st, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(path, "dibs.db")})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	key, _, err := ledger.NewSigner("dibs/policy-test")
	if err != nil {
		return nil, err
	}
	g := &stage{suite: s, clock: &clock{}, ids: map[string]string{}, names: map[string]string{}, world: c.world, result: res}
	g.clock.set(c.now)
	if g.e, err = engine.Open(ctx, engine.Config{Store: st, Signer: key, Policy: s.body, Clock: g.clock.now}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.e.Close(ctx)) }()
	if err := g.put(ctx, c.world); err != nil {
		return nil, err
	}
	if c.plan != "" {
		d, err := g.e.SaveDocument(ctx, asSystem, deal.TerritoryDocument, []byte(c.plan))
		if err == nil {
			_, err = g.e.Publish(ctx, asSystem, deal.TerritoryDocument, d.Version)
		}
		if err != nil {
			return nil, err
		}
	}
	for i := range c.steps {
		more, err := g.step(ctx, &c.steps[i])
		if err != nil {
			return nil, err
		}
		seen = append(seen, more...)
		breaches, err := st.Breaches(ctx, g.clock.now())
		if err != nil {
			return nil, err
		}
		for _, b := range breaches {
			res.Mismatches = append(res.Mismatches, Mismatch{"holders", "one", g.names[b.A] + " and " + g.names[b.B]})
		}
		if len(res.Mismatches) > 0 {
			return seen, nil // what follows builds on it
		}
	}
	report, err := engine.Verify(ctx, st)
	if err != nil {
		return nil, err
	}
	for _, p := range report.Problems {
		res.Mismatches = append(res.Mismatches, Mismatch{"audit", "nothing", fmt.Sprintf("%+v", p)})
	}
	return seen, nil
}

var asSystem = engine.Request{Actor: deal.System}

func (g *stage) put(ctx context.Context, rows []deal.Record) error {
	for batch := range slices.Chunk(rows, engine.MaxRows) {
		if _, err := g.e.Put(ctx, asSystem, batch, nil); err != nil {
			return err
		}
	}
	return nil
}

func (g *stage) step(ctx context.Context, s *step) (out []observation, err error) {
	to := s.at
	if s.after != "" {
		if to, err = g.suite.policy.Settings().Calendar.Add(g.clock.now(), s.after); err != nil {
			return nil, err
		}
	}
	if !to.IsZero() {
		if err := g.pass(ctx, to); err != nil {
			return nil, err
		}
	}
	if len(s.put) > 0 {
		g.world = append(g.world, s.put...)
		if err := g.put(ctx, s.put); err != nil {
			return nil, err
		}
	}
	for _, ref := range s.gone {
		if err := g.e.Delete(ctx, asSystem, ref.Kind, []string{ref.Key}); err != nil {
			return nil, err
		}
	}
	if s.file != nil {
		got, err := g.e.Register(ctx, asSystem, *s.file)
		var wrong deal.FieldErrors
		if errors.As(err, &wrong) {
			g.result.Mismatches = append(g.result.Mismatches, Mismatch{"file", "a filing the service takes", wrong.Error()})
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		g.ids[s.as], g.names[got.ID] = got.ID, s.as
		o, err := g.see(ctx, s.as, s.expect)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	if s.act != nil {
		if err := g.act(ctx, s); err != nil {
			return nil, err
		}
	}
	for _, x := range s.see {
		o, err := g.see(ctx, x.name, x.expect)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// act does to a registration what a key of sales operations does, or, where the step says by: partner, one of its partner. What is not
// possible is a mismatch, and so is what is and should not be.
func (g *stage) act(ctx context.Context, s *step) error {
	a := s.act
	q := engine.Request{Actor: deal.Actor{KeyID: cmp.Or(a.By, "ops"), Role: "ops"}}
	if a.By == "partner" {
		q.Actor.Role = "portal"
	}
	m := engine.Moving{Event: deal.Event(a.Do), Reason: cmp.Or(a.Text, "as the test says"), To: a.Partner}
	for _, kind := range a.Evidence {
		y, month, d := g.clock.now().In(g.suite.policy.Settings().Timezone).Date()
		m.Evidence = append(m.Evidence, deal.Evidence{Kind: kind, Date: deal.Date{Time: time.Date(y, month, d, 0, 0, 0, 0, time.UTC)}})
	}
	var err error
	switch a.Do {
	case "grant", "decline":
		err = g.rule(ctx, a)
	case string(deal.EventAppeal), string(deal.EventRespond):
		q.Actor.Role = "portal"
	case string(deal.EventUpdate):
		m.Amend = func(f deal.Filing) (deal.Filing, error) {
			for _, change := range s.amend {
				change(&f)
			}
			f.Normalise()
			return f, append(f.Validate(g.clock.now()), g.suite.policy.Settings().Validate(f.Custom)...).Err()
		}
	case string(deal.EventMerge):
		m.To = g.ids[a.Into]
		q.Actor.PersonID = q.Actor.KeyID
		q.Actor.Role = "admin"
		err = g.put(ctx, []deal.Record{&deal.Person{ID: q.Actor.PersonID, Name: q.Actor.PersonID}})
	}
	if err == nil && a.Do != "grant" && a.Do != "decline" {
		_, err = g.e.Move(ctx, q, g.ids[a.To], m)
	}
	var wrong deal.FieldErrors
	refused := errors.As(err, &wrong) || errors.Is(err, deal.ErrNotPossible) || errors.Is(err, deal.ErrForbidden)
	if a.Refused {
		if err == nil {
			g.result.Mismatches = append(g.result.Mismatches, Mismatch{"act", a.Do + " of " + a.To + " is refused", "it is done"})
		}
		if err == nil || refused {
			return nil
		}
	}
	if refused {
		g.result.Mismatches = append(g.result.Mismatches, Mismatch{"act", a.Do + " of " + a.To, err.Error()})
		return nil
	}
	return err
}

// rule decides the case of a registration, as people do who have the authority for it: two, where the policy asks for two.
func (g *stage) rule(ctx context.Context, a *actDoc) error {
	r, err := g.e.Store().Registration(ctx, g.ids[a.To])
	if err != nil {
		return err
	}
	if r.CaseID == "" {
		return fmt.Errorf("%w: %s has no case", deal.ErrNotPossible, a.To)
	}
	k, err := g.e.Store().Case(ctx, r.CaseID)
	if err != nil {
		return err
	}
	do := engine.Doing{Act: engine.ActResolve, Text: cmp.Or(a.Text, "as the test says"), Ruling: deal.Ruling{RegistrationID: r.ID, Resolution: deal.ResolveProtect}}
	if a.Do == "decline" {
		do.Ruling.Resolution, do.Ruling.Disposition, do.Ruling.ReasonCode = deal.ResolveRoute, deal.Declined, deal.ReasonDeclinedReview
	}
	for _, id := range []string{cmp.Or(a.By, "ops"), "second-person"} {
		limit := deal.Money{Value: decimal.New(1, 15), Currency: cmp.Or(r.Filing.Amount.Currency, g.suite.policy.Settings().Currency)}
		if err := g.put(ctx, []deal.Record{&deal.Person{ID: id, Name: id, Queues: []string{k.Terms.Queue, k.Terms.Authority}, Authority: limit}}); err != nil {
			return err
		}
		if k, err = g.e.Do(ctx, engine.Request{Actor: deal.Actor{KeyID: id, Role: "ops", PersonID: id}}, k.ID, do); err != nil || k.Status == deal.CaseResolved {
			return err
		}
	}
	return nil
}

// pass lets time go by to an instant. It stops where a window ends or a clock runs out, as it does in a service that runs all the time:
// whoever waited is decided again at that instant, and not later.
func (g *stage) pass(ctx context.Context, to time.Time) error {
	for {
		next := to
		sooner := func(at time.Time) {
			if at.After(g.clock.now()) && at.Before(next) {
				next = at
			}
		}
		for _, id := range g.ids {
			r, err := g.e.Store().Registration(ctx, id)
			if err != nil {
				return err
			}
			if r.CaseID != "" {
				k, err := g.e.Store().Case(ctx, r.CaseID)
				if err != nil {
					return err
				}
				sooner(k.NextClock())
			}
			sooner(r.AnswerBy)
			if m := r.NextMilestone(); m != nil {
				sooner(m.DueAt)
			}
			if r.HoldsAt(g.clock.now()) {
				for _, w := range []*deal.Protection{r.Protection, r.Hold} {
					if w.LiveAt(g.clock.now()) && w.EndsAt.Before(next) {
						next = w.EndsAt
					}
				}
			}
		}
		g.clock.set(next)
		if _, err := g.e.Put(ctx, asSystem, nil, nil); err != nil { // changes nothing, and writes down what has ended
			return err
		}
		if next.Equal(to) {
			return nil
		}
	}
}

// see looks at a registration as it is now.
func (g *stage) see(ctx context.Context, name string, e *expectation) (observation, error) {
	r, d, file, err := g.e.Registration(ctx, g.ids[name])
	if err != nil {
		return observation{}, err
	}
	facts, err := policy.FromMap(d.Facts)
	if err != nil {
		return observation{}, err
	}
	answer := engine.AnswerFor(&r, &d, file, g.clock.now())
	read, err := json.Marshal(answer)
	if err != nil {
		return observation{}, err
	}
	o := observation{outcome: d.Outcome, status: r.Status, reasons: d.ReasonCodes, partner: d.PartnerCodes, trace: d.Trace, terms: d.Terms, file: d.Case,
		benefits: d.Benefits, window: d.Protection, facts: facts, read: string(read)}
	if file != nil && file.Status == deal.CaseOpen {
		o.file = &file.Terms // as they are by now
	}
	o.benefits = answer.Decision.Benefits
	if p := answer.Decision.Protection; p != nil {
		o.earned = p.Earned
	}
	switch {
	case r.Status == deal.StatusEscalated:
		o.window = r.Hold
	case r.Protection != nil: // it may have been extended, or ended, since it was decided
		o.window = r.Protection
	}
	if d.Route != nil {
		o.disposition, o.route, o.needs, o.of = d.Route.Disposition, *d.Route, d.Route.Needs, g.names[d.Route.Of]
	}
	for _, t := range d.Trace {
		if t.Result == policy.Decided {
			o.rule = t.Rule // one-holder, which comes last, takes precedence
		}
	}
	if e != nil {
		g.result.note(g.suite.policy, e.compare(&o, g.suite.policy.Settings().Timezone), &o)
	}
	g.discreet(&o, &r)
	return o, nil
}

// discreet holds what a partner reads against the names of the others in the world of the case.
func (g *stage) discreet(o *observation, r *deal.Registration) {
	own := strings.ToLower(r.Filing.Customer.Name)
	for _, rec := range g.world {
		p, ok := rec.(*deal.Partner)
		if !ok || p.ID == r.Filing.PartnerID || p.ID == r.Filing.DistributorID || len(p.Name) < 4 || strings.Contains(own, strings.ToLower(p.Name)) {
			continue
		}
		if strings.Contains(strings.ToLower(o.read), strings.ToLower(p.Name)) {
			g.result.note(g.suite.policy, []Mismatch{{"partner text", "does not name the partner " + p.Name, o.read}}, o)
		}
	}
}
