package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dibs-deals/dibs/internal/book"
	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/store"
)

// origin is the accounts as they were at an entry, and their index: what the world can be read on top of.
type origin struct {
	store.Base
	accounts *book.Book
	index    *match.Index
}

// load reads the world at one instant, on top of what is known of the accounts (nil: nothing), which becomes the view's.
// store.ErrBase: what is known is of another history. errDiverged: it does not fit together. After any other error the
// origin is as it was.
func load(ctx context.Context, st store.Store, m *match.Model, on *origin) (*view, error) {
	l := &loader{v: newView(m)}
	var base store.Base
	if on != nil {
		base = on.Base
		l.v.accounts, l.v.accountIndex = on.accounts, on.index
		l.changed = map[string]*deal.Account{}
	} else {
		l.begin()
	}
	defer l.end()
	head, err := st.Load(ctx, l, base)
	if err != nil {
		return nil, err
	}
	edge, err := st.Nodes(ctx, ledger.EdgeIndexes(head.Seq))
	if err != nil {
		return nil, fmt.Errorf("edge of the Merkle tree: %w", err)
	}
	tree, err := ledger.OpenTree(head.Seq, edge)
	if err != nil {
		return nil, err
	}
	if root, err := tree.Root(); err != nil || head.Seq > 0 && root != head.Root {
		return nil, errors.Join(fmt.Errorf("the stored hashes do not lead to the root of entry %d: run dibs audit verify", head.Seq), err)
	}
	if err := l.finish(); err != nil {
		return nil, err
	}
	l.v.anchor(head, tree)
	return l.v, nil
}

// readWorld reads the world and makes it the engine's: on top of a snapshot, if one is to be had that the store vouches for.
func (e *Engine) readWorld(ctx context.Context) error {
	if p := e.cfg.Peers; p != nil {
		from := time.Now()
		on, err := e.fetch(ctx)
		var v *view
		if on != nil {
			v, err = load(ctx, e.cfg.Store, e.model, on)
		}
		if v != nil {
			p.Loaded(true, nil)
			e.log.Info("the world was read on top of a snapshot", "snapshot", on.Seq, "from", p.Source(), "position", v.head.Seq, "accounts", v.accounts.Len(), "took", time.Since(from))
			e.take(v, p.Source())
			return nil
		}
		p.Loaded(false, err)
		if err != nil {
			e.log.Warn("a snapshot was refused; reading from the store", "cause", err)
		}
	}
	from := time.Now()
	v, err := load(ctx, e.cfg.Store, e.model, nil)
	if err != nil {
		return err
	}
	e.log.Info("the world was read from the store", "position", v.head.Seq, "accounts", v.accounts.Len(), "took", time.Since(from))
	e.take(v, "store")
	return nil
}

func (e *Engine) take(v *view, source string) {
	e.view = v
	e.current.Store(v)
	e.source.Store(source)
	e.moved(false)
}

// reload throws the view away and reads the world again. While that is not possible nothing is decided. Accounts that
// hold nothing that was not committed are kept: what is missing of them is read on top.
func (e *Engine) reload(cause error) {
	e.log.Warn("reading the world again", "cause", cause)
	ctx, cancel := context.WithTimeout(context.Background(), readFor)
	defer cancel()
	err := store.ErrBase
	e.strange = e.strange || errors.Is(cause, errDiverged)
	if on := e.view.origin(); on != nil && !e.strange {
		var v *view
		if v, err = load(ctx, e.cfg.Store, e.model, on); err == nil {
			e.take(v, e.source.Load().(string))
		}
	}
	if errors.Is(err, store.ErrBase) || errors.Is(err, errDiverged) {
		err = e.readWorld(ctx)
	}
	if err != nil {
		e.log.Error("the world cannot be read; no decision is made until it can", "error", err)
	}
	e.broken.Store(err != nil)
	e.dirty, e.strange = e.dirty && err != nil, e.strange && err != nil
}

// readFor bounds the reading of the world: longer than ten million accounts take.
const readFor = 5 * time.Minute

// origin returns the accounts of the view as an origin, or nil when they hold what may not have been committed. Who reads
// on top of it shares the view's index.
func (v *view) origin() *origin {
	if v.changes != v.anchored {
		return nil
	}
	return &origin{Base: v.base, accounts: v.accounts.Clone(), index: v.accountIndex}
}

// loader fills a view from a store. Of what is indexed it makes the indexes at once: of accounts while they are read, of
// the others at the end.
type loader struct {
	v *view

	// Without an origin: the accounts, and the way of each to the index.
	build *book.Builder
	batch []*deal.Account
	feed  chan []*deal.Account
	fed   chan struct{}

	changed map[string]*deal.Account // on top of an origin: what has become of accounts; nil: deleted

	opportunities, claims []match.Record
}

// feedBatch is how many accounts go to the index together.
const feedBatch = 256

func (l *loader) begin() {
	l.build, l.feed, l.fed = book.NewBuilder(), make(chan []*deal.Account, 16), make(chan struct{})
	go func() {
		defer close(l.fed)
		l.v.accountIndex.Load(func(yield func(match.Record) bool) {
			for batch := range l.feed {
				for _, a := range batch {
					if !yield(match.FromAccount(a)) {
						return
					}
				}
			}
		})
	}()
}

// end ends what begin began.
func (l *loader) end() {
	if l.feed != nil {
		close(l.feed)
		<-l.fed
		l.feed = nil
	}
}

// finish makes what is made at the end.
func (l *loader) finish() error {
	v := l.v
	if l.build != nil {
		l.feed <- l.batch
		v.accounts = l.build.Book()
		l.end()
	}
	var put []*deal.Account
	for id, a := range l.changed {
		if a == nil {
			v.deleteRecord(deal.RecordRef{Kind: deal.Accounts, Key: id})
			continue
		}
		v.putRecord(a)
		put = append(put, a)
	}
	v.indexAccounts(put)
	v.oppIndex.Load(slices.Values(l.opportunities))
	v.claimIndex.Load(slices.Values(l.claims))
	if n := v.accountIndex.Len(); n != v.accounts.Len() {
		return fmt.Errorf("%w: %d accounts and %d in their index", errDiverged, v.accounts.Len(), n)
	}
	return nil
}

func (l *loader) Document(d deal.Document) error { return l.v.putDocument(d) }
func (l *loader) Key(k deal.Key) error           { l.v.keys[k.ID] = k; return nil }
func (l *loader) Case(k deal.Case) error         { l.v.putCase(&k); return nil }
func (l *loader) Finding(f deal.Finding) error   { l.v.putFinding(&f); return nil }

func (l *loader) Record(r deal.Record) error {
	switch r := r.(type) {
	case *deal.Account:
		if l.changed != nil {
			l.changed[r.ID] = r
			return nil
		}
		l.build.Add(r)
		if l.batch = append(l.batch, r); len(l.batch) == feedBatch {
			l.feed <- l.batch
			l.batch = make([]*deal.Account, 0, feedBatch)
		}
	case *deal.Opportunity:
		l.v.opportunities[r.ID] = r
		if r.AccountID != "" {
			insertSorted(l.v.oppsOf, r.AccountID, r.ID)
		} else {
			l.opportunities = append(l.opportunities, opportunityRecord(r))
		}
	default:
		l.v.putRecord(r)
	}
	return nil
}

func (l *loader) Deleted(d deal.RecordRef) error { l.changed[d.Key] = nil; return nil }

func (l *loader) Registration(r deal.Registration) error {
	if l.v.keepClaim(&r) {
		l.claims = append(l.claims, claimRecord(&r))
	}
	return nil
}
