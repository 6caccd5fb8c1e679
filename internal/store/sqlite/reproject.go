package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/tables"
)

// Reproject implements store.Store.
func (s *Store) Reproject(ctx context.Context) (out []store.Difference, err error) {
	dir, err := os.MkdirTemp("", "dibs-audit-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	again, err := Open(ctx, Config{Path: filepath.Join(dir, "again.db")})
	if err != nil {
		return nil, err
	}
	defer func() { _ = again.Close() }()
	// The copy is thrown away: neither its disk nor its references to entries it does not hold matter.
	for _, q := range []string{"PRAGMA synchronous = OFF", "PRAGMA foreign_keys = OFF", "ATTACH DATABASE " + quote(readOnly(s.cfg.Path)) + " AS kept", "BEGIN"} {
		if _, err := again.conn.ExecContext(ctx, q); err != nil {
			return nil, fmt.Errorf("%s: %w", q, err)
		}
	}
	// Both sides are read in this one transaction, so commits meanwhile do not show as differences.
	if err := s.On(kept{again.conn}).Reproject(ctx, rowWriter{ctx, again.conn}, func() error { return nil }); err != nil {
		return nil, err
	}
	if out, err = tables.Compare(ctx, again.conn, "kept", "main"); err != nil {
		return nil, err
	}
	_, err = again.conn.ExecContext(ctx, "ROLLBACK")
	return out, err
}

// kept reads the ledger of the database attached beside the connection's own.
type kept struct{ *writer }

// Query implements tables.Querier.
func (k kept) Query(ctx context.Context, query string, args ...any) (tables.Rows, error) {
	return k.QueryContext(ctx, strings.Replace(query, "FROM ", "FROM kept.", 1), bind(args)...)
}

func quote(s string) string {
	q := []byte{'\''}
	for i := range len(s) {
		if s[i] == '\'' {
			q = append(q, '\'')
		}
		q = append(q, s[i])
	}
	return string(append(q, '\''))
}
