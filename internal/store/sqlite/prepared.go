package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dibs-deals/dibs/internal/store/tables"
)

// readers is the pool of read connections with the hot reads prepared. A statement is prepared on each connection of
// the pool when it first runs there, and stays until Close.
type readers struct {
	*sql.DB
	prepared map[string]*sql.Stmt // by text; not changed after openReaders
}

func openReaders(ctx context.Context, dsn string, connections int) (_ *readers, err error) {
	r := &readers{prepared: make(map[string]*sql.Stmt, len(tables.HotReads))}
	if r.DB, err = sql.Open("sqlite", dsn); err != nil {
		return nil, err
	}
	r.SetMaxOpenConns(connections)
	r.SetMaxIdleConns(connections)
	for _, query := range tables.HotReads {
		st, err := r.PrepareContext(ctx, query)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", query, err), r.Close())
		}
		r.prepared[query] = st
	}
	return r, nil
}

// Query implements tables.Querier.
func (r *readers) Query(ctx context.Context, query string, args ...any) (tables.Rows, error) {
	if st := r.prepared[query]; st != nil {
		return st.QueryContext(ctx, bind(args)...)
	}
	return r.QueryContext(ctx, query, bind(args)...)
}

// Close closes the statements and the connections.
func (r *readers) Close() error { return errors.Join(closeAll(r.prepared), r.DB.Close()) }

// writer is the write connection. Whoever uses it holds Store.mu. Writes and the hot reads are prepared when they first
// run; other reads are not, because one may still be open when it is asked again.
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

// Exec runs a statement that is prepared once.
func (w *writer) Exec(ctx context.Context, query string, args ...any) error {
	if err := w.prepare(ctx, query); err != nil {
		return err
	}
	_, err := w.prepared[query].ExecContext(ctx, bind(args)...)
	return err
}

// Query implements tables.Querier.
func (w *writer) Query(ctx context.Context, query string, args ...any) (tables.Rows, error) {
	if !slices.Contains(tables.HotReads, query) {
		return w.QueryContext(ctx, query, bind(args)...)
	}
	if err := w.prepare(ctx, query); err != nil {
		return nil, err
	}
	return w.prepared[query].QueryContext(ctx, bind(args)...)
}

// bind makes, in place, of arguments what the columns of this engine hold.
func bind(args []any) []any {
	for i, a := range args {
		switch a := a.(type) {
		case time.Time:
			args[i] = a.UnixMicro()
		case tables.JSON:
			args[i] = string(a)
		}
	}
	return args
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
