package match

import (
	"github.com/dibs-deals/dibs/internal/deal"
)

// Record describes one organisation as somebody wrote it. Every field but ID and one name may be empty.
type Record struct {
	ID          string
	Names       []string // the first is the main name
	Domains     []string
	MailDomain  string // of a contact's e-mail address: read when there are no Domains, and a weaker sign
	Country     string // ISO 3166-1 alpha-2
	Region      string // ISO 3166-2, or as written
	City        string
	PostalCode  string
	Street      string
	Phone       string
	TaxID       string
	DUNS        string
	LEI         string
	ParentID    string // the id of the parent's record, in the same corpus
	ParentNames []string
}

// FromAccount returns the description of an account.
func FromAccount(a *deal.Account) Record {
	r := Record{ID: a.ID, Names: append([]string{a.Name}, a.Aliases...), Domains: a.AllDomains(), Country: a.Country, Region: a.Region, City: a.City,
		PostalCode: a.PostalCode, Street: a.Street, Phone: a.Phone, TaxID: a.TaxID, DUNS: a.DUNS, LEI: a.LEI, ParentID: a.ParentID}
	if a.Website != "" {
		r.Domains = append(r.Domains, a.Website)
	}
	return r
}

// FromFiling returns the description a filing gives of its customer. emailDomain is the domain of the contact's
// address, which says where the contact works: with the customer, as a rule, but not always. One site is listed once,
// however many of the fields name it.
func FromFiling(f *deal.Filing, emailDomain string) Record {
	c := &f.Customer
	r := Record{ID: c.AccountID, Names: []string{c.Name}, Country: c.Country, Region: c.Region, City: c.City, PostalCode: c.PostalCode,
		Street: c.Street, Phone: c.Phone, TaxID: c.TaxID, DUNS: c.DUNS, LEI: c.LEI}
	if c.Domain != "" {
		r.Domains = append(r.Domains, c.Domain)
	}
	if c.Website != "" && (c.Domain == "" || siteDomain(c.Website) != siteDomain(c.Domain)) {
		r.Domains = append(r.Domains, c.Website)
	}
	if len(r.Domains) == 0 {
		r.MailDomain = emailDomain
	}
	if c.Parent != "" {
		r.ParentNames = []string{c.Parent}
	}
	return r
}

// Input returns what a decision records of the description. FromInput of it searches and judges alike.
func (r Record) Input() deal.MatchInput {
	return deal.MatchInput{Names: r.Names, Domains: r.Domains, MailDomain: r.MailDomain, Country: r.Country, Region: r.Region, City: r.City, PostalCode: r.PostalCode,
		Street: r.Street, Phone: r.Phone, TaxID: r.TaxID, DUNS: r.DUNS, LEI: r.LEI, ParentNames: r.ParentNames}
}

// FromInput returns the description a decision recorded.
func FromInput(id string, in deal.MatchInput) Record {
	return Record{ID: id, Names: in.Names, Domains: in.Domains, MailDomain: in.MailDomain, Country: in.Country, Region: in.Region, City: in.City, PostalCode: in.PostalCode,
		Street: in.Street, Phone: in.Phone, TaxID: in.TaxID, DUNS: in.DUNS, LEI: in.LEI, ParentNames: in.ParentNames}
}
