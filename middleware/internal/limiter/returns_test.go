package limiter

import (
	"testing"
	"time"
)

// What a server tells a client for whom it has no slot in time, by what became of
// those that it told before: it has room for one request in two seconds, and calls
// have five.
func TestClientsThatAreServedElsewhere(t *testing.T) {
	const call, spread = 5 * time.Second, 2 * time.Second
	soon := 50*time.Millisecond + spread/20
	for _, tt := range []struct {
		name   string
		back   int  // one in so many comes back; 0: none does
		others bool // retries come that were not told here, each time
		silent bool // clients say nothing
		soon   bool
	}{
		{name: "all come back", back: 1},
		{name: "three in four come back", back: -4},
		{name: "half come back: one of two replicas", back: 2, soon: true},
		{name: "a third comes back: one of three", back: 3, soon: true},
		{name: "none comes back", soon: true},
		{name: "a third, and others that the server did not send away", back: 3, others: true, soon: true},
		{name: "clients that say nothing are told by the calendar", silent: true},
	} {
		c := calendar{longest: 10 * time.Second}
		c.throughput.Store(1000)
		now := start
		last := make(map[time.Duration]uint64) // who comes back, by when
		for i := uint64(1); i <= 200; i++ {
			now += 50 * time.Millisecond
			r := Refusal{Call: i, Left: call, HasLeft: true, Spread: spread}
			if tt.silent {
				r.Call = 0
			}
			wait, again := c.Reserve(now, r)
			comes := tt.back > 0 && i%uint64(tt.back) == 0 || tt.back < 0 && i%4 != 0
			if again && wait == soon && comes {
				last[now+wait.Truncate(50*time.Millisecond)] = i
			}
			if id, ok := last[now]; ok {
				c.CameBack(id, now, false)
			}
			if tt.others {
				c.CameBack(1_000_000+i, now, false)
			}
		}
		now += 10 * time.Millisecond
		c.returns.probed = now // so that this one is not sent to find out
		wait, again := c.Reserve(now, Refusal{Call: 1000, Left: call, HasLeft: true, Spread: spread})
		if again != tt.soon || (wait == soon) != tt.soon {
			t.Errorf("%s: told %v, %v; want soon %v", tt.name, wait, again, tt.soon)
		}
		if wait, again := c.Reserve(now, Refusal{Left: call, HasLeft: true, Spread: spread}); wait == soon {
			t.Errorf("%s: one that says nothing is told %v, %v; want what the calendar says", tt.name, wait, again)
		}
	}
}

// The rules of what is counted.
func TestReturns(t *testing.T) {
	const ms, sec = time.Millisecond, time.Second
	tell := func(n int, wait time.Duration) func(r *returns) {
		return func(r *returns) {
			for i := range n {
				r.tell(uint64(i+1), start, wait)
			}
		}
	}
	for _, tt := range []struct {
		name string
		do   func(r *returns)
		at   time.Duration // since the start
		want bool          // elsewhere
	}{
		{"nothing is known", func(r *returns) {}, 0, false},
		{"enough did not come", tell(8, 100*ms), 701 * ms, true},
		{"too few to tell", tell(7, 100*ms), 701 * ms, false},
		{"they may still come", tell(8, 100*ms), 699 * ms, false},
		{"they may still come, as they wait for longer", tell(8, sec), 2400 * ms, false},
		{"they may still come, at the last moment", tell(8, 100*ms), 700 * ms, false},
		{"it was looked at just before: not so soon again", func(r *returns) { tell(8, 100*ms)(r); r.elsewhere(start + 690*ms) }, 789 * ms, false},
		{"it was, a tenth of a second ago", func(r *returns) { tell(8, 100*ms)(r); r.elsewhere(start + 690*ms) }, 790 * ms, true},
		{"they came too late", func(r *returns) {
			tell(8, 100*ms)(r)
			for i := range 8 {
				r.come(uint64(i+1), start+801*ms)
			}
		}, 801 * ms, true},
		{"others came", func(r *returns) {
			tell(8, 100*ms)(r)
			for i := range 8 {
				r.come(uint64(i+1+followed), start+110*ms)
			}
		}, 701 * ms, true},
		{"they came, and those that were told after them did not", func(r *returns) {
			tell(8, 100*ms)(r)
			for i := range 8 {
				r.come(uint64(i+1), start+110*ms)
			}
			for i := range 8 {
				r.tell(uint64(i+1+followed), start+800*ms, 100*ms)
			}
		}, 1501 * ms, true},
		{"they waited for longer", tell(8, sec), 2501 * ms, true},
		{"one call counts once", func(r *returns) {
			for range 8 {
				r.tell(1, start, 100*ms)
			}
		}, 701 * ms, false},
		{"they were told again, to come later", func(r *returns) {
			tell(8, 100*ms)(r)
			for i := range 8 {
				r.tell(uint64(i+1), start+500*ms, 100*ms)
			}
		}, 1200 * ms, false},
		{"they came", func(r *returns) {
			tell(10, 100*ms)(r)
			for i := range 7 {
				r.come(uint64(i+1), start+110*ms)
			}
		}, 701 * ms, false},
		{"one less came", func(r *returns) {
			tell(10, 100*ms)(r)
			for i := range 6 {
				r.come(uint64(i+1), start+110*ms)
			}
		}, 701 * ms, true},
		{"thirteen of twenty came", func(r *returns) {
			tell(20, 100*ms)(r)
			for i := range 13 {
				r.come(uint64(i+1), start+110*ms)
			}
		}, 701 * ms, true},
		{"the same one came again", func(r *returns) {
			tell(10, 100*ms)(r)
			for i := range 7 {
				r.come(uint64(max(1, i)), start+110*ms)
			}
		}, 701 * ms, true},
		{"it was long ago", func(r *returns) {
			tell(8, 100*ms)(r)
			r.elsewhere(start + 701*ms)
		}, 2 * sec, false},
		{"it was a while ago", func(r *returns) { tell(10, 100*ms)(r); r.elsewhere(start + 701*ms) }, 1101 * ms, true},
		{"it was a longer while ago, for so few", func(r *returns) { tell(10, 100*ms)(r); r.elsewhere(start + 701*ms) }, 1201 * ms, false},
		{"the clock jumps ahead", tell(200, 100*ms), time.Hour, true},
		{"and again", func(r *returns) {
			tell(200, 100*ms)(r)
			r.elsewhere(start + time.Hour)
		}, 2 * time.Hour, false},
		{"the clock is late", func(r *returns) {
			tell(8, 100*ms)(r)
			r.elsewhere(start - 10*sec)
		}, 701 * ms, true},
		{"only so many are followed", func(r *returns) {
			tell(followed, 100*ms)(r)
			for i := range followed {
				r.tell(uint64(1+i+followed), start, 10*ms) // in a place that is taken
				r.come(uint64(1+i), start)
			}
		}, 701 * ms, false},
	} {
		var r returns
		r.looked = start
		tt.do(&r)
		if got := r.elsewhere(start + tt.at); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	var r returns
	for _, tt := range []struct {
		at   time.Duration
		want bool
	}{{0, true}, {99 * ms, false}, {100 * ms, true}, {199 * ms, false}, {300 * ms, true}} {
		if got := r.probes(start + tt.at); got != tt.want {
			t.Errorf("after %v one is sent to find out: %v, want %v", tt.at, got, tt.want)
		}
	}
	if !new(returns).probes(probeEvery / 2) {
		t.Error("none is sent to find out as the clock starts, want one")
	}
}
