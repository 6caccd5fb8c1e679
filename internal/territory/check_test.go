package territory

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// smallUniverse is one whose customers can all be asked one by one.
const smallUniverse = `apiVersion: dealreg/v1
kind: TerritoryPlan
metadata: {name: small, timezone: UTC, effective: {from: 2027-01-01, to: 2028-01-01}}
universe:
  country: [DE, FR]
  region: {DE: [DE-BY, DE-BW], FR: [FR-IDF]}
  postcode: {DE-BY: ["80", "9"], DE: ["8", "9"]}
  industry: [public, retail]
  product_line: [network, security]
  accounts: {DE: [acc-1]}
policy: {overlap_across_tiers: warn}
tiers: [a, b]
territories:
`

// everyone lists the customers of the small universe, one of each kind its plans can tell apart, with those of whom
// something is unknown marked so.
func everyone() (known, blank []Customer) {
	accounts := []kin{{}, {"acc-1", false}, {"acc-1", true}, {"acc-2", false}, {"acc-2", true}}
	for _, place := range [][3]string{
		{"DE", "DE-BY", "80331"}, {"DE", "DE-BY", "81000"}, {"DE", "DE-BY", "90402"}, {"DE", "DE-BW", "81000"}, {"FR", "FR-IDF", "75001"}, {"FR", "FR-IDF", "80331"}, {"FR", "FR-IDF", "13001"},
		{"DE", "", "80331"}, {"DE", "", "81000"}, {"DE", "", ""}, {"DE", "DE-BY", ""}, {"DE", "DE-BW", ""}, {"FR", "", ""}, {"FR", "FR-IDF", ""}, {"FR", "", "80331"}, {"FR", "", "75001"}, {"FR", "", "13001"},
		{"", "", ""}, {"", "", "80331"}, {"", "", "81000"}, {"", "", "90402"}, {"", "", "75001"}, {"", "", "13001"},
	} {
		for _, industry := range []string{"public", "retail", ""} {
			for size := range 16 {
				staff, money := []int64{0, 100, 200, -1}[size%4], []int64{0, 100, 200, -1}[size/4]
				for _, line := range []string{"network", "security"} {
					for _, day := range []time.Month{1, 6} {
						for _, who := range accounts {
							c := Customer{Country: place[0], Region: place[1], PostalCode: place[2], Industry: industry, Employees: staff, Revenue: money, Lines: []string{line},
								Day: time.Date(2027, day, 1, 0, 0, 0, 0, time.UTC)}
							c.AccountID, c.Ancestors = who.ids()
							switch {
							case who == kin{"acc-1", false} && c.Country != "DE":
							case place[1] == "" || place[2] == "" || industry == "" || staff < 0 || money < 0:
								blank = append(blank, c)
							default:
								known = append(known, c)
							}
						}
					}
				}
			}
		}
	}
	return known, blank
}

func smallPlan(r *rand.Rand, n int) string {
	var s strings.Builder
	s.WriteString(smallUniverse)
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	for i := range n {
		var in, ex []string
		country := pick("", "DE", "DE", "FR")
		if country != "" {
			in = append(in, "country: ["+country+"]")
		}
		if r.IntN(3) == 0 {
			in = append(in, "region: ["+map[string]string{"": pick("DE-BY", "DE-BW, FR-IDF"), "DE": pick("DE-BY", "DE-BW"), "FR": "FR-IDF"}[country]+"]")
		}
		if country != "" && r.IntN(3) == 0 {
			in = append(in, `postcode: ["`+map[string]string{"DE": pick("80", "8", `8", "9`), "FR": pick("7", "8")}[country]+`"]`)
		}
		if r.IntN(4) == 0 {
			in = append(in, "industry: ["+pick("public", "retail")+"]")
		}
		if r.IntN(3) == 0 {
			in = append(in, pick("employees", "revenue")+`: "`+pick("<100", ">=100", "100..200", "<200", ">=200")+`"`)
		}
		if r.IntN(4) == 0 {
			in = append(in, "product_line: ["+pick("network", "security")+"]")
		}
		if r.IntN(3) == 0 {
			ex = append(ex, pick("{industry: [public]}", "{country: [DE], industry: [retail]}", `{employees: "100..200", product_line: [network]}`, "{region: [DE-BY]}", `{country: [DE], postcode: ["80"]}`))
		}
		fmt.Fprintf(&s, "  - {id: T%02d, tier: %s, priority: %d, coverage: direct, owner: {queue: q}, include: {%s}, exclude: [%s]",
			i, pick("a", "b"), r.IntN(2), strings.Join(in, ", "), strings.Join(ex, ", "))
		if r.IntN(3) == 0 {
			fmt.Fprintf(&s, ", accounts: {%s: [%s], with_subsidiaries: %v}", pick("include", "exclude"), pick("acc-1", "acc-2", "acc-1, acc-2"), r.IntN(2) == 0)
		}
		if r.IntN(4) == 0 {
			fmt.Fprintf(&s, ", effective: {%s}", pick("to: 2027-06-01", "from: 2027-06-01"))
		}
		s.WriteString("}\n")
	}
	return s.String()
}

