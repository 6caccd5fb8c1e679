// Package document reads the YAML documents that people write for dibs, policies and territory plans, and says of
// everything wrong in them where it stands: line, column and path.
//
// Reading is strict. A field nobody knows, a field given twice, a value of another type, a second document in the
// file and a document over its size limit are errors, all reported at once. The package knows YAML and positions; what the
// documents mean is the business of its callers, who report through Add and so get the same positions.
package document

import (
	"cmp"
	"encoding"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	maxDepth  = 50      // of nesting: no document of ours needs ten
	maxUnfold = 100_000 // nodes read through aliases, counted every time: bounds what a small file can unfold to
	maxErrors = 100     // reported: who has more starts with these
)

// Error is one thing wrong with a document.
type Error struct {
	Line    int    `json:"line"`   // from 1
	Column  int    `json:"column"` // from 1, in characters
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
}

func (e Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
	}
	return fmt.Sprintf("%d:%d: %s: %s", e.Line, e.Column, e.Path, e.Message)
}

// Errors is everything wrong with a document, in the order of the text. It is an error when it is not empty.
type Errors []Error

func (e Errors) Error() string {
	parts := make([]string, len(e))
	for i, x := range e {
		parts[i] = x.Error()
	}
	return strings.Join(parts, "\n")
}

// Path names a place in a document: field names and list positions from the root.
type Path []any

// Of returns the path extended by more steps. It never shares memory with p.
func (p Path) Of(steps ...any) Path { return append(slices.Clip(p), steps...) }

func (p Path) String() string {
	var b strings.Builder
	for _, s := range p {
		switch s := s.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", s)
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			fmt.Fprint(&b, s)
		}
	}
	return b.String()
}

// Reader reads one document and collects what is wrong with it.
type Reader struct {
	root  *yaml.Node
	lines []string
	lost  []string // top-level fields that are not YAML
	alias int      // aliases around the node that is being read
	nodes int      // read through them
	errs  Errors
	more  bool // there were more than maxErrors

	// Expand, if not nil, rewrites the text of dates, amounts and the like before they are read.
	Expand func(string) string
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// Parse reads src, of at most limit bytes, as one YAML document. What is wrong already is in the Reader's Err.
func Parse(src []byte, limit int) *Reader {
	r := &Reader{}
	if len(src) > limit {
		r.fail(1, 1, "", "the document has %d bytes; at most %d are read", len(src), limit)
		return r
	}
	r.lines = strings.Split(string(src), "\n")
	dec := yaml.NewDecoder(strings.NewReader(string(src)))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if err.Error() == "EOF" {
			r.fail(1, 1, "", "the document is empty")
			return r
		}
		r.salvage(err)
		return r
	}
	if err := dec.Decode(&second); err == nil {
		r.fail(second.Line, second.Column, "", "a second document begins here; write one document per file")
	} else if err.Error() != "EOF" {
		r.syntax(err)
	}
	if len(doc.Content) == 1 {
		r.root = doc.Content[0]
	}
	if r.root == nil || r.root.Kind != yaml.MappingNode {
		r.fail(1, 1, "", "the document is not a mapping of fields to values")
		r.root = nil
	}
	return r
}

// salvage reads a document that is not YAML as far as it is: each top-level field by itself. So what is wrong is reported of all
// of them at once, and a slip in one hides nothing in the others. err is what is wrong with the whole.
func (r *Reader) salvage(err error) {
	root := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1, Column: 1}
	for i := 0; i < len(r.lines); {
		m := topLevel.FindStringSubmatch(r.lines[i])
		begin := i
		for i++; i < len(r.lines) && !topLevel.MatchString(r.lines[i]); i++ {
		}
		if m == nil {
			continue // comments, and what else stands before the first field
		}
		n, wrong := r.part(begin, begin+1, i)
		if wrong == nil {
			root.Content = append(root.Content, n.Content...)
			continue
		}
		r.lost = append(r.lost, m[1])
		if strings.Contains(wrong.Error(), "unknown anchor") {
			continue // it may be in another field
		}
		before := len(r.errs)
		mark := "\x00"
		for j := begin + 1; j < i && !r.more; { // one slip for each item of a list
			item := j
			if m := listItem.FindString(r.lines[item]); m != "" && mark == "\x00" {
				mark = m
			}
			for j++; j < i && !strings.HasPrefix(r.lines[j], mark); j++ {
			}
			if _, slip := r.part(begin, item, j); slip != nil && !strings.Contains(slip.Error(), "unknown anchor") {
				r.syntax(slip)
			}
		}
		if len(r.errs) == before {
			r.syntax(wrong)
		}
	}
	if len(r.errs) == 0 { // what is wrong is between the fields
		r.lost = nil
		r.syntax(err)
		return
	}
	if len(root.Content) > 0 {
		r.root = root
	}
}

