package oteltrace

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/headers/service"
	"github.com/datapunk/evenkeel/transport"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Call returns next within one internal span per call, which ends when the body of the
// response is closed or read to its end. Use it with transport.WithCallLayer. A nil next
// means [http.DefaultTransport].
func (t *Tracing) Call(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	if t.off {
		return next
	}
	return &callLayer{tracing: t, next: next}
}

type callLayer struct {
	tracing *Tracing
	next    http.RoundTripper
}

func (l *callLayer) CloseIdleConnections() { closeIdle(l.next) }

func (l *callLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, span := l.tracing.tracer.Start(req.Context(), "evenkeel.call")
	if !span.SpanContext().IsValid() && !l.tracing.metric {
		ctx = &offCtx{ctx}
	}
	req = req.WithContext(ctx)
	if !span.IsRecording() {
		return l.next.RoundTrip(req)
	}
	span.SetAttributes(attrService.String(headers.Label(service.Of(ctx))))
	held := false
	defer func() {
		if !held {
			span.End()
		}
	}()
	resp, err := l.roundTrip(req, span)
	if err != nil || resp == nil || resp.Body == nil || resp.Body == http.NoBody {
		return resp, err
	}
	held = true
	resp.Body = untilClosed(ctx, resp.Body, span)
	return resp, nil
}

// roundTrip says in the span what became of the call.
func (l *callLayer) roundTrip(req *http.Request, span trace.Span) (*http.Response, error) {
	returned := false
	defer func() {
		if !returned {
			spoil(span, string(transport.ResultPanicked))
		}
	}()
	resp, err := l.next.RoundTrip(req)
	returned = true
	if call, ok := callOf(req.Context(), resp, err); ok {
		span.SetAttributes(
			attrAttempts.Int(call.Attempts),
			attrWaited.Float64(call.Waited.Seconds()),
			attrStop.String(string(call.Stop)),
		)
		if call.Stop != transport.StopCancelled && (err != nil || badly(call)) {
			spoil(span, string(call.Stop))
		}
	} else if r := transport.ResultOf(req.Context(), 0, err); r.Failed() {
		spoil(span, string(r))
	}
	return resp, err
}

// spoil marks a span as failed, in one word. The text of an error may hold a
// URL with secrets.
func spoil(span trace.Span, word string) {
	span.SetAttributes(semconv.ErrorTypeKey.String(word))
	span.SetStatus(codes.Error, word)
}

// callOf is what the chain did. It is not known where a layer further in
// answered in its place.
func callOf(ctx context.Context, resp *http.Response, err error) (transport.Call, bool) {
	if err == nil {
		return transport.CallOf(resp)
	}
	call, ok := transport.CallIn(ctx)
	return call, ok && call.Stop != ""
}

// badly reports whether a call with a response ended as its caller would not
// have it. A 404 is an answer.
func badly(c transport.Call) bool {
	switch c.Stop {
	case transport.StopSucceeded:
		return false
	case transport.StopNotRetryable:
		return c.Status >= 500
	}
	return true
}

// offCtx is the context of a call without a span, in which none of its attempts
// needs one.
type offCtx struct{ context.Context }

type offKey struct{}

func (c *offCtx) Value(key any) any {
	if _, ok := key.(offKey); ok {
		return true
	}
	return c.Context.Value(key)
}

// ClientObserver returns an observer that records in the span of a call what each retry
// waited for. Use it with transport.WithObserver.
func (t *Tracing) ClientObserver() transport.Observer {
	return transport.Observer{OnAttempt: func(ctx context.Context, e transport.AttemptEvent) {
		span := trace.SpanFromContext(ctx)
		if e.Attempt <= 1 || !span.IsRecording() {
			return
		}
		span.AddEvent("evenkeel.retry", trace.WithAttributes(retryAttributes(e)...), trace.WithTimestamp(time.Now().Add(-e.Duration)))
	}}
}

func retryAttributes(e transport.AttemptEvent) []attribute.KeyValue {
	attrs := []attribute.KeyValue{attrAttempt.Int(e.Attempt), attrWaited.Float64(e.Waited.Seconds())}
	after := "hedge" // the attempt before had not ended
	switch {
	case e.Hedge:
	case e.AfterStatus != 0:
		after = strconv.Itoa(e.AfterStatus)
	case e.AfterErr != nil:
		after = "error"
	}
	return append(attrs, attrAfter.String(after))
}
