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
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/policytest"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
)

// world is a server on a real engine and a real database, with two partners, their portals, and a key of each role.
// Every answer any test gets from it is held to the specification.
type world struct {
	t      testing.TB
	engine *engine.Engine
	server *Server
	http   *httptest.Server
	keys   map[string]string // token by role; portal is P-001's, rival is P-009's, any is the portal of all
	log    *syncBuffer
}

// today is when the tests happen: a little before the close dates of the examples.
var today = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWatchedWorld(t, NewTelemetry(), true)
}

// newWatchedWorld is newWorld with telemetry, which the engine is told of if it is watched.
func newWatchedWorld(t testing.TB, tel *Telemetry, watched bool) *world {
	t.Helper()
	ctx := t.Context()
	st, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "dibs.db")})
	if err != nil {
		t.Fatal(err)
	}
	signer, _, err := ledger.NewSigner("test.dibs.dev/log")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	cfg := engine.Config{Store: st, Signer: signer, Clock: func() time.Time { return today.Add(time.Since(began)) }, Vet: policytest.Vet}
	if watched {
		cfg.Observer = tel
	}
	eng, err := engine.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, engine: eng, keys: map[string]string{}, log: &syncBuffer{}}
	w.server = New(Config{Engine: eng, Telemetry: tel, Version: "test", Log: slog.New(slog.NewJSONHandler(w.log, nil))})
	w.http = httptest.NewServer(w.server.Handler())
	t.Cleanup(func() {
		w.http.Close()
		if err := eng.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, role := range []string{"ops", "policy", "auditor", "admin"} {
		w.key(role, deal.Key{Role: role})
	}
	w.want(201, w.put("/v1/partners/P-001", example(t, "partner.json")))
	w.want(201, w.put("/v1/partners/P-009", `{"name":"Rivale GmbH","country":"DE"}`))
	for name, partner := range map[string]string{"portal": "P-001", "rival": "P-009", "any": "*"} {
		w.key(name, deal.Key{Role: "portal", PartnerIDs: []string{partner}})
	}
	return w
}

// key makes a key that calls itself by the name.
func (w *world) key(name string, k deal.Key) {
	w.t.Helper()
	_, token, err := w.engine.CreateKey(w.t.Context(), engine.Request{Actor: deal.System}, k)
	if err != nil {
		w.t.Fatal(err)
	}
	w.keys[name] = token
}

// example reads one of api/examples.
func example(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../api/examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// got is an answer.
type got struct {
	method, path string
	status       int
	header       http.Header
	body         []byte
}

func (g got) String() string {
	return fmt.Sprintf("%s %s: %d %s", g.method, g.path, g.status, bytes.TrimSpace(g.body))
}

// field reads a member of a JSON answer by a path such as decision.outcome.
func (g got) field(t testing.TB, path string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(g.body, &v); err != nil {
		t.Fatalf("%s: %v", g, err)
	}
	for name := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("%s: no %s", g, path)
		}
		v = m[name]
	}
	return v
}

func (g got) str(t testing.TB, path string) string {
	t.Helper()
	s, ok := g.field(t, path).(string)
	if !ok {
		t.Fatalf("%s: %s is not a string", g, path)
	}
	return s
}

// call is one request. header is name, value, name, value.
func (w *world) call(who, method, path, body string, header ...string) got {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.http.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body == "" {
		r.Body = http.NoBody
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	if who != "" {
		token, ok := w.keys[who]
		if !ok {
			token = who
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	g := got{method, path, res.StatusCode, res.Header, b}
	described(w.t, g)
	return g
}

func (w *world) get(who, path string) got { w.t.Helper(); return w.call(who, "GET", path, "") }

func (w *world) put(path, body string) got { w.t.Helper(); return w.call("ops", "PUT", path, body) }

// distributes makes a partner a distributor.
func (w *world) distributes(partner string) {
	w.t.Helper()
	if g := w.put("/v1/partners/"+partner, `{"name":"Distribution","type":"distributor","tier":"gold","status":"active","agreement_signed_at":"2026-01-01","trained_staff":9}`); g.status/100 != 2 {
		w.t.Fatal(g)
	}
}

// register files with an Idempotency-Key.
func (w *world) register(who, key, body string) got {
	w.t.Helper()
	return w.call(who, "POST", "/v1/registrations", body, "Idempotency-Key", key)
}

// want fails the test unless g has the status.
func (w *world) want(status int, g got) got {
	w.t.Helper()
	if g.status != status {
		w.t.Fatalf("%s\nwant %d", g, status)
	}
	return g
}

// filing is a small registration.
func filing(partner, customer string) string {
	name, _ := json.Marshal(customer) // a string always has a form
	return fmt.Sprintf(`{"partner_id":%q,"type":"new_business","customer":{"name":%s,"country":"DE"}}`, partner, name)
}

// syncBuffer is a log many goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