var (
	topLevel = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)\s*:(?:\s|$)`)
	listItem = regexp.MustCompile(`^ *- `)
)

// part reads the line with a field's name and those from item to before end, and puts what it finds, or what is wrong, in its
// place in the document.
func (r *Reader) part(field, item, end int) (*yaml.Node, error) {
	var doc yaml.Node
	err := yaml.Unmarshal([]byte(strings.Join(append([]string{r.lines[field]}, r.lines[item:end]...), "\n")), &doc)
	if err == nil && (len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode) {
		err = fmt.Errorf("yaml: line 1: did not find expected key")
	}
	if m := yamlLine.FindStringSubmatch(fmt.Sprint(err)); err != nil && m != nil {
		line, _ := strconv.Atoi(m[1])
		return nil, fmt.Errorf("yaml: line %d: %s", item+max(line, 1)-1, m[2])
	}
	if err != nil {
		return nil, err
	}
	shift(doc.Content[0], field)
	return doc.Content[0], nil
}

func shift(n *yaml.Node, lines int) {
	n.Line += lines
	for _, c := range n.Content {
		shift(c, lines)
	}
}

// Readable reports whether there is anything to read, whatever is wrong with it.
func (r *Reader) Readable() bool { return r.root != nil }

// Lost reports whether one of the top-level fields could not be read, because it is not YAML. Nothing is reported of what is
// in it, and what should be.
func (r *Reader) Lost(fields ...string) bool {
	return slices.ContainsFunc(fields, func(f string) bool { return slices.Contains(r.lost, f) })
}

func (r *Reader) syntax(err error) {
	m := yamlLine.FindStringSubmatch(err.Error())
	if m == nil {
		r.fail(1, 1, "", "not YAML: %v", err)
		return
	}
	line, _ := strconv.Atoi(m[1])
	column := 1
	if strings.HasPrefix(m[2], "did not find expected") { // the parser counts lines from 0 where its scanner counts from 1
		line = min(line+1, len(r.lines))
	}
	for _, c := range cures {
		if !strings.Contains(m[2], c.of) {
			continue
		}
		for l := max(line, 1); l <= min(line+1, len(r.lines)); l++ { // the parser names the line before in some cases
			if at := c.where.FindStringIndex(r.lines[l-1]); at != nil {
				line, column = l, len([]rune(r.lines[l-1][:at[1]]))
				break
			}
		}
		r.fail(max(line, 1), column, "", "not YAML: %s: %s", m[2], c.cure)
		return
	}
	r.fail(max(line, 1), 1, "", "not YAML: %s", m[2])
}

// cures say what to do about what a parser of YAML complains of, and where in the line that is: where a match ends.
var cures = []struct {
	of    string
	where *regexp.Regexp
	cure  string
}{
	{"tab character", regexp.MustCompile(`\t`), "indent with spaces"},
	{"cannot start any token", regexp.MustCompile("^\\s*\t|[:\\[,{-]\\s+[>@`%|]"), "put a text that begins with a sign in quotes (\">=5000\"), and indent with spaces, not tabs"},
	{"mapping values are not allowed", regexp.MustCompile(`^[^:]*:[^:]*:`), "put a text with a colon in quotes, and begin the fields of one mapping in the same column"},
	{"did not find expected", regexp.MustCompile(`^\s*\S`), "look for a bracket or quote that is not closed, or a line that is not indented like its neighbours"},
}

