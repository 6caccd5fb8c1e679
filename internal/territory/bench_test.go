package territory

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
)

// What large plans are made of.
var (
	bigCountries  = []string{"DE", "AT", "CH", "FR", "GB", "NL", "BE", "ES", "IT", "PL", "SE", "NO", "DK", "FI", "US", "CA", "BR", "JP", "AU", "IN"}
	bigIndustries = numbered("industry", 16)
	bigLines      = numbered("line", 6)
	bigBands      = []int64{0, 10, 50, 100, 250, 500, 1000, 5000, math.MaxInt64}
)

func numbered(name string, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%s%02d", name, i))
	}
	return out
}

func regionsOf(country string) (out []string) {
	for i := range 16 {
		out = append(out, fmt.Sprintf("%s-%02d", country, i))
	}
	return out
}

// area is a box that a plan is split from.
type area struct {
	regions, postal, industries, lines []string
	lo, hi                             int
}

func (a *area) box(country string) boxDoc {
	b := boxDoc{Country: []string{country}}
	for _, x := range []struct {
		into *[]string
		is   []string
		all  int
	}{{&b.Region, a.regions, 16}, {&b.PostalCode, a.postal, 100}, {&b.Industry, a.industries, len(bigIndustries)}, {&b.Line, a.lines, len(bigLines)}} {
		if len(x.is) < x.all {
			*x.into = x.is
		}
	}
	switch lo, hi := bigBands[a.lo], bigBands[a.hi]; {
	case lo > 0 && hi < math.MaxInt64:
		b.Employees = fmt.Sprintf("%d..%d", lo, hi)
	case lo > 0:
		b.Employees = fmt.Sprintf(">=%d", lo)
	case hi < math.MaxInt64:
		b.Employees = fmt.Sprintf("<%d", hi)
	}
	return b
}

// partition is a plan of about n territories as a planner makes one: the world split and split again, without a gap or an
// overlap.
func partition(n int) []territoryDoc {
	r := rand.New(rand.NewPCG(3, uint64(n)))
	var out []territoryDoc
	var split func(country string, a area, k int)
	split = func(country string, a area, k int) {
		lists := []*[]string{&a.regions, &a.postal, &a.industries, &a.lines}
		for try := 0; k > 1 && try < 8; try++ {
			at := r.IntN(6)
			if at > 3 {
				if a.hi-a.lo < 2 {
					continue
				}
				cut := a.lo + 1 + r.IntN(a.hi-a.lo-1)
				low, high := a, a
				low.hi, high.lo = cut, cut
				split(country, low, k/2)
				split(country, high, k-k/2)
				return
			}
			if len(*lists[at]) < 2 || at == 1 && len(a.regions) < 16 || at == 0 && len(a.postal) < 100 || at == 1 && slices.Contains(lettered, country) {
				continue // a plan goes by regions or by postal codes, or it would have to say which lie in which
			}
			values := *lists[at]
			cut := 1 + r.IntN(len(values)-1)
			for i, part := range [][]string{values[:cut], values[cut:]} {
				*lists[at] = part
				split(country, a, (k+i)/2)
			}
			return
		}
		i := len(out)
		out = append(out, territoryDoc{ID: fmt.Sprintf("T%06d", i), Tier: "field", Coverage: "partner", Owner: ownerDoc{Queue: fmt.Sprint("q", i%50)}, Include: a.box(country)})
	}
	var postal []string
	for i := range 100 {
		postal = append(postal, fmt.Sprintf("%02d", i))
	}
	for _, country := range bigCountries {
		split(country, area{regionsOf(country), postal, bigIndustries, bigLines, 0, len(bigBands) - 1}, n/len(bigCountries))
	}
	return out
}

// messy is a plan of n territories laid over each other at random, of which many cover one customer.
func messy(n int) []territoryDoc {
	r := rand.New(rand.NewPCG(4, uint64(n)))
	some := func(list []string, most int) []string {
		at := r.IntN(len(list))
		return list[at:min(len(list), at+1+r.IntN(most))]
	}
	out := make([]territoryDoc, n)
	for i := range out {
		d := &out[i]
		*d = territoryDoc{ID: fmt.Sprintf("T%06d", i), Tier: []string{"named", "strategic", "field"}[r.IntN(3)], Priority: r.IntN(5), Coverage: "partner", Owner: ownerDoc{Queue: "q"}}
		country := bigCountries[r.IntN(len(bigCountries))]
		d.Include.Country = []string{country}
		if r.IntN(3) > 0 {
			d.Include.Region = some(regionsOf(country), 6)
		}
		if r.IntN(3) == 0 {
			d.Include.PostalCode = []string{fmt.Sprintf("%0*d", 1+r.IntN(3), r.IntN(10))}
		}
		if r.IntN(2) == 0 {
			d.Include.Industry = some(bigIndustries, 6)
		} else if r.IntN(3) == 0 {
			d.Exclude = []boxDoc{{Industry: some(bigIndustries, 3)}}
		}
		if lo := r.IntN(len(bigBands) - 2); lo > 0 {
			d.Include.Employees = fmt.Sprintf("%d..%d", bigBands[lo], bigBands[lo+1])
		}
		if r.IntN(3) == 0 {
			d.Include.Revenue = fmt.Sprintf(">=%d", 1_000_000*(1+r.IntN(20)))
		}
		if r.IntN(3) == 0 {
			d.Include.Line = some(bigLines, 3)
		}
		if r.IntN(4) == 0 {
			d.Effective.From = fmt.Sprintf("2027-%02d-01", 1+r.IntN(12))
		}
		if r.IntN(50) == 0 {
			d.Accounts.Include = []string{fmt.Sprintf("acc%04d", r.IntN(1000))}
		}
	}
	return out
}

