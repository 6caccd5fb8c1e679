package engine

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/policy"
	"github.com/dibs-deals/dibs/internal/territory"
)

// searchLimit is how many candidates of each corpus a decision looks at: more than any true family of look-alikes,
// few enough to record.
const searchLimit = 10

// matches are the candidates for one customer, by corpus.
type matches struct {
	question
	accounts, opportunities, claims match.Result
	parents, kin                    match.Result // the parent that the filing names, among accounts and among claims
	found                           match.Result // registrations of findings

	known  deal.CustomerRef // a registration's customer of a finding whom the filing certainly describes; honour sets these
	denied []string         // accounts that a person has found this very filing not to be for
}

// decide answers one registration as of now, from the view and nothing else: the same view, registration and instant
// give the same decision. r carries no personal data.
func decide(v *view, r *deal.Registration, m matches, now time.Time) deal.Decision {
	d, facts := examine(v, r, m, now)
	conclude(v, r, &d, guard(v, r, &d, v.policy.Decide(facts, now), now), now)
	return d
}

// examine is everything that is known of a registration before anybody concludes from it.
func examine(v *view, r *deal.Registration, m matches, now time.Time) (deal.Decision, *policy.Facts) {
	set := v.policy.Settings()
	m = v.honour(r, m, now)
	d := deal.Decision{
		ID: r.DecisionID, RegistrationID: r.ID, At: now,
		Policy: v.policy.Ref(), Matcher: v.model.Ref(), Input: m.record.Input(),
		Candidates: map[string][]deal.Match{},
	}
	for corpus, res := range map[string]match.Result{"accounts": m.accounts, "opportunities": m.opportunities, "registrations": m.claims,
		"parents": m.parents, "parents_registrations": m.kin} {
		if c := worthRecording(res.Candidates); len(c) > 0 {
			d.Candidates[corpus] = c
		}
	}
	amount, amountKnown := v.convert(v.total(&r.Filing, r.ReceivedAt), set.Currency, r.ReceivedAt)
	who := resolve(v, r, m, set, now)
	d.Resolution = who.Resolution
	d.Territory = findTerritory(v, r, who, amount, amountKnown, now)
	if v.plan != nil {
		ref := v.plan.Ref()
		d.Plan = &ref
	}
	d.Conflicts = findConflicts(v, r, m, who, d.Territory, set, now)
	facts := gather(v, r, m.query, who, d.Territory, d.Conflicts, amount, amountKnown, now)
	d.Facts = facts.Map()
	return d, facts
}

// recordedFrom is the probability from which a candidate is recorded: below it, kinship and identifiers aside, nothing turns on it. The best
// two of each corpus are recorded however far off they are.
const recordedFrom = 0.01

// worthRecording returns the candidates a decision keeps, with every term of their scores: those that the search explained.
func worthRecording(cs []deal.Match) []deal.Match {
	return slices.DeleteFunc(slices.Clone(cs), func(c deal.Match) bool { return len(c.Evidence) == 0 })
}

// input describes the customer to the matcher. The partner's own domain, and its distributor's, say nothing about the
// customer.
func input(v *view, r *deal.Registration) match.Record {
	rec := claimRecord(r)
	var own []string
	for _, id := range []string{r.Filing.PartnerID, r.Filing.DistributorID} {
		if p := v.partners[id]; p != nil && p.Domain != "" {
			own = append(own, match.Domain(p.Domain))
		}
	}
	rec.Domains = slices.DeleteFunc(rec.Domains, func(d string) bool { return slices.Contains(own, match.Domain(d)) })
	if slices.Contains(own, match.Domain(rec.MailDomain)) {
		rec.MailDomain = ""
	}
	return rec
}

// question is what the indexes are asked for one registration.
type question struct {
	record    match.Record
	query     *match.Query
	parent    *match.Query // of the parent that the filing names; nil: it names none
	one, many match.Options
	named     bool // the customer's name is one
}

// stands reports whether the question would be put the same way now: the partner's own domains, or the policy's
// thresholds, may have changed since.
func (q question) stands(v *view, r *deal.Registration) bool {
	now := input(v, r)
	one, _ := v.searchOptions()
	return slices.Equal(now.Domains, q.record.Domains) && now.MailDomain == q.record.MailDomain && one.Thresholds == q.one.Thresholds
}

