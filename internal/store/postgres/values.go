package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
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
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 && !strings.Contains(s, mark) {
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

// column collects the values of one column of the rows of a statement, as the array in which they are sent: in PostgreSQL's binary form of one.
type column struct {
	tables.Type
	array []byte
	n     uint32 // values so far
	nulls bool   // one of them is none
}

// header is what comes before the values of an array: how many dimensions, whether there are nulls, the type, and how many there are from which on.
const header = 20

// epoch is PostgreSQL's, in microseconds of Unix time.
const epoch = 946_684_800_000_000

// reset makes the column that of another statement. What it has grown to is kept, if that is not much.
func (c *column) reset() {
	if c.n, c.nulls = 0, false; cap(c.array) > maxKept {
		c.array = nil
	}
	c.array = append(c.array[:0], make([]byte, header)...)
}

func (c *column) text(s string) {
	c.array = binary.BigEndian.AppendUint32(c.array, uint32(len(s)))
	c.array = append(c.array, s...)
}

func (c *column) number(n int64) {
	c.array = binary.BigEndian.AppendUint32(c.array, 8)
	c.array = binary.BigEndian.AppendUint64(c.array, uint64(n))
}

func (c *column) null() {
	c.array = binary.BigEndian.AppendUint32(c.array, math.MaxUint32)
	c.nulls = true
}

// add appends a value as package tables gives it. A value that does not fit its column is an error.
func (c *column) add(v any) error {
	switch c.Type {
	case tables.Int:
		switch v := v.(type) {
		case int:
			c.number(int64(v))
		case int64:
			c.number(v)
		case uint64:
			c.number(int64(v))
		default:
			return fmt.Errorf("%T is no number", v)
		}
	case tables.Bool:
		b, ok := v.(bool)
		if !ok {
			return fmt.Errorf("%T is not true or false", v)
		}
		if b {
			c.text("\x01")
		} else {
			c.text("\x00")
		}
	case tables.Time:
		switch v := v.(type) {
		case nil:
			c.null()
		case time.Time:
			c.number(v.UnixMicro() - epoch)
		default:
			return fmt.Errorf("%T is no time", v)
		}
	case tables.Bytes:
		b, ok := v.([]byte)
		switch {
		case !ok:
			return fmt.Errorf("%T is not bytes", v)
		case b == nil:
			c.null()
		default:
			c.array = binary.BigEndian.AppendUint32(c.array, uint32(len(b)))
			c.array = append(c.array, b...)
		}
	default:
		switch v := v.(type) {
		case nil:
			c.null()
		case string:
			c.text(escape(v))
		case tables.JSON:
			c.array = binary.BigEndian.AppendUint32(c.array, uint32(len(v)))
			c.array = append(c.array, v...)
		default:
			return fmt.Errorf("%T is no text", v)
		}
	}
	c.n++
	return nil
}

// finish writes the header of the array.
func (c *column) finish() {
	binary.BigEndian.PutUint32(c.array, 1)
	if c.nulls {
		binary.BigEndian.PutUint32(c.array[4:], 1)
	}
	binary.BigEndian.PutUint32(c.array[8:], elementOf(c.Type))
	binary.BigEndian.PutUint32(c.array[12:], c.n)
	binary.BigEndian.PutUint32(c.array[16:], 1)
}

// array is an argument of a statement as it is sent: a part of all of them, which begins where the one before it ends.
type array struct {
	all      []byte
	from, to int
}

// arrays sends an array that is written already as it is, and others as the codec it is of does.
type arrays struct{ pgtype.Codec }

// PlanEncode implements pgtype.Codec.
func (c arrays) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if _, ok := value.(array); ok && format == pgtype.BinaryFormatCode {
		return c
	}
	return c.Codec.PlanEncode(m, oid, format, value)
}

// Encode implements pgtype.EncodePlan. What is appended to the arguments before it is there already.
func (c arrays) Encode(value any, buf []byte) ([]byte, error) {
	a := value.(array)
	if len(buf) == a.from && (a.from == 0 || &buf[0] == &a.all[0]) {
		return a.all[:a.to:a.to], nil
	}
	return append(buf, a.all[a.from:a.to]...), nil
}

// registerArrays has a connection send arrays that are written already.
func registerArrays(m *pgtype.Map) {
	for _, oid := range []uint32{pgtype.Int8ArrayOID, pgtype.BoolArrayOID, pgtype.TimestamptzArrayOID, pgtype.ByteaArrayOID, pgtype.TextArrayOID} {
		if t, ok := m.TypeForOID(oid); ok {
			m.RegisterType(&pgtype.Type{Name: t.Name, OID: oid, Codec: arrays{t.Codec}})
		}
	}
}

// elementOf is the type of the values of a column's array.
func elementOf(t tables.Type) uint32 {
	switch t {
	case tables.Int:
		return pgtype.Int8OID
	case tables.Bool:
		return pgtype.BoolOID
	case tables.Time:
		return pgtype.TimestamptzOID
	case tables.Bytes:
		return pgtype.ByteaOID
	}
	return pgtype.TextOID
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
