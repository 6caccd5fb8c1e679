package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/intake"
)

// maxRowErrors is how many errors of rows an import lists. It counts them all.
const maxRowErrors = 1000

// importing is one import under way: it gathers good rows into puts, and counts.
type importing struct {
	Created   int            `json:"created"`
	Updated   int            `json:"updated"`
	Unchanged int            `json:"unchanged"`
	Rejected  int            `json:"rejected"`
	Errors    []rowError     `json:"errors"`
	Warnings  []engine.Doubt `json:"warnings"`

	done engine.PutResult

	put  func([]intake.Row) (engine.PutResult, error)
	rows []intake.Row
	keys map[string]bool
}

// rowError is one thing wrong with one row. A row with two of them is still one rejected row.
type rowError struct {
	Line   int    `json:"line"`
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// importRecords upserts a stream of rows. Good rows land in puts of at most engine.MaxRows, each of them whole or not
// at all; bad rows are reported by line. After a failure the same file can be sent again.
func (s *Server) importRecords(ctx context.Context, kind deal.RecordKind, body io.Reader) (reply, error) {
	c := callOf(ctx)
	format := "csv"
	if c.contentType == mediaNDJSON {
		format = "ndjson"
	}
	im := &importing{Errors: []rowError{}, keys: map[string]bool{}, put: func(rows []intake.Row) (engine.PutResult, error) {
		records := make([]deal.Record, len(rows))
		present := make(map[deal.Record]map[string]bool, len(rows))
		for i, r := range rows {
			records[i], present[r.Record] = r.Record, r.Present
		}
		return s.engine.Put(ctx, c.request(), records, func(stored, row deal.Record) deal.Record {
			return intake.Merge(stored, row, present[row])
		})
	}}
	var failed error
	last := 0
	fileErr := intake.Read(body, kind, format, func(r intake.Row, bad *intake.RowError) bool {
		if bad != nil {
			last = bad.Line
			im.reject(bad.Line, bad.Errs)
			return true
		}
		last = r.Line
		failed = im.add(r)
		return failed == nil
	})
	if failed == nil {
		failed = im.flush()
	}
	im.Created, im.Updated, im.Unchanged = im.done.Created, im.done.Updated, im.done.Unchanged
	im.Warnings = append([]engine.Doubt{}, im.done.Doubts...)
	for result, n := range map[string]int{"created": im.Created, "updated": im.Updated, "unchanged": im.Unchanged, "rejected": im.Rejected} {
		s.tel.imported(ctx, kind, result, n)
	}
	if failed != nil {
		return reply{}, failed
	}
	landed := im.Created + im.Updated + im.Unchanged
	if fileErr != nil {
		var size *http.MaxBytesError
		switch {
		case errors.As(fileErr, &size) && landed == 0:
			return reply{}, fileErr
		case errors.As(fileErr, &size):
			im.reject(last+1, deal.FieldErrors{{Field: "file", Detail: fmt.Sprintf("at most %d bytes are read; send the rest by itself", size.Limit)}})
		default:
			im.reject(last+1, deal.FieldErrors{{Field: "file", Detail: clip(fileErr.Error())}})
		}
	}
	if landed == 0 && im.Rejected > 0 {
		return answer(http.StatusUnprocessableEntity, im)
	}
	return ok(im)
}

func (im *importing) reject(line int, errs deal.FieldErrors) {
	im.Rejected++
	for _, e := range errs {
		if len(im.Errors) < maxRowErrors {
			im.Errors = append(im.Errors, rowError{line, e.Field, e.Detail})
		}
	}
}

// add takes one row. Two rows of one key go into two puts: the second is merged into what the first left.
func (im *importing) add(r intake.Row) error {
	if len(im.rows) == engine.MaxRows || im.keys[r.Record.Key()] {
		if err := im.flush(); err != nil {
			return err
		}
	}
	im.rows = append(im.rows, r)
	im.keys[r.Record.Key()] = true
	return nil
}

func (im *importing) flush() error {
	rows := im.rows
	im.rows = nil
	clear(im.keys)
	return im.land(rows)
}

// land puts rows. Whether a row is valid shows when it is merged into what is stored, under the engine's lock; when one
// is not, nothing of the put has landed, and halves are tried until the bad row stands alone.
func (im *importing) land(rows []intake.Row) error {
	if len(rows) == 0 {
		return nil
	}
	done, err := im.put(rows)
	var wrong deal.FieldErrors
	switch {
	case err == nil:
		for i := range done.Doubts {
			done.Doubts[i].Line = rows[done.Doubts[i].Line].Line
		}
		im.done.Add(done)
		return nil
	case !errors.As(err, &wrong):
		return err
	case len(rows) == 1:
		im.reject(rows[0].Line, wrong)
		return nil
	}
	half := len(rows) / 2
	if err := im.land(rows[:half]); err != nil {
		return err
	}
	return im.land(rows[half:])
}
