package match

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/agnivade/levenshtein"
)

// TestEditDistance compares the distance with another's, on texts that have something in common and lengths about a machine word's.
func TestEditDistance(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	text := func(letters []rune) []rune {
		out := make([]rune, rng.IntN(80))
		for i := range out {
			out[i] = letters[rng.IntN(len(letters))]
		}
		return out
	}
	ascii, mixed := []rune("aabcdeh"), []rune("aabcö漢")
	for i := range 20_000 {
		letters := ascii
		if i%4 == 0 {
			letters = mixed
		}
		x := text(letters)
		y := slices.Clone(x)
		for range rng.IntN(12) {
			at := rng.IntN(len(y) + 1)
			y = slices.Replace(y, at, min(len(y), at+rng.IntN(3)), letters[rng.IntN(len(letters))])
		}
		if i%5 == 0 {
			y = text(letters)
		}
		a, b := string(x), string(y)
		if got, want := editDistance(a, b), levenshtein.ComputeDistance(a, b); got != want {
			t.Fatalf("%q and %q are %d apart, not %d", a, b, want, got)
		}
	}
}
