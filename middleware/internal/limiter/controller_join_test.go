package limiter

import (
	"math"
	"testing"
	"time"
)

// How many requests found no room, and how many of them were retries.
func TestRetriesAreCounted(t *testing.T) {
	r := &room{Controller: New(Config{Limit: 1, Queue: true, MaxWait: time.Second, MaxPatience: 5 * time.Second})}
	r.slot, _, _ = r.Enter()
	r.stand()
	w := &r.adaptive.window
	*w = window{}
	r.join(300*time.Millisecond, Request{})
	r.join(300*time.Millisecond, Request{Retry: true, Returns: true})
	r.join(300*time.Millisecond, Request{Retry: true}) // it is refused
	if w.joined != 3 || w.again != 2 {
		t.Errorf("got %d, %d of them retries, want 3 and 2", w.joined, w.again)
	}
	sum := window{joined: 10, again: 4, retries: 1}
	w.retries = 2
	if sum.merge(w); sum.joined != 13 || sum.again != 6 || sum.retries != 3 {
		t.Errorf("with others, got %d, %d of them retries, and %d retries that have left, want 13, 6 and 3", sum.joined, sum.again, sum.retries)
	}
}

// How many requests are counted as refused for want of room, and what that says. There is
// one slot, and a request has it.
func TestRefusalsAreCounted(t *testing.T) {
	ms := time.Millisecond
	full := func(r *room) {
		for range leastQueue {
			r.join(0, Request{Priority: 1})
		}
	}
	for _, tt := range []struct {
		name string
		do   func(r *room)
		want int
		now  time.Duration // of the last one, since the start
	}{
		{"none, as it waits", func(r *room) { r.join(0, Request{}) }, 0, 0},
		{"none, as it was admitted", func(r *room) { r.leave(); r.join(ms, Request{}) }, 0, 0},
		{"one without a queue", func(r *room) { r.Refuse(start + ms) }, 1, ms},
		{"one whose client does not wait for the work", func(r *room) { r.join(ms, Request{Patience: work, HasPatience: true}) }, 1, ms},
		{"a retry, as the queue stands", func(r *room) { r.stand(); r.join(300*ms, Request{Retry: true}) }, 1, 300 * ms},
		{"one that others serve, as the queue stands", func(r *room) {
			r.stand()
			r.returns.told, r.returns.looked = 10, start+300*ms
			r.join(300*ms, Request{Returns: true})
		}, 1, 300 * ms},
		{"one, as the queue is full", func(r *room) { full(r); r.join(ms, Request{Priority: 1}) }, 1, ms},
		{"one that makes room for another", func(r *room) { full(r); r.join(ms, Request{Priority: 2}) }, 1, ms},
		{"one whose patience is over", func(r *room) { r.join(0, Request{}); r.Abandon(r.waiters[0], start+200*ms, ReasonNone) }, 1, 200 * ms},
		{"none, as its client left", func(r *room) { r.join(0, Request{}); r.Abandon(r.waiters[0], start+200*ms, ReasonGone) }, 0, 0},
		{"two that waited too long when another comes", func(r *room) {
			r.join(0, Request{})
			r.join(ms, Request{})
			r.join(250*ms, Request{})
		}, 2, 250 * ms},
		{"one that waited too long when a slot becomes free", func(r *room) { r.join(0, Request{}); r.leave(); r.Dispatch(start + 201*ms) }, 1, 201 * ms},
	} {
		r := &room{Controller: New(Config{Limit: 1, Queue: true, MaxWait: time.Second, MaxPatience: 5 * time.Second, Priorities: 3})}
		r.adaptive.baseline, r.adaptive.work, r.adaptive.windows = float64(work), 50, young+1
		r.publish()
		r.slot, _, _ = r.Enter()
		r.every.Store(8)
		tt.do(r)
		if got := r.adaptive.window.shed; got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
		var at time.Duration
		every := int32(8)
		if tt.want > 0 { // from then on each request is measured
			at, every = start+tt.now, 1
		}
		if got := time.Duration(r.lately.Load()); got != at || r.every.Load() != every {
			t.Errorf("%s: last refused at %v, one in %d is measured, want %v and %d", tt.name, got, r.every.Load(), at, every)
		}
		if n := r.State().Waiting; n != r.queue.all.length {
			t.Errorf("%s: %d are said to wait, want %d", tt.name, n, r.queue.all.length)
		}
	}
}

