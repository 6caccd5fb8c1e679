package desk

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/store"
)

// caseView is everything on the page of one case.
type caseView struct {
	c            deal.Case
	r            deal.Registration
	d            deal.Decision
	registration string // its page
	partner      string
	distributor  string
	amount       string
	close        instant
	clock        clock
	opened       instant
	assignee     string
	why          sentence
	policySays   string
	evidence     []comparison
	rules        ruleList
	territory    territoryView
	claims       []claimRow
	timeline     []eventLine
	filed        []fact
	words        []filedWords
	prev, next   string
	question     string // the partner was asked, and has not answered
	answerBy     instant
	snoozed      instant
	consulted    []string
	precedents   []precedentRow
	told         string // of a resolved case: what the partner reads
	holds        string // and has
	resolved     instant
	ruledBy      string
	found        []foundRow
	actions      *actions // nil: this key only reads
}

func casePage(v *visit) (view, error) { return v.showCase(attempt{}) }

// showCase is the page of a case; with an attempt, after something that was tried on it and did not come to be.
func (v *visit) showCase(a attempt) (view, error) {
	out, err := v.caseView(a)
	if err != nil {
		return view{}, err
	}
	return view{status: a.status, title: out.r.Filing.Customer.Name + ", case", nav: "Queue", body: caseBody(out)}, nil
}

func (v *visit) caseView(a attempt) (*caseView, error) {
	f, err := v.d.engine.File(v.ctx(), v.r.PathValue("id"), v.actor())
	if err != nil {
		return nil, err
	}
	c, r := f.Case, f.Registration
	d, err := v.escalation(&r, f.Decision)
	if err != nil {
		return nil, err
	}
	out := &caseView{c: c, r: r, d: d, registration: Root + "/registrations/" + r.ID, partner: v.partner(r.Filing.PartnerID), distributor: v.partner(r.Filing.DistributorID),
		amount: money(r.Filing.Amount), close: v.date(r.Filing.ExpectedCloseDate), clock: v.clock(c.OpenedAt, c.DueAt), opened: v.at(c.OpenedAt), assignee: v.person(c.Assignee), policySays: c.Summary}
	if out.why, err = v.why(&r, &d); err != nil {
		return nil, err
	}
	if len(d.Conflicts) == 0 { // the sentence is the policy's
		out.policySays = ""
	}
	if out.evidence, err = v.comparisons(&r, &d); err != nil {
		return nil, err
	}
	if out.found, err = v.found(&r, out.evidence); err != nil {
		return nil, err
	}
	if out.claims, err = v.claimsAround(&r, &d); err != nil {
		return nil, err
	}
	var names map[string]string
	if len(f.Also) > 0 {
		names = map[string]string{r.ID: v.partner(r.Filing.PartnerID)}
	}
	for _, m := range f.Also {
		names[m.ID] = v.partner(m.PartnerID)
		at := slices.IndexFunc(out.claims, func(c claimRow) bool { return c.number == m.Number })
		if at < 0 {
			at = len(out.claims)
			out.claims = append(out.claims, claimRow{customer: m.Customer, partner: v.partner(m.PartnerID), number: m.Number, href: Root + "/registrations/" + m.ID, status: words(string(m.Status)), tone: tone(m.Status),
				filed: v.at(m.ReceivedAt), lines: lines(m.Lines)})
		}
		out.claims[at].also = true
	}
	out.timeline = v.timeline(f.Timeline, names)
	out.question, out.snoozed, out.answerBy = f.Question, v.at(c.SnoozedUntil), v.at(c.AnswerBy)
	for _, id := range c.Consulted {
		out.consulted = append(out.consulted, v.person(id))
	}
	for _, p := range f.Precedents {
		out.precedents = append(out.precedents, v.precedent(p))
	}
	if c.Status == deal.CaseResolved {
		out.resolved, out.ruledBy = v.at(c.ResolvedAt), v.person(c.RuledBy)
		out.told = f.Decision.Texts.Partner
		if p := r.Protection; p != nil && r.HoldsAt(v.now) {
			out.holds = "For " + lines(p.Scope.Lines) + ", until " + v.lastDay(p.EndsAt).text + "."
		}
	}
	out.rules, out.territory = v.rules(&d), v.territory(d.Territory, d.Plan)
	out.filed, out.words = v.filed(&r, &d), v.filedWords(&r)
	if out.actions, err = v.actions(&f, a); err != nil {
		return nil, err
	}
	out.prev, out.next, err = v.neighbours(c)
	return out, err
}

