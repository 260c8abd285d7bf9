package quantile_test

import (
	"sync"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/transport/internal/quantile"
)

// some is a number of equal latencies.
type some struct {
	n       int
	latency time.Duration
}

// An estimate is exact to the width of a bucket, an eighth of its value at most.
func TestValue(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name      string
		quantile  float64
		added     []some
		low, high time.Duration
	}{
		{"nothing added", 0.5, nil, 0, 0},
		{"too few", 0.5, []some{{96, ms}}, 0, 0},
		{"enough", 0.5, []some{{128, ms}}, ms * 7 / 8, ms * 9 / 8},
		{"not updated at each", 0.98, []some{{128, ms}, {31, time.Hour}}, ms * 7 / 8, ms * 9 / 8},
		{"updated at the 32nd", 0.98, []some{{128, ms}, {32, time.Hour}}, 120 * time.Second, 138 * time.Second},
		{"below the slow ones", 0.98, []some{{1264, ms}, {16, 10 * ms}}, ms * 7 / 8, ms * 9 / 8},
		{"among the slow ones", 0.98, []some{{1216, ms}, {64, 10 * ms}}, 8 * ms, 11 * ms},
		{"median of two kinds", 0.5, []some{{600, ms}, {680, 4 * ms}}, ms * 7 / 2, ms * 9 / 2},
		{"among the slow of three kinds", 0.9, []some{{1120, ms}, {100, 4 * ms}, {60, 16 * ms}}, ms * 7 / 2, ms * 9 / 2},
		{"half a deviation low", 0.5, []some{{645, ms}, {635, 4 * ms}}, ms * 7 / 8, ms * 9 / 8},
		{"a high quantile of few", 0.999, []some{{127, ms}, {1, time.Second}}, 800 * ms, time.Second},
		{"too fast to measure", 0.5, []some{{128, 0}}, 60_000, 74_000},
		{"negative", 0.5, []some{{128, -time.Second}}, 60_000, 74_000},
		{"too slow to measure", 0.5, []some{{128, time.Hour}}, 120 * time.Second, 138 * time.Second},
		{"forgets", 0.5, []some{{20_000, ms}, {2016, 4 * ms}}, 3 * ms, 5 * ms},
		{"does not forget at once", 0.5, []some{{20_000, ms}, {320, 4 * ms}}, ms * 7 / 8, ms * 9 / 8},
	} {
		e := quantile.New(tt.quantile)
		for _, a := range tt.added {
			for range a.n {
				e.Add(a.latency)
			}
		}
		if got := e.Value(); got < tt.low || got > tt.high {
			t.Errorf("%s: got %v, want %v to %v", tt.name, got, tt.low, tt.high)
		}
	}
}

// Within a bucket the estimate is where that share of its latencies would lie
// if they were spread evenly. 1 ms is in the bucket from 983040 to 1048576 ns.
func TestValueWithinABucket(t *testing.T) {
	for _, tt := range []struct {
		quantile float64
		want     time.Duration
	}{
		{0.5, 1_015_084},
		{0.9, 1_041_699},
		{0.99, 1_047_818},
	} {
		e := quantile.New(tt.quantile)
		for range 1024 {
			e.Add(time.Millisecond)
		}
		if got := e.Value(); (got - tt.want).Abs() > 5 {
			t.Errorf("%v: got %v, want %v", tt.quantile, got, tt.want)
		}
	}
}

func TestAddConcurrently(t *testing.T) {
	e := quantile.New(0.9)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				e.Add(time.Millisecond)
				e.Value()
			}
		})
	}
	wg.Wait()
	if got := e.Value(); got < time.Millisecond*7/8 || got > time.Millisecond*9/8 {
		t.Errorf("got %v, want 1ms to an eighth", got)
	}
}

func BenchmarkAdd(b *testing.B) {
	e := quantile.New(0.98)
	b.ReportAllocs()
	for b.Loop() {
		e.Add(time.Millisecond)
	}
}
