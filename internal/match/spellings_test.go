package match_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"

	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/world"
)

// TestSpellings: however two people write the name of one organisation, one slip or liberty each, the claim of the one is found for the
// other: one overlooked is a second holder. The names have a distinctive word of seven letters and a second one.
func TestSpellings(t *testing.T) {
	m := match.Default()
	rng := rand.New(rand.NewPCG(1, 2))
	organisations, pairs := 0, 0
	for a := range world.Accounts() {
		w := strings.Fields(a.Name)
		if len(w) < 2 || len(w) > 5 || len(w[0]) < 7 || len(w[1]) < 6 || strings.ContainsFunc(a.Name, func(c rune) bool { return c != ' ' && (c > 'z' || !unicode.IsLetter(c)) }) || rng.IntN(10) > 0 {
			continue
		}
		organisations++
		seen := map[string]bool{}
		var spellings []match.Record
		for range 16 {
			name := world.Spell(rng, a.Name)
			if !seen[name] {
				seen[name] = true
				spellings = append(spellings, match.Record{ID: name, Names: []string{name}, Country: a.Country, Region: a.Region, City: a.City, PostalCode: a.PostalCode})
			}
		}
		for _, claim := range spellings {
			x := match.NewIndex(m)
			x.Upsert(claim)
			for _, filing := range spellings {
				pairs++
				found := x.Search(m.Prepare(filing), match.Options{Repeats: true}).Candidates
				if len(found) == 0 || found[0].Probability < 0.2 {
					t.Errorf("%q does not find %q: %+v", filing.ID, claim.ID, found)
				}
			}
		}
	}
	if organisations < 1000 {
		t.Errorf("%d organisations are too few to say much", organisations)
	}
	t.Logf("%d pairs of spellings of %d organisations", pairs, organisations)
}
