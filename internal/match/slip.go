package match

import (
	"github.com/agnivade/levenshtein"
)

const (
	// slipLetters is the least length of a word that is mended: shorter ones are too near to each other.
	slipLetters = 7
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
	nearby map[string][]string // a word, or one with one letter left out → the ordinary words it comes from
}

func newSlips() *slips { return &slips{count: map[string]int32{}, nearby: map[string][]string{}} }

// meant adds a word that others may be slips of.
func (s *slips) meant(w string) {
	if len(w) < slipLetters || !isASCII(w) {
		return
	}
	add := func(k string) {
		for _, x := range s.nearby[k] {
			if x == w {
				return
			}
		}
		s.nearby[k] = append(s.nearby[k], w)
	}
	add(w)
	for i := range w {
		add(w[:i] + w[i+1:])
	}
}

// mend returns the ordinary word that w is a slip of, or w. The first letter is never the wrong one.
func (s *slips) mend(w string) string {
	own := s.count[w]
	if len(w) < slipLetters-1 || !isASCII(w) || own > 20 {
		return w
	}
	best, most := w, int32(-1)
	try := func(k string) {
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
	try(w)
	for i := range w {
		try(w[:i] + w[i+1:])
	}
	return best
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
