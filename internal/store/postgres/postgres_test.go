package postgres

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/storetest"
	"github.com/dibs-deals/dibs/internal/testserver"
)

// server is one for all tests that do not break it.
var server *testserver.Postgres

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if server, err = testserver.StartPostgres("fsync=off"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = server.Remove() }()
		return m.Run()
	}())
}

func open(tb testing.TB, cfg Config) *Store {
	tb.Helper()
	s, err := Open(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (store.Store, func() store.Store) {
		url := server.Database(t)
		reopen := func() store.Store { return open(t, Config{URL: url}) }
		return reopen(), reopen
	})
}
