package replica_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/replica"
	"github.com/dibs-deals/dibs/internal/store"
)

// startKept starts a process without Redis, on what the store keeps.
func (s *site) startKept() *process {
	s.t.Helper()
	st, err := s.open()
	if err != nil {
		s.t.Fatal(err)
	}
	p := &process{store: &counting{Store: st}}
	p.kept = &heard{Kept: replica.NewKept(p.store, nil)}
	if p.Engine, err = engine.Open(ctx, engine.Config{Store: p.store, Signer: s.key, Clock: noon, Peers: p.kept}); err != nil {
		s.t.Fatal(err)
	}
	p.end = func() {
		p.end = func() {}
		if err := p.Close(ctx); err != nil {
			s.t.Error(err)
		}
		if err := st.Close(); err != nil {
			s.t.Error(err)
		}
	}
	s.t.Cleanup(func() { p.end() })
	return p
}

// heard notes how the world was read.
type heard struct {
	*replica.Kept
	warm bool
	err  error
}

func (h *heard) Loaded(warm bool, err error) { h.warm, h.err = warm, err }

// TestKept starts on top of a snapshot in the store, without Redis or with an empty one, and decides as one that has read
// everything. What is not whole, or not what was recorded, is not used.
func TestKept(t *testing.T) { onBoth(t, testKept) }

func testKept(t *testing.T, s *site) {
	rows := accounts(3000)
	a := s.start(true, false)
	a.put(t, append(partners(), rows...)...)
	if b := s.startKept(); b.kept.warm || b.kept.err != nil {
		t.Fatalf("a start on nothing: %v, %v", b.kept.warm, b.kept.err)
	}
	first, err := replica.Keep(ctx, a.store, a.Engine)
	if err != nil {
		t.Fatal(err)
	}
	a.put(t, renamed(rows[5]))
	b := s.startKept()
	if got := b.Ready(ctx); !b.kept.warm || got.Source != "store" || got.Redis != "off" || got.Accounts != 3000 {
		t.Errorf("not from what is kept: %v %v, %+v", b.kept.warm, b.kept.err, got)
	}
	names := append(spellings(rows), "Renamed Holdings")
	same(t, a, b, names)

	// With a Redis that holds nothing, the same.
	c := s.start(false, false)
	if n := count(t, c.rep, "boots", "store", "warm"); n != 1 {
		t.Error("an empty Redis kept it from the store's snapshot")
	}
	same(t, a, c, names)

	// Another takes its place.
	second, err := replica.Keep(ctx, a.store, a.Engine)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := a.store.Chunks(ctx)
	if err != nil || len(kept) != 1 || kept[second.Digest] < 2 || second.Seq <= first.Seq {
		t.Fatalf("kept %v, %v", kept, err)
	}
	whole, err := a.store.Chunk(ctx, second.Digest, 1)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := a.store.Chunk(ctx, second.Digest, 0)
	if err != nil {
		t.Fatal(err)
	}
	put := func(of store.Hash, i int, body []byte) {
		t.Helper()
		if err := a.store.PutChunk(ctx, of, i, body); err != nil {
			t.Fatal(err)
		}
	}
	changed := bytes.Clone(whole)
	changed[len(changed)/2] ^= 1
	for _, c := range []struct {
		name    string
		spoil   func()
		refused bool // rather than not found
	}{
		{"a changed letter", func() { put(second.Digest, 1, changed) }, true},
		{"a piece that is too short", func() { put(second.Digest, 1, whole[1:]) }, true},
		{"a piece that is too long", func() { put(second.Digest, 1, append(bytes.Clone(whole), 0)) }, true},
		{"no manifest", func() { put(second.Digest, 1, whole); put(second.Digest, 0, []byte("{")) }, true},
		{"a manifest of another", func() {
			put(second.Digest, 0, bytes.ReplaceAll(manifest, []byte(`"digest":"`), []byte(`"digest":"00`)))
		}, true},
		{"one piece too many", func() { put(second.Digest, 0, manifest); put(second.Digest, 999, []byte{1}) }, false},
		{"pieces without a record", func() {
			if err := a.store.DropChunks(ctx, second.Digest); err != nil {
				t.Fatal(err)
			}
			put(store.Hash{7}, 0, manifest)
			put(store.Hash{7}, 1, whole)
		}, false},
	} {
		c.spoil()
		b := s.startKept()
		if b.kept.warm || (b.kept.err != nil) != c.refused {
			t.Errorf("%s: used %v, refused because %v", c.name, b.kept.warm, b.kept.err)
		}
		if got := b.Ready(ctx); got.Source != "store" || got.Accounts != 3000 {
			t.Errorf("%s: %+v", c.name, got)
		}
		b.end()
	}

	// The next is whole again, and the litter is gone.
	third, err := replica.Keep(ctx, a.store, a.Engine)
	if err != nil {
		t.Fatal(err)
	}
	if kept, err = a.store.Chunks(ctx); err != nil || len(kept) != 1 || kept[third.Digest] == 0 {
		t.Errorf("kept %v, %v", kept, err)
	}
	if b := s.startKept(); !b.kept.warm {
		t.Error(b.kept.err)
	}
}

// TestRenew: a small world is not kept; a large one when there is nothing, and when enough has changed.
func TestRenew(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.start(true, false)
	a.put(t, partners()...)
	a.put(t, accounts(200)...)
	k := replica.NewKept(a.store, nil)
	digests := func() int {
		t.Helper()
		if err := k.Renew(ctx, a.Engine); err != nil {
			t.Fatal(err)
		}
		kept, err := a.store.Chunks(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return len(kept)
	}
	if n := digests(); n != 0 {
		t.Errorf("%d snapshots of 200 accounts are kept", n)
	}
	k.From(100)
	if n := digests(); n != 1 {
		t.Errorf("%d snapshots are kept", n)
	}
	first, err := a.store.Snapshots(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a.put(t, accounts(300)...)
	digests()
	if now, err := a.store.Snapshots(ctx); err != nil || len(now) != len(first) {
		t.Errorf("a hundred more made another: %d, %v", len(now), err)
	}
	a.put(t, accounts(10_500)...)
	digests()
	if now, err := a.store.Snapshots(ctx); err != nil || len(now) != len(first)+1 {
		t.Errorf("ten thousand more made none: %d, %v", len(now), err)
	}
}

// TestKeptRun: who runs without Redis keeps a snapshot without being asked to.
func TestKeptRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.start(true, false)
	a.put(t, append(partners(), accounts(200)...)...)
	k := replica.NewKept(a.store, nil)
	k.From(100)
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); k.Run(running, a.Engine) }()
	defer func() { stop(); <-ended }()
	await(t, "a snapshot", func() bool { kept, err := a.store.Chunks(ctx); return err == nil && len(kept) == 1 })
	await(t, "a start from it", func() bool { b := s.startKept(); defer b.end(); return b.kept.warm })
}
