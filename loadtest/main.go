// Command loadtest files registrations with dibs of which it knows what is right, as fast as it is told to, and says how long the
// answers took and which were wrong. README.md says how.
//
//	loadtest           start a dibs of its own, run every scenario, write the report
//	loadtest generate  write the world, the registrations and what is right of each into a folder
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/world"
)

// settings are the flags.
type settings struct {
	Accounts  int
	Rate      float64
	duration  time.Duration
	Seed      uint64
	Plan      string
	scenarios string
	points    int
	partners  int
	urls, key string
	populate  bool
	database  string
	k6        string
	scripts   string
	limits    string
	report    string
	out       string
}

func main() {
	var c settings
	args := os.Args[1:]
	generate := len(args) > 0 && args[0] == "generate"
	if generate {
		args = args[1:]
	}
	f := flag.NewFlagSet("loadtest", flag.ExitOnError)
	f.IntVar(&c.Accounts, "accounts", 200_000, "accounts of the vendor, 1000 to 10,000,000")
	f.Float64Var(&c.Rate, "rate", 200, "registrations a second")
	f.DurationVar(&c.duration, "duration", 90*time.Second, "of the steady scenario; a storm takes a third of it")
	f.Uint64Var(&c.Seed, "seed", 1, "what all that is drawn follows from, with the accounts, the plan and the day")
	f.StringVar(&c.Plan, "territories", "", "territory plan to test; without one, the demo's")
	f.StringVar(&c.scenarios, "scenarios", "smoke,territories,storm,steady", "which to run, in this order")
	f.IntVar(&c.points, "points", 20_000, "customers of a territory sweep at most")
	f.IntVar(&c.partners, "partners", 40, "partners of a storm, of one customer; 60 at most")
	f.StringVar(&c.urls, "url", "", "a dibs that runs, and not one started for this: URLs of its replicas, with commas between them")
	f.StringVar(&c.key, "key", os.Getenv("DIBS_KEY"), "with -url: a key of role admin (or DIBS_KEY)")
	f.BoolVar(&c.populate, "populate", false, "with -url: import the vendor's world there first and publish the plan. Only into a dibs made for tests")
	f.StringVar(&c.database, "database", "", "with -url: its database, as dibs audit verify takes it")
	f.StringVar(&c.k6, "k6", "bin/k6", "the k6 to use")
	f.StringVar(&c.scripts, "scripts", "loadtest/k6", "folder of the scenarios")
	f.StringVar(&c.limits, "thresholds", "loadtest/k6/thresholds.json", "the limits to hold: times, failures, wrong answers")
	f.StringVar(&c.report, "report", "loadtest.html", "where the report goes")
	f.StringVar(&c.out, "out", "loadtest-data", "generate: the folder")
	_ = f.Parse(args) // it ends the program
	if err := check(&c, f.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	do := run
	if generate {
		do = write
	}
	good, err := do(ctx, &c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "loadtest:", err)
	}
	switch {
	case err != nil:
		os.Exit(2)
	case !good:
		os.Exit(1)
	}
}

func check(c *settings, rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q is not understood: loadtest -help lists the flags", rest[0])
	case c.Accounts < 1000 || c.Accounts > 10_000_000:
		return fmt.Errorf("-accounts %d: from 1000 to 10,000,000", c.Accounts)
	case c.Rate < 1 || c.duration < time.Second:
		return fmt.Errorf("-rate is at least 1, and -duration at least 1s")
	case c.partners < 2 || c.partners > loadPartners:
		return fmt.Errorf("-partners %d: from 2 to %d", c.partners, loadPartners)
	case c.urls != "" && c.key == "":
		return fmt.Errorf("-url needs -key: dibs keys create --role admin makes one")
	}
	for s := range strings.SplitSeq(c.scenarios, ",") {
		if !slices.Contains([]string{"smoke", "territories", "storm", "steady"}, s) {
			return fmt.Errorf("-scenarios: %q is none of smoke, territories, storm, steady", s)
		}
	}
	return nil
}

// work is the world and the registrations of a run, by scenario.
type work struct {
	v       *vendor
	filings map[string][]*filed
	probes  int // of the plan; more than there are registrations of the sweep when it was cut short
}

