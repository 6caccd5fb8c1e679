package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
)

// complete is a registration the default policy protects.
func complete(partner, customer, domain string) string {
	return fmt.Sprintf(`{"partner_id":%q,"type":"new_business","customer":{"name":%q,"country":"DE","city":"Kiel","postal_code":"24103","domain":%q},
	"amount":{"value":"20000","currency":"EUR"},"expected_close_date":"2027-02-01","description":"Network","products":[{"line":"network"}],
	"contact":{"name":"A B","email":"a.b@%s"},"evidence":[{"kind":"meeting","date":"2026-11-10"}]}`, partner, customer, domain, domain)
}

// TestMoves walks registrations through their lives over the API.
func TestMoves(t *testing.T) {
	w := newWorld(t)
	at := func(g got, what string) string { return "/v1/registrations/" + g.str(t, "id") + "/" + what }
	file := func(who, customer, domain string) got {
		t.Helper()
		partner := map[string]string{"portal": "P-001", "rival": "P-009"}[who]
		return w.want(201, w.register(who, customer, complete(partner, customer, domain)))
	}
	held := file("portal", "Zanzibar Orchestra Foundation", "zanzibar.example")
	if s := held.str(t, "status"); s != "protected" {
		t.Fatalf("%s", held)
	}
	t.Run("changed", func(t *testing.T) {
		to := "/v1/registrations/" + held.str(t, "id")
		g := w.want(200, w.call("portal", "PATCH", to, `{"contact":{"title":"CIO"},"expected_close_date":"2027-03-01"}`, "Idempotency-Key", "p1"))
		again := w.want(200, w.call("portal", "PATCH", to, `{"expected_close_date":"2027-03-01","contact":{"title":"CIO"}}`, "Idempotency-Key", "p1"))
		if string(g.body) != string(again.body) || g.str(t, "decision.id") != held.str(t, "decision.id") {
			t.Errorf("%s\n%s", g, again)
		}
		w.want(422, w.call("portal", "PATCH", to, `{"description":"y"}`, "Idempotency-Key", "p1"))
		read := w.get("ops", to)
		if read.str(t, "filing.contact.title") != "CIO" || read.str(t, "filing.contact.name") != "A B" || read.str(t, "moved.event") != "update" {
			t.Errorf("%s", read)
		}
		for body, want := range map[string]int{
			`{"partner_id":"P-009"}`: 422, `{"type":"renewal"}`: 409, `{"nonsense":1}`: 422, `{}`: 422, `{"amount":{"value":"x"}}`: 422, `{"customer":{"name":null}}`: 422,
			`{"evidence":[]}`: 409, `{"contact":{"title":"CIO"}}`: 409, `[]`: 422,
		} {
			if g := w.call("portal", "PATCH", to, body); g.status != want {
				t.Errorf("%s: %s", body, g)
			}
		}
		if g := w.call("portal", "PATCH", to, `{}`); !strings.Contains(string(g.body), `"field":"body"`) {
			t.Errorf("of nothing: %s", g)
		}
		if g := w.call("any", "PATCH", to, `{"partner_id":"P-009"}`); g.status != 409 {
			t.Errorf("%s", g)
		}
		w.want(404, w.call("rival", "PATCH", to, `{"description":"z"}`))
		g = w.want(200, w.call("portal", "PATCH", to, `{"customer":{"city":"Bremen"}}`))
		if g.str(t, "decision.id") == held.str(t, "decision.id") || g.str(t, "status") != "protected" || g.field(t, "decision.protection.ends_at") != held.field(t, "decision.protection.ends_at") {
			t.Errorf("%s", g)
		}
	})
	t.Run("shown", func(t *testing.T) {
		body := `{"evidence":[{"kind":"meeting","date":"2026-11-22","text":"demo"}]}`
		g := w.want(200, w.call("portal", "POST", at(held, "evidence"), body, "Idempotency-Key", "e1"))
		again := w.want(200, w.call("portal", "POST", at(held, "evidence"), body, "Idempotency-Key", "e1"))
		miles, _ := g.field(t, "decision.protection.milestones").([]any)
		if string(g.body) != string(again.body) || len(miles) != 1 || miles[0].(map[string]any)["met_at"] == nil {
			t.Errorf("%s", g)
		}
		w.want(422, w.call("portal", "POST", at(held, "evidence"), `{"evidence":[]}`))
	})
	t.Run("given to another", func(t *testing.T) {
		g := file("portal", "Zuckerfabrik Juelich AG", "zuckerfabrik-juelich.example")
		w.want(403, w.call("portal", "POST", at(g, "transfer"), `{"partner_id":"P-009","reason":"x"}`))
		w.want(422, w.call("ops", "POST", at(g, "transfer"), `{"partner_id":"P-001","reason":"x"}`))
		w.want(422, w.call("ops", "POST", at(g, "transfer"), `{"partner_id":"P-009"}`))
		got := w.want(200, w.call("ops", "POST", at(g, "transfer"), `{"partner_id":"P-009","reason":"x"}`))
		if got.str(t, "partner_id") != "P-009" || got.str(t, "status") != "protected" {
			t.Errorf("%s", got)
		}
		w.want(404, w.get("portal", "/v1/registrations/"+g.str(t, "id")))
		w.want(200, w.get("rival", "/v1/registrations/"+g.str(t, "id")))
	})
	t.Run("extended on evidence, once", func(t *testing.T) {
		g := w.want(422, w.call("portal", "POST", at(held, "extend"), `{}`))
		if !strings.Contains(string(g.body), `"field":"evidence"`) {
			t.Errorf("%s", g)
		}
		w.want(422, w.call("portal", "POST", at(held, "extend"), `{"evidence":[{"kind":"meeting","date":"2027-40-01"}]}`))
		ok := `{"reason":"They asked for a second demo","evidence":[{"kind":"meeting","date":"2026-11-22","text":"demo"}]}`
		g = w.want(200, w.call("portal", "POST", at(held, "extend"), ok, "Idempotency-Key", "x1"))
		if g.str(t, "decision.protection.ends_at") <= held.str(t, "decision.protection.ends_at") || g.field(t, "receipt") == nil {
			t.Errorf("%s", g)
		}
		again := w.want(200, w.call("portal", "POST", at(held, "extend"), ok, "Idempotency-Key", "x1"))
		if again.header.Get("Idempotent-Replayed") != "true" || string(again.body) != string(g.body) {
			t.Errorf("again: %s", again)
		}
		w.want(422, w.call("portal", "POST", at(held, "extend"), `{}`, "Idempotency-Key", "x1"))
		w.want(400, w.call("portal", "POST", at(held, "extend"), ok, "Idempotency-Key", ""))
		w.want(409, w.call("portal", "POST", at(held, "extend"), ok))
		staff := w.want(200, w.get("ops", "/v1/registrations/"+held.str(t, "id")))
		if staff.str(t, "moved.reason") != "They asked for a second demo" || staff.str(t, "moved.event") != "extend" {
			t.Errorf("%s", staff)
		}
		if g := w.get("portal", "/v1/registrations/"+held.str(t, "id")); strings.Contains(string(g.body), "moved") {
			t.Errorf("a partner reads %s", g)
		}
	})
	t.Run("revoked for a reason, by staff", func(t *testing.T) {
		waits := file("rival", "Zanzibar Orchestra Foundation", "zanzibar.example")
		w.want(403, w.call("portal", "POST", at(held, "revoke"), `{"reason":"x"}`))
		w.want(422, w.call("ops", "POST", at(held, "revoke"), `{}`))
		if g := w.want(200, w.call("ops", "POST", at(held, "revoke"), `{"reason":"no meeting took place"}`)); g.str(t, "status") != "revoked" {
			t.Errorf("%s", g)
		}
		if g := w.want(200, w.get("rival", "/v1/registrations/"+waits.str(t, "id"))); g.str(t, "status") != "protected" {
			t.Errorf("the next in line: %s", g)
		}
		if g := w.want(409, w.call("portal", "POST", at(held, "withdraw"), `{}`)); !strings.Contains(string(g.body), "nothing more") {
			t.Errorf("%s", g)
		}
	})
	t.Run("withdrawn, won and lost", func(t *testing.T) {
		for i, c := range []struct{ what, status string }{{"withdraw", "withdrawn"}, {"lost", "lost"}} {
			g := file("portal", []string{"Quixotic Brewing Company", "Kormoran Werft"}[i], []string{"quixotic.example", "kormoran.example"}[i])
			if g := w.want(200, w.call("portal", "POST", at(g, c.what), `{}`)); g.str(t, "status") != c.status {
				t.Errorf("%s", g)
			}
		}
		g := file("portal", "Quarzwerk Lausitz", "quarzwerk.example")
		switch g := w.call("portal", "POST", at(g, "won"), `{}`); {
		case g.status == 200 && g.str(t, "status") == "won":
		case g.status == 409 && strings.Contains(string(g.body), "between registration and win"): // the default policy has a dwell
		default:
			t.Errorf("%s", g)
		}
	})
	t.Run("a distributor reads, and does not decide for its partner", func(t *testing.T) {
		body := strings.Replace(complete("P-009", "Aurora Hydro ASA", "aurora.example"), `"type"`, `"distributor_id":"P-001","type"`, 1)
		if g := w.register("any", "no dist", body); g.status != 422 || !strings.Contains(string(g.body), "no such distributor") {
			t.Errorf("a partner that distributes nothing: %s", g)
		}
		w.distributes("P-001")
		g := w.want(201, w.register("any", "dist", body))
		w.want(200, w.get("portal", "/v1/registrations/"+g.str(t, "id")))
		w.want(403, w.call("portal", "POST", at(g, "withdraw"), `{}`))
	})
}

