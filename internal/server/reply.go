package server

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// reply is an answer, for any operation: visit.go makes it one of the generated response types of each. Bodies are
// bytes, because the answer to a registration is recorded and must leave as it was recorded.
type reply struct {
	status int
	media  string
	header [][2]string
	body   []byte
	stream func(w io.Writer) error // instead of body
}

func (r reply) write(w http.ResponseWriter) error {
	h := w.Header()
	if r.media != "" {
		h.Set("Content-Type", r.media)
	}
	for _, kv := range r.header {
		h.Set(kv[0], kv[1])
	}
	w.WriteHeader(r.status)
	if r.stream == nil {
		_, err := w.Write(r.body)
		return err
	}
	if err := r.stream(w); err != nil {
		// The status has gone. An export that ended here would look complete; a broken connection does not.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// answer renders v as JSON.
func answer(status int, v any) (reply, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return reply{}, err
	}
	return reply{status: status, media: "application/json", body: append(b, '\n')}, nil
}

// ok answers 200 with v as JSON.
func ok(v any) (reply, error) { return answer(http.StatusOK, v) }

// warn adds what the caller is told that did as it was asked.
func (r *reply) warn(said ...string) {
	r.header = append(r.header, [2]string{"Dibs-Warning", strings.Trim(strconv.QuoteToASCII(strings.Join(said, "; ")), `"`)})
}

// whole answers with a list that has no pages.
func whole[T any](items []T) (reply, error) {
	if items == nil {
		items = []T{}
	}
	return ok(struct {
		Items      []T     `json:"items"`
		NextCursor *string `json:"next_cursor"`
	}{Items: items})
}

// text answers with bytes as they are.
func text(media string, b []byte) reply { return reply{status: http.StatusOK, media: media, body: b} }

// The media types of an export.
const (
	mediaCSV    = "text/csv"
	mediaNDJSON = "application/x-ndjson"
)

// wants returns the first of the media types the call's Accept header names, or "". JSON is the default everywhere, so
// what is not named is not wanted; weights are not read.
func (c *call) wants(types ...string) string {
	for part := range strings.SplitSeq(c.header.Get("Accept"), ",") {
		media, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		for _, t := range types {
			if strings.EqualFold(media, t) {
				return t
			}
		}
	}
	return ""
}

// column is one column of a CSV export.
type column[T any] struct {
	name  string
	value func(T) string
}

// exportRows streams pages of rows to w, in the given form. Rows leave page by page, so an export of any size takes
// the memory of one page.
func exportRows[T any](c *call, media string, columns []column[T], pages func(yield func([]T) error) error) func(io.Writer) error {
	return func(w io.Writer) error {
		var row func(T) error
		flush := func() error { return nil }
		if media == mediaCSV {
			cw := csv.NewWriter(w)
			cw.UseCRLF = true // RFC 4180
			line := make([]string, len(columns))
			for i, col := range columns {
				line[i] = col.name
			}
			if err := cw.Write(line); err != nil {
				return err
			}
			row = func(t T) error {
				for i, col := range columns {
					line[i] = inert(col.value(t))
				}
				return cw.Write(line)
			}
			flush = func() error { cw.Flush(); return cw.Error() }
		} else {
			enc := json.NewEncoder(w)
			row = func(t T) error { return enc.Encode(t) }
		}
		err := pages(func(rows []T) error {
			_ = c.http.SetWriteDeadline(time.Now().Add(streamTimeout)) // a recorder has none; a connection that is gone fails on write
			for _, r := range rows {
				if err := row(r); err != nil {
					return err
				}
			}
			return flush()
		})
		if err != nil {
			return err
		}
		return flush()
	}
}

// inert keeps a spreadsheet from running a cell: text that would start a formula is quoted.
func inert(cell string) string {
	for _, start := range []string{"=", "+", "-", "@", "\t", "\r", "\x00", "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(cell, start) {
			return "'" + cell
		}
	}
	return cell
}
