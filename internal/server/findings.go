package server

import (
	"context"
	"net/http"

	"github.com/dibs-deals/dibs/api"
	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/store"
)

// ListFindings lists what people have found of who is the same.
func (s handlers) ListFindings(ctx context.Context, q api.ListFindingsRequestObject) (api.ListFindingsResponseObject, error) {
	p := q.Params
	f := store.FindingFilter{Verdict: string(p.Verdict)}
	if p.AccountID != "" {
		f.Of = append(f.Of, deal.CustomerRef{AccountID: p.AccountID})
	}
	if p.RegistrationID != "" {
		f.Of = append(f.Of, deal.OwnProspect(p.RegistrationID))
	}
	if p.Status != "" {
		f.LiveAt = s.engine.Now()
	}
	return list(ctx, p.Cursor, p.Limit, listing[engine.Found]{
		filter: []string{p.AccountID, p.RegistrationID, string(p.Verdict), string(p.Status)}, key: func(f engine.Found) string { return f.ID }, columns: findingColumns,
		fetch: func(ctx context.Context, p store.Page) ([]engine.Found, error) {
			f.Page = p
			return s.engine.Findings(ctx, f)
		},
	})
}

var findingColumns = []column[engine.Found]{
	{"id", func(f engine.Found) string { return f.ID }},
	{"verdict", func(f engine.Found) string { return f.Verdict }},
	{"subject_account_id", func(f engine.Found) string { return f.Subject.AccountID }},
	{"subject_registration_id", func(f engine.Found) string { return f.Subject.RegistrationID }},
	{"subject_name", func(f engine.Found) string { return f.Subject.Name }},
	{"other_account_id", func(f engine.Found) string { return f.Other.AccountID }},
	{"other_registration_id", func(f engine.Found) string { return f.Other.RegistrationID }},
	{"other_name", func(f engine.Found) string { return f.Other.Name }},
	{"status", func(f engine.Found) string { return f.Status }},
	{"until", func(f engine.Found) string { return stamp(f.Until) }},
	{"by", func(f engine.Found) string { return f.By.PersonID }},
	{"at", func(f engine.Found) string { return stamp(f.At) }},
	{"case_id", func(f engine.Found) string { return f.CaseID }},
	{"reason", func(f engine.Found) string { return f.Reason }},
	{"withdrawn_at", func(f engine.Found) string { return stamp(f.TakenBack) }},
}

// CreateFinding says that two organisations are the same, or are not.
func (s handlers) CreateFinding(ctx context.Context, q api.CreateFindingRequestObject) (api.CreateFindingResponseObject, error) {
	until, err := instant("until", q.Body.Until)
	if err != nil {
		return nil, err
	}
	party := func(p api.FindingPartyInput) deal.Party {
		return deal.Party{AccountID: p.AccountID, RegistrationID: p.RegistrationID}
	}
	f := deal.Finding{Verdict: string(q.Body.Verdict), Subject: party(q.Body.Subject), Other: party(q.Body.Other), Until: until}
	r := callOf(ctx).request()
	if r.IdemKey = q.Params.IdempotencyKey; r.IdemKey != "" {
		if r.Hash, err = fingerprint(struct{ Finding any }{q.Body}); err != nil {
			return nil, err
		}
	}
	found, err := s.engine.Find(ctx, r, f, q.Body.Reason)
	if err != nil {
		return nil, err
	}
	return answer(http.StatusCreated, found)
}

// GetFinding reads a finding.
func (s handlers) GetFinding(ctx context.Context, q api.GetFindingRequestObject) (api.GetFindingResponseObject, error) {
	f, err := s.engine.Finding(ctx, q.ID)
	if err != nil {
		return nil, err
	}
	return ok(f)
}

// WithdrawFinding takes a finding back.
func (s handlers) WithdrawFinding(ctx context.Context, q api.WithdrawFindingRequestObject) (api.WithdrawFindingResponseObject, error) {
	r := callOf(ctx).request()
	var err error
	if r.IdemKey = q.Params.IdempotencyKey; r.IdemKey != "" {
		if r.Hash, err = fingerprint(struct{ Withdraw, Reason string }{q.ID, q.Body.Reason}); err != nil {
			return nil, err
		}
	}
	f, err := s.engine.TakeBack(ctx, r, q.ID, q.Body.Reason)
	if err != nil {
		return nil, err
	}
	return ok(f)
}
