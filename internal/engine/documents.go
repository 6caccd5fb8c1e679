package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/policy"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/territory"
)

// Policies and territory plans are documents: versions that never change, of which one decides at an instant. A version
// published for an instant to come is on the schedule of the view; once the instant has passed, whoever comes first writes
// down that it is live, and nothing is decided before.

// document makes the entry of a new document version.
func (e *Engine) document(entryKind string, d deal.Document, live bool, by deal.Actor, now time.Time) addition {
	d.Version, d.Digest, d.Status, d.CreatedAt, d.CreatedBy = len(e.view.documents[d.Kind])+1, digest(d.Body), deal.DocumentDraft, now, by.KeyID
	change := &deal.Change{}
	if live {
		change = e.publication(d, by, now)
	} else {
		change.Documents = []deal.Document{d}
	}
	return addition{entry: store.Entry{Kind: entryKind, Subject: fmt.Sprintf("%s/%d", d.Kind, d.Version)}, change: change}
}

// publication makes d live, and retires the one that was.
func (e *Engine) publication(d deal.Document, by deal.Actor, now time.Time) *deal.Change {
	change := &deal.Change{}
	if old, ok := e.view.live(d.Kind); ok {
		old.Cease(now)
		change.Documents = append(change.Documents, old)
	}
	d.PublishedAt = now
	d.Begin(now, by.KeyID)
	change.Documents = append(change.Documents, d)
	return change
}

func digest(body string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(body))) }

// SaveDocument checks a policy (kind deal.PolicyDocument) or a territory plan and keeps it as the next version, a
// draft. A document that does not compile is an error that names line and column. The same bytes as the newest
// version are that version, unless the holidays of its regions are known otherwise since.
func (e *Engine) SaveDocument(ctx context.Context, q Request, kind string, body []byte) (deal.Document, error) {
	d := deal.Document{Kind: kind, Body: string(body)}
	switch kind {
	case deal.PolicyDocument:
		p, err := policy.Compile(body)
		if err != nil {
			return deal.Document{}, err
		}
		d.Name, d.Title, d.Timezone, d.Holidays = p.Ref().Name, p.Title(), p.Settings().Timezone.String(), p.Holidays()
	case deal.TerritoryDocument:
		p, err := territory.Compile(body)
		if err != nil {
			return deal.Document{}, err
		}
		d.Name, d.Title, d.Timezone = p.Ref().Name, p.Title(), p.Timezone().String()
	default:
		return deal.Document{}, deal.ErrNotFound
	}
	var saved deal.Document
	_, err := e.submit(ctx, q, func(now time.Time) ([]addition, error) {
		if newest, ok := e.view.documents[kind][len(e.view.documents[kind])]; ok && newest.Body == string(body) && slices.Equal(newest.Holidays, d.Holidays) {
			saved = newest
			return nil, nil
		}
		a := e.document(deal.EntryDocument, d, false, q.Actor, now)
		saved = a.change.Documents[0]
		return []addition{a}, nil
	})
	if err != nil {
		return deal.Document{}, err
	}
	return saved, nil
}

// Publish makes a saved version live, from the next entry on; an earlier version too, which is how one goes back.
// Publishing the live version again changes nothing. A policy has to pass its own tests, and where it or the one it takes
// over from says so (settings.publish) somebody else than who saved the version publishes it, by key and by person:
// deal.ErrNotPossible. A territory plan whose check finds errors is not published: the error names each with line and column. A plan that says
// when it begins is scheduled for then.
func (e *Engine) Publish(ctx context.Context, q Request, kind string, version int) (deal.Document, error) {
	return e.publish(ctx, q, kind, version, time.Time{})
}

