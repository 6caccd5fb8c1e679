package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/testserver"
)

// TestRedis imports accounts, publishes them, and starts two services on one database and one Redis: both start from
// the snapshot, and what one commits the other has.
func TestRedis(t *testing.T) {
	db := "sqlite:" + filepath.Join(t.TempDir(), "dibs.db")
	csv := "id,name,country\n"
	for i := range 50 {
		csv += fmt.Sprintf("a%d,Account Number %d GmbH,DE\n", i, i)
	}
	if code, _, errs := dibs(t, "", map[string]string{"a.csv": csv}, "import", "accounts", "a.csv", "--database", db); code != exitOK {
		t.Fatalf("import: %d %s", code, errs)
	}
	code, out, errs := dibs(t, "", nil, "reindex", "--database", db)
	if code != exitOK || !strings.Contains(out, "50 accounts") || !strings.Contains(out, "kept in the database as sha256:") {
		t.Fatalf("reindex without Redis: %d %s%s", code, out, errs)
	}
	redis := testserver.NewRedis(t)
	code, out, errs = dibs(t, "", nil, "reindex", "--database", db, "--redis", redis.URL(), "--format", "json")
	var report reindexed
	if err := json.Unmarshal([]byte(out), &report); code != exitOK || err != nil || report.Accounts != 50 || !report.Published || report.Bytes == 0 || !strings.HasPrefix(report.Digest, "sha256:") {
		t.Fatalf("reindex: %d %s%s", code, out, errs)
	}
	var key string
	bases := make([]string, 2)
	for i := range bases {
		p := start(t, "dibs serves on", "serve", "--database", db, "--redis", redis.URL(), "--listen", "127.0.0.1:0")
		bases[i] = p.base
		if at := strings.Index(p.said, "dibs_"); at >= 0 {
			key = strings.Fields(p.said[at:])[0]
		}
	}
	type readiness struct {
		Ready         bool
		Position      int
		Accounts      int
		Source, Redis string
	}
	ready := func(base string) (r readiness) {
		_, body, err := call(http.MethodGet, base+"/readyz", key, "", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(body, &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, b := range bases {
		waitFor(t, func() bool { return ready(b).Redis == "up" })
		if r := ready(b); r.Source != "redis" || r.Accounts != 50 || !r.Ready {
			t.Errorf("%+v", r)
		}
	}
	for i := range 4 {
		if status, body, err := call(http.MethodPut, fmt.Sprintf("%s/v1/accounts/new%d", bases[i%2], i), key, "", fmt.Sprintf(`{"name":"New %d"}`, i)); err != nil || status != 201 {
			t.Fatalf("%d %s %v", status, body, err)
		}
		at := ready(bases[i%2]).Position
		waitFor(t, func() bool { return ready(bases[1-i%2]).Position >= at })
	}
	res, err := client.Get(bases[0] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	metrics, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`dibs_replica_boots_total{outcome="warm",source="redis"} 1`, "dibs_replica_redis_up 1", "dibs_replica_lag_entries 0", `dibs_replica_signals_total{event="sent"}`} {
		if !strings.Contains(string(metrics), line) {
			t.Errorf("no %s in the metrics", line)
		}
	}
	if code, _, errs := dibs(t, "", nil, "serve", "--database", db, "--redis", "memcached://user:hunter2@x", "--listen", "127.0.0.1:0"); code != exitUsage || !strings.Contains(errs, "--redis") || strings.Contains(errs, "hunter2") {
		t.Errorf("with another kind of cache: %d %s", code, errs)
	}
}
