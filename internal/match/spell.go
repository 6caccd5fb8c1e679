package match

import (
	"slices"
	"strings"
	"unicode"

	"github.com/agnivade/levenshtein"
)

// Mark says what a difference between two spellings is to the matcher.
type Mark uint8

// The three levels of difference.
const (
	Equal  Mark = iota // the same letters
	Spelt              // other letters that are read as the same: ü and ue, & and und, GmbH left out
	Counts             // letters that make the two less alike
)

// Span is a piece of a text and what sets it apart from the other text.
type Span struct {
	Text string
	Mark Mark
}

// Spell sets two spellings of a name beside each other and marks where they differ, as the matcher reads them: it is for
// showing, and judges nothing. The spans of each side make up its text.
func (m *Model) Spell(a, b string) (left, right []Span) {
	x, y := m.tokens(a), m.tokens(b)
	var l, r spans
	for _, p := range alignTokens(x, y) {
		switch {
		case p[1] < 0:
			l.add(x[p[0]].raw, x[p[0]].alone())
		case p[0] < 0:
			r.add(y[p[1]].raw, y[p[1]].alone())
		default:
			m.pair(&l, &r, &x[p[0]], &y[p[1]])
		}
	}
	return l, r
}

// token is a word of a raw name, as written with the space behind it, and as the matcher reads it.
type token struct {
	raw   string
	canon string // its words, canonical, as one; empty: nothing is read
	form  bool   // a part of a legal form
	small bool   // a word that carries no meaning
}

// alone is what a word that has no counterpart is.
func (t *token) alone() Mark {
	if t.form || t.small || t.canon == "" {
		return Spelt
	}
	return Counts
}

func (m *Model) tokens(raw string) []token {
	var out []token
	for len(raw) > 0 {
		end := strings.IndexFunc(strings.TrimLeftFunc(raw, unicode.IsSpace), unicode.IsSpace)
		n := len(raw)
		if end >= 0 {
			n = len(raw) - len(strings.TrimLeftFunc(raw, unicode.IsSpace)) + end
			for n < len(raw) && raw[n] == ' ' {
				n++
			}
		}
		t := token{raw: raw[:n]}
		t.small = true
		for _, w := range words(t.raw) {
			t.canon += m.word(w).text
			t.small = t.small && dropped[w]
		}
		out, raw = append(out, t), raw[n:]
		if len(out) == 2*maxWords { // what is beyond is not compared either
			return append(out, token{raw: raw})
		}
	}
	// The words the matcher takes for a legal form are those that core leaves out, at either end.
	all := make([][]string, len(out))
	var flat []string
	for i := range out {
		all[i] = words(out[i].raw)
		flat = append(flat, all[i]...)
	}
	p := &preparer{m: m}
	inner, _ := p.core(p.lexemes(flat))
	core := make([]string, len(inner))
	for i, l := range inner {
		core[i] = l.text
	}
	first := 0
	for first+len(core) < len(flat) && !slices.Equal(flat[first:first+len(core)], core) {
		first++
	}
	at := 0
	for i := range out {
		n := len(all[i])
		out[i].form = n > 0 && (at+n <= first || at >= first+len(core))
		at += n
	}
	return out
}

// alignTokens pairs the words of two names in order, with the least to explain; -1 stands for none.
func alignTokens(x, y []token) [][2]int {
	cost := func(a, b *token) float64 {
		switch {
		case a.canon == b.canon:
			return 0
		case a.form != b.form || a.canon == "" || b.canon == "":
			return 2.1 // rather none than this
		case a.form:
			return 0.5
		}
		n := max(len([]rune(a.canon)), len([]rune(b.canon)))
		return 2.1 * float64(levenshtein.ComputeDistance(a.canon, b.canon)) / float64(n) * 1.4
	}
	d := make([][]float64, len(x)+1)
	for i := range d {
		d[i] = make([]float64, len(y)+1)
		for j := range d[i] {
			switch {
			case i == 0:
				d[i][j] = float64(j)
			case j == 0:
				d[i][j] = float64(i)
			default:
				d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost(&x[i-1], &y[j-1]))
			}
		}
	}
	var out [][2]int
	for i, j := len(x), len(y); i > 0 || j > 0; {
		switch {
		case i > 0 && j > 0 && d[i][j] == d[i-1][j-1]+cost(&x[i-1], &y[j-1]):
			i, j = i-1, j-1
			out = append(out, [2]int{i, j})
		case i > 0 && d[i][j] == d[i-1][j]+1:
			i--
			out = append(out, [2]int{i, -1})
		default:
			j--
			out = append(out, [2]int{-1, j})
		}
	}
	slices.Reverse(out)
	return out
}

