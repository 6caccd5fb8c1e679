package replica_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/replica"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/postgres"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
	"github.com/dibs-deals/dibs/internal/testserver"
	"github.com/dibs-deals/dibs/internal/world"
)

var ctx = context.Background()

// site is one database, one Redis, and as many processes on them as a test starts.
type site struct {
	t      *testing.T
	open   func() (store.Store, error)
	redis  *testserver.Redis
	client *redis.Client
	key    *ledger.Signer
}

func newSite(t *testing.T) *site {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dibs.db")
	s := &site{t: t, open: func() (store.Store, error) { return sqlite.Open(ctx, sqlite.Config{Path: path}) }, redis: testserver.NewRedis(t)}
	var err error
	if s.key, _, err = ledger.NewSigner("dibs.example/test"); err != nil {
		t.Fatal(err)
	}
	s.client = redis.NewClient(&redis.Options{Addr: s.redis.Address(), MaxRetries: -1})
	t.Cleanup(func() { _ = s.client.Close() })
	return s
}

// process is one replica: an engine on its own connection to the database, and its end of Redis.
type process struct {
	*engine.Engine
	rep   *replica.Replica // nil: alone
	kept  *heard           // nil: it does not look in the store
	store *counting
	end   func()
}

// counting counts how often the head is asked for.
type counting struct {
	store.Store
	heads atomic.Int64
}

func (c *counting) Head(ctx context.Context) (store.Head, error) {
	c.heads.Add(1)
	return c.Store.Head(ctx)
}

func noon() time.Time { return time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC) }

// renamed returns an account under another name.
func renamed(r deal.Record) deal.Record {
	a := *r.(*deal.Account)
	a.Name = "Renamed Holdings Limited"
	return &a
}

// start starts a process. One that is alone does not know Redis; one that runs sends, hears and publishes.
func (s *site) start(alone, runs bool) *process {
	s.t.Helper()
	st, err := s.open()
	if err != nil {
		s.t.Fatal(err)
	}
	p := &process{store: &counting{Store: st}}
	cfg := engine.Config{Store: p.store, Signer: s.key, Clock: noon}
	if !alone {
		if p.rep, err = replica.New(replica.Config{URL: s.redis.URL(), Store: p.store, Origin: "dibs.example/test"}); err != nil {
			s.t.Fatal(err)
		}
		cfg.Peers = p.rep
	}
	if p.Engine, err = engine.Open(ctx, cfg); err != nil {
		s.t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if runs {
			p.rep.Run(running, p.Engine)
		}
	}()
	p.end = func() {
		p.end = func() {}
		stop()
		<-ended
		if err := p.Close(ctx); err != nil {
			s.t.Error(err)
		}
		if p.rep != nil {
			if err := p.rep.Close(); err != nil {
				s.t.Error(err)
			}
		}
		if err := st.Close(); err != nil {
			s.t.Error(err)
		}
	}
	s.t.Cleanup(func() { p.end() })
	return p
}

