package main

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// probe is one customer that a sweep asks about, and what it is there to show.
type probe struct {
	point
	Territory string
	Shows     string // inside, or which boundary, and which side of it
}

// sweep makes the customers that show where each territory begins and ends: one inside it, wherever there is one that it
// wins; and around that one, in each thing the plan asks for, both sides of every boundary, a value nobody mentions, and
// none. First come the inside ones, then one boundary of each territory after the other, so that a sweep cut short has
// looked at every territory. The accounts are those the plan names, as the vendor has them, and those
// below them; above says who is above one.
func (p *plan) sweep(rng *rand.Rand, at time.Time, accounts []*deal.Account, above func(*deal.Account) []string) []probe {
	perArea := make([][]probe, len(p.Territories))
	longest := 0
	for i, a := range p.Territories {
		perArea[i] = p.around(rng, a, at, accounts, above)
		longest = max(longest, len(perArea[i]))
	}
	var out []probe
	for n := range longest {
		for _, list := range perArea {
			if n < len(list) {
				out = append(out, list[n])
			}
		}
	}
	return out
}

// around makes the customers of one territory.
func (p *plan) around(rng *rand.Rand, a *area, at time.Time, accounts []*deal.Account, above func(*deal.Account) []string) []probe {
	e := &edges{p: p, rng: rng, a: a, center: p.inside(rng, a, at)}
	e.out = []probe{{e.center, a.ID, "inside"}}
	// The accounts, and who belongs to them: the plan's answer is for what the vendor's record says of them.
	for _, list := range [][]string{a.Accounts.Include, a.Accounts.Exclude} {
		for _, id := range list[:min(len(list), 40)] {
			if i := slices.IndexFunc(accounts, func(a *deal.Account) bool { return a.ID == id }); i >= 0 {
				e.add("account "+id, func(c *point) { c.describe(accounts[i], above(accounts[i])) })
			}
		}
	}
	for _, acc := range accounts {
		if up := above(acc); a.Accounts.Family && len(up) > 0 && (slices.Contains(a.Accounts.Include, up[0]) || slices.Contains(a.Accounts.Exclude, up[0])) && len(e.out) < 80 {
			e.add("subsidiary "+acc.ID, func(c *point) { c.describe(acc, up) })
		}
	}
	e.asked(append([]terms{a.Include}, a.Exclude...))
	e.add("every line", func(c *point) { c.Lines = nil })
	if limit := a.above(); limit != nil {
		for _, v := range []float64{*limit - 0.01, *limit, *limit + 0.01} {
			if v > 0 {
				e.add("amount beside the threshold", func(c *point) { c.Amount, c.AmountKnown = v, true })
			}
		}
	}
	e.add("amount unknown", func(c *point) { c.Amount, c.AmountKnown = 0, false })
	blank := point{Employees: -1, Revenue: -1, Amount: e.center.Amount, AmountKnown: true, At: at}
	e.add("nothing known but the country", func(c *point) {
		country := c.Country
		*c = blank
		c.Country = country
	})
	e.add("nothing known", func(c *point) { *c = blank })
	// In the corner of each exclusion, where everything it asks for fits, each of them begins and ends.
	inside := e.center
	for i := range a.Exclude[:min(len(a.Exclude), 20)] {
		t := &a.Exclude[i]
		e.center = inside
		e.center.fit(t)
		e.add("excluded", func(*point) {})
		e.asked([]terms{*t})
	}
	return e.out
}

// edges collects what is beside one customer.
type edges struct {
	p      *plan
	rng    *rand.Rand
	a      *area
	center point
	out    []probe
}

func (e *edges) add(shows string, change func(*point)) {
	c := e.center
	change(&c)
	if !slices.ContainsFunc(e.out, func(o probe) bool { return same(o.point, c) }) {
		e.out = append(e.out, probe{c, e.a.ID, shows})
	}
}

