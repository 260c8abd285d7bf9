package guard_test

import (
	"math"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/transport/internal/guard"
)

// tell lets n first attempts succeed in so long, of which the service says that so long
// passed in its queue.
func tell(gap time.Duration, n int, took, queued time.Duration) step {
	return func(w *world) {
		for range n {
			w.now += gap
			w.Arrive(w.now, 1)
			a := guard.Attempt{Start: w.now - took, Scale: w.scale, First: true, Queued: queued}
			w.Done(a, w.now, len(w.held), success)
		}
	}
}

// The window follows the queue that the service tells of. The queue is to be T/32, which
// is 31.25 ms.
func TestToldQueue(t *testing.T) {
	const (
		d    = 437500 * time.Microsecond // of this, 250 ms in the queue is too much by half
		full = 250 * ms
		zero = 11 * ms // in the queue, and as good as none

		sinceCut = 0.23125 // what the time since then adds: an epoch is over 25 ms before its last step
	)
	hour := line(time.Hour)
	// An epoch of 14 successes in 285 ms, where there are so many calls a second.
	epoch := func(calls float64, inFlight int, took, queued time.Duration) step {
		return all(calm(calls, took), wait(T), see(1, 0, failed), hold(inFlight), tell(20*ms, 14, took, queued), see(1, 0, failed))
	}
	// A window of so many, all of which is used.
	engaged := func(window int) step { return all(epoch(35, 2*window-1, d, full), hour, hold(window-1)) }
	used := all(engaged(16), wait(d))
	at := func(n int, took, queued time.Duration) step { return tell(0, n, took, queued) }
	telling := all(calls(35), at(1, 20*ms, ms))
	narrowed := all(used, at(4, d, full), hold(11))
	for _, tt := range []struct {
		rule   string
		steps  []step
		window float64
	}{
		{"engages: if successes waited a quarter of the limit", []step{epoch(35, 31, d, full)}, 16},
		{"engages: not if they waited less", []step{epoch(35, 31, d, full-1)}, open},
		{"engages: on average", []step{calm(35, d), wait(T), see(1, 0, failed), hold(31), repeat(7, tell(20*ms, 1, d, full+100*ms), tell(20*ms, 1, d, full-100*ms)), see(1, 0, failed)}, 16},
		{"engages: not by a few", []step{calm(5, d), wait(T), see(1, 0, failed), hold(31), tell(20*ms, 4, d, full), wait(T / 4), see(1, 0, failed)}, open},
		{"engages: if four fifths of the calls are answered", []step{epoch(60, 31, d, full)}, 16},
		{"engages: not if fewer are: it may have become slower", []step{epoch(75, 31, d, full)}, open},
		{"engages: nobody waits longer than a response took", []step{epoch(35, 31, d, time.Hour)}, 32 * 31.25 / 437.5},
		{"engages: not while there is a limit", []step{calm(35, d), limit(8), hour, hold(7), wait(d), tell(20*ms, 30, d, full), see(1, 0, failed)}, 8 + 30},
		{"follow: less by half of what is too much", []step{narrowed}, 12},
		{"follow: the wanted queue changes nothing", []step{used, hold(7), at(4, d, 31250*time.Microsecond)}, 16},
		{"follow: by four successes", []step{used, at(3, d, full)}, 16},
		{"follow: by as many as the window if that is less", []step{engaged(2), wait(d), at(2, d, full)}, 1.5},
		{"follow: not by what was sent before", []step{narrowed, wait(d - 1), at(9, d, full)}, 12},
		{"follow: but by what was sent since", []step{narrowed, wait(d), at(4, d, full)}, 9},
		{"follow: nor by what was sent before the limit", []step{engaged(16), wait(d - 25*ms - 1), at(9, d, full)}, 16},
		{"follow: not below one", []step{engaged(1), hold(0), wait(T), at(1, T, T)}, 1},
		{"follow: less than what is in flight", []step{used, hold(7), at(4, d, full)}, 6},
		{"follow: never more", []step{used, hold(99), at(4, d, full)}, 16},
		{"follow: more by half of what is missing", []step{used, at(1, d, 20*ms)}, 16 + 11.25/437.5/2},
		{"follow: no more than one for each", []step{used, wait(9 * T), at(1, d, 0)}, 17},
		{"follow: the mean of four", []step{used, at(1, d, 100*ms), at(3, d, 0)}, 16 + (31.25-25)/437.5/2},
		{"follow: of the last four", []step{used, at(1, d, 100*ms), at(3, d, 0), at(1, d, 0)}, 16 + (31.25-25)/437.5/2 + (31.25-18.75)/437.5/2},
		{"follow: the mean begins anew with another window", []step{narrowed, wait(d), at(1, d, 0)}, 12 + 0.21875},
		{"follow: more with the time without a queue", []step{used, at(1, d, zero), wait(T), at(1, d, zero)}, 16 + 2*sinceCut + 0.5},
		{"follow: no queue up to half of what is wanted", []step{used, at(1, d, 15625*time.Microsecond), wait(T), at(1, d, 15625*time.Microsecond)}, 16 + 2*sinceCut + 0.5},
		{"follow: a queue above that", []step{used, at(1, d, 15626*time.Microsecond), wait(T), at(1, d, 15626*time.Microsecond)}, 16 + 2*(31.25-15.626)/437.5/2},
		{"follow: a line behind the queue makes room by its latency", []step{used, wait(T), at(1, 751*ms+1, ms)}, 16 + 0.25/16},
		{"follow: slow work is no queue", []step{used, wait(T), at(1, 751*ms, ms)}, 16 + sinceCut + 0.5},
		{"follow: nor a line while the queue is too long", []step{used, wait(T), at(4, 951*ms, 150*ms)}, 14.795219518236424},
		{"follow: what hangs does not count", []step{engaged(4), hold(0), wait(1), ask(3), wait(3 * T), ask(1), wait(20 * ms), answer(1, success), wait(3 * T), ask(1), wait(20 * ms), answer(1, success), wait(T), at(4, d, d)}, 1},
		{"follow: it opens as ever", []step{engaged(8), func(w *world) { w.Leave(w.waiter) }, hold(3), wait(d), at(1, d, 20*ms)}, open},
		{"told none: a slow one makes room for one more", []step{telling, limit(8), hour, wait(2 * T), at(1, 700*ms, 31250*time.Microsecond-1)}, 9},
		{"told none: also if nothing is said", []step{telling, limit(8), hour, wait(2 * T), at(1, 700*ms, 0)}, 9},
		{"told none: for a minute", []step{telling, wait(time.Minute - 4*T), limit(8), hour, wait(2 * T), at(1, 700*ms, 0)}, 9},
		{"told none: not for longer", []step{telling, wait(time.Minute), limit(8), hour, wait(2 * T), at(1, 700*ms, 0)}, 2},
		{"told none: not if the wanted queue is told", []step{telling, limit(8), hour, wait(2 * T), at(1, 700*ms, 31250*time.Microsecond)}, 2},
		{"told none: not if it never tells", []step{calls(35), limit(8), hour, wait(2 * T), at(1, 700*ms, 0)}, 2},
		{"told none: not once it is known what it takes alone", []step{telling, limit(1), hour, wait(T), at(1, 600*ms, 0), at(1, 850*ms, 0)}, 2.125},
		{"told none: not soon after a refusal", []step{telling, limit(8), hour, hold(7), see(1, 5*ms, shed), hold(0), at(1, 700*ms, 0)}, 6 + 0.25/6},
		{"follow: not if anything else engages", []step{limited(16), hour, hold(15), wait(T), at(1, 100*ms, 90*ms)}, 17},
		{"follow: not after it was open", []step{engaged(8), func(w *world) { w.Leave(w.waiter) }, hold(3), wait(d), at(1, d, 20*ms), limit(16), hour, hold(15), wait(T), at(4, d, full)}, 20},
	} {
		w := newWorld()
		w.do(tt.steps...)
		if got := w.Window(); math.Abs(got-tt.window) > 1e-9 && got != tt.window {
			t.Errorf("%s: window %v, want %v", tt.rule, got, tt.window)
		}
	}
}
