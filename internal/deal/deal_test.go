package deal

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

var noon = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

func day(t testing.TB, s string) Date {
	t.Helper()
	d, err := ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fields lists the fields of errors.
func fields(errs FieldErrors) []string {
	out := make([]string, len(errs))
	for i, e := range errs {
		out[i] = e.Field
	}
	return out
}

func TestMoney(t *testing.T) {
	for _, c := range []struct {
		value, currency string
		wrong           string // part of what is said; empty: it is right
		json            string
	}{
		{"120000", "EUR", "", `{"value":"120000.00","currency":"EUR"}`},
		{"120000.5", "USD", "", `{"value":"120000.50","currency":"USD"}`},
		{"0.000001", "EUR", "", `{"value":"0.000001","currency":"EUR"}`},
		{"3.00E+07", "JPY", "", `{"value":"30000000.00","currency":"JPY"}`},
		{"0", "EUR", "", `{"value":"0.00","currency":"EUR"}`},
		{"1e15", "EUR", "", `{"value":"1000000000000000.00","currency":"EUR"}`},
		{"1000000000000000.01", "EUR", "is larger than", ""},
		{"1e18", "EUR", "is larger than", ""},
		{"1e19", "EUR", "too many digits", ""},
		{"1e9999", "EUR", "too many digits", ""},
		{"-1e9999", "EUR", "too many digits", ""},
		{"0e9999", "EUR", "too many digits", ""},
		{"1e-9999", "EUR", "more than 6 decimals", ""},
		{"0.0000001", "EUR", "more than 6 decimals", ""},
		{strings.Repeat("9", 31), "EUR", "too many digits", ""},
		{"-0.01", "EUR", "must not be negative", ""},
		{"1", "", "not an ISO 4217 code", ""},
		{"1", "eur", "not an ISO 4217 code", ""}, // Normalise has made it EUR, where it could
		{"1", "EURO", "not an ISO 4217 code", ""},
		{"1", "QQQ", "not an ISO 4217 code", ""},
	} {
		m, err := ParseMoney(c.value, c.currency)
		if err != nil {
			t.Errorf("%s %s: %v", c.value, c.currency, err)
			continue
		}
		var errs FieldErrors
		m.Validate(&errs, "amount")
		if got := errs.Error(); got == "" != (c.wrong == "") || !strings.Contains(got, c.wrong) {
			t.Errorf("%s %s: %q, want %q", c.value, c.currency, got, c.wrong)
		}
		if c.wrong != "" {
			continue
		}
		b, err := json.Marshal(m)
		if err != nil || string(b) != c.json {
			t.Errorf("%s %s is written %s, %v; want %s", c.value, c.currency, b, err, c.json)
		}
		var back Money
		if err := json.Unmarshal(b, &back); err != nil || !back.Value.Equal(m.Value) || back.Currency != m.Currency {
			t.Errorf("%s is read as %v, %v", b, back, err)
		}
	}
	for _, bad := range []string{"", "12,50", "1.2.3", "NaN", "Inf", "0x10", "€5", "1e999999999", "-1e999999999", "1e-999999999", "0e999999999", "1e99999999999"} {
		if m, err := ParseMoney(bad, "EUR"); err == nil {
			t.Errorf("%q is read as %v", bad, m.Value)
		}
	}
	var errs FieldErrors
	if (Money{}).Validate(&errs, "amount"); len(errs) > 0 || !(Money{}).IsZero() || (Money{Currency: "EUR"}).IsZero() {
		t.Error("no amount is not the same as nothing given")
	}
}

// FuzzMoney: whatever is read and found right is written as what is read again, and nothing hangs.
func FuzzMoney(f *testing.F) {
	for _, s := range []string{`{"value":"120000.00","currency":"EUR"}`, `{"value":1e3,"currency":"USD"}`, `{"value":"1e999999999","currency":"EUR"}`, `{"value":"1e-999999999","currency":"EUR"}`,
		`{"value":"0e-999999999","currency":"EUR"}`, `{"value":"-0","currency":""}`, `{}`, `null`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Money
		if json.Unmarshal(b, &m) != nil {
			return
		}
		var errs FieldErrors
		m.Validate(&errs, "amount")
		if len(errs) > 0 || m.IsZero() {
			return
		}
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back Money
		if err := json.Unmarshal(out, &back); err != nil || !back.Value.Equal(m.Value) || back.Currency != m.Currency {
			t.Fatalf("%s is written %s and read as %v, %v", b, out, back, err)
		}
	})
}

func TestDate(t *testing.T) {
	for _, c := range []struct {
		json string
		want string
		ok   bool
	}{
		{`"2027-02-28"`, "2027-02-28", true}, {`"2028-02-29"`, "2028-02-29", true}, {`""`, "", true}, {`null`, "", true},
		{`"2027-02-29"`, "", false}, {`"2027-2-28"`, "", false}, {`"28.02.2027"`, "", false}, {`"2027-02-28T00:00:00Z"`, "", false},
		{`" 2027-02-28"`, "", false}, {`20270228`, "", false}, {`"2027-13-01"`, "", false}, {`{}`, "", false},
	} {
		var d Date
		err := json.Unmarshal([]byte(c.json), &d)
		if (err == nil) != c.ok || err == nil && d.String() != c.want {
			t.Errorf("%s is read as %q, %v", c.json, d, err)
		}
		if c.want == "" || err != nil {
			continue
		}
		if b, err := json.Marshal(d); err != nil || string(b) != c.json {
			t.Errorf("%s is written %s, %v", c.json, b, err)
		}
		if h, m, s := d.Clock(); h+m+s != 0 || d.Location() != time.UTC {
			t.Errorf("%s is not midnight UTC: %v", c.json, d.Time)
		}
	}
	if b, err := json.Marshal(struct {
		D Date `json:"d,omitzero"`
	}{}); err != nil || string(b) != "{}" {
		t.Errorf("a date that was not given is written %s, %v", b, err)
	}
}

