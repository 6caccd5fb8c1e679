package tables

import (
	"context"
	"fmt"
	"strings"

	"github.com/dibs-deals/dibs/internal/store"
)

// maxDifferences bounds what is reported of one table.
const maxDifferences = 20

// Reproject reads all entries from kept and gives w what they lead to. after is called at the end of every few entries.
func (r *Reader) Reproject(ctx context.Context, w Writer, after func() error) error {
	for seq := uint64(0); ; {
		entries, err := r.Page(ctx, seq, 200)
		if err != nil {
			return fmt.Errorf("reading entries after %d: %w", seq, err)
		}
		if len(entries) == 0 {
			return nil
		}
		for _, e := range entries {
			seq = e.Seq
			if e.Personal, err = r.Personal(ctx, e.Seq); err != nil {
				return err
			}
			c, err := store.ChangeOf(&e)
			if err != nil {
				return err
			}
			if err := Project(w, e.Seq, c); err != nil {
				return fmt.Errorf("projecting entry %d: %w", e.Seq, err)
			}
		}
		if err := after(); err != nil {
			return err
		}
	}
}

// Compare names the rows in which the projected tables of two schemas differ, column by column: kept has the rows people
// query, again what the entries lead to.
func Compare(ctx context.Context, q Querier, kept, again string) (out []store.Difference, err error) {
	for _, t := range Projected {
		columns := make([]string, len(t.Columns))
		for i, c := range t.Columns {
			columns[i] = c.Name
			if c.Type == Doc {
				columns[i] = "CAST(" + c.Name + " AS text) AS " + c.Name // byte by byte
			}
		}
		key := make([]string, len(t.Key))
		for i, c := range t.Key {
			key[i] = "CAST(" + c + " AS text)"
		}
		for _, d := range []struct{ what, rows, others string }{{"changed or extra", kept, again}, {"changed or missing", again, kept}} {
			query := fmt.Sprintf("SELECT %[1]s FROM (SELECT %[2]s FROM %[3]s.%[4]s EXCEPT SELECT %[2]s FROM %[5]s.%[4]s) AS d LIMIT %[6]d",
				strings.Join(key, " || ' ' || "), strings.Join(columns, ", "), d.rows, t.Name, d.others, maxDifferences)
			err := each(ctx, q, query, nil, func(scan func(...any) error) error {
				var row string
				err := scan(&row)
				out = append(out, store.Difference{Table: t.Name, Row: row, What: d.what})
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("comparing %s: %w", t.Name, err)
			}
		}
	}
	return out, nil
}
