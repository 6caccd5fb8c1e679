package territory

import (
	"strings"
	"testing"
)

// What a new author gets wrong comes back with its place, its cause and its cure.
func TestAuthorsErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, old, new, want string }{
		{"a range without quotes", `employees: ">=5000"`, `employees: >=5000`,
			`33:49: not YAML: found character that cannot start any token: put a text that begins with a sign in quotes (">=5000"), and indent with spaces, not tabs`},
		{"a tab", "    tier: strategic", "\ttier: strategic", `30:1: not YAML: found a tab character that violates indentation: indent with spaces`},
		{"one value for a list", "include: {country: [FR]}", "include: {country: FR}", `71:24: territories[8].include.country: "FR" is not a list; write [a, b]`},
		{"one exclusion for a list", `exclude: [{postcode: ["8535"]}]`, `exclude: {postcode: ["8535"]}`,
			`50:14: territories[4].exclude: a mapping is not a list; begin each item with a hyphen: - {…}`},
		{"a person for an owner", "owner: {rep: u-320}", "owner: u-320", `55:12: territories[5].owner: "u-320" is not a mapping of fields to values; write {field: value}`},
		{"a misspelt field", "    coverage: direct\n    owner: {rep: u-210", "    covrage: direct\n    owner: {rep: u-210", `31:5: territories[2].covrage: there is no field "covrage" here; did you mean "coverage"?`},
		{"a word of another language", "coverage: direct\n    owner: {rep: u-210", "coverage: indirect\n    owner: {rep: u-210", `31:15: territories[2].coverage: "indirect" is not one of direct, partner, hybrid`},
		{"the country of the British", "[AT, CH]}", "[AT, UK]}", `56:29: territories[5].include.country[1]: "UK" is not an ISO 3166-1 alpha-2 country code such as DE or US; did you mean GB?`},
		{"a region by name", "[DE-BW, DE-BY], emp", "[Bavaria], emp", `43:39: territories[3].include.region[0]: "Bavaria" is not an ISO 3166-2 region such as DE-BY or US-CA`},
		{"a country that was forgotten", "[DE, AT, CH, FR, GB]", "[DE, AT, CH, FR]", `82:25: territories[10].include.country[0]: universe.country does not list "GB"; add it there, or correct it here`},
		{"an industry misspelt", "industry: [public]}", "industry: [pubic]}", `35:21: territories[2].exclude[0].industry[0]: universe.industry does not list "pubic"; did you mean public?`},
		{"a day as Germans write it", "{from: 2027-07-01}", "{from: 01.07.2027}",
			`77:23: territories[9].effective.from: "01.07.2027" is not a day (write 2027-02-01) or an instant (2027-02-01T00:00:00Z)`},
		{"an amount in thousands", "direct_at_or_above: 100000", "direct_at_or_above: 100k", `41:49: territories[3].hybrid.direct_at_or_above: "100k" is not a number; write digits, such as 1500.50`},
		{"a range the wrong way round", `"100..5000"`, `"5000..100"`, `43:65: territories[3].include.employees: "5000..100" is not a range: write ">=5000", "<100" or "100..5000", which is 100 to 4999`},
		{"no tiers", "tiers: [named, strategic, field, partner]\n", "", `1:1: tiers: list the tiers, the strongest first`},
		{"no tier", "    tier: strategic\n", "", `29:5: territories[2]: say which tier it is in: tier: named or strategic or field or partner`},
		{"a tier misspelt", "tier: strategic", "tier: stragetic", `30:11: territories[2].tier: "stragetic" is not one of the tiers named, strategic, field, partner; did you mean strategic?`},
		{"an id used again", "id: ALPS", "id: MUNICH", `51:9: territories[5].id: MUNICH is the id of another territory; give each its own`},
		{"a hybrid nobody leads", "{lead: direct}", "{direct_at_or_above: 5}", `54:13: territories[5].hybrid.lead: "" is not one of direct, partner: who leads when the amount does not decide`},
		{"postal codes of two countries", `{country: [DE], postcode: ["80"`, `{country: [DE, AT], postcode: ["80"`, `49:44: territories[4].include.postcode: postal codes repeat between countries: name exactly one country beside them`},
		{"a postal code in two regions", "universe:", "universe:\n  postcode: {DE-BY: [\"80\"], DE-BW: [\"80\"]}", `11:22: universe.postcode.DE-BY[0]: 80 lies in DE-BW already: a postal code lies in one region`},
		{"an account in two countries", "universe:", "universe:\n  accounts: {DE: [acc-1], AT: [acc-1]}", `11:19: universe.accounts.DE[0]: acc-1 is in AT already: an account is in one country`},
		{"nobody answers", "owner: {rep: u-311}", "title: Munich", `44:5: territories[4]: name who answers for it: owner: with a rep, a manager, a queue or a partner_id`},
		{"a window that ends first", "{from: 2027-07-01}", "{from: 2027-07-01, to: 2027-06-30}", `77:16: territories[9].effective: ends before it begins: to is the first day after the last`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.Count(emea, c.old) == 0 {
				t.Fatalf("the plan has no %q", c.old)
			}
			_, err := Compile([]byte(strings.Replace(emea, c.old, c.new, 1)))
			if err == nil {
				t.Fatal("no error")
			}
			found := false
			for _, e := range errorsOf(t, err) {
				found = found || e.Error() == c.want
			}
			if !found {
				t.Errorf("\n got %v\nwant %s", err, c.want)
			}
		})
	}
}