// FuzzDate: what is read is a day, and is written as what is read again.
func FuzzDate(f *testing.F) {
	for _, s := range []string{`"2027-02-28"`, `"0001-01-01"`, `"9999-12-31"`, `"0000-01-01"`, `""`, `null`, `"`, `"2027-02-2\u0038"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var d Date
		if json.Unmarshal(b, &d) != nil {
			return
		}
		if !d.Equal(d.Truncate(24 * time.Hour)) {
			t.Fatalf("%s is read as %v", b, d.Time)
		}
		out, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var back Date
		if err := json.Unmarshal(out, &back); err != nil || !back.Equal(d.Time) {
			t.Fatalf("%s is written %s and read as %v, %v", b, out, back.Time, err)
		}
	})
}

func TestCountries(t *testing.T) {
	for code, want := range map[string]bool{"DE": true, "US": true, "GB": true, "TW": true, "XK": true, "SS": true, "PR": true,
		"": false, "de": false, "DEU": false, "UK": false, "EU": false, "ZZ": false, "QQ": false, "DD": false, "AN": false, "CS": false, "SU": false, "YU": false, "D1": false, "ÄÖ": false} {
		if got := IsCountry(code); got != want {
			t.Errorf("IsCountry(%q) = %t", code, got)
		}
	}
}

func TestRegions(t *testing.T) {
	for _, c := range []struct{ country, region, want string }{
		{"DE", "DE-BY", "DE-BY"}, {"DE", "de-by", "DE-BY"}, {"US", "ca", "US-CA"}, {"US", "US-CA", "US-CA"}, {"CA", "QC", "CA-QC"}, {"AU", "nsw", "AU-NSW"},
		{"DE", "BY", "BY"}, {"DE", "Bavaria", "Bavaria"}, {"US", "California", "California"}, {"US", "C", "C"}, {"", "CA", "CA"}, {"DE", " Bayern ", "Bayern"},
		{"GB", "GB-ENG", "GB-ENG"}, {"FR", "FR-75C", "FR-75C"}, {"US", "", ""}, {"US", "  ", ""},
		{"DE", "US-CA", "US-CA"}, // a region of another country is kept: the disagreement is for a person to see
	} {
		got := CanonicalRegion(c.country, c.region)
		if got != c.want {
			t.Errorf("region %q in %q is %q, want %q", c.region, c.country, got, c.want)
		}
		if again := CanonicalRegion(c.country, got); again != got {
			t.Errorf("region %q in %q is %q the second time", c.region, c.country, again)
		}
	}
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		name         string
		a, b         Scope
		lines, sites []string
		meets        bool
	}{
		{"everything and everything", Scope{}, Scope{}, nil, nil, true},
		{"everything and one line", Scope{}, Scope{Lines: []string{"network"}}, []string{"network"}, nil, true},
		{"the same line", Scope{Lines: []string{"network"}}, Scope{Lines: []string{"network"}}, []string{"network"}, nil, true},
		{"other lines", Scope{Lines: []string{"network"}}, Scope{Lines: []string{"security"}}, nil, nil, false},
		{"one line in common", Scope{Lines: []string{"network", "cloud"}}, Scope{Lines: []string{"security", "cloud"}}, []string{"cloud"}, nil, true},
		{"one site of the whole customer", Scope{Sites: []string{"a"}}, Scope{}, nil, []string{"a"}, true},
		{"other sites", Scope{Sites: []string{"a"}}, Scope{Sites: []string{"b"}}, nil, nil, false},
		{"the line but not the site", Scope{Lines: []string{"network"}, Sites: []string{"a"}}, Scope{Lines: []string{"network"}, Sites: []string{"b"}}, []string{"network"}, nil, false},
		{"the site but not the line", Scope{Lines: []string{"network"}, Sites: []string{"a"}}, Scope{Lines: []string{"cloud"}, Sites: []string{"a"}}, nil, []string{"a"}, false},
		{"line and site", Scope{Lines: []string{"network"}, Sites: []string{"a", "b"}}, Scope{Lines: []string{"network"}, Sites: []string{"b", "c"}}, []string{"network"}, []string{"b"}, true},
	} {
		for _, x := range [][2]Scope{{c.a, c.b}, {c.b, c.a}} {
			got := x[0].Overlap(x[1])
			if got.Meets != c.meets || !slices.Equal(got.Lines, c.lines) || !slices.Equal(got.Sites, c.sites) {
				t.Errorf("%s: %+v, want lines %v, sites %v, meets %t", c.name, got, c.lines, c.sites, c.meets)
			}
		}
	}
}

func TestSiteKey(t *testing.T) {
	ulm := Site{Name: "Plant 1", Street: "Hauptstr. 1", City: "Ulm", PostalCode: "89073", Country: "DE"}
	other := ulm
	other.Name = "Werk Ulm"
	if ulm.Key() != other.Key() {
		t.Error("one place under two names is two sites")
	}
	other.Street = "Hauptstr. 2"
	if ulm.Key() == other.Key() {
		t.Error("two places are one site")
	}
	if a, b := (Site{Name: "Plant 1"}), (Site{Name: "PLANT 1"}); a.Key() != b.Key() || a.Key() == (Site{Name: "Plant 2"}).Key() || a.Key() == (Site{City: "plant 1"}).Key() {
		t.Error("a site without a place is its name")
	}
	for _, c := range []struct {
		a, b  Site
		meets bool
	}{
		{Site{Street: "Hauptstr. 1", City: "Ulm", PostalCode: "89073"}, Site{Street: "Hauptstraße 1", City: "ULM", PostalCode: "89 073", Country: "DE"}, true},
		{Site{Street: "Hauptstr. 1", City: "Ulm"}, Site{Street: "Hauptstr. 11", City: "Ulm"}, false},
		{Site{City: "Köln"}, Site{City: "Koeln"}, true}, {Site{Name: "Köln"}, Site{Name: "KOELN"}, true}, {Site{City: "São Paulo"}, Site{City: "Sao Paulo", Country: "BR"}, true},
		{Site{Name: "Werk 1"}, Site{Name: "Werk 1", City: "Ulm"}, true}, {Site{Name: "Ulm"}, Site{City: "Ulm"}, true}, {Site{Name: "Werk 1"}, Site{Name: "Werk 2"}, false},
		{Site{City: "Ulm", Country: "DE"}, Site{City: "Ulm"}, true}, {Site{City: "Ulm", Country: "DE"}, Site{City: "Ulm", Country: "US"}, false},
		{Site{Street: "12 Main Street"}, Site{Street: "12 main st."}, true}, {Site{PostalCode: "89073"}, Site{City: "Ulm"}, true}, {Site{City: "Ulm"}, Site{City: "Aalen"}, false}, {Site{}, Site{Name: "Werk 1"}, true},
		// Towns in several languages, with what people add to them, and with a slip.
		{Site{City: "Köln"}, Site{City: "Cologne"}, true}, {Site{City: "Munich"}, Site{City: "Muenchen"}, true}, {Site{City: "München"}, Site{City: "Munich, Bavaria"}, true},
		{Site{City: "Frankfurt"}, Site{City: "Frankfurt am Main"}, true}, {Site{City: "Frankfurt a.M."}, Site{City: "Frankfurt/Main"}, true}, {Site{City: "Ulm (Donau)"}, Site{City: "Ulm"}, true},
		{Site{City: "Ulm/Donau"}, Site{City: "Ulm a. d. Donau"}, true}, {Site{City: "Prague"}, Site{City: "Praha"}, true}, {Site{City: "The Hague"}, Site{City: "Den Haag"}, true},
		{Site{City: "Düsseldorf"}, Site{City: "Dusseldof"}, true}, {Site{City: "東京"}, Site{City: "Tokyo"}, true}, {Site{City: "東京"}, Site{City: "大阪"}, false},
		{Site{City: "San Diego"}, Site{City: "San Jose"}, false}, {Site{City: "New York"}, Site{City: "New Orleans"}, false}, {Site{City: "Bad Homburg"}, Site{City: "Bad Nauheim"}, false},
		{Site{City: "Cologne"}, Site{City: "Munich"}, false}, {Site{City: "Essen"}, Site{City: "Hessen"}, false}, {Site{City: "Linden"}, Site{City: "Lindenberg"}, false},
		// Streets.
		{Site{City: "Ulm", Street: "Hafenweg 1"}, Site{City: "Ulm", Street: "Hafen Weg 1"}, true}, {Site{City: "Ulm", Street: "Hafenweg 1"}, Site{City: "Ulm", Street: "1 Hafenweg"}, true},
		{Site{City: "Ulm", Street: "Hafenweg 1"}, Site{City: "Ulm", Street: "Hafenweg 1, 3. OG"}, true}, {Site{City: "Ulm", Street: "Hafenweg 1, 2. OG"}, Site{City: "Ulm", Street: "Hafenweg 1, 3. OG"}, true},
		{Site{Street: "Hafenweg 12-14"}, Site{Street: "Hafenweg 14"}, true}, {Site{Street: "Hafenweg 12 a"}, Site{Street: "Hafenweg 12"}, true}, {Site{Street: "Hafenweg 12a"}, Site{Street: "Hafenweg 12b"}, false},
		{Site{Street: "Hafenweg 1"}, Site{Street: "Bergweg 1"}, false}, {Site{Street: "Hafen Weg 1"}, Site{Street: "Berliner Weg 1"}, false}, {Site{Street: "Bergstraße 1"}, Site{Street: "Burgstraße 1"}, false},
		{Site{Street: "Straße des 17. Juni 135"}, Site{Street: "Straße des 17. Juni 100"}, false}, {Site{Street: "350 5th Avenue"}, Site{Street: "350 6th Ave"}, false},
		{Site{Street: "350 Fifth Avenue"}, Site{Street: "350 Fifth Ave, Suite 20"}, true}, {Site{Street: "Hauptstr. 1", City: "Ulm"}, Site{Street: "Hauptstr. 1", City: "Aalen"}, false},
		// Postal codes.
		{Site{PostalCode: "D-89073"}, Site{PostalCode: "89073"}, true}, {Site{PostalCode: "DE 89073"}, Site{PostalCode: "89 073"}, true}, {Site{PostalCode: "89073"}, Site{PostalCode: "89075"}, false},
		{Site{PostalCode: "01067"}, Site{PostalCode: "1067"}, true}, {Site{PostalCode: "10001-1234"}, Site{PostalCode: "10001"}, true}, {Site{PostalCode: "SW1A 1AA"}, Site{PostalCode: "sw1a1aa"}, true},
		{Site{City: "Köln", PostalCode: "51149"}, Site{City: "Porz", PostalCode: "51149"}, true}, {Site{City: "Ulm", PostalCode: "89073"}, Site{City: "Ulm", PostalCode: "89077"}, false},
		{Site{City: "Ulm", Street: "Hafenstr. 3", PostalCode: "89073"}, Site{City: "Ulm", Street: "Hafenstr. 3", PostalCode: "89075"}, true}, // a slip
		{Site{City: "Ulm", PostalCode: "89073"}, Site{City: "Ulm", PostalCode: "XXXXX"}, true}, {Site{City: "Ulm", PostalCode: "89073"}, Site{City: "Ulm", PostalCode: "89O73"}, true},
		{Site{PostalCode: "89073"}, Site{PostalCode: "00000"}, true}, {Site{PostalCode: "EC1A 1BB"}, Site{PostalCode: "W1A 0AX"}, false}, {Site{PostalCode: "1012 AB"}, Site{PostalCode: "1013 AB"}, false},
		{Site{PostalCode: "K1A 0B1"}, Site{PostalCode: "M5V 3L9"}, false}, {Site{PostalCode: "D02 AF30"}, Site{PostalCode: "T12 X8N6"}, false}, {Site{PostalCode: "AD500"}, Site{PostalCode: "AD400"}, false},
		// Words that say no place.
		{Site{City: "Ulm"}, Site{City: "alle Standorte"}, true}, {Site{City: "Ulm"}, Site{City: "diverse"}, true}, {Site{Street: "Hafenstr. 3"}, Site{Street: "siehe Anlage"}, true},
		{Site{Street: "Hafenstr. 3"}, Site{Street: "Postfach 1234"}, true}, {Site{Street: "Hafenstr. 3"}, Site{Street: "P.O. Box 12"}, true}, {Site{Street: "Via alle Fornaci 3"}, Site{Street: "Am See 5"}, false},
		// More languages.
		{Site{City: "Nürnberg"}, Site{City: "Norimberga"}, true}, {Site{City: "Aachen"}, Site{City: "Aix-la-Chapelle"}, true}, {Site{City: "Genf"}, Site{City: "Ginevra"}, true}, {Site{City: "Mainz"}, Site{City: "Nice"}, false},
		// Names.
		{Site{Name: "Rechenzentrum"}, Site{Name: "Data Center"}, true}, {Site{Name: "Lager"}, Site{Name: "Warehouse"}, true}, {Site{Name: "Werk Nord"}, Site{Name: "North Plant"}, true}, {Site{Name: "Werk Nord"}, Site{Name: "Werk Süd"}, false},
		{Site{Name: "HQ"}, Site{Name: "Headquarters"}, true}, {Site{Name: "Zentrale"}, Site{Name: "Main Site"}, true}, {Site{Name: "Plant 1"}, Site{Name: "Werk 01"}, true}, {Site{Name: "Werk Ulm"}, Site{Name: "Ulm"}, true},
		{Site{Name: "Plant North"}, Site{Name: "Plant South"}, false}, {Site{Name: "Campus A"}, Site{Name: "Campus B"}, false}, {Site{Name: "Werk Köln"}, Site{Name: "Cologne plant"}, true},
	} {
		one, other := Scope{Sites: []string{c.a.Key()}}, Scope{Sites: []string{c.b.Key()}}
		if one.Overlap(other).Meets != c.meets || other.Overlap(one).Meets != c.meets {
			t.Errorf("%+v and %+v: meets %t (%q, %q)", c.a, c.b, !c.meets, c.a.Key(), c.b.Key())
		}
	}
	for _, c := range [][2]Site{{{City: "Köln"}, {City: "Cologne"}}, {{PostalCode: "D-89073"}, {PostalCode: "89073"}}, {{City: "Munich"}, {City: "Muenchen"}}} {
		if c[0].Key() != c[1].Key() { // the constraint of the store goes by it
			t.Errorf("%+v and %+v: %q, %q", c[0], c[1], c[0].Key(), c[1].Key())
		}
	}
	if a, b := "|89 073|cologne|hafenweg 1", "|D-89073|koln|hafen weg 1"; func() bool { _, m := meetSites([]string{a}, []string{b}); return !m }() {
		t.Error("what an earlier version wrote is not read")
	}
	for want, s := range map[string]Site{"Plant 1": ulm, "Ulm, DE": {City: "Ulm", Country: "DE"}, "": {}} {
		if got := s.Label(); got != want {
			t.Errorf("label %q, want %q", got, want)
		}
	}
}

// TestInstants asks at the exact instants: a window is [start, end).
func TestInstants(t *testing.T) {
	window := &Protection{StartsAt: noon, EndsAt: noon.Add(time.Hour)}
	const before, first, last, end = "before", "first", "last", "end"
	at := map[string]time.Time{before: noon.Add(-1), first: noon, last: noon.Add(time.Hour - 1), end: noon.Add(time.Hour)}
	if window.LiveAt(at[before]) || !window.LiveAt(at[first]) || !window.LiveAt(at[last]) || window.LiveAt(at[end]) {
		t.Error("a window is live from its start on, and not at its end")
	}
	if (*Protection)(nil).LiveAt(noon) {
		t.Error("no window is live")
	}
	type state struct {
		holds, claim bool
		status       Status
	}
	for _, c := range []struct {
		name string
		r    Registration
		at   map[string]state
	}{
		{"protected", Registration{Status: StatusProtected, Protection: window}, map[string]state{before: {false, false, StatusProtected},
			first: {true, true, StatusProtected}, last: {true, true, StatusProtected}, end: {false, false, StatusExpired}}},
		{"conditional", Registration{Status: StatusConditional, Protection: window}, map[string]state{last: {true, true, StatusConditional}, end: {false, false, StatusExpired}}},
		{"escalated with a hold", Registration{Status: StatusEscalated, Hold: window}, map[string]state{last: {true, true, StatusEscalated}, end: {false, true, StatusEscalated}}},
		{"escalated without", Registration{Status: StatusEscalated, Protection: window}, map[string]state{last: {false, true, StatusEscalated}, end: {false, true, StatusEscalated}}},
		{"waitlisted", Registration{Status: StatusWaitlisted}, map[string]state{last: {false, true, StatusWaitlisted}}},
		{"received", Registration{Status: StatusReceived}, map[string]state{last: {false, true, StatusReceived}}},
		{"protected, with no window", Registration{Status: StatusProtected}, map[string]state{last: {false, false, StatusProtected}}},
	} {
		for when, want := range c.at {
			if got := (state{c.r.HoldsAt(at[when]), c.r.ClaimAt(at[when]), c.r.StatusAt(at[when])}); got != want {
				t.Errorf("%s, %s: %+v, want %+v", c.name, when, got, want)
			}
		}
	}
	for _, s := range []Status{StatusReturned, StatusRouted, StatusMerged, StatusExpired, StatusWithdrawn, StatusRevoked, StatusWon, StatusLost, StatusTransferred} {
		r := Registration{Status: s, Protection: window, Hold: window}
		if r.HoldsAt(noon) || r.ClaimAt(noon) || r.StatusAt(at[end]) != s {
			t.Errorf("a registration that is %s is still a claim", s)
		}
	}
}

// filled returns a filing with every field set.
func filled(t testing.TB) Filing {
	return Filing{PartnerID: "P-1", DistributorID: "P-2", Type: "new_business",
		Customer: Customer{Name: "Siemens AG", AccountID: "acc-1", Domain: "siemens.com", Website: "https://siemens.com", Country: "DE", Region: "DE-BY", City: "München",
			PostalCode: "80333", Street: "Werner-von-Siemens-Str. 1", Phone: "+49 89 1", TaxID: "DE129274202", DUNS: "316067164", LEI: "W38RGI023J3WT1HWRP32", Parent: "none",
			Industry: "industry", Employees: 320_000, AnnualRevenue: Money{decimal.New(78, 9), "EUR"}, ShipTo: Site{Name: "Plant", City: "Erlangen", Country: "DE"}},
		Contact:  Contact{Name: "Erika Mustermann", Email: "Erika@Siemens.com", Title: "CIO", Phone: "+49 89 2"},
		Products: []Product{{SKU: "FW-200", Line: "firewall", Quantity: 2, Amount: Money{decimal.New(5, 3), "EUR"}}, {Line: "cloud"}, {SKU: "FW-300", Line: "firewall"}},
		Sites:    []Site{{Name: "Plant 1", City: "Ulm", Country: "DE"}}, Amount: Money{decimal.New(120, 3), "EUR"}, ExpectedCloseDate: day(t, "2027-06-30"),
		Description: "Replacement at Erika's", Tender: Tender{IsTender: true, Number: "T-1", PublishedAt: day(t, "2027-01-31"), ContractVehicle: "frame"},
		Evidence:  []Evidence{{Kind: "meeting", Date: day(t, "2027-02-20"), By: "Max Mustermann", Text: "met Erika", FileRef: "f-1"}, {Kind: "quote"}, {Kind: "email", Text: "wrote to Erika"}},
		Competing: []string{"rival"}, ExternalID: "portal-1", Custom: map[string]string{"project": "x"}}
}

func TestPersonal(t *testing.T) {
	whole := filled(t)
	public, personal := whole.SplitPersonal()
	if want := filled(t); !reflect.DeepEqual(whole, want) {
		t.Errorf("splitting changed the filing:\n%+v\n%+v", whole, want)
	}
	b, err := json.Marshal(public)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"Erika", "erika", "Mustermann", "CIO", "+49 89 2"} {
		if strings.Contains(string(b), secret) {
			t.Errorf("the public part holds %q: %s", secret, b)
		}
	}
	var names []string
	for _, p := range personal {
		names = append(names, p.Field)
	}
	if want := []string{"contact.name", "contact.email", "contact.title", "contact.phone", "description", "evidence[0].by", "evidence[0].text", "evidence[2].text"}; !slices.Equal(names, want) {
		t.Errorf("personal fields %v, want %v", names, want)
	}
	joined := public
	joined.Evidence = slices.Clone(public.Evidence)
	joined.JoinPersonal(personal)
	if !reflect.DeepEqual(joined, whole) {
		t.Errorf("joined again it is\n%+v, not\n%+v", joined, whole)
	}
	erased := public
	erased.Evidence = slices.Clone(public.Evidence)
	erased.JoinPersonal(personal[1:])
	if erased.Contact.Name != "" || erased.Contact.Email != whole.Contact.Email {
		t.Errorf("what was erased comes back, or more was: %+v", erased.Contact)
	}
	if _, none := (Filing{PartnerID: "P-1", Evidence: []Evidence{{Kind: "poc"}}}).SplitPersonal(); none != nil {
		t.Errorf("nothing personal is %v", none)
	}
}

func TestFiling(t *testing.T) {
	f := filled(t)
	f.Normalise()
	if errs := f.Validate(noon); len(errs) > 0 {
		t.Errorf("a complete filing is refused: %v", errs)
	}
	if got := f.Lines(); !slices.Equal(got, []string{"firewall", "cloud"}) {
		t.Errorf("lines %v", got)
	}
	if got := f.Contact.EmailDomain(); got != "siemens.com" {
		t.Errorf("domain of the contact's address: %q", got)
	}
	least := Filing{PartnerID: " P-1 ", Type: "renewal", Customer: Customer{Name: " Siemens ", Country: " de", Region: "by "}, Sites: []Site{{City: " Ulm ", Country: "us", Region: "ca"}}, Products: []Product{{SKU: " a ", Amount: Money{decimal.New(1, 0), " usd"}}},
		Amount: Money{decimal.New(1, 0), "eur"}}
	least.Normalise()
	if errs := least.Validate(noon); len(errs) > 0 || least.Customer.Country != "DE" || least.Customer.Name != "Siemens" || least.Sites[0].Region != "US-CA" || least.Products[0].SKU != "a" ||
		least.Amount.Currency != "EUR" || least.Products[0].Amount.Currency != "USD" {
		t.Errorf("%v, %+v", errs, least)
	}
	again := least
	again.Sites, again.Products = slices.Clone(least.Sites), slices.Clone(least.Products)
	if again.Normalise(); !reflect.DeepEqual(again, least) {
		t.Errorf("normalising twice differs:\n%+v\n%+v", again, least)
	}
}

// TestValidate has everything wrong at once, and expects every error, each time in the same order.
func TestValidate(t *testing.T) {
	long, control := strings.Repeat("ä", MaxName+1), "a\x00b"
	bad := Money{decimal.New(-1, 0), "EURO"}
	f := Filing{Type: "gift", Customer: Customer{Name: "-", Domain: long, Region: control, City: "\xff", Country: "UK", Employees: -1, AnnualRevenue: bad, ShipTo: Site{City: long, Country: "de"}},
		Contact: Contact{Email: "a@b@c", Title: control}, Amount: bad, Description: strings.Repeat("x", MaxText+1), ExpectedCloseDate: day(t, "2027-02-26"),
		Products: []Product{{Quantity: -1, Amount: bad}}, Sites: []Site{{Street: control, Country: "XX"}}, Evidence: []Evidence{{Date: day(t, "2027-03-04")}, {Kind: "rumour", By: long}},
		Competing: []string{long}, Custom: map[string]string{"b": control, "a": control, "c": control, "d": control}}
	for _, c := range []struct {
		name     string
		validate func() FieldErrors
		want     string
	}{
		{"filing", func() FieldErrors { return f.Validate(noon) }, "partner_id type customer.name customer.domain customer.region customer.city customer.country customer.employees " +
			"customer.annual_revenue.currency customer.annual_revenue.value customer.ship_to.city customer.ship_to.country amount.currency amount.value contact.title description contact.email " +
			"expected_close_date products[0].sku products[0].quantity products[0].amount.currency products[0].amount.value sites[0].street sites[0].country evidence[0].kind evidence[0].date " +
			"evidence[1].kind evidence[1].by custom.a custom.b custom.c custom.d competing_offers[0]"},
		{"account", func() FieldErrors {
			return (&Account{Name: " ", City: control, Domain: control, Owner: control, Aliases: []string{control}, Country: "Mars", Status: "friend", Employees: -1, AnnualRevenue: "1e999999999"}).Validate()
		}, "id name domain city owner aliases[0] country status employees annual_revenue"},
		{"opportunity", func() FieldErrors {
			return (&Opportunity{ID: " o", Name: control, Stage: control, Status: "maybe", LedBy: "partner", Amount: bad, Lines: []string{control}}).Validate()
		}, "id account_id name stage status partner_id amount.currency amount.value lines[0]"},
		{"partner", func() FieldErrors {
			return (&Partner{ID: "p", Name: "", Tier: control, Domain: control, Type: "friend", Status: "asleep", Country: "UK", Countries: []string{"UK", "DE"}, DistributorID: "p", TrainedStaff: -1}).Validate()
		}, "name tier domain type status country countries trained_staff distributor_id"},
		{"person", func() FieldErrors {
			return (&Person{ID: "u", Name: control, Email: control, Roles: []string{"king"}, Queues: []string{control}, Manager: "u", Authority: bad}).Validate()
		}, "name email roles queues[0] authority.currency authority.value manager"},
		{"product", func() FieldErrors { return (&CatalogueProduct{Class: control}).Validate() }, "sku line class"},
		{"rate", func() FieldErrors { return (&Rate{From: "X", To: "", Rate: "1e999999999"}).Validate() }, "date from.currency to.currency rate"},
	} {
		var first FieldErrors
		for i := range 20 { // an order left to chance would differ within so many
			errs := c.validate()
			if got := strings.Join(fields(errs), " "); got != c.want {
				t.Fatalf("%s: errors for\n%s, want\n%s", c.name, got, c.want)
			}
			if i == 0 {
				first = errs
			} else if !slices.Equal(errs, first) {
				t.Fatalf("%s: the same input is told\n%v and\n%v", c.name, first, errs)
			}
		}
	}
	if (FieldErrors{}).Err() != nil || (FieldErrors{{Field: "a"}}).Err() == nil {
		t.Error("no errors are an error, or some are none")
	}
}

// TestCloseDate: a day is in the past only once it is over everywhere on earth.
func TestCloseDate(t *testing.T) {
	f := filled(t)
	f.ExpectedCloseDate = day(t, "2027-02-27")
	for at, ok := range map[time.Time]bool{time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC): true, time.Date(2027, 3, 1, 0, 0, 0, 1, time.UTC): false,
		time.Date(2007, 2, 27, 0, 0, 0, 0, time.UTC): true, time.Date(2007, 2, 26, 23, 59, 59, 0, time.UTC): false} {
		f.Evidence = nil
		if errs := f.Validate(at); (len(errs) == 0) != ok {
			t.Errorf("at %s: %v", at, errs)
		}
	}
}

func TestChange(t *testing.T) {
	c := &Change{}
	for _, k := range RecordKinds {
		r := NewRecord(k)
		if r == nil || r.Kind() != k {
			t.Fatalf("%s has no record of its own", k)
		}
		c.Put(r)
	}
	c.Deleted = []RecordRef{{Accounts, "acc-1"}}
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeChange(b)
	if err != nil || !reflect.DeepEqual(back, c) {
		t.Errorf("%s is read as %+v, %v", b, back, err)
	}
	n := map[RecordKind]int{}
	back.Records(func(r Record) { n[r.Kind()]++ })
	for _, k := range RecordKinds {
		if n[k] != 1 {
			t.Errorf("%d records of %s", n[k], k)
		}
	}
	if NewRecord("dreams") != nil {
		t.Error("a record of a kind there is not")
	}
	if _, err := DecodeChange([]byte("{")); err == nil {
		t.Error("half a change is read")
	}
}

// TestDecodeState: a change with something in every field is the same state however it is read, and a later field that is not would fail here.
func TestDecodeState(t *testing.T) {
	var full Change
	fill(t, reflect.ValueOf(&full).Elem(), "x")
	full.Registrations[0].Filing.Customer.Name = "Müller <& \u2028> \xff Söhne" // as Encode writes them
	for _, c := range []*Change{{}, &full} {
		b, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		want, err := DecodeChange(b)
		if err != nil {
			t.Fatal(err)
		}
		want.Decision, want.Move, want.Note, want.Webhooks, want.Events = nil, nil, nil, nil, nil
		if got, err := DecodeState(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %+v, %v", b, got, err)
		}
	}
	less := []byte(`{"keys":[{"id":"a","id":"b"}],"decision":{"id":"d"}}`)
	if got, err := DecodeState(less); err != nil || len(got.Keys) != 1 || got.Keys[0].ID != "b" {
		t.Errorf("what encoding/json reads is read as %+v, %v", got, err)
	}
	if _, err := DecodeState([]byte("{")); err == nil {
		t.Error("half a change is read")
	}
}

// TestEncodeParts: the registrations of a change are found in its bytes, whatever they hold.
func TestEncodeParts(t *testing.T) {
	var full Change
	fill(t, reflect.ValueOf(&full).Elem(), "x")
	odd := Registration{Filing: Filing{Type: `{"a":"\\"`, Customer: Customer{Name: `}]\"{ \`}, Custom: map[string]string{`}`: `\\"}`}}}
	for _, c := range []*Change{{}, &full, {Registrations: []Registration{odd, {}, odd}, Decision: &Decision{ID: "d"}}, {Registrations: []Registration{odd}}} {
		want, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		body, registrations, err := c.EncodeParts()
		if err != nil || string(body) != string(want) || len(registrations) != len(c.Registrations) {
			t.Fatalf("%s, %d registrations, %v\nwant %s", body, len(registrations), err, want)
		}
		for i, r := range c.Registrations {
			if want, err := json.Marshal(r); err != nil || string(registrations[i]) != string(want) {
				t.Errorf("registration %d is %s", i, registrations[i])
			}
		}
	}
}

// fill puts something into everything v has.
func fill(t *testing.T, v reflect.Value, text string) {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Date(2026, 11, 5, 9, 30, 15, 123456000, time.UTC)
		return
	case *Date:
		*x = Date{time.Date(2026, 11, 5, 0, 0, 0, 0, time.UTC)}
		return
	case *decimal.Decimal:
		*x = decimal.RequireFromString("1234.5")
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1 << 40)
	case reflect.Uint64, reflect.Uint8:
		v.SetUint(7)
	case reflect.Float64:
		v.SetFloat(0.998793)
	case reflect.Interface:
		v.Set(reflect.ValueOf([]any{"a", 1.5, true, nil, map[string]any{"b": "c"}}))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), text)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(t, v.Index(i), fmt.Sprintf("%s%d", text, i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		e := reflect.New(v.Type().Elem()).Elem()
		fill(t, e, text)
		k := reflect.New(v.Type().Key()).Elem()
		fill(t, k, text)
		v.SetMapIndex(k, e)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), strings.ToLower(v.Type().Field(i).Name))
		}
	default:
		t.Fatalf("nothing to put into a %s", v.Type())
	}
}

func TestRecords(t *testing.T) {
	a := Account{Domain: "a.com", Domains: []string{"b.com", "a.com", ""}}
	if got := a.AllDomains(); !slices.Equal(got, []string{"a.com", "b.com"}) {
		t.Errorf("domains %v", got)
	}
	p := Partner{Countries: []string{"DE", "AT"}, Lines: []string{"network"}}
	for _, c := range []struct {
		country string
		lines   []string
		want    bool
	}{{"DE", []string{"network"}, true}, {"DE", nil, true}, {"CH", nil, false}, {"", nil, false}, {"DE", []string{"network", "cloud"}, false}} {
		if got := p.SellsFor(c.country, c.lines); got != c.want {
			t.Errorf("sells %v in %q: %t", c.lines, c.country, got)
		}
	}
	if !(&Partner{}).SellsFor("CH", []string{"cloud"}) {
		t.Error("an agreement without limits has some")
	}
	o := Opportunity{LastActivityAt: day(t, "2027-02-20")}
	for at, want := range map[time.Time]int64{noon: 9, day(t, "2027-02-20").Time: 0, day(t, "2027-02-19").Time: 0, day(t, "2027-02-21").Add(-1): 0, day(t, "2027-02-21").Time: 1} {
		if got := o.LivelyAt(at); got != want {
			t.Errorf("idle for %d days at %s, want %d", got, at, want)
		}
	}
	if got := (&Opportunity{}).LivelyAt(noon); got != -1 {
		t.Errorf("no known activity is %d days ago", got)
	}
	for _, c := range []struct {
		touched, closed string
		want            int64
	}{{"", "", -1}, {"2027-02-20", "", 9}, {"", "2027-02-20", 9}, {"2027-02-20", "2027-02-25", 4}, {"2027-02-20", "2027-02-01", 9}, {"2027-02-20", "2027-06-30", 9},
		{"2027-06-30", "2027-02-25", 4}, {"2027-06-30", "2027-07-30", -1}, {"", "2027-06-30", -1}, {"2027-03-01", "", 0}} {
		var o Opportunity
		if c.touched != "" {
			o.LastActivityAt = day(t, c.touched)
		}
		if c.closed != "" {
			o.CloseDate = day(t, c.closed)
		}
		if got := o.ClosedDays(noon); got != c.want {
			t.Errorf("touched %q, closed %q: %d days ago, want %d", c.touched, c.closed, got, c.want)
		}
	}
	r := Rate{Date: day(t, "2027-03-01"), From: "USD", To: "EUR", Rate: "0.91"}
	if r.Key() != "2027-03-01_USD_EUR" {
		t.Errorf("key of a rate: %s", r.Key())
	}
}

func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	last := ""
	for i := range 1000 {
		id := NewID(RegistrationID)
		if seen[id] || !strings.HasPrefix(id, RegistrationID) || id != strings.ToLower(id) || len(id) != len(RegistrationID)+26 {
			t.Fatalf("id %s", id)
		}
		if seen[id] = true; id[:14] < last {
			t.Fatalf("id %d is dated before the one before it: %s, %s", i, id, last)
		}
		last = id[:14] // prefix and time
	}
}

// TestLists holds the closed lists to what they list.
func TestLists(t *testing.T) {
	for name, list := range map[string][]string{"statuses": texts(Statuses), "outcomes": texts(Outcomes), "dispositions": texts(Dispositions), "targets": texts(Targets), "conflicts": texts(ConflictKinds),
		"reasons": CoreReasons, "records": texts(RecordKinds)} {
		seen := map[string]bool{}
		for _, v := range list {
			if v == "" || seen[v] {
				t.Errorf("%s: %q twice, or empty", name, v)
			}
			seen[v] = true
		}
	}
	if a, b := (CustomerRef{AccountID: "x"}), (CustomerRef{ProspectID: "x"}); a.Key() == b.Key() {
		t.Error("an account and a prospect have one key")
	}
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = fmt.Sprint(v)
	}
	return out
}

func TestExtensionNeeds(t *testing.T) {
	old, fresh := day(t, "2027-02-20"), day(t, "2027-03-02")
	for _, c := range []struct {
		needs, reason string
		evidence      []Evidence
		lacks, judged string
	}{
		{"", "", nil, "", ""},
		{"request", "", nil, "", ""},
		{"reason", " ", nil, "reason", ""},
		{"reason", "slow", nil, "", ""},
		{"evidence", "", nil, "evidence", ""},
		{"evidence", "", []Evidence{{Kind: "quote"}}, "", ""},
		{"activity", "", []Evidence{{Kind: "quote"}, {Kind: "meeting", Date: old}}, "activity", ""},
		{"activity", "", []Evidence{{Kind: "quote", Date: fresh}}, "", ""},
		{"meeting, quote", "", []Evidence{{Kind: "meeting"}}, "quote", ""},
		{"activity, meeting", "", []Evidence{{Kind: "quote", Date: fresh}, {Kind: "meeting", Date: old}}, "meeting", ""},
		{"activity, meeting", "", []Evidence{{Kind: "meeting", Date: fresh}}, "", ""},
		{"activity, the vendor's consent", "", nil, "activity", "the vendor's consent"},
	} {
		e := ExtensionTerms{Needs: c.needs}
		lacks, judged := e.Lacks(c.reason, c.evidence, noon)
		if strings.Join(lacks, "|") != c.lacks || strings.Join(judged, "|") != c.judged {
			t.Errorf("%s: lacks %v, judged %v", c.needs, lacks, judged)
		}
	}
}

// Versions that were saved before their periods were written down tell the last one, and lose none from then on.
func TestDocumentPeriods(t *testing.T) {
	d := Document{Status: DocumentLive, EffectiveFrom: noon, PublishedBy: "key_1"}
	d.Cease(noon.Add(time.Hour))
	d.Await(noon.Add(2*time.Hour), "key_2")
	d.Begin(d.EffectiveFrom, d.PublishedBy)
	want := []Period{{noon, noon.Add(time.Hour), "key_1"}, {From: noon.Add(2 * time.Hour), PublishedBy: "key_2"}}
	if !slices.Equal(d.Periods, want) || d.Status != DocumentLive || !d.EffectiveTo.IsZero() {
		t.Errorf("%+v", d)
	}
	draft := Document{Status: DocumentDraft}
	if draft.Begin(noon, "key_1"); len(draft.Periods) != 1 {
		t.Errorf("%+v", draft)
	}
}

// TestIdentifiers: what a form says of who the customer is must be able to say it.
func TestIdentifiers(t *testing.T) {
	for value, want := range map[string]string{
		"domain=siemens-energy.com": "", "domain=https://www.müller.de/kontakt?x=1": "", "domain=shop.example.co.uk:8080": "", "domain=例え.テスト": "", "domain=someone@example.com": "",
		"domain=n/a": "customer.domain", "domain=none": "customer.domain", "domain=not known.com": "customer.domain", "domain=10.0.0.1": "customer.domain", "domain=a..b": "customer.domain",
		"domain=-": "customer.domain", "domain=gmbh": "customer.domain", "domain=co.uk": "customer.domain", "domain=https://COM.BR/": "customer.domain", "domain=公司.cn": "customer.domain",
		"domain=acme.gmbh": "", "website=https://gov.uk/about": "", "website=none": "customer.website", "website=http://example.com": "",
		"duns=31-606-7164": "", "duns=1606 7164": "", "duns=unknown": "customer.duns", "duns=1234567890": "customer.duns", "duns=3160671-A": "customer.duns",
		"lei=W38RGI023J3WT1HWRP32": "", "lei=w38rgi023j3wt1hwrp32": "", "lei=W38RGI023J3WT1HWRP33": "customer.lei", "lei=W38RGI023J3WT1HWRP": "customer.lei",
	} {
		field, text, _ := strings.Cut(value, "=")
		f := Filing{PartnerID: "P-1", Type: "new_business", Customer: Customer{Name: "Acme", Country: "DE"}}
		*map[string]*string{"domain": &f.Customer.Domain, "website": &f.Customer.Website, "duns": &f.Customer.DUNS, "lei": &f.Customer.LEI}[field] = text
		f.Normalise()
		var got []string
		for _, e := range f.Validate(time.Now()) {
			got = append(got, e.Field)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: errors for %v, want %q", value, got, want)
		}
	}
}

// A blank rival is none: nobody looks at a registration because of it.
func TestBlankCompeting(t *testing.T) {
	t.Parallel()
	f := Filing{Competing: []string{"  ", " Rival ", "", "\t"}}
	f.Normalise()
	if len(f.Competing) != 1 || f.Competing[0] != "Rival" {
		t.Errorf("%q", f.Competing)
	}
}

// TestDoubts: a domain has to be somebody's; a day on which somebody last acted may be planned, not years away; what begins later counts from then.
func TestDoubts(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	on := func(days int) Date { return Date{now.Truncate(24*time.Hour).AddDate(0, 0, days)} }
	for _, c := range []struct {
		rec           Record
		wrong, doubts string
	}{
		{&Account{LastContactAt: on(1)}, "", ""}, // already today in Auckland
		{&Account{LastContactAt: on(2)}, "", "last_contact_at"},
		{&Account{LastContactAt: on(400)}, "last_contact_at", ""},
		{&Opportunity{LastActivityAt: on(0), CloseDate: on(400)}, "", ""},
		{&Opportunity{LastActivityAt: on(30)}, "", "last_activity_at"},
		{&Opportunity{LastActivityAt: on(400)}, "last_activity_at", ""},
		{&Partner{AgreementSignedAt: on(0)}, "", ""},
		{&Partner{AgreementSignedAt: on(30)}, "", "agreement_signed_at"},
		{&Account{Domain: "acme.co.uk", Domains: []string{"oslo.kommune.no", "acme.com"}}, "", ""},
		{&Account{Domain: "https://CO.UK/", Domains: []string{"com.br"}}, "", "domaindomains"},
		{&Partner{Domain: "co.jp"}, "", "domain"},
		{&Rate{Date: on(0)}, "", ""},
		{&Rate{Date: on(30)}, "", "date"},
	} {
		fields := func(e FieldErrors) (out string) {
			for _, f := range e {
				out += f.Field
			}
			return out
		}
		if wrong, doubts := Doubts(c.rec, now); fields(wrong) != c.wrong || fields(doubts) != c.doubts {
			t.Errorf("%+v: wrong %v, doubts %v", c.rec, wrong, doubts)
		}
	}
	for rec, field := range map[Record]string{
		&Account{ID: "A-1", Name: "Acme", ParentID: "A-1"}:    "parent_id",
		&Rate{Date: on(0), From: "EUR", To: "EUR", Rate: "1"}: "to",
	} {
		if e := rec.Validate(); len(e) != 1 || e[0].Field != field {
			t.Errorf("%+v: %v, want %s", rec, e, field)
		}
	}
}

// TestPlacesOverseas: a region is of its country, and FR and GB number those of places that have a country code as well; of another country it is none.
// A country code that many write and that is none names the one that is meant.
func TestPlacesOverseas(t *testing.T) {
	for _, c := range []struct {
		country, region string
		ok              bool
	}{{"FR", "FR-75", true}, {"DE", "FR-75", false}, {"GP", "FR-971", true}, {"RE", "FR-RE", true}, {"JE", "GB-JSY", true}, {"IE", "GB-NIR", false}, {"PR", "US-PR", true}, {"DE", "Bayern", true}, {"", "FR-75", true}} {
		if got := regionOf(c.country, c.region); got != c.ok {
			t.Errorf("%s of %s: %v", c.region, c.country, got)
		}
	}
	for code, says := range map[string]string{"UK": "it is GB", "EL": "it is GR", "XX": "such as DE"} {
		f := Filing{Customer: Customer{Name: "A", Country: code}}
		if errs := f.Validate(time.Now()); !slices.ContainsFunc(errs, func(e FieldError) bool { return e.Field == "customer.country" && strings.Contains(e.Detail, says) }) {
			t.Errorf("%s: %v", code, errs)
		}
	}
}

// TestFoldLine: spellings of one line are one, and other words are others, as is what only ends otherwise or has a sign more.
func TestFoldLine(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"fire wall", "Fire-Wall", true}, {"fire wall", "fire\u2010wall", true}, {"fire wall", "fire__wall ", true}, {"network", "n\u0435tw\u043erk", true}, {"VM security", "\u0412\u041c security", false},
		{"BM security", "\u0412\u041c security", true}, {"SD-WAN", "ｓｄ wan", true}, {"network", "networks", false}, {"firewall", "fire wall", false}, {"Storage", "Storage+", false},
		{"\u0441\u0435\u0442\u044c", "cetb", false}, {"\u0440\u0430\u043a", "pak", false}, {"-", "", true},
	} {
		if got := FoldLine(c.a) == FoldLine(c.b); got != c.same {
			t.Errorf("%q and %q: %v", FoldLine(c.a), FoldLine(c.b), got)
		}
		if once := FoldLine(c.b); FoldLine(once) != once {
			t.Errorf("%q folds to %q, and that to %q", c.b, once, FoldLine(once))
		}
	}
}
