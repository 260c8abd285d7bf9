package fleet

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

func paused(t *testing.T, f *Fleet, name string, want bool) {
	t.Helper()
	if got := f.Stats(name).Paused; got != want {
		t.Errorf("%s: paused %v, want %v", name, got, want)
	}
}

func TestTurnOfANameThatNobodyHas(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := wallMemory()
		f := join(t, m)
		mustBudget(t, f, "payments", budget.Policy{Ratio: 0.1})
		time.Sleep(time.Second)
		for _, pause := range []bool{true, false} {
			if _, err := f.Turn(t.Context(), "payemnts", pause); !errors.Is(err, ErrNoBudget) {
				t.Errorf("Turn(%v): error %v, want %v", pause, err, ErrNoBudget)
			}
		}
		if len(m.kept) != 1 {
			t.Errorf("%d budgets are kept, want 1: an error changes nothing", len(m.kept))
		}
	})
}

func TestTurnWorksHereWhileTheStoreIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &broken{Store: wallMemory()}
		here, there := join(t, b), join(t, b.Store)
		for _, f := range []*Fleet{here, there} {
			mustBudget(t, f, "api", budget.Policy{Ratio: 0.1})
		}
		time.Sleep(time.Second)
		for _, pause := range []bool{true, false} {
			b.on.Store(true)
			if _, err := here.Turn(t.Context(), "api", pause); !errors.Is(err, errBroken) {
				t.Errorf("Turn(%v): error %v, want %v", pause, err, errBroken)
			}
			paused(t, here, "api", pause)
			paused(t, there, "api", !pause)
			b.on.Store(false)
			time.Sleep(15 * time.Second)
			paused(t, here, "api", pause)
			paused(t, there, "api", pause)
		}
	})
}

// A process that has forgotten a budget because nobody used it still knows how its
// switch was turned, and a fleet that lost its memory learns it from there.
func TestTurnIsRememberedWithoutABudget(t *testing.T) {
	use := func(of func(string) *Budget) {
		for range 10 {
			of("api").Deposit()
		}
		time.Sleep(time.Second)
	}
	bubble(t, func(t *testing.T) {
		m := wallMemory()
		away, f := &broken{Store: m}, join(t, m)
		missed := join(t, away) // will miss that it was resumed
		mustBudget(t, missed, "api", budget.Policy{Ratio: 0.1})
		of := mustPerService(t, f, budget.Policy{Ratio: 0.1}, 100)
		use(of)
		if _, err := f.Turn(t.Context(), "api", true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		paused(t, missed, "api", true)
		away.on.Store(true)
		if _, err := f.Turn(t.Context(), "api", false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if f.find("api") != nil {
			t.Fatal("the budget is still in use")
		}
		m.mu.Lock()
		clear(m.kept)
		m.mu.Unlock()
		away.on.Store(false)
		time.Sleep(10 * time.Second) // it tells of the pause
		use(of)
		paused(t, f, "api", false)
		time.Sleep(10 * time.Second)
		paused(t, missed, "api", false)
	})
}

// A paused budget is kept although nobody uses it, and tells a store that lost its
// memory.
func TestPauseOutlivesALongSilence(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := wallMemory()
		f := join(t, m)
		of := mustPerService(t, f, budget.Policy{Ratio: 0.1}, 100)
		of("api").Deposit()
		time.Sleep(time.Second)
		if _, err := f.Turn(t.Context(), "api", true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		m.mu.Lock()
		clear(m.kept)
		m.mu.Unlock()
		time.Sleep(10 * time.Second)
		late := join(t, m)
		mustBudget(t, late, "api", budget.Policy{Ratio: 0.1})
		time.Sleep(time.Second)
		paused(t, late, "api", true)
	})
}

// Of two that turn the switch in turn, the later one wins, although their clocks differ
// from that of the store.
func TestTheNewestTurnWins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		behind := NewMemory(func() float64 { return float64(time.Now().Add(-time.Hour).UnixMicro()) })
		a, b := join(t, behind), join(t, behind)
		for _, f := range []*Fleet{a, b} {
			mustBudget(t, f, "api", budget.Policy{Ratio: 0.1})
		}
		time.Sleep(time.Second)
		for i := range 6 {
			pause := i%2 == 0
			if _, err := []*Fleet{a, b}[i/2%2].Turn(t.Context(), "api", pause); err != nil {
				t.Fatal(err)
			}
			time.Sleep(6 * time.Second)
			paused(t, a, "api", pause)
			paused(t, b, "api", pause)
		}
	})
}

// The names whose switch is remembered are bounded.
func TestRememberedTurnsAreBounded(t *testing.T) {
	f := &Fleet{switches: map[string]float64{}}
	for i := range 3 * maxSwitches {
		f.remember(string(rune('a'+i%26))+time.Duration(i).String(), float64(i+1))
	}
	if len(f.switches) != maxSwitches {
		t.Errorf("%d names are remembered, want %d", len(f.switches), maxSwitches)
	}
}

func TestTurnAndCloseEndWithTheirContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := hanging{make(chan struct{})}
		f := New(h, 1, testLimits, hooks{})
		mustBudget(t, f, "api", budget.Policy{Ratio: 0.5})
		time.Sleep(time.Second)
		for _, tt := range []struct {
			name string
			call func(context.Context) error
		}{
			{"Turn", func(ctx context.Context) error { _, err := f.Turn(ctx, "api", true); return err }},
			{"Close", f.Close},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			start := time.Now()
			err := tt.call(ctx)
			cancel()
			if took := time.Since(start); took != 100*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: took %v with error %v, want 100ms and %v", tt.name, took, err, context.DeadlineExceeded)
			}
		}
		close(h.release)
		f.Close(t.Context())
	})
}

func TestCloseInAHookEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var f *Fleet
		closed := make(chan error, 1)
		b := &broken{Store: wallMemory()}
		b.on.Store(true)
		ready := make(chan struct{})
		f = New(b, 1, testLimits, hooks{connected: func(int, error) {
			<-ready
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			closed <- f.Close(ctx)
		}})
		mustBudget(t, f, "api", budget.Policy{Ratio: 0.5})
		close(ready)
		if err := <-closed; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close in a hook: error %v, want %v", err, context.DeadlineExceeded)
		}
		if err := f.Close(t.Context()); err != nil {
			t.Errorf("Close afterwards: %v", err)
		}
	})
}
