package redisbudget

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/budgettest"
)

// modelFleet is a Fleet over a model, for a bubble: it is closed at the end.
func modelFleet(t *testing.T, exec executor, change func(*config)) *Fleet {
	t.Helper()
	c := defaults()
	if change != nil {
		change(&c)
	}
	shards := max(c.shards, 1)
	f := newFleet(exec, c, shards)
	t.Cleanup(func() { f.Close(context.Background()) })
	return f
}

// wallModel is a model with the clock of the bubble.
func wallModel() *model {
	return newModel(func() float64 { return float64(time.Now().UnixMicro()) })
}

func mustBudget(t testing.TB, f *Fleet, name string, p budget.Policy) *Shared {
	t.Helper()
	b, err := f.Budget(name, p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustPerService(t testing.TB, f *Fleet, p budget.Policy, maxServices int) func(string) budget.Budget {
	t.Helper()
	of, err := f.PerService(p, maxServices)
	if err != nil {
		t.Fatal(err)
	}
	return of
}

// slow is an executor behind a network in fake time.
type slow struct {
	executor
	trip time.Duration
}

func (s slow) settle(ctx context.Context, c *call) ([]answer, error) {
	time.Sleep(s.trip / 2)
	a, err := s.executor.settle(ctx, c)
	time.Sleep(s.trip / 2)
	return a, err
}

// broken fails while it is on.
type broken struct {
	executor
	on    atomic.Bool
	calls atomic.Int64
}

var errBroken = errors.New("broken")

func (b *broken) settle(ctx context.Context, c *call) ([]answer, error) {
	b.calls.Add(1)
	if b.on.Load() {
		return nil, errBroken
	}
	return b.executor.settle(ctx, c)
}

func TestConformance(t *testing.T) {
	const hold, pool = 500 * time.Millisecond, time.Second
	for _, tt := range []struct {
		name   string
		policy budget.Policy
		keep   float64
		exec   func() executor
	}{
		{"ratio and floor", budget.Policy{Ratio: 0.2, MinPerSecond: 5, Hold: hold, Pool: pool}, 7, nil},
		{"ratio alone", budget.Policy{Ratio: 0.1, Hold: hold, Pool: pool}, 2, nil},
		{"quota", budget.Policy{MinPerSecond: 50, Hold: hold, Pool: pool}, 101, nil},
		{"evidence", budget.Policy{Ratio: 0.2, MinPerSecond: 5, Hold: hold, Pool: pool, Evidence: true}, 7, nil},
		{"evidence, ratio alone", budget.Policy{Ratio: 0.1, Hold: hold, Pool: pool, Evidence: true}, 2, nil},
		{"evidence without Redis", budget.Policy{Ratio: 0.2, Hold: hold, Pool: pool, Evidence: true}, 2, func() executor {
			b := &broken{executor: wallModel()}
			b.on.Store(true)
			return b
		}},
		{"a slow network", budget.Policy{Ratio: 0.2, MinPerSecond: 5, Hold: hold, Pool: pool}, 7, func() executor {
			return slow{wallModel(), 80 * time.Millisecond}
		}},
		{"without Redis", budget.Policy{Ratio: 0.2, Hold: hold, Pool: pool}, 2, func() executor {
			b := &broken{executor: wallModel()}
			b.on.Store(true)
			return b
		}},
	} {
		if raced && tt.exec != nil {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			budgettest.Run(t, budgettest.Config{
				New: func(t *testing.T) budget.Budget {
					var exec executor = wallModel()
					if tt.exec != nil {
						exec = tt.exec()
					}
					return mustBudget(t, modelFleet(t, exec, nil), "api", tt.policy)
				},
				Policy: tt.policy, Start: 0, Keep: tt.keep,
			})
		})
	}
}

// bubble runs a test in fake time.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// A kill switch that one process turns stops retries in all, also in those
// that lie still, and Resume lets them go on.
func TestPauseIsSeenByAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := wallModel()
		p := budget.Policy{Ratio: 0.5, MinPerSecond: 10}
		var fleets []*Fleet
		var switched [3]atomic.Int64
		for i := range 3 {
			f := modelFleet(t, m, func(c *config) {
				c.observers = observers{{}, {OnSwitch: func(e SwitchEvent) {
					if e.Name != "api" {
						t.Errorf("switch of %q", e.Name)
					}
					switched[i].Add(1)
				}}}
			})
			mustBudget(t, f, "api", p)
			fleets = append(fleets, f)
		}
		operator := modelFleet(t, m, nil) // has no budgets at all
		time.Sleep(10 * time.Second)
		if err := operator.Pause(t.Context(), "api"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5500 * time.Millisecond)
		for i, f := range fleets {
			if !f.Stats("api").Paused {
				t.Errorf("process %d does not know of the pause", i)
			}
			b := mustBudget(t, f, "api", p)
			for range 20 {
				b.Deposit()
			}
			if b.Withdraw() {
				t.Errorf("process %d granted a retry while paused", i)
			}
		}
		// A Redis that forgets everything is told by those who know.
		m.mu.Lock()
		clear(m.kept)
		m.mu.Unlock()
		time.Sleep(20 * time.Minute)
		late := mustBudget(t, modelFleet(t, m, nil), "api", p)
		time.Sleep(time.Second)
		if !late.Stats().Paused {
			t.Error("a newcomer does not know of the pause after Redis lost its memory")
		}
		if err := fleets[0].Resume(t.Context(), "api"); err != nil {
			t.Fatal(err)
		}
		if fleets[0].Stats("api").Paused {
			t.Error("who resumed is paused still")
		}
		time.Sleep(5500 * time.Millisecond)
		for i, f := range fleets {
			b := mustBudget(t, f, "api", p)
			b.Deposit()
			b.Deposit()
			if f.Stats("api").Paused || !b.Withdraw() {
				t.Errorf("process %d grants nothing after Resume: %+v", i, f.Stats("api"))
			}
			if n := switched[i].Load(); n != 2 {
				t.Errorf("process %d told of %d turns, want 2", i, n)
			}
		}
	})
}

