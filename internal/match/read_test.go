package match

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// describe spells out all of a prepared record that is told of any.
func describe(q *Query) string {
	own := *q
	own.names, own.disguised = nil, ""
	s := fmt.Sprintf("%+v", own)
	for i := range q.names {
		n := q.names[i]
		n.words = slices.Clone(n.words)
		for j := range n.words {
			n.words[j].hint = 0
		}
		s += fmt.Sprintf(" %+v", n)
	}
	return s
}

// TestReadingManyIsReadingEach: what a preparer remembers of one record changes nothing of the next.
func TestReadingManyIsReadingEach(t *testing.T) {
	m := Default()
	p := preparer{m: m, known: openLexicon()}
	rng := rand.New(rand.NewPCG(21, 22))
	raw := []string{"The Smith & Co. Ltd", "AT&T", "Acme Coropration", "Shiypard Services", "a b c holdings", "3 M Company", "Acme dba Zenith LLC", "Zenith d b a", "Forty Four Partners",
		"株式会社日立製作所", "北京百度网讯科技有限公司", "ООО Ромашка", "Cray (United Kingdom)", "Acme (!)", "Initech (GmbH)", "Contoso (Berlin)", "G00gle", "Müller Straßenbau GmbH", "Аcme Inc",
		"International Business Machines Corporatio", "Very Long Named Enterprises Incorporated d", "l'Oréal", "100% Design", "S.p.A. Ferrari", "smith s bakery", "", "...", "Inc"}
	var records []Record
	for i := range 5000 {
		r := organisation(rng, fmt.Sprint(i))
		for range rng.IntN(3) {
			r.Names = append(r.Names, raw[rng.IntN(len(raw))])
		}
		if rng.IntN(4) == 0 {
			r.Names[0] = raw[rng.IntN(len(raw))]
		}
		if rng.IntN(4) == 0 {
			r.ParentNames, r.Region, r.Street = raw[:rng.IntN(3)], "DE-BY", "12 Main St."
		}
		if rng.IntN(100) == 0 {
			r.Names = nil
		}
		records = append(records, r)
	}
	for len(records) > 0 {
		n := min(1+rng.IntN(600), len(records))
		i := 0
		p.all(records[:n], func(q *Query) {
			if got, want := describe(q), describe(m.Prepare(records[i])); got != want {
				t.Fatalf("%+v read after others is\n%s\nand alone\n%s", records[i], got, want)
			}
			i++
		})
		if i != n {
			t.Fatalf("%d of %d were read", i, n)
		}
		records = records[n:]
		if rng.IntN(4) == 0 {
			p.known = openLexicon()
		}
	}
}

// TestLexiconIsOneForAll: who read side by side have one lexeme for each text, and each another.
func TestLexiconIsOneForAll(t *testing.T) {
	const texts, readers = 5000, 4
	m, known := Default(), openLexicon()
	found := make([][texts]*lexeme, readers)
	var beside sync.WaitGroup
	for i := range readers {
		beside.Go(func() {
			p := preparer{m: m, known: known}
			for _, n := range rand.New(rand.NewPCG(7, uint64(i))).Perm(texts) {
				found[i][n] = p.lexeme(fmt.Sprintf("word%d", n))
			}
		})
	}
	beside.Wait()
	hints := map[uint32]bool{}
	for n, l := range found[0] {
		if want := fmt.Sprintf("word%d", n); l.text != want || known.at(l.word.hint) != l {
			t.Fatalf("%q is known as %q, %d", want, l.text, l.word.hint)
		}
		for i := range readers {
			if found[i][n] != l {
				t.Fatalf("%q is known twice", l.text)
			}
		}
		hints[l.word.hint] = true
	}
	if len(hints) != texts || int(known.count) != texts {
		t.Fatalf("%d words have %d hints of %d", texts, len(hints), known.count)
	}
}

// TestHeard: no word that the model knows is passed over.
func TestHeard(t *testing.T) {
	m := Default()
	for _, l := range []map[string]bool{m.places, m.towns, m.slips.kept, dropped, leading, firsts} {
		for w := range l {
			if !m.heard.has(w) {
				t.Fatalf("%q was never heard", w)
			}
		}
	}
	for w := range m.frequency {
		if !m.heard.has(w) {
			t.Fatalf("%q was never heard", w)
		}
	}
	for _, l := range []map[string]string{m.synonym, shortened, lengthened, numerals, things} {
		for w := range l {
			if !m.heard.has(w) {
				t.Fatalf("%q was never heard", w)
			}
		}
	}
	for w := range units {
		if !m.heard.has(w) {
			t.Fatalf("%q was never heard", w)
		}
	}
	unheard := 0
	for i := range 1000 {
		if w := fmt.Sprintf("zq%dxv", i); !m.heard.has(w) {
			unheard++
		}
	}
	if unheard < 700 {
		t.Errorf("only %d of 1000 words that nobody has are known to be nobody's", unheard)
	}
}
