package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/match"
)

// matchCmd matches files offline with the embedded model. It needs no database.
type matchCmd struct {
	Against string `help:"CSV file of the organisations to match against; - reads standard input." placeholder:"ACCOUNTS.csv" xor:"mode"`
	Pairs   string `help:"CSV file of pairs to judge: id, name_a, name_b and optionally other fields ending in _a and _b." placeholder:"PAIRS.csv" xor:"mode"`
	Limit   int    `help:"Candidates per query." default:"10"`
	Queries string `arg:"" optional:"" help:"CSV file of queries: id, name and optionally other fields; - reads standard input."`
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

// search answers queries against an index of the organisations.
func (c *matchCmd) search(ctx context.Context, std stdio) error {
	index := match.NewIndex(match.Default())
	var failed error
	index.Load(func(yield func(match.Record) bool) {
		failed = readRows(std.in, c.Against, []string{"id", "name"}, func(cell func(string) string) error {
			if !yield(recordFrom(cell, "")) || ctx.Err() != nil {
				return context.Canceled
			}
			return nil
		})
	})
	if failed != nil {
		return failed
	}
	type answer struct {
		QueryID    string       `json:"query_id"`
		Candidates []deal.Match `json:"candidates"`
	}
	return answerRows(ctx, std, c.Queries, []string{"id", "name"}, func(cell func(string) string) any {
		q := match.Default().Prepare(recordFrom(cell, ""))
		return answer{cell("id"), index.Search(q, match.Options{Limit: c.Limit}).Candidates}
	})
}

// judge compares the two sides of each pair.
func (c *matchCmd) judge(ctx context.Context, std stdio) error {
	type answer struct {
		QueryID     string       `json:"query_id"`
		Probability float64      `json:"probability"`
		Verdict     deal.Verdict `json:"verdict"`
		Evidence    []deal.Score `json:"evidence"`
	}
	m := match.Default()
	return answerRows(ctx, std, c.Pairs, []string{"id", "name_a", "name_b"}, func(cell func(string) string) any {
		j := m.Judge(m.Prepare(recordFrom(cell, "_a")), m.Prepare(recordFrom(cell, "_b")))
		return answer{cell("id"), j.Probability, j.Verdict, j.Evidence}
	})
}

// recordFrom reads the columns of an organisation, whose names end in suffix.
func recordFrom(cell func(string) string, suffix string) match.Record {
	get := func(c string) string { return strings.TrimSpace(cell(c + suffix)) }
	list := func(c string) (out []string) {
		for _, s := range strings.Split(get(c), ";") {
			if s = strings.TrimSpace(s); s != "" {
				out = append(out, s)
			}
		}
		return out
	}
	a := deal.Account{ID: get("id"), Name: get("name"), Aliases: list("aliases"), Domain: get("domain"), Domains: list("domains"), Website: get("website"),
		Country: strings.ToUpper(get("country")), City: get("city"), PostalCode: get("postal_code"), Street: get("street"), Phone: get("phone"), TaxID: get("tax_id"),
		DUNS: get("duns"), LEI: get("lei"), ParentID: get("parent_id")}
	a.Region = deal.CanonicalRegion(a.Country, get("region"))
	r := match.FromAccount(&a)
	if p := get("parent"); p != "" {
		r.ParentNames = []string{p}
	}
	return r
}

// answerRows reads rows, answers them on all processors and prints the answers in order.
func answerRows(ctx context.Context, std stdio, path string, required []string, answer func(cell func(string) string) any) error {
	type job struct {
		rows [](func(string) string)
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
				for _, cell := range j.rows {
					b, err := json.Marshal(answer(cell))
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
		err := readRows(std.in, path, required, func(cell func(string) string) error {
			if j.rows = append(j.rows, cell); len(j.rows) == together {
				send()
			}
			return ctx.Err()
		})
		send()
		close(todo)
		close(order)
		read <- err
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

// readRows reads a CSV file with a header, or standard input for "-", and visits each row with a function that returns
// a cell by its column; a column the file lacks is empty.
func readRows(stdin io.Reader, path string, required []string, visit func(cell func(string) string) error) error {
	in, label := stdin, "standard input"
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		in, label = f, path
	}
	r := csv.NewReader(bufio.NewReader(in))
	head, err := r.Read()
	if err != nil {
		return fmt.Errorf("%s: no header line: %w", label, err)
	}
	column := map[string]int{}
	for i, h := range head {
		column[strings.ToLower(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")))] = i
	}
	for _, c := range required {
		if _, ok := column[c]; !ok {
			return fmt.Errorf("%s: line 1: no column %q; found %s", label, c, strings.Join(head, ", "))
		}
	}
	for {
		cells, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", label, err)
		}
		line, _ := r.FieldPos(0)
		for _, c := range required {
			if strings.TrimSpace(cells[column[c]]) == "" && c == "id" {
				return fmt.Errorf("%s: line %d: the id is empty", label, line)
			}
		}
		if err := visit(func(c string) string {
			if i, ok := column[c]; ok {
				return cells[i]
			}
			return ""
		}); err != nil {
			return err
		}
	}
}
