package book

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/world"
)

// some makes an account that has any of the fields.
func some(rng *rand.Rand, id string) *deal.Account {
	a := &deal.Account{ID: id}
	v := reflect.ValueOf(a).Elem()
	for i := 1; i < v.NumField(); i++ {
		if rng.IntN(3) > 0 {
			continue
		}
		word := []string{"Ärzte GmbH", "x.example", "\x00\xff", "DE", string(make([]byte, 200))}[rng.IntN(5)]
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString(word)
		case reflect.Int64:
			f.SetInt(rng.Int64() >> rng.IntN(64) * int64(1-2*rng.IntN(2)))
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Slice:
			for range 1 + rng.IntN(3) {
				f.Set(reflect.Append(f, reflect.ValueOf(word)))
			}
		case reflect.Struct:
			f.Set(reflect.ValueOf(deal.Date{Time: time.Unix(int64(rng.IntN(60_000)-20_000)*secondsPerDay, 0).UTC()}))
		default:
			panic("a kind of field that is not made up here: " + f.Kind().String())
		}
	}
	if rng.IntN(2) == 0 {
		a.ParentID = fmt.Sprint("id-", rng.IntN(40))
	}
	if rng.IntN(2) == 0 {
		a.Domain, a.Website = "siemens.com", sites[rng.IntN(len(sites))]+"siemens.com"
	}
	return a
}

// compare holds a book to the map it should equal.
func compare(t *testing.T, b *Book, want map[string]*deal.Account) {
	t.Helper()
	children := map[string][]string{}
	for id, a := range want {
		if got := b.Get(id); !reflect.DeepEqual(got, a) {
			t.Fatalf("%s\n%+v, want\n%+v", id, got, a)
		}
		if !b.Has(id) {
			t.Fatalf("%s is not there", id)
		}
		if a.ParentID != "" {
			children[a.ParentID] = append(children[a.ParentID], id)
		}
	}
	for i := range 60 {
		id := fmt.Sprint("id-", i)
		slices.Sort(children[id])
		if got := b.Children(id); !slices.Equal(got, children[id]) {
			t.Fatalf("children of %s: %v, want %v", id, got, children[id])
		}
		if want[id] == nil && (b.Has(id) || b.Get(id) != nil) {
			t.Fatalf("%s is still there", id)
		}
	}
	all := map[string]*deal.Account{}
	for a := range b.All() {
		if all[a.ID] != nil {
			t.Fatalf("%s comes twice", a.ID)
		}
		all[a.ID] = a
	}
	if b.Len() != len(want) || !reflect.DeepEqual(all, want) {
		t.Fatalf("%d accounts, %d listed, want %d", b.Len(), len(all), len(want))
	}
}

func reopen(t *testing.T, p Picture) *Book {
	t.Helper()
	var copied [][]byte
	for _, s := range p.Sections() {
		copied = append(copied, slices.Clone(s))
	}
	b, err := Open(copied)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBook holds a book to a map through thousands of changes, folds before, between and during them, and snapshots.
func TestBook(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 1))
		want := map[string]*deal.Account{}
		build := NewBuilder()
		for range 40 {
			a := some(rng, fmt.Sprint("id-", rng.IntN(40))) // some ids twice
			build.Add(a)
			want[a.ID] = a
		}
		b := build.Book()
		compare(t, b, want)
		for step := range 400 {
			id := fmt.Sprint("id-", rng.IntN(60))
			if rng.IntN(3) == 0 {
				b.Delete(id)
				delete(want, id)
			} else {
				a := some(rng, id)
				b.Put(a)
				want[id] = a
			}
			switch step % 50 {
			case 10: // as tidy does when there are many changes
				if b.frozen == nil {
					b.frozen, b.young = b.young, newLayer()
					old, changes, done := b.base, b.frozen.accounts, make(chan *base, 1)
					b.folded = done
					go func() { done <- fold(old, changes) }()
				}
			case 40:
				b.settle()
			}
			if step%10 == 5 {
				compare(t, b, want)
			}
			if step%100 == 65 { // a clone goes its own way
				c, then := b.Clone(), maps.Clone(want)
				x := some(rng, "id-2")
				c.Put(x)
				then["id-2"] = x
				c.Delete("id-3")
				delete(then, "id-3")
				compare(t, b, want)
				compare(t, c, then)
			}
			if step%100 == 15 {
				p, then := b.Picture(), maps.Clone(want)
				b.Delete("id-1") // the picture is of before
				delete(want, "id-1")
				compare(t, reopen(t, p), then)
			}
		}
		b.settle()
		compare(t, b, want)
		b = reopen(t, b.Picture())
		b.Put(some(rng, "id-1"))
		want["id-1"] = b.Get("id-1")
		compare(t, reopen(t, b.Picture()), want)
	}
}

