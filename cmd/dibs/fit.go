package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/intake"
	"github.com/dibs-deals/dibs/internal/match"
)

// matchCommands are dibs match, which matches, and what makes the model it matches with.
type matchCommands struct {
	Match matchCmd `cmd:"" default:"withargs" name:"files" help:"Candidates for each query, or a judgement for each pair."`
	Fit   fitCmd   `cmd:"" help:"Fit the matcher to searches, pairs, or resolved cases."`
	Model modelCmd `cmd:"" help:"Write the model's file, as a start for another."`
}

// Help is what dibs match --help says at its end.
func (*matchCommands) Help() string {
	return "dibs match --against ACCOUNTS.csv QUERIES.csv ranks candidates for each query; dibs match --pairs PAIRS.csv judges pairs. dibs match files --help lists their flags."
}

// loadModel reads a model's file; without one it is the embedded model.
func loadModel(path string) (*match.Model, error) {
	if path == "" {
		return match.Default(), nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--model: %w", err)
	}
	m, err := match.New(b)
	if err != nil {
		return nil, fmt.Errorf("--model %s: %w", path, err)
	}
	return m, nil
}

// modelCmd is dibs match model.
type modelCmd struct {
	Model    string `env:"DIBS_MODEL" placeholder:"FILE" help:"File of the model. Default: the embedded one."`
	Renumber int    `placeholder:"N" help:"Under this version: of two models the higher takes over a ledger, so this is how to go back to an earlier one."`
	Name     string `default:"organisations" help:"Name of the model, in decisions."`
}

// Run prints the file.
func (c *modelCmd) Run(std stdio) error {
	m, err := loadModel(c.Model)
	if err != nil {
		return err
	}
	b, err := m.File(c.Name, cmp.Or(c.Renumber, m.Ref().Version))
	if err == nil {
		_, err = std.out.Write(b)
	}
	return err
}

// fitCmd is dibs match fit.
type fitCmd struct {
	databaseFlags
	Accounts []string `placeholder:"ACCOUNTS.csv" sep:"none" help:"Organisations that --searches are asked of, as dibs import accounts reads them. With several, one for each --searches, in their order."`
	Searches []string `placeholder:"SEARCHES.csv" sep:"none" help:"Labelled searches: truth (the id of the account, or empty for none), name and optionally the other fields of an account. May be repeated."`
	Pairs    []string `placeholder:"PAIRS.csv" sep:"none" help:"Labelled pairs, as dibs match --pairs reads them, with a column expect: same, related or different. May be repeated."`
	Cases    bool     `help:"Learn from what people have settled in the ledger of --database: findings, and cases resolved as the same customer or as another."`
	HeldBack float64  `default:"0.2" help:"Share that is not learnt from, but measured with."`
	Name     string   `default:"organisations" help:"Name of the new model, in decisions."`
	Number   int      `placeholder:"N" help:"Version of the new model. Default: one more than that of the model it starts from (--model)."`
	Out      string   `short:"o" required:"" type:"path" placeholder:"MODEL.json" help:"File to write."`
	Format   string   `enum:"text,json" default:"text" help:"text or json."`
}

