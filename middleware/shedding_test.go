package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// crowd is a handler with one slot that serves for as long as the path says, and what
// became of its requests.
type crowd struct {
	http.Handler
	mu     sync.Mutex
	served []string // names, in order of admission
	events []middleware.Event
	wg     sync.WaitGroup
}

func newCrowd(t *testing.T, opts ...middleware.Option) *crowd {
	c := &crowd{}
	c.Handler = build(t, func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.served = append(c.served, strings.TrimPrefix(r.URL.Path, "/"))
		c.mu.Unlock()
		d, err := time.ParseDuration(r.URL.RawQuery)
		if err != nil {
			d = 10 * time.Millisecond
		}
		time.Sleep(d)
	}, append([]middleware.Option{
		middleware.WithConcurrency(1), middleware.WithShedding(middleware.Shedding{}),
		middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) {
			c.mu.Lock()
			c.events = append(c.events, e)
			c.mu.Unlock()
		}}),
	}, opts...)...)
	return c
}

// seen returns the events so far.
func (c *crowd) seen() []middleware.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

// order returns whose requests were served, in that order.
func (c *crowd) order() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.served)
}

// send sends a request and returns where its answer will be once it has one.
func (c *crowd) send(target string, lines ...string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/"+target, nil)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	c.wg.Go(func() { c.ServeHTTP(w, r) })
	synctest.Wait()
	return w
}

// stand lets the queue stand: one request holds the slot for long and others
// wait behind it until they are refused.
func (c *crowd) stand() {
	c.send("holder?2s")
	c.send("first")
	for range 8 {
		time.Sleep(200 * time.Millisecond)
		c.send("next")
	}
}

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

// Clients that are refused together are told different times, as far apart as
// the handler can serve them, and in the end not to come back.
func TestCalendar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, func(w http.ResponseWriter, r *http.Request) { time.Sleep(10 * time.Millisecond) }, middleware.WithConcurrency(1))
		for range 100 { // 100 per second
			serve(h, "GET")
		}
		var wg sync.WaitGroup
		wg.Go(func() { serve(h, "GET") })
		synctest.Wait()
		last, never := 0, 0
		for range 700 {
			resp := serve(h, "GET")
			var ms, s int
			fmt.Sscan(resp.Header.Get("Retry-After-Ms"), &ms)
			fmt.Sscan(resp.Header.Get("Retry-After"), &s)
			switch resp.Header.Get("X-Should-Retry") {
			case "true":
				// Half of what it can serve: 20 ms for each.
				if d := ms - last; d < 19 || d > 25 || s != (ms+999)/1000 || ms > 10_000 {
					t.Fatalf("told %d ms and %d s after %d ms, want 20 ms apart", ms, s, last)
				}
				last = ms
			case "false":
				never++
				if resp.Header.Get("X-Envoy-Ratelimited") != "true" || ms < 10_000 {
					t.Fatalf("told not to come back with %v", resp.Header)
				}
			}
		}
		if never < 150 || never > 300 {
			t.Errorf("%d of 700 told not to come back, want those past 10 s", never)
		}
		wg.Wait()
	})
}

// Nobody is told to come back in vain when somebody knows better.
func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var spent atomic.Bool
		block := make(chan struct{})
		h := build(t, func(w http.ResponseWriter, r *http.Request) { <-block }, middleware.WithConcurrency(1),
			middleware.WithShedding(middleware.Shedding{GiveUp: spent.Load, MaxWait: time.Millisecond}))
		var wg sync.WaitGroup
		wg.Go(func() { serve(h, "GET") })
		synctest.Wait()
		for _, want := range []string{"true", "false"} {
			resp := serve(h, "POST", "Content-Type: application/grpc+proto")
			pushback := resp.Header.Get("Grpc-Retry-Pushback-Ms")
			if resp.Header.Get("X-Should-Retry") != want || (pushback == "-1") != (want == "false") {
				t.Errorf("header %v, want X-Should-Retry: %s and a pushback to match", resp.Header, want)
			}
			spent.Store(true)
		}
		close(block)
		wg.Wait()
	})
}

func TestDryRunWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, middleware.WithDryRun())
		c.send("holder?1s")
		start := time.Now()
		w := c.send("other?1ms")
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if e := c.seen()[0]; w.Code != 200 || time.Since(start) != time.Millisecond || e.Shed != middleware.ShedConcurrency || !e.DryRun || e.InFlight != 1 {
			t.Errorf("%d, %+v", w.Code, e)
		}
		c.wg.Wait()
	})
}

// A slot is free from the first flush or the hijack on, and after every other
// end of a handler.
func TestSlotIsReleased(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"flush": func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); <-r.Context().Done() },
		"controller": func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"hijack": func(w http.ResponseWriter, r *http.Request) {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				defer conn.Close()
				<-r.Context().Done()
			}
		},
		"abort":  func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		"return": func(w http.ResponseWriter, r *http.Request) {},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan middleware.Event, 100)
			ctx, stop := context.WithCancel(context.Background())
			wrap, err := middleware.New(middleware.WithConcurrency(1), middleware.WithObserver(middleware.Observer{
				OnRequest: func(_ context.Context, e middleware.Event) { ended <- e },
			}))
			if err != nil {
				t.Fatal(err)
			}
			entered := make(chan struct{}, 1)
			h := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/other" {
					return
				}
				defer func() { entered <- struct{}{} }()
				handler(&announcing{ResponseWriter: w, entered: entered}, r.WithContext(ctx))
			}))
			srv := httptest.NewServer(h)
			srv.Config.ErrorLog = quiet
			defer srv.Close()
			client := srv.Client()
			var held sync.WaitGroup
			defer held.Wait()
			defer stop()
			held.Go(func() {
				if resp, err := client.Get(srv.URL + "/held"); err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
			<-entered
			if name == "abort" || name == "return" {
				<-ended
			}
			resp, err := client.Get(srv.URL + "/other")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Errorf("%d, want the slot to be free", resp.StatusCode)
			}
		})
	}
}

// A server whose first clients have all gone before they were served knows
// nothing of its latency. It must not refuse for good those that come later.
func TestStartWithNobodyServedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := true
		h := build(t, func(w http.ResponseWriter, r *http.Request) {
			if slow {
				time.Sleep(700 * time.Millisecond) // whether or not the client is there
				return
			}
			time.Sleep(10 * time.Millisecond)
		}, middleware.WithShedding(middleware.Shedding{}))
		get := func() int {
			ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
			defer cancel()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
			if ctx.Err() != nil {
				return 0
			}
			return w.Code
		}
		var wg sync.WaitGroup
		for range 400 {
			wg.Go(func() { get() })
			time.Sleep(10 * time.Millisecond)
		}
		wg.Wait()
		slow = false
		served := 0
		for range 200 { // one after the other
			if get() == http.StatusOK {
				served++
			}
			time.Sleep(10 * time.Millisecond)
		}
		if served < 195 {
			t.Errorf("%d of 200 served when the handler is fast again, want nearly all", served)
		}
	})
}
