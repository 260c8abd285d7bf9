package transporttest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// What a layer that sends a request again has to heed of its body.
var repeatChecks = []check{
	{"body_early_answer", "A body that arrives whole is the caller's, also after an answer that came before the body was read: GetBody, which may rewind the one reader that there is, is called once the body before is closed and no longer read.", everywhere, bodyEarlyAnswer},
	{"body_got_to_be_sent", "GetBody is called just before its body is sent, and not otherwise.", stub, bodyGotToBeSent},
	{"body_not_to_be_had", "A GetBody that fails costs the caller no answer: the server's is returned.", everywhere, bodyNotToBeHad},
	{"body_closed_once", "Each body is closed once, not more.", stub, bodyClosedOnce},
}

// A supply is a way in which requests have their bodies.
type supply struct {
	name string
	make func(e *env, data []byte) (body io.ReadCloser, again func() (io.ReadCloser, error))
}

var supplies = []supply{
	{"GetBody that rewinds one reader", func(e *env, data []byte) (io.ReadCloser, func() (io.ReadCloser, error)) {
		b := newRewound(data, e.ground == stub)
		return b, b.again
	}},
	{"GetBody that returns new readers", func(_ *env, data []byte) (io.ReadCloser, func() (io.ReadCloser, error)) {
		again := func() (io.ReadCloser, error) { return &source{r: bytes.NewReader(data)}, nil }
		body, _ := again()
		return body, again
	}},
	{"GetBody of http.NewRequest", func(_ *env, data []byte) (io.ReadCloser, func() (io.ReadCloser, error)) {
		again := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
		body, _ := again()
		return body, again
	}},
	{"no GetBody", func(_ *env, data []byte) (io.ReadCloser, func() (io.ReadCloser, error)) {
		return &source{r: bytes.NewReader(data)}, nil
	}},
}

// put makes a PUT with a body from the supply.
func (e *env) put(path string, s supply, data []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(e.ctx, "PUT", e.url+path, nil)
	if err != nil {
		return nil, err
	}
	req.Body, req.GetBody = s.make(e, data)
	req.ContentLength = int64(len(data))
	return req, nil
}

func bodyEarlyAnswer(e *env) error {
	if e.ground != stub {
		return e.earlyOnAWire()
	}
	large, small := payload(), payload()[:1<<20]
	for _, tt := range []struct {
		what string
		data []byte
		base habit
		slow time.Duration // each Read, of a body that is one reader
	}{
		{"once, before anything is read", small, habit{answers: 1}, 0},
		{"once, after a part was read", small, habit{answers: 1, reads: 100_000, pause: time.Millisecond}, 0},
		{"twice, and hardly reads on", small, habit{answers: 2, reads: 1, pause: time.Minute}, 0},
		{"once, during a Read that takes its time", small[:200_000], habit{answers: 1}, 250 * time.Millisecond},
		{"once, early in 8 MiB", large, habit{answers: 1, reads: 1 << 20, pause: time.Second}, 0},
		{"by an error", small[:200_000], habit{answers: 1, fails: true, pause: time.Minute}, 0},
	} {
		want := sumOf(tt.data)
		for i, s := range supplies {
			if len(tt.data) == len(large) && i > 1 {
				continue // what there is to see has been seen
			}
			base := &early{habit: tt.base, length: len(tt.data)}
			e.over(base)
			req, err := e.put("/", s, tt.data)
			if err != nil {
				return err
			}
			one, _ := req.Body.(*rewound)
			if one != nil {
				one.exact, one.pause, base.sent = false, tt.slow, one.sent
			}
			r, err := e.call(req)
			switch {
			case err != nil:
			case r.resp != nil:
				base.mu.Lock()
				taken := slices.Clone(base.taken)
				base.mu.Unlock()
				err = e.whole(r.resp, want, taken)
			case !tt.base.fails || !errors.Is(r.err, errFault):
				err = fmt.Errorf("RoundTrip ended with %v", r)
			}
			base.bodies.Wait()
			if err == nil {
				err = e.whole(answerWith(req, http.StatusServiceUnavailable, busy), want, base.taken)
			}
			if err == nil && one != nil {
				one.sent() // body_got_to_be_sent asks when
				err = one.end()
			}
			if err != nil {
				return fmt.Errorf("a PUT with %s, answered early %s: %w", s.name, tt.what, err)
			}
		}
	}
	return nil
}

