package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
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
	clients atomic.Pointer[[]*client] // replaced with the policy
	bases   []*counted                // one per client
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
	if err := l.use(p, s.cfg); err != nil {
		return nil, err
	}
	var wrap func(http.Handler) http.Handler
	var err error
	if p.server != nil {
		if wrap, err = p.server(s.cfg); err != nil {
			return nil, err
		}
	}
	l.backend, err = startBackend(newQueue(s.cfg, s.start), wrap)
	return l, err
}

// use gives the lane new clients, for a policy. Calls under way keep the old
// clients. The connections belong to the lane and are kept.
func (l *lane) use(p policy, cfg config) error {
	for len(l.bases) < cfg.clients {
		base := http.DefaultTransport.(*http.Transport).Clone()
		base.Proxy = nil
		base.MaxIdleConnsPerHost = 100 // the default of 2 would measure handshakes
		l.bases = append(l.bases, &counted{base: base, tally: l.tally})
	}
	clients := make([]*client, cfg.clients)
	for i, base := range l.bases {
		c, err := p.client(cfg, base)
		if err != nil {
			return err
		}
		clients[i] = c
	}
	l.clients.Store(&clients)
	return nil
}

// run returns when every call has ended, or soon after ctx is done.
func (s *storm) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, l := range s.lanes {
		for i := range s.cfg.clients {
			// Every policy sees the same arrivals.
			rng := rand.New(rand.NewPCG(s.cfg.seed, uint64(i)))
			wg.Go(func() { s.arrive(ctx, &wg, l, i, rng) })
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

// arrive starts calls at the times of a Poisson process, whether or not earlier
// calls have been answered: an open loop, like many independent users.
func (s *storm) arrive(ctx context.Context, wg *sync.WaitGroup, l *lane, i int, rng *rand.Rand) {
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
		wg.Go(func() { s.call(ctx, l, (*l.clients.Load())[i], at) })
	}
}

// call makes one call and counts it in the second in which it arrived.
func (s *storm) call(ctx context.Context, l *lane, c *client, at time.Time) {
	l.tally.call(at)
	ctx, cancel := context.WithTimeout(ctx, s.cfg.deadline)
	defer cancel()
	if err := get(ctx, c, "http://"+l.backend.host); err != nil {
		l.tally.failure(kindOf(err), err)
		return
	}
	l.tally.success(at, time.Now())
}

// statusError is an answer other than 200.
type statusError string

func (e statusError) Error() string { return string(e) }

func get(ctx context.Context, c *client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
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
	kindRefused = "refused" // by the breaker or the guard of the client
	kindOther   = "other"
)

func kindOf(err error) string {
	var status statusError
	var refusal interface{ RefusedFor() time.Duration } // an error of breaker or guard
	var network net.Error
	switch {
	case errors.As(err, &status):
		return kindStatus
	case errors.As(err, &refusal):
		return kindRefused
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return kindTimeout
	}
	return kindOther
}

// counted counts the requests that a client sends.
type counted struct {
	base  *http.Transport
	tally *tally
}

func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	c.tally.attempt(time.Now())
	return c.base.RoundTrip(req)
}

func (c *counted) CloseIdleConnections() { c.base.CloseIdleConnections() }
