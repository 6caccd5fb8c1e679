package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
)

// What may be given for each outcome, besides outcome and reason.
var thenFields = map[deal.Outcome][]string{
	deal.Protect:  {"terms", "benefits"},
	deal.RouteTo:  {"disposition", "to", "owner_of", "of", "queue", "needs", "resubmit_after", "finders_fee", "benefits", "keeps_place", "answer_within", "on_silence"},
	deal.Escalate: {"queue", "authority", "four_eyes", "acknowledge", "decide", "on_silence", "escalate_to", "consult", "hold", "terms"},
}

// Whom a route's person can be looked up from, and whose registration it can wait behind or be merged into.
var (
	ownersOf = []string{"opportunity", "territory", "account", "incumbent", "holder"}
	ofKinds  = []deal.ConflictKind{deal.HeldByOther, deal.PendingOther, deal.OwnDuplicate, deal.FamilyHeld, deal.TenderShared}
)

var onSilence = []string{"grant", "decline", "escalate"}

// action reads a then with the defaults of its outcome beneath it, and checks it.
func (c *compiler) action(at document.Path) action {
	var then thenDoc
	if !c.r.Has(at...) {
		c.add(at, "a rule says what follows: then:")
		return action{}
	}
	c.r.ReadAt(at, &then)
	if !slices.Contains(deal.Outcomes, deal.Outcome(then.Outcome)) {
		oneOf(c, at.Of("outcome"), deal.Outcome(then.Outcome), deal.Outcomes)
		words := []string{string(deal.Protect), string(deal.RouteTo), string(deal.Escalate)}
		if then.Outcome = document.Nearest(then.Outcome, words); then.Outcome == "" {
			c.reason(at, then.Reason)
			return action{}
		}
	}
	if d := path("defaults", then.Outcome); slices.Contains(deal.Outcomes, deal.Outcome(then.Outcome)) && c.r.Has(d...) {
		c.allowed(d, deal.Outcome(then.Outcome))
		merged := thenDoc{}
		c.r.ReadAt(d, &merged)
		c.r.ReadAt(at, &merged)
		merged.Outcome = then.Outcome
		then = merged
	}
	c.then, c.beneath = at, path("defaults", then.Outcome)
	defer func() { c.then, c.beneath = nil, nil }()
	return c.checked(at, then)
}

// fallback is the action of on_error or on_no_match, which always escalates.
func (c *compiler) fallback(field, code string) action {
	at := path(field)
	if !c.r.Has(at...) {
		return c.checked(at, thenDoc{Outcome: string(deal.Escalate), Reason: code, Queue: "policy-desk"})
	}
	a := c.action(at)
	if a.verdict.Outcome != deal.Escalate && a.verdict.Outcome != "" {
		c.add(at, "%s always escalates: what the rules do not settle, a person does", field)
	}
	return a
}

func (c *compiler) allowed(at document.Path, o deal.Outcome) {
	for _, f := range c.r.Keys(at...) {
		if f == "outcome" || f == "reason" || slices.Contains(thenFields[o], f) {
			continue
		}
		for _, other := range deal.Outcomes {
			if slices.Contains(thenFields[other], f) {
				c.add(at.Of(f), "%s does not go with outcome %s", f, o)
				break
			}
		}
	}
}

func oneOf[T ~string](c *compiler, at document.Path, v T, list []T) {
	if slices.Contains(list, v) {
		return
	}
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	c.add(at, "%q is not one of %s%s", v, strings.Join(words, ", "), inOtherWords(string(v), words))
}

// inOtherWords says how the language says what programmes call by another word.
func inOtherWords(word string, list []string) string {
	protects := slices.Contains(list, string(deal.Protect))
	word = strings.ToLower(word)
	switch {
	case slices.Contains(deal.Dispositions, deal.Disposition(word)) && protects:
		return "; write outcome: route, disposition: " + word
	case slices.Contains([]string{"reject", "rejected", "refuse", "refused", "deny", "denied", "decline", "block"}, word) && protects:
		return "; a refusal is outcome: route, disposition: declined"
	case slices.Contains([]string{"reject", "rejected", "refuse", "refused", "deny", "denied", "decline"}, word) && slices.Contains(list, string(deal.Declined)):
		return "; write declined"
	case slices.Contains([]string{"approve", "approved", "accept", "accepted", "grant", "register", "registered", "allow"}, word) && protects:
		return "; write protect"
	case slices.Contains([]string{"flag", "review", "research", "hold", "manual"}, word) && protects:
		return "; write escalate"
	case slices.Contains([]string{"queue", "queued", "waitlist", "waiting"}, word) && slices.Contains(list, string(deal.Waitlisted)):
		return "; write waitlisted"
	case slices.Contains([]string{"invalid", "incomplete"}, word) && slices.Contains(list, string(deal.Returned)):
		return "; write returned"
	}
	return didYouMean(word, list)
}

