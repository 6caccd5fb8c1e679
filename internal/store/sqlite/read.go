package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/tables"
)

// snapshot is a read transaction.
type snapshot struct{ *sql.Tx }

// Query implements tables.Querier.
func (s snapshot) Query(ctx context.Context, query string, args ...any) (tables.Rows, error) {
	return s.QueryContext(ctx, query, bind(args)...)
}

// Load implements store.Store.
func (s *Store) Load(ctx context.Context, v store.Visitor, base store.Base) (store.Head, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return store.Head{}, fmt.Errorf("loading: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	return s.On(snapshot{tx}).Load(ctx, v, base)
}
