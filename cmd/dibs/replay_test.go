package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
)

// TestReplayResult: of a decision that comes out otherwise, the first place is named with both values.
func TestReplayResult(t *testing.T) {
	recorded := deal.Decision{
		ID: "dec_1", RegistrationID: "reg_1", Sequence: 7, Outcome: deal.RouteTo, ReasonCodes: []string{"HELD", "TIER"}, Route: &deal.Route{Disposition: deal.Waitlisted},
		Policy: deal.DocumentRef{Name: "p", Version: 3, Digest: "sha256:aa"}, Facts: map[string]any{"a": 1, "b": "x"},
		Conflicts: []deal.Conflict{{Kind: "held_by_other", With: "reg_0", Probability: 0.93}},
	}
	for _, c := range []struct {
		change func(*deal.Decision)
		fields []string
		says   string
	}{
		{func(d *deal.Decision) {}, nil, "derived again: the same, byte for byte, sha256:"},
		{func(d *deal.Decision) { d.ReasonCodes = []string{"HELD", "TIERS"} }, []string{"reason_codes"}, `first reason_codes[1]: recorded "TIER", derived "TIERS"`},
		{func(d *deal.Decision) { d.ReasonCodes = d.ReasonCodes[:1] }, []string{"reason_codes"}, `first reason_codes[1]: recorded "TIER", derived nothing`},
		{func(d *deal.Decision) {
			d.Conflicts = []deal.Conflict{d.Conflicts[0]}
			d.Conflicts[0].Probability = 0.94
			d.Route = nil
		}, []string{"conflicts", "route"}, "conflicts, route came out otherwise; first conflicts[0].probability: recorded 0.93, derived 0.94"},
		{func(d *deal.Decision) { d.Facts = map[string]any{"a": 1, "c": strings.Repeat("y", 300)} }, []string{"facts"}, `first facts.b: recorded "x", derived nothing`},
	} {
		derived := recorded
		c.change(&derived)
		r := result(engine.Rederived{Recorded: recorded, Derived: derived, Same: c.fields == nil})
		var out bytes.Buffer
		r.write(&out)
		if !slices.Equal(r.Fields, c.fields) || !strings.Contains(out.String(), c.says) || !strings.HasPrefix(out.String(), "entry 7, dec_1 of reg_1, at ") || !strings.Contains(out.String(), ": route/waitlisted: HELD, TIER\n  by policy p version 3 (sha256:aa)") {
			t.Errorf("%v, want %v, %s:\n%s", r.Fields, c.fields, c.says, out.String())
		}
	}
	r := result(engine.Rederived{Recorded: recorded, Elsewhere: true})
	var out bytes.Buffer
	if r.write(&out); r.Result != resultElsewhere || !strings.Contains(out.String(), "--model") {
		t.Errorf("of another matcher: %s", out.String())
	}
}