func (e *env) earlyOnAWire() error {
	server := &earlyServer{patience: e.patience, begun: make(map[string]<-chan struct{}), calls: make(map[string]chan struct{}), taken: make(map[string][]string)}
	e.serve(server)
	large := payload()
	if e.ground == http2 { // where they take their time, and a window is 1 MiB
		large = large[:2<<20]
	}
	for i, tt := range []struct {
		supply
		data []byte
	}{
		{supplies[0], large},
		{supplies[2], payload()[:1<<20]},
	} {
		path := fmt.Sprint("/", i)
		req, err := e.put(path, tt.supply, tt.data)
		if err != nil {
			return err
		}
		one, _ := req.Body.(*rewound)
		if one != nil && e.ground == http2 {
			server.mu.Lock()
			server.begun[path] = one.begun
			server.mu.Unlock()
			one.first = 20 * time.Millisecond // net/http closes it by then, but does not wait for the Read
		}
		resp, err := e.send(req)
		if err == nil {
			server.mu.Lock()
			taken := slices.Clone(server.taken[path])
			server.mu.Unlock()
			err = e.whole(resp, sumOf(tt.data), taken)
		}
		if one != nil && err == nil {
			one.sent() // when, only a stub can tell
			err = one.end()
		}
		if err != nil {
			return fmt.Errorf("a PUT of %d MiB with %s, answered early: %w", len(tt.data)>>20, tt.name, err)
		}
	}
	return nil
}

func bodyGotToBeSent(e *env) error {
	for _, busy := range []int{0, 1, 2, 10} {
		for _, fails := range []bool{false, true} {
			one := newRewound([]byte(content), true)
			sent := 0
			e.over(roundTripper(func(req *http.Request) (*http.Response, error) {
				one.sent()
				sent++
				defer req.Body.Close()
				got, err := io.ReadAll(req.Body)
				switch {
				case err != nil:
					return nil, err
				case sent > busy:
					return answerWith(req, http.StatusOK, string(got)), nil
				case fails:
					return nil, errFault
				}
				return answerWith(req, http.StatusServiceUnavailable, string(got)), nil
			}))
			req, err := e.put("/", supply{make: func(*env, []byte) (io.ReadCloser, func() (io.ReadCloser, error)) { return one, one.again }}, one.data)
			if err != nil {
				return err
			}
			r, err := e.call(req)
			if err == nil && r.resp != nil {
				var got string
				if got, err = e.text(r.resp); err == nil && got != content {
					err = fmt.Errorf("the body %q arrived, want %q", got, content)
				}
			}
			if err == nil {
				err = one.end()
			}
			if err != nil {
				return fmt.Errorf("a PUT whose base is busy %d times: %w", busy, err)
			}
		}
	}
	return nil
}

func bodyNotToBeHad(e *env) error {
	e.serve(e.peer())
	for _, tt := range []struct {
		what  string
		again func() (io.ReadCloser, error)
	}{
		{"fails", func() (io.ReadCloser, error) { return nil, errors.New("the file is gone") }},
		{"returns nil", func() (io.ReadCloser, error) { return nil, nil }},
	} {
		codes := []int{503}
		if e.ground == stub {
			codes = append(codes, 429, 500, 502, 504)
		}
		for _, code := range codes {
			req, made := e.request(kinds[1], fmt.Sprint("/status/", code))
			req.Method, req.GetBody = "PUT", tt.again
			resp, err := e.send(req)
			if err == nil {
				var got string
				if got, err = e.text(resp); err == nil && (resp.StatusCode != code || got != answerOf(code) || resp.Header.Get("X-Echo") != fmt.Sprint(code)) {
					err = fmt.Errorf("it came back as %d %q with header %v", resp.StatusCode, got, resp.Header)
				}
			}
			if err == nil && !e.eventually(func() bool { return made.unclosed() == 0 }) {
				err = errors.New("the body was not closed")
			}
			if err != nil {
				return fmt.Errorf("a PUT answered %d, whose GetBody %s: %w", code, tt.what, err)
			}
		}
	}
	return nil
}

func bodyClosedOnce(e *env) error {
	for _, tt := range []struct {
		what string
		base habit
	}{
		{"is read to its end", habit{}},
		{"is answered early", habit{answers: 2, pause: time.Second}},
		{"is answered early by an error", habit{answers: 1, fails: true, pause: time.Second}},
		{"is answered early each time", habit{answers: 10, reads: 3}},
	} {
		base := &early{habit: tt.base, length: len(content)}
		e.over(base)
		one := newRewound([]byte(content), true)
		req, err := e.put("/", supply{make: func(*env, []byte) (io.ReadCloser, func() (io.ReadCloser, error)) { return one, one.again }}, one.data)
		if err != nil {
			return err
		}
		r, err := e.call(req)
		if err != nil {
			return err
		}
		if r.resp != nil {
			if _, err := e.text(r.resp); err != nil {
				return err
			}
		}
		base.bodies.Wait()
		if !e.eventually(one.closedOnce) {
			return fmt.Errorf("a body that %s was closed more than once, or not", tt.what)
		}
	}
	return nil
}