func render(docs []territoryDoc) []byte {
	var s strings.Builder
	s.WriteString("apiVersion: dealreg/v1\nkind: TerritoryPlan\nmetadata: {name: big, timezone: UTC, effective: {from: 2027-01-01, to: 2028-01-01}}\nuniverse:\n")
	fmt.Fprintf(&s, "  country: [\"%s\"]\n  industry: [%s]\n  product_line: [%s]\n  region:\n", strings.Join(bigCountries, `", "`), strings.Join(bigIndustries, ", "), strings.Join(bigLines, ", "))
	for _, c := range bigCountries {
		fmt.Fprintf(&s, "    \"%s\": [%s]\n", c, strings.Join(regionsOf(c), ", "))
	}
	s.WriteString("tiers: [named, strategic, field]\nterritories:\n")
	for i := range docs {
		d := &docs[i]
		fmt.Fprintf(&s, "  - {id: %s, tier: %s, priority: %d, coverage: %s, owner: {queue: %s}, include: %s", d.ID, d.Tier, d.Priority, d.Coverage, d.Owner.Queue, d.Include.yaml())
		for _, e := range d.Exclude {
			fmt.Fprintf(&s, ", exclude: [%s]", e.yaml())
		}
		if d.Accounts.Include != nil {
			fmt.Fprintf(&s, ", accounts: {include: [%s]}", strings.Join(d.Accounts.Include, ", "))
		}
		if d.Effective.From != "" {
			fmt.Fprintf(&s, ", effective: {from: %s}", d.Effective.From)
		}
		s.WriteString("}\n")
	}
	return []byte(s.String())
}

// bigCustomers are customers of large plans. Of one in eight something is unknown.
func bigCustomers() []Customer {
	r := rand.New(rand.NewPCG(5, 6))
	out := make([]Customer, 256)
	for i := range out {
		country := bigCountries[r.IntN(len(bigCountries))]
		c := Customer{Country: country, Region: regionsOf(country)[r.IntN(16)], PostalCode: fmt.Sprintf("%05d", r.IntN(100_000)), Industry: bigIndustries[r.IntN(16)],
			Employees: int64(r.IntN(10_000)), Revenue: int64(r.IntN(50_000_000)), AccountID: fmt.Sprintf("acc%04d", r.IntN(2000)), Day: time.Date(2027, time.Month(1+r.IntN(12)), 15, 0, 0, 0, 0, time.UTC),
			Lines: []string{bigLines[r.IntN(len(bigLines))]}}
		switch r.IntN(32) {
		case 0:
			c.Region = ""
		case 1:
			c.Industry = ""
		case 2:
			c.Employees = -1
		case 3:
			c.Revenue = -1
		}
		out[i] = c
	}
	return out
}

// plain is a territory as a straightforward program holds it, read from the document without the package's help.
type plain struct {
	country, region, postal, industry, line, not, named []string
	staff, money                                        [2]int64
	from                                                int64
}

