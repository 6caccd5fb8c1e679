// Package storetest is the conformance suite of the storage contract: every engine runs it, on a real database.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/store"
)

// Run holds the engine to the contract. open returns an empty database; reopen opens the same one again, as another
// process would.
func Run(t *testing.T, open func(t *testing.T) (db store.Store, reopen func() store.Store)) {
	for name, test := range map[string]func(*testing.T, store.Store, func() store.Store){
		"Append":          testAppend,
		"DecideFails":     testDecideFails,
		"OneOrder":        testOneOrder,
		"Idempotency":     testIdempotency,
		"OneHolder":       testOneHolder,
		"Registrations":   testRegistrations,
		"Records":         testRecords,
		"Cases":           testCases,
		"Findings":        testFindings,
		"SelectEntries":   testSelectEntries,
		"Documents":       testDocuments,
		"Load":            testLoad,
		"LoadOnBase":      testLoadOnBase,
		"Snapshots":       testSnapshots,
		"Chunks":          testChunks,
		"Gap":             testGap,
		"Jobs":            testJobs,
		"JobsRace":        testJobsRace,
		"Outbox":          testOutbox,
		"Webhooks":        testWebhooks,
		"NotFound":        testNotFound,
		"LargeAndStrange": testLargeAndStrange,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, reopen := open(t)
			test(t, db, reopen)
			if d, err := db.Reproject(ctx); err != nil || len(d) > 0 {
				t.Errorf("the tables are not what the entries lead to: %v, %v", d, err)
			}
			if d, err := db.Walls(ctx); err != nil || len(d) > 0 {
				t.Errorf("the schema is not as it was made: %v, %v", d, err)
			}
		})
	}
}

// Broken breaks a commit at every point the engine names. Before the commit nothing may be there; after it everything
// must be, and the caller must be told that it does not know. open returns an empty database with the hook.
func Broken(t *testing.T, open func(t *testing.T, hook func(point string) error) store.Store) {
	for _, c := range []struct {
		point   string
		there   uint64
		unknown bool
	}{{"locked", 0, false}, {"written", 0, false}, {"committed", 1, true}} {
		t.Run(c.point, func(t *testing.T) {
			boom, broken := errors.New("boom"), true
			db := open(t, func(p string) error {
				if broken && p == c.point {
					return boom
				}
				return nil
			})
			if err := Append(ctx, db, nil); !errors.Is(err, boom) || errors.Is(err, store.ErrUnknown) != c.unknown {
				t.Fatalf("got %v", err)
			}
			broken = false
			for n := range uint64(2) {
				if h, err := db.Head(ctx); err != nil || h.Seq != c.there+n {
					t.Fatalf("head at %d, want %d, %v", h.Seq, c.there+n, err)
				}
				if err := Append(ctx, db, nil); err != nil {
					t.Fatalf("the next commit: %v", err)
				}
			}
		})
	}
}

// Append commits an entry that changes nothing on top of whatever the head is. under, if not nil, is called under the lock.
func Append(ctx context.Context, db store.Store, under func(store.Locked) error) error {
	return db.Commit(ctx, func(ctx context.Context, l store.Locked) (store.Append, error) {
		b, err := batch(ctx, l)
		if err != nil {
			return store.Append{}, err
		}
		if err := b.Add(store.Entry{Kind: deal.EntryStart, Actor: deal.System}, &deal.Change{}); err != nil {
			return store.Append{}, err
		}
		if under != nil {
			if err := under(l); err != nil {
				return store.Append{}, err
			}
		}
		add, _, err := b.Done()
		return add, err
	})
}

// batch begins a batch on the head, reading the tree from the store as a fresh process would.
func batch(ctx context.Context, l store.Locked) (*store.Batch, error) {
	tree := ledger.NewTree()
	for e, err := range l.Entries(ctx, 0) {
		if err != nil {
			return nil, err
		}
		if _, err := tree.Append(e.Leaf); err != nil {
			return nil, err
		}
	}
	return store.NewBatch(l.Head(), tree)
}

var ctx = context.Background()

// start is the recorded time of the first entry: with microseconds, which every engine must keep.
var start = time.Date(2027, 2, 28, 23, 59, 59, 123456000, time.UTC)

// item is one entry to be.
type item struct {
	entry  store.Entry
	change deal.Change
	events []store.Event
}

// commit appends the items on top of whatever the head is.
func commit(db store.Store, items ...item) (store.Append, error) {
	var add store.Append
	err := db.Commit(ctx, func(ctx context.Context, l store.Locked) (store.Append, error) {
		b, err := batch(ctx, l)
		if err != nil {
			return store.Append{}, err
		}
		for i := range items {
			it := items[i]
			if it.entry.Kind == "" {
				it.entry.Kind = deal.EntryRecords
			}
			if it.entry.Actor.KeyID == "" {
				it.entry.Actor = deal.System
			}
			if it.entry.At.IsZero() {
				it.entry.At = start.Add(time.Duration(b.NextSeq()) * time.Second)
			}
			for r := range it.change.Registrations {
				reg := &it.change.Registrations[r]
				if reg.Sequence == 0 {
					reg.Sequence = b.NextSeq()
				}
				reg.Version = b.NextSeq()
			}
			if it.change.Decision != nil {
				it.change.Decision.Sequence = b.NextSeq()
			}
			for c := range it.change.Cases {
				it.change.Cases[c].Version = b.NextSeq()
			}
			for _, p := range it.change.Personal() {
				it.entry.Personal = append(it.entry.Personal, store.Personal{Field: p.Field, Salt: []byte("salt of " + p.Field), Value: p.Value})
			}
			if err := b.Add(it.entry, &it.change, it.events...); err != nil {
				return store.Append{}, err
			}
		}
		add, _, err = b.Done()
		return add, err
	})
	return add, err
}

func must(t *testing.T, db store.Store, items ...item) store.Append {
	t.Helper()
	add, err := commit(db, items...)
	if err != nil {
		t.Fatal(err)
	}
	return add
}