// What a check finds is what asking for every customer there is finds.
func TestCheckAgainstEveryone(t *testing.T) {
	t.Parallel()
	known, blank := everyone()
	r := rand.New(rand.NewPCG(7, 8))
	seen := map[string]int{}
	for range 200 {
		text := smallPlan(r, 1+r.IntN(12))
		p, err := Compile([]byte(text))
		if err != nil {
			for _, e := range errorsOf(t, err) {
				if !strings.Contains(e.Message, "leave nothing") {
					t.Fatalf("%v in\n%s", err, text)
				}
			}
			continue
		}
		want := map[string]bool{}
		pairs := map[[2]int32]bool{}
		wins, winsBlank, covers := map[int32]bool{}, map[int32]bool{}, map[int32]bool{}
		for i, c := range slices.Concat(known, blank) {
			p.universe.complete(&c)
			q := p.index.query(&c, c.Lines[0])
			found := p.all(&c, &q, c.Lines[0])
			switch {
			case i >= len(known):
				if len(found) > 0 {
					winsBlank[found[0]] = true
				}
				continue
			case len(found) == 0 && !uncoveredTwice(p, c):
				want["gap "+c.Country+" "+c.AccountID] = true
			case len(found) > 0:
				wins[found[0]] = true
			}
			for k, a := range found {
				covers[a] = true
				for _, b := range found[k+1:] {
					pairs[[2]int32{a, b}] = true
				}
			}
		}
		ts := p.Territories()
		for pair := range pairs {
			want["overlap "+ts[pair[0]].ID+" "+ts[pair[1]].ID] = true
		}
		for i := range ts {
			switch {
			case wins[int32(i)]:
			case winsBlank[int32(i)]:
				want["fallback "+ts[i].ID] = true
			default:
				want["shadowed "+ts[i].ID] = true
			}
		}
		got := map[string]bool{}
		for _, f := range p.Check(p.from) {
			seen[f.Kind]++
			key := f.Kind + " " + strings.Join(f.Territories, " ")
			if f.Kind == Gap {
				key = "gap " + f.Witness.Country + " " + f.Witness.customer.AccountID
			}
			got[key] = true
			if f.Witness == nil {
				if f.Kind != Shadowed {
					t.Fatalf("%+v has no witness", f)
				}
				if i := slices.IndexFunc(ts, func(t Territory) bool { return t.ID == f.Territories[0] }); covers[int32(i)] {
					t.Fatalf("%s\n%s", f.Message, text)
				}
				continue
			}
			c := f.Witness.Customer()
			res := p.Find(c)
			shows := false
			switch f.Kind {
			case Gap:
				shows = res.Status == None
			case Overlap:
				shows = slices.Contains(res.Covers, f.Territories[0]) && slices.Contains(res.Covers, f.Territories[1])
			case Shadowed:
				shows = slices.Contains(res.Covers, f.Territories[0]) && res.ID != f.Territories[0]
			case Fallback:
				shows = res.ID == f.Territories[0]
			}
			if !shows {
				t.Fatalf("the witness shows nothing: %+v\n%+v\n%+v\n%s", f, c, res, text)
			}
		}
		for k := range want {
			if !got[k] {
				t.Fatalf("not found: %s\ngot %v\n%s", k, got, text)
			}
		}
		for k := range got {
			if !want[k] {
				t.Fatalf("found, and is not there: %s\nwant %v\n%s", k, want, text)
			}
		}
	}
	for _, kind := range []string{Gap, Overlap, Shadowed, Fallback} {
		if seen[kind] < 10 {
			t.Errorf("the random plans prove little: %d of %s", seen[kind], kind)
		}
	}
}

// uncoveredTwice reports whether a customer nobody covers is one nobody would cover as a stranger, either: then the
// stranger is the one that is reported.
func uncoveredTwice(p *Plan, c Customer) bool {
	if c.AccountID == "" {
		return false
	}
	c.AccountID, c.Ancestors = "", nil
	return p.Winner(&c, c.Lines[0]) < 0
}

