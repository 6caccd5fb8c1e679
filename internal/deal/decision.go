package deal

import (
	"slices"
	"strings"
	"time"
)

// DocumentRef names one immutable version of a policy, a territory plan or a match model.
type DocumentRef struct {
	Name    string `json:"name"`
	Version int    `json:"version,omitempty"` // given at publication; 0 for a draft
	Digest  string `json:"digest"`            // sha256:… of the document's bytes
}

// Decision is one answer to one registration, with everything that was used to reach it: what it records is enough
// to derive it again.
type Decision struct {
	ID             string    `json:"id"`
	RegistrationID string    `json:"registration_id"`
	Sequence       uint64    `json:"sequence"` // the ledger entry that holds it
	At             time.Time `json:"at"`       // the instant it was decided as of: an input, recorded

	Outcome      Outcome     `json:"outcome"`
	ReasonCodes  []string    `json:"reason_codes"`         // the deciding one first; for staff
	PartnerCodes []string    `json:"partner_reason_codes"` // what the partner reads in their place
	Texts        Texts       `json:"texts"`
	Protection   *Protection `json:"protection,omitempty"`
	Route        *Route      `json:"route,omitempty"`
	Case         *CaseTerms  `json:"case,omitempty"`
	DueAt        time.Time   `json:"due_at,omitzero"` // by when its case is to be decided
	Terms        *Terms      `json:"terms,omitempty"`
	Benefits     []Benefit   `json:"benefits,omitempty"`
	Ruling       *Ruling     `json:"ruling,omitempty"` // in place of what the rules said
	Appeal       *Appeal     `json:"appeal,omitempty"` // absent: it cannot be appealed

	Policy  DocumentRef  `json:"policy"`
	Plan    *DocumentRef `json:"territories,omitempty"` // absent while no territory plan is published
	Matcher DocumentRef  `json:"matcher"`

	Input      MatchInput         `json:"input"`
	Resolution Resolution         `json:"resolution"`
	Conflicts  []Conflict         `json:"conflicts,omitempty"`
	Territory  TerritoryResult    `json:"territory"`
	Facts      map[string]any     `json:"facts"`
	Trace      []RuleTrace        `json:"trace"`
	Candidates map[string][]Match `json:"candidates,omitempty"` // by corpus: accounts, opportunities, registrations
}

// Appeal says that the partner may ask for another look.
type Appeal struct {
	Within string `json:"within,omitempty"` // a term from the decision; empty: at any time
}

// Texts are the sentences of a decision: what the partner may read, and what staff read.
type Texts struct {
	Partner   string            `json:"partner"`             // English
	Languages map[string]string `json:"languages,omitempty"` // the partner's sentence in other languages, by BCP 47 tag
	Internal  string            `json:"internal"`
}

// Route is where a registration that is not protected goes.
type Route struct {
	To          Target      `json:"to"`
	Disposition Disposition `json:"disposition"`
	Queue       string      `json:"queue,omitempty"`
	Person      string      `json:"person,omitempty"`     // internal: who it was referred to
	PartnerID   string      `json:"partner_id,omitempty"` // internal: the partner it was referred to
	Of          string      `json:"of,omitempty"`         // internal: the registration it waits behind or was merged into
	Place       int         `json:"place,omitempty"`      // internal: place in the waitlist, 1 is next
	Needs       []string    `json:"needs,omitempty"`      // fields to complete, when returned
	Resubmit    string      `json:"resubmit_after,omitempty"`
	FindersFee  bool        `json:"finders_fee,omitempty"`
	KeepsPlace  bool        `json:"keeps_place,omitempty"`   // a returned filing keeps its place in line
	Within      string      `json:"answer_within,omitempty"` // how long there is to complete it or to answer
	OnSilence   string      `json:"on_silence,omitempty"`
}

// Terms are what a protection promises besides its window.
type Terms struct {
	Days       int              `json:"days,omitempty"`
	Months     int              `json:"months,omitempty"`
	Anchor     string           `json:"anchor"`
	Exclusive  bool             `json:"exclusive"`
	Extensions *ExtensionTerms  `json:"extensions,omitempty"`
	Milestones []MilestoneTerms `json:"milestones,omitempty"`
	Condition  *MilestoneTerms  `json:"condition,omitempty"` // what must happen first: until then the protection is conditional and ends with the days given here
	Fulfil     []string         `json:"fulfil,omitempty"`    // what must have happened before it ends
	Dwell      string           `json:"dwell,omitempty"`     // least time between registration and win, as the policy says it: 72h
}

