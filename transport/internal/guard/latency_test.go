package guard_test

import (
	"math"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/transport/internal/guard"
)

func TestScale(t *testing.T) {
	for _, tt := range []struct {
		rule                 string
		typical, limit, left time.Duration
		want                 guard.Scale
	}{
		{"the limit of an attempt", 20 * ms, 2 * T, 5 * T, guard.Scale{T: 2 * T}},
		{"of a call that may take as long", 0, T, T, guard.Scale{T: T}},
		{"of a call that may take any time", 20 * ms, 2 * T, 0, guard.Scale{T: 2 * T}},
		{"what the call has left", 20 * ms, T, 400 * ms, guard.Scale{T: 400 * ms}},
		{"five times what is typical is enough", 20 * ms, T, 101 * ms, guard.Scale{T: 101 * ms}},
		{"less is not", 20 * ms, T, 99 * ms, guard.Scale{T: 99 * ms, Brief: true}},
		{"nothing is enough while nothing is known", 0, T, 900 * ms, guard.Scale{T: 900 * ms, Brief: true}},
		{"a second without a limit", 20 * ms, 0, 0, guard.Scale{T: T}},
		{"without a limit, and time enough", 20 * ms, 0, 5 * T, guard.Scale{T: T}},
		{"no limit but what is left", 100 * ms, 0, 600 * ms, guard.Scale{T: 600 * ms}},
		{"20 times what is typical", 100 * ms, 0, 0, guard.Scale{T: 2 * T}},
		{"30 seconds at most", 9 * T, 0, 0, guard.Scale{T: 30 * T}},
	} {
		w := newWorld()
		if tt.typical > 0 {
			w.do(see(300, tt.typical, success))
		}
		got := w.Scale(tt.limit, tt.left)
		near := (got.T - tt.want.T).Abs() <= tt.want.T/33
		if got.T = tt.want.T; !near || got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.rule, w.Scale(tt.limit, tt.left), tt.want)
		}
	}
}

// What is typical follows what is seen, in steps.
func TestTypical(t *testing.T) {
	rises := all(see(1, 100*ms, success), see(19, time.Hour, success))
	risen := 100 * math.Pow(1.2, 19)
	slow := func(gap time.Duration) step { return each(gap, 1, time.Hour, success) }
	for _, tt := range []struct {
		rule  string
		steps step
		want  float64 // ms
	}{
		{"it is the first", see(1, 100*ms, success), 100},
		{"a microsecond at least", see(1, 0, success), 0.001},
		{"it rises by a fifth at first", all(see(1, 100*ms, success), see(1, T, success)), 120},
		{"it falls where as many are as slow", see(2, 100*ms, success), 80},
		{"and falls by a fifth", all(see(1, 100*ms, success), see(1, ms, success)), 80},
		{"not by error responses", all(see(1, 100*ms, success), see(9, T, failed)), 100},
		{"the twentieth is of the first", rises, risen},
		{"later by 2 % at most", all(rises, repeat(9, slow(T))), risen * math.Pow(1.02, 9)},
		{"later by 20 % per second at most", all(rises, repeat(20, slow(50*ms))), risen * math.Pow(1.01, 20)},
		{"by no more than that, for long", all(rises, repeat(60, slow(T))), risen * math.Pow(1.02, 60)},
		{"nor than that per second", all(rises, repeat(60, slow(50*ms))), risen * math.Pow(1.01, 60)},
		{"also while there is a limit, as long as little is known", all(see(1, 100*ms, success), wait(T), limit(4), see(1, T, success)), 120},
		{"it stays while there is a limit", all(calls(35), limit(4), line(time.Hour), wait(T), see(50, 700*ms, success)), 20},
	} {
		w := newWorld()
		limit := guard.Scale{T: 1} // so that Slow knows no other scale
		w.do(tt.steps)
		d := time.Duration(5 * tt.want * float64(time.Millisecond))
		if w.Slow(d*97/100, limit) || !w.Slow(d*103/100, limit) {
			t.Errorf("%s: five times what is typical is not %v", tt.rule, d)
		}
	}
}

func TestSlow(t *testing.T) {
	w := newWorld()
	w.do(see(300, 5*ms, success))
	for _, tt := range []struct {
		took time.Duration
		t    time.Duration
		want bool
	}{{24 * ms, T / 10, false}, {27 * ms, T / 10, true}, {50 * ms, T, false}, {51 * ms, T, true}} {
		if got := w.Slow(tt.took, guard.Scale{T: tt.t}); got != tt.want {
			t.Errorf("%v of %v: slow %v, want %v", tt.took, tt.t, got, tt.want)
		}
	}
}

