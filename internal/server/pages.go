package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// besideDesk sends what is for people to the desk and the rest to the API. What observe and recover do for the API is done for the
// pages here: a request id, one log line without a name, and no panic that reaches the reader.
func (s *Server) besideDesk(api, desk http.Handler) http.Handler {
	if desk == nil {
		return api
	}
	e := echo.New()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/desk" && !strings.HasPrefix(r.URL.Path, "/desk/") {
			api.ServeHTTP(w, r)
			return
		}
		start, out := time.Now(), echo.NewResponse(w, e)
		id := requestID(r)
		out.Header().Set(echo.HeaderXRequestID, id)
		err := guarded(desk, out, r)
		if err != nil && !out.Committed {
			http.Error(out, "Something went wrong here. It is in the log, under the number "+id+".", http.StatusInternalServerError)
		}
		route := "none"
		if _, path, ok := strings.Cut(r.Pattern, " "); ok {
			route = path
		}
		nameRoute(r, route)
		level, attrs := slog.LevelInfo, []slog.Attr{
			slog.String("request_id", id), slog.String("method", r.Method), slog.String("route", route), slog.Int("status", out.Status),
			slog.Int64("us", time.Since(start).Microseconds()), slog.Int64("bytes", out.Size),
		}
		if err != nil {
			level, attrs = slog.LevelError, append(attrs, slog.Any("error", err))
		}
		s.log.LogAttrs(r.Context(), level, "request", attrs...)
	})
}

// guarded turns a panic into an error.
func guarded(h http.Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}
