// Package engine decides registrations and commits what was decided.
//
// decide is pure: a view of the world, a registration and an instant give a decision. The committer around it gives
// every change one place in one order: it locks the head of the ledger, applies what others have added, re-scores
// only against that, decides what waits in order, and writes decision, state, entry, Merkle hashes, events and head in
// one transaction. A caller of Register has either a committed answer or an error that says whether to retry.
package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/singleflight"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/policy"
	"github.com/dibs-deals/dibs/internal/store"
)

// Config is what an engine is made of.
type Config struct {
	Store  store.Store
	Signer *ledger.Signer
	// RotateKey lets Signer take the place of another key, by an entry of the ledger. Without it a ledger that is signed
	// with another key is refused: replicas sign with one.
	RotateKey bool
	Policy    []byte           // published when the database has no policy yet; nil: the library's default
	Clock     func() time.Time // nil: the system clock; called by several goroutines at once
	Log       *slog.Logger     // nil: discard
	Peers     Peers            // nil: there are none, or they are heard of by asking the store
	Observer  Observer         // nil: nobody watches, and nothing is timed
	Model     *match.Model     // nil: the embedded one. One with a higher version takes over, as a later Generation does

	// Vet, if not nil, is asked before a policy is published, besides compiling it: it runs the policy's own tests.
	Vet func(ctx context.Context, policy []byte) error
}

// ErrOtherKey says that the ledger is signed with another key than the one given.
var ErrOtherKey = errors.New("the ledger is signed with another key")

// Engine is the one writer of a store in this process. All methods are safe for concurrent use.
type Engine struct {
	cfg   Config
	log   *slog.Logger
	model *match.Model

	view    *view                // the committer's
	dirty   bool                 // the committer's: the view may hold what a failed commit derived
	lost    bool                 // the committer's: the store did not say how far the ledger is, the last time it was asked
	strange bool                 // the committer's: the view is not of this ledger; nothing of it is kept
	current atomic.Pointer[view] // the same, for readers, who lock it
	broken  atomic.Bool          // the view could not be read again after a failure
	settled atomic.Uint64        // entries up to here are known to outlast a failover
	reached atomic.Uint64        // entries up to here are in the store and in the view
	source  atomic.Value         // string: what the accounts were read from
	format  func() string        // of snapshots
	asking  singleflight.Group   // for keys that are not known here

	queue    chan *proposal
	pictures chan chan<- picture
	closing  chan struct{}
	stopped  chan struct{}
	closed   sync.Once
}

// Open reads the world from the store and starts the committer. An empty database gets its first entries: the ledger's
// key, and the policy of cfg.
func Open(ctx context.Context, cfg Config) (*Engine, error) {
	e := &Engine{cfg: cfg, log: cfg.Log, model: cfg.Model,
		queue: make(chan *proposal, 4*maxBatch), pictures: make(chan chan<- picture), closing: make(chan struct{}), stopped: make(chan struct{})}
	if e.model == nil {
		e.model = match.Default()
	}
	e.format = sync.OnceValue(func() string { return snapshotFormat(e.model) })
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		e.cfg.Clock = time.Now
	}
	if cfg.Policy == nil {
		e.cfg.Policy = policy.Default()
	}
	if err := e.readWorld(ctx); err != nil {
		return nil, fmt.Errorf("reading the world: %w", err)
	}
	if _, published := e.view.live(deal.PolicyDocument); !published && cfg.Policy != nil && cfg.Vet != nil {
		if err := cfg.Vet(ctx, cfg.Policy); err != nil {
			return nil, fmt.Errorf("the first policy: %w", err)
		}
	}
	go e.run()
	if err := e.start(ctx); err != nil {
		return nil, errors.Join(err, e.Close(ctx))
	}
	return e, nil
}

// start writes what an empty ledger begins with, the signing key when it is a new one, and the taking over from an
// earlier generation.
func (e *Engine) start(ctx context.Context) error {
	_, err := e.submit(ctx, Request{Actor: deal.System, starts: true}, func(now time.Time) ([]addition, error) {
		var out []addition
		mine := generationOf(e.model)
		if takes, err := mine.takesOver(e.view.generation); err != nil {
			return nil, err
		} else if takes {
			out = append(out, e.document(deal.EntryStart, deal.Document{Kind: deal.GenerationDocument, Name: "dibs", Body: mine.text()}, true, deal.System, now))
		}
		key := e.cfg.Signer.Key()
		if d, ok := e.view.live(deal.SignerDocument); ok && d.Body != key && !e.cfg.RotateKey {
			return nil, fmt.Errorf("%w: its key is %s, this one is %s", ErrOtherKey, d.Body, key)
		} else if !ok || d.Body != key {
			out = append(out, e.document(deal.EntryStart, deal.Document{Kind: deal.SignerDocument, Name: "ledger", Body: key}, true, deal.System, now))
		}
		if _, ok := e.view.live(deal.PolicyDocument); !ok {
			p, err := policy.Compile(e.cfg.Policy)
			if err != nil {
				return nil, fmt.Errorf("the first policy: %w", err)
			}
			out = append(out, e.document(deal.EntryPublished, deal.Document{Kind: deal.PolicyDocument, Name: p.Ref().Name, Title: p.Title(), Timezone: p.Settings().Timezone.String(), Body: string(e.cfg.Policy), Holidays: p.Holidays()}, true, deal.System, now))
		}
		return out, nil
	})
	if err != nil {
		return fmt.Errorf("starting the ledger: %w", err)
	}
	return nil
}

