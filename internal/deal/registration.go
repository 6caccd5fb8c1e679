package deal

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
	"golang.org/x/text/unicode/norm"
)

// Limits of one filing. They bound the work and the storage one request can cause.
const (
	MaxName     = 200   // runes in a name, city, street, title or other single-line text
	MaxText     = 4_000 // runes in a description or a piece of evidence
	MaxProducts = 200
	MaxSites    = 200
	MaxEvidence = 50
	MaxCustom   = 50
)

// Date is a calendar day without a zone, as forms carry it. The zero value means not given.
type Date struct{ time.Time }

// ParseDate reads YYYY-MM-DD.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("%q is not a date as YYYY-MM-DD", s)
	}
	return Date{t}, nil
}

func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return d.Format(time.DateOnly)
}

// MarshalText writes YYYY-MM-DD, or nothing for the zero Date.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Date) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*d = Date{}
		return nil
	}
	*d, err = ParseDate(string(b))
	return err
}

// MarshalJSON overrides the promoted time.Time method.
func (d Date) MarshalJSON() ([]byte, error) { return []byte(`"` + d.String() + `"`), nil }

// UnmarshalJSON overrides the promoted time.Time method.
func (d *Date) UnmarshalJSON(b []byte) error {
	s := string(b)
	if s == "null" {
		return nil
	}
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return fmt.Errorf("%s is not a date as \"YYYY-MM-DD\"", s)
	}
	return d.UnmarshalText(b[1 : len(b)-1])
}

// Filing is what a partner files: the claim in the partner's own words, before anything is decided. It never changes;
// an update is a new filing, in the place of the old one.
type Filing struct {
	PartnerID     string `json:"partner_id"`
	DistributorID string `json:"distributor_id,omitempty"`
	Type          string `json:"type"` // one of RegistrationTypes

	Customer Customer  `json:"customer"`
	Contact  Contact   `json:"contact,omitzero"`
	Products []Product `json:"products,omitempty"` // empty means every line
	Sites    []Site    `json:"sites,omitempty"`    // empty means the whole customer
	Amount   Money     `json:"amount,omitzero"`

	ExpectedCloseDate Date              `json:"expected_close_date,omitzero"`
	Description       string            `json:"description,omitempty"`
	Tender            Tender            `json:"tender,omitzero"`
	Evidence          []Evidence        `json:"evidence,omitempty"`
	Competing         []string          `json:"competing_offers,omitempty"` // rival products the partner sells or registered for this deal
	ExternalID        string            `json:"external_id,omitempty"`
	Custom            map[string]string `json:"custom,omitempty"` // fields the policy declares
}

// Customer is the end customer as the partner describes it.
type Customer struct {
	Name          string `json:"name"`
	AccountID     string `json:"account_id,omitempty"` // the vendor's account, if the partner knows it
	Domain        string `json:"domain,omitempty"`
	Website       string `json:"website,omitempty"`
	Country       string `json:"country,omitempty"` // ISO 3166-1 alpha-2
	Region        string `json:"region,omitempty"`  // ISO 3166-2
	City          string `json:"city,omitempty"`
	PostalCode    string `json:"postal_code,omitempty"`
	Street        string `json:"street,omitempty"`
	Phone         string `json:"phone,omitempty"`
	TaxID         string `json:"tax_id,omitempty"`
	DUNS          string `json:"duns,omitempty"`
	LEI           string `json:"lei,omitempty"`
	Parent        string `json:"parent,omitempty"` // the parent company's name
	Industry      string `json:"industry,omitempty"`
	Employees     int64  `json:"employees,omitempty"`
	AnnualRevenue Money  `json:"annual_revenue,omitzero"`
	ShipTo        Site   `json:"ship_to,omitzero"`
}

// Contact is the partner's contact at the customer: personal data.
type Contact struct {
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
	Title string `json:"title,omitempty"`
	Phone string `json:"phone,omitempty"`
}

// EmailDomain returns the domain of the contact's address, lower case: evidence of the customer that names nobody.
func (c Contact) EmailDomain() string {
	if i := strings.LastIndexByte(c.Email, '@'); i >= 0 {
		return strings.ToLower(c.Email[i+1:])
	}
	return ""
}