func (p *process) put(t *testing.T, rows ...deal.Record) {
	t.Helper()
	for chunk := range slices.Chunk(rows, engine.MaxRows) {
		if _, err := p.Put(ctx, engine.Request{Actor: deal.System}, chunk, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// accounts are n of the world's.
func accounts(n int) (out []deal.Record) {
	for a := range world.Accounts() {
		if len(out) == n {
			break
		}
		out = append(out, a)
	}
	return out
}

func partners() (out []deal.Record) {
	for i := range 8 {
		out = append(out, &deal.Partner{ID: fmt.Sprint("P-", i), Name: fmt.Sprint("Partner ", i), Type: "reseller", Status: "active"})
	}
	return append(out, &deal.CatalogueProduct{SKU: "SKU", Line: "network"}, &deal.Person{ID: "u", Name: "Rosalind Franklin", Email: "rosalind@vendor.example", Queues: []string{"q"}})
}

func filing(partner string, c deal.Customer) deal.Filing {
	return deal.Filing{PartnerID: partner, Type: "new_business", Customer: c, Contact: deal.Contact{Name: "Erika Mustermann", Email: "erika.mustermann@customer.example"},
		Products: []deal.Product{{SKU: "SKU", Quantity: 4}}, Amount: deal.Money{Value: decimal.New(32_000, 0), Currency: "EUR"}, Description: "a secret description"}
}

func (p *process) register(t *testing.T, n int, f deal.Filing) engine.Registered {
	t.Helper()
	body, _ := json.Marshal(f)
	h := sha256.Sum256(body)
	got, err := p.Register(ctx, engine.Request{Actor: deal.Actor{KeyID: "key_test", Role: "portal"}, IdemKey: fmt.Sprint(n), Hash: h[:]}, f)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// await waits until a condition holds; it is the failure, not the test, that takes long.
func await(t *testing.T, what string, holds func() bool) time.Duration {
	t.Helper()
	from := time.Now()
	for !holds() {
		if time.Since(from) > 20*time.Second {
			t.Fatalf("after %v still not: %s", time.Since(from).Round(time.Second), what)
		}
		time.Sleep(200 * time.Microsecond)
	}
	return time.Since(from)
}

func count(t *testing.T, r *replica.Replica, metric string, labels ...string) float64 {
	t.Helper()
	return testutil.ToFloat64(r.Counter(metric, labels...))
}

// same holds two processes to the same answers about the world: everything a decision says but its own ids.
func same(t *testing.T, a, b *process, spellings []string) {
	t.Helper()
	for i, name := range spellings {
		f := filing(fmt.Sprint("P-", i%8), deal.Customer{Name: name, Country: "US"})
		var text [2]string
		for j, p := range []*process{a, b} {
			d, err := p.Foresee(context.Background(), f)
			if err != nil {
				t.Fatal(err)
			}
			d.ID, d.RegistrationID = "", ""
			x, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			text[j] = prospect.ReplaceAllString(string(x), "pro_new")
		}
		if text[0] != text[1] {
			at := 0
			for at < len(text[0]) && at < len(text[1]) && text[0][at] == text[1][at] {
				at++
			}
			t.Fatalf("%q is decided in two ways: …%.300s\nand …%.300s", name, text[0][max(0, at-100):], text[1][max(0, at-100):])
		}
	}
}

// prospect is what a decision calls a customer it makes: each time otherwise.
var prospect = regexp.MustCompile(`pro_[0-9a-z]+`)

// spellings are names of accounts, as others write them, and of none.
func spellings(rows []deal.Record) (out []string) {
	for i := 0; i < len(rows); i += len(rows)/40 + 1 {
		n := rows[i].(*deal.Account).Name
		out = append(out, n, n[:len(n)/2]+n[len(n)/2+1:], strings.ToUpper(n)+" Inc", "Zwyx "+n)
	}
	return out
}

// TestWarmStart starts on top of a snapshot, with everything that can happen to an account after it, and decides as one
// that has read everything.
func TestWarmStart(t *testing.T) { onBoth(t, testWarmStart) }

// onBoth runs a test on either engine of the store.
func onBoth(t *testing.T, test func(*testing.T, *site)) {
	t.Run("SQLite", func(t *testing.T) { t.Parallel(); test(t, newSite(t)) })
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		server := testserver.NewPostgres(t)
		url := server.Database(t)
		s.open = func() (store.Store, error) { return postgres.Open(ctx, postgres.Config{URL: url}) }
		test(t, s)
	})
}

func testWarmStart(t *testing.T, s *site) {
	rows := accounts(3000)
	a := s.start(false, false)
	a.put(t, append(partners(), rows...)...)
	for i := range 10 {
		a.register(t, i, filing("P-1", deal.Customer{Name: rows[i*70].(*deal.Account).Name, Country: "US"}))
	}
	rec, err := a.rep.Publish(ctx, a.Engine)
	if err != nil {
		t.Fatal(err)
	}
	// After the snapshot: accounts new, changed, deleted, deleted and back; and more registrations.
	changed := *rows[5].(*deal.Account)
	changed.Name, changed.ParentID = "Renamed Holdings Limited", rows[6].Key()
	a.put(t, &changed, &deal.Account{ID: "new-1", Name: "Completely New Widgets AG", Country: "DE"})
	if err := a.Delete(ctx, engine.Request{Actor: deal.System}, deal.Accounts, []string{rows[7].Key(), rows[8].Key()}); err != nil {
		t.Fatal(err)
	}
	a.put(t, rows[8])
	for i := range 10 {
		a.register(t, 100+i, filing("P-2", deal.Customer{Name: rows[i*90+3].(*deal.Account).Name, Country: "US"}))
	}
	b, c := s.start(false, false), s.start(true, false)
	if got := b.Ready(ctx); got.Source != "redis" || got.Redis != "up" || got.Accounts != 3000 || got.Lag != 0 {
		t.Fatalf("not a warm start: %+v", got)
	}
	if got := c.Ready(ctx); got.Source != "store" || got.Redis != "off" {
		t.Fatalf("not a cold start: %+v", got)
	}
	names := append(spellings(rows), "Renamed Holdings", "Completely New Widgets", rows[7].(*deal.Account).Name, rows[8].(*deal.Account).Name)
	same(t, a, b, names)
	same(t, b, c, names)
	if n := count(t, b.rep, "boots", "redis", "warm"); n != 1 {
		t.Errorf("%v warm starts counted", n)
	}
	// And goes on as the others do.
	b.put(t, &deal.Account{ID: "new-2", Name: "Later Still GmbH", ParentID: rows[6].Key()})
	await(t, "both have the last account", func() bool { return c.Ready(ctx).Lag == 0 && a.Ready(ctx).Lag == 0 })
	same(t, b, c, append(names, "Later Still"))
	if rec.Seq >= b.Ready(ctx).Position || rec.Bytes == 0 {
		t.Errorf("snapshot %+v", rec)
	}
}

// TestRefused puts everything into Redis that is not the snapshot. Each is refused or not found, said so, and the world is
// the store's.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	rows := accounts(6000) // enough for sections with chunks of their own
	a := s.start(false, false)
	a.put(t, append(partners(), rows...)...)
	old, err := a.rep.Publish(ctx, a.Engine)
	if err != nil {
		t.Fatal(err)
	}
	oldManifest, _ := s.read("snapshot")
	a.put(t, &deal.Account{ID: "new", Name: "Newcomer Widgets AG"})
	rec, err := a.rep.Publish(ctx, a.Engine)
	if err != nil {
		t.Fatal(err)
	}
	names := append(spellings(rows), "Newcomer Widgets")
	reference := s.start(true, false)

	if ttl := s.client.TTL(ctx, s.names("chunk:" + hex.EncodeToString(old.Digest[:]))[0]).Val(); ttl <= 0 || ttl > 5*time.Minute {
		t.Errorf("chunks of the snapshot before go in %v", ttl)
	}
	for _, n := range s.names("chunk:" + hex.EncodeToString(rec.Digest[:])) {
		if ttl := s.client.TTL(ctx, n).Val(); ttl != -1 {
			t.Errorf("%s goes in %v", n, ttl)
		}
	}

	whole := s.dump()
	manifest, manifestText := s.read("snapshot")
	chunks := s.names("chunk:" + hex.EncodeToString(rec.Digest[:]))
	if len(chunks) < 4 {
		t.Fatalf("only %d chunks", len(chunks))
	}
	set := func(name string, value any) {
		t.Helper()
		if err := s.client.Set(ctx, name, value, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(change func(m map[string]any)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(manifestText), &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		text, _ := json.Marshal(m)
		set(manifest, text)
	}
	for _, c := range []struct {
		name     string
		source   string
		rejected float64
		do       func()
	}{
		{"as it is", "redis", 0, func() {}},
		{"a stale one that the store names", "redis", 0, func() { set(manifest, whole[oldManifest]) }},
		{"one bit", "store", 1, func() { b := []byte(whole[chunks[1]]); b[len(b)/2] ^= 1; set(chunks[1], b) }},
		{"one bit of the last chunk", "store", 1, func() {
			last := chunks[len(chunks)-1]
			b := []byte(whole[last])
			b[len(b)-1] ^= 0x80
			set(last, b)
		}},
		{"chunks in another order", "store", 1, func() { set(chunks[0], whole[chunks[1]]); set(chunks[1], whole[chunks[0]]) }},
		{"a short chunk", "store", 1, func() { set(chunks[0], whole[chunks[0]][1:]) }},
		{"a long chunk", "store", 1, func() { set(chunks[0], whole[chunks[0]]+"x") }},
		{"a chunk of another type", "store", 1, func() { s.client.Del(ctx, chunks[2]); s.client.RPush(ctx, chunks[2], "x") }},
		{"a chunk is missing", "store", 0, func() { s.client.Del(ctx, chunks[0]) }},
		{"nothing", "store", 0, func() { s.client.FlushAll(ctx) }},
		{"no manifest", "store", 0, func() { s.client.Del(ctx, manifest) }},
		{"a manifest that is none", "store", 1, func() { set(manifest, "\xff{") }},
		{"an endless manifest", "store", 1, func() { set(manifest, bytes.Repeat([]byte("["), 2<<20)) }},
		{"a manifest of another type", "store", 1, func() { s.client.Del(ctx, manifest); s.client.RPush(ctx, manifest, "x") }},
		{"a snapshot the store does not name", "store", 1, func() { edit(func(m map[string]any) { m["digest"] = strings.Repeat("ab", 32) }) }},
		{"impossible sizes", "store", 1, func() { edit(func(m map[string]any) { m["sizes"] = []int64{-1, rec.Bytes + 1} }) }},
		{"huge sizes", "store", 1, func() { edit(func(m map[string]any) { m["sizes"] = []int64{1 << 62, 1 << 62} }) }},
		{"other borders between sections", "store", 1, func() {
			edit(func(m map[string]any) {
				sizes := m["sizes"].([]any)
				sizes[1], sizes[2] = sizes[1].(float64)-8, sizes[2].(float64)+8
			})
		}},
		{"a forged world, whole and consistent", "store", 1, func() {
			// What somebody would publish who owns Redis: the same world without its first thousand accounts.
			other := newSite(t)
			f := other.start(false, false)
			f.put(t, append(partners(), rows[1000:]...)...)
			forged, err := f.rep.Publish(ctx, f.Engine)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range other.names("chunk") {
				v := other.client.Get(ctx, n).Val()
				set(strings.Replace(n, tagOf(n), tagOf(manifest), 1), v)
			}
			_, text := other.read("snapshot")
			set(manifest, text)
			if forged.Format != rec.Format {
				t.Error("two engines of one program have different formats")
			}
		}},
		{"the forged world under the true digest", "store", 1, func() {
			edit(func(m map[string]any) {}) // chunks of the last case are gone: the true names with other bytes
			for _, n := range chunks {
				set(n, strings.Repeat("\x00", len(whole[n])))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.client.FlushAll(ctx)
			for n, v := range whole {
				set(n, v)
			}
			c.do()
			p := s.start(false, false)
			got := p.Ready(ctx)
			if got.Source != c.source || got.Accounts != len(rows)+1 || !got.Ready {
				t.Errorf("started as %+v, want from %s", got, c.source)
			}
			outcome := map[bool]string{true: "rejected", false: "cold"}[c.rejected > 0]
			if c.source == "redis" {
				outcome = "warm"
			}
			if n := count(t, p.rep, "snapshots_rejected"); n != c.rejected {
				t.Errorf("%v refusals counted, want %v", n, c.rejected)
			}
			if n := count(t, p.rep, "boots", c.source, outcome); n != 1 {
				t.Errorf("%v starts counted from %s as %s", n, c.source, outcome)
			}
			same(t, p, reference, names[:40])
			p.end()
		})
	}
}

func tagOf(name string) string { return name[:strings.IndexByte(name, '}')+1] }

// names returns the names of one kind, in the order of their numbers.
func (s *site) names(kind string) []string {
	all, err := s.client.Keys(ctx, "*:"+kind+"*").Result()
	if err != nil {
		s.t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return all
}

// read returns the one value of a kind.
func (s *site) read(kind string) (name, value string) {
	all := s.names(kind)
	if len(all) != 1 {
		s.t.Fatalf("%d values of %s", len(all), kind)
	}
	return all[0], s.client.Get(ctx, all[0]).Val()
}

// dump returns every value that is a string.
func (s *site) dump() map[string]string {
	out := map[string]string{}
	for _, n := range s.names("") {
		if s.client.Type(ctx, n).Val() == "string" {
			out[n] = s.client.Get(ctx, n).Val()
		}
	}
	return out
}

// TestOtherHistory: a snapshot of entries that the database has lost, as a failover to a standby that was behind loses
// them, is not of this ledger.
func TestOtherHistory(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.start(false, false)
	a.put(t, partners()...)
	a.put(t, accounts(200)...)
	base, sections, err := a.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// The database says so itself, whatever else it has kept: an entry that is not there, or has another chain.
	for _, lost := range []store.Base{{Seq: base.Seq + 1, Chain: base.Chain}, {Seq: base.Seq, Chain: store.Hash{1}}} {
		w := fixed{a.Engine, lost, sections}
		if _, err := a.rep.Publish(ctx, w); !errors.Is(err, store.ErrBase) {
			t.Errorf("a snapshot of an entry that is not there was recorded: %v", err)
		}
	}
	if n := len(s.names("snapshot")); n != 0 {
		t.Errorf("%d manifests", n)
	}
	if n := len(s.names("lease")); n != 0 {
		t.Error("the lease was kept")
	}
}

// fixed is a world that always gives one snapshot.
type fixed struct {
	replica.World
	base     store.Base
	sections [][]byte
}

func (f fixed) Snapshot(context.Context) (store.Base, [][]byte, error) {
	return f.base, f.sections, nil
}

// TestNothingSecret: no key, nobody's name and no text of a filing is in Redis, and nothing is there under another name
// than the ledger's.
func TestNothingSecret(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.start(false, true)
	a.put(t, partners()...)
	a.put(t, accounts(100)...)
	_, token, err := a.CreateKey(ctx, engine.Request{Actor: deal.System}, deal.Key{Role: "admin", Note: "note of a key"})
	if err != nil {
		t.Fatal(err)
	}
	a.register(t, 1, filing("P-1", deal.Customer{Name: "Zwyx Secretive Customer KG"}))
	if _, err := a.rep.Publish(ctx, a.Engine); err != nil && !errors.Is(err, replica.ErrLeased) {
		t.Fatal(err)
	}
	await(t, "a snapshot and a signal are there", func() bool { return len(s.names("snapshot")) == 1 && len(s.names("signal")) == 1 })
	a.rep.Allow(ctx, "checks:key_x", 10)
	_, secret, _ := strings.Cut(token, ".")
	names, err := s.client.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		text := n + s.client.Dump(ctx, n).Val()
		for _, hidden := range []string{"Mustermann", "mustermann", "Rosalind", "rosalind", "secretive", "Secretive", "secret description", secret, "note of a key"} {
			if strings.Contains(text, hidden) {
				t.Errorf("%s holds %q", n, hidden)
			}
		}
		if !strings.Contains(n, "{dibs:dibs.example/test:") {
			t.Errorf("a name outside the ledger's: %s", n)
		}
	}
}

// TestSignal: what one replica commits wakes the others, and theirs it.
func TestSignal(t *testing.T) { onBoth(t, testSignal) }

func testSignal(t *testing.T, s *site) {
	a := s.start(false, true)
	a.put(t, partners()...)
	b := s.start(false, true)
	await(t, "both hear", func() bool { return a.rep.State() == "up" && b.rep.State() == "up" })
	var took []time.Duration
	for i := range 30 {
		from, to := a, b
		if i%2 == 1 {
			from, to = b, a
		}
		from.put(t, &deal.Account{ID: fmt.Sprint("a", i), Name: fmt.Sprint("Account ", i)})
		at := from.Ready(ctx).Position
		took = append(took, await(t, "the other has it", func() bool { return to.Ready(ctx).Position >= at }))
	}
	slices.Sort(took)
	t.Logf("visible after %v, p90 %v", took[len(took)/2], took[len(took)*9/10])
	if n := count(t, a.rep, "signals", "heeded") + count(t, b.rep, "signals", "heeded"); n < 15 {
		t.Errorf("only %v of 30 signals were heeded", n)
	}
	if n := s.client.XLen(ctx, s.names("signal")[0]).Val(); n == 0 || n > 1100 {
		t.Errorf("%d signals are kept", n)
	}
}

// TestLiar floods a replica with signals of what never was. It looks a bounded number of times, and goes on.
func TestLiar(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.start(false, true)
	a.put(t, partners()...)
	await(t, "a signal was sent", func() bool { return len(s.names("signal")) == 1 })
	stream := s.names("signal")[0]
	await(t, "it hears", func() bool { return a.rep.State() == "up" })
	before, from := a.store.heads.Load(), time.Now()
	for i := range 200 {
		_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for j := range 50 {
				p.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: []any{"seq", uint64(1)<<62 + uint64(i*50+j), "chain", "ffffffffffffffff"}})
			}
			p.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: []any{"seq", "-1", "nonsense", strings.Repeat("x", 1000)}})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	await(t, "lies were heard", func() bool { return count(t, a.rep, "signals", "heeded") > 100 })
	took := time.Since(from)
	// Once every 100 ms by itself, and once more for each time it let itself be woken: after a few, as seldom.
	if asked := a.store.heads.Load() - before; float64(asked) > 20+25*took.Seconds() {
		t.Errorf("the head was asked for %d times in %v", asked, took)
	}
	a.register(t, 1, filing("P-1", deal.Customer{Name: "Zwyx Customer KG"}))
	b := s.start(true, false)
	b.put(t, &deal.Account{ID: "x", Name: "X"})
	await(t, "it still follows the store", func() bool { return a.Ready(ctx).Accounts == 1 })
}

// TestRedisDown stops Redis in the middle of the work. Nothing fails; when it comes back, empty, it is filled again.
func TestRedisDown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.start(false, true)
	a.put(t, append(partners(), accounts(500)...)...)
	b := s.start(false, true)
	await(t, "a snapshot is there", func() bool { return len(s.names("snapshot")) == 1 })
	n := 0
	work := func() {
		t.Helper()
		for range 10 {
			n++
			p := []*process{a, b}[n%2]
			p.register(t, n, filing("P-1", deal.Customer{Name: fmt.Sprintf("Zwyx %d Customer KG", n)}))
		}
	}
	work()
	if err := s.redis.Kill(); err != nil {
		t.Fatal(err)
	}
	work()
	await(t, "it is said to be down", func() bool { return a.rep.State() == "down" && b.rep.State() == "down" })
	if got := a.Ready(ctx); !got.Ready || got.Redis != "down" {
		t.Errorf("%+v", got)
	}
	var slowest time.Duration
	for i := range 5 {
		a.put(t, &deal.Account{ID: fmt.Sprint("down-", i), Name: "Down"})
		at := a.Ready(ctx).Position
		slowest = max(slowest, await(t, "the other has it", func() bool { return b.Ready(ctx).Position >= at }))
	}
	t.Logf("visible without Redis after at most %v", slowest)
	cold := s.start(false, false)
	if got := cold.Ready(ctx); got.Source != "store" || got.Accounts != 505 {
		t.Errorf("a start without Redis: %+v", got)
	}
	if err := s.redis.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "it is up again, and filled", func() bool {
		return a.rep.State() == "up" && b.rep.State() == "up" && len(s.names("snapshot")) == 1
	})
	work()
	await(t, "signals are heeded again", func() bool {
		a.put(t, &deal.Account{ID: "again", Name: fmt.Sprint("Again ", time.Now())})
		return len(s.names("signal")) == 1
	})
	warm := s.start(false, false)
	if got := warm.Ready(ctx); got.Source != "redis" || got.Accounts != 506 {
		t.Errorf("a start with Redis back: %+v", got)
	}
	// A flush is seen too, with what it holds gone.
	s.client.FlushAll(ctx)
	if got := s.start(false, false).Ready(ctx); got.Source != "store" {
		t.Errorf("a start on an empty Redis: %+v", got)
	}
	report, err := engine.Verify(ctx, a.Store())
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("audit: %v, %+v", err, report.Problems)
	}
}

