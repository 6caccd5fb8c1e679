package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/pack"
	"github.com/dibs-deals/dibs/internal/report"
	"github.com/dibs-deals/dibs/internal/testserver"
	"github.com/dibs-deals/dibs/internal/world"
)

// site is a vendor's installation: PostgreSQL, Redis, the ledger's key, and the program.
type site struct {
	dir, program string
	pg           *testserver.Postgres
	redis        *testserver.Redis
}

// measureReplicas measures two replicas on PostgreSQL and Redis with a large world, beside the least that PostgreSQL and
// Echo can do with the same bytes.
func measureReplicas(ctx context.Context, accounts int, last time.Duration) (_ string, err error) {
	s := &site{}
	if s.dir, err = os.MkdirTemp("", "dibs-bench-"); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	s.program = filepath.Join(s.dir, "dibs")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", s.program, "./cmd/dibs").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building dibs: %w: %s", err, out)
	}
	// As it comes, but for memory: fsync and synchronous_commit are on.
	if s.pg, err = testserver.StartPostgres("shared_buffers=512MB", "max_wal_size=8GB"); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.pg.Remove()) }()
	if s.redis, err = testserver.StartRedis(); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.redis.Remove()) }()
	var b strings.Builder
	crowd, _ := demoCrowd()
	imported, err := s.populate(ctx, crowd, accounts)
	if err != nil {
		return "", err
	}

	// The first replica finds nothing in Redis, and publishes; the second begins from what it published.
	first, cold, err := s.replica(ctx)
	if err != nil {
		return "", err
	}
	defer first.kill()
	if err := s.published(ctx); err != nil {
		return "", err
	}
	second, warm, err := s.replica(ctx)
	if err != nil {
		return "", err
	}
	defer second.kill()
	token, err := s.key(ctx)
	if err != nil {
		return "", err
	}
	base := func(p *process) string { return "http://" + p.address() }
	g := newGenerator(crowd, accounts, base(first), token)
	g.many(500, 8)
	both := func() time.Duration { return cpuOf(first.cmd.Process.Pid) + s.databaseCPU() }

	dibs := result{name: "**dibs, decided and committed**"}
	dibs.p50, dibs.p99 = g.open(200, last)
	dibs.perSecond, dibs.cpu = g.closed(8000, 64, both)
	resident := residentOf(first.cmd.Process.Pid)
	seen, err := s.visible(ctx, first, second, token, 1000)
	if err != nil {
		return "", err
	}
	healthy := dibs.p99
	outage, err := s.outage(g, last, first, second, token)
	if err != nil {
		return "", err
	}
	if err := g.err(); err != nil {
		return "", err
	}
	first.kill()
	second.kill()

	size, err := s.bytesOfRegistration(ctx)
	if err != nil {
		return "", err
	}
	floors := make([]result, 0, 2)
	for _, f := range []struct{ kind, name string }{{"no-op", "Echo, no-op: JSON in, JSON out"}, {"commit", "Echo and a batched commit of as many bytes"}} {
		p, err := launch(ctx, os.Args[0], "-child", f.kind, "-dir", s.pg.URL("postgres"))
		if err != nil {
			return "", err
		}
		g := newGenerator(crowd, min(accounts, 1000), strings.Fields(p.first)[0], "-")
		cpu := func() time.Duration { return cpuOf(p.cmd.Process.Pid) }
		if f.kind == "commit" {
			cpu = func() time.Duration { return cpuOf(p.cmd.Process.Pid) + s.databaseCPU() }
		}
		g.many(500, 8)
		r := result{name: f.name}
		r.p50, r.p99 = g.open(200, last)
		r.perSecond, r.cpu = g.closed(8000, 64, cpu)
		p.kill()
		if err := g.err(); err != nil {
			return "", fmt.Errorf("%s: %w", f.kind, err)
		}
		floors = append(floors, r)
	}
	least := floors[1]
	b.WriteString(report.Machine())
	fmt.Fprintf(&b, "%d accounts, PostgreSQL with fsync, Redis, two replicas, all on this machine with the load generator. 200 requests a second for %s (p50, p99), then 64 connections as fast as they go to one replica (requests/s; CPU of the replica and PostgreSQL together, per request). A registration says %.1f kB, which dibs packs and the other leaves to PostgreSQL.\n\n", accounts, last, float64(size)/1000)
	fmt.Fprintln(&b, "| POST /v1/registrations | p50 | p99 | requests/s | CPU per request | × Echo and batched commit | requests/s × the same |")
	fmt.Fprintln(&b, "|---|---|---|---|---|---|---|")
	for _, r := range append(floors, dibs) {
		fmt.Fprintf(&b, "| %s | %s | %s | %.0f | %s | %.2f | %.2f |\n", r.name, ms(r.p50), ms(r.p99), r.perSecond, us(r.cpu), float64(r.cpu)/float64(least.cpu), r.perSecond/least.perSecond)
	}
	fmt.Fprintf(&b, "\n| with %d accounts | |\n|---|---|\n", accounts)
	fmt.Fprintf(&b, "| import of the accounts | %.1f s |\n", imported.Seconds())
	fmt.Fprintf(&b, "| start without Redis, to ready | %.2f s |\n", cold.Seconds())
	fmt.Fprintf(&b, "| start from Redis, to ready | %.2f s |\n", warm.Seconds())
	fmt.Fprintf(&b, "| resident memory of a replica | %d MB |\n", resident>>20)
	fmt.Fprintf(&b, "| a change visible on the other replica, p50, p99 | %s, %s |\n", ms(seen.p50), ms(seen.p99))
	fmt.Fprintf(&b, "| the same with Redis down | %s, %s |\n", ms(outage.seen.p50), ms(outage.seen.p99))
	fmt.Fprintf(&b, "| Redis killed under 200 requests a second: refused, p99, × before | %d, %s, %.2f |\n", outage.refused, ms(outage.p99), float64(outage.p99)/float64(healthy))
	return b.String(), nil
}

