package territory

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Customer is what a plan needs to know of one registration's customer. Empty texts are unknown.
type Customer struct {
	AccountID  string   // the vendor's account, when the customer certainly is one
	Ancestors  []string // accounts above it, nearest first: the account's parents, or the one that a new customer names
	Country    string   // ISO 3166-1 alpha-2
	Region     string   // ISO 3166-2
	PostalCode string
	Industry   string
	Employees  int64    // -1 unknown
	Revenue    int64    // a year, in the policy's currency, whole; -1 unknown
	Lines      []string // product lines of the deal; none means all of them

	Amount      float64 // in the policy's currency
	AmountKnown bool
	Day         time.Time // the instant the plan is asked about
}

// known reports whether the customer or what it belongs to is among the vendor's accounts.
func (c *Customer) known() bool { return c.AccountID != "" || len(c.Ancestors) > 0 }

// The statuses of a result. The engine adds no_plan, while none is published.
const (
	Resolved  = "resolved"
	None      = "none"
	Ambiguous = "ambiguous"
)

// The coverages of a result.
const (
	Direct  = "direct"
	Partner = "partner"
	Unknown = "unknown"
)

// otherLine stands for the product lines a plan does not mention.
const otherLine = "\x00other"

// knownLines fixes which lines a registration without any is for.
func (p *Plan) knownLines(universe []string) {
	p.closed = len(universe) > 0
	p.lines = folded(universe)
	if !p.closed {
		for v := range p.index.dims.line.values {
			p.lines = append(p.lines, v)
		}
	}
	slices.Sort(p.lines)
	p.lines = slices.Compact(p.lines)
}

func (x *index) query(c *Customer, line string) query {
	staff, money := x.staff.unknown, x.money.unknown
	if c.Employees >= 0 {
		staff = x.staff.at(c.Employees)
	}
	if c.Revenue >= 0 {
		money = x.money.at(c.Revenue)
	}
	return query{x.dims.country.get(c.Country), x.dims.region.get(c.Region), x.postal.get(c.PostalCode), x.dims.industry.get(fold(c.Industry)),
		staff, money, x.dims.line.get(fold(line)), x.day.at(c.Day.Unix()), x.open}
}

// Winner returns the place in Territories of the one that wins for one product line, or -1 when none covers the
// customer. An empty line is an unknown one. It does not look at the plan's own dates, and it allocates nothing when
// names are spelt in lower case, as normalised ones are.
func (p *Plan) Winner(c *Customer, line string) int {
	x := p.index
	known := *c
	p.universe.complete(&known)
	c = &known
	q := x.query(c, line)
	best := int32(-1)
	for i := q.next(0); i >= 0; i = q.next(int(x.first[x.owner[i]+1])) {
		if t := x.owner[i]; !x.bars(c, t) {
			best = t
			break
		}
	}
	if len(x.named) == 0 || !c.known() {
		return int(best)
	}
	best = x.strongest(c, line, best, x.named[c.AccountID])
	for _, a := range c.Ancestors {
		best = x.strongest(c, line, best, x.family[a])
	}
	return int(best)
}

// strongest returns the strongest of best and the territories of the boxes that cover the customer.
func (x *index) strongest(c *Customer, line string, best int32, boxes []int32) int32 {
	for _, i := range boxes {
		if t := x.owner[i]; (best < 0 || t < best) && x.covers(i, c, line) && !x.bars(c, t) {
			best = t
		}
	}
	return best
}

// covers is the plain test of one box.
func (x *index) covers(i int32, c *Customer, line string) bool {
	b := &x.boxes[i]
	return b.country.has(c.Country) && b.region.has(c.Region) && b.postal.has(postal(c.PostalCode)) && b.industry.has(fold(c.Industry)) &&
		b.employees.has(c.Employees) && b.revenue.has(c.Revenue) && b.line.has(fold(line)) && x.days[i].lo <= c.Day.Unix() && c.Day.Unix() < x.days[i].hi
}

// bars reports whether the territory excludes the customer's account by name.
func (x *index) bars(c *Customer, t int32) bool {
	if len(x.barred) == 0 || !c.known() {
		return false
	}
	if slices.Contains(x.barred[c.AccountID], t) {
		return true
	}
	for _, a := range c.Ancestors {
		if slices.Contains(x.kin[a], t) {
			return true
		}
	}
	return false
}

