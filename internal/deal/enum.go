package deal

import (
	"slices"
	"strings"
)

// Outcome is one of the three answers to a registration.
type Outcome string

// The three outcomes. A refusal is a route whose disposition and reason say what would change it.
const (
	Protect  Outcome = "protect"
	RouteTo  Outcome = "route"
	Escalate Outcome = "escalate"
)

// Outcomes lists every Outcome.
var Outcomes = []Outcome{Protect, RouteTo, Escalate}

// Disposition says what a route does with the registration.
type Disposition string

// The dispositions of a route.
const (
	Referred   Disposition = "referred"
	CoSell     Disposition = "co_sell"
	Waitlisted Disposition = "waitlisted"
	Merged     Disposition = "merged"
	Returned   Disposition = "returned"
	Declined   Disposition = "declined"
)

// Dispositions lists every Disposition.
var Dispositions = []Disposition{Referred, CoSell, Waitlisted, Merged, Returned, Declined}

// Target is where a route leads.
type Target string

// The targets of a route.
const (
	ToDirectTeam     Target = "direct_team"
	ToPartner        Target = "partner"
	ToDistributor    Target = "distributor"
	ToTerritoryOwner Target = "territory_owner"
	ToQueue          Target = "queue"
	ToSubmitter      Target = "submitter"
)

// Targets lists every Target.
var Targets = []Target{ToDirectTeam, ToPartner, ToDistributor, ToTerritoryOwner, ToQueue, ToSubmitter}

// Status is where a registration stands in its life.
type Status string

// The statuses of a registration.
const (
	StatusReceived    Status = "received"
	StatusReturned    Status = "returned"
	StatusWaitlisted  Status = "waitlisted"
	StatusEscalated   Status = "escalated"
	StatusConditional Status = "conditional"
	StatusProtected   Status = "protected"
	StatusRouted      Status = "routed"
	StatusMerged      Status = "merged"
	StatusExpired     Status = "expired"
	StatusWithdrawn   Status = "withdrawn"
	StatusRevoked     Status = "revoked"
	StatusWon         Status = "won"
	StatusLost        Status = "lost"
	StatusTransferred Status = "transferred"
)

// Statuses lists every Status.
var Statuses = []Status{StatusReceived, StatusReturned, StatusWaitlisted, StatusEscalated, StatusConditional, StatusProtected,
	StatusRouted, StatusMerged, StatusExpired, StatusWithdrawn, StatusRevoked, StatusWon, StatusLost, StatusTransferred}

// ConflictKind says what a match means for a registration.
type ConflictKind string

// The kinds of conflict.
const (
	HeldByOther           ConflictKind = "held_by_other"           // another partner's live claim holds overlapping scope
	PendingOther          ConflictKind = "pending_other"           // another partner filed earlier and waits for a decision
	OwnDuplicate          ConflictKind = "own_duplicate"           // the same partner filed this before, directly or through a distributor
	PartnerOpportunity    ConflictKind = "partner_opportunity"     // an open opportunity led by another partner
	DirectEngaged         ConflictKind = "direct_engaged"          // an open opportunity led by the vendor's own team
	NamedAccount          ConflictKind = "named_account"           // the account is reserved to direct sales
	ExistingCustomer      ConflictKind = "existing_customer"       // the account buys from the vendor already
	IncumbentOther        ConflictKind = "incumbent_other"         // the customer last bought through another partner
	FamilyHeld            ConflictKind = "family_held"             // a parent, subsidiary or branch is claimed by another partner
	TerritoryDirect       ConflictKind = "territory_direct"        // the territory is the vendor's own
	TerritoryOtherPartner ConflictKind = "territory_other_partner" // the territory is assigned to another partner
	TerritoryOpen         ConflictKind = "territory_open"          // no territory, or no single one, covers the customer
	TenderShared          ConflictKind = "tender_shared"           // another registration names the same tender
	CompetingOffer        ConflictKind = "competing_offer"         // the partner sells or registered a rival for it
	DirectClosed          ConflictKind = "direct_closed"           // the vendor's own team won or lost an opportunity
)

// ConflictKinds lists every ConflictKind, in the order in which they are reported.
var ConflictKinds = []ConflictKind{HeldByOther, PendingOther, OwnDuplicate, PartnerOpportunity, DirectEngaged, NamedAccount,
	ExistingCustomer, IncumbentOther, FamilyHeld, TerritoryDirect, TerritoryOtherPartner, TerritoryOpen, TenderShared, CompetingOffer,
	DirectClosed}

// Closed value lists of inputs, in the order in which error messages show them.
var (
	RegistrationTypes   = []string{"new_business", "expansion", "renewal", "service", "design", "project"}
	EvidenceKinds       = []string{"meeting", "letter", "poc", "quote", "email", "site_visit", "other"}
	Fulfilments         = []string{"contract", "order", "purchase_order", "account_created"} // kinds of evidence of business that came of it
	AccountStatuses     = []string{"prospect", "customer", "former", "partner", "closed"}
	PartnerTypes        = []string{"distributor", "reseller", "var", "si", "msp", "consultant", "marketplace", "referral", "isv", "other"}
	PartnerStatuses     = []string{"active", "suspended", "terminated"}
	OpportunityStatuses = []string{"open", "won", "lost"}
	OpportunityLeads    = []string{"direct", "partner"}
	Roles               = []string{"portal", "ops", "policy", "auditor", "admin"}
)

// oneOf adds a field error unless value is empty or in list.
func (e *FieldErrors) oneOf(field, value string, list []string) {
	if value != "" && !slices.Contains(list, value) {
		e.Add(field, "%q is not one of %s", value, strings.Join(list, ", "))
	}
}