// ask puts the question. The caller holds the view.
func ask(v *view, r *deal.Registration) question {
	one, many := v.searchOptions()
	rec := input(v, r)
	q := question{record: rec, one: one, many: many}
	q.query, q.named = v.model.PrepareNamed(rec)
	if parent := r.Filing.Customer.Parent; parent != "" {
		q.parent = v.model.Prepare(match.Record{Names: []string{parent}})
	}
	return q
}

// search finds the candidates of all corpora. The indexes keep their own order: nobody has to hold the view, so
// that a search never keeps the committer waiting.
func search(v *view, q question) matches {
	m := matches{question: q, accounts: v.accountIndex.Search(q.query, q.one), opportunities: v.oppIndex.Search(q.query, q.many), claims: v.claimIndex.Search(q.query, q.many)}
	if q.parent != nil {
		m.parents, m.kin = v.accountIndex.Search(q.parent, q.one), v.claimIndex.Search(q.parent, q.many)
	}
	if v.findings.words.Len() > 0 {
		m.found = v.findings.words.Search(q.query, q.many)
	}
	return m
}

// refresh brings candidates up to the view as it is now, at the cost of what has changed since they were found.
func refresh(v *view, m matches) matches {
	m.accounts = v.accountIndex.Refresh(m.query, m.one, m.accounts)
	m.opportunities = v.oppIndex.Refresh(m.query, m.many, m.opportunities)
	m.claims = v.claimIndex.Refresh(m.query, m.many, m.claims)
	if m.parent != nil {
		m.parents = v.accountIndex.Refresh(m.parent, m.one, m.parents)
		m.kin = v.claimIndex.Refresh(m.parent, m.many, m.kin)
	}
	if v.findings.words.Len() > 0 {
		m.found = v.findings.words.Refresh(m.query, m.many, m.found)
	} else {
		m.found = match.Result{}
	}
	return m
}

// atLeast is how probable a candidate is, which is the policy's possible at least when it shares an identifier with the
// customer: whoever has the web domain or the tax number of another may be that other under any name, and a person looks.
func (v *view) atLeast(q question, c deal.Match, set policy.Settings) float64 {
	switch c.Identifier {
	case "":
		return c.Probability
	case deal.IdentifierDomain, deal.IdentifierMailDomain:
		for _, d := range append(slices.Clone(q.record.Domains), q.record.MailDomain) {
			if v.accountIndex.Owners(d) > match.FewOwners {
				return c.Probability
			}
		}
	}
	return max(c.Probability, set.Possible)
}

// searchOptions returns how accounts are searched, of which each is another organisation, and how opportunities and
// claims are, of which many may be of one.
func (v *view) searchOptions() (one, many match.Options) {
	set := v.policy.Settings()
	one = match.Options{Limit: searchLimit, Identified: true, Explained: recordedFrom, Thresholds: match.Thresholds{Same: set.Certain, Review: set.Possible}}
	many = one
	many.Repeats = true
	return one, many
}

// whom is the customer as far as it is known: the resolution and the accounts it could be.
type whom struct {
	deal.Resolution
	account  *deal.Account // the resolved account, when certain
	possible []deal.Match  // accounts the customer may be, best first; when the resolution is certain, that one and those that have an identifier of the customer, or that the filing names by id
	above    []string      // accounts above the customer in the family, nearest first
}

