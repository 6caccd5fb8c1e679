package match

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/dibs-deals/dibs/internal/flat"
)

// SnapshotVersion is that of the layout of a snapshot of an index. Whoever changes segment, the encoding of a record or
// the hash of a key raises it. The model has a reference of its own: an index holds weights of the model it was built with.
const SnapshotVersion = 7

// column is one array of a segment.
type column struct {
	save func() []byte
	load func([]byte) error
}

func columnOf[T flat.Number](v *[]T) column {
	return column{
		save: func() []byte { return flat.Bytes(*v) },
		load: func(b []byte) (err error) { *v, err = flat.Of[T](b); return err },
	}
}

// columns returns every array of the segment, in the order of a snapshot.
func (s *segment) columns() []column {
	out := []column{columnOf(&s.blob), columnOf(&s.off), columnOf(&s.sign), columnOf(&s.text), columnOf(&s.textOff), columnOf(&s.weight),
		columnOf(&s.kind), columnOf(&s.letters), columnOf(&s.post), columnOf(&s.postOff)}
	for _, t := range []*table{&s.edits, &s.keys} {
		out = append(out, columnOf(&t.start), columnOf(&t.low16), columnOf(&t.low32), columnOf(&t.id))
	}
	return out
}

// partSections is how many sections a part is: the shifts of its tables, its columns, and its dead.
var partSections = 1 + len(new(segment).columns()) + 1

// Picture is an index as it was at one moment.
type Picture struct{ parts []*part }

// Picture takes a picture of the index. It copies a bit for each record.
func (x *Index) Picture() Picture {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var p Picture
	for _, o := range x.parts {
		p.parts = append(p.parts, &part{segment: o.segment, dead: slices.Clone(o.dead), deaths: o.deaths})
	}
	return p
}

// Sections returns the picture as arrays of little-endian numbers and of bytes. They share the index's memory and must
// not be changed. What was added lately is laid out together first, so that there are few.
func (p Picture) Sections() [][]byte {
	parts := p.parts
	if len(parts) > 2 {
		largest := slices.MaxFunc(parts, func(a, b *part) int { return a.records() - b.records() })
		var rest []*part
		for _, o := range parts {
			if o != largest {
				rest = append(rest, o)
			}
		}
		parts = []*part{largest, merge(rest...)}
	}
	var out [][]byte
	for _, o := range parts {
		out = append(out, []byte{byte(o.edits.shift), byte(o.keys.shift)})
		for _, c := range o.columns() {
			out = append(out, c.save())
		}
		out = append(out, flat.Bytes(o.dead))
	}
	return out
}

// OpenIndex returns the index that Sections gave. It keeps the memory of the sections. Sections that are no index are an
// error; they are checked through and through, so that no bytes whatever can make a search fail later. That they are of
// m, and the ones that were written, is for the caller to know.
func OpenIndex(m *Model, sections [][]byte) (*Index, error) {
	if len(sections)%partSections != 0 {
		return nil, fmt.Errorf("%d sections do not make parts of %d", len(sections), partSections)
	}
	x := NewIndex(m)
	for group := range slices.Chunk(sections, partSections) {
		p, err := openPart(m, group)
		if err != nil {
			return nil, fmt.Errorf("part %d of the index: %w", len(x.parts), err)
		}
		x.parts = append(x.parts, p)
		x.live += p.live()
	}
	x.number()
	return x, nil
}

func openPart(m *Model, sections [][]byte) (*part, error) {
	s := &segment{}
	if len(sections[0]) != 2 {
		return nil, errors.New("the shifts are missing")
	}
	s.edits.shift, s.keys.shift = uint(sections[0][0]), uint(sections[0][1])
	for i, c := range s.columns() {
		if err := c.load(sections[1+i]); err != nil {
			return nil, err
		}
	}
	if err := s.check(len(m.forms)); err != nil {
		return nil, err
	}
	dead, err := flat.Of[uint64](sections[len(sections)-1])
	if err != nil {
		return nil, err
	}
	p := newPart(s)
	if len(dead) != len(p.dead) {
		return nil, errors.New("the list of the dead has another length")
	}
	for w, set := range dead {
		for ; set != 0; set &= set - 1 {
			r := uint32(64*w + bits.TrailingZeros64(set))
			if int(r) >= p.records() {
				return nil, errors.New("a record that is not there is dead")
			}
			location{p, r}.kill()
		}
	}
	return p, nil
}

