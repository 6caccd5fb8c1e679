package engine

import (
	"cmp"
	"container/heap"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dibs-deals/dibs/internal/book"
	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/policy"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/territory"
)

// view is the world at one position of the ledger: what Decide looks at. It is the fold of the ledger's changes up to
// head, arranged for questions. One goroutine changes it; others read under mu.
type view struct {
	mu    sync.RWMutex
	model *match.Model
	head  store.Head
	tree  *ledger.Tree

	accounts     *book.Book
	accountIndex *match.Index
	changes      uint64     // of accounts, since the view was read
	anchored     uint64     // what changes was at base: more means that accounts hold what may never have been committed
	base         store.Base // the last committed entry that was applied

	opportunities map[string]*deal.Opportunity
	oppsOf        map[string][]string // account id → opportunity ids, sorted
	oppIndex      *match.Index        // opportunities that name no account

	partners map[string]*deal.Partner
	called   map[string]*match.Query // partner id → the partner's name, ready to compare
	people   map[string]*deal.Person
	products map[string]*deal.CatalogueProduct
	skus     map[string][]string               // deal.Fold of a SKU → those of the catalogue that are written so, sorted
	sold     atomic.Pointer[map[string]string] // what lines returns; nil when it has to be worked out again
	rates    map[[2]string][]*deal.Rate        // by currency pair, oldest first

	claims     map[string]*deal.Registration // registrations others must reckon with
	returned   map[string]*deal.Registration // those that nobody must reckon with, and that are to be completed by an instant
	claimIndex *match.Index
	claimsOf   map[string][]string // customer key → registration ids, in order of filing
	waitsAt    map[string][]string // customer key → those in line for it that were resolved to another, in order of filing
	byPartner  map[string]int      // live claims per partner
	byTender   map[string][]string // tender number → registration ids
	namedBy    map[string][]string // account id → claims that name it and were not resolved to it
	history    map[string][]past   // customer key → registrations that are claims no more
	pastOf     map[string]string   // and back, by their ids
	merged     map[string][]string // registration id → those that were merged into it
	intoOf     map[string]string   // and back

	ends    endHeap               // of windows
	late    []late                // ends that have come and wait to be written
	lateOf  map[string][]string   // the claims they are of, by customer
	cases   map[string]*deal.Case // open ones
	clocks  endHeap               // of theirs
	ticking []string              // cases of which what follows from a clock is being written
	taken   map[string]bool       // numbers of imported registrations that ours could come to be

	findings findings

	generation generation // which decides; zero in a ledger that has none yet

	policy    *policy.Policy
	plan      *territory.Plan // nil while none is published
	documents map[string]map[int]deal.Document
	scheduled map[documentKey]time.Time // when versions that were published for an instant begin to decide
	keys      map[string]deal.Key
}

type documentKey struct {
	kind    string
	version int
}

func newView(m *match.Model) *view {
	return &view{
		model: m, tree: ledger.NewTree(),
		accounts: book.New(), accountIndex: match.NewIndex(m),
		opportunities: map[string]*deal.Opportunity{}, oppsOf: map[string][]string{}, oppIndex: match.NewIndex(m),
		partners: map[string]*deal.Partner{}, called: map[string]*match.Query{}, people: map[string]*deal.Person{}, products: map[string]*deal.CatalogueProduct{}, skus: map[string][]string{}, rates: map[[2]string][]*deal.Rate{},
		claims: map[string]*deal.Registration{}, returned: map[string]*deal.Registration{}, claimIndex: match.NewIndex(m), claimsOf: map[string][]string{}, waitsAt: map[string][]string{}, byPartner: map[string]int{}, byTender: map[string][]string{}, namedBy: map[string][]string{}, history: map[string][]past{}, pastOf: map[string]string{}, merged: map[string][]string{}, intoOf: map[string]string{}, cases: map[string]*deal.Case{}, lateOf: map[string][]string{}, taken: map[string]bool{},
		findings: newFindings(m), documents: map[string]map[int]deal.Document{}, scheduled: map[documentKey]time.Time{}, keys: map[string]deal.Key{},
	}
}

