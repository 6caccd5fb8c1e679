package server

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
)

// rows of the matrix: for each operation an object that the caller may see, if the operation is about one, and a body.
// The order is that of the calls: what an operation changes must not take away what the next one needs.
var accessRows = []struct {
	op, method, path, own, body, media, match string
	public                                    bool
}{
	{op: "getHealth", method: "GET", path: "/healthz", public: true},
	{op: "getReadiness", method: "GET", path: "/readyz", public: true},
	{op: "getMetrics", method: "GET", path: "/metrics", public: true},
	{op: "getSpec", method: "GET", path: "/openapi.yaml", public: true},
	{op: "getDocs", method: "GET", path: "/docs", public: true},
	{op: "getDocsAsset", method: "GET", path: "/docs/%s", own: "docs.js", public: true},
	{op: "createRegistration", method: "POST", path: "/v1/registrations", body: filing("P-001", "Aurora Hydro ASA")},
	{op: "check", method: "POST", path: "/v1/checks", body: filing("P-001", "Aurora Hydro ASA")},
	{op: "listRegistrations", method: "GET", path: "/v1/registrations"},
	{op: "getRegistration", method: "GET", path: "/v1/registrations/%s", own: "reg"},
	{op: "getDecision", method: "GET", path: "/v1/registrations/%s/decision", own: "reg"},
	{op: "extendRegistration", method: "POST", path: "/v1/registrations/%s/extend", own: "reg", body: `{"reason":"x"}`},
	{op: "addEvidence", method: "POST", path: "/v1/registrations/%s/evidence", own: "reg", body: `{"evidence":[{"kind":"letter"}]}`},
	{op: "acceptRegistration", method: "POST", path: "/v1/registrations/%s/accept", own: "reg", body: `{}`},
	{op: "mergeRegistration", method: "POST", path: "/v1/registrations/%s/merge", own: "reg", body: `{"into":"reg_none","reason":"x"}`},
	{op: "transferRegistration", method: "POST", path: "/v1/registrations/%s/transfer", own: "reg", body: `{"partner_id":"P-001","reason":"x"}`},
	{op: "updateRegistration", method: "PATCH", path: "/v1/registrations/%s", own: "reg", body: `{"description":"x"}`},
	{op: "withdrawRegistration", method: "POST", path: "/v1/registrations/%s/withdraw", own: "reg", body: `{"reason":"x"}`},
	{op: "revokeRegistration", method: "POST", path: "/v1/registrations/%s/revoke", own: "reg", body: `{"reason":"x"}`},
	{op: "winRegistration", method: "POST", path: "/v1/registrations/%s/won", own: "reg", body: `{"reason":"x"}`},
	{op: "loseRegistration", method: "POST", path: "/v1/registrations/%s/lost", own: "reg", body: `{"reason":"x"}`},
	{op: "appealRegistration", method: "POST", path: "/v1/registrations/%s/appeal", own: "reg", body: `{"reason":"x"}`},
	{op: "respondToQuestion", method: "POST", path: "/v1/registrations/%s/respond", own: "reg", body: `{"text":"x"}`},
	{op: "getReceipt", method: "GET", path: "/v1/registrations/%s/receipt", own: "reg"},
	{op: "listCases", method: "GET", path: "/v1/cases"},
	{op: "getCase", method: "GET", path: "/v1/cases/%s", own: "case"},
	{op: "assignCase", method: "POST", path: "/v1/cases/%s/assign", own: "case", body: `{}`},
	{op: "acknowledgeCase", method: "POST", path: "/v1/cases/%s/acknowledge", own: "case"},
	{op: "commentOnCase", method: "POST", path: "/v1/cases/%s/comment", own: "case", body: `{"text":"x"}`},
	{op: "snoozeCase", method: "POST", path: "/v1/cases/%s/snooze", own: "case", body: `{"until":"2027-01-04T09:00:00Z"}`},
	{op: "consultOnCase", method: "POST", path: "/v1/cases/%s/consult", own: "case", body: `{"person_id":"U-9"}`},
	{op: "askPartner", method: "POST", path: "/v1/cases/%s/ask", own: "case", body: `{"text":"x"}`},
	{op: "resolveCase", method: "POST", path: "/v1/cases/%s/resolve", own: "case", body: `{"resolution":"protect","reason":"x"}`, match: `"1"`},
	{op: "reopenCase", method: "POST", path: "/v1/cases/%s/reopen", own: "case", body: `{"reason":"x"}`, match: `"1"`},
	{op: "createFinding", method: "POST", path: "/v1/findings", body: `{"verdict":"different","subject":{"account_id":"A-77"},"other":{"account_id":"A-78"},"reason":"x"}`},
	{op: "listFindings", method: "GET", path: "/v1/findings"},
	{op: "getFinding", method: "GET", path: "/v1/findings/%s", own: "finding"},
	{op: "withdrawFinding", method: "POST", path: "/v1/findings/%s/withdraw", own: "finding", body: `{"reason":"x"}`},
	{op: "putAccount", method: "PUT", path: "/v1/accounts/A-1", body: `{"name":"Aurora Hydro ASA"}`},
	{op: "getAccount", method: "GET", path: "/v1/accounts/%s", own: "A-1"},
	{op: "listAccounts", method: "GET", path: "/v1/accounts"},
	{op: "importAccounts", method: "POST", path: "/v1/accounts/import", body: "id,name\nA-2,Fjord\n", media: mediaCSV},
	{op: "deleteAccount", method: "DELETE", path: "/v1/accounts/%s", own: "A-1"},
	{op: "putOpportunity", method: "PUT", path: "/v1/opportunities/O-1", body: `{"account_id":"A-9"}`},
	{op: "getOpportunity", method: "GET", path: "/v1/opportunities/%s", own: "O-1"},
	{op: "listOpportunities", method: "GET", path: "/v1/opportunities"},
	{op: "importOpportunities", method: "POST", path: "/v1/opportunities/import", body: "id,account_id\nO-2,A-9\n", media: mediaCSV},
	{op: "deleteOpportunity", method: "DELETE", path: "/v1/opportunities/%s", own: "O-1"},
	{op: "putPartner", method: "PUT", path: "/v1/partners/P-5", body: `{"name":"Netz"}`},
	{op: "getPartner", method: "GET", path: "/v1/partners/%s", own: "P-5"},
	{op: "listPartners", method: "GET", path: "/v1/partners"},
	{op: "importPartners", method: "POST", path: "/v1/partners/import", body: "id,name\nP-6,Netz\n", media: mediaCSV},
	{op: "deletePartner", method: "DELETE", path: "/v1/partners/%s", own: "P-5"},
	{op: "putPerson", method: "PUT", path: "/v1/people/U-1", body: `{"name":"Jo"}`},
	{op: "getPerson", method: "GET", path: "/v1/people/%s", own: "U-1"},
	{op: "listPeople", method: "GET", path: "/v1/people"},
	{op: "importPeople", method: "POST", path: "/v1/people/import", body: "id,name\nU-2,Mo\n", media: mediaCSV},
	{op: "deletePerson", method: "DELETE", path: "/v1/people/%s", own: "U-1"},
	{op: "putProduct", method: "PUT", path: "/v1/products/S-1", body: `{"line":"firewall"}`},
	{op: "getProduct", method: "GET", path: "/v1/products/%s", own: "S-1"},
	{op: "listProducts", method: "GET", path: "/v1/products"},
	{op: "importProducts", method: "POST", path: "/v1/products/import", body: "sku,line\nS-2,firewall\n", media: mediaCSV},
	{op: "deleteProduct", method: "DELETE", path: "/v1/products/%s", own: "S-1"},
	{op: "putRate", method: "PUT", path: "/v1/rates/2026-11-02_USD_EUR", body: `{"date":"2026-11-02","from":"USD","to":"EUR","rate":"0.92"}`},
	{op: "getRate", method: "GET", path: "/v1/rates/%s", own: "2026-11-02_USD_EUR"},
	{op: "listRates", method: "GET", path: "/v1/rates"},
	{op: "importRates", method: "POST", path: "/v1/rates/import", body: "date,from,to,rate\n2026-11-03,USD,EUR,0.93\n", media: mediaCSV},
	{op: "deleteRate", method: "DELETE", path: "/v1/rates/%s", own: "2026-11-02_USD_EUR"},
	{op: "listPolicies", method: "GET", path: "/v1/policies"},
	{op: "createPolicy", method: "POST", path: "/v1/policies", body: "policy", media: "application/yaml"},
	{op: "getPolicy", method: "GET", path: "/v1/policies/%s", own: "live"},
	{op: "publishPolicy", method: "POST", path: "/v1/policies/%s/publish", own: "1"},
	{op: "listTerritoryPlans", method: "GET", path: "/v1/territories"},
	{op: "createTerritoryPlan", method: "POST", path: "/v1/territories", body: "plan", media: "application/yaml"},
	{op: "getTerritoryPlan", method: "GET", path: "/v1/territories/%s", own: "1"},
	{op: "publishTerritoryPlan", method: "POST", path: "/v1/territories/%s/publish", own: "1"},
	{op: "cancelPolicy", method: "POST", path: "/v1/policies/%s/cancel", own: "1"},
	{op: "cancelTerritoryPlan", method: "POST", path: "/v1/territories/%s/cancel", own: "1"},
	{op: "listKeys", method: "GET", path: "/v1/keys"},
	{op: "createKey", method: "POST", path: "/v1/keys", body: `{"role":"auditor"}`},
	{op: "revokeKey", method: "POST", path: "/v1/keys/%s/revoke", own: "key"},
	{op: "listWebhooks", method: "GET", path: "/v1/webhooks"},
	{op: "createWebhook", method: "POST", path: "/v1/webhooks", body: `{"url":"https://portal.example.com","types":["*"],"partner_ids":["P-001"]}`},
	{op: "getWebhook", method: "GET", path: "/v1/webhooks/%s", own: "hook"},
	{op: "changeWebhook", method: "PATCH", path: "/v1/webhooks/%s", own: "hook", body: `{"note":"x"}`},
	{op: "rotateWebhook", method: "POST", path: "/v1/webhooks/%s/rotate", own: "hook"},
	{op: "pingWebhook", method: "POST", path: "/v1/webhooks/%s/ping", own: "hook"},
	{op: "listDeliveries", method: "GET", path: "/v1/webhooks/%s/deliveries", own: "hook"},
	{op: "listJobs", method: "GET", path: "/v1/jobs"},
	{op: "resendDelivery", method: "POST", path: "/v1/webhooks/%s/resend", own: "hook", body: `{"delivery_id":"DELIVERY"}`},
	{op: "retryJob", method: "POST", path: "/v1/jobs/%s/retry", own: "job"},
	{op: "deleteWebhook", method: "DELETE", path: "/v1/webhooks/%s", own: "hook"},
	{op: "getCheckpoint", method: "GET", path: "/v1/audit/checkpoint"},
	{op: "listEntries", method: "GET", path: "/v1/audit/entries"},
	{op: "getProof", method: "GET", path: "/v1/audit/proofs/%s", own: "reg"},
}

