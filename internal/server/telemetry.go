package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
)

// buckets of durations, in seconds: a decision takes about a millisecond, and what takes seconds is broken.
var buckets = []float64{0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// stageBuckets are those of the stages, which are shorter.
var stageBuckets = []float64{0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5}

// Telemetry is where measurements and traces go. It implements engine.Observer.
type Telemetry struct {
	own        *prometheus.Registry // of collectors that are Prometheus's own
	all        prometheus.Gatherers // what a scrape reads
	meters     *sdkmetric.MeterProvider
	tracers    trace.TracerProvider
	tracer     trace.Tracer
	tracing    bool // traces go somewhere
	propagator propagation.TextMapPropagator
	close      []func(context.Context) error

	meter        metric.Meter
	decisions    metric.Int64Counter
	decision     metric.Float64Histogram
	candidates   metric.Int64Histogram
	rules        metric.Int64Counter
	stage        metric.Float64Histogram
	stageLabels  map[string]metric.MeasurementOption
	commit       metric.Float64Histogram
	commitLabels map[bool]metric.MeasurementOption
	batch        metric.Int64Histogram
	checks       metric.Int64Counter
	importRows   metric.Int64Counter
}

// NewTelemetry measures for /metrics, and traces nowhere.
func NewTelemetry() *Telemetry { return newTelemetry(prometheus.NewRegistry()) }

// newTelemetry measures for /metrics and for the readers.
func newTelemetry(own *prometheus.Registry, readers ...sdkmetric.Option) *Telemetry {
	t := &Telemetry{own: own, propagator: propagation.TraceContext{}}
	own.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registry := prometheus.NewRegistry()
	t.all = prometheus.Gatherers{registry, own}
	exporter, err := otelprom.New(otelprom.WithRegisterer(registry), otelprom.WithoutScopeInfo(), otelprom.WithoutTargetInfo())
	if err != nil {
		panic(err) // a fresh registry takes every collector
	}
	t.meters = sdkmetric.NewMeterProvider(append(readers, sdkmetric.WithReader(exporter), sdkmetric.WithView(httpView))...)
	t.trace(noop.NewTracerProvider())
	t.meter = t.meters.Meter(scope)
	t.decisions = must(t.meter.Int64Counter("dibs_decisions", metric.WithDescription("Registrations decided and committed.")))
	t.decision = must(t.meter.Float64Histogram("dibs_decision", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(buckets...),
		metric.WithDescription("From a valid registration to its committed answer.")))
	t.candidates = must(t.meter.Int64Histogram("dibs_decision_candidates", metric.WithExplicitBucketBoundaries(0, 1, 2, 4, 6, 10, 15, 20, 30),
		metric.WithDescription("Accounts, opportunities and registrations a decision weighed.")))
	t.rules = must(t.meter.Int64Counter("dibs_rules", metric.WithDescription("Rules of the policy that fired, by what came of them: decided, lost, overridden, shadow, error.")))
	t.stage = must(t.meter.Float64Histogram("dibs_stage", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(stageBuckets...),
		metric.WithDescription("Stages of a registration: "+strings.Join(engine.Stages, ", ")+".")))
	t.stageLabels = map[string]metric.MeasurementOption{}
	for _, s := range engine.Stages {
		t.stageLabels[s] = metric.WithAttributeSet(attribute.NewSet(attribute.String("stage", s)))
	}
	t.commit = must(t.meter.Float64Histogram("dibs_commit", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(buckets...),
		metric.WithDescription("Commits to the ledger, from asking for its head to the disk's answer.")))
	t.commitLabels = map[bool]metric.MeasurementOption{
		true:  metric.WithAttributeSet(attribute.NewSet(attribute.String("result", "ok"))),
		false: metric.WithAttributeSet(attribute.NewSet(attribute.String("result", "failed"))),
	}
	t.batch = must(t.meter.Int64Histogram("dibs_commit_requests", metric.WithExplicitBucketBoundaries(1, 2, 4, 8, 16, 32, 64, 128, 256),
		metric.WithDescription("Requests that shared one commit.")))
	t.checks = must(t.meter.Int64Counter("dibs_check", metric.WithDescription("Pre-checks answered.")))
	t.importRows = must(t.meter.Int64Counter("dibs_import_rows", metric.WithDescription("Rows of imports, by what became of them.")))
	return t
}

// scope names our own instruments and spans.
const scope = "github.com/dibs-deals/dibs"

func (t *Telemetry) trace(to trace.TracerProvider) { t.tracers, t.tracer = to, to.Tracer(scope) }

// Register adds a collector to what a scrape reads. A collector that does not fit is a mistake in the program: it panics.
func (t *Telemetry) Register(c prometheus.Collector) { t.own.MustRegister(c) }

// httpView keeps the durations of requests, by attributes that have few values: the host name a caller sends is its own
// choice, and would be a new series each time. Sizes of bodies are in the log.
func httpView(i sdkmetric.Instrument) (sdkmetric.Stream, bool) {
	switch {
	case i.Name == "http.server.request.duration":
		return sdkmetric.Stream{
			Name: i.Name, Description: i.Description, Unit: i.Unit,
			AttributeFilter: attribute.NewAllowKeysFilter("http.request.method", "http.route", "http.response.status_code"),
			Aggregation:     sdkmetric.AggregationExplicitBucketHistogram{Boundaries: buckets},
			ExemplarReservoirProviderSelector: func(sdkmetric.Aggregation) exemplar.ReservoirProvider {
				return func(attribute.Set) exemplar.Reservoir { return bare{exemplar.NewHistogramReservoir(buckets)} }
			},
		}, true
	case strings.HasPrefix(i.Name, "http.server."):
		return sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}}, true
	}
	return sdkmetric.Stream{}, false
}

