package match

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
)

// organisation makes a record from few enough words that records share them, misspelt now and then.
func organisation(rng *rand.Rand, id string) Record {
	pick := func(l ...string) string { return l[rng.IntN(len(l))] }
	brands := []string{"acme", "globex", "initech", "umbrella", "hooli", "vandelay", "northwind", "contoso", "tailspin", "wingtip", "stark", "wayne", "tyrell", "soylent", "cyberdyne",
		"aperture", "monarch", "gringotts", "oscorp", "massive", "dunder", "mifflin", "pied piper", "bluth", "sterling cooper"}
	name := pick(brands...)
	if rng.IntN(3) == 0 {
		name += " " + pick(brands...)
	}
	if rng.IntN(4) == 0 && len(name) > 5 {
		k := 1 + rng.IntN(len(name)-2)
		name = name[:k] + string(rune('a'+rng.IntN(26))) + name[k+1:]
	}
	for range rng.IntN(3) {
		name += " " + pick("services", "international", "systems", "health", "group", "technologies", "labs", "data", "energy", "national", "2", "ii")
	}
	name += pick("", " Inc", " LLC", " GmbH", " Ltd")
	if rng.IntN(5) == 0 {
		name += " (" + pick("Berlin", "Austin", "Palo Alto", "Initech", "a Wayne company") + ")"
	}
	r := Record{ID: id, Names: []string{name}}
	if rng.IntN(5) == 0 {
		r.Names = append(r.Names, pick(brands...)+" "+pick("holdings", "trading"))
	}
	if rng.IntN(2) == 0 {
		r.Country, r.City = pick("US", "DE", "FR"), pick("Berlin", "Austin", "Paris", "Lyon")
		r.Region, r.PostalCode = pick("", "BE", "TX"), pick("", "10115", "78701")
	}
	if rng.IntN(3) == 0 {
		r.Domains = []string{pick("acme.com", "globex.com", "hooli.com", "shared.org")}
	}
	if rng.IntN(6) == 0 {
		r.Phone = fmt.Sprintf("+1 555 000 %04d", rng.IntN(20))
	}
	return r
}

// fresh builds an index of the live records at once.
func fresh(m *Model, l limits, live map[string]Record) *Index {
	x := NewIndex(m)
	x.limits = l
	x.Load(func(yield func(Record) bool) {
		for _, r := range live {
			if !yield(r) {
				return
			}
		}
	})
	return x
}

func answer(t testing.TB, r Result) string {
	b, err := json.Marshal(struct {
		C []any
		T bool
	}{[]any{r.Candidates}, r.Truncated})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestSearchDependsOnTheLiveSetOnly builds indexes by random sequences of every operation and compares their answers
// with those of an index built at once from what is live, and a refreshed answer with a new one.
func TestSearchDependsOnTheLiveSetOnly(t *testing.T) {
	m := Default()
	narrow := limits{open: 40, first: 60, join: 80, scan: 120, key: 6, shortlist: 8, beside: 2, here: 4, near: 8, closing: 5, pass: 1 << 12, few: 3}
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 7))
			l := standardLimits
			if seed%2 == 0 {
				l = narrow // small enough that every limit bites
			}
			x := NewIndex(m)
			x.limits = l
			if seed%3 == 0 { // the live set grows past the large limits and falls below again
				x.largeFrom, x.large = 130, narrow
				x.large.shortlist, x.large.open = 12, 60
			}
			live := map[string]Record{}
			type pending struct {
				q *Query
				o Options
				r Result
			}
			var held []pending
			refreshed := 0
			for step := range 500 {
				id := fmt.Sprintf("r%03d", rng.IntN(300))
				switch k := rng.IntN(20); {
				case k == 0 && step < 100:
					var some []Record
					for range 30 {
						r := organisation(rng, fmt.Sprintf("r%03d", rng.IntN(300)))
						some = append(some, r)
						live[r.ID] = r
					}
					x.Load(slices.Values(some))
				case k < 5:
					x.Delete(id)
					delete(live, id)
				case k == 5:
					x.write.Lock()
					if x.merging == 0 && len(x.parts) > 1 {
						x.beginMerge(rng.IntN(len(x.parts) - 1))
					}
					x.write.Unlock()
				default:
					r := organisation(rng, id)
					x.Upsert(r)
					live[id] = r
				}
				if step%7 == 0 {
					asked := organisation(rng, "")
					o := Options{Limit: 5, Repeats: rng.IntN(2) == 0}
					if o.Repeats {
						asked.Names[0] = slipped(rng, asked.Names[0])
					}
					q := m.Prepare(asked)
					held = append(held, pending{q, o, x.Search(q, o)})
				}
				if step%11 == 0 && len(held) > 0 {
					h := &held[rng.IntN(len(held))]
					x.mu.RLock()
					if _, ok := x.bridge(h.q, h.o, h.r); ok {
						refreshed++
					}
					x.mu.RUnlock()
					h.r = x.Refresh(h.q, h.o, h.r)
					if got, want := answer(t, h.r), answer(t, x.Search(h.q, h.o)); got != want {
						t.Fatalf("step %d: refreshed\n%s\nsearched\n%s", step, got, want)
					}
				}
				if step%100 == 99 {
					y := fresh(m, l, live)
					y.large, y.largeFrom = x.large, x.largeFrom
					if x.Len() != len(live) || y.Len() != len(live) {
						t.Fatalf("%d and %d live records, want %d", x.Len(), y.Len(), len(live))
					}
					for range 20 {
						asked := organisation(rng, "")
						o := Options{Repeats: rng.IntN(2) == 0}
						if o.Repeats {
							asked.Names[0] = slipped(rng, asked.Names[0])
						}
						q := m.Prepare(asked)
						if got, want := answer(t, x.Search(q, o)), answer(t, y.Search(q, o)); got != want {
							t.Fatalf("step %d, query %s: grown\n%s\nbuilt\n%s", step, q.display, got, want)
						}
					}
				}
			}
			x.settle()
			if refreshed == 0 {
				t.Error("no answer was refreshed without a new search")
			}
		})
	}
}

