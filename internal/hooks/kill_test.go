package hooks_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/testserver"
)

// TestKilled stops the service between any two steps of the end of a window, the promotion of who waits, and the telling of
// both: at each point, the first time it is come to, the second, and so on. What comes after the stop is a new process on the
// same database. Nothing a receiver is told is lost, out of order, or doubled under another id; the ledger is sound.
func TestKilled(t *testing.T) {
	t.Parallel()
	testKilled(t, func(*testing.T) string { return "" })
}

// TestKilledPostgres is TestKilled on PostgreSQL.
func TestKilledPostgres(t *testing.T) {
	t.Parallel()
	server := testserver.NewPostgres(t)
	testKilled(t, func(t *testing.T) string { return server.Database(t) + "&idle_in_transaction_session_timeout=30s" }) // this is not about the fence
}

func testKilled(t *testing.T, url func(*testing.T) string) {
	points := []string{"locked", "written", "committed", "beside", "dispatched", "claimed", "sent", "finished"}
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			times := 0
			for n := 1; n < 40 && killed(t, url(t), point, n); n++ {
				times++
			}
			if times == 0 {
				t.Error("the point was never come to")
			}
			t.Logf("killed %d times", times)
		})
	}
}

// killed plays the story with a kill the nth time the point is come to, and reports whether it was.
func killed(t *testing.T, url, point string, n int) (was bool) {
	b, rec := newBenchAt(t, url), newReceiver(t)
	first, _ := b.file("P-1", "Kraftwerk Nord GmbH")
	all := b.webhook(rec.URL + "/all")
	one := b.webhook(rec.URL+"/one", ofPartners("P-2"))
	second, _ := b.file("P-2", "Kraftwerk Nord GmbH")
	third, _ := b.file("P-3", "Kraftwerk Nord GmbH")
	kill := errors.New("killed")
	count, dead := 0, false
	var mu sync.Mutex // the committer and Work come to points
	f := func(p string) error {
		mu.Lock()
		defer mu.Unlock()
		if p == point && !dead {
			count++
			dead = count == n
		}
		if dead {
			return kill
		}
		return nil
	}
	b.clock.Store(first.Decision.Protection.EndsAt.UnixMicro())
	b.hook.Store(&f)
	_, err := b.Put(ctx, engine.Request{Actor: deal.System}, []deal.Record{&deal.Partner{ID: "P-9", Name: "Another", Status: "active"}}, nil)
	if err == nil {
		_, err = b.Work(ctx)
	}
	mu.Lock()
	was = dead
	dead = true
	mu.Unlock()
	if was && err == nil {
		t.Errorf("%s %d: the kill went unnoticed", point, n)
	}
	b.close() // what is in memory is gone; nothing is written any more
	b.hook.Store(nil)
	b.open()
	b.put(&deal.Partner{ID: "P-8", Name: "One more", Status: "active"})
	b.advance(2 * time.Minute) // leases run out
	b.work()
	if left := b.work(); left != 0 {
		t.Errorf("%s %d: %d jobs are left", point, n, left)
	}

	for id, want := range map[string]deal.Status{first.ID: deal.StatusExpired, second.ID: deal.StatusProtected, third.ID: deal.StatusWaitlisted} {
		if r, _, _, err := b.Registration(ctx, id); err != nil || r.Status != want {
			t.Errorf("%s %d: %s, not %s, %v", point, n, r.Status, want, err)
		}
	}
	report, err := engine.Verify(ctx, b.Store())
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("%s %d: %v, %+v", point, n, err, report.Problems)
	}
	events, err := b.Store().Events(ctx, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for path, w := range map[string]store.Webhook{"/all": all, "/one": one} {
		want, got, bodies := map[string][]string{}, map[string][]string{}, map[string]string{} // by registration
		for _, e := range events {
			if e.Subject != first.ID && path == "/all" || e.Type == "dibs.registration.expired.v1" && path == "/all" || e.PartnerID == "P-2" {
				want[e.Subject] = append(want[e.Subject], e.ID)
			}
		}
		for _, g := range rec.all() {
			if g.path != path {
				continue
			}
			if before, again := bodies[g.event.ID]; again && before != string(g.event.Data) {
				t.Errorf("%s %d: %s was told otherwise the second time", point, n, g.event.ID)
			} else if !again {
				got[g.event.Subject] = append(got[g.event.Subject], g.event.ID)
			}
			bodies[g.event.ID] = string(g.event.Data)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s %d: %s was told %v, not %v", point, n, path, got, want)
		}
		for _, d := range b.deliveries(w.ID) {
			if d.State != store.JobDone {
				t.Errorf("%s %d: %+v", point, n, d)
			}
		}
	}
	if n := strings.Count(fmt.Sprint(events), "dibs.registration.expired.v1"); n != 1 {
		t.Errorf("the window ended %d times", n)
	}
	return was
}
