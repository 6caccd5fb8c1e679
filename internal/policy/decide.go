package policy

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Verdict is what a policy says to one registration. The engine turns it into a decision: it finds the person, the
// other registration and the instants it speaks of.
type Verdict struct {
	Outcome     deal.Outcome
	Disposition deal.Disposition // of a route
	To          deal.Target      // of a route
	Queue       string           // of an escalation; of a route, the queue itself or who takes it when no person is found
	OwnerOf     string           // whose owner the engine looks up: opportunity, territory, account, or nobody's
	Of          string           // the deal.ConflictKind whose registration it waits behind or is merged into

	Reasons        []string // the winner's code, then the other effective reasons of the same outcome; for staff
	PartnerReasons []string // the codes partners may read, in the same order
	Texts          deal.Texts
	Terms          *deal.Terms     // of a protection
	Case           *deal.CaseTerms // of an escalation
	Benefits       []deal.Benefit
	Needs          []string // fields to complete, of every effective rule that returns the filing
	Resubmit       string   // the term after which the same claim may be filed again: 30d; empty when nothing is said
	FindersFee     bool
	Appeal         bool   // the partner may appeal
	AppealWithin   string // a term; empty: at any time
	KeepsPlace     bool   // a returned filing stays a claim while it is being completed
	AnswerWithin   string // how long the partner has to complete a returned filing, or to answer; a term
	OnSilence      string // what follows when nobody answers: decline or escalate

	Rule  string // the rule that decided; on-error or on-no-match when none did
	Trace []deal.RuleTrace
}

// The results of a rule in a trace.
const (
	Decided    = "decided"
	Lost       = "lost"
	Overridden = "overridden"
	Waived     = "waived"
	Shadow     = "shadow"
	Errored    = "error"
)

const ruleWords = (maxRules + 1 + 63) / 64

// ruleSet is a set of rules by their place.
type ruleSet [ruleWords]uint64

func (s *ruleSet) add(i int)      { s[i>>6] |= 1 << (i & 63) }
func (s *ruleSet) has(i int) bool { return s[i>>6]>>(i&63)&1 == 1 }

// activation is how CEL reads the facts.
type activation struct {
	f *Facts
	p *Policy
}

func (a activation) Parent() cel.Activation { return nil }

func (a activation) ResolveName(name string) (any, bool) {
	if i, ok := schemaIndex[name]; ok {
		return a.f.v[i], true
	}
	if d, ok := a.p.derived[name]; ok {
		return d.value(a.f), true
	}
	c, _ := customName(name)
	field, ok := a.p.custom[c]
	if !ok {
		return nil, false
	}
	v, err := field.parse(a.f.custom[c])
	if err != nil {
		return types.NewErr("custom.%s %v", c, err), true
	}
	return v, true
}

// parse reads a field as its type. An empty one is false, 0 or "".
func (c CustomField) parse(s string) (any, error) {
	switch c.Type {
	case Bool:
		switch strings.ToLower(s) {
		case "true":
			return types.True, nil
		case "false", "":
			return types.False, nil
		}
		return nil, fmt.Errorf("%q is not true or false", s)
	case Int:
		if s == "" {
			return types.Int(0), nil
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", s)
		}
		return types.Int(n), nil
	case Double:
		if s == "" {
			return types.Double(0), nil
		}
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || n-n != 0 { // not finite
			return nil, fmt.Errorf("%q is not a number", s)
		}
		return types.Double(n), nil
	case Instant:
		if s == "" {
			return types.Double(0), nil
		}
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t, err = time.Parse(time.DateOnly, s)
		}
		if err != nil {
			return nil, fmt.Errorf("%q is not an instant as 2027-03-01T09:00:00Z or a day as 2027-03-01", s)
		}
		return types.Double(float64(t.UnixMilli()) / 3_600_000), nil
	case Enum:
		if s != "" && !slices.Contains(c.Values, s) {
			return nil, fmt.Errorf("%q is not one of %s", s, strings.Join(c.Values, ", "))
		}
	}
	return types.String(s), nil
}