func (c *compiler) checked(at document.Path, d thenDoc) action {
	a := action{}
	v := &a.verdict
	v.Outcome = deal.Outcome(d.Outcome)
	c.allowed(at, v.Outcome)
	if a.reason = c.reason(at, d.Reason); a.reason != nil {
		v.Appeal, v.AppealWithin = a.reason.appeal, a.reason.within
	}
	switch v.Outcome {
	case deal.Protect:
		a.days = c.lookedUpDays(at.Of("terms", "days"), &d.Terms)
		v.Terms = c.terms(at.Of("terms"), d.Terms)
	case deal.RouteTo:
		c.route(at, d, v)
	case deal.Escalate:
		v.Case = c.caseTerms(at, d)
		v.Queue = d.Queue
	}
	for _, name := range c.r.Keys(at.Of("benefits")...) {
		v.Benefits = append(v.Benefits, deal.Benefit{Name: name, Value: d.Benefits[name]})
	}
	if v.Benefits == nil && len(d.Benefits) > 0 { // from the defaults of the outcome
		for _, name := range c.r.Keys("defaults", d.Outcome, "benefits") {
			v.Benefits = append(v.Benefits, deal.Benefit{Name: name, Value: d.Benefits[name]})
		}
	}
	for i, b := range v.Benefits {
		kind, declared := c.p.benefits[b.Name]
		if !declared && len(c.p.benefits) > 0 {
			c.add(at.Of("benefits", b.Name), "settings.benefits has no %q%s", b.Name, didYouMean(b.Name, slices.Sorted(maps.Keys(c.p.benefits))))
		}
		if !strings.HasPrefix(b.Value, "table.") && !strings.HasPrefix(b.Value, "band.") {
			if why := kind.takes(b.Value); declared && why != "" {
				c.add(at.Of("benefits", b.Name), "%s", why)
			}
			continue
		}
		c.used[b.Value] = true
		if d := c.derived[b.Value]; d != nil {
			a.lookups = append(a.lookups, lookedUp{i, d})
			for _, s := range d.gives() {
				if why := kind.takes(s); declared && why != "" {
					c.add(at.Of("benefits", b.Name), "of %s: %s", b.Value, why)
				}
			}
			if d.internal {
				c.add(at.Of("benefits", b.Name), "partners read their benefits, and %s asks for what is internal", b.Value)
			}
		} else {
			c.add(at.Of("benefits", b.Name), "there is no %s%s", b.Value, c.meant(b.Value))
		}
	}
	return a
}

// reason returns the reason of a then, or reports that there is none.
func (c *compiler) reason(at document.Path, code string) *reason {
	c.used[code] = true
	switch re, ok := c.reasons[code]; {
	case ok:
		return re
	case code == "":
		c.add(at, "say why: reason: one of the core codes, or one of your own that reasons: explains")
	default:
		c.add(at.Of("reason"), "%q is not a reason of this policy: write its texts under reasons%s", code, didYouMean(code, slices.Sorted(maps.Keys(c.reasons))))
	}
	return nil
}

func (c *compiler) route(at document.Path, d thenDoc, v *Verdict) {
	v.Disposition = deal.Disposition(d.Disposition)
	oneOf(c, at.Of("disposition"), v.Disposition, deal.Dispositions)
	v.To = deal.Target(d.To)
	if d.To == "" {
		switch v.Disposition {
		case deal.Referred, deal.CoSell:
			c.add(at, "say where a %s registration goes: to: %s", v.Disposition, strings.Join([]string{"direct_team", "partner", "distributor", "territory_owner", "queue"}, ", "))
		default:
			v.To = deal.ToSubmitter
		}
	} else {
		oneOf(c, at.Of("to"), v.To, deal.Targets)
	}
	v.Queue = d.Queue
	if v.To == deal.ToQueue && d.Queue == "" {
		c.add(at, "name the queue: queue:")
	}
	v.OwnerOf = d.OwnerOf
	if d.OwnerOf != "" {
		oneOf(c, at.Of("owner_of"), d.OwnerOf, ownersOf)
	}
	v.Of = d.Of
	switch v.Disposition {
	case deal.Waitlisted, deal.Merged:
		if v.Of == "" {
			v.Of = string(deal.HeldByOther)
			if v.Disposition == deal.Merged {
				v.Of = string(deal.OwnDuplicate)
			}
		}
		oneOf(c, at.Of("of"), deal.ConflictKind(v.Of), ofKinds)
	default:
		if v.Of != "" {
			c.add(at.Of("of"), "only waitlisted and merged are of another registration")
		}
	}
	for i, n := range d.Needs {
		c.field(at.Of("needs", i), n)
	}
	if len(d.Needs) > 0 && v.Disposition != deal.Returned {
		c.add(at.Of("needs"), "only a returned registration needs fields")
	}
	v.Needs = d.Needs
	v.Resubmit = d.Resubmit
	c.term(at.Of("resubmit_after"), d.Resubmit)
	v.FindersFee = d.FindersFee
	v.KeepsPlace, v.AnswerWithin, v.OnSilence = d.KeepsPlace, d.Within, d.OnSilence
	c.term(at.Of("answer_within"), d.Within)
	if d.KeepsPlace && v.Disposition != deal.Returned {
		c.add(at.Of("keeps_place"), "only a returned registration keeps its place; one that is waitlisted has one anyway")
	}
	if d.OnSilence != "" {
		oneOf(c, at.Of("on_silence"), d.OnSilence, []string{"decline", "escalate"})
		if d.Within == "" {
			c.add(at.Of("on_silence"), "say when silence is over: answer_within:")
		}
	}
}

