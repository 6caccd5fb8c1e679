package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/policy"
)

// runPolicy runs dibs policy and returns its exit code and what it wrote.
func runPolicy(t *testing.T, in string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), append([]string{"policy"}, args...), stdio{strings.NewReader(in), &o, &e})
	return code, o.String(), e.String()
}

func TestPolicyCommands(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "roe.yaml")

	if code, out, _ := runPolicy(t, "", "list"); code != exitOK || !strings.HasPrefix(strings.Join(strings.Fields(out), " "), "default Default rules of engagement assured") || !strings.Contains(out, "gitlab") {
		t.Errorf("list: %d %s", code, out)
	}
	var list []struct{ Name, Title string }
	if code, out, _ := runPolicy(t, "", "list", "--format", "json"); code != exitOK || json.Unmarshal([]byte(out), &list) != nil || list[0].Name != "default" {
		t.Errorf("list as JSON: %d %s", code, out)
	}
	if code, out, _ := runPolicy(t, "", "show", "default"); code != exitOK || out != string(policy.Default()) {
		t.Errorf("show: %d", code)
	}
	if code, _, errOut := runPolicy(t, "", "show", "nobody"); code != exitUsage || !strings.Contains(errOut, `there is no policy "nobody" in the library; there are default`) {
		t.Errorf("show of nothing: %d %s", code, errOut)
	}
	if code, out, _ := runPolicy(t, "", "init", "--out", file); code != exitOK || !strings.Contains(out, "dibs policy check") {
		t.Errorf("init: %d %s", code, out)
	}
	if code, _, errOut := runPolicy(t, "", "init", "default", "--out", file); code != exitUsage || !strings.Contains(errOut, "exists already") {
		t.Errorf("init over a file: %d %s", code, errOut)
	}
	if code, out, _ := runPolicy(t, "", "check", file); code != exitOK || !strings.Contains(out, "policy default is in order") {
		t.Errorf("check: %d %s", code, out)
	}

	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	broken := bytes.Replace(body, []byte("!partner.active"), []byte("!partner.actve"), 1)
	if err := os.WriteFile(file, broken, 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, _ := runPolicy(t, "", "check", file)
	if code != exitFound || !strings.HasPrefix(out, file+":") || !strings.Contains(out, "rules[0].when: there is no fact partner.actve; did you mean partner.active?") {
		t.Errorf("check of a broken policy: %d %s", code, out)
	}
	var report checkReport
	code, out, _ = runPolicy(t, string(broken), "check", "-", "--format", "json")
	if code != exitFound || json.Unmarshal([]byte(out), &report) != nil || len(report.Errors) != 1 || report.Errors[0].Line == 0 || report.Kind != "policy" {
		t.Errorf("check as JSON: %d %s", code, out)
	}
	if code, _, errOut := runPolicy(t, "", "check", filepath.Join(dir, "nothing.yaml")); code != exitUsage || !strings.Contains(errOut, "nothing.yaml") {
		t.Errorf("check of nothing: %d %s", code, errOut)
	}

	plan := "apiVersion: dealreg/v1\nkind: TerritoryPlan\nmetadata: {name: p, timezone: UTC}\ntiers: [a]\nterritories:\n  - {id: T, tier: a, coverage: direct, owner: {queue: q}}\n"
	if code, out, _ := runPolicy(t, plan, "check", "-"); code != exitOK || !strings.Contains(out, "territory plan p is in order: 1 territories") {
		t.Errorf("check of a plan: %d %s", code, out)
	}
	code, out, _ = runPolicy(t, strings.Replace(plan, "tier: a,", "tier: b,", 1), "check", "-", "--format", "json")
	if code != exitFound || !strings.Contains(out, `"kind": "territories"`) || !strings.Contains(out, `"line": 6`) {
		t.Errorf("check of a broken plan: %d %s", code, out)
	}

	flawed := strings.Replace(plan, "tiers: [a]\n", "universe: {country: [DE, FR]}\ntiers: [a]\n", 1)
	flawed = strings.Replace(flawed, "owner: {queue: q}}", "owner: {queue: q}, include: {country: [DE]}}\n  - {id: U, tier: a, coverage: direct, owner: {rep: u-1}, include: {country: [DE]}}", 1)
	code, out, _ = runPolicy(t, flawed, "check", "-")
	for _, want := range []string{
		"-:4:11: error: gap: no territory covers country FR\n",
		"-:8:5: error: overlap: T and U (tier a) both cover country DE: only their ids tell which wins",
		"-:8:5: error: shadowed: U never wins: earlier territories cover everyone it covers; country DE, for one, goes to T.",
		"-:8:5: warn: ownerless: U is nobody's once u-1 leaves",
		"must not be published",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("check of a flawed plan lacks %s:\n%s", want, out)
		}
	}
	if code != exitFound {
		t.Errorf("check of a flawed plan: %d", code)
	}
	report = checkReport{}
	code, out, _ = runPolicy(t, flawed, "check", "-", "--format", "json")
	if code != exitFound || json.Unmarshal([]byte(out), &report) != nil || len(report.Errors) != 0 || len(report.Findings) != 4 || report.Findings[0].Witness.Country != "FR" {
		t.Errorf("check of a flawed plan as JSON: %d %s", code, out)
	}
	allowed := strings.Replace(flawed, "tiers: [a]\n", "policy: {gap: warn, overlap_within_tier: allow, shadowed: warn}\ntiers: [a]\n", 1)
	if code, out, _ := runPolicy(t, allowed, "check", "-"); code != exitOK || !strings.Contains(out, "warn: gap: ") || strings.Contains(out, "overlap") || !strings.Contains(out, "is in order: 2 territories") {
		t.Errorf("check of a flawed plan that allows it: %d %s", code, out)
	}
}

