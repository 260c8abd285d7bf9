package limiter

import (
	"math"
	"testing"
	"time"
)

// What a Config is taken for.
func TestConfig(t *testing.T) {
	queue := Config{Queue: true, MaxWait: time.Second, MaxPatience: time.Second}
	with := func(set func(*Config)) Config {
		cfg := queue
		set(&cfg)
		return cfg
	}
	looked := false
	look := func() (MemorySample, bool) { looked = true; return MemorySample{}, false }
	for _, tt := range []struct {
		name  string
		cfg   Config
		limit int
		waits time.Duration // of a request without room, before anything is known
		looks bool          // at the memory
	}{
		{"a limit that is given", with(func(c *Config) { c.Limit = 7 }), 7, time.Second, false},
		{"that, with no bounds for one that is found", with(func(c *Config) { c.Limit, c.Min, c.Max = 7, 2, 5 }), 7, time.Second, false},
		{"that, and memory is not looked at", with(func(c *Config) { c.Limit, c.Memory = 7, look }), 7, time.Second, false},
		{"a limit that is found", with(func(c *Config) { c.Min, c.Max = 2, 1000 }), 64, time.Second, false},
		{"that, and memory is looked at", with(func(c *Config) { c.Min, c.Max, c.Memory = 2, 1000, look }), 64, time.Second, true},
		{"no limit", with(func(c *Config) { c.Min, c.Max = math.MaxInt32, math.MaxInt32 }), 0, time.Second, false},
		{"that, and memory is not looked at", with(func(c *Config) { c.Min, c.Max, c.Memory = math.MaxInt32, math.MaxInt32, look }), 0, time.Second, false},
		{"no limit, of more than a number holds", with(func(c *Config) { c.Min, c.Max = math.MaxInt, math.MaxInt }), 0, time.Second, false},
		{"a given limit of more than a number holds: none", with(func(c *Config) { c.Limit = math.MaxInt }), 0, time.Second, false},
		{"a limit of one less is one", with(func(c *Config) { c.Limit = math.MaxInt32 - 1 }), math.MaxInt32 - 1, time.Second, false},
		{"a wait for ever", with(func(c *Config) { c.Limit, c.MaxWait = 7, math.MaxInt64 }), 7, forever, false},
	} {
		looked = false
		c := New(tt.cfg)
		c.Watch(start)
		if got := c.Limit(); got != tt.limit || c.State().Limit != tt.limit {
			t.Errorf("%s: got a limit of %d, want %d", tt.name, got, tt.limit)
		}
		if c.queue.interval != tt.waits || c.maxWait != tt.waits {
			t.Errorf("%s: a request waits for %v, want %v", tt.name, c.queue.interval, tt.waits)
		}
		if looked != tt.looks {
			t.Errorf("%s: looks at the memory: %v, want %v", tt.name, looked, tt.looks)
		}
		if s := c.State(); s.Reason != "start" || s.Latency != 0 || s.Waiting != 0 {
			t.Errorf("%s: got %+v before anything is known", tt.name, s)
		}
	}
	for _, fair := range []bool{false, true} {
		if got := New(Config{Limit: 1, Fair: fair}).Fair(); got != fair {
			t.Errorf("shares slots between callers: got %v, want %v", got, fair)
		}
	}
	for name, tt := range map[string]struct {
		limit      int
		calm, want bool
	}{"nothing is known yet": {0, false, true}, "it is calm": {0, true, false}, "a given limit": {1, false, false}} {
		c := New(Config{Limit: tt.limit, Min: 1, Max: 9})
		c.adaptive.calm.now = tt.calm
		c.publish()
		if got := c.Judges(); got != tt.want {
			t.Errorf("%s: it judges: got %v, want %v", name, got, tt.want)
		}
	}
	for limit, want := range map[int]bool{0: true, 1: false} {
		if c := New(Config{Limit: limit, Min: 1, Max: 9, SchedulerLatency: time.Second}); (c.adaptive.sched != nil) != want {
			t.Errorf("a limit of %d: the scheduler is watched: %v, want %v", limit, !want, want)
		}
	}
	if c := New(Config{Limit: 1, MaxRetryAfter: time.Second}); c.calendar.longest != time.Second {
		t.Errorf("clients are told to come back after %v at most, want 1s", c.calendar.longest)
	}
}

