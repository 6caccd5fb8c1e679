package match

import (
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
)

var update = flag.Bool("update", false, "accept the ranking as it is")

// TestRank searches for each query among a few accounts chosen to be confused, and compares what is found with a
// golden file: a change to the model or the weights shows its effect in the diff.
func TestRank(t *testing.T) {
	m := Default()
	x := NewIndex(m)
	for _, r := range sheet(t, "accounts.csv") {
		x.Upsert(r.Record)
	}
	var out strings.Builder
	right, known := 0, 0
	for _, q := range sheet(t, "queries.csv") {
		r := x.Search(m.Prepare(q.Record), Options{Limit: 3})
		mark := " "
		if q.truth != "" {
			known++
			if len(r.Candidates) > 0 && r.Candidates[0].ID == q.truth {
				right++
			} else {
				mark = "!"
			}
		}
		fmt.Fprintf(&out, "%s %s: %s\n", mark, q.ID, q.Names[0])
		for _, c := range r.Candidates {
			if c.Probability < 0.01 {
				continue
			}
			fmt.Fprintf(&out, "    %s %-45s %.2f %s", c.ID, c.Name, c.Probability, c.Verdict)
			for _, e := range c.Evidence[1:] {
				fmt.Fprintf(&out, " %s%+.1f", e.Term, e.Weight)
			}
			out.WriteByte('\n')
		}
	}
	fmt.Fprintf(&out, "first of %d: %d\n", known, right)
	golden(t, filepath.Join("testdata", "rank", "golden.txt"), out.String())
	if right < known-1 {
		t.Errorf("%d of %d found first", right, known)
	}
}

// golden compares a text with a file, or writes it there when asked to.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s has changed; if that is right, run go test ./internal/match -run %s -update\n%s", file, t.Name(), got)
	}
}

