package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/store"
)

// Label is a pair of descriptions that people have found to be of one organisation, or of two.
type Label struct {
	A, B match.Record
	Same bool
	Why  string // the finding or the entry it follows from
}

// telling are the entries that say who a registration is for, or is not.
var telling = []string{deal.EntryDecided, deal.EntryResolved, deal.EntryUpdated, deal.EntryRegistration, deal.EntryFound, deal.EntryTakenBack, deal.EventRules[deal.EventMerge].Entry}

// Labels reads from the ledger what people have settled of who is the same: findings that nobody has taken back; registrations that people
// put in line behind another, or merged into it, which are the same; and those they protected although another's was possibly the same,
// which are not.
func Labels(ctx context.Context, st store.Store) ([]Label, error) {
	described := map[string]deal.MatchInput{} // by registration, as decided last
	var out []Label
	findings := map[string]*deal.Finding{}
	var order []string
	for e, err := range st.Entries(ctx, 0) {
		if err != nil {
			return nil, err
		}
		if !slices.Contains(telling, e.Kind) {
			continue
		}
		c, err := deal.DecodeChange(e.Body)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", e.Seq, err)
		}
		for i := range c.Findings {
			f := &c.Findings[i]
			if findings[f.ID] == nil {
				order = append(order, f.ID)
			}
			findings[f.ID] = f
		}
		if m := c.Move; m != nil && m.Event == deal.EventMerge {
			if a, ok := described[e.Subject]; ok {
				if b, ok := described[m.Into]; ok {
					out = append(out, Label{match.FromInput("a", a), match.FromInput("b", b), true, fmt.Sprintf("entry %d", e.Seq)})
				}
			}
		}
		d := c.Decision
		if d == nil {
			continue
		}
		if len(d.Input.Names) > 0 {
			described[d.RegistrationID] = d.Input
		}
		if d.Ruling == nil || d.Ruling.Cause != "" {
			continue
		}
		with := func(other string, same bool) {
			if in, ok := described[other]; ok {
				out = append(out, Label{match.FromInput("a", d.Input), match.FromInput("b", in), same, fmt.Sprintf("entry %d", e.Seq)})
			}
		}
		switch {
		case d.Route != nil && (d.Route.Disposition == deal.Waitlisted || d.Route.Disposition == deal.Merged):
			with(d.Route.Of, true)
		case d.Outcome == deal.Protect && d.Ruling.Limit == nil:
			for _, k := range d.Conflicts {
				if k.Kind == deal.HeldByOther {
					with(k.With, false)
				}
			}
		}
	}
	for _, id := range order {
		f := findings[id]
		if f.Withdrawn != nil {
			continue
		}
		a, err := describe(ctx, st, f.Subject)
		if err != nil {
			return nil, err
		}
		b, err := describe(ctx, st, f.Other)
		if err != nil {
			return nil, err
		}
		if a != nil && b != nil {
			out = append(out, Label{*a, *b, f.Verdict == deal.FoundSame, f.ID})
		}
	}
	return out, nil
}

// describe returns how a party of a finding is described: an account as it is now; nil for one that is gone.
func describe(ctx context.Context, st store.Store, p deal.Party) (*match.Record, error) {
	if p.Input != nil {
		return new(match.FromInput(p.RegistrationID, *p.Input)), nil
	}
	r, err := st.Record(ctx, deal.Accounts, p.AccountID)
	switch {
	case errors.Is(err, deal.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	a, ok := r.(*deal.Account)
	if !ok {
		return nil, nil
	}
	return new(match.FromAccount(a)), nil
}
