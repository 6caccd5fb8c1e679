package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (store.Store, func() store.Store) {
		path := filepath.Join(t.TempDir(), "a b?c#.db") // a path may hold what a URL may not
		open := func() store.Store {
			s, err := Open(context.Background(), Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
		return open(), open
	})
}

func TestBrokenCommit(t *testing.T) {
	storetest.Broken(t, func(t *testing.T, hook func(string) error) store.Store {
		s, err := Open(context.Background(), Config{Path: filepath.Join(t.TempDir(), "x.db"), Hook: hook})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	})
}

func TestPragmas(t *testing.T) {
	s, err := Open(context.Background(), Config{Path: filepath.Join(t.TempDir(), "x.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := s.conn.QueryRowContext(context.Background(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, want %s (%v)", pragma, got, want, err)
		}
	}
	if _, err := s.read.Exec("DELETE FROM head"); err == nil {
		t.Error("a read connection can write")
	}
}

// TestReadsEnd asks everything that is prepared, on every connection at once, for what is there and for what is not. A
// statement that was not reset would keep its connection at an old state for ever, and the log from being emptied.
func TestReadsEnd(t *testing.T) {
	s := filled(t, 10)
	ctx := context.Background()
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			there := i%2 == 0
			n, id, key := uint64(1+i%10), fmt.Sprintf("reg_%d", 1+i%10), store.IdemKey{KeyID: "key_1", Key: fmt.Sprint(1 + i%10)}
			if !there {
				n, id, key.Key = 1000, "reg_none", "none"
			}
			_, err1 := s.Entry(ctx, n)
			_, err2 := s.Answered(ctx, key)
			_, err3 := s.Nodes(ctx, []int64{int64(n)})
			_, err4 := s.Registration(ctx, id)
			for _, err := range []error{err1, err2, err3, err4} {
				if there && err != nil || !there && !errors.Is(err, deal.ErrNotFound) {
					t.Errorf("%s: %v", id, err)
				}
			}
			seqs, err := s.DecisionSeqs(ctx, id)
			if err != nil || len(seqs) > 0 != there {
				t.Errorf("%s: decisions %v, %v", id, seqs, err)
			}
			personal, err := s.Personal(ctx, n)
			if err != nil || len(personal) > 0 != there {
				t.Errorf("%s: personal data %v, %v", id, personal, err)
			}
			if h, err := s.Head(ctx); err != nil || h.Seq != 10 {
				t.Errorf("head %d, %v", h.Seq, err)
			}
		})
	}
	wg.Wait()
	var busy, pages, moved int
	if err := s.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved); err != nil || busy != 0 {
		t.Errorf("the log cannot be emptied: busy %d, %v", busy, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Answered(ctx, store.IdemKey{KeyID: "key_1", Key: "1"}); err == nil || errors.Is(err, deal.ErrNotFound) {
		t.Errorf("a closed database says %v", err)
	}
}

// TestEvidence: what is opened as evidence is read and never written, and what is no ledger is refused as it is.
func TestEvidence(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	nothing := filepath.Join(dir, "empty.db")
	if err := os.WriteFile(nothing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []Config{{Path: nothing, Existing: true}, {Path: nothing, ReadOnly: true}} {
		if _, err := Open(ctx, cfg); err == nil || !strings.Contains(err.Error(), "there is no ledger in it") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if i, err := os.Stat(nothing); err != nil || i.Size() != 0 {
		t.Errorf("%v, %v", i, err)
	}

	path := filepath.Join(dir, "x.db")
	made, err := Open(ctx, Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(ctx, Config{Path: path, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := s.Head(ctx); err != nil || h.Seq != 0 {
		t.Errorf("%+v, %v", h, err)
	}
	err = s.Commit(ctx, func(context.Context, store.Locked) (store.Append, error) { return store.Append{}, nil })
	if err == nil || !strings.Contains(err.Error(), "read only") {
		t.Errorf("a commit: %v", err)
	}
	if err := s.DropWebhook(ctx, "wh_1"); err == nil || !strings.Contains(err.Error(), "read only") {
		t.Errorf("a write beside the ledger: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file has changed: %v", err)
	}

	old, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Exec("DELETE FROM goose_db_version WHERE version_id = (SELECT MAX(version_id) FROM goose_db_version)"); err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, Config{Path: path, ReadOnly: true}); err == nil || !strings.Contains(err.Error(), "its schema has version") {
		t.Errorf("of an older version: %v", err)
	}
}

// TestExisting: a database of an earlier version is brought up to date, not refused for what it lacks yet.
func TestExisting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{Path: path, Existing: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestPersonalRows: the pieces of an entry, a row each in an earlier version, are one row, and what was erased stays so.
func TestPersonalRows(t *testing.T) {
	pieces := []store.Personal{{Field: "contact.name", Salt: bytes.Repeat([]byte{0, 0xab}, 16), Value: "Erika \"Größe\" <Mustermann>\n"}, {Field: "contact.email", Salt: []byte("salt"), Value: "a@b.example"}, {Field: "description", Salt: []byte("pepper"), Value: "日本"}}
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Commit(t.Context(), func(_ context.Context, l store.Locked) (store.Append, error) {
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
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir)
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
	_ = db.Close()
	if s, err = Open(t.Context(), Config{Path: path}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
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
		{"DROP INDEX holder_one; CREATE UNIQUE INDEX holder_one ON holder (customer_key, line, site, registration_id) WHERE shared = 0", "holder: unique index holder_one: is CREATE UNIQUE INDEX holder_one ON holder (customer_key, line, site, registration_id)"},
		{"DROP INDEX entry_idempotency; CREATE INDEX entry_idempotency ON entry (key_id, idem_key)", "entry: unique index entry_idempotency: missing"},
		{"PRAGMA foreign_keys = 0; ALTER TABLE node RENAME TO old; CREATE TABLE node (i integer, hash blob)", "node: table: is CREATE TABLE node (i integer, hash blob), and should be CREATE TABLE node ( i integer PRIMARY KEY"},
		{"CREATE TRIGGER gone AFTER INSERT ON holder BEGIN DELETE FROM holder; END", "holder: trigger gone: extra"},
	} {
		s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "dibs.db")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.conn.ExecContext(t.Context(), c.change); err != nil {
			t.Fatal(c.change, err)
		}
		found, err := s.Walls(t.Context())
		var got []string
		for _, d := range found {
			got = append(got, d.Table+": "+d.Row+": "+d.What)
		}
		if text := strings.Join(got, "\n"); err != nil || (c.want == "") != (text == "") || !strings.HasPrefix(text, c.want) {
			t.Errorf("%s: %v, want %q, %v", c.change, got, c.want, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