// Decide evaluates every rule in force at now and returns the verdict of the strongest. It never fails: when a rule
// errs, the verdict is the policy's on_error, which escalates, and the trace says which rule and why.
func (p *Policy) Decide(f *Facts, now time.Time) Verdict {
	var fired, effective ruleSet
	var vars cel.Activation = activation{f, p}
	var erred []deal.RuleTrace
	var needs []string
	n := 0
	for i := range p.rules {
		r := &p.rules[i]
		if !r.from.IsZero() && now.Before(r.from) || !r.to.IsZero() && !now.Before(r.to) {
			continue
		}
		ok, err := r.fires(vars, f, &needs)
		if err != nil {
			result := Errored
			if r.shadow {
				result = Shadow
			}
			erred = append(erred, deal.RuleTrace{Rule: r.id, Title: r.title, Result: result, Detail: "error: " + err.Error()})
			continue
		}
		if ok {
			fired.add(i)
			n++
		}
	}
	excused := p.excused(f)
	best := -1
	for _, i := range p.order {
		r := &p.rules[i]
		if !fired.has(i) || r.shadow || excused[i] != nil || p.overrider(i, &effective) >= 0 {
			continue
		}
		effective.add(i)
		if best < 0 || r.rank < p.rules[best].rank || r.rank == p.rules[best].rank && i < best {
			best = i
		}
	}
	if best >= 0 && settles(&p.rules[best].then.verdict) {
		for _, d := range p.doubts {
			if f.v[d.fact] == types.True {
				erred = append(erred, deal.RuleTrace{Rule: d.name, Result: Errored, Detail: "error: " + d.why})
			}
		}
	}
	failed := slices.ContainsFunc(erred, func(t deal.RuleTrace) bool { return t.Result == Errored })
	a, winner := &p.onNone, onNoneID
	switch {
	case failed:
		a, winner, best = &p.onError, onErrorID, -1
	case best >= 0:
		a, winner = &p.rules[best].then, p.rules[best].id
	}
	v := a.says(f)
	v.Rule = winner
	if v.Case != nil && v.Case.Grant == nil {
		v.Case.Grant = p.grants(f, &fired, &effective, excused)
	}
	v.Trace = make([]deal.RuleTrace, 0, n+len(erred)+1)
	if best < 0 {
		v.Trace = append(v.Trace, deal.RuleTrace{Rule: winner, Result: Decided, Detail: string(v.Outcome) + " " + a.reason.code})
	}
	for w, word := range fired {
		for ; word != 0; word &= word - 1 {
			i := w<<6 + bits.TrailingZeros64(word)
			v.Trace = append(v.Trace, p.trace(i, best, winner, &effective, excused[i]))
		}
	}
	v.Trace = append(v.Trace, erred...)
	p.say(&v, a, best, f, needs, &effective)
	return v
}

// says is the action's verdict with the values that depend on the facts.
func (a *action) says(f *Facts) Verdict {
	v := a.verdict.clone()
	if a.days != nil {
		v.Terms.Days = int(a.days.value(f).(types.Int))
	}
	for _, l := range a.lookups {
		v.Benefits[l.benefit].Value = words(l.from.value(f))
	}
	return v
}

// grants returns what a case's registration gets when it is granted: what the first rule would have given that fired to protect
// it, had nothing spoken against it; else the default terms of a protection. nil: the policy does not say.
func (p *Policy) grants(f *Facts, fired, effective *ruleSet, excused map[int]*waiver) *deal.Grant {
	at := -1
	for i := range p.rules {
		r := &p.rules[i]
		if r.then.verdict.Outcome != deal.Protect || !fired.has(i) || r.shadow || excused[i] != nil {
			continue
		}
		if at < 0 || effective.has(i) && !effective.has(at) {
			at = i
		}
	}
	if at < 0 {
		if p.grant == nil {
			return nil
		}
		g := *p.grant
		return &g
	}
	v := p.rules[at].then.says(f)
	return &deal.Grant{Terms: *v.Terms, Benefits: v.Benefits, Rule: p.rules[at].id}
}

