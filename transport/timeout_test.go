package transport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

func bounded(limit time.Duration) []transport.Option {
	return []transport.Option{
		unlimited(),
		transport.WithPolicy(transport.Policy{AttemptTimeout: limit}),
		transport.WithBackoff(func(time.Duration, time.Duration, int, *http.Response) time.Duration { return 0 }),
	}
}

// An attempt without a response header within its time is given up, and the
// next one gets as much.
func TestAttemptTimeout(t *testing.T) {
	for name, base := range map[string]transport.RoundTripperFunc{
		"a base that waits for its context": func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, context.Cause(req.Context())
		},
		"a base that says no more than that": func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		},
		"a base with an error of its own": func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, errors.New("stream closed")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempts := 0
				counting := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					attempts++
					return base(req)
				})
				start := time.Now()
				_, err := build(t, counting, bounded(time.Second)...).RoundTrip(get(t, t.Context()))
				if took := time.Since(start); attempts != 3 || took != 3*time.Second {
					t.Errorf("%d attempts took %v, want 3 in 3s", attempts, took)
				}
				if !errors.Is(err, context.DeadlineExceeded) || !(&url.Error{Err: err}).Timeout() {
					t.Errorf("err = %v, want a timeout", err)
				}
			})
		})
	}
}

// The limit is for the header: the body may take any time, and its context
// ends with it.
func TestAttemptTimeoutLeavesTheBodyAlone(t *testing.T) {
	for name, end := range map[string]func(io.ReadCloser){
		"close": func(b io.ReadCloser) { b.Close() },
		"EOF":   func(b io.ReadCloser) { io.Copy(io.Discard, b) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ctx context.Context
				from, to := io.Pipe()
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					ctx = req.Context()
					time.Sleep(900 * time.Millisecond)
					return &http.Response{StatusCode: 200, Header: http.Header{}, Body: from}, nil
				})
				resp, err := build(t, base, bounded(time.Second)...).RoundTrip(get(t, t.Context()))
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					time.Sleep(time.Hour)
					io.WriteString(to, "late")
					to.Close()
				}()
				b := make([]byte, 4)
				if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != "late" || ctx.Err() != nil {
					t.Errorf("read %q, %v, with a context that is %v; want late and alive", b, err, ctx.Err())
				}
				end(resp.Body)
				if ctx.Err() == nil {
					t.Error("the context of the attempt outlives the body")
				}
			})
		})
	}
}

// A base that does not heed its context gets its late response closed.
func TestLateResponseIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made []*source
		base := transport.RoundTripperFunc(func(*http.Request) (*http.Response, error) {
			time.Sleep(2 * time.Second)
			made = append(made, new(source))
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: made[len(made)-1]}, nil
		})
		resp, err := build(t, base, bounded(time.Second)...).RoundTrip(get(t, t.Context()))
		if resp != nil || !errors.Is(err, context.DeadlineExceeded) || len(made) != 3 {
			t.Errorf("got %v, %v after %d attempts; want a timeout after 3", resp, err, len(made))
		}
		for i, b := range made {
			if n := b.closes.Load(); n != 1 {
				t.Errorf("the response of attempt %d was closed %d times, want once", i+1, n)
			}
		}
	})
}

// The caller's own deadline is no timeout of an attempt: there is no time left
// for another.
func TestDeadlineBeforeTheAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, context.Cause(req.Context())
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var told told
		_, err := build(t, base, append(bounded(time.Minute), told.option())...).RoundTrip(get(t, ctx))
		if c := told.calls[0]; c.Attempts != 1 || c.Stop != transport.StopDeadline || err != context.DeadlineExceeded {
			t.Errorf("err = %#v after %+v, want the deadline itself after one attempt", err, c)
		}
	})
}
