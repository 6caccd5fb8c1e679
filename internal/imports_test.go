package internal

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/dibs-deals/dibs/"

// mayImport is the arrow diagram of the module, as ARCHITECTURE.md draws it: package → what of ours it may import.
// Commands may import anything, and nothing may import them. A package that is not here has no place yet: give it one
// here and in the diagram.
var mayImport = map[string]string{
	"api":        "",
	"api/client": "",

	"internal/deal":      "",
	"internal/ledger":    "",
	"internal/document":  "",
	"internal/flat":      "",
	"internal/pack":      "",
	"internal/match":     "internal/deal internal/flat",
	"internal/book":      "internal/deal internal/flat",
	"internal/territory": "internal/deal internal/document",
	"internal/policy":    "internal/deal internal/document",
	"internal/intake":    "internal/deal",
	"internal/world":     "internal/deal",

	"internal/store":           "internal/deal internal/ledger",
	"internal/store/storetest": "internal/store internal/deal internal/ledger",
	"internal/store/tables":    "internal/store internal/deal internal/pack",
	"internal/store/sqlite":    "internal/store internal/store/tables internal/deal internal/ledger internal/pack",
	"internal/store/postgres":  "internal/store internal/store/tables internal/deal internal/pack",

	"internal/policytest": "internal/deal internal/document internal/ledger internal/policy internal/territory internal/store/sqlite internal/engine",

	"internal/testserver": "",
	"internal/report":     "",
	"internal/chaos":      "internal/deal internal/pack internal/policy internal/world internal/testserver",

	"internal/replica": "internal/deal internal/flat internal/store",
	"internal/hooks":   "internal/deal internal/store",
	"internal/engine":  "internal/book internal/deal internal/ledger internal/match internal/territory internal/policy internal/store",
	"internal/desk":    "internal/deal internal/match internal/territory internal/policy internal/store internal/engine",
	"internal/server":  "api internal/deal internal/document internal/ledger internal/match internal/territory internal/policy internal/store internal/engine internal/hooks internal/intake internal/policytest",
}

// isCommand reports whether a package is a program, of the product or of its makers.
func isCommand(pkg string) bool {
	return pkg == "loadtest" || strings.HasPrefix(pkg, "cmd/") || strings.HasPrefix(pkg, "tools/")
}

// TestImports reads the files itself: go test does not see what a subprocess such as go list reads, and would go on
// reporting a cached pass after a wrong import was added. Tests may import what they like.
func TestImports(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		slashed := filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))
		if d.IsDir() {
			if d.Name() == "testdata" || slashed != ".." && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(slashed))
		allowed, known := mayImport[pkg]
		command := isCommand(pkg)
		if !known && !command {
			t.Errorf("package %s is not in the arrow diagram: give it a place in mayImport and in ARCHITECTURE.md", pkg)
			return nil
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			ours, is := strings.CutPrefix(imported, module)
			if is && (isCommand(ours) || !command && !slices.Contains(strings.Fields(allowed), ours)) {
				t.Errorf("%s imports %s, against the arrows", slashed, ours)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Error("no Go file was found: the walk starts in the wrong place")
	}
}
