package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	neturl "net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/storetest"
	"github.com/dibs-deals/dibs/internal/testserver"
)

// server is one for all tests that do not break it.
var server *testserver.Postgres

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if server, err = testserver.StartPostgres("fsync=off"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = server.Remove() }()
		return m.Run()
	}())
}

// patient lets a commit hold the head for long, for tests of something else: the machine may be busy.
const patient = "&idle_in_transaction_session_timeout=30s"

func open(tb testing.TB, cfg Config) *Store {
	tb.Helper()
	s, err := Open(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (store.Store, func() store.Store) {
		url := server.Database(t) + patient
		reopen := func() store.Store { return open(t, Config{URL: url}) }
		return reopen(), reopen
	})
}

func headIs(t *testing.T, s *Store, want uint64) {
	t.Helper()
	var h store.Head
	err := errors.New("not asked")
	for range 200 { // a server that starts again refuses for a moment, and what is committed late is seen late
		if h, err = s.Head(context.Background()); err == nil && h.Seq >= want {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil || h.Seq != want {
		t.Errorf("the head is at %d, want %d (%v)", h.Seq, want, err)
	}
}

// again commits until it succeeds, which it must soon.
func again(t *testing.T, s *Store) {
	t.Helper()
	err := errors.New("not tried")
	for range 200 {
		if err = storetest.Append(context.Background(), s, nil); err == nil || !errors.Is(err, store.ErrRetry) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Errorf("the next commit: %v", err)
	}
}

func TestBrokenCommit(t *testing.T) {
	storetest.Broken(t, func(t *testing.T, hook func(string) error) store.Store {
		return open(t, Config{URL: server.Database(t) + patient, Hook: hook})
	})
}

// TestFence has a replica stop while it holds the head. The server ends its session, others go on, and when the replica
// wakes up it is told that nothing was written.
func TestFence(t *testing.T) {
	url := server.Database(t)
	frozen, other := open(t, Config{URL: url}), open(t, Config{URL: url})
	frozen.freeze = true
	took := make(chan time.Duration, 1)
	err := storetest.Append(context.Background(), frozen, func(store.Locked) error {
		began := time.Now()
		if err := storetest.Append(context.Background(), other, nil); err != nil {
			t.Errorf("another commits: %v", err)
		}
		took <- time.Since(began)
		return nil
	})
	if !errors.Is(err, store.ErrRetry) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("the fenced replica is told %v", err)
	}
	if d := <-took; d > defaultIdle+time.Second {
		t.Errorf("another had to wait for %s", d)
	}
	headIs(t, other, 1)
	again(t, frozen)
	headIs(t, other, 2)

	// Fenced before it reads under the lock.
	err = frozen.Commit(context.Background(), func(ctx context.Context, l store.Locked) (store.Append, error) {
		if err := storetest.Append(context.Background(), other, nil); err != nil {
			t.Errorf("another commits: %v", err)
		}
		_, err := l.Answered(ctx, []store.IdemKey{{KeyID: "k", Key: "k"}})
		return store.Append{}, err
	})
	if !errors.Is(err, store.ErrRetry) {
		t.Errorf("the fenced replica is told %v", err)
	}
	headIs(t, other, 3)
}

// TestAtWork: a replica that decides for longer than the limit, and is at work, is not fenced.
func TestAtWork(t *testing.T) {
	s := open(t, Config{URL: server.Database(t) + "&idle_in_transaction_session_timeout=700ms"})
	busy := time.NewTimer(time.Second)
	if err := storetest.Append(context.Background(), s, func(store.Locked) error { <-busy.C; return nil }); err != nil {
		t.Errorf("at work: %v", err)
	}
	headIs(t, s, 1)
}

// TestTurns: a replica does not wait for its turn for ever, nor for longer than its caller does.
func TestTurns(t *testing.T) {
	url := server.Database(t) + "&lock_timeout=100" + patient
	s, other := open(t, Config{URL: url}), open(t, Config{URL: url})
	err := storetest.Append(context.Background(), s, func(store.Locked) error {
		if err := storetest.Append(context.Background(), other, nil); !errors.Is(err, store.ErrRetry) {
			t.Errorf("the head is held: %v", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if err := storetest.Append(ctx, other, nil); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrRetry) {
			t.Errorf("the caller has stopped waiting: %v", err)
		}
		if err := storetest.Append(ctx, s, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the caller has stopped waiting for this process: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	headIs(t, s, 1)
	again(t, other)
}

// TestTerminated ends the session of a commit before the writing, and at the COMMIT.
func TestTerminated(t *testing.T) {
	ctx := context.Background()
	s := open(t, Config{URL: server.Database(t)})
	terminate := func() {
		if _, err := s.read.Exec(ctx, `SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`); err != nil {
			t.Error(err)
		}
	}
	if err := storetest.Append(ctx, s, func(store.Locked) error { terminate(); return nil }); !errors.Is(err, store.ErrRetry) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("terminated while deciding: %v", err)
	}
	headIs(t, s, 0)
	again(t, s)
	hooked := open(t, Config{URL: s.cfg.URL, Hook: func(p string) error {
		if p == "written" {
			terminate()
		}
		return nil
	}})
	if err := storetest.Append(ctx, hooked, nil); err == nil {
		t.Error("a commit on a session that was ended succeeded")
	}
	headIs(t, s, 1)
}

// standby starts a server that waits for a standby that is not there. waiting returns once n commits wait for it, and the
// session of one.
func standby(t *testing.T) (s *Store, waiting func(n int) (pid int)) {
	t.Helper()
	p := testserver.NewPostgres(t, "fsync=off")
	s = open(t, Config{URL: p.Database(t) + patient})
	if err := p.CommitsWaitFor("missing"); err != nil {
		t.Fatal(err)
	}
	return s, func(n int) (pid int) {
		for range 1000 {
			var now int
			err := s.read.QueryRow(context.Background(), `SELECT count(*), COALESCE(max(pid), 0) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`).Scan(&now, &pid)
			if err != nil {
				t.Error(err)
			}
			if now == n {
				return pid
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Errorf("there are never %d commits that wait for the standby", n)
		return 0
	}
}

// TestSettle: what was committed without the standby can be read, and may not be promised; once the standby is waited for no
// more, it may.
func TestSettle(t *testing.T) {
	ctx := context.Background()
	s, waiting := standby(t)
	for _, c := range []struct {
		name string
		how  string
	}{{"cancelled", `SELECT pg_cancel_backend($1)`}, {"terminated", `SELECT pg_terminate_backend($1)`}} {
		t.Run(c.name, func(t *testing.T) {
			waiting(0)
			done := make(chan error, 1)
			go func() { done <- s.Settle(ctx) }()
			if pid := waiting(1); pid > 0 {
				if _, err := s.read.Exec(ctx, c.how, pid); err != nil {
					t.Error(err)
				}
			}
			if err := <-done; err == nil {
				t.Error("settled without the standby")
			}
		})
	}
	waiting(0)
	go func() {
		waiting(1)
		if _, err := s.write.Exec(ctx, `SET synchronous_commit = local`); err != nil {
			t.Error(err)
		}
		for _, q := range []string{`ALTER SYSTEM RESET synchronous_standby_names`, `SELECT pg_reload_conf()`} {
			if _, err := s.write.Exec(ctx, q); err != nil {
				t.Error(err)
			}
		}
	}()
	if err := s.Settle(ctx); err != nil {
		t.Errorf("with no standby asked for: %v", err)
	}
}

// TestWaitCutShort: a commit that waits for a standby is committed here, and may be lost in a failover. Whatever ends the
// waiting early, the outcome is unknown, and the entry is there later.
func TestWaitCutShort(t *testing.T) {
	ctx := context.Background()
	s, waiting := standby(t)
	cut := func(how string) func() {
		return func() {
			if pid := waiting(1); pid > 0 {
				if _, err := s.read.Exec(ctx, how, pid); err != nil {
					t.Error(err)
				}
			}
		}
	}
	n := uint64(0)
	for _, c := range []struct {
		name  string
		limit time.Duration
		cut   func()
	}{
		{"cancelled", time.Minute, cut(`SELECT pg_cancel_backend($1)`)},
		{"terminated", time.Minute, cut(`SELECT pg_terminate_backend($1)`)},
		{"limit", 300 * time.Millisecond, func() {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			waiting(0)
			s.cfg.CommitLimit = c.limit
			done := make(chan error, 1)
			go func() { done <- storetest.Append(ctx, s, nil) }()
			c.cut()
			if err := <-done; !errors.Is(err, store.ErrUnknown) {
				t.Errorf("got %v", err)
			}
			n++
			headIs(t, s, n)
		})
	}
	// A caller that stops waiting does not cut the commit short.
	t.Run("caller", func(t *testing.T) {
		waiting(0)
		s.cfg.CommitLimit = time.Minute
		asked, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- storetest.Append(asked, s, nil) }()
		pid := waiting(1)
		cancel()
		select {
		case err := <-done:
			t.Errorf("the commit ended with its caller: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		if _, err := s.read.Exec(ctx, `SELECT pg_cancel_backend($1)`, pid); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, store.ErrUnknown) {
			t.Errorf("got %v", err)
		}
		headIs(t, s, n+1)
	})
}

// TestFailover kills the primary and promotes its synchronous standby. What was acknowledged is there, and commits and
// reads go on with the new primary: which of the URL's servers that is, is found out.
func TestFailover(t *testing.T) {
	p := testserver.NewPostgres(t, "fsync=off")
	second, err := p.Standby("second")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.Remove(); err != nil {
			t.Error(err)
		}
	})
	if err := p.CommitsWaitFor("second"); err != nil {
		t.Fatal(err)
	}
	primary := fmt.Sprintf("127.0.0.1:%d", p.Port)
	s := open(t, Config{URL: strings.Replace(p.URL("postgres"), primary, fmt.Sprintf("127.0.0.1:%d,%s", second.Port, primary), 1)})
	for range 3 {
		again(t, s)
	}
	if err := errors.Join(p.Kill(), second.Promote()); err != nil {
		t.Fatal(err)
	}
	headIs(t, s, 3)
	again(t, s)
	headIs(t, s, 4)
}

// TestCrash has the server crash while a COMMIT is on its way, and while the replica decides.
func TestCrash(t *testing.T) {
	ctx := context.Background()
	p := testserver.NewPostgres(t, "fsync=off")
	s := open(t, Config{URL: p.Database(t)})
	again(t, s)
	if err := storetest.Append(ctx, s, func(store.Locked) error { return p.Crash() }); err == nil {
		t.Error("a commit on a server that crashed succeeded")
	} else if _, err := s.Head(ctx); err == nil || errors.Is(err, deal.ErrNotFound) {
		t.Errorf("a server that is not there says %v", err)
	}
	if err := storetest.Append(ctx, s, nil); !errors.Is(err, store.ErrRetry) {
		t.Errorf("connection refused: %v", err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	headIs(t, s, 1)
	again(t, s)
	headIs(t, s, 2)

	// In the middle of commits that follow each other: what was acknowledged is there, what was refused is not.
	acked, unknown := uint64(2), uint64(0)
	crashed := make(chan error, 1)
	for n := 0; ; n++ {
		if n == 20 {
			go func() { crashed <- p.Crash() }()
		}
		err := storetest.Append(ctx, s, nil)
		if err == nil {
			acked++
			continue
		}
		if errors.Is(err, store.ErrUnknown) {
			unknown++
		}
		break
	}
	if err := errors.Join(<-crashed, p.Start()); err != nil {
		t.Fatal(err)
	}
	again(t, s)
	h, err := s.Head(ctx)
	if n := h.Seq - 1; err != nil || n < acked || n > acked+unknown {
		t.Errorf("%d entries are there, %d acknowledged, %d unknown (%v)", n, acked, unknown, err)
	}
}

// TestRefused: what the server refuses is a clean no, and not worth trying again.
func TestRefused(t *testing.T) {
	ctx := context.Background()
	s := open(t, Config{URL: server.Database(t)})
	again(t, s)
	gone, err := s.Entry(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	// A second entry 1, as a replica would write that did not look at the head.
	if _, err := s.write.Exec(ctx, `UPDATE head SET seq = 0, at = NULL, chain = '', root = ''`); err != nil {
		t.Fatal(err)
	}
	err = s.Commit(ctx, func(_ context.Context, l store.Locked) (store.Append, error) {
		h := store.Head{Seq: 1, Chain: gone.Chain, At: gone.At}
		return store.Append{Entries: []store.Entry{gone}, Changes: []*deal.Change{{}}, Head: h}, nil
	})
	if err == nil || errors.Is(err, store.ErrRetry) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("a sequence given twice: %v", err)
	}
	headIs(t, s, 0)
}

// TestSettings looks at what the sessions are told, and that readers cannot write.
func TestSettings(t *testing.T) {
	ctx := context.Background()
	url := server.Database(t)
	name := url[strings.LastIndex(url, "/")+1 : strings.Index(url, "?")]
	if err := server.Exec("postgres", "ALTER DATABASE "+name+" SET synchronous_commit = off", "ALTER DATABASE "+name+" SET default_transaction_isolation = 'serializable'"); err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{URL: url + "&lock_timeout=2s&pool_max_conns=3"})
	for setting, want := range map[string]string{"synchronous_commit": "on", "idle_in_transaction_session_timeout": "400ms", "lock_timeout": "2s", "statement_timeout": "20s", "application_name": "dibs"} {
		var got string
		if err := s.write.QueryRow(ctx, "SELECT current_setting($1)", setting).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, want %s (%v)", setting, got, want, err)
		}
	}
	if _, err := s.read.Exec(ctx, "DELETE FROM head"); !isCode(err, "25006") {
		t.Errorf("a read connection can write: %v", err)
	}
	if n := s.read.Config().MaxConns; n != 3 {
		t.Errorf("%d connections read", n)
	}
	err := storetest.Append(ctx, s, func(l store.Locked) error {
		var level string
		err := l.(*locked).t.conn.QueryRow(ctx, "SHOW transaction_isolation").Scan(&level)
		if level != "read committed" { // a later statement must see what others have committed before the lock was had
			t.Errorf("commits are %s", level)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	var undocumented []string
	rows, err := s.read.Query(ctx, `SELECT c.relname || COALESCE('.' || a.attname, '') FROM pg_class c
		LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'goose_db_version' AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)`)
	if err != nil {
		t.Fatal(err)
	}
	if undocumented, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(undocumented) > 0 {
		t.Errorf("without a comment: %v (%v)", undocumented, err)
	}
	var compression string
	if err := s.read.QueryRow(ctx, `SELECT attcompression FROM pg_attribute WHERE attrelid = 'entry'::regclass AND attname = 'body'`).Scan(&compression); err != nil || compression != "l" {
		t.Errorf("bodies are compressed with %q (%v)", compression, err)
	}
}

// TestMigration: a database in use is brought up to date, and back, with what is in it.
func TestMigration(t *testing.T) {
	url := server.Database(t) + patient
	s := open(t, Config{URL: url})
	err := s.Commit(t.Context(), func(_ context.Context, l store.Locked) (store.Append, error) {
		b, err := store.NewBatch(l.Head(), ledger.NewTree())
		if err != nil {
			return store.Append{}, err
		}
		r := deal.Registration{ID: "reg_1", Number: "DR-1", Sequence: 1, Version: 1, Status: deal.StatusRouted, DecisionID: "dec_1", Filing: deal.Filing{PartnerID: "P-1"}}
		d := deal.Decision{ID: "dec_1", RegistrationID: "reg_1", Sequence: 1, Outcome: deal.RouteTo}
		e := store.Entry{Kind: deal.EntryDecided, Subject: "reg_1", Actor: deal.System, Personal: []store.Personal{{Field: "contact.name", Salt: make([]byte, 32), Value: "Pat"}}}
		if err := b.Add(e, &deal.Change{Registrations: []deal.Registration{r}, Decision: &d}, store.Event{ID: "evt_0", Type: "x", Subject: "reg_1", Body: []byte("{}")}); err != nil {
			return store.Append{}, err
		}
		add, _, err := b.Done()
		return add, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*raw)
	defer func() { _ = db.Close() }()
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.DownTo(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	references := func() (n int) {
		if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND confrelid = 'entry'::regclass`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := references()
	s = open(t, Config{URL: url})
	again(t, s)
	headIs(t, s, 2)
	if after := references(); before != 8 || after != 3 {
		t.Errorf("entries are referred to from %d columns, then from %d", before, after)
	}
	for what, look := range map[string]func(context.Context) ([]store.Difference, error){"rows": s.Reproject, "walls": s.Walls} {
		if d, err := look(t.Context()); err != nil || len(d) > 0 {
			t.Errorf("%s: %v, %v", what, d, err)
		}
	}
	// What no constraint refuses any more is found.
	if _, err := db.ExecContext(t.Context(), `INSERT INTO personal (seq, doc) VALUES (77, '[{"field":"contact.name","value":"Nobody"}]');
		INSERT INTO event (id, seq, type, subject, at, body) VALUES ('evt_1', 77, 'x', 'y', now(), '')`); err != nil {
		t.Fatal(err)
	}
	want := []store.Difference{{Table: "personal", Row: "77", What: "extra"}, {Table: "event", Row: "evt_1", What: "extra"}}
	if d, err := s.Reproject(t.Context()); err != nil || !slices.Equal(d, want) {
		t.Errorf("found %v, %v", d, err)
	}
}

// pieces of personal data, of which the second is erased while each is a row.
var pieces = []store.Personal{{Field: "contact.name", Salt: bytes.Repeat([]byte{0, 0xab}, 16), Value: "Erika \"Größe\" <Mustermann>\n"}, {Field: "contact.email", Salt: []byte("salt"), Value: "a@b.example"}, {Field: "description", Salt: []byte("pepper"), Value: "日本"}}

// TestPersonalRows: the pieces of an entry, a row each in an earlier version, are one row, and what was erased stays so.
func TestPersonalRows(t *testing.T) {
	url := server.Database(t)
	s := open(t, Config{URL: url})
	err := s.Commit(t.Context(), func(_ context.Context, l store.Locked) (store.Append, error) {
		b, err := store.NewBatch(l.Head(), ledger.NewTree())
		if err != nil {
			return store.Append{}, err
		}
		if err := b.Add(store.Entry{Kind: "x", Actor: deal.System, Personal: pieces}, &deal.Change{}); err != nil {
			return store.Append{}, err
		}
		add, _, err := b.Done()
		return add, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Personal(t.Context(), 1); err != nil || !reflect.DeepEqual(got, pieces) {
		t.Errorf("%v, %v", got, err)
	}
	_ = s.Close()
	raw, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*raw)
	defer func() { _ = db.Close() }()
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.DownTo(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if done, err := db.ExecContext(t.Context(), `UPDATE personal SET salt = NULL, value = NULL WHERE seq = 1 AND n = 1`); err != nil {
		t.Fatal(err)
	} else if n, _ := done.RowsAffected(); n != 1 {
		t.Fatalf("%d rows erased", n)
	}
	s = open(t, Config{URL: url})
	want := []store.Personal{pieces[0], {Field: "contact.email"}, pieces[2]}
	if got, err := s.Personal(t.Context(), 1); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestWalls: what no longer refuses what it is to refuse is named, also when every row is right.
func TestWalls(t *testing.T) {
	for _, c := range []struct{ change, want string }{
		{"DROP INDEX registration_partner; CREATE INDEX of_mine ON registration (status)", ""},
		{"DROP INDEX holder_one", "holder: unique index holder_one: missing"},
		{"DROP INDEX holder_one; CREATE UNIQUE INDEX holder_one ON holder (customer_key, line, site, registration_id) WHERE NOT shared", "holder: unique index holder_one: is CREATE UNIQUE INDEX holder_one ON holder USING btree (customer_key, line, site, registration_id)"},
		{"DROP INDEX entry_idempotency; CREATE INDEX entry_idempotency ON entry (key_id, idem_key)", "entry: unique index entry_idempotency: missing"},
		{"ALTER TABLE registration DROP CONSTRAINT registration_number_key", "registration: UNIQUE (number): missing"},
		{"ALTER TABLE node DROP CONSTRAINT node_pkey", "node: PRIMARY KEY (i): missing"},
		{"ALTER TABLE finding DROP CONSTRAINT finding_version_fkey", "finding: FOREIGN KEY (version) REFERENCES entry(seq): missing"},
		{"ALTER TABLE decision DROP CONSTRAINT decision_outcome_check", "decision: CHECK "},
		{"ALTER TABLE entry ALTER leaf DROP NOT NULL", "entry: column leaf: is bytea, and should be bytea NOT NULL"},
		{"ALTER TABLE finding DISABLE TRIGGER ALL", "finding: disabled trigger RI_ConstraintTrigger"},
		{"CREATE RULE quiet AS ON DELETE TO entry DO INSTEAD NOTHING", "entry: rule quiet: extra"},
		{"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER gone BEFORE INSERT ON holder FOR EACH ROW EXECUTE FUNCTION f()", "holder: trigger gone: extra"},
	} {
		url := server.Database(t)
		s := open(t, Config{URL: url})
		raw, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Exec(t.Context(), c.change, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(c.change, err)
		}
		_ = raw.Close(t.Context())
		found, err := s.Walls(t.Context())
		var got []string
		for _, d := range found {
			got = append(got, d.Table+": "+d.Row+": "+d.What)
		}
		if text := strings.Join(got, "\n"); err != nil || (c.want == "") != (text == "") || !strings.HasPrefix(text, c.want) {
			t.Errorf("%s: %v, want %q, %v", c.change, got, c.want, err)
		}
		_ = s.Close()
	}
	url := server.Database(t)
	s := open(t, Config{URL: url})
	u, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close(t.Context()) }()
	name := strings.TrimPrefix(u.Path, "/")
	if _, err := raw.Exec(t.Context(), fmt.Sprintf("REVOKE TEMPORARY ON DATABASE %s FROM PUBLIC; CREATE ROLE auditor_%s LOGIN; GRANT pg_read_all_data TO auditor_%[1]s", name, name), pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	u.User = neturl.User("auditor_" + name)
	reader := open(t, Config{URL: u.String(), Existing: true, ReadOnly: true})
	if _, err := reader.Walls(t.Context()); !errors.Is(err, store.ErrUnseen) || !strings.Contains(err.Error(), "TEMPORARY") {
		t.Errorf("who may make no temporary table: %v", err)
	}
	if _, err := reader.Head(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestTexts: what text columns cannot hold comes back as it was, and ordinary text is left alone.
func TestTexts(t *testing.T) {
	for _, s := range []string{"", "plain", "株式会社 é", "a\x00b", "\x00", "\xff\xfe", "a\xc3", mark, mark + "0", mark + "x00", "a" + mark + "\x00\xff", mark + mark} {
		e := escape(s)
		if !utf8.ValidString(e) || strings.Contains(e, "\x00") || unescape(e) != s {
			t.Errorf("%q as %q comes back as %q", s, e, unescape(e))
		}
		if utf8.ValidString(s) && !strings.ContainsAny(s, "\x00"+mark) && e != s {
			t.Errorf("%q became %q", s, e)
		}
	}
}

// TestKeptPlans: a plan made while the ledger was short is kept, and must not be one that reads all of it.
func TestKeptPlans(t *testing.T) {
	s := open(t, Config{URL: server.Database(t) + patient})
	tree, n := ledger.NewTree(), 0
	commit := func(entries int) {
		t.Helper()
		err := s.Commit(t.Context(), func(ctx context.Context, l store.Locked) (store.Append, error) {
			asked := make([]store.IdemKey, 64)
			for i := range asked {
				asked[i] = store.IdemKey{KeyID: "key", Key: fmt.Sprint("nobody's", i)}
			}
			if found, err := l.Answered(ctx, asked); err != nil || len(found) > 0 {
				return store.Append{}, errors.Join(fmt.Errorf("found %d", len(found)), err)
			}
			batch, err := store.NewBatch(l.Head(), tree)
			for i := 0; i < entries && err == nil; i++ {
				n++
				err = batch.Add(store.Entry{Kind: deal.EntryRecords, Actor: deal.Actor{KeyID: "key"}, IdemKey: fmt.Sprint(n), RequestHash: []byte("hash"), Answer: []byte("answer")}, &deal.Change{})
			}
			if err != nil {
				return store.Append{}, err
			}
			add, next, err := batch.Done()
			tree = next
			return add, err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	follow := func() {
		t.Helper()
		h, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err := range s.Entries(t.Context(), h.Seq-1) {
			if n++; err != nil || n > 1 {
				t.Fatal(n, err)
			}
		}
	}
	for range 8 { // PostgreSQL settles on a plan for all arguments after five
		commit(1)
		follow()
	}
	commit(5000)
	scans := func() (n int) {
		t.Helper()
		err := s.write.AcquireFunc(t.Context(), func(c *pgxpool.Conn) error {
			if _, err := c.Exec(t.Context(), "SELECT pg_stat_force_next_flush()"); err != nil {
				return err
			}
			return c.QueryRow(t.Context(), "SELECT seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'entry') FROM pg_stat_user_tables WHERE relname = 'entry'").Scan(&n)
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := scans()
	for range 5 {
		commit(1)
		follow()
	}
	if after := scans(); after > before+1000 {
		t.Errorf("five commits, and five looks at them, read %d rows of the ledger", after-before)
	}
}
