package match

import (
	"bytes"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Domain returns the registrable domain of a web address, host name or e-mail address, or nothing: the form in which
// domains are compared.
func Domain(s string) string { return siteDomain(s) }

// siteDomain returns the registrable domain of a web address, host name or e-mail domain: example.co.uk of
// https://www.shop.example.co.uk/about. It returns nothing for text without one, and for co.uk, which is nobody's.
func siteDomain(s string) string {
	if s == "" {
		return ""
	}
	if plainDomain(s) {
		return owned(s)
	}
	s = strings.ToLower(strings.TrimSpace(s))
	if i := strings.Index(s, "://"); i >= 0 {
		s = s[i+3:]
	}
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		s = s[:i]
	}
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = s[i+1:]
	}
	if i := strings.IndexByte(s, ':'); i >= 0 {
		s = s[:i]
	}
	s = strings.Trim(s, ". ")
	if s == "" || len(s) > 253 || !strings.Contains(s, ".") || strings.ContainsAny(s, " ,;") {
		return ""
	}
	if !isASCII(s) || strings.Contains(s, "xn--") {
		if a, err := idna.Lookup.ToASCII(s); err == nil {
			s = a
		}
	}
	if strings.IndexByte(s, '.') == strings.LastIndexByte(s, '.') {
		return owned(s) // nobody can register less
	}
	if d, err := publicsuffix.EffectiveTLDPlusOne(s); err == nil {
		return d
	}
	return owned(s)
}

// owned returns the domain, or nothing when it is one under which anybody can have a name.
func owned(domain string) string {
	if deal.PublicSuffix(domain) {
		return ""
	}
	return domain
}

// plainDomain reports small letters and digits around one dot: nobody can register less than that. "xn--" has hyphens.
func plainDomain(s string) bool {
	dot := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		case c == '.' && dot == 0 && i > 0:
			dot = i
		default:
			return false
		}
	}
	return dot > 0 && dot < len(s)-1 && len(s) <= 253
}

// domainStem returns the part of a registrable domain its owner chose, its letters and digits only.
func domainStem(d string) string {
	if i := strings.IndexByte(d, '.'); i > 0 {
		d = d[:i]
	}
	return strings.ReplaceAll(d, "-", "")
}

// alnum keeps the letters and digits of a code, in capitals: a tax id, DUNS, LEI or postal code.
func alnum(s string) string {
	clean := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z') {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for _, r := range strings.ToUpper(foldLetters(s)) {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Forms ask for numbers that people do not have, and get zeros, nines and n/a: what nobody was ever given says nothing.

// taxID returns a tax or company number as compared, or nothing when it cannot be one: fewer than five letters and digits, fewer
// than three digits, one digit over and over, or all of them in a row.
func taxID(s string) string {
	s = alnum(s)
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
	if len(s) < 5 || len(digits) < 3 || filler(digits) {
		return ""
	}
	return s
}

// duns returns the nine digits of a D-U-N-S number, with the zeros that spreadsheets drop, or nothing.
func duns(s string) string {
	s = alnum(s)
	if len(s) < 7 || len(s) > 9 || strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) >= 0 || filler(s) {
		return ""
	}
	return "000000000"[len(s):] + s
}

// lei returns a legal entity identifier, whose last two digits check the others (ISO 17442, by ISO 7064 MOD 97-10), or nothing.
func lei(s string) string {
	if s = alnum(s); !deal.IsLEI(s) {
		return ""
	}
	return s
}

// filler reports whether digits are one digit over and over, or count up or down.
func filler(digits string) bool {
	same, up, down := true, true, true
	for i := 1; i < len(digits); i++ {
		d := (int(digits[i]) - int(digits[i-1]) + 10) % 10
		same, up, down = same && d == 0, up && d == 1, down && d == 9
	}
	return same || len(digits) > 4 && (up || down)
}

// nobodys are domains that people write where they have none to give.
var nobodys = []string{"none.com", "na.com", "n.a", "noemail.com", "nomail.com", "noweb.com", "nowebsite.com", "nodomain.com",
	"unknown.com", "test.com", "null.com", "email.com", "domain.com", "website.com", "xxx.com", "abc.xyz"}

// own reports whether a registrable domain may be an organisation's own: it is none of free mail, and no filler.
func (m *Model) own(domain string) bool {
	return domain != "" && !m.mailHosts[domain]
}

// phoneDigits are as many of a telephone number as tell the country, the area and the line apart; phoneKey of them, the last, do not
// depend on how the country and trunk prefixes were written.
const phoneDigits, phoneKey = 13, 8

// phoneNumber returns the last digits of a telephone number, without the zeros before it, or nothing when there are fewer than seven.
func phoneNumber(s string) string {
	b := make([]byte, 0, 16)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			b = append(b, c)
		case c == 'x' || c == 'X':
			i = len(s) // an extension follows
		}
	}
	if len(b) < 7 || filler(phoneTail(string(b))) {
		return ""
	}
	b = bytes.TrimLeft(b[max(0, len(b)-phoneDigits):], "0")
	if len(b) < 7 {
		return ""
	}
	return string(b)
}

// phoneTail returns the end of a number by which it is looked up.
func phoneTail(number string) string { return number[max(0, len(number)-phoneKey):] }

// samePhone reports whether two numbers are one: equal, one the end of the other, or one with the zero that is dialled before an area
// within its country behind the country's code.
func samePhone(x, y string) bool {
	n := 0
	for n < len(x) && n < len(y) && x[len(x)-1-n] == y[len(y)-1-n] {
		n++
	}
	before, other := x[:len(x)-n], y[:len(y)-n]
	if before == "" || other == "" {
		return n >= phoneKey || len(before+other) == 0 || n == 7
	}
	return n >= phoneKey && strings.TrimRight(before, "0") == strings.TrimRight(other, "0")
}

// postal returns a postal code as compared; of a US ZIP+4 the ZIP.
func postal(s, country string) string {
	p := alnum(s)
	if len(p) == 9 && (country == "US" || country == "") && strings.IndexFunc(p, func(r rune) bool { return r > '9' }) < 0 {
		p = p[:5]
	}
	if len(p) > 12 {
		p = p[:12]
	}
	return p
}

// regionOf returns a region without the code of its country. It is compared in the form of Normalise.
func regionOf(s, country string) string {
	if len(s) > 3 && len(country) == 2 && s[2] == '-' && strings.EqualFold(s[:2], country) {
		return s[3:]
	}
	return s
}

// street returns a street as compared: the house number and the words without the kinds of street.
func street(s string) string {
	if s == "" {
		return ""
	}
	w := words(s)
	out := w[:0]
	for _, t := range w {
		if c, ok := streetKinds[t]; ok {
			t = c
		}
		if t != "" {
			out = append(out, t)
		}
	}
	return strings.Join(out, " ")
}

var streetKinds = map[string]string{"st": "", "street": "", "str": "", "strasse": "", "rd": "", "road": "", "ave": "", "avenue": "", "av": "", "blvd": "", "boulevard": "",
	"dr": "", "drive": "", "ln": "", "lane": "", "way": "", "pl": "", "place": "", "ct": "", "court": "", "rue": "", "via": "", "suite": "ste", "ste": "ste", "unit": "ste", "floor": "fl", "fl": "fl",
	"n": "north", "s": "south", "e": "east", "w": "west"}
