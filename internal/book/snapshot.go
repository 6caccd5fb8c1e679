package book

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/flat"
)

// Sections is how many arrays a snapshot of a book is.
const Sections = 7

// Version is that of the layout of a snapshot. Whoever changes the layout, the encoding of a record or the hash of ids
// raises it.
const Version = 2

// Sections returns the picture as arrays of little-endian numbers and of bytes. They share the book's memory and must
// not be changed.
func (p Picture) Sections() [][]byte {
	b := p.base
	if len(p.changes) > 0 {
		if b = fold(b.apart(), p.changes...); b == nil {
			return nil
		}
	}
	var text []byte
	ends := make([]uint32, len(b.words))
	for i, w := range b.words {
		text = append(text, w...)
		ends[i] = uint32(len(text))
	}
	return [][]byte{b.blob, flat.Bytes(b.off), flat.Bytes(b.slots), flat.Bytes(b.childHash), flat.Bytes(b.childOf), text, flat.Bytes(ends)}
}

// Open returns the book that Sections gave. The book keeps the memory of the sections. Sections that are no book are an
// error; they are checked through and through, so that no bytes whatever can make the book fail later.
func Open(sections [][]byte) (*Book, error) {
	if len(sections) != Sections {
		return nil, fmt.Errorf("%d sections, a book has %d", len(sections), Sections)
	}
	b := &base{blob: sections[0]}
	var ends []uint32
	for i, to := range []*[]uint32{&b.off, &b.slots, &b.childHash, &b.childOf} {
		var err error
		if *to, err = flat.Of[uint32](sections[1+i]); err != nil {
			return nil, err
		}
	}
	ends, err := flat.Of[uint32](sections[6])
	if err != nil {
		return nil, err
	}
	text, from := string(sections[5]), uint32(0)
	b.words = make([]string, len(ends))
	for i, to := range ends {
		if to < from || uint64(to) > uint64(len(text)) {
			return nil, errors.New("the words do not fill their place")
		}
		b.words[i], from = text[from:to], to
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	return of(b), nil
}

// check reports what would make reading fail.
func (b *base) check() error {
	n := b.records()
	if !flat.Rising(b.off, n, len(b.blob)) {
		return errors.New("the records do not fill their place")
	}
	used := 0
	for _, s := range b.slots {
		if uint64(s) > uint64(n) {
			return errors.New("a slot names a record that is not there")
		}
		if s != 0 {
			used++
		}
	}
	if used != n || len(b.slots) <= n {
		return fmt.Errorf("%d of %d slots are used for %d records", used, len(b.slots), n)
	}
	if len(b.childHash) != len(b.childOf) {
		return errors.New("children without a hash")
	}
	for i, r := range b.childOf {
		if uint64(r) >= uint64(n) || i > 0 && b.childHash[i] < b.childHash[i-1] {
			return errors.New("children out of order")
		}
	}
	if bad := flat.All(n, func(r int) bool { return valid(b.blob[b.off[r]:b.off[r+1]], len(b.words)) }); bad >= 0 {
		return fmt.Errorf("record %d cannot be read", bad)
	}
	return nil
}

// valid reports whether account would read the bytes well. It makes nothing.
func valid(b []byte, words int) bool {
	d := open(b)
	d.text()
	for bit := uint64(1); bit <= allParts; bit <<= 1 {
		if bit&sharedParts != 0 && d.has&bit != 0 && d.number() >= uint64(words) {
			return false
		}
	}
	for bit := uint64(1); bit <= allParts; bit <<= 1 {
		if bit&ownParts != 0 && d.has&bit != 0 {
			d.text()
		}
	}
	if d.has&hasEmployees != 0 {
		_, n := binary.Varint(d.rest)
		if n <= 0 {
			return false
		}
		d.rest = d.rest[n:]
	}
	for _, bit := range []uint64{hasAliases, hasDomains} {
		if d.has&bit != 0 {
			for n := d.number(); n > 0 && !d.bad; n-- {
				d.text()
			}
		}
	}
	if d.has&hasWebsite != 0 {
		switch i := d.number(); {
		case i == 0:
			d.text()
		case i > uint64(len(sites)):
			return false
		}
	}
	if d.has&hasContact != 0 {
		_, n := binary.Varint(d.rest)
		if n <= 0 {
			return false
		}
		d.rest = d.rest[n:]
	}
	return !d.bad && len(d.rest) == 0 && d.has&^allParts == 0
}

// The bits of shared and of own.
var sharedParts, ownParts = func() (s, o uint64) {
	var a deal.Account
	for _, f := range shared(&a) {
		s |= f.bit
	}
	for _, f := range own(&a) {
		o |= f.bit
	}
	return s, o
}()