// What a limit that is found does to those who wait for it: it is 2 at first, and two
// requests hold slots.
func TestJoinALimitThatIsFound(t *testing.T) {
	ms := time.Millisecond
	learnt := func(r *room) { // what the route of reads takes: it is asked for 100 times a second
		for range 50 {
			for range 10 {
				r.adaptive.routes.add("/reads", 10*ms)
			}
			r.adaptive.routes.close(.1, true)
		}
		r.adaptive.last = start
	}
	for _, tt := range []struct {
		name     string
		most     int // the maximum; 0: 100
		do       func(r *room)
		want     string
		inFlight int // at the end, with or without a slot
		limit    int
	}{
		{"nothing was ever answered: the limit doubles, and it enters", 0, func(r *room) { r.join(0, Request{}) }, "[admitted]", 3, 4},
		{"that, and again for each that comes", 0, func(r *room) { r.join(0, Request{}); r.join(ms, Request{}) }, "[admitted admitted]", 4, 8},
		{"that, and no higher limit is allowed: it waits", 2, func(r *room) { r.join(0, Request{}) }, "[waits]", 2, 2},
		{"that, and one that waits: both enter", 0, func(r *room) {
			r.adaptive.last = start
			r.join(0, Request{})
			r.adaptive.last = 0
			r.join(ms, Request{})
		}, "[admitted admitted]", 4, 4},
		{"one was overtaken by three times as many: another has its slot", 0, func(r *room) {
			r.adaptive.last = start
			r.leave()
			for range 7 { // beside the one that hangs
				s, _, _ := r.Enter()
				r.slots.age(2, 0)
				r.Leave(s)
			}
			r.Enter()
			r.join(0, Request{})
		}, "[admitted]", 3, 2},
		{"answers have just come: it waits", 0, func(r *room) { r.adaptive.last = start; r.join(0, Request{}) }, "[waits]", 2, 2},
		{"that, and its route is as quick as ever: it enters without a slot", 0, func(r *room) {
			learnt(r)
			if got := r.join(0, Request{Route: "/reads", Caller: 9}); got != "waits 0s" || r.queue.fair.callers[9].inFlight != 1 {
				r.waiters = nil
			}
		}, "[admitted]", 3, 2},
		{"that, and others wait: it goes before them", 0, func(r *room) {
			learnt(r)
			r.join(0, Request{})
			r.join(ms, Request{Route: "/reads"})
		}, "[waits admitted]", 3, 2},
		{"that, and it has left", 0, func(r *room) {
			learnt(r)
			r.join(0, Request{Route: "/reads"})
			d := <-r.waiters[0].Done()
			if d.Slot.Beyond == 0 || d.Slot.Weight != 1 || d.At != start {
				r.waiters[0].done <- Decision{Reason: "it is not measured"}
				return
			}
			if n, waits := r.Leave(d.Slot); n != 3 || waits {
				r.waiters[0].done <- Decision{Reason: "three were not in the handler"}
				return
			}
			r.waiters[0].done <- d
		}, "[admitted]", 2, 2},
		{"that, and no more may be in the handler: it waits", 2, func(r *room) { learnt(r); r.join(0, Request{Route: "/reads"}) }, "[waits]", 2, 2},
		{"that, as far as memory is short", 0, func(r *room) { learnt(r); r.queue.memory = true; r.join(0, Request{Route: "/reads"}) }, "[waits]", 2, 2},
		{"a slot is free, but another waits for it: it waits, too", 0, func(r *room) {
			r.adaptive.last = start
			r.join(0, Request{})
			r.leave()
			r.join(ms, Request{})
		}, "[waits waits]", 1, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.most == 0 {
				tt.most = 100
			}
			r := &room{Controller: New(Config{Min: 2, Max: tt.most, Queue: true, Fair: true, MaxWait: time.Second, MaxPatience: 5 * time.Second})}
			r.adaptive.limit = 2
			r.publish()
			r.slot, _, _ = r.Enter()
			r.Enter()
			tt.do(r)
			if got := r.settled(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if s := r.State(); s.InFlight != tt.inFlight || s.Limit != tt.limit || s.Waiting != r.queue.all.length {
				t.Errorf("got %+v, want %d in the handler and a limit of %d", s, tt.inFlight, tt.limit)
			}
		})
	}
}

// What requests say and do teaches how long clients wait.
func TestJoinTeachesPatience(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(r *room)
		want time.Duration // 0: nothing is known
	}{
		{"one that says nothing", func(r *room) { r.join(0, Request{Patience: time.Hour}) }, 0},
		{"one that says it", func(r *room) { r.join(0, Request{Patience: time.Second, HasPatience: true}) }, time.Second},
		{"one that leaves", func(r *room) {
			r.join(0, Request{})
			r.Abandon(r.waiters[0], start+150*time.Millisecond, ReasonGone)
		}, 150 * time.Millisecond},
		{"one that is refused, as its patience is over", func(r *room) {
			r.join(0, Request{})
			r.Abandon(r.waiters[0], start+150*time.Millisecond, ReasonNone)
		}, 0},
	} {
		r := &room{Controller: New(Config{Limit: 1, Queue: true, MaxWait: time.Second, MaxPatience: 5 * time.Second})}
		r.Enter()
		tt.do(r)
		if got := r.adaptive.patience.known(); math.Abs(got-tt.want.Seconds()) > 1e-9 {
			t.Errorf("%s: got %v s, want %v", tt.name, got, tt.want)
		}
	}
}
