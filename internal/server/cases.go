package server

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/api"
	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/store"
)

// What people do to a case is one path, as for a registration: the function here does the work, and below it stands one line for
// each operation of the specification.

// do does something to a case and answers with the case after it.
func (s *Server) do(ctx context.Context, id, match, key string, d engine.Doing) (reply, error) {
	var err error
	if d.Version, err = version(match); err != nil {
		return reply{}, err
	}
	q := callOf(ctx).request()
	if q.IdemKey = key; key != "" {
		if q.Hash, err = fingerprint(struct {
			ID string
			engine.Doing
		}{id, d}); err != nil {
			return reply{}, err
		}
	}
	k, err := s.engine.Do(ctx, q, id, d)
	if err != nil {
		return reply{}, err
	}
	return tagged(k, k.Version)
}

// version reads an If-Match: one ETag of ours. Empty is 0.
func version(match string) (uint64, error) {
	if match == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(strings.Trim(strings.TrimPrefix(match, "W/"), `"`), 10, 64)
	if err != nil || n == 0 {
		p := problem{code: "bad-parameter", detail: "If-Match is not an ETag of a case"}
		p.errors = deal.FieldErrors{{Field: ifMatchHeader, Detail: `send the ETag of the case as it was read, such as "88213"`}}
		return 0, p
	}
	return n, nil
}

// tagged answers with v and its version as the ETag.
func tagged(v any, version uint64) (reply, error) {
	out, err := ok(v)
	out.header = append(out.header, [2]string{"ETag", `"` + strconv.FormatUint(version, 10) + `"`})
	return out, err
}

// instant reads a time of an input; empty is the zero time.
func instant(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, deal.FieldErrors{{Field: field, Detail: "is not an instant such as 2026-11-30T08:00:00Z"}}
	}
	return t.UTC(), nil
}

// ListCases lists cases, what is due first in front.
func (s handlers) ListCases(ctx context.Context, q api.ListCasesRequestObject) (api.ListCasesResponseObject, error) {
	p := q.Params
	due, err := instant("due_before", p.DueBefore)
	if err != nil {
		return nil, problem{code: "bad-parameter", detail: "due_before is not an instant", errors: err.(deal.FieldErrors)} //nolint:errorlint // it is instant's own
	}
	f := store.CaseFilter{Status: string(p.Status), Queue: p.Queue, RegistrationID: p.RegistrationID, Assignee: p.Assignee, Kind: string(p.Kind), PartnerID: p.PartnerID, DueBefore: due}
	return list(ctx, p.Cursor, p.Limit, listing[deal.Case]{
		filter: f, key: func(k deal.Case) string { return store.CaseKey(&k) }, columns: caseColumns,
		fetch: func(ctx context.Context, p store.Page) ([]deal.Case, error) {
			f.Page = p
			return s.engine.Store().Cases(ctx, f)
		},
	})
}

var caseColumns = []column[deal.Case]{
	{"id", func(k deal.Case) string { return k.ID }},
	{"registration_id", func(k deal.Case) string { return k.RegistrationID }},
	{"status", func(k deal.Case) string { return k.Status }},
	{"queue", func(k deal.Case) string { return k.Terms.Queue }},
	{"authority", func(k deal.Case) string { return k.Terms.Authority }},
	{"reason_codes", func(k deal.Case) string { return several(k.ReasonCodes) }},
	{"summary", func(k deal.Case) string { return k.Summary }},
	{"opened_at", func(k deal.Case) string { return stamp(k.OpenedAt) }},
	{"due_at", func(k deal.Case) string { return stamp(k.DueAt) }},
	{"assignee", func(k deal.Case) string { return k.Assignee }},
	{"kind", func(k deal.Case) string { return k.Kind }},
	{"partner_id", func(k deal.Case) string { return k.PartnerID }},
	{"outcome", func(k deal.Case) string { return k.Outcome }},
	{"ruled_by", func(k deal.Case) string { return k.RuledBy }},
	{"resolved_at", func(k deal.Case) string { return stamp(k.ResolvedAt) }},
}

// caseFile is the page of a case.
type caseFile struct {
	deal.Case
	Registration staffRegistration   `json:"registration"`
	Decision     deal.Decision       `json:"decision"`
	Asked        string              `json:"asked,omitempty"`
	AlsoIn       []engine.CaseMember `json:"also_in"`
	Waitlist     []engine.CaseMember `json:"waitlist"`
	Timeline     []engine.Happening  `json:"timeline"`
	Precedents   []engine.Precedent  `json:"precedents"`
	YouMay       []engine.May        `json:"you_may"`
}

// GetCase reads everything needed to decide a case.
func (s handlers) GetCase(ctx context.Context, q api.GetCaseRequestObject) (api.GetCaseResponseObject, error) {
	f, err := s.engine.File(ctx, q.ID, callOf(ctx).actor())
	if err != nil {
		return nil, err
	}
	own := &f.Case
	if f.Registration.CaseID != own.ID { // it is about the partner's standing, and none of the registration's
		own = nil
	}
	a := engine.AnswerFor(&f.Registration, &f.Decision, own, s.engine.Now())
	return tagged(caseFile{
		Case: f.Case, Registration: s.staffView(&f.Registration, a, &a.Decision), Decision: f.Decision, Asked: f.Question, AlsoIn: all(f.Also), Waitlist: all(f.Waitlist),
		Timeline: all(f.Timeline), Precedents: all(f.Precedents), YouMay: f.May,
	}, f.Case.Version)
}

