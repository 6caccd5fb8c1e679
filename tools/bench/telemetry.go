package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/report"
	"github.com/dibs-deals/dibs/internal/server"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
)

const (
	telemetryTurns = 120
	turnRequests   = 100
	// spansLeave is how long a turn waits for its spans to be sent: several times the delay of their exporter.
	spansLeave = 150 * time.Millisecond
)

// watcher hands what the engine tells to one telemetry, or to none.
type watcher struct {
	to atomic.Pointer[server.Telemetry]
}

func (w *watcher) Filed(ctx context.Context, d *deal.Decision, stages []engine.Stage) {
	if t := w.to.Load(); t != nil {
		t.Filed(ctx, d, stages)
	}
}

func (w *watcher) Commit(requests []context.Context) (context.Context, func(error)) {
	if t := w.to.Load(); t != nil {
		return t.Commit(requests)
	}
	return context.Background(), func(error) {}
}

// measureTelemetry measures what a registration costs by what watches it. One engine serves all: short turns follow each other in an
// order drawn anew each time, each with the same registrations, and what counts is the CPU time of the process over a turn, with that of
// sending its spans to another process. So other work on the machine slows every turn alike, and each turn is compared with its neighbours.
func measureTelemetry(ctx context.Context) (string, error) {
	sink, err := launch(ctx, os.Args[0], "-child", "sink")
	if err != nil {
		return "", err
	}
	defer sink.kill()
	to, _, _ := strings.Cut(sink.first, " ")
	dir, err := os.MkdirTemp("", "dibs-bench-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	st, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "dibs.db")})
	if err != nil {
		return "", err
	}
	defer func() { _ = st.Close() }()
	signer, _, err := ledger.NewSigner("bench")
	if err != nil {
		return "", err
	}
	watch := &watcher{}
	e, err := engine.Open(ctx, engine.Config{Store: st, Signer: signer, Observer: watch})
	if err != nil {
		return "", err
	}
	defer func() { _ = e.Close(ctx) }()
	token, err := populate(ctx, e)
	if err != nil {
		return "", err
	}
	type side struct {
		name  string
		tel   *server.Telemetry
		h     http.Handler
		each  []time.Duration // CPU of a registration, by turn
		times []float64       // the same, × the turn beside it that only counts
	}
	var sides []*side
	for _, c := range []struct{ name, sampled string }{{"counted only, as by default", ""}, {"traced: 1 of 10", "0.1"}, {"traced: all", "1"}, {"nothing of the engine watched", ""}} {
		s := &side{name: c.name}
		if s.tel, err = telemetryTo(ctx, to, c.sampled); err != nil {
			return "", err
		}
		defer func() { _ = s.tel.Close(ctx) }()
		s.h = server.New(server.Config{Engine: e, Telemetry: s.tel}).Handler()
		sides = append(sides, s)
	}
	counted, unwatched := sides[0], sides[3]
	crowd, size := demoCrowd()
	g := newGenerator(crowd, size, "", token)
	var bodies []string
	for range turnRequests {
		body, _ := g.filing()
		bodies = append(bodies, string(body))
	}
	n := 0
	turn := func(s *side) (time.Duration, error) {
		watch.to.Store(s.tel)
		if s == unwatched {
			watch.to.Store(nil)
		}
		runtime.GC() // what the turn before has left is not this one's
		before := ownCPU()
		for _, body := range bodies {
			n++
			q := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/registrations", strings.NewReader(body))
			q.Header.Set("Authorization", "Bearer "+token)
			q.Header.Set("Content-Type", "application/json")
			q.Header.Set("Idempotency-Key", fmt.Sprintf("telemetry-%d", n))
			rec := httptest.NewRecorder()
			if s.h.ServeHTTP(rec, q); rec.Code != http.StatusCreated {
				return 0, fmt.Errorf("%d %s", rec.Code, rec.Body)
			}
		}
		time.Sleep(spansLeave)
		return (ownCPU() - before) / turnRequests, nil
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range telemetryTurns + 2 {
		round := map[*side]time.Duration{}
		for _, at := range rng.Perm(len(sides)) {
			if round[sides[at]], err = turn(sides[at]); err != nil {
				return "", err
			}
		}
		if i < 2 { // the first files each registration; the second fills what grows
			continue
		}
		for _, s := range sides {
			s.each = append(s.each, round[s])
			s.times = append(s.times, float64(round[s])/float64(round[counted]))
		}
	}
	var b strings.Builder
	b.WriteString(report.Machine())
	fmt.Fprintf(&b, "%d turns of %d registrations for each line, in one process on the demo world and SQLite, in an order drawn for every round; spans go to another process. "+
		"CPU time of the process, sending included: the median of the turns, and the median of their ratios to the turn of the same round that only counts, with its 95%% interval.\n\n", telemetryTurns, turnRequests)
	b.WriteString("| what watches a registration | CPU per request | × counted only | 95% interval |\n|---|---|---|---|\n")
	for _, s := range []*side{unwatched, counted, sides[1], sides[2]} {
		low, mid, high := middle(s.times)
		slices.Sort(s.each)
		if s == counted {
			fmt.Fprintf(&b, "| %s | %d µs | 1 | |\n", s.name, s.each[len(s.each)/2].Microseconds())
			continue
		}
		fmt.Fprintf(&b, "| %s | %d µs | %.3f | %.3f to %.3f |\n", s.name, s.each[len(s.each)/2].Microseconds(), mid, low, high)
	}
	return b.String(), nil
}

// telemetryTo makes telemetry that sends the share of traces to url; empty: it sends none.
func telemetryTo(ctx context.Context, url, share string) (*server.Telemetry, error) {
	var errs []error
	set := func(name, value string) { errs = append(errs, os.Setenv(name, value)) }
	if share == "" {
		set("OTEL_TRACES_EXPORTER", "none")
	} else {
		set("OTEL_TRACES_EXPORTER", "otlp")
	}
	set("OTEL_METRICS_EXPORTER", "none")
	set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url)
	set("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
	set("OTEL_TRACES_SAMPLER_ARG", share)
	set("OTEL_BSP_SCHEDULE_DELAY", "50") // milliseconds: a turn pays for its own spans
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return server.OpenTelemetry(ctx, "bench")
}

// sink takes what is sent.
func sink() http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
}

// ownCPU is the CPU time this process has had.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it knows itself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// middle returns the median of xs and the 95% interval of it, by order statistics.
func middle(xs []float64) (low, mid, high float64) {
	xs = slices.Sorted(slices.Values(xs))
	n := len(xs)
	// The number of values below the median is binomial(n, 1/2): the interval leaves out at most 2.5% at each end.
	k, p, sum := 0, 1.0, 0.0
	for range n {
		p /= 2
	}
	for ; sum+p <= 0.025; k++ {
		sum += p
		p *= float64(n-k) / float64(k+1)
	}
	k = max(k, 1)
	return xs[k-1], (xs[(n-1)/2] + xs[n/2]) / 2, xs[n-k]
}
