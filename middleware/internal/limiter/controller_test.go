package limiter

import (
	"fmt"
	"testing"
	"time"
)

// room is a Controller with the state that a rule begins with.
type room struct {
	*Controller
	slot    Slot // of the first request
	waiters []*Waiter
}

const (
	work  = 20 * time.Millisecond // baseline
	start = time.Hour
)

// join is a request that joins the queue, and what Join says.
func (r *room) join(at time.Duration, req Request) string {
	w, patience, reason := r.Join(start+at, req)
	if reason != ReasonNone {
		if w != nil || patience != 0 {
			return fmt.Sprint(reason, " and waits ", patience)
		}
		return string(reason)
	}
	r.waiters = append(r.waiters, w)
	return fmt.Sprint("waits ", patience)
}

// leave gives back the slot of the first request.
func (r *room) leave() (int, bool) { return r.Leave(r.slot) }

// enter says whether a request gets a slot at once.
func (r *room) enter() string { _, _, ok := r.Enter(); return fmt.Sprint(ok) }

// patient is a request whose client says when its call is over, and waits until then.
func patient(due time.Duration) Request {
	return Request{Patience: due, HasPatience: true, Due: start + due}
}

// stand makes the queue stand: its first request has waited for longer than an
// interval while others came.
func (r *room) stand() {
	patient := Request{Patience: time.Minute, HasPatience: true}
	for at := range 3 {
		r.join(time.Duration(at)*100*time.Millisecond, patient)
	}
}

// settled says what became of each request that joined.
func (r *room) settled() string {
	var all []string
	for _, w := range r.waiters {
		select {
		case d := <-w.Done():
			if d.Reason == ReasonNone {
				all = append(all, "admitted")
			} else {
				all = append(all, string(d.Reason))
			}
		default:
			all = append(all, "waits")
		}
	}
	return fmt.Sprint(all)
}

