package intake

import (
	"strings"

	"github.com/dibs-deals/dibs/internal/deal"
)

// schemas are the kinds of reference data: every field, where it comes from, and what else may feed it. The other
// names are those of Salesforce (API names, as Data Loader writes them in capitals), of HubSpot (labels and internal
// names) and of Dynamics (logical names); see plain for what of a header counts.
var schemas = map[deal.RecordKind]*schema{
	deal.Accounts: records(func() *deal.Account { return &deal.Account{} }, []string{"id"}, [][]string{{"id"}, {"name"}}, finishAccount,
		text("id", func(a *deal.Account) *string { return &a.ID }, "account_id", "record_id", "hs_object_id"),
		text("name", func(a *deal.Account) *string { return &a.Name }, "account_name", "company_name"),
		at("aliases", func(a *deal.Account) *[]string { return &a.Aliases }, asList),
		at("domain", func(a *deal.Account) *string { return &a.Domain }, asLower, "company_domain_name"),
		at("domains", func(a *deal.Account) *[]string { return &a.Domains }, asLowerList, "hs_additional_domains", "additional_domains"),
		text("website", func(a *deal.Account) *string { return &a.Website }, "website_url"),
		text("country", func(a *deal.Account) *string { return &a.Country },
			"BillingCountryCode", "BillingCountry", "hs_country_code", "Country/Region", "address1_country"),
		text("region", func(a *deal.Account) *string { return &a.Region },
			"BillingStateCode", "BillingState", "BillingState/Province", "State/Region", "state", "address1_stateorprovince"),
		text("city", func(a *deal.Account) *string { return &a.City }, "BillingCity", "address1_city"),
		text("postal_code", func(a *deal.Account) *string { return &a.PostalCode }, "BillingPostalCode", "BillingZip/PostalCode", "zip", "address1_postalcode"),
		text("street", func(a *deal.Account) *string { return &a.Street }, "BillingStreet", "Street Address", "address", "address1_line1"),
		text("phone", func(a *deal.Account) *string { return &a.Phone }, "phone_number", "telephone1"),
		text("tax_id", func(a *deal.Account) *string { return &a.TaxID }, "vat_number", "vat_id"),
		text("duns", func(a *deal.Account) *string { return &a.DUNS }, "DunsNumber", "D-U-N-S Number"),
		text("lei", func(a *deal.Account) *string { return &a.LEI }),
		text("parent_id", func(a *deal.Account) *string { return &a.ParentID },
			"parent_account_id", "hs_parent_company_id", "_parentaccountid_value", "parentaccountid"),
		text("industry", func(a *deal.Account) *string { return &a.Industry }, "industrycode"),
		at("employees", func(a *deal.Account) *int64 { return &a.Employees }, asInteger, "NumberOfEmployees"),
		at("annual_revenue", func(a *deal.Account) *string { return &a.AnnualRevenue }, asDecimalText, "revenue"),
		part("type", setAccountType, "account_type"),
		part("lifecycle_stage", setLifecycle),
		part("is_deleted", func(a *deal.Account, s string) error {
			deleted, err := asBool(s)
			if deleted {
				a.Status = "closed"
			}
			return err
		}),
		at("status", func(a *deal.Account) *string { return &a.Status }, asLower),
		text("owner", func(a *deal.Account) *string { return &a.Owner }, "owner_id", "hubspot_owner_id", "Company owner"),
		at("named", func(a *deal.Account) *bool { return &a.Named }, asBool, "named_account"),
		at("last_contact_at", func(a *deal.Account) *deal.Date { return &a.LastContactAt }, asDate,
			"LastActivityDate", "notes_last_contacted", "last_contacted", "last_activity_date"),
	),

	deal.Opportunities: records(func() *deal.Opportunity { return &deal.Opportunity{} }, []string{"id"},
		[][]string{{"id"}, {"account_id", "account_name"}}, finishOpportunity, join(
			one(text("id", func(o *deal.Opportunity) *string { return &o.ID }, "opportunity_id", "record_id", "hs_object_id")),
			one(at("account_id", func(o *deal.Opportunity) *string { return &o.AccountID }, asFirst,
				"Associated Company IDs (Primary)", "Associated Company IDs", "_parentaccountid_value")),
			one(text("account_name", func(o *deal.Opportunity) *string { return &o.AccountName }, "Associated Company (Primary)", "Associated Company")),
			one(text("name", func(o *deal.Opportunity) *string { return &o.Name }, "opportunity_name", "deal_name")),
			one(text("stage", func(o *deal.Opportunity) *string { return &o.Stage }, "stage_name", "deal_stage")),
			one(part("is_won", func(o *deal.Opportunity, s string) error {
				won, err := asBool(s)
				if won {
					o.Status = "won"
				}
				return err
			}, "Is Closed Won", "hs_is_closed_won")),
			one(part("is_closed", func(o *deal.Opportunity, s string) error {
				closed, err := asBool(s)
				switch {
				case o.Status == "won" || err != nil:
				case closed:
					o.Status = "lost"
				default:
					o.Status = "open"
				}
				return err
			}, "closed", "hs_is_closed")),
			one(at("status", func(o *deal.Opportunity) *string { return &o.Status }, asLower)),
			amount("amount", "currency", func(o *deal.Opportunity) *deal.Money { return &o.Amount }, []string{"estimatedvalue"},
				"CurrencyIsoCode", "deal_currency_code", "amount_currency"),
			one(at("close_date", func(o *deal.Opportunity) *deal.Date { return &o.CloseDate }, asDate, "estimatedclosedate")),
			one(at("created_at", func(o *deal.Opportunity) *deal.Date { return &o.CreatedAt }, asDate, "created_date", "create_date", "createdon")),
			one(at("last_activity_at", func(o *deal.Opportunity) *deal.Date { return &o.LastActivityAt }, asDate,
				"last_activity_date", "last_activity", "notes_last_updated")),
			one(at("led_by", func(o *deal.Opportunity) *string { return &o.LedBy }, asLower)),
			one(text("partner_id", func(o *deal.Opportunity) *string { return &o.PartnerID }, "partner_account_id")),
			one(text("owner", func(o *deal.Opportunity) *string { return &o.Owner }, "owner_id", "hubspot_owner_id", "Deal owner")),
			one(at("lines", func(o *deal.Opportunity) *[]string { return &o.Lines }, asList)),
		)...),

	deal.Partners: records(func() *deal.Partner { return &deal.Partner{} }, []string{"id"}, [][]string{{"id"}, {"name"}}, finishPartner,
		text("id", func(p *deal.Partner) *string { return &p.ID }, "partner_id"),
		text("name", func(p *deal.Partner) *string { return &p.Name }, "partner_name"),
		at("type", func(p *deal.Partner) *string { return &p.Type }, asLower),
		text("tier", func(p *deal.Partner) *string { return &p.Tier }),
		at("status", func(p *deal.Partner) *string { return &p.Status }, asLower),
		text("country", func(p *deal.Partner) *string { return &p.Country }),
		at("countries", func(p *deal.Partner) *[]string { return &p.Countries }, asList),
		at("lines", func(p *deal.Partner) *[]string { return &p.Lines }, asList),
		text("distributor_id", func(p *deal.Partner) *string { return &p.DistributorID }),
		at("domain", func(p *deal.Partner) *string { return &p.Domain }, asLower),
		at("agreement_signed_at", func(p *deal.Partner) *deal.Date { return &p.AgreementSignedAt }, asDate),
		at("trained_staff", func(p *deal.Partner) *int64 { return &p.TrainedStaff }, asInteger),
		at("credit_hold", func(p *deal.Partner) *bool { return &p.CreditHold }, asBool),
	),

	deal.People: records(func() *deal.Person { return &deal.Person{} }, []string{"id"}, [][]string{{"id"}, {"name"}}, finishPerson, join(
		one(text("id", func(p *deal.Person) *string { return &p.ID })),
		one(text("name", func(p *deal.Person) *string { return &p.Name })),
		one(text("email", func(p *deal.Person) *string { return &p.Email })),
		one(at("roles", func(p *deal.Person) *[]string { return &p.Roles }, asLowerList)),
		one(at("queues", func(p *deal.Person) *[]string { return &p.Queues }, asList)),
		amount("authority", "authority_currency", func(p *deal.Person) *deal.Money { return &p.Authority }, []string{"authority_amount"}),
		one(text("manager", func(p *deal.Person) *string { return &p.Manager })),
		one(at("away_until", func(p *deal.Person) *deal.Date { return &p.AwayUntil }, asDate)),
	)...),

	deal.Products: records(func() *deal.CatalogueProduct { return &deal.CatalogueProduct{} }, []string{"sku"}, [][]string{{"sku"}, {"line"}}, nil,
		text("sku", func(p *deal.CatalogueProduct) *string { return &p.SKU }),
		text("line", func(p *deal.CatalogueProduct) *string { return &p.Line }),
		text("class", func(p *deal.CatalogueProduct) *string { return &p.Class }),
		at("core", func(p *deal.CatalogueProduct) *bool { return &p.Core }, asBool),
	),

	deal.Rates: records(func() *deal.Rate { return &deal.Rate{} }, []string{"date", "from", "to"},
		[][]string{{"date"}, {"from"}, {"to"}, {"rate"}}, nil,
		at("date", func(r *deal.Rate) *deal.Date { return &r.Date }, asDate),
		at("from", func(r *deal.Rate) *string { return &r.From }, asUpper),
		at("to", func(r *deal.Rate) *string { return &r.To }, asUpper),
		at("rate", func(r *deal.Rate) *string { return &r.Rate }, asDecimalText),
	),
}

