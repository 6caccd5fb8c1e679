package policy

import (
	"slices"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
)

// BenchmarkFactsAndRules50 is what one registration costs: stating its facts, and deciding by 50 rules with the trace of
// which fired, lost and were overridden. The promise is 15 µs.
func BenchmarkFactsAndRules50(b *testing.B) {
	p := fiftyRules(b)
	for _, c := range benchFacts {
		names, values := split(c.over)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f := NewFacts()
				for i, n := range names {
					f.Set(n, values[i])
				}
				p.Decide(f, now)
			}
		})
	}
}

// BenchmarkPlainCEL50 is the same in plain CEL, as it is commonly used: nested maps of values without types, one program
// per rule. It finds the rules that fire, and no more.
func BenchmarkPlainCEL50(b *testing.B) {
	progs, params := plainPrograms(b, fiftyRules(b))
	for _, c := range benchFacts {
		names, values := split(c.over)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				vars := nested(names, values, params)
				for _, p := range progs {
					if _, _, err := p.Eval(vars); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// Both find the same rules.
func TestPlainCELAgrees(t *testing.T) {
	t.Parallel()
	p := fiftyRules(t)
	progs, params := plainPrograms(t, p)
	for _, c := range benchFacts {
		names, values := split(c.over)
		f := NewFacts()
		for i, n := range names {
			f.Set(n, values[i])
		}
		fired := map[string]bool{}
		for _, r := range p.Decide(f, now).Trace {
			fired[r.Rule] = true
		}
		vars := nested(names, values, params)
		for id, prog := range progs {
			v, _, err := prog.Eval(vars)
			if err != nil {
				t.Fatalf("%s: %v", id, err)
			}
			if (v == types.True) != fired[id] {
				t.Errorf("%s: %s fires %v in plain CEL, %v here", c.name, id, v, fired[id])
			}
		}
	}
}

var benchFacts = []struct {
	name string
	over []facts
}{
	{"clean", nil},
	{"contested", []facts{conflict(deal.HeldByOther, 0.95), conflict(deal.DirectEngaged, 0.7), conflict(deal.ExistingCustomer, 0.95), {"reg.amount": 1e6}}},
}

// split lists the facts the engine would set, clean ones included.
func split(over []facts) (names []string, values []any) {
	all := facts{}
	for _, layer := range append([]facts{clean}, over...) {
		for n, v := range layer {
			all[n] = v
		}
	}
	for n := range all {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		values = append(values, all[n])
	}
	return names, values
}

// nested returns every fact, with its default where nothing sets it, as maps in maps.
func nested(names []string, values []any, params map[string]any) map[string]any {
	out := make(map[string]any, 8)
	put := func(name string, v any) {
		at, rest := out, name
		for {
			head, tail, more := strings.Cut(rest, ".")
			if !more {
				at[head] = v
				return
			}
			next, ok := at[head].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[head] = next
			}
			at, rest = next, tail
		}
	}
	for i := range Schema {
		put(Schema[i].Name, Schema[i].Default)
	}
	for i, n := range names {
		put(n, values[i])
	}
	out["params"] = params
	return out
}

func plainPrograms(t testing.TB, p *Policy) (out map[string]cel.Program, params map[string]any) {
	t.Helper()
	var opts []cel.EnvOption
	for _, root := range []string{"reg", "partner", "customer", "territory", "conflict", "history", "match", "params"} {
		opts = append(opts, cel.Variable(root, cel.MapType(cel.StringType, cel.DynType)))
	}
	env, err := cel.NewEnv(append(opts, cel.CrossTypeNumericComparisons(true))...)
	if err != nil {
		t.Fatal(err)
	}
	params = map[string]any{}
	for _, x := range p.Params() {
		params[x.Name] = x.Value
	}
	var doc policyDoc
	document.Parse(p.body, maxDocument).Read(&doc)
	out = map[string]cel.Program{}
	for _, r := range doc.Rules {
		checked, iss := env.Compile(string(r.When))
		if iss.Err() != nil {
			t.Fatal(iss.Err())
		}
		if out[r.ID], err = env.Program(checked, cel.EvalOptions(cel.OptOptimize)); err != nil {
			t.Fatal(err)
		}
	}
	return out, params
}
