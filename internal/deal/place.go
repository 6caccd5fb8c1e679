package deal

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

var (
	regionCode = regexp.MustCompile(`^[A-Z]{2}-[A-Z0-9]{1,3}$`)
	bareRegion = []string{"US", "CA", "AU"}

	// goneCountries are codes that were withdrawn and that the tables of language still call countries.
	goneCountries = []string{"AN", "CS", "SU", "YU"}
)

// IsCountry reports whether code is an ISO 3166-1 alpha-2 country code in capitals, of a country there still is: DD is none.
func IsCountry(code string) bool {
	if len(code) != 2 || strings.ToUpper(code) != code {
		return false
	}
	r, err := language.ParseRegion(code)
	return err == nil && r.IsCountry() && r.String() == code && r.Canonicalize() == r && !slices.Contains(goneCountries, code)
}

// regionOf reports whether a region may be of a country: a code may not that begins with another's, unless it is the country's own place in that one, as
// US-PR is Puerto Rico. Anything that is no code may be.
func regionOf(country, region string) bool {
	r := strings.ToUpper(strings.TrimSpace(region))
	if country == "" || !regionCode.MatchString(r) {
		return true
	}
	of, part := r[:2], r[3:]
	return of == country || part == country || slices.Contains(overseas[of], country)
}

// overseas are the places with a country code of their own that also have codes among the regions of another country that do not end with it, as
// FR-971 is Guadeloupe.
var overseas = map[string][]string{
	"FR": {"BL", "GF", "GP", "MF", "MQ", "NC", "PF", "PM", "RE", "TF", "WF", "YT"},
	"GB": {"AI", "BM", "FK", "GG", "GI", "IM", "IO", "JE", "KY", "MS", "PN", "SH", "TC", "VG"},
}

// NoCountry says that a code is none of a country, and which is meant where it is one that many take for it.
func NoCountry(code string) string {
	if is := map[string]string{"UK": "GB", "EL": "GR"}[strings.ToUpper(code)]; is != "" {
		return fmt.Sprintf("%q is not an ISO 3166-1 alpha-2 country code; it is %s", code, is)
	}
	return fmt.Sprintf("%q is not an ISO 3166-1 alpha-2 country code such as DE or US", code)
}

// CanonicalRegion returns a region as ISO 3166-2 (DE-BY). A bare code is accepted with US, CA and AU, whose people
// write it so; anything that is not a code (Bavaria) is kept as it is, and no territory will know it.
func CanonicalRegion(country, region string) string {
	r := strings.ToUpper(strings.TrimSpace(region))
	switch {
	case regionCode.MatchString(r):
		return r
	case slices.Contains(bareRegion, country) && len(r) >= 2 && len(r) <= 3 && regionCode.MatchString(country+"-"+r):
		return country + "-" + r
	}
	return strings.TrimSpace(region)
}
