package territory

import (
	"slices"
	"testing"
	"time"
)

const gridPlan = `
apiVersion: dealreg/v1
kind: TerritoryPlan
metadata: {name: grid, timezone: UTC, currency: EUR}
universe:
  country: [DE, FR]
  industry: [energy, retail]
tiers: [main]
policy: {overlap_within_tier: warn}
territories:
  - {id: DE-SMALL, tier: main, coverage: partner, owner: {queue: q}, include: {country: [DE], employees: "<1000"}}
  - {id: DE-LARGE, tier: main, coverage: direct, owner: {queue: q}, include: {country: [DE], employees: ">=1000"}}
  - {id: FR-ENERGY, tier: main, coverage: direct, owner: {queue: q}, include: {country: [FR], industry: [energy]}}
  - {id: FR-GIANTS, tier: main, coverage: direct, owner: {queue: q}, include: {country: [FR], industry: [energy], employees: ">=50000"}}
`

// Every cell says who answers for a customer of it, whom nobody covers, and where two meet; and each witness lies in its cell and
// shows what it is said to show.
func TestGrid(t *testing.T) {
	p, err := Compile([]byte(gridPlan))
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	g := p.Grid("employees", day)
	if want := []string{"0 to 999", "1000 to 49999", "50000 and more"}; !slices.Equal(g.Columns, want) {
		t.Fatalf("columns %v, want %v", g.Columns, want)
	}
	for _, row := range g.Rows {
		for i, cell := range row.Cells {
			if w := cell.Gap; (w != nil) != (row.Country == "FR") {
				t.Errorf("%s %s: gap %v", row.Country, g.Columns[i], w)
			} else if w != nil && (p.Find(w.Customer()).Status != None || w.Country != "FR" || w.Industry != "retail") {
				t.Errorf("%s %s: %s is no customer whom nobody covers: %+v", row.Country, g.Columns[i], w, p.Find(w.Customer()))
			}
			if want := row.Country == "FR" && i == 2; (len(cell.Overlaps) > 0) != want {
				t.Errorf("%s %s: overlaps %v", row.Country, g.Columns[i], cell.Overlaps)
			}
		}
	}
	de := g.Rows[0].Cells
	if de[0].Result.ID != "DE-SMALL" || de[1].Result.ID != "DE-LARGE" || len(de[0].Others) != 0 {
		t.Errorf("Germany: %+v", de)
	}
	if fr := g.Rows[1].Cells; fr[0].Result.ID != "" || !slices.Equal(fr[0].Others, []string{"FR-ENERGY"}) || len(fr[2].Others) != 2 {
		t.Errorf("France: %+v", fr)
	}
	if g := p.Grid("industry", day); !slices.Equal(g.Columns, []string{"energy", "retail"}) || g.Rows[1].Cells[0].Gap != nil || g.Rows[1].Cells[1].Gap == nil {
		t.Errorf("by industry: %+v", g)
	}
}