// asked goes to both sides of every boundary of what is asked for.
func (e *edges) asked(all []terms) {
	p, rng := e.p, e.rng
	list := func(name string, get func(*terms) []string, others []string, set func(*point, string)) {
		var mentioned []string
		for i := range all {
			mentioned = append(mentioned, get(&all[i])...)
		}
		if mentioned == nil {
			return
		}
		for _, v := range sample(rng, mentioned, 12) {
			e.add(name+" "+v, func(c *point) { set(c, v) })
		}
		n := 0
		for _, v := range others {
			if n < 2 && !listed(mentioned, v) {
				e.add(name+" "+v+", which it does not mention", func(c *point) { set(c, v) })
				n++
			}
		}
		e.add(name+" unknown", func(c *point) { set(c, "") })
	}
	list("country", func(t *terms) []string { return t.Country }, append(shuffled(rng, p.Universe.Country), "IS"), func(c *point, v string) {
		c.Country, c.Postcode = v, ""
		if !strings.HasPrefix(c.Region, v+"-") || v == "" {
			c.Region = ""
		}
	})
	var elsewhere []string
	if e.center.Country != "" {
		elsewhere = append(shuffled(rng, p.Universe.Region[e.center.Country]), e.center.Country+"-ZZZ")
	}
	list("region", func(t *terms) []string { return t.Region }, elsewhere, func(c *point, v string) {
		if c.Region, c.Postcode = v, ""; v != "" {
			c.Country = v[:2]
		}
	})
	list("industry", func(t *terms) []string { return t.Industry }, append(shuffled(rng, p.Universe.Industry), otherIndustry), func(c *point, v string) { c.Industry = v })
	list("line", func(t *terms) []string { return t.Line }, append(shuffled(rng, p.Universe.Line), otherLine), func(c *point, v string) {
		if c.Lines = nil; v != "" {
			c.Lines = []string{v}
		}
	})
	for _, v := range postcodes(all) {
		for _, code := range []string{v, v + "7", v[:len(v)-1], next(v)} {
			e.add("postcode "+code, func(c *point) { c.Postcode, c.Region = code, "" })
		}
		e.add("postcode unknown", func(c *point) { c.Postcode = "" })
	}
	numbers := func(name string, get func(*terms) string, set func(*point, int64)) {
		for i := range all {
			text := get(&all[i])
			if text == "" {
				continue
			}
			lo, hi := bounds(text)
			for _, v := range []int64{lo - 1, lo, hi - 1, hi} {
				if v > 0 { // 0 and less is not given
					e.add(name+" beside "+text, func(c *point) { set(c, v) })
				}
			}
			e.add(name+" unknown", func(c *point) { set(c, -1) })
		}
	}
	numbers("employees", func(t *terms) string { return t.Employees }, func(c *point, v int64) { c.Employees = v })
	numbers("revenue", func(t *terms) string { return t.Revenue }, func(c *point, v int64) { c.Revenue = v })
}

// What no plan mentions.
const (
	otherIndustry = "beekeeping"
	otherLine     = "abacus"
)

// fit makes the point one that the terms fit.
func (c *point) fit(t *terms) {
	if len(t.Country) > 0 && !slices.Contains(t.Country, c.Country) {
		c.Country, c.Region, c.Postcode = t.Country[0], "", ""
	}
	if len(t.Region) > 0 && !slices.Contains(t.Region, c.Region) {
		c.Country, c.Region, c.Postcode = t.Region[0][:2], t.Region[0], ""
	}
	if len(t.Postcode) > 0 {
		c.Postcode = bare(t.Postcode[0])
	}
	if len(t.Industry) > 0 {
		c.Industry = t.Industry[0]
	}
	if len(t.Line) > 0 {
		c.Lines = t.Line[:1]
	}
	if fitNumber(t.Employees, c.Employees) > fits {
		lo, _ := bounds(t.Employees)
		c.Employees = max(1, lo)
	}
	if fitNumber(t.Revenue, c.Revenue) > fits {
		lo, _ := bounds(t.Revenue)
		c.Revenue = max(1, lo)
	}
}

