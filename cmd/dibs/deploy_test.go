package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/dibs-deals/dibs/internal/testserver"
)

// TestRollingRestart restarts both replicas, one after the other, while a balancer sends registrations to them: none
// fails, none is answered otherwise when it is asked for again, and nobody shares a customer. Then every query of the
// dashboard and of the alerts is held to what the replicas measured.
func TestRollingRestart(t *testing.T) {
	pg, redis := testserver.NewPostgres(t, "fsync=off"), testserver.NewRedis(t)
	database, key := pg.Database(t), filepath.Join(t.TempDir(), "ledger.key")
	at := []string{"--database", database, "--signing-key", key}
	partners := "id,name,country\nP-0,Null GmbH,DE\nP-1,Eins GmbH,DE\n"
	code, _, errs := dibs(t, partners, nil, append([]string{"import", "partners", "-"}, at...)...)
	if code != exitOK {
		t.Fatal(errs)
	}
	code, token, errs := dibs(t, "", nil, append([]string{"keys", "create", "--role", "portal", "--partner", "*"}, at...)...)
	if code != exitOK {
		t.Fatal(errs)
	}
	token = strings.TrimSpace(token)
	serve := append([]string{"serve", "--redis", redis.URL(), "--listen", "127.0.0.1:0"}, at...)
	var mu sync.Mutex
	var replicas [2]*process
	for i := range replicas {
		replicas[i] = start(t, "dibs serves on", serve...)
	}
	base := func(i int) string {
		mu.Lock()
		defer mu.Unlock()
		return replicas[i%2].base
	}
	closes := time.Now().AddDate(0, 3, 0).Format(time.DateOnly)
	// send is a balancer: who does not answer, or says that it cannot, is passed over. The key makes that safe.
	send := func(i int) (status int, body []byte, err error) {
		filing := fmt.Sprintf(`{"partner_id":"P-%d","type":"new_business","customer":{"name":"Werk %s GmbH","country":"DE"},"products":[{"line":"firewall","quantity":1}],`+
			`"contact":{"name":"A","email":"a@x.example"},"amount":{"value":"1000.00","currency":"EUR"},"expected_close_date":%q}`, i%2, coined(i/2), closes)
		for try := range 4 {
			status, body, err = call(http.MethodPost, base(i/2+try)+"/v1/registrations", token, fmt.Sprint("key-", i), filing)
			if err == nil && status != http.StatusServiceUnavailable {
				break
			}
		}
		return status, body, err
	}
	type answer struct {
		n    int
		body []byte
	}
	var answers []answer
	next, stop := 0, make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.Lock()
				n := next
				next++
				mu.Unlock()
				status, body, err := send(n)
				if err != nil || status != http.StatusCreated {
					t.Errorf("registration %d: %d %s %v", n, status, body, err)
				}
				mu.Lock()
				answers = append(answers, answer{n, body})
				mu.Unlock()
			}
		})
	}
	served := func(more int) {
		mu.Lock()
		from := len(answers)
		mu.Unlock()
		waitFor(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(answers) >= from+more })
	}
	for i := range replicas {
		served(50)
		old := replicas[i]
		old.stop()
		served(50) // the other carries all
		fresh := start(t, "dibs serves on", serve...)
		mu.Lock()
		replicas[i] = fresh
		mu.Unlock()
	}
	served(50)
	close(stop)
	load.Wait()
	outcomes := map[string]int{}
	for _, a := range answers {
		var got struct {
			Decision struct{ Outcome string } `json:"decision"`
		}
		if err := json.Unmarshal(a.body, &got); err != nil {
			t.Fatal(err)
		}
		outcomes[got.Decision.Outcome]++
		if a.n%10 == 0 {
			if _, again, err := send(a.n); err != nil || !bytes.Equal(again, a.body) {
				t.Errorf("registration %d is answered otherwise when it is asked for again: %v\n%s\n%s", a.n, err, a.body, again)
			}
		}
	}
	if len(outcomes) < 2 {
		t.Errorf("all are answered alike: %v", outcomes)
	}
	t.Logf("%d registrations over two restarts: %v", len(answers), outcomes)
	queriesAreAnswered(t, base(0))
	for _, p := range replicas {
		p.stop()
	}
	if code, out, errs := dibs(t, "", nil, append([]string{"audit", "verify"}, at...)...); code != exitOK || !strings.Contains(out, "clean") {
		t.Errorf("audit: %d %s%s", code, out, errs)
	}
}

