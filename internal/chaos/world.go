package chaos

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/world"
)

// vendor is the world of one round, and the truth about it that the service is not told.
type vendor struct {
	accounts  []*deal.Account
	partners  []*deal.Partner
	customers []customer
	plan      []byte
}

// customer is one true organisation that partners register, under whatever spelling.
type customer struct {
	account *deal.Account // what is true of it
	known   bool          // it is among the vendor's accounts
}

// products are the lines of the world; a registration claims some of them, or by naming none, all.
var products = world.Lines

// everything is the set of all lines, one bit each.
var everything = uint8(1<<len(products) - 1)

// legal are the legal forms of six letters and more.
var legal = []string{"limited", "company", "corporation", "incorporated"}

// newVendor makes a world of n accounts and c customers, of which every third is unknown to the vendor. Customers are
// chosen so that their names stand out, by a word nobody else has, nor one like it, and a second one: whether two alike are told apart, and
// whether a name of one word is known again when two people misspell it in two ways, is the matcher's test, not this one's.
func newVendor(n, c int) (*vendor, error) {
	v := &vendor{plan: world.Territories()}
	signed, err := deal.ParseDate("2026-01-01")
	if err != nil {
		return nil, err
	}
	for i := range 60 {
		v.partners = append(v.partners, &deal.Partner{ID: fmt.Sprintf("P-%03d", i), Name: fmt.Sprintf("Partner %d", i), Type: "var",
			Tier: world.Tiers[i%len(world.Tiers)], Status: "active", AgreementSignedAt: signed})
	}
	var all []*deal.Account
	words := map[string]int{}
	for a := range world.Accounts() {
		a.Named, a.Status, a.ParentID, a.Employees, a.Owner, a.Industry = false, "prospect", "", 100, "", "services"
		all = append(all, a)
		seen := map[string]bool{}
		for w := range strings.FieldsSeq(strings.ToLower(a.Name)) {
			if !seen[w] {
				seen[w] = true
				words[w]++
			}
		}
	}
	stands := func(a *deal.Account) bool {
		f := strings.Fields(strings.ToLower(a.Name))
		plain := strings.IndexFunc(a.Name, func(r rune) bool { return r != ' ' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') }) < 0
		return plain && len(f) >= 2 && len(f) <= 5 && len(f[0]) >= 7 && words[f[0]] == 1 && len(f[1]) >= 6 && !slices.Contains(legal, f[1]) &&
			a.Country != "NZ" && a.City != ""
	}
	if n > len(all) {
		return nil, fmt.Errorf("the world has %d accounts, not %d", len(all), n)
	}
	// Customers come from all over the file, the unknown ones too; the other accounts fill up to n.
	picked := map[string]bool{}
	firsts := map[byte][]string{} // the first words of those picked, by their first letter
	alike := func(w string) bool {
		return slices.ContainsFunc(firsts[w[0]], func(x string) bool {
			return strings.HasPrefix(w, x) || strings.HasPrefix(x, w) || levenshtein.ComputeDistance(w, x) <= 3
		})
	}
	rng := rand.New(rand.NewPCG(1, uint64(c)))
	for _, i := range rng.Perm(len(all)) {
		if len(v.customers) == c {
			break
		}
		if a := all[i]; stands(a) {
			first, _, _ := strings.Cut(strings.ToLower(a.Name), " ")
			if alike(first) {
				continue
			}
			firsts[first[0]] = append(firsts[first[0]], first)
			k := customer{account: a, known: len(v.customers)%3 != 0}
			v.customers = append(v.customers, k)
			picked[a.ID] = true
			if k.known {
				v.accounts = append(v.accounts, a)
			}
		}
	}
	if len(v.customers) < c {
		return nil, fmt.Errorf("only %d of the world's accounts stand out, of %d wanted", len(v.customers), c)
	}
	for _, a := range all {
		if len(v.accounts) >= n {
			break
		}
		if !picked[a.ID] {
			v.accounts = append(v.accounts, a)
		}
	}
	return v, nil
}

// filing is what a partner sends: the customer in its own spelling, and the lines of the set.
func (v *vendor) filing(rng *rand.Rand, who int, partner string, lines uint8) ([]byte, error) {
	a := v.customers[who].account
	name := a.Name
	if rng.IntN(3) > 0 {
		name = world.Spell(rng, name)
	}
	c := map[string]any{"name": name, "country": a.Country, "city": a.City, "employees": 100, "industry": "services"}
	if a.Region != "" {
		c["region"] = a.Region
	}
	if a.PostalCode != "" {
		c["postal_code"] = a.PostalCode
	}
	f := map[string]any{"partner_id": partner, "type": "new_business", "customer": c,
		"amount":  map[string]string{"value": fmt.Sprintf("%d.00", 1000*(1+rng.IntN(100))), "currency": "EUR"},
		"contact": map[string]string{"name": fmt.Sprintf("Somebody %d", rng.IntN(1000))}}
	if lines != everything {
		var list []map[string]string
		for i, l := range products {
			if lines&(1<<i) != 0 {
				list = append(list, map[string]string{"line": l})
			}
		}
		f["products"] = list
	}
	return json.Marshal(f)
}

// lines draws what a registration claims: all, one line, or a few.
func lines(rng *rand.Rand) uint8 {
	switch rng.IntN(4) {
	case 0:
		return everything
	case 1:
		one, other := rng.IntN(3), rng.IntN(3)
		return 1<<one | 1<<other
	default:
		return 1 << rng.IntN(3)
	}
}

// setOf reads a scope's lines; none is all.
func setOf(names []string) uint8 {
	if len(names) == 0 {
		return everything
	}
	var out uint8
	for _, n := range names {
		if i := slices.Index(products, strings.ToLower(n)); i >= 0 {
			out |= 1 << i
		}
	}
	return out
}

// ndjson writes rows as an import reads them.
func ndjson[T any](rows []T) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	for _, r := range rows {
		if err := enc.Encode(r); err != nil {
			return nil, err
		}
	}
	return []byte(b.String()), nil
}
