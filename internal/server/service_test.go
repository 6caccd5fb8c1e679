package server

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/api/client"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/hooks"
	"github.com/dibs-deals/dibs/internal/replica"
	"github.com/dibs-deals/dibs/internal/testserver"
)

// TestService: health, readiness, metrics and the page, as probes and people ask for them.
func TestService(t *testing.T) {
	w := newWorld(t)
	if g := w.want(200, w.get("", "/healthz")); g.str(t, "version") != "test" {
		t.Errorf("%s", g)
	}
	if g := w.want(200, w.get("", "/readyz")); g.field(t, "ready") != true || g.field(t, "position") != g.field(t, "head") {
		t.Errorf("%s", g)
	}
	for _, path := range []string{"/healthz", "/readyz", "/docs", "/openapi.yaml"} {
		if g := w.want(200, w.call("", "HEAD", path, "")); len(g.body) != 0 {
			t.Errorf("HEAD %s has a body", path)
		}
	}
	page := w.want(200, w.get("", "/docs"))
	if csp := page.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'; script-src 'self';") {
		t.Errorf("policy of the page: %s", csp)
	}
	if regexp.MustCompile(`(?i)<script>|onload=|https?://`).Match(page.body) {
		t.Errorf("the page has inline script or reaches outside:\n%s", page.body)
	}
	for _, m := range regexp.MustCompile(`src="([^"]*)"`).FindAllSubmatch(page.body, -1) {
		w.want(200, w.get("", string(m[1])))
	}
	script := w.want(200, w.call("", "GET", "/docs/scalar.js", "", "Accept-Encoding", "gzip"))
	zr, err := gzip.NewReader(strings.NewReader(string(script.body)))
	if err != nil || script.header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("scalar.js: %v", err)
	}
	if js, err := io.ReadAll(zr); err != nil || !strings.Contains(string(js), "createApiReference") {
		t.Errorf("scalar.js has no createApiReference (%v)", err)
	}
	w.want(304, w.call("", "GET", "/docs/scalar.js", "", "If-None-Match", script.header.Get("Etag")))
	w.want(404, w.get("", "/docs/other.js"))
}

// TestMetrics: what dashboards and alerts ask for is there, and no label holds a caller's text.
func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.want(201, w.register("portal", "1", filing("P-001", "Kraftwerk Nord GmbH")))
	w.want(201, w.register("portal", "1", filing("P-001", "Kraftwerk Nord GmbH")))
	w.want(200, w.call("portal", "POST", "/v1/checks", filing("P-001", "Kraftwerk Nord GmbH")))
	w.want(200, w.importRows("accounts", mediaCSV, "id,name\nA-1,Alpha\n,x\n"))
	w.want(404, w.get("ops", "/v1/secret-path"))
	w.want(404, w.call("ops", "GET", "/v1/accounts/secret-account", "", "Host", "secret-host"))
	g := w.want(200, w.get("", "/metrics"))
	text := string(g.body)
	for _, want := range []string{
		`dibs_decisions_total{outcome="route",reason="INCOMPLETE"} 1`,
		`dibs_decision_seconds_count{outcome="route"} 1`,
		`dibs_check_total{advice=`,
		`dibs_import_rows_total{kind="accounts",result="created"} 1`,
		`dibs_import_rows_total{kind="accounts",result="rejected"} 1`,
		"dibs_ready 1", "dibs_ledger_position ", "dibs_ledger_head ", "dibs_index_accounts 1", "dibs_claims ",
		`http_server_request_duration_seconds_bucket{http_request_method="POST",http_response_status_code="201",http_route="/v1/registrations",le="0.002"}`,
		`http_route="none"`,
		"go_goroutines ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if t.Failed() {
		t.Log(regexp.MustCompile(`(?m)^(go|process)_.*\n|^#.*\n`).ReplaceAllString(text, ""))
	}
	for _, secret := range []string{"secret-path", "secret-account", "secret-host", "127.0.0.1", "Kraftwerk"} {
		if strings.Contains(text, secret) {
			t.Errorf("metrics hold %s", secret)
		}
	}
}

// TestLog: one line for each request that finds it again, and nothing of what it was about.
func TestLog(t *testing.T) {
	w := newWorld(t)
	w.want(201, w.register("portal", "idem-secret", filing("P-001", "Kraftwerk Nord\nGmbH")))
	w.want(200, w.call("ops", "GET", "/v1/registrations?external_id=secret-query", "", "X-Request-Id", "0123456789abcdef"))
	w.want(200, w.call("ops", "GET", "/v1/accounts?name=Kraft", "", "X-Request-Id", "bad id!"))
	log := w.log.String()
	for _, want := range []string{`"request_id":"0123456789abcdef"`, `"route":"/v1/registrations"`, `"status":201`, `"role":"portal"`, `"us":`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	for _, secret := range []string{"Kraft", "idem-secret", "secret-query", "bad id", w.keys["portal"]} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("errors in the log:\n%s", log)
	}
}

