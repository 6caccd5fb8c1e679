package intake

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Existing is a registration or protection that was granted before dibs came, with its own number and dates.
type Existing struct {
	Line           int // the physical line it starts at, counted from 1
	Number         string
	Status         deal.Status
	ReceivedAt     time.Time
	ProtectedFrom  time.Time // with a protection; the day it was received when the file does not say
	ProtectedUntil time.Time
	Filing         deal.Filing // normalised and valid as of ReceivedAt
}

// ReadRegistrations streams the existing registrations of r, in order, to yield, as Read does. A row needs number,
// partner_id, customer name, status and received_at, and protected_until when its status is protected or
// conditional. CSV has flat columns (customer_name, contact_email, lines); NDJSON takes those names too, and the
// nested form of a filing as the API has it.
func ReadRegistrations(r io.Reader, format string, yield func(Existing, *RowError) bool, opts ...Option) error {
	return read(r, registrations, format, func(line int, rec any, _ uint64, errs deal.FieldErrors) bool {
		if len(errs) > 0 {
			return yield(Existing{}, &RowError{line, errs})
		}
		e := *rec.(*Existing)
		e.Line = line
		return yield(e, nil)
	}, opts)
}

var registrations = func() *schema {
	customer := func(name string, where func(*deal.Customer) *string, also ...string) field {
		return text("customer_"+name, func(e *Existing) *string { return where(&e.Filing.Customer) }, also...)
	}
	s := &schema{
		scalars:  true,
		key:      []string{"number", "partner_id", "status", "received_at"},
		required: [][]string{{"number"}, {"partner_id"}, {"customer_name"}, {"status"}, {"received_at"}},
		empty:    func() any { return &Existing{} },
		fields: join([]field{
			text("number", func(e *Existing) *string { return &e.Number }, "registration_number", "deal_registration_number"),
			text("partner_id", func(e *Existing) *string { return &e.Filing.PartnerID }, "partner_account_id"),
			text("distributor_id", func(e *Existing) *string { return &e.Filing.DistributorID }),
			at("type", func(e *Existing) *string { return &e.Filing.Type }, asLower),
			at("status", func(e *Existing) *deal.Status { return &e.Status }, func(s string) (deal.Status, error) { return deal.Status(strings.ToLower(s)), nil }),
			at("received_at", func(e *Existing) *time.Time { return &e.ReceivedAt }, asTime, "submitted_at", "created_date"),
			at("protected_from", func(e *Existing) *time.Time { return &e.ProtectedFrom }, asTime),
			at("protected_until", func(e *Existing) *time.Time { return &e.ProtectedUntil }, asTime, "expiration_date", "expires_at"),
			customer("name", func(c *deal.Customer) *string { return &c.Name }, "account_name", "company"),
			customer("account_id", func(c *deal.Customer) *string { return &c.AccountID }, "account_id"),
			customer("domain", func(c *deal.Customer) *string { return &c.Domain }),
			customer("website", func(c *deal.Customer) *string { return &c.Website }, "website"),
			customer("country", func(c *deal.Customer) *string { return &c.Country }, "country"),
			customer("region", func(c *deal.Customer) *string { return &c.Region }, "region", "state"),
			customer("city", func(c *deal.Customer) *string { return &c.City }, "city"),
			customer("postal_code", func(c *deal.Customer) *string { return &c.PostalCode }, "postal_code"),
			customer("street", func(c *deal.Customer) *string { return &c.Street }, "street"),
			customer("phone", func(c *deal.Customer) *string { return &c.Phone }),
			customer("tax_id", func(c *deal.Customer) *string { return &c.TaxID }),
			customer("duns", func(c *deal.Customer) *string { return &c.DUNS }),
			customer("lei", func(c *deal.Customer) *string { return &c.LEI }),
			customer("parent", func(c *deal.Customer) *string { return &c.Parent }),
			customer("industry", func(c *deal.Customer) *string { return &c.Industry }),
			at("customer_employees", func(e *Existing) *int64 { return &e.Filing.Customer.Employees }, asInteger),
			text("contact_name", func(e *Existing) *string { return &e.Filing.Contact.Name }),
			text("contact_email", func(e *Existing) *string { return &e.Filing.Contact.Email }),
			text("contact_title", func(e *Existing) *string { return &e.Filing.Contact.Title }),
			text("contact_phone", func(e *Existing) *string { return &e.Filing.Contact.Phone }),
			at("lines", func(e *Existing) *[]deal.Product { return &e.Filing.Products }, func(s string) ([]deal.Product, error) {
				lines, err := asList(s)
				var out []deal.Product
				for _, l := range lines {
					out = append(out, deal.Product{Line: l})
				}
				return out, err
			}, "product_lines"),
		},
			amount("amount", "currency", func(e *Existing) *deal.Money { return &e.Filing.Amount }, []string{"estimated_deal_size"}, "CurrencyIsoCode"),
			[]field{
				at("expected_close_date", func(e *Existing) *deal.Date { return &e.Filing.ExpectedCloseDate }, asDate, "close_date", "estimated_close_date"),
				text("description", func(e *Existing) *string { return &e.Filing.Description }),
				text("external_id", func(e *Existing) *string { return &e.Filing.ExternalID }),
				text("tender_number", func(e *Existing) *string { return &e.Filing.Tender.Number }),
				nested("customer", func(e *Existing) *deal.Customer { return &e.Filing.Customer }),
				nested("contact", func(e *Existing) *deal.Contact { return &e.Filing.Contact }),
				nested("products", func(e *Existing) *[]deal.Product { return &e.Filing.Products }),
				nested("sites", func(e *Existing) *[]deal.Site { return &e.Filing.Sites }),
				nested("tender", func(e *Existing) *deal.Tender { return &e.Filing.Tender }),
				nested("evidence", func(e *Existing) *[]deal.Evidence { return &e.Filing.Evidence }),
				nested("competing_offers", func(e *Existing) *[]string { return &e.Filing.Competing }),
				nested("custom", func(e *Existing) *map[string]string { return &e.Filing.Custom }),
			}),
	}
	for i := range s.fields {
		if f := &s.fields[i]; f.name == "lines" { // a JSON array of lines, where the cell is a list
			f.json = func(rec any, raw []byte) error {
				var lines []string
				err := strict(raw, &lines)
				for _, l := range lines {
					rec.(*Existing).Filing.Products = append(rec.(*Existing).Filing.Products, deal.Product{Line: l})
				}
				return err
			}
		}
	}
	s.finish = func(rec any, present *uint64, errs deal.FieldErrors, o options) deal.FieldErrors {
		return finishExisting(rec.(*Existing), s, present, errs, o)
	}
	return s.index()
}()