// Product is one position of the deal.
type Product struct {
	SKU      string `json:"sku,omitempty"`
	Line     string `json:"line,omitempty"` // filled from the catalogue when the SKU is known
	Quantity int64  `json:"quantity,omitempty"`
	Amount   Money  `json:"amount,omitzero"`
}

// Site is a place of the customer.
type Site struct {
	Name       string `json:"name,omitempty"`
	Street     string `json:"street,omitempty"`
	City       string `json:"city,omitempty"`
	Region     string `json:"region,omitempty"`
	PostalCode string `json:"postal_code,omitempty"`
	Country    string `json:"country,omitempty"`
}

// Tender describes a public or formal bid.
type Tender struct {
	IsTender        bool   `json:"is_tender,omitempty"`
	Number          string `json:"number,omitempty"`
	PublishedAt     Date   `json:"published_at,omitzero"`
	ContractVehicle string `json:"contract_vehicle,omitempty"`
}

// Evidence is one proof of the partner's work.
type Evidence struct {
	Kind    string `json:"kind"` // one of EvidenceKinds or Fulfilments
	Date    Date   `json:"date,omitzero"`
	By      string `json:"by,omitempty"`
	Text    string `json:"text,omitempty"`
	FileRef string `json:"file_ref,omitempty"`
}

// Lines returns the product lines of the filing, each once, in order of first mention.
func (f *Filing) Lines() []string {
	var out []string
	seen := map[string]bool{}
	for _, p := range f.Products {
		if k := FoldLine(p.Line); k != "" && !seen[k] {
			seen[k] = true
			out = append(out, p.Line)
		}
	}
	return out
}

// Normalise trims every text and brings codes to their canonical form. It is idempotent and runs before Validate.
func (f *Filing) Normalise() {
	trim := func(ss ...*string) {
		for _, s := range ss {
			*s = strings.TrimSpace(*s)
		}
	}
	c := &f.Customer
	trim(&f.PartnerID, &f.DistributorID, &f.Type, &f.Description, &f.ExternalID, &f.Contact.Name, &f.Contact.Email, &f.Contact.Title,
		&f.Contact.Phone, &c.Name, &c.AccountID, &c.Domain, &c.Website, &c.Country, &c.Region, &c.City, &c.PostalCode, &c.Street,
		&c.Phone, &c.TaxID, &c.DUNS, &c.LEI, &c.Parent, &c.Industry, &f.Tender.Number, &f.Tender.ContractVehicle)
	c.Country = strings.ToUpper(c.Country)
	c.Region = CanonicalRegion(c.Country, c.Region)
	c.ShipTo.normalise()
	for i := range f.Sites {
		f.Sites[i].normalise()
	}
	for i := range f.Products {
		trim(&f.Products[i].SKU, &f.Products[i].Line)
		f.Products[i].Amount.normalise()
	}
	f.Amount.normalise()
	c.AnnualRevenue.normalise()
	for i := range f.Competing {
		trim(&f.Competing[i])
	}
	f.Competing = slices.DeleteFunc(f.Competing, func(offer string) bool { return offer == "" })
}

func (s *Site) normalise() {
	for _, t := range []*string{&s.Name, &s.Street, &s.City, &s.Region, &s.PostalCode, &s.Country} {
		*t = strings.TrimSpace(*t)
	}
	s.Country = strings.ToUpper(s.Country)
	s.Region = CanonicalRegion(s.Country, s.Region)
}

