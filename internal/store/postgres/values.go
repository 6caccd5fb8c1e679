package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/tables"
)

// db lends a connection or a transaction to what is shared with other engines.
type db struct {
	q interface {
		Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
		Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	}
}

// Query implements tables.Querier.
func (d db) Query(ctx context.Context, query string, args ...any) (tables.Rows, error) {
	rows, err := d.q.Query(ctx, numbered(query), bind(args)...)
	if err != nil {
		return nil, err
	}
	return &cursor{Rows: rows}, nil
}

// readers is the pool of read connections.
type readers struct{ *pgxpool.Pool }

// Query implements tables.Querier. A connection that turns out to be lost before its first row, such as one from before a
// restart of the server, is asked no more, nor are those like it, and the question is asked again.
func (r readers) Query(ctx context.Context, query string, args ...any) (tables.Rows, error) {
	args = bind(args)
	for again := false; ; again = true {
		rows, err := r.Pool.Query(ctx, numbered(query), args...)
		c := &cursor{Rows: rows}
		if err == nil {
			if c.first = rows.Next(); c.first {
				return c, nil
			}
			err = rows.Err()
		}
		if err == nil {
			return c, nil
		}
		switch gone := lost(ctx, err); {
		case gone && !again:
			r.Reset()
		case gone || passes(err): // it passes by itself
			return nil, errors.Join(store.ErrRetry, err)
		default:
			return nil, err
		}
	}
}

// lost reports whether err says that a connection is gone, not that it cannot be had.
func lost(ctx context.Context, err error) bool {
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	if ctx.Err() != nil || errors.As(err, &connect) {
		return false
	}
	return !errors.As(err, &pg) || strings.HasPrefix(pg.Code, "57P0")
}

// Exec implements tables.Execer.
func (d db) Exec(ctx context.Context, query string, args ...any) error {
	_, err := d.q.Exec(ctx, numbered(query), bind(args)...)
	return err
}

// cursor gives texts back as they were before bind.
type cursor struct {
	pgx.Rows
	first bool // the first row has been come to already
}

// Next implements tables.Rows.
func (c *cursor) Next() bool {
	if c.first {
		c.first = false
		return true
	}
	return c.Rows.Next()
}

// Scan implements tables.Rows.
func (c *cursor) Scan(dest ...any) error {
	if err := c.Rows.Scan(dest...); err != nil {
		return err
	}
	for _, d := range dest {
		if s, ok := d.(*string); ok {
			*s = unescape(*s)
		}
	}
	return nil
}

// Close implements tables.Rows.
func (c *cursor) Close() error {
	c.Rows.Close()
	return nil
}

// texts holds statements with their arguments numbered. There are few: filters have few forms.
var texts sync.Map

// numbered replaces the marks of arguments by $1, $2, ….
func numbered(query string) string {
	if text, ok := texts.Load(query); ok {
		return text.(string)
	}
	var b strings.Builder
	for i, part := range strings.Split(query, "?") {
		if i > 0 {
			fmt.Fprintf(&b, "$%d", i)
		}
		b.WriteString(part)
	}
	texts.Store(query, b.String())
	return b.String()
}

// bind makes, in place, of arguments what a column can hold.
func bind(args []any) []any {
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = escape(s)
		}
	}
	return args
}

// mark begins, in a text column, what text cannot hold: a byte zero as mark and 0, a byte that is no UTF-8 as mark, x and
// two digits, the mark itself as mark and F. It is a code point that no text has for a letter.
const mark = "\U0010FFFF"

func escape(s string) string {
	if utf8.ValidString(s) && !strings.ContainsAny(s, "\x00"+mark) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, mark+"x%02x", s[0])
		case r == 0:
			b.WriteString(mark + "0")
		case s[:n] == mark:
			b.WriteString(mark + "F")
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

func unescape(s string) string {
	parts := strings.Split(s, mark)
	if len(parts) == 1 {
		return s
	}
	var b strings.Builder
	b.WriteString(parts[0])
	for _, p := range parts[1:] {
		switch {
		case strings.HasPrefix(p, "0"):
			b.WriteByte(0)
			p = p[1:]
		case strings.HasPrefix(p, "F"):
			b.WriteString(mark)
			p = p[1:]
		case strings.HasPrefix(p, "x") && len(p) >= 3:
			var c byte
			if _, err := fmt.Sscanf(p[1:3], "%02x", &c); err == nil {
				b.WriteByte(c)
				p = p[3:]
			}
		}
		b.WriteString(p)
	}
	return b.String()
}

// column collects the values of one column of the rows of a statement.
type column struct {
	tables.Type
	texts pgtype.FlatArray[pgtype.Text]
	ints  pgtype.FlatArray[pgtype.Int8]
	bools pgtype.FlatArray[bool]
	times pgtype.FlatArray[pgtype.Timestamptz]
	bytes pgtype.FlatArray[[]byte]
}

// add appends a value as package tables gives it. A value that does not fit its column is an error.
func (c *column) add(v any) error {
	switch c.Type {
	case tables.Int:
		n := pgtype.Int8{Valid: true}
		switch v := v.(type) {
		case int:
			n.Int64 = int64(v)
		case int64:
			n.Int64 = v
		case uint64:
			n.Int64 = int64(v)
		default:
			return fmt.Errorf("%T is no number", v)
		}
		c.ints = append(c.ints, n)
	case tables.Bool:
		b, ok := v.(bool)
		if !ok {
			return fmt.Errorf("%T is not true or false", v)
		}
		c.bools = append(c.bools, b)
	case tables.Time:
		t, ok := v.(time.Time)
		if !ok && v != nil {
			return fmt.Errorf("%T is no time", v)
		}
		c.times = append(c.times, pgtype.Timestamptz{Time: t, Valid: ok})
	case tables.Bytes:
		b, ok := v.([]byte)
		if !ok {
			return fmt.Errorf("%T is not bytes", v)
		}
		c.bytes = append(c.bytes, b)
	default:
		switch v := v.(type) {
		case nil:
			c.texts = append(c.texts, pgtype.Text{})
		case string:
			c.texts = append(c.texts, pgtype.Text{String: escape(v), Valid: true})
		case tables.JSON:
			c.texts = append(c.texts, pgtype.Text{String: string(v), Valid: true})
		default:
			return fmt.Errorf("%T is no text", v)
		}
	}
	return nil
}

// argument returns the values as one array.
func (c *column) argument() any {
	switch c.Type {
	case tables.Int:
		return c.ints
	case tables.Bool:
		return c.bools
	case tables.Time:
		return c.times
	case tables.Bytes:
		return c.bytes
	}
	return c.texts
}

// arrayOf is how a column's values are sent, and the cast they need to become the column's.
func arrayOf(t tables.Type) (array, cast string) {
	switch t {
	case tables.Int:
		return "bigint[]", ""
	case tables.Bool:
		return "boolean[]", ""
	case tables.Time:
		return "timestamptz[]", ""
	case tables.Bytes:
		return "bytea[]", ""
	case tables.Decimal:
		return "text[]", "::numeric"
	case tables.Date:
		return "text[]", "::date"
	case tables.Doc:
		return "text[]", "::json"
	}
	return "text[]", ""
}
