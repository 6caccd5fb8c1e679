package deal

import (
	"fmt"
	"slices"
	"time"
)

// RecordKind names one kind of the vendor's reference data.
type RecordKind string

// The kinds of reference data that are imported, put and read.
const (
	Accounts      RecordKind = "accounts"
	Opportunities RecordKind = "opportunities"
	Partners      RecordKind = "partners"
	People        RecordKind = "people"
	Products      RecordKind = "products"
	Rates         RecordKind = "rates"
)

// RecordKinds lists every RecordKind, in the order in which a new user imports them.
var RecordKinds = []RecordKind{Partners, Products, Rates, People, Accounts, Opportunities}

// Record is one row of reference data.
type Record interface {
	Kind() RecordKind
	Key() string // its id, unique within the kind
	Validate() FieldErrors
}

// Account is an organisation the vendor knows.
type Account struct {
	ID            string   `json:"id"`
	Name          string   `json:"name"`
	Aliases       []string `json:"aliases,omitempty"`
	Domain        string   `json:"domain,omitempty"`
	Domains       []string `json:"domains,omitempty"`
	Website       string   `json:"website,omitempty"`
	Country       string   `json:"country,omitempty"`
	Region        string   `json:"region,omitempty"`
	City          string   `json:"city,omitempty"`
	PostalCode    string   `json:"postal_code,omitempty"`
	Street        string   `json:"street,omitempty"`
	Phone         string   `json:"phone,omitempty"`
	TaxID         string   `json:"tax_id,omitempty"`
	DUNS          string   `json:"duns,omitempty"`
	LEI           string   `json:"lei,omitempty"`
	ParentID      string   `json:"parent_id,omitempty"`
	Industry      string   `json:"industry,omitempty"`
	Employees     int64    `json:"employees,omitempty"`
	AnnualRevenue string   `json:"annual_revenue,omitempty"` // decimal, in the policy's currency
	Status        string   `json:"status,omitempty"`         // one of AccountStatuses; empty reads as prospect
	Owner         string   `json:"owner,omitempty"`          // a person's id
	Named         bool     `json:"named,omitempty"`
	LastContactAt Date     `json:"last_contact_at,omitzero"` // when the vendor's own people last spoke with it
}

// Opportunity is the vendor's own record of possible business.
type Opportunity struct {
	ID             string   `json:"id"`
	AccountID      string   `json:"account_id,omitempty"`
	AccountName    string   `json:"account_name,omitempty"`
	Name           string   `json:"name,omitempty"`
	Stage          string   `json:"stage,omitempty"`
	Status         string   `json:"status"`
	Amount         Money    `json:"amount,omitzero"`
	CloseDate      Date     `json:"close_date,omitzero"`
	CreatedAt      Date     `json:"created_at,omitzero"`
	LastActivityAt Date     `json:"last_activity_at,omitzero"`
	LedBy          string   `json:"led_by"`
	PartnerID      string   `json:"partner_id,omitempty"`
	Owner          string   `json:"owner,omitempty"`
	Lines          []string `json:"lines,omitempty"`
}

// Partner is a company that sells for the vendor.
type Partner struct {
	ID                string   `json:"id"`
	Name              string   `json:"name"`
	Type              string   `json:"type,omitempty"`
	Tier              string   `json:"tier,omitempty"` // one of the policy's ordered tiers
	Status            string   `json:"status,omitempty"`
	Country           string   `json:"country,omitempty"`
	Countries         []string `json:"countries,omitempty"` // where the agreement lets it sell; empty: everywhere
	Lines             []string `json:"lines,omitempty"`     // what the agreement lets it sell; empty: everything
	DistributorID     string   `json:"distributor_id,omitempty"`
	Domain            string   `json:"domain,omitempty"`
	AgreementSignedAt Date     `json:"agreement_signed_at,omitzero"`
	TrainedStaff      int64    `json:"trained_staff,omitempty"`
	CreditHold        bool     `json:"credit_hold,omitempty"`
}

