package main

import (
	"context"
	"sync"
	"time"
)

// finagle is the RetryBudget of Finagle: each request deposits, each retry
// withdraws five times as much, deposits expire after 10 s, and there is a
// reserve for 10 retries per second.
// https://github.com/twitter/finagle/blob/develop/finagle-core/src/main/scala/com/twitter/finagle/service/RetryBudget.scala
type finagle struct {
	free
	mu    sync.Mutex
	start time.Time
	slots [10]float64 // of a second each
	at    int         // the newest, in seconds since start
}

const (
	finaglePercent   = 0.2
	finagleMinPerSec = 10
)

func newFinagle(settings) throttle { return &finagle{start: time.Now()} }

func (f *finagle) add(n float64) {
	second := int(time.Since(f.start) / time.Second)
	for ; f.at < second; f.at++ {
		f.slots[(f.at+1)%len(f.slots)] = 0
	}
	f.slots[f.at%len(f.slots)] += n
}

func (f *finagle) over(int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(1)
}

func (f *finagle) retry(outcome, int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(0)
	balance := finagleMinPerSec * float64(len(f.slots)) / finaglePercent
	for _, s := range f.slots {
		balance += s
	}
	if balance < 1/finaglePercent {
		return false
	}
	f.add(-1 / finaglePercent)
	return true
}

// envoy is the retry_budget of Envoy: calls under retry, the wait before it
// included, are at most 20 % of the active requests, but 3 in any case. It
// waits from 25 ms up to 250 ms.
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/circuit_breaker.proto
// https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter
type envoy struct {
	mu              sync.Mutex
	active, retries int
}

func newEnvoy(settings) throttle { return new(envoy) }

func (e *envoy) admit(context.Context, int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.active++
	return nil
}

func (e *envoy) done(_ outcome, attempt int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.active--
	if attempt > 1 {
		e.retries--
	}
}

func (e *envoy) over(int) {}

func (e *envoy) retry(outcome, int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if float64(e.retries) >= max(3, 0.2*float64(e.active)) {
		return false
	}
	e.retries++
	return true
}

func (e *envoy) backoff(_ outcome, attempt int) time.Duration {
	return fullJitter(25*time.Millisecond, 250*time.Millisecond, attempt)
}

// grpc is the retry throttling of gRPC: a failure takes a token, a success
// gives a tenth of one, and there is a retry only above half of 10.
// https://github.com/grpc/proposal/blob/master/A6-client-retries.md#throttling-retry-attempts-and-hedged-rpcs
type grpc struct {
	free
	mu     sync.Mutex
	tokens float64
}

const grpcTokens = 10

func newGRPC(settings) throttle { return &grpc{tokens: grpcTokens} }

func (g *grpc) done(o outcome, _ int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if o == ok {
		g.tokens = min(g.tokens+0.1, grpcTokens)
	} else {
		g.tokens = max(g.tokens-1, 0)
	}
}

func (g *grpc) retry(outcome, int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tokens > grpcTokens/2
}
