package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/dibs-deals/dibs/internal/testserver"
)

// script returns the commands of a page, in order, as one that stops at the first that fails.
func script(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	out := "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		out += block[1]
	}
	return out
}

// TestPortal runs every command of docs/portal.md. Only the addresses are others: the service's port, and that of a receiver
// here, which writes down what comes first.
func TestPortal(t *testing.T) {
	dir := t.TempDir()
	var once sync.Once
	rec := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		once.Do(func() {
			var head bytes.Buffer
			err = r.Header.Write(&head)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "delivery.headers"), bytes.ReplaceAll(head.Bytes(), []byte("\r"), nil), 0o600)
			}
			part := filepath.Join(dir, "delivery.part")
			if err == nil {
				err = os.WriteFile(part, body, 0o600)
			}
			if err == nil {
				err = os.Rename(part, filepath.Join(dir, "delivery.json"))
			}
		})
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer rec.Close()
	free, err := testserver.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("https://portal.example.com", rec.URL, ":8080", fmt.Sprint(":", free)).Replace(script(t, "portal.md"))
	out, err := shell(t, dir, text)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`"status": "protected"`, `"type": "dibs.registration.lost.v1"`, `"status": "lost"`, "waiting", "proved"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	db := "sqlite:" + filepath.Join(dir, "dibs-data/dibs.db")
	code, list, errs := dibs(t, "", nil, "jobs", "list", "--state", "done", "--kind", "webhook", "--database", db)
	if code != exitOK || strings.Count(list, "\n") != 3 {
		t.Fatalf("%d %s%s", code, list, errs)
	}
	id := regexp.MustCompile(`job_\w+`).FindString(list)
	if code, out, errs := dibs(t, "", nil, "jobs", "retry", id, "--database", db); code != exitOK || !strings.Contains(out, "1 jobs wait again") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if code, out, _ := dibs(t, "", nil, "jobs", "list", "--state", "waiting", "--format", "json", "--database", db); code != exitOK || !strings.Contains(out, id) {
		t.Errorf("%d %s", code, out)
	}
	for want, args := range map[string][]string{
		"not possible": {"jobs", "retry", id}, "not found": {"jobs", "retry", "job_x"}, "--dead": {"jobs", "retry"}, "--limit": {"jobs", "list", "--limit", "0"},
	} {
		if code, _, errs := dibs(t, "", nil, append(args, "--database", db)...); code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
	if code, out, _ := dibs(t, "", nil, "jobs", "retry", "--dead", "--database", db); code != exitOK || !strings.Contains(out, "0 jobs") {
		t.Errorf("%d %s", code, out)
	}
	if code, out, _ := dibs(t, "", nil, "audit", "verify", "--database", db); code != exitOK || !strings.Contains(out, "clean") {
		t.Errorf("%d %s", code, out)
	}
}
