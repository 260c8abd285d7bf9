package main

import (
	"testing"
	"time"
)

func TestQueueServesInOrderWithItsWorkers(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	q := newQueue(config{capacity: 250, calm: time.Hour, stall: time.Hour, seed: 1}, start)
	// All arrive at once: the workers start at once, and each further request
	// starts when the first of them is free.
	var last time.Time
	const requests = 10_000
	for i := range requests {
		free := q.free
		done := q.enter(start)
		begin := start
		if earliest := soonest(free); earliest.After(start) {
			begin = earliest
		}
		if done.Before(begin) {
			t.Fatalf("request %d is done at %v, before it begins at %v", i, done, begin)
		}
		if done.After(last) {
			last = done
		}
	}
	// 10,000 exponential times: the sum is within 5 % of its mean at five
	// standard deviations, and the seed is fixed besides.
	want := time.Duration(requests / 250.0 * float64(time.Second))
	if got := last.Sub(start); got < want*95/100 || got > want*105/100 {
		t.Errorf("%d requests took %v, want about %v", requests, got, want)
	}
}

func TestQueueStalls(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	cfg := config{capacity: 1e9, calm: time.Second, stall: 2 * time.Second, seed: 1} // no time for service
	for _, tt := range []struct{ enters, done time.Duration }{
		{0, 0},
		{999 * time.Millisecond, 999 * time.Millisecond},
		{time.Second, 3 * time.Second},
		{2999 * time.Millisecond, 3 * time.Second},
		{3 * time.Second, 3 * time.Second},
	} {
		got := newQueue(cfg, start).enter(start.Add(tt.enters)).Sub(start).Round(time.Microsecond)
		if got != tt.done {
			t.Errorf("a request that enters after %v is done after %v, want %v", tt.enters, got, tt.done)
		}
	}
	// A request from the stall is still served before one that arrives after it.
	q := newQueue(config{capacity: 5, calm: 0, stall: time.Second, seed: 1}, start)
	for range workerCount {
		if done := q.enter(start); done.Before(start.Add(time.Second)) {
			t.Errorf("served at %v, in the stall", done)
		}
	}
	free := soonest(q.free)
	if done := q.enter(start.Add(time.Second)); done.Before(free) {
		t.Errorf("done at %v, before a worker was free at %v", done, free)
	}
}

func soonest(times [workerCount]time.Time) time.Time {
	first := times[0]
	for _, t := range times {
		if t.Before(first) {
			first = t
		}
	}
	return first
}
