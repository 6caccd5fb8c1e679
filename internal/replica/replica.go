// Package replica connects the replicas of one store through Redis: they boot from a snapshot of the accounts and their
// index instead of building it, hear at once of each other's commits, and share rate limits.
//
// Redis is never believed. Its snapshots are bytes that anybody may have changed: the store names the digest of each
// that was published, and only those bytes are used. Its signals say when to look; what there is to see is read from the
// store. Its counters only ever refuse more than this replica's own. So with Redis down, flushed, stale or forged every
// decision stays what it is, and only takes a little longer to be seen elsewhere. No key and no data of people is kept
// there. The store keeps a snapshot as well, for a start without Redis: see Kept.
//
// What Redis holds, under names with one hash tag, so that a cluster keeps them together:
//
//	{dibs:ORIGIN:LEDGER}:snapshot:FORMAT  which snapshot of the format is the newest: JSON, see manifest
//	{dibs:ORIGIN:LEDGER}:chunk:DIGEST:N   its bytes, up to 1 MiB each: about 210 MB for a million accounts, twice that for five
//	                                      minutes after a new one was published
//	{dibs:ORIGIN:LEDGER}:lease:FORMAT     who publishes
//	{dibs:ORIGIN:LEDGER}:signal           a stream of about a thousand entries: sequence and chain after each commit
//	rate:{dibs:ORIGIN:LEDGER}:NAME        one counter for each name with a limit; it ends by itself
//
// A user with an access list needs get, set, del, exists, expire, pexpire, persist, xadd, xread, xrevrange, eval and
// evalsha on these.
package replica

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// Config is what a Replica is made of.
type Config struct {
	URL    string // see Redis
	Store  store.Store
	Origin string       // name of the ledger; installations that share a Redis should have different ones
	Log    *slog.Logger // nil: discard
	// Instrument, if not nil, is given each client before it is used.
	Instrument func(redis.UniversalClient) error
}

// World is what a replica publishes: the engine.
type World interface {
	// Snapshot returns the accounts and their index as of one entry, in sections, which are not changed.
	Snapshot(ctx context.Context) (store.Base, [][]byte, error)
	// SnapshotFormat names what can read them.
	SnapshotFormat() string
	// Accounts returns how many accounts there are, and how many changes of them there have been.
	Accounts() (n int, changes uint64)
}

// Replica is this process's end of Redis. It implements engine.Peers.
type Replica struct {
	store  store.Store
	kept   *Kept
	origin string
	log    *slog.Logger

	slow redis.UniversalClient // for chunks and the stream: seconds
	fast redis.UniversalClient // for what a request waits for: milliseconds
	rate *redis_rate.Limiter

	spaceMu sync.Mutex
	tag     string // the hash tag of the names, once the ledger has a first entry

	fromKept atomic.Bool   // the last snapshot was fetched from the store
	state    atomic.Int32  // see Redis's states
	look     chan struct{} // Redis has come up: see what it holds
	silent   atomic.Int64  // until when, in Unix nanoseconds, no request asks Redis
	position atomic.Pointer[store.Head]
	wake     chan struct{}
	send     chan struct{}
	outgoing atomic.Pointer[store.Head] // the last own commit

	metrics *metrics
}

