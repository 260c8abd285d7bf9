package guard_test

import (
	"math"
	"testing"
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
	limit    time.Duration
	chance   float64
	held     []guard.Attempt // in flight until release
	admitted int             // of those that asked
	refusal  guard.Refusal   // the last
}

func newWorld() *world {
	w := &world{now: time.Hour, limit: T, chance: 0.5}
	w.Limiter = guard.New(func() float64 { return w.chance })
	return w
}

// A step is a thing that happens in a world.
type step func(*world)

// see lets n attempts end, one each 5 ms, which took so long and showed s.
func see(n int, latency time.Duration, s guard.Signal) step {
	return each(5*ms, n, latency, s, guard.First)
}

// each is see with a gap and a priority of its own.
func each(gap time.Duration, n int, latency time.Duration, s guard.Signal, p guard.Priority) step {
	return func(w *world) {
		for range n {
			w.now += gap
			inFlight, watched := w.Start(p)
			if !watched {
				w.Drop()
				continue
			}
			w.Leave(guard.Attempt{InFlight: inFlight, Start: w.now - latency, Limit: w.limit, Priority: p}, w.now, s)
		}
	}
}

// wait lets time pass.
func wait(d time.Duration) step { return func(w *world) { w.now += d } }

// ask lets n attempts ask to be sent, and keeps those in flight that may.
func ask(n int, p guard.Priority) step {
	return func(w *world) {
		for range n {
			inFlight, _ := w.Start(p)
			a := guard.Attempt{InFlight: inFlight, Start: w.now, Limit: w.limit, Priority: p}
			if refusal, ok := w.Enter(a); !ok {
				w.refusal = refusal
				continue
			}
			w.held = append(w.held, a)
			w.admitted++
		}
	}
}

// release ends what is in flight, with no signal.
func release(w *world) {
	for _, a := range w.held {
		w.Leave(a, w.now, guard.None)
	}
	w.held, w.admitted = nil, 0
}

func chance(c float64) step      { return func(w *world) { w.chance = c } }
func limit(d time.Duration) step { return func(w *world) { w.limit = d } }
func all(steps ...step) step     { return func(w *world) { w.do(steps...) } }

func repeat(n int, steps ...step) step {
	return func(w *world) {
		for range n {
			w.do(steps...)
		}
	}
}

func (w *world) do(steps ...step) {
	for _, s := range steps {
		s(w)
	}
}

var (
	// healthy is two seconds of 200 fast successes per second, one at a time.
	healthy = see(400, 10*ms, guard.Success)
	// busy is healthy with a peak of 40 in flight.
	busy = all(healthy, ask(39, guard.First), see(1, 10*ms, guard.Success), release)
	// engaged has just engaged with a window of 1. The next probe is due in 1 s.
	engaged = all(healthy, wait(T), timeouts)
	// wide is busy, and has engaged with a window of 10.
	wide = all(busy, ask(20, guard.First), wait(T), timeouts, release)
	// closed has a window of 1/2.
	closed = all(engaged, wait(T/4), see(1, T, guard.Timeout))
	// frequent, usual and seldom are 500, 20 and 1 calls per second.
	frequent = each(2*ms, 5000, 10*ms, guard.Success, guard.First)
	usual    = each(50*ms, 200, 10*ms, guard.Success, guard.First)
	seldom   = each(T, 60, 10*ms, guard.Success, guard.First)
	// crowded is usual with a peak of 40 in flight.
	crowded = all(usual, ask(39, guard.First), see(1, 10*ms, guard.Success), release)
	// turned ends an epoch and begins another with nothing in it.
	turned = all(wait(T/4), see(1, 0, guard.Timeout))
)

// timeouts are as many as it takes to engage.
func timeouts(w *world) {
	for range 1000 {
		if w.Engaged() {
			return
		}
		w.do(see(1, T, guard.Timeout))
	}
}

