package engine

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dibs-deals/dibs/internal/deal"
)

// fill combines rows as a partial import does: what the row leaves empty stays as it is.
func fill(stored, row deal.Record) deal.Record {
	if stored == nil {
		return row
	}
	out, a := *stored.(*deal.Account), row.(*deal.Account)
	for _, f := range []struct{ to, from *string }{{&out.Name, &a.Name}, {&out.City, &a.City}, {&out.Country, &a.Country}, {&out.Owner, &a.Owner}} {
		if *f.from != "" {
			*f.to = *f.from
		}
	}
	return &out
}

// TestPutRepeated gives one key several times in one batch. Each row is merged onto the one before it, as if they had
// come one by one, and the entry holds each key once, as it is in the end.
func TestPutRepeated(t *testing.T) {
	ctx := context.Background()
	stored := deal.Account{ID: "acc-1", Name: "Zanzibar Orchestra Foundation", Country: "DE", City: "Ulm"}
	for _, c := range []struct {
		name      string
		rows      []*deal.Account
		want      []deal.Account
		res       PutResult
		unchanged bool // no entry
	}{
		{"onto a stored row", []*deal.Account{{ID: "acc-1", Owner: "u-1"}, {ID: "acc-1", City: "Kiel"}},
			[]deal.Account{{ID: "acc-1", Name: stored.Name, Country: "DE", City: "Kiel", Owner: "u-1"}}, PutResult{Updated: 2}, false},
		{"onto a new row", []*deal.Account{{ID: "acc-2", Name: "Quixotic Brewing Company"}, {ID: "acc-1", City: "Bonn"}, {ID: "acc-2", City: "Kiel"}, {ID: "acc-2", City: "Kiel"}},
			[]deal.Account{{ID: "acc-2", Name: "Quixotic Brewing Company", City: "Kiel"}, {ID: "acc-1", Name: stored.Name, Country: "DE", City: "Bonn"}},
			PutResult{Created: 1, Updated: 2, Unchanged: 1}, false},
		{"nothing new", []*deal.Account{{ID: "acc-1", City: "Ulm"}, {ID: "acc-1", Country: "DE"}}, nil, PutResult{Unchanged: 2}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := stored
			b := newBench(t, &first)
			before, err := b.Store().Head(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var rows []deal.Record
			for _, r := range c.rows {
				rows = append(rows, r)
			}
			res, err := b.Put(ctx, Request{Actor: deal.System}, rows, fill)
			if err != nil || !reflect.DeepEqual(res, c.res) {
				t.Fatalf("%+v, %v; want %+v", res, err, c.res)
			}
			entries := 0
			for e, err := range b.Store().Entries(ctx, before.Seq) {
				if err != nil {
					t.Fatal(err)
				}
				entries++
				change, err := deal.DecodeChange(e.Body)
				if err != nil {
					t.Fatal(err)
				}
				if len(change.Accounts) != len(c.want) {
					t.Fatalf("the entry holds %d accounts, want %d", len(change.Accounts), len(c.want))
				}
				for i, a := range change.Accounts {
					if !equalJSON(a, c.want[i]) {
						t.Errorf("the entry holds %+v, want %+v", a, c.want[i])
					}
				}
			}
			if entries == 0 != c.unchanged {
				t.Errorf("%d entries", entries)
			}
			b.sound()
		})
	}
}

// TestPutRepeatedRejected: a row that is wrong is not what the next one with its key is merged onto.
func TestPutRepeatedRejected(t *testing.T) {
	b := newBench(t, &deal.Account{ID: "acc-1", Name: "Zanzibar Orchestra Foundation", Country: "DE"})
	for _, dryRun := range []bool{true, false} {
		rejected := map[int]string{}
		res, err := ImportRows(context.Background(), b.Engine, Request{Actor: deal.System}, dryRun, func(put func(ImportRow) error) error {
			for i, a := range []*deal.Account{{ID: "acc-1", Country: "XX"}, {ID: "acc-1", City: "Kiel"}, {ID: "acc-2", City: "Kiel"}, {ID: "acc-2", Name: "Quixotic Brewing Company"}, {ID: "acc-2", City: "Bonn"}} {
				if err := put(ImportRow{Line: i + 2, Record: a, Merge: fill}); err != nil {
					return err
				}
			}
			return nil
		}, func(line int, errs deal.FieldErrors) { rejected[line] = errs[0].Field })
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(rejected) != "map[2:country 4:name]" {
			t.Errorf("dry run %t: rejected %v", dryRun, rejected)
		}
		if want := (PutResult{Created: 1, Updated: 2}); !dryRun && !reflect.DeepEqual(res, want) {
			t.Errorf("%+v, want %+v", res, want)
		}
	}
	for id, want := range map[string]deal.Account{"acc-1": {ID: "acc-1", Name: "Zanzibar Orchestra Foundation", Country: "DE", City: "Kiel"}, "acc-2": {ID: "acc-2", Name: "Quixotic Brewing Company", City: "Bonn"}} {
		got, err := b.Store().Record(context.Background(), deal.Accounts, id)
		if err != nil || !equalJSON(got, want) {
			t.Errorf("%s is %+v, %v; want %+v", id, got, err, want)
		}
	}
}

