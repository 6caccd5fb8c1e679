package server

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// TestEntries: an auditor asks what happened to one thing, or what happened of one kind, page by page.
func TestEntries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people()
	w.want(200, w.importRows("accounts", mediaCSV, "id,name,country\nA-1,Alpha,DE\nA-2,Beta,DE\n"))
	w.want(200, w.put("/v1/accounts/A-1", `{"name":"Alpha","city":"Kiel"}`))
	w.want(200, w.importRows("accounts", mediaCSV, "id,name,country\nA-3,Gamma,DE\nA-4,Delta,DE\n"))
	w.want(204, w.call("ops", "DELETE", "/v1/accounts/A-1", ""))
	reg, id := w.escalated("portal", "P-001", "Quarzwerk Lausitz", "1")
	other, _ := w.escalated("portal", "P-001", "Zanzibar Orchestra Foundation", "2")
	w.want(200, w.call("U-7", "POST", "/v1/cases/"+id+"/acknowledge", ""))
	w.want(200, w.call("U-7", "POST", "/v1/cases/"+id+"/resolve", example(t, "case-split.json"), "If-Match", etag(w.get("U-7", "/v1/cases/"+id))))
	w.want(200, w.call("portal", "POST", "/v1/registrations/"+reg+"/won", `{}`))
	w.want(200, w.call("portal", "POST", "/v1/registrations/"+other+"/withdraw", `{"reason":"x"}`))
	version := w.want(201, w.call("policy", "POST", "/v1/policies", example2(t, w), "Content-Type", "application/yaml")).field(t, "version")
	if version != 2.0 {
		t.Fatalf("version %v", version)
	}
	w.want(200, w.call("policy", "POST", "/v1/policies/2/publish", ""))
	hook := w.want(201, w.call("admin", "POST", "/v1/webhooks", `{"url":"https://portal.example.com/hidden","types":["*"],"partner_ids":["*"]}`))
	hookID := hook.str(t, "webhook.id")
	w.want(204, w.call("admin", "DELETE", "/v1/webhooks/"+hookID, ""))
	if g := w.get("auditor", "/v1/audit/entries?subject="+hookID); strings.Contains(string(g.body), "hidden") || strings.Contains(string(g.body), hook.str(t, "secret")) || !strings.Contains(string(g.body), `"receiver":"https://portal.example.com"`) {
		t.Errorf("of the webhook: %s", g)
	}
	read := func(query string) (kinds []string) {
		t.Helper()
		for cursor := ""; ; {
			g := w.want(200, w.get("auditor", "/v1/audit/entries?limit=2&"+query+cursor))
			var page struct {
				Items []entryView
				Next  string `json:"next_cursor"`
			}
			if err := json.Unmarshal(g.body, &page); err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Items {
				kinds = append(kinds, e.Kind)
			}
			if page.Next == "" {
				return kinds
			}
			cursor = "&cursor=" + page.Next
		}
	}
	for query, want := range map[string]string{
		"subject=accounts/A-1":                      "records.imported records.imported records.deleted",
		"subject=accounts/A-2":                      "records.imported",
		"subject=accounts/A-9":                      "",
		"subject=accounts":                          "records.imported records.imported records.imported records.deleted",
		"subject=accounts&kind=records.deleted":     "records.deleted",
		"subject=accounts/A-1&kind=records.*":       "records.imported records.imported records.deleted",
		"subject=" + reg:                            "registration.decided registration.resolved registration.won",
		"subject=" + id:                             "registration.decided case.acknowledged registration.resolved",
		"subject=" + other:                          "registration.decided registration.withdrawn",
		"subject=policy/2":                          "document.saved document.published",
		"subject=policy&kind=document.published":    "document.published document.published",
		"kind=registration.decided":                 "registration.decided registration.decided",
		"kind=" + url.QueryEscape("registration.*"): "registration.decided registration.decided registration.resolved registration.won registration.withdrawn",
		"subject=" + hookID:                         "webhook.created webhook.deleted",
		"kind=none":                                 "",
		"subject=case_none":                         "",
	} {
		if got := strings.Join(read(query), " "); got != want {
			t.Errorf("%s: %s\nwant %s", query, got, want)
		}
	}
	head, err := w.engine.Store().Head(t.Context())
	if all := read(""); err != nil || len(all) != int(head.Seq) {
		t.Errorf("of %d: %v, %v", head.Seq, all, err)
	}
	cursor := w.want(200, w.get("auditor", "/v1/audit/entries?limit=1&kind=registration.decided")).str(t, "next_cursor")
	w.want(400, w.get("auditor", "/v1/audit/entries?limit=1&kind=case.*&cursor="+cursor))
	w.want(403, w.get("ops", "/v1/audit/entries?subject="+reg))
}

// example2 is the live policy with a remark, so that it is another.
func example2(t *testing.T, w *world) string {
	t.Helper()
	return string(w.want(200, w.call("policy", "GET", "/v1/policies/live", "", "Accept", "application/yaml")).body) + "\n# another\n"
}