// escalation returns the decision that opened the case: the last that escalated, when the current one did not.
func (v *visit) escalation(r *deal.Registration, current deal.Decision) (deal.Decision, error) {
	if current.Case != nil {
		return current, nil
	}
	all, err := v.d.engine.Decisions(v.ctx(), r.ID)
	if err != nil {
		return current, err
	}
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Case != nil {
			return all[i], nil
		}
	}
	return current, nil
}

// neighbours are the open cases before and after in the order of the queue, also of one that is not in it any more.
func (v *visit) neighbours(c deal.Case) (prev, next string, err error) {
	all, _, err := v.cases(v.ctx(), store.CaseFilter{Status: "open"})
	if err != nil {
		return "", "", err
	}
	slices.SortFunc(all, dueFirst)
	i, in := slices.BinarySearchFunc(all, c, dueFirst)
	if i > 0 {
		prev = Root + "/cases/" + all[i-1].ID
	}
	if in {
		i++
	}
	switch {
	case i < len(all):
		next = Root + "/cases/" + all[i].ID
	case !in && len(all) > 0: // it was the last: the first is next
		next = Root + "/cases/" + all[0].ID
	}
	return prev, next, nil
}

// comparison is what was filed beside one thing it may be.
type comparison struct {
	what        string // Registration, Account or Opportunity
	name, href  string
	number      string
	facts       []string // who holds it, since when, what
	means       []string // the conflicts it is part of, in words
	probability float64
	verdict     string
	fields      []fieldPair
	also        []weighed  // what counts beside the fields
	through     string     // why it is likelier than its own words say
	gone        bool       // it is not there any more; the evidence is as recorded
	party       deal.Party // what a finding can be about; none: an opportunity, or what is not there
}

// id is that of the party, or nothing.
func (c *comparison) id() string { return cmp.Or(c.party.AccountID, c.party.RegistrationID) }

type fieldPair struct {
	name        string
	left, right []match.Span
	weight      float64
	weighed     bool
	text        string // what the matcher saw
	same        bool
}

type weighed struct {
	text, value string
	weight      float64
}

// maxComparisons is how many of the things it may be are set beside what was filed. The rest are listed.
const maxComparisons = 6

// comparisons sets the filing beside everything it is in conflict with, and the account it may be.
func (v *visit) comparisons(r *deal.Registration, d *deal.Decision) ([]comparison, error) {
	type subject struct {
		id          string
		probability float64
		verdict     string
		evidence    []deal.Score
		means       []string
		through     string
	}
	var list []subject
	at := func(id string) *subject {
		for i := range list {
			if list[i].id == id {
				return &list[i]
			}
		}
		list = append(list, subject{id: id})
		return &list[len(list)-1]
	}
	conflicts := slices.Clone(d.Conflicts)
	slices.SortStableFunc(conflicts, func(a, b deal.Conflict) int {
		return slices.Index(deal.ConflictKinds, a.Kind) - slices.Index(deal.ConflictKinds, b.Kind)
	})
	for _, c := range conflicts {
		if c.With == "" || c.With == r.ID || c.Kind == deal.CompetingOffer || strings.HasPrefix(string(c.Kind), "territory_") {
			continue
		}
		s := at(c.With)
		s.means = append(s.means, words(string(c.Kind)))
		if len(s.evidence) == 0 {
			s.evidence, s.probability = c.Evidence, c.Probability
		}
	}
	for _, corpus := range []string{"registrations", "accounts", "opportunities"} {
		for _, m := range d.Candidates[corpus] {
			if m.ID == r.ID { // decided again, it found itself
				continue
			}
			known := slices.ContainsFunc(list, func(s subject) bool { return s.id == m.ID })
			if !known && (m.Verdict == deal.Different || corpus == "opportunities") && m.ID != d.Resolution.Ref.AccountID {
				continue
			}
			s := at(m.ID)
			s.verdict = string(m.Verdict)
			if known && math.Abs(s.probability-m.Probability) > 0.005 {
				s.through = fmt.Sprintf("Through whom the claims were resolved to, it is %s likely to be the same customer; as it is written here, by itself, %s.", percent(s.probability), percent(m.Probability))
			}
			if len(s.evidence) == 0 || s.through != "" {
				s.evidence = m.Evidence
			}
			if !known {
				s.probability = m.Probability
			}
		}
	}
	var out []comparison
	for _, s := range list {
		o, err := v.other(s.id)
		if err != nil {
			return nil, err
		}
		c := v.compare(r, o, s.probability, s.verdict, s.evidence, s.means)
		c.through = s.through
		out = append(out, c)
		if len(out) == maxComparisons {
			break
		}
	}
	return out, nil
}

