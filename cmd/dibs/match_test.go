package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
)

// dibs runs the program on files written to a fresh directory, whose paths replace their names in args.
func dibs(t *testing.T, stdin string, files map[string]string, args ...string) (code int, out, errs string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for i := range args {
			if args[i] == name {
				args[i] = path
			}
		}
	}
	var o, e bytes.Buffer
	code = run(context.Background(), args, stdio{strings.NewReader(stdin), &o, &e})
	return code, o.String(), e.String()
}

const someAccounts = "\ufeffid,Name,domain,city,aliases\nA1,Siemens AG,siemens.com,München,\nA2,Siemens Energy AG,,,\nA3,\"Jones, Smith & Co\",,,JSC;Jones Smith\n"

func TestMatchAgainst(t *testing.T) {
	queries := "name,id,unknown\nSiemens Aktiengesellschaft,q1,x\nJones Smith,q2,x\nNobody At All,q3,x\n"
	for _, from := range []string{"file", "standard input"} {
		files, stdin, arg := map[string]string{"a.csv": someAccounts, "q.csv": queries}, "", "q.csv"
		if from == "standard input" {
			stdin, arg = queries, "-"
		}
		code, out, errs := dibs(t, stdin, files, "match", "--against", "a.csv", arg, "--limit", "1")
		if code != exitOK {
			t.Fatalf("%s: exit %d: %s", from, code, errs)
		}
		var got []string
		for line := range strings.Lines(out) {
			var a struct {
				QueryID    string       `json:"query_id"`
				Candidates []deal.Match `json:"candidates"`
			}
			if err := json.Unmarshal([]byte(line), &a); err != nil {
				t.Fatal(err)
			}
			top := a.QueryID
			for _, c := range a.Candidates {
				top += " " + c.ID + " " + string(c.Verdict)
				if len(c.Evidence) == 0 {
					t.Errorf("%s: no evidence for %s", a.QueryID, c.ID)
				}
			}
			got = append(got, top)
		}
		if g, want := strings.Join(got, "; "), "q1 A1 same; q2 A3 same; q3"; g != want {
			t.Errorf("%s: %s, want %s", from, g, want)
		}
		if !strings.HasSuffix(strings.TrimSpace(out), `{"query_id":"q3","candidates":[]}`) {
			t.Errorf("%s: without candidates the list is empty, not null: %s", from, out)
		}
	}
}

func TestMatchPairs(t *testing.T) {
	code, out, errs := dibs(t, "id,name_a,name_b,country_a,country_b,note\n1,Acme Inc,ACME Incorporated,us,US,n\n2,Bank of the West,Bank of the East,,,\n", nil, "match", "--pairs", "-")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	want := []string{`{"query_id":"1","probability":0.9`, `{"query_id":"2","probability":0.`}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], want[0]) || !strings.HasPrefix(lines[1], want[1]) ||
		!strings.Contains(lines[0], `"verdict":"same"`) || !strings.Contains(lines[1], `"verdict":"different"`) {
		t.Errorf("got\n%s", out)
	}
}

func TestMatchRefuses(t *testing.T) {
	files := func() map[string]string {
		return map[string]string{"a.csv": someAccounts, "q.csv": "id,name\nq1,Siemens\n", "headless.csv": "nr,name\n1,x\n", "empty.csv": ""}
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"match", "q.csv"}, "--against"},
		{[]string{"match", "--against", "a.csv"}, "queries"},
		{[]string{"match", "--against", "-", "-"}, "standard input"},
		{[]string{"match", "--against", "a.csv", "--limit", "0", "q.csv"}, "--limit"},
		{[]string{"match", "--against", "a.csv", "missing.csv"}, "missing.csv"},
		{[]string{"match", "--against", "missing.csv", "q.csv"}, "missing.csv"},
		{[]string{"match", "--against", "a.csv", "headless.csv"}, "no column id"},
		{[]string{"match", "--pairs", "q.csv"}, `no column "name_a"`},
		{[]string{"match", "--against", "empty.csv", "q.csv"}, "the file is empty"},
		{[]string{"match", "--pairs", "empty.csv"}, "no header line"},
	} {
		code, _, errs := dibs(t, "", files(), c.args...)
		if code != exitUsage || !strings.Contains(errs, c.says) {
			t.Errorf("%v: exit %d, %q; want exit %d and %q", c.args, code, errs, exitUsage, c.says)
		}
	}
}

// answered lists the ids of the queries that were answered, each with its best candidate.
func answered(t *testing.T, out string) string {
	t.Helper()
	var ids []string
	for line := range strings.Lines(out) {
		var a struct {
			QueryID    string       `json:"query_id"`
			Candidates []deal.Match `json:"candidates"`
		}
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		if len(a.Candidates) > 0 {
			a.QueryID += " " + a.Candidates[0].ID
		}
		ids = append(ids, a.QueryID)
	}
	return strings.Join(ids, "; ")
}

