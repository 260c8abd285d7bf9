package main

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/budget"
)

const (
	samplePeriod = 250 * time.Millisecond
	historyTime  = 90 * time.Second // what the page shows
)

// A Sample counts what happened since the sample before, and shows the state of
// the chains.
type Sample struct {
	Number    int            `json:"number"`     // from 1
	At        float64        `json:"at"`         // seconds since the start
	Policy    string         `json:"policy"`     // of the clients
	NaiveHalf bool           `json:"naive_half"` // every second client has another policy
	Fault     string         `json:"fault"`      // of the backend: stall, slow, break, deploy; empty: none
	FaultLeft float64        `json:"fault_left"` // seconds until it is over
	Calls     int            `json:"calls"`      // that arrived
	Attempts  int            `json:"attempts"`   // that were sent
	Answers   int            `json:"answers"`    // good ones that came
	Failures  map[string]int `json:"failures"`   // calls that failed, by kind: timeout, status, refused, other
	Late      int            `json:"late_calls"` // that started more than 50 ms late

	MaxAttempts int            `json:"max_attempts"` // of a call; 0: another library decides
	Budget      *BudgetSample  `json:"budget"`       // null where the policy has none
	Guard       *GuardSample   `json:"guard"`
	Breaker     *BreakerSample `json:"breaker"`
	Server      *ServerSample  `json:"server"`
}

// A BudgetSample is in tokens, of all clients together.
type BudgetSample struct {
	Balance float64 `json:"balance"`
	Ceiling float64 `json:"ceiling"`
}

// A GuardSample has the concurrency limits of the clients; null means no limit.
type GuardSample struct {
	Engaged  int      `json:"engaged"` // clients whose guard limits concurrency
	Probing  int      `json:"probing"` // of these, clients that only send probes
	Waiting  int      `json:"waiting"` // calls that wait for room, of all clients
	Low      *float64 `json:"low"`
	Median   *float64 `json:"median"`
	High     *float64 `json:"high"`
	InFlight float64  `json:"in_flight"` // mean of the clients
}

// A ServerSample is the load of the middleware in front of the backend.
type ServerSample struct {
	Limit    int    `json:"limit"`     // of the concurrency
	InFlight int    `json:"in_flight"` // in the backend
	Waiting  int    `json:"waiting"`   // in the queue
	Reason   string `json:"reason"`    // why the limit last changed
}

// A BreakerSample is how many clients have their circuit in each state.
type BreakerSample struct {
	Closed   int `json:"closed"`
	HalfOpen int `json:"half_open"`
	Open     int `json:"open"`
}

// history is the samples of the last historyTime, oldest first.
type history struct {
	samples  []Sample
	count    int // of all samples ever
	counted  second
	failures map[string]int
	late     int
	newer    chan struct{} // closed by the next sample; nil: nobody waits
}

// sample takes one.
func (l *live) sample(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Sample{At: milli(now.Sub(l.start).Seconds()), Policy: l.policy.name}
	fault, left := l.fault(now)
	s.Fault, s.FaultLeft = fault, milli(left.Seconds())
	// The others of a mixed fleet have no state to show.
	clients := slices.DeleteFunc(slices.Clone(*l.lane.clients.Load()), func(c *client) bool { return c.naive })
	s.NaiveHalf = l.half
	if l.load != nil {
		load := l.load()
		s.Server = &ServerSample{Limit: load.Limit, InFlight: load.InFlight, Waiting: load.Waiting, Reason: load.Reason}
	}
	if clients[0].chain != nil {
		s.MaxAttempts = l.attempts
	}
	s.Budget = budgetSample(clients, l.lane.backend.host)
	s.Guard = guardSample(clients, l.lane.backend.host)
	s.Breaker = breakerSample(clients, l.lane.backend.host)
	l.history.add(s, l.lane.tally)
}

// add completes a sample by what was counted since the one before.
func (h *history) add(s Sample, t *tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h.count++
	s.Number = h.count
	s.Calls, h.counted.calls = t.after.calls-h.counted.calls, t.after.calls
	s.Attempts, h.counted.attempts = t.after.attempts-h.counted.attempts, t.after.attempts
	s.Answers, h.counted.answers = t.after.answers-h.counted.answers, t.after.answers
	s.Late, h.late = t.lateCalls-h.late, t.lateCalls
	s.Failures = make(map[string]int)
	if h.failures == nil {
		h.failures = make(map[string]int)
	}
	for kind, n := range t.failures {
		if n > h.failures[kind] {
			s.Failures[kind] = n - h.failures[kind]
		}
		h.failures[kind] = n
	}
	if keep := int(historyTime / samplePeriod); len(h.samples) >= keep {
		h.samples = slices.Delete(h.samples, 0, len(h.samples)-keep+1)
	}
	h.samples = append(h.samples, s)
	if h.newer != nil {
		close(h.newer)
		h.newer = nil
	}
}

// await returns when there are samples after that number, or ctx is done.
func (l *live) await(ctx context.Context, number int) {
	l.mu.Lock()
	h := &l.history
	if number != h.count { // a greater number belongs to another storm
		l.mu.Unlock()
		return
	}
	if h.newer == nil {
		h.newer = make(chan struct{})
	}
	newer := h.newer
	l.mu.Unlock()
	select {
	case <-newer:
	case <-ctx.Done():
	}
}

// since returns the samples after that number, as far as they are kept.
func (l *live) since(number int) []Sample {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &l.history
	newer := min(max(0, h.count-number), len(h.samples))
	return append([]Sample{}, h.samples[len(h.samples)-newer:]...) // never null
}

func budgetSample(clients []*client, service string) *BudgetSample {
	var sum BudgetSample
	for _, c := range clients {
		if c.budget == nil {
			return nil
		}
		local, ok := c.budget(service).(*budget.Local)
		if !ok {
			return nil
		}
		stats := local.Stats()
		sum.Balance += stats.Balance
		sum.Ceiling += stats.Ceiling
	}
	sum.Balance, sum.Ceiling = milli(sum.Balance), milli(sum.Ceiling)
	return &sum
}

func guardSample(clients []*client, service string) *GuardSample {
	var g GuardSample
	var windows []float64
	for _, c := range clients {
		if c.chain == nil || c.unguarded {
			return nil
		}
		state := c.chain.GuardState(service)
		if state.Engaged {
			g.Engaged++
		}
		if state.Window < 1 {
			g.Probing++
		}
		g.Waiting += state.Waiting
		g.InFlight += float64(state.InFlight) / float64(len(clients))
		windows = append(windows, state.Window)
	}
	slices.Sort(windows)
	n := len(windows)
	g.Low, g.Median, g.High = finite(windows[0]), finite(windows[n/2]), finite(windows[n-1])
	g.InFlight = milli(g.InFlight)
	return &g
}

func breakerSample(clients []*client, service string) *BreakerSample {
	var b BreakerSample
	for _, c := range clients {
		if c.circuits == nil {
			return nil
		}
		switch c.circuits.State(service) {
		case breaker.StateClosed:
			b.Closed++
		case breaker.StateHalfOpen:
			b.HalfOpen++
		default:
			b.Open++
		}
	}
	return &b
}

func finite(f float64) *float64 {
	if math.IsInf(f, 0) {
		return nil
	}
	f = milli(f)
	return &f
}

// milli rounds to three decimals.
func milli(f float64) float64 { return math.Round(f*1000) / 1000 }