// apply changes the view by one entry's after-images. The caller holds mu, or is alone.
func (v *view) apply(c *deal.Change) error {
	for i := range c.Documents {
		if err := v.putDocument(c.Documents[i]); err != nil {
			return err
		}
	}
	for _, k := range c.Keys {
		v.keys[k.ID] = k
	}
	c.Records(v.putRecord)
	v.indexAccounts(c.Accounts)
	for _, d := range c.Deleted {
		v.deleteRecord(d)
	}
	for i := range c.Registrations {
		v.putRegistration(&c.Registrations[i])
	}
	for i := range c.Cases {
		v.putCase(&c.Cases[i])
	}
	for i := range c.Findings {
		v.putFinding(&c.Findings[i])
	}
	return nil
}

func (v *view) putRecord(r deal.Record) {
	switch r := r.(type) {
	case *deal.Account:
		v.accounts.Put(r) // indexing it is indexAccounts', which may have many
		v.changes++
	case *deal.Opportunity:
		v.putOpportunity(r)
	case *deal.Partner:
		v.partners[r.ID] = r
		v.called[r.ID] = v.model.Prepare(match.Record{Names: []string{r.Name}, Country: r.Country})
	case *deal.Person:
		v.people[r.ID] = r
	case *deal.CatalogueProduct:
		v.products[r.SKU] = r
		insertSorted(v.skus, deal.Fold(r.SKU), r.SKU)
		v.sold.Store(nil)
	case *deal.Rate:
		pair := [2]string{r.From, r.To}
		list := v.rates[pair]
		i, found := slices.BinarySearchFunc(list, r, func(a, b *deal.Rate) int { return a.Date.Compare(b.Date.Time) })
		if found {
			list[i] = r
		} else {
			v.rates[pair] = slices.Insert(list, i, r)
		}
	}
}

// bulk is how many accounts are laid out together rather than one by one.
const bulk = 32

func (v *view) indexAccounts(list []*deal.Account) {
	if len(list) < bulk {
		for _, a := range list {
			v.accountIndex.Upsert(match.FromAccount(a))
		}
		return
	}
	v.accountIndex.Load(func(yield func(match.Record) bool) {
		for _, a := range list {
			if !yield(match.FromAccount(a)) {
				return
			}
		}
	})
}

// account returns the account with the id, or nil.
func (v *view) account(id string) *deal.Account { return v.accounts.Get(id) }

// anchor says that the view is what the ledger says at head. The caller holds mu, or is alone.
func (v *view) anchor(head store.Head, tree *ledger.Tree) {
	v.head, v.tree, v.anchored, v.base = head, tree, v.changes, store.Base{Seq: head.Seq, Chain: head.Chain}
}

func (v *view) putOpportunity(o *deal.Opportunity) {
	v.deleteRecord(deal.RecordRef{Kind: deal.Opportunities, Key: o.ID})
	v.opportunities[o.ID] = o
	if o.AccountID != "" {
		insertSorted(v.oppsOf, o.AccountID, o.ID)
	} else {
		v.oppIndex.Upsert(opportunityRecord(o))
	}
}

// opportunityRecord is how an opportunity that names no account is found.
func opportunityRecord(o *deal.Opportunity) match.Record {
	return match.Record{ID: o.ID, Names: []string{o.AccountName}}
}

