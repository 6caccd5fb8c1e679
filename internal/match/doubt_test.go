package match

import (
	"math"
	"slices"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
)

// filed returns what a search for a finds of b, where each is one registration of a customer. The match is empty if b is not found.
func filed(m *Model, a, b Record) deal.Match {
	x := NewIndex(m)
	a.ID, b.ID = "a", "b"
	x.Upsert(b)
	if found := x.Search(m.Prepare(a), Options{Repeats: true, Thresholds: registered}).Candidates; len(found) > 0 {
		return found[0]
	}
	return deal.Match{}
}

// registered are the thresholds of the policies that come with dibs.
var registered = Thresholds{Same: 0.9, Review: 0.2}

func from(name, country, city string) Record {
	return Record{Names: []string{name}, Country: country, City: city}
}

// TestDoubted: what is perhaps one customer, and perhaps two, goes to a person, whichever of the two is filed first.
func TestDoubted(t *testing.T) {
	m := Default()
	with := func(r Record, change func(*Record)) Record {
		change(&r)
		return r
	}
	twice := func(name, country, x, y string) [2]Record {
		return [2]Record{from(name, country, x), from(name, country, y)}
	}
	coded := func(name, x, y string) [2]Record {
		return [2]Record{{Names: []string{name}, Country: "DE", PostalCode: x}, {Names: []string{name}, Country: "DE", PostalCode: y}}
	}
	inRegions := func(name, x, y string) [2]Record {
		return [2]Record{{Names: []string{name}, Country: "US", Region: x}, {Names: []string{name}, Country: "US", Region: y}}
	}
	kuhlbrodt := from("Autohaus Kuhlbrodt GmbH", "DE", "")
	kromm := from("Kromm Maschinenbau", "DE", "")
	for _, c := range []struct {
		term string // that says why it is in doubt; none: nothing is taken away
		pair [2]Record
	}{
		{"", [2]Record{from("Massachusetts Institute of Technology", "US", "Cambridge"), from("MIT", "US", "Cambridge")}},
		{"", [2]Record{from("International Business Machines Corporation", "US", "Armonk"), from("IBM", "US", "Armonk")}},
		{"", [2]Record{from("University College London", "GB", ""), from("UCL", "GB", "")}},
		{"", [2]Record{from("University of California, Los Angeles", "US", ""), from("UCLA", "US", "")}},
		{"", [2]Record{from("Department of Energy", "US", ""), from("DOE", "US", "")}},
		{"", [2]Record{from("Gebr. Kromm", "DE", ""), from("Kromm & Söhne", "DE", "")}},
		{"every_town", twice("Grundschule Lindenallee", "DE", "Erfurt", "Essen")},
		{"every_town", twice("Pizzeria Bella Italia", "DE", "Berlin", "Köln")},
		{"every_town", twice("Kita Regenbogen", "DE", "Berlin", "Köln")},
		{"every_town", twice("Hotel Sonnenhof", "DE", "Berlin", "Köln")},
		{"every_town", twice("Gymnasium Am Wall", "DE", "Verden", "Köln")},
		{"every_town", twice("Sonnen-Apotheke", "DE", "Berlin", "Köln")},
		{"every_town", twice("Sonnenapotheke", "DE", "Berlin", "Köln")},
		{"every_town", twice("Grand Hotel", "DE", "Berlin", "Köln")},
		{"every_town", twice("Freiwillige Feuerwehr Altdorf", "DE", "Altdorf bei Nürnberg", "Landshut")},
		{"every_town", twice("École Jules Ferry", "FR", "Lyon", "Nantes")},
		{"every_town", twice("Colegio San José", "ES", "Sevilla", "Bilbao")},
		{"every_town", twice("Farmacia Centrale", "IT", "Roma", "Torino")},
		{"every_town", twice("さくら保育園", "JP", "大阪市", "札幌市")},
		{"every_town", twice("Schreinerei Huber", "DE", "Passau", "Kempten")},
		{"every_town", twice("Bauunternehmen Lang", "DE", "Trier", "Görlitz")},
		{"every_town", twice("Brauerei zum Löwen", "DE", "Trier", "Görlitz")},
		{"every_town", twice("Diakoniewerk Halle", "DE", "Halle (Saale)", "Halle (Westfalen)")},
		{"every_town", twice("Collège Jean Moulin", "FR", "Lyon", "Nantes")},
		{"every_town", twice("Ospedale San Giovanni", "IT", "Roma", "Torino")},
		{"every_town", twice("Royal Infirmary", "GB", "Bristol", "Hull")},
		{"every_town", inRegions("Jefferson County School District", "US-CO", "US-WV")},
		{"every_town", inRegions("City of Franklin", "US-TN", "US-WI")},
		{"every_town", inRegions("First National Bank", "US-TX", "US-OH")},
		{"every_town", [2]Record{from("Stadtwerke Lindenberg", "DE", ""), from("Stadtwerke Lindenburg", "DE", "")}},
		{"every_town", [2]Record{from("Gemeinde Altenberg", "DE", ""), from("Gemeinde Altenburg", "DE", "")}},
		{"every_town", [2]Record{from("Caritasverband Speyer", "DE", ""), from("Caritasverband Spreyer", "DE", "")}},
		{"every_town", coded("Stadtwerke Neustadt", "67433", "23730")},
		{"every_town", coded("Gemeinde Neukirchen", "34626", "94154")},
		{"every_town", [2]Record{{Names: []string{"Stadtwerke Neustadt"}, Country: "DE", City: "Neustadt", PostalCode: "67433"},
			{Names: []string{"Stadtwerke Neustadt"}, Country: "DE", City: "Neustadt", PostalCode: "23730"}}},
		{"identifiers_differ", [2]Record{with(kuhlbrodt, func(r *Record) { r.TaxID, r.City = "DE136695976", "Kempten" }), with(kuhlbrodt, func(r *Record) { r.TaxID, r.City = "DE811907980", "Rostock" })}},
		{"identifiers_differ", [2]Record{with(kromm, func(r *Record) { r.DUNS = "315369934" }), with(kromm, func(r *Record) { r.DUNS = "312456891" })}},
		{"identifiers_differ", [2]Record{with(kromm, func(r *Record) { r.LEI, r.Domains = "529900D6BF99LW9R2E68", []string{"kromm.de"} }), with(kromm, func(r *Record) { r.LEI, r.Domains = "7LTWFZYICNSX8D621K86", []string{"kromm.de"} })}},
	} {
		for _, p := range [][2]Record{c.pair, {c.pair[1], c.pair[0]}} {
			got := filed(m, p[0], p[1])
			z := 0.0
			for _, s := range got.Evidence {
				z += s.Weight
			}
			if p := m.weights.probability(z, ""); math.Abs(p-got.Probability) > 1e-4 {
				t.Errorf("%s: the terms make %.4f and not %.4f", got.Name, p, got.Probability)
			}
			said := slices.ContainsFunc(got.Evidence, func(s deal.Score) bool { return s.Term == c.term && s.Weight < 0 && s.Text != "" })
			if got.Probability < registered.Review || got.Probability >= registered.Same || c.term != "" && !said {
				t.Errorf("%s / %s: %.3f %s, want a person to look by %q: %+v", p[0].Names[0], p[1].Names[0], got.Probability, got.Verdict, c.term, got.Evidence)
			}
		}
	}
}