// TestFrozen: a Redis that hangs keeps nobody waiting.
func TestFrozen(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.start(false, true)
	a.put(t, append(partners(), accounts(100)...)...)
	await(t, "it is up", func() bool { return a.rep.State() == "up" })
	await(t, "it counts", func() bool { allowed, known := a.rep.Allow(ctx, "checks:x", 100); return allowed && known })
	if err := s.redis.Freeze(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.redis.Thaw() }()
	from := time.Now()
	for i := range 50 {
		if _, known := a.rep.Allow(ctx, "checks:x", 100); known {
			t.Fatal("a frozen Redis answered")
		}
		a.register(t, i, filing("P-1", deal.Customer{Name: fmt.Sprintf("Zwyx %d Customer KG", i)}))
	}
	if took := time.Since(from); took > 30*time.Second { // one that waited would take minutes
		t.Errorf("fifty requests took %v", took)
	}
	await(t, "it is said to be down", func() bool { return a.rep.State() == "down" })
}

// TestLease: one publishes at a time; one that was leased and died is waited for; two at once do no harm.
func TestLease(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.start(false, false)
	a.put(t, append(partners(), accounts(300)...)...)
	b := s.start(false, false)
	if _, err := a.rep.Publish(ctx, a.Engine); err != nil {
		t.Fatal(err)
	}
	tag := tagOf(s.names("snapshot")[0])
	lease := tag + ":lease:" + a.SnapshotFormat()
	if n := s.client.Exists(ctx, lease).Val(); n != 0 {
		t.Error("the lease was kept")
	}
	s.client.Set(ctx, lease, "another's", time.Minute)
	if _, err := b.rep.Publish(ctx, b.Engine); !errors.Is(err, replica.ErrLeased) {
		t.Errorf("published under another's lease: %v", err)
	}
	if got := s.client.Get(ctx, lease).Val(); got != "another's" {
		t.Errorf("the lease is %q", got)
	}
	// As if the lease had ended while its holder slept: both publish at the same moment.
	a.put(t, accounts(400)...)
	await(t, "b has it", func() bool { return b.Ready(ctx).Lag == 0 && b.Ready(ctx).Accounts == 400 })
	done := make(chan error)
	for _, p := range []*process{a, b} {
		go func() {
			_, err := p.rep.Publish(ctx, takesLease{p.Engine, s, lease})
			done <- err
		}()
	}
	s.client.Del(ctx, lease)
	for range 2 {
		if err := <-done; err != nil && !errors.Is(err, replica.ErrLeased) {
			t.Error(err)
		}
	}
	if got := s.start(false, false).Ready(ctx); got.Source != "redis" || got.Accounts != 400 {
		t.Errorf("%+v", got)
	}
}

