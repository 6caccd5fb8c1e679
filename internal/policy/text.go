package policy

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// needsVar is what {{needs}} in a text stands for: the fields a returned filing must complete.
const needsVar = "needs"

var placeholder = regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`)

// single is a fact in single braces, which is not a place for it.
var single = regexp.MustCompile(`\{([a-z_]+(?:\.[a-z_]+)+)\}`)

// text is a sentence with places for facts. Parameters are constants and are filled in when the policy is compiled.
type text struct {
	fixed string // the whole sentence, when it has no places
	parts []textPart
}

type textPart struct {
	lit     string
	fact    int    // place in the Schema; -1 for the others
	custom  string // name of a custom field
	derived *derived
	needs   bool
}

func (p *textPart) plain() bool { return p.fact < 0 && p.custom == "" && p.derived == nil && !p.needs }

func (t *text) render(f *Facts, needs []string) string {
	if t.parts == nil {
		return t.fixed
	}
	var b strings.Builder
	for _, p := range t.parts {
		switch {
		case p.needs:
			b.WriteString(strings.Join(needs, ", "))
		case p.custom != "":
			b.WriteString(f.custom[p.custom])
		case p.derived != nil:
			b.WriteString(words(p.derived.value(f)))
		case p.fact >= 0:
			b.WriteString(words(f.v[p.fact]))
		default:
			b.WriteString(p.lit)
		}
	}
	return b.String()
}

// outline is the text with … in the place of its values.
func (t *text) outline() string {
	if t.parts == nil {
		return t.fixed
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.needs || p.custom != "" || p.derived != nil || p.fact >= 0 {
			b.WriteString("…")
		} else {
			b.WriteString(p.lit)
		}
	}
	return b.String()
}

// words writes a value as a sentence shows it.
func words(v ref.Val) string {
	switch x := v.(type) {
	case types.Bool:
		if x {
			return "yes"
		}
		return "no"
	case types.Double:
		return strconv.FormatFloat(math.Round(float64(x)*100)/100, 'f', -1, 64) // hundredths: money and probabilities need no more in a sentence
	case types.Int:
		return strconv.FormatInt(int64(x), 10)
	case types.String:
		if x == "" {
			return "unknown"
		}
		return string(x)
	case traits.Lister:
		list := native(x).([]string)
		if len(list) == 0 {
			return "none given"
		}
		return strings.Join(list, ", ")
	}
	return ""
}