// Parts of one organisation, and what many organisations are called in the languages of their countries, are one or a person looks.
func TestPartsAndThings(t *testing.T) {
	m := Default()
	for _, c := range [][2]string{
		{"Trugowitz Zentrale", "Trugowitz Niederlassung Süd"}, {"Trugowitz Zentrale", "Trugowitz Filiale"}, {"Trugowitz Hauptverwaltung", "Trugowitz Werk Dresden"}, {"Trugowitz GmbH", "Trugowitz Niederlassung Süd"},
		{"Stadt Köln", "City of Cologne"}, {"Landeshauptstadt München", "City of Munich"}, {"Comune di Torino", "City of Turin"}, {"Gemeente Zwolle", "Municipality of Zwolle"}, {"Ayuntamiento de Cuenca", "Cuenca City Council"},
		{"Freistaat Sachsen", "State of Saxony"}, {"Messe Frankfurt", "Frankfurt Trade Fair"}, {"Hafen Hamburg", "Port of Hamburg"}, {"Halle Sieben Kultur", "Halle 7 Kultur"}, {"Trugowitz Brüder GmbH", "Gebrüder Trugowitz"},
	} {
		for _, p := range [][2]string{c, {c[1], c[0]}} {
			if got := filed(m, from(p[0], "DE", ""), from(p[1], "DE", "")); got.Probability < registered.Review {
				t.Errorf("%s / %s: %.3f %s: %+v", p[0], p[1], got.Probability, got.Verdict, got.Evidence)
			}
		}
	}
	for _, c := range [][2]string{{"Trugowitz Nord GmbH", "Trugowitz Süd GmbH"}, {"Zentrale Nord", "Niederlassung Süd"}, {"Hafen Hamburg", "Messe Hamburg"}, {"Trugowitz Werk 1", "Kromm Werk 1"}} {
		if got := filed(m, from(c[0], "DE", ""), from(c[1], "DE", "")); got.Probability >= registered.Same {
			t.Errorf("%s / %s: %.3f %s: %+v", c[0], c[1], got.Probability, got.Verdict, got.Evidence)
		}
	}
}

