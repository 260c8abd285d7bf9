package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/transport"
)

// A world of hosts: dead ones hang or refuse, flaky ones fail at first.
type hosts struct {
	refuse bool
	calls  atomic.Int64
}

func (h *hosts) RoundTrip(req *http.Request) (*http.Response, error) {
	h.calls.Add(1)
	switch host := req.URL.Host; {
	case strings.HasPrefix(host, "dead") && h.refuse:
		return nil, errors.New("connection refused")
	case strings.HasPrefix(host, "dead"):
		<-req.Context().Done()
		return nil, context.Cause(req.Context())
	case strings.HasPrefix(host, "flaky") && transport.Attempt(req.Context()) == 1:
		return nil, errors.New("connection reset")
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

// A sender of webhooks calls more hosts than there is room for, most of them
// dead. That costs the healthy nothing: those that it knew, those that it calls
// for the first time, and those that need a retry.
func TestDeadHostsCostHealthyOnesNothing(t *testing.T) {
	const dead = 1500
	for name, refuse := range map[string]bool{"hang": false, "refuse": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				circuits, err := breaker.New(breaker.WithTripRatio(0.5, 3))
				if err != nil {
					t.Fatal(err)
				}
				base := &hosts{refuse: refuse}
				rt := build(t, base, transport.WithBreaker(circuits.Wrap), transport.WithHedging(transport.Hedge{}),
					transport.WithPolicy(transport.Policy{BaseDelay: time.Millisecond, AttemptTimeout: 200 * time.Millisecond}))
				call := func(host string) error {
					req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+host+"/", nil)
					if err != nil {
						t.Error(err)
						return err
					}
					resp, err := rt.RoundTrip(req)
					if err == nil {
						resp.Body.Close()
					}
					return err
				}
				if err := call("known.test"); err != nil {
					t.Fatal(err)
				}
				storm := func() {
					var calls sync.WaitGroup
					for i := range dead {
						calls.Go(func() {
							for range 2 {
								call(fmt.Sprintf("dead%d.test", i))
							}
						})
					}
					calls.Wait()
				}
				for round := range 2 { // the names come back
					storm()
					for i := range 50 {
						for _, host := range []string{"known.test", fmt.Sprintf("healthy-%d-%d", round, i), fmt.Sprintf("flaky-%d-%d", round, i)} {
							start := time.Now()
							if err := call(host); err != nil {
								t.Fatalf("round %d: %s: %v", round, host, err)
							}
							if took := time.Since(start); took > 10*time.Millisecond {
								t.Errorf("round %d: %s took %v, want no wait", round, host, took)
							}
						}
						host := fmt.Sprintf("healthy-%d-%d", round, i)
						if got := rt.GuardState(host); got.Engaged || got.Window != math.Inf(1) || circuits.State(host) != breaker.StateClosed {
							t.Errorf("%s: guard %+v, circuit %v, want neither in the way", host, got, circuits.State(host))
						}
					}
				}
			})
		})
	}
}

// The chain keeps names of services, and nothing of the requests that they were
// taken from.
func TestNamesKeepNoRequestsInMemory(t *testing.T) {
	circuits, err := breaker.New()
	if err != nil {
		t.Fatal(err)
	}
	inPath := transport.WithServiceName(func(req *http.Request) string { return req.URL.Path[1:10] })
	fails := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return nil, errors.New("connection refused")
	})
	for name, opts := range map[string][]transport.Option{"host": nil, "path": {inPath}} {
		rt := build(t, fails, append(opts, transport.WithBreaker(circuits.Wrap), transport.WithHedging(transport.Hedge{}),
			transport.WithPolicy(transport.Policy{MaxAttempts: 2, BaseDelay: 1, MaxDelay: 1}),
			transport.WithObserver(transport.Log(slog.New(slog.NewTextHandler(io.Discard, nil)))))...)
		before := heap()
		const each = 1 << 18
		for i := range 100 {
			req, err := http.NewRequest("GET", fmt.Sprintf("http://host%d.%s.test/tenant%03d?q=%s", i, name, i, strings.Repeat("x", each)), nil)
			if err != nil {
				t.Fatal(err)
			}
			rt.RoundTrip(req)
			if err := rt.SetPolicy(req.URL.Host, transport.Policy{MaxAttempts: 1 + i%2}); err != nil {
				t.Fatal(err)
			}
		}
		if grown := int64(heap()) - int64(before); grown > 20*each {
			t.Errorf("named by %s: the heap grew by %d KiB after 100 requests of %d KiB", name, grown>>10, each>>10)
		}
		runtime.KeepAlive(rt)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
