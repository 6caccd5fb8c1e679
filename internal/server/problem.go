package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
	"github.com/dibs-deals/dibs/internal/store"
)

// problemBase is where the kinds of problem are explained: docs/problems.md has a section for each.
const problemBase = "https://dibs.dev/problems/"

// kinds are all problems this API answers with, by code. Codes are stable; texts may improve.
var kinds = map[string]struct {
	status int
	title  string
}{
	"malformed":               {400, "The body is not readable JSON"},
	"bad-parameter":           {400, "A parameter is wrong"},
	"idempotency-key-missing": {400, "The Idempotency-Key header is missing or malformed"},
	"unauthenticated":         {401, "No valid API key"},
	"forbidden":               {403, "The role of this key may not do this"},
	"not-found":               {404, "Not found"},
	"method-not-allowed":      {405, "This path has no such method"},
	"not-possible":            {409, "Not possible in this state"},
	"stale":                   {412, "Changed meanwhile"},
	"precondition-required":   {428, "The If-Match header is missing"},
	"too-large":               {413, "The body is too large"},
	"unsupported-media-type":  {415, "This content type is not accepted"},
	"invalid":                 {422, "The input is not valid"},
	"idempotency-key-reused":  {422, "The Idempotency-Key was used for another request"},
	"rate-limited":            {429, "Too many calls"},
	"internal":                {500, "Something went wrong here"},
	"unavailable":             {503, "Temporarily unavailable"},
}

// problem is an error that says by itself which kind it is.
type problem struct {
	code   string
	detail string
	errors deal.FieldErrors
	retry  string // Retry-After, in seconds
	cause  error  // for the log
}

func (p problem) Error() string {
	if p.cause != nil {
		return p.code + ": " + p.cause.Error()
	}
	return p.code + ": " + p.detail
}

func (p problem) Unwrap() error { return p.cause }

var (
	errNoKey  = problem{code: "unauthenticated", detail: "send your API key as Authorization: Bearer KEY"}
	errBadKey = problem{code: "unauthenticated", detail: "the API key is unknown or revoked"}
)

// toProblem is the one place where an error gets its status. What it does not know is a 500 that says nothing: an
// error's text may hold SQL or another party's name.
func toProblem(err error) problem {
	var (
		p      problem
		fields deal.FieldErrors
		lines  document.Errors
		size   *http.MaxBytesError
		he     *echo.HTTPError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &fields):
		return problem{code: "invalid", detail: "correct the fields in errors and send it again", errors: fields}
	case errors.As(err, &lines):
		return problem{code: "invalid", detail: "correct the lines in errors and send it again", errors: lineErrors(lines)}
	case errors.As(err, &size):
		return problem{code: "too-large", detail: fmt.Sprintf("at most %d bytes are accepted here", size.Limit)}
	case errors.Is(err, deal.ErrNotFound):
		return problem{code: "not-found", detail: "there is nothing here that this key may see"}
	case errors.Is(err, deal.ErrKeyReused):
		return problem{code: "idempotency-key-reused", detail: deal.ErrKeyReused.Error()}
	case errors.Is(err, deal.ErrForbidden):
		return problem{code: "forbidden", detail: strings.TrimPrefix(err.Error(), deal.ErrForbidden.Error()+": ")}
	case errors.Is(err, deal.ErrNotPossible):
		return problem{code: "not-possible", detail: err.Error()}
	case errors.Is(err, deal.ErrStale):
		return problem{code: "stale", detail: err.Error()}
	case errors.Is(err, deal.ErrUnavailable), errors.Is(err, store.ErrUnknown), errors.Is(err, store.ErrRetry), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problem{code: "unavailable", detail: deal.ErrUnavailable.Error(), retry: "1", cause: err}
	case errors.As(err, &he):
		switch he.Code {
		case http.StatusNotFound:
			return problem{code: "not-found", detail: "no such path; /docs lists them"}
		case http.StatusMethodNotAllowed:
			return problem{code: "method-not-allowed", detail: "see the Allow header, or /docs"}
		case http.StatusBadRequest: // from the generated binding of path and query parameters
			return problem{code: "bad-parameter", detail: "a parameter in the path or the query cannot be read", cause: err}
		}
	}
	return problem{code: "internal", detail: "the request was not carried out as far as is known; ask for help with the request_id", cause: err}
}

// lineErrors names the places of a document as its author finds them.
func lineErrors(lines document.Errors) deal.FieldErrors {
	var out deal.FieldErrors
	for _, l := range lines {
		field := fmt.Sprintf("line %d, column %d", l.Line, l.Column)
		if l.Path != "" {
			field += ", " + l.Path
		}
		out.Add(field, "%s", l.Message)
	}
	return out
}

// renderError answers a request with the problem its error is.
func (s *Server) renderError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	p := toProblem(err)
	kind, ok := kinds[p.code]
	if !ok {
		p, kind = problem{code: "internal", detail: p.code}, kinds["internal"]
	}
	call, _ := c.Get(callName).(*call)
	body := struct {
		Type      string           `json:"type"`
		Title     string           `json:"title"`
		Status    int              `json:"status"`
		Detail    string           `json:"detail"`
		Instance  string           `json:"instance"`
		Code      string           `json:"code"`
		Errors    deal.FieldErrors `json:"errors,omitempty"`
		RequestID string           `json:"request_id"`
	}{problemBase + p.code, kind.title, kind.status, p.detail, c.Request().URL.EscapedPath(), p.code, p.errors, call.id}
	b, err := json.Marshal(body)
	if err != nil {
		b = []byte(`{"status":500,"code":"internal"}`)
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "application/problem+json")
	if kind.status == http.StatusUnauthorized {
		h.Set(echo.HeaderWWWAuthenticate, `Bearer realm="dibs"`)
	}
	if p.retry != "" {
		h.Set(echo.HeaderRetryAfter, p.retry)
	}
	c.Response().WriteHeader(kind.status)
	_, _ = c.Response().Write(append(b, '\n')) // the caller has gone if this fails
}
