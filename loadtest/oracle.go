package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// The oracle answers what docs/territories.md says, by looking at every territory of the plan in turn. It reads the plan
// itself and shares nothing with internal/territory, whose answers it is there to doubt. It takes the plan for a right one:
// the service, which checks it before it publishes it, is asked first.

type plan struct {
	Metadata struct {
		Name, Timezone, Currency string
		Effective                window
	}
	Universe struct {
		Country  []string
		Region   map[string][]string
		Postcode map[string][]string
		Industry []string
		Line     []string `yaml:"product_line"`
		Accounts map[string][]string
	}
	Tiers       []string
	Territories []*area

	zone *time.Location
}

type window struct{ From, To string }

// area is a territory as the plan says it.
type area struct {
	ID, Tier string
	Priority int
	Coverage string
	Hybrid   struct {
		Lead     string
		Above    *float64 `yaml:"direct_at_or_above"`
		AboveEUR *float64 `yaml:"direct_at_or_above_eur"`
	}
	Owner    owner
	Include  terms
	Exclude  []terms
	Accounts struct {
		Include, Exclude []string
		Family           bool `yaml:"with_subsidiaries"`
	}
	Effective window

	narrow int // how much it asks for: named accounts before anything else
}

type owner struct {
	Rep, Manager, Queue string
	Partner             string `yaml:"partner_id"`
}

// terms are what an include or an exclusion asks for.
type terms struct {
	Country, Region, Postcode, Industry []string
	Employees, Revenue                  string
	Line                                []string `yaml:"product_line"`
}

// point is a customer as the oracle is asked about it. Empty texts are unknown.
type point struct {
	Account            string   // the vendor's account
	Ancestors          []string // and those above it
	Country, Region    string
	Postcode, Industry string
	Employees, Revenue int64 // -1: unknown
	Lines              []string
	Amount             float64
	AmountKnown        bool
	At                 time.Time
}

// covered is the oracle's answer.
type covered struct {
	Status   string `json:"status"` // resolved, none or ambiguous
	ID       string `json:"id,omitempty"`
	Coverage string `json:"coverage"` // direct, partner or unknown
	Partner  string `json:"partner_id,omitempty"`
}

func readPlan(doc []byte) (*plan, error) {
	p := &plan{}
	if err := yaml.Unmarshal(doc, p); err != nil {
		return nil, fmt.Errorf("the territory plan: %w", err)
	}
	if len(p.Territories) == 0 {
		return nil, fmt.Errorf("the territory plan has no territories")
	}
	for _, a := range p.Territories {
		for _, f := range a.Include.compare(&point{Employees: -1, Revenue: -1}, "") {
			if f != unasked {
				a.narrow++
			}
		}
		if len(a.Accounts.Include) > 0 {
			a.narrow += 100
		}
	}
	var err error
	p.zone, err = time.LoadLocation(p.Metadata.Timezone)
	return p, err
}

func plainly(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

func listed(list []string, v string) bool {
	return slices.ContainsFunc(list, func(x string) bool { return plainly(x) == plainly(v) })
}

var beforeCode = regexp.MustCompile(`^[A-Za-z]{1,2}-([0-9])`)

// bare is a postal code in capitals and digits, without the country before it.
func bare(code string) string {
	code = strings.ToUpper(beforeCode.ReplaceAllString(code, "$1"))
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, code)
}

// bounds reads a range: from lo on, below hi. hi is -1 when there is no end.
func bounds(text string) (lo, hi int64) {
	text = strings.ReplaceAll(strings.ReplaceAll(text, " ", ""), "_", "")
	number := func(s string) int64 {
		n, _ := strconv.ParseInt(s, 10, 64) // the service has checked it
		return n
	}
	if s, is := strings.CutPrefix(text, ">="); is {
		return number(s), -1
	}
	if s, is := strings.CutPrefix(text, "<"); is {
		return 0, number(s)
	}
	from, to, _ := strings.Cut(text, "..")
	return number(from), number(to)
}

// fit is how one thing asked for compares with what is known.
type fit int

const (
	unasked fit = iota
	fits
	not
	unsaid // asked for, and unknown of the customer
)

func fitOf(asked, known, is bool) fit {
	switch {
	case !asked:
		return unasked
	case !known:
		return unsaid
	case is:
		return fits
	}
	return not
}

func fitNumber(text string, v int64) fit {
	if text == "" {
		return unasked
	}
	lo, hi := bounds(text)
	return fitOf(lo > 0 || hi >= 0, v >= 0, v >= lo && (hi < 0 || v < hi))
}

// compare compares everything asked for with the customer, for one product line.
func (t *terms) compare(c *point, line string) []fit {
	code := bare(c.Postcode)
	return []fit{
		fitOf(t.Country != nil, c.Country != "", slices.Contains(t.Country, c.Country)),
		fitOf(t.Region != nil, c.Region != "", slices.Contains(t.Region, c.Region)),
		fitOf(t.Postcode != nil, code != "", slices.ContainsFunc(t.Postcode, func(p string) bool { return strings.HasPrefix(code, bare(p)) })),
		fitOf(t.Industry != nil, c.Industry != "", listed(t.Industry, c.Industry)),
		fitNumber(t.Employees, c.Employees),
		fitNumber(t.Revenue, c.Revenue),
		fitOf(t.Line != nil, line != "", listed(t.Line, line)),
	}
}

