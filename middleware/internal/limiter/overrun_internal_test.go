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
