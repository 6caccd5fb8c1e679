package server

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
)

// Filed implements engine.Observer: measurements of each stage, their spans when the request is traced, and what the
// answer's Server-Timing says.
func (t *Telemetry) Filed(ctx context.Context, d *deal.Decision, stages []engine.Stage) {
	for _, s := range stages {
		t.stage.Record(ctx, s.To.Sub(s.From).Seconds(), t.stageLabels[s.Name])
	}
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		c.stages = stages
	}
	if d != nil {
		t.decided(ctx, d, stages[len(stages)-1].To.Sub(stages[0].From))
	}
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	for _, s := range stages {
		_, part := t.tracer.Start(ctx, s.Name, trace.WithTimestamp(s.From))
		part.End(trace.WithTimestamp(s.To))
	}
	if d == nil {
		return
	}
	span.SetAttributes(
		attribute.String("dibs.registration.id", d.RegistrationID), attribute.String("dibs.outcome", string(d.Outcome)),
		attribute.StringSlice("dibs.reason_codes", d.ReasonCodes), attribute.String("dibs.policy", d.Policy.Name), attribute.Int("dibs.policy.version", d.Policy.Version),
		attribute.Int("dibs.conflicts", len(d.Conflicts)))
}

// Commit implements engine.Observer. The commit is a span of the first request in it that is traced, and linked to the
// others.
func (t *Telemetry) Commit(requests []context.Context) (context.Context, func(error)) {
	began := time.Now()
	ctx := context.Background()
	var span trace.Span
	for _, r := range requests {
		switch s := trace.SpanFromContext(r); {
		case !s.IsRecording():
		case span == nil:
			ctx, span = t.tracer.Start(trace.ContextWithSpan(ctx, s), "commit", trace.WithAttributes(attribute.Int("dibs.requests", len(requests))))
		default:
			span.AddLink(trace.Link{SpanContext: s.SpanContext()})
		}
	}
	return ctx, func(err error) {
		t.commit.Record(ctx, time.Since(began).Seconds(), t.commitLabels[err == nil])
		t.batch.Record(ctx, int64(len(requests)))
		if span == nil {
			return
		}
		if err != nil {
			span.SetStatus(codes.Error, "") // why is in the log
		}
		span.End()
	}
}

// serverTiming says how long each stage took, in milliseconds, and where the trace is. A portal that is limited to some
// partners reads the sum alone: how long looking and deciding took would tell it what there is to find.
func serverTiming(ctx context.Context, c *call) string {
	if len(c.stages) == 0 {
		return ""
	}
	ms := func(d time.Duration) string { return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', -1, 64) }
	var b strings.Builder
	if c.partners() == nil {
		for _, s := range c.stages {
			b.WriteString(s.Name + ";dur=" + ms(s.To.Sub(s.From)) + ", ")
		}
	}
	b.WriteString("total;dur=" + ms(c.stages[len(c.stages)-1].To.Sub(c.stages[0].From)))
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		sc := span.SpanContext()
		b.WriteString(`, traceparent;desc="00-` + sc.TraceID().String() + "-" + sc.SpanID().String() + `-01"`)
	}
	return b.String()
}

// Postgres traces what is asked of PostgreSQL inside a traced request: statements without their values. nil while
// traces go nowhere.
func (t *Telemetry) Postgres() pgx.QueryTracer {
	if !t.tracing {
		return nil
	}
	return otelpgx.NewTracer(otelpgx.WithTracerProvider(borrowed{of: t.tracers}), otelpgx.WithMeterProvider(metricnoop.NewMeterProvider()), otelpgx.WithDisableConnectionDetailsInAttributes())
}

// Redis traces what is asked of Redis inside a traced request: commands without their arguments. It does nothing while
// traces go nowhere.
func (t *Telemetry) Redis(c redis.UniversalClient) error {
	if !t.tracing {
		return nil
	}
	return redisotel.InstrumentTracing(c, redisotel.WithTracerProvider(borrowed{of: t.tracers}), redisotel.WithDBStatement(false), redisotel.WithCallerEnabled(false))
}

// borrowed is for the instrumentation of others: it makes spans inside traced requests only, and keeps out of them the
// texts of errors, which may quote values.
type borrowed struct {
	embedded.TracerProvider
	of trace.TracerProvider
}

func (b borrowed) Tracer(name string, o ...trace.TracerOption) trace.Tracer {
	return borrowedTracer{of: b.of.Tracer(name, o...)}
}

type borrowedTracer struct {
	embedded.Tracer
	of trace.Tracer
}

func (b borrowedTracer) Start(ctx context.Context, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, trace.SpanFromContext(context.Background())
	}
	ctx, span := b.of.Start(ctx, name, o...)
	quiet := borrowedSpan{span}
	return trace.ContextWithSpan(ctx, quiet), quiet
}

type borrowedSpan struct{ trace.Span }

func (s borrowedSpan) RecordError(err error, _ ...trace.EventOption) {
	s.SetAttributes(attribute.String("error.type", fmt.Sprintf("%T", err)))
}

func (s borrowedSpan) SetStatus(code codes.Code, _ string) { s.Span.SetStatus(code, "") }

// TraceLog adds to each line that is written under a traced request's context where its trace is.
func TraceLog(h slog.Handler) slog.Handler { return traceLog{h} }

type traceLog struct{ slog.Handler }

func (h traceLog) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h traceLog) WithAttrs(a []slog.Attr) slog.Handler { return traceLog{h.Handler.WithAttrs(a)} }

func (h traceLog) WithGroup(name string) slog.Handler { return traceLog{h.Handler.WithGroup(name)} }