// Close stops taking requests, finishes those taken, and returns when the committer has ended or ctx is done. It does
// not close the store.
func (e *Engine) Close(ctx context.Context) error {
	e.closed.Do(func() { close(e.closing) })
	select {
	case <-e.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the last commit: %w", ctx.Err())
	}
}

// now is the clock, in what an entry can hold.
func (e *Engine) now() time.Time { return e.cfg.Clock().UTC().Truncate(time.Microsecond) }

// Now is the engine's clock.
func (e *Engine) Now() time.Time { return e.now() }

// Position is how far the ledger is known to go, without asking the store.
func (e *Engine) Position() uint64 { return e.reached.Load() }

// Store gives read access to what the engine writes.
func (e *Engine) Store() store.Store { return e.cfg.Store }

func stack() string { return string(debug.Stack()) }

// read runs f on the view as it is, while nothing changes it.
func read[T any](e *Engine, f func(v *view) T) T {
	v := e.current.Load()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return f(v)
}

// Request says who asks, and under which name the answer is kept.
type Request struct {
	Actor   deal.Actor
	IdemKey string // empty: the request is not kept for retries
	Hash    []byte // SHA-256 of the request's bytes; compared when IdemKey was used before

	starts bool // the program's own first request, which may begin a generation
	watch  *stopwatch
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
	out, err := e.file(ctx, q, f)
	if err == nil || q.IdemKey == "" || errors.Is(err, deal.ErrKeyReused) {
		return out, err
	}
	// A retry is answered from the ledger: what it was answered then stands, whatever the world or its own fields look like
	// today. The committer sees to that; whom it does not get to see is looked up here, and told what is wrong if it is new.
	prior, lerr := e.cfg.Store.Answered(ctx, store.IdemKey{KeyID: q.Actor.KeyID, Key: q.IdemKey})
	switch {
	case lerr == nil && subtle.ConstantTimeCompare(prior.RequestHash, q.Hash) != 1:
		return Registered{}, deal.ErrKeyReused
	case lerr == nil:
		if err := e.settle(ctx, prior.Seq, prior.Chain); err != nil {
			return Registered{}, err
		}
		return e.registered(ctx, &proposal{entry: prior, replayed: true})
	case errors.Is(lerr, deal.ErrNotFound):
		return Registered{}, err
	}
	return Registered{}, errors.Join(deal.ErrUnavailable, lerr)
}

// file decides and commits, unless the ledger holds an answer to the request's key.
func (e *Engine) file(ctx context.Context, q Request, f deal.Filing) (out Registered, err error) {
	var p *proposal
	q.watch = e.stopwatch()
	defer func() { e.filed(ctx, q.watch, p, err) }()
	r, personal := newRegistration(f, deal.StatusReceived, e.now())
	if err := e.turn(ctx, r.ReceivedAt); err != nil {
		return Registered{}, err
	}
	seen, question, err := e.ask(r)
	if errors.As(err, new(deal.FieldErrors)) { // what it lacks may have come through another replica
		if lost := e.abreast(ctx); lost != nil {
			return Registered{}, lost
		}
		seen, question, err = e.ask(r)
	}
	if err != nil {
		return Registered{}, err
	}
	q.watch.lap(StageAdmit)
	found := search(seen, question)
	q.watch.lap(StageSearch)
	secrets, err := salted(personal)
	if err != nil {
		return Registered{}, err
	}
	p, err = e.submit(ctx, q, func(now time.Time) ([]addition, error) {
		a, err := e.register(r, seen, found, now, q.watch)
		a.entry.Personal = secrets
		return []addition{a}, err
	})
	if err != nil {
		return Registered{}, err
	}
	out, err = e.registered(ctx, p)
	q.watch.lap(StageProve)
	return out, err
}

// settle sees to it that an answer which rests on the entry seq, of that chain, can be promised: the entry may be another's
// commit, of which nobody has heard yet whether it outlasts a failover. It is read once more at the end: a failover between
// the first reading and the waiting would have made the waiting one for another history.
func (e *Engine) settle(ctx context.Context, seq uint64, chain store.Hash) error {
	if seq <= e.settled.Load() {
		return nil
	}
	if err := e.cfg.Store.Settle(ctx); err != nil {
		return errors.Join(deal.ErrUnavailable, err)
	}
	switch again, err := e.cfg.Store.Entry(ctx, seq); {
	case err != nil:
		return errors.Join(deal.ErrUnavailable, err)
	case again.Chain != chain:
		return errors.Join(deal.ErrUnavailable, errDiverged)
	}
	e.safe(seq)
	return nil
}

// safe notes that entries up to seq outlast a failover.
func (e *Engine) safe(seq uint64) {
	for {
		known := e.settled.Load()
		if seq <= known || e.settled.CompareAndSwap(known, seq) {
			return
		}
	}
}

// newRegistration makes a registration of a filing, without its personal data, which is returned beside it.
func newRegistration(f deal.Filing, status deal.Status, received time.Time) (deal.Registration, []deal.Personal) {
	public, personal := f.SplitPersonal()
	r := deal.Registration{
		ID: deal.NewID(deal.RegistrationID), DecisionID: deal.NewID(deal.DecisionID),
		ReceivedAt: received.UTC().Truncate(time.Microsecond), Filing: public, EmailDomain: f.Contact.EmailDomain(), Status: status,
	}
	for _, p := range personal {
		r.Given = append(r.Given, p.Field)
	}
	return r, personal
}

