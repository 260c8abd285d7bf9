package fleet

import (
	"context"
	"math"
	"sync"
)

// A Memory is a [Store] in the memory of one process, for tests. Make one with
// [NewMemory].
type Memory struct {
	now  func() float64
	mu   sync.Mutex
	kept map[string]State
}

// NewMemory returns an empty store. The func now is its clock, in microseconds.
func NewMemory(now func() float64) *Memory { return &Memory{now: now, kept: map[string]State{}} }

// Place returns the name itself and the shard 0.
func (m *Memory) Place(name string, _ int) (key string, shard int) { return name, 0 }

// Settle never fails.
func (m *Memory) Settle(_ context.Context, x *Exchange) ([]Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	answers := make([]Answer, len(x.Asks))
	for i, a := range x.Asks {
		s, known := m.kept[x.Keys[i]]
		if !known && a.Turn != 0 && a.Stock == 0 {
			answers[i].Missing = true
			continue
		}
		if !known {
			s.At = m.now()
		}
		answers[i] = s.Settle(a, m.now())
		m.kept[x.Keys[i]] = s
	}
	return answers, nil
}

// A State is what a fleet keeps of one budget. A new budget has its time in At,
// and is zero otherwise.
type State struct {
	Pool float64 // micro-tokens, so that crumbs of many processes add up to tokens
	At   float64 // time of the last exchange, in microseconds

	// Sums that decay: over longTerm, and from Wants on over shortTerm. Wants is for how
	// long processes were present that want more than they get.
	Present, Requests, Wants, Spent, Denied float64

	Switch float64 // as in Answer
}

const (
	longTerm, shortTerm = 10, 1 // seconds
	// wantsFor is for how many seconds a pool should last, and the most that the time
	// counts for which a process has asked for nothing. newcomer is the least.
	wantsFor, newcomer = 0.5, 0.2 // seconds
)

// Settle is one exchange about a budget at the time now. The conversions to
// float64 keep a compiler from fusing operations, so that an implementation in
// another language comes to the same bits.
func (s *State) Settle(a Ask, now float64) Answer {
	// The time does not follow a clock that trembles: it would earn the floor
	// again and again.
	if now < s.At && s.At-now < 1e6 {
		now = s.At
	}
	elapsed := max((now-s.At)/1e6, 0)
	s.At = now
	slow, fast := 1+elapsed/longTerm, 1+elapsed/shortTerm
	s.Present = s.Present/slow + a.Present
	s.Requests = s.Requests/slow + a.Requests
	s.Wants /= fast
	s.Spent = s.Spent/fast + a.Spent
	s.Denied = s.Denied/fast + a.Denied
	s.turn(a, now)
	rate := s.Requests / (longTerm + elapsed)
	limit, grant := s.Pool, 0.0
	if a.Stock > 0 {
		// At least a token, or none would ever be whole.
		limit = min(max((float64(rate*a.Ratio)+a.Floor)*a.Stock*token, token), 1<<52)
		s.Pool = min(s.Pool+float64(a.Floor*min(elapsed, a.Stock)*token)+a.Give, limit)
		grant = s.grant(a, elapsed)
	}
	return Answer{
		Grant: grant, Pool: s.Pool / token, Cap: limit / token,
		Instances: s.Present / (longTerm + elapsed), Requests: rate,
		Retries: s.Spent / (shortTerm + elapsed), Denied: s.Denied / (shortTerm + elapsed), Switch: s.Switch,
	}
}

// turn follows the newest turn of the switch.
func (s *State) turn(a Ask, now float64) {
	if math.Abs(a.Known) > math.Abs(s.Switch) {
		s.Switch = a.Known
	}
	if a.Turn != 0 {
		s.Switch = a.Turn * max(math.Abs(s.Switch)+1, now)
	}
}

// grant takes out of the pool what the process gets. A pool that is short is shared by
// max-min fairness: each process that wants some has the same share for the same time,
// and what a modest one leaves is for the others, so that nobody gets a second token
// before those who want one have it, and one that wants much cannot take it all.
// Drawing lots for the part of a token keeps that true where shares are small.
func (s *State) grant(a Ask, elapsed float64) float64 {
	if a.Want <= 0 {
		return 0
	}
	weight := min(max(a.Present, newcomer), wantsFor)
	wanting := (s.Wants + weight) / (shortTerm + elapsed) // processes
	share := s.Pool / token * weight / (wanting * wantsFor)
	if share < 1 && s.Pool/token >= wanting {
		share = 1 // there is one for each
	}
	part := 1.0 // of the share that is wanted
	if a.Want < share {
		part = a.Want / share
	}
	s.Wants += float64(weight * part)
	if s.Pool < token {
		return 0
	}
	grant := min(math.Floor(min(share, a.Want)+a.Draw), a.Want, math.Floor(s.Pool/token))
	s.Pool -= float64(grant * token)
	return grant
}