// What an attempt needs to be worth sending.
func TestLate(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		steps step
		need  time.Duration
	}{
		{"twice what is typical", see(300, 20*ms, success), 40 * ms},
		{"half as much again as the last few", all(see(300, 20*ms, success), see(20, 100*ms, success)), 150 * ms},
		{"not the wait that the service tells of", all(see(300, 20*ms, success), tell(5*ms, 20, 900*ms, 800*ms)), 150 * ms},
		{"the limit at most", all(see(300, 20*ms, success), see(20, 900*ms, success)), T},
		{"what it takes alone", all(limited(1), line(time.Hour), wait(T), see(1, 600*ms, success), see(60, 20*ms, success), wait(T+1), late(1)), 40 * ms},
		{"what it takes alone, and no more is known", all(limited(1), line(time.Hour), wait(T), see(1, 500*ms, success)), 500 * ms},
	} {
		w := newWorld()
		w.do(tt.steps)
		if w.Late(w.now, w.now+tt.need*103/100, w.scale) || !w.Late(w.now, w.now+tt.need*97/100, w.scale) {
			t.Errorf("%s: an attempt does not need %v", tt.rule, tt.need)
		}
	}
}

// An attempt that has just as much time as it needs is not too late.
func TestJustInTime(t *testing.T) {
	w := newWorld()
	w.do(see(300, 900*ms, success))
	if w.Late(w.now, w.now+T, w.scale) || !w.Late(w.now, w.now+T-1, w.scale) {
		t.Errorf("an attempt that needs %v is late with that, or not with less", T)
	}
}

func TestRate(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		steps step
		want  float64
	}{
		{"nothing is known at first", see(1, 0, none), 0},
		{"nor in a quarter of a second", all(see(1, 0, none), see(49, 0, none)), 0},
		{"a quarter of a second is a start", all(see(1, 0, none), see(50, 0, none)), 200 * (1 - math.Exp(-0.25))},
		{"but not three calls", all(see(1, 0, none), each(T, 3, 0, none)), 0},
		{"three calls in four seconds are", all(see(1, 0, none), each(4*T/3+1, 3, 0, none)), 0.75 * (1 - math.Exp(-1))},
		{"three calls in just four seconds too", all(see(1, 0, none), each(T, 2, 0, none), each(2*T, 1, 0, none)), 0.75 * (1 - math.Exp(-1))},
		{"four calls are a start", all(see(1, 0, none), each(100*ms, 4, 0, none)), 10 * (1 - math.Exp(-0.4))},
		{"a steady rate", each(28*ms, 2000, 0, none), 1000. / 28},
		{"it falls in some seconds", all(each(28*ms, 2000, 0, none), each(4*T, 1, 0, none)), 1000./28*math.Exp(-1) + 0.25*(1-math.Exp(-1))},
		{"calls that were not seen are counted", func(w *world) {
			w.Arrive(w.now, 8)
			w.Arrive(w.now+4*T, 8)
		}, 2 * (1 - math.Exp(-1))},
	} {
		w := newWorld()
		w.do(tt.steps)
		if got := w.Rate(); math.Abs(got-tt.want) > tt.want/50 {
			t.Errorf("%s: %v calls per second, want %v", tt.rule, got, tt.want)
		}
	}
}

func TestHopeful(t *testing.T) {
	for _, tt := range []struct {
		rule     string
		rate     float64
		d        time.Duration
		inFlight int
		want     bool
	}{
		{"something is in flight", 0.1, T, 1, true},
		{"a call is likely to come", 2, 600 * ms, 0, true},
		{"none is", 2, 400 * ms, 0, false},
		{"nobody calls", 0.1, T, 0, false},
	} {
		w := newWorld()
		w.do(calls(tt.rate))
		if got := w.Hopeful(tt.d, tt.inFlight); got != tt.want {
			t.Errorf("%s: hopeful %v, want %v", tt.rule, got, tt.want)
		}
	}
}

func TestDoubtful(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		steps step
		want  bool
	}{
		{"nothing timed out", calls(35), false},
		{"one timeout", all(calls(35), wait(T), late(1)), true},
		{"one that was overtaken", all(calls(35), late(1)), false},
		{"a success after that", all(calls(35), wait(T), late(1), see(1, 20*ms, success)), false},
		{"an error response", all(calls(35), wait(T), late(1), see(1, ms, failed)), true},
	} {
		w := newWorld()
		w.do(tt.steps)
		if got := w.Doubtful(); got != tt.want {
			t.Errorf("%s: doubtful %v, want %v", tt.rule, got, tt.want)
		}
	}
}
