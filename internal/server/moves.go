package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/dibs-deals/dibs/api"
	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
)

// What happens to a registration after it was decided is one path: the function here does the work, and below it stands one
// line for each operation of the specification.

// move brings an event about, for who sees the registration and is its registrant or staff. also is what of the request m does not hold.
func (s *Server) move(ctx context.Context, id, key string, m engine.Moving, also ...any) (reply, error) {
	c := callOf(ctx)
	r, _, _, err := s.registration(ctx, id)
	if err != nil {
		return reply{}, err
	}
	if !c.mayFile(r.Filing.PartnerID) {
		return reply{}, fmt.Errorf("%w: the registration is another partner's, for which this key can read it", deal.ErrForbidden)
	}
	q := c.request()
	if q.IdemKey = key; key != "" {
		if q.Hash, err = fingerprint(struct {
			ID string
			engine.Moving
			Also []any `json:",omitempty"`
		}{id, m, also}); err != nil {
			return reply{}, err
		}
	}
	done, err := s.engine.Move(ctx, q, id, m)
	if err != nil {
		return reply{}, err
	}
	return committed(http.StatusOK, done)
}

// ExtendRegistration lengthens a protection.
func (s handlers) ExtendRegistration(ctx context.Context, q api.ExtendRegistrationRequestObject) (api.ExtendRegistrationResponseObject, error) {
	list, wrong := toEvidence(q.Body.Evidence)
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	return s.move(ctx, q.ID, q.Params.IdempotencyKey, engine.Moving{Event: deal.EventExtend, Reason: q.Body.Reason, Evidence: list})
}

// AddEvidence adds evidence to a filing.
func (s handlers) AddEvidence(ctx context.Context, q api.AddEvidenceRequestObject) (api.AddEvidenceResponseObject, error) {
	list, wrong := toEvidence(q.Body.Evidence)
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	return s.move(ctx, q.ID, q.Params.IdempotencyKey, engine.Moving{Event: deal.EventEvidence, Reason: q.Body.Reason, Evidence: list})
}

// TransferRegistration gives a registration to another partner.
func (s handlers) TransferRegistration(ctx context.Context, q api.TransferRegistrationRequestObject) (api.TransferRegistrationResponseObject, error) {
	return s.move(ctx, q.ID, q.Params.IdempotencyKey, engine.Moving{Event: deal.EventTransfer, Reason: q.Body.Reason, To: q.Body.PartnerID})
}

// AcceptRegistration accepts what the line moved up to, or, for the vendor, what a partner filed.
func (s handlers) AcceptRegistration(ctx context.Context, q api.AcceptRegistrationRequestObject) (api.AcceptRegistrationResponseObject, error) {
	return s.move(ctx, q.ID, q.Params.IdempotencyKey, engine.Moving{Event: deal.EventAccept, Reason: q.Body.Reason})
}

// MergeRegistration merges a registration into another.
func (s handlers) MergeRegistration(ctx context.Context, q api.MergeRegistrationRequestObject) (api.MergeRegistrationResponseObject, error) {
	return s.move(ctx, q.ID, q.Params.IdempotencyKey, engine.Moving{Event: deal.EventMerge, Reason: q.Body.Reason, To: q.Body.Into})
}

// WithdrawRegistration gives a claim up.
func (s handlers) WithdrawRegistration(ctx context.Context, q api.WithdrawRegistrationRequestObject) (api.WithdrawRegistrationResponseObject, error) {
	return s.move(ctx, q.ID, q.Params.IdempotencyKey, engine.Moving{Event: deal.EventWithdraw, Reason: q.Body.Reason})
}

// RevokeRegistration ends a claim for the vendor.
func (s handlers) RevokeRegistration(ctx context.Context, q api.RevokeRegistrationRequestObject) (api.RevokeRegistrationResponseObject, error) {
	return s.move(ctx, q.ID, q.Params.IdempotencyKey, engine.Moving{Event: deal.EventRevoke, Reason: q.Body.Reason})
}

// WinRegistration records that the deal is won.
func (s handlers) WinRegistration(ctx context.Context, q api.WinRegistrationRequestObject) (api.WinRegistrationResponseObject, error) {
	list, wrong := toEvidence(q.Body.Evidence)
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	return s.move(ctx, q.ID, q.Params.IdempotencyKey, engine.Moving{Event: deal.EventWon, Reason: q.Body.Reason, Evidence: list})
}

// LoseRegistration records that the deal is lost.
func (s handlers) LoseRegistration(ctx context.Context, q api.LoseRegistrationRequestObject) (api.LoseRegistrationResponseObject, error) {
	return s.move(ctx, q.ID, q.Params.IdempotencyKey, engine.Moving{Event: deal.EventLost, Reason: q.Body.Reason})
}

// UpdateRegistration changes what was filed.
func (s handlers) UpdateRegistration(ctx context.Context, q api.UpdateRegistrationRequestObject) (api.UpdateRegistrationResponseObject, error) {
	patch := map[string]any(*q.Body)
	if len(patch) == 0 {
		return nil, deal.FieldErrors{{Field: "body", Detail: "names no field; give those that are to change"}}
	}
	c := callOf(ctx)
	amend := func(f deal.Filing) (deal.Filing, error) { return s.patched(c, f, patch) }
	return s.move(ctx, q.ID, q.Params.IdempotencyKey, engine.Moving{Event: deal.EventUpdate, Amend: amend}, patch)
}

// patched is a filing after a merge patch, normalised and validated. What was valid when it was filed need not be valid today, a close
// date for one: only what the patch changes is held to it.
func (s *Server) patched(c *call, f deal.Filing, patch map[string]any) (deal.Filing, error) {
	text, err := json.Marshal(f)
	if err != nil {
		return f, err
	}
	var whole map[string]any
	if err := json.Unmarshal(text, &whole); err != nil {
		return f, err
	}
	if text, err = json.Marshal(merged(whole, patch)); err != nil {
		return f, err
	}
	var in api.RegistrationInput
	if err := decode(text, &in); err != nil {
		return f, err
	}
	after, wrong := s.filing(c, &in)
	changed := deal.ChangedFields(&f, &after)
	wrong = slices.DeleteFunc(wrong, func(e deal.FieldError) bool {
		top := e.Field
		if i := strings.IndexAny(top, ".["); i >= 0 {
			top = top[:i]
		}
		_, patched := patch[top]
		return !patched && !slices.Contains(changed, top)
	})
	return after, wrong.Err()
}

// merged is RFC 7396.
func merged(whole, patch map[string]any) map[string]any {
	if whole == nil {
		whole = map[string]any{}
	}
	for name, value := range patch {
		switch value := value.(type) {
		case nil:
			delete(whole, name)
		case map[string]any:
			below, _ := whole[name].(map[string]any)
			whole[name] = merged(below, value)
		default:
			whole[name] = value
		}
	}
	return whole
}