// Validate reports everything wrong with a normalised filing as of now. It checks form, not the world: whether the
// partner exists is the engine's question.
func (f *Filing) Validate(now time.Time) FieldErrors {
	var e FieldErrors
	if f.PartnerID == "" {
		e.Add("partner_id", "is required")
	}
	if f.Type == "" {
		e.Add("type", "is required; one of %s", strings.Join(RegistrationTypes, ", "))
	}
	e.oneOf("type", f.Type, RegistrationTypes)
	f.Customer.validate(&e)
	f.Amount.Validate(&e, "amount")
	e.text("partner_id", f.PartnerID, MaxName)
	e.text("distributor_id", f.DistributorID, MaxName)
	e.text("external_id", f.ExternalID, MaxName)
	e.text("contact.name", f.Contact.Name, MaxName)
	e.text("contact.email", f.Contact.Email, MaxName)
	e.text("contact.title", f.Contact.Title, MaxName)
	e.text("contact.phone", f.Contact.Phone, MaxName)
	e.text("description", f.Description, MaxText)
	e.text("tender.number", f.Tender.Number, MaxName)
	e.text("tender.contract_vehicle", f.Tender.ContractVehicle, MaxName)
	if em := f.Contact.Email; em != "" && (strings.Count(em, "@") != 1 || strings.ContainsAny(em, " \t,;<>")) {
		e.Add("contact.email", "is not one e-mail address")
	}
	if d := f.ExpectedCloseDate; !d.IsZero() {
		switch {
		case d.AddDate(0, 0, 2).Before(now): // a day is not over anywhere on earth until 36 hours after it began in UTC
			e.Add("expected_close_date", "%s is in the past", d)
		case d.After(now.AddDate(20, 0, 0)):
			e.Add("expected_close_date", "%s is more than 20 years ahead", d)
		}
	}
	e.count("products", len(f.Products), MaxProducts)
	e.count("sites", len(f.Sites), MaxSites)
	e.count("custom", len(f.Custom), MaxCustom)
	e.count("competing_offers", len(f.Competing), MaxCustom)
	for i, p := range f.Products {
		at := fmt.Sprintf("products[%d].", i)
		if p.SKU == "" && p.Line == "" {
			e.Add(at+"sku", "give a sku or a line")
		}
		e.text(at+"sku", p.SKU, MaxName)
		e.text(at+"line", p.Line, MaxName)
		if p.Quantity < 0 || p.Quantity > 1e9 {
			e.Add(at+"quantity", "must be between 0 and 1,000,000,000")
		}
		p.Amount.Validate(&e, at+"amount")
	}
	for i, s := range f.Sites {
		s.validate(&e, fmt.Sprintf("sites[%d].", i))
	}
	e.evidence(f.Evidence, now)
	for _, k := range slices.Sorted(maps.Keys(f.Custom)) {
		e.text("custom."+k, f.Custom[k], MaxText)
		e.text("custom", k, MaxName)
	}
	for i, v := range f.Competing {
		e.text(fmt.Sprintf("competing_offers[%d]", i), v, MaxName)
	}
	return e
}

// evidenceYears is how long ago what proves anything of a deal can have been.
const evidenceYears = 10

func (e *FieldErrors) evidence(list []Evidence, now time.Time) {
	e.count("evidence", len(list), MaxEvidence)
	kinds := append(slices.Clone(EvidenceKinds), Fulfilments...)
	for i, v := range list {
		at := fmt.Sprintf("evidence[%d].", i)
		if v.Kind == "" {
			e.Add(at+"kind", "is required; one of %s", strings.Join(kinds, ", "))
		}
		e.oneOf(at+"kind", v.Kind, kinds)
		e.text(at+"text", v.Text, MaxText)
		e.text(at+"by", v.By, MaxName)
		e.text(at+"file_ref", v.FileRef, MaxText)
		switch {
		case v.Date.After(now.Add(14 * time.Hour)): // where the day begins first, it is no later yet
			e.Add(at+"date", "%s is in the future: evidence is of what has happened", v.Date)
		case !v.Date.IsZero() && v.Date.Before(now.AddDate(-evidenceYears, 0, 0)):
			e.Add(at+"date", "%s is more than %d years ago; is the year right?", v.Date, evidenceYears)
		}
	}
}