func (c *compiler) term(at document.Path, s string) {
	if s != "" && !termForm.MatchString(s) {
		c.add(at, "%q is not a term; %s", s, termHelp)
	}
}

func (c *compiler) caseTerms(at document.Path, d thenDoc) *deal.CaseTerms {
	if d.Queue == "" {
		c.add(at, "name the queue that decides: queue:")
	}
	c.term(at.Of("acknowledge"), d.Acknowledge)
	c.term(at.Of("decide"), d.Decide)
	if d.OnSilence == "" {
		d.OnSilence = "escalate"
	}
	oneOf(c, at.Of("on_silence"), d.OnSilence, onSilence)
	if d.OnSilence != "escalate" && d.Decide == "" {
		c.add(at.Of("on_silence"), "say when silence is over: decide:")
	}
	var grant *deal.Grant
	if c.r.Has(at.Of("terms")...) || c.r.Has("defaults", "escalate", "terms") {
		grant = &deal.Grant{Terms: *c.terms(at.Of("terms"), d.Terms)}
	}
	return &deal.CaseTerms{Grant: grant, Queue: d.Queue, Authority: d.Authority, FourEyes: d.FourEyes, Acknowledge: d.Acknowledge, Decide: d.Decide,
		OnSilence: d.OnSilence, EscalateTo: d.EscalateTo, Consult: d.Consult,
		Hold: deal.HoldTerms{Provisional: d.Hold.Provisional, Days: c.number(at.Of("hold", "days"), d.Hold.Days, 0, 366)}}
}

// Ceilings of terms, above any real programme's.
const (
	maxDays   = 3660
	maxMonths = 120
	maxTimes  = 100
)

func (c *compiler) terms(at document.Path, d termsDoc) *deal.Terms {
	t := &deal.Terms{Anchor: d.Anchor, Exclusive: d.Exclusive == nil || *d.Exclusive}
	t.Days = c.number(at.Of("days"), d.Days, 1, maxDays)
	t.Months = c.number(at.Of("months"), d.Months, 1, maxMonths)
	if (d.Days.Value == nil) == (d.Months.Value == nil) {
		c.add(at, "say how long it protects: either days or months")
	}
	if t.Anchor == "" {
		t.Anchor = "approval"
	}
	oneOf(c, at.Of("anchor"), t.Anchor, Anchors)
	if e := d.Extensions; e != nil {
		t.Extensions = &deal.ExtensionTerms{Max: c.number(at.Of("extensions", "max"), e.Max, 0, maxTimes),
			Days: c.number(at.Of("extensions", "days"), e.Days, 1, maxDays), Months: c.number(at.Of("extensions", "months"), e.Months, 1, maxMonths),
			Needs: c.needs(at.Of("extensions", "needs"), e.Needs), Ask: e.Ask}
		if e.Days.Value != nil && e.Months.Value != nil {
			c.add(at.Of("extensions"), "say by how much it is lengthened: days or months, not both")
		}
		if e.Ask != "" {
			oneOf(c, at.Of("extensions", "ask"), e.Ask, []string{"before_end", "any_time"})
		}
	}
	if m := d.Condition; m != nil {
		if m.Need == "" || m.Days.Value == nil {
			c.add(at.Of("condition"), "say what must happen first, and within how many days: condition: {days: 5, need: meeting}")
		}
		if m.OnMiss != "" {
			c.add(at.Of("condition", "on_miss"), "a condition that is not met ends the protection; on_miss is for milestones")
		}
		if m.When != "" {
			oneOf(c, at.Of("condition", "when"), m.When, []string{deal.WhenPromoted})
		}
		t.Condition = &deal.MilestoneTerms{When: m.When, Days: c.number(at.Of("condition", "days"), m.Days, 1, maxDays), Need: m.Need}
	}
	for i, f := range d.Fulfil {
		oneOf(c, at.Of("fulfil", i), f, deal.Fulfilments)
	}
	t.Fulfil = d.Fulfil
	c.term(at.Of("dwell"), d.Dwell)
	t.Dwell = d.Dwell
	for i, m := range d.Milestones {
		if m.Need == "" {
			c.add(at.Of("milestones", i), "say what must happen: need:")
		}
		if m.Days.Value == nil {
			c.add(at.Of("milestones", i), "say within how many days: days:")
		}
		if m.When != "" {
			c.add(at.Of("milestones", i, "when"), "a milestone is of every protection; when is for a condition")
		}
		if m.OnMiss != "" {
			oneOf(c, at.Of("milestones", i, "on_miss"), m.OnMiss, []string{deal.OnMissExpire, deal.OnMissTell})
		}
		t.Milestones = append(t.Milestones, deal.MilestoneTerms{OnMiss: m.OnMiss, Days: c.number(at.Of("milestones", i, "days"), m.Days, 0, maxDays), Need: m.Need})
	}
	return t
}

