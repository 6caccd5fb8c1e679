package engine

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	modernc "modernc.org/sqlite"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/pack"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/postgres"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
	"github.com/dibs-deals/dibs/internal/world"
)

var start = time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)

// clock is a hand-set clock.
type clock struct{ us atomic.Int64 }

func (c *clock) now() time.Time          { return time.UnixMicro(c.us.Load()).UTC() }
func (c *clock) set(t time.Time)         { c.us.Store(t.UnixMicro()) }
func (c *clock) advance(d time.Duration) { c.us.Add(d.Microseconds()) }

// bench is an engine on a database of its own, with a small vendor: partners P-1 to P-40 and the accounts given.
type bench struct {
	*Engine
	t     testing.TB
	path  string // of the SQLite database
	url   string // of the PostgreSQL database, if it is one
	clock *clock
	hook  atomic.Pointer[func(string) error]
	key   *ledger.Signer
}

// newBench makes a bench on SQLite.
func newBench(t testing.TB, accounts ...*deal.Account) *bench {
	t.Helper()
	return newBenchAt(t, "", accounts...)
}

// newBenchAt makes a bench on the PostgreSQL database at the URL; none: on SQLite.
func newBenchAt(t testing.TB, url string, accounts ...*deal.Account) *bench {
	t.Helper()
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "dibs.db"), url: url, clock: &clock{}}
	b.clock.set(start)
	var err error
	if b.key, _, err = ledger.NewSigner("dibs.example/test"); err != nil {
		t.Fatal(err)
	}
	b.open()
	t.Cleanup(func() { b.close() })
	var rows []deal.Record
	signed, _ := deal.ParseDate("2026-01-01")
	for i := 1; i <= 40; i++ {
		rows = append(rows, &deal.Partner{ID: fmt.Sprintf("P-%d", i), Name: fmt.Sprintf("Partner %d", i), Type: "reseller", Tier: "gold", Status: "active", AgreementSignedAt: signed, TrainedStaff: 3})
	}
	for _, l := range []string{"network", "security"} {
		rows = append(rows, &deal.CatalogueProduct{SKU: "SKU-" + l, Line: l})
	}
	b.put(rows...)
	for chunk := range slices.Chunk(accounts, MaxRows) {
		rows = rows[:0]
		for _, a := range chunk {
			rows = append(rows, a)
		}
		b.put(rows...)
	}
	return b
}

