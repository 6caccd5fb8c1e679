// Package desk is the review desk: server-rendered pages for the vendor's own people, at /desk.
//
// A page reads what the JSON API reads, through the same functions of the engine, and shows no more than the role of the key
// may read there (see pages). Nothing is decided here: what a person decides goes to the engine, which commits it.
//
// A handler returns what it found, as the data of one page, or an error, which becomes a page in one place. Pages are templ
// components (*.templ, generated files beside them), work without JavaScript, and load nothing from elsewhere. htmx, where it
// runs, swaps the same pages in; keys.js adds the keyboard.
package desk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/a-h/templ"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/policy"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/territory"
)

//go:generate go tool -modfile=../../tools/mod/go.mod templ generate -log-level error

// Root is where the desk lives.
const Root = "/desk"

// maxForm is the most bytes of a form: a note is at most 4,000 characters.
const maxForm = 64 << 10

// Config is what a desk is made of.
type Config struct {
	Engine *engine.Engine
	Log    *slog.Logger // nil: discard
}

// Desk serves the pages. It is an http.Handler for everything below Root.
type Desk struct {
	engine   *engine.Engine
	log      *slog.Logger
	handler  http.Handler
	sessions sessions
	links    links
	verified verified
	compiled compiled
}

// New makes the desk. The error: the secret of sessions cannot be derived.
func New(cfg Config) (*Desk, error) {
	d := &Desk{engine: cfg.Engine, log: cfg.Log}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	secret, err := d.engine.Secret("desk session")
	if err != nil {
		return nil, fmt.Errorf("the desk's sessions: %w", err)
	}
	d.sessions = sessions{secret}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Root+"/static/{file}", serveAsset)
	for _, p := range pages {
		mux.Handle(p.pattern, d.page(p))
	}
	mux.Handle(Root+"/", d.page(page{handler: notFound}))
	mux.Handle("GET "+Root, http.RedirectHandler(Root+"/", http.StatusMovedPermanently))
	// A form that another site sends is refused, whatever cookie comes with it.
	same := http.NewCrossOriginProtection()
	same.SetDenyHandler(d.page(page{open: true, handler: func(*visit) (view, error) {
		return view{}, fmt.Errorf("%w: this form was sent from another site; open the page here and send it again", deal.ErrForbidden)
	}}))
	d.handler = harden(same.Handler(mux))
	return d, nil
}

// ServeHTTP answers a request below Root.
func (d *Desk) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.handler.ServeHTTP(w, r) }

// page is one place of the desk: who may see it, and what makes it.
type page struct {
	pattern string
	like    string // the operation of the API that answers the same question: its roles are the page's
	roles   []string
	open    bool // for everybody, also without a session
	handler func(*visit) (view, error)
}

// The roles of pages. A test holds each page to the operations it is like.
var (
	reviewers = []string{"ops", "auditor", "admin"}
	doers     = []string{"ops", "admin"}
	staff     = []string{"ops", "policy", "auditor", "admin"}
	auditors  = []string{"auditor", "admin"}
)

// pages is the whole surface.
var pages []page

