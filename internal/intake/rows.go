package intake

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// badRowError is what is wrong with the form of one row. Reading can go on after it.
type badRowError string

func (e badRowError) Error() string { return string(e) }

// rowReader cuts a stream into rows and CSV rows into cells. encoding/csv is not used because it has no limit on the
// length of a row: one quote never closed would draw the rest of the file into memory, and lose it.
type rowReader struct {
	in      *bufio.Reader
	damaged bool // the text was converted, and U+FFFD in it marks what could not be
	comma   byte // 0 until the header line has shown it
	line    int  // lines consumed so far

	buf   []byte // the part of the stream being looked at; buf[:pos] is consumed
	pos   int
	eof   bool
	err   error // of the stream; it stays, because a reader need not repeat it
	cells [][]byte
	clean []byte // unquoted text of the current row
}

// more reads on, so that buf grows. It reports false at the end of the stream.
func (r *rowReader) more() (bool, error) {
	if r.eof || r.err != nil {
		return false, r.err
	}
	if r.pos > 0 {
		r.buf = r.buf[:copy(r.buf, r.buf[r.pos:])]
		r.pos = 0
	}
	if cap(r.buf)-len(r.buf) < 4<<10 {
		grown := make([]byte, len(r.buf), max(64<<10, 2*cap(r.buf)))
		copy(grown, r.buf)
		r.buf = grown
	}
	for range 100 { // as bufio: a reader that returns nothing a hundred times is broken
		n, err := r.in.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		if errors.Is(err, io.EOF) {
			r.eof = true
			return n > 0, nil
		}
		if err != nil {
			r.err = fmt.Errorf("read: %w", err)
			return false, r.err
		}
		if n > 0 {
			return true, nil
		}
	}
	r.err = fmt.Errorf("read: %w", io.ErrNoProgress)
	return false, r.err
}

// physical returns the next line without its line break and how many bytes it takes with it, consuming nothing. At
// the end of the stream it returns io.EOF. A line over the limit is consumed and returned as a fault.
func (r *rowReader) physical() (line []byte, size int, err error) {
	for from := 0; ; {
		rest := r.buf[r.pos:]
		if i := bytes.IndexByte(rest[from:], '\n'); i >= 0 {
			i += from
			return bytes.TrimSuffix(rest[:i], []byte("\r")), i + 1, nil
		}
		from = len(rest)
		if from > MaxRow {
			return nil, 0, r.discard()
		}
		ok, err := r.more()
		switch {
		case err != nil:
			return nil, 0, err
		case !ok && from == 0:
			return nil, 0, io.EOF
		case !ok:
			return bytes.TrimSuffix(r.buf[r.pos:], []byte("\r")), from, nil
		}
	}
}

// discard consumes a line that is over the limit, in pieces, and returns the fault.
func (r *rowReader) discard() error {
	for {
		if i := bytes.IndexByte(r.buf[r.pos:], '\n'); i >= 0 {
			r.pos += i + 1
			break
		}
		r.pos = len(r.buf)
		ok, err := r.more()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
	}
	r.line++
	return badRowError(fmt.Sprintf("is longer than %d bytes", MaxRow))
}

// consume moves past size bytes that hold n line breaks.
func (r *rowReader) consume(size, n int) {
	r.pos += size
	r.line += n
}

// nextLine returns the next line and its number. It is valid until the next call.
func (r *rowReader) nextLine() ([]byte, int, error) {
	at := r.line + 1
	line, size, err := r.physical()
	if err != nil {
		return nil, at, err
	}
	r.consume(size, 1)
	if len(line) > MaxRow {
		return nil, at, badRowError(fmt.Sprintf("is longer than %d bytes", MaxRow))
	}
	return line, at, nil
}

