// Package book keeps the vendor's accounts in memory: millions of them, in flat arrays without a pointer per record,
// so that they take little room, cost the garbage collector nothing, and are read from a snapshot by taking its bytes
// as they are.
//
// A Book is an immutable base and, above it, what has changed since. When the changes have become many they are folded
// with the base into a new one, beside the work.
package book

import (
	"iter"
	"maps"
	"slices"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Book is a set of accounts by id. One goroutine may change it while none reads; any number may read together.
type Book struct {
	base   *base
	frozen *layer // being folded into the base; nil: nothing is
	young  *layer // the newest changes
	n      int

	folded chan *base // the new base, once it is there; nil: there is no room for one
	full   bool       // the base has no room for more: changes stay above it
}

// layer holds changes: the account as it is now, or nil for one that is gone.
type layer struct {
	accounts map[string]*deal.Account
	children map[string][]string // parent id → ids of the accounts of this layer that name it, unordered
}

func newLayer() *layer {
	return &layer{accounts: map[string]*deal.Account{}, children: map[string][]string{}}
}

// New returns an empty book.
func New() *Book { return of(emptyBase) }

func of(b *base) *Book { return &Book{base: b, young: newLayer(), n: b.records()} }

// Len returns the number of accounts.
func (b *Book) Len() int { return b.n }

// changed looks for the account among the changes.
func (b *Book) changed(id string) (a *deal.Account, found bool) {
	if a, found = b.young.accounts[id]; !found && b.frozen != nil {
		a, found = b.frozen.accounts[id]
	}
	return a, found
}

// Get returns the account with the id, or nil. The caller must not change it.
func (b *Book) Get(id string) *deal.Account {
	if a, found := b.changed(id); found {
		return a
	}
	if r, found := b.base.find(id); found {
		return b.base.decode(r)
	}
	return nil
}

// Has reports whether there is an account with the id.
func (b *Book) Has(id string) bool {
	if a, found := b.changed(id); found {
		return a != nil
	}
	_, found := b.base.find(id)
	return found
}

// Children returns the ids of the accounts that name the id as their parent, sorted.
func (b *Book) Children(id string) []string {
	if id == "" {
		return nil
	}
	out := slices.Clone(b.young.children[id])
	if b.frozen != nil {
		for _, c := range b.frozen.children[id] {
			if _, newer := b.young.accounts[c]; !newer {
				out = append(out, c)
			}
		}
	}
	b.base.childrenOf(id, func(child string) {
		if _, newer := b.changed(child); !newer {
			out = append(out, child)
		}
	})
	slices.Sort(out)
	return out
}

// All yields every account, in no order.
func (b *Book) All() iter.Seq[*deal.Account] {
	return func(yield func(*deal.Account) bool) {
		for _, a := range b.young.accounts {
			if a != nil && !yield(a) {
				return
			}
		}
		if b.frozen != nil {
			for id, a := range b.frozen.accounts {
				if _, newer := b.young.accounts[id]; !newer && a != nil && !yield(a) {
					return
				}
			}
		}
		for r := range uint32(b.base.records()) {
			if _, newer := b.changed(b.base.id(r)); !newer && !yield(b.base.decode(r)) {
				return
			}
		}
	}
}

// Put adds the account, or replaces the one with its id. The book keeps a: nobody may change it afterwards. An empty
// list comes back as nil.
func (b *Book) Put(a *deal.Account) {
	if !b.Has(a.ID) {
		b.n++
	}
	b.change(a.ID, a)
}

// Delete removes the account with the id, if there is one.
func (b *Book) Delete(id string) {
	if b.Has(id) {
		b.n--
		b.change(id, nil)
	}
}

func (b *Book) change(id string, a *deal.Account) {
	b.young.set(id, a)
	b.tidy()
}

func (l *layer) set(id string, a *deal.Account) {
	if old := l.accounts[id]; old != nil && old.ParentID != "" {
		i := slices.Index(l.children[old.ParentID], id)
		if l.children[old.ParentID] = slices.Delete(l.children[old.ParentID], i, i+1); len(l.children[old.ParentID]) == 0 {
			delete(l.children, old.ParentID)
		}
	}
	l.accounts[id] = a
	if a != nil && a.ParentID != "" {
		l.children[a.ParentID] = append(l.children[a.ParentID], id)
	}
}

// add takes over the changes of a newer layer.
func (l *layer) add(newer *layer) {
	for id, a := range newer.accounts {
		l.set(id, a)
	}
}

// foldFrom is how many changes are folded at least: a fold copies the whole base.
const foldFrom = 4096

// tidy takes a new base that is ready, and has one made when the changes have become many.
func (b *Book) tidy() {
	if b.frozen != nil {
		select {
		case next := <-b.folded:
			b.take(next)
		default:
			return
		}
	}
	if b.full || len(b.young.accounts) < max(foldFrom, b.base.records()/8) {
		return
	}
	b.frozen, b.young = b.young, newLayer()
	old, changes, done := b.base, b.frozen.accounts, make(chan *base, 1)
	b.folded = done
	go func() { done <- fold(old, changes) }()
}

func (b *Book) take(next *base) {
	frozen := b.frozen
	b.frozen, b.folded = nil, nil
	if next != nil {
		b.base = next
		return
	}
	b.full = true
	frozen.add(b.young)
	b.young = frozen
}

// settle waits for a fold that is under way. Tests use it.
func (b *Book) settle() {
	if b.frozen != nil {
		b.take(<-b.folded)
	}
}

// Picture is the book as it was at one moment.
type Picture struct {
	base    *base
	changes []map[string]*deal.Account // older ones first
}

// Picture takes a picture of the book. It copies the newest changes and nothing else.
func (b *Book) Picture() Picture {
	p := Picture{base: b.base}
	if b.frozen != nil {
		p.changes = append(p.changes, b.frozen.accounts)
	}
	if len(b.young.accounts) > 0 {
		p.changes = append(p.changes, maps.Clone(b.young.accounts))
	}
	return p
}

// Clone returns a book of the same accounts that can be changed apart from b.
func (b *Book) Clone() *Book {
	c := &Book{base: b.base.apart(), young: newLayer(), n: b.n, full: b.full}
	if b.frozen != nil {
		c.young.add(b.frozen)
	}
	c.young.add(b.young)
	return c
}

// Bytes returns the memory the base's arrays hold.
func (b *Book) Bytes() int { return b.base.bytes() }
