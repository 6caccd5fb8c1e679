package policy

import "github.com/dibs-deals/dibs/internal/document"

// The header every policy begins with.
const (
	apiVersion = "dealreg/v1"
	docKind    = "Policy"
)

// Limits of one document.
const (
	maxDocument  = 1 << 20 // bytes
	maxRules     = 1000
	maxCondition = 4000 // characters of one condition, which bounds what it can cost
	maxSentence  = 1000 // characters of one text
)

// policyDoc is the document as written. Its field names are the language; docs/policy.md explains each.
type policyDoc struct {
	APIVersion string               `yaml:"apiVersion"`
	Kind       string               `yaml:"kind"`
	Metadata   metadataDoc          `yaml:"metadata"`
	Settings   settingsDoc          `yaml:"settings"`
	Params     map[string]paramDoc  `yaml:"params"`
	Bands      map[string]bandDoc   `yaml:"bands"`
	Tables     map[string]tableDoc  `yaml:"tables"`
	Precedence []string             `yaml:"precedence"`
	OnError    thenDoc              `yaml:"on_error"`
	OnNoMatch  thenDoc              `yaml:"on_no_match"`
	Reasons    map[string]reasonDoc `yaml:"reasons"`
	Required   []requiredDoc        `yaml:"required"`
	Defaults   defaultsDoc          `yaml:"defaults"`
	Rules      []ruleDoc            `yaml:"rules"`
	Waivers    []waiverDoc          `yaml:"waivers"`
	Tests      document.Part        `yaml:"tests"` // read by package policytest
}

type bandDoc struct {
	Of     string        `yaml:"of"`
	Ranges document.Part `yaml:"ranges"` // read in the order of the text
	Doc    string        `yaml:"doc"`
}

type tableDoc struct {
	Rows       []tableRowDoc `yaml:"rows"`
	Visibility string        `yaml:"visibility"`
	Doc        string        `yaml:"doc"`
}

type tableRowDoc struct {
	When  map[string]document.Scalar `yaml:"when"`
	Value document.Scalar            `yaml:"value"`
}

type metadataDoc struct {
	Name   string `yaml:"name"`
	Title  string `yaml:"title"`
	Owner  string `yaml:"owner"`
	Change string `yaml:"change"`
}

type settingsDoc struct {
	Currency     string               `yaml:"currency"`
	Timezone     string               `yaml:"timezone"`
	Tiers        []string             `yaml:"tiers"`
	Lines        []string             `yaml:"lines"`
	Stages       []string             `yaml:"stages"`
	PublicSector []string             `yaml:"public_sector"`
	Family       string               `yaml:"family"`
	DistinctBy   []string             `yaml:"distinct_by"`
	Claims       string               `yaml:"claims"`
	Waitlist     []string             `yaml:"waitlist"`
	Uncounted    []string             `yaml:"uncounted_classes"`
	OnPartner    onPartnerDoc         `yaml:"on_partner"`
	MailDomains  []string             `yaml:"mail_domains"`
	Publish      publishDoc           `yaml:"publish"`
	Material     materialDoc          `yaml:"material_change"`
	ReasonPrefix string               `yaml:"reason_prefix"`
	Calendar     calendarDoc          `yaml:"calendar"`
	Custom       map[string]customDoc `yaml:"custom"`

	Benefits map[string]document.Scalar `yaml:"benefits"` // name → its values, or number
}

type onPartnerDoc struct {
	Suspended  string `yaml:"suspended"`
	Terminated string `yaml:"terminated"`
}

type publishDoc struct {
	People int `yaml:"people"`
}

type materialDoc struct {
	AmountPercent float64 `yaml:"amount_percent"`
	KeepsPlace    bool    `yaml:"keeps_place"`
}

type calendarDoc struct {
	Timezone string   `yaml:"timezone"`
	Days     []string `yaml:"days"`
	Hours    string   `yaml:"hours"`
	Regions  []string `yaml:"regions"`
	Holidays []string `yaml:"holidays"`
}

type customDoc struct {
	Type     string   `yaml:"type"`
	Values   []string `yaml:"values"`
	Required bool     `yaml:"required"`
	Doc      string   `yaml:"doc"`
}

