package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/dibs-deals/dibs/internal/ledger"
)

// TestRegister follows one registration through everything its portal can ask about it.
func TestRegister(t *testing.T) {
	w := newWorld(t)
	w.put("/v1/products/FW-200", example(t, "product.json"))
	first := w.want(201, w.register("portal", "k-1", example(t, "registration.json")))
	id := first.str(t, "id")
	if loc := first.header.Get("Location"); loc != "/v1/registrations/"+id {
		t.Errorf("Location is %q", loc)
	}
	if first.str(t, "external_id") != "portal-4711" || first.str(t, "decision.outcome") == "" {
		t.Errorf("answer %s", first)
	}
	var body struct {
		Receipt ledger.Receipt `json:"receipt"`
	}
	if err := json.Unmarshal(first.body, &body); err != nil {
		t.Fatal(err)
	}
	if _, _, err := body.Receipt.Verify(body.Receipt.Key); err != nil {
		t.Errorf("the receipt in the answer: %v", err)
	}

	again := w.want(201, w.register("portal", "k-1", example(t, "registration.json")))
	if !bytes.Equal(first.body, again.body) || again.header.Get("Idempotent-Replayed") != "true" || first.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("a retry answered\n%s\nafter\n%s", again, first)
	}
	w.want(422, w.register("portal", "k-1", filing("P-001", "Other")))

	view := w.want(200, w.get("portal", "/v1/registrations/"+id))
	if view.field(t, "filing") != nil || view.str(t, "status") != first.str(t, "status") {
		t.Errorf("the portal reads %s", view)
	}
	staff := w.want(200, w.get("ops", "/v1/registrations/"+id))
	if staff.str(t, "filing.contact.name") != "Erika Mustermann" {
		t.Errorf("staff read %s", staff)
	}
	if d := w.want(200, w.get("portal", "/v1/registrations/"+id+"/decision")); d.field(t, "decisions") != nil {
		t.Errorf("the portal reads %s", d)
	}
	if d := w.want(200, w.get("auditor", "/v1/registrations/"+id+"/decision")); len(d.field(t, "decisions").([]any)) != 1 {
		t.Errorf("the auditor reads %s", d)
	}
	receipt := w.want(200, w.get("portal", "/v1/registrations/"+id+"/receipt"))
	want, err := json.Marshal(body.Receipt)
	if err != nil {
		t.Fatal(err)
	}
	if string(bytes.TrimSpace(receipt.body)) != string(want) {
		t.Errorf("the receipt read later is another one:\n%s\n%s", receipt.body, want)
	}
	w.want(200, w.call("portal", "HEAD", "/v1/registrations/"+id, ""))
}

// TestRetryOfWhatIsNowInvalid: what was accepted stays answered, also when the same filing would be refused today.
func TestRetryOfWhatIsNowInvalid(t *testing.T) {
	w := newWorld(t)
	body := filing("P-001", "Kraftwerk Nord GmbH")
	first := w.want(201, w.register("portal", "k-1", body))
	w.want(204, w.call("ops", "DELETE", "/v1/partners/P-001", ""))
	w.want(422, w.register("portal", "k-2", body))
	if again := w.want(201, w.register("portal", "k-1", body)); !bytes.Equal(first.body, again.body) {
		t.Errorf("the retry answered %s\nafter %s", again, first)
	}
}

// TestConcurrentDuplicates: fifty copies of one request are one registration and fifty equal answers.
func TestConcurrentDuplicates(t *testing.T) {
	w := newWorld(t)
	body := filing("P-001", "Kraftwerk Nord GmbH")
	answers := make([]got, 50)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = w.register("portal", "one", body) })
	}
	wg.Wait()
	fresh := 0
	for _, a := range answers {
		w.want(201, a)
		if !bytes.Equal(a.body, answers[0].body) {
			t.Errorf("answers differ:\n%s\n%s", a.body, answers[0].body)
		}
		if a.header.Get("Idempotent-Replayed") == "" {
			fresh++
		}
	}
	if fresh != 1 {
		t.Errorf("%d of 50 answers were fresh", fresh)
	}
	if n := len(w.get("ops", "/v1/registrations").field(t, "items").([]any)); n != 1 {
		t.Errorf("%d registrations", n)
	}
}