// Review returns the terms of a case that no rule opened, such as an appeal.
func (p *Policy) Review() deal.CaseTerms {
	t := p.review
	if t.Grant == nil && p.grant != nil {
		t.Grant = new(*p.grant)
	}
	return t
}

// Returning returns how long there is to complete what people return: as for what lacks a required field.
func (p *Policy) Returning() deal.Returning { return p.returning }

// Say gives a decision that somebody made in place of the rules its reason: the code, its texts, and whether it can be
// appealed. A reason that partners read as being under review, which is over, they read as instead; empty: it is not over. It reports
// false, and changes nothing, when the policy has no such reason.
func (p *Policy) Say(v *Verdict, code, instead string, f *Facts) bool {
	re := p.reasons[code]
	if re == nil {
		return false
	}
	read := re
	if other := p.reasons[instead]; other != nil && re.public == p.reasons[deal.ReasonUnderReview].public {
		read = other
	}
	v.Reasons, v.PartnerReasons = []string{re.code}, []string{read.public}
	v.Appeal, v.AppealWithin = re.appeal, re.within
	v.Texts = deal.Texts{Partner: read.partner.render(f, v.Needs), Internal: re.internal.render(f, v.Needs)}
	for lang, t := range read.others {
		if v.Texts.Languages == nil {
			v.Texts.Languages = map[string]string{}
		}
		v.Texts.Languages[lang] = t.render(f, v.Needs)
	}
	return true
}

// settles reports whether a verdict is an answer: no person looks at it, and it does not ask for more.
func settles(v *Verdict) bool { return v.Outcome != deal.Escalate && v.Disposition != deal.Returned }

// fires evaluates the rule's condition. Fields that a returning rule finds missing are added to needs.
func (r *rule) fires(vars cel.Activation, f *Facts, needs *[]string) (bool, error) {
	if r.when != nil {
		return holds(r.when, vars)
	}
	missing, _ := schemaIndex["reg.missing"]
	fired := false
	for _, q := range r.required {
		var lacks bool
		if name, ok := customName(q.field); ok {
			lacks = f.custom[name] == ""
		} else {
			lacks = contains(f.v[missing], q.field)
		}
		if !lacks {
			continue
		}
		if q.when != nil {
			if ok, err := holds(q.when, vars); err != nil {
				return false, err
			} else if !ok {
				continue
			}
		}
		fired = true
		if !slices.Contains(*needs, q.field) {
			*needs = append(*needs, q.field)
		}
	}
	return fired, nil
}

func holds(p cel.Program, vars cel.Activation) (bool, error) {
	v, _, err := p.Eval(vars)
	if err != nil {
		return false, err
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, fmt.Errorf("the condition gave %v", v)
	}
	return bool(b), nil
}

// overrider returns the effective rule that overrides rule i, or -1.
func (p *Policy) overrider(i int, effective *ruleSet) int {
	for _, j := range p.rules[i].overriddenBy {
		if effective.has(j) {
			return j
		}
	}
	return -1
}

// waiversFact is the place of partner.waivers.
var waiversFact = schemaIndex["partner.waivers"]

// excused returns the rules that are waived for the partner, each with its waiver; nil, as nearly always, when none is.
func (p *Policy) excused(f *Facts) map[int]*waiver {
	if len(p.waivers) == 0 || f.v[waiversFact] == defaultVals[waiversFact] {
		return nil
	}
	out := map[int]*waiver{}
	for i := range p.waivers {
		if w := &p.waivers[i]; contains(f.v[waiversFact], w.id) {
			out[w.rule] = w
		}
	}
	return out
}

