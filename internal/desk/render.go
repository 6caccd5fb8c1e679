package desk

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/policy"
)

// What the templates need besides their data.

type span = match.Span

const plainMark = match.Equal

// current marks the link to the page one is on.
func current(is bool) templ.Attributes {
	if !is {
		return nil
	}
	return templ.Attributes{"aria-current": "page"}
}

func number(n int) string { return strconv.Itoa(n) }

func first(a, _ int) int  { return a }
func second(_, b int) int { return b }

// known adds a name where there is more than a role.
func known(who, role string) string {
	if who == "" || who == role || who == "demo" {
		return ""
	}
	return ", " + who
}

func markClass(m match.Mark) string {
	if m == match.Spelt {
		return "spelt"
	}
	return "counts"
}

func markTitle(m match.Mark) string {
	if m == match.Spelt {
		return "written differently, read as the same"
	}
	return "makes the two less alike"
}

func text(list []span) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(s.Text)
	}
	return b.String()
}

// ruleBy says what the other rule did to this one.
func ruleBy(result string) string {
	if result == "overridden" {
		return "overridden by"
	}
	return "lost to"
}

// coverageWords says who sells in a territory.
func coverageWords(coverage string) string {
	switch coverage {
	case "direct":
		return "direct sales"
	case "partner":
		return "partners"
	}
	return "nobody knows whom"
}

// ruleOutcome says what a rule answers with.
func ruleOutcome(r policy.RuleInfo) string {
	if r.Disposition != "" {
		return string(r.Outcome) + ", " + words(string(r.Disposition))
	}
	return string(r.Outcome)
}

func docTone(status string) string {
	switch status {
	case deal.DocumentLive:
		return "ok"
	case deal.DocumentScheduled:
		return "warn"
	}
	return "mute"
}

func opportunityTone(status string) string {
	switch status {
	case "open":
		return "warn"
	case "won":
		return "ok"
	}
	return "mute"
}

// short is the beginning of a digest.
func short(digest string) string {
	if len(digest) > 19 {
		return digest[:19] + "…"
	}
	return digest
}

func nameOr(name, id string) string { return cmp.Or(name, id) }

func reasons(codes []string) string { return strings.Join(codes, ", ") }

func auditTone(x auditView) string {
	switch {
	case !x.verified:
		return "calm"
	case len(x.report.Problems) == 0:
		return "good"
	}
	return "bad"
}

// priority leaves out the one that says nothing.
func priority(n int) string {
	if n == 0 {
		return ""
	}
	return number(n)
}
