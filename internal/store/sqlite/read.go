package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// querier is what a read needs: the write connection under the lock, a read connection, or the pool of them.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func readHead(ctx context.Context, q querier) (store.Head, error) {
	var h store.Head
	var at int64
	var chain, root []byte
	err := q.QueryRowContext(ctx, queryHead).Scan(&h.Seq, &chain, &root, &at, &h.Registrations)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Head{}, nil
	}
	if err != nil {
		return store.Head{}, err
	}
	copy(h.Chain[:], chain)
	copy(h.Root[:], root)
	h.At = fromMicros(at)
	return h, nil
}

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// Head implements store.Store.
func (s *Store) Head(ctx context.Context) (store.Head, error) {
	h, err := readHead(ctx, s.read)
	if err != nil {
		return h, fmt.Errorf("reading the head: %w", err)
	}
	return h, nil
}

const entryColumns = `SELECT seq, at, kind, subject, key_id, role, idem_key, request_hash, answer, encoding, body, leaf, chain, size FROM entry `

func (s *Store) scanEntry(scan func(...any) error) (store.Entry, error) {
	var e store.Entry
	var at int64
	var idem sql.NullString
	var encoding int
	var chain []byte
	if err := scan(&e.Seq, &at, &e.Kind, &e.Subject, &e.Actor.KeyID, &e.Actor.Role, &idem, &e.RequestHash, &e.Answer, &encoding, &e.Body, &e.Leaf, &chain, &e.Size); err != nil {
		return e, domainError(err)
	}
	e.At, e.IdemKey = fromMicros(at), idem.String
	copy(e.Chain[:], chain)
	if encoding == 1 {
		body, err := s.decoder.DecodeAll(e.Body, nil)
		if err != nil {
			return e, fmt.Errorf("body of entry %d: %w", e.Seq, err)
		}
		e.Body = body
	}
	return e, nil
}

func (s *Store) entries(ctx context.Context, q querier, after uint64) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		rows, err := q.QueryContext(ctx, entryColumns+`WHERE seq > ? ORDER BY seq`, after)
		if err != nil {
			yield(store.Entry{}, err)
			return
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			e, err := s.scanEntry(rows.Scan)
			if !yield(e, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(store.Entry{}, err)
		}
	}
}

// Entries implements store.Store.
func (s *Store) Entries(ctx context.Context, after uint64) iter.Seq2[store.Entry, error] {
	return s.entries(ctx, s.read, after)
}

// Entry implements store.Store.
func (s *Store) Entry(ctx context.Context, seq uint64) (store.Entry, error) {
	e, err := s.scanEntry(s.read.QueryRowContext(ctx, queryEntry, seq).Scan)
	if err != nil {
		return e, fmt.Errorf("entry %d: %w", seq, err)
	}
	return e, nil
}

func (s *Store) answered(ctx context.Context, q querier, k store.IdemKey) (store.Entry, error) {
	return s.scanEntry(q.QueryRowContext(ctx, queryAnswered, k.KeyID, k.Key).Scan)
}

// Answered implements store.Store.
func (s *Store) Answered(ctx context.Context, key store.IdemKey) (store.Entry, error) {
	return s.answered(ctx, s.read, key)
}

// Nodes implements store.Store.
func (s *Store) Nodes(ctx context.Context, indexes []int64) ([]store.Hash, error) {
	out := make([]store.Hash, len(indexes))
	for i, x := range indexes {
		var h []byte
		if err := s.read.QueryRowContext(ctx, queryNode, x).Scan(&h); err != nil {
			return nil, fmt.Errorf("hash %d: %w", x, domainError(err))
		}
		copy(out[i][:], h)
	}
	return out, nil
}