func TestPolicyTest(t *testing.T) {
	file := filepath.Join("..", "..", "internal", "policytest", "testdata", "small.yaml")
	if code, out, _ := runPolicy(t, "", "test", file); code != exitOK || !strings.Contains(out, "4 passed, 0 failed, 1 pending") || strings.Contains(out, "ok  ") {
		t.Errorf("test: %d %s", code, out)
	}
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.Replace(string(body), "place: 1", "place: 2", 1)
	if code, out, _ := runPolicy(t, wrong, "test", "-", "-v"); code != exitFound || !strings.Contains(out, "FAIL     line  (-:37)") || !strings.Contains(out, "ok       waived") {
		t.Errorf("a test that fails: %d %s", code, out)
	}
	var report struct{ Passed, Failed, Pending int }
	if code, out, _ := runPolicy(t, wrong, "test", "-", "--format", "json"); code != exitFound || json.Unmarshal([]byte(out), &report) != nil || report.Failed != 1 {
		t.Errorf("as JSON: %d %s", code, out)
	}
	broken := strings.Replace(string(body), "rule: small}", "rule: smal}", 1)
	for _, cmd := range []string{"test", "check"} {
		if code, out, _ := runPolicy(t, broken, cmd, "-"); code != exitFound || !strings.Contains(out, `-:35:73: tests.cases[0].table[0].expect.rule: there is no rule "smal"; did you mean small?`) {
			t.Errorf("%s of broken tests: %d %s", cmd, code, out)
		}
	}
	for _, args := range [][]string{{"test"}, {"test", file, "--from", "dec_1"}, {"test", filepath.Join(t.TempDir(), "nothing.yaml")},
		{"test", "--from", "dec_1", "--database", "sqlite:" + filepath.Join(t.TempDir(), "none.db")}} {
		if code, _, _ := runPolicy(t, "", args...); code != exitUsage {
			t.Errorf("%v: %d", args, code)
		}
	}
}

