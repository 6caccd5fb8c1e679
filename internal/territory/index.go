package territory

import (
	"maps"
	"math"
	"math/bits"
	"slices"
)

// bitmap holds one bit per box, in the order of precedence, and one bit per word of them that is not zero: an AND
// over the summaries skips what is empty anywhere, 64 words at a time.
type bitmap struct{ words, sum []uint64 }

func newWords(n int) []uint64 { return make([]uint64, (n+63)/64) }

func mark(words []uint64, i int)          { words[i>>6] |= 1 << (i & 63) }
func marked(words []uint64, i int32) bool { return words[i>>6]>>(i&63)&1 == 1 }

func erase(words []uint64, i int) { words[i>>6] &^= 1 << (i & 63) }

func seal(words []uint64) *bitmap {
	b := &bitmap{words: words, sum: newWords(len(words))}
	for i, w := range words {
		if w != 0 {
			mark(b.sum, i)
		}
	}
	return b
}

// setIndex answers for one dimension of names which boxes fit a value.
type setIndex struct {
	values  map[string]*bitmap
	other   *bitmap // a value no box mentions
	unknown *bitmap // no value: boxes that ask for nothing
}

func (d *setIndex) get(v string) *bitmap {
	if v == "" {
		return d.unknown
	}
	if b, ok := d.values[v]; ok {
		return b
	}
	return d.other
}

func buildSet(boxes []box, get func(*box) *set) *setIndex {
	other, unknown := newWords(len(boxes)), newWords(len(boxes))
	values := map[string][]uint64{}
	for i := range boxes {
		s := get(&boxes[i])
		if s.not {
			mark(other, i)
		}
		if s.any() {
			mark(unknown, i)
		}
		for _, v := range s.values {
			values[v] = nil
		}
	}
	for v := range values {
		values[v] = slices.Clone(other)
	}
	for i := range boxes {
		s := get(&boxes[i])
		for _, v := range s.values {
			if s.not {
				erase(values[v], i)
			} else {
				mark(values[v], i)
			}
		}
	}
	d := &setIndex{values: make(map[string]*bitmap, len(values)), other: seal(other), unknown: seal(unknown)}
	for v, w := range values {
		d.values[v] = seal(w)
	}
	return d
}

// prefixIndex answers for postal codes. The bitmap of a prefix holds for every code that begins with it and with no
// longer prefix of the plan.
type prefixIndex struct {
	prefixes map[string]*bitmap
	longest  int
	other    *bitmap
	unknown  *bitmap
}

func (d *prefixIndex) get(code string) *bitmap {
	var buf [maxPostal]byte
	n := postalInto(&buf, code)
	if n == 0 {
		return d.unknown
	}
	for k := min(n, d.longest); k > 0; k-- {
		if b, ok := d.prefixes[string(buf[:k])]; ok {
			return b
		}
	}
	return d.other
}

func buildPrefixes(boxes []box) *prefixIndex {
	n := len(boxes)
	other, unknown := newWords(n), newWords(n)
	in, out := map[string][]int{}, map[string][]int{}
	all := map[string]bool{}
	for i := range boxes {
		p := &boxes[i].postal
		if !p.asked {
			mark(other, i)
		}
		if p.any() {
			mark(unknown, i)
		}
		for _, x := range p.in {
			in[x] = append(in[x], i)
			all[x] = true
		}
		for _, x := range p.out {
			out[x] = append(out[x], i)
			all[x] = true
		}
	}
	d := &prefixIndex{prefixes: make(map[string]*bitmap, len(all)), other: seal(other), unknown: seal(unknown)}
	for p := range all { // what is ruled out is ruled out for longer codes, too
		w := slices.Clone(other)
		for k := 1; k <= len(p); k++ {
			for _, i := range in[p[:k]] {
				mark(w, i)
			}
		}
		for k := 1; k <= len(p); k++ {
			for _, i := range out[p[:k]] {
				erase(w, i)
			}
		}
		d.prefixes[p] = seal(w)
		d.longest = max(d.longest, len(p))
	}
	return d
}

// rangeIndex answers for numbers: between two neighbouring cuts the same boxes fit.
type rangeIndex struct {
	cuts    []int64
	between []*bitmap // between[i] holds for [cuts[i], cuts[i+1])
	unknown *bitmap
}

func (d *rangeIndex) at(v int64) *bitmap {
	i, found := slices.BinarySearch(d.cuts, v)
	if !found {
		i--
	}
	return d.between[max(i, 0)]
}

func buildRange(n int, get func(i int) span) *rangeIndex {
	cuts := map[int64][]int{math.MinInt64: nil} // cut → boxes that begin or end there
	unknown := newWords(n)
	for i := range n {
		s := get(i)
		cuts[s.lo] = append(cuts[s.lo], i)
		cuts[s.hi] = append(cuts[s.hi], i)
		if s.any() {
			mark(unknown, i)
		}
	}
	d := &rangeIndex{cuts: slices.Sorted(maps.Keys(cuts)), unknown: seal(unknown)}
	w := newWords(n)
	for _, c := range d.cuts {
		for _, i := range cuts[c] {
			if get(i).lo == c {
				mark(w, i)
			} else {
				erase(w, i)
			}
		}
		d.between = append(d.between, seal(slices.Clone(w)))
	}
	return d
}

