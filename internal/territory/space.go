package territory

import (
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// checker holds what the searches of one check share.
type checker struct {
	p        *Plan
	x        *index
	from, to int64 // the days looked at, in Unix seconds: [from, to)
	out      []Finding
	pairs    int // of territories that may be looked at for overlaps
	nodes    int // of one search
	found    map[tally]int

	countries, lines, industries []string            // what there is; the last is a value of no plan where the universe is open
	regions                      map[string][]string // country → likewise
	listed                       map[string]bool     // countries whose regions the universe lists
	barred                       []kin               // whom some territory excludes by name
	who                          map[kin][]uint64    // the boxes that can be somebody's
}

// kin is who a customer is to the accounts a plan names: the account itself, a subsidiary of it, or, when empty, nobody it names.
type kin struct {
	id    string
	child bool
}

// account is the customer's own account, or nothing for a subsidiary, which may be anywhere.
func (k kin) account() string {
	if k.child {
		return ""
	}
	return k.id
}

func (k kin) ids() (account string, ancestors []string) {
	if k.child {
		return "subsidiary-of-" + k.id, []string{k.id}
	}
	return k.id, nil
}

func newChecker(p *Plan, asOf time.Time) *checker {
	c := &checker{p: p, x: p.index, from: asOf.Unix(), to: math.MaxInt64, pairs: maxPairs, nodes: maxNodes, found: map[tally]int{}, regions: map[string][]string{}, listed: map[string]bool{}, who: map[kin][]uint64{}}
	if !p.to.IsZero() {
		c.to = p.to.Unix()
	}
	switch {
	case !p.from.IsZero() && (c.from < p.from.Unix() || c.from >= c.to):
		c.from = p.from.Unix()
	case c.from >= c.to:
		c.from = p.to.AddDate(-1, 0, 0).Unix()
	}
	c.who[kin{}] = c.x.open.words
	c.lines = openUnless(p.closed, p.lines, "other")
	c.industries = p.universe.industries
	if len(c.industries) == 0 {
		c.industries = openUnless(false, sorted(c.x.dims.industry.values), "other")
	}
	mentioned := map[string][]string{}
	for _, r := range sorted(c.x.dims.region.values) {
		mentioned[r[:2]] = append(mentioned[r[:2]], r)
	}
	if c.countries = p.universe.countries; len(c.countries) == 0 {
		all := maps.Clone(c.x.dims.country.values)
		for country := range mentioned {
			all[country] = nil
		}
		c.countries = sorted(all)
		if other := unmentioned(all); other != "" {
			c.countries = append(c.countries, other)
		}
	}
	for _, country := range c.countries {
		c.regions[country] = openUnless(len(p.universe.regions[country]) > 0, mentioned[country], country+"-ZZZ")
		if list := p.universe.regions[country]; len(list) > 0 {
			c.regions[country], c.listed[country] = list, true
		}
	}
	for _, id := range sorted(c.x.barred) {
		c.barred = append(c.barred, kin{id, false})
		if len(c.x.kin[id]) > 0 {
			c.barred = append(c.barred, kin{id, true})
		}
	}
	return c
}

// openUnless returns the values, with one more that is none of them unless there are no others.
func openUnless(closed bool, values []string, other string) []string {
	if closed {
		return values
	}
	for slices.Contains(values, other) {
		other += "-2"
	}
	return append(slices.Clip(values), other)
}

// unmentioned returns a country that is not in all.
func unmentioned(all map[string]*bitmap) string {
	for a := 'Z'; a >= 'A'; a-- {
		for b := 'A'; b <= 'Z'; b++ {
			if code := string(a) + string(b); deal.IsCountry(code) {
				if _, is := all[code]; !is {
					return code
				}
			}
		}
	}
	return ""
}

// over reports whether the days looked at are past territory t's.
func (c *checker) over(t int) bool {
	to := c.p.territories[t].To
	return !to.IsZero() && to.Unix() <= c.from
}

// tierEnd returns the first territory after t of another tier.
func (c *checker) tierEnd(t int) int {
	ts := c.p.territories
	end := t + 1
	for end < len(ts) && ts[end].tierNo == ts[t].tierNo {
		end++
	}
	return end
}

// bitsOf yields the bits set in [from, to).
func bitsOf(words []uint64, from, to int32) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		for at := from &^ 63; at < to; at += 64 {
			w := words[at>>6]
			if at < from {
				w = w >> (from & 63) << (from & 63)
			}
			for ; w != 0; w &= w - 1 {
				if i := at + int32(bits.TrailingZeros64(w)); i >= to || !yield(i) {
					return
				}
			}
		}
	}
}

