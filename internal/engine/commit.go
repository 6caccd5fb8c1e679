package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/store"
)

const (
	// maxBatch is how many waiting requests one commit takes: enough that its fixed cost disappears, few enough that
	// nobody waits long for the others.
	maxBatch = 256
	// followEvery is how often the view is brought up to what other processes have committed, and windows that have
	// ended are written down, while nobody asks for anything.
	followEvery = 100 * time.Millisecond
	// A commit that the store says is worth trying again is: after firstWait, then after twice as long, and so on, until
	// retryFor has passed since the first try. A restart of a database takes about as long.
	firstWait = 25 * time.Millisecond
	retryFor  = 3 * time.Second
)

// addition is one entry to be appended.
type addition struct {
	entry    store.Entry
	change   *deal.Change
	events   []store.Event
	number   bool               // the entry takes the next registration number
	again    []string           // registrations that are decided again after the entry, by the rules
	frees    string             // the customer whose line moves up after that; empty: nobody's
	lines    []string           // customers whose lines are decided again after the entry
	revokes  []string           // registrations that are revoked after the entry, by whom it is of
	standing []string           // partners whose status has changed
	won      *deal.Registration // a deal that is won, for which others wait no more
}

// proposal is one request on its way through the committer.
type proposal struct {
	ctx     context.Context
	request Request
	// about are the registration or case that is asked about: what is due of them is written before apply is asked.
	about []string
	// apply derives, from the view as it is under the lock, what is to be appended. It changes nothing.
	apply func(now time.Time) ([]addition, error)

	entry    store.Entry // the entry that answers the request
	sealed   *sealed     // how to prove it; nil for one that was answered before
	replayed bool
	err      error
	done     chan struct{}
}

func (p *proposal) key() store.IdemKey {
	return store.IdemKey{KeyID: p.request.Actor.KeyID, Key: p.request.IdemKey}
}

// sealed proves the entries of one commit without asking the store.
type sealed struct {
	size  uint64
	root  ledger.Hash
	nodes map[int64]ledger.Hash
	edge  *ledger.Tree // before the commit
}

func (s *sealed) read(indexes []int64) ([]ledger.Hash, error) {
	out := make([]ledger.Hash, len(indexes))
	for i, x := range indexes {
		if h, ok := s.nodes[x]; ok {
			out[i] = h
			continue
		}
		h, err := s.edge.ReadHashes([]int64{x})
		if err != nil {
			return nil, err
		}
		out[i] = ledger.Hash(h[0])
	}
	return out, nil
}

// submit hands a proposal to the committer and waits for its end. A caller that stops waiting learns nothing of the
// outcome; its request may still be committed, and a retry with the same key will find it.
func (e *Engine) submit(ctx context.Context, q Request, apply func(now time.Time) ([]addition, error), about ...string) (*proposal, error) {
	p, err := e.enqueue(ctx, q, apply, about...)
	if err != nil {
		return nil, err
	}
	return p, e.wait(ctx, p)
}

// enqueue hands a proposal to the committer. Proposals are taken in the order in which one caller enqueues them.
func (e *Engine) enqueue(ctx context.Context, q Request, apply func(now time.Time) ([]addition, error), about ...string) (*proposal, error) {
	p := &proposal{ctx: ctx, request: q, about: about, apply: apply, done: make(chan struct{})}
	select {
	case <-e.closing: // checked alone first: select picks at random among what is ready
		return nil, deal.ErrUnavailable
	default:
	}
	select {
	case e.queue <- p:
		return p, nil
	case <-e.closing:
		return nil, deal.ErrUnavailable
	case <-ctx.Done():
		return nil, errors.Join(deal.ErrUnavailable, ctx.Err())
	}
}

// wait returns the proposal's error when the committer is done with it.
func (e *Engine) wait(ctx context.Context, p *proposal) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return errors.Join(deal.ErrUnavailable, ctx.Err())
	case <-e.stopped:
		select {
		case <-p.done:
			return p.err
		default: // it came into the queue as the committer left
			return deal.ErrUnavailable
		}
	}
}