// What a request is told that enters, or that finds no slot.
func TestEnter(t *testing.T) {
	for _, tt := range []struct {
		name    string
		limit   int
		entered int   // requests before it
		gone    int   // of them
		every   int32 // one in so many requests is measured; 0: nothing is known yet
		waits   bool  // another waits for a slot
		probes  bool  // a trial goes on
		want    Slot
		met     Arrival
		ok      bool
	}{
		{"the first one", 4, 0, 0, 0, false, false, Slot{First: true, Weight: 1}, Arrival{Limit: 4}, true},
		{"another one", 4, 2, 0, 0, false, false, Slot{First: true, Weight: 1}, Arrival{Limit: 4, InFlight: 2}, true},
		{"no slot is free", 4, 4, 0, 0, false, false, Slot{}, Arrival{Limit: 4, InFlight: 4}, false},
		{"one was given back", 4, 4, 1, 0, false, false, Slot{First: true, Weight: 1}, Arrival{Limit: 4, InFlight: 3}, true},
		{"another waits for it", 4, 4, 1, 0, true, false, Slot{}, Arrival{Limit: 4, InFlight: 3}, false},
		{"no limit", math.MaxInt32, 4, 0, 0, false, false, Slot{First: true, Weight: 1}, Arrival{InFlight: 4}, true},
		{"the last of the first ones", 99, 15, 0, 0, false, false, Slot{First: true, Weight: 1}, Arrival{Limit: 99, InFlight: 15}, true},
		{"one after them", 99, 16, 0, 0, false, false, Slot{Weight: 1}, Arrival{Limit: 99, InFlight: 16}, true},
		{"each is measured", 99, 17, 0, 1, false, false, Slot{Weight: 1}, Arrival{Limit: 99, InFlight: 17}, true},
		{"one of two is, and it is the one", 99, 18, 0, 2, false, false, Slot{Weight: 2}, Arrival{Limit: 99, InFlight: 18}, true},
		{"one of two is, and it is the other", 99, 17, 0, 2, false, false, Slot{}, Arrival{Limit: 99, InFlight: 17}, true},
		{"one of four is, and it is the one", 99, 20, 0, 4, false, false, Slot{Weight: 4}, Arrival{Limit: 99, InFlight: 20}, true},
		{"a trial goes on: each is measured", 99, 17, 0, 2, false, true, Slot{Weight: 1}, Arrival{Limit: 99, InFlight: 17}, true},
	} {
		c := New(Config{Limit: tt.limit, Queue: true, MaxWait: time.Second, MaxPatience: time.Second})
		var slots []Slot
		for range tt.entered {
			s, _, _ := c.Enter()
			slots = append(slots, s)
		}
		if tt.waits {
			c.Join(start, Request{})
		}
		for _, s := range slots[:tt.gone] {
			c.Leave(s)
		}
		if tt.every > 0 {
			c.probing.Store(tt.probes)
			c.every.Store(tt.every)
		}
		got, met, ok := c.Enter()
		if got != tt.want || met != tt.met || ok != tt.ok {
			t.Errorf("%s: got %+v, %+v, %v, want %+v, %+v, %v", tt.name, got, met, ok, tt.want, tt.met, tt.ok)
		}
	}
	c := New(Config{Limit: 1})
	for n := range 3 {
		if s := c.ForceEnter(); s.Weight != 1 || c.InFlight() != n+1 {
			t.Errorf("in a dry run: got %+v with %d in the handler, want it measured, and %d", s, c.InFlight(), n+1)
		}
	}
}

