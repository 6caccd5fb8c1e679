package sqlite

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/store"
)

// filled opens a database with n decided registrations: reg_1 to reg_n, answered under the keys 1 to n of key_1.
func filled(tb testing.TB, n int) *Store {
	tb.Helper()
	ctx := context.Background()
	s, err := Open(ctx, Config{Path: filepath.Join(tb.TempDir(), "x.db")})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	err = s.Commit(ctx, func(_ context.Context, l store.Locked) (store.Append, error) {
		b, err := store.NewBatch(l.Head(), ledger.NewTree())
		if err != nil {
			return store.Append{}, err
		}
		for i := 1; i <= n; i++ {
			seq, id := b.NextSeq(), fmt.Sprintf("reg_%d", i)
			r := deal.Registration{ID: id, Number: fmt.Sprintf("DR-%d", i), Sequence: seq, Version: seq, Status: deal.StatusRouted, DecisionID: fmt.Sprintf("dec_%d", i),
				Filing: deal.Filing{PartnerID: "P-1", Type: "new_business", Customer: deal.Customer{Name: fmt.Sprintf("Customer %d", i)}}}
			d := deal.Decision{ID: r.DecisionID, RegistrationID: id, Sequence: seq, Outcome: deal.RouteTo}
			hash := sha256.Sum256([]byte(id))
			e := store.Entry{Kind: deal.EntryDecided, Subject: id, Actor: deal.Actor{KeyID: "key_1", Role: "portal"}, IdemKey: fmt.Sprint(i), RequestHash: hash[:], Answer: []byte(`{"id":"` + id + `"}`),
				Personal: []store.Personal{{Field: "contact.name", Salt: hash[:], Value: "Erika Mustermann"}}}
			if err := b.Add(e, &deal.Change{Registrations: []deal.Registration{r}, Decision: &d}); err != nil {
				return store.Append{}, err
			}
		}
		add, _, err := b.Done()
		return add, err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// BenchmarkRead measures the reads that every registration or every page about one makes.
func BenchmarkRead(b *testing.B) {
	const n = 5000
	s := filled(b, n)
	ctx, cancel := context.WithCancel(context.Background()) // as a request's: it can end
	defer cancel()
	for name, read := range map[string]func(i int) error{
		"Head": func(int) error { _, err := s.Head(ctx); return err },
		"Answered/new": func(i int) error {
			if _, err := s.Answered(ctx, store.IdemKey{KeyID: "key_2", Key: fmt.Sprint(i)}); !errors.Is(err, deal.ErrNotFound) {
				return fmt.Errorf("it was not asked before: %w", err)
			}
			return nil
		},
		"Answered/retry": func(i int) error {
			_, err := s.Answered(ctx, store.IdemKey{KeyID: "key_1", Key: fmt.Sprint(1 + i%n)})
			return err
		},
		"Entry":        func(i int) error { _, err := s.Entry(ctx, uint64(1+i%n)); return err },
		"Nodes/13":     func(i int) error { _, err := s.Nodes(ctx, ledger.EdgeIndexes(4095)); return err },
		"Personal":     func(i int) error { _, err := s.Personal(ctx, uint64(1+i%n)); return err },
		"Registration": func(i int) error { _, err := s.Registration(ctx, fmt.Sprintf("reg_%d", 1+i%n)); return err },
		"DecisionSeqs": func(i int) error { _, err := s.DecisionSeqs(ctx, fmt.Sprintf("reg_%d", 1+i%n)); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := read(i); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	// Under the lock, as the committer asks before it decides.
	b.Run("Locked.Answered/new", func(b *testing.B) {
		err := s.Commit(ctx, func(ctx context.Context, l store.Locked) (store.Append, error) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if found, err := l.Answered(ctx, []store.IdemKey{{KeyID: "key_2", Key: fmt.Sprint(i)}}); err != nil || len(found) > 0 {
					return store.Append{}, fmt.Errorf("%d found, %w", len(found), err)
				}
			}
			return store.Append{}, nil
		})
		if err != nil {
			b.Fatal(err)
		}
	})
}
