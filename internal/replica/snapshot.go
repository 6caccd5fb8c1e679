package replica

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dibs-deals/dibs/internal/flat"
	"github.com/dibs-deals/dibs/internal/store"
)

const (
	chunkSize    = 1 << 20
	ownChunk     = chunkSize / 4 // a section of this size has chunks of its own, which are read straight into it
	fetchers     = 4             // connections of one fetch
	maxSections  = 1 << 12
	maxManifest  = 1 << 20
	leaseFor     = 2 * time.Minute // longer than publishing takes; who dies meanwhile is waited for
	unfinished   = time.Hour       // after which the chunks of a snapshot whose publisher died are gone
	superseded   = 5 * time.Minute // how long those may still be read that fetch the snapshot before
	fetchAtLeast = 3 * time.Second
	fetchRate    = 20 << 20 // bytes a second; below it the store is faster
)

// ErrLeased says that another replica is publishing.
var ErrLeased = errors.New("another replica is publishing a snapshot")

// manifest says which snapshot is the newest. Nothing in it is believed but where to look: the store has a record of each
// snapshot by its digest, and the digest is over everything.
type manifest struct {
	Digest string  `json:"digest"`
	Sizes  []int64 `json:"sizes"` // of the sections, in bytes
}

// piece is a part of a section.
type piece struct{ section, from, to int }

// chunk is what is kept under one name: pieces, each at a place that is a multiple of eight.
type chunk []piece

// layout says how sections of the sizes are kept.
func layout(sizes []int64) []chunk {
	var out []chunk
	var small chunk
	room := 0
	for i, size := range sizes {
		n := int(size)
		if n >= ownChunk {
			for from := 0; from < n; from += chunkSize {
				out = append(out, chunk{{i, from, min(from+chunkSize, n)}})
			}
			continue
		}
		if n > room {
			if len(small) > 0 {
				out = append(out, small)
			}
			small, room = nil, chunkSize
		}
		if n > 0 {
			small = append(small, piece{i, 0, n})
			room -= padded(n)
		}
	}
	if len(small) > 0 {
		out = append(out, small)
	}
	return out
}

func padded(n int) int { return (n + 7) &^ 7 }

// size returns the length of the chunk.
func (c chunk) size() (n int) {
	for _, p := range c {
		n = padded(n) + p.to - p.from
	}
	return n
}

// bytes returns the chunk of the sections. It may share their memory.
func (c chunk) bytes(sections [][]byte) []byte {
	if len(c) == 1 {
		return sections[c[0].section][c[0].from:c[0].to]
	}
	out := make([]byte, 0, c.size())
	for _, p := range c {
		out = append(out, make([]byte, padded(len(out))-len(out))...)
		out = append(out, sections[p.section][p.from:p.to]...)
	}
	return out
}

// allocate makes the sections, and for each chunk the memory it is read into: that of its section, or one that small
// sections share.
func allocate(sizes []int64, chunks []chunk) (sections, into [][]byte) {
	sections, into = make([][]byte, len(sizes)), make([][]byte, len(chunks))
	for i, size := range sizes {
		if size >= ownChunk {
			sections[i] = aligned(int(size))
		}
	}
	for n, c := range chunks {
		if first := c[0]; sizes[first.section] >= ownChunk {
			into[n] = sections[first.section][first.from:first.to]
			continue
		}
		into[n] = aligned(c.size())
		at := 0
		for _, p := range c {
			at = padded(at)
			sections[p.section] = into[n][at : at+p.to : at+p.to]
			at += p.to
		}
	}
	return sections, into
}

// aligned returns n bytes that lie as numbers of eight bytes do.
func aligned(n int) []byte { return flat.Bytes(make([]uint64, padded(n)/8))[:n:n] }

// digest is what the store knows a snapshot by.
func digest(format string, base store.Base, sizes []int64, chunks []store.Hash) store.Hash {
	h := sha256.New()
	fmt.Fprintf(h, "dibs/snapshot/v1\n%s\n%d %x\n%d\n", format, base.Seq, base.Chain, len(sizes))
	var b [8]byte
	for _, s := range sizes {
		binary.LittleEndian.PutUint64(b[:], uint64(s))
		h.Write(b[:])
	}
	for _, c := range chunks {
		h.Write(c[:])
	}
	return store.Hash(h.Sum(nil))
}

