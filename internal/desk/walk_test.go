package desk_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/world"
)

// strategic files a deal so large that two people decide.
func (s *stage) strategic() (registration, escalated string) {
	s.t.Helper()
	f := world.Examples(now)[0].Filing
	f.Customer = deal.Customer{Name: "Fährhaus Elbtal Logistik GmbH", Domain: "faehrhaus-elbtal.example", Country: "DE", City: "Hamburg", Industry: "logistics", Employees: 400}
	f.Contact.Email = "it@faehrhaus-elbtal.example"
	f.Amount = deal.Money{Value: decimal.NewFromInt(300_000), Currency: "EUR"}
	f.Products[0].Amount, f.ExternalID = f.Amount, "strategic-1"
	registration, escalated = s.file("strategic-1", f)
	if escalated == "" {
		s.t.Fatal("a deal of EUR 300,000 was not escalated")
	}
	return registration, escalated
}

func (s *stage) status(registration string) string {
	s.t.Helper()
	code, out := s.call("portal", "GET", "/v1/registrations/"+registration, nil)
	if code != http.StatusOK {
		s.t.Fatalf("%d %v", code, out)
	}
	return out["status"].(string)
}

// A deal filed by a portal is found in the queue, proposed by one person, confirmed by another, and the partner reads it; the
// audit finds the chain whole.
func TestWalk(t *testing.T) {
	s := newStage(t)
	registration, escalated := s.strategic()
	c := s.chromium()
	c.enter("u-010")
	c.until(`location.pathname == "/desk/cases"`)
	c.do(chromedp.Click(chromedp.CSS("#" + escalated + " th a")))
	c.until(`location.pathname == "/desk/cases/` + escalated + `"`)
	if text := c.page(); !strings.Contains(text, "Fährhaus Elbtal Logistik GmbH") || !strings.Contains(text, "strategic") {
		t.Fatalf("the page of the case:\n%s", text)
	}
	c.do(chromedp.Click(chromedp.CSS(`input[value=protect]`)), chromedp.SendKeys(chromedp.CSS(`.resolve textarea`), "Called the customer: the budget is real."), chromedp.Click(chromedp.CSS(".resolve button")))
	c.until(`document.querySelector(".notice.good") != null`)
	if got := s.status(registration); got != "escalated" {
		t.Fatalf("after one of two people the registration is %s", got)
	}
	if text := c.page(); !strings.Contains(text, "It is proposed") || !strings.Contains(text, "You proposed it") {
		t.Fatalf("the proposal is not shown:\n%s", text)
	}
	c.enter("u-001")
	c.open("/desk/cases/" + escalated)
	if text := c.page(); !strings.Contains(text, "Tomás Ferreira") || !strings.Contains(text, "the budget is real") {
		t.Fatalf("the second person does not see what is proposed:\n%s", text)
	}
	c.do(chromedp.SendKeys(chromedp.CSS(`.proposal textarea`), "I agree."), chromedp.Click(chromedp.CSS(".proposal button")))
	c.until(`document.querySelector(".notice.good") != null`)
	if got := s.status(registration); got != "protected" {
		t.Fatalf("after two people the registration is %s\n%s", got, c.page())
	}
	c.enter("auditor")
	c.open("/desk/audit")
	c.do(chromedp.Click(chromedp.CSS(".verify button")))
	c.until(`document.querySelector(".why.good") != null`)
}