// ExtensionTerms say how often and by how much a window may be lengthened.
type ExtensionTerms struct {
	Max    int    `json:"max"`
	Days   int    `json:"days,omitempty"`
	Months int    `json:"months,omitempty"`
	Needs  string `json:"needs,omitempty"` // all of these, with commas between them: ExtensionNeeds, and what the vendor judges
	Ask    string `json:"ask,omitempty"`   // before_end or any_time; empty: before_end
}

// ExtensionNeeds are what the service can ask a partner for before it extends: nothing more than to be asked, a reason in words,
// evidence of any kind, evidence dated since the protection began, and each kind of evidence.
var ExtensionNeeds = append([]string{"request", "reason", "evidence", "activity"}, EvidenceKinds...)

// Lacks returns what an extension needs and the reason and the evidence do not show. Words the service cannot see for itself are judged: for
// the vendor to say. With activity among the needs, only evidence dated since then counts for the others.
func (t *ExtensionTerms) Lacks(reason string, evidence []Evidence, since time.Time) (lacks, judged []string) {
	if t.Needs == "" {
		return nil, nil
	}
	needs := strings.Split(t.Needs, ", ")
	shown := evidence
	if slices.Contains(needs, "activity") {
		first := since.AddDate(0, 0, -1) // a day begins earlier elsewhere on earth
		shown = slices.DeleteFunc(slices.Clone(evidence), func(e Evidence) bool { return !e.Date.After(first) })
	}
	for _, need := range needs {
		switch {
		case need == "request", need == "reason" && strings.TrimSpace(reason) != "":
		case need == "reason":
			lacks = append(lacks, need)
		case need == "evidence", need == "activity":
			if len(shown) == 0 {
				lacks = append(lacks, need)
			}
		case !slices.Contains(ExtensionNeeds, need):
			judged = append(judged, need)
		case !slices.ContainsFunc(shown, func(e Evidence) bool { return e.Kind == need }):
			lacks = append(lacks, need)
		}
	}
	return lacks, judged
}

// Milestone is something that has to happen while a protection runs.
type Milestone struct {
	Need     string    `json:"need"`
	DueAt    time.Time `json:"due_at"`
	OnMiss   string    `json:"on_miss,omitempty"` // expire: the protection ends then; else it is told of
	MetAt    time.Time `json:"met_at,omitzero"`
	MissedAt time.Time `json:"missed_at,omitzero"`
}

// MilestoneTerms is something that must happen within days of the start.
type MilestoneTerms struct {
	OnMiss string `json:"on_miss,omitempty"` // expire or tell; empty: tell
	When   string `json:"when,omitempty"`    // of a condition: WhenPromoted; empty: always
	Days   int    `json:"days"`
	Need   string `json:"need"`
}

// WhenPromoted is the When of a condition that holds only for what the line moved up to. NeedAcceptance is a condition that /accept meets:
// by the partner when it was promoted, else by the vendor.
const (
	WhenPromoted   = "promoted"
	NeedAcceptance = "acceptance"
)

// Offered returns the condition of what the line moved up to that the partner has to accept; else nil.
func (t *Terms) Offered() *MilestoneTerms {
	if t == nil || t.Condition == nil || t.Condition.When != WhenPromoted || t.Condition.Need != NeedAcceptance {
		return nil
	}
	return t.Condition
}

// Benefit is a named value the policy grants: a margin class, a discount.
type Benefit struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// CaseTerms are what an escalation asks for.
type CaseTerms struct {
	Queue       string    `json:"queue"`
	Authority   string    `json:"authority,omitempty"`
	FourEyes    bool      `json:"four_eyes,omitempty"`
	Acknowledge string    `json:"acknowledge,omitempty"` // as the policy says it: 4bh
	Decide      string    `json:"decide,omitempty"`
	OnSilence   string    `json:"on_silence"` // grant, decline or escalate, when nobody acts in time
	EscalateTo  string    `json:"escalate_to,omitempty"`
	Consult     string    `json:"consult,omitempty"`
	Hold        HoldTerms `json:"hold"`
	Grant       *Grant    `json:"grant,omitempty"` // what the registration gets when it is granted; absent: the policy does not say
}

