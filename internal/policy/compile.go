package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"golang.org/x/text/currency"
	"golang.org/x/text/language"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
)

// Policy is a compiled policy: immutable, and safe for concurrent use.
type Policy struct {
	ref      deal.DocumentRef
	title    string
	settings Settings
	params   []Param
	rules    []rule
	order    []int // the rules, each after those that override it
	onError  action
	onNone   action
	custom   map[string]CustomField
	derived  map[string]*derived
	body     []byte

	warnings   Errors
	benefits   map[string]benefit
	doubts     []doubt
	waivers    []waiver
	codes      []string // of the reasons, sorted
	reasons    map[string]*reason
	review     deal.CaseTerms // of a case that no rule opened
	returning  deal.Returning // of what people return
	grant      *deal.Grant    // the default terms of a protection; nil: there are none
	boundaries []Boundary
}

// Param is a named number, switch, text or list of the policy: what sales operations tune.
type Param struct {
	Name       string     `json:"name"`
	Value      any        `json:"value"` // bool, int64, float64, string or []string
	Min        *float64   `json:"min,omitempty"`
	Max        *float64   `json:"max,omitempty"`
	Visibility Visibility `json:"visibility"`
	Doc        string     `json:"doc,omitempty"`
}

// rule is one compiled rule. The required section becomes one too.
type rule struct {
	id, title    string
	shadow       bool
	from, to     time.Time // zero: no bound
	when         cel.Program
	required     []requirement // of the required section, in place of a condition
	then         action
	rank         int // place of its outcome or disposition in the precedence
	overriddenBy []int
	internal     bool   // its condition reads what partners may not: they hear of it only when it decides
	wants        string // what it would have decided, for the trace
}

type requirement struct {
	field string
	when  cel.Program // nil: always
}

// action is what a rule wants, checked.
type action struct {
	verdict Verdict // every field that does not depend on the facts
	reason  *reason
	lookups []lookedUp
	days    *derived // gives the days of the terms; nil: they are fixed
}

// lookedUp is a benefit whose value a table or a band gives.
type lookedUp struct {
	benefit int
	from    *derived
}

type reason struct {
	code     string
	public   string // what a partner reads in its place
	partner  text
	others   map[string]text // in other languages
	internal text
	appeal   bool
	within   string
}

// compiler holds what Compile has read and found so far.
type compiler struct {
	r        *document.Reader
	doc      policyDoc
	saved    bool // it was checked when it was saved, with dates as its regions' holidays
	dates    []string
	zone     *time.Location
	params   map[string]ref.Val
	public   map[string]bool // params partners may read
	custom   map[string]CustomField
	derived  map[string]*derived
	reasons  map[string]*reason
	ranks    map[string]int
	env      *cel.Env
	known    map[string]bool // every name a condition may use
	then     document.Path   // of the action that is being read
	beneath  document.Path   // the defaults beneath it
	judged   Errors          // what extensions need that the service cannot see for itself
	edges    []Boundary      // of the condition read last
	internal bool            // whether it reads what partners may not
	read     []string        // and what it reads
	looksAt  map[string]bool // what rules in force read
	used     map[string]bool // what anything in the document speaks of: params, bands, tables, reasons
	p        *Policy
}

func path(steps ...any) document.Path { return steps }

// add reports something wrong at a path. What a then has from the defaults of its outcome is wrong there, once.
func (c *compiler) add(p document.Path, format string, args ...any) {
	if n := len(c.then); n > 0 && len(p) > n && !c.r.Has(p...) && slices.Equal(p[:n], c.then) {
		if q := append(slices.Clone(c.beneath), p[n:]...); c.r.Has(q...) {
			p = q
		}
	}
	c.r.Add(p, format, args...)
}

