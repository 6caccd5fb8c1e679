package server

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/api"
	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/policytest"
	"github.com/dibs-deals/dibs/internal/store"
)

// CreateRegistration decides and commits one registration.
func (s handlers) CreateRegistration(ctx context.Context, r api.CreateRegistrationRequestObject) (api.CreateRegistrationResponseObject, error) {
	c := callOf(ctx)
	q := c.request()
	q.IdemKey = r.Params.IdempotencyKey
	f, wrong := s.filing(c, r.Body)
	if err := wrong.Err(); err != nil {
		// What was valid when it was decided need not be valid today, a close date for one. A retry gets its answer.
		if _, answered := s.engine.Store().Answered(ctx, store.IdemKey{KeyID: q.Actor.KeyID, Key: q.IdemKey}); answered != nil {
			return nil, err
		}
	}
	var err error
	if q.Hash, err = fingerprint(f); err != nil {
		return nil, err
	}
	done, err := s.engine.Register(ctx, q, f)
	if err != nil {
		return nil, err
	}
	out, err := committed(http.StatusCreated, done)
	if err != nil {
		return nil, err
	}
	out.header = append(out.header, [2]string{"Location", "/v1/registrations/" + done.ID})
	if timing := serverTiming(ctx, c); timing != "" {
		out.header = append(out.header, [2]string{"Server-Timing", timing})
	}
	return out, nil
}

// fingerprint is the SHA-256 of what was understood of a request, so that a retry may be formatted differently.
func fingerprint(understood any) ([]byte, error) {
	b, err := json.Marshal(understood)
	sum := sha256.Sum256(b)
	return sum[:], err
}

// committed is the recorded answer, byte for byte, and its receipt.
func committed(status int, done engine.Registered) (reply, error) {
	receipt, err := json.Marshal(done.Receipt)
	if err != nil {
		return reply{}, err
	}
	out := reply{status: status, media: "application/json", body: splice(done.Body, "receipt", receipt)}
	if done.Replayed {
		out.header = append(out.header, [2]string{"Idempotent-Replayed", "true"})
	}
	return out, nil
}

// filing maps, normalises and validates a registration as filed, and whether this call may file it. A partner the key
// may not file for is refused in the words for one that does not exist.
func (s *Server) filing(c *call, in *api.RegistrationInput) (deal.Filing, deal.FieldErrors) {
	f, wrong := toFiling(in)
	f.Normalise()
	wrong = append(wrong, f.Validate(s.engine.Now())...)
	if f.PartnerID != "" && !c.mayFile(f.PartnerID) {
		wrong.Add("partner_id", "no such partner")
	}
	return f, wrong
}

// splice adds a last member to a JSON object without touching a byte of it.
func splice(object []byte, name string, value []byte) []byte {
	end := len(object) - 1
	for end > 0 && object[end] != '}' {
		end--
	}
	out := make([]byte, 0, end+len(name)+len(value)+6)
	out = append(out, object[:end]...)
	out = append(out, `,"`+name+`":`...)
	out = append(out, value...)
	return append(out, '}', '\n')
}

// Check advises before filing.
func (s handlers) Check(ctx context.Context, r api.CheckRequestObject) (api.CheckResponseObject, error) {
	c := callOf(ctx)
	if !s.checks.allow(ctx, c.key.ID) {
		return nil, problem{code: "rate-limited", detail: "this key has used up its pre-checks of the minute; a registration is not limited", retry: "10"}
	}
	f, wrong := s.filing(c, r.Body)
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	advice, err := s.engine.Check(ctx, c.request(), f)
	if err != nil {
		return nil, err
	}
	s.tel.checked(ctx, advice.Advice)
	return ok(advice)
}

// registration returns what the call may see of a registration: everything, or as if there were none.
func (s *Server) registration(ctx context.Context, id string) (deal.Registration, deal.Decision, *deal.Case, error) {
	c := callOf(ctx)
	r, d, k, err := s.engine.Registration(ctx, id)
	if err == nil && !c.sees(&r) {
		err = deal.ErrNotFound
	}
	if err != nil {
		return deal.Registration{}, deal.Decision{}, nil, err
	}
	return r, d, k, nil
}

// answer is the partner's view as of now, with what the partner is asked.
func (s *Server) answer(ctx context.Context, r *deal.Registration, d *deal.Decision, k *deal.Case) (engine.Answer, error) {
	a := engine.AnswerFor(r, d, k, s.engine.Now())
	if k == nil || k.Status != deal.CaseOpen || k.PausedAt.IsZero() || k.RegistrationID != r.ID {
		return a, nil
	}
	var err error
	a.Decision.Case.Question, err = s.engine.Question(ctx, k)
	return a, err
}

