package match

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
)

// lexeme is a word as somebody wrote it, folded, with what the model says of it. It fills a line of the processor's memory.
type lexeme struct {
	text   string
	word   word // the canonical word it stands for
	quirks *quirks
	traits traits
}

// traits are what may be said of a word in one bit each.
type traits uint16

const (
	small      traits = 1 << iota // see dropped
	foreign                       // it is not of ASCII letters
	han                           // see hasHan
	slip                          // it is meant for another
	formal                        // it is one of the words of a legal form
	leads                         // see leading
	tens                          // it may count tens, see counted
	joint                         // it is two written as one, see glued
	divider                       // a divider begins with it
	cutDivider                    // it begins a divider's first word
	cutForm                       // it may be what a field left of a legal form
)

func (l *lexeme) is(t traits) bool { return l.traits&t != 0 }

// have reports whether any of the words has one of the traits.
func have(w []*lexeme, t traits) bool {
	for _, l := range w {
		if l.is(t) {
			return true
		}
	}
	return false
}

// quirks are what few words have.
type quirks struct {
	meant        string    // the ordinary word it is a slip of
	form         uint16    // the legal form it is by itself; 0: none
	ends, starts int       // of how many words the legal forms are at most that it ends, and begins
	glued        [2]string // the number and the word written as one
}

// ordinary are the quirks of a word that has none.
var ordinary = &quirks{}

// firsts are the words that dividers begin with.
var firsts = func() map[string]bool {
	out := map[string]bool{}
	for _, d := range dividers {
		out[d[0]] = true
	}
	return out
}()

// usual are the traits of words that no model need list.
var usual = func() map[string]traits {
	out := map[string]traits{}
	for t := range dropped {
		out[t] |= small
	}
	for t := range leading {
		out[t] |= leads
	}
	for t := range numerals {
		if len(t) >= 5 {
			out[t] |= tens
		}
	}
	for t := range firsts {
		out[t] |= divider
		for n := range t {
			out[t[:n+1]] |= cutDivider
		}
	}
	out["a"] |= cutDivider
	for _, t := range cutForms {
		for n := 1; n < len(t) && n <= 8; n++ {
			out[t[:n]] |= cutForm
		}
	}
	for _, t := range []string{"db", "bda"} {
		out[t] |= cutForm
	}
	return out
}()

// lexeme looks a folded word up in the model.
func (m *Model) lexeme(t string) lexeme {
	l, ascii := lexeme{text: t, quirks: ordinary}, isASCII(t)
	if ascii && !m.heard.has(t) {
		l.word = m.unheard(t)
		if mended := m.slips.mendOf(t, 0); mended != t {
			l.quirks, l.traits = &quirks{meant: mended}, slip
		} else if x, y := glued(t); x != "" {
			l.quirks, l.traits = &quirks{glued: [2]string{x, y}}, joint
		}
		return l
	}
	l.word, l.traits = m.word(t), usual[t]
	var k quirks
	if !ascii {
		l.traits |= foreign
		if hasHan(t) {
			l.traits |= han
		}
	}
	if mended := m.slips.mend(t); mended != t {
		l.traits |= slip
		k.meant = mended
	}
	if ascii && m.synonym[t] == "" {
		if k.glued[0], k.glued[1] = glued(t); k.glued[0] != "" {
			l.traits |= joint
		}
	}
	if m.slips.kept[t] {
		l.traits |= formal
		k.form, k.ends, k.starts = m.formOf[t], m.formEnds[t], m.formStarts[t]
	}
	if k != *ordinary {
		own := k
		l.quirks = &own
	}
	return l
}

// heard has a bit for the hash of each word that the model or this program knows anything of: most words of a large list are
// nobody else's, and need not be looked for.
type heard [1 << 16]uint64

func (h *heard) bit(t string) (cell uint32, bit uint64) {
	x := slipHash(t) * 2654435761
	return x >> 16, 1 << (x >> 10 & 63)
}

func (h *heard) add(t string) {
	cell, bit := h.bit(t)
	h[cell] |= bit
}

// has reports whether a word may be known.
func (h *heard) has(t string) bool {
	cell, bit := h.bit(t)
	return h[cell]&bit != 0
}

// addUsual adds the words that are in no list of a model.
func (h *heard) addUsual() {
	for t := range usual {
		h.add(t)
	}
	for _, l := range []map[string]string{shortened, lengthened, numerals, things} {
		for t := range l {
			h.add(t)
		}
	}
	for t := range units {
		h.add(t)
	}
}

// lexicon keeps lexemes, each of a text once, for all who read side by side.
type lexicon struct {
	seed  maphash.Seed
	slots atomic.Pointer[[]atomic.Uint64] // hash and number, by open addressing
	mu    sync.Mutex                      // held to add
	count uint32
	// Each piece holds twice as many as the one before. Whoever has seen a number in a slot sees the piece it is in.
	pieces [26][]lexeme
}

const firstPiece = 16

func openLexicon() *lexicon {
	x := &lexicon{seed: maphash.MakeSeed()}
	slots := make([]atomic.Uint64, 2*firstPiece)
	x.slots.Store(&slots)
	return x
}

// hash returns the hash of a text in the lexicon.
func (x *lexicon) hash(t string) uint32 { return uint32(maphash.String(x.seed, t)) }

// find returns the lexeme of a text, nil if there is none.
func (x *lexicon) find(t string, hash uint32) *lexeme {
	slots := *x.slots.Load()
	mask := uint32(len(slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := slots[i].Load()
		if s == 0 {
			return nil
		}
		if uint32(s>>32) == hash {
			if l := x.at(uint32(s)); l.text == t {
				return l
			}
		}
	}
}

// at returns the lexeme of a hint.
func (x *lexicon) at(hint uint32) *lexeme {
	i := hint - 1 + firstPiece
	k := bits.Len32(i/firstPiece) - 1
	return &x.pieces[k][i-firstPiece<<k]
}

// add returns the lexeme of a text, which is l if nobody else has added one.
func (x *lexicon) add(l lexeme, hash uint32) *lexeme {
	x.mu.Lock()
	defer x.mu.Unlock()
	if other := x.find(l.text, hash); other != nil {
		return other
	}
	i := x.count + firstPiece
	k := bits.Len32(i/firstPiece) - 1
	if x.pieces[k] == nil {
		x.pieces[k] = make([]lexeme, firstPiece<<k)
	}
	x.count++
	l.word.hint = x.count
	at := &x.pieces[k][i-firstPiece<<k]
	*at = l
	old := *x.slots.Load()
	if 2*int(x.count) > len(old) {
		slots := make([]atomic.Uint64, 2*len(old))
		for j := range old {
			if s := old[j].Load(); s != 0 {
				put(slots, s)
			}
		}
		put(slots, uint64(hash)<<32|uint64(x.count))
		x.slots.Store(&slots)
		return at
	}
	put(old, uint64(hash)<<32|uint64(x.count))
	return at
}

func put(slots []atomic.Uint64, s uint64) {
	mask := uint32(len(slots) - 1)
	i := uint32(s>>32) & mask
	for slots[i].Load() != 0 {
		i = (i + 1) & mask
	}
	slots[i].Store(s)
}

// enter returns the hint of a canonical word. A lexicon has either such words or written ones.
func (x *lexicon) enter(w *word) uint32 {
	hash := x.hash(w.text)
	l := x.find(w.text, hash)
	if l == nil {
		own := lexeme{text: strings.Clone(w.text), word: *w}
		own.word.text = own.text
		l = x.add(own, hash)
	}
	return l.word.hint
}
