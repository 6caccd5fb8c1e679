package deal

import (
	"encoding/json"
	"slices"

	fastjson "github.com/go-json-experiment/json" // reads an entry in a third of the time; a replica reads every one
	"github.com/go-json-experiment/json/jsontext"
)

// Change is what one ledger entry changes, as after-images: the state of every thing it touches, after it. State is
// the fold of all changes in ledger order, so a replica, an auditor and a restore all come to the same state.
type Change struct {
	Registrations []Registration      `json:"registrations,omitempty"`
	Decision      *Decision           `json:"decision,omitempty"`
	Move          *Move               `json:"move,omitempty"`
	Note          *Note               `json:"note,omitempty"`
	Cases         []Case              `json:"cases,omitempty"`
	Findings      []Finding           `json:"findings,omitempty"`
	Accounts      []*Account          `json:"accounts,omitempty"`
	Opportunities []*Opportunity      `json:"opportunities,omitempty"`
	Partners      []*Partner          `json:"partners,omitempty"`
	People        []*Person           `json:"people,omitempty"`
	Products      []*CatalogueProduct `json:"products,omitempty"`
	Rates         []*Rate             `json:"rates,omitempty"`
	Deleted       []RecordRef         `json:"deleted,omitempty"`
	Documents     []Document          `json:"documents,omitempty"`
	Keys          []Key               `json:"keys,omitempty"`
	Webhooks      []Subscription      `json:"webhooks,omitempty"`
	Events        []EventRef          `json:"events,omitempty"` // told of the entry; filled in when it is sealed
}

// EventRef commits an entry to one event that tells of it.
type EventRef struct {
	ID     string `json:"id"`
	Digest []byte `json:"digest"` // SHA-256 of the event
}

// RecordRef names one row of reference data.
type RecordRef struct {
	Kind RecordKind `json:"kind"`
	Key  string     `json:"key"`
}

// Put adds the after-image of one record.
func (c *Change) Put(r Record) {
	switch r := r.(type) {
	case *Account:
		c.Accounts = append(c.Accounts, r)
	case *Opportunity:
		c.Opportunities = append(c.Opportunities, r)
	case *Partner:
		c.Partners = append(c.Partners, r)
	case *Person:
		c.People = append(c.People, r)
	case *CatalogueProduct:
		c.Products = append(c.Products, r)
	case *Rate:
		c.Rates = append(c.Rates, r)
	}
}

// Records visits the after-image of every record.
func (c *Change) Records(visit func(Record)) {
	for _, r := range c.Accounts {
		visit(r)
	}
	for _, r := range c.Opportunities {
		visit(r)
	}
	for _, r := range c.Partners {
		visit(r)
	}
	for _, r := range c.People {
		visit(r)
	}
	for _, r := range c.Products {
		visit(r)
	}
	for _, r := range c.Rates {
		visit(r)
	}
}

// Personal returns the personal data in the change that the ledger's bodies leave out: names and addresses of people, the words of a move or a note. That of
// registrations is taken out before (Filing.SplitPersonal).
func (c *Change) Personal() []Personal {
	var out []Personal
	c.people(func(field string, value *string) {
		if *value != "" {
			out = append(out, Personal{field, *value})
		}
	})
	return out
}

// Public returns the change without its personal data.
func (c *Change) Public() *Change {
	if len(c.People) == 0 && c.Move == nil && c.Note == nil {
		return c
	}
	public := *c
	if c.Note != nil {
		public.Note = new(*c.Note)
	}
	if c.Move != nil {
		m := *c.Move
		m.Evidence = slices.Clone(m.Evidence)
		public.Move = &m
	}
	public.People = make([]*Person, len(c.People))
	for i, p := range c.People {
		stripped := *p
		public.People[i] = &stripped
	}
	public.people(func(_ string, value *string) { *value = "" })
	return &public
}

// JoinPersonal puts personal data back. What was erased stays empty.
func (c *Change) JoinPersonal(data []Personal) {
	if len(c.People) == 0 && c.Move == nil && c.Note == nil {
		return
	}
	values := make(map[string]string, len(data))
	for _, p := range data {
		values[p.Field] = p.Value
	}
	c.people(func(field string, value *string) {
		if v, ok := values[field]; ok {
			*value = v
		}
	})
}

func (c *Change) people(visit func(field string, value *string)) {
	for _, p := range c.People {
		visit("people/"+p.ID+".name", &p.Name)
		visit("people/"+p.ID+".email", &p.Email)
	}
	if c.Move != nil {
		c.Move.personal(visit)
	}
	if c.Note != nil {
		c.Note.personal(visit)
	}
}

// Encode returns the bytes an entry holds and its leaf is a digest of.
func (c *Change) Encode() ([]byte, error) {
	body, _, err := c.EncodeParts()
	return body, err
}

// EncodeParts is Encode. It also returns the bytes of each registration, which are a part of the others.
func (c *Change) EncodeParts() (body []byte, registrations [][]byte, err error) {
	if body, err = json.Marshal(c); err != nil {
		return nil, nil, err
	}
	rest := body
	for i := range c.Registrations {
		if i == 0 {
			rest = rest[len(`{"registrations":[`):]
		} else {
			rest = rest[len(","):]
		}
		n := objectEnd(rest)
		registrations = append(registrations, rest[:n:n])
		rest = rest[n:]
	}
	return body, registrations, nil
}

// objectEnd returns the length of the JSON object b begins with.
func objectEnd(b []byte) int {
	depth, text := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			text = !text
		case c == '\\':
			i++ // only in a text; what is escaped neither ends nor begins anything
		case text:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(b)
}

// DecodeChange reads what Encode wrote.
func DecodeChange(b []byte) (*Change, error) {
	var c Change
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, err
	}
	return &c, nil
}

// DecodeState reads of what Encode wrote the after-images alone, from which states are folded. Most of an entry is its decision, which is
// what others are told, and the auditor.
func DecodeState(b []byte) (*Change, error) {
	var c struct {
		Change
		Decision passed `json:"decision"`
		Move     passed `json:"move"`
		Note     passed `json:"note"`
		Webhooks passed `json:"webhooks"`
		Events   passed `json:"events"`
	}
	if err := fastjson.Unmarshal(b, &c); err != nil {
		return DecodeChange(b) // which is less strict
	}
	return &c.Change, nil
}

// passed is a value that is read over.
type passed struct{}

// UnmarshalJSONFrom implements fastjson.UnmarshalerFrom.
func (*passed) UnmarshalJSONFrom(d *jsontext.Decoder) error { return d.SkipValue() }

// The kinds of ledger entry.
const (
	EntryStart        = "ledger.started"
	EntryDecided      = "registration.decided"
	EntryExpired      = "registration.expired"
	EntryReleased     = "registration.released"
	EntryResolved     = "registration.resolved" // people, or silence, have decided its case
	EntryUpdated      = "registration.updated"
	EntryRegistration = "registration.imported"
	EntryRecords      = "records.imported"
	EntryDeleted      = "records.deleted"
	EntryDocument     = "document.saved"
	EntryPublished    = "document.published" // at once, or for an instant to come
	EntryEffective    = "document.effective" // a version published for an instant decides from here on
	EntryCancelled    = "document.cancelled" // a version published for an instant to come will not decide then
	EntryKey          = "key.created"
	EntryKeyRevoked   = "key.revoked"
)

// RecordEntries are the kinds of entry that change reference data. No other kind does.
var RecordEntries = []string{EntryRecords, EntryDeleted}
