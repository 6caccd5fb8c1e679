// Command matchbench measures the candidate index at the size of a large vendor: it makes a million accounts of the
// real organisations at hand, asks for some of them as people write them, and says what one search costs on one thread
// and how often the account is found. The accounts and the questions are the same in every run.
package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/world"
)

func main() {
	log.SetFlags(0)
	n := flag.Int("accounts", 1_000_000, "accounts of the corpus")
	queries := flag.Int("queries", 4000, "searches measured, of each kind")
	shared := flag.String("shared", os.Getenv("SHARED"), "folder with data/scale/organisations.csv, for a second corpus of real names; default $SHARED")
	cpu := flag.String("cpuprofile", "", "file for the profile of the searches")
	load := flag.String("loadprofile", "", "file for the profile of the building")
	slow := flag.Int("slow", 0, "how many of the slowest searches are listed")
	only := flag.String("only", "", "the corpus measured, world or scale; default both")
	flag.Parse()
	if *only != "scale" {
		measure("world", fromWorld(), *n, *queries, *load, *cpu, *slow)
	}
	if *only == "world" {
		return
	}
	switch scale, err := fromScale(filepath.Join(*shared, "data", "scale", "organisations.csv")); {
	case errors.Is(err, os.ErrNotExist):
		fmt.Println("scale: left out, for want of data/scale/organisations.csv in the folder that -shared names")
	case err != nil:
		log.Fatal(err)
	default:
		measure("scale", scale, *n, *queries, *load, *cpu, *slow)
	}
}

// fromWorld returns the organisations of the demo's world.
func fromWorld() (out []*deal.Account) {
	for a := range world.Accounts() {
		a.ParentID = ""
		out = append(out, a)
	}
	return out
}

// fromScale reads organisations.csv. Most of its rows have no place; they get that of a place-giving row.
func fromScale(file string) (out []*deal.Account, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := csv.NewReader(bufio.NewReaderSize(f, 1<<20))
	c.FieldsPerRecord, c.LazyQuotes = -1, true
	head, err := c.Read()
	if err != nil {
		return nil, err
	}
	for {
		cells, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		get := func(column string) string {
			if i := slices.Index(head, column); i >= 0 && i < len(cells) {
				return cells[i]
			}
			return ""
		}
		out = append(out, &deal.Account{ID: fmt.Sprintf("A%07d", len(out)), Name: get("name"), Domain: get("domain"), Country: get("country"), Region: get("region"),
			City: get("city"), PostalCode: get("postal_code")})
	}
	var placed []int
	for i := range out {
		if out[i].City != "" {
			placed = append(placed, i)
		}
	}
	rng := rand.New(rand.NewPCG(11, 12))
	for i := range out {
		if r := out[i]; r.City == "" && len(placed) > 0 {
			p := out[placed[rng.IntN(len(placed))]]
			r.Country, r.Region, r.City, r.PostalCode = p.Country, p.Region, p.City, p.PostalCode
		}
	}
	return out, nil
}

// question is one search and what it should find.
type question struct {
	record match.Record
	truth  string // "": nothing
}

// ask asks for one of the first n of a crowd as a partner's form would. About one in seven is nobody's account.
func ask(rng *rand.Rand, c *world.Crowd, n int) question {
	i, truth := rng.IntN(n), ""
	if rng.IntN(100) < 15 {
		i = n + rng.IntN(1<<30)
	}
	r := match.FromAccount(c.Account(i))
	if i < n {
		truth = r.ID
	}
	name := world.Filed(rng, r.Names[rng.IntN(len(r.Names))])
	q := match.Record{Names: []string{name}, Country: r.Country, City: r.City}
	if rng.IntN(2) == 0 {
		q.Region, q.PostalCode = r.Region, r.PostalCode
	}
	switch rng.IntN(10) {
	case 0: // another office
		o := c.Account(rng.IntN(n))
		q.Region, q.City, q.PostalCode = o.Region, o.City, o.PostalCode
	case 1:
		q.City, q.Region, q.PostalCode = "", "", ""
	}
	if len(r.Domains) > 0 && rng.IntN(2) == 0 {
		q.Domains = r.Domains[:1]
	}
	return question{q, truth}
}