// Person is a member of the vendor's staff.
type Person struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Email     string   `json:"email,omitempty"`
	Roles     []string `json:"roles,omitempty"`
	Queues    []string `json:"queues,omitempty"`
	Authority Money    `json:"authority,omitzero"` // the largest deal this person may decide alone
	Manager   string   `json:"manager,omitempty"`
	AwayUntil Date     `json:"away_until,omitzero"`
}

// CatalogueProduct is one position of the vendor's price list.
type CatalogueProduct struct {
	SKU   string `json:"sku"`
	Line  string `json:"line"`
	Class string `json:"class,omitempty"`
	Core  bool   `json:"core,omitempty"`
}

// Rate converts one unit of From into To from its date on.
type Rate struct {
	Date Date   `json:"date"`
	From string `json:"from"`
	To   string `json:"to"`
	Rate string `json:"rate"` // decimal, exact as published
}

// Kind returns the kind of the record.
func (*Account) Kind() RecordKind          { return Accounts }
func (*Opportunity) Kind() RecordKind      { return Opportunities }
func (*Partner) Kind() RecordKind          { return Partners }
func (*Person) Kind() RecordKind           { return People }
func (*CatalogueProduct) Kind() RecordKind { return Products }
func (*Rate) Kind() RecordKind             { return Rates }

// Key returns the id of the record within its kind.
func (a *Account) Key() string          { return a.ID }
func (o *Opportunity) Key() string      { return o.ID }
func (p *Partner) Key() string          { return p.ID }
func (p *Person) Key() string           { return p.ID }
func (p *CatalogueProduct) Key() string { return p.SKU }
func (r *Rate) Key() string             { return r.Date.String() + "_" + r.From + "_" + r.To }

// NewRecord returns an empty record of the kind, or nil if there is no such kind.
func NewRecord(kind RecordKind) Record {
	switch kind {
	case Accounts:
		return &Account{}
	case Opportunities:
		return &Opportunity{}
	case Partners:
		return &Partner{}
	case People:
		return &Person{}
	case Products:
		return &CatalogueProduct{}
	case Rates:
		return &Rate{}
	}
	return nil
}

// CopyRecord returns a copy of the record that can be validated, which fills in defaults, while others read the record.
// Lists are shared: nothing writes to them.
func CopyRecord(r Record) Record {
	switch r := r.(type) {
	case *Account:
		return new(*r)
	case *Opportunity:
		return new(*r)
	case *Partner:
		return new(*r)
	case *Person:
		return new(*r)
	case *CatalogueProduct:
		return new(*r)
	case *Rate:
		return new(*r)
	}
	panic(fmt.Sprintf("no such record: %T", r))
}

// AllDomains returns the account's domains, the main one first, without repeats.
func (a *Account) AllDomains() []string {
	out := make([]string, 0, 1+len(a.Domains))
	for _, d := range append([]string{a.Domain}, a.Domains...) {
		if d != "" && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// SellsFor reports whether the partner's agreement covers the country and every one of the lines.
func (p *Partner) SellsFor(country string, lines []string) bool {
	if len(p.Countries) > 0 && !slices.Contains(p.Countries, country) {
		return false
	}
	for _, l := range lines {
		if len(p.Lines) > 0 && !slices.ContainsFunc(p.Lines, func(own string) bool { return FoldLine(own) == FoldLine(l) }) {
			return false
		}
	}
	return true
}

// ClosedDays returns the days since a won or lost opportunity was last touched or closed, the later of the two that is not to
// come, as of t; -1 when neither is known.
func (o *Opportunity) ClosedDays(t time.Time) int64 {
	at := o.LastActivityAt.Time
	if c := o.CloseDate.Time; c.After(at) && !c.After(t) || at.After(t) {
		at = c
	}
	if at.IsZero() || at.After(t) {
		return -1
	}
	return int64(t.Sub(at) / (24 * time.Hour))
}

// LivelyAt returns the days since the last activity on the opportunity, as of t; -1 when none is known.
func (o *Opportunity) LivelyAt(t time.Time) int64 {
	if o.LastActivityAt.IsZero() {
		return -1
	}
	return max(0, int64(t.Sub(o.LastActivityAt.Time)/(24*time.Hour)))
}
