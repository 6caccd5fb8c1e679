package policy

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Ref names the policy: its name, the SHA-256 of its bytes, and its version once it is published.
func (p *Policy) Ref() deal.DocumentRef { return p.ref }

// WithVersion returns the same policy as a numbered, published version.
func (p *Policy) WithVersion(v int) *Policy {
	out := *p
	out.ref.Version = v
	return &out
}

// Holidays returns the holidays of the calendar's regions, as days YYYY-MM-DD: what CompileSaved needs to come to the same policy.
func (p *Policy) Holidays() []string { return slices.Clone(p.settings.Calendar.regional) }

// Title returns the policy's title.
func (p *Policy) Title() string { return p.title }

// Source returns the document the policy was compiled from.
func (p *Policy) Source() []byte { return slices.Clone(p.body) }

// Settings returns what the engine must know of the policy besides its rules.
func (p *Policy) Settings() Settings { return p.settings }

// Params returns the policy's parameters by name.
func (p *Policy) Params() []Param { return slices.Clone(p.params) }

// RuleInfo describes one rule for a reader.
type RuleInfo struct {
	ID          string           `json:"id"`
	Title       string           `json:"title,omitempty"`
	Shadow      bool             `json:"shadow,omitempty"`
	Outcome     deal.Outcome     `json:"outcome"`
	Disposition deal.Disposition `json:"disposition,omitempty"`
	Reason      string           `json:"reason"`
}

// Rules returns the rules that are not disabled, in the order of the document; the required fields come first.
func (p *Policy) Rules() []RuleInfo {
	out := make([]RuleInfo, len(p.rules))
	for i, r := range p.rules {
		out[i] = RuleInfo{ID: r.id, Title: r.title, Shadow: r.shadow, Outcome: r.then.verdict.Outcome, Disposition: r.then.verdict.Disposition}
		if r.then.reason != nil { // nil in a draft
			out[i].Reason = r.then.reason.code
		}
	}
	return out
}

// Reasons returns the codes the policy can give, sorted.
func (p *Policy) Reasons() []string { return slices.Clone(p.codes) }

// Fields returns what a registration can be asked to complete: the standard fields, then the policy's own as custom.NAME.
func (p *Policy) Fields() []string {
	out := slices.Clone(StandardFields)
	for _, f := range p.settings.Custom {
		out = append(out, "custom."+f.Name)
	}
	return out
}

// Told returns what the partner reads of a reason, with … where a value of the case is put, and the code it reads: of a reason that
// is shown as another, that other's. It reports false when the policy has no such reason.
func (p *Policy) Told(code string) (text, public string, ok bool) {
	re := p.reasons[code]
	if re == nil {
		return "", "", false
	}
	return re.partner.outline(), re.public, true
}

// Warnings returns what is most likely a slip, and keeps nobody from publishing: what the document declares and nothing uses,
// and what the service will leave to people.
func (p *Policy) Warnings() Errors { return slices.Clone(p.warnings) }

// Benefits returns the names of the benefits that the policy declares, sorted; nil when it declares none.
func (p *Policy) Benefits() []string { return slices.Sorted(maps.Keys(p.benefits)) }

// Waivers returns the ids of the waivers the partner has at the instant, for the fact partner.waivers.
func (p *Policy) Waivers(partnerID string, now time.Time) []string {
	var out []string
	for i := range p.waivers {
		if w := &p.waivers[i]; w.partner == partnerID && now.Before(w.until) {
			out = append(out, w.id)
		}
	}
	return out
}

// Boundary is a number that a condition compares a fact with: where a policy's tests should look closely.
type Boundary struct {
	Rule  string  `json:"rule"`
	Fact  string  `json:"fact"`
	Op    string  `json:"op"`              // < <= > or >=
	Value float64 `json:"value"`           // of the constant, or of the parameter
	Param string  `json:"param,omitempty"` // its name
}

// Holds reports whether a fact of this value meets the comparison.
func (b Boundary) Holds(v float64) bool {
	switch b.Op {
	case "<":
		return v < b.Value
	case "<=":
		return v <= b.Value
	case ">":
		return v > b.Value
	}
	return v >= b.Value
}

func (b Boundary) String() string {
	to := strconv.FormatFloat(b.Value, 'f', -1, 64)
	if b.Param != "" {
		to = b.Param + " (" + to + ")"
	}
	return b.Rule + ": " + b.Fact + " " + b.Op + " " + to
}

// Boundaries returns every comparison of a fact with a number in the conditions of the rules that are not disabled, in
// the order of the document.
func (p *Policy) Boundaries() []Boundary { return slices.Clone(p.boundaries) }

// contains reports whether a boxed list holds the text.
func contains(v ref.Val, s string) bool {
	l := v.(traits.Lister)
	for i := range l.Size().(types.Int) {
		if l.Get(i) == types.String(s) {
			return true
		}
	}
	return false
}
