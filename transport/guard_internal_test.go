package transport

import (
	"context"
	"errors"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/transport/internal/guard"
)

// BenchmarkGuardLayer is what the guard adds to an attempt while it is open,
// beside two looks at the clock, which it needs for those that it watches.
func BenchmarkGuardLayer(b *testing.B) {
	resp := &http.Response{StatusCode: 200, Body: http.NoBody}
	next := RoundTripperFunc(func(*http.Request) (*http.Response, error) { return resp, nil })
	s := &shared{born: time.Now()}
	layer := &guardLayer{next: next}
	c := &call{policy: Policy{AttemptTimeout: time.Second}.filled(), known: &known{guard: newGate(s.clock)}}
	c.record.Service = "api.test"
	ctx := &attemptCtx{Context: context.Background(), round: &round{call: c}, number: 1}
	req, err := http.NewRequestWithContext(ctx, "GET", "http://api.test/", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("without", func(b *testing.B) {
		for b.Loop() {
			if _, err := next.RoundTrip(req); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("clock", func(b *testing.B) {
		for b.Loop() {
			s.clock()
			s.clock()
		}
	})
	b.Run("guard", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := layer.RoundTrip(req); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// What the guard concludes from an attempt: only an answer in time shows that there is
// room, and only an answer that did not come in time shows that there is not.
func TestSignals(t *testing.T) {
	bg := context.Background()
	cancelled, cancel := context.WithCancel(bg)
	cancel()
	called, off := context.WithCancelCause(bg)
	off(errors.New("not needed any more"))
	outrun, lose := context.WithCancelCause(bg)
	lose(errOutrun)
	past, end := context.WithDeadline(bg, time.Now().Add(-time.Second))
	defer end()
	reason := errors.New("the page has to be there by now")
	caused, endCaused := context.WithDeadlineCause(bg, time.Now().Add(-time.Second), reason)
	defer endCaused()
	later := http.Header{"Retry-After": {"1"}}
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		status int // 0: none
		header http.Header
		err    error
		want   guard.Signal
	}{
		{"200", bg, 200, nil, nil, guard.Success},
		{"404", bg, 404, nil, nil, guard.Success},
		{"403", bg, 403, nil, nil, guard.Success},
		{"429", bg, 429, nil, nil, guard.Failed},
		{"429 that says when", bg, 429, later, nil, guard.Failed},
		{"403 that says when", bg, 403, later, nil, guard.Failed},
		{"409 that says when", bg, 409, later, nil, guard.Failed},
		{"404 that says when", bg, 404, later, nil, guard.Success},
		{"500", bg, 500, nil, nil, guard.Failed},
		{"503", bg, 503, nil, nil, guard.Failed},
		{"503 that says when", bg, 503, later, nil, guard.Shed},
		{"503 that says to come back in an hour", bg, 503, http.Header{"Retry-After": {"3600"}}, nil, guard.Failed},
		{"502 that says when", bg, 502, later, nil, guard.Failed},
		{"neither", bg, 0, nil, nil, guard.None},
		{"an error", bg, 0, nil, errors.New("connection reset"), guard.None},
		{"a timeout of the base", bg, 0, nil, os.ErrDeadlineExceeded, guard.Timeout},
		{"AttemptTimeout", bg, 0, nil, &timeoutError{after: time.Second}, guard.Timeout},
		{"cancelled", cancelled, 0, nil, context.Canceled, guard.None},
		{"cancelled during a timeout", cancelled, 0, nil, os.ErrDeadlineExceeded, guard.None},
		{"cancelled with a cause", called, 0, nil, context.Cause(called), guard.None},
		{"outrun", outrun, 0, nil, errOutrun, guard.None},
		{"deadline", past, 0, nil, context.DeadlineExceeded, guard.Timeout},
		{"deadline with a cause", caused, 0, nil, reason, guard.Timeout},
		{"throttled past the deadline", past, 0, nil, &GuardError{}, guard.None},
		{"throttled with a cause", caused, 0, nil, &GuardError{}, guard.None},
	} {
		var resp *http.Response
		if tt.status != 0 {
			resp = &http.Response{StatusCode: tt.status, Header: tt.header}
		}
		if got := signalOf(tt.ctx, resp, tt.err, time.Minute); got != tt.want {
			t.Errorf("%s: signal %d, want %d", tt.name, got, tt.want)
		}
	}
}
