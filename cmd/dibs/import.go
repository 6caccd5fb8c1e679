package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/intake"
	"github.com/dibs-deals/dibs/internal/replica"
	"github.com/dibs-deals/dibs/internal/store"
)

// maxShrink is the largest part of what is stored that --replace may close: a truncated export must not empty the
// vendor's world.
const maxShrink = 0.20

// shownErrors is how many bad rows are printed; all are counted.
const shownErrors = 100

// importCmd is dibs import.
type importCmd struct {
	databaseFlags
	Kind     string `arg:"" enum:"accounts,opportunities,partners,people,products,rates,registrations,territories" help:"accounts, opportunities, partners, people, products, rates, registrations or territories."`
	File     string `arg:"" help:"CSV or NDJSON (territories: the YAML plan); - reads standard input."`
	Format   string `enum:"auto,csv,ndjson" default:"auto" help:"auto, csv or ndjson."`
	Currency string `placeholder:"ISO" help:"Currency of amounts that have none of their own."`
	Replace  bool   `help:"The file is all there is: close what it does not name. Refused when that is more than 20% of what is stored."`
	DryRun   bool   `help:"Read and check the file; change nothing."`
}

// Run imports. Good rows land, bad ones are reported with their line; it exits 1 when there was any.
func (c *importCmd) Run(ctx context.Context, std stdio) error {
	in, size, err := c.open(std)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	e, done, err := c.openEngine(ctx, true, newLog(std.err, slog.LevelWarn))
	if err != nil {
		return err
	}
	err = c.load(ctx, std, e, progress(std, in, size, c.Kind))
	return errors.Join(err, done())
}

func (c *importCmd) open(std stdio) (io.ReadCloser, int64, error) {
	if c.File == "-" {
		return io.NopCloser(std.in), -1, nil
	}
	f, err := os.Open(c.File)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// progress shows how far reading has come, on a terminal only.
func progress(std stdio, in io.Reader, size int64, what string) io.Reader {
	f, ok := std.err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return in
	}
	bar := progressbar.NewOptions64(size, progressbar.OptionSetWriter(f), progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100_000_000))
	return io.TeeReader(in, bar)
}

func (c *importCmd) load(ctx context.Context, std stdio, e *engine.Engine, in io.Reader) error {
	switch c.Kind {
	case "territories":
		return c.plan(ctx, std, e, in)
	case "registrations":
		return c.registrations(ctx, std, e, in)
	}
	err := c.records(ctx, std, e, in, deal.RecordKind(c.Kind))
	if c.Kind == string(deal.Accounts) && !c.DryRun {
		if kerr := replica.NewKept(e.Store(), nil).Renew(ctx, e); kerr != nil {
			fmt.Fprintf(std.err, "the accounts are in; the next start will take longer, for no snapshot of them was kept: %v\n", kerr)
		}
	}
	return err
}

// report prints bad rows and counts them.
type report struct {
	std   stdio
	file  string // named before the line where a command reads several
	bad   int
	notes int // of rows that are read all the same
}

func (r *report) row(err *intake.RowError) {
	r.bad++
	if r.bad <= shownErrors {
		at := ""
		if r.file != "" {
			at = r.file + ": "
		}
		for _, f := range err.Errs {
			fmt.Fprintf(r.std.err, "%sline %d: %s: %s\n", at, err.Line, f.Field, f.Detail)
		}
	}
}

func (r *report) end() error {
	if r.bad > shownErrors {
		fmt.Fprintf(r.std.err, "and %d more bad rows\n", r.bad-shownErrors)
	}
	if r.notes > shownErrors {
		fmt.Fprintf(r.std.err, "and %d more without a name\n", r.notes-shownErrors)
	}
	if r.bad > 0 {
		return errFound
	}
	return nil
}

func (c *importCmd) options(std stdio) []intake.Option {
	opts := []intake.Option{intake.OnHeader(func(h intake.Header) {
		if len(h.Ignored) > 0 {
			fmt.Fprintf(std.err, "columns not used: %s\n", strings.Join(h.Ignored, ", "))
		}
	})}
	if c.Currency != "" {
		opts = append(opts, intake.DefaultCurrency(strings.ToUpper(c.Currency)))
	}
	return opts
}

