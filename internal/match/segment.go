package match

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"sort"
	"strings"
	"sync"
	"unicode/utf8"
	"unsafe"
)

// segment holds records in flat arrays that never change: about seven allocations however many records there are, and
// no pointers for the garbage collector to follow.
type segment struct {
	blob []byte   // the records, one after another in the order of their ids; see encode
	off  []uint32 // where each record begins; one more than records
	sign []uint32 // of each record, see signOf

	text    []byte // the vocabulary, in byte order
	textOff []uint32
	weight  []float32
	letters []uint32 // of each word, see letters
	kind    []kind
	post    []uint32 // for each word the records that have it, rising
	postOff []uint32

	edits table // deletion neighbourhood: hash of a word with letters left out -> word
	keys  table // hash of a key -> record; see keysOf
}

// table maps 32-bit hashes to numbers: sorted, in buckets by the leading bits, so that large tables store only what
// the bucket does not say.
type table struct {
	shift uint
	start []uint32
	low16 []uint16 // the low half of the hash, when buckets know the high half
	low32 []uint32 // the whole hash, in small tables
	id    []uint32
}

// entry is a hash and, in its lower half, the number stored under it.
type entry uint64

func entryOf(hash, id uint32) entry { return entry(hash)<<32 | entry(id) }

func (e entry) hash() uint32 { return uint32(e >> 32) }

func (e entry) id() uint32 { return uint32(e) }

// newTable makes a table of entries in any order, and uses their memory up.
func newTable(pieces [][]entry) table {
	e := slices.Compact(sortEntries(pieces))
	// Buckets of a few, which are one line of memory, when they are enough to know the high half.
	bits := uint(2)
	for bits < 28 && (1<<bits < len(e)/16 || bits < 16 && 1<<bits < len(e)/4) {
		bits++
	}
	t := table{shift: 32 - bits, start: make([]uint32, 1<<bits+1), id: make([]uint32, len(e))}
	if bits >= 16 {
		t.low16 = make([]uint16, len(e))
	} else {
		t.low32 = make([]uint32, len(e))
	}
	for i, x := range e {
		t.start[x.hash()>>t.shift+1]++
		t.id[i] = x.id()
		if bits >= 16 {
			t.low16[i] = uint16(x.hash())
		} else {
			t.low32[i] = x.hash()
		}
	}
	for i := 1; i < len(t.start); i++ {
		t.start[i] += t.start[i-1]
	}
	return t
}

// sortEntries returns the entries of the pieces sorted by hash, and those of one hash by number. Many are first parted by the first digit
// of the hash into lots that the processor keeps beside it, and those by the next into a few each.
func sortEntries(pieces [][]entry) []entry {
	n := 0
	for _, l := range pieces {
		n += len(l)
	}
	if n < 1<<12 {
		e := slices.Concat(pieces...)
		slices.Sort(e)
		return e
	}
	lots, next := uint(8), uint(0)
	for lots < 11 && n>>lots > 1<<15 {
		lots++
	}
	for n>>lots>>next > 2 {
		next++
	}
	ends := make([]int, 1<<lots)
	for _, l := range pieces {
		for _, x := range l {
			ends[x>>(64-lots)]++
		}
	}
	at := make([]int, 1<<lots)
	most := 0
	for i, sum := 0, 0; i < len(ends); i++ {
		at[i] = sum
		most = max(most, ends[i])
		sum += ends[i]
		ends[i] = sum
	}
	e := make([]entry, n)
	for _, l := range pieces {
		for _, x := range l {
			d := x >> (64 - lots)
			e[at[d]] = x
			at[d]++
		}
	}
	lot, to := make([]entry, most), make([]uint32, 1<<next)
	for i, from := 0, 0; i < len(ends); from, i = ends[i], i+1 {
		lot, out := lot[:ends[i]-from], e[from:ends[i]]
		copy(lot, out)
		clear(to)
		for _, x := range lot {
			to[x<<lots>>(64-next)]++
		}
		sum := uint32(0)
		for d, k := range to {
			to[d] = sum
			sum += k
		}
		for _, x := range lot {
			d := x << lots >> (64 - next)
			out[to[d]] = x
			to[d]++
		}
		begin := uint32(0)
		for _, end := range to {
			few := out[begin:end]
			begin = end
			if len(few) > 16 {
				slices.Sort(few)
				continue
			}
			for i := 1; i < len(few); i++ {
				x, j := few[i], i
				for ; j > 0 && few[j-1] > x; j-- {
					few[j] = few[j-1]
				}
				few[j] = x
			}
		}
	}
	return e
}

