// Package report keeps the tables of BENCHMARKS.md.
package report

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// Machine says in one paragraph where and when figures were measured, and what else the machine had to do.
func Machine() string {
	model := runtime.GOARCH
	b, _ := os.ReadFile("/proc/cpuinfo")
	for l := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(l, "model name"); ok {
			model = strings.Trim(name, "\t :\n")
			break
		}
	}
	b, _ = os.ReadFile("/proc/loadavg")
	load, _, _ := strings.Cut(string(b), " ")
	return fmt.Sprintf("%s, %s, %d cores, Go %s, load average %s at the end.\n\n", time.Now().UTC().Format(time.DateOnly), model, runtime.NumCPU(), strings.TrimPrefix(runtime.Version(), "go"), load)
}

// Write puts a table between the marks of its name in a file.
func Write(path, name, table string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+name+": written by make bench -->", "<!-- end of "+name+" -->"
	head, rest, ok := strings.Cut(string(b), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no marks for the table %s", path, name)
	}
	return os.WriteFile(path, []byte(head+begin+"\n\n"+table+"\n"+end+tail), 0o600) //nolint:gosec // whoever measures names the file
}
