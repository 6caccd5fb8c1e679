package document

import (
	"errors"
	"strings"
	"testing"
)

type sample struct {
	Name   string            `yaml:"name"`
	Count  int               `yaml:"count"`
	Ratio  float64           `yaml:"ratio"`
	On     bool              `yaml:"on"`
	List   []string          `yaml:"list"`
	Map    map[string]inner  `yaml:"map"`
	Inner  *inner            `yaml:"inner"`
	Any    Scalar            `yaml:"any"`
	Text   Texts             `yaml:"text"`
	Nested []inner           `yaml:"nested"`
	Pairs  map[string]string `yaml:"pairs"`
}

type inner struct {
	Value string `yaml:"value"`
	Deep  *inner `yaml:"deep"`
}

func read(doc string) (sample, *Reader) {
	var s sample
	r := Parse([]byte(doc), 1<<16)
	r.Read(&s)
	return s, r
}

func TestRead(t *testing.T) {
	t.Parallel()
	s, r := read(`
name: 01067
count: 1_000
ratio: 2
on: true
list: [a, "2", NO]
map: {x: {value: y}}
inner:
  value: z
any: 1.5
text: {en: a, de: b}
nested: &n
  - value: one
pairs: {k: v}
`)
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	if s.Name != "01067" || s.Count != 1000 || s.Ratio != 2 || !s.On || strings.Join(s.List, "") != "a2NO" || s.Map["x"].Value != "y" ||
		s.Inner.Value != "z" || s.Any.Value != 1.5 || s.Text["de"] != "b" || s.Nested[0].Value != "one" || s.Pairs["k"] != "v" {
		t.Errorf("%+v", s)
	}
	if got := strings.Join(r.Keys("text"), " "); got != "en de" {
		t.Errorf("keys %s", got)
	}
	if !r.Has("nested", 0, "value") || r.Has("nested", 1) || r.Has("nope") || r.Peek("name") != "01067" || r.Peek("nope") != "" {
		t.Error("Has or Peek")
	}
	// A value under a name of the writer's own is kept as it is written.
	var own sample
	mine := Parse([]byte("pairs: {a: true, b: 1.50, c: 012, d: \"x\"}"), 100)
	if mine.Read(&own); mine.Err() != nil {
		t.Error(mine.Err())
	}
	if p := own.Pairs; p["a"] != "true" || p["b"] != "1.50" || p["c"] != "012" || p["d"] != "x" {
		t.Errorf("%v", p)
	}
	// Reading again replaces what the document gives and leaves the rest.
	later := sample{Name: "x", Inner: &inner{Value: "old"}}
	Parse([]byte("inner: {deep: {value: new}}"), 100).Read(&later)
	if later.Name != "x" || later.Inner.Value != "old" || later.Inner.Deep.Value != "new" {
		t.Errorf("%+v", later)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ doc, want string }{
		{"", "1:1: the document is empty"},
		{"- a", "1:1: the document is not a mapping of fields to values"},
		{"name: [", "1:1: not YAML: did not find expected node content"},
		{"name: a\nnmae: b", `2:1: nmae: there is no field "nmae" here; did you mean "name"?`},
		{"name: a\nname: b", `2:1: name: "name" is given twice`},
		{"count: many", `1:8: count: "many" is not a whole number`},
		{"count: 1.5", `1:8: count: "1.5" is not a whole number`},
		{"count: 99999999999999999999", `is not a whole number`},
		{"ratio: .inf", `1:8: ratio: ".inf" is not a number`},
		{"any: .nan", `1:6: any: ".nan" is not a finite number`},
		{"on: yes", `1:5: on: "yes" is not true or false`},
		{"name: true", `"true" is not text; put it in quotes if it is meant as text`},
		{"name: {a: b}", `a mapping is not text`},
		{"list: a", `1:7: list: "a" is not a list; write [a, b]`},
		{"inner: a", `1:8: inner: "a" is not a mapping of fields to values`},
		{"nested:\n  - value: a\n  - vaule: b", `3:5: nested[1].vaule: there is no field "vaule" here; did you mean "value"?`},
		{"map: {x: {y: z}}", `1:11: map.x.y: there is no field "y" here; there are value, deep`},
		{"any: {a: b}", `a mapping is not a single value`},
		{"text: [a]", `a list is not text, or a mapping of languages to texts`},
		{"? [a]\n: b", `a field's name must be plain text`},
		{"name: a\n---\nname: b", `a second document begins here`},
		{"inner: &a {deep: *a}", `nested too deeply`},
		{strings.Repeat("#", 1<<17), `at most 65536 are read`},
	} {
		_, r := read(c.doc)
		if r.Err() == nil || !strings.Contains(r.Err().Error(), c.want) {
			t.Errorf("%.40q:\n got %v\nwant %s", c.doc, r.Err(), c.want)
		}
		if a, b := r.Err(), r.Err(); a.Error() != b.Error() {
			t.Errorf("asked twice: %v, then %v", a, b)
		}
		if c.doc != "" && len(c.doc) < 100 {
			var list Errors
			if !errors.As(r.Err(), &list) || list[0].Line < 1 || list[0].Column < 1 {
				t.Errorf("%q: %v has no place", c.doc, r.Err())
			}
		}
	}
}

