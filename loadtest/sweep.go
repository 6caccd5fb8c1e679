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

func (p *plan) around(rng *rand.Rand, a *area, at time.Time, accounts []*deal.Account, above func(*deal.Account) []string) []probe {
	center := p.inside(rng, a, at)
	out := []probe{{center, a.ID, "inside"}}
	add := func(shows string, change func(*point)) {
		c := center
		change(&c)
		if !slices.ContainsFunc(out, func(o probe) bool { return same(o.point, c) }) {
			out = append(out, probe{c, a.ID, shows})
		}
	}
	// The accounts, and who belongs to them: whatever they are like, the plan's answer is for what the vendor's record says.
	for _, list := range [][]string{a.Accounts.Include, a.Accounts.Exclude} {
		for _, id := range list[:min(len(list), 40)] {
			if i := slices.IndexFunc(accounts, func(a *deal.Account) bool { return a.ID == id }); i >= 0 {
				acc := accounts[i]
				add("account "+id, func(c *point) { c.describe(acc, above(acc)) })
			}
		}
	}
	for _, acc := range accounts {
		if up := above(acc); a.Accounts.Family && len(up) > 0 && (slices.Contains(a.Accounts.Include, up[0]) || slices.Contains(a.Accounts.Exclude, up[0])) && len(out) < 80 {
			add("subsidiary "+acc.ID, func(c *point) { c.describe(acc, up) })
		}
	}
	all := append([]terms{a.Include}, a.Exclude...)
	list := func(name string, get func(*terms) []string, others []string, set func(*point, string)) {
		var mentioned []string
		for i := range all {
			mentioned = append(mentioned, get(&all[i])...)
		}
		if mentioned == nil {
			return
		}
		for _, v := range sample(rng, mentioned, 12) {
			add(name+" "+v, func(c *point) { set(c, v) })
		}
		n := 0
		for _, v := range others {
			if n < 2 && !listed(mentioned, v) {
				add(name+" "+v+", which it does not mention", func(c *point) { set(c, v) })
				n++
			}
		}
		add(name+" unknown", func(c *point) { set(c, "") })
	}
	list("country", func(t *terms) []string { return t.Country }, append(shuffled(rng, p.Universe.Country), "IS"), func(c *point, v string) {
		c.Country, c.Postcode = v, ""
		if !strings.HasPrefix(c.Region, v+"-") || v == "" {
			c.Region = ""
		}
	})
	var elsewhere []string
	if center.Country != "" {
		elsewhere = append(shuffled(rng, p.Universe.Region[center.Country]), center.Country+"-ZZZ")
	}
	list("region", func(t *terms) []string { return t.Region }, elsewhere, func(c *point, v string) {
		if c.Region, c.Postcode = v, ""; v != "" {
			c.Country = v[:2]
		}
	})
	list("industry", func(t *terms) []string { return t.Industry }, append(shuffled(rng, p.Universe.Industry), "beekeeping"), func(c *point, v string) { c.Industry = v })
	list("line", func(t *terms) []string { return t.Line }, append(shuffled(rng, p.Universe.Line), "abacus"), func(c *point, v string) {
		if c.Lines = nil; v != "" {
			c.Lines = []string{v}
		}
	})
	add("every line", func(c *point) { c.Lines = nil })
	for _, v := range p.postcodes(all) {
		for _, code := range []string{v, v + "7", v[:len(v)-1], next(v)} {
			add("postcode "+code, func(c *point) { c.Postcode, c.Region = code, "" })
		}
		add("postcode unknown", func(c *point) { c.Postcode = "" })
	}
	numbers := func(name string, get func(*terms) string, set func(*point, int64)) {
		asked := false
		for i := range all {
			text := get(&all[i])
			if text == "" {
				continue
			}
			asked = true
			lo, hi := bounds(text)
			for _, v := range []int64{lo - 1, lo, hi - 1, hi} {
				if v > 0 { // 0 and less is not given
					add(name+" beside "+text, func(c *point) { set(c, v) })
				}
			}
		}
		if asked {
			add(name+" unknown", func(c *point) { set(c, -1) })
		}
	}
	numbers("employees", func(t *terms) string { return t.Employees }, func(c *point, v int64) { c.Employees = v })
	numbers("revenue", func(t *terms) string { return t.Revenue }, func(c *point, v int64) { c.Revenue = v })
	if above := a.above(); above != nil {
		for _, v := range []float64{*above - 0.01, *above, *above + 0.01} {
			if v > 0 {
				add("amount beside the threshold", func(c *point) { c.Amount, c.AmountKnown = v, true })
			}
		}
		add("amount unknown", func(c *point) { c.Amount, c.AmountKnown = 0, false })
	}
	add("nothing known but the country", func(c *point) {
		*c = point{Country: c.Country, Employees: -1, Revenue: -1, Amount: c.Amount, AmountKnown: true, At: at}
	})
	add("nothing known", func(c *point) { *c = point{Employees: -1, Revenue: -1, Amount: c.Amount, AmountKnown: true, At: at} })
	return out
}

// inside looks for a customer that the territory wins: first values of what it asks for, then others, as often as it takes to
// be unlucky. The last try is returned when there is none: the oracle says whose it is.
func (p *plan) inside(rng *rand.Rand, a *area, at time.Time) (c point) {
	for try := range 40 {
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
		c = point{Employees: -1, Revenue: -1, Amount: 41_000, AmountKnown: true, At: at}
		c.Country = pick(a.Include.Country, p.Universe.Country, -1)
		c.Region = pick(a.Include.Region, p.Universe.Region[c.Country], 4)
		if len(a.Include.Region) > 0 {
			c.Country = c.Region[:2]
		}
		if c.Postcode = bare(pick(a.Include.Postcode, nil, 0)); c.Postcode != "" && c.Region != "" && len(a.Include.Region) == 0 {
			c.Region = "" // the postal code says which
		}
		c.Industry = pick(a.Include.Industry, append(slices.Clip(p.Universe.Industry), "beekeeping"), 2)
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
		if p.find(c).ID == a.ID {
			break
		}
	}
	return c
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
func (p *plan) postcodes(all []terms) (out []string) {
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
