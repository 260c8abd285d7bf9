package limiter

import (
	"math"
	"testing"
	"time"
)

// What the limit becomes, where it would be 100 without, sample by sample.
func TestMemoryLimit(t *testing.T) {
	type step struct {
		used     float64 // share of the memory
		inFlight float64
		want     float64 // limit
	}
	repeat := func(n int, s step) (steps []step) {
		for range n {
			steps = append(steps, s)
		}
		return steps
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"enough", []step{{.2, 50, 100}, {.75, 90, 100}, {.84, 90, 100}}},
		{"too much: four fifths of what is in flight", []step{{.85, 50, 40}}},
		{"again: of the limit", []step{{.9, 50, 40}, {.9, 45, 32}, {.9, 20, 16}}},
		{"never below the floor", []step{{.99, 5, 4}, {.99, 4, 3.2}, {.99, 3, 2.4}, {.99, 2, 2}, {.99, 2, 2}}},
		{"with nothing in flight", []step{{.99, 0, 2}}},
		{"it stays in between", []step{{.9, 50, 40}, {.8, 40, 40}, {.76, 40, 40}}},
		{"and goes up with enough", []step{{.9, 50, 40}, {.7, 40, 50}, {.7, 50, 62.5}, {.7, 60, 78.125}}},
		{"until there is no limit", append([]step{{.9, 80, 64}, {.7, 64, 80}, {.7, 80, 100}}, repeat(5, step{.7, 80, 100})...)},
		{"at the calm mark too", []step{{.9, 50, 40}, {.75, 40, 50}}},
		{"a calm begins anew", append(append(repeat(memoryVain, step{.9, 1, 2}), step{.75, 1, 2.5}), repeat(memoryVain, step{.9, 1, 2})...)},
		{"it helped at once", append([]step{{.99, 1, 2}}, repeat(2*memoryVain, step{.93, 1, 2})...)},
		{"it helped by hardly a twentieth, which is in vain", append(append([]step{{.99, 1, 2}}, repeat(memoryVain-1, step{.942, 1, 2})...), step{.942, 1, 100})},
		{"it helped by just more", append([]step{{.99, 1, 2}}, repeat(2*memoryVain, step{.938, 1, 2})...)},
		{"in vain until the calm mark", append(append(repeat(memoryVain, step{.9, 1, 2}), step{.9, 1, 100}, step{.76, 50, 100}, step{.9, 50, 100}, step{.75, 1, 100}), step{.9, 50, 40})},
		{"for forty collections it may help", append(repeat(40, step{.9, 1, 2}), step{.9, 1, 100})},
		{"it does not help, also once less is used", append(repeat(memoryVain, step{.99, 1, 2}), step{.99, 1, 100}, step{.9, 50, 100})},
		{"it does not help", append(append(repeat(memoryVain, step{.9, 1, 2}), step{.9, 1, 100}), repeat(50, step{.99, 50, 100})...)},
		{"it helps", append(repeat(memoryVain, step{.99, 1, 2}), repeat(50, step{.9, 1, 2})...)},
		{"after a calm it may help again", append(append(repeat(memoryVain, step{.9, 1, 2}), step{.9, 1, 100}, step{.7, 1, 100}), step{.9, 50, 40})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, now := new(memoryLimit), time.Second
			for i, s := range tt.steps {
				now += 10 * time.Millisecond
				m.judge(now, MemorySample{Used: uint64(math.Round(s.used * 1000)), Limit: 1000, Collections: uint64(i + 1)}, s.inFlight, 2)
				if got := m.capped(100); math.Abs(got-s.want) > 1e-9 {
					t.Fatalf("sample %d, %+v: limit %v", i, s, got)
				}
			}
		})
	}
}

// Between two garbage collections nothing is known. If garbage is not collected at all,
// since little memory is allocated, the limit goes up.
func TestMemoryLimitBetweenCollections(t *testing.T) {
	m, full := new(memoryLimit), MemorySample{Used: 95, Limit: 100, Collections: 1}
	for _, s := range []struct {
		at   time.Duration
		want float64
	}{
		{1000 * time.Millisecond, 40}, {1010 * time.Millisecond, 40}, {1999 * time.Millisecond, 40},
		{2000 * time.Millisecond, 50}, {2999 * time.Millisecond, 50}, {3 * time.Second, 62.5},
	} {
		m.judge(s.at, full, 50, 2)
		if got := m.capped(100); got != s.want {
			t.Errorf("at %v: limit %v, want %v", s.at, got, s.want)
		}
	}
	full.Collections++
	m.judge(3010*time.Millisecond, full, 50, 2)
	if got := m.capped(100); got != 40 {
		t.Errorf("collected again: limit %v, want 40", got)
	}
}

// Without a signal of memory there is nothing to lower the limit.
func TestNoMemoryLimit(t *testing.T) {
	var m *memoryLimit
	if got := m.capped(100); got != 100 {
		t.Errorf("limit %v, want 100", got)
	}
}

// What the limit is, with requests that hold no slot and with little memory.
func TestPublishLimit(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fixed   bool
		limit   float64 // without all of that
		without int32   // requests without a slot
		memory  float64 // limit by memory; 0: none
		want    int
		short   bool // of memory
	}{
		{"the limit", false, 50, 0, 0, 50, false},
		{"with those without a slot, no more than the maximum", false, 90, 20, 0, 80, false},
		{"but one", false, 90, 100, 0, 1, false},
		{"one that is given stays", true, 90, 20, 0, 90, false},
		{"little memory", false, 50, 0, 30, 30, true},
		{"it is little for those without a slot, too", false, 50, 10, 30, 20, true},
		{"one more is enough", false, 50, 40, 30, 1, true},
		{"enough memory, also for those without a slot", false, 50, 10, 70, 50, false},
	} {
		c := New(Config{Min: 1, Max: 100})
		c.adaptive.limit, c.adaptive.fixed = tt.limit, tt.fixed
		c.slots.overtaken.Store(tt.without)
		c.memory = &memoryLimit{limit: tt.memory}
		c.publishLimit()
		if got := c.Limit(); got != tt.want || c.queue.memory != tt.short {
			t.Errorf("%s: got %d, little memory: %v, want %d, %v", tt.name, got, c.queue.memory, tt.want, tt.short)
		}
	}
}

// Samples that do not tell how much memory there is change nothing.
func TestMemoryIsNotKnown(t *testing.T) {
	for _, s := range []MemorySample{{Used: 95, Collections: 1}, {Used: 95, Limit: 95, Collections: 0}} {
		for _, known := range []bool{false, true} {
			if known && s.Limit > 0 {
				continue
			}
			c := New(Config{Min: 1, Max: 100, Memory: func() (MemorySample, bool) { return s, known }})
			before := c.Limit()
			c.Watch(time.Second)
			if got := c.Limit(); got != before {
				t.Errorf("%+v, known: %v: got a limit of %d, want %d", s, known, got, before)
			}
		}
	}
}
