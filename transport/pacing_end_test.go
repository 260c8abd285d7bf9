package transport_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// A call waits no longer than its deadline and its policy allow. If the pause is longer it
// ends at once, and says why.
func TestPauseIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name     string
		hint     time.Duration
		policy   transport.Policy
		deadline time.Duration
		waits    time.Duration // at least; and at most a quarter more
		stop     transport.StopReason
	}{
		{"within the deadline", 20 * time.Second, transport.Policy{}, time.Minute, 20 * time.Second, transport.StopSucceeded},
		{"without a deadline", 20 * time.Second, transport.Policy{}, 0, 20 * time.Second, transport.StopSucceeded},
		{"as long as MaxRetryAfter", 30 * time.Second, transport.Policy{}, 0, 30 * time.Second, transport.StopSucceeded},
		{"past the deadline", 20 * time.Second, transport.Policy{}, 19 * time.Second, 0, transport.StopRetryAfter},
		{"past MaxThrottle", 20 * time.Second, transport.Policy{MaxThrottle: 10 * time.Second}, 0, 0, transport.StopRetryAfter},
		{"above MaxRetryAfter", 31 * time.Second, transport.Policy{}, 0, 0, transport.StopSucceeded},
		{"above a MaxRetryAfter of its own", 11 * time.Second, transport.Policy{MaxRetryAfter: 10 * time.Second}, 0, 0, transport.StopSucceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sent := 0
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					sent++
					resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}
					if req.Method == "POST" {
						resp.StatusCode = 429
						resp.Header.Set("Retry-After", fmt.Sprint(int(tt.hint.Seconds())))
					}
					return resp, nil
				})
				// With one key, since a POST and a GET are two kinds.
				rt := build(t, base, transport.WithPolicy(tt.policy), transport.WithPacing(transport.Pacing{Key: func(*http.Request) string { return "" }}))
				post, err := http.NewRequest("POST", "http://api.test/", nil)
				if err != nil {
					t.Fatal(err)
				}
				if resp, err := rt.RoundTrip(post); err != nil || resp.StatusCode != 429 {
					t.Fatalf("got %v, %v, want the 429", resp, err)
				}
				if tt.waits > 0 {
					if got := time.Until(rt.PausedUntil("API.test:80")); got != tt.hint {
						t.Errorf("paused for %v, want %v", got, tt.hint)
					}
				}
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				body := &source{Reader: strings.NewReader("x")}
				req, err := http.NewRequestWithContext(ctx, "PUT", "http://api.test/", body)
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				resp, err := rt.RoundTrip(req)
				if got := time.Since(start); got < tt.waits || got > tt.waits+tt.waits/4 {
					t.Errorf("waited for %v, want %v and at most a quarter more", got, tt.waits)
				}
				if tt.stop == transport.StopSucceeded {
					call, ok := transport.CallOf(resp)
					if !ok || call.Stop != tt.stop || call.Attempts != 1 || call.Waited != call.Paused || call.Paused < tt.waits {
						t.Errorf("got %v, %+v, want a success after %v", err, call, tt.waits)
					}
					if until := rt.PausedUntil("api.test"); !until.IsZero() {
						t.Errorf("paused until %v, want no more", until)
					}
					return
				}
				var failed *transport.Error
				if !errors.As(err, &failed) || failed.Stop != tt.stop || failed.Attempts != 0 || sent != 1 {
					t.Fatalf("got %v after %d attempts, want an Error with stop %s and none", err, sent-1, tt.stop)
				}
				var refused interface{ RefusedFor() time.Duration }
				if !errors.As(err, &refused) || refused.RefusedFor() < tt.hint || refused.RefusedFor() > tt.hint+tt.hint/8 {
					t.Errorf("got %v, want an error that says when to come back", err)
				}
				if body.closes.Load() != 1 {
					t.Errorf("the body was closed %d times, want once", body.closes.Load())
				}
			})
		})
	}
}

// A thousand calls that wait through a pause: those above MaxWaiters are refused at once,
// and the others are sent one, two, four at a time. Those who leave make room.
func TestPauseEndsGently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sent []time.Time
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			mu.Lock()
			sent = append(sent, time.Now())
			n := len(sent)
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}
			if n == 1 {
				resp.StatusCode = 429
				resp.Header.Set("Retry-After", "10")
			}
			return resp, nil
		})
		rt := build(t, base, transport.WithPacing(transport.Pacing{MaxWaiters: 800}), transport.WithPolicy(transport.Policy{MaxAttempts: 1}))
		call := func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, "GET", "http://api.test/", nil)
			if err != nil {
				t.Error(err)
			}
			_, err = rt.RoundTrip(req)
			return err
		}
		call(t.Context())
		leave, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var refused, left, good atomic.Int64
		start := time.Now()
		for i := range 1000 {
			ctx := t.Context()
			if i%10 == 0 {
				ctx = leave
			}
			wg.Go(func() {
				err := call(ctx)
				var failed *transport.Error
				switch {
				case err == nil:
					good.Add(1)
				case errors.Is(err, context.Canceled):
					left.Add(1)
				case errors.As(err, &failed) && failed.Stop == transport.StopRetryAfter && time.Since(start) == 0:
					refused.Add(1)
				default:
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			})
		}
		synctest.Wait()
		if refused.Load() != 200 {
			t.Errorf("%d calls were refused at once, want 200", refused.Load())
		}
		time.Sleep(time.Second)
		cancel()
		synctest.Wait()
		gone := left.Load()
		for range gone {
			wg.Go(func() {
				if call(t.Context()) == nil {
					good.Add(1)
				}
			})
		}
		wg.Wait()
		if good.Load() != 800 || len(sent) != 801 || gone == 0 {
			t.Fatalf("%d calls succeeded, %d were sent, %d left, want 800, 801 and some", good.Load(), len(sent), gone)
		}
		rounds := make(map[time.Duration]int)
		for _, at := range sent[1:] {
			rounds[at.Sub(sent[1])/(10*time.Millisecond)]++
		}
		for i, want := time.Duration(0), 1; i < 9; i, want = i+1, 2*want {
			if rounds[i] != want {
				t.Errorf("%d sent in round %d, want %d", rounds[i], i, want)
			}
		}
		if wait := sent[1].Sub(start); wait < 10*time.Second || wait > 11*time.Second {
			t.Errorf("the first was sent after %v, want 10 s", wait)
		}
	})
}

// There is no pause of a service that was never called.
func TestPausedUntilOfNothing(t *testing.T) {
	for name, rt := range map[string]*transport.Transport{
		"never called":    build(t, answering(200)),
		"not made by New": {},
	} {
		if until := rt.PausedUntil("api.test"); !until.IsZero() {
			t.Errorf("%s: paused until %v, want the zero time", name, until)
		}
	}
}
