package main

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/world"
)

// vendor is the world of a run: what the service is told, and the truth about it. It follows from the seed, the number of
// accounts, the day and the plan, and from nothing else.
type vendor struct {
	seed  uint64
	size  int // accounts of the crowd
	today time.Time

	base  []*deal.Account // those the crowd begins with
	crowd *world.Crowd
	extra []*deal.Account // accounts besides the crowd: those a plan names, and customers of storms

	products      []*deal.CatalogueProduct
	partners      []*deal.Partner
	byPartner     map[string]*deal.Partner
	opportunities []*deal.Opportunity
	oppsOf        map[string][]*deal.Opportunity
	euros         map[string]decimal.Decimal // what one of a currency is

	document []byte
	plan     *plan

	rng       *rand.Rand
	spare     []*deal.Account // accounts of the crowd that nothing has been filed for
	named     []*deal.Account // the same, reserved to direct sales
	bought    []*deal.Account // the same, customers
	strangers []*deal.Account // that the vendor does not have
	groups    int
}

// newVendor makes the world, with customers for about so many registrations.
func newVendor(seed uint64, size int, today time.Time, document []byte, registrations int) (*vendor, error) {
	v := &vendor{seed: seed, size: size, today: today.UTC().Truncate(24 * time.Hour), document: document, byPartner: map[string]*deal.Partner{},
		oppsOf: map[string][]*deal.Opportunity{}, euros: map[string]decimal.Decimal{"EUR": decimal.NewFromInt(1)}, rng: rand.New(rand.NewPCG(seed, 1))}
	v.base = slices.Collect(world.Accounts())
	v.crowd = world.NewCrowd(v.base)
	var err error
	if v.plan, err = readPlan(document); err != nil {
		return nil, err
	}
	for r := range world.Rates() {
		if x, err := decimal.NewFromString(r.Rate); err == nil && r.To == "EUR" && !r.Date.After(v.today) {
			v.euros[r.From] = x // the last one stays
		}
	}
	v.sellers()
	for o := range world.Opportunities(v.today) {
		if n := row(o.AccountID); n > 0 && n <= size {
			v.opportunity(o)
		}
	}
	v.planned()
	v.catalogue()
	v.choose(registrations)
	return v, nil
}

// row is the place of an account of the base from 1 on, or 0.
func row(id string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(id, "ACC-"))
	if err != nil || len(id) != len("ACC-000000") {
		return 0
	}
	return n
}

// accounts are all the vendor has.
func (v *vendor) accounts() iter.Seq[*deal.Account] {
	return func(yield func(*deal.Account) bool) {
		for a := range v.crowd.Accounts(v.size) {
			if !yield(a) {
				return
			}
		}
		for _, a := range v.extra {
			if !yield(a) {
				return
			}
		}
	}
}

func (v *vendor) opportunity(o *deal.Opportunity) {
	v.opportunities = append(v.opportunities, o)
	v.oppsOf[o.AccountID] = append(v.oppsOf[o.AccountID], o)
}

// above are the accounts above one, nearest first.
func (v *vendor) above(a *deal.Account) (out []string) {
	for a != nil && a.ParentID != "" && !slices.Contains(out, a.ParentID) && len(out) < 16 {
		id := a.ParentID
		out, a = append(out, id), nil
		if n := row(id); n > 0 && n <= min(v.size, len(v.base)) {
			a = v.base[n-1]
		} else if i := slices.IndexFunc(v.extra, func(x *deal.Account) bool { return x.ID == id }); i >= 0 {
			a = v.extra[i]
		}
	}
	return out
}

// The partners that file for load, besides the world's: they may sell everything everywhere. The last ones may not file,
// each for a reason of its own.
const (
	loadPartners = 60
	suspended    = "L-SUSPENDED"
	lapsed       = "L-LAPSED" // a distributor that is suspended
	unsigned     = "L-UNSIGNED"
	creditHold   = "L-CREDIT"
	oneLine      = "L-ONELINE"
	oneCountry   = "L-ICELAND"
)

