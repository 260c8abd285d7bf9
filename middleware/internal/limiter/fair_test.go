package limiter_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/internal/limiter"
)

// fairRoom is a Controller that shares its slots between callers, and the requests in
// its handler and queue. A request is named by its caller, a lower-case letter.
type fairRoom struct {
	*limiter.Controller
	now     time.Duration
	queue   []*fairRequest
	serving []*fairRequest
	order   strings.Builder // callers in the order they were served
	refused strings.Builder // callers in the order they were refused
}

type fairRequest struct {
	*limiter.Waiter
	caller byte
	since  time.Duration
	slot   limiter.Slot
}

func newFairRoom(limit, priorities int) *fairRoom {
	return &fairRoom{now: time.Second, Controller: limiter.New(limiter.Config{
		Limit: limit, Queue: true, Fair: true, Priorities: priorities, MaxWait: time.Minute, MaxPatience: time.Minute,
	})}
}

func (f *fairRoom) join(caller byte, priority int) {
	w, _, reason := f.Join(f.now, limiter.Request{
		Caller: uint64(caller), Priority: priority, Patience: time.Minute, HasPatience: true,
	})
	if reason != limiter.ReasonNone {
		f.refused.WriteByte(caller)
		return
	}
	f.queue = append(f.queue, &fairRequest{Waiter: w, caller: caller, since: f.now})
	if len(w.Done()) > 0 {
		f.settle()
	}
}

// settle looks what became of the requests in the queue.
func (f *fairRoom) settle() {
	rest := f.queue[:0]
	for _, r := range f.queue {
		select {
		case d := <-r.Done():
			if d.Reason != limiter.ReasonNone {
				f.refused.WriteByte(r.caller)
				continue
			}
			r.since, r.slot = d.At, d.Slot
			f.serving = append(f.serving, r)
			f.order.WriteByte(r.caller)
		default:
			rest = append(rest, r)
		}
	}
	f.queue = rest
}

// finish ends the request that the caller has had in the handler for longest.
func (f *fairRoom) finish(caller byte) {
	for i, r := range f.serving {
		if r.caller == caller {
			f.serving = append(f.serving[:i], f.serving[i+1:]...)
			f.Served(uint64(caller), f.now, f.now-r.since)
			f.Leave(r.slot)
			f.Dispatch(f.now)
			f.settle()
			return
		}
	}
}

// Who is served next, step by step: a letter joins, an upper-case one ends a request of
// its caller, a digit passes so many milliseconds.
func TestFairTurns(t *testing.T) {
	for _, tt := range []struct {
		name  string
		limit int
		steps string
		want  string
	}{
		{"one caller: as they come", 1, "aaa1A1A1A", "aaa"},
		{"who has fewer slots goes first", 2, "aaaab1A1B", "aaba"},
		{"who has used less goes first", 1, "aaabb9A9B9A9B", "ababa"},
		{"by time, not by number", 1, "aaabbb9A1B1B1B1A", "abbbaa"},
		{"a new caller goes before all", 1, "aaa5Abb5A5Bcc1B1C", "aabbcc"},
		{"three share", 3, "aaaaaaabbbcc1A1A1A", "aaabca"},
		{"a slow caller takes no more than its share", 2, "sss1fff5S5F5F5F", "ssfffs"},
		{"nobody else: a caller has all", 4, "aaaaaa1A1A", "aaaaaa"},
		{"use fades", 1, "a9ALb1Bcba1C", "abca"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFairRoom(tt.limit, 0)
			for _, step := range []byte(tt.steps) {
				switch {
				case step == 'L':
					f.now += time.Minute
				case step >= 'a':
					f.join(step, 0)
				case step >= 'A':
					f.finish(step + 'a' - 'A')
				default:
					f.now += time.Duration(step-'0') * time.Millisecond
				}
			}
			if got := f.order.String(); got != tt.want {
				t.Errorf("%s: served %s, want %s", tt.steps, got, tt.want)
			}
		})
	}
}

// crowd is a number of requests of one caller.
type crowd struct {
	caller byte
	n      int
}

// A full queue refuses a request of the caller that has the most in it.
func TestFairRefusals(t *testing.T) {
	const full = 8192 // as many as may wait before the throughput is known
	for _, tt := range []struct {
		name     string
		queue    []crowd // requests that wait, in this order
		priority int     // of those
		join     byte
		at       int // with this priority
		want     string
	}{
		{"of the flood", []crowd{{'a', full}}, 1, 'b', 1, "a"},
		{"the flood itself", []crowd{{'a', full - 1}, {'b', 1}}, 1, 'a', 1, "a"},
		{"of the larger flood", []crowd{{'a', full - 2000}, {'b', 2000}}, 1, 'b', 1, "a"},
		{"of the larger flood, which came later", []crowd{{'b', 2000}, {'a', full - 2000}}, 1, 'b', 1, "a"},
		{"of the larger, for a third", []crowd{{'b', 2000}, {'a', full - 2000}}, 1, 'c', 1, "a"},
		{"its own, of equals", []crowd{{'a', full / 2}, {'b', full / 2}}, 1, 'b', 1, "b"},
		{"of lower priority first", []crowd{{'a', full}}, 1, 'a', 2, "a"},
		{"not of higher priority", []crowd{{'a', full}}, 1, 'b', 0, "b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFairRoom(1, 3)
			f.join('z', 1)
			for _, c := range tt.queue {
				for range c.n {
					f.join(c.caller, tt.priority)
				}
			}
			waiting := len(f.queue)
			f.join(tt.join, tt.at)
			f.settle()
			if got := f.refused.String(); got != tt.want || len(f.queue) != waiting {
				t.Errorf("refused %q, %d wait; want %q and %d", got, len(f.queue), tt.want, waiting)
			}
		})
	}
}

// Whatever comes and goes, a free slot goes to a caller that has no more than any other
// who waits, and the limit holds.
func TestFairAlways(t *testing.T) {
	f := newFairRoom(5, 0)
	slots := func(caller byte) (n int) {
		for _, r := range f.serving {
			if r.caller == caller {
				n++
			}
		}
		return n
	}
	for range 20_000 {
		f.now += time.Duration(rand.IntN(5)) * time.Millisecond
		if rand.IntN(2) == 0 && len(f.queue) < 50 {
			f.join(byte('a'+rand.IntN(1+rand.IntN(20))), 0)
			continue
		}
		if len(f.serving) == 0 {
			continue
		}
		before := f.order.Len()
		f.finish(f.serving[rand.IntN(len(f.serving))].caller)
		if f.order.Len() == before {
			continue
		}
		served := f.order.String()[before]
		for _, r := range f.queue {
			if got, other := slots(served)-1, slots(r.caller); got > other {
				t.Fatalf("served %c, which had %d slots, while %c waited with %d", served, got, r.caller, other)
			}
		}
	}
	if f.InFlight() > 5 {
		t.Errorf("%d in flight, want at most 5", f.InFlight())
	}
}