// Schedule publishes a saved version as Publish does, for an instant to come: from then on every decision and every
// pre-check is made by it, also when nobody was at work at that instant. Until then it can be scheduled for another one,
// published at once, or cancelled. deal.FieldErrors name effective_from when it is not to come, or not while the plan is
// for; deal.ErrNotPossible: another version is to begin then.
func (e *Engine) Schedule(ctx context.Context, q Request, kind string, version int, from time.Time) (deal.Document, error) {
	if from.IsZero() {
		return deal.Document{}, notFrom("give the instant from which it decides")
	}
	return e.publish(ctx, q, kind, version, from.UTC().Truncate(time.Microsecond))
}

func (e *Engine) publish(ctx context.Context, q Request, kind string, version int, from time.Time) (out deal.Document, err error) {
	from, err = e.vet(ctx, kind, version, from)
	if err != nil {
		return deal.Document{}, err
	}
	_, err = e.submit(ctx, q, func(now time.Time) ([]addition, error) {
		d, ok := e.view.documents[kind][version]
		if !ok || kind != deal.PolicyDocument && kind != deal.TerritoryDocument {
			return nil, fmt.Errorf("%s version %d: %w", kind, version, deal.ErrNotFound)
		}
		later := !from.IsZero()
		switch {
		case d.Status == deal.DocumentLive && (!later || d.EffectiveFrom.Equal(from)), d.Status == deal.DocumentScheduled && later && d.EffectiveFrom.Equal(from):
			out = d
			return nil, nil
		case later && d.Status == deal.DocumentLive:
			return nil, fmt.Errorf("%w: version %d is live; save the text again, as a version of its own, to have it take over once more", deal.ErrNotPossible, version)
		case later && !now.Before(from):
			return nil, notFrom("%s is not to come; leave it out to publish at once", from.Format(time.RFC3339))
		}
		if other, taken := e.view.beginsAt(kind, from); later && taken {
			return nil, fmt.Errorf("%w: version %d is to begin at %s; cancel it, or choose another instant", deal.ErrNotPossible, other, from.Format(time.RFC3339))
		}
		if err := e.view.mayPublish(d, q.Actor, from); err != nil {
			return nil, err
		}
		change := &deal.Change{}
		if later {
			d.PublishedAt = now
			d.Await(from, q.Actor.KeyID)
			change.Documents = []deal.Document{d}
		} else {
			change = e.publication(d, q.Actor, now)
		}
		out = change.Documents[len(change.Documents)-1]
		return []addition{{entry: store.Entry{Kind: deal.EntryPublished, Subject: fmt.Sprintf("%s/%d", kind, version)}, change: change}}, nil
	})
	if err != nil {
		return deal.Document{}, err
	}
	return out, nil
}

func notFrom(format string, args ...any) error {
	var errs deal.FieldErrors
	errs.Add("effective_from", format, args...)
	return errs
}

// EffectiveFrom reads when a version is to begin: an instant, or a day, which begins in the zone of the document.
// deal.FieldErrors: it is neither.
func EffectiveFrom(d *deal.Document, s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	zone, err := Zone(d)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.ParseInLocation(time.DateOnly, s, zone)
	if err != nil {
		return t, notFrom("%q is neither a day (2027-02-01) nor an instant (2027-02-01T00:00:00Z)", s)
	}
	return t, nil
}

// Zone returns the zone in which the document's days begin.
func Zone(d *deal.Document) (*time.Location, error) {
	if d.Timezone != "" {
		return time.LoadLocation(d.Timezone)
	}
	if d.Kind == deal.TerritoryDocument { // saved before the zone was kept beside the text
		p, err := territory.Compile([]byte(d.Body))
		if err != nil {
			return nil, err
		}
		return p.Timezone(), nil
	}
	p, err := policy.CompileSaved([]byte(d.Body), d.Holidays)
	if err != nil {
		return nil, err
	}
	return p.Settings().Timezone, nil
}

