package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/engine"
)

// imported reads the answer of an import.
func imported(t *testing.T, g got) (out importing) {
	t.Helper()
	if err := json.Unmarshal(g.body, &out); err != nil {
		t.Fatalf("%s: %v", g, err)
	}
	return out
}

func (w *world) importRows(kind, media, body string) got {
	w.t.Helper()
	return w.call("ops", "POST", "/v1/"+kind+"/import", body, "Content-Type", media)
}

// TestImportExamples: the examples land, again changes nothing, and an export can be imported.
func TestImportExamples(t *testing.T) {
	w := newWorld(t)
	for media, name := range map[string]string{mediaCSV: "accounts.csv", mediaNDJSON: "accounts.ndjson"} {
		if r := imported(t, w.want(200, w.importRows("accounts", media, example(t, name)))); r.Created != 2 || r.Rejected != 0 {
			t.Errorf("%s: %+v", name, r)
		}
		if r := imported(t, w.want(200, w.importRows("accounts", media, example(t, name)))); r.Unchanged != 2 {
			t.Errorf("%s again: %+v", name, r)
		}
		export := w.want(200, w.call("ops", "GET", "/v1/accounts", "", "Accept", media))
		if r := imported(t, w.want(200, w.importRows("accounts", media, string(export.body)))); r.Created+r.Updated+r.Rejected != 0 {
			t.Errorf("the export as %s, imported: %+v", media, r)
		}
	}
}

// TestImportBadRows: good rows land, bad rows are reported by line and field, and no row is half applied.
func TestImportBadRows(t *testing.T) {
	w := newWorld(t)
	w.want(201, w.put("/v1/accounts/A-1", `{"name":"Alpha","city":"Kiel","named":true}`))
	g := w.want(200, w.importRows("accounts", mediaCSV, "id,name,country,employees\n"+
		"A-1,,DE,\n"+ // blank leaves as it is
		"A-2,Beta,Germanistan,\n"+ // no country: nothing of the row lands
		"A-3,Gamma,DE,10\n"+
		"A-4,Delta,DE,many\n"+
		",Nobody,DE,\n"+
		"A-5,,DE,\n"+ // new, so its name is required
		"A-3,,,11\n")) // the same row again, merged into what the line before left
	r := imported(t, g)
	if r.Created != 1 || r.Updated != 2 || r.Rejected != 4 {
		t.Errorf("%s", g)
	}
	lines := map[int]string{}
	for _, e := range r.Errors {
		lines[e.Line] = e.Field
	}
	if fmt.Sprint(lines) != "map[3:country 5:employees 6:id 7:name]" {
		t.Errorf("lines %v", lines)
	}
	a := w.want(200, w.get("ops", "/v1/accounts/A-1"))
	if a.str(t, "name") != "Alpha" || a.str(t, "city") != "Kiel" || a.str(t, "country") != "DE" || a.field(t, "named") != true {
		t.Errorf("the merged row is %s", a)
	}
	if c := w.want(200, w.get("ops", "/v1/accounts/A-3")); c.str(t, "name") != "Gamma" || c.field(t, "employees") != 11.0 {
		t.Errorf("the row given twice is %s", c)
	}
	for _, id := range []string{"A-2", "A-4", "A-5"} {
		w.want(404, w.get("ops", "/v1/accounts/"+id))
	}
	none := w.want(422, w.importRows("accounts", mediaNDJSON, `{"id":"A-9","name":"Nine","country":"XX"}`+"\n"+`{"id":`+"\n"))
	if r := imported(t, none); r.Rejected != 2 || r.Created != 0 {
		t.Errorf("%s", none)
	}
}

