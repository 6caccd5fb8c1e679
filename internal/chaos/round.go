package chaos

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // the driver, for statements of our own
)

// Config says what a round is.
type Config struct {
	Seed      uint64
	Database  string // sqlite or postgres
	Program   string // built with chaos
	Clean     string // built without, for the audit
	Maker     string // makes the database; empty: Clean
	Replicas  int
	Clients   int
	Load      time.Duration // how long clients begin operations and things break
	Accounts  int
	Customers int
	Window    int            // customers being registered at one time
	Per       int            // registrations of one customer, about
	Every     time.Duration  // between two faults, about
	Odds      float64        // of dying at one step of one commit
	Freeze    float64        // of freezing at one that holds the head
	Faults    map[string]int // weights that differ from the usual ones, by name; 0 leaves a fault out
	Calm      time.Duration  // within which clients are answered when nothing breaks any more
	Delay     time.Duration  // by which a standby is behind in what it shows
	Keep      string         // folder for the logs of a round that found something; empty: none are kept
}

// Quick is the round of make test.
func Quick(database string) Config {
	return Config{Database: database, Replicas: 3, Clients: 16, Load: 25 * time.Second, Accounts: 2000, Customers: 600, Window: 60, Per: 8,
		Every: 300 * time.Millisecond, Calm: 30 * time.Second, Odds: 0.004, Freeze: 0.002}
}

// Result is what a round came to.
type Result struct {
	Seed         uint64         `json:"seed"`
	Database     string         `json:"database"`
	Mutant       string         `json:"mutant,omitempty"`
	Seconds      float64        `json:"seconds"`
	Acknowledged int            `json:"acknowledged"` // registrations
	Others       int            `json:"others"`       // other operations acknowledged
	Calls        int            `json:"calls"`
	Unanswered   int            `json:"unanswered"` // calls without an answer, or with 503
	Replayed     int            `json:"replayed"`   // acknowledged answers asked for again
	Deaths       int            `json:"deaths"`     // of replicas
	Points       map[string]int `json:"points"`     // deaths and freezes at the steps of a commit
	Faults       map[string]int `json:"faults"`
	Entries      int            `json:"entries"`
	Grants       int            `json:"grants"`     // protections that began
	Ends         int            `json:"ends"`       // that ended
	Promotions   int            `json:"promotions"` // of those in line
	Silence      float64        `json:"silence"`    // the longest time, in seconds, without any answer while things broke
	Partitions   int            `json:"partitions"` // customers whose history porcupine checked
	Undecided    int            `json:"undecided"`  // it had no time for

	Double     int            `json:"double"`
	Lost       int            `json:"lost"`
	Changed    int            `json:"changed"`
	Order      int            `json:"order"`
	Counts     map[string]int `json:"counts,omitempty"` // of violations, by check
	Violations []violation    `json:"violations,omitempty"`
}

// round is one round under way.
type round struct {
	cfg      Config
	dir      string
	v        *vendor
	h        *history
	base     base
	replicas []*replica
	res      *Result

	clockMu sync.Mutex
	ahead   time.Duration
}

// base is what the replicas stand on.
type base interface {
	url() string         // of the database, for a program that is not a replica
	args(n int) []string // of replica n
	tool() []string      // of a command
	faults() []fault
	calm() error // mends everything, when the load is over
	open() (*sql.DB, error)
	micros() string // the time of an entry, in microseconds
	close() error
}

// sqliteBase is one file that all replicas share.
type sqliteBase struct{ path string }

func (b sqliteBase) url() string       { return "sqlite:" + b.path }
func (b sqliteBase) args(int) []string { return []string{"--database", b.url()} }
func (b sqliteBase) tool() []string    { return b.args(0) }
func (b sqliteBase) faults() []fault   { return nil }
func (b sqliteBase) calm() error       { return nil }
func (b sqliteBase) close() error      { return nil }
func (b sqliteBase) micros() string    { return "at" }
func (b sqliteBase) open() (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+b.path+"?_pragma=query_only(1)&_pragma=busy_timeout(10000)")
}

