package engine

import (
	"github.com/dibs-deals/dibs/internal/deal"
)

// What people read of the world besides single records: what is claimed of a customer, and where it lies.

// Key returns the live key with the id.
func (e *Engine) Key(id string) (deal.Key, bool) {
	k := read(e, func(v *view) deal.Key { return v.keys[id] })
	return k, k.ID != "" && k.RevokedAt.IsZero()
}

// Secret returns a secret for one purpose that all replicas have in common and the database does not hold.
func (e *Engine) Secret(purpose string) ([]byte, error) { return e.cfg.Signer.Secret(purpose) }

// Signs returns the verification key of the ledger's checkpoints.
func (e *Engine) Signs() string { return e.cfg.Signer.Key() }

// Claim is a live claim on a customer.
type Claim struct {
	deal.Registration
	Place int // in line for what the holder has, 1 is next; 0: it holds, or waits for a decision
}

// Claims returns the claims that others must reckon with on a customer now: those that hold, those that wait for a decision, and
// then those in line, in the order in which the policy has them decided again. Personal data is not joined.
func (e *Engine) Claims(ref deal.CustomerRef) []Claim {
	now := e.now()
	return read(e, func(v *view) (out []Claim) {
		var holds, waits []Claim
		var line []string
		for _, id := range v.around(ref.Key()) {
			switch r := v.claims[id]; {
			case r.HoldsAt(now):
				holds = append(holds, Claim{Registration: *r})
			case r.Status == deal.StatusWaitlisted:
				line = append(line, id)
			case r.ClaimAt(now):
				waits = append(waits, Claim{Registration: *r})
			}
		}
		out = append(holds, waits...)
		for i, id := range inLine(v, line) {
			out = append(out, Claim{Registration: *v.claims[id], Place: i + 1})
		}
		return out
	})
}

// TerritoryOf returns what the live plan says of an account, for every product line and as of now.
func (e *Engine) TerritoryOf(accountID string) (deal.TerritoryResult, error) {
	now := e.now()
	type result struct {
		t  deal.TerritoryResult
		ok bool
	}
	r := read(e, func(v *view) result {
		a := v.account(accountID)
		if a == nil {
			return result{}
		}
		return result{findTerritory(v, &deal.Registration{ReceivedAt: now}, whom{account: a}, 0, false, now), true}
	})
	if !r.ok {
		return deal.TerritoryResult{}, deal.ErrNotFound
	}
	return r.t, nil
}
