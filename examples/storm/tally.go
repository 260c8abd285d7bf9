package main

import (
	"sync"
	"time"
)

// A tally counts what happens in a lane, second by second.
type tally struct {
	start time.Time

	mu         sync.Mutex
	seconds    []second
	after      second // what happens after the last second
	failures   map[string]int
	unexpected error // the first failure of another kind
	lateCalls  int
}

// A second counts calls in the second in which they arrived, whenever the answer
// came, and attempts in the second in which they were sent.
type second struct {
	calls     int
	attempts  int
	successes int
	answers   int // successful responses that came in this second
}

func newTally(start time.Time, seconds int) *tally {
	return &tally{start: start, seconds: make([]second, seconds), failures: make(map[string]int)}
}

// at returns the second of a time. The caller holds mu.
func (t *tally) at(when time.Time) *second {
	i := int(max(0, when.Sub(t.start)) / time.Second)
	if i >= len(t.seconds) {
		return &t.after
	}
	return &t.seconds[i]
}

func (t *tally) call(arrived time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at(arrived).calls++
}

func (t *tally) attempt(sent time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at(sent).attempts++
}

func (t *tally) success(arrived, answered time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at(arrived).successes++
	t.at(answered).answers++
}

func (t *tally) failure(kind string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures[kind]++
	if kind == kindOther && t.unexpected == nil {
		t.unexpected = err
	}
}

// late counts calls that started more than 50 ms late. If there are many, the
// machine is too slow for this storm.
func (t *tally) late(by time.Duration) {
	if by <= 50*time.Millisecond {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lateCalls++
}

// second returns a copy of one second.
func (t *tally) second(i int) second {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seconds[i]
}