// TestNotDoubted: what holds others back holds none of these back.
func TestNotDoubted(t *testing.T) {
	m := Default()
	hotel, kromm := from("Hotel Sonnenhof", "DE", "Berlin"), from("Kromm Maschinenbau", "DE", "Berlin")
	for what, c := range map[string]struct {
		a, b Record
	}{
		"another town, and no local kind": {kromm, from("Kromm Maschinenbau", "DE", "Köln")},
		"one town":                        {hotel, hotel},
		"one town in two languages":       {from("Hotel Sonnenhof", "DE", "Köln"), from("Hotel Sonnenhof", "DE", "Cologne")},
		"one says no town":                {hotel, from("Hotel Sonnenhof", "DE", "")},
		"codes of one town":               {Record{Names: hotel.Names, Country: "DE", PostalCode: "10115"}, Record{Names: hotel.Names, Country: "DE", PostalCode: "14193"}},
		"two towns and one domain": {Record{Names: hotel.Names, Country: "DE", City: "Berlin", Domains: []string{"sonnenhof.de"}},
			Record{Names: hotel.Names, Country: "DE", City: "Köln", Domains: []string{"sonnenhof.de"}}},
		"a VAT number without its letters": {Record{Names: kromm.Names, Country: "DE", City: "Berlin", TaxID: "DE136695976"}, Record{Names: kromm.Names, Country: "DE", City: "Berlin", TaxID: "136695976"}},
		"a VAT number and a tax office's":  {Record{Names: kromm.Names, Country: "DE", City: "Berlin", TaxID: "DE136695976"}, Record{Names: kromm.Names, Country: "DE", City: "Berlin", TaxID: "151/815/08156"}},
	} {
		if got := filed(m, c.a, c.b); got.Probability < registered.Same {
			t.Errorf("%s: %.3f %s: %+v", what, got.Probability, got.Verdict, got.Evidence)
		}
	}
}

// TestPhones compares telephone numbers as people write them.
func TestPhones(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"+1 415 555 0101", "+1 815 555 0101", false}, {"+49 831 5550101", "+49 381 5550101", false}, {"+1 415 555 0101", "(415) 555-0101", true},
		{"+49 (0)831 5550101", "0831/5550101", true}, {"+49 (0)40 123456", "+49 40 123456", true}, {"0049 40 123456", "+49 40 123456", true}, {"040 123456", "+49 40 123456", true},
		{"+39 06 1234567", "06 1234567", true}, {"+39 6 1234567", "+39 06 1234567", true}, {"555-0101", "555 0101", true}, {"555-0101", "+1 415 555 0101", true},
		{"+49 40 123456", "+43 40 123456", false}, {"+1 415 555 0101 x12", "+1 415 555 0101 ext. 7", true},
	} {
		a, b := phoneNumber(c.a), phoneNumber(c.b)
		if a == "" || b == "" || samePhone(a, b) != c.same || samePhone(b, a) != c.same {
			t.Errorf("%s / %s: %s / %s, want same: %t", c.a, c.b, a, b, c.same)
		}
	}
}