func one(f field) []field { return []field{f} }

func join(parts ...[]field) (out []field) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// records makes the schema of a kind of record. complete settles what several columns decide together; it may be nil.
func records[T any, R interface {
	*T
	deal.Record
}](empty func() R, key []string, required [][]string,
	complete func(rec R, s *schema, present *uint64, errs deal.FieldErrors, o options) deal.FieldErrors, fields ...field,
) *schema {
	s := &schema{fields: fields, key: key, required: required}
	s.empty = func() any { return (*T)(empty()) }
	s.clone = func(rec any) any { c := *rec.(R); return R(&c) }
	s.finish = func(rec any, present *uint64, errs deal.FieldErrors, o options) (out deal.FieldErrors) {
		if complete != nil {
			out = complete(rec.(R), s, present, errs, o)
		}
		checked := *rec.(R) // Validate fills in defaults, which the row does not give
		for _, e := range R(&checked).Validate() {
			if s.answerable(e.Field, *present) && !reported(errs, e.Field) && !reported(out, e.Field) {
				out = append(out, e)
			}
		}
		return out
	}
	return s.index()
}

// answerable reports whether the row can be held to account for a field: it gives it, or the field is of the key.
func (s *schema) answerable(name string, present uint64) bool {
	name = root(name)
	for _, k := range s.key {
		if k == name {
			return true
		}
	}
	i, ok := s.byName[name]
	return !ok || present&s.fields[i].bit != 0
}