func (r *Reader) fail(line, col int, path, format string, args ...any) {
	if len(r.errs) < maxErrors {
		r.errs = append(r.errs, Error{max(line, 1), max(col, 1), path, fmt.Sprintf(format, args...)})
	} else {
		r.more = true
	}
}

// Err returns everything found so far as Errors, in the order of the text, or nil.
func (r *Reader) Err() error {
	out := Join(r.errs)
	if out == nil {
		return nil
	}
	if last := out[len(out)-1]; r.more {
		out = append(out, Error{last.Line, last.Column, "", fmt.Sprintf("only the first %d errors are shown", len(out))})
	}
	return out
}

// Join puts what several readers of one document found in the order of the text, each once.
func Join(lists ...Errors) Errors {
	out := slices.Concat(lists...)
	slices.SortFunc(out, func(a, b Error) int { // to the last field, so that the same document gives the same report
		return cmp.Or(a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Path, b.Path), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(out) // a part that is read twice is reported once
}

// Add reports something wrong at a path. A path that is not in the document, because a field is missing, is reported
// at the nearest thing around it.
func (r *Reader) Add(p Path, format string, args ...any) {
	if len(p) > 0 {
		if top, ok := p[0].(string); ok && r.Lost(top) {
			return
		}
	}
	_, line, col, _ := r.find(p)
	r.fail(line, col, p.String(), format, args...)
}

// Place returns the line and column at which Add would report something wrong at p.
func (r *Reader) Place(p Path) (line, column int) {
	_, line, column, _ = r.find(p)
	return line, column
}

// AddWithin reports something wrong inside the scalar at a path: at a line (from 1) and column (from 0) of its
// value, as a parser of that value counts.
func (r *Reader) AddWithin(p Path, line, col int, format string, args ...any) {
	n, _, _, ok := r.find(p)
	if !ok || n.Kind != yaml.ScalarNode {
		r.Add(p, format, args...)
		return
	}
	l, c := n.Line, n.Column
	switch n.Style {
	case 0: // plain
		if line == 1 {
			c += col
		} else {
			l += line - 1
		}
	case yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle:
		if line == 1 && !strings.Contains(n.Value, "\n") && r.sameLine(n) {
			c += 1 + col + r.escapes(n, col)
		}
	case yaml.LiteralStyle:
		l += line
		c = r.indent(l) + col + 1
	case yaml.FoldedStyle: // its line breaks are not the value's: the first line is the best that can be said
		l++
		c = r.indent(l) + 1
	}
	r.fail(l, c, p.String(), format, args...)
}

// sameLine reports whether a quoted scalar is written in one line, so that columns of the value can be found.
func (r *Reader) sameLine(n *yaml.Node) bool {
	if n.Line-1 >= len(r.lines) {
		return false
	}
	rest := []rune(r.lines[n.Line-1])
	return n.Column <= len(rest) && len(rest)-n.Column > len([]rune(n.Value))
}

// escapes counts the quotes doubled before character col of a single-quoted scalar.
func (r *Reader) escapes(n *yaml.Node, col int) int {
	if n.Style != yaml.SingleQuotedStyle {
		return 0
	}
	v := []rune(n.Value)
	return strings.Count(string(v[:min(col, len(v))]), "'")
}

func (r *Reader) indent(line int) int {
	if line-1 >= len(r.lines) {
		return 0
	}
	s := r.lines[line-1]
	return len(s) - len(strings.TrimLeft(s, " "))
}

// find returns the node at p and where to point for it. When there is none, ok is false, and the nearest thing around
// it is returned.
func (r *Reader) find(p Path) (n *yaml.Node, line, col int, ok bool) {
	n = r.root
	if n == nil {
		return nil, 1, 1, false
	}
	line, col = n.Line, n.Column
	for _, step := range p {
		for hops := 0; n.Kind == yaml.AliasNode && hops < maxDepth; hops++ {
			n = n.Alias
		}
		var next *yaml.Node
		switch s := step.(type) {
		case int:
			if n.Kind == yaml.SequenceNode && s < len(n.Content) {
				next = n.Content[s]
				line, col = next.Line, next.Column
			}
		case string:
			for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
				if k := n.Content[i]; k.Value == s {
					next = n.Content[i+1]
					line, col = next.Line, next.Column
					if next.Kind == yaml.MappingNode && next.Style == 0 {
						line, col = k.Line, k.Column // a block begins at its first key; the reader looks for the name above it
					}
					break
				}
			}
		}
		if next == nil {
			return n, line, col, false
		}
		n = next
	}
	return n, line, col, true
}

// Has reports whether the document gives the field at p.
func (r *Reader) Has(p ...any) bool {
	_, _, _, ok := r.find(p)
	return ok
}

// Null reports whether the document gives the field at p, and gives it no value.
func (r *Reader) Null(p Path) bool {
	n, _, _, ok := r.find(p)
	return ok && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// Keys returns the keys of the mapping at p, in the order of the text.
func (r *Reader) Keys(p ...any) []string {
	n, _, _, ok := r.find(p)
	if !ok || n.Kind != yaml.MappingNode {
		return nil
	}
	var out []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		out = append(out, n.Content[i].Value)
	}
	return out
}

// Peek returns the scalar at the top-level field, without reporting anything.
func (r *Reader) Peek(field string) string {
	n, _, _, ok := r.find(Path{field})
	if !ok {
		return ""
	}
	return n.Value
}

// Read fills v, a pointer to a struct with yaml tags, from the whole document. Reading into a struct that holds
// values already replaces what the document gives and leaves the rest.
func (r *Reader) Read(v any) { r.ReadAt(nil, v) }

// ReadAt is Read for the part of the document at p. It does nothing when the document has no such part.
func (r *Reader) ReadAt(p Path, v any) {
	if n, _, _, ok := r.find(p); ok {
		r.read(n, p, reflect.ValueOf(v).Elem(), 0)
	}
}

// ReadField fills the field of v, a pointer to a struct, that a dotted name such as customer.country spells, from the
// part of the document at p. It reports a name v has no field for.
func (r *Reader) ReadField(p Path, v any, name string) {
	n, line, col, ok := r.find(p)
	if !ok {
		return
	}
	at := reflect.ValueOf(v).Elem()
	for part := range strings.SplitSeq(name, ".") {
		for at.Kind() == reflect.Pointer {
			at = at.Elem()
		}
		var f reflect.Value
		if at.Kind() == reflect.Struct {
			f, ok = field(at, part)
		}
		if at.Kind() == reflect.Map && at.Type().Elem().Kind() == reflect.String {
			if at.IsNil() {
				at.Set(reflect.MakeMap(at.Type()))
			}
			s := reflect.New(at.Type().Elem()).Elem()
			if !asWritten(n, s) {
				r.read(n, p, s, 0)
			}
			at.SetMapIndex(reflect.ValueOf(part), s)
			return
		}
		if at.Kind() != reflect.Struct || !ok {
			hint := ""
			if at.Kind() == reflect.Struct {
				if hint = Nearest(part, fieldNames(at.Type())); hint != "" {
					hint = "; did you mean " + hint + "?"
				}
			}
			r.fail(line, col, p.String(), "there is no field %q in %s%s", part, name, hint)
			return
		}
		at = f
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		at.SetZero()
		return
	}
	r.read(n, p, at, 0)
}

// Len returns the length of the list at p.
func (r *Reader) Len(p ...any) int {
	n, _, _, ok := r.find(p)
	if !ok || n.Kind != yaml.SequenceNode {
		return 0
	}
	return len(n.Content)
}

// Part is a part of a document that is left for another reader, or for later: whatever it holds, it is passed over.
type Part struct{}

// Short is a type that can also be written as one word, such as an amount of money.
type Short interface{ UnmarshalShort(text string) error }

// Scalar is a value whose type the document chooses. Value is nil, a string, a bool, an int64, a float64 or, for a
// list of texts, a []string.
type Scalar struct{ Value any }

// asWritten keeps a value under a name that is not ours as its text: what true or 1.50 mean there is for others to say.
func asWritten(n *yaml.Node, v reflect.Value) bool {
	if v.Kind() != reflect.String || n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		return false
	}
	v.SetString(n.Value)
	return true
}

