package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
)

// buckets of durations, in seconds: a decision takes about a millisecond, and what takes seconds is broken.
var buckets = []float64{0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// Telemetry is where measurements and traces go. All measurements end in one Prometheus registry.
type Telemetry struct {
	Registry   *prometheus.Registry
	meters     *sdkmetric.MeterProvider
	tracers    trace.TracerProvider
	propagator propagation.TextMapPropagator
	close      func(context.Context) error

	meter      metric.Meter
	decisions  metric.Int64Counter
	decision   metric.Float64Histogram
	checks     metric.Int64Counter
	importRows metric.Int64Counter
}

// NewTelemetry measures, and traces nowhere.
func NewTelemetry() *Telemetry {
	t := &Telemetry{
		Registry: prometheus.NewRegistry(), tracers: noop.NewTracerProvider(),
		propagator: propagation.TraceContext{}, close: func(context.Context) error { return nil },
	}
	t.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := otelprom.New(otelprom.WithRegisterer(t.Registry), otelprom.WithoutScopeInfo(), otelprom.WithoutTargetInfo())
	if err != nil {
		panic(err) // a fresh registry takes every collector
	}
	t.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithView(httpView))
	t.meter = t.meters.Meter("github.com/dibs-deals/dibs")
	t.decisions = must(t.meter.Int64Counter("dibs_decisions", metric.WithDescription("Registrations decided and committed.")))
	t.decision = must(t.meter.Float64Histogram("dibs_decision", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(buckets...),
		metric.WithDescription("From a valid registration to its committed answer.")))
	t.checks = must(t.meter.Int64Counter("dibs_check", metric.WithDescription("Pre-checks answered.")))
	t.importRows = must(t.meter.Int64Counter("dibs_import_rows", metric.WithDescription("Rows of imports, by what became of them.")))
	return t
}

// httpView keeps the durations of requests, by attributes that have few values: the host name a caller sends is its own
// choice, and would be a new series each time. Sizes of bodies are in the log.
func httpView(i sdkmetric.Instrument) (sdkmetric.Stream, bool) {
	switch {
	case i.Name == "http.server.request.duration":
		return sdkmetric.Stream{
			Name: i.Name, Description: i.Description, Unit: i.Unit,
			AttributeFilter: attribute.NewAllowKeysFilter("http.request.method", "http.route", "http.response.status_code"),
			Aggregation:     sdkmetric.AggregationExplicitBucketHistogram{Boundaries: buckets},
		}, true
	case strings.HasPrefix(i.Name, "http.server."):
		return sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}}, true
	}
	return sdkmetric.Stream{}, false
}

// must is for instruments, whose names are fixed above.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// OpenTelemetry is NewTelemetry with traces sent by OTLP over HTTP, if the standard variable
// OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT names where. The other OTEL_* variables apply.
func OpenTelemetry(ctx context.Context, version string) (*Telemetry, error) {
	t := NewTelemetry()
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return t, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	res, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "dibs"), attribute.String("service.version", version)),
		resource.WithFromEnv()) // last, so that OTEL_SERVICE_NAME wins
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("traces: %w", err)
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(res))
	t.tracers, t.close = tp, tp.Shutdown
	return t, nil
}

// Close sends what is left of the traces.
func (t *Telemetry) Close(ctx context.Context) error {
	return errors.Join(t.close(ctx), t.meters.Shutdown(ctx))
}

// observe reports the state of the engine at each scrape.
func (t *Telemetry) observe(e *engine.Engine) {
	gauge := func(name, text string) metric.Int64ObservableGauge {
		return must(t.meter.Int64ObservableGauge(name, metric.WithDescription(text)))
	}
	ready := gauge("dibs_ready", "1 when a decision could be made now.")
	position := gauge("dibs_ledger_position", "Sequence of the last ledger entry this process has applied.")
	head := gauge("dibs_ledger_head", "Sequence of the last ledger entry in the store.")
	lag := gauge("dibs_replica_lag_entries", "Ledger entries in the store that this process has not applied.")
	accounts := gauge("dibs_index_accounts", "Accounts in the index.")
	claims := gauge("dibs_claims", "Registrations that are live claims.")
	must(t.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		r := e.Ready(ctx)
		up := int64(0)
		if r.Ready {
			up = 1
		}
		o.ObserveInt64(ready, up)
		o.ObserveInt64(position, int64(r.Position))
		o.ObserveInt64(head, int64(r.Head))
		o.ObserveInt64(lag, int64(r.Lag))
		o.ObserveInt64(accounts, int64(r.Accounts))
		o.ObserveInt64(claims, int64(r.Claims))
		return nil
	}, ready, position, head, lag, accounts, claims))
}

// decided counts a fresh decision by what its answer says.
func (t *Telemetry) decided(ctx context.Context, body []byte, took time.Duration) {
	var a struct {
		Decision struct {
			Outcome     string   `json:"outcome"`
			ReasonCodes []string `json:"reason_codes"`
		} `json:"decision"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return // the engine wrote it; a test holds it to its form
	}
	reason := ""
	if len(a.Decision.ReasonCodes) > 0 {
		reason = a.Decision.ReasonCodes[0] // a code of the policy: there are dozens, not thousands
	}
	t.decisions.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", a.Decision.Outcome), attribute.String("reason", reason)))
	t.decision.Record(ctx, took.Seconds(), metric.WithAttributes(attribute.String("outcome", a.Decision.Outcome)))
}

func (t *Telemetry) checked(ctx context.Context, advice string) {
	t.checks.Add(ctx, 1, metric.WithAttributes(attribute.String("advice", advice)))
}

func (t *Telemetry) imported(ctx context.Context, kind deal.RecordKind, result string, n int) {
	if n > 0 {
		t.importRows.Add(ctx, int64(n), metric.WithAttributes(attribute.String("kind", string(kind)), attribute.String("result", result)))
	}
}