// find returns the numbers stored under a hash, rising.
func (t *table) find(h uint32) []uint32 { return t.between(only(h)) }

// span is the hashes from one to another, both included.
type span struct{ from, to uint32 }

// only is the span of one hash.
func only(h uint32) span { return span{h, h} }

func (s span) has(h uint32) bool { return s.from <= h && h <= s.to }

// between returns the numbers stored under the hashes of a span: rising for each hash, and not for all together.
func (t *table) between(s span) []uint32 {
	if len(t.id) == 0 {
		return nil
	}
	lo, hi := t.start[s.from>>t.shift], t.start[s.from>>t.shift+1]
	for lo < hi && t.before(lo, s.from) {
		lo++
	}
	end := lo
	if last := s.to >> t.shift; last != s.from>>t.shift {
		end, hi = t.start[last], t.start[last+1]
	}
	for end < hi && !t.after(end, s.to) {
		end++
	}
	return t.id[lo:end]
}

// before reports whether the hash of an entry of h's bucket is smaller than h.
func (t *table) before(i, h uint32) bool {
	if t.low16 != nil {
		return t.low16[i] < uint16(h)
	}
	return t.low32[i] < h
}

// after reports whether it is larger.
func (t *table) after(i, h uint32) bool {
	if t.low16 != nil {
		return t.low16[i] > uint16(h)
	}
	return t.low32[i] > h
}

// The kinds of key a record is found by. Each is hashed with its text.
const (
	keySquash  = 's' // a name as one word; see nameKey
	keyPrefix  = 'p' // the first prefixLength bytes of it, which a cut field keeps
	keyAcronym = 'a'
	keyDoor    = 'o' // a postal code, and a letter; see doorKey
	keyDomain  = 'd'
	keyPhone   = 't'
	keyTax     = 'x'
	keyDUNS    = 'u'
	keyLEI     = 'l'
	keyPlace   = 'c'
)

const prefixLength = 12

// hashKey is FNV-1a with a finaliser, so that its leading bits spread.
func hashKey(kind byte, s string) uint32 {
	h := beginKey(kind)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return endKey(h)
}

func beginKey(kind byte) uint32 { return (2166136261 ^ uint32(kind)) * 16777619 }

func endKey(h uint32) uint32 {
	h ^= h >> 15
	h *= 0x85ebca6b
	h ^= h >> 13
	return h
}

// nameKey hashes a name written as one word. Those of long names that begin alike have all but wholeBits in common, so that one key
// of a record finds it by either.
func nameKey(squash string) uint32 {
	if len(squash) < prefixLength {
		return hashKey(keySquash, squash)
	}
	// prefixKey(squash).from | hashKey(keySquash, squash)&wholeMask, both at once
	p, h := beginKey(keyPrefix), beginKey(keySquash)
	for i := 0; i < prefixLength; i++ {
		c := uint32(squash[i])
		p, h = (p^c)*16777619, (h^c)*16777619
	}
	for i := prefixLength; i < len(squash); i++ {
		h = (h ^ uint32(squash[i])) * 16777619
	}
	return endKey(p)&^wholeMask | endKey(h)&wholeMask
}

// prefixKey is the span of the keys of names that begin as a long one does.
func prefixKey(squash string) span {
	h := hashKey(keyPrefix, squash[:prefixLength])
	return span{h &^ wholeMask, h | wholeMask}
}