func (c *Customer) validate(e *FieldErrors) {
	if c.Name == "" {
		e.Add("customer.name", "is required")
	} else if strings.IndexFunc(c.Name, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) < 0 {
		e.Add("customer.name", "has no letter or digit")
	}
	e.each("customer.", []named{{"name", c.Name}, {"account_id", c.AccountID}, {"domain", c.Domain}, {"website", c.Website}, {"region", c.Region},
		{"city", c.City}, {"postal_code", c.PostalCode}, {"street", c.Street}, {"phone", c.Phone}, {"tax_id", c.TaxID}, {"duns", c.DUNS},
		{"lei", c.LEI}, {"parent", c.Parent}, {"industry", c.Industry}}, MaxName)
	if c.Country != "" && !IsCountry(c.Country) {
		e.Add("customer.country", "%s", NoCountry(c.Country))
	}
	if !regionOf(c.Country, c.Region) {
		e.Add("customer.region", "%s is not a region of %s", c.Region, c.Country)
	}
	if c.Employees < 0 || c.Employees > 50_000_000 {
		e.Add("customer.employees", "must be between 0 and 50,000,000")
	}
	for _, n := range []named{{"domain", c.Domain}, {"website", c.Website}} {
		if n.text != "" && wrongText(n.text, MaxName) == "" && !webAddress(n.text) {
			e.Add("customer."+n.field, "%q is not a web address such as example.com; leave it out when there is none", n.text)
		}
	}
	if webAddress(c.Domain) && nobodys(c.Domain) {
		e.Add("customer.domain", "anybody can have a name under %s: give the customer's own, as name.%s, or leave it out", host(c.Domain), host(c.Domain))
	}
	if d := digitsOf(c.DUNS); c.DUNS != "" && (len(d) < 7 || len(d) > 9 || len(d) < len(strings.NewReplacer("-", "", " ", "").Replace(c.DUNS))) {
		e.Add("customer.duns", "%q is not a D-U-N-S number, which has nine digits; leave it out when there is none", c.DUNS)
	}
	if c.LEI != "" && !IsLEI(strings.ToUpper(c.LEI)) {
		e.Add("customer.lei", "%q is not an LEI: twenty letters and digits, of which the last two check the others; leave it out when there is none", c.LEI)
	}
	c.AnnualRevenue.Validate(e, "customer.annual_revenue")
	c.ShipTo.validate(e, "customer.ship_to.")
}

// webAddress reports whether s holds the name of a host on the web: letters, digits, hyphens and a dot, in any script.
func webAddress(s string) bool {
	s = host(s)
	labels := strings.Split(s, ".")
	if len(labels) < 2 || len(s) > 253 {
		return false
	}
	for _, l := range labels {
		if l == "" || strings.IndexFunc(l, func(r rune) bool {
			return r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
		}) >= 0 {
			return false
		}
	}
	return strings.IndexFunc(labels[len(labels)-1], unicode.IsLetter) >= 0
}

// host returns the host of a web or e-mail address.
func host(s string) string {
	if i := strings.Index(s, "://"); i >= 0 {
		s = s[i+3:]
	}
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		s = s[:i]
	}
	s = strings.Trim(s[strings.LastIndexByte(s, '@')+1:], ". ")
	if i := strings.IndexByte(s, ':'); i >= 0 {
		s = s[:i]
	}
	return s
}

// PublicSuffix reports whether a host, in ASCII and small letters, is one under which anybody can have a name, as co.uk: no organisation's own.
func PublicSuffix(host string) bool {
	for _, flat := range []string{".com", ".de", ".org", ".net"} { // under which names stand alone: most are of these, and need no looking up
		if strings.HasSuffix(host, flat) {
			return false
		}
	}
	suffix, listed := publicsuffix.PublicSuffix(host)
	return listed && suffix == host
}

// nobodys reports whether a web address is that of a public suffix.
func nobodys(address string) bool {
	h := strings.ToLower(host(address))
	if a, err := idna.Lookup.ToASCII(h); err == nil {
		h = a
	}
	return h != "" && PublicSuffix(h)
}

