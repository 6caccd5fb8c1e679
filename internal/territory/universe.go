package territory

import "strings"

// universe is what a plan says there is, and what lies within what. An empty list leaves a dimension open: there are
// other values than the plan mentions.
type universe struct {
	countries, industries []string
	regions               map[string][]string      // country → its regions
	postal                map[string]*postalPlaces // country → its postal codes
	home                  map[string]string        // account → its country
	line, column          int                      // where the document says it
}

// postalPlaces is what is known of the postal codes of one country.
type postalPlaces struct {
	all     []string          // prefixes every code begins with one of; none: not known
	region  map[string]string // prefix → the region its codes lie in; a longer prefix is the more exact
	longest int               // prefix in region
}

// complete fills in what follows from what is known: the country from the region, whose code begins with it, and the
// region from the postal code, where the universe says where that lies. What is known stays as it is.
func (u *universe) complete(c *Customer) {
	if c.Country == "" && len(c.Region) > 3 && c.Region[2] == '-' {
		c.Country = c.Region[:2]
	}
	if c.Region == "" && len(u.postal) > 0 {
		c.Region = u.regionOf(c.Country, c.PostalCode)
	}
}

// regionOf returns the region a postal code is declared to lie in, or nothing.
func (u *universe) regionOf(country, code string) string {
	places := u.postal[country]
	if places == nil || code == "" {
		return ""
	}
	var buf [maxPostal]byte
	for k := min(postalInto(&buf, code), places.longest); k > 0; k-- {
		if r, ok := places.region[string(buf[:k])]; ok {
			return r
		}
	}
	return ""
}

// exists reports whether a country has postal codes that begin with a prefix and with no longer one the caller knows of.
func (p *postalPlaces) exists(prefix string) bool {
	if p == nil || len(p.all) == 0 {
		return true
	}
	for _, a := range p.all {
		if strings.HasPrefix(prefix, a) {
			return true
		}
	}
	return false
}
