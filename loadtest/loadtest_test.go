package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/server"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
	"github.com/dibs-deals/dibs/internal/world"
)

var today = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// serve starts the real service on a database of its own, with the vendor's world in it, as of noon of its day.
func serve(t *testing.T, v *vendor) *service {
	t.Helper()
	ctx := context.Background()
	st, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "dibs.db")})
	if err != nil {
		t.Fatal(err)
	}
	signer, _, err := ledger.NewSigner("dibs.example/loadtest")
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(ctx, engine.Config{Store: st, Signer: signer, Clock: func() time.Time { return v.today.Add(12 * time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(server.New(server.Config{Engine: e}).Handler())
	t.Cleanup(func() {
		h.Close()
		if err := e.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	_, token, err := e.CreateKey(ctx, engine.Request{Actor: deal.System}, "admin", nil, "load test")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{urls: []string{h.URL}, key: token}
	if err := s.populate(ctx, v); err != nil {
		t.Fatal(err)
	}
	return s
}

// fileAll files registrations, eight at a time, and holds what came to the truth.
func fileAll(t *testing.T, s *service, v *vendor, list []*filed) *verdict {
	t.Helper()
	ctx := context.Background()
	replies := make([]reply, len(list))
	work := make(chan int)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for i := range work {
				var err error
				if replies[i], _, err = s.file(ctx, 0, list[i]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range list {
		work <- i
	}
	close(work)
	workers.Wait()
	ds, err := s.decisions(ctx, replies)
	if err != nil {
		t.Fatal(err)
	}
	return v.judge(list, replies, ds)
}

func make1(t *testing.T, seed uint64, size int, document []byte, n int) *vendor {
	t.Helper()
	v, err := newVendor(seed, size, today, document, n)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestTruth files a small load of every kind with the real service: what the truth calls right is what it says.
func TestTruth(t *testing.T) {
	v := make1(t, 7, 3000, world.Territories(), 1000)
	storm := v.storm(6, 12)
	sweep, _ := v.boundaries(2000)
	mix := v.mix("steady", 800)
	s := serve(t, v)
	for _, x := range []struct {
		name string
		list []*filed
	}{{"sweep", sweep}, {"storm", storm}, {"steady", mix}} {
		got := fileAll(t, s, v, x.list)
		for i, w := range append(got.Wrong, got.Failed...) {
			if i < 15 {
				t.Errorf("%s, %s: got %s, want %s\n%s\n%s", x.name, w.Kind, w.Got, w.Want, w.Why, w.Filing)
			}
		}
		b, _ := json.Marshal(got.Kinds)
		t.Logf("%s: %d asked, %d right, %d cautious, %d wrong: %s", x.name, got.Asked, got.Right, got.Cautious, len(got.Wrong), b)
		if got.Asked != len(x.list) || got.Right+len(got.Wrong)+len(got.Failed) != got.Asked {
			t.Errorf("%s: the verdict does not add up: %+v", x.name, got)
		}
	}
}

var _ = bytes.Equal
var _ = os.Getenv
var _ = strings.Cut
