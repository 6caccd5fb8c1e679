package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
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
	if err := flush(part); err != nil {
		return err
	}
	return os.Rename(part, to)
}

// flush sees to it that a file, or what a folder lists, is on disk.
func flush(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// ErrOpen says that somebody has the database open.
var ErrOpen = errors.New("a process has it open")

// Place puts the database at part, which nobody has open, where to is, in one step and on disk. aside is where what is at to is kept; empty:
// nothing may be there. A database that another process has open is ErrOpen: it would go on writing to what nobody reads. Whoever opens
// it while it is placed waits, and finds the one that was there, as if it had come before.
func Place(ctx context.Context, part, to, aside string) (err error) {
	if _, err := os.Lstat(part + "-wal"); err == nil {
		return fmt.Errorf("%s has a log that is not in it", part)
	}
	if err := flush(part); err != nil {
		return err
	}
	if aside == "" {
		for _, name := range []string{to, to + "-wal", to + "-journal"} { // what is left of another would be applied to this one
			if _, err := os.Lstat(name); err == nil {
				return fmt.Errorf("%s is there already", name)
			}
		}
		if err := os.Link(part, to); err != nil {
			return err
		}
		return errors.Join(os.Remove(part), flush(filepath.Dir(to)))
	}
	release, err := claim(to)
	if err != nil {
		return err
	}
	release()
	// What it has in its log goes into its file, which is then all there is of it. One that is broken may refuse: its log goes with it.
	if db, err := sql.Open("sqlite", dsn(to)); err == nil {
		_, _ = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
		_ = db.Close()
	}
	if release, err = claim(to); err != nil {
		return err
	}
	defer release()
	if err := os.Link(to, aside); err != nil {
		return err
	}
	for _, end := range []string{"-wal", "-journal"} {
		if err := os.Rename(to+end, aside+end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Remove(to + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(os.Rename(part, to), flush(filepath.Dir(to)))
}

// claim takes the lock that every connection shares for as long as it is open, for this process alone.
func claim(path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	// See "File locking" in the source of SQLite, os.h: the pending byte, the reserved one and those that readers share.
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: 0x40000000, Len: 2 + 510}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lock); err != nil {
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			err = ErrOpen
		}
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
