package territory

import (
	"os"
	"strings"
	"testing"
)

// The plans shown in the documentation are real ones, and in order.
func TestDocumentationExamples(t *testing.T) {
	b, err := os.ReadFile("../../docs/territories.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, part := range strings.Split(string(b), "```yaml\n")[1:] {
		body, _, _ := strings.Cut(part, "```")
		if IsPlan([]byte(body)) {
			n++
			p := compile(t, body)
			if err := Problems(p.Check(p.from)); err != nil {
				t.Error(err)
			}
		}
	}
	if n == 0 {
		t.Error("the documentation shows no plan")
	}
}
