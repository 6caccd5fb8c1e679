package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/replica"
)

// reindexCmd is dibs reindex: the index from the database, whatever Redis holds.
type reindexCmd struct {
	databaseFlags
	redisFlags
	Format string `enum:"text,json" default:"text" help:"text or json."`
}

// reindexed is what dibs reindex prints.
type reindexed struct {
	Accounts  int     `json:"accounts"`
	Bytes     int64   `json:"bytes"`     // of accounts and index
	Sequence  uint64  `json:"sequence"`  // the entry they are of
	Seconds   float64 `json:"seconds"`   // from the database to the index
	Digest    string  `json:"digest"`    // SHA-256 of what is kept in the database
	Published bool    `json:"published"` // in Redis, too
}

// Help says more than its one line.
func (*reindexCmd) Help() string {
	return "It is kept in the database, and in Redis when that is given."
}

// Run builds the index without looking at a snapshot, keeps it in the database, and publishes it if there is a Redis to
// publish in.
func (c *reindexCmd) Run(ctx context.Context, std stdio) (err error) {
	log := newLog(std.err, slog.LevelWarn)
	from := time.Now()
	c.anew = true
	e, done, err := c.openEngine(ctx, false, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	out := reindexed{Seconds: time.Since(from).Seconds()}
	out.Accounts, _ = e.Accounts()
	rec, err := replica.Keep(ctx, e.Store(), e)
	if err != nil {
		return err
	}
	out.Sequence, out.Bytes, out.Digest = rec.Seq, rec.Bytes, fmt.Sprintf("sha256:%x", rec.Digest)
	if c.Redis != "" {
		if err := c.publish(ctx, log, e); err != nil {
			return err
		}
		out.Published = true
	}
	if c.Format == "json" {
		return writeJSON(std.out, out)
	}
	fmt.Fprintf(std.out, "%d accounts read and indexed in %.1f s, as of entry %d: %d bytes\n", out.Accounts, out.Seconds, out.Sequence, out.Bytes)
	fmt.Fprintf(std.out, "kept in the database as %s\n", out.Digest)
	if out.Published {
		fmt.Fprintln(std.out, "published in Redis")
	}
	return nil
}

func (c *reindexCmd) publish(ctx context.Context, log *slog.Logger, e *engine.Engine) (err error) {
	r, err := replica.New(replica.Config{URL: c.Redis, Store: e.Store(), Origin: c.Origin, Log: log})
	if err != nil {
		return fmt.Errorf("--redis: %w", err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if _, err := r.Publish(ctx, e); errors.Is(err, replica.ErrLeased) {
		return fmt.Errorf("%w at this moment; try again", err)
	} else if err != nil {
		return err
	}
	return nil
}
