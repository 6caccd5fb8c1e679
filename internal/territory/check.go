package territory

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/document"
)

// The kinds of findings.
const (
	Gap       = "gap"       // customers of the universe that no territory covers
	Overlap   = "overlap"   // customers two territories cover
	Shadowed  = "shadowed"  // a territory that never wins: earlier ones cover everyone it covers
	Fallback  = "fallback"  // a territory that wins only where something is unknown of the customer
	Ownerless = "ownerless" // a territory that is nobody's once its representative leaves
	Undecided = "undecided" // a question that was too large to answer
)

// The severities of findings. A plan with an error is not to be published.
const (
	SeverityError = "error"
	SeverityWarn  = "warn"
	SeverityNote  = "note"
)

// Finding is one thing a check found in a plan.
type Finding struct {
	Kind        string   `json:"kind"`
	Severity    string   `json:"severity"`
	Line        int      `json:"line"`
	Column      int      `json:"column"`
	Territories []string `json:"territories,omitempty"`
	Message     string   `json:"message"`
	Witness     *Witness `json:"witness,omitempty"` // a customer that shows it
}

// Witness is a customer as a reader needs it: what is left out does not matter.
type Witness struct {
	AccountID  string `json:"account_id,omitempty"`
	ParentID   string `json:"parent_id,omitempty"` // the account it is a subsidiary of
	Country    string `json:"country,omitempty"`
	Region     string `json:"region,omitempty"`
	PostalCode string `json:"postal_code,omitempty"`
	Industry   string `json:"industry,omitempty"`
	Employees  *int64 `json:"employees,omitempty"`
	Revenue    *int64 `json:"annual_revenue,omitempty"`
	Line       string `json:"product_line,omitempty"`
	Day        string `json:"day,omitempty"` // when the plan changes with the day

	customer Customer
}

// Customer returns the witness as a lookup takes it.
func (w *Witness) Customer() Customer { return w.customer }

func (w *Witness) String() string {
	var parts []string
	add := func(name, v string) {
		if v != "" {
			parts = append(parts, name+" "+v)
		}
	}
	number := func(v *int64) string {
		if v == nil {
			return ""
		}
		return fmt.Sprint(*v)
	}
	add("account", w.AccountID)
	add("subsidiary of", w.ParentID)
	add("country", w.Country)
	add("region", w.Region)
	add("postcode", w.PostalCode)
	add("industry", w.Industry)
	add("employees", number(w.Employees))
	add("revenue", number(w.Revenue))
	add("product line", w.Line)
	add("on", w.Day)
	if parts == nil {
		return "any customer"
	}
	return strings.Join(parts, ", ")
}

// Bounds of one check. What is beyond them is reported, as severely as what could be there, to be undecided, never passed over.
const (
	maxFindings = 500     // of one kind and severity
	maxGaps     = 10      // parts of one country's gap
	maxPairs    = 500_000 // pairs of territories looked at for overlaps
	maxNodes    = 200_000 // of one search
)

