// Package sqlite is the storage engine for one box: one file, nothing to set up.
//
// One connection writes, under BEGIN IMMEDIATE; others read from the write-ahead log without waiting for it. A commit
// is on disk before it is acknowledged (synchronous=FULL). Several processes may open one file: each commit takes the
// file's write lock and reads the head again.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/pressly/goose/v3"
	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dibs-deals/dibs/internal/pack"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/tables"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Config says where the database is.
type Config struct {
	Path string
	// Existing refuses a file that holds no ledger, and ReadOnly also leaves one as it is: it may be a copy kept as evidence, in a folder
	// that cannot be written to. Every write fails.
	Existing, ReadOnly bool
	// Hook, if not nil, is called at named points of a commit: locked, written, committed; and before work beside the
	// ledger is committed: beside. An error it returns is
	// treated as the failure of that step. Tests break commits with it.
	Hook func(point string) error
}

// Store implements store.Store.
type Store struct {
	*tables.Reader
	*tables.Beside
	cfg   Config
	write *sql.DB // of one connection, which conn has
	read  *readers
	mu    sync.Mutex // holds conn
	conn  *writer    // nil once closed
}

var _ store.Store = (*Store)(nil)

// Open opens or makes the database at cfg.Path and brings its schema up to date.
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("database %s: %w", cfg.Path, err)
		}
	}()
	codec, err := pack.New()
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, Reader: &tables.Reader{Codec: codec, RecordsHint: "INDEXED BY entry_records"}}
	s.Beside = &tables.Beside{Do: func(ctx context.Context, write func(context.Context, tables.Work) error) error {
		return s.aside(ctx, func(tx context.Context, db tables.Execer) error { return write(tx, tables.Work{DB: db}) })
	}}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	if cfg.Existing || cfg.ReadOnly {
		if err := recognise(ctx, cfg); err != nil {
			return nil, err
		}
	}
	if cfg.ReadOnly {
		if s.read, err = openReaders(ctx, asItIs(cfg.Path), 2*runtime.GOMAXPROCS(0)); err != nil {
			return nil, err
		}
		s.DB = s.read
		return s, nil
	}
	if s.write, err = sql.Open("sqlite", dsn(cfg.Path, "journal_mode(WAL)", "synchronous(FULL)")); err != nil {
		return nil, err
	}
	s.write.SetMaxOpenConns(1)
	if err := migrate(ctx, s.write); err != nil {
		return nil, err
	}
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return nil, err
	}
	s.conn = &writer{conn, map[string]*sql.Stmt{}}
	if s.read, err = openReaders(ctx, dsn(cfg.Path, "query_only(1)"), 2*runtime.GOMAXPROCS(0)); err != nil {
		return nil, err
	}
	s.DB = s.read
	return s, nil
}

func dsn(path string, own ...string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + pragmas(own...)
}

func pragmas(own ...string) string {
	return url.Values{"_pragma": append(own, "busy_timeout(10000)", "foreign_keys(1)", "cache_size(-65536)", "temp_store(MEMORY)")}.Encode()
}

// readOnly is the name under which SQLite opens the file to be read, and changes nothing. It has files of its own beside it meanwhile; in a
// folder that cannot be written to, where nobody else writes either, it goes without.
func readOnly(path string) string {
	at := "file:" + (&url.URL{Path: path}).EscapedPath() + "?mode=ro"
	if _, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) && unix.Access(filepath.Dir(path), unix.W_OK) != nil {
		at += "&immutable=1"
	}
	return at
}

// asItIs is the connection to a file that is only read.
func asItIs(path string) string { return readOnly(path) + "&" + pragmas("query_only(1)") }

// recognise refuses a file without a ledger, and, where nothing may be changed, one of another version.
func recognise(ctx context.Context, cfg Config) (err error) {
	db, err := sql.Open("sqlite", asItIs(cfg.Path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var tables, version int
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_master WHERE name = 'goose_db_version'").Scan(&tables); err != nil {
		return err
	}
	if tables == 0 {
		return errors.New("there is no ledger in it: check the path, or make one with dibs serve")
	}
	if !cfg.ReadOnly {
		return nil
	}
	if err := db.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&version); err != nil {
		return err
	}
	all, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	if version != len(all) {
		return fmt.Errorf("its schema has version %d, and this program reads version %d: verify a copy with the program that wrote it, or start dibs serve on it once", version, len(all))
	}
	return nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrating the schema: %w", err)
	}
	return nil
}

// Close waits for the running commit and closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
		s.conn = nil
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	s.Codec.Close()
	return errors.Join(errs...)
}

func (s *Store) hook(point string) error {
	if s.cfg.Hook == nil {
		return nil
	}
	return s.cfg.Hook(point)
}

// isUnique reports whether err is the refusal of a duplicate.
func isUnique(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}
