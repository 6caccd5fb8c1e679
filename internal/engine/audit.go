package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/store"
)

// Problem is something in a database that is not as the ledger says.
type Problem struct {
	Seq    uint64 `json:"sequence,omitempty"` // the entry concerned, if one is
	What   string `json:"what"`
	Detail string `json:"detail"`
}

// Report is the result of an audit.
type Report struct {
	Entries  uint64    `json:"entries"`
	Root     string    `json:"root"`
	Problems []Problem `json:"problems"`
	Unseen   string    `json:"unseen,omitempty"` // what could not be looked at, and why

	// Erased counts the pieces of personal data of which only the commitment is left, and ErasedOf has the entries they were of: the first
	// maxErased. To erase is an operator's to do and no entry: that it was lawful, whoever asked for it knows.
	Erased   int      `json:"erased"`
	ErasedOf []uint64 `json:"erased_of,omitempty"`
}

const maxErased = 100

// maxProblems bounds a report: a database that is wrong everywhere is described well enough by its first faults.
const maxProblems = 100

// Verify derives everything that can be derived from the entries of the ledger and compares it with what is stored:
// leaves, chain, Merkle hashes, head, personal data against its commitments, and every row that is a projection of the
// entries. And the schema: that the database would still refuse what it is to refuse. It needs no engine and no key, and writes nothing.
func Verify(ctx context.Context, st store.Store) (Report, error) {
	a := auditor{state: map[string][]byte{}, events: map[string]told{}, webhooks: map[string][]deal.Subscription{}, since: math.MaxUint64}
	head, err := st.Head(ctx)
	if err != nil {
		return a.Report, err
	}
	tree := ledger.NewTree()
	var nodes []ledger.Node
	var at store.Head
	now, size := time.Time{}, uint64(0)
	for e, err := range st.Entries(ctx, 0) {
		if err != nil {
			return a.Report, err
		}
		if e.Seq > head.Seq {
			break // committed while we read
		}
		a.Entries++
		if e.Seq != at.Seq+1 {
			a.found(e.Seq, "sequence", "entry %d follows entry %d", e.Seq, at.Seq)
		}
		if e.Personal, err = st.Personal(ctx, e.Seq); err != nil {
			return a.Report, err
		}
		a.leaf(&e, at.Chain)
		if want := ledger.Chain(at.Chain, e.Leaf); e.Chain != want {
			a.found(e.Seq, "chain", "stored %x, derived %x", e.Chain, want)
		}
		if e.At.Before(now) {
			a.found(e.Seq, "time", "%s is before the entry before it", e.At)
		}
		added, err := tree.Append(e.Leaf)
		if err != nil {
			return a.Report, err
		}
		nodes = append(nodes, added...)
		switch { // the entries of one commit have the size of the tree after it
		case e.Size < e.Seq || e.Size > head.Seq:
			a.found(e.Seq, "size", "the receipt is against a tree of %d entries, of %d", e.Size, head.Seq)
		case e.Seq <= size && e.Size != size:
			a.found(e.Seq, "size", "the receipt is against a tree of %d entries, and that of the entry before, of the same commit, of %d: one of them has been changed", e.Size, size)
		}
		size = max(size, e.Size)
		c, err := store.ChangeOf(&e)
		if err != nil {
			a.found(e.Seq, "body", "%v", err)
		} else {
			a.fold(e.Seq, c)
			for _, s := range c.Webhooks {
				a.webhooks[s.ID] = append(a.webhooks[s.ID], s)
			}
			for _, ev := range c.Events {
				a.events[ev.ID] = told{e.Seq, e.At, ev.Digest}
			}
		}
		at.Seq, at.Chain, now = e.Seq, e.Chain, e.At
	}
	root, err := tree.Root()
	if err != nil {
		return a.Report, err
	}
	a.Root = fmt.Sprintf("%x", root)
	if head.Seq > 0 && (!head.At.Equal(now) || head.Registrations != a.numbered()) {
		a.found(0, "head", "head says %s and %d registrations; the entries say %s and %d", head.At, head.Registrations, now, a.numbered())
	}
	if head.Seq != at.Seq || head.Chain != at.Chain || head.Seq > 0 && head.Root != root {
		a.found(0, "head", "head is entry %d, chain %x, root %x; the entries lead to %d, %x, %x", head.Seq, head.Chain, head.Root, at.Seq, at.Chain, root)
	}
	if err := a.nodes(ctx, st, nodes); err != nil {
		return a.Report, err
	}
	told := len(a.Problems) == 0
	if err := a.tables(ctx, st, head); err != nil {
		return a.Report, err
	}
	if err := a.outbox(ctx, st, head); err != nil {
		return a.Report, err
	}
	if err := a.subscriptions(ctx, st); err != nil {
		return a.Report, err
	}
	if told {
		// Only now: entries that are not what they were have been named, and what they would lead to is no measure.
		rows, err := st.Reproject(ctx)
		if err != nil {
			return a.Report, err
		}
		named := slices.Clone(a.Problems) // by what their documents say; a row that has another id than its document is named here
		for _, d := range rows {
			if !slices.ContainsFunc(named, func(p Problem) bool { return strings.Contains(p.Detail, d.Row) }) {
				a.found(0, "row", "%s %s: %s", d.Table, d.Row, d.What)
			}
		}
	}
	walls, err := st.Walls(ctx)
	if errors.Is(err, store.ErrUnseen) {
		a.Unseen = err.Error()
	} else if err != nil {
		return a.Report, err
	}
	for _, w := range walls {
		a.found(0, "schema", "%s: %s: %s", w.Table, w.Row, w.What)
	}
	breaches, err := st.Breaches(ctx, time.Now())
	if err != nil {
		return a.Report, err
	}
	for _, b := range breaches {
		a.found(0, "two holders", "%s and %s hold overlapping scope", b.A, b.B)
	}
	return a.Report, nil
}

