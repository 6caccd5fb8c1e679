// Command peers measures the matcher beside other ways to find a name in a list: pg_trgm in a PostgreSQL of its own, Bleve, the cosine of
// letter trigrams, and scans of the whole list by Jaro-Winkler and by edit distance. All are asked the same questions of the same list, in
// one run on one machine, so that their ratios hold. It is a module of its own: what it measures with is no part of the product.
package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/report"
	"github.com/dibs-deals/dibs/internal/world"
)

// best is how many names a peer is asked for.
const best = 10

// peer is one way to find a name.
type peer interface {
	// build takes the list, whose names are numbered from 0, and returns the bytes it needs beside the names themselves.
	build(names []string) (bytes int64, err error)
	// find returns the numbers of the best names, best first.
	find(name string) ([]uint32, error)
	// busy is the processor time that everybody who works for the peer has used so far.
	busy() (time.Duration, error)
	close() error
}

// contender is a peer as it is listed.
type contender struct {
	key, title string
	questions  int
	make       func() (peer, error)
}

func main() {
	log.SetFlags(0)
	n := flag.Int("names", 1_000_000, "names of the list")
	shared := flag.String("shared", os.Getenv("SHARED"), "folder with data/scale/organisations.csv, whose names the list is made of; default $SHARED, and without it the organisations of the demo")
	only := flag.String("only", "", "keys of the peers measured beside ours, separated by commas: "+keys()+"; default all")
	file := flag.String("report", "", "file whose table of the -mark is written; default: print it")
	mark := flag.String("mark", "peers", "name of the table in the report")
	scale := flag.Float64("questions", 1, "how many times the usual number of questions is asked")
	flag.Parse()
	base, from, err := organisations(*shared)
	if err != nil {
		log.Fatal(err)
	}
	table, err := compare(base, from, *n, *scale, strings.FieldsFunc(*only, func(r rune) bool { return r == ',' }))
	if err == nil {
		fmt.Println(table)
		if *file != "" {
			err = report.Write(*file, *mark, table)
		}
	}
	if err != nil {
		log.Fatal(err)
	}
}

// contenders are all that are measured. Scans and PostgreSQL are slow: they are asked fewer questions.
var contenders = []contender{
	{"ours", "**dibs**", 2000, func() (peer, error) { return &ours{}, nil }},
	{"pg3", "pg_trgm, GIN, similarity 0.3", 200, func() (peer, error) { return newTrigrams(0.3) }},
	{"pg5", "pg_trgm, GIN, similarity 0.5", 200, func() (peer, error) { return newTrigrams(0.5) }},
	{"bleve", "Bleve, match, fuzziness 1", 300, func() (peer, error) { return &fullText{}, nil }},
	{"cosine", "TF-IDF cosine of letter trigrams", 200, func() (peer, error) { return &cosine{}, nil }},
	{"jw", "Jaro-Winkler, scan", 12, func() (peer, error) { return &scan{like: jaroWinkler}, nil }},
	{"edit", "edit distance, scan", 12, func() (peer, error) { return &scan{like: editDistance}, nil }},
}

func keys() string {
	var out []string
	for _, c := range contenders[1:] {
		out = append(out, c.key)
	}
	return strings.Join(out, ", ")
}

// organisations returns those the list is made of, and what to call them.
func organisations(shared string) ([]*deal.Account, string, error) {
	f, err := os.Open(filepath.Join(shared, "data", "scale", "organisations.csv"))
	if errors.Is(err, os.ErrNotExist) {
		return slices.Collect(world.Accounts()), "demo", nil
	}
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = f.Close() }()
	c := csv.NewReader(bufio.NewReaderSize(f, 1<<20))
	c.FieldsPerRecord, c.LazyQuotes, c.ReuseRecord = -1, true, true
	head, err := c.Read()
	if err != nil {
		return nil, "", err
	}
	at := slices.Index(head, "name")
	if at < 0 {
		return nil, "", fmt.Errorf("%s has no column name", f.Name())
	}
	var out []*deal.Account
	for {
		cells, err := c.Read()
		if errors.Is(err, io.EOF) {
			return out, "real", nil
		}
		if err != nil {
			return nil, "", err
		}
		if at < len(cells) && len(strings.TrimSpace(cells[at])) > 0 {
			out = append(out, &deal.Account{Name: strings.Clone(cells[at])})
		}
	}
}

// list returns n names that are different from each other in more than case.
func list(base []*deal.Account, n int) []string {
	c := world.NewCrowd(base)
	names, seen := make([]string, 0, n), make(map[uint64]struct{}, n)
	for i := 0; len(names) < n; i++ {
		name := c.Account(i).Name
		h := hashOf(match.Normalise(name))
		if _, ok := seen[h]; !ok {
			seen[h] = struct{}{}
			names = append(names, name)
		}
	}
	return names
}

