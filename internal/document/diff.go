package document

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Difference is one thing that two documents say differently. Old is empty for what only the new one has, New for what only the
// old one has. Items of lists are called by their id, field or name, wherever they stand.
type Difference struct {
	Path string `json:"path"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
	Line int    `json:"line"` // in the new document; of what is no more, in the old one
}

// Diff lists what two documents say differently, in the order of the new one. Comments, layout and quotes say nothing. The error
// is an Errors of the first document that is not YAML.
func Diff(before, after []byte, limit int) ([]Difference, error) {
	a, b := Parse(before, limit), Parse(after, limit)
	for _, r := range []*Reader{a, b} {
		if err := r.Err(); err != nil {
			return nil, err
		}
	}
	var d differ
	d.compare("", a.root, b.root)
	return d.found, nil
}

type differ struct{ found []Difference }

func (d *differ) compare(path string, a, b *yaml.Node) {
	a, b = resolved(a), resolved(b)
	x, xOK := named(a)
	y, yOK := named(b)
	if !xOK || !yOK {
		if plain(a) != plain(b) {
			d.found = append(d.found, Difference{path, plain(a), plain(b), b.Line})
		}
		return
	}
	at := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	for _, m := range y {
		if i := slices.IndexFunc(x, func(o member) bool { return o.name == m.name }); i >= 0 {
			d.compare(at(m.name), x[i].node, m.node)
		} else {
			d.found = append(d.found, Difference{at(m.name), "", plain(m.node), m.line})
		}
	}
	for _, m := range x {
		if !slices.ContainsFunc(y, func(o member) bool { return o.name == m.name }) {
			d.found = append(d.found, Difference{at(m.name), plain(m.node), "", m.line})
		}
	}
	if a.Kind == yaml.SequenceNode && b.Kind == yaml.SequenceNode {
		common := func(list, other []member) (out []string) {
			for _, m := range list {
				if slices.ContainsFunc(other, func(o member) bool { return o.name == m.name }) {
					out = append(out, m.name)
				}
			}
			return out
		}
		if p, q := common(x, y), common(y, x); !slices.Equal(p, q) {
			d.found = append(d.found, Difference{path, "in the order " + strings.Join(p, ", "), "in the order " + strings.Join(q, ", "), b.Line})
		}
	}
}

type member struct {
	name string
	node *yaml.Node
	line int
}

// named returns what a mapping holds, or a list of things that each have a name of their own.
func named(n *yaml.Node) (out []member, ok bool) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			out = append(out, member{n.Content[i].Value, n.Content[i+1], n.Content[i].Line})
		}
		return out, true
	case yaml.SequenceNode:
		for _, item := range n.Content {
			name := ""
			for _, key := range []string{"id", "field", "name"} {
				if v := valueOf(resolved(item), key); v != "" && name == "" {
					name = v
				}
			}
			if name == "" || slices.ContainsFunc(out, func(m member) bool { return m.name == name }) {
				return nil, false
			}
			out = append(out, member{name, item, item.Line})
		}
		return out, len(out) > 0
	}
	return nil, false
}

func valueOf(n *yaml.Node, key string) string {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1].Value
		}
	}
	return ""
}

func resolved(n *yaml.Node) *yaml.Node {
	for hops := 0; n.Kind == yaml.AliasNode && hops < maxDepth; hops++ {
		n = n.Alias
	}
	return n
}

// plain writes a value in one line.
func plain(n *yaml.Node) string {
	var b strings.Builder
	write(&b, n, 0)
	return b.String()
}

func write(b *strings.Builder, n *yaml.Node, depth int) {
	n = resolved(n)
	if depth > maxDepth || b.Len() > maxPlain {
		b.WriteString("…")
		return
	}
	switch n.Kind {
	case yaml.MappingNode, yaml.SequenceNode:
		open, step := "[", 1
		if n.Kind == yaml.MappingNode {
			open, step = "{", 2
		}
		b.WriteString(open)
		for i := 0; i+step <= len(n.Content); i += step {
			if i > 0 {
				b.WriteString(", ")
			}
			if step == 2 {
				b.WriteString(n.Content[i].Value + ": ")
			}
			write(b, n.Content[i+step-1], depth+1)
		}
		b.WriteString(map[string]string{"[": "]", "{": "}"}[open])
	default:
		b.WriteString(strings.Join(strings.Fields(n.Value), " "))
	}
}

// maxPlain bounds how much of a value is written: a person reads it.
const maxPlain = 4000