// all returns every territory that covers the customer for one line, in the order of precedence.
func (p *Plan) all(c *Customer, q *query, line string) []int32 {
	x := p.index
	var out []int32
	for i := q.next(0); i >= 0; i = q.next(int(x.first[x.owner[i]+1])) {
		if t := x.owner[i]; !x.bars(c, t) {
			out = append(out, t)
		}
	}
	if c.known() {
		add := func(boxes []int32) {
			for _, i := range boxes {
				if t := x.owner[i]; x.covers(i, c, line) && !x.bars(c, t) {
					out = append(out, t)
				}
			}
		}
		add(x.named[c.AccountID])
		for _, a := range c.Ancestors {
			add(x.family[a])
		}
		slices.Sort(out)
		out = slices.Compact(out)
	}
	return out
}

// answer is what a territory says about a deal: what two territories must share to be no contradiction.
type answer struct {
	coverage string
	owner    deal.Owner
}

func (t *Territory) answer(c *Customer) answer {
	return answer{t.settle(c), t.Owner}
}

// settle returns the coverage; a hybrid one is decided by the amount, or by who leads when there is none.
func (t *Territory) settle(c *Customer) string {
	switch {
	case t.Coverage != "hybrid":
		return t.Coverage
	case t.DirectAtOrAbove == nil || !c.AmountKnown:
		return t.Lead
	case c.Amount >= *t.DirectAtOrAbove:
		return Direct
	}
	return Partner
}

// Find returns the territory that answers for the customer, with its coverage, its owner, the reason in words, and
// every territory that covers the customer.
func (p *Plan) Find(c Customer) deal.TerritoryResult {
	c.Country, c.Region = strings.ToUpper(c.Country), strings.ToUpper(c.Region)
	p.universe.complete(&c)
	if !p.from.IsZero() && c.Day.Before(p.from) || !p.to.IsZero() && !c.Day.Before(p.to) {
		return deal.TerritoryResult{Status: None, Coverage: Unknown, Why: "The plan is not in force on this day."}
	}
	lines := c.Lines
	if len(lines) == 0 {
		if lines = p.lines; !p.closed {
			lines = append(slices.Clip(lines), otherLine)
		}
	}
	var covers []int32
	var winners []int32 // of each line; -1 for none
	var tie *[2]int32   // two territories only their ids tell apart
	var missing unknowns
	for _, line := range lines {
		q := p.index.query(&c, line)
		found := p.all(&c, &q, line)
		covers = append(covers, found...)
		w := int32(-1)
		if len(found) > 0 {
			w = found[0]
			for _, t := range found[1:] {
				if compare(&p.territories[w], &p.territories[t]) != 0 {
					break
				}
				if tie == nil && p.territories[w].answer(&c) != p.territories[t].answer(&c) {
					tie = &[2]int32{w, t}
				}
			}
		}
		winners = append(winners, w)
		missing |= p.couldChange(&c, q, w)
	}
	slices.Sort(covers)
	covers = slices.Compact(covers)
	r := p.conclude(&c, lines, winners, tie, covers)
	r.Unknown = missing.names()
	for _, t := range covers {
		r.Covers = append(r.Covers, p.territories[t].ID)
	}
	return r
}

// conclude makes one result of the winners of every line.
func (p *Plan) conclude(c *Customer, lines []string, winners []int32, tie *[2]int32, covers []int32) deal.TerritoryResult {
	if len(covers) == 0 {
		return deal.TerritoryResult{Status: None, Coverage: Unknown, Why: "No territory covers this customer."}
	}
	best := winners[0]
	same := true
	for i, w := range winners {
		if w < 0 {
			same = false
			continue
		}
		if best < 0 || w < best {
			best = w
		}
		if j := slices.IndexFunc(winners[:i], func(v int32) bool { return v >= 0 }); j >= 0 {
			same = same && p.territories[w].answer(c) == p.territories[winners[j]].answer(c)
		}
	}
	t := &p.territories[best]
	if same && tie == nil {
		return deal.TerritoryResult{Status: Resolved, ID: t.ID, Coverage: t.settle(c), Owner: t.Owner, Why: p.why(c, best, covers)}
	}
	r := deal.TerritoryResult{Status: Ambiguous, ID: t.ID, Coverage: t.settle(c)}
	for _, w := range winners {
		if w < 0 || p.territories[w].settle(c) != r.Coverage {
			r.Coverage = Unknown
		}
	}
	if tie != nil {
		a, b := &p.territories[tie[0]], &p.territories[tie[1]]
		if a.settle(c) != b.settle(c) {
			r.Coverage = Unknown
		}
		r.Why = fmt.Sprintf("Nothing but their ids tells %s and %s apart: same tier, priority and narrowness.", a.ID, b.ID)
		return r
	}
	var parts []string
	for i, w := range winners {
		id := "none"
		if w >= 0 {
			id = p.territories[w].ID
		}
		line := lines[i]
		if line == otherLine {
			line = "other lines"
		}
		parts = append(parts, line+": "+id)
	}
	r.Why = "Product lines lead to different territories: " + strings.Join(parts, ", ") + "."
	return r
}

