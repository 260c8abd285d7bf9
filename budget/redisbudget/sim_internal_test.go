package redisbudget

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sort"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

// A world is a fleet in simulated time: the production code of each instance,
// the model of the script behind a network and a queue, and calls that fail.
type world struct {
	scene
	rand    *rand.Rand
	now     time.Duration
	redis   *model
	busy    time.Duration // until then the server works
	moving  float64       // credit in calls under way, in tokens
	backup  map[string]state
	events  eventHeap
	members []*member
	zipf    []float64 // cumulated weights

	buckets []bucket
	calls   int // of the script, executed
	gaveUp  int // attempts that failed as the last of their call, when judged
	judging bool
	gone    bool // no call gets through
	bound   bound
}

// A scene is what happens in a world.
type scene struct {
	instances int
	requests  float64 // per second, of the fleet
	policy    budget.Policy
	length    time.Duration
	attempts  int                                               // of a call at most; 0 are 3
	fails     func(now time.Duration, instance, of int) float64 // the chance that an attempt fails
	away      func(now time.Duration, instance, of int) bool    // no call gets through
	at        []incident
	churn     float64 // of the instances, replaced per second
	options   config
}

type incident struct {
	at time.Duration
	do func(*world)
}

type member struct {
	i        int
	b        *Shared
	sync     *syncer
	poked    bool
	gen      int // of the tick that counts
	requests int // in the window that is judged
	retries  int
}

// A bucket is a hundredth of a second of the fleet.
type bucket struct {
	requests, failures, retries, calls int
	paying                             int // requests that deposit: with Evidence those whose first attempt succeeded
	helped                             int // retries that succeeded, with Evidence
	lost                               int // calls that failed for good
}

// unpaid is what was spent in the bucket beyond what was earned in it: with
// Evidence, a retry that helped earned its own token and another one.
func (b bucket) unpaid(p budget.Policy) float64 {
	return float64(b.retries-2*b.helped) - p.Ratio*float64(b.paying) - p.MinPerSecond*bucketSize.Seconds()
}

const bucketSize = 10 * time.Millisecond

type event struct {
	at   time.Duration
	kind uint8
	m    *member
	gen  int // of a tick; attempts made, for a retry
	paid bool
	c    *call
	err  error
	ans  []answer
}

const (
	arrival = iota
	again
	tick
	execute
	finish
	happen
	replace
)

func newWorld(sc scene, seed uint64) *world {
	w := &world{scene: sc, rand: rand.New(rand.NewPCG(seed, 42))}
	w.redis = newModel(func() float64 { return 1.7e15 + float64(w.now.Microseconds()) })
	w.policy = w.policy.Filled()
	if w.attempts == 0 {
		w.attempts = 3
	}
	if w.options.rate == 0 {
		w.options = defaults()
	}
	sum := 0.0
	for i := range w.instances {
		sum += 1 / float64(i+1)
		w.zipf = append(w.zipf, sum)
		w.members = append(w.members, nil)
		w.join(i)
	}
	w.push(event{at: 0, kind: arrival})
	if w.churn > 0 {
		w.push(event{at: time.Second, kind: replace})
	}
	for i := range w.at {
		w.push(event{at: w.at[i].at, kind: happen, gen: i})
	}
	return w
}

// even gives all instances the same share of the requests.
func (w *world) even() {
	for i := range w.zipf {
		w.zipf[i] = float64(i + 1)
	}
}

// join starts instance i afresh, with nothing.
func (w *world) join(i int) {
	m := &member{i: i}
	l := limits{min: w.options.min, max: w.options.max, rate: w.options.rate}
	m.sync = newSyncer(l, 1, rand.New(rand.NewPCG(w.rand.Uint64(), w.rand.Uint64())))
	m.b = newShared("api", "k", 0, w.policy, func(b *Shared) { m.sync.wake(b); m.poked = true })
	m.sync.join(m.b)
	if old := w.members[i]; old != nil {
		old.gen = -1 // its events count no more
		m.requests, m.retries = old.requests, old.retries
	}
	w.members[i] = m
	w.drive(m)
}