// Run fits, writes the file and prints how the new model does on what was held back. It exits 1, and writes nothing, when a row is wrong.
func (c *fitCmd) Run(ctx context.Context, std stdio) error {
	switch {
	case len(c.Accounts) != len(c.Searches):
		return fmt.Errorf("%d --accounts and %d --searches: give one file of accounts for each file of searches", len(c.Accounts), len(c.Searches))
	case len(c.Searches)+len(c.Pairs) == 0 && !c.Cases:
		return errors.New("give something to learn from: --accounts with --searches, --pairs, or --cases")
	case c.HeldBack < 0 || c.HeldBack > 0.9:
		return errors.New("--held-back is a share from 0 to 0.9")
	case c.Number < 0:
		return errors.New("--number is 1 or more")
	}
	from, err := loadModel(c.Model)
	if err != nil {
		return err
	}
	f := match.NewFitting(from, c.HeldBack)
	rep := report{std: std}
	var of []string
	for i := range c.Searches {
		if err := c.searches(ctx, std, f, from, c.Accounts[i], c.Searches[i], &rep); err != nil {
			return err
		}
		of = append(of, c.Searches[i])
	}
	for _, path := range c.Pairs {
		if err := fitPairs(std, f, path, &rep); err != nil {
			return err
		}
		of = append(of, path)
	}
	if c.Cases {
		n, err := c.cases(ctx, f)
		if err != nil {
			return err
		}
		of = append(of, fmt.Sprintf("%d pairs that people settled", n))
	}
	if err := errors.Join(rep.end(), ctx.Err()); err != nil {
		return err
	}
	fitted := fmt.Sprintf("from %s %d, on %s; %g held back", from.Ref().Name, from.Ref().Version, strings.Join(of, ", "), c.HeldBack)
	file, r, err := f.Fit(c.Name, cmp.Or(c.Number, from.Ref().Version+1), fitted)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.Out, file, 0o644); err != nil { //nolint:gosec // it holds nothing secret, and services of another user read it
		return err
	}
	m, err := match.New(file)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return writeJSON(std.out, struct {
			Model deal.DocumentRef `json:"model"`
			match.Report
		}{m.Ref(), r})
	}
	fmt.Fprintf(std.out, "%s is %s version %d, %s\n", c.Out, m.Ref().Name, m.Ref().Version, m.Ref().Digest)
	fmt.Fprintf(std.out, "learnt from %d searches and %d pairs, %d of them with a match, and %d pairs of relatives\n", r.Learnt.Searches, r.Learnt.Pairs, r.Learnt.Same, r.Learnt.Related)
	for _, kind := range []string{"searches", "pairs"} {
		was, ok := r.From[kind]
		if !ok {
			continue
		}
		is := r.Fitted[kind]
		fmt.Fprintf(std.out, "%d %s held back: F1 %.4f (was %.4f), of the verdict same %.4f (%.4f), calibration error %.4f (%.4f)", is.N, kind, is.F1, was.F1, is.Same, was.Same, is.ECE, was.ECE)
		if kind == "searches" {
			fmt.Fprintf(std.out, ", first candidate right %.4f (%.4f)", is.First, was.First)
		}
		fmt.Fprintln(std.out)
	}
	if len(r.From) == 0 {
		fmt.Fprintln(std.out, "nothing was held back: how good it is, nobody has measured")
	}
	return nil
}

// searches learns from one file of searches of one file of accounts.
func (c *fitCmd) searches(ctx context.Context, std stdio, f *match.Fitting, m *match.Model, accounts, searches string, rep *report) error {
	index, known := match.NewIndex(m), map[string]bool{}
	var failed error
	index.Load(func(yield func(match.Record) bool) {
		failed = readOrganisations(std, accounts, rep, rep.nameless, func(a *deal.Account) bool {
			known[a.ID] = true
			return yield(match.FromAccount(a)) && ctx.Err() == nil
		})
	})
	if err := errors.Join(failed, ctx.Err()); err != nil {
		return err
	}
	return readTable(std, searches, []string{"truth", "name"}, rep, func(line int, row pair) bool {
		switch truth := row.cell("truth"); {
		case row.cell("name") == "":
			rep.row(&intake.RowError{Line: line, Errs: deal.FieldErrors{{Field: "name", Detail: "is required"}}})
		case truth != "" && !known[truth]:
			rep.row(&intake.RowError{Line: line, Errs: deal.FieldErrors{{Field: "truth", Detail: fmt.Sprintf("%s has no account %q; leave it empty for a search that finds nobody", accounts, truth)}}})
		default:
			f.Search(index, row.side(""), truth)
		}
		return ctx.Err() == nil
	})
}

// expected are the labels of pairs.
var expected = []string{"same", "related", "different"}

// fitPairs learns from one file of pairs.
func fitPairs(std stdio, f *match.Fitting, path string, rep *report) error {
	return readTable(std, path, []string{"name_a", "name_b", "expect"}, rep, func(line int, row pair) bool {
		var errs deal.FieldErrors
		for _, field := range []string{"name_a", "name_b"} {
			if row.cell(field) == "" {
				errs.Add(field, "is required")
			}
		}
		label := row.cell("expect")
		if !slices.Contains(expected, label) {
			errs.Add("expect", "%q is not one of %s", label, strings.Join(expected, ", "))
		}
		if len(errs) > 0 {
			rep.row(&intake.RowError{Line: line, Errs: errs})
			return true
		}
		a, b := row.side("_a"), row.side("_b")
		f.Pair(a, b, label == "same")
		if label != "same" {
			f.Related(a, b, label == "related")
		}
		return true
	})
}

// cases learns from what people have settled, and returns how many pairs that is.
func (c *fitCmd) cases(ctx context.Context, f *match.Fitting) (n int, err error) {
	st, err := c.openStore(ctx, false)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	labels, err := engine.Labels(ctx, st)
	if err != nil {
		return 0, err
	}
	for _, l := range labels {
		f.Pair(l.A, l.B, l.Same)
	}
	return len(labels), nil
}
