package transporttest

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"time"
)

var passedOnChecks = []check{
	{wrapped, "The error of a call that was only passed on is the base's own, the same value.", everywhere, errorPassedOn},
	{"hints_pass", "What an answer says of whether and when to come back reaches the caller as the server said it.", stub, hintsPass},
}

// wrapped is the check that WithWrappedErrors leaves out.
const wrapped = "error_passed_on"

// unrepeatable is a kind of request that only its caller may send again.
var unrepeatable = kind{name: "a POST of a stream", method: "POST", length: -1}

// A call was passed on if the base was asked once, for a request that nobody
// may repeat or whose context is done.
func errorPassedOn(e *env) error {
	if e.ground == stub {
		for _, want := range faults {
			e.over(roundTripper(func(req *http.Request) (*http.Response, error) {
				closeBody(req)
				return nil, want
			}))
			if err := e.passedOn(unrepeatable, "/", ""); err != nil {
				return err
			}
		}
	}
	e.serve(e.peer())
	if err := e.passedOn(unrepeatable, "/cut", ""); err != nil {
		return err
	}
	for _, ends := range []string{"while", "deadline"} {
		for _, k := range []kind{kinds[0], unrepeatable} {
			if err := e.passedOn(k, "/hang", ends); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *env) passedOn(k kind, path, ends string) error {
	ctx, cancel := context.WithCancel(e.ctx)
	if ends == "deadline" {
		ctx, cancel = context.WithTimeout(e.ctx, e.moment())
	}
	defer cancel()
	before := len(e.base.requests())
	req, _ := e.request(k, path)
	done := e.start(req.WithContext(ctx))
	if ends == "while" {
		if err := e.arrival(); err != nil {
			return err
		}
		cancel()
	}
	r, err := e.finish(done)
	if err != nil {
		return err
	}
	if sent := len(e.base.requests()) - before; sent != 1 {
		return nil
	}
	if want := e.base.failure(); r.err != want {
		return fmt.Errorf("%s to %s failed with %T %q and came back as %T %v", k.name, path, want, want, r.err, r)
	}
	return nil
}

func hintsPass(e *env) error {
	for _, hints := range []http.Header{
		{"Retry-After": {"7"}},
		{"Retry-After": {time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)}},
		{"Retry-After": {"soon"}},
		{"Retry-After": {"86400"}},
		{"Retry-After": {"1", "2"}, "Retry-After-Ms": {"1500"}},
		{"X-Should-Retry": {"false"}},
		{"Ratelimit": {`"day";r=0;t=5`}, "Ratelimit-Policy": {`"day";q=10;w=60`}},
		{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"5"}},
		{"Grpc-Retry-Pushback-Ms": {"-1"}},
	} {
		for _, code := range []int{200, 403, 429, 500, 503} {
			e.over(roundTripper(func(req *http.Request) (*http.Response, error) {
				closeBody(req)
				resp := answerWith(req, code, answerOf(code))
				resp.Header = hints.Clone()
				return resp, nil
			}))
			for _, k := range kinds {
				req, _ := e.request(k, "/")
				resp, err := e.send(req)
				if err != nil {
					return fmt.Errorf("%s answered %d with %v: %w", k.name, code, hints, err)
				}
				resp.Body.Close()
				if resp.StatusCode != code {
					return fmt.Errorf("%s answered %d with %v came back as %d", k.name, code, hints, resp.StatusCode)
				}
				for name, want := range hints {
					if got := resp.Header[name]; !reflect.DeepEqual(got, want) {
						return fmt.Errorf("%s answered %d with %s %q came back with %q", k.name, code, name, want, got)
					}
				}
			}
		}
	}
	return nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}