// TestManyChanges lets the book itself decide when to fold.
func TestManyChanges(t *testing.T) {
	b, want := New(), map[string]*deal.Account{}
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 5 * foldFrom {
		a := some(rng, fmt.Sprint("id-", i%(2*foldFrom)))
		b.Put(a)
		want[a.ID] = a
	}
	b.settle()
	if b.base.records() < foldFrom {
		t.Errorf("only %d of %d accounts are in the base", b.base.records(), b.Len())
	}
	compare(t, b, want)
}

// TestFull: a base without room leaves its accounts above it, and loses none.
func TestFull(t *testing.T) {
	defer func(was uint64) { maxBlob = was }(maxBlob)
	maxBlob = 200 << 10
	b, want := New(), map[string]*deal.Account{}
	rng := rand.New(rand.NewPCG(8, 8))
	build := NewBuilder()
	for i := range 4 * foldFrom {
		a := some(rng, fmt.Sprint("id-", i))
		b.Put(a)
		build.Add(a)
		want[a.ID] = a
	}
	b.settle()
	if !b.full || b.Picture().Sections() != nil {
		t.Error("it fits after all")
	}
	compare(t, b, want)
	compare(t, build.Book(), want)
}

// TestWorld keeps real organisations, in few bytes.
func TestWorld(t *testing.T) {
	build, n := NewBuilder(), 0
	for a := range world.Accounts() {
		build.Add(a)
		n++
	}
	b := build.Book()
	for a := range world.Accounts() {
		x, err1 := json.Marshal(a)
		y, err2 := json.Marshal(b.Get(a.ID))
		if err1 != nil || err2 != nil || string(x) != string(y) {
			t.Fatalf("%s\n%s", x, y)
		}
	}
	per := b.Bytes() / n
	t.Logf("%d accounts, %d bytes each", n, per)
	if per > 140 {
		t.Errorf("%d bytes an account", per)
	}
}

// FuzzOpen damages a snapshot in any place: it is refused or can be read, and nothing else.
func FuzzOpen(f *testing.F) {
	rng := rand.New(rand.NewPCG(9, 9))
	build := NewBuilder()
	for i := range 60 {
		build.Add(some(rng, fmt.Sprint("id-", i)))
	}
	whole := build.Book().Picture().Sections()
	f.Add(0, 0, []byte{0xff})
	f.Add(0, 40, []byte{0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Add(1, 4, []byte{0xff, 0xff, 0xff, 0xff})
	f.Add(2, 0, []byte{1, 0, 0, 0, 1, 0, 0, 0})
	f.Add(3, 8, []byte{0, 0, 0, 0})
	f.Add(6, 0, []byte{0xff, 0, 0, 0})
	f.Fuzz(func(t *testing.T, section, at int, with []byte) {
		var s [][]byte
		for _, b := range whole {
			s = append(s, slices.Clone(b))
		}
		if section < 0 || section >= len(s) || at < 0 || at > len(s[section]) {
			return
		}
		if n := copy(s[section][at:], with); n < len(with) { // beyond the end: longer, or if there is nothing to write, shorter
			s[section] = append(s[section], with[n:]...)
		} else if len(with) == 0 {
			s[section] = s[section][:at]
		}
		b, err := Open(s)
		if err != nil {
			return
		}
		n := 0
		for a := range b.All() {
			b.Get(a.ID)
			b.Children(a.ParentID)
			n++
		}
		if n != b.Len() {
			t.Errorf("%d accounts listed, %d counted", n, b.Len())
		}
		for i := range 80 {
			b.Get(fmt.Sprint("id-", i))
			b.Children(fmt.Sprint("id-", i))
		}
		b.Put(&deal.Account{ID: "new"})
		b.Delete("id-3")
		_ = b.Picture().Sections()
	})
}

func BenchmarkGet(b *testing.B) {
	build := NewBuilder()
	var ids []string
	for a := range world.Accounts() {
		build.Add(a)
		ids = append(ids, a.ID)
	}
	book := build.Book()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		book.Get(ids[i*7919%len(ids)])
	}
}
