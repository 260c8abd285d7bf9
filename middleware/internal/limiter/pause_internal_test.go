package limiter

import (
	"slices"
	"testing"
	"time"
)

// How many slots are lent after some time, of 100 requests that wait for their clients
// in a handler that serves 200 per second at a limit of 80. A fourth of the limit may
// be lent at once.
func TestLendPace(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name    string
		working int // besides those that wait
		served  float64
		after   time.Duration
		want    int
	}{
		{"at first", 0, 200, 0, 20},
		{"soon after", 21, 200, 20 * ms, 5},
		{"no more are saved up", 21, 200, time.Second, 20},
		{"the handler hardly works", 20, 20, 20 * ms, 8},
		{"that, as it is quick", 20, 800, 10 * ms, 10},
		{"nothing is served, and it is not full", 21, 0, 100 * ms, 2},
		{"it works", 21, 20, 20 * ms, 0},
		{"the handler is just full", 80, 200, 20 * ms, 5},
		{"that, for longer", 80, 200, 40 * ms, 10},
		{"it is more than full", 81, 200, 20 * ms, 2},
		{"that, for longer", 81, 200, 100 * ms, 10},
		{"nothing is served: it may be because of those that wait", 81, 0, 100 * ms, 2},
	} {
		var a awaits
		holds := make([]Hold, 100)
		for i := range holds {
			holds[i].Take(Slot{})
			if !a.add(&holds[i], holdsBusy, int64(time.Second)<<holdSince|holdListed|holdsWaits) {
				t.Fatal("not listed")
			}
		}
		at := time.Second + lendAfter
		got := len(a.lend(at, 100+tt.working, 80, tt.served))
		if tt.after > 0 {
			got = len(a.lend(at+tt.after, 80+tt.working, 80, tt.served))
		}
		if got != tt.want {
			t.Errorf("%s: %d lent, want %d", tt.name, got, tt.want)
		}
	}
}

// At a low limit, 16 slots may be lent at once.
func TestLendLeast(t *testing.T) {
	for limit, want := range map[float64]int{1: 16, 40: 16, 64: 16, 80: 20} {
		var a awaits
		holds := make([]Hold, 100)
		for i := range holds {
			holds[i].Take(Slot{})
			a.add(&holds[i], holdsBusy, int64(time.Second)<<holdSince|holdListed|holdsWaits)
		}
		if got := len(a.lend(time.Minute, 100, limit, 0)); got != want {
			t.Errorf("a limit of %v: %d lent, want %d", limit, got, want)
		}
	}
}

// How many slots a Controller lends in 20 ms, of 100 requests that wait for their clients
// beside 80 others, at a limit of 80. It serves 200 per second.
func TestLendCounts(t *testing.T) {
	for _, tt := range []struct {
		name string
		back int64 // requests at work again after they had lent their slots
		want int
	}{{"the handler is just full", 0, 5}, {"it is more than full, by one that works again", 1, 2}} {
		c := New(Config{Limit: 80})
		c.throughput.Store(200_000)
		holds := make([]Hold, 100)
		for i := range holds {
			holds[i].Take(Slot{Generation: c.ForceEnter().Generation})
			c.Pause(&holds[i], time.Second)
		}
		for range 80 {
			c.ForceEnter()
		}
		c.Lend(time.Second + lendAfter)
		c.back.Store(tt.back)
		before := c.slots.taken()
		c.Lend(time.Second + 2*lendAfter)
		if got := before - c.slots.taken(); got != tt.want {
			t.Errorf("%s: %d lent, want %d", tt.name, got, tt.want)
		}
	}
}

