package desk_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/world"
)

var screenshots = flag.String("screenshots", "", "write every page at three widths, light and dark, into this folder")

// chromium is a real browser. Everything that knows how it is driven is in this file.
type chromium struct {
	t   testing.TB
	s   *stage
	ctx context.Context
}

// tools/prepare installs it.
func chromiumPath(t testing.TB) string {
	for _, name := range []string{os.Getenv("CHROME"), "chromium", "google-chrome", "chromium-browser"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no Chromium: as root on Debian tools/prepare installs it; elsewhere set CHROME to its path")
	return ""
}

// chromium starts a browser of its own, with a profile that is gone afterwards, which reaches nothing but this machine.
func (s *stage) chromium() *chromium {
	t := s.t
	t.Helper()
	profile, err := os.MkdirTemp("", "desk-chromium-") // not t.TempDir: the browser still writes while the test removes it
	if err != nil {
		t.Fatal(err)
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), chromedp.ExecPath(chromiumPath(t)), chromedp.NoSandbox, chromedp.UserDataDir(profile),
		chromedp.Flag("headless", "new"), chromedp.Flag("disable-gpu", true), chromedp.Flag("no-first-run", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), chromedp.Flag("lang", "en-GB"))
	ctx, _ := chromedp.NewContext(alloc)
	ctx, limit := context.WithTimeout(ctx, 12*time.Minute)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil && ctx.Err() == nil {
			t.Logf("closing Chromium: %v", err)
		}
		limit()
		stop()
		if err := os.RemoveAll(profile); err != nil {
			t.Logf("the browser's profile: %v", err)
		}
	})
	if err := chromedp.Do(ctx); err != nil { // it starts with this context, and lives as long
		t.Fatalf("starting Chromium: %v", err)
	}
	return &chromium{t, s, ctx}
}

func (c *chromium) do(steps ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	ctx, stop := context.WithTimeout(c.ctx, 30*time.Second)
	defer stop()
	if err := chromedp.Do(ctx, steps...); err != nil {
		c.t.Fatalf("%v\n%s", err, c.page())
	}
}

