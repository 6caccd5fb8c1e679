package engine

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/store"
)

// TestReload breaks commits. The world is read again; accounts are read again only when they may hold what was not
// committed.
func TestReload(t *testing.T) {
	_, around := customers(t, 1, 300)
	b := newBench(t, around...)
	boom := errors.New("boom")
	index := func() *match.Index { return read(b.Engine, func(v *view) *match.Index { return v.accountIndex }) }
	breaks := func(point string, do func() error) {
		t.Helper()
		done := false
		hook := func(p string) error {
			if p == point && !done {
				done = true
				return boom
			}
			return nil
		}
		b.hook.Store(&hook)
		defer b.hook.Store(nil)
		if err := do(); !errors.Is(err, deal.ErrUnavailable) {
			t.Fatalf("a commit that broke when %s: %v", point, err)
		}
		if !done {
			t.Fatalf("no commit was %s", point)
		}
	}
	register := func() error { // without a key: with one, what was committed would be found and answered
		f := filing("P-1", zanzibar)
		_, err := b.Register(context.Background(), request("key_test", "", f), f)
		return err
	}
	put := func(id string) func() error {
		return func() error {
			_, err := b.Put(context.Background(), Request{Actor: deal.System}, []deal.Record{&deal.Account{ID: id, Name: "Account " + id}}, nil)
			return err
		}
	}
	has := func(id string) bool {
		return read(b.Engine, func(v *view) bool {
			return v.accounts.Has(id) && len(v.accountIndex.Search(v.model.Prepare(match.Record{Names: []string{"Account " + id}}), match.Options{}).Candidates) > 0
		})
	}
	first := index()
	breaks("written", register)
	breaks("committed", register) // it is there all the same
	if index() != first {
		t.Error("accounts were read again for a registration")
	}
	if n := b.Ready(context.Background()).Claims; n != 1 {
		t.Errorf("%d claims, want the one that was committed", n)
	}
	breaks("written", put("never"))
	if has("never") {
		t.Error("an account that was not committed")
	}
	breaks("committed", put("unknown"))
	if !has("unknown") || index() == first {
		t.Error("an account whose commit was unknown, and happened, is missing")
	}
	second := index()
	breaks("written", register)
	if index() != second {
		t.Error("accounts were read again for a registration")
	}
	if err := put("later")(); err != nil || !has("later") {
		t.Errorf("and goes on: %v", err)
	}
	b.sound()
}

// TestSnapshot takes a snapshot, and opens it whole and damaged.
func TestSnapshot(t *testing.T) {
	_, around := customers(t, 1, 300)
	b := newBench(t, around...)
	base, sections, err := b.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Ready(context.Background()); base.Seq != got.Position {
		t.Errorf("as of entry %d, the view is at %d", base.Seq, got.Position)
	}
	format := b.SnapshotFormat()
	if again := snapshotFormat(b.model); again != format || strings.ContainsAny(format, " :{}") {
		t.Errorf("formats %q and %q of one program", format, again)
	}
	on, err := openOrigin(b.model, format, base, sections)
	if err != nil {
		t.Fatal(err)
	}
	if on.accounts.Len() != len(around) || on.index.Len() != len(around) {
		t.Errorf("%d accounts, %d in the index", on.accounts.Len(), on.index.Len())
	}
	for _, a := range around {
		if !reflect.DeepEqual(on.accounts.Get(a.ID), a) {
			t.Fatalf("%+v is not %+v", on.accounts.Get(a.ID), a)
		}
	}
	for what, open := range map[string]func() (*origin, error){
		"another format": func() (*origin, error) { return openOrigin(b.model, "1.2-x", base, sections) },
		"another entry": func() (*origin, error) {
			return openOrigin(b.model, format, store.Base{Seq: base.Seq - 1, Chain: base.Chain}, sections)
		},
		"another chain":  func() (*origin, error) { return openOrigin(b.model, format, store.Base{Seq: base.Seq}, sections) },
		"nothing":        func() (*origin, error) { return openOrigin(b.model, format, base, nil) },
		"a missing part": func() (*origin, error) { return openOrigin(b.model, format, base, sections[:len(sections)-1]) },
		"a missing book": func() (*origin, error) { return openOrigin(b.model, format, base, sections[:3]) },
		"sections swapped": func() (*origin, error) {
			s := slices.Clone(sections)
			s[1], s[2] = s[2], s[1]
			return openOrigin(b.model, format, base, s)
		},
	} {
		if _, err := open(); err == nil {
			t.Errorf("%s was opened", what)
		}
	}
	// One whose accounts and index do not belong together does not become a world.
	short := *on
	short.index = match.NewIndex(b.model)
	if _, err := load(context.Background(), b.Store(), b.model, &short); !errors.Is(err, errDiverged) {
		t.Errorf("accounts without their index: %v", err)
	}
	if _, err := load(context.Background(), b.Store(), b.model, &origin{Base: store.Base{Seq: 1, Chain: base.Chain}, accounts: on.accounts, index: on.index}); !errors.Is(err, store.ErrBase) {
		t.Errorf("on an entry with another chain: %v", err)
	}
	if v, err := load(context.Background(), b.Store(), b.model, on); err != nil || v.base != base {
		t.Errorf("read on top: %v", err)
	}
}