// ask admits the filing to the world as it is, and says what to look for there.
func (e *Engine) ask(r deal.Registration) (*view, question, error) {
	v := e.current.Load()
	v.mu.RLock()
	defer v.mu.RUnlock()
	q := ask(v, &r)
	if errs := v.admitAs(&r.Filing, q.named); len(errs) > 0 {
		return nil, question{}, errs
	}
	return v, q, nil
}

// register decides one registration under the lock.
func (e *Engine) register(r deal.Registration, seen *view, m matches, now time.Time, watch *stopwatch) (addition, error) {
	v := e.view
	watch.lap(StageLock)
	if errs := v.admitAs(&r.Filing, m.named); len(errs) > 0 {
		return addition{}, errs
	}
	// The question may be asked otherwise now: another policy, another domain of the partner.
	if seen == v && m.stands(v, &r) {
		m = refresh(v, m)
	} else {
		m = search(v, ask(v, &r))
	}
	if r.ReceivedAt.After(now) {
		r.ReceivedAt = now
	}
	r.Sequence = v.head.Seq + 1
	r.Number = v.number(r.ReceivedAt, v.head.Registrations+1)
	watch.lap(StageRefresh)
	a, err := e.decided(r, m, now)
	a.number = true
	watch.lap(StageDecide)
	if err == nil {
		watch.made(a.change.Decision)
	}
	return a, err
}

// decided makes the entry of a decision on r.
func (e *Engine) decided(r deal.Registration, m matches, now time.Time) (addition, error) {
	v := e.view
	r.Version = v.head.Seq + 1
	paused := v.paused(&r, now)
	d := decide(v, &r, m, now)
	d.Sequence = r.Version
	if r.Status == deal.StatusReturned && paused != nil {
		r.Review = paused
	}
	a := addition{entry: store.Entry{Kind: deal.EntryDecided, Subject: r.ID}, change: &deal.Change{Decision: &d}}
	if err := v.closed(&a, &r, deal.System, now); err != nil { // of the case it had, if this is not its first decision
		return addition{}, err
	}
	r.CaseID = ""
	err := v.answered(&a, r, &d, now)
	return a, err
}

// answered completes the entry of a decision on r: the case it opens or joins, the answer, and the events.
func (v *view) answered(a *addition, r deal.Registration, d *deal.Decision, now time.Time) error {
	var file *deal.Case
	joined := false
	if d.Case != nil {
		var k deal.Case
		k, joined = v.file(&r, d, now)
		file, r.CaseID = &k, k.ID
		a.change.Cases = append(a.change.Cases, k)
	}
	if joins(&r, nil); r.Status == deal.StatusMerged && d.Route != nil {
		joins(&r, v.claims[d.Route.Of])
	}
	a.change.Registrations = []deal.Registration{r}
	var err error
	if a.entry.Answer, err = canonical(AnswerFor(&r, d, file, now)); err != nil {
		return err
	}
	a.happens(&r, string(r.Status), a.entry.Answer)
	if c := d.Terms.Offered(); c != nil && r.Status == deal.StatusConditional {
		a.happens(&r, "offered", a.entry.Answer)
	}
	if file != nil {
		return a.tells(file, map[bool]string{false: "opened", true: "joined"}[joined])
	}
	return nil
}

// happens adds the event that something has happened to a registration.
func (a *addition) happens(r *deal.Registration, what string, body []byte) {
	a.events = append(a.events, store.Event{ID: deal.NewID(deal.EventID), Type: "dibs.registration." + what + ".v1", Subject: r.ID, Body: body})
}

func eventBody(r *deal.Registration) ([]byte, error) {
	body := map[string]any{"id": r.ID, "number": r.Number, "partner_id": r.Filing.PartnerID, "status": r.Status}
	if earned := r.Earned(); earned != nil && r.Status == deal.StatusExpired {
		body["earned"] = *earned
	}
	return json.Marshal(body)
}

// salted gives each piece of personal data its own random salt.
func salted(ps []deal.Personal) ([]store.Personal, error) {
	const size = 32
	salts := make([]byte, size*len(ps))
	if _, err := rand.Read(salts); err != nil {
		return nil, err
	}
	out := make([]store.Personal, len(ps))
	for i, p := range ps {
		out[i] = store.Personal{Field: p.Field, Salt: salts[i*size : (i+1)*size : (i+1)*size], Value: p.Value}
	}
	return out, nil
}

// knows reports whether an account has exactly this name.
func (v *view) knows(name string) bool {
	one, _ := v.searchOptions()
	found := v.accountIndex.Search(v.model.Prepare(match.Record{Names: []string{name}}), one)
	return slices.ContainsFunc(found.Candidates, func(c deal.Match) bool { return match.Normalise(c.Name) == match.Normalise(name) })
}

// lines returns the product lines there are, by their folded form: those the policy declares and those of the catalogue.
func (v *view) lines() map[string]string {
	if known := v.sold.Load(); known != nil {
		return *known
	}
	declared := v.policy.Settings().Lines
	out := make(map[string]string, len(declared)+8)
	for _, l := range declared {
		out[deal.FoldLine(l)] = l
	}
	for _, p := range v.products {
		k := deal.FoldLine(p.Line)
		if _, ok := out[k]; !ok || p.Line < out[k] && !slices.Contains(declared, out[k]) {
			out[k] = p.Line
		}
	}
	v.sold.Store(&out)
	return out
}

// admit checks a filing against the world: that its partner exists, that its products are sold. It fills in the line
// of a known product.
func (v *view) admit(f *deal.Filing) deal.FieldErrors {
	return v.admitAs(f, v.model.Names(f.Customer.Name))
}

