package book

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/dibs-deals/dibs/internal/deal"
)

// base is an immutable set of accounts.
type base struct {
	blob []byte   // the records, one after another; see encode
	off  []uint32 // where each record begins; one more than records

	slots []uint32 // open addressing by the hash of the id: record + 1, or 0; at least one is 0

	childHash []uint32 // for each record that names a parent the hash of the parent's id, rising
	childOf   []uint32 // and the record

	// Words that many records share, by their code. A base folded from another has the other's words first.
	words []string
	codes map[string]uint32 // of words; made when it is first needed, by the one who folds
}

var emptyBase = (&builder{base: &base{off: []uint32{0}}}).build()

func (b *base) records() int { return len(b.off) - 1 }

// hashID is FNV-1a with a finaliser, so that all bits spread. Snapshots depend on it.
func hashID(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	h ^= h >> 15
	h *= 0x85ebca6b
	h ^= h >> 13
	return h
}

// find returns the record with the id.
func (b *base) find(id string) (uint32, bool) {
	at, _ := bits.Mul32(hashID(id), uint32(len(b.slots)))
	for b.slots[at] != 0 {
		if r := b.slots[at] - 1; b.id(r) == id {
			return r, true
		}
		if at++; int(at) == len(b.slots) {
			at = 0
		}
	}
	return 0, false
}

// childrenOf visits the ids of the records that name the id as their parent.
func (b *base) childrenOf(id string, visit func(child string)) {
	h := hashID(id)
	i, _ := slices.BinarySearch(b.childHash, h)
	for ; i < len(b.childHash) && b.childHash[i] == h; i++ {
		if d := b.open(b.childOf[i]); d.parent == id {
			visit(strings.Clone(d.id))
		}
	}
}

// The parts of a record that are not always there. A set bit says that one is.
const (
	hasParent = 1 << iota
	hasCountry
	hasRegion
	hasCity
	hasPostal
	hasDomain
	hasIndustry // 6
	hasStatus
	hasOwner
	hasEmployees
	hasNamed
	hasAliases
	hasStreet
	hasPhone // 13
	hasWebsite
	hasRevenue
	hasTax
	hasDUNS
	hasLEI
	hasDomains
	hasContact // 20: days since 1970
	allParts   = 1<<iota - 1
)

// shared returns the fields whose values many accounts share, in the order in which they are kept.
func shared(a *deal.Account) [6]struct {
	bit  uint64
	text *string
} {
	return [...]struct {
		bit  uint64
		text *string
	}{{hasCountry, &a.Country}, {hasRegion, &a.Region}, {hasCity, &a.City}, {hasIndustry, &a.Industry}, {hasStatus, &a.Status}, {hasOwner, &a.Owner}}
}

// own returns the other fields of text.
func own(a *deal.Account) [8]struct {
	bit  uint64
	text *string
} {
	return [...]struct {
		bit  uint64
		text *string
	}{{hasPostal, &a.PostalCode}, {hasDomain, &a.Domain}, {hasStreet, &a.Street}, {hasPhone, &a.Phone}, {hasRevenue, &a.AnnualRevenue}, {hasTax, &a.TaxID}, {hasDUNS, &a.DUNS}, {hasLEI, &a.LEI}}
}

// sites are what stands before an account's domain in the address of its web site.
var sites = []string{"https://www.", "https://", "http://www.", "http://", "www.", ""}

// encode appends a record: what it has, id, parent, name, then the parts it has. Texts have their length before them,
// shared ones are codes.
func encode(b []byte, a *deal.Account, code func(string) uint32) []byte {
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
	given := func(bit uint64, is bool) {
		if is {
			has |= bit
		}
	}
	given(hasParent, a.ParentID != "")
	for _, f := range shared(a) {
		given(f.bit, *f.text != "")
	}
	for _, f := range own(a) {
		given(f.bit, *f.text != "")
	}
	given(hasEmployees, a.Employees != 0)
	given(hasNamed, a.Named)
	given(hasAliases, len(a.Aliases) > 0)
	given(hasDomains, len(a.Domains) > 0)
	given(hasWebsite, a.Website != "")
	given(hasContact, !a.LastContactAt.IsZero())
	b = binary.AppendUvarint(b, has)
	str(a.ID)
	if a.ParentID != "" {
		str(a.ParentID)
	}
	str(a.Name)
	for _, f := range shared(a) {
		if *f.text != "" {
			b = binary.AppendUvarint(b, uint64(code(*f.text)))
		}
	}
	for _, f := range own(a) {
		if *f.text != "" {
			str(*f.text)
		}
	}
	if a.Employees != 0 {
		b = binary.AppendVarint(b, a.Employees)
	}
	if len(a.Aliases) > 0 {
		list(a.Aliases)
	}
	if len(a.Domains) > 0 {
		list(a.Domains)
	}
	if a.Website != "" {
		i := slices.IndexFunc(sites, func(before string) bool { return a.Domain != "" && a.Website == before+a.Domain })
		b = append(b, byte(i+1))
		if i < 0 {
			str(a.Website)
		}
	}
	if !a.LastContactAt.IsZero() {
		b = binary.AppendVarint(b, a.LastContactAt.Unix()/secondsPerDay)
	}
	return b
}

