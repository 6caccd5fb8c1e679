package engine

import (
	"strings"
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
	MergedInto string         `json:"merged_into,omitempty"` // a registration of the same partner that stands for both
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

	Condition  *AnswerMilestone  `json:"condition,omitempty"` // what it waits for: without that it ends then
	Milestones []AnswerMilestone `json:"milestones,omitempty"`
	Fulfil     []deal.Fulfilment `json:"fulfil,omitempty"` // what has to be there before it ends, for the benefits to be paid
	Earned     *bool             `json:"earned,omitempty"` // whether that was there when it ended
}

// AnswerMilestone is what the partner has to show while the protection runs, and by when.
type AnswerMilestone struct {
	Need  string    `json:"need"`
	DueAt time.Time `json:"due_at"`
	MetAt time.Time `json:"met_at,omitzero"`
}

// AnswerScope repeats the partner's own words: the customer as filed, not as resolved.
type AnswerScope struct {
	Customer string   `json:"customer"`
	Lines    []string `json:"lines"`             // empty: every line
	Classes  []string `json:"classes,omitempty"` // line/class; empty: every class
	Sites    []string `json:"sites"`             // empty: the whole customer
}

// AnswerRoute is the partner's view of a route.
type AnswerRoute struct {
	To            deal.Target      `json:"to"`
	Disposition   deal.Disposition `json:"disposition"`
	Needs         []string         `json:"needs,omitempty"`
	ResubmitAfter string           `json:"resubmit_after,omitempty"`
	AnswerBy      time.Time        `json:"answer_by,omitzero"` // of what was returned: when the time to complete it is over
}

// AnswerCase is the partner's view of a case: that there is one, by when it is to be decided, and what the partner is asked. That
// others are in it is not in there.
type AnswerCase struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind,omitempty"`
	DueAt    time.Time `json:"due_at,omitzero"`
	AnswerBy time.Time `json:"answer_by,omitzero"` // the partner is asked something, and until then nothing is decided
	Question string    `json:"question,omitempty"` // what; free text, so no recorded answer has it
}

// present is what a partner reads of a registration that is not any more what was decided: a code and a sentence by its status.
var present = map[deal.Status]struct{ code, text string }{
	deal.StatusExpired:   {"EXPIRED", "Your protection has ended. You may register the deal again."},
	deal.StatusWithdrawn: {"WITHDRAWN", "This registration was withdrawn. You may register the deal again."},
	deal.StatusRevoked:   {"REVOKED", "Your registration was revoked. Your channel manager can tell you why."},
	deal.StatusWon:       {"WON", "This deal is recorded as won."},
	deal.StatusLost:      {"LOST", "This deal is recorded as lost."},
	deal.StatusMerged:    {"MERGED", "This registration is the same deal as another and was joined with it. Your channel manager can tell you more."},
	deal.StatusEscalated: {deal.ReasonUnderReview, "We are looking at your registration again. Your place in line is kept."},
}

// conditionText says what a conditional protection waits for, and until when.
func conditionText(t *deal.Terms, until time.Time) string {
	end := until.UTC().Format("2006-01-02 15:04 UTC")
	switch need := strings.ReplaceAll(t.Condition.Need, "_", " "); {
	case t.Offered() != nil:
		return "Your turn in line has come: accept before " + end + ", or it goes to the next in line."
	case deal.Fold(need) == deal.NeedAcceptance:
		return "Your protection is conditional: it ends " + end + " unless we accept it before."
	default:
		return "Your protection is conditional: it ends " + end + " unless you show this before: " + need + "."
	}
}

// sentences puts one behind the other.
func sentences(first, second string) string { return strings.TrimSpace(first + " " + second) }

// led reports whether d leads to the status.
func led(d *deal.Decision, s deal.Status) bool {
	switch d.Outcome {
	case deal.Protect:
		return s == deal.StatusProtected || s == deal.StatusConditional
	case deal.Escalate:
		return s == deal.StatusEscalated
	}
	return d.Route != nil && s == statusOf(d.Route.Disposition)
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
	if a.Status == deal.StatusMerged {
		a.MergedInto = r.MergedInto
	}
	if now, ok := present[a.Status]; ok && !led(d, a.Status) {
		a.Decision.ReasonCodes, a.Decision.Explanation, a.Decision.Appeal = []string{now.code}, now.text, nil
		earned := r.Earned()
		if a.Status == deal.StatusWon && earned != nil && !*earned || a.Status == deal.StatusExpired && (earned == nil || !*earned) || a.Status != deal.StatusWon && a.Status != deal.StatusExpired {
			a.Decision.Benefits = nil
		}
	}
	if p := r.Protection; p != nil {
		scope := AnswerScope{Customer: r.Filing.Customer.Name, Lines: append([]string{}, p.Scope.Lines...), Classes: p.Scope.Classes, Sites: []string{}}
		for _, s := range r.Filing.Sites {
			scope.Sites = append(scope.Sites, s.Label())
		}
		a.Decision.Protection = &AnswerProtection{Scope: scope, StartsAt: p.StartsAt, EndsAt: p.EndsAt}
		for _, m := range r.Milestones {
			a.Decision.Protection.Milestones = append(a.Decision.Protection.Milestones, AnswerMilestone{Need: m.Need, DueAt: m.DueAt, MetAt: m.MetAt})
		}
		if a.Decision.Protection.Fulfil = r.Fulfil; a.Status == deal.StatusWon || a.Status == deal.StatusExpired {
			a.Decision.Protection.Earned = r.Earned()
		}
		if a.Status == deal.StatusConditional && d.Terms != nil && d.Terms.Condition != nil {
			a.Decision.Protection.Condition = &AnswerMilestone{Need: d.Terms.Condition.Need, DueAt: p.EndsAt}
			a.Decision.Explanation = sentences(a.Decision.Explanation, conditionText(d.Terms, p.EndsAt))
		}
	}
	if t := d.Route; t != nil {
		a.Decision.Route = &AnswerRoute{To: t.To, Disposition: t.Disposition, Needs: t.Needs, ResubmitAfter: t.Resubmit}
		if a.Status == deal.StatusReturned {
			a.Decision.Route.AnswerBy = r.AnswerBy
		}
	}
	if c != nil && c.Status == deal.CaseOpen {
		a.Decision.Case = &AnswerCase{ID: c.ID, Kind: c.Kind, DueAt: c.DueAt, AnswerBy: c.AnswerBy}
		if c.RegistrationID != r.ID {
			a.Decision.Case = &AnswerCase{ID: caseID(d.ID), Kind: c.Kind, DueAt: d.DueAt}
		}
		if a.Decision.Appeal != nil && c.Kind == deal.CaseAppeal {
			a.Decision.Appeal = nil
		}
	}
	return a
}