// admitAs is admit of a filing of which is known whether its customer's name is one, as far as the model goes.
func (v *view) admitAs(f *deal.Filing, named bool) deal.FieldErrors {
	var errs deal.FieldErrors
	if v.partners[f.PartnerID] == nil {
		errs.Add("partner_id", "no such partner")
	}
	if d := v.partners[f.DistributorID]; f.DistributorID != "" && (d == nil || d.Type != "" && d.Type != "distributor") {
		errs.Add("distributor_id", "no such distributor") // who is one reads what is filed; a partner who is none does not, nor is it told of
	}
	if !named && !v.knows(f.Customer.Name) {
		errs.Add("customer.name", "%q names nobody; give the name that the end customer is registered under, which no other partner is told. If that is its name, ask your channel manager to add it as an account", f.Customer.Name)
	}
	set := v.policy.Settings()
	known := v.lines()
	f.Products = slices.Clone(f.Products)
	for i := range f.Products {
		p := &f.Products[i]
		field := fmt.Sprintf("products[%d].", i)
		line, sold := known[deal.FoldLine(p.Line)]
		switch c := v.product(p.SKU); {
		case c != nil && p.Line != "" && deal.FoldLine(p.Line) != deal.FoldLine(c.Line):
			errs.Add(field+"line", "%s is of line %s", p.SKU, c.Line)
		case c != nil:
			p.Line = c.Line
		case p.Line == "":
			errs.Add(field+"sku", "%q is not in the catalogue; correct it or give a line", p.SKU)
		case sold:
			p.Line = line
		case len(known) > 0: // a line nobody sells would stand in no one's way
			errs.Add(field+"line", "%q is not one of %s", p.Line, strings.Join(slices.Sorted(maps.Values(known)), ", "))
		}
	}
	return append(errs, set.Validate(f.Custom)...)
}

// registered assembles the answer of a committed registration.
func (e *Engine) registered(ctx context.Context, p *proposal) (Registered, error) {
	out := Registered{Body: p.entry.Answer, ID: p.entry.Subject, Replayed: p.replayed}
	var err error
	if p.sealed != nil {
		out.Receipt, err = receiptFor(e.cfg.Signer, p.entry.Leaf, p.entry.Seq, p.sealed.size, p.sealed.root, p.sealed.read)
	} else {
		out.Receipt, err = storedReceipt(ctx, e.cfg.Store, e.cfg.Signer, &p.entry)
	}
	if err != nil {
		// It is committed, and cannot be shown yet. The retry will find it.
		return Registered{}, errors.Join(deal.ErrUnavailable, err)
	}
	return out, nil
}

// receiptFor proves the leaf seq in the tree of the size.
func receiptFor(signer *ledger.Signer, leaf []byte, seq, size uint64, root ledger.Hash, read ledger.Reader) (ledger.Receipt, error) {
	proof, err := ledger.Prove(seq, size, read)
	if err != nil {
		return ledger.Receipt{}, err
	}
	cp, err := signer.Sign(size, root)
	if err != nil {
		return ledger.Receipt{}, err
	}
	return ledger.NewReceipt(leaf, seq, proof, cp, signer.Key()), nil
}

// ReceiptOf derives the receipt of an entry from the store: the same bytes as the first time, as long as the key is
// the same.
func ReceiptOf(ctx context.Context, st store.Store, signer *ledger.Signer, seq uint64) (ledger.Receipt, error) {
	entry, err := st.Entry(ctx, seq)
	if err != nil {
		return ledger.Receipt{}, err
	}
	return storedReceipt(ctx, st, signer, &entry)
}

func storedReceipt(ctx context.Context, st store.Store, signer *ledger.Signer, entry *store.Entry) (ledger.Receipt, error) {
	nodes := func(ix []int64) ([]ledger.Hash, error) { return st.Nodes(ctx, ix) }
	root, err := ledger.RootOf(entry.Size, nodes)
	if err != nil {
		return ledger.Receipt{}, err
	}
	return receiptFor(signer, entry.Leaf, entry.Seq, entry.Size, root, nodes)
}

// canonical returns the one form of v as JSON (RFC 8785), whose digest can be checked however the text was stored or
// printed since.
func canonical(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	text := jsontext.Value(b)
	err = text.Canonicalize()
	return text, err
}

// Check is the coarse answer of a pre-check: what filing would most likely bring, in three words.
type Check struct {
	Advice      string   `json:"advice"` // file, expect_review or do_not_file
	Explanation string   `json:"explanation"`
	Needs       []string `json:"needs,omitempty"` // fields that would be asked for
}

// Check answers a pre-check on the present view. It commits nothing and names nobody: three answers, each with one
// fixed sentence, whatever the reason. An account id that nothing else of the customer supports says nothing in it: an invented name beside
// one id after another would tell which accounts something is going on with.
func (e *Engine) Check(ctx context.Context, _ Request, f deal.Filing) (Check, error) {
	d, err := e.foresee(ctx, f, true)
	switch {
	case err != nil:
		return Check{}, err
	case d.Outcome == deal.Protect:
		return Check{Advice: "file", Explanation: "Nothing we may tell you of speaks against filing this now."}, nil
	case d.Route != nil && d.Route.Disposition == deal.Returned:
		return Check{Advice: "file", Explanation: "File it with the fields named here.", Needs: d.Route.Needs}, nil
	case d.Outcome == deal.Escalate:
		return Check{Advice: "expect_review", Explanation: "A person would review this before it is answered."}, nil
	}
	return Check{Advice: "do_not_file", Explanation: "This would not be protected as it stands."}, nil
}

