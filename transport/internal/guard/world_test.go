package guard_test

import (
	"math"
	"time"

	"github.com/datapunk/evenkeel/transport/internal/guard"
)

const (
	ms = time.Millisecond
	T  = time.Second // the limit of attempts, where a row has no other
)

var open = math.Inf(1)

// A world is a limiter, a clock that a test moves, and chance as it likes.
type world struct {
	*guard.Limiter
	now      time.Duration
	scale    guard.Scale
	chance   float64
	held     []guard.Attempt // in flight
	admitted int             // of those that asked
	waiter   *guard.Waiter   // the last one in line
}

func newWorld() *world {
	w := &world{now: time.Hour, scale: guard.Scale{T: T}, chance: 0.5}
	w.Limiter = guard.New(func() float64 { return w.chance })
	return w
}

// A step is a thing that happens in a world.
type step func(*world)

func (w *world) do(steps ...step) {
	for _, s := range steps {
		s(w)
	}
}

func all(steps ...step) step { return func(w *world) { w.do(steps...) } }

func repeat(n int, steps ...step) step {
	return func(w *world) {
		for range n {
			w.do(steps...)
		}
	}
}

// see lets n first attempts end, one each 5 ms, which took so long and showed s.
func see(n int, took time.Duration, s guard.Signal) step { return each(5*ms, n, took, s) }

// each is see with a gap of its own.
func each(gap time.Duration, n int, took time.Duration, s guard.Signal) step {
	return func(w *world) {
		for range n {
			w.now += gap
			w.Arrive(w.now, 1)
			w.ends(took, s, true)
		}
	}
}

// later lets n retries end.
func later(gap time.Duration, n int, took time.Duration, s guard.Signal) step {
	return func(w *world) {
		for range n {
			w.now += gap
			w.ends(took, s, false)
		}
	}
}

func (w *world) ends(took time.Duration, s guard.Signal, first bool) {
	w.Done(guard.Attempt{Start: w.now - took, Scale: w.scale, First: first}, w.now, len(w.held), s)
}

// wait lets time pass.
func wait(d time.Duration) step { return func(w *world) { w.now += d } }

// ask lets n attempts ask to be sent, and keeps those in flight that may.
func ask(n int) step {
	return func(w *world) {
		for range n {
			if w.Admit(w.now, w.scale, len(w.held)) {
				w.held = append(w.held, guard.Attempt{Start: w.now, Scale: w.scale, First: true})
				w.admitted++
			}
		}
	}
}

// answer ends the newest n of those that are in flight.
func answer(n int, s guard.Signal) step {
	return func(w *world) {
		for range n {
			last := len(w.held) - 1
			a := w.held[last]
			w.held = w.held[:last]
			w.Done(a, w.now, last, s)
		}
	}
}

// oldest ends the oldest n of those that are in flight.
func oldest(n int, s guard.Signal) step {
	return func(w *world) {
		for range n {
			a := w.held[0]
			w.held = w.held[1:]
			w.Done(a, w.now, len(w.held), s)
		}
	}
}

// overtakes lets one that is sent after a while succeed in 20 ms.
func overtakes(after time.Duration) step {
	return all(wait(after), ask(1), wait(20*ms), answer(1, success))
}

// hold puts n in flight unasked, or takes out as many as there are more.
func hold(n int) step {
	return func(w *world) { w.held = make([]guard.Attempt, n) }
}

// line lets one wait, with so much time left.
func line(left time.Duration) step {
	return func(w *world) {
		w.waiter = &guard.Waiter{Attempt: guard.Attempt{Scale: w.scale, First: true}, Deadline: w.now + left}
		w.Wait(w.waiter)
	}
}

func chance(c float64) step        { return func(w *world) { w.chance = c } }
func scale(s guard.Scale) step     { return func(w *world) { w.scale = s } }
func calls(perSecond float64) step { return calm(perSecond, 20*ms) }

// calm is half a minute of calls that succeed.
func calm(perSecond float64, took time.Duration) step {
	gap := time.Duration(float64(time.Second) / perSecond)
	return each(gap, max(int(30*perSecond), 30), took, guard.Success)
}

// engaging repeats steps until there is a limit.
func engaging(steps ...step) step {
	return func(w *world) {
		for i := 0; i < 10_000 && !w.Engaged(); i++ {
			w.do(steps[i%len(steps)])
		}
	}
}

// limited has just engaged with a window, nothing in flight and 35 calls/s that
// took 20 ms.
func limited(window float64) step { return all(calls(35), limit(window)) }

// limit engages with a window.
func limit(window float64) step {
	return all(wait(T), hold(int(2*window)), func(w *world) {
		for range 1000 {
			if w.Engaged() {
				break
			}
			w.ends(T, guard.Timeout, true)
		}
		w.held = nil
	})
}

// grow is a queue from which responses come later and later.
func grow(from time.Duration) step {
	return func(w *world) {
		for took := from; took < 999*ms; took += 90 * ms {
			w.do(each(60*ms, 3, took, guard.Success), each(60*ms, 2, took+T/40, guard.Success))
		}
	}
}
