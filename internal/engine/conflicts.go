package engine

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/policy"
)

// findConflicts gives matches their meaning. Every conflict of at least the policy's possible probability is listed (for
// claims, possible_claim), the strongest of each kind first.
func findConflicts(v *view, r *deal.Registration, m matches, w whom, t deal.TerritoryResult, set policy.Settings, now time.Time) []deal.Conflict {
	f := finder{v: v, r: r, w: w, set: set, now: now, scope: scopeOf(v, r, w.Ref, set)}
	f.claims(m)
	f.family(m)
	f.opportunities(m)
	f.accounts()
	f.territory(t)
	f.tender()
	for _, offer := range r.Filing.Competing {
		f.add(deal.Conflict{Kind: deal.CompetingOffer, With: offer, Self: true, Overlap: deal.Overlap{Meets: true}, Probability: 1})
	}
	slices.SortStableFunc(f.found, stronger)
	return f.found
}

// stronger orders conflicts: by kind, another's before one's own, the likelier, the older, then by id.
func stronger(a, b deal.Conflict) int {
	self := func(c deal.Conflict) int {
		if c.Self {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(slices.Index(deal.ConflictKinds, a.Kind), slices.Index(deal.ConflictKinds, b.Kind)),
		cmp.Compare(self(a), self(b)),
		cmp.Compare(b.Probability, a.Probability),
		a.Since.Compare(b.Since),
		strings.Compare(a.With, b.With))
}

// scopeOf is what the registration claims, by the policy's settings.
func scopeOf(v *view, r *deal.Registration, ref deal.CustomerRef, set policy.Settings) deal.Scope {
	s := deal.Scope{Customer: ref, Lines: r.Filing.Lines(), Classes: v.classes(&r.Filing, set), Part: partOf(r, set.DistinctBy)}
	for _, site := range r.Filing.Sites {
		s.Sites = append(s.Sites, site.Key())
	}
	if l := r.Limit; l != nil {
		if len(l.Lines) > 0 {
			s.Lines = l.Lines
			s.Classes = slices.DeleteFunc(s.Classes, func(c string) bool {
				line, _, _ := strings.Cut(c, "/")
				return !slices.ContainsFunc(l.Lines, func(of string) bool { return inClass(of) == line })
			})
		}
		if len(l.Sites) > 0 {
			s.Sites = l.Sites
		}
	}
	return s
}

// classes returns the classes that are claimed, each with its line, where the policy divides lines by class. A product that has none in
// the catalogue is claimed with every class.
func (v *view) classes(f *deal.Filing, set policy.Settings) []string {
	if !set.ByClass {
		return nil
	}
	var out []string
	for _, p := range f.Products {
		c := v.product(p.SKU)
		if c == nil || c.Class == "" {
			return nil
		}
		if k := inClass(p.Line) + "/" + deal.Fold(c.Class); !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// inClass is a line as classes name it, before their slash.
func inClass(line string) string { return strings.ReplaceAll(deal.Fold(line), "/", "-") }

// partOf names the part of the customer that is claimed, by the fields that tell claims apart. A filing that lacks one of
// them is for all of it.
func partOf(r *deal.Registration, fields []string) string {
	var parts []string
	for _, field := range fields {
		var s string
		switch field {
		case "customer.domain":
			s = match.Domain(cmp.Or(r.Filing.Customer.Domain, r.Filing.Customer.Website))
		case "tender.number":
			s = r.Filing.Tender.Number
		case "contact.domain":
			s = match.Domain(r.EmailDomain)
		default:
			s = r.Filing.Custom[strings.TrimPrefix(field, "custom.")]
		}
		if s = deal.Fold(s); s == "" {
			return ""
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "|")
}

type finder struct {
	v     *view
	r     *deal.Registration
	w     whom
	set   policy.Settings
	now   time.Time
	scope deal.Scope
	found []deal.Conflict
}

func (f *finder) add(c deal.Conflict) { f.found = append(f.found, c) }

// overlap compares what two claims cover, the customer aside.
func (f *finder) overlap(other deal.Scope) deal.Overlap { return f.scope.Overlap(other) }

// claims finds the registrations of the same customer: the ones filed in similar words, and the ones that were
// resolved to an account this customer may be. Two claims that were each resolved with certainty, to different
// accounts, are of different customers, for the vendor's own records tell them apart; unless the filings read as the
// same customer, which leaves it possible.
func (f *finder) claims(m matches) {
	hits := map[string]deal.Match{}
	note := func(id string, p float64, by deal.Match) {
		if h, ok := hits[id]; !ok || p > h.Probability {
			by.Probability = p
			hits[id] = by
		}
	}
	for _, c := range m.claims.Candidates {
		claim := f.v.claims[c.ID]
		switch p := f.v.atLeast(m.question, c, f.set); {
		case claim == nil || p < f.set.PossibleClaim:
		case !f.knownDifferent(claim):
			if c.Verdict == deal.Related && c.Identifier == "" { // alike in all that counts but one thing, which makes it another: a person looks
				p = min(p, f.set.Possible)
			}
			note(c.ID, p, c)
		case p >= f.set.Certain:
			note(c.ID, f.set.Possible, c)
		}
	}
	for _, a := range f.w.possible {
		for _, id := range f.v.claimsOn(deal.CustomerRef{AccountID: a.ID}.Key()) {
			note(id, a.Probability, a)
		}
		for _, id := range f.v.namedBy[a.ID] { // seen from either side alike, whoever comes first
			note(id, min(a.Probability, f.set.Possible), deal.Match{Evidence: []deal.Score{{Term: "account_id", Value: a.ID, Text: "the other filing names this account, and describes it otherwise"}}})
		}
	}
	for _, id := range f.v.claimsOn(f.w.Ref.Key()) { // a prospect reached through another of its claims
		note(id, max(f.w.Probability, f.set.Certain), deal.Match{})
	}
	ids := make([]string, 0, len(hits))
	for id := range hits {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		claim := f.v.claims[id]
		o := f.overlap(scopeOf(f.v, claim, claim.CustomerRef, f.set))
		if !f.reckonsWith(claim) || !o.Meets {
			continue
		}
		f.add(f.claim(claim, o, hits[id]))
	}
}

// claim is the conflict with a claim of the same customer.
func (f *finder) claim(claim *deal.Registration, o deal.Overlap, by deal.Match) deal.Conflict {
	c := deal.Conflict{With: claim.ID, PartnerID: claim.Filing.PartnerID, Self: claim.Filing.PartnerID == f.r.Filing.PartnerID, Overlap: o,
		Probability: by.Probability, Identifier: by.Identifier, Since: claim.ReceivedAt, Status: string(claim.Status), Evidence: by.Evidence}
	switch {
	case c.Self:
		c.Kind = deal.OwnDuplicate
	case claim.HoldsAt(f.now):
		c.Kind = deal.HeldByOther
	default:
		c.Kind = deal.PendingOther
	}
	if w := holdingWindow(claim); w != nil && claim.HoldsAt(f.now) {
		c.Until = w.EndsAt
	}
	return c
}

// reckonsWith reports whether the claim stands before this registration: it holds, or it was filed earlier and waits. What
// is decided again, when a holder before it has gone, does not wait for those behind it, nor for itself: of two in line, the
// policy's order says which is behind.
func (f *finder) reckonsWith(claim *deal.Registration) bool {
	switch {
	case claim.ID == f.r.ID || !claim.ClaimAt(f.now):
		return false
	case claim.HoldsAt(f.now):
		return true
	}
	if self := f.v.claims[f.r.ID]; self != nil && self.Status == deal.StatusWaitlisted && claim.Status == deal.StatusWaitlisted {
		return f.v.compareInLine(claim, self) < 0
	}
	return claim.Place() < f.r.Place()
}

// holdingWindow returns the window by which the registration holds, if it holds at all.
func holdingWindow(r *deal.Registration) *deal.Protection {
	if r.Status == deal.StatusEscalated {
		return r.Hold
	}
	return r.Protection
}

// knownDifferent reports whether both customers are certain, and not the same.
func (f *finder) knownDifferent(claim *deal.Registration) bool {
	other := claim.CustomerRef.AccountID
	return f.w.account != nil && other != "" && other != f.w.account.ID &&
		!slices.ContainsFunc(f.w.possible, func(a deal.Match) bool { return a.ID == other })
}

// family finds claims on a parent, a subsidiary or a sibling of the customer: by the vendor's account hierarchy, by the
// parent that the filing names, and where the matcher sees kinship in the words.
func (f *finder) family(m matches) {
	relations := map[string]string{} // account id → relation
	for _, a := range f.w.possible {
		acc := f.v.account(a.ID)
		up := f.v.ancestors(acc)
		for _, id := range up {
			relations[id] = "parent"
		}
		for _, id := range f.v.descendants(a.ID) {
			relations[id] = "subsidiary"
		}
		if len(up) > 0 {
			for _, id := range f.v.descendants(up[0]) {
				if _, known := relations[id]; !known && id != a.ID {
					relations[id] = "sibling"
				}
			}
		}
	}
	likely := map[string]float64{} // account id → how likely it is the parent that the filing names
	if m.parent != nil {
		for _, c := range m.parents.Candidates {
			if c.Probability < f.set.Possible || !f.v.accounts.Has(c.ID) {
				continue
			}
			for i, id := range append([]string{c.ID}, f.v.descendants(c.ID)...) {
				if _, known := relations[id]; !known && !slices.ContainsFunc(f.w.possible, func(a deal.Match) bool { return a.ID == id }) {
					relations[id], likely[id] = []string{"parent", "sibling"}[min(i, 1)], c.Probability
				}
			}
		}
	}
	accounts := make([]string, 0, len(relations))
	for id := range relations {
		accounts = append(accounts, id)
	}
	slices.Sort(accounts)
	seen := map[string]bool{}
	for _, a := range accounts {
		for _, id := range f.v.claimsOf[deal.CustomerRef{AccountID: a}.Key()] {
			seen[id] = true
			f.relative(f.v.claims[id], max(f.w.Probability, likely[a]), relations[a], nil)
		}
	}
	for _, c := range m.kin.Candidates {
		if claim := f.v.claims[c.ID]; claim != nil && c.Probability >= f.set.Possible && !seen[c.ID] && claim.CustomerRef != f.w.Ref {
			seen[c.ID] = true
			f.relative(claim, c.Probability, "parent", c.Evidence)
		}
	}
	for _, c := range m.claims.Candidates {
		if claim := f.v.claims[c.ID]; claim != nil && c.Verdict == deal.Related && !seen[c.ID] && !f.knownDifferent(claim) &&
			claim.CustomerRef != f.w.Ref {
			f.relative(claim, max(c.Probability, f.set.PossibleClaim), "related by name", c.Evidence)
		}
	}
}

func (f *finder) relative(claim *deal.Registration, p float64, relation string, evidence []deal.Score) {
	o := f.overlap(scopeOf(f.v, claim, claim.CustomerRef, f.set))
	if f.set.FamilyScope && o.Meets && f.reckonsWith(claim) { // the family is one customer
		c := f.claim(claim, o, deal.Match{Probability: p, Evidence: evidence})
		c.Relation = relation
		f.add(c)
		return
	}
	if claim.Filing.PartnerID == f.r.Filing.PartnerID || !o.Meets || !f.reckonsWith(claim) {
		return
	}
	f.add(deal.Conflict{Kind: deal.FamilyHeld, With: claim.ID, PartnerID: claim.Filing.PartnerID, Overlap: o, Probability: p, Since: claim.ReceivedAt,
		Status: string(claim.Status), Relation: relation, Evidence: evidence})
}

// descendants returns the subsidiaries of an account, all levels, in a stable order.
func (v *view) descendants(id string) []string {
	var out []string
	for level := []string{id}; len(level) > 0 && len(out) < 1000; {
		var next []string
		for _, p := range level {
			for _, c := range v.accounts.Children(p) {
				if c != id && !slices.Contains(out, c) {
					out = append(out, c)
					next = append(next, c)
				}
			}
		}
		level = next
	}
	return out
}

// opportunities finds the vendor's own business, open and closed, with the accounts the customer may be. Of what the direct
// team closed with an account, which may be much, the latest.
func (f *finder) opportunities(m matches) {
	for _, a := range f.w.possible {
		begin := len(f.found)
		for _, id := range f.v.oppsOf[a.ID] {
			f.opportunity(f.v.opportunities[id], a)
		}
		var latest deal.Conflict
		for _, c := range f.found[begin:] {
			if c.Kind == deal.DirectClosed && (latest.With == "" || c.IdleDays >= 0 && (latest.IdleDays < 0 || c.IdleDays < latest.IdleDays)) {
				latest = c
			}
		}
		f.found = slices.DeleteFunc(f.found, func(c deal.Conflict) bool {
			return c.Kind == deal.DirectClosed && c.With != latest.With && slices.Contains(f.v.oppsOf[a.ID], c.With)
		})
	}
	for _, c := range m.opportunities.Candidates {
		c.Probability = f.v.atLeast(m.question, c, f.set)
		if o := f.v.opportunities[c.ID]; o != nil && c.Probability >= f.set.Possible {
			f.opportunity(o, c)
		}
	}
}

func (f *finder) opportunity(o *deal.Opportunity, by deal.Match) {
	self := o.PartnerID != "" && o.PartnerID == f.r.Filing.PartnerID
	c := deal.Conflict{With: o.ID, PartnerID: o.PartnerID, Self: self, Overlap: f.overlap(deal.Scope{Lines: o.Lines}), Probability: by.Probability, Identifier: by.Identifier,
		Stage: o.Stage, Status: o.Status, IdleDays: o.LivelyAt(f.now), Since: cmp.Or(o.CreatedAt.Time, o.LastActivityAt.Time), Evidence: by.Evidence}
	switch {
	case !c.Overlap.Meets:
		return
	case o.Status == "open" && o.LedBy == "direct":
		c.Kind = deal.DirectEngaged
	case o.Status == "open":
		c.Kind = deal.PartnerOpportunity
	case o.Status == "won" && o.PartnerID != "" && !self:
		c.Kind = deal.IncumbentOther
	case o.LedBy == "direct": // won or lost
		c.Kind, c.IdleDays = deal.DirectClosed, o.ClosedDays(f.now)
	default:
		return
	}
	f.add(c)
}

// accounts finds what the accounts themselves say: reserved to direct sales, buying already.
func (f *finder) accounts() {
	for _, m := range f.w.possible {
		a := f.v.account(m.ID)
		c := deal.Conflict{With: a.ID, Overlap: deal.Overlap{Meets: true}, Probability: m.Probability, Identifier: m.Identifier, Status: a.Status, Evidence: m.Evidence}
		if a.Named {
			c.Kind = deal.NamedAccount
			f.add(c)
		}
		if a.Status == "customer" {
			c.Kind = deal.ExistingCustomer
			f.add(c)
		}
	}
}

func (f *finder) territory(t deal.TerritoryResult) {
	c := deal.Conflict{With: t.ID, PartnerID: t.Owner.PartnerID, Overlap: deal.Overlap{Meets: true}, Probability: 1, Status: t.Status}
	switch {
	case t.Status == "none" || t.Status == "ambiguous":
		c.Kind = deal.TerritoryOpen
	case t.Status != "resolved":
		return
	case t.Coverage == "direct":
		c.Kind = deal.TerritoryDirect
	case t.Owner.PartnerID != "" && t.Owner.PartnerID != f.r.Filing.PartnerID:
		c.Kind = deal.TerritoryOtherPartner
	default:
		return
	}
	f.add(c)
}

func (f *finder) tender() {
	n := f.r.Filing.Tender.Number
	if n == "" {
		return
	}
	for _, id := range f.v.byTender[n] {
		claim := f.v.claims[id]
		if claim.ClaimAt(f.now) && claim.Filing.PartnerID != f.r.Filing.PartnerID {
			f.add(deal.Conflict{Kind: deal.TenderShared, With: id, PartnerID: claim.Filing.PartnerID, Overlap: deal.Overlap{Meets: true}, Probability: 1,
				Since: claim.ReceivedAt, Status: string(claim.Status)})
		}
	}
}

// strongest returns the first conflict of the kind; findConflicts has put the strongest first.
func strongest(cs []deal.Conflict, kind deal.ConflictKind) (deal.Conflict, bool) {
	for _, c := range cs {
		if c.Kind == kind {
			return c, true
		}
	}
	return deal.Conflict{}, false
}
