package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// sre is the adaptive throttling of the SRE book: over two minutes, an attempt
// is refused with the probability (requests - K·accepts) / (requests + 1), K
// being 2. What the client refuses counts as a request too. A fast error is an
// accepted request here; a refusal of the server and a timeout are not.
// Beyer et al., Site Reliability Engineering, ch. 21 "Handling Overload":
// https://sre.google/sre-book/handling-overload/
type sre struct {
	free
	mu                sync.Mutex
	start             time.Time
	requests, accepts window
}

// A window is a sum over the last two minutes.
type window struct {
	seconds [120]float64
	at      int
	sum     float64
}

func (w *window) add(second int, n float64) {
	for ; w.at < second; w.at++ {
		oldest := &w.seconds[(w.at+1)%len(w.seconds)]
		w.sum -= *oldest
		*oldest = 0
	}
	w.seconds[w.at%len(w.seconds)] += n
	w.sum += n
}

func newSRE(settings) throttle { return &sre{start: time.Now()} }

func (s *sre) admit(context.Context, int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	second := int(time.Since(s.start) / time.Second)
	s.requests.add(second, 0)
	s.accepts.add(second, 0)
	refused := rand.Float64() < (s.requests.sum-2*s.accepts.sum)/(s.requests.sum+1)
	s.requests.add(second, 1)
	if refused {
		return errThrottled
	}
	return nil
}

func (s *sre) done(o outcome, _ int) {
	if o == shed || o == timedOut {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepts.add(int(time.Since(s.start)/time.Second), 1)
}
