package engine

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/match"
)

// Generation numbers the ways in which this program has decided. Raise it with every change after which the same facts
// may lead to another decision: the matcher's model or its code, the reading of conflicts, the evaluation of a policy. A
// test holds the model to it. So is every change after which an earlier program cannot read or write what a later one does: it is to stop, not to fail.
//
// The ledger says which generation decides. A program of a later one takes over with an entry of its own when it starts;
// from that entry on programs of an earlier one, still running during a rolling upgrade, decide nothing more. So no two
// generations ever decide side by side. Of one generation, the model with the higher version takes over in the same way: a vendor's own,
// fitted from the embedded one, and the next one fitted.
const Generation = 15

// generation is what the ledger says of who decides.
type generation struct {
	Generation int              `json:"generation"`
	Matcher    deal.DocumentRef `json:"matcher"`
}

// errSuperseded: a later generation decides.
var errSuperseded = errors.New("a newer version of dibs, or of its model, decides on this ledger; stop this one, or start it with the same")

func generationOf(m *match.Model) generation { return generation{Generation, m.Ref()} }

func (g generation) text() string {
	b, err := json.Marshal(g)
	if err != nil {
		panic(err) // a number and three texts
	}
	return string(b)
}

// takesOver reports whether a program of generation g begins a new one on a ledger where live decides, and refuses to run
// beside a later one, or beside another of its own number.
func (g generation) takesOver(live generation) (bool, error) {
	has := fmt.Sprintf("the ledger is decided with model %s %d (%s), and this program has %s %d (%s)",
		live.Matcher.Name, live.Matcher.Version, live.Matcher.Digest, g.Matcher.Name, g.Matcher.Version, g.Matcher.Digest)
	switch {
	case live == g:
		return false, nil
	case live.Generation < g.Generation:
		return true, nil
	case live.Generation > g.Generation:
		return false, fmt.Errorf("the ledger is decided by generation %d of dibs, and this is generation %d: start a version at least as new", live.Generation, g.Generation)
	case live.Matcher.Version < g.Matcher.Version:
		return true, nil
	case live.Matcher.Version > g.Matcher.Version:
		return false, fmt.Errorf("%s: give --model with the file of that one, or of one with a higher version (dibs match model --renumber writes any as such)", has)
	}
	return false, fmt.Errorf("%s under the same version: give --model with the file that matches, or start the version of dibs that does", has)
}

// superseded reports whether somebody else's generation decides at the view's position.
func (v *view) superseded() bool {
	return v.generation.Generation > 0 && v.generation != generationOf(v.model)
}
