// Package postgres is the storage engine for several replicas on one PostgreSQL database.
//
// A commit locks the row of the head, so that there is one order, and sends everything it writes, and the COMMIT, in one
// go. What has been sent with a COMMIT and is not answered has an unknown outcome: an error, a time limit or a lost
// connection is then store.ErrUnknown, and so is a warning, by which the server says that it gave up waiting for a
// standby. A replica that stops while it holds the head is fenced by the server: its session is ended after
// idle_in_transaction_session_timeout, and its transaction with it. A commit is on disk before it is acknowledged,
// and on the standbys that synchronous_standby_names asks for: a database set to synchronous_commit=off is asked to
// wait for the disk all the same.
//
// Reads and decisions are made from the primary only. Connections must be the server's own, or a proxy's that keeps one
// session for each: settings of the session and prepared statements are used.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/pack"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/tables"
)

//go:embed migrations/*.sql
var migrations embed.FS

// The limits of the session that commits, each also a parameter of the URL by its PostgreSQL name.
const (
	// defaultIdle is how long the server lets a silent session hold the head. A replica that is at work says so in time.
	defaultIdle = 400 * time.Millisecond
	// defaultLock is how long a commit waits for its turn.
	defaultLock = 3 * time.Second
	// defaultStatement is how long one statement may take, and the COMMIT's waiting for a standby.
	defaultStatement = 20 * time.Second
)

const (
	// defaultCommit is how long the writing of a commit may take until its outcome counts as unknown.
	defaultCommit = 30 * time.Second
	// busyLimit is how long deciding may hold the head while the replica is visibly at work.
	busyLimit = 15 * time.Second
	// connectLimit is how long one server of the URL may take to answer, where the URL does not say.
	connectLimit = 5 * time.Second
)

// Config says where the database is.
type Config struct {
	// URL is postgres://USER:PASSWORD@HOST:PORT/DATABASE?… with the parameters libpq knows, such as sslmode and
	// search_path; several hosts, of which the one that can be written to is used; pool_max_conns, of readers
	// (4 for each CPU); and the limits of commits: idle_in_transaction_session_timeout (400ms), lock_timeout (3s),
	// statement_timeout (20s).
	URL string
	// Existing refuses a database that has no tables of dibs, instead of making them, and ReadOnly also one whose tables are of an older
	// version, instead of changing them.
	Existing, ReadOnly bool
	// CommitLimit is how long the writing of a commit may take until its outcome counts as unknown; 0: 30 s.
	CommitLimit time.Duration
	// Hook, if not nil, is called at named points of a commit: locked, written, committed; and before work beside the
	// ledger is committed: beside. An error it returns is
	// treated as the failure of that step. With one, a COMMIT is sent by itself. Tests break commits with it.
	Hook func(point string) error
	// Tracer, if not nil, is told of statements, under the context they are asked with.
	Tracer pgx.QueryTracer
}

// Store implements store.Store.
type Store struct {
	*tables.Reader
	*tables.Beside
	cfg  Config
	read *pgxpool.Pool // read-only
	// write is of one connection: commits of this process take turns.
	write *pgxpool.Pool
	rows  *writer // of the commit whose turn it is
	// idle is idle_in_transaction_session_timeout; 0: none.
	idle time.Duration
	// freeze lets tests play a replica that stops: it no longer says that it is at work.
	freeze bool
}

var _ store.Store = (*Store)(nil)

// Open connects to the database and brings its schema up to date.
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
	pool, err := parse(cfg.URL)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("database %s at %s: %w", pool.ConnConfig.Database, net.JoinHostPort(pool.ConnConfig.Host, strconv.Itoa(int(pool.ConnConfig.Port))), err)
		}
	}()
	if cfg.CommitLimit == 0 {
		cfg.CommitLimit = defaultCommit
	}
	codec, err := pack.New()
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, Reader: &tables.Reader{Codec: codec}, rows: newWriter()}
	s.Beside = &tables.Beside{Do: s.work}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	pool.ConnConfig.OnNotice = noteWarning
	pool.ConnConfig.Tracer = cfg.Tracer
	pool.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		registerArrays(c.TypeMap())
		return durable(ctx, c)
	}
	writer := pool.Copy()
	if s.idle, err = limits(pool.ConnConfig.RuntimeParams, writer.ConnConfig.RuntimeParams); err != nil {
		return nil, err
	}
	// A commit looks rows up by their keys. Plans made while a table was small read all of it, and are kept when it has grown.
	writer.ConnConfig.RuntimeParams["enable_seqscan"] = "off"
	writer.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan" // there is one way to do what a commit does, and no arrays to look into first
	pool.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	pool.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_custom_plan" // for the same reason: of the tables as they are, also to read all of one
	pool.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	if s.read, err = pgxpool.NewWithConfig(ctx, pool); err != nil {
		return nil, err
	}
	writer.MaxConns, writer.MinConns, writer.MinIdleConns = 1, 0, 0
	writer.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	if s.write, err = pgxpool.NewWithConfig(ctx, writer); err != nil {
		return nil, err
	}
	s.DB = readers{s.read}
	return s, s.migrate(ctx, writer.ConnConfig)
}