// moves are the operations that are not possible in every state of a registration or a case: the status of one that is not.
var moves = map[string]int{"extendRegistration": 409, "updateRegistration": 409, "addEvidence": 409, "transferRegistration": 409, "acceptRegistration": 409, "mergeRegistration": 409, "withdrawRegistration": 409, "revokeRegistration": 409, "winRegistration": 409, "loseRegistration": 409,
	"appealRegistration": 409, "respondToQuestion": 409, "acknowledgeCase": 409, "askPartner": 409, "resolveCase": 412, "reopenCase": 412,
	"resendDelivery": 409, "retryJob": 409,
	"createFinding": 403, "withdrawFinding": 403} // these need a key that names a person: TestFindings has one

// plan is the smallest territory plan.
const plan = `apiVersion: dealreg/v1
kind: TerritoryPlan
metadata: {name: test, timezone: Europe/Berlin, effective: {from: 2026-01-01, to: 2030-01-01}}
tiers: [field]
territories:
  - {id: SMB, tier: field, coverage: partner, owner: {queue: partners}, include: {country: [DE]}}
`

var requestIDs = regexp.MustCompile(`"request_id":"[^"]*"`)

// masked is an answer without what must differ: the request's id, and the id that was asked for.
func masked(g got, id string) string {
	return fmt.Sprint(g.status, " ", strings.ReplaceAll(requestIDs.ReplaceAllString(string(g.body), ""), id, "ID"))
}

