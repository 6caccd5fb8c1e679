package main

import (
	"strings"
	"testing"
)

// TestSalesOps runs every command of docs/sales-ops.md, in order, in one shell.
func TestSalesOps(t *testing.T) {
	out, _ := runPage(t, "../../docs/sales-ops.md", "8080")
	for _, want := range []string{`"question":"Which product of the rival is it?"`, `"outcome":"routed"`, `"outcome":"protected"`, `"lines":["firewall"]`, `"code":"`} {
		if has := strings.Contains(out, want); has == (want == `"code":"`) { // no call was refused
			t.Errorf("it says %q: %v\n%s", want, has, out)
		}
	}
}