// Grant is what an escalated registration gets when a person, or silence, grants it.
type Grant struct {
	Terms    Terms     `json:"terms"`
	Benefits []Benefit `json:"benefits,omitempty"`
	Rule     string    `json:"rule,omitempty"` // whose terms these are; empty: the policy's defaults
}

// HoldTerms say what the registration keeps while its case is open. Its place in line it always keeps.
type HoldTerms struct {
	Provisional bool `json:"provisional,omitempty"`
	Days        int  `json:"days,omitempty"`
}

// MatchInput is the normalised description of the customer the matcher used.
type MatchInput struct {
	Names       []string `json:"names"`
	Domains     []string `json:"domains,omitempty"`
	MailDomain  string   `json:"mail_domain,omitempty"`
	Country     string   `json:"country,omitempty"`
	Region      string   `json:"region,omitempty"`
	City        string   `json:"city,omitempty"`
	PostalCode  string   `json:"postal_code,omitempty"`
	Street      string   `json:"street,omitempty"`
	Phone       string   `json:"phone,omitempty"`
	TaxID       string   `json:"tax_id,omitempty"`
	DUNS        string   `json:"duns,omitempty"`
	LEI         string   `json:"lei,omitempty"`
	ParentNames []string `json:"parent_names,omitempty"`
}

// Verdict is the matcher's judgement on a pair of descriptions.
type Verdict string

// The verdicts of the matcher.
const (
	Same      Verdict = "same"
	Review    Verdict = "review"
	Related   Verdict = "related"
	Different Verdict = "different"
)

// Score is one term of a judgement: what was compared, what it weighs in log-odds, and what that means in words.
type Score struct {
	Term   string  `json:"term"`
	Value  string  `json:"value,omitempty"`
	Weight float64 `json:"weight"` // natural log-odds
	Text   string  `json:"text"`
}

// Match is one candidate and how it was judged.
type Match struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	Probability float64 `json:"probability"` // that both describe one organisation, also when the verdict is related
	Verdict     Verdict `json:"verdict"`
	Identifier  string  `json:"identifier,omitempty"` // which identifier both have, however unlike they are otherwise; empty: none
	Evidence    []Score `json:"evidence,omitempty"`
}

// The identifiers of Match. Domain is a web address that one organisation has to itself, as far as is known; MailDomain is one
// that at least one side has only from a contact's e-mail address.
const (
	IdentifierTaxID      = "tax_id"
	IdentifierDUNS       = "duns"
	IdentifierLEI        = "lei"
	IdentifierDomain     = "domain"
	IdentifierMailDomain = "mail_domain"
)

// Resolution says whom the customer was resolved to, and how sure that is.
type Resolution struct {
	Ref         CustomerRef `json:"ref"`
	Status      string      `json:"status"` // certain, possible or none; possible never decides alone
	Probability float64     `json:"probability"`
	NewProspect bool        `json:"new_prospect,omitempty"`
	Finding     string      `json:"finding,omitempty"`            // of a person, by which it is this customer; empty: by its own words
	Disagrees   []string    `json:"disagrees,omitempty"`          // fields where the registration and the account differ
	UnknownID   string      `json:"unknown_account_id,omitempty"` // the account that the filing names, when there is none of that id
	Truncated   bool        `json:"truncated,omitempty"`          // the search met its work budget; candidates may be missing
}