const secondsPerDay = 24 * 60 * 60

// record reads an encoded record from its beginning. What it returns shares the memory of the bytes. Bytes that are no
// record make it bad; it never reads beyond them.
type record struct {
	has        uint64
	id, parent string
	rest       []byte
	bad        bool
}

func open(b []byte) record {
	d := record{rest: b}
	d.has = d.number()
	d.id = d.text()
	if d.has&hasParent != 0 {
		d.parent = d.text()
	}
	return d
}

func (d *record) number() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.bad, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *record) text() string {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.bad, d.rest = true, nil
		return ""
	}
	s := unsafe.String(unsafe.SliceData(d.rest), n)
	d.rest = d.rest[n:]
	return s
}

func (d *record) list() []string {
	n := d.number()
	if n > uint64(len(d.rest)) { // each takes a byte at least
		d.bad, d.rest = true, nil
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = d.text()
	}
	return out
}

// account reads what is left into a; words are the texts of the codes.
func (d *record) account(a *deal.Account, words []string) {
	a.ID, a.ParentID = d.id, d.parent
	a.Name = d.text()
	for _, f := range shared(a) {
		if d.has&f.bit != 0 {
			if i := d.number(); i < uint64(len(words)) {
				*f.text = words[i]
			} else {
				d.bad = true
			}
		}
	}
	for _, f := range own(a) {
		if d.has&f.bit != 0 {
			*f.text = d.text()
		}
	}
	if d.has&hasEmployees != 0 {
		v, n := binary.Varint(d.rest)
		if n <= 0 {
			d.bad, d.rest = true, nil
			return
		}
		a.Employees, d.rest = v, d.rest[n:]
	}
	a.Named = d.has&hasNamed != 0
	if d.has&hasAliases != 0 {
		a.Aliases = d.list()
	}
	if d.has&hasDomains != 0 {
		a.Domains = d.list()
	}
	if d.has&hasWebsite != 0 {
		switch i := d.number(); {
		case i == 0:
			a.Website = d.text()
		case i <= uint64(len(sites)):
			a.Website = sites[i-1] + a.Domain
		default:
			d.bad = true
		}
	}
	if d.has&hasContact != 0 {
		v, n := binary.Varint(d.rest)
		if n <= 0 {
			d.bad, d.rest = true, nil
			return
		}
		a.LastContactAt, d.rest = deal.Date{Time: time.Unix(v*secondsPerDay, 0).UTC()}, d.rest[n:]
	}
	d.bad = d.bad || len(d.rest) > 0 || d.has&^allParts != 0
}

func (b *base) open(r uint32) record { return open(b.blob[b.off[r]:b.off[r+1]]) }

// id returns the id of a record, sharing the base's memory.
func (b *base) id(r uint32) string {
	d := record{rest: b.blob[b.off[r]:b.off[r+1]]}
	d.number()
	return d.text()
}

// decode returns a record as an account of its own: it shares memory with its own texts and with words only, which live on
// from base to base.
func (b *base) decode(r uint32) *deal.Account {
	d := open(slices.Clone(b.blob[b.off[r]:b.off[r+1]]))
	a := new(deal.Account)
	d.account(a, b.words)
	return a
}

// apart returns the same base for another to fold: who folds b adds to its words, perhaps at this moment.
func (b *base) apart() *base {
	c := *b
	c.words, c.codes = c.words[:len(c.words):len(c.words)], nil
	return &c
}

func (b *base) bytes() int {
	n := cap(b.blob) + 4*(cap(b.off)+cap(b.slots)+cap(b.childHash)+cap(b.childOf))
	for _, w := range b.words {
		n += len(w) + int(unsafe.Sizeof(w))
	}
	return n
}

// builder makes a base.
type builder struct {
	*base
	kids []kid
}

type kid struct{ hash, record uint32 }

// maxBlob is how much a base can hold: places in it are 32-bit numbers. Tests lower it.
var maxBlob uint64 = math.MaxUint32

