// Package store is the storage contract of dibs: one ledger, and the tables that are its projection.
//
// Two engines implement it, SQLite for one box and PostgreSQL for replicas; storetest holds both to the same suite.
// All SQL lives in the engines, and in package tables, which they share. The ledger is the truth: every write is the
// appending of entries under the lock of one head row, and everything else a reader can ask for (registrations, accounts,
// cases, keys) is written from the same entries in the same transaction.
package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// ErrUnseen says that this user of the database may not look at something.
var ErrUnseen = errors.New("not seen")

// ErrUnknown says that the commit may or may not have happened. It is never to be read as a no: drop what was derived, read
// the head again, and let the caller retry with the same Idempotency-Key.
var ErrUnknown = errors.New("the outcome of the commit is unknown")

// ErrRetry says that nothing was written, for a reason that passes by itself: the database starts again, another held the
// ledger too long, this process held it too long. What was derived under the lock is to be dropped, and may be tried again.
var ErrRetry = errors.New("nothing was written; try again")

// ErrHolder says that the database refused a second live exclusive protection of one identical scope. The committer
// should have seen it first; the entry was not written.
var ErrHolder = errors.New("another registration holds this scope")

// ErrBase says that the ledger does not hold the entry a Base names: the base is of another history.
var ErrBase = errors.New("the base is not of this ledger")

// Hash is a SHA-256 digest.
type Hash = [32]byte

// Head is the end of the ledger. The zero Head is that of an empty one.
type Head struct {
	Seq           uint64    // sequence of the last entry; the first entry is 1
	Chain         Hash      // hash chain over all leaves: the fingerprint of the whole history
	Root          Hash      // Merkle root over all leaves (RFC 6962); leaf i is entry i+1
	At            time.Time // recorded time of the last entry; time never goes back
	Registrations uint64    // how many registrations have been numbered
}

// Entry is one line of the ledger.
type Entry struct {
	Seq     uint64
	At      time.Time // microseconds, UTC
	Kind    string    // one of deal.Entry…
	Subject string    // id of what it is about
	Actor   deal.Actor

	IdemKey     string // unique per Actor.KeyID when not empty
	RequestHash []byte // SHA-256 of the request, to tell a retry from a reused key
	Answer      []byte // the answer that was given, byte for byte; holds no personal data
	Body        []byte // deal.Change; holds no personal data
	Personal    []Personal

	Leaf  []byte // canonical bytes that are hashed into the Merkle tree; see package ledger
	Chain Hash   // chain after this entry
	Size  uint64 // size of the tree when the commit that wrote this entry was done: what its receipt is against
}

// Personal is one piece of personal data of an entry. The leaf holds only HMAC-SHA256(Salt, Field, Value); erasing a
// person deletes salt and value.
type Personal struct {
	Field string
	Salt  []byte // 32 random bytes
	Value string // empty once erased
}

// Node is one stored hash of the Merkle tree, by its index in golang.org/x/mod/sumdb/tlog's order.
type Node struct {
	Index int64
	Hash  Hash
}

// Event is something the outside is to be told, written with the entry that caused it.
type Event struct {
	ID      string // stable over retries
	Seq     uint64
	Type    string // dibs.registration.protected.v1
	Subject string
	At      time.Time
	Body    []byte // JSON

	// Whose it is: Batch.Add takes these from the entry's change, where no partner is given. Events of one registration are told in their order.
	RegistrationID string
	PartnerID      string // empty: of no partner, and not for a partner's eyes
	DistributorID  string
}

// Append is what one commit adds: entries in sequence, their Merkle nodes, their events, and the head after them.
// Changes[i] is the change of Entries[i], whole: its Body with the personal data put back. Registrations[i] are the bytes of its registrations,
// which have none; nil: they are to be made.
type Append struct {
	Entries []Entry
	Changes []*deal.Change

	Registrations [][][]byte
	Nodes         []Node
	Events        []Event
	Head          Head
}

// IdemKey is the name under which an answer is kept for ever.
type IdemKey struct{ KeyID, Key string }