// questions are names of the list as partners' forms have them, each with the number of the one that is meant: the same in every run.
func questions(names []string, n int) iter.Seq2[uint32, string] {
	return func(yield func(uint32, string) bool) {
		rng := rand.New(rand.NewPCG(21, 22))
		for range n {
			i := rng.IntN(len(names))
			if !yield(uint32(i), world.Filed(rng, names[i])) {
				return
			}
		}
	}
}

// result is what came of one peer.
type result struct {
	contender
	built             time.Duration // processor time
	bytes             float64       // a name
	first, among, our float64       // recall@1, recall@10, and recall@1 of ours on the same questions
	p50, p99          time.Duration
	cpu               time.Duration // a question
}

// compare measures all, or those asked for, and returns the table.
func compare(base []*deal.Account, from string, n int, scale float64, only []string) (string, error) {
	for _, k := range only {
		if !slices.ContainsFunc(contenders, func(c contender) bool { return c.key == k }) {
			return "", fmt.Errorf("there is no peer %q: %s", k, keys())
		}
	}
	names := list(base, n)
	var out []result
	var hits []bool // of ours, by question
	for i, c := range contenders {
		if i > 0 && len(only) > 0 && !slices.Contains(only, c.key) {
			continue
		}
		c.questions = max(1, int(scale*float64(c.questions)))
		r, found, err := measure(c, names)
		if err != nil {
			return "", fmt.Errorf("%s: %w", c.title, err)
		}
		if i == 0 {
			hits = found
		}
		r.our = share(hits[:min(len(hits), c.questions)])
		out = append(out, r)
		fmt.Fprintf(os.Stderr, "%s: built in %.1f s CPU, recall@1 %.3f of %d, %.3f ms CPU\n", c.title, r.built.Seconds(), r.first, c.questions, ms(r.cpu))
	}
	return table(out, from, n, len(base)), nil
}

func share(list []bool) float64 {
	n := 0
	for _, x := range list {
		if x {
			n++
		}
	}
	return float64(n) / float64(max(1, len(list)))
}

// measure builds one peer and asks it.
func measure(c contender, names []string) (r result, found []bool, err error) {
	r.contender = c
	p, err := c.make()
	if err != nil {
		return r, nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	runtime.GC()
	began, err := inProcess{}.busy()
	if err != nil {
		return r, nil, err
	}
	bytes, err := p.build(names)
	if err != nil {
		return r, nil, err
	}
	built, err := p.busy()
	if err != nil {
		return r, nil, err
	}
	r.built, r.bytes = built-began, float64(bytes)/float64(len(names))
	for _, q := range questions(names, c.questions/20) { // warm
		if _, err := p.find(q); err != nil {
			return r, nil, err
		}
	}
	runtime.GC()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var took []time.Duration
	among := 0
	before, err := p.busy()
	if err != nil {
		return r, nil, err
	}
	for meant, q := range questions(names, c.questions) {
		at := time.Now()
		got, err := p.find(q)
		took = append(took, time.Since(at))
		if err != nil {
			return r, nil, fmt.Errorf("%q: %w", q, err)
		}
		found = append(found, len(got) > 0 && got[0] == meant)
		if slices.Contains(got, meant) {
			among++
		}
	}
	after, err := p.busy()
	if err != nil {
		return r, nil, err
	}
	slices.Sort(took)
	at := func(p float64) time.Duration { return took[int(p*float64(len(took)-1))] }
	r.p50, r.p99, r.cpu = at(0.5), at(0.99), (after-before)/time.Duration(len(took))
	r.first, r.among = share(found), float64(among)/float64(len(took))
	return r, found, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// table writes the results. The first is ours, and the measure of the others.
func table(rs []result, from string, n, base int) string {
	var b strings.Builder
	b.WriteString(report.Machine())
	fmt.Fprintf(&b, "%d different names, made of %d %s organisations; questions are names of the list with the slips of forms, and nothing but the name. CPU is of everybody at work for the peer, its database too; bytes are of the index, without the names.\n\n", n, base, from)
	b.WriteString("| name only | questions | recall@1 | ours on these | recall@10 | p50 | p99 | CPU each | × our CPU | bytes a name | × ours | CPU to build |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rs {
		fmt.Fprintf(&b, "| %s | %d | %.3f | %.3f | %.3f | %.2f ms | %.2f ms | %.3f ms | %s | %.0f | %.2f | %.1f s |\n", r.title, r.questions, r.first, r.our, r.among, ms(r.p50), ms(r.p99), ms(r.cpu),
			ratio(float64(r.cpu)/float64(max(1, rs[0].cpu))), r.bytes, r.bytes/rs[0].bytes, r.built.Seconds())
	}
	return b.String()
}

func ratio(x float64) string {
	if x < 10 {
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}