func (r *Reader) read(n *yaml.Node, p Path, v reflect.Value, depth int) {
	if n.Kind == yaml.AliasNode {
		r.alias++
		defer func() { r.alias-- }()
		n = n.Alias
	}
	if r.alias > 0 {
		r.nodes++
	}
	if depth > maxDepth || r.nodes > maxUnfold {
		if depth > maxDepth || r.nodes == maxUnfold+1 {
			r.fail(n.Line, n.Column, p.String(), "the document is nested too deeply, or its aliases unfold to too much")
		}
		return
	}
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		r.fail(n.Line, n.Column, p.String(), "YAML reads ! as a mark of its own: put '%s' in quotes", strings.TrimSpace(n.Tag+" "+n.Value))
		return
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return // an empty value is an absent one
	}
	bad := func(want string) {
		got := map[yaml.Kind]string{yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list"}[n.Kind]
		if got == "" {
			got = strconv.Quote(n.Value)
		}
		r.fail(n.Line, n.Column, p.String(), "%s is not %s", got, want)
	}
	if v.CanAddr() {
		if s, ok := v.Addr().Interface().(*Scalar); ok {
			r.scalar(n, p, s, bad)
			return
		}
		if t, ok := v.Addr().Interface().(*Texts); ok {
			r.texts(n, p, t, depth, bad)
			return
		}
		if _, ok := v.Addr().Interface().(*Part); ok {
			return
		}
		if u, ok := v.Addr().Interface().(Short); ok && n.Kind == yaml.ScalarNode {
			if err := u.UnmarshalShort(n.Value); err != nil {
				r.fail(n.Line, n.Column, p.String(), "%v", err)
			}
			return
		}
		if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok && n.Kind == yaml.ScalarNode {
			text := n.Value
			if r.Expand != nil {
				text = r.Expand(text)
			}
			if err := u.UnmarshalText([]byte(text)); err != nil {
				r.fail(n.Line, n.Column, p.String(), "%v", err)
			}
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		r.read(n, p, v.Elem(), depth+1)
	case reflect.Struct:
		r.mapping(n, p, bad, func(key string, kn, vn *yaml.Node) {
			f, ok := field(v, key)
			if !ok {
				meant := r.unknown(kn, p, key, v.Type())
				if meant == "" || has(n, meant) {
					return
				}
				kn.Value, key = meant, meant // so that what is wrong in it is said too, and it is not missed elsewhere
				f, _ = field(v, key)
			}
			r.read(vn, p.Of(key), f, depth+1)
		})
	case reflect.Map:
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		r.mapping(n, p, bad, func(key string, _, vn *yaml.Node) {
			x := reflect.New(v.Type().Elem()).Elem()
			if !asWritten(vn, x) {
				r.read(vn, p.Of(key), x, depth+1)
			}
			v.SetMapIndex(reflect.ValueOf(key), x)
		})
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			if v.Type().Elem().Kind() == reflect.Struct {
				bad("a list; begin each item with a hyphen: - {…}")
				return
			}
			bad("a list; write [a, b]")
			return
		}
		out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
		for i, c := range n.Content {
			r.read(c, p.Of(i), out.Index(i), depth+1)
		}
		v.Set(out)
	case reflect.String:
		if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!bool" || n.ShortTag() == "!!binary" {
			bad("text; put it in quotes if it is meant as text")
			return
		}
		v.SetString(n.Value) // as written: 01067 stays a postal code
	case reflect.Bool:
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
			bad("true or false")
			return
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case reflect.Int, reflect.Int64:
		i, err := parseInt(n)
		if err != nil {
			bad("a whole number; write digits, such as 90")
			return
		}
		v.SetInt(i)
	case reflect.Float64:
		f, err := parseFloat(n)
		if err != nil {
			bad("a number; write digits, such as 1500.50")
			return
		}
		v.SetFloat(f)
	default:
		panic("document: cannot read into " + v.Type().String())
	}
}

