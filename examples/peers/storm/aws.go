package main

import (
	"context"
	"math"
	"sync"
	"time"
)

// aws is the standard retry mode of the AWS SDKs: 500 tokens; a retry takes 14
// of them, or 5 after the server said that it throttles; a retry that succeeds
// gives back what it took, a first attempt that succeeds gives 1. The wait is
// up to 50 ms, doubled per attempt, or up to 1 s after throttling, 20 s at
// most.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
// https://github.com/aws/aws-sdk-go-v2/tree/main/aws/retry
type aws struct {
	free
	mu     sync.Mutex
	tokens int
	cost   int // of the newest retry
}

const (
	awsTokens       = 500
	awsRetryCost    = 14
	awsThrottleCost = 5
)

func newAWS(settings) throttle { return &aws{tokens: awsTokens} }

func (a *aws) retry(o outcome, _ int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	cost := awsRetryCost
	if o == shed {
		cost = awsThrottleCost
	}
	if a.tokens < cost {
		return false
	}
	a.tokens -= cost
	a.cost = cost
	return true
}

func (a *aws) done(o outcome, attempt int) {
	if o != ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	gain := 1
	if attempt > 1 {
		gain = a.cost
	}
	a.tokens = min(a.tokens+gain, awsTokens)
}

func (a *aws) backoff(o outcome, attempt int) time.Duration {
	base := 50 * time.Millisecond
	if o == shed {
		base = time.Second
	}
	return fullJitter(base, 20*time.Second, attempt)
}

// awsAdaptive is the adaptive retry mode: the standard mode behind a rate limit
// on all attempts, which starts at the first throttling and follows the cubic
// function of TCP CUBIC.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
// https://github.com/aws/aws-sdk-go-v2/blob/main/aws/retry/adaptive_ratelimit.go
type awsAdaptive struct {
	*aws
	mu        sync.Mutex
	start     time.Time
	enabled   bool
	fillRate  float64
	capacity  float64
	available float64
	filled    float64 // when, in seconds since start

	measured    float64 // attempts per second
	bucket      float64 // half seconds, as the rest in seconds
	sent        float64 // in the bucket
	lastMax     float64
	lastLimited float64
	window      float64
}

const (
	awsBeta    = 0.7
	awsScale   = 0.4
	awsSmooth  = 0.8
	awsMinFill = 0.5
	awsMinCap  = 1
)

func newAWSAdaptive(s settings) throttle {
	return &awsAdaptive{aws: newAWS(s).(*aws), start: time.Now()}
}

func (a *awsAdaptive) now() float64 { return time.Since(a.start).Seconds() }

func (a *awsAdaptive) refill() {
	now := a.now()
	a.available = min(a.capacity, a.available+(now-a.filled)*a.fillRate)
	a.filled = now
}

func (a *awsAdaptive) admit(ctx context.Context, _ int) error {
	for {
		a.mu.Lock()
		if !a.enabled {
			a.mu.Unlock()
			return nil
		}
		a.refill()
		if a.available >= 1 {
			a.available--
			a.mu.Unlock()
			return nil
		}
		wait := time.Duration((1 - a.available) / a.fillRate * float64(time.Second))
		a.mu.Unlock()
		if !pause(ctx, wait+time.Millisecond) {
			return ctx.Err()
		}
	}
}

func (a *awsAdaptive) done(o outcome, attempt int) {
	a.aws.done(o, attempt)
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	a.sent++
	if bucket := math.Floor(now*2) / 2; bucket > a.bucket {
		a.measured = a.sent/(bucket-a.bucket)*awsSmooth + a.measured*(1-awsSmooth)
		a.sent, a.bucket = 0, bucket
	}
	var rate float64
	if o == shed {
		limit := a.measured
		if a.enabled {
			limit = min(limit, a.fillRate)
		}
		a.lastMax, a.lastLimited, a.enabled = limit, now, true
		a.window = math.Cbrt(limit * (1 - awsBeta) / awsScale)
		rate = limit * awsBeta
	} else {
		a.window = math.Cbrt(a.lastMax * (1 - awsBeta) / awsScale)
		rate = awsScale*math.Pow(now-a.lastLimited-a.window, 3) + a.lastMax
	}
	rate = min(rate, 2*a.measured)
	a.refill()
	a.fillRate = max(rate, awsMinFill)
	a.capacity = max(rate, awsMinCap)
	a.available = min(a.available, a.capacity)
}