func init() {
	pages = []page{
		{pattern: "GET " + Root + "/{$}", roles: staff, handler: home},
		{pattern: "GET " + Root + "/sign-in", open: true, handler: signInPage},
		{pattern: "POST " + Root + "/sign-in", open: true, handler: signIn},
		{pattern: "GET " + Root + "/enter", open: true, handler: enterPage},
		{pattern: "POST " + Root + "/enter", open: true, handler: enter},
		{pattern: "POST " + Root + "/sign-out", open: true, handler: signOut},
		{pattern: "GET " + Root + "/search", roles: staff, handler: search},

		{pattern: "GET " + Root + "/cases", like: "listCases", roles: reviewers, handler: queuePage},
		{pattern: "GET " + Root + "/cases/{id}", like: "getCase", roles: reviewers, handler: casePage},
		{pattern: "POST " + Root + "/cases/{id}/assign", like: "assignCase", roles: doers, handler: act(engine.ActAssign)},
		{pattern: "POST " + Root + "/cases/{id}/acknowledge", like: "acknowledgeCase", roles: doers, handler: act(engine.ActAcknowledge)},
		{pattern: "POST " + Root + "/cases/{id}/comment", like: "commentOnCase", roles: doers, handler: act(engine.ActComment)},
		{pattern: "POST " + Root + "/cases/{id}/snooze", like: "snoozeCase", roles: doers, handler: act(engine.ActSnooze)},
		{pattern: "POST " + Root + "/cases/{id}/ask", like: "askPartner", roles: doers, handler: act(engine.ActAsk)},
		{pattern: "POST " + Root + "/cases/{id}/consult", like: "consultOnCase", roles: doers, handler: act(engine.ActConsult)},
		{pattern: "POST " + Root + "/cases/{id}/resolve", like: "resolveCase", roles: doers, handler: act(engine.ActResolve)},
		{pattern: "POST " + Root + "/cases/{id}/reopen", like: "reopenCase", roles: doers, handler: act(engine.ActReopen)},
		{pattern: "POST " + Root + "/cases/{id}/find", like: "createFinding", roles: doers, handler: finds},
		{pattern: "GET " + Root + "/findings", like: "listFindings", roles: reviewers, handler: findingsPage},
		{pattern: "POST " + Root + "/findings/{id}/withdraw", like: "withdrawFinding", roles: doers, handler: takesBack},
		{pattern: "GET " + Root + "/registrations", like: "listRegistrations", roles: reviewers, handler: registrationsPage},
		{pattern: "GET " + Root + "/registrations/{id}", like: "getRegistration", roles: reviewers, handler: registrationPage},
		{pattern: "POST " + Root + "/registrations/{id}/extend", like: "extendRegistration", roles: doers, handler: move(deal.EventExtend)},
		{pattern: "POST " + Root + "/registrations/{id}/accept", like: "acceptRegistration", roles: doers, handler: move(deal.EventAccept)},
		{pattern: "POST " + Root + "/registrations/{id}/merge", like: "mergeRegistration", roles: doers, handler: move(deal.EventMerge)},
		{pattern: "POST " + Root + "/registrations/{id}/withdraw", like: "withdrawRegistration", roles: doers, handler: move(deal.EventWithdraw)},
		{pattern: "POST " + Root + "/registrations/{id}/revoke", like: "revokeRegistration", roles: doers, handler: move(deal.EventRevoke)},
		{pattern: "POST " + Root + "/registrations/{id}/won", like: "winRegistration", roles: doers, handler: move(deal.EventWon)},
		{pattern: "POST " + Root + "/registrations/{id}/lost", like: "loseRegistration", roles: doers, handler: move(deal.EventLost)},
		{pattern: "GET " + Root + "/accounts", like: "listAccounts", roles: staff, handler: accountsPage},
		{pattern: "GET " + Root + "/accounts/{id}", like: "getAccount", roles: staff, handler: accountPage},
		{pattern: "GET " + Root + "/territories", like: "getTerritoryPlan", roles: staff, handler: territoriesPage},
		{pattern: "GET " + Root + "/policy", like: "getPolicy", roles: staff, handler: policyPage},
		{pattern: "GET " + Root + "/policy/{version}", like: "getPolicy", roles: staff, handler: policyPage},
		{pattern: "GET " + Root + "/audit", like: "listEntries", roles: auditors, handler: auditPage},
		{pattern: "POST " + Root + "/audit/verify", like: "listEntries", roles: auditors, handler: verify},
		{pattern: "GET " + Root + "/audit/{seq}", like: "listEntries", roles: auditors, handler: entryPage},
	}
}

