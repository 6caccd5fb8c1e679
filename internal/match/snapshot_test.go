package match

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// TestColumns holds the list of a segment's arrays to the segment: a new array must be in snapshots too.
func TestColumns(t *testing.T) {
	arrays, numbers := 0, 0
	var count func(reflect.Type)
	count = func(typ reflect.Type) {
		for i := range typ.NumField() {
			switch f := typ.Field(i).Type; f.Kind() {
			case reflect.Slice:
				arrays++
			case reflect.Struct:
				count(f)
			case reflect.Uint:
				numbers++
			default:
				t.Errorf("field %s is a %s, which no snapshot holds", typ.Field(i).Name, f.Kind())
			}
		}
	}
	count(reflect.TypeFor[segment]())
	if got := len(new(segment).columns()); got != arrays || numbers != 2 {
		t.Errorf("%d columns for %d arrays and %d numbers", got, arrays, numbers)
	}
}

func copied(sections [][]byte) (out [][]byte) {
	for _, s := range sections {
		out = append(out, slices.Clone(s))
	}
	return out
}

// TestSnapshot opens snapshots of indexes grown by random operations. They answer as the index does, and go on to do so
// under the same further changes.
func TestSnapshot(t *testing.T) {
	m := Default()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 11))
			x := NewIndex(m)
			live := map[string]bool{}
			for step := range 300 {
				id := fmt.Sprintf("r%03d", rng.IntN(200))
				switch k := rng.IntN(20); {
				case k == 0:
					x.Load(func(yield func(Record) bool) {
						for range 40 {
							r := organisation(rng, fmt.Sprintf("r%03d", rng.IntN(200)))
							live[r.ID] = true
							if !yield(r) {
								return
							}
						}
					})
				case k < 6:
					x.Delete(id)
					delete(live, id)
				default:
					x.Upsert(organisation(rng, id))
					live[id] = true
				}
				if step%60 != 59 {
					continue
				}
				p := x.Picture()
				y, err := OpenIndex(m, copied(p.Sections()))
				if err != nil {
					t.Fatal(err)
				}
				if y.Len() != len(live) {
					t.Fatalf("%d records, want %d", y.Len(), len(live))
				}
				for i := range 40 {
					if i%4 == 3 { // both go on
						r := organisation(rng, fmt.Sprintf("r%03d", rng.IntN(200)))
						live[r.ID] = true
						x.Upsert(r)
						y.Upsert(r)
						gone := fmt.Sprintf("r%03d", rng.IntN(200))
						delete(live, gone)
						x.Delete(gone)
						y.Delete(gone)
					}
					q := m.Prepare(organisation(rng, ""))
					if got, want := answer(t, y.Search(q, Options{})), answer(t, x.Search(q, Options{})); got != want {
						t.Fatalf("step %d, query %s: opened\n%s\ngrown\n%s", step, q.display, got, want)
					}
				}
				y.settle()
			}
			x.settle()
		})
	}
}

// TestPictureStands changes an index after a picture was taken: the picture is of before.
func TestPictureStands(t *testing.T) {
	m := Default()
	x := NewIndex(m)
	x.Load(coined(300))
	p := x.Picture()
	for i := range 300 {
		x.Delete(fmt.Sprintf("a%07d", i))
	}
	y, err := OpenIndex(m, p.Sections())
	if err != nil {
		t.Fatal(err)
	}
	if y.Len() != 300 || x.Len() != 0 {
		t.Errorf("%d in the picture, %d in the index", y.Len(), x.Len())
	}
	if empty, err := OpenIndex(m, NewIndex(m).Picture().Sections()); err != nil || empty.Len() != 0 {
		t.Errorf("an empty index: %v", err)
	}
}

// FuzzSnapshot damages a snapshot in any place: it is refused, or can be searched, changed and merged, and nothing else.
func FuzzSnapshot(f *testing.F) {
	m := Default()
	rng := rand.New(rand.NewPCG(3, 3))
	x := NewIndex(m)
	x.Load(coined(40))
	for i := range 60 {
		x.Upsert(organisation(rng, fmt.Sprint("r", i%50)))
	}
	whole := x.Picture().Sections()
	for section := range partSections {
		f.Add(section, 0, []byte{0xff})
		f.Add(section, 4, []byte{0xff, 0xff, 0xff, 0x7f})
		f.Add(section, 2, []byte{})
	}
	f.Add(1, 0, []byte{0xff, 0xff, 0x7f, 5, 0, 200, 1})
	f.Add(0, 0, []byte{31, 3})
	f.Fuzz(func(t *testing.T, section, at int, with []byte) {
		s := copied(whole)
		if section < 0 || section >= len(s) || at < 0 || at > len(s[section]) {
			return
		}
		switch n := copy(s[section][at:], with); {
		case n < len(with):
			s[section] = append(s[section], with[n:]...)
		case len(with) == 0:
			s[section] = s[section][:at]
		}
		y, err := OpenIndex(m, s)
		if err != nil {
			return
		}
		rng := rand.New(rand.NewPCG(4, 4))
		for range 20 {
			y.Search(m.Prepare(organisation(rng, "")), Options{})
		}
		for i := range 10 {
			y.Upsert(organisation(rng, fmt.Sprint("r", i)))
			y.Delete(fmt.Sprint("r", 20+i))
		}
		y.Search(m.Prepare(organisation(rng, "")), Options{})
		y.settle()
		_ = y.Picture().Sections()
	})
}

// TestKindsAreOfNoOrder: a word that is written in two scripts is of one kind in whatever order records come.
func TestKindsAreOfNoOrder(t *testing.T) {
	m := Default()
	arabic := m.word("زهرة")
	if arabic.kind&abjad == 0 {
		t.Fatalf("%+v is of no abjad", arabic)
	}
	records := []Record{{ID: "1", Names: []string{"زهرة"}}, {ID: "2", Names: []string{arabic.text}}}
	var want []kind
	for range 2 {
		p := preparer{m: m, known: openLexicon()}
		b := &builder{known: p.known}
		for _, r := range records {
			b.add(p.prepare(r))
		}
		got := b.build().kind
		if want != nil && !slices.Equal(got, want) {
			t.Errorf("kinds of words in one order %v, in the other %v", got, want)
		}
		want = got
		slices.Reverse(records)
	}
}