// TestJudgeGolden judges one pair of each class of likeness and difference, and compares the verdicts and all they rest on with a golden
// file. A verdict that is not the one wanted is marked; there may be few, and no more.
func TestJudgeGolden(t *testing.T) {
	f, err := os.Open(filepath.Join("testdata", "judge", "cases.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	m := Default()
	var out strings.Builder
	wrong := 0
	for _, cells := range rows[1:] {
		get := func(c string) string {
			i := slices.Index(rows[0], c)
			if i < 0 {
				return ""
			}
			return cells[i]
		}
		side := func(s string) Record {
			r := Record{ID: s, Names: []string{get("name" + s)}, Country: get("country" + s), City: get("city" + s), TaxID: get("tax_id" + s)}
			if d := get("domain" + s); d != "" {
				r.Domains = []string{d}
			}
			if p := get("parent" + s); p != "" {
				r.ParentNames = []string{p}
			}
			return r
		}
		j := m.Judge(m.Prepare(side("_a")), m.Prepare(side("_b")))
		mark := ""
		if want := get("want"); string(j.Verdict) != want {
			mark = " instead of " + want
			wrong++
		}
		fmt.Fprintf(&out, "%s: %s / %s\n    %s %.2f%s\n", get("class"), get("name_a"), get("name_b"), j.Verdict, j.Probability, mark)
		for _, e := range j.Evidence {
			fmt.Fprintf(&out, "    %+6.2f %s: %s", e.Weight, e.Term, e.Text)
			if e.Value != "" {
				fmt.Fprintf(&out, " (%s)", e.Value)
			}
			out.WriteByte('\n')
		}
	}
	fmt.Fprintf(&out, "as wanted: %d of %d\n", len(rows)-1-wrong, len(rows)-1)
	golden(t, filepath.Join("testdata", "judge", "golden.txt"), out.String())
	if wrong > len(rows)/12 {
		t.Errorf("%d of %d verdicts are not the ones wanted", wrong, len(rows)-1)
	}
}

type tableRow struct {
	Record
	truth string
}

func sheet(t *testing.T, file string) (out []tableRow) {
	f, err := os.Open(filepath.Join("testdata", "rank", file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, cells := range rows[1:] {
		get := func(c string) string {
			if i := slices.Index(rows[0], c); i >= 0 {
				return cells[i]
			}
			return ""
		}
		a := deal.Account{ID: get("id"), Name: get("name"), Domain: get("domain"), Country: get("country"), Region: get("region"), City: get("city"), PostalCode: get("postal_code")}
		if s := get("aliases"); s != "" {
			a.Aliases = strings.Split(s, ";")
		}
		out = append(out, tableRow{FromAccount(&a), get("truth")})
	}
	return out
}

// TestSpellings writes unique accounts in the ways people do, with country and city, and expects each account back,
// nearly certain.
func TestSpellings(t *testing.T) {
	m := Default()
	x := NewIndex(m)
	x.Load(coined(3000))
	for id, a := range map[string]Record{
		"v1": {Names: []string{"Vandermeulen Manufacturing Services International, Inc."}, Country: "US", City: "Dayton"},
		"v2": {Names: []string{"Kestrelhaven Technologies GmbH"}, Country: "DE", City: "Bremen"},
	} {
		a.ID = id
		x.Upsert(a)
	}
	for _, c := range []struct {
		id        string
		country   string
		city      string
		spellings []string
	}{
		{"v1", "US", "Dayton", []string{"Vandermeulen Manufacturing Services International Inc", "VANDERMEULEN MANUFACTURING SERVICES INTERNATIONAL", "vandermeulen mfg svcs intl",
			"Vandermeulen Mfg. Services Int'l LLC", "International Vandermeulen Manufacturing Services", "Vandermeulen Manufacturing Services International Corp.", "The Vandermeulen Manufacturing Services International Company",
			"Vandermeulen-Manufacturing Services International", "Vandermeulen Manufacturing Srvcs International", "Vandermeulen  Manufacturing   Services International, Incorporated",
			"Vandermuelen Manufacturing Services International", "Vandermeulen Manufacturing Services Internatl", "Vandermeulen Manufacturing Services Intl. L.L.C.", "Vandermeulen Maufacturing Services International",
			"VandermeulenManufacturing Services International", "Vandermeulenn Manufacturing Services International Inc", "Vandеrmeulen Manufacturing Services International"}},
		{"v2", "DE", "Bremen", []string{"Kestrelhaven Technologies GmbH", "KESTRELHAVEN TECHNOLOGIES", "Kestrelhaven Tech", "Kestrelhaven Technology GmbH", "Technologies Kestrelhaven", "Kestrel Haven Technologies",
			"Kestrelhaven Technologies Gesellschaft mit beschränkter Haftung", "Kestrelhaven Technolgies GmbH", "Kestrelhaven-Technologies"}},
	} {
		for _, s := range c.spellings {
			r := x.Search(m.Prepare(Record{Names: []string{s}, Country: c.country, City: c.city}), Options{})
			if len(r.Candidates) == 0 || r.Candidates[0].ID != c.id || r.Candidates[0].Probability < 0.9 || r.Candidates[0].Verdict != deal.Same {
				t.Errorf("%q: %+v, want %s the same with 0.9 or more", s, r.Candidates[:min(1, len(r.Candidates))], c.id)
			}
		}
	}
}

// TestJudge holds pairs of names apart or together by verdict.
func TestJudge(t *testing.T) {
	m := Default()
	for _, c := range []struct {
		a, b Record
		want deal.Verdict
	}{
		{Record{Names: []string{"Siemens Aktiengesellschaft"}}, Record{Names: []string{"Siemens AG"}}, deal.Same},
		{Record{Names: []string{"Siemens AG"}}, Record{Names: []string{"Siemens Energy AG"}}, deal.Related},
		{Record{Names: []string{"Bank of the West"}}, Record{Names: []string{"Bank of the East"}}, deal.Different},
		{Record{Names: []string{"Acme Inc"}}, Record{Names: []string{"Acme GmbH"}}, deal.Related},
		{Record{Names: []string{"株式会社トヨタ自動車"}}, Record{Names: []string{"トヨタ自動車"}}, deal.Same},
		{Record{Names: []string{"Danaher"}}, Record{Names: []string{"Danaos"}}, deal.Different},
		{Record{Names: []string{"Carlyle Partners VII LP"}}, Record{Names: []string{"Carlyle Partners VIII LP"}}, deal.Related},
		{Record{Names: []string{"Cisco"}}, Record{Names: []string{"Sysco"}}, deal.Different},
		{Record{Names: []string{"Nord-Zuker GmbH"}, Country: "DE", City: "Kiel"}, Record{Names: []string{"Nordzucker GmbH"}, Country: "DE", City: "Kiel"}, deal.Same},
		// Nobody makes one slip in the name and in the town.
		{Record{Names: []string{"Kumagaya General Hospital"}, Country: "JP", City: "Kumagaya"}, Record{Names: []string{"Kamagaya General Hospital"}, Country: "JP", City: "Kamagaya"}, deal.Review},
		{Record{Names: []string{"Kumagaya General Hospital"}, Country: "JP", City: "Kumagaya"}, Record{Names: []string{"Kumagaya Generol Hospital"}, Country: "JP", City: "Kamagaya"}, deal.Same},
		// Another letter in a short word is another name, as often as not, wherever the two are.
		{Record{Names: []string{"Nike Inc"}, Country: "US", City: "Portland", PostalCode: "97005", Street: "1 Bowerman Dr"}, Record{Names: []string{"Nikke Inc"}, Country: "US", City: "Portland", PostalCode: "97005", Street: "1 Bowerman Dr"}, deal.Review},
		{Record{Names: []string{"KKE Energy"}, Country: "DE", City: "Kiel", PostalCode: "24103", Street: "Hafen 1"}, Record{Names: []string{"KGE Energy"}, Country: "DE", City: "Kiel", PostalCode: "24103", Street: "Hafen 1"}, deal.Review},
		{Record{Names: []string{"Koch Larkmoor"}, Country: "DE", City: "Kiel", PostalCode: "24103"}, Record{Names: []string{"Kock Larkmoor"}, Country: "DE", City: "Kiel", PostalCode: "24103"}, deal.Same},
		{Record{Names: []string{"Nike Inc"}, Country: "US", City: "Portland", PostalCode: "97005", Domains: []string{"nike.com"}}, Record{Names: []string{"Nikke Inc"}, Country: "US", City: "Portland", PostalCode: "97005", Domains: []string{"nike.com"}}, deal.Same},
		// Names of ordinary words are many people's.
		{Record{Names: []string{"Main Street Pharmacy"}, Country: "US", Region: "NY", City: "Albany"}, Record{Names: []string{"Main Street Pharmacy"}, Country: "US", Region: "OK", City: "Tulsa"}, deal.Review},
		{Record{Names: []string{"Main Street Pharmacy"}, Country: "US", Region: "NY", City: "Albany"}, Record{Names: []string{"Main St Pharmacy"}, Country: "US", Region: "NY", City: "Albany"}, deal.Same},
		{Record{Names: []string{"Київстар"}}, Record{Names: []string{"Kyivstar"}}, deal.Same},
		// An identifier outweighs a name that was changed.
		{Record{Names: []string{"Facebook Inc"}, TaxID: "20-1665019", Country: "US"}, Record{Names: []string{"Meta Platforms Inc"}, TaxID: "201665019", Country: "US"}, deal.Review},
		// A named parent is a relation however the rest compares.
		{Record{Names: []string{"Instagram"}, ParentNames: []string{"Meta Platforms, Inc."}}, Record{Names: []string{"Meta Platforms Inc"}}, deal.Related},
	} {
		j := m.Judge(m.Prepare(c.a), m.Prepare(c.b))
		if j.Verdict != c.want {
			t.Errorf("%s / %s: %s (%.2f), want %s: %+v", c.a.Names[0], c.b.Names[0], j.Verdict, j.Probability, c.want, j.Evidence)
		}
	}
}

// TestEvidenceAddsUp checks that the terms of every judgement sum to the log-odds its probability is calibrated from.
func TestEvidenceAddsUp(t *testing.T) {
	m := Default()
	x, accounts := NewIndex(m), map[string]Record{}
	for _, r := range sheet(t, "accounts.csv") {
		x.Upsert(r.Record)
		accounts[r.ID] = r.Record
	}
	for _, q := range sheet(t, "queries.csv") {
		for _, c := range x.Search(m.Prepare(q.Record), Options{}).Candidates {
			var pair evidence
			m.compare(m.Prepare(q.Record), m.Prepare(accounts[c.ID]), nil, &pair)
			z := 0.0
			for _, e := range c.Evidence {
				z += e.Weight
				if e.Text == "" {
					t.Errorf("%s / %s: term %s says nothing", q.ID, c.ID, e.Term)
				}
			}
			if p := m.weights.probability(z, kindOf(&pair, ranked)); p < c.Probability-1e-4 || p > c.Probability+1e-4 {
				t.Errorf("%s / %s: the terms sum to %.4f, which is %.6f, not %.6f", q.ID, c.ID, z, p, c.Probability)
			}
		}
	}
}

// TestSearchJudgesLikeJudge checks that a record read back from the index compares exactly as it did when prepared.
func TestSearchJudgesLikeJudge(t *testing.T) {
	m := Default()
	var d reader
	for _, r := range sheet(t, "accounts.csv") {
		b := newBuilder()
		want := m.Prepare(r.Record)
		b.add(want)
		got := d.read(b.build(), 0)
		for _, q := range sheet(t, "queries.csv") {
			a := m.Prepare(q.Record)
			if w, g := fmt.Sprintf("%+v", m.Judge(a, want)), fmt.Sprintf("%+v", m.Judge(a, got)); w != g {
				t.Fatalf("%s / %s: prepared\n%s\nread back\n%s", q.ID, r.ID, w, g)
			}
		}
	}
}

// TestInputReplays checks that what a decision records searches alike.
func TestInputReplays(t *testing.T) {
	m := Default()
	f := deal.Filing{Customer: deal.Customer{Name: "Siemens Energy AG", Domain: "siemens-energy.com", Country: "DE", City: "München", TaxID: "DE1", Parent: "Siemens AG"}}
	r := FromFiling(&f, "mail.siemens-energy.com")
	x := NewIndex(m)
	for _, a := range sheet(t, "accounts.csv") {
		x.Upsert(a.Record)
	}
	a, b := x.Search(m.Prepare(r), Options{}), x.Search(m.Prepare(FromInput("", r.Input())), Options{})
	if answer(t, a) != answer(t, b) || len(a.Candidates) == 0 || a.Candidates[0].ID != "a02" {
		t.Errorf("searched %+v, replayed %+v", a.Candidates, b.Candidates)
	}
}

// TestMemory holds the index to its bytes per account.
func TestMemory(t *testing.T) {
	x := NewIndex(Default())
	x.Load(coined(30_000))
	if got := x.Bytes() / x.Len(); got > 160 {
		t.Errorf("%d bytes per record, at most 160 are allowed", got)
	}
}

// TestTies asks for one of several names that are the same but for what the evidence does not weigh, and expects the one that is
// written most alike first, whatever its id.
func TestTies(t *testing.T) {
	m := Default()
	for _, c := range []struct {
		asked string
		names []string // the first is meant
	}{
		{"LARKMOOR GMBH", []string{"Larkmoor GmbH", "Larkmoor", "LARKMOOR"}},
		{"larkmoor", []string{"Larkmoor", "Larkmoor GmbH", "Larkmoor Co., Ltd."}},
		{"Larkmoor Spa", []string{"LARKMOOR S.p.A.", "Larkmoor Limited", "Larkmoor"}},
		{"Intelligent LARKMOOR Technology Company Limited", []string{"Larkmoor Intelligent Technology Company Limited", "Larkmoor Intelligent Technology Co.,Ltd."}},
		{"Cape Larkmoor Medical Ctr Services", []string{"Cape Larkmoor Medical Center", "Cape Larkmoor Medical Center, Inc."}},
		{"Noah Larkmoor trading as SENSOR Media Group", []string{"Noah Larkmoor trading as SENSOR Media", "Noah Larkmoor trading as Frumentum Media"}},
		// A field that was cut behind "doing business as" says no more than one that was not: the ids decide.
		{"Larkmoor East Quality Education dba", []string{"Larkmoor East Quality Education", "Larkmoor East Quality Education DBA"}},
	} {
		for turn := range c.names {
			x := NewIndex(m)
			meant := ""
			for i, n := range c.names {
				id := fmt.Sprint((i + turn) % len(c.names))
				if i == 0 {
					meant = id
				}
				x.Upsert(Record{ID: id, Names: []string{n}})
			}
			if strings.HasSuffix(c.asked, " dba") {
				meant = "0"
			}
			r := x.Search(m.Prepare(Record{Names: []string{c.asked}}), Options{})
			if len(r.Candidates) != len(c.names) || r.Candidates[0].ID != meant {
				t.Errorf("%q: %+v, want %s first, which is %q", c.asked, r.Candidates, meant, c.names[0])
			}
		}
	}
}

// TestCommonWord asks for one word that one account has for a name and others in theirs: the more, the less it says who is meant. It never
// says nobody.
func TestCommonWord(t *testing.T) {
	m := Default()
	x := NewIndex(m)
	x.Load(coined(3000))
	x.Upsert(Record{ID: "only", Names: []string{"Larkmoor Inc"}, City: "Dayton"})
	ask := func(r Record) deal.Match {
		c := x.Search(m.Prepare(r), Options{}).Candidates
		if len(c) == 0 || c[0].ID != "only" {
			t.Fatalf("%v: %+v, want the account of that name first", r.Names, c)
		}
		return c[0]
	}
	bare := Record{Names: []string{"Larkmoor"}}
	if c := ask(bare); c.Verdict != deal.Same {
		t.Errorf("nobody else has the word, and it is %s (%.2f)", c.Verdict, c.Probability)
	}
	before := 1.0
	for i, trade := range strings.Fields("Foods Dental Logistics Optics Insurance Bakery Motors Travel Plumbing Software Textiles Marine Mining Energy Paper Steel Glass Roofing Media Fitness") {
		x.Upsert(Record{ID: fmt.Sprint("other", i), Names: []string{"Larkmoor " + trade}})
		c := ask(bare)
		if c.Probability > before {
			t.Errorf("with %d others it is %.3f, and was %.3f", i+1, c.Probability, before)
		}
		before = c.Probability
	}
	if c := ask(bare); c.Verdict != deal.Review {
		t.Errorf("20 others have the word, and it is %s (%.2f): %+v", c.Verdict, c.Probability, c.Evidence)
	}
	// More than the word, or a place, says who.
	for _, r := range []Record{{Names: []string{"Larkmoor Inc"}}, {Names: []string{"Larkmoor"}, City: "Dayton"}} {
		if c := ask(r); c.Verdict != deal.Same {
			t.Errorf("%+v: %s (%.2f): %+v", r, c.Verdict, c.Probability, c.Evidence)
		}
	}
}

// TestExactBeforeAlike asks for a common word that one account has for a name, among many that have longer and rarer words like it.
func TestExactBeforeAlike(t *testing.T) {
	m := Default()
	x := NewIndex(m)
	x.Upsert(Record{ID: "exact", Names: []string{"Care"}})
	for i := range 26 * 4 {
		x.Upsert(Record{ID: fmt.Sprint("like", i), Names: []string{fmt.Sprintf("Care%cx%d Inc", 'a'+i%26, i)}})
		x.Upsert(Record{ID: fmt.Sprint("part", i), Names: []string{fmt.Sprintf("Care %c Larkmoor%d", 'a'+i%26, i)}})
	}
	if c := x.Search(m.Prepare(Record{Names: []string{"CARE"}}), Options{}).Candidates; len(c) == 0 || c[0].ID != "exact" {
		t.Errorf("%+v, want the account of exactly that name first", c)
	}
}

// TestWrittenTogether asks for names two words of which were written as one, with a slip or in the other order.
func TestWrittenTogether(t *testing.T) {
	m := Default()
	x := NewIndex(m)
	x.Load(coined(3000))
	for i, n := range []string{"Bridgewater Consulting Group", "Bridgestone Consulting Group", "Bridge Group Inc", "Awterson Consulting LLC", "Bridget Consulting", "Water Group"} {
		x.Upsert(Record{ID: fmt.Sprint("b", i), Names: []string{n}})
	}
	for _, s := range []string{"BRIDGEWATERCONSULTING GROUP", "BRIDGEAWTERCONSULTING GROUP INC", "BridgewaterConsultng Group", "ConsultingBridgewater Group", "ConsultingBridgewatr Group"} {
		if c := x.Search(m.Prepare(Record{Names: []string{s}}), Options{}).Candidates; len(c) == 0 || c[0].ID != "b0" {
			t.Errorf("%q: %+v, want b0 first", s, c[:min(1, len(c))])
		}
	}
}