// page is what the browser shows, for a failure.
func (c *chromium) page() string {
	text, err := chromedp.Run(c.ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

func eval[T any](c *chromium, js string) T {
	c.t.Helper()
	v, err := chromedp.Run(c.ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		c.t.Fatalf("%s: %v", js, err)
	}
	return v
}

func (c *chromium) open(path string) {
	c.t.Helper()
	c.do(chromedp.Navigate(c.s.url + path))
}

// enter signs in with a one-time link.
func (c *chromium) enter(who string) {
	c.t.Helper()
	c.open(c.s.desk.Link(c.s.keys[who].ID))
	c.do(chromedp.Click(chromedp.CSS("main button")))
	c.until(`location.pathname != "/desk/enter" && document.readyState == "complete" && document.querySelector(".who") != null`)
}

// press types keys where the focus is, once the page listens to them.
func (c *chromium) press(keys string) {
	c.t.Helper()
	c.until(`document.readyState == "complete"`)
	c.do(chromedp.KeyEvent(keys))
}

// until waits until an expression holds, also while one page gives way to the next.
func (c *chromium) until(js string) {
	c.t.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		var is bool
		if is, err = chromedp.Run(c.ctx, chromedp.Evaluate[bool]("Boolean("+js+")")); err == nil && is {
			return
		}
		select {
		case <-c.ctx.Done():
			c.t.Fatal(c.ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	c.t.Fatalf("never: %s (%v)\n%s", js, err, c.page())
}

func (c *chromium) scheme(name string) {
	c.t.Helper()
	if _, err := chromedp.Call(c.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chromium) width(w int64) {
	c.t.Helper()
	c.do(chromedp.EmulateViewport(w, 900))
}

// violations runs axe-core on the page as it is.
func (c *chromium) violations() []string {
	c.t.Helper()
	axe, err := os.ReadFile("testdata/axe.min.js")
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := chromedp.Call(c.ctx, cdpage.SetBypassCSP, cdpage.SetBypassCSPParams{Enabled: true}); err != nil {
		c.t.Fatal(err)
	}
	c.do(chromedp.Evaluate[chromedp.Void](string(axe) + ";0"))
	out := eval[string](c, `axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify({ran: r.passes.length, list: r.violations.map(v => v.id + ": " + v.help + "\n    " + v.nodes.slice(0, 4).map(n => n.html.slice(0, 160) + " | " + (n.any[0] || n.all[0] || n.none[0] || {}).message).join("\n    "))}))`)
	var got struct {
		Ran  int
		List []string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		c.t.Fatal(err)
	}
	if got.Ran < 10 {
		c.t.Fatalf("axe ran %d checks", got.Ran)
	}
	return got.List
}

// picture writes the whole page.
func (c *chromium) picture(path string) {
	c.t.Helper()
	height := eval[float64](c, "document.documentElement.scrollHeight")
	w := eval[float64](c, "innerWidth")
	c.do(chromedp.EmulateViewport(int64(w), int64(min(height, 6000))))
	b, err := chromedp.Run(c.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// places are all pages of the desk, by a name and who looks at them.
func places(s *stage) [][3]string {
	registration, escalated := s.story()
	s.more()
	if _, err := s.engine.Find(s.t.Context(), engine.Request{Actor: deal.Actor{KeyID: s.keys["u-010"].ID, Role: "ops", PersonID: "u-010"}}, deal.Finding{Verdict: deal.FoundDifferent,
		Subject: deal.Party{RegistrationID: registration}, Other: deal.Party{AccountID: "ACC-004717"}, Until: now.AddDate(1, 0, 0)}, "Two companies: other owners, other registers."); err != nil {
		s.t.Fatal(err)
	}
	var waits []string
	for i, x := range world.Waiting(now) {
		_, id := s.file(fmt.Sprintf("waits-%d", i), x.Filing)
		waits = append(waits, id)
	}
	for id, answer := range map[string]string{waits[3]: "split_scope", waits[4]: "protect"} {
		b, page := s.as("u-010"), "/desk/cases/"+id
		f := b.get(page).hidden(s.t, page+"/resolve")
		f.Set("answer", answer)
		f.Set("text", "The endpoints are free; the firewalls are not.")
		f.Set("lines", "endpoint")
		if r := b.post(page+"/resolve", f); r.status != http.StatusSeeOther {
			s.t.Fatal(r.status, r.body)
		}
	}
	return [][3]string{
		{"sign-in", "", "/desk/sign-in"},
		{"queue", "u-011", "/desk/cases"},
		{"queue-filtered", "u-011", "/desk/cases?due=late"},
		{"case", "u-011", "/desk/cases/" + escalated},
		{"case-decides", "u-010", "/desk/cases/" + escalated},
		{"findings", "u-010", "/desk/findings"},
		{"registrations", "u-011", "/desk/registrations"},
		{"registration", "u-011", "/desk/registrations/" + registration},
		{"accounts", "policy", "/desk/accounts?q=n"},
		{"account", "u-011", "/desk/accounts/ACC-004717"},
		{"territories", "policy", "/desk/territories"},
		{"territory-cell", "policy", "/desk/territories?by=employees&column=0+to+999&country=DE"},
		{"policy", "policy", "/desk/policy"},
		{"audit", "auditor", "/desk/audit"},
		{"entry", "auditor", "/desk/audit/8"},
		{"case-resolved", "u-010", "/desk/cases/" + waits[3] + "?done=resolve"},
		{"case-of-others", "u-010", "/desk/cases/" + waits[5]},
		{"case-proposed", "u-001", "/desk/cases/" + waits[4]},
		{"not-found", "auditor", "/desk/cases/case_none"},
	}
}

// Every page, at three widths, light and dark. Look at them.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("make screenshots asks for them")
	}
	s := newStage(t)
	c := s.chromium()
	who := ""
	for _, p := range places(s) {
		if p[1] != who {
			c.enter(p[1])
			who = p[1]
		}
		if p[0] == "audit" {
			c.open("/desk/audit")
			c.do(chromedp.Click(chromedp.CSS(".verify button")), chromedp.WaitVisible(chromedp.CSS(".why.good")))
		}
		for _, w := range []int64{360, 1280, 2560} {
			for _, scheme := range []string{"light", "dark"} {
				c.scheme(scheme)
				c.width(w)
				c.open(p[2])
				c.picture(filepath.Join(*screenshots, fmt.Sprintf("%s-%d-%s.png", p[0], w, scheme)))
				if over := eval[float64](c, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
					t.Errorf("%s at %d: %g pixels too wide: %s", p[0], w, over, eval[string](c, `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, pre, nav")).slice(0, 5).map(e => e.tagName + "." + e.className).join(" ")`))
				}
			}
		}
	}
}

// No page breaks a rule of accessibility, in light or in dark, wide or narrow.
func TestAccessible(t *testing.T) {
	s := newStage(t)
	c := s.chromium()
	who := ""
	for _, p := range places(s) {
		if p[1] != who {
			c.enter(p[1])
			who = p[1]
		}
		for _, scheme := range []string{"light", "dark"} {
			for _, w := range []int64{360, 1280} {
				c.scheme(scheme)
				c.width(w)
				c.open(p[2])
				if bad := c.violations(); len(bad) > 0 {
					t.Errorf("%s, %s, %d:\n  %s", p[0], scheme, w, strings.Join(bad, "\n  "))
				}
			}
		}
	}
}