// run is the committer: the only goroutine that changes the view.
func (e *Engine) run() {
	defer close(e.stopped)
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	signal := signal{wake: e.wake()}
	for {
		var batch []*proposal
		select {
		case p := <-e.queue:
			batch = append(batch, p)
		case <-tick.C:
			e.follow()
			continue
		case <-signal.wake:
			before := e.view.head.Seq
			e.follow()
			signal.heard(e.view.head.Seq > before)
			continue
		case <-signal.pause:
			signal.wake, signal.pause = e.wake(), nil
			continue
		case to := <-e.pictures:
			to <- e.picture()
			continue
		case <-e.closing:
			// Whoever got into the queue is answered; nobody else gets in.
			for {
				select {
				case p := <-e.queue:
					e.commit([]*proposal{p})
				default:
					return
				}
			}
		}
		for len(batch) < maxBatch {
			select {
			case p := <-e.queue:
				batch = append(batch, p)
				continue
			default:
			}
			break
		}
		e.commit(batch)
	}
}

// signal is what others say has been committed. It is not believed but looked up, and one that was wrong makes deaf for
// a while, so that a liar costs little; what is missed then is found at the next tick.
type signal struct {
	wake  <-chan struct{}  // nil while deaf
	pause <-chan time.Time // ends the deafness
	deaf  time.Duration    // how long, the last time
}

func (s *signal) heard(right bool) {
	if right {
		s.deaf = 0
		return
	}
	s.deaf = min(max(2*s.deaf, time.Millisecond), followEvery)
	s.wake, s.pause = nil, time.After(s.deaf)
}

func (e *Engine) wake() <-chan struct{} {
	if e.cfg.Peers == nil {
		return nil
	}
	return e.cfg.Peers.Wake()
}

// moved tells the others' messenger where the view is.
func (e *Engine) moved(own bool) {
	e.reached.Store(e.view.head.Seq)
	if e.cfg.Peers != nil {
		e.cfg.Peers.Moved(e.view.head, own)
	}
}

// follow keeps an idle view current.
func (e *Engine) follow() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	head, err := e.cfg.Store.Head(ctx)
	if was := e.lost; was != (err != nil) { // said once, not ten times a second
		e.lost = !was
		if e.lost {
			e.log.Error("the ledger cannot be followed; the store is asked again until it answers", "error", err)
		} else {
			e.log.Info("the ledger is followed again")
		}
	}
	switch {
	case err != nil:
	case e.broken.Load():
		e.reload(errBroken)
	case head != e.view.head:
		if err := e.catchUp(ctx, head, e.cfg.Store.Entries(ctx, e.view.head.Seq)); err != nil {
			e.reload(err)
		}
	}
	if end := e.view.nextEnd(); (!end.IsZero() && !e.now().Before(end) || e.view.turns(e.now())) && !e.view.superseded() {
		e.commit(nil)
	}
}

// commit answers the proposals of one batch: all of them in one transaction, or, if that fails for a reason one of
// them may have brought in, each alone.
func (e *Engine) commit(batch []*proposal) {
	live := batch[:0:0]
	for _, p := range batch {
		if err := p.ctx.Err(); err != nil {
			p.err = errors.Join(deal.ErrUnavailable, err)
			close(p.done)
			continue
		}
		live = append(live, p)
	}
	if len(batch) > 0 && len(live) == 0 {
		return
	}
	err := e.commitAgain(live)
	switch {
	case err == nil:
	case errors.Is(err, errSuperseded):
		for _, p := range live {
			p.err = errors.Join(deal.ErrUnavailable, err)
		}
	case errors.Is(err, store.ErrRetry): // none of them is at fault
		e.log.Error("commit failed", "error", err, "requests", len(live))
		for _, p := range live {
			p.err = errors.Join(deal.ErrUnavailable, err)
		}
	case errors.Is(err, store.ErrUnknown):
		e.log.Error("commit: outcome unknown; reading the ledger again", "error", err, "requests", len(live))
		e.reload(err)
		for _, p := range live {
			p.err = errors.Join(deal.ErrUnavailable, err)
		}
	case len(live) > 1:
		e.log.Warn("commit failed; trying each request alone", "error", err, "requests", len(live))
		e.reload(err)
		for i, p := range live {
			e.commit([]*proposal{p})
			if errors.Is(p.err, store.ErrRetry) {
				for _, next := range live[i+1:] { // they would only wait as long, one after the other
					next.err = p.err
					close(next.done)
				}
				return
			}
		}
		return
	default:
		e.log.Error("commit failed", "error", err)
		e.reload(err)
		for _, p := range live {
			p.err = errors.Join(deal.ErrUnavailable, err)
		}
	}
	for i, p := range live {
		close(p.done)
		if i == len(live)/2 {
			store.Point("half-answered")
		}
	}
}

