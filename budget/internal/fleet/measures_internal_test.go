package fleet

import (
	"math"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

// A bound watches that in no window more was spent than was earned in it and
// in stock at its start.
type bound struct {
	spent, low, worst float64
	started           bool
}

func (b *bound) add(x bucket, p budget.Policy) {
	b.spent += x.unpaid(p)
	b.worst = max(b.worst, b.spent-b.low)
}

func (b *bound) start(stock float64) {
	if x := b.spent + stock; !b.started || x < b.low {
		b.low, b.started = x, true
	}
}

// excess is the most that was spent in any window beyond what was earned in
// it: the maximum subarray. It is in seconds of budget.
func (w *world) excess(buckets []bucket, rate float64) float64 {
	var sum, most float64
	for _, b := range buckets {
		sum = max(0, sum+b.unpaid(w.policy))
		most = max(most, sum)
	}
	return most / (w.policy.Ratio*rate + w.policy.MinPerSecond)
}

func total(buckets []bucket) (t bucket) {
	for _, b := range buckets {
		t.requests += b.requests
		t.failures += b.failures
		t.retries += b.retries
		t.calls += b.calls
		t.paying += b.paying
		t.helped += b.helped
		t.lost += b.lost
	}
	return t
}

// between are the buckets from one moment to another.
func (w *world) between(from, to time.Duration) []bucket {
	return w.buckets[min(int(from/bucketSize), len(w.buckets)):min(int(to/bucketSize), len(w.buckets))]
}

// peak is the highest ratio of retries to requests in a second.
func (w *world) peak() float64 {
	most := 0.0
	for at := time.Duration(0); at < w.length; at += time.Second {
		if t := total(w.between(at, at+time.Second)); t.requests > 0 {
			most = max(most, float64(t.retries)/float64(t.requests))
		}
	}
	return most
}

// jain is the fairness of the retries that the instances got. The fair share of each is
// what its own requests earn, and of the rest the same as the others, but no more than
// it can use: two retries for a request.
func jain(members []*member, atLeast int, ratio float64, failed func(*member) bool) float64 {
	var compared []*member
	all := 0.0
	for _, m := range members {
		if m.requests >= atLeast && failed(m) {
			compared = append(compared, m)
			all += float64(m.retries)
		}
	}
	fair := func(m *member, level float64) float64 {
		return min(2*float64(m.requests), ratio*float64(m.requests)+level)
	}
	low, high := 0.0, all
	for range 60 {
		level, given := (low+high)/2, 0.0
		for _, m := range compared {
			given += fair(m, level)
		}
		if given < all {
			low = level
		} else {
			high = level
		}
	}
	var sum, squares float64
	for _, m := range compared {
		x := float64(m.retries) / fair(m, high)
		sum += x
		squares += x * x
	}
	if squares == 0 {
		return math.NaN()
	}
	return sum * sum / (float64(len(compared)) * squares)
}
