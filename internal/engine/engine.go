// Package engine decides registrations and commits what was decided.
//
// Decide is pure: a view of the world, a registration and an instant give a decision. The committer around it gives
// every change one place in one order: it locks the head of the ledger, applies what others have added, re-scores
// only against that, decides what waits in order, and writes decision, state, entry, Merkle hashes, events and head in
// one transaction. A caller of Register has either a committed answer or an error that says whether to retry.
package engine

import (
	"context"
	"log/slog"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/store"
)

// Config is what an engine is made of.
type Config struct {
	Store  store.Store
	Signer *ledger.Signer
	Policy []byte           // published when the database has no policy yet
	Clock  func() time.Time // nil: the system clock
	Log    *slog.Logger     // nil: discard
}

// Engine is the one writer of a store in this process. All methods are safe for concurrent use.
type Engine struct{ cfg Config }

// Open reads the world from the store and starts the committer. An empty database gets its first entry and the
// policy of cfg.
func Open(ctx context.Context, cfg Config) (*Engine, error) { return &Engine{cfg}, nil }

// Close stops taking requests, finishes those taken, and returns when the committer has ended or ctx is done. It does
// not close the store.
func (e *Engine) Close(ctx context.Context) error { return nil }

// Request says who asks, and under which name the answer is kept.
type Request struct {
	Actor   deal.Actor
	IdemKey string // empty: the request is not kept for retries
	Hash    []byte // SHA-256 of the request's bytes; compared when IdemKey was used before
}

// Registered is a committed answer to a registration.
type Registered struct {
	Body     []byte // JSON of the partner's Answer, byte for byte as recorded
	ID       string
	Receipt  ledger.Receipt
	Replayed bool // the answer was recorded by an earlier request with the same key
}

// Register decides the filing and commits the decision. Errors: deal.FieldErrors (also for a partner that does not
// exist), deal.ErrKeyReused, deal.ErrUnavailable. The filing must be normalised and validated.
func (e *Engine) Register(ctx context.Context, q Request, f deal.Filing) (Registered, error) {
	return Registered{}, nil
}

// Check is the coarse answer of a pre-check: what filing would most likely bring, in three words.
type Check struct {
	Advice      string   `json:"advice"` // file, expect_review or do_not_file
	Explanation string   `json:"explanation"`
	Needs       []string `json:"needs,omitempty"` // fields that would be asked for
}

// Check answers a pre-check on the replica's present view. It commits nothing and names nobody.
func (e *Engine) Check(ctx context.Context, q Request, f deal.Filing) (Check, error) {
	return Check{}, nil
}

// PutResult counts what a Put did.
type PutResult struct{ Created, Updated, Unchanged int }

// Put upserts rows of reference data, valid ones, in one entry; the whole of rows is committed or nothing. At most
// MaxRows rows. merge, if not nil, combines a stored row with the given one (a partial import).
func (e *Engine) Put(ctx context.Context, q Request, rows []deal.Record, merge func(stored, row deal.Record) deal.Record) (PutResult, error) {
	return PutResult{}, nil
}

// MaxRows is the most rows one Put takes: it bounds how long one import holds the head.
const MaxRows = 1000

// Delete removes rows of reference data. A missing row is deal.ErrNotFound, and nothing is removed.
func (e *Engine) Delete(ctx context.Context, q Request, kind deal.RecordKind, keys []string) error {
	return nil
}

// SaveDocument checks a policy (kind deal.PolicyDocument) or a territory plan and keeps it as the next version, a
// draft. A document that does not compile is deal.FieldErrors with field "line L, column C".
func (e *Engine) SaveDocument(ctx context.Context, q Request, kind string, body []byte) (deal.Document, error) {
	return deal.Document{}, nil
}

// Publish makes a saved version live, from the next entry on.
func (e *Engine) Publish(ctx context.Context, q Request, kind string, version int) (deal.Document, error) {
	return deal.Document{}, nil
}

// CreateKey makes an API key and returns its token, which is shown once and not kept.
func (e *Engine) CreateKey(ctx context.Context, q Request, role string, partnerIDs []string, note string) (deal.Key, string, error) {
	return deal.Key{}, "", nil
}

// RevokeKey ends a key at once.
func (e *Engine) RevokeKey(ctx context.Context, q Request, id string) error { return nil }

// Authenticate returns the live key a token belongs to. It takes the same time for an unknown and for a wrong token.
func (e *Engine) Authenticate(token string) (deal.Key, bool) { return deal.Key{}, false }

// Registration returns a registration as of now with its current decision and case, personal data joined.
func (e *Engine) Registration(ctx context.Context, id string) (deal.Registration, deal.Decision, *deal.Case, error) {
	return deal.Registration{}, deal.Decision{}, nil, nil
}

// Decisions returns all decisions of a registration, oldest first.
func (e *Engine) Decisions(ctx context.Context, registrationID string) ([]deal.Decision, error) {
	return nil, nil
}

// Receipt returns the receipt of a registration's current decision: the same bytes the answer carried.
func (e *Engine) Receipt(ctx context.Context, registrationID string) (ledger.Receipt, error) {
	return ledger.Receipt{}, nil
}

// Proof returns the receipt of any entry.
func (e *Engine) Proof(ctx context.Context, seq uint64) (ledger.Receipt, error) {
	return ledger.Receipt{}, nil
}

// Checkpoint returns the signed checkpoint of the present head, as C2SP tlog-checkpoint text.
func (e *Engine) Checkpoint(ctx context.Context) (string, error) { return "", nil }

// Live returns the live document of the kind, or deal.ErrNotFound.
func (e *Engine) Live(kind string) (deal.Document, error) { return deal.Document{}, nil }

// Now is the engine's clock.
func (e *Engine) Now() time.Time { return time.Now() }

// Store gives read access to what the engine writes.
func (e *Engine) Store() store.Store { return e.cfg.Store }

// Readiness says whether a decision could be made now.
type Readiness struct {
	Ready    bool   `json:"ready"`
	Position uint64 `json:"position"` // sequence the view has applied
	Head     uint64 `json:"head"`     // sequence of the store's head
	Accounts int    `json:"accounts"`
	Claims   int    `json:"claims"`
	Policy   string `json:"policy"`
	Plan     string `json:"territories"`
	Detail   string `json:"detail,omitempty"` // why not ready
}

// Ready asks the store.
func (e *Engine) Ready(ctx context.Context) Readiness { return Readiness{} }