func parseInt(n *yaml.Node) (int64, error) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 10, 64)
}

func parseFloat(n *yaml.Node) (float64, error) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" && n.ShortTag() != "!!float" {
		return 0, strconv.ErrSyntax
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64)
	if err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
		err = strconv.ErrRange
	}
	return f, err
}

func (r *Reader) scalar(n *yaml.Node, p Path, s *Scalar, bad func(string)) {
	switch {
	case n.Kind == yaml.SequenceNode:
		var list []string
		r.read(n, p, reflect.ValueOf(&list).Elem(), 0)
		s.Value = list
	case n.Kind != yaml.ScalarNode:
		bad("a single value")
	case n.ShortTag() == "!!bool":
		s.Value = strings.EqualFold(n.Value, "true")
	case n.ShortTag() == "!!int":
		i, err := parseInt(n)
		if err != nil {
			bad("a whole number; write digits, such as 90")
			return
		}
		s.Value = i
	case n.ShortTag() == "!!float":
		f, err := parseFloat(n)
		if err != nil {
			bad("a finite number")
			return
		}
		s.Value = f
	default:
		s.Value = n.Value
	}
}

func (r *Reader) mapping(n *yaml.Node, p Path, bad func(string), each func(key string, kn, vn *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		bad("a mapping of fields to values; write {field: value}")
		return
	}
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		switch {
		case k.Kind != yaml.ScalarNode:
			r.fail(k.Line, k.Column, p.String(), "a field's name must be plain text")
		case seen[k.Value]:
			r.fail(k.Line, k.Column, p.Of(k.Value).String(), "%q is given twice", k.Value)
		default:
			seen[k.Value] = true
			each(k.Value, k, n.Content[i+1])
		}
	}
}