// prepare makes all that a run needs, from the seed.
func prepare(c *settings, now time.Time) (*work, error) {
	document := world.Territories()
	if c.Plan != "" {
		var err error
		if document, err = os.ReadFile(c.Plan); err != nil {
			return nil, err
		}
	}
	wanted := strings.Split(c.scenarios, ",")
	many := func(scenario string, n int) int {
		if slices.Contains(wanted, scenario) {
			return n
		}
		return 0
	}
	smoke, steady := many("smoke", 60), many("steady", int(c.Rate*c.duration.Seconds()))
	v, err := newVendor(c.Seed, c.Accounts, now, document, smoke+steady)
	if err != nil {
		return nil, err
	}
	w := &work{v: v, filings: map[string][]*filed{}}
	// All of it, wanted or not: what a scenario files must not follow from which others are run.
	if storms := max(1, int(c.Rate*c.duration.Seconds()/3)/c.partners); many("storm", 1) > 0 {
		w.filings["storm"] = v.storm(storms, c.partners)
	}
	if many("territories", 1) > 0 {
		w.filings["territories"], w.probes = v.boundaries(c.points)
	}
	if smoke > 0 {
		w.filings["smoke"] = v.mix("smoke", smoke)
	}
	if steady > 0 {
		w.filings["steady"] = v.mix("steady", steady)
	}
	return w, nil
}

// one is a registration as the scenarios read it.
type one struct {
	Case      int      `json:"case"`
	Kind      string   `json:"kind"`
	Key       string   `json:"key"`
	Body      string   `json:"body"`
	Expect    []string `json:"expect"` // outcome/disposition/reason as a partner may read them, whoever of its customer came first
	Territory string   `json:"territory,omitempty"`
	Shows     string   `json:"shows,omitempty"`
	Holders   int      `json:"holders"` // of a storm's customer
}

// scenario writes what a scenario files, and returns where.
func (w *work) scenario(dir, name string, now time.Time) error {
	groups := map[int][]*filed{}
	for _, f := range w.filings[name] {
		groups[f.Group] = append(groups[f.Group], f)
	}
	var list []one
	var storms [][]one
	for _, f := range w.filings[name] {
		o := one{Case: f.ID, Kind: f.Kind, Key: f.Key, Body: asJSON(f), Expect: w.v.expected(f, groups[f.Group])}
		if f.probe != nil {
			t := w.v.plan.find(w.v.place(f, true, now))
			o.Territory, o.Shows = strings.Join([]string{t.Status, t.ID, t.Coverage}, " "), f.probe.Territory+": "+f.probe.Shows
		}
		if best, _, _ := w.v.right(f, nil, now); best.Outcome == string(deal.Protect) {
			o.Holders = 1
		}
		if name == "storm" {
			if f == groups[f.Group][0] {
				storms = append(storms, nil)
			}
			storms[len(storms)-1] = append(storms[len(storms)-1], o)
		}
		list = append(list, o)
	}
	var b []byte
	var err error
	if name == "storm" {
		b, err = json.Marshal(storms)
	} else {
		b, err = json.Marshal(list)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".json"), b, 0o600)
}

// write is loadtest generate.
func write(_ context.Context, c *settings) (bool, error) {
	now := time.Now().UTC()
	w, err := prepare(c, now)
	if err != nil {
		return false, err
	}
	if err := os.MkdirAll(c.out, 0o755); err != nil {
		return false, err
	}
	v := w.v
	for name, rows := range map[string]iter.Seq[deal.Record]{"partners": records(valuesOf(v.partners)), "accounts": records(v.accounts()), "opportunities": records(valuesOf(v.opportunities)),
		"products": records(valuesOf(v.products)), "rates": records(world.Rates()), "people": records(world.People())} {
		if err := writeLines(filepath.Join(c.out, name+".ndjson"), rows); err != nil {
			return false, err
		}
	}
	if err := os.WriteFile(filepath.Join(c.out, "territories.yaml"), v.document, 0o600); err != nil {
		return false, err
	}
	for name := range strings.SplitSeq(c.scenarios, ",") {
		if err := w.scenario(c.out, name, now); err != nil {
			return false, err
		}
		fmt.Printf("%s: %d registrations\n", name, len(w.filings[name]))
	}
	fmt.Printf("%s holds what the service is told (ndjson, yaml: dibs import takes them) and what is filed with it (json), as of %s\n", c.out, now.Format(time.DateOnly))
	return true, nil
}

func records[T deal.Record](rows iter.Seq[T]) iter.Seq[deal.Record] {
	return func(yield func(deal.Record) bool) {
		rows(func(r T) bool { return yield(r) })
	}
}

func writeLines(path string, rows iter.Seq[deal.Record]) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b := bufio.NewWriter(f)
	enc := json.NewEncoder(b)
	for r := range rows {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return b.Flush()
}