// The rules of admission, a row each. There is one slot, and one request has it.
func TestAdmissionRules(t *testing.T) {
	ms := time.Millisecond
	for _, tt := range []struct {
		name string
		do   func(r *room) string
		want string
	}{
		{"no slot is free", func(r *room) string { return r.enter() }, "false"},
		{"one leaves: so many were in the handler, and nobody waits", func(r *room) string { return fmt.Sprint(r.leave()) }, "1 false"},
		{"one leaves: another waits", func(r *room) string { r.join(0, Request{}); return fmt.Sprint(r.leave()) }, "1 true"},
		{"refused: back when the handler can serve it", func(r *room) string { return fmt.Sprint(r.Reserve(start, Refusal{Spread: time.Second})) }, "40ms true"},
		{"that, while the handler answers nobody", func(r *room) string {
			r.adaptive.last = start
			r.Refuse(start + 251*ms)
			return fmt.Sprint(r.Reserve(start+251*ms, Refusal{Left: time.Second, HasLeft: true}))
		}, "200ms true"},
		{"that, until it is taken to do so", func(r *room) string {
			r.adaptive.last = start
			r.Refuse(start + 250*ms)
			return fmt.Sprint(r.Reserve(start+250*ms, Refusal{Left: time.Second, HasLeft: true}))
		}, "40ms true"},
		{"that, once it answers again", func(r *room) string {
			r.adaptive.last = start
			r.Refuse(start + 251*ms)
			r.adaptive.last = start + 251*ms
			r.Refuse(start + 252*ms)
			return fmt.Sprint(r.Reserve(start+252*ms, Refusal{Left: time.Second, HasLeft: true}))
		}, "40ms true"},
		{"a slot is free", func(r *room) string { r.leave(); return r.enter() }, "true"},
		{"a slot is free, but a request waits for it", func(r *room) string {
			r.join(0, Request{})
			r.leave()
			return r.enter()
		}, "false"},
		{"a slot became free before it joined", func(r *room) string {
			r.leave()
			r.join(0, Request{})
			return r.settled()
		}, "[admitted]"},
		{"its client does not say how long it waits", func(r *room) string { return r.join(0, Request{}) }, "waits 200ms"},
		{"nor does it, and others leave soon", func(r *room) string { r.queue.spare = 60 * ms; return r.join(0, Request{}) }, "waits 60ms"},
		{"nor does it, and others stay for longer than it may wait", func(r *room) string { r.queue.spare = 300 * ms; return r.join(0, Request{}) }, "waits 200ms"},
		{"it says how long it waits, and others leave soon", func(r *room) string { r.queue.spare = 60 * ms; return r.join(0, patient(time.Second)) }, "waits 980ms"},
		{"that, in a standing queue", func(r *room) string { r.stand(); return r.join(300*ms, Request{}) }, "waits 50ms"},
		{"its client waits: less the work", func(r *room) string {
			return r.join(0, Request{Patience: 500 * ms, HasPatience: true})
		}, "waits 480ms"},
		{"its client waits: less what the handler takes now", func(r *room) string {
			r.adaptive.latency, r.adaptive.usual = .05, .05
			return r.join(0, Request{Patience: 500 * ms, HasPatience: true})
		}, "waits 450ms"},
		{"that, if it took longer before the last window, as after a stall", func(r *room) string {
			r.adaptive.latency, r.adaptive.usual = .4, .03
			return r.join(0, Request{Patience: 500 * ms, HasPatience: true})
		}, "waits 470ms"},
		{"that, if it took longer in the last window only", func(r *room) string {
			r.adaptive.latency, r.adaptive.usual = .03, .4
			return r.join(0, Request{Patience: 500 * ms, HasPatience: true})
		}, "waits 470ms"},
		{"its client waits: the handler takes less than the work did", func(r *room) string {
			r.adaptive.latency = .005
			return r.join(0, Request{Patience: 500 * ms, HasPatience: true})
		}, "waits 480ms"},
		{"its deadline is sooner: less what the work takes", func(r *room) string {
			r.adaptive.latency = .05
			return r.join(0, Request{Expires: start + 150*ms})
		}, "waits 130ms"},
		{"its client waits for no longer than the work takes", func(r *room) string {
			return r.join(0, Request{Patience: work, HasPatience: true})
		}, "queue"},
		{"its client waits for longer than any may", func(r *room) string {
			return r.join(0, Request{Patience: time.Hour, HasPatience: true})
		}, "waits 5s"},
		{"its deadline is sooner: less the work", func(r *room) string {
			return r.join(0, Request{Expires: start + 100*ms})
		}, "waits 80ms"},
		{"its deadline is later than that", func(r *room) string { return r.join(0, Request{Expires: start + 10*time.Second}) }, "waits 200ms"},
		{"its deadline leaves no time for the work", func(r *room) string {
			return r.join(0, Request{Expires: start + work})
		}, "expired"},
		{"a retry", func(r *room) string { return r.join(0, Request{Retry: true}) }, "waits 200ms"},
		{"a retry, in a standing queue", func(r *room) string { r.stand(); return r.join(300*ms, Request{Retry: true}) }, "retry"},
		{"that, while the handler answers others", func(r *room) string {
			r.stand()
			r.Learn(Completion{At: start + 290*ms, Took: 10 * ms, InFlight: 1, Slot: Slot{Weight: 1, First: true}})
			return r.join(300*ms, Request{Retry: true})
		}, "retry"},
		{"a retry of a client that comes when it is told", func(r *room) string {
			r.stand()
			r.Learn(Completion{At: start + 290*ms, Took: 10 * ms, InFlight: 1, Slot: Slot{Weight: 1, First: true}})
			return r.join(300*ms, Request{Retry: true, Returns: true})
		}, "waits 50ms"},
		{"such a retry, of a handler that stands still", func(r *room) string { r.stand(); return r.join(300*ms, Request{Retry: true, Returns: true}) }, "retry"},
		{"one that may come back, in a standing queue, where those that were told are served elsewhere", func(r *room) string {
			r.stand()
			r.returns.told = 10
			r.returns.looked = start + 300*ms
			return r.join(300*ms, Request{Returns: true})
		}, "queue"},
		{"that, of a handler that answers half as many as ever", func(r *room) string {
			r.stand()
			r.Learn(Completion{At: start + 290*ms, Took: 10 * ms, InFlight: 1, Slot: Slot{Weight: 1, First: true}})
			r.returns.told, r.returns.looked, r.adaptive.calm.most = 10, start+300*ms, 100
			return r.join(300*ms, Request{Returns: true})
		}, "waits 50ms"},
		{"that, of one that answers fewer", func(r *room) string {
			r.stand()
			r.Learn(Completion{At: start + 290*ms, Took: 10 * ms, InFlight: 1, Slot: Slot{Weight: 1, First: true}})
			r.returns.told, r.returns.looked, r.adaptive.calm.most = 10, start+300*ms, 101
			return r.join(300*ms, Request{Returns: true})
		}, "queue"},
		{"that, where they come back here", func(r *room) string {
			r.stand()
			r.returns.told, r.returns.back = 10, 10
			r.returns.looked = start + 300*ms
			return r.join(300*ms, Request{Returns: true})
		}, "waits 50ms"},
		{"that, of one that says nothing", func(r *room) string {
			r.stand()
			r.returns.told = 10
			r.returns.looked = start + 300*ms
			return r.join(300*ms, Request{})
		}, "waits 50ms"},
		{"that, before the queue stands", func(r *room) string {
			r.returns.told = 10
			r.returns.looked = start
			return r.join(0, Request{Returns: true})
		}, "waits 200ms"},
		{"a retry, once no request was refused for an interval", func(r *room) string {
			r.stand()
			return r.join(400*ms, Request{Retry: true})
		}, "waits 200ms"},
		{"a retry, while requests are refused", func(r *room) string {
			r.stand()
			r.Refuse(start + 250*ms)
			return r.join(400*ms, Request{Retry: true})
		}, "retry"},
		{"a slot is free: no wait", func(r *room) string { r.leave(); return r.join(0, Request{}) }, "waits 0s"},
		{"a retry, where the oldest of hasty clients had to wait for more than half of what they bear", func(r *room) string {
			hasty := Request{Patience: work + 40*ms, HasPatience: true}
			for at := time.Duration(0); at < 300*ms; at += 10 * ms {
				r.join(at, hasty)
			}
			return r.join(300*ms, Request{Retry: true})
		}, "retry"},
		{"that, for half of it", func(r *room) string {
			hasty := Request{Patience: work + 40*ms, HasPatience: true}
			for at := time.Duration(0); at < 300*ms; at += 20 * ms {
				r.join(at, hasty)
				if n := len(r.waiters); n > 1 {
					r.Abandon(r.waiters[n-2], start+at, ReasonGone)
				}
			}
			return r.join(300*ms, Request{Retry: true})
		}, "waits 200ms"},
		{"a retry, where the oldest had not waited for long, and none says for how long it may", func(r *room) string {
			for at := time.Duration(0); at < 300*ms; at += 20 * ms {
				r.join(at, Request{})
				if n := len(r.waiters); n > 1 {
					r.Abandon(r.waiters[n-2], start+at, ReasonGone)
				}
			}
			return r.join(300*ms, Request{Retry: true})
		}, "waits 200ms"},
		{"the queue is full", func(r *room) string {
			for range leastQueue {
				r.join(0, Request{Priority: 1})
			}
			return r.join(0, Request{Priority: 1})
		}, "queue"},
		{"the queue is full, of lower priorities", func(r *room) string {
			r.join(0, Request{Priority: 1})
			for range leastQueue - 1 {
				r.join(0, Request{Priority: 2})
			}
			r.join(0, Request{Priority: 2})
			r.waiters = []*Waiter{r.waiters[0], r.waiters[leastQueue]}
			return r.settled()
		}, "[priority waits]"},
		{"the queue is full and stands: the oldest makes room", func(r *room) string {
			r.stand()
			patient := Request{Patience: time.Minute, HasPatience: true}
			for range leastQueue - 2 {
				r.join(300*ms, patient)
			}
			r.waiters = []*Waiter{r.waiters[0], r.waiters[1], r.waiters[leastQueue]}
			return r.settled()
		}, "[queue waits waits]"},
		{"a slot becomes free: the oldest", func(r *room) string {
			r.join(0, Request{})
			r.join(1, Request{})
			r.leave()
			r.Dispatch(start + 2)
			return r.settled()
		}, "[admitted waits]"},
		{"that, in a standing queue: the newest", func(r *room) string {
			r.stand()
			r.leave()
			r.Dispatch(start + 300*ms)
			return r.settled()
		}, "[waits waits admitted]"},
		{"that, with priorities: the highest", func(r *room) string {
			r.join(0, Request{Priority: 1})
			r.join(1, Request{Priority: 2})
			r.join(2, Request{Priority: 2})
			r.leave()
			r.Dispatch(start + 3)
			return r.settled()
		}, "[waits admitted waits]"},
		{"that, of callers who say when their calls are over: the first that is", func(r *room) string {
			r.join(0, patient(800*ms))
			r.join(1, patient(700*ms))
			r.join(2, patient(900*ms))
			r.leave()
			r.Dispatch(start + 3)
			return r.settled()
		}, "[waits admitted waits]"},
		{"that, in a standing queue", func(r *room) string {
			r.stand()
			r.join(300*ms, patient(700*ms))
			r.join(301*ms, patient(800*ms))
			r.leave()
			r.Dispatch(start + 302*ms)
			return r.settled()
		}, "[waits waits waits admitted waits]"},
		{"that, if it has waited for half of what it bears", func(r *room) string {
			r.stand()
			r.join(300*ms, Request{Patience: 200*ms + work, HasPatience: true, Due: start + 600*ms})
			r.join(350*ms, patient(800*ms))
			r.queue.refused = start + 350*ms // it goes on to stand
			r.leave()
			r.Dispatch(start + 400*ms)
			return r.settled()
		}, "[waits waits waits admitted waits]"},
		{"that, unless it has waited for more than half of what it bears", func(r *room) string {
			r.stand()
			r.join(300*ms, Request{Patience: 200*ms + work, HasPatience: true, Due: start + 600*ms})
			r.join(350*ms, patient(800*ms))
			r.join(351*ms, patient(900*ms))
			r.queue.refused = start + 351*ms // it goes on to stand
			r.leave()
			r.Dispatch(start + 401*ms)
			return r.settled()
		}, "[waits waits waits waits admitted waits]"},
		{"that, if it was passed over before the queue drained", func(r *room) string {
			r.stand()
			r.join(300*ms, Request{Patience: 200*ms + work, HasPatience: true, Due: start + 600*ms})
			r.queue.pick(start + 401*ms)
			r.waiters = r.waiters[3:]
			for r.queue.all.length > 1 {
				r.queue.remove(r.queue.all.oldest)
			}
			r.queue.standing = false
			r.leave()
			r.Dispatch(start + 402*ms)
			return r.settled()
		}, "[admitted]"},
		{"that, if it is the turn of one that does not say", func(r *room) string {
			r.join(0, Request{Patience: time.Second, HasPatience: true})
			r.join(1, patient(700*ms))
			r.leave()
			r.Dispatch(start + 2)
			return r.settled()
		}, "[admitted waits]"},
		{"that, if its priority is lower", func(r *room) string {
			high, low := patient(800*ms), patient(700*ms)
			high.Priority, low.Priority = 2, 1
			r.join(0, high)
			r.join(1, low)
			r.leave()
			r.Dispatch(start + 2)
			return r.settled()
		}, "[admitted waits]"},
		{"it waited for just as long as it may", func(r *room) string {
			r.join(0, Request{Patience: 150*ms + work, HasPatience: true})
			r.Dispatch(start + 150*ms)
			return r.settled()
		}, "[waits]"},
		{"it waited too long", func(r *room) string {
			r.join(0, Request{})
			r.Dispatch(start + 201*ms)
			return r.settled()
		}, "[queue]"},
		{"its patience is over", func(r *room) string {
			r.join(0, Request{})
			return string(r.Abandon(r.waiters[0], start+200*ms, ReasonNone).Reason)
		}, "queue"},
		{"that, and a higher priority went before it", func(r *room) string {
			r.join(0, Request{Priority: 1})
			r.join(0, Request{Priority: 2})
			r.leave()
			r.Dispatch(start + 1)
			return string(r.Abandon(r.waiters[0], start+200*ms, ReasonNone).Reason)
		}, "priority"},
		{"that, and its deadline is later", func(r *room) string {
			r.join(0, Request{Expires: start + 10*time.Second})
			return string(r.Abandon(r.waiters[0], start+200*ms, ReasonNone).Reason)
		}, "queue"},
		{"that, and so is the time until its deadline", func(r *room) string {
			r.join(0, Request{Expires: start + 100*ms})
			return string(r.Abandon(r.waiters[0], start+80*ms, ReasonNone).Reason)
		}, "expired"},
		{"its client left", func(r *room) string {
			r.join(0, Request{})
			return string(r.Abandon(r.waiters[0], start+1, ReasonGone).Reason)
		}, "gone"},
		{"its client left as it was admitted: it has a slot", func(r *room) string {
			r.join(0, Request{})
			r.leave()
			r.Dispatch(start + 1)
			return fmt.Sprint(r.Abandon(r.waiters[0], start+2, ReasonGone).Reason, r.InFlight())
		}, "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &room{Controller: New(Config{Limit: 1, Queue: true, MaxWait: time.Second, MaxPatience: 5 * time.Second, MaxRetryAfter: time.Second, Priorities: 3})}
			r.adaptive.baseline, r.adaptive.work, r.adaptive.windows = float64(work), 50, young+1
			r.publish()
			slot, _, ok := r.Enter()
			if !ok {
				t.Fatal("the first request got no slot")
			}
			r.slot = slot
			if got := tt.do(r); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
