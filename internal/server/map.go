package server

import (
	"cmp"
	"fmt"

	"github.com/dibs-deals/dibs/api"
	"github.com/dibs-deals/dibs/internal/deal"
)

// This file is the only place where the wire's types meet the vocabulary. Field names are the same on both sides; what
// differs is that the wire has money and dates as text.

// reading collects what cannot be read while a body is mapped.
type reading struct{ wrong deal.FieldErrors }

func (r *reading) date(field, s string) deal.Date {
	if s == "" {
		return deal.Date{}
	}
	d, err := deal.ParseDate(s)
	if err != nil {
		r.wrong.Add(field, "%s", clip(err.Error()))
	}
	return d
}

// maxDigits bounds the text of an amount before it is parsed.
const maxDigits = 40

func (r *reading) money(field string, m api.Money) deal.Money {
	if m == (api.Money{}) {
		return deal.Money{}
	}
	if len(m.Value) > maxDigits {
		r.wrong.Add(field+".value", "has too many digits")
		return deal.Money{}
	}
	out, err := deal.ParseMoney(m.Value, m.Currency)
	if err != nil {
		r.wrong.Add(field+".value", "%s", clip(err.Error()))
		return deal.Money{}
	}
	return out
}

// clip keeps a caller's text in an error short.
func clip(s string) string {
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}

func toSite(s api.Site) deal.Site {
	return deal.Site{Name: s.Name, Street: s.Street, City: s.City, Region: s.Region, PostalCode: s.PostalCode, Country: s.Country}
}

// toFiling maps a registration as filed.
func toFiling(in *api.RegistrationInput) (deal.Filing, deal.FieldErrors) {
	var r reading
	c := in.Customer
	f := deal.Filing{
		PartnerID: in.PartnerID, DistributorID: in.DistributorID, Type: string(in.Type),
		Customer: deal.Customer{
			Name: c.Name, AccountID: c.AccountID, Domain: c.Domain, Website: c.Website, Country: c.Country, Region: c.Region,
			City: c.City, PostalCode: c.PostalCode, Street: c.Street, Phone: c.Phone, TaxID: c.TaxID, DUNS: c.DUNS, LEI: c.LEI,
			Parent: c.Parent, Industry: c.Industry, Employees: c.Employees, AnnualRevenue: r.money("customer.annual_revenue", c.AnnualRevenue),
			ShipTo: toSite(c.ShipTo),
		},
		Contact:           deal.Contact{Name: in.Contact.Name, Email: in.Contact.Email, Title: in.Contact.Title, Phone: in.Contact.Phone},
		Amount:            r.money("amount", in.Amount),
		ExpectedCloseDate: r.date("expected_close_date", in.ExpectedCloseDate),
		Description:       in.Description,
		Tender: deal.Tender{
			IsTender: in.Tender.IsTender, Number: in.Tender.Number, PublishedAt: r.date("tender.published_at", in.Tender.PublishedAt),
			ContractVehicle: in.Tender.ContractVehicle,
		},
		Competing: in.CompetingOffers, ExternalID: in.ExternalID, Custom: in.Custom,
	}
	for i, p := range in.Products {
		f.Products = append(f.Products, deal.Product{SKU: p.SKU, Line: p.Line, Quantity: p.Quantity, Amount: r.money(fmt.Sprintf("products[%d].amount", i), p.Amount)})
	}
	for _, s := range in.Sites {
		f.Sites = append(f.Sites, toSite(s))
	}
	f.Evidence = r.evidence(in.Evidence)
	return f, r.wrong
}

func (r *reading) evidence(in []api.Evidence) (out []deal.Evidence) {
	for i, v := range in {
		out = append(out, deal.Evidence{Kind: string(v.Kind), Date: r.date(fmt.Sprintf("evidence[%d].date", i), v.Date), By: v.By, Text: v.Text, FileRef: v.FileRef})
	}
	return out
}