func (v *view) deleteRecord(d deal.RecordRef) {
	switch d.Kind {
	case deal.Accounts:
		if v.accounts.Has(d.Key) {
			v.accounts.Delete(d.Key)
			v.accountIndex.Delete(d.Key)
			v.changes++
		}
	case deal.Opportunities:
		if o := v.opportunities[d.Key]; o != nil {
			delete(v.opportunities, d.Key)
			removeSorted(v.oppsOf, o.AccountID, o.ID)
			v.oppIndex.Delete(o.ID)
		}
	case deal.Partners:
		delete(v.partners, d.Key)
		delete(v.called, d.Key)
	case deal.People:
		delete(v.people, d.Key)
	case deal.Products:
		delete(v.products, d.Key)
		removeSorted(v.skus, deal.Fold(d.Key), d.Key)
		v.sold.Store(nil)
	case deal.Rates:
		for pair, list := range v.rates {
			v.rates[pair] = slices.DeleteFunc(list, func(r *deal.Rate) bool { return r.Key() == d.Key })
		}
	}
}

// product returns the product of the catalogue that a filing means, whatever the case of its letters; nil when it is not sold.
func (v *view) product(sku string) *deal.CatalogueProduct {
	if p := v.products[sku]; p != nil {
		return p
	}
	if same := v.skus[deal.Fold(sku)]; len(same) > 0 {
		return v.products[same[0]]
	}
	return nil
}

func insertSorted(m map[string][]string, key, id string) {
	if i, found := slices.BinarySearch(m[key], id); !found {
		m[key] = slices.Insert(m[key], i, id)
	}
}

func removeSorted(m map[string][]string, key, id string) {
	if i, found := slices.BinarySearch(m[key], id); found {
		if m[key] = slices.Delete(m[key], i, i+1); len(m[key]) == 0 {
			delete(m, key)
		}
	}
}

// putRegistration keeps r if it is a claim now or may be read as one at any later instant, else forgets it.
func (v *view) putRegistration(r *deal.Registration) {
	if v.keepClaim(r) {
		v.claimIndex.Upsert(claimRecord(r))
	} else {
		v.claimIndex.Delete(r.ID)
	}
}

// keepClaim is putRegistration without the index. It reports whether r is a claim.
func (v *view) keepClaim(r *deal.Registration) bool {
	v.keepNumber(r)
	if old := v.claims[r.ID]; old != nil {
		delete(v.claims, r.ID)
		without(v.claimsOf, old.CustomerRef.Key(), r.ID)
		for _, key := range old.Behind {
			without(v.waitsAt, key, r.ID)
		}
		without(v.byTender, old.Filing.Tender.Number, r.ID)
		without(v.namedBy, old.Filing.Customer.AccountID, r.ID)
		if v.byPartner[old.Filing.PartnerID]--; v.byPartner[old.Filing.PartnerID] == 0 {
			delete(v.byPartner, old.Filing.PartnerID)
		}
	}
	delete(v.returned, r.ID)
	v.remember(r)
	v.keepMerged(r)
	if at := endOf(r); !at.IsZero() {
		heap.Push(&v.ends, end{at, r.ID})
	}
	if !isClaim(r) {
		if !endOf(r).IsZero() {
			v.returned[r.ID] = r
		}
		return false
	}
	v.claims[r.ID] = r
	v.claimsOf[r.CustomerRef.Key()] = v.inOrder(v.claimsOf[r.CustomerRef.Key()], r)
	for _, key := range r.Behind {
		v.waitsAt[key] = v.inOrder(v.waitsAt[key], r)
	}
	if n := r.Filing.Tender.Number; n != "" {
		v.byTender[n] = v.inOrder(v.byTender[n], r)
	}
	if n := r.Filing.Customer.AccountID; n != "" && n != r.CustomerRef.AccountID {
		v.namedBy[n] = v.inOrder(v.namedBy[n], r)
	}
	v.byPartner[r.Filing.PartnerID]++
	return true
}

// runs returns the registration with the id if it is a claim, or is to be completed by an instant; else nil.
func (v *view) runs(id string) *deal.Registration {
	if c := v.claims[id]; c != nil {
		return c
	}
	return v.returned[id]
}

// isClaim reports whether the registration's status makes it a claim while its window, if any, is open.
func isClaim(r *deal.Registration) bool {
	switch r.Status {
	case deal.StatusReceived, deal.StatusEscalated, deal.StatusWaitlisted, deal.StatusProtected, deal.StatusConditional:
		return true
	case deal.StatusReturned:
		return r.KeepsPlace
	}
	return false
}

