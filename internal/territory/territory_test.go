package territory

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// emea is a plan with every feature of the language.
const emea = `apiVersion: dealreg/v1
kind: TerritoryPlan
metadata:
  name: emea
  title: EMEA
  owner: sales-ops
  timezone: Europe/Berlin
  currency: EUR
  effective: {from: 2027-02-01, to: 2028-02-01}
universe:
  country: [DE, AT, CH, FR, GB]
  region: {DE: [DE-BW, DE-BY, DE-NW], FR: [FR-IDF]}
  industry: [automotive, finance, public, retail]
  employees: {breakpoints: [0, 50, 100, 500, 5000]}
  product_line: [network, security, Services]
tiers: [named, strategic, field, partner]
territories:
  - id: NAMED
    tier: named
    coverage: direct
    owner: {rep: u-100, queue: strategic-desk}
    accounts: {include: [acc-bmw, acc-axa], with_subsidiaries: true}
  - id: NAMED-ONE
    tier: named
    priority: 5
    coverage: partner
    owner: {queue: partner-desk, partner_id: P-9}
    accounts: {include: [acc-solo]}
  - id: DACH
    tier: strategic
    coverage: direct
    owner: {rep: u-210, queue: dach}
    include: {country: [DE, AT, CH], employees: ">=5000"}
    exclude:
      - {industry: [public]}
      - {country: [CH], product_line: [services]}
    accounts: {exclude: [acc-house]}
  - id: DE-SOUTH
    tier: field
    coverage: hybrid
    hybrid: {lead: partner, direct_at_or_above: 100000}
    owner: {rep: u-310, manager: u-300, queue: de-field}
    include: {country: [DE], region: [DE-BW, DE-BY], employees: "100..5000"}
  - id: MUNICH
    tier: field
    priority: 10
    coverage: partner
    owner: {rep: u-311}
    include: {country: [DE], postcode: ["80", "81", "853"]}
    exclude: [{postcode: ["8535"]}]
  - id: ALPS
    tier: field
    coverage: hybrid
    hybrid: {lead: direct}
    owner: {rep: u-320}
    include: {country: [AT, CH]}
  - id: DE-SMB
    tier: partner
    coverage: partner
    owner: {queue: smb}
    include: {country: [DE], employees: "<100"}
  - id: DE-REST
    tier: partner
    coverage: partner
    owner: {queue: rest}
    include: {country: [DE]}
  - id: FR-A
    tier: partner
    coverage: partner
    owner: {queue: fr-a}
    include: {country: [FR]}
  - id: FR-B
    tier: partner
    coverage: direct
    owner: {queue: fr-b}
    include: {country: [FR]}
    effective: {from: 2027-07-01}
  - id: GB-NET
    tier: partner
    coverage: partner
    owner: {queue: gb-net}
    include: {country: [GB], product_line: [network]}
  - id: GB-SEC
    tier: partner
    coverage: partner
    owner: {queue: gb-sec}
    include: {country: [GB], product_line: [security]}
`