// TestReadingLessChangesNothing compares searches that read no more than they must with searches that read everything.
func TestReadingLessChangesNothing(t *testing.T) {
	m := Default()
	rng := rand.New(rand.NewPCG(3, 9))
	live := map[string]Record{}
	for i := range 2500 {
		id := fmt.Sprintf("r%04d", i)
		live[id] = organisation(rng, id)
	}
	for _, l := range []limits{
		{open: 150, first: 400, join: 600, scan: 2500, key: 40, shortlist: 8, beside: 3, here: 4, near: 8},
		{open: 20, first: 30, join: 300, scan: 900, key: 6, shortlist: 3, beside: 1, here: 2, near: 16},
		{open: 1000, first: 1000, join: 1000, scan: 4000, key: 40, shortlist: 48, here: 4, near: 8},
	} {
		everything, least := l, l
		everything.closing = math.MaxInt
		least.pass = 1 << 20
		all, few, many := fresh(m, everything, live), fresh(m, least, live), fresh(m, least, live)
		few.limits.few = 1 << 20 // whoever is left is looked up alone; of the others nobody is
		for i := range 400 {
			q := m.Prepare(organisation(rng, ""))
			want := answer(t, all.Search(q, Options{}))
			for _, x := range []*Index{few, many} {
				if got := answer(t, x.Search(q, Options{})); got != want {
					t.Fatalf("%+v, query %d, %s: reading less\n%s\nreading all\n%s", x.limits, i, q.display, got, want)
				}
			}
		}
	}
}

// TestSearchWhileWriting searches while others write and merge, for the race detector, and checks that every answer
// is of one moment: each record is written with all its fields or none.
func TestSearchWhileWriting(t *testing.T) {
	m := Default()
	x := NewIndex(m)
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 3))
			for range 400 {
				x.Upsert(organisation(rng, fmt.Sprintf("w%d-%d", w, rng.IntN(50))))
				if rng.IntN(4) == 0 {
					x.Delete(fmt.Sprintf("w%d-%d", w, rng.IntN(50)))
				}
			}
		})
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 4))
			for range 400 {
				q := m.Prepare(organisation(rng, ""))
				for _, c := range x.Search(q, Options{}).Candidates {
					if !strings.HasPrefix(c.ID, "w") || c.Name == "" {
						t.Errorf("a candidate %q named %q", c.ID, c.Name)
					}
				}
			}
		})
	}
	wg.Wait()
	x.settle()
}

