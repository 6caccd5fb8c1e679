package match

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// What a part remembers of a word is what it would find out: whatever was asked before, and whoever died since.
func TestRemembered(t *testing.T) {
	t.Parallel()
	m := Default()
	x := NewIndex(m)
	x.Load(coined(20_000))
	x.settle()
	if len(x.parts) != 1 || x.parts[0].memory == nil {
		t.Fatalf("%d parts", len(x.parts))
	}
	var queries []*Query
	for r := range coined(300) {
		r.Names[0] = r.Names[0][:2] + r.Names[0][3:]
		queries = append(queries, m.Prepare(r))
	}
	search := func(forgetful bool) (out []string) {
		for _, q := range queries {
			if forgetful {
				x.parts[0].memory = newMemory(x.parts[0].vocabulary())
			}
			out = append(out, fmt.Sprint(x.Search(q, Options{}).Candidates))
		}
		return out
	}
	want := search(true)
	if got := search(false); !slices.Equal(got, want) { // learns
		t.Error("other answers than without a memory")
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if got := search(false); !slices.Equal(got, want) {
				t.Error("other answers when it remembers")
			}
		})
	}
	all.Wait()
	for i := range 300 {
		x.Delete(fmt.Sprintf("a%07d", i)) // those that are asked for
	}
	if got, want := search(false), search(true); !slices.Equal(got, want) {
		t.Error("other answers after deaths")
	}
}

// A word of another weight or kind is another word.
func TestRememberedWord(t *testing.T) {
	t.Parallel()
	x := NewIndex(Default())
	x.Load(coined(20_000))
	x.settle()
	p, s := x.parts[0], &search{}
	s.parts = x.parts
	w := word{text: p.wordText(100), weight: 5}
	var room around
	first := s.aroundIn(p, &w, &room)
	if again := s.aroundIn(p, &w, &room); again != first {
		t.Error("found out twice")
	}
	for _, o := range []word{{text: w.text, weight: 4}, {text: w.text, weight: 5, kind: abjad}} {
		if got := s.aroundIn(p, &o, &room); got == first || got.word != o {
			t.Errorf("%+v is answered as %+v", o, got.word)
		}
	}
	if n, ok := p.is(first.from, w.text); !ok || n != 100 {
		t.Errorf("itself is at %d", n)
	}
}

// A small part finds its words by their hashes, a large one by their order: the same ones.
func TestLookup(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2, 300, 20_000} {
		x := NewIndex(Default())
		x.Load(coined(n))
		x.settle()
		for _, p := range x.parts {
			if (p.numbers == nil) != (p.vocabulary() >= rememberFrom) || (p.memory == nil) == (p.numbers == nil) {
				t.Errorf("of %d records: %d words", n, p.vocabulary())
			}
			for i := range p.vocabulary() {
				text := p.wordText(uint32(i))
				if got, ok := p.lookup(text); !ok || got != uint32(i) {
					t.Fatalf("%q is at %d, %v, not at %d", text, got, ok, i)
				}
				if got, ok := p.lookup(text + "\x01"); ok {
					t.Fatalf("%q is at %d", text+"\x01", got)
				}
			}
		}
	}
}