// TestPolicyPublish publishes a policy and makes a test of what it then decides.
func TestPolicyPublish(t *testing.T) {
	ctx := t.Context()
	db := databaseFlags{Database: "sqlite:" + filepath.Join(t.TempDir(), "dibs.db"), Origin: "dibs/test"}
	e, done, err := db.openEngine(ctx, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	signed, _ := deal.ParseDate("2020-01-01")
	if _, err := e.Put(ctx, engine.Request{Actor: operator}, []deal.Record{&deal.Partner{ID: "A", Name: "Alpha", Type: "reseller", Status: "active", AgreementSignedAt: signed}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("..", "..", "internal", "policytest", "testdata", "small.yaml")
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	failing := strings.Replace(string(body), "place: 1", "place: 2", 1)
	if code, out, _ := runPolicy(t, failing, "publish", "-", "--database", db.Database); code != exitFound || !strings.Contains(out, "-:37:1: tests: line: place is 1, not 2") {
		t.Errorf("a policy whose tests fail is published, or takes a number: %d %s", code, out)
	}
	if code, out, said := runPolicy(t, "", "publish", file, "--database", db.Database); code != exitOK || !strings.HasPrefix(out, "t version 2 is live: sha256:") || !strings.Contains(said, "t takes the place of default version 1") {
		t.Errorf("publish: %d %s%s", code, out, said)
	}
	if code, _, said := runPolicy(t, "", "publish", file, "--database", db.Database); code != exitOK || strings.Contains(said, "takes the place") {
		t.Errorf("of one name: %d %s", code, said)
	}
	if code, _, said := runPolicy(t, "", "publish", "1", "--database", db.Database); code != exitUsage || !strings.Contains(said, "--version 1") {
		t.Errorf("a number for a file: %d %s", code, said)
	}
	if e, done, err = db.openEngine(ctx, false, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	got, err := e.Register(ctx, engine.Request{Actor: operator}, deal.Filing{PartnerID: "A", Type: "new_business", Customer: deal.Customer{Name: "Zanzibar Orchestra Foundation"}, Amount: deal.Money{Value: decimal.New(5000, 0), Currency: "EUR"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	code, made, _ := runPolicy(t, "", "test", "--from", got.ID, "--database", db.Database)
	if code != exitOK || !strings.Contains(made, "as decided in dec_") || !strings.Contains(made, "outcome: protect") || strings.Contains(made, "Zanzibar") {
		t.Errorf("test from a decision: %d %s", code, made)
	}
	if code, out, _ := runPolicy(t, string(body)+made, "test", "-"); code != exitOK || !strings.Contains(out, "5 passed") {
		t.Errorf("what was made: %d %s\n%s", code, out, made)
	}
	if code, _, errOut := runPolicy(t, "", "test", "--from", "dec_none", "--database", db.Database); code != exitUsage || !strings.Contains(errOut, "no decision for dec_none") {
		t.Errorf("from nothing: %d %s", code, errOut)
	}
}

// TestPolicyVersions publishes for an instant, goes back by number, and has two people publish.
func TestPolicyVersions(t *testing.T) {
	ctx := t.Context()
	db := databaseFlags{Database: "sqlite:" + filepath.Join(t.TempDir(), "dibs.db"), Origin: "dibs/test"}
	_, done, err := db.openEngine(ctx, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	small, err := os.ReadFile(filepath.Join("..", "..", "internal", "policytest", "testdata", "small.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	two := strings.Replace(string(small), "settings: {currency", "settings: {publish: {people: 2}, currency", 1)
	plan := "apiVersion: dealreg/v1\nkind: TerritoryPlan\nmetadata: {name: p, timezone: Asia/Tokyo}\ntiers: [a]\nterritories:\n  - {id: T, tier: a, coverage: direct, owner: {queue: q}}\n"
	for _, c := range []struct {
		in   string
		args string
		code int
		want string
	}{
		{string(small), "publish - --effective-from 2099-02-01", exitOK, "t version 2 decides from 2099-01-31T23:00:00Z on: sha256:"},
		{"", "publish --version 2 --effective-from 2099-03-01T00:00:00Z", exitOK, "t version 2 decides from 2099-03-01T00:00:00Z on"},
		{"", "publish --version 2 --effective-from 2001-03-01", exitUsage, "effective_from: 2001-02-28T23:00:00Z is not to come"},
		{"", "publish --version 2 --effective-from soon", exitUsage, `"soon" is neither a day`},
		{"", "publish --version 7", exitUsage, "there is no version 7"},
		{"", "publish", exitUsage, "give a FILE"},
		{"", "publish --version 1 --draft", exitUsage, "--draft"},
		{"", "cancel 2", exitOK, "t version 2 is a draft, and will not decide"},
		{"", "cancel 2", exitUsage, "not published for an instant"},
		{"", "publish --version 2", exitOK, "t version 2 is live"},
		{"", "publish --version 1", exitOK, "default version 1 is live"},
		{two, "publish - --draft", exitOK, "t version 3 is a draft"},
		{"", "publish --version 3", exitUsage, "somebody else"},
		{plan, "publish - --effective-from 2099-02-01", exitOK, "p version 1 decides from 2099-01-31T15:00:00Z on"},
		{"", "publish --version 1 --territories", exitOK, "p version 1 is live"},
	} {
		code, out, errOut := runPolicy(t, c.in, append(strings.Fields(c.args), "--database", db.Database)...)
		if code != c.code || !strings.Contains(out+errOut, c.want) {
			t.Errorf("%s: %d %s%s", c.args, code, out, errOut)
		}
	}
	// The second of two people has a key of their own.
	key := func(role string) string {
		args := []string{"keys", "create", "--database", db.Database, "--role", role}
		var out, errs bytes.Buffer
		if role == "portal" {
			args = append(args, "--partner", "*")
		}
		if code := run(ctx, args, stdio{strings.NewReader(""), &out, &errs}); code != exitOK {
			t.Fatal(errs.String())
		}
		return strings.TrimSpace(out.String())
	}
	for _, c := range []struct {
		key, args string
		code      int
		want      string
	}{
		{"dibs_nothing.x", "publish --version 3", exitUsage, "no live API key"},
		{key("portal"), "publish --version 3", exitUsage, "has the role portal"},
		{key("policy"), "publish --version 3 --effective-from 2099-02-01", exitOK, "decides from"},
		{key("admin"), "cancel 3", exitOK, "is a draft"},
		{key("policy"), "publish --version 3", exitOK, "t version 3 is live"},
	} {
		t.Setenv("DIBS_KEY", c.key)
		if code, out, errOut := runPolicy(t, "", append(strings.Fields(c.args), "--database", db.Database)...); code != c.code || !strings.Contains(out+errOut, c.want) {
			t.Errorf("%s: %d %s%s", c.args, code, out, errOut)
		}
	}
	t.Setenv("DIBS_KEY", "")
	code, out, _ := runPolicy(t, "", "versions", "--database", db.Database)
	for i, want := range []string{"1 default retired", "20", "2 t retired", "3 t live"} { // version 1 decided twice
		line := strings.Join(strings.Fields(strings.Split(out, "\n")[i+1]), " ")
		if code != exitOK || !strings.HasPrefix(line, want) || strings.HasPrefix(want, "3 t") && (!strings.Contains(line, " CE") || !strings.HasSuffix(line, " T")) {
			t.Errorf("versions: %d %s, want %s", code, line, want)
		}
	}
	if code, out, _ := runPolicy(t, "", "show", "1", "--database", db.Database); code != exitOK || out != string(policy.Default()) { // a retired one, by its number
		t.Errorf("show 1: %d %s", code, out)
	}
	for _, c := range []struct {
		in, args string
		code     int
		want     string
	}{
		{"", "versions --at 2099-02-01", exitOK, "3        t     live"},
		{"", "versions --at 1999-02-01", exitOK, "TITLE\n"},
		{"", "versions --at now", exitUsage, `at: "now" is neither a day`},
		{"", "show --version 2", exitOK, string(small)},
		{"", "show --version live", exitOK, two},
		{"", "show --version 9", exitUsage, "there is no version 9"},
		{"", "show --version live --territories", exitOK, plan},
		{"", "show", exitUsage, "dibs policy versions"},
		{"", "show default --version 1", exitUsage, "dibs policy list"},
		{"", "show 2 --version 1", exitUsage, "dibs policy list"},
		{"", "show live", exitOK, two},
		{"", "show live --territories", exitOK, plan},
		{"", "diff 2 live", exitFound, "+ settings.publish: {people: 2}\n"},
		{"", "diff 2 2", exitOK, ""},
		{"", "diff default 1", exitOK, ""},
		{"", "diff 1 9", exitUsage, "there is no version 9"},
		{strings.NewReplacer("limit: {value: 1000}", "limit: {value: 2000}", "place: 1", "place: 2").Replace(string(small)), "diff 2 -", exitFound, "~ params.limit.value: 1000 → 2000\nand 1 differences of the tests"},
		{strings.Replace(plan, "coverage: direct", "coverage: partner", 1), "diff live - --territories --format json", exitFound, `"path": "territories.T.coverage"`},
	} {
		code, out, errOut := runPolicy(t, c.in, append(strings.Fields(c.args), "--database", db.Database)...)
		if code != c.code || !strings.Contains(out+errOut, c.want) || c.want == "" && out != "" {
			t.Errorf("%s: %d %s%s", c.args, code, out, errOut)
		}
	}
	var docs []deal.Document
	if code, out, _ = runPolicy(t, "", "versions", "--territories", "--format", "json", "--database", db.Database); code != exitOK || json.Unmarshal([]byte(out), &docs) != nil || len(docs) != 1 || docs[0].Status != deal.DocumentLive || docs[0].Body != "" {
		t.Errorf("versions of the plan: %d %s", code, out)
	}
}