func (b *bench) open() {
	hook := func(p string) error {
		if f := b.hook.Load(); f != nil {
			return (*f)(p)
		}
		return nil
	}
	var st store.Store
	var err error
	if b.url == "" {
		st, err = sqlite.Open(context.Background(), sqlite.Config{Path: b.path, Hook: hook})
	} else {
		st, err = postgres.Open(context.Background(), postgres.Config{URL: b.url, Hook: hook})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if b.Engine, err = Open(context.Background(), Config{Store: st, Signer: b.key, Clock: b.clock.now}); err != nil {
		b.t.Fatal(err)
	}
}

// replica opens another engine on the bench's database.
func (b *bench) replica() *bench {
	b.t.Helper()
	r := &bench{t: b.t, path: b.path, url: b.url, clock: b.clock, key: b.key}
	r.open()
	b.t.Cleanup(r.close)
	return r
}

func (b *bench) close() {
	if err := b.Close(context.Background()); err != nil {
		b.t.Error(err)
	}
	if err := b.Store().Close(); err != nil {
		b.t.Error(err)
	}
}

func (b *bench) put(rows ...deal.Record) {
	b.t.Helper()
	if _, err := b.Put(context.Background(), Request{Actor: deal.System}, rows, nil); err != nil {
		b.t.Fatal(err)
	}
}

func request(key, idem string, f deal.Filing) Request {
	body, _ := json.Marshal(f)
	h := sha256.Sum256(body)
	return Request{Actor: deal.Actor{KeyID: key, Role: "portal"}, IdemKey: idem, Hash: h[:]}
}

// filing is a complete filing for the customer, in line network.
func filing(partner string, c deal.Customer) deal.Filing {
	close, _ := deal.ParseDate("2027-06-30")
	met, _ := deal.ParseDate("2027-02-20")
	return deal.Filing{PartnerID: partner, Type: "new_business", Customer: c,
		Contact:  deal.Contact{Name: "Erika Mustermann", Email: "erika.mustermann@gmail.com", Title: "CIO"},
		Products: []deal.Product{{SKU: "SKU-network", Quantity: 4}}, Amount: deal.Money{Value: decimal.New(32_000, 0), Currency: "EUR"},
		ExpectedCloseDate: close, Description: "Replacement of the campus network", Evidence: []deal.Evidence{{Kind: "meeting", Date: met, Text: "met the CIO"}}}
}

func (b *bench) register(partner string, c deal.Customer) Answer {
	b.t.Helper()
	f := filing(partner, c)
	got, err := b.Register(context.Background(), request("key_test", deal.NewID("i"), f), f)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.answer(got)
}

func (b *bench) answer(r Registered) Answer {
	b.t.Helper()
	var a Answer
	if err := json.Unmarshal(r.Body, &a); err != nil {
		b.t.Fatal(err)
	}
	return a
}

// sound holds the database to the promises: nothing altered, nobody beside a holder, every decision as a single clerk
// would have made it.
func (b *bench) sound() {
	b.t.Helper()
	ctx := context.Background()
	report, err := Verify(ctx, b.Store())
	if err != nil || len(report.Problems) > 0 {
		b.t.Fatalf("audit: %v, %+v", err, report.Problems)
	}
	n, err := Replay(ctx, b.Store(), b.model, nil, func(d Rederived) {
		if d.Same || d.Elsewhere {
			return
		}
		x, _ := json.MarshalIndent(d.Recorded, "", " ")
		y, _ := json.MarshalIndent(d.Derived, "", " ")
		b.t.Errorf("entry %d is derived otherwise than recorded:\n%s", d.Recorded.Sequence, firstDifference(string(x), string(y)))
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Logf("%d entries verified, %d decisions derived again", report.Entries, n.Decisions)
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range x {
		if i >= len(y) || x[i] != y[i] {
			return fmt.Sprintf("recorded %s\n derived %s", strings.Join(x[max(0, i-3):min(len(x), i+4)], "\n"), strings.Join(y[max(0, i-3):min(len(y), i+4)], "\n"))
		}
	}
	return "derived has more"
}

// customers picks n real organisations that no other of the world resembles, and the world's first few thousand
// accounts around them.
func customers(t testing.TB, n, around int) (picked []*deal.Account, all []*deal.Account) {
	t.Helper()
	if picked, all = pick(n, around); len(picked) < n {
		t.Fatalf("only %d customers in %d accounts", len(picked), len(all))
	}
	return picked, all
}

func pick(n, around int) (picked, all []*deal.Account) {
	words := map[string]int{}
	for a := range world.Accounts() {
		if len(all) == around {
			break
		}
		a.Named, a.Status, a.ParentID = false, "prospect", ""
		all = append(all, a)
		for w := range strings.FieldsSeq(strings.ToLower(a.Name)) {
			words[w]++
		}
	}
	for i := 0; i < len(all) && len(picked) < n; i += 7 {
		f := strings.Fields(strings.ToLower(all[i].Name))
		if len(f) >= 3 && len(f) <= 5 && len(f[0]) >= 6 && words[f[0]] == 1 && !strings.ContainsAny(all[i].Name, "0123456789&'-.") {
			picked = append(picked, all[i])
		}
	}
	return picked, all
}

// TestOneHolder has 40 partners register the same 25 customers at once, under many spellings, with two replicas. Each customer has one
// holder, and every decision is the one that a serial run in the order of the ledger gives.
func TestOneHolder(t *testing.T) { testOneHolder(t, "") }

func testOneHolder(t *testing.T, url string) {
	picked, all := customers(t, 25, 4000)
	b := newBenchAt(t, url, all...)
	replicas := []*bench{b, b.replica()}
	type claim struct {
		partner  string
		customer int
		name     string
	}
	var claims []claim
	rng := rand.New(rand.NewPCG(7, 7))
	for c, a := range picked {
		for i := range 24 {
			claims = append(claims, claim{fmt.Sprintf("P-%d", 1+(c+i)%40), c, world.Spell(rng, a.Name)})
		}
	}
	rng.Shuffle(len(claims), func(i, j int) { claims[i], claims[j] = claims[j], claims[i] })
	answers := make([]Answer, len(claims))
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for i, c := range claims {
		wg.Go(func() {
			<-gate
			a := picked[c.customer]
			f := filing(c.partner, deal.Customer{Name: c.name, Country: a.Country, Region: a.Region, City: a.City, PostalCode: a.PostalCode})
			got, err := replicas[i%2].Register(context.Background(), request("key_"+c.partner, fmt.Sprint(i), f), f)
			if err != nil {
				t.Errorf("%s for %q: %v", c.partner, c.name, err)
				return
			}
			answers[i] = b.answer(got)
		})
	}
	close(gate)
	wg.Wait()
	holders := make([]int, len(picked))
	outcomes := map[string]int{}
	for i, a := range answers {
		outcome := string(a.Decision.Outcome)
		if a.Decision.Route != nil {
			outcome += "/" + string(a.Decision.Route.Disposition)
		}
		outcomes[outcome]++
		if a.Status == deal.StatusProtected {
			holders[claims[i].customer]++
		}
	}
	t.Logf("%v", outcomes)
	for c, n := range holders {
		if n != 1 {
			t.Errorf("%q has %d holders", picked[c].Name, n)
			for i, a := range answers {
				if claims[i].customer == c && (a.Status == deal.StatusProtected || a.Status == deal.StatusEscalated) {
					_, d, _, _ := b.Registration(context.Background(), a.ID)
					t.Logf("  %s entry %d as %q: %v, %+v, candidates %s", claims[i].partner, a.Sequence, claims[i].name, d.ReasonCodes, d.Resolution, brief(d.Candidates))
				}
			}
		}
	}
	b.sound()
}

// brief lists candidates in one line.
func brief(by map[string][]deal.Match) string {
	var out []string
	for corpus, ms := range by {
		for _, m := range ms[:min(3, len(ms))] {
			out = append(out, fmt.Sprintf("%s %q %.3f %s", corpus, m.Name, m.Probability, m.Verdict))
		}
	}
	return strings.Join(out, "; ")
}

// TestSameKey sends one request many times at once. One registration comes of it, and everybody gets its bytes.
func TestSameKey(t *testing.T) { testSameKey(t, "") }

func testSameKey(t *testing.T, url string) {
	b := newBenchAt(t, url)
	replicas := []*bench{b, b.replica()}
	f := filing("P-1", deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "DE"})
	var wg sync.WaitGroup
	got := make([]Registered, 64)
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = replicas[i%2].Register(context.Background(), request("key_1", "same", f), f); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	first := 0
	for _, g := range got {
		if !bytes.Equal(g.Body, got[0].Body) || g.Receipt != got[0].Receipt {
			t.Fatalf("two answers to one request:\n%s %+v\n%s %+v", g.Body, g.Receipt, got[0].Body, got[0].Receipt)
		}
		if !g.Replayed {
			first++
		}
	}
	if first != 1 {
		t.Errorf("%d answers say they are the first", first)
	}
	other := filing("P-1", deal.Customer{Name: "Another One", Country: "DE"})
	if _, err := b.Register(context.Background(), request("key_1", "same", other), other); !errors.Is(err, deal.ErrKeyReused) {
		t.Errorf("another request under the same key: %v", err)
	}
	if _, err := b.Register(context.Background(), request("key_2", "same", other), other); err != nil {
		t.Errorf("the same name under another API key: %v", err)
	}
	// After a restart the answer, and its receipt, are still the same bytes.
	b.close()
	b.open()
	again, err := b.Register(context.Background(), request("key_1", "same", f), f)
	if err != nil || !again.Replayed || !bytes.Equal(again.Body, got[0].Body) || again.Receipt != got[0].Receipt {
		t.Errorf("after a restart: %v\n%s\n%s", err, again.Body, got[0].Body)
	}
	leaf, _, err := again.Receipt.Verify(b.key.Key())
	if err != nil || leaf.Answer != sha256.Sum256(again.Body) {
		t.Errorf("the receipt does not prove the answer: %v", err)
	}
	b.sound()
}

// TestBrokenCommit breaks the commit under a crowd of requests. What was acknowledged is there; what was not is either
// there or not, and the retry tells the same as the ledger.
func TestBrokenCommit(t *testing.T) { testBrokenCommit(t, func() string { return "" }) }

func testBrokenCommit(t *testing.T, url func() string) {
	for _, point := range []string{"locked", "written", "committed"} {
		t.Run(point, func(t *testing.T) {
			b := newBenchAt(t, url())
			var calls atomic.Int64
			hook := func(p string) error {
				if p == point && calls.Add(1)%3 != 0 {
					return errors.New("boom at " + p)
				}
				return nil
			}
			b.hook.Store(&hook)
			var wg sync.WaitGroup
			var mu sync.Mutex
			acked, failed := map[string][]byte{}, map[string]deal.Filing{}
			for i := range 60 {
				f := filing(fmt.Sprintf("P-%d", 1+i%40), deal.Customer{Name: fmt.Sprintf("Quixotic Brewing %c%c", 'A'+i%3, 'a'+i%5), Country: "DE", City: "Ulm"})
				idem := fmt.Sprint(i)
				wg.Go(func() {
					got, err := b.Register(context.Background(), request("key_1", idem, f), f)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						acked[idem] = got.Body
					} else if errors.Is(err, deal.ErrUnavailable) {
						failed[idem] = f
					} else {
						t.Errorf("%s: %v", idem, err)
					}
				})
			}
			wg.Wait()
			b.hook.Store(nil)
			// What broke after it was committed is found in the ledger, and answered.
			if calls.Load() == 0 || (len(failed) == 0) != (point == "committed") {
				t.Errorf("%d of 60 failed, with %d commits that got to the point", len(failed), calls.Load())
			}
			for idem, f := range failed {
				if _, err := b.Register(context.Background(), request("key_1", idem, f), f); err != nil {
					t.Errorf("retry of %s: %v", idem, err)
				}
			}
			for idem, body := range acked {
				e, err := b.Store().Answered(context.Background(), store.IdemKey{KeyID: "key_1", Key: idem})
				if err != nil || !bytes.Equal(e.Answer, body) {
					t.Errorf("acknowledged answer %s is %v, %s", idem, err, e.Answer)
				}
			}
			b.sound()
		})
	}
}

// TestEnds walks one protection to the end of its window: it holds until the instant, and not at it, whether or not
// anybody has written the end down.
func TestEnds(t *testing.T) {
	b := newBench(t)
	who := deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "DE", City: "Ulm"}
	first := b.register("P-1", who)
	if first.Status != deal.StatusProtected {
		t.Fatalf("first: %+v", first.Decision)
	}
	ends := first.Decision.Protection.EndsAt
	b.clock.set(ends.Add(-time.Microsecond))
	if a := b.register("P-2", who); a.Status == deal.StatusProtected {
		t.Fatal("a second holder in the last microsecond")
	}
	if r, _, _, err := b.Registration(context.Background(), first.ID); err != nil || r.Status != deal.StatusProtected {
		t.Fatalf("in the last microsecond it reads %s, %v", r.Status, err)
	}
	b.clock.set(ends)
	r, _, _, err := b.Registration(context.Background(), first.ID)
	if err != nil || r.Status != deal.StatusExpired {
		t.Fatalf("at its end it reads %s, %v", r.Status, err)
	}
	if a := b.register("P-3", deal.Customer{Name: "Another Name Altogether", Country: "FR"}); a.Status != deal.StatusProtected {
		t.Fatalf("a customer of its own: %+v", a.Decision)
	}
	n := 0
	for e, err := range b.Store().Entries(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == deal.EntryExpired {
			n++
			if e.At.Before(ends) || e.Subject != first.ID {
				t.Errorf("the end of %s is recorded at %s", e.Subject, e.At)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d ends recorded", n)
	}
	b.sound()
}

// TestPromotion lets a holder lapse. The next in line holds from that instant on, the one behind it still waits, and a
// newcomer does not slip in between.
func TestPromotion(t *testing.T) {
	b := newBench(t)
	who := deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "DE", City: "Ulm"}
	first := b.register("P-1", who)
	second, third := b.register("P-2", who), b.register("P-3", who)
	if second.Status != deal.StatusWaitlisted || third.Status != deal.StatusWaitlisted {
		t.Fatalf("behind the holder: %s, %s", second.Status, third.Status)
	}
	ends := first.Decision.Protection.EndsAt
	b.clock.set(ends)
	newcomer := b.register("P-4", who)
	for id, want := range map[string]deal.Status{first.ID: deal.StatusExpired, second.ID: deal.StatusProtected, third.ID: deal.StatusWaitlisted, newcomer.ID: deal.StatusWaitlisted} {
		if r, _, _, err := b.Registration(context.Background(), id); err != nil || r.Status != want {
			t.Errorf("%s of %s reads %s, want %s (%v)", r.Number, r.Filing.PartnerID, r.Status, want, err)
		}
	}
	r, d, _, err := b.Registration(context.Background(), second.ID)
	if err != nil || !r.Protection.StartsAt.Equal(ends) || d.ID == second.Decision.ID || r.Sequence != second.Sequence || r.Number != second.Number {
		t.Errorf("promoted: %+v, %v", r, err)
	}
	if ds, err := b.Decisions(context.Background(), second.ID); err != nil || len(ds) != 2 || ds[0].ID != second.Decision.ID {
		t.Errorf("%d decisions, %v", len(ds), err)
	}
	b.sound()
}

// TestEndsTogether lets two holders of one customer lapse at one instant. The end of the one is no occasion to grant what the
// other held, whose end is not written yet.
func TestEndsTogether(t *testing.T) {
	b := newBench(t)
	who := deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "DE", City: "Ulm"}
	file := func(partner, sku string) Answer {
		f := filing(partner, who)
		f.Products = []deal.Product{{SKU: sku, Quantity: 1}}
		got, err := b.Register(context.Background(), request("key_test", deal.NewID("i"), f), f)
		if err != nil {
			t.Fatal(err)
		}
		return b.answer(got)
	}
	first, second := file("P-1", "SKU-network"), file("P-2", "SKU-security")
	next := file("P-3", "SKU-security")
	if first.Status != deal.StatusProtected || second.Status != deal.StatusProtected || !first.Decision.Protection.EndsAt.Equal(second.Decision.Protection.EndsAt) {
		t.Fatalf("the holders: %+v, %+v", first.Decision, second.Decision)
	}
	if next.Status != deal.StatusWaitlisted {
		t.Fatalf("behind the second: %s, %v", next.Status, next.Decision.ReasonCodes)
	}
	b.clock.set(first.Decision.Protection.EndsAt)
	b.register("P-4", deal.Customer{Name: "Another Name Altogether", Country: "FR"})
	for id, want := range map[string]deal.Status{first.ID: deal.StatusExpired, second.ID: deal.StatusExpired, next.ID: deal.StatusProtected} {
		if r, _, _, err := b.Registration(context.Background(), id); err != nil || r.Status != want {
			t.Errorf("%s of %s reads %s, want %s (%v)", r.Number, r.Filing.PartnerID, r.Status, want, err)
		}
	}
	b.sound()
}

