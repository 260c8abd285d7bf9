package transport_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// What the guard throttles was not sent, is a GuardError, and says when to ask
// again. The body of the request is closed.
func TestGuardError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		hang := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			sent++
			if req.Body != nil {
				req.Body.Close()
			}
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
		client := guarded(t, hang, 1,
			transport.WithPolicy(transport.Policy{MaxAttempts: 1, AttemptTimeout: time.Second}))[0]
		for range 50 { // each alone in flight: the first few prove it
			req, err := http.NewRequestWithContext(t.Context(), "GET", "http://farm.test/", nil)
			if err != nil {
				t.Fatal(err)
			}
			client.RoundTrip(req)
		}
		if sent == 50 {
			t.Fatal("the guard never engaged")
		}
		before, body := sent, &closeCounter{}
		var held *transport.GuardError
		for range 20 { // a probe is let through now and then
			req, err := http.NewRequestWithContext(t.Context(), "PUT", "http://farm.test/", body)
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.RoundTrip(req)
			var failed *transport.Error
			if !errors.As(err, &failed) {
				t.Fatalf("got %v, want an Error", err)
			}
			if errors.As(err, &held) && (failed.Stop != transport.StopGuard || failed.Attempts != 0) {
				t.Errorf("got %d attempts, stopped by %s, want 0 and guard", failed.Attempts, failed.Stop)
			}
		}
		if held == nil || held.Service != "farm.test" || held.RetryIn <= 0 || held.RefusedFor() != held.RetryIn {
			t.Fatalf("got %+v, want a GuardError that says when to ask again", held)
		}
		if got := int(body.n.Load()); got != 20 {
			t.Errorf("%d of 20 bodies were closed, %d attempts sent", got, sent-before)
		}
	})
}

type closeCounter struct{ n atomic.Int32 }

func (c *closeCounter) Read([]byte) (int, error) { return 0, io.EOF }
func (c *closeCounter) Close() error             { c.n.Add(1); return nil }

func BenchmarkGuard(b *testing.B) {
	ok := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
	})
	for _, bm := range []struct {
		name string
		opts []transport.Option
	}{{"off", []transport.Option{transport.WithoutGuard()}}, {"open", nil}} {
		b.Run(bm.name, func(b *testing.B) {
			rt, err := transport.New(ok, bm.opts...)
			if err != nil {
				b.Fatal(err)
			}
			req, err := http.NewRequestWithContext(b.Context(), "GET", "http://api.test/", nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				rt.RoundTrip(req)
			}
		})
	}
}

// The state says what the guard does: open at first, engaged and ever tighter
// while nothing is answered, open again once answers are fast.
func TestGuardStateFollowsTheGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(5, exponential(20*time.Millisecond))
		defer f.close()
		client := guarded(t, f, 1)[0]
		var mu sync.Mutex
		var engaged, open bool
		low, waiting := math.Inf(1), 0
		done := make(chan struct{})
		var watch sync.WaitGroup
		watch.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(50 * time.Millisecond):
				}
				s := client.GuardState("farm.test")
				if s.Engaged == math.IsInf(s.Window, 1) {
					t.Errorf("%+v: want a window that is infinite just while the guard is not engaged", s)
				}
				mu.Lock()
				engaged = engaged || s.Engaged
				open = engaged && !s.Engaged
				low = min(low, s.Window)
				waiting = max(waiting, s.Waiting)
				mu.Unlock()
			}
		})
		time.AfterFunc(4*time.Second, func() { f.stall(5 * time.Second) })
		drive(t, []*transport.Transport{client}, 175, 24)
		close(done)
		watch.Wait()
		if !engaged || low > 1 {
			t.Errorf("engaged %v, smallest window %v; want a guard that shuts in a stall", engaged, low)
		}
		if waiting == 0 || client.GuardState("farm.test").Waiting != 0 {
			t.Errorf("%d calls waited at most; want some, and none in the end", waiting)
		}
		if !open {
			t.Error("the guard did not open again")
		}
	})
}

func TestGuardStateCountsWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		waits := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			if req.URL.Path == "/wait" {
				<-release
			}
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		})
		call := func(client *transport.Transport, url string) {
			req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := client.RoundTrip(req); err != nil {
				t.Error(err)
			}
		}
		guard := guarded(t, waits, 1)[0]
		none := guarded(t, waits, 1, transport.WithoutGuard())[0]
		check := func(client *transport.Transport, service string, inFlight int) {
			t.Helper()
			want := transport.GuardState{Window: math.Inf(1), InFlight: inFlight}
			if got := client.GuardState(service); got != want {
				t.Errorf("%s: got %+v, want %+v", service, got, want)
			}
		}
		check(guard, "one.test", 0)
		for range 3 {
			go call(guard, "http://one.test/wait")
			go call(none, "http://one.test/wait")
		}
		synctest.Wait()
		check(guard, "one.test", 3)
		check(guard, "One.test:80", 3)
		check(guard, "two.test", 0)
		check(none, "one.test", 0)

		// The guard does not judge services for which there is no room.
		for i := range 1024 {
			call(guard, fmt.Sprintf("http://service-%d.test/", i))
		}
		go call(guard, "http://late.test/wait")
		synctest.Wait()
		check(guard, "late.test", 0)
		check(guard, "service-7.test", 0)
		close(release)
		synctest.Wait()
		check(guard, "one.test", 0)
		check(guard, "late.test", 0)
	})
}