func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// IsLEI reports whether s, in capitals, is a legal entity identifier of ISO 17442: twenty letters and digits that, each letter
// read as its number from 10 to 35, leave one when divided by 97.
func IsLEI(s string) bool {
	if len(s) != 20 {
		return false
	}
	rest := 0
	for i := range len(s) {
		switch c := int(s[i]); {
		case c >= '0' && c <= '9':
			rest = (rest*10 + c - '0') % 97
		case c >= 'A' && c <= 'Z':
			rest = (rest*100 + c - 'A' + 10) % 97
		default:
			return false
		}
	}
	return rest == 1
}

func (s *Site) validate(e *FieldErrors, at string) {
	e.each(at, []named{{"name", s.Name}, {"street", s.Street}, {"city", s.City}, {"region", s.Region}, {"postal_code", s.PostalCode}}, MaxName)
	if s.Country != "" && !IsCountry(s.Country) {
		e.Add(at+"country", "%s", NoCountry(s.Country))
	}
	if !regionOf(s.Country, s.Region) {
		e.Add(at+"region", "%s is not a region of %s", s.Region, s.Country)
	}
}

// named is a text and the name of its field.
type named struct{ field, text string }

// each checks texts in the order given, so that one input has one answer.
func (e *FieldErrors) each(at string, list []named, limit int) {
	for _, n := range list {
		if why := wrongText(n.text, limit); why != "" {
			e.Add(at+n.field, "%s", why)
		}
	}
}

// text adds an error when s is too long, is not UTF-8 or carries control characters.
func (e *FieldErrors) text(field, s string, limit int) {
	if why := wrongText(s, limit); why != "" {
		e.Add(field, "%s", why)
	}
}

func wrongText(s string, limit int) string {
	switch {
	case len(s) <= limit && printable(s):
		return ""
	case !utf8.ValidString(s):
		return "is not valid UTF-8"
	case len(s) > limit && utf8.RuneCountInString(s) > limit:
		return fmt.Sprintf("is longer than %d characters", limit)
	case strings.IndexFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }) >= 0:
		return "contains control characters"
	}
	return ""
}

// printable reports whether s is of ASCII's printable characters, as most texts are.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func (e *FieldErrors) count(field string, n, limit int) {
	if n > limit {
		e.Add(field, "has %d elements; at most %d are accepted", n, limit)
	}
}

// Personal is one piece of personal data, kept apart from what is hashed so that it can be erased.
type Personal struct {
	Field string `json:"field"`
	Value string `json:"value"`
}

// personal lists the personal fields of a filing by name, in a fixed order.
func (f *Filing) personal(visit func(field string, value *string)) {
	visit("contact.name", &f.Contact.Name)
	visit("contact.email", &f.Contact.Email)
	visit("contact.title", &f.Contact.Title)
	visit("contact.phone", &f.Contact.Phone)
	visit("description", &f.Description)
	for i := range f.Evidence {
		visit(fmt.Sprintf("evidence[%d].by", i), &f.Evidence[i].By)
		visit(fmt.Sprintf("evidence[%d].text", i), &f.Evidence[i].Text)
	}
}

// SplitPersonal returns f without its personal data, and that data.
func (f Filing) SplitPersonal() (Filing, []Personal) {
	var out []Personal
	f.Evidence = append([]Evidence(nil), f.Evidence...)
	f.personal(func(field string, v *string) {
		if *v != "" {
			out = append(out, Personal{field, *v})
			*v = ""
		}
	})
	return f, out
}

// JoinPersonal puts personal data back. What was erased stays empty.
func (f *Filing) JoinPersonal(data []Personal) {
	values := make(map[string]string, len(data))
	for _, p := range data {
		values[p.Field] = p.Value
	}
	f.personal(func(field string, v *string) {
		if s, ok := values[field]; ok {
			*v = s
		}
	})
}