// TestAccess asks every operation as every role, for its own, a foreign and an absent object, and as nobody.
func TestAccess(t *testing.T) {
	w := newWorld(t)
	ids := map[string]string{
		"reg":     w.want(201, w.register("portal", "a", filing("P-001", "Kraftwerk Nord GmbH"))).str(t, "id"),
		"foreign": w.want(201, w.register("rival", "a", filing("P-009", "Stadtwerke Süd AG"))).str(t, "id"),
		"case":    openCase(w),
		"person":  w.want(201, w.put("/v1/people/U-9", `{"name":"Ida"}`)).str(t, "id"),
		"key":     w.want(201, w.call("admin", "POST", "/v1/keys", `{"role":"auditor"}`)).str(t, "key.id"),
		"hook":    w.want(201, w.call("admin", "POST", "/v1/webhooks", `{"url":"https://portal.example.com","types":["*"],"partner_ids":["*"]}`)).str(t, "webhook.id"),
	}
	w.want(201, w.put("/v1/accounts/A-78", `{"name":"Hanseatische Segel AG"}`))
	w.key("U-9", deal.Key{Role: "ops", PersonID: "U-9"})
	ids["finding"] = w.want(201, w.call("U-9", "POST", "/v1/findings", `{"verdict":"different","subject":{"account_id":"A-77"},"other":{"account_id":"A-78"},"reason":"x"}`)).str(t, "id")
	ids["job"] = w.want(202, w.call("admin", "POST", "/v1/webhooks/"+ids["hook"]+"/ping", "")).str(t, "id")
	policy := w.want(200, w.call("ops", "GET", "/v1/policies/live", "", "Accept", "application/yaml"))
	roles := map[string][]string{"portal": {"portal", "any"}, "ops": {"ops"}, "policy": {"policy"}, "auditor": {"auditor"}, "admin": {"admin"}}
	seen := map[string]bool{}
	for _, row := range accessRows {
		seen[row.op] = true
		op := w.server.ops[row.method+" "+echoPath(row.method, row.path, w)]
		if op == nil || op.id != row.op {
			t.Errorf("%s: the row's path is not that operation's", row.op)
			continue
		}
		header := []string{}
		if row.media != "" {
			header = append(header, "Content-Type", row.media)
		}
		if row.match != "" {
			header = append(header, "If-Match", row.match)
		}
		body := row.body
		switch body {
		case "policy":
			body = string(policy.body)
		case "plan":
			body = plan
		}
		body = strings.ReplaceAll(body, "DELIVERY", ids["job"])
		own := row.own
		if ids[own] != "" {
			own = ids[own]
		}
		path := func(id string) string {
			if row.own == "" {
				return row.path
			}
			return fmt.Sprintf(row.path, id)
		}
		n := 0
		ask := func(who, id string) got {
			n++
			return w.call(who, row.method, path(id), body, append(header, "Idempotency-Key", fmt.Sprint(row.op, n))...)
		}
		nobody := ask("", own)
		if row.public != (nobody.status < 400) || !row.public && nobody.status != 401 {
			t.Errorf("nobody: %s", nobody)
		}
		if row.public {
			continue
		}
		w.want(401, ask("dibs_"+strings.Repeat("0", 26)+".x", own))
		for role, callers := range roles {
			for _, who := range callers {
				if !slices.Contains(op.roles, role) {
					w.want(403, ask(who, own))
					continue
				}
				absent := "absent"
				if row.own != "" {
					if g := ask(who, absent); g.status != 404 {
						t.Errorf("%s asks for nothing: %s", who, g)
					}
				}
				if row.method == "DELETE" || row.op == "revokeKey" || strings.HasPrefix(row.op, "cancel") { // once is all there is; the deletion itself comes below
					continue
				}
				// What ends a registration can be done once, and not in every state: TestMoves does it. Here it is reached.
				if g := ask(who, own); g.status >= 300 && g.status != moves[row.op] {
					t.Errorf("%s: %s", who, g)
				}
				if who == "portal" && row.own == "reg" {
					a, b := masked(ask(who, absent), absent), masked(ask(who, ids["foreign"]), ids["foreign"])
					if a != b {
						t.Errorf("foreign and absent differ:\n%s\n%s", a, b)
					}
				}
			}
		}
		switch {
		case row.method == "DELETE", row.op == "revokeKey":
			if g := ask("admin", own); g.status != 204 {
				t.Errorf("admin: %s", g)
			}
		case strings.HasPrefix(row.op, "cancel"): // what is live is there, and nothing to cancel
			if g := ask("admin", own); g.status != 409 {
				t.Errorf("admin: %s", g)
			}
		}
	}
	for _, op := range w.server.ops {
		if !seen[op.id] {
			t.Errorf("%s has no row in accessRows", op.id)
		}
	}
}

