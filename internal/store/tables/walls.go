package tables

import (
	"maps"
	"slices"

	"github.com/dibs-deals/dibs/internal/store"
)

// Wall is something in a schema that holds rows to the promises, whatever writes them: a constraint, a unique index, a column that must be
// there; or something that could change what is written, such as a trigger.
type Wall struct{ Table, Name string }

// Breached names what of the walls there should be is not there, or is another. want and there are how each is defined. What could
// change what is written (active) must not be there when it should not; other walls may be.
func Breached(want, there map[Wall]string, active func(Wall) bool) (out []store.Difference) {
	all := maps.Clone(there)
	maps.Copy(all, want)
	for _, w := range slices.SortedFunc(maps.Keys(all), func(a, b Wall) int { return slices.Compare([]string{a.Table, a.Name}, []string{b.Table, b.Name}) }) {
		d := store.Difference{Table: w.Table, Row: w.Name}
		is, ok := there[w]
		should, wanted := want[w]
		switch {
		case !ok:
			d.What = "missing"
		case !wanted && active(w):
			d.What = "extra"
		case wanted && is != should:
			d.What = "is " + is + ", and should be " + should
		default:
			continue
		}
		out = append(out, d)
	}
	return out
}
