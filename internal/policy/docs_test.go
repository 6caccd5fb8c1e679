package policy

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
)

// factTable writes the table of docs/policy.md: every fact, its type and its source. The facts of conflicts are the
// same for each kind, and are listed once.
func factTable() string {
	var b strings.Builder
	b.WriteString("| fact | type | default | who may read it | meaning | source |\n| --- | --- | --- | --- | --- | --- |\n")
	first := "conflict." + string(deal.ConflictKinds[0]) + "."
	for _, s := range Schema {
		name, doc, source := s.Name, s.Doc, s.Source
		if strings.HasPrefix(name, "conflict.") {
			if !strings.HasPrefix(name, first) {
				continue
			}
			field := strings.TrimPrefix(name, first)
			name = "conflict.KIND." + field
			if field == "found" {
				doc = "there is such a conflict, with at least params.possible; of claims (held_by_other, pending_other, own_duplicate) already with params.possible_claim"
			}
			source = strings.Replace(source, string(deal.ConflictKinds[0]), "KIND", 1)
		}
		kind := string(s.Type)
		if s.Values != nil && len(s.Values) <= 12 {
			kind += ": " + strings.Trim(strings.Join(s.Values, ", "), ", ")
		} else if s.Values != nil {
			kind += ", see below"
		}
		def := fmt.Sprintf("`%v`", s.Default)
		if s.Default == "" {
			def = "empty"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", name, kind, def, s.Visibility, doc, source)
	}
	b.WriteString("\nKIND is one of:\n\n| kind | found means |\n| --- | --- |\n")
	for _, k := range deal.ConflictKinds {
		fmt.Fprintf(&b, "| `%s` | %s |\n", k, conflictMeaning[k])
	}
	fmt.Fprintf(&b, "\n`reg.missing` and `required` name these fields: %s.\n", code(StandardFields))
	fmt.Fprintf(&b, "\n`conflict.KIND.status` is empty or one of: %s.\n", code(conflictStatuses[1:]))
	return b.String()
}

func code(list []string) string { return "`" + strings.Join(list, "`, `") + "`" }

func reasonTable() string { return code(deal.CoreReasons) + "\n" }

// The tables between the markers are written from the code by -update, and must not fall behind it.
func TestDocumentation(t *testing.T) {
	const file = "../../docs/policy.md"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	for name, table := range map[string]string{"facts": factTable(), "reasons": reasonTable()} {
		begin, end := "<!-- "+name+": generated -->\n", "<!-- end -->"
		i := strings.Index(doc, begin)
		if i < 0 {
			t.Fatalf("%s has no %q", file, begin)
		}
		i += len(begin)
		j := i + strings.Index(doc[i:], end)
		if doc[i:j] != table {
			if !*update {
				t.Errorf("the table of %s in %s is not that of the code; run the test with -update", name, file)
			}
			doc = doc[:i] + table + doc[j:]
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The documents shown in the text are real ones.
func TestDocumentationExamples(t *testing.T) {
	b, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, part := range strings.Split(string(b), "```yaml\n")[1:] {
		body, _, _ := strings.Cut(part, "```")
		if !IsPolicy([]byte(body)) {
			continue
		}
		n++
		if _, err := Compile([]byte(body)); err != nil {
			t.Errorf("%v in\n%s", err, body)
		}
	}
	if n == 0 {
		t.Error("the documentation shows no policy")
	}
}
