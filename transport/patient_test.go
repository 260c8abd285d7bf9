package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
	"github.com/hashicorp/go-retryablehttp"
)

// absent is a service that is away until some time, in one of several ways, and
// answers within 5 ms afterwards.
type absent struct {
	until time.Time
	how   func(*http.Request) (*http.Response, error)
	sent  atomic.Int64
}

func (a *absent) RoundTrip(req *http.Request) (*http.Response, error) {
	a.sent.Add(1)
	if req.Body != nil {
		io.Copy(io.Discard, req.Body)
		req.Body.Close()
	}
	if time.Now().Before(a.until) {
		return a.how(req)
	}
	time.Sleep(5 * time.Millisecond)
	return answering(200)(req)
}

// The ways in which services are away.
var absences = map[string]func(*http.Request) (*http.Response, error){
	"refused": func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	},
	"reset": func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	},
	"EOF":                 func(*http.Request) (*http.Response, error) { return nil, io.EOF },
	"500":                 answeringAlways(500).RoundTrip,
	"503":                 answeringAlways(503).RoundTrip,
	"503 and Retry-After": refusing("Retry-After", "1"),
	"slow 504": func(req *http.Request) (*http.Response, error) {
		time.Sleep(700 * time.Millisecond)
		return answering(504)(req)
	},
}

// through makes n calls, at one time or one after the other, and returns how
// many were answered, and what became of the last that was not.
func through(n int, together bool, call func() (*http.Response, error)) (int, string) {
	var wg sync.WaitGroup
	var got atomic.Int32
	var lost atomic.Value
	lost.Store("")
	one := func() {
		resp, err := call()
		if err != nil {
			lost.Store(err.Error())
			return
		}
		resp.Body.Close()
		if resp.StatusCode == 200 {
			got.Add(1)
			return
		}
		call, _ := transport.CallOf(resp)
		lost.Store(fmt.Sprintf("%+v", call))
	}
	for range n {
		if together {
			wg.Go(one)
		} else {
			one()
		}
	}
	wg.Wait()
	return int(got.Load()), lost.Load().(string)
}

// A batch outlasts an outage as it does with go-retryablehttp.
func TestPatientOutlastsAnOutage(t *testing.T) {
	for name, how := range absences {
		for _, away := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 14 * time.Second} {
			for _, batch := range []struct {
				n        int
				together bool
			}{{20, false}, {20, true}, {100, true}} {
				n, together := batch.n, batch.together
				t.Run(fmt.Sprint(name, " for ", away, ", ", n, " calls, together ", together), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						base := &absent{until: time.Now().Add(away), how: how}
						client := &http.Client{Transport: build(t, base, transport.Patient())}
						if got, lost := through(n, together, func() (*http.Response, error) { return client.Get("http://api.test/") }); got != n {
							t.Errorf("%d of %d calls through, and %s", got, n, lost)
						}
						old := retryablehttp.NewClient()
						old.Logger = nil
						base = &absent{until: time.Now().Add(away), how: how}
						old.HTTPClient = &http.Client{Transport: base}
						theirs, _ := through(n, together, func() (*http.Response, error) { return old.Get("http://api.test/") })
						// It waits exactly what Retry-After says, four times.
						if theirs != n && name != "503 and Retry-After" {
							t.Errorf("go-retryablehttp: %d of %d calls through, want an outage that it outlasts", theirs, n)
						}
					})
				})
			}
		}
	}
}

// An outage that hangs is outlasted, too, with a bound for each attempt; the
// guard engages and lets the calls wait.
func TestPatientOutlastsAHang(t *testing.T) {
	for _, away := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second} {
		for _, n := range []int{1, 20, 100} {
			for _, together := range []bool{false, true} {
				t.Run(fmt.Sprint(away, ", ", n, " calls, together ", together), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						base := &absent{until: time.Now().Add(away), how: hangs}
						client := &http.Client{Transport: build(t, base, transport.Patient(), transport.WithPolicy(transport.Policy{
							MaxAttempts: 6, BaseDelay: time.Second, MaxDelay: 16 * time.Second, AttemptTimeout: 2 * time.Second,
						}))}
						start := time.Now()
						if got, lost := through(n, together, func() (*http.Response, error) { return client.Get("http://api.test/") }); got != n {
							t.Errorf("%d of %d calls through, and %s", got, n, lost)
						}
						if took := time.Since(start); took > 2*time.Minute {
							t.Errorf("took %v", took)
						}
					})
				})
			}
		}
	}
}

