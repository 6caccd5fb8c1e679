package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
)

// people gives the world people of the queues of the default policy, and a key for each.
func (w *world) people() {
	w.t.Helper()
	w.want(201, w.put("/v1/people/U-7", `{"name":"Uma Owner","queues":["channel-managers","channel-manager"],"authority":{"value":"100000.00","currency":"EUR"}}`))
	w.want(201, w.put("/v1/people/U-8", `{"name":"Dan Director","queues":["channel-managers","channel-director"],"authority":{"value":"9000000.00","currency":"EUR"}}`))
	w.want(201, w.put("/v1/people/U-9", `{"name":"Ida Director","queues":["channel-director"],"authority":{"value":"9000000.00","currency":"EUR"}}`))
	for _, id := range []string{"U-7", "U-8", "U-9"} {
		w.key(id, deal.Key{Role: "ops", PersonID: id})
	}
}

// escalated files what the default policy escalates: a rival product is offered.
func (w *world) escalated(who, partner, customer, key string) (registration, id string) {
	w.t.Helper()
	body := fmt.Sprintf(`{"partner_id":%q,"type":"new_business","customer":{"name":%q,"country":"DE","city":"Ulm"},"products":[{"line":"firewall"},{"line":"endpoint"}],
		"amount":{"value":"50000.00","currency":"EUR"},"competing_offers":["Rival"]}`, partner, customer)
	r := w.want(201, w.register(who, key, body))
	registration = r.str(w.t, "id")
	return registration, w.get("ops", "/v1/registrations/"+registration).str(w.t, "case_id")
}

func etag(g got) string { return g.header.Get("ETag") }

