package postgres

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/tables"
)

// Walls implements store.Store. The schema is compared with the one that the migrations make of temporary tables, in a transaction that is rolled
// back: so both are described by the same server, in its own words.
func (s *Store) Walls(ctx context.Context) (out []store.Difference, err error) {
	err = s.snapshot(ctx, pgx.ReadWrite, func(tx db) error {
		var schema uint32
		if err := tx.q.(pgx.Tx).QueryRow(ctx, `SELECT relnamespace FROM pg_class WHERE oid = 'entry'::regclass`).Scan(&schema); err != nil {
			return err
		}
		there, err := walls(ctx, tx, schema)
		if err != nil {
			return err
		}
		files, err := fs.Glob(migrations, "migrations/*.sql")
		if err != nil {
			return err
		}
		slices.Sort(files)
		up := "SET LOCAL search_path = pg_temp;\n"
		for _, name := range files {
			text, err := migrations.ReadFile(name)
			if err != nil {
				return err
			}
			forth, _, _ := strings.Cut(string(text), "-- +goose Down")
			up += strings.ReplaceAll(forth, "UNLOGGED ", "") // temporary tables are
		}
		if _, err := tx.q.(pgx.Tx).Conn().PgConn().Exec(ctx, up).ReadAll(); err != nil {
			return fmt.Errorf("making the schema anew: %w", err)
		}
		if err := tx.q.(pgx.Tx).QueryRow(ctx, `SELECT pg_my_temp_schema()`).Scan(&schema); err != nil {
			return err
		}
		want, err := walls(ctx, tx, schema)
		if err != nil {
			return err
		}
		out = tables.Breached(want, there, func(w tables.Wall) bool { return active.MatchString(w.Name) })
		return nil
	})
	if isCode(err, "42501") {
		err = fmt.Errorf("%w: the constraints of the schema were not compared: grant TEMPORARY on the database to this user: %w", store.ErrUnseen, err)
	}
	return out, err
}

var active = regexp.MustCompile(`^(trigger|disabled trigger|rule) `)

// walls reads columns, constraints, and unique indexes that are in force, without the name of the schema; and what could change what is
// written, or keep a constraint from being looked at.
func walls(ctx context.Context, tx db, schema uint32) (map[tables.Wall]string, error) {
	rows, err := tx.q.Query(ctx, `
		SELECT t.relname, 'column ' || a.attname, format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END || COALESCE(' COLLATE ' || c.collname, '')
		FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_collation c ON c.oid = a.attcollation
		WHERE t.relnamespace = $1 AND t.relkind IN ('r', 'p') AND t.relname <> 'goose_db_version'
		UNION ALL
		SELECT t.relname, replace(pg_get_constraintdef(k.oid), quote_ident(n.nspname) || '.', ''), 'in force'
		FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
		WHERE t.relnamespace = $1 AND k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.convalidated AND t.relname <> 'goose_db_version'
		UNION ALL
		SELECT t.relname, 'unique index ' || i.relname, replace(pg_get_indexdef(x.indexrelid), quote_ident(n.nspname) || '.', '')
		FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace n ON n.oid = t.relnamespace
		WHERE t.relnamespace = $1 AND x.indisunique AND x.indisvalid AND x.indisready AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid) AND t.relkind IN ('r', 'p')
		UNION ALL
		SELECT t.relname, CASE WHEN g.tgenabled = 'D' THEN 'disabled ' ELSE '' END || 'trigger ' || g.tgname, ''
		FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid WHERE t.relnamespace = $1 AND (NOT g.tgisinternal OR g.tgenabled = 'D')
		UNION ALL
		SELECT t.relname, 'rule ' || r.rulename, '' FROM pg_rewrite r JOIN pg_class t ON t.oid = r.ev_class WHERE t.relnamespace = $1 AND t.relkind IN ('r', 'p')`, schema)
	if err != nil {
		return nil, err
	}
	out := map[tables.Wall]string{}
	var w tables.Wall
	var text string
	own := strings.NewReplacer("pg_temp.", "")
	_, err = pgx.ForEachRow(rows, []any{&w.Table, &w.Name, &text}, func() error {
		out[tables.Wall{Table: w.Table, Name: own.Replace(w.Name)}] = own.Replace(text)
		return nil
	})
	return out, err
}
