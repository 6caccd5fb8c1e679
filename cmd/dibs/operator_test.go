package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/testserver"
)

// TestOperator runs every command of docs/operator.md, in order, in one shell, with this program as dibs. Only the
// addresses are others: those of servers of its own.
func TestOperator(t *testing.T) {
	pg, redis := testserver.NewPostgres(t, "fsync=off"), testserver.NewRedis(t)
	if err := pg.Exec("postgres", "CREATE DATABASE dibs"); err != nil {
		t.Fatal(err)
	}
	out, dir := runPage(t, "../../docs/operator.md", "8081", "8082", "postgres://dibs@127.0.0.1/dibs", "'"+pg.URL("dibs")+"'", "redis://127.0.0.1:6379/0", redis.URL())
	for _, want := range []string{"admin key, shown this once", "dibs/ledger\n", "backup-1 is the database"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if n := strings.Count(out, "clean"); n != 3 {
		t.Errorf("%d of 3 audits are clean:\n%s", n, out)
	}
	if code, _, errs := dibs(t, "", nil, "backup", "--database", pg.URL("dibs"), filepath.Join(dir, "x")); code != exitUsage || !strings.Contains(errs, "pg_dump") {
		t.Errorf("backup of PostgreSQL: %d %s", code, errs)
	}
	if code, _, errs := dibs(t, "", nil, "backup", "--database", "sqlite:"+filepath.Join(dir, "dibs-data/dibs.db"), filepath.Join(dir, "backup-1")); code != exitUsage || !strings.Contains(errs, "overwrites nothing") {
		t.Errorf("a second backup to one place: %d %s", code, errs)
	}
}

// runPage runs the commands of a page in one shell, with this program as dibs, and returns what they print and where they ran.
// more are ports, each replaced by a free one, and pairs of a text of the page and what takes its place.
func runPage(t *testing.T, page string, more ...string) (out, dir string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	script := "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		script += block[1]
	}
	for len(more) > 0 {
		if _, err := strconv.Atoi(more[0]); err != nil {
			script = strings.ReplaceAll(script, more[0], more[1])
			more = more[2:]
			continue
		}
		free, err := testserver.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		script = strings.ReplaceAll(script, ":"+more[0], fmt.Sprint(":", free))
		more = more[1:]
	}
	dir = t.TempDir()
	wrapper := fmt.Sprintf("#!/bin/sh\nDIBS_TEST_PROCESS=1 exec '%s' \"$@\"\n", os.Args[0])
	if err := os.WriteFile(filepath.Join(dir, "dibs"), []byte(wrapper), 0o755); err != nil {
		t.Fatal(err)
	}
	programs := ""
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin"); len(found) > 0 { // where Debian keeps what is not on PATH
		programs = ":" + found[len(found)-1]
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH")+programs)
	b, err := cmd.CombinedOutput()
	if err != nil {
		logs, _ := exec.CommandContext(t.Context(), "bash", "-c", "tail -n 5 "+dir+"/*.out "+dir+"/*.log "+dir+"/log").CombinedOutput()
		t.Fatalf("%v\n%s\n%s", err, b, logs)
	}
	return string(b), dir
}