// add appends an account, and reports whether it has room.
func (b *builder) add(a *deal.Account) bool {
	if uint64(len(b.blob)) > maxBlob { // an account that did not fit is there
		return false
	}
	b.blob = encode(b.blob, a, b.code)
	if uint64(len(b.blob)) > maxBlob {
		return false
	}
	if a.ParentID != "" {
		b.kids = append(b.kids, kid{hashID(a.ParentID), uint32(b.records())})
	}
	b.off = append(b.off, uint32(len(b.blob)))
	return true
}

func (b *builder) code(s string) uint32 {
	if b.codes == nil {
		b.codes = make(map[string]uint32, len(b.words))
		for i, w := range b.words {
			b.codes[w] = uint32(i)
		}
	}
	i, ok := b.codes[s]
	if !ok {
		i = uint32(len(b.words))
		s = strings.Clone(s)
		b.words = append(b.words, s)
		b.codes[s] = i
	}
	return i
}

// build finishes the base. Of records with one id the last stays.
func (b *builder) build() *base {
	out := b.base
	n := out.records()
	out.slots = make([]uint32, n+n/4+2)
	var repeated map[uint32]bool
	for r := range uint32(n) {
		id := out.id(r)
		at, _ := bits.Mul32(hashID(id), uint32(len(out.slots)))
		for out.slots[at] != 0 {
			if old := out.slots[at] - 1; out.id(old) == id {
				if repeated == nil {
					repeated = map[uint32]bool{}
				}
				repeated[old] = true
				break
			}
			if at++; int(at) == len(out.slots) {
				at = 0
			}
		}
		out.slots[at] = r + 1
	}
	if repeated != nil {
		again := &builder{base: &base{off: []uint32{0}, words: out.words, codes: out.codes}}
		again.keep(out, b.kids, func(r uint32) bool { return !repeated[r] })
		return again.build()
	}
	slices.SortFunc(b.kids, func(x, y kid) int {
		if x.hash != y.hash {
			if x.hash < y.hash {
				return -1
			}
			return 1
		}
		return int(x.record) - int(y.record)
	})
	out.childHash, out.childOf = make([]uint32, len(b.kids)), make([]uint32, len(b.kids))
	for i, k := range b.kids {
		out.childHash[i], out.childOf[i] = k.hash, k.record
	}
	out.blob, out.off = slices.Clone(out.blob[:out.off[n]]), slices.Clip(out.off)
	b.kids = nil
	return out
}

// keep appends the records of from that stay; kids are those of from.
func (b *builder) keep(from *base, kids []kid, stays func(uint32) bool) {
	now := make([]uint32, from.records())
	for r := range uint32(from.records()) {
		if !stays(r) {
			now[r] = math.MaxUint32
			continue
		}
		now[r] = uint32(b.records())
		b.blob = append(b.blob, from.blob[from.off[r]:from.off[r+1]]...)
		b.off = append(b.off, uint32(len(b.blob)))
	}
	for _, k := range kids {
		if now[k.record] != math.MaxUint32 {
			b.kids = append(b.kids, kid{k.hash, now[k.record]})
		}
	}
}

// fold returns old with layers of changes applied, older layers first, or nil when that has no room. It alone adds words
// to those of old.
func fold(old *base, layers ...map[string]*deal.Account) *base {
	extra := 0
	for _, l := range layers {
		extra += len(l)
	}
	b := &builder{base: &base{
		blob: make([]byte, 0, len(old.blob)+128*extra), off: append(make([]uint32, 0, len(old.off)+extra), 0), words: old.words, codes: old.codes}}
	kids := make([]kid, len(old.childOf))
	for i := range kids {
		kids[i] = kid{old.childHash[i], old.childOf[i]}
	}
	b.keep(old, kids, func(r uint32) bool {
		id := old.id(r)
		for _, l := range layers {
			if _, changed := l[id]; changed {
				return false
			}
		}
		return true
	})
	for i, l := range layers {
		for id, a := range l {
			if a == nil || slices.ContainsFunc(layers[i+1:], func(newer map[string]*deal.Account) bool { _, is := newer[id]; return is }) {
				continue
			}
			if !b.add(a) {
				return nil
			}
		}
	}
	return b.build()
}

// Builder collects accounts into a book.
type Builder struct {
	b    builder
	rest []*deal.Account // what the base has no room for
}

// NewBuilder returns an empty builder.
func NewBuilder() *Builder { return &Builder{b: builder{base: &base{off: []uint32{0}}}} }

// Add adds an account. Of several with one id the last counts.
func (b *Builder) Add(a *deal.Account) {
	if !b.b.add(a) {
		b.rest = append(b.rest, a)
	}
}

// Book returns the book of the accounts added. The builder must not be used afterwards.
func (b *Builder) Book() *Book {
	out := of(b.b.build())
	for _, a := range b.rest {
		out.Put(a)
	}
	return out
}
