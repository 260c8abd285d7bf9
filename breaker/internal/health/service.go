package health

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// A Service is what this process knows of one service: counts since the last report, and
// the verdict that applies here. Its methods that requests call are a few atomic
// operations and allocate nothing.
type Service struct {
	name  string
	key   string
	shard int
	wake  func(*Service, bool)
	now   func() time.Duration // the clock of the fleet

	verdict atomic.Pointer[verdict] // never nil

	_                        [64]byte // requests that count leave the verdict in the caches of others
	calls, fast, slow, late  atomic.Int64
	asked, succeeded, failed atomic.Int64 // of circuits
	passed                   atomic.Int64 // when the newest attempt was sent here that succeeded, by the fleet's clock
	elsewhere                atomic.Int64 // and elsewhere, as the store says
	lateAt                   atomic.Int64 // when the newest was sent that timed out and counts

	mu  sync.Mutex // guards what follows
	own own
}

// own is what only the goroutine of the fleet changes.
type own struct {
	in        bool          // it is among those that are reported
	said      time.Duration // when the last report was made
	used      time.Duration // when a call was last seen
	passed    int64         // that was in the last report
	rate      float64       // calls per second
	asked     float64       // requests to a circuit per second
	heard     Reply         // the last one
	heardAt   time.Duration
	isolated  time.Duration // until when
	connected bool          // the last report had a reply
	reports   int64
	lost      int64
}

// A verdict is what applies to this process. It is not changed after it is published.
type verdict struct {
	calm     bool    // nothing is refused, and the service is reported
	share    float64 // of first attempts
	circuit  float64 // of requests to a circuit
	retryIn  time.Duration
	isolated time.Duration // until when nothing may be sent; 0 if it may
	asleep   bool          // nobody reports the service, until it is used
}

const (
	ownRateOver = 5 * time.Second
	// forgetAfter is when a service is no longer reported that is not called. Until then a
	// process asks as often as others: its next call needs a verdict that is not old.
	forgetAfter = time.Minute
	// ownCircuit is how many requests per second a circuit needs to judge by itself, with
	// the defaults of package breaker.
	ownCircuit = 10
)

// Admit reports whether an attempt of that number may be sent, or when to ask again.
func (s *Service) Admit(attempt int) (retryIn time.Duration, ok bool) {
	if attempt == 1 {
		s.calls.Add(1)
	}
	v := s.verdict.Load()
	if v.calm {
		return 0, true
	}
	return s.admit(v, attempt)
}

func (s *Service) admit(v *verdict, attempt int) (retryIn time.Duration, ok bool) {
	if v.asleep {
		s.wake(s, false)
	}
	if left := s.isolatedFor(v); left > 0 {
		return left, false
	}
	if v.share >= 1 || attempt == 1 && rand.Float64() < v.share {
		return 0, true
	}
	return v.retryIn, false
}

// isolatedFor is how long nothing may be sent. It ends when its time is over, whether or
// not the store has an answer then.
func (s *Service) isolatedFor(v *verdict) time.Duration {
	if v.isolated == 0 {
		return 0
	}
	return v.isolated - s.now()
}

// SawSuccess counts an attempt that was sent at that time of the fleet's clock.
func (s *Service) SawSuccess(sent time.Duration, fast bool) {
	if fast {
		s.fast.Add(1)
	} else {
		s.slow.Add(1)
	}
	// Of frequent successes a few are enough to tell what was overtaken.
	if at := int64(sent); at > s.passed.Load()+grain {
		advance(&s.passed, at)
	}
}

// grain is how much newer a success has to be to be of interest.
const grain = int64(time.Millisecond)

// SawLate counts an attempt that timed out, unless a later one has succeeded.
func (s *Service) SawLate(sent time.Duration) {
	if int64(sent) <= max(s.passed.Load(), s.elsewhere.Load()) {
		return
	}
	advance(&s.lateAt, int64(sent))
	if s.late.Add(1) == 1 {
		s.wake(s, true)
	}
}

// advance stores t unless something later is there.
func advance(a *atomic.Int64, t int64) {
	for {
		old := a.Load()
		if t <= old || a.CompareAndSwap(old, t) {
			return
		}
	}
}

// SawEnd counts a request to a circuit that ended.
func (s *Service) SawEnd(ok bool) {
	if ok {
		s.succeeded.Add(1)
	} else if s.failed.Add(1) == 1 {
		s.wake(s, true)
	}
}

// Verdict reports whether requests to a circuit are refused, and for how long.
func (s *Service) Verdict() (open bool, retryIn time.Duration) {
	v := s.verdict.Load()
	if v.calm {
		return false, 0
	}
	if v.asleep {
		s.wake(s, false)
	}
	if left := s.isolatedFor(v); left > 0 {
		return true, left
	}
	if v.circuit >= 1 {
		return false, 0
	}
	return true, v.retryIn
}