func (c *importCmd) records(ctx context.Context, std stdio, e *engine.Engine, in io.Reader, kind deal.RecordKind) error {
	rep := report{std: std}
	if !c.Replace {
		total, err := engine.ImportRows(ctx, e, engine.Request{Actor: operator}, c.DryRun, func(put func(engine.ImportRow) error) error {
			return c.each(in, kind, std, &rep, put)
		}, func(line int, errs deal.FieldErrors) { rep.row(&intake.RowError{Line: line, Errs: errs}) })
		if err != nil {
			return err
		}
		c.sum(std, total, rep.bad)
		return rep.end()
	}
	// The whole file is read before anything changes: what it does not name is known only at its end.
	var rows []engine.ImportRow
	if err := c.each(in, kind, std, &rep, func(r engine.ImportRow) error { rows = append(rows, r); return nil }); err != nil {
		return err
	}
	if rep.bad > 0 {
		fmt.Fprintln(std.err, "nothing was changed: with --replace a row that cannot be read would be taken for a row that is gone")
		return rep.end()
	}
	named := make(map[string]bool, len(rows))
	for _, r := range rows {
		named[r.Record.Key()] = true
	}
	absent, stored, err := c.absent(ctx, e, kind, named)
	if err != nil {
		return err
	}
	if float64(len(absent)) > maxShrink*float64(stored) {
		return fmt.Errorf("the file leaves out %d of %d stored %s, more than %.0f%%: nothing was changed", len(absent), stored, kind, 100*maxShrink)
	}
	total, err := engine.ImportRows(ctx, e, engine.Request{Actor: operator}, c.DryRun, func(put func(engine.ImportRow) error) error {
		for _, r := range rows {
			if err := put(r); err != nil {
				return err
			}
		}
		return nil
	}, func(line int, errs deal.FieldErrors) { rep.row(&intake.RowError{Line: line, Errs: errs}) })
	if err != nil {
		return err
	}
	if !c.DryRun {
		if err := closeRows(ctx, e, kind, absent); err != nil {
			return err
		}
	}
	c.sum(std, total, rep.bad)
	fmt.Fprintf(std.out, "%d %s closed, which the file does not name\n", len(absent), kind)
	return rep.end()
}

func (c *importCmd) sum(std stdio, t engine.PutResult, bad int) {
	mode := ""
	if c.DryRun {
		mode = " (dry run: nothing was changed)"
	}
	fmt.Fprintf(std.out, "%s: %d created, %d updated, %d unchanged, %d rejected%s\n", c.Kind, t.Created, t.Updated, t.Unchanged, bad, mode)
	for _, d := range t.Doubts {
		more := ""
		if d.Rows > 1 {
			more = fmt.Sprintf(" (and %d more rows)", d.Rows-1)
		}
		fmt.Fprintf(std.err, "line %d: warn: %s %s%s\n", d.Line, d.Field, d.Detail, more)
	}
}

