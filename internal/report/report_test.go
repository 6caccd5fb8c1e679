package report

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "B.md")
	if err := os.WriteFile(path, []byte("a\n<!-- peers: written by make bench -->\nold\n<!-- end of peers -->\nz\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, "peers", "new"); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "a\n<!-- peers: written by make bench -->\n\nnew\n<!-- end of peers -->\nz\n" {
		t.Errorf("%s", b)
	}
	if err := Write(path, "nothing", "new"); err == nil {
		t.Error("a table without marks is written")
	}
}