type paramDoc struct {
	Value      document.Scalar `yaml:"value"`
	Min        *float64        `yaml:"min"`
	Max        *float64        `yaml:"max"`
	Visibility string          `yaml:"visibility"`
	Doc        string          `yaml:"doc"`
}

type reasonDoc struct {
	Partner  document.Texts `yaml:"partner"`
	ShownAs  string         `yaml:"shown_as"`
	Internal string         `yaml:"internal"`
	Appeal   bool           `yaml:"appeal"`
	Within   string         `yaml:"appeal_within"`
}

type requiredDoc struct {
	Field string       `yaml:"field"`
	When  conditionDoc `yaml:"when"`
}

type defaultsDoc struct {
	Required thenDoc `yaml:"required"`
	Protect  thenDoc `yaml:"protect"`
	Route    thenDoc `yaml:"route"`
	Escalate thenDoc `yaml:"escalate"`
}

type ruleDoc struct {
	ID        string       `yaml:"id"`
	Title     string       `yaml:"title"`
	When      conditionDoc `yaml:"when"`
	Then      thenDoc      `yaml:"then"`
	Overrides []string     `yaml:"overrides"`
	Status    string       `yaml:"status"`
	Effective effectiveDoc `yaml:"effective"`
}

type waiverDoc struct {
	ID      string `yaml:"id"`
	Partner string `yaml:"partner"`
	Rule    string `yaml:"rule"`
	Until   string `yaml:"until"`
	By      string `yaml:"by"`
	Why     string `yaml:"why"`
}

type effectiveDoc struct {
	From string `yaml:"from"`
	To   string `yaml:"to"`
}

// thenDoc is what a rule wants. Which fields may be given depends on the outcome.
type thenDoc struct {
	Outcome string `yaml:"outcome"`
	Reason  string `yaml:"reason"`

	// protect
	Terms termsDoc `yaml:"terms"`

	// protect and route
	Benefits map[string]string `yaml:"benefits"`

	// route
	Disposition string   `yaml:"disposition"`
	To          string   `yaml:"to"`
	OwnerOf     string   `yaml:"owner_of"`
	Of          string   `yaml:"of"`
	Needs       []string `yaml:"needs"`
	Resubmit    string   `yaml:"resubmit_after"`
	KeepsPlace  bool     `yaml:"keeps_place"`
	Within      string   `yaml:"answer_within"`
	FindersFee  bool     `yaml:"finders_fee"`

	// route and escalate
	Queue string `yaml:"queue"`

	// route and escalate: what happens when nobody acts in time
	OnSilence string `yaml:"on_silence"`

	// escalate
	Authority   string  `yaml:"authority"`
	FourEyes    bool    `yaml:"four_eyes"`
	Acknowledge string  `yaml:"acknowledge"`
	Decide      string  `yaml:"decide"`
	EscalateTo  string  `yaml:"escalate_to"`
	Consult     string  `yaml:"consult"`
	Hold        holdDoc `yaml:"hold"`
}

type termsDoc struct {
	Days       document.Scalar `yaml:"days"`
	Months     document.Scalar `yaml:"months"`
	Anchor     string          `yaml:"anchor"`
	Exclusive  *bool           `yaml:"exclusive"`
	Extensions *extensionsDoc  `yaml:"extensions"`
	Milestones []milestoneDoc  `yaml:"milestones"`
	Condition  *milestoneDoc   `yaml:"condition"`
	Fulfil     []string        `yaml:"fulfil"`
	Dwell      string          `yaml:"dwell"`
}

type extensionsDoc struct {
	Max    document.Scalar `yaml:"max"`
	Days   document.Scalar `yaml:"days"`
	Months document.Scalar `yaml:"months"`
	Needs  document.Scalar `yaml:"needs"` // a text or a list
	Ask    string          `yaml:"ask"`
}

type milestoneDoc struct {
	OnMiss string          `yaml:"on_miss"`
	When   string          `yaml:"when"` // of a condition
	Days   document.Scalar `yaml:"days"`
	Need   string          `yaml:"need"`
}

type holdDoc struct {
	Provisional bool            `yaml:"provisional"`
	Days        document.Scalar `yaml:"days"`
}

// conditionDoc is a condition as written: a text, or true and false without quotes.
type conditionDoc string

// UnmarshalShort takes the text as it is.
func (w *conditionDoc) UnmarshalShort(text string) error {
	*w = conditionDoc(text)
	return nil
}