// TestClockBack turns the clock back. Recorded time does not follow.
func TestClockBack(t *testing.T) {
	b := newBench(t)
	b.register("P-1", deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "DE"})
	b.clock.advance(-48 * time.Hour)
	b.register("P-2", deal.Customer{Name: "Quixotic Brewing Company", Country: "DE"})
	b.sound() // says so if an entry is before the one before it
}

// TestPersonalData looks for the contact in everything that is hashed and cannot be erased.
func TestPersonalData(t *testing.T) {
	b := newBench(t)
	a := b.register("P-1", deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "DE"})
	b.put(&deal.Person{ID: "u-1", Name: "Petra Beispiel", Email: "petra@vendor.example", Queues: []string{"deal-desk"}})
	for e, err := range b.Store().Entries(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"Mustermann", "erika", "campus network", "met the CIO", "Beispiel", "petra@"} {
			for part, bytes := range map[string][]byte{"body": e.Body, "answer": e.Answer, "leaf": e.Leaf} {
				if strings.Contains(strings.ToLower(string(bytes)), strings.ToLower(secret)) {
					t.Errorf("%s of entry %d holds %q", part, e.Seq, secret)
				}
			}
		}
	}
	r, _, _, err := b.Registration(context.Background(), a.ID)
	if err != nil || r.Filing.Contact.Name != "Erika Mustermann" || r.Filing.Evidence[0].Text != "met the CIO" {
		t.Errorf("the reader does not get it back: %+v, %v", r.Filing, err)
	}
	p, err := b.Store().Record(context.Background(), deal.People, "u-1")
	if err != nil || p.(*deal.Person).Email != "petra@vendor.example" {
		t.Errorf("the person does not come back: %+v, %v", p, err)
	}
	b.sound()
	b.close()
	b.open()
	if got, err := b.Put(context.Background(), Request{Actor: deal.System}, []deal.Record{p}, nil); err != nil || got.Unchanged != 1 {
		t.Errorf("the same row again after a restart: %+v, %v", got, err)
	}
}

