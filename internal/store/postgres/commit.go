package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/tables"
)

// begin is said out loud: the database's default may be another.
const begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

// Commit implements store.Store. The caller's deadline ends the waiting for the lock and the deciding; once writing
// has begun it has a limit of its own, after which the outcome is unknown.
func (s *Store) Commit(ctx context.Context, decide func(context.Context, store.Locked) (store.Append, error)) error {
	t, err := s.turn(ctx)
	if err != nil {
		return err
	}
	defer t.end()
	head, err := t.lock(ctx)
	if err != nil {
		return t.failed("locking the ledger", err)
	}
	if err := s.hook("locked"); err != nil {
		return err
	}
	atWork := t.keepAlive()
	add, err := decide(ctx, &locked{t: t, reader: s.On(db{t.conn}), head: head})
	atWork()
	if err != nil {
		return err
	}
	if len(add.Entries) == 0 {
		return nil
	}
	w := s.rows // the turn is the only one that writes
	defer w.reset()
	if err := tables.Append(w, s.Codec, head, &add); err != nil {
		return err
	}
	if err := t.write(ctx, w); err != nil {
		return err
	}
	if err := s.hook("committed"); err != nil {
		return errors.Join(store.ErrUnknown, err)
	}
	return nil
}

// settle is a transaction that changes nothing, and is in the log: its commit waits for the standbys to have the log up to
// it, as every commit does.
const settle = `SELECT pg_logical_emit_message(true, 'dibs', 'settle')`

// Settle implements store.Store.
func (s *Store) Settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CommitLimit)
	defer cancel()
	conn, err := s.read.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connecting to the database: %w", err)
	}
	defer conn.Release()
	warnings := conn.Conn().PgConn().CustomData()
	delete(warnings, warning)
	if _, err := conn.Exec(ctx, settle); err != nil {
		return fmt.Errorf("waiting for the standbys: %w", err)
	}
	if said, warned := warnings[warning]; warned {
		return fmt.Errorf("waiting for the standbys: the server warned: %s", said)
	}
	return nil
}

// PutSnapshot implements store.Store.
func (s *Store) PutSnapshot(ctx context.Context, p store.Snapshot) error {
	return pgx.BeginFunc(ctx, s.write, func(tx pgx.Tx) error { return tables.PutSnapshot(ctx, db{tx}, p) })
}

// PutChunk implements store.Store. It does not wait for commits, nor they for it.
func (s *Store) PutChunk(ctx context.Context, of store.Hash, i int, body []byte) error {
	return s.aside(ctx, func(tx db) error { return tables.PutChunk(ctx, tx, of, i, body) })
}

// DropChunks implements store.Store.
func (s *Store) DropChunks(ctx context.Context, of store.Hash) error {
	return s.aside(ctx, func(tx db) error { return tables.DropChunks(ctx, tx, of) })
}

// aside writes what is no part of the ledger, on a connection that commits do not need.
func (s *Store) aside(ctx context.Context, write func(db) error) error {
	return pgx.BeginTxFunc(ctx, s.read, pgx.TxOptions{AccessMode: pgx.ReadWrite}, func(tx pgx.Tx) error { return write(db{tx}) })
}

// turn is the transaction of one commit, on the one connection that writes.
type turn struct {
	s    *Store
	conn *pgxpool.Conn
	mu   sync.Mutex // holds conn while deciding
	seen time.Time  // when the server last heard from us
	done bool       // nothing is left to roll back
}

// turn waits until no other commit of this process has the connection.
func (s *Store) turn(ctx context.Context) (*turn, error) {
	conn, err := s.write.Acquire(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if passes(err) {
			err = errors.Join(store.ErrRetry, err)
		}
		return nil, fmt.Errorf("connecting to the database: %w", err)
	}
	return &turn{s: s, conn: conn}, nil
}