// Check proves what a reader of the plan cannot see: that it covers every customer of its universe, that no two
// territories of a tier cover the same one, and that every territory can win. What it finds comes with a customer that
// shows it. It looks at the days of the plan from asOf on, or at all of them when the plan is over.
//
// A customer is anyone the universe allows: a country it lists, a region and a postal code that lie there, any size. Where
// the universe does not list a dimension, there are values the plan does not mention, too. Gaps are looked for only when
// it lists the countries. Of the accounts a plan names, each is looked at alone, and as a parent: how accounts are
// related to each other is not the plan's to say.
//
// It takes a fraction of a second for ten thousand territories that partition their universe, and seconds when they overlap
// at random.
func (p *Plan) Check(asOf time.Time) []Finding {
	c := newChecker(p, asOf)
	c.gaps()
	c.overlaps()
	c.shadows()
	c.owners()
	slices.SortStableFunc(c.out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return c.out
}

// Problems returns the errors among findings as the errors of a document, or nil when there are none.
func Problems(findings []Finding) error {
	var errs Errors
	for _, f := range findings {
		if f.Severity == SeverityError {
			errs = append(errs, document.Error{Line: f.Line, Column: f.Column, Message: f.Kind + ": " + f.Message})
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return errs
}

// report adds a finding, unless it is allowed or one too many.
func (c *checker) report(f Finding) {
	is := tally{f.Kind, f.Severity}
	if f.Severity == "allow" || c.full(is) {
		return
	}
	if c.found[is]++; c.full(is) {
		f = Finding{Kind: f.Kind, Severity: f.Severity, Line: f.Line, Column: f.Column, Message: fmt.Sprintf("there are more than %d of these; no more are listed", maxFindings)}
	}
	c.out = append(c.out, f)
}

// tally is what findings are counted by: a flood of mild ones must not hide an error.
type tally struct{ kind, severity string }

func (c *checker) full(t tally) bool { return c.found[t] > maxFindings }

// severity is what the plan asks for, or error where it does not say.
func severity(asked string) string { return cmp.Or(asked, SeverityError) }

// milder is one step down.
func milder(s string) string {
	switch s {
	case SeverityError:
		return SeverityWarn
	case SeverityWarn:
		return SeverityNote
	}
	return "allow"
}

// gaps looks for customers of the universe that nobody covers, country by country.
func (c *checker) gaps() {
	sev := severity(c.p.lint.Gap)
	if sev == "allow" {
		return
	}
	u := &c.p.universe
	if len(u.countries) == 0 {
		c.report(Finding{Kind: Gap, Severity: SeverityNote, Line: 1, Column: 1,
			Message: "gaps are not looked for: list the countries the plan is for, as universe: {country: […]}"})
		return
	}
	for _, country := range u.countries {
		s := c.space(country, kin{}, c.accepting(country, kin{}, nil), nil, false)
		c.gap(s, Finding{Kind: Gap, Severity: sev, Line: u.line, Column: u.column})
	}
	// Whom a territory excludes by name, others must cover.
	for _, who := range c.barred {
		by := c.x.barred[who.id]
		if who.child {
			by = c.x.kin[who.id]
		}
		for _, t := range by {
			x := &c.p.territories[t]
			for i := c.x.first[t]; i < c.x.first[t+1] && len(x.named) == 0; i++ {
				in := target{c.x.boxes[i], c.x.days[i]}
				for _, country := range c.countriesOf(&in.box, who, false) {
					s := c.space(country, who, c.accepting(country, who, nil), &in, false)
					c.gap(s, Finding{Kind: Gap, Severity: sev, Line: x.line, Column: x.column, Territories: []string{x.ID}})
				}
			}
		}
	}
}

// gap reports whom no candidate of a space covers.
func (c *checker) gap(s *space, f Finding) {
	parts, more := s.uncovered()
	if s.spent() {
		f.Kind = Undecided
		f.Message = fmt.Sprintf("whether all of %s is covered takes too long to find out", s.country)
		c.report(f)
		return
	}
	for i, part := range parts {
		whom, one := s.describe(part), part.witness.String()
		f.Witness, f.Message = part.witness, "no territory covers "+whom
		if strings.ReplaceAll(whom, ";", ",") != one {
			f.Message += "; such as: " + one
		}
		if last := i == maxGaps-1; last && (more || len(parts) > maxGaps) {
			f.Message += fmt.Sprintf("; there is more of %s that none covers", s.country)
		}
		if c.report(f); i == maxGaps-1 {
			return
		}
	}
}

// overlaps looks for pairs of territories that cover one customer.
func (c *checker) overlaps() {
	within, across := severity(c.p.lint.OverlapWithinTier), cmp.Or(c.p.lint.OverlapAcrossTiers, "allow")
	if within == "allow" && across == "allow" {
		return
	}
	x, ts := c.p.index, c.p.territories
	meets, dim := newWords(len(x.boxes)), newWords(len(x.boxes))
	told := map[int32]bool{} // territories the present one is known to overlap
	for t := range ts {
		clear(told)
		end := int32(len(x.boxes))
		if across == "allow" {
			end = x.first[c.tierEnd(t)]
		}
		for i := x.first[t]; i < x.first[t+1]; i++ {
			c.meeting(i, meets, dim)
			for j := range bitsOf(meets, x.first[t+1], end) {
				u := x.owner[j]
				sev := across
				if ts[u].tierNo == ts[t].tierNo {
					sev = within
					if ts[u].Priority != ts[t].Priority {
						sev = milder(sev) // the author has said which wins
					}
				}
				if told[u] || sev == "allow" || c.full(tally{Overlap, sev}) {
					continue
				}
				if c.pairs--; c.pairs < 0 {
					worst := within
					if within == "allow" || across == SeverityError {
						worst = across
					}
					c.report(Finding{Kind: Undecided, Severity: worst, Line: ts[t].line, Column: ts[t].column, Territories: []string{ts[t].ID},
						Message: "too many territories may overlap to look at them all; the rest was not looked at"})
					return
				}
				if w := c.meet(i, j); w != nil {
					told[u] = true
					c.report(overlap(&ts[t], &ts[u], sev, w))
				}
			}
		}
	}
}

// overlap is the finding that t and u both cover w; t wins.
func overlap(t, u *Territory, sev string, w *Witness) Finding {
	settled := "only their ids tell which wins"
	switch {
	case t.tierNo != u.tierNo:
		settled = fmt.Sprintf("%s wins by its tier", t.ID)
	case t.Priority != u.Priority:
		settled = fmt.Sprintf("%s wins by its priority", t.ID)
	case t.narrow != u.narrow:
		settled = fmt.Sprintf("%s wins only because it asks for more", t.ID)
	}
	later := t
	if u.line > t.line {
		later = u
	}
	fix := "; exclude it from one of them, or give the one that is to win a higher priority"
	if t.tierNo != u.tierNo || t.Priority != u.Priority {
		fix = ""
	}
	return Finding{Kind: Overlap, Severity: sev, Line: later.line, Column: later.column, Territories: []string{t.ID, u.ID}, Witness: w,
		Message: fmt.Sprintf("%s and %s (tier %s) both cover %s: %s%s", t.ID, u.ID, strings.Join(slices.Compact([]string{t.Tier, u.Tier}), " and "), w, settled, fix)}
}

// shadows looks for territories that never win.
func (c *checker) shadows() {
	sev := severity(c.p.lint.Shadowed)
	if sev == "allow" {
		return
	}
	for t := range c.p.territories {
		if c.over(t) {
			continue // history
		}
		c.report(c.shadow(t, sev))
	}
}

// shadow says whether territory t can win: a finding of severity allow when it can.
func (c *checker) shadow(t int, sev string) Finding {
	x := &c.p.territories[t]
	f := Finding{Kind: Shadowed, Severity: "allow", Line: x.line, Column: x.column, Territories: []string{x.ID}}
	is := c.wins(t, false)
	if is.won != nil {
		return f
	}
	if is.spent {
		f.Kind, f.Severity = Undecided, sev
		f.Message = fmt.Sprintf("whether %s ever wins takes too long to find out", x.ID)
		return f
	}
	if is.lost == nil {
		f.Severity, f.Message = sev, fmt.Sprintf("%s covers nobody: no customer of the universe, on any day of the plan, is in it", x.ID)
		return f
	}
	f.Witness = is.lost
	customer := is.lost.customer
	line := ""
	if len(customer.Lines) > 0 {
		line = customer.Lines[0]
	}
	by := "another"
	if w := c.p.Winner(&customer, line); w >= 0 {
		by = c.p.territories[w].ID
	}
	if blank := c.wins(t, true); blank.won != nil {
		f.Kind, f.Severity, f.Witness = Fallback, SeverityNote, blank.won
		f.Message = fmt.Sprintf("%s wins only where something is unknown of the customer, such as: %s, and nothing else known; earlier territories cover everyone known", x.ID, blank.won)
		return f
	}
	f.Severity = sev
	f.Message = fmt.Sprintf("%s never wins: earlier territories cover everyone it covers; %s, for one, goes to %s. Remove it, or give it a higher priority or an earlier tier", x.ID, is.lost, by)
	return f
}

// owners looks for territories that are nobody's when a person leaves. That there is an owner at all is Compile's business.
func (c *checker) owners() {
	for i := range c.p.territories {
		t := &c.p.territories[i]
		if t.Owner.Queue != "" || c.over(i) {
			continue
		}
		c.report(Finding{Kind: Ownerless, Severity: SeverityWarn, Line: t.line, Column: t.column, Territories: []string{t.ID},
			Message: fmt.Sprintf("%s is nobody's once %s leaves: add a queue to its owner", t.ID, cmp.Or(t.Owner.Rep, t.Owner.Manager, t.Owner.PartnerID))})
	}
}
