package server

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/policytest"
)

// A policy and a plan are saved, published for an instant to come, moved, cancelled, and gone back from by their number.
func TestPublication(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	live := string(w.want(200, w.call("policy", "GET", "/v1/policies/live", "", "Accept", "application/yaml")).body)
	yaml := []string{"Content-Type", "application/yaml"}
	for _, c := range []struct{ path, body, day string }{{"/v1/policies/", live + "\n# another\n", "2026-12-01T00:00:00Z"}, {"/v1/territories/", plan, "2026-11-30T23:00:00Z"}} {
		first := w.want(201, w.call("policy", "POST", strings.TrimSuffix(c.path, "/"), c.body, yaml...)).field(t, "version")
		act := func(verb, from string) got {
			if from != "" {
				from = "?effective_from=" + url.QueryEscape(from)
			}
			return w.call("policy", "POST", fmt.Sprintf("%s%v/%s%s", c.path, first, verb, from), "")
		}
		day := func(n int) string { return today.AddDate(0, 0, n).Format(time.RFC3339) }
		if g := w.want(200, act("publish", day(3))); g.str(t, "status") != "scheduled" || g.str(t, "effective_from") != day(3) || g.str(t, "published_by") == "" {
			t.Errorf("scheduled: %s", g)
		}
		if g := w.want(200, act("publish", "2026-11-27T09:00:00+01:00")); g.str(t, "effective_from") != "2026-11-27T08:00:00Z" {
			t.Errorf("moved: %s", g)
		}
		if g := w.want(200, w.get("ops", fmt.Sprint(c.path, first))); g.str(t, "status") != "scheduled" {
			t.Errorf("read: %s", g)
		}
		if g := act("publish", day(-1)); g.status != 422 || !strings.Contains(string(g.body), `"field":"effective_from"`) {
			t.Errorf("in the past: %s", g)
		}
		if g := act("publish", "tomorrow"); g.status != 422 || !strings.Contains(string(g.body), "neither a day") {
			t.Errorf("no instant: %s", g)
		}
		if g := w.want(200, act("publish", "2026-12-01")); g.str(t, "effective_from") != c.day {
			t.Errorf("a day: %s", g)
		}
		if g := w.want(200, act("cancel", "")); g.str(t, "status") != "draft" {
			t.Errorf("cancelled: %s", g)
		}
		if g := act("cancel", ""); g.status != 409 || g.str(t, "code") != "not-possible" {
			t.Errorf("cancelled twice: %s", g)
		}
		if g := w.want(200, act("publish", "")); g.str(t, "status") != "live" || g.header.Get("Dibs-Warning") != "" {
			t.Errorf("published: %s %v", g, g.header)
		}
		if g := act("publish", day(3)); g.status != 409 {
			t.Errorf("the live one for later: %s", g)
		}
	}
	if g := w.want(200, w.call("policy", "POST", "/v1/policies/1/publish", "")); g.str(t, "status") != "live" {
		t.Errorf("back: %s", g)
	}
	list := string(w.want(200, w.get("auditor", "/v1/policies")).body)
	if strings.Count(list, `"status":"live"`) != 1 || strings.Count(list, `"status":"retired"`) != 1 {
		t.Errorf("list: %s", list)
	}
	if strings.Count(list, `"from":`) != 3 || !strings.Contains(list, `"timezone":"UTC"`) || !strings.Contains(list, `"title":"`) {
		t.Errorf("the first decided twice, the other once: %s", list)
	}
	for at, want := range map[string]int{"1999-01-01": 0, today.AddDate(1, 0, 0).Format(time.DateOnly): 1, today.AddDate(1, 0, 0).Format(time.RFC3339): 1} {
		if got := string(w.want(200, w.get("auditor", "/v1/policies?at="+at)).body); strings.Count(got, `"digest"`) != want {
			t.Errorf("at %s: %s", at, got)
		}
	}
	if g := w.get("auditor", "/v1/policies?at=now"); g.status != 422 {
		t.Errorf("at now: %s", g)
	}
	other := w.want(201, w.call("policy", "POST", "/v1/policies", strings.Replace(live, "\n  name: default\n", "\n  name: another\n", 1), yaml...))
	if g := w.want(200, w.call("policy", "POST", fmt.Sprintf("/v1/policies/%v/publish", other.field(t, "version")), "")); !strings.HasPrefix(g.header.Get("Dibs-Warning"), "another takes the place of default version ") {
		t.Errorf("of another name: %s %v", g, g.header)
	}
}

// A draft whose tests fail is saved, and not published, neither at once nor for later: the answer names what failed.
func TestPublicationOfFailing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	small, err := os.ReadFile("../policytest/testdata/small.yaml")
	if err != nil {
		t.Fatal(err)
	}
	draft := strings.Replace(string(small), "limit: {value: 1000}", "limit: {value: 2000}", 1)
	saved := w.want(201, w.call("policy", "POST", "/v1/policies", draft, "Content-Type", "application/yaml"))
	path := fmt.Sprintf("/v1/policies/%v", saved.field(t, "version"))
	for _, from := range []string{"", "?effective_from=" + url.QueryEscape(today.AddDate(0, 0, 9).Format(time.RFC3339))} {
		g := w.want(422, w.call("policy", "POST", path+"/publish"+from, ""))
		if g.str(t, "code") != "invalid" || !strings.Contains(string(g.body), "small, row 2: outcome is declined, not protect") || !strings.Contains(string(g.body), `"field":"line 36`) {
			t.Errorf("published%s: %s", from, g)
		}
	}
	if g := w.want(200, w.get("policy", path)); g.str(t, "status") != "draft" {
		t.Errorf("afterwards: %s", g)
	}
}

// Staff keep a decision as a test of the policy; the partner reads what it always reads.
func TestDecisionAsTest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.want(201, w.register("portal", "a", filing("P-001", "Kraftwerk Nord GmbH"))).str(t, "id")
	ask := func(who string) got {
		return w.call(who, "GET", "/v1/registrations/"+id+"/decision", "", "Accept", "application/yaml")
	}
	made := w.want(200, ask("ops"))
	if strings.Contains(string(made.body), "Kraftwerk") {
		t.Errorf("it names the customer: %s", made)
	}
	live := w.want(200, w.call("policy", "GET", "/v1/policies/live", "", "Accept", "application/yaml"))
	suite, err := policytest.Load(append(live.body, made.body...))
	if err != nil {
		t.Fatal(err)
	}
	report, err := suite.Run(t.Context())
	if last := report.Cases[len(report.Cases)-1]; err != nil || !report.OK() || !strings.HasPrefix(last.Name, "as decided in dec_") {
		t.Errorf("%+v, %v", last, err)
	}
	if g := w.want(200, ask("portal")); g.str(t, "registration_id") != id {
		t.Errorf("the partner: %s", g)
	}
}