// errDiverged: what the view holds is not a prefix of the ledger.
var errDiverged = errors.New("the view is not a prefix of the ledger")

// errBroken: the world had to be read again, and could not.
var errBroken = errors.New("the world could not be read")

// commitAgain commits, again and again while the store asks for it, for retryFor. Reading the world again, which may take longer than that,
// is not counted: after it the commit is tried.
func (e *Engine) commitAgain(batch []*proposal) error {
	began := time.Now()
	for wait := firstWait; ; wait *= 2 {
		err := e.commitOnce(batch)
		if !errors.Is(err, store.ErrRetry) {
			return err
		}
		if e.dirty {
			at := time.Now()
			e.reload(err)
			began = began.Add(time.Since(at))
		}
		if time.Since(began)+wait > retryFor {
			return err
		}
		e.log.Warn("commit failed; trying again", "error", err, "requests", len(batch))
		time.Sleep(wait)
	}
}

func (e *Engine) commitOnce(batch []*proposal) (err error) {
	if e.view == nil || e.broken.Load() {
		e.reload(errBroken)
		if e.broken.Load() {
			return fmt.Errorf("%w: the world cannot be read from the store", store.ErrRetry)
		}
	}
	// The commit is not the caller's to cut short: once begun it runs to a known end, within the store's own limits.
	ctx, done := e.observed(batch)
	defer func() { done(err) }()
	var seal *sealed
	var after *ledger.Tree
	var next store.Head // after the commit
	store.Point("begin")
	err = e.cfg.Store.Commit(ctx, func(ctx context.Context, l store.Locked) (store.Append, error) {
		store.Point("locked")
		e.dirty = true
		head := l.Head()
		if head != e.view.head {
			if err := e.catchUp(ctx, head, l.Entries(ctx, e.view.head.Seq)); err != nil {
				return store.Append{}, err
			}
		}
		store.Point("caught-up")
		if e.view.superseded() && !slices.ContainsFunc(batch, func(p *proposal) bool { return p.request.starts }) {
			return store.Append{}, errSuperseded // the view is a true prefix of the ledger and stays
		}
		var keys []store.IdemKey
		for _, p := range batch {
			if p.request.IdemKey != "" {
				keys = append(keys, p.key())
			}
		}
		answered, err := l.Answered(ctx, keys)
		if err != nil {
			return store.Append{}, fmt.Errorf("looking up what was answered before: %w", err)
		}
		b, err := store.NewBatch(head, e.view.tree)
		if err != nil {
			return store.Append{}, err
		}
		now := e.now()
		if now.Before(head.At) {
			now = head.At
		}
		if err := e.takeEffect(b, now); err != nil {
			return store.Append{}, err
		}
		if err := e.expire(b, now); err != nil {
			return store.Append{}, err
		}
		for _, p := range batch {
			p.err, p.replayed = nil, false
			if prior, ok := answered[p.key()]; ok && p.request.IdemKey != "" {
				if !bytes.Equal(prior.RequestHash, p.request.Hash) {
					p.err = deal.ErrKeyReused
					continue
				}
				p.entry, p.replayed = prior, true
				continue
			}
			entry, err := e.applyOne(b, p, now)
			if err != nil {
				if errors.Is(err, errBatch) {
					return store.Append{}, err
				}
				p.err = err
				continue
			}
			p.entry = entry
			if p.request.IdemKey != "" {
				answered[p.key()] = entry
			}
		}
		if b.Len() == 0 {
			return store.Append{}, nil
		}
		add, tree, err := b.Done()
		if err != nil {
			return store.Append{}, err
		}
		seal = &sealed{size: tree.Size(), root: add.Head.Root, nodes: make(map[int64]ledger.Hash, len(add.Nodes)), edge: e.view.tree}
		for _, n := range add.Nodes {
			seal.nodes[n.Index] = n.Hash
		}
		after = tree
		next = add.Head
		store.Point("decided")
		return add, nil
	})
	if err != nil {
		return err
	}
	store.Point("committed")
	e.dirty = false
	for _, p := range batch {
		p.request.watch.lap(StageWrite)
	}
	if seal == nil && slices.ContainsFunc(batch, func(p *proposal) bool { return p.err == nil && !p.request.starts }) {
		if err := e.settle(ctx, e.view.head.Seq, e.view.head.Chain); err != nil { // what they are told was found in the ledger
			return errors.Join(store.ErrUnknown, err)
		}
	}
	if seal != nil {
		e.safe(next.Seq)
		e.view.mu.Lock()
		e.view.anchor(next, after)
		e.view.mu.Unlock()
		e.moved(true)
	}
	for _, p := range batch {
		if p.err == nil && seal != nil && p.entry.Size == 0 { // written by this commit, itself or by its twin in the batch
			p.sealed, p.entry.Size = seal, seal.size
		}
	}
	return nil
}