// Run runs one round in a folder of its own and checks it. The error is the harness's; what the service did wrong is in
// the result.
func Run(ctx context.Context, cfg Config) (_ *Result, err error) {
	dir, err := os.MkdirTemp("", "dibs-chaos-")
	if err != nil {
		return nil, err
	}
	r := &round{cfg: cfg, dir: dir, res: &Result{Seed: cfg.Seed, Database: cfg.Database, Faults: map[string]int{}}}
	defer func() {
		for _, p := range r.replicas {
			p.kill()
		}
		if r.base != nil {
			err = errors.Join(err, r.base.close())
		}
		if cfg.Keep != "" && (err != nil || len(r.res.Violations) > 0) {
			if b, merr := json.MarshalIndent(r.res, "", " "); merr == nil {
				err = errors.Join(err, os.WriteFile(filepath.Join(dir, "result.json"), b, 0o600))
			}
			to := filepath.Join(cfg.Keep, filepath.Base(cfg.Program)+"-"+strconv.FormatUint(cfg.Seed, 10))
			err = errors.Join(err, os.RemoveAll(to), os.CopyFS(to, os.DirFS(dir)))
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	switch cfg.Database {
	case "sqlite":
		r.base = sqliteBase{filepath.Join(dir, "dibs.db")}
	case "postgres":
		if r.base, err = newPostgresBase(dir, cfg.Replicas, cfg.Delay); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("no database %q", cfg.Database)
	}
	start := time.Now()
	if err := r.run(ctx); err != nil {
		return nil, err
	}
	r.res.Seconds = time.Since(start).Seconds()
	return r.res, nil
}

func (r *round) run(ctx context.Context) error {
	var err error
	if r.v, err = newVendor(r.cfg.Accounts, r.cfg.Customers); err != nil {
		return err
	}
	portal, admin, err := r.prepare(ctx)
	if err != nil {
		return err
	}
	for i := range r.cfg.Replicas {
		p, err := newReplica(r.dir, fmt.Sprintf("replica%d", i), r.cfg.Program, r.base.args(i), nil)
		if err != nil {
			return err
		}
		if err := errors.Join(p.setClock(0), p.start()); err != nil {
			return fmt.Errorf("%w\n%s", err, tail(p.log))
		}
		r.replicas = append(r.replicas, p)
	}
	r.h = newHistory(r.v)
	l := newLoad(r.v, r.h, r.replicas, portal, admin, r.cfg.Seed, r.cfg.Window, r.cfg.Per)
	text, err := rules("start", 1)
	if err != nil {
		return err
	}
	status, body := l.publish(ctx, 0, text)
	for n := 0; status != 200 && n < 20; n++ { // a mutant may answer before it has saved it
		time.Sleep(100 * time.Millisecond)
		status, body = l.publish(ctx, 0, text)
	}
	if status != 200 {
		return fmt.Errorf("publishing the policy: %d %s", status, body)
	}

	r.attack(ctx, l)
	if err := r.base.calm(); err != nil {
		return err
	}
	return r.judge(ctx, l)
}

// prepare fills the database, and returns a portal's and an administrator's key.
func (r *round) prepare(ctx context.Context) (portal, admin string, err error) {
	maker := cmp.Or(r.cfg.Maker, r.cfg.Clean)
	partners, err1 := ndjson(r.v.partners)
	accounts, err2 := ndjson(r.v.accounts)
	if err := errors.Join(err1, err2); err != nil {
		return "", "", err
	}
	for _, f := range []struct {
		kind, file string
		text       []byte
	}{{"partners", "partners.ndjson", partners}, {"accounts", "accounts.ndjson", accounts}, {"territories", "plan.yaml", r.v.plan}} {
		file := filepath.Join(r.dir, f.file)
		if err := os.WriteFile(file, f.text, 0o600); err != nil {
			return "", "", err
		}
		if _, _, err := r.dibs(ctx, maker, append([]string{"import", f.kind, file}, r.base.tool()...)...); err != nil {
			return "", "", err
		}
	}
	if portal, _, err = r.dibs(ctx, maker, append([]string{"keys", "create", "--role", "portal", "--partner", "*"}, r.base.tool()...)...); err != nil {
		return "", "", err
	}
	admin, _, err = r.dibs(ctx, maker, append([]string{"keys", "create", "--role", "admin"}, r.base.tool()...)...)
	return strings.TrimSpace(portal), strings.TrimSpace(admin), err
}

// dibs runs a command of a program to its end.
func (r *round) dibs(ctx context.Context, program string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // our own program
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Run(); err != nil {
		return out.String(), errs.String(), fmt.Errorf("dibs %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), errs.String(), nil
}

// attack runs the clients while things break, and then lets them finish what they began.
func (r *round) attack(ctx context.Context, l *load) {
	for _, p := range r.replicas {
		p.kill() // and let keep start it again, with steps to die at
	}
	env := []string{"DIBS_CHAOS_POINTS=" + points(r.cfg.Odds, r.cfg.Freeze), "DIBS_CHAOS_SEED=" + strconv.FormatUint(r.cfg.Seed, 10)}
	calm := make(chan struct{})
	var keepers, thawers sync.WaitGroup
	kept := make(chan struct{}) // none is kept any more
	for i, p := range r.replicas {
		keepers.Go(func() { p.keep(calm, env...) })
		rng := rand.New(rand.NewPCG(r.cfg.Seed, 10+uint64(i)))
		thawers.Go(func() {
			p.thaw(kept, func() time.Duration {
				select {
				case <-calm:
					return 0
				default:
					return 300*time.Millisecond + time.Duration(rng.Int64N(int64(1200*time.Millisecond)))
				}
			})
		})
	}
	storm, stop := context.WithTimeout(ctx, r.cfg.Load)
	defer stop()
	patience, lose := context.WithCancel(ctx)
	defer lose()
	var clients sync.WaitGroup
	for range r.cfg.Clients {
		clients.Go(func() { l.client(storm, patience) })
	}
	faults := append(r.processFaults(), r.base.faults()...)
	for i := range faults {
		if w, ok := r.cfg.Faults[faults[i].name]; ok {
			faults[i].weight = w
		}
	}
	r.breakThings(storm, faults)
	<-storm.Done()
	close(calm)
	keepers.Wait()
	close(kept)
	thawers.Wait()
	end := time.Now().Add(r.cfg.Calm)
	var mending sync.WaitGroup
	for i, p := range r.replicas {
		p.kill()
		r.res.Deaths += p.deaths
		mending.Go(func() {
			if err := r.mend(p, end); err != nil {
				r.h.violate("unavailable", "replica %d does not come back in calm: %v", i, err)
			}
		})
	}
	mending.Wait()
	done := make(chan struct{})
	go func() { clients.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Until(end)):
		r.h.violate("unavailable", "clients were not answered within %s of calm", r.cfg.Calm)
		lose()
		<-done
	}
}

// mend starts a replica in calm, and again while what it stands on comes up.
func (r *round) mend(p *replica, end time.Time) (err error) {
	for {
		if err = p.start(); err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%w\n%s", err, tail(p.log))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// judge asks for every answer again, and runs the checkers on the database.
func (r *round) judge(ctx context.Context, l *load) error {
	if !slices.ContainsFunc(r.h.wrong, func(v violation) bool { return v.Check == "unavailable" }) {
		r.askAgain(ctx, l)
	}
	for _, p := range r.replicas {
		p.kill()
	}
	var f found
	for _, args := range [][]string{{"audit", "verify"}, {"replay"}} {
		if out, errs, err := r.dibs(ctx, r.cfg.Clean, append(args, "--database", r.base.url())...); err != nil {
			f.add(args[0], "%.2000s%.2000s", out, errs)
		}
	}
	db, err := r.base.open()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	rec, err := readRecord(ctx, db, r.base.micros())
	if err != nil {
		return err
	}
	res := r.res
	checkKept(&f, r.h, rec)
	checkChain(&f, rec)
	checkEvents(&f, rec)
	res.Grants, res.Ends, res.Promotions = checkOneHolder(&f, r.h, rec)
	ops := place(r.h, rec)
	checkOrder(&f, ops)
	res.Partitions, res.Undecided = checkLinear(&f, ops, rec, 60*time.Second)
	for _, w := range r.h.wrong {
		f.add(w.Check, "%s", w.Detail)
	}
	res.Silence = r.h.silence(r.cfg.Load).Seconds()
	for _, op := range r.h.ops {
		switch {
		case op.answered == 0:
		case op.kind == registering:
			res.Acknowledged++
		default:
			res.Others++
		}
	}
	for _, c := range r.h.calls {
		if c.replay && c.status == 201 {
			res.Replayed++
		}
	}
	res.Calls, res.Unanswered, res.Entries = len(r.h.calls), int(l.failing.Load()), len(rec.entries)
	if res.Points, err = countPoints(filepath.Join(r.dir, "points.log")); err != nil {
		return err
	}
	res.Counts, res.Violations = f.counts, f.list
	res.Double, res.Lost, res.Changed, res.Order = f.counts["one holder"], f.counts["lost"], f.counts["changed"]+f.counts["twice"], f.counts["order"]
	return nil
}

// askAgain asks every replica for every acknowledged answer.
func (r *round) askAgain(ctx context.Context, l *load) {
	work := make(chan func())
	var workers sync.WaitGroup
	for range 2 * r.cfg.Replicas {
		workers.Go(func() {
			for f := range work {
				f()
			}
		})
	}
	var failed atomic.Int64
	for _, op := range r.h.acknowledged() {
		for at, p := range r.replicas {
			work <- func() {
				if failed.Load() > 10 {
					return // what is wrong is known
				}
				c := call{op: op.id, replica: at, replay: true, invoked: r.h.now()}
				var body []byte
				check := "unavailable" // which says nothing of what is kept: the machine may have other work
				for n := 0; n < 3 && check == "unavailable"; n++ {
					ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
					c.status, body = p.send(ctx, "POST", "/v1/registrations", l.portal, op.key, "application/json", op.request)
					cancel()
					if !slices.Contains([]int{0, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, c.status) {
						check = "lost"
					}
				}
				c.returned = r.h.now()
				if c.status != http.StatusCreated {
					failed.Add(1)
					r.h.violate(check, "%s was acknowledged, and replica %d says %d: %s", op.key, at, c.status, body)
				}
				r.h.add(c, body)
			}
		}
	}
	close(work)
	workers.Wait()
}

// ftoa writes a probability.
func ftoa(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// String is one line.
func (r *Result) String() string {
	var faults []string
	for _, k := range slices.Sorted(maps.Keys(r.Faults)) {
		faults = append(faults, fmt.Sprintf("%s %d", k, r.Faults[k]))
	}
	var counts []string
	for _, k := range slices.Sorted(maps.Keys(r.Counts)) {
		counts = append(counts, fmt.Sprintf("%s %d", k, r.Counts[k]))
	}
	verdict := "nothing wrong"
	if len(counts) > 0 {
		verdict = "WRONG: " + strings.Join(counts, ", ")
	}
	return fmt.Sprintf("%s seed %d, %.0f s: %d acknowledged (%d replayed, %d other), %d calls (%d unanswered), %d deaths; %s; longest silence %.1f s; %d entries, %d grants, %d ends, %d promotions; %d partitions (%d undecided): %s",
		r.Database, r.Seed, r.Seconds, r.Acknowledged, r.Replayed, r.Others, r.Calls, r.Unanswered, r.Deaths, strings.Join(faults, ", "), r.Silence,
		r.Entries, r.Grants, r.Ends, r.Promotions, r.Partitions, r.Undecided, verdict)
}

// Long is the round of make soak.
func Long(database string) Config {
	cfg := Quick(database)
	cfg.Load, cfg.Accounts, cfg.Customers, cfg.Window, cfg.Clients = time.Minute, 20_000, 2000, 150, 32
	return cfg
}
