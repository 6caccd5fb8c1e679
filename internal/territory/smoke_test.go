package territory

import (
	"testing"
	"time"
)

const plan1 = `
apiVersion: dibs/v1
kind: TerritoryPlan
metadata: {name: emea-fy27, timezone: Europe/Berlin, effective: {from: 2027-02-01, to: 2028-02-01}}
tiers: [named, strategic, field, partner, default]
territories:
  - id: NAMED
    tier: named
    coverage: direct
    owner: {rep: u-100, queue: strategic-desk}
    accounts: {include: [acc-bmw], with_subsidiaries: true}
  - id: DACH
    tier: strategic
    coverage: direct
    owner: {rep: u-210}
    include: {country: [DE, AT, CH], employees: ">=5000"}
    exclude:
      - {industry: [public]}
      - {country: [CH], line: [services]}
  - id: DE-SOUTH
    tier: field
    coverage: hybrid
    hybrid: {lead: partner, direct_at_or_above: 100000}
    owner: {rep: u-310}
    include: {country: [DE], region: [DE-BY], employees: ">=100"}
  - id: SMB
    tier: partner
    coverage: partner
    owner: {queue: pd}
    include: {country: [DE]}
`

func TestSmoke(t *testing.T) {
	p, err := Compile([]byte(plan1))
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []Customer{{Country: "DE", Region: "DE-BY", Employees: 200, Day: day, Amount: 1, AmountKnown: true}, {Country: "DE", Employees: -1, Day: day}, {AccountID: "x", Ancestors: []string{"acc-bmw"}, Day: day}, {Country: "DE", Employees: 6000, Industry: "Auto", Day: day}, {Country: "CH", Employees: 6000, Industry: "Auto", Day: day}} {
		t.Logf("%+v", p.Find(c))
	}
}
