package world

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Territories returns the territory plan, as its YAML document. It covers everything in its universe: what no other
// territory takes falls to the default tier.
func Territories() []byte { return slices.Clone(plan()) }

// usRegions are the parts the United States are cut into.
var usRegions = []struct{ id, states string }{
	{"WEST", "AK AZ CA CO HI ID MT NM NV OR UT WA WY"},
	{"CENTRAL", "AR IA IL IN KS LA MI MN MO ND NE OH OK SD TX WI"},
	{"EAST", "AL CT DC DE FL GA KY MA MD ME MS NC NH NJ NY PA PR RI SC TN VA VT WV"},
}

// planned are the countries of the universe, by the team that sells there directly; the queue is direct-team-….
var planned = []struct {
	id, queue string
	countries []string
	partners  string // the desk of the partners
}{
	{"DE", "direct-team-de", []string{"DE"}, "emea"},
	{"ALPS", "direct-team-alps", []string{"AT", "CH", "LU"}, "emea"},
	{"BENELUX", "direct-team-benelux", []string{"NL", "BE"}, "emea"},
	{"FR", "direct-team-fr", []string{"FR"}, "emea"},
	{"SOUTH", "direct-team-south", []string{"ES", "PT", "IT"}, "emea"},
	{"GB", "direct-team-gb", []string{"GB", "IE"}, "emea"},
	{"NORDICS", "direct-team-nordics", []string{"FI", "SE", "NO", "DK", "PL", "CZ"}, "emea"},
	{"CA", "direct-team-ca", []string{"CA"}, "amer"},
	{"JP", "direct-team-jp", []string{"JP"}, "apac"},
	{"AU", "direct-team-au", []string{"AU"}, "apac"},
}

// others are in the universe, and nobody's until they grow: the default tier's. New Zealand is one partner's.
var others = []string{"HU", "GR", "ZA", "KR", "IN", "SG", "BR", "MX", "AR", "CL"}

var plan = sync.OnceValue(func() []byte {
	var named, industryNames []string
	for a := range Accounts() {
		if a.Named {
			named = append(named, a.ID)
		}
	}
	for _, i := range industries {
		industryNames = append(industryNames, i.name)
	}
	industryNames = append(industryNames, otherIndustry)
	countries := []string{"US", "NZ"}
	for _, p := range planned {
		countries = append(countries, p.countries...)
	}
	countries = append(countries, others...)
	slices.Sort(countries)
	var states []string
	for _, r := range usRegions {
		states = append(states, usStates(r.states)...)
	}
	slices.Sort(states)

	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# The demo's territory plan. The organisations are real, who sells to them is not.")
	p("apiVersion: dealreg/v1")
	p("kind: TerritoryPlan")
	p("metadata:")
	p("  name: demo-world")
	p("  owner: territory-ops@vendor.example")
	p("  timezone: UTC")
	p("  currency: EUR")
	p("  change: first plan")
	p("universe:")
	p("  country: %s", list(countries))
	p("  region:")
	p("    US: %s", list(states))
	p("  industry: %s", list(industryNames))
	p("  employees: {breakpoints: [0, 50, 250, 1000, 5000, 20000]}")
	p("  product_line: %s", list(Lines))
	p("tiers: [named, strategic, field, partner, default]")
	p("territories:")
	territory := func(id, tier, coverage, owner, include string, more ...string) {
		p("  - id: %s", id)
		p("    tier: %s", tier)
		p("    coverage: %s", coverage)
		p("    owner: {%s}", owner)
		if include != "" {
			p("    include: {%s}", include)
		}
		for _, line := range more {
			p("    %s", line)
		}
	}
	rep := func(country, queue string) string {
		return fmt.Sprintf("rep: %s, manager: u-100, queue: %s", reps[country], queue)
	}

	territory("NAMED", "named", "direct", "rep: u-100, manager: u-001, queue: strategic-desk", "",
		"accounts:", "  with_subsidiaries: true", "  include:")
	for _, id := range named {
		p("        - %s", id)
	}
	for _, t := range planned {
		territory(t.id+"-ENTERPRISE", "strategic", "direct", rep(t.countries[0], t.queue), fmt.Sprintf(`country: %s, employees: ">=5000"`, list(t.countries)))
	}
	territory("US-PUBLIC", "strategic", "direct", rep("US", "direct-team-us"), "country: [US], industry: [public]")
	territory("US-ENTERPRISE", "strategic", "direct", rep("US", "direct-team-us"), `country: [US], employees: ">=5000"`, "exclude:", "  - {industry: [public]}")
	for _, t := range planned {
		territory(t.id+"-FIELD", "field", "hybrid", rep(t.countries[0], t.queue), fmt.Sprintf(`country: %s, employees: "1000..5000"`, list(t.countries)),
			"hybrid: {lead: partner, direct_at_or_above: 250000}")
	}
	for _, r := range usRegions {
		territory("US-"+r.id+"-FIELD", "field", "hybrid", rep("US", "direct-team-us"), fmt.Sprintf(`country: [US], region: %s, employees: "1000..5000"`, list(usStates(r.states))),
			"hybrid: {lead: partner, direct_at_or_above: 250000}")
	}
	for _, t := range planned {
		territory(t.id+"-PARTNER", "partner", "partner", "queue: partner-desk-"+t.partners, fmt.Sprintf(`country: %s, employees: "<1000"`, list(t.countries)))
	}
	for _, r := range usRegions {
		territory("US-"+r.id+"-PARTNER", "partner", "partner", "queue: partner-desk-amer", fmt.Sprintf(`country: [US], region: %s, employees: "<1000"`, list(usStates(r.states))))
	}
	territory("NZ-AORAKI", "partner", "partner", "queue: partner-desk-apac, partner_id: P-044", "country: [NZ]")
	territory("REST", "default", "partner", "queue: partner-desk", "country: "+list(countries))
	return []byte(b.String())
})

func usStates(codes string) []string {
	out := strings.Fields(codes)
	for i := range out {
		out[i] = "US-" + out[i]
	}
	return out
}

// list writes a YAML list on one line. NO is quoted: to YAML 1.1 it is false.
func list(items []string) string {
	out := make([]string, len(items))
	for i, s := range items {
		if out[i] = s; s == "NO" {
			out[i] = `"NO"`
		}
	}
	return "[" + strings.Join(out, ", ") + "]"
}
