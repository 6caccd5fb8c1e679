package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
)

// restoreCmd is dibs restore.
type restoreCmd struct {
	databaseFlags
	Backup  string `arg:"" type:"path" placeholder:"FOLDER" help:"Folder that dibs backup wrote, or the database file in it."`
	Replace bool   `help:"Put it in the place of the database that is there, which is kept beside it under another name. Refused while a service has it open."`
}

// Help says more than its one line.
func (*restoreCmd) Help() string {
	return "The copy is verified as dibs audit verify does, and put where --database says only when it is clean; its signing key where --signing-key says. What was committed after the backup is not in it."
}

// Run puts a backup where the database is. It exits 1 when the copy is not as its ledger says.
func (c *restoreCmd) Run(ctx context.Context, std stdio) (err error) {
	to, file, err := c.path()
	switch {
	case err != nil:
		return err
	case !file:
		return errors.New("dibs restore is for SQLite; a PostgreSQL database is restored by pg_restore from what pg_dump wrote, or by the server's own means, and the signing key by a copy of its file")
	}
	from, err := c.file()
	if err != nil {
		return err
	}
	if same, err := sameFile(from, to); err != nil || same {
		return errors.Join(err, map[bool]error{true: fmt.Errorf("%s is where it is to be restored to: give another --database", from)}[same])
	}
	aside, err := c.aside(to)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return fmt.Errorf("folder of the database: %w", err)
	}
	part := to + ".restore"
	if err := discard(part); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, discard(part)) }()
	if err := sqlite.Backup(ctx, from, part); err != nil { // a copy of our own: the backup stays as it is
		return fmt.Errorf("%s: %w", from, err)
	}
	key, report, err := c.verified(ctx, std, part, from)
	if err != nil {
		return err
	}
	placeKey, err := c.keyPlace(key, aside)
	if err != nil {
		return err
	}
	lost := entries(ctx, to)
	if err := sqlite.Place(ctx, part, to, aside); err != nil {
		if errors.Is(err, sqlite.ErrOpen) {
			return fmt.Errorf("%s: %w: stop dibs serve, and whatever else reads it, and try again; nothing was changed", to, err)
		}
		return fmt.Errorf("%s was not restored: %w", to, err)
	}
	if err := placeKey(); err != nil {
		return fmt.Errorf("%s is restored, and its signing key is not: %w; copy it from %s", to, err, c.keyBeside(from))
	}
	fmt.Fprintf(std.out, "%s is restored: %d entries, root %s\n", to, report.Entries, report.Root)
	if aside != "" {
		fmt.Fprintf(std.out, "What was there (%s) is kept as %s. What it has acknowledged since the backup is in no other place.\n", lost, aside)
	}
	return nil
}

// file is the database file of the backup.
func (c *restoreCmd) file() (string, error) {
	info, err := os.Stat(c.Backup)
	if err != nil {
		return "", fmt.Errorf("there is no backup at %s", c.Backup)
	}
	if !info.IsDir() {
		return c.Backup, nil
	}
	file := filepath.Join(c.Backup, "dibs.db")
	if _, err := os.Stat(file); err != nil {
		return "", fmt.Errorf("%s holds no dibs.db, as dibs backup writes it", c.Backup)
	}
	return file, nil
}

// aside is where the database that is at to will be kept; empty when there is none.
func (c *restoreCmd) aside(to string) (string, error) {
	switch _, err := os.Lstat(to); {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case !c.Replace:
		return "", fmt.Errorf("there is a database at %s: give another --database, or --replace to put the backup in its place", to)
	}
	return to + ".replaced-" + clock().UTC().Format("20060102T150405Z"), nil
}

// verified brings the copy to this program's schema, verifies it, and returns the signing key of its ledger.
func (c *restoreCmd) verified(ctx context.Context, std stdio, part, from string) (key []byte, report engine.Report, err error) {
	keyFile := c.keyBeside(from)
	if _, err := os.Stat(keyFile); err != nil {
		if keyFile, err = c.keyFile(); err != nil {
			return nil, report, err
		}
	}
	if key, err = os.ReadFile(keyFile); err != nil {
		return nil, report, fmt.Errorf("the backup has no ledger.key beside it, and there is none at %s: put the ledger's there", keyFile)
	}
	st, err := sqlite.Open(ctx, sqlite.Config{Path: part, Existing: true})
	if err != nil {
		return nil, report, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	signed := databaseFlags{Database: "sqlite:" + part, SigningKey: keyFile, Origin: c.Origin}
	if _, err := signed.openSigner(ctx, st); err != nil {
		return nil, report, fmt.Errorf("the signing key %s: %w", keyFile, err)
	}
	return key, report, c.audit(ctx, std, st, &report)
}

func (c *restoreCmd) audit(ctx context.Context, std stdio, st store.Store, report *engine.Report) (err error) {
	if *report, err = engine.Verify(ctx, st); err != nil {
		return fmt.Errorf("the copy could not be verified: %w", err)
	}
	if len(report.Problems) == 0 {
		return nil
	}
	printProblems(std.out, report)
	fmt.Fprintf(std.err, "%s is not as its ledger says: nothing was restored\n", c.Backup)
	return errFound
}

// keyBeside is where dibs backup writes the signing key of the database it writes to from.
func (*restoreCmd) keyBeside(from string) string {
	return filepath.Join(filepath.Dir(from), "ledger.key")
}

// keyPlace returns what puts the key where this database has it. Another key that is there is kept beside it, where the database is.
func (c *restoreCmd) keyPlace(key []byte, aside string) (func() error, error) {
	file, err := c.keyFile()
	if err != nil {
		return nil, err
	}
	old, err := os.ReadFile(file)
	switch {
	case err == nil && bytes.Equal(bytes.TrimSpace(old), bytes.TrimSpace(key)):
		return func() error { return nil }, nil
	case err == nil && aside == "":
		return nil, fmt.Errorf("there is another signing key at %s: give --signing-key, or move it away", file)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return func() error {
		if old != nil {
			if err := os.Link(file, file+".replaced-"+clock().UTC().Format("20060102T150405Z")); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		part := file + ".restore"
		if err := os.WriteFile(part, key, 0o600); err != nil {
			return err
		}
		return os.Rename(part, file)
	}, nil
}

// entries says how many entries the ledger at path has, if it can be asked.
func entries(ctx context.Context, path string) string {
	unknown := "which cannot be read"
	st, err := sqlite.Open(ctx, sqlite.Config{Path: path, ReadOnly: true})
	if err != nil {
		return unknown
	}
	defer func() { _ = st.Close() }()
	head, err := st.Head(ctx)
	if err != nil {
		return unknown
	}
	return fmt.Sprintf("%d entries, the last of %s", head.Seq, head.At.UTC().Format(time.RFC3339))
}

// discard removes a database that nobody has, with what is beside it.
func discard(path string) error {
	var errs []error
	for _, end := range []string{"", "-wal", "-shm", "-journal", ".part"} {
		if err := os.Remove(path + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func sameFile(a, b string) (bool, error) {
	x, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	y, err := os.Stat(b)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(x, y), err
}