// Compile reads and checks a policy. The error is an Errors with everything that is wrong; a Policy is returned only
// when nothing is.
func Compile(doc []byte) (*Policy, error) {
	p, err := Draft(doc)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// CompileSaved is Compile of a version that was saved with the holidays of its regions (Policy.Holidays): those, and not what is known of the
// regions now.
func CompileSaved(doc []byte, holidays []string) (*Policy, error) {
	p, err := newCompiler(doc, true, holidays).draft(doc)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Draft is Compile for whoever goes on to check the rest of the document, its tests, whatever is wrong with the policy: the
// policy that comes with an error is what could be read of it, to ask for names and settings, and never to decide. It is nil
// where that would only lead to more errors that are none.
func Draft(doc []byte) (*Policy, error) { return newCompiler(doc, false, nil).draft(doc) }

func newCompiler(doc []byte, saved bool, holidays []string) *compiler {
	return &compiler{saved: saved, dates: holidays, r: document.Parse(doc, maxDocument), params: map[string]ref.Val{}, public: map[string]bool{},
		custom: map[string]CustomField{}, derived: map[string]*derived{}, reasons: map[string]*reason{}, ranks: map[string]int{}, known: map[string]bool{}, looksAt: map[string]bool{}, used: map[string]bool{}, p: &Policy{}}
}

func (c *compiler) draft(doc []byte) (*Policy, error) {
	if !c.r.Readable() {
		return nil, c.r.Err()
	}
	if c.another() {
		c.header()
		return nil, c.r.Err() // nothing below would make sense
	}
	c.r.Read(&c.doc)
	c.header()
	if c.r.Lost("settings", "params", "bands", "tables", "reasons", "defaults") {
		return nil, c.r.Err() // what the rest speaks of may be there
	}
	c.metadata(doc)
	c.settings()
	c.parameters()
	c.precedence()
	c.bands()
	c.tables()
	c.p.derived = c.derived
	c.environment()
	c.allReasons()
	c.p.onError = c.fallback("on_error", deal.ReasonRuleError)
	c.p.onNone = c.fallback("on_no_match", deal.ReasonNoRule)
	c.rules()
	if c.r.Lost("rules") {
		return nil, c.r.Err()
	}
	c.waivers()
	c.cases()
	c.idle()
	c.p.codes, c.p.reasons = slices.Sorted(maps.Keys(c.reasons)), c.reasons
	return c.p, c.r.Err()
}

// cases reads what holds for cases that no rule opened, for what people return, and what a grant gives where no rule says: the defaults.
func (c *compiler) cases() {
	c.p.review = deal.CaseTerms{Queue: "policy-desk", OnSilence: "escalate"}
	if d := c.doc.Defaults.Escalate; d.Queue != "" {
		c.p.review = *c.caseTerms(path("defaults", "escalate"), d)
	}
	back := c.doc.Defaults.Required
	c.p.returning = deal.Returning{KeepsPlace: back.KeepsPlace, Within: back.Within, OnSilence: back.OnSilence}
	d := c.doc.Defaults.Protect.Terms
	if at := path("defaults", "protect", "terms"); (d.Days.Value == nil) != (d.Months.Value == nil) { // else they are only a part of terms
		if c.lookedUpDays(at.Of("days"), &d) == nil {
			c.p.grant = &deal.Grant{Terms: *c.terms(at, d)}
		}
	}
}

// another reports whether the document says that it is of another kind or version, or nothing in it says that it is a policy.
func (c *compiler) another() bool {
	v, kind := c.r.Peek("apiVersion"), c.r.Peek("kind")
	return v != "" && v != apiVersion || kind != docKind && document.Nearest(kind, []string{docKind}) == "" && (kind != "" || !c.r.Has("rules"))
}

func (c *compiler) header() {
	if v := c.r.Peek("apiVersion"); v != apiVersion && !c.r.Lost("apiVersion") {
		c.add(path("apiVersion"), "a policy begins with apiVersion: %s", apiVersion)
	}
	switch v := c.r.Peek("kind"); {
	case v == docKind || c.r.Lost("kind"):
	case v == "" && c.r.Has("territories"):
		c.add(path("kind"), "say what it is: kind: TerritoryPlan")
	case v == "":
		c.add(path("kind"), "say what it is: kind: %s", docKind)
	default:
		hint := ""
		if document.Nearest(v, []string{docKind, "TerritoryPlan"}) == "TerritoryPlan" && v != "TerritoryPlan" {
			hint = "; did you mean TerritoryPlan?"
		}
		c.add(path("kind"), "%q is not kind: %s%s", v, docKind, hint)
	}
}

// IsPolicy reports whether a document calls itself a policy, right or wrong.
func IsPolicy(doc []byte) bool { return document.Parse(doc, maxDocument).Peek("kind") == docKind }

var (
	nameForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	fieldForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	codeForm  = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,62}$`)
)

func (c *compiler) metadata(doc []byte) {
	m := &c.doc.Metadata
	if !c.r.Has("metadata", "name") {
		c.add(path("metadata", "name"), "say what it is called: metadata: {name: acme-roe}")
	} else if !nameForm.MatchString(m.Name) {
		c.add(path("metadata", "name"), "%q is not a name: lower-case letters, digits and hyphens, 63 at most", m.Name)
	}
	sum := sha256.Sum256(doc)
	c.p.ref = deal.DocumentRef{Name: m.Name, Digest: "sha256:" + hex.EncodeToString(sum[:])}
	c.p.title = m.Title
	c.p.body = slices.Clone(doc)
}

func (c *compiler) settings() {
	d := &c.doc.Settings
	s := &c.p.settings
	s.Currency = d.Currency
	if _, err := currency.ParseISO(d.Currency); err != nil || len(d.Currency) != 3 || strings.ToUpper(d.Currency) != d.Currency {
		c.add(path("settings", "currency"), "%q is not an ISO 4217 code such as EUR", d.Currency)
	}
	zone, err := time.LoadLocation(d.Timezone)
	if err != nil || d.Timezone == "" || d.Timezone == "Local" {
		c.add(path("settings", "timezone"), "%q is not a time zone such as Europe/Berlin or UTC", d.Timezone)
		zone = time.UTC
	}
	c.zone, s.Timezone = zone, zone
	c.words("tiers", d.Tiers)
	c.words("lines", d.Lines)
	c.words("stages", d.Stages)
	c.words("public_sector", d.PublicSector)
	s.Tiers, s.Lines, s.Stages, s.PublicSector = d.Tiers, d.Lines, d.Stages, d.PublicSector
	switch d.Family {
	case "", "separate":
	case "together":
		s.FamilyScope = true
	default:
		c.add(path("settings", "family"), "%q is not separate (a claim covers one organisation) or together (its whole family)", d.Family)
	}
	switch d.Claims {
	case "", "by_line":
	case "by_class":
		s.ByClass = true
	default:
		c.add(path("settings", "claims"), "%q is not by_line (a claim is for whole product lines) or by_class (for the classes of its products in the catalogue)", d.Claims)
	}
	for i, f := range d.DistinctBy {
		if cn, own := customName(f); own && d.Custom[cn].Type != "" || slices.Contains(distinctFields, f) {
			continue
		}
		c.add(path("settings", "distinct_by", i), "%q is not one of %s, or a field that settings.custom declares", f, strings.Join(distinctFields, ", "))
	}
	for i, w := range d.Waitlist {
		if cn, own := customName(w); own && d.Custom[cn].Type != "" && FactType(d.Custom[cn].Type) != String {
			continue
		}
		oneOf(c, path("settings", "waitlist", i), w, append(slices.Clone(WaitlistOrders), "a field of settings.custom that is no text"))
	}
	if d.Publish.People != 0 && d.Publish.People != 1 && d.Publish.People != 2 {
		c.add(path("settings", "publish", "people"), "%d is not 1 or 2: who saves a version publishes it, or somebody else does", d.Publish.People)
	}
	if p := d.Material.AmountPercent; !(p >= 0 && p <= 100) {
		c.add(path("settings", "material_change", "amount_percent"), "%v is not a percentage from 0 to 100", p)
	}
	s.MaterialPercent, s.KeepsPlace = d.Material.AmountPercent, d.Material.KeepsPlace
	c.words("uncounted_classes", d.Uncounted)
	s.OnPartner = map[string]string{"suspended": cmp.Or(d.OnPartner.Suspended, "review"), "terminated": cmp.Or(d.OnPartner.Terminated, "review")}
	for _, status := range []string{"suspended", "terminated"} {
		oneOf(c, path("settings", "on_partner", status), s.OnPartner[status], []string{"keep", "review", "revoke"})
	}
	c.words("mail_domains", d.MailDomains)
	s.MailDomain = d.MailDomains
	s.DistinctBy, s.Waitlist, s.Uncounted, s.TwoPeople = d.DistinctBy, d.Waitlist, d.Uncounted, d.Publish.People == 2
	if d.ReasonPrefix != "" && (!codeForm.MatchString(d.ReasonPrefix) || !strings.HasSuffix(d.ReasonPrefix, "_")) {
		c.add(path("settings", "reason_prefix"), "%q is not a prefix such as ACME_", d.ReasonPrefix)
	}
	s.ReasonPrefix = d.ReasonPrefix
	s.Calendar = c.calendar()
	for _, name := range c.r.Keys("settings", "custom") {
		f := d.Custom[name]
		at := path("settings", "custom", name)
		if !fieldForm.MatchString(name) {
			c.add(at, "%q is not a field name: lower-case letters, digits and _", name)
		}
		field := CustomField{Name: name, Type: FactType(f.Type), Values: f.Values, Required: f.Required, Doc: f.Doc}
		switch field.Type {
		case Bool, Int, Double, String, Instant:
			if f.Values != nil {
				c.add(at.Of("values"), "only a field of type enum has values")
			}
		case Enum:
			if len(f.Values) == 0 {
				c.add(at, "a field of type enum lists its values")
			}
		default:
			c.add(at.Of("type"), "%q is not one of bool, int, double, string, enum, instant", f.Type)
			field.Type = String
		}
		c.custom[name] = field
		s.Custom = append(s.Custom, field)
	}
	if len(s.Custom) > deal.MaxCustom {
		c.add(path("settings", "custom"), "%d fields are declared; a filing carries at most %d", len(s.Custom), deal.MaxCustom)
	}
	c.p.custom = c.custom
	c.benefits()
}

// benefit is a declared name of what a protection or a route carries, and the values it can have; none: a number.
type benefit []string

// takes reports why the benefit cannot have the value, or nothing.
func (b benefit) takes(value string) string {
	if _, err := strconv.ParseFloat(value, 64); len(b) == 0 && err != nil {
		return fmt.Sprintf("%q is not a number, as settings.benefits says it is", value)
	}
	if len(b) > 0 && !slices.Contains(b, value) {
		return fmt.Sprintf("%q is not one of %s%s", value, strings.Join(b, ", "), didYouMean(value, b))
	}
	return ""
}

func (c *compiler) benefits() {
	c.p.benefits = map[string]benefit{}
	for _, name := range c.r.Keys("settings", "benefits") {
		at := path("settings", "benefits", name)
		if !fieldForm.MatchString(name) {
			c.add(at, "%q is not a name: lower-case letters, digits and _", name)
		}
		switch v := c.doc.Settings.Benefits[name].Value.(type) {
		case []string:
			c.p.benefits[name] = v
		case string:
			c.p.benefits[name] = benefit{}
			if v != "number" {
				c.add(at, "say what it can be: [standard, raised], or number")
			}
		default:
			c.add(at, "say what it can be: [standard, raised], or number")
		}
	}
}

// idle warns of what the document declares and nothing speaks of: most often a name that is misspelt somewhere.
func (c *compiler) idle() {
	warn := func(at document.Path, format string, args ...any) {
		line, col := c.r.Place(at)
		c.p.warnings = append(c.p.warnings, Error{Line: line, Column: col, Path: at.String(), Message: fmt.Sprintf(format, args...)})
	}
	for section, prefix := range map[string]string{"params": "params.", "bands": "band.", "tables": "table."} {
		for _, name := range c.r.Keys(section) {
			engines := section == "params" && (name == paramCertain || name == paramPossible || name == paramClaim)
			if !engines && !c.used[prefix+name] {
				warn(path(section, name), "nothing uses %s%s", prefix, name)
			}
		}
	}
	for _, code := range c.r.Keys("reasons") {
		if !c.used[code] && !slices.Contains(deal.CoreReasons, code) {
			warn(path("reasons", code), "nothing gives the reason %s", code)
		}
	}
	for i := range c.doc.Rules {
		at := path("rules", i, "then", "benefits")
		if c.r.Has(at...) && len(c.p.benefits) == 0 {
			warn(at, "declare them, so that a misspelt one is found: settings: benefits: {margin: [standard, raised], discount: number}")
			break
		}
	}
	for i, r := range c.doc.Rules {
		c.unasked(warn, path("rules", i), r)
	}
	if i := slices.Index(c.doc.Precedence, string(deal.Protect)); i >= 0 && i < len(c.doc.Precedence)-1 {
		warn(path("precedence", i), "protect stands before %s: a rule that protects wins over one that gives these, so that what fires beside it is never looked at; put protect last", strings.Join(c.doc.Precedence[i+1:], ", "))
	}
	if !c.r.Has("tests") {
		warn(nil, "there are no tests: nobody has seen it decide anything")
	}
	c.p.warnings = document.Join(c.p.warnings, c.judged)
}

// unasked warns of a rule that answers without asking what its answer rests on: how likely a claim is to be on this customer, or
// whether there is one to wait behind.
func (c *compiler) unasked(warn func(document.Path, string, ...any), at document.Path, r ruleDoc) {
	asks := func(kind deal.ConflictKind, field string) bool {
		return strings.Contains(string(r.When), "conflict."+string(kind)+"."+field)
	}
	claims := []deal.ConflictKind{deal.HeldByOther, deal.PendingOther, deal.OwnDuplicate}
	for _, kind := range claims {
		if r.Then.Outcome != string(deal.Escalate) && asks(kind, "found") && !asks(kind, "probability") {
			warn(at.Of("when"), "conflict.%s.found begins at params.possible_claim (%v): what is only perhaps the same customer is answered without a person; ask for conflict.%[1]s.probability >= params.certain here, and escalate what is less", kind, c.p.settings.PossibleClaim)
		}
	}
	if of := deal.ConflictKind(r.Then.Of); slices.Contains(claims, of) && !asks(of, "") && slices.ContainsFunc(claims, func(k deal.ConflictKind) bool { return asks(k, "") }) {
		warn(at.Of("then", "of"), "the condition does not ask for conflict.%s: there may be none to wait behind", of)
	}
}

// words checks a list of distinct, non-empty words; they differ by more than case, since imports may spell them so.
func (c *compiler) words(field string, list []string) {
	seen := map[string]bool{}
	for i, w := range list {
		k := strings.ToLower(strings.TrimSpace(w))
		if k == "" || seen[k] || strings.TrimSpace(w) != w {
			c.add(path("settings", field, i), "%q is empty, repeated or has spaces around it", w)
		}
		seen[k] = true
	}
}

// Parameters every policy has, with the value they take where the document does not give them.
const (
	paramCertain    = "certain"
	paramPossible   = "possible"
	paramClaim      = "possible_claim"
	defaultCertain  = 0.90
	defaultPossible = 0.50
	defaultClaim    = 0.20
)

func (c *compiler) parameters() {
	names := c.r.Keys("params")
	for _, name := range names {
		d, at := c.doc.Params[name], path("params", name)
		if !fieldForm.MatchString(name) {
			c.add(at, "%q is not a parameter name: lower-case letters, digits and _", name)
			continue
		}
		p := Param{Name: name, Value: d.Value.Value, Min: d.Min, Max: d.Max, Visibility: Internal, Doc: d.Doc}
		var num float64
		switch v := d.Value.Value.(type) {
		case bool:
			c.params[name] = types.Bool(v)
		case string:
			c.params[name] = types.String(v)
		case []string:
			c.params[name] = listVal(v)
		case int64:
			c.params[name], num = types.Int(v), float64(v)
		case float64:
			c.params[name], num = types.Double(v), v
		default:
			c.add(at, "give the parameter a value")
			continue
		}
		switch d.Value.Value.(type) {
		case int64, float64:
			if d.Min != nil && num < *d.Min || d.Max != nil && num > *d.Max {
				c.add(at.Of("value"), "%v is outside its range %s", d.Value.Value, interval(d.Min, d.Max))
			}
		default:
			if d.Min != nil || d.Max != nil {
				c.add(at, "only a number has min and max")
			}
		}
		switch Visibility(d.Visibility) {
		case "", Internal:
		case Partner:
			p.Visibility, c.public[name] = Partner, true
		default:
			c.add(at.Of("visibility"), "%q is not one of partner, internal", d.Visibility)
		}
		c.p.params = append(c.p.params, p)
	}
	for name, def := range map[string]float64{paramCertain: defaultCertain, paramPossible: defaultPossible, paramClaim: defaultClaim} {
		v, ok := c.params[name]
		if !ok {
			c.params[name] = types.Double(def)
			c.p.params = append(c.p.params, Param{Name: name, Value: def, Visibility: Internal})
			v = c.params[name]
		}
		f, ok := v.(types.Double)
		if i, isInt := v.(types.Int); isInt {
			f, ok = types.Double(i), true
			c.params[name] = f
		}
		if !ok || f <= 0 || f > 1 || math.IsNaN(float64(f)) {
			c.add(path("params", name, "value"), "params.%s is a probability above 0, at most 1", name)
		}
		switch name {
		case paramCertain:
			c.p.settings.Certain = float64(f)
		case paramPossible:
			c.p.settings.Possible = float64(f)
		case paramClaim:
			c.p.settings.PossibleClaim = float64(f)
		}
	}
	if c.p.settings.PossibleClaim > c.p.settings.Possible {
		c.add(path("params", paramClaim, "value"), "params.possible_claim must not be above params.possible")
	}
	if c.p.settings.Possible > c.p.settings.Certain {
		c.add(path("params", paramPossible, "value"), "params.possible must not be above params.certain")
	}
	slices.SortFunc(c.p.params, func(a, b Param) int { return strings.Compare(a.Name, b.Name) })
}

// strengths are the words a precedence can list. A disposition that is not listed has the place of route.
var strengths = func() (out []string) {
	for _, o := range deal.Outcomes {
		out = append(out, string(o))
	}
	for _, d := range deal.Dispositions {
		out = append(out, string(d))
	}
	return out
}()

func (c *compiler) precedence() {
	if len(c.doc.Precedence) == 0 {
		c.add(path("precedence"), "say which answer is the strongest: precedence: [declined, merged, returned, waitlisted, co_sell, referred, route, escalate, protect]; the precedence must list protect")
		return
	}
	for i, w := range c.doc.Precedence {
		if !slices.Contains(strengths, w) {
			c.add(path("precedence", i), "%q is not one of %s", w, strings.Join(strengths, ", "))
			continue
		}
		if _, twice := c.ranks[w]; twice {
			c.add(path("precedence", i), "%q is listed twice", w)
			continue
		}
		c.ranks[w] = i
	}
	for _, w := range []deal.Outcome{deal.Protect, deal.Escalate} {
		if _, ok := c.ranks[string(w)]; !ok {
			c.add(path("precedence"), "the precedence must list %s", w)
		}
	}
	if _, ok := c.ranks[string(deal.RouteTo)]; ok {
		return
	}
	for _, d := range deal.Dispositions {
		if _, ok := c.ranks[string(d)]; !ok {
			c.add(path("precedence"), "the precedence must list route, or every disposition: %s is missing", d)
			return
		}
	}
}

func (c *compiler) rank(o deal.Outcome, d deal.Disposition) int {
	if r, ok := c.ranks[string(d)]; ok && d != "" {
		return r
	}
	return c.ranks[string(o)]
}

// builtIn are the texts of the core reasons, for policies that do not write their own. Partners read one sentence
// wherever the true reason would tell them of others.
var builtIn = func() map[string]reasonDoc {
	told := func(partner, internal string) reasonDoc {
		return reasonDoc{Partner: document.Texts{"en": partner}, Internal: internal}
	}
	kept := func(internal string) reasonDoc { return reasonDoc{ShownAs: deal.ReasonUnderReview, Internal: internal} }
	out := map[string]reasonDoc{
		deal.ReasonProtected:         told("Your registration is protected.", "Nothing stands against it."),
		deal.ReasonRuleError:         kept("A rule of the policy failed; see the trace."),
		deal.ReasonNoRule:            kept("No rule of the policy speaks of this case."),
		deal.ReasonDegraded:          kept("The search for conflicts was not complete."),
		deal.ReasonNoRate:            kept("There is no exchange rate for the amount's currency on the day of submission."),
		deal.ReasonImported:          told("Taken over from earlier records.", "Imported."),
		deal.ReasonDeclinedReview:    told("Our team has reviewed your registration and cannot protect it. Your channel manager can tell you more.", "Declined on review."),
		deal.ReasonNotInTime:         told("We did not come to a decision in time, and your registration is not protected. You may register again.", "Nobody decided in time; the policy declines then."),
		deal.ReasonNotCompleted:      told("Your registration was not completed in time and has ended. You may register again.", "It was returned, and the partner did not complete it in time; the policy declines then."),
		deal.ReasonCoSell:            told("You and others work on this together. Your contact here will suggest how.", "To be sold together."),
		deal.ReasonClosedWon:         told("This opportunity is closed, and your place in line has ended.", "The deal it waited behind is won."),
		deal.ReasonIncomplete:        told("Complete these fields of the registration: {{needs}}.", "Fields are missing: {{needs}}."),
		deal.ReasonUnderReview:       told("We are reviewing your registration. Your place in line is kept.", "Under review."),
		deal.ReasonPartnerInactive:   told("Your partner agreement is not active. Your channel manager can renew it; then register again.", "The partner is {{partner.status}}."),
		deal.ReasonAgreementMissing:  told("Your signed partner agreement is not on file. Send it to your channel manager; then register again.", "No agreement in force on the day of submission."),
		deal.ReasonNotAuthorised:     told("Your agreement does not cover this country or these products. Your channel manager can extend it.", "Country covered: {{partner.authorised_country}}; lines covered: {{partner.authorised_lines}} ({{reg.lines}})."),
		deal.ReasonCreditHold:        told("Your account is on credit hold. Settle it with your credit contact; then register again.", "The partner is on credit hold."),
		deal.ReasonCapacity:          told("You have as many live registrations as your tier allows. End one of them; then register this.", "{{partner.live_claims}} live registrations."),
		deal.ReasonBelowMinimum:      told("This deal is too small to register; sell it without a registration.", "Amount {{reg.amount}}."),
		deal.ReasonNotEligible:       told("This programme is not open to you for this kind of deal. Your channel manager knows what would change that.", "Not eligible: tier {{partner.tier}}, type {{reg.type}}."),
		deal.ReasonAlreadyYours:      told("You have registered this deal already. Your earlier registration stands as it is.", "The partner's own registration matches at {{conflict.own_duplicate.probability}}."),
		deal.ReasonAlreadyRegistered: told("This opportunity is registered already.", "Held by another partner, match {{conflict.held_by_other.probability}}, ends in {{conflict.held_by_other.ends_in_days}} days."),
		deal.ReasonPartialOverlap:    kept("A claim covers some of these products, not all: decide which of them are free."),
		deal.ReasonPossibleDuplicate: kept("Perhaps the same customer as a claim there is already; how likely: {{conflict.held_by_other.probability}} one that another partner holds, {{conflict.pending_other.probability}} one that waits, {{conflict.own_duplicate.probability}} one of the partner's own (0: none found)."),
		deal.ReasonCustomerLetter:    kept("The partner brings a customer's letter against another partner's claim: check who signed it, and when."),
		deal.ReasonFamilyHeld:        kept("Another partner has a claim at a related company ({{conflict.family_held.relation}}), match {{conflict.family_held.probability}}."),
		deal.ReasonDirectEngaged:     told("Our own team is working with this customer already.", "Direct opportunity, stage {{conflict.direct_engaged.stage}}, idle for {{conflict.direct_engaged.idle_days}} days, match {{conflict.direct_engaged.probability}}."),
		deal.ReasonDirectUnclear:     kept("A direct opportunity that may be the same or has gone quiet: idle for {{conflict.direct_engaged.idle_days}} days, match {{conflict.direct_engaged.probability}}."),
		deal.ReasonPartnerEngaged:    kept("Another partner leads an open opportunity, stage {{conflict.partner_opportunity.stage}}, match {{conflict.partner_opportunity.probability}}."),
		deal.ReasonNamedAccount:      told("This customer is served by our own team. We passed your lead on, and you stay on record as its source.", "Named account, match {{conflict.named_account.probability}}."),
		deal.ReasonNamedPossible:     kept("Perhaps a named account, match {{conflict.named_account.probability}}."),
		deal.ReasonTerritoryPartner:  kept("Territory {{territory.id}} is assigned to another partner."),
		deal.ReasonTerritoryOpen:     kept("The territory plan gives no single answer: {{territory.status}}."),
		deal.ReasonExistingCustomer:  told("This programme is for new customers, and this organisation buys from us already.", "The account is a customer, match {{conflict.existing_customer.probability}}."),
		deal.ReasonIncumbent:         kept("The customer last bought through another partner, {{conflict.incumbent_other.since_days}} days ago."),
		deal.ReasonTender:            told("Published tenders cannot be registered.", "A tender that is published ({{reg.tender_published}}) or named by another registration ({{conflict.tender_shared.found}})."),
		deal.ReasonCompetingOffer:    kept("The partner offers a rival product for this deal."),
		deal.ReasonStrategic:         kept("Amount {{reg.amount}}: a second pair of eyes."),
		deal.ReasonOwnUse:            kept("The customer is the partner itself or its distributor, by name ({{customer.partner_name}}) or web domain ({{customer.partner_domain}})."),
		deal.ReasonSuspiciousName:    kept("The customer's name mixes scripts so that it looks like another, or has characters that are not seen."),
	}
	pending := reasonDoc{ShownAs: deal.ReasonAlreadyRegistered, Internal: "Another partner filed earlier ({{conflict.pending_other.since_days}} days ago) and waits, match {{conflict.pending_other.probability}}."}
	direct := reasonDoc{ShownAs: deal.ReasonNamedAccount, Internal: "Territory {{territory.id}} is covered by the direct team."}
	out[deal.ReasonPendingOther], out[deal.ReasonTerritoryDirect] = pending, direct
	return out
}()

func (c *compiler) allReasons() {
	docs := maps.Clone(builtIn)
	for code, d := range c.doc.Reasons {
		at := path("reasons", code)
		if !slices.Contains(deal.CoreReasons, code) {
			prefix := c.doc.Settings.ReasonPrefix
			switch {
			case !codeForm.MatchString(code):
				c.add(at, "%q is not a reason code: capitals, digits and _", code)
			case prefix == "" || !strings.HasPrefix(code, prefix):
				hint := ""
				if n := document.Nearest(code, deal.CoreReasons); n != "" {
					hint = "; did you mean " + n + "?"
				}
				c.add(at, "%s is not a core reason, and does not begin with settings.reason_prefix%s", code, hint)
			}
		}
		docs[code] = d
	}
	for _, code := range slices.Sorted(maps.Keys(docs)) {
		d, at := docs[code], path("reasons", code)
		c.term(at.Of("appeal_within"), d.Within)
		if d.Within != "" && !d.Appeal {
			c.add(at.Of("appeal_within"), "only a reason with appeal: true can be appealed")
		}
		re := &reason{code: code, public: code, appeal: d.Appeal, within: d.Within, others: map[string]text{}}
		shown, via := d, at
		if d.ShownAs != "" {
			c.used[d.ShownAs] = true
			re.public = d.ShownAs
			other, ok := docs[d.ShownAs]
			switch {
			case len(d.Partner) > 0:
				c.add(at, "give the partner a text or shown_as, not both")
			case !ok || other.ShownAs != "":
				c.add(at.Of("shown_as"), "%q is not a reason with a text for partners", d.ShownAs)
			default:
				shown, via = other, path("reasons", d.ShownAs)
			}
		} else if d.Partner["en"] == "" {
			c.add(at, "write what the partner reads: partner: in English, or under en with other languages beside it; or shown_as: another reason")
		}
		for lang, s := range shown.Partner {
			if _, err := language.Parse(lang); err != nil {
				c.add(via.Of("partner", lang), "%q is not a language tag such as de or pt-BR", lang)
			}
			where := via.Of("partner")
			if c.r.Has(append(where, lang)...) {
				where = where.Of(lang)
			}
			t := c.text(where, s, Partner)
			if lang == "en" {
				re.partner = t
			} else {
				re.others[lang] = t
			}
		}
		if d.Internal == "" {
			c.add(at, "write what staff read: internal:")
		}
		re.internal = c.text(at.Of("internal"), d.Internal, Internal)
		c.reasons[code] = re
	}
}

// text parses a sentence for an audience. What the audience may not read is an error.
func (c *compiler) text(at document.Path, s string, audience Visibility) text {
	if len([]rune(s)) > maxSentence {
		c.add(at, "is longer than %d characters", maxSentence)
		return text{}
	}
	var t text
	rest := 0
	lit := func(s string) {
		if n := len(t.parts); n > 0 && t.parts[n-1].plain() {
			t.parts[n-1].lit += s
		} else if s != "" {
			t.parts = append(t.parts, textPart{lit: s, fact: -1})
		}
	}
	for _, m := range placeholder.FindAllStringSubmatchIndex(s, -1) {
		lit(s[rest:m[0]])
		rest = m[1]
		name := s[m[2]:m[3]]
		col := len([]rune(s[:m[2]]))
		if name == needsVar {
			t.parts = append(t.parts, textPart{fact: -1, needs: true})
			continue
		}
		if pn, ok := strings.CutPrefix(name, "params."); ok {
			v, known := c.params[pn]
			c.used[name] = true
			switch {
			case !known:
				c.r.AddWithin(at, 1, col, "there is no parameter %s", name)
			case audience == Partner && !c.public[pn]:
				c.r.AddWithin(at, 1, col, "a text for partners must not show %s, which is internal; give the parameter visibility: partner if they may know it", name)
			default:
				lit(words(v))
			}
			continue
		}
		if cn, ok := customName(name); ok {
			if _, known := c.custom[cn]; !known {
				c.r.AddWithin(at, 1, col, "settings.custom does not declare %s", cn)
			}
			t.parts = append(t.parts, textPart{fact: -1, custom: cn})
			continue
		}
		if d := c.derived[name]; d != nil {
			c.used[name] = true
			if audience == Partner && !d.public {
				c.r.AddWithin(at, 1, col, "a text for partners must not show %s, which is internal; give it visibility: partner if they may know it", name)
			}
			t.parts = append(t.parts, textPart{fact: -1, derived: d})
			continue
		}
		i, ok := lookup(name)
		switch {
		case !ok:
			c.r.AddWithin(at, 1, col, "there is no fact %s%s", name, c.meant(name))
		case audience == Partner && Schema[i].Visibility != Partner:
			c.r.AddWithin(at, 1, col, "a text for partners must not show %s, which is internal", name)
		default:
			t.parts = append(t.parts, textPart{fact: i})
		}
	}
	lit(s[rest:])
	if m := single.FindStringSubmatch(placeholder.ReplaceAllString(s, "")); m != nil {
		c.add(at, "%s is shown as it is; write {{%s}} for its value", m[0], m[1])
	}
	if strings.Contains(placeholder.ReplaceAllString(s, ""), "{{") {
		c.add(at, "a {{ is not closed; write {{fact}}")
	}
	if len(t.parts) == 1 && t.parts[0].plain() {
		return text{fixed: t.parts[0].lit}
	}
	return t
}

// meant suggests a name a condition or text may use.
func (c *compiler) meant(name string) string {
	known := slices.Sorted(maps.Keys(c.known))
	for _, k := range known { // limit for params.limit, amount for reg.amount
		if strings.HasSuffix(k, "."+name) && !strings.HasPrefix(k, "conflict.") {
			return "; did you mean " + k + "?"
		}
	}
	if _, field, ok := strings.Cut(name, "."); ok && (field == "name" || field == "id" || field == "domain") {
		return ": rules ask what somebody is, never who; a waiver names one partner"
	}
	if rest, ok := strings.CutPrefix(name, "conflict."); ok {
		kind, _, _ := strings.Cut(rest, ".")
		if !slices.Contains(deal.ConflictKinds, deal.ConflictKind(kind)) {
			kinds := make([]string, len(deal.ConflictKinds))
			for i, k := range deal.ConflictKinds {
				kinds[i] = string(k)
			}
			if n := document.Nearest(kind, kinds); n != "" {
				return "; did you mean conflict." + n + "?"
			}
			return "; the kinds of conflict are " + strings.Join(kinds, ", ")
		}
	}
	if c.isValue(name) {
		return fmt.Sprintf("; a text goes in quotes: %q", name)
	}
	if n := document.Nearest(name, known); n != "" {
		return "; did you mean " + n + "?"
	}
	return ""
}

// isValue reports whether a word is one that facts are compared with.
func (c *compiler) isValue(word string) bool {
	d := &c.doc.Settings
	for _, list := range [][]string{d.Tiers, d.Stages, d.Lines} {
		if slices.Contains(list, word) {
			return true
		}
	}
	for _, f := range Schema {
		if slices.Contains(f.Values, word) {
			return true
		}
	}
	for _, f := range d.Custom {
		if slices.Contains(f.Values, word) {
			return true
		}
	}
	return false
}

// instant reads a day or an instant; a day begins at midnight in the programme's zone.
func (c *compiler) instant(at document.Path, s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, c.zone); err == nil {
		return t
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		c.add(at, "%q is not a day (2027-02-01) or an instant (2027-02-01T00:00:00Z)", s)
	}
	return t
}

func (c *compiler) rules() {
	if len(c.doc.Rules) == 0 {
		c.add(path("rules"), "a policy needs at least one rule")
	}
	if len(c.doc.Rules) > maxRules {
		c.add(path("rules"), "there are %d rules; at most %d are read", len(c.doc.Rules), maxRules)
		return
	}
	ids := map[string]int{requiredID: -1, onErrorID: -1, onNoneID: -1}
	byID := map[string]int{}
	c.requiredRule()
	for i := range c.doc.Rules {
		d, at := &c.doc.Rules[i], path("rules", i)
		switch _, twice := ids[d.ID]; {
		case !nameForm.MatchString(d.ID):
			c.add(at.Of("id"), "%q is not an id: lower-case letters, digits and hyphens, 63 at most", d.ID)
		case twice:
			c.add(at.Of("id"), "%q is the id of another rule, or reserved", d.ID)
		}
		ids[d.ID] = i
		ru := rule{id: d.ID, title: d.Title, from: c.instant(at.Of("effective", "from"), d.Effective.From), to: c.instant(at.Of("effective", "to"), d.Effective.To)}
		if !ru.from.IsZero() && !ru.to.IsZero() && !ru.from.Before(ru.to) {
			c.add(at.Of("effective"), "ends before it begins")
		}
		c.edges, c.internal, c.read = nil, false, nil
		if d.When == "" {
			c.add(at, "a rule needs a condition: when: (true, for always)")
		} else {
			ru.when = c.condition(at.Of("when"), string(d.When))
		}
		ru.internal = c.internal
		ru.then = c.action(at.Of("then"))
		switch d.Status {
		case "", "active":
		case "shadow":
			ru.shadow = true
		case "disabled": // checked like the others, so that it can be switched on without surprises
			continue
		default:
			c.add(at.Of("status"), "%q is not one of active, shadow, disabled", d.Status)
		}
		if !ru.shadow {
			for _, name := range c.read {
				c.looksAt[name] = true
			}
		}
		for _, e := range c.edges {
			e.Rule = d.ID
			c.p.boundaries = append(c.p.boundaries, e)
		}
		byID[d.ID] = len(c.p.rules)
		c.p.rules = append(c.p.rules, c.ready(ru))
	}
	for i := range c.doc.Rules {
		d := &c.doc.Rules[i]
		for j, o := range d.Overrides {
			at := path("rules", i, "overrides", j)
			if k, ok := ids[o]; !ok || k < 0 {
				c.add(at, "there is no rule %q%s", o, didYouMean(o, slices.Sorted(maps.Keys(ids))))
				continue
			}
			over, ok1 := byID[d.ID]
			under, ok2 := byID[o]
			if ok1 && ok2 { // a disabled rule neither overrides nor is overridden
				c.p.rules[under].overriddenBy = append(c.p.rules[under].overriddenBy, over)
			}
		}
	}
	c.sortOverrides()
	c.p.doubts = c.doubts()
}

// doubt is a fact that says that others cannot be relied on, and which no rule in force looks at.
type doubt struct {
	fact int // place in the Schema
	name string
	why  string
}

// doubts returns what the policy is blind to. An amount without an exchange rate reads as 0, and a search that was cut
// short as one that found nothing: rules that do not ask would take both for an answer.
func (c *compiler) doubts() []doubt {
	amount := false
	for _, name := range []string{"reg.amount", "reg.counted_amount"} {
		amount = amount || c.looksAt[name]
		for _, d := range c.derived {
			amount = amount || d.band != nil && d.band.fact == schemaIndex[name]
		}
	}
	var out []doubt
	for _, d := range []struct {
		name, why string
		matters   bool
	}{
		{"reg.rate_missing", "the amount has no exchange rate, the policy goes by the amount, and no rule says what then", amount},
		{"match.truncated", "the search was cut short, and no rule says what then", true},
		{"match.degraded", "the index is not complete or not current, and no rule says what then", true},
	} {
		if d.matters && !c.looksAt[d.name] {
			out = append(out, doubt{schemaIndex[d.name], d.name, d.why})
		}
	}
	return out
}

func (c *compiler) ready(ru rule) rule {
	v := &ru.then.verdict
	ru.rank = c.rank(v.Outcome, v.Disposition)
	ru.wants = string(v.Outcome)
	if v.Disposition != "" {
		ru.wants += "/" + string(v.Disposition)
	}
	if ru.then.reason != nil {
		ru.wants += " " + ru.then.reason.code
	}
	return ru
}

func didYouMean(word string, list []string) string {
	if n := document.Nearest(word, list); n != "" {
		return "; did you mean " + n + "?"
	}
	return ""
}

// sortOverrides puts every rule after those that override it, and reports a cycle.
func (c *compiler) sortOverrides() {
	const visiting, done = 1, 2
	state := make([]int, len(c.p.rules))
	cyclic := false
	var visit func(i int)
	visit = func(i int) {
		switch state[i] {
		case done:
			return
		case visiting:
			if !cyclic {
				cyclic = true
				at := slices.IndexFunc(c.doc.Rules, func(d ruleDoc) bool { return d.ID == c.p.rules[i].id })
				c.add(path("rules", at, "overrides"), "the overrides go round in a circle through %s", c.p.rules[i].id)
			}
			return
		}
		state[i] = visiting
		for _, j := range c.p.rules[i].overriddenBy {
			visit(j)
		}
		state[i] = done
		c.p.order = append(c.p.order, i)
	}
	for i := range c.p.rules {
		visit(i)
	}
}

// Ids that rules cannot have: those of what is not a rule, in the trace.
const (
	requiredID = "required"
	onErrorID  = "on-error"
	onNoneID   = "on-no-match"
)

// requiredRule makes the required section, and the custom fields that are required, one rule.
func (c *compiler) requiredRule() {
	ru := rule{id: requiredID, title: "Required fields"}
	for i, d := range c.doc.Required {
		at := path("required", i)
		c.field(at.Of("field"), d.Field)
		req := requirement{field: d.Field}
		if d.When != "" {
			req.when = c.condition(at.Of("when"), string(d.When))
		}
		ru.required = append(ru.required, req)
	}
	for _, f := range c.p.settings.Custom {
		if f.Required {
			ru.required = append(ru.required, requirement{field: "custom." + f.Name})
		}
	}
	if len(ru.required) == 0 {
		return
	}
	then := thenDoc{Outcome: string(deal.RouteTo), Disposition: string(deal.Returned), Reason: deal.ReasonIncomplete}
	at := path("defaults", "required")
	if c.r.Has(at...) {
		c.r.ReadAt(at, &then)
	}
	ru.then = c.checked(at, then)
	if d := ru.then.verdict.Disposition; d != deal.Returned && d != deal.Declined {
		c.add(at, "what lacks a required field is returned or declined")
	}
	c.p.rules = append(c.p.rules, c.ready(ru))
}

// field checks the name of a field of the filing.
func (c *compiler) field(at document.Path, name string) {
	if cn, ok := customName(name); ok {
		if _, declared := c.custom[cn]; declared {
			return
		}
	}
	if !slices.Contains(StandardFields, name) {
		c.add(at, "%q is not a field of a registration%s", name, didYouMean(name, StandardFields))
	}
}

// waiver takes one rule off one partner for a time.
type waiver struct {
	id, partner string
	rule        int
	until       time.Time
	by          string
}

// waivers reads who is excused from what. They name partners by id, which rules never do: the engine tells the rules
// which waivers are in force.
func (c *compiler) waivers() {
	seen := map[string]bool{}
	for i, d := range c.doc.Waivers {
		at := path("waivers", i)
		w := waiver{id: d.ID, partner: d.Partner, until: c.instant(at.Of("until"), d.Until), by: d.By,
			rule: slices.IndexFunc(c.p.rules, func(r rule) bool { return r.id == d.Rule })}
		switch {
		case !nameForm.MatchString(d.ID) || seen[d.ID]:
			c.add(at.Of("id"), "%q is not an id of its own: lower-case letters, digits and hyphens, 63 at most", d.ID)
		case d.Partner == "":
			c.add(at, "name the partner by its id: partner:")
		case w.rule < 0:
			c.add(at.Of("rule"), "there is no rule %q%s", d.Rule, didYouMean(d.Rule, c.ruleIDs()))
		case d.Until == "":
			c.add(at, "a waiver ends: until: a day or an instant")
		case d.By == "":
			c.add(at, "say who granted the waiver: by:")
		}
		seen[d.ID] = true
		c.p.waivers = append(c.p.waivers, w)
	}
}

func (c *compiler) ruleIDs() (out []string) {
	for _, r := range c.p.rules {
		out = append(out, r.id)
	}
	return out
}
