package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
)

// Backup writes the database at from, as it is at one instant, to the file to, which must not be there. Commits go on
// meanwhile. The copy appears under its name when it is whole and on disk.
func Backup(ctx context.Context, from, to string) (err error) {
	if _, err := os.Stat(to); err == nil {
		return fmt.Errorf("%s is there already: a backup overwrites nothing", to)
	}
	db, err := sql.Open("sqlite", dsn(from))
	if err != nil {
		return err
	}
	part := to + ".part"
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", part); err != nil {
		return errors.Join(fmt.Errorf("copying the database: %w", err), os.RemoveAll(part))
	}
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(part, to)
}
