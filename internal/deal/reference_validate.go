package deal

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/shopspring/decimal"
)

func (e *FieldErrors) id(field, id string) {
	if id == "" {
		e.Add(field, "is required")
	}
	if strings.ContainsFunc(id, unicode.IsSpace) && strings.TrimSpace(id) != id {
		e.Add(field, "must not begin or end with a space")
	}
	e.text(field, id, MaxName)
}

// texts checks a list of short texts.
func (e *FieldErrors) texts(field string, list []string) {
	e.count(field, len(list), 1000)
	for i, s := range list {
		e.text(fmt.Sprintf("%s[%d]", field, i), s, MaxText)
	}
}

func (e *FieldErrors) country(field, code string) {
	if code != "" && !IsCountry(code) {
		e.Add(field, "%q is not an ISO 3166-1 alpha-2 country code such as DE or US", code)
	}
}

// Validate reports everything wrong with the account.
func (a *Account) Validate() FieldErrors {
	var e FieldErrors
	a.Country = strings.ToUpper(a.Country)
	a.Region = CanonicalRegion(a.Country, a.Region)
	e.id("id", a.ID)
	if strings.TrimSpace(a.Name) == "" {
		e.Add("name", "is required")
	}
	e.each("", []named{{"name", a.Name}, {"domain", a.Domain}, {"website", a.Website}, {"region", a.Region}, {"city", a.City},
		{"postal_code", a.PostalCode}, {"street", a.Street}, {"phone", a.Phone}, {"tax_id", a.TaxID}, {"duns", a.DUNS}, {"lei", a.LEI},
		{"industry", a.Industry}, {"owner", a.Owner}, {"parent_id", a.ParentID}}, MaxText)
	e.texts("aliases", a.Aliases)
	e.texts("domains", a.Domains)
	e.country("country", a.Country)
	e.oneOf("status", a.Status, AccountStatuses)
	if a.ParentID == a.ID && a.ID != "" {
		e.Add("parent_id", "an account cannot be its own parent; leave it empty where nobody is above it")
	}
	if a.Employees < 0 {
		e.Add("employees", "must not be negative")
	}
	if a.AnnualRevenue != "" {
		if d, err := decimal.NewFromString(a.AnnualRevenue); err != nil {
			e.Add("annual_revenue", "%q is not a decimal amount", a.AnnualRevenue)
		} else if d.Exponent() > 18 || d.Exponent() < -18 || d.NumDigits() > 30 {
			e.Add("annual_revenue", "has too many digits")
		} else if d.IsNegative() {
			e.Add("annual_revenue", "must not be negative")
		}
	}
	return e
}

// Validate reports everything wrong with the opportunity.
func (o *Opportunity) Validate() FieldErrors {
	var e FieldErrors
	e.id("id", o.ID)
	if o.AccountID == "" && strings.TrimSpace(o.AccountName) == "" {
		e.Add("account_id", "give an account_id or an account_name")
	}
	e.each("", []named{{"account_id", o.AccountID}, {"account_name", o.AccountName}, {"name", o.Name}, {"stage", o.Stage},
		{"partner_id", o.PartnerID}, {"owner", o.Owner}}, MaxText)
	if o.Status == "" {
		o.Status = "open"
	}
	if o.LedBy == "" {
		o.LedBy = "direct"
		if o.PartnerID != "" {
			o.LedBy = "partner"
		}
	}
	e.oneOf("status", o.Status, OpportunityStatuses)
	e.oneOf("led_by", o.LedBy, OpportunityLeads)
	if o.LedBy == "partner" && o.PartnerID == "" {
		e.Add("partner_id", "is required when led_by is partner")
	}
	o.Amount.Validate(&e, "amount")
	e.texts("lines", o.Lines)
	return e
}

// Validate reports everything wrong with the partner.
func (p *Partner) Validate() FieldErrors {
	var e FieldErrors
	e.id("id", p.ID)
	if strings.TrimSpace(p.Name) == "" {
		e.Add("name", "is required")
	}
	e.text("name", p.Name, MaxText)
	e.text("tier", p.Tier, MaxName)
	e.text("domain", p.Domain, MaxName)
	if p.Status == "" {
		p.Status = "active"
	}
	if p.Type == "" {
		p.Type = "reseller"
	}
	e.oneOf("type", p.Type, PartnerTypes)
	e.oneOf("status", p.Status, PartnerStatuses)
	e.country("country", p.Country)
	for _, c := range p.Countries {
		e.country("countries", c)
	}
	e.count("countries", len(p.Countries), 1000)
	e.texts("lines", p.Lines)
	e.text("distributor_id", p.DistributorID, MaxName)
	if p.TrainedStaff < 0 {
		e.Add("trained_staff", "must not be negative")
	}
	if p.DistributorID == p.ID && p.ID != "" {
		e.Add("distributor_id", "a partner cannot be its own distributor")
	}
	return e
}

