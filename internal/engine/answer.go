package engine

import (
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Answer is what a partner may know of a registration: an allow-list, filled field by field. Nothing that names
// another party, a candidate, a score or an account of the vendor has a place in it.
type Answer struct {
	ID         string         `json:"id"`
	Number     string         `json:"number"`
	ExternalID string         `json:"external_id,omitempty"`
	PartnerID  string         `json:"partner_id"`
	ReceivedAt time.Time      `json:"received_at"`
	Sequence   uint64         `json:"sequence"`
	Status     deal.Status    `json:"status"`
	Decision   AnswerDecision `json:"decision"`
}

// AnswerDecision is the partner's view of a decision.
type AnswerDecision struct {
	ID          string            `json:"id"`
	At          time.Time         `json:"at"`
	Outcome     deal.Outcome      `json:"outcome"`
	ReasonCodes []string          `json:"reason_codes"`
	Explanation string            `json:"explanation"`
	Protection  *AnswerProtection `json:"protection"`
	Route       *AnswerRoute      `json:"route"`
	Case        *AnswerCase       `json:"case"`
	Benefits    []deal.Benefit    `json:"benefits,omitempty"`
	Appeal      *deal.Appeal      `json:"appeal,omitempty"`
	Policy      deal.DocumentRef  `json:"policy"`
}

// AnswerProtection is the partner's view of its own protection.
type AnswerProtection struct {
	Scope    AnswerScope `json:"scope"`
	StartsAt time.Time   `json:"starts_at"`
	EndsAt   time.Time   `json:"ends_at"`
}

// AnswerScope repeats the partner's own words: the customer as filed, not as resolved.
type AnswerScope struct {
	Customer string   `json:"customer"`
	Lines    []string `json:"lines"` // empty: every line
	Sites    []string `json:"sites"` // empty: the whole customer
}

// AnswerRoute is the partner's view of a route.
type AnswerRoute struct {
	To            deal.Target      `json:"to"`
	Disposition   deal.Disposition `json:"disposition"`
	Needs         []string         `json:"needs,omitempty"`
	ResubmitAfter string           `json:"resubmit_after,omitempty"`
}

// AnswerCase is the partner's view of a case: that there is one, and by when it is to be decided.
type AnswerCase struct {
	ID    string    `json:"id"`
	DueAt time.Time `json:"due_at,omitzero"`
}

// AnswerFor renders the partner's view of r as of now, with d as its current decision. c is the case of r, if any.
func AnswerFor(r *deal.Registration, d *deal.Decision, c *deal.Case, now time.Time) Answer {
	a := Answer{
		ID: r.ID, Number: r.Number, ExternalID: r.Filing.ExternalID, PartnerID: r.Filing.PartnerID, ReceivedAt: r.ReceivedAt,
		Sequence: r.Sequence, Status: r.StatusAt(now),
		Decision: AnswerDecision{
			ID: d.ID, At: d.At, Outcome: d.Outcome, ReasonCodes: d.PartnerCodes, Explanation: d.Texts.Partner, Benefits: d.Benefits, Appeal: d.Appeal, Policy: d.Policy,
		},
	}
	if p := r.Protection; p != nil {
		scope := AnswerScope{Customer: r.Filing.Customer.Name, Lines: append([]string{}, p.Scope.Lines...), Sites: []string{}}
		for _, s := range r.Filing.Sites {
			scope.Sites = append(scope.Sites, s.Label())
		}
		a.Decision.Protection = &AnswerProtection{Scope: scope, StartsAt: p.StartsAt, EndsAt: p.EndsAt}
	}
	if t := d.Route; t != nil {
		a.Decision.Route = &AnswerRoute{To: t.To, Disposition: t.Disposition, Needs: t.Needs, ResubmitAfter: t.Resubmit}
	}
	if c != nil && c.Status == "open" {
		a.Decision.Case = &AnswerCase{ID: c.ID, DueAt: c.DueAt}
	}
	return a
}
