package chaos

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// TestProtocol lets spin try every interleaving of the protocol, and of the protocol with each seeded bug.
func TestProtocol(t *testing.T) {
	for _, c := range []struct {
		name  string
		build []string
		bug   bool
	}{
		{"as it is", nil, false},
		{"with snapshots that are checked", []string{"-DSNAPSHOT"}, false},
		{"the primary key alone, without the lock", []string{"-DNO_LOCK"}, false},
		{"no catching up", []string{"-DNO_CATCH_UP"}, true},
		{"no Idempotency-Key", []string{"-DNO_KEY"}, true},
		{"answer before commit", []string{"-DANSWER_EARLY"}, true},
		{"an unknown outcome taken for a yes", []string{"-DUNKNOWN_IS_YES"}, true},
		{"an unknown outcome, and the view kept", []string{"-DKEEP_VIEW"}, true},
		{"a snapshot trusted", []string{"-DSNAPSHOT", "-DTRUST_SNAPSHOT"}, true},
		{"neither lock nor primary key", []string{"-DNO_LOCK", "-DNO_PRIMARY_KEY"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			states, faults := explore(t, c.build...)
			t.Logf("%d states", states)
			if c.bug != (faults > 0) {
				t.Errorf("%d errors", faults)
			}
			if !c.bug && states < 10_000 {
				t.Errorf("only %d states: the model does not do what it should", states)
			}
		})
	}
}

var (
	foundErrors = regexp.MustCompile(`errors: (\d+)`)
	foundStates = regexp.MustCompile(`(\d+) states, stored`)
	notWhole    = regexp.MustCompile(`max search depth too small|Search not completed`)
)

// explore builds the model's verifier and runs it to its end, or to the first error.
func explore(t *testing.T, defines ...string) (states, faults int) {
	t.Helper()
	model, err := filepath.Abs("protocol.pml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := func(program string, args ...string) string {
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			if errors.Is(err, exec.ErrNotFound) {
				t.Fatalf("%v: make prepare installs it", err)
			}
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
		return string(out)
	}
	run("spin", append(defines, "-a", model)...)
	run("gcc", "-O2", "-DSAFETY", "-w", "-o", "pan", "pan.c")
	out := run(filepath.Join(dir, "pan"), "-m100000")
	number := func(re *regexp.Regexp) int {
		m := re.FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("the verifier says:\n%s", out)
		}
		n, _ := strconv.Atoi(m[1])
		return n
	}
	states, faults = number(foundStates), number(foundErrors)
	if faults == 0 && notWhole.MatchString(out) {
		t.Errorf("not every interleaving was tried:\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "protocol.pml.trail")); (err == nil) != (faults > 0) {
		t.Errorf("the verifier counts %d errors; its trail: %v", faults, err)
	}
	return states, faults
}
