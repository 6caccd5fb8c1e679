package desk_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/world"
)

// reads are the pages there are, and the roles that may see each.
func reads(registration, escalated string) map[string][]string {
	reviewers, staff, auditors := []string{"ops", "auditor", "admin"}, []string{"ops", "policy", "auditor", "admin"}, []string{"auditor", "admin"}
	return map[string][]string{
		"/desk/findings": reviewers, "/desk/cases": reviewers, "/desk/cases/" + escalated: reviewers, "/desk/registrations": reviewers, "/desk/registrations/" + registration: reviewers,
		"/desk/accounts": staff, "/desk/accounts/ACC-004717": staff, "/desk/territories": staff, "/desk/policy": staff, "/desk/policy/1": staff,
		"/desk/audit": auditors, "/desk/audit/1": auditors,
	}
}

// Without a session no page is shown, and nothing can be sent.
func TestSignedOut(t *testing.T) {
	s := newStage(t)
	registration, escalated := s.story()
	b := s.browser()
	for path := range reads(registration, escalated) {
		if r := b.get(path); r.status != http.StatusSeeOther || r.header.Get("Location") != "/desk/sign-in?next="+url.QueryEscape(path) {
			t.Errorf("%s: %d to %s", path, r.status, r.header.Get("Location"))
		}
	}
	for _, path := range []string{"/desk/audit/verify"} {
		if r := b.post(path, nil); r.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	if r := b.get("/desk/nothing"); r.status != http.StatusSeeOther {
		t.Errorf("whether a page exists is told before anybody has signed in: %d", r.status)
	}
}

// Each role sees its pages and no others, each with its headers and nothing inside it that runs.
func TestPages(t *testing.T) {
	s := newStage(t)
	registration, escalated := s.story()
	inline := regexp.MustCompile(`(?i)<script(?:[^>]*)>[^<]|<style|\sstyle=|\son\w+=|javascript:|src="?https?:|href="?https?:`)
	for _, role := range []string{"ops", "policy", "auditor", "admin"} {
		b := s.as(role)
		for path, roles := range reads(registration, escalated) {
			want := http.StatusForbidden
			if slices.Contains(roles, role) {
				want = http.StatusOK
			}
			r := b.get(path)
			if r.status != want {
				t.Errorf("%s as %s: %d, want %d\n%s", path, role, r.status, want, r.body)
			}
			csp := r.header.Get("Content-Security-Policy")
			if !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
				t.Errorf("%s: content policy %q", path, csp)
			}
			if r.header.Get("X-Content-Type-Options") != "nosniff" || r.header.Get("Cache-Control") != "no-store" || r.header.Get("X-Request-ID") == "" {
				t.Errorf("%s: headers %v", path, r.header)
			}
			if bad := inline.FindString(r.body); bad != "" {
				t.Errorf("%s has %q inside", path, bad)
			}
		}
		for _, path := range []string{"/desk/cases/case_none", "/desk/registrations/reg_none", "/desk/policy/99", "/desk/policy/x", "/desk/nothing"} {
			if r := b.get(path); r.status != http.StatusNotFound && !(role == "policy" && r.status == http.StatusForbidden) {
				t.Errorf("%s as %s: %d", path, role, r.status)
			}
		}
	}
}

// What is put into a page is text, wherever it comes from.
func TestEscaped(t *testing.T) {
	s := newStage(t)
	s.story()
	b := s.as("ops")
	for _, path := range []string{"/desk/accounts?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "/desk/cases?queue=%3Cscript%3Ealert(1)%3C/script%3E", "/desk/search?q=%3Cscript%3Ealert(1)%3C/script%3E"} {
		r := b.get(path)
		if strings.Contains(r.body, "<script>") {
			t.Errorf("%s: a script of the caller's is in the page", path)
		}
	}
}

// Staff see that a partner named an account that there is not.
func TestUnknownAccount(t *testing.T) {
	s := newStage(t)
	f := world.Examples(now)[0].Filing
	f.Customer.AccountID = "ACC-404"
	id, _ := s.file("unknown-account", f)
	for _, who := range []string{"ops", "auditor"} {
		if page := s.as(who).get("/desk/registrations/" + id); !strings.Contains(page.body, "ACC-404 (no account has this id)") {
			t.Errorf("%s reads %d %s", who, page.status, page.body)
		}
		if _, d := s.call(who, "GET", "/v1/registrations/"+id+"/decision", nil); !strings.Contains(fmt.Sprint(d), "unknown_account_id:ACC-404") {
			t.Errorf("%s reads the decision %v", who, d)
		}
	}
	for _, path := range []string{"", "/decision"} {
		if _, d := s.call("portal", "GET", "/v1/registrations/"+id+path, nil); strings.Contains(fmt.Sprint(d), "unknown_account_id") {
			t.Errorf("the partner reads %v", d)
		}
	}
}

