package hooks_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/hooks"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/postgres"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
)

// rules protect the first claim for a month and let the others wait; what is filed as a project is escalated.
const rules = `apiVersion: dealreg/v1
kind: Policy
metadata: {name: test, title: Test}
settings: {currency: EUR, timezone: Europe/Berlin, tiers: [gold]}
precedence: [route, escalate, protect]
defaults: {escalate: {queue: desk}}
rules:
  - {id: held, when: conflict.held_by_other.found || conflict.pending_other.found, then: {outcome: route, disposition: waitlisted, of: held_by_other, reason: ALREADY_REGISTERED}}
  - {id: review, when: 'reg.type == "project"', then: {outcome: escalate, reason: UNDER_REVIEW}}
  - {id: protect, when: "true", then: {outcome: protect, reason: PROTECTED, terms: {days: 30}}}
`

var (
	start    = time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	admin    = deal.Actor{KeyID: "key_admin", Role: "admin"}
	ctx      = context.Background()
)

// bench is a service on a database: engine and hooks, by one clock that is set by hand.
type bench struct {
	*engine.Engine
	*hooks.Hooks
	t     testing.TB
	path  string
	url   string // of the PostgreSQL database, if it is one
	key   *ledger.Signer
	clock *atomic.Int64
	cfg   hooks.Config
	hook  atomic.Pointer[func(string) error] // at the points of store and hooks
}

func newBench(t testing.TB, change ...func(*hooks.Config)) *bench {
	t.Helper()
	return newBenchAt(t, "", change...)
}

// newBenchAt makes a bench on the PostgreSQL database at the URL; none: on SQLite.
func newBenchAt(t testing.TB, url string, change ...func(*hooks.Config)) *bench {
	t.Helper()
	b := &bench{t: t, url: url, path: filepath.Join(t.TempDir(), "dibs.db"), clock: new(atomic.Int64), cfg: hooks.Config{Source: "test/ledger", Allow: loopback, Limit: 5 * time.Second}}
	b.clock.Store(start.UnixMicro())
	for _, f := range change {
		f(&b.cfg)
	}
	var err error
	if b.key, _, err = ledger.NewSigner("test/ledger"); err != nil {
		t.Fatal(err)
	}
	b.open()
	t.Cleanup(func() { b.close() })
	var rows []deal.Record
	for i := range 5 {
		p := &deal.Partner{ID: fmt.Sprint("P-", i), Name: fmt.Sprint("Partner ", i), Type: "reseller", Tier: "gold", Status: "active"}
		if i == 3 {
			p.Type = "distributor"
		}
		rows = append(rows, p)
	}
	b.put(rows...)
	return b
}

func (b *bench) now() time.Time          { return time.UnixMicro(b.clock.Load()).UTC() }
func (b *bench) advance(d time.Duration) { b.clock.Add(d.Microseconds()) }

func (b *bench) open() {
	b.t.Helper()
	hook := func(p string) error {
		if f := b.hook.Load(); f != nil {
			return (*f)(p)
		}
		return nil
	}
	var st store.Store
	var err error
	if b.url == "" {
		st, err = sqlite.Open(ctx, sqlite.Config{Path: b.path, Hook: hook})
	} else {
		st, err = postgres.Open(ctx, postgres.Config{URL: b.url, Hook: hook})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if b.Engine, err = engine.Open(ctx, engine.Config{Store: st, Signer: b.key, Clock: b.now, Policy: []byte(rules)}); err != nil {
		b.t.Fatal(err)
	}
	b.cfg.Store, b.cfg.Clock, b.cfg.Hook, b.cfg.Record = st, b.now, hook, b.RecordWebhook
	b.Hooks = hooks.New(b.cfg)
}

func (b *bench) close() {
	b.t.Helper()
	if err := errors.Join(b.Close(ctx), b.Store().Close()); err != nil {
		b.t.Error(err)
	}
}

// other is another replica's hooks on the database.
func (b *bench) other(change ...func(*hooks.Config)) *hooks.Hooks {
	b.t.Helper()
	st, err := sqlite.Open(ctx, sqlite.Config{Path: b.path})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = st.Close() })
	cfg := b.cfg
	cfg.Store, cfg.Hook = st, nil
	for _, f := range change {
		f(&cfg)
	}
	return hooks.New(cfg)
}

func (b *bench) put(rows ...deal.Record) {
	b.t.Helper()
	if _, err := b.Put(ctx, engine.Request{Actor: deal.System}, rows, nil); err != nil {
		b.t.Fatal(err)
	}
}

// file registers a deal with a customer, and returns the answer as it was given.
func (b *bench) file(partner, customer string, change ...func(*deal.Filing)) (a engine.Answer, body string) {
	b.t.Helper()
	f := deal.Filing{PartnerID: partner, Type: "new_business", Customer: deal.Customer{Name: customer, Country: "DE", City: "Bonn"}}
	for _, c := range change {
		c(&f)
	}
	hash := sha256.Sum256([]byte(customer))
	got, err := b.Register(ctx, engine.Request{Actor: deal.Actor{KeyID: "key_portal", Role: "portal"}, IdemKey: deal.NewID("i"), Hash: hash[:]}, f)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := json.Unmarshal(got.Body, &a); err != nil {
		b.t.Fatal(err)
	}
	return a, string(got.Body)
}

func (b *bench) webhook(url string, change ...func(*hooks.Settings)) store.Webhook {
	b.t.Helper()
	s := hooks.Settings{URL: url, Types: []string{"*"}, PartnerIDs: []string{"*"}}
	for _, f := range change {
		f(&s)
	}
	w, err := b.Create(ctx, admin, s)
	if err != nil {
		b.t.Fatal(err)
	}
	return w
}

// work does what there is to do now.
func (b *bench) work() int {
	b.t.Helper()
	n, err := b.Work(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// deliveries of a webhook, the first first.
func (b *bench) deliveries(id string) (out []hooks.Delivery) {
	b.t.Helper()
	jobs, err := b.Store().Jobs(ctx, store.JobFilter{Topic: id, Page: store.Page{Limit: 1000}})
	if err != nil {
		b.t.Fatal(err)
	}
	for i := range jobs {
		out = append([]hooks.Delivery{hooks.DeliveryOf(&jobs[i])}, out...)
	}
	return out
}

// received is a delivery as it came.
type received struct {
	path   string
	header http.Header
	body   []byte
	event  struct {
		SpecVersion, ID, Source, Type, Subject, DataContentType, Sequence string
		Time                                                              time.Time
		Data                                                              json.RawMessage
	}
}

// receiver is an HTTP server that is told of events.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []received
	answer func(w http.ResponseWriter, r received) // nil: 204
}

func newReceiver(t testing.TB) *receiver {
	rec := &receiver{}
	rec.Server = httptest.NewServer(rec)
	t.Cleanup(rec.Close)
	return rec
}

func (rec *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	g := received{path: r.URL.Path, header: r.Header, body: body}
	_ = json.Unmarshal(body, &g.event)
	rec.mu.Lock()
	rec.got = append(rec.got, g)
	answer := rec.answer
	rec.mu.Unlock()
	if answer != nil {
		answer(w, g)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (rec *receiver) answers(f func(w http.ResponseWriter, r received)) {
	rec.mu.Lock()
	rec.answer = f
	rec.mu.Unlock()
}

func (rec *receiver) all() []received {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return append([]received{}, rec.got...)
}

// verify checks a delivery as its receiver would, at the instant of the clock.
func verify(secret string, r received) error {
	w, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	return w.VerifyIgnoringTimestamp(r.body, r.header)
}