// needs reads what an extension needs: words of deal.ExtensionNeeds, all of which the service asks for, and others, which it
// cannot see for itself and leaves to the vendor.
func (c *compiler) needs(at document.Path, s document.Scalar) string {
	words, list := s.Value.([]string)
	if text, is := s.Value.(string); is {
		words = strings.Split(text, ",")
		if !slices.ContainsFunc(words, func(w string) bool { return slices.Contains(deal.ExtensionNeeds, strings.TrimSpace(w)) }) {
			words = []string{text} // a sentence
		}
	} else if s.Value != nil && !list {
		c.add(at, "%v is not a text or a list of texts", s.Value)
	}
	for i := range words {
		words[i] = strings.TrimSpace(words[i])
		if list && strings.Contains(words[i], ",") {
			c.add(at.Of(i), "write each in an item of its own")
		}
		if !slices.Contains(deal.ExtensionNeeds, words[i]) {
			line, col := c.r.Place(at)
			c.judged = append(c.judged, Error{Line: line, Column: col, Path: at.String(), Message: fmt.Sprintf(
				"the service cannot see %q for itself, so only staff can grant such an extension; it can ask for %s%s",
				words[i], strings.Join(deal.ExtensionNeeds, ", "), didYouMean(words[i], deal.ExtensionNeeds))})
		}
	}
	return strings.Join(words, ", ")
}

// lookedUpDays returns the table that gives the days of a protection, if one does, and puts a number in its place.
func (c *compiler) lookedUpDays(at document.Path, d *termsDoc) *derived {
	name, _ := d.Days.Value.(string)
	if !strings.HasPrefix(name, "table.") {
		return nil
	}
	d.Days.Value = int64(1)
	c.used[name] = true
	t := c.derived[name]
	if t == nil {
		c.add(at, "there is no %s%s", name, c.meant(name))
		return nil
	}
	for _, r := range t.rows {
		if n, ok := r.value.(types.Int); !ok || n < 1 || n > maxDays {
			c.add(at, "%s gives %v: days are a whole number of 1 to %d", name, r.value, maxDays)
			return nil
		}
	}
	return t
}

// number reads a whole number, or the parameter a text such as params.days names.
func (c *compiler) number(at document.Path, s document.Scalar, lo, hi int64) int {
	v := s.Value
	if name, ok := v.(string); ok {
		p, isParam := strings.CutPrefix(name, "params.")
		c.used[name] = true
		val, known := c.params[p]
		if n, isInt := val.(types.Int); isParam && known && isInt {
			v = int64(n)
		} else {
			c.add(at, "%q is neither a whole number nor a parameter that is one; write 90, params.NAME or, for the days of a protection, table.NAME", name)
			return 0
		}
	}
	switch n := v.(type) {
	case nil:
		return 0
	case int64:
		if n < lo || n > hi {
			c.add(at, "%d is outside %d to %d", n, lo, hi)
			return 0
		}
		return int(n)
	}
	c.add(at, "%v is not a whole number", v)
	return 0
}

// interval writes a range for an error message.
func interval(lo, hi *float64) string {
	word := func(f *float64) string {
		if f == nil {
			return "…"
		}
		return strconv.FormatFloat(*f, 'f', -1, 64)
	}
	return word(lo) + " to " + word(hi)
}