const (
	wholeBits = 7 // that tell apart names that begin alike: one in 128 is taken for the same. Of ten million accounts one shares the other bits by chance
	wholeMask = 1<<wholeBits - 1
)

// doorKey hashes the postal code of a record with the first letter of one of its names: who has both is next door to the other.
func doorKey(postal string, n *name) uint32 {
	_, size := utf8.DecodeRuneInString(n.squash)
	return hashKey(keyDoor, postal) ^ hashKey(keyDoor, n.squash[:size])
}

// The sign of a record is what ranks it at first sight: the weight of its lightest name, in 1/64 nat and no more than fits, and tags
// of its region, city and postal code, 0 for none. Most records are looked at for these alone, so they lie side by side.
const (
	massBits, regionBits, cityBits, postalBits = 12, 4, 8, 8

	regionShift = massBits
	cityShift   = regionShift + regionBits
	postalShift = cityShift + cityBits

	massMask   = 1<<massBits - 1
	regionMask = (1<<regionBits - 1) << regionShift
	cityMask   = (1<<cityBits - 1) << cityShift
	postalMask = (1<<postalBits - 1) << postalShift
)

func signOf(q *Query) uint32 {
	tag := func(s string, shift, bits uint) uint32 {
		if s == "" {
			return 0
		}
		return (1 + hashKey(keyPlace, s)%(1<<bits-1)) << shift
	}
	return min(uint32(q.lightest()), massMask) | tag(q.region, regionShift, regionBits) | tag(q.city, cityShift, cityBits) | tag(q.postal, postalShift, postalBits)
}

func massOf(sign uint32) uint32 { return sign & massMask }

// isHere reports whether two signs are of one city or postal code.
func isHere(a, b uint32) bool {
	same := a ^ b
	return a&cityMask != 0 && same&cityMask == 0 || a&postalMask != 0 && same&postalMask == 0
}

// isNear reports whether two signs are of one region.
func isNear(a, b uint32) bool { return a&regionMask != 0 && (a^b)&regionMask == 0 }

// keysOf visits the keys of a prepared record besides its words.
func keysOf(q *Query, visit func(hash uint32)) {
	for i := range q.names {
		n := &q.names[i]
		// One word is found as a word too, but not when it is common and the words near it are rarer: those are read first.
		visit(nameKey(n.squash))
		if n.plain != n.squash {
			visit(nameKey(n.plain))
		}
		if q.postal != "" {
			visit(doorKey(q.postal, n))
		}
		if a := n.acronym(); a != "" {
			visit(hashKey(keyAcronym, a))
		}
		if a := n.articled(); a != "" {
			visit(hashKey(keyAcronym, a))
		}
	}
	for _, d := range q.domains {
		visit(hashKey(keyDomain, d))
	}
	for _, f := range []struct {
		kind byte
		text string
	}{{keyPhone, phoneTail(q.phone)}, {keyTax, q.tax}, {keyDUNS, q.duns}, {keyLEI, q.lei}} {
		if f.text != "" {
			visit(hashKey(f.kind, f.text))
		}
	}
}

// edited visits the hashes under which a word is found misspelt: its first seven bytes, and those with one byte left
// out, and for long words with two. Symmetric deletion: two words within the edit distance share one.
func edited(w string, visit func(hash uint32)) {
	switch {
	case len(w) < 3:
		return
	case len(w) == 3: // too short to be told from others by two letters; it may be one of four that lost one
		visit(hashKey(0, w))
		return
	}
	var b [8]byte
	p := w
	if len(p) > 7 {
		p = p[:7]
	}
	visit(hashKey(0, p))
	for i := range len(p) {
		if i > 0 && p[i] == p[i-1] {
			continue // leaving out either of two equal letters is the same
		}
		copy(b[:], p[:i])
		copy(b[i:], p[i+1:])
		visit(hashKey(0, unsafe.String(&b[0], len(p)-1)))
	}
}

