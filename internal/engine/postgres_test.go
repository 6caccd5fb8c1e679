package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/testserver"
)

// TestPostgres holds the promises that depend on the database's commits to PostgreSQL too.
func TestPostgres(t *testing.T) {
	server := testserver.NewPostgres(t)
	t.Run("OneHolder", func(t *testing.T) { testOneHolder(t, patient(t, server)) })
	t.Run("SameKey", func(t *testing.T) { testSameKey(t, patient(t, server)) })
	t.Run("BrokenCommit", func(t *testing.T) { testBrokenCommit(t, func() string { return patient(t, server) }) })
	t.Run("PromotedAcross", func(t *testing.T) { testPromotedAcross(t, func() string { return patient(t, server) }) })
	t.Run("Histories", func(t *testing.T) { testHistories(t, patient(t, server), 500, 5) })
	t.Run("Findings", func(t *testing.T) { testFindings(t, func(t *testing.T) string { return patient(t, server) }) })
	t.Run("Erased", func(t *testing.T) { testErased(t, patient(t, server), "pgx", "PostgreSQL") })
	t.Run("Abreast", func(t *testing.T) { testAbreast(t, server) })
	t.Run("Restart", func(t *testing.T) { testRestart(t, server) })
}

// patient makes a database that lets a replica hold the head for long: these tests are of something else than the fence, and
// the machine may be busy.
func patient(t *testing.T, server *testserver.Postgres) string {
	return server.Database(t) + "&idle_in_transaction_session_timeout=30s"
}

// testAbreast asks one replica at once about what the other has just committed, and then with the database gone.
func testAbreast(t *testing.T, server *testserver.Postgres) {
	ctx := context.Background()
	b := newBenchAt(t, patient(t, server))
	other := b.replica()
	ask := func(f deal.Filing) string {
		f.Normalise()
		c, err := other.Check(ctx, Request{}, f)
		if err != nil {
			return err.Error()
		}
		return c.Advice
	}
	for i, name := range []string{"Ashgrove Dairy", "Bluebell Railways", "Copperfield Mines", "Driftwood Boats", "Emberline Kilns", "Foxglove Pharmacy", "Gannet Airways"} {
		customer := deal.Customer{Name: name, Country: "DE", City: "Ulm"}
		if got := ask(by("P-1", customer)); got != "file" {
			t.Fatalf("free, and the advice is %s", got)
		}
		b.register("P-2", customer)
		if got := ask(by("P-1", customer)); got != "do_not_file" {
			t.Errorf("held since a moment ago, and the advice is %s", got)
		}
		id := fmt.Sprintf("P-new-%d", i)
		b.put(&deal.Partner{ID: id, Name: "New", Status: "active"})
		if _, err := other.Register(ctx, request("key_1", id, by(id, zanzibar)), by(id, zanzibar)); err != nil {
			t.Errorf("a partner of a moment ago: %v", err)
		}
		k, token, err := b.CreateKey(ctx, Request{Actor: deal.System}, deal.Key{Role: "portal", PartnerIDs: []string{id}})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok, err := other.Authenticate(ctx, token); err != nil || !ok || got.ID != k.ID {
			t.Errorf("a key of a moment ago: %v %v", ok, err)
		}
	}
	b.sound()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
	}()
	if c, err := other.Check(ctx, Request{}, by("P-1", quixotic)); !errors.Is(err, deal.ErrUnavailable) {
		t.Errorf("without its database a pre-check answers %+v, %v", c, err)
	}
	if _, ok, err := other.Authenticate(ctx, tokenPrefix+"nobody.x"); ok || !errors.Is(err, deal.ErrUnavailable) {
		t.Errorf("without its database a strange key is %v, %v", ok, err)
	}
}

