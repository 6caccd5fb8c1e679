package match

import "hash/maphash"

// lexeme is a word as somebody wrote it, folded, with what the model says of it. It fills a line of the processor's memory.
type lexeme struct {
	text   string
	word   word // the canonical word it stands for
	quirks *quirks
	number uint32 // of the canonical word in the vocabulary being built, and one; 0: not known
	uses   uint32 // how often it was written there
}

// quirks are what few words have.
type quirks struct {
	small        bool    // see dropped
	foreign      bool    // it is not of ASCII letters
	han          bool    // see hasHan
	meant        string  // the ordinary word it is a slip of; "": none
	mended       *lexeme // that word's, once asked for
	form         uint16  // the legal form it is by itself; 0: none
	ends, starts int     // of how many words the legal forms are at most that it ends, and begins
	formal       bool    // it is one of the words of a legal form
	leads        bool    // see leading
	tens         bool    // it may count tens, see counted
	divider      bool    // a divider begins with it
	cutDivider   bool    // it begins a divider's first word
	cutForm      bool    // it may be what a field left of a legal form
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

// usual are the quirks of words that no model need list.
var usual = func() map[string]quirks {
	out := map[string]quirks{}
	set := func(t string, f func(*quirks)) {
		k := out[t]
		f(&k)
		out[t] = k
	}
	for t := range dropped {
		set(t, func(k *quirks) { k.small = true })
	}
	for t := range leading {
		set(t, func(k *quirks) { k.leads = true })
	}
	for t := range numerals {
		set(t, func(k *quirks) { k.tens = len(t) >= 5 })
	}
	for t := range firsts {
		set(t, func(k *quirks) { k.divider = true })
		for n := range t {
			set(t[:n+1], func(k *quirks) { k.cutDivider = true })
		}
	}
	set("a", func(k *quirks) { k.cutDivider = true })
	for _, t := range cutForms {
		for n := 1; n < len(t) && n <= 8; n++ {
			set(t[:n], func(k *quirks) { k.cutForm = true })
		}
	}
	for _, t := range []string{"db", "bda"} {
		set(t, func(k *quirks) { k.cutForm = true })
	}
	return out
}()

// lexeme looks a folded word up in the model.
func (m *Model) lexeme(t string) lexeme {
	l, ascii := lexeme{text: t, quirks: ordinary}, isASCII(t)
	if ascii && !m.heard.has(t) {
		l.word = m.unheard(t)
		if mended := m.slips.mendOf(t, 0); mended != t {
			l.quirks = &quirks{meant: mended}
		}
		return l
	}
	l.word = m.word(t)
	k := usual[t]
	k.foreign, k.han = !ascii, hasHan(t)
	if mended := m.slips.mend(t); mended != t {
		k.meant = mended
	}
	if m.slips.kept[t] {
		k.formal, k.form, k.ends, k.starts = true, m.formOf[t], m.formEnds[t], m.formStarts[t]
	}
	if k != *ordinary {
		l.quirks = &k
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
	for _, l := range []map[string]string{shortened, lengthened, numerals} {
		for t := range l {
			h.add(t)
		}
	}
}

// lexicon keeps lexemes: each of a text once, if it is open to be asked again.
type lexicon struct {
	seed   maphash.Seed
	slots  []uint64 // hash and number, by open addressing; nil: nothing is looked up again
	chunks [][]lexeme
	count  int
}

const (
	chunkSize  = 1 << 10
	maxLexemes = 1 << 20 // of a lexicon, before it is begun anew
)

func openLexicon() lexicon { return lexicon{seed: maphash.MakeSeed(), slots: make([]uint64, 1<<14)} }

// hash returns the hash of a text in the lexicon.
func (x *lexicon) hash(t string) uint32 { return uint32(maphash.String(x.seed, t)) }

// find returns the lexeme of a text, nil if there is none.
func (x *lexicon) find(t string, hash uint32) *lexeme {
	mask := uint32(len(x.slots) - 1)
	for i := hash & mask; x.slots[i] != 0; i = (i + 1) & mask {
		if s := x.slots[i]; uint32(s>>32) == hash {
			if l := x.at(uint32(s)); l.text == t {
				return l
			}
		}
	}
	return nil
}

// at returns the lexeme of a hint.
func (x *lexicon) at(hint uint32) *lexeme { return &x.chunks[(hint-1)/chunkSize][(hint-1)%chunkSize] }

// add keeps a lexeme that is not there.
func (x *lexicon) add(l lexeme, hash uint32) *lexeme {
	if x.count%chunkSize == 0 || x.count == 0 {
		x.chunks = append(x.chunks, make([]lexeme, 0, chunkSize))
	}
	c := &x.chunks[len(x.chunks)-1]
	x.count++
	l.word.hint = uint32(x.count)
	*c = append(*c, l)
	if 2*x.count > len(x.slots) {
		old := x.slots
		x.slots = make([]uint64, 4*len(old))
		for _, s := range old {
			if s != 0 {
				x.put(s)
			}
		}
	}
	x.put(uint64(hash)<<32 | uint64(x.count))
	return &(*c)[len(*c)-1]
}

func (x *lexicon) put(s uint64) {
	mask := uint32(len(x.slots) - 1)
	i := uint32(s>>32) & mask
	for x.slots[i] != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = s
}
