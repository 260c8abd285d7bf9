package fleet

import (
	"context"
	"errors"
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
	redis   *Memory
	busy    time.Duration // until then the server works
	moving  float64       // credit in calls under way, in tokens
	backup  map[string]State
	events  eventHeap
	members []*member
	zipf    []float64 // cumulated weights

	buckets []bucket
	calls   int  // of the script, executed
	gaveUp  int  // attempts that failed as the last of their call, when judged
	judging bool // instances are compared, and counted
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
	limits    Limits
}

type incident struct {
	at time.Duration
	do func(*world)
}

type member struct {
	i        int
	b        *Budget
	sync     *syncer
	poked    bool
	gen      int // of the tick that counts
	requests int // while judging
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

func newWorld(sc scene, seed uint64) *world {
	w := &world{scene: sc, rand: rand.New(rand.NewPCG(seed, 42))}
	w.redis = NewMemory(func() float64 { return 1.7e15 + float64(w.now.Microseconds()) })
	w.policy = w.policy.Filled()
	if w.attempts == 0 {
		w.attempts = 3
	}
	if w.limits == (Limits{}) {
		w.limits = testLimits
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
	m.sync = newSyncer(w.limits, 1, rand.New(rand.NewPCG(w.rand.Uint64(), w.rand.Uint64())))
	m.b = newBudget("api", "k", 0, w.policy, func(b *Budget) { m.sync.wake(b); m.poked = true })
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
		for _, a := range c.Asks {
			w.moving += a.Give / token
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
		w.push(event{at: w.now + AnswerIn, kind: finish, m: m, c: c, err: errAway})
		return
	}
	w.busy = max(w.busy, w.now+halfTrip) + perCall + time.Duration(len(c.Keys))*perBudget
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
		if w.judging {
			m.requests++
		}
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
		for _, a := range e.c.Asks {
			w.moving -= a.Give / token
		}
		w.calls++
		w.bucket().calls++
		answers, _ := w.redis.Settle(context.Background(), &e.c.Exchange)
		for _, a := range answers {
			w.moving += a.Grant
		}
		w.push(event{at: w.now + halfTrip, kind: finish, m: e.m, c: e.c, ans: answers})
	case finish:
		for _, a := range e.ans {
			w.moving -= a.Grant
		}
		if e.ans == nil {
			for _, a := range e.c.Asks {
				w.moving -= a.Give / token
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
		if w.judging {
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
	if w.judging {
		m.retries++
	}
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
		since := max((w.redis.now()-s.At)/1e6, 0)
		sum += s.Pool/token + w.policy.MinPerSecond*min(since, w.policy.Pool.Seconds())
	}
	return sum
}