func TestSignIn(t *testing.T) {
	s := newStage(t)
	for name, key := range map[string]string{"a portal": s.tokens["portal"], "nobody": "dibs_x.y", "nothing": "", "part of a key": s.tokens["ops"][:40]} {
		b := s.browser()
		if r := b.post("/desk/sign-in", url.Values{"key": {key}}); r.status != http.StatusUnauthorized || r.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", name, r.status, r.header)
		}
		if r := b.get("/desk/policy"); r.status != http.StatusSeeOther {
			t.Errorf("%s got in", name)
		}
	}
	b := s.browser()
	r := b.post("/desk/sign-in", url.Values{"key": {" " + s.tokens["ops"] + "\n"}, "next": {"/desk/cases?due=late"}})
	cookie := r.header.Get("Set-Cookie")
	if r.status != http.StatusSeeOther || r.header.Get("Location") != "/desk/cases?due=late" {
		t.Fatalf("%d to %s", r.status, r.header.Get("Location"))
	}
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/desk"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie has no %s: %s", want, cookie)
		}
	}
	if strings.Contains(cookie, "Secure") || strings.Contains(cookie, s.tokens["ops"]) || strings.Contains(cookie, strings.SplitN(s.tokens["ops"], ".", 2)[1]) {
		t.Errorf("the cookie: %s", cookie)
	}
	if r := s.browser().do("POST", "/desk/sign-in", url.Values{"key": {s.tokens["ops"]}}, "X-Forwarded-Proto", "https"); !strings.Contains(r.header.Get("Set-Cookie"), "Secure") {
		t.Errorf("behind TLS the cookie is not secure: %s", r.header.Get("Set-Cookie"))
	}
	for _, elsewhere := range []string{"https://evil.example/desk/", "//evil.example/desk/", "/elsewhere", "/desk/enter?link=x", "\\\\evil.example", "javascript:alert(1)"} {
		if r := s.browser().post("/desk/sign-in", url.Values{"key": {s.tokens["ops"]}, "next": {elsewhere}}); r.header.Get("Location") != "/desk/" {
			t.Errorf("next=%s leads to %s", elsewhere, r.header.Get("Location"))
		}
	}
	if r := b.post("/desk/sign-out", nil); r.status != http.StatusSeeOther || b.get("/desk/cases").status != http.StatusSeeOther {
		t.Error("signing out did not")
	}
}

// A session ends with its key, at once, and cannot be made up.
func TestSessionEnds(t *testing.T) {
	s := newStage(t)
	b := s.as("ops")
	if r := b.get("/desk/cases"); r.status != http.StatusOK {
		t.Fatal(r.status)
	}
	u, _ := url.Parse(s.url + "/desk")
	cookie := b.c.Jar.Cookies(u)[0]
	for name, value := range map[string]string{"another key": "x" + cookie.Value, "cut": cookie.Value[:len(cookie.Value)-2], "nothing signed": strings.SplitN(cookie.Value, ".", 2)[0] + ".", "": ""} {
		other := s.browser()
		other.c.Jar.SetCookies(u, []*http.Cookie{{Name: cookie.Name, Value: value, Path: "/desk"}})
		if r := other.get("/desk/cases"); r.status != http.StatusSeeOther {
			t.Errorf("%s: %d", name, r.status)
		}
	}
	if err := s.engine.RevokeKey(t.Context(), engine.Request{Actor: deal.System}, s.keys["ops"].ID); err != nil {
		t.Fatal(err)
	}
	if r := b.get("/desk/cases"); r.status != http.StatusSeeOther {
		t.Errorf("with a revoked key: %d", r.status)
	}
}

