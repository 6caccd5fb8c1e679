package deal

import (
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
	return of == country || part == country || of == "FR" || of == "GB" // whose places overseas have codes of both kinds
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
