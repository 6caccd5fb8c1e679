package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"
	"golang.org/x/text/unicode/norm"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/world"
)

// filed is one registration of a run, with the truth about it.
type filed struct {
	ID     int
	Kind   string // what it is there to show
	Group  int    // registrations of one group are of one customer, and no others are
	Key    string // its Idempotency-Key
	Filing deal.Filing
	Exact  bool // the customer is described as the vendor has it
	// The name has suffered twice, or in two words, or once and has only short words, in which one letter is another word.
	// Everybody would rather recognise the customer; not to is counted apart.
	Garbled bool
	org     *org
	probe   *probe // of a sweep: what it shows of the plan

	found [2]struct { // its territory, asked for by the filing alone, and by the vendor's record of the customer
		at time.Time
		covered
	}
}

// kinds are the customers of a steady load, and how often each kind comes. Every one is several registrations at most.
var kinds = []struct {
	name   string
	weight int
}{
	{"as listed", 20}, {"misspelt", 24}, {"stranger", 14}, {"collision", 12}, {"filed again", 5}, {"parts", 4}, {"letter", 2}, {"named", 4}, {"customer", 3},
	{"direct", 3}, {"direct, idle", 2}, {"partner's", 3}, {"incumbent", 2}, {"barred partner", 4}, {"incomplete", 3}, {"strategic", 4}, {"no rate", 2},
	{"tender", 1}, {"rival", 1}, {"mixed scripts", 1},
}

// mix makes n registrations of all kinds, in the order in which they are to be filed. Those of one customer come close together
// or far apart.
func (v *vendor) mix(scenario string, n int) []*filed {
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	type placed struct {
		at int
		f  *filed
	}
	var all []placed
	for len(all) < n {
		draw := v.rng.IntN(total)
		i := 0
		for ; draw >= kinds[i].weight; i++ {
			draw -= kinds[i].weight
		}
		at := v.rng.IntN(n)
		for _, f := range v.group(kinds[i].name) {
			all = append(all, placed{at, f})
			if at += 1 + v.rng.IntN(4); v.rng.IntN(2) == 0 {
				at += 50 + v.rng.IntN(1000)
			}
		}
	}
	all = all[:n]
	slices.SortStableFunc(all, func(a, b placed) int { return cmp.Compare(a.at, b.at) })
	out := make([]*filed, n)
	for i, p := range all {
		out[i] = p.f
		p.f.ID, p.f.Key = i, fmt.Sprintf("%s-%d-%d", scenario, v.seed, i)
	}
	return out
}