// staffRegistration is the partner's view with what staff read besides.
type staffRegistration struct {
	engine.Answer
	Decision    *engine.AnswerDecision `json:"decision,omitempty"` // left out of lists
	Filing      deal.Filing            `json:"filing"`
	EmailDomain string                 `json:"email_domain,omitempty"`
	CustomerRef deal.CustomerRef       `json:"customer_ref"`
	Finding     string                 `json:"finding,omitempty"`
	Protection  *deal.Protection       `json:"protection,omitempty"`
	Hold        *deal.Protection       `json:"hold,omitempty"`
	DecisionID  string                 `json:"decision_id"`
	CaseID      string                 `json:"case_id,omitempty"`
	Version     uint64                 `json:"version"`
	Imported    bool                   `json:"imported,omitempty"`
	Extensions  int                    `json:"extensions,omitempty"`
	EndedAt     time.Time              `json:"ended_at,omitzero"`
	Promoted    bool                   `json:"promoted,omitempty"`
	Moved       *engine.Moved          `json:"moved,omitempty"` // left out of lists
	StandsFor   []string               `json:"stands_for,omitempty"`
}

func (s *Server) staffView(r *deal.Registration, a engine.Answer, d *engine.AnswerDecision) staffRegistration {
	if a.Status == deal.StatusMerged && r.Into != "" {
		a.MergedInto = r.Into
	}
	return staffRegistration{
		Answer: a, Decision: d, Filing: r.Filing, EmailDomain: r.EmailDomain, CustomerRef: r.CustomerRef, Finding: r.Finding, Protection: r.Protection,
		Hold: r.Hold, DecisionID: r.DecisionID, CaseID: r.CaseID, Version: r.Version, Imported: r.Imported,
		Extensions: r.Extensions, EndedAt: r.EndedAt, Promoted: r.Promoted, StandsFor: s.engine.StandsFor(r.ID),
	}
}

// GetRegistration reads one registration.
func (s handlers) GetRegistration(ctx context.Context, q api.GetRegistrationRequestObject) (api.GetRegistrationResponseObject, error) {
	r, d, k, err := s.registration(ctx, q.ID)
	if err != nil {
		return nil, err
	}
	a, err := s.answer(ctx, &r, &d, k)
	if err != nil {
		return nil, err
	}
	if callOf(ctx).portal() {
		return ok(a)
	}
	out := s.staffView(&r, a, &a.Decision)
	if out.Moved, err = s.engine.LastMove(ctx, &r); err != nil {
		return nil, err
	}
	if out.Status == deal.StatusMerged && out.MergedInto == "" && out.Moved != nil { // merged before registrations said into what
		out.MergedInto = out.Moved.Into
	}
	return ok(out)
}

// GetDecision reads why: the partner's view, and for staff every decision in full.
func (s handlers) GetDecision(ctx context.Context, q api.GetDecisionRequestObject) (api.GetDecisionResponseObject, error) {
	r, d, k, err := s.registration(ctx, q.ID)
	if err != nil {
		return nil, err
	}
	a, err := s.answer(ctx, &r, &d, k)
	if err != nil {
		return nil, err
	}
	out := decisionsView{RegistrationID: r.ID, Current: a.Decision}
	if callOf(ctx).portal() {
		return ok(out)
	}
	if callOf(ctx).wants("application/yaml", "text/yaml") != "" {
		under, err := s.engine.Document(ctx, deal.PolicyDocument, d.Policy.Version)
		if err != nil {
			return nil, err
		}
		made, err := policytest.FromDecision(&d, under.Body)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", deal.ErrNotPossible, err)
		}
		return text("application/yaml", made), nil
	}
	all, err := s.engine.Decisions(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	slices.Reverse(all)
	return ok(struct {
		decisionsView
		Decisions []deal.Decision `json:"decisions"`
	}{out, all})
}

// decisionsView is the partner's part of GetDecision.
type decisionsView struct {
	RegistrationID string                `json:"registration_id"`
	Current        engine.AnswerDecision `json:"current"`
}