// Validate reports everything wrong with the person.
func (p *Person) Validate() FieldErrors {
	var e FieldErrors
	e.id("id", p.ID)
	if strings.TrimSpace(p.Name) == "" {
		e.Add("name", "is required")
	}
	e.text("name", p.Name, MaxText)
	e.text("email", p.Email, MaxName)
	for _, r := range p.Roles {
		if !slices.Contains(Roles, r) {
			e.Add("roles", "%q is not one of %s", r, strings.Join(Roles, ", "))
		}
	}
	e.count("roles", len(p.Roles), 1000)
	e.texts("queues", p.Queues)
	e.text("manager", p.Manager, MaxName)
	p.Authority.Validate(&e, "authority")
	if p.Manager == p.ID && p.ID != "" {
		e.Add("manager", "a person cannot be their own manager")
	}
	return e
}

// Validate reports everything wrong with the product.
func (p *CatalogueProduct) Validate() FieldErrors {
	var e FieldErrors
	e.id("sku", p.SKU)
	if p.Line == "" {
		e.Add("line", "is required")
	}
	e.text("line", p.Line, MaxName)
	e.text("class", p.Class, MaxName)
	return e
}

// Validate reports everything wrong with the rate.
func (r *Rate) Validate() FieldErrors {
	var e FieldErrors
	if r.Date.IsZero() {
		e.Add("date", "is required, as YYYY-MM-DD")
	}
	Money{Value: decimal.New(1, 0), Currency: r.From}.Validate(&e, "from")
	Money{Value: decimal.New(1, 0), Currency: r.To}.Validate(&e, "to")
	if r.From == r.To && r.From != "" {
		e.Add("to", "is %s, as from is: a rate is between two currencies", r.To)
	}
	if d, err := decimal.NewFromString(r.Rate); err != nil || !d.IsPositive() || d.Exponent() > 9 || d.Exponent() < -30 || d.NumDigits() > 30 {
		e.Add("rate", "%q is not a positive decimal", r.Rate)
	}
	return e
}

// planned is how far ahead a day may lie on which somebody last did something: CRMs count meetings that are in the calendar.
const planned = 365 * 24 * time.Hour

// Doubts says what the record has that is well-formed and cannot be, or may be and is not what it was meant to be, as of now: days still to
// come where only past ones are expected, and web domains that are nobody's.
func Doubts(rec Record, now time.Time) (wrong, doubts FieldErrors) {
	acted := func(field string, d Date) {
		switch {
		case d.After(now.Add(planned)):
			wrong.Add(field, "%s is more than a year ahead, and says when something was last done; correct it or leave it empty", d)
		case d.ahead(now):
			doubts.Add(field, "%s is still to come: until then it counts as done today", d)
		}
	}
	owned := func(field, domain string) {
		if nobodys(domain) {
			doubts.Add(field, "anybody can have a name under %s, so it tells nobody apart; give the organisation's own, as name.%s", host(domain), host(domain))
		}
	}
	switch r := rec.(type) {
	case *Account:
		owned("domain", r.Domain)
		for _, d := range r.Domains {
			owned("domains", d)
		}
		acted("last_contact_at", r.LastContactAt)
	case *Opportunity:
		acted("last_activity_at", r.LastActivityAt)
	case *Partner:
		owned("domain", r.Domain)
		if r.AgreementSignedAt.ahead(now) {
			doubts.Add("agreement_signed_at", "%s is still to come: until then the agreement counts as not signed", r.AgreementSignedAt)
		}
	case *Rate:
		if r.Date.ahead(now) {
			doubts.Add("date", "%s is still to come: until then the rate is not used", r.Date)
		}
	}
	return wrong, doubts
}

// ahead reports whether the day has begun nowhere on earth.
func (d Date) ahead(now time.Time) bool { return d.After(now.Add(14 * time.Hour)) }