// inOrder sorts territories by precedence, from what the documents say.
func inOrder(docs []territoryDoc) []territoryDoc {
	tier := map[string]int{"named": 0, "strategic": 1, "field": 2}
	out := slices.Clone(docs)
	narrow := make(map[string]int, len(docs))
	for i := range docs {
		narrow[docs[i].ID] = docs[i].narrowness()
	}
	slices.SortFunc(out, func(a, b territoryDoc) int {
		for _, d := range []int{tier[a.Tier] - tier[b.Tier], b.Priority - a.Priority, narrow[b.ID] - narrow[a.ID]} {
			if d != 0 {
				return d
			}
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

func plainly(docs []territoryDoc) []plain {
	out := make([]plain, len(docs))
	for i := range docs {
		d, p := &docs[i], &out[i]
		*p = plain{d.Include.Country, d.Include.Region, d.Include.PostalCode, d.Include.Industry, d.Include.Line, nil, d.Accounts.Include, [2]int64{-1, math.MaxInt64}, [2]int64{-1, math.MaxInt64}, math.MinInt64}
		for _, e := range d.Exclude {
			p.not = append(p.not, e.Industry...)
		}
		if d.Include.Employees != "" {
			p.staff[0], p.staff[1], _ = parseRange(d.Include.Employees)
		}
		if d.Include.Revenue != "" {
			p.money[0], p.money[1], _ = parseRange(d.Include.Revenue)
		}
		if d.Effective.From != "" {
			day, _ := time.Parse(time.DateOnly, d.Effective.From)
			p.from = day.Unix()
		}
	}
	return out
}

// scan is the plain way: one territory after the other, the first that fits.
func scan(list []plain, c *Customer) int {
	in := func(asked []string, v string) bool { return asked == nil || slices.Contains(asked, v) }
	day := c.Day.Unix()
	for i := range list {
		p := &list[i]
		if in(p.country, c.Country) && in(p.region, c.Region) && p.staff[0] <= c.Employees && c.Employees < p.staff[1] && p.money[0] <= c.Revenue && c.Revenue < p.money[1] &&
			in(p.industry, c.Industry) && in(p.line, c.Lines[0]) && p.from <= day && (p.not == nil || c.Industry != "" && !slices.Contains(p.not, c.Industry)) && in(p.named, c.AccountID) {
			if p.postal == nil || slices.ContainsFunc(p.postal, func(begin string) bool { return strings.HasPrefix(c.PostalCode, begin) }) {
				return i
			}
		}
	}
	return -1
}

// celScan is the way of a rules engine: one compiled condition per territory.
func celScan(t testing.TB, docs []territoryDoc) func(c *Customer) int {
	t.Helper()
	env, err := cel.NewEnv(cel.Variable("country", cel.StringType), cel.Variable("region", cel.StringType), cel.Variable("postcode", cel.StringType), cel.Variable("industry", cel.StringType),
		cel.Variable("line", cel.StringType), cel.Variable("account", cel.StringType), cel.Variable("employees", cel.IntType), cel.Variable("revenue", cel.IntType), cel.Variable("day", cel.IntType))
	if err != nil {
		t.Fatal(err)
	}
	var programs []cel.Program
	for i, p := range plainly(docs) {
		var terms []string
		for _, x := range []struct {
			name   string
			values []string
		}{{"country", p.country}, {"region", p.region}, {"industry", p.industry}, {"line", p.line}, {"account", p.named}} {
			if x.values != nil {
				terms = append(terms, fmt.Sprintf(`%s in ["%s"]`, x.name, strings.Join(x.values, `", "`)))
			}
		}
		for _, x := range []struct {
			name string
			is   [2]int64
		}{{"employees", p.staff}, {"revenue", p.money}} {
			if x.is[0] > 0 || x.is[1] < math.MaxInt64 {
				terms = append(terms, fmt.Sprintf("%s >= %d && %s < %d", x.name, max(0, x.is[0]), x.name, x.is[1]))
			}
		}
		if p.not != nil {
			terms = append(terms, fmt.Sprintf(`industry != "" && !(industry in ["%s"])`, strings.Join(p.not, `", "`)))
		}
		if p.from != math.MinInt64 {
			terms = append(terms, fmt.Sprintf("day >= %d", p.from))
		}
		if p.postal != nil {
			var begins []string
			for _, b := range p.postal {
				begins = append(begins, fmt.Sprintf("postcode.startsWith(%q)", b))
			}
			terms = append(terms, "("+strings.Join(begins, " || ")+")")
		}
		ast, issues := env.Compile(strings.Join(terms, " && "))
		if issues.Err() != nil {
			t.Fatal(docs[i].ID, issues.Err())
		}
		program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize))
		if err != nil {
			t.Fatal(err)
		}
		programs = append(programs, program)
	}
	return func(c *Customer) int {
		facts, err := cel.NewActivation(map[string]any{"country": c.Country, "region": c.Region, "postcode": c.PostalCode, "industry": c.Industry, "line": c.Lines[0], "account": c.AccountID,
			"employees": c.Employees, "revenue": c.Revenue, "day": c.Day.Unix()})
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range programs {
			out, _, err := p.Eval(facts)
			if err != nil {
				t.Fatal(err)
			}
			if out.Value() == true {
				return i
			}
		}
		return -1
	}
}

// big is a large plan, made once.
type big struct {
	name string
	docs []territoryDoc // in the order of precedence
	plan *Plan
	took time.Duration // to compile it
}

var bigPlans = map[string]func() *big{}

func init() {
	for name, docs := range map[string]func() []territoryDoc{
		"10k-partition": func() []territoryDoc { return partition(10_000) }, "10k-messy": func() []territoryDoc { return messy(10_000) },
		"100k-partition": func() []territoryDoc { return partition(100_000) }, "100k-messy": func() []territoryDoc { return messy(100_000) },
	} {
		bigPlans[name] = sync.OnceValue(func() *big {
			d := docs()
			text := render(d)
			start := time.Now()
			p, err := Compile(text)
			if err != nil {
				panic(err)
			}
			return &big{name, inOrder(d), p, time.Since(start)}
		})
	}
}

// The index, a plain scan and a scan of CEL conditions give the same winners.
func TestWaysAgree(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"10k-partition", "10k-messy"} {
		b := bigPlans[name]()
		list, byCEL := plainly(b.docs), celScan(t, b.docs[:500])
		none, won := 0, 0
		for _, c := range bigCustomers() {
			want := scan(list, &c)
			if got := b.plan.Winner(&c, c.Lines[0]); got != want {
				t.Fatalf("%s: %+v: the index says %d, the scan %d", name, c, got, want)
			}
			if want >= 0 {
				won++
			} else {
				none++
			}
			if want >= 500 {
				want = -1
			}
			if got := byCEL(&c); got != want {
				t.Fatalf("%s: %+v: CEL says %d, the scan %d", name, c, got, want)
			}
		}
		if won < 100 || name == "10k-partition" && none == 0 {
			t.Errorf("%s proves little: %d customers have a winner, %d have none", name, won, none)
		}
	}
}

func TestWinnerDoesNotAllocate(t *testing.T) {
	for _, name := range []string{"10k-partition", "10k-messy"} {
		p, cs, i := bigPlans[name]().plan, bigCustomers(), 0
		if n := testing.AllocsPerRun(1000, func() { p.Winner(&cs[i%len(cs)], cs[i%len(cs)].Lines[0]); i++ }); n > 0 {
			t.Errorf("%s: a lookup allocates %v times", name, n)
		}
	}
}

// cpu is the processor time this process has used: on a shared machine, what a lookup costs.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkWinner finds the winner among many territories in three ways, which have to agree.
func BenchmarkWinner(b *testing.B) {
	cs := bigCustomers()
	for _, name := range []string{"10k-partition", "10k-messy", "100k-partition", "100k-messy"} {
		plan := bigPlans[name]()
		list := plainly(plan.docs)
		for _, c := range cs {
			if got, want := plan.plan.Winner(&c, c.Lines[0]), scan(list, &c); got != want {
				b.Fatalf("%s: %+v: the index says %d, the scan %d", name, c, got, want)
			}
		}
		run := func(way string, f func(c *Customer) int) {
			b.Run(name+"/"+way, func(b *testing.B) {
				b.ReportAllocs()
				i, start := 0, cpu()
				for b.Loop() {
					f(&cs[i&255])
					i++
				}
				b.ReportMetric(float64(cpu()-start)/float64(i), "cpu-ns/op")
			})
		}
		run("index", func(c *Customer) int { return plan.plan.Winner(c, c.Lines[0]) })
		run("scan", func(c *Customer) int { return scan(list, c) })
		byCEL := celScan(b, plan.docs)
		for _, c := range cs[:16] {
			if got, want := byCEL(&c), scan(list, &c); got != want {
				b.Fatalf("%s: %+v: CEL says %d, the scan %d", name, c, got, want)
			}
		}
		run("cel", byCEL)
		runtime.GC() // a hundred thousand compiled conditions are hundreds of megabytes, and the next plan has as many
	}
}

// BenchmarkFind looks up the winner with the reasons, and all that cover the customer.
func BenchmarkFind(b *testing.B) {
	cs := bigCustomers()
	for _, name := range []string{"10k-partition", "10k-messy"} {
		b.Run(name, func(b *testing.B) {
			p, i := bigPlans[name]().plan, 0
			b.ReportAllocs()
			for b.Loop() {
				p.Find(cs[i&255])
				i++
			}
		})
	}
}

// BenchmarkCompile reads a plan and builds its index.
func BenchmarkCompile(b *testing.B) {
	text := render(partition(10_000))
	for b.Loop() {
		if _, err := Compile(text); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheck proves a plan that is in order, and one that is not.
func BenchmarkCheck(b *testing.B) {
	for _, name := range []string{"10k-partition", "10k-messy"} {
		b.Run(name, func(b *testing.B) {
			p, n := bigPlans[name]().plan, 0
			for b.Loop() {
				n = len(p.Check(p.from))
			}
			b.ReportMetric(float64(n), "findings")
		})
	}
}