// GetReceipt reads the receipt of the current decision.
func (s handlers) GetReceipt(ctx context.Context, q api.GetReceiptRequestObject) (api.GetReceiptResponseObject, error) {
	r, _, _, err := s.registration(ctx, q.ID)
	if err != nil {
		return nil, err
	}
	receipt, err := s.engine.Receipt(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return ok(receipt)
}

// ListRegistrations lists what the call may see.
func (s handlers) ListRegistrations(ctx context.Context, q api.ListRegistrationsRequestObject) (api.ListRegistrationsResponseObject, error) {
	c, p, now := callOf(ctx), q.Params, s.engine.Now()
	if c.portal() && p.AccountID != "" {
		// It would tell whom a registration was resolved to.
		return nil, problem{code: "bad-parameter", detail: "account_id is for staff", errors: deal.FieldErrors{{Field: "account_id", Detail: "is not available to a portal key"}}}
	}
	f := store.RegistrationFilter{
		PartnerIDs: c.partners(), Status: deal.Status(p.Status), PartnerID: p.PartnerID, AccountID: p.AccountID, ExternalID: p.ExternalID,
		Number: p.Number, CustomerName: strings.TrimSpace(p.CustomerName),
	}
	filter := f // without the instant: a cursor stays good while the clock runs
	f.AsOf = now
	fetch := func(ctx context.Context, p store.Page) ([]deal.Registration, error) {
		f.Page = p
		return s.engine.Store().Registrations(ctx, f)
	}
	if c.portal() {
		return list(ctx, p.Cursor, p.Limit, listing[engine.Answer]{
			filter: filter, columns: answerColumns, key: func(a engine.Answer) string { return a.ID },
			fetch: func(ctx context.Context, p store.Page) ([]engine.Answer, error) {
				rows, err := fetch(ctx, p)
				if err != nil {
					return nil, err
				}
				out := make([]engine.Answer, 0, len(rows))
				for i := range rows {
					r, d, k, err := s.registration(ctx, rows[i].ID) // again, with its decision
					if err != nil {
						return nil, err
					}
					a, err := s.answer(ctx, &r, &d, k)
					if err != nil {
						return nil, err
					}
					out = append(out, a)
				}
				return out, nil
			},
		})
	}
	return list(ctx, p.Cursor, p.Limit, listing[staffRegistration]{
		filter: filter, columns: registrationColumns, key: func(r staffRegistration) string { return r.ID },
		fetch: func(ctx context.Context, p store.Page) ([]staffRegistration, error) {
			rows, err := fetch(ctx, p)
			if err != nil {
				return nil, err
			}
			out := make([]staffRegistration, len(rows))
			for i := range rows {
				r := &rows[i]
				out[i] = s.staffView(r, engine.Answer{
					ID: r.ID, Number: r.Number, ExternalID: r.Filing.ExternalID, PartnerID: r.Filing.PartnerID,
					ReceivedAt: r.ReceivedAt, Sequence: r.Sequence, Status: r.StatusAt(now),
				}, nil)
			}
			return out, nil
		},
	})
}

var answerColumns = []column[engine.Answer]{
	{"id", func(a engine.Answer) string { return a.ID }},
	{"number", func(a engine.Answer) string { return a.Number }},
	{"external_id", func(a engine.Answer) string { return a.ExternalID }},
	{"partner_id", func(a engine.Answer) string { return a.PartnerID }},
	{"received_at", func(a engine.Answer) string { return stamp(a.ReceivedAt) }},
	{"status", func(a engine.Answer) string { return string(a.Status) }},
	{"outcome", func(a engine.Answer) string { return string(a.Decision.Outcome) }},
	{"reason_codes", func(a engine.Answer) string { return strings.Join(a.Decision.ReasonCodes, ";") }},
	{"explanation", func(a engine.Answer) string { return a.Decision.Explanation }},
	{"starts_at", func(a engine.Answer) string {
		if a.Decision.Protection == nil {
			return ""
		}
		return stamp(a.Decision.Protection.StartsAt)
	}},
	{"ends_at", func(a engine.Answer) string {
		if a.Decision.Protection == nil {
			return ""
		}
		return stamp(a.Decision.Protection.EndsAt)
	}},
}

var registrationColumns = []column[staffRegistration]{
	{"id", func(r staffRegistration) string { return r.ID }},
	{"number", func(r staffRegistration) string { return r.Number }},
	{"external_id", func(r staffRegistration) string { return r.ExternalID }},
	{"partner_id", func(r staffRegistration) string { return r.PartnerID }},
	{"distributor_id", func(r staffRegistration) string { return r.Filing.DistributorID }},
	{"type", func(r staffRegistration) string { return r.Filing.Type }},
	{"received_at", func(r staffRegistration) string { return stamp(r.ReceivedAt) }},
	{"sequence", func(r staffRegistration) string { return number(r.Sequence) }},
	{"status", func(r staffRegistration) string { return string(r.Status) }},
	{"customer_name", func(r staffRegistration) string { return r.Filing.Customer.Name }},
	{"customer_country", func(r staffRegistration) string { return r.Filing.Customer.Country }},
	{"account_id", func(r staffRegistration) string { return r.CustomerRef.AccountID }},
	{"lines", func(r staffRegistration) string { return strings.Join(r.Filing.Lines(), ";") }},
	{"amount", func(r staffRegistration) string { return amount(r.Filing.Amount) }},
	{"currency", func(r staffRegistration) string { return r.Filing.Amount.Currency }},
	{"starts_at", func(r staffRegistration) string {
		if r.Protection == nil {
			return ""
		}
		return stamp(r.Protection.StartsAt)
	}},
	{"ends_at", func(r staffRegistration) string {
		if r.Protection == nil {
			return ""
		}
		return stamp(r.Protection.EndsAt)
	}},
	{"case_id", func(r staffRegistration) string { return r.CaseID }},
}