// echoPath returns the route of a row's path.
func echoPath(method, path string, w *world) string {
	for _, r := range w.server.routes {
		if r.Method == method && matches(strings.ReplaceAll(regexp.MustCompile(`:\w+`).ReplaceAllString(r.Path, "{x}"), "%s", "x"), strings.ReplaceAll(path, "%s", "x")) {
			if strings.Contains(r.Path, ":") == (strings.Contains(path, "%s") || method == "PUT") {
				return r.Path
			}
		}
	}
	return ""
}

// openCase files where another partner leads an opportunity, and returns the id of the case it makes.
func openCase(w *world) string {
	w.t.Helper()
	w.want(201, w.put("/v1/accounts/A-77", `{"name":"Hanseatische Werft AG","country":"DE","domain":"hanse-werft.example","status":"prospect","owner":"U-7"}`))
	w.want(201, w.put("/v1/opportunities/O-77", `{"account_id":"A-77","led_by":"partner","partner_id":"P-009","last_activity_at":"2026-11-20"}`))
	body := `{"partner_id":"P-001","type":"new_business","customer":{"name":"Hanseatische Werft","country":"DE","domain":"hanse-werft.example"},
	"amount":{"value":"90000","currency":"EUR"},"expected_close_date":"2027-02-01","description":"Yard network","products":[{"line":"firewall"}],
	"contact":{"name":"A B","email":"a.b@hanse-werft.example"},"evidence":[{"kind":"meeting","date":"2026-11-10"}]}`
	g := w.want(201, w.register("portal", "case", body))
	if g.field(w.t, "decision.case") == nil {
		w.t.Fatalf("no case: %s", g)
	}
	return g.str(w.t, "decision.case.id")
}

