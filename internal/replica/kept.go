package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

const (
	// KeptFrom is how many accounts a world has, at least, whose snapshots are kept in the store: fewer are read in a second.
	KeptFrom = 100_000
	// otherFormats is how long the snapshot of another version of the program is kept, which may still start.
	otherFormats = 24 * time.Hour
	// keepers is how far apart those start to publish who notice at one time that there is nothing: the second then finds
	// what the first has kept.
	keepers = 20 * time.Second
)

// Kept is the snapshots that the store itself keeps, so that a process starts from one where there is no Redis, or an
// empty one. It implements engine.Peers, of nobody to hear.
type Kept struct {
	store store.Store
	log   *slog.Logger
	from  int           // see KeptFrom
	wait  time.Duration // see keepers
}

// NewKept returns the snapshots of a store. A nil log discards.
func NewKept(st store.Store, log *slog.Logger) *Kept {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Kept{store: st, log: log, from: KeptFrom, wait: keepers}
}

// Loaded implements engine.Peers.
func (k *Kept) Loaded(bool, error) {}

// Moved implements engine.Peers.
func (k *Kept) Moved(store.Head, bool) {}

// Wake implements engine.Peers: never.
func (k *Kept) Wake() <-chan struct{} { return nil }

// State implements engine.Peers.
func (k *Kept) State() string { return "off" }

// Source implements engine.Peers.
func (k *Kept) Source() string { return "store" }

// Fetch implements engine.Peers.
func (k *Kept) Fetch(ctx context.Context, format string) (store.Base, [][]byte, error) {
	rec, sections, err := k.fetch(ctx, format)
	return rec.Base, sections, err
}

// Run keeps a snapshot of w, anew when it has grown old, until ctx ends.
func (k *Kept) Run(ctx context.Context, w World) { publishing(ctx, w, k, k.from, nil, k.log) }

// Renew keeps a snapshot of w if Run would, soon: for a process that changes accounts and ends.
func (k *Kept) Renew(ctx context.Context, w World) error {
	n, changes := w.Accounts()
	if n < k.from {
		return nil
	}
	if _, there, err := k.there(ctx, w.SnapshotFormat()); err != nil || there && !grown(n, changes) {
		return err
	}
	_, err := Keep(ctx, k.store, w)
	return err
}

// fetch returns the newest snapshot of the format that is kept whole; no sections: there is none.
func (k *Kept) fetch(ctx context.Context, format string) (store.Snapshot, [][]byte, error) {
	m, rec, err := k.newest(ctx, format)
	if err != nil || m == nil {
		return store.Snapshot{}, nil, err
	}
	sections, err := assemble(ctx, m, rec, func(ctx context.Context, i int, into []byte) (int, error) {
		b, err := k.store.Chunk(ctx, rec.Digest, 1+i)
		return copy(into, b) + max(0, len(b)-len(into)), err
	})
	return rec, sections, err
}

// newest returns the newest snapshot of the format that is kept whole; nil: there is none.
func (k *Kept) newest(ctx context.Context, format string) (*manifest, store.Snapshot, error) {
	kept, err := k.store.Chunks(ctx)
	if err != nil || len(kept) == 0 {
		return nil, store.Snapshot{}, err
	}
	published, err := k.store.Snapshots(ctx)
	if err != nil {
		return nil, store.Snapshot{}, err
	}
	for _, p := range published {
		if p.Format != format || kept[p.Digest] == 0 {
			continue
		}
		text, err := k.store.Chunk(ctx, p.Digest, 0)
		if errors.Is(err, deal.ErrNotFound) { // it is being written, or dropped
			continue
		}
		if err != nil {
			return nil, store.Snapshot{}, err
		}
		m, rec, err := openManifest(text, format, published)
		if err != nil {
			return nil, store.Snapshot{}, err
		}
		if rec.Digest != p.Digest {
			return nil, rec, fmt.Errorf("its manifest is of another snapshot, %x", rec.Digest[:8])
		}
		if kept[p.Digest] == 1+len(layout(m.Sizes)) {
			return m, rec, nil
		}
	}
	return nil, store.Snapshot{}, nil
}

// there implements shelf. One that cannot be read is as good as none.
func (k *Kept) there(ctx context.Context, format string) (uint64, bool, error) {
	m, rec, err := k.newest(ctx, format)
	if err != nil && ctx.Err() != nil {
		return 0, false, err
	}
	return rec.Seq, m != nil && err == nil, nil
}

// Publish keeps a snapshot of w in the store, and lets go those it takes the place of. ErrLeased: another process has done
// it meanwhile. Two that do it at once do no harm.
func (k *Kept) Publish(ctx context.Context, w World) (store.Snapshot, error) {
	before, _, err := k.there(ctx, w.SnapshotFormat())
	if err != nil {
		return store.Snapshot{}, err
	}
	select {
	case <-time.After(time.Duration(rand.Int64N(int64(k.wait) + 1))):
	case <-ctx.Done():
		return store.Snapshot{}, ctx.Err()
	}
	if now, is, err := k.there(ctx, w.SnapshotFormat()); err != nil || is && now > before {
		return store.Snapshot{}, errors.Join(err, ErrLeased)
	}
	return Keep(ctx, k.store, w)
}

// Keep keeps a snapshot of w in the store at once. Its pieces come before its record: what is recorded is whole, until the
// database has crashed.
func Keep(ctx context.Context, st store.Store, w World) (store.Snapshot, error) {
	p, err := pack(ctx, w)
	if err != nil {
		return p.Snapshot, err
	}
	if err := parallel(ctx, 2, 1+len(p.chunks), func(ctx context.Context, i int) error {
		if i == 0 {
			return st.PutChunk(ctx, p.Digest, 0, p.manifest)
		}
		return st.PutChunk(ctx, p.Digest, i, p.chunks[i-1].bytes(p.sections))
	}); err != nil {
		return p.Snapshot, err
	}
	if err := st.PutSnapshot(ctx, p.Snapshot); err != nil {
		return p.Snapshot, fmt.Errorf("recording the snapshot: %w", err)
	}
	return p.Snapshot, letGo(ctx, st, p.Snapshot)
}

// letGo drops what a new snapshot takes the place of: all that are kept of its format, and those of others that are old or
// that nobody has recorded.
func letGo(ctx context.Context, st store.Store, by store.Snapshot) error {
	kept, err := st.Chunks(ctx)
	if err != nil {
		return err
	}
	published, err := st.Snapshots(ctx)
	if err != nil {
		return err
	}
	stays := map[store.Hash]bool{by.Digest: true}
	for _, p := range published {
		if p.Format != by.Format && by.At.Sub(p.At) < otherFormats {
			stays[p.Digest] = true
		}
	}
	for of := range kept {
		if !stays[of] {
			if err := st.DropChunks(ctx, of); err != nil {
				return err
			}
		}
	}
	return nil
}
