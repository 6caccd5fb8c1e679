package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/tables"
)

// Reproject implements store.Store. The rows are written into temporary tables of the same names, which come before the
// others in the search path, in a transaction that is rolled back.
func (s *Store) Reproject(ctx context.Context) (out []store.Difference, err error) {
	err = s.snapshot(ctx, pgx.ReadWrite, func(tx db) error {
		var schema string
		if err := tx.q.(pgx.Tx).QueryRow(ctx, `SELECT quote_ident(nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = 'entry'::regclass`).Scan(&schema); err != nil {
			return err
		}
		for _, t := range tables.Projected {
			if err := tx.Exec(ctx, fmt.Sprintf("CREATE TEMPORARY TABLE %s (LIKE %s.%[1]s INCLUDING INDEXES)", t.Name, schema)); err != nil {
				return err
			}
		}
		w := newWriter()
		err := s.On(tx).Reproject(ctx, w, func() error {
			var b pgx.Batch
			w.queue(&b)
			defer w.reset()
			return tx.q.(pgx.Tx).SendBatch(ctx, &b).Close()
		})
		if err != nil {
			return err
		}
		out, err = tables.Compare(ctx, tx, schema, "pg_temp")
		return err
	})
	return out, err
}
