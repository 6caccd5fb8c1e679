package tables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// Beside implements the writes of store.Store that are no part of the ledger. Do runs one in a transaction of its own.
type Beside struct {
	Do func(ctx context.Context, write func(context.Context, Work) error) error
}

// Dispatch implements store.Store.
func (b *Beside) Dispatch(ctx context.Context, limit int, fan func([]store.Webhook, []store.Event) ([]store.Job, error)) (n int, err error) {
	err = b.Do(ctx, func(ctx context.Context, w Work) (err error) { n, err = w.Dispatch(ctx, limit, fan); return err })
	return n, err
}

// Enqueue implements store.Store.
func (b *Beside) Enqueue(ctx context.Context, jobs ...store.Job) error {
	return b.Do(ctx, func(ctx context.Context, w Work) error { return w.Enqueue(ctx, jobs...) })
}

// Claim implements store.Store.
func (b *Beside) Claim(ctx context.Context, c store.Claim) (out []store.Job, err error) {
	err = b.Do(ctx, func(ctx context.Context, w Work) (err error) { out, err = w.Claim(ctx, c); return err })
	return out, err
}

// Finish implements store.Store.
func (b *Beside) Finish(ctx context.Context, jobs ...store.Job) (lost []string, err error) {
	err = b.Do(ctx, func(ctx context.Context, w Work) (err error) { lost, err = w.Finish(ctx, jobs...); return err })
	return lost, err
}

// HoldOff implements store.Store.
func (b *Beside) HoldOff(ctx context.Context, topic string, until time.Time) error {
	return b.Do(ctx, func(ctx context.Context, w Work) error { return w.HoldOff(ctx, topic, until) })
}

// Retry implements store.Store.
func (b *Beside) Retry(ctx context.Context, id string, now time.Time) error {
	return b.Do(ctx, func(ctx context.Context, w Work) error { return w.Retry(ctx, id, now) })
}

// DropJobs implements store.Store.
func (b *Beside) DropJobs(ctx context.Context, doneBefore, deadBefore time.Time) error {
	return b.Do(ctx, func(ctx context.Context, w Work) error { return w.DropJobs(ctx, doneBefore, deadBefore) })
}

// AddWebhook implements store.Store.
func (b *Beside) AddWebhook(ctx context.Context, h store.Webhook) error {
	return b.Do(ctx, func(ctx context.Context, w Work) error { return w.AddWebhook(ctx, h) })
}

// ChangeWebhook implements store.Store.
func (b *Beside) ChangeWebhook(ctx context.Context, id string, change func(*store.Webhook) error) (h store.Webhook, err error) {
	err = b.Do(ctx, func(ctx context.Context, w Work) (err error) {
		h, err = w.ChangeWebhook(ctx, id, change)
		return err
	})
	return h, err
}

// DropWebhook implements store.Store.
func (b *Beside) DropWebhook(ctx context.Context, id string) error {
	return b.Do(ctx, func(ctx context.Context, w Work) error { return w.DropWebhook(ctx, id) })
}

// Work writes what is no part of the ledger, in the transaction of DB.
type Work struct {
	DB Execer
	// Lock and SkipLocked end a SELECT whose rows are to be locked; empty where the transaction is the only one that writes.
	Lock, SkipLocked string
}

const jobColumns = `n, id, kind, key, topic, lane, payload, state, run_at, attempts, lease, leased_until, error, log, created_at, done_at`

func scanJob(scan func(...any) error) (j store.Job, err error) {
	var payload, log, state string
	err = scan(&j.N, &j.ID, &j.Kind, &j.Key, &j.Topic, &j.Lane, &payload, &state, instant{&j.RunAt}, &j.Attempts, &j.Lease, instant{&j.LeasedUntil}, &j.Error, &log,
		instant{&j.CreatedAt}, instant{&j.DoneAt})
	j.Payload, j.Log, j.State = []byte(payload), []byte(log), store.JobState(state)
	return j, err
}

func jobs(ctx context.Context, q Querier, query string, args ...any) (out []store.Job, err error) {
	err = each(ctx, q, query, args, func(scan func(...any) error) error {
		j, err := scanJob(scan)
		out = append(out, j)
		return err
	})
	return out, err
}

// enqueueRows is how many jobs one statement adds.
const enqueueRows = 32

// Enqueue is store.Store's.
func (w Work) Enqueue(ctx context.Context, list ...store.Job) error {
	for some := range slices.Chunk(list, enqueueRows) {
		var args []any
		for _, j := range some {
			args = append(args, j.ID, j.Kind, j.Key, j.Topic, j.Lane, string(j.Payload), string(store.JobWaiting), j.RunAt, j.CreatedAt)
		}
		const row = `(?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', '', '[]')`
		if err := w.DB.Exec(ctx, `INSERT INTO job (id, kind, key, topic, lane, payload, state, run_at, created_at, attempts, lease, error, log) VALUES `+
			row+strings.Repeat(", "+row, len(some)-1)+` ON CONFLICT DO NOTHING`, args...); err != nil {
			return fmt.Errorf("enqueueing %d jobs: %w", len(some), err)
		}
	}
	return nil
}