// finishExisting checks a registration as of the day it was received, and its own dates against each other.
func finishExisting(e *Existing, s *schema, present *uint64, errs deal.FieldErrors, o options) deal.FieldErrors {
	f := &e.Filing
	out := settle(&f.Amount, "amount", *present&s.bit("amount") != 0, errs, o)
	if f.Type == "" {
		f.Type = "new_business"
	}
	f.Tender.IsTender = f.Tender.IsTender || f.Tender.Number != ""
	f.Customer.Country = country(f.Customer.Country)
	f.Customer.Region = region(f.Customer.Country, f.Customer.Region)
	f.Normalise()

	add := func(field, format string, args ...any) {
		if !reported(errs, field) {
			out.Add(field, format, args...)
		}
	}
	if e.Number == "" {
		add("number", "is required: the number the partner was given")
	} else if len([]rune(e.Number)) > deal.MaxName {
		add("number", "is longer than %d characters", deal.MaxName)
	}
	switch {
	case e.Status == "":
		add("status", "is required; one of %v", deal.Statuses)
	case !slices.Contains(deal.Statuses, e.Status):
		add("status", "%q is not one of %v", e.Status, deal.Statuses)
	}
	if e.ReceivedAt.IsZero() {
		add("received_at", "is required: the day, or the instant, it was received")
	}
	if e.Status == deal.StatusProtected || e.Status == deal.StatusConditional {
		if e.ProtectedUntil.IsZero() {
			add("protected_until", "is required with the status %s", e.Status)
		}
	}
	if !e.ProtectedUntil.IsZero() {
		if e.ProtectedFrom.IsZero() {
			e.ProtectedFrom = e.ReceivedAt
		}
		if !e.ProtectedUntil.After(e.ProtectedFrom) {
			add("protected_until", "is not after the protection's start, %s", e.ProtectedFrom.Format(time.RFC3339))
		}
	} else if !e.ProtectedFrom.IsZero() {
		add("protected_until", "is required with protected_from")
	}
	for _, w := range f.Validate(e.ReceivedAt) {
		if e.ReceivedAt.IsZero() && strings.Contains(w.Field, "date") {
			continue // there is nothing to measure it by
		}
		// A nested path is told in the words of the flat form too: customer.name is customer_name in CSV.
		flat := strings.Replace(w.Field, ".", "_", 1)
		if reported(errs, flat) || reported(errs, w.Field) || reported(out, w.Field) && root(w.Field) == "amount" {
			continue
		}
		if _, ok := s.byName[flat]; ok && *present&s.bit("customer") == 0 {
			w.Field = flat
		}
		out = append(out, w)
	}
	return out
}
