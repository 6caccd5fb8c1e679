package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// Commit implements store.Store. The caller's deadline ends the waiting for the lock and the deciding; once writing
// has begun it runs to its end, since a commit cut off half-way would have an unknown outcome.
func (s *Store) Commit(ctx context.Context, decide func(context.Context, store.Locked) (store.Append, error)) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return errors.New("the database is closed")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	tx := context.WithoutCancel(ctx)
	if _, err := s.conn.ExecContext(tx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("locking the ledger: %w", err)
	}
	done := false
	defer func() {
		if done {
			return
		}
		if _, rerr := s.conn.ExecContext(tx, "ROLLBACK"); rerr != nil {
			err = errors.Join(err, fmt.Errorf("rolling back: %w", rerr))
		}
	}()
	head, err := readHead(tx, s.conn)
	if err != nil {
		return fmt.Errorf("reading the head: %w", err)
	}
	if err := s.hook("locked"); err != nil {
		return err
	}
	add, err := decide(ctx, &locked{s, head})
	if err != nil {
		return err
	}
	if len(add.Entries) == 0 {
		return nil
	}
	if err := s.append(tx, head, &add); err != nil {
		return err
	}
	if err := s.hook("written"); err != nil {
		return err
	}
	if _, err := s.conn.ExecContext(tx, "COMMIT"); err != nil {
		return errors.Join(store.ErrUnknown, err)
	}
	done = true
	if err := s.hook("committed"); err != nil {
		return errors.Join(store.ErrUnknown, err)
	}
	return nil
}

// PutSnapshot implements store.Store.
func (s *Store) PutSnapshot(ctx context.Context, p store.Snapshot) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return errors.New("the database is closed")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	tx := context.WithoutCancel(ctx)
	if _, err := s.conn.ExecContext(tx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("recording a snapshot: %w", err)
	}
	end := "ROLLBACK"
	defer func() {
		if _, eerr := s.conn.ExecContext(tx, end); eerr != nil {
			err = errors.Join(err, fmt.Errorf("recording a snapshot: %w", eerr))
		}
	}()
	if err := holdsBase(tx, s.conn, p.Base); err != nil {
		return err
	}
	if _, err := s.conn.ExecContext(tx, `INSERT INTO snapshot (digest, seq, chain, format, bytes, at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING`,
		p.Digest[:], p.Seq, p.Chain[:], p.Format, p.Bytes, p.At.UnixMicro()); err != nil {
		return fmt.Errorf("recording a snapshot: %w", err)
	}
	if _, err := s.conn.ExecContext(tx, `DELETE FROM snapshot WHERE format = ? AND digest NOT IN
		(SELECT digest FROM snapshot WHERE format = ? ORDER BY seq DESC, at DESC, digest LIMIT ?)`, p.Format, p.Format, store.KeptSnapshots); err != nil {
		return fmt.Errorf("dropping old records of snapshots: %w", err)
	}
	end = "COMMIT"
	return nil
}

type locked struct {
	s    *Store
	head store.Head
}

func (l *locked) Head() store.Head { return l.head }

func (l *locked) Entries(ctx context.Context, after uint64) iter.Seq2[store.Entry, error] {
	return l.s.entries(ctx, l.s.conn, after)
}

func (l *locked) Answered(ctx context.Context, keys []store.IdemKey) (map[store.IdemKey]store.Entry, error) {
	out := map[store.IdemKey]store.Entry{}
	for _, k := range keys {
		e, err := l.s.answered(ctx, l.s.conn, k)
		switch {
		case err == nil:
			out[k] = e
		case !errors.Is(err, deal.ErrNotFound):
			return nil, err
		}
	}
	return out, nil
}

