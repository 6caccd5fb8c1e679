package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/intake"
	"github.com/dibs-deals/dibs/internal/match"
)

// matchCmd matches files offline. It needs no database.
type matchCmd struct {
	Against string `help:"CSV or NDJSON file of the organisations to match against; - reads standard input." placeholder:"ACCOUNTS.csv" xor:"mode"`
	Pairs   string `help:"CSV file of pairs to judge: id, name_a, name_b and optionally other fields ending in _a and _b." placeholder:"PAIRS.csv" xor:"mode"`
	Limit   int    `help:"Candidates per query." default:"10"`
	Model   string `help:"File of the model that matches, as dibs match fit writes it. Default: the embedded one." env:"DIBS_MODEL" placeholder:"FILE"`
	Queries string `arg:"" optional:"" help:"CSV or NDJSON file of queries: id, name and optionally the other fields of an account; - reads standard input."`
}

// Run prints one JSON line for each query or pair, in the order of the input.
func (c *matchCmd) Run(ctx context.Context, std stdio) error {
	switch {
	case c.Limit < 1 || c.Limit > 1000:
		return errors.New("--limit must be between 1 and 1000")
	case c.Pairs != "":
		if c.Queries != "" {
			return errors.New("--pairs takes no file of queries")
		}
		return c.judge(ctx, std)
	case c.Against == "" || c.Queries == "":
		return errors.New("give --against ACCOUNTS.csv and a file of queries, or --pairs PAIRS.csv")
	case c.Against == "-" && c.Queries == "-":
		return errors.New("only one file can come from standard input")
	}
	return c.search(ctx, std)
}

// search answers queries against an index of the organisations. Rows that cannot be read are reported with their line;
// it exits 1 when there was any.
func (c *matchCmd) search(ctx context.Context, std stdio) error {
	m, err := loadModel(c.Model)
	if err != nil {
		return err
	}
	index := match.NewIndex(m)
	rep := report{std: std}
	var failed error
	index.Load(func(yield func(match.Record) bool) {
		failed = readOrganisations(std, c.Against, &rep, rep.nameless, func(a *deal.Account) bool { return yield(match.FromAccount(a)) && ctx.Err() == nil })
	})
	if err := errors.Join(failed, ctx.Err()); err != nil {
		return err
	}
	type answer struct {
		QueryID    string       `json:"query_id"`
		Candidates []deal.Match `json:"candidates"`
	}
	err = answerRows(ctx, std, func(yield func(*deal.Account) bool) error {
		return readOrganisations(std, c.Queries, &rep, func(line int) bool { return rep.note(line, "name") }, yield)
	}, func(a *deal.Account) any {
		q := m.Prepare(match.FromAccount(a))
		return answer{a.ID, index.Search(q, match.Options{Limit: c.Limit}).Candidates}
	})
	if err != nil {
		return err
	}
	return rep.end()
}

