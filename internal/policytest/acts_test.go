package policytest

import "testing"

// Everything that can be done to a registration after it was filed can be done in a test.
func TestActs(t *testing.T) {
	t.Parallel()
	const doc = `apiVersion: dealreg/v1
kind: Policy
metadata: {name: acts, title: Acts}
settings: {currency: EUR, timezone: Europe/Berlin, benefits: {margin: [raised]}}
precedence: [returned, waitlisted, route, escalate, protect]
required: [{field: amount}]
defaults: {required: {reason: INCOMPLETE, keeps_place: true, answer_within: 5bd, on_silence: decline}}
rules:
  - id: held
    when: conflict.held_by_other.found || conflict.pending_other.found
    then: {outcome: route, disposition: waitlisted, of: held_by_other, reason: ALREADY_REGISTERED}
  - id: protect
    when: 'true'
    then: {outcome: protect, reason: PROTECTED, benefits: {margin: raised}, terms: {days: 60, fulfil: [contract], condition: {days: 5, need: acceptance, when: promoted}}}
tests:
  now: 2027-03-01T09:00:00Z
  world:
    partners: {A: {name: Alpha Systems}, B: {name: Beta Networks}, C: {name: Gamma Cloudworks}}
  filings:
    deal: {partner_id: A, customer: {name: Quixotic Brewing, country: DE, city: Kiel}, amount: 5000 EUR}
    open: {partner_id: A, customer: {name: Quixotic Brewing, country: DE, city: Kiel}}
  cases:
    - name: the place goes down the line until somebody accepts it
      steps:
        - file: {use: deal}
          expect: {status: protected, last_day: 2027-04-30}
        - file: {use: deal, partner_id: B}
        - file: {use: deal, partner_id: C}
        - act: {do: accept, to: A, by: partner, refused: true}
        - act: {do: lost, to: A, by: partner}
          see: {B: {status: conditional, last_day: 2027-03-06, terms: {condition.need: acceptance}}, C: {status: waitlisted}}
        - after: 10d
          see: {B: {status: expired}, C: {status: conditional, last_day: 2027-03-12}}
        - act: {do: accept, to: C, by: partner}
          see: {C: {status: protected, starts_at: 2027-03-06T23:00:00Z, last_day: 2027-05-06}}
    - name: only what was ordered in time pays
      steps:
        - file: {use: deal}
        - file: {use: deal, as: other, partner_id: B, customer: {name: Kormoran Werft, country: DE, city: Rostock}}
        - act: {do: won, to: A}
          see: {A: {status: won, earned: false, benefits: {}}}
        - act: {do: won, to: other, evidence: [contract]}
          see: {other: {status: won, earned: true, benefits: {margin: raised}}}
    - name: completed, and not completed
      steps:
        - file: {use: open}
          expect: {outcome: returned}
        - file: {use: deal, partner_id: B}
          expect: {status: waitlisted}
        - act: {do: update, to: A, by: partner, set: {amount: 5000 EUR}}
          see: {A: {status: protected}, B: {status: waitlisted}}
        - file: {use: open, as: open, partner_id: B, customer: {name: Kormoran Werft, country: DE, city: Rostock}}
        - file: {use: deal, as: behind, partner_id: C, customer: {name: Kormoran Werft, country: DE, city: Rostock}}
        - at: 2027-03-08T15:59:59Z
          see: {open: {status: returned}, behind: {status: waitlisted}}
        - at: 2027-03-08T16:00:00Z
          see: {open: {status: routed, outcome: declined, reasons: [NOT_COMPLETED_IN_TIME]}, behind: {status: conditional, starts_at: 2027-03-08T16:00:00Z}}
    - name: merged and transferred
      steps:
        - file: {use: deal}
        - file: {use: deal, as: again, customer: {name: Kormoran Werft, country: DE, city: Rostock}}
        - file: {use: deal, partner_id: B}
        - act: {do: merge, to: A, into: B, refused: true}
        - act: {do: merge, to: again, into: A}
          see: {again: {status: merged, partner_text: {has: [MERGED]}}}
        - act: {do: transfer, to: A, partner: C}
          see: {A: {status: protected}, B: {status: waitlisted}}
        - act: {do: transfer, to: A, partner: C, refused: true}
`
	if report, text := run(t, []byte(doc)); !report.OK() || report.Passed != 4 {
		t.Error(text)
	}
}
