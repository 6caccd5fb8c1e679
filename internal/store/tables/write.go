package tables

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/pack"
	"github.com/dibs-deals/dibs/internal/store"
)

// Writer takes the rows of a commit. What it is given for one table must take effect in that order.
type Writer interface {
	// Put writes a row: one value for each column. It keeps none of them.
	Put(t *Table, row ...any) error
	// Delete deletes the rows of a group.
	Delete(t *Table, group string) error
}

// Append gives w everything that add is: entries, the rows that follow from them, hashes, events and the head. head is the
// end of the ledger as it is.
func Append(w Writer, c *pack.Codec, head store.Head, add *store.Append) error {
	var room []byte
	for i := range add.Entries {
		e := &add.Entries[i]
		if e.Seq != head.Seq+1+uint64(i) {
			return fmt.Errorf("entry %d does not follow head %d", e.Seq, head.Seq)
		}
		encoding, body := c.Pack(e.Body, room)
		if encoding != 0 {
			room = body
		}
		if err := w.Put(Entry, e.Seq, e.At, e.Kind, e.Subject, e.Actor.KeyID, e.Actor.Role, null(e.Actor.PersonID), null(e.IdemKey), e.RequestHash, e.Answer, encoding, body, e.Leaf, e.Chain[:], e.Size); err != nil {
			return fmt.Errorf("writing entry %d: %w", e.Seq, err)
		}
		if len(e.Personal) > 0 {
			if err := put(w, Personal, pieces(e.Personal), e.Seq); err != nil {
				return fmt.Errorf("writing personal data of entry %d: %w", e.Seq, err)
			}
		}
		var registrations [][]byte
		if i < len(add.Registrations) {
			registrations = add.Registrations[i]
		}
		if err := Project(w, e.Seq, add.Changes[i], registrations); err != nil {
			return fmt.Errorf("projecting entry %d: %w", e.Seq, err)
		}
	}
	for i := range add.Nodes {
		if err := w.Put(Node, add.Nodes[i].Index, add.Nodes[i].Hash[:]); err != nil {
			return fmt.Errorf("writing hash %d: %w", add.Nodes[i].Index, err)
		}
	}
	for _, ev := range add.Events {
		if err := w.Put(Event, ev.ID, ev.Seq, ev.Type, ev.Subject, ev.At, ev.Body, ev.RegistrationID, null(ev.PartnerID), null(ev.DistributorID)); err != nil {
			return fmt.Errorf("writing event %s: %w", ev.ID, err)
		}
	}
	h := add.Head
	if err := w.Put(Head, 1, h.Seq, h.Chain[:], h.Root[:], h.At, h.Registrations); err != nil {
		return fmt.Errorf("writing the head: %w", err)
	}
	return nil
}

// piece is personal data as it is kept.
type piece struct {
	Field string `json:"field"`
	Salt  string `json:"salt,omitempty"` // hexadecimal
	Value string `json:"value,omitempty"`
	Bytes []byte `json:"bytes,omitempty"` // the value, where it is no text
}

func pieces(data []store.Personal) []piece {
	out := make([]piece, len(data))
	for i, p := range data {
		out[i] = piece{Field: p.Field, Salt: hex.EncodeToString(p.Salt), Value: p.Value}
		if !utf8.ValidString(p.Value) {
			out[i].Value, out[i].Bytes = "", []byte(p.Value)
		}
	}
	return out
}

func (p *piece) personal() (store.Personal, error) {
	out := store.Personal{Field: p.Field, Value: p.Value + string(p.Bytes)}
	if p.Salt == "" {
		return out, nil
	}
	var err error
	out.Salt, err = hex.DecodeString(p.Salt)
	return out, err
}