// view is what a handler answers with: a page, or another address.
type view struct {
	status int // 0: 200
	title  string
	nav    string // the entry of the navigation it belongs to
	body   templ.Component
	to     string // redirect there instead
}

// page makes a handler of a page: it finds out who asks, lets them pass or not, and renders.
func (d *Desk) page(p page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := d.visit(w, r)
		if r.Method == http.MethodPost {
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		}
		out, err := v.answer(p)
		if err != nil {
			out = v.problem(err)
		}
		v.render(out)
	})
}

func (v *visit) answer(p page) (view, error) {
	switch {
	case p.open:
	case v.key.ID == "" && (v.r.Method == http.MethodGet || v.r.Method == http.MethodHead):
		return view{to: signInFor(v.r)}, nil
	case v.key.ID == "":
		return view{}, errSignedOut
	case p.roles != nil && !slices.Contains(p.roles, v.key.Role):
		return view{}, fmt.Errorf("%w: this page is for %s; you are signed in as %s", deal.ErrForbidden, strings.Join(p.roles, ", "), v.key.Role)
	}
	if err := v.r.ParseForm(); err != nil {
		return view{}, badRequest("the form could not be read: send it again")
	}
	return p.handler(v)
}

func notFound(*visit) (view, error) { return view{}, deal.ErrNotFound }

// home is the first page a role works on.
func home(v *visit) (view, error) {
	if v.key.Role == "policy" {
		return view{to: Root + "/policy"}, nil
	}
	return view{to: Root + "/cases"}, nil
}

