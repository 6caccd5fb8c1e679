package intake

import (
	"strings"
	"sync"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Exports write places out: a CRM without state and country picklists holds "Germany" and "California", which no
// territory knows. A name in one of these languages becomes its code; any other stays as it is, and validation says
// what is expected.
var placeLanguages = []language.Tag{language.English, language.German, language.French, language.Spanish,
	language.Italian, language.Dutch, language.Portuguese}

var countryNames = sync.OnceValue(func() map[string]string {
	out := map[string]string{
		"usa": "US", "unitedstatesofamerica": "US", "uk": "GB", "greatbritain": "GB", "england": "GB", "scotland": "GB",
		"wales": "GB", "northernireland": "GB", "korea": "KR", "republicofkorea": "KR", "holland": "NL", "thenetherlands": "NL",
		"czechrepublic": "CZ", "uae": "AE", "russianfederation": "RU", "türkiye": "TR", "viet nam": "VN",
	}
	for _, tag := range placeLanguages {
		namer := display.Regions(tag)
		for a := 'A'; a <= 'Z'; a++ {
			for b := 'A'; b <= 'Z'; b++ {
				code := string(a) + string(b)
				if !deal.IsCountry(code) {
					continue
				}
				if name := plain(namer.Name(language.MustParseRegion(code))); name != "" && out[name] == "" {
					out[name] = code
				}
			}
		}
	}
	return out
})

// country returns the ISO 3166-1 alpha-2 code of a country given by name, alpha-2 or alpha-3 code.
func country(s string) string {
	if s == "" {
		return ""
	}
	if len(s) == 2 {
		if up := strings.ToUpper(s); up != "UK" { // which everybody but ISO takes for the United Kingdom
			return up
		}
	}
	if code, ok := countryNames()[plain(s)]; ok {
		return code
	}
	if len(s) == 3 {
		if r, err := language.ParseRegion(s); err == nil && deal.IsCountry(r.String()) {
			return r.String()
		}
	}
	return s
}

// region returns the ISO 3166-2 code of a region given by code or, in the countries below, by name.
func region(country, s string) string {
	if s == "" {
		return ""
	}
	if code, ok := regionNames[country][plain(s)]; ok {
		return country + "-" + code
	}
	return deal.CanonicalRegion(country, s)
}

// regionNames are the regions people write out, of the countries whose territories are cut by them.
var regionNames = map[string]map[string]string{
	"US": {
		"alabama": "AL", "alaska": "AK", "arizona": "AZ", "arkansas": "AR", "california": "CA", "colorado": "CO", "connecticut": "CT",
		"delaware": "DE", "districtofcolumbia": "DC", "washingtondc": "DC", "florida": "FL", "georgia": "GA", "hawaii": "HI", "idaho": "ID",
		"illinois": "IL", "indiana": "IN", "iowa": "IA", "kansas": "KS", "kentucky": "KY", "louisiana": "LA", "maine": "ME", "maryland": "MD",
		"massachusetts": "MA", "michigan": "MI", "minnesota": "MN", "mississippi": "MS", "missouri": "MO", "montana": "MT", "nebraska": "NE",
		"nevada": "NV", "newhampshire": "NH", "newjersey": "NJ", "newmexico": "NM", "newyork": "NY", "northcarolina": "NC",
		"northdakota": "ND", "ohio": "OH", "oklahoma": "OK", "oregon": "OR", "pennsylvania": "PA", "puertorico": "PR", "rhodeisland": "RI",
		"southcarolina": "SC", "southdakota": "SD", "tennessee": "TN", "texas": "TX", "utah": "UT", "vermont": "VT", "virginia": "VA",
		"washington": "WA", "westvirginia": "WV", "wisconsin": "WI", "wyoming": "WY",
	},
	"CA": {
		"alberta": "AB", "britishcolumbia": "BC", "manitoba": "MB", "newbrunswick": "NB", "newfoundlandandlabrador": "NL", "novascotia": "NS",
		"northwestterritories": "NT", "nunavut": "NU", "ontario": "ON", "princeedwardisland": "PE", "quebec": "QC", "québec": "QC",
		"saskatchewan": "SK", "yukon": "YT",
	},
	"AU": {
		"australiancapitalterritory": "ACT", "newsouthwales": "NSW", "northernterritory": "NT", "queensland": "QLD", "southaustralia": "SA",
		"tasmania": "TAS", "victoria": "VIC", "westernaustralia": "WA",
	},
	"DE": {
		"badenwürttemberg": "BW", "bavaria": "BY", "bayern": "BY", "berlin": "BE", "brandenburg": "BB", "bremen": "HB", "hamburg": "HH",
		"hesse": "HE", "hessen": "HE", "mecklenburgvorpommern": "MV", "lowersaxony": "NI", "niedersachsen": "NI",
		"northrhinewestphalia": "NW", "nordrheinwestfalen": "NW", "rhinelandpalatinate": "RP", "rheinlandpfalz": "RP", "saarland": "SL",
		"saxony": "SN", "sachsen": "SN", "saxonyanhalt": "ST", "sachsenanhalt": "ST", "schleswigholstein": "SH", "thuringia": "TH", "thüringen": "TH",
	},
}
