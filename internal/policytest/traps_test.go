package policytest

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/policy"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
)

// traps are the places where programmes mean different things by the same words. Each says what the policy can make
// them mean, under one policy with some of its words replaced.
var traps = []struct {
	name    string
	replace []string // pairs
	cases   string
}{
	{"six months are not 180 days, and end at the end of a day in the programme's zone", []string{"terms: {days: 90,", "terms: {months: 6,"}, `
    - name: 31 August, and no leap year
      now: 2026-08-31T09:00:00Z
      file: {use: deal}
      expect: {last_day: 2027-02-28, ends_at: 2027-02-28T23:00:00Z, partner_text: {has: ["2027-02-28T23:00:00Z"]}}
    - name: 31 August before a leap day
      now: 2027-08-31T09:00:00Z
      file: {use: deal}
      expect: {last_day: 2028-02-29}
    - name: late in the evening it is the next day already
      now: 2026-08-30T22:30:00Z
      file: {use: deal}
      expect: {last_day: 2027-02-28}
`},
	{"180 days are not six months, and the last day counts", []string{"terms: {days: 90,", "terms: {days: 180,"}, `
    - name: 31 August
      now: 2026-08-31T09:00:00Z
      steps:
        - file: {use: deal}
          expect: {last_day: 2027-02-27, ends_at: 2027-02-27T23:00:00Z}
        - at: 2027-02-27T22:59:59Z
          see: {A: {status: protected}}
        - at: 2027-02-27T23:00:00Z
          see: {A: {status: expired}}
    - name: over the change to summer time
      now: 2027-01-15T09:00:00Z
      file: {use: deal}
      expect: {last_day: 2027-07-14, ends_at: 2027-07-14T22:00:00Z}
`},
	{"48 business hours are six working days of eight hours, holidays left out", nil, `
    - name: Monday at ten in Berlin, with a holiday on Wednesday
      file: {use: deal, amount: 100000 EUR}
      expect: {outcome: escalate, partner_text: {has: ['"due_at":"2027-03-10T09:00:00Z"']}}
`},
	{"or two business days of twenty-four hours", []string{`hours: "09:00..17:00"`, `hours: "00:00..24:00"`}, `
    - name: the same
      file: {use: deal, amount: 100000 EUR}
      expect: {outcome: escalate, partner_text: {has: ['"due_at":"2027-03-04T09:00:00Z"']}}
`},
	{"or two business days, to the end of the second", []string{"decide: 48bh", "decide: 2bd"}, `
    - name: the same
      file: {use: deal, amount: 100000 EUR}
      expect: {outcome: escalate, partner_text: {has: ['"due_at":"2027-03-04T16:00:00Z"']}}
`},
	{"the clock starts with the complete filing", nil, `
    - name: returned on the 1st, complete on the 8th
      steps:
        - file: {use: deal, description: "", as: first try}
          expect: {outcome: returned, status: returned}
        - at: 2027-03-08T09:00:00Z
          file: {use: deal}
          expect: {outcome: protect, starts_at: 2027-03-08T09:00:00Z, last_day: 2027-06-06}
`},
	{"anchored at submission, a slow review eats the window; a hold covers the gap meanwhile", []string{"anchor: approval", "anchor: submission"}, `
    - name: a second partner meets the hold while the first is reviewed, and afterwards a claim that waits
      steps:
        - file: {use: deal, amount: 100000 EUR}
          expect: {outcome: escalate, last_day: 2027-03-11}
        - after: 1d
          file: {use: deal, partner_id: B}
          expect: {outcome: waitlisted, reasons: [ALREADY_REGISTERED], of: A, facts: {conflict.held_by_other.holds: true, conflict.held_by_other.status: escalated}, partner_text: {lacks: [Alpha]}}
        - at: 2027-03-12T09:00:00Z
          file: {use: deal, partner_id: C}
          expect: {outcome: waitlisted, reasons: [PENDING_OTHER]}
    - name: ninety days from the filing
      file: {use: deal}
      expect: {last_day: 2027-05-30}
    - name: granted after ten days, and eighty are left
      steps:
        - file: {use: deal, amount: 100000 EUR}
        - after: 10d
          act: {do: grant, to: A}
          see: {A: {status: protected, last_day: 2027-05-30}}
`},
	{"first complete", nil, `
    - name: A files first and is returned, B is complete first and wins
      steps:
        - file: {use: deal, description: ""}
          expect: {outcome: returned}
        - after: 1h
          file: {use: deal, partner_id: B}
          expect: {outcome: protect}
        - after: 1h
          file: {use: deal, as: completed}
          expect: {outcome: waitlisted, of: B}
`},
	{"first submitted", []string{"required: {reason: INCOMPLETE}", "required: {reason: INCOMPLETE, keeps_place: true, answer_within: 5bd, on_silence: decline}"}, `
    - name: A files first and keeps the place while it completes
      steps:
        - file: {use: deal, description: ""}
          expect: {outcome: returned, status: returned}
        - after: 1h
          file: {use: deal, partner_id: B}
          expect: {outcome: waitlisted, of: A, reasons: [PENDING_OTHER]}
`},
	{"first approved", []string{"when: conflict.pending_other.found &&", "when: false && conflict.pending_other.found &&", ", hold: {provisional: true, days: 10}", ""}, `
    - name: A files first and is reviewed without a hold, B is approved first and wins
      steps:
        - file: {use: deal, amount: 100000 EUR}
          expect: {outcome: escalate}
        - after: 1h
          file: {use: deal, partner_id: B}
          expect: {outcome: protect}
`},
	{"the same partner twice, or through two distributors, is no conflict", nil, `
    - name: three times one partner
      steps:
        - file: {use: deal}
          expect: {outcome: protect}
        - file: {use: deal, as: again}
          expect: {outcome: merged, of: A}
        - file: {use: deal, distributor_id: D1, as: through one}
          expect: {outcome: merged, of: A}
        - file: {use: deal, distributor_id: D2, as: through two}
          expect: {outcome: merged, of: A}
`},
	{"what has ended leaves at the exact instant, and who waited follows at that instant", nil, `
    - name: the last microsecond and the first
      steps:
        - file: {use: deal}
          expect: {ends_at: 2027-05-30T22:00:00Z}
        - file: {use: deal, partner_id: B}
          expect: {outcome: waitlisted}
        - at: 2027-05-30T21:59:59.999999Z
          see: {A: {status: protected}, B: {status: waitlisted}}
        - at: 2027-07-01T09:00:00Z
          see: {A: {status: expired}, B: {status: protected, starts_at: 2027-05-30T22:00:00Z}}
    - name: an extended one keeps its place
      steps:
        - file: {use: deal}
        - file: {use: deal, partner_id: B}
        - act: {do: extend, to: A}
        - at: 2027-06-01T09:00:00Z
          see: {A: {status: protected}, B: {status: waitlisted}}
    - name: a withdrawn one leaves at once
      steps:
        - file: {use: deal}
        - file: {use: deal, partner_id: B}
        - act: {do: withdraw, to: A}
          see: {B: {status: protected}}
`},
	{"a subsidiary is a customer of its own", nil, `
    - name: the policy has a person look
      steps:
        - file: {use: deal}
          expect: {outcome: protect}
        - file: {use: child}
          expect: {outcome: escalate, rule: family, facts: {conflict.family_held.relation: parent}}
`},
	{"or its family is one customer", []string{"family: separate", "family: together"}, `
    - name: the same filings
      steps:
        - file: {use: deal}
          expect: {outcome: protect}
        - file: {use: child}
          expect: {outcome: waitlisted, rule: held, of: A}
`},
	{"a customer's letter: who signed it, and when", nil, `
    - name: only a decision maker's, and only one older than the other's registration
      steps:
        - file: {use: deal}
        - after: 5d
          file: {use: deal, partner_id: B, evidence: [{kind: letter, date: 2027-02-20}], custom: {signed_by: decision_maker}}
          expect: {outcome: escalate, rule: letter, overridden: [held]}
        - file: {use: deal, partner_id: C, as: somebody's, evidence: [{kind: letter, date: 2027-02-20}], custom: {signed_by: other}}
          expect: {outcome: waitlisted}
        - file: {use: deal, partner_id: D1, as: too late, evidence: [{kind: letter, date: 2027-03-05}], custom: {signed_by: decision_maker}}
          expect: {outcome: waitlisted}
        - see: {A: {status: protected}}
`},
	{"an amount is converted at the rate of the day of submission", []string{"    products:\n", "    rates:\n      - {date: 2027-02-26, from: USD, to: EUR, rate: \"0.9\"}\n      - {date: 2027-03-02, from: USD, to: EUR, rate: \"1.1\"}\n    products:\n"}, `
    - name: on the 1st, and on the 2nd
      steps:
        - file: {use: deal, amount: 100000 USD}
          expect: {outcome: protect, facts: {reg.amount: 90000}}
        - after: 2d
          file: {use: child, amount: 100000 USD}
          expect: {facts: {reg.amount: 110000}}
    - name: value, counted value and units are three things
      file: {use: deal, products: [{sku: N, quantity: 40, amount: 30000 EUR}, {sku: M, quantity: 2, amount: 6000 EUR}]}
      set: {file.amount: null}
      expect: {facts: {reg.amount: 36000, reg.counted_amount: 36000, reg.units: 42, reg.classes: [software, maintenance]}}
`},
	{"or without what does not count", []string{"family: separate", "family: separate\n  uncounted_classes: [maintenance]"}, `
    - name: the same
      file: {use: deal, products: [{sku: N, quantity: 40, amount: 30000 EUR}, {sku: M, quantity: 2, amount: 6000 EUR}]}
      set: {file.amount: null}
      expect: {facts: {reg.amount: 36000, reg.counted_amount: 30000, reg.units: 42}}
`},
	{"a tender published after the approval keeps its protection", nil, `
    - name: published on the 2nd
      steps:
        - file: {use: deal, tender: {is_tender: true, published_at: 2027-03-02}}
          expect: {outcome: protect}
        - at: 2027-03-03T09:00:00Z
          file: {use: child, tender: {is_tender: true, published_at: 2027-03-02}}
          expect: {outcome: declined, rule: tender}
          see: {A: {status: protected, last_day: 2027-05-30}}
`},
}