// next returns the cells of the next row, trimmed, and the line it starts at. They are valid until the next call.
// After a row whose quotes are wrong, reading goes on with the next physical line, so that one stray quote costs one
// row and not all that follow it. header makes the row show which delimiter the file uses.
func (r *rowReader) next(header bool) ([][]byte, int, error) {
	at := r.line + 1
	line, size, err := r.physical()
	if err != nil {
		return nil, at, err
	}
	if header {
		r.comma = sniff(line)
	}
	if bytes.IndexByte(line, '"') < 0 {
		r.consume(size, 1)
		if len(line) > MaxRow {
			return nil, at, badRowError(fmt.Sprintf("is longer than %d bytes", MaxRow))
		}
		r.cells = r.cells[:0]
		for {
			i := bytes.IndexByte(line, r.comma)
			if i < 0 {
				break
			}
			r.cells = append(r.cells, bytes.TrimSpace(line[:i]))
			line = line[i+1:]
		}
		r.cells = append(r.cells, bytes.TrimSpace(line))
		return r.cells, at, nil
	}
	return r.quoted(at, size)
}

// quoted is next for a row with quotes, which may span lines. size is that of its first line, to go on after if the
// row is broken.
func (r *rowReader) quoted(at, size int) ([][]byte, int, error) {
	fault := func(format string, args ...any) ([][]byte, int, error) {
		if r.err != nil {
			return nil, at, r.err
		}
		r.consume(size, 1)
		return nil, at, badRowError(fmt.Sprintf(format, args...))
	}
	// Cells are kept as offsets into clean until the row is complete: clean may move while it grows.
	type span struct{ from, to int }
	var spans []span
	r.clean = r.clean[:0]
	breaks := 0
	i := 0               // offset from pos
	peek := func() int { // the byte at i, or -1 at the end of the stream
		for r.pos+i >= len(r.buf) {
			if ok, err := r.more(); err != nil || !ok {
				return -1
			}
		}
		return int(r.buf[r.pos+i])
	}
	for {
		from := len(r.clean)
		wasQuoted := false
		if peek() == '"' {
			wasQuoted = true
			i++
		inside:
			for {
				if i > MaxRow {
					return fault("has a quote in cell %d that is not closed within %d bytes", len(spans)+1, MaxRow)
				}
				switch c := peek(); c {
				case -1:
					return fault("has a quote in cell %d that is never closed", len(spans)+1)
				case '"':
					i++
					if peek() != '"' {
						break inside
					}
					r.clean = append(r.clean, '"')
				case '\n':
					breaks++
					r.clean = append(bytes.TrimSuffix(r.clean, []byte("\r")), '\n')
				default:
					r.clean = append(r.clean, byte(c))
				}
				i++
			}
		}
		to := len(r.clean)
		for { // the rest of the cell: all of it when it is not quoted, nothing but spaces when it was
			if i > MaxRow {
				return fault("is longer than %d bytes", MaxRow)
			}
			c := peek()
			if c == -1 || c == '\n' || c == int(r.comma) {
				break
			}
			if wasQuoted && c != ' ' && c != '\r' {
				return fault("has text after the closing quote of cell %d; a quote inside a quoted cell is written twice", len(spans)+1)
			}
			if !wasQuoted {
				r.clean = append(r.clean, byte(c))
				to = len(r.clean)
			}
			i++
		}
		spans = append(spans, span{from, to})
		c := peek()
		if c == int(r.comma) {
			i++
			continue
		}
		if c == '\n' {
			i++
		}
		break
	}
	if r.err != nil {
		return nil, at, r.err
	}
	r.cells = r.cells[:0]
	for _, s := range spans {
		r.cells = append(r.cells, bytes.TrimSpace(r.clean[s.from:s.to]))
	}
	r.consume(i, breaks+1)
	return r.cells, at, nil
}

// sniff returns the delimiter a header line uses: the one it has most of outside quotes.
func sniff(line []byte) byte {
	counts := map[byte]int{}
	inside := false
	for _, c := range line {
		switch c {
		case '"':
			inside = !inside
		case ',', ';', '\t':
			if !inside {
				counts[c]++
			}
		}
	}
	best := byte(',')
	for _, c := range []byte{';', '\t'} {
		if counts[c] > counts[best] {
			best = c
		}
	}
	return best
}
