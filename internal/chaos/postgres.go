package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver, for statements of our own

	"github.com/dibs-deals/dibs/internal/testserver"
)

// database is the name of the database in the clusters.
const database = "chaos"

// postgresBase is a PostgreSQL primary with a synchronous standby, a Redis, and wires from every replica to each.
type postgresBase struct {
	dir string

	mu      sync.Mutex // holds servers
	servers [2]*testserver.Postgres
	primary int
	standby bool // the other one follows
	names   int  // of standbys made
	wires   [][2]*wire

	cache *cache
}

// settings of the clusters. fsync is off: what is written survives the death of a server's processes, which is what this
// harness can bring about; the loss of a machine's memory is not.
var settings = []string{"fsync=off", "max_wal_senders=10", "wal_keep_size=64MB", "synchronous_commit=on", "checkpoint_timeout=30s", "max_connections=120"}

func newPostgresBase(dir string, replicas int, delay time.Duration) (_ *postgresBase, err error) {
	b := &postgresBase{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.servers[0], err = testserver.StartPostgres(append(settings[:len(settings):len(settings)], fmt.Sprintf("recovery_min_apply_delay=%d", delay.Milliseconds()))...); err != nil {
		return nil, err
	}
	if err := b.servers[0].Exec("postgres", "CREATE DATABASE "+database); err != nil {
		return nil, err
	}
	if err := b.follow(); err != nil {
		return nil, err
	}
	for i := range replicas {
		var pair [2]*wire
		for slot, s := range b.servers {
			if pair[slot], err = newWire(fmt.Sprintf("replica%d-postgres%d", i, slot), s.Port); err != nil {
				return nil, err
			}
		}
		b.wires = append(b.wires, pair)
	}
	b.cache, err = newCache(replicas)
	return b, err
}

// follow makes a standby of the primary in the other slot, and lets commits wait for it.
func (b *postgresBase) follow() error {
	p, other := b.servers[b.primary], 1-b.primary
	b.names++
	s, err := p.Standby(fmt.Sprintf("standby%d", b.names))
	if err != nil {
		return err
	}
	b.servers[other] = s
	for _, pair := range b.wires {
		if err := pair[other].lead(s.Port); err != nil {
			return err
		}
	}
	b.standby = true
	if err := p.CommitsWaitFor("*"); err != nil {
		return err
	}
	return p.Exec("postgres", "SELECT pg_logical_emit_message(true, 'chaos', 'the standby has all that came before')")
}

func (b *postgresBase) url() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.servers[b.primary].URL(database)
}

func (b *postgresBase) args(n int) []string {
	at := fmt.Sprintf("postgres://dibs@%s,%s/%s?sslmode=disable&target_session_attrs=read-write&connect_timeout=2", b.wires[n][0].address(), b.wires[n][1].address(), database)
	return []string{"--database", at, "--signing-key", b.key(), "--redis", b.cache.url(n)}
}

func (b *postgresBase) tool() []string {
	return []string{"--database", b.url(), "--signing-key", b.key()}
}

func (b *postgresBase) key() string { return filepath.Join(b.dir, "ledger.key") }

func (b *postgresBase) open() (*sql.DB, error) { return sql.Open("pgx", b.url()) }

func (b *postgresBase) micros() string { return "(extract(epoch FROM at) * 1000000)::bigint" }

// exclusively runs f while nothing else is done to the servers.
func (b *postgresBase) exclusively(f func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return f()
}

func (b *postgresBase) faults() []fault {
	var all []*wire
	for _, pair := range b.wires {
		all = append(all, pair[0], pair[1])
	}
	sessions := func(do string) func(context.Context, *rand.Rand) error {
		return func(context.Context, *rand.Rand) error {
			return b.exclusively(func() error {
				return b.servers[b.primary].Exec(database, "SELECT "+do+"(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
			})
		}
	}
	return append([]fault{
		{"postgres crash", 2, func(ctx context.Context, rng *rand.Rand) error {
			return b.exclusively(func() error {
				p := b.servers[b.primary]
				if err := p.Crash(); err != nil {
					return err
				}
				pause(ctx, time.Duration(rng.Int64N(int64(500*time.Millisecond))))
				return p.Start()
			})
		}},
		{"sessions terminated", 2, sessions("pg_terminate_backend")},
		{"statements cancelled", 2, sessions("pg_cancel_backend")},
		{"standby crash", 1, func(ctx context.Context, rng *rand.Rand) error { // commits wait until it is back
			return b.exclusively(func() error {
				if !b.standby {
					return nil
				}
				s := b.servers[1-b.primary]
				if err := s.Crash(); err != nil {
					return err
				}
				pause(ctx, time.Duration(rng.Int64N(int64(time.Second))))
				return s.Start()
			})
		}},
		{"failover behind", 1, func(ctx context.Context, rng *rand.Rand) error {
			return b.exclusively(func() error { return b.failBehind(ctx, rng) })
		}},
		{"failover", 1, func(context.Context, *rand.Rand) error { return b.exclusively(b.failOver) }},
	}, append(wireFaults("postgres", 1, all), b.cache.faults()...)...)
}

// failOver kills the primary, promotes the standby, and makes another one.
func (b *postgresBase) failOver() error {
	if !b.standby {
		return nil
	}
	old, next := b.servers[b.primary], b.servers[1-b.primary]
	b.standby = false
	if err := errors.Join(old.Kill(), next.Promote()); err != nil {
		return err
	}
	// It waits for nobody until somebody follows: it was copied before the old one was told to wait.
	b.primary = 1 - b.primary
	if err := old.Remove(); err != nil {
		return err
	}
	return b.follow()
}

// failBehind lets the standby miss what is committed: commits wait for it, somebody cancels the waiting, and the server
// says that they are committed and may be lost. Then the primary dies, and they are.
func (b *postgresBase) failBehind(ctx context.Context, rng *rand.Rand) error {
	if !b.standby {
		return nil
	}
	p, s := b.servers[b.primary], b.servers[1-b.primary]
	if err := s.Crash(); err != nil {
		return err
	}
	for range 3 {
		pause(ctx, time.Duration(50+rng.IntN(200))*time.Millisecond)
		if err := p.Exec(database, cancelAll); err != nil {
			return err
		}
	}
	pause(ctx, time.Duration(rng.IntN(200))*time.Millisecond)
	if err := errors.Join(p.Kill(), s.Start()); err != nil {
		return err
	}
	return b.failOver()
}

// cancelAll cancels what the replicas' sessions do.
const cancelAll = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

func (b *postgresBase) calm() error { return nil }

func (b *postgresBase) close() error {
	var errs []error
	for _, pair := range b.wires {
		for _, w := range pair {
			if w != nil {
				w.close()
			}
		}
	}
	if b.cache != nil {
		errs = append(errs, b.cache.close())
	}
	for _, s := range b.servers {
		if s != nil {
			errs = append(errs, s.Remove())
		}
	}
	return errors.Join(errs...)
}
