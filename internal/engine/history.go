package engine

import (
	"slices"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/policy"
)

// past is what rules may ask of a registration that is a claim no more.
type past struct {
	id, partner string
	status      deal.Status
	ended       time.Time
	version     uint64
}

// remember keeps the registration's end, or forgets it when it is a claim again, perhaps of another customer. It does not know customers
// that only ended registrations were of: those are new prospects when somebody files for them again.
func (v *view) remember(r *deal.Registration) {
	if key, ok := v.pastOf[r.ID]; ok {
		delete(v.pastOf, r.ID)
		if v.history[key] = slices.DeleteFunc(v.history[key], func(p past) bool { return p.id == r.ID }); len(v.history[key]) == 0 {
			delete(v.history, key)
		}
	}
	if isClaim(r) {
		return
	}
	key := r.CustomerRef.Key()
	v.pastOf[r.ID] = key
	v.history[key] = append(v.history[key], past{r.ID, r.Filing.PartnerID, r.Status, endedAt(r), r.Version})
}

// endedAt returns when the registration ceased to be a claim: when somebody ended it, or its window did, else when it was
// answered.
func endedAt(r *deal.Registration) time.Time {
	if !r.EndedAt.IsZero() {
		return r.EndedAt
	}
	if r.Status == deal.StatusExpired && r.Protection != nil {
		return r.Protection.EndsAt
	}
	return r.ReceivedAt
}

// later orders by end, then by id: the list is in the order in which a replica came to know of them.
func later(a, b past) bool { return a.ended.After(b.ended) || a.ended.Equal(b.ended) && a.id > b.id }

func historyFacts(f *policy.Facts, v *view, r *deal.Registration, ref deal.CustomerRef, now time.Time) {
	var own, other past
	n := 0
	for _, p := range v.history[ref.Key()] {
		switch {
		case p.id == r.ID:
		case p.partner != r.Filing.PartnerID:
			if later(p, other) {
				other = p
			}
		default:
			n++
			if later(p, own) {
				own = p
			}
		}
	}
	if n > 0 {
		f.Set("history.own_claims", n)
		f.Set("history.own_ended", string(own.status))
		f.Set("history.own_ended_days", days(own.ended, now))
	}
	if other.id != "" {
		f.Set("history.other_ended_days", days(other.ended, now))
	}
}
