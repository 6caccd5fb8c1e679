package postgres

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dibs-deals/dibs/internal/store/tables"
)

// run is what one statement does: many rows put into a table, or many groups deleted from it.
type run struct {
	deletes []string
	columns []column
	keys    map[string]struct{} // of the rows, where a second of one key would replace the first
	size    int                 // of its bytes, roughly
	sent    []byte              // its columns, one after the other
}

// maxKept bounds the room of a column that is kept from commit to commit.
const maxKept = 4 << 20

// maxRun bounds what one statement carries: an array of more than 1 GB cannot be sent.
const maxRun = 16 << 20

// slot is a table and one of two ways to put rows there: those that are new, which come first, and those that may replace.
type slot struct {
	*tables.Table
	fresh bool
}

// writer collects the rows of a commit as few statements. For each table they take effect as if in the order in which they
// came; tables are written in an order in which a row comes after what it refers to.
type writer struct {
	runs  map[slot][]*run
	spare map[slot]*run // of the commit before, whose room is used again
}

func newWriter() *writer { return &writer{map[slot][]*run{}, map[slot]*run{}} }

// reset forgets the rows.
func (w *writer) reset() {
	for s, runs := range w.runs {
		if r := runs[0]; r.deletes == nil {
			r.reset()
			w.spare[s] = r
		}
	}
	clear(w.runs)
}

// reset makes the run one of no rows.
func (r *run) reset() {
	clear(r.keys)
	if r.size = 0; cap(r.sent) > maxKept {
		r.sent = nil
	}
	for i := range r.columns {
		r.columns[i].reset()
	}
}

func (w *writer) last(s slot) *run {
	if runs := w.runs[s]; len(runs) > 0 {
		return runs[len(runs)-1]
	}
	return nil
}

// has reports whether the commit puts a row of the key already.
func (w *writer) has(s slot, key string) bool {
	for _, r := range w.runs[s] {
		if _, there := r.keys[key]; there {
			return true
		}
	}
	return false
}

// begin begins a run that deletes groups, or one that puts rows.
func (w *writer) begin(s slot, deletes bool) *run {
	r := w.spare[s]
	switch {
	case deletes:
		r = &run{}
	case r == nil:
		r = &run{keys: map[string]struct{}{}, columns: make([]column, len(s.Columns))}
		for i, c := range s.Columns {
			r.columns[i].Type = c.Type
		}
		r.reset()
	default:
		delete(w.spare, s)
	}
	w.runs[s] = append(w.runs[s], r)
	return r
}

// Put implements tables.Writer.
func (w *writer) Put(t *tables.Table, row ...any) error {
	if len(row) != len(t.Columns) {
		return fmt.Errorf("%d values for %d columns of %s", len(row), len(t.Columns), t.Name)
	}
	key := ""
	if t.Replaces() {
		key = keyOf(t, row)
	}
	s := slot{Table: t}
	if t.Fresh != nil && t.Fresh(row) {
		if s.fresh = true; w.has(s, key) || w.has(slot{Table: t}, key) {
			s.fresh = false
		}
	}
	r := w.last(s)
	if r != nil {
		if _, twice := r.keys[key]; twice || r.deletes != nil || r.size > maxRun {
			r = nil
		}
	}
	if r == nil {
		r = w.begin(s, false)
	}
	if key != "" {
		r.keys[key] = struct{}{}
	}
	for i, v := range row {
		if err := r.columns[i].add(v); err != nil {
			return fmt.Errorf("%s: %w", t.Columns[i].Name, err)
		}
		switch v := v.(type) {
		case []byte:
			r.size += len(v)
		case tables.JSON:
			r.size += len(v)
		}
	}
	return nil
}

// keyOf names a row. The columns of a key come first.
func keyOf(t *tables.Table, row []any) string {
	if s, ok := row[0].(string); ok && len(t.Key) == 1 {
		return s
	}
	return fmt.Sprintf("%q", row[:len(t.Key)])
}

// Delete implements tables.Writer.
func (w *writer) Delete(t *tables.Table, group string) error {
	s := slot{Table: t}
	r := w.last(s)
	if r == nil || r.deletes == nil {
		r = w.begin(s, true)
	}
	r.deletes = append(r.deletes, escape(group))
	return nil
}

// order is the order in which tables are written.
var order = append(append([]*tables.Table{tables.Entry, tables.Personal, tables.Node, tables.Event}, tables.Projected...), tables.Head)

// queue adds the statements to a batch.
func (w *writer) queue(b *pgx.Batch) {
	for _, t := range order {
		for _, r := range w.runs[slot{t, true}] {
			b.Queue(statements[t].insert, r.arguments()...)
		}
		for _, r := range w.runs[slot{t, false}] {
			if r.deletes != nil {
				b.Queue(statements[t].remove, r.deletes)
				continue
			}
			b.Queue(statements[t].put, r.arguments()...)
		}
	}
}

// arguments are the columns, one after the other. They hold until the run is reset.
func (r *run) arguments() []any {
	r.sent = r.sent[:0]
	for i := range r.columns {
		r.columns[i].finish()
		r.sent = append(r.sent, r.columns[i].array...)
	}
	args, at := make([]any, len(r.columns)), 0
	for i := range r.columns {
		end := at + len(r.columns[i].array)
		args[i] = array{r.sent, at, end}
		at = end
	}
	return args
}

type statement struct{ insert, put, remove string }

// statements are those of each table.
var statements = func() map[*tables.Table]statement {
	out := map[*tables.Table]statement{}
	for _, t := range order {
		var arrays, values []string
		for i, c := range t.Columns {
			array, cast := arrayOf(c.Type)
			arrays = append(arrays, fmt.Sprintf("$%d::%s", i+1, array))
			values = append(values, c.Name+cast)
		}
		insert := fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM unnest(%s) AS r(%s)", t.Name, t.Names(), strings.Join(values, ", "), strings.Join(arrays, ", "), t.Names())
		out[t] = statement{
			insert: insert,
			put:    insert + t.OnConflict(),
			remove: fmt.Sprintf("DELETE FROM %s WHERE %s = ANY($1::text[])", t.Name, t.Group),
		}
	}
	return out
}()