// all is a list that is written as one when it is empty.
func all[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// AssignCase gives a case to a person, or back to its queue.
func (s handlers) AssignCase(ctx context.Context, q api.AssignCaseRequestObject) (api.AssignCaseResponseObject, error) {
	return s.do(ctx, q.ID, q.Params.IfMatch, q.Params.IdempotencyKey, engine.Doing{Act: engine.ActAssign, PersonID: q.Body.PersonID, Text: q.Body.Text})
}

// AcknowledgeCase says that a case is seen.
func (s handlers) AcknowledgeCase(ctx context.Context, q api.AcknowledgeCaseRequestObject) (api.AcknowledgeCaseResponseObject, error) {
	return s.do(ctx, q.ID, q.Params.IfMatch, q.Params.IdempotencyKey, engine.Doing{Act: engine.ActAcknowledge})
}

// CommentOnCase adds a comment.
func (s handlers) CommentOnCase(ctx context.Context, q api.CommentOnCaseRequestObject) (api.CommentOnCaseResponseObject, error) {
	return s.do(ctx, q.ID, q.Params.IfMatch, q.Params.IdempotencyKey, engine.Doing{Act: engine.ActComment, Text: q.Body.Text, Mentions: q.Body.Mentions})
}

// SnoozeCase puts a case off.
func (s handlers) SnoozeCase(ctx context.Context, q api.SnoozeCaseRequestObject) (api.SnoozeCaseResponseObject, error) {
	until, err := instant("until", q.Body.Until)
	if err != nil {
		return nil, err
	}
	return s.do(ctx, q.ID, q.Params.IfMatch, q.Params.IdempotencyKey, engine.Doing{Act: engine.ActSnooze, Until: until, Text: q.Body.Text})
}

// AskPartner asks the partner something.
func (s handlers) AskPartner(ctx context.Context, q api.AskPartnerRequestObject) (api.AskPartnerResponseObject, error) {
	until, err := instant("until", q.Body.Until)
	if err != nil {
		return nil, err
	}
	return s.do(ctx, q.ID, q.Params.IfMatch, q.Params.IdempotencyKey, engine.Doing{Act: engine.ActAsk, Until: until, Text: q.Body.Text})
}

// ConsultOnCase asks a person for a view.
func (s handlers) ConsultOnCase(ctx context.Context, q api.ConsultOnCaseRequestObject) (api.ConsultOnCaseResponseObject, error) {
	return s.do(ctx, q.ID, q.Params.IfMatch, q.Params.IdempotencyKey, engine.Doing{Act: engine.ActConsult, PersonID: q.Body.PersonID, Text: q.Body.Text})
}

// ResolveCase decides a case.
func (s handlers) ResolveCase(ctx context.Context, q api.ResolveCaseRequestObject) (api.ResolveCaseResponseObject, error) {
	b := q.Body
	ruling := deal.Ruling{
		Resolution: string(b.Resolution), RegistrationID: b.RegistrationID, ReasonCode: b.ReasonCode, Disposition: deal.Disposition(b.Disposition), To: deal.Target(b.To),
		Queue: b.Queue, PersonID: b.PersonID, PartnerID: b.PartnerID, Of: b.Of, Needs: b.Needs, Days: b.Days,
	}
	if len(b.Lines)+len(b.Sites) > 0 {
		ruling.Limit = &deal.ScopeLimit{Lines: b.Lines, Sites: b.Sites}
	}
	return s.do(ctx, q.ID, q.Params.IfMatch, q.Params.IdempotencyKey, engine.Doing{Act: engine.ActResolve, Text: b.Reason, Ruling: ruling, Confirm: b.Confirm})
}

// ReopenCase opens a resolved case again.
func (s handlers) ReopenCase(ctx context.Context, q api.ReopenCaseRequestObject) (api.ReopenCaseResponseObject, error) {
	return s.do(ctx, q.ID, q.Params.IfMatch, q.Params.IdempotencyKey, engine.Doing{Act: engine.ActReopen, Text: q.Body.Reason})
}

// AppealRegistration asks for another look.
func (s handlers) AppealRegistration(ctx context.Context, q api.AppealRegistrationRequestObject) (api.AppealRegistrationResponseObject, error) {
	evidence, wrong := toEvidence(q.Body.Evidence)
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	return s.move(ctx, q.ID, q.Params.IdempotencyKey, engine.Moving{Event: deal.EventAppeal, Reason: q.Body.Reason, Evidence: evidence})
}

// RespondToQuestion answers what the partner was asked.
func (s handlers) RespondToQuestion(ctx context.Context, q api.RespondToQuestionRequestObject) (api.RespondToQuestionResponseObject, error) {
	evidence, wrong := toEvidence(q.Body.Evidence)
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	out, err := s.move(ctx, q.ID, q.Params.IdempotencyKey, engine.Moving{Event: deal.EventRespond, Reason: q.Body.Text, Evidence: evidence})
	return out, renamed(err, "reason", "text")
}

// renamed calls a field of an input as the caller does.
func renamed(err error, from, to string) error {
	if fields, ok := err.(deal.FieldErrors); ok { //nolint:errorlint // wrapped ones are of something else
		for i := range fields {
			if fields[i].Field == from {
				fields[i].Field = to
			}
		}
	}
	return err
}
