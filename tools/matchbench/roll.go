package main

import (
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/dibs-deals/dibs/internal/match"
)

// roll keeps records in few pieces of memory, so that the collector, whose work is measured with that of the index, has
// little to look at besides.
type roll struct {
	pieces []string
	last   []byte
	n      int
}

const pieceSize = 8 << 20

func texts(r *match.Record) [9]*string {
	return [...]*string{&r.ID, &r.Country, &r.Region, &r.City, &r.PostalCode, &r.Street, &r.Phone, &r.TaxID, &r.ParentID}
}

func (l *roll) add(r match.Record) {
	if len(l.last) > pieceSize-1<<16 {
		l.close()
	}
	if l.last == nil {
		l.last = make([]byte, 0, pieceSize)
	}
	put := func(s string) {
		l.last = append(binary.AppendUvarint(l.last, uint64(len(s))), s...)
	}
	for _, s := range texts(&r) {
		put(*s)
	}
	for _, all := range [][]string{r.Names, r.Domains} {
		l.last = binary.AppendUvarint(l.last, uint64(len(all)))
		for _, s := range all {
			put(s)
		}
	}
	l.n++
}

// close ends a piece. It is to be called before the records are read.
func (l *roll) close() {
	l.pieces = append(l.pieces, string(l.last))
	l.last = l.last[:0]
}

// all yields the records.
func (l *roll) all() iter.Seq[match.Record] {
	return func(yield func(match.Record) bool) {
		var room []string
		for _, p := range l.pieces {
			number := func() int {
				n := 0
				for shift := 0; ; shift += 7 {
					b := p[0]
					p = p[1:]
					if n |= int(b&127) << shift; b < 128 {
						return n
					}
				}
			}
			text := func() string {
				n := number()
				s := p[:n]
				p = p[n:]
				return s
			}
			list := func() []string {
				n := number()
				if len(room) < n {
					room = make([]string, 1024+n)
				}
				all := room[:n:n]
				room = room[n:]
				for i := range all {
					all[i] = text()
				}
				return all
			}
			for p != "" {
				var r match.Record
				for _, s := range texts(&r) {
					*s = text()
				}
				r.Names, r.Domains = list(), list()
				if !yield(r) {
					return
				}
			}
		}
	}
}

// real are questions that people wrote, of one class, to the accounts of a folder of shared/data.
type real struct {
	accounts []match.Record
	class    map[string][]question
}

// readReal reads accounts.csv and queries.csv of a folder.
func readReal(folder string) (*real, error) {
	out := &real{class: map[string][]question{}}
	for _, file := range []string{"accounts.csv", "queries.csv"} {
		rows, err := table(filepath.Join(folder, file))
		if err != nil {
			return nil, err
		}
		for _, get := range rows {
			r := match.Record{ID: get("id"), Names: []string{get("name")}, Country: get("country"), Region: get("region"), City: get("city"), PostalCode: get("postal_code")}
			if d := get("domain"); d != "" {
				r.Domains = []string{d}
			}
			if file == "accounts.csv" {
				out.accounts = append(out.accounts, r)
			} else {
				r.ID = ""
				out.class[get("class")] = append(out.class[get("class")], question{r, get("truth")})
			}
		}
	}
	return out, nil
}

// table reads a file of comma-separated values: a function for each row that gives its columns.
func table(file string) (rows []func(column string) string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := csv.NewReader(f)
	c.FieldsPerRecord, c.LazyQuotes = -1, true
	head, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	at := map[string]int{}
	for i, h := range head {
		at[h] = i
	}
	for {
		cells, err := c.Read()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		rows = append(rows, func(column string) string {
			if i, ok := at[column]; ok && i < len(cells) {
				return cells[i]
			}
			return ""
		})
	}
}
