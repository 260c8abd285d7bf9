package transporttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
)

var contextChecks = []check{
	{"context_lives", "The context of an attempt lives until the body of its response is closed.", everywhere, contextLives},
	{"context_released", "Once the body is closed, nothing hangs on the caller's context any more.", everywhere, contextReleased},
	{"cancellation_reaches_base", "When the caller cancels, the base learns it, with the cause, also while the body is read.", everywhere, cancellationReachesBase},
	{"cancellation_ends_call", "When the caller's context ends, so does RoundTrip, with an error that says so.", everywhere, cancellationEndsCall},
	{"cancellation_ends_upload", "When the caller's context ends, so does RoundTrip, also while the base waits for more of the request's body, which it closes.", stub | http2, cancellationEndsUpload},
}

// stairs is a handler that sends its response step by step, when it is told
// to. The copies of a request that a layer sends at once go together, so that
// one that is given up does not take the step of the other.
type stairs struct {
	mu   sync.Mutex               // guards what follows
	told map[string]chan struct{} // by path and number of the step
}

func (s *stairs) step(path string, i int) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := fmt.Sprint(path, i)
	if s.told[key] == nil {
		if s.told == nil {
			s.told = make(map[string]chan struct{})
		}
		s.told[key] = make(chan struct{})
	}
	return s.told[key]
}

func (s *stairs) handler(e *env) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		c := http.NewResponseController(w)
		w.WriteHeader(http.StatusOK)
		c.Flush()
		for i := range 2 {
			select {
			case <-s.step(r.URL.Path, i):
			case <-r.Context().Done():
				return
			case <-e.ctx.Done():
				return
			}
			fmt.Fprintf(w, "step %d\n", i)
			c.Flush()
		}
	})
}

// take has the handler send a line and reads it.
func (s *stairs) take(e *env, resp *http.Response, path string, i int) error {
	close(s.step(path, i))
	return e.within("reading what the server sent just now", func() error {
		_, err := io.ReadFull(resp.Body, make([]byte, len("step 0\n")))
		return err
	})
}