func or(into, from []uint64) {
	for i, w := range from {
		into[i] |= w
	}
}

func and(into, from []uint64) {
	for i, w := range from {
		into[i] &= w
	}
}

func meet(a, b []uint64) bool {
	for i, w := range a {
		if w&b[i] != 0 {
			return true
		}
	}
	return false
}

// boxesOf returns the boxes that can be somebody's: those of territories that name the accounts they are for, or none,
// and do not exclude them.
func (c *checker) boxesOf(who kin) []uint64 {
	if w, ok := c.who[who]; ok {
		return w
	}
	w := slices.Clone(c.x.open.words)
	named, barred := c.x.named[who.id], c.x.barred[who.id]
	if who.child {
		named, barred = c.x.family[who.id], c.x.kin[who.id]
	}
	for _, i := range named {
		mark(w, int(i))
	}
	for _, t := range barred {
		for i := c.x.first[t]; i < c.x.first[t+1]; i++ {
			erase(w, int(i))
		}
	}
	c.who[who] = w
	return w
}

// accepting returns the boxes that can cover somebody in a country. An empty country is an unknown one. limit, when it is not
// nil, narrows them.
func (c *checker) accepting(country string, who kin, limit []uint64) (out []int32) {
	in, mine := c.x.dims.country.get(country).words, c.boxesOf(who)
	for w := range in {
		m := in[w] & mine[w]
		if limit != nil {
			m &= limit[w]
		}
		for ; m != 0; m &= m - 1 {
			i := int32(w<<6 + bits.TrailingZeros64(m))
			if d := c.x.days[i]; d.lo < c.to && d.hi > c.from {
				out = append(out, i)
			}
		}
	}
	return out
}

// meeting sets meets to the boxes that share a value with box i in every dimension, taken alone. dim is scratch.
func (c *checker) meeting(i int32, meets, dim []uint64) {
	copy(meets, c.x.all.words)
	b := &c.x.boxes[i]
	set := func(d *setIndex, s *set) {
		if s.any() {
			return
		}
		clear(dim)
		if s.not {
			or(dim, d.other.words)
			for v, has := range d.values {
				if !slices.Contains(s.values, v) {
					or(dim, has.words)
				}
			}
		}
		if !s.not {
			for _, v := range s.values {
				or(dim, d.get(v).words)
			}
		}
		and(meets, dim)
	}
	numbers := func(d *rangeIndex, s span) {
		if s.lo <= d.cuts[1] && s.hi == math.MaxInt64 {
			return
		}
		clear(dim)
		for k, cut := range d.cuts {
			if cut < s.hi && (k+1 == len(d.cuts) || d.cuts[k+1] > s.lo) {
				or(dim, d.between[k].words)
			}
		}
		and(meets, dim)
	}
	set(c.x.dims.country, &b.country)
	set(c.x.dims.region, &b.region)
	set(c.x.dims.industry, &b.industry)
	set(c.x.dims.line, &b.line)
	numbers(c.x.staff, b.employees)
	numbers(c.x.money, b.revenue)
	numbers(c.x.day, c.x.days[i])
	if b.postal.asked {
		clear(dim)
		or(dim, c.x.postal.other.words) // what excludes less than all of it
		for _, p := range b.postal.in {
			or(dim, c.x.postal.get(p).words)
			for q, has := range c.x.postal.prefixes {
				if strings.HasPrefix(q, p) {
					or(dim, has.words)
				}
			}
		}
		and(meets, dim)
	}
}

