package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	text := script(t, "operator.md")
	text = strings.ReplaceAll(text, "postgres://dibs@127.0.0.1/dibs", "'"+pg.URL("dibs")+"'")
	text = strings.ReplaceAll(text, "redis://127.0.0.1:6379/0", redis.URL())
	for _, port := range []string{"8081", "8082", "9081", "9082"} {
		free, err := testserver.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, ":"+port, fmt.Sprint(":", free))
	}
	dir := t.TempDir()
	out, err := shell(t, dir, text)
	if err != nil {
		logs, _ := exec.CommandContext(t.Context(), "bash", "-c", "tail -n 5 "+dir+"/*.out "+dir+"/*.log").CombinedOutput()
		t.Fatalf("%v\n%s\n%s", err, out, logs)
	}
	for _, want := range []string{"admin key, shown this once", "dibs/ledger\n", "backup-1 is the database", "dibs.db is restored: "} {
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

// shell runs a script in dir, with this program as dibs, and returns what it says.
func shell(t *testing.T, dir, text string) (string, error) {
	t.Helper()
	wrapper := fmt.Sprintf("#!/bin/sh\nDIBS_TEST_PROCESS=1 exec '%s' \"$@\"\n", os.Args[0])
	if err := os.WriteFile(filepath.Join(dir, "dibs"), []byte(wrapper), 0o755); err != nil {
		t.Fatal(err)
	}
	programs := ""
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin"); len(found) > 0 { // where Debian keeps what is not on PATH
		programs = ":" + found[len(found)-1]
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", text)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH")+programs)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