func (s *segment) records() int { return len(s.off) - 1 }

func (s *segment) vocabulary() int { return len(s.weight) }

// wordText returns the text of a word. It shares the segment's memory.
func (s *segment) wordText(w uint32) string {
	lo, hi := s.textOff[w], s.textOff[w+1]
	return unsafe.String(unsafe.SliceData(s.text[lo:hi]), hi-lo)
}

// postings returns the records that have a word, rising.
func (s *segment) postings(w uint32) []uint32 { return s.post[s.postOff[w]:s.postOff[w+1]] }

// The fields a record may have, as bits of its header.
const (
	hasCountry = 1 << iota
	hasRegion
	hasCity
	hasPostal
	hasStreet
	hasPhone
	hasTax
	hasDUNS
	hasLEI
	hasParent
	hasDomains
	hasParents
	hasMailed // the domain is that of an e-mail address
)

func (q *Query) texts() [10]*string {
	return [...]*string{&q.country, &q.region, &q.city, &q.postal, &q.street, &q.phone, &q.tax, &q.duns, &q.lei, &q.parent}
}

// encode appends a record: header, id, main name as written, names as word numbers, then the fields it has. The numbers are left out, as
// the last word of a vocabulary decides on them: see splice.
func encode(b []byte, q *Query) []byte {
	str := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	list := func(l []string) {
		b = binary.AppendUvarint(b, uint64(len(l)))
		for _, s := range l {
			str(s)
		}
	}
	var has uint64
	for i, t := range q.texts() {
		if *t != "" {
			has |= 1 << i
		}
	}
	if len(q.domains) > 0 {
		has |= hasDomains
	}
	if len(q.parents) > 0 {
		has |= hasParents
	}
	if q.mailed {
		has |= hasMailed
	}
	b = binary.AppendUvarint(b, has)
	str(q.id)
	str(q.display)
	b = binary.AppendUvarint(b, uint64(len(q.names)))
	for i := range q.names {
		n := &q.names[i]
		head := uint64(n.role)<<3 | uint64(indicate(n.site != ""))<<2 | uint64(indicate(n.plain != n.squash))<<1 | uint64(indicate(n.cut))
		b = binary.AppendUvarint(b, head)
		b = binary.AppendUvarint(b, uint64(n.form))
		b = binary.AppendUvarint(b, uint64(len(n.words)))
		if n.plain != n.squash {
			str(n.plain)
		}
		if n.site != "" {
			str(n.site)
		}
	}
	for _, t := range q.texts() {
		if *t != "" {
			str(*t)
		}
	}
	if has&hasDomains != 0 {
		list(q.domains)
	}
	if has&hasParents != 0 {
		list(q.parents)
	}
	return b
}

// reader decodes records into one Query after another, reusing its memory. What it returns shares the segment's
// memory and is valid until the next call.
type reader struct {
	q     Query
	words []word
	arena []byte
}

// read decodes record r of s.
func (d *reader) read(s *segment, r uint32) *Query {
	b := s.blob[s.off[r]:s.off[r+1]]
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		b = b[n:]
		return v
	}
	str := func() string {
		n := next()
		t := unsafe.String(unsafe.SliceData(b), n)
		b = b[n:]
		return t
	}
	q := &d.q
	*q = Query{names: q.names[:0], domains: q.domains[:0], parents: q.parents[:0]}
	d.words, d.arena = d.words[:0], d.arena[:0]
	has := next()
	q.mailed = has&hasMailed != 0
	q.id = str()
	q.display = str()
	for range next() {
		head := next()
		n := name{role: role(head >> 3), cut: head&1 != 0, form: uint16(next())}
		count := int(next())
		from, letters := len(d.words), len(d.arena)
		for range count {
			w := uint32(next())
			t := s.wordText(w)
			d.words = append(d.words, word{text: t, weight: float64(s.weight[w]), kind: s.kind[w]})
			d.arena = append(d.arena, t...)
			n.mass += float64(s.weight[w])
		}
		n.words = d.words[from:len(d.words):len(d.words)]
		n.squash = unsafe.String(unsafe.SliceData(d.arena[letters:]), len(d.arena)-letters)
		n.plain = n.squash
		if head&2 != 0 {
			n.plain = str()
		}
		if head&4 != 0 {
			n.site = str()
		}
		q.names = append(q.names, n)
	}
	for i, t := range q.texts() {
		if has&(1<<i) != 0 {
			*t = str()
		}
	}
	if has&hasDomains != 0 {
		for range next() {
			q.domains = append(q.domains, str())
		}
	}
	if has&hasParents != 0 {
		for range next() {
			q.parents = append(q.parents, str())
		}
	}
	return q
}