// readOrganisations reads a file of organisations, by the headers dibs import accounts knows. Of one without a name nameless is told, and
// says whether it is wanted.
func readOrganisations(std stdio, path string, rep *report, nameless func(line int) bool, yield func(*deal.Account) bool) error {
	in, label, err := std.open(path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	rep.file = label
	err = intake.Read(in, deal.Accounts, "auto", func(row intake.Row, bad *intake.RowError) bool {
		if bad != nil {
			rep.row(bad)
			return true
		}
		a := row.Record.(*deal.Account)
		if unnamed(a.Name) && !nameless(row.Line) {
			return true
		}
		return yield(a)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", label, err)
	}
	return nil
}

// judge compares the two sides of each pair.
func (c *matchCmd) judge(ctx context.Context, std stdio) error {
	type answer struct {
		QueryID     string       `json:"query_id"`
		Probability float64      `json:"probability"`
		Verdict     deal.Verdict `json:"verdict"`
		Evidence    []deal.Score `json:"evidence"`
	}
	m, err := loadModel(c.Model)
	if err != nil {
		return err
	}
	rep := report{std: std}
	err = answerRows(ctx, std, func(yield func(pair) bool) error { return readPairs(std, c.Pairs, &rep, yield) }, func(p pair) any {
		if unnamed(p.cell("name_a")) && unnamed(p.cell("name_b")) {
			return answer{p.cell("id"), 0, deal.Different, []deal.Score{}} // two that have no name do not have one name
		}
		j := m.Judge(m.Prepare(p.side("_a")), m.Prepare(p.side("_b")))
		return answer{p.cell("id"), j.Probability, j.Verdict, j.Evidence}
	})
	if err != nil {
		return err
	}
	return rep.end()
}

// pair is one row of a file of pairs. A column the file lacks is empty.
type pair struct {
	column map[string]int
	cells  []string
}

func (p pair) cell(name string) string {
	if i, ok := p.column[name]; ok {
		return strings.TrimSpace(p.cells[i])
	}
	return ""
}

// side reads one organisation of the pair, from the columns whose names end in suffix.
func (p pair) side(suffix string) match.Record {
	get := func(c string) string { return p.cell(c + suffix) }
	list := func(c string) (out []string) {
		for _, s := range strings.Split(get(c), ";") {
			if s = strings.TrimSpace(s); s != "" {
				out = append(out, s)
			}
		}
		return out
	}
	a := deal.Account{Name: get("name"), Aliases: list("aliases"), Domain: get("domain"), Domains: list("domains"), Website: get("website"),
		Country: strings.ToUpper(get("country")), City: get("city"), PostalCode: get("postal_code"), Street: get("street"), Phone: get("phone"), TaxID: get("tax_id"),
		DUNS: get("duns"), LEI: get("lei")}
	a.Region = deal.CanonicalRegion(a.Country, get("region"))
	r := match.FromAccount(&a)
	if parent := get("parent"); parent != "" {
		r.ParentNames = []string{parent}
	}
	return r
}

// readPairs reads a CSV file of pairs.
func readPairs(std stdio, path string, rep *report, yield func(pair) bool) error {
	return readTable(std, path, []string{"id", "name_a", "name_b"}, rep, func(line int, p pair) bool {
		if p.cell("id") == "" {
			rep.row(&intake.RowError{Line: line, Errs: deal.FieldErrors{{Field: "id", Detail: "is required"}}})
			return true
		}
		for _, name := range []string{"name_a", "name_b"} {
			if unnamed(p.cell(name)) {
				rep.note(line, name)
			}
		}
		return yield(p)
	})
}

// unnamed reports whether a name has nothing to compare.
func unnamed(name string) bool { return match.Normalise(name) == "" }

// nameless reports a row that has to have a name; false, always.
func (r *report) nameless(line int) bool {
	r.row(&intake.RowError{Line: line, Errs: deal.FieldErrors{{Field: "name", Detail: "is required: there is no letter or digit to compare"}}})
	return false
}

// note tells of a row that is answered although it has no name; true, always.
func (r *report) note(line int, field string) bool {
	if r.notes++; r.notes <= shownErrors {
		fmt.Fprintf(r.std.err, "%s: line %d: warn: %s has no letter or digit: only what else is given is compared\n", r.file, line, field)
	}
	return true
}

// readTable reads a CSV file of what a person labels, not what a CRM exports: it has the names documented here and no others, and has to have
// those of needs. Rows that cannot be read are reported.
func readTable(std stdio, path string, needs []string, rep *report, yield func(line int, row pair) bool) error {
	in, label, err := std.open(path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	rep.file = label
	r := csv.NewReader(bufio.NewReader(in))
	head, err := r.Read()
	if err != nil {
		return fmt.Errorf("%s: no header line: %w", label, err)
	}
	column := make(map[string]int, len(head))
	for i, h := range head {
		column[strings.ToLower(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")))] = i
	}
	for _, c := range needs {
		if _, ok := column[c]; !ok {
			return fmt.Errorf("%s: line 1: no column %q; found %s", label, c, strings.Join(head, ", "))
		}
	}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if bad, ok := errors.AsType[*csv.ParseError](err); ok {
			rep.row(&intake.RowError{Line: bad.StartLine, Errs: deal.FieldErrors{{Field: "row", Detail: bad.Err.Error()}}})
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", label, err)
		}
		line, _ := r.FieldPos(0)
		if !yield(line, pair{column, cells}) {
			return nil
		}
	}
}

// answerRows reads rows, answers them on all processors and prints the answers in order.
func answerRows[T any](ctx context.Context, std stdio, rows func(yield func(T) bool) error, answer func(T) any) error {
	type job struct {
		rows []T
		out  []byte
		err  error
		done chan struct{}
	}
	const together = 64 // rows handed over at once
	workers := runtime.GOMAXPROCS(0)
	todo, order := make(chan *job), make(chan *job, 4*workers)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for j := range todo {
				for _, row := range j.rows {
					b, err := json.Marshal(answer(row))
					if err != nil {
						j.err = err
						break
					}
					j.out = append(append(j.out, b...), '\n')
				}
				close(j.done)
			}
		})
	}
	read := make(chan error, 1)
	go func() {
		j := &job{done: make(chan struct{})}
		send := func() {
			order <- j
			todo <- j
			j = &job{done: make(chan struct{})}
		}
		err := rows(func(row T) bool {
			if j.rows = append(j.rows, row); len(j.rows) == together {
				send()
			}
			return ctx.Err() == nil
		})
		send()
		close(todo)
		close(order)
		read <- errors.Join(err, ctx.Err())
	}()
	w := bufio.NewWriter(std.out)
	var failed error
	for j := range order {
		<-j.done
		if failed == nil {
			if failed = j.err; failed == nil {
				_, failed = w.Write(j.out)
			}
		}
	}
	wg.Wait()
	return errors.Join(<-read, failed, w.Flush())
}