// TestErased: what is erased as docs/operator.md says is no problem to the audit, and counted by it, with the entries it was of.
func TestErased(t *testing.T) { testErased(t, "", "sqlite", "SQLite") }

func testErased(t *testing.T, url, driver, dialect string) {
	text, err := os.ReadFile("../../docs/operator.md")
	if err != nil {
		t.Fatal(err)
	}
	_, erase, found := strings.Cut(string(text), "-- "+dialect+"\n")
	erase, _, _ = strings.Cut(erase, ";")
	b := newBenchAt(t, url)
	b.register("P-1", deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "DE"})
	a := b.register("P-1", deal.Customer{Name: "Quixotic Brewing Company", Country: "DE"})
	if r, err := Verify(context.Background(), b.Store()); err != nil || r.Erased != 0 || len(r.ErasedOf) != 0 {
		t.Errorf("nothing is erased: %+v, %v", r, err)
	}
	pieces, err := b.Store().Personal(context.Background(), a.Sequence)
	if err != nil || len(pieces) == 0 || !found {
		t.Fatal(len(pieces), found, err)
	}
	if url == "" {
		b.close()
	}
	raw, err := sql.Open(driver, cmp.Or(url, b.path))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Exec(strings.ReplaceAll(erase, "reg_…", a.ID)); err != nil {
		t.Fatal(err)
	}
	_ = raw.Close()
	if url == "" {
		b.open()
	}
	if r, err := Verify(context.Background(), b.Store()); err != nil || len(r.Problems) > 0 || r.Erased != len(pieces) || !slices.Equal(r.ErasedOf, []uint64{a.Sequence}) {
		t.Errorf("%d pieces of entry %d are erased: %+v, %v", len(pieces), a.Sequence, r, err)
	}
	if r, _, _, err := b.Registration(context.Background(), a.ID); err != nil || r.Filing.Contact.Name != "" || r.Filing.Customer.Name == "" {
		t.Errorf("reads %+v, %v", r.Filing, err)
	}
}