// Ticket reports whether a request may pass that found the verdict open.
func (s *Service) Ticket() bool {
	v := s.verdict.Load()
	if s.isolatedFor(v) <= 0 && rand.Float64() < v.circuit {
		return true // and is counted when it ends
	}
	s.asked.Add(1)
	return false
}

// collect makes a report of what was counted since the last one. It also returns how many
// processes call the service.
func (s *Service) collect(now time.Duration, id float64) (r Report, crowd float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, took := &s.own, now-s.own.said
	held, good, bad := s.asked.Swap(0), s.succeeded.Swap(0), s.failed.Swap(0)
	r = Report{
		ID: id, Present: min(took.Seconds(), longTerm),
		Calls: float64(s.calls.Swap(0)), Fast: float64(s.fast.Swap(0)), Slow: float64(s.slow.Swap(0)), Passed: -1,
		Asked: float64(held + good + bad), OK: float64(good), Failed: float64(bad),
		IsolatedAt: o.heard.IsolatedAt, IsolatedUntil: o.heard.IsolatedUntil,
	}
	if r.Calls+r.Asked > 0 {
		o.used = now
	}
	// It is said once: with the time that a report takes it would seem newer each time.
	passed := s.passed.Load()
	if passed != o.passed {
		r.Passed, o.passed = micros(now-time.Duration(passed)), passed
	}
	if late := s.late.Swap(0); late > 0 {
		if at := s.lateAt.Load(); at > max(passed, s.elsewhere.Load()) {
			r.Late, r.LateAge = float64(late), micros(now-time.Duration(at))
		}
	}
	if took > 0 {
		weight := 1 - math.Exp(-float64(took)/float64(ownRateOver))
		o.rate += (r.Calls/took.Seconds() - o.rate) * weight
		o.asked += (r.Asked/took.Seconds() - o.asked) * weight
	}
	o.said = now
	o.reports++
	return r, o.heard.Instances
}

func micros(d time.Duration) float64 { return max(float64(d.Microseconds()), 0) }

// hear takes in the reply to a report that was made at the time sent. It returns the
// reply before.
func (s *Service) hear(r Reply, sent, now time.Duration, p Params) (before Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &s.own
	before = o.heard
	if r.Foreign {
		r.Share, r.Circuit, r.Passed = 1, 1, -1
		r.IsolatedAt, r.IsolatedUntil = before.IsolatedAt, before.IsolatedUntil
	} else {
		o.isolated = now + time.Duration(r.Left*float64(time.Second))
	}
	o.heard, o.heardAt, o.connected = r, now, !r.Foreign
	if r.Passed >= 0 {
		advance(&s.elsewhere, int64(sent-time.Duration(r.Passed)*time.Microsecond))
	}
	s.apply(now, p)
	return before
}

// isolate takes over what was done by hand here. The next reply has it too, and tells
// the observer.
func (s *Service) isolate(r Reply, now time.Duration, p Params) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &s.own
	o.heard.IsolatedAt, o.heard.IsolatedUntil = r.IsolatedAt, r.IsolatedUntil
	o.isolated = now + time.Duration(r.Left*float64(time.Second))
	s.apply(now, p)
}

// miss takes note of a report without a reply. A verdict that is old fades, so that not
// all of a fleet which lost its store send everything at once.
func (s *Service) miss(now time.Duration, p Params) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &s.own
	o.connected = false
	o.lost++
	if now-o.heardAt > keptFor*p.Interval {
		o.heard.Share, o.heard.Circuit = min(2*o.heard.Share, 1), min(2*o.heard.Circuit, 1)
	}
	s.apply(now, p)
}

// keptFor is for how many intervals a verdict applies that is not renewed.
const keptFor = 3

// apply publishes what the verdict of the fleet means here. A process that sees enough
// itself keeps its own judgement.
func (s *Service) apply(now time.Duration, p Params) {
	o := &s.own
	v := verdict{share: 1, circuit: 1, retryIn: p.Interval}
	if o.rate < p.Rare {
		v.share = o.heard.Share
	}
	if o.asked < ownCircuit {
		v.circuit = o.heard.Circuit
	}
	if p.DryRun {
		v.share, v.circuit = 1, 1
	}
	if o.isolated > now { // by hand
		v.isolated = o.isolated
	}
	v.asleep = !o.in
	v.calm = v.share >= 1 && v.circuit >= 1 && v.isolated == 0 && o.in
	if old := s.verdict.Load(); *old != v {
		s.verdict.Store(&v)
	}
}

// retire lets a service go that was not used for long, and of which nothing is known that
// would be missed.
func (s *Service) retire(now time.Duration, p Params) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &s.own
	if now-o.used < forgetAfter || o.heard.Share < 1 || o.heard.Circuit < 1 || o.isolated > now {
		return false
	}
	o.in = false
	s.apply(now, p)
	return true
}

// enter puts a service among those that are reported. It reports false if it is there.
func (s *Service) enter(now time.Duration, p Params) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &s.own
	if o.in {
		return false
	}
	o.in, o.said, o.used = true, now, now
	s.apply(now, p)
	return true
}
