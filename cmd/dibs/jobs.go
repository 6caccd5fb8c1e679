package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/dibs-deals/dibs/internal/store"
)

// jobsCmd is dibs jobs: work beside the ledger, such as deliveries to webhooks.
type jobsCmd struct {
	List  jobsListCmd  `cmd:"" help:"List jobs, the newest first."`
	Retry jobsRetryCmd `cmd:"" help:"Let jobs that were given up, or done, be done again."`
}

type jobsListCmd struct {
	databaseFlags
	State  string `enum:"waiting,done,dead," default:"" help:"waiting, done or dead; all if not given."`
	Kind   string `help:"Such as webhook."`
	Limit  int    `default:"50" help:"At most so many."`
	Format string `enum:"text,json" default:"text" help:"text or json."`
}

// Run lists jobs.
func (c *jobsListCmd) Run(ctx context.Context, std stdio) (err error) {
	if c.Limit < 1 {
		return errors.New("--limit must be at least 1")
	}
	st, err := c.openStore(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	jobs, err := st.Jobs(ctx, store.JobFilter{Kind: c.Kind, State: store.JobState(c.State), Page: store.Page{Limit: c.Limit}})
	if err != nil {
		return err
	}
	if c.Format == "json" {
		type row struct {
			ID        string         `json:"id"`
			Kind      string         `json:"kind"`
			Topic     string         `json:"topic,omitempty"`
			State     store.JobState `json:"state"`
			Attempts  int            `json:"attempts"`
			RunAt     time.Time      `json:"run_at"`
			CreatedAt time.Time      `json:"created_at"`
			EndedAt   time.Time      `json:"ended_at,omitzero"`
			Error     string         `json:"error,omitempty"`
		}
		rows := make([]row, len(jobs))
		for i, j := range jobs {
			rows[i] = row{j.ID, j.Kind, j.Topic, j.State, j.Attempts, j.RunAt, j.CreatedAt, j.DoneAt, j.Error}
		}
		return writeJSON(std.out, rows)
	}
	w := tabwriter.NewWriter(std.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tKIND\tOF\tSTATE\tATTEMPTS\tDUE\tERROR")
	for _, j := range jobs {
		due := ""
		if j.State == store.JobWaiting {
			due = j.RunAt.Format("2006-01-02 15:04")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", j.ID, j.Kind, j.Topic, j.State, j.Attempts, due, j.Error)
	}
	return w.Flush()
}

type jobsRetryCmd struct {
	databaseFlags
	IDs  []string `arg:"" optional:"" name:"id" help:"The jobs' ids: job_…"`
	Dead bool     `help:"All that were given up."`
}

// Help says more than its one line.
func (*jobsRetryCmd) Help() string {
	return "A service that runs on the database does them."
}

// Run lets jobs be done again.
func (c *jobsRetryCmd) Run(ctx context.Context, std stdio) (err error) {
	if c.Dead == (len(c.IDs) > 0) {
		return errors.New("give the ids of jobs, or --dead for all that were given up")
	}
	st, err := c.openStore(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	const page = 500
	for at := (store.Page{Limit: page}); c.Dead; {
		dead, err := st.Jobs(ctx, store.JobFilter{State: store.JobDead, Page: at})
		if err != nil {
			return err
		}
		for _, j := range dead {
			c.IDs = append(c.IDs, j.ID)
			at.After = fmt.Sprint(j.N)
		}
		if len(dead) < page {
			break
		}
	}
	for _, id := range c.IDs {
		if err := st.Retry(ctx, id, clock().UTC().Truncate(time.Microsecond)); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
	}
	fmt.Fprintf(std.out, "%d jobs wait again\n", len(c.IDs))
	return nil
}