// end gives the connection back. What was not committed is rolled back: by the server, if it cannot be told to.
func (t *turn) end() {
	if !t.done {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := t.conn.Exec(ctx, "ROLLBACK"); err != nil {
			_ = t.conn.Conn().Close(ctx)
		}
	}
	t.conn.Release()
}

// failed gives an error from before the COMMIT its meaning: nothing was written.
func (t *turn) failed(what string, err error) error {
	if passes(err) || t.conn.Conn().IsClosed() && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(store.ErrRetry, err)
	}
	if isCode(err, "25006") { // it has become a standby: the next connection looks for the primary
		_ = t.conn.Conn().Close(context.Background())
	}
	return fmt.Errorf("%s: %w", what, err)
}

// lock begins the transaction and locks the head, in one go.
func (t *turn) lock(ctx context.Context) (head store.Head, err error) {
	var b pgx.Batch
	b.Queue(begin)
	b.Queue(tables.ForUpdate).Query(func(rows pgx.Rows) error {
		defer rows.Close()
		if !rows.Next() {
			return errors.Join(rows.Err(), errors.New("the row of the head is not there"))
		}
		head, err = tables.ScanHead(rows.Scan)
		return err
	})
	err = t.conn.SendBatch(ctx, &b).Close()
	t.seen = time.Now()
	return head, err
}

// keepAlive tells the server now and then that the replica is at work, so that only one that has stopped is fenced. It
// does so until the function it returns is called, for busyLimit at most.
func (t *turn) keepAlive() (end func()) {
	every := t.s.idle / 4
	if every == 0 || t.s.freeze {
		return func() {}
	}
	began, ended := time.Now(), false
	t.mu.Lock()
	defer t.mu.Unlock()
	var timer *time.Timer
	timer = time.AfterFunc(every, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if ended || time.Since(began) > busyLimit {
			return
		}
		if time.Since(t.seen) < every || t.ping() == nil {
			timer.Reset(every)
		}
	})
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		ended = true
		timer.Stop()
	}
}

// ping hears from the server. The caller holds mu, or is alone.
func (t *turn) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), connectLimit)
	defer cancel()
	err := t.conn.Ping(ctx)
	t.seen = time.Now()
	return err
}

// write sends everything and the COMMIT, in one go. Up to the COMMIT's own answer an error of the server says that nothing
// was written; so does its ERROR to the COMMIT itself. Anything else leaves the outcome unknown.
func (t *turn) write(ctx context.Context, w *writer) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.s.cfg.CommitLimit)
	defer cancel()
	if idle := t.s.idle; idle > 0 && time.Since(t.seen) > idle/2 {
		// The session may have been ended meanwhile. To find that out now is a no; with the COMMIT sent it is none.
		if err := t.ping(); err != nil {
			return t.failed("the ledger was held too long", err)
		}
	}
	if t.conn.Conn().IsClosed() { // the session ended while the replica decided
		return t.failed("writing", errors.New("the session was ended"))
	}
	var b pgx.Batch
	w.queue(&b)
	if t.s.cfg.Hook != nil {
		if err := t.conn.SendBatch(ctx, &b).Close(); err != nil {
			return t.failed("writing", refused(err))
		}
		if err := t.s.hook("written"); err != nil {
			return err
		}
		b = pgx.Batch{}
	}
	b.Queue("COMMIT")
	store.Point("written")
	warnings := t.conn.Conn().PgConn().CustomData()
	delete(warnings, warning)
	answers := t.conn.SendBatch(ctx, &b)
	defer func() { _ = answers.Close() }()
	for range b.Len() - 1 {
		if _, err := answers.Exec(); err != nil {
			if answered(err) {
				return t.failed("writing", refused(err))
			}
			return t.unknown(err)
		}
	}
	tag, err := answers.Exec()
	switch said, warned := warnings[warning]; {
	case err != nil && isError(err):
		return t.failed("committing", refused(err))
	case err != nil:
		return t.unknown(err)
	case tag.String() == "ROLLBACK":
		t.done = true
		return errors.New("committing: the server rolled back")
	case warned:
		return t.unknown(fmt.Errorf("the server committed, and warned: %s", said))
	}
	t.done = true
	return nil
}