func (v *visit) compare(r *deal.Registration, o other, probability float64, verdict string, evidence []deal.Score, means []string) comparison {
	c := comparison{what: o.kind, name: o.name, href: o.href, number: o.id, probability: probability, verdict: verdict, means: means}
	f := &r.Filing.Customer
	var x deal.Customer
	switch {
	case o.registration != nil:
		c.party.RegistrationID = o.registration.ID
		x = o.registration.Filing.Customer
		c.number = o.registration.Number
		c.facts = v.claimFacts(o.registration)
	case o.account != nil:
		a := o.account
		x = deal.Customer{Name: a.Name, Domain: strings.Join(a.AllDomains(), " "), Country: a.Country, Region: a.Region, City: a.City, PostalCode: a.PostalCode, Street: a.Street,
			Phone: a.Phone, TaxID: a.TaxID, DUNS: a.DUNS, LEI: a.LEI, Industry: a.Industry, Employees: a.Employees, Parent: v.name(deal.Accounts, a.ParentID)}
		if o.opportunity != nil {
			c.facts = v.opportunityFacts(o.opportunity)
		} else {
			c.party.AccountID = a.ID
			c.facts = v.accountFacts(a)
		}
	case o.opportunity != nil:
		x = deal.Customer{Name: o.opportunity.AccountName}
		c.facts = v.opportunityFacts(o.opportunity)
	default:
		c.gone, c.what = true, "Record"
		for _, m := range evidence {
			if m.Term == "name" {
				_, x.Name, _ = strings.Cut(m.Value, " / ")
			}
		}
	}
	terms := map[string]deal.Score{}
	for _, e := range evidence {
		terms[e.Term] = e
	}
	used := map[string]bool{}
	add := func(name, term, a, b string) {
		e, weighed := terms[term]
		used[term] = used[term] || weighed && (a != "" || b != "")
		if a == "" && b == "" {
			return
		}
		p := fieldPair{name: name, weight: e.Weight, weighed: weighed, text: e.Text}
		switch {
		case term == "name" && a != "" && b != "":
			p.left, p.right = match.Default().Spell(a, b)
		case weighed:
			p.left, p.right = match.SpellField(a, b, strings.HasPrefix(e.Text, "the same"))
		default:
			p.left, p.right = []span{{Text: a}}, []span{{Text: b}}
		}
		p.same = a == b
		c.fields = append(c.fields, p)
	}
	add("Name", "name", f.Name, x.Name)
	mail := r.EmailDomain
	add("Web domain", "domain", cmp.Or(f.Domain, match.Domain(f.Website), mail), cmp.Or(x.Domain, match.Domain(x.Website), emailDomain(o.registration)))
	add("Country", "country", f.Country, x.Country)
	add("Region", "region", f.Region, x.Region)
	add("City", "city", f.City, x.City)
	add("Postal code", "postal_code", f.PostalCode, x.PostalCode)
	add("Street", "street", f.Street, x.Street)
	add("Phone", "phone", f.Phone, x.Phone)
	add("Tax number", "tax_id", f.TaxID, x.TaxID)
	add("D-U-N-S", "duns", f.DUNS, x.DUNS)
	add("LEI", "lei", f.LEI, x.LEI)
	add("Parent", "\x00", f.Parent, x.Parent)
	add("Industry", "\x00", f.Industry, x.Industry)
	add("Employees", "\x00", positive(f.Employees), positive(x.Employees))
	for _, e := range evidence {
		if !used[e.Term] {
			value := strings.Trim(e.Value, " /")
			if e.Term == "rivals" || e.Term == "relation" {
				value = ""
			}
			c.also = append(c.also, weighed{e.Text, value, e.Weight})
		}
	}
	return c
}

func emailDomain(r *deal.Registration) string {
	if r == nil {
		return ""
	}
	return r.EmailDomain
}