// Registration is a filing with its number, its place in the ledger and where it stands.
type Registration struct {
	ID         string    `json:"id"`
	Number     string    `json:"number"`   // the token a purchase order quotes: DR-2026-000123
	Sequence   uint64    `json:"sequence"` // the ledger entry that received it; the order of filing
	ReceivedAt time.Time `json:"received_at"`
	Filing     Filing    `json:"filing"`

	// What a decision uses of the personal data, kept so that erasing it changes no decision.
	EmailDomain string   `json:"email_domain,omitempty"`
	Given       []string `json:"given,omitempty"` // which personal fields were filed

	Status      Status      `json:"status"`
	CustomerRef CustomerRef `json:"customer_ref"`      // whom the customer was resolved to
	Finding     string      `json:"finding,omitempty"` // of a person, by which it was resolved; empty: by its own words
	Protection  *Protection `json:"protection,omitempty"`
	Hold        *Protection `json:"hold,omitempty"` // provisional protection while a case is open
	DecisionID  string      `json:"decision_id"`    // the current decision
	CaseID      string      `json:"case_id,omitempty"`
	Version     uint64      `json:"version"` // sequence of the last entry that changed it
	Imported    bool        `json:"imported,omitempty"`
	KeepsPlace  bool        `json:"keeps_place,omitempty"`   // returned, and in line meanwhile
	PlaceAt     uint64      `json:"place_at,omitempty"`      // the entry by which it took its place in line anew; zero: that of its filing
	Behind      []string    `json:"behind,omitempty"`        // waitlisted: keys of other customers, which may be its own, whose claims it met
	PersonalAt  uint64      `json:"personal_at,omitempty"`   // the entry that has the filing's personal data; zero: that of its filing
	NotAfter    time.Time   `json:"not_after,omitzero"`      // a protection that is granted again, after a change, ends by then
	Decided     Money       `json:"decided_amount,omitzero"` // what the deal was worth when it was decided, where that was changed since by no more than is passed over
	Limit       *ScopeLimit `json:"limit,omitempty"`         // the part of the filing the claim is for, when a ruling split it
	Extensions  int         `json:"extensions,omitempty"`    // of the present protection
	Milestones  []Milestone `json:"milestones,omitempty"`    // of the present protection
	EndedAt     time.Time   `json:"ended_at,omitzero"`       // when it was withdrawn, revoked, won, lost or merged by staff

	// By when its partner has to act: to complete what was returned, to meet the condition of a protection. What follows for a
	// returned one when the partner does not: decline or escalate.
	AnswerBy  time.Time `json:"answer_by,omitzero"`
	OnSilence string    `json:"on_silence,omitempty"`

	Promoted   bool         `json:"promoted,omitempty"`    // the line moved up to it
	Met        string       `json:"met,omitempty"`         // the condition that was met, of the present protection or the one it takes the place of
	Review     *ReviewClock `json:"review,omitempty"`      // the clock of its case; of a returned one, that of the case it had
	Fulfil     []Fulfilment `json:"fulfil,omitempty"`      // what has to be there before the present protection ends
	Into       string       `json:"into,omitempty"`        // of a merged one, for staff: the registration that stands for both, whoever filed that
	MergedInto string       `json:"merged_into,omitempty"` // the same, where whoever reads the one may read the other
}

// ReviewClock is the clock of a registration's case as its partner may know it: a case that it joined has one of its own.
type ReviewClock struct {
	DueAt  time.Time `json:"due_at"`
	Decide string    `json:"decide"` // how long there was, as the policy says it
}

// Fulfilment is business that has to come of a protection before it ends, for its benefits to be paid.
type Fulfilment struct {
	Need  string    `json:"need"` // one of Fulfilments
	MetAt time.Time `json:"met_at,omitzero"`
}

// Earned reports whether all that has to be there for the benefits to be paid is there; nil when the terms ask for nothing.
func (r *Registration) Earned() *bool {
	if len(r.Fulfil) == 0 {
		return nil
	}
	return new(!slices.ContainsFunc(r.Fulfil, func(f Fulfilment) bool { return f.MetAt.IsZero() }))
}

// CustomerRef is whom a registration's customer was resolved to: one of the vendor's accounts, or a prospect that
// only registrations know.
type CustomerRef struct {
	AccountID  string `json:"account_id,omitempty"`
	ProspectID string `json:"prospect_id,omitempty"`
}

// Key returns the one string two registrations of the same customer share.
func (c CustomerRef) Key() string {
	if c.AccountID != "" {
		return "account:" + c.AccountID
	}
	return "prospect:" + c.ProspectID
}

