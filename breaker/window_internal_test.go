package breaker

import (
	"testing"
	"time"
)

const second = time.Second

func TestTrips(t *testing.T) {
	usual := defaults()
	half := config{tripRatio: 0.5, minRequests: 4}
	slow := config{tripRatio: 1, minRequests: 4, slowAfter: second, slowRatio: 0.5}
	for _, tt := range []struct {
		name string
		cfg  config
		sum  tally
		want bool
	}{
		{"default: all of enough", usual, tally{finished: 100, failed: 100}, true},
		{"default: one success in a hundred", usual, tally{finished: 100, failed: 99}, false},
		{"default: one success in two hundred", usual, tally{finished: 200, failed: 199}, true},
		{"default: two successes in two hundred", usual, tally{finished: 200, failed: 198}, false},
		{"default: all of too few", usual, tally{finished: 99, failed: 99}, false},
		{"at the ratio", half, tally{finished: 4, failed: 2}, true},
		{"under the ratio", half, tally{finished: 5, failed: 2}, false},
		{"too few", half, tally{finished: 3, failed: 3}, false},
		{"slow calls where none are asked for", half, tally{finished: 4, slow: 4}, false},
		{"slow calls at the ratio", slow, tally{finished: 4, slow: 2}, true},
		{"slow calls under the ratio", slow, tally{finished: 5, slow: 2}, false},
		{"too few, all slow", slow, tally{finished: 3, slow: 3}, false},
		{"slow and failed do not add up", slow, tally{finished: 5, failed: 2, slow: 2}, false},
	} {
		if got := tt.cfg.trips(tt.sum); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestOpenTime(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		openFor, outage, want time.Duration
	}{
		{"at first", 200 * time.Millisecond, 0, 200 * time.Millisecond},
		{"before it grows", 200 * time.Millisecond, 20 * second, 200 * time.Millisecond},
		{"a hundredth", 200 * time.Millisecond, 100 * second, second},
		{"the longest", 200 * time.Millisecond, 400 * second, 4 * second},
		{"no longer than that", 200 * time.Millisecond, 24 * time.Hour, 4 * second},
		{"an option below the longest", 3 * second, 350 * second, 3500 * time.Millisecond},
		{"an option above the longest", 5 * second, 24 * time.Hour, 5 * second},
	} {
		cfg := config{openFor: tt.openFor}
		if got := cfg.openTime(tt.outage); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestWindow(t *testing.T) {
	type call struct {
		at     time.Duration
		failed bool
		want   tally
	}
	for name, calls := range map[string][]call{
		"all count": {
			{at: 0, want: tally{finished: 1}},
			{at: 9 * second, failed: true, want: tally{finished: 2, failed: 1}},
		},
		"a step is forgotten after ten": {
			{at: 0, failed: true, want: tally{finished: 1, failed: 1}},
			{at: second, want: tally{finished: 2, failed: 1}},
			{at: 10*second - 1, want: tally{finished: 3, failed: 1}},
			{at: 10 * second, want: tally{finished: 3}},
			{at: 11 * second, want: tally{finished: 3}},
		},
		"after a pause nothing counts": {
			{at: 3 * second, failed: true, want: tally{finished: 1, failed: 1}},
			{at: 13 * second, want: tally{finished: 1}},
		},
		"shortly before the end of a pause it does": {
			{at: 3 * second, failed: true, want: tally{finished: 1, failed: 1}},
			{at: 13*second - 1, want: tally{finished: 2, failed: 1}},
		},
		"it turns more than once": {
			{at: 8 * second, failed: true, want: tally{finished: 1, failed: 1}},
			{at: 16 * second, failed: true, want: tally{finished: 2, failed: 2}},
			{at: 24 * second, want: tally{finished: 2, failed: 1}},
			{at: 100 * second, want: tally{finished: 1}},
			{at: 101 * second, want: tally{finished: 2}},
		},
	} {
		w := newWindow(10 * second)
		for i, c := range calls {
			n := tally{finished: 1}
			if c.failed {
				n.failed = 1
			}
			if got := w.add(c.at, n); got != c.want {
				t.Errorf("%s: call %d at %v: got %+v, want %+v", name, i+1, c.at, got, c.want)
			}
		}
	}
}

func TestWindowForgetsSlowCalls(t *testing.T) {
	w := newWindow(10)
	w.add(3, tally{finished: 1, slow: 1})
	if got, want := w.add(12, tally{finished: 1}), (tally{finished: 2, slow: 1}); got != want {
		t.Errorf("within the window: got %+v, want %+v", got, want)
	}
	if got, want := w.add(13, tally{finished: 1}), (tally{finished: 2}); got != want {
		t.Errorf("after it: got %+v, want %+v", got, want)
	}
	w.clear()
	if got, want := w.add(13, tally{finished: 1}), (tally{finished: 1}); got != want {
		t.Errorf("once cleared: got %+v, want %+v", got, want)
	}
}
