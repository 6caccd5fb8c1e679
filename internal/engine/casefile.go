package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// CaseFile is everything needed to decide a case, on one page.
type CaseFile struct {
	Case         deal.Case
	Question     string            // what the partner was asked last
	Registration deal.Registration // the one in question, as of now, personal data joined
	Decision     deal.Decision     // its current one, with conflicts and evidence
	Also         []CaseMember      // who else is in the dispute
	Waitlist     []CaseMember      // who waits in line for the customer, in the order in which the line moves
	Timeline     []Happening       // oldest first
	Precedents   []Precedent       // most alike first
	May          []May             // what the key that asks may do, and why not
}

// CaseMember is another registration on the page of a case.
type CaseMember struct {
	ID         string      `json:"id"`
	Number     string      `json:"number"`
	PartnerID  string      `json:"partner_id"`
	Customer   string      `json:"customer"`
	Lines      []string    `json:"lines"`
	Amount     deal.Money  `json:"amount,omitzero"`
	Status     deal.Status `json:"status"`
	ReceivedAt time.Time   `json:"received_at"`
	Sequence   uint64      `json:"sequence"`
}

// Happening is one entry about a case or its registrations.
type Happening struct {
	Sequence    uint64          `json:"sequence"`
	At          time.Time       `json:"at"`
	Kind        string          `json:"kind"`
	Subject     string          `json:"subject"`
	By          deal.Actor      `json:"by"`
	From        deal.Status     `json:"from,omitempty"`
	To          deal.Status     `json:"to,omitempty"`
	ReasonCodes []string        `json:"reason_codes,omitempty"`
	Text        string          `json:"text,omitempty"` // in the words of who did it
	Evidence    []deal.Evidence `json:"evidence,omitempty"`
	Mentions    []string        `json:"mentions,omitempty"`
	Into        string          `json:"into,omitempty"` // of a merge: the registration that stands for both
	PersonID    string          `json:"person_id,omitempty"`
	Until       time.Time       `json:"until,omitzero"`

	Decision *deal.Decision `json:"-"` // what was decided, if anything was
}

// Precedent is a resolved case alike in facts.
type Precedent struct {
	CaseID      string              `json:"case_id"`
	Kind        string              `json:"kind,omitempty"`
	ReasonCodes []string            `json:"reason_codes"`
	Conflicts   []deal.ConflictKind `json:"conflicts,omitempty"`
	Outcome     string              `json:"outcome"`
	Ruling      *deal.Ruling        `json:"ruling,omitempty"` // absent: nobody ruled, its registration ended
	RuledBy     string              `json:"ruled_by,omitempty"`
	ResolvedAt  time.Time           `json:"resolved_at,omitzero"`
	Likeness    float64             `json:"likeness"` // 0 to 1: the share of reasons and kinds of conflict that both have
}

const (
	maxPrecedents = 10
	amongLatest   = 500 // cases of the same reason that precedents are chosen among
)

// File returns the page of a case as the actor reads it. What does not exist is deal.ErrNotFound.
func (e *Engine) File(ctx context.Context, id string, by deal.Actor) (CaseFile, error) {
	var f CaseFile
	e.ripen(ctx, id)
	err := e.abreast(ctx) // what the key may do follows from the view
	if err != nil {
		return f, err
	}
	if f.Case, err = e.cfg.Store.Case(ctx, id); err != nil {
		return f, err
	}
	if f.Registration, f.Decision, _, err = e.Registration(ctx, f.Case.RegistrationID); err != nil {
		return f, err
	}
	if f.Question, err = e.Question(ctx, &f.Case); err != nil {
		return f, err
	}
	for _, other := range f.Case.Also {
		r, err := e.cfg.Store.Registration(ctx, other)
		if err != nil {
			return f, err
		}
		f.Also = append(f.Also, read(e, func(v *view) CaseMember { return v.member(&r) }))
	}
	now := e.now()
	f.May = read(e, func(v *view) []May {
		for _, id := range v.lineOf(f.Registration.CustomerRef.Key()) {
			if c := v.claims[id]; c.Status == deal.StatusWaitlisted && id != f.Case.RegistrationID {
				f.Waitlist = append(f.Waitlist, v.member(c))
			}
		}
		return v.may(&f.Case, by, now)
	})
	if f.Timeline, err = e.Timeline(ctx, append(f.Case.Members(), f.Case.ID)); err != nil {
		return f, err
	}
	f.Precedents, err = e.precedents(ctx, &f.Case)
	return f, err
}

func (v *view) member(r *deal.Registration) CaseMember {
	return CaseMember{ID: r.ID, Number: r.Number, PartnerID: r.Filing.PartnerID, Customer: r.Filing.Customer.Name, Lines: append([]string{}, r.Filing.Lines()...),
		Amount: v.total(&r.Filing, r.ReceivedAt), Status: r.Status, ReceivedAt: r.ReceivedAt, Sequence: r.Sequence}
}

