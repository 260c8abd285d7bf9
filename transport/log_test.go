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

// lines runs calls through a chain that logs, and returns what was written.
func lines(t *testing.T, level slog.Level, run func(log transport.Observer)) []string {
	t.Helper()
	var buf bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	run(transport.Log(logger))
	return strings.Split(strings.TrimSuffix(buf.String(), "\n"), "\n")
}

func TestLogLevels(t *testing.T) {
	call := func(stop transport.StopReason, attempts, status int) transport.Call {
		return transport.Call{Service: "users", Method: "GET", Stop: stop, Attempts: attempts, Status: status}
	}
	dry := call(transport.StopDisabled, 1, 503)
	dry.WouldRetry = true
	tests := []struct {
		call transport.Call
		want string
	}{
		{call(transport.StopSucceeded, 1, 200), `level=DEBUG msg="evenkeel: call" `},
		{call(transport.StopNotRetryable, 1, 404), `level=DEBUG msg="evenkeel: call" `},
		{call(transport.StopCancelled, 1, 0), `level=DEBUG msg="evenkeel: call" `},
		{call(transport.StopDisabled, 1, 503), `level=DEBUG msg="evenkeel: call" `},
		{dry, `level=INFO msg="evenkeel: call would have been retried" `},
		{call(transport.StopSucceeded, 2, 200), `level=INFO msg="evenkeel: call retried" `},
		{call(transport.StopBudget, 1, 503), `level=WARN msg="evenkeel: call failed" `},
		{call(transport.StopBreakerOpen, 0, 0), `level=WARN msg="evenkeel: call refused" `},
		{call(transport.StopAttempts, 3, 503), `level=WARN msg="evenkeel: call failed" `},
	}
	for _, tt := range tests {
		got := lines(t, slog.LevelDebug, func(log transport.Observer) { log.OnCall(t.Context(), tt.call) })
		if len(got) != 1 || !strings.HasPrefix(got[0], tt.want) || !strings.Contains(got[0], "stop="+string(tt.call.Stop)+" ") {
			t.Errorf("%s after %d: %q, want %q with stop", tt.call.Stop, tt.call.Attempts, got, tt.want)
		}
	}
}

func TestLogAttemptsAtDebug(t *testing.T) {
	event := transport.AttemptEvent{Service: "users", Method: "GET", Attempt: 2, Waited: time.Second, Duration: time.Millisecond, Status: 503}
	got := lines(t, slog.LevelDebug, func(log transport.Observer) { log.OnAttempt(t.Context(), event) })
	want := `level=DEBUG msg="evenkeel: attempt" service=users method=GET attempt=2 result=unavailable waited=1s duration=1ms status=503`
	if got[0] != want {
		t.Errorf("line %s\nwant %s", got[0], want)
	}
	if got := lines(t, slog.LevelInfo, func(log transport.Observer) { log.OnAttempt(t.Context(), event) }); got[0] != "" {
		t.Errorf("at Info %q, want silence", got)
	}
}

// A storm of calls is no storm of lines, a rare reason is not drowned by a
// frequent one, and what was left out is said.
func TestLogInAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storm := transport.Call{Service: "users", Method: "GET", Stop: transport.StopBudget, Attempts: 1, Status: 503}
		rare := storm
		rare.Stop = transport.StopBreakerOpen
		got := lines(t, slog.LevelInfo, func(log transport.Observer) {
			for range 10_000 {
				log.OnCall(t.Context(), storm)
			}
			log.OnCall(t.Context(), rare)
			time.Sleep(time.Second)
			log.OnCall(t.Context(), storm)
			log.OnCall(t.Context(), storm)
		})
		if len(got) != 13 {
			t.Fatalf("%d lines, want 10 of the storm, 1 of the rare reason and 2 later", len(got))
		}
		if !strings.Contains(got[10], "stop=breaker_open") {
			t.Errorf("line 11 %s, want the rare reason", got[10])
		}
		if !strings.HasSuffix(got[11], " suppressed=9990") {
			t.Errorf("line 12 %s, want what was left out", got[11])
		}
		if strings.Contains(got[12], "suppressed") {
			t.Errorf("line 13 %s, want it said once", got[12])
		}
	})
}

// A flood of service names is one kind of line when there is no more room.
func TestLogInAFloodOfNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log transport.Observer
		flood := func(from, to int) {
			for i := from; i < to; i++ {
				log.OnCall(t.Context(), transport.Call{Service: fmt.Sprint("host", i), Stop: transport.StopBudget, Attempts: 1})
			}
		}
		got := lines(t, slog.LevelInfo, func(l transport.Observer) { log = l; flood(0, 100_000) })
		if len(got) != 256+10 {
			t.Errorf("%d lines, want one for each of 256 kinds and 10 for the rest", len(got))
		}
		got = lines(t, slog.LevelInfo, func(l transport.Observer) {
			log = l
			flood(0, 256)
			time.Sleep(2 * time.Second)
			flood(1000, 1100)
		})
		if len(got) != 256+100 {
			t.Errorf("%d lines, want the quiet kinds forgotten", len(got))
		}
		got = lines(t, slog.LevelInfo, func(l transport.Observer) {
			log = l
			for range 11 { // one too many of each kind
				flood(0, 256)
			}
			time.Sleep(2 * time.Second)
			flood(1000, 1100) // no room: what was suppressed is still to be said
			time.Sleep(time.Minute)
			flood(2000, 2100)
		})
		if len(got) != 2560+10+100 {
			t.Errorf("%d lines, want the kinds kept for a minute that have something to say", len(got))
		}
	})
}

func TestLogNil(t *testing.T) {
	if o := transport.Log(nil); o.OnCall != nil || o.OnAttempt != nil {
		t.Error("a nil logger writes, want silence")
	}
}
