package main

import (
	"bufio"
	"context"
	_ "embed" // for the report's page
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report is what a run came to.
type report struct {
	Began      time.Time
	Took       time.Duration
	Settings   *settings
	Machine    string
	Versions   []string
	LoadBefore string
	LoadAfter  string
	Imported   time.Duration
	Scenarios  []*result
	Audit      string
	AuditGood  bool
	Said       string // by the replicas: warnings and errors
}

// result is what a scenario came to.
type result struct {
	Name       string
	Filed      int // registrations there were to file
	Rate       float64
	Took       time.Duration
	Probes     int // of a sweep: customers that would show all of the plan
	Replies    []reply
	Complaints []string // wrong things that are no registration's outcome
	Notes      []string
	Limits     []limit
	Verdict    *verdict
	Dropped    float64 // iterations k6 could not begin in time
}

// limit is one threshold.
type limit struct {
	Metric, Limit string
	Is            string
	Holds         bool
}

// spread is how long answers of one kind took, in milliseconds.
type spread struct {
	Kind          string
	N             int
	P50, P90, P99 float64
	Max           float64
}

// Spreads are the answers by outcome, and all of them.
func (r *result) Spreads() (out []spread) {
	by := map[string][]float64{}
	for i := range r.Replies {
		a := &r.Replies[i]
		by[a.kind()] = append(by[a.kind()], a.MS)
		by["\x00"] = append(by["\x00"], a.MS)
	}
	for _, kind := range slices.Sorted(maps.Keys(by)) {
		ms := by[kind]
		slices.Sort(ms)
		at := func(p float64) float64 { return ms[max(0, int(math.Ceil(p*float64(len(ms))))-1)] }
		if kind == "\x00" {
			kind = "all"
		}
		out = append(out, spread{kind, len(ms), at(0.5), at(0.9), at(0.99), ms[len(ms)-1]})
	}
	return out
}

// Kinds are the registrations by what they are there to show.
func (r *result) Kinds() []string { return slices.Sorted(maps.Keys(r.Verdict.Kinds)) }

// CautiousPercent is how many of a hundred right answers asked a person where it need not have been.
func (r *result) CautiousPercent() float64 {
	return 100 * float64(r.Verdict.Cautious) / float64(max(1, r.Verdict.Right))
}

// Worst are the first wrong answers.
func (r *result) Worst() []wrong {
	list := append(slices.Clone(r.Verdict.Wrong), r.Verdict.Failed...)
	return list[:min(200, len(list))]
}

func (r *result) String() string {
	var all spread
	if s := r.Spreads(); len(s) > 0 {
		all = s[0]
	}
	return fmt.Sprintf("%s: %d of %d answered in %.0f s (%.0f/s), p50 %.1f ms, p99 %.1f ms; %d right (%.1f%% of them asked a person without need), %d missed, %d wrong, %d failed, %d complaints",
		r.Name, r.Verdict.Asked-len(r.Verdict.Failed), r.Filed, r.Took.Seconds(), float64(r.Verdict.Asked)/r.Took.Seconds(), all.P50, all.P99,
		r.Verdict.Right, r.CautiousPercent(), len(r.Verdict.Missed), len(r.Verdict.Wrong), len(r.Verdict.Failed), len(r.Complaints))
}

// readSummary reads k6's own account of its thresholds.
func (r *result) readSummary(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var is struct {
		Metrics map[string]struct {
			Values     map[string]float64 `json:"values"`
			Thresholds map[string]struct {
				OK bool `json:"ok"`
			} `json:"thresholds"`
		} `json:"metrics"`
	}
	if err := json.Unmarshal(b, &is); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(is.Metrics)) {
		m := is.Metrics[name]
		for _, t := range slices.Sorted(maps.Keys(m.Thresholds)) {
			key := strings.TrimSpace(strings.FieldsFunc(t, func(r rune) bool { return r == '<' || r == '>' || r == '=' })[0])
			if key == "p(50)" {
				key = "med"
			}
			value := "?"
			if v, ok := m.Values[key]; ok {
				value = strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
			}
			r.Limits = append(r.Limits, limit{name, t, value, m.Thresholds[t].OK})
		}
	}
	r.Dropped = is.Metrics["dropped_iterations"].Values["count"]
	return nil
}

