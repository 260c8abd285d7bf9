package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// A throttle is what the published policies differ in. Each file of one cites
// its description.
type throttle interface {
	// admit is asked before every attempt, and may wait.
	admit(ctx context.Context, attempt int) error
	// done is told what came of an attempt, from 1.
	done(o outcome, attempt int)
	// retry is asked after a failure whether there may be another attempt.
	retry(o outcome, attempt int) bool
	// over is told that the call has ended with that many attempts.
	over(attempts int)
}

// backer is a throttle that waits otherwise than with the common full jitter.
type backer interface {
	backoff(o outcome, attempt int) time.Duration
}

// free is a throttle that lets everything pass, for those to embed that do not
// care for all of it.
type free struct{}

func (free) admit(context.Context, int) error { return nil }
func (free) done(outcome, int)                {}
func (free) retry(outcome, int) bool          { return true }
func (free) over(int)                         {}

func newUnbounded(settings) throttle { return free{} }

// An outcome is how an attempt ended.
type outcome int8

const (
	ok       outcome = iota
	failed           // an error, or a 5xx
	shed             // 429 or 503
	timedOut         // within the call's deadline
)

func outcomeOf(resp *http.Response, err error) outcome {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return timedOut
	case err != nil:
		return failed
	case resp.StatusCode == 429 || resp.StatusCode == 503:
		return shed
	case resp.StatusCode >= 500:
		return failed
	}
	return ok
}

// errThrottled is the error of an attempt that a throttle did not let pass.
var errThrottled = errors.New("storm: throttled")

// published returns the maker of a client with the throttle.
func published(t func(settings) throttle) func(http.RoundTripper, settings) (http.RoundTripper, error) {
	return func(base http.RoundTripper, s settings) (http.RoundTripper, error) {
		return &retrier{base: base, settings: s, throttle: t(s)}, nil
	}
}

// retrier is the retry loop around a throttle: attempts with a time limit and
// full jitter between them. It waits for as long as a server asks in
// Retry-After, which not all of the published policies do: they should not
// lose for want of that.
type retrier struct {
	base http.RoundTripper
	settings
	throttle throttle
}

func (r *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	attempts := 0
	defer func() { r.throttle.over(attempts) }()
	for n := 1; ; n++ {
		attempts = n
		if err := r.throttle.admit(ctx, n); err != nil {
			// A throttled attempt may be tried again, as any other failure.
			if n >= r.attempts || !pause(ctx, r.wait(failed, n, nil)) {
				return nil, err
			}
			continue
		}
		resp, err := attempt(r.base, req, r.timeout)
		o := outcomeOf(resp, err)
		r.throttle.done(o, n)
		if o == ok || n >= r.attempts || ctx.Err() != nil {
			return resp, err
		}
		wait := r.wait(o, n, resp)
		if t, bounded := ctx.Deadline(); bounded && time.Until(t) < wait || !r.throttle.retry(o, n) {
			return resp, err
		}
		if resp != nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if !pause(ctx, wait) {
			return nil, ctx.Err()
		}
	}
}

func (r *retrier) wait(o outcome, attempt int, resp *http.Response) time.Duration {
	d := fullJitter(r.baseDelay, r.maxDelay, attempt)
	if b, own := r.throttle.(backer); own {
		d = b.backoff(o, attempt)
	}
	if resp != nil {
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
			d = max(d, time.Duration(s)*time.Second+rand.N(r.baseDelay))
		}
	}
	return d
}

func fullJitter(base, limit time.Duration, attempt int) time.Duration {
	return rand.N(min(base<<(attempt-1), limit) + 1)
}

// attempt sends the request with a time limit, if there is one, that covers the body.
func attempt(base http.RoundTripper, req *http.Request, limit time.Duration) (*http.Response, error) {
	if limit == 0 {
		return base.RoundTrip(req)
	}
	ctx, cancel := context.WithTimeout(req.Context(), limit)
	resp, err := base.RoundTrip(req.Clone(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &cancelBody{resp.Body, cancel}
	return resp, nil
}

type cancelBody struct {
	io.ReadCloser
	cancel func()
}

func (b *cancelBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
