package transport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// secretive is a request whose URL must not be seen in a log.
func secretive(t *testing.T, ctx context.Context) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://joe:hunter2@api.test/path-of-joe?token=s3cret#part", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

var secrets = []string{"joe", "hunter2", "path-of-joe", "s3cret", "token", "part"}

// An exit is a way for a call to end.
type exit struct {
	stop     transport.StopReason
	answer   reply // of every attempt
	method   string
	body     io.Reader
	opts     []transport.Option
	leave    time.Duration // when the caller gives up
	deadline time.Duration
	fails    bool   // no response
	msg      string // of the log line; "" for none
	level    string
}

// exits lead to every StopReason, with a response and with an error wherever
// there can be one.
func exits() []exit {
	return []exit{
		{stop: transport.StopSucceeded, answer: reply{status: 200}},
		{stop: transport.StopSucceeded, opts: []transport.Option{once(503)}, answer: reply{status: 200}, msg: "call retried", level: "INFO"},
		{stop: transport.StopNotRetryable, answer: reply{status: 404}},
		{stop: transport.StopNotRetryable, answer: reply{err: transport.Permanent(errBusy)}, fails: true},
		{stop: transport.StopNotRetryable, opts: []transport.Option{once(503)}, answer: reply{status: 404}, msg: "call failed", level: "WARN"},
		{stop: transport.StopMethod, method: "POST", answer: reply{status: 503}, msg: "call failed", level: "WARN"},
		{stop: transport.StopMethod, method: "POST", answer: reply{err: errBusy}, fails: true, msg: "call failed", level: "WARN"},
		{stop: transport.StopBody, method: "PUT", body: io.MultiReader(strings.NewReader("long")), opts: []transport.Option{transport.WithPolicy(transport.Policy{MaxReplayBytes: 1})}, answer: reply{status: 503}, msg: "call failed", level: "WARN"},
		{stop: transport.StopBody, method: "PUT", body: io.MultiReader(strings.NewReader("long")), opts: []transport.Option{transport.WithPolicy(transport.Policy{MaxReplayBytes: 1})}, answer: reply{err: errBusy}, fails: true, msg: "call failed", level: "WARN"},
		{stop: transport.StopAttempts, answer: reply{status: 503}, msg: "call failed", level: "WARN"},
		{stop: transport.StopAttempts, answer: reply{err: &url.Error{Op: "Get", URL: "http://joe:hunter2@api.test/?token=s3cret", Err: errBusy}}, fails: true, msg: "call failed", level: "WARN"},
		{stop: transport.StopBudget, opts: []transport.Option{(&purse{refuse: true}).option()}, answer: reply{status: 503}, msg: "call failed", level: "WARN"},
		{stop: transport.StopBudget, opts: []transport.Option{(&purse{refuse: true}).option()}, answer: reply{err: errBusy}, fails: true, msg: "call failed", level: "WARN"},
		{stop: transport.StopBreakerOpen, opts: []transport.Option{transport.WithBreaker((&refuser{openFor: time.Hour}).wrap)}, answer: reply{status: 503}, msg: "call failed", level: "WARN"},
		{stop: transport.StopBreakerOpen, opts: []transport.Option{transport.WithBreaker((&refuser{refuse: map[int]time.Duration{1: time.Hour}}).wrap)}, fails: true, msg: "call refused", level: "WARN"},
		{stop: transport.StopDeadline, deadline: time.Second, answer: reply{status: 503, header: head("Retry-After", "2")}, msg: "call failed", level: "WARN"},
		{stop: transport.StopDeadline, deadline: time.Second, answer: reply{err: transport.RetryAfter(errBusy, 2*time.Second)}, fails: true, msg: "call failed", level: "WARN"},
		{stop: transport.StopRetryAfter, answer: reply{status: 503, header: head("Retry-After", "31")}, msg: "call failed", level: "WARN"},
		{stop: transport.StopRetryAfter, answer: reply{err: transport.RetryAfter(errBusy, time.Minute)}, fails: true, msg: "call failed", level: "WARN"},
		{stop: transport.StopServerSaidNo, answer: reply{status: 503, header: head("X-Should-Retry", "false")}, msg: "call failed", level: "WARN"},
		{stop: transport.StopCancelled, leave: 500 * time.Millisecond, answer: reply{err: fmt.Errorf("layer: %w", &url.Error{Op: "Get", URL: "http://joe:hunter2@api.test/", Err: errBusy})}, fails: true},
		{stop: transport.StopCancelled, leave: 1500 * time.Millisecond, answer: reply{err: fmt.Errorf("layer: %w", &url.Error{Op: "Get", URL: "http://joe:hunter2@api.test/", Err: errBusy})}, fails: true, msg: "call failed", level: "WARN"},
		{stop: transport.StopDisabled, opts: []transport.Option{transport.WithPolicy(transport.Policy{MaxAttempts: 1})}, answer: reply{status: 503}},
		{stop: transport.StopDisabled, opts: []transport.Option{transport.WithPolicy(transport.Policy{MaxAttempts: 1})}, answer: reply{err: errBusy}, fails: true},
		{stop: transport.StopDisabled, opts: []transport.Option{transport.WithDryRun()}, answer: reply{status: 503}, msg: "call would have been retried", level: "INFO"},
	}
}

