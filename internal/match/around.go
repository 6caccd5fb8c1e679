package match

import (
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// around is what the vocabulary of a part has near a word of a query, the dead included: it follows from the word and the part's
// segment alone.
type around struct {
	word    word
	from    uint32   // the first word not before it in byte order: itself, if the part has it
	near    []alike  // those it may be misspelt, one slip away, in no order that means anything
	shorter []uint32 // those that it begins with, of shortest letters or more; the longest first
}

// alike is a word of a part, and how similar it is to another.
type alike struct {
	id         uint32
	weight     float32
	similarity float64
}

// shortest is how long a word is at least for a longer one to be taken for it: the record has the short form.
const shortest = 4

// memory remembers what is around the words that a large part was asked for lately. Names share most of their words, and of the words of
// ten thousand queries three of four were asked for before. It holds maxRemembered words at most, of a few hundred bytes each: who comes
// to the place of another puts him out.
type memory []atomic.Pointer[around]

const (
	maxRemembered = 1 << 14
	rememberFrom  = 1 << 12 // words of the vocabulary; of fewer it is found out as fast
)

// newMemory returns the memory of a part with so many words.
func newMemory(vocabulary int) memory {
	if vocabulary < rememberFrom {
		return nil
	}
	n := rememberFrom
	for n < maxRemembered && n < vocabulary/8 {
		n *= 2
	}
	return make(memory, n)
}

// bytes returns what it holds.
func (m memory) bytes() (n int) {
	for i := range m {
		n += 8
		if a := m[i].Load(); a != nil {
			n += 96 + len(a.word.text) + 16*len(a.near) + 4*len(a.shorter)
		}
	}
	return n
}

// askAround fills s.around with what each part has around a word.
func (s *search) askAround(w *word) {
	s.around, s.fresh, s.slips = s.around[:0], grown(s.fresh, len(s.parts)), s.slips[:0]
	for i, p := range s.parts {
		s.around = append(s.around, s.aroundIn(p, w, &s.fresh[i]))
	}
}

// aroundIn returns what a part has around a word, made in room unless the part remembers.
func (s *search) aroundIn(p *part, w *word, room *around) *around {
	if p.memory == nil {
		room.from, room.near = uint32(p.lowerBound(w.text)), s.near(p, w, room.near[:0])
		return room
	}
	place := &p.memory[hashKey(0, w.text)%uint32(len(p.memory))]
	if a := place.Load(); a != nil && a.word.text == w.text && a.word.weight == w.weight && a.word.kind == w.kind {
		return a
	}
	room.near = s.near(p, w, room.near[:0])
	a := &around{from: uint32(p.lowerBound(w.text)), near: slices.Clone(room.near), word: word{text: strings.Clone(w.text), weight: w.weight, kind: w.kind}}
	for l := len(w.text) - 1; l >= shortest; l-- {
		if n, ok := p.lookup(w.text[:l]); ok && utf8.ValidString(w.text[:l]) {
			a.shorter = append(a.shorter, n)
		}
	}
	place.Store(a)
	return a
}

// begins returns the number in a part of the word of l letters that w begins with.
func (a *around) begins(p *part, w string, l int) (uint32, bool) {
	if p.memory == nil {
		return p.lookup(w[:l])
	}
	for _, n := range a.shorter {
		if int(p.textOff[n+1]-p.textOff[n]) == l {
			return n, true
		}
	}
	return 0, false
}

// near appends the words of a part that are one slip away from w, under the hashes s.slips; there are none yet when w was asked for in no part before.
func (s *search) near(p *part, w *word, to []alike) []alike {
	ids, texts := s.ids[:0], s.texts[:0]
	clear(s.seen[:])
	if len(s.slips) == 0 {
		edited(w.text, func(h uint32) { s.slips = append(s.slips, h) })
	}
	for _, h := range s.slips {
		for _, id := range p.edits.find(h) {
			if s.first(id, len(ids)) {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) > len(s.seen)/2 {
		slices.Sort(ids)
		ids = slices.Compact(ids)
	}
	// The words lie far apart: where they begin, and then their letters, are fetched side by side.
	for _, id := range ids {
		texts = append(texts, p.wordText(id))
	}
	for k, id := range ids {
		x := word{text: texts[k]}
		if x.text == w.text || apart(w.text, x.text) {
			continue
		}
		x.weight, x.kind = float64(p.weight[id]), p.kind[id]
		if sim := similarity(w, &x, false); sim > nearly {
			to = append(to, alike{id, p.weight[id], sim})
		}
	}
	clear(texts) // which would keep merged segments alive
	s.ids, s.texts = ids, texts
	return to
}

// nearly is how similar a word is at least to be one misspelt.
const nearly = 0.6

// first reports whether a word of a part is none of the n that were seen since s.seen was cleared, and remembers it while
// there is room.
func (s *search) first(id uint32, n int) bool {
	if n >= len(s.seen)/2 {
		return true
	}
	for i := spread(id) % uint32(len(s.seen)); ; i = (i + 1) % uint32(len(s.seen)) {
		switch s.seen[i] {
		case id + 1:
			return false
		case 0:
			s.seen[i] = id + 1
			return true
		}
	}
}