// Foresee decides a filing as if it were the next to come, on the ledger as it is now, and commits nothing. Errors:
// deal.FieldErrors; deal.ErrUnavailable, also when the store cannot be asked how far the ledger is.
func (e *Engine) Foresee(ctx context.Context, f deal.Filing) (deal.Decision, error) {
	return e.foresee(ctx, f, false)
}

// foresee is Foresee; supported: an account id counts only where the rest of the customer supports it.
func (e *Engine) foresee(ctx context.Context, f deal.Filing, supported bool) (deal.Decision, error) {
	if err := e.abreast(ctx); err != nil {
		return deal.Decision{}, err
	}
	now := e.now()
	if err := e.turn(ctx, now); err != nil {
		return deal.Decision{}, err
	}
	r, _ := newRegistration(f, precheck, now)
	type result struct {
		d   deal.Decision
		due []string // registrations on whose cases it rests, of which a clock has run out
		err error
	}
	foresee := func(v *view) result {
		if e.broken.Load() {
			return result{err: deal.ErrUnavailable}
		}
		if errs := v.admit(&r.Filing); len(errs) > 0 {
			return result{err: errs}
		}
		r := r
		r.Sequence = v.head.Seq + 1
		m := search(v, ask(v, &r))
		if supported && !supports(v, r, m, now) {
			r.Filing.Customer.AccountID = ""
		}
		got := result{d: decide(v, &r, m, now)}
		for _, c := range got.d.Conflicts {
			if claim := v.claims[c.With]; claim != nil && v.lapsed(claim.CaseID, now) {
				got.due = append(got.due, claim.ID)
			}
		}
		return got
	}
	got := read(e, foresee)
	if len(got.due) > 0 { // what follows is written first, as for one that is filed
		if _, err := e.submit(ctx, Request{Actor: deal.System}, func(time.Time) ([]addition, error) { return nil, nil }, got.due...); err != nil {
			return deal.Decision{}, err
		}
		got = read(e, foresee)
	}
	return got.d, got.err
}

// PutResult counts what a Put did.
type PutResult struct {
	Created, Updated, Unchanged int
	Doubts                      []Doubt // what rows that are right say and may not mean, by their first line
}

// MaxRows is the most rows one Put takes: it bounds how long one import holds the head.
const MaxRows = 1000

// Put upserts rows of reference data in one entry; all of rows is committed or, with one wrong, nothing. At most
// MaxRows rows; the lines of doubts are places among rows. merge, if not nil, combines a stored row (nil: there is none) with the given one (a partial import).
func (e *Engine) Put(ctx context.Context, q Request, rows []deal.Record, merge func(stored, row deal.Record) deal.Record) (PutResult, error) {
	in := make([]ImportRow, len(rows))
	for i, r := range rows {
		in[i] = ImportRow{Line: i, Record: r, Merge: merge}
	}
	res, rejected, err := e.putRows(ctx, q, in, true)
	for i, r := range rows {
		if errs := rejected[i]; errs != nil {
			return PutResult{}, fmt.Errorf("%s %s: %w", r.Kind(), r.Key(), errs)
		}
	}
	return res, err
}

// putRows merges rows with what is stored, under the lock, and commits the ones that are right then: all or none when
// strict, else all but the rejected, which are returned by their place in rows.
func (e *Engine) putRows(ctx context.Context, q Request, rows []ImportRow, strict bool) (PutResult, map[int]deal.FieldErrors, error) {
	if len(rows) > MaxRows {
		return PutResult{}, nil, fmt.Errorf("%d rows in one call; at most %d", len(rows), MaxRows)
	}
	var res PutResult
	var rejected map[int]deal.FieldErrors
	_, err := e.submit(ctx, q, func(now time.Time) ([]addition, error) {
		var change *deal.Change
		change, res, rejected = mergeRows(e.view, rows, now)
		if res.Created+res.Updated == 0 || strict && len(rejected) > 0 {
			return nil, nil
		}
		subject := string(rows[0].Record.Kind())
		if len(rows) == 1 {
			subject += "/" + rows[0].Record.Key()
		}
		return []addition{{entry: store.Entry{Kind: deal.EntryRecords, Subject: subject}, change: change, standing: e.view.statusChanged(change.Partners)}}, nil
	})
	if err != nil {
		return PutResult{}, nil, err // res may still be written to, if it was the caller who stopped waiting
	}
	return res, rejected, nil
}

// mergeRows merges rows, in their order, with what is stored: a row whose key came before in the batch with that row.
// It returns the rows that are right, each key once as it is in the end, and what is wrong with the others by their
// place in rows.
func mergeRows(v *view, rows []ImportRow, now time.Time) (*deal.Change, PutResult, map[int]deal.FieldErrors) {
	var res PutResult
	rejected := map[int]deal.FieldErrors{}
	latest := make(map[deal.RecordRef]deal.Record, len(rows))
	var changed []deal.RecordRef                                  // in order of first change
	set, undeclared := v.policy.Settings(), map[[2]string]Doubt{} // a file has few such words and many rows
	for i, in := range rows {
		row := in.Record
		ref := deal.RecordRef{Kind: row.Kind(), Key: row.Key()}
		before, repeated := latest[ref]
		if !repeated {
			before = v.record(ref.Kind, ref.Key)
		}
		if in.Merge != nil {
			row = in.Merge(before, row)
		}
		row = deal.CopyRecord(row) // validation writes to it, and the batch may be tried again after readers have seen it
		wrong, doubts := deal.Doubts(row, now)
		if errs := append(row.Validate(), wrong...); len(errs) > 0 {
			rejected[i] = errs
			continue
		}
		for _, d := range doubts {
			res.doubt(Doubt{Line: in.Line, Field: d.Field, Detail: d.Detail, Rows: 1})
		}
		if field, word := set.Undeclared(row); field != "" {
			said := [2]string{field, word}
			if undeclared[said].Rows == 0 {
				undeclared[said] = Doubt{Line: in.Line, Field: field, Detail: set.Misses(field, word)}
			}
			d := undeclared[said]
			d.Rows++
			undeclared[said] = d
		}
		switch {
		case before == nil:
			res.Created++
		case equalJSON(before, row):
			res.Unchanged++
			continue
		default:
			res.Updated++
		}
		if !repeated {
			changed = append(changed, ref)
		}
		latest[ref] = row
	}
	for _, d := range slices.SortedFunc(maps.Values(undeclared), func(a, b Doubt) int { return cmp.Compare(a.Line, b.Line) }) {
		res.doubt(d)
	}
	change := &deal.Change{}
	for _, ref := range changed {
		change.Put(latest[ref])
	}
	return change, res, rejected
}