// Each rule by itself: the window at the end, and how many of those that asked
// were admitted and not yet released.
func TestRules(t *testing.T) {
	first, retry, waited := guard.First, guard.Retry, guard.Waited
	const (
		none, failed, shed, success, timeout = guard.None, guard.Failed, guard.Shed, guard.Success, guard.Timeout
	)
	for _, tt := range []struct {
		rule     string
		steps    []step
		window   float64
		admitted int
	}{
		// What engages, and what does not.
		{"engage: not by successes", []step{healthy}, open, 0},
		{"engage: not by 49 timeouts of 500 calls/s", []step{frequent, wait(T / 2), each(0, 49, T/2, timeout, first)}, open, 0},
		{"engage: by 50 timeouts of 500 calls/s", []step{frequent, wait(T / 2), each(0, 50, T/2, timeout, first)}, 1, 0},
		{"engage: not by 2 timeouts of 1 call/s", []step{seldom, each(T, 2, T, timeout, first)}, open, 0},
		{"engage: by 3 timeouts of 1 call/s", []step{seldom, each(T, 3, T, timeout, first)}, 1, 0},
		{"engage: not by 6 timeouts of 20 calls/s", []step{usual, wait(T / 2), each(0, 6, T/2, timeout, first)}, open, 0},
		{"engage: by 7 timeouts of 20 calls/s", []step{usual, wait(T / 2), each(0, 7, T/2, timeout, first)}, 1, 0},
		{"engage: not by 3 timeouts of 2.2 calls/s", []step{each(450*ms, 100, 10*ms, success, first), wait(50 * ms), each(450*ms, 3, T/2, timeout, first)}, open, 0},
		{"engage: by 4 timeouts of 2.2 calls/s", []step{each(450*ms, 100, 10*ms, success, first), wait(50 * ms), each(450*ms, 4, T/2, timeout, first)}, 1, 0},
		{"engage: not by 21 timeouts of 100 calls/s", []step{limit(200 * ms), each(10*ms, 1000, 10*ms, success, first), wait(100 * ms), each(0, 21, 100*ms, timeout, first)}, open, 0},
		{"engage: by 22 timeouts of 100 calls/s", []step{limit(200 * ms), each(10*ms, 1000, 10*ms, success, first), wait(100 * ms), each(0, 22, 100*ms, timeout, first)}, 1, 0},
		{"engage: not by retries, which show nothing new", []step{healthy, wait(T), each(5*ms, 100, T, timeout, retry)}, open, 0},
		{"engage: by calls that waited", []step{healthy, wait(T), each(5*ms, 25, T, timeout, waited)}, 1, 0},
		{"engage: not by callers with little time", []step{healthy, wait(T), see(100, T/2-1, timeout)}, open, 0},
		{"engage: by callers with half the time", []step{healthy, wait(T), see(25, T/2, timeout)}, 1, 0},
		{"engage: not by attempts that were overtaken", []step{healthy, see(100, T, timeout)}, open, 0},
		{"engage: not by errors", []step{healthy, wait(T), see(100, T, none)}, open, 0},
		{"engage: not by error responses", []step{healthy, wait(T), see(100, 10*ms, failed)}, open, 0},
		{"engage: error responses do not end a row", []step{healthy, wait(T), repeat(20, see(1, T, timeout), see(1, 10*ms, failed))}, 1, 0},
		{"engage: slow successes do not end a row", []step{healthy, wait(T), repeat(20, see(1, T, timeout), see(1, T/3, success))}, 1, 0},
		{"engage: nor do those that would make room", []step{healthy, wait(T), see(12, T, timeout), see(1, T/5, success), see(12, T, timeout)}, 1, 0},
		{"engage: a fast success ends a row", []step{healthy, repeat(2, wait(T), see(6, T, timeout), see(1, 10*ms, success))}, open, 0},
		{"engage: a shed offsets a timeout", []step{healthy, wait(T), see(15, T, timeout), see(10, 10*ms, shed), see(10, T, timeout)}, open, 0},
		{"engage: a shed offsets no timeout to come", []step{healthy, wait(T), see(100, 10*ms, shed), see(35, T, timeout)}, 1, 0},
		{"engage: not by a queue for one epoch", []step{healthy, wait(T), see(70, 700*ms, success)}, open, 0},
		{"engage: by a queue for two epochs", []step{healthy, wait(T), see(110, 700*ms, success)}, 1, 0},
		{"engage: by a queue of error responses", []step{healthy, wait(T), see(110, 700*ms, failed)}, 1, 0},
		{"engage: not by responses within half the time", []step{healthy, wait(T), see(400, T/2, success)}, open, 0},
		{"engage: not by a queue that one overtakes", []step{healthy, repeat(20, see(20, 700*ms, success), see(1, T/2, success))}, open, 0},
		{"engage: not by two responses per epoch", []step{healthy, each(130*ms, 20, 700*ms, success, first)}, open, 0},
		{"engage: not by a queue that shrinks by a tenth", []step{healthy, wait(T), see(51, 990*ms, success),
			see(50, 880*ms, success), see(50, 780*ms, success), see(50, 690*ms, success), see(50, 610*ms, success)}, open, 0},
		{"engage: with half of what is in flight", []step{busy, ask(30, first), wait(T), timeouts, release}, 15, 0},
		{"engage: with half of the peak at most", []step{busy, ask(90, first), wait(T), timeouts, release}, 20, 0},
		{"engage: with one at least", []step{busy, wait(T), timeouts}, 1, 0},

		// Who is held back.
		{"hold: new calls find room in the window", []step{wide, ask(20, first)}, 10, 10},
		{"hold: retries find room in half of it", []step{wide, ask(20, retry)}, 10, 5},
		{"hold: calls that waited find room in half of it", []step{wide, ask(20, waited)}, 10, 5},
		{"hold: one retry finds room where a call does", []step{closed, see(1, 10*ms, shed), ask(2, retry)}, 1.5, 1},
		{"hold: an open window is open to all", []step{busy, ask(200, first), ask(200, retry)}, open, 400},
		{"hold: but to no crowd of calls that waited", []step{busy, ask(200, waited)}, open, 40},
		{"hold: a peak is forgotten slowly", []step{busy, see(1000, 10*ms, success), ask(200, waited)}, open, 24},
		{"hold: what cannot be answered waits in silence", []step{crowded, wait(T/4 + 1), ask(100, first)}, open, 80},
		{"hold: silence is a quarter of the time", []step{crowded, wait(T / 4), ask(100, first)}, open, 100},
		{"hold: what is answered in time is sent in silence", []step{frequent, wait(T/4 + 1), ask(500, first)}, open, 362},
		{"hold: nothing while little is known", []step{see(19, 10*ms, success), wait(T), ask(100, first)}, open, 100},
		{"hold: as soon as enough is known", []step{see(20, 10*ms, success), wait(T), ask(100, first)}, open, 10},

		// What makes room.
		{"widen: by one for a fast success", []step{engaged, see(3, 10*ms, success)}, 4, 0},
		{"widen: by a window's share for a slow one", []step{engaged, see(2, T/4, success)}, 2.5, 0},
		{"widen: by a whole for a slow one while shut", []step{closed, see(1, T/4, success)}, 1.5, 0},
		{"widen: not by a slower one", []step{engaged, see(3, T/4+1, success)}, 1, 0},
		{"widen: by one for a shed", []step{engaged, see(3, 10*ms, shed)}, 4, 0},
		{"widen: not by error responses", []step{engaged, see(3, 10*ms, failed)}, 1, 0},
		{"widen: engaged up to 8", []step{engaged, see(7, 10*ms, success)}, 8, 0},
		{"widen: open beyond 8", []step{engaged, see(8, 10*ms, success)}, open, 0},
		{"widen: engaged up to twice the peak", []step{wide, see(69, 10*ms, success)}, 79, 0},
		{"widen: open beyond twice the peak", []step{wide, see(71, 10*ms, success)}, open, 0},
		{"widen: opened, the row begins anew", []step{engaged, see(40, T/4, success), see(10, T, timeout)}, open, 0},

		// Who finds out whether the service responds again.
		{"probe: not before it is due", []step{closed, ask(100, first)}, 0.5, 0},
		{"probe: now and then before it is due", []step{closed, chance(0.049), ask(3, first)}, 0.5, 3},
		{"probe: by no more than one of twenty", []step{closed, chance(0.05), ask(3, first)}, 0.5, 0},
		{"probe: one once it is due", []step{closed, wait(T), ask(100, first)}, 0.5, 1},
		{"probe: the next not before 1.5 s", []step{closed, wait(T), ask(1, first), wait(1500*ms - 1), ask(1, first)}, 0.5, 1},
		{"probe: the next after 1.5 s", []step{closed, wait(T), ask(1, first), wait(1500 * ms), ask(1, first)}, 0.5, 2},
		{"probe: by no retry at once", []step{closed, wait(T), ask(100, retry), ask(100, waited)}, 0.5, 0},
		{"probe: by a retry if no call comes for a second", []step{closed, wait(2 * T), ask(100, retry)}, 0.5, 1},
		{"probe: by a call that waited if no new one comes", []step{closed, wait(2 * T), ask(100, waited)}, 0.5, 1},
		{"probe: beside one in flight", []step{engaged, see(1, 10*ms, success), turned, see(1, T, timeout), wait(T / 4), ask(1, first), wait(T), ask(100, first)}, 1, 2},
		{"probe: none while the window has room for more", []step{closed, see(1, 10*ms, shed), ask(1, first), wait(9 * T), ask(100, first)}, 1.5, 1},

		// What takes room away.
		{"shut: not in the epoch that engaged", []step{wide, see(10, T, timeout)}, 10, 0},
		{"shut: by half an epoch with timeouts", []step{wide, wait(T / 4), see(1, T, timeout)}, 5, 0},
		{"shut: by half each", []step{wide, repeat(2, wait(T/4), see(1, T, timeout))}, 2.5, 0},
		{"shut: down to one half", []step{wide, repeat(9, wait(T/4), see(1, T, timeout))}, 0.5, 0},
		{"shut: not by an epoch without a signal", []step{wide, wait(T / 4), see(1, T, timeout), repeat(9, wait(T/4), ask(1, retry))}, 2.5, 1},
		{"shut: not by an epoch with a fast success", []step{wide, turned, see(9, T, timeout), see(1, 10*ms, success), turned}, 6, 0},
		{"shut: not while as many are slow", []step{wide, turned, see(3, T, timeout), see(3, T/3, success), turned}, 5, 0},
		{"shut: not while as many are shed", []step{wide, turned, see(3, T, timeout), see(3, 10*ms, shed), turned}, 8, 0},
		{"shut: while fewer are", []step{wide, turned, see(3, T, timeout), see(2, T/3, success), turned}, 2.5, 0},
		{"shut: by a queue", []step{wide, turned, see(3, 700*ms, success), turned}, 2.5, 0},
		{"shut: not by two responses", []step{wide, turned, see(2, 700*ms, success), turned}, 5, 0},
		{"shut: not before a quarter of the time", []step{wide, turned, wait(T/4 - 1), each(0, 1, T, timeout, first)}, 5, 0},
		{"shut: after a quarter of the time", []step{wide, turned, each(T/4, 2, T, timeout, first)}, 2.5, 0},
		{"shut: not before 100 ms", []step{limit(100 * ms), wide, turned, wait(100*ms - 1), each(0, 1, T, timeout, first)}, 5, 0},
		{"shut: after 100 ms", []step{limit(100 * ms), wide, turned, each(100*ms, 2, T, timeout, first)}, 2.5, 0},
	} {
		w := newWorld()
		w.do(tt.steps...)
		if got := w.State(); got.Window != tt.window || w.admitted != tt.admitted {
			t.Errorf("%s: window %v and %d admitted, want %v and %d", tt.rule, got.Window, w.admitted, tt.window, tt.admitted)
		}
		if got := w.State(); got.Engaged != (tt.window != open) || got.Engaged != w.Engaged() || got.InFlight != len(w.held) {
			t.Errorf("%s: state %+v, Engaged %v with %d in flight", tt.rule, got, w.Engaged(), len(w.held))
		}
	}
}