// forget drops what would keep a merged segment alive.
func (d *reader) forget() {
	clear(d.words)
	clear(d.q.names)
	clear(d.q.domains)
	clear(d.q.parents)
	d.q = Query{names: d.q.names[:0], domains: d.q.domains[:0], parents: d.q.parents[:0]}
}

// id returns the id of record r, sharing the segment's memory.
func (s *segment) id(r uint32) string { return recordID(s.blob[s.off[r]:s.off[r+1]]) }

// find returns the records with an id, from..to: one as a rule, none, or several of which the last counts.
func (s *segment) find(id string) (from, to uint32) {
	n := s.records()
	from = uint32(sort.Search(n, func(r int) bool { return s.id(uint32(r)) >= id }))
	for to = from; to < uint32(n) && s.id(to) == id; to++ {
	}
	return from, to
}

// recordID returns the id of an encoded record, sharing its memory.
func recordID(b []byte) string {
	_, n := binary.Uvarint(b)
	b = b[n:]
	size, n := binary.Uvarint(b)
	return unsafe.String(unsafe.SliceData(b[n:]), size)
}

// own returns a copy of q that shares no memory with a segment.
func (q *Query) own() *Query {
	c := *q
	c.id, c.display = strings.Clone(q.id), strings.Clone(q.display)
	for _, t := range c.texts() {
		*t = strings.Clone(*t)
	}
	clones := func(l []string) []string {
		out := make([]string, len(l))
		for i, s := range l {
			out[i] = strings.Clone(s)
		}
		return out
	}
	c.domains, c.parents = clones(q.domains), clones(q.parents)
	c.names = slices.Clone(q.names)
	for i := range c.names {
		n := &c.names[i]
		n.words = slices.Clone(n.words)
		for j := range n.words {
			n.words[j].text = strings.Clone(n.words[j].text)
		}
		n.squash, n.plain, n.site = strings.Clone(n.squash), strings.Clone(n.plain), strings.Clone(n.site)
	}
	return &c
}

// builder collects prepared records for a segment.
type builder struct {
	known *lexicon // of the hints of words, and of the words without one; that of written words may have a canonical word twice
	blobs [][]byte // the records, in pieces that are filled one after the other
	at    pile[seat]
	words pile[uint32] // the hints of the words of the records, in their order
	keys  pile[entry]  // likewise
}

// seat is where a builder has a record and the first of its words, and its sign.
type seat struct{ blob, from, to, word, sign uint32 }

// blobSize is how much the pieces of a builder with many records hold.
const blobSize = 1 << 20

// pile is a list that grows without being copied.
type pile[T any] struct{ pieces [][]T }

const pileSize = 1 << 14

func (p *pile[T]) add(v T) {
	n := len(p.pieces)
	if n == 0 || len(p.pieces[n-1]) == pileSize {
		var piece []T
		if n > 0 { // the first is of who knows how few
			piece = make([]T, 0, pileSize)
		}
		p.pieces = append(p.pieces, piece)
		n++
	}
	p.pieces[n-1] = append(p.pieces[n-1], v)
}

func (p *pile[T]) at(i uint32) *T { return &p.pieces[i/pileSize][i%pileSize] }