func registration(id, partner, customer string) deal.Registration {
	return deal.Registration{ID: id, Number: "DR-" + id, ReceivedAt: start, Status: deal.StatusRouted, DecisionID: "dec_" + id,
		CustomerRef: deal.CustomerRef{AccountID: customer}, Filing: deal.Filing{PartnerID: partner, Type: "new_business", Customer: deal.Customer{Name: customer}}}
}

func protected(id, partner, customer string, lines ...string) deal.Registration {
	r := registration(id, partner, customer)
	r.Status = deal.StatusProtected
	r.Protection = &deal.Protection{Scope: deal.Scope{Customer: r.CustomerRef, Lines: lines}, StartsAt: start, EndsAt: start.AddDate(0, 0, 90)}
	return r
}

func regItem(rs ...deal.Registration) item {
	return item{entry: store.Entry{Kind: deal.EntryDecided, Subject: rs[0].ID}, change: deal.Change{Registrations: rs}}
}

func testAppend(t *testing.T, db store.Store, reopen func() store.Store) {
	if h, err := db.Head(ctx); err != nil || h != (store.Head{}) {
		t.Fatalf("an empty database has head %+v, %v", h, err)
	}
	in := item{
		entry: store.Entry{Kind: deal.EntryDecided, Subject: "reg_a", Actor: deal.Actor{KeyID: "key_1", Role: "portal", PersonID: "U-1"}, IdemKey: "k", RequestHash: []byte{1, 2},
			Answer: []byte(`{"a":1}`), Personal: []store.Personal{{Field: "contact.email", Salt: []byte("salt"), Value: "a@b.example"},
				{Field: "description", Salt: []byte{0, 0xff}, Value: "\x00\xffé\u2028\U0010ffffF<"}, {Field: "contact.name", Salt: []byte("pepper"), Value: "a\x00\U0010ffff0"}}},
		change: deal.Change{Registrations: []deal.Registration{registration("reg_a", "P-1", "acc")},
			Decision: &deal.Decision{ID: "dec_a", RegistrationID: "reg_a", Outcome: deal.RouteTo, Route: &deal.Route{To: deal.ToSubmitter, Disposition: deal.Declined}, ReasonCodes: []string{"X"}, At: start},
			Cases:    []deal.Case{{ID: "case_a", RegistrationID: "reg_a", Status: "open", Terms: deal.CaseTerms{Queue: "deal-desk"}, OpenedAt: start}}},
		events: []store.Event{{ID: "evt_1", Type: "dibs.registration.routed.v1", Subject: "reg_a", Body: []byte(`{}`)}},
	}
	add := must(t, db, in, regItem(registration("reg_b", "P-2", "acc")))
	for _, s := range []store.Store{db, reopen()} {
		head, err := s.Head(ctx)
		if err != nil || head != add.Head {
			t.Fatalf("head %+v, want %+v (%v)", head, add.Head, err)
		}
		e, err := s.Entry(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		want := add.Entries[0]
		if string(e.Leaf) != string(want.Leaf) || e.Chain != want.Chain || e.Size != 2 || !e.At.Equal(want.At) || string(e.Answer) != string(want.Answer) ||
			string(e.Body) != string(want.Body) || e.Actor != want.Actor || e.IdemKey != "k" || string(e.RequestHash) != string(want.RequestHash) {
			t.Fatalf("entry came back as %+v", e)
		}
		if e.Personal, err = s.Personal(ctx, 1); err != nil || string(store.LeafOf(&e, store.Hash{})) != string(e.Leaf) {
			t.Fatalf("the leaf does not follow from what is stored: %v", err)
		}
		root, err := ledger.RootOf(2, func(ix []int64) ([]store.Hash, error) { return s.Nodes(ctx, ix) })
		if err != nil || root != head.Root {
			t.Fatalf("root from stored hashes %x, head %x (%v)", root, head.Root, err)
		}
		n := 0
		for _, err := range s.AllNodes(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 3 {
			t.Fatalf("%d hashes stored for two leaves", n)
		}
		if seqs, err := s.DecisionSeqs(ctx, "reg_a"); err != nil || !slices.Equal(seqs, []uint64{1}) {
			t.Fatalf("decisions %v, %v", seqs, err)
		}
		if c, err := s.Case(ctx, "case_a"); err != nil || c.Terms.Queue != "deal-desk" || c.Version != 1 {
			t.Fatalf("case %+v, %v", c, err)
		}
		if cs, err := s.Cases(ctx, store.CaseFilter{Status: "open", Queue: "deal-desk", RegistrationID: "reg_a", Page: store.Page{Limit: 5}}); err != nil || len(cs) != 1 {
			t.Fatalf("cases %v, %v", cs, err)
		}
		if ev, err := s.Events(ctx, 0, 10); err != nil || len(ev) != 1 || ev[0].Seq != 1 || !ev[0].At.Equal(want.At) {
			t.Fatalf("events %+v, %v", ev, err)
		}
	}
}

func testDecideFails(t *testing.T, db store.Store, _ func() store.Store) {
	boom := errors.New("boom")
	if err := db.Commit(ctx, func(context.Context, store.Locked) (store.Append, error) { return store.Append{}, boom }); !errors.Is(err, boom) {
		t.Fatalf("got %v", err)
	}
	if err := db.Commit(ctx, func(context.Context, store.Locked) (store.Append, error) { return store.Append{}, nil }); err != nil {
		t.Fatal(err)
	}
	must(t, db, regItem(registration("reg_a", "P", "acc")))
	// Half of a batch that fails must not be there.
	if _, err := commit(db, regItem(registration("reg_b", "P", "acc")), regItem(func() deal.Registration { r := registration("reg_c", "P", "acc"); r.Number = "DR-reg_a"; return r }())); err == nil {
		t.Fatal("a number was given twice")
	}
	if h, _ := db.Head(ctx); h.Seq != 1 {
		t.Fatalf("head is at %d after a failed batch", h.Seq)
	}
	if _, err := db.Registration(ctx, "reg_b"); !errors.Is(err, deal.ErrNotFound) {
		t.Fatalf("the first half of a failed batch is readable: %v", err)
	}
}

// testOneOrder has several processes commit at once: sequences have no gap, and every chain follows from the one before.
func testOneOrder(t *testing.T, db store.Store, reopen func() store.Store) {
	const writers, each = 4, 12
	var wg sync.WaitGroup
	for w := range writers {
		s := db
		if w > 0 {
			s = reopen()
		}
		wg.Go(func() {
			for i := range each {
				if _, err := commit(s, regItem(registration(fmt.Sprintf("reg_%d_%d", w, i), "P", "acc"))); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	wg.Wait()
	var prev store.Hash
	var seq uint64
	for e, err := range db.Entries(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if seq++; e.Seq != seq || e.Chain != ledger.Chain(prev, e.Leaf) {
			t.Fatalf("entry %d after %d, chain follows: %v", e.Seq, seq-1, e.Chain == ledger.Chain(prev, e.Leaf))
		}
		prev = e.Chain
	}
	if seq != writers*each {
		t.Fatalf("%d entries, want %d", seq, writers*each)
	}
}

func testIdempotency(t *testing.T, db store.Store, _ func() store.Store) {
	entry := func(key, idem, id string) item {
		it := regItem(registration(id, "P", "acc"))
		it.entry.Actor, it.entry.IdemKey, it.entry.Answer = deal.Actor{KeyID: key, Role: "portal"}, idem, []byte(id)
		return it
	}
	must(t, db, entry("key_1", "same", "reg_a"))
	must(t, db, entry("key_2", "same", "reg_b"), entry("key_1", "Same", "reg_c"), entry("key_1", "", "reg_d"), entry("key_1", "", "reg_e"))
	if _, err := commit(db, entry("key_1", "same", "reg_f")); err == nil {
		t.Fatal("one key answered twice")
	}
	e, err := db.Answered(ctx, store.IdemKey{KeyID: "key_1", Key: "same"})
	if err != nil || string(e.Answer) != "reg_a" {
		t.Fatalf("answer %q, %v", e.Answer, err)
	}
	if _, err := db.Answered(ctx, store.IdemKey{KeyID: "key_3", Key: "same"}); !errors.Is(err, deal.ErrNotFound) {
		t.Fatalf("a key of another: %v", err)
	}
	err = db.Commit(ctx, func(ctx context.Context, l store.Locked) (store.Append, error) {
		got, err := l.Answered(ctx, []store.IdemKey{{KeyID: "key_2", Key: "same"}, {KeyID: "key_9", Key: "x"}})
		if err != nil || len(got) != 1 || string(got[store.IdemKey{KeyID: "key_2", Key: "same"}].Answer) != "reg_b" {
			t.Errorf("under the lock: %v, %v", got, err)
		}
		return store.Append{}, err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func testOneHolder(t *testing.T, db store.Store, _ func() store.Store) {
	must(t, db, regItem(protected("reg_a", "P-1", "acc")))
	if _, err := commit(db, regItem(protected("reg_b", "P-2", "acc"))); !errors.Is(err, store.ErrHolder) {
		t.Fatalf("a second holder of one scope: %v", err)
	}
	must(t, db, regItem(protected("reg_c", "P-2", "ACC")), regItem(protected("reg_d", "P-3", "other", "firewall", "cloud")))
	if _, err := commit(db, regItem(protected("reg_e", "P-2", "other", "cloud"))); !errors.Is(err, store.ErrHolder) {
		t.Fatalf("a second holder of one line: %v", err)
	}
	// Shared protections, which the policy grants by name, stand side by side.
	for _, id := range []string{"reg_s1", "reg_s2"} {
		r := protected(id, "P-"+id, "tender")
		r.Protection.Shared = true
		must(t, db, regItem(r))
	}
	// Ending one and granting the next may happen in one commit, in that order.
	ended := protected("reg_a", "P-1", "acc")
	ended.Status, ended.Sequence = deal.StatusExpired, 1
	must(t, db, regItem(ended), regItem(protected("reg_f", "P-2", "acc")))
	// A scope that is wider than another is not identical to it: the constraint lets it pass, the report names it.
	must(t, db, regItem(protected("reg_wide", "P-9", "other")))
	at := start.Add(time.Hour)
	if b, err := db.Breaches(ctx, at); err != nil || len(b) != 1 || b[0] != (store.Breach{A: "reg_d", B: "reg_wide"}) {
		t.Fatalf("breaches %v, %v", b, err)
	}
	if b, err := db.Breaches(ctx, start.AddDate(0, 0, 90)); err != nil || len(b) != 0 {
		t.Fatalf("breaches after every window has ended: %v, %v", b, err)
	}
	hold := registration("reg_h", "P-4", "held")
	hold.Status, hold.Hold = deal.StatusEscalated, &deal.Protection{StartsAt: start, EndsAt: start.AddDate(0, 0, 5)}
	must(t, db, regItem(hold))
	if _, err := commit(db, regItem(protected("reg_i", "P-5", "held"))); !errors.Is(err, store.ErrHolder) {
		t.Fatalf("a provisional hold counts as a holder: %v", err)
	}
}

func testRegistrations(t *testing.T, db store.Store, _ func() store.Store) {
	ids := []string{"reg_Z", "reg_a", "reg_é", "reg_b", "reg_A"}
	for i, id := range ids {
		r := registration(id, fmt.Sprintf("P-%d", i%2), "acc-"+id)
		if id == "reg_b" {
			r = protected(id, "P-1", "acc-b")
			r.Filing.DistributorID, r.Filing.ExternalID = "D-1", "portal-1"
			r.Filing.Amount = deal.Money{Value: decimal.RequireFromString("120000.10"), Currency: "EUR"}
		}
		must(t, db, regItem(r))
	}
	all := func(f store.RegistrationFilter) (got []string) {
		f.Limit = 2
		for {
			page, err := db.Registrations(ctx, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page {
				got = append(got, r.ID)
				f.After = r.ID
			}
			if len(page) < 2 {
				return got
			}
		}
	}
	sorted := slices.Sorted(slices.Values(ids)) // byte by byte: capitals first, é last
	during, after := start.Add(time.Hour), start.AddDate(0, 0, 90)
	for _, c := range []struct {
		name string
		f    store.RegistrationFilter
		want []string
	}{
		{"all", store.RegistrationFilter{}, sorted},
		{"of a partner", store.RegistrationFilter{PartnerIDs: []string{"P-0"}}, []string{"reg_A", "reg_Z", "reg_é"}},
		{"as distributor", store.RegistrationFilter{PartnerIDs: []string{"D-1"}}, []string{"reg_b"}},
		{"of nobody", store.RegistrationFilter{PartnerIDs: []string{}}, nil},
		{"foreign partner asked for", store.RegistrationFilter{PartnerIDs: []string{"P-0"}, PartnerID: "P-1"}, nil},
		{"by external id", store.RegistrationFilter{ExternalID: "portal-1"}, []string{"reg_b"}},
		{"by number", store.RegistrationFilter{Number: "DR-reg_a"}, []string{"reg_a"}},
		{"protected while it lasts", store.RegistrationFilter{Status: deal.StatusProtected, AsOf: during}, []string{"reg_b"}},
		{"protected at the end", store.RegistrationFilter{Status: deal.StatusProtected, AsOf: after}, nil},
		{"expired at the end", store.RegistrationFilter{Status: deal.StatusExpired, AsOf: after}, []string{"reg_b"}},
		{"by account", store.RegistrationFilter{AccountID: "acc-b"}, []string{"reg_b"}},
		{"by a part of the customer's name", store.RegistrationFilter{CustomerName: "C-reg_a"}, []string{"reg_A", "reg_a"}},
		{"by a part that a pattern would have", store.RegistrationFilter{CustomerName: "c%b"}, nil},
		{"by a part with a letter the databases know no case of", store.RegistrationFilter{CustomerName: "REG_É"}, []string{"reg_é"}},
		{"by a part in letters without case", store.RegistrationFilter{CustomerName: "山川"}, nil},
		{"backwards", store.RegistrationFilter{Page: store.Page{Backwards: true}}, []string{"reg_é", "reg_b", "reg_a", "reg_Z", "reg_A"}},
	} {
		if got := all(c.f); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	r, err := db.Registration(ctx, "reg_b")
	if err != nil || r.Filing.Amount.String() != "120000.10 EUR" || !r.Protection.StartsAt.Equal(start) {
		t.Fatalf("came back as %+v, %v", r, err)
	}
}

func testRecords(t *testing.T, db store.Store, _ func() store.Store) {
	day, _ := deal.ParseDate("2027-01-31")
	rows := []deal.Record{
		&deal.Account{ID: "a1", Name: "Ärzte GmbH", Country: "DE", Status: "customer", Domains: []string{"x.example"}, Employees: 12},
		&deal.Account{ID: "A1", Name: "ärztekammer", Country: "AT"}, &deal.Account{ID: "b", Name: "Bank", Named: true},
		&deal.Opportunity{ID: "o1", AccountID: "a1", Status: "open", LedBy: "direct", Amount: deal.Money{Value: decimal.RequireFromString("0.1"), Currency: "USD"}},
		&deal.Opportunity{ID: "o2", AccountName: "Bank", Status: "won", LedBy: "partner", PartnerID: "P-1", CloseDate: day},
		&deal.Partner{ID: "P-1", Name: "Partner", Tier: "gold", Status: "active", AgreementSignedAt: day},
		&deal.Person{ID: "u", Name: "Person", Email: "person@vendor.example", Queues: []string{"q"}}, &deal.CatalogueProduct{SKU: "s", Line: "l", Core: true}, &deal.Rate{Date: day, From: "USD", To: "EUR", Rate: "0.91"},
	}
	var c deal.Change
	for _, r := range rows {
		c.Put(r)
	}
	must(t, db, item{change: c})
	for _, r := range rows {
		got, err := db.Record(ctx, r.Kind(), r.Key())
		if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", r) {
			t.Errorf("%s %s came back as %+v, %v", r.Kind(), r.Key(), got, err)
		}
	}
	names := func(kind deal.RecordKind, f store.RecordFilter) (out []string) {
		f.Limit = 100
		rs, err := db.Records(ctx, kind, f)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			out = append(out, r.Key())
		}
		return out
	}
	if got := names(deal.Accounts, store.RecordFilter{}); !slices.Equal(got, []string{"A1", "a1", "b"}) {
		t.Errorf("accounts in order %v: ids are told apart by case and sorted by bytes", got)
	}
	if got := names(deal.Accounts, store.RecordFilter{Name: "ÄRZTE"}); !slices.Equal(got, []string{"A1", "a1"}) {
		t.Errorf("by name prefix %v", got)
	}
	if got := names(deal.Accounts, store.RecordFilter{Country: "DE", Status: "customer"}); !slices.Equal(got, []string{"a1"}) {
		t.Errorf("by country and status %v", got)
	}
	if got := names(deal.Opportunities, store.RecordFilter{PartnerID: "P-1"}); !slices.Equal(got, []string{"o2"}) {
		t.Errorf("by partner %v", got)
	}
	if _, err := db.Records(ctx, deal.Rates, store.RecordFilter{Country: "DE", Page: store.Page{Limit: 1}}); err == nil {
		t.Error("a filter a kind does not have was ignored")
	}
	must(t, db, item{change: deal.Change{Accounts: []*deal.Account{{ID: "b", Name: "Bank 2"}}, Deleted: []deal.RecordRef{{Kind: deal.Accounts, Key: "a1"}}}})
	if r, err := db.Record(ctx, deal.Accounts, "b"); err != nil || r.(*deal.Account).Name != "Bank 2" || r.(*deal.Account).Named {
		t.Errorf("an after-image replaces the whole row: %+v, %v", r, err)
	}
	if _, err := db.Record(ctx, deal.Accounts, "a1"); !errors.Is(err, deal.ErrNotFound) {
		t.Errorf("deleted row: %v", err)
	}
}

// testCases lists cases in the order in which they are due, page by page, and the entries of what they are about.
func testCases(t *testing.T, db store.Store, _ func() store.Store) {
	k := func(id string, due int, change func(*deal.Case)) deal.Case {
		c := deal.Case{ID: id, Kind: deal.CaseEscalation, RegistrationID: "reg_" + id, PartnerID: "P-1", Status: deal.CaseOpen, Terms: deal.CaseTerms{Queue: "desk"}, OpenedAt: start}
		if due > 0 {
			c.DueAt = start.Add(time.Duration(due) * time.Hour)
		}
		if change != nil {
			change(&c)
		}
		return c
	}
	noted := item{entry: store.Entry{Kind: deal.EntryCommented, Subject: "c"}, change: deal.Change{Cases: []deal.Case{k("c", 2, func(c *deal.Case) { c.Assignee = "U-1" })}}}
	must(t, db, regItem(registration("reg_a", "P-1", "acc")),
		item{change: deal.Change{Cases: []deal.Case{k("a", 3, nil), k("b", 0, func(c *deal.Case) { c.Kind = deal.CaseAppeal }), k("c", 1, nil), k("d", 2, func(c *deal.Case) { c.PartnerID = "P-2" }),
			k("e", 0, nil), k("f", 2, func(c *deal.Case) { c.Status = deal.CaseResolved })}}},
		noted, item{entry: store.Entry{Kind: deal.EntryAssigned, Subject: "c"}})
	for _, c := range []struct {
		f    store.CaseFilter
		want string
	}{
		{store.CaseFilter{}, "cdfabe"}, {store.CaseFilter{Status: deal.CaseOpen}, "cdabe"}, {store.CaseFilter{Kind: deal.CaseAppeal}, "b"},
		{store.CaseFilter{PartnerID: "P-2"}, "d"}, {store.CaseFilter{Assignee: "U-1"}, "c"}, {store.CaseFilter{Assignee: store.NoAssignee}, "dfabe"},
		{store.CaseFilter{DueBefore: start.Add(3 * time.Hour)}, "cdf"}, {store.CaseFilter{RegistrationID: "reg_a"}, "a"}, {store.CaseFilter{Queue: "other"}, ""},
	} {
		for _, limit := range []int{1, 2, 10} {
			got, f := "", c.f
			for f.Limit = limit; ; {
				page, err := db.Cases(ctx, f)
				if err != nil {
					t.Fatal(err)
				}
				for i := range page {
					got += page[i].ID
					f.After = store.CaseKey(&page[i])
				}
				if len(page) < limit {
					break
				}
			}
			if got != c.want {
				t.Errorf("%+v, %d a page: %s, want %s", c.f, limit, got, c.want)
			}
		}
	}
	if _, err := db.Cases(ctx, store.CaseFilter{Page: store.Page{After: "x", Limit: 1}}); err == nil {
		t.Error("a place that is none was taken for one")
	}
	r := func(id string, codes ...string) deal.Case {
		return k(id, 0, func(c *deal.Case) { c.Status, c.ReasonCodes = deal.CaseResolved, codes })
	}
	must(t, db, item{change: deal.Change{Cases: []deal.Case{r("p", "X", "Y"), r("q", "Y")}}})
	must(t, db, item{change: deal.Change{Cases: []deal.Case{r("r", "X")}}})
	for limit, want := range map[int]string{1: "r", 5: "rp"} {
		ps, err := db.Precedents(ctx, "X", limit)
		got := ""
		for _, p := range ps {
			got += p.ID
		}
		if err != nil || limit == 1 && got != want || len(got) != len(want) {
			t.Errorf("precedents %s, %v, want %s", got, err, want)
		}
	}
	es, err := db.EntriesOf(ctx, []string{"reg_a", "c", "none"})
	if err != nil || len(es) != 2 || es[0].Kind != deal.EntryCommented || es[1].Kind != deal.EntryAssigned {
		t.Errorf("entries %+v, %v", es, err)
	}
	d := regItem(registration("reg_z", "P-1", "zzz"))
	d.change.Decision = &deal.Decision{ID: "dec_z", RegistrationID: "reg_z", Outcome: deal.Escalate, At: start}
	must(t, db, d, item{entry: store.Entry{Kind: deal.EntryResolved, Subject: "reg_z"}, change: deal.Change{Decision: &deal.Decision{ID: "dec_y", RegistrationID: "reg_z", Outcome: deal.Protect, At: start}}})
	if es, err = db.EntriesOf(ctx, []string{"reg_z"}); err != nil || len(es) != 2 || es[0].Kind != deal.EntryDecided || es[1].Kind != deal.EntryResolved {
		t.Errorf("entries %+v, %v", es, err)
	}
}

func testSelectEntries(t *testing.T, db store.Store, _ func() store.Store) {
	about := func(kind, subject string) item { return item{entry: store.Entry{Kind: kind, Subject: subject}} }
	decided := func(id string) item {
		d := regItem(registration(id, "P-1", id))
		d.change.Decision = &deal.Decision{ID: "dec_" + id, RegistrationID: id, Outcome: deal.RouteTo, At: start}
		return d
	}
	must(t, db, decided("reg_a"), about(deal.EntryCommented, "case_a"), about(deal.EntryDocument, "policy/1"), about(deal.EntryPublished, "policy/1"),
		decided("reg_b"), about(deal.EntryDocument, "policy/2"), about(deal.EntryRecords, "accounts"), about(deal.EntryRecords, "accounts/ü"), about("registration.won", "reg_a"), about(deal.EntryDocument, "policyx"))
	for _, c := range []struct {
		f    store.EntryFilter
		want string
	}{
		{store.EntryFilter{}, "1 2 3 4 5 6 7 8 9 10"},
		{store.EntryFilter{After: 8}, "9 10"},
		{store.EntryFilter{After: 10}, ""},
		{store.EntryFilter{Subjects: []string{"reg_a"}}, "1 9"},
		{store.EntryFilter{Subjects: []string{"reg_a", "case_a", "none"}}, "1 2 9"},
		{store.EntryFilter{Subjects: []string{"reg_a"}, After: 1}, "9"},
		{store.EntryFilter{Subjects: []string{"reg"}}, ""},
		{store.EntryFilter{Subjects: []string{"policy/1"}}, "3 4"},
		{store.EntryFilter{Subjects: []string{"policy"}, Below: "policy/"}, "3 4 6"},
		{store.EntryFilter{Subjects: []string{"accounts"}, Below: "accounts/"}, "7 8"},
		{store.EntryFilter{Kind: deal.EntryDecided}, "1 5"},
		{store.EntryFilter{Kind: "registration.*"}, "1 5 9"},
		{store.EntryFilter{Kind: "*"}, "1 2 3 4 5 6 7 8 9 10"},
		{store.EntryFilter{Kind: "registration"}, ""},
		{store.EntryFilter{Kind: "é*"}, ""},
		{store.EntryFilter{Kind: deal.EntryDocument, Below: "policy/"}, "3 6"},
		{store.EntryFilter{Kind: deal.EntryDecided, Subjects: []string{"reg_a"}}, "1"},
	} {
		got := []string{}
		for e, err := range db.SelectEntries(ctx, c.f) {
			if err != nil {
				t.Fatal(err)
			}
			if len(e.Body) == 0 || len(e.Leaf) == 0 {
				t.Errorf("entry %d is not whole", e.Seq)
			}
			got = append(got, fmt.Sprint(e.Seq))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %v, want %s", c.f, got, c.want)
		}
	}
	var many []item
	for range 450 { // more than is read at once
		many = append(many, about(deal.EntryRecords, "rates"))
	}
	must(t, db, many...)
	n := 0
	for _, err := range db.SelectEntries(ctx, store.EntryFilter{Subjects: []string{"rates"}}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != len(many) {
		t.Errorf("%d of %d entries", n, len(many))
	}
}

func testDocuments(t *testing.T, db store.Store, _ func() store.Store) {
	v := func(n int, status string) deal.Document {
		return deal.Document{Kind: deal.PolicyDocument, Version: n, Name: "p", Digest: fmt.Sprint("sha256:", n), Body: "name: p\n# ü", Status: status, CreatedAt: start}
	}
	must(t, db, item{change: deal.Change{Documents: []deal.Document{v(1, "live")}}}, item{change: deal.Change{Documents: []deal.Document{v(2, "draft")}}})
	must(t, db, item{change: deal.Change{Documents: []deal.Document{v(2, "live"), v(1, "retired")}}})
	ds, err := db.Documents(ctx, deal.PolicyDocument)
	if err != nil || len(ds) != 2 || ds[0].Status != "retired" || ds[1].Status != "live" {
		t.Fatalf("%+v, %v", ds, err)
	}
	if _, err := commit(db, item{change: deal.Change{Documents: []deal.Document{v(3, "live")}}}); err == nil {
		t.Fatal("two live policies")
	}
	if d, err := db.Document(ctx, deal.PolicyDocument, 2); err != nil || d.Body != "name: p\n# ü" {
		t.Fatalf("%+v, %v", d, err)
	}
	must(t, db, item{change: deal.Change{Keys: []deal.Key{{ID: "key_1", Role: "ops", SecretHash: []byte{1}, CreatedAt: start}}}})
	if ks, err := db.Keys(ctx); err != nil || len(ks) != 1 || string(ks[0].SecretHash) != "\x01" {
		t.Fatalf("%+v, %v", ks, err)
	}
}

// testFindings lists findings by whom they are about and whether they say something, loads them, and derives their rows again.
func testFindings(t *testing.T, db store.Store, _ func() store.Store) {
	account := func(id string) deal.Party { return deal.Party{AccountID: id, Name: id} }
	filed := func(id string) deal.Party {
		return deal.Party{RegistrationID: "reg_" + id, Name: id, Input: &deal.MatchInput{Names: []string{"Ärzte & Co"}}}
	}
	items := []deal.Finding{
		{ID: "find_1", Verdict: deal.FoundSame, Subject: filed("x"), Other: account("A"), At: start},
		{ID: "find_2", Verdict: deal.FoundDifferent, Subject: filed("x"), Other: filed("y"), Until: start.Add(time.Hour), At: start},
		{ID: "find_3", Verdict: deal.FoundDifferent, Subject: account("B"), Other: account("A"), At: start},
	}
	for i := range items {
		items[i].Sequence, items[i].Version = uint64(i+1), uint64(i+1)
		must(t, db, item{entry: store.Entry{Kind: deal.EntryFound, Subject: items[i].ID}, change: deal.Change{Findings: items[i : i+1]}})
	}
	items[0].Withdrawn, items[0].TakenBack, items[0].Version = &deal.Actor{KeyID: "k", Role: "ops"}, start.Add(time.Minute), 4
	must(t, db, item{entry: store.Entry{Kind: deal.EntryTakenBack, Subject: "find_1"}, change: deal.Change{Findings: items[:1]}})
	for _, f := range items {
		got, err := db.Finding(ctx, f.ID)
		if want, _ := json.Marshal(f); err != nil {
			t.Fatal(err)
		} else if b, _ := json.Marshal(got); string(b) != string(want) {
			t.Errorf("%s came back as %s", want, b)
		}
	}
	if _, err := db.Finding(ctx, "find_none"); !errors.Is(err, deal.ErrNotFound) {
		t.Errorf("none: %v", err)
	}
	of := func(refs ...deal.CustomerRef) []deal.CustomerRef { return refs }
	for name, c := range map[string]struct {
		f    store.FindingFilter
		want string
	}{
		"all":               {store.FindingFilter{}, "find_1 find_2 find_3"},
		"of an account":     {store.FindingFilter{Of: of(deal.CustomerRef{AccountID: "A"})}, "find_1 find_3"},
		"of two":            {store.FindingFilter{Of: of(deal.CustomerRef{AccountID: "B"}, deal.OwnProspect("reg_y"))}, "find_2 find_3"},
		"live":              {store.FindingFilter{LiveAt: start}, "find_2 find_3"},
		"live at an end":    {store.FindingFilter{LiveAt: start.Add(time.Hour)}, "find_3"},
		"by verdict":        {store.FindingFilter{Verdict: deal.FoundSame}, "find_1"},
		"the newest, paged": {store.FindingFilter{Page: store.Page{Backwards: true, After: "find_3", Limit: 1}}, "find_2"},
	} {
		if c.f.Limit == 0 {
			c.f.Limit = 9
		}
		list, err := db.Findings(ctx, c.f)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, f := range list {
			ids = append(ids, f.ID)
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	c := counter{}
	if _, err := db.Load(ctx, c, store.Base{}); err != nil || c["finding"] != 3 {
		t.Errorf("%d are loaded, %v", c["finding"], err)
	}
	if rows, err := db.Reproject(ctx); err != nil || len(rows) > 0 {
		t.Errorf("derived again: %v, %v", rows, err)
	}
}

type counter map[string]int

func (c counter) Document(deal.Document) error         { c["document"]++; return nil }
func (c counter) Key(deal.Key) error                   { c["key"]++; return nil }
func (c counter) Record(r deal.Record) error           { c[string(r.Kind())]++; return nil }
func (c counter) Deleted(r deal.RecordRef) error       { c["deleted "+string(r.Kind)]++; return nil }
func (c counter) Registration(deal.Registration) error { c["registration"]++; return nil }
func (c counter) Case(deal.Case) error                 { c["case"]++; return nil }
func (c counter) Finding(deal.Finding) error           { c["finding"]++; return nil }

// testLoad reads the world while it changes: what is seen belongs to one instant.
func testLoad(t *testing.T, db store.Store, reopen func() store.Store) {
	done := make(chan struct{})
	writer := reopen()
	go func() {
		defer close(done)
		for i := range 60 {
			if _, err := commit(writer, item{change: deal.Change{Accounts: []*deal.Account{{ID: fmt.Sprint("a", i), Name: "x"}}}}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		c := counter{}
		head, err := db.Load(ctx, c, store.Base{})
		if err != nil {
			t.Fatal(err)
		}
		if uint64(c["accounts"]) != head.Seq {
			t.Fatalf("%d accounts at head %d", c["accounts"], head.Seq)
		}
	}
}

// world is the state of the world as Load gives it: every row as JSON by its name.
type world map[string]string

func (w world) put(name string, v any) error {
	b, err := json.Marshal(v)
	w[name] = string(b)
	return err
}

func (w world) Document(d deal.Document) error {
	return w.put(fmt.Sprint("document ", d.Kind, d.Version), d)
}
func (w world) Key(k deal.Key) error                   { return w.put("key "+k.ID, k) }
func (w world) Record(r deal.Record) error             { return w.put(string(r.Kind())+" "+r.Key(), r) }
func (w world) Deleted(r deal.RecordRef) error         { delete(w, string(r.Kind)+" "+r.Key); return nil }
func (w world) Registration(r deal.Registration) error { return w.put("registration "+r.ID, r) }
func (w world) Case(c deal.Case) error                 { return w.put("case "+c.ID, c) }
func (w world) Finding(f deal.Finding) error           { return w.put("finding "+f.ID, f) }

// testLoadOnBase: whatever entry the base is of, the base and what Load adds to it are the world as it is now.
func testLoadOnBase(t *testing.T, db store.Store, _ func() store.Store) {
	accounts := func(name string, ids ...string) (c deal.Change) {
		for _, id := range ids {
			c.Accounts = append(c.Accounts, &deal.Account{ID: id, Name: name, Domains: []string{"x.example"}})
		}
		return c
	}
	gone := func(kind deal.RecordKind, keys ...string) item {
		it := item{entry: store.Entry{Kind: deal.EntryDeleted}}
		for _, k := range keys {
			it.change.Deleted = append(it.change.Deleted, deal.RecordRef{Kind: kind, Key: k})
		}
		return it
	}
	mixed := accounts("of a mixed import", "c", "d")
	mixed.Partners = []*deal.Partner{{ID: "a", Name: "Partner", Status: "active"}}
	mixed.People = []*deal.Person{{ID: "p", Name: "Person", Email: "person@vendor.example"}}
	large := deal.Change{} // its body is compressed
	for i := range 2000 {
		large.Accounts = append(large.Accounts, &deal.Account{ID: fmt.Sprint("large-", i), Name: "Large"})
	}
	items := []item{
		{change: accounts("first", "a", "b")},
		{entry: store.Entry{Kind: deal.EntryDocument}, change: deal.Change{Documents: []deal.Document{{Kind: deal.PolicyDocument, Version: 1, Status: "live"}}}},
		{change: mixed},
		gone(deal.Accounts, "a", "c"),
		regItem(registration("reg_a", "P", "b")),
		{change: large},
		gone(deal.Partners, "a"), // no account, though it has the id of one that comes back
		{change: accounts("again", "a", "d")},
		gone(deal.Accounts, "d", "large-7"),
		{change: accounts("last", "b")},
	}
	bases := []store.Base{{}}
	pictures := []world{{}}
	for _, it := range items {
		add := must(t, db, it)
		w := world{}
		if _, err := db.Load(ctx, w, store.Base{}); err != nil {
			t.Fatal(err)
		}
		bases, pictures = append(bases, store.Base{Seq: add.Head.Seq, Chain: add.Head.Chain}), append(pictures, w)
	}
	now := pictures[len(items)]
	for i, base := range bases {
		w := world{}
		for name, row := range pictures[i] {
			if strings.HasPrefix(name, string(deal.Accounts)) {
				w[name] = row
			}
		}
		head, err := db.Load(ctx, w, base)
		if err != nil || head.Seq != uint64(len(items)) || !maps.Equal(w, now) {
			t.Errorf("on entry %d: head %d, %d rows, want %d; %v", base.Seq, head.Seq, len(w), len(now), err)
		}
	}
	seen := counter{}
	if _, err := db.Load(ctx, seen, bases[8]); err != nil || seen["accounts"] != 1 || seen["deleted accounts"] != 2 || seen["people"] != 1 {
		t.Errorf("visited %v, %v", seen, err)
	}
	for what, base := range map[string]store.Base{
		"an entry to come": {Seq: 11, Chain: bases[10].Chain}, "another chain": {Seq: 9, Chain: bases[8].Chain}, "a chain of no entry": {Chain: bases[1].Chain},
	} {
		seen := counter{}
		if _, err := db.Load(ctx, seen, base); !errors.Is(err, store.ErrBase) || len(seen) > 0 {
			t.Errorf("on %s: visited %v, %v", what, seen, err)
		}
	}
}

func testSnapshots(t *testing.T, db store.Store, reopen func() store.Store) {
	if got, err := db.Snapshots(ctx); err != nil || len(got) != 0 {
		t.Fatalf("of an empty database: %v, %v", got, err)
	}
	var want []store.Snapshot
	put := func(s store.Snapshot) {
		t.Helper()
		if err := db.PutSnapshot(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	for i := range store.KeptSnapshots + 2 {
		add := must(t, db, item{change: deal.Change{Accounts: []*deal.Account{{ID: "a", Name: "x"}}}})
		s := store.Snapshot{Base: store.Base{Seq: add.Head.Seq, Chain: add.Head.Chain}, Digest: store.Hash{1, byte(i)}, Format: "1 m", Bytes: 1 << 40, At: start.Add(time.Duration(i))}
		s.At = s.At.Truncate(time.Microsecond)
		put(s)
		want = slices.Insert(want, 0, s)
	}
	want = want[:store.KeptSnapshots]
	again := want[0]
	again.Bytes, again.At = 7, start.Add(time.Hour) // the same bytes published again
	put(again)
	other := store.Snapshot{Base: want[3].Base, Digest: store.Hash{2}, Format: "2 m", At: start.Add(2 * time.Hour)}
	put(other) // another format has a list of its own
	want = slices.Insert(want, 3, other)
	if got, err := reopen().Snapshots(ctx); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n%+v, want\n%+v", err, got, want)
	}
	for what, base := range map[string]store.Base{"an entry to come": {Seq: 99, Chain: want[0].Chain}, "another chain": {Seq: 2, Chain: want[0].Chain}, "nothing": {}} {
		if err := db.PutSnapshot(ctx, store.Snapshot{Base: base, Digest: store.Hash{3}, Format: "1 m", At: start}); !errors.Is(err, store.ErrBase) {
			t.Errorf("of %s: %v", what, err)
		}
	}
	if got, err := db.Snapshots(ctx); err != nil || len(got) != len(want) {
		t.Errorf("after refusals: %d records, %v", len(got), err)
	}
	must(t, db, item{change: deal.Change{Accounts: []*deal.Account{{ID: "b", Name: "x"}}}}) // and the writer goes on
}

func testChunks(t *testing.T, db store.Store, reopen func() store.Store) {
	a, b := store.Hash{1}, store.Hash{2}
	put := func(of store.Hash, i int, body string) {
		t.Helper()
		if err := db.PutChunk(ctx, of, i, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	long := strings.Repeat("\x00\xff", 1<<19)
	put(a, 0, "old")
	put(a, 0, "new")
	put(a, 1, long)
	put(b, 7, "")
	db = reopen()
	if got, err := db.Chunks(ctx); err != nil || len(got) != 2 || got[a] != 2 || got[b] != 1 {
		t.Errorf("kept are %v, %v", got, err)
	}
	for _, c := range []struct {
		of   store.Hash
		i    int
		want string
	}{{a, 0, "new"}, {a, 1, long}, {b, 7, ""}} {
		if got, err := db.Chunk(ctx, c.of, c.i); err != nil || string(got) != c.want {
			t.Errorf("piece %d of %x has %d bytes, not %d: %v", c.i, c.of[:1], len(got), len(c.want), err)
		}
	}
	if err := db.DropChunks(ctx, a); err != nil {
		t.Fatal(err)
	}
	if got, err := db.Chunks(ctx); err != nil || len(got) != 1 || got[b] != 1 {
		t.Errorf("left are %v, %v", got, err)
	}
	if _, err := db.Chunk(ctx, a, 0); !errors.Is(err, deal.ErrNotFound) {
		t.Errorf("one that was dropped: %v", err)
	}
	must(t, db, item{change: deal.Change{Accounts: []*deal.Account{{ID: "b", Name: "x"}}}}) // and the writer goes on
}

func testGap(t *testing.T, db store.Store, _ func() store.Store) {
	must(t, db, regItem(registration("reg_a", "P", "acc")))
	err := db.Commit(ctx, func(_ context.Context, l store.Locked) (store.Append, error) {
		h := l.Head()
		h.Seq += 2
		return store.Append{Entries: []store.Entry{{Seq: h.Seq, At: start, Kind: "x", Leaf: []byte{1}, Body: []byte("{}"), Size: h.Seq}}, Changes: []*deal.Change{{}}, Head: h}, nil
	})
	if err == nil {
		t.Fatal("a gap in the sequence was accepted")
	}
}

func testNotFound(t *testing.T, db store.Store, _ func() store.Store) {
	_, e1 := db.Entry(ctx, 1)
	_, e2 := db.Registration(ctx, "x")
	_, e3 := db.Case(ctx, "x")
	_, e4 := db.Record(ctx, deal.Accounts, "x")
	_, e5 := db.Record(ctx, "nonsense", "x")
	_, e6 := db.Document(ctx, deal.PolicyDocument, 1)
	for i, err := range []error{e1, e2, e3, e4, e5, e6} {
		if !errors.Is(err, deal.ErrNotFound) {
			t.Errorf("%d: %v", i+1, err)
		}
	}
}

func testLargeAndStrange(t *testing.T, db store.Store, _ func() store.Store) {
	name := "a'b\";--\u202e\u0000zero 株式会社 " + strings.Repeat("x", 100_000)
	must(t, db, item{entry: store.Entry{Subject: name}, change: deal.Change{Accounts: []*deal.Account{{ID: "Robert'); DROP TABLE entry;--", Name: strings.ReplaceAll(name, "\x00", "")}}}})
	e, err := db.Entry(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	c, err := deal.DecodeChange(e.Body)
	if err != nil || len(c.Accounts) != 1 || !strings.HasSuffix(c.Accounts[0].Name, "xxx") {
		t.Fatalf("a large body came back wrong: %v", err)
	}
	if _, err := db.Record(ctx, deal.Accounts, "Robert'); DROP TABLE entry;--"); err != nil {
		t.Fatal(err)
	}
}