// resolve says who the customer is: an account the matcher is certain of, else the prospect of an earlier claim it is certain
// of, else a new prospect. An account id that is given breaks a tie and proves nothing, but what it names is never
// overlooked.
func resolve(v *view, r *deal.Registration, m matches, set policy.Settings, now time.Time) whom {
	w := whom{Resolution: deal.Resolution{Status: "none", Truncated: m.accounts.Truncated || m.claims.Truncated || m.opportunities.Truncated}}
	best := func(c deal.Match) bool { return c.Verdict == deal.Same && c.Probability >= set.Certain }
	var beside []deal.Match // possible whoever else it is
	for _, c := range m.accounts.Candidates {
		p := c.Probability
		if c.Identifier != deal.IdentifierMailDomain { // a contact may work for others than the customer
			p = v.atLeast(m.question, c, set)
		}
		if p >= set.Possible && v.accounts.Has(c.ID) {
			if p > c.Probability || byFinding(c) {
				c.Probability = p
				beside = append(beside, c)
			}
			w.possible = append(w.possible, c)
		}
	}
	given := r.Filing.Customer.AccountID
	if given != "" && !v.accounts.Has(given) { // as if there were one with nothing on it, so that nobody learns by filing which ids there are
		w.UnknownID = given
		w.possible = append(w.possible, deal.Match{ID: given, Probability: set.Possible, Verdict: deal.Review})
	} else if given != "" && !slices.Contains(m.denied, given) && !slices.ContainsFunc(w.possible, func(c deal.Match) bool { return c.ID == given }) {
		if a := v.account(given); a != nil {
			c := deal.Match{ID: a.ID, Name: a.Name, Probability: set.Possible, Verdict: deal.Review,
				Evidence: []deal.Score{{Term: "account_id", Value: a.ID, Text: "the filing names this account, and describes it otherwise"}}}
			w.possible, beside = append(w.possible, c), append(beside, c)
		}
	}
	if i := w.chosen(r, best); i >= 0 {
		top := w.possible[i]
		w.Status, w.Probability = "certain", top.Probability
		w.possible = append([]deal.Match{top}, slices.DeleteFunc(beside, func(c deal.Match) bool { return c.ID == top.ID })...)
		w.Ref, w.Finding = deal.CustomerRef{AccountID: top.ID}, findingOf(top)
		w.account = v.account(top.ID)
		w.above = v.ancestors(w.account)
		w.Disagrees = disagreements(&r.Filing.Customer, w.account)
		return w
	}
	w.above = v.parents(r, m, set)
	slices.SortStableFunc(w.possible, func(a, b deal.Match) int { return cmp.Compare(b.Probability, a.Probability) })
	w.share(set.Possible)
	if len(w.possible) > 0 {
		w.Status, w.Probability = "possible", w.possible[0].Probability
	}
	w.possible = slices.DeleteFunc(w.possible, func(c deal.Match) bool { return w.UnknownID != "" && c.ID == w.UnknownID })
	for _, c := range m.claims.Candidates {
		if claim := v.claims[c.ID]; claim != nil && best(c) {
			w.Finding = findingOf(c)
			w.stands(v, v.customerOf(claim, now))
			if w.account = v.account(w.Ref.AccountID); w.account != nil {
				w.Status, w.Probability, w.above = "certain", c.Probability, v.ancestors(w.account)
				w.possible = append([]deal.Match{{ID: w.account.ID, Name: w.account.Name, Probability: c.Probability, Verdict: deal.Same}},
					slices.DeleteFunc(beside, func(c deal.Match) bool { return c.ID == w.account.ID })...)
				w.Disagrees = disagreements(&r.Filing.Customer, w.account)
			}
			return w
		}
	}
	own := deal.OwnProspect(r.ID)
	w.stands(v, cmp.Or(m.known, own))
	w.NewProspect = w.Ref == own
	return w
}

// supports reports whether the customer, without the account id that is given, is possibly that account.
func supports(v *view, r deal.Registration, m matches, now time.Time) bool {
	given := r.Filing.Customer.AccountID
	r.Filing.Customer.AccountID = ""
	who := resolve(v, &r, v.honour(&r, m, now), v.policy.Settings(), now)
	return slices.ContainsFunc(who.possible, func(c deal.Match) bool { return c.ID == given })
}

// stands makes the customer who ref is by what people have found.
func (w *whom) stands(v *view, ref deal.CustomerRef) {
	if f := v.findings.handsOn(ref); f != nil {
		w.Finding = f.ID
	}
	w.Ref = v.findings.stands(ref)
}

// parents returns the account that the filing names as the customer's parent, if the name says which, and those above it.
func (v *view) parents(r *deal.Registration, m matches, set policy.Settings) []string {
	var named []*deal.Account
	for _, c := range m.parents.Candidates {
		if c.Probability >= set.Possible && match.Normalise(c.Name) == match.Normalise(r.Filing.Customer.Parent) {
			if a := v.account(c.ID); a != nil {
				named = append(named, a)
			}
		}
	}
	if len(named) != 1 {
		return nil
	}
	return append([]string{named[0].ID}, v.ancestors(named[0])...)
}

