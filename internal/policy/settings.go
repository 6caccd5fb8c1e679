package policy

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Anchors are the events a protection window can be counted from.
var Anchors = []string{"submission", "approval", "expected_close_date"}

// distinctFields are the fields, besides the policy's own, that can tell two claims on one customer apart.
var distinctFields = []string{"customer.domain", "tender.number", "contact.domain"}

// WaitlistOrders are the criteria by which those in line can be ordered before the order of filing.
var WaitlistOrders = []string{"incumbent", "letter", "meeting", "tier", "amount", "submitted"}

// Settings are what the engine must know of a policy besides its rules. Its slices must not be changed.
type Settings struct {
	Currency string         // ISO 4217; amounts are compared in it
	Timezone *time.Location // of the programme: where its days begin and end

	Tiers        []string // of partners, lowest first
	Lines        []string // product lines; empty: any
	Stages       []string // of sales, earliest first
	PublicSector []string // industries that count as public bodies

	Certain  float64 // probability from which two descriptions are one organisation
	Possible float64 // probability from which they may be
	// PossibleClaim is the same for another registration's customer. It is lower: a second holder of one deal costs more
	// than a look at two that turn out to be different.
	PossibleClaim float64
	FamilyScope   bool // a claim covers the customer's whole family of companies, not the one organisation

	ByClass    bool              // claims divide a product line by the classes of the catalogue; else they are for whole lines
	DistinctBy []string          // fields of the filing in which two claims, both of which give them all, are for different things
	Waitlist   []string          // in which order those in line are decided again, by WaitlistOrders or custom.NAME; empty: in order of filing
	OnPartner  map[string]string // what becomes of the protections of a partner that is suspended or terminated: keep, review or revoke
	Uncounted  []string          // classes of products that do not count towards reg.counted_amount
	MailDomain []string          // domains of mail services, which are no company's
	TwoPeople  bool              // who saves a version may not publish it

	// A change of a filing's amount by no more than MaterialPercent of it is not material. What is changed materially is decided
	// again; KeepsPlace lets it keep its place in line when its customer stays the same.
	MaterialPercent float64
	KeepsPlace      bool

	ReasonPrefix string // of the policy's own reason codes; empty when it has none
	Custom       []CustomField
	Calendar     Calendar
}

// CustomField is a field of filings the policy declares.
type CustomField struct {
	Name     string   `json:"name"`
	Type     FactType `json:"type"` // bool, int, double, string or enum
	Values   []string `json:"values,omitempty"`
	Required bool     `json:"required,omitempty"`
	Doc      string   `json:"doc,omitempty"`
}

// Validate reports what is wrong with a filing's custom fields: unknown ones, and values of another type. A required
// one that is missing is not a matter of form; the policy returns such a filing.
func (s Settings) Validate(custom map[string]string) deal.FieldErrors {
	var e deal.FieldErrors
	for name, value := range custom {
		i := slices.IndexFunc(s.Custom, func(c CustomField) bool { return c.Name == name })
		if i < 0 {
			names := make([]string, len(s.Custom))
			for j, c := range s.Custom {
				names[j] = c.Name
			}
			if len(names) == 0 {
				e.Add("custom."+name, "is not declared by the policy, which declares no fields of its own")
			} else {
				e.Add("custom."+name, "is not declared by the policy; declared are: %s", strings.Join(names, ", "))
			}
			continue
		}
		if _, err := s.Custom[i].parse(value); err != nil {
			e.Add("custom."+name, "%v", err)
		}
	}
	slices.SortFunc(e, func(a, b deal.FieldError) int { return strings.Compare(a.Field, b.Field) })
	return e
}

// Weight says how much a field of the policy's own, as filed, counts among those in line: true before false, a larger number
// before a smaller, an earlier instant before a later, of an enum what it lists first; what is empty comes last.
func (s Settings) Weight(custom, value string) float64 {
	i := slices.IndexFunc(s.Custom, func(c CustomField) bool { return c.Name == custom })
	if i < 0 || value == "" {
		return math.Inf(-1)
	}
	c := s.Custom[i]
	v, err := c.parse(value)
	if err != nil {
		return math.Inf(-1)
	}
	switch x := v.(type) {
	case types.Bool:
		if !x {
			return 0
		}
		return 1
	case types.Int:
		return float64(x)
	case types.Double:
		if c.Type == Instant {
			return -float64(x)
		}
		return float64(x)
	}
	return -float64(slices.Index(c.Values, value))
}

