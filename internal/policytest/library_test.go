package policytest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/policy"
)

// published are the programmes that the language must be able to say, each with its published cases.
var published = []string{"gitlab", "hubspot", "sophos", "dell", "veeam", "microsoft", "neuvector", "nightfall", "cybersixgill", "conversenow", "fortra", "assured",
	"trend-networks", "cirrus", "digitate", "wazuh", "oneio", "small-programmes"}

// Every policy of the library passes its own tests, through the engine that serves.
func TestLibrary(t *testing.T) {
	t.Parallel()
	for _, name := range append(published, "default", "strict-enterprise", "gumdrop", "compliance-ai") {
		if _, ok := policy.Programme(name); !ok {
			t.Errorf("the library has no %s", name)
		}
	}
	for _, l := range policy.Library() {
		t.Run(l.Name, func(t *testing.T) {
			t.Parallel()
			p, err := policy.Compile(l.Body)
			if err != nil {
				t.Fatal(err)
			}
			report, text := run(t, l.Body)
			if !report.OK() {
				t.Error(text)
			}
			for _, w := range p.Warnings() {
				if !strings.HasSuffix(w.Path, "extensions.needs") { // some leave extensions to the vendor
					t.Error(w)
				}
			}
			// A case that files runs the whole way; a library policy has some.
			s, err := Load(l.Body)
			if err != nil {
				t.Fatal(err)
			}
			filed := 0
			for i, c := range s.cases {
				if len(c.steps) > 0 && report.Cases[i].Result == Passed {
					filed++
				}
				if report.Cases[i].Result == Pending && !strings.Contains(c.pending, "lifecycle") && !strings.Contains(c.pending, "clocks") {
					t.Errorf("%s is pending because %q", c.name, c.pending)
				}
			}
			if filed == 0 {
				t.Error("no case files a registration")
			}
		})
	}
}

// The tests of the library notice a change: with any one rule taken out, one of them fails.
func TestLibraryTestsMatter(t *testing.T) {
	t.Parallel()
	for _, l := range policy.Library() {
		p, err := policy.Compile(l.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Rules() {
			if r.ID == "required" || r.ID == "below-minimum" && l.Name == policy.DefaultName {
				continue
			}
			id := "  - id: " + r.ID + "\n"
			if strings.Count(string(l.Body), id) != 1 {
				t.Fatalf("%s: rule %s is not written as expected", l.Name, r.ID)
			}
			without := strings.Replace(string(l.Body), id, id+"    status: disabled\n", 1)
			s, err := Load([]byte(without))
			if err != nil { // a test names the rule
				continue
			}
			if !notices(t, s) {
				t.Errorf("%s: no test notices that rule %s is missing", l.Name, r.ID)
			}
		}
	}
}

// notices reports whether a case fails. Those about facts are tried first: they are quick.
func notices(t *testing.T, s *Suite) bool {
	dir := t.TempDir()
	for _, files := range []bool{false, true} {
		for i, c := range s.cases {
			if (c.facts == nil) != files {
				continue
			}
			res, _, err := s.run(t.Context(), c, filepath.Join(dir, strconv.Itoa(i)))
			if err != nil {
				t.Fatal(err)
			}
			if res.Result == Failed {
				return true
			}
		}
	}
	return false
}

// The policies the documentation shows pass the tests they show.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, part := range strings.Split(string(b), "```yaml\n")[1:] {
		body, _, _ := strings.Cut(part, "```")
		if !policy.IsPolicy([]byte(body)) {
			continue
		}
		n++
		if report, text := run(t, []byte(body)); !report.OK() || report.Passed == 0 {
			t.Error(text)
		}
	}
	if n == 0 {
		t.Error("the documentation shows no policy")
	}
}