// Scope is what a claim covers: customer, products, sites.
type Scope struct {
	Customer CustomerRef `json:"customer"`
	Lines    []string    `json:"lines,omitempty"`   // empty: every product line
	Classes  []string    `json:"classes,omitempty"` // line/class, where the policy divides lines by the classes of their products; empty: every class
	Sites    []string    `json:"sites,omitempty"`   // keys of sites (Site.Key); empty: the whole customer
	Part     string      `json:"part,omitempty"`    // what else tells claims on one customer apart, by the policy; empty: all of it
}

// Overlap says how two scopes of one customer meet.
type Overlap struct {
	Lines   []string `json:"lines,omitempty"` // the shared lines; empty with Meets: all of them
	Classes []string `json:"classes,omitempty"`
	Sites   []string `json:"sites,omitempty"`
	Meets   bool     `json:"meets"`
}

// Overlap compares products and sites; whether the customer is the same is the matcher's question.
func (s Scope) Overlap(o Scope) Overlap {
	lines, lm := meetBy(FoldLine, s.Lines, o.Lines)
	classes, cm := meetBy(FoldLine, s.Classes, o.Classes)
	sites, sm := meetSites(s.Sites, o.Sites)
	return Overlap{Lines: lines, Classes: classes, Sites: sites, Meets: lm && cm && sm && (s.Part == "" || o.Part == "" || s.Part == o.Part)}
}

// meet intersects two sets in which empty means everything.
func meet(a, b []string) (shared []string, meets bool) { return meetBy(Fold, a, b) }

// meetBy is meet of what fold compares.
func meetBy(fold func(string) string, a, b []string) (shared []string, meets bool) {
	switch {
	case len(a) == 0:
		return b, true
	case len(b) == 0:
		return a, true
	}
	in := make(map[string]bool, len(a))
	for _, x := range a {
		in[fold(x)] = true
	}
	for _, x := range b {
		if in[fold(x)] {
			shared = append(shared, x)
		}
	}
	return shared, len(shared) > 0
}

// Fold returns the form in which codes that people write (product lines, industries) are compared: compatibility forms
// and case undone, spaces at the ends and characters nobody sees taken out.
func Fold(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKC.String(s))
	return strings.Join(strings.Fields(s), " ")
}

// FoldLine is Fold of a product line, which where there is no catalogue is whatever somebody writes: a hyphen is a space, and letters of another
// script that look Latin are Latin, in a text that is Latin otherwise. Another word, or a plural, is another line.
func FoldLine(s string) string {
	s = Fold(s)
	ascii, isLatin := true, false
	for _, r := range s {
		ascii = ascii && r < utf8.RuneSelf
		isLatin = isLatin || r < 0x250 && unicode.IsLetter(r)
	}
	if ascii && !strings.ContainsAny(s, "-_") {
		return s
	}
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '_' || unicode.Is(unicode.Pd, r) || r == '\u2212' })
	for i, w := range words {
		if isLatin && strings.IndexFunc(w, func(r rune) bool { return r >= 0x250 && unicode.IsLetter(r) && Homoglyphs[r] == 0 }) < 0 {
			words[i] = strings.Map(func(r rune) rune { return cmp.Or(Homoglyphs[r], r) }, w)
		}
	}
	return strings.Join(words, " ")
}

// Homoglyphs are the small Cyrillic and Greek letters drawn like Latin ones, each with the one it looks like. Nobody writes to it.
var Homoglyphs = map[rune]rune{'а': 'a', 'в': 'b', 'е': 'e', 'ё': 'e', 'к': 'k', 'м': 'm', 'н': 'h', 'о': 'o', 'р': 'p', 'с': 'c', 'т': 't', 'у': 'y', 'х': 'x',
	'і': 'i', 'ј': 'j', 'ѕ': 's', 'ԁ': 'd', 'ԛ': 'q', 'ԝ': 'w', 'һ': 'h', 'ӏ': 'l', 'α': 'a', 'β': 'b', 'ε': 'e', 'ι': 'i', 'κ': 'k', 'ν': 'v', 'ο': 'o', 'ρ': 'p', 'τ': 't', 'υ': 'y', 'χ': 'x'}