// TestGrowth upserts and deletes until segments have been merged beside the work, and expects few segments and the
// answers of an index built at once.
func TestGrowth(t *testing.T) {
	m := Default()
	x := NewIndex(m)
	live := map[string]Record{}
	for r := range coined(6000) {
		x.Upsert(r)
		live[r.ID] = r
	}
	for i := range 500 {
		id := fmt.Sprintf("a%07d", i*7)
		x.Delete(id)
		delete(live, id)
	}
	x.settle()
	if n := len(x.parts); n > 12 {
		t.Errorf("%d segments", n)
	}
	if x.Len() != len(live) {
		t.Fatalf("%d live records, want %d", x.Len(), len(live))
	}
	y := fresh(m, standardLimits, live)
	n := 0
	for r := range coined(6000) {
		if n++; n%200 != 0 {
			continue
		}
		q := m.Prepare(r)
		if got, want := answer(t, x.Search(q, Options{})), answer(t, y.Search(q, Options{})); got != want {
			t.Fatalf("%s: grown\n%s\nbuilt\n%s", r.Names[0], got, want)
		}
	}
}

// TestLastOf: parts of about one size are merged, and not a much larger one before them.
func TestLastOf(t *testing.T) {
	for _, c := range []struct {
		sizes []int
		want  int
	}{{[]int{5}, 0}, {[]int{1000, 10}, 1}, {[]int{1000, 10, 5, 5}, 1}, {[]int{1000, 100, 10, 10, 10}, 2}, {[]int{60, 10, 10, 10}, 0}, {[]int{1, 1, 1000}, 0}} {
		var parts []*part
		for _, n := range c.sizes {
			parts = append(parts, &part{segment: &segment{off: make([]uint32, n+1)}})
		}
		if got := lastOf(parts); got != c.want {
			t.Errorf("of %v the last from %d on, want %d", c.sizes, got, c.want)
		}
	}
}

// TestLoads loads many lists one after another, as an import does, and expects few segments and every record.
func TestLoads(t *testing.T) {
	x := NewIndex(Default())
	var all []Record
	for r := range coined(190_000) {
		all = append(all, r)
	}
	x.Load(slices.Values(all[:150_000]))
	last := 0 // merges of the last segments alone
	for from := 150_000; from < len(all); from += 1500 {
		before, first := len(x.parts), x.parts[0]
		x.Load(slices.Values(all[from:min(len(all), from+1500)]))
		x.settle()
		if n := len(x.parts); n > 2*manyParts {
			t.Fatalf("%d segments", n)
		} else if n < before && x.parts[0] == first {
			last++
		}
	}
	if last == 0 {
		t.Error("the last segments were never merged by themselves")
	}
	if x.Len() != len(all) {
		t.Errorf("%d live records, want %d", x.Len(), len(all))
	}
	for i := 0; i < len(all); i += 997 {
		if _, ok := x.locate(all[i].ID); !ok {
			t.Errorf("%s is not there", all[i].ID)
		}
	}
}

// BenchmarkUpsert replaces records in an index of many.
func BenchmarkUpsert(b *testing.B) {
	x := NewIndex(Default())
	x.Load(coined(50_000))
	var some []Record
	for r := range coined(5000) {
		some = append(some, r)
	}
	for i := 0; b.Loop(); i++ {
		x.Upsert(some[i%len(some)])
	}
	x.settle()
}

// BenchmarkRefresh brings an answer up to date after sixteen changes elsewhere.
func BenchmarkRefresh(b *testing.B) {
	m := Default()
	x := NewIndex(m)
	x.Load(coined(50_000))
	var q *Query
	for r := range coined(1) {
		q = m.Prepare(r)
	}
	r := x.Search(q, Options{})
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 16 {
		x.Upsert(organisation(rng, fmt.Sprint("n", i)))
	}
	for b.Loop() {
		x.Refresh(q, Options{}, r)
	}
}

// slipped lets two neighbours of a name change places, and a letter be lost.
func slipped(rng *rand.Rand, name string) string {
	b := []byte(name)
	if len(b) < 6 {
		return name
	}
	i := 2 + rng.IntN(len(b)-3)
	b[i], b[i+1] = b[i+1], b[i]
	i = 2 + rng.IntN(len(b)-2)
	return string(slices.Delete(b, i, i+1))
}

