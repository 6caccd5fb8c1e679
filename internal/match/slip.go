package match

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

const (
	// slipLetters is the least length of a word that is mended: shorter ones are too near to each other.
	slipLetters = 7
	// slipLongest is the greatest: nobody's word is longer.
	slipLongest = 40
	// slipOrdinary is in how many of half a million names a word is ordinary enough to be meant.
	slipOrdinary = 250
	// slipOdds is how many times more often than the word as written its mended form must occur.
	slipOdds = 100
)

// slips mends slips of the finger in the words of business, before they are looked up as synonyms and legal forms:
// "shiypard", "coropration". A word nobody was seen to use, one letter off a word everybody uses, is that
// word. Names themselves are left as written; how near they are is what the matcher weighs.
type slips struct {
	count  map[string]int32    // in how many names a word as written occurs
	kept   map[string]bool     // words of legal forms, which are what they are
	nearby map[string][]string // a word, or one with one letter left out → the ordinary words it comes from
	hashes [1 << 14]uint64     // a bit for the hash of each key of nearby: most words have no key there
}

func newSlips() *slips {
	return &slips{count: map[string]int32{}, kept: map[string]bool{}, nearby: map[string][]string{}}
}

// slipBase is the base of the hash of words, a polynomial of their letters.
const slipBase = 0x01000193

func slipHash(w string) (h uint32) {
	for i := range len(w) {
		h = h*slipBase + uint32(w[i])
	}
	return h
}

// bit returns the number of the bit of a hash.
func (s *slips) bit(h uint32) (cell uint32, bit uint64) {
	h *= 2654435761
	return h >> 18, 1 << (h >> 12 & 63)
}

// may reports whether a word with a hash may be a key of nearby.
func (s *slips) may(h uint32) bool {
	cell, bit := s.bit(h)
	return s.hashes[cell]&bit != 0
}

// meant adds a word that others may be slips of.
func (s *slips) meant(w string) {
	if len(w) < slipLetters || len(w) > slipLongest || !isASCII(w) {
		return
	}
	add := func(k string) {
		for _, x := range s.nearby[k] {
			if x == w {
				return
			}
		}
		s.nearby[k] = append(s.nearby[k], w)
		cell, bit := s.bit(slipHash(k))
		s.hashes[cell] |= bit
	}
	add(w)
	for i := range w {
		add(w[:i] + w[i+1:])
	}
}

// mend returns the ordinary word that w is a slip of, or w.
func (s *slips) mend(w string) string {
	own := s.count[w]
	if own > 20 || s.kept[w] {
		return w
	}
	return s.mendOf(w, own)
}

// mendOf is mend of a word that occurs in so many names, a few. The first letter is never the wrong one.
func (s *slips) mendOf(w string, own int32) string {
	if len(w) < slipLetters-1 || len(w) > slipLongest || !isASCII(w) {
		return w
	}
	best, most := w, int32(-1)
	try := func(i int) {
		k := w
		if i >= 0 {
			k = w[:i] + w[i+1:]
		}
		for _, x := range s.nearby[k] {
			if x == w || x[0] != w[0] || !oneSlip(w, x) {
				continue
			}
			n := s.count[x]
			if n < slipOdds*own || n < most || n == most && x > best {
				continue
			}
			best, most = x, n
		}
	}
	// The hash of w without its i-th letter is made of those of what stands before and after it.
	var power [slipLongest + 1]uint32
	power[0] = 1
	for i := range len(w) {
		power[i+1] = power[i] * slipBase
	}
	full, before := slipHash(w), uint32(0)
	if s.may(full) {
		try(-1)
	}
	for i := range len(w) {
		next := before*slipBase + uint32(w[i])
		after := full - next*power[len(w)-1-i]
		if s.may(before*power[len(w)-1-i] + after) {
			try(i)
		}
		before = next
	}
	if best == w && own == 0 {
		return s.unstuck(w)
	}
	return best
}

// stuckWords are the small words and the legal forms that people write onto the word beside them: how long the rest must be at least, and
// of how many names it must be a word, for there to be two.
var stuckWords = []struct {
	text    string
	leads   bool
	letters int
	names   int32
}{{"the", true, 5, 3}, {"and", true, 5, 50}, {"for", true, 5, 50}, {"jsc", true, 4, 0}, {"ooo", true, 4, 0},
	{"llc", false, 3, 0}, {"gmbh", false, 3, 0}, {"ltd", false, 3, 0}, {"inc", false, 4, 3}}

// unstuck returns what is left of a word that nobody was seen to use without the small word or legal form written onto it, or the word.
func (s *slips) unstuck(w string) string {
	for _, k := range stuckWords {
		rest, ok := strings.CutSuffix(w, k.text)
		if k.leads {
			rest, ok = strings.CutPrefix(w, k.text)
		}
		if ok && len(rest) >= k.letters && s.count[rest] >= k.names {
			return rest
		}
	}
	return w
}

// oneSlip reports whether one letter more, less or other, or two that changed places, make a of b.
func oneSlip(a, b string) bool {
	switch d := len(a) - len(b); {
	case d < -1 || d > 1:
		return false
	case d == 0 && swapped(a, b):
		return true
	case d == 0 && len(a) <= slipLetters:
		return false // one other letter in seven may well be another word
	}
	return levenshtein.ComputeDistance(a, b) == 1
}