func (p *pile[T]) len() int {
	n := len(p.pieces)
	if n == 0 {
		return 0
	}
	return (n-1)*pileSize + len(p.pieces[n-1])
}

func newBuilder() *builder { return &builder{known: openLexicon()} }

func (b *builder) add(q *Query) {
	r := uint32(b.at.len())
	last := len(b.blobs) - 1
	if last < 0 || len(b.blobs[last]) > blobSize-4096 {
		size := blobSize
		if r == 0 {
			size = 512
		}
		b.blobs = append(b.blobs, make([]byte, 0, size))
		last++
	}
	from := len(b.blobs[last])
	b.blobs[last] = encode(b.blobs[last], q)
	b.at.add(seat{uint32(last), uint32(from), uint32(len(b.blobs[last])), uint32(b.words.len()), signOf(q)})
	for i := range q.names {
		for j := range q.names[i].words {
			w := &q.names[i].words[j]
			hint := w.hint
			if hint == 0 {
				hint = b.known.enter(w)
			}
			b.words.add(hint)
		}
	}
	keysOf(q, func(h uint32) { b.keys.add(entryOf(h, r)) })
}

// massTag returns the weight of the main name in 1/64 nat.
func (q *Query) massTag() uint16 {
	if len(q.names) == 0 {
		return 0
	}
	return uint16(min(math.MaxUint16, q.names[0].mass*64))
}

// lightest returns the weight of the lightest of a record's names, in 1/64 nat: a query by that name has all of it in common with
// the record, whatever else the record is called. What stood in brackets is no name to go by.
func (q *Query) lightest() uint16 {
	least := q.massTag()
	for i := range q.names {
		if n := &q.names[i]; n.role != insideName {
			least = min(least, uint16(min(math.MaxUint16, n.mass*64)))
		}
	}
	return least
}

// record returns the encoded record r.
func (b *builder) record(r uint32) []byte {
	p := b.at.at(r)
	return b.blobs[p.blob][p.from:p.to]
}

// build lays the records out. The builder must not be used afterwards.
func (b *builder) build() *segment { return lay([]*builder{b}, []run{{0, uint32(b.at.len())}}) }

// run is so many records of a builder, from the one after its last run.
type run struct{ builder, records uint32 }

// source is a record of a builder.
type source struct{ builder, record uint32 }

// arrange returns the records of the runs in the order of their ids, those of one id as they came.
func arrange(builders []*builder, runs []run) []source {
	n := 0
	for _, b := range builders {
		n += b.at.len()
	}
	order := make([]source, 0, n)
	next := make([]uint32, len(builders))
	for _, u := range runs {
		for range u.records {
			order = append(order, source{u.builder, next[u.builder]})
			next[u.builder]++
		}
	}
	id := func(s source) string { return recordID(builders[s.builder].record(s.record)) }
	if slices.IsSortedFunc(order, func(x, y source) int { return strings.Compare(id(x), id(y)) }) {
		return order
	}
	// By what follows the beginning that all have in common, which is near, before the ids themselves, which are not.
	all := id(order[0])
	for _, s := range order {
		t := id(s)
		k := 0
		for k < len(all) && k < len(t) && all[k] == t[k] {
			k++
		}
		all = all[:k]
	}
	type begin struct {
		lead uint64
		at   uint32
	}
	begins := make([]begin, n)
	for i, s := range order {
		begins[i] = begin{leading8(id(s)[len(all):]), uint32(i)}
	}
	slices.SortFunc(begins, func(x, y begin) int {
		if x.lead != y.lead {
			return cmp.Compare(x.lead, y.lead)
		}
		return cmp.Or(strings.Compare(id(order[x.at]), id(order[y.at])), cmp.Compare(x.at, y.at))
	})
	sorted := make([]source, n)
	for i := range begins {
		sorted[i] = order[begins[i].at]
	}
	return sorted
}