func TestTraps(t *testing.T) {
	t.Parallel()
	base, err := os.ReadFile("testdata/traps.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, trap := range traps {
		t.Run(trap.name, func(t *testing.T) {
			t.Parallel()
			doc := string(base)
			for i := 0; i < len(trap.replace); i += 2 {
				if strings.Count(doc, trap.replace[i]) != 1 {
					t.Fatalf("testdata/traps.yaml has not exactly one %q", trap.replace[i])
				}
				doc = strings.Replace(doc, trap.replace[i], trap.replace[i+1], 1)
			}
			if report, text := run(t, []byte(doc+strings.TrimPrefix(trap.cases, "\n"))); !report.OK() {
				t.Error(text)
			}
		})
	}
}

// The bands of published programmes leave numbers out and have others twice.
func TestTrapBands(t *testing.T) {
	t.Parallel()
	base, err := os.ReadFile("testdata/traps.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for ranges, want := range map[string]string{
		`{small: "1..20", large: ">=20"}`:                  "0 is in no range of the band",
		`{small: "<5000", large: ">=5001"}`:                "5000 is in no range of the band",
		`{small: "<20", mid: "20..1000", large: ">=999"}`:  "999 is in two ranges of the band, mid and large",
		`{small: "<20", mid: "19..1000", large: ">=1000"}`: "19 is in two ranges of the band, small and mid",
		`{small: "<20", mid: "20..1000"}`:                  `1000 and what is above it is in no range of the band; end with ">=1000"`,
		`{all: ">=0", some: "5..6"}`:                       "5 is in two ranges of the band, all and some",
		`{small: "1-20", large: "20+"}`:                    `"1-20" is not a range; write ">=1000", "<20" or "20..1000", which is 20 to below 1000`,
		`{small: "<20", empty: "20..20", large: ">=20"}`:   `"20..20" holds no number`,
		`{}`: "give the band its ranges",
	} {
		doc := strings.Replace(string(base), "precedence:", "bands:\n  size:\n    of: customer.employees\n    ranges: "+ranges+"\nprecedence:", 1)
		if _, err := policy.Compile([]byte(doc)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", ranges, err, want)
		}
	}
}

