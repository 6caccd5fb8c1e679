package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/ledger"
)

// Batch builds one Append: it numbers entries, seals each into its leaf, and grows the chain and the tree. It is not
// safe for concurrent use, and after an error it is not to be used again.
type Batch struct {
	tree *ledger.Tree
	add  Append
}

// NewBatch starts a batch after head, whose tree is given; the tree itself is left as it is.
func NewBatch(head Head, tree *ledger.Tree) (*Batch, error) {
	if tree.Size() != head.Seq {
		return nil, fmt.Errorf("the tree has %d leaves and the head is at %d", tree.Size(), head.Seq)
	}
	return &Batch{tree: tree.Clone(), add: Append{Head: head}}, nil
}

// Head returns the head as it will be after the entries added so far.
func (b *Batch) Head() Head { return b.add.Head }

// Len returns how many entries were added.
func (b *Batch) Len() int { return len(b.add.Entries) }

// Last returns the entry added last.
func (b *Batch) Last() *Entry { return &b.add.Entries[len(b.add.Entries)-1] }

// NextSeq returns the sequence the next entry will have.
func (b *Batch) NextSeq() uint64 { return b.add.Head.Seq + 1 }

// Number takes the next registration number of the ledger.
func (b *Batch) Number() uint64 {
	b.add.Head.Registrations++
	return b.add.Head.Registrations
}

// Add seals one entry. The caller fills kind, subject, actor, idempotency key, request hash, answer, personal data and
// time; body is made from c without its personal data, which must stand in e.Personal. The recorded time never goes back: one earlier than the head's is moved up to it.
func (b *Batch) Add(e Entry, c *deal.Change, events ...Event) error {
	h := &b.add.Head
	e.Seq = h.Seq + 1
	e.At = e.At.UTC().Truncate(time.Microsecond)
	if e.At.Before(h.At) {
		e.At = h.At
	}
	for _, p := range c.Personal() {
		if !slices.ContainsFunc(e.Personal, func(s Personal) bool { return s.Field == p.Field && s.Value == p.Value }) {
			return fmt.Errorf("entry %d: %s is personal and not committed to", e.Seq, p.Field)
		}
	}
	if len(c.Accounts)+len(c.Deleted) > 0 && !slices.Contains(deal.RecordEntries, e.Kind) {
		return fmt.Errorf("entry %d: a %s does not change reference data", e.Seq, e.Kind) // who reads only deal.RecordEntries would miss it
	}
	c.Events = nil
	told := make([]Event, len(events))
	for i, ev := range events {
		ev.Seq, ev.At = e.Seq, e.At
		ev.belongs(c)
		told[i] = ev
		c.Events = append(c.Events, deal.EventRef{ID: ev.ID, Digest: ev.Digest()})
	}
	var registrations [][]byte
	var err error
	if e.Body, registrations, err = c.Public().EncodeParts(); err != nil {
		return fmt.Errorf("encoding entry %d: %w", e.Seq, err)
	}
	e.Leaf = LeafOf(&e, h.Chain)
	e.Chain = ledger.Chain(h.Chain, e.Leaf)
	nodes, err := b.tree.Append(e.Leaf)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		b.add.Nodes = append(b.add.Nodes, Node(n))
	}
	b.add.Events = append(b.add.Events, told...)
	h.Seq, h.Chain, h.At = e.Seq, e.Chain, e.At
	b.add.Entries = append(b.add.Entries, e)
	b.add.Changes = append(b.add.Changes, c)
	b.add.Registrations = append(b.add.Registrations, registrations)
	return nil
}

// Digest returns the SHA-256 of everything an event says, each part after its length.
func (ev *Event) Digest() []byte {
	h := sha256.New()
	var n [8]byte
	for _, part := range [][]byte{[]byte(ev.ID), []byte(ev.Type), []byte(ev.Subject), []byte(ev.RegistrationID), []byte(ev.PartnerID), []byte(ev.DistributorID), ev.Body} {
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	return h.Sum(nil)
}

// belongs says whose the event is, by what the entry changes.
func (ev *Event) belongs(c *deal.Change) {
	ev.RegistrationID = ev.Subject
	if i := slices.IndexFunc(c.Cases, func(k deal.Case) bool { return k.ID == ev.Subject }); i >= 0 {
		ev.RegistrationID = c.Cases[i].RegistrationID
		return // what happens in a case is no partner's to read
	}
	if ev.PartnerID != "" {
		return // it is for who was its partner
	}
	if i := slices.IndexFunc(c.Registrations, func(r deal.Registration) bool { return r.ID == ev.Subject }); i >= 0 {
		ev.PartnerID, ev.DistributorID = c.Registrations[i].Filing.PartnerID, c.Registrations[i].Filing.DistributorID
	}
}

// Done returns what is to be committed, and the tree after it.
func (b *Batch) Done() (Append, *ledger.Tree, error) {
	root, err := b.tree.Root()
	if err != nil {
		return Append{}, nil, err
	}
	b.add.Head.Root = root
	for i := range b.add.Entries {
		b.add.Entries[i].Size = b.tree.Size()
	}
	return b.add, b.tree, nil
}

// ChangeOf returns the change of an entry whose personal data has been read, whole.
func ChangeOf(e *Entry) (*deal.Change, error) {
	c, err := deal.DecodeChange(e.Body)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", e.Seq, err)
	}
	c.JoinPersonal(Values(e.Personal))
	return c, nil
}

// StateOf returns what an entry does to the state of the world: its change without decision, move and note.
func StateOf(e *Entry) (*deal.Change, error) {
	c, err := deal.DecodeState(e.Body)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", e.Seq, err)
	}
	c.JoinPersonal(Values(e.Personal))
	return c, nil
}

// Values returns personal data without its salts.
func Values(ps []Personal) []deal.Personal {
	out := make([]deal.Personal, len(ps))
	for i, p := range ps {
		out[i] = deal.Personal{Field: p.Field, Value: p.Value}
	}
	return out
}

// LeafOf returns the canonical leaf of an entry from what is stored of it. An auditor compares it with the leaf that
// was stored.
func LeafOf(e *Entry, prev Hash) []byte {
	l := ledger.Leaf{Seq: e.Seq, At: e.At, Kind: e.Kind, Subject: e.Subject, Actor: e.Actor.String(), Request: requestDigest(e), Prev: prev,
		Answer: sha256.Sum256(e.Answer), Body: sha256.Sum256(e.Body)}
	for _, p := range e.Personal {
		l.Commitments = append(l.Commitments, ledger.Commit(p.Field, p.Salt, p.Value))
	}
	return l.Bytes()
}

func requestDigest(e *Entry) Hash {
	h := sha256.New()
	h.Write(binary.AppendUvarint(nil, uint64(len(e.IdemKey))))
	h.Write([]byte(e.IdemKey))
	h.Write(e.RequestHash)
	return Hash(h.Sum(nil))
}