// The dimensions of a search, in its order: those that part the fewest territories first.
const (
	byLine = iota
	byEmployees
	byRevenue
	byDay
	byIndustry
	byRegion
	byPostal
	depth
)

// class is the values of one dimension that no candidate tells apart.
type class struct {
	bits   []uint64 // the candidates that accept them
	values []string
	spans  []span // of a dimension of numbers
	region string // of postal codes: where they are declared to lie
	tie    string // of regions: which such postal codes go with them; empty when all do
}

// space is everyone in one country who is one kind of kin, or the part of them a target covers, cut into classes.
type space struct {
	c       *checker
	country string
	who     kin
	ids     []int32 // the candidates: the boxes that may cover them
	levels  [depth][]class
	asked   [depth]bool         // somebody asks for something
	rest    [depth + 1][]uint64 // candidates that accept everything from a level on
	memo    [depth + 1]map[string]bool
	nodes   int
}

// target is what a search is narrowed to.
type target struct {
	box
	days span
}

var all = target{everywhere, span{math.MinInt64, math.MaxInt64}}

// space builds a search. With blank, customers of whom something is unknown are looked at, too.
func (c *checker) space(country string, who kin, ids []int32, in *target, blank bool) *space {
	if in == nil {
		in = &all
	}
	s := &space{c: c, country: country, who: who, ids: ids}
	set := func(level int, d *setIndex, values []string, want *set, unknown bool) {
		s.asked[level] = !want.any()
		var g grouping
		if unknown && want.any() {
			g.add(s, level, class{bits: s.project(d.unknown.words), values: []string{""}})
		}
		for _, v := range values {
			if want.has(v) {
				g.add(s, level, class{bits: s.project(d.get(v).words), values: []string{v}})
			}
		}
	}
	numbers := func(level int, d *rangeIndex, want span, lo int64, unknown bool) {
		s.asked[level] = level != byDay && !want.any()
		var g grouping
		if unknown && want.any() {
			g.add(s, level, class{bits: s.project(d.unknown.words), spans: []span{{-1, -1}}})
		}
		for k, cut := range d.cuts {
			x := span{max(cut, want.lo, lo), want.hi}
			if k+1 < len(d.cuts) {
				x.hi = min(x.hi, d.cuts[k+1])
			}
			if x.lo < x.hi {
				g.add(s, level, class{bits: s.project(d.between[k].words), spans: []span{x}})
			}
		}
	}
	set(byLine, c.x.dims.line, c.lines, &in.line, false)
	numbers(byEmployees, c.x.staff, in.employees, 0, blank)
	numbers(byRevenue, c.x.money, in.revenue, 0, blank)
	numbers(byDay, c.x.day, span{max(in.days.lo, c.from), min(in.days.hi, c.to)}, math.MinInt64, false)
	set(byIndustry, c.x.dims.industry, c.industries, &in.industry, blank)
	ties := s.postalCodes(in, blank)
	s.regions(in, blank, ties)
	s.finish()
	return s
}

// grouping collects the classes of one level, by what tells them apart.
type grouping map[string]int

func (g *grouping) add(s *space, level int, x class) {
	if *g == nil {
		*g = grouping{}
	}
	key := key(x.bits) + x.tie + "\x00" + x.region
	at, ok := (*g)[key]
	if !ok {
		(*g)[key] = len(s.levels[level])
		s.levels[level] = append(s.levels[level], x)
		return
	}
	same := &s.levels[level][at]
	same.values = append(same.values, x.values...)
	for _, n := range x.spans {
		if last := len(same.spans) - 1; same.spans[last].hi == n.lo {
			same.spans[last].hi = n.hi
		} else {
			same.spans = append(same.spans, n)
		}
	}
}