func contextLives(e *env) error {
	var s stairs
	e.serve(s.handler(e))
	for _, k := range kinds {
		path := "/" + k.method
		req, _ := e.request(k, path)
		resp, err := e.send(req)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		for i := range 2 {
			if err := e.attempt(resp).Context().Err(); err != nil {
				return fmt.Errorf("%s: with %d of 2 steps of the response read, the context of the attempt is done: %v", k.name, i, err)
			}
			if err := s.take(e, resp, path, i); err != nil {
				return fmt.Errorf("%s, step %d: %w", k.name, i, err)
			}
		}
		if _, err := e.text(resp); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

// attempt is the request at the base that resp answers, which need not be the
// newest: several copies may have been under way at once.
func (e *env) attempt(resp *http.Response) *http.Request {
	seen := e.base.requests()
	if req := e.base.answered(resp); req != nil {
		return req
	}
	return seen[len(seen)-1] // the layer made a response of its own
}

func contextReleased(e *env) error {
	released := func(ctx *callerContext) bool {
		return e.eventually(func() bool {
			if e.server != nil {
				e.closeIdle() // a connection that is being dialled may outlast its call
			}
			return ctx.held() == 0
		})
	}
	err := e.each(func(p *play) error {
		if !released(p.ctx) {
			return fmt.Errorf("%d contexts derived from the caller's were not cancelled", p.ctx.held())
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, tt := range []struct {
		method, path string
		read         bool
	}{{"GET", "/status/404", false}, {"HEAD", "/echo", false}, {"GET", "/status/204", true}} {
		ctx := newCallerContext(e.ctx)
		defer ctx.cancel()
		req, _ := e.request(kinds[0], tt.path)
		req.Method = tt.method
		resp, err := e.send(req.WithContext(ctx))
		if err != nil {
			return err
		}
		if tt.read {
			io.Copy(io.Discard, resp.Body)
		}
		resp.Body.Close()
		if !released(ctx) {
			return fmt.Errorf("%s %s, closed unread: %d contexts derived from the caller's were not cancelled", tt.method, tt.path, ctx.held())
		}
	}
	return nil
}

func cancellationReachesBase(e *env) error {
	cause := errors.New("the caller has seen enough")
	e.serve(new(stairs).handler(e))
	for _, k := range kinds {
		ctx, cancel := context.WithCancelCause(e.ctx)
		defer cancel(nil)
		req, _ := e.request(k, "/")
		resp, err := e.send(req.WithContext(ctx))
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		defer resp.Body.Close()
		cancel(cause)
		below := e.attempt(resp).Context()
		if !e.eventually(func() bool { return below.Err() != nil }) {
			return fmt.Errorf("%s: the context of the attempt lives on after the caller cancelled", k.name)
		}
		if got := context.Cause(below); got != cause {
			return fmt.Errorf("%s: the cause at the base is %v, want %v", k.name, got, cause)
		}
		err = e.within("the Read that the caller cancelled", func() error {
			_, err := resp.Body.Read(make([]byte, 1))
			if err == nil || err == io.EOF {
				return fmt.Errorf("reading a body that the caller cancelled ended with %v", err)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

func cancellationEndsCall(e *env) error {
	cause := errors.New("the caller has changed its mind")
	e.serve(e.peer())
	for _, tt := range []struct {
		what  string
		early bool
		end   func() (context.Context, func())
		want  error
	}{
		{"cancelled before", true, e.cancellable, context.Canceled},
		{"cancelled while it waits", false, e.cancellable, context.Canceled},
		{"cancelled with a cause", false, func() (context.Context, func()) {
			ctx, cancel := context.WithCancelCause(e.ctx)
			return ctx, func() { cancel(cause) }
		}, cause},
		{"past its deadline", false, func() (context.Context, func()) {
			ctx, cancel := context.WithTimeout(e.ctx, e.moment())
			e.ends = append(e.ends, cancel)
			return ctx, nil
		}, context.DeadlineExceeded},
	} {
		if tt.want == cause && e.ground == http2 {
			tt.want = context.Canceled // net/http's HTTP/2 drops the cause
		}
		for _, k := range kinds {
			if err := e.ended(k, tt.early, tt.end, tt.want); err != nil {
				return fmt.Errorf("%s that is %s: %w", k.name, tt.what, err)
			}
		}
	}
	return nil
}

func (e *env) cancellable() (context.Context, func()) {
	ctx, cancel := context.WithCancel(e.ctx)
	return ctx, cancel
}

func (e *env) ended(k kind, early bool, end func() (context.Context, func()), want error) error {
	ctx, cancel := end()
	req, _ := e.request(k, "/hang")
	if early {
		cancel()
	}
	done := e.start(req.WithContext(ctx))
	if cancel != nil && !early {
		if err := e.arrival(); err != nil {
			return err
		}
		cancel()
	}
	r, err := e.finish(done)
	switch {
	case err != nil:
		return err
	case r.err == nil || !errors.Is(r.err, want):
		return fmt.Errorf("RoundTrip ended with %v, want an error that is %q", r, want)
	case isTimeout(r.err) != (want == context.DeadlineExceeded):
		return fmt.Errorf("RoundTrip ended with %v, whose Timeout is %v", r, isTimeout(r.err))
	}
	return nil
}

// isTimeout asks an error as http.Client does, which looks no deeper.
func isTimeout(err error) bool { return (&url.Error{Err: err}).Timeout() }

// net/http's HTTP/1 does wait for the body, whatever the layer does.
func cancellationEndsUpload(e *env) error {
	e.serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.ReadFull(r.Body, make([]byte, 1))
		e.hangs <- struct{}{}
		io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}))
	for _, rewind := range []bool{false, true} {
		from, to := io.Pipe()
		e.ends = append(e.ends, func() { to.Close() })
		body := &source{r: from}
		ctx, cancel := e.cancellable()
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "PUT", e.url, body)
		if err != nil {
			return err
		}
		req.ContentLength = -1
		if rewind {
			req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("there is no other body") }
		}
		done := e.start(req)
		if err := e.within("sending a byte", func() error { _, err := io.WriteString(to, "x"); return err }); err != nil {
			return err
		}
		if err := e.arrival(); err != nil {
			return err
		}
		cancel()
		r, err := e.finish(done)
		switch {
		case err != nil:
			return err
		case r.err == nil || !errors.Is(r.err, context.Canceled):
			return fmt.Errorf("RoundTrip ended with %v, want an error that is %q", r, context.Canceled)
		case !e.eventually(func() bool { closed, _, _ := body.state(); return closed }):
			return errors.New("the request's body was not closed")
		}
	}
	return nil
}