// A large plan that is in order has no findings. Mistakes planted in it are all found, and nothing else is.
func TestCheckPlanted(t *testing.T) {
	t.Parallel()
	docs := partition(2000)
	whole := compile(t, string(render(docs)))
	check := func(docs []territoryDoc) []Finding { return compile(t, string(render(docs))).Check(whole.from) }
	if found := whole.Check(whole.from); len(found) > 0 {
		t.Fatalf("a partition has %d findings, such as %+v", len(found), found[0])
	}
	rand.New(rand.NewPCG(9, 9)).Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
	const n = 8

	gaps := map[string]bool{}
	for _, f := range check(docs[n:]) {
		c := f.Witness.Customer()
		for _, x := range []struct {
			into *string
			v    string
		}{{&c.Region, regionsOf(c.Country)[3]}, {&c.PostalCode, "33333"}, {&c.Industry, bigIndustries[3]}} {
			*x.into = cmp.Or(*x.into, x.v) // what a witness leaves out may be anything
		}
		c.Employees = max(c.Employees, 0)
		line := cmp.Or(f.Witness.Line, bigLines[3])
		id := whole.Territories()[whole.Winner(&c, line)].ID
		if f.Kind != Gap || !slices.ContainsFunc(docs[:n], func(d territoryDoc) bool { return d.ID == id }) {
			t.Errorf("%s is not missing: %s", id, f.Message)
		}
		gaps[c.Country] = true
	}
	for _, d := range docs[:n] {
		if !gaps[d.Include.Country[0]] {
			t.Errorf("the gap %s left is not found", d.ID)
		}
	}

	buried := slices.Clone(docs)
	for i, d := range docs[:n] { // under several territories that cover it together
		d.ID, d.Priority = fmt.Sprint("BURIED", i), -1
		d.Include = boxDoc{Country: d.Include.Country, Industry: bigIndustries[i : i+1]}
		buried = append(buried, d)
	}
	shadowed := map[string]bool{}
	for _, f := range check(buried) {
		switch {
		case f.Kind == Shadowed && f.Severity == SeverityError:
			shadowed[f.Territories[0]] = true
		case f.Kind != Overlap && f.Kind != Fallback || f.Severity == SeverityError || !strings.HasPrefix(f.Territories[len(f.Territories)-1], "BURIED"):
			t.Errorf("not planted: %+v", f)
		case f.Kind == Fallback:
			shadowed[f.Territories[0]] = true
		}
	}
	if len(shadowed) != n {
		t.Errorf("%d of %d buried territories are found", len(shadowed), n)
	}

	wide := map[string]bool{}
	widened := slices.Clone(docs)
	for i := range widened {
		if d := &widened[i]; d.Include.Employees != "" && len(wide) < n {
			d.Include.Employees = ""
			wide[d.ID] = false
		}
	}
	for _, f := range check(widened) {
		touches := false
		for _, id := range f.Territories {
			if _, is := wide[id]; is {
				touches = true
				wide[id] = wide[id] || f.Kind == Overlap
			}
		}
		if !touches && f.Kind != Shadowed { // who is inside a widened one never wins
			t.Errorf("not planted: %+v", f)
		}
	}
	for id, found := range wide {
		if !found {
			t.Errorf("%s was widened, and no overlap of it is found", id)
		}
	}
}

// What cannot be found out within the bounds is reported as severely as what could be there.
func TestCheckBounds(t *testing.T) {
	t.Parallel()
	p := compile(t, string(render(messy(1000))))
	for _, ask := range []struct {
		name string
		do   func(c *checker)
	}{
		{"nodes", func(c *checker) { c.nodes = 3; c.gaps() }},
		{"nodes of shadows", func(c *checker) { c.nodes = 3; c.shadows() }},
		{"pairs", func(c *checker) { c.pairs = 3; c.overlaps() }},
	} {
		c := newChecker(p, p.from)
		ask.do(c)
		undecided := 0
		for _, f := range c.out {
			if f.Kind == Undecided && f.Severity == SeverityError {
				undecided++
			}
		}
		if undecided == 0 || Problems(c.out) == nil {
			t.Errorf("%s: nothing is undecided in %d findings", ask.name, len(c.out))
		}
	}
}

// However many mild findings there are, the error behind them is found.
func TestCheckFlood(t *testing.T) {
	t.Parallel()
	var s strings.Builder
	s.WriteString("apiVersion: dealreg/v1\nkind: TerritoryPlan\nmetadata: {name: flood, timezone: UTC}\npolicy: {shadowed: allow}\ntiers: [a]\nterritories:\n")
	territory := func(id string, priority int, country string) {
		fmt.Fprintf(&s, "  - {id: %s, tier: a, priority: %d, coverage: direct, owner: {queue: q}, include: {country: [%s]}}\n", id, priority, country)
	}
	for i := range 40 { // 780 pairs
		territory(fmt.Sprint("T", i), 100-i, "DE")
	}
	territory("U", 0, "FR")
	territory("V", 0, "FR")
	found := map[string]int{}
	for _, f := range compile(t, s.String()).Check(spring) {
		found[f.Kind+" "+f.Severity]++
	}
	if found["overlap warn"] != maxFindings+1 || found["overlap error"] != 1 {
		t.Errorf("found %v", found)
	}
}
