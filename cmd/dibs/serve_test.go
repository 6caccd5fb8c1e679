package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestHealthURL: health asks where the service answers, as its environment says, on this machine.
func TestHealthURL(t *testing.T) {
	for want, c := range map[string]healthCmd{
		"http://127.0.0.1:8080/readyz":    {},
		"http://127.0.0.1:9000/readyz":    {Listen: "0.0.0.0:9000"},
		"http://127.0.0.1:9080/readyz":    {Listen: "0.0.0.0:9000", OpsListen: ":9080"},
		"http://127.0.0.1:9081/readyz":    {OpsListen: "[::]:9081"},
		"http://10.0.0.7:9080/readyz":     {OpsListen: "10.0.0.7:9080"},
		"http://elsewhere.example/readyz": {URL: "http://elsewhere.example/readyz", OpsListen: ":9080"},
	} {
		if got := c.url(); got != want {
			t.Errorf("%+v asks %s, want %s", c, got, want)
		}
	}
}

// TestServeRefuses: what cannot work is said at the start, before there is a database.
func TestServeRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ flag, value, says string }{
		{"--webhook-keys", "c2hvcnQ=", "base64 of 32 bytes"},
		{"--ops-listen", "nowhere", "--ops-listen nowhere"},
	} {
		code, _, errs := dibs(t, "", nil, "serve", "--listen", "127.0.0.1:0", "--database", "sqlite:"+filepath.Join(dir, "dibs.db"), c.flag, c.value)
		if code != exitUsage || !strings.Contains(errs, c.says) {
			t.Errorf("%s %s: %d %s", c.flag, c.value, code, errs)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "dibs.db")); err == nil {
		t.Error("a database was made")
	}
}

// TestOpsListen: with --ops-listen the service says where metrics and readiness are, and answers them there alone.
func TestOpsListen(t *testing.T) {
	p := start(t, "alone", "serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--database", "sqlite:"+filepath.Join(t.TempDir(), "dibs.db"))
	ops := regexp.MustCompile(`are on (http://\S+) alone`).FindStringSubmatch(p.said)[1]
	for url, want := range map[string]int{p.base + "/readyz": 404, p.base + "/healthz": 200, ops + "/readyz": 200, ops + "/v1/accounts": 404} {
		if _, status, err := get(t.Context(), url); err != nil || status != want {
			t.Errorf("%s: %d, want %d; %v", url, status, want, err)
		}
	}
	p.stop()
}
