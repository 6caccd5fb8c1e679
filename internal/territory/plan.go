package territory

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/currency"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
)

// The header every territory plan begins with.
const (
	apiVersion = "dealreg/v1"
	docKind    = "TerritoryPlan"
)

// Limits of one plan.
const (
	maxDocument    = 64 << 20 // bytes
	maxTerritories = 100_000
	maxBoxes       = 1_000 // that the exclusions of one territory may split it into
)

// Error is one thing wrong with a plan: Line, Column, Path and Message.
type Error = document.Error

// Errors is everything wrong with a plan, in the order of the text. It is what Compile returns.
type Errors = document.Errors

// planDoc is the document as written.
type planDoc struct {
	APIVersion  string         `yaml:"apiVersion"`
	Kind        string         `yaml:"kind"`
	Metadata    metadataDoc    `yaml:"metadata"`
	Universe    universeDoc    `yaml:"universe"`
	Tiers       []string       `yaml:"tiers"`
	TieBreak    []string       `yaml:"tie_break"`
	Policy      lintDoc        `yaml:"policy"`
	Territories []territoryDoc `yaml:"territories"`
}

// lintDoc says how strictly a plan is to be analysed.
type lintDoc struct {
	OverlapWithinTier  string `yaml:"overlap_within_tier"`
	OverlapAcrossTiers string `yaml:"overlap_across_tiers"`
	Gap                string `yaml:"gap"`
	Shadowed           string `yaml:"shadowed"`
}

type metadataDoc struct {
	Name      string       `yaml:"name"`
	Title     string       `yaml:"title"`
	Version   int          `yaml:"version"` // the author's own count; the version in force is given at publication
	Owner     string       `yaml:"owner"`
	Change    string       `yaml:"change"`
	Timezone  string       `yaml:"timezone"`
	Currency  string       `yaml:"currency"`
	Effective effectiveDoc `yaml:"effective"`
}

type effectiveDoc struct {
	From string `yaml:"from"`
	To   string `yaml:"to"`
}

// universeDoc says what there is: the values territories may use, and what a complete plan would cover.
//
// A mapping says what lies within what: regions within their country, accounts within their country, postal codes
// within a region. A country's postal codes, keyed by the country, are all it has.
type universeDoc struct {
	Country    []string            `yaml:"country"`
	Region     map[string][]string `yaml:"region"`
	PostalCode map[string][]string `yaml:"postcode"`
	Industry   []string            `yaml:"industry"`
	Employees  numbersDoc          `yaml:"employees"`
	Revenue    numbersDoc          `yaml:"revenue"`
	Line       []string            `yaml:"product_line"`
	Accounts   map[string][]string `yaml:"accounts"`
}

type numbersDoc struct {
	Breakpoints []int64 `yaml:"breakpoints"`
}

type territoryDoc struct {
	ID        string       `yaml:"id"`
	Title     string       `yaml:"title"`
	Tier      string       `yaml:"tier"`
	Priority  int          `yaml:"priority"`
	Coverage  string       `yaml:"coverage"`
	Hybrid    hybridDoc    `yaml:"hybrid"`
	Owner     ownerDoc     `yaml:"owner"`
	Include   boxDoc       `yaml:"include"`
	Exclude   []boxDoc     `yaml:"exclude"`
	Accounts  accountsDoc  `yaml:"accounts"`
	Effective effectiveDoc `yaml:"effective"`
}

type hybridDoc struct {
	Lead            string   `yaml:"lead"`
	DirectAtOrAbove *float64 `yaml:"direct_at_or_above"`     // in the plan's currency
	DirectAtEUR     *float64 `yaml:"direct_at_or_above_eur"` // the same, in a plan in euros
}

type ownerDoc struct {
	Rep       string `yaml:"rep"`
	Manager   string `yaml:"manager"`
	Queue     string `yaml:"queue"`
	PartnerID string `yaml:"partner_id"`
}

type boxDoc struct {
	Country    []string `yaml:"country"`
	Region     []string `yaml:"region"`
	PostalCode []string `yaml:"postcode"`
	Industry   []string `yaml:"industry"`
	Employees  string   `yaml:"employees"`
	Revenue    string   `yaml:"revenue"` // a year, in the policy's currency
	Line       []string `yaml:"product_line"`
}

type accountsDoc struct {
	Include          []string `yaml:"include"`
	Exclude          []string `yaml:"exclude"`
	WithSubsidiaries bool     `yaml:"with_subsidiaries"`
}

