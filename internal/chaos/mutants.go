package chaos

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Mutant is a seeded bug of the service.
type Mutant struct {
	Name   string
	Breaks string // what promise, in a sentence
	Edits  []Edit
}

// Edit replaces a text that occurs exactly once in a file.
type Edit struct{ File, Old, New string }

// apply returns the changed files.
func (m *Mutant) apply(root string) (map[string]string, error) {
	out := map[string]string{}
	for _, e := range m.Edits {
		text, ok := out[e.File]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, e.File))
			if err != nil {
				return nil, fmt.Errorf("mutant %s: %w", m.Name, err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return nil, fmt.Errorf("mutant %s: %s has %d times:\n%s", m.Name, e.File, n, e.Old)
		}
		out[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	return out, nil
}

// Hunt builds each mutant and runs rounds on it until it is caught.
func Hunt(ctx context.Context, folder string, names []string, keep string, out io.Writer) (bool, error) {
	return false, nil
}
