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
	Bytes     int64   `json:"bytes"`    // of accounts and index
	Sequence  uint64  `json:"sequence"` // the entry they are of
	Seconds   float64 `json:"seconds"`  // from the database to the index
	Published bool    `json:"published"`
	Digest    string  `json:"digest,omitempty"` // SHA-256 of what was published
}

// Run builds the index without looking at a snapshot, and publishes it if there is a Redis to publish in.
func (c *reindexCmd) Run(ctx context.Context, std stdio) (err error) {
	log := newLog(std.err, slog.LevelWarn)
	from := time.Now()
	e, done, err := c.openEngine(ctx, false, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	out := reindexed{Seconds: time.Since(from).Seconds()}
	out.Accounts, _ = e.Accounts()
	if c.Redis == "" {
		base, sections, err := e.Snapshot(ctx)
		if err != nil {
			return err
		}
		out.Sequence = base.Seq
		for _, s := range sections {
			out.Bytes += int64(len(s))
		}
	} else if err := c.publish(ctx, log, e, &out); err != nil {
		return err
	}
	if c.Format == "json" {
		return writeJSON(std.out, out)
	}
	fmt.Fprintf(std.out, "%d accounts read and indexed in %.1f s, as of entry %d: %d bytes\n", out.Accounts, out.Seconds, out.Sequence, out.Bytes)
	if out.Published {
		fmt.Fprintf(std.out, "published as %s\n", out.Digest)
	} else {
		fmt.Fprintln(std.out, "nothing was published: give --redis for replicas to start from it")
	}
	return nil
}

func (c *reindexCmd) publish(ctx context.Context, log *slog.Logger, e *engine.Engine, out *reindexed) (err error) {
	r, err := replica.New(replica.Config{URL: c.Redis, Store: e.Store(), Origin: c.Origin, Log: log})
	if err != nil {
		return fmt.Errorf("--redis: %w", err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	rec, err := r.Publish(ctx, e)
	if errors.Is(err, replica.ErrLeased) {
		return fmt.Errorf("%w at this moment; try again", err)
	}
	if err != nil {
		return err
	}
	out.Sequence, out.Bytes, out.Published, out.Digest = rec.Seq, rec.Bytes, true, fmt.Sprintf("sha256:%x", rec.Digest)
	return nil
}
