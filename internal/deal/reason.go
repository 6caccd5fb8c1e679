package deal

// Core reason codes beside those every decision path may need. They are shared by policies so that a portal can
// translate them once; a policy adds its own with its own prefix.
const (
	ReasonIncomplete        = "INCOMPLETE"
	ReasonGuard             = "SCOPE_HELD"   // the policy granted what another registration holds; a person must look
	ReasonUnderReview       = "UNDER_REVIEW" // what partners read where the true reason would tell them of others
	ReasonPartnerInactive   = "PARTNER_INACTIVE"
	ReasonAgreementMissing  = "AGREEMENT_MISSING"
	ReasonNotAuthorised     = "NOT_AUTHORISED"
	ReasonCreditHold        = "CREDIT_HOLD"
	ReasonCapacity          = "CAPACITY"
	ReasonBelowMinimum      = "BELOW_MINIMUM"
	ReasonNotEligible       = "NOT_ELIGIBLE"
	ReasonAlreadyYours      = "ALREADY_YOURS"
	ReasonAlreadyRegistered = "ALREADY_REGISTERED"
	ReasonPendingOther      = "PENDING_OTHER"
	ReasonPartialOverlap    = "PARTIAL_OVERLAP"
	ReasonPossibleDuplicate = "POSSIBLE_DUPLICATE"
	ReasonCustomerLetter    = "CUSTOMER_LETTER"
	ReasonFamilyHeld        = "FAMILY_HELD"
	ReasonDirectEngaged     = "DIRECT_ENGAGED"
	ReasonDirectUnclear     = "DIRECT_UNCLEAR"
	ReasonPartnerEngaged    = "PARTNER_ENGAGED"
	ReasonNamedAccount      = "NAMED_ACCOUNT"
	ReasonNamedPossible     = "NAMED_POSSIBLE"
	ReasonTerritoryDirect   = "TERRITORY_DIRECT"
	ReasonTerritoryPartner  = "TERRITORY_PARTNER"
	ReasonTerritoryOpen     = "TERRITORY_OPEN"
	ReasonExistingCustomer  = "EXISTING_CUSTOMER"
	ReasonIncumbent         = "INCUMBENT"
	ReasonTender            = "TENDER"
	ReasonCompetingOffer    = "COMPETING_OFFER"
	ReasonStrategic         = "STRATEGIC"
	ReasonSuspiciousName    = "SUSPICIOUS_NAME"
	ReasonOwnUse            = "OWN_USE" // the customer is the partner itself, or its distributor
	ReasonDeclinedReview    = "DECLINED_ON_REVIEW"
	ReasonNotInTime         = "NOT_DECIDED_IN_TIME"   // nobody decided an escalation in time, and the policy declines then
	ReasonNotCompleted      = "NOT_COMPLETED_IN_TIME" // it was returned, the partner did not complete it in time, and the policy declines then
	ReasonCoSell            = "CO_SELL"
	ReasonClosedWon         = "CLOSED_WON" // the deal it waited behind is won
)

// CoreReasons lists every core reason code.
var CoreReasons = []string{ReasonProtected, ReasonRuleError, ReasonNoRule, ReasonDegraded, ReasonNoRate, ReasonImported, ReasonGuard,
	ReasonIncomplete, ReasonUnderReview, ReasonPartnerInactive, ReasonAgreementMissing, ReasonNotAuthorised, ReasonCreditHold,
	ReasonCapacity, ReasonBelowMinimum, ReasonNotEligible, ReasonAlreadyYours, ReasonAlreadyRegistered, ReasonPendingOther,
	ReasonPartialOverlap, ReasonPossibleDuplicate, ReasonCustomerLetter, ReasonFamilyHeld, ReasonDirectEngaged, ReasonDirectUnclear,
	ReasonPartnerEngaged, ReasonNamedAccount, ReasonNamedPossible, ReasonTerritoryDirect, ReasonTerritoryPartner, ReasonTerritoryOpen,
	ReasonExistingCustomer, ReasonIncumbent, ReasonTender, ReasonCompetingOffer, ReasonStrategic, ReasonSuspiciousName, ReasonOwnUse,
	ReasonDeclinedReview, ReasonNotInTime, ReasonNotCompleted, ReasonCoSell, ReasonClosedWon}
