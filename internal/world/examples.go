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

// filing is a registration of one product.
func filing(today time.Time, partner string, c deal.Customer, contact deal.Contact, external, sku, line string, quantity, amount int64) deal.Filing {
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

func headOfIT(name, mail string) deal.Contact {
	return deal.Contact{Name: name, Email: mail, Title: "Head of IT"}
}

// Waiting returns registrations of which four wait at the desk, as of now, under the default rules when the ones before have been
// filed: each says in what was filed how it is to be answered. None is about a customer of the examples.
func Waiting(now time.Time) []Example {
	today := now.UTC().Truncate(24 * time.Hour)
	yard := deal.Customer{Name: "Elbquell Schiffswerft GmbH", Domain: "elbquell-werft.example", Country: "DE", City: "Hamburg", PostalCode: "20457", Industry: "manufacturing", Employees: 420}
	maker := deal.Customer{Name: "Marschner Feinmechanik AG", Domain: "marschner-feinmechanik.example", Country: "DE", City: "Jena", PostalCode: "07745", Industry: "manufacturing", Employees: 240}
	like := func(f deal.Filing, description, meeting string) deal.Filing {
		f.Description, f.Evidence[0].Text = description, meeting
		return f
	}
	with := func(f deal.Filing, sku, line string, quantity, amount int64) deal.Filing {
		p := deal.Product{SKU: sku, Line: line, Quantity: quantity, Amount: deal.Money{Value: decimal.NewFromInt(amount), Currency: "EUR"}}
		f.Products, f.Amount.Value = append(f.Products, p), f.Amount.Value.Add(p.Amount.Value)
		return f
	}
	rival := with(like(filing(today, "P-006", deal.Customer{Name: "Torfhaus Käsemanufaktur eG", Domain: "torfhaus-kaese.example", Country: "DE", City: "Oldenburg", Industry: "food", Employees: 160},
		headOfIT("Wiebke Janßen", "it@torfhaus-kaese.example"), "kw-0311", "EP-PRO", "endpoint", 160, 18_000),
		"Endpoint protection and its operation. The customer asked for a second offer of another maker, for comparison only.",
		"The customer prefers our offer; the rival's is there because the buyer needs two."), "SV-INSTALL", "services", 1, 9_000)
	rival.Competing = []string{"Sentrafort"}
	return []Example{
		{
			Title: "A shipyard's firewalls: protected", Expect: string(deal.Protect), PartnerID: "P-002",
			Filing: func() deal.Filing {
				f := filing(today, "P-002", yard, headOfIT("Hauke Petersen", "it@elbquell-werft.example"), "rb-2026-61", "FW-200", "firewall", 24, 84_000)
				f.DistributorID = "D-001"
				return f
			}(),
		},
		{
			Title: "The shipyard's holding, for the same firewalls: the same deal, so it waits in line", Expect: string(deal.Escalate), PartnerID: "P-003",
			Filing: like(filing(today, "P-003", deal.Customer{Name: "Elbquell Schiffswerft Holding SE", Country: "DE", City: "Bremen", Industry: "manufacturing", Employees: 40},
				deal.Contact{Name: "Dörte Claasen", Title: "Buyer", Phone: "+49 40 5550188"}, "isar-2207", "FW-200", "firewall", 24, 79_000),
				"The 24 firewalls of the Elbquell yard in Hamburg; the holding only signs.", "The yard's own IT, Hauke Petersen, decides what is bought."),
		},
		{
			Title: "An instrument maker's firewalls: protected", Expect: string(deal.Protect), PartnerID: "P-004",
			Filing: filing(today, "P-004", maker, headOfIT("Ruth Marschner", "it@marschner-feinmechanik.example"), "alp-05", "FW-100", "firewall", 10, 31_000),
		},
		{
			Title: "The instrument maker again, for endpoints beside firewalls: only the endpoints are free", Expect: string(deal.Escalate), PartnerID: "P-001",
			Filing: with(like(filing(today, "P-001", maker, headOfIT("Ruth Marschner", "it@marschner-feinmechanik.example"), "portal-4698", "FW-100", "firewall", 2, 6_000),
				"Endpoint protection for both works, and two firewalls for the new one.", "The endpoints are a project of their own, and nobody else has talked to them about it."), "EP-PRO", "endpoint", 240, 26_000),
		},
		{
			Title: "A large deal of a new customer, with nothing against it: two people protect it", Expect: string(deal.Escalate), PartnerID: "P-004",
			Filing: like(filing(today, "P-004", deal.Customer{Name: "Klinikverbund Rabenau gGmbH", Domain: "klinikverbund-rabenau.example", Country: "DE", City: "Freital", Industry: "healthcare", Employees: 900},
				headOfIT("Dr. Anja Wolff", "it@klinikverbund-rabenau.example"), "alp-09", "SW-9600", "network", 80, 320_000),
				"New network of four hospitals. Nobody of the vendor knows them yet.", "The board has approved the budget; the minutes are with us."),
		},
		{
			Title: "A deal for which the partner offers a rival, too: a channel manager decides", Expect: string(deal.Escalate), PartnerID: "P-006",
			Filing: rival,
		},
	}
}

// Examples returns registrations to file, in this order, as of now: each does what it says under the default rules
// when the ones before it have been filed.
func Examples(now time.Time) []Example {
	today := now.UTC().Truncate(24 * time.Hour)
	filing := func(partner string, c deal.Customer, contact deal.Contact, external, sku, line string, quantity, amount int64) deal.Filing {
		return filing(today, partner, c, contact, external, sku, line, quantity, amount)
	}
	it := headOfIT
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
