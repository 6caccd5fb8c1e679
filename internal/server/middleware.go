package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
)

// call is what the middleware found out about a request.
type call struct {
	id          string // request id
	key         deal.Key
	op          *operation
	header      http.Header
	contentType string
	http        *http.ResponseController
	stages      []engine.Stage // of a registration; empty unless the engine is observed
}

type callKey struct{}

// callOf returns the call of a request. Every handler runs inside authorise, which puts it there.
func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

func (c *call) actor() deal.Actor {
	return deal.Actor{KeyID: c.key.ID, Role: c.key.Role, PersonID: c.key.PersonID}
}

func (c *call) request() engine.Request { return engine.Request{Actor: c.actor()} }

func (c *call) portal() bool { return c.key.Role == "portal" }

// partners returns the partners a call is limited to; nil means no limit, empty means none.
func (c *call) partners() []string {
	if !c.portal() || slices.Contains(c.key.PartnerIDs, "*") {
		return nil
	}
	return append([]string{}, c.key.PartnerIDs...)
}

// mayFile reports whether the call may file for the partner.
func (c *call) mayFile(partnerID string) bool {
	ids := c.partners()
	return ids == nil || slices.Contains(ids, partnerID)
}

// sees reports whether the registration exists for this call: as its registrant or as its distributor.
func (c *call) sees(r *deal.Registration) bool {
	return c.mayFile(r.Filing.PartnerID) || r.Filing.DistributorID != "" && c.mayFile(r.Filing.DistributorID)
}

// headAsGet answers HEAD wherever GET is answered; net/http leaves the body out.
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(r.Context())
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// observe gives the request its id, renders its error, and leaves one log line and one measurement. The line holds no
// body, no query and no key: names of customers do not belong in logs.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		r := c.Request()
		call := &call{id: requestID(r), op: s.ops[r.Method+" "+c.Path()]}
		c.Set(callName, call)
		c.Response().Header().Set(echo.HeaderXRequestID, call.id)
		err := next(c)
		if err != nil {
			c.Error(err)
		}
		route := c.Path()
		if call.op == nil {
			route = "none" // not the path as sent: it is the caller's text, and any number of them exist
		}
		nameRoute(r, route)
		if call.op != nil && call.op.exempt && err == nil {
			return nil
		}
		level, attrs := slog.LevelInfo, []slog.Attr{
			slog.String("request_id", call.id),
			slog.String("method", r.Method),
			slog.String("route", route),
			slog.Int("status", c.Response().Status),
			slog.Int64("us", time.Since(start).Microseconds()),
			slog.Int64("bytes", c.Response().Size),
		}
		if call.key.ID != "" {
			attrs = append(attrs, slog.String("key_id", call.key.ID), slog.String("role", call.key.Role))
		}
		if c.Response().Status >= 500 {
			level = slog.LevelError
			attrs = append(attrs, slog.Any("error", err))
		}
		s.log.LogAttrs(r.Context(), level, "request", attrs...)
		return nil
	}
}

// nameRoute tells measurements and traces which route a request took.
func nameRoute(r *http.Request, route string) {
	if labels, ok := otelhttp.LabelerFromContext(r.Context()); ok {
		labels.Add(attribute.String("http.route", route))
	}
	if span := trace.SpanFromContext(r.Context()); span.IsRecording() {
		span.SetName(r.Method + " " + route)
		span.SetAttributes(attribute.String("http.route", route))
	}
}

// callName is where a call waits in Echo's context until authorise knows who made it.
const callName = "call"

// requestID takes the caller's id if it is one, so that both sides' logs agree, and makes one otherwise.
func requestID(r *http.Request) string {
	id := r.Header.Get(echo.HeaderXRequestID)
	ok := len(id) >= 8 && len(id) <= 64
	for _, b := range []byte(id) {
		ok = ok && (b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '-' || b == '_' || b == '.')
	}
	if !ok {
		return deal.NewID("req_")
	}
	return id
}

// recover turns a panic into an error with its stack for the log; the caller learns only the request id.
func (s *Server) recover(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler: // an answer that broke off must look broken: see reply.go
				panic(p)
			default:
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		return next(c)
	}
}

// harden sets the headers that keep a browser from doing more with an answer than show it.
func harden(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		return next(c)
	}
}

// authorise lets a request pass to an operation that everyone may call, or that the role of its key may call.
func (s *Server) authorise(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		call := c.Get(callName).(*call)
		if call.op == nil {
			return next(c) // Echo's own 404 and 405
		}
		r := c.Request()
		if call.op.roles != nil {
			scheme, token, _ := strings.Cut(r.Header.Get(echo.HeaderAuthorization), " ")
			if !strings.EqualFold(scheme, "Bearer") || token == "" {
				return errNoKey
			}
			key, ok, err := s.engine.Authenticate(r.Context(), strings.TrimSpace(token))
			if err != nil {
				return err
			}
			if !ok {
				return errBadKey
			}
			call.key = key
			if !slices.Contains(call.op.roles, key.Role) {
				return fmt.Errorf("%w: this is for %s; the key's role is %s", deal.ErrForbidden, strings.Join(call.op.roles, ", "), key.Role)
			}
		}
		call.header = r.Header
		call.http = http.NewResponseController(c.Response())
		c.SetRequest(r.WithContext(context.WithValue(r.Context(), callKey{}, call)))
		return next(c)
	}
}