// TestPutRepeatedIndexed: an account that a large batch names twice is one candidate, found under its last name only.
func TestPutRepeatedIndexed(t *testing.T) {
	b := newBench(t)
	var rows []deal.Record
	for i := range MaxRows - 1 {
		rows = append(rows, &deal.Account{ID: fmt.Sprintf("acc-%d", i), Name: fmt.Sprintf("Customer Number %d", i)})
	}
	rows[500] = &deal.Account{ID: "acc-500", Name: "Zanzibar Orchestra Foundation"}
	rows = append(rows, &deal.Account{ID: "acc-500", Name: "Quixotic Brewing Company"})
	b.put(rows...)
	found := read(b.Engine, func(v *view) [2]int {
		var n [2]int
		for i, name := range []string{"Zanzibar Orchestra Foundation", "Quixotic Brewing Company"} {
			for _, c := range search(v, ask(v, &deal.Registration{Filing: deal.Filing{Customer: deal.Customer{Name: name}}})).accounts.Candidates {
				if c.ID == "acc-500" {
					n[i]++
				}
			}
		}
		return n
	})
	if found != [2]int{0, 1} {
		t.Errorf("found %d times under its first name and %d times under its last", found[0], found[1])
	}
}

// TestPutLeavesRows: the caller's records are as they were, whatever validation makes of them.
func TestPutLeavesRows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	given := []deal.Record{
		&deal.Account{ID: "acc-1", Name: "Zanzibar Orchestra Foundation", Country: "de"},
		&deal.Opportunity{ID: "opp-1", AccountID: "acc-1"},
		&deal.Partner{ID: "P-new", Name: "New"},
	}
	var before []deal.Record
	for _, r := range given {
		before = append(before, deal.CopyRecord(r))
	}
	b.put(given...)
	if diff := cmp.Diff(before, given); diff != "" {
		t.Errorf("changed (-given +now):\n%s", diff)
	}
	if a := read(b.Engine, func(v *view) *deal.Account { return v.account("acc-1") }); a == nil || a.Country != "DE" {
		t.Errorf("stored as %+v", a)
	}
}

// TestCopyRecord covers every kind.
func TestCopyRecord(t *testing.T) {
	for _, k := range deal.RecordKinds {
		r := deal.NewRecord(k)
		if c := deal.CopyRecord(r); c == r || !cmp.Equal(c, r) {
			t.Errorf("%s: %+v", k, c)
		}
	}
}

// TestDeleteRefused: what live registrations or open business rest on stays, and the refusal says what to do first.
func TestDeleteRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBench(t)
	b.put(&deal.Partner{ID: "P-d", Name: "Distributor", Type: "distributor", Status: "active"}, account("acc-z", zanzibar, nil), account("acc-q", quixotic, nil), opportunity("opp-1", func(o *deal.Opportunity) { o.AccountID, o.LedBy, o.PartnerID = "acc-q", "partner", "P-1" }))
	r, _ := b.file(by("P-2", zanzibar, func(f *deal.Filing) { f.DistributorID = "P-d" }))
	remove := func(kind deal.RecordKind, id string) error {
		return b.Delete(ctx, Request{Actor: deal.System}, kind, []string{id})
	}
	for _, c := range []struct {
		kind deal.RecordKind
		id   string
		why  string
	}{
		{deal.Partners, "P-2", r.Number}, {deal.Partners, "P-d", r.Number}, {deal.Accounts, "acc-z", r.Number}, {deal.Accounts, "acc-q", "opp-1"},
	} {
		if err := remove(c.kind, c.id); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s %s: %v, which should name %s", c.kind, c.id, err, c.why)
		}
	}
	if _, err := b.Move(ctx, Request{Actor: deal.Actor{KeyID: "key_o", Role: "ops"}}, r.ID, Moving{Event: deal.EventWithdraw}); err != nil {
		t.Fatal(err)
	}
	if err := remove(deal.Opportunities, "opp-1"); err != nil {
		t.Fatal(err)
	}
	for id, kind := range map[string]deal.RecordKind{"P-2": deal.Partners, "P-d": deal.Partners, "acc-z": deal.Accounts, "acc-q": deal.Accounts} {
		if err := remove(kind, id); err != nil {
			t.Errorf("%s %s: %v", kind, id, err)
		}
	}
	b.sound()
}
