package policytest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/policy"
)

// FromDecision writes a case about facts that expects what was decided: an element for tests.cases. It holds the facts
// the rules saw, and so nothing of the customer beyond what they say. under is the text of the policy it was made under: words
// which that does not declare, a tier or a sales stage, are left out, since no rule of it speaks of them.
func FromDecision(d *deal.Decision, under string) ([]byte, error) {
	if len(d.Facts) == 0 {
		return nil, fmt.Errorf("decision %s has no facts: it was taken over, not made here", d.ID)
	}
	expect := yaml.Node{Kind: yaml.MappingNode}
	put := func(m *yaml.Node, key string, v any) error {
		var k, val yaml.Node
		k.SetString(key)
		if err := val.Encode(v); err != nil {
			return err
		}
		if _, list := v.([]string); list {
			val.Style = yaml.FlowStyle
		}
		m.Content = append(m.Content, &k, &val)
		return nil
	}
	o := observation{trace: d.Trace}
	outcome := string(d.Outcome)
	if d.Route != nil {
		outcome = string(d.Route.Disposition)
	}
	rule := ""
	for _, t := range d.Trace {
		if t.Result == policy.Decided && rule == "" {
			rule = t.Rule
		}
	}
	fields := []struct {
		name string
		v    any
	}{{"outcome", outcome}, {"rule", rule}, {"fired", o.rules(policy.Decided, policy.Lost, policy.Overridden)}, {"reasons", d.ReasonCodes}}
	if d.ReasonCodes[0] == deal.ReasonGuard { // the rules would have protected it; the engine kept the promise of one holder
		fields = fields[1:3]
	}
	for _, f := range fields {
		if err := put(&expect, f.name, f.v); err != nil {
			return nil, err
		}
	}
	set := yaml.Node{Kind: yaml.MappingNode}
	facts, err := policy.FromMap(d.Facts)
	if err != nil {
		return nil, err
	}
	p, err := policy.Compile([]byte(under))
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(d.Facts)) {
		values, closed := p.Settings().Values(name)
		if word, is := facts.Get(name).(string); is && closed && !slices.Contains(values, word) {
			continue
		}
		if err := put(&set, name, facts.Get(name)); err != nil {
			return nil, err
		}
	}
	one := yaml.Node{Kind: yaml.MappingNode}
	for _, f := range []struct {
		name string
		v    any
	}{{"name", "as decided in " + d.ID}, {"now", d.At.UTC().Format(time.RFC3339)}, {"set", &set}, {"expect", &expect}} {
		if err := put(&one, f.name, f.v); err != nil {
			return nil, err
		}
	}
	text, err := yaml.Marshal(&yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{&one}})
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "# made from a decision under %s version %d; put it under tests: cases:\n%s", d.Policy.Name, d.Policy.Version,
		strings.ReplaceAll("    "+strings.TrimRight(string(text), "\n"), "\n", "\n    ")+"\n"), nil
}
