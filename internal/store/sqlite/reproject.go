package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dibs-deals/dibs/internal/store"
)

// projected are the tables that follow from the entries, each with the expression that names a row. The ledger's own
// tables are verified by their hashes.
var projected = []struct{ table, key string }{
	{"registration", "id"}, {"holder", "registration_id || ' ' || line || ' ' || site"}, {"decision", "seq"},
	{"escalation", "id"}, {"account", "id"}, {"opportunity", "id"}, {"partner", "id"}, {"person", "id"},
	{"product", "id"}, {"rate", "id"}, {"document", "kind || ' ' || version"}, {"api_key", "id"},
}

// maxDifferences bounds what is reported of one table.
const maxDifferences = 20

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
	for _, q := range []string{"PRAGMA synchronous = OFF", "PRAGMA foreign_keys = OFF", "ATTACH DATABASE " + quote(s.cfg.Path) + " AS kept", "BEGIN"} {
		if _, err := again.conn.ExecContext(ctx, q); err != nil {
			return nil, fmt.Errorf("%s: %w", q, err)
		}
	}
	// Both sides are read in this one transaction, so commits meanwhile do not show as differences.
	for after, more := uint64(0), true; more; {
		var entries []store.Entry
		err := each(ctx, again.conn, strings.Replace(entryColumns, "FROM entry", "FROM kept.entry", 1)+`WHERE seq > ? ORDER BY seq LIMIT 200`, []any{after}, func(scan func(...any) error) error {
			e, err := again.scanEntry(scan)
			entries = append(entries, e)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("reading entries after %d: %w", after, err)
		}
		for _, e := range entries {
			after = e.Seq
			if e.Personal, err = personal(ctx, again.conn, strings.Replace(queryPersonal, "FROM personal", "FROM kept.personal", 1), e.Seq); err != nil {
				return nil, err
			}
			c, err := store.ChangeOf(&e)
			if err != nil {
				return nil, err
			}
			if err := again.project(ctx, e.Seq, c); err != nil {
				return nil, fmt.Errorf("projecting entry %d: %w", e.Seq, err)
			}
		}
		more = len(entries) > 0
	}
	for _, t := range projected {
		for _, d := range []struct{ what, rows, others string }{{"changed or extra", "kept", "main"}, {"changed or missing", "main", "kept"}} {
			q := fmt.Sprintf("SELECT %s FROM (SELECT * FROM %s.%s EXCEPT SELECT * FROM %s.%s) LIMIT %d", t.key, d.rows, t.table, d.others, t.table, maxDifferences)
			err := each(ctx, again.conn, q, nil, func(scan func(...any) error) error {
				var key string
				if err := scan(&key); err != nil {
					return err
				}
				out = append(out, store.Difference{Table: t.table, Row: key, What: d.what})
				return nil
			})
			if err != nil {
				return nil, fmt.Errorf("comparing %s: %w", t.table, err)
			}
		}
	}
	_, err = again.conn.ExecContext(ctx, "ROLLBACK")
	return out, err
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