// TestChecksAreLimited: a key has so many pre-checks, and registrations without end.
func TestChecksAreLimited(t *testing.T) {
	w := newWorld(t)
	limited := 0
	for range 70 {
		g := w.call("portal", "POST", "/v1/checks", filing("P-001", "Kraftwerk Nord GmbH"))
		if g.status == 429 {
			limited++
			if g.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
	}
	if limited < 5 || limited > 10 {
		t.Errorf("%d of 70 were refused", limited)
	}
	w.want(200, w.call("any", "POST", "/v1/checks", filing("P-001", "Kraftwerk Nord GmbH")))
	w.want(201, w.register("portal", "1", filing("P-001", "Kraftwerk Nord GmbH")))
}

// TestChecksAreCommon: what a key asks of one replica counts at the others. With Redis flushed or gone a replica still
// counts what it has allowed itself, and goes on.
func TestChecksAreCommon(t *testing.T) {
	w := newWorld(t)
	redis := testserver.NewRedis(t)
	var peers []*httptest.Server
	var replicas []*replica.Replica
	// counts waits until Redis answers the replica: until connections are made, or it is asked again after a failure.
	counts := func(r *replica.Replica) {
		t.Helper()
		for range 4000 {
			if _, known := r.Allow(t.Context(), "anything", 10_000); known {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Fatal("Redis does not count")
	}
	for range 2 {
		r, err := replica.New(replica.Config{URL: redis.URL(), Store: w.engine.Store(), Origin: "test.dibs.dev/log"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		replicas = append(replicas, r)
		counts(r)
		peers = append(peers, httptest.NewServer(New(Config{Engine: w.engine, Version: "test", ChecksPerMinute: 30, Budget: r}).Handler()))
		t.Cleanup(peers[len(peers)-1].Close)
	}
	ask := func(at, times int) (answered int) {
		t.Helper()
		for range times {
			w.http.URL = peers[at].URL
			switch g := w.call("portal", "POST", "/v1/checks", filing("P-001", "Kraftwerk Nord GmbH")); g.status {
			case 200:
				answered++
			case 429:
			default:
				t.Fatal(g)
			}
		}
		return answered
	}
	url := w.http.URL
	defer func() { w.http.URL = url }()
	first, second := ask(0, 20), ask(1, 40)
	if first != 20 || first+second < 30 || first+second > 36 {
		t.Errorf("of 30 a minute %d and %d were answered", first, second)
	}
	if err := errors.Join(redis.Kill(), redis.Start()); err != nil { // it has forgotten everything
		t.Fatal(err)
	}
	counts(replicas[0])
	third := ask(0, 60)
	if third > 14 { // 10 of its own are left, and those of the seconds that have passed
		t.Errorf("after a flush one replica answers %d more", third)
	}
	if err := redis.Kill(); err != nil {
		t.Fatal(err)
	}
	w.http.URL = peers[1].URL
	if g := w.call("any", "POST", "/v1/checks", filing("P-001", "Kraftwerk Nord GmbH")); g.status != 200 {
		t.Errorf("without Redis: %v", g)
	}
}

// TestOpsListener: with an address of their own, metrics and readiness are answered there alone, and nothing else is; while the
// service is told to stop and a request still runs, it says not ready there.
func TestOpsListener(t *testing.T) {
	w := newWorld(t)
	var at [2]net.Listener
	for i := range at {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at[i] = l
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.server.Run(ctx, at[0], at[1]) }()
	status := func(l net.Listener, method, path string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.Addr().String()+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+w.keys["admin"])
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		return res.StatusCode
	}
	for path, want := range map[string][2]int{
		"/metrics": {404, 200}, "/readyz": {404, 200}, "/healthz": {200, 200}, "/v1/accounts": {200, 404}, "/openapi.yaml": {200, 404}, "/docs": {200, 404}, "/-": {404, 404},
		"/%6detrics": {404, 404}, "//metrics": {404, 404}, "/metrics/": {404, 404}, "/readyz?x=1": {404, 400}, "/v1/../metrics": {404, 404},
	} {
		for i, l := range at {
			if got := status(l, "GET", path); got != want[i] {
				t.Errorf("%s on %s: %d, want %d", path, []string{"--listen", "--ops-listen"}[i], got, want[i])
			}
		}
	}
	if got := status(at[0], "HEAD", "/metrics"); got != 404 {
		t.Errorf("HEAD /metrics: %d", got)
	}
	body, rows := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+at[0].Addr().String()+"/v1/accounts/import", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", mediaCSV)
	r.Header.Set("Authorization", "Bearer "+w.keys["ops"])
	go func() {
		if res, err := http.DefaultTransport.RoundTrip(r); err == nil {
			_ = res.Body.Close()
		}
	}()
	if _, err := io.WriteString(rows, "id,name\nA-0,"+strings.Repeat("x", 100)+"\n"+strings.Repeat("A-1,Alpha\n", engine.MaxRows)); err != nil {
		t.Fatal(err)
	}
	for w.get("ops", "/v1/accounts/A-0").status != 200 { // it runs
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	for !w.server.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	if got := status(at[1], "GET", "/readyz"); got != 503 {
		t.Errorf("ready while it shuts down: %d", got)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", at[1].Addr().String()); err == nil {
		_ = c.Close()
		t.Error("the operators' address is open after the end")
	}
}

// TestShutdown: a request that runs when the service is told to stop is answered; one that comes later is not taken.
func TestShutdown(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.server.Run(ctx, l, nil) }()

	body, rows := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+l.Addr().String()+"/v1/accounts/import", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", mediaCSV)
	r.Header.Set("Authorization", "Bearer "+w.keys["ops"])
	type result struct {
		status int
		err    error
	}
	answered := make(chan result, 1)
	go func() {
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			answered <- result{err: err}
			return
		}
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		answered <- result{res.StatusCode, err}
	}()
	if _, err := io.WriteString(rows, "id,name\n"); err != nil {
		t.Fatal(err)
	}
	for i := range engine.MaxRows + 1 { // the first put shows that the import runs
		if _, err := fmt.Fprintf(rows, "A-%d,Alpha\n", i); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := fmt.Fprintf(rows, "A-x,%s\n", strings.Repeat("x", 3000)); err != nil { // past the client's buffer
		t.Fatal(err)
	}
	for w.get("ops", "/v1/accounts/A-1").status != 200 {
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	for !w.server.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	if g := w.call("", "GET", "/readyz", ""); g.status != 503 { // over the test's own listener, which is not shut down
		t.Errorf("ready while it shuts down: %s", g)
	}
	refused := func() bool {
		c, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}
	for deadline := time.Now().Add(5 * time.Second); !refused(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still takes connections")
		}
	}
	select {
	case err := <-ended:
		t.Fatalf("ended before the import did: %v", err)
	default:
	}
	if _, err := io.WriteString(rows, "A-last,Beta\n"); err != nil {
		t.Fatal(err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	if a := <-answered; a.err != nil || a.status != 200 {
		t.Errorf("the running import: %+v", a)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	w.want(200, w.get("ops", "/v1/accounts/A-last"))
}

// TestInternalErrorsSayNothing: a failure leaves a 500 that says nothing, and a log line that says all.
func TestInternalErrorsSayNothing(t *testing.T) {
	w := newWorld(t)
	if err := w.engine.Store().Close(); err != nil {
		t.Fatal(err)
	}
	g := w.get("ops", "/v1/accounts/A-1")
	if g.status < 500 {
		t.Fatalf("%s", g)
	}
	for _, leak := range []string{"sql", "SQL", "database", "closed", ".go:"} {
		if strings.Contains(string(g.body), leak) {
			t.Errorf("%s tells %s", g, leak)
		}
	}
	if log := w.log.String(); !strings.Contains(log, "closed") || !strings.Contains(log, g.str(t, "request_id")) {
		t.Errorf("the log does not say what happened:\n%s", log)
	}
	if g := w.get("", "/readyz"); g.status != 503 {
		t.Errorf("%s", g)
	}
	w.want(200, w.get("", "/healthz"))
}

// TestPanic: a mistake of ours is a 500 for one caller, with the stack in the log and nowhere else.
func TestPanic(t *testing.T) {
	log := &syncBuffer{}
	h := New(Config{Hooks: hooks.New(hooks.Config{}), Log: slog.New(slog.NewJSONHandler(log, nil))}).Handler() // no engine: every use of it panics
	r := httptest.NewRequest(http.MethodGet, "/v1/accounts", nil)
	r.Header.Set("Authorization", "Bearer x")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != http.StatusInternalServerError || strings.Contains(rec.Body.String(), "panic") || strings.Contains(rec.Body.String(), ".go") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if !strings.Contains(log.String(), "middleware.go") {
		t.Errorf("no stack in the log: %s", log)
	}
}

// TestClient: the generated Go client speaks to the server.
func TestClient(t *testing.T) {
	w := newWorld(t)
	c, err := client.NewClientWithResponses(w.http.URL, client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+w.keys["portal"])
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	in := client.RegistrationInput{PartnerID: "P-001", Type: "new_business", Customer: client.Customer{Name: "Kraftwerk Nord GmbH", Country: "DE"},
		Amount: client.Money{Value: "1200.00", Currency: "EUR"}}
	res, err := c.CreateRegistrationWithResponse(t.Context(), &client.CreateRegistrationParams{IdempotencyKey: "1"}, in)
	if err != nil {
		t.Fatal(err)
	}
	if res.JSON201 == nil || res.JSON201.Decision.Outcome == "" || res.JSON201.Receipt.Proof == "" {
		t.Fatalf("%s", res.Body)
	}
	read, err := c.GetRegistrationWithResponse(t.Context(), res.JSON201.ID)
	if err != nil {
		t.Fatal(err)
	}
	if read.JSON200 == nil || read.JSON200.Number != res.JSON201.Number {
		t.Errorf("%s", read.Body)
	}
	missing, err := c.GetRegistrationWithResponse(t.Context(), "reg_none")
	if err != nil {
		t.Fatal(err)
	}
	if missing.ApplicationProblemJSON404 == nil || missing.ApplicationProblemJSON404.Code != "not-found" {
		t.Errorf("%s", missing.Body)
	}
}