// testRestart ends the server under a crowd of requests, in good order and by a crash. Nothing acknowledged is lost, and
// retries end in one sound ledger.
func testRestart(t *testing.T, server *testserver.Postgres) {
	ctx := context.Background()
	b := newBenchAt(t, patient(t, server))
	replicas := []*bench{b, b.replica()}
	for _, end := range []struct {
		name string
		stop func() error
	}{{"stop", server.Stop}, {"crash", server.Crash}} {
		t.Run(end.name, func(t *testing.T) {
			const n = 200
			began := make(chan struct{}, n)
			var wg sync.WaitGroup
			acked := make([][]byte, n)
			var mu sync.Mutex
			failed := 0
			post := func(i int) error {
				f := filing(fmt.Sprintf("P-%d", 1+i%40), deal.Customer{Name: fmt.Sprintf("Quixotic Brewing %c%c", 'A'+i%3, 'a'+i%5), Country: "DE", City: "Ulm"})
				got, err := replicas[i%2].Register(ctx, request("key_1", fmt.Sprint(end.name, i), f), f)
				if err == nil {
					acked[i] = got.Body
				}
				return err
			}
			for w := range 8 {
				wg.Go(func() {
					for i := w; i < n; i += 8 {
						began <- struct{}{}
						if err := post(i); err != nil {
							if !errors.Is(err, deal.ErrUnavailable) {
								t.Errorf("%d: %v", i, err)
							}
							mu.Lock()
							failed++
							mu.Unlock()
						}
					}
				})
			}
			for range n / 4 {
				<-began
			}
			if err := errors.Join(end.stop(), server.Start()); err != nil {
				t.Fatal(err)
			}
			wg.Wait()
			t.Logf("%d of %d told to retry", failed, n)
			for i := range acked {
				before := acked[i]
				if err := post(i); err != nil {
					t.Fatalf("retry of %d: %v", i, err)
				}
				if before != nil && string(before) != string(acked[i]) {
					t.Errorf("%d was answered twice, differently:\n%s\n%s", i, before, acked[i])
				}
			}
			b.sound()
		})
	}
}

// passing fails commits for a reason that passes.
type passing struct {
	store.Store
	fails atomic.Int64 // commits to fail, half of them before the lock and half after deciding
}

func (p *passing) Commit(ctx context.Context, decide func(context.Context, store.Locked) (store.Append, error)) error {
	fails := p.fails.Add(-1)
	switch {
	case fails >= 0 && fails%2 == 1:
		return fmt.Errorf("%w: before the lock", store.ErrRetry)
	case fails >= 0:
		return p.Store.Commit(ctx, func(ctx context.Context, l store.Locked) (store.Append, error) {
			if _, err := decide(ctx, l); err != nil {
				return store.Append{}, err
			}
			return store.Append{}, fmt.Errorf("%w: after deciding", store.ErrRetry)
		})
	}
	return p.Store.Commit(ctx, decide)
}

// TestRetry fails commits for a reason that passes: the caller does not notice while it passes soon, and is told to retry
// when it does not.
func TestRetry(t *testing.T) {
	b := newBench(t)
	p := &passing{Store: b.Store()}
	e, err := Open(context.Background(), Config{Store: p, Signer: b.key, Clock: b.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close(context.Background()) }()
	p.fails.Store(4)
	f := filing("P-1", deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "DE"})
	if _, err := e.Register(context.Background(), request("key_1", "soon", f), f); err != nil || p.fails.Load() > 0 {
		t.Errorf("%v, with %d failures to come", err, p.fails.Load())
	}
	p.fails.Store(1 << 30)
	began := time.Now()
	if _, err := e.Register(context.Background(), request("key_1", "never", f), f); !errors.Is(err, deal.ErrUnavailable) || time.Since(began) > retryFor+time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	p.fails.Store(0)
	if _, err := e.Register(context.Background(), request("key_1", "never", f), f); err != nil {
		t.Error(err)
	}
	// An import is more patient.
	p.fails.Store(1 << 30)
	time.AfterFunc(retryFor+500*time.Millisecond, func() { p.fails.Store(0) })
	res, err := ImportRows(context.Background(), e, Request{Actor: deal.System}, false, func(put func(ImportRow) error) error {
		return put(ImportRow{Line: 1, Record: &deal.Account{ID: "acc-late", Name: "Late GmbH"}})
	}, func(int, deal.FieldErrors) {})
	if err != nil || res.Created != 1 || res.Updated+res.Unchanged != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	b.sound()
}

// TestOtherKey: a replica with a signing key of its own is refused, unless the key is to be changed.
func TestOtherKey(t *testing.T) {
	b := newBench(t)
	other, _, err := ledger.NewSigner("dibs.example/test")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Store: b.Store(), Signer: other, Clock: b.clock.now}
	if _, err := Open(context.Background(), cfg); !errors.Is(err, ErrOtherKey) || !strings.Contains(err.Error(), b.key.Key()) {
		t.Errorf("got %v", err)
	}
	cfg.RotateKey = true
	e, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close(context.Background()) }()
	if d, err := e.Live(deal.SignerDocument); err != nil || d.Body != other.Key() {
		t.Errorf("the live key is %+v, %v", d, err)
	}
}