func (p *Policy) trace(i, best int, winner string, effective *ruleSet, excuse *waiver) deal.RuleTrace {
	r := &p.rules[i]
	t := deal.RuleTrace{Rule: r.id, Title: r.title, Result: Lost, By: winner, Detail: r.wants}
	switch {
	case r.shadow:
		t.Result, t.By = Shadow, ""
	case excuse != nil:
		t.Result, t.By = Waived, excuse.by
		t.Detail += ", waiver " + excuse.id
	case i == best:
		t.Result, t.By = Decided, ""
	case !effective.has(i):
		if o := p.overrider(i, effective); o >= 0 {
			t.Result, t.By = Overridden, p.rules[o].id
		}
	}
	return t
}

// say fills in the reasons, the texts and the needs.
func (p *Policy) say(v *Verdict, a *action, best int, f *Facts, needs []string, effective *ruleSet) {
	v.Reasons = append(v.Reasons, a.reason.code)
	v.PartnerReasons = append(v.PartnerReasons, a.reason.public)
	also := [8]*reason{}
	others := also[:0]
	if best >= 0 {
		for w, word := range effective {
			for ; word != 0; word &= word - 1 {
				i := w<<6 + bits.TrailingZeros64(word)
				r := &p.rules[i]
				if i == best || r.then.verdict.Outcome != v.Outcome {
					continue
				}
				re := r.then.reason
				if !slices.Contains(v.Reasons, re.code) {
					v.Reasons = append(v.Reasons, re.code)
					others = append(others, re)
				}
				// A partner reads of what would have led to the same answer and what it knows itself, and of nothing else that
				// was found: declined for its credit, it does not learn that another holds the deal too.
				if !r.internal && r.rank == p.rules[best].rank && r.then.verdict.Disposition == v.Disposition && !slices.Contains(v.PartnerReasons, re.public) {
					v.PartnerReasons = append(v.PartnerReasons, re.public)
				}
				if v.Disposition == deal.Returned && r.then.verdict.Disposition == deal.Returned {
					for _, need := range r.then.verdict.Needs {
						if !slices.Contains(needs, need) {
							needs = append(needs, need)
						}
					}
				}
			}
		}
	}
	if v.Disposition == deal.Returned {
		for _, need := range v.Needs {
			if !slices.Contains(needs, need) {
				needs = append(needs, need)
			}
		}
		slices.Sort(needs)
		v.Needs = needs
	}
	v.Texts.Partner = a.reason.partner.render(f, v.Needs)
	v.Texts.Internal = a.reason.internal.render(f, v.Needs)
	if len(others) > 0 {
		var b strings.Builder
		b.WriteString(v.Texts.Internal)
		for _, re := range others {
			b.WriteByte(' ')
			b.WriteString(re.internal.render(f, v.Needs))
		}
		v.Texts.Internal = b.String()
	}
	if len(a.reason.others) > 0 {
		v.Texts.Languages = make(map[string]string, len(a.reason.others))
		for lang, t := range a.reason.others {
			v.Texts.Languages[lang] = t.render(f, v.Needs)
		}
	}
}

// clone copies what the caller of Decide may go on to change.
func (v *Verdict) clone() Verdict {
	out := *v
	if v.Terms != nil {
		t := *v.Terms
		if t.Extensions != nil {
			e := *t.Extensions
			t.Extensions = &e
		}
		t.Milestones, t.Fulfil = slices.Clone(t.Milestones), slices.Clone(t.Fulfil)
		if t.Condition != nil {
			c := *t.Condition
			t.Condition = &c
		}
		out.Terms = &t
	}
	if v.Case != nil {
		k := *v.Case
		out.Case = &k
	}
	out.Benefits = slices.Clone(v.Benefits)
	out.Needs = slices.Clone(v.Needs)
	return out
}
