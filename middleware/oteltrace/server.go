package oteltrace

import (
	"context"
	"net/http"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/idempotency"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Server returns next within one server span per request, made by otelhttp, which
// continues the trace of the request. Put it around the middleware, so that refused
// requests have a span too.
func (t *Tracing) Server(next http.Handler) http.Handler {
	if t.off {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx := t.cfg.propagators.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
	return otelhttp.NewMiddleware("", t.http...)(next)
}

// ServerObserver returns an observer that adds attributes to server spans: the reason if
// the request was shed, the [middleware.Result] if the status of the response does not
// say it, and attempt and queue wait where they are known. Use it with
// middleware.WithObserver.
func (t *Tracing) ServerObserver() middleware.Observer {
	return middleware.Observer{OnRequest: func(ctx context.Context, e middleware.Event) {
		span := trace.SpanFromContext(ctx)
		if !span.IsRecording() {
			return
		}
		var attrs []attribute.KeyValue
		if e.Shed != middleware.ShedNone {
			attrs = append(attrs, attrShed.String(string(e.Shed)), attrDryRun.Bool(e.DryRun))
		}
		if e.Attempt > 0 {
			attrs = append(attrs, attrAttempt.Int(e.Attempt))
		}
		if e.QueueWait > 0 {
			attrs = append(attrs, attrQueueWait.Float64(e.QueueWait.Seconds()))
		}
		result := e.Result()
		switch result {
		case middleware.ResultTimeout, middleware.ResultCancelled, middleware.ResultAborted, middleware.ResultPanicked, middleware.ResultHijacked:
			attrs = append(attrs, attrResult.String(string(result)))
		}
		if (e.Panicked || e.Aborted) && e.Status != 0 { // otelhttp says nothing more
			attrs = append(attrs, semconv.HTTPResponseStatusCode(e.Status))
		}
		span.SetAttributes(attrs...)
		if own := spanOf(ctx); own != nil {
			own.request = result
			if e.Shed == middleware.ShedGone {
				own.request = middleware.ResultCancelled
			}
		}
		if e.Panicked || e.Aborted && e.Expired {
			spoil(span, string(result))
		}
	}}
}

// KeyObserver returns an observer that adds the [idempotency.Outcome] of a request with
// an Idempotency-Key to its server span, and the number of runs if there was more than
// one. Use it with idempotency.WithObserver.
func (t *Tracing) KeyObserver() idempotency.Observer {
	return idempotency.Observer{OnKey: func(ctx context.Context, e idempotency.Event) {
		span := trace.SpanFromContext(ctx)
		if !span.IsRecording() {
			return
		}
		span.SetAttributes(attrIdempotency.String(string(e.Outcome)))
		if e.Runs > 1 {
			span.SetAttributes(attrRuns.Int(e.Runs))
		}
	}}
}