// limits are those of the judge, beside k6's: wrong answers, those without need of caution, and what was not asked at all.
func (r *result) limits(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var is struct {
		Judge struct {
			Wrong    int     `json:"wrong"`
			Cautious float64 `json:"cautious_percent"`
			Missed   float64 `json:"missed_percent"`
			Asked    float64 `json:"asked_percent"`
		} `json:"judge"`
	}
	if err := json.Unmarshal(b, &is); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	v := r.Verdict
	bad := len(v.Wrong) + len(v.Failed) + len(r.Complaints)
	asked := 100 * float64(v.Asked) / float64(max(1, r.Filed))
	missed := 100 * float64(len(v.Missed)) / float64(max(1, v.Asked))
	r.Limits = append(r.Limits,
		limit{"judge: wrong or failed", fmt.Sprintf("count<=%d", is.Judge.Wrong), strconv.Itoa(bad), bad <= is.Judge.Wrong},
		limit{"judge: asked a person without need", fmt.Sprintf("percent<=%g", is.Judge.Cautious), fmt.Sprintf("%.2f", r.CautiousPercent()), r.CautiousPercent() <= is.Judge.Cautious},
		limit{"judge: not recognised by a name that suffered much", fmt.Sprintf("percent<=%g", is.Judge.Missed), fmt.Sprintf("%.2f", missed), missed <= is.Judge.Missed},
		limit{"judge: asked at all", fmt.Sprintf("percent>=%g", is.Judge.Asked), fmt.Sprintf("%.2f", asked), asked >= is.Judge.Asked})
	return nil
}

// verify has dibs verify its ledger, and derive every row again.
func (r *report) verify(ctx context.Context, c *settings, s *site) {
	var out string
	var err error
	switch {
	case s != nil:
		out, err = s.dibs(ctx, "audit", "verify")
	case c.database != "":
		var b []byte
		b, err = exec.CommandContext(ctx, "go", "run", "github.com/dibs-deals/dibs/cmd/dibs", "audit", "verify", "--database", c.database).CombinedOutput()
		out = string(b)
	default:
		r.Audit, r.AuditGood = "dibs audit verify was not run: -database says on which", true
		return
	}
	r.Audit, r.AuditGood = "dibs audit verify: "+strings.TrimSpace(out), err == nil
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.Audit += err.Error()
	} else if err != nil {
		r.Audit = "dibs audit verify: " + err.Error()
	}
}

// faults are the reasons for which the run is not good.
func (r *report) faults() (out []string) {
	for _, s := range r.Scenarios {
		for _, l := range s.Limits {
			if !l.Holds {
				out = append(out, fmt.Sprintf("%s: %s %s, is %s", s.Name, l.Metric, l.Limit, l.Is))
			}
		}
		for i, w := range s.Worst() {
			if i == 5 {
				break
			}
			out = append(out, fmt.Sprintf("%s, %s %s: got %s; right: %s. %s", s.Name, w.Kind, w.Registration, w.Got, w.Want, w.Why))
		}
		for i, w := range s.Complaints {
			if i == 5 {
				break
			}
			out = append(out, s.Name+": "+w)
		}
	}
	if !r.AuditGood {
		out = append(out, r.Audit)
	}
	return out
}

// Faults is faults, for the page.
func (r *report) Faults() []string { return r.faults() }

//go:embed report.html
var page string

func (r *report) write(path string) (err error) {
	t, err := template.New("report").Funcs(template.FuncMap{
		"ms":      func(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) },
		"seconds": func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) },
		"bar":     func(x, of float64) float64 { return math.Round(1000*x/max(of, 1e-9)) / 10 },
	}).Parse(page)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return t.Execute(f, r)
}

// machine says what this runs on.
func machine() string {
	model := "unknown processor"
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if k, v, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
		_ = f.Close()
	}
	return fmt.Sprintf("%d × %s, %s/%s", runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH)
}

// loadAverage is how busy the machine is, by the kernel's count of what wants to run.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}

// versions says what was tested with what.
func versions(ctx context.Context, c *settings, s *site, sv *service) (out []string) {
	first := func(name string, b []byte, err error) {
		line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
		if err != nil {
			line = name + " unknown: " + err.Error()
		}
		out = append(out, line)
	}
	if s != nil {
		text, err := s.dibs(ctx, "version")
		first("dibs", []byte(text), err)
		text, err = s.pg.Ask("postgres", "SELECT 'PostgreSQL ' || current_setting('server_version')")
		first("PostgreSQL", []byte(text), err)
		b, err := exec.CommandContext(ctx, "redis-server", "--version").Output()
		first("Redis", b, err)
	} else {
		out = append(out, "dibs at "+strings.Join(sv.urls, ", "))
	}
	b, err := exec.CommandContext(ctx, c.k6, "version").Output()
	first("k6", b, err)
	return append(out, runtime.Version())
}
