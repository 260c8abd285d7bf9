package limiter

import (
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
		{"it works", 21, 20, 20 * ms, 0},
		{"the handler is just full", 80, 200, 20 * ms, 5},
		{"it is more than full", 81, 200, 20 * ms, 2},
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
