package guard_test

import (
	"math"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/transport/internal/guard"
)

const (
	none, failed, shed, success, timeout = guard.None, guard.Failed, guard.Shed, guard.Success, guard.Timeout
)

// Each rule by itself: the window at the end, and how many of those that asked
// were admitted and not yet released.
func TestRules(t *testing.T) {
	hour := line(time.Hour)
	mixed := each(30*ms, 1, 400*ms, success)
	// Engaged by refusals of two in five, with 20 in flight and responses after 400 ms.
	shedding := func(took time.Duration) step {
		return all(hold(20), each(30*ms, 12, took, success), wait(T), see(1, 0, failed), later(5*ms, 8, 5*ms, shed), wait(T/4), see(1, 0, failed))
	}
	sheds := all(calls(35), shedding(400*ms))
	row := all(calls(20), wait(T), hold(40), see(7, 5*ms, shed)) // calls refused in a row, and a window of 20
	halve := all(hour, hold(2), see(2, 5*ms, shed))              // and somebody waits, or it would open anyhow
	trial := func(refused int, took time.Duration) step {        // of 25 responses, the last of which is a refusal
		return all(halve, func(w *world) {
			for i := range 25 {
				if (i+1)*refused/25 > i*refused/25 {
					w.do(each(T, 1, 5*ms, shed))
				} else {
					w.do(each(T, 1, took, success))
				}
			}
		})
	}
	pardoned := all(sheds, trial(12, 400*ms), hold(20))
	opens := all(func(w *world) { w.Leave(w.waiter) }, hold(1), see(1, 20*ms, success), hold(20))
	shut := all(limited(1), wait(T/4), see(1, T, timeout))
	// A window of 11 with responses that take 620 ms, and 600 ms alone.
	alone := all(limited(1), hour, wait(T), see(1, 600*ms, success), see(9, 620*ms, success))
	brief := guard.Scale{T: T, Brief: true}
	retry := func(w *world) { w.held[len(w.held)-1].First = false } // what was sent last
	grows := all(calls(40), wait(T), grow(600*ms))
	for _, tt := range []struct {
		rule     string
		steps    []step
		window   float64
		admitted int
	}{
		// Slowness is not overload.
		{"slow: not by responses within the limit", []step{calls(35), each(28*ms, 300, 100*ms, success), each(28*ms, 300, 600*ms, success), each(28*ms, 300, 999*ms, success)}, open, 0},
		{"slow: not by those that grow", []step{calls(35), each(28*ms, 100, 300*ms, success), each(28*ms, 100, 500*ms, success), each(28*ms, 9, 700*ms, success), each(28*ms, 9, 800*ms, success), each(28*ms, 9, 900*ms, success)}, open, 0},

		// What engages.
		{"proof: not 2 timeouts of 0.5 calls/s", []step{calls(0.5), wait(T), see(2, T, timeout)}, open, 0},
		{"proof: 3 timeouts of 0.5 calls/s", []step{calls(0.5), wait(T), see(3, T, timeout)}, 1, 0},
		{"proof: not 4 timeouts of 4.4 calls/s", []step{calls(4.4), wait(T), later(0, 1, 0, none), repeat(4, wait(225*ms), late(1))}, open, 0},
		{"proof: 5 timeouts of 4.4 calls/s", []step{calls(4.4), wait(T), repeat(5, wait(225*ms), late(1))}, 1, 0},
		{"proof: not 6 timeouts of 20 calls/s", []step{calls(20), wait(T), late(6)}, open, 0},
		{"proof: 7 timeouts of 20 calls/s", []step{calls(20), wait(T), late(7)}, 1, 0},
		{"proof: not 24 timeouts of 102 calls/s", []step{calls(102), wait(T), late(24)}, open, 0},
		{"proof: 25 timeouts of 102 calls/s", []step{calls(102), wait(T), late(25)}, 1, 0},
		{"proof: not 49 timeouts of 500 calls/s", []step{calls(500), wait(T), late(49)}, open, 0},
		{"proof: 50 timeouts of 500 calls/s", []step{calls(500), wait(T), late(50)}, 1, 0},
		{"proof: not attempts that were overtaken", []step{calls(35), late(60)}, open, 0},
		{"proof: nor by one that was sent at the same time", []step{calls(35), wait(T - 20*ms - 1), late(60)}, open, 0},
		{"proof: attempts sent after the last that was answered", []step{calls(35), wait(T - 20*ms), late(8)}, 1, 0},
		{"proof: not attempts with less than nine tenths of the time", []step{calls(35), wait(T), see(60, 9*T/10-1, timeout)}, open, 0},
		{"proof: attempts with nine tenths of the time", []step{calls(35), wait(T), see(8, 9*T/10, timeout)}, 1, 0},
		{"proof: not calls that had little time", []step{calls(35), wait(T), scale(brief), late(60)}, open, 0},
		{"proof: not retries, which show nothing new", []step{calls(35), wait(T), later(ms, 60, T, timeout)}, open, 0},
		{"proof: retries of who calls less than once per limit", []step{calls(0.9), wait(T), later(ms, 3, T, timeout)}, 1, 0},
		{"proof: not retries of who calls once per limit", []step{calls(1.05), wait(T), later(ms, 60, T, timeout)}, open, 0},
		{"proof: a limit of two seconds has more calls", []step{calls(0.9), scale(guard.Scale{T: 2 * T}), wait(2 * T), later(ms, 60, 2*T, timeout)}, open, 0},
		{"proof: not error responses", []step{calls(35), wait(T), see(60, ms, failed)}, open, 0},
		{"proof: not what shows nothing", []step{calls(35), wait(T), see(60, T, none)}, open, 0},
		{"proof: a success ends a row", []step{calls(35), repeat(2, wait(T), late(6), see(1, 10*ms, success))}, open, 0},
		{"proof: a slow one too", []step{calls(35), repeat(2, wait(T), late(6), see(1, 900*ms, success))}, open, 0},
		{"proof: an error response does not", []step{calls(35), wait(T), late(7), see(1, ms, failed), late(1)}, 1, 0},
		{"proof: nor a call that was cancelled", []step{calls(35), wait(T), late(7), see(1, T, none), late(1)}, 1, 0},
		{"proof: half of what is in flight may go on", []step{calls(35), wait(T), hold(20), late(8)}, 10, 0},
		{"proof: one at least", []step{calls(35), wait(T), hold(1), late(8)}, 1, 0},

		// While open and nothing comes, no more than usual is sent.
		{"brake: not by a burst", []step{calls(20), wait(T), ask(40)}, open, 40},
		{"brake: after a quarter of the limit", []step{calls(20), wait(T), ask(8), wait(T/4 + 1), ask(20)}, open, 9},
		{"brake: not before", []step{calls(20), wait(T), ask(8), wait(T / 4), ask(20)}, open, 28},
		{"brake: after twice the usual latency", []step{calm(20, 200*ms), wait(T), ask(8), wait(400*ms + 9*ms), ask(20)}, open, 9},
		{"brake: not before that", []step{calm(20, 200*ms), wait(T), ask(8), wait(400*ms - 9*ms), ask(20)}, open, 28},
		{"brake: up to eight in flight", []step{calls(20), wait(T), ask(5), wait(T/4 + 1), ask(20)}, open, 9},
		{"brake: up to twice the usual number", []step{calls(20), hold(9), see(1, 20*ms, success), hold(0), wait(T), ask(5), wait(T/4 + 1), ask(40)}, open, 21},
		{"brake: slow answers say nothing of the usual number", []step{calls(20), hold(90), see(1, 300*ms, success), hold(0), wait(T), ask(5), wait(T/4 + 1), ask(40)}, open, 9},
		{"brake: up to five times what is usual is not slow", []step{calls(20), hold(9), see(1, 90*ms, success), hold(0), wait(T), ask(5), wait(T/4 + 1), ask(40)}, open, 21},
		{"brake: more is", []step{calls(20), hold(9), see(1, 110*ms, success), hold(0), wait(T), ask(5), wait(T/4 + 1), ask(40)}, open, 9},
		{"brake: the usual number is forgotten slowly", []step{calls(20), hold(9), see(1, 20*ms, success), hold(0), see(300, 20*ms, success), wait(T), ask(5), wait(T/4 + 1), ask(40)}, open, 19},
		{"brake: a probe per epoch", []step{calls(20), wait(T), ask(8), wait(T/4 + 1), ask(20), wait(T/4 - 1), ask(20), wait(1), ask(20)}, open, 10},
		{"brake: an answer ends it", []step{calls(20), wait(T), ask(8), wait(T/4 + 1), see(1, ms, success), ask(20)}, open, 28},
		{"brake: an error response too", []step{calls(20), wait(T), ask(8), wait(T/4 + 1), see(1, ms, failed), ask(20)}, open, 28},
		{"brake: a refusal does not, which shows that there is no room", []step{calls(20), wait(T), ask(8), wait(T/4 + 1), see(1, ms, shed), ask(20)}, open, 9},
		{"brake: a timeout does not", []step{calls(20), wait(T), ask(8), wait(T/4 + 1), see(1, T, timeout), ask(20)}, open, 9},
		{"brake: not while little is known", []step{see(19, 10*ms, success), wait(T), ask(8), wait(T), ask(20)}, open, 28},
		{"brake: as soon as enough is known", []step{see(20, 10*ms, success), wait(T), ask(8), wait(T), ask(20)}, open, 9},

		// The window.
		{"window: as many as there is room for", []step{limited(16), ask(40)}, 16, 16},
		{"cut: not before an epoch is over", []step{limited(16), wait(T/4 - 5*ms - 1), old(1)}, 16, 0},
		{"cut: by half once it is", []step{limited(16), wait(T / 4), old(9)}, 8, 0},
		{"cut: by half per epoch", []step{limited(16), repeat(2, wait(T/4), old(9))}, 4, 0},
		{"cut: at once by what was sent since", []step{limited(16), wait(1), see(1, 0, none), wait(T), late(1)}, 8, 0},
		{"cut: down to one half", []step{limited(4), repeat(9, wait(T/4), old(1))}, 0.5, 0},
		{"cut: not by what was sent before, once there are answers", []step{limited(16), hour, see(1, 0, failed), wait(T / 2), old(9)}, 16, 0},
		{"cut: nor by what was sent just then", []step{limited(16), hour, see(1, 0, failed), wait(T - 5*ms), late(1)}, 16, 0},
		{"cut: nor once there was an answer at that moment", []step{limited(16), hour, each(0, 1, 0, failed), wait(T / 2), old(9)}, 16, 0},
		{"cut: by what was sent since, answers or not", []step{limited(16), hour, see(1, 0, failed), wait(T + 1), late(1)}, 8, 0},
		{"cut: an epoch has 100 ms at least", []step{limited(16), scale(guard.Scale{T: 100 * ms}), wait(94 * ms), see(1, 100*ms, timeout)}, 16, 0},
		{"cut: but no more", []step{limited(16), scale(guard.Scale{T: 100 * ms}), wait(95 * ms), see(1, 100*ms, timeout)}, 8, 0},

		// What makes room.
		{"grow: by one without a queue", []step{limited(4), hour, hold(4), see(1, 140*ms, success)}, 5, 0},
		{"grow: by a share with a short one", []step{limited(4), hour, hold(4), see(1, 150*ms, success)}, 4.25, 0},
		{"grow: up to half of the room", []step{limited(4), hour, hold(4), see(1, 505*ms, success)}, 4.25, 0},
		{"grow: a little with a long one", []step{limited(4), hour, hold(4), see(1, 520*ms, success)}, 4.0625, 0},
		{"grow: by one if one of the last five was in no queue", []step{limited(4), hour, hold(4), see(1, 140*ms, success), see(4, 505*ms, success)}, 6.577757050367607, 0},
		{"grow: by a share if it was in a long one itself", []step{limited(4), hour, hold(4), see(1, 140*ms, success), see(4, 520*ms, success)}, 5.342759540571281, 0},
		{"grow: not if it was the one before them", []step{limited(4), hour, hold(4), see(1, 140*ms, success), see(5, 520*ms, success)}, 5.389551839214254, 0},
		{"grow: nor before the last cut", []step{limited(4), hour, hold(4), see(1, 140*ms, success), wait(T + 1), late(1), see(4, 520*ms, success)}, 2.8785202925617943, 0},
		{"grow: by no more than one while shut", []step{shut, hour, hold(4), see(1, 300*ms, success)}, 1.5, 0},
		{"grow: a little while shut", []step{shut, hour, hold(4), see(1, 600*ms, success)}, 0.75, 0},
		{"grow: by one within what is usual, however short its own limit is", []step{limited(4), hour, scale(guard.Scale{T: 10 * ms}), see(1, 19*ms, success)}, 5, 0},
		{"grow: not by error responses", []step{limited(4), hour, see(9, ms, failed)}, 4, 0},
		{"grow: what it takes alone is no queue", []step{limited(1), hour, wait(T), see(1, 600*ms, success), see(1, 640*ms, success)}, 3, 0},
		{"grow: up to an eighth of the room too", []step{limited(1), hour, wait(T), see(1, 600*ms, success), see(1, 650*ms, success)}, 3, 0},
		{"grow: up to a half of it that is a short one", []step{limited(1), hour, wait(T), see(1, 600*ms, success), see(1, 800*ms, success)}, 2.5, 0},
		{"grow: more than that is one", []step{limited(1), hour, wait(T), see(1, 600*ms, success), see(1, 700*ms, success)}, 2.5, 0},
		{"grow: much more is a long one", []step{limited(1), hour, wait(T), see(1, 600*ms, success), see(1, 850*ms, success)}, 2.125, 0},
		{"grow: with more in flight it is one", []step{limited(4), hour, wait(T), see(1, 600*ms, success), see(1, 640*ms, success)}, 4.0625 + 0.25/4.0625, 0},
		{"grow: what was sent before the cut says nothing", []step{limited(1), hour, wait(400 * ms), see(1, 600*ms, success), wait(T), see(1, 600*ms, success), see(1, 640*ms, success)}, 3.25, 0},
		{"grow: what it takes alone may become less", []step{limited(1), hour, wait(T), see(1, 600*ms, success), see(1, 300*ms, success), see(1, 410*ms, success)}, 3 + 1./3, 0},
		{"grow: what it takes alone is found anew", []step{limited(1), hour, wait(T), see(1, 600*ms, success), wait(T + 1), late(1), wait(T), see(1, 500*ms, success), see(1, 530*ms, success)}, 3, 0},

		{"grow: also if it is more", []step{limited(1), hour, wait(T), see(1, 300*ms, success), wait(T + 1), late(1), wait(T), see(1, 600*ms, success), see(1, 640*ms, success)}, 3, 0},
		{"grow: what it takes alone is remembered above that", []step{alone, wait(T + 1), late(1), wait(T), see(1, 620*ms, success)}, 6.5, 0},
		{"grow: but not once it was open", []step{alone, opens, limit(4), hour, hold(4), see(1, 640*ms, success)}, 4.0625, 0},
		{"grow: nor if the last responses were as slow", []step{alone, func(w *world) { w.Leave(w.waiter) }, hold(1), see(1, 620*ms, success), limit(4), hour, hold(4), see(1, 640*ms, success)}, 4.0625, 0},

		{"alone: late for as long as a limit", []step{limited(8), hour, wait(T + 595*ms), see(1, 600*ms, success)}, 2, 0},
		{"alone: not before", []step{limited(8), hour, wait(T + 594*ms), see(1, 600*ms, success)}, 8 + 0.25/8, 0},
		{"alone: not with a short queue", []step{limited(8), hour, wait(2 * T), see(1, 505*ms, success)}, 8.125, 0},
		{"alone: not soon after a refusal", []step{limited(8), hour, wait(2 * T), hold(8), see(1, 5*ms, shed), see(1, 600*ms, success)}, 6 + 0.25/6, 0},
		{"alone: what was sent before makes no room", []step{limited(8), hour, wait(2 * T), see(9, 600*ms, success)}, 2, 0},
		{"alone: what was sent since does", []step{limited(8), hour, wait(2 * T), see(9, 600*ms, success), wait(T), see(2, 600*ms, success)}, 4, 0},
		{"alone: what was sent just then does too", []step{limited(8), hour, wait(2 * T), see(1, 600*ms, success), wait(595 * ms), see(1, 600*ms, success)}, 3, 0},
		{"alone: then what was sent before a cut makes room too", []step{limited(8), hour, wait(2 * T), see(1, 600*ms, success), wait(T), see(1, 600*ms, success), wait(T + 1), late(1), see(1, 600*ms, success)}, 2.5, 0},
		{"alone: once", []step{limited(8), hour, wait(2 * T), see(1, 600*ms, success), wait(T), see(1, 600*ms, success), wait(2 * T), see(1, 900*ms, success)}, 3 + 0.25/3, 0},
		{"alone: a timeout does not end it", []step{limited(8), hour, wait(2 * T), see(1, 600*ms, success), wait(T + 5*ms), late(1), see(1, T, success), wait(T), see(1, 600*ms, success)}, 2, 0},

		// What hangs.
		{"hangs: it leaves its room to others", []step{limited(4), wait(1), ask(3), overtakes(110 * ms), overtakes(110 * ms), ask(9)}, 6, 11},
		{"hangs: not if one alone overtook it", []step{limited(4), wait(1), ask(3), overtakes(110 * ms), ask(9)}, 5, 6},
		{"hangs: not if all that takes five times what is usual", []step{limited(4), wait(1), ask(3), overtakes(40 * ms), overtakes(10 * ms), ask(9)}, 6, 8},
		{"hangs: nor five times what responses take now", []step{limited(4), hour, see(20, 60*ms, success), ask(3), overtakes(110 * ms), overtakes(110 * ms), ask(40)}, 26, 28},
		{"hangs: nor what is usual, if responses take less now", []step{limited(4), hour, see(20, 2*ms, success), ask(3), overtakes(40 * ms), overtakes(40 * ms), ask(40)}, 26, 28},
		{"hangs: not if others came that were sent before", []step{limited(4), wait(1), ask(4), wait(110 * ms), answer(1, success), wait(110 * ms), answer(1, success), ask(9)}, 5.2, 7},
		{"hangs: not if others were refused", []step{limited(4), wait(1), ask(3), repeat(2, wait(110*ms), ask(1), answer(1, failed)), ask(9)}, 4, 6},
		{"hangs: what was sent before the limit", []step{calls(35), wait(T), ask(8), wait(T), late(8), overtakes(T/4 + 1), ask(9)}, 5, 14},
		{"hangs: it is not counted when it ends", []step{limited(4), wait(1), ask(3), overtakes(110 * ms), wait(1), ask(1), overtakes(110 * ms), oldest(3, none), ask(9)}, 6, 11},
		{"hangs: what was sent the moment before the limit", []step{calls(35), wait(T), late(7), ask(8), late(1), answer(6, none), wait(1), ask(2), oldest(2, none), overtakes(110 * ms), ask(9)}, 5, 14},
		{"hangs: what was sent the moment before a success", []step{limited(4), wait(1), ask(1), wait(110 * ms), ask(1), oldest(1, success), wait(1), ask(2), oldest(1, none), overtakes(110 * ms), ask(9)}, 6, 9},
		{"hangs: times may be read before others that are told sooner", []step{limited(4), wait(1), ask(3), overtakes(110 * ms), see(5, 90*ms, none), ask(9)}, 5, 9},
		{"hangs: what does not ends as ever", []step{limited(4), wait(1), ask(3), overtakes(110 * ms), ask(2), answer(5, none), ask(9)}, 5, 11},
		{"hangs: a limit after that knows nothing of it", []step{limited(4), wait(1), ask(3), overtakes(110 * ms), overtakes(110 * ms), see(3, 20*ms, success), hold(8), limit(4), hold(3), ask(9)}, 4, 6},
		{"hangs: it takes no part in what refusals narrow", []step{limited(4), wait(1), ask(3), overtakes(110 * ms), overtakes(110 * ms), ask(2), wait(5 * ms), answer(1, shed)}, 1.5, 7},
		{"hangs: nor in what is used", []step{limited(7), wait(1), ask(6), overtakes(110 * ms), overtakes(110 * ms)}, open, 8},

		// What opens.
		{"open: nobody waits, half is used", []step{limited(8), hold(4), see(1, 20*ms, success)}, open, 0},
		{"open: not while somebody waits", []step{limited(8), hour, hold(4), see(1, 20*ms, success)}, 9, 0},
		{"open: not below eight", []step{limited(6), hold(1), see(1, 20*ms, success)}, 7, 0},
		{"open: a window of just eight, of which just half is used", []step{limited(7), hold(4), see(1, 20*ms, success)}, open, 0},
		{"open: not while more than half is used", []step{limited(8), hold(5), see(1, 20*ms, success)}, 9, 0},

		// Who finds out whether the service responds again.
		{"probe: one while shut", []step{shut, ask(9)}, 0.5, 1},
		{"probe: one at once with a limit, though one was sent while open", []step{calls(20), wait(T), ask(8), wait(T/4 + 1), ask(2), hold(2), late(7), ask(1)}, 1, 10},
		{"probe: one when it is due", []step{shut, ask(9), wait(35 * ms), wait(500 * ms), ask(9)}, 0.5, 2},
		{"probe: not before", []step{shut, ask(9), wait(500*ms - 1), ask(9)}, 0.5, 1},
		{"probe: beside what hangs", []step{limited(4), ask(4), wait(T/4 + 1), ask(9)}, 4, 5},
		{"probe: not while it may yet be answered", []step{limited(4), ask(4), wait(T / 4), ask(9)}, 4, 4},
		{"probe: none beside one that may, with a window of one", []step{limited(1), ask(9), wait(T / 4), ask(9)}, 1, 1},
		{"probe: the next comes sooner by chance", []step{shut, chance(0), ask(9), wait(375 * ms), ask(9)}, 0.5, 2},
		{"probe: but not before three quarters", []step{shut, chance(0), ask(9), wait(375*ms - 1), ask(9)}, 0.5, 1},
		{"probe: or later", []step{shut, chance(1), ask(9), wait(625 * ms), ask(9)}, 0.5, 2},
		{"probe: but not after five quarters", []step{shut, chance(1), ask(9), wait(625*ms - 1), ask(9)}, 0.5, 1},

		// A queue that outgrows what attempts are given; see TestGrowingQueue.
		{"growing: the window is next to nothing", []step{grows, hour, see(9, 900*ms, success)}, 2, 0},
		{"growing: what is sent since makes room", []step{grows, hour, wait(T), see(2, 20*ms, success)}, 4, 0},
		{"growing: it is found out what a response takes alone", []step{grows, hour, wait(T), see(1, 600*ms, success), see(1, 640*ms, success)}, 4, 0},
		{"growing: though refusals were the reason long ago, it is", []step{sheds, hour, opens, calls(40), wait(T), grow(600 * ms), hour, wait(T), see(1, 600*ms, success), see(1, 900*ms, success)}, 3 + 0.25/3, 0},
		{"growing: not while there is a limit already", []step{limited(20), hour, grow(600 * ms)}, 20.310190762479472, 0},

		// Refusals.
		{"refused: 7 calls in a row", []step{calls(20), see(6, 5*ms, shed)}, open, 0},
		{"refused: 8 calls in a row", []step{calls(20), see(7, 5*ms, shed)}, 1, 0},
		{"refused: not by retries", []step{calls(20), later(5*ms, 30, 5*ms, shed)}, open, 0},
		{"refused: the window is halved per epoch without a success", []step{calls(20), hold(40), see(7, 5*ms, shed), wait(T/4 - 6*ms), see(1, 0, shed), repeat(2, wait(T/4-5*ms), see(1, 0, shed))}, 5, 0},
		{"refused: once per epoch", []step{calls(20), hold(40), see(7, 5*ms, shed), wait(T/4 - 6*ms), see(9, 0, shed)}, 10, 0},
		{"refused: not where successes come", []step{calls(20), hold(40), see(7, 5*ms, shed), hour, see(1, 400*ms, success), hold(60), wait(T / 4), see(1, 0, shed), see(6, T, shed)}, 0.75 * (20 + 1./20), 0},
		{"refused: nor where one came just then", []step{calls(20), hold(40), see(7, 5*ms, shed), hour, each(0, 1, 400*ms, success), hold(60), wait(T / 4), see(1, 0, shed), see(6, T, shed)}, 0.75 * (20 + 1./20), 0},
		{"refused: a tenth of the responses", []step{sheds}, 20, 0},
		{"refused: not if nothing else comes", []step{calls(35), hold(20), wait(T), later(5*ms, 99, 5*ms, shed)}, open, 0},
		{"refused: not one of sixteen", []step{calls(35), hold(20), repeat(30, see(15, 5*ms, success), see(1, 5*ms, shed))}, open, 0},
		{"refused: not two in an epoch", []step{calls(35), hold(20), repeat(30, each(60*ms, 2, 5*ms, success), each(6*ms, 1, 5*ms, shed))}, open, 0},
		{"refused: three in an epoch", []step{calls(35), hold(20), wait(T), see(1, 0, failed), later(5*ms, 3, 0, shed), wait(T / 4), see(1, 0, failed)}, 20, 0},
		{"refused: not two, however few the others are", []step{calls(35), hold(20), wait(T), see(1, 0, failed), later(5*ms, 2, 0, shed), wait(T / 4), see(1, 0, failed)}, open, 0},
		{"refused: three, and eight others", []step{calls(35), hold(20), wait(T), see(1, 0, failed), later(5*ms, 3, 0, shed), see(8, 5*ms, success), wait(T / 4), see(1, 0, failed)}, 20, 0},
		{"refused: not three, and nine others", []step{calls(35), hold(20), wait(T), see(1, 0, failed), later(5*ms, 3, 0, shed), see(9, 5*ms, success), wait(T / 4), see(1, 0, failed)}, open, 0},
		{"refused: not with one in flight", []step{calls(35), hold(1), wait(T), see(1, 0, failed), later(5*ms, 9, 0, shed), wait(T / 4), see(1, 0, failed)}, open, 0},
		{"refused: with two", []step{calls(35), hold(2), wait(T), see(1, 0, failed), later(5*ms, 9, 0, shed), wait(T / 4), see(1, 0, failed)}, 2, 0},
		{"refused: a quarter less", []step{sheds, hold(50), see(1, 5*ms, shed)}, 15, 0},
		{"refused: a quarter less than what was in flight, if that is less", []step{sheds, hold(15), see(1, 5*ms, shed)}, 12, 0},
		{"refused: not by what was sent before", []step{sheds, hold(50), see(1, 5*ms, shed), see(1, 5*ms+1, shed)}, 15, 0},
		{"refused: but by what was sent since", []step{sheds, hold(50), see(1, 5*ms, shed), see(1, 5*ms, shed)}, 11.25, 0},
		{"refused: no less than one", []step{calls(35), hold(2), each(30*ms, 12, 400*ms, success), wait(T), see(1, 0, failed), later(5*ms, 8, 5*ms, shed), wait(T / 4), see(1, 0, failed), hold(0), see(1, 5*ms, shed)}, 1, 0},
		{"refused: less than half of what was in flight another time", []step{sheds, hour, opens, limit(4), hour, hold(1), see(1, 5*ms, shed)}, 1.5, 0},
		{"refused: no less than half of what was in flight", []step{sheds, hold(2), see(1, 5*ms, shed)}, 10, 0},
		{"refused: nor more than the window that timeouts left", []step{sheds, hour, wait(T + 1), late(1), wait(T / 4), late(1), hold(2), see(1, 5*ms, shed)}, 5, 0},
		{"refused: down to one if timeouts engaged", []step{limited(9), hold(3), see(1, 5*ms, shed), hold(0), see(1, 5*ms, shed)}, 1, 0},
		{"refused: no window of one is made less", []step{limited(1), hold(0), see(1, 5*ms, shed)}, 1, 0},
		{"refused: no more than a little for a success soon after", []step{sheds, hour, see(1, 20*ms, success)}, 20 + 0.25/20, 0},
		{"refused: until a limit has passed", []step{sheds, hour, wait(T - 5*ms), see(1, 20*ms, success)}, 20 + 0.25/20, 0},
		{"refused: one for a success after that", []step{sheds, hour, wait(T), see(1, 20*ms, success)}, 21, 0},
		{"refused: one for a success, if timeouts engaged since", []step{sheds, all(wait(T), see(1, 20*ms, success)), limited(4), hour, see(1, 20*ms, success)}, 5, 0},
		{"shedding: slow, and nothing is refused", []step{sheds, hour, wait(2 * T), see(1, 700*ms, success)}, 21, 0},
		{"shedding: also after calls in a row", []step{row, hour, wait(2 * T), see(1, 700*ms, success)}, 21, 0},
		{"shedding: not soon after a refusal", []step{sheds, hour, wait(T - 5*ms), see(1, 700*ms, success)}, 20 + 0.25/20, 0},
		{"shedding: not with a short queue", []step{sheds, hour, wait(2 * T), see(1, 500*ms, success)}, 20 + 1./20, 0},
		{"shedding: nor with one of just half of the room", []step{calls(35), hold(2), wait(T), see(1, 0, failed), later(5*ms, 9, 0, shed), wait(T / 4), see(1, 0, failed), hour, wait(2 * T), see(1, 600*ms, success), see(1, 800*ms, success)}, 3 + 1./3, 0},
		{"shedding: not once something timed out", []step{sheds, hour, wait(T + 1), late(1), wait(T), see(1, 700*ms, success)}, 10 + 0.25/10, 0},
		{"shedding: unless it was sent before", []step{row, wait(T / 2), late(1), hour, wait(2 * T), see(1, 700*ms, success)}, 11, 0},
		{"shedding: or just then", []step{row, wait(T), late(1), hour, wait(2 * T), see(1, 700*ms, success)}, 11, 0},
		{"shedding: not if timeouts engaged since", []step{sheds, all(wait(T), see(1, 20*ms, success)), limited(4), hour, see(1, 600*ms, success)}, 4.0625, 0},
		{"trial: as many are refused with half as many", []step{sheds, trial(12, 400*ms)}, 20, 0},
		{"trial: or half as many", []step{sheds, trial(5, 400*ms)}, 20, 0},
		{"trial: or hardly more than two fifths as many", []step{all(calls(35), hold(20), each(30*ms, 12, 400*ms, success), wait(T), see(1, 0, failed), later(5*ms, 10, 5*ms, shed), wait(T/4), see(1, 0, failed)), trial(5, 400*ms)}, 20, 0},
		{"trial: or all but one", []step{sheds, halve, each(T, 1, 400*ms, success), later(T, 24, 5*ms, shed)}, 20, 0},
		{"trial: not if a few are", []step{sheds, trial(4, 400*ms)}, 1, 0},
		{"trial: the next begins anew", []step{sheds, trial(4, 400*ms), later(T, 3, 5*ms, shed)}, 1, 0},
		{"trial: nor if the others are faster", []step{sheds, trial(12, 290*ms)}, 1, 0},
		{"trial: but not by a quarter", []step{sheds, trial(12, 310*ms)}, 20, 0},

		{"trial: nor faster if they were not slow", []step{calm(35, 60*ms), shedding(290 * ms), trial(12, 200*ms)}, 20, 0},
		{"trial: not by 24 responses", []step{sheds, halve, repeat(12, each(T, 1, 400*ms, success), each(T, 1, 5*ms, shed))}, 10, 0},
		{"trial: by 25", []step{sheds, halve, repeat(12, each(T, 1, 400*ms, success), each(T, 1, 5*ms, shed)), see(1, 5*ms, shed)}, 20, 0},
		{"trial: not by what was sent before", []step{sheds, halve, later(ms/10, 50, 6*ms, shed)}, 10, 0},
		{"trial: by what was sent just then", []step{sheds, halve, later(5*ms, 25, 5*ms, shed)}, 2.25, 0},
		{"trial: not by 24 of those", []step{sheds, halve, later(5*ms, 24, 5*ms, shed)}, 10, 0},
		{"trial: none if timeouts engaged", []step{limited(1), hour, repeat(15, each(T, 1, 400*ms, success), each(T, 2, 5*ms, shed))}, 1, 0},
		{"trial: by what came with one more than half", []step{sheds, halve, wait(T), see(2, 20*ms, success), hold(2), see(1, 5*ms, shed), later(5*ms, 23, 5*ms, shed)}, 2.25, 0},
		{"trial: not by what came with one more than half and one in flight", []step{sheds, hour, hold(50), see(1, 5*ms, shed), hold(14), see(1, 5*ms, shed), each(T, 1, 400*ms, success), hold(2), see(1, 5*ms, shed), repeat(12, each(T, 1, 400*ms, success), each(T, 1, 5*ms, shed))}, 10, 0},
		{"trial: not with more in flight", []step{sheds, hold(50), see(1, 5*ms, shed), hold(14), see(1, 5*ms, shed), later(ms/10, 50, 6*ms, shed)}, 11.25, 0},
		{"trial: nor by successes", []step{sheds, hour, hold(50), see(1, 5*ms, shed), each(30*ms, 30, 400*ms, success), hold(2), see(3, 5*ms, shed)}, 10, 0},
		{"trial: then as many refusals change nothing", []step{pardoned, see(40, 5*ms, failed), see(1, 5*ms, shed)}, 20, 0},
		{"trial: nor do some more", []step{pardoned, later(5*ms, 9, 5*ms, shed)}, 20, 0},
		{"trial: a quarter more of all do", []step{pardoned, hold(0), ask(19), repeat(10, ask(1), retry, wait(5*ms), answer(1, shed))}, 15, 29},
		{"trial: not within half a minute", []step{pardoned, wait(30*T - 5*ms - 1), see(1, 5*ms, shed)}, 20, 0},
		{"trial: then they do", []step{pardoned, hold(0), ask(20), wait(30*T - 5*ms), see(1, 5*ms, shed)}, 15, 20},
		{"trial: down to what is in flight", []step{pardoned, hold(0), wait(30 * T), ask(3), wait(5 * ms), answer(1, shed)}, 2.25, 3},
		{"trial: nor engage", []step{pardoned, opens, repeat(40, mixed, see(1, 5*ms, shed))}, open, 0},
		{"trial: for half a minute", []step{pardoned, opens, wait(28 * T), repeat(4, mixed, see(1, 5*ms, shed))}, open, 0},
		{"trial: but not for ever", []step{pardoned, opens, wait(30 * T), engaging(mixed, see(1, 5*ms, shed))}, 20, 0},
		{"trial: many more do", []step{pardoned, opens, later(5*ms, 30, 5*ms, shed), see(1, 0, failed), later(5*ms, 3, 5*ms, shed), wait(T / 4), see(1, 0, failed)}, 20, 0},
		{"pause: none after a refusal with a window of one", []step{limited(1), see(1, 5*ms, shed), wait(19 * ms), ask(3)}, 1, 0},
		{"pause: for what is usual", []step{limited(1), see(1, 5*ms, shed), wait(21 * ms), ask(3)}, 1, 1},
		{"pause: also where a probe is due", []step{shut, see(1, 5*ms, shed), wait(19 * ms), ask(3)}, 0.5, 0},
		{"pause: twice as long after the next", []step{limited(1), see(2, 5*ms, shed), wait(38 * ms), ask(3)}, 1, 0},
		{"pause: no more than twice as long", []step{limited(1), see(2, 5*ms, shed), wait(42 * ms), ask(3)}, 1, 1},
		{"pause: up to an epoch", []step{limited(1), see(6, 5*ms, shed), wait(250*ms - 1), ask(3)}, 1, 0},
		{"pause: no more than an epoch", []step{limited(1), see(6, 5*ms, shed), wait(250 * ms), ask(3)}, 1, 1},
		{"pause: by chance a quarter less", []step{limited(1), chance(0), see(1, 5*ms, shed), wait(14 * ms), ask(3)}, 1, 0},
		{"pause: by chance no more than that", []step{limited(1), chance(0), see(1, 5*ms, shed), wait(16 * ms), ask(3)}, 1, 1},
		{"pause: a success takes a quarter", []step{limited(1), hour, see(4, 5*ms, shed), see(1, 20*ms, success), see(1, 5*ms, shed), wait(230 * ms), ask(3)}, 1, 0},
		{"pause: no less than a quarter", []step{limited(1), hour, see(4, 5*ms, shed), see(1, 20*ms, success), see(1, 5*ms, shed), wait(250 * ms), ask(3)}, 1, 1},
		{"pause: until it is over", []step{limited(1), hour, see(2, 5*ms, shed), see(3, 20*ms, success), see(1, 5*ms, shed), wait(19 * ms), ask(3)}, 1, 0},
		{"pause: and then it begins anew", []step{limited(1), hour, see(2, 5*ms, shed), see(3, 20*ms, success), see(1, 5*ms, shed), wait(21 * ms), ask(3)}, 1, 1},
		{"pause: not with more room", []step{limited(4), hold(1), see(1, 5*ms, shed), hold(0), ask(3)}, 1.5, 1},
		{"pause: the window waits for the end of it", []step{limited(1), hour, see(2, 5*ms, shed), see(1, 20*ms, success)}, 1, 0},
		{"pause: but not while shut", []step{shut, hour, see(2, 5*ms, shed), wait(T), see(1, 20*ms, success)}, 1.5, 0},
		{"pause: also where calls are refused in a row", []step{calls(20), see(7, 5*ms, shed), wait(19 * ms), ask(3)}, 1, 0},
		{"pause: as long as any other there", []step{calls(20), see(7, 5*ms, shed), wait(21 * ms), ask(3)}, 1, 1},
		{"pause: an open limiter has none", []step{calls(20), see(6, 5*ms, shed), ask(3)}, open, 3},
		{"pause: nor one that is open again", []step{row, hold(0), see(1, 20*ms, success), ask(3)}, open, 3},
		{"refused: a success ends the row", []step{calls(20), repeat(9, see(6, 5*ms, shed), see(10, 5*ms, success))}, open, 0},
	} {
		w := newWorld()
		w.do(tt.steps...)
		if got := w.Window(); math.Abs(got-tt.window) > 1e-9 && got != tt.window || w.admitted != tt.admitted {
			t.Errorf("%s: window %v and %d admitted, want %v and %d", tt.rule, got, w.admitted, tt.window, tt.admitted)
		}
		if got := w.Engaged(); got != (tt.window != open) || got != (w.Free() == -1) {
			t.Errorf("%s: engaged %v, free %d with a window of %v", tt.rule, got, w.Free(), w.Window())
		}
	}
}