// TestOffers accepts, fulfils and merges over the API, under a policy that asks for it.
func TestOffers(t *testing.T) {
	w := newWorld(t)
	w.people()
	body := `apiVersion: dealreg/v1
kind: Policy
metadata: {name: offers, title: Offers}
settings: {currency: EUR, timezone: Europe/Berlin}
required: [{field: amount}]
defaults: {required: {reason: INCOMPLETE, answer_within: 5bd}}
precedence: [returned, route, escalate, protect]
rules:
  - {id: held, when: conflict.held_by_other.found, then: {outcome: route, disposition: waitlisted, of: held_by_other, reason: ALREADY_REGISTERED}}
  - {id: protect, when: 'true', then: {outcome: protect, reason: PROTECTED, benefits: {margin: raised}, terms: {days: 60, fulfil: [contract], condition: {days: 5, need: acceptance, when: promoted}}}}
`
	d, err := w.engine.SaveDocument(t.Context(), engine.Request{Actor: deal.System}, deal.PolicyDocument, []byte(body))
	if err == nil {
		_, err = w.engine.Publish(t.Context(), engine.Request{Actor: deal.System}, deal.PolicyDocument, d.Version)
	}
	if err != nil {
		t.Fatal(err)
	}
	at := func(g got, what string) string { return "/v1/registrations/" + g.str(t, "id") + "/" + what }
	file := func(who, partner, customer string) got {
		t.Helper()
		return w.want(201, w.register(who, customer, complete(partner, customer, strings.ToLower(customer[:6])+".example")))
	}
	first, second := file("portal", "P-001", "Zanzibar Orchestra Foundation"), file("rival", "P-009", "Zanzibar Orchestra Foundation")
	w.want(409, w.call("portal", "POST", at(first, "accept"), `{}`))
	won := w.want(200, w.call("portal", "POST", at(file("portal", "P-001", "Quarzwerk Lausitz"), "won"), `{"evidence":[{"kind":"contract","date":"2026-11-22"}]}`))
	if won.field(t, "decision.protection.earned") != true || !strings.Contains(string(won.body), `"value":"raised"`) {
		t.Errorf("%s", won)
	}
	w.want(200, w.call("portal", "POST", at(first, "lost"), `{}`))
	offered := w.want(200, w.get("rival", "/v1/registrations/"+second.str(t, "id")))
	if offered.str(t, "status") != "conditional" || offered.str(t, "decision.protection.condition.need") != "acceptance" || offered.str(t, "decision.protection.condition.due_at") != offered.str(t, "decision.protection.ends_at") {
		t.Errorf("%s", offered)
	}
	w.want(404, w.call("portal", "POST", at(second, "accept"), `{}`))
	accepted := w.want(200, w.call("rival", "POST", at(second, "accept"), `{"reason":"Gladly"}`, "Idempotency-Key", "a1"))
	again := w.want(200, w.call("rival", "POST", at(second, "accept"), `{"reason":"Gladly"}`, "Idempotency-Key", "a1"))
	if accepted.str(t, "status") != "protected" || string(again.body) != string(accepted.body) || accepted.str(t, "decision.protection.ends_at") <= offered.str(t, "decision.protection.ends_at") {
		t.Errorf("%s\n%s", accepted, again)
	}
	open := w.want(201, w.register("portal", "open", `{"partner_id":"P-001","type":"new_business","customer":{"name":"Kormoran Werft","country":"DE","city":"Kiel"}}`))
	if by := open.str(t, "decision.route.answer_by"); open.str(t, "status") != "returned" || by == "" {
		t.Errorf("%s", open)
	}
	into := fmt.Sprintf(`{"into":%q,"reason":"One deal"}`, second.str(t, "id"))
	w.want(403, w.call("portal", "POST", at(open, "merge"), into))
	w.want(403, w.call("ops", "POST", at(open, "merge"), into)) // a program decides nothing
	w.want(422, w.call("U-7", "POST", at(open, "merge"), `{"into":"x"}`))
	w.want(409, w.call("U-7", "POST", at(open, "merge"), `{"into":"reg_none","reason":"x"}`))
	merged := w.want(200, w.call("U-7", "POST", at(open, "merge"), into))
	read := w.get("portal", "/v1/registrations/"+open.str(t, "id"))
	if merged.str(t, "status") != "merged" || strings.Contains(string(read.body), second.str(t, "id")) || !strings.Contains(string(read.body), `["MERGED"]`) {
		t.Errorf("%s\n%s", merged, read) // whose the other is, the partner does not read
	}
	if g := w.get("ops", "/v1/registrations/"+open.str(t, "id")); g.str(t, "moved.into") != second.str(t, "id") || g.str(t, "moved.by.person_id") != "U-7" || g.str(t, "merged_into") != second.str(t, "id") {
		t.Errorf("%s", g)
	}
	// Staff read it from the other side too; the partner whose registration stands for both does not.
	if g := w.get("ops", "/v1/registrations/"+second.str(t, "id")); fmt.Sprint(g.field(t, "stands_for")) != fmt.Sprintf("[%s]", open.str(t, "id")) {
		t.Errorf("%s", g)
	}
	for _, path := range []string{"/v1/registrations/" + second.str(t, "id"), "/v1/registrations"} {
		if g := w.want(200, w.get("rival", path)); strings.Contains(string(g.body), open.str(t, "id")) || strings.Contains(string(g.body), "stands_for") {
			t.Errorf("the other partner reads %s", g)
		}
	}
	if g := w.want(200, w.get("ops", "/v1/registrations?status=merged")); !strings.Contains(string(g.body), `"merged_into":"`+second.str(t, "id")) {
		t.Errorf("the list: %s", g)
	}
}