// A small file must not unfold to a large one.
func TestAliases(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		n := string(rune('0' + i))
		p := string(rune('0' + i - 1))
		b.WriteString("a" + n + ": &a" + n + " [*a" + p + ", *a" + p + ", *a" + p + ", *a" + p + ", *a" + p + ", *a" + p + ", *a" + p + ", *a" + p + ", *a" + p + ", *a" + p + "]\n")
	}
	b.WriteString("list: *a8\n")
	var v struct {
		List [][][][][][][][][]string `yaml:"list"`
	}
	r := Parse([]byte(b.String()), 1<<16)
	r.Read(&v)
	if r.Err() == nil || !strings.Contains(r.Err().Error(), "unfold to too much") {
		t.Errorf("%.300v", r.Err())
	}
}

func TestAddWithin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		doc       string
		line, col int // of the value
		want      string
	}{
		{"name: abc", 1, 2, "1:9"},
		{"name: 'abc'", 1, 2, "1:10"},
		{"name: 'it''s x'", 1, 5, "1:14"},
		{`name: "abc"`, 1, 2, "1:10"},
		{"name: |\n  abc\n  def", 2, 1, "3:4"},
		{"name: >-\n    abc\n    def", 1, 6, "2:5"},
		{"count: 3", 1, 0, "1:1"},
	} {
		_, r := read(c.doc)
		r.AddWithin(Path{"name"}, c.line, c.col, "here")
		if got := r.Err().Error(); !strings.HasPrefix(got, c.want+":") {
			t.Errorf("%q at %d:%d of the value: %s, want %s", c.doc, c.line, c.col, got, c.want)
		}
	}
}

func TestManyErrors(t *testing.T) {
	t.Parallel()
	_, r := read("list:\n" + strings.Repeat("  - true\n", 500))
	var list Errors
	if !errors.As(r.Err(), &list) || len(list) != maxErrors+1 || list[maxErrors].Message != "only the first 100 errors are shown" {
		t.Errorf("%d errors, the last is %+v", len(list), list[len(list)-1])
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ word, want string }{{"titel", "title"}, {"Title", "title"}, {"priorty", "priority"}, {"x", ""}, {"zebra", ""}, {"", ""}} {
		if got := Nearest(c.word, []string{"title", "priority", "owner"}); got != c.want {
			t.Errorf("%q: %q, want %q", c.word, got, c.want)
		}
	}
	if got := (Path{"a", 1, "b"}).String(); got != "a[1].b" {
		t.Error(got)
	}
}

// money is written as a word or as a mapping.
type money struct {
	Value    int    `json:"value"`
	Currency string `json:"currency,omitempty"`
}

func (m *money) UnmarshalShort(text string) error {
	value, cur, ok := strings.Cut(text, " ")
	if !ok {
		return errors.New("no currency")
	}
	m.Value, m.Currency = len(value), cur
	return nil
}

type day struct{ text string }

func (d *day) UnmarshalText(b []byte) error { d.text = string(b); return nil }

type record struct {
	ID     string            `json:"id"`
	Amount money             `json:"amount,omitzero"`
	Day    day               `json:"day"`
	Inner  *inner            `json:"inner"`
	Custom map[string]string `json:"custom,omitempty"`
	Rest   Part              `yaml:"rest"`
}

