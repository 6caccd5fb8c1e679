package territory

import (
	"math"
	"slices"
	"strings"
)

// box is one part of a territory: what it asks for in every dimension. Exclusions are worked into boxes when a plan
// is compiled, so that a lookup never sees them.
type box struct {
	country, region, industry, line set
	postal                          prefixes
	employees, revenue              span
}

// everywhere is the box that asks for nothing.
var everywhere = box{country: anything, region: anything, industry: anything, line: anything, employees: span{0, math.MaxInt64}, revenue: span{0, math.MaxInt64}}

// set is the values asked for, or with not those ruled out.
type set struct {
	not    bool
	values []string
}

var anything = set{not: true}

func only(values []string) set { return set{values: values} }

// any reports whether the set asks for nothing: then an unknown value fits too.
func (s set) any() bool { return s.not && len(s.values) == 0 }

func (s set) has(v string) bool {
	if v == "" {
		return s.any()
	}
	return slices.Contains(s.values, v) != s.not
}

// without returns the set less some values, and whether anything is left.
func (s set) without(values []string) (set, bool) {
	if s.not {
		return set{not: true, values: union(s.values, values)}, true
	}
	left := slices.DeleteFunc(slices.Clone(s.values), func(v string) bool { return slices.Contains(values, v) })
	return only(left), len(left) > 0
}

func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// prefixes asks for postal codes that begin with one of in, when asked, and with none of out.
type prefixes struct {
	asked   bool
	in, out []string
}

func (p prefixes) any() bool { return !p.asked && len(p.out) == 0 }

func (p prefixes) has(code string) bool {
	if code == "" {
		return p.any()
	}
	begins := func(prefix string) bool { return strings.HasPrefix(code, prefix) }
	return (!p.asked || slices.ContainsFunc(p.in, begins)) && !slices.ContainsFunc(p.out, begins)
}

// maxPostal is the length of the longest postal code there is, with room to spare.
const maxPostal = 16

// postal brings a postal code to the form in which codes are compared: capitals and digits only, without the
// country some people write before it (D-80331).
func postal(s string) string {
	var buf [maxPostal]byte
	return string(buf[:postalInto(&buf, s)])
}

// postalInto is postal without allocating. What does not fit is cut: no plan has longer prefixes.
func postalInto(buf *[maxPostal]byte, s string) int {
	n := 0
	if i := strings.IndexByte(s, '-'); (i == 1 || i == 2) && i+1 < len(s) && s[0] > '9' && s[i-1] > '9' && s[i+1] <= '9' {
		s = s[i+1:]
	}
	for i := 0; i < len(s) && n < maxPostal; i++ {
		switch b := s[i]; {
		case b >= '0' && b <= '9' || b >= 'A' && b <= 'Z':
			buf[n] = b
			n++
		case b >= 'a' && b <= 'z':
			buf[n] = b - 'a' + 'A'
			n++
		}
	}
	return n
}

// span is a half-open range [lo, hi).
type span struct{ lo, hi int64 }

func (s span) any() bool { return s.lo <= 0 && s.hi == math.MaxInt64 }

func (s span) has(v int64) bool {
	if v < 0 {
		return s.any()
	}
	return s.lo <= v && v < s.hi
}

// minus takes an exclusion out of the boxes. A customer is excluded when it fits the exclusion in every dimension
// that asks for something, so it stays when it does not fit in one of them: each box becomes one box per dimension,
// in which that one does not fit. The boxes overlap on purpose. Disjoint ones would ask for more, and a customer of whom one
// field is unknown would fall between them although another field clears it.
func minus(boxes []box, ex *box) []box {
	var out []box
	for _, b := range boxes {
		cut := func(get func(*box) *set) {
			x := get(ex)
			if x.any() {
				return
			}
			n := b
			if left, ok := get(&b).without(x.values); ok {
				*get(&n) = left
				out = append(out, n)
			}
		}
		cut(func(b *box) *set { return &b.country })
		cut(func(b *box) *set { return &b.region })
		cut(func(b *box) *set { return &b.industry })
		cut(func(b *box) *set { return &b.line })
		if ex.postal.asked {
			n := b
			n.postal.out = union(b.postal.out, ex.postal.in)
			dead := func(in string) bool { // everything that begins with in is out
				return slices.ContainsFunc(n.postal.out, func(o string) bool { return strings.HasPrefix(in, o) })
			}
			if !n.postal.asked || !allOf(n.postal.in, dead) {
				out = append(out, n)
			}
		}
		for _, get := range []func(*box) *span{func(b *box) *span { return &b.employees }, func(b *box) *span { return &b.revenue }} {
			out = append(out, outside(b, get, *get(ex))...)
		}
	}
	return out
}

// outside returns the parts of b below and above the range an exclusion asks for.
func outside(b box, get func(*box) *span, ex span) (out []box) {
	if ex.any() {
		return nil
	}
	is := *get(&b)
	for _, s := range []span{{is.lo, min(is.hi, ex.lo)}, {max(is.lo, ex.hi), is.hi}} {
		if s.lo < s.hi {
			n := b
			*get(&n) = s
			out = append(out, n)
		}
	}
	return out
}

func allOf(list []string, f func(string) bool) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !f(s) })
}

// intersect returns the box of those in both. One that is empty has an empty list of values or an empty range.
func intersect(a, b *box) box {
	out := box{country: a.country.and(b.country), region: a.region.and(b.region), industry: a.industry.and(b.industry), line: a.line.and(b.line),
		employees: a.employees.and(b.employees), revenue: a.revenue.and(b.revenue), postal: prefixes{asked: a.postal.asked || b.postal.asked, out: union(a.postal.out, b.postal.out)}}
	for _, p := range [][2]*prefixes{{&a.postal, &b.postal}, {&b.postal, &a.postal}} {
		for _, v := range p[0].in {
			if !p[1].asked || slices.ContainsFunc(p[1].in, func(begin string) bool { return strings.HasPrefix(v, begin) }) {
				out.postal.in = append(out.postal.in, v)
			}
		}
	}
	return out
}

func (s set) and(o set) set {
	if s.not && o.not {
		return set{not: true, values: union(s.values, o.values)}
	}
	if s.not {
		s, o = o, s
	}
	return only(slices.DeleteFunc(slices.Clone(s.values), func(v string) bool { return !o.has(v) }))
}

func (s span) and(o span) span { return span{max(s.lo, o.lo), min(s.hi, o.hi)} }
