package chaos

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed overlay/*.txt
var overlays embed.FS

// replaced are the files of the service that are built from overlay/: they do nothing in production.
var replaced = map[string]string{
	"internal/store/point.go": "overlay/point.go.txt",
	"cmd/dibs/clock.go":       "overlay/clock.go.txt",
}

// Root returns the folder of the module's go.mod, at or above the working folder.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", fmt.Errorf("no go.mod at or above the working folder: run this inside a checkout")
		}
		dir = filepath.Dir(dir)
	}
}

// Build compiles dibs into the folder and returns the program. With chaos it has steps to die at and a clock that can be
// set; with a mutant, also that bug.
func Build(ctx context.Context, folder string, chaos bool, m *Mutant) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	write := func(file string, text []byte) error {
		out := filepath.Join(folder, strings.ReplaceAll(file, "/", "_")+".overlay")
		replace[filepath.Join(root, file)] = out
		return os.WriteFile(out, text, 0o600)
	}
	name := "dibs"
	if chaos {
		name = "dibs-chaos"
		for file, from := range replaced {
			text, err := overlays.ReadFile(from)
			if err != nil {
				return "", err
			}
			if err := write(file, text); err != nil {
				return "", err
			}
		}
	}
	if m != nil {
		name = "dibs-" + m.Name
		files, err := m.apply(root)
		if err != nil {
			return "", err
		}
		for file, text := range files {
			if err := write(file, []byte(text)); err != nil {
				return "", err
			}
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(folder, name+".json")
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		return "", err
	}
	program := filepath.Join(folder, name)
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", program, "./cmd/dibs") //nolint:gosec // a path of our own
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, out)
	}
	return program, nil
}