// New makes a replica. It does not connect: a Redis that is down is one that may come up.
func New(cfg Config) (*Replica, error) {
	r := &Replica{store: cfg.Store, origin: cfg.Origin, log: cfg.Log, wake: make(chan struct{}, 1), send: make(chan struct{}, 1), look: make(chan struct{}, 1)}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	hush()
	r.kept = NewKept(cfg.Store, r.log)
	var err error
	if r.slow, err = connect(cfg.URL, slowTimeouts); err != nil {
		return nil, err
	}
	if r.fast, err = connect(cfg.URL, fastTimeouts); err != nil {
		return nil, errors.Join(err, r.slow.Close())
	}
	if cfg.Instrument != nil {
		if err := errors.Join(cfg.Instrument(r.slow), cfg.Instrument(r.fast)); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	r.rate = redis_rate.NewLimiter(r.fast)
	r.position.Store(&store.Head{})
	r.metrics = newMetrics(r)
	return r, nil
}

// hush keeps the client from writing to standard error: that Redis is down is said once, in the log.
var hush = sync.OnceFunc(func() { redis.SetLogger(silent{}) })

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// Close ends the connections. Run must have returned.
func (r *Replica) Close() error { return errors.Join(r.slow.Close(), r.fast.Close()) }

// Run sends and hears signals, and publishes snapshots of w, in Redis and in the store, when there is none or it has grown
// old, until ctx ends.
func (r *Replica) Run(ctx context.Context, w World) {
	var loops sync.WaitGroup
	loops.Go(func() { r.listen(ctx) })
	loops.Go(func() { r.announce(ctx) })
	loops.Go(func() { publishing(ctx, w, r, 0, r.look, r.log) })
	loops.Go(func() { r.kept.Run(ctx, w) })
	loops.Wait()
}

// The states of Redis, as of the last answer it gave or did not give.
const (
	unknown int32 = iota
	up
	down
)

// State returns up or down.
func (r *Replica) State() string {
	if r.state.Load() == up {
		return "up"
	}
	return "down"
}

// Source implements engine.Peers.
func (r *Replica) Source() string {
	if r.fromKept.Load() {
		return "store"
	}
	return "redis"
}

// Loaded implements engine.Peers.
func (r *Replica) Loaded(warm bool, err error) {
	switch {
	case warm:
		r.metrics.boots.WithLabelValues(r.Source(), "warm").Inc()
	case err != nil:
		r.metrics.boots.WithLabelValues("store", "rejected").Inc()
	default:
		r.metrics.boots.WithLabelValues("store", "cold").Inc()
	}
}

// answered notes whether Redis did what it was asked, and passes err on. That there is nothing under a name is an answer.
func (r *Replica) answered(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	is := up
	if err != nil && !errors.Is(err, redis.Nil) {
		is = down
	}
	switch was := r.state.Swap(is); {
	case was == is:
	case is == up:
		r.log.Info("Redis is up")
		poke(r.look)
	default:
		r.log.Warn("Redis is down; going on with the store alone", "error", err)
	}
	return err
}

// space returns the hash tag under which everything of this ledger is named. It takes the beginning of the first entry's
// chain, so that two ledgers never share one.
func (r *Replica) space(ctx context.Context) (string, error) {
	r.spaceMu.Lock()
	defer r.spaceMu.Unlock()
	if r.tag == "" {
		first, err := r.store.Entry(ctx, 1)
		if errors.Is(err, deal.ErrNotFound) {
			return "", errEmpty
		}
		if err != nil {
			return "", err
		}
		r.tag = "{dibs:" + r.origin + ":" + hex.EncodeToString(first.Chain[:6]) + "}"
	}
	return r.tag, nil
}

// errEmpty: the ledger has no entry yet, and so no name.
var errEmpty = errors.New("the ledger is empty")

// Allow takes one of the perMinute that a name may have each minute over all replicas. known is false when Redis cannot
// say; it never takes longer than fastTimeout.
func (r *Replica) Allow(ctx context.Context, name string, perMinute int) (allowed, known bool) {
	if time.Now().UnixNano() < r.silent.Load() {
		r.metrics.limits.WithLabelValues("unknown").Inc()
		return false, false
	}
	ctx, cancel := context.WithTimeout(ctx, fastTimeout)
	defer cancel()
	tag, err := r.space(ctx)
	if err == nil {
		var got *redis_rate.Result
		if got, err = r.rate.Allow(ctx, tag+":"+name, redis_rate.PerMinute(perMinute)); err == nil {
			_ = r.answered(nil)
			if got.Allowed > 0 {
				r.metrics.limits.WithLabelValues("allowed").Inc()
				return true, true
			}
			r.metrics.limits.WithLabelValues("refused").Inc()
			return false, true
		}
	}
	if !errors.Is(err, context.Canceled) {
		r.silent.Store(time.Now().Add(silence).UnixNano())
		_ = r.answered(fmt.Errorf("counting: %w", err))
	}
	r.metrics.limits.WithLabelValues("unknown").Inc()
	return false, false
}

const (
	// fastTimeout bounds what a request waits for Redis.
	fastTimeout = 20 * time.Millisecond
	// silence is how long no request asks a Redis that has just failed one.
	silence = time.Second
)
