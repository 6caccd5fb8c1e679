package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/server"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
	"github.com/dibs-deals/dibs/internal/territory"
	"github.com/dibs-deals/dibs/internal/world"
)

var today = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// serve starts the real service on a database of its own, with the vendor's world in it, as of noon of its day.
func serve(t *testing.T, v *vendor) *service {
	t.Helper()
	ctx := context.Background()
	st, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "dibs.db")})
	if err != nil {
		t.Fatal(err)
	}
	signer, _, err := ledger.NewSigner("dibs.example/loadtest")
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(ctx, engine.Config{Store: st, Signer: signer, Clock: func() time.Time { return v.today.Add(12 * time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(server.New(server.Config{Engine: e}).Handler())
	t.Cleanup(func() {
		h.Close()
		if err := e.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	_, token, err := e.CreateKey(ctx, engine.Request{Actor: deal.System}, deal.Key{Role: "admin", Note: "load test"})
	if err != nil {
		t.Fatal(err)
	}
	s := &service{urls: []string{h.URL}, key: token}
	if err := s.populate(ctx, v); err != nil {
		t.Fatal(err)
	}
	return s
}

// fileAll files registrations, eight at a time, and reads what was recorded.
func fileAll(t *testing.T, s *service, list []*filed) ([]reply, map[string]*deal.Decision) {
	t.Helper()
	ctx := context.Background()
	replies := make([]reply, len(list))
	work := make(chan int)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for i := range work {
				var err error
				if replies[i], _, err = s.file(ctx, 0, list[i]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range list {
		work <- i
	}
	close(work)
	workers.Wait()
	ds, err := s.decisions(ctx, replies)
	if err != nil {
		t.Fatal(err)
	}
	return replies, ds
}

func make1(t *testing.T, seed uint64, size int, document []byte, n int) *vendor {
	t.Helper()
	v, err := newVendor(seed, size, today, document, n)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestTruth files a small load of every kind with the real service: what the truth calls right is what it says. The judge
// then reads decisions that are not right, and must say so.
func TestTruth(t *testing.T) {
	v := make1(t, 7, 3000, world.Territories(), 1000)
	storm := v.storm(4, 12)
	sweep, _ := v.boundaries(300)
	mix := v.mix("steady", 600)
	s := serve(t, v)
	for _, x := range []struct {
		name string
		list []*filed
	}{{"sweep", sweep}, {"storm", storm}, {"steady", mix}} {
		replies, decisions := fileAll(t, s, x.list)
		got := v.judge(x.list, replies, decisions)
		complain(t, x.name, got)
		if got.Asked != len(x.list) || got.Right != got.Asked {
			t.Errorf("%s: of %d filed, %d were asked and %d right", x.name, len(x.list), got.Asked, got.Right)
		}
		if x.name == "steady" {
			if got.Cautious > got.Right/20 {
				t.Errorf("%d of %d right answers asked a person without need", got.Cautious, got.Right)
			}
			corrupt(t, v, x.list, replies, decisions)
		}
	}
	if got := v.judge(mix[:1], []reply{{Status: 503}}, nil); len(got.Failed) != 1 {
		t.Errorf("an answer that was none is not counted: %+v", got)
	}
}

// corrupt changes one decision after another to one that is wrong.
func corrupt(t *testing.T, v *vendor, list []*filed, replies []reply, decisions map[string]*deal.Decision) {
	t.Helper()
	protect := func(d *deal.Decision) {
		d.Outcome, d.Route, d.Case, d.ReasonCodes = deal.Protect, nil, nil, []string{"PROTECTED"}
	}
	is := func(reason string) func(*filed, *deal.Decision) bool {
		return func(_ *filed, d *deal.Decision) bool { return d.ReasonCodes[0] == reason }
	}
	protected := is("PROTECTED")
	for _, c := range []struct {
		name   string
		on     func(*filed, *deal.Decision) bool
		change func(*deal.Decision)
	}{
		{"a second holder", is("ALREADY_REGISTERED"), protect},
		{"behind another customer's claim", is("ALREADY_REGISTERED"), func(d *deal.Decision) { d.Route.Of = "reg_of_somebody_else" }},
		{"merged into another customer's", is("ALREADY_YOURS"), func(d *deal.Decision) { d.Route.Of = "" }},
		{"a named account protected", is("NAMED_ACCOUNT"), protect},
		{"direct business overlooked", is("DIRECT_ENGAGED"), protect},
		{"a suspended partner protected", is("PARTNER_INACTIVE"), protect},
		{"incomplete and protected", is("INCOMPLETE"), protect},
		{"large and protected", is("STRATEGIC"), protect},
		{"a place in line given for nothing", protected, func(d *deal.Decision) {
			d.Outcome, d.Route, d.ReasonCodes = deal.RouteTo, &deal.Route{Disposition: deal.Waitlisted, Of: d.RegistrationID}, []string{"ALREADY_REGISTERED"}
		}},
		{"escalated for what is not so", protected, func(d *deal.Decision) {
			d.Outcome, d.Case, d.ReasonCodes = deal.Escalate, &deal.CaseTerms{}, []string{"INCUMBENT"}
		}},
		{"another account", func(f *filed, d *deal.Decision) bool { return d.Resolution.Status == "certain" }, func(d *deal.Decision) { d.Resolution.Ref.AccountID = "ACC-999999" }},
		{"an account for a stranger", func(f *filed, d *deal.Decision) bool { return f.org.account == nil }, func(d *deal.Decision) {
			d.Resolution.Status, d.Resolution.Ref.AccountID = "certain", "ACC-000001"
		}},
		{"an account overlooked", func(f *filed, d *deal.Decision) bool { return f.Exact }, func(d *deal.Decision) { d.Resolution.Status = "none" }},
		{"another territory", protected, func(d *deal.Decision) { d.Territory.ID = "REST-OF-WORLD" }},
		{"another coverage", protected, func(d *deal.Decision) { d.Territory.Coverage = territory.Direct }},
	} {
		i := slices.IndexFunc(replies, func(r reply) bool { return c.on(list[r.Case], decisions[r.ID]) })
		if i < 0 {
			t.Errorf("%s: there is no decision to try it on", c.name)
			continue
		}
		was := decisions[replies[i].ID]
		changed := *was
		if was.Route != nil {
			r := *was.Route
			changed.Route = &r
		}
		c.change(&changed)
		decisions[replies[i].ID] = &changed
		if got := v.judge(list, replies, decisions); len(got.Wrong) == 0 {
			t.Errorf("%s: nothing wrong is seen in %s", c.name, asJSON(list[replies[i].Case]))
		}
		decisions[replies[i].ID] = was
	}
}

func complain(t *testing.T, name string, got *verdict) {
	t.Helper()
	for i, w := range append(got.Wrong, got.Failed...) {
		if i < 15 {
			t.Errorf("%s, %s: got %s, right: %s\n%s\n%s", name, w.Kind, w.Got, w.Want, w.Why, w.Filing)
		}
	}
}

// TestUsersPlan sweeps a plan of the user's own, with accounts that the world does not have, through the real service.
func TestUsersPlan(t *testing.T) {
	v := make1(t, 3, 1000, usersPlan(t), 100)
	sweep, all := v.boundaries(1000)
	if len(sweep) != all || all < 100 {
		t.Fatalf("%d of %d customers", len(sweep), all)
	}
	shows := map[string]bool{}
	for _, f := range sweep {
		if f.probe.Shows == "inside" {
			shows[v.plan.find(f.probe.point).ID] = true
		}
		shows[strings.Fields(f.probe.Shows)[0]] = true
	}
	for _, want := range []string{"DACH-LARGE", "MUNICH", "BAVARIA", "HEALTH", "SWISS-SMALL", "SWISS-NETWORK", "DACH",
		"account", "subsidiary", "country", "region", "postcode", "industry", "line", "employees", "revenue", "amount", "nothing"} {
		if !shows[want] {
			t.Errorf("nothing shows %s", want)
		}
	}
	storm := v.storm(2, 5)
	s := serve(t, v)
	for name, list := range map[string][]*filed{"sweep": sweep, "storm": storm} {
		replies, decisions := fileAll(t, s, list)
		complain(t, name, v.judge(list, replies, decisions))
	}
}

func usersPlan(t *testing.T) []byte {
	t.Helper()
	document, err := os.ReadFile("testdata/plan.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// TestOracle holds the plain scan to the index, on the customers of a sweep and on any: they must agree, and on a plan that
// differs in one word they must not. Then a sweep finds what went wrong with a plan, or with the index.
func TestOracle(t *testing.T) {
	for _, c := range []struct {
		name     string
		document []byte
		edits    [][2]string
	}{
		{"demo", world.Territories(), [][2]string{
			{"country: [JP], employees: \"<1000\"", "country: [JP], employees: \"<999\""},
			{"country: [JP], employees: \"1000..5000\"", "country: [JP], employees: \"1000..4999\""},
			{"include: {country: [US], industry: [public]}", "include: {country: [US], industry: [energy]}"},
			{"include: {country: [NZ]}", "include: {country: [AU]}"},
			{"partner_id: P-044", "partner_id: P-043"},
			{"direct_at_or_above: 250000", "direct_at_or_above: 249999.99"},
			{"tier: named\n", "tier: default\n"},
			{"with_subsidiaries: true", "with_subsidiaries: false"},
		}},
		{"user's", usersPlan(t), [][2]string{
			{"\"853\"], employees", "\"854\"], employees"}, {"priority: 10", "priority: -10"}, {"- {industry: [public]}", "- {industry: [automotive]}"},
			{"{country: [CH], product_line: [services]}", "{country: [CH], product_line: [network]}"}, {"employees: \"<100\"", "employees: \"<101\""},
			{">=500_000_000", ">=500_000_001"}, {"direct_at_or_above: 100000", "direct_at_or_above: 100000.01"}, {"lead: direct", "lead: partner"},
			{"[\"8533\"]", "[\"853\"]"}, {"\"10..250\"", "\"10..249\""}, {"exclude: [acc-3], with_subsidiaries: true", "exclude: [acc-3]"},
			{"exclude: [acc-3]", "exclude: [acc-2]"}, {"from: 2026-06-01, to: 2026-09-01", "from: 2026-06-01, to: 2026-12-01"}, {"product_line: [network]}\n  - id: SWISS", "product_line: [services]}\n  - id: SWISS"},
		}},
	} {
		v := make1(t, 5, 60_000, c.document, 100)
		named := v.namedByPlan()
		probes := v.plan.sweep(v.rng, v.today, named, v.above)
		for range 20_000 {
			probes = append(probes, probe{point: anybody(v.rng, v.plan, named, v), Shows: "anybody"})
		}
		index, err := territory.Compile(c.document)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range probes {
			if is, want := byIndex(index, p.point), v.plan.find(p.point); is != want {
				t.Fatalf("%s: index %+v, scan %+v: %s %s %+v", c.name, is, want, p.Territory, p.Shows, p.point)
			}
		}
		swept := slices.IndexFunc(probes, func(p probe) bool { return p.Shows == "anybody" })
		for _, edit := range c.edits {
			text := strings.Replace(string(c.document), edit[0], edit[1], 1)
			other, err := territory.Compile([]byte(text))
			if err != nil || text == string(c.document) {
				t.Fatalf("%s: %s → %s is no plan, or no edit: %v", c.name, edit[0], edit[1], err)
			}
			if !slices.ContainsFunc(probes[:swept], func(p probe) bool { return byIndex(other, p.point) != v.plan.find(p.point) }) {
				t.Errorf("%s: the sweep does not see that %s became %s", c.name, edit[0], edit[1])
			}
		}
	}
}

func byIndex(p *territory.Plan, c point) covered {
	r := p.Find(territory.Customer{AccountID: c.Account, Ancestors: c.Ancestors, Country: c.Country, Region: c.Region, PostalCode: c.Postcode, Industry: c.Industry,
		Employees: c.Employees, Revenue: c.Revenue, Lines: c.Lines, Amount: c.Amount, AmountKnown: c.AmountKnown, Day: c.At})
	return covered{r.Status, r.ID, r.Coverage, r.Owner.PartnerID}
}

// anybody is a customer with any values, among them such as the plan mentions, and any of them unknown.
func anybody(rng *rand.Rand, p *plan, named []*deal.Account, v *vendor) point {
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	c := point{Employees: -1, Revenue: -1, At: today}
	if rng.IntN(6) == 0 {
		a := named[rng.IntN(len(named))]
		c.Account, c.Ancestors = a.ID, v.above(a)
	}
	var all []terms
	for _, a := range p.Territories {
		all = append(append(all, a.Include), a.Exclude...)
	}
	t := all[rng.IntN(len(all))]
	c.Country = pick(append([]string{"", "IS"}, append(p.Universe.Country, t.Country...)...)...)
	c.Region = pick(append([]string{"", "", c.Country + "-X"}, append(p.Universe.Region[c.Country], t.Region...)...)...)
	c.Postcode = pick("", "", "80331", "8533", "D-85345", "70173", "854", "8")
	c.Industry = pick(append([]string{"", "beekeeping"}, append(p.Universe.Industry, t.Industry...)...)...)
	for range rng.IntN(3) {
		c.Lines = append(c.Lines, pick(append([]string{"abacus"}, p.lines()...)...))
	}
	for _, text := range []string{t.Employees, all[rng.IntN(len(all))].Employees} {
		if text != "" {
			lo, hi := bounds(text)
			c.Employees = max(0, []int64{lo, lo - 1, hi, hi - 1}[rng.IntN(4)])
		}
	}
	if t.Revenue != "" && rng.IntN(2) == 0 {
		lo, _ := bounds(t.Revenue)
		c.Revenue = lo - int64(rng.IntN(2))
	}
	if rng.IntN(3) > 0 {
		c.Amount, c.AmountKnown = []float64{5000, 99_999.99, 100_000, 250_000, 249_999.99}[rng.IntN(5)], true
	}
	return c
}

// TestSameSeed: a run follows from its seed.
func TestSameSeed(t *testing.T) {
	made := func(seed uint64) string {
		w, err := prepare(&settings{Accounts: 1500, Rate: 20, duration: 10 * time.Second, Seed: seed, scenarios: "smoke,territories,storm,steady", points: 200, partners: 10}, today)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		var all []byte
		for _, name := range []string{"smoke", "territories", "storm", "steady"} {
			if err := w.scenario(dir, name, today); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(dir, name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		for _, rows := range []any{slices.Collect(w.v.accounts()), w.v.partners, w.v.opportunities} {
			b, err := json.Marshal(rows)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		return string(all)
	}
	one := made(11)
	if made(11) != one {
		t.Error("one seed made two loads")
	}
	if made(12) == one {
		t.Error("another seed made the same load")
	}
}

// TestLimits: every scenario has thresholds, and each of the kinds that cannot be done without; a broken one is not good.
func TestLimits(t *testing.T) {
	b, err := os.ReadFile("k6/thresholds.json")
	if err != nil {
		t.Fatal(err)
	}
	var is map[string]map[string]any
	if err := json.Unmarshal(b, &is); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"smoke", "territories", "storm", "steady"} {
		for metric, want := range map[string]string{"failed": "rate==0", "wrong": "count==0"} {
			if got := fmt.Sprint(is[name][metric]); got != "["+want+"]" {
				t.Errorf("%s: %s is limited by %s, want %s", name, metric, got, want)
			}
		}
		if _, err := os.Stat("k6/" + name + ".js"); err != nil {
			t.Error(err)
		}
	}
	r := &result{Name: "steady", Filed: 100, Verdict: &verdict{Asked: 100, Right: 99, Cautious: 9, Wrong: []wrong{{Kind: "named", Got: "protect", Want: "route referred", Why: "<b>it is named</b>"}}}}
	for i := range 100 {
		r.Replies = append(r.Replies, reply{Case: i, Outcome: "protect", MS: float64(i + 1)})
	}
	if err := r.limits("k6/thresholds.json"); err != nil {
		t.Fatal(err)
	}
	if got := r.Spreads()[1]; got != (spread{"protect", 100, 50, 90, 99, 100}) {
		t.Errorf("1 to 100 ms are spread %+v", got)
	}
	rep := &report{Settings: &settings{}, Scenarios: []*result{r}, AuditGood: true}
	if n := len(rep.faults()); n != 3 { // wrong, too careful, and the answer itself
		t.Errorf("%d faults: %v", n, rep.faults())
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := rep.write(file); err != nil {
		t.Fatal(err)
	}
	html, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Not good", "&lt;b&gt;it is named", "route referred", "broken", ">50.0<"} {
		if !strings.Contains(string(html), want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	for _, never := range []string{"http://", "https://", "<script"} {
		if strings.Contains(string(html), never) {
			t.Errorf("the report is not self-contained: %s", never)
		}
	}
}
