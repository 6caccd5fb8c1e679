package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
)

// replayCmd is dibs replay.
type replayCmd struct {
	databaseFlags
	IDs    []string `arg:"" optional:"" name:"id" help:"Registrations or decisions, by id. Default: every decision."`
	Format string   `enum:"text,json" default:"text" help:"text or json."`
}

// Run derives decisions from the ledger before them and compares. It exits 1 when one comes out otherwise.
func (c *replayCmd) Run(ctx context.Context, std stdio) (err error) {
	m, err := loadModel(c.Model)
	if err != nil {
		return err
	}
	st, err := c.openEvidence(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	known := map[string]bool{}
	var want func(deal.Decision) bool
	if len(c.IDs) > 0 {
		want = func(d deal.Decision) bool {
			var found bool
			for _, id := range []string{d.ID, d.RegistrationID} {
				if slices.Contains(c.IDs, id) {
					known[id], found = true, true
				}
			}
			return found
		}
	}
	type difference struct {
		Sequence       uint64   `json:"sequence"`
		DecisionID     string   `json:"decision_id"`
		RegistrationID string   `json:"registration_id"`
		Fields         []string `json:"fields"` // of the decision, that came out otherwise
	}
	differences := []difference{}
	report, err := engine.Replay(ctx, st, m, want, func(recorded, derived deal.Decision) {
		differences = append(differences, difference{recorded.Sequence, recorded.ID, recorded.RegistrationID, differing(recorded, derived)})
	})
	if err != nil {
		return err
	}
	for _, id := range c.IDs {
		if !known[id] {
			return fmt.Errorf("the ledger has no decision for %s", id)
		}
	}
	if c.Format == "json" {
		err = writeJSON(std.out, map[string]any{"decisions": report.Decisions, "elsewhere": report.Elsewhere, "differences": differences})
	} else {
		for _, d := range differences {
			fmt.Fprintf(std.out, "entry %d, %s of %s: %s came out otherwise\n", d.Sequence, d.DecisionID, d.RegistrationID, strings.Join(d.Fields, ", "))
		}
		fmt.Fprintf(std.out, "%d decisions derived again, %d differ\n", report.Decisions, report.Differ)
		if report.Elsewhere > 0 {
			fmt.Fprintf(std.out, "%d were decided by another version of the matcher and left out\n", report.Elsewhere)
		}
	}
	if err == nil && report.Differ > 0 {
		return errFound
	}
	return err
}

// differing names the fields of two decisions that are not equal.
func differing(a, b deal.Decision) []string {
	fields := func(d deal.Decision) map[string]json.RawMessage {
		out := map[string]json.RawMessage{}
		raw, err := json.Marshal(d)
		if err == nil {
			err = json.Unmarshal(raw, &out)
		}
		if err != nil {
			panic(err) // a decision is plain data
		}
		return out
	}
	x, y := fields(a), fields(b)
	var out []string
	for name, value := range x {
		if string(value) != string(y[name]) {
			out = append(out, name)
		}
	}
	for name := range y {
		if _, ok := x[name]; !ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
