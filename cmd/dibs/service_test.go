package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/testserver"
	"github.com/dibs-deals/dibs/internal/world"
)

// TestMain lets the test binary be dibs itself: a process that can be killed.
func TestMain(m *testing.M) {
	if os.Getenv("DIBS_TEST_PROCESS") == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is a running dibs.
type process struct {
	*exec.Cmd
	t    *testing.T
	base string // http://127.0.0.1:port
	said string // what it printed until it served
	done chan struct{}
}

var serving = regexp.MustCompile(`http://(127\.0\.0\.1:\d+)`)

// start runs dibs until it serves. until is what it prints last before it does.
func start(t *testing.T, until string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], args...), t: t, done: make(chan struct{})}
	p.Env = append(os.Environ(), "DIBS_TEST_PROCESS=1")
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	p.Stderr = &errs
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		p.said += line
		if strings.Contains(line, until) {
			break
		}
		if err != nil {
			_ = p.Wait()
			t.Fatalf("dibs %v ended before it served:\n%s%s", args, p.said, errs.String())
		}
	}
	p.base = serving.FindString(p.said)
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		_ = p.Wait()
		close(p.done)
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *process) kill() {
	_ = p.Process.Kill()
	<-p.done
}

// stop ends the process as an operator does.
func (p *process) stop() {
	_ = p.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		p.t.Fatal("it does not end when told to")
	}
	if code := p.ProcessState.ExitCode(); code != 0 {
		p.t.Fatalf("it ended with %d:\n%s", code, p.Stderr)
	}
}

// call sends one request.
func call(method, url, key, idem, body string) (int, []byte, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	if idem != "" {
		req.Header.Set("Idempotency-Key", idem)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, b, err
}

var client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// words splits a command line as a shell does: single quotes hold everything, a backslash outside them the next character.
func words(s string) (out []string) {
	var b strings.Builder
	quoted, word := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'':
			quoted, word = !quoted, true
		case c == '\\' && !quoted:
			i++
			b.WriteByte(s[i])
			word = true
		case c == ' ' && !quoted:
			if word {
				out = append(out, b.String())
			}
			b.Reset()
			word = false
		default:
			b.WriteByte(c)
			word = true
		}
	}
	if word {
		out = append(out, b.String())
	}
	return out
}

// paste runs a printed curl line.
func paste(t *testing.T, line string) (int, []byte) {
	t.Helper()
	var url, body string
	req := &http.Request{Method: http.MethodGet, Header: http.Header{}}
	w := words(line)
	for i := 1; i < len(w); i++ {
		switch w[i] {
		case "-sS":
		case "-H":
			i++
			k, v, _ := strings.Cut(w[i], ": ")
			req.Header.Set(k, v)
		case "-d":
			i++
			body, req.Method = w[i], http.MethodPost
		default:
			url = w[i]
		}
	}
	made, err := http.NewRequest(req.Method, url, strings.NewReader(body))
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	made.Header = req.Header
	res, err := client.Do(made)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, b
}