type auditor struct {
	Report
	state  map[string][]byte // what the tables must hold, by kind and id
	events map[string]told   // what the outbox must hold, by id
	since  uint64            // the entry from which entries are committed to their events
	// webhooks is what the ledger has told of each, by id.
	webhooks map[string][]deal.Subscription
}

// subscriptions compares each webhook with what the ledger tells of it: it is told before the webhook is changed, and of two changes at once each
// knows its own. So every setting must have been told of once; that it was the last to be is not asked, nor is the secret.
func (a *auditor) subscriptions(ctx context.Context, st store.Store) error {
	all, err := st.Webhooks(ctx)
	if err != nil {
		return err
	}
	for i := range all {
		now, told := all[i].Subscription(), a.webhooks[all[i].ID]
		if len(told) == 0 {
			a.found(0, "row", "webhook %s: no entry tells of it", now.ID)
			continue
		}
		for _, c := range []struct {
			field string
			same  func(deal.Subscription) bool
		}{
			{"url", func(s deal.Subscription) bool { return s.Address == now.Address }},
			{"types", func(s deal.Subscription) bool { return slices.Equal(s.Types, now.Types) }},
			{"partner_ids", func(s deal.Subscription) bool { return slices.Equal(s.PartnerIDs, now.PartnerIDs) }},
			{"status", func(s deal.Subscription) bool { return s.Status == now.Status }},
		} {
			if !slices.ContainsFunc(told, c.same) {
				a.found(0, "row", "webhook %s: its %s is none that an entry tells of", now.ID, c.field)
			}
		}
	}
	return nil
}

// told is an event that an entry is committed to.
type told struct {
	seq    uint64
	at     time.Time
	digest []byte
}

// committedEvents is the generation whose entries are the first that are committed to their events.
const committedEvents = 3

func (a *auditor) found(seq uint64, what, format string, args ...any) {
	if len(a.Problems) < maxProblems {
		a.Problems = append(a.Problems, Problem{Seq: seq, What: what, Detail: fmt.Sprintf(format, args...)})
	}
}