// Timeline reads what has happened to the subjects, words joined.
func (e *Engine) Timeline(ctx context.Context, subjects []string) ([]Happening, error) {
	entries, err := e.cfg.Store.EntriesOf(ctx, subjects)
	if err != nil {
		return nil, err
	}
	out := make([]Happening, len(entries))
	for i := range entries {
		x := &entries[i]
		if x.Personal, err = e.cfg.Store.Personal(ctx, x.Seq); err != nil {
			return nil, err
		}
		c, err := store.ChangeOf(x)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", x.Seq, err)
		}
		h := Happening{Sequence: x.Seq, At: x.At, Kind: x.Kind, Subject: x.Subject, By: x.Actor}
		if c.Decision != nil {
			h.ReasonCodes, h.Decision = c.Decision.ReasonCodes, c.Decision
		}
		if m := c.Move; m != nil {
			h.From, h.To, h.Text, h.Evidence, h.Into = m.From, m.To, m.Reason, m.Evidence, m.Into
		} else if c.Decision != nil && len(c.Registrations) > 0 {
			h.To = c.Registrations[0].Status
		}
		if n := c.Note; n != nil {
			h.Text, h.Mentions, h.PersonID, h.Until = n.Text, n.Mentions, n.PersonID, n.Until
		}
		out[i] = h
	}
	return out, nil
}

// EntriesAbout yields the entries after a sequence that have to do with a subject, in order: those that name it (a registration, a case,
// a finding, a key, a webhook, policy/3), those that name anything below it (policy: every version), those about a case's registrations that
// change the case, and the batches that a row of reference data (accounts/A-17) was in. kind is one, or the beginning of some with a * at its
// end. Empty, either selects everything.
func (e *Engine) EntriesAbout(ctx context.Context, subject, kind string, after uint64) iter.Seq2[store.Entry, error] {
	f := store.EntryFilter{Kind: kind, After: after}
	var concerns func(*deal.Change) bool // of an entry that does not name the subject
	rows, key, row := strings.Cut(subject, "/")
	switch {
	case subject == "":
	case row && key != "" && slices.Contains(deal.RecordKinds, deal.RecordKind(rows)):
		f.Subjects = []string{subject, rows}
		concerns = func(c *deal.Change) (found bool) {
			ref := deal.RecordRef{Kind: deal.RecordKind(rows), Key: key}
			c.Records(func(r deal.Record) { found = found || r.Kind() == ref.Kind && r.Key() == ref.Key })
			return found || slices.Contains(c.Deleted, ref)
		}
	case strings.HasPrefix(subject, deal.CaseID):
		k, err := e.cfg.Store.Case(ctx, subject)
		if err != nil && !errors.Is(err, deal.ErrNotFound) {
			return func(yield func(store.Entry, error) bool) { yield(store.Entry{}, err) }
		}
		f.Subjects = append(k.Members(), subject)
		concerns = func(c *deal.Change) bool {
			return slices.ContainsFunc(c.Cases, func(k deal.Case) bool { return k.ID == subject })
		}
	default:
		f.Subjects, f.Below = []string{subject}, subject+"/"
	}
	entries := e.cfg.Store.SelectEntries(ctx, f)
	if concerns == nil {
		return entries
	}
	return func(yield func(store.Entry, error) bool) {
		for x, err := range entries {
			if err == nil && x.Subject != subject {
				c, cerr := deal.DecodeChange(x.Body)
				if cerr == nil && !concerns(c) {
					continue
				}
				err = cerr
			}
			if !yield(x, err) || err != nil {
				return
			}
		}
	}
}

// precedents returns cases of the same first reason that people resolved, most alike first, of equals the latest.
func (e *Engine) precedents(ctx context.Context, k *deal.Case) ([]Precedent, error) {
	if len(k.ReasonCodes) == 0 {
		return nil, nil
	}
	cases, err := e.cfg.Store.Precedents(ctx, k.ReasonCodes[0], amongLatest)
	if err != nil {
		return nil, err
	}
	out := make([]Precedent, 0, len(cases))
	for _, c := range cases {
		if c.ID == k.ID || c.RuledBy == "" { // what the partner's own change or silence ended says nothing of what colleagues think
			continue
		}
		codes, kinds := shared(k.ReasonCodes, c.ReasonCodes), shared(k.Conflicts, c.Conflicts)
		out = append(out, Precedent{CaseID: c.ID, Kind: c.Kind, ReasonCodes: c.ReasonCodes, Conflicts: c.Conflicts, Outcome: c.Outcome, Ruling: c.Ruling, RuledBy: c.RuledBy,
			ResolvedAt: c.ResolvedAt, Likeness: float64(codes.both+kinds.both) / float64(codes.either+kinds.either)})
	}
	slices.SortStableFunc(out, func(a, b Precedent) int { return cmp.Compare(b.Likeness, a.Likeness) })
	return out[:min(len(out), maxPrecedents)], nil
}

type overlap struct{ both, either int }

// shared counts what two lists without repeats have in common, and have at all.
func shared[T comparable](a, b []T) overlap {
	o := overlap{either: len(a) + len(b)}
	for _, x := range a {
		if slices.Contains(b, x) {
			o.both++
			o.either--
		}
	}
	return o
}
