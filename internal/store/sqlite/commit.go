package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/tables"
)

// Commit implements store.Store. The caller's deadline ends the waiting for the lock and the deciding; once writing
// has begun it runs to its end, since a commit cut off half-way would have an unknown outcome.
func (s *Store) Commit(ctx context.Context, decide func(context.Context, store.Locked) (store.Append, error)) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return s.unwritable()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	tx := context.WithoutCancel(ctx)
	if _, err := s.conn.ExecContext(tx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("locking the ledger: %w", err)
	}
	done := false
	defer func() {
		if done {
			return
		}
		if _, rerr := s.conn.ExecContext(tx, "ROLLBACK"); rerr != nil {
			err = errors.Join(err, fmt.Errorf("rolling back: %w", rerr))
		}
	}()
	under := s.On(s.conn)
	head, err := under.Head(tx)
	if err != nil {
		return err
	}
	if err := s.hook("locked"); err != nil {
		return err
	}
	add, err := decide(ctx, &locked{under, head})
	if err != nil {
		return err
	}
	if len(add.Entries) == 0 {
		return nil
	}
	if err := tables.Append(rowWriter{tx, s.conn}, s.Codec, head, &add); err != nil {
		return err
	}
	store.Point("written")
	if err := s.hook("written"); err != nil {
		return err
	}
	if _, err := s.conn.ExecContext(tx, "COMMIT"); err != nil {
		return errors.Join(store.ErrUnknown, err)
	}
	done = true
	if err := s.hook("committed"); err != nil {
		return errors.Join(store.ErrUnknown, err)
	}
	return nil
}

// PutSnapshot implements store.Store.
func (s *Store) PutSnapshot(ctx context.Context, p store.Snapshot) error {
	return s.aside(ctx, func(tx context.Context, db tables.Execer) error { return tables.PutSnapshot(tx, db, p) })
}

// PutChunk implements store.Store.
func (s *Store) PutChunk(ctx context.Context, of store.Hash, i int, body []byte) error {
	return s.aside(ctx, func(tx context.Context, db tables.Execer) error { return tables.PutChunk(tx, db, of, i, body) })
}

// DropChunks implements store.Store.
func (s *Store) DropChunks(ctx context.Context, of store.Hash) error {
	return s.aside(ctx, func(tx context.Context, db tables.Execer) error { return tables.DropChunks(tx, db, of) })
}

// aside writes what is no part of the ledger, in a transaction of its own between two commits.
func (s *Store) aside(ctx context.Context, write func(context.Context, tables.Execer) error) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return s.unwritable()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	tx := context.WithoutCancel(ctx)
	if _, err := s.conn.ExecContext(tx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("beginning to write: %w", err)
	}
	end := "ROLLBACK"
	defer func() {
		if _, eerr := s.conn.ExecContext(tx, end); eerr != nil {
			err = errors.Join(err, fmt.Errorf("ending the writing by %s: %w", end, eerr))
		}
	}()
	if err := write(tx, s.conn); err != nil {
		return err
	}
	if err := s.hook("beside"); err != nil {
		return err
	}
	end = "COMMIT"
	return nil
}

// unwritable says why there is no connection that writes.
func (s *Store) unwritable() error {
	if s.cfg.ReadOnly {
		return errors.New("the database is open to be read only")
	}
	return errors.New("the database is closed")
}

// Settle implements store.Store: what can be read is on disk.
func (s *Store) Settle(context.Context) error { return nil }

type locked struct {
	*tables.Reader
	head store.Head
}

func (l *locked) Head() store.Head { return l.head }

func (l *locked) Answered(ctx context.Context, keys []store.IdemKey) (map[store.IdemKey]store.Entry, error) {
	out := map[store.IdemKey]store.Entry{}
	for _, k := range keys {
		e, err := l.Reader.Answered(ctx, k)
		switch {
		case err == nil:
			out[k] = e
		case !errors.Is(err, deal.ErrNotFound):
			return nil, err
		}
	}
	return out, nil
}

// rowWriter writes rows as they come.
type rowWriter struct {
	ctx context.Context
	w   *writer
}

func (r rowWriter) Put(t *tables.Table, row ...any) error {
	err := r.w.Exec(r.ctx, t.Upsert, row...)
	if t == tables.Holder && isUnique(err) {
		return fmt.Errorf("%w: %s, line %s, site %s", store.ErrHolder, row[1], row[2], row[3])
	}
	return err
}

func (r rowWriter) Delete(t *tables.Table, group string) error {
	return r.w.Exec(r.ctx, t.Delete, group)
}