// TestTwiceMisspelt: among records of which several are of one organisation, a name is found under another slip of another person.
func TestTwiceMisspelt(t *testing.T) {
	x := NewIndex(Default())
	for i, name := range []string{"Cephalogics LLC", "Bertlesmann Stiftung", "Glacmor Global LLC", "Kormoran Werft", "Cepheid Diagnostics",
		// "Centralia" is one slip from centrala, "Charit" from charity, "Infoytech" from infotech: they are read as written too.
		"Centralia College", "Charit Transit Inc", "Infoytech Solutions Inc",
		// Another's word is one slip away, and does not stand in for the one that is two away.
		"Corwnall", "Cornwell Bakers"} {
		x.Upsert(Record{ID: strconv.Itoa(i), Names: []string{name}, Country: "US", City: "Boston"})
	}
	for name, want := range map[string]string{"Cehlaogics LLC": "0", "Betelsmann": "1", "Glamocr LLC": "2", "Kromroan": "3", "Quixotic Brewing": "",
		"Cnetralia College": "5", "Chriot Transit Inc": "6", "Ifosytech Solutions Inc": "7", "Cornwll": "89"} {
		q := Default().Prepare(Record{Names: []string{name}, Country: "US", City: "Boston"})
		var got []string
		for _, c := range x.Search(q, Options{Repeats: true}).Candidates {
			if c.Probability >= 0.15 {
				got = append(got, c.ID)
			}
		}
		if slices.Sort(got); strings.Join(got, "") != want {
			t.Errorf("%s: found %q, want %q", name, got, want)
		}
	}
}

// TestJoinedAndApart: who is written as one word where the account has two, or the other way round, is found, whoever else has
// that word.
func TestJoinedAndApart(t *testing.T) {
	m := Default()
	x := NewIndex(m)
	for i, n := range []string{"V Gas LLC", "Vgas Systems Inc", "Ladders Inc", "Zorbin Testing Services Inc", "Vgazs Partners", "Acme Empirix Holdings of Vgas", "Empirix Inc", "Playdom Inc part of the Walt Disney Company"} {
		x.Upsert(Record{ID: fmt.Sprint(i), Names: []string{n}})
	}
	for _, c := range []struct{ ask, want string }{{"VGAS LLC", "0"}, {"VGAS LLC", "1"}, {"TheLadders Inc", "2"}, {"Zorbin AndTesting Services", "3"},
		{"Empirix Inc dba Quorvantil an Infovista company", "6"}, {"Playdom Inc", "7"}} {
		r := x.Search(m.Prepare(Record{Names: []string{c.ask}}), Options{})
		if !slices.ContainsFunc(r.Candidates, func(m deal.Match) bool { return m.ID == c.want }) {
			t.Errorf("%q does not find record %s but %s", c.ask, c.want, answer(t, r))
		}
	}
}

// TestRefreshOfHalves brings answers up to date that rest on half of a word, or on how many have one, as the records that decide come and go.
func TestRefreshOfHalves(t *testing.T) {
	m := Default()
	x := NewIndex(m)
	x.Load(coined(500))
	for i := range splitFrequency {
		x.Upsert(Record{ID: fmt.Sprint("dental", i), Names: []string{fmt.Sprintf("Brackwold%c Dental", 'a'+i)}})
	}
	ask := []*Query{}
	for _, n := range []string{"Kestrelhavenlarkmor Foods", "Larkmoor", "Larkmoor Group", "Dentalkestrlhaven Inc"} {
		ask = append(ask, m.Prepare(Record{Names: []string{n}}))
	}
	had := make([]Result, len(ask))
	for i, q := range ask {
		had[i] = x.Search(q, Options{})
	}
	step := func(what string, change func()) {
		change()
		for i, q := range ask {
			had[i] = x.Refresh(q, Options{}, had[i])
			if got, want := answer(t, had[i]), answer(t, x.Search(q, Options{})); got != want {
				t.Fatalf("%s, asked for %q:\n%s\nand searched\n%s", what, q.display, got, want)
			}
		}
	}
	names := []string{"Larkmoor Foods", "Kestrelhaven Larkmoor Foods", "Kestrelhaven Inc", "Kestrelhaven Dental", "Dental Kestrelhaven", "Larkmoor", "Larkmor LLC", "Larkmoor Marine", "Larkmoor Steel",
		"Larkmoor Paper", "Larkmoor Glass", "Kestrelhaven Optics", "Kestrelhaven Motors", "Larkmoor Energy", "Larkmoor Mining",
		// Too much else to be candidates.
		"Larkmoor Zanthic Quobble Vexil Trundor Plimbo Garnex Hespero Molvane Drustane Ostrilon Kibbex", "Larkmoor Hesperic Molvaner Drustan Ostril Kibbe Warnoth Zanth Quobb Vexi Trundo Plimb"}
	for i, n := range names {
		step("with "+n, func() { x.Upsert(Record{ID: fmt.Sprint("n", i), Names: []string{n}}) })
	}
	for i, n := range names {
		step("without "+n, func() { x.Delete(fmt.Sprint("n", i)) })
	}
}