// coined makes a word of a number.
func coined(n int) string {
	const consonants, vowels = "bdfgklmnprstvz", "aeiou"
	word := []byte("Qu")
	for range 4 {
		word = append(word, vowels[n%5], consonants[n/5%14])
		n = n/70*31 + n*7 + 3
	}
	return string(word)
}

var (
	quoted   = regexp.MustCompile(`"[^"]*"`)
	metric   = regexp.MustCompile(`\b(?:dibs|http|process|go)_[a-z0-9_]+`)
	grouping = regexp.MustCompile(`by \(([^)]*)\)`)
	selector = regexp.MustCompile(`([a-z_]+)\{([^}]*)\}`)
)

// queriesAreAnswered looks every metric and label that dashboard and alerts ask for up in a scrape.
func queriesAreAnswered(t *testing.T, base string) {
	t.Helper()
	_, scrape, err := call(http.MethodGet, base+"/metrics", "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	var alerts struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	for path, into := range map[string]any{"grafana/dibs.json": &dashboard, "prometheus/alerts.yaml": &alerts} {
		b, err := os.ReadFile(filepath.Join("../../deploy", path))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(b, into); err != nil { // JSON is YAML
			t.Fatal(path, err)
		}
	}
	var exprs []string
	for _, p := range dashboard.Panels {
		for _, q := range p.Targets {
			exprs = append(exprs, q.Expr)
		}
	}
	for _, g := range alerts.Groups {
		for _, r := range g.Rules {
			exprs = append(exprs, r.Expr)
		}
	}
	if len(exprs) < 20 {
		t.Fatalf("only %d queries were found", len(exprs))
	}
	for _, e := range exprs {
		names := metric.FindAllString(quoted.ReplaceAllString(grouping.ReplaceAllString(e, ""), `""`), -1)
		names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, "http_response") })
		if len(names) == 0 || strings.Count(e, "(") != strings.Count(e, ")") {
			t.Errorf("not a query: %s", e)
			continue
		}
		var labels []string
		for _, by := range grouping.FindAllStringSubmatch(e, -1) {
			for l := range strings.SplitSeq(by[1], ",") {
				labels = append(labels, strings.TrimSpace(l))
			}
		}
		for _, s := range selector.FindAllStringSubmatch(e, -1) {
			for l := range strings.SplitSeq(s[2], ",") {
				labels = append(labels, l[:strings.IndexAny(l, "=!")])
			}
		}
		for _, n := range names {
			line := regexp.MustCompile(`(?m)^` + n + `(\{.*\})? .*$`).Find(scrape)
			if line == nil {
				t.Errorf("%s asks for %s, which is not measured", e, n)
			}
			for _, l := range labels {
				if line != nil && !strings.Contains(string(line), l+`="`) {
					t.Errorf("%s asks for label %s, which %s has not", e, l, line)
				}
			}
		}
	}
}

// TestDeployment holds what the deployment files set to what dibs serve reads, and the image to how it must be built.
func TestDeployment(t *testing.T) {
	_, help, _ := dibs(t, "", nil, "serve", "--help")
	var compose struct {
		Services map[string]struct {
			Environment map[string]string
			Ports       []string
		}
	}
	b, err := os.ReadFile("../../deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, &compose); err != nil {
		t.Fatal(err)
	}
	if len(compose.Services) < 4 || len(compose.Services["dibs-1"].Environment) == 0 {
		t.Errorf("services: %v", compose.Services)
	}
	files := string(b)
	for name, s := range compose.Services {
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s is open to everybody at %s", name, p)
			}
		}
	}
	for _, path := range []string{"deploy/systemd/dibs.service", "Dockerfile"} {
		b, err := os.ReadFile(filepath.Join("../..", path))
		if err != nil {
			t.Fatal(err)
		}
		files += string(b)
	}
	for _, env := range regexp.MustCompile(`\bDIBS_[A-Z_]+`).FindAllString(files, -1) {
		if env != "DIBS_POSTGRES_PASSWORD" && !strings.Contains(help, "$"+env) {
			t.Errorf("%s is set, and dibs serve does not read it", env)
		}
	}
	for _, want := range []string{"CGO_ENABLED=0", "distroless/static", "USER nonroot", `HEALTHCHECK`, `CMD ["/usr/local/bin/dibs", "health"]`, `ENTRYPOINT ["/usr/local/bin/dibs"]`, "DynamicUser=yes", "dibs serve"} {
		if !strings.Contains(files, want) {
			t.Errorf("no %s", want)
		}
	}
}
