package world

import (
	"bytes"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
)

var now = time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC)

// all collects the records of a sequence by key, and checks what holds for each of any kind: it is valid, has a key
// of its own, and Validate finds nothing to normalise.
func all[R interface {
	deal.Record
	comparable
}](t *testing.T, seq iter.Seq[R]) map[string]R {
	t.Helper()
	out := map[string]R{}
	for r := range seq {
		before := reflect.ValueOf(r).Elem().Interface() // a copy
		if errs := r.Validate(); len(errs) > 0 {
			t.Fatalf("%+v: %v", before, errs)
		}
		if after := reflect.ValueOf(r).Elem().Interface(); !reflect.DeepEqual(before, after) {
			t.Fatalf("validation changed\n%+v to\n%+v", before, after)
		}
		if _, twice := out[r.Key()]; twice {
			t.Fatalf("%s is there twice", r.Key())
		}
		out[r.Key()] = r
	}
	return out
}

func between(t *testing.T, what string, n, low, high int) {
	t.Helper()
	if n < low || n > high {
		t.Errorf("%d %s, want %d to %d", n, what, low, high)
	}
}

func TestAccounts(t *testing.T) {
	people := all(t, People())
	accounts := all(t, Accounts())
	between(t, "accounts", len(accounts), 50_000, 70_000)
	count := map[string]int{}
	names := map[string]bool{}
	countries, states := universe(t, "country"), universe(t, "US")
	for _, a := range accounts {
		count[a.Status]++
		names[a.Name+"|"+a.Country] = true
		if a.Named {
			count["named"]++
			if a.Employees < 5000 {
				t.Errorf("%s is named with %d employees", a.Name, a.Employees)
			}
		}
		if a.ParentID != "" {
			count["parents"]++
			if accounts[a.ParentID] == nil || a.ParentID == a.ID {
				t.Errorf("%s has the parent %s", a.ID, a.ParentID)
			}
		}
		if people[a.Owner] == nil {
			t.Errorf("%s in %s is owned by %q", a.ID, a.Country, a.Owner)
		}
		if !slices.Contains(countries, a.Country) {
			t.Errorf("%s is in %s, which the plan does not know", a.ID, a.Country)
		}
		if a.Country == "US" && !slices.Contains(states, a.Region) {
			t.Errorf("%s is in %q, which the plan does not know", a.ID, a.Region)
		}
		if a.Employees < 1 || a.Industry == "" {
			t.Errorf("%s has %d employees in industry %q", a.ID, a.Employees, a.Industry)
		}
		count["industry "+a.Industry]++
		if strings.ContainsAny(a.Name, "\t\n") || strings.TrimSpace(a.Name) != a.Name || strings.HasPrefix(a.Name, "#") {
			t.Errorf("%q is no name", a.Name)
		}
	}
	between(t, "named", count["named"], 150, 250)
	between(t, "customers", count["customer"], 250, 350)
	between(t, "parents", count["parents"], 300, 5000)
	t.Log(count)
	for _, i := range industries {
		between(t, "in "+i.name, count["industry "+i.name], 300, 15_000)
	}
	for key := range byHand {
		if !names[key] {
			t.Errorf("%s is set by hand and not there", key)
		}
	}
}

// universe returns one list of the plan's universe.
func universe(t *testing.T, dimension string) []string {
	t.Helper()
	_, rest, ok := strings.Cut(string(Territories()), "\n  "+dimension+": [")
	if dimension == "US" {
		_, rest, ok = strings.Cut(string(Territories()), "\n    US: [")
	}
	items, _, closed := strings.Cut(rest, "]")
	if !ok || !closed {
		t.Fatalf("the plan has no %s", dimension)
	}
	return strings.Split(strings.ReplaceAll(items, `"`, ""), ", ")
}

func TestPartners(t *testing.T) {
	partners := all(t, Partners())
	between(t, "partners", len(partners), 38, 50)
	types, tiers, statuses, held, through, limited := map[string]int{}, map[string]int{}, map[string]int{}, 0, 0, 0
	for _, p := range partners {
		types[p.Type]++
		tiers[p.Tier]++
		statuses[p.Status]++
		if p.CreditHold {
			held++
		}
		if p.DistributorID != "" {
			through++
			if d := partners[p.DistributorID]; d == nil || d.Type != "distributor" {
				t.Errorf("%s buys through %s, which is no distributor", p.ID, p.DistributorID)
			}
		}
		if len(p.Countries) > 0 && len(p.Lines) > 0 {
			limited++
		}
		for _, l := range p.Lines {
			if !slices.Contains(Lines, l) {
				t.Errorf("%s sells %q", p.ID, l)
			}
		}
		if !slices.Contains(Tiers, p.Tier) || !strings.HasSuffix(p.Domain, ".example") {
			t.Errorf("%s is of tier %q, at %q", p.ID, p.Tier, p.Domain)
		}
	}
	for _, typ := range deal.PartnerTypes {
		between(t, typ+" partners", types[typ], 1, 20)
	}
	for _, tier := range Tiers {
		between(t, tier+" partners", tiers[tier], 3, 20)
	}
	if statuses["suspended"] < 2 || statuses["terminated"] != 1 || held != 1 || types["distributor"] != 2 || through < 5 || limited < 5 {
		t.Errorf("statuses %v, credit hold %d, distributors %d, through them %d, limited %d", statuses, held, types["distributor"], through, limited)
	}
}