// leaf compares the stored leaf with the one that follows from the stored entry. Of erased personal data only the
// commitment is left, which then is taken from the leaf.
func (a *auditor) leaf(e *store.Entry, prev store.Hash) {
	stored, err := ledger.ParseLeaf(e.Leaf)
	if err != nil {
		a.found(e.Seq, "leaf", "%v", err)
		return
	}
	derived, err := ledger.ParseLeaf(store.LeafOf(e, prev))
	if err != nil {
		a.found(e.Seq, "leaf", "%v", err)
		return
	}
	if len(stored.Commitments) != len(e.Personal) {
		a.found(e.Seq, "personal data", "%d pieces stored, %d committed to", len(e.Personal), len(stored.Commitments))
		return
	}
	for i, p := range e.Personal {
		if p.Salt == nil {
			if p.Field != stored.Commitments[i].Field || p.Value != "" {
				a.found(e.Seq, "personal data", "%s is not what was erased", p.Field)
			}
			a.Erased++
			if n := len(a.ErasedOf); n < maxErased && (n == 0 || a.ErasedOf[n-1] != e.Seq) {
				a.ErasedOf = append(a.ErasedOf, e.Seq)
			}
			derived.Commitments[i] = stored.Commitments[i]
		} else if derived.Commitments[i] != stored.Commitments[i] {
			a.found(e.Seq, "personal data", "%s is not what was committed to", p.Field)
			derived.Commitments[i] = stored.Commitments[i]
		}
	}
	if bytes.Equal(derived.Bytes(), e.Leaf) {
		return
	}
	for _, f := range []struct {
		what string
		same bool
	}{
		{"sequence", derived.Seq == stored.Seq}, {"time", derived.At.Equal(stored.At)}, {"kind", derived.Kind == stored.Kind},
		{"subject", derived.Subject == stored.Subject}, {"actor", derived.Actor == stored.Actor}, {"request", derived.Request == stored.Request},
		{"previous chain", derived.Prev == stored.Prev}, {"answer", derived.Answer == stored.Answer}, {"body", derived.Body == stored.Body},
	} {
		if !f.same {
			a.found(e.Seq, f.what, "is not what the leaf was made from")
		}
	}
}

// fold brings the expected state up to one entry.
func (a *auditor) fold(seq uint64, c *deal.Change) {
	put := func(key string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			a.found(seq, "body", "%s: %v", key, err)
		}
		a.state[key] = b
	}
	for i := range c.Registrations {
		put("registration "+c.Registrations[i].ID, c.Registrations[i])
	}
	for i := range c.Cases {
		put("case "+c.Cases[i].ID, c.Cases[i])
	}
	for i := range c.Findings {
		put("finding "+c.Findings[i].ID, c.Findings[i])
	}
	c.Records(func(r deal.Record) { put(string(r.Kind())+" "+r.Key(), r) })
	for _, d := range c.Deleted {
		delete(a.state, string(d.Kind)+" "+d.Key)
	}
	for _, d := range c.Documents {
		var g generation
		if d.Kind == deal.GenerationDocument && json.Unmarshal([]byte(d.Body), &g) == nil && g.Generation >= committedEvents {
			a.since = min(a.since, seq)
		}
		put(fmt.Sprintf("document %s %d", d.Kind, d.Version), d)
	}
	for _, k := range c.Keys {
		put("key "+k.ID, k)
	}
	if c.Decision != nil && c.Decision.Sequence != seq {
		a.found(seq, "decision", "says it is entry %d", c.Decision.Sequence)
	}
}

// numbered counts the registrations that were given a number.
func (a *auditor) numbered() (n uint64) {
	for key := range a.state {
		if strings.HasPrefix(key, "registration ") {
			n++
		}
	}
	return n
}

