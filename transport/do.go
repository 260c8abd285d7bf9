package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/datapunk/evenkeel/headers/service"
)

// Do runs op until it succeeds, under the policy, as a chain does with a request: with
// the same backoff, and with the budget and observers of the options. The operation must
// be safe to repeat. Its context carries the number of the attempt. With an
// AttemptTimeout, that context ends after it.
//
// Every error is worth another attempt, unless ctx is done. An error marked by
// [Permanent] ends the call. One marked by [RetryAfter] says how long to wait. If ctx is
// done at the start, the operation is not run, and the error is that of ctx with its
// cause. As in a chain, an operation for an inbound request that is a retry, or for which
// a service downstream asked for no retry, runs once: disabled, server_said_no.
//
// The error after one attempt is that of op itself. After a retry, a wait or a refusal it
// is an [*Error] around the last one.
//
// Do has no budget of its own, because a budget must outlive the call: set one by
// [WithBudget]. The service that it is asked for, and that events carry, is
// service.Of(ctx). Statuses and MaxReplayBytes do not apply.
func Do[T any](ctx context.Context, p Policy, op func(context.Context) (T, error), opts ...DoOption) (T, error) {
	var value T
	if op == nil {
		return value, errors.New("transport: Do: the operation is nil")
	}
	err := doing(ctx, p, opts, func(ctx context.Context) error {
		v, err := op(ctx)
		if err == nil {
			value = v
		}
		return err
	})
	return value, err
}

// Permanent marks an error that another attempt would not change. It is for the
// operation of [Do] and for attempt layers. A nil error stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &marked{err: err, permanent: true}
}

// RetryAfter marks an error after which the next attempt should wait at least d. A d
// above the policy's MaxRetryAfter ends the call. A nil error stays nil.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &marked{err: err, after: max(d, 0)}
}

type marked struct {
	err       error
	permanent bool
	after     time.Duration
}

func (m *marked) Error() string { return m.err.Error() }
func (m *marked) Unwrap() error { return m.err }

// isMarkedPermanent looks under other marks too: who says how long to wait does
// not thereby say that waiting helps.
func isMarkedPermanent(err error) bool {
	var m *marked
	for errors.As(err, &m) {
		if m.permanent {
			return true
		}
		err = m.err
	}
	return false
}

// askedWait returns how long an error asks to wait.
func askedWait(err error) time.Duration {
	var m *marked
	if errors.As(err, &m) {
		return m.after
	}
	return 0
}

// doing is Do without its type parameter.
func doing(ctx context.Context, p Policy, opts []DoOption, op func(context.Context) error) error {
	if ctx == nil {
		return errors.New("transport: Do: the context is nil")
	}
	cfg := defaults()
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&cfg)
		}
	}
	if err := p.validate(); err != nil {
		return fmt.Errorf("transport: Do: %w", err)
	}
	r := &round{loop: &loop{backoff: cfg.backoff, budget: cfg.budget, dryRun: cfg.dryRun}}
	if cfg.dryRun {
		r.would = new(would)
	}
	c := &r.own
	r.call, c.policy = c, p.filled()
	c.record.Service = service.Of(ctx)
	if len(cfg.observers) > 0 {
		born := time.Now()
		c.born = &born
	}
	defer c.end(ctx, nil, cfg.observers)
	defer r.charge.refund()
	err := r.begun(ctx)
	if err == nil {
		err = r.repeat(ctx, op, cfg.observers)
	}
	c.settle(nil, err)
	return err
}

// begun returns why the operation is not to be run at all.
func (r *round) begun(ctx context.Context) error {
	if err := r.open(); err != nil {
		return r.refuse(err)
	}
	stop := endedBy(ctx)
	if stop == "" {
		return nil
	}
	err := ctx.Err()
	if cause := context.Cause(ctx); cause != nil && cause != err {
		err = &endedError{err: err, cause: cause}
	}
	r.over = true
	r.call.report(r, stop, 0, err)
	return err
}

// repeat is the loop of Do. It differs from that of requests in what is sent
// and what an answer is; what is decided, and in which order, is the same.
func (r *round) repeat(ctx context.Context, op func(context.Context) error, os observers) error {
	p := r.call.policy
	for n := 1; ; n++ {
		err := r.try(ctx, op, os)
		r.charge.settle(err == nil, false, false)
		f := facts{failed: err != nil, attempt: n, max: p.MaxAttempts, maxHint: p.MaxRetryAfter, safe: true, replayable: true}
		f.class, f.hint = classifyOperation(ctx, err), askedWait(err)
		f.ended, f.inbound = endedBy(ctx), inboundStop(ctx)
		r.once, r.ended = n == 1 && !isCut(err), f.ended != ""
		if f.open() {
			f.wait = p.delay(n, f.hint, r.loop.backoff, nil)
		}
		if t, ok := ctx.Deadline(); ok {
			f.deadline, f.left = true, time.Until(t)
		}
		stop := decide(f)
		if stop == StopSucceeded {
			r.call.report(r, stop, 0, nil)
			return nil
		}
		if stop == "" && r.loop.dryRun {
			stop = r.wouldGoOn()
		}
		if stop == "" {
			stop = r.await(ctx, f.wait, func() StopReason { r.replaced = &failure{err: err}; return "" })
		}
		switch {
		case r.interrupted:
			return r.fail(newEndedError(ctx, nil, err), stop)
		case stop != "":
			return r.fail(err, stop)
		}
	}
}

// try runs op once, within AttemptTimeout.
func (r *round) try(ctx context.Context, op func(context.Context) error, os observers) (err error) {
	r.sending()
	event := AttemptEvent{
		Service: r.call.record.Service, Attempt: int(r.sent.Load()), Waited: r.lastWait, Err: errPanic,
	}
	if r.replaced != nil {
		event.AfterErr = r.replaced.err
	}
	if len(os) > 0 {
		start := r.call.clock()
		defer func() {
			event.Duration = r.call.answered() - start
			os.attempt(ctx, event)
		}()
	}
	var attempt context.Context = &attemptCtx{Context: ctx, round: r, number: r.sent.Load()}
	if r.loop.dryRun && r.call.policy.AttemptTimeout > 0 {
		start := time.Now()
		defer func() { r.would.timeOut = time.Since(start) >= r.call.policy.AttemptTimeout }()
	}
	if limit := r.limit(ctx); limit > 0 {
		late := &timeoutError{after: limit, missing: missingResult}
		bounded, cancel := context.WithTimeoutCause(attempt, limit, late)
		defer cancel()
		defer func() {
			// An operation that gave up because of the limit timed out.
			if err != nil && ctx.Err() == nil && errors.Is(err, bounded.Err()) {
				err = &timeoutError{after: limit, missing: missingResult, err: err}
				event.Err = err
			}
		}()
		attempt = bounded
	}
	err = op(attempt)
	event.Err = err
	return err
}

// classifyOperation judges what an operation returned. An operation knows best,
// so only its own mark and the end of the context are final.
func classifyOperation(ctx context.Context, err error) class {
	switch {
	case err == nil:
		return classSuccess
	case isMarkedPermanent(err), ctx.Err() != nil:
		return classFinal
	}
	return classRetryable
}