// Records are written in documents as in JSON, field by field over what is there; parts are left for others.
func TestRecords(t *testing.T) {
	t.Parallel()
	r := Parse([]byte(`
one: {id: a, amount: 123 EUR, day: today, inner: {value: x}, rest: {any: [thing, 1]}}
two: {amount: {value: 5}}
set: {id: b, amount.currency: USD, custom.n: "7", inner.value: null, inner.vlaue: z, id.x: y}
list: [1, 2]
`), 1000)
	r.Expand = func(s string) string { return strings.Replace(s, "today", "2027-03-01", 1) }
	var v record
	r.ReadAt(Path{"one"}, &v)
	r.ReadAt(Path{"two"}, &v)
	if r.Err() != nil || v.ID != "a" || v.Amount != (money{5, "EUR"}) || v.Day.text != "2027-03-01" || v.Inner.Value != "x" {
		t.Fatalf("%+v, %v", v, r.Err())
	}
	for _, name := range []string{"id", "amount.currency", "custom.n", "inner.value"} {
		r.ReadField(Path{"set", name}, &v, name)
	}
	r.ReadField(Path{"set", "gone"}, &v, "id") // says nothing: the document has no such part
	if r.Err() != nil || v.ID != "b" || v.Amount.Currency != "USD" || v.Custom["n"] != "7" || v.Inner.Value != "" {
		t.Fatalf("%+v, %v", v, r.Err())
	}
	r.ReadField(Path{"set", "inner.vlaue"}, &v, "inner.vlaue")
	r.ReadField(Path{"set", "id.x"}, &v, "id.x")
	want := "4:83: set.inner.vlaue: there is no field \"vlaue\" in inner.vlaue; did you mean value?\n4:92: set.id.x: there is no field \"x\" in id.x"
	if r.Err() == nil || r.Err().Error() != want {
		t.Errorf("\n got %v\nwant %s", r.Err(), want)
	}
	if r.Len("list") != 2 || r.Len("one") != 0 || r.Len("none") != 0 {
		t.Error("Len")
	}
	bad := Parse([]byte("amount: 5\ntag: !mine x\n"), 100)
	var w struct {
		Amount money  `yaml:"amount"`
		Tag    string `yaml:"tag"`
	}
	bad.Read(&w)
	if err := bad.Err(); err == nil || !strings.Contains(err.Error(), "1:9: amount: no currency") || !strings.Contains(err.Error(), "2:6: tag: YAML reads ! as a mark of its own: put '!mine x' in quotes") {
		t.Errorf("%v", err)
	}
}

// A slip in one field hides nothing in the others, and one in an item of a list not those in other items.
func TestSalvage(t *testing.T) {
	t.Parallel()
	doc := `# a comment
name: x
count: many
nested:
  - value: a: b
  - value: one
  - {value: [}
  - {valu: two}
ratio: 0.5
list: [a, "b]
map: {x: {vale: y}}
any: *there
inner: &there {value: z}
`
	s, r := read(doc)
	var got []string
	for _, e := range all(t, r) {
		got = append(got, e.Error())
	}
	for i, want := range []string{
		`3:8: count: "many" is not a whole number`,
		"5:13: not YAML: mapping values are not allowed",
		"7:3: not YAML: did not find expected node content",
		`10:1: not YAML: found unexpected`,
		`11:11: map.x.vale: there is no field "vale" here; did you mean "value"?`,
	} {
		if i >= len(got) || !strings.HasPrefix(got[i], want) {
			t.Errorf("error %d is not %s in\n%s", i, want, strings.Join(got, "\n"))
		}
	}
	if s.Name != "x" || s.Ratio != 0.5 || s.Inner == nil || s.Inner.Value != "z" {
		t.Errorf("%+v", s)
	}
	if !r.Lost("nested") || !r.Lost("name", "list") || r.Lost("name", "count") || !r.Readable() {
		t.Error("what is lost")
	}
	r.Add(Path{"nested", 0, "value"}, "nothing is said of what is lost")
	if strings.Contains(r.Err().Error(), "nothing is said") {
		t.Error(r.Err())
	}
	// A long list of slips is read once, not once for each.
	big := Parse([]byte("nested:\n"+strings.Repeat("  - value: a: b\n", 200_000)), 1<<24)
	if n := len(all(t, big)); n != maxErrors+1 {
		t.Errorf("%d errors: %v", n, big.Err())
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	before := `# one
name: x
count: 1
rules:
  - {id: a, when: "x > 1"}
  - {id: b, when: y}
  - {id: c, then: [p, q]}
list: [a, b]
base: &base {value: z}
inner: *base
gone: {deep: [1, {k: v}]}
`
	after := `name: "x"      # two
count: 2
rules:
  - id: b
    when: y
  - id: a
    when: x >  1
  - id: c
    then: [p, r]
  - {id: d, when: w}
list: [a, b, c]
base: {value: z}
inner: {value: z}
new: |
  two
  lines
`
	found, err := Diff([]byte(before), []byte(after), 1000)
	if err != nil {
		t.Fatal(err)
	}
	want := []Difference{
		{"count", "1", "2", 2}, {"rules.c.then", "[p, q]", "[p, r]", 9}, {"rules.d", "", "{id: d, when: w}", 10}, {"rules", "in the order a, b, c", "in the order b, a, c", 4},
		{"list", "[a, b]", "[a, b, c]", 11}, {"new", "", "two lines", 14}, {"gone", "{deep: [1, {k: v}]}", "", 11},
	}
	if len(found) != len(want) {
		t.Fatalf("%+v", found)
	}
	for i := range want {
		if found[i] != want[i] {
			t.Errorf("%+v, want %+v", found[i], want[i])
		}
	}
	if _, err := Diff([]byte(before), []byte("a: [b"), 1000); err == nil {
		t.Error("what is not YAML differs in nothing")
	}
}

func all(t *testing.T, r *Reader) Errors {
	t.Helper()
	var errs Errors
	if !errors.As(r.Err(), &errs) {
		t.Fatalf("%v", r.Err())
	}
	return errs
}