// takesLease loses the lease while the snapshot is taken.
type takesLease struct {
	*engine.Engine
	s     *site
	lease string
}

func (w takesLease) Snapshot(ctx context.Context) (store.Base, [][]byte, error) {
	w.s.client.Del(ctx, w.lease)
	return w.Engine.Snapshot(ctx)
}

// TestGrowth: when enough has changed a new snapshot is published without being asked for.
func TestGrowth(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.start(false, true)
	a.put(t, partners()...)
	await(t, "a first snapshot", func() bool { return len(s.names("snapshot")) == 1 })
	_, first := s.read("snapshot")
	a.put(t, accounts(10_500)...)
	await(t, "another snapshot", func() bool { _, now := s.read("snapshot"); return now != first })
	if got := s.start(false, false).Ready(ctx); got.Source != "redis" || got.Accounts != 10_500 {
		t.Errorf("%+v", got)
	}
}

// TestAllow: a limit is common to all replicas, each name has its own, and a flush gives no more than one minute's anew.
func TestAllow(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.start(false, false)
	a.put(t, partners()...)
	b := s.start(false, false)
	allowed, from := 0, time.Now()
	for i := range 40 {
		p := []*process{a, b}[i%2]
		await(t, "it counts", func() bool { // one that was asked in vain may have counted all the same
			ok, known := p.rep.Allow(ctx, "checks:key_1", 10)
			if ok {
				allowed++
			}
			return known
		})
	}
	if most := 10 + int(time.Since(from)/(6*time.Second)) + 1; allowed < 7 || allowed > most {
		t.Errorf("%d allowed of 10, and one more every six seconds", allowed)
	}
	await(t, "another name has its own", func() bool { ok, known := b.rep.Allow(ctx, "checks:key_2", 10); return ok && known })
	if err := s.redis.Kill(); err != nil {
		t.Fatal(err)
	}
	if ok, known := a.rep.Allow(ctx, "checks:key_3", 10); ok || known {
		t.Error("a dead Redis allowed")
	}
	from = time.Now()
	for range 1000 {
		a.rep.Allow(ctx, "checks:key_3", 10)
	}
	if took := time.Since(from); took > time.Second {
		t.Errorf("a thousand questions to a dead Redis took %v", took)
	}
}
