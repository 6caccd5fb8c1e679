package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/replica"
	"github.com/dibs-deals/dibs/internal/store/postgres"
	"github.com/dibs-deals/dibs/internal/testserver"
	demo "github.com/dibs-deals/dibs/internal/world"
)

// collector receives what is sent by OTLP over HTTP.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	raw     bytes.Buffer // everything, as it came
	spans   []*traces.Span
	metrics []string // names
}

func newCollector(t *testing.T) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(b)
		switch r.URL.Path {
		case "/v1/traces":
			var m collectortraces.ExportTraceServiceRequest
			if err := proto.Unmarshal(b, &m); err != nil {
				t.Error(err)
			}
			for _, res := range m.ResourceSpans {
				for _, scope := range res.ScopeSpans {
					c.spans = append(c.spans, scope.Spans...)
				}
			}
		case "/v1/metrics":
			var m collectormetrics.ExportMetricsServiceRequest
			if err := proto.Unmarshal(b, &m); err != nil {
				t.Error(err)
			}
			for _, res := range m.ResourceMetrics {
				for _, scope := range res.ScopeMetrics {
					for _, x := range scope.Metrics {
						c.metrics = append(c.metrics, x.Name+" "+x.Unit)
					}
				}
			}
		default:
			t.Errorf("sent to %s", r.URL.Path)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// TestTelemetryHoldsNoNames files for real organisations, with contacts and free text, against PostgreSQL and Redis, and
// looks for a word of theirs in every span, metric and line of the log: sent, scraped or written.
func TestTelemetryHoldsNoNames(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	ctx := t.Context()
	tel, err := OpenTelemetry(ctx, "test")
	if err != nil {
		t.Fatal(err)
	}
	pg, rd := testserver.NewPostgres(t, "fsync=off"), testserver.NewRedis(t)
	st, err := postgres.Open(ctx, postgres.Config{URL: pg.Database(t), Tracer: tel.Postgres()})
	if err != nil {
		t.Fatal(err)
	}
	log := &syncBuffer{}
	logger := slog.New(TraceLog(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	r, err := replica.New(replica.Config{URL: rd.URL(), Store: st, Origin: "test.dibs.dev/log", Log: logger, Instrument: tel.Redis})
	if err != nil {
		t.Fatal(err)
	}
	signer, _, err := ledger.NewSigner("test.dibs.dev/log")
	if err != nil {
		t.Fatal(err)
	}
	eng, err := engine.Open(ctx, engine.Config{Store: st, Signer: signer, Observer: tel, Peers: r, Log: logger, Clock: func() time.Time { return today }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(context.Background()); err != nil {
			t.Error(err)
		}
		_ = r.Close()
		_ = st.Close()
	})
	tel.Register(r)
	_, token, err := eng.CreateKey(ctx, engine.Request{Actor: deal.System}, deal.Key{Role: "portal", PartnerIDs: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	var rows []deal.Record
	var secrets []string
	for a := range demo.Accounts() {
		if len(rows) == 400 {
			break
		}
		rows = append(rows, a)
	}
	if _, err := eng.Put(ctx, engine.Request{Actor: deal.System}, rows, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Put(ctx, engine.Request{Actor: deal.System}, []deal.Record{&deal.Partner{ID: "P-001", Name: "Partnerwort GmbH", Status: "active"}, &deal.Partner{ID: "P-009", Name: "Partnerwort AG", Status: "active"}}, nil); err != nil {
		t.Fatal(err)
	}
	h := New(Config{Engine: eng, Log: logger, Telemetry: tel, Version: "test", Budget: r}).Handler()
	const parent = "4bf92f3577b34da6a3ce929d0e0e4736"
	send := func(path, key, body string) *httptest.ResponseRecorder {
		q := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		q.Header.Set("Authorization", "Bearer "+token)
		q.Header.Set("Content-Type", "application/json")
		q.Header.Set("Idempotency-Key", key)
		q.Header.Set("Traceparent", "00-"+parent+"-00f067aa0ba902b7-01")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, q)
		return w
	}
	timing := ""
	for i := range 60 {
		a := rows[i*6].(*deal.Account)
		for w := range strings.FieldsSeq(a.Name) {
			if len(w) >= 7 && !slices.Contains([]string{"Research", "Institute", "Software"}, w) {
				secrets = append(secrets, w)
			}
		}
		for at, partner := range []string{"P-001", "P-009"} {
			body, err := json.Marshal(map[string]any{
				"partner_id": partner, "type": "new_business", "customer": map[string]any{"name": a.Name, "country": a.Country, "street": "Geheimstrasse 7", "phone": "+49 89 5551234"},
				"contact":     map[string]any{"name": "Roswitha Kundenfrau", "email": "roswitha@" + "kundenfrau.example", "title": "CIO"},
				"description": "Vertraulichkeiten", "amount": map[string]any{"value": "987654.32", "currency": "EUR"}, "expected_close_date": "2027-02-28",
			})
			if err != nil {
				t.Fatal(err)
			}
			w := send("/v1/registrations", fmt.Sprintf("idemsecret-%d-%d", i, at), string(body))
			if w.Code != http.StatusCreated {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			timing = w.Header().Get("Server-Timing")
			if i%10 == 0 {
				send("/v1/registrations", fmt.Sprintf("idemsecret-%d-%d", i, at), string(body)) // a retry
				send("/v1/checks", "", string(body))
				send("/v1/registrations", "idemsecret-bad", strings.Replace(string(body), `"new_business"`, `"Falschtyp"`, 1))
			}
		}
	}
	scrape := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	scrape.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, scrape)
	if err := pg.Stop(); err != nil { // errors too: of the database, as they are logged and traced
		t.Fatal(err)
	}
	if w := send("/v1/registrations", "idemsecret-down", filing("P-001", "Totalausfallwerke")); w.Code != http.StatusServiceUnavailable {
		t.Errorf("without a database: %d", w.Code)
	}
	if err := tel.Close(ctx); err != nil {
		t.Fatal(err)
	}

	secrets = append(secrets, "Geheimstrasse", "5551234", "Kundenfrau", "kundenfrau", "Vertraulich", "987654", "idemsecret", "Partnerwort", "Falschtyp", "Totalausfall", token)
	for _, s := range secrets {
		for what, text := range map[string]string{"spans and metrics": c.raw.String(), "the scrape": w.Body.String(), "the log": log.String()} {
			if strings.Contains(text, s) {
				t.Errorf("%s hold %q", what, s)
			}
		}
	}
	if len(secrets) < 60 {
		t.Errorf("only %d words were looked for", len(secrets))
	}

	// And what should be there is.
	names := map[string]int{}
	for _, s := range c.spans {
		if fmt.Sprintf("%x", s.TraceId) == parent {
			names[s.Name]++
		}
	}
	for _, want := range append(slices.Clone(engine.Stages), "commit", "POST /v1/registrations", "POST /v1/checks", "batch start", "INSERT", "evalsha") {
		if names[want] == 0 {
			t.Errorf("no span %s in the caller's trace: %v", want, names)
		}
	}
	for _, want := range []string{"dibs_stage s", "dibs_decision s", "dibs_commit s", "dibs_decisions ", "dibs_replica_limits_total ", "http.server.request.duration s"} {
		if !slices.Contains(c.metrics, want) {
			t.Errorf("not sent: %s; there are %v", want, c.metrics)
		}
	}
	for _, want := range []string{
		`dibs_stage_seconds_bucket{stage="decide",le="1e-05"}`, `dibs_stage_seconds_count{stage="write"}`, `dibs_commit_seconds_count{result="ok"}`, `dibs_commit_requests_bucket{le="1.0"}`,
		`dibs_rules_total{result="decided",rule=`, `dibs_decision_candidates_count `, `dibs_policy_info{policy="default@1",territories=""} 1.0`, "dibs_ledger_head_age_seconds ", "dibs_replica_redis_up ",
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in the scrape", want)
		}
	}
	if !regexp.MustCompile(`dibs_decision_seconds_bucket\{.*\} \d+ # \{.*trace_id="` + parent + `"`).MatchString(w.Body.String()) {
		t.Error("no exemplar leads from a slow decision to its trace")
	}
	if !regexp.MustCompile(`http_server_request_duration_seconds_bucket\{.*\} \d+ # \{(trace_id="[0-9a-f]+",span_id="[0-9a-f]+"|span_id="[0-9a-f]+",trace_id="[0-9a-f]+")\}`).MatchString(w.Body.String()) {
		t.Error("no exemplar of requests leads to its trace and says nothing else")
	}
	if !strings.Contains(log.String(), `"trace_id":"`+parent+`","span_id":"`) {
		t.Errorf("the log does not name the trace:\n%.2000s", log)
	}
	for _, s := range engine.Stages {
		if !strings.Contains(timing, s+";dur=") {
			t.Errorf("Server-Timing lacks %s: %s", s, timing)
		}
	}
	if !strings.Contains(timing, "total;dur=") || !strings.Contains(timing, `traceparent;desc="00-`+parent) {
		t.Errorf("Server-Timing: %s", timing)
	}
	if t.Failed() {
		t.Logf("%.4000s", w.Body)
	}
}

// TestServerTiming: how long each stage took is not for a partner's eyes; the sum is what it could measure itself.
func TestServerTiming(t *testing.T) {
	w := newWorld(t)
	if got := w.register("portal", "1", filing("P-001", "Kraftwerk Nord GmbH")).header.Get("Server-Timing"); !regexp.MustCompile(`^total;dur=[0-9.]+$`).MatchString(got) {
		t.Errorf("a partner's key reads %q", got)
	}
	if got := w.register("ops", "2", filing("P-001", "Kraftwerk Nord GmbH")).header.Get("Server-Timing"); !strings.HasPrefix(got, "admit;dur=") {
		t.Errorf("ops read %q", got)
	}
}