// Project gives w what an entry changes in the tables people query. The bytes of its registrations may have been made already.
func Project(w Writer, seq uint64, c *deal.Change, registrations [][]byte) error {
	for i := range c.Registrations {
		var text []byte
		if i < len(registrations) {
			text = registrations[i]
		}
		if err := putRegistration(w, &c.Registrations[i], text); err != nil {
			return fmt.Errorf("registration %s: %w", c.Registrations[i].ID, err)
		}
	}
	if d := c.Decision; d != nil {
		disposition := ""
		if d.Route != nil {
			disposition = string(d.Route.Disposition)
		}
		if err := w.Put(Decision, seq, d.ID, d.RegistrationID, d.At, string(d.Outcome), null(disposition), strings.Join(d.ReasonCodes, " "), d.Policy.Name, d.Policy.Version); err != nil {
			return fmt.Errorf("decision %s: %w", d.ID, err)
		}
	}
	for i := range c.Cases {
		k := &c.Cases[i]
		if err := put(w, Escalation, k, k.ID, null(k.Kind), k.RegistrationID, null(k.PartnerID), null(first(k.ReasonCodes)), k.Status, k.Terms.Queue, k.OpenedAt, instantOrNull(k.DueAt), null(k.Assignee), k.Version); err != nil {
			return fmt.Errorf("case %s: %w", k.ID, err)
		}
	}
	for i := range c.Findings {
		f := &c.Findings[i]
		if err := put(w, Finding, f, f.ID, f.Verdict, f.Subject.Key(), f.Other.Key(), instantOrNull(f.Until), instantOrNull(f.TakenBack), f.Version); err != nil {
			return fmt.Errorf("finding %s: %w", f.ID, err)
		}
	}
	var err error
	c.Records(func(r deal.Record) {
		if err != nil {
			return
		}
		t, ok := records[r.Kind()]
		if !ok {
			err = fmt.Errorf("no table for %s", r.Kind())
			return
		}
		if perr := put(w, t.Table, r, append([]any{r.Key()}, t.values(r)...)...); perr != nil {
			err = fmt.Errorf("%s %s: %w", r.Kind(), r.Key(), perr)
		}
	})
	if err != nil {
		return err
	}
	for _, r := range c.Deleted {
		t, ok := records[r.Kind]
		if !ok {
			return fmt.Errorf("no table for %s", r.Kind)
		}
		if err := w.Delete(t.Table, r.Key); err != nil {
			return fmt.Errorf("%s %s: %w", r.Kind, r.Key, err)
		}
	}
	// The one that stops being live comes before the one that starts: the database allows one.
	for _, live := range []bool{false, true} {
		for i := range c.Documents {
			if d := &c.Documents[i]; (d.Status == deal.DocumentLive) == live {
				if err := put(w, Document, d, d.Kind, d.Version, d.Name, d.Digest, d.Status); err != nil {
					return fmt.Errorf("%s version %d: %w", d.Kind, d.Version, err)
				}
			}
		}
	}
	for i := range c.Keys {
		k := &c.Keys[i]
		if err := put(w, APIKey, k, k.ID, k.Role, k.CreatedAt, instantOrNull(k.RevokedAt)); err != nil {
			return fmt.Errorf("key %s: %w", k.ID, err)
		}
	}
	return nil
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// put writes a row whose last column is the document itself.
func put(w Writer, t *Table, doc any, row ...any) error {
	text, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return w.Put(t, append(row, JSON(text))...)
}

func putRegistration(w Writer, r *deal.Registration, text []byte) (err error) {
	if text == nil {
		if text, err = json.Marshal(r); err != nil {
			return err
		}
	}
	window := r.Protection
	if r.Status == deal.StatusEscalated {
		window = r.Hold
	}
	var from, until any
	if window != nil {
		from, until = window.StartsAt, window.EndsAt
	}
	f := &r.Filing
	var amount, currency any
	if !f.Amount.IsZero() {
		amount, currency = f.Amount.Value.String(), f.Amount.Currency
	}
	if err := w.Put(Registration, r.ID, r.Number, f.PartnerID, null(f.DistributorID), string(r.Status), r.CustomerRef.Key(), f.Customer.Name, null(r.CustomerRef.AccountID), null(f.ExternalID),
		amount, currency, r.ReceivedAt, from, until, r.DecisionID, null(r.CaseID), r.Sequence, r.Version, JSON(text)); err != nil {
		return err
	}
	if r.Version > r.Sequence { // a new registration has no cells yet
		if err := w.Delete(Holder, r.ID); err != nil {
			return err
		}
	}
	for _, el := range store.Elements(r) {
		if err := w.Put(Holder, r.ID, el.Customer, el.Line, el.Site, el.Shared, from, until); err != nil {
			return err
		}
	}
	return nil
}

func instantOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}