// Territory is one territory of a plan, as a reader needs it.
type Territory struct {
	ID       string `json:"id"`
	Title    string `json:"title,omitempty"`
	Tier     string `json:"tier"`
	Priority int    `json:"priority,omitempty"`

	Coverage        string     `json:"coverage"`                     // direct, partner or hybrid
	Lead            string     `json:"lead,omitempty"`               // of a hybrid: direct or partner
	DirectAtOrAbove *float64   `json:"direct_at_or_above,omitempty"` // of a hybrid: from this amount on it is direct
	Owner           deal.Owner `json:"owner"`

	From time.Time `json:"from,omitzero"` // in force from here on
	To   time.Time `json:"to,omitzero"`   // and until just before here

	tierNo        int
	narrow        int // how much it asks for: decides between equals
	boxes         []box
	named, barred []string // account ids
	family        bool     // the ids stand for their subsidiaries too
	line, column  int      // where the document says it
}

// Plan is a compiled territory plan: immutable, and safe for concurrent use.
type Plan struct {
	ref         deal.DocumentRef
	title       string
	currency    string
	zone        *time.Location
	from, to    time.Time
	lines       []string // of the universe, or those the territories mention
	closed      bool     // there are no other lines: the universe lists them
	universe    universe
	lint        lintDoc
	territories []Territory
	index       *index
	body        []byte
}

// Ref names the plan: its name, the SHA-256 of its bytes, and its version once it is published.
func (p *Plan) Ref() deal.DocumentRef { return p.ref }

// WithVersion returns the same plan as a numbered, published version.
func (p *Plan) WithVersion(v int) *Plan {
	out := *p
	out.ref.Version = v
	return &out
}

// Title returns the plan's title.
func (p *Plan) Title() string { return p.title }

// Currency returns the currency of the plan's amounts, or nothing when the plan does not say: then they are in the
// policy's.
func (p *Plan) Currency() string { return p.currency }

// Effective returns the days the plan is for, from the first to before the last; zero: no bound.
func (p *Plan) Effective() (from, to time.Time) { return p.from, p.to }

// Timezone returns where the plan's days begin and end.
func (p *Plan) Timezone() *time.Location { return p.zone }

// Source returns the document the plan was compiled from.
func (p *Plan) Source() []byte { return slices.Clone(p.body) }

// Territories returns the territories in the order of precedence. Winner gives places in this list.
func (p *Plan) Territories() []Territory { return slices.Clone(p.territories) }

// Named is a record that a plan names by id.
type Named struct {
	Territory    string
	Kind         deal.RecordKind
	ID           string
	Line, Column int // of the territory
}

// Names returns the records the plan rests on: owners, partners and accounts.
func (p *Plan) Names() (out []Named) {
	for i := range p.territories {
		t := &p.territories[i]
		add := func(kind deal.RecordKind, ids ...string) {
			for _, id := range ids {
				if id != "" {
					out = append(out, Named{t.ID, kind, id, t.line, t.column})
				}
			}
		}
		add(deal.People, t.Owner.Rep, t.Owner.Manager)
		add(deal.Partners, t.Owner.PartnerID)
		add(deal.Accounts, t.named...)
		add(deal.Accounts, t.barred...)
	}
	return out
}

// IsPlan reports whether a document calls itself a territory plan, right or wrong.
func IsPlan(doc []byte) bool { return document.Parse(doc, maxDocument).Peek("kind") == docKind }

type compiler struct {
	r    *document.Reader
	doc  planDoc
	p    *Plan
	tier map[string]int
}

func path(steps ...any) document.Path { return steps }

func (c *compiler) add(p document.Path, format string, args ...any) { c.r.Add(p, format, args...) }

// Compile reads and checks a territory plan. The error is an Errors with everything that is wrong; a Plan is returned
// only when nothing is.
func Compile(doc []byte) (*Plan, error) {
	c := &compiler{r: document.Parse(doc, maxDocument), p: &Plan{}, tier: map[string]int{}}
	if !c.r.Readable() {
		return nil, c.r.Err()
	}
	ours := true
	if v := c.r.Peek("apiVersion"); v != apiVersion && !c.r.Lost("apiVersion") {
		c.add(path("apiVersion"), "a territory plan begins with apiVersion: %s", apiVersion)
		ours = false
	}
	if v := c.r.Peek("kind"); v != docKind && !c.r.Lost("kind") {
		c.add(path("kind"), "%q is not kind: %s", v, docKind)
		ours = false
	}
	if !ours {
		return nil, c.r.Err() // of another kind: nothing below would make sense
	}
	c.r.Read(&c.doc)
	if c.r.Lost("metadata", "universe", "tiers") {
		return nil, c.r.Err() // what the territories speak of may be there
	}
	c.metadata(doc)
	c.universe()
	c.lint()
	c.p.lint = c.doc.Policy
	c.territories()
	if err := c.r.Err(); err != nil {
		return nil, err
	}
	c.p.index = buildIndex(c.p.territories)
	c.p.knownLines(c.doc.Universe.Line)
	return c.p, nil
}