// toEvidence maps evidence that comes by itself.
func toEvidence(in []api.Evidence) ([]deal.Evidence, deal.FieldErrors) {
	var r reading
	out := r.evidence(in)
	return out, r.wrong
}

func toAccount(id string, in *api.Account) (deal.Record, deal.FieldErrors) {
	var r reading
	a := &deal.Account{
		ID: cmp.Or(in.ID, id), Name: in.Name, Aliases: in.Aliases, Domain: in.Domain, Domains: in.Domains, Website: in.Website, Country: in.Country,
		Region: in.Region, City: in.City, PostalCode: in.PostalCode, Street: in.Street, Phone: in.Phone, TaxID: in.TaxID, DUNS: in.DUNS,
		LEI: in.LEI, ParentID: in.ParentID, Industry: in.Industry, Employees: in.Employees, AnnualRevenue: in.AnnualRevenue,
		Status: string(in.Status), Owner: in.Owner, Named: in.Named, LastContactAt: r.date("last_contact_at", in.LastContactAt),
	}
	return a, r.wrong
}

func toOpportunity(id string, in *api.Opportunity) (deal.Record, deal.FieldErrors) {
	var r reading
	o := &deal.Opportunity{
		ID: cmp.Or(in.ID, id), AccountID: in.AccountID, AccountName: in.AccountName, Name: in.Name, Stage: in.Stage, Status: string(in.Status),
		Amount: r.money("amount", in.Amount), CloseDate: r.date("close_date", in.CloseDate), CreatedAt: r.date("created_at", in.CreatedAt),
		LastActivityAt: r.date("last_activity_at", in.LastActivityAt), LedBy: string(in.LedBy), PartnerID: in.PartnerID, Owner: in.Owner, Lines: in.Lines,
	}
	return o, r.wrong
}

func toPartner(id string, in *api.Partner) (deal.Record, deal.FieldErrors) {
	var r reading
	p := &deal.Partner{
		ID: cmp.Or(in.ID, id), Name: in.Name, Type: string(in.Type), Tier: in.Tier, Status: string(in.Status), Country: in.Country,
		Countries: in.Countries, Lines: in.Lines, DistributorID: in.DistributorID, Domain: in.Domain,
		AgreementSignedAt: r.date("agreement_signed_at", in.AgreementSignedAt), TrainedStaff: in.TrainedStaff, CreditHold: in.CreditHold,
	}
	return p, r.wrong
}

func toPerson(id string, in *api.Person) (deal.Record, deal.FieldErrors) {
	var r reading
	p := &deal.Person{
		ID: cmp.Or(in.ID, id), Name: in.Name, Email: in.Email, Queues: in.Queues, Authority: r.money("authority", in.Authority), Manager: in.Manager,
		AwayUntil: r.date("away_until", in.AwayUntil),
	}
	for _, role := range in.Roles {
		p.Roles = append(p.Roles, string(role))
	}
	return p, r.wrong
}

func toProduct(id string, in *api.Product) deal.Record {
	return &deal.CatalogueProduct{SKU: cmp.Or(in.SKU, id), Line: in.Line, Class: in.Class, Core: in.Core}
}

func toRate(_ string, in *api.Rate) (deal.Record, deal.FieldErrors) {
	var r reading
	rate := &deal.Rate{Date: r.date("date", in.Date), From: in.From, To: in.To, Rate: in.Rate}
	if len(in.Rate) > maxDigits {
		r.wrong.Add("rate", "has too many digits")
	}
	return rate, r.wrong
}

// keyView is an API key as an admin sees it. The hash of its secret stays inside.
func keyView(k deal.Key) api.Key {
	return api.Key{ID: k.ID, Role: api.KeyRole(k.Role), PartnerIds: k.PartnerIDs, PersonID: k.PersonID, Note: k.Note, CreatedAt: k.CreatedAt, RevokedAt: k.RevokedAt}
}
