package engine

import (
	"context"
	"errors"

	"github.com/dibs-deals/dibs/internal/deal"
)

// ImportRow is one row of a stream of reference data.
type ImportRow struct {
	Line   int
	Record deal.Record
	Merge  func(stored, row deal.Record) deal.Record // combines it with what is stored; nil: it replaces it
}

// ImportRows puts a stream of rows in batches. Rows that turn out wrong are given to reject with their line; the others
// of their batch still land. With dryRun rows are merged and checked and nothing is committed; a row whose key came in
// an earlier batch is then checked against what is stored, not against that row.
func ImportRows(ctx context.Context, e *Engine, q Request, dryRun bool, rows func(put func(ImportRow) error) error, reject func(line int, errs deal.FieldErrors)) (PutResult, error) {
	var total PutResult
	batch := make([]ImportRow, 0, MaxRows)
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		var got PutResult
		var rejected map[int]deal.FieldErrors
		if dryRun {
			rejected = read(e, func(v *view) (bad map[int]deal.FieldErrors) { _, got, bad = mergeRows(v, batch); return bad })
		} else {
			var err error
			if got, rejected, err = e.putRows(ctx, q, batch, false); err != nil {
				return err
			}
		}
		for i := range batch {
			if errs := rejected[i]; errs != nil {
				reject(batch[i].Line, errs)
			}
		}
		total.Created += got.Created
		total.Updated += got.Updated
		total.Unchanged += got.Unchanged
		batch = make([]ImportRow, 0, MaxRows) // the engine may still hold the one before
		return nil
	}
	err := rows(func(r ImportRow) error {
		if len(batch) == MaxRows {
			if err := flush(); err != nil {
				return err
			}
		}
		batch = append(batch, r)
		return ctx.Err()
	})
	return total, errors.Join(err, flush())
}