// tampered gives SQLite a function of the name: a body, unpacked, of which another partner's registration is made.
var tampered = sync.OnceFunc(func() {
	modernc.MustRegisterDeterministicScalarFunction("tampered", 2, func(_ *modernc.FunctionContext, args []driver.Value) (driver.Value, error) {
		codec, err := pack.New()
		if err != nil {
			return nil, err
		}
		defer codec.Close()
		body, err := codec.Unpack(int(args[0].(int64)), args[1].([]byte))
		return bytes.ReplaceAll(body, []byte(`"P-1"`), []byte(`"P-2"`)), err
	})
})

// TestTamper changes one value in every table and expects the audit to name it.
func TestTamper(t *testing.T) {
	tampered()
	b := newBench(t, &deal.Account{ID: "acc-1", Name: "Zanzibar Orchestra Foundation", Country: "DE", Named: true})
	b.register("P-1", deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "DE"})
	b.register("P-1", deal.Customer{Name: "Quixotic Brewing Company", Country: "DE"})
	b.sound()
	b.close()
	for _, change := range []string{
		`UPDATE entry SET body = tampered(encoding, body), encoding = 0 WHERE kind = 'registration.decided'`, `UPDATE entry SET body = substr(body, 2) WHERE kind = 'registration.decided'`,
		`UPDATE entry SET answer = CAST(replace(CAST(answer AS text), 'DR-', 'DX-') AS blob) WHERE answer IS NOT NULL`,
		`UPDATE entry SET at = at + 1 WHERE seq = 3`, `UPDATE entry SET kind = 'x' WHERE seq = 2`, `UPDATE entry SET subject = subject || 'x' WHERE seq = 4`,
		`UPDATE entry SET key_id = 'key_x' WHERE seq = 4`, `UPDATE entry SET role = 'admin' WHERE kind = 'registration.decided'`,
		`UPDATE entry SET idem_key = 'x' WHERE kind = 'registration.decided' AND seq = (SELECT max(seq) FROM entry)`,
		`UPDATE entry SET request_hash = x'00' WHERE kind = 'registration.decided'`, `UPDATE entry SET size = size + 1 WHERE seq = (SELECT max(seq) FROM entry)`,
		`UPDATE entry SET size = size + 1 WHERE seq = 3`, `UPDATE entry SET size = size - 1 WHERE seq = 3`, `UPDATE entry SET size = size + 1 WHERE seq = 1`,
		`INSERT INTO api_key (id, role, created_at, doc) VALUES ('key_row', 'admin', 1, '{"id":"key_doc","role":"admin","created_at":"2027-03-01T09:00:00Z"}')`,
		`UPDATE entry SET leaf = x'00' WHERE seq = 2`, `UPDATE entry SET chain = zeroblob(32) WHERE seq = 2`,
		`UPDATE personal SET doc = replace(doc, 'Erika', 'Max')`, `UPDATE personal SET doc = replace(doc, '"salt":"', '"salt":"00')`, `UPDATE personal SET doc = json_remove(doc, '$[0]')`,
		`DELETE FROM personal`, `UPDATE node SET hash = zeroblob(32) WHERE i = 2`, `DELETE FROM node WHERE i = 0`,
		`UPDATE head SET root = zeroblob(32)`, `UPDATE head SET at = at + 1`, `UPDATE head SET registrations = registrations + 1`, `UPDATE head SET chain = zeroblob(32)`,
		`UPDATE registration SET doc = replace(doc, '"P-1"', '"P-2"')`, `UPDATE account SET doc = replace(doc, '"named":true', '"named":false')`,
		`DELETE FROM account`, `UPDATE partner SET doc = replace(doc, 'gold', 'platinum') WHERE id = 'P-1'`,
		`UPDATE document SET doc = replace(doc, 'certain', 'curtain')`,
		`UPDATE registration SET status = 'lost'`, `UPDATE registration SET protected_until = protected_until + 1`, `UPDATE account SET name = 'x'`,
		`UPDATE holder SET ends_at = ends_at - 1`, `DELETE FROM holder`, `UPDATE decision SET outcome = 'escalate'`, `UPDATE partner SET tier = 'silver' WHERE id = 'P-2'`,
		`UPDATE event SET body = CAST(replace(CAST(body AS text), 'protected', 'escalated') AS blob)`, `UPDATE event SET type = 'dibs.registration.lost.v1' WHERE seq = (SELECT max(seq) FROM event)`,
		`UPDATE event SET partner_id = 'P-2' WHERE partner_id = 'P-1'`, `UPDATE event SET at = at + 1`, `DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)`,
		`INSERT INTO event (id, seq, type, subject, at, body, registration_id) SELECT 'evt_x', seq, type, subject, at, body, registration_id FROM event WHERE seq = (SELECT max(seq) FROM event)`,
		`DROP INDEX holder_one`, `DROP INDEX entry_idempotency`,
		`UPDATE document SET status = 'retired' WHERE kind = 'policy'`, `INSERT INTO product (id, name_fold, line, core, doc) VALUES ('x', 'x', 'x', 0, '{"sku":"x","line":"x"}')`,
	} {
		t.Run(change, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "copy.db")
			raw, err := sql.Open("sqlite", b.path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := raw.Exec("VACUUM INTO ?", path); err != nil {
				t.Fatal(err)
			}
			_ = raw.Close()
			st, err := sqlite.Open(context.Background(), sqlite.Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = st.Close() }()
			if raw, err = sql.Open("sqlite", path); err != nil {
				t.Fatal(err)
			}
			res, err := raw.Exec(change)
			if err != nil {
				t.Fatal(err)
			}
			if n, _ := res.RowsAffected(); n == 0 && !strings.HasPrefix(change, "DROP ") {
				t.Fatal("nothing was changed: the test tests nothing")
			}
			_ = raw.Close()
			report, err := Verify(context.Background(), st)
			if err != nil {
				t.Logf("the audit stopped: %v", err)
			} else if len(report.Problems) == 0 {
				t.Error("the audit found nothing")
			} else {
				t.Log(report.Problems[0])
			}
			for text, want := range map[string]string{"SET status = 'lost'": "changed: status", "UPDATE account SET name": "account acc-1: changed: name", "key_row": "api_key key_row: extra", "DELETE FROM holder": ": missing", "holder_one": "holder: unique index holder_one: missing"} {
				if strings.Contains(change, text) && !slices.ContainsFunc(report.Problems, func(p Problem) bool { return strings.HasSuffix(p.Detail, want) }) {
					t.Errorf("nothing says %q: %v", want, report.Problems)
				}
			}
		})
	}
	b.open()
}