// DecidedAt returns those of the versions of a kind that decided at an instant, or on a day, each in its own zone; also what is
// published to decide at one to come. deal.FieldErrors: at is neither.
func DecidedAt(docs []deal.Document, at string) ([]deal.Document, error) {
	var out []deal.Document
	docs = slices.Clone(docs)
	if t, err := time.Parse(time.RFC3339, at); err == nil {
		deal.DocumentsAt(docs, t)
		return slices.DeleteFunc(docs, func(d deal.Document) bool { return !d.DecidedIn(t, t) }), nil
	}
	for i := range docs {
		zone, err := Zone(&docs[i])
		if err != nil {
			return nil, err
		}
		from, err := time.ParseInLocation(time.DateOnly, at, zone)
		if err != nil {
			var errs deal.FieldErrors
			errs.Add("at", "%q is neither a day (2027-02-01) nor an instant (2027-02-01T00:00:00Z)", at)
			return nil, errs
		}
		to := from.AddDate(0, 0, 1)
		then := slices.Clone(docs)
		deal.DocumentsAt(then, to.Add(-time.Microsecond))
		if then[i].DecidedIn(from, to) {
			out = append(out, then[i])
		}
	}
	return out, nil
}

// Cancel takes a version that was published for an instant to come off the schedule. One that is not on it is
// deal.ErrNotPossible.
func (e *Engine) Cancel(ctx context.Context, q Request, kind string, version int) (deal.Document, error) {
	var out deal.Document
	_, err := e.submit(ctx, q, func(time.Time) ([]addition, error) {
		d, ok := e.view.documents[kind][version]
		switch {
		case !ok || kind != deal.PolicyDocument && kind != deal.TerritoryDocument:
			return nil, fmt.Errorf("%s version %d: %w", kind, version, deal.ErrNotFound)
		case d.Status == deal.DocumentLive:
			return nil, fmt.Errorf("%w: version %d is live; publish the version that is to decide in its place", deal.ErrNotPossible, version)
		case d.Status != deal.DocumentScheduled:
			return nil, fmt.Errorf("%w: version %d is not published for an instant to come", deal.ErrNotPossible, version)
		}
		d.Status, d.EffectiveFrom, d.PublishedAt, d.PublishedBy = deal.DocumentDraft, time.Time{}, time.Time{}, ""
		if !d.EffectiveTo.IsZero() { // it has been live before
			d.Status = deal.DocumentRetired
			if n := len(d.Periods); n > 0 {
				d.EffectiveFrom, d.PublishedBy = d.Periods[n-1].From, d.Periods[n-1].PublishedBy
			}
		}
		out = d
		return []addition{{entry: store.Entry{Kind: deal.EntryCancelled, Subject: fmt.Sprintf("%s/%d", kind, version)}, change: &deal.Change{Documents: []deal.Document{d}}}}, nil
	})
	if err != nil {
		return deal.Document{}, err
	}
	return out, nil
}

// vet proves a saved version before it is published, outside the committer: its tests, or a large plan, take seconds. It
// returns when the version begins, zero for at once: a plan, not before its first day. A version there is not is left to
// publish, and the one that is live has been vetted.
func (e *Engine) vet(ctx context.Context, kind string, version int, from time.Time) (time.Time, error) {
	d := read(e, func(v *view) deal.Document { return v.documents[kind][version] })
	switch {
	case d.Body == "" || d.Status == deal.DocumentLive:
	case kind == deal.PolicyDocument && e.cfg.Vet != nil:
		return from, e.cfg.Vet(ctx, []byte(d.Body))
	case kind == deal.TerritoryDocument:
		p, err := territory.Compile([]byte(d.Body))
		if err != nil {
			return from, err
		}
		now := e.now()
		first, last := p.Effective()
		begins := now
		if !from.IsZero() {
			begins = from
		}
		switch {
		case !last.IsZero() && !begins.Before(last):
			return from, notFrom("the plan is over on %s: nobody would be covered", last.Format(time.DateOnly))
		case begins.Before(first) && !from.IsZero():
			return from, notFrom("the plan begins on %s: nobody would be covered before", first.Format(time.DateOnly))
		case begins.Before(first):
			from, begins = first.UTC(), first
		}
		return from, territory.Problems(p.Check(begins))
	}
	return from, nil
}

