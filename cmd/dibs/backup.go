package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dibs-deals/dibs/internal/store/sqlite"
)

// backupCmd is dibs backup.
type backupCmd struct {
	databaseFlags
	Folder string `arg:"" type:"path" help:"Folder to write dibs.db and ledger.key to; made if it is not there."`
}

// Help says more than its one line.
func (*backupCmd) Help() string {
	return "The signing key is copied with it. To restore, serve from the folder."
}

// Run copies the SQLite database and its signing key while the service runs. To restore, serve from the folder.
func (c *backupCmd) Run(ctx context.Context, std stdio) error {
	path, file, err := c.path()
	if err != nil {
		return err
	}
	if !file {
		return errors.New("dibs backup is for SQLite; a PostgreSQL database is backed up by pg_dump or the server's own means, and the signing key by a copy of its file")
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("there is no database at %s: give --database", path)
	}
	keyFile, err := c.keyFile()
	if err != nil {
		return err
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return fmt.Errorf("the signing key, without which a backup is of little use: %w", err)
	}
	if err := os.MkdirAll(c.Folder, 0o700); err != nil {
		return err
	}
	db := filepath.Join(c.Folder, "dibs.db")
	if err := sqlite.Backup(ctx, path, db); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.Folder, "ledger.key"), key, 0o600); err != nil { //nolint:gosec // the folder the operator names
		return err
	}
	fmt.Fprintf(std.out, "%s is the database with its signing key. Verify it: dibs audit verify --database sqlite:%s\n", c.Folder, db)
	return nil
}