// Locked is the ledger while its head is locked: what is read here is still true when the commit is written.
type Locked interface {
	Head() Head
	// Entries yields the entries after seq, in order.
	Entries(ctx context.Context, after uint64) iter.Seq2[Entry, error]
	// Answered returns the entries that already answered any of the keys.
	Answered(ctx context.Context, keys []IdemKey) (map[IdemKey]Entry, error)
}

// RegistrationFilter selects registrations. Zero fields select everything.
type RegistrationFilter struct {
	PartnerIDs []string // as registrant or as distributor; nil: all partners; empty and not nil: none
	Status     deal.Status
	PartnerID  string
	AccountID  string
	ExternalID string
	Number     string
	// CustomerName is a part of the customer's name as filed, in any case.
	CustomerName string
	AsOf         time.Time // the instant at which Status is meant
	Page
}

// CaseFilter selects cases. They are listed in the order in which they are due, those without a due time last, and by id:
// CaseKey is the key of a row.
type CaseFilter struct {
	Status         string
	Queue          string
	RegistrationID string // the one in question
	Assignee       string // of one person; NoAssignee: of nobody
	Kind           string
	PartnerID      string
	DueBefore      time.Time
	Page
}

// NoAssignee selects the cases nobody has taken.
const NoAssignee = "none"

// NeverDue is when a case without a due time stands in the order.
var NeverDue = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// CaseKey is the key of a case in a list.
func CaseKey(k *deal.Case) string {
	due := k.DueAt
	if due.IsZero() {
		due = NeverDue
	}
	return due.UTC().Format(time.RFC3339Nano) + " " + k.ID
}

// RecordFilter selects rows of reference data.
type RecordFilter struct {
	Name      string // prefix of the name, case-insensitive
	Country   string
	AccountID string // opportunities of one account
	PartnerID string // opportunities of one partner
	Status    string
	Page
}

// EntryFilter selects entries of the ledger. Zero fields select everything.
type EntryFilter struct {
	Subjects []string // about any of these
	Below    string   // or whose subject begins with this
	Kind     string   // a kind, or the beginning of some with a * at its end
	After    uint64   // a sequence
}

// FindingFilter selects findings.
type FindingFilter struct {
	Of      []deal.CustomerRef // any of which it is about; none: whomever
	Verdict string
	LiveAt  time.Time // those that say something then; zero: ended and withdrawn ones too
	Page
}

// Page is a place in a list. Lists are ordered by the key of their rows, compared byte by byte.
type Page struct {
	After     string // key of the last row already read
	Limit     int    // at most this many rows; the caller sets it
	Backwards bool   // from the last key on: ids are in the order of their making, so the newest come first
}

// Base is what a reader of the world already has: every account as it was after entry Seq, whose chain was Chain. The
// zero Base is nothing.
type Base struct {
	Seq   uint64
	Chain Hash
}

// Visitor receives the state of the world while Load reads it. Order: documents, keys, then records by kind, then
// registrations, then cases, then findings.
type Visitor interface {
	Document(deal.Document) error
	Key(deal.Key) error
	// Record is called with every row, each once. On top of a Base it is called for accounts, in the order of the
	// ledger, with the after-images of the entries after the base instead: with none, one or several of an account.
	Record(deal.Record) error
	// Deleted is called in that order too, for an account that an entry after the base has deleted; it may never have
	// been there. Without a Base it is not called.
	Deleted(deal.RecordRef) error
	Registration(deal.Registration) error
	Case(deal.Case) error
	Finding(deal.Finding) error
}

