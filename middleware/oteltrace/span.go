package oteltrace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/transport"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// provider is where otelhttp has its spans from. It sees them as a *span; in
// the context, and so for everybody else, they are those of the program's own
// provider.
type provider struct{ trace.TracerProvider }

func (p provider) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return tracer{p.TracerProvider.Tracer(name, opts...)}
}

type tracer struct{ trace.Tracer }

func (t tracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx, inner := t.Tracer.Start(ctx, headers.Label(name), opts...)
	if !inner.IsRecording() {
		return ctx, inner
	}
	s := &span{Span: inner, Context: ctx}
	// What otelhttp says from the start comes from strangers: path, host, client
	// address, user agent.
	if started, ok := inner.(interface{ Attributes() []attribute.KeyValue }); ok {
		for _, kv := range started.Attributes() {
			if clean := labelled(kv); clean != kv {
				inner.SetAttributes(clean)
			}
		}
	}
	return s, s
}

// span is an attempt or a request as otelhttp sees it. otelhttp puts the text
// of errors into it, which may hold a URL with secrets, and takes for an error
// what the caller called off on purpose. It is the context of the request too,
// to save an allocation.
type span struct {
	trace.Span
	context.Context
	attempt transport.Result  // how RoundTrip ended, if with an error
	request middleware.Result // what the server made of it; "" on the client
}

type spanKey struct{}

// Value implements [context.Context].
func (s *span) Value(key any) any {
	if _, ok := key.(spanKey); ok {
		return s
	}
	return s.Context.Value(key)
}

// spanOf returns the span of the attempt or request that ctx belongs to, if it
// is one of otelhttp's; nil if not.
func spanOf(ctx context.Context) *span {
	s, ok := ctx.Value(spanKey{}).(*span)
	if !ok || s.SpanContext().SpanID() != trace.SpanContextFromContext(ctx).SpanID() {
		return nil // of a caller further out
	}
	return s
}

// SetAttributes is called by otelhttp with the type of an error alone, and with
// all that it knows of a response at once.
func (s *span) SetAttributes(kv ...attribute.KeyValue) {
	if len(kv) == 1 && kv[0].Key == semconv.ErrorTypeKey {
		word, failed := s.word()
		kv = []attribute.KeyValue{attrResult.String(word), labelled(kv[0])}
		switch {
		case !failed:
			kv = kv[:1]
		case word != string(transport.ResultError): // of those the type says more
			kv[1] = semconv.ErrorTypeKey.String(word)
		}
		s.Span.SetAttributes(kv...)
		return
	}
	if slices.ContainsFunc(kv, func(kv attribute.KeyValue) bool { return labelled(kv) != kv }) {
		kv = slices.Clone(kv)
		for i := range kv {
			kv[i] = labelled(kv[i])
		}
	}
	s.Span.SetAttributes(kv...)
}

// SetStatus is called by otelhttp with the text of an error, or, for what a
// status says by itself, without one.
func (s *span) SetStatus(code codes.Code, text string) {
	if code == codes.Error {
		if isCalledOff(s.request) {
			return
		}
		if text != "" && !strings.HasPrefix(text, "Invalid HTTP status code") {
			word, failed := s.word()
			if !failed {
				return
			}
			text = word
		}
	}
	s.Span.SetStatus(code, text)
}

// SetName is called by otelhttp with the pattern that matched.
func (s *span) SetName(name string) { s.Span.SetName(headers.Label(name)) }

// End is deferred by otelhttp, and so meets the panic of a handler before the
// SDK does, which would note the text of it. An abort is no exception.
func (s *span) End(opts ...trace.SpanEndOption) {
	p := recover()
	if p != nil && p != http.ErrAbortHandler {
		s.AddEvent(semconv.ExceptionEventName, trace.WithAttributes(semconv.ExceptionType(fmt.Sprintf("%T", p))))
	}
	s.Span.End(opts...)
	if p != nil {
		panic(p)
	}
}

// word says how an attempt ended: by the error of RoundTrip, or by one of the
// body.
func (s *span) word() (word string, failed bool) {
	if s.attempt != "" {
		return string(s.attempt), s.attempt.Failed()
	}
	return bodyWord(s.Context)
}

var errBody = errors.New("oteltrace: the body broke off")

// bodyWord says why the body of a response in this context broke off.
func bodyWord(ctx context.Context) (word string, failed bool) {
	r := transport.ResultOf(ctx, 0, errBody)
	if r == transport.ResultError {
		return "body", true
	}
	return string(r), r.Failed()
}

// isCalledOff reports whether a request came to an end that is no failure of
// the server, whatever it would have answered.
func isCalledOff(r middleware.Result) bool {
	return r == middleware.ResultCancelled || r == middleware.ResultAborted
}

// labelled returns an attribute that exporters do not choke on.
func labelled(kv attribute.KeyValue) attribute.KeyValue {
	if kv.Value.Type() != attribute.STRING {
		return kv
	}
	text := kv.Value.AsString()
	if clean := headers.Label(text); clean != text {
		kv.Value = attribute.StringValue(clean)
	}
	return kv
}

// attemptName names the spans of attempts as otelhttp does, except for methods
// that somebody made up.
func attemptName(_ string, req *http.Request) string {
	if method := headers.MethodLabel(req.Method); method != headers.OtherMethod {
		return "HTTP " + method
	}
	return "HTTP"
}
