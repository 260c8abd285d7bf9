package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

func TestAttemptEventSaysWhatItReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("connection reset")
		var got []string
		rt := build(t, &script{answers: []reply{{status: 503}, {err: broken}, {status: 200}}}, unlimited(),
			transport.WithObserver(transport.Observer{OnAttempt: func(_ context.Context, e transport.AttemptEvent) {
				got = append(got, fmt.Sprint(e.Attempt, e.AfterStatus, e.AfterErr))
			}}))
		if _, err := rt.RoundTrip(get(t, t.Context())); err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Join(got, ", "), "1 0 <nil>, 2 503 <nil>, 3 0 connection reset"; got != want {
			t.Errorf("attempts %s, want %s", got, want)
		}
	})
}

func TestOnCallSeesWhatCallLayersPutIntoTheContext(t *testing.T) {
	type key struct{}
	var got any
	rt := build(t, &script{answers: statuses(200)},
		transport.WithCallLayer(func(next http.RoundTripper) http.RoundTripper {
			return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				return next.RoundTrip(req.WithContext(context.WithValue(req.Context(), key{}, "span")))
			})
		}),
		transport.WithObserver(transport.Observer{OnCall: func(ctx context.Context, _ transport.Call) { got = ctx.Value(key{}) }}))
	if _, err := rt.RoundTrip(get(t, t.Context())); err != nil {
		t.Fatal(err)
	}
	if got != "span" {
		t.Errorf("value in OnCall %v, want span", got)
	}
}

func TestElapsed(t *testing.T) {
	const work = 30 * time.Millisecond
	tests := []struct {
		name    string
		answers []reply
		ctx     time.Duration // until the caller's deadline; 0: none
		want    func(c transport.Call) time.Duration
	}{
		{"one attempt", statuses(200), 0, func(transport.Call) time.Duration { return work }},
		{"two attempts", statuses(503, 200), 0, func(c transport.Call) time.Duration { return 2*work + c.Waited }},
		{"deadline in the first", statuses(200), 10 * time.Millisecond, func(transport.Call) time.Duration { return 10 * time.Millisecond }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: tt.answers}
				slow := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					select {
					case <-time.After(work):
						return s.RoundTrip(req)
					case <-req.Context().Done():
						return nil, req.Context().Err()
					}
				})
				var call transport.Call
				rt := build(t, slow, unlimited(), transport.WithObserver(transport.Observer{
					OnAttempt: func(_ context.Context, e transport.AttemptEvent) {
						if e.Attempt == len(tt.answers) {
							time.Sleep(time.Second) // which is no time of the call
						}
					},
					OnCall: func(_ context.Context, c transport.Call) { call = c },
				}))
				time.Sleep(time.Hour) // the transport is older than the call
				ctx := t.Context()
				if tt.ctx > 0 {
					c, cancel := context.WithTimeout(ctx, tt.ctx)
					defer cancel()
					ctx = c
				}
				resp, err := rt.RoundTrip(get(t, ctx))
				if err == nil {
					resp.Body.Close()
				}
				if got, want := call.Elapsed, tt.want(call); got != want {
					t.Errorf("Elapsed %v, want %v", got, want)
				}
			})
		})
	}
}

// A call that waits in vain has taken the wait too.
func TestElapsedOfACallCancelledWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var call transport.Call
		rt := build(t, &script{answers: []reply{{status: 503, header: http.Header{"Retry-After": {"20"}}}}}, unlimited(),
			transport.WithObserver(transport.Observer{OnCall: func(_ context.Context, c transport.Call) { call = c }}))
		time.Sleep(time.Hour) // the transport is older than the call
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		if _, err := rt.RoundTrip(get(t, ctx)); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v, want the cancellation", err)
		}
		if got, want := call.Elapsed, 5*time.Second; got != want {
			t.Errorf("Elapsed %v, want %v", got, want)
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
