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
// test holds the model to it.
//
// The ledger says which generation decides. A program of a later one takes over with an entry of its own when it starts;
// from that entry on programs of an earlier one, still running during a rolling upgrade, decide nothing more. So no two
// generations ever decide side by side.
const Generation = 5

// generation is what the ledger says of who decides.
type generation struct {
	Generation int              `json:"generation"`
	Matcher    deal.DocumentRef `json:"matcher"`
}

// errSuperseded: a later generation decides.
var errSuperseded = errors.New("a newer version of dibs decides on this ledger; stop this one")

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
	switch {
	case live == g:
		return false, nil
	case live.Generation < g.Generation:
		return true, nil
	case live.Generation > g.Generation:
		return false, fmt.Errorf("the ledger is decided by generation %d of dibs, and this is generation %d: start a version at least as new", live.Generation, g.Generation)
	}
	return false, fmt.Errorf("the ledger is decided with matcher %s %s, and this program has %s %s under the same generation %d: start the version that matches",
		live.Matcher.Name, live.Matcher.Digest, g.Matcher.Name, g.Matcher.Digest, g.Generation)
}

// superseded reports whether somebody else's generation decides at the view's position.
func (v *view) superseded() bool {
	return v.generation.Generation > 0 && v.generation != generationOf(v.model)
}
