package policy

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// Facts is what is known of one registration when the rules run: a value for every fact of the Schema. It is filled
// by one goroutine and then only read; reading is safe for concurrent use.
type Facts struct {
	v      []ref.Val
	custom map[string]string
}

var defaultVals = func() []ref.Val {
	v := make([]ref.Val, len(Schema))
	for i := range Schema {
		v[i] = Schema[i].val
	}
	return v
}()

// NewFacts returns facts that all have their default.
func NewFacts() *Facts { return &Facts{v: slices.Clone(defaultVals)} }

// Set sets one fact. v is a bool, string, int, int64, float64 or []string, as the fact's type asks; an int is taken
// for a double too. A name outside the Schema, a value of another type or outside a closed list, and a number that
// is not finite are programming errors: Set panics. Names that begin with custom. hold the filing's own fields and
// take any string.
func (f *Facts) Set(name string, v any) {
	if err := f.set(name, v); err != nil {
		panic("policy: " + err.Error())
	}
}

// Put is Set for names and values that come from outside: it errs where Set panics.
func (f *Facts) Put(name string, v any) error { return f.set(name, v) }

func (f *Facts) set(name string, v any) error {
	if c, ok := customName(name); ok {
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("fact %s is a string, not %T", name, v)
		}
		if f.custom == nil {
			f.custom = map[string]string{}
		}
		f.custom[c] = s
		return nil
	}
	i, ok := lookup(name)
	if !ok {
		return fmt.Errorf("there is no fact %q", name)
	}
	s := &Schema[i]
	wrong := func() error { return fmt.Errorf("fact %s is a %s, not %T", name, s.Type, v) }
	switch x := v.(type) {
	case bool:
		if s.Type != Bool {
			return wrong()
		}
		f.v[i] = types.Bool(x)
	case string:
		switch s.Type {
		case String:
			f.v[i] = types.String(x)
		case Enum:
			b, ok := s.boxed[x]
			if !ok {
				return fmt.Errorf("fact %s is never %q; it is one of %s", name, x, strings.Join(s.Values, ", "))
			}
			f.v[i] = b
		default:
			return wrong()
		}
	case int:
		return f.set(name, int64(x))
	case int64:
		switch s.Type {
		case Int:
			f.v[i] = types.Int(x)
		case Double:
			f.v[i] = types.Double(x)
		default:
			return wrong()
		}
	case float64:
		if s.Type != Double {
			return wrong()
		}
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("fact %s is not a finite number", name)
		}
		f.v[i] = types.Double(x)
	case []string:
		if s.Type != List {
			return wrong()
		}
		if s.Values != nil {
			for _, e := range x {
				if !slices.Contains(s.Values, e) {
					return fmt.Errorf("fact %s never holds %q; it holds %s", name, e, strings.Join(s.Values, ", "))
				}
			}
		}
		f.v[i] = listVal(x)
	default:
		return wrong()
	}
	return nil
}

// Get returns the value of one fact as bool, int64, float64, string or []string; nil when there is no such fact.
func (f *Facts) Get(name string) any {
	if c, ok := customName(name); ok {
		if s, ok := f.custom[c]; ok {
			return s
		}
		return nil
	}
	i, ok := lookup(name)
	if !ok {
		return nil
	}
	return native(f.v[i])
}

func native(v ref.Val) any {
	l, ok := v.(traits.Lister)
	if !ok {
		return v.Value()
	}
	n := int(l.Size().(types.Int))
	out := make([]string, n)
	for i := range n {
		out[i] = string(l.Get(types.Int(i)).(types.String))
	}
	return out
}

// Map returns the facts that differ from their default, as the decision records them: bool, int64, float64, string
// and []string, which survive JSON and FromMap.
func (f *Facts) Map() map[string]any {
	out := make(map[string]any, 64)
	for i, v := range f.v {
		var differs bool
		if l, ok := v.(traits.Lister); ok { // every list's default is empty
			differs = l.Size() != types.Int(0)
		} else {
			differs = v != defaultVals[i]
		}
		if differs {
			out[Schema[i].Name] = native(v)
		}
	}
	for k, v := range f.custom {
		out["custom."+k] = v
	}
	return out
}

// FromMap is the inverse of Map. It takes what JSON decoding makes of it too: float64 for whole numbers, []any for
// lists. It errs where Set panics.
func FromMap(m map[string]any) (*Facts, error) {
	f := NewFacts()
	for _, name := range slices.Sorted(maps.Keys(m)) {
		v := m[name]
		switch x := v.(type) {
		case float64:
			if i, ok := lookup(name); ok && Schema[i].Type == Int {
				if x != math.Trunc(x) || math.Abs(x) > 1<<53 {
					return nil, fmt.Errorf("fact %s is not a whole number: %v", name, x)
				}
				v = int64(x)
			}
		case []any:
			list := make([]string, len(x))
			for i, e := range x {
				s, ok := e.(string)
				if !ok {
					return nil, fmt.Errorf("fact %s holds a %T; it is a list of texts", name, e)
				}
				list[i] = s
			}
			v = list
		}
		if err := f.set(name, v); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Clone returns an independent copy.
func (f *Facts) Clone() *Facts {
	return &Facts{v: slices.Clone(f.v), custom: maps.Clone(f.custom)}
}
