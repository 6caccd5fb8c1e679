package store

import (
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Job is a piece of work beside the ledger. It follows from entries and never decides: what is lost of it can be made again,
// and no decision, receipt or audit depends on it.
type Job struct {
	ID      string // job_ and a ULID
	N       uint64 // place in the order of enqueueing; set by the store
	Kind    string // which handler does it
	Key     string // of the jobs of a kind that wait, one has a key
	Topic   string // what it belongs to, such as a webhook; topics are listed, held off and dropped together
	Lane    string // jobs of a lane are done one after the other, in the order of N; empty: in any order
	Payload []byte // JSON of the handler's

	State       JobState
	RunAt       time.Time // not before; microseconds, UTC, as all times here
	Attempts    int       // claims since it was enqueued, or last retried by hand
	Lease       string    // of who is at it, or was last
	LeasedUntil time.Time // from then on another may claim it
	Error       string    // of the last attempt
	Log         []byte    // JSON of the handler's: what came of the attempts
	CreatedAt   time.Time
	DoneAt      time.Time // when it was done, or given up
}

// JobState is where a job is.
type JobState string

// The states of a job.
const (
	JobWaiting JobState = "waiting" // also while somebody is at it
	JobDone    JobState = "done"
	JobDead    JobState = "dead" // given up; it can be retried by hand
)

// Claim asks for work.
type Claim struct {
	Kinds  []string // of these kinds; at least one
	Except []string // not of these topics
	Lease  string   // of the caller: unique to this claim
	Now    time.Time
	Until  time.Time // the end of the lease
	Limit  int
}

// JobFilter selects jobs, the last enqueued first. Zero fields select everything. The key of its Page is N in digits.
type JobFilter struct {
	Kind  string
	Topic string
	State JobState
	Page
}

// Backlog is how much work there is.
type Backlog struct {
	Waiting, Dead int
	Since         time.Time // when the oldest that waits was enqueued; zero when none does
}

// Webhook is an address that is told of events. It is settings, not a part of the ledger. Whoever reads the database reads
// its secrets, which only sign, unless they are sealed: what they are is for who puts them there.
type Webhook struct {
	ID         string    `json:"id"` // wh_ and a ULID
	URL        string    `json:"url"`
	Note       string    `json:"note,omitempty"`
	Types      []string  `json:"types"`       // of events, or their beginnings with a * at the end
	PartnerIDs []string  `json:"partner_ids"` // as registrant or distributor; * for all, and for what is of no partner
	Status     string    `json:"status"`      // enabled or disabled
	Reason     string    `json:"reason,omitempty"`
	Secrets    []Secret  `json:"secrets"` // the newest first
	After      uint64    `json:"after"`   // the ledger's last entry when it was added: it is told of what came later; set by the store
	CreatedAt  time.Time `json:"created_at"`
	CreatedBy  string    `json:"created_by"` // API key
	ChangedAt  time.Time `json:"changed_at"`
}

// Subscription is what the ledger tells of the webhook.
func (w *Webhook) Subscription() deal.Subscription {
	return deal.Subscription{ID: w.ID, Types: w.Types, PartnerIDs: w.PartnerIDs, Status: w.Status, Reason: w.Reason}.Addressed(w.URL)
}

// Secret signs what is sent to a webhook.
type Secret struct {
	Text  string    `json:"text"`           // whsec_ and base64, or that sealed
	Until time.Time `json:"until,omitzero"` // when it ceases to sign; zero: it does not
}

// The statuses of a Webhook.
const (
	WebhookEnabled  = "enabled"
	WebhookDisabled = "disabled"
)