// Everything that decides a case can be reached by keys alone.
func TestKeyboard(t *testing.T) {
	s := newStage(t)
	registration, escalated := s.story()
	s.more()
	c := s.chromium()
	c.open(s.desk.Link(s.keys["u-010"].ID))
	c.until(`document.activeElement.tagName == "BUTTON"`)
	c.press("\r")
	c.until(`location.pathname == "/desk/cases" && document.readyState == "complete"`)
	c.press("j")
	c.until(`document.activeElement.closest("tr")?.id == "` + escalated + `"`)
	c.press("j")
	c.until(`document.activeElement.closest("tr")?.id != "` + escalated + `"`)
	c.press("k")
	c.until(`document.activeElement.closest("tr")?.id == "` + escalated + `"`)
	c.press("?")
	c.until(`document.querySelector("dialog").open`)
	c.press("\x1b")
	c.until(`!document.querySelector("dialog").open`)
	c.press("/")
	c.until(`document.activeElement.id == "find"`)
	c.press("\b") // the driver also sends the letter of a key whose default was prevented
	c.do(chromedp.KeyEvent("DR-2026-000004\r"))
	c.until(`location.pathname == "/desk/registrations/` + registration + `"`)
	c.open("/desk/cases")
	c.press("j")
	c.press("\r")
	c.until(`location.pathname == "/desk/cases/` + escalated + `" && document.readyState == "complete"`)
	c.press("j")
	c.until(`location.pathname != "/desk/cases/` + escalated + `" && document.readyState == "complete"`)
	c.press("k")
	c.until(`location.pathname == "/desk/cases/` + escalated + `" && document.readyState == "complete"`)
	c.press("2")
	c.until(`document.querySelector("input[value=declined]").checked`)
	c.press("n")
	c.until(`document.activeElement.name == "text"`)
	c.do(chromedp.KeyEvent("The holding is the same customer: j, k and 1 are letters here."))
	c.do(chromedp.KeyEvent("\r", chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	c.until(`document.querySelector(".notice.good") != null`)
	if got := s.status(registration); got != "routed" {
		t.Fatalf("the registration is %s\n%s", got, c.page())
	}
	c.press("u")
	c.until(`location.pathname == "/desk/cases"`)
}

// hidden reads the hidden fields of the form that posts to a path.
func (r reply) hidden(t testing.TB, action string) url.Values {
	t.Helper()
	form := regexp.MustCompile(`(?s)<form[^>]*action="` + regexp.QuoteMeta(action) + `".*?</form>`).FindString(r.body)
	if form == "" {
		t.Fatalf("no form posts to %s", action)
	}
	out := url.Values{}
	for _, m := range regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)"`).FindAllStringSubmatch(form, -1) {
		out.Set(m[1], html.UnescapeString(m[2]))
	}
	return out
}

// Two reviewers with one case before them: the second is told what the first has done, keeps what was written, and changes nothing.
func TestCollision(t *testing.T) {
	s := newStage(t)
	registration, escalated := s.story()
	page := "/desk/cases/" + escalated
	c := s.chromium()
	c.enter("u-011")
	c.open(page)
	first := s.as("u-010")
	comment := first.get(page).hidden(t, page+"/comment")
	comment.Set("text", "I am looking at this.")
	if r := first.post(page+"/comment", comment); r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, r.body)
	}
	c.press("1")
	c.do(chromedp.SendKeys(chromedp.CSS(`.resolve textarea`), "Another company: I called them."), chromedp.Click(chromedp.CSS(".resolve button")))
	c.until(`document.querySelector(".resolve .failed") != null`)
	if text := c.page(); !strings.Contains(text, "Somebody changed this case meanwhile") || !strings.Contains(text, "I am looking at this.") || !strings.Contains(text, "Tomás Ferreira") {
		t.Errorf("the second does not learn what the first did:\n%s", text)
	}
	if got := eval[string](c, `document.querySelector(".resolve textarea").value + "|" + document.querySelector("input[value=protect]").checked`); got != "Another company: I called them.|true" {
		t.Errorf("what was written is %q now", got)
	}
	if bad := c.violations(); len(bad) > 0 {
		t.Error(bad)
	}
	resolve := first.get(page).hidden(t, page+"/resolve")
	resolve.Set("text", "It is the same.")
	resolve.Set("answer", "declined")
	if r := first.post(page+"/resolve", resolve); r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, r.body)
	}
	c.do(chromedp.Click(chromedp.CSS(".resolve button")))
	c.until(`document.body.innerText.includes("Somebody resolved this meanwhile: Tomás Ferreira")`)
	if text := c.page(); !strings.Contains(text, "Another company: I called them.") {
		t.Errorf("what was written is lost:\n%s", text)
	}
	if got := s.status(registration); got != "routed" {
		t.Errorf("the registration is %s", got)
	}
	// A form that is sent twice counts once.
	if r := first.post(page+"/resolve", resolve); r.status != http.StatusSeeOther {
		t.Errorf("the same form again: %d", r.status)
	}
}

