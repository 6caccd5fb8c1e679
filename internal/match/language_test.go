package match

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// TestLanguages writes one organisation in two ways that people of many scripts do, and expects it to be called the same.
func TestLanguages(t *testing.T) {
	m := Default()
	for _, p := range [][2]string{
		{"Mueller GmbH", "Müller GmbH"}, {"Muller GmbH", "Müller GmbH"}, {"Ａｃｍｅ Ｆａｓｔｅｎｅｒｓ", "Acme Fasteners"},
		{"SIA Rimi", "Rimi"}, {"UAB Maxima", "Maxima"}, {"PT Telkom Indonesia", "Telkom Indonesia"}, {"Công ty TNHH Vinamilk", "Vinamilk"},
		{"ООО Ромашка", "Romashka LLC"}, {"Αθηναϊκή Ζυθοποιία Α.Ε.", "Athinaiki Zythopoiia S.A."},
		{"שמן תעשיות פרמצבטיות בע\"מ", "שמן תעשיות פרמצבטיות"}, {"شركة الاتصالات السعودية", "الاتصالات السعودية"},
		{"บริษัท ปตท จำกัด", "ปตท"}, {"บริษัทปตทจำกัด", "ปตท"},
		{"주식회사 카카오", "카카오"}, {"(株)日立製作所", "日立製作所"}, {"株式会社日立製作所", "日立製作所"},
		{"深圳市纺织集团股份有限公司", "深圳市纺织（集团）股份有限公司"}, {"民生证券有限公司", "民生证券股份有限公司"}, {"华为技术有限公司", "Huawei Technologies Co., Ltd."},
	} {
		if j := m.Judge(m.Prepare(Record{Names: p[:1]}), m.Prepare(Record{Names: p[1:]})); j.Verdict != deal.Same {
			t.Errorf("%s / %s: %s, %.3f, want same: %+v", p[0], p[1], j.Verdict, j.Probability, j.Evidence)
		}
	}
}

// TestDisguised checks that a name written to slip past a comparison is matched all the same, and flagged; and that honest names of
// any script are not.
func TestDisguised(t *testing.T) {
	m := Default()
	flagged := func(name string) (bool, deal.Match) {
		j := m.Judge(m.Prepare(Record{Names: []string{name}}), m.Prepare(Record{Names: []string{"Acme Fasteners Ltd"}}))
		return slices.ContainsFunc(j.Evidence, func(s deal.Score) bool { return s.Term == "disguised" && s.Value == name && s.Text != "" }), j
	}
	for _, name := range []string{"Аcme Fasteners Ltd", "Acme Fаstеners Ltd", "Ac\u200bme Fasteners Ltd", "Acme Faste\u202eners Ltd", "Acme\u2066 Fasteners\u2069 Ltd", "Ac\u200dme Fasteners Ltd"} {
		if ok, j := flagged(name); !ok || j.Verdict != deal.Same {
			t.Errorf("%q: flagged %t, %s", name, ok, j.Verdict)
		}
	}
	for _, name := range []string{"Acme Fasteners Ltd", "Müller & Söhne", "ООО Ромашка", "ООО Siemens", "Αθηναϊκή Ζυθοποιία", "بهره\u200cور", "株式会社トヨタ"} {
		if ok, _ := flagged(name); ok {
			t.Errorf("%q is flagged", name)
		}
	}
}

// TestGates gives one case of each rule that keeps two names from being called the same, and names the rule.
func TestGates(t *testing.T) {
	m := Default()
	for _, c := range []struct {
		a, b Record
		gate string
		want deal.Verdict
	}{
		{Record{Names: []string{"Central National Bank"}}, Record{Names: []string{"Central Regional Bank"}}, "distinctive_word", deal.Different},
		{Record{Names: []string{"Data Systems International"}}, Record{Names: []string{"International Data Systems"}}, "word_order", deal.Related},
		{Record{Names: []string{"Carlyle Partners VII LP"}}, Record{Names: []string{"Carlyle Partners VIII LP"}}, "numbers", deal.Related},
		{Record{Names: []string{"Bowne Global Solutions (France)"}}, Record{Names: []string{"Bowne Global Solutions (Germany)"}}, "places", deal.Related},
		{Record{Names: []string{"Kestrelhaven Inc"}}, Record{Names: []string{"Kestrelhaven GmbH"}}, "legal_form", deal.Related},
		{Record{Names: []string{"Kestrelhaven Denmark"}}, Record{Names: []string{"Kestrelhaven"}}, "branch", deal.Related},
		{Record{Names: []string{"Siemens AG"}}, Record{Names: []string{"Siemens Energy AG"}}, "subsidiary", deal.Related},
		{Record{Names: []string{"Kestrelhaven"}, Country: "DE"}, Record{Names: []string{"Kestrelhaven"}, Country: "BR"}, "country", deal.Related},
		{Record{Names: []string{"Novartis (United States)"}, Country: "US"}, Record{Names: []string{"Novartis (Switzerland)"}, Country: "CH"}, "places", deal.Related},
		{Record{Names: []string{"Universidade Estadual de Maringá"}, Country: "BR"}, Record{Names: []string{"Hospital Universitário Regional de Maringá"}, Country: "BR"}, "family", deal.Related},
	} {
		j := m.Judge(m.Prepare(c.a), m.Prepare(c.b))
		at := slices.IndexFunc(j.Evidence, func(s deal.Score) bool { return s.Term == "relation" })
		if at < 0 || j.Evidence[at].Value != c.gate || j.Evidence[at].Text == "" || j.Verdict != c.want {
			t.Errorf("%s / %s: %s, want %s by %s: %+v", c.a.Names[0], c.b.Names[0], j.Verdict, c.want, c.gate, j.Evidence)
		}
	}
}