// TestMatchBadRows expects one bad row to cost itself: it is reported with its file and line, and the others are answered.
func TestMatchBadRows(t *testing.T) {
	for _, c := range []struct {
		name, accounts, queries string
		want                    string
		says                    []string
	}{
		{"a country there is not", "", "id,name,country\nq1,Siemens,DE\nq2,Siemens,XX\nq3,Jones Smith,\n", "q1 A1; q3 A3", []string{"q.csv: line 3: country"}},
		{"a number that is none", "", "id,name,employees\nq1,Siemens,many\nq2,Siemens,7\n", "q2 A1", []string{"q.csv: line 2: employees"}},
		{"a quote never closed", "", "id,name\nq1,Siemens\nq2,\"Sie\nq3,Jones Smith\n", "q1 A1; q3 A3", []string{"q.csv: line 3: row"}},
		{"no id", "", "id,name\nq1,Siemens\n,Jones Smith\n", "q1 A1", []string{"q.csv: line 3: id"}},
		{"cells missing", "", "id,name\nq1\nq2,Siemens\n", "q2 A1", []string{"q.csv: line 2: row"}},
		{"no name among the accounts", "id,name,domain\nA7,,siemens.com\nA8,Siemens,\n", "id,name,domain\nq1,Siemens,siemens.com\n", "q1 A8", []string{"a.csv: line 2: name"}},
		{"in the accounts", "id,name,country\nA7,Siemens,Mars\nA8,Siemens,DE\n,Siemens,DE\n", "id,name\nq1,Siemens\n", "q1 A8", []string{"a.csv: line 2: country", "a.csv: line 4: id"}},
	} {
		files := map[string]string{"a.csv": someAccounts, "q.csv": c.queries}
		if c.accounts != "" {
			files["a.csv"] = c.accounts
		}
		code, out, errs := dibs(t, "", files, "match", "--against", "a.csv", "--limit", "1", "q.csv")
		if got := answered(t, out); code != exitFound || got != c.want {
			t.Errorf("%s: exit %d, answered %q, want exit %d and %q", c.name, code, got, exitFound, c.want)
		}
		if strings.Count(errs, "\n") != len(c.says) {
			t.Errorf("%s: reported %q", c.name, errs)
		}
		for _, says := range c.says {
			if !strings.Contains(errs, says) {
				t.Errorf("%s: reported %q, want %q", c.name, errs, says)
			}
		}
	}

	code, out, errs := dibs(t, "id,name_a,name_b\n1,Acme,Acme\n2,Acme\n,Acme,Acme\n4,Acme,\"Acme\" x\n5,Acme,Acme\n6,,\n7,Acme,...\n", nil, "match", "--pairs", "-")
	if got := answered(t, out); code != exitFound || got != "1; 5; 6; 7" {
		t.Errorf("pairs: exit %d, answered %q", code, got)
	}
	for _, says := range []string{"standard input: line 3: row", "standard input: line 4: id", "standard input: line 5: row", "standard input: line 7: warn: name_a", "standard input: line 7: warn: name_b", "standard input: line 8: warn: name_b"} {
		if !strings.Contains(errs, says) {
			t.Errorf("pairs: reported %q, want %q", errs, says)
		}
	}
}

// TestMatchNameless: two that have no name are not one, however alike the rest; among accounts it is a bad row.
func TestMatchNameless(t *testing.T) {
	pairs := "id,name_a,name_b,country_a,country_b,city_a,city_b,street_a,street_b,phone_a,phone_b\n1,,---,DE,DE,Kiel,Kiel,Kaistr. 1,Kaistr. 1,+49 431 1234567,+49 431 1234567\n"
	if code, out, errs := dibs(t, pairs, nil, "match", "--pairs", "-"); code != exitOK || !strings.Contains(out, `{"query_id":"1","probability":0,"verdict":"different","evidence":[]}`) {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if code, out, errs := dibs(t, "", map[string]string{"a.csv": "id,name,domain\nA1,,siemens.com\n", "q.csv": "id,name,domain\nq1,,siemens.com\n"}, "match", "--against", "a.csv", "q.csv"); code != exitFound ||
		!strings.Contains(out, `{"query_id":"q1","candidates":[]}`) || !strings.Contains(errs, "a.csv: line 2: name") || !strings.Contains(errs, "q.csv: line 2: warn: name") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

// TestMatchExports reads what spreadsheets and CRMs write: other headers, other delimiters, other encodings, and rows
// whose names are a spreadsheet's errors.
func TestMatchExports(t *testing.T) {
	for _, c := range []struct{ name, accounts, queries, want string }{
		{"salesforce", "\ufeff\"Account ID\";\"Account Name\";\"Billing Country\"\nA1;Siemens AG;Germany\n", "id;name;country\nq1;Siemens Aktiengesellschaft;DE\n", "q1 A1"},
		{"tabs", "id\tname\nA1\tSiemens AG\n", "id\tname\nq1\tSiemens\n", "q1 A1"},
		{"windows", "id,name\r\nA1,Siemens AG\r\n\r\n", "id,name\r\nq1,Siemens\r\n", "q1 A1"},
		{"ndjson", `{"id":"A1","name":"Siemens AG"}` + "\n", `{"id":"q1","name":"Siemens"}` + "\n", "q1 A1"},
		{"errors of a spreadsheet", "id,name\nA0,#NAME?\nA1,Siemens AG\n", "id,truth,class,name\nq1,A1,x,Siemens\nq2,,y,#REF!\nq3,,y,???\nq4,,y,\n", "q1 A1; q2; q3; q4"},
	} {
		code, out, errs := dibs(t, "", map[string]string{"a.csv": c.accounts, "q.csv": c.queries}, "match", "--against", "a.csv", "--limit", "1", "q.csv")
		if got := answered(t, out); code != exitOK || got != c.want {
			t.Errorf("%s: exit %d, %s, answered %q, want %q", c.name, code, errs, got, c.want)
		}
		if notes := strings.Contains(errs, "q.csv: line 4: warn: name has no letter") && strings.Contains(errs, "q.csv: line 5: warn: name"); notes != (c.name == "errors of a spreadsheet") {
			t.Errorf("%s: told %q", c.name, errs)
		}
	}
}
