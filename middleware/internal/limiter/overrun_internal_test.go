package limiter

import (
	"hash/maphash"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// While the processors are far behind, callers who ask for little are served, and the
// one who floods is refused, whatever their number.
func TestOverrunIsFair(t *testing.T) {
	for _, tt := range []struct {
		name         string
		quiet, flood int     // callers with 20 requests per second each, and requests of one
		share        float64 // refused
		served       float64 // of the quiet ones, at least
	}{
		{"a few", 4, 2000, .9, .97},
		{"of whom each asks for more than a share", 20, 2000, .9, .45},
		{"many", 200, 12000, .5, .95},
		{"half of what they ask for at all", 20, 0, .5, .45},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := New(Config{Min: 2, Max: 100, Fair: true, SchedulerLatency: 10 * time.Millisecond, Scheduler: func() (SchedulerSample, bool) {
				return SchedulerSample{}, false
			}})
			c.adaptive.sched.refuse = tt.share
			c.publishOverrun()
			seed := maphash.MakeSeed()
			rng := rand.New(rand.NewPCG(1, 2))
			total := 20*tt.quiet + tt.flood
			var asked, served, refused float64
			const seconds = 20
			for i := range seconds * total {
				at := time.Hour + time.Duration(float64(i)/float64(total)*1e9)
				caller := rng.IntN(total) - tt.flood // of the flood below 0
				key := caller / 20
				if caller < 0 {
					key = -1
				}
				no := c.RefuseOverrun(at, false, rng.Float64(), maphash.Comparable(seed, key))
				if no {
					refused++
				}
				if key >= 0 {
					asked++
					if !no {
						served++
					}
				}
			}
			if got := served / asked; got < tt.served {
				t.Errorf("%.3f of the quiet callers served, want at least %v", got, tt.served)
			}
			if got := refused / (seconds * float64(total)); math.Abs(got-tt.share) > .1 { // the more callers, the more chance in what each asks for
				t.Errorf("%.3f refused in all, want %v", got, tt.share)
			}
		})
	}
}

// What is left goes to those who ask for more, in equal parts.
func TestLevel(t *testing.T) {
	for _, tt := range []struct {
		asks  []uint32
		share float64
		want  float64
	}{
		{[]uint32{100}, .5, 50},
		{[]uint32{100, 0, 0}, .5, 50},
		{[]uint32{100, 300}, .5, 100},
		{[]uint32{900, 10, 90}, .5, 400},
		{[]uint32{900, 900, 10, 90}, .5, 425},
		{[]uint32{10, 10}, 1, 0},
		{nil, .5, 0},
	} {
		if got := level(tt.asks, tt.share); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%v of %v: at most %v each, want %v", tt.share, tt.asks, got, tt.want)
		}
	}
}

// Which requests are refused while half of them are, as the processors are far behind.
func TestOverrunRules(t *testing.T) {
	for _, tt := range []struct {
		name   string
		share  float64
		fair   bool // callers are told apart, and nothing is known of them
		retry  bool
		chance float64
		want   bool
	}{
		{"no share is: not even a retry", 0, false, true, 0, false},
		{"a retry, always", .5, false, true, .99, true},
		{"another, by chance", .5, false, false, .4996, true},
		{"by chance it is not", .5, false, false, .5, false},
		{"of a share of next to nothing, too", .001, false, false, 0, true},
		{"where callers are told apart, a retry, always", .5, true, true, .99, true},
		{"where they are, another, by chance", .5, true, false, .4997, true},
		{"where they are, by chance it is not", .5, true, false, .5, false},
	} {
		c := New(Config{Min: 2, Max: 100, Fair: tt.fair, SchedulerLatency: 10 * time.Millisecond, Scheduler: func() (SchedulerSample, bool) {
			return SchedulerSample{}, false
		}})
		c.adaptive.sched.refuse = tt.share
		c.publishOverrun()
		if got := c.RefuseOverrun(start, tt.retry, tt.chance, 7); got != tt.want || c.Overruns() != (tt.share > 0) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// What a look at the scheduler finds is known at once, also if it is told by a request.
func TestOverrunIsPublished(t *testing.T) {
	for _, tt := range []struct {
		refuse float64
		after  time.Duration
		want   uint32 // thousandths
	}{{.5, 0, 500}, {.4996, 0, 499}, {.5, schedEvery, 375}, {.05, schedEvery, 0}} {
		c := New(Config{Min: 2, Max: 100, SchedulerLatency: 10 * time.Millisecond, Scheduler: func() (SchedulerSample, bool) {
			return SchedulerSample{P99: time.Millisecond, Processors: 1}, true
		}})
		c.adaptive.sched.refuse, c.adaptive.sched.at = tt.refuse, start
		c.publishOverrun()
		c.RefuseOverrun(start+tt.after, false, 1, 0)
		if got := c.overrun.Load(); got != tt.want {
			t.Errorf("%v refused, a look after %v: got %d of 1000, want %d", tt.refuse, tt.after, got, tt.want)
		}
	}
}

// Which share of the next request of a caller is refused, if half of all are. In the time
// before, one caller asked 90 times and another 10 times, so that 40 is the most that one
// caller gets.
func TestDemand(t *testing.T) {
	const ms = time.Millisecond
	const many, few, other = 1 + 7*demandSize, 2 + 8*demandSize, 3 + 9*demandSize
	for _, tt := range []struct {
		name      string
		many, few uint64 // the callers; 0: as above
		after     time.Duration
		asks      uint64 // who does
		times     int    // and had before since then
		others    int    // requests of the first of them since then
		want      float64
	}{
		{"that time is not over: half of each", 0, 0, 249 * ms, many, 0, 0, .5},
		{"who asked for much gets no more than that", 0, 0, 250 * ms, many, 0, 0, 1 - 40./90},
		{"who asked for little gets it all", 0, 0, 250 * ms, few, 0, 0, 0},
		{"who did not ask gets it all", 0, 0, 250 * ms, other, 0, 0, 0},
		{"who asks for more now gets less of it", 0, 0, 250 * ms, few, 99, 0, 1 - 40./100},
		{"it is known for as long again", 0, 0, 499 * ms, many, 0, 0, 1 - 40./90},
		{"and no longer: half of each", 0, 0, 500 * ms, many, 0, 0, .5},
		{"one that is like another in one part of its hash, and asks for little", many, many + demandSize, 250 * ms, many + demandSize, 0, 0, 0},
		{"that, which asks for more now", many, many + demandSize, 250 * ms, many + demandSize, 0, 99, 0},
		{"one that is like another in the other part", many, many + 1, 250 * ms, many + 1, 0, 0, 0},
		{"that, and asks for much", many, many + 1, 250 * ms, many, 0, 0, 1 - 40./90},
		{"that, and asks for more now", many, many + 1, 250 * ms, many + 1, 99, 0, 1 - 40./100},
		{"one that is like another in that part, which asks for more now", many, many + 1, 250 * ms, many + 1, 0, 99, 0},
	} {
		var d demand
		if tt.many == 0 {
			tt.many, tt.few = many, few
		}
		for range 90 {
			d.excess(start, tt.many, .5)
		}
		for range 10 {
			d.excess(start, tt.few, .5)
		}
		for range tt.others {
			d.excess(start+tt.after, tt.many, .5)
		}
		for range tt.times {
			d.excess(start+tt.after, tt.asks, .5)
		}
		if got := d.excess(start+tt.after, tt.asks, .5); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
