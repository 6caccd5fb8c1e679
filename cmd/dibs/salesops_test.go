package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/testserver"
)

// TestSalesOps runs every command of docs/sales-ops.md, in order, in one shell.
func TestSalesOps(t *testing.T) {
	port, err := testserver.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	out, err := shell(t, dir, strings.ReplaceAll(script(t, "sales-ops.md"), ":8080", fmt.Sprint(":", port)))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`"question":"Which product of the rival is it?"`, `"outcome":"routed"`, `"outcome":"protected"`, `"lines":["firewall"]`} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}
