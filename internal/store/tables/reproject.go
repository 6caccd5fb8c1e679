package tables

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dibs-deals/dibs/internal/store"
)

// maxDifferences bounds what is reported of one table.
const maxDifferences = 20

// Reproject reads all entries from kept and gives w what they lead to. after is called at the end of every few entries.
func (r *Reader) Reproject(ctx context.Context, w Writer, after func() error) error {
	for seq := uint64(0); ; {
		entries, err := r.Page(ctx, seq)
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
			if err := Project(w, e.Seq, c, nil); err != nil {
				return fmt.Errorf("projecting entry %d: %w", e.Seq, err)
			}
		}
		if err := after(); err != nil {
			return err
		}
	}
}

// Compare names the rows in which the projected tables of two schemas differ, column by column: kept has the rows people
// query, again what the entries lead to. It also names the rows of the ledger's own tables that belong to no entry.
func Compare(ctx context.Context, q Querier, kept, again string) (out []store.Difference, err error) {
	for _, t := range Projected {
		there, err := only(ctx, q, t, kept, again)
		if err != nil {
			return nil, fmt.Errorf("comparing %s: %w", t.Name, err)
		}
		wanted, err := only(ctx, q, t, again, kept)
		if err != nil {
			return nil, fmt.Errorf("comparing %s: %w", t.Name, err)
		}
		for _, row := range slices.Sorted(maps.Keys(there)) {
			d := store.Difference{Table: t.Name, Row: row, What: "extra"}
			if want, both := wanted[row]; both {
				var changed []string
				for i, c := range t.Columns {
					if there[row][i] != want[i] {
						changed = append(changed, c.Name)
					}
				}
				d.What = "changed: " + strings.Join(changed, ", ")
				delete(wanted, row)
			}
			out = append(out, d)
		}
		for _, row := range slices.Sorted(maps.Keys(wanted)) {
			out = append(out, store.Difference{Table: t.Name, Row: row, What: "missing"})
		}
	}
	for _, t := range []*Table{Personal, Event} {
		stray := fmt.Sprintf("SELECT %s FROM %s.%s AS r WHERE NOT EXISTS (SELECT 1 FROM %[2]s.entry AS e WHERE e.seq = r.seq) ORDER BY 1 LIMIT %[4]d", t.keyText(), kept, t.Name, maxDifferences)
		err := each(ctx, q, stray, nil, func(scan func(...any) error) error {
			d := store.Difference{Table: t.Name, What: "extra"}
			err := scan(&d.Row)
			out = append(out, d)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("looking for rows of %s that belong to no entry: %w", t.Name, err)
		}
	}
	return out, nil
}

// keyText is the key of a row as one text.
func (t *Table) keyText() string {
	key := make([]string, len(t.Key))
	for i, c := range t.Key {
		key[i] = "CAST(" + c + " AS text)"
	}
	return strings.Join(key, " || ' ' || ")
}

// only returns the rows of a table, column by column as text, that one schema has and the other has not, by their keys.
func only(ctx context.Context, q Querier, t *Table, in, not string) (map[string][]sql.NullString, error) {
	columns, texts := make([]string, len(t.Columns)), make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i], texts[i] = c.Name, "CAST("+c.Name+" AS text)"
		if c.Type == Doc {
			columns[i] = "CAST(" + c.Name + " AS text) AS " + c.Name // byte by byte
		}
	}
	list := strings.Join(columns, ", ")
	out := map[string][]sql.NullString{}
	return out, each(ctx, q, fmt.Sprintf("SELECT %s AS row_key, %s FROM (SELECT %s FROM %s.%s EXCEPT SELECT %[3]s FROM %[6]s.%[5]s) AS d ORDER BY 1 LIMIT %[7]d",
		t.keyText(), strings.Join(texts, ", "), list, in, t.Name, not, maxDifferences), nil, func(scan func(...any) error) error {
		var row string
		values := make([]sql.NullString, len(t.Columns))
		to := []any{&row}
		for i := range values {
			to = append(to, &values[i])
		}
		err := scan(to...)
		out[row] = values
		return err
	})
}