// Conflict is a match with a meaning: whom it is with, what it covers, how sure, since when, how lively.
type Conflict struct {
	Kind        ConflictKind `json:"kind"`
	With        string       `json:"with"`                 // id of the registration, opportunity, account or territory
	PartnerID   string       `json:"partner_id,omitempty"` // the other partner, where there is one
	Self        bool         `json:"self,omitempty"`       // the registrant's own
	Overlap     Overlap      `json:"overlap"`
	Probability float64      `json:"probability"`          // from the policy's possible on when they share an identifier
	Identifier  string       `json:"identifier,omitempty"` // as in Match
	Since       time.Time    `json:"since,omitzero"`
	Until       time.Time    `json:"until,omitzero"`
	Status      string       `json:"status,omitempty"`
	Stage       string       `json:"stage,omitempty"`
	IdleDays    int64        `json:"idle_days,omitempty"`
	Relation    string       `json:"relation,omitempty"`
	Evidence    []Score      `json:"evidence,omitempty"`
}

// TerritoryResult says which territories cover the customer, and which wins.
type TerritoryResult struct {
	Status   string   `json:"status"` // resolved, none, ambiguous, or no_plan while none is published
	ID       string   `json:"id,omitempty"`
	Coverage string   `json:"coverage"`          // direct, partner or unknown; hybrid is settled by amount and lead
	Owner    Owner    `json:"owner,omitzero"`    // of the winner
	Why      string   `json:"why,omitempty"`     // the precedence that chose it, in words
	Covers   []string `json:"covers,omitempty"`  // every territory that covers the customer, in precedence order
	Unknown  []string `json:"unknown,omitempty"` // fields nobody knows of the customer that could have changed the answer
}

// Owner is who answers for a territory.
type Owner struct {
	Rep       string `json:"rep,omitempty"`
	Manager   string `json:"manager,omitempty"`
	Queue     string `json:"queue,omitempty"`
	PartnerID string `json:"partner_id,omitempty"`
}