// group makes the registrations of one customer.
func (v *vendor) group(kind string) (out []*filed) {
	v.groups++
	rng := v.rng
	var o *org
	switch kind {
	case "stranger":
		o = v.stranger()
	case "named":
		o = v.take(&v.named)
	case "customer":
		o = v.take(&v.bought)
	default:
		o = v.take(&v.spare)
	}
	line := world.Lines[rng.IntN(len(world.Lines))]
	first := rng.IntN(loadPartners)
	add := func(partner int, wrong int, lines ...string) *filed {
		f := &filed{Kind: kind, Group: v.groups, Filing: v.filing(o, loadPartner(first+partner), lines), Exact: wrong == 0 && o.account != nil, org: o}
		f.blur(rng, wrong)
		out = append(out, f)
		return f
	}
	blurred := func() int { return 1 + rng.IntN(2) }
	pipeline := func(change func(*deal.Opportunity)) {
		if o.account == nil || len(v.oppsOf[o.account.ID]) > 0 {
			return
		}
		op := &deal.Opportunity{ID: fmt.Sprintf("LOPP-%06d", v.groups), AccountID: o.account.ID, AccountName: o.account.Name, Name: o.account.Name + ": " + line, Stage: "proposal",
			Status: "open", LedBy: "direct", Owner: "u-110", Lines: []string{line}, Amount: deal.Money{Value: decimal.NewFromInt(60_000), Currency: "EUR"},
			CreatedAt: v.day(-200), LastActivityAt: v.day(-10 - rng.IntN(60)), CloseDate: v.day(60)}
		change(op)
		v.opportunity(op)
	}
	switch kind {
	case "as listed":
		add(0, 0, line)
	case "misspelt":
		add(0, blurred(), line)
	case "stranger":
		add(0, rng.IntN(2), line)
	case "collision":
		for i := range 2 + rng.IntN(3) {
			add(i, rng.IntN(3), line)
		}
	case "filed again":
		add(0, rng.IntN(2), line)
		add(0, rng.IntN(2), line)
		add(1, rng.IntN(2), line)
	case "parts": // of what the vendor sells, each of another partner's; the last want what others have
		second := world.Lines[(slices.Index(world.Lines, line)+1)%len(world.Lines)]
		add(0, 0, line)
		add(1, rng.IntN(2), second)
		add(2, rng.IntN(2), line, second)
		add(3, rng.IntN(2))
	case "letter":
		add(0, 0, line)
		add(1, rng.IntN(2), line).Filing.Evidence = []deal.Evidence{{Kind: "letter", Date: v.day(-3), Text: "The customer asks for this partner."}}
	case "named", "customer":
		add(0, rng.IntN(3), line)
	case "direct":
		pipeline(func(*deal.Opportunity) {})
		add(0, rng.IntN(3), line)
	case "direct, idle":
		pipeline(func(o *deal.Opportunity) { o.LastActivityAt = v.day(-120) })
		add(0, rng.IntN(3), line)
	case "partner's":
		pipeline(func(o *deal.Opportunity) {
			o.LedBy, o.Owner, o.PartnerID = "partner", "", loadPartner(first+rng.IntN(2)) // now and then the registrant's own
		})
		add(0, rng.IntN(3), line)
	case "incumbent":
		pipeline(func(o *deal.Opportunity) {
			o.Status, o.Stage, o.LedBy, o.Owner, o.PartnerID, o.CloseDate = "won", "won", "partner", "", loadPartner(first+1), v.day(-40)
		})
		add(0, rng.IntN(3), line)
	case "barred partner":
		f := add(0, rng.IntN(2), line)
		f.Filing.PartnerID = []string{suspended, unsigned, creditHold, oneLine, oneCountry, "P-047"}[rng.IntN(6)]
		if rng.IntN(6) == 0 {
			f.Filing.PartnerID, f.Filing.DistributorID = loadPartner(first), lapsed
		}
	case "incomplete":
		f := add(0, rng.IntN(2), line)
		switch rng.IntN(3) {
		case 0:
			f.Filing.Customer.Country = ""
		case 1:
			f.Filing.Amount, f.Filing.Products[0].Amount = deal.Money{}, deal.Money{}
		case 2:
			f.Filing.Tender = deal.Tender{IsTender: true}
		}
	case "strategic":
		f := add(0, rng.IntN(2), line)
		f.Filing.Amount = deal.Money{Value: decimal.NewFromInt(250_000 + 1000*int64(rng.IntN(2))*int64(rng.IntN(900))), Currency: "EUR"}
		add(1, rng.IntN(2), line)
	case "no rate":
		f := add(0, rng.IntN(2), line)
		f.Filing.Amount.Currency = "THB"
		add(1, rng.IntN(2), line)
	case "tender":
		add(0, rng.IntN(2), line).Filing.Tender = deal.Tender{IsTender: true, Number: fmt.Sprintf("T-%d", v.groups), PublishedAt: v.day(-20)}
	case "rival":
		add(0, rng.IntN(2), line).Filing.Competing = []string{"Rival Firewall 9000"}
	case "mixed scripts":
		f := add(0, 0, line)
		f.Filing.Customer.Name, f.Exact = homoglyph(f.Filing.Customer.Name), false
	}
	for _, f := range out {
		f.Filing.ExternalID = fmt.Sprintf("%s-%d", strings.ReplaceAll(kind, " ", "-"), v.groups)
	}
	return out
}