// Protection is a time-limited claim to a scope. It holds in [StartsAt, EndsAt).
type Protection struct {
	Scope    Scope     `json:"scope"`
	StartsAt time.Time `json:"starts_at"`
	EndsAt   time.Time `json:"ends_at"`
	Anchor   string    `json:"anchor,omitempty"` // the event the window is counted from
	Shared   bool      `json:"shared,omitempty"` // several partners may hold it by name, as the policy granted
	Share    string    `json:"share,omitempty"`  // that name: the same for all who hold it
}

// LiveAt reports whether the protection holds at the instant t.
func (p *Protection) LiveAt(t time.Time) bool {
	return p != nil && !t.Before(p.StartsAt) && t.Before(p.EndsAt)
}

// HoldsAt reports whether the registration holds its scope at t: protected, conditional, or escalated with a hold.
func (r *Registration) HoldsAt(t time.Time) bool {
	switch r.Status {
	case StatusProtected, StatusConditional:
		return r.Protection.LiveAt(t) && !r.lapsedAt(t)
	case StatusEscalated:
		return r.Hold.LiveAt(t)
	}
	return false
}

// ClaimAt reports whether the registration is a claim others must reckon with at t: it holds, or it waits for a
// decision or in line behind a holder. One that was returned for completion is not a claim until it is complete, unless
// the policy lets it keep its place.
func (r *Registration) ClaimAt(t time.Time) bool {
	switch r.Status {
	case StatusReceived, StatusEscalated, StatusWaitlisted:
		return true
	case StatusReturned:
		return r.KeepsPlace && (r.AnswerBy.IsZero() || t.Before(r.AnswerBy) || r.OnSilence == OnSilenceEscalate)
	}
	return r.HoldsAt(t)
}

// StatusAt returns the status as of t: a protection that has ended reads expired from that instant on, whether or
// not the entry that records it has been written.
func (r *Registration) StatusAt(t time.Time) Status {
	if (r.Status == StatusProtected || r.Status == StatusConditional) && r.Protection != nil && (!t.Before(r.Protection.EndsAt) || r.lapsedAt(t)) {
		return StatusExpired
	}
	return r.Status
}

// NextMilestone returns the milestone that falls due first of those that were neither met nor missed, or nil.
func (r *Registration) NextMilestone() (next *Milestone) {
	for i := range r.Milestones {
		if m := &r.Milestones[i]; m.MetAt.IsZero() && m.MissedAt.IsZero() && (next == nil || m.DueAt.Before(next.DueAt)) {
			next = m
		}
	}
	return next
}

// lapsedAt reports whether a milestone that was not met has ended the protection by t.
func (r *Registration) lapsedAt(t time.Time) bool {
	return slices.ContainsFunc(r.Milestones, func(m Milestone) bool {
		return m.OnMiss == OnMissExpire && m.MetAt.IsZero() && m.MissedAt.IsZero() && !t.Before(m.DueAt)
	})
}

// What follows when what was returned is not completed in time.
const (
	OnSilenceDecline  = "decline"
	OnSilenceEscalate = "escalate"
)

// What becomes of a protection whose milestone is missed.
const (
	OnMissExpire = "expire"
	OnMissTell   = "tell"
)

// Place is the registration's place in line: an entry of the ledger, and the lower the earlier.
func (r *Registration) Place() uint64 { return cmp.Or(r.PlaceAt, r.Sequence) }

// PersonalEntry is the entry that has the personal data of the filing.
func (r *Registration) PersonalEntry() uint64 { return cmp.Or(r.PersonalAt, r.Sequence) }

// Label names the site for a reader: its name, else its place.
func (s Site) Label() string {
	if s.Name != "" {
		return s.Name
	}
	var parts []string
	for _, p := range []string{s.Street, s.PostalCode, s.City, s.Country} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ", ")
}

// Has reports whether a personal field was filed, whether or not it has been erased since.
func (r *Registration) Has(field string) bool { return slices.Contains(r.Given, field) }