// How long the queue may get: what is served in twice the longest wait.
func TestQueueRoom(t *testing.T) {
	for _, tt := range []struct {
		name   string
		served float64 // per second
		waits  time.Duration
		want   int
	}{
		{"nothing is known", 0, time.Second, 8192},
		{"what is served in twice the longest wait", 1000, 200 * time.Millisecond, 400},
		{"that, of requests that wait for longer", 1000, time.Second, 2000},
		{"at least 128", 100, 200 * time.Millisecond, 128},
		{"at most 8192", 10_000, time.Second, 8192},
	} {
		c := New(Config{Limit: 1, Queue: true})
		c.adaptive.work, c.queue.interval = tt.served, tt.waits
		if got := c.room(); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

// How many requests may be in the handler without a slot, and how many are.
func TestSpare(t *testing.T) {
	for _, tt := range []struct {
		name        string
		set         func(c *Controller)
		spare, less int
	}{
		{"up to the maximum", func(*Controller) {}, 80, 0},
		{"some were overtaken", func(c *Controller) { c.slots.overtaken.Store(5) }, 75, 5},
		{"some came beyond the limit", func(c *Controller) { c.beyond.all.Store(7) }, 73, 7},
		{"some have lent their slot and work again", func(c *Controller) { c.back.Store(9) }, 71, 9},
		{"all of these", func(c *Controller) { c.slots.overtaken.Store(5); c.beyond.all.Store(7); c.back.Store(9) }, 59, 21},
		{"the limit is given: none", func(c *Controller) { c.adaptive.fixed = true }, 0, 0},
		{"there is little memory: none", func(c *Controller) { c.queue.memory = true }, 0, 0},
	} {
		c := New(Config{Min: 2, Max: 100})
		c.limit.Store(20)
		tt.set(c)
		if got := c.spare(); got != tt.spare || c.slotless() != tt.less || c.InFlight() != tt.less {
			t.Errorf("%s: %d may be without a slot, and %d are, want %d and %d", tt.name, got, c.slotless(), tt.spare, tt.less)
		}
	}
}

// What is said of how many were in the handler when one leaves, and of who waits.
func TestLeaveSays(t *testing.T) {
	c := New(Config{Limit: 9})
	var slots []Slot
	for range 5 {
		s, _, _ := c.Enter()
		slots = append(slots, s)
	}
	c.back.Store(2) // at work again after they had lent their slots
	if n, waits := c.Leave(slots[0]); n != 7 || waits {
		t.Errorf("got %d, %v, want 7 at work and nobody who waits", n, waits)
	}
	c.beyond.routes[3].Store(1)
	c.beyond.all.Store(1)
	if n, _ := c.Leave(Slot{Beyond: 3}); n != 7 || c.beyond.all.Load() != 0 || c.beyond.routes[3].Load() != 0 {
		t.Errorf("got %d with a request beyond the limit, and %d such after it, want 7 and none", n, c.beyond.all.Load())
	}
	c.beyond.routes[1].Store(1)
	c.beyond.all.Store(1)
	if c.Leave(Slot{Beyond: 1}); c.beyond.all.Load() != 0 || c.slots.taken() != 4 {
		t.Errorf("%d slots are taken after one left that had none, want 4", c.slots.taken())
	}
}

// What is made known once something was learnt.
func TestPublish(t *testing.T) {
	for _, tt := range []struct {
		name     string
		set      func(a *adaptiveLimit)
		short    time.Duration // longest wait in a standing queue
		interval time.Duration // after which it stands
		probing  bool
		every    int32
		refuses  uint32        // thousandths, as processors are far behind
		spare    time.Duration // that clients leave for the wait; 0: not known
	}{
		{"little is known: it stands after the longest wait", func(a *adaptiveLimit) { a.windows = 10 }, 50 * time.Millisecond, 2 * time.Second, false, 1, 0, 0},
		{"more is known: after five times what the work takes", func(a *adaptiveLimit) { a.baseline = 60e6 }, 60 * time.Millisecond, 300 * time.Millisecond, false, 1, 0, 0},
		{"that, but at least 200 ms", func(a *adaptiveLimit) { a.baseline = 20e6 }, 50 * time.Millisecond, 200 * time.Millisecond, false, 1, 0, 0},
		{"that, but at most the longest wait", func(a *adaptiveLimit) { a.baseline = 5e9 }, 2 * time.Second, 2 * time.Second, false, 1, 0, 0},
		{"a trial goes on", func(a *adaptiveLimit) { a.trials.on = true }, 50 * time.Millisecond, 200 * time.Millisecond, true, 1, 0, 0},
		{"nothing was ever seen", func(a *adaptiveLimit) { a.windows = 0 }, 50 * time.Millisecond, 2 * time.Second, true, 1, 0, 0},
		{"one window was seen", func(a *adaptiveLimit) { a.windows = 1 }, 50 * time.Millisecond, 2 * time.Second, false, 1, 0, 0},
		{"of many requests a part is measured", func(a *adaptiveLimit) { a.rate = 8000 }, 50 * time.Millisecond, 200 * time.Millisecond, false, 4, 0, 0},
		{"processors are far behind: a share is refused", func(a *adaptiveLimit) { a.sched = &schedLimit{refuse: .5} }, 50 * time.Millisecond, 200 * time.Millisecond, false, 1, 500, 0},
		{"others have left: so that there is time for the work", func(a *adaptiveLimit) { a.patience.left, a.usual, a.latency = 1, .7, .8 }, 50 * time.Millisecond, 200 * time.Millisecond, false, 1, 0, 300 * time.Millisecond},
		{"that, by the mean if that is less", func(a *adaptiveLimit) { a.patience.left, a.usual, a.latency = 1, .8, .7 }, 50 * time.Millisecond, 200 * time.Millisecond, false, 1, 0, 300 * time.Millisecond},
		{"that, but at least 10 ms", func(a *adaptiveLimit) { a.patience.left, a.usual, a.latency = .5, .8, .7 }, 50 * time.Millisecond, 200 * time.Millisecond, false, 1, 0, 10 * time.Millisecond},
	} {
		c := New(Config{Min: 2, Max: 1000, Queue: true, MaxWait: 2 * time.Second})
		c.adaptive.windows, c.adaptive.work, c.adaptive.why = 11, 500, "it binds"
		tt.set(&c.adaptive)
		c.publish()
		if c.queue.short != tt.short || c.queue.interval != tt.interval {
			t.Errorf("%s: waits of %v and %v, want %v and %v", tt.name, c.queue.short, c.queue.interval, tt.short, tt.interval)
		}
		if c.queue.spare != tt.spare {
			t.Errorf("%s: %v is left for the wait, want %v", tt.name, c.queue.spare, tt.spare)
		}
		if c.probing.Load() != tt.probing || c.every.Load() != tt.every {
			t.Errorf("%s: each is measured: %v, else one in %d, want %v and %d", tt.name, c.probing.Load(), c.every.Load(), tt.probing, tt.every)
		}
		if got := c.overrun.Load(); got != tt.refuses {
			t.Errorf("%s: %d of 1000 are refused, want %d", tt.name, got, tt.refuses)
		}
		s := c.State()
		if s.Reason != "it binds" || s.Latency != time.Duration(c.adaptive.baseline) || c.throughput.Load() != 500_000 {
			t.Errorf("%s: got %+v and %d served in 1000 s", tt.name, s, c.throughput.Load())
		}
	}
}

// A window of answers moves the limit, and those who wait get the slots that are new.
func TestLearn(t *testing.T) {
	for _, tt := range []struct {
		answers int
		limit   int
		want    string
	}{
		{firstCount - 1, 2, "[waits waits]"}, // the window has not seen enough
		{firstCount, 3, "[admitted waits]"},  // it binds, and nothing is late
	} {
		r := &room{Controller: New(Config{Min: 2, Max: 100, Queue: true, MaxWait: time.Second, MaxPatience: 5 * time.Second})}
		r.adaptive.limit, r.adaptive.last = 2, start
		r.publish()
		r.Enter()
		r.Enter()
		r.join(0, Request{})
		r.join(0, Request{})
		r.adaptive.shed(1)
		r.adaptive.window.since = start
		for range tt.answers {
			r.Learn(Completion{At: start + 100*time.Millisecond, Took: 10 * time.Millisecond, InFlight: 2, Waiting: true, Slot: Slot{Weight: 1, First: true}})
		}
		if got := r.settled(); got != tt.want || r.Limit() != tt.limit {
			t.Errorf("%d answers: got %s at a limit of %d, want %s and %d", tt.answers, got, r.Limit(), tt.want, tt.limit)
		}
	}
}

// A request that waited is told how it is measured, as one that did not.
func TestAdmittedAfterAWait(t *testing.T) {
	for _, tt := range []struct {
		entered int
		want    Slot
	}{
		{15, Slot{First: true, Weight: 1}}, {16, Slot{Weight: 1}},
	} {
		r := &room{Controller: New(Config{Limit: tt.entered, Queue: true, MaxWait: time.Second, MaxPatience: time.Second})}
		for range tt.entered {
			r.slot, _, _ = r.Enter()
		}
		r.join(0, Request{})
		r.leave()
		r.Dispatch(start + 5)
		got := <-r.waiters[0].Done()
		if got.Slot.Generation = 0; got.Slot != tt.want || got.At != start+5 || got.Reason != ReasonNone {
			t.Errorf("after %d others: got %+v, want %+v", tt.entered, got, tt.want)
		}
		if n := r.State().Waiting; n != 0 {
			t.Errorf("%d wait, want none", n)
		}
	}
}

// Short is what a server without room says of itself.
func TestShort(t *testing.T) {
	c := New(Config{Limit: 2})
	var slot Slot
	for _, tt := range []struct {
		name string
		do   func()
		now  time.Duration
		held int
		want bool
	}{
		{"empty", func() {}, start, 0, false},
		{"empty, within a second of the start of the clock", func() {}, lull / 2, 0, false},
		{"one of two slots, of the request that asks", func() { c.Enter() }, start, 1, false},
		{"one of two slots, of another", func() {}, start, 0, false},
		{"both slots, one of the request that asks", func() { slot, _, _ = c.Enter() }, start, 1, true},
		{"one was given back", func() { c.Leave(slot) }, start, 1, false},
		{"a request was refused", func() { c.Refuse(start) }, start + lull - 1, 1, true},
		{"that was a second ago", func() {}, start + lull, 1, false},
		{"one waits, though a slot is free", func() { c.waiting.Store(1) }, start + lull, 1, true},
		{"none waits", func() { c.waiting.Store(0) }, start + lull, 1, false},
		{"the only slot, of the request that asks", func() { c.limit.Store(1) }, start + lull, 1, false},
		{"the only slot, of another", func() {}, start + lull, 0, true},
	} {
		tt.do()
		if got := c.Short(tt.now, tt.held); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
