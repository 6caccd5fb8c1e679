package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/tables"
)

// Walls implements store.Store: the schema is compared with that of a new database.
func (s *Store) Walls(ctx context.Context) ([]store.Difference, error) {
	want, err := made(ctx)
	if err != nil {
		return nil, err
	}
	there, err := walls(ctx, s.DB)
	if err != nil {
		return nil, err
	}
	return tables.Breached(want, there, func(w tables.Wall) bool { return strings.HasPrefix(w.Name, "trigger ") }), nil
}

// newest are the walls of a new database, once somebody has asked.
var newest struct {
	sync.Mutex
	walls map[tables.Wall]string
}

func made(ctx context.Context) (_ map[tables.Wall]string, err error) {
	newest.Lock()
	defer newest.Unlock()
	if newest.walls != nil {
		return newest.walls, nil
	}
	dir, err := os.MkdirTemp("", "dibs-audit-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	fresh, err := Open(ctx, Config{Path: filepath.Join(dir, "new.db")})
	if err != nil {
		return nil, err
	}
	defer func() { _ = fresh.Close() }()
	newest.walls, err = walls(ctx, fresh.DB)
	return newest.walls, err
}

var (
	comment = regexp.MustCompile(`--[^\n]*`)
	space   = regexp.MustCompile(`\s+`)
)

// walls reads tables, with all that is declared in them, unique indexes and triggers, each as the statement that makes it.
func walls(ctx context.Context, q tables.Querier) (_ map[tables.Wall]string, err error) {
	rows, err := q.Query(ctx, `SELECT type, name, tbl_name, sql FROM sqlite_schema
		WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite~_%' ESCAPE '~' AND tbl_name NOT LIKE 'goose~_%' ESCAPE '~'`)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
	}()
	out := map[tables.Wall]string{}
	for rows.Next() {
		var kind, name, table, text string
		if err := rows.Scan(&kind, &name, &table, &text); err != nil {
			return nil, err
		}
		text = strings.TrimSpace(space.ReplaceAllString(comment.ReplaceAllString(text, ""), " "))
		switch {
		case kind == "table":
			name = "table"
		case kind == "index" && strings.HasPrefix(text, "CREATE UNIQUE "):
			name = "unique index " + name
		case kind == "trigger":
			name = "trigger " + name
		default: // other indexes make it quick, and views nothing
			continue
		}
		out[tables.Wall{Table: table, Name: name}] = text
	}
	return out, rows.Err()
}