func equalJSON(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// record returns a row of reference data, or nil.
func (v *view) record(kind deal.RecordKind, key string) deal.Record {
	switch kind {
	case deal.Accounts:
		return known(v.account(key))
	case deal.Opportunities:
		return known(v.opportunities[key])
	case deal.Partners:
		return known(v.partners[key])
	case deal.People:
		return known(v.people[key])
	case deal.Products:
		return known(v.products[key])
	case deal.Rates:
		for _, list := range v.rates {
			for _, r := range list {
				if r.Key() == key {
					return r
				}
			}
		}
	}
	return nil
}

// known keeps a nil pointer from becoming a non-nil interface.
func known[T any, P interface {
	*T
	deal.Record
}](p P) deal.Record {
	if p == nil {
		return nil
	}
	return p
}

// Delete removes rows of reference data. A missing row is deal.ErrNotFound, and one that live registrations or open
// opportunities rest on deal.ErrNotPossible; nothing is removed then.
func (e *Engine) Delete(ctx context.Context, q Request, kind deal.RecordKind, keys []string) error {
	_, err := e.submit(ctx, q, func(time.Time) ([]addition, error) {
		change := &deal.Change{}
		for _, k := range keys {
			if e.view.record(kind, k) == nil {
				return nil, fmt.Errorf("%s %s: %w", kind, k, deal.ErrNotFound)
			}
			if why := e.view.restingOn(kind, k); why != "" {
				return nil, fmt.Errorf("%w: %s %s cannot be deleted while %s", deal.ErrNotPossible, kind, k, why)
			}
			change.Deleted = append(change.Deleted, deal.RecordRef{Kind: kind, Key: k})
		}
		if kind == deal.People {
			change.Cases = e.view.forget(keys, e.view.head.Seq+1)
		}
		subject := string(kind)
		if len(keys) == 1 {
			subject += "/" + keys[0]
		}
		return []addition{{entry: store.Entry{Kind: deal.EntryDeleted, Subject: subject}, change: change}}, nil
	})
	return err
}

// restingOn says what would lose its ground with a row, and what can be done instead; nothing when it can go.
func (v *view) restingOn(kind deal.RecordKind, key string) string {
	var claims []string
	note := func(r *deal.Registration) { claims = append(claims, r.Number) }
	instead := ""
	switch kind {
	case deal.Partners:
		for _, r := range v.claims {
			if r.Filing.PartnerID == key || r.Filing.DistributorID == key {
				note(r)
			}
		}
		instead = "end or transfer them, or set the partner's status to terminated"
	case deal.Accounts:
		for _, id := range v.claimsOf[deal.CustomerRef{AccountID: key}.Key()] {
			note(v.claims[id])
		}
		instead = "end them, or set the account's status to closed"
		for _, id := range v.findings.of[deal.CustomerRef{AccountID: key}.Key()] {
			if f := v.findings.all[id]; f.Verdict == deal.FoundSame && len(claims) == 0 {
				return fmt.Sprintf("%s says that %s and %s are one: take it back first, or set the account's status to closed", id, f.Subject.Name, f.Other.Name)
			}
		}
		var open []string
		for _, id := range v.oppsOf[key] {
			if v.opportunities[id].Status == "open" {
				open = append(open, id)
			}
		}
		if len(claims) == 0 && len(open) > 0 {
			return "opportunities with it are open (" + some(open) + "): close them first, or set the account's status to closed"
		}
	}
	if len(claims) == 0 {
		return ""
	}
	return fmt.Sprintf("%d live registrations rest on it (%s): %s", len(claims), some(claims), instead)
}

// some lists the first few of ids, in order.
func some(ids []string) string {
	const most = 3
	slices.Sort(ids)
	if len(ids) > most {
		return strings.Join(ids[:most], ", ") + ", …"
	}
	return strings.Join(ids, ", ")
}

// CreateKey makes an API key of the role, partners, person and note of k, and returns its token, which is shown once and not
// kept. Its partners and its person must exist. Errors: deal.FieldErrors, deal.ErrUnavailable.
func (e *Engine) CreateKey(ctx context.Context, q Request, k deal.Key) (deal.Key, string, error) {
	var errs deal.FieldErrors
	switch {
	case !slices.Contains(deal.Roles, k.Role):
		errs.Add("role", "%q is not one of %s", k.Role, strings.Join(deal.Roles, ", "))
	case k.Role == "portal" && len(k.PartnerIDs) == 0:
		errs.Add("partner_ids", "a portal key lists its partners, or * for all")
	case k.Role != "portal" && len(k.PartnerIDs) > 0:
		errs.Add("partner_ids", "only a portal key is limited to partners")
	case k.Role == "portal" && k.PersonID != "":
		errs.Add("person_id", "people are the vendor's own; a portal key acts for its partners")
	}
	if len(errs) > 0 {
		return deal.Key{}, "", errs
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return deal.Key{}, "", err
	}
	k = deal.Key{ID: deal.NewID(deal.KeyID), Role: k.Role, PartnerIDs: k.PartnerIDs, PersonID: k.PersonID, Note: k.Note}
	text := base64.RawURLEncoding.EncodeToString(secret)
	hash := sha256.Sum256([]byte(text))
	k.SecretHash = hash[:]
	_, err := e.submit(ctx, q, func(now time.Time) ([]addition, error) {
		var errs deal.FieldErrors
		for i, id := range k.PartnerIDs {
			if id != "*" && e.view.partners[id] == nil {
				errs.Add(fmt.Sprintf("partner_ids[%d]", i), "there is no partner %q; import it first", id)
			}
		}
		if k.PersonID != "" && e.view.people[k.PersonID] == nil {
			errs.Add("person_id", "there is no person %q; import the person first", k.PersonID)
		}
		if len(errs) > 0 {
			return nil, errs
		}
		k.CreatedAt = now
		return []addition{{entry: store.Entry{Kind: deal.EntryKey, Subject: k.ID}, change: &deal.Change{Keys: []deal.Key{k}}}}, nil
	})
	if err != nil {
		return deal.Key{}, "", err
	}
	return k, tokenPrefix + strings.TrimPrefix(k.ID, deal.KeyID) + "." + text, nil
}

// tokenPrefix lets secret scanners know a token of dibs.
const tokenPrefix = "dibs_"

// RecordWebhook writes into the ledger what is about to be done to a webhook, and by whom. The webhook itself is settings, beside it.
func (e *Engine) RecordWebhook(ctx context.Context, by deal.Actor, kind string, s deal.Subscription) error {
	_, err := e.submit(ctx, Request{Actor: by}, func(time.Time) ([]addition, error) {
		return []addition{{entry: store.Entry{Kind: kind, Subject: s.ID}, change: &deal.Change{Webhooks: []deal.Subscription{s}}}}, nil
	})
	return err
}

// RevokeKey ends a key at once.
func (e *Engine) RevokeKey(ctx context.Context, q Request, id string) error {
	_, err := e.submit(ctx, q, func(now time.Time) ([]addition, error) {
		k, ok := e.view.keys[id]
		if !ok {
			return nil, deal.ErrNotFound
		}
		if !k.RevokedAt.IsZero() {
			return nil, nil
		}
		k.RevokedAt = now
		return []addition{{entry: store.Entry{Kind: deal.EntryKeyRevoked, Subject: id}, change: &deal.Change{Keys: []deal.Key{k}}}}, nil
	})
	return err
}

// abreastWithin is how long the store may take to say how far the ledger is.
const abreastWithin = 3 * time.Second

// abreast brings the view to where the ledger is now, or says deal.ErrUnavailable: for what is answered without a commit.
func (e *Engine) abreast(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, abreastWithin)
	defer cancel()
	head, err := e.cfg.Store.Head(ctx)
	if err != nil {
		return errors.Join(deal.ErrUnavailable, err)
	}
	if !e.broken.Load() && read(e, func(v *view) bool { return v.head == head }) {
		return nil
	}
	_, err = e.submit(ctx, Request{Actor: deal.System}, func(time.Time) ([]addition, error) { return nil, nil })
	return err
}