// TestDemo starts the demo, pastes what it prints, stops it, and starts it again.
func TestDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	p := start(t, "Ctrl-C", "demo", "--dir", dir, "--listen", "127.0.0.1:0")
	var curls []string
	for line := range strings.Lines(p.said) {
		if strings.HasPrefix(line, "curl ") {
			curls = append(curls, strings.TrimSpace(line))
		}
	}
	examples := world.Examples(time.Now())
	if len(curls) < len(examples)+2 {
		t.Fatalf("%d curl lines printed", len(curls))
	}
	first := make([][]byte, len(examples))
	for i, x := range examples {
		status, body := paste(t, curls[i])
		var a engine.Answer
		if err := json.Unmarshal(body, &a); err != nil || status != 201 {
			t.Fatalf("%s: %d %s", x.Title, status, body)
		}
		if string(a.Decision.Outcome) != x.Expect {
			t.Errorf("%s: %s, %v", x.Title, a.Decision.Outcome, a.Decision.ReasonCodes)
		}
		if x.Expect == "escalate" && a.Decision.Case == nil {
			t.Errorf("%s: no case", x.Title)
		}
		for _, other := range []string{"P-001", "Northwind"} {
			if x.PartnerID != other && bytes.Contains(body, []byte(other)) {
				t.Errorf("%s: the answer names %s: %s", x.Title, other, body)
			}
		}
		first[i] = body
	}
	for _, line := range curls[len(examples):] {
		if status, body := paste(t, line); status != 200 || !bytes.Contains(body, []byte(`"items"`)) {
			t.Errorf("%s: %d %s", line, status, body)
		}
	}
	answer := filepath.Join(t.TempDir(), "answer.json")
	if err := os.WriteFile(answer, first[0], 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := dibs(t, "", nil, "audit", "verify", answer); code != exitOK || !strings.Contains(out, "proved") {
		t.Errorf("the answer is not proved offline: %d %s%s", code, out, errs)
	}
	if err := os.WriteFile(answer, bytes.Replace(first[0], []byte(`"protect"`), []byte(`"route"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := dibs(t, "", nil, "audit", "verify", answer); code != exitFound {
		t.Errorf("a changed answer: %d %s", code, out)
	}
	port := strings.TrimPrefix(p.base, "http://")
	if code, _, errs := dibs(t, "", nil, "demo", "--dir", t.TempDir(), "--listen", port); code != exitUsage || !strings.Contains(errs, "taken") {
		t.Errorf("on a taken port: %d %s", code, errs)
	}
	p.stop()

	again := start(t, "Ctrl-C", "demo", "--dir", dir, "--listen", port)
	for i, line := range curls[:len(examples)] {
		if status, body := paste(t, line); status != 201 || !bytes.Equal(body, first[i]) {
			t.Errorf("pasted again after a restart: %d\n%s\n%s", status, body, first[i])
		}
	}
	again.stop()
	if code, out, errs := dibs(t, "", nil, "audit", "verify", "--database", "sqlite:"+filepath.Join(dir, "dibs.db")); code != exitOK || !strings.Contains(out, "clean") {
		t.Errorf("audit: %d %s%s", code, out, errs)
	}
	demo := "sqlite:" + filepath.Join(dir, "dibs.db")
	var last engine.Answer
	if err := json.Unmarshal(first[len(examples)-1], &last); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := dibs(t, "", nil, "replay", "--database", demo); code != exitOK || !strings.Contains(out, fmt.Sprintf("%d decisions derived again, 0 differ", len(examples)+len(world.Waiting(time.Now())))) {
		t.Errorf("replay: %d %s%s", code, out, errs)
	}
	var replayed struct{ Derived []rederived }
	if code, out, errs := dibs(t, "", nil, "replay", "--database", demo, "--format", "json", last.ID); code != exitOK || !strings.Contains(out, `"decisions": 1`) ||
		json.Unmarshal([]byte(out), &replayed) != nil || len(replayed.Derived) != 1 || replayed.Derived[0].Result != resultSame || replayed.Derived[0].RegistrationID != last.ID {
		t.Errorf("replay of one: %d %s%s", code, out, errs)
	}
	code, out, _ := dibs(t, "", nil, "replay", "--database", demo, last.ID)
	for _, want := range []string{
		last.ID, string(last.Decision.Outcome), fmt.Sprintf("by policy %s version %d (%s)", last.Decision.Policy.Name, last.Decision.Policy.Version, last.Decision.Policy.Digest),
		", matcher ", "derived again: the same, byte for byte, sha256:",
	} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("replay of one lacks %q: %d %s", want, code, out)
		}
	}
	if code, _, errs := dibs(t, "", nil, "replay", "--database", demo, "reg_none"); code != exitUsage || !strings.Contains(errs, "no decision for reg_none") {
		t.Errorf("replay of nothing: %d %s", code, errs)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "precious"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := dibs(t, "", nil, "demo", "--dir", other, "--listen", "127.0.0.1:0"); code != exitUsage || !strings.Contains(errs, "not a demo's") {
		t.Errorf("in somebody's folder: %d %s", code, errs)
	}
}

// TestKill posts 2,000 registrations for 100 customers in partner territory, 20 spellings of each, from many partners at
// once (half as many on PostgreSQL), and kills the service in the middle. What was acknowledged is there after the restart, retries get it, and
// every customer has one holder.
func TestKill(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		testKill(t, 1, 100, "--database", "sqlite:"+filepath.Join(t.TempDir(), "dibs.db"))
	})
	// Two replicas: one is frozen for a while, and killed later, and the other goes on.
	t.Run("PostgreSQL", func(t *testing.T) {
		testKill(t, 2, 50, "--database", testserver.NewPostgres(t).Database(t), "--signing-key", filepath.Join(t.TempDir(), "ledger.key"))
	})
}

func testKill(t *testing.T, replicas, n int, database ...string) {
	serve := func() *process {
		return start(t, "dibs serves on", append([]string{"serve", "--listen", "127.0.0.1:0", "--log-level", "error"}, database...)...)
	}
	with := func(args ...string) []string { return append(args, database...) }
	p := []*process{serve()}
	key := regexp.MustCompile(`dibs_\S+`).FindString(p[0].said)
	for len(p) < replicas {
		p = append(p, serve())
	}
	load := func(kind deal.RecordKind, rows ...deal.Record) {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		for _, r := range rows {
			if err := enc.Encode(r); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(t.TempDir(), "rows.ndjson")
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		// Beside the running service: it follows.
		if code, out, errs := dibs(t, "", nil, with("import", string(kind), file)...); code != exitOK {
			t.Fatalf("import %s: %d %s%s", kind, code, out, errs)
		}
	}
	customers, accounts := pick(t, n)
	signed, _ := deal.ParseDate("2026-01-01")
	var partners []deal.Record
	for i := range 40 {
		partners = append(partners, &deal.Partner{ID: fmt.Sprintf("P-%d", i), Name: fmt.Sprintf("Partner %d", i), Tier: "silver", Status: "active", AgreementSignedAt: signed})
	}
	load(deal.Partners, partners...)
	load(deal.Accounts, accounts...)
	_, token, errs := dibs(t, "", nil, with("keys", "create", "--role", "portal", "--partner", "*")...)
	if token = strings.TrimSpace(token); token == "" {
		t.Fatal(errs)
	}
	for _, p := range p {
		waitFor(t, func() bool {
			s, _, err := call("GET", p.base+"/v1/registrations", token, "", "")
			return err == nil && s == 200
		})
		if status, body, err := call("GET", p.base+"/v1/partners/P-39", key, "", ""); err != nil || status != 200 {
			t.Fatalf("what was imported before the key is not there: %d %s %v", status, body, err)
		}
	}

	type post struct {
		customer int
		body     string
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var posts []post
	for c, a := range customers {
		for i := range 20 {
			f := map[string]any{"partner_id": fmt.Sprintf("P-%d", (c+i)%40), "type": "new_business", "products": []any{map[string]any{"line": "network"}},
				"amount":   map[string]string{"value": "30000.00", "currency": "EUR"},
				"customer": map[string]any{"name": world.Spell(rng, a.Name), "country": a.Country, "region": a.Region, "city": a.City, "postal_code": a.PostalCode}}
			b, _ := json.Marshal(f)
			posts = append(posts, post{c, string(b)})
		}
	}
	rng.Shuffle(len(posts), func(i, j int) { posts[i], posts[j] = posts[j], posts[i] })
	acked := make([]atomic.Pointer[[]byte], len(posts))
	try := func(base string, i int) bool {
		status, body, err := call("POST", base+"/v1/registrations", token, fmt.Sprintf("post-%d", i), posts[i].body)
		switch {
		case err != nil || status == 503:
			return false
		case status == 201:
			if prior := acked[i].Swap(&body); prior != nil && !bytes.Equal(*prior, body) {
				t.Errorf("post %d was answered twice, differently:\n%s\n%s", i, *prior, body)
			}
			return true
		}
		t.Errorf("post %d: %d %s", i, status, body)
		return false
	}
	// send posts them all; a step along, each goes to another replica than before.
	send := func(step int, stop func() bool) {
		var wg sync.WaitGroup
		var next atomic.Int64
		for range 32 {
			wg.Go(func() {
				for !stop() {
					i := int(next.Add(1)) - 1
					if i >= len(posts) {
						return
					}
					try(p[(i+step)%replicas].base, i)
				}
			})
		}
		wg.Wait()
	}
	count := func() (n int) {
		for i := range acked {
			if acked[i].Load() != nil {
				n++
			}
		}
		return n
	}
	var dead atomic.Bool
	go func() {
		defer dead.Store(true)
		if replicas > 1 {
			waitFor(t, func() bool { return count() > 3*n })
			if err := p[0].Process.Signal(syscall.SIGSTOP); err != nil {
				t.Error(err)
			}
			began := time.Now()
			for i := len(posts) - 20; i < len(posts); i++ {
				if !try(p[1].base, i) {
					t.Errorf("beside a frozen replica post %d is not answered", i)
				}
			}
			t.Logf("beside a frozen replica: 20 posts, one by one, in %s", time.Since(began))
			if err := p[0].Process.Signal(syscall.SIGCONT); err != nil {
				t.Error(err)
			}
		}
		waitFor(t, func() bool { return count() > 7*n })
		p[0].kill()
	}()
	send(0, dead.Load)
	<-p[0].done
	before := count()
	if before == 0 || before == len(posts) {
		t.Fatalf("killed after %d answers: not in the middle", before)
	}
	p[0] = serve()
	send(1, func() bool { return false }) // every one again: answered ones must get the same bytes
	if n := count(); n != len(posts) {
		t.Fatalf("%d of %d answered", n, len(posts))
	}
	holders := make([][]string, len(customers))
	outcomes := map[string]int{}
	for i := range acked {
		var a engine.Answer
		if err := json.Unmarshal(*acked[i].Load(), &a); err != nil {
			t.Fatal(err)
		}
		outcomes[string(a.Status)]++
		if a.Status == deal.StatusProtected {
			holders[posts[i].customer] = append(holders[posts[i].customer], posts[i].body)
		}
		if i%50 == 0 {
			if status, body, err := call("GET", p[i/50%replicas].base+"/v1/registrations/"+a.ID, token, "", ""); err != nil || status != 200 || !bytes.Contains(body, []byte(a.Number)) {
				t.Errorf("an acknowledged registration cannot be read: %d %s %v", status, body, err)
			}
		}
	}
	for c, h := range holders {
		if len(h) != 1 {
			t.Errorf("%q has %d holders: %v", customers[c].Name, len(h), h)
		}
	}
	t.Logf("killed after %d answers; %v", before, outcomes)
	for _, p := range p {
		p.stop()
	}
	if code, out, errs := dibs(t, "", nil, "audit", "verify", database[0], database[1]); code != exitOK || !strings.Contains(out, "clean") {
		t.Errorf("audit: %d %s%s", code, out, errs)
	}
}

// pick returns n customers no other account resembles, and the accounts around them.
func pick(t *testing.T, n int) (picked []*deal.Account, all []deal.Record) {
	t.Helper()
	first := map[string]int{}
	var accounts []*deal.Account
	for a := range world.Accounts() {
		if len(accounts) == 12_000 {
			break
		}
		a.Named, a.Status, a.ParentID = false, "prospect", ""
		accounts = append(accounts, a)
		for w := range strings.FieldsSeq(strings.ToLower(a.Name)) {
			first[w]++
		}
	}
	for i, a := range accounts {
		all = append(all, a)
		f := strings.Fields(strings.ToLower(a.Name))
		plain := strings.IndexFunc(a.Name, func(r rune) bool { return r != ' ' && (r < 'A' || r > 'z') }) < 0
		if i%2 == 0 && len(picked) < n && plain && len(f) >= 3 && len(f) <= 5 && len(f[0]) >= 6 && first[f[0]] == 1 && !slices.Contains([]string{"american", "national"}, f[0]) {
			picked = append(picked, a)
		}
	}
	if len(picked) < n {
		t.Fatalf("only %d customers", len(picked))
	}
	return picked, all
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for range 3000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("waited half a minute in vain")
}

// TestServe starts an empty service and looks at what it says.
func TestServe(t *testing.T) {
	db := "sqlite:" + filepath.Join(t.TempDir(), "d", "dibs.db")
	p := start(t, "dibs serves on", "serve", "--database", db, "--listen", "127.0.0.1:0")
	if !strings.Contains(p.said, "admin key, shown this once") || !strings.Contains(p.said, "No territory plan") {
		t.Errorf("it says:\n%s", p.said)
	}
	if code, out, _ := dibs(t, "", nil, "health", "--url", p.base+"/readyz"); code != exitOK || !strings.Contains(out, `"ready"`) {
		t.Errorf("health: %d %s", code, out)
	}
	p.stop()
	if code, _, _ := dibs(t, "", nil, "health", "--url", p.base+"/readyz"); code != exitFound {
		t.Errorf("health of a stopped service: %d", code)
	}
	again := start(t, "dibs serves on", "serve", "--database", db, "--listen", "127.0.0.1:0")
	if strings.Contains(again.said, "admin key") {
		t.Error("a second start prints a key")
	}
	again.stop()
	code, _, errs := dibs(t, "", map[string]string{"other.yaml": "apiVersion: x\n"}, "serve", "--database", db, "--policy", "other.yaml", "--listen", "127.0.0.1:0")
	if code != exitUsage || !strings.Contains(errs, "other.yaml") {
		t.Errorf("with a broken policy: %d %s", code, errs)
	}
	for _, bad := range []string{"mysql://x", "sqlite:", "dibs.db"} {
		if code, _, errs := dibs(t, "", nil, "serve", "--database", bad, "--listen", "127.0.0.1:0"); code != exitUsage || !strings.Contains(errs, "sqlite:PATH") {
			t.Errorf("%s: %d %s", bad, code, errs)
		}
	}
	if code, _, errs := dibs(t, "", nil, "audit", "verify", "--database", "sqlite:"+filepath.Join(t.TempDir(), "none.db")); code != exitUsage || !strings.Contains(errs, "no database") {
		t.Errorf("audit of nothing: %d %s", code, errs)
	}
}

// TestReplicas starts replicas on one PostgreSQL database, and looks at what is refused, and that no password is shown.
func TestReplicas(t *testing.T) {
	server := testserver.NewPostgres(t)
	db := server.Database(t)
	if err := server.Exec("postgres", "CREATE ROLE app LOGIN SUPERUSER PASSWORD 'S3cr%t/p@ss'"); err != nil {
		t.Fatal(err)
	}
	db = strings.Replace(db, "dibs@", "app:S3cr%25t%2Fp%40ss@", 1)
	quiet := func(what, text string) {
		t.Helper()
		for _, secret := range []string{"S3cr%t/p@ss", "S3cr%25t%2Fp%40ss", "S3cr"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows the password: %s", what, text)
			}
		}
	}
	key, other := filepath.Join(t.TempDir(), "ledger.key"), filepath.Join(t.TempDir(), "ledger.key")
	if code, _, errs := dibs(t, "", nil, "audit", "verify", "--database", db); code != exitUsage || !strings.Contains(errs, "nothing of dibs in it") {
		t.Errorf("audit of an empty database: %d %s", code, errs)
	}
	// Both at once, on an empty database, with one key file.
	var ps [2]*process
	var wg sync.WaitGroup
	for i := range ps {
		wg.Go(func() {
			ps[i] = start(t, "dibs serves on", "serve", "--database", db, "--signing-key", key, "--listen", "127.0.0.1:0", "--log-level", "debug")
		})
	}
	wg.Wait()
	if (ps[0].said == "") || strings.Count(ps[0].said+ps[1].said, "admin key") == 0 {
		t.Errorf("they say %s%s", ps[0].said, ps[1].said)
	}
	for _, p := range ps {
		quiet("serve", p.said)
	}
	for _, c := range []struct{ what, says, db, key string }{
		{"a replica without the key", "--rotate-signing-key", db, other},
		{"a wrong password", "failed", strings.Replace(db, "S3cr", "S3crX", 1) + "&require_auth=scram-sha-256", key},
		{"a URL that is none", "%40", strings.Replace(db, "%25t", "%zz", 1), key},
		{"a parameter that is none", "xxxxx", strings.Replace(db, "?", "?connect_timeout=S3cr%25t%2Fp%40ss&", 1), key},
		{"a limit that is none", "lock_timeout", db + "&lock_timeout=soon", key},
		{"a database that is not there", "does not exist", strings.Replace(db, "/db", "/nodb", 1), key},
	} {
		code, out, errs := dibs(t, "", nil, "keys", "create", "--role", "ops", "--database", c.db, "--signing-key", c.key)
		if code != exitUsage || !strings.Contains(errs, c.says) {
			t.Errorf("%s: %d %s", c.what, code, errs)
		}
		quiet(c.what, out+errs)
	}
	if code, _, errs := dibs(t, "", nil, "keys", "create", "--role", "ops", "--database", "sqlite:"+filepath.Join(filepath.Dir(other), "dibs.db")); code != exitUsage {
		t.Errorf("no database: %d %s", code, errs)
	}
	if code, _, _ := dibs(t, "id,name\nP-1,One\n", nil, "import", "--database", "sqlite:"+filepath.Join(filepath.Dir(other), "dibs.db"), "partners", "-"); code != exitOK {
		t.Fatal("no key of its own")
	}
	if code, _, errs := dibs(t, "", nil, "keys", "create", "--role", "ops", "--database", db, "--signing-key", other); code != exitUsage || !strings.Contains(errs, "the file the other replicas have") {
		t.Errorf("a replica with a key of its own: %d %s", code, errs)
	}
	for _, p := range ps {
		p.stop()
	}
	if code, out, errs := dibs(t, "", nil, "audit", "verify", "--database", db); code != exitOK || !strings.Contains(out, "clean") {
		t.Errorf("audit: %d %s%s", code, out, errs)
	}
}

// TestImport imports files with broken rows among good ones.
func TestImport(t *testing.T) {
	db := "sqlite:" + filepath.Join(t.TempDir(), "dibs.db")
	imp := func(kind, name, text string, more ...string) (int, string, string) {
		t.Helper()
		return dibs(t, text, map[string]string{name: text}, append([]string{"import", "--database", db, kind, name}, more...)...)
	}
	if code, out, errs := imp("partners", "p.csv", "id,name,tier,status\nP-1,One,gold,active\nP-2,Two,gold,asleep\nP-3,,gold,active\n"); code != exitFound ||
		!strings.Contains(out, "1 created, 0 updated, 0 unchanged, 2 rejected") || !strings.Contains(errs, "line 3: status") || !strings.Contains(errs, "line 4: name") {
		t.Errorf("partners: %d %s%s", code, out, errs)
	}
	if code, _, errs := imp("partners", "p.csv", "id,name,tier\nP-7,Seven,platnum\nP-8,Eight,gold\nP-9,Nine,platnum\n", "--dry-run"); code != exitOK ||
		!strings.Contains(errs, `line 2: warn: tier is "platnum", and the policy's settings have registered, silver, gold, platinum; did you mean platinum? (and 1 more rows)`) {
		t.Errorf("a tier that there is not: %d %s", code, errs)
	}
	accounts := "id,name,country\nA-1,Zanzibar Orchestra,DE\nA-2,Quixotic Brewing,XX\nA-3,Third Person GmbH,DE\nA-4,Fourth Estate Ltd,GB\nA-5,Fifth Element SA,FR\nA-6,Sixth Sense AG,CH\n"
	if code, out, errs := imp("accounts", "a.csv", accounts); code != exitFound || !strings.Contains(out, "5 created") || !strings.Contains(errs, "line 3: country") {
		t.Errorf("accounts: %d %s%s", code, out, errs)
	}
	if code, out, _ := dibs(t, strings.Replace(accounts, "XX", "DE", 1), nil, "import", "--database", db, "accounts", "-"); code != exitOK || !strings.Contains(out, "1 created, 0 updated, 5 unchanged, 0 rejected") {
		t.Errorf("from standard input: %d %s", code, out)
	}
	if code, out, _ := imp("accounts", "a.csv", "id,name,city\nA-1,,Ulm\n"); code != exitOK || !strings.Contains(out, "1 updated") {
		t.Errorf("a blank cell leaves the field: %d %s", code, out)
	}
	if code, _, errs := imp("accounts", "a.csv", "id,name\nA-1,Zanzibar Orchestra\n", "--replace"); code != exitUsage || !strings.Contains(errs, "leaves out 5 of 6") {
		t.Errorf("a file that shrinks the world: %d %s", code, errs)
	}
	if code, out, errs := imp("accounts", "a.csv", "id,name\nA-1,Zanzibar Orchestra\nA-2,Quixotic Brewing\nA-3,Third Person GmbH\nA-4,Fourth Estate Ltd\nA-5,Fifth Element SA\n", "--replace"); code != exitOK || !strings.Contains(out, "1 accounts closed") {
		t.Errorf("--replace: %d %s%s", code, out, errs)
	}
	regs := "number,partner_id,status,received_at,customer_name,customer_country,protected_from,protected_until\n" +
		"OLD-1,P-1,protected,2026-09-01,Zanzibar Orchestra,DE,2026-09-01,2099-01-01\nOLD-2,P-404,lost,2026-09-01,Somebody,DE,,\nOLD-3,P-1,protected,2026-09-02,Zanzibar Orchestra,DE,2026-09-02,2099-01-01\n"
	if code, out, errs := imp("registrations", "r.csv", regs); code != exitFound || !strings.Contains(out, "1 imported, 2 rejected") || !strings.Contains(errs, "line 3: partner_id") || !strings.Contains(errs, "OLD-1") {
		t.Errorf("registrations: %d %s%s", code, out, errs)
	}
	if code, out, errs := imp("registrations", "r.csv", strings.Join(strings.SplitAfter(regs, "\n")[:2], "")); code != exitOK || !strings.Contains(out, "1 imported, 0 rejected") {
		t.Errorf("the same again: %d %s%s", code, out, errs)
	}
	if code, out, errs := imp("territories", "t.yaml", string(world.Territories())); code != exitOK || !strings.Contains(out, "is live") {
		t.Errorf("territories: %d %s%s", code, out, errs)
	}
	stray := "apiVersion: dealreg/v1\nkind: TerritoryPlan\nmetadata: {name: stray, timezone: UTC, currency: EUR}\ntiers: [a]\npolicy: {gap: warn}\nterritories:\n  - {id: T, tier: a, coverage: direct, include: {country: [DE]}, owner: {rep: ghost-1}}\n"
	if code, _, errs := imp("territories", "stray.yaml", stray); code != exitOK || !strings.Contains(errs, "7:5: warn: territory T names ghost-1, which is not among the people") {
		t.Errorf("a plan with an owner nobody knows: %d %s", code, errs)
	}
	if code, _, errs := imp("territories", "t.yaml", "apiVersion: dealreg/v1\nkind: TerritoryPlan\ntiers: [a]\nnonsense: 1\n"); code != exitFound || !strings.Contains(errs, "4:1") {
		t.Errorf("a broken plan: %d %s", code, errs)
	}
	if code, _, errs := imp("accounts", "gone.csv", "nothing,of,it\n1,2,3\n"); code != exitUsage || !strings.Contains(errs, "id") {
		t.Errorf("a file of something else: %d %s", code, errs)
	}
	if code, out, _ := dibs(t, "", nil, "audit", "verify", "--database", db, "--format", "json"); code != exitOK || !strings.Contains(out, `"problems": null`) {
		t.Errorf("audit: %d %s", code, out)
	}
}

// TestKeys makes a key, lists it without its secret, and revokes it.
func TestKeys(t *testing.T) {
	db := "sqlite:" + filepath.Join(t.TempDir(), "dibs.db")
	if code, _, _ := dibs(t, "id,name\nP-1,One\n", nil, "import", "--database", db, "partners", "-"); code != exitOK {
		t.Fatal("no database")
	}
	code, token, errs := dibs(t, "", nil, "keys", "create", "--database", db, "--role", "portal", "--partner", "P-1", "--note", "the portal")
	id := regexp.MustCompile(`key_\w+`).FindString(errs)
	if code != exitOK || !strings.HasPrefix(token, "dibs_") || id == "" {
		t.Fatalf("%d %s%s", code, token, errs)
	}
	if code, out, _ := dibs(t, "", nil, "keys", "list", "--database", db, "--format", "json"); code != exitOK || !strings.Contains(out, id) || strings.Contains(out, strings.TrimSpace(token)) {
		t.Errorf("list: %d %s", code, out)
	}
	if code, out, _ := dibs(t, "", nil, "keys", "revoke", "--database", db, id); code != exitOK || !strings.Contains(out, "revoked") {
		t.Errorf("revoke: %d %s", code, out)
	}
	if code, _, _ := dibs(t, "", nil, "keys", "revoke", "--database", db, "key_none"); code != exitUsage {
		t.Errorf("revoke of nothing: %d", code)
	}
	if code, _, errs := dibs(t, "", nil, "keys", "create", "--database", db, "--role", "king"); code != exitUsage || !strings.Contains(errs, "role") {
		t.Errorf("a role there is not: %d %s", code, errs)
	}
	for _, wrong := range [][]string{{"--role", "portal", "--partner", "P-none"}, {"--role", "ops", "--person", "U-none"}} {
		if code, _, errs := dibs(t, "", nil, append([]string{"keys", "create", "--database", db}, wrong...)...); code != exitUsage || !strings.Contains(errs, wrong[3]) {
			t.Errorf("%v: %d %s", wrong, code, errs)
		}
	}
	if code, _, _ := dibs(t, "id,name\nU-1,Ada\n", nil, "import", "--database", db, "people", "-"); code != exitOK {
		t.Fatal("no people")
	}
	if code, out, errs := dibs(t, "", nil, "keys", "create", "--database", db, "--role", "ops", "--person", "U-1", "--format", "json"); code != exitOK || !strings.Contains(out, `"person_id": "U-1"`) {
		t.Errorf("a key of a person: %d %s %s", code, out, errs)
	}
}

// TestProve prints the receipt of a registration and a checkpoint, and verifies both.
func TestProve(t *testing.T) {
	db := "sqlite:" + filepath.Join(t.TempDir(), "dibs.db")
	if code, _, _ := dibs(t, "id,name\nP-1,One\n", nil, "import", "--database", db, "partners", "-"); code != exitOK {
		t.Fatal("no database")
	}
	code, receipt, _ := dibs(t, "", nil, "audit", "prove", "--database", db, "2")
	if code != exitOK {
		t.Fatal("no receipt")
	}
	if code, out, errs := dibs(t, "", map[string]string{"r.json": receipt}, "audit", "verify", "r.json"); code != exitOK || !strings.Contains(out, "entry 2") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if code, out, _ := dibs(t, "", nil, "audit", "checkpoint", "--database", db); code != exitOK || !strings.HasPrefix(out, "dibs/ledger\n4\n") {
		t.Errorf("checkpoint: %d %s", code, out)
	}
	_, before, _ := dibs(t, "", nil, "audit", "checkpoint", "--database", db)
	if code, _, _ := dibs(t, "id,name\nP-2,Two\n", nil, "import", "--database", db, "partners", "-"); code != exitOK {
		t.Fatal("no second entry")
	}
	_, after, _ := dibs(t, "", nil, "audit", "checkpoint", "--database", db)
	if code, out, errs := dibs(t, "", map[string]string{"cp": before}, "audit", "verify", "--database", db, "--checkpoint", "cp"); code != exitOK {
		t.Errorf("against an earlier checkpoint: %d %s%s", code, out, errs)
	}
	// A ledger rolled back to where it was: everything in it agrees with itself, and the later checkpoint tells.
	old := filepath.Join(t.TempDir(), "old.db")
	if code, _, _ := dibs(t, "id,name\nP-1,One\n", nil, "import", "--database", "sqlite:"+old, "--signing-key", strings.TrimSuffix(strings.TrimPrefix(db, "sqlite:"), "dibs.db")+"ledger.key", "partners", "-"); code != exitOK {
		t.Fatal("no older ledger")
	}
	if code, out, _ := dibs(t, "", map[string]string{"cp": after}, "audit", "verify", "--database", "sqlite:"+old, "--checkpoint", "cp"); code != exitFound || !strings.Contains(out, "entries are gone") {
		t.Errorf("a ledger cut short: %d %s", code, out)
	}
	// A ledger whose key is lost goes on only when it is told to.
	if err := os.Remove(strings.TrimSuffix(strings.TrimPrefix(db, "sqlite:"), "dibs.db") + "ledger.key"); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := dibs(t, "", nil, "keys", "create", "--database", db, "--role", "ops"); code != exitUsage || !strings.Contains(errs, "--rotate-signing-key") {
		t.Errorf("without its key: %d %s", code, errs)
	}
	if code, _, errs := dibs(t, "", nil, "keys", "create", "--database", db, "--role", "ops", "--rotate-signing-key"); code != exitOK {
		t.Errorf("with a new key: %d %s", code, errs)
	}
	_, keys, _ := dibs(t, "", nil, "audit", "key", "--database", db)
	if k := strings.Fields(keys); len(k) != 2 || k[0] == k[1] || !strings.Contains(receipt, k[1]) {
		t.Errorf("the keys are %q, and the receipt was signed with the older: %s", k, receipt)
	} else if code, out, errs := dibs(t, "", map[string]string{"r.json": receipt}, "audit", "verify", "r.json", "--key", k[1]); code != exitOK {
		t.Errorf("by the key to publish: %d %s%s", code, out, errs)
	}
	if code, out, errs := dibs(t, "", map[string]string{"cp": before}, "audit", "verify", "--database", db, "--checkpoint", "cp"); code != exitOK {
		t.Errorf("a checkpoint under the old key, which the ledger holds: %d %s%s", code, out, errs)
	}
	if code, _, errs := dibs(t, "", nil, "audit", "prove", "--database", db, "reg_none"); code != exitUsage || !strings.Contains(errs, "no registration") {
		t.Errorf("of nothing: %d %s", code, errs)
	}
}
