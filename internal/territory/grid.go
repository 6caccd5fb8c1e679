package territory

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Dimensions are what a grid can have as its columns, beside the countries that are its rows.
var Dimensions = []string{"employees", "revenue", "industry", "product line"}

// Grid is a plan as a map: each country by each class of one other dimension.
type Grid struct {
	By       string
	Columns  []string
	Rows     []GridRow
	Findings []Finding // of the whole plan: what Check says
	Searched bool      // gaps were looked for; they are only when the plan says which countries it is for
}

// GridRow is one country.
type GridRow struct {
	Country string
	Cells   []Cell
}

// Cell is the customers of one country and one class.
type Cell struct {
	Customer Customer             // one of them, of whom no more is known than that
	Result   deal.TerritoryResult // who answers for that one
	Others   []string             // the other territories that cover somebody in the cell, in the order of precedence
	Gap      *Witness             // one of them whom nobody covers; nil when there is none
	Unsure   bool                 // whether there is one takes too long to find out
	Overlaps []int                // places in Findings of the overlaps that have their witness here
}

// maxColumns bounds a grid: what has more classes is cut, and the last column says so.
const maxColumns = 24

// Grid lays the plan out by a dimension, as of an instant. It takes as long as Check does, for each column.
func (p *Plan) Grid(by string, asOf time.Time) Grid {
	c := newChecker(p, asOf)
	g := Grid{By: by, Searched: len(p.universe.countries) > 0, Findings: p.Check(asOf)}
	type column struct {
		narrow func(*box)
		set    func(*Customer)
		has    func(*Customer) bool
	}
	var columns []column
	add := func(name string, col column) {
		if len(columns) == maxColumns {
			g.Columns[maxColumns-1] = "… and more"
			return
		}
		g.Columns, columns = append(g.Columns, name), append(columns, col)
	}
	numbers := func(cuts []int64, get func(*box) *span, of func(*Customer) *int64) {
		for k, lo := range cuts {
			hi := int64(math.MaxInt64)
			if k+1 < len(cuts) {
				hi = cuts[k+1]
			}
			if lo = max(lo, 0); lo >= hi {
				continue
			}
			in := span{lo, hi}
			name := fmt.Sprintf("%d to %d", lo, hi-1)
			if hi == math.MaxInt64 {
				name = fmt.Sprintf("%d and more", lo)
			}
			add(name, column{func(b *box) { *get(b) = in }, func(x *Customer) { *of(x) = lo }, func(x *Customer) bool { return in.has(*of(x)) }})
		}
	}
	switch by {
	case "revenue":
		numbers(c.x.money.cuts, func(b *box) *span { return &b.revenue }, func(x *Customer) *int64 { return &x.Revenue })
	case "industry":
		for _, v := range c.industries {
			add(v, column{func(b *box) { b.industry = only([]string{v}) }, func(x *Customer) { x.Industry = v }, func(x *Customer) bool { return fold(x.Industry) == v }})
		}
	case "product line":
		for _, v := range c.lines {
			add(v, column{func(b *box) { b.line = only([]string{v}) }, func(x *Customer) { x.Lines = []string{v} }, func(x *Customer) bool { return len(x.Lines) > 0 && fold(x.Lines[0]) == v }})
		}
	default:
		g.By = Dimensions[0]
		numbers(c.x.staff.cuts, func(b *box) *span { return &b.employees }, func(x *Customer) *int64 { return &x.Employees })
	}
	day := asOf.Unix()
	for _, country := range c.countries {
		row := GridRow{Country: country}
		boxes := c.accepting(country, kin{}, nil)
		for _, col := range columns {
			cell := Cell{Customer: Customer{Country: country, Employees: -1, Revenue: -1, Day: asOf}}
			col.set(&cell.Customer)
			cell.Result = p.Find(cell.Customer)
			in := target{everywhere, span{day, day + 1}}
			in.country = only([]string{country})
			col.narrow(&in.box)
			if g.Searched {
				s := c.space(country, kin{}, boxes, &in, false)
				cell.Gap = s.first()
				cell.Unsure = cell.Gap == nil && s.spent()
			}
			for _, i := range boxes {
				if t := p.territories[c.x.owner[i]].ID; c.x.days[i].lo <= day && day < c.x.days[i].hi && t != cell.Result.ID && !slices.Contains(cell.Others, t) {
					if b := intersect(&c.x.boxes[i], &in.box); !empty(&b) {
						cell.Others = append(cell.Others, t)
					}
				}
			}
			for i, f := range g.Findings {
				if f.Kind == Overlap && f.Witness != nil && f.Witness.Country == country && col.has(&f.Witness.customer) {
					cell.Overlaps = append(cell.Overlaps, i)
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		g.Rows = append(g.Rows, row)
	}
	return g
}

// empty reports whether a box asks for something that is nothing.
func empty(b *box) bool {
	none := func(s set) bool { return !s.not && len(s.values) == 0 }
	return none(b.country) || none(b.region) || none(b.industry) || none(b.line) || b.employees.lo >= b.employees.hi || b.revenue.lo >= b.revenue.hi
}
