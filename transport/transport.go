package transport

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// A Transport is the client chain. It is an [http.RoundTripper] that retries within a
// policy and a budget, and can be the Transport of any [http.Client] and of
// httputil.ReverseProxy. Make one with [New]. It is safe for concurrent use.
type Transport struct {
	base    http.RoundTripper
	loop    loop
	entry   http.RoundTripper // the call layers around loop; nil without any
	*shared                   // with the chains that Wrap returns
}

// errNotMade is what a Transport answers that is nil, as where the error of New
// was ignored, or zero. It has no policy, so that it sends nothing.
var errNotMade = errors.New("transport: this Transport was not made by New")

// errNoRequest is what a chain answers where a layer passes nothing on.
var errNoRequest = errors.New("transport: the request is nil")

func (t *Transport) made() bool { return t != nil && t.base != nil }

// New returns the chain around base. A nil base is [http.DefaultTransport]. Without
// options it sends a safe request up to three times, with full jitter between attempts,
// within a retry budget for each service, and with a guard that limits concurrency to
// an overloaded service. The error joins all that is wrong with the options.
func New(base http.RoundTripper, opts ...Option) (*Transport, error) {
	cfg := defaults()
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&cfg)
		}
	}
	invalid := cfg.validate()
	if base == nil {
		base = cfg.defaultBase()
	}
	s := &shared{
		cfg:       cfg,
		service:   cfg.service,
		observers: cfg.observers,
		keys:      cfg.keys,
		born:      time.Now(),
	}
	var err error
	if s.services, err = newServices(&s.cfg, s.clock); err != nil {
		return nil, err
	}
	t, err := s.over(base)
	if err := errors.Join(invalid, err); err != nil {
		return nil, err
	}
	return t, nil
}

// stack puts the layers around base.
func (t *Transport) stack(base http.RoundTripper, cfg *config) error {
	var errs []error
	around := func(next http.RoundTripper, option string, mw ...Middleware) http.RoundTripper {
		rt, wrong := chained(next, mw)
		for _, err := range wrong {
			errs = append(errs, fmt.Errorf("transport: %s: %w", option, err))
		}
		return rt
	}
	send := &attemptLayer{next: around(base, "WithAttemptLayer", cfg.attemptLayers...), observers: cfg.observers}
	var judged http.RoundTripper = send
	if cfg.dryRun {
		judged = echo{}
	}
	t.loop = loop{
		next:      around(judged, "WithBreaker", cfg.breaker),
		transport: t,
		check:     cfg.check,
		may:       cfg.repeatable,
		backoff:   cfg.backoff,
		budget:    cfg.budget,
		dryRun:    cfg.dryRun,
		resume:    cfg.resumes(),
	}
	_, direct := base.(*http.Transport)
	if direct {
		t.loop.makers = readerMakers()
	}
	// Ask a breaker that can tell, so that a retry that it would refuse does
	// not cost the caller the answer in hand.
	t.loop.opener, _ = t.loop.next.(opener)
	t.loop.layered = len(cfg.attemptLayers) > 0
	send.alone = cfg.breaker == nil || t.loop.opener != nil
	t.loop.strange = !direct || !send.alone
	if cfg.guard {
		t.loop.next = &guardLayer{next: t.loop.next, born: t.born}
	}
	if cfg.hedge != nil {
		t.loop.next = &hedgeLayer{next: t.loop.next, delay: cfg.hedge.Delay, loop: &t.loop}
	}
	if cfg.dryRun {
		t.loop.next = &dryRunLayer{judges: t.loop.next, send: send}
	}
	if len(cfg.callLayers) > 0 {
		t.entry = around(&t.loop, "WithCallLayer", cfg.callLayers...)
	}
	return errors.Join(errs...)
}

// RoundTrip sends the request, and again while policy, server, budget and deadline
// allow it. It returns the last response from the server. If there was none, it returns
// the base's own error, or an [*Error] if the chain did more than pass the call on. Use
// [CallOf] to learn what happened.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req == nil {
		return nil, errNoRequest
	}
	if !t.made() {
		return unusable(errNotMade)(req)
	}
	if t.nested(req) {
		return t.base.RoundTrip(req)
	}
	r := new(round)
	r.call = &r.own
	defer t.leave(r, req)
	t.newCall(r.call, req)
	r.entered = true
	resp, err := t.enter(r, req)
	if r.over { // what the loop reported is what is returned
		r.call.returned = true
		return resp, err
	}
	r.call.settle(resp, err)
	return resp, err
}

// enter starts at the outermost layer.
func (t *Transport) enter(r *round, req *http.Request) (*http.Response, error) {
	if malformed(req) {
		return t.passMalformed(req)
	}
	// A server may treat a request with a key in another way.
	if t.keys && !t.loop.dryRun {
		req = withIdempotencyKey(req)
	}
	if t.entry == nil {
		return t.loop.do(r, req)
	}
	resp, err := t.entry.RoundTrip(req.WithContext(&callCtx{Context: req.Context(), call: r.call}))
	return oneOf(resp, err, "a call layer")
}

func malformed(req *http.Request) bool { return req.URL == nil || req.Header == nil }

// passMalformed leaves it to the base, which has its own words for that, to say
// what is wrong with a request.
func (t *Transport) passMalformed(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	return oneOf(resp, err, "the base")
}

// oneOf holds what a layer returned to the contract: a response or an error.
func oneOf(resp *http.Response, err error, layer string) (*http.Response, error) {
	switch {
	case err != nil && resp != nil:
		closeBody(resp)
		return nil, err
	case err == nil && resp == nil:
		return nil, fmt.Errorf("transport: %s returned neither a response nor an error", layer)
	}
	return resp, err
}

// leave runs on every path, a panic of the func that names services among them.
func (t *Transport) leave(r *round, req *http.Request) {
	// A call layer that panics may not have got to the loop, which closes it.
	if req.Body != nil && (!r.entered || t.entry != nil && !r.call.returned) {
		req.Body.Close()
	}
	r.call.end(req.Context(), req.URL, t.observers)
}

// CloseIdleConnections calls the method of the base, as [http.Client] expects of its
// Transport. The chain never calls it by itself.
func (t *Transport) CloseIdleConnections() {
	if !t.made() {
		return
	}
	if c, ok := t.base.(idleCloser); ok {
		c.CloseIdleConnections()
	}
}

func methodOf(req *http.Request) string {
	if req.Method == "" {
		return http.MethodGet
	}
	return req.Method
}

// opener is implemented by breakers that can tell, without taking a probe,
// for how long they would refuse a request.
type opener interface {
	OpenFor(*http.Request) time.Duration
}

// refusal is implemented by the errors of layers that refused a request
// without sending it.
type refusal interface {
	error
	RefusedFor() time.Duration
}

func refusedBy(err error) (refusal, bool) {
	var r refusal
	ok := errors.As(err, &r)
	return r, ok
}
