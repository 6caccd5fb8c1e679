package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// patience is how long an import goes on trying to write one batch where the ledger is too busy or the database restarts:
// whoever files a deal is told to come back after three seconds, but to begin a long import anew helps nobody.
const patience = time.Minute

// putPatiently is putRows, again and again while nothing was written for a reason that passes.
func (e *Engine) putPatiently(ctx context.Context, q Request, batch []ImportRow) (got PutResult, rejected map[int]deal.FieldErrors, err error) {
	for from := time.Now(); ; {
		got, rejected, err = e.putRows(ctx, q, batch, false)
		if !errors.Is(err, store.ErrRetry) || errors.Is(err, store.ErrUnknown) || ctx.Err() != nil || time.Since(from) > patience {
			return got, rejected, err
		}
	}
}

// Doubt is something that rows say and may not mean. They have landed, and it is a person's to look.
type Doubt struct {
	Line   int    `json:"line"` // of the first row that says it
	Field  string `json:"field"`
	Detail string `json:"detail"`
	Rows   int    `json:"rows"` // how many rows say it
}

// maxDoubts is how many different ones are kept of one import.
const maxDoubts = 100

// doubt takes one in, with those that say the same.
func (r *PutResult) doubt(d Doubt) {
	i := slices.IndexFunc(r.Doubts, func(known Doubt) bool { return known.Field == d.Field && known.Detail == d.Detail })
	switch {
	case i >= 0:
		r.Doubts[i].Rows += d.Rows
	case len(r.Doubts) < maxDoubts:
		r.Doubts = append(r.Doubts, d)
	}
}

// Add takes in what another put did, of rows that come later.
func (r *PutResult) Add(later PutResult) {
	r.Created += later.Created
	r.Updated += later.Updated
	r.Unchanged += later.Unchanged
	for _, d := range later.Doubts {
		r.doubt(d)
	}
}

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
			rejected = read(e, func(v *view) (bad map[int]deal.FieldErrors) { _, got, bad = mergeRows(v, batch, e.now()); return bad })
		} else {
			var err error
			if got, rejected, err = e.putPatiently(ctx, q, batch); err != nil {
				return err
			}
		}
		for i := range batch {
			if errs := rejected[i]; errs != nil {
				reject(batch[i].Line, errs)
			}
		}
		total.Add(got)
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
