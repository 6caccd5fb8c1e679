package desk

import (
	"cmp"
	"slices"
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

// keyOf is a number key as an attribute; 0: none.
func keyOf(n int) string {
	if n == 0 {
		return ""
	}
	return number(n)
}

// ruleBy says what the other rule did to this one.
func ruleBy(result string) string {
	switch result {
	case "overridden":
		return "overridden by"
	case "decided":
		return "by"
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

// chosen reports whether a box of the resolve form was ticked when it was sent.
func chosen(a *actions, field, value string) bool {
	return a.failed.act == "resolve" && slices.Contains(a.failed.form[field], value)
}

func resolveTitle(a *actions) string {
	if a.proposal != nil {
		return "Propose another"
	}
	return "Resolve"
}

// resolveButton says what sending does: with four eyes it does not resolve.
func resolveButton(a *actions) string {
	if a.fourEyes {
		return "Propose to a second person"
	}
	return "Resolve"
}

// resolveText keeps what was written, where it was written.
func resolveText(a *actions) string {
	if a.failed.form.Get("confirm") != "" {
		return ""
	}
	return a.failed.value("resolve", "text")
}

func confirmText(a *actions) string {
	if a.failed.form.Get("confirm") == "" {
		return ""
	}
	return a.failed.value("resolve", "text")
}

// assignTo is whom the form proposes: who has it, else who looks.
func assignTo(a *actions, p choice) bool {
	if slices.ContainsFunc(a.people, func(x choice) bool { return x.current }) {
		return p.current
	}
	return p.href == a.me
}

func reasonLabel(required bool) string {
	if required {
		return "Why"
	}
	return "Why, if there is something to say"
}
