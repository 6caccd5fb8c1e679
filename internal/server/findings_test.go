package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
)

// TestFindings has people say who is the same, and see it honoured, listed and taken back; a partner learns nothing of it.
func TestFindings(t *testing.T) {
	w := newWorld(t)
	w.people()
	w.key("admin-person", deal.Key{Role: "admin", PersonID: "U-8"})
	w.want(201, w.put("/v1/accounts/A-77", `{"name":"Hanseatische Werft AG","country":"DE","city":"Kiel"}`))
	w.want(201, w.put("/v1/accounts/A-78", `{"name":"Hanseatische Segel AG","country":"DE","city":"Kiel"}`))
	reg, _ := w.escalated("portal", "P-001", "Hanseatische Werft", "1")
	if ref := w.get("ops", "/v1/registrations/"+reg).str(t, "customer_ref.account_id"); ref != "A-77" {
		t.Fatalf("resolved to %q", ref)
	}
	before := masked(w.get("portal", "/v1/registrations/"+reg), "")
	body := fmt.Sprintf(`{"verdict":"different","subject":{"registration_id":%q},"other":{"account_id":"A-77"},"until":"2027-01-31T23:00:00Z","reason":"another owner"}`, reg)
	w.want(403, w.call("ops", "POST", "/v1/findings", body)) // names nobody
	w.want(403, w.call("U-9", "POST", "/v1/findings", body)) // not one of the case's queue
	w.want(403, w.call("portal", "POST", "/v1/findings", body))
	f := w.want(201, w.call("U-7", "POST", "/v1/findings", body, "Idempotency-Key", "once"))
	if again := w.want(201, w.call("U-7", "POST", "/v1/findings", body, "Idempotency-Key", "once")); again.str(t, "id") != f.str(t, "id") {
		t.Errorf("sent twice, it is found twice: %s", again)
	}
	id := f.str(t, "id")
	if f.str(t, "status") != "live" || f.str(t, "reason") != "another owner" || f.str(t, "by.person_id") != "U-7" || f.str(t, "subject.name") != "Hanseatische Werft" {
		t.Errorf("%s", f)
	}
	w.want(409, w.call("U-7", "POST", "/v1/findings", body))
	w.want(422, w.call("U-7", "POST", "/v1/findings", `{"verdict":"same","subject":{"account_id":"A-77","registration_id":"x"},"other":{"account_id":"A-404"},"until":"2027-01-31T23:00:00Z","reason":" "}`))
	w.want(422, w.call("U-7", "POST", "/v1/findings", `{"verdict":"different","subject":{"account_id":"A-77"},"other":{"account_id":"A-78"},"until":"soon","reason":"x"}`))
	if after := masked(w.get("portal", "/v1/registrations/"+reg), ""); after != before {
		t.Errorf("the partner reads of it:\n%s\n%s", before, after)
	}
	w.want(201, w.call("admin-person", "POST", "/v1/findings", example(t, "finding.json")))

	page := w.want(200, w.get("auditor", "/v1/findings?limit=1"))
	if n := len(page.field(t, "items").([]any)); n != 1 || page.field(t, "next_cursor") == nil {
		t.Errorf("%s", page)
	}
	w.want(200, w.get("auditor", "/v1/findings?limit=1&cursor="+page.str(t, "next_cursor")))
	count := func(query string, want int) {
		t.Helper()
		if n := len(w.want(200, w.get("ops", "/v1/findings?"+query)).field(t, "items").([]any)); n != want {
			t.Errorf("%s: %d, not %d", query, n, want)
		}
	}
	count("account_id=A-77", 2)
	count("registration_id="+reg, 1)
	count("verdict=same", 0)
	w.want(403, w.get("portal", "/v1/findings"))
	w.want(403, w.get("portal", "/v1/findings/"+id))
	w.want(200, w.get("auditor", "/v1/findings/"+id))
	w.want(404, w.get("auditor", "/v1/findings/find_none"))
	if csv := w.call("ops", "GET", "/v1/findings", "", "Accept", mediaCSV); !strings.Contains(string(csv.body), "another owner") {
		t.Errorf("%s", csv)
	}

	// The same words from anybody are of the other customer now, and staff read by whose word.
	next := w.want(201, w.register("rival", "2", strings.ReplaceAll(filing("P-009", "Hanseatische Werft"), "P-001", "P-009"))).str(t, "id")
	if d := w.get("ops", "/v1/registrations/"+next+"/decision"); !strings.Contains(string(d.body), id) || !strings.Contains(string(d.body), "U-7 found on") {
		t.Errorf("the decision does not name the finding: %s", d)
	}
	w.want(422, w.call("U-7", "POST", "/v1/findings/"+id+"/withdraw", `{"reason":" "}`))
	w.want(403, w.call("ops", "POST", "/v1/findings/"+id+"/withdraw", `{"reason":"wrong"}`))
	if back := w.want(200, w.call("U-7", "POST", "/v1/findings/"+id+"/withdraw", `{"reason":"wrong"}`, "Idempotency-Key", "w")); back.str(t, "status") != "withdrawn" || back.str(t, "withdrawn_by.person_id") != "U-7" {
		t.Errorf("%s", back)
	}
	w.want(409, w.call("U-7", "POST", "/v1/findings/"+id+"/withdraw", `{"reason":"wrong"}`))
	count("status=live", 1)
	count("account_id=A-77", 2)
}