func (v *vendor) day(n int) deal.Date { return deal.Date{Time: v.today.AddDate(0, 0, n)} }

// filing is what a careful partner files.
func (v *vendor) filing(o *org, partner string, lines []string) deal.Filing {
	a := o.like
	money := deal.Money{Value: decimal.NewFromInt(5000 + 1000*int64(v.rng.IntN(90))), Currency: "EUR"}
	if v.rng.IntN(5) == 0 {
		money.Currency = []string{"USD", "GBP", "CHF"}[v.rng.IntN(3)]
	}
	f := deal.Filing{PartnerID: partner, Type: "new_business", Amount: money, ExpectedCloseDate: v.day(75),
		Customer: deal.Customer{Name: a.Name, Domain: a.Domain, Country: a.Country, Region: a.Region, City: a.City, PostalCode: a.PostalCode, Industry: a.Industry, Employees: a.Employees},
		Contact:  deal.Contact{Name: "Pat Example", Email: "pat.example@gmail.com", Title: "Head of IT"},
		Evidence: []deal.Evidence{{Kind: "meeting", Date: v.day(-6), Text: "Requirements agreed with the head of IT."}}}
	for _, l := range lines {
		f.Products = append(f.Products, deal.Product{Line: l, Quantity: 10})
	}
	if len(lines) == 1 {
		f.Products[0].Amount = money
	}
	return f
}

// blur describes the customer as people do, with so many slips: world.Spell's, and those of forms.
func (f *filed) blur(rng *rand.Rand, slips int) {
	c := &f.Filing.Customer
	name, city := c.Name, ""
	for range slips {
		switch n := rng.IntN(10); {
		case n < 6:
			name = world.Spell(rng, name)
		case n == 6:
			name = plain(name)
		case n == 7:
			name = strings.Join(strings.Fields(strings.Map(func(r rune) rune { // other punctuation
				if r == '-' || r == '.' || r == ',' {
					return ' '
				}
				return r
			}, name)), " ")
		case n == 8:
			city = c.City
		default:
			name = "  " + strings.ReplaceAll(name, " ", "  ") + " "
		}
		switch rng.IntN(8) {
		case 0:
			c.Domain = ""
		case 1:
			if c.Domain != "" {
				c.Website, c.Domain = "https://www."+c.Domain+"/en/index.html?utm=portal", ""
			}
		case 2:
			if c.Domain != "" {
				f.Filing.Contact.Email, c.Domain = "it@"+c.Domain, ""
			}
		case 3:
			c.City, c.PostalCode = "", ""
		case 4:
			c.City = strings.ToUpper(plain(c.City))
		case 5:
			c.Region, c.Industry = "", ""
		case 6:
			c.Employees = 0
		}
	}
	was, is := telling(c.Name), telling(name)
	short, changed := true, 0
	for _, w := range was {
		short = short && utf8.RuneCountInString(w) <= shortWord
		if !slices.Contains(is, w) {
			changed++
		}
	}
	f.Garbled = short && changed > 0 || changed > 1 || slips > 1 && match.Normalise(c.Name) != match.Normalise(name)
	if c.Name = name; city != "" {
		c.Name += " (" + city + ")"
	}
}

// plain leaves the marks off letters, as keyboards without them do.
func plain(s string) string {
	s = strings.NewReplacer("ß", "ss", "ø", "o", "Ø", "O", "æ", "ae", "ł", "l", "Ł", "L").Replace(s)
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(s)))
}

// homoglyph writes one letter with another alphabet's.
func homoglyph(s string) string {
	for _, r := range [][2]string{{"a", "а"}, {"e", "е"}, {"o", "о"}, {"c", "с"}, {"p", "р"}} {
		if i := strings.Index(s, r[0]); i > 0 && s[i-1] != ' ' {
			return s[:i] + r[1] + s[i+1:]
		}
	}
	return s + "а"
}