func TestPeople(t *testing.T) {
	people := all(t, People())
	between(t, "people", len(people), 18, 30)
	away := 0
	queues := map[string]bool{}
	for _, p := range people {
		if p.Manager != "" && people[p.Manager] == nil {
			t.Errorf("%s reports to %s", p.ID, p.Manager)
		}
		if m := people[p.Manager]; m != nil && m.Authority.Value.LessThan(p.Authority.Value) {
			t.Errorf("%s may decide more than their manager", p.ID)
		}
		if p.AwayUntil.After(now) {
			away++
		}
		for _, q := range p.Queues {
			queues[q] = true
		}
	}
	if away != 1 {
		t.Errorf("%d people are away, want one", away)
	}
	for _, q := range []string{"deal-desk", "policy-desk", "channel-disputes", "channel-managers", "channel-director",
		"sales-ops", "territory-ops", "renewals", "partner-desk", "direct-team"} {
		if !queues[q] {
			t.Errorf("nobody works the queue %s", q)
		}
	}
	for line := range strings.Lines(string(Territories())) {
		if _, q, ok := strings.Cut(strings.TrimRight(line, "}\n"), "queue: "); ok {
			q, _, _ = strings.Cut(q, ",")
			if !queues[q] {
				t.Errorf("nobody works the plan's queue %s", q)
			}
		}
		for _, role := range []string{"rep: ", "manager: "} {
			if _, id, ok := strings.Cut(line, role); ok {
				if id, _, _ = strings.Cut(id, ","); people[id] == nil {
					t.Errorf("the plan names %q, who is nobody", id)
				}
			}
		}
	}
}

func TestProductsAndRates(t *testing.T) {
	products := all(t, Products())
	between(t, "products", len(products), 36, 50)
	lines := map[string]bool{}
	for _, p := range products {
		lines[p.Line] = true
	}
	if len(lines) != len(Lines) {
		t.Errorf("products of the lines %v, want %v", lines, Lines)
	}
	rates := all(t, Rates())
	between(t, "rates", len(rates), 24*12, 24*12)
	for _, r := range rates {
		back := rates[r.Date.String()+"_"+r.To+"_"+r.From]
		if back == nil {
			t.Fatalf("no way back for %s", r.Key())
		}
		round := decimal.RequireFromString(r.Rate).Mul(decimal.RequireFromString(back.Rate))
		if round.Sub(decimal.NewFromInt(1)).Abs().GreaterThan(decimal.New(1, -3)) {
			t.Errorf("%s there and back is %s", r.Key(), round)
		}
	}
}

func TestOpportunities(t *testing.T) {
	accounts, partners, people := all(t, Accounts()), all(t, Partners()), all(t, People())
	opportunities := all(t, Opportunities(now))
	count := map[string]int{}
	for _, o := range opportunities {
		count[o.Status]++
		if o.Status == "open" {
			count[o.LedBy]++
			count[o.Stage]++
			if o.CloseDate.Before(now) || o.CreatedAt.After(now) || o.LastActivityAt.Before(o.CreatedAt.Time) || o.LastActivityAt.After(now) {
				t.Errorf("%s: created %s, active %s, closes %s", o.ID, o.CreatedAt, o.LastActivityAt, o.CloseDate)
			}
		} else if o.CloseDate.After(now) || o.CreatedAt.After(o.CloseDate.Time) {
			t.Errorf("%s: %s, created %s, closed %s", o.ID, o.Status, o.CreatedAt, o.CloseDate)
		}
		a := accounts[o.AccountID]
		if a == nil || a.Name != o.AccountName {
			t.Fatalf("%s is about %s %s", o.ID, o.AccountID, o.AccountName)
		}
		switch p := partners[o.PartnerID]; {
		case o.LedBy == "partner" && (p == nil || p.Status != "active" || !p.SellsFor(a.Country, o.Lines)):
			t.Errorf("%s in %s for %v is led by %+v", o.ID, a.Country, o.Lines, p)
		case o.LedBy == "direct" && people[o.Owner] == nil:
			t.Errorf("%s is owned by %q", o.ID, o.Owner)
		}
	}
	between(t, "open opportunities", count["open"], 2700, 3300)
	between(t, "led by partners", count["partner"], 500, 1500)
	between(t, "won", count["won"], 250, 350)
	between(t, "lost", count["lost"], 300, 600)
	for _, s := range Stages {
		between(t, "in stage "+s, count[s], 500, 1000)
	}
	// Another instant moves the dates and nothing else.
	later := all(t, Opportunities(now.AddDate(3, 0, 5)))
	shift := now.AddDate(3, 0, 5).Sub(now)
	for id, o := range opportunities {
		want := *o
		for _, d := range []*deal.Date{&want.CloseDate, &want.CreatedAt, &want.LastActivityAt} {
			d.Time = d.Add(shift)
		}
		if !reflect.DeepEqual(&want, later[id]) {
			t.Fatalf("three years later\n%+v\nis\n%+v", &want, later[id])
		}
	}
}

