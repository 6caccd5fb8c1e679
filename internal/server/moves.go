package server

import (
	"context"
	"fmt"
	"net/http"

	"github.com/dibs-deals/dibs/api"
	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
)

// What happens to a registration after it was decided is one path: the function here does the work, and below it stands one
// line for each operation of the specification.

// move brings an event about, for who sees the registration and is its registrant or staff.
func (s *Server) move(ctx context.Context, id, key string, m engine.Moving) (reply, error) {
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
		}{id, m}); err != nil {
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
	return s.move(ctx, q.ID, q.Params.IdempotencyKey, engine.Moving{Event: deal.EventWon, Reason: q.Body.Reason})
}

// LoseRegistration records that the deal is lost.
func (s handlers) LoseRegistration(ctx context.Context, q api.LoseRegistrationRequestObject) (api.LoseRegistrationResponseObject, error) {
	return s.move(ctx, q.ID, q.Params.IdempotencyKey, engine.Moving{Event: deal.EventLost, Reason: q.Body.Reason})
}