// readable checks what the specification says about the form of a request: the query, the type and the size of the
// body. An unknown parameter is refused: a filter with a typing error would silently select everything.
func (s *Server) readable(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		call := c.Get(callName).(*call)
		op, r := call.op, c.Request()
		if op == nil {
			return next(c)
		}
		if !utf8.ValidString(r.URL.Path) || strings.ContainsRune(r.URL.Path, 0) {
			return deal.ErrNotFound // no id is made of such bytes, and databases refuse to be asked for them
		}
		if r.URL.RawQuery != "" {
			if err := checkQuery(op, r.URL.RawQuery); err != nil {
				return err
			}
		}
		if values := r.Header.Values(idempotencyHeader); (op.once || op.retry && len(values) > 0) && (len(values) != 1 || !idempotencyKey(values[0])) {
			return problem{code: "idempotency-key-missing", detail: "send 1 to 255 printable ASCII characters as Idempotency-Key: new for each registration, the same on each retry"}
		}
		if op.match && r.Header.Get(ifMatchHeader) == "" {
			return problem{code: "precondition-required", detail: "send the ETag of what you read as If-Match, so that nobody's work is overwritten unseen"}
		}
		if op.types == nil {
			if err := bodiless(op, r); err != nil {
				return err
			}
			return next(c)
		}
		if enc := r.Header.Get(echo.HeaderContentEncoding); enc != "" && enc != "identity" {
			return problem{code: "unsupported-media-type", detail: "send the body without Content-Encoding; compressed bodies are not accepted"}
		}
		media, params, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
		if charset := params["charset"]; err != nil || !slices.Contains(op.types, media) || charset != "" && !strings.EqualFold(charset, "utf-8") {
			return problem{code: "unsupported-media-type", detail: "send Content-Type: " + strings.Join(op.types, " or ") + ", in UTF-8"}
		}
		call.contentType = media
		if r.ContentLength > op.limit {
			return &http.MaxBytesError{Limit: op.limit}
		}
		r.Body = http.MaxBytesReader(c.Response(), r.Body, op.limit)
		if op.stream {
			r.Body = &slowBody{ReadCloser: r.Body, http: call.http}
		}
		return next(c)
	}
}

// bodiless refuses what is sent to an operation that takes no body, so that nobody takes it for heard. A reader's body is nobody's concern, and an
// empty object says nothing.
func bodiless(op *operation, r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.ContentLength == 0 {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<10))
	if err != nil {
		return problem{code: "malformed", detail: "the body could not be read"}
	}
	if text := strings.TrimSpace(string(b)); text == "" || text == "{}" {
		return nil
	}
	takes := "nothing is"
	if names := slices.Sorted(maps.Keys(op.query)); len(names) > 0 {
		takes = strings.Join(names, ", ") + " may be"
	}
	return problem{code: "invalid", detail: "this call takes no body; " + takes + " given in the query"}
}

const (
	idempotencyHeader = "Idempotency-Key"
	ifMatchHeader     = "If-Match"
)

// idempotencyKey reports whether k is 1 to 255 printable ASCII characters.
func idempotencyKey(k string) bool {
	return len(k) >= 1 && len(k) <= 255 && !strings.ContainsFunc(k, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

func checkQuery(op *operation, raw string) error {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return problem{code: "bad-parameter", detail: "the query string is not readable: every % must be followed by two hexadecimal digits, and ; must be written %3B"}
	}
	var wrong deal.FieldErrors
	for _, name := range slices.Sorted(maps.Keys(values)) {
		sc, ok := op.query[name]
		switch {
		case !ok && len(op.query) == 0:
			wrong.Add(name, "is not a parameter of this call, which has none")
		case !ok:
			wrong.Add(name, "is not a parameter of this call; it has %s", strings.Join(slices.Sorted(maps.Keys(op.query)), ", "))
		case len(values[name]) > 1:
			wrong.Add(name, "is given %d times; give it once", len(values[name]))
		default:
			if why := sc.check(values[name][0]); why != "" {
				wrong.Add(name, "%s", why)
			}
		}
	}
	if len(wrong) > 0 {
		return problem{code: "bad-parameter", detail: "a query parameter is wrong", errors: wrong}
	}
	return nil
}

// slowBody lets an import take as long as it needs, as long as something arrives.
type slowBody struct {
	io.ReadCloser
	http *http.ResponseController
}

func (b *slowBody) Read(p []byte) (int, error) {
	soon := time.Now().Add(streamTimeout)
	// A recorder in a test has no deadlines to move; a connection has.
	if err := errors.Join(b.http.SetReadDeadline(soon), b.http.SetWriteDeadline(soon.Add(streamTimeout))); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return b.ReadCloser.Read(p)
}

// limiter holds a rate for each API key. Keys are made by an admin, so there are not many. Each replica counts what it has
// allowed itself, whatever becomes of the common count: a key may never have more than its rate of one replica.
type limiter struct {
	perMinute int
	common    Budget // of all replicas; nil: there is none
	mu        *sync.Mutex
	keys      map[string]*rate.Limiter
}

func newLimiter(perMinute int, common Budget) limiter {
	return limiter{perMinute: perMinute, common: common, mu: &sync.Mutex{}, keys: map[string]*rate.Limiter{}}
}

// allow reports whether the key may call now.
func (l limiter) allow(ctx context.Context, keyID string) bool {
	if !l.own(keyID) {
		return false
	}
	if l.common == nil {
		return true
	}
	allowed, known := l.common.Allow(ctx, "checks:"+keyID, l.perMinute)
	return allowed || !known
}

// own reports whether this replica's own count lets the key call now.
func (l limiter) own(keyID string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.keys[keyID]
	if r == nil {
		r = rate.NewLimiter(rate.Every(time.Minute/time.Duration(l.perMinute)), l.perMinute)
		l.keys[keyID] = r
	}
	return r.Allow()
}
