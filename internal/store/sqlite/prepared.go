package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// The reads that every registration, or every page about one, makes. Reading a statement's text costs more than
// running it, so these are read once for each connection.
const (
	queryHead         = `SELECT seq, chain, root, at, registrations FROM head WHERE id = 1`
	queryEntry        = entryColumns + `WHERE seq = ?`
	queryAnswered     = entryColumns + `WHERE key_id = ? AND idem_key = ?`
	queryNode         = `SELECT hash FROM node WHERE i = ?`
	queryPersonal     = `SELECT field, salt, value FROM personal WHERE seq = ? ORDER BY n`
	queryRegistration = `SELECT doc FROM registration WHERE id = ?`
	queryDecisionSeqs = `SELECT seq FROM decision WHERE registration_id = ? ORDER BY seq`
)

var hotReads = []string{queryHead, queryEntry, queryAnswered, queryNode, queryPersonal, queryRegistration, queryDecisionSeqs}

// readers is the pool of read connections with the hot reads prepared. A statement is prepared on each connection of
// the pool when it first runs there, and stays until Close.
type readers struct {
	*sql.DB
	prepared map[string]*sql.Stmt // by text; not changed after openReaders
}

func openReaders(ctx context.Context, dsn string, connections int) (_ *readers, err error) {
	r := &readers{prepared: make(map[string]*sql.Stmt, len(hotReads))}
	if r.DB, err = sql.Open("sqlite", dsn); err != nil {
		return nil, err
	}
	r.SetMaxOpenConns(connections)
	r.SetMaxIdleConns(connections)
	for _, query := range hotReads {
		st, err := r.PrepareContext(ctx, query)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", query, err), r.Close())
		}
		r.prepared[query] = st
	}
	return r, nil
}

// QueryContext is that of sql.DB.
func (r *readers) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if st := r.prepared[query]; st != nil {
		return st.QueryContext(ctx, args...)
	}
	return r.DB.QueryContext(ctx, query, args...)
}

// QueryRowContext is that of sql.DB.
func (r *readers) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if st := r.prepared[query]; st != nil {
		return st.QueryRowContext(ctx, args...)
	}
	return r.DB.QueryRowContext(ctx, query, args...)
}

// Close closes the statements and the connections.
func (r *readers) Close() error { return errors.Join(closeAll(r.prepared), r.DB.Close()) }

// writer is the write connection. Whoever uses it holds Store.mu. Writes and reads of one row are prepared when they
// first run; a read of many rows is not, because it may still be open when the same one is asked again.
type writer struct {
	*sql.Conn
	prepared map[string]*sql.Stmt // by text
}

// prepare sees to it that w.prepared has the statement.
func (w *writer) prepare(ctx context.Context, query string) error {
	if w.prepared[query] != nil {
		return nil
	}
	st, err := w.PrepareContext(ctx, query)
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	w.prepared[query] = st
	return nil
}

// exec runs a statement that is prepared once.
func (w *writer) exec(ctx context.Context, query string, args ...any) error {
	if err := w.prepare(ctx, query); err != nil {
		return err
	}
	_, err := w.prepared[query].ExecContext(ctx, args...)
	return err
}

// QueryRowContext is that of sql.Conn.
func (w *writer) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if err := w.prepare(ctx, query); err != nil {
		return w.Conn.QueryRowContext(ctx, query, args...) // whose Row says what is wrong
	}
	return w.prepared[query].QueryRowContext(ctx, args...)
}

// Close closes the statements and the connection.
func (w *writer) Close() error { return errors.Join(closeAll(w.prepared), w.Conn.Close()) }

func closeAll(statements map[string]*sql.Stmt) error {
	var errs []error
	for _, st := range statements {
		errs = append(errs, st.Close())
	}
	return errors.Join(errs...)
}
