package main

import (
	"bytes"
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
)

// TestRestore takes a backup of a running service, goes on, kills the service, and puts the backup back.
func TestRestore(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	live, backup := "sqlite:"+at("live/dibs.db"), at("backup")
	must := func(want int, args ...string) string {
		t.Helper()
		code, out, errs := dibs(t, "", nil, args...)
		if code != want {
			t.Fatalf("dibs %v: exit %d, want %d: %s%s", args, code, want, out, errs)
		}
		return out + errs
	}
	says := func(want, said string) {
		t.Helper()
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q: %s", want, said)
		}
	}
	verified := regexp.MustCompile(`(\d+ entries, root \S+): clean`)
	root := func(database string) string {
		t.Helper()
		return verified.FindStringSubmatch(must(exitOK, "audit", "verify", "--database", database))[1]
	}
	accounts := func(database, id string) {
		t.Helper()
		if code, out, errs := dibs(t, "id,name\n"+id+",Zanzibar Orchestra Foundation\n", nil, "import", "--database", database, "accounts", "-"); code != exitOK {
			t.Fatalf("%s%s", out, errs)
		}
	}

	p := start(t, "dibs serves", "serve", "--database", live, "--listen", "127.0.0.1:0")
	accounts(live, "A-1")
	must(exitOK, "backup", "--database", live, backup)
	before := root("sqlite:" + backup + "/dibs.db")
	accounts(live, "A-2")
	after := root(live)

	says("--replace", must(exitUsage, "restore", "--database", live, backup))
	says("a process has it open: stop dibs serve", must(exitUsage, "restore", "--database", live, "--replace", backup))
	if root(live) != after {
		t.Error("what is served was changed")
	}
	if err := p.Process.Signal(syscall.SIGKILL); err != nil { // its log is left beside it
		t.Fatal(err)
	}
	<-p.done
	if info, err := os.Stat(at("live/dibs.db-wal")); err != nil || info.Size() == 0 {
		t.Fatalf("the service left no log: %v", err)
	}
	out := must(exitOK, "restore", "--database", live, "--replace", backup)
	for _, left := range []string{"live/dibs.db.restore", "live/dibs.db-wal"} {
		if _, err := os.Stat(at(left)); err == nil {
			t.Errorf("%s is left", left)
		}
	}
	aside := regexp.MustCompile(`kept as (\S+)\.`).FindStringSubmatch(out)
	if aside == nil || root(live) != before || root("sqlite:"+aside[1]) != after {
		t.Errorf("restored %s, want %s: %s", root(live), before, out)
	}
	accounts(live, "A-3") // it goes on

	// To a place of its own, from the file itself.
	fresh := "sqlite:" + at("fresh/dibs.db")
	must(exitOK, "restore", "--database", fresh, backup+"/dibs.db")
	key, _ := os.ReadFile(backup + "/ledger.key")
	if same, err := os.ReadFile(at("fresh/ledger.key")); err != nil || root(fresh) != before || !bytes.Equal(key, same) {
		t.Errorf("restored %s, key %v", root(fresh), err)
	}
	says("give another --database", must(exitUsage, "restore", "--database", fresh, "--replace", at("fresh")))

	// What cannot be read is replaced, and kept.
	if err := os.WriteFile(at("fresh/dibs.db"), []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	says("cannot be read", must(exitOK, "restore", "--database", fresh, "--replace", backup))
	if root(fresh) != before {
		t.Error("the broken one was not replaced")
	}
	if kept, err := filepath.Glob(at("fresh/dibs.db.replaced-*Z")); err != nil || len(kept) != 1 {
		t.Errorf("kept %v, %v", kept, err)
	}

	// What is left of another database would be read into this one.
	if err := os.MkdirAll(at("stale"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("stale/dibs.db-wal"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	says("dibs.db-wal is there already", must(exitUsage, "restore", "--database", "sqlite:"+at("stale/dibs.db"), backup))

	// A backup that is not as its ledger says is not put anywhere.
	db, err := sql.Open("sqlite", backup+"/dibs.db")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "UPDATE account SET name = 'Somebody Else'"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	nowhere := "sqlite:" + at("nowhere/dibs.db")
	says("nothing was restored", must(exitFound, "restore", "--database", nowhere, backup))
	if left, _ := filepath.Glob(at("nowhere/*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}

	// Nor is one without the key of its ledger, or with another.
	if err := os.Remove(backup + "/ledger.key"); err != nil {
		t.Fatal(err)
	}
	says("no ledger.key beside it", must(exitUsage, "restore", "--database", nowhere, backup))
	must(exitOK, "audit", "checkpoint", "--database", fresh) // fresh has the right one
	accounts("sqlite:"+at("other/dibs.db"), "A-1")
	says("--signing-key", must(exitUsage, "restore", "--database", nowhere, "--signing-key", at("other/ledger.key"), backup))

	says("holds no dibs.db", must(exitUsage, "restore", "--database", nowhere, at("stale")))
	says("there is no backup", must(exitUsage, "restore", "--database", nowhere, at("absent")))
	says("pg_restore", must(exitUsage, "restore", "--database", "postgres://dibs@127.0.0.1/dibs", backup))
}

// TestAuditErased: the audit of a database from which personal data was erased is clean, and says how much is gone.
func TestAuditErased(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dibs.db")
	db := databaseFlags{Database: "sqlite:" + file, Origin: "dibs/test"}
	e, done, err := db.openEngine(t.Context(), true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Put(t.Context(), engine.Request{Actor: operator}, []deal.Record{&deal.Partner{ID: "A", Name: "Alpha", Type: "reseller", Status: "active"}}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Register(t.Context(), engine.Request{Actor: operator}, deal.Filing{PartnerID: "A", Type: "new_business", Customer: deal.Customer{Name: "Zanzibar Orchestra Foundation"},
		Contact: deal.Contact{Name: "Erika Mustermann", Email: "erika@zanzibar.example"}}); err != nil {
		t.Fatal(err)
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	verify := func(format string) string {
		code, out, errs := dibs(t, "", nil, "audit", "verify", "--database", db.Database, "--format", format)
		if code != exitOK {
			t.Errorf("%d %s%s", code, out, errs)
		}
		return out
	}
	if out := verify("text"); strings.Contains(out, "erased") || !strings.Contains(out, "clean") {
		t.Errorf("nothing is erased: %s", out)
	}
	raw, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Exec(`UPDATE personal SET doc = '[{"field":"contact.name"},{"field":"contact.email"}]'`); err != nil {
		t.Fatal(err)
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	if out := verify("text"); !strings.Contains(out, "personal data erased: 2 pieces") || !strings.Contains(out, "clean") {
		t.Errorf("two are erased: %s", out)
	}
	if out := verify("json"); !strings.Contains(out, `"erased": 2`) || !strings.Contains(out, `"erased_of": [`) {
		t.Errorf("two are erased: %s", out)
	}
}
