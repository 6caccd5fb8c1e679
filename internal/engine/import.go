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
// of their batch still land. With dryRun rows are merged and checked and nothing is committed.
func ImportRows(ctx context.Context, e *Engine, q Request, dryRun bool, rows func(put func(ImportRow) error) error, reject func(line int, errs deal.FieldErrors)) (PutResult, error) {
	var total PutResult
	batch := make([]ImportRow, 0, MaxRows)
	keys := make(map[string]bool, MaxRows)
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		var got PutResult
		rejected := map[int]deal.FieldErrors{}
		if dryRun {
			for i, r := range batch {
				row := r.Record
				if r.Merge != nil {
					row = r.Merge(e.stored(row), row)
				}
				if errs := row.Validate(); len(errs) > 0 {
					rejected[i] = errs
				}
			}
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
		clear(keys)
		return nil
	}
	err := rows(func(r ImportRow) error {
		// A row seen twice is merged onto the first, so the first has to be in before.
		if len(batch) == MaxRows || keys[r.Record.Key()] {
			if err := flush(); err != nil {
				return err
			}
		}
		batch = append(batch, r)
		keys[r.Record.Key()] = true
		return ctx.Err()
	})
	return total, errors.Join(err, flush())
}

// stored returns the row of reference data with the kind and key of r, or nil.
func (e *Engine) stored(r deal.Record) deal.Record {
	return read(e, func(v *view) deal.Record { return v.record(r.Kind(), r.Key()) })
}
