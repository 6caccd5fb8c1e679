package world

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
)

// The accounts the examples are about, all in Germany. The first two are in partner territory, neither is named or has
// a relative, and no other account's name is like theirs; the third is a named account and nothing else.
const (
	cleanName  = "Nordzucker AG"
	directName = "August Storck KG"
	namedName  = "Siemens Energy"
)

// Example is a registration the demo offers to file, and what it is for.
type Example struct {
	Title     string
	Expect    string // the outcome under the default rules: protect, route or escalate
	PartnerID string
	Filing    deal.Filing
}

// Examples returns registrations to file, in this order, as of now: each does what it says under the default rules
// when the ones before it have been filed.
func Examples(now time.Time) []Example {
	today := now.UTC().Truncate(24 * time.Hour)
	filing := func(partner string, c deal.Customer, contact deal.Contact, external string, sku, line string, quantity, amount int64) deal.Filing {
		money := deal.Money{Value: decimal.NewFromInt(amount), Currency: "EUR"}
		return deal.Filing{
			PartnerID: partner, Type: "new_business", Customer: c, Contact: contact, ExternalID: external, Amount: money,
			Products:          []deal.Product{{SKU: sku, Line: line, Quantity: quantity, Amount: money}},
			ExpectedCloseDate: days(today, 75),
			Description:       "Replacement of the existing " + line + " estate; budget confirmed for the coming quarter.",
			Evidence: []deal.Evidence{{
				Kind: "meeting", Date: days(today, -6), By: contact.Name,
				Text: "First meeting at the customer's site: requirements, budget and time frame agreed with the head of IT.",
			}},
		}
	}
	it := func(name, mail string) deal.Contact {
		return deal.Contact{Name: name, Email: mail, Title: "Head of IT"}
	}
	return []Example{
		{
			Title: "A new customer in partner territory: protected", Expect: string(deal.Protect), PartnerID: "P-001",
			Filing: filing("P-001", deal.Customer{Name: cleanName, Domain: "nordzucker.com", Country: "DE", City: "Braunschweig", Industry: "manufacturing", Employees: 820},
				it("Jonas Brandt", "it@nordzucker.com"), "portal-4711", "FW-200", "firewall", 40, 120_000),
		},
		{
			Title: "The same customer, misspelt and under another legal form, from another partner: waitlisted, naming nobody", Expect: string(deal.RouteTo), PartnerID: "P-002",
			Filing: func() deal.Filing {
				f := filing("P-002", deal.Customer{Name: "Nord-Zuker GmbH", Domain: "nordzucker.com", Country: "DE", City: "Braunschweig", Employees: 800},
					it("J. Brandt", "it@nordzucker.com"), "rb-2026-88", "FW-400", "firewall", 12, 95_000)
				f.DistributorID = "D-001"
				return f
			}(),
		},
		{
			Title: "A named account: referred to the direct team", Expect: string(deal.RouteTo), PartnerID: "P-004",
			Filing: filing("P-004", deal.Customer{Name: "Siemens Energy AG", Domain: "siemens-energy.com", Country: "DE", City: "München", PostalCode: "81739", Industry: "energy", Employees: 90_000},
				it("Erika Mustermann", "it@siemens-energy.com"), "alp-17", "SW-9600", "network", 60, 240_000),
		},
		{
			Title: "A relative, by its name, of a customer another partner holds: escalated to a person", Expect: string(deal.Escalate), PartnerID: "P-004",
			// No domain and no e-mail address: they would settle it, one way or the other.
			Filing: filing("P-004", deal.Customer{Name: "Nordzucker Holding AG", Country: "DE", City: "Hannover", Industry: "manufacturing", Employees: 60},
				deal.Contact{Name: "Petra Lange", Title: "Managing director", Phone: "+49 511 5550142"}, "alp-18", "FW-100", "firewall", 8, 60_000),
		},
		{
			Title: "The vendor's own team is at it already: passed to them, to sell together", Expect: string(deal.RouteTo), PartnerID: "P-001",
			Filing: filing("P-001", deal.Customer{Name: directName, Domain: "storck.com", Country: "DE", City: "Berlin", Industry: "manufacturing", Employees: 640},
				it("Sabine Krüger", "it@storck.com"), "portal-4712", "FW-400", "firewall", 20, 150_000),
		},
	}
}
