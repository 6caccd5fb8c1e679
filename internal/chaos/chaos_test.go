package chaos

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestRounds runs one short round on PostgreSQL with Redis, and one on a SQLite file that three processes share.
func TestRounds(t *testing.T) {
	dependOnService(t)
	folder := t.TempDir()
	clean, err := Build(t.Context(), folder, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	program, err := Build(t.Context(), folder, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		database string
		load     time.Duration
		seen     []string // faults that must have come
	}{
		{"postgres", 20 * time.Second, []string{"kill", "postgres crash", "redis forged"}},
		{"sqlite", 6 * time.Second, []string{"kill"}},
	} {
		t.Run(c.database, func(t *testing.T) {
			cfg := Quick(c.database)
			cfg.Seed, cfg.Program, cfg.Clean, cfg.Load, cfg.Keep = 1, program, clean, c.load, os.Getenv("DIBS_CHAOS_KEEP")
			if c.database == "postgres" {
				cfg.Faults = map[string]int{"failover": 2, "postgres crash": 4}
			}
			res, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(res)
			t.Log(res.Points)
			for _, v := range res.Violations {
				t.Errorf("%s: %s", v.Check, v.Detail)
			}
			for _, f := range c.seen {
				if res.Faults[f] == 0 {
					t.Errorf("there was no %s", f)
				}
			}
			if res.Acknowledged < 50 || res.Deaths < 3 || res.Grants == 0 || res.Partitions == 0 || res.Undecided > res.Partitions/10 {
				t.Error("too little happened to prove anything")
			}
		})
	}
}

// dependOnService looks at every file the service is built from: go test does not see what the compiler it starts reads, and
// would go on reporting a cached pass after the service was changed.
func dependOnService(t *testing.T) {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"api", "cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestMutantsApply: every seeded bug still finds its place in the service.
func TestMutantsApply(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range append(Mutants[:len(Mutants):len(Mutants)], Absorbed...) {
		if names[m.Name] {
			t.Errorf("there are two mutants %s", m.Name)
		}
		names[m.Name] = true
		if _, err := m.apply(root); err != nil {
			t.Error(err)
		}
	}
	if len(Mutants) < 12 {
		t.Errorf("only %d mutants", len(Mutants))
	}
	for file := range replaced {
		if _, err := os.Stat(filepath.Join(root, file)); err != nil {
			t.Errorf("built in the place of nothing: %v", err)
		}
	}
}
