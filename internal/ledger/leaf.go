// Package ledger makes a sequence of byte strings provable: canonical leaves, a hash chain, a Merkle tree with signed
// checkpoints, inclusion proofs and receipts that are verified offline. It knows bytes, not deals and not SQL.
//
// The chain is the fingerprint of the whole history, cheap to compare. The tree (RFC 6962, in the layout of
// golang.org/x/mod/sumdb/tlog) is for people outside: a partner proves one leaf with twenty hashes. Formats of
// checkpoints and proofs are those of C2SP (signed-note, tlog-checkpoint, tlog-proof).
package ledger

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a SHA-256 digest.
type Hash = [32]byte

// leafV1 opens every leaf of version 1. A later version has another tag; leaves once written keep theirs for ever.
const leafV1 = "dibs/leaf/v1"

// Leaf is what one entry of the ledger is sealed with. Everything else about the entry is reachable from it only as a
// digest, so that a leaf can be shown to a partner without showing what the partner may not know.
type Leaf struct {
	Seq     uint64    // place in the ledger, from 1; the leaf's index in the tree is Seq-1
	At      time.Time // recorded time, UTC, whole microseconds
	Kind    string
	Subject string
	Actor   string
	Request Hash // digest of the idempotency key and the request
	Prev    Hash // chain before this leaf
	Answer  Hash // digest of the answer that was given
	Body    Hash // digest of everything that was recorded
	// Personal data enters only here, as salted commitments, in the order in which it was recorded.
	Commitments []Commitment
}

// Commitment binds the ledger to a value without revealing it: HMAC-SHA256 under a random salt that is kept with the
// value and erased with it.
type Commitment struct {
	Field string
	MAC   Hash
}

// Commit returns the commitment to the value of a field. The salt is 32 random bytes, used once.
func Commit(field string, salt []byte, value string) Commitment {
	mac := hmac.New(sha256.New, salt)
	mac.Write(binary.AppendUvarint(nil, uint64(len(field))))
	mac.Write([]byte(field))
	mac.Write([]byte(value))
	return Commitment{Field: field, MAC: Hash(mac.Sum(nil))}
}

// Bytes returns the canonical bytes of the leaf, version 1: the tag, then every field in the order of the struct.
// Texts are preceded by their length and counts by nothing else, both as uvarints; numbers are 8 bytes big-endian;
// time is microseconds since 1970. The encoding is injective and frozen.
func (l *Leaf) Bytes() []byte {
	b := make([]byte, 0, 256+64*len(l.Commitments))
	b = append(b, leafV1...)
	b = binary.BigEndian.AppendUint64(b, l.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(l.At.UnixMicro()))
	for _, s := range []string{l.Kind, l.Subject, l.Actor} {
		b = appendText(b, s)
	}
	for _, h := range []Hash{l.Request, l.Prev, l.Answer, l.Body} {
		b = append(b, h[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(l.Commitments)))
	for _, c := range l.Commitments {
		b = appendText(b, c.Field)
		b = append(b, c.MAC[:]...)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errLeaf = errors.New("not the canonical bytes of a leaf")

// ParseLeaf reads what Bytes wrote, and nothing else: an accepted input encodes back to itself.
func ParseLeaf(b []byte) (Leaf, error) {
	rest, ok := bytes.CutPrefix(b, []byte(leafV1))
	if !ok {
		return Leaf{}, fmt.Errorf("%w: it does not begin with %q", errLeaf, leafV1)
	}
	r := reader{b: rest}
	l := Leaf{Seq: r.number()}
	l.At = time.UnixMicro(int64(r.number())).UTC()
	for _, s := range []*string{&l.Kind, &l.Subject, &l.Actor} {
		*s = r.text()
	}
	for _, h := range []*Hash{&l.Request, &l.Prev, &l.Answer, &l.Body} {
		*h = r.hash()
	}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		l.Commitments = append(l.Commitments, Commitment{Field: r.text(), MAC: r.hash()})
	}
	if r.bad || len(r.b) > 0 || !bytes.Equal(l.Bytes(), b) {
		return Leaf{}, errLeaf
	}
	return l, nil
}

type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) number() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string { return string(r.take(r.uvarint())) }

func (r *reader) hash() (h Hash) {
	copy(h[:], r.take(32))
	return h
}

// Chain returns the chain after a leaf, from the chain before it.
func Chain(prev Hash, leaf []byte) Hash {
	h := sha256.New()
	h.Write([]byte("dibs/chain/v1"))
	h.Write(prev[:])
	lh := LeafHash(leaf)
	h.Write(lh[:])
	return Hash(h.Sum(nil))
}

// LeafHash returns the hash under which a leaf stands in the tree (RFC 6962 §2.1).
func LeafHash(leaf []byte) Hash { return Hash(tlog.RecordHash(leaf)) }