// TestForeignPartner: filing for another's partner and for one that does not exist are answered with the same bytes.
func TestForeignPartner(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/v1/registrations", "/v1/checks"} {
		foreign := w.want(422, w.call("portal", "POST", path, filing("P-009", "Aurora Hydro ASA"), "Idempotency-Key", "1"))
		missing := w.want(422, w.call("portal", "POST", path, filing("P-404", "Aurora Hydro ASA"), "Idempotency-Key", "2"))
		if masked(foreign, "P-009") != masked(missing, "P-404") {
			t.Errorf("%s\n%s", foreign, missing)
		}
	}
	// The portal of all partners hears of one that does not exist in the same words.
	if a, b := w.register("any", "3", filing("P-404", "Aurora Hydro ASA")), w.register("portal", "3", filing("P-404", "Aurora Hydro ASA")); masked(a, "") != masked(b, "") {
		t.Errorf("%s\n%s", a, b)
	}
}

// TestListsShowOwn: lists and exports of a portal hold its partners' registrations, as registrant or distributor.
func TestListsShowOwn(t *testing.T) {
	w := newWorld(t)
	w.want(201, w.register("portal", "1", filing("P-001", "Kraftwerk Nord GmbH")))
	w.want(201, w.register("rival", "1", filing("P-009", "Stadtwerke Süd AG")))
	w.distributes("P-001")
	w.want(201, w.register("rival", "2", `{"partner_id":"P-009","distributor_id":"P-001","type":"new_business","customer":{"name":"Aurora Hydro ASA"}}`))
	for who, want := range map[string]int{"portal": 2, "rival": 2, "any": 3, "ops": 3} {
		if n := len(w.get(who, "/v1/registrations").field(t, "items").([]any)); n != want {
			t.Errorf("%s sees %d, not %d", who, n, want)
		}
		g := w.call(who, "GET", "/v1/registrations", "", "Accept", mediaNDJSON)
		if n := strings.Count(string(g.body), "\n"); n != want {
			t.Errorf("%s exports %d, not %d", who, n, want)
		}
	}
	if g := w.call("portal", "GET", "/v1/registrations?partner_id=P-009", "", "Accept", mediaCSV); strings.Contains(string(g.body), "Stadtwerke") {
		t.Errorf("the portal exports %s", g)
	}
}