// Fetch implements engine.Peers: the sections of the newest snapshot in the format, if they are the very bytes that the
// store says were published. It looks in Redis, then in the store.
func (r *Replica) Fetch(ctx context.Context, format string) (store.Base, [][]byte, error) {
	rec, sections, err := r.fetch(ctx, format)
	var down unavailable
	switch {
	case errors.As(err, &down):
		r.log.Info("no snapshot is to be had in Redis", "cause", err)
		err = nil
	case err != nil:
		r.metrics.rejected.Inc()
	}
	r.fromKept.Store(sections == nil)
	if sections == nil {
		var kept [][]byte
		var keptErr error
		if rec, kept, keptErr = r.kept.fetch(ctx, format); kept != nil {
			if err != nil {
				r.log.Warn("the snapshot in Redis was refused; taking the store's", "cause", err)
			}
			sections, err = kept, nil
		} else if keptErr != nil {
			r.log.Info("no snapshot is to be had in the store", "cause", keptErr)
		}
	}
	if err != nil {
		return store.Base{}, nil, err
	}
	if sections != nil {
		r.metrics.bytes.Set(float64(rec.Bytes))
	}
	return rec.Base, sections, nil
}

// unavailable: a snapshot could not be had; what there is of it is not wrong.
type unavailable struct{ error }

func (u unavailable) Unwrap() error { return u.error }

func (r *Replica) fetch(ctx context.Context, format string) (store.Snapshot, [][]byte, error) {
	tag, m, rec, err := r.newest(ctx, format)
	if err != nil || m == nil {
		return store.Snapshot{}, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchAtLeast+time.Duration(rec.Bytes)*time.Second/fetchRate)
	defer cancel()
	sections, err := assemble(ctx, m, rec, func(ctx context.Context, i int, into []byte) (int, error) {
		n, err := r.slow.GetToBuffer(ctx, chunkName(tag, m.Digest, i), into).Result()
		if isOther(err) {
			return 0, fmt.Errorf("it is something else: %w", err)
		}
		if r.answered(err) != nil {
			return 0, unavailable{err}
		}
		return n, nil
	})
	return rec, sections, err
}

// assemble reads the chunks of a snapshot, and returns its sections if they are what was published.
func assemble(ctx context.Context, m *manifest, rec store.Snapshot, read func(ctx context.Context, i int, into []byte) (int, error)) ([][]byte, error) {
	chunks := layout(m.Sizes)
	sections, into := allocate(m.Sizes, chunks)
	hashes := make([]store.Hash, len(chunks))
	err := parallel(ctx, fetchers, len(chunks), func(ctx context.Context, i int) error {
		n, err := read(ctx, i, into[i])
		if err != nil {
			return fmt.Errorf("chunk %d of %d: %w", i, len(chunks), err)
		}
		if n != len(into[i]) {
			return fmt.Errorf("chunk %d of %d has %d bytes, not %d", i, len(chunks), n, len(into[i]))
		}
		hashes[i] = sha256.Sum256(into[i])
		return nil
	})
	if err != nil {
		return nil, err
	}
	if got := digest(rec.Format, rec.Base, m.Sizes, hashes); got != rec.Digest {
		return nil, fmt.Errorf("its bytes have digest %x, the store says %x was published", got[:8], rec.Digest[:8])
	}
	return sections, nil
}

// newest returns the manifest in Redis with the store's record of it; nil: there is none. An error that is not unavailable:
// what the manifest says is not what the store does.
func (r *Replica) newest(ctx context.Context, format string) (tag string, m *manifest, rec store.Snapshot, err error) {
	if tag, err = r.space(ctx); err != nil {
		return "", nil, rec, unavailable{err}
	}
	published, err := r.store.Snapshots(ctx)
	if err != nil {
		return tag, nil, rec, unavailable{err}
	}
	asking, cancel := context.WithTimeout(ctx, fetchAtLeast)
	defer cancel()
	text := make([]byte, maxManifest)
	n, err := r.slow.GetToBuffer(asking, manifestName(tag, format), text).Result()
	if isOther(err) {
		return tag, nil, rec, fmt.Errorf("its manifest is something else: %w", err)
	}
	if errors.Is(r.answered(err), redis.Nil) {
		return tag, nil, rec, nil
	}
	if err != nil {
		return tag, nil, rec, unavailable{err}
	}
	m, rec, err = openManifest(text[:n], format, published)
	return tag, m, rec, err
}

// openManifest reads a manifest, and finds the record of what it names.
func openManifest(text []byte, format string, published []store.Snapshot) (*manifest, store.Snapshot, error) {
	m := &manifest{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, store.Snapshot{}, fmt.Errorf("its manifest cannot be read: %w", err)
	}
	at := slices.IndexFunc(published, func(p store.Snapshot) bool {
		return p.Format == format && hex.EncodeToString(p.Digest[:]) == m.Digest
	})
	if at < 0 {
		return nil, store.Snapshot{}, fmt.Errorf("the store knows of no snapshot %.16q in format %s", m.Digest, format)
	}
	rec := published[at]
	var sum int64
	for _, s := range m.Sizes {
		if s < 0 || s > rec.Bytes {
			return nil, rec, errors.New("its manifest has impossible sizes")
		}
		sum += s
		if sum > rec.Bytes {
			break
		}
	}
	if sum != rec.Bytes || len(m.Sizes) > maxSections {
		return nil, rec, fmt.Errorf("its manifest speaks of other sizes than the %d bytes that were published", rec.Bytes)
	}
	return m, rec, nil
}