var (
	nameForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	idForm    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$`)
	rangeForm = regexp.MustCompile(`^(?:>=\s*(\d[\d_]*)|<\s*(\d[\d_]*)|(\d[\d_]*)\s*\.\.\s*(\d[\d_]*))$`)
)

func (c *compiler) metadata(doc []byte) {
	m := &c.doc.Metadata
	if !nameForm.MatchString(m.Name) {
		c.add(path("metadata", "name"), "%q is not a name: lower-case letters, digits and hyphens, 63 at most", m.Name)
	}
	sum := sha256.Sum256(doc)
	c.p.ref = deal.DocumentRef{Name: m.Name, Digest: "sha256:" + hex.EncodeToString(sum[:])}
	c.p.title, c.p.currency, c.p.body = m.Title, m.Currency, slices.Clone(doc)
	if m.Currency != "" {
		if _, err := currency.ParseISO(m.Currency); err != nil || strings.ToUpper(m.Currency) != m.Currency {
			c.add(path("metadata", "currency"), "%q is not an ISO 4217 code such as EUR", m.Currency)
		}
	}
	zone, err := time.LoadLocation(m.Timezone)
	if err != nil || m.Timezone == "" || m.Timezone == "Local" {
		c.add(path("metadata", "timezone"), "%q is not a time zone such as Europe/Berlin or UTC", m.Timezone)
		zone = time.UTC
	}
	c.p.zone = zone
	c.p.from, c.p.to = c.window(path("metadata", "effective"), m.Effective)
	for i, t := range c.doc.Tiers {
		if _, twice := c.tier[t]; twice || strings.TrimSpace(t) == "" {
			c.add(path("tiers", i), "%q is empty or listed twice", t)
		}
		c.tier[t] = i
	}
	if len(c.doc.Tiers) == 0 {
		c.add(path("tiers"), "list the tiers, the strongest first")
	}
}

// tieBreak is how the one winner among covering territories is found. A plan may say so, and cannot change it: two
// plans that settle ties differently would be two languages.
var tieBreak = []string{"tier", "priority", "narrower", "id"}

func (c *compiler) lint() {
	if t := c.doc.TieBreak; t != nil && !slices.Equal(t, tieBreak) {
		c.add(path("tie_break"), "ties are broken by %s, in this order", strings.Join(tieBreak, ", "))
	}
	l := c.doc.Policy
	for field, v := range map[string]string{"overlap_within_tier": l.OverlapWithinTier, "overlap_across_tiers": l.OverlapAcrossTiers, "gap": l.Gap, "shadowed": l.Shadowed} {
		if v != "" && v != "error" && v != "warn" && v != "allow" {
			c.add(path("policy", field), "%q is not error, warn or allow", v)
		}
	}
}

// window reads a half-open window of days or instants; days begin at midnight in the plan's zone.
func (c *compiler) window(at document.Path, d effectiveDoc) (from, to time.Time) {
	read := func(field, s string) time.Time {
		if s == "" {
			return time.Time{}
		}
		if t, err := time.ParseInLocation(time.DateOnly, s, c.p.zone); err == nil {
			return t
		}
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			c.add(at.Of(field), "%q is not a day (write 2027-02-01) or an instant (2027-02-01T00:00:00Z)", s)
		}
		return t
	}
	from, to = read("from", d.From), read("to", d.To)
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		c.add(at, "ends before it begins: to is the first day after the last")
	}
	return from, to
}

func (c *compiler) universe() {
	u := &c.doc.Universe
	for i, v := range u.Country {
		c.country(path("universe", "country", i), v)
	}
	for _, country := range sorted(u.Region) {
		c.within(path("universe", "region", country), country, u.Country, "country")
		for i, v := range u.Region[country] {
			c.region(path("universe", "region", country, i), v, []string{country})
		}
	}
	c.postalCodes()
	home := map[string]string{}
	for _, country := range sorted(u.Accounts) {
		c.country(path("universe", "accounts", country), country)
		c.within(path("universe", "accounts", country), country, u.Country, "country")
		for i, id := range u.Accounts[country] {
			if other, twice := home[id]; twice {
				c.add(path("universe", "accounts", country, i), "%s is in %s already: an account is in one country", id, other)
			}
			home[id] = country
		}
	}
	for field, breakpoints := range map[string][]int64{"employees": u.Employees.Breakpoints, "revenue": u.Revenue.Breakpoints} {
		for i, b := range breakpoints {
			if b < 0 || i > 0 && b <= breakpoints[i-1] {
				c.add(path("universe", field, "breakpoints", i), "breakpoints rise from 0 on")
			}
		}
	}
	c.p.universe.line, c.p.universe.column = c.r.Place(path("universe"))
	c.p.universe.countries, c.p.universe.regions, c.p.universe.industries, c.p.universe.home = u.Country, u.Region, folded(u.Industry), home
}

// postalCodes reads which postal codes there are, and in which region they lie.
func (c *compiler) postalCodes() {
	u := &c.doc.Universe
	c.p.universe.postal = map[string]*postalPlaces{}
	for _, key := range sorted(u.PostalCode) {
		at := path("universe", "postcode", key)
		country, region := key, ""
		if len(key) > 2 {
			if c.region(at, key, nil); !regionForm.MatchString(key) {
				continue
			}
			country, region = key[:2], key
			c.within(at, key, u.Region[country], "region."+country)
		} else if !deal.IsCountry(key) {
			c.add(at, "%q is neither a country (DE), whose postal codes these are, nor a region (DE-BY) they lie in", key)
			continue
		}
		c.within(at, country, u.Country, "country")
		places := c.p.universe.postal[country]
		if places == nil {
			places = &postalPlaces{region: map[string]string{}}
			c.p.universe.postal[country] = places
		}
		for i, v := range u.PostalCode[key] {
			code := postal(v)
			if !c.postalPrefix(at.Of(i), v) {
				continue
			}
			if region == "" {
				places.all = append(places.all, code)
				continue
			}
			if other, twice := places.region[code]; twice {
				c.add(at.Of(i), "%s lies in %s already: a postal code lies in one region", v, other)
			}
			places.region[code] = region
			places.longest = max(places.longest, len(code))
		}
	}
}

func sorted[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// postalPrefix reports whether v can begin a postal code.
func (c *compiler) postalPrefix(at document.Path, v string) bool {
	ok := postal(v) != "" && len(postal(v)) <= maxPostal
	if !ok {
		c.add(at, "%q is not the beginning of a postal code", v)
	}
	return ok
}

func (c *compiler) country(at document.Path, v string) {
	if !deal.IsCountry(v) {
		hint := ""
		if is := mistaken[v]; is != "" {
			hint = "; did you mean " + is + "?"
		}
		c.add(at, "%q is not an ISO 3166-1 alpha-2 country code such as DE or US%s", v, hint)
	}
}

// mistaken are codes people write for countries that have another.
var mistaken = map[string]string{"UK": "GB", "EN": "GB", "EL": "GR", "SF": "FI", "Germany": "DE", "France": "FR", "USA": "US", "DACH": "DE, AT, CH"}

var regionForm = regexp.MustCompile(`^[A-Z]{2}-[A-Z0-9]{1,3}$`)

// region checks an ISO 3166-2 code, in one of the countries when there are any.
func (c *compiler) region(at document.Path, v string, countries []string) {
	if !regionForm.MatchString(v) || !deal.IsCountry(v[:2]) {
		c.add(at, "%q is not an ISO 3166-2 region such as DE-BY or US-CA", v)
		return
	}
	if len(countries) > 0 && !slices.Contains(countries, v[:2]) {
		c.add(at, "%s is not in %s", v, strings.Join(countries, ", "))
	}
}

// within checks a value against the universe, which holds everything when it does not list the dimension.
func (c *compiler) within(at document.Path, v string, universe []string, what string) {
	if len(universe) == 0 || slices.ContainsFunc(universe, func(u string) bool { return fold(u) == fold(v) }) {
		return
	}
	hint := ""
	if n := document.Nearest(v, universe); n != "" {
		hint = "; did you mean " + n + "?"
	}
	if hint == "" {
		hint = "; add it there, or correct it here"
	}
	c.add(at, "universe.%s does not list %q%s", what, v, hint)
}

// fold is the form in which words are compared: industries and lines are spelt by hand.
func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

func folded(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = fold(s)
	}
	return out
}

func (c *compiler) territories() {
	if len(c.doc.Territories) == 0 {
		c.add(path("territories"), "a plan needs at least one territory")
	}
	if len(c.doc.Territories) > maxTerritories {
		c.add(path("territories"), "there are %d territories; at most %d are read", len(c.doc.Territories), maxTerritories)
		return
	}
	ids := make(map[string]bool, len(c.doc.Territories))
	for i := range c.doc.Territories {
		d, at := &c.doc.Territories[i], path("territories", i)
		if !idForm.MatchString(d.ID) {
			c.add(at.Of("id"), "%q is not an id: letters, digits and - _ . :, 100 at most", d.ID)
		} else if ids[d.ID] {
			c.add(at.Of("id"), "%s is the id of another territory; give each its own", d.ID)
		}
		ids[d.ID] = true
		t := c.territory(at, d)
		t.line, t.column = c.r.Place(at)
		c.p.territories = append(c.p.territories, t)
	}
	slices.SortFunc(c.p.territories, func(a, b Territory) int {
		return cmp.Or(compare(&a, &b), strings.Compare(a.ID, b.ID))
	})
}

// compare orders territories by precedence; 0 means that only their ids tell them apart.
func compare(a, b *Territory) int {
	return cmp.Or(cmp.Compare(a.tierNo, b.tierNo), cmp.Compare(b.Priority, a.Priority), cmp.Compare(b.narrow, a.narrow))
}

func (c *compiler) territory(at document.Path, d *territoryDoc) Territory {
	t := Territory{ID: d.ID, Title: d.Title, Tier: d.Tier, Priority: d.Priority, Coverage: d.Coverage,
		Owner: deal.Owner{Rep: d.Owner.Rep, Manager: d.Owner.Manager, Queue: d.Owner.Queue, PartnerID: d.Owner.PartnerID}}
	var known bool
	t.tierNo, known = c.tier[d.Tier]
	switch {
	case known || len(c.doc.Tiers) == 0: // which is an error of its own
	case d.Tier == "":
		c.add(at, "say which tier it is in: tier: %s", strings.Join(c.doc.Tiers, " or "))
	default:
		hint := ""
		if n := document.Nearest(d.Tier, c.doc.Tiers); n != "" {
			hint = "; did you mean " + n + "?"
		}
		c.add(at.Of("tier"), "%q is not one of the tiers %s%s", d.Tier, strings.Join(c.doc.Tiers, ", "), hint)
	}
	c.coverage(at, d, &t)
	if t.Owner == (deal.Owner{}) {
		c.add(at, "name who answers for it: owner: with a rep, a manager, a queue or a partner_id")
	}
	t.From, t.To = c.window(at.Of("effective"), d.Effective)

	include, dims := c.box(at.Of("include"), &d.Include, d.Include.Country)
	t.narrow = dims
	if t.named = d.Accounts.Include; len(t.named) > 0 {
		t.narrow += 100 // named accounts are narrower than anything that describes accounts
	}
	t.barred, t.family = d.Accounts.Exclude, d.Accounts.WithSubsidiaries
	for _, list := range []string{"include", "exclude"} {
		if ids := map[string][]string{"include": t.named, "exclude": t.barred}[list]; c.r.Has(at.Of("accounts", list)...) && len(ids) == 0 {
			c.add(at.Of("accounts", list), "an empty list names no account; leave it out")
		}
	}
	t.boxes = []box{include}
	for i := range d.Exclude {
		countries := d.Exclude[i].Country
		if countries == nil {
			countries = d.Include.Country
		}
		ex, dims := c.box(at.Of("exclude", i), &d.Exclude[i], countries)
		if dims == 0 {
			c.add(at.Of("exclude", i), "an exclusion that asks for nothing excludes everything")
			continue
		}
		t.boxes = minus(t.boxes, &ex)
		if len(t.boxes) > maxBoxes {
			c.add(at.Of("exclude"), "the exclusions split this territory into more than %d parts; make it several territories", maxBoxes)
			t.boxes = t.boxes[:1]
			break
		}
	}
	if len(t.boxes) == 0 {
		c.add(at.Of("exclude"), "the exclusions leave nothing of this territory; remove it, or exclude less")
	}
	return t
}

func (c *compiler) coverage(at document.Path, d *territoryDoc, t *Territory) {
	switch d.Coverage {
	case "direct", "partner":
		if c.r.Has(at.Of("hybrid")...) {
			c.add(at.Of("hybrid"), "only coverage: hybrid has a lead and an amount")
		}
	case "hybrid":
		t.Lead, t.DirectAtOrAbove = d.Hybrid.Lead, d.Hybrid.DirectAtOrAbove
		if eur := d.Hybrid.DirectAtEUR; eur != nil {
			switch cur := c.doc.Metadata.Currency; {
			case cur != "" && cur != "EUR":
				c.add(at.Of("hybrid", "direct_at_or_above_eur"), "the plan's currency is %s: write direct_at_or_above, in it", cur)
			case t.DirectAtOrAbove != nil:
				c.add(at.Of("hybrid", "direct_at_or_above_eur"), "direct_at_or_above says it already")
			}
			t.DirectAtOrAbove = eur
		}
		if t.Lead != "direct" && t.Lead != "partner" {
			c.add(at.Of("hybrid", "lead"), "%q is not one of direct, partner: who leads when the amount does not decide", t.Lead)
		}
		if a := t.DirectAtOrAbove; a != nil && *a < 0 {
			c.add(at.Of("hybrid", "direct_at_or_above"), "must not be negative")
		}
	default:
		c.add(at.Of("coverage"), "%q is not one of direct, partner, hybrid", d.Coverage)
	}
}

// box reads what an include or exclude asks for, and in how many dimensions. countries are those its postal codes
// can be in.
func (c *compiler) box(at document.Path, d *boxDoc, countries []string) (box, int) {
	b := everywhere
	dims := 0
	u := &c.doc.Universe
	list := func(field string, values []string, check func(at document.Path, v string)) bool {
		if values == nil {
			return false
		}
		dims++
		if len(values) == 0 {
			c.add(at.Of(field), "an empty list covers nothing; leave it out to ask for no %s", field)
		}
		for i, v := range values {
			check(at.Of(field, i), v)
		}
		return true
	}
	if list("country", d.Country, func(at document.Path, v string) { c.country(at, v); c.within(at, v, u.Country, "country") }) {
		b.country = only(d.Country)
	}
	if list("region", d.Region, func(at document.Path, v string) {
		c.region(at, v, d.Country)
		if len(v) > 2 {
			c.within(at, v, u.Region[v[:2]], "region."+v[:2])
		}
	}) {
		b.region = only(d.Region)
	}
	if list("postcode", d.PostalCode, func(at document.Path, v string) { c.postalPrefix(at, v) }) {
		if len(countries) != 1 {
			c.add(at.Of("postcode"), "postal codes repeat between countries: name exactly one country beside them")
		}
		b.postal.in = make([]string, len(d.PostalCode))
		for i, v := range d.PostalCode {
			b.postal.in[i] = postal(v)
		}
		b.postal.asked = true
	}
	if list("industry", d.Industry, func(at document.Path, v string) { c.within(at, v, u.Industry, "industry") }) {
		b.industry = only(folded(d.Industry))
	}
	if list("product_line", d.Line, func(at document.Path, v string) { c.within(at, v, u.Line, "product_line") }) {
		b.line = only(folded(d.Line))
	}
	numbers := func(field, text string, into *span) {
		if text == "" {
			return
		}
		lo, hi, ok := parseRange(text)
		if !ok {
			c.add(at.Of(field), "%q is not a range: write \">=5000\", \"<100\" or \"100..5000\", which is 100 to 4999", text)
		}
		if *into = (span{lo, hi}); !into.any() { // >=0 asks for nothing
			dims++
		}
	}
	numbers("employees", d.Employees, &b.employees)
	numbers("revenue", d.Revenue, &b.revenue)
	return b, dims
}

// parseRange reads >=a, <b or a..b, which is [a, b). Digits may be grouped: 50_000_000.
func parseRange(s string) (lo, hi int64, ok bool) {
	m := rangeForm.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return 0, 0, false
	}
	lo, hi = 0, math.MaxInt64
	var err error
	read := func(s string, into *int64) {
		if s != "" && err == nil {
			*into, err = strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64)
		}
	}
	read(m[1]+m[3], &lo)
	read(m[2]+m[4], &hi)
	return lo, hi, err == nil && lo < hi
}