// TestImportDoubts: what may not be meant lands and is told of once, with its first line; what cannot be is a bad row, however it comes.
func TestImportDoubts(t *testing.T) {
	w := newWorld(t)
	for media, body := range map[string]string{
		mediaCSV:    "id,name,tier\nP-7,Seven,gold\nP-8,Eight,platnum\nP-9,Nine,platnum\n",
		mediaNDJSON: `{"id":"P-7","name":"Seven","tier":"gold"}` + "\n" + `{"id":"P-8","name":"Eight","tier":"platnum"}` + "\n" + `{"id":"P-9","name":"Nine","tier":"platnum"}` + "\n",
	} {
		r := imported(t, w.want(200, w.importRows("partners", media, body)))
		line := map[string]int{mediaCSV: 3, mediaNDJSON: 2}[media]
		if r.Created+r.Unchanged != 3 || len(r.Warnings) != 1 || r.Warnings[0].Line != line || r.Warnings[0].Field != "tier" || r.Warnings[0].Rows != 2 || !strings.Contains(r.Warnings[0].Detail, "did you mean platinum?") {
			t.Errorf("%s: %+v", media, r)
		}
	}
	if g := w.want(200, w.put("/v1/partners/P-8", `{"name":"Eight","tier":"platnum"}`)); !strings.HasPrefix(g.header.Get("Dibs-Warning"), `tier: is \"platnum\"`) {
		t.Errorf("a record by itself: %v", g.header)
	}
	if g := w.want(200, w.put("/v1/partners/P-8", `{"name":"Eight","tier":"Platinum"}`)); g.header.Get("Dibs-Warning") != "" {
		t.Errorf("a tier in capitals: %v", g.header)
	}
	for kind, c := range map[string][2]string{
		"opportunities": {"id,account_name,stage,status,last_activity_at\nO-1,A,no such,open,\nO-2,A,no such,lost,\nO-3,A,proposal,open,2099-01-01\n", "4 last_activity_at"},
		"accounts":      {"id,name,parent_id\nA-7,Seven,A-8\nA-8,Eight,A-8\n", "3 parent_id"},
		"rates":         {"date,from,to,rate\n2026-01-01,EUR,USD,1.1\n2026-01-01,EUR,EUR,1\n", "3 to"},
	} {
		r := imported(t, w.want(200, w.importRows(kind, mediaCSV, c[0])))
		if len(r.Errors) != 1 || fmt.Sprint(r.Errors[0].Line, " ", r.Errors[0].Field) != c[1] {
			t.Errorf("%s: %+v", kind, r)
		}
		if stage := kind == "opportunities"; stage != (len(r.Warnings) == 1 && r.Warnings[0].Line == 2 && r.Warnings[0].Rows == 1) {
			t.Errorf("%s: %+v", kind, r.Warnings)
		}
	}
	w.want(422, w.put("/v1/accounts/A-8", `{"name":"Eight","parent_id":"A-8"}`))
	w.want(422, w.put("/v1/opportunities/O-3", `{"account_name":"A","last_activity_at":"2099-01-01"}`))
}

// TestImportLarge: more rows than one put takes, with bad ones among them found one by one.
func TestImportLarge(t *testing.T) {
	w := newWorld(t)
	var b strings.Builder
	b.WriteString("id,account_id,led_by,partner_id\n")
	n := engine.MaxRows + 50
	for i := range n {
		led, partner := "partner", "P-001"
		if i%400 == 7 {
			partner = "" // only the whole row tells that it is wrong
		}
		fmt.Fprintf(&b, "O-%d,A-1,%s,%s\n", i, led, partner)
	}
	g := w.want(200, w.importRows("opportunities", mediaCSV, b.String()))
	if r := imported(t, g); r.Created != n-3 || r.Rejected != 3 || r.Errors[0].Line != 9 {
		t.Errorf("%s", g)
	}
	if rows := strings.Count(string(w.call("ops", "GET", "/v1/opportunities", "", "Accept", mediaCSV).body), "\n"); rows != n-2 {
		t.Errorf("the export has %d lines", rows)
	}
}

// TestImportOverLimit: a file over the limit is refused without being sent whole.
func TestImportOverLimit(t *testing.T) {
	w := newWorld(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.http.URL+"/v1/accounts/import", io.LimitReader(zeros{}, 1))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = maxImport + 1
	r.Header.Set("Content-Type", mediaCSV)
	r.Header.Set("Authorization", "Bearer "+w.keys["ops"])
	r.Header.Set("Expect", "100-continue")
	res, err := (&http.Transport{ExpectContinueTimeout: 1e9}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", res.StatusCode)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