// TestAdmit refuses what names things that do not exist, and commits nothing.
func TestAdmit(t *testing.T) {
	b := newBench(t)
	before, _ := b.Store().Head(context.Background())
	for field, change := range map[string]func(*deal.Filing){
		"partner_id":       func(f *deal.Filing) { f.PartnerID = "P-404" },
		"distributor_id":   func(f *deal.Filing) { f.DistributorID = "P-404" },
		"products[0].sku":  func(f *deal.Filing) { f.Products[0].SKU = "nothing" },
		"products[0].line": func(f *deal.Filing) { f.Products[0].Line = "security" },
		"products[1].line": func(f *deal.Filing) {
			f.Products = append(f.Products, deal.Product{SKU: "sku-NETWORK", Line: "security"})
		},
		"custom.colour": func(f *deal.Filing) { f.Custom = map[string]string{"colour": "red"} },
	} {
		f := filing("P-1", deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "DE"})
		change(&f)
		_, err := b.Register(context.Background(), request("key_1", field, f), f)
		var errs deal.FieldErrors
		if !errors.As(err, &errs) || errs[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if after, _ := b.Store().Head(context.Background()); after != before {
		t.Error("a refused filing left an entry")
	}
}

// TestKeys makes, uses and revokes a key.
func TestKeys(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	k, token, err := b.CreateKey(ctx, Request{Actor: deal.System}, deal.Key{Role: "portal", PartnerIDs: []string{"P-1"}, Note: "the portal"})
	if err != nil {
		t.Fatal(err)
	}
	if got, ok, err := b.Authenticate(t.Context(), token); err != nil || !ok || got.ID != k.ID {
		t.Error("a new key is not known")
	}
	for _, bad := range []string{"", "dibs_", token + "x", token[:len(token)-1], strings.ToUpper(token), strings.TrimPrefix(token, "dibs_")} {
		if _, ok, err := b.Authenticate(t.Context(), bad); err != nil || ok {
			t.Errorf("%q is let in", bad)
		}
	}
	if err := b.RevokeKey(ctx, Request{Actor: deal.System}, k.ID); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := b.Authenticate(t.Context(), token); err != nil || ok {
		t.Error("a revoked key is let in")
	}
	for _, wrong := range []struct {
		key   deal.Key
		field string
	}{
		{deal.Key{Role: "portal"}, "partner_ids"}, {deal.Key{Role: "ops", PartnerIDs: []string{"P-1"}}, "partner_ids"}, {deal.Key{Role: "king"}, "role"},
		{deal.Key{Role: "portal", PartnerIDs: []string{"P-1", "P-one"}}, "partner_ids[1]"},
		{deal.Key{Role: "ops", PersonID: "U-1"}, "person_id"}, {deal.Key{Role: "portal", PartnerIDs: []string{"*"}, PersonID: "U-1"}, "person_id"},
	} {
		var errs deal.FieldErrors
		if _, _, err := b.CreateKey(ctx, Request{Actor: deal.System}, wrong.key); !errors.As(err, &errs) || errs[0].Field != wrong.field {
			t.Errorf("%+v: %v", wrong.key, err)
		}
	}
	b.put(&deal.Person{ID: "U-1", Name: "Ada Ops"})
	k, token, err = b.CreateKey(ctx, Request{Actor: deal.System}, deal.Key{Role: "ops", PersonID: "U-1"})
	if err != nil {
		t.Fatal(err)
	}
	if got, ok, err := b.Authenticate(ctx, token); err != nil || !ok || got.PersonID != "U-1" {
		t.Errorf("a key of a person: %+v, %v", got, err)
	}
	by := deal.Actor{KeyID: k.ID, Role: k.Role, PersonID: k.PersonID}
	if err := b.RevokeKey(ctx, Request{Actor: by}, k.ID); err != nil {
		t.Fatal(err)
	}
	for e, err := range b.Store().Entries(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := ledger.ParseLeaf(e.Leaf)
		if want := map[bool]deal.Actor{true: by, false: deal.System}[e.Kind == deal.EntryKeyRevoked && e.Subject == k.ID]; err != nil || e.Actor != want || leaf.Actor != want.String() {
			t.Errorf("entry %d: %+v, sealed as %q, %v", e.Seq, e.Actor, leaf.Actor, err)
		}
	}
	b.sound()
}