// A change of the rules rewrites nothing that was decided: decisions name the policy they were made under, and what was
// promised under it stands.
func TestTrapRuleChange(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	body, err := os.ReadFile("testdata/traps.yaml")
	if err != nil {
		t.Fatal(err)
	}
	before := []byte(strings.TrimSuffix(string(body), "  cases:\n"))
	after := []byte(strings.Replace(string(before), "days: 90", "days: 30", 1))
	st, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "dibs.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	key, _, err := ledger.NewSigner("dibs/test")
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{}
	c.set(start)
	e, err := engine.Open(ctx, engine.Config{Store: st, Signer: key, Policy: before, Clock: c.now, Vet: Vet})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(context.WithoutCancel(ctx))
	signed, _ := deal.ParseDate("2020-01-01")
	if _, err := e.Put(ctx, asSystem, []deal.Record{&deal.Partner{ID: "A", Name: "Alpha", Status: "active", Type: "reseller", AgreementSignedAt: signed},
		&deal.Partner{ID: "B", Name: "Beta", Status: "active", Type: "reseller", AgreementSignedAt: signed}}, nil); err != nil {
		t.Fatal(err)
	}
	file := func(partner, customer string) string {
		t.Helper()
		got, err := e.Register(ctx, asSystem, deal.Filing{PartnerID: partner, Type: "new_business", Customer: deal.Customer{Name: customer, Country: "DE"}, Description: "x"})
		if err != nil {
			t.Fatal(err)
		}
		return got.ID
	}
	look := func(id string) (string, string, deal.DocumentRef) {
		t.Helper()
		r, d, _, err := e.Registration(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		return r.Protection.EndsAt.Format("2006-01-02"), string(text), d.Policy
	}
	old := file("A", "Quixotic Brewing Company")
	ends, was, pinned := look(old)
	saved, err := e.SaveDocument(ctx, asSystem, deal.PolicyDocument, after)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Publish(ctx, asSystem, deal.PolicyDocument, saved.Version); err != nil {
		t.Fatal(err)
	}
	newer := file("B", "Zanzibar Orchestra Foundation")
	endsNow, is, _ := look(old)
	endsNew, _, under := look(newer)
	if ends != "2027-05-30" || endsNow != ends || was != is || endsNew != "2027-03-31" || pinned.Version != 1 || under.Version != 2 || pinned.Digest == under.Digest {
		t.Errorf("before %s, %v; after %s, new %s, %v", ends, pinned, endsNow, endsNew, under)
	}
	report, err := engine.Replay(ctx, st, nil, nil, func(engine.Rederived) {})
	if err != nil || report.Decisions != 2 || report.Differ != 0 {
		t.Errorf("replay over the change: %+v, %v", report, err)
	}
}