// bare keeps the attributes that a view left out from coming back with the exemplars.
type bare struct{ exemplar.Reservoir }

func (b bare) Offer(ctx context.Context, at time.Time, v exemplar.Value, _ []attribute.KeyValue) {
	b.Reservoir.Offer(ctx, at, v, nil)
}

// must is for instruments, whose names are fixed above.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// OpenTelemetry is NewTelemetry with traces and metrics sent by OTLP over HTTP, where the standard variables say:
// OTEL_EXPORTER_OTLP_ENDPOINT for both, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and OTEL_EXPORTER_OTLP_METRICS_ENDPOINT for
// one; OTEL_TRACES_EXPORTER=none and OTEL_METRICS_EXPORTER=none leave one out. The other OTEL_* variables apply, among
// them OTEL_TRACES_SAMPLER and its ARG.
func OpenTelemetry(ctx context.Context, version string) (*Telemetry, error) {
	traces, metrics := sends("TRACES"), sends("METRICS")
	if !traces && !metrics {
		return NewTelemetry(), nil
	}
	res, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "dibs"), attribute.String("service.version", version)),
		resource.WithFromEnv()) // last, so that OTEL_SERVICE_NAME wins
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	own := prometheus.NewRegistry()
	readers := []sdkmetric.Option{sdkmetric.WithResource(res)}
	if metrics {
		exporter, err := otlpmetrichttp.New(ctx)
		if err != nil {
			return nil, fmt.Errorf("metrics by OTLP: %w", err)
		}
		readers = append(readers, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithProducer(bridge.NewMetricProducer(bridge.WithGatherer(own))))))
	}
	t := newTelemetry(own, readers...)
	if traces {
		exporter, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("traces by OTLP: %w", err), t.Close(ctx))
		}
		tp := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(res))
		t.trace(tp)
		t.tracing = true
		t.close = append(t.close, tp.Shutdown)
	}
	return t, nil
}

// sends reports whether the signal is to be sent by OTLP.
func sends(signal string) bool {
	return os.Getenv("OTEL_SDK_DISABLED") != "true" && os.Getenv("OTEL_"+signal+"_EXPORTER") != "none" &&
		(os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != "")
}

// Close sends what is left of traces and metrics.
func (t *Telemetry) Close(ctx context.Context) error {
	var errs []error
	for _, f := range t.close {
		errs = append(errs, f(ctx))
	}
	return errors.Join(append(errs, t.meters.Shutdown(ctx))...)
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
	policy := gauge("dibs_policy_info", "1, labelled with the live policy and territory plan.")
	age := must(t.meter.Float64ObservableGauge("dibs_ledger_head_age", metric.WithUnit("s"), metric.WithDescription("Since the last entry of the ledger.")))
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
		o.ObserveInt64(policy, 1, metric.WithAttributes(attribute.String("policy", r.Policy), attribute.String("territories", r.Plan)))
		if !r.HeadAt.IsZero() {
			o.ObserveFloat64(age, max(0, e.Now().Sub(r.HeadAt).Seconds()))
		}
		return nil
	}, ready, position, head, lag, accounts, claims, policy, age))
}

// decided counts a fresh decision. Reasons and rules are the policy's: there are dozens, not thousands.
func (t *Telemetry) decided(ctx context.Context, d *deal.Decision, took time.Duration) {
	reason := ""
	if len(d.ReasonCodes) > 0 {
		reason = d.ReasonCodes[0]
	}
	outcome := attribute.String("outcome", string(d.Outcome))
	t.decisions.Add(ctx, 1, metric.WithAttributes(outcome, attribute.String("reason", reason)))
	t.decision.Record(ctx, took.Seconds(), metric.WithAttributes(outcome))
	weighed := 0
	for _, c := range d.Candidates {
		weighed += len(c)
	}
	t.candidates.Record(ctx, int64(weighed))
	for _, r := range d.Trace {
		t.rules.Add(ctx, 1, metric.WithAttributes(attribute.String("rule", r.Rule), attribute.String("result", r.Result)))
	}
}

func (t *Telemetry) checked(ctx context.Context, advice string) {
	t.checks.Add(ctx, 1, metric.WithAttributes(attribute.String("advice", advice)))
}

func (t *Telemetry) imported(ctx context.Context, kind deal.RecordKind, result string, n int) {
	if n > 0 {
		t.importRows.Add(ctx, int64(n), metric.WithAttributes(attribute.String("kind", string(kind)), attribute.String("result", result)))
	}
}
