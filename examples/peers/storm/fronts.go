package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// shedding is what an evenkeel server has and a naive one has not. The scheduler
// of the machine has no part in virtual time.
func shedding(net network) (func(http.Handler) http.Handler, error) {
	s := middleware.Shedding{}
	if _, real := net.(*loopback); !real {
		s.SchedulerLatency = -1
	}
	return middleware.New(middleware.WithShedding(s), middleware.WithAttempts(), middleware.WithDeadlines(middleware.Deadlines{}))
}

// The servers of a scenario. Only evenkeel's knows anything of latency.
const (
	naive     = "naive"
	ours      = "evenkeel"
	limitReq  = "limit-req"  // nginx's limit_req: a burst of half a second, then 503 without a hint
	inFlight  = "in-flight"  // 503 with Retry-After: 1 beyond 100 in flight
	quota     = "quota"      // 80 % of what is asked per 30 s, then 429 with Retry-After
	closed1   = "closed-1"   // 503 with Retry-After: 1 while the fault lasts
	closed120 = "closed-120" // 503 with Retry-After: 120 while the fault lasts
	fifthShed = "fifth-shed" // the same with 1 for one request in five
)

// front returns the handler as the scenario's server has it.
func (s *scenario) front(net network, h http.Handler) (http.Handler, error) {
	switch s.server {
	case ours:
		wrap, err := shedding(net)
		if err != nil {
			return nil, err
		}
		return wrap(h), nil
	case limitReq:
		return &leaky{next: h, perSecond: s.capacity()}, nil
	case inFlight:
		return &bounded{next: h, room: 100}, nil
	case quota:
		return &quotas{next: h, start: time.Now(), window: 30 * time.Second, most: int(30 * s.calls(0) * 0.8)}, nil
	case closed1, fifthShed:
		return &closing{next: h, start: time.Now(), scenario: s, after: "1", share: map[string]float64{closed1: 1, fifthShed: 0.2}[s.server]}, nil
	case closed120:
		return &closing{next: h, start: time.Now(), scenario: s, after: "120", share: 1}, nil
	}
	return h, nil
}

func refuse(w http.ResponseWriter, status int, after string) {
	if after != "" {
		w.Header().Set("Retry-After", after)
	}
	http.Error(w, "refused", status)
}

// leaky is a leaky bucket.
type leaky struct {
	next      http.Handler
	perSecond float64

	mu    sync.Mutex // guards what follows
	level float64
	at    time.Time
}

func (l *leaky) admit() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.level = max(0, l.level-now.Sub(l.at).Seconds()*l.perSecond)
	l.at = now
	if l.level > l.perSecond/2 {
		return false
	}
	l.level++
	return true
}

func (l *leaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !l.admit() {
		refuse(w, http.StatusServiceUnavailable, "")
		return
	}
	l.next.ServeHTTP(w, r)
}

// bounded has room for so many at a time.
type bounded struct {
	next http.Handler
	room int64
	n    atomic.Int64
}

func (b *bounded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer b.n.Add(-1)
	if b.n.Add(1) > b.room {
		refuse(w, http.StatusServiceUnavailable, "1")
		return
	}
	b.next.ServeHTTP(w, r)
}

// quotas grants so many per window of the clock.
type quotas struct {
	next   http.Handler
	start  time.Time
	window time.Duration
	most   int

	mu   sync.Mutex // guards what follows
	slot time.Duration
	used int
}

// admit returns how long the window still is, and whether there is quota left in it.
func (q *quotas) admit() (left time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	since := time.Since(q.start)
	if slot := since / q.window; slot != q.slot {
		q.slot, q.used = slot, 0
	}
	q.used++
	return q.window - since%q.window, q.used <= q.most
}

func (q *quotas) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if left, ok := q.admit(); !ok {
		refuse(w, http.StatusTooManyRequests, fmt.Sprint(int(left.Seconds())+1))
		return
	}
	q.next.ServeHTTP(w, r)
}

// closing refuses a share of the requests while the fault lasts, whatever the load is.
type closing struct {
	next     http.Handler
	start    time.Time
	scenario *scenario
	after    string
	share    float64
}

func (c *closing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Since(c.start)
	if at >= c.scenario.calm && at < c.scenario.calm+c.scenario.fault && rand.Float64() < c.share {
		refuse(w, http.StatusServiceUnavailable, c.after)
		return
	}
	c.next.ServeHTTP(w, r)
}