// lay lays the records of builders out, which have one lexicon. The runs tell the order in which they came. The builders must not be used
// afterwards.
func lay(builders []*builder, runs []run) *segment {
	order := arrange(builders, runs)
	s := &segment{sign: make([]uint32, len(order)), off: make([]uint32, 1, len(order)+1)}
	var beside sync.WaitGroup // with many records the tables are made while these are written
	defer beside.Wait()
	beside.Go(func() {
		to := make([][]uint32, len(builders)) // of the records of each builder
		for i, b := range builders {
			to[i] = make([]uint32, b.at.len())
		}
		for r, from := range order {
			to[from.builder][from.record] = uint32(r)
		}
		var all [][]entry
		for i, b := range builders {
			for _, l := range b.keys.pieces {
				for k, x := range l {
					l[k] = entryOf(x.hash(), to[i][x.id()])
				}
			}
			all = append(all, b.keys.pieces...)
			b.keys.pieces = nil
		}
		s.keys = newTable(all)
	})
	known := builders[0].known
	uses := make([]uint32, known.count+1) // of each hint
	for _, b := range builders {
		for _, l := range b.words.pieces {
			for _, hint := range l {
				uses[hint]++
			}
		}
	}
	words, first := s.collect(known, uses)
	beside.Go(func() {
		var edits pile[entry]
		for w := range s.vocabulary() {
			if s.kind[w]&(pairOf|number) == 0 {
				edited(s.wordText(uint32(w)), func(h uint32) { edits.add(entryOf(h, uint32(w))) })
			}
		}
		s.edits = newTable(edits.pieces)
	})

	// Renumber the words of every record, and write it down with each of its words.
	size := 0
	for _, b := range builders {
		for _, l := range b.blobs {
			size += len(l)
		}
	}
	s.postOff = make([]uint32, s.vocabulary()+1)
	for i, n := range uses {
		if w := &words[i]; n > 0 {
			size += int(n) * uvarintSize(w.rank)
			s.postOff[w.rank+1] += n
		}
	}
	for w, i := range first {
		words[i].next = s.postOff[w]
		s.postOff[w+1] += s.postOff[w]
	}
	post := make([]uint32, s.postOff[len(first)])
	s.blob = make([]byte, 0, size)
	for r, from := range order {
		b := builders[from.builder]
		at := b.at.at(from.record)
		s.sign[r] = at.sign
		next := at.word
		s.blob = splice(s.blob, b.blobs[at.blob][at.from:at.to], func() uint32 {
			hint := *b.words.at(next)
			next++
			w := &words[hint]
			if w.as != hint {
				w = &words[w.as]
			}
			if w.last != uint32(r)+1 {
				post[w.next] = uint32(r)
				w.next, w.last = w.next+1, uint32(r)+1
			}
			return w.rank
		})
		s.off = append(s.off, uint32(len(s.blob)))
	}
	all := uint32(0) // without those of records that have a word twice
	for w, i := range first {
		from := s.postOff[w]
		s.postOff[w] = all
		all += uint32(copy(post[all:], post[from:words[i].next]))
	}
	s.postOff[len(first)] = all
	s.post = slices.Clone(post[:all])
	return s
}

// berth is where a word of a lexicon goes.
type berth struct {
	rank uint32 // its number in the vocabulary
	as   uint32 // the hint of the first word that is written as it is in the end: itself, as a rule. What follows is of that
	next uint32 // where its next posting goes
	last uint32 // the record of the last one, and one; 0: there is none
}

// uvarintSize returns how many bytes a number takes.
func uvarintSize(n uint32) int { return (bits.Len32(n|1) + 6) / 7 }

