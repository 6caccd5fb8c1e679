package world

import (
	"iter"
	"slices"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Tiers are the tiers of the partners, the lowest first, and Lines the product lines.
var (
	Tiers = []string{"registered", "silver", "gold", "platinum"}
	Lines = []string{"network", "security", "cloud", "services", "firewall", "endpoint"}
)

// Partners yields the two distributors and the partners, of every type, tier and status.
func Partners() iter.Seq[*deal.Partner] {
	return func(yield func(*deal.Partner) bool) {
		for i := range partners {
			p := partners[i]
			p.Countries, p.Lines = slices.Clone(p.Countries), slices.Clone(p.Lines)
			if p.Status == "" {
				p.Status = "active"
			}
			if !yield(&p) {
				return
			}
		}
	}
}

var (
	dach    = []string{"DE", "AT", "CH", "LU"}
	nordics = []string{"SE", "NO", "DK", "FI"}
	benelux = []string{"NL", "BE", "LU"}
	iberia  = []string{"ES", "PT"}
	north   = []string{"US", "CA"}
	oceania = []string{"AU", "NZ"}
)

var partners = []deal.Partner{
	{ID: "D-001", Name: "Transalpina Distribution GmbH", Type: "distributor", Tier: "platinum", Country: "DE", Domain: "transalpina.example", AgreementSignedAt: day("2019-02-01"), TrainedStaff: 40},
	{ID: "D-002", Name: "Lakeshore Wholesale Inc", Type: "distributor", Tier: "gold", Country: "US", Countries: []string{"US", "CA", "MX"}, Domain: "lakeshore-wholesale.example", AgreementSignedAt: day("2020-06-15"), TrainedStaff: 25},

	{ID: "P-001", Name: "Nordlicht Systemhaus GmbH", Type: "var", Tier: "platinum", Country: "DE", Countries: dach, Domain: "nordlicht-systemhaus.example", AgreementSignedAt: day("2021-03-01"), TrainedStaff: 24},
	{ID: "P-002", Name: "Rheinbogen IT AG", Type: "reseller", Tier: "gold", Country: "DE", Countries: dach, DistributorID: "D-001", Domain: "rheinbogen.example", AgreementSignedAt: day("2022-01-10"), TrainedStaff: 9},
	{ID: "P-003", Name: "Isarblick Consulting GmbH", Type: "consultant", Tier: "silver", Country: "DE", Countries: dach, Domain: "isarblick.example", AgreementSignedAt: day("2023-05-20"), TrainedStaff: 4},
	{ID: "P-004", Name: "Alpenpanorama Networks AG", Type: "si", Tier: "gold", Country: "CH", Countries: []string{"CH", "AT", "DE"}, Domain: "alpenpanorama.example", AgreementSignedAt: day("2020-09-01"), TrainedStaff: 15},
	{ID: "P-005", Name: "Donaukante Security e.U.", Type: "reseller", Tier: "registered", Country: "AT", Countries: []string{"AT"}, Lines: []string{"security", "firewall", "endpoint"}, DistributorID: "D-001", Domain: "donaukante.example", AgreementSignedAt: day("2024-11-04"), TrainedStaff: 2},
	{ID: "P-006", Name: "Kanalwerk Managed Services GmbH", Type: "msp", Tier: "silver", Country: "DE", Countries: []string{"DE"}, Lines: []string{"cloud", "services", "endpoint"}, Domain: "kanalwerk.example", AgreementSignedAt: day("2023-08-01"), TrainedStaff: 7},
	{ID: "P-007", Name: "Ostwind Datentechnik KG", Type: "reseller", Tier: "registered", Country: "DE", Countries: []string{"DE"}, Status: "suspended", DistributorID: "D-001", Domain: "ostwind.example", AgreementSignedAt: day("2022-04-01"), TrainedStaff: 1},

	{ID: "P-010", Name: "Harbour & Finch Ltd", Type: "var", Tier: "platinum", Country: "GB", Countries: []string{"GB", "IE"}, Domain: "harbourfinch.example", AgreementSignedAt: day("2020-01-15"), TrainedStaff: 22},
	{ID: "P-011", Name: "Pennine Cloud Ltd", Type: "msp", Tier: "gold", Country: "GB", Countries: []string{"GB"}, Lines: []string{"cloud", "services", "security"}, Domain: "penninecloud.example", AgreementSignedAt: day("2021-11-30"), TrainedStaff: 12},
	{ID: "P-012", Name: "Thistle Integration plc", Type: "si", Tier: "silver", Country: "GB", Countries: []string{"GB"}, Domain: "thistle-integration.example", AgreementSignedAt: day("2023-02-14"), TrainedStaff: 6},
	{ID: "P-013", Name: "Liffey Systems Ltd", Type: "reseller", Tier: "gold", Country: "IE", Countries: []string{"IE"}, Domain: "liffey-systems.example", AgreementSignedAt: day("2021-07-01"), TrainedStaff: 8},
	{ID: "P-014", Name: "Old Quay Trading Ltd", Type: "reseller", Tier: "registered", Country: "GB", Countries: []string{"GB"}, Status: "terminated", Domain: "oldquay.example", AgreementSignedAt: day("2018-05-05")},

	{ID: "P-020", Name: "Rive Gauche Réseaux SAS", Type: "var", Tier: "gold", Country: "FR", Countries: []string{"FR", "BE", "LU"}, Domain: "rivegauche.example", AgreementSignedAt: day("2021-09-09"), TrainedStaff: 14},
	{ID: "P-021", Name: "Garonne Conseil SARL", Type: "consultant", Tier: "silver", Country: "FR", Countries: []string{"FR"}, Domain: "garonne-conseil.example", AgreementSignedAt: day("2022-10-03"), TrainedStaff: 3},
	{ID: "P-022", Name: "Mistral Sécurité SA", Type: "reseller", Tier: "silver", Country: "FR", Countries: []string{"FR"}, Lines: []string{"security", "firewall", "endpoint"}, DistributorID: "D-001", Domain: "mistral-securite.example", AgreementSignedAt: day("2023-12-01"), TrainedStaff: 5},
	{ID: "P-023", Name: "Polder Netwerken BV", Type: "si", Tier: "gold", Country: "NL", Countries: benelux, Domain: "polder-netwerken.example", AgreementSignedAt: day("2020-05-11"), TrainedStaff: 11},
	{ID: "P-024", Name: "Meseta Tecnología SL", Type: "reseller", Tier: "silver", Country: "ES", Countries: iberia, DistributorID: "D-001", Domain: "meseta.example", AgreementSignedAt: day("2023-03-17"), TrainedStaff: 4},
	{ID: "P-025", Name: "Adriatica Informatica Srl", Type: "var", Tier: "silver", Country: "IT", Countries: []string{"IT"}, Domain: "adriatica.example", AgreementSignedAt: day("2022-06-21"), TrainedStaff: 5, CreditHold: true},
	{ID: "P-026", Name: "Fjordlys Drift AS", Type: "msp", Tier: "gold", Country: "NO", Countries: nordics, Domain: "fjordlys.example", AgreementSignedAt: day("2021-01-20"), TrainedStaff: 10},
	{ID: "P-027", Name: "Suomen Silta Oy", Type: "reseller", Tier: "registered", Country: "FI", Countries: []string{"FI"}, DistributorID: "D-001", Domain: "suomensilta.example", AgreementSignedAt: day("2025-01-08"), TrainedStaff: 2},
	{ID: "P-028", Name: "Wisła Systemy Sp. z o.o.", Type: "reseller", Tier: "silver", Country: "PL", Countries: []string{"PL", "CZ", "HU"}, Domain: "wisla-systemy.example", AgreementSignedAt: day("2023-09-01"), TrainedStaff: 6},

	{ID: "P-030", Name: "Cedar Ridge Technology LLC", Type: "var", Tier: "platinum", Country: "US", Countries: north, Domain: "cedarridge.example", AgreementSignedAt: day("2019-10-01"), TrainedStaff: 35},
	{ID: "P-031", Name: "Blue Mesa Integrators Inc", Type: "si", Tier: "gold", Country: "US", Countries: []string{"US"}, Domain: "bluemesa.example", AgreementSignedAt: day("2021-04-12"), TrainedStaff: 18},
	{ID: "P-032", Name: "Tidewater Managed IT LLC", Type: "msp", Tier: "silver", Country: "US", Countries: []string{"US"}, Lines: []string{"cloud", "services", "endpoint", "security"}, DistributorID: "D-002", Domain: "tidewater-it.example", AgreementSignedAt: day("2022-08-08"), TrainedStaff: 7},
	{ID: "P-033", Name: "Prairie Lantern Solutions Inc", Type: "reseller", Tier: "silver", Country: "US", Countries: []string{"US"}, DistributorID: "D-002", Domain: "prairielantern.example", AgreementSignedAt: day("2023-06-30"), TrainedStaff: 4},
	{ID: "P-034", Name: "Gulfline Data Corp", Type: "reseller", Tier: "registered", Country: "US", Countries: []string{"US"}, DistributorID: "D-002", Domain: "gulfline.example", AgreementSignedAt: day("2024-02-19"), TrainedStaff: 2},
	{ID: "P-035", Name: "Cascadia Referral Partners LLC", Type: "referral", Tier: "registered", Country: "US", Countries: north, Domain: "cascadia-referral.example", AgreementSignedAt: day("2024-05-01")},
	{ID: "P-036", Name: "Stackport Marketplace Inc", Type: "marketplace", Tier: "gold", Country: "US", Lines: []string{"cloud", "security"}, Domain: "stackport.example", AgreementSignedAt: day("2022-12-12"), TrainedStaff: 9},
	{ID: "P-037", Name: "Lumen Oak Software Inc", Type: "isv", Tier: "silver", Country: "US", Countries: north, Lines: []string{"cloud", "services"}, Domain: "lumenoak.example", AgreementSignedAt: day("2023-01-23"), TrainedStaff: 5},
	{ID: "P-038", Name: "Érable Technologies Inc", Type: "var", Tier: "gold", Country: "CA", Countries: []string{"CA"}, Domain: "erable.example", AgreementSignedAt: day("2021-05-25"), TrainedStaff: 13},
	{ID: "P-039", Name: "Sertão Sistemas Ltda", Type: "reseller", Tier: "silver", Country: "BR", Countries: []string{"BR", "AR", "CL"}, Domain: "sertao.example", AgreementSignedAt: day("2023-07-07"), TrainedStaff: 5},

	{ID: "P-040", Name: "Hinode Network KK", Type: "si", Tier: "platinum", Country: "JP", Countries: []string{"JP"}, Domain: "hinode.example", AgreementSignedAt: day("2020-04-01"), TrainedStaff: 30},
	{ID: "P-041", Name: "Seto Solutions KK", Type: "reseller", Tier: "silver", Country: "JP", Countries: []string{"JP"}, Domain: "seto-solutions.example", AgreementSignedAt: day("2022-04-01"), TrainedStaff: 6},
	{ID: "P-042", Name: "Hangang Systems Co Ltd", Type: "reseller", Tier: "silver", Country: "KR", Countries: []string{"KR"}, Domain: "hangang.example", AgreementSignedAt: day("2023-10-10"), TrainedStaff: 4},
	{ID: "P-043", Name: "Wattle Park IT Pty Ltd", Type: "var", Tier: "gold", Country: "AU", Countries: oceania, Domain: "wattlepark.example", AgreementSignedAt: day("2021-02-02"), TrainedStaff: 12},
	{ID: "P-044", Name: "Aoraki Networks Ltd", Type: "msp", Tier: "silver", Country: "NZ", Countries: []string{"NZ"}, Domain: "aoraki.example", AgreementSignedAt: day("2022-03-15"), TrainedStaff: 4},
	{ID: "P-045", Name: "Deccan Infosystems Pvt Ltd", Type: "si", Tier: "gold", Country: "IN", Countries: []string{"IN", "SG"}, Domain: "deccan.example", AgreementSignedAt: day("2021-08-16"), TrainedStaff: 16},
	{ID: "P-046", Name: "Karoo Digital (Pty) Ltd", Type: "other", Tier: "registered", Country: "ZA", Countries: []string{"ZA"}, Status: "suspended", Domain: "karoo.example", AgreementSignedAt: day("2024-03-03"), TrainedStaff: 1},
	{ID: "P-047", Name: "Newhaven Start-up Services GmbH", Type: "reseller", Tier: "registered", Country: "DE", Countries: []string{"DE"}, Domain: "newhaven.example", TrainedStaff: 1}, // no agreement signed yet
}