// Everything can be sent without JavaScript, and what is wrong is said beside what was written.
func TestForms(t *testing.T) {
	s := newStage(t)
	registration, escalated := s.story()
	page := "/desk/cases/" + escalated
	b := s.as("u-011")
	send := func(act string, fields ...string) reply {
		t.Helper()
		f := b.get(page).hidden(t, page+"/"+act)
		for i := 0; i < len(fields); i += 2 {
			f.Add(fields[i], fields[i+1])
		}
		return b.post(page+"/"+act, f)
	}
	for _, c := range []struct {
		act    string
		fields []string
		status int
		says   string
	}{
		{"acknowledge", nil, 303, ""},
		{"assign", []string{"person_id", "u-010"}, 303, ""},
		{"assign", []string{"person_id", "u-040"}, 422, "is not one of the people of the queue"},
		{"comment", []string{"text", "  "}, 422, "is required"},
		{"comment", []string{"text", "Look, @u-010: <b>twice</b>"}, 303, ""},
		{"consult", []string{"person_id", "u-001", "text", "What do you know?"}, 303, ""},
		{"snooze", []string{"until", "2026-11-25"}, 303, ""},
		{"snooze", []string{"until", "soon"}, 422, "is a day"},
		{"ask", []string{"text", "Who is the buyer?"}, 303, ""},
		{"resolve", []string{"text", "x"}, 422, "choose one"},
		{"resolve", []string{"answer", "returned", "text", "x"}, 422, "name the fields"},
		{"resolve", []string{"answer", "protect", "text", "x", "days", "99999"}, 422, "is not 1 to"},
		{"resolve", []string{"answer", "protect", "text", "x", "reason_code", "NO_SUCH"}, 422, "not in the policy"},
		{"resolve", []string{"answer", "returned", "needs", "customer.domain", "text", "Which one?"}, 303, ""},
		{"reopen", []string{"text", "They called."}, 303, ""},
		{"resolve", []string{"answer", "referred", "person_id", "u-110", "text", "Katharina knows them."}, 303, ""},
	} {
		r := send(c.act, c.fields...)
		if r.status != c.status || !strings.Contains(html.UnescapeString(r.body), c.says) {
			t.Errorf("%s %v: %d, want %d and %q\n%s", c.act, c.fields, r.status, c.status, c.says, regexp.MustCompile(`(?s)<div class="failed".*?</div>`).FindString(r.body))
		}
		if strings.Contains(r.body, "<b>twice") {
			t.Error("a comment runs as HTML")
		}
	}
	after := b.get(page).body
	for _, want := range []string{"Assigned to Tomás Ferreira", "Asked Ingrid Falk for a view", "Who is the buyer?", "Resolved: returned for completion", "Resolved: referred", "Reopened", "&lt;b&gt;twice"} {
		if !strings.Contains(after, want) {
			t.Errorf("the timeline does not have %q", want)
		}
	}
	if got := s.status(registration); got != "routed" {
		t.Errorf("the registration is %s", got)
	}
	// A registration's own moves.
	reg := strings.TrimPrefix(regexp.MustCompile(`/desk/registrations/reg_[0-9a-z]+`).FindString(b.get("/desk/search?q=DR-2026-000001").header.Get("Location")), "/desk/registrations/")
	at := "/desk/registrations/" + reg
	f := b.get(at).hidden(t, at+"/revoke")
	if r := b.post(at+"/revoke", f); r.status != http.StatusUnprocessableEntity {
		t.Errorf("revoked without a reason: %d", r.status)
	}
	f.Set("once", f.Get("once")+"2")
	f.Set("text", "The customer has asked for it.")
	if r := b.post(at+"/revoke", f); r.status != http.StatusSeeOther || s.status(reg) != "revoked" {
		t.Errorf("%d, %s", r.status, s.status(reg))
	}
	// Merged by its number, which the page of the merged one then names.
	one := world.Examples(now)[0].Filing
	stands, _ := s.file("stands", one)
	one.Customer = deal.Customer{Name: "Zanzibar Orchestra Foundation", Country: "DE", City: "Ulm"}
	twin, _ := s.file("twin", one)
	// It is found by what its customer is called, among those of one status too.
	search := html.UnescapeString(b.get("/desk/accounts?q=orchestra").body)
	if link := "/desk/registrations?customer_name=orchestra"; !strings.Contains(search, link) {
		t.Errorf("the accounts that are called so do not lead to %s", link)
	}
	for query, want := range map[string]bool{"customer_name=ORCHESTRA": true, "customer_name=Siemens": false, "customer_name=orchestra&status=won": false} {
		if got := strings.Contains(b.get("/desk/registrations?"+query).body, "/desk/registrations/"+twin); got != want {
			t.Errorf("%s finds it: %t", query, got)
		}
	}
	at = "/desk/registrations/" + twin
	f = b.get(at).hidden(t, at+"/merge")
	f.Set("text", "The same tender.")
	f.Set("into", "DR-1999-000001")
	if r := b.post(at+"/merge", f); r.status != http.StatusConflict || !strings.Contains(r.body, "no live registration") || !strings.Contains(r.body, "DR-1999-000001") {
		t.Errorf("merged into nothing: %d", r.status)
	}
	number := regexp.MustCompile(`DR-\d{4}-\d{6}`).FindString(b.get("/desk/registrations/" + stands).body)
	f.Set("once", f.Get("once")+"2")
	f.Set("into", number)
	if r := b.post(at+"/merge", f); r.status != http.StatusSeeOther || s.status(twin) != "merged" {
		t.Errorf("%d, %s", r.status, s.status(twin))
	}
	if r := b.get(at); !strings.Contains(r.body, "Merged into") || !strings.Contains(r.body, number) {
		t.Errorf("the page does not say into what it was merged")
	}
	if r := b.get("/desk/registrations/" + stands); !strings.Contains(r.body, "Stands also for") {
		t.Errorf("the page does not say what was merged into it")
	}
	// Whoever may not decide is told why, and has no form.
	s.strategic()
	if r := b.get("/desk/cases"); !strings.Contains(r.body, "Fährhaus") {
		t.Error("the strategic case is not in the queue")
	}
	_, big := "", regexp.MustCompile(`/desk/cases/case_[0-9a-z]+`).FindString(b.get("/desk/cases").body)
	if r := b.get(big); !strings.Contains(r.body, "You cannot decide this case") || strings.Contains(r.body, `class="resolve"`) {
		t.Error("who may not decide is not told so")
	}
	// An auditor cannot send what an auditor does not see.
	for _, act := range []string{"assign", "comment", "resolve", "reopen"} {
		if r := s.as("auditor").post(page+"/"+act, url.Values{"version": {"1"}, "text": {"x"}}); r.status != http.StatusForbidden {
			t.Errorf("an auditor's %s: %d", act, r.status)
		}
	}
}