// once answers the first attempt of a call with a status.
func once(status int) transport.Option {
	return transport.WithAttemptLayer(layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		if transport.Attempt(req.Context()) == 1 {
			return answering(status)(req)
		}
		return next.RoundTrip(req)
	}))
}

// CallOf or the error, the observer and the line in the log give one reason,
// in the same word, and the line gives away nothing.
func TestReasonsAgree(t *testing.T) {
	for i, tt := range exits() {
		t.Run(fmt.Sprint(tt.stop, " ", i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				var told told
				ctx := t.Context()
				if tt.leave > 0 {
					c, cancel := context.WithCancel(ctx)
					defer time.AfterFunc(tt.leave, cancel).Stop()
					ctx = c
				}
				if tt.deadline > 0 {
					c, cancel := context.WithTimeout(ctx, tt.deadline)
					defer cancel()
					ctx = c
				}
				opts := append([]transport.Option{unlimited(), steady(time.Second), told.option(),
					transport.WithObserver(transport.Log(slog.New(slog.NewJSONHandler(&log, nil))))}, tt.opts...)
				rt := build(t, &script{answers: []reply{tt.answer}}, opts...)
				req := secretive(t, ctx)
				if tt.method != "" {
					req.Method = tt.method
				}
				if tt.body != nil {
					req.Body, req.ContentLength = io.NopCloser(tt.body), -1
				}
				resp, err := rt.RoundTrip(req)
				if (err != nil) != tt.fails {
					t.Fatalf("got %v, %v", resp, err)
				}
				if tt.fails {
					var e *transport.Error
					switch {
					case !errors.As(err, &e):
						if err != tt.answer.err {
							t.Errorf("the error is %#v, want that of the base or an *Error", err)
						}
					case e.Stop != tt.stop || e.Attempts != told.calls[0].Attempts:
						t.Errorf("the error is %#v, want %s", err, tt.stop)
					case !strings.Contains(err.Error(), "stopped by "+string(tt.stop)):
						t.Errorf("%q does not name %s", err, tt.stop)
					}
				} else if call, ok := transport.CallOf(resp); !ok || call != told.calls[0] || call.Stop != tt.stop {
					t.Errorf("CallOf = %+v, want %s and what the observer was told, %+v", call, tt.stop, told.calls)
				}
				if len(told.calls) != 1 || told.calls[0].Stop != tt.stop {
					t.Errorf("the observer was told %+v, want %s", told.calls, tt.stop)
				}
				text := log.String()
				for _, secret := range secrets {
					if strings.Contains(text, secret) {
						t.Errorf("the log gives away %q: %s", secret, text)
					}
				}
				if tt.msg == "" {
					if text != "" {
						t.Errorf("the log says %s, want nothing", text)
					}
					return
				}
				var line struct {
					Level, Msg, Service, Method, Stop, Error string
					Attempts, Status                         int
				}
				d := json.NewDecoder(&log)
				if err := d.Decode(&line); err != nil {
					t.Fatalf("%q: %v", text, err)
				}
				if d.More() {
					t.Errorf("more than one line: %s", text)
				}
				if line.Msg != "evenkeel: "+tt.msg || line.Level != tt.level || line.Stop != string(tt.stop) || line.Service != "api.test" ||
					line.Method != req.Method || line.Attempts != told.calls[0].Attempts || (line.Error != "") != tt.fails || (line.Status != 0) == tt.fails {
					t.Errorf("logged %s, want %s %q with stop %s", text, tt.level, tt.msg, tt.stop)
				}
			})
		})
	}
}

func TestEveryReasonHasAnExit(t *testing.T) {
	want := map[transport.StopReason]bool{}
	for _, r := range []transport.StopReason{
		"succeeded", "not_retryable", "method", "body", "attempts", "budget", "breaker_open", "deadline",
		"retry_after", "server_said_no", "cancelled", "disabled", // and guard, which has tests of its own
	} {
		want[r] = true
	}
	for _, e := range exits() {
		delete(want, e.stop)
	}
	if len(want) > 0 {
		t.Errorf("no exit leads to %v", want)
	}
}

func TestLogToNobody(t *testing.T) {
	if o := transport.Log(nil); o.OnCall != nil || o.OnAttempt != nil {
		t.Error("a nil logger is not silent")
	}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		errorsOnly := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))
		rt := build(t, answering(503), transport.WithObserver(transport.Log(errorsOnly)))
		if _, err := rt.RoundTrip(get(t, t.Context())); err != nil || log.Len() > 0 {
			t.Errorf("%v, and logged %s", err, &log)
		}
	})
}
