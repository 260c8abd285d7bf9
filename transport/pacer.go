package transport

import (
	"hash/maphash"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// A pacer has the pauses of one service. A pause begins when the server tells an attempt
// to come back later, and is for all that have the same account.
type pacer struct {
	Pacing
	digester
	clock  func() time.Duration
	active atomic.Int32 // pauses; nearly always none

	mu     sync.Mutex // guards what follows
	pauses map[uint64]*pause
}

// A pause has a lane for the kinds of requests that were refused, and one for all others:
// their quota may be another. The first of those are sent carefully.
type pause struct {
	refused []uint64 // kinds
	lanes   [2]struct {
		line
		lane
	}
}

const (
	thoseRefused = iota
	others
)

const (
	maxPauses = 256 // accounts of a service
	maxKinds  = 64  // kinds of requests of an account; those above count as refused
)

func newPacer(p Pacing, clock func() time.Duration) *pacer {
	return &pacer{Pacing: p, digester: digester{maphash.MakeSeed()}, clock: clock, pauses: make(map[uint64]*pause)}
}

// A pass is what an attempt was sent with while there was a pause. It is zero if there
// was none.
type pass struct {
	pause *pause
	which int
	sent  time.Duration
}

// quota returns whose quota a request uses. With a Key there is but one kind.
func (p *pacer) quota(req *http.Request) (account, kind uint64) {
	if p.Key != nil {
		return p.of(p.Key(req)), 0
	}
	return p.account(req), p.kind(req)
}

// find returns the lane that a request is in, if there is a pause for it.
func (p *pacer) find(req *http.Request) (found pass, ok bool) {
	account, kind := p.quota(req)
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.pauses[account]
	if s == nil {
		return pass{}, false
	}
	if s.over(p.clock()) {
		p.drop(account)
		return pass{}, false
	}
	return pass{pause: s, which: s.laneOf(kind)}, true
}

func (p *pacer) drop(account uint64) {
	delete(p.pauses, account)
	p.active.Store(int32(len(p.pauses)))
}

func (s *pause) laneOf(kind uint64) int {
	if len(s.refused) < maxKinds && !slices.Contains(s.refused, kind) {
		return others
	}
	return thoseRefused
}

// over reports whether the pause limits nothing any more.
func (s *pause) over(now time.Duration) bool {
	for i := range s.lanes {
		l := &s.lanes[i]
		l.mu.Lock()
		over := l.free(now) && l.turns.Len() == 0
		l.mu.Unlock()
		if !over {
			return false
		}
	}
	return true
}

// told begins a pause, or extends it, after an attempt was told to wait.
func (p *pacer) told(req *http.Request, with pass, wait time.Duration) {
	account, kind := p.quota(req)
	now := p.clock()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.pauses[account]
	if s == nil {
		if len(p.pauses) >= maxPauses {
			p.sweep(now)
		}
		if len(p.pauses) >= maxPauses {
			return
		}
		s = &pause{}
		for i := range s.lanes {
			l := &s.lanes[i]
			l.clock, l.rule, l.lane = p.clock, &l.lane, newLane(now, wait)
		}
		p.pauses[account] = s
		p.active.Store(int32(len(p.pauses)))
	}
	which := s.laneOf(kind)
	if which == others && len(s.refused) < maxKinds {
		// From now on it waits with those that were refused. This one tells that
		// others are refused too, if it was one of them.
		s.refused = append(s.refused, kind)
		if with.pause == nil {
			which = thoseRefused
		}
	}
	if with.pause == s {
		which = with.which
	}
	l := &s.lanes[which]
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused(with.sent, now, wait, upTo(wait/16))
	l.serve(now)
}

// sweep drops the pauses that are over.
func (p *pacer) sweep(now time.Duration) {
	for account, s := range p.pauses {
		if s.over(now) {
			p.drop(account)
		}
	}
}

// idle reports whether there is no pause.
func (p *pacer) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweep(p.clock())
	return len(p.pauses) == 0
}

// until is when the last of the pauses ends.
func (p *pacer) until() (last time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.pauses {
		for i := range s.lanes {
			l := &s.lanes[i]
			l.mu.Lock()
			last = max(last, l.told)
			l.mu.Unlock()
		}
	}
	return last
}

// tells returns how long a response asks all to wait that use the quota of its request.
func (p *pacer) tells(resp *http.Response) time.Duration {
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusForbidden:
	case http.StatusServiceUnavailable:
		// A server that knows for whom it has room answers each request for itself.
		if !p.Unavailable || headers.VerdictOf(resp.Header) != headers.NoVerdict {
			return 0
		}
	default:
		return 0
	}
	wait, _ := headers.RetryAfterOf(resp.Header, time.Now())
	return wait
}