func positive(n int64) string {
	if n <= 0 {
		return ""
	}
	return thousands(uint64(n))
}

// claimFacts says of another registration what a reviewer asks first.
func (v *visit) claimFacts(r *deal.Registration) []string {
	out := []string{words(string(r.Status)) + " for " + v.partner(r.Filing.PartnerID)}
	if p := r.Protection; p != nil && r.HoldsAt(v.now) {
		out[0] += " until " + v.lastDay(p.EndsAt).text
	}
	out = append(out, "filed "+v.day(r.ReceivedAt).text, lines(v.claimed(r)))
	if a := money(r.Filing.Amount); a != "" {
		out = append(out, a)
	}
	return out
}

func (v *visit) opportunityFacts(o *deal.Opportunity) []string {
	by := "led by our own team"
	if o.LedBy == "partner" {
		by = "led by " + v.partner(o.PartnerID)
	}
	out := []string{o.Status + ", " + by}
	if o.Stage != "" {
		out = append(out, "stage "+o.Stage)
	}
	if o.Owner != "" {
		out = append(out, "owner "+v.person(o.Owner))
	}
	if n := o.LivelyAt(v.now); n > 0 && o.Status == "open" {
		out = append(out, "idle for "+count(int(n), "day", "days"))
	}
	if a := money(o.Amount); a != "" {
		out = append(out, a)
	}
	return append(out, lines(o.Lines))
}

func (v *visit) accountFacts(a *deal.Account) []string {
	out := []string{cmp.Or(a.Status, "prospect")}
	if a.Named {
		out = append(out, "named account")
	}
	if a.Owner != "" {
		out = append(out, "owner "+v.person(a.Owner))
	}
	return out
}

// bar is how far a weight reaches in its cell, in percent of the half on its side.
func bar(w float64) (left, width int) {
	n := int(math.Round(50 * min(1, math.Abs(w)/8)))
	if w < 0 {
		return 50 - n, n
	}
	return 50, n
}

// ruleList is what the rules did.
type ruleList struct {
	policy  string
	version int
	rules   []deal.RuleTrace
	silent  int    // rules that did not fire; -1: another policy is live now, so nobody has counted
	facts   []fact // what they saw
	matcher string
}

// fact is a name with its value.
type fact struct{ name, value string }

