package world

import (
	"fmt"
	"iter"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Products yields the price list: the core products are those a deal protection is about.
func Products() iter.Seq[*deal.CatalogueProduct] {
	return func(yield func(*deal.CatalogueProduct) bool) {
		for _, g := range catalogue {
			for _, sku := range g.skus {
				if !yield(&deal.CatalogueProduct{SKU: sku, Line: g.line, Class: g.class, Core: g.core}) {
					return
				}
			}
		}
	}
}

var catalogue = []struct {
	line, class string
	core        bool
	skus        []string
}{
	{"network", "hardware", true, []string{"SW-2400", "SW-4800", "SW-9600", "RT-100", "RT-400", "AP-20", "AP-60"}},
	{"network", "accessory", false, []string{"SFP-10", "PSU-750"}},
	{"firewall", "hardware", true, []string{"FW-100", "FW-200", "FW-400", "FW-800"}},
	{"firewall", "subscription", true, []string{"FW-TP-1Y", "FW-TP-3Y"}},
	{"security", "subscription", true, []string{"SIEM-S", "SIEM-M", "SIEM-L", "IDM-100", "IDM-1000", "MAIL-SEC"}},
	{"endpoint", "subscription", true, []string{"EP-STD", "EP-PRO", "EP-SRV", "EP-MOB"}},
	{"cloud", "subscription", true, []string{"CL-GATE", "CL-BACKUP", "CL-WAF", "CL-SASE-100", "CL-SASE-1000"}},
	{"cloud", "consumption", false, []string{"CL-STORE", "CL-EGRESS"}},
	{"services", "service", false, []string{"SV-INSTALL", "SV-DESIGN", "SV-MIGRATE", "SV-AUDIT"}},
	{"services", "support", false, []string{"SV-SUP-8X5", "SV-SUP-24X7", "SV-TAM"}},
	{"services", "training", false, []string{"SV-TRAIN"}},
}

// Rates yields one rate a month between the euro and each other currency, both ways, from January 2025 to December
// 2026. The figures are illustrative: of a plausible size, drifting by a fixed formula, and nobody's quotation. A
// rate holds from its day on, so the last ones hold for every later day.
func Rates() iter.Seq[*deal.Rate] {
	return func(yield func(*deal.Rate) bool) {
		one := decimal.NewFromInt(1)
		for month := range 24 {
			date := day(fmt.Sprintf("%d-%02d-01", 2025+month/12, month%12+1))
			for i, c := range euroIn {
				drift := (month*(7+2*i)+5*i)%41 - 20 // in thousandths
				rate := decimal.RequireFromString(c.rate).Mul(decimal.New(int64(1000+drift), -3)).Round(4)
				if !yield(&deal.Rate{Date: date, From: "EUR", To: c.currency, Rate: rate.String()}) ||
					!yield(&deal.Rate{Date: date, From: c.currency, To: "EUR", Rate: one.DivRound(rate, 8).String()}) {
					return
				}
			}
		}
	}
}

// euroIn are the rates the monthly ones drift around: what one euro is.
var euroIn = []struct{ currency, rate string }{
	{"USD", "1.12"}, {"GBP", "0.86"}, {"CHF", "0.94"}, {"JPY", "165"}, {"CAD", "1.55"}, {"AUD", "1.74"},
}

// currencyOf is what deals in a country are priced in: the euro wherever no rate of its own currency is known.
func currencyOf(country string) string {
	switch country {
	case "US", "MX", "BR", "AR", "CL":
		return "USD"
	case "GB":
		return "GBP"
	case "CH":
		return "CHF"
	case "JP":
		return "JPY"
	case "CA":
		return "CAD"
	case "AU", "NZ":
		return "AUD"
	}
	return "EUR"
}
