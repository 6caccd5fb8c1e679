package server

import (
	"context"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
)

// handler measures the requests that next answers, and traces them where traces go somewhere. Where they do not, all that is left of what otelhttp does is
// one measurement: what it makes for each request to come to that costs more than to read the request.
func (t *Telemetry) handler(next http.Handler) http.Handler {
	if t.tracing {
		return otelhttp.NewHandler(next, "http", otelhttp.WithMeterProvider(t.meters), otelhttp.WithTracerProvider(t.tracers), otelhttp.WithPropagators(t.propagator))
	}
	// As otelhttp names it; httpView says more.
	duration := must(t.meter.Float64Histogram("http.server.request.duration", metric.WithUnit("s"), metric.WithDescription("Duration of HTTP server requests.")))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, ctx := time.Now(), r.Context()
		if r.Header.Get("Traceparent") != "" { // the caller traces, and finds its trace in the log
			ctx = t.propagator.Extract(ctx, propagation.HeaderCarrier(r.Header))
		}
		m := &measured{ResponseWriter: w}
		next.ServeHTTP(m, r.WithContext(context.WithValue(ctx, measuredKey{}, m)))
		duration.Record(ctx, time.Since(start).Seconds(), t.request(r.Method, m.route, m.code()))
	})
}

// measured is an answer on its way, and what is measured of it. A handler that finds it in its context says there which route was taken.
type measured struct {
	http.ResponseWriter
	route  string
	status int
}

type measuredKey struct{}

// Unwrap is for http.ResponseController.
func (m *measured) Unwrap() http.ResponseWriter { return m.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (m *measured) WriteHeader(status int) {
	if m.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		m.status = status
	}
	m.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (m *measured) Write(b []byte) (int, error) {
	m.status = m.code()
	return m.ResponseWriter.Write(b)
}

func (m *measured) code() int {
	if m.status == 0 {
		return http.StatusOK
	}
	return m.status
}

// methods are those that are told apart.
var methods = map[string]bool{"CONNECT": true, "DELETE": true, "GET": true, "HEAD": true, "OPTIONS": true, "PATCH": true, "POST": true, "PUT": true, "TRACE": true}

// request returns the attributes of a request as an option that is made once: routes are those of the specification and of the desk.
func (t *Telemetry) request(method, route string, status int) metric.MeasurementOption {
	if method = strings.ToUpper(method); !methods[method] {
		method = "_OTHER"
	}
	type key struct {
		method, route string
		status        int
	}
	if made, ok := t.labels.Load(key{method, route, status}); ok {
		return made.(metric.MeasurementOption)
	}
	attributes := []attribute.KeyValue{attribute.String("http.request.method", method), attribute.Int("http.response.status_code", status)}
	if route != "" {
		attributes = append(attributes, attribute.String("http.route", route))
	}
	made := metric.WithAttributeSet(attribute.NewSet(attributes...))
	t.labels.Store(key{method, route, status}, made)
	return made
}