// TestOneKind: words of two kinds that are one, a digit written to a word, and names in two scripts at least reach a person.
func TestOneKind(t *testing.T) {
	m := Default()
	for _, p := range [][2]string{
		{"Klinikum Traunfeld", "Krankenhaus Traunfeld"}, {"Universitätsklinikum Traunfeld", "Uniklinik Traunfeld"}, {"Kreisverwaltung Traunfeld", "Landkreis Traunfeld"},
		{"Volkshochschule Traunfeld", "VHS Traunfeld"}, {"Wohnungsbaugesellschaft Traunfeld", "Wohnbau Traunfeld"}, {"Wohnungsbaugenossenschaft Traunfeld", "Wohnbaugenossenschaft Traunfeld"},
		{"Mairie de Traunfeld", "Commune de Traunfeld"}, {"Ayuntamiento de Traunfeld", "Municipio de Traunfeld"}, {"Stadtverwaltung Traunfeld", "Stadt Traunfeld"},
		{"Prefeitura Municipal de Traunfeld", "Município de Traunfeld"}, {"Kreiskrankenhaus Traunfeld", "Kreisklinik Traunfeld"}, {"Bäckerei Traunfelder", "Traunfelder Bakery"},
		{"F.lli Kromm", "Fratelli Kromm"}, {"Hnos. Kromm", "Hermanos Kromm"}, {"Zahnarztpraxis Dr. Kromm", "Dr. Kromm Zahnarzt"},
		{"Maschinenbau Traunfelder", "Traunfelder Machinery"}, {"Παπαδόπουλος Τρόφιμα", "Papadopoulos Foods"}, {"כהן תוכנה", "Cohen Software"}, {"الراجحي للمقاولات", "Al Rajhi Contracting"},
		{"7Seas Dredging", "Seven Seas Dredging"}, {"Werk24 Traunfeld", "Werk 24 Traunfeld"},
		{"カネダ・ソフトウェア", "Kaneda Software"}, {"شركة النخيل للتجارة", "Al Nakheel Trading Company"}, {"Lebensmittel Traunfelder", "Traunfelder Foods"},
	} {
		for _, p := range [][2]string{p, {p[1], p[0]}} {
			got := filed(m, from(p[0], "DE", ""), from(p[1], "DE", ""))
			if got.Probability < registered.Review || got.Verdict == deal.Different {
				t.Errorf("%s / %s: %.3f %s: %+v", p[0], p[1], got.Probability, got.Verdict, got.Evidence)
			}
		}
	}
	if got := filed(m, from("Hafenlager Tomatenwerk", "DE", ""), from("Hafenlager Tomatenwerk2", "DE", "")); got.Verdict != deal.Related {
		t.Errorf("a number that only one has: %.3f %s: %+v", got.Probability, got.Verdict, got.Evidence)
	}
	for in, want := range map[string][2]string{"7seas": {"7", "seas"}, "werk2": {"werk", "2"}, "3m": {}, "h2o": {}, "mp3": {}, "1stdibs": {}, "7seas2": {}, "g00gle": {}, "2024": {}, "seas": {}, "abcd12345": {}} {
		if x, y := glued(in); x != want[0] || y != want[1] {
			t.Errorf("%s is %q and %q", in, x, y)
		}
	}
}

// TestStrangers: a kind in common, of which every town and every number has one, makes no relatives; a name does.
func TestStrangers(t *testing.T) {
	m := Default()
	for _, c := range []struct {
		a, b    string
		related bool
	}{
		{"First Baptist Church of Zanesville", "First Baptist Church of Yuma", false}, {"Local 412 Plumbers Union", "Local 142 Plumbers Union", false},
		{"Evangelisch-Lutherische Kirche Zanesville", "Evangelisch-Lutherische Kirche Yuma", false},
		{"Kestrelhaven Church of Zanesville", "Kestrelhaven Church of Yuma", true}, {"Carlyle Partners VII LP", "Carlyle Partners VIII LP", true},
	} {
		for in, got := range map[string]deal.Match{"filed": filed(m, from(c.a, "US", ""), from(c.b, "US", "")),
			"side by side": m.Judge(m.Prepare(from(c.a, "US", "")), m.Prepare(from(c.b, "US", "")))} {
			if (got.Verdict == deal.Related) != c.related || got.Verdict == deal.Same {
				t.Errorf("%s: %s / %s: %.3f %s, want related: %t: %+v", in, c.a, c.b, got.Probability, got.Verdict, c.related, got.Evidence)
			}
		}
	}
}