// A retry that was refused for want of a token here is granted after the wait,
// with one that the fleet had.
func TestRefusalFetchesCredit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := wallModel()
		p := budget.Policy{Ratio: 0.1, MinPerSecond: 20}
		rich := mustBudget(t, modelFleet(t, slow{m, time.Millisecond}, nil), "api", p)
		poor := mustBudget(t, modelFleet(t, slow{m, time.Millisecond}, nil), "api", p)
		for range 300 {
			rich.Deposit()
			time.Sleep(10 * time.Millisecond)
		}
		if poor.Withdraw() {
			t.Fatal("a process that holds nothing granted a retry")
		}
		time.Sleep(25 * time.Millisecond)
		if !poor.Withdraw() {
			t.Errorf("refused again after the wait: %+v", poor.Stats())
		}
		if s := poor.Stats(); s.Granted == 0 || s.Spent != 1 || s.Denied != 1 {
			t.Errorf("%+v, want one spent, one denied and some granted", s)
		}
	})
}

// Close gives back all that this process holds, to the micro-token.
func TestCloseHandsCreditBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := wallModel()
		f := modelFleet(t, m, func(c *config) { c.shards = 3 })
		p := budget.Policy{Ratio: 0.5, Pool: time.Minute}
		held := 0.0
		var budgets []*Shared
		for i := range 100 {
			budgets = append(budgets, mustBudget(t, f, fmt.Sprint("api-", i), p))
		}
		time.Sleep(time.Second)
		for i, b := range budgets {
			b.Deposit()
			b.Deposit()
			if i%2 == 0 && !b.Withdraw() {
				t.Fatal("no token for two deposits of half a one")
			}
		}
		for _, b := range budgets {
			held += b.Stats().Balance
		}
		if held != 50 {
			t.Fatalf("holding %v, want 50", held)
		}
		if err := f.Close(t.Context()); err != nil {
			t.Error(err)
		}
		pool := 0.0
		for _, s := range m.kept {
			pool += s.pool / token
		}
		if pool != held {
			t.Errorf("the pools have %v, want the %v that was held", pool, held)
		}
		if err := f.Close(t.Context()); err != nil {
			t.Errorf("a second Close: %v", err)
		}
		if _, err := f.Budget("more", p); !errors.Is(err, ErrClosed) {
			t.Errorf("Budget after Close: %v", err)
		}
		if err := f.Pause(t.Context(), "api-1"); !errors.Is(err, ErrClosed) {
			t.Errorf("Pause after Close: %v", err)
		}
		budgets[0].Deposit()
		budgets[0].Deposit()
		if !budgets[0].Withdraw() || budgets[0].Withdraw() {
			t.Error("after Close a budget should run on its own ratio")
		}
	})
}

func TestCloseSaysWhatWasLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &broken{executor: wallModel()}
		f := modelFleet(t, b, nil)
		api := mustBudget(t, f, "api", budget.Policy{Ratio: 0.5})
		time.Sleep(time.Second)
		api.Deposit()
		api.Deposit()
		b.on.Store(true)
		err := f.Close(t.Context())
		if !errors.Is(err, errBroken) {
			t.Errorf("Close without Redis: %v", err)
		}
	})
}

// An executor that never answers holds up neither the others nor Close, beyond
// what ctx allows.
type hanging struct{ release chan struct{} }

func (h hanging) settle(context.Context, *call) ([]answer, error) {
	<-h.release
	return nil, errBroken
}

func TestHangingClientIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := hanging{make(chan struct{})}
		var lost, exchanges atomic.Int64
		f := newFleet(h, func() config {
			c := defaults()
			c.observers = observers{{OnConnection: func(e ConnectionEvent) {
				if !e.Connected && errors.Is(e.Err, errLate) {
					lost.Add(1)
				}
			}}, {OnExchange: func(ExchangeEvent) { exchanges.Add(1) }}}
			return c
		}(), 1)
		b := mustBudget(t, f, "api", budget.Policy{Ratio: 0.5})
		time.Sleep(30 * time.Second)
		b.Deposit()
		b.Deposit()
		if !b.Withdraw() {
			t.Error("no retry on its own ratio")
		}
		if lost.Load() != 1 || exchanges.Load() != maxStuck {
			t.Errorf("told %d times of the loss and of %d exchanges, want 1 and %d", lost.Load(), exchanges.Load(), maxStuck)
		}
		close(h.release)
		f.Close(t.Context())
	})
}