// render writes the page. It is made whole before its status is sent.
func (v *visit) render(out view) {
	h := v.w.Header()
	if out.to != "" {
		if v.r.Header.Get("HX-Request") != "" { // a redirect would be followed unseen, and swapped in where it does not belong
			h.Set("HX-Redirect", out.to)
			v.w.WriteHeader(http.StatusOK)
			return
		}
		http.Redirect(v.w, v.r, out.to, http.StatusSeeOther)
		return
	}
	var b bytes.Buffer
	f := v.frame(out)
	if err := layout(f, out.body).Render(v.r.Context(), &b); err != nil {
		d := v.problem(err)
		b.Reset()
		if err := layout(v.frame(d), d.body).Render(v.r.Context(), &b); err != nil {
			http.Error(v.w, "This page could not be made.", http.StatusInternalServerError)
			return
		}
		out = d
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	if out.status == 0 {
		out.status = http.StatusOK
	}
	v.w.WriteHeader(out.status)
	if _, err := v.w.Write(b.Bytes()); err != nil {
		v.d.log.DebugContext(v.r.Context(), "a page was not taken", "error", err)
	}
}

// contentPolicy: everything a page needs comes from here, and nothing of it is inside the page.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// harden sets what every answer carries. The referrer stays on this site, where the check of a form's origin may need it.
func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// failure is an error that knows its page.
type failure struct {
	status        int
	title, detail string
}

func (f failure) Error() string { return f.detail }

func badRequest(detail string) error {
	return failure{http.StatusBadRequest, "That did not work", detail}
}

var errSignedOut = failure{http.StatusUnauthorized, "You are signed out", "Sign in and send it again: nothing was changed."}

// problem is the one place where an error becomes a page. What it does not know says nothing of its cause, which may name
// somebody; the log has it under the request's id.
func (v *visit) problem(err error) view {
	var f failure
	var fields deal.FieldErrors
	var size *http.MaxBytesError
	switch {
	case errors.As(err, &f):
	case errors.As(err, &fields):
		f = failure{http.StatusUnprocessableEntity, "Something is missing or wrong", fields.Error()}
	case errors.As(err, &size):
		f = failure{http.StatusRequestEntityTooLarge, "That is too long", "The form is larger than 64 KiB: shorten it and send it again."}
	case errors.Is(err, deal.ErrNotFound):
		f = failure{http.StatusNotFound, "There is nothing here", "No page, case, registration or account has this address. Perhaps a letter is missing."}
	case errors.Is(err, deal.ErrForbidden):
		f = failure{http.StatusForbidden, "Not for this role", strings.TrimPrefix(err.Error(), deal.ErrForbidden.Error()+": ")}
	case errors.Is(err, deal.ErrStale):
		f = failure{http.StatusPreconditionFailed, "It has changed meanwhile", "Somebody else changed it after this page was shown. Look at it again, then decide."}
	case errors.Is(err, deal.ErrNotPossible):
		f = failure{http.StatusConflict, "Not possible now", strings.TrimPrefix(err.Error(), deal.ErrNotPossible.Error()+": ")}
	case errors.Is(err, deal.ErrUnavailable), errors.Is(err, store.ErrUnknown), errors.Is(err, store.ErrRetry), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		f = failure{http.StatusServiceUnavailable, "Not available for a moment", "The database does not answer. Try again: a form that was sent twice counts once, or is refused as changed meanwhile."}
	default:
		f = failure{http.StatusInternalServerError, "Something went wrong here", "It is in the log. Try again, and if it stays like this, tell the operator the number below."}
	}
	if f.status >= 500 {
		v.d.log.ErrorContext(v.r.Context(), "page", "request_id", v.requestID(), "route", v.r.Pattern, "status", f.status, "error", err)
	}
	return view{status: f.status, title: f.title, body: problemBody(f, v.requestID(), v.key.ID != "")}
}

//go:embed assets
var assetFiles embed.FS

// asset is a file pages load.
type asset struct {
	body        []byte
	media, hash string
}

var assets = func() map[string]asset {
	out := map[string]asset{}
	for name, media := range map[string]string{"desk.css": "text/css; charset=utf-8", "keys.js": "text/javascript; charset=utf-8", "htmx.min.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		b, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(b)
		out[name] = asset{b, media, hex.EncodeToString(sum[:6])}
	}
	return out
}()

// assetURL names a file by what is in it, so that it can be kept for ever.
func assetURL(name string) string {
	return path.Join(Root, "static", name) + "?v=" + assets[name].hash
}

func serveAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := assets[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.media)
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == a.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("ETag", `"`+a.hash+`"`)
	if r.Header.Get("If-None-Match") == `"`+a.hash+`"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(a.body) // a browser that went away needs nothing more
}

// compiled keeps the live policy and plan as they were last compiled.
type compiled struct {
	mu     sync.Mutex
	policy *policy.Policy
	plan   *territory.Plan
	grids  gridKept
}

// livePolicy returns the policy that decides now.
func (d *Desk) livePolicy() (*policy.Policy, error) {
	doc, err := d.engine.Live(deal.PolicyDocument)
	if err != nil {
		return nil, err
	}
	d.compiled.mu.Lock()
	defer d.compiled.mu.Unlock()
	if p := d.compiled.policy; p != nil && p.Ref().Digest == doc.Digest && p.Ref().Version == doc.Version {
		return p, nil
	}
	p, err := policy.CompileSaved([]byte(doc.Body), doc.Holidays)
	if err != nil {
		return nil, err
	}
	d.compiled.policy = p.WithVersion(doc.Version)
	return d.compiled.policy, nil
}

// livePlan returns the territory plan that decides now, or deal.ErrNotFound.
func (d *Desk) livePlan() (*territory.Plan, error) {
	doc, err := d.engine.Live(deal.TerritoryDocument)
	if err != nil {
		return nil, err
	}
	d.compiled.mu.Lock()
	defer d.compiled.mu.Unlock()
	if p := d.compiled.plan; p != nil && p.Ref().Digest == doc.Digest && p.Ref().Version == doc.Version {
		return p, nil
	}
	p, err := territory.Compile([]byte(doc.Body))
	if err != nil {
		return nil, err
	}
	d.compiled.plan = p.WithVersion(doc.Version)
	return d.compiled.plan, nil
}
