package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

func TestQueueTakesInABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		var answers []*httptest.ResponseRecorder
		for i := range 10 {
			answers = append(answers, c.send(fmt.Sprint(i)))
		}
		c.wg.Wait()
		if got := strings.Join(c.order(), ""); got != "0123456789" {
			t.Errorf("served %s, want all in the order they came", got)
		}
		for i, w := range answers {
			if e := c.seen()[i]; w.Code != 200 || e.QueueWait != time.Duration(i)*10*time.Millisecond || e.Shed != "" || e.Limit != 1 {
				t.Errorf("request %d: %d, %+v", i, w.Code, e)
			}
		}
	})
}

func TestStandingQueueServesTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, middleware.WithAttempts())
		c.stand()
		before := len(c.seen())
		if before == 0 {
			t.Fatal("nobody was refused of a queue that stands")
		}
		for _, e := range c.seen() {
			if e.Shed != middleware.ShedQueue || e.Status != 503 || e.QueueWait > time.Second {
				t.Errorf("%+v, want it refused by the queue within a second", e)
			}
		}
		retry := c.send("retry", "Retry-Attempt: 2")
		if e := c.seen()[len(c.seen())-1]; retry.Code != 503 || e.Shed != middleware.ShedRetry || e.QueueWait != 0 || e.Attempt != 2 {
			t.Errorf("a retry: %d, %+v, want it refused at once", retry.Code, e)
		}
		time.Sleep(370 * time.Millisecond) // the holder ends in 30
		old, fresh := c.send("old"), c.send("fresh")
		c.wg.Wait()
		if old.Code != 200 || fresh.Code != 200 || strings.Join(c.order()[1:], " ") != "fresh old" {
			t.Errorf("served %q with %d and %d, want the newest first", c.order(), old.Code, fresh.Code)
		}
	})
}

// Of those that wait, the one whose call is over first goes first, if its client is
// believed.
func TestQueueServesTheMostUrgent(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := newCrowd(t, middleware.WithTrust(func(*http.Request) bool { return trusted }))
			c.send("holder?100ms")
			c.send("later", "Request-Timeout-Ms: 3000")
			c.send("sooner", "Request-Timeout-Ms: 2000")
			c.send("unsaid")
			c.send("soonest", "Request-Timeout-Ms: 900")
			c.wg.Wait()
			want := "holder soonest sooner later unsaid"
			if !trusted {
				want = "holder later sooner unsaid soonest"
			}
			if got := strings.Join(c.order(), " "); got != want {
				t.Errorf("trusted %v: served %q, want %q", trusted, got, want)
			}
		})
	}
}

func TestRetriesAreServedWhileNothingStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		c.send("holder")
		w := c.send("retry", "Retry-Attempt: 3")
		c.wg.Wait()
		if w.Code != 200 {
			t.Errorf("%d, want 200", w.Code)
		}
	})
}

func TestPriorities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, middleware.WithPriority(middleware.HeaderPriority))
		c.send("holder?100ms")
		c.send("low", "X-Failsafe-Priority: 0")
		c.send("unsaid")
		c.send("high", "X-Failsafe-Level: 499")
		c.send("nonsense", "X-Failsafe-Level: 9999999999999999999999")
		c.send("twice", "X-Failsafe-Level: 1", "X-Failsafe-Level: 499")
		c.wg.Wait()
		if got, want := strings.Join(c.order(), " "), "holder high unsaid nonsense twice low"; got != want {
			t.Errorf("served %q, want %q", got, want)
		}
	})
	// Under load it is the low ones who are refused, and it is said why.
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, middleware.WithPriority(func(r *http.Request) int {
			if strings.HasPrefix(r.URL.Path, "/low") {
				return -7 // below the scale: the lowest
			}
			return 1000
		}))
		for i := range 400 {
			c.send([]string{"low", "high"}[i%2])
			time.Sleep(7 * time.Millisecond)
		}
		c.wg.Wait()
		reasons := map[middleware.ShedReason]int{}
		for _, e := range c.seen() {
			reasons[e.Shed]++
		}
		high := 0
		for _, name := range c.order() {
			if name == "high" {
				high++
			}
		}
		if high != 200 || reasons[middleware.ShedPriority] == 0 || reasons[middleware.ShedQueue] > 0 {
			t.Errorf("%d of 200 high ones served, refused %v", high, reasons)
		}
	})
	// A client that is not believed cannot raise its rank.
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, middleware.WithPriority(middleware.HeaderPriority), middleware.WithTrust(func(*http.Request) bool { return false }))
		c.send("holder")
		c.send("unsaid")
		c.send("high", "X-Failsafe-Level: 499")
		c.send("low", "X-Failsafe-Level: 0")
		c.wg.Wait()
		if got := strings.Join(c.order(), " "); got != "holder unsaid high low" {
			t.Errorf("served %q, want the first two in the order they came", got)
		}
	})
}

