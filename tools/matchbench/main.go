// Command matchbench measures the candidate index at the size of a large vendor: it makes a million accounts of the
// real organisations at hand, asks for some of them as people write them, and says what one search costs on one thread
// and how often the account is found. The accounts and the questions are the same in every run.
//
// The corpus "real" is the H-1B accounts among as many others as there is room for, and the questions are those that other people
// wrote for them: how often the account is among the candidates, by class. Its figures are the table of BENCHMARKS.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/report"
	"github.com/dibs-deals/dibs/internal/world"
)

func main() {
	log.SetFlags(0)
	n := flag.Int("accounts", 1_000_000, "accounts of the corpus")
	queries := flag.Int("queries", 4000, "searches measured, of each kind")
	shared := flag.String("shared", os.Getenv("SHARED"), "folder with data/scale/organisations.csv and data/h1b, for corpora of real names; default $SHARED")
	cpu := flag.String("cpuprofile", "", "file for the profile of the searches")
	load := flag.String("loadprofile", "", "file for the profile of the building")
	slow := flag.Int("slow", 0, "how many of the slowest searches are listed")
	only := flag.String("only", "", "the corpus measured: world, scale or real; default all")
	write := flag.String("write", "", "the table of BENCHMARKS.md that the figures of the corpus real are written to: scale, with the H-1B accounts alone beside, or scale-10m")
	flag.Parse()
	b := bench{n: *n, queries: *queries, loadProfile: *load, profile: *cpu, slow: *slow}
	if *only == "" || *only == "world" {
		b.measure("world", fromWorld())
	}
	if *only == "world" {
		return
	}
	scale, err := fromScale(filepath.Join(*shared, "data", "scale", "organisations.csv"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		fmt.Println("scale, real: left out, for want of data/scale/organisations.csv in the folder that -shared names")
		return // the table stays as it is
	case err != nil:
		log.Fatal(err)
	}
	if *only == "" || *only == "scale" {
		b.measure("scale", scale)
	}
	if *only == "scale" {
		return
	}
	asked, err := readReal(filepath.Join(*shared, "data", "h1b"))
	if err != nil {
		log.Fatal(err)
	}
	var rows []row
	if *write != "scale-10m" {
		rows = append(rows, b.real(asked, nil, len(asked.accounts)))
	}
	rows = append(rows, b.real(asked, scale, *n))
	fmt.Print(tableOf(rows))
	if *write != "" {
		if err := report.Write("BENCHMARKS.md", *write, report.Machine()+tableOf(rows)); err != nil {
			log.Fatal(err)
		}
	}
}

// bench is what is measured, and how.
type bench struct {
	n, queries           int
	loadProfile, profile string
	slow                 int
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
	rows, err := table(file)
	if err != nil {
		return nil, err
	}
	for _, get := range rows {
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

// built is an index and what it took.
type built struct {
	x     *match.Index
	m     *match.Model
	n     int
	took  time.Duration
	cpu   time.Duration
	bytes float64 // of memory, for each account
}

func (b *bench) build(title string, l *roll) built {
	l.close()
	t := built{m: match.Default(), n: l.n}
	t.x = match.NewIndex(t.m)
	runtime.GC()
	stop := start(b.loadProfile, title)
	began, busy := time.Now(), process()
	t.x.Load(l.all())
	t.took, t.cpu = time.Since(began), process()-busy
	stop()
	t.bytes = float64(t.x.Bytes()) / float64(t.n)
	fmt.Printf("  load   %.2f s, %.2f s CPU, %.0f accounts for each; %.1f B/account; %.1f GB resident at most\n", t.took.Seconds(), t.cpu.Seconds(), float64(t.n)/t.cpu.Seconds(), t.bytes, float64(peak())/1e9)
	runtime.GC()
	return t
}

func (b *bench) measure(title string, base []*deal.Account) {
	c := world.NewCrowd(base)
	made := time.Now()
	l := &roll{}
	for a := range c.Accounts(b.n) {
		l.add(match.FromAccount(a))
	}
	fmt.Printf("%s: %d accounts made of %d in %.1f s\n", title, b.n, len(base), time.Since(made).Seconds())
	t := b.build(title, l)
	for _, all := range []bool{true, false} {
		b.run(t, questions(c, b.n, b.queries, all), title+"."+kindOf(all), kindOf(all))
	}
}

func kindOf(all bool) string {
	if all {
		return "all"
	}
	return "name"
}

// questions asks for some of the first n of a crowd, with all fields or by name.
func questions(c *world.Crowd, n, queries int, all bool) []question {
	rng := rand.New(rand.NewPCG(1, 2))
	out := make([]question, queries)
	for i := range out {
		out[i] = ask(rng, c, n)
		if !all {
			out[i].record = match.Record{Names: out[i].record.Names}
		}
	}
	return out
}

// row is a line of the table.
type row struct {
	built
	peak   int64
	cost   [2][2]float64 // p50, p99 in ms of CPU, all fields and name only
	recall map[string][2]float64
	of     map[string]int
}

// classes of questions whose answer can be told from the name.
var classes = []string{"same_core", "core_differs"}

// real measures the H-1B accounts among others, n together.
func (b *bench) real(asked *real, others []*deal.Account, n int) row {
	l := &roll{}
	var crowd *world.Crowd
	if others != nil {
		crowd = world.NewCrowd(others)
		for a := range crowd.Accounts(n - len(asked.accounts)) {
			l.add(match.FromAccount(a))
		}
	}
	for _, r := range asked.accounts {
		l.add(r)
	}
	fmt.Printf("real: %d accounts\n", l.n)
	out := row{built: b.build("real", l), recall: map[string][2]float64{}, of: map[string]int{}}
	out.peak = peak()
	*l = roll{}
	for by, all := range []bool{true, false} {
		title := "real." + kindOf(all)
		var every []question
		for _, class := range classes {
			found := 0
			for _, q := range asked.class[class] {
				if !all {
					q.record = match.Record{Names: q.record.Names}
				}
				every = append(every, q)
				for _, c := range out.x.Search(out.m.Prepare(q.record), match.Options{Limit: within}).Candidates {
					if c.ID == q.truth {
						found++
					}
				}
			}
			r := out.recall[class]
			r[by] = float64(found) / float64(len(asked.class[class]))
			out.recall[class], out.of[class] = r, len(asked.class[class])
			fmt.Printf("  %-5s  %s: %d of %d among %d, %.4f\n", kindOf(all), class, found, len(asked.class[class]), within, r[by])
		}
		if crowd != nil {
			every = questions(crowd, n-len(asked.accounts), b.queries, all)
		}
		out.cost[by] = b.run(out.built, every, title, kindOf(all))
	}
	out.x = nil
	return out
}

// within is how many candidates are looked at for the right one.
const within = 64

// run searches for each question and prints a line. It returns the median and the 99th percentile of a search's processor time in ms.
func (b *bench) run(t built, ask []question, title, kind string) [2]float64 {
	for i := range ask[:len(ask)/10] { // warm
		t.x.Search(t.m.Prepare(ask[i].record), match.Options{})
	}
	stop := start(b.profile, title)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	prepare, search := make([]time.Duration, len(ask)), make([]time.Duration, len(ask))
	answers := make([]match.Result, len(ask))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	busy := process()
	for i := range ask {
		start := thread()
		q := t.m.Prepare(ask[i].record)
		read := thread()
		answers[i] = t.x.Search(q, match.Options{})
		prepare[i], search[i] = read-start, thread()-read
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
	for _, i := range order[:min(b.slow, len(order))] {
		fmt.Printf("         %.3f ms  %q\n", search[i].Seconds()*1e3, ask[i].record.Names[0])
	}
	return [2]float64{at(search, 0.5), at(search, 0.99)}
}

// tableOf prints what was measured.
func tableOf(rows []row) string {
	var b strings.Builder
	fmt.Fprintln(&b, "| accounts | accounts built in a CPU second | bytes each | memory in all | CPU a search, all fields: p50, p99 | by name: p50, p99 | the right one among 64: all fields, by name | of same_core | of core_differs |")
	fmt.Fprintln(&b, "|---|---|---|---|---|---|---|---|---|")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %d | %.2f million | %.1f | %.1f GB | %.2f, %.2f ms | %.2f, %.2f ms |", r.n, float64(r.n)/r.cpu.Seconds()/1e6, r.bytes, float64(r.peak)/1e9, r.cost[0][0], r.cost[0][1], r.cost[1][0], r.cost[1][1])
		var found [2]float64
		n := 0
		for _, c := range classes {
			n += r.of[c]
			for by := range found {
				found[by] += r.recall[c][by] * float64(r.of[c])
			}
		}
		fmt.Fprintf(&b, " %.4f, %.4f |", found[0]/float64(n), found[1]/float64(n))
		for _, c := range classes {
			fmt.Fprintf(&b, " %.4f, %.4f |", r.recall[c][0], r.recall[c][1])
		}
		fmt.Fprintln(&b)
	}
	fmt.Fprintf(&b, "\nOf %d questions of the class same_core and %d of core_differs.\n", rows[0].of["same_core"], rows[0].of["core_differs"])
	return b.String()
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

// peak returns the most memory the process was resident with, in bytes.
func peak() int64 {
	b, _ := os.ReadFile("/proc/self/status")
	for l := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(l, "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}
