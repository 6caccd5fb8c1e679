package tables

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	fastjson "github.com/go-json-experiment/json" // reads a record in half the time; there are millions

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/pack"
	"github.com/dibs-deals/dibs/internal/store"
)

// The reads that every registration, or every page about one, makes.
const (
	queryHead         = `SELECT seq, chain, root, at, registrations FROM head WHERE id = 1`
	queryEntry        = entryColumns + `WHERE seq = ?`
	queryAnswered     = entryColumns + `WHERE key_id = ? AND idem_key = ?`
	queryNode         = `SELECT hash FROM node WHERE i = ?`
	queryPersonal     = `SELECT doc FROM personal WHERE seq = ?`
	queryRegistration = `SELECT doc FROM registration WHERE id = ?`
	queryDecisionSeqs = `SELECT seq FROM decision WHERE registration_id = ? ORDER BY seq`

	entryColumns = `SELECT seq, at, kind, subject, key_id, role, COALESCE(person_id, ''), COALESCE(idem_key, ''), request_hash, answer, encoding, body, leaf, chain, size FROM entry `
)

// HotReads are worth preparing on every connection.
var HotReads = []string{queryHead, queryEntry, queryAnswered, queryNode, queryPersonal, queryRegistration, queryDecisionSeqs}

// Rows are the answer to a query. Err is to be asked once Next has said no.
type Rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close() error
}

// Querier is what a read needs: one connection, or a pool of them.
type Querier interface {
	Query(ctx context.Context, query string, args ...any) (Rows, error)
}

// Execer also runs statements.
type Execer interface {
	Querier
	Exec(ctx context.Context, query string, args ...any) error
}

// Reader answers the reads of the storage contract. It is as safe for concurrent use as its querier.
type Reader struct {
	DB    Querier
	Codec *pack.Codec
	// RecordsHint, if not empty, follows the table in the read of the entries that change reference data: it names the
	// index to use, where an engine must be told.
	RecordsHint string
}

// On returns the reader over another querier.
func (r *Reader) On(db Querier) *Reader {
	on := *r
	on.DB = db
	return &on
}

// instant scans a time as any engine keeps it: a time, microseconds since 1970 UTC, or NULL for the zero time.
type instant struct{ *time.Time }

// Scan implements sql.Scanner.
func (i instant) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*i.Time = time.Time{}
	case int64:
		*i.Time = time.UnixMicro(v).UTC()
	case time.Time:
		*i.Time = v.UTC()
	default:
		return fmt.Errorf("%T is no time", v)
	}
	return nil
}

// errStop ends a loop whose reader has read enough.
var errStop = errors.New("stop")