// collect lays the words of a lexicon that are used out as the vocabulary, in byte order. It returns where each hint went, and the first
// that went to each place.
func (s *segment) collect(x *lexicon, uses []uint32) (words []berth, first []uint32) {
	text := func(e entry) string { return x.at(e.id()).word.text }
	var begins pile[entry]
	most, size := 0, 0
	for i, n := range uses {
		if n > 0 {
			e := entryOf(0, uint32(i))
			t := text(e)
			begins.add(e | entry(leading8(t)>>32<<32))
			most, size = most+1, size+len(t)
		}
	}
	words, first = make([]berth, len(uses)), make([]uint32, 0, most)
	s.text, s.textOff = make([]byte, 0, size), make([]uint32, 1, most+1)
	s.weight, s.kind, s.letters = make([]float32, 0, most), make([]kind, 0, most), make([]uint32, 0, most)
	// By the first four bytes, and those of which these are the same by the rest.
	order := sortEntries(begins.pieces)
	type rest struct {
		lead uint64
		at   uint32
		word *word
	}
	var same []rest
	last := ""
	for len(order) > 0 {
		same = same[:0]
		lead := order[0].hash()
		for ; len(order) > 0 && order[0].hash() == lead; order = order[1:] {
			v := &x.at(order[0].id()).word
			same = append(same, rest{leading8(v.text[min(4, len(v.text)):]), order[0].id(), v})
		}
		slices.SortFunc(same, func(x, y rest) int {
			if x.lead != y.lead {
				return cmp.Compare(x.lead, y.lead)
			}
			return strings.Compare(x.word.text, y.word.text)
		})
		for _, k := range same {
			if v := k.word; v.text != last {
				last = v.text
				first = append(first, k.at)
				s.text = append(s.text, v.text...)
				s.textOff = append(s.textOff, uint32(len(s.text)))
				s.weight = append(s.weight, float32(v.weight))
				s.kind = append(s.kind, 0)
				s.letters = append(s.letters, letters(v.text))
			}
			w := len(first) - 1
			s.kind[w] |= k.word.kind // several may be written as one in the end
			words[k.at] = berth{rank: uint32(w), as: first[w]}
		}
	}
	if len(first) < most {
		s.text, s.textOff, s.weight, s.kind, s.letters = slices.Clone(s.text), slices.Clone(s.textOff), slices.Clone(s.weight), slices.Clone(s.kind), slices.Clone(s.letters)
	}
	return words, first
}

// splice copies an encoded record and puts the numbers of its words in.
func splice(out, b []byte, number func() uint32) []byte {
	i, from := 0, 0 // how much is read, and copied
	next := func() uint64 {
		if v := b[i]; v < 0x80 {
			i++
			return uint64(v)
		}
		v, n := binary.Uvarint(b[i:])
		i += n
		return v
	}
	skip := func() {
		n := int(next())
		i += n
	}
	next()
	skip()
	skip()
	for range next() {
		head := next()
		next()
		count := next()
		out = append(out, b[from:i]...)
		from = i
		for range count {
			out = binary.AppendUvarint(out, uint64(number()))
		}
		if head&2 != 0 {
			skip()
		}
		if head&4 != 0 {
			skip()
		}
	}
	return append(out, b[from:]...)
}

// eachWord visits the words of the names of record r.
func (s *segment) eachWord(r uint32, visit func(uint32)) {
	b := s.blob[s.off[r]:s.off[r+1]]
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		b = b[n:]
		return v
	}
	next()
	for range 2 { // the id and the main name as written
		n := next()
		b = b[n:]
	}
	for range next() {
		head := next()
		next()
		for range next() {
			visit(uint32(next()))
		}
		for _, has := range []bool{head&2 != 0, head&4 != 0} {
			if has {
				n := next()
				b = b[n:]
			}
		}
	}
}

// bytes returns the memory the segment's arrays hold.
func (s *segment) bytes() int {
	t := func(t *table) int { return 4*len(t.start) + 2*len(t.low16) + 4*len(t.low32) + 4*len(t.id) }
	return cap(s.blob) + 4*cap(s.off) + 4*cap(s.sign) + cap(s.text) + 4*cap(s.textOff) + 4*cap(s.weight) + cap(s.kind) + 4*cap(s.letters) +
		4*cap(s.post) + 4*cap(s.postOff) + t(&s.edits) + t(&s.keys)
}