// errBatch: the batch itself, not one request, is at fault.
var errBatch = errors.New("batch")

// applyOne derives one proposal's entries, adds them to the batch and to the view. A proposal that fails, or panics,
// leaves both as they were.
func (e *Engine) applyOne(b *store.Batch, p *proposal, now time.Time) (entry store.Entry, err error) {
	additions, err := e.derive(b, p, now)
	if err != nil {
		return store.Entry{}, err
	}
	for i, a := range additions {
		a.entry.At, a.entry.Actor = now, p.request.Actor
		if i == 0 {
			a.entry.IdemKey, a.entry.RequestHash = p.request.IdemKey, p.request.Hash
		}
		if err := e.add(b, a); err != nil {
			return store.Entry{}, errors.Join(errBatch, err)
		}
		if i == 0 {
			a.entry.Seq = b.Head().Seq
			entry = a.entry
			entry.Leaf = b.Last().Leaf
		}
		if err := e.follows(b, a, now); err != nil {
			return store.Entry{}, errors.Join(errBatch, err)
		}
	}
	return entry, nil
}

// derive derives a proposal's entries, after what is due of that on which they rest.
func (e *Engine) derive(b *store.Batch, p *proposal, now time.Time) ([]addition, error) {
	if err := e.writeDue(b, e.view.dueOf(p.about, now), now); err != nil {
		return nil, errors.Join(errBatch, err)
	}
	for {
		additions, err := e.deriveOnce(p, now)
		if err != nil {
			return nil, err
		}
		rests := e.view.rests(additions, now)
		if rests.none() {
			return additions, nil
		}
		if err := e.writeDue(b, rests, now); err != nil {
			return nil, errors.Join(errBatch, err)
		}
	}
}