// TestCase works a case from its opening to its end, as its pages and commands do.
func TestCase(t *testing.T) {
	w := newWorld(t)
	w.people()
	first, other := w.escalated("portal", "P-001", "Quarzwerk Lausitz", "1")
	w.want(200, w.call("U-7", "POST", "/v1/cases/"+other+"/resolve", example(t, "case-resolve.json"), "If-Match", etag(w.get("U-7", "/v1/cases/"+other))))
	if why := w.get("portal", "/v1/registrations/"+first).str(t, "decision.explanation"); !strings.Contains(why, "comes first") {
		t.Errorf("declined, the partner reads %q", why)
	}
	reg, id := w.escalated("portal", "P-001", "Zanzibar Orchestra Foundation", "2")
	path := "/v1/cases/" + id
	page := w.want(200, w.get("U-7", path))
	opened := etag(page)
	if page.str(t, "registration.id") != reg || page.str(t, "decision.registration_id") != reg || page.str(t, "kind") != "escalation" || opened == "" {
		t.Errorf("the page of the case: %s", page)
	}
	if p := page.field(t, "precedents").([]any); len(p) != 1 || p[0].(map[string]any)["case_id"] != other || p[0].(map[string]any)["likeness"] != 1.0 || p[0].(map[string]any)["outcome"] != "routed" {
		t.Errorf("precedents %v", p)
	}
	may := func(who, act string) (bool, string) {
		for _, m := range w.want(200, w.get(who, path)).field(t, "you_may").([]any) {
			if m := m.(map[string]any); m["act"] == act {
				why, _ := m["why"].(string)
				return m["may"].(bool), why
			}
		}
		t.Fatalf("nothing is said of %s", act)
		return false, ""
	}
	for _, c := range []struct {
		who, act string
		may      bool
		why      string
	}{{"U-7", "resolve", true, ""}, {"U-8", "resolve", false, "channel-manager"}, {"U-7", "comment", true, ""}, {"auditor", "comment", false, "auditor"}, {"ops", "resolve", false, "--person"}, {"U-7", "reopen", false, "open"}} {
		if ok, why := may(c.who, c.act); ok != c.may || !strings.Contains(why, c.why) {
			t.Errorf("%s may %s: %v, %q", c.who, c.act, ok, why)
		}
	}
	w.want(200, w.call("U-7", "POST", path+"/acknowledge", ""))
	w.want(409, w.call("U-7", "POST", path+"/acknowledge", ""))
	w.want(200, w.call("U-7", "POST", path+"/assign", `{"person_id":"U-8"}`))
	w.want(422, w.call("U-7", "POST", path+"/assign", `{"person_id":"U-99"}`))
	w.want(200, w.call("U-7", "POST", path+"/comment", example(t, "case-comment.json")))
	w.want(422, w.call("U-7", "POST", path+"/comment", `{"text":" "}`))
	w.want(200, w.call("U-7", "POST", path+"/snooze", `{"until":"2026-12-01T08:00:00Z"}`))
	w.want(422, w.call("U-7", "POST", path+"/snooze", `{"until":"soon"}`))
	w.want(422, w.call("U-7", "POST", path+"/consult", `{}`))
	w.want(200, w.call("U-7", "POST", path+"/consult", `{"person_id":"U-9","text":"yours?"}`))
	w.want(200, w.call("U-7", "POST", path+"/ask", example(t, "case-ask.json")))
	asked := w.want(200, w.get("portal", "/v1/registrations/"+reg))
	if q := asked.str(t, "decision.case.question"); !strings.HasPrefix(q, "Who signed") {
		t.Errorf("the partner is asked %q", q)
	}
	w.want(404, w.call("rival", "POST", "/v1/registrations/"+reg+"/respond", `{"text":"me"}`))
	w.want(422, w.call("portal", "POST", "/v1/registrations/"+reg+"/respond", `{"text":""}`))
	w.want(200, w.call("portal", "POST", "/v1/registrations/"+reg+"/respond", `{"text":"The CIO, in May.","evidence":[{"kind":"letter"}]}`))
	w.want(409, w.call("portal", "POST", "/v1/registrations/"+reg+"/respond", `{"text":"The CIO, in May."}`))

	w.want(428, w.call("U-7", "POST", path+"/resolve", example(t, "case-split.json")))
	w.want(400, w.call("U-7", "POST", path+"/resolve", example(t, "case-split.json"), "If-Match", "*"))
	stale := w.want(412, w.call("U-7", "POST", path+"/resolve", example(t, "case-split.json"), "If-Match", opened))
	for _, want := range []string{"case.acknowledged", "case.commented", "case.asked", "U-7"} {
		if !strings.Contains(stale.str(t, "detail"), want) {
			t.Errorf("what has changed: %s, lacks %s", stale, want)
		}
	}
	w.want(403, w.call("portal", "POST", path+"/resolve", example(t, "case-split.json"), "If-Match", opened))
	w.want(403, w.call("ops", "POST", path+"/resolve", example(t, "case-split.json"), "If-Match", etag(w.get("U-7", path))))
	w.want(422, w.call("U-7", "POST", path+"/resolve", `{"reason":"x"}`, "If-Match", etag(w.get("U-7", path))))
	at := etag(w.get("U-7", path))
	resolve := func() got {
		return w.call("U-7", "POST", path+"/resolve", example(t, "case-split.json"), "If-Match", at, "Idempotency-Key", "r")
	}
	done := w.want(200, resolve())
	if done.str(t, "status") != "resolved" || done.str(t, "outcome") != "protected" || done.str(t, "ruled_by") != "U-7" {
		t.Errorf("resolved %s", done)
	}
	if again := w.want(200, resolve()); string(again.body) != string(done.body) {
		t.Errorf("again %s\nfirst %s", again, done)
	}
	read := w.want(200, w.get("portal", "/v1/registrations/"+reg))
	if read.str(t, "status") != "protected" || fmt.Sprint(read.field(t, "decision.protection.scope.lines")) != "[firewall]" || read.field(t, "decision.case") != nil {
		t.Errorf("the partner reads %s", read)
	}
	w.want(200, w.get("portal", "/v1/registrations/"+reg+"/receipt"))
	kinds := []string{}
	for _, h := range w.want(200, w.get("U-8", path)).field(t, "timeline").([]any) {
		kinds = append(kinds, fmt.Sprint(h.(map[string]any)["kind"]))
	}
	if got := strings.Join(kinds, " "); got != "registration.decided case.acknowledged case.assigned case.commented case.snoozed case.consulted case.asked registration.answered registration.resolved" {
		t.Errorf("timeline %s", got)
	}
	w.want(409, w.call("U-7", "POST", path+"/comment", example(t, "case-comment.json")))
	w.want(409, w.call("U-7", "POST", path+"/reopen", `{"reason":"a letter"}`, "If-Match", etag(done)))
	if revoked := w.want(200, w.call("ops", "POST", "/v1/registrations/"+reg+"/revoke", `{"reason":"fraud"}`)); !strings.Contains(revoked.str(t, "decision.explanation"), "revoked") || fmt.Sprint(revoked.field(t, "decision.reason_codes")) != "[REVOKED]" {
		t.Errorf("revoked, the partner reads %s", revoked)
	}
	w.want(200, w.call("U-7", "POST", "/v1/cases/"+other+"/reopen", `{"reason":"a letter"}`, "If-Match", etag(w.get("U-7", "/v1/cases/"+other))))
}