// What never comes back gets six attempts of a call, 15.5 to 31 seconds apart,
// and no more in all than the budget has.
func TestPatientIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &absent{until: time.Now().Add(time.Hour), how: answeringAlways(503).RoundTrip}
		rt := build(t, base, transport.Patient())
		start := time.Now()
		resp, err := rt.RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		call, _ := transport.CallOf(resp)
		if took := time.Since(start); call.Attempts != 6 || call.Stop != transport.StopAttempts || took < 15500*time.Millisecond || took > 31*time.Second {
			t.Errorf("%d attempts in %v, stop %s; want 6 in 15.5s to 31s, %s", call.Attempts, took, call.Stop, transport.StopAttempts)
		}
	})
	for _, rate := range []int{10, 200, 1000} {
		synctest.Test(t, func(t *testing.T) {
			base := &absent{until: time.Now().Add(time.Hour), how: answeringAlways(503).RoundTrip}
			rt := build(t, base, transport.Patient())
			const seconds = 60
			var wg sync.WaitGroup
			for range rate * seconds {
				wg.Go(func() {
					if resp, err := rt.RoundTrip(get(t, context.Background())); err == nil {
						resp.Body.Close()
					}
				})
				time.Sleep(time.Second / time.Duration(rate))
			}
			sent := int(base.sent.Load())
			wg.Wait()
			earned := 0.1*float64(rate) + 20 // a second, of which 30 seconds may be saved
			if most := min(rate*seconds*6, rate*seconds+int(earned*(seconds+30))); sent > most {
				t.Errorf("%d calls a second for a minute made %d attempts, want at most %d", rate, sent, most)
			}
		})
	}
}

// A server that asks for two minutes gets them, and one that asks for more
// gets no retry.
func TestPatientWaitsForTheServer(t *testing.T) {
	for asked, want := range map[string]int{"60": 200, "120": 200, "121": 503} {
		synctest.Test(t, func(t *testing.T) {
			first := refusing("Retry-After", asked)
			n := 0
			rt := build(t, transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				if n++; n == 1 {
					return first(req)
				}
				return answering(200)(req)
			}), transport.Patient())
			if resp := send(t, rt); resp.StatusCode != want {
				t.Errorf("Retry-After %s: status %d, want %d", asked, resp.StatusCode, want)
			}
		})
	}
}

// The deadline of the caller comes first: a retry that would miss it is not
// waited for.
func TestPatientWithinADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &absent{until: time.Now().Add(time.Hour), how: absences["refused"]}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := build(t, base, transport.Patient()).RoundTrip(get(t, ctx))
		var e *transport.Error
		if !errors.As(err, &e) || e.Stop != transport.StopDeadline || time.Since(start) > 3*time.Second || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%v after %v, want the last refusal before the deadline", err, time.Since(start))
		}
	})
}

// What comes after it overrides it, what comes before it is overridden.
func TestPatientAmongOtherOptions(t *testing.T) {
	empty := transport.WithBudget(func(string) budget.Budget { return &denied{} })
	once := transport.WithPolicy(transport.Policy{MaxAttempts: 1})
	for _, tt := range []struct {
		name     string
		opts     []transport.Option
		attempts int
		stop     transport.StopReason
		waited   time.Duration // at most
	}{
		{"alone", []transport.Option{transport.Patient()}, 6, transport.StopAttempts, 31 * time.Second},
		{"a policy after it", []transport.Option{transport.Patient(), once}, 1, transport.StopDisabled, 0},
		{"a policy before it", []transport.Option{once, transport.Patient()}, 6, transport.StopAttempts, 31 * time.Second},
		{"a budget after it", []transport.Option{transport.Patient(), empty}, 1, transport.StopBudget, time.Second},
		{"a budget before it", []transport.Option{empty, transport.Patient()}, 6, transport.StopAttempts, 31 * time.Second},
		{"no budget before it", []transport.Option{unlimited(), transport.Patient()}, 6, transport.StopAttempts, 31 * time.Second},
		{"no budget after it", []transport.Option{transport.Patient(), unlimited()}, 6, transport.StopAttempts, 31 * time.Second},
		{"a backoff after it", []transport.Option{transport.Patient(), steady(time.Millisecond)}, 6, transport.StopAttempts, 5 * time.Millisecond},
		{"a service policy", []transport.Option{transport.WithServicePolicy("api.test", transport.Policy{MaxAttempts: 2}), transport.Patient()}, 2, transport.StopAttempts, time.Second},
		{"twice", []transport.Option{transport.Patient(), transport.Patient()}, 6, transport.StopAttempts, 31 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				call, _ := transport.CallOf(send(t, build(t, answeringAlways(503), tt.opts...)))
				if call.Attempts != tt.attempts || call.Stop != tt.stop || call.Waited > tt.waited {
					t.Errorf("%d attempts, stop %s, waited %v; want %d, %s, at most %v", call.Attempts, call.Stop, call.Waited, tt.attempts, tt.stop, tt.waited)
				}
			})
		})
	}
}