// A request whose deadline passes in the queue, or leaves no time for the work,
// is answered with 504 and never run.
func TestDeadlineInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, middleware.WithDeadlines(middleware.Deadlines{}))
		for range 60 { // from which the latency is learnt
			c.send("work?20ms")
			c.wg.Wait()
		}
		served := len(c.order())
		c.send("holder?1s")
		start := time.Now()
		late := c.send("late", "Request-Timeout-Ms: 120")
		hopeless := c.send("hopeless", "Request-Timeout-Ms: 10")
		if hopeless.Code != 504 {
			t.Errorf("no time for the work: %d, want 504 at once", hopeless.Code)
		}
		time.Sleep(100 * time.Millisecond) // 120 less the 20 that the work takes
		synctest.Wait()
		if late.Code != 504 || time.Since(start) != 100*time.Millisecond || late.Header().Get("X-Should-Retry") != "false" || late.Header().Get("Retry-After") != "" {
			t.Errorf("late: %d after %v with %v, want 504 in 100ms", late.Code, time.Since(start), late.Header())
		}
		c.wg.Wait()
		for _, e := range c.seen()[60:62] {
			if e.Shed != middleware.ShedExpired || e.Status != 504 {
				t.Errorf("%+v, want it expired", e)
			}
		}
		if len(c.order()) != served+1 {
			t.Errorf("served %q after the first, want the holder only", c.order()[served:])
		}
	})
}

// What is waited for is taken from the deadline, not added to it.
func TestWaitCountsAgainstTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entered := make(chan struct{})
		h := build(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/holder" {
				close(entered)
				time.Sleep(150 * time.Millisecond)
				return
			}
			d, _ := r.Context().Deadline()
			info, _ := middleware.FromContext(r.Context())
			if time.Until(d) != 850*time.Millisecond || info.QueueWait != 150*time.Millisecond || !info.Deadline.Equal(d) {
				t.Errorf("%v left, %+v; want 850ms after a wait of 150ms", time.Until(d), info)
			}
		}, middleware.WithConcurrency(1), middleware.WithShedding(middleware.Shedding{}), middleware.WithDeadlines(middleware.Deadlines{Max: time.Second}))
		var wg sync.WaitGroup
		wg.Go(func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/holder", nil)) })
		<-entered
		serve(h, "GET")
		wg.Wait()
	})
}

// A client that goes while it waits takes no slot.
func TestClientGoneInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		c.send("holder?100ms")
		ctx, cancel := context.WithCancel(t.Context())
		c.wg.Go(func() { c.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/gone", nil)) })
		synctest.Wait()
		time.Sleep(30 * time.Millisecond)
		cancel()
		synctest.Wait()
		if len(c.seen()) != 1 || c.seen()[0].Shed != middleware.ShedGone || c.seen()[0].QueueWait != 30*time.Millisecond {
			t.Errorf("events %+v, want one of a client gone after 30ms", c.seen())
		}
		next := c.send("next")
		c.wg.Wait()
		if next.Code != 200 || strings.Join(c.order(), " ") != "holder next" {
			t.Errorf("served %q, then %d", c.order(), next.Code)
		}
	})
}

// A deadline that a handler further out gave is as good as the client's.
func TestOuterDeadlineInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		c.send("holder?1s")
		ctx, cancel := context.WithTimeout(t.Context(), 70*time.Millisecond)
		defer cancel()
		w := httptest.NewRecorder()
		c.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/late", nil))
		if w.Code != 504 || c.seen()[0].Shed != middleware.ShedExpired {
			t.Errorf("%d, %+v, want 504", w.Code, c.seen()[0])
		}
		c.wg.Wait()
	})
}
