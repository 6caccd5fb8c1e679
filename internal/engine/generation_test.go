package engine

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/match"
)

// deciding is the model of the present Generation. When it changes, decisions may: raise Generation with it.
const deciding = "sha256:920ddecb215af6a1b8e83b00afcc9f832614b86c44b8188bd4ba2cd553e87530"

func TestGeneration(t *testing.T) {
	if got := match.Default().Ref().Digest; got != deciding {
		t.Errorf("the model is %s: raise Generation, and write the digest down here", got)
	}
}

// publishGeneration writes a generation into the ledger, as another version of the program does when it starts.
func (b *bench) publishGeneration(g generation) {
	b.t.Helper()
	_, err := b.submit(context.Background(), Request{Actor: deal.System, starts: true}, func(now time.Time) ([]addition, error) {
		return []addition{b.document(deal.EntryStart, deal.Document{Kind: deal.GenerationDocument, Name: "dibs", Body: g.text()}, true, deal.System, now)}, nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// TestRollingUpgrade has a later version take the ledger over while this one runs.
func TestRollingUpgrade(t *testing.T) {
	ctx := context.Background()
	b := newBench(t)
	f := filing("P-1", deal.Customer{Name: "Acme Industries", Country: "DE"})
	before, err := b.Register(ctx, request("key_test", "before", f), f)
	if err != nil {
		t.Fatal(err)
	}
	next := generationOf(b.model)
	next.Generation++
	b.publishGeneration(next)

	if _, err := b.Register(ctx, request("key_test", "after", f), f); !errors.Is(err, deal.ErrUnavailable) || !errors.Is(err, errSuperseded) {
		t.Errorf("a superseded version answers: %v", err)
	}
	if again, err := b.Register(ctx, request("key_test", "before", f), f); err != nil || !bytes.Equal(again.Body, before.Body) {
		t.Errorf("what was answered before is %s, %v", again.Body, err)
	}
	if r := b.Ready(ctx); r.Ready || !strings.Contains(r.Detail, "newer version") {
		t.Errorf("readiness is %+v", r)
	}
	if _, err := Open(ctx, Config{Store: b.Store(), Signer: b.key, Clock: b.clock.now}); err == nil || !strings.Contains(err.Error(), "at least as new") {
		t.Errorf("an old version starts on a newer ledger: %v", err)
	}
}

// TestTakeover starts this version on a ledger that an earlier one decided, and beside one of its own number that
// decides otherwise.
func TestTakeover(t *testing.T) {
	b := newBench(t)
	earlier := generationOf(b.model)
	earlier.Generation--
	earlier.Matcher.Digest = "sha256:earlier"
	b.publishGeneration(earlier)
	b.close()
	b.open()
	if r := b.Ready(context.Background()); !r.Ready {
		t.Errorf("readiness is %+v", r)
	}
	b.register("P-1", deal.Customer{Name: "Acme Industries", Country: "DE"})

	other := generationOf(b.model)
	other.Matcher.Digest = "sha256:other"
	b.publishGeneration(other)
	if _, err := Open(context.Background(), Config{Store: b.Store(), Signer: b.key, Clock: b.clock.now}); err == nil || !strings.Contains(err.Error(), "same version") {
		t.Errorf("two models under one generation: %v", err)
	}
}

// TestModels has a model of a higher version take the ledger over while an earlier one runs, and nobody decide with another beside it.
func TestModels(t *testing.T) {
	ctx := context.Background()
	b := newBench(t)
	acme := filing("P-1", deal.Customer{Name: "Acme Industries", Country: "DE"})
	if _, err := b.Register(ctx, request("key_test", "before", acme), acme); err != nil {
		t.Fatal(err)
	}
	renumbered := func(version int, name string) *match.Model {
		file, err := match.Default().File(name, version)
		if err != nil {
			t.Fatal(err)
		}
		m, err := match.New(file)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	open := func(m *match.Model) (*Engine, error) {
		return Open(ctx, Config{Store: b.Store(), Signer: b.key, Clock: b.clock.now, Model: m})
	}
	next := match.Default().Ref().Version + 1
	own, err := open(renumbered(next, "own"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := own.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	if _, err := b.Register(ctx, request("key_test", "after", acme), acme); !errors.Is(err, errSuperseded) {
		t.Errorf("the embedded model decides on beside a vendor's own: %v", err)
	}
	other := filing("P-2", deal.Customer{Name: "Acme Industries GmbH", Country: "DE"})
	got, err := own.Register(ctx, request("key_test", "own", other), other)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := own.Decisions(ctx, got.ID)
	if err != nil || ds[0].Matcher.Name != "own" || ds[0].Matcher.Version != next {
		t.Errorf("decided with %+v, %v", ds[0].Matcher, err)
	}
	for name, c := range map[string]struct {
		m    *match.Model
		says string
	}{"the embedded one": {nil, "--model"}, "another of that version": {renumbered(next, "another"), "under the same version"}} {
		if _, err := open(c.m); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s beside it: %v", name, err)
		}
	}
	again, err := open(own.model)
	if err != nil {
		t.Fatalf("another replica with the same model: %v", err)
	}
	if err := again.Close(ctx); err != nil {
		t.Error(err)
	}
	for _, m := range []*match.Model{nil, own.model} {
		n, err := Replay(ctx, b.Store(), m, nil, func(d Rederived) {
			if d.Same == d.Elsewhere {
				t.Error("derived otherwise")
			}
		})
		if err != nil || n.Decisions != 1 || n.Elsewhere != 1 {
			t.Errorf("of two models %+v, %v", n, err)
		}
	}
}