// RuleTrace says what one rule did in one decision.
type RuleTrace struct {
	Rule   string `json:"rule"`
	Title  string `json:"title,omitempty"`
	Result string `json:"result"` // decided, lost, overridden, shadow or error; rules that did not fire are left out
	By     string `json:"by,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Actor is who does something: an API key and the person who acts with it, or the service itself when a clock acts.
type Actor struct {
	KeyID    string `json:"key_id"`
	Role     string `json:"role"`
	PersonID string `json:"person_id,omitempty"`
}

// String is the actor as an entry is sealed with it. Neither a key's id nor a role has a slash.
func (a Actor) String() string {
	s := a.KeyID + "/" + a.Role
	if a.PersonID != "" {
		s += "/" + a.PersonID
	}
	return s
}

// System is the actor of what the service does by itself: expiry, first start.
var System = Actor{KeyID: "system", Role: "admin"}

// Key is an API key. Its secret is never stored.
type Key struct {
	ID         string    `json:"id"`
	Role       string    `json:"role"`
	PartnerIDs []string  `json:"partner_ids,omitempty"` // a portal key's partners; "*" means all
	PersonID   string    `json:"person_id,omitempty"`   // who acts with it; empty: nobody in particular, such as a program
	Note       string    `json:"note,omitempty"`
	SecretHash []byte    `json:"secret_hash"` // SHA-256 of a 256-bit random secret, which needs no slow hash
	CreatedAt  time.Time `json:"created_at"`
	RevokedAt  time.Time `json:"revoked_at,omitzero"`
}

// Document is one version of a policy or a territory plan, as written.
type Document struct {
	Kind        string    `json:"kind"` // policy, territories or signer
	Name        string    `json:"name"`
	Title       string    `json:"title,omitempty"`
	Timezone    string    `json:"timezone,omitempty"` // in which its days begin
	Version     int       `json:"version"`
	Digest      string    `json:"digest"`
	Body        string    `json:"body"`   // YAML; a key's line; JSON of a generation
	Status      string    `json:"status"` // draft, scheduled, live or retired
	CreatedAt   time.Time `json:"created_at"`
	CreatedBy   string    `json:"created_by"`
	PublishedAt time.Time `json:"published_at,omitzero"`
	PublishedBy string    `json:"published_by,omitempty"`

	// EffectiveFrom is when it began to decide the last time, or will begin; EffectiveTo when it ceased the last time.
	EffectiveFrom time.Time `json:"effective_from,omitzero"`
	EffectiveTo   time.Time `json:"effective_to,omitzero"`

	Periods []Period `json:"periods,omitempty"` // in which it decided, in order

	Holidays []string `json:"holidays,omitempty"` // of the regions a policy's calendar names, as they were known when it was saved
}

// Period is [From, To) in which a version decided; To is zero while it does.
type Period struct {
	From        time.Time `json:"from"`
	To          time.Time `json:"to,omitzero"`
	PublishedBy string    `json:"published_by,omitempty"`
}

// Await makes d a version that will decide from an instant on.
func (d *Document) Await(at time.Time, by string) {
	d.Periods = d.Decided()
	d.Status, d.EffectiveFrom, d.PublishedBy = DocumentScheduled, at, by
}

// Begin makes d the version that decides from an instant on.
func (d *Document) Begin(at time.Time, by string) {
	d.Periods = append(d.Decided(), Period{From: at, PublishedBy: by})
	d.Status, d.EffectiveFrom, d.EffectiveTo, d.PublishedBy = DocumentLive, at, time.Time{}, by
}

// Cease ends that, as of an instant.
func (d *Document) Cease(at time.Time) {
	d.Periods = d.Decided()
	if n := len(d.Periods); n > 0 {
		d.Periods[n-1].To = at
	}
	d.Status, d.EffectiveTo = DocumentRetired, at
}

// Decided returns a copy of the periods in which d has decided. Of versions saved by programs that did not write them down,
// the last one is known.
func (d *Document) Decided() []Period {
	if len(d.Periods) == 0 && !d.EffectiveFrom.IsZero() && (d.Status == DocumentLive || d.Status == DocumentRetired) {
		return []Period{{d.EffectiveFrom, d.EffectiveTo, d.PublishedBy}}
	}
	return slices.Clone(d.Periods)
}

// DecidedIn reports whether d decided at some instant of [from, to), or at from, where they are the same.
func (d *Document) DecidedIn(from, to time.Time) bool {
	return slices.ContainsFunc(d.Decided(), func(p Period) bool {
		return (p.From.Before(to) || p.From.Equal(from)) && (p.To.IsZero() || from.Before(p.To))
	})
}

// DocumentsAt brings the versions of one kind up to an instant: of the live one and those scheduled for then or earlier, the
// last to begin is live and the others are retired. So what decides at an instant follows from what was published and the
// instant alone. It changes docs, and returns those that have changed, the live one last; nil when there are none.
func DocumentsAt(docs []Document, at time.Time) []Document {
	var turns []*Document
	for i := range docs {
		if d := &docs[i]; d.Status == DocumentScheduled && !at.Before(d.EffectiveFrom) {
			turns = append(turns, d)
		}
	}
	if len(turns) == 0 {
		return nil
	}
	slices.SortFunc(turns, func(a, b *Document) int { return a.EffectiveFrom.Compare(b.EffectiveFrom) })
	for i := range docs {
		if d := &docs[i]; d.Status == DocumentLive {
			turns = slices.Insert(turns, 0, d)
			break
		}
	}
	changed := make([]Document, len(turns))
	for i, d := range turns {
		if d.Status == DocumentScheduled {
			d.Begin(d.EffectiveFrom, d.PublishedBy)
		}
		if i+1 < len(turns) {
			d.Cease(turns[i+1].EffectiveFrom)
		}
		changed[i] = *d
	}
	return changed
}

// The kinds of Document.
const (
	PolicyDocument     = "policy"
	TerritoryDocument  = "territories"
	SignerDocument     = "signer"     // the verification key of the ledger's checkpoints from its version on
	GenerationDocument = "generation" // which generation of this program decides from its version on
)

// The statuses of a Document.
const (
	DocumentDraft     = "draft"
	DocumentScheduled = "scheduled" // published, and live from EffectiveFrom on
	DocumentLive      = "live"
	DocumentRetired   = "retired"
)

// Core reason codes, stable for ever. A policy adds its own with its own prefix.
const (
	ReasonProtected = "PROTECTED"
	ReasonRuleError = "RULE_ERROR"
	ReasonNoRule    = "NO_RULE"
	ReasonDegraded  = "DEGRADED" // the matcher or the index could not give a full answer
	ReasonNoRate    = "NO_EXCHANGE_RATE"
	ReasonImported  = "IMPORTED"
)
