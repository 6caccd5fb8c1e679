// Command bench measures what a registration costs, beside the least it could cost, in one run on one machine: an Echo
// handler that reads and writes the same JSON and does nothing, and one committed row of the same bytes. It also measures
// the group commit on PostgreSQL, and replicas. It prints the tables and writes them into BENCHMARKS.md.
//
// Server and load generator are separate processes, so that CPU per request is the server's alone.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
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

	"github.com/labstack/echo/v4"
	_ "modernc.org/sqlite"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/report"
	"github.com/dibs-deals/dibs/internal/server"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
	"github.com/dibs-deals/dibs/internal/world"
)

func main() {
	log.SetFlags(0)
	child := flag.String("child", "", "")
	dir := flag.String("dir", "", "")
	last := flag.Duration("for", 20*time.Second, "length of each open loop")
	out := flag.String("out", "BENCHMARKS.md", "file whose tables are written")
	accounts := flag.Int("accounts", 1_000_000, "accounts of the world of the replicas")
	live := flag.Int("live", 100_000, "live protections, of which a twentieth ends in one instant")
	only := flag.String("only", "", "registration, commit, due, telemetry or replicas: write that table alone")
	mark := flag.String("mark", "", "with -only: name of the marks its table is written between (default its own)")
	flag.Parse()
	if *child != "" {
		if err := serve(*child, *dir); err != nil {
			log.Fatal(err)
		}
		return
	}
	ctx := context.Background()
	for _, t := range []struct {
		name string
		make func() (string, error)
	}{
		{"registration", func() (string, error) { return measure(ctx, 50, *last) }},
		{"commit", func() (string, error) { return measureCommits(ctx) }},
		{"due", func() (string, error) { return measureDue(ctx, *live, *live/20) }},
		{"telemetry", func() (string, error) { return measureTelemetry(ctx) }},
		{"replicas", func() (string, error) { return measureReplicas(ctx, *accounts, *last) }},
	} {
		if *only != "" && *only != t.name {
			continue
		}
		table, err := t.make()
		if err == nil {
			fmt.Println(table)
			err = report.Write(*out, cmp.Or(*mark, t.name), table)
		}
		if err != nil {
			log.Fatalf("%s: %v", t.name, err)
		}
	}
}

// serve is the measured process: one of the services under load.
func serve(kind, dir string) error {
	ctx := context.Background()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var h http.Handler
	token := "-"
	switch kind {
	case "dibs":
		st, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "dibs.db")})
		if err != nil {
			return err
		}
		signer, _, err := ledger.NewSigner("bench")
		if err != nil {
			return err
		}
		e, err := engine.Open(ctx, engine.Config{Store: st, Signer: signer})
		if err != nil {
			return err
		}
		if token, err = populate(ctx, e); err != nil {
			return err
		}
		h = server.New(server.Config{Engine: e}).Handler()
	case "sink":
		h = sink()
	case "no-op":
		e := echo.New()
		e.POST("/v1/registrations", func(c echo.Context) error {
			var f deal.Filing
			if err := json.NewDecoder(c.Request().Body).Decode(&f); err != nil {
				return err
			}
			return c.JSON(http.StatusCreated, &f)
		})
		h = e
	case "one row":
		db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "row.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
		if err != nil {
			return err
		}
		db.SetMaxOpenConns(1)
		if _, err := db.ExecContext(ctx, `CREATE TABLE r (id integer PRIMARY KEY, body blob NOT NULL)`); err != nil {
			return err
		}
		e := echo.New()
		e.POST("/v1/registrations", func(c echo.Context) error {
			b, err := io.ReadAll(c.Request().Body)
			if err != nil {
				return err
			}
			if _, err := db.ExecContext(c.Request().Context(), `INSERT INTO r (body) VALUES (?)`, b); err != nil {
				return err
			}
			return c.JSONBlob(http.StatusCreated, b)
		})
		h = e
	case "commit":
		if h, err = committer(ctx, dir); err != nil {
			return err
		}
	}
	fmt.Printf("http://%s %s\n", l.Addr(), token)
	return (&http.Server{Handler: h, ReadHeaderTimeout: time.Second}).Serve(l)
}

