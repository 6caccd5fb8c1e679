package intake

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/dibs-deals/dibs/internal/deal"
)

// MaxRow is the longest row accepted, in bytes of UTF-8. A row of reference data is far below it; what is above is a
// quote that was never closed, or not this kind of file.
const MaxRow = 1 << 20

// Row is one row of a file, parsed and checked as far as it can be checked by itself.
type Row struct {
	Line    int             // the physical line the row starts at, counted from 1
	Record  deal.Record     // holds the zero value in fields the row does not give
	Present map[string]bool // the fields the row gives, by their JSON names; shared between rows, so read it only
}

// RowError is everything wrong with one row. The rows around it are not affected.
type RowError struct {
	Line int              // the physical line the row starts at, counted from 1
	Errs deal.FieldErrors // a field is named by our name for it; what concerns the row as a whole is named "row"
}

func (e *RowError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Errs.Error()) }

// Unwrap gives errors.As the fields.
func (e *RowError) Unwrap() error { return e.Errs }

// Header says how a file was understood, before its first row.
type Header struct {
	Format    string            // csv or ndjson
	Delimiter rune              // of CSV: comma, semicolon or tab
	Columns   map[string]string // of CSV: the file's header → the field it feeds
	Ignored   []string          // of CSV: headers that feed no field, as the file writes them
}

// Option changes how a file is read.
type Option func(*options)

type options struct {
	header   func(Header)
	currency string
}

// OnHeader has f called once, before the first row, with how the file was understood.
func OnHeader(f func(Header)) Option { return func(o *options) { o.header = f } }

// DefaultCurrency is the currency of amounts that have none of their own, as in exports of a CRM that knows one
// currency only. Without it such an amount is an error of its row.
func DefaultCurrency(code string) Option { return func(o *options) { o.currency = code } }

// Read streams the rows of r, in order, to yield, which gets either a row or what is wrong with one; it stops early
// when yield returns false. The format is csv, ndjson or auto, which looks at the first character. An error of Read
// itself concerns the file: what yield has seen by then was right, and the rest was not read.
//
// A row is checked as far as it goes: what a blank cell may mean depends on what is stored, so whether a required
// field is missing shows only when the result of Merge is validated. The fields of the key are always required.
func Read(r io.Reader, kind deal.RecordKind, format string, yield func(Row, *RowError) bool, opts ...Option) error {
	s, ok := schemas[kind]
	if !ok {
		return fmt.Errorf("%q is not a kind of record; one of %v", kind, deal.RecordKinds)
	}
	sets := map[uint64]map[string]bool{} // a file has few patterns of blanks and many rows
	return read(r, s, format, func(line int, rec any, present uint64, errs deal.FieldErrors) bool {
		if len(errs) > 0 {
			return yield(Row{}, &RowError{line, errs})
		}
		if sets[present] == nil {
			sets[present] = s.names(present)
		}
		return yield(Row{Line: line, Record: rec.(deal.Record), Present: sets[present]}, nil)
	}, opts)
}

// Merge returns the stored record with the row's fields on top: the result of an upsert. Without a stored record it
// is the row's own. Neither argument is changed; the result is to be validated, because only now are all its fields
// known. Both records are of one kind, or Merge panics.
func Merge(stored, row deal.Record, present map[string]bool) deal.Record {
	if stored == nil {
		return row
	}
	if stored.Kind() != row.Kind() {
		panic("intake: merging " + string(row.Kind()) + " into " + string(stored.Kind()))
	}
	s := schemas[row.Kind()]
	out := s.clone(stored)
	for i := range s.fields {
		if present[s.fields[i].name] {
			s.fields[i].copy(out, row)
		}
	}
	return out.(deal.Record)
}

// take is given each row of any schema: a record and its present fields, or errors.
type take func(line int, rec any, present uint64, errs deal.FieldErrors) bool

