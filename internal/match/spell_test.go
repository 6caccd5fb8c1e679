package match

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// shown writes spans for a test to read: ~spelt~ and *counts*.
func shown(list []Span) string {
	var b strings.Builder
	for _, s := range list {
		sign := []string{"", "~", "*"}[s.Mark]
		b.WriteString(sign + s.Text + sign)
	}
	return b.String()
}

func TestSpell(t *testing.T) {
	m := Default()
	for _, c := range []struct{ a, b, left, right string }{
		{"Nordzucker AG", "Nordzucker AG", "Nordzucker AG", "Nordzucker AG"},
		{"NORDZUCKER", "Nordzucker", "N~ORDZUCKER~", "N~ordzucker~"},
		{"Nordzucker Holding AG", "Nordzucker AG", "Nordzucker *Holding *AG", "Nordzucker AG"},
		{"Nord-Zuker", "Nordzucker", "Nord~-Z~uker", "Nord~z~u*c*ker"},
		{"Société Générale", "Societe Generale SA", "Soci~é~t~é~ G~é~n~é~rale", "Soci~e~t~e~ G~e~n~e~rale ~SA~"},
		{"Smith & Sons Ltd", "Smith and Sons Limited", "Smith ~&~ Sons ~Ltd~", "Smith ~and~ Sons ~Limited~"},
		{"Acme GmbH", "Acme Inc", "Acme *GmbH*", "Acme *Inc*"},
	} {
		l, r := m.Spell(c.a, c.b)
		if shown(l) != c.left || shown(r) != c.right {
			t.Errorf("%s | %s: %s | %s, want %s | %s", c.a, c.b, shown(l), shown(r), c.left, c.right)
		}
	}
}

// Whatever is written, nothing of it is lost, and the same text has no marks.
func FuzzSpell(f *testing.F) {
	for _, s := range []string{"Müller & Söhne GmbH", "株式会社トヨタ", "a  b ", "", " ", "Nord-Zuker d/b/a X", "\xff\xfe", strings.Repeat("ab ", 60)} {
		f.Add(s, "Mueller und Soehne")
		f.Add("Mueller und Soehne", s)
	}
	m := Default()
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 500 || len(b) > 500 || !utf8.ValidString(a) || !utf8.ValidString(b) {
			t.Skip()
		}
		text := func(list []Span) (s string) {
			for _, x := range list {
				s += x.Text
			}
			return s
		}
		l, r := m.Spell(a, b)
		if text(l) != a || text(r) != b {
			t.Fatalf("%q, %q of %q, %q", text(l), text(r), a, b)
		}
		if l, r = m.Spell(a, a); shown(l) != a || shown(r) != a {
			t.Fatalf("%q differs from itself: %v, %v", a, l, r)
		}
		if l, r = SpellField(a, b, true); text(l) != a || text(r) != b {
			t.Fatalf("%q, %q of %q, %q", text(l), text(r), a, b)
		}
	})
}