// chosen returns the place of the one account the customer certainly is, or -1. Where several fit so well that each would
// be certain alone, it is the one that a person has found it to be, that has exactly the name as filed, or the one the filing names by its id; else nobody can say.
func (w *whom) chosen(r *deal.Registration, best func(deal.Match) bool) int {
	one := func(is func(deal.Match) bool) (at, n int) {
		at = -1
		for i, c := range w.possible {
			if best(c) && is(c) {
				at, n = i, n+1
			}
		}
		return at, n
	}
	filed := match.Normalise(r.Filing.Customer.Name)
	for _, is := range []func(deal.Match) bool{
		func(c deal.Match) bool { return c.Probability > byWords && byFinding(c) },
		func(deal.Match) bool { return true },
		func(c deal.Match) bool { return match.Normalise(c.Name) == filed },
		func(c deal.Match) bool { return c.ID == r.Filing.Customer.AccountID },
	} {
		if at, n := one(is); n == 1 {
			return at
		}
	}
	return -1
}

// share divides one certainty among accounts that together claim more than one: the customer is at most one of them. Each
// stays possible all the same; a person has to look whichever it is.
func (w *whom) share(least float64) {
	sum := 0.0
	for _, c := range w.possible {
		sum += c.Probability
	}
	if sum <= 1 {
		return
	}
	w.possible = slices.Clone(w.possible)
	for i := range w.possible {
		w.possible[i].Probability = max(least, math.Round(w.possible[i].Probability/sum*1e6)/1e6)
	}
}

func disagreements(c *deal.Customer, a *deal.Account) []string {
	var out []string
	if c.AccountID != "" && c.AccountID != a.ID {
		out = append(out, "account_id")
	}
	if c.Country != "" && a.Country != "" && c.Country != a.Country {
		out = append(out, "country")
	}
	if c.Region != "" && a.Region != "" && c.Region != a.Region {
		out = append(out, "region")
	}
	return out
}

// findTerritory looks the customer up in the plan: by the account's data when it is resolved, else by the filing's.
func findTerritory(v *view, r *deal.Registration, w whom, amount float64, amountKnown bool, now time.Time) deal.TerritoryResult {
	if v.plan == nil {
		return deal.TerritoryResult{Status: "no_plan", Coverage: "partner", Why: "no territory plan is published"}
	}
	c := &r.Filing.Customer
	q := territory.Customer{Country: c.Country, Region: c.Region, PostalCode: c.PostalCode, Industry: c.Industry, Employees: c.Employees,
		Lines: r.Filing.Lines(), Amount: amount, AmountKnown: amountKnown, Day: now, Ancestors: w.above}
	if a := w.account; a != nil {
		q.AccountID = a.ID
		q.Country, q.Region, q.PostalCode = cmp.Or(a.Country, q.Country), cmp.Or(a.Region, q.Region), cmp.Or(a.PostalCode, q.PostalCode)
		q.Industry, q.Employees = cmp.Or(a.Industry, q.Industry), cmp.Or(a.Employees, q.Employees)
	}
	if q.Employees == 0 {
		q.Employees = -1
	}
	q.Revenue = v.revenue(r, w.account)
	return v.plan.Find(q)
}

// revenue returns what the customer turns over in a year, in whole units of the policy's currency; -1 when nobody knows or there
// is no rate for it.
func (v *view) revenue(r *deal.Registration, a *deal.Account) int64 {
	most := decimal.New(1, 18) // more than there is: it must fit
	if a != nil && a.AnnualRevenue != "" {
		if d, err := decimal.NewFromString(a.AnnualRevenue); err == nil {
			return decimal.Min(d, most).IntPart()
		}
	}
	if x, ok := v.convert(r.Filing.Customer.AnnualRevenue, v.policy.Settings().Currency, r.ReceivedAt); ok {
		return int64(min(x, 1e18))
	}
	return -1
}

// maxFamily bounds the walk up a chain of parents, which imported data may have closed into a ring.
const maxFamily = 16

// ancestors returns the account's parents, nearest first.
func (v *view) ancestors(a *deal.Account) []string {
	var out []string
	for id := a.ParentID; id != "" && len(out) < maxFamily && !slices.Contains(out, id) && id != a.ID; {
		out = append(out, id)
		p := v.account(id)
		if p == nil {
			break
		}
		id = p.ParentID
	}
	return out
}