// populate makes the demo world.
func populate(ctx context.Context, e *engine.Engine) (token string, err error) {
	q := engine.Request{Actor: deal.System}
	load := func(rows func(put func(engine.ImportRow) error) error) {
		if err == nil {
			_, err = engine.ImportRows(ctx, e, q, false, rows, func(line int, errs deal.FieldErrors) { log.Printf("row %d: %v", line, errs) })
		}
	}
	for _, rows := range []func(func(deal.Record) bool){
		func(y func(deal.Record) bool) { world.Partners()(func(p *deal.Partner) bool { return y(p) }) },
		func(y func(deal.Record) bool) { world.Products()(func(p *deal.CatalogueProduct) bool { return y(p) }) },
		func(y func(deal.Record) bool) { world.Rates()(func(p *deal.Rate) bool { return y(p) }) },
		func(y func(deal.Record) bool) { world.People()(func(p *deal.Person) bool { return y(p) }) },
		func(y func(deal.Record) bool) { world.Accounts()(func(p *deal.Account) bool { return y(p) }) },
		func(y func(deal.Record) bool) {
			world.Opportunities(time.Now())(func(p *deal.Opportunity) bool { return y(p) })
		},
	} {
		load(func(put func(engine.ImportRow) error) error {
			var perr error
			rows(func(r deal.Record) bool { perr = put(engine.ImportRow{Record: r}); return perr == nil })
			return perr
		})
	}
	if err != nil {
		return "", err
	}
	d, err := e.SaveDocument(ctx, q, deal.TerritoryDocument, world.Territories())
	if err != nil {
		return "", err
	}
	if _, err := e.Publish(ctx, q, deal.TerritoryDocument, d.Version); err != nil {
		return "", err
	}
	_, token, err = e.CreateKey(ctx, q, deal.Key{Role: "portal", PartnerIDs: []string{"*"}, Note: "bench"})
	return token, err
}

// result is one row of the table.
type result struct {
	name      string
	p50, p99  time.Duration // of the open loop
	cpu       time.Duration // of the server, per request of the closed loop
	perSecond float64       // of the closed loop
}

func measure(ctx context.Context, rate int, last time.Duration) (string, error) {
	var results []result
	for _, kind := range []string{"no-op", "one row", "dibs"} {
		r, err := run(ctx, kind, rate, last)
		if err != nil {
			return "", fmt.Errorf("%s: %w", kind, err)
		}
		results = append(results, r)
	}
	floor := results[0].cpu + results[1].cpu
	var b strings.Builder
	b.WriteString(report.Machine())
	fmt.Fprintf(&b, "Demo world: 59,515 accounts, 3,869 opportunities. %d requests a second for %s (p50, p99), then 16 connections as fast as they go (requests/s, CPU of the server process per request).\n\n", rate, last)
	fmt.Fprintln(&b, "| POST /v1/registrations | p50 | p99 | requests/s | CPU per request | × (no-op + one row) |")
	fmt.Fprintln(&b, "|---|---|---|---|---|---|")
	for _, r := range results {
		fmt.Fprintf(&b, "| %s | %s | %s | %.0f | %s | %.2f |\n", r.name, ms(r.p50), ms(r.p99), r.perSecond, us(r.cpu), float64(r.cpu)/float64(floor))
	}
	return b.String(), nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }
func us(d time.Duration) string { return fmt.Sprintf("%d µs", d.Microseconds()) }

func run(ctx context.Context, kind string, rate int, last time.Duration) (result, error) {
	r := result{name: map[string]string{"no-op": "Echo, no-op: JSON in, JSON out", "one row": "Echo and one committed row", "dibs": "**dibs, decided and committed**"}[kind]}
	dir, err := os.MkdirTemp("", "dibs-bench-")
	if err != nil {
		return r, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	p, err := launch(ctx, os.Args[0], "-child", kind, "-dir", dir)
	if err != nil {
		return r, err
	}
	defer p.kill()
	base, token, _ := strings.Cut(p.first, " ")
	crowd, n := demoCrowd()
	g := newGenerator(crowd, n, base, token)
	g.many(200, 4) // warm
	r.p50, r.p99 = g.open(rate, last)
	r.perSecond, r.cpu = g.closed(4000, 16, func() time.Duration { return cpuOf(p.cmd.Process.Pid) })
	return r, g.err()
}

// process is a service under load.
type process struct {
	cmd   *exec.Cmd
	first string // the first line it printed
	port  int    // where it listens, if that was said
}

// launch starts a program and waits for its first line.
func launch(ctx context.Context, program string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("%s %s did not start", filepath.Base(program), strings.Join(args, " "))
	}
	return &process{cmd: cmd, first: strings.TrimSpace(line)}, nil
}

func (p *process) kill() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() }