// parse reads the URL. Its password is in no error.
func parse(text string) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(text)
	if err != nil {
		detail := "write postgres://USER:PASSWORD@HOST:PORT/DATABASE, and characters such as @ : / % of a password as %40 %3A %2F %25"
		if u, perr := url.Parse(text); perr == nil {
			detail = err.Error()
			for _, secret := range secrets(u) {
				detail = strings.ReplaceAll(detail, secret, "xxxxx")
			}
		}
		return nil, fmt.Errorf("the URL of the PostgreSQL database cannot be used: %s", detail)
	}
	if !strings.Contains(text, "pool_max_conns=") {
		cfg.MaxConns = int32(4 * runtime.GOMAXPROCS(0))
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = connectLimit
	}
	if p := cfg.ConnConfig.RuntimeParams; p["application_name"] == "" {
		p["application_name"] = "dibs"
	}
	return cfg, nil
}

// secrets returns what of the URL must not be shown.
func secrets(u *url.URL) (out []string) {
	add := func(s string) {
		if s != "" {
			out = append(out, s, url.QueryEscape(s), url.PathEscape(s))
		}
	}
	if password, ok := u.User.Password(); ok {
		add(password)
		_, raw, _ := strings.Cut(u.User.String(), ":")
		add(raw)
	}
	for _, name := range []string{"password", "sslpassword"} {
		add(u.Query().Get(name))
	}
	return out
}

// limits moves the limits of commits from what every session is told to what the writer is told.
func limits(all, writer map[string]string) (idle time.Duration, err error) {
	for name, limit := range map[string]time.Duration{"idle_in_transaction_session_timeout": defaultIdle, "lock_timeout": defaultLock, "statement_timeout": defaultStatement} {
		if given := all[name]; given != "" {
			if limit, err = milliseconds(given); err != nil {
				return 0, fmt.Errorf("%s=%s: give milliseconds, or a number with ms, s or min", name, given)
			}
		}
		delete(all, name)
		writer[name] = strconv.FormatInt(limit.Milliseconds(), 10)
		if name == "idle_in_transaction_session_timeout" {
			idle = limit
		}
	}
	return idle, nil
}

func milliseconds(s string) (time.Duration, error) {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Millisecond, nil
	}
	d, err := time.ParseDuration(strings.ReplaceAll(strings.ReplaceAll(s, " ", ""), "min", "m"))
	if err == nil && d < 0 {
		err = errors.New("negative")
	}
	return d, err
}

// durable sees to it that a commit waits for the disk, whatever the database's or the role's default is.
func durable(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`)
	return err
}

// migrate brings the schema up to date. Replicas that start together take turns.
func (s *Store) migrate(ctx context.Context, cfg *pgx.ConnConfig) error {
	var version int64
	err := s.read.QueryRow(ctx, `SELECT COALESCE(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	missing := isCode(err, "42P01")
	if err != nil && !missing {
		return err
	}
	if missing && (s.cfg.Existing || s.cfg.ReadOnly) {
		return errors.New("there is nothing of dibs in it: check the address, or make it with dibs serve")
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	// A migration is no commit: it may take its time.
	c := cfg.Copy()
	maps.DeleteFunc(c.RuntimeParams, func(name, _ string) bool { return strings.HasSuffix(name, "_timeout") })
	sqldb := stdlib.OpenDB(*c)
	defer func() { _ = sqldb.Close() }()
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120))
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, sqldb, dir, goose.WithSlog(slog.New(slog.DiscardHandler)), goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	sources := p.ListSources()
	if !missing && version >= sources[len(sources)-1].Version {
		return nil
	}
	if newest := sources[len(sources)-1].Version; s.cfg.ReadOnly {
		return fmt.Errorf("its schema has version %d, and this program reads version %d: start dibs serve on it once", version, newest)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrating the schema: %w", err)
	}
	return nil
}

// Close waits for the running commit and for reads, and closes the connections.
func (s *Store) Close() error {
	for _, p := range []*pgxpool.Pool{s.write, s.read} {
		if p != nil {
			p.Close()
		}
	}
	s.Codec.Close()
	return nil
}

func (s *Store) hook(point string) error {
	if s.cfg.Hook == nil {
		return nil
	}
	return s.cfg.Hook(point)
}

// snapshot runs f in a transaction on a read connection that sees one instant.
func (s *Store) snapshot(ctx context.Context, mode pgx.TxAccessMode, f func(db) error) error {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: mode}
	tx, err := s.read.BeginTx(ctx, options)
	if err != nil && lost(ctx, err) {
		s.read.Reset()
		tx, err = s.read.BeginTx(ctx, options)
	}
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	return f(db{tx})
}

// Load implements store.Store.
func (s *Store) Load(ctx context.Context, v store.Visitor, base store.Base) (head store.Head, err error) {
	err = s.snapshot(ctx, pgx.ReadOnly, func(tx db) (err error) {
		head, err = s.On(tx).Load(ctx, v, base)
		return err
	})
	return head, err
}

// Nodes implements store.Store: all in one question.
func (s *Store) Nodes(ctx context.Context, indexes []int64) (out []store.Hash, err error) {
	rows, err := s.DB.Query(ctx, `SELECT i, hash FROM node WHERE i = ANY(?)`, indexes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	found := make(map[int64]store.Hash, len(indexes))
	for rows.Next() {
		var i int64
		var hash []byte
		if err := rows.Scan(&i, &hash); err != nil {
			return nil, err
		}
		if len(hash) != len(store.Hash{}) {
			return nil, fmt.Errorf("hash %d has %d bytes", i, len(hash))
		}
		found[i] = store.Hash(hash)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	out = make([]store.Hash, len(indexes))
	for n, i := range indexes {
		var ok bool
		if out[n], ok = found[i]; !ok {
			return nil, fmt.Errorf("hash %d: %w", i, deal.ErrNotFound)
		}
	}
	return out, nil
}
