package intake

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/dibs-deals/dibs/internal/deal"
)

// field is one field of a record: how a cell and a JSON value become it, and how it is carried over.
type field struct {
	name string   // its JSON name, which is also our own header; without copy, that of a column which is part of another field
	also []string // the headers of others that feed it, the best first; of two that do, the first that is not blank counts
	bit  uint64   // its place in the set of present fields

	cell func(rec any, text string) (given bool, err error) // nil: CSV cannot give it
	json func(rec any, raw []byte) error                    // nil: JSON cannot give it
	copy func(dst, src any)
}

// schema is one kind of row.
type schema struct {
	fields   []field
	key      []string   // fields no row is without
	required [][]string // columns a CSV file must have; of each group one is enough
	scalars  bool       // JSON may give a field as the text or number a cell would hold

	empty func() any
	clone func(any) any // shallow
	// finish completes a record and checks it. present may gain fields that follow from others. It is called also
	// when errs says that some fields could not be read.
	finish func(rec any, present *uint64, errs deal.FieldErrors, o options) deal.FieldErrors

	byName map[string]int
}

// index gives every field its bit.
func (s *schema) index() *schema {
	s.byName = make(map[string]int, len(s.fields))
	for i := range s.fields {
		s.fields[i].bit = 1 << i
		s.byName[s.fields[i].name] = i
	}
	return s
}

func (s *schema) bit(name string) uint64 {
	i, ok := s.byName[name]
	if !ok {
		panic("intake: no field " + name)
	}
	return s.fields[i].bit
}

// names returns the set of present fields by name.
func (s *schema) names(present uint64) map[string]bool {
	out := make(map[string]bool)
	for i := range s.fields {
		if present&s.fields[i].bit != 0 && s.fields[i].copy != nil {
			out[s.fields[i].name] = true
		}
	}
	return out
}

// known returns our own headers.
func (s *schema) known() []string {
	var out []string
	for i := range s.fields {
		if f := &s.fields[i]; f.cell != nil {
			out = append(out, f.name)
		}
	}
	return out
}

// binding says which columns of one file feed which fields.
type binding struct {
	schema  *schema
	columns []column
	width   int // cells in a row
	header  Header
}

type column struct {
	field *field
	at    []int // the best first
}

// bind reads a header line.
func (s *schema) bind(cells [][]byte) (*binding, error) {
	b := &binding{schema: s, width: len(cells), header: Header{Format: "csv", Columns: map[string]string{}}}
	at := map[string]int{}
	for i, c := range cells {
		name := plain(string(c))
		if name == "" {
			continue // a trailing delimiter, or a column of row numbers
		}
		if j, twice := at[name]; twice {
			return nil, fmt.Errorf("the columns %q and %q are the same one to us; remove or rename one of them", cells[j], c)
		}
		at[name] = i
	}
	fed := make([]bool, len(cells))
	have := map[string]bool{}
	for i := range s.fields {
		f := &s.fields[i]
		if f.cell == nil {
			continue
		}
		c := column{field: f}
		for _, name := range append([]string{f.name}, f.also...) {
			if j, ok := at[plain(name)]; ok && !fed[j] {
				c.at = append(c.at, j)
				fed[j] = true
				b.header.Columns[string(cells[j])] = f.name
			}
		}
		if len(c.at) > 0 {
			b.columns = append(b.columns, c)
			have[f.name] = true
		}
	}
	for j, c := range cells {
		if !fed[j] && len(c) > 0 {
			b.header.Ignored = append(b.header.Ignored, string(c))
		}
	}
	var missing []string
	for _, group := range s.required {
		if !slices.ContainsFunc(group, func(n string) bool { return have[n] }) {
			missing = append(missing, strings.Join(group, " or "))
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the header has no column %s; it has %q, known are %s, and the names Salesforce and HubSpot exports give them",
			strings.Join(missing, ", no column "), cells, strings.Join(s.known(), ", "))
	}
	return b, nil
}

// plain reduces a header to what matters: letters and digits in lower case. Exports differ in the rest: "Billing
// City", BILLINGCITY, billing_city, Account.Id.
func plain(header string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, header)
}
