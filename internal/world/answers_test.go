package world_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
	"github.com/dibs-deals/dibs/internal/world"
)

// TestAnswers files the examples with the real engine under the default rules. The examples are in Germany, so the
// rest of the world is left out: it takes time and can add nothing.
func TestAnswers(t *testing.T) {
	ctx := context.Background()
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	var ticks atomic.Int64
	st, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "dibs.db")})
	if err != nil {
		t.Fatal(err)
	}
	signer, _, err := ledger.NewSigner("dibs.example/world")
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(ctx, engine.Config{Store: st, Signer: signer, Clock: func() time.Time { return now.Add(time.Duration(ticks.Add(1)) * time.Second) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})

	system := engine.Request{Actor: deal.System}
	var rows []deal.Record
	for p := range world.Partners() {
		rows = append(rows, p)
	}
	for p := range world.Products() {
		rows = append(rows, p)
	}
	for r := range world.Rates() {
		rows = append(rows, r)
	}
	for p := range world.People() {
		rows = append(rows, p)
	}
	german := map[string]bool{}
	for a := range world.Accounts() {
		if german[a.ID] = a.Country == "DE"; german[a.ID] {
			rows = append(rows, a)
		}
	}
	for o := range world.Opportunities(now) {
		if german[o.AccountID] {
			rows = append(rows, o)
		}
	}
	byKind := map[deal.RecordKind][]deal.Record{}
	for _, r := range rows {
		byKind[r.Kind()] = append(byKind[r.Kind()], r)
	}
	for _, kind := range deal.RecordKinds {
		for rest := byKind[kind]; len(rest) > 0; {
			n := min(len(rest), engine.MaxRows)
			if _, err := e.Put(ctx, system, rest[:n], nil); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
	}
	plan, err := e.SaveDocument(ctx, system, deal.TerritoryDocument, world.Territories())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Publish(ctx, system, deal.TerritoryDocument, plan.Version); err != nil {
		t.Fatal(err)
	}

	want := []struct {
		reason      string
		disposition deal.Disposition
	}{{"PROTECTED", ""}, {"POSSIBLE_DUPLICATE", ""}, {"PROTECTED", ""}, {"PARTIAL_OVERLAP", ""}, {"STRATEGIC", ""}, {"COMPETING_OFFER", ""},
		{"PROTECTED", ""}, {"ALREADY_REGISTERED", deal.Waitlisted}, {"NAMED_ACCOUNT", deal.Referred}, {"POSSIBLE_DUPLICATE", ""}, {"DIRECT_ENGAGED", deal.CoSell}}
	for i, x := range append(world.Waiting(now), world.Examples(now)...) {
		f := x.Filing
		f.Normalise()
		body, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		digest := sha256.Sum256(body)
		got, err := e.Register(ctx, engine.Request{Actor: deal.Actor{KeyID: "key_portal", Role: "portal"}, IdemKey: x.Filing.ExternalID, Hash: digest[:]}, f)
		if err != nil {
			t.Fatalf("%s: %v", x.Title, err)
		}
		_, d, file, err := e.Registration(ctx, got.ID)
		if err != nil {
			t.Fatal(err)
		}
		var disposition deal.Disposition
		if d.Route != nil {
			disposition = d.Route.Disposition
		}
		if string(d.Outcome) != x.Expect || len(d.ReasonCodes) == 0 || d.ReasonCodes[0] != want[i].reason || disposition != want[i].disposition {
			t.Errorf("%s: %s %v %q, want %s %+v\n%s", x.Title, d.Outcome, d.ReasonCodes, disposition, x.Expect, want[i], d.Texts.Internal)
		}
		if (file != nil) != (d.Outcome == deal.Escalate) {
			t.Errorf("%s: the case is %+v", x.Title, file)
		}
		// Whoever is told that the customer is taken is not told by whom.
		for _, secret := range []string{"P-001", "Nordlicht", "OPP-00", "u-110"} {
			if i >= len(world.Waiting(now)) && x.PartnerID != "P-001" && bytes.Contains(got.Body, []byte(secret)) {
				t.Errorf("%s: the answer names %s: %s", x.Title, secret, got.Body)
			}
		}
	}
}