// writeDue writes what is due, and what follows from it.
func (e *Engine) writeDue(b *store.Batch, d due, now time.Time) error {
	for _, key := range d.customers {
		if err := e.writeEnds(b, e.view.takeLateOf(key, now), now); err != nil {
			return err
		}
	}
	for _, id := range d.cases {
		for k := e.view.dueCase(id, now); k != nil; k = e.view.dueCase(id, now) {
			if err := e.tick(b, *k, now); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Engine) deriveOnce(p *proposal, now time.Time) (_ []addition, err error) {
	defer func() {
		if r := recover(); r != nil {
			e.log.Error("a request could not be decided", "panic", r, "stack", stack())
			err = errors.Join(deal.ErrUnavailable, fmt.Errorf("internal error: %v", r))
		}
	}()
	return p.apply(now)
}

// add seals one entry and brings the view up to it, so that the next request of the batch sees it.
func (e *Engine) add(b *store.Batch, a addition) error {
	if a.number {
		b.Number()
	}
	if people := a.change.Personal(); len(people) > 0 {
		secrets, err := salted(people)
		if err != nil {
			return err
		}
		a.entry.Personal = append(a.entry.Personal, secrets...)
	}
	if err := b.Add(a.entry, a.change, a.events...); err != nil {
		return err
	}
	e.view.mu.Lock()
	defer e.view.mu.Unlock()
	h := b.Head()
	e.view.head.Registrations, e.view.head.Seq = h.Registrations, h.Seq
	return e.view.apply(a.change)
}

// endsAtOnce is about how many ends one commit writes, and of how many clocks of cases what follows. Many windows end together, at midnight,
// and many clocks at the close of a business day, and whoever registers then must not wait for all of them: the others are written by the
// commits after it.
const endsAtOnce = 50

// expire writes ends of windows that have ended and what follows from clocks of cases that have run out. An end that has not been written yet
// holds nothing, and before anything is decided that rests on an end or on a case whose clock has run out (view.rests), it is written, with
// what follows from it for others.
func (e *Engine) expire(b *store.Batch, now time.Time) error {
	e.view.fallDue(now)
	if err := e.writeEnds(b, e.view.takeLate(endsAtOnce, now), now); err != nil {
		return err
	}
	return e.ring(b, now)
}

// writeEnds writes the ends of windows, of whole customers. All ends come before the first promotion: a promotion grants what has ended,
// written or not.
func (e *Engine) writeEnds(b *store.Batch, due []*deal.Registration, now time.Time) error {
	due, err := e.writeMisses(b, due, now)
	if err != nil {
		return err
	}
	var returned []string
	gone := make([]deal.Registration, len(due))
	for i, r := range due {
		if gone[i] = *r; r.Status == deal.StatusReturned {
			returned = append(returned, r.ID)
			continue
		}
		a, err := e.ended(&gone[i], b.NextSeq(), now)
		if err != nil {
			return err
		}
		if err := e.add(b, a); err != nil {
			return err
		}
	}
	promoted := map[string]bool{}
	for _, id := range returned {
		if err := e.uncompleted(b, id, now); err != nil {
			return err
		}
	}
	for i := range gone {
		if key := gone[i].CustomerRef.Key(); !promoted[key] {
			promoted[key] = true
			if err := e.promote(b, key, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeMisses writes the milestones that were missed and end nothing, and returns the claims that have ended besides: nobody may have been at
// work for long.
func (e *Engine) writeMisses(b *store.Batch, due []*deal.Registration, now time.Time) (ended []*deal.Registration, err error) {
	for _, r := range due {
		for m := r.NextMilestone(); r.Status != deal.StatusEscalated && m != nil && m.OnMiss != deal.OnMissExpire && !now.Before(m.DueAt) && m.DueAt.Before(r.Protection.EndsAt); m = r.NextMilestone() {
			missed := *r
			a, err := e.ended(&missed, b.NextSeq(), now)
			if err != nil {
				return nil, err
			}
			if err := e.add(b, a); err != nil {
				return nil, err
			}
			r = e.view.claims[r.ID]
		}
		if !now.Before(endOf(r)) {
			ended = append(ended, r)
		}
	}
	return ended, nil
}

// maxPromotions bounds how many of those in line are decided again when holders of one customer go.
const maxPromotions = 100

// promote decides those again who wait in line for the customer, in the order the policy says. Who still has to wait is
// left where it is.
func (e *Engine) promote(b *store.Batch, customer string, now time.Time) error {
	line := e.view.lineOf(customer)
	for _, id := range line[:min(len(line), maxPromotions)] {
		waiting := e.view.claims[id]
		if waiting == nil || waiting.Status != deal.StatusWaitlisted || !waiting.ClaimAt(now) {
			continue
		}
		if err := e.decideAgain(b, waiting, now); err != nil {
			return err
		}
	}
	return nil
}

// catchUp applies entries that others have committed, and checks that the view is then what the ledger says.
func (e *Engine) catchUp(ctx context.Context, head store.Head, entries func(func(store.Entry, error) bool)) error {
	if head.Seq < e.view.head.Seq {
		return fmt.Errorf("%w: the view is at %d, the ledger ends at %d", errDiverged, e.view.head.Seq, head.Seq)
	}
	tree := e.view.tree.Clone()
	at := e.view.head
	for entry, err := range entries {
		if err != nil {
			return err
		}
		if entry.Seq > head.Seq {
			break
		}
		if entry.Seq != at.Seq+1 || entry.Chain != ledger.Chain(at.Chain, entry.Leaf) {
			return fmt.Errorf("%w: entry %d does not follow entry %d", errDiverged, entry.Seq, at.Seq)
		}
		if entry.Kind == deal.EntryRecords {
			if entry.Personal, err = e.cfg.Store.Personal(ctx, entry.Seq); err != nil {
				return err
			}
		}
		change, err := store.StateOf(&entry)
		if err != nil {
			return err
		}
		if _, err := tree.Append(entry.Leaf); err != nil {
			return err
		}
		e.view.mu.Lock()
		err = e.view.apply(change)
		e.view.mu.Unlock()
		if err != nil {
			return fmt.Errorf("entry %d: %w", entry.Seq, err)
		}
		at.Seq, at.Chain = entry.Seq, entry.Chain
	}
	if at.Seq != head.Seq || at.Chain != head.Chain {
		return fmt.Errorf("%w: at entry %d", errDiverged, at.Seq)
	}
	e.view.mu.Lock()
	e.view.anchor(head, tree)
	e.view.mu.Unlock()
	e.moved(false)
	return nil
}