// index finds the boxes of a customer.
type index struct {
	boxes  []box
	owner  []int32 // box → territory
	days   []span  // box → when its territory is in force, in Unix seconds
	first  []int32 // territory → its first box; one more at the end
	dims   struct{ country, region, industry, line *setIndex }
	postal *prefixIndex
	staff  *rangeIndex
	money  *rangeIndex // revenue
	day    *rangeIndex
	open   *bitmap            // boxes of territories that do not name their accounts
	all    *bitmap            // every box
	named  map[string][]int32 // account → boxes of territories that name it
	family map[string][]int32 // account → boxes of territories that name it and its subsidiaries
	barred map[string][]int32 // account → territories that exclude it
	kin    map[string][]int32 // account → territories that exclude it and its subsidiaries
}

func buildIndex(ts []Territory) *index {
	x := &index{named: map[string][]int32{}, family: map[string][]int32{}, barred: map[string][]int32{}, kin: map[string][]int32{}}
	for t := range ts {
		x.first = append(x.first, int32(len(x.boxes)))
		from, to := int64(math.MinInt64), int64(math.MaxInt64)
		if !ts[t].From.IsZero() {
			from = ts[t].From.Unix()
		}
		if !ts[t].To.IsZero() {
			to = ts[t].To.Unix()
		}
		for _, b := range ts[t].boxes {
			i := int32(len(x.boxes))
			x.boxes = append(x.boxes, b)
			x.owner = append(x.owner, int32(t))
			x.days = append(x.days, span{from, to})
			for _, a := range ts[t].named {
				x.named[a] = append(x.named[a], i)
				if ts[t].family {
					x.family[a] = append(x.family[a], i)
				}
			}
		}
		for _, a := range ts[t].barred {
			x.barred[a] = append(x.barred[a], int32(t))
			if ts[t].family {
				x.kin[a] = append(x.kin[a], int32(t))
			}
		}
	}
	x.first = append(x.first, int32(len(x.boxes)))
	x.dims.country = buildSet(x.boxes, func(b *box) *set { return &b.country })
	x.dims.region = buildSet(x.boxes, func(b *box) *set { return &b.region })
	x.dims.industry = buildSet(x.boxes, func(b *box) *set { return &b.industry })
	x.dims.line = buildSet(x.boxes, func(b *box) *set { return &b.line })
	x.postal = buildPrefixes(x.boxes)
	x.staff = buildRange(len(x.boxes), func(i int) span { return x.boxes[i].employees })
	x.money = buildRange(len(x.boxes), func(i int) span { return x.boxes[i].revenue })
	x.day = buildRange(len(x.boxes), func(i int) span { return x.days[i] })
	open, all := newWords(len(x.boxes)), newWords(len(x.boxes))
	for i, t := range x.owner {
		mark(all, i)
		if len(ts[t].named) == 0 {
			mark(open, i)
		}
	}
	x.open, x.all = seal(open), seal(all)
	return x
}

// query is a customer's bitmap in every dimension.
type query [9]*bitmap

// next returns the first box at or after from that is set in all of the query, or -1.
func (q *query) next(from int) int {
	n := len(q[0].words)
	at := from >> 6
	if at >= n {
		return -1
	}
	if w := q.word(at) >> (from & 63) << (from & 63); w != 0 {
		return at<<6 + bits.TrailingZeros64(w)
	}
	at++
	// Postal code and country leave the fewest candidates: most words are empty after these two of nine.
	postal, country := q[2].words[:n], q[0].words[:n]
	for s := at >> 6; s < len(q[0].sum); s++ {
		m := q[0].sum[s] & q[1].sum[s] & q[2].sum[s] & q[3].sum[s] & q[4].sum[s] & q[5].sum[s] & q[6].sum[s] & q[7].sum[s] & q[8].sum[s]
		if s == at>>6 {
			m = m >> (at & 63) << (at & 63)
		}
		for ; m != 0; m &= m - 1 {
			i := s<<6 + bits.TrailingZeros64(m)
			if i >= n || postal[i]&country[i] == 0 {
				continue
			}
			if w := q.word(i); w != 0 {
				return i<<6 + bits.TrailingZeros64(w)
			}
		}
	}
	return -1
}

// has reports whether box i is set in all of the query.
func (q *query) has(i int32) bool { return q.word(int(i>>6))>>(i&63)&1 == 1 }

func (q *query) word(i int) uint64 {
	return q[0].words[i] & q[1].words[i] & q[2].words[i] & q[3].words[i] & q[4].words[i] & q[5].words[i] & q[6].words[i] & q[7].words[i] & q[8].words[i]
}