// isOther reports whether Redis answered, with something that is not what was written: another type, or too long.
func isOther(err error) bool {
	return err != nil && (strings.HasPrefix(err.Error(), "WRONGTYPE") || strings.Contains(err.Error(), "buffer too small"))
}

func manifestName(tag, format string) string { return tag + ":snapshot:" + format }

func chunkName(tag, digest string, i int) string {
	return tag + ":chunk:" + digest + ":" + strconv.Itoa(i)
}

// Publish publishes a snapshot of w: its chunks, then the store's record, then the manifest that names it. ErrLeased: another
// replica is at it. Two that publish all the same do no harm: each snapshot has names of its own, and the store's record.
func (r *Replica) Publish(ctx context.Context, w World) (rec store.Snapshot, err error) {
	defer func() {
		switch {
		case err == nil:
			r.metrics.publish.WithLabelValues("published").Inc()
			r.metrics.bytes.Set(float64(rec.Bytes))
		case errors.Is(err, ErrLeased):
			r.metrics.publish.WithLabelValues("leased").Inc()
		default:
			r.metrics.publish.WithLabelValues("failed").Inc()
		}
	}()
	tag, err := r.space(ctx)
	if err != nil {
		return rec, err
	}
	release, err := r.lease(ctx, tag+":lease:"+w.SnapshotFormat())
	if err != nil {
		return rec, err
	}
	defer release()
	p, err := pack(ctx, w)
	if err != nil {
		return rec, err
	}
	rec = p.Snapshot
	if err := parallel(ctx, 2, len(p.chunks), func(ctx context.Context, i int) error {
		return r.answered(r.slow.Set(ctx, chunkName(tag, p.digest, i), p.chunks[i].bytes(p.sections), unfinished).Err())
	}); err != nil {
		return rec, fmt.Errorf("writing chunks: %w", err)
	}
	_, before, _, beforeErr := r.newest(ctx, rec.Format)
	if err := r.store.PutSnapshot(ctx, rec); err != nil {
		return rec, fmt.Errorf("recording the snapshot: %w", err)
	}
	if err := r.answered(r.slow.Set(ctx, manifestName(tag, rec.Format), p.manifest, 0).Err()); err != nil {
		return rec, fmt.Errorf("writing the manifest: %w", err)
	}
	_, err = r.slow.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i := range p.chunks {
			pipe.Persist(ctx, chunkName(tag, p.digest, i))
		}
		if beforeErr == nil && before != nil && before.Digest != p.digest {
			for i := range layout(before.Sizes) {
				pipe.Expire(ctx, chunkName(tag, before.Digest, i), superseded)
			}
		}
		return nil
	})
	if r.answered(err) != nil {
		return rec, fmt.Errorf("keeping the chunks: %w", err)
	}
	return rec, nil
}

// packed is a snapshot, ready to be put away.
type packed struct {
	store.Snapshot
	digest   string // of Snapshot, in hex
	manifest []byte
	sections [][]byte
	chunks   []chunk
}

// pack takes a snapshot.
func pack(ctx context.Context, w World) (p packed, err error) {
	base, sections, err := w.Snapshot(ctx)
	if err != nil {
		return p, fmt.Errorf("taking a snapshot: %w", err)
	}
	if len(sections) > maxSections {
		return p, fmt.Errorf("a snapshot of %d sections", len(sections))
	}
	p.Snapshot = store.Snapshot{Base: base, Format: w.SnapshotFormat(), At: time.Now().UTC().Truncate(time.Microsecond)}
	m := manifest{Sizes: make([]int64, len(sections))}
	for i, s := range sections {
		m.Sizes[i] = int64(len(s))
		p.Bytes += m.Sizes[i]
	}
	p.sections, p.chunks = sections, layout(m.Sizes)
	hashes := make([]store.Hash, len(p.chunks))
	if err := parallel(ctx, runtime.GOMAXPROCS(0), len(p.chunks), func(_ context.Context, i int) error {
		hashes[i] = sha256.Sum256(p.chunks[i].bytes(sections))
		return nil
	}); err != nil {
		return p, err
	}
	p.Digest = digest(p.Format, base, m.Sizes, hashes)
	p.digest = hex.EncodeToString(p.Digest[:])
	m.Digest = p.digest
	if p.manifest, err = json.Marshal(m); err == nil && len(p.manifest) > maxManifest {
		err = fmt.Errorf("a manifest of %d bytes", len(p.manifest))
	}
	return p, err
}

