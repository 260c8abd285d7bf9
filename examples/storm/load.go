package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// A storm is one run of all policies side by side.
type storm struct {
	cfg   config
	start time.Time
	lanes []*lane
}

// A lane is a policy with its clients and its backend.
type lane struct {
	policy  policy
	backend *backend
	clients []*http.Client
	bases   []*http.Transport
	tally   *tally
}

// newStorm starts the backends. The calls begin a moment later.
func newStorm(cfg config) (*storm, error) {
	s := &storm{cfg: cfg, start: time.Now().Add(200 * time.Millisecond)}
	for _, p := range cfg.policies {
		l, err := s.newLane(p)
		if err != nil {
			s.close()
			return nil, err
		}
		s.lanes = append(s.lanes, l)
	}
	return s, nil
}

func (s *storm) newLane(p policy) (*lane, error) {
	l := &lane{policy: p, tally: newTally(s.start, wholeSeconds(s.cfg.duration))}
	var wrap func(http.Handler) http.Handler
	var err error
	if p.server != nil {
		if wrap, err = p.server(s.cfg); err != nil {
			return nil, err
		}
	}
	for range s.cfg.clients {
		base := http.DefaultTransport.(*http.Transport).Clone()
		base.Proxy = nil
		base.MaxIdleConnsPerHost = 100 // the default of 2 would measure handshakes
		client, err := p.client(s.cfg, &counted{base: base, tally: l.tally})
		if err != nil {
			return nil, err
		}
		l.bases, l.clients = append(l.bases, base), append(l.clients, client)
	}
	l.backend, err = startBackend(newQueue(s.cfg, s.start), wrap)
	return l, err
}

// run returns when every call has ended, or soon after ctx has.
func (s *storm) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, l := range s.lanes {
		for i, client := range l.clients {
			// Every policy sees the same arrivals.
			rng := rand.New(rand.NewPCG(s.cfg.seed, uint64(i)))
			wg.Go(func() { s.arrive(ctx, &wg, l, client, rng) })
		}
	}
	wg.Wait()
}

func (s *storm) close() {
	for _, l := range s.lanes {
		l.backend.close()
		for _, base := range l.bases {
			base.CloseIdleConnections()
		}
	}
}

// arrive starts calls at the times of a Poisson process, whatever became of
// the calls before: an open loop, as many independent users are.
func (s *storm) arrive(ctx context.Context, wg *sync.WaitGroup, l *lane, client *http.Client, rng *rand.Rand) {
	gap := float64(time.Second) * float64(s.cfg.clients) / s.cfg.rate
	timer := time.NewTimer(0)
	defer timer.Stop()
	for at := s.start; ; {
		at = at.Add(time.Duration(rng.ExpFloat64() * gap))
		if at.Sub(s.start) >= s.cfg.duration {
			return
		}
		timer.Reset(time.Until(at))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		l.tally.late(time.Since(at))
		wg.Go(func() { s.call(ctx, l, client, at) })
	}
}

// call makes one call and counts it in the second in which it arrived.
func (s *storm) call(ctx context.Context, l *lane, client *http.Client, at time.Time) {
	l.tally.call(at)
	ctx, cancel := context.WithTimeout(ctx, s.cfg.deadline)
	defer cancel()
	if err := get(ctx, client, l.backend.url); err != nil {
		l.tally.failure(kindOf(err), err)
		return
	}
	l.tally.success(at, time.Now())
}

// statusError is an answer other than 200.
type statusError string

func (e statusError) Error() string { return string(e) }

func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return statusError(resp.Status)
	}
	return nil
}

// The kinds of failures.
const (
	kindTimeout = "timeout"
	kindStatus  = "status"
	kindHeld    = "held_back" // breaker or guard had the last word
	kindOther   = "other"
)

func kindOf(err error) string {
	var status statusError
	var refusal interface{ RefusedFor() time.Duration } // of breaker or guard
	var network net.Error
	switch {
	case errors.As(err, &status):
		return kindStatus
	case errors.As(err, &refusal):
		return kindHeld
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return kindTimeout
	}
	return kindOther
}

// counted counts what a client puts on the wire.
type counted struct {
	base  *http.Transport
	tally *tally
}

func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	c.tally.attempt(time.Now())
	return c.base.RoundTrip(req)
}

func (c *counted) CloseIdleConnections() { c.base.CloseIdleConnections() }