// TestTwoKinds: an organisation and another of its name and of another kind go to a person, in one town or where no town is said.
func TestTwoKinds(t *testing.T) {
	m := Default()
	for _, p := range [][2]string{
		{"Stadt Jenzig", "Stadtwerke Jenzig"}, {"Gemeinde Quaddelzell", "Gemeindewerke Quaddelzell"}, {"Kreis Plörren", "Kreissparkasse Plörren"}, {"Klinikum Plörren", "Universität Plörren"},
		{"University of Jenzach", "Jenzach University Hospital"}, {"Schnatterhaus Apotheke", "Schnatterhaus"}, {"Rathaus Apotheke", "Rathaus"}, {"Quaddelzell School", "Quaddelzell Library"},
	} {
		for _, town := range []string{"", "Jenzig"} {
			for _, p := range [][2]string{p, {p[1], p[0]}} {
				got := filed(m, from(p[0], "DE", town), from(p[1], "DE", town))
				said := slices.ContainsFunc(got.Evidence, func(s deal.Score) bool { return s.Term == "two_kinds" })
				if got.Probability < registered.Review || got.Probability > everyTown+1e-4 || got.Verdict == deal.Different || !said && got.Probability > everyTown-0.01 {
					t.Errorf("%s / %s: %.3f %s: %+v", p[0], p[1], got.Probability, got.Verdict, got.Evidence)
				}
			}
		}
	}
	at := func(name, domain, street string) Record {
		r := from(name, "DE", "Jenzig")
		r.Street = street
		if domain != "" {
			r.Domains = []string{domain}
		}
		return r
	}
	for _, p := range [][2]Record{
		{at("Klinikum Traunfeld", "", ""), at("Krankenhaus Traunfeld", "", "")}, {at("Sonnen-Apotheke", "", ""), at("Sonnenapotheke", "", "")}, {at("Restaurant Kestrelhaven", "", ""), at("Rest. Kestrelhaven", "", "")},
		{at("Universität Traunfeld", "", ""), at("University of Traunfeld", "", "")}, {at("Kestrelhaven Pharmacy", "", ""), at("Kestrelhaven Pharmcy", "", "")},
		{at("Kestrelhaven Hotel", "", ""), at("Kestrelhaven Hotels", "", "")}, {at("Kestrelhaven Autohaus", "", ""), at("Kestrelhaven Auto Haus", "", "")},
		{at("Schnatterhaus Apotheke", "schnatter.de", ""), at("Schnatterhaus", "schnatter.de", "")}, {at("Schnatterhaus Apotheke", "", "Marktplatz 1"), at("Schnatterhaus", "", "Marktplatz 1")},
	} {
		for _, p := range [][2]Record{p, {p[1], p[0]}} {
			if got := filed(m, p[0], p[1]); got.Probability < registered.Same {
				t.Errorf("%s / %s: %.3f %s: %+v", p[0].Names[0], p[1].Names[0], got.Probability, got.Verdict, got.Evidence)
			}
		}
	}
}

