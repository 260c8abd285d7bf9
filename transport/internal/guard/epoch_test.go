package guard_test

import (
	"cmp"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/transport/internal/guard"
)

// A queue that outgrows T engages before anything times out. Each row has the fastest
// success of epochs in milliseconds, with T = 1 s. By default 5 successes, 60 ms
// apart, make an epoch of 300 ms. Those of its second half, which is what comes T/8 or
// more after its start, take T/40 longer than the fastest.
func TestGrowingQueue(t *testing.T) {
	for _, tt := range []struct {
		rule      string
		fastest   []time.Duration
		n         int           // successes in an epoch
		gap       time.Duration // between them
		overtaken int           // of them
		by        time.Duration // how much later the one was sent that overtook them
		inFlight  []int         // at the end of each epoch
		longer    time.Duration // by how much the second half is slower than the fastest, if not T/40
		half      time.Duration // when that begins, if not after T/8
		engages   bool
	}{
		{rule: "two epochs in a row", fastest: []time.Duration{600, 600, 690, 780, 780}, engages: true},
		{rule: "one is not enough", fastest: []time.Duration{800, 800, 890, 890, 890}},
		{rule: "nor are two with another between", fastest: []time.Duration{700, 700, 790, 795, 885, 885}},
		{rule: "not at the end of the second, with no response yet", fastest: []time.Duration{600, 600, 690, 780}},
		{rule: "by a twentieth of T each", fastest: []time.Duration{800, 800, 850, 900, 900}, engages: true},
		{rule: "the second is not by less", fastest: []time.Duration{800, 800, 850, 899, 899}},
		{rule: "nor the first", fastest: []time.Duration{800, 800, 849, 900, 900}},
		{rule: "what is sent now takes more than T", fastest: []time.Duration{574, 574, 654, 734, 734}, engages: true},
		{rule: "what is sent now takes less", fastest: []time.Duration{573, 573, 653, 733, 733}},
		{rule: "what is sent now takes T", fastest: []time.Duration{600, 600, 675, 750, 750}},
		{rule: "what was answered took less than T", fastest: []time.Duration{839, 839, 919, 999, 999}, engages: true},
		{rule: "not what took as long as T", fastest: []time.Duration{840, 840, 920, 1000, 1000}},
		{rule: "it becomes faster", fastest: []time.Duration{900, 800, 700, 600, 500}},
		{rule: "five successes in T are enough", fastest: []time.Duration{500, 500, 700, 900, 900}, gap: 245 * ms, engages: true},
		{rule: "four are not", fastest: []time.Duration{500, 500, 700, 900, 900}, n: 4, gap: 260 * ms},
		{rule: "one of eight was overtaken", fastest: []time.Duration{600, 600, 690, 780, 780}, n: 8, gap: 35 * ms, overtaken: 1, by: 200 * ms, engages: true},
		{rule: "not if two were", fastest: []time.Duration{600, 600, 690, 780, 780}, n: 8, gap: 35 * ms, overtaken: 2, by: 200 * ms},
		{rule: "nor if one of seven was", fastest: []time.Duration{600, 600, 690, 780, 780}, n: 7, gap: 40 * ms, overtaken: 1, by: 200 * ms},
		{rule: "by a little, as many workers do", fastest: []time.Duration{600, 600, 690, 780, 780}, overtaken: 1, by: T / 16, engages: true},
		{rule: "not by more", fastest: []time.Duration{600, 600, 690, 780, 780}, overtaken: 1, by: T/16 + 1},
		{rule: "no fewer are in flight, or hardly", fastest: []time.Duration{600, 600, 690, 780, 780}, inFlight: []int{64, 64, 56, 49, 49}, engages: true},
		{rule: "not if fewer are, as after a burst", fastest: []time.Duration{600, 600, 690, 780, 780}, inFlight: []int{64, 64, 56, 48, 48}},
		{rule: "nor in the first", fastest: []time.Duration{600, 600, 690, 780, 780}, inFlight: []int{64, 64, 55, 55, 55}},
		{rule: "not if the second half of an epoch took as long", fastest: []time.Duration{600, 600, 690, 780, 780}, longer: 2 * ms},
		{rule: "nor if it took hardly longer", fastest: []time.Duration{600, 600, 690, 780, 780}, longer: T/40 - 1},
		{rule: "the first half may have been as fast to the end", fastest: []time.Duration{600, 600, 690, 780, 780}, gap: T/16 - 1, engages: true},
		{rule: "but what comes after T/8 may not", fastest: []time.Duration{600, 600, 690, 780, 780}, gap: T / 16, half: T/8 + 1},
	} {
		n, gap, longer, half := cmp.Or(tt.n, 5), cmp.Or(tt.gap, 60*ms), cmp.Or(tt.longer, T/40), cmp.Or(tt.half, T/8)
		w := newWorld()
		w.do(calls(40), wait(T))
		for i, d := range tt.fastest {
			d *= ms
			fastest := i % 2 // the first of an epoch, or the second
			if gap >= half {
				fastest = 0
			}
			for j := range n {
				if j == 1 && i > 0 && tt.inFlight != nil { // the first has ended the epoch before
					w.do(hold(tt.inFlight[i]))
				}
				took := d + 2*ms
				switch {
				case j == fastest:
					took = d
				case time.Duration(j)*gap >= half:
					took = d + longer
				}
				if late := j - (n - tt.overtaken) + 1; late > 0 {
					took += time.Duration(late)*gap + tt.by
				}
				w.do(each(gap, 1, took, success))
			}
		}
		if got := w.Engaged(); got != tt.engages {
			t.Errorf("%s: engaged %v, want %v", tt.rule, got, tt.engages)
		}
	}
}