// each reads the rows of the file.
func (c *importCmd) each(in io.Reader, kind deal.RecordKind, std stdio, rep *report, put func(engine.ImportRow) error) error {
	var failed error
	err := intake.Read(in, kind, c.Format, func(row intake.Row, bad *intake.RowError) bool {
		if bad != nil {
			rep.row(bad)
			return true
		}
		failed = put(engine.ImportRow{Line: row.Line, Record: row.Record, Merge: func(stored, r deal.Record) deal.Record { return intake.Merge(stored, r, row.Present) }})
		return failed == nil
	}, c.options(std)...)
	if failed != nil {
		return failed
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	return nil
}

// absent returns the stored rows the file does not name, and how many are stored. Rows that are closed already count
// as neither.
func (c *importCmd) absent(ctx context.Context, e *engine.Engine, kind deal.RecordKind, named map[string]bool) (out []deal.Record, stored int, err error) {
	page := store.Page{Limit: 1000}
	for {
		rows, err := e.Store().Records(ctx, kind, store.RecordFilter{Page: page})
		if err != nil {
			return nil, 0, err
		}
		for _, r := range rows {
			page.After = r.Key()
			if a, ok := r.(*deal.Account); ok && a.Status == "closed" {
				continue
			}
			stored++
			if !named[r.Key()] {
				out = append(out, r)
			}
		}
		if len(rows) < page.Limit {
			return out, stored, nil
		}
	}
}

// closeRows ends rows that are gone: accounts and partners keep their history under a closed status, the rest is
// removed.
func closeRows(ctx context.Context, e *engine.Engine, kind deal.RecordKind, rows []deal.Record) error {
	for chunk := range slices.Chunk(rows, engine.MaxRows) {
		var keys []string
		for _, r := range chunk {
			keys = append(keys, r.Key())
			switch r := r.(type) {
			case *deal.Account:
				r.Status = "closed"
			case *deal.Partner:
				r.Status = "terminated"
			}
		}
		var err error
		if kind == deal.Accounts || kind == deal.Partners {
			_, err = e.Put(ctx, engine.Request{Actor: operator}, chunk, nil)
		} else {
			err = e.Delete(ctx, engine.Request{Actor: operator}, kind, keys)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *importCmd) registrations(ctx context.Context, std stdio, e *engine.Engine, in io.Reader) error {
	rep := report{std: std}
	var batch []engine.Existing
	var lines []int
	imported := 0
	flush := func() {
		if !c.DryRun {
			for i, err := range e.ImportExisting(ctx, operator, batch) {
				var errs deal.FieldErrors
				switch {
				case err == nil:
					imported++
				case errors.As(err, &errs):
					rep.row(&intake.RowError{Line: lines[i], Errs: errs})
				default:
					rep.row(&intake.RowError{Line: lines[i], Errs: deal.FieldErrors{{Field: "row", Detail: err.Error()}}})
				}
			}
		}
		batch, lines = batch[:0], lines[:0]
	}
	err := intake.ReadRegistrations(in, c.Format, func(x intake.Existing, bad *intake.RowError) bool {
		if bad != nil {
			rep.row(bad)
			return true
		}
		batch = append(batch, engine.Existing{Number: x.Number, Status: x.Status, ReceivedAt: x.ReceivedAt, ProtectedFrom: x.ProtectedFrom, ProtectedUntil: x.ProtectedUntil, Filing: x.Filing})
		lines = append(lines, x.Line)
		if len(batch) == 500 {
			flush()
		}
		return ctx.Err() == nil
	}, c.options(std)...)
	flush()
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	fmt.Fprintf(std.out, "registrations: %d imported, %d rejected\n", imported, rep.bad)
	return errors.Join(ctx.Err(), rep.end())
}

// plan saves a territory plan and publishes it.
func (c *importCmd) plan(ctx context.Context, std stdio, e *engine.Engine, in io.Reader) error {
	body, err := io.ReadAll(io.LimitReader(in, 32<<20))
	if err != nil {
		return err
	}
	q := engine.Request{Actor: operator}
	if c.DryRun {
		return errors.New("--dry-run: use dibs policy check for a territory plan")
	}
	d, err := e.SaveDocument(ctx, q, deal.TerritoryDocument, body)
	if err != nil {
		fmt.Fprintln(std.err, err)
		return errFound
	}
	if d, err = e.Publish(ctx, q, deal.TerritoryDocument, d.Version); err != nil {
		if _, is := errors.AsType[document.Errors](err); !is {
			return err
		}
		fmt.Fprintln(std.err, err)
		return errFound
	}
	fmt.Fprintf(std.out, "territory plan %s version %d %s\n", d.Name, d.Version, standing(d))
	return doubts(std, e, &d)
}

// doubts warns of what a policy or a territory plan says that does not fit what there is: amounts in another currency, and what a plan
// names and no record has.
func doubts(std stdio, e *engine.Engine, d *deal.Document) error {
	misfits, err := e.Misfits(d)
	for _, w := range misfits {
		fmt.Fprintf(std.err, "warn: %s\n", w)
	}
	if err != nil || d.Kind != deal.TerritoryDocument {
		return err
	}
	found, err := e.Strangers([]byte(d.Body))
	if len(found) > maxStrangers {
		defer fmt.Fprintf(std.err, "and %d more\n", len(found)-maxStrangers)
		found = found[:maxStrangers]
	}
	for _, n := range found {
		fmt.Fprintf(std.err, "%d:%d: warn: territory %s names %s, which is not among the %s\n", n.Line, n.Column, n.Territory, n.ID, n.Kind)
	}
	return err
}

// maxStrangers is how many are named.
const maxStrangers = 20