// covers: everything in include is known and fits, and every exclusion is cleared by something known that does not fit it.
func (a *area) covers(p *plan, c *point, line string) bool {
	among := func(list []string) bool {
		return c.Account != "" && slices.Contains(list, c.Account) ||
			a.Accounts.Family && slices.ContainsFunc(c.Ancestors, func(id string) bool { return slices.Contains(list, id) })
	}
	if len(a.Accounts.Include) > 0 && !among(a.Accounts.Include) || among(a.Accounts.Exclude) || !p.within(a.Effective, c.At) {
		return false
	}
	for _, f := range a.Include.compare(c, line) {
		if f == not || f == unsaid {
			return false
		}
	}
	for i := range a.Exclude {
		if !slices.Contains(a.Exclude[i].compare(c, line), not) {
			return false
		}
	}
	return true
}

func (p *plan) within(w window, at time.Time) bool {
	read := func(s string) time.Time {
		if t, err := time.ParseInLocation(time.DateOnly, s, p.zone); err == nil {
			return t
		}
		t, _ := time.Parse(time.RFC3339, s)
		return t
	}
	return (w.From == "" || !at.Before(read(w.From))) && (w.To == "" || at.Before(read(w.To)))
}

// before orders by precedence, the id aside.
func (p *plan) before(a, b *area) int {
	return cmp.Or(cmp.Compare(slices.Index(p.Tiers, a.Tier), slices.Index(p.Tiers, b.Tier)), cmp.Compare(b.Priority, a.Priority), cmp.Compare(b.narrow, a.narrow))
}

func (a *area) above() *float64 {
	if a.Hybrid.Above != nil {
		return a.Hybrid.Above
	}
	return a.Hybrid.AboveEUR
}

func (a *area) coverage(c *point) string {
	switch above := a.above(); {
	case a.Coverage != "hybrid":
		return a.Coverage
	case above == nil || !c.AmountKnown:
		return a.Hybrid.Lead
	case c.Amount >= *above:
		return "direct"
	}
	return "partner"
}

// unmentioned stands for all lines that a plan does not mention.
const unmentioned = "\x00"

// lines are those the plan knows of, with one that stands for all others unless the universe lists them.
func (p *plan) lines() (out []string) {
	if len(p.Universe.Line) > 0 {
		return p.Universe.Line
	}
	for _, a := range p.Territories {
		out = append(out, a.Include.Line...)
		for i := range a.Exclude {
			out = append(out, a.Exclude[i].Line...)
		}
	}
	return append(out, unmentioned)
}

// completed fills in what follows: the country from the region's code, the region from the longest postal code known.
func (p *plan) completed(c point) point {
	c.Country, c.Region = strings.ToUpper(c.Country), strings.ToUpper(c.Region)
	if c.Country == "" && len(c.Region) > 3 && c.Region[2] == '-' {
		c.Country = c.Region[:2]
	}
	if code := bare(c.Postcode); c.Region == "" && code != "" {
		longest := 0
		for region, codes := range p.Universe.Postcode {
			for _, v := range codes {
				if v = bare(v); len(region) > 2 && region[:2] == c.Country && len(v) > longest && strings.HasPrefix(code, v) {
					longest, c.Region = len(v), region
				}
			}
		}
	}
	return c
}

// find says who covers the customer.
func (p *plan) find(c point) covered {
	c = p.completed(c)
	if !p.within(p.Metadata.Effective, c.At) {
		return covered{Status: "none", Coverage: "unknown"}
	}
	lines := c.Lines
	if len(lines) == 0 {
		lines = p.lines()
	}
	type say struct {
		coverage string
		owner    owner
	}
	says := func(a *area) say { return say{a.coverage(&c), a.Owner} }
	var best *area
	nobody, tied := false, false
	answers, coverages := map[say]bool{}, map[string]bool{}
	for _, line := range lines {
		var first []*area // the strongest for this line, all that only their ids tell apart
		for _, a := range p.Territories {
			if !a.covers(p, &c, line) {
				continue
			}
			order := -1
			if len(first) > 0 {
				order = p.before(a, first[0])
			}
			if order < 0 {
				first = nil
			}
			if order <= 0 {
				first = append(first, a)
			}
		}
		if len(first) == 0 {
			nobody = true
			continue
		}
		winner := slices.MinFunc(first, func(a, b *area) int { return strings.Compare(a.ID, b.ID) })
		answers[says(winner)] = true
		for _, a := range first {
			tied = tied || says(a) != says(winner)
			coverages[a.coverage(&c)] = true
		}
		if best == nil || cmp.Or(p.before(winner, best), strings.Compare(winner.ID, best.ID)) < 0 {
			best = winner
		}
	}
	switch {
	case best == nil:
		return covered{Status: "none", Coverage: "unknown"}
	case !nobody && !tied && len(answers) == 1:
		return covered{"resolved", best.ID, best.coverage(&c), best.Owner.Partner}
	case !nobody && len(coverages) == 1:
		return covered{Status: "ambiguous", ID: best.ID, Coverage: best.coverage(&c)}
	}
	return covered{Status: "ambiguous", ID: best.ID, Coverage: "unknown"}
}
