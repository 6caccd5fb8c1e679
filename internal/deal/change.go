package deal

import "encoding/json"

// Change is what one ledger entry changes, as after-images: the state of every thing it touches, after it. State is
// the fold of all changes in ledger order, so a replica, an auditor and a restore all come to the same state.
type Change struct {
	Registrations []Registration      `json:"registrations,omitempty"`
	Decision      *Decision           `json:"decision,omitempty"`
	Cases         []Case              `json:"cases,omitempty"`
	Accounts      []*Account          `json:"accounts,omitempty"`
	Opportunities []*Opportunity      `json:"opportunities,omitempty"`
	Partners      []*Partner          `json:"partners,omitempty"`
	People        []*Person           `json:"people,omitempty"`
	Products      []*CatalogueProduct `json:"products,omitempty"`
	Rates         []*Rate             `json:"rates,omitempty"`
	Deleted       []RecordRef         `json:"deleted,omitempty"`
	Documents     []Document          `json:"documents,omitempty"`
	Keys          []Key               `json:"keys,omitempty"`
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

// Encode returns the bytes an entry holds and its leaf is a digest of.
func (c *Change) Encode() ([]byte, error) { return json.Marshal(c) }

// DecodeChange reads what Encode wrote.
func DecodeChange(b []byte) (*Change, error) {
	var c Change
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, err
	}
	return &c, nil
}

// The kinds of ledger entry.
const (
	EntryStart        = "ledger.started"
	EntryDecided      = "registration.decided"
	EntryExpired      = "registration.expired"
	EntryRegistration = "registration.imported"
	EntryRecords      = "records.imported"
	EntryDeleted      = "records.deleted"
	EntryDocument     = "document.saved"
	EntryPublished    = "document.published"
	EntryKey          = "key.created"
	EntryKeyRevoked   = "key.revoked"
)