// lease takes the right to publish, and returns what gives it back.
func (r *Replica) lease(ctx context.Context, name string) (release func(), err error) {
	token := rand.Text()
	err = r.answered(r.slow.SetArgs(ctx, name, token, redis.SetArgs{Mode: "NX", TTL: leaseFor}).Err())
	if errors.Is(err, redis.Nil) {
		return nil, ErrLeased
	}
	if err != nil {
		return nil, fmt.Errorf("asking for the lease: %w", err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchAtLeast)
		defer cancel()
		if err := giveBack.Run(ctx, r.slow, []string{name}, token).Err(); r.answered(err) != nil {
			r.log.Warn("the lease to publish snapshots was not given back; it ends by itself", "error", err, "in", leaseFor)
		}
	}, nil
}

// giveBack deletes a lease that is still the caller's.
var giveBack = redis.NewScript(`if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0`)

const (
	publishTick  = time.Second
	publishLook  = 30 // ticks between looks at whether Redis still has the snapshot
	changesFrom  = 10_000
	changesShare = 10 // or this part of the accounts: reading so many changes takes a tenth of what reading all does
)

// shelf is where snapshots are put.
type shelf interface {
	// there reports whether a whole snapshot of the format is there, and of which entry.
	there(ctx context.Context, format string) (seq uint64, is bool, err error)
	// Publish puts one there. ErrLeased: somebody else is at it.
	Publish(ctx context.Context, w World) (store.Snapshot, error)
}

// publishing publishes when there is no snapshot of the format on the shelf, and when the newest has grown old. Worlds of
// fewer accounts than from are left alone. When it is told to look, it looks at once.
func publishing(ctx context.Context, w World, to shelf, from int, look <-chan struct{}, log *slog.Logger) {
	published := uint64(0) // changes of accounts when the newest snapshot was published, as far as this replica knows
	newest := uint64(0)    // sequence of that
	ticker := time.NewTicker(publishTick)
	defer ticker.Stop()
	for tick := 0; ; tick++ {
		looks := tick%publishLook == 0
		if tick > 0 {
			select {
			case <-ctx.Done():
				return
			case <-look:
				looks = true
			case <-ticker.C:
			}
		}
		n, changes := w.Accounts()
		if changes < published { // the world was read again, and its changes counted from there
			published = 0
		}
		old := grown(n, changes-published)
		if n < from || !old && !looks {
			continue
		}
		seq, there, err := to.there(ctx, w.SnapshotFormat())
		if err != nil {
			continue
		}
		if there && seq > newest {
			if tick > 0 { // published by another replica since; at first, all changes are those on top of it
				published, old = changes, false
			}
			newest = seq
		}
		if there && !old {
			continue
		}
		rec, err := to.Publish(ctx, w)
		switch {
		case err == nil:
			newest, published = rec.Seq, changes
			log.Info("a snapshot was published", "sequence", rec.Seq, "bytes", rec.Bytes)
		case !errors.Is(err, ErrLeased) && ctx.Err() == nil:
			log.Warn("a snapshot could not be published", "error", err)
		}
	}
}

// grown reports whether so many changes of n accounts make a snapshot old.
func grown(n int, changes uint64) bool { return changes > uint64(max(changesFrom, n/changesShare)) }

// there reports whether Redis has a whole snapshot that the store names, and of which entry.
func (r *Replica) there(ctx context.Context, format string) (seq uint64, is bool, err error) {
	tag, m, rec, err := r.newest(ctx, format)
	var down unavailable
	switch {
	case errors.As(err, &down):
		return 0, false, err
	case err != nil || m == nil: // one that is wrong is as good as none
		return 0, false, nil //nolint:nilerr // see above
	}
	chunks := layout(m.Sizes)
	found := make([]*redis.IntCmd, len(chunks))
	_, err = r.slow.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range chunks {
			found[i] = p.Exists(ctx, chunkName(tag, m.Digest, i))
		}
		return nil
	})
	if r.answered(err) != nil {
		return 0, false, err
	}
	for _, f := range found {
		if f.Val() == 0 {
			return rec.Seq, false, nil
		}
	}
	return rec.Seq, true, nil
}

// parallel does n things, so many at once, and returns the first error; what has not begun then is left.
func parallel(ctx context.Context, workers, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(workers, n) {
		wg.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
feed:
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}
