package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
)

// replayCmd is dibs replay.
type replayCmd struct {
	databaseFlags
	IDs    []string `arg:"" optional:"" name:"id" help:"Registrations or decisions, by id: what was decided is printed too. Default: every decision."`
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
	results := []rederived{}
	report, err := engine.Replay(ctx, st, m, want, func(d engine.Rederived) {
		if want != nil || !d.Same && !d.Elsewhere {
			results = append(results, result(d))
		}
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
		out := map[string]any{"decisions": report.Decisions, "elsewhere": report.Elsewhere, "differences": slices.DeleteFunc(slices.Clone(results), func(r rederived) bool { return r.Result != resultDiffers })}
		if want != nil {
			out["derived"] = results
		}
		err = writeJSON(std.out, out)
	} else {
		for _, r := range results {
			r.write(std.out)
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

// What came of deriving a decision again.
const (
	resultSame      = "same"
	resultDiffers   = "differs"
	resultElsewhere = "elsewhere"
)

// rederived is one decision as it was recorded, and what came of deriving it again.
type rederived struct {
	Sequence       uint64            `json:"sequence"`
	DecisionID     string            `json:"decision_id"`
	RegistrationID string            `json:"registration_id"`
	At             time.Time         `json:"at"`
	Outcome        deal.Outcome      `json:"outcome"`
	Disposition    deal.Disposition  `json:"disposition,omitempty"`
	ReasonCodes    []string          `json:"reason_codes"`
	Policy         deal.DocumentRef  `json:"policy"`
	Territories    *deal.DocumentRef `json:"territories,omitempty"`
	Matcher        deal.DocumentRef  `json:"matcher"`
	Result         string            `json:"result"`           // same, differs or elsewhere
	Digest         string            `json:"digest"`           // of the recorded decision's bytes
	Fields         []string          `json:"fields,omitempty"` // of the decision, that came out otherwise
	First          *firstDifference  `json:"first_difference,omitempty"`
}

// firstDifference is the first place, by name, where two decisions are not the same.
type firstDifference struct {
	Path     string          `json:"path"`
	Recorded json.RawMessage `json:"recorded,omitempty"` // absent: it is not there
	Derived  json.RawMessage `json:"derived,omitempty"`
}

func result(d engine.Rederived) rederived {
	r := &d.Recorded
	raw := plain(r)
	out := rederived{
		Sequence: r.Sequence, DecisionID: r.ID, RegistrationID: r.RegistrationID, At: r.At, Outcome: r.Outcome, ReasonCodes: r.ReasonCodes,
		Policy: r.Policy, Territories: r.Plan, Matcher: r.Matcher, Result: resultSame, Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(raw)),
	}
	if r.Route != nil {
		out.Disposition = r.Route.Disposition
	}
	switch {
	case d.Elsewhere:
		out.Result = resultElsewhere
	case !d.Same:
		out.Result = resultDiffers
		out.Fields, out.First = differing(raw, plain(&d.Derived))
	}
	return out
}

func (r *rederived) write(w io.Writer) {
	outcome := string(r.Outcome)
	if r.Disposition != "" {
		outcome += "/" + string(r.Disposition)
	}
	fmt.Fprintf(w, "entry %d, %s of %s, at %s: %s: %s\n", r.Sequence, r.DecisionID, r.RegistrationID, r.At.Format(time.RFC3339Nano), outcome, strings.Join(r.ReasonCodes, ", "))
	fmt.Fprintf(w, "  by policy %s", reference(r.Policy))
	if r.Territories != nil {
		fmt.Fprintf(w, ", territories %s", reference(*r.Territories))
	}
	fmt.Fprintf(w, ", matcher %s\n", reference(r.Matcher))
	switch r.Result {
	case resultSame:
		fmt.Fprintf(w, "  derived again: the same, byte for byte, %s\n", r.Digest)
	case resultElsewhere:
		fmt.Fprintf(w, "  not derived: give the matcher that decided it with --model\n")
	default:
		fmt.Fprintf(w, "  derived again: %s came out otherwise; first %s: recorded %s, derived %s\n", strings.Join(r.Fields, ", "), r.First.Path, short(r.First.Recorded), short(r.First.Derived))
	}
}

func reference(d deal.DocumentRef) string {
	return fmt.Sprintf("%s version %d (%s)", d.Name, d.Version, d.Digest)
}

// short is a value as a line of text holds it.
func short(raw json.RawMessage) string {
	const most = 200
	switch {
	case raw == nil:
		return "nothing"
	case len(raw) > most:
		return strings.ToValidUTF8(string(raw[:most]), "") + "…"
	}
	return string(raw)
}

// plain is a value as JSON. A decision is plain data: it cannot fail.
func plain(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

// differing names the fields of two decisions that are not equal, and the first place in them.
func differing(recorded, derived []byte) (fields []string, first *firstDifference) {
	var x, y map[string]any
	for raw, into := range map[*[]byte]*map[string]any{&recorded: &x, &derived: &y} {
		d := json.NewDecoder(bytes.NewReader(*raw))
		d.UseNumber() // as written
		if err := d.Decode(into); err != nil {
			panic(err)
		}
	}
	for _, name := range names(x, y) {
		if at := differs(name, x[name], y[name]); at != nil {
			fields = append(fields, name)
			first = cmp.Or(first, at)
		}
	}
	if first == nil { // what is null in one and absent in the other
		first = &firstDifference{Recorded: recorded, Derived: derived}
	}
	return fields, first
}

// differs returns the first place where two values are not the same, or nil.
func differs(path string, x, y any) *firstDifference {
	switch a := x.(type) {
	case map[string]any:
		if b, ok := y.(map[string]any); ok {
			for _, name := range names(a, b) {
				if at := differs(path+"."+name, a[name], b[name]); at != nil {
					return at
				}
			}
			return nil
		}
	case []any:
		if b, ok := y.([]any); ok {
			for i := range max(len(a), len(b)) {
				if at := differs(fmt.Sprintf("%s[%d]", path, i), element(a, i), element(b, i)); at != nil {
					return at
				}
			}
			return nil
		}
	}
	at := firstDifference{Path: path}
	if x != nil {
		at.Recorded = plain(x)
	}
	if y != nil {
		at.Derived = plain(y)
	}
	if bytes.Equal(at.Recorded, at.Derived) {
		return nil
	}
	return &at
}

func element(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// names returns the names of both, once each, in order.
func names(a, b map[string]any) []string {
	all := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(all)
	return slices.Compact(all)
}