// Dispatch is store.Store's. The row of the outbox is locked, so that events become jobs in their order. With no webhooks there is
// nothing to write, and commits are not disturbed: the first one takes the outbox to the head.
func (w Work) Dispatch(ctx context.Context, limit int, fan func([]store.Webhook, []store.Event) ([]store.Job, error)) (int, error) {
	var webhooks, seq, head uint64
	if err := one(ctx, w.DB, `SELECT COUNT(*) FROM webhook`, nil, &webhooks); err != nil || webhooks == 0 {
		return 0, err
	}
	if err := one(ctx, w.DB, `SELECT seq FROM outbox WHERE id = 1`+w.Lock, nil, &seq); err != nil {
		return 0, fmt.Errorf("locking the outbox: %w", err)
	}
	if err := one(ctx, w.DB, `SELECT COALESCE(MAX(seq), 0) FROM head`, nil, &head); err != nil {
		return 0, err
	}
	if seq >= head {
		return 0, nil
	}
	// Webhooks are read after the head: one that was there when an entry was written is seen by who fans its events out.
	hooks, err := (&Reader{DB: w.DB}).Webhooks(ctx)
	if err != nil {
		return 0, err
	}
	var events []store.Event
	if len(hooks) > 0 {
		if events, err = (&Reader{DB: w.DB}).Events(ctx, seq, limit); err != nil {
			return 0, err
		}
		// What is newer than the webhooks that were read waits for the next time. So does the last entry of a full page:
		// not all of its events may be there.
		last := head
		if len(events) == limit {
			last = min(head, events[limit-1].Seq-1)
			if events[0].Seq > last {
				return 0, fmt.Errorf("entry %d has %d events or more", events[0].Seq, limit)
			}
		}
		events = slices.DeleteFunc(events, func(e store.Event) bool { return e.Seq > last })
		head = last
		made, err := fan(hooks, events)
		if err != nil {
			return 0, err
		}
		if err := w.Enqueue(ctx, made...); err != nil {
			return 0, err
		}
	}
	return len(events), w.DB.Exec(ctx, `UPDATE outbox SET seq = ? WHERE id = 1`, head)
}

// Claim is store.Store's, as one statement.
func (w Work) Claim(ctx context.Context, c store.Claim) ([]store.Job, error) {
	args := []any{c.Now, c.Now}
	in := func(column, not string, values []string) string {
		if len(values) == 0 {
			return ""
		}
		for _, v := range values {
			args = append(args, v)
		}
		return ` AND ` + column + not + ` IN (?` + strings.Repeat(", ?", len(values)-1) + `)`
	}
	where := in("kind", "", c.Kinds) + in("topic", " NOT", c.Except)
	args = append(args, c.Limit, c.Lease, c.Until)
	//nolint:misspell // a word of SQL
	out, err := jobs(ctx, w.DB, `WITH due AS MATERIALIZED (SELECT n FROM job AS j WHERE state = 'waiting' AND run_at <= ? AND (leased_until IS NULL OR leased_until <= ?)`+where+`
		AND (lane = '' OR NOT EXISTS (SELECT 1 FROM job AS before WHERE before.lane = j.lane AND before.lane <> '' AND before.state = 'waiting' AND before.n < j.n))
		ORDER BY run_at, n LIMIT ?`+w.SkipLocked+`)
		UPDATE job SET lease = ?, leased_until = ?, attempts = attempts + 1 WHERE n IN (SELECT n FROM due) RETURNING `+jobColumns, args...)
	slices.SortFunc(out, func(a, b store.Job) int { return int(a.N) - int(b.N) })
	return out, err
}

// Finish is store.Store's.
func (w Work) Finish(ctx context.Context, jobs ...store.Job) (lost []string, err error) {
	for _, j := range jobs {
		var done any
		if j.State != store.JobWaiting {
			done = j.DoneAt
		}
		var n uint64
		err := one(ctx, w.DB, `UPDATE job SET state = ?, run_at = ?, error = ?, log = ?, done_at = ?, leased_until = NULL WHERE id = ? AND lease = ? AND leased_until IS NOT NULL RETURNING n`,
			[]any{string(j.State), j.RunAt, j.Error, string(j.Log), done, j.ID, j.Lease}, &n)
		if errors.Is(err, deal.ErrNotFound) {
			lost = append(lost, j.ID)
		} else if err != nil {
			return nil, fmt.Errorf("finishing job %s: %w", j.ID, err)
		}
	}
	return lost, nil
}

// HoldOff is store.Store's. On an engine with several writers what another holds is passed over.
func (w Work) HoldOff(ctx context.Context, topic string, until time.Time) error {
	return w.DB.Exec(ctx, `UPDATE job SET run_at = ? WHERE n IN (SELECT n FROM job WHERE topic = ? AND state = 'waiting' AND run_at < ? AND leased_until IS NULL`+w.SkipLocked+`)`, until, topic, until)
}