func reported(errs deal.FieldErrors, name string) bool {
	for _, e := range errs {
		if root(e.Field) == root(name) {
			return true
		}
	}
	return false
}

// root returns the field a path begins with: products of products[2].amount.
func root(path string) string {
	if i := strings.IndexAny(path, ".["); i >= 0 {
		return path[:i]
	}
	return path
}

func finishAccount(a *deal.Account, s *schema, present *uint64, _ deal.FieldErrors, _ options) deal.FieldErrors {
	if a.Status != "" {
		*present |= s.bit("status") // it may have come from a column of the CRM
	}
	a.Country = country(a.Country)
	a.Region = region(a.Country, a.Region)
	return nil
}

func finishOpportunity(o *deal.Opportunity, s *schema, present *uint64, errs deal.FieldErrors, opts options) deal.FieldErrors {
	if o.Status == "" {
		switch plain(o.Stage) {
		case "closedwon":
			o.Status = "won"
		case "closedlost":
			o.Status = "lost"
		}
	}
	if o.Status != "" {
		*present |= s.bit("status")
	}
	return settle(&o.Amount, "amount", *present&s.bit("amount") != 0, errs, opts)
}

func finishPartner(p *deal.Partner, _ *schema, _ *uint64, _ deal.FieldErrors, _ options) deal.FieldErrors {
	p.Country = country(p.Country)
	for i := range p.Countries {
		p.Countries[i] = country(p.Countries[i])
	}
	return nil
}

func finishPerson(p *deal.Person, s *schema, present *uint64, errs deal.FieldErrors, opts options) deal.FieldErrors {
	return settle(&p.Authority, "authority", *present&s.bit("authority") != 0, errs, opts)
}

// setAccountType reads a CRM's type of account, a list every company makes its own: "Customer - Direct", PROSPECT,
// Channel Partner. A word that says nothing about the status is left alone.
func setAccountType(a *deal.Account, s string) error {
	t := strings.ToLower(s)
	for _, w := range [][2]string{{"former", "former"}, {"customer", "customer"}, {"prospect", "prospect"}, {"partner", "partner"}, {"reseller", "partner"}} {
		if a.Status == "" && strings.Contains(t, w[0]) {
			a.Status = w[1]
		}
	}
	return nil
}

// setLifecycle reads HubSpot's lifecycle stage.
func setLifecycle(a *deal.Account, s string) error {
	if a.Status == "" {
		switch plain(s) {
		case "customer", "evangelist":
			a.Status = "customer"
		case "subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity":
			a.Status = "prospect"
		}
	}
	return nil
}