// Which requests are listed as waiting for their clients, and whose slots are lent. A
// request is named by its generation.
func TestAwaits(t *testing.T) {
	const a, b, d = 0, 1, 2
	for _, tt := range []struct {
		name string
		do   func(c *Controller, h []*Hold)
		want []int // listed, in any order
		lent []int // later
	}{
		{"none waits", func(*Controller, []*Hold) {}, nil, nil},
		{"all wait", func(c *Controller, h []*Hold) { c.Pause(h[a], sec); c.Pause(h[b], sec); c.Pause(h[d], sec) }, []int{a, b, d}, []int{a, b, d}},
		{"one waits twice: it is listed once", func(c *Controller, h []*Hold) {
			c.Pause(h[a], sec)
			c.Resume(h[a])
			c.Pause(h[a], 2*sec)
		}, []int{a}, []int{a}},
		{"its wait is over: it is listed until it leaves", func(c *Controller, h []*Hold) { c.Pause(h[a], sec); c.Resume(h[a]) }, []int{a}, nil},
		{"the first leaves", func(c *Controller, h []*Hold) {
			c.Pause(h[a], sec)
			c.Pause(h[b], sec)
			c.Pause(h[d], sec)
			c.Drop(h[a])
		}, []int{b, d}, []int{b, d}},
		{"the second leaves", func(c *Controller, h []*Hold) {
			c.Pause(h[a], sec)
			c.Pause(h[b], sec)
			c.Pause(h[d], sec)
			c.Drop(h[b])
		}, []int{a, d}, []int{a, d}},
		{"then the last, which took its place", func(c *Controller, h []*Hold) {
			c.Pause(h[a], sec)
			c.Pause(h[b], sec)
			c.Pause(h[d], sec)
			c.Drop(h[b])
			c.Drop(h[d])
		}, []int{a}, []int{a}},
		{"all leave", func(c *Controller, h []*Hold) {
			c.Pause(h[a], sec)
			c.Pause(h[b], sec)
			c.Drop(h[b])
			c.Drop(h[a])
		}, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, holds := New(Config{Limit: 9}), []*Hold{{}, {}, {}}
			for i, h := range holds {
				h.Take(Slot{Generation: uint32(i)})
			}
			tt.do(c, holds)
			var listed, lent []int
			for i, h := range c.awaits.holds {
				listed = append(listed, int(h.Slot.Generation))
				if int(h.place) != i {
					t.Errorf("%d is at %d, want %d", h.Slot.Generation, h.place, i)
				}
			}
			slices.Sort(listed)
			if !slices.Equal(listed, tt.want) || c.awaits.n.Load() != int32(len(tt.want)) || c.Awaits() != (len(tt.want) > 0) {
				t.Errorf("got %v listed, %d in number, want %v", listed, c.awaits.n.Load(), tt.want)
			}
			for _, s := range c.awaits.lend(time.Minute, 3, 9, 100) {
				lent = append(lent, int(s.Generation))
			}
			slices.Sort(lent)
			if !slices.Equal(lent, tt.lent) {
				t.Errorf("got the slots of %v, want %v", lent, tt.lent)
			}
		})
	}
}

// What a request has when it leaves.
func TestDrop(t *testing.T) {
	slot := Slot{Generation: 7, Weight: 1}
	for _, tt := range []struct {
		name      string
		do        func(c *Controller, h *Hold)
		slot      Slot
		held, has bool
	}{
		{"it never had a slot", func(*Controller, *Hold) {}, Slot{}, false, false},
		{"a slot", func(_ *Controller, h *Hold) { h.Take(slot) }, slot, true, true},
		{"a slot, in a wait", func(c *Controller, h *Hold) { h.Take(slot); c.Pause(h, sec) }, slot, true, true},
		{"it has lent it", func(c *Controller, h *Hold) { h.Take(slot); c.Pause(h, sec); c.Lend(time.Minute) }, Slot{}, true, false},
		{"it has lent it, and works again", func(c *Controller, h *Hold) {
			h.Take(slot)
			c.Pause(h, sec)
			c.Lend(time.Minute)
			c.Resume(h)
		}, Slot{}, true, false},
		{"it has left before", func(c *Controller, h *Hold) { h.Take(slot); c.Drop(h) }, Slot{}, false, false},
	} {
		c, h := New(Config{Limit: 9}), &Hold{}
		c.slots.enter()
		tt.do(c, h)
		got, held, has := c.Drop(h)
		if has && got != tt.slot || held != tt.held || has != tt.has || c.back.Load() != 0 {
			t.Errorf("%s: got %+v, %v, %v, and %d at work without one, want %+v, %v, %v", tt.name, got, held, has, c.back.Load(), tt.slot, tt.held, tt.has)
		}
	}
}