// A refusal says when the epoch ends, and what a response may take.
func TestRefusal(t *testing.T) {
	refused := ask(5, guard.Waited) // the fifth finds no room
	rises := all(see(1, 10*ms, guard.Success), see(19, time.Hour, guard.Success))
	risen := func(factor float64) time.Duration {
		return time.Duration(20 * float64(10*ms) * math.Pow(1.2, 19) * factor)
	}
	slow := func(gap time.Duration) step { return each(gap, 1, time.Hour, guard.Success, guard.First) }
	for _, tt := range []struct {
		rule           string
		steps          []step
		retryIn, scale time.Duration // 0: any
	}{
		{"an epoch is a quarter of the limit", []step{limit(2 * T), refused}, T / 2, 2 * T},
		{"or 100 ms", []step{limit(100 * ms), refused}, 100 * ms, 100 * ms},
		{"what is left of the epoch", []step{refused, wait(150 * ms), ask(1, guard.Waited)}, 100 * ms, T},
		{"1 ms at least", []step{refused, wait(T/4 - 1), ask(1, guard.Waited)}, ms, T},
		{"no limit, nothing known", []step{limit(0), refused}, T / 4, T},
		{"no limit, fast", []step{limit(0), see(1, 49*ms, guard.Success), refused}, 0, T},
		{"no limit, 20 times the baseline", []step{limit(0), see(1, 100*ms, guard.Success), refused}, 0, 2 * T},
		{"no limit, slow", []step{limit(0), see(1, 2*T, guard.Success), refused}, 0, 30 * T},
		{"the baseline rises by a fifth at first", []step{limit(0), see(1, 100*ms, guard.Success), see(1, T, guard.Success), refused}, 0, 2400 * ms},
		{"and falls by a fifth", []step{limit(0), see(1, 100*ms, guard.Success), see(1, ms, guard.Success), refused}, 0, 1600 * ms},
		{"not for error responses", []step{limit(0), see(1, 100*ms, guard.Success), see(9, T, guard.Failed), refused}, 0, 2 * T},
		{"the twentieth is of the first", []step{limit(0), rises, refused}, 0, risen(1)},
		{"later by 2 % at most", []step{limit(0), rises, slow(T), refused}, 0, risen(1.02)},
		{"later by 20 % per second at most", []step{limit(0), rises, slow(50 * ms), refused}, 0, risen(1.01)},
	} {
		w := newWorld()
		w.do(tt.steps...)
		got := w.refusal
		if tt.retryIn != 0 && got.RetryIn != tt.retryIn || (got.Scale-tt.scale).Abs() > time.Microsecond {
			t.Errorf("%s: got %+v, want %v and %v", tt.rule, got, tt.retryIn, tt.scale)
		}
	}
}