// drive is what the goroutine of a Fleet does.
func (w *world) drive(m *member) {
	if m.gen < 0 {
		return
	}
	for _, c := range m.sync.begin(w.now) {
		for _, a := range c.asks {
			w.moving += a.give / token
		}
		w.send(m, c)
	}
	m.gen++
	w.push(event{at: m.sync.next(w.now), kind: tick, m: m, gen: m.gen})
}

var errAway = errors.New("away")

const (
	halfTrip  = 500 * time.Microsecond
	perCall   = 6 * time.Microsecond
	perBudget = 6 * time.Microsecond
)

func (w *world) send(m *member, c *call) {
	if w.gone || w.away != nil && w.away(w.now, m.i, w.instances) {
		w.push(event{at: w.now + answerIn, kind: finish, m: m, c: c, err: errAway})
		return
	}
	w.busy = max(w.busy, w.now+halfTrip) + perCall + time.Duration(len(c.keys))*perBudget
	w.push(event{at: w.busy, kind: execute, m: m, c: c})
}

func (w *world) run() {
	for len(w.events) > 0 {
		e := w.events.pop()
		if e.at > w.length {
			return
		}
		w.now = e.at
		w.handle(e)
		if e.m != nil && e.m.poked {
			e.m.poked = false
			w.drive(e.m)
		}
	}
}

func (w *world) handle(e event) {
	switch e.kind {
	case arrival:
		i := sort.SearchFloat64s(w.zipf, w.rand.Float64()*w.zipf[len(w.zipf)-1])
		m := w.members[min(i, len(w.members)-1)]
		m.b.Deposit()
		w.bucket().requests++
		if !w.policy.Evidence {
			w.bucket().paying++
		}
		m.requests++
		w.attempt(m, 1)
		if m.poked {
			m.poked = false
			w.drive(m)
		}
		w.push(event{at: w.now + time.Duration(w.rand.ExpFloat64()/w.requests*1e9), kind: arrival})
	case again:
		if e.m.gen < 0 || !e.paid && !e.m.b.WithdrawFor(e.gen+1) {
			w.bucket().lost++
			return
		}
		if !e.paid {
			w.retry(e.m)
		}
		w.attempt(e.m, e.gen+1)
	case tick:
		if e.gen == e.m.gen {
			w.drive(e.m)
		}
	case execute:
		for _, a := range e.c.asks {
			w.moving -= a.give / token
		}
		w.calls++
		w.bucket().calls++
		answers, _ := w.redis.settle(context.Background(), e.c)
		for _, a := range answers {
			w.moving += a.grant
		}
		w.push(event{at: w.now + halfTrip, kind: finish, m: e.m, c: e.c, ans: answers})
	case finish:
		for _, a := range e.ans {
			w.moving -= a.grant
		}
		if e.ans == nil {
			for _, a := range e.c.asks {
				w.moving -= a.give / token
			}
		}
		if e.m.gen >= 0 {
			e.m.sync.end(e.c, w.now, e.ans, e.err)
			w.drive(e.m)
		}
	case replace:
		// A crash: what the old one held is gone.
		w.join(w.rand.IntN(len(w.members)))
		w.push(event{at: w.now + time.Duration(1e9/(w.churn*float64(w.instances))), kind: replace})
	case happen:
		w.at[e.gen].do(w)
	}
}

// attempt is the n-th of a call. It may fail and be sent again, paid for
// before the wait or, if that was refused, after it.
func (w *world) attempt(m *member, n int) {
	if w.rand.Float64() >= w.fails(w.now, m.i, w.instances) {
		w.settle(m, n)
		return
	}
	w.bucket().failures++
	if n == w.attempts {
		if w.judging && w.now < failTo {
			w.gaveUp++
		}
		w.bucket().lost++
		return
	}
	paid := m.b.WithdrawFor(n + 1)
	if paid {
		w.retry(m)
	}
	wait := time.Duration(w.rand.Float64() * float64(n) * float64(100*time.Millisecond))
	w.push(event{at: w.now + wait, kind: again, m: m, gen: n, paid: paid})
}

// settle says that the n-th attempt of a call succeeded.
func (w *world) settle(m *member, n int) {
	if !w.policy.Evidence {
		return
	}
	if n == 1 {
		m.b.Settle(budget.Unaided)
		w.bucket().paying++
		return
	}
	m.b.Settle(budget.Helped)
	w.bucket().helped++
}

