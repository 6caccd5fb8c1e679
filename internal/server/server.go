// Package server is the HTTP edge of dibs: the JSON API of api/openapi.yaml on Echo.
//
// A handler does three things: it maps the request to the vocabulary (map.go), asks the engine or its store, and
// renders what came back (reply.go). What every request has in common (who calls, may they, is the input readable, what
// is logged) is middleware and comes from the specification itself, so an operation that is not described, or that
// names no roles, is not served. Errors are returned and become a problem document in one place (problem.go).
//
// What a partner reads is engine.Answer and nothing else of a registration: see registrations.go.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/dibs-deals/dibs/api"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/hooks"
)

// Limits of the edge. They bound what one caller can make the process do.
const (
	maxJSON     = 64 << 10  // a filing with 200 products and 200 sites takes half of it
	maxDocument = 8 << 20   // a plan of 10,000 territories takes about 3 MiB
	maxImport   = 512 << 20 // read as a stream, never held
	maxHeader   = 16 << 10

	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second // whole request; imports move it on with every read
	writeTimeout      = 60 * time.Second // handler and answer; imports and exports move it on
	idleTimeout       = 2 * time.Minute
	streamTimeout     = 30 * time.Second // between two reads of an import, or two pages of an export
	drainTimeout      = 30 * time.Second // for requests that run when the service is told to stop
)

// Config is what a server is made of.
type Config struct {
	Engine          *engine.Engine
	Log             *slog.Logger // nil: discard
	Telemetry       *Telemetry   // nil: own metrics, no traces
	Version         string
	ChecksPerMinute int    // pre-checks an API key may ask in a minute, in bursts of as many; 0: 60
	Budget          Budget // counts them over all replicas; nil: each counts its own

	// Desk answers /desk and everything below it; nil: there are no pages. Its patterns (http.Request.Pattern) name its routes in
	// the log and in measurements.
	Desk http.Handler

	Hooks *hooks.Hooks // nil: webhooks can be set, and nobody here tells them
}

// Budget counts over all replicas what a name may have in a minute.
type Budget interface {
	// Allow takes one of perMinute that the name may have. known is false when nobody can say soon: then this replica's
	// own count decides alone.
	Allow(ctx context.Context, name string, perMinute int) (allowed, known bool)
}

// Server answers the API.
type Server struct {
	engine   *engine.Engine
	hooks    *hooks.Hooks
	log      *slog.Logger
	tel      *Telemetry
	version  string
	ops      map[string]*operation // by method and Echo path
	checks   limiter
	handler  http.Handler
	routes   []*echo.Route
	draining atomic.Bool
}

// handlers implements the operations, so that they are not methods of Server.
type handlers struct{ *Server }

// New wires the server. It panics when the specification and the routes do not agree or an operation says neither who
// may call it nor that everyone may: that is a mistake in the program, and serving it would be worse.
func New(cfg Config) *Server {
	s := &Server{engine: cfg.Engine, log: cfg.Log, tel: cfg.Telemetry, version: cfg.Version}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.tel == nil {
		s.tel = NewTelemetry()
	}
	if s.hooks = cfg.Hooks; s.hooks == nil {
		s.hooks = hooks.New(hooks.Config{Store: cfg.Engine.Store(), Record: cfg.Engine.RecordWebhook, Clock: cfg.Engine.Now, Log: s.log})
	}
	if cfg.ChecksPerMinute == 0 {
		cfg.ChecksPerMinute = 60
	}
	s.checks = newLimiter(cfg.ChecksPerMinute, cfg.Budget)
	s.tel.observe(s.engine)
	ops, err := operations(api.Spec)
	if err != nil {
		panic(err)
	}
	s.ops = ops

	e := echo.New()
	e.HTTPErrorHandler = s.renderError
	e.Binder = binder{}
	e.Use(
		s.observe,   // outermost: sees the final status, whatever happened
		s.recover,   // inside observe, so that a panic is logged and counted as a 500
		harden,      // headers, also on errors
		s.authorise, // before anything of the request's body is read
		s.readable,  // query, content type, size: what the operation says it takes
	)
	// The surface is api/openapi.yaml; the generated function registers it operation by operation.
	api.RegisterHandlers(e, api.NewStrictHandler(handlers{s}, nil))
	s.routes = e.Routes()
	for _, r := range s.routes {
		if s.ops[r.Method+" "+r.Path] == nil {
			panic(fmt.Sprintf("server: %s %s is not in the specification", r.Method, r.Path))
		}
	}
	if len(s.routes) != len(s.ops) {
		panic(fmt.Sprintf("server: %d routes for %d operations", len(s.routes), len(s.ops)))
	}
	s.handler = otelhttp.NewHandler(s.besideDesk(headAsGet(e), cfg.Desk), "http",
		otelhttp.WithMeterProvider(s.tel.meters), otelhttp.WithTracerProvider(s.tel.tracers), otelhttp.WithPropagators(s.tel.propagator))
	return s
}

// Handler returns the whole API as one handler.
func (s *Server) Handler() http.Handler { return s.handler }

// Run serves on l until ctx is done. It then says not ready, takes no new connections, and returns when the requests
// that were running have been answered, or with an error when they were not within drainTimeout. The engine can be
// closed after it. With ops, what is for operators alone is answered there and not on l, until the last request on l is.
func (s *Server) Run(ctx context.Context, l, ops net.Listener) error {
	main, beside := s.serve(s.handler), s.serve(s.only(true))
	if ops != nil {
		main = s.serve(s.only(false))
	}
	failed, opsFailed := make(chan error, 1), make(chan error, 1)
	go func() { failed <- main.Serve(l) }()
	if ops != nil {
		go func() { opsFailed <- beside.Serve(ops) }()
		defer func() { _ = beside.Close() }()
	}
	select {
	case err := <-failed:
		return err
	case err := <-opsFailed:
		return errors.Join(err, main.Close())
	case <-ctx.Done():
	}
	s.draining.Store(true)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := main.Shutdown(drain); err != nil {
		return errors.Join(fmt.Errorf("requests were still running after %s: %w", drainTimeout, err), main.Close())
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *Server) serve(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
}

// only answers for operators alone, or for everybody else alone: what the other answers is not there. That the process runs, both say.
func (s *Server) only(operators bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		theirs := r.URL.Path == "/metrics" || r.URL.Path == "/readyz"
		if theirs != operators && r.URL.Path != "/healthz" {
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = "/-", "" // no path of the API's
		}
		s.handler.ServeHTTP(w, r)
	})
}
