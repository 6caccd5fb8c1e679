package policy

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/dibs-deals/dibs/internal/deal"
)

// FactType is the type of a fact.
type FactType string

// The types of facts. An Enum is a string with a closed list of values; a List holds strings.
const (
	Bool   FactType = "bool"
	Int    FactType = "int"
	Double FactType = "double"
	String FactType = "string"
	Enum   FactType = "enum"
	List   FactType = "list"

	// Instant is of custom fields only: an instant or a day, read as hours since 1970, so that differences are hours.
	Instant FactType = "instant"
)

// Visibility says who may read a fact.
type Visibility string

// Partner facts are what the partner told us or knows of its own agreement; a text for partners may show them.
// Internal facts may appear in texts for staff only.
const (
	Partner  Visibility = "partner"
	Internal Visibility = "internal"
)

// FactSpec describes one fact.
type FactSpec struct {
	Name       string     `json:"name"`
	Type       FactType   `json:"type"`
	Values     []string   `json:"values,omitempty"` // of an Enum, or of the elements of a List: the only ones there are
	Default    any        `json:"default"`          // the value while nothing sets it: bool, int64, float64, string or []string
	Visibility Visibility `json:"visibility"`
	Doc        string     `json:"doc"`
	Source     string     `json:"source"` // where the engine takes it from

	val   ref.Val            // Default, boxed
	boxed map[string]ref.Val // the values of an Enum, boxed once
}

// StandardFields are the fields of a filing that reg.missing can name, and that a policy can require.
var StandardFields = []string{"customer.domain", "customer.country", "customer.region", "customer.city", "customer.postal_code",
	"customer.street", "customer.phone", "customer.tax_id", "customer.industry", "customer.employees", "contact.name", "contact.email",
	"contact.title", "products", "sites", "amount", "expected_close_date", "description", "tender.number", "tender.published_at",
	"distributor_id", "evidence", "evidence.meeting", "evidence.letter", "evidence.poc", "evidence.quote", "evidence.email",
	"evidence.site_visit", "competing_offers", "external_id"}

// Schema lists every fact there is, in the order of the documentation. Facts are added, never renamed or given
// another meaning: recorded decisions hold them. Besides these a policy declares its own fields, read as
// custom.NAME.
var Schema = buildSchema()

// schemaIndex is the place of each fact in Schema.
var schemaIndex = func() map[string]int {
	m := make(map[string]int, len(Schema))
	for i, s := range Schema {
		if _, twice := m[s.Name]; twice {
			panic("policy: fact " + s.Name + " is listed twice")
		}
		m[s.Name] = i
	}
	return m
}()

// conflictMeaning completes the sentence "found: …" for each kind.
var conflictMeaning = map[deal.ConflictKind]string{
	deal.HeldByOther:           "another partner's live claim holds overlapping scope",
	deal.PendingOther:          "another partner filed earlier for overlapping scope and waits for a decision",
	deal.OwnDuplicate:          "the same partner filed this before, directly or through a distributor",
	deal.PartnerOpportunity:    "an open opportunity is led by a partner",
	deal.DirectEngaged:         "an open opportunity is led by the vendor's own team",
	deal.NamedAccount:          "the account is reserved to direct sales",
	deal.ExistingCustomer:      "the account buys from the vendor already",
	deal.IncumbentOther:        "the customer last bought through another partner",
	deal.FamilyHeld:            "a parent, subsidiary or branch is claimed by another partner",
	deal.TerritoryDirect:       "the territory is the vendor's own",
	deal.TerritoryOtherPartner: "the territory is assigned to another partner",
	deal.TerritoryOpen:         "no territory, or no single one, covers the customer",
	deal.TenderShared:          "another registration names the same tender",
	deal.CompetingOffer:        "the partner sells or registered a rival for it",
	deal.DirectClosed:          "the vendor's own team closed an opportunity, won or lost (status); the latest one",
}

// conflictStatuses are the statuses of everything a conflict can be with: registrations, opportunities, accounts.
var conflictStatuses = func() []string {
	out := []string{""}
	for _, s := range deal.Statuses {
		out = append(out, string(s))
	}
	for _, s := range slices.Concat(deal.OpportunityStatuses, deal.AccountStatuses) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}()

