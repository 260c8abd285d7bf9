package oteltrace

import (
	"context"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"go.opentelemetry.io/otel/trace"
)

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