// partnerFields is everything a partner may read of a registration. A field is added here after asking what it tells
// about others.
var partnerFields = []string{
	"id", "number", "external_id", "partner_id", "received_at", "sequence", "status", "merged_into",
	"decision.id", "decision.at", "decision.outcome", "decision.reason_codes", "decision.explanation",
	"decision.protection.scope.customer", "decision.protection.scope.lines", "decision.protection.scope.classes", "decision.protection.scope.sites",
	"decision.protection.milestones.need", "decision.protection.milestones.due_at", "decision.protection.milestones.met_at", "decision.protection.condition.need", "decision.protection.condition.due_at", "decision.protection.condition.met_at",
	"decision.protection.fulfil.need", "decision.protection.fulfil.met_at", "decision.protection.earned", "decision.protection.starts_at", "decision.protection.ends_at",
	"decision.route.to", "decision.route.disposition", "decision.route.needs", "decision.route.resubmit_after", "decision.route.answer_by",
	"decision.case.id", "decision.case.kind", "decision.case.due_at", "decision.case.answer_by", "decision.case.question", "decision.benefits.name", "decision.benefits.value", "decision.appeal.within",
	"decision.policy.name", "decision.policy.version", "decision.policy.digest",
}

// TestPartnerFields: the types a portal is answered with have these fields and no others.
func TestPartnerFields(t *testing.T) {
	allowed := map[string]bool{"registration_id": true, "advice": true, "explanation": true, "needs": true}
	for _, f := range partnerFields {
		allowed[f] = true
		allowed[strings.Replace(f, "decision.", "current.", 1)] = true
	}
	for _, v := range []any{engine.Answer{}, decisionsView{}, engine.Check{}} {
		for _, f := range fieldsOf(reflect.TypeOf(v), "") {
			if !allowed[f] {
				t.Errorf("%T lets a partner read %s", v, f)
			}
		}
	}
}

// fieldsOf lists the JSON paths of a type's leaves.
func fieldsOf(t reflect.Type, path string) (out []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.PkgPath() == "time" {
		return []string{path}
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case f.Anonymous && name == "":
			out = append(out, fieldsOf(f.Type, path)...)
		default:
			out = append(out, fieldsOf(f.Type, strings.TrimPrefix(path+"."+name, "."))...)
		}
	}
	return out
}

// TestPortalBytes: what a portal really gets holds no field outside the list, whatever type it was made from.
func TestPortalBytes(t *testing.T) {
	w := newWorld(t)
	openCase(w)
	w.want(201, w.register("portal", "1", filing("P-001", "Kraftwerk Nord GmbH")))
	allowed := map[string]bool{}
	for _, f := range partnerFields {
		parts := strings.Split(f, ".")
		for i := range parts {
			allowed[strings.Join(parts[:i+1], ".")] = true
		}
	}
	var walk func(v any, path string)
	walk = func(v any, path string) {
		switch v := v.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				p := strings.TrimPrefix(path+"."+name, ".")
				if !allowed[p] {
					t.Errorf("a portal reads %s", p)
				}
				walk(v[name], p)
			}
		case []any:
			for _, x := range v {
				walk(x, path)
			}
		}
	}
	for _, item := range w.get("portal", "/v1/registrations").field(t, "items").([]any) {
		walk(item, "")
	}
	for _, secret := range []string{"A-77", "O-77", "P-009", "U-7", "candidates", "probability", "weight"} {
		for _, item := range w.get("portal", "/v1/registrations").field(t, "items").([]any) {
			id := item.(map[string]any)["id"].(string)
			for _, path := range []string{"", "/decision", "/receipt"} {
				if g := w.get("portal", "/v1/registrations/"+id+path); strings.Contains(string(g.body), secret) {
					t.Errorf("%s holds %s", g, secret)
				}
			}
		}
	}
}

// TestRevokedKey: a revoked key is dead at once.
func TestRevokedKey(t *testing.T) {
	w := newWorld(t)
	made := w.want(201, w.call("admin", "POST", "/v1/keys", `{"role":"ops","note":"temp"}`))
	token := made.str(t, "token")
	w.want(200, w.get(token, "/v1/accounts"))
	w.want(204, w.call("admin", "POST", "/v1/keys/"+made.str(t, "key.id")+"/revoke", ""))
	w.want(401, w.get(token, "/v1/accounts"))
	if strings.Contains(string(w.get("admin", "/v1/keys").body), "secret") {
		t.Error("the list of keys speaks of secrets")
	}
	for _, hidden := range []string{token, token[len(token)-20:], "secret_hash\":\"", "Authorization"} {
		if strings.Contains(string(w.get("auditor", "/v1/audit/entries?limit=500").body), hidden) || strings.Contains(w.log.String(), hidden) {
			t.Errorf("%q is readable in the ledger or the log", hidden)
		}
	}
}