func measure(title string, base []*deal.Account, n, queries int, loadProfile, profile string, slow int) {
	c := world.NewCrowd(base)
	m := match.Default()
	x := match.NewIndex(m)
	made := time.Now()
	records := make([]match.Record, 0, n)
	for a := range c.Accounts(n) {
		records = append(records, match.FromAccount(a))
	}
	fmt.Printf("%s: %d accounts made of %d in %.1f s\n", title, n, len(base), time.Since(made).Seconds())
	runtime.GC()
	stop := start(loadProfile, title)
	began, busy := time.Now(), process()
	x.Load(slices.Values(records))
	stop()
	fmt.Printf("  load   %.2f s, %.2f s CPU; %.1f B/account\n", time.Since(began).Seconds(), (process() - busy).Seconds(), float64(x.Bytes())/float64(n))
	runtime.GC()
	for _, all := range []bool{true, false} {
		rng := rand.New(rand.NewPCG(1, 2))
		questions := make([]question, queries)
		for i := range questions {
			questions[i] = ask(rng, c, n)
			if !all {
				questions[i].record = match.Record{Names: questions[i].record.Names}
			}
		}
		kind := "name"
		if all {
			kind = "all"
		}
		run(x, m, questions, title+"."+kind, kind, profile, slow)
	}
}

// run searches for each question and prints a line.
func run(x *match.Index, m *match.Model, ask []question, title, kind, profile string, slow int) {
	for i := range ask[:len(ask)/10] { // warm
		x.Search(m.Prepare(ask[i].record), match.Options{})
	}
	stop := start(profile, title)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	prepare, search := make([]time.Duration, len(ask)), make([]time.Duration, len(ask))
	answers := make([]match.Result, len(ask))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	busy := process()
	for i := range ask {
		t := thread()
		q := m.Prepare(ask[i].record)
		u := thread()
		answers[i] = x.Search(q, match.Options{})
		prepare[i], search[i] = u-t, thread()-u
	}
	busy = process() - busy
	runtime.ReadMemStats(&after)
	stop()
	known, first, found, cut := 0, 0, 0, 0
	top := make([]judged, 0, len(ask))
	for i, a := range answers {
		if a.Truncated {
			cut++
		}
		if ask[i].truth != "" {
			known++
			for k, c := range a.Candidates {
				if c.ID == ask[i].truth {
					found++
					if k == 0 {
						first++
					}
				}
			}
		}
		if len(a.Candidates) > 0 {
			top = append(top, judged{a.Candidates[0].Probability, a.Candidates[0].ID == ask[i].truth})
		}
	}
	f1, ece := quality(top, known)
	order := make([]int, len(ask))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return int(search[b] - search[a]) })
	at := func(d []time.Duration, p float64) float64 {
		s := slices.Sorted(slices.Values(d))
		return float64(s[int(p*float64(len(s)-1))].Nanoseconds()) / 1e6
	}
	fmt.Printf("  %-5s  search p50 %.3f ms, p90 %.3f, p99 %.3f, max %.3f; prepare p50 %.3f ms, p99 %.3f; process %.3f ms, %.0f allocations, %.1f kB each\n", kind,
		at(search, 0.5), at(search, 0.9), at(search, 0.99), at(search, 1), at(prepare, 0.5), at(prepare, 0.99), busy.Seconds()*1e3/float64(len(ask)),
		float64(after.Mallocs-before.Mallocs)/float64(len(ask)), float64(after.TotalAlloc-before.TotalAlloc)/float64(len(ask))/1e3)
	fmt.Printf("         %d searches, %d with an account: among ten %.4f, first %.4f, F1 %.4f, ECE %.4f, truncated %.3f\n", len(ask), known,
		float64(found)/float64(known), float64(first)/float64(known), f1, ece, float64(cut)/float64(len(ask)))
	for _, i := range order[:min(slow, len(order))] {
		fmt.Printf("         %.3f ms  %q\n", search[i].Seconds()*1e3, ask[i].record.Names[0])
	}
}

// judged is the first candidate of a search: its probability, and whether it is right.
type judged struct {
	p     float64
	right bool
}

// quality returns the best F1 over all thresholds, and the calibration error over ten bins of equal width.
func quality(top []judged, known int) (f1, ece float64) {
	slices.SortFunc(top, func(a, b judged) int {
		switch {
		case a.p > b.p:
			return -1
		case a.p < b.p:
			return 1
		}
		return 0
	})
	right := 0
	var gap [10]float64
	for i, t := range top {
		b := min(9, int(10*t.p))
		gap[b] += t.p
		if t.right {
			right++
			gap[b]--
		}
		if i+1 == len(top) || top[i+1].p != t.p {
			f1 = max(f1, 2*float64(right)/float64(i+1+known))
		}
	}
	for _, g := range gap {
		ece += max(g, -g) / float64(len(top))
	}
	return f1, ece
}

// start begins a profile and returns what ends it.
func start(file, title string) func() {
	if file == "" {
		return func() {}
	}
	f, err := os.Create(file + "." + title)
	if err != nil {
		log.Fatal(err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		log.Fatal(err)
	}
	return func() {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			log.Fatal(err)
		}
	}
}

// thread returns the processor time this thread has used.
func thread() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		log.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// process returns the processor time all threads have used.
func process() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