// Authenticate returns the live key a token belongs to, and whether there is one. The secret is compared by its hash, in
// constant time, also when there is no such key. A key that is not known here may just have been made through another
// replica: the store is asked, once for all who wait, and deal.ErrUnavailable says that it did not answer.
func (e *Engine) Authenticate(ctx context.Context, token string) (deal.Key, bool, error) {
	rest, ok := strings.CutPrefix(token, tokenPrefix)
	id, secret, ok2 := strings.Cut(rest, ".")
	hash := sha256.Sum256([]byte(secret))
	known := func() deal.Key { return read(e, func(v *view) deal.Key { return v.keys[deal.KeyID+id] }) }
	k := known()
	if k.ID == "" && ok && ok2 {
		_, err, _ := e.asking.Do("", func() (any, error) { return nil, e.abreast(context.WithoutCancel(ctx)) })
		if err != nil {
			return deal.Key{}, false, err
		}
		k = known()
	}
	want := k.SecretHash
	if len(want) != len(hash) {
		want = make([]byte, len(hash))
	}
	same := subtle.ConstantTimeCompare(hash[:], want) == 1
	return k, ok && ok2 && same && k.ID != "" && k.RevokedAt.IsZero(), nil
}

// decision reads a decision from its entry.
func (e *Engine) decision(ctx context.Context, seq uint64) (deal.Decision, error) {
	return decisionAt(ctx, e.cfg.Store, seq)
}

func decisionAt(ctx context.Context, st store.Store, seq uint64) (deal.Decision, error) {
	entry, err := st.Entry(ctx, seq)
	if err != nil {
		return deal.Decision{}, err
	}
	c, err := deal.DecodeChange(entry.Body)
	if err != nil || c.Decision == nil {
		return deal.Decision{}, errors.Join(fmt.Errorf("entry %d holds no decision", seq), err)
	}
	return *c.Decision, nil
}