// The cases that wait in the demo can each be answered as what was filed says, by who is told to, and the pages then say what came of it.
func TestWaiting(t *testing.T) {
	s := newStage(t)
	key, token, err := s.engine.CreateKey(t.Context(), engine.Request{Actor: deal.System}, deal.Key{Role: "ops", PersonID: "u-013"})
	if err != nil {
		t.Fatal(err)
	}
	s.tokens["u-013"], s.keys["u-013"] = token, key
	var reg, cases []string
	for i, x := range world.Waiting(now) {
		r, c := s.file("waiting-"+string(rune('1'+i)), x.Filing)
		reg, cases = append(reg, r), append(cases, c)
	}
	if row := s.as("u-010").get("/desk/cases").body; strings.Count(row, "others decide<") != 1 {
		t.Errorf("the queue marks %d cases as for others, want that of the channel managers", strings.Count(row, "others decide<"))
	}
	if row := s.as("u-010").get("/desk/cases?assignee=able").body; strings.Count(row, "<tr data-row") != 3 || strings.Contains(row, "others decide<") || !strings.Contains(row, "For me to decide") {
		t.Errorf("of four cases %d are for Tomás Ferreira to decide, want three", strings.Count(row, "<tr data-row"))
	}
	has := func(page string, want ...string) {
		t.Helper()
		text := html.UnescapeString(regexp.MustCompile(`<[^>]*>|\s+`).ReplaceAllString(page, " "))
		text = strings.Join(strings.Fields(text), " ")
		for _, w := range want {
			if no, not := strings.CutPrefix(w, "!"); strings.Contains(text, no) == not {
				t.Errorf("%q: the page has it: %v\n%s", no, not, text)
			}
		}
	}
	resolve := func(who, id string, fields ...string) string {
		t.Helper()
		b, page := s.as(who), "/desk/cases/"+id
		f := b.get(page).hidden(t, page+"/resolve")
		f.Set("text", "Looked at.")
		for i := 0; i < len(fields); i += 2 {
			f.Set(fields[i], fields[i+1])
		}
		r := b.post(page+"/resolve", f)
		if r.status != http.StatusSeeOther {
			t.Fatalf("%s by %s: %d\n%s", fields, who, r.status, regexp.MustCompile(`(?s)<div class="failed".*?</div>`).FindString(r.body))
		}
		return b.get(r.header.Get("Location")).body
	}

	holding := resolve("u-010", cases[1], "answer", "waitlisted:"+reg[0])
	has(holding, "Resolved: put in line", "You are in line behind it", "Next case", "!Resolved: routed")
	if got := s.status(reg[1]); got != "waitlisted" {
		t.Errorf("the holding's registration is %s", got)
	}

	part := resolve("u-010", cases[3], "answer", "split_scope", "lines", "endpoint")
	has(part, "Resolved: protected in part, for endpoint", "For endpoint, until")
	page := s.as("u-010").get("/desk/registrations/" + reg[3]).body
	has(page, "For endpoint Held", "protected endpoint today", "Decided by Tomás Ferreira, in place of the rules: Looked at.", "!Nothing stands against it. Rules")
	has(s.as("u-010").get("/desk/registrations").body, "protected Marschner Feinmechanik AG Jena, DE Nordlicht Systemhaus GmbH EUR 32 000 endpoint today")

	has(resolve("u-010", cases[4], "answer", "protect"), "a second person confirms")
	has(s.as("u-001").get("/desk/cases").body, "proposed: a second person confirms")
	resolve("u-001", cases[4], "confirm", "1")
	if got := s.status(reg[4]); got != "protected" {
		t.Errorf("the hospitals' registration is %s", got)
	}

	rival := s.as("u-010").get("/desk/cases/" + cases[5]).body
	has(rival, "You cannot decide this case", "Clara Jensen", "sells a rival", "!It is not there any more", "!Record")
	resolve("u-013", cases[5], "answer", "protect")
}