// open posts at a rate, each request on time whatever the answers do; latency counts from when it should have left.
func (g *generator) open(rate int, last time.Duration) (p50, p99 time.Duration) {
	n := int(last.Seconds() * float64(rate))
	took := make([]time.Duration, n)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range n {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		wg.Go(func() {
			g.post()
			took[i] = time.Since(due)
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took[n/2], took[n*99/100]
}

// closed posts n requests over as many connections as workers, and returns the rate and what one cost of cpu.
func (g *generator) closed(n, workers int, cpu func() time.Duration) (perSecond float64, each time.Duration) {
	before, start := cpu(), time.Now()
	g.many(n, workers)
	return float64(n) / time.Since(start).Seconds(), (cpu() - before) / time.Duration(n)
}

func (g *generator) err() error {
	if g.bad.Load() > 0 {
		return fmt.Errorf("%d of %d requests were not answered with 201; the first: %s", g.bad.Load(), g.sent.Load(), g.first.Load())
	}
	return nil
}

// generator posts registrations of the world's organisations under many spellings.
type generator struct {
	base, token string
	client      *http.Client
	account     func(i int) *deal.Account
	accounts    int
	partners    []string
	mu          sync.Mutex
	rng         *rand.Rand
	sent, bad   atomic.Int64
	first       atomic.Value
}

// demoCrowd is a crowd that begins with the organisations of the demo's world, of which there are so many.
func demoCrowd() (*world.Crowd, int) {
	accounts := slices.Collect(world.Accounts())
	return world.NewCrowd(accounts), len(accounts)
}

func newGenerator(crowd *world.Crowd, accounts int, base, token string) *generator {
	g := &generator{base: base, token: token, account: crowd.Account, accounts: accounts, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: 30 * time.Second}, rng: rand.New(rand.NewPCG(3, 4))}
	for p := range world.Partners() {
		if p.Status == "active" {
			g.partners = append(g.partners, p.ID)
		}
	}
	return g
}

func (g *generator) filing() ([]byte, int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.account(g.rng.IntN(g.accounts))
	for !match.Default().Names(a.Name) { // of ten million, some are called "Company, Ltd."
		a = g.account(g.rng.IntN(g.accounts))
	}
	today := time.Now().UTC()
	body, err := json.Marshal(map[string]any{
		"partner_id": g.partners[g.rng.IntN(len(g.partners))], "type": "new_business",
		"customer":            map[string]any{"name": world.Spell(g.rng, a.Name), "country": a.Country, "region": a.Region, "city": a.City, "postal_code": a.PostalCode, "domain": a.Domain},
		"contact":             map[string]string{"name": "Pat Example", "email": "pat@gmail.com", "title": "Head of IT"},
		"products":            []any{map[string]any{"sku": "FW-200", "quantity": 10, "amount": map[string]string{"value": "42000.00", "currency": "EUR"}}},
		"amount":              map[string]string{"value": "42000.00", "currency": "EUR"},
		"expected_close_date": today.AddDate(0, 3, 0).Format(time.DateOnly),
		"description":         strings.Repeat("Replacement of the firewall estate in all branches. ", 8),
		"evidence":            []any{map[string]string{"kind": "meeting", "date": today.AddDate(0, 0, -9).Format(time.DateOnly), "text": "Requirements agreed with the head of IT."}},
	})
	if err != nil {
		panic(err)
	}
	return body, g.sent.Add(1)
}

func (g *generator) post() {
	body, n := g.filing()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, g.base+"/v1/registrations", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+g.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "bench-"+strconv.FormatInt(n, 10))
	res, err := g.client.Do(req)
	if err != nil {
		g.fail(err.Error())
		return
	}
	defer func() { _ = res.Body.Close() }()
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusCreated {
		g.fail(string(b))
	}
}

func (g *generator) fail(what string) {
	if g.bad.Add(1) == 1 {
		g.first.Store(what)
	}
}

// many posts n registrations over as many connections as workers.
func (g *generator) many(n, workers int) {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				g.post()
			}
		})
	}
	wg.Wait()
}

// cpuOf returns the CPU time a process has used.
func cpuOf(pid int) time.Duration { return ticks(pid, 11) }

// reapedBy returns the CPU time its ended children had used.
func reapedBy(pid int) time.Duration { return ticks(pid, 13) }

// ticks adds two neighbouring fields of /proc/PID/stat, counted from the state of the process.
func ticks(pid, field int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+2:]))
	var sum int64
	for _, i := range []int{field, field + 1} {
		n, _ := strconv.ParseInt(f[i], 10, 64)
		sum += n
	}
	return time.Duration(sum) * time.Second / 100
}