// Retry is store.Store's.
func (w Work) Retry(ctx context.Context, id string, now time.Time) error {
	var state string
	if err := one(ctx, w.DB, `SELECT state FROM job WHERE id = ?`+w.Lock, []any{id}, &state); err != nil {
		return err
	}
	if store.JobState(state) == store.JobWaiting {
		return fmt.Errorf("%w: the job is %s; what is done or dead can be retried", deal.ErrNotPossible, state)
	}
	return w.DB.Exec(ctx, `UPDATE job SET state = 'waiting', run_at = ?, attempts = 0, done_at = NULL, leased_until = NULL WHERE id = ?`, now, id)
}

// DropJobs is store.Store's.
func (w Work) DropJobs(ctx context.Context, doneBefore, deadBefore time.Time) error {
	return w.DB.Exec(ctx, `DELETE FROM job WHERE done_at IS NOT NULL AND (state = 'done' AND done_at < ? OR state = 'dead' AND done_at < ?)`, doneBefore, deadBefore)
}

// AddWebhook is store.Store's.
func (w Work) AddWebhook(ctx context.Context, h store.Webhook) error {
	var seq uint64
	if err := one(ctx, w.DB, `SELECT seq FROM outbox WHERE id = 1`+w.Lock, nil, &seq); err != nil {
		return fmt.Errorf("locking the outbox: %w", err)
	}
	if err := one(ctx, w.DB, `SELECT COALESCE(MAX(seq), 0) FROM head`, nil, &h.After); err != nil {
		return err
	}
	if err := w.DB.Exec(ctx, `UPDATE outbox SET seq = ? WHERE id = 1 AND NOT EXISTS (SELECT 1 FROM webhook)`, h.After); err != nil {
		return err
	}
	return w.putWebhook(ctx, `INSERT INTO webhook (doc, id) VALUES (?, ?)`, h)
}

// ChangeWebhook is store.Store's.
func (w Work) ChangeWebhook(ctx context.Context, id string, change func(*store.Webhook) error) (store.Webhook, error) {
	h, err := doc[store.Webhook](ctx, w.DB, `SELECT doc FROM webhook WHERE id = ?`+w.Lock, id)
	if err != nil {
		return h, err
	}
	if err := change(&h); err != nil {
		return h, err
	}
	return h, w.putWebhook(ctx, `UPDATE webhook SET doc = ? WHERE id = ?`, h)
}

func (w Work) putWebhook(ctx context.Context, statement string, h store.Webhook) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return w.DB.Exec(ctx, statement, string(text), h.ID)
}

// DropWebhook is store.Store's.
func (w Work) DropWebhook(ctx context.Context, id string) error {
	var was string
	if err := one(ctx, w.DB, `DELETE FROM webhook WHERE id = ? RETURNING id`, []any{id}, &was); err != nil {
		return err
	}
	return w.DB.Exec(ctx, `DELETE FROM job WHERE topic = ?`, id)
}

// Job implements store.Store.
func (r *Reader) Job(ctx context.Context, id string) (store.Job, error) {
	found, err := jobs(ctx, r.DB, `SELECT `+jobColumns+` FROM job WHERE id = ?`, id)
	if err == nil && len(found) == 0 {
		err = deal.ErrNotFound
	}
	if err != nil {
		return store.Job{}, err
	}
	return found[0], nil
}

// Jobs implements store.Store.
func (r *Reader) Jobs(ctx context.Context, f store.JobFilter) ([]store.Job, error) {
	var w where
	w.equal("kind", f.Kind)
	w.equal("topic", f.Topic)
	w.equal("state", string(f.State))
	if f.After != "" {
		n, err := strconv.ParseUint(f.After, 10, 63)
		if err != nil {
			return nil, fmt.Errorf("%q is no place in a list of jobs", f.After)
		}
		w.add("n < ?", n)
	}
	return jobs(ctx, r.DB, `SELECT `+jobColumns+` FROM job`+w.text()+` ORDER BY n DESC LIMIT ?`, append(w.args, f.Limit)...)
}

// Backlog implements store.Store.
func (r *Reader) Backlog(ctx context.Context, kind string) (b store.Backlog, err error) {
	err = one(ctx, r.DB, `SELECT COUNT(*), MIN(created_at) FROM job WHERE kind = ? AND state = 'waiting'`, []any{kind}, &b.Waiting, instant{&b.Since})
	if err != nil {
		return b, err
	}
	return b, one(ctx, r.DB, `SELECT COUNT(*) FROM job WHERE kind = ? AND state = 'dead'`, []any{kind}, &b.Dead)
}

// Webhook implements store.Store.
func (r *Reader) Webhook(ctx context.Context, id string) (store.Webhook, error) {
	return doc[store.Webhook](ctx, r.DB, `SELECT doc FROM webhook WHERE id = ?`, id)
}

// Webhooks implements store.Store.
func (r *Reader) Webhooks(ctx context.Context) ([]store.Webhook, error) {
	return list[store.Webhook](ctx, r.DB, `SELECT doc FROM webhook ORDER BY id`, nil)
}
