package replica_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/replica"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
	"github.com/dibs-deals/dibs/internal/testserver"
	"github.com/dibs-deals/dibs/internal/world"
)

// benchAccounts is how many accounts the benchmark has: DIBS_BENCH_ACCOUNTS, or few enough for a quick look.
func benchAccounts(b *testing.B) int {
	text := os.Getenv("DIBS_BENCH_ACCOUNTS")
	if text == "" {
		return 100_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// populated makes a database of n accounts.
func populated(b *testing.B, path string, n int) {
	ctx := context.Background()
	st, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	crowd := world.NewCrowd(slices.Collect(world.Accounts()))
	tree := ledger.NewTree()
	for from := 0; from < n; from += 10_000 {
		err := st.Commit(ctx, func(_ context.Context, l store.Locked) (store.Append, error) {
			batch, err := store.NewBatch(l.Head(), tree)
			if err != nil {
				return store.Append{}, err
			}
			for at := from; at < min(from+10_000, n); at += 1000 {
				c := &deal.Change{}
				for i := at; i < min(at+1000, n); i++ {
					c.Put(crowd.Account(i))
				}
				if err := batch.Add(store.Entry{Kind: deal.EntryRecords, Actor: deal.System, At: time.Unix(0, 0)}, c); err != nil {
					return store.Append{}, err
				}
			}
			add, grown, err := batch.Done()
			tree = grown
			return add, err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkColdStart opens an engine on a database of many accounts: from the store alone, and on top of a snapshot in
// Redis. DIBS_BENCH_DATABASE keeps the database from run to run.
func BenchmarkColdStart(b *testing.B) {
	n := benchAccounts(b)
	ctx := context.Background()
	path := os.Getenv("DIBS_BENCH_DATABASE")
	if path == "" {
		path = filepath.Join(b.TempDir(), "x.db")
	}
	if _, err := os.Stat(path); err != nil {
		populated(b, path, n)
	}
	server := testserver.NewRedis(b)
	signer, err := ledger.OpenSigner(path+".key", "dibs.example/test")
	if err != nil {
		b.Fatal(err)
	}
	st, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = st.Close() })
	connect := func() *replica.Replica {
		r, err := replica.New(replica.Config{URL: server.URL(), Store: st, Origin: "bench"})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = r.Close() })
		return r
	}
	start := func(p engine.Peers, source string) *engine.Engine {
		e, err := engine.Open(ctx, engine.Config{Store: st, Signer: signer, Peers: p})
		if err != nil {
			b.Fatal(err)
		}
		if got := e.Ready(ctx); got.Source != source || got.Accounts != n {
			b.Fatalf("%d accounts from %s, want %d from %s", got.Accounts, got.Source, n, source)
		}
		return e
	}
	run := func(name string, p func() engine.Peers, source string) {
		b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
			var used time.Duration
			for b.Loop() {
				before := processor(b)
				e := start(p(), source)
				used += processor(b) - before
				b.StopTimer()
				if err := e.Close(ctx); err != nil {
					b.Fatal(err)
				}
				runtime.GC()
				b.StartTimer()
			}
			b.ReportMetric(used.Seconds()/float64(b.N), "cpu-s/op")
		})
	}
	run("store", func() engine.Peers { return nil }, "store")
	// Publish once.
	r := connect()
	e := start(nil, "store")
	from := time.Now()
	rec, err := r.Publish(ctx, e)
	if err != nil {
		b.Fatal(err)
	}
	took := time.Since(from)
	if err := e.Close(ctx); err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	run("redis", func() engine.Peers { return connect() }, "redis")
	b.Run(fmt.Sprintf("publish/%d", n), func(b *testing.B) {
		for b.Loop() {
		}
		b.ReportMetric(float64(rec.Bytes)/float64(n), "B/account")
		b.ReportMetric(took.Seconds(), "s")
	})
}

// processor returns the processor time this process has used.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