// check reports what would make reading the segment fail. forms is how many legal forms the model has.
func (s *segment) check(forms int) error {
	n, words := len(s.sign), len(s.weight)
	switch {
	case !flat.Rising(s.off, n, len(s.blob)):
		return errors.New("the records do not fill their place")
	case !flat.Rising(s.textOff, words, len(s.text)) || len(s.kind) != words || len(s.letters) != words:
		return errors.New("the words do not fill their place")
	case !flat.Rising(s.postOff, words, len(s.post)):
		return errors.New("the postings do not fill their place")
	case slices.ContainsFunc(s.post, func(r uint32) bool { return int(r) >= n }):
		return errors.New("a posting names a record that is not there")
	case !s.postingsRise():
		return errors.New("the records of a word are not in order")
	}
	for i := 1; i < len(s.textOff); i++ {
		if s.textOff[i] == s.textOff[i-1] {
			return errors.New("a word is empty")
		}
	}
	if err := s.edits.check(words); err != nil {
		return fmt.Errorf("table of misspellings: %w", err)
	}
	if err := s.keys.check(n); err != nil {
		return fmt.Errorf("table of keys: %w", err)
	}
	if bad := flat.All(n, func(r int) bool { return validRecord(s.blob[s.off[r]:s.off[r+1]], words, forms) }); bad >= 0 {
		return fmt.Errorf("record %d cannot be read", bad)
	}
	return nil
}

// postingsRise reports whether the records of each word are in order, none twice.
func (s *segment) postingsRise() bool {
	for w := range s.weight {
		for l := s.postings(uint32(w)); len(l) > 1; l = l[1:] {
			if l[0] >= l[1] {
				return false
			}
		}
	}
	return true
}

// check reports what would make find fail, or return a number not below n.
func (t *table) check(n int) error {
	if t.shift < 4 || t.shift > 30 || !flat.Rising(t.start, 1<<(32-t.shift), len(t.id)) {
		return errors.New("the buckets do not fill their place")
	}
	short, long := len(t.id), 0
	if t.shift > 16 {
		short, long = 0, len(t.id)
	}
	if len(t.low16) != short || len(t.low32) != long {
		return errors.New("the hashes do not fill their place")
	}
	if slices.ContainsFunc(t.id, func(id uint32) bool { return int(id) >= n }) {
		return errors.New("it names what is not there")
	}
	return nil
}

// validRecord reports whether read would read the bytes well: it goes the same way.
func validRecord(b []byte, words, forms int) bool {
	good := true
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			good, b = false, nil
			return 0
		}
		b = b[n:]
		return v
	}
	str := func() {
		n := next()
		if n > uint64(len(b)) {
			good, b = false, nil
			return
		}
		b = b[n:]
	}
	has := next()
	str() // id
	str() // display
	for names := next(); names > 0 && good; names-- {
		head, form := next(), next()
		if head>>3 > uint64(lastRole) || form >= uint64(forms) {
			return false
		}
		for count := next(); count > 0 && good; count-- {
			if next() >= uint64(words) {
				return false
			}
		}
		if head&2 != 0 {
			str()
		}
		if head&4 != 0 {
			str()
		}
	}
	for i := range new(Query).texts() {
		if has&(1<<i) != 0 {
			str()
		}
	}
	for _, list := range []uint64{hasDomains, hasParents} {
		if has&list != 0 {
			for n := next(); n > 0 && good; n-- {
				str()
			}
		}
	}
	return good && len(b) == 0
}