func compile(t testing.TB, doc string) *Plan {
	t.Helper()
	p, err := Compile([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var spring = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

func TestFind(t *testing.T) {
	t.Parallel()
	p := compile(t, emea)
	berlin, _ := time.LoadLocation("Europe/Berlin")
	for _, c := range []struct {
		name string
		in   Customer
		want string // status id coverage [covers] unknown
	}{
		{"a named account", Customer{AccountID: "acc-bmw", Country: "DE", Employees: 100000, Industry: "automotive"}, "resolved NAMED direct [NAMED DACH DE-REST]"},
		{"its subsidiary", Customer{AccountID: "acc-mini", Ancestors: []string{"acc-rr", "acc-bmw"}, Country: "GB", Employees: -1, Lines: []string{"network"}},
			"resolved NAMED direct [NAMED GB-NET]"},
		{"a named account without its subsidiaries", Customer{AccountID: "acc-x", Ancestors: []string{"acc-solo"}, Country: "AT", Employees: 10},
			"resolved ALPS direct [ALPS]"},
		{"the account itself", Customer{AccountID: "acc-solo", Country: "AT", Employees: 10}, "resolved NAMED-ONE partner [NAMED-ONE ALPS]"},
		{"large", Customer{Country: "DE", Employees: 5000, Industry: "Automotive"}, "resolved DACH direct [DACH DE-REST]"},
		{"just below large", Customer{Country: "DE", Employees: 4999, Industry: "automotive"}, "resolved DE-REST partner [DE-REST] region postal_code"},
		{"an industry excluded", Customer{Country: "DE", Region: "DE-NW", PostalCode: "40210", Employees: 9000, Industry: "public"}, "resolved DE-REST partner [DE-REST]"},
		{"an account excluded", Customer{AccountID: "acc-house", Country: "DE", Region: "DE-NW", PostalCode: "40210", Employees: 9000, Industry: "retail"},
			"resolved DE-REST partner [DE-REST]"},
		{"a corner excluded", Customer{Country: "CH", Employees: 9000, Industry: "retail", Lines: []string{"services"}}, "resolved ALPS direct [ALPS]"},
		{"outside the corner", Customer{Country: "CH", Employees: 9000, Industry: "retail", Lines: []string{"network"}}, "resolved DACH direct [DACH ALPS]"},
		{"lines that part", Customer{Country: "CH", Employees: 9000, Industry: "retail"}, "ambiguous DACH direct [DACH ALPS]"},
		{"hybrid below", Customer{Country: "DE", Region: "DE-BY", PostalCode: "90402", Employees: 200, Industry: "retail", Amount: 99999.99, AmountKnown: true},
			"resolved DE-SOUTH partner [DE-SOUTH DE-REST]"},
		{"hybrid at", Customer{Country: "DE", Region: "DE-BY", PostalCode: "90402", Employees: 200, Industry: "retail", Amount: 100000, AmountKnown: true},
			"resolved DE-SOUTH direct [DE-SOUTH DE-REST]"},
		{"hybrid without an amount", Customer{Country: "DE", Region: "DE-BY", PostalCode: "90402", Employees: 200, Industry: "retail"},
			"resolved DE-SOUTH partner [DE-SOUTH DE-REST] amount"},
		{"a postal code by priority", Customer{Country: "DE", Region: "DE-BY", PostalCode: "D-80331", Employees: 200}, "resolved MUNICH partner [MUNICH DE-SOUTH DE-REST]"},
		{"a postal code", Customer{Country: "DE", Region: "DE-BY", PostalCode: "80 331", Employees: 200, Industry: "retail"}, "resolved MUNICH partner [MUNICH DE-SOUTH DE-REST]"},
		{"a longer prefix", Customer{Country: "DE", PostalCode: "85301", Employees: 20, Industry: "retail"}, "resolved MUNICH partner [MUNICH DE-SMB DE-REST]"},
		{"an excluded prefix", Customer{Country: "DE", PostalCode: "85350", Employees: 20, Industry: "retail"}, "resolved DE-SMB partner [DE-SMB DE-REST]"},
		{"narrower first", Customer{Country: "DE", PostalCode: "40210", Employees: 99, Industry: "retail"}, "resolved DE-SMB partner [DE-SMB DE-REST]"},
		{"unknown size", Customer{Country: "DE", Region: "DE-NW", PostalCode: "40210", Employees: -1, Industry: "retail"}, "resolved DE-REST partner [DE-REST] employees"},
		{"only ids differ, before", Customer{Country: "FR", Employees: 1}, "resolved FR-A partner [FR-A]"},
		{"only ids differ, after", Customer{Country: "FR", Employees: 1, Day: time.Date(2027, 7, 1, 0, 0, 0, 0, berlin)}, "ambiguous FR-A unknown [FR-A FR-B]"},
		{"one instant before", Customer{Country: "FR", Employees: 1, Day: time.Date(2027, 7, 1, 0, 0, 0, 0, berlin).Add(-1)}, "resolved FR-A partner [FR-A]"},
		{"a line", Customer{Country: "GB", Employees: 1, Lines: []string{"Network"}}, "resolved GB-NET partner [GB-NET]"},
		{"two lines, two owners", Customer{Country: "GB", Employees: 1, Lines: []string{"network", "security"}}, "ambiguous GB-NET partner [GB-NET GB-SEC]"},
		{"a line nobody has", Customer{Country: "GB", Employees: 1, Lines: []string{"network", "services"}}, "ambiguous GB-NET unknown [GB-NET]"},
		{"nowhere", Customer{Country: "US", Region: "US-CA", PostalCode: "94105", Industry: "retail", Employees: 1}, "none  unknown []"},
		{"nothing known", Customer{Employees: -1}, "none  unknown [] country region postal_code industry employees"},
		{"lower case", Customer{Country: "at", Employees: 1}, "resolved ALPS direct [ALPS]"},
		{"before the plan", Customer{Country: "AT", Employees: 1, Day: time.Date(2027, 1, 31, 22, 59, 59, 0, time.UTC)}, "none  unknown []"},
		{"the plan's first instant", Customer{Country: "AT", Employees: 1, Day: time.Date(2027, 1, 31, 23, 0, 0, 0, time.UTC)}, "resolved ALPS direct [ALPS]"},
		{"after the plan", Customer{Country: "AT", Employees: 1, Day: time.Date(2028, 1, 31, 23, 0, 0, 0, time.UTC)}, "none  unknown []"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.in.Day.IsZero() {
				c.in.Day = spring
			}
			r := p.Find(c.in)
			got := strings.TrimSpace(fmt.Sprintf("%s %s %s %v %s", r.Status, r.ID, r.Coverage, r.Covers, strings.Join(r.Unknown, " ")))
			if got != c.want {
				t.Errorf("\n got %s\nwant %s\n(%s)", got, c.want, r.Why)
			}
			if r.Why == "" {
				t.Error("no reason is given")
			}
			if (r.Owner != deal.Owner{}) != (r.Status == Resolved) {
				t.Errorf("owner %+v in a result that is %s", r.Owner, r.Status)
			}
		})
	}
}

func TestWhy(t *testing.T) {
	t.Parallel()
	p := compile(t, emea)
	for _, c := range []struct {
		in   Customer
		want string
	}{
		{Customer{Country: "AT", Employees: 1}, "ALPS is the only territory that covers this customer; hybrid, led by direct."},
		{Customer{Country: "DE", Employees: 9000, Industry: "retail"}, "DACH comes before DE-REST: tier strategic before partner."},
		{Customer{Country: "DE", Region: "DE-BY", PostalCode: "80331", Employees: 200}, "MUNICH comes before DE-SOUTH: priority 10 before 0."},
		{Customer{Country: "DE", Employees: 20}, "DE-SMB comes before DE-REST: it is narrower."},
		{Customer{Country: "DE", Region: "DE-BY", Employees: 200, Amount: 250000, AmountKnown: true},
			"DE-SOUTH comes before DE-REST: tier field before partner; hybrid, 250000 is at or above 100000."},
		{Customer{Country: "GB", Employees: 1, Lines: []string{"network", "security"}}, "Product lines lead to different territories: network: GB-NET, security: GB-SEC."},
		{Customer{Country: "US", Employees: 1}, "No territory covers this customer."},
	} {
		c.in.Day = spring
		if got := p.Find(c.in).Why; got != c.want {
			t.Errorf("%+v\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

// What the plan says is compared with a plain reading of the document, territory by territory, on random plans and
// customers.

type truth int

const (
	no truth = iota
	maybe
	yes
)

func asked(values []string, v string, same func(asked, v string) bool) truth {
	switch {
	case values == nil:
		return yes
	case v == "":
		return maybe
	case slices.ContainsFunc(values, func(a string) bool { return same(a, v) }):
		return yes
	}
	return no
}

func equal(a, b string) bool { return a == b }

func (d *boxDoc) read(c *Customer, line string) []truth {
	number := func(text string, v int64) truth {
		if text == "" || text == ">=0" { // which asks for nothing
			return yes
		}
		lo, hi, _ := parseRange(text)
		switch {
		case v < 0:
			return maybe
		case v < lo || v >= hi:
			return no
		}
		return yes
	}
	return []truth{asked(d.Country, c.Country, equal), asked(d.Region, c.Region, equal), asked(d.Industry, c.Industry, equal), asked(d.Line, line, equal),
		asked(d.PostalCode, c.PostalCode, func(a, v string) bool { return strings.HasPrefix(v, a) }),
		number(d.Employees, c.Employees), number(d.Revenue, c.Revenue)}
}

func (d *territoryDoc) reads(c *Customer, line string) bool {
	for _, t := range d.Include.read(c, line) {
		if t != yes {
			return false
		}
	}
	for i := range d.Exclude {
		if !slices.Contains(d.Exclude[i].read(c, line), no) {
			return false
		}
	}
	kin := func(list []string) bool {
		return c.AccountID != "" && (slices.Contains(list, c.AccountID) ||
			d.Accounts.WithSubsidiaries && slices.ContainsFunc(c.Ancestors, func(a string) bool { return slices.Contains(list, a) }))
	}
	if d.Accounts.Include != nil && !kin(d.Accounts.Include) || kin(d.Accounts.Exclude) {
		return false
	}
	day := c.Day.Format(time.DateOnly)
	return (d.Effective.From == "" || day >= d.Effective.From) && (d.Effective.To == "" || day < d.Effective.To)
}

func (d *territoryDoc) narrowness() (n int) {
	i := d.Include
	for _, is := range []bool{i.Country != nil, i.Region != nil, i.PostalCode != nil, i.Industry != nil, i.Line != nil, i.Employees != "" && i.Employees != ">=0", i.Revenue != "" && i.Revenue != ">=0"} {
		if is {
			n++
		}
	}
	if d.Accounts.Include != nil {
		n += 100
	}
	return n
}

var (
	someCountries  = []string{"DE", "AT", "FR", "US"}
	someRegions    = []string{"DE-BY", "DE-BW", "AT-5", "FR-IDF", "US-CA"}
	someIndustries = []string{"automotive", "finance", "public", "retail"}
	someLines      = []string{"network", "security", "services"}
	somePostals    = []string{"8", "80", "803", "81", "9", "94", "A1"}
	someAccounts   = []string{"acc-1", "acc-2", "acc-3", "acc-4", "acc-5"}
	someDays       = []string{"2027-01-01", "2027-03-01", "2027-06-01", "2027-09-01"}
)

func some(r *rand.Rand, list []string) []string {
	var out []string
	for _, v := range list {
		if r.IntN(len(list)) == 0 {
			out = append(out, v)
		}
	}
	if out == nil {
		out = []string{list[r.IntN(len(list))]}
	}
	return out
}

func randomBox(r *rand.Rand, ask int, country []string) boxDoc {
	var b boxDoc
	pick := func() bool { return r.IntN(10) < ask }
	if country == nil && pick() {
		b.Country = some(r, someCountries)
	}
	if pick() && country == nil && b.Country == nil {
		b.Region = some(r, someRegions)
	}
	if pick() {
		b.Industry = some(r, someIndustries)
	}
	if pick() {
		b.Line = some(r, someLines)
	}
	if pick() && (len(b.Country) == 1 || len(country) == 1) {
		b.PostalCode = some(r, somePostals)
	}
	for _, into := range []*string{&b.Employees, &b.Revenue} {
		if a := r.IntN(5) * 100; pick() {
			*into = []string{fmt.Sprintf(">=%d", a), fmt.Sprintf("<%d", a+1), fmt.Sprintf("%d..%d", a, a+1+r.IntN(300))}[r.IntN(3)]
		}
	}
	return b
}

func (d boxDoc) yaml() string {
	var parts []string
	add := func(name string, v []string) {
		if v != nil {
			parts = append(parts, name+`: ["`+strings.Join(v, `", "`)+`"]`)
		}
	}
	add("country", d.Country)
	add("region", d.Region)
	add("postcode", d.PostalCode)
	add("industry", d.Industry)
	add("product_line", d.Line)
	if d.Employees != "" {
		parts = append(parts, `employees: "`+d.Employees+`"`)
	}
	if d.Revenue != "" {
		parts = append(parts, `revenue: "`+d.Revenue+`"`)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// lies says where some postal codes lie, and lying says it again.
const lies = "universe:\n  postcode: {DE-BY: [\"8\", \"94\"], DE-BW: [\"803\"], US-CA: [\"9\"]}\n"

func lying(c Customer) Customer {
	if len(c.Region) > 2 && c.Country == "" {
		c.Country = strings.Split(c.Region, "-")[0]
	}
	if c.Region == "" {
		for _, l := range []struct{ country, begins, region string }{{"DE", "803", "DE-BW"}, {"DE", "8", "DE-BY"}, {"DE", "94", "DE-BY"}, {"US", "9", "US-CA"}} {
			if c.Country == l.country && strings.HasPrefix(c.PostalCode, l.begins) {
				c.Region = l.region
				break
			}
		}
	}
	return c
}

func randomPlan(r *rand.Rand, n int) ([]territoryDoc, string) {
	var s strings.Builder
	s.WriteString("apiVersion: dealreg/v1\nkind: TerritoryPlan\nmetadata: {name: random, timezone: UTC}\n" + lies + "tiers: [a, b, c]\nterritories:\n")
	var out []territoryDoc
	for i := range n {
		d := territoryDoc{ID: fmt.Sprintf("T%03d", i), Tier: []string{"a", "b", "c"}[r.IntN(3)], Priority: r.IntN(2), Coverage: []string{"direct", "partner"}[r.IntN(2)]}
		d.Include = randomBox(r, 4, nil)
		for range r.IntN(3) {
			if ex := randomBox(r, 3, d.Include.Country); ex.yaml() != "{}" && !strings.Contains(ex.yaml(), `">=0"`) {
				d.Exclude = append(d.Exclude, ex)
			}
		}
		if r.IntN(4) == 0 {
			d.Accounts.Include = some(r, someAccounts)
		}
		if r.IntN(4) == 0 {
			d.Accounts.Exclude = some(r, someAccounts)
		}
		d.Accounts.WithSubsidiaries = r.IntN(2) == 0
		if r.IntN(4) == 0 {
			k := r.IntN(len(someDays) - 1)
			d.Effective = effectiveDoc{From: someDays[k], To: someDays[k+1]}
		}
		fmt.Fprintf(&s, "  - {id: %s, tier: %s, priority: %d, coverage: %s, owner: {queue: q%d}, include: %s", d.ID, d.Tier, d.Priority, d.Coverage, i, d.Include.yaml())
		if d.Exclude != nil {
			var ex []string
			for _, e := range d.Exclude {
				ex = append(ex, e.yaml())
			}
			fmt.Fprintf(&s, ", exclude: [%s]", strings.Join(ex, ", "))
		}
		var acc []string
		if d.Accounts.Include != nil {
			acc = append(acc, "include: ["+strings.Join(d.Accounts.Include, ", ")+"]")
		}
		if d.Accounts.Exclude != nil {
			acc = append(acc, "exclude: ["+strings.Join(d.Accounts.Exclude, ", ")+"]")
		}
		acc = append(acc, fmt.Sprintf("with_subsidiaries: %v", d.Accounts.WithSubsidiaries))
		fmt.Fprintf(&s, ", accounts: {%s}", strings.Join(acc, ", "))
		if d.Effective.From != "" {
			fmt.Fprintf(&s, ", effective: {from: %s, to: %s}", d.Effective.From, d.Effective.To)
		}
		s.WriteString("}\n")
		out = append(out, d)
	}
	return out, s.String()
}

func randomCustomer(r *rand.Rand) Customer {
	or := func(list []string, other string) string {
		switch r.IntN(len(list) + 3) {
		case 0:
			return ""
		case 1:
			return other
		}
		return list[r.IntN(len(list))]
	}
	c := Customer{Country: or(someCountries, "JP"), Region: or(someRegions, "JP-13"), Industry: or(someIndustries, "energy"), Employees: int64(r.IntN(900)) - 100, Revenue: int64(r.IntN(700)) - 100,
		PostalCode: or([]string{"80331", "81000", "8", "94105", "A1B2", "90", "7"}, "55555"), AccountID: or(someAccounts, "acc-9"), Lines: []string{or(someLines, "cloud")}}
	c.Employees, c.Revenue = max(c.Employees, -1), max(c.Revenue, -1)
	if c.Lines[0] == "" {
		c.Lines[0] = "cloud"
	}
	if c.AccountID != "" {
		for range r.IntN(3) {
			c.Ancestors = append(c.Ancestors, someAccounts[r.IntN(len(someAccounts))])
		}
	}
	c.Day = time.Date(2027, time.Month(1+r.IntN(12)), 1, 0, 0, 0, 0, time.UTC)
	return c
}

func TestAgainstPlainReading(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	covered, unknown := 0, 0
	for range 60 {
		docs, text := randomPlan(r, 1+r.IntN(150))
		p, err := Compile([]byte(text))
		if err != nil {
			// A random territory may exclude all of itself, which is an error of its own.
			for _, e := range errorsOf(t, err) {
				if !strings.Contains(e.Message, "leave nothing") {
					t.Fatalf("%v in\n%s", err, text)
				}
			}
			continue
		}
		tier := map[string]int{"a": 0, "b": 1, "c": 2}
		slices.SortFunc(docs, func(a, b territoryDoc) int {
			for _, d := range []int{tier[a.Tier] - tier[b.Tier], b.Priority - a.Priority, b.narrowness() - a.narrowness()} {
				if d != 0 {
					return d
				}
			}
			return strings.Compare(a.ID, b.ID)
		})
		for range 400 {
			c := randomCustomer(r)
			var want []string
			full := lying(c)
			for i := range docs {
				if docs[i].reads(&full, c.Lines[0]) {
					want = append(want, docs[i].ID)
				}
			}
			got := p.Find(c)
			if !slices.Equal(got.Covers, want) {
				t.Fatalf("%+v\n got %v\nwant %v\n%s", c, got.Covers, want, text)
			}
			winner := ""
			if w := p.Winner(&c, c.Lines[0]); w >= 0 {
				winner = p.Territories()[w].ID
			}
			if want == nil {
				want = []string{""}
			} else {
				covered++
			}
			if winner != want[0] || got.ID != want[0] {
				t.Fatalf("%+v\nwinner %q, found %q, want %q", c, winner, got.ID, want[0])
			}
			if len(got.Unknown) > 0 {
				unknown++
			}
			// What is said to be unable to change the answer must not: fill in a field that is not listed.
			if c.Employees < 0 && !slices.Contains(got.Unknown, "employees") {
				for _, n := range []int64{0, 50, 150, 250, 350, 1000} {
					d := c
					d.Employees = n
					if g := p.Find(d); got.Status == Resolved && g.Status == Resolved && (g.Coverage != got.Coverage || g.Owner != got.Owner) && len(got.Unknown) == 0 {
						t.Fatalf("%+v\n%d employees change %s to %s, and employees is not among the unknown", c, n, got.ID, g.ID)
					}
				}
			}
		}
	}
	if covered < 2000 || unknown < 500 {
		t.Fatalf("the random worlds prove little: %d customers covered, %d unknowns", covered, unknown)
	}
}

// errorsOf returns what Compile found wrong.
func errorsOf(t *testing.T, err error) Errors {
	t.Helper()
	errs, ok := errors.AsType[Errors](err)
	if !ok {
		t.Fatalf("not an error of the document: %v", err)
	}
	return errs
}

func TestCompileErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, old, new, want string }{
		{"misspelt field", "    coverage: direct\n    owner: {rep: u-100", "    coverag: direct\n    owner: {rep: u-100", `20:5: territories[0].coverag: there is no field "coverag" here; did you mean "coverage"?`},
		{"unknown tier", "tier: strategic", "tier: stategic", `30:11: territories[2].tier: "stategic" is not one of the tiers named, strategic, field, partner; did you mean strategic?`},
		{"a region elsewhere", "[DE-BW, DE-BY], emp", "[DE-BW, FR-IDF], emp", `43:46: territories[3].include.region[1]: FR-IDF is not in DE`},
		{"not in the universe", "industry: [public]}", "industry: [publik]}", `35:21: territories[2].exclude[0].industry[0]: universe.industry does not list "publik"; did you mean public?`},
		{"not a country", "[AT, CH]}", "[AT, XX]}", `56:29: territories[5].include.country[1]: "XX" is not an ISO 3166-1 alpha-2 country code such as DE or US`},
		{"a bad range", `"100..5000"`, `"100-5000"`, `43:65: territories[3].include.employees: "100-5000" is not a range`},
		{"an empty range", `"100..5000"`, `"100..100"`, `is not a range`},
		{"postal codes of many countries", `{country: [DE], postcode: ["80"`, `{country: [DE, AT], postcode: ["80"`, `postal codes repeat between countries`},
		{"hybrid without a lead", "{lead: direct}", "{lead: both}", `"both" is not one of direct, partner`},
		{"twice", "id: ALPS", "id: MUNICH", `51:9: territories[5].id: MUNICH is the id of another territory`},
		{"nobody answers", "owner: {rep: u-311}", "owner: {}", `name who answers for it`},
		{"excluded entirely", `exclude: [{postcode: ["8535"]}]`, `exclude: [{postcode: ["8"]}]`, `leave nothing of this territory`},
		{"an exclusion of everything", `exclude: [{postcode: ["8535"]}]`, `exclude: [{}]`, `excludes everything`},
		{"dates in the wrong order", "{from: 2027-07-01}", "{from: 2027-07-01, to: 2027-06-01}", `ends before it begins`},
		{"not a zone", "Europe/Berlin", "Mars/Olympus", `7:13: metadata.timezone: "Mars/Olympus" is not a time zone such as Europe/Berlin or UTC`},
		{"an empty list", "accounts: {exclude: [acc-house]}", "accounts: {exclude: []}", `an empty list names no account`},
		{"another kind", "kind: TerritoryPlan", "kind: Policy", `2:7: kind: "Policy" is not kind: TerritoryPlan`},
		{"not YAML", "tiers: [named", "tiers: [named}", `not YAML`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(emea, c.old) {
				t.Fatalf("the plan has no %q", c.old)
			}
			_, err := Compile([]byte(strings.Replace(emea, c.old, c.new, 1)))
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("\n got %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	p := compile(t, emea)
	ref := p.WithVersion(3).Ref()
	if ref.Name != "emea" || ref.Version != 3 || !strings.HasPrefix(ref.Digest, "sha256:") || len(ref.Digest) != 71 {
		t.Errorf("ref %+v", ref)
	}
	if p.Ref().Version != 0 {
		t.Error("WithVersion changed the draft")
	}
	if p.Currency() != "EUR" || p.Title() != "EMEA" || string(p.Source()) != emea {
		t.Error("currency, title or source is not the document's")
	}
	if ts := p.Territories(); len(ts) != 12 || ts[0].ID != "NAMED-ONE" || ts[1].ID != "NAMED" {
		t.Errorf("territories are not in the order of precedence: %v", ts)
	}
	if !IsPlan([]byte(emea)) || IsPlan([]byte("kind: Policy")) || IsPlan([]byte("{")) {
		t.Error("IsPlan does not tell plans from other documents")
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(emea)
	f.Add("apiVersion: dealreg/v1\nkind: TerritoryPlan\nterritories: [{include: {employees: \"..\"}}]")
	f.Add("apiVersion: dealreg/v1\nkind: TerritoryPlan\nmetadata: &a {x: *a}\n")
	f.Fuzz(func(t *testing.T, doc string) {
		p, err := Compile([]byte(doc))
		if err != nil {
			for _, e := range errorsOf(t, err) {
				if e.Line < 1 || e.Column < 1 || e.Message == "" {
					t.Fatalf("an error without a place: %+v", e)
				}
			}
			return
		}
		p.Find(Customer{Country: "DE", PostalCode: "80331", Employees: 10, Day: spring})
	})
}