func (s *Store) append(ctx context.Context, head store.Head, add *store.Append) error {
	for i := range add.Entries {
		e := &add.Entries[i]
		if e.Seq != head.Seq+1+uint64(i) {
			return fmt.Errorf("entry %d does not follow head %d", e.Seq, head.Seq)
		}
		body, encoding := e.Body, 0
		if len(body) >= compressFrom {
			body, encoding = s.encoder.EncodeAll(body, nil), 1
		}
		err := s.conn.exec(ctx, `INSERT INTO entry (seq, at, kind, subject, key_id, role, idem_key, request_hash, answer, encoding, body, leaf, chain, size)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			e.Seq, e.At.UnixMicro(), e.Kind, e.Subject, e.Actor.KeyID, e.Actor.Role, null(e.IdemKey), e.RequestHash, e.Answer, encoding, body, e.Leaf, e.Chain[:], e.Size)
		if err != nil {
			return fmt.Errorf("writing entry %d: %w", e.Seq, err)
		}
		for n, p := range e.Personal {
			if err := s.conn.exec(ctx, `INSERT INTO personal (seq, n, field, salt, value) VALUES (?, ?, ?, ?, ?)`, e.Seq, n, p.Field, p.Salt, p.Value); err != nil {
				return fmt.Errorf("writing personal data of entry %d: %w", e.Seq, err)
			}
		}
		if err := s.project(ctx, e.Seq, add.Changes[i]); err != nil {
			return fmt.Errorf("projecting entry %d: %w", e.Seq, err)
		}
	}
	for _, n := range add.Nodes {
		if err := s.conn.exec(ctx, `INSERT INTO node (i, hash) VALUES (?, ?)`, n.Index, n.Hash[:]); err != nil {
			return fmt.Errorf("writing hash %d: %w", n.Index, err)
		}
	}
	for _, ev := range add.Events {
		if err := s.conn.exec(ctx, `INSERT INTO event (id, seq, type, subject, at, body) VALUES (?, ?, ?, ?, ?, ?)`,
			ev.ID, ev.Seq, ev.Type, ev.Subject, ev.At.UnixMicro(), ev.Body); err != nil {
			return fmt.Errorf("writing event %s: %w", ev.ID, err)
		}
	}
	h := add.Head
	if err := s.conn.exec(ctx, `INSERT INTO head (id, seq, chain, root, at, registrations) VALUES (1, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, chain = excluded.chain, root = excluded.root, at = excluded.at, registrations = excluded.registrations`,
		h.Seq, h.Chain[:], h.Root[:], h.At.UnixMicro(), h.Registrations); err != nil {
		return fmt.Errorf("writing the head: %w", err)
	}
	return nil
}

// project writes what an entry changes into the tables people query.
func (s *Store) project(ctx context.Context, seq uint64, c *deal.Change) error {
	for i := range c.Registrations {
		if err := s.putRegistration(ctx, &c.Registrations[i]); err != nil {
			return fmt.Errorf("registration %s: %w", c.Registrations[i].ID, err)
		}
	}
	if d := c.Decision; d != nil {
		disposition := ""
		if d.Route != nil {
			disposition = string(d.Route.Disposition)
		}
		if err := s.conn.exec(ctx, `INSERT INTO decision (seq, id, registration_id, at, outcome, disposition, reason, policy, policy_version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			seq, d.ID, d.RegistrationID, d.At.UnixMicro(), string(d.Outcome), null(disposition), strings.Join(d.ReasonCodes, " "), d.Policy.Name, d.Policy.Version); err != nil {
			return fmt.Errorf("decision %s: %w", d.ID, err)
		}
	}
	for i := range c.Cases {
		k := &c.Cases[i]
		doc, err := json.Marshal(k)
		if err != nil {
			return err
		}
		if err := s.conn.exec(ctx, `INSERT INTO escalation (id, registration_id, status, queue, opened_at, due_at, assignee, version, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET status = excluded.status, queue = excluded.queue, due_at = excluded.due_at, assignee = excluded.assignee, version = excluded.version, doc = excluded.doc`,
			k.ID, k.RegistrationID, k.Status, k.Terms.Queue, k.OpenedAt.UnixMicro(), micros(k.DueAt), null(k.Assignee), k.Version, string(doc)); err != nil {
			return fmt.Errorf("case %s: %w", k.ID, err)
		}
	}
	var err error
	c.Records(func(r deal.Record) {
		if err == nil {
			err = s.putRecord(ctx, r)
		}
	})
	if err != nil {
		return err
	}
	for _, r := range c.Deleted {
		t, ok := tables[r.Kind]
		if !ok {
			return fmt.Errorf("no table for %s", r.Kind)
		}
		if err := s.conn.exec(ctx, "DELETE FROM "+t.name+" WHERE id = ?", r.Key); err != nil {
			return fmt.Errorf("%s %s: %w", r.Kind, r.Key, err)
		}
	}
	// The one that stops being live comes before the one that starts: the database allows one.
	for _, live := range []bool{false, true} {
		for i := range c.Documents {
			if d := &c.Documents[i]; (d.Status == "live") == live {
				if err := s.putDocument(ctx, d); err != nil {
					return fmt.Errorf("%s version %d: %w", d.Kind, d.Version, err)
				}
			}
		}
	}
	for i := range c.Keys {
		k := &c.Keys[i]
		doc, err := json.Marshal(k)
		if err != nil {
			return err
		}
		if err := s.conn.exec(ctx, `INSERT INTO api_key (id, role, created_at, revoked_at, doc) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET role = excluded.role, revoked_at = excluded.revoked_at, doc = excluded.doc`,
			k.ID, k.Role, k.CreatedAt.UnixMicro(), micros(k.RevokedAt), string(doc)); err != nil {
			return fmt.Errorf("key %s: %w", k.ID, err)
		}
	}
	return nil
}

func (s *Store) putRegistration(ctx context.Context, r *deal.Registration) error {
	doc, err := json.Marshal(r)
	if err != nil {
		return err
	}
	window := r.Protection
	if r.Status == deal.StatusEscalated {
		window = r.Hold
	}
	var from, until any
	if window != nil {
		from, until = window.StartsAt.UnixMicro(), window.EndsAt.UnixMicro()
	}
	f := &r.Filing
	var amount, currency any
	if !f.Amount.IsZero() {
		amount, currency = f.Amount.Value.String(), f.Amount.Currency
	}
	if err := s.conn.exec(ctx, `INSERT INTO registration (id, number, partner_id, distributor_id, status, customer_key, customer_name, account_id, external_id, amount, currency,
			received_at, protected_from, protected_until, decision_id, case_id, seq, version, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET partner_id = excluded.partner_id, distributor_id = excluded.distributor_id, status = excluded.status,
			customer_key = excluded.customer_key, customer_name = excluded.customer_name, account_id = excluded.account_id, external_id = excluded.external_id,
			amount = excluded.amount, currency = excluded.currency, protected_from = excluded.protected_from, protected_until = excluded.protected_until,
			decision_id = excluded.decision_id, case_id = excluded.case_id, version = excluded.version, doc = excluded.doc`,
		r.ID, r.Number, f.PartnerID, null(f.DistributorID), string(r.Status), r.CustomerRef.Key(), f.Customer.Name, null(r.CustomerRef.AccountID), null(f.ExternalID),
		amount, currency, r.ReceivedAt.UnixMicro(), from, until, r.DecisionID, null(r.CaseID), r.Sequence, r.Version, string(doc)); err != nil {
		return err
	}
	if r.Version > r.Sequence { // a new registration has no cells yet
		if err := s.conn.exec(ctx, `DELETE FROM holder WHERE registration_id = ?`, r.ID); err != nil {
			return err
		}
	}
	for _, el := range store.Elements(r) {
		err := s.conn.exec(ctx, `INSERT INTO holder (registration_id, customer_key, line, site, shared, starts_at, ends_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			r.ID, el.Customer, el.Line, el.Site, el.Shared, from, until)
		if isUnique(err) {
			return fmt.Errorf("%w: %s, line %s, site %s", store.ErrHolder, el.Customer, el.Line, el.Site)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) putDocument(ctx context.Context, d *deal.Document) error {
	doc, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return s.conn.exec(ctx, `INSERT INTO document (kind, version, name, digest, status, doc) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (kind, version) DO UPDATE SET status = excluded.status, doc = excluded.doc`,
		d.Kind, d.Version, d.Name, d.Digest, d.Status, string(doc))
}

// null stores an empty text as NULL, so that partial indexes leave it out.
func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// table says how one kind of reference data is kept: the columns people query, beside the document itself.
type table struct {
	name    string
	columns []string
	values  func(deal.Record) []any
	upsert  string
}

var tables = map[deal.RecordKind]*table{
	deal.Accounts: {name: "account", columns: []string{"name", "name_fold", "domain", "country", "region", "city", "status", "owner", "named", "parent_id"},
		values: func(r deal.Record) []any {
			a := r.(*deal.Account)
			return []any{a.Name, fold(a.Name), null(a.Domain), null(a.Country), null(a.Region), null(a.City), null(a.Status), null(a.Owner), a.Named, null(a.ParentID)}
		}},
	deal.Opportunities: {name: "opportunity", columns: []string{"account_id", "account_name", "name_fold", "stage", "status", "led_by", "partner_id", "owner", "amount", "currency"},
		values: func(r deal.Record) []any {
			o := r.(*deal.Opportunity)
			return []any{null(o.AccountID), null(o.AccountName), fold(o.Name), null(o.Stage), o.Status, o.LedBy, null(o.PartnerID), null(o.Owner), null(o.Amount.Value.String()), null(o.Amount.Currency)}
		}},
	deal.Partners: {name: "partner", columns: []string{"name", "name_fold", "type", "tier", "status", "country", "distributor_id"},
		values: func(r deal.Record) []any {
			p := r.(*deal.Partner)
			return []any{p.Name, fold(p.Name), null(p.Type), null(p.Tier), null(p.Status), null(p.Country), null(p.DistributorID)}
		}},
	deal.People: {name: "person", columns: []string{"name", "name_fold", "email", "manager"},
		values: func(r deal.Record) []any {
			p := r.(*deal.Person)
			return []any{p.Name, fold(p.Name), null(p.Email), null(p.Manager)}
		}},
	deal.Products: {name: "product", columns: []string{"name_fold", "line", "class", "core"},
		values: func(r deal.Record) []any {
			p := r.(*deal.CatalogueProduct)
			return []any{fold(p.SKU), p.Line, null(p.Class), p.Core}
		}},
	deal.Rates: {name: "rate", columns: []string{"name_fold", "date", "from_currency", "to_currency", "rate"},
		values: func(r deal.Record) []any {
			x := r.(*deal.Rate)
			return []any{fold(x.From + x.To), x.Date.String(), x.From, x.To, x.Rate}
		}},
}

func init() {
	for _, t := range tables {
		var set []string
		for _, c := range t.columns {
			set = append(set, c+" = excluded."+c)
		}
		t.upsert = fmt.Sprintf("INSERT INTO %s (id, %s, doc) VALUES (?%s, ?) ON CONFLICT (id) DO UPDATE SET %s, doc = excluded.doc",
			t.name, strings.Join(t.columns, ", "), strings.Repeat(", ?", len(t.columns)), strings.Join(set, ", "))
	}
}

func fold(s string) string { return strings.ToLower(s) }

func (s *Store) putRecord(ctx context.Context, r deal.Record) error {
	t, ok := tables[r.Kind()]
	if !ok {
		return fmt.Errorf("no table for %s", r.Kind())
	}
	doc, err := json.Marshal(r)
	if err != nil {
		return err
	}
	args := append(append([]any{r.Key()}, t.values(r)...), string(doc))
	if err := s.conn.exec(ctx, t.upsert, args...); err != nil {
		return fmt.Errorf("%s %s: %w", r.Kind(), r.Key(), err)
	}
	return nil
}
