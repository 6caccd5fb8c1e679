package desk

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/api"
)

// A page shows no more than the operation of the API it is like: its roles are that operation's, without portals, who have no
// place at the desk. A page without an operation shows nothing by itself.
func TestRoles(t *testing.T) {
	spec := map[string][]string{}
	for _, m := range regexp.MustCompile(`operationId: (\w+)\n(?:(?: {6}|\n).*\n)*? {6}x-roles: \[(.*)\]`).FindAllStringSubmatch(string(api.Spec), -1) {
		spec[m[1]] = slices.DeleteFunc(strings.Split(m[2], ", "), func(r string) bool { return r == "portal" })
	}
	if len(spec) < 40 {
		t.Fatalf("only %d operations were found in the specification", len(spec))
	}
	for _, p := range pages {
		switch want, known := spec[p.like]; {
		case p.like == "" && !p.open && !strings.HasSuffix(p.pattern, "{$}") && !strings.HasSuffix(p.pattern, "/search"):
			t.Errorf("%s is like no operation", p.pattern)
		case p.like != "" && !known:
			t.Errorf("%s is like %s, which is not in the specification", p.pattern, p.like)
		case p.like != "" && !slices.Equal(p.roles, want):
			t.Errorf("%s is for %v; %s is for %v", p.pattern, p.roles, p.like, want)
		case p.like != "" && len(p.roles) == 0:
			t.Errorf("%s is for nobody", p.pattern)
		}
	}
}