// Of frequent first attempts, a sample is watched that has the size it needs.
func TestSampling(t *testing.T) {
	for _, tt := range []struct {
		rule    string
		gap     time.Duration // between attempts, for three seconds
		then    step
		p       guard.Priority
		watched float64 // share
	}{
		{"500/s", 2 * ms, nil, guard.First, 1},
		{"1,500/s", 666 * time.Microsecond, nil, guard.First, 1. / 2},
		{"5,000/s", 200 * time.Microsecond, nil, guard.First, 1. / 8},
		{"retries", 200 * time.Microsecond, nil, guard.Retry, 1},
		{"calls that waited", 200 * time.Microsecond, nil, guard.Waited, 1},
		{"more in flight than usual", 200 * time.Microsecond, ask(9, guard.First), guard.First, 1},
		{"engaged", 200 * time.Microsecond, all(wait(T), timeouts), guard.First, 1},
	} {
		w := newWorld()
		draws := 0.0
		w.Limiter = guard.New(func() float64 { // evenly spread
			draws++
			_, f := math.Modf(draws * math.Phi)
			return f
		})
		w.do(each(tt.gap, int(3*T/tt.gap), 10*ms, guard.Success, guard.First))
		if tt.then != nil {
			w.do(tt.then)
		}
		watched := 0.0
		before := w.State().InFlight
		for range 10240 {
			if _, ok := w.Start(tt.p); ok {
				watched++
			}
			w.Drop()
		}
		if share := watched / 10240; math.Abs(share-tt.watched) > tt.watched/5 {
			t.Errorf("%s: %v of the attempts are watched, want %v", tt.rule, share, tt.watched)
		}
		if got := w.State().InFlight; got != before {
			t.Errorf("%s: %d in flight at the end, want %d", tt.rule, got, before)
		}
	}
}

func TestIdle(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		steps []step
		after time.Duration // of which it is not idle yet
		never bool
	}{
		{"after a success", []step{healthy, each(0, 1, 10*ms, guard.Success, guard.First)}, time.Minute, false},
		{"after an epoch of timeouts", []step{healthy, wait(T), turned}, time.Minute, false},
		{"in flight", []step{healthy, ask(1, guard.First)}, time.Hour, true},
	} {
		w := newWorld()
		w.do(tt.steps...)
		if w.Idle(w.now + tt.after) {
			t.Errorf("%s: idle after %v", tt.rule, tt.after)
		}
		if got := w.Idle(w.now + tt.after + 1); got == tt.never {
			t.Errorf("%s: idle %v after more than %v", tt.rule, got, tt.after)
		}
	}
}
