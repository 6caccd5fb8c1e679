package desk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/desk"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/server"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
	"github.com/dibs-deals/dibs/internal/world"
)

// stage is the whole service with the demo's world in small: its partners, people, products and territories, the accounts its
// examples are about and some more, and a key of each role. It is the service people use: pages and API on one port.
type stage struct {
	t      testing.TB
	engine *engine.Engine
	desk   *desk.Desk
	url    string
	tokens map[string]string // by role, or by the id of the person who has the key
	keys   map[string]deal.Key
}

// now is when the tests happen, a Monday morning.
var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func newStage(t testing.TB) *stage {
	t.Helper()
	ctx := t.Context()
	st, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "dibs.db")})
	if err != nil {
		t.Fatal(err)
	}
	signer, _, err := ledger.NewSigner("desk.test/log")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	e, err := engine.Open(ctx, engine.Config{Store: st, Signer: signer, Clock: func() time.Time { return now.Add(time.Since(began)) }})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := desk.New(desk.Config{Engine: e})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server.New(server.Config{Engine: e, Desk: pages, Version: "test", Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))}).Handler())
	t.Cleanup(func() {
		web.Close()
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &stage{t: t, engine: e, desk: pages, url: web.URL, tokens: map[string]string{}, keys: map[string]deal.Key{}}
	put(s, world.Partners())
	put(s, world.Products())
	put(s, world.Rates())
	put(s, world.People())
	put(s, some(world.Accounts()))
	put(s, ofAccounts(e, world.Opportunities(now)))
	q := engine.Request{Actor: deal.System}
	d, err := e.SaveDocument(ctx, q, deal.TerritoryDocument, world.Territories())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Publish(ctx, q, deal.TerritoryDocument, d.Version); err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]deal.Key{
		"portal": {Role: "portal", PartnerIDs: []string{"*"}}, "ops": {Role: "ops"}, "policy": {Role: "policy"}, "auditor": {Role: "auditor"}, "admin": {Role: "admin"},
		"u-011": {Role: "ops", PersonID: "u-011"}, "u-010": {Role: "ops", PersonID: "u-010"}, "u-001": {Role: "ops", PersonID: "u-001"},
	} {
		key, token, err := e.CreateKey(ctx, q, k)
		if err != nil {
			t.Fatal(err)
		}
		s.tokens[name], s.keys[name] = token, key
	}
	return s
}

func put[T deal.Record](s *stage, rows iter.Seq[T]) {
	s.t.Helper()
	var list []deal.Record
	flush := func() {
		if _, err := s.engine.Put(s.t.Context(), engine.Request{Actor: deal.System}, list, nil); err != nil {
			s.t.Fatal(err)
		}
		list = nil
	}
	for r := range rows {
		if list = append(list, r); len(list) == engine.MaxRows {
			flush()
		}
	}
	if len(list) > 0 {
		flush()
	}
}

// some are the accounts the examples are about and one in fifty of the others, with the families of those.
func some(all iter.Seq[*deal.Account]) iter.Seq[*deal.Account] {
	return func(yield func(*deal.Account) bool) {
		i := 0
		for a := range all {
			i++
			if i%50 == 0 || strings.HasPrefix(a.Name, "Nordzucker") || strings.HasPrefix(a.Name, "Siemens Energy") || strings.HasPrefix(a.Name, "August Storck") {
				a.ParentID = ""
				if !yield(a) {
					return
				}
			}
		}
	}
}

func ofAccounts(e *engine.Engine, all iter.Seq[*deal.Opportunity]) iter.Seq[*deal.Opportunity] {
	return func(yield func(*deal.Opportunity) bool) {
		for o := range all {
			if _, err := e.Store().Record(context.Background(), deal.Accounts, o.AccountID); err == nil && !yield(o) {
				return
			}
		}
	}
}

// call asks the API.
func (s *stage) call(who, method, path string, body any, header ...string) (int, map[string]any) {
	s.t.Helper()
	var b []byte
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			s.t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, bytes.NewReader(b))
	if err != nil {
		s.t.Fatal(err)
	}
	if body == nil {
		r.Body = http.NoBody
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+s.tokens[who])
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	out := map[string]any{}
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil && err != io.EOF {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return res.StatusCode, out
}

// file files by the API and returns the id of the registration and of its case, if it has one.
func (s *stage) file(key string, f deal.Filing) (id, caseID string) {
	s.t.Helper()
	status, out := s.call("portal", "POST", "/v1/registrations", f, "Idempotency-Key", key)
	if status != http.StatusCreated {
		s.t.Fatalf("filing %s: %d %v", key, status, out)
	}
	if c, ok := out["decision"].(map[string]any)["case"].(map[string]any); ok {
		caseID = c["id"].(string)
	}
	return out["id"].(string), caseID
}

// story files the demo's examples and a few more, and returns the case of the fourth: a relative, by its name, of a customer
// another partner holds.
func (s *stage) story() (registration, escalated string) {
	s.t.Helper()
	for i, x := range world.Examples(now) {
		id, c := s.file("example-"+string(rune('1'+i)), x.Filing)
		if c != "" && escalated == "" {
			registration, escalated = id, c
		}
	}
	if escalated == "" {
		s.t.Fatal("no example was escalated")
	}
	return registration, escalated
}

// more files some more that are escalated.
func (s *stage) more() {
	s.t.Helper()
	f := world.Examples(now)[3].Filing
	for i, name := range []string{"Nordzucker Sugar International GmbH", "Nordzückker & Söhne", "Nordzucker (Services) Ltd", "NORDZUCKER IRELAND"} {
		g := f
		g.Customer.Name, g.ExternalID = name, "more-"+name
		g.PartnerID = []string{"P-003", "P-005", "P-006", "P-007"}[i]
		s.file("more-"+string(rune('1'+i)), g)
	}
	s.strategic()
}

// browser is what a person without JavaScript has: cookies, links and forms.
type browser struct {
	s *stage
	c *http.Client
}

func (s *stage) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{s, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// as is a browser signed in with a key.
func (s *stage) as(who string) *browser {
	s.t.Helper()
	b := s.browser()
	if r := b.post("/desk/sign-in", url.Values{"key": {s.tokens[who]}}); r.status != http.StatusSeeOther {
		s.t.Fatalf("%s could not sign in: %d %s", who, r.status, r.body)
	}
	return b
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (b *browser) do(method, path string, form url.Values, header ...string) reply {
	b.s.t.Helper()
	r, err := http.NewRequestWithContext(b.s.t.Context(), method, b.s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.s.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.s.url)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := b.c.Do(r)
	if err != nil {
		b.s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.s.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(body)}
}

func (b *browser) get(path string) reply { b.s.t.Helper(); return b.do(http.MethodGet, path, nil) }
func (b *browser) post(path string, form url.Values) reply {
	b.s.t.Helper()
	return b.do(http.MethodPost, path, form)
}
