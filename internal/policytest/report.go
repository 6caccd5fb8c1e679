package policytest

import (
	"fmt"
	"io"
	"strings"
)

// Write prints the report for a policy's author: what failed and how, what is pending and why, what no case has tried.
// file names the document. With all, every case is listed.
func (r *Report) Write(w io.Writer, file string, all bool) error {
	var b strings.Builder
	for _, c := range r.Cases {
		where := fmt.Sprintf("%s:%d", file, c.Line)
		switch c.Result {
		case Passed:
			if all {
				fmt.Fprintf(&b, "ok       %s  (%s)\n", c.Name, where)
			}
		case Pending:
			fmt.Fprintf(&b, "PENDING  %s  (%s)\n           %s\n", c.Name, where, c.Pending)
		case Failed:
			fmt.Fprintf(&b, "FAIL     %s  (%s)\n", c.Name, where)
			for _, m := range c.Mismatches {
				fmt.Fprintf(&b, "           %-16s - %s\n           %-16s + %s\n", m.What, m.Want, "", m.Got)
			}
			for i, t := range c.Trace {
				head := "rules that fired"
				if i > 0 {
					head = ""
				}
				fmt.Fprintf(&b, "           %-16s   %s\n", head, t)
			}
		}
	}
	c := &r.Coverage
	fmt.Fprintf(&b, "%d passed, %d failed, %d pending", r.Passed, r.Failed, r.Pending)
	if r.Failed > 0 {
		b.WriteString("   (- expected, + what came out)")
	}
	fmt.Fprintf(&b, "\ncoverage: %d %% of the rules, %d %% of the boundaries\n", c.Rules, c.Boundaries)
	list := func(head string, items []string) {
		if len(items) > 0 {
			fmt.Fprintf(&b, "  %s: %s\n", head, strings.Join(items, ", "))
		}
	}
	list("never fired", c.NeverFired)
	list("fired, never decided", c.NeverDecided)
	if len(c.Untried) > 0 {
		fmt.Fprintf(&b, "  not tried at their exact value and on the other side:\n")
		for _, u := range c.Untried {
			fmt.Fprintf(&b, "    %s\n", u)
		}
	}
	for _, s := range c.Short {
		fmt.Fprintf(&b, "FAIL     coverage: %s\n", s)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
