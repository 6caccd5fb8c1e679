package match

import (
	"slices"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
)

// TestFromFilingDomains lists each site once: a decision records what it used, and twice the same is not twice the
// evidence.
func TestFromFilingDomains(t *testing.T) {
	for _, c := range []struct {
		domain, website, email string
		domains                []string
		mail                   string
	}{
		{"siemens.com", "", "siemens.com", []string{"siemens.com"}, ""},
		{"siemens.com", "https://www.siemens.com/de", "", []string{"siemens.com"}, ""},
		{"Siemens.com", "siemens.com", "siemens.com", []string{"Siemens.com"}, ""},
		{"siemens.com", "https://siemens-energy.com", "", []string{"siemens.com", "https://siemens-energy.com"}, ""},
		{"", "https://www.siemens.com/de", "siemens.com", []string{"https://www.siemens.com/de"}, ""},
		{"intranet", "https://siemens.com", "", []string{"intranet", "https://siemens.com"}, ""},
		{"", "", "siemens.com", nil, "siemens.com"},
		{"", "", "", nil, ""},
	} {
		r := FromFiling(&deal.Filing{Customer: deal.Customer{Name: "Siemens", Domain: c.domain, Website: c.website}}, c.email)
		if !slices.Equal(r.Domains, c.domains) || r.MailDomain != c.mail {
			t.Errorf("domain %q, website %q, mail %q: domains %q, mail domain %q; want %q, %q", c.domain, c.website, c.email, r.Domains, r.MailDomain, c.domains, c.mail)
		}
	}
}