func key(w []uint64) string {
	b := make([]byte, 0, 8*len(w))
	for _, x := range w {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return string(b)
}

// project returns one bit per candidate from one bit per box.
func (s *space) project(words []uint64) []uint64 {
	out := newWords(len(s.ids))
	for j, i := range s.ids {
		out[j>>6] |= words[i>>6] >> (i & 63) & 1 << (j & 63)
	}
	return out
}

func (s *space) regions(in *target, blank bool, ties map[string]bool) {
	s.asked[byRegion] = !in.region.any()
	var g grouping
	tie := func(region string) string {
		switch {
		case len(ties) == 0:
			return ""
		case ties[region]:
			return region
		}
		return "elsewhere" // where no postal code is declared to lie
	}
	if in.region.any() && (blank || s.country == "") {
		g.add(s, byRegion, class{bits: s.project(s.c.x.dims.region.unknown.words), values: []string{""}, tie: tie("")})
	}
	for _, v := range s.c.regions[s.country] {
		if in.region.has(v) {
			g.add(s, byRegion, class{bits: s.project(s.c.x.dims.region.get(v).words), values: []string{v}, tie: tie(v)})
		}
	}
}

// lettered are the countries whose postal codes have letters: ten digits are not all that can follow there.
var lettered = strings.Fields("AD AI AR AZ BB BM BN CA FK GB GG GI GS IE IM IO JE JM KY LC MD MS MT NL PN SH SM SO SZ TC VA VC VG")

// postalCodes cuts the postal codes by the prefixes that are mentioned. It returns the regions that codes are declared
// to lie in, when that matters.
func (s *space) postalCodes(in *target, blank bool) (ties map[string]bool) {
	mentioned := map[string]bool{}
	add := func(p *prefixes) {
		for _, list := range [][]string{p.in, p.out} {
			for _, v := range list {
				mentioned[v] = true
			}
		}
	}
	add(&in.postal)
	for _, i := range s.ids {
		add(&s.c.x.boxes[i].postal)
	}
	var g grouping
	if s.asked[byPostal] = !in.postal.any(); len(mentioned) == 0 {
		g.add(s, byPostal, class{bits: s.project(s.c.x.all.words), values: []string{""}})
		return nil
	}
	places := s.c.p.universe.postal[s.country]
	if places != nil {
		for code, region := range places.region {
			if ties == nil {
				ties = map[string]bool{}
			}
			mentioned[code], ties[region] = true, true
		}
		for _, code := range places.all {
			mentioned[code] = true
		}
	}
	codes := sorted(mentioned)
	if blank && in.postal.any() {
		g.add(s, byPostal, class{bits: s.project(s.c.x.postal.unknown.words), values: []string{""}})
	}
	digits := s.country != "" && !slices.Contains(lettered, s.country)
	for _, p := range append([]string{""}, codes...) {
		fits := in.postal.has(p)
		if p == "" {
			fits = !in.postal.asked
		}
		if !fits || !places.exists(p) || digits && exhausted(p, codes) {
			continue
		}
		bits := s.c.x.postal.other.words
		if p != "" {
			bits = s.c.x.postal.get(p).words
		}
		g.add(s, byPostal, class{bits: s.project(bits), values: []string{example(p, codes)}, region: s.c.p.universe.regionOf(s.country, p)})
	}
	return ties
}

// exhausted reports whether every code of digits that begins with p begins with a longer one of codes, which are sorted.
func exhausted(p string, codes []string) bool {
	for d := byte('0'); d <= '9'; d++ {
		next := p + string(d)
		at, is := slices.BinarySearch(codes, next)
		if is {
			continue
		}
		if at == len(codes) || !strings.HasPrefix(codes[at], next) || !exhausted(next, codes) {
			return false
		}
	}
	return true
}

// example returns a postal code that begins with p and with no longer one of codes, which are sorted.
func example(p string, codes []string) string {
	for _, fill := range "1023456789Z" {
		code := p + strings.Repeat(string(fill), max(1, 5-len(p)))
		longer := func(q string) bool { return len(q) > len(p) && strings.HasPrefix(code, q) }
		if !slices.ContainsFunc(codes, longer) {
			return code
		}
	}
	return p
}

// goes reports whether postal codes can be a region's.
func goes(tie string, x *class) bool { return tie == "" || x.region == "" || x.region == tie }

// finish works out what is the same for every step of the search.
func (s *space) finish() {
	full := newWords(len(s.ids))
	for j := range s.ids {
		mark(full, j)
	}
	s.rest[depth] = full
	for l := depth - 1; l >= 0; l-- {
		s.rest[l] = slices.Clone(s.rest[l+1])
		for i := range s.levels[l] {
			and(s.rest[l], s.levels[l][i].bits)
			s.asked[l] = s.asked[l] || !slices.Equal(s.levels[l][i].bits, full)
		}
		s.memo[l] = map[string]bool{}
	}
}

func (s *space) spent() bool { return s.nodes > s.c.nodes }

// covered reports whether the candidates cover everything from a level on. It is a decision diagram: what is left of the
// candidates is all that matters of the way here.
func (s *space) covered(l int, left []uint64, tie string) bool {
	if meet(left, s.rest[l]) {
		return true
	}
	if l == depth {
		return false
	}
	k := key(left)
	if l == byPostal {
		k += tie
	}
	if v, ok := s.memo[l][k]; ok {
		return v
	}
	if s.nodes++; s.spent() {
		return true // and nobody believes it: spent says so
	}
	is := true
	next := make([]uint64, len(left))
	for i := range s.levels[l] {
		if x := &s.levels[l][i]; s.step(l, x, tie, left, next) && !s.covered(l+1, next, s.tie(l, x, tie)) {
			is = false
			break
		}
	}
	s.memo[l][k] = is
	return is
}

// step sets next to what is left of the candidates after a class, and reports whether there is anyone in it.
func (s *space) step(l int, x *class, tie string, left, next []uint64) bool {
	if l == byPostal && !goes(tie, x) {
		return false
	}
	for i, w := range left {
		next[i] = w & x.bits[i]
	}
	return true
}

func (s *space) tie(l int, x *class, tie string) string {
	if l == byRegion {
		return x.tie
	}
	return tie
}

// first returns a customer no candidate covers, or nil.
func (s *space) first() *Witness {
	if s.covered(0, s.rest[depth], "") || s.spent() {
		return nil
	}
	return s.from(0, s.rest[depth], "", [depth]*class{})
}

// from completes a way into what is not covered.
func (s *space) from(l int, left []uint64, tie string, way [depth]*class) *Witness {
	if l == depth {
		return s.witness(&way)
	}
	next := make([]uint64, len(left))
	for i := range s.levels[l] {
		x := &s.levels[l][i]
		if s.step(l, x, tie, left, next) && !s.covered(l+1, next, s.tie(l, x, tie)) {
			way[l] = x
			return s.from(l+1, next, s.tie(l, x, tie), way)
		}
	}
	return nil
}

// part is customers no candidate covers: any of the classes of each level, by their places; nil is all of a level.
type part struct {
	in      [depth][]int
	witness *Witness
}

const maxParts = 300 // of one space that are put together

// uncovered returns the customers no candidate covers, in few parts, and whether there are more.
func (s *space) uncovered() (parts []part, more bool) {
	var walk func(l int, left []uint64, tie string, way [depth]*class, in [depth][]int) bool
	walk = func(l int, left []uint64, tie string, way [depth]*class, in [depth][]int) bool {
		if !slices.ContainsFunc(left, func(w uint64) bool { return w != 0 }) { // nobody from here on
			if len(parts) == maxParts {
				return false
			}
			if w := s.from(l, left, tie, way); w != nil {
				parts = append(parts, part{in, w})
			}
			return true
		}
		for i := range s.levels[l] {
			x, next := &s.levels[l][i], make([]uint64, len(left))
			if !s.step(l, x, tie, left, next) || s.covered(l+1, next, s.tie(l, x, tie)) {
				continue
			}
			way[l], in[l] = x, []int{i}
			if !walk(l+1, next, s.tie(l, x, tie), way, in) {
				return false
			}
		}
		return true
	}
	if s.covered(0, s.rest[depth], "") || s.spent() {
		return nil, false
	}
	more = !walk(0, s.rest[depth], "", [depth]*class{}, [depth][]int{})
	for l := depth - 1; l >= 0; l-- {
		parts = s.merge(parts, l)
	}
	return parts, more
}

// merge puts together the parts that differ in one level only.
func (s *space) merge(parts []part, l int) (out []part) {
	at := map[string]int{}
	for _, p := range parts {
		other := p.in
		other[l] = nil
		k := fmt.Sprint(other, p.in[l] == nil)
		if i, ok := at[k]; ok && p.in[l] != nil {
			out[i].in[l] = append(out[i].in[l], p.in[l]...)
			continue
		}
		at[k] = len(out)
		p.in[l] = slices.Clone(p.in[l])
		out = append(out, p)
	}
	for i := range out {
		if len(out[i].in[l]) == len(s.levels[l]) {
			out[i].in[l] = nil
		}
	}
	return out
}

// describe says in words who is in a part.
func (s *space) describe(p part) string {
	text := []string{"country " + s.country}
	if s.who != (kin{}) {
		account := "account " + s.who.id
		if s.who.child {
			account = "a subsidiary of " + s.who.id
		}
		text = []string{account, text[0]}
	}
	for _, l := range []int{byRegion, byPostal, byIndustry, byEmployees, byRevenue, byLine, byDay} {
		if p.in[l] == nil || !s.asked[l] {
			continue
		}
		var values []string
		var spans []span
		for _, i := range p.in[l] {
			values = append(values, s.levels[l][i].values...)
			spans = append(spans, s.levels[l][i].spans...)
		}
		slices.SortFunc(spans, func(a, b span) int { return int(max(-1, min(1, a.lo-b.lo))) })
		for i := range spans {
			if i+1 < len(spans) && spans[i].hi == spans[i+1].lo {
				spans[i+1].lo = spans[i].lo
				continue
			}
			values = append(values, s.c.numbers(l, spans[i]))
		}
		if len(values) > 6 {
			values = append(values[:5:5], fmt.Sprintf("and %d more", len(values)-5))
		}
		text = append(text, names[l]+" "+strings.Join(values, ", "))
	}
	return strings.Join(text, "; ")
}

var names = [depth]string{"product line", "employees", "revenue", "days", "industry", "region", "postcodes like"}

// numbers says a range in words.
func (c *checker) numbers(l int, x span) string {
	switch {
	case l == byDay && x.hi == c.to:
		return "from " + c.day(x.lo) + " on"
	case l == byDay:
		return "from " + c.day(x.lo) + " until before " + c.day(x.hi)
	case x.hi == math.MaxInt64:
		return fmt.Sprintf("from %d on", x.lo)
	case x.hi == x.lo+1:
		return fmt.Sprint(x.lo)
	}
	return fmt.Sprintf("%d to %d", x.lo, x.hi-1)
}

// day writes an instant in the plan's zone, shorter when it is midnight.
func (c *checker) day(unix int64) string {
	t := time.Unix(unix, 0).In(c.p.zone)
	if t.Equal(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, c.p.zone)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

// witness is one customer on a way. What nobody asks for is left out.
func (s *space) witness(way *[depth]*class) *Witness {
	w := &Witness{Country: s.country, customer: Customer{Country: s.country, Employees: -1, Revenue: -1}}
	x := &w.customer
	x.AccountID, x.Ancestors = s.who.ids()
	if s.who.child {
		w.ParentID = s.who.id
	} else {
		w.AccountID = x.AccountID
	}
	number := func(l int, into *int64, show **int64) {
		if v := way[l].spans[0].lo; s.asked[l] && v >= 0 {
			*into, *show = v, &v
		}
	}
	text := func(l int, into, show *string) {
		if s.asked[l] {
			*into, *show = way[l].values[0], way[l].values[0]
		}
	}
	text(byRegion, &x.Region, &w.Region)
	text(byPostal, &x.PostalCode, &w.PostalCode)
	text(byIndustry, &x.Industry, &w.Industry)
	number(byEmployees, &x.Employees, &w.Employees)
	number(byRevenue, &x.Revenue, &w.Revenue)
	if s.asked[byLine] {
		w.Line = way[byLine].values[0]
		x.Lines = []string{w.Line}
	}
	day := way[byDay].spans[0].lo
	x.Day = time.Unix(day, 0).In(s.c.p.zone)
	if s.asked[byDay] || len(s.c.x.day.cuts) > 3 {
		w.Day = s.c.day(day)
	}
	return w
}

// meet returns a customer boxes i and j both cover, or nil.
func (c *checker) meet(i, j int32) *Witness {
	in := target{intersect(&c.x.boxes[i], &c.x.boxes[j]), span{max(c.x.days[i].lo, c.x.days[j].lo), min(c.x.days[i].hi, c.x.days[j].hi)}}
	for _, who := range append(c.kinOf(c.x.owner[i]), c.kinOf(c.x.owner[j])...) {
		if b := c.boxesOf(who); !marked(b, i) || !marked(b, j) {
			continue
		}
		for _, country := range c.countriesOf(&in.box, who, false) {
			if w := c.space(country, who, nil, &in, false).first(); w != nil {
				return w
			}
		}
	}
	return nil
}

// kinOf returns who a territory's customers can be: the accounts it names, or anyone and those others exclude.
func (c *checker) kinOf(t int32) (out []kin) {
	x := &c.p.territories[t]
	if len(x.named) == 0 {
		out = append([]kin{{}}, c.barred...)
	}
	for _, id := range x.named {
		out = append(out, kin{id, false})
		if x.family {
			out = append(out, kin{id, true})
		}
	}
	i := c.x.first[t]
	return slices.DeleteFunc(out, func(who kin) bool {
		return !marked(c.boxesOf(who), i)
	})
}

// countriesOf returns the countries a box's customers can be in, with blank the unknown one too.
func (c *checker) countriesOf(b *box, who kin, blank bool) (out []string) {
	if home := c.p.universe.home[who.account()]; home != "" {
		if b.country.has(home) {
			out = append(out, home)
		}
		return out
	}
	for _, country := range c.countries {
		in := func(region string) bool { return strings.HasPrefix(region, country) }
		if b.country.has(country) && (b.region.not || slices.ContainsFunc(b.region.values, in)) {
			out = append(out, country)
		}
	}
	if blank && b.country.any() && b.region.any() {
		out = append(out, "")
	}
	return out
}

// outcome says whether a territory can win: by whom it does, or one it covers and loses.
type outcome struct {
	won, lost *Witness
	spent     bool
}

// wins looks for a customer that territory t wins.
func (c *checker) wins(t int, blank bool) (out outcome) {
	earlier, dim := newWords(len(c.x.boxes)), newWords(len(c.x.boxes))
	boxes := make([][]uint64, 0, 4) // of earlier territories that meet each box of t
	for i := c.x.first[t]; i < c.x.first[t+1]; i++ {
		c.meeting(i, earlier, dim)
		e := slices.Clone(earlier)
		for k := c.x.first[t]; k < int32(len(c.x.boxes)); k++ {
			if k&63 == 0 {
				clear(e[k>>6:])
				break
			}
			erase(e, int(k))
		}
		boxes = append(boxes, e)
	}
	for _, who := range c.kinOf(int32(t)) {
		for n, e := range boxes {
			i := c.x.first[t] + int32(n)
			in := target{c.x.boxes[i], c.x.days[i]}
			for _, country := range c.countriesOf(&in.box, who, blank) {
				s := c.space(country, who, c.accepting(country, who, e), &in, blank)
				if w := s.first(); w != nil {
					return outcome{won: w}
				}
				out.spent = out.spent || s.spent()
				if out.lost == nil {
					out.lost = c.space(country, who, nil, &in, false).first()
				}
			}
		}
	}
	return out
}