func each(ctx context.Context, q Querier, query string, args []any, visit func(scan func(...any) error) error) (err error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
	}()
	for rows.Next() {
		if err := visit(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one reads the first row of a query. No row is deal.ErrNotFound.
func one(ctx context.Context, q Querier, query string, args []any, dest ...any) error {
	err := each(ctx, q, query, args, func(scan func(...any) error) error {
		if err := scan(dest...); err != nil {
			return err
		}
		return errStop
	})
	switch {
	case errors.Is(err, errStop):
		return nil
	case err == nil:
		return deal.ErrNotFound
	}
	return err
}

// ForUpdate reads the head and locks it until the end of the transaction.
const ForUpdate = queryHead + ` FOR UPDATE`

// ScanHead reads the row of the head.
func ScanHead(scan func(...any) error) (h store.Head, err error) {
	var chain, root []byte
	if err := scan(&h.Seq, &chain, &root, instant{&h.At}, &h.Registrations); err != nil {
		return store.Head{}, err
	}
	copy(h.Chain[:], chain)
	copy(h.Root[:], root)
	return h, nil
}

// Head returns the end of the ledger.
func (r *Reader) Head(ctx context.Context) (h store.Head, err error) {
	err = each(ctx, r.DB, queryHead, nil, func(scan func(...any) error) (err error) {
		h, err = ScanHead(scan)
		return err
	})
	if err != nil {
		return store.Head{}, fmt.Errorf("reading the head: %w", err)
	}
	return h, nil
}

func (r *Reader) scanEntry(scan func(...any) error) (e store.Entry, err error) {
	var encoding int
	var chain []byte
	if err := scan(&e.Seq, instant{&e.At}, &e.Kind, &e.Subject, &e.Actor.KeyID, &e.Actor.Role, &e.Actor.PersonID, &e.IdemKey, &e.RequestHash, &e.Answer, &encoding, &e.Body, &e.Leaf, &chain, &e.Size); err != nil {
		return e, err
	}
	copy(e.Chain[:], chain)
	if e.Body, err = r.Codec.Unpack(encoding, e.Body); err != nil {
		return e, fmt.Errorf("body of entry %d: %w", e.Seq, err)
	}
	return e, nil
}

func (r *Reader) entry(ctx context.Context, query string, args ...any) (e store.Entry, err error) {
	found := false
	err = each(ctx, r.DB, query, args, func(scan func(...any) error) (err error) {
		e, err = r.scanEntry(scan)
		found = true
		return err
	})
	if err == nil && !found {
		err = deal.ErrNotFound
	}
	return e, err
}

// Entry implements store.Store.
func (r *Reader) Entry(ctx context.Context, seq uint64) (store.Entry, error) {
	e, err := r.entry(ctx, queryEntry, seq)
	if err != nil {
		return e, fmt.Errorf("entry %d: %w", seq, err)
	}
	return e, nil
}

// Answered implements store.Store.
func (r *Reader) Answered(ctx context.Context, key store.IdemKey) (store.Entry, error) {
	return r.entry(ctx, queryAnswered, key.KeyID, key.Key)
}

// PageLength is how many entries are read at a time. With the limit, and only with it, PostgreSQL follows the key whatever it knows of the table.
const PageLength = 200

// Entries implements store.Store.
func (r *Reader) Entries(ctx context.Context, after uint64) iter.Seq2[store.Entry, error] {
	return r.SelectEntries(ctx, store.EntryFilter{After: after})
}

// EntriesWhere returns the entries that a condition selects.
func (r *Reader) EntriesWhere(ctx context.Context, condition string, args ...any) (out []store.Entry, err error) {
	return collected(r.entries(ctx, entryColumns+`WHERE `+condition, args...))
}

func collected(entries iter.Seq2[store.Entry, error]) (out []store.Entry, err error) {
	for e, err := range entries {
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// Page returns the first entries after seq, at most PageLength.
func (r *Reader) Page(ctx context.Context, after uint64) ([]store.Entry, error) {
	return collected(r.page(ctx, store.EntryFilter{After: after}))
}

func (r *Reader) entries(ctx context.Context, query string, args ...any) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		err := each(ctx, r.DB, query, args, func(scan func(...any) error) error {
			e, err := r.scanEntry(scan)
			if err != nil {
				return err
			}
			if !yield(e, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(store.Entry{}, err)
		}
	}
}

// Nodes implements store.Store.
func (r *Reader) Nodes(ctx context.Context, indexes []int64) ([]store.Hash, error) {
	out := make([]store.Hash, len(indexes))
	for i, x := range indexes {
		var h []byte
		if err := one(ctx, r.DB, queryNode, []any{x}, &h); err != nil {
			return nil, fmt.Errorf("hash %d: %w", x, err)
		}
		copy(out[i][:], h)
	}
	return out, nil
}

// AllNodes implements store.Store.
func (r *Reader) AllNodes(ctx context.Context) iter.Seq2[store.Node, error] {
	return func(yield func(store.Node, error) bool) {
		err := each(ctx, r.DB, `SELECT i, hash FROM node ORDER BY i`, nil, func(scan func(...any) error) error {
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

// Personal implements store.Store.
func (r *Reader) Personal(ctx context.Context, seq uint64) (out []store.Personal, err error) {
	found, err := doc[[]piece](ctx, r.DB, queryPersonal, seq)
	if err != nil && !errors.Is(err, deal.ErrNotFound) {
		return nil, fmt.Errorf("personal data of entry %d: %w", seq, err)
	}
	for i := range found {
		p, err := found[i].personal()
		if err != nil {
			return nil, fmt.Errorf("personal data of entry %d: %s: %w", seq, p.Field, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// doc reads one document.
func doc[T any](ctx context.Context, q Querier, query string, args ...any) (T, error) {
	var v T
	var text []byte
	if err := one(ctx, q, query, args, &text); err != nil {
		return v, err
	}
	return v, json.Unmarshal(text, &v)
}

func list[T any](ctx context.Context, q Querier, query string, args []any) (out []T, err error) {
	err = each(ctx, q, query, args, func(scan func(...any) error) error {
		var text []byte
		if err := scan(&text); err != nil {
			return err
		}
		var v T
		if err := json.Unmarshal(text, &v); err != nil {
			return err
		}
		out = append(out, v)
		return nil
	})
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

// beginning selects what begins with a text.
func (w *where) beginning(column, text string) {
	if text != "" {
		w.add(column+" >= ? AND "+column+" < ?", text, text+string(unicode.MaxRune))
	}
}

func (w *where) page(p store.Page) string {
	beyond, order := "id > ?", ""
	if p.Backwards {
		beyond, order = "id < ?", " DESC"
	}
	if p.After != "" {
		w.add(beyond, p.After)
	}
	w.args = append(w.args, p.Limit)
	return w.text() + " ORDER BY id" + order + " LIMIT ?"
}

func (w *where) text() string {
	if len(w.conds) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conds, " AND ")
}

// within returns patterns of LIKE for what has a text within it, its ASCII letters in lower case. Those are all whose case the databases know: other
// letters are looked for as given, small, capital, and capital where a word begins.
func within(text string) (patterns []any) {
	begins := true
	title := strings.Map(func(r rune) rune {
		if begins {
			r = unicode.ToTitle(r)
		} else {
			r = unicode.ToLower(r)
		}
		begins = !unicode.IsLetter(r) && !unicode.IsMark(r)
		return r
	}, text)
	escaped := strings.NewReplacer("%", `\%`, "_", `\_`, `\`, `\\`)
	for _, t := range []string{text, strings.ToLower(text), strings.ToUpper(text), title} {
		t = strings.Map(func(r rune) rune {
			if r < utf8.RuneSelf {
				return unicode.ToLower(r)
			}
			return r
		}, t)
		if p := any("%" + escaped.Replace(t) + "%"); !slices.Contains(patterns, p) {
			patterns = append(patterns, p)
		}
	}
	return patterns
}

// Registration implements store.Store.
func (r *Reader) Registration(ctx context.Context, id string) (deal.Registration, error) {
	return doc[deal.Registration](ctx, r.DB, queryRegistration, id)
}

// Registrations implements store.Store.
func (r *Reader) Registrations(ctx context.Context, f store.RegistrationFilter) ([]deal.Registration, error) {
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
	if f.CustomerName != "" {
		patterns := within(f.CustomerName)
		w.add("("+strings.Repeat(` OR lower(customer_name) LIKE ? ESCAPE '\'`, len(patterns))[len(" OR "):]+")", patterns...)
	}
	const ended = "(status IN ('protected', 'conditional') AND protected_until <= ?)"
	switch f.Status {
	case "":
	case deal.StatusExpired:
		w.add("(status = 'expired' OR "+ended+")", f.AsOf)
	case deal.StatusProtected, deal.StatusConditional:
		w.add("status = ? AND NOT "+ended, string(f.Status), f.AsOf)
	default:
		w.equal("status", string(f.Status))
	}
	q := w.page(f.Page)
	return list[deal.Registration](ctx, r.DB, `SELECT doc FROM registration`+q, w.args)
}

// DecisionSeqs implements store.Store.
func (r *Reader) DecisionSeqs(ctx context.Context, registrationID string) (out []uint64, err error) {
	err = each(ctx, r.DB, queryDecisionSeqs, []any{registrationID}, func(scan func(...any) error) error {
		var n uint64
		err := scan(&n)
		out = append(out, n)
		return err
	})
	return out, err
}

// Case implements store.Store.
func (r *Reader) Case(ctx context.Context, id string) (deal.Case, error) {
	return doc[deal.Case](ctx, r.DB, `SELECT doc FROM escalation WHERE id = ?`, id)
}

// Cases implements store.Store.
func (r *Reader) Cases(ctx context.Context, f store.CaseFilter) ([]deal.Case, error) {
	var w where
	w.equal("status", f.Status)
	w.equal("queue", f.Queue)
	w.equal("registration_id", f.RegistrationID)
	w.equal("kind", f.Kind)
	w.equal("partner_id", f.PartnerID)
	if f.Assignee == store.NoAssignee {
		w.add("assignee IS NULL")
	} else {
		w.equal("assignee", f.Assignee)
	}
	if !f.DueBefore.IsZero() {
		w.add("due_at < ?", f.DueBefore)
	}
	if f.After != "" {
		text, id, _ := strings.Cut(f.After, " ")
		due, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return nil, fmt.Errorf("%q is not the key of a case in a list", f.After)
		}
		w.add("(COALESCE(due_at, ?) > ? OR COALESCE(due_at, ?) = ? AND id > ?)", store.NeverDue, due, store.NeverDue, due, id)
	}
	q := ""
	if len(w.conds) > 0 {
		q = " WHERE " + strings.Join(w.conds, " AND ")
	}
	return list[deal.Case](ctx, r.DB, `SELECT doc FROM escalation`+q+` ORDER BY COALESCE(due_at, ?), id LIMIT ?`, append(w.args, store.NeverDue, f.Limit))
}

// Precedents implements store.Store.
func (r *Reader) Precedents(ctx context.Context, code string, limit int) ([]deal.Case, error) {
	return list[deal.Case](ctx, r.DB, `SELECT doc FROM escalation WHERE reason = ? AND status = 'resolved' ORDER BY version DESC LIMIT ?`, []any{code, limit})
}

// Finding implements store.Store.
func (r *Reader) Finding(ctx context.Context, id string) (deal.Finding, error) {
	return doc[deal.Finding](ctx, r.DB, `SELECT doc FROM finding WHERE id = ?`, id)
}

// Findings implements store.Store.
func (r *Reader) Findings(ctx context.Context, f store.FindingFilter) ([]deal.Finding, error) {
	var w where
	w.equal("verdict", f.Verdict)
	if len(f.Of) > 0 {
		marks := "(?" + strings.Repeat(", ?", len(f.Of)-1) + ")"
		var keys []any
		for _, ref := range f.Of {
			keys = append(keys, ref.Key())
		}
		w.add("(subject_key IN "+marks+" OR other_key IN "+marks+")", append(keys, keys...)...)
	}
	if !f.LiveAt.IsZero() {
		w.add("withdrawn_at IS NULL AND (until IS NULL OR until > ?)", f.LiveAt)
	}
	q := w.page(f.Page)
	return list[deal.Finding](ctx, r.DB, `SELECT doc FROM finding`+q, w.args)
}

// SelectEntries implements store.Store. It reads page by page: who has seen enough does not wait for the rest of the ledger.
func (r *Reader) SelectEntries(ctx context.Context, f store.EntryFilter) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		for n := PageLength; n == PageLength; {
			n = 0
			for e, err := range r.page(ctx, f) {
				if !yield(e, err) || err != nil {
					return
				}
				f.After = e.Seq
				n++
			}
		}
	}
}

// page yields the first entries that f selects, at most PageLength.
func (r *Reader) page(ctx context.Context, f store.EntryFilter) iter.Seq2[store.Entry, error] {
	var w where
	w.add("seq > ?", f.After)
	if beginning, ok := strings.CutSuffix(f.Kind, "*"); ok {
		w.beginning("kind", beginning)
	} else {
		w.equal("kind", f.Kind)
	}
	// What has happened to one thing is found by an index that leaves decisions out; those by their registration.
	var about []string
	var args []any
	if len(f.Subjects) > 0 {
		marks := "(?" + strings.Repeat(", ?", len(f.Subjects)-1) + ")"
		about = append(about, `SELECT seq FROM entry WHERE kind <> 'registration.decided' AND subject IN `+marks, `SELECT seq FROM decision WHERE registration_id IN `+marks)
		for range 2 {
			for _, s := range f.Subjects {
				args = append(args, s)
			}
		}
	}
	if f.Below != "" {
		var below where
		below.add(`kind <> 'registration.decided'`)
		below.beginning("subject", f.Below)
		about = append(about, `SELECT seq FROM entry`+below.text())
		args = append(args, below.args...)
	}
	if len(about) > 0 {
		w.add("seq IN ("+strings.Join(about, " UNION ")+")", args...)
	}
	return r.entries(ctx, entryColumns+w.text()+` ORDER BY seq LIMIT ?`, append(w.args, PageLength)...)
}

// EntriesOf implements store.Store.
func (r *Reader) EntriesOf(ctx context.Context, subjects []string) ([]store.Entry, error) {
	var out []store.Entry
	for _, s := range subjects {
		other, err := r.EntriesWhere(ctx, `subject = ? AND kind <> 'registration.decided'`, s)
		if err != nil {
			return nil, err
		}
		decided, err := r.EntriesWhere(ctx, `seq IN (SELECT seq FROM decision WHERE registration_id = ?) AND kind = 'registration.decided'`, s)
		if err != nil {
			return nil, err
		}
		out = append(append(out, other...), decided...)
	}
	slices.SortFunc(out, func(a, b store.Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	return out, nil
}

func decodeRecord(kind deal.RecordKind) func([]byte) (deal.Record, error) {
	return func(text []byte) (deal.Record, error) {
		r := deal.NewRecord(kind)
		return r, fastjson.Unmarshal(text, r)
	}
}

// Record implements store.Store.
func (r *Reader) Record(ctx context.Context, kind deal.RecordKind, key string) (deal.Record, error) {
	t, ok := records[kind]
	if !ok {
		return nil, deal.ErrNotFound
	}
	var text []byte
	if err := one(ctx, r.DB, `SELECT doc FROM `+t.Name+` WHERE id = ?`, []any{key}, &text); err != nil {
		return nil, err
	}
	return decodeRecord(kind)(text)
}

// Records implements store.Store.
func (r *Reader) Records(ctx context.Context, kind deal.RecordKind, f store.RecordFilter) (out []deal.Record, err error) {
	t, ok := records[kind]
	if !ok {
		return nil, deal.ErrNotFound
	}
	var w where
	if f.Name != "" {
		w.add("name_fold >= ? AND name_fold < ?", fold(f.Name), fold(f.Name)+"\U0010FFFF")
	}
	for _, c := range []struct{ column, value string }{{"country", f.Country}, {"account_id", f.AccountID}, {"partner_id", f.PartnerID}, {"status", f.Status}} {
		if c.value != "" && t.at(c.column) < 0 {
			return nil, fmt.Errorf("%s have no %s to filter by", kind, c.column)
		}
		w.equal(c.column, c.value)
	}
	q := w.page(f.Page)
	err = ordered(ctx, r.DB, `SELECT doc FROM `+t.Name+q, w.args, decodeRecord(kind), func(r deal.Record) error { out = append(out, r); return nil })
	return out, err
}

// Document implements store.Store.
func (r *Reader) Document(ctx context.Context, kind string, version int) (deal.Document, error) {
	return doc[deal.Document](ctx, r.DB, `SELECT doc FROM document WHERE kind = ? AND version = ?`, kind, version)
}

// Documents implements store.Store.
func (r *Reader) Documents(ctx context.Context, kind string) ([]deal.Document, error) {
	return list[deal.Document](ctx, r.DB, `SELECT doc FROM document WHERE kind = ? ORDER BY version`, []any{kind})
}

// Keys implements store.Store.
func (r *Reader) Keys(ctx context.Context) ([]deal.Key, error) {
	return list[deal.Key](ctx, r.DB, `SELECT doc FROM api_key ORDER BY id`, nil)
}

const eventColumns = `SELECT id, seq, type, subject, at, body, registration_id, COALESCE(partner_id, ''), COALESCE(distributor_id, '') FROM event `

func scanEvent(e *store.Event) []any {
	return []any{&e.ID, &e.Seq, &e.Type, &e.Subject, instant{&e.At}, &e.Body, &e.RegistrationID, &e.PartnerID, &e.DistributorID}
}

// Events implements store.Store.
func (r *Reader) Events(ctx context.Context, after uint64, limit int) (out []store.Event, err error) {
	err = each(ctx, r.DB, eventColumns+`WHERE seq > ? ORDER BY seq, id LIMIT ?`, []any{after, limit}, func(scan func(...any) error) error {
		var e store.Event
		err := scan(scanEvent(&e)...)
		out = append(out, e)
		return err
	})
	return out, err
}

// Event implements store.Store.
func (r *Reader) Event(ctx context.Context, id string) (e store.Event, err error) {
	return e, one(ctx, r.DB, eventColumns+`WHERE id = ?`, []any{id}, scanEvent(&e)...)
}

// Breaches implements store.Store.
func (r *Reader) Breaches(ctx context.Context, t time.Time) (out []store.Breach, err error) {
	err = each(ctx, r.DB, `SELECT DISTINCT a.registration_id, b.registration_id FROM holder a JOIN holder b
		ON a.customer_key = b.customer_key AND a.registration_id < b.registration_id
		AND (a.line = b.line OR a.line = '*' OR b.line = '*') AND (a.site = b.site OR a.site = '*' OR b.site = '*')
		WHERE NOT (a.shared AND b.shared) AND a.starts_at <= ? AND a.ends_at > ? AND b.starts_at <= ? AND b.ends_at > ? ORDER BY 1, 2`,
		[]any{t, t, t, t}, func(scan func(...any) error) error {
			var b store.Breach
			err := scan(&b.A, &b.B)
			out = append(out, b)
			return err
		})
	return out, err
}

// Load visits the world as the reader's querier sees it, which must be at one instant: a transaction's snapshot.
func (r *Reader) Load(ctx context.Context, v store.Visitor, base store.Base) (store.Head, error) {
	head, err := r.Head(ctx)
	if err != nil {
		return head, fmt.Errorf("loading: %w", err)
	}
	if base != (store.Base{}) {
		if err := holdsBase(ctx, r.DB, base); err != nil {
			return head, err
		}
	}
	if err := load(ctx, r.DB, `SELECT doc FROM document ORDER BY kind, version`, v.Document); err != nil {
		return head, fmt.Errorf("loading documents: %w", err)
	}
	if err := load(ctx, r.DB, `SELECT doc FROM api_key`, v.Key); err != nil {
		return head, fmt.Errorf("loading keys: %w", err)
	}
	for _, kind := range deal.RecordKinds {
		if kind == deal.Accounts && base != (store.Base{}) {
			if err := r.accountsSince(ctx, base.Seq, v); err != nil {
				return head, fmt.Errorf("loading changes of accounts: %w", err)
			}
			continue
		}
		if err := ordered(ctx, r.DB, `SELECT doc FROM `+records[kind].Name, nil, decodeRecord(kind), v.Record); err != nil {
			return head, fmt.Errorf("loading %s: %w", kind, err)
		}
	}
	if err := load(ctx, r.DB, `SELECT doc FROM registration`, v.Registration); err != nil {
		return head, fmt.Errorf("loading registrations: %w", err)
	}
	if err := load(ctx, r.DB, `SELECT doc FROM escalation`, v.Case); err != nil {
		return head, fmt.Errorf("loading cases: %w", err)
	}
	if err := load(ctx, r.DB, `SELECT doc FROM finding`, v.Finding); err != nil {
		return head, fmt.Errorf("loading findings: %w", err)
	}
	return head, nil
}

func load[T any](ctx context.Context, q Querier, query string, visit func(T) error) error {
	return ordered(ctx, q, query, nil, func(text []byte) (v T, err error) { return v, json.Unmarshal(text, &v) }, visit)
}

// holdsBase returns store.ErrBase unless the ledger has base.
func holdsBase(ctx context.Context, q Querier, base store.Base) error {
	var chain []byte
	err := one(ctx, q, `SELECT chain FROM entry WHERE seq = ?`, []any{base.Seq}, &chain)
	switch {
	case errors.Is(err, deal.ErrNotFound):
		return fmt.Errorf("%w: it has no entry %d", store.ErrBase, base.Seq)
	case err != nil:
		return fmt.Errorf("looking up entry %d: %w", base.Seq, err)
	case !bytes.Equal(chain, base.Chain[:]):
		return fmt.Errorf("%w: entry %d has another chain", store.ErrBase, base.Seq)
	}
	return nil
}

// accountsSince visits what entries after seq have done to accounts.
func (r *Reader) accountsSince(ctx context.Context, seq uint64, v store.Visitor) error {
	query := entryColumns + r.RecordsHint + ` WHERE seq > ? AND kind IN ('` + deal.EntryRecords + `', '` + deal.EntryDeleted + `') ORDER BY seq`
	for e, err := range r.entries(ctx, query, seq) {
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
	}
	return nil
}

// Snapshots implements store.Store.
func (r *Reader) Snapshots(ctx context.Context) (out []store.Snapshot, err error) {
	err = each(ctx, r.DB, `SELECT digest, seq, chain, format, bytes, at FROM snapshot ORDER BY seq DESC, at DESC, digest`, nil, func(scan func(...any) error) error {
		var p store.Snapshot
		var digest, chain []byte
		err := scan(&digest, &p.Seq, &chain, &p.Format, &p.Bytes, instant{&p.At})
		copy(p.Digest[:], digest)
		copy(p.Chain[:], chain)
		out = append(out, p)
		return err
	})
	return out, err
}

// PutSnapshot is store.Store's, in the transaction of db.
func PutSnapshot(ctx context.Context, db Execer, p store.Snapshot) error {
	if err := holdsBase(ctx, db, p.Base); err != nil {
		return err
	}
	if err := db.Exec(ctx, `INSERT INTO snapshot (digest, seq, chain, format, bytes, at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING`,
		p.Digest[:], p.Seq, p.Chain[:], p.Format, p.Bytes, p.At); err != nil {
		return fmt.Errorf("recording a snapshot: %w", err)
	}
	if err := db.Exec(ctx, `DELETE FROM snapshot WHERE format = ? AND digest NOT IN
		(SELECT digest FROM snapshot WHERE format = ? ORDER BY seq DESC, at DESC, digest LIMIT ?)`, p.Format, p.Format, store.KeptSnapshots); err != nil {
		return fmt.Errorf("dropping old records of snapshots: %w", err)
	}
	return nil
}

// Chunk implements store.Store.
func (r *Reader) Chunk(ctx context.Context, of store.Hash, i int) (body []byte, err error) {
	return body, one(ctx, r.DB, `SELECT body FROM snapshot_chunk WHERE digest = ? AND i = ?`, []any{of[:], i}, &body)
}

// Chunks implements store.Store.
func (r *Reader) Chunks(ctx context.Context) (map[store.Hash]int, error) {
	out := map[store.Hash]int{}
	err := each(ctx, r.DB, `SELECT digest, count(*) FROM snapshot_chunk GROUP BY digest`, nil, func(scan func(...any) error) error {
		var digest []byte
		var n int
		if err := scan(&digest, &n); err != nil {
			return err
		}
		if len(digest) == len(store.Hash{}) {
			out[store.Hash(digest)] = n
		}
		return nil
	})
	return out, err
}

// PutChunk is store.Store's, in the transaction of db or on its own.
func PutChunk(ctx context.Context, db Execer, of store.Hash, i int, body []byte) error {
	if err := db.Exec(ctx, `INSERT INTO snapshot_chunk (digest, i, body) VALUES (?, ?, ?) ON CONFLICT (digest, i) DO UPDATE SET body = excluded.body`, of[:], i, body); err != nil {
		return fmt.Errorf("keeping a snapshot: %w", err)
	}
	return nil
}

// DropChunks is store.Store's, in the transaction of db or on its own.
func DropChunks(ctx context.Context, db Execer, of store.Hash) error {
	if err := db.Exec(ctx, `DELETE FROM snapshot_chunk WHERE digest = ?`, of[:]); err != nil {
		return fmt.Errorf("dropping a snapshot: %w", err)
	}
	return nil
}