func (w *world) retry(m *member) {
	w.bucket().retries++
	m.retries++
}

// bucket is that of now. Before it opens a new one it notes the stock.
func (w *world) bucket() *bucket {
	n := int(w.now / bucketSize)
	for len(w.buckets) <= n {
		if len(w.buckets) > 0 {
			b := w.buckets[len(w.buckets)-1]
			w.bound.add(b, w.policy)
		}
		if w.instances <= 1000 || len(w.buckets)%20 == 0 {
			w.bound.start(w.stock())
		}
		w.buckets = append(w.buckets, bucket{})
	}
	return &w.buckets[n]
}

// stock is all the credit there is: with the instances, in the pool, under
// way, and what the floor has earned since it was last asked.
func (w *world) stock() float64 {
	sum := w.moving
	for _, m := range w.members {
		sum += float64(m.b.account.Books().Balance) / token
	}
	if s, ok := w.redis.kept["k"]; ok {
		since := max((w.redis.now()-s.at)/1e6, 0)
		sum += s.pool/token + w.policy.MinPerSecond*min(since, w.policy.Pool.Seconds())
	}
	return sum
}

// A bound watches that in no window more was spent than was earned in it and
// in stock at its start.
type bound struct {
	spent, low, worst float64
	started           bool
}

func (b *bound) add(x bucket, p budget.Policy) {
	b.spent += x.unpaid(p)
	b.worst = max(b.worst, b.spent-b.low)
}

func (b *bound) start(stock float64) {
	if x := b.spent + stock; !b.started || x < b.low {
		b.low, b.started = x, true
	}
}

// excess is the most that was spent in any window beyond what was earned in
// it: the maximum subarray. It is in seconds of budget.
func (w *world) excess(buckets []bucket, rate float64) float64 {
	var sum, most float64
	for _, b := range buckets {
		sum = max(0, sum+b.unpaid(w.policy))
		most = max(most, sum)
	}
	return most / (w.policy.Ratio*rate + w.policy.MinPerSecond)
}

func total(buckets []bucket) (t bucket) {
	for _, b := range buckets {
		t.requests += b.requests
		t.failures += b.failures
		t.retries += b.retries
		t.calls += b.calls
		t.paying += b.paying
		t.helped += b.helped
		t.lost += b.lost
	}
	return t
}

// between are the buckets from one moment to another.
func (w *world) between(from, to time.Duration) []bucket {
	return w.buckets[min(int(from/bucketSize), len(w.buckets)):min(int(to/bucketSize), len(w.buckets))]
}

// peak is the highest ratio of retries to requests in a second.
func (w *world) peak() float64 {
	most := 0.0
	for at := time.Duration(0); at < w.length; at += time.Second {
		if t := total(w.between(at, at+time.Second)); t.requests > 0 {
			most = max(most, float64(t.retries)/float64(t.requests))
		}
	}
	return most
}

// jain is the fairness of the retries that each instance got for its requests.
func jain(members []*member, atLeast int, failed func(*member) bool) float64 {
	var sum, squares, n float64
	for _, m := range members {
		if m.requests < atLeast || !failed(m) {
			continue
		}
		x := float64(m.retries) / float64(m.requests)
		sum += x
		squares += x * x
		n++
	}
	if squares == 0 {
		return math.NaN()
	}
	return sum * sum / (n * squares)
}

// judge starts the window over which instances are compared.
func judge(w *world) {
	w.judging = true
	for _, m := range w.members {
		m.requests, m.retries = 0, 0
	}
}

type eventHeap []event

func (w *world) push(e event) { w.events.push(e) }

func (h *eventHeap) push(e event) {
	*h = append(*h, e)
	s := *h
	for i := len(s) - 1; i > 0; {
		p := (i - 1) / 2
		if s[p].at <= s[i].at {
			return
		}
		s[p], s[i] = s[i], s[p]
		i = p
	}
}

func (h *eventHeap) pop() event {
	s := *h
	top := s[0]
	last := len(s) - 1
	s[0] = s[last]
	s[last] = event{}
	s = s[:last]
	*h = s
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			return top
		}
		if c+1 < last && s[c+1].at < s[c].at {
			c++
		}
		if s[i].at <= s[c].at {
			return top
		}
		s[i], s[c] = s[c], s[i]
		i = c
	}
}