// endedStatuses are those of registrations that are claims no more.
var endedStatuses = func() (out []string) {
	for _, s := range []deal.Status{deal.StatusReturned, deal.StatusRouted, deal.StatusMerged, deal.StatusExpired, deal.StatusWithdrawn, deal.StatusRevoked,
		deal.StatusWon, deal.StatusLost, deal.StatusTransferred} {
		out = append(out, string(s))
	}
	return out
}()

func buildSchema() []FactSpec {
	var out []FactSpec
	add := func(vis Visibility, name string, def any, values []string, doc, source string) {
		f := FactSpec{Name: name, Values: values, Default: def, Visibility: vis, Doc: doc, Source: source}
		switch d := def.(type) {
		case bool:
			f.Type, f.val = Bool, types.Bool(d)
		case int:
			f.Type, f.Default, f.val = Int, int64(d), types.Int(d)
		case float64:
			f.Type, f.val = Double, types.Double(d)
		case string:
			f.Type, f.val = String, types.String(d)
			if values != nil {
				f.Type = Enum
				f.boxed = make(map[string]ref.Val, len(values))
				for _, v := range values {
					f.boxed[v] = types.String(v)
				}
				f.val = f.boxed[d]
			}
		case []string:
			f.Type, f.val = List, listVal(d)
		}
		out = append(out, f)
	}
	partner := func(name string, def any, values []string, doc, source string) {
		add(Partner, name, def, values, doc, source)
	}
	internal := func(name string, def any, values []string, doc, source string) {
		add(Internal, name, def, values, doc, source)
	}

	partner("reg.type", "new_business", deal.RegistrationTypes, "kind of registration", "`type`")
	partner("reg.source", "api", []string{"api", "desk", "import"}, "how it came in", "the door it came through")
	partner("reg.precheck", false, nil, "a pre-check: asked before filing, commits no claim", "true for `POST /v1/checks`")
	partner("reg.submitted", 0.0, nil, "when it was filed, in hours since 1970 as custom instants are", "the clock")
	partner("reg.amount", 0.0, nil, "deal value in the policy's currency", "the larger of `amount` and the sum of `products[].amount`, at the rates of the day of submission")
	partner("reg.amount_known", false, nil, "an amount was given and could be converted", "`amount`, `products[].amount`, rates")
	internal("reg.rate_missing", false, nil, "an amount was given, and there is no exchange rate for it", "rates")
	partner("reg.lines", []string{}, nil, "product lines of the deal; none means all of them", "`products[].line`, or the catalogue's line for `products[].sku`")
	partner("reg.all_lines", true, nil, "no product line was given: the claim is for all of them", "`products`")
	partner("reg.line_count", 0, nil, "number of product lines given", "`products`")
	partner("reg.units", 0, nil, "number of units of all products", "`products[].quantity`")
	partner("reg.classes", []string{}, nil, "classes of the products that the catalogue knows", "catalogue `class` of `products[].sku`")
	partner("reg.counted_amount", 0.0, nil, "the amount without the products of settings.uncounted_classes", "`amount`, `products[].amount`, catalogue `class`")
	partner("reg.has_close_date", false, nil, "an expected close date was given", "`expected_close_date`")
	partner("reg.close_in_days", -1, nil, "days until the expected close, 0 today or overdue; -1 unknown", "`expected_close_date`, in the policy's time zone")
	for _, kind := range deal.EvidenceKinds {
		partner("reg.has_"+kind, false, nil, "there is evidence of kind "+kind, "`evidence[].kind`")
	}
	partner("reg.meeting_days", -1, nil, "days since the latest meeting; -1 none or undated", "`evidence[].date` of kind meeting")
	partner("reg.letter_days", -1, nil, "days since the latest customer letter; -1 none or undated", "`evidence[].date` of kind letter")
	partner("reg.has_contact", false, nil, "a contact with an e-mail address was given", "`contact.email`")
	partner("reg.has_description", false, nil, "the deal is described", "`description`")
	partner("reg.has_sites", false, nil, "the claim is for named sites only", "`sites`")
	partner("reg.site_count", 0, nil, "number of sites given; 0 means the whole customer", "`sites`")
	partner("reg.has_competing_offers", false, nil, "the partner names rival products", "`competing_offers`")
	partner("reg.tender", false, nil, "the deal is a public or formal bid", "`tender.is_tender`")
	partner("reg.tender_number_given", false, nil, "the bid's number was given", "`tender.number`")
	partner("reg.tender_published", false, nil, "the bid was published before this was submitted", "`tender.published_at` against the day of submission")
	partner("reg.missing", []string{}, StandardFields, "fields of the filing that are empty", "every standard field, see below")

	partner("partner.active", false, nil, "the partner's agreement is active", "partner `status` is active")
	partner("partner.status", "active", deal.PartnerStatuses, "status of the partner's agreement", "partner `status`")
	partner("partner.type", "other", deal.PartnerTypes, "kind of partner", "partner `type`")
	partner("partner.tier", "", nil, "the partner's tier, as settings.tiers writes it; one that is not there as it is, with rank 0; empty when it has none", "partner `tier`")
	partner("partner.tier_rank", 0, nil, "place of the tier in settings.tiers, from 0; 0 when unknown", "partner `tier`")
	partner("partner.country", "", nil, "the partner's country", "partner `country`")
	partner("partner.agreement_signed", false, nil, "the agreement was signed by the day of submission", "partner `agreement_signed_at`")
	partner("partner.agreement_known", true, nil, "the day of the agreement's signature is recorded", "partner `agreement_signed_at` is not empty")
	partner("partner.authorised", false, nil, "the agreement covers the country and every line of the filing", "partner `countries`, `lines`")
	partner("partner.authorised_country", false, nil, "the agreement covers the country of the filing, which the partner gave: not the account's", "partner `countries`, `customer.country`")
	partner("partner.authorised_lines", false, nil, "the agreement covers every line of the deal", "partner `lines`")
	partner("partner.trained_staff", 0, nil, "trained staff of the partner", "partner `trained_staff`")
	partner("partner.credit_hold", false, nil, "the partner is on credit hold", "partner `credit_hold`")
	partner("partner.live_claims", 0, nil, "the partner's own live claims at this instant, without this one", "its registrations")
	partner("partner.via_distributor", false, nil, "filed through a distributor", "`distributor_id`")
	partner("partner.distributor_ok", true, nil, "the distributor named is active and the partner's own; true when none is named", "`distributor_id`, partner `distributor_id`")

	internal("partner.waivers", []string{}, nil, "ids of the waivers the partner has at this instant", "the policy's `waivers`")

	partner("customer.ship_to_country", "", nil, "country the goods go to; the customer's as filed, when none is given", "`customer.ship_to.country`, else `customer.country`")
	partner("customer.mail_domain", false, nil, "the domain given is of a mail service and not of a company", "`customer.domain`, against settings.mail_domains")
	partner("customer.partner_name", false, nil, "the customer's name is the partner's own, or its distributor's, with at least params.certain", "`customer.name`, partner `name`")
	partner("customer.partner_domain", false, nil, "the customer's web domain is the partner's own, or its distributor's", "`customer.domain`, `customer.website`, partner `domain`")
	internal("customer.resolved", "none", []string{"certain", "possible", "none"}, "how surely the customer is one of the accounts", "matcher, against `params.certain` and `params.possible`")
	internal("customer.probability", 0.0, nil, "probability that the customer is that account", "matcher")
	internal("customer.new_prospect", false, nil, "nobody known: neither an account nor a customer of another registration", "matcher")
	internal("customer.name_suspicious", false, nil, "the name mixes scripts so that it looks like another, or has characters that are not seen", "`customer.name`")
	internal("customer.account_status", "none", append([]string{"none"}, deal.AccountStatuses...), "status of the account the customer certainly is", "account `status`")
	internal("customer.incumbent", "none", []string{"none", "self", "other"}, "which partner the account bought through last", "latest won opportunity of the account with a `partner_id`")
	internal("customer.incumbent_days", -1, nil, "days since then; -1 unknown or none", "its `last_activity_at`, else `close_date`")
	internal("customer.contact_days", -1, nil, "days since the vendor's own people last spoke with the account; -1 unknown", "account `last_contact_at`")
	internal("customer.named", false, nil, "the account the customer certainly is, is a named account", "account `named`")
	internal("customer.industry", "", nil, "the customer's industry", "account `industry`, else `customer.industry`")
	internal("customer.employees", -1, nil, "the customer's employees; -1 unknown", "account `employees`, else `customer.employees`")
	internal("customer.country", "", nil, "the customer's country, ISO 3166-1 alpha-2", "account `country`, else `customer.country`")
	internal("customer.region", "", nil, "the customer's region, ISO 3166-2", "account `region`, else `customer.region`")
	internal("customer.public_sector", false, nil, "the customer is a public body", "industry, against settings.public_sector")
	internal("customer.disagrees", false, nil, "the filing's country, region or account id is not the account's", "`customer`, account")

	internal("history.own_claims", 0, nil, "the partner's own earlier registrations for the customer that are claims no more", "its registrations")
	internal("history.own_ended_days", -1, nil, "days since the last of them ended; -1 none", "its registrations")
	internal("history.own_ended", "", append([]string{""}, endedStatuses...), "how the last of them ended", "its registrations")
	internal("history.other_ended_days", -1, nil, "days since the last registration of another partner for the customer ended; -1 none", "registrations")

	internal("territory.status", "no_plan", []string{"resolved", "none", "ambiguous", "no_plan"}, "whether the territory plan gives one answer", "territory plan")
	internal("territory.coverage", "unknown", []string{"direct", "partner", "unknown"}, "who covers the territory; a hybrid one is settled by amount and lead", "territory plan; partner while no plan is published")
	internal("territory.id", "", nil, "the winning territory", "territory plan")
	internal("territory.tier", "", nil, "its tier in the plan", "territory plan")
	internal("territory.assigned", "none", []string{"none", "self", "other"}, "which partner the territory is assigned to", "territory plan `owner.partner_id`")
	internal("territory.unsure", false, nil, "a field the customer's data lacks could change the winner", "territory plan")

	for _, kind := range deal.ConflictKinds {
		k, of := "conflict."+string(kind)+".", "strongest "+string(kind)+" conflict"
		internal(k+"found", false, nil, conflictMeaning[kind]+", with at least params.possible (claims: params.possible_claim)", of)
		internal(k+"probability", 0.0, nil, "probability that it is the same organisation", of)
		internal(k+"self", false, nil, "it is with the registrant itself", of)
		internal(k+"same_lines", false, nil, "it covers every line this registration claims, not only some", of+", its scope")
		internal(k+"holds", false, nil, "it is a live exclusive right at this instant", of+", its window")
		internal(k+"status", "", conflictStatuses, "status of the registration, opportunity or account", of)
		internal(k+"stage", "", nil, "sales stage of the opportunity, one of settings.stages", of)
		internal(k+"stage_no", -1, nil, "place of the stage in settings.stages, from 0; -1 unknown", of)
		internal(k+"since_days", -1, nil, "days since it began: filed, opened or bought; -1 unknown", of)
		internal(k+"idle_days", -1, nil, "days since the last activity, of a closed one also since its close; -1 unknown", of)
		internal(k+"ends_in_days", -1, nil, "days until its window ends; -1 unknown or none", of)
		internal(k+"relation", "", nil, "how the two organisations are related: parent, subsidiary, branch", of)
	}

	internal("match.truncated", false, nil, "the search met its work budget: candidates may be missing", "matcher")
	internal("match.degraded", false, nil, "the index was not complete or not current", "engine")
	return out
}

// listVal boxes a list of texts for CEL.
func listVal(ss []string) ref.Val {
	vals := make([]ref.Val, len(ss))
	for i, s := range ss {
		vals[i] = types.String(s)
	}
	return types.NewRefValList(types.DefaultTypeAdapter, vals)
}

// lookup returns the fact's place in the Schema.
func lookup(name string) (int, bool) {
	i, ok := schemaIndex[name]
	return i, ok
}

// customName returns the part after custom. of a fact a policy declares itself.
func customName(name string) (string, bool) { return strings.CutPrefix(name, "custom.") }