// pair marks two words that stand for each other, letter by letter.
func (m *Model) pair(l, r *spans, x, y *token) {
	as := Counts
	switch {
	case x.canon == y.canon:
		as = Spelt
	case x.form && y.form:
		fx, fy := m.formOf[strings.Join(words(x.raw), " ")], m.formOf[strings.Join(words(y.raw), " ")]
		if m.sameForm(fx, fy) >= 0 {
			as = Spelt
		}
		l.add(x.raw, as)
		r.add(y.raw, as)
		return
	}
	a, b := []rune(x.raw), []rune(y.raw)
	for _, p := range alignRunes(a, b) {
		switch {
		case p[1] < 0:
			l.add(string(a[p[0]]), silent(a[p[0]], as))
		case p[0] < 0:
			r.add(string(b[p[1]]), silent(b[p[1]], as))
		case a[p[0]] == b[p[1]]:
			l.add(string(a[p[0]]), Equal)
			r.add(string(b[p[1]]), Equal)
		default:
			was := as
			if foldLetters(string(a[p[0]])) == foldLetters(string(b[p[1]])) {
				was = Spelt
			}
			l.add(string(a[p[0]]), was)
			r.add(string(b[p[1]]), was)
		}
	}
}

// silent is what a letter without a counterpart is: signs and spaces are not read.
func silent(r rune, as Mark) Mark {
	if unicode.IsSpace(r) {
		return Equal
	}
	if !isWord(r) {
		return Spelt
	}
	return as
}

// alignRunes pairs the letters of two words in order; -1 stands for none. Case and accents are little to explain, and so is a sign
// that only one has.
func alignRunes(a, b []rune) [][2]int {
	same := func(x, y rune) int {
		switch {
		case x == y:
			return 0
		case foldLetters(string(x)) == foldLetters(string(y)):
			return 1
		}
		return 3
	}
	alone := func(r rune) int {
		if isWord(r) {
			return 2
		}
		return 1
	}
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		for j := range d[i] {
			switch {
			case i == 0 && j == 0:
			case i == 0:
				d[i][j] = d[i][j-1] + alone(b[j-1])
			case j == 0:
				d[i][j] = d[i-1][j] + alone(a[i-1])
			default:
				d[i][j] = min(d[i-1][j]+alone(a[i-1]), d[i][j-1]+alone(b[j-1]), d[i-1][j-1]+same(a[i-1], b[j-1]))
			}
		}
	}
	var out [][2]int
	for i, j := len(a), len(b); i > 0 || j > 0; {
		switch {
		case i > 0 && j > 0 && d[i][j] == d[i-1][j-1]+same(a[i-1], b[j-1]):
			i, j = i-1, j-1
			out = append(out, [2]int{i, j})
		case i > 0 && d[i][j] == d[i-1][j]+alone(a[i-1]):
			i--
			out = append(out, [2]int{i, -1})
		default:
			j--
			out = append(out, [2]int{-1, j})
		}
	}
	slices.Reverse(out)
	return out
}

// spans joins neighbours of one mark.
type spans []Span

func (s *spans) add(text string, as Mark) {
	if text == "" {
		return
	}
	if n := len(*s); n > 0 && (*s)[n-1].Mark == as {
		(*s)[n-1].Text += text
		return
	}
	*s = append(*s, Span{text, as})
}

// SpellField is Spell for a field that is no name: a postal code, a domain. same says that the matcher takes the two for one.
func SpellField(a, b string, same bool) (left, right []Span) {
	if a == b || a == "" || b == "" {
		return []Span{{a, Equal}}, []Span{{b, Equal}}
	}
	as := Counts
	if same {
		as = Spelt
	}
	x, y := []rune(a), []rune(b)
	if n := max(len(x), len(y)); 2*levenshtein.ComputeDistance(a, b) > n || n > 200 { // nothing to see in single letters
		return []Span{{a, as}}, []Span{{b, as}}
	}
	var l, r spans
	for _, p := range alignRunes(x, y) {
		mark := Equal
		if p[0] < 0 || p[1] < 0 || x[p[0]] != y[p[1]] {
			mark = as
		}
		if p[0] >= 0 {
			l.add(string(x[p[0]]), mark)
		}
		if p[1] >= 0 {
			r.add(string(y[p[1]]), mark)
		}
	}
	return l, r
}
