package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/match"
)

// labelled are searches of accounts and pairs, in which a branch in another city is another organisation.
func labelled() (accounts, searches, pairs string) {
	var a, s, p strings.Builder
	a.WriteString("id,name,country,city\n")
	s.WriteString("id,truth,name,country,city\n")
	p.WriteString("id,name_a,name_b,city_a,city_b,expect\n")
	for i := range 160 {
		name := fmt.Sprintf("%cor%cek Zal%coni GmbH", 'A'+i%23, 'a'+i%19, 'b'+i%17)
		fmt.Fprintf(&a, "A%d,%s,DE,Hamburg\n", i, name)
		city, truth, label := "Hamburg", fmt.Sprint("A", i), "same"
		if i%2 == 0 {
			city, truth, label = "Passau", "", "different"
		}
		fmt.Fprintf(&s, "q%d,%s,%s,DE,%s\n", i, truth, strings.ToUpper(name), city)
		fmt.Fprintf(&p, "p%d,%s,%s,%s,Hamburg,%s\n", i, name, name, city, label)
	}
	return a.String(), s.String(), p.String()
}

// TestFit fits a model from files, and matches and serves with it.
func TestFit(t *testing.T) {
	a, s, p := labelled()
	out := filepath.Join(t.TempDir(), "model.json")
	code, text, errs := dibs(t, "", map[string]string{"a.csv": a, "s.csv": s, "p.csv": p}, "match", "fit", "--accounts", "a.csv", "--searches", "s.csv", "--pairs", "p.csv", "--name", "own", "-o", out, "--format", "json")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	var r struct {
		Model struct {
			Name, Digest string
			Version      int
		}
		match.Report
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	next := match.Default().Ref().Version + 1
	if r.Model.Name != "own" || r.Model.Version != next || r.HeldBack.Pairs == 0 || r.Learnt.Pairs+r.HeldBack.Pairs != 160 || r.Fitted["pairs"].ECE >= r.From["pairs"].ECE || r.Fitted["searches"].ECE >= r.From["searches"].ECE {
		t.Errorf("%s", text)
	}
	same := func(model string) bool {
		t.Helper()
		args := []string{"match", "--pairs", "-"}
		if model != "" {
			args = append(args, "--model", model)
		}
		code, text, errs := dibs(t, "id,name_a,name_b,city_a,city_b\n1,Zorvek Zaldoni GmbH,Zorvek Zaldoni GmbH,Passau,Hamburg\n", nil, args...)
		if code != exitOK {
			t.Fatalf("exit %d: %s", code, errs)
		}
		return strings.Contains(text, `"verdict":"same"`)
	}
	if !same("") || same(out) {
		t.Errorf("by the embedded model they are the same: %v; by the one that learnt otherwise: %v", same(""), same(out))
	}
	code, text, _ = dibs(t, "", nil, "match", "model", "--model", out, "--renumber", "99", "--name", "own")
	if m, err := match.New([]byte(text)); code != exitOK || err != nil || m.Ref().Version != 99 {
		t.Errorf("exit %d, %v", code, err)
	}

	// A ledger that the model decides on is opened with it by every command.
	dir := t.TempDir()
	flags := func(model string) databaseFlags {
		return databaseFlags{Database: "sqlite:" + filepath.Join(dir, "dibs.db"), Origin: "dibs/test", Model: model}
	}
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	for _, c := range []struct{ model, says string }{{"", ""}, {out, ""}, {"", "--model"}, {filepath.Join(dir, "none"), "--model"}, {out, ""}} {
		f := flags(c.model)
		e, done, err := f.openEngine(ctx, true, log)
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("with %q: %v", c.model, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("with %q: %v", c.model, err)
		}
		_ = e
		if err := done(); err != nil {
			t.Error(err)
		}
	}
}

// TestFitRefuses: what is wrong is named by file, line and field, and nothing is written.
func TestFitRefuses(t *testing.T) {
	a, s, p := labelled()
	for name, c := range map[string]struct {
		files map[string]string
		args  []string
		code  int
		says  []string
	}{
		"nothing":        {nil, nil, exitUsage, []string{"--cases"}},
		"half a set":     {map[string]string{"s.csv": s}, []string{"--searches", "s.csv"}, exitUsage, []string{"one file of accounts"}},
		"all held back":  {map[string]string{"p.csv": p}, []string{"--pairs", "p.csv", "--held-back", "1"}, exitUsage, []string{"--held-back"}},
		"too little":     {map[string]string{"p.csv": strings.Join(strings.SplitAfter(p, "\n")[:10], "")}, []string{"--pairs", "p.csv"}, exitUsage, []string{"at least 20 of each"}},
		"an unknown id":  {map[string]string{"a.csv": a, "s.csv": s + "q,A999,Who,DE,\nq,A1,,DE,\n"}, []string{"--accounts", "a.csv", "--searches", "s.csv"}, exitFound, []string{`s.csv: line 162: truth:`, "A999", "s.csv: line 163: name: is required"}},
		"a wrong label":  {map[string]string{"p.csv": p + "x,A,B,,,maybe\n"}, []string{"--pairs", "p.csv"}, exitFound, []string{`p.csv: line 162: expect: "maybe" is not one of same`}},
		"no label":       {map[string]string{"p.csv": "id,name_a,name_b\n"}, []string{"--pairs", "p.csv"}, exitUsage, []string{`no column "expect"`}},
		"no database":    {nil, []string{"--cases", "--database", "sqlite:/nowhere/dibs.db"}, exitUsage, []string{"no database"}},
		"no such model":  {map[string]string{"p.csv": p}, []string{"--pairs", "p.csv", "--model", "/nowhere/model.json"}, exitUsage, []string{"--model"}},
		"half a model":   {map[string]string{"p.csv": p, "m.json": "{}"}, []string{"--pairs", "p.csv", "--model", "m.json"}, exitUsage, []string{"m.json", "no weight for"}},
		"a missing file": {nil, []string{"--pairs", "none.csv"}, exitUsage, []string{"none.csv"}},
	} {
		out := filepath.Join(t.TempDir(), "model.json")
		code, _, errs := dibs(t, "", c.files, append([]string{"match", "fit", "-o", out}, c.args...)...)
		for _, says := range c.says {
			if code != c.code || !strings.Contains(errs, says) {
				t.Errorf("%s: exit %d, want %d, and %q in: %s", name, code, c.code, says, errs)
			}
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: a model is written", name)
		}
	}
}
