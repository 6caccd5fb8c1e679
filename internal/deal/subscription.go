package deal

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
)

// Subscription is a webhook as the ledger tells of it: who is told of what, and where. It decides nothing, and holds no secret: of the
// address, whose path may be one, it has what names the receiver, and a digest by which the whole can be recognised.
type Subscription struct {
	ID         string   `json:"id"`
	Receiver   string   `json:"receiver"`    // scheme, host and port
	Address    string   `json:"address"`     // sha256:… of the whole address
	Types      []string `json:"types"`       // of events, or their beginnings with a * at the end
	PartnerIDs []string `json:"partner_ids"` // * for all
	Status     string   `json:"status"`
	Reason     string   `json:"reason,omitempty"`
}

// Addressed returns s with its receiver and the digest of an address.
func (s Subscription) Addressed(address string) Subscription {
	if u, err := url.Parse(address); err == nil {
		s.Receiver = (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
	}
	sum := sha256.Sum256([]byte(address))
	s.Address = "sha256:" + hex.EncodeToString(sum[:])
	return s
}

// The kinds of ledger entry about webhooks. Each is written before what it tells of is done.
const (
	EntryWebhook         = "webhook.created"
	EntryWebhookChanged  = "webhook.changed"
	EntryWebhookRotated  = "webhook.rotated"  // it has a new secret
	EntryWebhookDisabled = "webhook.disabled" // by its receiver, which says that it is gone
	EntryWebhookDeleted  = "webhook.deleted"
)