// Tier returns the tier as the policy writes it and its rank from 0. A tier the policy does not know is returned as
// it is, with rank 0: an unknown tier earns nothing.
func (s Settings) Tier(name string) (string, int) { return place(s.Tiers, name, 0) }

// Stage returns the sales stage as the policy writes it and its place from 0; an unknown stage has place -1.
func (s Settings) Stage(name string) (string, int) { return place(s.Stages, name, -1) }

// Undeclared returns the field of a record that has what the policy, which declares such words, does not declare, and the word: the tier
// of a partner, the stage of an open opportunity. Nothing in the policy speaks of it. Empty: there is none.
func (s Settings) Undeclared(rec deal.Record) (field, word string) {
	var declared []string
	switch x := rec.(type) {
	case *deal.Partner:
		field, word, declared = "tier", x.Tier, s.Tiers
	case *deal.Opportunity:
		if x.Status == "open" {
			field, word, declared = "stage", x.Stage, s.Stages
		}
	}
	if word == "" || len(declared) == 0 {
		return "", ""
	}
	if _, at := place(declared, word, -1); at >= 0 {
		return "", ""
	}
	return field, word
}

// Misses says of a word of a field, which is undeclared, what there is instead.
func (s Settings) Misses(field, word string) string {
	declared := map[string][]string{"tier": s.Tiers, "stage": s.Stages}[field]
	return fmt.Sprintf("is %q, and the policy's settings have %s%s", word, strings.Join(declared, ", "), didYouMean(word, declared))
}

// place finds a name whatever its case, as exports of other systems spell it.
func place(list []string, name string, unknown int) (string, int) {
	for i, x := range list {
		if strings.EqualFold(x, strings.TrimSpace(name)) {
			return x, i
		}
	}
	return name, unknown
}

// IsPublicSector reports whether the industry counts as a public body.
func (s Settings) IsPublicSector(industry string) bool {
	_, i := place(s.PublicSector, industry, -1)
	return i >= 0
}

// Missing lists the standard fields of the filing that are empty, and the policy's own required ones, as reg.missing
// names them.
func (s Settings) Missing(f *deal.Filing) []string {
	var out []string
	need := func(name string, given bool) {
		if !given {
			out = append(out, name)
		}
	}
	c := &f.Customer
	need("customer.domain", c.Domain != "" || c.Website != "")
	need("customer.country", c.Country != "")
	need("customer.region", c.Region != "")
	need("customer.city", c.City != "")
	need("customer.postal_code", c.PostalCode != "")
	need("customer.street", c.Street != "")
	need("customer.phone", c.Phone != "")
	need("customer.tax_id", c.TaxID != "")
	need("customer.industry", c.Industry != "")
	need("customer.employees", c.Employees > 0)
	need("contact.name", f.Contact.Name != "")
	need("contact.email", f.Contact.Email != "")
	need("contact.title", f.Contact.Title != "")
	need("products", len(f.Products) > 0)
	need("sites", len(f.Sites) > 0)
	need("amount", !f.Amount.IsZero() || slices.ContainsFunc(f.Products, func(p deal.Product) bool { return !p.Amount.IsZero() }))
	need("expected_close_date", !f.ExpectedCloseDate.IsZero())
	need("description", f.Description != "")
	need("tender.number", f.Tender.Number != "")
	need("tender.published_at", !f.Tender.PublishedAt.IsZero())
	need("distributor_id", f.DistributorID != "")
	need("evidence", len(f.Evidence) > 0)
	for _, kind := range deal.EvidenceKinds {
		if kind != "other" {
			need("evidence."+kind, slices.ContainsFunc(f.Evidence, func(e deal.Evidence) bool { return e.Kind == kind }))
		}
	}
	need("competing_offers", len(f.Competing) > 0)
	need("external_id", f.ExternalID != "")
	return out
}