// A number chooses the same answer in every case, whatever else can be answered.
func TestAnswerKeys(t *testing.T) {
	s := newStage(t)
	_, first := s.story()
	_, other := s.strategic()
	want := map[string]string{}
	for _, id := range []string{first, other} {
		body := s.as("u-010").get("/desk/cases/" + id).body
		found := regexp.MustCompile(`name="answer" value="([a-z_]+)[^"]*" data-key="(\d)"`).FindAllStringSubmatch(body, -1)
		if len(found) < 5 {
			t.Fatalf("the form has %d answers with keys", len(found))
		}
		for _, m := range found {
			if want[m[2]] != "" && want[m[2]] != m[1] {
				t.Errorf("%s is %s in one case and %s in another", m[2], want[m[2]], m[1])
			}
			want[m[2]] = m[1]
		}
	}
	// Decided again, a registration is no evidence of itself; and what the service alone says cannot be chosen.
	s.more()
	b := s.as("u-010")
	page := "/desk/cases/" + first
	f := b.get(page).hidden(t, page+"/resolve")
	f.Set("text", "x")
	f.Set("answer", "declined")
	if r := b.post(page+"/resolve", f); r.status != http.StatusSeeOther {
		t.Fatal(r.status)
	}
	again := 0
	for _, link := range regexp.MustCompile(`/desk/cases/case_[0-9a-z]+`).FindAllString(b.get("/desk/cases").body, -1) {
		body := b.get(link).body
		number := regexp.MustCompile(`href="/desk/registrations/reg_[0-9a-z]+">(DR-2026-\d+)<`).FindStringSubmatch(body)
		if strings.Contains(body, "Registration "+number[1]) {
			t.Errorf("%s has itself for evidence", number[1])
		}
		if strings.Contains(body, "Decided again") {
			again++
		}
		if strings.Contains(body, `<option value="RULE_ERROR"`) || strings.Contains(body, `<option value="POSSIBLE_DUPLICATE"`) {
			t.Error("the form offers what is no answer")
		}
	}
	if again == 0 {
		t.Error("no case was decided again: the test shows nothing")
	}
}