func (a *auditor) nodes(ctx context.Context, st store.Store, want []ledger.Node) error {
	i := 0
	for n, err := range st.AllNodes(ctx) {
		if err != nil {
			return err
		}
		if i == len(want) {
			break // written by commits since
		}
		if ledger.Node(n) != want[i] {
			a.found(0, "hash", "stored hash %d is %x, derived hash %d is %x", n.Index, n.Hash, want[i].Index, want[i].Hash)
		}
		i++
	}
	if i < len(want) {
		a.found(0, "hash", "%d hashes are stored, %d follow from the entries", i, len(want))
	}
	return nil
}

// outbox compares the events with those that entries are committed to.
func (a *auditor) outbox(ctx context.Context, st store.Store, head store.Head) error {
	const page = 1000
	seen, at := map[string]bool{}, uint64(0) // of one entry: a page may end in the middle of it
	for after := uint64(0); ; {
		events, err := st.Events(ctx, after, page)
		if err != nil {
			return err
		}
		for _, ev := range events {
			if ev.Seq > head.Seq || seen[ev.ID] {
				continue
			}
			if ev.Seq > at {
				clear(seen)
			}
			at, seen[ev.ID] = ev.Seq, true
			want, ok := a.events[ev.ID]
			delete(a.events, ev.ID)
			switch {
			case !ok && ev.Seq >= a.since:
				a.found(ev.Seq, "event", "%s is there and follows from no entry", ev.ID)
			case ok && (ev.Seq != want.seq || !ev.At.Equal(want.at) || !bytes.Equal(ev.Digest(), want.digest)):
				a.found(want.seq, "event", "%s is not what the entry is committed to", ev.ID)
			}
		}
		if len(events) < page || events[len(events)-1].Seq > head.Seq {
			break
		}
		if next := events[len(events)-1].Seq - 1; next > after { // its other events may be on the next page
			after = next
		} else {
			return fmt.Errorf("entry %d has %d events or more", next+1, page)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(a.events)) {
		a.found(a.events[id].seq, "event", "%s is missing", id)
	}
	return nil
}

// tables compares the rows people query with the state the entries lead to.
func (a *auditor) tables(ctx context.Context, st store.Store, head store.Head) error {
	c := comparer{a: a}
	loaded, err := st.Load(ctx, &c, store.Base{})
	if err != nil {
		return err
	}
	if loaded.Seq != head.Seq {
		return nil // the world has moved on since the entries were read; the next audit compares
	}
	for _, key := range slices.Sorted(maps.Keys(a.state)) {
		a.found(0, "missing row", "%s follows from the entries and is not there", key)
	}
	return nil
}

type comparer struct{ a *auditor }

func (c *comparer) row(key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	want, ok := c.a.state[key]
	switch {
	case !ok:
		c.a.found(0, "row", "%s is there and follows from no entry", key)
	case !bytes.Equal(want, b):
		c.a.found(0, "row", "%s is %s; the entries say %s", key, b, want)
	}
	delete(c.a.state, key)
	return nil
}

func (c *comparer) Document(d deal.Document) error {
	return c.row(fmt.Sprintf("document %s %d", d.Kind, d.Version), d)
}
func (c *comparer) Key(k deal.Key) error                   { return c.row("key "+k.ID, k) }
func (c *comparer) Record(r deal.Record) error             { return c.row(string(r.Kind())+" "+r.Key(), r) }
func (c *comparer) Deleted(deal.RecordRef) error           { return nil }
func (c *comparer) Registration(r deal.Registration) error { return c.row("registration "+r.ID, r) }
func (c *comparer) Case(k deal.Case) error                 { return c.row("case "+k.ID, k) }
func (c *comparer) Finding(f deal.Finding) error           { return c.row("finding "+f.ID, f) }

// Replayed is the result of deriving decisions again.
type Replayed struct {
	Decisions int `json:"decisions"` // derived again
	Elsewhere int `json:"elsewhere"` // left out: another matcher decided them, which this program does not have
	Differ    int `json:"differ"`    // came out otherwise than recorded
}

// Rederived is what came of deriving one decision again.
type Rederived struct {
	Recorded, Derived deal.Decision
	Same              bool // both have the same bytes
	Elsewhere         bool // another matcher decided it: it was not derived
}

// Replay folds the ledger from its beginning and derives decisions again, one at a time, in the order of the ledger, as
// a single clerk would have: those that want accepts, all if it is nil. each is called with what came of every one. m decided them; nil: the embedded model. Decisions of existing registrations, which were taken over and not made, are not derived.
func Replay(ctx context.Context, st store.Store, m *match.Model, want func(deal.Decision) bool, each func(Rederived)) (out Replayed, err error) {
	if m == nil {
		m = match.Default()
	}
	v := newView(m)
	for e, err := range st.Entries(ctx, 0) {
		if err != nil {
			return out, err
		}
		c, err := deal.DecodeChange(e.Body)
		if err != nil {
			return out, fmt.Errorf("entry %d: %w", e.Seq, err)
		}
		if (e.Kind == deal.EntryDecided || e.Kind == deal.EntryResolved) && c.Decision != nil && len(c.Registrations) > 0 && (want == nil || want(*c.Decision)) {
			if c.Decision.Matcher != v.model.Ref() {
				out.Elsewhere++
				each(Rederived{Recorded: *c.Decision, Elsewhere: true})
			} else {
				again, err := redecide(v, c)
				if err != nil {
					return out, fmt.Errorf("entry %d: %w", e.Seq, err)
				}
				same := equalJSON(again, c.Decision)
				if !same {
					out.Differ++
				}
				out.Decisions++
				each(Rederived{Recorded: *c.Decision, Derived: again, Same: same})
			}
		}
		if err := v.apply(c); err != nil {
			return out, fmt.Errorf("entry %d: %w", e.Seq, err)
		}
		v.head.Seq = e.Seq
	}
	return out, nil
}

// redecide derives a recorded decision again from the view before it.
func redecide(v *view, c *deal.Change) (deal.Decision, error) {
	recorded := c.Decision
	i := slices.IndexFunc(c.Registrations, func(r deal.Registration) bool { return r.ID == recorded.RegistrationID })
	if i < 0 || v.policy == nil {
		return deal.Decision{}, errors.New("the entry does not hold what was decided")
	}
	r := c.Registrations[i]
	r.CustomerRef, r.Protection, r.Hold, r.Status = deal.CustomerRef{}, nil, nil, deal.StatusReceived
	if recorded.Ruling != nil {
		d, err := rule(v, &r, search(v, ask(v, &r)), *recorded.Ruling, recorded.At)
		d.Sequence = recorded.Sequence
		return d, err
	}
	d := decide(v, &r, search(v, ask(v, &r)), recorded.At)
	d.Sequence = recorded.Sequence
	return d, nil
}

// FindDecision returns a decision by its id, or the current one of a registration by the registration's. What does not
// exist is deal.ErrNotFound.
func FindDecision(ctx context.Context, st store.Store, id string) (deal.Decision, error) {
	if seqs, err := st.DecisionSeqs(ctx, id); err == nil && len(seqs) > 0 {
		return decisionAt(ctx, st, seqs[len(seqs)-1])
	} else if err != nil && !errors.Is(err, deal.ErrNotFound) {
		return deal.Decision{}, err
	}
	for e, err := range st.Entries(ctx, 0) {
		if err != nil {
			return deal.Decision{}, err
		}
		if e.Kind != deal.EntryDecided && e.Kind != deal.EntryResolved {
			continue
		}
		c, err := deal.DecodeChange(e.Body)
		if err != nil {
			return deal.Decision{}, fmt.Errorf("entry %d: %w", e.Seq, err)
		}
		if c.Decision != nil && c.Decision.ID == id {
			return *c.Decision, nil
		}
	}
	return deal.Decision{}, deal.ErrNotFound
}
