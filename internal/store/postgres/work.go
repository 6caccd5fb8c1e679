package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/tables"
)

// work writes beside the ledger, on a connection that commits do not need. Like a commit it counts once the standbys have
// it: then they have what it follows from. A warning means that they may not, and the work is not begun.
func (s *Store) work(ctx context.Context, do func(context.Context, tables.Work) error) error {
	conn, err := s.read.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connecting to the database: %w", err)
	}
	defer conn.Release()
	warnings := conn.Conn().PgConn().CustomData()
	delete(warnings, warning)
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}, func(tx pgx.Tx) error {
		if err := do(ctx, tables.Work{DB: db{tx}, Lock: " FOR UPDATE", SkipLocked: " FOR UPDATE SKIP LOCKED"}); err != nil {
			return err
		}
		return s.hook("beside")
	})
	if said, warned := warnings[warning]; warned && err == nil {
		return errors.Join(store.ErrUnknown, fmt.Errorf("the server committed, and warned: %s", said))
	}
	switch {
	case err != nil && lost(ctx, err) && conn.Conn().IsClosed():
		s.read.Reset()
		return errors.Join(store.ErrRetry, err)
	case passes(err):
		return errors.Join(store.ErrRetry, err)
	}
	return err
}