// nameOf returns what a field of a struct is called in a document: its yaml tag, else its name in JSON, so that
// records are written in documents as they are in the API.
func nameOf(f reflect.StructField) string {
	if tag, ok := f.Tag.Lookup("yaml"); ok {
		return tag
	}
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// field returns the field of the struct whose name is key, looking into embedded structs.
func field(v reflect.Value, key string) (reflect.Value, bool) {
	t := v.Type()
	for i := range t.NumField() {
		if t.Field(i).Anonymous {
			if f, ok := field(v.Field(i), key); ok {
				return f, true
			}
		} else if nameOf(t.Field(i)) == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func fieldNames(t reflect.Type) (out []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			out = append(out, fieldNames(f.Type)...)
		} else if name := nameOf(f); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// unknown reports a field nobody knows, and returns the one that is meant, if one is like it.
func (r *Reader) unknown(n *yaml.Node, p Path, key string, t reflect.Type) (meant string) {
	names := fieldNames(t)
	if near := Nearest(key, names); near != "" {
		r.fail(n.Line, n.Column, p.Of(key).String(), "there is no field %q here; did you mean %q?", key, near)
		return near
	}
	r.fail(n.Line, n.Column, p.Of(key).String(), "there is no field %q here; there are %s", key, strings.Join(names, ", "))
	return ""
}

// has reports whether a mapping has the key.
func has(n *yaml.Node, key string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}

// Nearest returns the word of the list that is at most a third of word away in edits, or nothing.
func Nearest(word string, list []string) string {
	best, at := "", max(1, len(word)/3)+1
	for _, w := range list {
		if d := edits(word, w); d < at {
			best, at = w, d
		}
	}
	return best
}

// edits counts the letters to change, insert, delete or swap with their neighbour to make a into b.
func edits(a, b string) int {
	if len(a) > 100 || len(b) > 100 {
		return 100
	}
	before, row := make([]int, len(b)+1), make([]int, len(b)+1) // of the two letters of a before this one
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

// Texts is a sentence in one or several languages: plain text, which is English, or a mapping of BCP 47 tags to
// texts. The key of English is en.
type Texts map[string]string

func (r *Reader) texts(n *yaml.Node, p Path, t *Texts, depth int, bad func(string)) {
	switch n.Kind {
	case yaml.ScalarNode:
		*t = Texts{"en": n.Value}
	case yaml.MappingNode:
		m := map[string]string{}
		r.read(n, p, reflect.ValueOf(&m).Elem(), depth+1)
		*t = m
	default:
		bad("text, or a mapping of languages to texts")
	}
}
