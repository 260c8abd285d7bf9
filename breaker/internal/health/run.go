package health

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// AnswerIn is how long an exchange may take.
	AnswerIn = 500 * time.Millisecond
	// grace is how long after that an exchange is given up, if the client has not done so.
	grace = 50 * time.Millisecond
	// spread is how far an interval may be off, as a part of it, so that the processes of
	// a fleet do not fall into step.
	spread = 0.15
	// maxKeys services are in an exchange at most.
	maxKeys = 32
	// mostReports is how many per second the store should get of one service, from the
	// whole fleet.
	mostReports = 10_000
)

var errLate = fmt.Errorf("no reply in time: %w", context.DeadlineExceeded)

// An exchange is one that this process makes.
type exchange struct {
	shard    int
	at       time.Duration
	services []*Service
	reports  []Report
	over     bool // it ended, or was given up
}

type result struct {
	*exchange
	replies []Reply
	err     error
}

// A loop is what the goroutine of a fleet knows.
type loop struct {
	*Fleet
	services []*Service
	next     time.Duration // the next round
	early    time.Duration // when a round was last made before its time
	bad      bool          // the last round had bad news
	pending  []*exchange
	busy     []int // exchanges of a shard that the client has not returned from
	failing  []bool
	crowd    float64 // the most processes that call one of the services
}

// run makes the rounds until Close.
func (f *Fleet) run() {
	defer close(f.done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l := &loop{Fleet: f, early: -time.Hour, busy: make([]int, f.params.Shards), failing: make([]bool, f.params.Shards)}
	l.next = l.jitter(f.params.Interval)
	timer := time.NewTimer(l.next)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-f.poke:
		case r := <-f.results:
			l.busy[r.shard]--
			l.end(r)
		case <-f.closing:
			l.leave()
			return
		}
		now := f.now()
		l.giveUp(now)
		if l.due(now) {
			l.round(ctx, now)
		}
		timer.Reset(l.wakeAt() - f.now())
	}
}

// due reports whether it is time for a round. The first bad news of a quiet second, and a
// service that is new, do not wait.
func (l *loop) due(now time.Duration) bool {
	l.mu.Lock()
	urgent := l.urgent
	l.urgent = false
	joined := l.joined
	l.joined = nil
	l.mu.Unlock()
	l.services = append(l.services, joined...)
	if now >= l.next {
		return true
	}
	if urgent && now-l.early >= l.params.Interval && (!l.bad || len(joined) > 0) {
		l.early = now
		return true
	}
	return false
}

// interval grows with the fleet.
func (l *loop) interval() time.Duration {
	return max(l.params.Interval, time.Duration(l.crowd/mostReports*float64(time.Second)))
}

func (l *loop) jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 + spread*(2*rand.Float64()-1)))
}

// round reports all services that have something to say.
func (l *loop) round(ctx context.Context, now time.Duration) {
	l.bad, l.crowd = false, 0
	open := map[int]*exchange{}
	l.services = slices.DeleteFunc(l.services, func(s *Service) bool {
		if l.busy[s.shard] > 0 && open[s.shard] == nil { // the client has not returned
			if l.failing[s.shard] {
				s.miss(now, l.params)
			}
			return false
		}
		r, crowd := s.collect(now, l.id)
		l.bad = l.bad || r.Late > 0 || r.Failed > 0
		l.crowd = max(l.crowd, crowd)
		if s.retire(now, l.params) {
			return true
		}
		x := open[s.shard]
		if x == nil || len(x.services) == maxKeys {
			if x != nil {
				l.send(ctx, x)
			}
			x = &exchange{shard: s.shard, at: now}
			open[s.shard] = x
		}
		x.services, x.reports = append(x.services, s), append(x.reports, r)
		return false
	})
	for _, x := range open {
		l.send(ctx, x)
	}
	l.next = now + l.jitter(l.interval())
}

// send makes an exchange on a goroutine of its own, that ends with the exchange or, if
// the client does not keep to the deadline, when that returns.
func (l *loop) send(ctx context.Context, x *exchange) {
	l.pending = append(l.pending, x)
	l.busy[x.shard]++
	keys := make([]string, len(x.services))
	for i, s := range x.services {
		keys[i] = s.key
	}
	go func() {
		ctx, cancel := context.WithTimeout(ctx, AnswerIn)
		defer cancel()
		replies, err := l.store.Exchange(ctx, keys, x.reports)
		select {
		case l.results <- result{x, replies, err}:
		case <-l.done:
		}
	}()
}

// giveUp ends the exchanges that are late.
func (l *loop) giveUp(now time.Duration) {
	for _, x := range l.pending {
		if !x.over && now >= x.at+AnswerIn+grace {
			l.end(result{x, nil, errLate})
		}
	}
	l.pending = slices.DeleteFunc(l.pending, func(x *exchange) bool { return x.over })
}

// wakeAt is when there is something to do, if nothing happens before.
func (l *loop) wakeAt() time.Duration {
	at := l.next
	for _, x := range l.pending {
		if !x.over {
			at = min(at, x.at+AnswerIn+grace)
		}
	}
	return at
}

// end takes in what an exchange came to.
func (l *loop) end(r result) {
	if r.over {
		return
	}
	r.over = true
	now := l.now()
	for i, s := range r.services {
		if r.err != nil {
			s.miss(now, l.params)
			continue
		}
		before := s.hear(r.replies[i], r.at, now, l.params)
		l.report(s, before, r.replies[i])
	}
	if failed := r.err != nil; failed != l.failing[r.shard] {
		l.failing[r.shard] = failed
		l.observer.Connected(l.lost(), len(l.failing), r.err)
	}
}

func (l *loop) lost() (n int) {
	for _, failing := range l.failing {
		if failing {
			n++
		}
	}
	return n
}

// report tells what changed.
func (l *loop) report(s *Service, before, now Reply) {
	if now.Foreign {
		if !before.Foreign {
			l.observer.Foreign(s.name, s.key)
		}
		return
	}
	if (before.Share < 1) != (now.Share < 1) || (before.Circuit < 1) != (now.Circuit < 1) || (before.Left > 0) != (now.Left > 0) {
		l.observer.Changed(s.name, now)
	}
}

// leave lifts all verdicts. Nothing is handed back: what was not reported is lost.
func (l *loop) leave() {
	l.mu.Lock()
	services := append(l.services, l.joined...)
	l.joined = nil
	l.mu.Unlock()
	for _, s := range services {
		s.verdict.Store(&verdict{calm: true, share: 1, circuit: 1})
	}
}

// An Observer is told what happens, one thing at a time, outside locks, by the goroutine
// of the [Fleet].
type Observer interface {
	// Connected is called when shards were lost or found again; lost is how many are lost
	// now, and err is nil when one was found.
	Connected(lost, shards int, err error)
	// Changed is called when a verdict of the fleet on a service began or ended.
	Changed(name string, r Reply)
	// Foreign is called when the store has something else under the key of a service, and
	// again only after it had one of ours.
	Foreign(name, key string)
}
