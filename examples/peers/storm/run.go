package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// shedding is what an evenkeel server has and a naive one has not.
func shedding() (func(http.Handler) http.Handler, error) {
	return middleware.New(middleware.WithShedding(middleware.Shedding{}), middleware.WithAttempts(), middleware.WithDeadlines(middleware.Deadlines{}))
}

// front returns the handler as the scenario's server has it.
func (s *scenario) front(h http.Handler) (http.Handler, error) {
	if s.server != "evenkeel" {
		return h, nil
	}
	wrap, err := shedding()
	if err != nil {
		return nil, err
	}
	return wrap(h), nil
}

// run lets the policy go through the scenario.
func run(ctx context.Context, net network, s scenario, p policy, seed uint64) (result, error) {
	fail := func(err error) (result, error) {
		return result{}, fmt.Errorf("storm: %s, %s: %w", s.id, p.id, err)
	}
	defer net.close()
	backends := make([]*backend, s.zones)
	hosts := make([]string, s.zones)
	for i := range backends {
		b := newBackend(s.workers, s.work(s.mean), s.flaws, seed*100+uint64(i))
		defer b.close()
		h, err := s.front(b)
		if err != nil {
			return fail(err)
		}
		backends[i] = b
		if hosts[i], err = net.serve(h); err != nil {
			return fail(err)
		}
	}
	rec := newRecord(s)
	s.stopped = rec.stopped
	if s.kind == tiers {
		host, err := s.stack(net, p, hosts[0], rec)
		if err != nil {
			return fail(err)
		}
		hosts = []string{host}
	}
	clients := make([]http.RoundTripper, s.clients)
	for i := range clients {
		wire := &spread{next: net.dial(), hosts: hosts, random: rand.New(rand.NewPCG(seed, 1000+uint64(i)))}
		if s.kind != tiers { // which count at the bottom
			wire.rec = rec
		}
		client, err := p.make(wire, s.settings)
		if err != nil {
			return fail(err)
		}
		clients[i] = client
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	rec.giveUp = stop
	rec.start = time.Now()
	faults := s.schedule(backends)
	defer faults()
	s.drive(running, clients, hosts[0], seed, rec)
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	r := rec.result()
	for _, b := range backends {
		b.mu.Lock()
		r.LateServer = max(r.LateServer, ms(b.late))
		b.mu.Unlock()
	}
	r.Scenario, r.Policy, r.Seed = s.id, p.id, seed
	r.judge(s)
	return r, nil
}

// schedule has the fault begin and end.
func (s *scenario) schedule(backends []*backend) (stop func()) {
	if s.fault == 0 {
		return func() {}
	}
	begin := time.AfterFunc(s.calm, func() {
		if s.stall {
			backends[0].stall(s.fault)
		}
		if s.alive > 0 || s.slower > 0 {
			alive, factor := s.workers, 1.0
			if s.alive > 0 {
				alive = s.alive
			}
			if s.slower > 0 {
				factor = s.slower
			}
			backends[0].set(alive, factor)
		}
	})
	end := time.AfterFunc(s.calm+s.fault, func() {
		factor := 1.0
		if s.then > 0 {
			factor = s.then
		}
		backends[0].set(s.workers, factor)
	})
	return func() { begin.Stop(); end.Stop() }
}

// drive sends the calls, each client its share as a Poisson process, whether or
// not earlier ones have been answered.
func (s *scenario) drive(ctx context.Context, clients []http.RoundTripper, host string, seed uint64, rec *record) {
	var calls, arrivals sync.WaitGroup
	for i, client := range clients {
		arrivals.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			var at time.Duration // since the start
			for {
				gap := random.ExpFloat64() * float64(len(clients)) / s.calls(at)
				at += time.Duration(gap * float64(time.Second))
				if at >= s.length() || !pause(ctx, time.Until(rec.start.Add(at))) {
					return
				}
				due := at
				rec.arrived(time.Since(rec.start) - due)
				calls.Go(func() { s.call(ctx, client, host, due, rec) })
			}
		})
	}
	arrivals.Wait()
	calls.Wait()
}

func (s *scenario) call(ctx context.Context, client http.RoundTripper, host string, at time.Duration, rec *record) {
	ctx, cancel := context.WithTimeout(ctx, s.deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/", nil)
	if err != nil {
		panic(err) // the host is one of our own
	}
	start := time.Now()
	resp, err := client.RoundTrip(req)
	good := err == nil && resp.StatusCode == http.StatusOK
	if err == nil {
		_, readErr := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		good = good && readErr == nil
	}
	rec.called(at, time.Since(start), good)
}

// spread is the wire: it counts what is sent and, where a service has several
// zones, picks one for each attempt.
type spread struct {
	next  http.RoundTripper
	hosts []string
	rec   *record

	mu     sync.Mutex
	random *rand.Rand
}

func (w *spread) RoundTrip(req *http.Request) (*http.Response, error) {
	if w.rec != nil {
		w.rec.sent()
	}
	if len(w.hosts) > 1 {
		w.mu.Lock()
		host := w.hosts[w.random.IntN(len(w.hosts))]
		w.mu.Unlock()
		req = req.Clone(req.Context())
		req.URL.Host = host
	}
	return w.next.RoundTrip(req)
}

// stack puts two services before the one at host, each with a client of the
// policy, and returns where the first of them is.
func (s *scenario) stack(net network, p policy, host string, rec *record) (string, error) {
	for tier := range 2 {
		wire := &spread{next: net.dial(), hosts: []string{host}}
		if tier == 0 {
			wire.rec = rec
		}
		client, err := p.make(wire, s.settings)
		if err != nil {
			return "", err
		}
		below := host
		h, err := s.front(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { forward(w, r, client, below) }))
		if err != nil {
			return "", err
		}
		if host, err = net.serve(h); err != nil {
			return "", err
		}
	}
	return host, nil
}

func forward(w http.ResponseWriter, r *http.Request, client http.RoundTripper, host string) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+host+"/", nil)
	if err != nil {
		panic(err)
	}
	resp, err := client.RoundTrip(req)
	if err != nil {
		status := http.StatusBadGateway
		if errors.Is(err, context.DeadlineExceeded) {
			status = http.StatusGatewayTimeout
		}
		http.Error(w, "the service below failed", status)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	io.Copy(w, resp.Body)
}