// TestNextDoor asks for organisations by names of which only a word of business is right, among more who have that word than are read.
// At the same place they are found, unless all that begin alike there are too many.
func TestNextDoor(t *testing.T) {
	m := Default()
	x := NewIndex(m)
	x.limits.open, x.limits.first, x.limits.join, x.limits.scan = 50, 50, 50, 50
	x.Load(func(yield func(Record) bool) {
		for r := range coined(3000) {
			r.Names[0] += " Services"
			r.Country, r.PostalCode = "US", "73301"
			if !yield(r) {
				return
			}
		}
	})
	for _, r := range []Record{
		{ID: "spelt", Names: []string{"Learnsoft Services LLC"}, Country: "US", PostalCode: "92121"},
		{ID: "long", Names: []string{"Doncaster Corbel Services"}, Country: "US", PostalCode: "92121"},
		{ID: "other", Names: []string{"Lindenbaum Bakery"}, Country: "US", PostalCode: "92121"},
	} {
		x.Upsert(r)
	}
	for _, c := range []struct {
		name, postal, want string
		found              bool
	}{
		{"Leamzofd Services", "92121", "spelt", true},
		{"Leamzofd Services", "92122", "spelt", false},
		{"Yeamzofd Services", "92121", "spelt", false},
		{"Leamzofd Services", "", "spelt", false},
		{"DC Services Group", "92121", "long", true},
		{"Leamzofd Foods", "92121", "spelt", false},
	} {
		q := m.Prepare(Record{Names: []string{c.name}, Country: "US", PostalCode: c.postal})
		found := func(limit int) bool {
			x.limits.key = limit
			return slices.ContainsFunc(x.Search(q, Options{Limit: 100}).Candidates, func(m deal.Match) bool { return m.ID == c.want })
		}
		if got := found(standardLimits.key); got != c.found {
			t.Errorf("%q at %q: %s among the candidates: %v, want %v", c.name, c.postal, c.want, got, c.found)
		}
		if found(0) {
			t.Errorf("%q at %q: %s is among the candidates though more are next door than tells anything", c.name, c.postal, c.want)
		}
	}
}

// TestBetween compares the spans of tables of every size with what was put in, and finds names by their beginning.
func TestBetween(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 8))
	for _, n := range []int{0, 1, 50, 3000, 1 << 19} { // the last in buckets that know half of the hash
		all := make([]entry, n)
		for i := range all {
			all[i] = entryOf(rng.Uint32()&0xf00fffff, uint32(i)) // many lie side by side
		}
		have := newTable([][]entry{all[:n/3], all[n/3:]})
		for range 200 {
			s := span{from: rng.Uint32() & 0xf00fffff}
			if n > 0 && rng.IntN(2) == 0 {
				s.from = all[rng.IntN(n)].hash()
			}
			s.to = s.from | []uint32{0, wholeMask, 1<<20 - 1}[rng.IntN(3)]
			var want []uint32
			for _, e := range all {
				if s.has(e.hash()) {
					want = append(want, e.id())
				}
			}
			got := slices.Clone(have.between(s))
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("%d entries, %08x to %08x: %v, want %v", n, s.from, s.to, got, want)
			}
		}
	}
	const cut = "northernlight"
	for _, whole := range []string{"northernlightsoptics", "northernligh", cut} {
		if !prefixKey(cut).has(nameKey(whole)) {
			t.Errorf("%s is not found by the beginning of %s", whole, cut)
		}
	}
	if prefixKey(cut).has(nameKey("northernstarsoptics")) || nameKey(cut) == nameKey("northernlightsoptics") {
		t.Error("names that differ have one key")
	}
}