// inside looks for a customer that the territory wins: first values of what it asks for, then others, as often as it takes to
// be unlucky. When there is none, it is one that does no better: the oracle says whose it is.
func (p *plan) inside(rng *rand.Rand, a *area, at time.Time) point {
	var beside []string // postal codes that its exclusions leave
	for _, code := range postcodes(a.Exclude) {
		beside = append(beside, next(code))
	}
	var best point
	for try := range 60 {
		pick := func(list, universe []string, from int) string {
			if len(list) == 0 && try > from {
				list = universe
			}
			if len(list) == 0 {
				return ""
			}
			if try == 0 {
				return list[0]
			}
			return list[rng.IntN(len(list))]
		}
		c := point{Employees: -1, Revenue: -1, Amount: 41_000, AmountKnown: true, At: at}
		c.Country = pick(a.Include.Country, p.Universe.Country, -1)
		c.Region = pick(a.Include.Region, p.Universe.Region[c.Country], 4)
		if len(a.Include.Region) > 0 {
			c.Country = c.Region[:2]
		}
		if c.Postcode = bare(pick(a.Include.Postcode, beside, 0)); c.Postcode != "" && len(a.Include.Region) == 0 {
			c.Region = "" // the postal code says which
		}
		c.Industry = pick(a.Include.Industry, append(slices.Clip(p.Universe.Industry), otherIndustry), 2)
		if v := pick(a.Include.Line, p.Universe.Line, 6); v != "" {
			c.Lines = []string{v}
		}
		size := func(text string) int64 {
			lo, hi := bounds(cmp.Or(text, ">=1"))
			if hi < 0 {
				hi = 20*lo + 100
			}
			return max(1, lo+rng.Int64N(max(1, hi-lo)))
		}
		if a.Include.Employees != "" || try > 8 {
			c.Employees = size(a.Include.Employees)
		}
		if a.Include.Revenue != "" || try > 16 {
			c.Revenue = size(a.Include.Revenue)
		}
		is := p.find(c)
		if is.ID == a.ID && is.Status == "resolved" {
			return c
		}
		if try == 0 || is.ID == a.ID {
			best = c
		}
	}
	return best
}

// describe makes the point the vendor's account.
func (c *point) describe(a *deal.Account, above []string) {
	c.Account, c.Ancestors = a.ID, above
	c.Country, c.Region, c.Postcode = cmp.Or(a.Country, c.Country), cmp.Or(a.Region, c.Region), cmp.Or(a.PostalCode, c.Postcode)
	c.Industry = cmp.Or(a.Industry, c.Industry)
	if a.Employees > 0 {
		c.Employees = a.Employees
	}
}

// postcodes are some of the beginnings of postal codes that the terms ask for.
func postcodes(all []terms) (out []string) {
	for i := range all {
		for _, v := range all[i].Postcode {
			if v = bare(v); len(out) < 8 {
				out = append(out, v)
			}
		}
	}
	return out
}

// next is the code that follows in the last place.
func next(code string) string {
	last := code[len(code)-1]
	switch last {
	case '9':
		last = '0'
	case 'Z':
		last = 'A'
	default:
		last++
	}
	return code[:len(code)-1] + string(last)
}

func same(a, b point) bool {
	return a.Account == b.Account && a.Country == b.Country && a.Region == b.Region && a.Postcode == b.Postcode && a.Industry == b.Industry && a.Employees == b.Employees &&
		a.Revenue == b.Revenue && slices.Equal(a.Lines, b.Lines) && a.Amount == b.Amount && a.AmountKnown == b.AmountKnown
}

func shuffled(rng *rand.Rand, list []string) []string {
	out := slices.Clone(list)
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func sample(rng *rand.Rand, list []string, n int) []string {
	out := shuffled(rng, list)
	return out[:min(n, len(out))]
}