// AllNodes implements store.Store.
func (s *Store) AllNodes(ctx context.Context) iter.Seq2[store.Node, error] {
	return func(yield func(store.Node, error) bool) {
		err := each(ctx, s.read, `SELECT i, hash FROM node ORDER BY i`, nil, func(scan func(...any) error) error {
			var n store.Node
			var h []byte
			if err := scan(&n.Index, &h); err != nil {
				return err
			}
			if len(h) != len(n.Hash) {
				return fmt.Errorf("hash %d has %d bytes", n.Index, len(h))
			}
			copy(n.Hash[:], h)
			if !yield(n, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(store.Node{}, err)
		}
	}
}

// errStop ends a loop whose reader has read enough.
var errStop = errors.New("stop")

func each(ctx context.Context, q querier, query string, args []any, visit func(scan func(...any) error) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := visit(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Personal implements store.Store.
func (s *Store) Personal(ctx context.Context, seq uint64) ([]store.Personal, error) {
	return personal(ctx, s.read, queryPersonal, seq)
}

func personal(ctx context.Context, q querier, query string, seq uint64) ([]store.Personal, error) {
	var out []store.Personal
	err := each(ctx, q, query, []any{seq}, func(scan func(...any) error) error {
		var p store.Personal
		var v sql.NullString
		if err := scan(&p.Field, &p.Salt, &v); err != nil {
			return err
		}
		p.Value = v.String
		out = append(out, p)
		return nil
	})
	return out, err
}

// doc reads one document.
func doc[T any](ctx context.Context, q querier, query string, args ...any) (T, error) {
	var v T
	var text string
	if err := q.QueryRowContext(ctx, query, args...).Scan(&text); err != nil {
		return v, domainError(err)
	}
	return v, json.Unmarshal([]byte(text), &v)
}

// docs reads documents in order.
func docs[T any](ctx context.Context, q querier, query string, args []any, visit func(T) error) error {
	return each(ctx, q, query, args, func(scan func(...any) error) error {
		var text string
		if err := scan(&text); err != nil {
			return err
		}
		var v T
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return err
		}
		return visit(v)
	})
}

func list[T any](ctx context.Context, q querier, query string, args []any) ([]T, error) {
	var out []T
	err := docs(ctx, q, query, args, func(v T) error { out = append(out, v); return nil })
	return out, err
}

// where collects the conditions of a filter.
type where struct {
	conds []string
	args  []any
}

func (w *where) add(cond string, args ...any) {
	w.conds = append(w.conds, cond)
	w.args = append(w.args, args...)
}

func (w *where) equal(column, value string) {
	if value != "" {
		w.add(column+" = ?", value)
	}
}

func (w *where) page(key string, p store.Page) string {
	if p.After != "" {
		w.add(key+" > ?", p.After)
	}
	q := ""
	if len(w.conds) > 0 {
		q = " WHERE " + strings.Join(w.conds, " AND ")
	}
	w.args = append(w.args, p.Limit)
	return q + " ORDER BY " + key + " LIMIT ?"
}

// Registration implements store.Store.
func (s *Store) Registration(ctx context.Context, id string) (deal.Registration, error) {
	return doc[deal.Registration](ctx, s.read, queryRegistration, id)
}

// Registrations implements store.Store.
func (s *Store) Registrations(ctx context.Context, f store.RegistrationFilter) ([]deal.Registration, error) {
	var w where
	if f.PartnerIDs != nil {
		if len(f.PartnerIDs) == 0 {
			return nil, nil
		}
		marks := strings.Repeat(", ?", len(f.PartnerIDs))[2:]
		args := make([]any, 0, 2*len(f.PartnerIDs))
		for range 2 {
			for _, id := range f.PartnerIDs {
				args = append(args, id)
			}
		}
		w.add("(partner_id IN ("+marks+") OR distributor_id IN ("+marks+"))", args...)
	}
	w.equal("partner_id", f.PartnerID)
	w.equal("account_id", f.AccountID)
	w.equal("external_id", f.ExternalID)
	w.equal("number", f.Number)
	ended, at := "(status IN ('protected', 'conditional') AND protected_until <= ?)", f.AsOf.UnixMicro()
	switch f.Status {
	case "":
	case deal.StatusExpired:
		w.add("(status = 'expired' OR "+ended+")", at)
	case deal.StatusProtected, deal.StatusConditional:
		w.add("status = ? AND NOT "+ended, string(f.Status), at)
	default:
		w.equal("status", string(f.Status))
	}
	q := w.page("id", f.Page)
	return list[deal.Registration](ctx, s.read, `SELECT doc FROM registration`+q, w.args)
}

// DecisionSeqs implements store.Store.
func (s *Store) DecisionSeqs(ctx context.Context, registrationID string) ([]uint64, error) {
	var out []uint64
	err := each(ctx, s.read, queryDecisionSeqs, []any{registrationID}, func(scan func(...any) error) error {
		var n uint64
		err := scan(&n)
		out = append(out, n)
		return err
	})
	return out, err
}

// Case implements store.Store.
func (s *Store) Case(ctx context.Context, id string) (deal.Case, error) {
	return doc[deal.Case](ctx, s.read, `SELECT doc FROM escalation WHERE id = ?`, id)
}

// Cases implements store.Store.
func (s *Store) Cases(ctx context.Context, f store.CaseFilter) ([]deal.Case, error) {
	var w where
	w.equal("status", f.Status)
	w.equal("queue", f.Queue)
	w.equal("registration_id", f.RegistrationID)
	q := w.page("id", f.Page)
	return list[deal.Case](ctx, s.read, `SELECT doc FROM escalation`+q, w.args)
}

// Record implements store.Store.
func (s *Store) Record(ctx context.Context, kind deal.RecordKind, key string) (deal.Record, error) {
	t, ok := tables[kind]
	if !ok {
		return nil, deal.ErrNotFound
	}
	r := deal.NewRecord(kind)
	var text string
	if err := s.read.QueryRowContext(ctx, `SELECT doc FROM `+t.name+` WHERE id = ?`, key).Scan(&text); err != nil {
		return nil, domainError(err)
	}
	return r, json.Unmarshal([]byte(text), r)
}

// Records implements store.Store.
func (s *Store) Records(ctx context.Context, kind deal.RecordKind, f store.RecordFilter) ([]deal.Record, error) {
	t, ok := tables[kind]
	if !ok {
		return nil, deal.ErrNotFound
	}
	var w where
	if f.Name != "" {
		w.add("name_fold >= ? AND name_fold < ?", fold(f.Name), fold(f.Name)+"\U0010FFFF")
	}
	for column, v := range map[string]string{"country": f.Country, "account_id": f.AccountID, "partner_id": f.PartnerID, "status": f.Status} {
		if v == "" {
			continue
		}
		if !t.has(column) {
			return nil, fmt.Errorf("%s have no %s to filter by", kind, column)
		}
		w.equal(column, v)
	}
	q := w.page("id", f.Page)
	var out []deal.Record
	err := s.records(ctx, s.read, kind, `SELECT doc FROM `+t.name+q, w.args, func(r deal.Record) error { out = append(out, r); return nil })
	return out, err
}

func (t *table) has(column string) bool {
	for _, c := range t.columns {
		if c == column {
			return true
		}
	}
	return false
}

func (s *Store) records(ctx context.Context, q querier, kind deal.RecordKind, query string, args []any, visit func(deal.Record) error) error {
	return each(ctx, q, query, args, func(scan func(...any) error) error {
		var text []byte
		if err := scan(&text); err != nil {
			return err
		}
		r := deal.NewRecord(kind)
		if err := json.Unmarshal(text, r); err != nil {
			return err
		}
		return visit(r)
	})
}

// Document implements store.Store.
func (s *Store) Document(ctx context.Context, kind string, version int) (deal.Document, error) {
	return doc[deal.Document](ctx, s.read, `SELECT doc FROM document WHERE kind = ? AND version = ?`, kind, version)
}

// Documents implements store.Store.
func (s *Store) Documents(ctx context.Context, kind string) ([]deal.Document, error) {
	return list[deal.Document](ctx, s.read, `SELECT doc FROM document WHERE kind = ? ORDER BY version`, []any{kind})
}

// Keys implements store.Store.
func (s *Store) Keys(ctx context.Context) ([]deal.Key, error) {
	return list[deal.Key](ctx, s.read, `SELECT doc FROM api_key ORDER BY id`, nil)
}

// Events implements store.Store.
func (s *Store) Events(ctx context.Context, limit int) ([]store.Event, error) {
	var out []store.Event
	err := each(ctx, s.read, `SELECT id, seq, type, subject, at, body FROM event WHERE delivered_at IS NULL ORDER BY seq, id LIMIT ?`, []any{limit}, func(scan func(...any) error) error {
		var e store.Event
		var at int64
		if err := scan(&e.ID, &e.Seq, &e.Type, &e.Subject, &at, &e.Body); err != nil {
			return err
		}
		e.At = fromMicros(at)
		out = append(out, e)
		return nil
	})
	return out, err
}

// Breaches implements store.Store.
func (s *Store) Breaches(ctx context.Context, t time.Time) ([]store.Breach, error) {
	var out []store.Breach
	at := t.UnixMicro()
	err := each(ctx, s.read, `SELECT DISTINCT a.registration_id, b.registration_id FROM holder a JOIN holder b
		ON a.customer_key = b.customer_key AND a.registration_id < b.registration_id
		AND (a.line = b.line OR a.line = '*' OR b.line = '*') AND (a.site = b.site OR a.site = '*' OR b.site = '*')
		WHERE NOT (a.shared AND b.shared) AND a.starts_at <= ? AND a.ends_at > ? AND b.starts_at <= ? AND b.ends_at > ? ORDER BY 1, 2`,
		[]any{at, at, at, at}, func(scan func(...any) error) error {
			var b store.Breach
			err := scan(&b.A, &b.B)
			out = append(out, b)
			return err
		})
	return out, err
}

// Load implements store.Store.
func (s *Store) Load(ctx context.Context, v store.Visitor, base store.Base) (store.Head, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return store.Head{}, fmt.Errorf("loading: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	head, err := readHead(ctx, tx)
	if err != nil {
		return head, fmt.Errorf("loading the head: %w", err)
	}
	if base != (store.Base{}) {
		if err := holdsBase(ctx, tx, base); err != nil {
			return head, err
		}
	}
	if err := docs(ctx, tx, `SELECT doc FROM document ORDER BY kind, version`, nil, v.Document); err != nil {
		return head, fmt.Errorf("loading documents: %w", err)
	}
	if err := docs(ctx, tx, `SELECT doc FROM api_key ORDER BY id`, nil, v.Key); err != nil {
		return head, fmt.Errorf("loading keys: %w", err)
	}
	for _, kind := range deal.RecordKinds {
		if kind == deal.Accounts && base != (store.Base{}) {
			if err := s.accountsSince(ctx, tx, base.Seq, v); err != nil {
				return head, fmt.Errorf("loading changes of accounts: %w", err)
			}
			continue
		}
		if err := s.records(ctx, tx, kind, `SELECT doc FROM `+tables[kind].name+` ORDER BY id`, nil, v.Record); err != nil {
			return head, fmt.Errorf("loading %s: %w", kind, err)
		}
	}
	if err := docs(ctx, tx, `SELECT doc FROM registration ORDER BY id`, nil, v.Registration); err != nil {
		return head, fmt.Errorf("loading registrations: %w", err)
	}
	if err := docs(ctx, tx, `SELECT doc FROM escalation ORDER BY id`, nil, v.Case); err != nil {
		return head, fmt.Errorf("loading cases: %w", err)
	}
	return head, nil
}

// holdsBase returns store.ErrBase unless the ledger has base.
func holdsBase(ctx context.Context, q querier, base store.Base) error {
	var chain []byte
	err := q.QueryRowContext(ctx, `SELECT chain FROM entry WHERE seq = ?`, base.Seq).Scan(&chain)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%w: it has no entry %d", store.ErrBase, base.Seq)
	case err != nil:
		return fmt.Errorf("looking up entry %d: %w", base.Seq, err)
	case !bytes.Equal(chain, base.Chain[:]):
		return fmt.Errorf("%w: entry %d has another chain", store.ErrBase, base.Seq)
	}
	return nil
}

// accountsSince visits what entries after seq have done to accounts.
func (s *Store) accountsSince(ctx context.Context, q querier, seq uint64, v store.Visitor) error {
	return each(ctx, q, recordEntries, []any{seq}, func(scan func(...any) error) error {
		e, err := s.scanEntry(scan)
		if err != nil {
			return err
		}
		c, err := deal.DecodeChange(e.Body)
		if err != nil {
			return fmt.Errorf("entry %d: %w", e.Seq, err)
		}
		for _, a := range c.Accounts {
			if err := v.Record(a); err != nil {
				return err
			}
		}
		for _, d := range c.Deleted {
			if d.Kind != deal.Accounts {
				continue
			}
			if err := v.Deleted(d); err != nil {
				return err
			}
		}
		return nil
	})
}

// recordEntries reads the entries of deal.RecordEntries after one.
const recordEntries = entryColumns + `INDEXED BY entry_records WHERE seq > ? AND kind IN ('` + deal.EntryRecords + `', '` + deal.EntryDeleted + `') ORDER BY seq`

// Snapshots implements store.Store.
func (s *Store) Snapshots(ctx context.Context) ([]store.Snapshot, error) {
	var out []store.Snapshot
	err := each(ctx, s.read, `SELECT digest, seq, chain, format, bytes, at FROM snapshot ORDER BY seq DESC, at DESC, digest`, nil, func(scan func(...any) error) error {
		var p store.Snapshot
		var digest, chain []byte
		var at int64
		if err := scan(&digest, &p.Seq, &chain, &p.Format, &p.Bytes, &at); err != nil {
			return err
		}
		copy(p.Digest[:], digest)
		copy(p.Chain[:], chain)
		p.At = fromMicros(at)
		out = append(out, p)
		return nil
	})
	return out, err
}
