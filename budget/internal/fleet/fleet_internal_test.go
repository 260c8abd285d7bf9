package fleet

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/budgettest"
)

// testLimits are the defaults of redisbudget.
var testLimits = Limits{Min: 200 * time.Millisecond, Max: 5 * time.Second, Rate: 10_000}

// join joins the fleet of a store, for a bubble: it leaves at the end.
func join(t *testing.T, store Store) *Fleet { return joinAs(t, store, 1, hooks{}) }

func joinAs(t *testing.T, store Store, shards int, o Observer) *Fleet {
	t.Helper()
	f := New(store, shards, testLimits, o)
	t.Cleanup(func() { f.Close(context.Background()) })
	return f
}

// hooks are an Observer of funcs, each of which may be nil.
type hooks struct {
	exchanged func(Result)
	connected func(lost int, err error)
	turned    func(*Budget)
	foreign   func(*Budget)
}

func (h hooks) Exchanged(_ *Exchange, r Result) {
	if h.exchanged != nil {
		h.exchanged(r)
	}
}

func (h hooks) Connected(lost, _ int, err error) {
	if h.connected != nil {
		h.connected(lost, err)
	}
}

func (h hooks) Turned(b *Budget) {
	if h.turned != nil {
		h.turned(b)
	}
}

func (h hooks) Foreign(b *Budget) {
	if h.foreign != nil {
		h.foreign(b)
	}
}

// wallMemory is a Memory with the clock of the bubble.
func wallMemory() *Memory {
	return NewMemory(func() float64 { return float64(time.Now().UnixMicro()) })
}

func mustBudget(t testing.TB, f *Fleet, name string, p budget.Policy) *Budget {
	t.Helper()
	b, err := f.Budget(name, p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustPerService(t testing.TB, f *Fleet, p budget.Policy, maxServices int) func(string) *Budget {
	t.Helper()
	of, err := f.Per("", p, maxServices)
	if err != nil {
		t.Fatal(err)
	}
	return of
}

// slow is a store behind a network in fake time.
type slow struct {
	Store
	trip time.Duration
}

func (s slow) Settle(ctx context.Context, x *Exchange) ([]Answer, error) {
	time.Sleep(s.trip / 2)
	a, err := s.Store.Settle(ctx, x)
	time.Sleep(s.trip / 2)
	return a, err
}

// broken fails while it is on.
type broken struct {
	Store
	on    atomic.Bool
	calls atomic.Int64
}

var errBroken = errors.New("broken")

func (b *broken) Settle(ctx context.Context, x *Exchange) ([]Answer, error) {
	b.calls.Add(1)
	if b.on.Load() {
		return nil, errBroken
	}
	return b.Store.Settle(ctx, x)
}

func TestConformance(t *testing.T) {
	const hold, pool = 500 * time.Millisecond, time.Second
	for _, tt := range []struct {
		name   string
		policy budget.Policy
		keep   float64
		store  func() Store
	}{
		{"ratio and floor", budget.Policy{Ratio: 0.2, MinPerSecond: 5, Hold: hold, Pool: pool}, 7, nil},
		{"ratio alone", budget.Policy{Ratio: 0.1, Hold: hold, Pool: pool}, 2, nil},
		{"quota", budget.Policy{MinPerSecond: 50, Hold: hold, Pool: pool}, 101, nil},
		{"evidence", budget.Policy{Ratio: 0.2, MinPerSecond: 5, Hold: hold, Pool: pool, Evidence: true}, 7, nil},
		{"evidence, ratio alone", budget.Policy{Ratio: 0.1, Hold: hold, Pool: pool, Evidence: true}, 2, nil},
		{"evidence without Redis", budget.Policy{Ratio: 0.2, Hold: hold, Pool: pool, Evidence: true}, 2, func() Store {
			b := &broken{Store: wallMemory()}
			b.on.Store(true)
			return b
		}},
		{"a slow network", budget.Policy{Ratio: 0.2, MinPerSecond: 5, Hold: hold, Pool: pool}, 7, func() Store {
			return slow{wallMemory(), 80 * time.Millisecond}
		}},
		{"without Redis", budget.Policy{Ratio: 0.2, Hold: hold, Pool: pool}, 2, func() Store {
			b := &broken{Store: wallMemory()}
			b.on.Store(true)
			return b
		}},
	} {
		if raced && tt.store != nil {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			budgettest.Run(t, budgettest.Config{
				New: func(t *testing.T) budget.Budget {
					var store Store = wallMemory()
					if tt.store != nil {
						store = tt.store()
					}
					return mustBudget(t, join(t, store), "api", tt.policy)
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

// sharded is a store with as many shards as there are.
type sharded struct{ *Memory }

func (sharded) Place(name string, shards int) (key string, shard int) {
	for _, c := range []byte(name) {
		shard += int(c)
	}
	return name, shard % shards
}

// A kill switch that one process turns stops retries in all, also in those
// that lie still, and Resume lets them go on.
func TestPauseIsSeenByAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := wallMemory()
		p := budget.Policy{Ratio: 0.5, MinPerSecond: 10}
		var fleets []*Fleet
		var switched [3]atomic.Int64
		for i := range 3 {
			f := joinAs(t, m, 1, hooks{turned: func(b *Budget) {
				if b.Name() != "api" {
					t.Errorf("switch of %q", b.Name())
				}
				switched[i].Add(1)
			}})
			mustBudget(t, f, "api", p)
			fleets = append(fleets, f)
		}
		operator := join(t, m)  // has no budgets at all
		time.Sleep(time.Minute) // until the figures of the fleet are known
		n, err := operator.Turn(t.Context(), "api", true)
		if err != nil || math.Round(n) != float64(len(fleets)) {
			t.Fatalf("%v processes and error %v, want %d and none", n, err, len(fleets))
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
		late := mustBudget(t, join(t, m), "api", p)
		time.Sleep(time.Second)
		if !late.Stats().Paused {
			t.Error("a newcomer does not know of the pause after Redis lost its memory")
		}
		if _, err := fleets[0].Turn(t.Context(), "api", false); err != nil {
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
		m := wallMemory()
		p := budget.Policy{Ratio: 0.1, MinPerSecond: 20}
		rich := mustBudget(t, join(t, slow{m, time.Millisecond}), "api", p)
		poor := mustBudget(t, join(t, slow{m, time.Millisecond}), "api", p)
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
		m := wallMemory()
		f := joinAs(t, sharded{m}, 3, hooks{})
		p := budget.Policy{Ratio: 0.5, Pool: time.Minute}
		held := 0.0
		var budgets []*Budget
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
			pool += s.Pool / token
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
		if _, err := f.Turn(t.Context(), "api-1", true); !errors.Is(err, ErrClosed) {
			t.Errorf("Turn after Close: %v", err)
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
		b := &broken{Store: wallMemory()}
		f := join(t, b)
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

// A store that never answers holds up neither the others nor Close, beyond
// what ctx allows.
type hanging struct{ release chan struct{} }

func (hanging) Place(name string, _ int) (string, int) { return name, 0 }

func (h hanging) Settle(context.Context, *Exchange) ([]Answer, error) {
	<-h.release
	return nil, errBroken
}

func TestHangingClientIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := hanging{make(chan struct{})}
		var lost, exchanges atomic.Int64
		f := New(h, 1, testLimits, hooks{
			connected: func(n int, err error) {
				if n == 1 && errors.Is(err, errLate) {
					lost.Add(1)
				}
			},
			exchanged: func(Result) { exchanges.Add(1) },
		})
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