// Only epochs in a row count, the first of all is not slower than any, and each ends
// after T/4.
func TestEpochsOfAGrowingQueue(t *testing.T) {
	at := func(d time.Duration) step { return all(each(60*ms, 3, d, success), each(60*ms, 2, d+T/40, success)) }
	early := func(d time.Duration) step { return all(each(140*ms, 1, d, success), each(30*ms, 4, d, success)) }
	fifth := func(d time.Duration) step {
		return all(each(60*ms, 3, d, success), each(60*ms, 1, d+T/40, success), each(60*ms, 1, d, success))
	}
	few := all(each(335*ms, 1, 740*ms, success), each(335*ms, 1, 790*ms, success), each(335*ms, 1, 840*ms, success), each(335*ms, 1, 880*ms, success))
	for _, tt := range []struct {
		rule    string
		steps   step
		engages bool
	}{
		{"not with one between that tells too little", all(at(600*ms), at(600*ms), at(690*ms), few, at(890*ms), at(890*ms)), false},
		{"not with one between that had four in T, and a fifth just then", all(at(600*ms), at(600*ms), at(690*ms), each(210*ms, 1, 900*ms, success), each(60*ms, 3, 925*ms, success), each(820*ms, 1, 925*ms, success), each(60*ms, 1, 900*ms, success)), false},
		{"with one that had five in T", all(at(600*ms), at(600*ms), at(690*ms), each(210*ms, 1, 900*ms, success), each(60*ms, 3, 925*ms, success), each(819*ms, 1, 925*ms, success), each(60*ms, 1, 900*ms, success)), true},
		{"not the first and another", all(at(600*ms), at(690*ms), at(690*ms)), false},
		{"not the first and another, however much slower that is", all(at(640*ms), at(740*ms), at(740*ms)), false},
		{"the first and two", all(at(600*ms), at(690*ms), at(780*ms), at(780*ms)), true},
		{"not if nothing came in their second half", all(early(600*ms), early(600*ms), early(690*ms), early(780*ms), early(780*ms)), false},
		{"nor if one of it was as fast", all(fifth(600*ms), fifth(600*ms), fifth(690*ms), fifth(780*ms), fifth(780*ms)), false},
		{"a step, after the last few that were sent before it, is no queue", all(at(40*ms), each(60*ms, 5, 110*ms, success), each(700*ms, 1, 800*ms, success), each(30*ms, 20, 810*ms, success)), false},
	} {
		w := newWorld()
		w.do(tt.steps)
		if got := w.Engaged(); got != tt.engages {
			t.Errorf("%s: engaged %v, want %v", tt.rule, got, tt.engages)
		}
	}
}

// Error responses, as fast as they may be, are no part of a queue.
func TestErrorsInAGrowingQueue(t *testing.T) {
	w := newWorld()
	w.do(calls(40), wait(T))
	for _, d := range []time.Duration{600, 600, 690, 780, 780} {
		w.do(each(30*ms, 1, ms, failed), each(30*ms, 1, d*ms, success))
		w.do(repeat(4, each(30*ms, 1, ms, failed), each(30*ms, 1, d*ms+T/40, success)))
	}
	if !w.Engaged() {
		t.Errorf("engaged false, want true")
	}
}

// Queues and clocks of other services do not matter: each has its own scale.
func TestGrowingQueueByScale(t *testing.T) {
	for _, tt := range []struct {
		scale   time.Duration
		engages bool
	}{{T, true}, {2 * T, false}, {T / 2, false}} {
		w := newWorld()
		w.do(calls(40), scale(guard.Scale{T: tt.scale}), wait(T))
		for _, d := range []time.Duration{600, 600, 690, 780, 780} {
			w.do(each(60*ms, 1, d*ms, success), each(60*ms, 4, d*ms+T/40, success))
		}
		if got := w.Engaged(); got != tt.engages {
			t.Errorf("T of %v: engaged %v, want %v", tt.scale, got, tt.engages)
		}
	}
}