// TestHostile bounds the work of one comparison by the limits of a record, whatever somebody writes.
func TestHostile(t *testing.T) {
	m := Default()
	aliases := make([]string, 5000)
	for i := range aliases {
		aliases[i] = strings.Repeat("x", 1+i%30) + " alias " + strings.Repeat("y", i%17)
	}
	for what, r := range map[string]Record{
		"10 kB":      {Names: []string{strings.Repeat("hostile name ", 800)}},
		"one word":   {Names: []string{strings.Repeat("a", 10_000)}},
		"towers":     {Names: []string{"Z" + strings.Repeat("\u0301\u0302\u0303", 3000) + "algo"}},
		"han":        {Names: []string{strings.Repeat("集团控股", 2500)}},
		"initials":   {Names: []string{strings.Repeat("a b c ", 1500)}},
		"dividers":   {Names: []string{strings.Repeat("x dba ", 1500)}},
		"aliases":    {Names: aliases},
		"everything": {Names: aliases, City: strings.Repeat("c", 10_000), Street: strings.Repeat("1 st ", 2000), Domains: aliases, ParentNames: aliases},
	} {
		began := time.Now()
		q := m.Prepare(r)
		if len(q.names) > maxNames || slices.ContainsFunc(q.names, func(n name) bool { return len(n.words) > maxWords }) {
			t.Errorf("%s: %d names", what, len(q.names))
		}
		m.Judge(q, q)
		// Milliseconds when the machine is free.
		if d := time.Since(began); d > 20*time.Second {
			t.Errorf("%s took %s", what, d)
		}
	}
}

// FuzzJudge compares any two names: the probability is one, the terms add up to it, names compared the other way round
// share as much, and one with itself is itself.
func FuzzJudge(f *testing.F) {
	for _, p := range [][2]string{{"Siemens AG", "Siemens Energy AG"}, {"UC Santa Barbara", "University of California Santa Barbara"}, {"阿里巴巴集团", "Alibaba Group"},
		{"A d/b/a B", "B"}, {"Аcme", "Acme"}, {"3M", "M3"}, {"(", ")"}, {"", "x"}, {"ab ab ab", "ab"}, {"Z\u0301\u0302", "\u202e"}} {
		f.Add(p[0], p[1])
	}
	m := Default()
	f.Fuzz(func(t *testing.T, x, y string) {
		a, b := m.Prepare(Record{Names: []string{x}}), m.Prepare(Record{Names: []string{y}})
		for _, p := range [][2]*Query{{a, b}, {b, a}, {a, a}} {
			j, z := m.Judge(p[0], p[1]), 0.0
			for _, s := range j.Evidence {
				z += s.Weight
			}
			if got := m.weights.probability(z, kindOf(nil, sideBySide)); !(j.Probability >= 0 && j.Probability <= 1) || got < j.Probability-1e-4 || got > j.Probability+1e-4 {
				t.Errorf("%q / %q: probability %v, the terms say %v", x, y, j.Probability, got)
			}
		}
		var ab, ba likeness
		for i := range a.names {
			for k := range b.names {
				m.align(&a.names[i], &b.names[k], &ab, nil)
				m.align(&b.names[k], &a.names[i], &ba, nil)
				if ab.exact != ba.exact || ab.ordered != ba.ordered {
					t.Errorf("%q / %q: equal one way only", x, y)
				}
			}
			m.align(&a.names[i], &a.names[i], &ab, nil)
			if !ab.exact {
				t.Errorf("%q is not like itself", x)
			}
		}
	})
}
