package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// run lets the policy go through the scenario.
func run(ctx context.Context, net network, s scenario, p policy, seed uint64) (result, error) {
	fail := func(err error) (result, error) {
		return result{}, fmt.Errorf("storm: %s, %s: %w", s.id, p.id, err)
	}
	defer net.close()
	backends := make([]*backend, s.zones)
	hosts := make([]string, s.zones)
	turn := new(atomic.Uint64)
	for i := range backends {
		b := newBackend(s.workers, s.work(s.mean), s.flaws, seed*100+uint64(i))
		defer b.close()
		h, err := s.front(net, b)
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
	bottom := spread{hosts: hosts, backends: backends, turn: turn, rec: rec}
	top := bottom
	if s.hops > 0 { // attempts are counted at the bottom
		host, err := s.stack(net, p, bottom)
		if err != nil {
			return fail(err)
		}
		top = spread{hosts: []string{host}, turn: turn}
	}
	clients := make([]http.RoundTripper, s.clients)
	for i := range clients {
		wire := top
		wire.next, wire.part = net.dial(), s.partOf(i)
		client, err := s.policyOf(i, p).make(&wire, s.settings)
		if err != nil {
			return fail(err)
		}
		clients[i] = client
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	rec.giveUp = stop
	rec.start = time.Now()
	faults := s.schedule(backends, clients, top.hosts[0])
	defer faults()
	s.drive(running, clients, top.hosts[0], seed, rec)
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

// schedule has what befalls the backends, and the clients, happen in its time.
func (s *scenario) schedule(backends []*backend, clients []http.RoundTripper, host string) (stop func()) {
	var timers []*time.Timer
	if s.script != nil {
		for _, e := range s.script(s) {
			timers = append(timers, time.AfterFunc(e.at, func() {
				for i, b := range backends {
					if e.zone == every || e.zone == i {
						b.change(e.do)
					}
				}
			}))
		}
	}
	if s.lowered > 0 {
		timers = append(timers, time.AfterFunc(s.calm, func() {
			for _, c := range clients {
				if t, live := c.(*transport.Transport); live {
					if err := t.SetPolicy(host, s.policy(s.lowered)); err != nil {
						panic(err)
					}
				}
			}
		}))
	}
	return func() {
		for _, t := range timers {
			t.Stop()
		}
	}
}

// drive sends the calls, each client its share as a Poisson process, whether or
// not earlier ones have been answered.
func (s *scenario) drive(ctx context.Context, clients []http.RoundTripper, host string, seed uint64, rec *record) {
	var calls, arrivals sync.WaitGroup
	for i, client := range clients {
		arrivals.Go(func() {
			for at := range s.arrivals(i, seed) {
				if !pause(ctx, time.Until(rec.start.Add(at))) {
					return
				}
				rec.arrived(time.Since(rec.start) - at)
				for range max(s.burst, 1) {
					calls.Go(func() { s.call(ctx, client, host, at, s.partOf(i), rec) })
				}
			}
		})
	}
	arrivals.Wait()
	calls.Wait()
}

// arrivals yields when the calls of a client begin, since the start. Where the
// rate has a shape it is followed in steps.
func (s *scenario) arrivals(client int, seed uint64) iter.Seq[time.Duration] {
	const step = 50 * time.Millisecond
	return func(yield func(time.Duration) bool) {
		random := rand.New(rand.NewPCG(seed, uint64(client)))
		var at time.Duration
		for at < s.length() {
			rate := s.calls(at) / float64(s.clients*max(s.burst, 1))
			if rate <= 0 {
				at += step
				continue
			}
			gap := time.Duration(random.ExpFloat64() / rate * float64(time.Second))
			if s.shape != nil && gap > step {
				at += step
				continue
			}
			at += gap
			if at >= s.length() || !yield(at) {
				return
			}
		}
	}
}

func (s *scenario) call(ctx context.Context, client http.RoundTripper, host string, at time.Duration, part int, rec *record) {
	due := s.due(at)
	if !s.noContext {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, due)
		defer cancel()
	}
	method, body := http.MethodGet, io.Reader(nil)
	if s.method != "" {
		method, body = s.method, strings.NewReader("{}")
	}
	start := time.Now()
	sent := new(atomic.Int64)
	req, err := http.NewRequestWithContext(context.WithValue(ctx, sentKey{}, sent), method, "http://"+host+"/", body)
	if err != nil {
		panic(err) // the host is one of our own
	}
	resp, err := client.RoundTrip(req)
	good := err == nil && resp.StatusCode == http.StatusOK
	if err == nil {
		_, readErr := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		good = good && readErr == nil
	}
	took := time.Since(start)
	rec.called(at, took, good && (!s.noContext || took <= due), part)
	if first := sent.Load(); first == 0 || time.Unix(0, first).Sub(start) > prompt {
		rec.delayed()
	}
}

// due is how long a call that begins at the time may take.
func (s *scenario) due(at time.Duration) time.Duration {
	if n := len(s.deadlines); n > 0 {
		return s.deadlines[int(at/time.Millisecond)%n]
	}
	return s.deadline
}

// partOf is the part of the fleet that a client belongs to.
func (s *scenario) partOf(client int) int {
	sum := 0.0
	for i, p := range s.fleet {
		if sum += p.share; float64(client)+0.5 <= sum*float64(s.clients) {
			return i
		}
	}
	return max(0, len(s.fleet)-1)
}

func (s *scenario) policyOf(client int, p policy) policy {
	if len(s.fleet) == 0 {
		return p
	}
	all := policies()
	return all[slices.IndexFunc(all, func(p policy) bool { return p.id == s.fleet[s.partOf(client)].policy })]
}

// sentKey is the context key of when a call was first sent, in Unix ns.
type sentKey struct{}

// prompt is how soon a call is sent that does not wait.
const prompt = 50 * time.Millisecond

// spread is the wire of a client: it counts what is sent and, where a service
// has several zones, takes turns with the other clients.
type spread struct {
	next     http.RoundTripper
	hosts    []string
	backends []*backend // one for each host, if they are known
	turn     *atomic.Uint64
	rec      *record
	part     int
}

func (w *spread) RoundTrip(req *http.Request) (*http.Response, error) {
	if sent, ours := req.Context().Value(sentKey{}).(*atomic.Int64); ours {
		sent.CompareAndSwap(0, time.Now().UnixNano())
	}
	if w.rec != nil {
		w.rec.sent(w.part)
	}
	zone := 0
	if len(w.hosts) > 1 {
		zone = int(w.turn.Add(1)) % len(w.hosts)
		req = req.Clone(req.Context())
		req.URL.Host = w.hosts[zone]
	}
	if w.backends != nil {
		if err := w.backends[zone].refusal(); err != nil {
			if req.Body != nil {
				req.Body.Close()
			}
			return nil, err
		}
	}
	return w.next.RoundTrip(req)
}

// stack puts services before the one at the bottom, each with a client of the
// policy, and returns where the first of them is.
func (s *scenario) stack(net network, p policy, bottom spread) (string, error) {
	wire := bottom
	for range s.hops {
		wire.next = net.dial()
		client, err := p.make(&spread{wire.next, wire.hosts, wire.backends, wire.turn, wire.rec, 0}, s.settings)
		if err != nil {
			return "", err
		}
		below := wire.hosts[0]
		h, err := s.front(net, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { forward(w, r, client, below) }))
		if err != nil {
			return "", err
		}
		host, err := net.serve(h)
		if err != nil {
			return "", err
		}
		wire = spread{hosts: []string{host}, turn: bottom.turn}
	}
	return wire.hosts[0], nil
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
