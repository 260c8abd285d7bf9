package limiter

import (
	"math"
	"testing"
	"time"
)

// When a window has seen enough, and what it then says.
func TestWindowCloses(t *testing.T) {
	ms := time.Millisecond
	for _, tt := range []struct {
		name          string
		n             int
		elapsed       time.Duration
		first, trying bool
		want          bool
	}{
		{"fifty in a tenth of a second are enough", 50, 100 * ms, false, false, true},
		{"too soon", windowCount, windowTime - 1, false, false, false},
		{"too few", windowCount - 1, windowTime, false, false, false},
		{"few, after half a second", slowCount, 500 * ms, false, false, true},
		{"few, too soon", slowCount, 500*ms - 1, false, false, false},
		{"too few, after a while", slowCount - 1, slowTime, false, false, false},
		{"few, in a trial", slowCount, windowTime, false, true, true},
		{"few, in a trial, too soon", slowCount, windowTime - 1, false, true, false},
		{"too few, in a trial", slowCount - 1, windowTime, false, true, false},
		{"however few, in a trial of a second", 1, time.Second, false, true, true},
		{"however few, too soon", 1, time.Second - 1, false, true, false},
		{"the first ones", firstCount, ms, true, false, true},
		{"not all of the first ones", firstCount - 1, ms, true, false, false},
		{"most of the first ones, after thirty times as long", firstMost, 468750 * time.Microsecond, true, false, true},
		{"most of the first ones, before", firstMost, 468750*time.Microsecond - 1, true, false, false},
		{"fewer of the first ones", firstMost - 1, time.Hour, true, false, false},
	} {
		w := window{since: time.Hour}
		for range tt.n {
			w.add(Completion{Took: 15625 * time.Microsecond, InFlight: 1}, 0, 0)
		}
		if got := w.closes(time.Hour+tt.elapsed, tt.first, tt.trying); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// When the first window does not wait any longer for the first requests, and what is taken for
// the latency of one that meets no others.
func TestFirstWindow(t *testing.T) {
	for _, tt := range []struct {
		name         string
		n, gone      int // first ones that are over, their clients left
		others, left int // others, which take a second
		elapsed      time.Duration
		want         bool
		alone        time.Duration
	}{
		{"none of the first ones is over", 0, 0, 500, 500, time.Hour, false, 3 * sec},
		{"half of the clients leave", 4, 4, 12, 4, sec, false, sec},
		{"most of them do", 4, 4, 12, 5, sec, true, sec},
		{"most do, but few are over", 4, 4, 11, 11, sec, false, sec},
		{"others are over, the first ones are not", 1, 0, 49, 0, 5 * sec, true, 3 * sec},
		{"too few are", 1, 0, 48, 0, 5 * sec, false, 3 * sec},
		{"too soon", 1, 0, 49, 0, 5*sec - 1, false, 3 * sec},
		{"most of the first ones are", firstMost, 0, 38, 0, 5 * sec, true, 100 * ms},
	} {
		w := window{seconds: tt.elapsed.Seconds(), others: tt.others, left: tt.left, tookOthers: float64(tt.others)}
		for i := range tt.n {
			c := Completion{Took: 100 * ms, InFlight: 1}
			if i < tt.gone {
				c.Outcome = Gone
			}
			w.add(c, 0, 0)
		}
		if got := w.outrun(tt.elapsed); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
		w.failed = w.n
		if w.outrun(time.Hour) {
			t.Errorf("%s, but they failed: it does not wait", tt.name)
		}
		if got, want := w.alone(), tt.alone.Seconds(); math.Abs(got-want) > .1*want {
			t.Errorf("%s: alone it takes %v s, want %v s", tt.name, got, want)
		}
	}
}

// How many more were in flight and in the queue at the end of a window, and whether any had
// to wait.
func TestWindowAdds(t *testing.T) {
	type load struct {
		inFlight, queued int
		waiting          bool
	}
	for _, tt := range []struct {
		name                    string
		seen                    []load
		first, last, most       int
		firstQueued, lastQueued int
		waited                  bool
	}{
		{"one answer: as many at the end", []load{{9, 4, false}}, 9, 9, 9, 4, 4, false},
		{"more are in flight at the end", []load{{9, 4, false}, {12, 6, false}, {14, 7, false}}, 9, 14, 14, 4, 7, false},
		{"fewer are, and there were more between", []load{{9, 4, false}, {12, 6, false}, {3, 1, false}}, 9, 3, 12, 4, 1, false},
		{"one had to wait at first", []load{{9, 4, true}, {9, 4, false}}, 9, 9, 9, 4, 4, true},
		{"one had to wait at the end", []load{{9, 4, false}, {9, 4, true}}, 9, 9, 9, 4, 4, true},
	} {
		var w window
		for _, l := range tt.seen {
			w.add(Completion{Took: time.Second, InFlight: l.inFlight, Waiting: l.waiting}, l.queued, 0)
		}
		if w.firstIn != tt.first || w.lastIn != tt.last || w.most != tt.most || w.firstQueued != tt.firstQueued || w.queued != tt.lastQueued {
			t.Errorf("%s: got %d, then %d, at most %d in flight, and %d, then %d in the queue", tt.name, w.firstIn, w.lastIn, w.most, w.firstQueued, w.queued)
		}
		if w.waiting != tt.waited || w.short() != tt.waited {
			t.Errorf("%s: one had to wait: got %v, want %v", tt.name, w.waiting, tt.waited)
		}
	}
}

// What two windows say together.
func TestWindowMerge(t *testing.T) {
	fill := func(n, failed, gone int, took time.Duration) *window {
		w := window{seconds: 2, shed: 3, asked: 40, tooLate: 1}
		for i := range n {
			c := Completion{Took: took, InFlight: 10, Slot: Slot{Weight: 2}}
			switch {
			case i < failed:
				c.Outcome = Failed
			case i < failed+gone:
				c.Outcome = Gone
			}
			w.add(c, 0, 0)
		}
		return &w
	}
	var w window
	w.merge(fill(20, 10, 4, 100*time.Millisecond))
	w.merge(fill(20, 0, 0, 300*time.Millisecond))
	for what, v := range map[string][2]float64{
		"answers per second": {w.rate(), 80 * .75 / 4}, "in flight": {w.level(), 10}, "latency": {w.latency(), .2},
		"refused": {float64(w.shed), 6}, "asked": {w.asked, 80}, "gone": {float64(w.gone), 4}, "too late": {float64(w.tooLate), 2}, "failed": {float64(w.failed), 10}, "all": {w.all, 80}, "squares": {w.squares, 20*.01 + 20*.09},
	} {
		if d := v[0] - v[1]; d < -1e-9 || d > 1e-9 {
			t.Errorf("%s: got %v, want %v", what, v[0], v[1])
		}
	}
	if got := w.usual(); got < .27 || got > .33 {
		t.Errorf("usual: got %v s, want .3 s", got)
	}
}

// The usual latency is the one that three of four are below.
func TestWindowUsual(t *testing.T) {
	for _, tt := range []struct {
		name string
		slow int // of 100: they take 100 ms and not 10
		want time.Duration
	}{
		{"all are quick", 0, 10 * time.Millisecond},
		{"a fifth is slow", 20, 10 * time.Millisecond},
		{"just less than a fourth is", 24, 10 * time.Millisecond},
		{"a fourth is", 25, 100 * time.Millisecond},
		{"a third is", 30, 100 * time.Millisecond},
	} {
		var w window
		for i := range 100 {
			c := Completion{Took: 10 * time.Millisecond}
			if i < tt.slow {
				c.Took = 100 * time.Millisecond
			}
			w.add(c, 0, 0)
		}
		if got := time.Duration(w.usual() * 1e9); (got - tt.want).Abs() > tt.want/10 {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// Clients that leave say something only if most answers are late.
func TestWindowWasted(t *testing.T) {
	for _, tt := range []struct {
		name  string
		gone  int // of 100
		took  time.Duration
		want  bool
		quick int // of 100 take a millisecond instead
	}{
		{"nobody", 0, time.Second, false, 0},
		{"one in ten, and one", 11, time.Second, true, 0},
		{"fewer", 10, time.Second, false, 0},
		{"the others are quick", 40, 14 * time.Millisecond, false, 0},
		{"they are not", 40, 18 * time.Millisecond, true, 0},
		{"most of them", 51, 14 * time.Millisecond, true, 0},
		{"half of them", 50, 14 * time.Millisecond, false, 0},
		{"they are not, if hardly so", 40, 16 * time.Millisecond, true, 0},
		{"just most are not", 40, 18 * time.Millisecond, true, 48},
		{"just most are quick", 40, 18 * time.Millisecond, false, 52},
	} {
		var w window
		for i := range 100 {
			c := Completion{Took: tt.took, InFlight: 1}
			if i < tt.gone {
				c.Outcome = Gone
			}
			if i >= 100-tt.quick {
				c.Took = time.Millisecond
			}
			w.add(c, 0, 0)
		}
		if got := w.wasted(.01); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A request from before a step is old, also if it then waited for its client.
func TestWindowOld(t *testing.T) {
	for _, tt := range []struct {
		name         string
		took, paused time.Duration
		want         int
	}{
		{"from after the step", time.Second, 0, 0},
		{"from the step", 2 * time.Second, 0, 0},
		{"from before it", 2*time.Second + 1, 0, 1},
		{"from after it, with what it waited", time.Second, time.Second, 0},
		{"from before it, with what it waited", time.Second, time.Second + 1, 1},
	} {
		var w window
		w.add(Completion{At: time.Hour, Took: tt.took, Paused: tt.paused, InFlight: 1}, 0, time.Hour-2*time.Second)
		if w.stale != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, w.stale, tt.want)
		}
	}
	for stale, want := range map[int]bool{20: false, 21: true} {
		if got := (&window{n: 100, stale: stale}).old(); got != want {
			t.Errorf("%d of 100: got %v, want %v", stale, got, want)
		}
	}
}

// What a window served in time.
func TestWindowUseful(t *testing.T) {
	for _, tt := range []struct {
		name   string
		w      window
		served int
		useful float64
		most   bool
		rate   float64
	}{
		{"all", window{n: 100, all: 200, seconds: 2}, 100, 100, true, 100},
		{"errors are of no use, but no matter", window{n: 100, all: 100, seconds: 2, failed: 60}, 40, 20, true, 20},
		{"clients that have gone count a little", window{n: 100, all: 100, seconds: 2, gone: 40}, 60, 31, true, 50},
		{"as do answers that were too late", window{n: 100, all: 100, seconds: 2, tooLate: 40}, 60, 31, true, 50},
		{"half are of use", window{n: 100, all: 100, seconds: 1, failed: 20, gone: 30, tooLate: 10}, 40, 42, true, 80},
		{"fewer are", window{n: 100, all: 100, seconds: 1, failed: 20, gone: 30, tooLate: 11}, 39, 41.05, false, 80},
	} {
		w := &tt.w
		if w.served() != tt.served || w.useful() != tt.useful || w.mostUseful() != tt.most || w.rate() != tt.rate {
			t.Errorf("%s: got %d, %v a second of %v, most: %v", tt.name, w.served(), w.useful(), w.rate(), w.mostUseful())
		}
	}
}

// A quantile is right to a tenth.
func TestHistogram(t *testing.T) {
	for _, s := range []float64{1e-6, .0001, .013, .2, 1, 7, 1500} {
		var h histogram
		for range 75 {
			h.add(s)
		}
		for range 25 {
			h.add(2 * s)
		}
		for share, want := range map[float64]float64{.5: s, .74: s, .76: 2 * s, .99: 2 * s} {
			if got := h.quantile(share); got < .91*want || got > 1.1*want {
				t.Errorf("%v of %v s: got %v s, want %v s", share, s, got, want)
			}
		}
	}
	var four histogram
	for _, s := range []float64{.01, .01, .01, .1} {
		four.add(s)
	}
	if got := four.quantile(.75); got < .09 || got > .11 {
		t.Errorf("three of four are below %v s, want .1 s", got)
	}
	var h histogram
	if got := h.quantile(.5); got != 0 {
		t.Errorf("got %v s of nothing, want 0", got)
	}
	h.add(1e-9)
	h.add(1e9)
	if h[0] != 1 || h[len(h)-1] != 1 {
		t.Error("latencies beyond the buckets are not in the first and the last")
	}
}
