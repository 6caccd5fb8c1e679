package desk

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// A session is the id of an API key and when it ends, signed with a secret all replicas derive from the ledger's signing key:
// nothing is kept on the server, and any replica knows it. It holds no secret of the key. On each request the key is looked up,
// so a session ends at once when its key is revoked. Signing out takes the cookie away; who has copied it before keeps it until
// it ends, or the key is revoked.
type session struct {
	KeyID string    `json:"k"`
	Ends  time.Time `json:"e"`
}

const (
	sessionFor  = 12 * time.Hour // a working day
	sessionName = "dibs_desk"
	linkFor     = 24 * time.Hour
)

type sessions struct{ secret []byte }

func (s sessions) seal(x session) (string, error) {
	b, err := json.Marshal(x)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(b)
	return text + "." + base64.RawURLEncoding.EncodeToString(s.sign(text)), nil
}

func (s sessions) sign(text string) []byte {
	h := hmac.New(sha256.New, s.secret)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// open returns the session of a cookie's value, if it was sealed here and has not ended.
func (s sessions) open(value string, now time.Time) (x session, ok bool) {
	text, sum, found := strings.Cut(value, ".")
	got, err := base64.RawURLEncoding.Strict().DecodeString(sum)
	if !found || err != nil || !hmac.Equal(got, s.sign(text)) {
		return session{}, false
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(b, &x) != nil {
		return session{}, false
	}
	return x, now.Before(x.Ends)
}

// mayEnter reports whether a key opens the desk. A portal acts for partners, who have no place here.
func mayEnter(k deal.Key) bool { return slices.Contains(staff, k.Role) }

// key returns the key a request's session stands for; the zero Key when there is none.
func (d *Desk) key(r *http.Request) deal.Key {
	c, err := r.Cookie(sessionName)
	if err != nil {
		return deal.Key{}
	}
	x, ok := d.sessions.open(c.Value, d.engine.Now())
	if !ok {
		return deal.Key{}
	}
	if k, live := d.engine.Key(x.KeyID); live && mayEnter(k) {
		return k
	}
	return deal.Key{}
}

// begin sets the session's cookie.
func (v *visit) begin(k deal.Key) error {
	value, err := v.d.sessions.seal(session{k.ID, v.now.Add(sessionFor)})
	if err != nil {
		return err
	}
	http.SetCookie(v.w, v.cookie(value, int(sessionFor/time.Second)))
	return nil
}

func (v *visit) cookie(value string, maxAge int) *http.Cookie {
	//nolint:gosec // Secure wherever the way here has TLS; the demo's loopback has none
	return &http.Cookie{Name: sessionName, Value: value, Path: Root, MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: v.r.TLS != nil || strings.EqualFold(v.r.Header.Get("X-Forwarded-Proto"), "https")}
}

// signInFor is the address of the sign-in page that leads back to what was asked for.
func signInFor(r *http.Request) string {
	to := Root + "/sign-in"
	if r.URL.Path != Root+"/" {
		to += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	return to
}

// next is where to go after signing in: a page of the desk, never another site.
func next(v *visit) string {
	u, err := url.Parse(v.r.FormValue("next"))
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(u.Path, Root+"/") || strings.HasPrefix(u.Path, Root+"/enter") {
		return Root + "/"
	}
	return u.RequestURI()
}

func signInPage(v *visit) (view, error) {
	if v.key.ID != "" {
		return view{to: next(v)}, nil
	}
	return view{title: "Sign in", body: signInBody(next(v), "")}, nil
}

// signIn exchanges an API key for a session.
func signIn(v *visit) (view, error) {
	k, ok, err := v.d.engine.Authenticate(v.ctx(), strings.TrimSpace(v.r.PostFormValue("key")))
	if err != nil {
		return view{}, err
	}
	wrong := ""
	switch {
	case !ok:
		wrong = "This key is unknown or revoked. Paste it whole: dibs_….…"
	case !mayEnter(k):
		wrong = "A portal key files registrations; it has no desk. Use a key of role ops, policy, auditor or admin."
	}
	if wrong != "" {
		return view{status: http.StatusUnauthorized, title: "Sign in", body: signInBody(next(v), wrong)}, nil
	}
	return view{to: next(v)}, v.begin(k)
}

func signOut(v *visit) (view, error) {
	http.SetCookie(v.w, v.cookie("", -1))
	return view{to: Root + "/sign-in"}, nil
}

// links are one-time links that wait to be used. They live in this process, like whoever prints them.
type links struct {
	mu   sync.Mutex
	open map[[32]byte]link
}

type link struct {
	keyID string
	ends  time.Time
}

// Link returns the path of a link that signs in once with the key, within a day.
func (d *Desk) Link(keyID string) string {
	secret := rand.Text()
	d.links.mu.Lock()
	defer d.links.mu.Unlock()
	if d.links.open == nil {
		d.links.open = map[[32]byte]link{}
	}
	d.links.open[sha256.Sum256([]byte(secret))] = link{keyID, d.engine.Now().Add(linkFor)}
	return Root + "/enter?link=" + secret
}

// linked returns the key of a link, and with use ends the link.
func (d *Desk) linked(secret string, use bool) (deal.Key, bool) {
	d.links.mu.Lock()
	defer d.links.mu.Unlock()
	name := sha256.Sum256([]byte(secret))
	l, ok := d.links.open[name]
	if !ok || !d.engine.Now().Before(l.ends) {
		return deal.Key{}, false
	}
	k, live := d.engine.Key(l.keyID)
	if use && live {
		delete(d.links.open, name)
	}
	return k, live && mayEnter(k)
}

var errLink = failure{http.StatusUnauthorized, "This link has been used", "A link signs in once, within a day of its making. Start the demo again for new ones, or sign in with an API key."}

// enterPage asks before it uses the link: programs that look at links in advance must not use them up.
func enterPage(v *visit) (view, error) {
	secret := v.r.FormValue("link")
	k, ok := v.d.linked(secret, false)
	if !ok {
		return view{}, errLink
	}
	return view{title: "Sign in", body: enterBody(secret, v.whois(k), k.Role)}, nil
}

func enter(v *visit) (view, error) {
	k, ok := v.d.linked(v.r.PostFormValue("link"), true)
	if !ok {
		return view{}, errLink
	}
	return view{to: Root + "/"}, v.begin(k)
}