// mayPublish holds a policy to two people, where it or the one that decides before it asks for them. from is zero for at
// once.
func (v *view) mayPublish(d deal.Document, by deal.Actor, from time.Time) error {
	same := d.CreatedBy == by.KeyID || by.PersonID != "" && v.keys[d.CreatedBy].PersonID == by.PersonID
	if d.Kind != deal.PolicyDocument || !same || by == deal.System {
		return nil
	}
	ask := []string{d.Body}
	before := v.versions(d.Kind)
	for _, at := range []time.Time{{}, from} { // the one live now, and the one that will be then
		deal.DocumentsAt(before, at)
		if i := slices.IndexFunc(before, isLive); i >= 0 {
			ask = append(ask, before[i].Body)
		}
	}
	for _, body := range ask {
		p, err := policy.CompileSaved([]byte(body), nil)
		if err != nil {
			return err
		}
		if p.Settings().TwoPeople {
			return fmt.Errorf("%w: this key, or another of the same person, saved version %d, and the policy asks for two people; let somebody else publish it", deal.ErrNotPossible, d.Version)
		}
	}
	return nil
}

func isLive(d deal.Document) bool { return d.Status == deal.DocumentLive }

// versions returns all versions of a kind, in order.
func (v *view) versions(kind string) []deal.Document {
	return slices.SortedFunc(maps.Values(v.documents[kind]), func(a, b deal.Document) int { return a.Version - b.Version })
}

// beginsAt returns the version of the kind that is to begin at the instant.
func (v *view) beginsAt(kind string, at time.Time) (int, bool) {
	for k, from := range v.scheduled {
		if k.kind == kind && from.Equal(at) {
			return k.version, true
		}
	}
	return 0, false
}

// turns reports whether a version begins to decide by the instant, and the view does not say so yet.
func (v *view) turns(at time.Time) bool {
	for _, from := range v.scheduled {
		if !at.Before(from) {
			return true
		}
	}
	return false
}

// takeEffect writes down that versions published for an instant that has come are live, before anything is decided.
func (e *Engine) takeEffect(b *store.Batch, now time.Time) error {
	if !e.view.turns(now) {
		return nil
	}
	for _, kind := range []string{deal.PolicyDocument, deal.TerritoryDocument} {
		changed := deal.DocumentsAt(e.view.versions(kind), now)
		if changed == nil {
			continue
		}
		subject := fmt.Sprintf("%s/%d", kind, changed[len(changed)-1].Version)
		if err := e.add(b, addition{entry: store.Entry{Kind: deal.EntryEffective, Subject: subject, Actor: deal.System, At: now}, change: &deal.Change{Documents: changed}}); err != nil {
			return err
		}
	}
	return nil
}

// turn sees to it that what was published for an instant that has come decides, whoever should have noticed before.
func (e *Engine) turn(ctx context.Context, now time.Time) error {
	if !read(e, func(v *view) bool { return v.turns(now) }) {
		return nil
	}
	_, err := e.submit(ctx, Request{Actor: deal.System}, func(time.Time) ([]addition, error) { return nil, nil })
	return err
}

// Live returns the document of the kind that decides now, or deal.ErrNotFound.
func (e *Engine) Live(kind string) (deal.Document, error) {
	docs := read(e, func(v *view) []deal.Document { return v.versions(kind) })
	deal.DocumentsAt(docs, e.now())
	if i := slices.IndexFunc(docs, isLive); i >= 0 {
		return docs[i], nil
	}
	return deal.Document{}, deal.ErrNotFound
}

