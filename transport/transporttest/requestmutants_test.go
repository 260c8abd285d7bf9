package transporttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

var requestMutants = []mutant{
	{"request_unchanged", "adds a header to the caller's", 0, before(func(req *http.Request) *http.Request {
		req.Header.Set("X-Trace", "1")
		return req
	})},
	{"request_unchanged", "drops a header of the caller's", 0, before(func(req *http.Request) *http.Request {
		delete(req.Header, "X-Test")
		return req
	})},
	{"request_unchanged", "changes a value in place", 0, before(func(req *http.Request) *http.Request {
		req.Header["X-Two"][1] = "three"
		return req
	})},
	{"request_unchanged", "puts a body into the caller's request", 0, before(func(req *http.Request) *http.Request {
		if req.Body != nil {
			req.Body = reader{req.Body, req.Body}
		}
		return req
	})},
	{"request_unchanged", "puts a GetBody into the caller's request", 0, before(func(req *http.Request) *http.Request {
		req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("none") }
		return req
	})},
	{"request_unchanged", "writes to the URL", 0, before(func(req *http.Request) *http.Request {
		req.URL.RawQuery += "&trace=1"
		return req
	})},
	{"request_unchanged", "replaces the URL", 0, before(func(req *http.Request) *http.Request {
		req.URL = req.URL.JoinPath()
		return req
	})},
	{"request_unchanged", "writes to the Trailer", stub, before(func(req *http.Request) *http.Request {
		if req.Trailer != nil {
			req.Trailer.Set("X-Trace", "1")
		}
		return req
	})},
	{"request_unchanged", "writes to the Form", 0, before(func(req *http.Request) *http.Request {
		req.Form.Set("q", "2")
		return req
	})},
	{"request_unchanged", "sets the Host", 0, before(func(req *http.Request) *http.Request {
		req.Host = "elsewhere.test"
		return req
	})},
	{"request_unchanged", "sets the ContentLength", 0, before(func(req *http.Request) *http.Request {
		if req.ContentLength < 0 {
			req.ContentLength = int64(len(content))
		}
		return req
	})},
	{"request_unchanged", "changes the request only during the call", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			req.Header.Set("X-Trace", "1")
			defer req.Header.Del("X-Trace")
			return base.RoundTrip(req)
		})
	}},
	{"request_unchanged", "puts another context into the caller's request", 0, before(func(req *http.Request) *http.Request {
		*req = *req.WithContext(valueless{req.Context()})
		return req
	})},
	{"request_reused", "adds a header each time", 0, before(func(req *http.Request) *http.Request {
		req.Header.Add("X-Trace", "1")
		return req
	})},
	{"request_malformed", "writes to a Header that may be nil", 0, before(func(req *http.Request) *http.Request {
		req = req.Clone(req.Context())
		req.Header.Set("X-Trace", "1")
		return req
	})},
	{"request_malformed", "looks at a URL that may be nil", 0, before(func(req *http.Request) *http.Request {
		_ = req.URL.Host
		return req
	})},
	{"request_malformed", "refuses without closing the body", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.URL == nil {
				return nil, errors.New("no URL")
			}
			return base.RoundTrip(req)
		})
	}},
	{"request_uri", "refuses a RequestURI as http.Client does", 0, noRequestURI},
	{"request_framing", "sends a body of unknown length with a length", 0, before(func(req *http.Request) *http.Request {
		if req.Body == nil || req.Body == http.NoBody {
			return req
		}
		b, _ := io.ReadAll(req.Body)
		req.Body.Close()
		req = req.WithContext(req.Context())
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		return req
	})},
	{"request_framing", "gives a body to a request that has none", 0, before(func(req *http.Request) *http.Request {
		if req.Body == nil {
			req = req.WithContext(req.Context())
			req.Body = io.NopCloser(bytes.NewReader(nil))
		}
		return req
	})},
	{"request_framing", "hides http.NoBody", 0, before(func(req *http.Request) *http.Request {
		if req.Body != nil {
			req = req.WithContext(req.Context())
			req.Body = reader{req.Body, req.Body}
		}
		return req
	})},
	{"request_framing", "drops the TransferEncoding", 0, before(func(req *http.Request) *http.Request {
		req = req.WithContext(req.Context())
		req.TransferEncoding = nil
		return req
	})},
	{"request_framing", "forgets the length on the second attempt", stub, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			b := []byte(nil)
			if req.Body != nil && req.Body != http.NoBody {
				b, _ = io.ReadAll(req.Body)
			}
			closeBody(req)
			for n := 1; ; n++ {
				again := req.WithContext(req.Context())
				if again.Body != nil && again.Body != http.NoBody {
					again.Body = io.NopCloser(bytes.NewReader(b))
				}
				if n > 1 {
					again.ContentLength = -1
				}
				resp, err := base.RoundTrip(again)
				if err != nil || resp.StatusCode != http.StatusServiceUnavailable || n == 3 {
					return resp, err
				}
				resp.Body.Close()
			}
		})
	}},
	{"concurrent_use", "gives one caller the answer of another", 0, func(base http.RoundTripper) http.RoundTripper {
		var mu sync.Mutex
		var kept []byte
		return after(func(resp *http.Response, err error) (*http.Response, error) {
			if err != nil {
				return resp, err
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			if kept == nil {
				kept = b
			}
			resp.Body = io.NopCloser(bytes.NewReader(kept))
			return resp, nil
		})(base)
	}},
	{"refusal", "sends", 0, func(base http.RoundTripper) http.RoundTripper { return base }},
	{"refusal", "does not close the body", 0, refusing(func(*http.Request) {})},
	{"refusal", "changes the request", 0, refusing(func(req *http.Request) { closeBody(req); req.Header.Set("X-Refused", "1") })},
	{"refusal", "leaves a goroutine", 0, refusing(func(req *http.Request) { closeBody(req); go func() { <-req.Context().Done() }() })},
	{"refusal", "leaks a context", 0, refusing(func(req *http.Request) {
		closeBody(req)
		context.AfterFunc(req.Context(), func() {})
	})},
}

func noRequestURI(base http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.RequestURI != "" {
			closeBody(req)
			return nil, errors.New("http: Request.RequestURI can't be set in client requests")
		}
		return base.RoundTrip(req)
	})
}

func refusing(f func(*http.Request)) func(http.RoundTripper) http.RoundTripper {
	return func(http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			f(req)
			return nil, errors.New("refused")
		})
	}
}
