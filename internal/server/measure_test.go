package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

// TestMeasured holds what is measured of requests while traces go nowhere to what otelhttp measures.
func TestMeasured(t *testing.T) {
	measured := func(tracing bool) (out []string) {
		tel := NewTelemetry()
		tel.tracing = tracing
		seen := 0
		h := tel.handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "" {
				nameRoute(r, r.URL.Path)
			}
			if trace.SpanContextFromContext(r.Context()).HasTraceID() {
				seen++
			}
			switch r.URL.Path {
			case "/nothing":
			case "/early":
				w.WriteHeader(http.StatusEarlyHints)
				w.WriteHeader(http.StatusNotFound)
				w.WriteHeader(http.StatusOK)
			case "/flushed":
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
			default:
				_, _ = fmt.Fprint(w, "written")
			}
		}))
		for _, method := range []string{"GET", "HEAD", "post", "PURGE", "OPTIONS"} {
			for _, path := range []string{"/nothing", "/early", "/flushed", "/written", ""} {
				r := httptest.NewRequest(method, "http://vendor.example/", nil)
				r.URL.Path = path
				if path == "/early" {
					r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
				}
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
		}
		if seen != 5 {
			t.Errorf("tracing %t: %d handlers knew of the caller's trace, not 5", tracing, seen)
		}
		families, err := tel.all.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if !strings.HasPrefix(f.GetName(), "http_") {
				continue
			}
			for _, m := range f.GetMetric() {
				out = append(out, fmt.Sprint(f.GetName(), f.GetHelp(), f.GetType(), m.GetLabel(), m.GetHistogram().GetSampleCount(), len(m.GetHistogram().GetBucket())))
			}
		}
		return out
	}
	want, got := measured(true), measured(false)
	if len(want) < 15 || !slices.Equal(want, got) {
		t.Errorf("otelhttp measures\n%s\nand here is measured\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}