// TestCaseList lists what there is to do, by what people look for, what is due first in front.
func TestCaseList(t *testing.T) {
	w := newWorld(t)
	w.people()
	_, a := w.escalated("portal", "P-001", "Quarzwerk Lausitz", "1")
	_, b := w.escalated("rival", "P-009", "Zanzibar Orchestra Foundation", "2")
	w.want(200, w.call("U-7", "POST", "/v1/cases/"+b+"/acknowledge", ""))
	for query, want := range map[string][]string{
		"": {a, b}, "status=open": {a, b}, "status=resolved": {}, "queue=channel-managers": {a, b}, "queue=other": {}, "assignee=U-7": {b}, "assignee=none": {a}, "kind=escalation": {a, b},
		"kind=appeal": {}, "partner_id=P-009": {b}, "due_before=2026-11-22T09:00:00Z": {}, "due_before=2027-01-01T00:00:00Z": {a, b},
	} {
		var got []string
		for _, k := range w.want(200, w.get("ops", "/v1/cases?"+query)).field(t, "items").([]any) {
			got = append(got, k.(map[string]any)["id"].(string))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	w.want(400, w.get("ops", "/v1/cases?due_before=soon"))
	page := w.want(200, w.get("ops", "/v1/cases?limit=1"))
	next := w.want(200, w.get("ops", "/v1/cases?limit=1&cursor="+page.str(t, "next_cursor")))
	if next.field(t, "items").([]any)[0].(map[string]any)["id"] != b {
		t.Errorf("the second page %s", next)
	}
}

// TestStandingCase works the case about what a partner holds that is suspended or terminated, as the desk and the portals see it.
func TestStandingCase(t *testing.T) {
	w := newWorld(t)
	w.people()
	w.want(201, w.put("/v1/people/U-1", `{"name":"Ada Desk","queues":["deal-desk"],"authority":{"value":"9000000.00","currency":"EUR"}}`))
	w.key("U-1", deal.Key{Role: "ops", PersonID: "U-1"})
	var partner map[string]any
	if err := json.Unmarshal([]byte(example(t, "partner.json")), &partner); err != nil {
		t.Fatal(err)
	}
	stand := func(status string) {
		t.Helper()
		partner["status"] = status
		body, _ := json.Marshal(partner)
		w.want(200, w.put("/v1/partners/P-001", string(body)))
	}
	file := func(who, partner, customer, city, want string) string {
		t.Helper()
		body := fmt.Sprintf(`{"partner_id":%q,"type":"new_business","customer":{"name":%q,"country":"DE","city":%q},"products":[{"line":"firewall"}],
			"amount":{"value":"50000.00","currency":"EUR"},"evidence":[{"kind":"meeting","date":"2026-11-02"}]}`, partner, customer, city)
		r := w.want(201, w.register(who, who+customer, body))
		if got := r.str(t, "status"); got != want {
			t.Fatalf("%s for %s is %s: %s", partner, customer, got, r)
		}
		return r.str(t, "id")
	}
	status := func(who, id string) string {
		t.Helper()
		return w.want(200, w.get(who, "/v1/registrations/"+id)).str(t, "status")
	}
	open := func() (path string, members []string) { // of the one there is
		t.Helper()
		items := w.want(200, w.get("U-1", "/v1/cases?status=open&kind=standing&partner_id=P-001")).field(t, "items").([]any)
		if len(items) > 1 {
			t.Fatalf("%d cases about one partner", len(items))
		}
		for _, k := range items {
			k := k.(map[string]any)
			members = append(members, k["registration_id"].(string))
			also, _ := k["also"].([]any)
			for _, id := range also {
				members = append(members, id.(string))
			}
			path = "/v1/cases/" + k["id"].(string)
		}
		return path, members
	}
	is := func(path, want, outcome string) got {
		t.Helper()
		g := w.want(200, w.get("U-1", path))
		if g.str(t, "status") != want || outcome != "" && g.str(t, "outcome") != outcome {
			t.Errorf("the case is %s", g)
		}
		return g
	}
	const protect, declined = `{"resolution":"protect","reason":"they come back"}`, `{"resolution":"route","disposition":"declined","reason_code":"DECLINED_REVIEW","reason":"they do not come back"}`
	resolve := func(who, path, body string) got {
		t.Helper()
		return w.call(who, "POST", path+"/resolve", body, "If-Match", etag(w.get(who, path)))
	}
	first, second := file("portal", "P-001", "Zanzibar Orchestra Foundation", "Ulm", "protected"), file("portal", "P-001", "Quarzwerk Lausitz", "Cottbus", "protected")
	behind := file("rival", "P-009", "Quarzwerk Lausitz", "Cottbus", "waitlisted")
	if path, _ := open(); path != "" {
		t.Fatalf("there is %s about an active partner", path)
	}

	stand("suspended")
	path, members := open()
	if !slices.Equal(members, []string{first, second}) {
		t.Fatalf("the case is about %v", members)
	}
	page := is(path, "open", "")
	if !strings.Contains(page.str(t, "summary"), "suspended") || !strings.Contains(page.str(t, "summary"), "2 registrations") || page.str(t, "registration.id") != first {
		t.Errorf("the page of the case: %s", page)
	}
	for _, who := range []string{"portal", "rival", "any"} {
		w.want(403, w.get(who, path))
		w.want(403, w.call(who, "POST", path+"/resolve", protect, "If-Match", etag(page)))
	}
	if got := w.want(200, w.get("portal", "/v1/registrations/"+first)); got.str(t, "status") != "protected" || got.field(t, "decision.case") != nil || strings.Contains(string(got.body), strings.TrimPrefix(path, "/v1/cases/")) {
		t.Errorf("the partner reads of the case: %s", got)
	}
	w.want(428, w.call("U-1", "POST", path+"/resolve", protect))
	w.want(422, resolve("U-1", path, `{"resolution":"co_sell","reason":"x"}`))
	w.want(422, resolve("U-1", path, `{"resolution":"protect","days":30,"reason":"x"}`))
	w.want(403, resolve("ops", path, protect))
	w.want(403, resolve("U-7", path, protect))
	w.want(409, w.call("U-1", "POST", path+"/ask", example(t, "case-ask.json")))
	w.want(200, w.call("U-1", "POST", path+"/acknowledge", ""))
	before := etag(page)
	stand("active") // nobody has to decide any more
	is(path, "resolved", "active")
	w.want(412, w.call("U-1", "POST", path+"/resolve", declined, "If-Match", before))
	if late := w.want(412, resolve("U-1", path, declined)); !strings.Contains(late.str(t, "detail"), "resolved: active") {
		t.Errorf("too late: %s", late)
	}
	w.want(409, w.call("U-1", "POST", path+"/reopen", `{"reason":"again"}`, "If-Match", etag(w.get("U-1", path))))

	stand("suspended")
	path, _ = open()
	w.want(200, w.call("U-7", "POST", path+"/comment", example(t, "case-comment.json")))
	w.want(200, resolve("U-1", path, protect))
	if done := is(path, "resolved", "kept"); done.str(t, "ruled_by") != "U-1" {
		t.Errorf("kept by %s", done)
	}
	if status("portal", first) != "protected" || status("portal", second) != "protected" || status("rival", behind) != "waitlisted" {
		t.Errorf("kept: %s, %s, behind %s", status("portal", first), status("portal", second), status("rival", behind))
	}

	stand("terminated")
	path, _ = open()
	w.want(200, w.call("portal", "POST", "/v1/registrations/"+first+"/withdraw", `{"reason":"given up"}`))
	if _, members := open(); !slices.Equal(members, []string{second}) {
		t.Errorf("one has gone, and it is about %v", members)
	}
	w.want(200, resolve("U-1", path, declined))
	is(path, "resolved", "revoked")
	if status("ops", first) != "withdrawn" || status("ops", second) != "revoked" || status("rival", behind) != "protected" {
		t.Errorf("revoked: %s, %s, behind %s", status("ops", first), status("ops", second), status("rival", behind))
	}
	if got := w.want(200, w.get("portal", "/v1/registrations/"+second)); !strings.Contains(got.str(t, "decision.explanation"), "revoked") || strings.Contains(string(got.body), "do not come back") {
		t.Errorf("the partner reads %s", got)
	}
	kinds := []string{}
	for _, h := range w.want(200, w.get("U-1", path)).field(t, "timeline").([]any) {
		kinds = append(kinds, fmt.Sprint(h.(map[string]any)["kind"]))
	}
	if got := strings.Join(kinds, " "); got != "registration.decided case.opened case.closed registration.revoked" {
		t.Errorf("timeline %s", got)
	}
	if stand("suspended"); w.want(200, w.get("U-1", "/v1/cases?kind=standing&status=open")).field(t, "next_cursor") != nil {
		t.Error("a second page of no cases")
	}
	if path, _ := open(); path != "" {
		t.Errorf("%s is about a partner that holds nothing", path)
	}
}
