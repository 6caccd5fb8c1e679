package postgres

import (
	"context"
	"fmt"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/store"
)

// importer appends entries of a thousand accounts.
type importer struct {
	s    *Store
	tree *ledger.Tree
	n    int
}

func (im *importer) next(b testing.TB) {
	const rows = 1000
	err := im.s.Commit(context.Background(), func(_ context.Context, l store.Locked) (store.Append, error) {
		batch, err := store.NewBatch(l.Head(), im.tree)
		if err != nil {
			return store.Append{}, err
		}
		var c deal.Change
		for range rows {
			im.n++
			c.Accounts = append(c.Accounts, &deal.Account{ID: fmt.Sprintf("001%09d", im.n), Name: fmt.Sprintf("Nordic Steel Works %d GmbH", im.n), Country: "DE", Region: "DE-BY", City: "München",
				PostalCode: "81739", Street: "Otto-Hahn-Ring 6", Domain: fmt.Sprintf("nordic-steel-%d.example", im.n), Phone: "+49 89 636 00", Industry: "manufacturing", Employees: 1200, Status: "customer", Owner: "u-17"})
		}
		if err := batch.Add(store.Entry{Kind: deal.EntryRecords, Actor: deal.System}, &c); err != nil {
			return store.Append{}, err
		}
		add, tree, err := batch.Done()
		im.tree = tree
		return add, err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkImport commits entries of a thousand accounts.
func BenchmarkImport(b *testing.B) {
	im := &importer{s: open(b, Config{URL: server.Database(b)}), tree: ledger.NewTree()}
	b.ReportAllocs()
	for b.Loop() {
		im.next(b)
	}
}

type nobody struct{ n int }

func (v *nobody) Document(deal.Document) error         { return nil }
func (v *nobody) Key(deal.Key) error                   { return nil }
func (v *nobody) Record(deal.Record) error             { v.n++; return nil }
func (v *nobody) Deleted(deal.RecordRef) error         { return nil }
func (v *nobody) Registration(deal.Registration) error { return nil }
func (v *nobody) Case(deal.Case) error                 { return nil }
func (v *nobody) Finding(deal.Finding) error           { return nil }

// BenchmarkLoad reads a world of 100,000 accounts.
func BenchmarkLoad(b *testing.B) {
	im := &importer{s: open(b, Config{URL: server.Database(b)}), tree: ledger.NewTree()}
	for range 100 {
		im.next(b)
	}
	for b.Loop() {
		v := &nobody{}
		if _, err := im.s.Load(context.Background(), v, store.Base{}); err != nil || v.n != im.n {
			b.Fatal(v.n, err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/float64(im.n)*1e6, "µs/account")
}
