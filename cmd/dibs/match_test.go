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
		return map[string]string{"a.csv": someAccounts, "q.csv": "id,name\nq1,Siemens\n", "bad.csv": "id,name\nq1,Siemens\nq2,\"Sie\nq3,x\n", "short.csv": "id,name\nq1\n",
			"noid.csv": "id,name\nq1,Siemens\n,Acme\n", "headless.csv": "nr,name\n1,x\n", "empty.csv": ""}
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
		{[]string{"match", "--against", "a.csv", "bad.csv"}, "line 3"},
		{[]string{"match", "--against", "short.csv", "q.csv"}, "line 2"},
		{[]string{"match", "--against", "noid.csv", "q.csv"}, "line 3"},
		{[]string{"match", "--against", "a.csv", "headless.csv"}, `no column "id"`},
		{[]string{"match", "--pairs", "q.csv"}, `no column "name_a"`},
		{[]string{"match", "--against", "empty.csv", "q.csv"}, "no header line"},
	} {
		code, _, errs := dibs(t, "", files(), c.args...)
		if code != exitUsage || !strings.Contains(errs, c.says) {
			t.Errorf("%v: exit %d, %q; want exit %d and %q", c.args, code, errs, exitUsage, c.says)
		}
	}
}