// TestIdempotencyKeysOfTwoPortals: an Idempotency-Key belongs to the API key that used it.
func TestIdempotencyKeysOfTwoPortals(t *testing.T) {
	w := newWorld(t)
	a := w.want(201, w.register("portal", "same", filing("P-001", "Kraftwerk Nord GmbH")))
	b := w.want(201, w.register("rival", "same", filing("P-009", "Aurora Hydro ASA")))
	if a.str(t, "id") == b.str(t, "id") {
		t.Error("two portals got one answer")
	}
}

// TestLists: pages cover everything once, exports are the same rows, cursors are bound to their query.
func TestLists(t *testing.T) {
	w := newWorld(t)
	want := map[string]bool{}
	for i := range 7 {
		want[w.want(201, w.register("portal", fmt.Sprint("k", i), filing("P-001", fmt.Sprintf("Firma %c", 'A'+i)))).str(t, "id")] = true
	}
	w.want(201, w.register("rival", "r", filing("P-009", "=HYPERLINK(\"x\")")))
	for _, who := range []string{"portal", "ops"} {
		seen, cursor, path := map[string]bool{}, "", "/v1/registrations?limit=3&partner_id=P-001"
		for range 5 {
			g := w.want(200, w.get(who, path+cursor))
			for _, item := range g.field(t, "items").([]any) {
				seen[item.(map[string]any)["id"].(string)] = true
			}
			next, ok := g.field(t, "next_cursor").(string)
			if !ok {
				break
			}
			cursor = "&cursor=" + next
		}
		if len(seen) != len(want) {
			t.Errorf("%s saw %d of %d", who, len(seen), len(want))
		}
		if g := w.get(who, "/v1/registrations?partner_id=P-009"+cursor); g.status != 400 {
			t.Errorf("a cursor of another filter: %s", g)
		}
		csv := w.want(200, w.call(who, "GET", "/v1/registrations?partner_id=P-001", "", "Accept", "text/csv"))
		if n := strings.Count(string(csv.body), "\r\n"); n != 8 {
			t.Errorf("the export of %s has %d lines:\n%s", who, n, csv.body)
		}
		nd := w.want(200, w.call(who, "GET", "/v1/registrations?partner_id=P-001&limit=2", "", "Accept", "application/x-ndjson"))
		if n := bytes.Count(nd.body, []byte("\n")); n != 2 {
			t.Errorf("the limited export of %s has %d lines", who, n)
		}
	}
	if g := w.get("portal", "/v1/registrations"); len(g.field(t, "items").([]any)) != 7 {
		t.Errorf("the portal sees %s", g)
	}
	if csv := w.call("ops", "GET", "/v1/registrations", "", "Accept", "text/csv"); !strings.Contains(string(csv.body), `"'=HYPERLINK(""x"")"`) {
		t.Errorf("a formula left as it came:\n%s", csv.body)
	}
	w.want(400, w.get("portal", "/v1/registrations?account_id=A-100"))
	for _, c := range []struct {
		who, part string
		want      int
	}{{"ops", "IRMA%20c", 1}, {"portal", "firma", 7}, {"rival", "firma", 0}, {"rival", "hyper", 1}, {"portal", "hyper", 0}, {"ops", "%20firma%20c%20", 1}, {"ops", "%E5%B1%B1%E5%B7%9D", 0}} {
		if g := w.want(200, w.get(c.who, "/v1/registrations?customer_name="+c.part)); len(g.field(t, "items").([]any)) != c.want {
			t.Errorf("%s finds of customers with %s in their names %s, not %d", c.who, c.part, g, c.want)
		}
	}
}
