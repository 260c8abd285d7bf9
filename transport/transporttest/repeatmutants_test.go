package transporttest

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"
)

var repeatMutants = []mutant{
	{"body_early_answer", "asks for a body while the one before is being sent", 0, repeating(repeater{eager: true})},
	{"body_early_answer", "does not wait for a Read that is under way", stub, repeating(repeater{hasty: true})},
	{"body_early_answer", "lets an earlier attempt read on", stub, repeating(repeater{bare: true})},
	{"body_got_to_be_sent", "waits between asking for a body and sending it", 0, repeating(repeater{lingers: true})},
	{"body_got_to_be_sent", "asks for a body that it has no attempt for", 0, repeating(repeater{spare: true})},
	{"body_not_to_be_had", "makes an error of a GetBody that fails", 0, repeating(repeater{fails: true})},
	{"body_not_to_be_had", "drops the text of the answer for a GetBody that fails", 0, repeating(repeater{empties: true})},
	{"body_closed_once", "closes after an error what the base closes", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			resp, err := base.RoundTrip(req)
			if err != nil {
				closeBody(req)
			}
			return resp, err
		})
	}},
	{"body_closed_once", "closes at the end what it sent again", 0, repeating(repeater{twice: true})},
}

var copyMutants = []mutant{
	{"copies_apart", "gives two copies one Header", 0, hedging(func(req *http.Request) *http.Request {
		if req.Body != nil {
			return nil
		}
		return req.WithContext(req.Context())
	})},
	{"copies_apart", "gives two copies one Body", 0, hedging(func(req *http.Request) *http.Request {
		return req.Clone(req.Context())
	})},
	{"copies_apart", "rewinds the Body of the first copy", 0, hedging(func(req *http.Request) *http.Request {
		if req.GetBody == nil {
			return nil
		}
		req = req.Clone(req.Context())
		req.Body, _ = req.GetBody()
		return req
	})},
}

// A repeater is a layer that sends a request with GetBody again while it is
// answered 503, three times in all, and keeps the contract unless one of its
// fields is set.
type repeater struct {
	base                                                      http.RoundTripper
	eager, hasty, bare, lingers, spare, fails, empties, twice bool
}

func repeating(r repeater) func(http.RoundTripper) http.RoundTripper {
	return func(base http.RoundTripper) http.RoundTripper {
		r := r
		r.base = base
		return &r
	}
}

func (r *repeater) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.GetBody == nil || req.Body == nil {
		return r.base.RoundTrip(req)
	}
	body := r.hold(req.Body)
	for n := 1; ; n++ {
		again := req.WithContext(req.Context())
		again.Body = body
		if r.bare {
			again.Body = body.ReadCloser
		}
		resp, err := r.base.RoundTrip(again)
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable || n == 3 {
			if n == 3 && r.spare {
				if next, err := req.GetBody(); err == nil && next != nil {
					next.Close()
				}
			}
			if n > 1 && r.twice {
				body.ReadCloser.Close()
			}
			return resp, err
		}
		var next io.ReadCloser
		if r.eager {
			next, err = req.GetBody()
		}
		answer, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(answer))
		body.letGo(!r.hasty)
		if !r.eager {
			next, err = req.GetBody()
		}
		switch {
		case err != nil && r.fails:
			return nil, err
		case err != nil || next == nil:
			if r.empties {
				resp.Body = http.NoBody
			}
			return resp, nil
		}
		if r.lingers {
			<-time.After(time.Second)
		}
		body = r.hold(next)
	}
}

func (r *repeater) hold(body io.ReadCloser) *held {
	h := &held{ReadCloser: body}
	h.idle.L = &h.mu
	return h
}

// held is a body that can be taken back from who has it.
type held struct {
	io.ReadCloser
	mu     sync.Mutex // guards what follows
	idle   sync.Cond
	reads  int
	closed bool
}

func (h *held) Read(p []byte) (int, error) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return 0, errClosed
	}
	h.reads++
	h.mu.Unlock()
	n, err := h.ReadCloser.Read(p)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reads--
	h.idle.Broadcast()
	return n, err
}

func (h *held) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	return h.ReadCloser.Close()
}

func (h *held) letGo(wait bool) {
	h.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	for wait && h.reads > 0 {
		h.idle.Wait()
	}
}

// hedging makes a layer that sends a second copy of what is not answered in
// time, if there is one.
func hedging(second func(*http.Request) *http.Request) func(http.RoundTripper) http.RoundTripper {
	return func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			done := make(chan struct{})
			timer := time.AfterFunc(10*time.Second, func() {
				defer close(done)
				if req := second(req); req != nil {
					if resp, err := base.RoundTrip(req); err == nil {
						resp.Body.Close()
					}
				}
			})
			defer func() {
				if !timer.Stop() {
					<-done
				}
			}()
			return base.RoundTrip(req)
		})
	}
}
