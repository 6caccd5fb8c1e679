package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/store"
)

// What people have found of two organisations goes before what the matcher thinks of them. Whom a filing is for, as far as findings
// go, is everybody it certainly reads like: the registration of a finding, by its description, whether it is live or not; other
// claims; accounts. "The same" brings the other in with that certainty. "Not the same" takes the other out of the candidates,
// where the filing reads more like the one than like the other; where it reads like both alike, nobody knows which of the two it is, and
// both are possible. What shares a number that is issued to one organisation is never taken out; it stays possible, and a person looks.

// byWords is the most that words make certain: what a person has said of the very filing is more.
const byWords = 0.999999

// findingTerm is the term of evidence that names a finding.
const findingTerm = "finding"

// findings are those that nobody has taken back, arranged for questions.
type findings struct {
	all  map[string]*deal.Finding
	of   map[string][]string // customer key → ids, sorted
	same int                 // how many say that two are one
	// words finds the registrations that findings are about by their descriptions: what it finds has the id of a finding, a space, and
	// 0 for its subject, 1 for the other.
	words *match.Index
}

func newFindings(m *match.Model) findings {
	return findings{all: map[string]*deal.Finding{}, of: map[string][]string{}, words: match.NewIndex(m)}
}

func (v *view) putFinding(f *deal.Finding) {
	s := &v.findings
	if old := s.all[f.ID]; old != nil {
		delete(s.all, f.ID)
		for i, key := range old.Keys() {
			removeSorted(s.of, key, f.ID)
			s.words.Delete(fmt.Sprint(f.ID, " ", i))
		}
		if old.Verdict == deal.FoundSame {
			s.same--
		}
	}
	if f.Withdrawn != nil {
		return
	}
	s.all[f.ID] = f
	for i, p := range []deal.Party{f.Subject, f.Other} {
		insertSorted(s.of, p.Key(), f.ID)
		if p.Input != nil {
			s.words.Upsert(match.FromInput(fmt.Sprint(f.ID, " ", i), *p.Input))
		}
	}
	if f.Verdict == deal.FoundSame {
		s.same++
	}
}

// party returns whom a hit of words is about.
func (s *findings) party(hit string) (deal.CustomerRef, bool) {
	id, side, _ := strings.Cut(hit, " ")
	f := s.all[id]
	switch {
	case f == nil:
		return deal.CustomerRef{}, false
	case side == "0":
		return f.Subject.Ref(), true
	}
	return f.Other.Ref(), true
}

// each visits the findings about the customer that say something now, with the other of the two.
func (s *findings) each(key string, now time.Time, visit func(f *deal.Finding, other deal.Party)) {
	for _, id := range s.of[key] {
		f := s.all[id]
		switch {
		case f.StatusAt(now) != deal.FindingLive:
		case f.Subject.Key() == key:
			visit(f, f.Other)
		default:
			visit(f, f.Subject)
		}
	}
}

// one returns the keys of everybody who was found to be the same as the customer, itself first, then in their order.
func (s *findings) one(key string) []string {
	out := []string{key}
	if s.same == 0 {
		return out
	}
	for i := 0; i < len(out); i++ {
		for _, id := range s.of[out[i]] {
			f := s.all[id]
			for _, k := range f.Keys() {
				if f.Verdict == deal.FoundSame && !slices.Contains(out, k) {
					out = append(out, k)
				}
			}
		}
	}
	slices.Sort(out[1:])
	return out
}

// stands returns who the customer is by what was found: the last of those that one after the other were found to be the same.
func (s *findings) stands(ref deal.CustomerRef) deal.CustomerRef {
	seen := []deal.CustomerRef{}
	for f := s.handsOn(ref); f != nil && !slices.Contains(seen, ref); f = s.handsOn(ref) {
		seen, ref = append(seen, ref), f.Other.Ref()
	}
	return ref
}

