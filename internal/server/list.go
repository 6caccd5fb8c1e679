package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// The size of a page.
const (
	defaultLimit = 50
	exportPage   = 500
)

// listing is how one kind of row is listed: the same query gives a page, or an export of everything it selects.
type listing[T any] struct {
	filter  any // what the rows are selected by; a cursor is good for this filter only
	fetch   func(ctx context.Context, p store.Page) ([]T, error)
	key     func(T) string
	columns []column[T] // nil: no CSV
}

// list answers a list call.
func list[T any](ctx context.Context, cursor string, limit int, l listing[T]) (reply, error) {
	c := callOf(ctx)
	bind, err := l.fingerprint(c)
	if err != nil {
		return reply{}, err
	}
	after, err := openCursor(bind, cursor)
	if err != nil {
		return reply{}, err
	}
	media := c.wants(mediaNDJSON)
	if l.columns != nil {
		media = c.wants(mediaNDJSON, mediaCSV)
	}
	if media != "" {
		return l.export(ctx, c, media, after, limit)
	}
	if limit == 0 {
		limit = defaultLimit
	}
	rows, err := l.fetch(ctx, store.Page{After: after, Limit: limit + 1})
	if err != nil {
		return reply{}, err
	}
	out := struct {
		Items      []T     `json:"items"`
		NextCursor *string `json:"next_cursor"`
	}{Items: rows}
	if len(rows) > limit {
		out.Items = rows[:limit]
		next := sealCursor(bind, l.key(rows[limit-1]))
		out.NextCursor = &next
	}
	if out.Items == nil {
		out.Items = []T{}
	}
	return answer(http.StatusOK, out)
}

// export answers with every row after the cursor, or with the first limit of them if limit was given. The first page
// is read before the status is sent, so that what fails at once fails properly.
func (l listing[T]) export(ctx context.Context, c *call, media, after string, limit int) (reply, error) {
	size := exportPage
	if limit > 0 {
		size = limit
	}
	rows, err := l.fetch(ctx, store.Page{After: after, Limit: size})
	if err != nil {
		return reply{}, err
	}
	pages := func(yield func([]T) error) error {
		for {
			if err := yield(rows); err != nil || len(rows) < size || limit > 0 {
				return err
			}
			var err error
			if rows, err = l.fetch(ctx, store.Page{After: l.key(rows[len(rows)-1]), Limit: size}); err != nil {
				return err
			}
		}
	}
	name := map[string]string{mediaCSV: "export.csv", mediaNDJSON: "export.ndjson"}[media]
	return reply{
		status: http.StatusOK, media: media + "; charset=utf-8",
		header: [][2]string{{"Content-Disposition", `attachment; filename="` + name + `"`}},
		stream: exportRows(c, media, l.columns, pages),
	}, nil
}

// fingerprint names the query a cursor belongs to: operation, filter, and whom the caller may see.
func (l listing[T]) fingerprint(c *call) ([]byte, error) {
	b, err := json.Marshal([]any{c.op.id, l.filter, c.partners()})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	return sum[:6], nil
}

// A cursor is the key of the last row, behind the fingerprint of its query. It grants nothing: the next page is
// selected by the filter and the API key like the first.
func sealCursor(bind []byte, key string) string {
	return base64.RawURLEncoding.EncodeToString(append(bind[:len(bind):len(bind)], key...))
}

func openCursor(bind []byte, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) < len(bind) || string(b[:len(bind)]) != string(bind) {
		p := problem{code: "bad-parameter", detail: "the cursor belongs to another list or other filters; start again without it"}
		p.errors = deal.FieldErrors{{Field: "cursor", Detail: "is not a next_cursor of this list with these filters"}}
		return "", p
	}
	return string(b[len(bind):]), nil
}
