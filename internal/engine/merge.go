package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// merges sets on r that it is the same deal as the registration into, which stands for both and stays as it is. Whoever says so decides
// on a claim, and has to have the authority for it.
func (v *view) merges(r *deal.Registration, into string, m *deal.Move, by deal.Actor, now time.Time) error {
	stays := v.claims[into]
	switch {
	case into == "" || into == r.ID:
		return deal.FieldErrors{{Field: "into", Detail: "is required: another registration, which stands for both"}}
	case stays == nil || !stays.ClaimAt(now):
		return fmt.Errorf("%w: %s is no live registration that could stand for both; possible are those that are returned and keep their place, waitlisted, escalated, conditional or protected", deal.ErrNotPossible, into)
	}
	if err := v.mayMerge(r, by, now); err != nil {
		return err
	}
	if r.HoldsAt(now) && !stays.HoldsAt(now) && r.CustomerRef == stays.CustomerRef {
		return fmt.Errorf("%w: %s holds what %s does not, and who is first in line would come to hold it; merge %s into it, or transfer it to partner %s", deal.ErrNotPossible, r.Number, stays.Number, stays.Number, stays.Filing.PartnerID)
	}
	m.Into = stays.ID
	joins(r, stays)
	return nil
}

// joins sets on r the registration that stands for both: nil, that there is none. A distributor through whom r was filed may read only what was
// filed through it too.
func joins(r, stays *deal.Registration) {
	r.Into, r.MergedInto = "", ""
	if stays == nil {
		return
	}
	r.Into = stays.ID
	if f := &stays.Filing; f.PartnerID == r.Filing.PartnerID && (r.Filing.DistributorID == "" || f.DistributorID == r.Filing.DistributorID) {
		r.MergedInto = stays.ID
	}
}

// keepMerged keeps which registrations r stands for, or is stood for by.
func (v *view) keepMerged(r *deal.Registration) {
	if into, ok := v.intoOf[r.ID]; ok {
		without(v.merged, into, r.ID)
		delete(v.intoOf, r.ID)
	}
	if r.Status == deal.StatusMerged && r.Into != "" {
		v.intoOf[r.ID] = r.Into
		v.merged[r.Into] = append(v.merged[r.Into], r.ID)
	}
}

// StandsFor returns the registrations that were merged into one, of whatever partner: for staff. Those that staff merged before
// registrations said so are not among them.
func (e *Engine) StandsFor(id string) []string {
	return read(e, func(v *view) []string { return slices.Sorted(slices.Values(v.merged[id])) })
}

// mayMerge reports why a key may not merge r: as a case of it would say, open or not.
func (v *view) mayMerge(r *deal.Registration, by deal.Actor, now time.Time) error {
	if k := v.cases[r.CaseID]; k != nil && slices.Contains(k.Members(), r.ID) {
		return v.mayRule(k, by, now)
	}
	return v.mayDecide(&deal.Case{RegistrationID: r.ID}, by, now)
}