// inOrder inserts r into ids by its place in the ledger.
func (v *view) inOrder(ids []string, r *deal.Registration) []string {
	i, _ := slices.BinarySearchFunc(ids, r, func(id string, r *deal.Registration) int {
		return cmp.Or(cmp.Compare(v.claims[id].Place(), r.Place()), strings.Compare(id, r.ID))
	})
	return slices.Insert(ids, i, r.ID)
}

func without(m map[string][]string, key, id string) {
	if i := slices.Index(m[key], id); i >= 0 {
		if m[key] = slices.Delete(m[key], i, i+1); len(m[key]) == 0 {
			delete(m, key)
		}
	}
}

// claimRecord is how a registration is found by others: as it was filed.
func claimRecord(r *deal.Registration) match.Record {
	rec := match.FromFiling(&r.Filing, r.EmailDomain)
	rec.ID = r.ID
	return rec
}

func (v *view) putDocument(d deal.Document) error {
	if v.documents[d.Kind] == nil {
		v.documents[d.Kind] = map[int]deal.Document{}
	}
	v.documents[d.Kind][d.Version] = d
	delete(v.scheduled, documentKey{d.Kind, d.Version})
	if d.Status == deal.DocumentScheduled {
		v.scheduled[documentKey{d.Kind, d.Version}] = d.EffectiveFrom
	}
	if d.Status != deal.DocumentLive {
		return nil
	}
	switch d.Kind {
	case deal.GenerationDocument:
		v.generation = generation{}
		if err := json.Unmarshal([]byte(d.Body), &v.generation); err != nil {
			return fmt.Errorf("generation version %d: %w", d.Version, err)
		}
	case deal.PolicyDocument:
		p, err := policy.CompileSaved([]byte(d.Body), d.Holidays)
		if err != nil {
			return fmt.Errorf("policy version %d: %w", d.Version, err)
		}
		v.policy = p.WithVersion(d.Version)
		v.sold.Store(nil)
	case deal.TerritoryDocument:
		p, err := territory.Compile([]byte(d.Body))
		if err != nil {
			return fmt.Errorf("territory plan version %d: %w", d.Version, err)
		}
		v.plan = p.WithVersion(d.Version)
	}
	return nil
}

// live returns the live document of the kind.
func (v *view) live(kind string) (deal.Document, bool) {
	for _, d := range v.documents[kind] {
		if d.Status == deal.DocumentLive {
			return d, true
		}
	}
	return deal.Document{}, false
}

// fallDue notes the registrations whose window has ended at now, earliest end first.
func (v *view) fallDue(now time.Time) {
	for len(v.ends) > 0 && !now.Before(v.ends[0].at) {
		end := heap.Pop(&v.ends).(end)
		r := v.runs(end.id)
		if r == nil || !endOf(r).Equal(end.at) {
			continue
		}
		key := r.CustomerRef.Key()
		if ids := v.lateOf[key]; len(ids) > 0 && ids[len(ids)-1] == r.ID { // put twice with one end, it is there twice
			continue
		}
		v.late = append(v.late, late{end.at, key})
		v.lateOf[key] = append(v.lateOf[key], r.ID)
	}
}

// late is an end that waits to be written.
type late struct {
	at       time.Time
	customer string
}

// takeLate takes about n of the claims whose ends wait to be written, all of a customer together. The caller writes them.
func (v *view) takeLate(n int, now time.Time) (out []*deal.Registration) {
	for len(v.late) > 0 && len(out) < n {
		key := v.late[0].customer
		if v.late = v.late[1:]; len(v.late) == 0 {
			v.late = nil
		}
		out = append(out, v.takeLateOf(key, now)...)
	}
	return out
}

