package transport

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers/service"
	"github.com/datapunk/evenkeel/transport/internal/quantile"
)

// A Hedge says when a second copy of a request is sent to cut the tail of the
// latency (Dean and Barroso, "The Tail at Scale", CACM 2013). Zero fields take
// the default.
type Hedge struct {
	// Quantile is the share of first attempts that are answered before a
	// second copy is sent, 0.5 up to below 1. The time it stands for is
	// observed, per service. The default is 1 - 3/4·Ratio, so that there is a
	// copy for nearly every answer that takes longer: 0.985.
	Quantile float64
	// Delay sends the second copy after a fixed time instead. The default 0
	// means the observed one.
	Delay time.Duration
	// Ratio bounds the copies per request of a service, 0 up to 1. Each also
	// takes a token of the retry budget. The default is 0.02.
	Ratio float64
}

// hedgeStock is how many copies may be saved up, in the millionths that accounts
// count; a quarter of it is there at the start. Slow answers come in clumps, and
// the tail is made of those that find the stock used up. It is no more than what
// the retry budget lets pass anyway.
const hedgeStock = 20_000_000

const defaultHedgeRatio = 0.02

func (h Hedge) filled() Hedge {
	if h.Ratio == 0 {
		h.Ratio = defaultHedgeRatio
	}
	if h.Quantile == 0 {
		h.Quantile = max(0.5, 1-0.75*h.Ratio)
	}
	return h
}

func (h Hedge) validate() error {
	var errs []error
	if h.Quantile != 0 && !(h.Quantile >= 0.5 && h.Quantile < 1) {
		errs = append(errs, fmt.Errorf("Hedge.Quantile %v: want 0.5 up to below 1, or 0 for the default", h.Quantile))
	}
	if h.Delay < 0 {
		errs = append(errs, fmt.Errorf("Hedge.Delay %v: want a positive duration, or 0 for the observed one", h.Delay))
	}
	if !(h.Ratio == 0 || h.Ratio >= 0.001 && h.Ratio <= 1) {
		errs = append(errs, fmt.Errorf("Hedge.Ratio %v: want 0.001 up to 1, or 0 for the default", h.Ratio))
	}
	return errors.Join(errs...)
}

// hedgeLayer is above the guard: each copy is an attempt of its own.
type hedgeLayer struct {
	next  http.RoundTripper
	hedge Hedge
	loop  *loop
	guard *guardLayer // nil: none
	known *service.Set[hedged]
}

// hedged is what is known of a service.
type hedged struct {
	latency *quantile.Estimator // of first attempts that got a response
	spare   *budget.Account     // what Ratio allows
	used    atomic.Bool         // since the set last looked
}

func newHedgeLayer(h Hedge) *hedgeLayer {
	l := &hedgeLayer{hedge: h.filled()}
	l.known = service.NewSet(defaultServices, func(string) *hedged {
		spare := budget.NewAccount(budget.Policy{Ratio: l.hedge.Ratio}, nil)
		spare.SetCeiling(hedgeStock)
		spare.Bring(hedgeStock / 4)
		return &hedged{latency: quantile.New(l.hedge.Quantile), spare: spare}
	}, (*hedged).idle)
	return l
}

// over returns the layer over another base, with what is known of services.
func (l *hedgeLayer) over(next http.RoundTripper, loop *loop, guard *guardLayer) *hedgeLayer {
	return &hedgeLayer{next: next, hedge: l.hedge, loop: loop, guard: guard, known: l.known}
}

// idle reports whether nobody has called the service since it was last asked.
// What was known is soon learnt anew.
func (h *hedged) idle() bool { return !h.used.Swap(false) }

func (l *hedgeLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, ok := req.Context().Value(attemptKey{}).(*attemptCtx)
	if !ok || ctx.number != 1 || !ctx.run.hedgeable() {
		return l.next.RoundTrip(req)
	}
	known := l.known.Get(ctx.run.call.record.Service)
	if known == nil {
		return l.next.RoundTrip(req)
	}
	if !known.used.Load() {
		known.used.Store(true)
	}
	if ctx.run.held == 0 { // or it would for each time that it asks
		known.spare.Deposit()
	}
	delay := l.hedge.Delay
	if delay == 0 {
		delay = known.latency.Value()
	}
	start := time.Now()
	var resp *http.Response
	var err error
	if delay == 0 {
		resp, err = l.next.RoundTrip(req)
	} else {
		r := &race{layer: l, run: ctx.run, spare: known.spare, done: make(chan struct{})}
		resp, err = r.primary(req, delay)
	}
	if err == nil {
		known.latency.Add(time.Since(start))
	}
	return resp, err
}

// hedgeable reports whether the request may be under way twice. Two bodies that
// GetBody returns may read from one place, which nobody can see; two readers of
// our own making over the same bytes do not.
func (r *run) hedgeable() bool {
	return r.call.policy.MaxAttempts > 1 &&
		(!hasBody(r.req) || r.lender != nil && r.lender.kept.known()) && r.safe()
}