// unknown is what a COMMIT that was sent comes to without a clear answer. The connection is not used again.
func (t *turn) unknown(err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = t.conn.Conn().Close(ctx)
	t.done = true
	return errors.Join(store.ErrUnknown, err)
}

// answered reports whether err is the server's answer to a statement before the COMMIT, or was found before anything was
// sent: either way the COMMIT was not carried out.
func answered(err error) bool {
	var pg *pgconn.PgError
	var early pgx.ErrPreprocessingBatch
	return errors.As(err, &pg) || errors.As(err, &early)
}

// isError reports whether err is the server's no. FATAL and PANIC end a session, perhaps after it has committed.
func isError(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.SeverityUnlocalized == "ERROR"
}

// refused gives the refusal of a second holder its meaning.
func refused(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" && pg.ConstraintName == "holder_one" {
		return fmt.Errorf("%w: %s", store.ErrHolder, pg.Detail)
	}
	return err
}

func isCode(err error, code string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == code
}

// passes reports whether the reason for which a connection or a statement failed passes by itself. The codes are those of
// PostgreSQL's appendix A.
func passes(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "25006", // it is a standby now
			"25P03", // fenced: idle in a transaction
			"40001", "40P01",
			"55P03", // lock_timeout
			"57014", // statement_timeout, or cancelled by hand
			"57P01", "57P02", "57P03", "57P05":
			return true
		}
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53")
	}
	var refused *pgconn.ConnectError
	return errors.As(err, &refused)
}

// warning is where a connection keeps the last warning of its server.
const warning = "dibs.warning"

// noteWarning remembers warnings. During a COMMIT there is one when the waiting for a standby was cut short: the
// transaction is committed here, and may be lost in a failover.
func noteWarning(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.SeverityUnlocalized == "WARNING" {
		c.CustomData()[warning] = n.Message
	}
}

// locked is the ledger under the lock. Its reads take turns with the signs of life on the connection.
type locked struct {
	t      *turn
	reader *tables.Reader
	head   store.Head
}

func (l *locked) Head() store.Head { return l.head }

func (l *locked) Entries(ctx context.Context, after uint64) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		for {
			page, err := l.read(func() ([]store.Entry, error) { return l.reader.Page(ctx, after) })
			if err != nil {
				yield(store.Entry{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
				after = e.Seq
			}
			if len(page) < tables.PageLength {
				return
			}
		}
	}
}

// answeredKeys looks each key up by itself, whatever the planner thinks of the tables: a join of them all may read the whole index.
const answeredKeys = `seq = ANY(ARRAY(SELECT e.seq FROM unnest(?::text[], ?::text[]) AS k(id, name),
	LATERAL (SELECT seq FROM entry WHERE key_id = k.id AND idem_key = k.name LIMIT 1) AS e))`

func (l *locked) Answered(ctx context.Context, keys []store.IdemKey) (map[store.IdemKey]store.Entry, error) {
	if len(keys) == 0 {
		return map[store.IdemKey]store.Entry{}, nil
	}
	ids, names := make([]string, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		ids[i], names[i] = escape(k.KeyID), escape(k.Key)
	}
	found, err := l.read(func() ([]store.Entry, error) {
		return l.reader.EntriesWhere(ctx, answeredKeys, ids, names)
	})
	out := make(map[store.IdemKey]store.Entry, len(found))
	for _, e := range found {
		out[store.IdemKey{KeyID: e.Actor.KeyID, Key: e.IdemKey}] = e
	}
	return out, err
}

func (l *locked) read(f func() ([]store.Entry, error)) ([]store.Entry, error) {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	out, err := f()
	l.t.seen = time.Now()
	if err != nil {
		err = l.t.failed("reading under the lock", err)
	}
	return out, err
}