func read(r io.Reader, s *schema, format string, row take, opts []Option) error {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	in := bufio.NewReaderSize(r, 64<<10)
	damaged := false // whether a replacement character in the text means that the file is broken
	start, err := in.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read: %w", err)
	}
	switch {
	case strings.HasPrefix(string(start), "\xef\xbb\xbf"):
		_, _ = in.Discard(3) // peeked above
	case strings.HasPrefix(string(start), "\xff\xfe"), strings.HasPrefix(string(start), "\xfe\xff"):
		in = bufio.NewReaderSize(transform.NewReader(in, unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder()), 64<<10)
		damaged = true
	}
	first, err := firstByte(in)
	if err != nil {
		return err
	}
	if format == "auto" || format == "" {
		format = "csv"
		if first == '{' || first == '[' {
			format = "ndjson"
		}
	}
	rows := &rowReader{in: in, damaged: damaged}
	switch format {
	case "csv":
		return readCSV(rows, s, o, row)
	case "ndjson":
		if first == '[' {
			return errors.New("this is a JSON array; send NDJSON, one object per line (jq -c '.[]' makes it)")
		}
		return readNDJSON(rows, s, o, row)
	}
	return fmt.Errorf("format %q is not one of auto, csv, ndjson", format)
}

// firstByte returns the first byte that is not white space, consuming nothing; 0 when there is none in sight.
func firstByte(in *bufio.Reader) (byte, error) {
	for n := 1; n <= in.Size(); n++ {
		b, err := in.Peek(n)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return 0, nil
			}
			return 0, fmt.Errorf("read: %w", err)
		}
		if c := b[n-1]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, nil
		}
	}
	return 0, nil
}

// readCSV reads the header, binds its columns to fields, and gives every row after it to row.
func readCSV(in *rowReader, s *schema, o options, row take) error {
	var b *binding
	for {
		cells, line, err := in.next(b == nil)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if bad, ok := errors.AsType[badRowError](err); ok && b != nil {
				if !row(line, nil, 0, deal.FieldErrors{{Field: "row", Detail: string(bad)}}) {
					return nil
				}
				continue
			}
			return fmt.Errorf("line %d: %w", line, err)
		}
		if blank(cells) {
			continue
		}
		if b == nil {
			if b, err = s.bind(cells); err != nil {
				return fmt.Errorf("line %d: %w", line, err)
			}
			if o.header != nil {
				h := b.header
				h.Delimiter = rune(in.comma)
				o.header(h)
			}
			continue
		}
		rec, present, errs := b.parse(cells, in.damaged, o)
		if !row(line, rec, present, errs) {
			return nil
		}
	}
	if b == nil {
		return fmt.Errorf("the file is empty: its first line must name the columns %s", strings.Join(s.known(), ", "))
	}
	return nil
}

func blank(cells [][]byte) bool {
	for _, c := range cells {
		if len(c) > 0 {
			return false
		}
	}
	return true
}

// parse makes a record of the cells of one row.
func (b *binding) parse(cells [][]byte, damaged bool, o options) (any, uint64, deal.FieldErrors) {
	var errs deal.FieldErrors
	if len(cells) < b.width {
		errs.Add("row", "has %d cells where the header has %d; a line break or a delimiter inside a cell needs quotes around the cell", len(cells), b.width)
		return nil, 0, errs
	}
	if !blank(cells[b.width:]) {
		errs.Add("row", "has %d cells where the header has %d; a delimiter inside a cell needs quotes around the cell", len(cells), b.width)
		return nil, 0, errs
	}
	rec := b.schema.empty()
	var present uint64
	for _, c := range b.columns {
		var cell []byte
		for _, at := range c.at {
			if cell = cells[at]; len(cell) > 0 {
				break
			}
		}
		if len(cell) == 0 {
			continue
		}
		if !utf8.Valid(cell) {
			errs.Add(c.field.name, "is not valid UTF-8; save the file as UTF-8")
			continue
		}
		text := string(cell)
		if damaged && strings.ContainsRune(text, utf8.RuneError) {
			errs.Add(c.field.name, "holds a damaged UTF-16 character; export the file again")
			continue
		}
		given, err := c.field.cell(rec, text)
		if err != nil {
			errs.Add(c.field.name, "%s", err)
		}
		if given {
			present |= c.field.bit
		}
	}
	errs = append(errs, b.schema.finish(rec, &present, errs, o)...)
	return rec, present, errs
}