func (v *vendor) sellers() {
	add := func(p deal.Partner) {
		v.partners = append(v.partners, &p)
		v.byPartner[p.ID] = &p
	}
	for p := range world.Partners() {
		add(*p)
	}
	signed := deal.Date{Time: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
	like := func(id, name string) deal.Partner {
		return deal.Partner{ID: id, Name: name, Type: "reseller", Tier: "silver", Status: "active", Country: "DE", AgreementSignedAt: signed, TrainedStaff: 5}
	}
	for i := range loadPartners {
		p := like(loadPartner(i), fmt.Sprintf("Load Partner %d", i))
		p.Tier = []string{"registered", "silver", "gold", "platinum"}[i%4]
		add(p)
	}
	p := like(suspended, "Suspended Partner")
	p.Status = "suspended"
	add(p)
	p = like(lapsed, "Suspended Distributor")
	p.Type, p.Status = "distributor", "suspended"
	add(p)
	p = like(unsigned, "Unsigned Partner")
	p.AgreementSignedAt = deal.Date{Time: v.today.AddDate(1, 0, 0)}
	add(p)
	p = like(creditHold, "Partner on Hold")
	p.CreditHold = true
	add(p)
	p = like(oneLine, "Endpoint Partner")
	p.Lines = []string{"endpoint"}
	add(p)
	p = like(oneCountry, "Icelandic Partner")
	p.Countries = []string{"IS"}
	add(p)
}

func loadPartner(i int) string { return fmt.Sprintf("L-%03d", i%loadPartners) }

// planned makes the accounts that the plan names and the crowd has not: each in its country, with a subsidiary where the
// plan speaks of those.
func (v *vendor) planned() {
	made := map[string]bool{}
	home := map[string]string{}
	for country, ids := range v.plan.Universe.Accounts {
		for _, id := range ids {
			home[id] = country
		}
	}
	for _, t := range v.plan.Territories {
		for _, id := range slices.Concat(t.Accounts.Include, t.Accounts.Exclude) {
			if n := row(id); made[id] || n > 0 && n <= len(v.base) {
				continue // one that lies beyond a small crowd stays unknown to the vendor
			}
			made[id] = true
			country := home[id]
			if country == "" && len(t.Include.Country) > 0 {
				country = t.Include.Country[0]
			}
			a := v.coined(id, country)
			v.extra = append(v.extra, a)
			if t.Accounts.Family {
				child := v.coined(id+"-SUB", country)
				child.ParentID = id
				v.extra = append(v.extra, child)
			}
		}
	}
}

// catalogue makes a product of each line that the plan has and the world has not, and of one that neither has.
func (v *vendor) catalogue() {
	v.products = slices.Collect(world.Products())
	for i, line := range append(slices.Clone(v.plan.lines()), otherLine) {
		if line != unmentioned && !slices.ContainsFunc(v.products, func(p *deal.CatalogueProduct) bool { return plainly(p.Line) == plainly(line) }) {
			v.products = append(v.products, &deal.CatalogueProduct{SKU: fmt.Sprintf("LOAD-%d", i), Line: line, Class: "hardware", Core: true})
		}
	}
}

// namedByPlan are the accounts that the plan names, and those below them.
func (v *vendor) namedByPlan() (out []*deal.Account) {
	wanted := map[string]bool{}
	for _, t := range v.plan.Territories {
		for _, id := range slices.Concat(t.Accounts.Include, t.Accounts.Exclude) {
			wanted[id] = true
		}
	}
	for _, a := range slices.Concat(v.base[:min(v.size, len(v.base))], v.extra) {
		if wanted[a.ID] || slices.ContainsFunc(v.above(a), func(id string) bool { return wanted[id] }) {
			out = append(out, a)
		}
	}
	return out
}

// coined is an organisation whose name nobody else has, of which only name, web address and country are known.
func (v *vendor) coined(id, country string) *deal.Account {
	name := coin(v.rng) + " " + coin(v.rng)
	form := map[string]string{"DE": "GmbH", "AT": "GmbH", "CH": "AG", "FR": "SA", "GB": "plc", "US": "Inc"}[country]
	return &deal.Account{ID: id, Name: strings.TrimSpace(name + " " + form), Domain: strings.ToLower(strings.ReplaceAll(name, " ", "-")) + ".example", Country: country, Status: "prospect"}
}

// coin is a word of seven letters or more that no language has, of syllables that differ enough to be told apart after two
// slips.
func coin(rng *rand.Rand) string {
	const starts, ends = "bcdfghjklmnprstvwz", "lnrst"
	vowels := []string{"a", "e", "i", "o", "u", "ai", "eo"}
	var b strings.Builder
	for range 3 {
		b.WriteByte(starts[rng.IntN(len(starts))])
		b.WriteString(vowels[rng.IntN(len(vowels))])
		if rng.IntN(2) == 0 {
			b.WriteByte(ends[rng.IntN(len(ends))])
		}
	}
	s := b.String() + []string{"ax", "ov", "ik", "um"}[rng.IntN(4)]
	return strings.ToUpper(s[:1]) + s[1:]
}

// shortWord is how long a word may be that a slip makes another.
const shortWord = 5

// forms are the legal forms, and the words around names, that tell no organisation from another.
var forms = map[string]bool{}

func init() {
	for w := range strings.FieldsSeq("inc llc ltd corp corporation gmbh ag sa plc limited incorporated co company llp lp pllc pc srl spa sas sarl bv nv ab oy as kk kg se sl ltda pty pvt the la le el and of de") {
		forms[w] = true
	}
}

// telling are the words of a name that tell it from others, in order of the alphabet.
func telling(name string) []string {
	all := strings.Fields(match.Normalise(name))
	out := slices.DeleteFunc(slices.Clone(all), func(w string) bool { return forms[w] })
	if len(out) == 0 {
		out = all
	}
	slices.Sort(out)
	return out
}

// alike is a key that names have in common when nobody could say which was meant: all their telling words begin alike. It is
// of use within one process only.
func alike(name string) uint64 {
	var h maphash.Hash
	h.SetSeed(nameSeed)
	for _, w := range telling(name) {
		r := []rune(w)
		_, _ = h.WriteString(string(r[:min(len(r), 4)]) + " ") // it never fails
	}
	return h.Sum64()
}

var nameSeed = maphash.MakeSeed()

// longer is a key that a name has in common with another in the same city that is the same but for one word before it: a branch,
// or the same, as likely as not.
func longer(a *deal.Account) uint64 {
	_, rest, _ := strings.Cut(a.Name, " ")
	return alike(rest + " in " + a.City)
}

// choose draws the customers of a run: accounts that no other reads like, and strangers that no account reads like. Of two of
// one name nobody could say which was meant. Nor do any share a web address, by which the service goes, or have two names in one.
func (v *vendor) choose(registrations int) {
	want := min(v.size, registrations+registrations/2+200)
	picked := map[int]bool{}
	for len(picked) < want {
		if want == v.size {
			picked[len(picked)] = true
			continue
		}
		picked[v.rng.IntN(v.size)] = true
	}
	for i, a := range v.base[:min(v.size, len(v.base))] {
		if a.Named || a.Status == "customer" {
			picked[i] = true
		}
	}
	rows := make([]int, 0, len(picked))
	for i := range picked {
		rows = append(rows, i)
	}
	slices.Sort(rows)
	var all []*deal.Account
	for _, i := range rows {
		all = append(all, v.crowd.Account(i))
	}
	known := len(all)
	for i := range registrations + 200 {
		all = append(all, v.crowd.Account(max(v.size, len(v.base))+i))
	}
	names, sites := map[uint64]int{}, map[string]int{}
	for _, a := range all {
		names[alike(a.Name)], names[longer(a)], sites[a.Domain] = 0, 0, 0
	}
	count := func(k uint64) {
		if n, is := names[k]; is {
			names[k] = n + 1
		}
	}
	see := func(a *deal.Account) {
		for _, name := range append([]string{a.Name}, a.Aliases...) {
			count(alike(name))
		}
		count(alike(a.Name + " in " + a.City))
		for _, d := range append([]string{a.Domain}, a.Domains...) {
			if n, is := sites[d]; is {
				sites[d] = n + 1
			}
		}
	}
	for a := range v.accounts() {
		see(a)
	}
	for _, a := range all[known:] { // strangers are no accounts, and each other's namesakes all the same
		see(a)
	}
	for i, a := range all {
		switch twofold := strings.ContainsAny(a.Name, "()/") || slices.ContainsFunc(telling(a.Name), func(w string) bool { return w == "aka" || w == "dba" || w == "fka" }); {
		case a.Country == "" || a.Status == "closed" || twofold:
		case names[alike(a.Name)] > 1+len(slices.DeleteFunc(slices.Clone(a.Aliases), func(s string) bool { return alike(s) != alike(a.Name) })):
		case names[longer(a)] > 0:
		case a.Domain != "" && sites[a.Domain] > 1:
		case i >= known:
			v.strangers = append(v.strangers, a)
		case a.Named:
			v.named = append(v.named, a)
		case a.Status == "customer":
			v.bought = append(v.bought, a)
		default:
			v.spare = append(v.spare, a)
		}
	}
	for _, list := range [][]*deal.Account{v.spare, v.named, v.bought} {
		v.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
}

// take takes a customer from the list; one that the vendor does not have when there is none left.
func (v *vendor) take(from *[]*deal.Account) *org {
	list := *from
	if len(list) == 0 {
		return v.stranger()
	}
	*from = list[1:]
	return &org{account: list[0], like: list[0], above: v.above(list[0])}
}

// stranger is an organisation in the style of the others that the vendor does not have; a coined one when those are used up.
func (v *vendor) stranger() *org {
	if len(v.strangers) == 0 {
		return &org{like: v.coined("", []string{"DE", "FR", "GB", "US"}[v.rng.IntN(4)])}
	}
	a := v.strangers[0]
	v.strangers = v.strangers[1:]
	return &org{like: a}
}

// org is a customer as it is in truth.
type org struct {
	account *deal.Account // as the vendor has it; nil: it has not
	like    *deal.Account // what there is to say about it
	above   []string
}

func (v *vendor) inEuros(m deal.Money) (float64, bool) {
	rate, ok := v.euros[m.Currency]
	if !ok || m.IsZero() {
		return 0, false
	}
	x, _ := m.Value.Mul(rate).Float64()
	return x, true
}

// asFiled is the customer to the plan, as the filing describes it.
func (v *vendor) asFiled(f *deal.Filing, at time.Time) point {
	c := f.Customer
	p := point{Country: c.Country, Region: c.Region, Postcode: c.PostalCode, Industry: c.Industry, Employees: cmp.Or(c.Employees, -1), Revenue: -1, Lines: f.Lines(), At: at}
	if x, ok := v.inEuros(c.AnnualRevenue); ok {
		p.Revenue = int64(x)
	}
	p.Amount, p.AmountKnown = v.inEuros(f.Amount)
	return p
}