// TestFamilies: two family names one letter apart, beside words of a trade or a town, are never certain, however much else they share.
func TestFamilies(t *testing.T) {
	m := Default()
	judged := func(a, b Record, person bool) {
		t.Helper()
		for _, p := range [][2]Record{{a, b}, {b, a}} {
			got := filed(m, p[0], p[1])
			if got.Probability < registered.Review || (got.Probability < registered.Same) != person {
				t.Errorf("%s / %s: %.3f %s, want a person to look: %t: %+v", p[0].Names[0], p[1].Names[0], got.Probability, got.Verdict, person, got.Evidence)
			}
		}
	}
	for _, p := range [][2]string{
		{"Maler Kech GmbH", "Maler Kach GmbH"}, {"Kanzlei Hunsen", "Kanzlei Junsen"}, {"Kraxner Metallbau GmbH", "Kroxner Metallbau GmbH"}, {"Müller Metallbau", "Möller Metallbau"},
		{"Autohaus Berger", "Autohaus Bürger"}, {"Wagner Logistik", "Wegner Logistik"}, {"Lehmann", "Lohmann Logistik"}, {"Lehmann Logistik", "Lohmann Logistik"}, {"Brandt Brauerei", "Brendt Brauerei"},
		{"Menuiserie Vasner", "Menuiserie Vosner"}, {"Kraxner Bootsbau Kempten", "Kroxner Bootsbau Kempten"}, {"Kraxner Farms", "Kroxner Farms"},
	} {
		judged(from(p[0], "DE", "Kempten"), from(p[1], "DE", "Kempten"), true)
	}
	for _, p := range [][2]string{
		{"Kraxner Logistik", "Kraxnre Logistik"}, {"Kaxner Metallbau", "Kaxnner Metallbau"}, {"Müller Metallbau", "Mueller Metallbau"}, // a slip, and one name in two spellings
		{"Kraxner Zwirbelmann Metallbau", "Kroxner Zwirbelmann Metallbau"}, {"Kraxnerius Metallbau", "Kroxnerius Metallbau"}, // another name in common, and a long one
	} {
		judged(from(p[0], "DE", "Kempten"), from(p[1], "DE", "Kempten"), false)
	}
	a, b := from("Kraxner Metallbau", "DE", "Kempten"), from("Kroxner Metallbau", "DE", "Kempten")
	a.Street, b.Street = "Gewerbestraße 7", "Gewerbestraße 7"
	judged(a, b, false)
}

// TestScripts: a town and a legal form in two scripts do not speak against one organisation; what reads the same speaks for it.
func TestScripts(t *testing.T) {
	m := Default()
	weight := func(term string, a, b Record) (w float64) {
		for _, s := range m.Judge(m.Prepare(a), m.Prepare(b)).Evidence {
			if s.Term == term {
				w += s.Weight
			}
		}
		return w
	}
	for _, c := range []struct {
		x, y string
		sign float64
	}{
		{"東京", "Tokyo", 0}, {"मुंबई", "Mumbai", 0}, {"上海", "Shanghai", 1}, {"서울", "Seoul", 1}, {"Москва", "Moscow", 1}, {"Αθήνα", "Athens", 1}, {"Quakenbrück", "Quakenbrueck", 1},
		{"東京", "大阪", -1}, {"Москва", "Казань", -1}, {"Köln", "Bonn", -1},
	} {
		for _, p := range [][2]string{{c.x, c.y}, {c.y, c.x}} {
			if w := weight("city", from("Kromm Maschinenbau", "DE", p[0]), from("Kromm Maschinenbau", "DE", p[1])); w*c.sign < 0 || c.sign == 0 && w != 0 || c.sign != 0 && w == 0 {
				t.Errorf("%s / %s weighs %.2f, want the sign of %.0f", p[0], p[1], w, c.sign)
			}
		}
	}
	for _, c := range []struct {
		x, y    string
		against bool
	}{
		{"カネダ株式会社", "Kaneda Co., Ltd.", false}, {"カネダ株式会社", "Kaneda Inc.", false}, {"カネダ株式会社", "Kaneda Ltd", false}, {"한빛 주식회사", "Hanbit Co., Ltd.", false}, {"ООО Ромашка", "Romashka LLC", false},
		{"ООО Ромашка", "OAO Romashka", true}, {"カネダ株式会社", "Kaneda GmbH", true}, {"Kaneda KK", "Kaneda GmbH", true},
	} {
		for _, p := range [][2]string{{c.x, c.y}, {c.y, c.x}} {
			if w := weight("legal_form", from(p[0], "", ""), from(p[1], "", "")); (w < 0) != c.against {
				t.Errorf("%s / %s: the forms weigh %.2f, want against: %t", p[0], p[1], w, c.against)
			}
		}
	}
	for _, p := range [][2]string{{"St. Vitus Krankenhaus", "Sankt Vitus Krankenhaus"}, {"Sint Vitus Krankenhaus", "Saint Vitus Krankenhaus"}} {
		if got := filed(m, from(p[0], "DE", ""), from(p[1], "DE", "")); got.Probability < registered.Same {
			t.Errorf("%s / %s: %.3f", p[0], p[1], got.Probability)
		}
	}
}