// dibs runs the program to its end with the site's database.
func (s *site) dibs(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.program, args...)
	// Nobody waits for the head while the world is imported: a pause of the machine's need not end the import.
	cmd.Env = append(os.Environ(), "DIBS_DATABASE="+s.pg.URL("postgres", "idle_in_transaction_session_timeout=10s"), "DIBS_SIGNING_KEY="+filepath.Join(s.dir, "ledger.key"))
	cmd.Stdin = stdin
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("dibs %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

// populate imports the world, and says how long the accounts took.
func (s *site) populate(ctx context.Context, crowd *world.Crowd, accounts int) (took time.Duration, err error) {
	ndjson := func(rows func(func(any) bool)) io.Reader {
		r, w := io.Pipe()
		go func() {
			enc := json.NewEncoder(w)
			rows(func(v any) bool { return enc.Encode(v) == nil })
			_ = w.Close()
		}()
		return r
	}
	for _, in := range []struct {
		kind string
		rows func(func(any) bool)
	}{
		{"partners", func(y func(any) bool) { world.Partners()(func(p *deal.Partner) bool { return y(p) }) }},
		{"products", func(y func(any) bool) { world.Products()(func(p *deal.CatalogueProduct) bool { return y(p) }) }},
		{"rates", func(y func(any) bool) { world.Rates()(func(p *deal.Rate) bool { return y(p) }) }},
		{"people", func(y func(any) bool) { world.People()(func(p *deal.Person) bool { return y(p) }) }},
		{"accounts", func(y func(any) bool) {
			crowd.Accounts(accounts)(func(p *deal.Account) bool { return y(p) })
		}},
		{"opportunities", func(y func(any) bool) {
			world.Opportunities(time.Now())(func(p *deal.Opportunity) bool { return y(p) })
		}},
	} {
		start := time.Now()
		if _, err := s.dibs(ctx, ndjson(in.rows), "import", in.kind, "--format", "ndjson", "-"); err != nil {
			return 0, err
		}
		if in.kind == "accounts" {
			took = time.Since(start)
		}
	}
	plan := filepath.Join(s.dir, "plan.yaml")
	if err := os.WriteFile(plan, world.Territories(), 0o600); err != nil {
		return 0, err
	}
	_, err = s.dibs(ctx, nil, "import", "territories", plan)
	return took, err
}

// key makes a portal's key.
func (s *site) key(ctx context.Context) (string, error) {
	out, err := s.dibs(ctx, nil, "keys", "create", "--role", "admin")
	for f := range strings.FieldsSeq(out) {
		if strings.HasPrefix(f, "dibs_") {
			return f, err
		}
	}
	return "", errors.Join(fmt.Errorf("no key in %q", out), err)
}

// replica starts one more, and says how long it took to be ready.
func (s *site) replica(ctx context.Context) (*process, time.Duration, error) {
	port, err := testserver.FreePort()
	if err != nil {
		return nil, 0, err
	}
	start := time.Now()
	p, err := launch(ctx, s.program, "serve", "--listen", "127.0.0.1:"+strconv.Itoa(port), "--database", s.pg.URL("postgres"), "--redis", s.redis.URL(),
		"--signing-key", filepath.Join(s.dir, "ledger.key"), "--log-level", "error")
	if err != nil {
		return nil, 0, err
	}
	p.port = port
	for {
		if r, err := p.ready(); err == nil && r.Ready {
			return p, time.Since(start), nil
		} else if time.Since(start) > 15*time.Minute {
			p.kill()
			return nil, 0, errors.Join(errors.New("a replica is not ready after a quarter of an hour"), err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// published waits until Redis holds a snapshot.
func (s *site) published(ctx context.Context) error {
	c, err := pgx.Connect(ctx, s.pg.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(ctx) }()
	for range 6000 {
		var n int
		if err := c.QueryRow(ctx, "SELECT count(*) FROM snapshot").Scan(&n); err != nil || n > 0 {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("no snapshot was published within ten minutes")
}

func (p *process) address() string { return "127.0.0.1:" + strconv.Itoa(p.port) }

type readiness struct {
	Ready    bool   `json:"ready"`
	Position uint64 `json:"position"`
}

func (p *process) ready() (r readiness, err error) {
	res, err := http.Get("http://" + p.address() + "/readyz") //nolint:noctx // a loopback address
	if err != nil {
		return r, err
	}
	defer func() { _ = res.Body.Close() }()
	return r, json.NewDecoder(res.Body).Decode(&r)
}

// spread is how a duration is spread.
type spread struct{ p50, p99 time.Duration }

// visible measures how long after its commit on one replica a change is in the view of another.
func (s *site) visible(ctx context.Context, from, to *process, token string, n int) (spread, error) {
	took := make([]time.Duration, n)
	for i := range n {
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+from.address()+"/v1/accounts/ACC-000001", strings.NewReader(fmt.Sprintf(`{"name":"Seen %d"}`, i)))
		if err != nil {
			return spread{}, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return spread{}, err
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode/100 != 2 {
			return spread{}, fmt.Errorf("PUT of an account: %s", res.Status)
		}
		answered := time.Now()
		at, err := from.ready()
		if err != nil {
			return spread{}, err
		}
		asked := time.Since(answered) // what it costs to ask is not what it takes to be seen
		for {
			r, err := to.ready()
			if err != nil {
				return spread{}, err
			}
			if r.Position >= at.Position {
				break
			}
			if time.Since(answered) > 10*time.Second {
				return spread{}, errors.New("a change is not visible on the other replica after ten seconds")
			}
			time.Sleep(200 * time.Microsecond) // asked without a pause, it would be kept busy with answering, and with what answers leave behind
		}
		took[i] = max(0, time.Since(answered)-asked)
		time.Sleep(3 * time.Millisecond)
	}
	slices.Sort(took)
	return spread{took[n/2], took[n*99/100]}, nil
}

type outage struct {
	refused int64
	p99     time.Duration
	seen    spread
}

// outage kills Redis in the middle of a load.
func (s *site) outage(g *generator, last time.Duration, first, second *process, token string) (outage, error) {
	before := g.bad.Load()
	killed := make(chan error, 1)
	go func() {
		time.Sleep(last / 4)
		killed <- s.redis.Kill()
	}()
	_, p99 := g.open(200, last)
	if err := <-killed; err != nil {
		return outage{}, err
	}
	seen, err := s.visible(context.Background(), first, second, token, 60)
	return outage{g.bad.Load() - before, p99, seen}, err
}

// registrations are what registrations say, of each the bytes that are new with it: what an entry is hashed of, before it is packed, and the rows that
// repeat it.
func registrations(ctx context.Context, c interface {
	Query(context.Context, string, ...any) (pgx.Rows, error)
}) (bodies [][]byte, err error) {
	codec, err := pack.New()
	if err != nil {
		return nil, err
	}
	defer codec.Close()
	rows, err := c.Query(ctx, `SELECT e.encoding, e.body, e.answer || e.leaf || convert_to(r.doc::text, 'UTF8') || v.body
		FROM entry e JOIN registration r ON r.seq = e.seq JOIN event v ON v.seq = e.seq AND v.type LIKE 'dibs.registration.%' WHERE e.kind = 'registration.decided' LIMIT 1000`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]byte, error) {
		var encoding int
		var body, rest []byte
		if err := row.Scan(&encoding, &body, &rest); err != nil {
			return nil, err
		}
		body, err := codec.Unpack(encoding, body)
		return append(rest, body...), err
	})
}

// bytesOfRegistration is what one registration says, on average.
func (s *site) bytesOfRegistration(ctx context.Context) (n int, err error) {
	c, err := pgx.Connect(ctx, s.pg.URL("postgres"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	bodies, err := registrations(ctx, c)
	for _, b := range bodies {
		n += len(b)
	}
	return n / max(1, len(bodies)), err
}

// databaseCPU returns the CPU time the server's processes have used, ended ones included.
func (s *site) databaseCPU() time.Duration {
	master := s.pg.PID()
	total := cpuOf(master) + reapedBy(master)
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", master, master))
	for f := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(f); err == nil {
			total += cpuOf(pid)
		}
	}
	return total
}

// residentOf returns the memory a process holds, in bytes.
func residentOf(pid int) int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// committer is the least a service can do that answers only what is on disk: it takes what waits, writes it in one
// transaction under the lock of one row, and answers. What it writes are the bytes dibs wrote, in one row each.
func committer(ctx context.Context, url string) (http.Handler, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, err
	}
	for _, sql := range []string{"DROP TABLE IF EXISTS floor, floor_head", "CREATE TABLE floor_head (id int PRIMARY KEY, seq bigint NOT NULL)", "INSERT INTO floor_head VALUES (1, 0)",
		"CREATE TABLE floor (seq bigint PRIMARY KEY, key text NOT NULL UNIQUE, body bytea COMPRESSION lz4 NOT NULL)"} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			return nil, err
		}
	}
	bodies, err := registrations(ctx, pool)
	if err != nil || len(bodies) == 0 {
		return nil, errors.Join(errors.New("no registrations to take bytes from"), err)
	}
	var next atomic.Uint64
	type waiting struct {
		key  string
		body []byte
		done chan error
	}
	queue := make(chan waiting, 1024)
	commit := func(batch []waiting) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			var seq int64
			if err := tx.QueryRow(ctx, "SELECT seq FROM floor_head WHERE id = 1 FOR UPDATE").Scan(&seq); err != nil {
				return err
			}
			var b pgx.Batch
			for _, w := range batch {
				seq++
				b.Queue("INSERT INTO floor (seq, key, body) VALUES ($1, $2, $3)", seq, w.key, w.body)
			}
			b.Queue("UPDATE floor_head SET seq = $1 WHERE id = 1", seq)
			return tx.SendBatch(ctx, &b).Close()
		})
	}
	go func() {
		for w := range queue {
			batch := []waiting{w}
			for more := true; more && len(batch) < 256; {
				select {
				case w := <-queue:
					batch = append(batch, w)
				default:
					more = false
				}
			}
			err := commit(batch)
			for _, w := range batch {
				w.done <- err
			}
		}
	}()
	e := echo.New()
	e.POST("/v1/registrations", func(c echo.Context) error {
		var f deal.Filing
		if err := json.NewDecoder(c.Request().Body).Decode(&f); err != nil {
			return err
		}
		w := waiting{c.Request().Header.Get("Idempotency-Key"), bodies[next.Add(1)%uint64(len(bodies))], make(chan error, 1)}
		queue <- w
		if err := <-w.done; err != nil {
			return err
		}
		return c.JSON(http.StatusCreated, &f)
	})
	return e, nil
}
