package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/api"
)

// TestExamples: the examples are what the specification says, and are accepted.
func TestExamples(t *testing.T) {
	w := newWorld(t)
	schemas := map[string]string{
		"registration.json": "RegistrationInput", "registration-least.json": "RegistrationInput", "account.json": "Account",
		"opportunity.json": "Opportunity", "partner.json": "Partner", "person.json": "Person", "product.json": "Product", "rate.json": "Rate", "key.json": "KeyInput",
		"case-resolve.json": "ResolveInput", "case-split.json": "ResolveInput", "case-comment.json": "CaseCommentInput", "case-ask.json": "CaseAskInput", "appeal.json": "AppealInput", "finding.json": "FindingInput",
	}
	files, err := filepath.Glob("../../api/examples/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(f)
		if schemas[name] == "" {
			t.Errorf("%s: which schema?", name)
			continue
		}
		if err := validate("/components/schemas/"+schemas[name], b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for path, name := range map[string]string{
		"accounts/A-100": "account", "opportunities/O-55": "opportunity", "partners/P-002": "partner", "people/U-7": "person",
		"products/FW-200": "product", "rates/2026-11-02_USD_EUR": "rate",
	} {
		body := example(t, name+".json")
		if name == "partner" {
			body = strings.Replace(body, "P-001", "P-002", 1)
		}
		put := w.want(201, w.put("/v1/"+path, body))
		if read := w.want(200, w.get("ops", "/v1/"+path)); !bytes.Equal(put.body, read.body) {
			t.Errorf("put %s\nread %s", put, read)
		}
		w.want(200, w.put("/v1/"+path, body))
		// What is read can be put back: the same fields, nothing else.
		if back := w.want(200, w.put("/v1/"+path, string(put.body))); !bytes.Equal(back.body, put.body) {
			t.Errorf("put back %s\nwas %s", back, put)
		}
	}
	w.want(201, w.register("portal", "1", example(t, "registration.json")))
	w.want(201, w.register("portal", "2", example(t, "registration-least.json")))
	w.want(200, w.call("portal", "POST", "/v1/checks", example(t, "registration.json")))
	w.want(201, w.call("admin", "POST", "/v1/keys", example(t, "key.json")))
}

// wrongFilings are bodies of a registration that must be refused: the status, the field that must be named, and whether
// the specification's schema alone refuses them too.
var wrongFilings = []struct {
	name, body string
	status     int
	field      string
	bySchema   bool
}{
	{"empty", ``, 415, "", false},
	{"blank", ` `, 400, "", false},
	{"no JSON", `partner_id=P-001`, 400, "", false},
	{"cut short", `{"partner_id":"P-001","type":`, 400, "", false},
	{"cut in a string", `{"partner_id":"P-0`, 400, "", false},
	{"trailing data", filing("P-001", "A") + `{}`, 400, "", false},
	{"trailing bracket", filing("P-001", "A") + `]`, 400, "", false},
	{"twice the same name", `{"partner_id":"P-001","partner_id":"P-009","type":"new_business","customer":{"name":"A"}}`, 400, "partner_id", false},
	{"twice, nested", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A","name":"B"}}`, 400, "customer.name", false},
	{"bad UTF-8", "{\"partner_id\":\"P-001\",\"type\":\"new_business\",\"customer\":{\"name\":\"A\xff\"}}", 400, "", false},
	{"overlong UTF-8", "{\"partner_id\":\"P-001\",\"type\":\"new_business\",\"customer\":{\"name\":\"A\xc0\xaf\"}}", 400, "", false},
	{"lone surrogate", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A\ud800"}}`, 400, "", false},
	{"byte order mark", "\ufeff" + filing("P-001", "A"), 400, "", false},
	{"deep nesting", strings.Repeat("[", 30000), 400, "", false},
	{"deep nesting in a field", `{"custom":` + strings.Repeat(`{"a":`, 9000) + `1` + strings.Repeat("}", 9001), 422, "custom.a", true},
	{"null", `null`, 422, "body", true},
	{"array", `[]`, 422, "body", true},
	{"number", `1`, 422, "body", true},
	{"no fields", `{}`, 422, "partner_id", true},
	{"unknown field", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A"},"discount":"50%"}`, 422, "discount", true},
	{"unknown nested field", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A","vat":"DE1"}}`, 422, "customer.vat", true},
	{"another case", `{"partner_id":"P-001","type":"new_business","Customer":{"name":"A"}}`, 422, "Customer", true},
	{"camel case", `{"partnerId":"P-001","type":"new_business","customer":{"name":"A"}}`, 422, "partnerId", true},
	{"read-only field", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A"},"status":"protected"}`, 422, "status", true},
	{"number for a string", `{"partner_id":1,"type":"new_business","customer":{"name":"A"}}`, 422, "partner_id", true},
	{"string for an object", `{"partner_id":"P-001","type":"new_business","customer":"A"}`, 422, "customer", true},
	{"object for an array", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A"},"products":{}}`, 422, "products", true},
	{"string for a number", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A","employees":"12"}}`, 422, "customer.employees", true},
	{"fraction for a count", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A","employees":1.5}}`, 422, "customer.employees", true},
	{"huge count", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A","employees":1e99}}`, 422, "customer.employees", true},
	{"string for a boolean", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A"},"tender":{"is_tender":"yes"}}`, 422, "tender.is_tender", true},
	{"unknown type", `{"partner_id":"P-001","type":"NEW","customer":{"name":"A"}}`, 422, "type", true},
	{"empty name", filing("P-001", ""), 422, "customer.name", true},
	{"name of punctuation", filing("P-001", "!!!"), 422, "customer.name", false},
	{"NUL in a name", filing("P-001", "A\u0000B"), 422, "customer.name", false},
	{"escape sequence in a name", filing("P-001", "A\u001b[31m"), 422, "customer.name", false},
	{"long name", filing("P-001", strings.Repeat("ü", 201)), 422, "customer.name", true},
	{"no such country", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A","country":"XX"}}`, 422, "customer.country", false},
	{"region of another country", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A","country":"DE","region":"US-CA"}}`, 422, "customer.region", false},
	{"country by name", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A","country":"Germany"}}`, 422, "customer.country", false},
	{"no such partner", filing("P-404", "A"), 422, "partner_id", false},
	{"another's partner", filing("P-009", "A"), 422, "partner_id", false},
	{"money as a number", money(`{"value":120000,"currency":"EUR"}`), 422, "amount.value", true},
	{"money with words", money(`{"value":"ten","currency":"EUR"}`), 422, "amount.value", false},
	{"negative money", money(`{"value":"-1","currency":"EUR"}`), 422, "amount.value", false},
	{"astronomic money", money(`{"value":"1e999999999","currency":"EUR"}`), 422, "amount.value", false},
	{"microscopic money", money(`{"value":"1e-999999999","currency":"EUR"}`), 422, "amount.value", false},
	{"overflowing exponent", money(`{"value":"1e99999999999999","currency":"EUR"}`), 422, "amount.value", false},
	{"money of many digits", money(`{"value":"` + strings.Repeat("9", 50000) + `","currency":"EUR"}`), 422, "amount.value", true},
	{"NaN", money(`{"value":"NaN","currency":"EUR"}`), 422, "amount.value", false},
	{"no currency", money(`{"value":"1"}`), 422, "amount.currency", true},
	{"no such currency", money(`{"value":"1","currency":"XYZ"}`), 422, "amount.currency", false},
	{"close date past", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A"},"expected_close_date":"2020-01-01"}`, 422, "expected_close_date", false},
	{"close date far", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A"},"expected_close_date":"2126-01-01"}`, 422, "expected_close_date", false},
	{"no such day", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A"},"expected_close_date":"2027-02-30"}`, 422, "expected_close_date", false},
	{"date and time", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A"},"expected_close_date":"2027-02-28T00:00:00Z"}`, 422, "expected_close_date", true},
	{"region of France", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A","country":"DE","region":"FR-75"}}`, 422, "customer.region", false},
	{"region of Britain", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A","country":"FR"},"sites":[{"country":"DE","region":"GB-ENG"}]}`, 422, "sites[0].region", false},
	{"evidence of the day after tomorrow", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A"},"evidence":[{"kind":"meeting","date":"` + today.AddDate(0, 0, 2).Format(time.DateOnly) + `"}]}`, 422, "evidence[0].date", false},
	{"evidence of another century", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A"},"evidence":[{"kind":"meeting","date":"1926-11-02"}]}`, 422, "evidence[0].date", false},
	{"evidence of tomorrow", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A"},"evidence":[{"kind":"meeting","date":"2027-01-01"}]}`, 422, "evidence[0].date", false},
	{"too many products", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A"},"products":[` + strings.Repeat(`{"line":"a"},`, 200) + `{"line":"a"}]}`, 422, "products", true},
	{"product without a name", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A"},"products":[{"line":"firewall"},{"quantity":1}]}`, 422, "products[1].sku", false},
	{"two mail addresses", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A"},"contact":{"email":"a@b.c, d@e.f"}}`, 422, "contact.email", false},
	{"custom number", `{"partner_id":"P-001","type":"new_business","customer":{"name":"A"},"custom":{"margin":5}}`, 422, "custom.margin", true},
	{"10 MB", `{"description":"` + strings.Repeat("x", 10<<20) + `"}`, 413, "", false},
	{"65 KiB", `{"description":"` + strings.Repeat("x", 65<<10) + `"}`, 413, "", false},
}

func money(m string) string {
	return `{"partner_id":"P-001","type":"new_business","customer":{"name":"A"},"amount":` + m + `}`
}

// TestWrongFilings: each is a clear refusal that names the field, and none leaves a trace.
func TestWrongFilings(t *testing.T) {
	w := newWorld(t)
	before := w.get("auditor", "/v1/audit/checkpoint").body
	for i, c := range wrongFilings {
		t.Run(c.name, func(t *testing.T) {
			for _, path := range []string{"/v1/registrations", "/v1/checks"} {
				g := w.call("portal", "POST", path, c.body, "Idempotency-Key", fmt.Sprint("bad-", i))
				if g.status != c.status || g.header.Get("Content-Type") != "application/problem+json" {
					t.Fatalf("%s\nwant %d", g, c.status)
				}
				if len(g.body) > 12_000 {
					t.Errorf("the refusal has %d bytes", len(g.body))
				}
				if c.field == "" {
					continue
				}
				var p struct {
					Errors []struct{ Field, Detail string }
				}
				if err := json.Unmarshal(g.body, &p); err != nil {
					t.Fatal(err)
				}
				named := false
				for _, e := range p.Errors {
					named = named || e.Field == c.field && e.Detail != ""
				}
				if !named {
					t.Errorf("%s\ndoes not name %s", g, c.field)
				}
			}
			if c.status == 422 || c.status == 400 {
				if err := validate("/components/schemas/RegistrationInput", []byte(c.body)); (err != nil) != c.bySchema && c.status == 422 {
					t.Errorf("the schema says %v", err)
				}
			}
		})
	}
	if after := w.get("auditor", "/v1/audit/checkpoint").body; !bytes.Equal(rootOf(before), rootOf(after)) {
		t.Errorf("the ledger grew:\n%s\n%s", before, after)
	}
}

// rootOf returns the unsigned lines of a checkpoint.
func rootOf(checkpoint []byte) []byte {
	text, _, _ := bytes.Cut(checkpoint, []byte("\n\n"))
	return text
}

// TestEveryErrorAtOnce: a portal's developer learns of all mistakes in one round.
func TestEveryErrorAtOnce(t *testing.T) {
	w := newWorld(t)
	g := w.want(422, w.register("portal", "x", `{"partner_id":7,"kind":"x","customer":{"Name":"A","employees":"many"},"products":[{"qty":1}]}`))
	for _, want := range []string{`"partner_id"`, `"kind"`, `"customer.Name"`, "did you mean name?", `"customer.employees"`, `"products[0].qty"`} {
		if !bytes.Contains(g.body, []byte(want)) {
			t.Errorf("%s\nlacks %s", g, want)
		}
	}
}

// TestNullIsAbsent: portals that send every field, null where they have nothing, are served.
func TestNullIsAbsent(t *testing.T) {
	w := newWorld(t)
	props := at(spec().doc, "/components/schemas/RegistrationInput")["properties"].(map[string]any)
	body := map[string]any{}
	for name := range props {
		body[name] = nil
	}
	body["partner_id"], body["type"], body["customer"] = "P-001", "new_business", map[string]any{"name": "Kraftwerk Nord GmbH", "country": "DE", "ship_to": nil}
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate("/components/schemas/RegistrationInput", b); err != nil {
		t.Errorf("the schema refuses null: %v", err)
	}
	with := w.want(201, w.register("portal", "null", string(b)))
	without := w.want(201, w.register("portal", "null", filing("P-001", "Kraftwerk Nord GmbH")))
	if !bytes.Equal(with.body, without.body) {
		t.Error("null and absent are two requests")
	}
}

// TestWrongRequests: what is wrong with a request besides its body.
func TestWrongRequests(t *testing.T) {
	w := newWorld(t)
	body := filing("P-001", "Kraftwerk Nord GmbH")
	long := strings.Repeat("k", 256)
	for _, c := range []struct {
		name   string
		got    got
		status int
		code   string
	}{
		{"no Idempotency-Key", w.call("portal", "POST", "/v1/registrations", body), 400, "idempotency-key-missing"},
		{"empty Idempotency-Key", w.register("portal", "", body), 400, "idempotency-key-missing"},
		{"long Idempotency-Key", w.register("portal", long, body), 400, "idempotency-key-missing"},
		{"Idempotency-Key of other letters", w.register("portal", "schlüssel", body), 400, "idempotency-key-missing"},
		{"form", w.call("portal", "POST", "/v1/registrations", body, "Idempotency-Key", "k", "Content-Type", "application/x-www-form-urlencoded"), 415, "unsupported-media-type"},
		{"UTF-16", w.call("portal", "POST", "/v1/registrations", body, "Idempotency-Key", "k", "Content-Type", "application/json; charset=utf-16"), 415, "unsupported-media-type"},
		{"gzip", w.call("portal", "POST", "/v1/registrations", body, "Idempotency-Key", "k", "Content-Encoding", "gzip"), 415, "unsupported-media-type"},
		{"body where none is taken", w.call("policy", "POST", "/v1/policies/1/publish", `{"effective_from":"2027-06-01T00:00:00Z"}`), 422, "invalid"},
		{"nothing, where no body is taken", w.call("policy", "POST", "/v1/policies/99/publish", " {} "), 404, "not-found"},
		{"no key", w.call("", "GET", "/v1/registrations", ""), 401, "unauthenticated"},
		{"wrong key", w.call("dibs_01h.nothing", "GET", "/v1/registrations", ""), 401, "unauthenticated"},
		{"basic", w.call("", "GET", "/v1/registrations", "", "Authorization", "Basic YTpi"), 401, "unauthenticated"},
		{"no such path", w.get("ops", "/v1/nothing"), 404, "not-found"},
		{"no such method", w.call("ops", "PATCH", "/v1/accounts/A", ""), 405, "method-not-allowed"},
		{"unknown filter", w.get("ops", "/v1/registrations?partner=P-001"), 400, "bad-parameter"},
		{"filter twice", w.get("ops", "/v1/registrations?partner_id=P-001&partner_id=P-009"), 400, "bad-parameter"},
		{"empty filter", w.get("ops", "/v1/registrations?partner_id="), 400, "bad-parameter"},
		{"unknown status", w.get("ops", "/v1/registrations?status=open"), 400, "bad-parameter"},
		{"limit 0", w.get("ops", "/v1/registrations?limit=0"), 400, "bad-parameter"},
		{"limit 501", w.get("ops", "/v1/registrations?limit=501"), 400, "bad-parameter"},
		{"limit in words", w.get("ops", "/v1/registrations?limit=all"), 400, "bad-parameter"},
		{"cursor of nothing", w.get("ops", "/v1/registrations?cursor=abc"), 400, "bad-parameter"},
		{"query with NUL", w.get("ops", "/v1/accounts?name=%00"), 400, "bad-parameter"},
		{"query not UTF-8", w.get("ops", "/v1/accounts?name=%ff"), 400, "bad-parameter"},
		{"query broken", w.get("ops", "/v1/accounts?name=%zz"), 400, "bad-parameter"},
		{"parameter where there is none", w.get("ops", "/v1/accounts/A?expand=all"), 400, "bad-parameter"},
		{"id with NUL", w.get("ops", "/v1/accounts/%00"), 404, "not-found"},
		{"id not UTF-8", w.get("ops", "/v1/accounts/%ff"), 404, "not-found"},
		{"id of SQL", w.get("ops", "/v1/accounts/'%20OR%201=1--"), 404, "not-found"},
		{"two ids", w.put("/v1/accounts/A-1", `{"id":"A-2","name":"X"}`), 422, "invalid"},
		{"negative version", w.get("ops", "/v1/policies/-1"), 404, "not-found"},
		{"no such version", w.get("ops", "/v1/policies/99"), 404, "not-found"},
		{"no such proof", w.get("auditor", "/v1/audit/proofs/99999999"), 404, "not-found"},
		{"key without partners", w.call("admin", "POST", "/v1/keys", `{"role":"portal"}`), 422, "invalid"},
		{"key with a role of its own", w.call("admin", "POST", "/v1/keys", `{"role":"root"}`), 422, "invalid"},
		{"no YAML", w.call("policy", "POST", "/v1/policies", "a: [", "Content-Type", "application/yaml"), 422, "invalid"},
		{"no policy", w.call("policy", "POST", "/v1/policies", "name: 1\nrulez: []\n", "Content-Type", "application/yaml"), 422, "invalid"},
	} {
		if c.got.status != c.status || c.got.str(t, "code") != c.code {
			t.Errorf("%s: %s\nwant %d %s", c.name, c.got, c.status, c.code)
		}
	}
}

// TestOddIDs: an id is the caller's own and may hold anything a name may.
func TestOddIDs(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"a%2Fb", "a%20b", "a%25b", "%C3%BC", "a+b", "a.b", "import2", "a%3Fb"} {
		w.want(201, w.put("/v1/accounts/"+id, `{"name":"Odd"}`))
		g := w.want(200, w.get("ops", "/v1/accounts/"+id))
		if name, err := http.NewRequest(http.MethodGet, "/"+id, nil); err != nil || "/"+g.str(t, "id") != name.URL.Path {
			t.Errorf("%s was read as %q", id, g.str(t, "id"))
		}
		w.want(204, w.call("ops", "DELETE", "/v1/accounts/"+id, ""))
		w.want(404, w.get("ops", "/v1/accounts/"+id))
	}
}

// FuzzDecode: no body makes the decoder panic, and what it accepts is what the standard decoder reads.
func FuzzDecode(f *testing.F) {
	for _, c := range wrongFilings {
		if len(c.body) < 2000 {
			f.Add([]byte(c.body))
		}
	}
	f.Add([]byte(example(f, "registration.json")))
	f.Fuzz(func(t *testing.T, body []byte) {
		var ours, std api.RegistrationInput
		err := decode(body, &ours)
		if err != nil {
			if p := toProblem(err); p.code != "malformed" && p.code != "invalid" || p.detail == "" {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if err := json.Unmarshal(body, &std); err != nil {
			t.Fatalf("%q: accepted, and encoding/json says %v", body, err)
		}
		a, err1 := json.Marshal(ours)
		b, err2 := json.Marshal(std)
		if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
			t.Fatalf("%q:\n%s\n%s", body, a, b)
		}
		filing, _ := toFiling(&ours)
		filing.Normalise()
		_ = filing.Validate(today)
	})
}

// BenchmarkRead is what a registration costs before the engine sees it: decode, map, normalise, validate.
func BenchmarkRead(b *testing.B) {
	body := []byte(example(b, "registration.json"))
	b.ReportAllocs()
	for b.Loop() {
		var in api.RegistrationInput
		if err := decode(body, &in); err != nil {
			b.Fatal(err)
		}
		f, wrong := toFiling(&in)
		f.Normalise()
		if wrong = append(wrong, f.Validate(today)...); len(wrong) > 0 {
			b.Fatal(wrong)
		}
	}
}

// BenchmarkDecode is the decoder alone.
func BenchmarkDecode(b *testing.B) {
	body := []byte(example(b, "registration.json"))
	b.ReportAllocs()
	for b.Loop() {
		var in api.RegistrationInput
		if err := decode(body, &in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEdge is everything around the engine: routing, key, limits, decoding, checks, problem, log, measurements. The
// filing is for a partner the key may not file for, so it is refused just before the engine would be asked.
func BenchmarkEdge(b *testing.B) {
	w := newWorld(b)
	body := strings.Replace(example(b, "registration.json"), "P-001", "P-404", 1)
	h := w.server.Handler()
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/v1/registrations", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+w.keys["portal"])
		r.Header.Set("Idempotency-Key", "k")
		rec := httptest.NewRecorder()
		if h.ServeHTTP(rec, r); rec.Code != 422 {
			b.Fatal(rec.Body)
		}
	}
}