func (v *visit) rules(d *deal.Decision) ruleList {
	out := ruleList{policy: d.Policy.Name, version: d.Policy.Version, rules: d.Trace, silent: -1, matcher: fmt.Sprintf("%s %d", d.Matcher.Name, d.Matcher.Version)}
	if p, err := v.d.livePolicy(); err == nil && p.Ref().Digest == d.Policy.Digest {
		fired := map[string]bool{}
		for _, t := range d.Trace {
			fired[t.Rule] = true
		}
		out.silent = 0
		for _, r := range p.Rules() {
			if !fired[r.ID] {
				out.silent++
			}
		}
	}
	if d.Ruling != nil {
		out.rules = slices.Clone(out.rules)
		for i := range out.rules {
			if t := &out.rules[i]; t.Result == "decided" { // in the place of a rule
				t.Title, t.Detail = "In place of the rules", title(ruled(d.Ruling))
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(d.Facts)) {
		out.facts = append(out.facts, fact{k, plain(d.Facts[k])})
	}
	return out
}

// plain writes the value of a fact.
func plain(x any) string {
	switch x := x.(type) {
	case string:
		return x
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case []any:
		parts := make([]string, len(x))
		for i := range x {
			parts[i] = plain(x[i])
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(x)
}

// territoryView is where a customer lies, and why.
type territoryView struct {
	status, id, coverage, why, owner, plan string
	covers, unknown                        []string
}

func (v *visit) territory(t deal.TerritoryResult, plan *deal.DocumentRef) territoryView {
	out := territoryView{status: t.Status, id: t.ID, coverage: t.Coverage, why: t.Why, covers: t.Covers}
	for _, u := range t.Unknown {
		out.unknown = append(out.unknown, words(u))
	}
	switch o := t.Owner; {
	case o.PartnerID != "":
		out.owner = v.partner(o.PartnerID)
	case o.Rep != "":
		out.owner = v.person(o.Rep)
	case o.Manager != "":
		out.owner = v.person(o.Manager)
	default:
		out.owner = o.Queue
	}
	if plan != nil {
		out.plan = fmt.Sprintf("%s %d", plan.Name, plan.Version)
	}
	return out
}

// claimRow is a claim on one of the customers at stake.
type claimRow struct {
	customer, partner, number, href, status, tone string
	filed, until                                  instant
	place                                         int
	self                                          bool
	also                                          bool // in the same dispute
	kept                                          bool // until then its place is kept, while it is decided
	lines                                         string
}

// claimsAround lists the live claims on every customer at stake: whom it was resolved to, and those of the conflicts.
func (v *visit) claimsAround(r *deal.Registration, d *deal.Decision) ([]claimRow, error) {
	refs := []deal.CustomerRef{r.CustomerRef}
	for _, c := range d.Conflicts {
		if !strings.HasPrefix(c.With, deal.RegistrationID) {
			continue
		}
		x, err := v.store().Registration(v.ctx(), c.With)
		if errors.Is(err, deal.ErrNotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		if !slices.Contains(refs, x.CustomerRef) {
			refs = append(refs, x.CustomerRef)
		}
	}
	var out []claimRow
	for _, ref := range refs {
		for _, c := range v.d.engine.Claims(ref) {
			row := v.claimRow(c)
			row.self = c.ID == r.ID
			out = append(out, row)
		}
	}
	return out, nil
}

func (v *visit) claimRow(c engine.Claim) claimRow {
	status := c.StatusAt(v.now)
	row := claimRow{customer: c.Filing.Customer.Name, partner: v.partner(c.Filing.PartnerID), number: c.Number, href: Root + "/registrations/" + c.ID,
		status: words(string(status)), tone: tone(status), filed: v.at(c.ReceivedAt), place: c.Place, lines: lines(v.claimed(&c.Registration))}
	if p := c.Protection; p != nil {
		row.until = v.lastDay(p.EndsAt)
	} else if c.Hold != nil {
		row.until, row.kept = v.lastDay(c.Hold.EndsAt), true
	}
	return row
}

// claimed are the product lines a claim is for now: of what was filed, what was granted, or what it is limited to.
func (v *visit) claimed(r *deal.Registration) []string {
	switch {
	case r.Protection != nil:
		return r.Protection.Scope.Lines
	case r.Limit != nil && len(r.Limit.Lines) > 0:
		return r.Limit.Lines
	}
	return r.Filing.Lines()
}

// eventLine is one line of a history.
type eventLine struct {
	at    instant
	what  string
	by    string
	words string // what somebody wrote
	seq   uint64
	href  string
}

// timeline words what the ledger says of subjects. names are those of the partners, where it is about the registrations of several.
func (v *visit) timeline(list []engine.Happening, names map[string]string) []eventLine {
	out := make([]eventLine, 0, len(list))
	for i := range list {
		h := &list[i]
		l := eventLine{at: v.at(h.At), by: v.doer(h.By), seq: h.Sequence, words: h.Text}
		if v.may(auditors...) {
			l.href = Root + "/audit/" + strconv.FormatUint(h.Sequence, 10)
		}
		if l.what = v.happened(h); names[h.Subject] != "" {
			l.what += " (" + names[h.Subject] + ")"
		}
		if l.words == "" {
			l.words = reasons(h.ReasonCodes)
		}
		for _, e := range h.Evidence {
			l.words = strings.TrimSpace(l.words + "\n" + words(e.Kind) + " " + joined(v.date(e.Date).text, e.By, e.Text))
		}
		out = append(out, l)
	}
	return out
}

// happened says what an entry did to its subject.
func (v *visit) happened(h *engine.Happening) string {
	who := v.person(h.PersonID)
	switch h.Kind {
	case deal.EntryDecided:
		if h.By.Role == "portal" {
			return "Filed, and " + decided(h)
		}
		return "Decided again: " + decided(h)
	case deal.EntryResolved:
		return "Resolved: " + decided(h)
	case deal.EntryReleased:
		return "The hold of its case ended"
	case deal.EntryRegistration:
		return "Imported with what was promised before"
	case deal.EntryAssigned:
		if who == "" {
			return "Given back to the queue"
		}
		return "Assigned to " + who
	case deal.EntryConsulted:
		return "Asked " + who + " for a view"
	case deal.EntryAsked:
		return "Asked the partner"
	case deal.EntryUnanswered:
		return "The partner did not answer in time"
	case deal.EntrySnoozed:
		return "Put off until " + v.at(h.Until).text
	case deal.EntryWoken:
		return "Back in the queue"
	case deal.EntryProposed:
		return "Proposed a ruling"
	case deal.EntryUnacknowledged:
		return "Nobody acknowledged it in time"
	case deal.EntryWarned:
		return "Three quarters of its time are over"
	case deal.EntryRaised:
		return "Sent up: nobody decided in time"
	case deal.EntryOverdue:
		return "Overdue"
	}
	_, verb, _ := strings.Cut(h.Kind, ".")
	return title(words(verb))
}

// decided says what an entry made of its registration.
func decided(h *engine.Happening) string {
	switch d := h.Decision; {
	case d == nil:
	case d.Ruling != nil:
		return ruled(d.Ruling)
	case d.Route != nil:
		return disposed(d.Route.Disposition)
	}
	return words(string(h.To))
}

// ruled says what a ruling made of a registration.
func ruled(r *deal.Ruling) string {
	switch r.Resolution {
	case deal.ResolveProtect:
		return "protected"
	case deal.ResolveSplit:
		if r.Limit == nil {
			return "protected in part"
		}
		return "protected in part, for " + joined(append(slices.Clone(r.Limit.Lines), r.Limit.Sites...)...)
	case deal.ResolveCoSell:
		return disposed(deal.CoSell)
	}
	return disposed(r.Disposition)
}

// disposed says what a route made of a registration.
func disposed(d deal.Disposition) string {
	switch d {
	case deal.CoSell:
		return "sold together with our team"
	case deal.Referred:
		return "referred"
	case deal.Waitlisted:
		return "put in line"
	case deal.Returned:
		return "returned for completion"
	}
	return words(string(d))
}

// came says what a resolved case came to.
func came(k *deal.Case) string {
	if k.Ruling != nil {
		return ruled(k.Ruling)
	}
	return words(k.Outcome)
}

// precedentRow is a resolved case alike in facts.
type precedentRow struct {
	href, what, by, why string
	at                  instant
	likeness            string
}

func (v *visit) precedent(p engine.Precedent) precedentRow {
	row := precedentRow{href: Root + "/cases/" + p.CaseID, what: words(p.Outcome), by: v.person(p.RuledBy), at: v.day(p.ResolvedAt), likeness: percent(p.Likeness)}
	if p.Ruling != nil {
		row.what, row.why = ruled(p.Ruling), p.Ruling.ReasonCode
	}
	return row
}

// filed are the facts of a filing that matching does not compare.
func (v *visit) filed(r *deal.Registration, d *deal.Decision) []fact {
	f := &r.Filing
	var out []fact
	add := func(name, value string) {
		if value != "" {
			out = append(out, fact{name, value})
		}
	}
	add("Type", words(f.Type))
	if id := f.Customer.AccountID; id != "" && id == d.Resolution.UnknownID {
		id += " (no account has this id)"
		add("Account", id)
	} else {
		add("Account", id)
	}
	for _, p := range f.Products {
		n := joined(p.SKU, p.Line)
		if p.Quantity > 0 {
			n = thousands(uint64(p.Quantity)) + " × " + n
		}
		add("Product", n)
	}
	if len(f.Products) == 0 {
		add("Products", "all lines")
	}
	for _, s := range f.Sites {
		add("Site", s.Label())
	}
	add("Amount", money(f.Amount))
	add("Expected close", v.date(f.ExpectedCloseDate).text)
	add("Contact", joined(f.Contact.Name, f.Contact.Title, f.Contact.Email))
	add("Tender", joined(f.Tender.Number, f.Tender.ContractVehicle))
	add("Competing offers", strings.Join(f.Competing, ", "))
	add("Partner's own number", f.ExternalID)
	for _, k := range slices.Sorted(maps.Keys(f.Custom)) {
		add(title(words(k)), f.Custom[k])
	}
	return out
}

// filedWords is what the partner wrote.
type filedWords struct{ what, text string }

func (v *visit) filedWords(r *deal.Registration) []filedWords {
	var out []filedWords
	if t := r.Filing.Description; t != "" {
		out = append(out, filedWords{"Description", t})
	}
	for _, e := range r.Filing.Evidence {
		out = append(out, filedWords{title(words(e.Kind)) + " " + joined(v.date(e.Date).text, e.By), cmp.Or(e.Text, e.FileRef)})
	}
	return out
}
