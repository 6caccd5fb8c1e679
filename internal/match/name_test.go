package match

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
)

func TestNormalise(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Société Générale", "societe generale"},
		{"Müller GmbH & Co. KG", "muller gmbh and co kg"},
		{"Ørsted A/S", "orsted as"},
		{"Łódź Æther Straße", "lodz aether strasse"},
		{"L E K Consulting", "lek consulting"},
		{"A-B-C Company", "abc company"},
		{"U.S. Steel", "us steel"},
		{"Sh.p.k. Alba", "shpk alba"},
		{"AT&T", "att"},
		{"Smith & Wesson", "smith and wesson"},
		{"O'Neil's", "oneils"},
		{"McDonald s USA", "mcdonalds usa"},
		{"Amazon.com", "amazon com"},
		{"3 M Company", "3m company"},
		{"7-Eleven", "7 eleven"},
		{"ＡＣＭＥ　Ｌｔｄ", "acme ltd"},
		{"Аcme", "acme"}, // Cyrillic А among Latin letters
		{"Micr0soft G00gle", "microsoft google"},
		{"㈱トヨタ", "株 トヨタ"},
		{"ОАО «Газпром»", "оао газпром"},
		{"E\u0301cole\u00ad X\u200by", "ecole xy"},
		{"", ""},
		{"---", ""},
	} {
		if got := Normalise(c.in); got != c.want {
			t.Errorf("Normalise(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

// TestNames lists every way a raw name is read: the words, and the legal form behind a colon.
func TestNames(t *testing.T) {
	m := Default()
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"The Acme Widgets Company, Inc.", []string{"acme widgets:inc"}},
		{"ACME SVCS INTL LLC", []string{"acme services international:llc"}},
		{"株式会社トヨタ", []string{"トヨ ヨタ:株式会社", "toyota:株式会社"}},
		{"ООО Ромашка", []string{"romashka:ооо"}},
		{"PT Telkom", []string{"telkom:pt"}},
		{"SIA Rimi", []string{"rimi:sia"}},
		{"Smith Holdings LLC d/b/a Joe's Diner", []string{"smith holding joes diner:", "smith holding:llc", "joes diner:"}},
		{"CHERRY CENTRAL FRUIT COMPANY INC D/B", []string{"cherry central fruit:inc"}},
		{"KIDNEY SPECIALISTS OF KENTUCKY PLL", []string{"kidney specialists kentucky:"}},
		{"Enterprise Solutions", []string{"enterprises solutions:"}},
		{"Limited Liability Company Iskusstvo Krasoty", []string{"iskusstvo krasoty:limited liability company"}},
		{"Cray (United Kingdom)", []string{"cray united kingdom:", "cray:"}},
		{"Company", []string{"company:"}},
		{"!!!", nil},
	} {
		var got []string
		for _, n := range (&preparer{m: m}).read(c.in, wholeName) {
			got = append(got, joinWords(&n)+":"+m.forms[n.form].text)
		}
		if strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("names(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

// TestFoldLetters: folding European letters one by one is folding them together.
func TestFoldLetters(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	for range 20_000 {
		var b strings.Builder
		for range 1 + rng.IntN(12) {
			b.WriteRune(rune(1 + rng.IntN(lastFolded-1)))
		}
		if got, want := foldLetters(b.String()), foldAny(b.String()); got != want {
			t.Fatalf("%q folds to %q, and all at once to %q", b.String(), got, want)
		}
	}
}

// TestPlaceInBrackets: where an organisation is, in brackets behind its name, is not another name of it. Everybody in the city
// would have it.
func TestPlaceInBrackets(t *testing.T) {
	m := Default()
	a := m.Prepare(Record{Names: []string{"Belgtesse Maritime Inc (Lake Mary)"}, Country: "US", City: "LAKE MARY"})
	b := m.Prepare(Record{Names: []string{"Alice & Lafoenix (Lake Mary)"}, Country: "US", City: "Lake Mary"})
	if p := m.Judge(a, b).Probability; p > 0.2 {
		t.Errorf("two strangers of one city are one with probability %g", p)
	}
	other := func(name string) *Query { return m.Prepare(Record{Names: []string{name}, Country: "US"}) }
	if p := m.Judge(other("Paii Inc (Palo Alto)"), other("Pain Institute (Palo Alto)")).Probability; p > DefaultThresholds.Same {
		t.Errorf("two strangers of one city that only the brackets name are one with probability %g", p)
	}
	x := m.Prepare(Record{Names: []string{"Dean University (Moncton)"}, Country: "CA", City: "Moncton"})
	y := m.Prepare(Record{Names: []string{"University of Moncton"}, Country: "CA", City: "Moncton"})
	if p := m.Judge(x, y).Probability; p > 0.5 {
		t.Errorf("a university there is the university of there with probability %g", p)
	}
	c := m.Prepare(Record{Names: []string{"Belgtesse Maritime"}, Country: "US", City: "Lake Mary"})
	if p := m.Judge(a, c).Probability; p < 0.9 {
		t.Errorf("the same without brackets is one with probability %g", p)
	}
	d := m.Prepare(Record{Names: []string{"Bayerische Motoren Werke AG (BMW)"}, Country: "DE", City: "München"})
	e := m.Prepare(Record{Names: []string{"BMW"}, Country: "DE", City: "München"})
	if p := m.Judge(d, e).Probability; p < 0.5 {
		t.Errorf("a name in brackets is one with probability %g", p)
	}
}

func TestFields(t *testing.T) {
	for _, c := range []struct {
		what, got, want string
	}{
		{"site", siteDomain("https://www.shop.example.co.uk:8443/about?x"), "example.co.uk"},
		{"mail", siteDomain("Jane@Mail.Example.COM"), "example.com"},
		{"idn", siteDomain("www.müller.de"), "xn--mller-kva.de"},
		{"no domain", siteDomain("n/a"), ""},
		{"public suffixes", siteDomain("co.uk") + siteDomain("jane@com.br") + siteDomain("http://CO.UK/about") + siteDomain("公司.cn") + siteDomain("k12.ca.us"), ""},
		{"below one", siteDomain("acme.co.uk") + " " + siteDomain("公司.com"), "acme.co.uk xn--55qx5d.com"},
		{"phone", phoneNumber("+49 (0)89 123-456-87 x12"), "4908912345687"},
		{"short phone", phoneNumber("12345"), ""},
		{"zip+4", postal("80331-1234", "US"), "80331"},
		{"postcode", postal("sw1a 1aa", "GB"), "SW1A1AA"},
		{"region", Normalise(regionOf("DE-BY", "DE")), "by"},
		{"region name", Normalise(regionOf("Bayern", "DE")), "bayern"},
		{"street", street("12 N. Main Street, Suite 4"), "12 north main ste 4"},
		{"tax id", alnum("DE 123.456.789"), "DE123456789"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	q := Default().Prepare(Record{Names: []string{"x"}, Domains: []string{"gmail.com", "www.acme.com", "acme.com"}})
	if len(q.domains) != 1 || q.domains[0] != "acme.com" {
		t.Errorf("domains %q, want acme.com alone: free mail is no evidence", q.domains)
	}
}

func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"Müller & Söhne", "A.B.C. d/b/a X", "株式会社トヨタ", "Аcme0ne", "a & b s", "İstanbul", "ﬁ ǅ ϒ ẞ", "x\xff\xfe", "1 2 a", "abc s s", "ⅷ ½"} {
		f.Add(s)
	}
	m := Default()
	f.Fuzz(func(t *testing.T, s string) {
		once := Normalise(s)
		if twice := Normalise(once); twice != once {
			t.Errorf("%q becomes %q and then %q", s, once, twice)
		}
		q := m.Prepare(Record{Names: []string{s, "x"}, City: s, Street: s, Region: s, PostalCode: s, Phone: s, Domains: []string{s}, TaxID: s, ParentNames: []string{s}})
		m.Judge(q, q)
	})
}

// TestMailDomain weighs the domain of a contact's e-mail address: it speaks for an account that has it, never against
// one that has another, and two strangers with mail at one host are not one organisation.
func TestMailDomain(t *testing.T) {
	m := Default()
	account := m.Prepare(Record{ID: "a", Names: []string{"Nordzucker AG"}, Domains: []string{"nordzucker.com"}, Country: "DE"})
	p := func(a, b *Query) float64 { return m.Judge(a, b).Probability }
	mail := func(name, domain string) *Query {
		return m.Prepare(Record{ID: name, Names: []string{name}, MailDomain: domain, Country: "DE"})
	}
	none := p(mail("Nordzucker", ""), account)
	if own := p(mail("Nordzucker", "nordzucker.com"), account); own <= none {
		t.Errorf("mail at the account's domain: %.3f, without %.3f", own, none)
	}
	if other := p(mail("Nordzucker", "consultants-at-large.example"), account); other != none {
		t.Errorf("mail at another host: %.3f, without %.3f", other, none)
	}
	if strangers := p(mail("Zanzibar Orchestra", "shared-host.example"), mail("Quixotic Brewing", "shared-host.example")); strangers > 0.05 {
		t.Errorf("two strangers with one mail host: %.3f", strangers)
	}
	site := func(d string) *Query {
		return m.Prepare(Record{ID: d, Names: []string{"Nordzucker"}, Domains: []string{d}, Country: "DE"})
	}
	if ending, other := p(site("nordzucker.de"), account), p(site("elsewhere.de"), account); ending <= other || ending < none {
		t.Errorf("the same domain under another ending %.3f, another domain %.3f, none %.3f", ending, other, none)
	}
}

// TestDistance holds distance to the plain table of the optimal string alignment, on words that are two, three and more slips
// apart, in letters of one byte and of several.
func TestDistance(t *testing.T) {
	plain := func(a, b []rune) int {
		d := make([][]int, len(a)+1)
		for i := range d {
			d[i] = make([]int, len(b)+1)
			for j := range d[i] {
				switch {
				case i == 0 || j == 0:
					d[i][j] = i + j
					continue
				case a[i-1] == b[j-1]:
					d[i][j] = d[i-1][j-1]
				default:
					d[i][j] = 1 + min(d[i-1][j-1], d[i-1][j], d[i][j-1])
				}
				if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
					d[i][j] = min(d[i][j], 1+d[i-2][j-2])
				}
			}
		}
		return d[len(a)][len(b)]
	}
	rng := rand.New(rand.NewPCG(3, 1))
	seen := map[int]int{}
	for range 200_000 {
		letters := []rune("abc")
		if rng.IntN(2) == 0 {
			letters = []rune("añш")
		}
		word := make([]rune, 1+rng.IntN(9))
		for i := range word {
			word[i] = letters[rng.IntN(len(letters))]
		}
		other := slices.Clone(word)
		for range 1 + rng.IntN(4) {
			switch i := rng.IntN(len(other) + 1); rng.IntN(4) {
			case 0:
				other = slices.Insert(other, i, letters[rng.IntN(len(letters))])
			case 1:
				if i < len(other) {
					other = slices.Delete(other, i, i+1)
				}
			case 2:
				if i < len(other) {
					other[i] = letters[rng.IntN(len(letters))]
				}
			case 3:
				if i+1 < len(other) {
					other[i], other[i+1] = other[i+1], other[i]
				}
			}
		}
		if slices.Equal(word, other) {
			continue
		}
		want := min(3, plain(word, other))
		seen[want]++
		if got := distance(string(word), string(other)); got != want {
			t.Fatalf("%s and %s are %d apart, want %d", string(word), string(other), got, want)
		}
	}
	if len(seen) != 3 {
		t.Errorf("distances seen: %v", seen)
	}
}

// TestFiller: what forms are filled with where there is nothing to say identifies nobody.
func TestFiller(t *testing.T) {
	m := Default()
	for _, c := range []struct{ what, got, want string }{
		{"tax", taxID("DE 811.115.368"), "DE811115368"}, {"tax", taxID("N/A"), ""}, {"tax", taxID("unknown"), ""}, {"tax", taxID("000000000"), ""}, {"tax", taxID("DE999999999"), ""},
		{"tax", taxID("123456789"), ""}, {"tax", taxID("B-2"), ""}, {"tax", taxID("CHE-105.962.823"), "CHE105962823"},
		{"duns", duns("08-146-6849"), "081466849"}, {"duns", duns("81466849"), "081466849"}, {"duns", duns("999999999"), ""}, {"duns", duns("n/a"), ""}, {"duns", duns("1234567890"), ""},
		{"lei", lei("w38rgi023j3wt1hwrp32"), "W38RGI023J3WT1HWRP32"}, {"lei", lei("W38RGI023J3WT1HWRP23"), ""}, {"lei", lei("LEI1"), ""},
		{"phone", phoneNumber("+49 89 999999999"), ""}, {"phone", phoneNumber("+49 89 636-33 40 55"), "4989636334055"}, {"phone", phoneNumber("0000000"), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	for d, want := range map[string]bool{"siemens.com": true, "none.com": false, "gmail.com": false, "": false} {
		if m.own(d) != want {
			t.Errorf("%q is somebody's own: %v", d, !want)
		}
	}
}

// TestLegalForms reads a name with the legal forms of many countries, and expects the name alone each time.
func TestLegalForms(t *testing.T) {
	m := Default()
	for _, n := range []string{
		"Larkmoor Tbk", "Larkmoor Sdn Bhd", "Larkmoor Berhad", "Larkmoor Nyrt.", "Larkmoor Zrt", "Larkmoor Kft.", "Larkmoor d.o.o.", "Larkmoor a.d.",
		"Larkmoor Oyj", "Larkmoor ASA", "Larkmoor SGPS SA", "Larkmoor S.A. de C.V.", "Larkmoor, S.A.B. de C.V.", "Larkmoor S. de R.L. de C.V.",
		"Larkmoor Ltda", "Larkmoor EIRELI", "Larkmoor S/A", "Larkmoor Pvt. Ltd.", "Larkmoor Private Limited", "Larkmoor (Pty) Ltd", "Larkmoor Pty Limited",
		"Larkmoor Pte Ltd", "Larkmoor S.à r.l.", "Larkmoor e.K.", "Larkmoor OHG", "Larkmoor GbR", "Larkmoor PartG mbB", "Larkmoor UG (haftungsbeschränkt)",
		"Larkmoor gGmbH", "Larkmoor AB (publ)", "Larkmoor Public Company Limited", "Larkmoor PCL", "Larkmoor PJSC", "Larkmoor sh.p.k.", "Larkmoor EOOD",
		"Larkmoor OOD", "SIA Larkmoor", "UAB Larkmoor", "AS Larkmoor", "Larkmoor OÜ", "Larkmoor K.K.", "Larkmoor Co.,Ltd", "Larkmoor Sp. z o.o.",
		"Larkmoor Sp. z o.o. Sp.k.", "Larkmoor s.r.o.", "Larkmoor a.s.", "Larkmoor S.r.l.", "Larkmoor S.r.l. unipersonale",
		"Larkmoor S.p.A. a socio unico", "Larkmoor S.L.U.", "Larkmoor, S.L.", "Larkmoor SASU", "Larkmoor BVBA", "Larkmoor CVBA", "Larkmoor A/S",
		"Larkmoor ApS", "Larkmoor ehf.", "Larkmoor FZE", "Larkmoor FZCO", "Larkmoor FZ-LLC", "Larkmoor W.L.L.", "Larkmoor L.L.C", "Larkmoor A.Ş.",
		"Larkmoor Ltd. Şti.", "Larkmoor LLP", "Larkmoor PLLC", "Larkmoor P.A.", "Larkmoor, N.A.", "Larkmoor & Co", "Larkmoor GmbH & Co. KGaA",
		"Larkmoor SE & Co. KG", "Larkmoor SE", "Larkmoor CIC", "Larkmoor ULC", "Larkmoor Inc./Ltée", "Larkmoor Ges.m.b.H.", "Larkmoor Gesellschaft mbH",
		"Larkmoor mbH & Co. KG", "Larkmoor EURL", "Larkmoor SNC", "Larkmoor SELARL", "Larkmoor SCOP", "SARL Larkmoor", "SAS Larkmoor", "Larkmoor V.O.F.",
		"Larkmoor EAD", "Larkmoor d.d.", "Larkmoor j.d.o.o.", "Larkmoor sp.j.", "Larkmoor Spółka z o.o.",
		"Larkmoor Spółka z ograniczoną odpowiedzialnością", "Larkmoor hf.", "Larkmoor K/S", "Larkmoor ANS", "Larkmoor Handelsbolag", "Larkmoor S.A.E.",
		"Larkmoor SAOG", "Larkmoor Q.P.S.C.", "Larkmoor Q.S.C.", "Larkmoor B.S.C. (c)", "Larkmoor B.S.C.", "Larkmoor K.S.C.P.", "Larkmoor K.S.C.C.",
		"Larkmoor Ltda. EPP", "Larkmoor SpA", "Larkmoor S.A.I.C.", "Larkmoor S.A.C.I.F.", "Larkmoor S.A.S. BIC", "Larkmoor E.I.R.L.", "Larkmoor S.A.C.",
		"Larkmoor S.A.A.", "Larkmoor SPRL", "Larkmoor SCRL", "Larkmoor ASBL", "Larkmoor VZW", "Larkmoor Lda", "Larkmoor Unipessoal Lda", "Larkmoor LLLP",
		"Larkmoor L.C.", "Larkmoor P.C.", "Larkmoor APC", "Larkmoor DAC", "Larkmoor CLG", "Larkmoor Company Limited by Guarantee", "Larkmoor Teoranta",
		"Larkmoor Cyf", "Larkmoor Kabushiki Kaisha", "Larkmoor Godo Kaisha", "Larkmoor (Pvt) Ltd", "Larkmoor Sh.A.", "Larkmoor QSC", "Larkmoor TNHH",
		"Larkmoor s. r. o.", "Larkmoor spol. s r.o.", "Larkmoor, spol. s r. o.", "Larkmoor v.o.s.", "Larkmoor e.V.", "Larkmoor eG",
	} {
		names := m.Prepare(Record{Names: []string{n}}).names
		if len(names) == 0 || names[0].squash != "larkmoor" || names[0].form == 0 {
			t.Errorf("%q is read as %+v, want larkmoor and a legal form", n, names)
		}
	}
}

// TestFounders tells a foundation with the form of a company from the company that founded it.
func TestFounders(t *testing.T) {
	m := Default()
	for _, c := range [][2]string{{"Larkmoor Stiftung GmbH", "Larkmoor GmbH"}, {"Larkmoor Stiftung gGmbH", "Larkmoor AG"}} {
		j := m.Judge(m.Prepare(Record{Names: []string{c[0]}}), m.Prepare(Record{Names: []string{c[1]}}))
		if j.Verdict != deal.Related {
			t.Errorf("%s / %s: %s (%.2f), want related", c[0], c[1], j.Verdict, j.Probability)
		}
	}
	if j := m.Judge(m.Prepare(Record{Names: []string{"Larkmoor Stiftung gGmbH"}}), m.Prepare(Record{Names: []string{"Larkmoor Stiftung"}})); j.Verdict != deal.Same {
		t.Errorf("one foundation with and without its form: %s (%.2f)", j.Verdict, j.Probability)
	}
}

// TestStuck reads words that lost the space before a small word or a legal form; what is one word stays one.
func TestStuck(t *testing.T) {
	m := Default()
	for written, want := range map[string]string{"TheUniversity of Larkmoor": "universitylarkmoor", "Engineering andTesting Services": "engineeringtestingservices", "LarkmoorLLC": "larkmoor",
		"LarkmoorGmbH": "larkmoor", "OOOLarkmoor": "larkmoor", "DeltaplanINC": "deltaplaninc", "Theranos": "theranos", "Andover": "andover", "Province": "province",
		"Texas A and M University": "texasamuniversity", "Texas A&M University": "texasamuniversity", "Larkmoor and M Services": "larkmoormservices"} {
		names := m.Prepare(Record{Names: []string{written}}).names
		if len(names) == 0 || names[0].squash != want {
			t.Errorf("%q is read as %+v, want %s", written, names, want)
		}
	}
}

// TestPrepareNamed reads a name in one go as in two.
func TestPrepareNamed(t *testing.T) {
	m := Default()
	for _, name := range []string{"", "GmbH", "x", "n/a", "unknown", "Larkmoor Sp. z o.o. Sp.k.", "The Larkmoor Company, Inc. (Larkmoor)", "Larkmoor Larkmoor Larkmoor", "株式会社ラークムーア", "Larkmoor d/b/a Moorlark LLC",
		"a b c d e f g h i j k l m n o p q r s t u v w x y z a b c", "Größe & Söhne GmbH & Co. KG", "Intenational Buisness Machnies"} {
		r := Record{ID: "r", Names: []string{name, "Larkmoor " + name}, ParentNames: []string{name}, City: "Larkmoor", Country: "DE", Domains: []string{"larkmoor.example"}}
		q, named := m.PrepareNamed(r)
		if want := m.Prepare(r); !reflect.DeepEqual(q, want) {
			t.Errorf("%q: read in one go it is\n%+v\nand else\n%+v", name, q, want)
		}
		if want := m.Names(name); named != want {
			t.Errorf("%q is a name: %t, and %t", name, named, want)
		}
	}
	if _, named := m.PrepareNamed(Record{}); named {
		t.Error("no name is one")
	}
}