// A link signs in once, and looking at it does not use it up.
func TestLink(t *testing.T) {
	s := newStage(t)
	link := s.desk.Link(s.keys["auditor"].ID)
	secret := url.Values{"link": {strings.SplitN(link, "link=", 2)[1]}}
	for range 2 {
		if r := s.browser().get(link); r.status != http.StatusOK || !strings.Contains(r.body, "Auditor") || r.header.Get("Set-Cookie") != "" {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	b := s.browser()
	if r := b.post("/desk/enter", secret); r.status != http.StatusSeeOther || b.get("/desk/audit").status != http.StatusOK {
		t.Fatalf("%d", r.status)
	}
	if r := s.browser().post("/desk/enter", secret); r.status != http.StatusUnauthorized {
		t.Errorf("the second time: %d", r.status)
	}
	if r := s.browser().get(link); r.status != http.StatusUnauthorized {
		t.Errorf("looking at a used link: %d", r.status)
	}
	if r := s.browser().post("/desk/enter", url.Values{"link": {strings.SplitN(s.desk.Link(s.keys["portal"].ID), "link=", 2)[1]}}); r.status != http.StatusUnauthorized {
		t.Errorf("a portal's link: %d", r.status)
	}
}

// A form another site sends does nothing, although the cookie would come with it from a browser that knew no SameSite.
func TestOtherSites(t *testing.T) {
	s := newStage(t)
	b := s.as("auditor")
	for _, header := range [][]string{{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Origin", s.url, "Sec-Fetch-Site", "cross-site"}, {"Origin", s.url, "Sec-Fetch-Site", "same-site"}} {
		if r := b.do("POST", "/desk/audit/verify", nil, header...); r.status != http.StatusForbidden {
			t.Errorf("%v: %d", header, r.status)
		}
		if r := b.do("POST", "/desk/sign-in", url.Values{"key": {s.tokens["ops"]}}, header...); r.status != http.StatusForbidden || r.header.Get("Set-Cookie") != "" {
			t.Errorf("signing somebody in, %v: %d", header, r.status)
		}
	}
	if r := b.post("/desk/audit/verify", nil); r.status != http.StatusSeeOther {
		t.Errorf("from here: %d %s", r.status, r.body)
	}
	if r := b.get("/desk/audit"); !strings.Contains(r.body, "The chain is whole") {
		t.Error("the audit does not say what was found")
	}
}

// An auditor reads everything and changes nothing: the only forms are those that lead out, search and verify.
func TestAuditorChangesNothing(t *testing.T) {
	s := newStage(t)
	registration, escalated := s.story()
	b := s.as("auditor")
	for path := range reads(registration, escalated) {
		for _, form := range regexp.MustCompile(`<form[^>]*>`).FindAllString(b.get(path).body, -1) {
			if !regexp.MustCompile(`action="/desk/(sign-out|search|audit/verify|accounts|registrations)"|method="dialog"`).MatchString(form) {
				t.Errorf("%s: %s", path, form)
			}
		}
	}
}

// TestFind has a reviewer say on the page of a case that it is another customer, and take it back.
func TestFind(t *testing.T) {
	s := newStage(t)
	registration, escalated := s.story()
	path := "/desk/cases/" + escalated
	if r := s.as("auditor").post(path+"/find", nil); r.status != http.StatusForbidden {
		t.Errorf("an auditor finds: %d", r.status)
	}
	if r := s.as("ops").get(path); strings.Contains(r.body, "/find\"") {
		t.Error("a key that may not decide the case is offered to find")
	}
	b := s.as("u-010")
	page := b.get(path).body
	form := regexp.MustCompile(`(?s)action="` + path + `/find".*?name="once" value="(\w+)".*?name="other" value="([\w-]+)"`).FindStringSubmatch(page)
	if form == nil {
		t.Fatalf("the case's candidates offer nothing:\n%s", page)
	}
	send := url.Values{"once": {form[1]}, "other": {form[2]}, "verdict": {"different"}, "until": {"2027-03-31"}}
	if r := b.post(path+"/find", send); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.body, "2027-03-31") {
		t.Errorf("without a reason: %d", r.status)
	}
	send.Set("text", "Another <b>owner</b>.")
	for range 2 { // sent twice, it counts once
		if r := b.post(path+"/find", send); r.status != http.StatusSeeOther || r.header.Get("Location") != path+"?done=find" {
			t.Fatalf("%d to %s\n%s", r.status, r.header.Get("Location"), r.body)
		}
	}
	send.Set("once", "another")
	if r := b.post(path+"/find", send); r.status != http.StatusConflict || !strings.Contains(r.body, "says so already") {
		t.Errorf("found again: %d", r.status)
	}
	for _, p := range []string{path, "/desk/findings"} {
		if r := b.get(p); !strings.Contains(r.body, "Another &lt;b&gt;owner&lt;/b&gt;.") || !strings.Contains(r.body, "not the same") {
			t.Errorf("%s does not show it", p)
		}
	}
	list, err := s.engine.Findings(t.Context(), store.FindingFilter{Page: store.Page{Limit: 9}})
	if err != nil || len(list) != 1 || list[0].Subject.RegistrationID != registration || list[0].Until.Format("2006-01-02 15") != "2027-04-01 00" {
		t.Fatalf("%+v, %v", list, err)
	}
	back := "/desk/findings/" + list[0].ID + "/withdraw"
	if r := s.as("auditor").post(back, url.Values{"text": {"x"}}); r.status != http.StatusForbidden {
		t.Errorf("an auditor takes it back: %d", r.status)
	}
	if r := b.post(back, url.Values{"text": {" "}}); r.status != http.StatusUnprocessableEntity {
		t.Errorf("taken back without a reason: %d", r.status)
	}
	if r := b.post(back, url.Values{"text": {"They merged."}}); r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.body)
	}
	if r := b.get("/desk/findings"); !strings.Contains(r.body, "withdrawn") || strings.Contains(r.body, back) {
		t.Error("it can be taken back again")
	}
}
