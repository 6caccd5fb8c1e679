package desk

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/territory"
)

// territoriesView is the live plan as a map.
type territoriesView struct {
	none     bool // no plan is published
	name     string
	version  int
	title    string
	by       []choice
	grid     territory.Grid
	rows     []gridRow
	cell     *cellView
	gaps     int
	overlaps int
	findings []findingRow
	hidden   int
	versions []versionRow
	list     []territoryRow
	cut      int
}

type gridRow struct {
	country string
	cells   []gridCell
}

type gridCell struct {
	text, href, label, tone string
	others, overlaps        int
	gap, unsure, current    bool
}

// cellView is one cell, opened: the customer behind it and what it shows.
type cellView struct {
	country, column string
	witness         string // the customer in words
	result          territoryView
	others          []string
	gap             string // a customer nobody covers, in words
	unsure          bool
	overlaps        []findingRow
}

type findingRow struct {
	f       territory.Finding
	tone    string
	witness string
}

type territoryRow struct {
	t        territory.Territory
	owner    string
	coverage string
}

// maxFindings and maxTerritories bound the page; `dibs policy check` prints all.
const (
	maxFindings    = 100
	maxTerritories = 300
)

// gridKept keeps the last grids of the live plan: each takes as long as a check of it.
type gridKept struct {
	digest string
	day    string
	by     map[string]territory.Grid
}

func (d *Desk) grid(p *territory.Plan, by string, now time.Time) territory.Grid {
	d.compiled.mu.Lock()
	defer d.compiled.mu.Unlock()
	k := &d.compiled.grids
	if day := now.In(p.Timezone()).Format(time.DateOnly); k.digest != p.Ref().Digest || k.day != day {
		*k = gridKept{p.Ref().Digest, day, map[string]territory.Grid{}}
	}
	if g, ok := k.by[by]; ok {
		return g
	}
	g := p.Grid(by, now)
	k.by[by] = g
	return g
}

func territoriesPage(v *visit) (view, error) {
	out := territoriesView{}
	docs, err := v.d.engine.Documents(v.ctx(), deal.TerritoryDocument)
	if err != nil {
		return view{}, err
	}
	p, err := v.d.livePlan()
	if errors.Is(err, deal.ErrNotFound) {
		out.none = true
		return view{title: "Territories", nav: "Territories", body: territoriesBody(out)}, nil
	} else if err != nil {
		return view{}, err
	}
	q := v.r.URL.Query()
	by := q.Get("by")
	if by == "" {
		by = territory.Dimensions[0]
	}
	if !slices.Contains(territory.Dimensions, by) {
		return view{}, badRequest("by is one of " + strings.Join(territory.Dimensions, ", "))
	}
	out.name, out.version, out.title = p.Ref().Name, p.Ref().Version, p.Title()
	out.versions = v.versions(docs, p.Ref().Version, "")
	for _, b := range territory.Dimensions {
		out.by = append(out.by, choice{name: "By " + b, href: pathWith(Root+"/territories", url.Values{"by": {b}}), current: b == by})
	}
	out.grid = v.d.grid(p, by, v.now)
	coverage := map[string]string{}
	for i, t := range p.Territories() {
		coverage[t.ID] = t.Coverage
		if i >= maxTerritories {
			out.cut++
			continue
		}
		row := territoryRow{t: t, owner: v.territory(deal.TerritoryResult{Owner: t.Owner}, nil).owner, coverage: t.Coverage}
		if t.Coverage == "hybrid" && t.DirectAtOrAbove != nil {
			row.coverage = "direct from " + strconv.FormatFloat(*t.DirectAtOrAbove, 'f', -1, 64) + " " + p.Currency() + " on, else partner"
		}
		out.list = append(out.list, row)
	}
	wantCountry, wantColumn := q.Get("country"), q.Get("column")
	for _, r := range out.grid.Rows {
		row := gridRow{country: r.Country}
		for i := range r.Cells {
			c := &r.Cells[i]
			column := out.grid.Columns[i]
			cell := gridCell{text: c.Result.ID, others: len(c.Others), overlaps: len(c.Overlaps), gap: c.Gap != nil, unsure: c.Unsure,
				href: pathWith(Root+"/territories", url.Values{"by": {by}, "country": {r.Country}, "column": {column}}) + "#cell", current: r.Country == wantCountry && column == wantColumn}
			switch {
			case c.Result.ID == "" && c.Gap != nil:
				cell.text, cell.tone = "gap", "gap"
			case c.Result.ID == "":
				cell.text, cell.tone = cmpOr(c.Result.Status == territory.Ambiguous, "depends", "nobody"), "mute"
			default:
				cell.tone = coverage[c.Result.ID]
			}
			cell.label = fmt.Sprintf("%s, %s %s: %s", r.Country, by, column, cell.text)
			if cell.gap {
				out.gaps++
				cell.label += "; somebody is covered by nobody"
			}
			if cell.overlaps > 0 {
				out.overlaps += cell.overlaps
				cell.label += "; " + count(cell.overlaps, "overlap", "overlaps")
			}
			if cell.current {
				out.cell = v.cellView(r.Country, column, c, out.grid.Findings)
			}
			row.cells = append(row.cells, cell)
		}
		out.rows = append(out.rows, row)
	}
	for _, f := range out.grid.Findings {
		if len(out.findings) == maxFindings {
			out.hidden++
			continue
		}
		out.findings = append(out.findings, findingOf(f))
	}
	return view{title: "Territories", nav: "Territories", body: territoriesBody(out)}, nil
}

func cmpOr(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

func findingOf(f territory.Finding) findingRow {
	row := findingRow{f: f, tone: map[string]string{territory.SeverityError: "bad", territory.SeverityWarn: "warn"}[f.Severity]}
	if row.tone == "" {
		row.tone = "mute"
	}
	if f.Witness != nil {
		row.witness = f.Witness.String()
	}
	return row
}

func (v *visit) cellView(country, column string, c *territory.Cell, findings []territory.Finding) *cellView {
	w := territory.Witness{Country: country}
	if n := c.Customer.Employees; n >= 0 {
		w.Employees = &n
	}
	if n := c.Customer.Revenue; n >= 0 {
		w.Revenue = &n
	}
	w.Industry = c.Customer.Industry
	if len(c.Customer.Lines) > 0 {
		w.Line = c.Customer.Lines[0]
	}
	out := &cellView{country: country, column: column, witness: w.String(), result: v.territory(c.Result, nil), others: c.Others, unsure: c.Unsure}
	if c.Gap != nil {
		out.gap = c.Gap.String()
	}
	for _, i := range c.Overlaps {
		out.overlaps = append(out.overlaps, findingOf(findings[i]))
	}
	return out
}
