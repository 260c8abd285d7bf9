package main

import (
	"net/http"
	"time"
)

// settings are what all policies are given alike.
type settings struct {
	attempts            int // per call
	timeout             time.Duration
	deadline            time.Duration // of a call
	baseDelay, maxDelay time.Duration
	stopped             func(reason string) // told by those clients that can say why a call ended
}

var common = settings{
	attempts: 4, timeout: time.Second, deadline: 5 * time.Second,
	baseDelay: 100 * time.Millisecond, maxDelay: 2 * time.Second,
}

// A policy is what a client does about failures.
type policy struct {
	id    string
	name  string
	make  func(base http.RoundTripper, s settings) (http.RoundTripper, error)
	quick bool // part of -quick
}

func policies() []policy {
	return []policy{
		{id: "none", name: "no retry", make: noRetry, quick: true},
		{id: "retryablehttp", name: "go-retryablehttp, defaults", make: retryableDefault, quick: true},
		{id: "retryablehttp-jitter", name: "go-retryablehttp, full jitter", make: retryableJitter},
		{id: "failsafe", name: "failsafe-go, defaults", make: failsafeWith(failsafeParts{})},
		{id: "failsafe-backoff", name: "failsafe-go, backoff", make: failsafeWith(failsafeParts{backoff: true})},
		{id: "failsafe-budget", name: "failsafe-go, backoff + budget", make: failsafeWith(failsafeParts{backoff: true, budget: true})},
		{id: "failsafe-breaker", name: "failsafe-go, backoff + breaker", make: failsafeWith(failsafeParts{backoff: true, breaker: true}), quick: true},
		{id: "failsafe-throttler", name: "failsafe-go, backoff + adaptive throttler", make: failsafeWith(failsafeParts{backoff: true, throttler: true})},
		{id: "failsafe-limiter", name: "failsafe-go, backoff + adaptive limiter", make: failsafeWith(failsafeParts{backoff: true, limiter: true}), quick: true},
		{id: "failsafe-all", name: "failsafe-go, everything on", make: failsafeWith(failsafeParts{true, true, true, true, true}), quick: true},
		{id: "gobreaker", name: "gobreaker, defaults, + full jitter", make: withGobreaker},
		{id: "finagle", name: "Finagle: 20 % + 10/s", make: published(newFinagle), quick: true},
		{id: "envoy", name: "Envoy: retry_budget 20 %", make: published(newEnvoy)},
		{id: "grpc", name: "gRPC A6 throttling", make: published(newGRPC)},
		{id: "aws", name: "AWS standard mode", make: published(newAWS)},
		{id: "aws-adaptive", name: "AWS adaptive mode", make: published(newAWSAdaptive)},
		{id: "sre", name: "SRE book: adaptive throttling", make: published(newSRE)},
		{id: "jitter", name: "3 retries, full jitter, no budget", make: published(newUnbounded)},

		{id: "evenkeel", name: "**evenkeel**", make: evenkeelWith(), quick: true},
		{id: "evenkeel-breaker", name: "evenkeel + breaker", make: evenkeelBreaker},
		{id: "evenkeel-no-guard", name: "evenkeel, guard off", make: evenkeelWith(guardOff), quick: true},
		{id: "evenkeel-ratio-guard", name: "evenkeel, 20 % ratio budget + guard", make: evenkeelRatio()},
		{id: "evenkeel-ratio", name: "evenkeel, 20 % ratio budget, guard off", make: evenkeelRatio(guardOff)},
		{id: "evenkeel-hedge", name: "**evenkeel + hedging**", make: evenkeelHedge},
		{id: "hedge-p95", name: "second copy after p95, no budget", make: hedgeP95},
		{id: "failsafe-hedge", name: "failsafe-go, hedge after p95", make: failsafeHedge},
	}
}

func noRetry(base http.RoundTripper, s settings) (http.RoundTripper, error) {
	s.attempts = 1
	return published(newUnbounded)(base, s)
}
