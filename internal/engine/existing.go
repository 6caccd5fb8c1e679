package engine

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// Existing is a registration that was decided before dibs came, with its own number and dates.
type Existing struct {
	Number         string
	Status         deal.Status
	ReceivedAt     time.Time
	ProtectedFrom  time.Time
	ProtectedUntil time.Time
	Filing         deal.Filing // normalised and valid
}

// ImportExisting brings in registrations with what was promised on them, in the order given; result[i] is what became
// of rows[i]: nil for one that is in, now or from an earlier import of the same row. One that would hold what another
// holds is refused, and names it: two promises of one thing are for a person to sort out.
func (e *Engine) ImportExisting(ctx context.Context, actor deal.Actor, rows []Existing) []error {
	out := make([]error, len(rows))
	proposals := make([]*proposal, len(rows))
	for i := range rows {
		row := &rows[i]
		body, err := json.Marshal(row)
		if err != nil {
			out[i] = err
			continue
		}
		hash := sha256.Sum256(body)
		r, personal := newRegistration(row.Filing, row.Status, row.ReceivedAt)
		r.Number, r.Imported = row.Number, true
		secrets, err := salted(personal)
		if err != nil {
			out[i] = err
			continue
		}
		// The number is the name under which the import is kept: the same row again is the same registration.
		q := Request{Actor: actor, IdemKey: "import " + row.Number, Hash: hash[:]}
		proposals[i], out[i] = e.enqueue(ctx, q, func(now time.Time) ([]addition, error) {
			a, err := e.existing(ctx, r, row, now)
			a.entry.Personal = secrets
			return []addition{a}, err
		})
	}
	for i, p := range proposals {
		if p != nil {
			out[i] = e.wait(ctx, p)
		}
		if errors.Is(out[i], deal.ErrKeyReused) {
			out[i] = deal.FieldErrors{{Field: "number", Detail: rows[i].Number + " was imported before with other content"}}
		}
	}
	return out
}

func (e *Engine) existing(ctx context.Context, r deal.Registration, row *Existing, now time.Time) (addition, error) {
	v := e.view
	if errs := v.admit(&r.Filing); len(errs) > 0 {
		return addition{}, errs
	}
	same, err := e.cfg.Store.Registrations(ctx, store.RegistrationFilter{Number: r.Number, Page: store.Page{Limit: 1}})
	if err != nil {
		return addition{}, errors.Join(deal.ErrUnavailable, err)
	}
	if len(same) > 0 {
		return addition{}, deal.FieldErrors{{Field: "number", Detail: r.Number + " is a registration already"}}
	}
	r.Sequence = v.head.Seq + 1
	r.Version = r.Sequence
	set := v.policy.Settings()
	m := v.honour(&r, search(v, ask(v, &r)), now)
	who := resolve(v, &r, m, set, now)
	r.CustomerRef, r.Finding = who.Ref, who.Finding
	d := deal.Decision{ID: r.DecisionID, RegistrationID: r.ID, Sequence: r.Sequence, At: now, Outcome: deal.RouteTo,
		ReasonCodes: []string{deal.ReasonImported}, PartnerCodes: []string{deal.ReasonImported},
		Texts:  deal.Texts{Partner: "Taken over as it was decided before.", Internal: "Imported with status " + string(row.Status) + "."},
		Policy: v.policy.Ref(), Matcher: v.model.Ref(), Input: input(v, &r).Input(), Resolution: who.Resolution, Facts: map[string]any{}}
	switch row.Status {
	case deal.StatusProtected, deal.StatusConditional:
		d.Outcome = deal.Protect
		scope := scopeOf(v, &r, r.CustomerRef, set)
		if row.ProtectedUntil.After(now) {
			if held := holders(v, &r, scope, now, true); len(held) > 0 {
				return addition{}, deal.FieldErrors{{Field: "customer_name", Detail: "would hold what " + v.claims[held[0]].Number + " holds: end one of them, then import again"}}
			}
			for _, c := range findConflicts(v, &r, m, who, deal.TerritoryResult{}, set, now) {
				if other := v.claims[c.With]; (c.Kind == deal.HeldByOther || c.Kind == deal.OwnDuplicate && other.HoldsAt(now)) && c.Probability >= set.Possible {
					return addition{}, deal.FieldErrors{{Field: "customer_name", Detail: fmt.Sprintf("is %q, which %s holds, with probability %.2f: end one of them, or give the account ids of both, then import again",
						other.Filing.Customer.Name, other.Number, c.Probability)}}
				}
			}
		} else {
			r.Status = deal.StatusExpired
		}
		r.Protection = &deal.Protection{Scope: scope, StartsAt: row.ProtectedFrom.UTC().Truncate(time.Microsecond), EndsAt: row.ProtectedUntil.UTC().Truncate(time.Microsecond), Anchor: "registration"}
		d.Protection = r.Protection
	case deal.StatusEscalated, deal.StatusReceived:
		return addition{}, deal.FieldErrors{{Field: "status", Detail: "a registration that waits for a decision is filed anew, not imported"}}
	case deal.StatusWaitlisted, deal.StatusMerged, deal.StatusReturned:
		d.Route = &deal.Route{To: deal.ToSubmitter, Disposition: deal.Disposition(row.Status)}
	default:
		d.Route = &deal.Route{To: deal.ToSubmitter, Disposition: deal.Referred}
	}
	answer, err := canonical(AnswerFor(&r, &d, nil, now))
	if err != nil {
		return addition{}, err
	}
	return addition{
		entry:  store.Entry{Kind: deal.EntryRegistration, Subject: r.ID, Answer: answer},
		change: &deal.Change{Registrations: []deal.Registration{r}, Decision: &d},
		number: true,
	}, nil
}

// number returns the number of the nth registration of the ledger, received at the instant. Where an imported
// registration has it already, a suffix tells them apart.
func (v *view) number(at time.Time, n uint64) string {
	number := fmt.Sprintf("DR-%d-%06d", at.Year(), n)
	for v.taken[number] {
		number += "A"
	}
	return number
}

// keepNumber remembers the number of an imported registration if one of ours could come to be the same.
func (v *view) keepNumber(r *deal.Registration) {
	if r.Imported && strings.HasPrefix(r.Number, "DR-") {
		v.taken[r.Number] = true
	}
}