// The partner's own deal again is merged, and the answer names the registration that stands.
func TestOwnAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.want(201, w.register("portal", "1", example(t, "registration.json"))).str(t, "id")
	again := w.want(201, w.register("portal", "2", example(t, "registration.json")))
	if again.str(t, "status") != "merged" || again.str(t, "merged_into") != first {
		t.Fatalf("%s", again)
	}
	if g := w.get("portal", "/v1/registrations/"+again.str(t, "id")); g.str(t, "merged_into") != first {
		t.Errorf("%s", g)
	}
	if g := w.get("ops", "/v1/registrations/"+first); fmt.Sprint(g.field(t, "stands_for")) != fmt.Sprintf("[%s]", again.str(t, "id")) {
		t.Errorf("%s", g)
	}
	if g := w.get("portal", "/v1/registrations/"+first); g.field(t, "stands_for") != nil {
		t.Errorf("the partner reads %s", g)
	}
}

// Who may do what is said once in the state machine and once in the specification.
func TestMovesAgree(t *testing.T) {
	w := newWorld(t)
	for op, e := range map[string]deal.Event{"extendRegistration": deal.EventExtend, "withdrawRegistration": deal.EventWithdraw,
		"revokeRegistration": deal.EventRevoke, "acceptRegistration": deal.EventAccept, "mergeRegistration": deal.EventMerge,
		"transferRegistration": deal.EventTransfer, "addEvidence": deal.EventEvidence, "updateRegistration": deal.EventUpdate, "winRegistration": deal.EventWon, "loseRegistration": deal.EventLost} {
		found := false
		for _, o := range w.server.ops {
			if o.id == op {
				found = slices.Equal(o.roles, deal.EventRules[e].Roles)
			}
		}
		if !found {
			b, _ := json.Marshal(deal.EventRules[e].Roles)
			t.Errorf("%s: x-roles are not %s", op, b)
		}
	}
}