// storm makes customers that many partners register at once, each under a spelling of its own. Every other one the vendor
// has among its accounts.
func (v *vendor) storm(customers, partners int) []*filed {
	var out []*filed
	for i := range customers {
		v.groups++
		where := v.open(i)
		a := v.coined(fmt.Sprintf("ACC-L-%05d", v.groups), where.Country)
		a.Region, a.PostalCode, a.Industry, a.Employees = where.Region, where.Postcode, where.Industry, max(0, where.Employees)
		o := &org{like: a}
		if i%2 == 0 {
			o.account, v.extra = a, append(v.extra, a)
		}
		line := world.Lines[v.rng.IntN(len(world.Lines))]
		if len(where.Lines) > 0 {
			line = where.Lines[0]
		}
		first := v.rng.IntN(loadPartners)
		for n := range partners {
			f := &filed{ID: len(out), Kind: "storm", Group: v.groups, org: o, Filing: v.filing(o, loadPartner(first+n), []string{line})}
			f.blur(v.rng, n%3)
			f.Exact = o.account != nil && n%3 == 0
			f.Key = fmt.Sprintf("storm-%d-%d", v.seed, f.ID)
			f.Filing.ExternalID = fmt.Sprintf("storm-%d", v.groups)
			out = append(out, f)
		}
	}
	return out
}

// open returns a place where the plan leaves a customer to partners, any of them; the i-th, so that storms are not all in
// one. When the plan has none, it is a place of the first territory.
func (v *vendor) open(i int) point {
	n := len(v.plan.Territories)
	for k := range n {
		t := v.plan.Territories[(i+k)%n]
		if len(t.Accounts.Include) > 0 {
			continue
		}
		c := v.plan.inside(v.rng, t, v.today)
		if is := v.plan.find(c); is.Status == "resolved" && is.Coverage == "partner" && is.Partner == "" && c.Country != "" {
			return c
		}
	}
	return v.plan.inside(v.rng, v.plan.Territories[0], v.today)
}

// boundaries makes the registrations of a sweep, at most so many, and says how many there are in all.
func (v *vendor) boundaries(most int) (out []*filed, all int) {
	named := v.namedByPlan()
	byID := map[string]*deal.Account{}
	for _, a := range named {
		byID[a.ID] = a
	}
	probes := v.plan.sweep(v.rng, v.today, named, v.above)
	all = len(probes)
	for i := range probes[:min(most, all)] {
		p := &probes[i]
		v.groups++
		o := &org{like: v.coined("", p.Country)}
		if a := byID[p.Account]; a != nil {
			o.account, o.like, o.above = a, a, p.Ancestors
		}
		f := &filed{ID: i, Kind: "sweep", Group: v.groups, Key: fmt.Sprintf("sweep-%d-%d", v.seed, i), org: o, probe: p, Exact: o.account != nil, Filing: v.filing(o, loadPartner(i), p.Lines)}
		c := &f.Filing.Customer
		c.AccountID = p.Account
		if o.account == nil {
			c.Country, c.Region, c.PostalCode, c.Industry, c.Employees = p.Country, p.Region, p.Postcode, p.Industry, max(0, p.Employees)
		}
		if p.Revenue > 0 {
			c.AnnualRevenue = deal.Money{Value: decimal.NewFromInt(p.Revenue), Currency: "EUR"}
		}
		f.Filing.Amount = deal.Money{}
		if p.AmountKnown {
			f.Filing.Amount = deal.Money{Value: decimal.NewFromFloat(p.Amount), Currency: "EUR"}
		}
		for j := range f.Filing.Products {
			f.Filing.Products[j].Amount = f.Filing.Amount
			if !p.AmountKnown || len(f.Filing.Products) > 1 {
				f.Filing.Products[j].Amount = deal.Money{}
			}
		}
		f.Filing.ExternalID = fmt.Sprintf("sweep-%d", i)
		out = append(out, f)
	}
	return out, all
}