// Store is one database. All methods are safe for concurrent use. What does not exist is deal.ErrNotFound; a database
// that cannot be reached is an error, never an empty answer. Returned values are the caller's own.
type Store interface {
	// Commit locks the head, calls decide under the lock, and appends what it returns in one transaction. If decide
	// fails, or returns no entries, nothing is written and its error is returned. ErrUnknown: see there. Any other
	// error: nothing was written; ErrRetry among them, and only it, is worth trying again. decide is called once, or
	// not at all.
	Commit(ctx context.Context, decide func(context.Context, Locked) (Append, error)) error

	// Settle returns when everything that could be read before it was called is where a commit that was acknowledged is:
	// what a failover cannot lose. A commit whose outcome is unknown can be read before it is there. After an error nothing
	// that was read may be promised.
	Settle(ctx context.Context) error

	// Head returns the end of the ledger without locking it.
	Head(ctx context.Context) (Head, error)
	// Load visits the whole current state at one instant and returns the head of that instant. On top of a base that
	// is not zero it visits of accounts only what has happened to them since; see Visitor. A base whose entry is not in
	// the ledger, or has another chain there, is ErrBase, and nothing is visited.
	Load(ctx context.Context, v Visitor, base Base) (Head, error)

	Entry(ctx context.Context, seq uint64) (Entry, error)
	// Entries yields entries after seq in order, without a lock; it ends at the head.
	Entries(ctx context.Context, after uint64) iter.Seq2[Entry, error]
	// SelectEntries yields the entries a filter selects in order, without a lock; it ends at the head.
	SelectEntries(ctx context.Context, f EntryFilter) iter.Seq2[Entry, error]
	Answered(ctx context.Context, key IdemKey) (Entry, error)
	// EntriesOf returns the entries about any of the subjects, in order, the decisions of registrations among them.
	EntriesOf(ctx context.Context, subjects []string) ([]Entry, error)
	// Nodes returns the Merkle hashes at the indexes, in the order asked.
	Nodes(ctx context.Context, indexes []int64) ([]Hash, error)
	// AllNodes yields every Merkle hash by index.
	AllNodes(ctx context.Context) iter.Seq2[Node, error]
	// Personal returns what is left of the personal data of the entry.
	Personal(ctx context.Context, seq uint64) ([]Personal, error)

	Registration(ctx context.Context, id string) (deal.Registration, error)
	Registrations(ctx context.Context, f RegistrationFilter) ([]deal.Registration, error)
	// DecisionSeqs returns the entries that hold the decisions of a registration, oldest first.
	DecisionSeqs(ctx context.Context, registrationID string) ([]uint64, error)
	Case(ctx context.Context, id string) (deal.Case, error)
	Cases(ctx context.Context, f CaseFilter) ([]deal.Case, error)
	// Precedents returns resolved cases whose first reason is the code, the latest first.
	Precedents(ctx context.Context, code string, limit int) ([]deal.Case, error)
	Finding(ctx context.Context, id string) (deal.Finding, error)
	Findings(ctx context.Context, f FindingFilter) ([]deal.Finding, error)
	Record(ctx context.Context, kind deal.RecordKind, key string) (deal.Record, error)
	Records(ctx context.Context, kind deal.RecordKind, f RecordFilter) ([]deal.Record, error)
	Document(ctx context.Context, kind string, version int) (deal.Document, error)
	Documents(ctx context.Context, kind string) ([]deal.Document, error)
	Keys(ctx context.Context) ([]deal.Key, error)
	// Events returns events of entries after seq, in the order of the ledger.
	Events(ctx context.Context, after uint64, limit int) ([]Event, error)
	// Event returns one event.
	Event(ctx context.Context, id string) (Event, error)

	// Dispatch makes jobs of the events that come next in the order of the ledger, about limit of them: fan is given them with
	// the webhooks there are, and what it returns is enqueued in the same transaction. So each event is fanned out once,
	// by one process at a time. It returns how many events there were. Without webhooks it passes over all there are.
	Dispatch(ctx context.Context, limit int, fan func([]Webhook, []Event) ([]Job, error)) (int, error)
	// Enqueue adds jobs, in their order. One whose kind and key are those of a job that waits is left out.
	Enqueue(ctx context.Context, jobs ...Job) error
	// Claim leases jobs that are due, free, and at the head of their lanes. What was claimed is where an acknowledged
	// commit is, and so is everything it follows from: see Settle.
	Claim(ctx context.Context, c Claim) ([]Job, error)
	// Finish writes what came of claimed jobs: State, RunAt, Error, Log and DoneAt, and ends their leases. It returns the ids
	// of those that are no longer the caller's: whose lease ran out and is another's, or that were dropped. They stay as they are.
	Finish(ctx context.Context, jobs ...Job) (lost []string, err error)
	// HoldOff puts what waits of a topic and is nobody's off until an instant, if it is due before.
	HoldOff(ctx context.Context, topic string, until time.Time) error
	Job(ctx context.Context, id string) (Job, error)
	Jobs(ctx context.Context, f JobFilter) ([]Job, error)
	// Retry lets a job that is done or dead wait again, due now, as if it had not been tried. One that waits is
	// deal.ErrNotPossible.
	Retry(ctx context.Context, id string, now time.Time) error
	// Backlog says what of a kind waits and what was given up.
	Backlog(ctx context.Context, kind string) (Backlog, error)
	// DropJobs forgets jobs that ended before an instant: done before doneBefore, dead before deadBefore.
	DropJobs(ctx context.Context, doneBefore, deadBefore time.Time) error

	Webhook(ctx context.Context, id string) (Webhook, error)
	// Webhooks returns all, the oldest first.
	Webhooks(ctx context.Context) ([]Webhook, error)
	AddWebhook(ctx context.Context, w Webhook) error
	// ChangeWebhook lets change work on the webhook while nobody else can, and returns what was written. change's error is
	// returned, and nothing written.
	ChangeWebhook(ctx context.Context, id string, change func(*Webhook) error) (Webhook, error)
	// DropWebhook forgets a webhook, and the jobs whose topic it is.
	DropWebhook(ctx context.Context, id string) error

	// Reproject writes every entry's changes anew, beside the database, and names the rows that differ: what people query
	// must be what the entries lead to, column by column. It takes as long as writing the ledger did.
	Reproject(ctx context.Context) ([]Difference, error)

	// Walls names what of the schema's constraints, by which the database itself holds rows to the promises, is not there or not as it was
	// made, and triggers that are not ours. Rows may be right without them: nothing is refused any more.
	// Who may not look gets ErrUnseen.
	Walls(ctx context.Context) ([]Difference, error)

	// Breaches lists pairs of live exclusive holders of overlapping scope at t: the one-holder report. It is empty.
	Breaches(ctx context.Context, t time.Time) ([]Breach, error)

	// PutSnapshot records that a snapshot was published. One that is of no entry of the ledger is ErrBase; one with a
	// digest that is recorded stays as it is. Of each format the newest KeptSnapshots stay. It is no part of the ledger.
	PutSnapshot(ctx context.Context, s Snapshot) error
	// Snapshots returns the recorded snapshots: the latest sequence first, of one sequence the last recorded first.
	Snapshots(ctx context.Context) ([]Snapshot, error)

	// PutChunk keeps a piece of a snapshot, by the snapshot's digest and the piece's place; what was there is replaced. What
	// is kept may be gone after a crash of the database or a failover: it is only quicker to read than the accounts.
	PutChunk(ctx context.Context, of Hash, i int, body []byte) error
	// Chunk returns a piece of a snapshot, or deal.ErrNotFound.
	Chunk(ctx context.Context, of Hash, i int) ([]byte, error)
	// Chunks returns how many pieces are kept of each snapshot.
	Chunks(ctx context.Context) (map[Hash]int, error)
	// DropChunks lets the pieces of a snapshot go.
	DropChunks(ctx context.Context, of Hash) error

	Close() error
}

// Snapshot is the record of a picture of the accounts and their index that was published where it may change or be lost:
// only bytes with this digest are the picture.
type Snapshot struct {
	Base
	Digest Hash
	Format string    // what can read it: the layout's version and the matcher's
	Bytes  int64     // its size
	At     time.Time // when it was published; microseconds, UTC
}

// KeptSnapshots is how many records of snapshots of one format a store keeps.
const KeptSnapshots = 8

// Difference is a row that is not what the entries lead to.
type Difference struct {
	Table string
	Row   string // its key
	What  string // missing; extra; or changed: and the columns
}

// Breach is two registrations that hold overlapping scope of one customer at one instant.
type Breach struct{ A, B string }