// Registration returns a registration as of now with its current decision and case, personal data joined.
func (e *Engine) Registration(ctx context.Context, id string) (deal.Registration, deal.Decision, *deal.Case, error) {
	e.ripen(ctx, id)
	r, current, file, err := e.recorded(ctx, id)
	if err != nil {
		return r, deal.Decision{}, nil, err
	}
	personal, err := e.cfg.Store.Personal(ctx, r.PersonalEntry())
	if err != nil {
		return r, deal.Decision{}, nil, err
	}
	r.Filing.JoinPersonal(store.Values(personal))
	r.Status = r.StatusAt(e.now())
	return r, current, file, nil
}

// recorded returns a registration as the ledger left it, without personal data, with its current decision and case.
func (e *Engine) recorded(ctx context.Context, id string) (r deal.Registration, current deal.Decision, file *deal.Case, err error) {
	if r, err = e.cfg.Store.Registration(ctx, id); err != nil {
		return r, current, nil, err
	}
	seqs, err := e.cfg.Store.DecisionSeqs(ctx, id)
	if err != nil {
		return r, current, nil, err
	}
	if len(seqs) == 0 {
		return r, current, nil, fmt.Errorf("registration %s has no decision", id)
	}
	if current, err = e.decision(ctx, seqs[len(seqs)-1]); err != nil || r.CaseID == "" {
		return r, current, nil, err
	}
	c, err := e.cfg.Store.Case(ctx, r.CaseID)
	return r, current, &c, err
}

// Decisions returns all decisions of a registration, oldest first.
func (e *Engine) Decisions(ctx context.Context, registrationID string) ([]deal.Decision, error) {
	seqs, err := e.cfg.Store.DecisionSeqs(ctx, registrationID)
	if err != nil {
		return nil, err
	}
	out := make([]deal.Decision, len(seqs))
	for i, seq := range seqs {
		if out[i], err = e.decision(ctx, seq); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Receipt returns the receipt of a registration's current decision: the same bytes the answer carried.
func (e *Engine) Receipt(ctx context.Context, registrationID string) (ledger.Receipt, error) {
	seqs, err := e.cfg.Store.DecisionSeqs(ctx, registrationID)
	if err != nil {
		return ledger.Receipt{}, err
	}
	if len(seqs) == 0 {
		return ledger.Receipt{}, deal.ErrNotFound
	}
	return e.Proof(ctx, seqs[len(seqs)-1])
}

// Proof returns the receipt of any entry.
func (e *Engine) Proof(ctx context.Context, seq uint64) (ledger.Receipt, error) {
	return ReceiptOf(ctx, e.cfg.Store, e.cfg.Signer, seq)
}

// Checkpoint returns the signed checkpoint of the present head, as C2SP tlog-checkpoint text.
func (e *Engine) Checkpoint(ctx context.Context) (string, error) {
	head, err := e.cfg.Store.Head(ctx)
	if err != nil {
		return "", err
	}
	return e.cfg.Signer.Sign(head.Seq, head.Root)
}

// Readiness says whether a decision could be made now.
type Readiness struct {
	Ready    bool   `json:"ready"`
	Position uint64 `json:"position"` // sequence the view has applied
	Head     uint64 `json:"head"`     // sequence of the store's head
	Accounts int    `json:"accounts"`
	Claims   int    `json:"claims"`
	Policy   string `json:"policy"`
	Plan     string `json:"territories"`
	Lines    int    `json:"lines"`            // product lines of the catalogue and the policy; none: any word is one
	Detail   string `json:"detail,omitempty"` // why not ready, or what is missing
	Lag      uint64 `json:"lag"`              // entries of the store that the view has not applied
	Source   string `json:"source"`           // what the accounts were read from at the start: redis or store
	Redis    string `json:"redis"`            // off, up or down; the service is ready with any

	HeadAt time.Time `json:"-"` // when the last entry was written
}

// Ready asks the store.
func (e *Engine) Ready(ctx context.Context) Readiness {
	superseded := false
	out := read(e, func(v *view) Readiness {
		superseded = v.superseded()
		r := Readiness{Position: v.head.Seq, Accounts: v.accounts.Len(), Claims: len(v.claims), Redis: "off"}
		var lacks []string
		if v.plan != nil {
			r.Plan = refText(v.plan.Ref())
		} else {
			lacks = append(lacks, "no territory plan is published")
		}
		if v.policy != nil {
			r.Policy, r.Lines = refText(v.policy.Ref()), len(v.lines())
			if r.Lines == 0 {
				lacks = append(lacks, "there is no product line, neither in the catalogue nor in the policy: any word is one")
			}
		}
		r.Detail = strings.Join(lacks, "; ")
		return r
	})
	head, err := e.cfg.Store.Head(ctx)
	switch {
	case err != nil:
		out.Detail = "the store cannot be asked"
	case superseded:
		out.Head, out.Detail = head.Seq, errSuperseded.Error()
	case e.broken.Load():
		out.Head, out.Detail = head.Seq, "the world could not be read from the store; see the log"
	default:
		out.Ready, out.Head = true, head.Seq
	}
	if err == nil {
		out.HeadAt = head.At
	}
	if out.Head > out.Position {
		out.Lag = out.Head - out.Position
	}
	out.Source = e.source.Load().(string)
	if e.cfg.Peers != nil {
		out.Redis = e.cfg.Peers.State()
	}
	return out
}

func refText(r deal.DocumentRef) string { return fmt.Sprintf("%s@%d", r.Name, r.Version) }
