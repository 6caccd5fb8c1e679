package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// What becomes of what a partner holds when it is suspended or terminated is the policy's to say: it stays, it is revoked, or
// people decide, in one case about all of it. What it merely waits for, the rules decide when its turn comes.

// standingCase returns the open case about the partner's standing, or nil.
func (v *view) standingCase(partner string) *deal.Case {
	for _, k := range v.cases {
		if k.Kind == deal.CaseStanding && k.PartnerID == partner {
			return k
		}
	}
	return nil
}

// stands writes what follows for a partner whose status has changed.
func (e *Engine) stands(b *store.Batch, partner string, now time.Time) error {
	v := e.view
	var cases []string // silence may give it more
	for _, k := range v.cases {
		if k.PartnerID == partner {
			cases = append(cases, k.ID)
		}
	}
	slices.Sort(cases)
	if err := e.writeDue(b, v.dueOf(cases, now), now); err != nil {
		return err
	}
	p, open := v.partners[partner], v.standingCase(partner)
	if p == nil {
		return nil
	}
	set := v.policy.Settings()
	what := set.OnPartner[p.Status]
	var held []*deal.Registration
	for _, c := range v.claims {
		if c.Filing.PartnerID == partner && c.Status != deal.StatusEscalated && c.HoldsAt(now) {
			held = append(held, c)
		}
	}
	slices.SortFunc(held, func(a, b *deal.Registration) int { return cmp.Compare(a.Sequence, b.Sequence) })
	var a addition
	var err error
	switch {
	case open != nil && what != "review": // it is active again, or the policy says what follows
		a, err = closedStanding(*open, p.Status, b.NextSeq(), deal.System, now)
		if what == "revoke" {
			a.revokes = open.Members()
		}
	case open != nil || len(held) == 0 || what == "" || what == "keep":
		return nil
	case what == "revoke":
		for _, r := range held {
			if err := e.revoke(b, r.ID, deal.System, now); err != nil {
				return err
			}
		}
		return nil
	default:
		terms := v.policy.Review()
		terms.OnSilence, terms.Grant, terms.Hold = "escalate", nil, deal.HoldTerms{}
		k := newCase(deal.NewID(deal.CaseID), deal.CaseStanding, held[0], terms, set, now, b.NextSeq())
		for _, r := range held[1:] {
			k.Also = append(k.Also, r.ID)
		}
		k.ReasonCodes, k.Summary = []string{deal.ReasonPartnerInactive}, fmt.Sprintf("The partner is %s and holds %d registrations: protect leaves them as they are, declined revokes them.", p.Status, len(held))
		a, err = caseEntry(deal.EntryStanding, k, nil)
	}
	if err != nil {
		return err
	}
	a.entry.At, a.entry.Actor = now, deal.System
	return e.append(b, a, now)
}

// closedStanding makes the entry that ends a case about a partner's standing.
func closedStanding(k deal.Case, outcome string, seq uint64, by deal.Actor, now time.Time) (addition, error) {
	k.Status, k.Outcome, k.ResolvedAt, k.RuledBy, k.Version = deal.CaseResolved, outcome, now, by.PersonID, seq
	a, err := caseEntry(deal.EntryClosed, k, nil)
	a.events[0].Type = "dibs.case.resolved.v1"
	return a, err
}

// standingRuled makes the entry of what people decide of a partner's standing: everything it holds stays, or is revoked.
func (v *view) standingRuled(k deal.Case, ruling deal.Ruling, by deal.Actor, words string, now time.Time) (addition, error) {
	var outcome string
	switch {
	case ruling.Resolution == deal.ResolveProtect && ruling.Days == 0:
		outcome = "kept"
	case ruling.Resolution == deal.ResolveRoute && ruling.Disposition == deal.Declined:
		outcome = string(deal.StatusRevoked)
	default:
		return addition{}, deal.FieldErrors{{Field: "resolution", Detail: "what the partner holds stays (protect) or is revoked (route, declined); what is to be decided otherwise, decide by itself"}}
	}
	k.Ruling = &ruling
	a, err := closedStanding(k, outcome, v.head.Seq+1, by, now)
	a.change.Note = &deal.Note{Text: words}
	if outcome != "kept" {
		a.revokes = k.Members()
	}
	return a, err
}

// revoke ends what a registration holds, without words of its own: the entry before says why.
func (e *Engine) revoke(b *store.Batch, id string, by deal.Actor, now time.Time) error {
	v := e.view
	claim := v.claims[id]
	if claim == nil || len(claim.Status.After(deal.EventRevoke)) == 0 {
		return nil
	}
	r := *claim
	m := &deal.Move{Event: deal.EventRevoke, From: r.Status, To: deal.StatusRevoked, Policy: v.policy.Ref()}
	r.Status, r.Version = m.To, b.NextSeq()
	finish(&r, now)
	body, err := eventBody(&r)
	if err != nil {
		return err
	}
	kind := deal.EventRules[m.Event].Entry
	a := addition{
		entry:  store.Entry{Kind: kind, Subject: r.ID, Actor: by, At: now},
		change: &deal.Change{Registrations: []deal.Registration{r}, Move: m},
		events: []store.Event{{ID: deal.NewID(deal.EventID), Type: "dibs." + kind + ".v1", Subject: r.ID, Body: body}},
		frees:  r.CustomerRef.Key(),
	}
	if err := v.closed(&a, &r, by, now); err != nil {
		return err
	}
	return e.append(b, a, now)
}

// leaves adds to an addition that a registration has ended, and is not any more in the case about its partner's standing.
func (v *view) leaves(a *addition, r *deal.Registration, now time.Time) error {
	open := v.standingCase(r.Filing.PartnerID)
	if open == nil || !slices.Contains(open.Members(), r.ID) {
		return nil
	}
	k := *open
	k.Version = r.Version
	rest := slices.DeleteFunc(k.Members(), func(id string) bool { return id == r.ID })
	if len(rest) > 0 {
		k.RegistrationID, k.Also = rest[0], rest[1:]
		a.change.Cases = append(a.change.Cases, k)
		return nil
	}
	k.Status, k.Outcome, k.ResolvedAt = deal.CaseResolved, string(r.Status), now
	a.change.Cases = append(a.change.Cases, k)
	return a.tells(&k, "resolved")
}

// statusChanged lists the partners whose status the rows change.
func (v *view) statusChanged(rows []*deal.Partner) (out []string) {
	for _, p := range rows {
		was := "active"
		if old := v.partners[p.ID]; old != nil {
			was = cmp.Or(old.Status, was)
		}
		if cmp.Or(p.Status, "active") != was {
			out = append(out, p.ID)
		}
	}
	return out
}