// handsOn returns the finding that says that the customer is somebody else, or nil.
func (s *findings) handsOn(ref deal.CustomerRef) *deal.Finding {
	if s.same == 0 {
		return nil
	}
	for _, id := range s.of[ref.Key()] {
		if f := s.all[id]; f.Verdict == deal.FoundSame && f.Subject.Ref() == ref {
			return f
		}
	}
	return nil
}

// claimsOn returns the claims on the customer and on everybody who was found to be the same, in order of filing.
func (v *view) claimsOn(key string) []string {
	keys := v.findings.one(key)
	if len(keys) == 1 {
		return v.claimsOf[key]
	}
	own := deal.CustomerRef{ProspectID: deal.ProspectID}.Key()
	var out []string
	for _, k := range keys {
		for _, id := range v.claimsOf[k] {
			out = v.inOrder(out, v.claims[id])
		}
		// A registration of a finding may have been resolved to somebody else before it was made.
		if r := v.claims[deal.RegistrationID+strings.TrimPrefix(k, own)]; r != nil && !slices.Contains(keys, r.CustomerRef.Key()) {
			out = v.inOrder(out, r)
		}
	}
	return out
}

// claimsOfParty returns the claims on a party of a finding: on itself, and on whom its registration was resolved to.
func (v *view) claimsOfParty(p deal.Party) []string {
	out := slices.Clone(v.claimsOn(p.Key()))
	if r := v.claims[p.RegistrationID]; r != nil {
		for _, id := range append([]string{r.ID}, v.claimsOn(r.CustomerRef.Key())...) {
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

// around returns the claims on the customer, and those that wait for what it may be, each once.
func (v *view) around(key string) []string {
	out := v.claimsOn(key)
	for _, k := range v.findings.one(key) {
		for _, id := range v.waitsAt[k] {
			if !slices.Contains(out, id) {
				out = append(slices.Clip(out), id)
			}
		}
	}
	return out
}

// oneCustomer reports whether two customers are one, by their refs or by what was found.
func (v *view) oneCustomer(a, b deal.CustomerRef) bool {
	return a == b || slices.Contains(v.findings.one(a.Key()), b.Key())
}

// sure is how certainly a filing is for somebody.
type sure struct {
	who deal.CustomerRef
	p   float64
	by  *deal.Finding // by which, if not by its own words
}

// honour returns the candidates as the findings of people have them. m itself stays as the matcher has it.
func (v *view) honour(r *deal.Registration, m matches, now time.Time) matches {
	if len(v.findings.all) == 0 {
		return m
	}
	certain, own := v.policy.Settings().Certain, deal.OwnProspect(r.ID)
	is := map[string]sure{}
	note := func(who deal.CustomerRef, p float64, by *deal.Finding) bool {
		if by == nil {
			p = min(p, byWords)
		}
		if p < certain || p <= is[who.Key()].p {
			return false
		}
		is[who.Key()] = sure{who, p, by}
		return true
	}
	is[own.Key()] = sure{own, 1, nil}
	for _, c := range m.claims.Candidates {
		if claim := v.claims[c.ID]; claim != nil && c.ID != r.ID && c.Verdict == deal.Same {
			note(deal.OwnProspect(c.ID), c.Probability, nil)
			note(v.customerOf(claim, now), c.Probability, nil)
		}
	}
	for _, c := range m.accounts.Candidates {
		if c.Verdict == deal.Same {
			note(deal.CustomerRef{AccountID: c.ID}, c.Probability, nil)
		}
	}
	described := 0.0
	for _, c := range m.found.Candidates {
		who, ok := v.findings.party(c.ID)
		if !ok || c.Verdict != deal.Same || c.Probability < certain {
			continue
		}
		note(who, c.Probability, nil)
		if c.Probability > described || c.Probability == described && who.Key() < m.known.Key() {
			described, m.known = c.Probability, who
		}
	}
	for again := true; again; { // it ends: a finding hands on the certainty it was given, and no more
		again = false
		for _, key := range slices.Sorted(maps.Keys(is)) {
			v.findings.each(key, now, func(f *deal.Finding, other deal.Party) {
				if f.Verdict == deal.FoundSame && note(other.Ref(), is[key].p, f) {
					again = true
				}
			})
		}
	}
	m.accounts.Candidates, m.claims.Candidates = slices.Clone(m.accounts.Candidates), slices.Clone(m.claims.Candidates)
	for _, key := range slices.Sorted(maps.Keys(is)) {
		v.bringIn(&m, is[key])
	}
	for _, key := range slices.Sorted(maps.Keys(is)) {
		v.findings.each(key, now, func(f *deal.Finding, other deal.Party) {
			if f.Verdict == deal.FoundDifferent {
				v.takeOut(&m, is[key], is[other.Key()].p, f, other.Ref(), now)
			}
		})
	}
	likelier := func(a, b deal.Match) int { return cmp.Compare(b.Probability, a.Probability) }
	slices.SortStableFunc(m.accounts.Candidates, likelier)
	slices.SortStableFunc(m.claims.Candidates, likelier)
	return m
}

// bringIn makes candidates of whom a finding says the filing is for. Of accounts that are one, the one that does not stand is possible
// and no more: what is claimed of it counts.
func (v *view) bringIn(m *matches, s sure) {
	put := func(list *[]deal.Match, c deal.Match, verdict deal.Verdict, by *deal.Finding) {
		i := slices.IndexFunc(*list, func(o deal.Match) bool { return o.ID == c.ID })
		if i < 0 {
			i, *list = len(*list), append(*list, c)
		}
		o := &(*list)[i]
		o.Probability, o.Verdict, o.Evidence = max(o.Probability, s.p), verdict, append(slices.Clone(o.Evidence), findingScore(by, ""))
	}
	if a := v.account(s.who.AccountID); a != nil {
		c := deal.Match{ID: a.ID, Name: a.Name}
		if by := v.findings.handsOn(s.who); by != nil && v.account(by.Other.AccountID) != nil {
			put(&m.accounts.Candidates, c, deal.Review, by)
		} else if s.by != nil {
			put(&m.accounts.Candidates, c, deal.Same, s.by)
		}
		return
	}
	if s.by == nil {
		return
	}
	for _, id := range append(slices.Clone(v.claimsOf[s.who.Key()]), s.who.Registration()) {
		if claim := v.claims[id]; claim != nil {
			put(&m.claims.Candidates, deal.Match{ID: id, Name: claim.Filing.Customer.Name}, deal.Same, s.by)
		}
	}
}

// takeOut takes the other of a finding out of the candidates for a filing that is certainly for the one. p is how certainly it is for the
// other all the same.
func (v *view) takeOut(m *matches, one sure, p float64, f *deal.Finding, other deal.CustomerRef, now time.Time) {
	possible := v.policy.Settings().Possible
	out := func(c *deal.Match) {
		as := max(p, min(c.Probability, byWords))
		hard := slices.Contains([]string{deal.IdentifierTaxID, deal.IdentifierDUNS, deal.IdentifierLEI}, c.Identifier)
		switch {
		case as > one.p: // it reads more like the other
		case as == one.p:
			c.Probability, c.Verdict = min(c.Probability, possible), deal.Review
			c.Evidence = append(slices.Clone(c.Evidence), findingScore(f, "; this reads like either, so a person looks"))
		case hard:
			c.Probability, c.Verdict = possible, deal.Review
			c.Evidence = append(slices.Clone(c.Evidence), findingScore(f, "; but a number that is issued to one organisation is that of both, so a person looks"))
		default:
			c.Probability, c.Verdict, c.Identifier = 0, deal.Different, ""
			c.Evidence = append(slices.Clone(c.Evidence), findingScore(f, ""))
		}
	}
	if p < one.p && m.known == other {
		m.known = deal.CustomerRef{}
	}
	for i := range m.accounts.Candidates {
		if c := &m.accounts.Candidates[i]; c.ID == other.AccountID {
			out(c)
		}
	}
	for i := range m.claims.Candidates {
		c := &m.claims.Candidates[i]
		if claim := v.claims[c.ID]; claim != nil && (v.customerOf(claim, now) == other || deal.OwnProspect(c.ID) == other) {
			out(c)
		}
	}
	if one.p == 1 && other.AccountID != "" { // a person has looked at what this very filing names
		m.denied = append(m.denied, other.AccountID)
	}
}

// findingScore puts a finding in words.
func findingScore(f *deal.Finding, but string) deal.Score {
	said := "are one"
	if f.Verdict == deal.FoundDifferent {
		said = "are not the same"
		if !f.Until.IsZero() {
			said += " until " + f.Until.Format(time.RFC3339)
		}
	}
	return deal.Score{Term: findingTerm, Value: f.ID, Text: fmt.Sprintf("%s found on %s that %s and %s %s%s", cmp.Or(f.By.PersonID, f.By.Role), f.At.Format(time.DateOnly),
		f.Subject.Name, f.Other.Name, said, but)}
}

// findingOf returns the id of the finding that made a candidate of it, or nothing.
func findingOf(c deal.Match) string {
	for _, s := range c.Evidence {
		if s.Term == findingTerm {
			return s.Value
		}
	}
	return ""
}

// customerOf is who the claim's customer is by what people say today: whom it was resolved to, unless the finding by which it was has
// been taken back since, or another says that it is not.
func (v *view) customerOf(claim *deal.Registration, now time.Time) deal.CustomerRef {
	own := deal.OwnProspect(claim.ID)
	wrong := claim.Finding != "" && v.findings.all[claim.Finding] == nil
	v.findings.each(own.Key(), now, func(f *deal.Finding, other deal.Party) {
		wrong = wrong || f.Verdict == deal.FoundDifferent && other.Ref() == claim.CustomerRef
	})
	if wrong {
		return own
	}
	return claim.CustomerRef
}

// byFinding reports whether a finding bore on the candidate.
func byFinding(c deal.Match) bool { return findingOf(c) != "" }

// Found is a finding as people read it.
type Found struct {
	deal.Finding
	Status string `json:"status"`           // live, ended or withdrawn
	Reason string `json:"reason,omitempty"` // in the words of who made it; empty once erased
}

// Find records what a person has found, with the reason in words; f says the verdict, whom it is about and until when. A new finding
// has those in line for either decided again; what is granted stays granted. Errors: deal.FieldErrors; deal.ErrForbidden naming why this key
// may not; deal.ErrNotPossible when other findings say otherwise, or when both hold what only one may; deal.ErrKeyReused,
// deal.ErrUnavailable.
func (e *Engine) Find(ctx context.Context, q Request, f deal.Finding, reason string) (Found, error) {
	f.Until = f.Until.UTC().Truncate(time.Microsecond)
	errs := f.Validate(e.now())
	n := deal.Note{Text: reason}
	for _, w := range n.Validate(true) {
		errs.Add("reason", "%s", w.Detail)
	}
	var of [2]*deal.Registration
	for i, p := range []deal.Party{f.Subject, f.Other} {
		if p.RegistrationID == "" {
			continue
		}
		r, err := e.cfg.Store.Registration(ctx, p.RegistrationID)
		switch {
		case errors.Is(err, deal.ErrNotFound):
			errs.Add([]string{"subject", "other"}[i]+".registration_id", "there is no registration %q", p.RegistrationID)
		case err != nil:
			return Found{}, errors.Join(deal.ErrUnavailable, err)
		}
		of[i] = &r
	}
	if err := errs.Err(); err != nil {
		return Found{}, err
	}
	p, err := e.submit(ctx, q, func(now time.Time) ([]addition, error) {
		a, err := e.view.finds(f, of, n, q.Actor, now)
		return []addition{a}, err
	})
	if err != nil {
		return Found{}, err
	}
	return e.Finding(ctx, p.entry.Subject)
}

// finds makes the entry of a finding.
func (v *view) finds(f deal.Finding, of [2]*deal.Registration, n deal.Note, by deal.Actor, now time.Time) (addition, error) {
	var errs deal.FieldErrors
	for i, p := range []*deal.Party{&f.Subject, &f.Other} {
		r := of[i]
		if r != nil {
			if live := v.claims[r.ID]; live != nil {
				r = live
			}
			p.Name, p.Input = r.Filing.Customer.Name, new(input(v, r).Input())
		} else if a := v.account(p.AccountID); a != nil {
			p.Name = a.Name
		} else {
			errs.Add([]string{"subject", "other"}[i]+".account_id", "there is no account %q", p.AccountID)
		}
		if r != nil && f.CaseID == "" {
			f.CaseID = r.CaseID
		}
	}
	if err := errs.Err(); err != nil {
		return addition{}, err
	}
	if f.Verdict == deal.FoundSame && f.Subject.AccountID != "" && f.Other.AccountID == "" {
		f.Subject, f.Other = f.Other, f.Subject
	}
	if err := v.mayFind(of, by, now); err != nil {
		return addition{}, err
	}
	if err := v.agrees(&f, now); err != nil {
		return addition{}, err
	}
	f.ID, f.By, f.At, f.Sequence, f.Version = deal.NewID(deal.FindingID), by, now, v.head.Seq+1, v.head.Seq+1
	return v.findingEntry(deal.EntryFound, f, n), nil
}

// findingEntry makes the entry of a finding as it is now. Who is in line for either of the two is decided again after it.
func (v *view) findingEntry(kind string, f deal.Finding, n deal.Note) addition {
	a := addition{entry: store.Entry{Kind: kind, Subject: f.ID}, change: &deal.Change{Findings: []deal.Finding{f}, Note: &n}}
	for _, p := range []deal.Party{f.Subject, f.Other} {
		a.lines = append(a.lines, p.Key())
		if r := v.claims[p.RegistrationID]; r != nil {
			a.lines = append(a.lines, r.CustomerRef.Key())
		}
	}
	slices.Sort(a.lines)
	a.lines = slices.Compact(a.lines)
	return a
}

// mayFind reports why a key may not say who the registrations' customers are: it is for people who decide their cases, and who own
// nothing that competes.
func (v *view) mayFind(of [2]*deal.Registration, by deal.Actor, now time.Time) error {
	switch {
	case !slices.Contains(deal.EventRules[deal.EventResolve].Roles, by.Role):
		return fmt.Errorf("%w: a key of role %s cannot say who is the same", deal.ErrForbidden, by.Role)
	case by.PersonID == "" || v.people[by.PersonID] == nil:
		return fmt.Errorf("%w: who is the same is said by a person on the list of people; use a key that names one: dibs keys create --role %s --person ID", deal.ErrForbidden, by.Role)
	}
	for _, r := range of {
		if r == nil {
			continue
		}
		if k := v.cases[r.CaseID]; k != nil {
			if err := v.mayRule(k, by, now); err != nil {
				return err
			}
		} else if what := v.interest(&deal.Case{RegistrationID: r.ID}, by.PersonID); what != "" {
			return recused(by.PersonID, what)
		}
	}
	return nil
}

// agrees reports why a finding cannot be: it says what another says, or the opposite; or it makes one of two that both hold what one
// may.
func (v *view) agrees(f *deal.Finding, now time.Time) error {
	keys := f.Keys()
	if keys[0] == keys[1] {
		return deal.FieldErrors{{Field: "other", Detail: "is the subject itself"}}
	}
	one, other := v.findings.one(keys[0]), v.findings.one(keys[1])
	if slices.Contains(one, keys[1]) {
		if f.Verdict == deal.FoundSame {
			return fmt.Errorf("%w: the two are one already, by earlier findings", deal.ErrNotPossible)
		}
		return fmt.Errorf("%w: earlier findings say that the two are one; take them back first", deal.ErrNotPossible)
	}
	var against *deal.Finding
	for _, key := range one {
		v.findings.each(key, now, func(x *deal.Finding, p deal.Party) {
			apart := f.Verdict == deal.FoundSame && slices.Contains(other, p.Key())
			again := f.Verdict == deal.FoundDifferent && key == keys[0] && p.Key() == keys[1]
			if x.Verdict == deal.FoundDifferent && (apart || again) {
				against = x
			}
		})
	}
	switch {
	case against != nil && f.Verdict == deal.FoundSame:
		return fmt.Errorf("%w: %s says that %s and %s are not the same; take it back first", deal.ErrNotPossible, against.ID, against.Subject.Name, against.Other.Name)
	case against != nil:
		return fmt.Errorf("%w: %s says so already; take it back to say until when anew", deal.ErrNotPossible, against.ID)
	case f.Verdict == deal.FoundDifferent:
		return nil
	}
	for _, x := range v.claimsOfParty(f.Subject) {
		for _, y := range v.claimsOfParty(f.Other) {
			a, b := v.claims[x], v.claims[y]
			if x == y || !a.HoldsAt(now) || !b.HoldsAt(now) {
				continue
			}
			if p, q := holdingWindow(a), holdingWindow(b); p.Scope.Overlap(q.Scope).Meets && !(p.Shared && q.Shared) {
				return fmt.Errorf("%w: both hold the same: %s; end one of them first", deal.ErrNotPossible, v.describe([]string{x, y}))
			}
		}
	}
	return nil
}

// TakeBack ends a finding from now on, with the reason in words. Decisions that went by it stay. Errors as of Find, and
// deal.ErrNotFound.
func (e *Engine) TakeBack(ctx context.Context, q Request, id, reason string) (Found, error) {
	n := deal.Note{Text: reason}
	errs := n.Validate(true)
	for i := range errs {
		errs[i].Field = "reason"
	}
	if err := errs.Err(); err != nil {
		return Found{}, err
	}
	was, err := e.cfg.Store.Finding(ctx, id)
	if err != nil {
		return Found{}, err
	}
	var of [2]*deal.Registration
	for i, p := range []deal.Party{was.Subject, was.Other} {
		if p.RegistrationID != "" {
			r, err := e.cfg.Store.Registration(ctx, p.RegistrationID)
			if err != nil {
				return Found{}, err
			}
			of[i] = &r
		}
	}
	if _, err = e.submit(ctx, q, func(now time.Time) ([]addition, error) {
		v := e.view
		f := v.findings.all[id]
		if f == nil {
			return nil, fmt.Errorf("%w: it is taken back already", deal.ErrNotPossible)
		}
		if err := v.mayFind(of, q.Actor, now); err != nil {
			return nil, err
		}
		back := *f
		back.Withdrawn, back.TakenBack, back.Version = new(q.Actor), now, v.head.Seq+1
		return []addition{v.findingEntry(deal.EntryTakenBack, back, n)}, nil
	}); err != nil {
		return Found{}, err
	}
	return e.Finding(ctx, id)
}

// Finding returns one finding with its reason. What does not exist is deal.ErrNotFound.
func (e *Engine) Finding(ctx context.Context, id string) (Found, error) {
	f, err := e.cfg.Store.Finding(ctx, id)
	if err != nil {
		return Found{}, err
	}
	return e.readFinding(ctx, f)
}

func (e *Engine) readFinding(ctx context.Context, f deal.Finding) (Found, error) {
	ps, err := e.cfg.Store.Personal(ctx, f.Sequence)
	if err != nil {
		return Found{}, err
	}
	c := deal.Change{Note: &deal.Note{}}
	c.JoinPersonal(store.Values(ps))
	return Found{f, f.StatusAt(e.now()), c.Note.Text}, nil
}

// Findings returns findings as people read them, in the order of their making.
func (e *Engine) Findings(ctx context.Context, f store.FindingFilter) ([]Found, error) {
	list, err := e.cfg.Store.Findings(ctx, f)
	if err != nil {
		return nil, err
	}
	out := make([]Found, len(list))
	for i := range list {
		if out[i], err = e.readFinding(ctx, list[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}