// why says in words what made the winner win.
func (p *Plan) why(c *Customer, best int32, covers []int32) string {
	t := &p.territories[best]
	var s string
	if i := slices.IndexFunc(covers, func(x int32) bool { return x > best }); i < 0 {
		s = t.ID + " is the only territory that covers this customer"
	} else {
		u := &p.territories[covers[i]]
		switch {
		case t.tierNo != u.tierNo:
			s = fmt.Sprintf("%s comes before %s: tier %s before %s", t.ID, u.ID, t.Tier, u.Tier)
		case t.Priority != u.Priority:
			s = fmt.Sprintf("%s comes before %s: priority %d before %d", t.ID, u.ID, t.Priority, u.Priority)
		case t.narrow != u.narrow:
			s = fmt.Sprintf("%s comes before %s: it is narrower", t.ID, u.ID)
		default:
			s = fmt.Sprintf("%s comes before %s by id; both answer the same", t.ID, u.ID)
		}
	}
	if t.Coverage == "hybrid" {
		switch {
		case t.DirectAtOrAbove == nil:
			s += fmt.Sprintf("; hybrid, led by %s", t.Lead)
		case !c.AmountKnown:
			s += fmt.Sprintf("; hybrid, without an amount led by %s", t.Lead)
		default:
			than := "below"
			if c.Amount >= *t.DirectAtOrAbove {
				than = "at or above"
			}
			s += fmt.Sprintf("; hybrid, %s is %s %s", number(c.Amount), than, number(*t.DirectAtOrAbove))
		}
	}
	return s + "."
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// unknowns is a set of the fields below.
type unknowns uint8

// The fields whose absence can decide, in the order in which they are reported.
const (
	noCountry unknowns = 1 << iota
	noRegion
	noPostalCode
	noIndustry
	noEmployees
	noRevenue
	noAmount
)

var unknownNames = []string{"country", "region", "postal_code", "industry", "employees", "annual_revenue", "amount"}

func (u unknowns) names() (out []string) {
	for i, name := range unknownNames {
		if u>>i&1 == 1 {
			out = append(out, name)
		}
	}
	return out
}

// unknown returns the fields of the customer that are unknown.
func (c *Customer) unknown() (u unknowns) {
	for i, is := range []bool{c.Country == "", c.Region == "", c.PostalCode == "", c.Industry == "", c.Employees < 0, c.Revenue < 0, !c.AmountKnown} {
		if is {
			u |= 1 << i
		}
	}
	return u
}

// asks returns the fields the box asks for.
func (b *box) asks() (u unknowns) {
	for i, any := range []bool{b.country.any(), b.region.any(), b.postal.any(), b.industry.any(), b.employees.any(), b.revenue.any()} {
		if !any {
			u |= 1 << i
		}
	}
	return u
}

// couldChange returns the fields that are unknown of the customer and could make a stronger territory with another
// answer win: those such a territory asks for.
func (p *Plan) couldChange(c *Customer, q query, winner int32) (out unknowns) {
	x := p.index
	lacks := c.unknown()
	if winner >= 0 && p.territories[winner].DirectAtOrAbove != nil {
		out |= lacks & noAmount
	}
	if lacks &^= noAmount; lacks == 0 {
		return out
	}
	for i := range 6 { // the query begins with these six dimensions, in this order
		if lacks>>i&1 == 1 {
			q[i] = x.all
		}
	}
	consider := func(i int) {
		t := x.owner[i]
		if !x.bars(c, t) && (winner < 0 || t < winner && p.territories[t].answer(c) != p.territories[winner].answer(c)) {
			out |= lacks & x.boxes[i].asks()
		}
	}
	for i := q.next(0); i >= 0 && (winner < 0 || x.owner[i] < winner); i = q.next(i + 1) {
		consider(i)
	}
	if c.known() {
		q[8] = x.all // the territories that name accounts, too
		for _, i := range x.named[c.AccountID] {
			if q.has(i) {
				consider(int(i))
			}
		}
		for _, a := range c.Ancestors {
			for _, i := range x.family[a] {
				if q.has(i) {
					consider(int(i))
				}
			}
		}
	}
	return out
}