// late lets n first attempts time out at once.
func late(n int) step {
	return func(w *world) {
		for range n {
			w.ends(T, timeout, true)
		}
	}
}

// old is late for attempts sent long ago, but not overtaken.
func old(n int) step { return late(n) }

// The time between probes follows the rate of calls. The first three come sooner.
func TestProbes(t *testing.T) {
	for _, tt := range []struct {
		rule string
		rate float64
		gaps []time.Duration
	}{
		{"of who calls often", 100, []time.Duration{500 * ms, 500 * ms, 500 * ms, 500 * ms, 500 * ms}},
		{"after 20 calls", 16, []time.Duration{500 * ms, 500 * ms, 500 * ms, 1250 * ms, 1250 * ms}},
		{"after 2 seconds, if that is sooner", 4, []time.Duration{500 * ms, 500 * ms, T, 2 * T, 2 * T}},
		{"after 4 calls, if that is later", 1, []time.Duration{T, 2 * T, 4 * T, 4 * T, 4 * T}},
		{"after 16 seconds at most", 0.2, []time.Duration{5 * T, 10 * T, 16 * T, 16 * T}},
	} {
		w := newWorld()
		w.do(calls(tt.rate), limit(1), wait(T/4), later(0, 1, T, timeout))
		for i, want := range tt.gaps {
			if w.do(ask(1)); w.admitted != i+1 {
				t.Errorf("%s: %d admitted, want %d", tt.rule, w.admitted, i+1)
			}
			got := w.Wake(w.now, w.scale) - w.now
			if (got - want).Abs() > want/20 {
				t.Errorf("%s: probe %d is due after %v, want %v", tt.rule, i+2, got, want)
			}
			w.do(wait(got))
		}
	}
}