// TestExamples: the examples meet the world they were made for. What they are answered is TestAnswers'.
func TestExamples(t *testing.T) {
	partners := all(t, Partners())
	var clean, direct, named *deal.Account
	for a := range Accounts() {
		switch {
		case a.Name == cleanName && a.Country == "DE":
			clean = a
		case a.Name == directName && a.Country == "DE":
			direct = a
		case a.Name == namedName && a.Country == "DE":
			named = a
		case strings.Contains(strings.ToLower(a.Name), "nordzucker"), strings.Contains(strings.ToLower(a.Name), "storck"):
			t.Errorf("%s is too like an example's account", a.Name)
		}
	}
	for _, a := range []*deal.Account{clean, direct} {
		if a == nil || a.Named || a.Status != "prospect" || a.Employees >= 1000 || a.ParentID != "" {
			t.Fatalf("an example's account is %+v", a)
		}
	}
	if named == nil || !named.Named {
		t.Fatalf("the named account is %+v", named)
	}
	found := 0
	for o := range Opportunities(now) {
		if o.AccountID == clean.ID || o.AccountID == named.ID {
			t.Errorf("an account that shall have no opportunity has %+v", o)
		}
		if o.AccountID == direct.ID {
			found++
			if o.Status != "open" || o.LedBy != "direct" {
				t.Errorf("the account the direct team is at has %+v", o)
			}
		}
	}
	if found != 1 {
		t.Errorf("the direct team has %d opportunities there, want one", found)
	}
	skus := all(t, Products())
	for _, e := range append(Waiting(now), Examples(now)...) {
		f := e.Filing
		f.Normalise()
		if errs := f.Validate(now); len(errs) > 0 {
			t.Errorf("%s: %v", e.Title, errs)
		}
		p := partners[e.PartnerID]
		if p == nil || f.PartnerID != p.ID || p.Status != "active" || p.CreditHold || !p.SellsFor(f.Customer.Country, f.Lines()) || f.DistributorID != p.DistributorID {
			t.Errorf("%s: filed by %+v", e.Title, p)
		}
		for _, product := range f.Products {
			if s := skus[product.SKU]; s == nil || s.Line != product.Line {
				t.Errorf("%s: %s is %+v", e.Title, product.SKU, s)
			}
		}
		if !slices.Contains(deal.Outcomes, deal.Outcome(e.Expect)) {
			t.Errorf("%s expects %q", e.Title, e.Expect)
		}
	}
}

// TestSame: two calls give equal records that share nothing a caller could spoil.
func TestSame(t *testing.T) {
	for range 2 {
		for p := range Partners() {
			for i := range p.Countries {
				if p.Countries[i] == "spoilt" {
					t.Fatal("a caller's change shows in the next call")
				}
				p.Countries[i] = "spoilt"
			}
		}
	}
	plan := Territories()
	plan[0] = 'X'
	if bytes.Equal(plan, Territories()) {
		t.Error("a caller's change shows in the next plan")
	}
	one, two := all(t, Accounts()), all(t, Accounts())
	for id := range one {
		if one[id] == two[id] || !reflect.DeepEqual(one[id], two[id]) {
			t.Fatalf("%s: %+v, %+v", id, one[id], two[id])
		}
	}
	for range Accounts() {
		break
	}
}

func BenchmarkAccounts(b *testing.B) {
	for b.Loop() {
		n := 0
		for range Accounts() {
			n++
		}
		if n < 50_000 {
			b.Fatal(n)
		}
	}
}

func BenchmarkOpportunities(b *testing.B) {
	for b.Loop() {
		for range Opportunities(now) {
		}
	}
}

// TestCrowd: those beyond the real ones are valid, distinct, and the same whenever they are asked for.
func TestCrowd(t *testing.T) {
	base := slices.Collect(Accounts())
	c, again := NewCrowd(base), NewCrowd(base)
	names := map[string]int{}
	const n = 30000
	for i := len(base); i < len(base)+n; i++ {
		a := c.Account(i)
		if errs := a.Validate(); len(errs) > 0 {
			t.Fatalf("account %d: %v", i, errs)
		}
		if b := again.Account(i); !reflect.DeepEqual(a, b) {
			t.Fatalf("account %d is %+v and %+v", i, a, b)
		}
		names[a.Name]++
	}
	if len(names) < n*95/100 {
		t.Errorf("%d accounts have %d names", n, len(names))
	}
}
