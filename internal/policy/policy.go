package policy

import (
	"slices"

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
		out[i] = RuleInfo{r.id, r.title, r.shadow, r.then.verdict.Outcome, r.then.verdict.Disposition, r.then.reason.code}
	}
	return out
}

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