// run is a whole run. It reports whether everything was right and every threshold held.
func run(ctx context.Context, c *settings) (good bool, err error) {
	if _, err := exec.LookPath(c.k6); err != nil {
		return false, fmt.Errorf("there is no k6 at %s: make loadtest builds it", c.k6)
	}
	rep := &report{Began: time.Now(), Settings: c, Machine: machine(), LoadBefore: loadAverage()}
	fmt.Printf("making the world: %d accounts, seed %d\n", c.Accounts, c.Seed)
	now := time.Now().UTC()
	w, err := prepare(c, now)
	if err != nil {
		return false, err
	}
	data, err := os.MkdirTemp("", "dibs-loadtest-data-")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	var s *site
	sv := &service{urls: strings.Split(c.urls, ","), key: c.key}
	if c.urls == "" {
		fmt.Println("building dibs, starting PostgreSQL, Redis and a replica")
		program, err := build(ctx, data)
		if err != nil {
			return false, err
		}
		if s, err = newSite(ctx, program); err != nil {
			return false, err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		sv = s.service
	}
	if s != nil || c.populate {
		began := time.Now()
		if err := sv.populate(ctx, w.v); err != nil {
			return false, err
		}
		rep.Imported = time.Since(began)
		fmt.Printf("imported in %.1f s\n", rep.Imported.Seconds())
	}
	if s != nil {
		if err := s.replicate(ctx); err != nil {
			return false, err
		}
	}
	rep.Versions = versions(ctx, c, s, sv)
	for name := range strings.SplitSeq(c.scenarios, ",") {
		r, err := scenario(ctx, c, w, sv, data, name, now)
		if err != nil {
			return false, fmt.Errorf("%s: %w", name, err)
		}
		fmt.Println(r)
		rep.Scenarios = append(rep.Scenarios, r)
	}
	rep.LoadAfter = loadAverage()
	rep.verify(ctx, c, s)
	if s != nil {
		rep.Said = s.said()
	}
	rep.Took = time.Since(rep.Began)
	if err := rep.write(c.report); err != nil {
		return false, err
	}
	for _, what := range rep.faults() {
		fmt.Println("NOT GOOD:", what)
	}
	fmt.Printf("%s; the report is %s\n", rep.Audit, c.report)
	return len(rep.faults()) == 0, nil
}

// scenario runs one scenario with k6 and judges what came of it.
func scenario(ctx context.Context, c *settings, w *work, s *service, data, name string, now time.Time) (*result, error) {
	filings := w.filings[name]
	if err := w.scenario(data, name, now); err != nil {
		return nil, err
	}
	scripts, err := filepath.Abs(c.scripts)
	if err != nil {
		return nil, err
	}
	limits, err := filepath.Abs(c.limits)
	if err != nil {
		return nil, err
	}
	rate := c.Rate
	if name == "territories" {
		rate /= 2 // each is read as well
	}
	fmt.Printf("%s: %d registrations at %g a second\n", name, len(filings), rate)
	answers := filepath.Join(data, name+".answers")
	cmd := exec.CommandContext(ctx, c.k6, "run", "--quiet", "--no-usage-report", "--no-color", "--address", "", "--log-format", "raw", "--log-output", "file="+answers+",level=info", filepath.Join(scripts, name+".js"))
	cmd.Env = append(os.Environ(), "DATA="+data, "THRESHOLDS="+limits, "URLS="+strings.Join(s.urls, ","), "KEY="+s.key, fmt.Sprintf("RATE=%g", rate), "K6_NO_USAGE_REPORT=true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var says bytes.Buffer
	cmd.Stdout, cmd.Stderr = &says, &says
	began := time.Now()
	err = cmd.Run()
	r := &result{Name: name, Took: time.Since(began), Filed: len(filings), Rate: rate, Probes: w.probes}
	const thresholdsBroken = 99
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != thresholdsBroken) {
		log, _ := os.ReadFile(answers)
		return nil, fmt.Errorf("k6: %w: %s %.3000s", err, says.String(), log)
	}
	if err := r.readSummary(filepath.Join(data, name+".summary.json")); err != nil {
		return nil, err
	}
	if err := r.readAnswers(answers); err != nil {
		return nil, err
	}
	decisions, err := s.decisions(ctx, r.Replies)
	if err != nil {
		return nil, err
	}
	r.Verdict = w.v.judge(filings, r.Replies, decisions)
	return r, r.limits(limits)
}

// readAnswers reads what the scenario wrote down of each answer.
func (r *result) readAnswers(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var is struct {
			reply
			Complaint string `json:"complaint"`
		}
		if json.Unmarshal(lines.Bytes(), &is) != nil {
			r.Notes = append(r.Notes, lines.Text()) // k6 itself has something to say
			continue
		}
		if is.Complaint != "" {
			r.Complaints = append(r.Complaints, is.Complaint)
			continue
		}
		r.Replies = append(r.Replies, is.reply)
	}
	slices.SortFunc(r.Replies, func(a, b reply) int { return cmp.Compare(a.Case, b.Case) })
	return lines.Err()
}