// Strangers returns what a territory plan names and no record has: most often an id that is misspelt, or an import that is still to come.
func (e *Engine) Strangers(body []byte) ([]territory.Named, error) {
	p, err := territory.Compile(body)
	if err != nil {
		return nil, err
	}
	return read(e, func(v *view) []territory.Named {
		return slices.DeleteFunc(p.Names(), func(n territory.Named) bool {
			switch n.Kind {
			case deal.People:
				return v.people[n.ID] != nil
			case deal.Partners:
				return v.partners[n.ID] != nil
			}
			return v.account(n.ID) != nil
		})
	}), nil
}

// Misfits says what there is that d, as the policy or the plan that decides, does not fit: amounts that will not be compared as they are meant,
// for the plan's are in another currency than the policy's or there is no rate today; tiers and stages that the policy does not declare.
func (e *Engine) Misfits(d *deal.Document) ([]string, error) {
	var own, planned string
	var set policy.Settings
	if d.Kind == deal.TerritoryDocument {
		p, err := territory.Compile([]byte(d.Body))
		if err != nil {
			return nil, err
		}
		planned = p.Currency()
	} else {
		p, err := policy.CompileSaved([]byte(d.Body), d.Holidays)
		if err != nil {
			return nil, err
		}
		set = p.Settings()
		own = set.Currency
	}
	return read(e, func(v *view) (out []string) {
		if own == "" && v.policy != nil {
			own = v.policy.Settings().Currency
		}
		if planned == "" && v.plan != nil && d.Kind != deal.TerritoryDocument {
			planned = v.plan.Currency()
		}
		if own == "" {
			return nil
		}
		if planned != "" && planned != own {
			out = append(out, fmt.Sprintf("the territory plan's amounts are in %s and the policy compares in %s: what is hybrid goes by the numbers as they are", planned, own))
		}
		unrated := map[string]int{}
		count := func(m deal.Money) {
			if m.Currency != "" && !m.IsZero() {
				if _, ok := v.rate(m.Currency, own, e.now()); !ok {
					unrated[m.Currency]++
				}
			}
		}
		for _, o := range v.opportunities {
			if o.Status == "open" {
				count(o.Amount)
			}
		}
		for _, r := range v.claims {
			count(v.total(&r.Filing, r.ReceivedAt))
		}
		for _, c := range slices.Sorted(maps.Keys(unrated)) {
			out = append(out, fmt.Sprintf("%d amounts in %s have no rate to %s today, and a rule that goes by the amount does not know them: dibs import rates", unrated[c], c, own))
		}
		undeclared := map[[2]string]int{}
		note := func(r deal.Record) {
			if field, word := set.Undeclared(r); field != "" {
				undeclared[[2]string{field, word}]++
			}
		}
		for _, p := range v.partners {
			note(p)
		}
		for _, o := range v.opportunities {
			note(o)
		}
		for _, u := range slices.SortedFunc(maps.Keys(undeclared), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
			kind := map[string]deal.RecordKind{"tier": deal.Partners, "stage": deal.Opportunities}[u[0]]
			out = append(out, fmt.Sprintf("%d of the %s: %s %s", undeclared[u], kind, u[0], set.Misses(u[0], u[1])))
		}
		return out
	}), nil
}

// Documents returns all versions of a kind as they are now, in order.
func (e *Engine) Documents(ctx context.Context, kind string) ([]deal.Document, error) {
	docs, err := e.cfg.Store.Documents(ctx, kind)
	if err != nil {
		return nil, err
	}
	deal.DocumentsAt(docs, e.now())
	return docs, nil
}

// Document returns one version as it is now.
func (e *Engine) Document(ctx context.Context, kind string, version int) (deal.Document, error) {
	d, err := e.cfg.Store.Document(ctx, kind, version)
	if err != nil || !read(e, func(v *view) bool { return v.turns(e.now()) }) {
		return d, err
	}
	docs, err := e.Documents(ctx, kind)
	if err != nil {
		return deal.Document{}, err
	}
	if i := slices.IndexFunc(docs, func(d deal.Document) bool { return d.Version == version }); i >= 0 {
		return docs[i], nil
	}
	return deal.Document{}, deal.ErrNotFound
}