// takeLateOf is takeLate for one customer.
func (v *view) takeLateOf(key string, now time.Time) (out []*deal.Registration) {
	for _, id := range v.lateOf[key] {
		if r := v.runs(id); r != nil && !endOf(r).IsZero() && !now.Before(endOf(r)) {
			out = append(out, r)
		}
	}
	delete(v.lateOf, key)
	return out
}

// due is what waits to be written before something that rests on it.
type due struct {
	customers []string // those with ends of windows
	cases     []string // those of which a clock has run out
}

func (d due) none() bool { return len(d.customers)+len(d.cases) == 0 }

func (d *due) note(v *view, r *deal.Registration, now time.Time) {
	for _, key := range v.findings.one(r.CustomerRef.Key()) {
		if len(v.lateOf[key]) > 0 && !slices.Contains(d.customers, key) {
			d.customers = append(d.customers, key)
		}
	}
	d.noteCase(v, r.CaseID, now)
}

func (d *due) noteCase(v *view, id string, now time.Time) {
	if v.dueCase(id, now) != nil && !slices.Contains(d.cases, id) {
		d.cases = append(d.cases, id)
	}
}

// rests returns what is due on which the additions rest: of whom they are about, and of those with whom they conflict.
func (v *view) rests(additions []addition, now time.Time) (d due) {
	for i := range additions {
		c := additions[i].change
		for r := range c.Registrations {
			reg := &c.Registrations[r]
			d.note(v, reg, now)
			if was := v.runs(reg.ID); was != nil {
				d.note(v, was, now)
			}
		}
		for k := range c.Cases {
			d.noteCase(v, c.Cases[k].ID, now)
		}
		if c.Decision == nil {
			continue
		}
		for _, x := range c.Decision.Conflicts {
			if claim := v.claims[x.With]; claim != nil {
				d.note(v, claim, now)
			}
		}
	}
	return d
}

// dueOf returns what is due of registrations and cases.
func (v *view) dueOf(ids []string, now time.Time) (d due) {
	for _, id := range ids {
		if r := v.runs(id); r != nil {
			d.note(v, r, now)
		}
		if k := v.cases[id]; k != nil {
			d.noteCase(v, id, now)
			for _, member := range k.Members() {
				if claim := v.claims[member]; claim != nil {
					d.note(v, claim, now)
				}
			}
		}
	}
	return d
}

// nextEnd returns when the next window may end, or the next clock of a case run out; zero when none will.
func (v *view) nextEnd() time.Time {
	var next time.Time
	if len(v.late) > 0 {
		next = v.late[0].at
	}
	for _, h := range []endHeap{v.ends, v.clocks} {
		if len(h) > 0 && (next.IsZero() || h[0].at.Before(next)) {
			next = h[0].at
		}
	}
	return next
}

// end is when the window of a claim ends, or a clock of a case runs out. The heap of them may hold ends that have been moved
// since: a claim is asked again when its end comes up.
type end struct {
	at time.Time
	id string
}

type endHeap []end

func (h endHeap) Len() int { return len(h) }
func (h endHeap) Less(i, j int) bool {
	return h[i].at.Before(h[j].at) || h[i].at.Equal(h[j].at) && h[i].id < h[j].id
}
func (h endHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *endHeap) Push(x any)   { *h = append(*h, x.(end)) }
func (h *endHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// endOf returns when the registration's window ends by itself, a milestone of it falls due, its hold ends while its case is open, or
// the time to complete it when it was returned.
func endOf(r *deal.Registration) time.Time {
	if r.Status == deal.StatusReturned {
		return r.AnswerBy
	}
	if r.Status == deal.StatusEscalated && r.Hold != nil {
		return r.Hold.EndsAt
	}
	if (r.Status == deal.StatusProtected || r.Status == deal.StatusConditional) && r.Protection != nil {
		if m := r.NextMilestone(); m != nil && m.DueAt.Before(r.Protection.EndsAt) {
			return m.DueAt
		}
		return r.Protection.EndsAt
	}
	return time.Time{}
}
