package transporttest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"sync"
)

// before makes a layer that does something with the request before it sends it.
func before(f func(*http.Request) *http.Request) func(http.RoundTripper) http.RoundTripper {
	return func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) { return base.RoundTrip(f(req)) })
	}
}

// after makes a layer that does something with the answer.
func after(f func(*http.Response, error) (*http.Response, error)) func(http.RoundTripper) http.RoundTripper {
	return func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) { return f(base.RoundTrip(req)) })
	}
}

// answered makes a layer that does something with the body of the response.
func answered(f func(io.ReadCloser) io.ReadCloser) func(http.RoundTripper) http.RoundTripper {
	return after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil {
			resp.Body = f(resp.Body)
		}
		return resp, err
	})
}

// sent makes a layer that does something with the body of a copy of the request.
func sent(f func(io.ReadCloser) io.ReadCloser) func(http.RoundTripper) http.RoundTripper {
	return before(func(req *http.Request) *http.Request {
		if req.Body == nil || req.Body == http.NoBody {
			return req
		}
		req = req.WithContext(req.Context())
		req.Body = f(req.Body)
		return req
	})
}

func closeOf(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

func under(f func(context.Context) context.Context) func(http.RoundTripper) http.RoundTripper {
	return before(func(req *http.Request) *http.Request { return req.WithContext(f(req.Context())) })
}

func swallow(body io.ReadCloser) io.ReadCloser {
	b, _ := io.ReadAll(body)
	body.Close()
	return io.NopCloser(bytes.NewReader(b))
}

type reader struct {
	io.Reader
	io.Closer
}

type valueless struct{ context.Context }

func (valueless) Value(any) any { return nil }

// idle makes a layer that does something with CloseIdleConnections.
type idle struct {
	http.RoundTripper
	close func(c func())
}

func (i idle) CloseIdleConnections() {
	i.close(i.RoundTripper.(interface{ CloseIdleConnections() }).CloseIdleConnections)
}

type textError string

func (e textError) Error() string { return string(e) }

var mutants = []mutant{
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
	{"reverse_proxy", "refuses a RequestURI as http.Client does", 0, noRequestURI},
	{"reverse_proxy", "hides the Writer of an upgraded connection", 0, answered(func(b io.ReadCloser) io.ReadCloser { return reader{b, b} })},
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
			closeOf(req)
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
	{"body_closed", "sends a body whose Close does nothing", 0, sent(func(b io.ReadCloser) io.ReadCloser { return io.NopCloser(b) })},
	{"body_closed", "does not send when the context is done, and closes nothing", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			if err := req.Context().Err(); err != nil {
				return nil, err
			}
			return base.RoundTrip(req)
		})
	}},
	{"body_closed", "rewinds before the first attempt", 0, before(func(req *http.Request) *http.Request {
		if req.GetBody != nil {
			req = req.WithContext(req.Context())
			req.Body, _ = req.GetBody()
		}
		return req
	})},
	{"body_closed", "closes only after a success", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Body == nil {
				return base.RoundTrip(req)
			}
			again := req.WithContext(req.Context())
			again.Body = io.NopCloser(req.Body)
			resp, err := base.RoundTrip(again)
			if err == nil {
				req.Body.Close()
			}
			return resp, err
		})
	}},
	{"body_not_read_ahead", "buffers the body", 0, sent(func(b io.ReadCloser) io.ReadCloser { return reader{bufio.NewReader(b), b} })},
	{"body_not_read_ahead", "looks at the first byte", 0, sent(peek)},
	{"body_streams", "reads the whole body first", 0, sent(swallow)},
	{"body_streams", "waits for the whole response", 0, answered(swallow)},
	{"body_costs_no_memory", "holds the body in memory", 0, sent(swallow)},
	{"body_costs_no_memory", "keeps a copy of the body", 0, sent(func(b io.ReadCloser) io.ReadCloser {
		return reader{io.TeeReader(b, new(bytes.Buffer)), b}
	})},
	{"expect_continue", "looks at the first byte", 0, sent(peek)},
	{"response_or_error", "returns an error with the response", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil && resp.StatusCode >= 400 {
			err = errors.New(resp.Status)
		}
		return resp, err
	})},
	{"response_or_error", "returns a response with the error", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err != nil {
			resp = &http.Response{StatusCode: http.StatusBadGateway, Body: http.NoBody}
		}
		return resp, err
	})},
	{"response_or_error", "returns neither", 0, after(func(resp *http.Response, _ error) (*http.Response, error) { return resp, nil })},
	{"response_complete", "drops the Request", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil {
			resp.Request = nil
		}
		return resp, err
	})},
	{"response_complete", "drops the body of a 204", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil && resp.StatusCode == http.StatusNoContent {
			resp.Body = nil
		}
		return resp, err
	})},
	{"response_complete", "takes the length from what can be read", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil {
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		}
		return resp, err
	})},
	{"response_complete", "joins the values of a header", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil {
			resp.Header.Set("X-Two", resp.Header.Get("X-Two"))
		}
		return resp, err
	})},
	{"response_complete", "calls everything HTTP/1.1", http2, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil {
			resp.Proto, resp.ProtoMajor, resp.ProtoMinor = "HTTP/1.1", 1, 1
		}
		return resp, err
	})},
	{"status_is_no_error", "makes errors of statuses", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil && resp.StatusCode >= 400 {
			resp.Body.Close()
			return nil, errors.New(resp.Status)
		}
		return resp, err
	})},
	{"status_is_no_error", "gives up after an answer of 503", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil && resp.StatusCode == http.StatusServiceUnavailable {
			resp.Body.Close()
			return nil, errors.New("giving up")
		}
		return resp, err
	})},
	{"status_is_no_error", "reads the body of a 404", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil && resp.StatusCode == http.StatusNotFound {
			io.Copy(io.Discard, resp.Body)
		}
		return resp, err
	})},
	{"error_kept", "keeps only the text of an error", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err != nil {
			err = textError(err.Error())
		}
		return resp, err
	})},
	{"error_kept", "wraps an error so that Timeout is lost", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err != nil {
			err = fmt.Errorf("layer: %w", err)
		}
		return resp, err
	})},
	{"error_kept", "makes a timeout of every error", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err != nil {
			err = fault{err, true, false}
		}
		return resp, err
	})},
	{"broken_body", "ends a broken body as if it were whole", 0, answered(swallow)},
	{"broken_body", "makes an error of a broken body", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err != nil {
			return resp, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		resp.Body = io.NopCloser(bytes.NewReader(b))
		return resp, nil
	})},
	{"response_closed", "hides the Close of the response", 0, answered(func(b io.ReadCloser) io.ReadCloser { return io.NopCloser(b) })},
	{"panic_passes", "makes an error of a panic", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (resp *http.Response, err error) {
			defer func() {
				if v := recover(); v != nil {
					err = fmt.Errorf("panic: %v", v)
				}
			}()
			return base.RoundTrip(req)
		})
	}},
	{"panic_passes", "panics with something else", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			defer func() {
				if v := recover(); v != nil {
					panic(fmt.Sprint("layer: ", v))
				}
			}()
			return base.RoundTrip(req)
		})
	}},
	{"panic_passes", "keeps its only slot after a panic", 0, func(base http.RoundTripper) http.RoundTripper {
		slots := make(chan struct{}, 1)
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			select {
			case slots <- struct{}{}:
			case <-req.Context().Done():
				closeOf(req)
				return nil, req.Context().Err()
			}
			resp, err := base.RoundTrip(req)
			<-slots
			return resp, err
		})
	}},
	{"panic_passes", "does not close its body after a panic", 0, sent(func(b io.ReadCloser) io.ReadCloser { return io.NopCloser(b) })},
	{"panic_passes", "leaks a context after a panic", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			ctx, cancel := context.WithCancel(req.Context())
			resp, err := base.RoundTrip(req.WithContext(ctx))
			if err != nil {
				cancel()
				return nil, err
			}
			resp.Body = reader{resp.Body, closer{resp.Body, cancel}}
			return resp, err
		})
	}},
	{"goroutines_end", "leaves a goroutine until the caller's context ends", 0, before(func(req *http.Request) *http.Request {
		go func() { <-req.Context().Done() }()
		return req
	})},
	{"context_lives", "cancels when RoundTrip returns", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			ctx, cancel := context.WithCancel(req.Context())
			defer cancel()
			return base.RoundTrip(req.WithContext(ctx))
		})
	}},
	{"context_lives", "cancels at the first Read", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			ctx, cancel := context.WithCancel(req.Context())
			resp, err := base.RoundTrip(req.WithContext(ctx))
			if err != nil {
				cancel()
				return nil, err
			}
			resp.Body = reader{reading{resp.Body, cancel}, resp.Body}
			return resp, nil
		})
	}},
	{"context_released", "never cancels its context", 0, func(base http.RoundTripper) http.RoundTripper {
		var mu sync.Mutex
		var never []func()
		return under(func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancel(ctx)
			mu.Lock()
			defer mu.Unlock()
			never = append(never, cancel)
			return ctx
		})(base)
	}},
	{"context_released", "cancels its context only at the end of a body", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			ctx, cancel := context.WithCancel(req.Context())
			resp, err := base.RoundTrip(req.WithContext(ctx))
			if err != nil {
				cancel()
				return nil, err
			}
			resp.Body = reader{ending{resp.Body, cancel}, resp.Body}
			return resp, nil
		})
	}},
	{"cancellation_reaches_base", "detaches the base from its caller", 0, under(context.WithoutCancel)},
	{"cancellation_reaches_base", "passes a cancellation without its cause", 0, under(func(ctx context.Context) context.Context {
		below, cancel := context.WithCancel(context.WithoutCancel(ctx))
		context.AfterFunc(ctx, cancel)
		return below
	})},
	{"cancellation_ends_call", "detaches the base from its caller", 0, under(context.WithoutCancel)},
	{"cancellation_ends_call", "has an error of its own for a cancellation", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err != nil {
			err = errors.New("cancelled")
		}
		return resp, err
	})},
	{"cancellation_ends_upload", "sends a body whose Close does nothing", 0, sent(func(b io.ReadCloser) io.ReadCloser { return io.NopCloser(b) })},
	{"cancellation_ends_upload", "detaches the base from its caller", 0, under(context.WithoutCancel)},
	{"cancellation_ends_upload", "reads the whole body first", 0, sent(swallow)},
	{"client_timeout", "detaches the base from its caller", 0, before(func(req *http.Request) *http.Request {
		req = req.WithContext(context.WithoutCancel(req.Context()))
		req.Cancel = nil //lint:ignore SA1019 the other way in which http.Client passes it
		return req
	})},
	{"response_streams", "waits for the whole response", 0, answered(swallow)},
	{"response_streams", "fills a buffer first", 0, answered(func(b io.ReadCloser) io.ReadCloser {
		return reader{full{b}, b}
	})},
	{"informational", "hides the values of the context", 0, under(func(ctx context.Context) context.Context { return valueless{ctx} })},
	{"trailers", "copies the request's Trailer", 0, before(func(req *http.Request) *http.Request { return req.Clone(req.Context()) })},
	{"trailers", "copies the response", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err != nil {
			return resp, err
		}
		copied := *resp
		copied.Trailer = resp.Trailer.Clone()
		return &copied, nil
	})},
	{"upgrade", "hides the Writer of an upgraded connection", 0, answered(func(b io.ReadCloser) io.ReadCloser { return reader{b, b} })},
	{"upgrade", "hides the Close of an upgraded connection", 0, answered(func(b io.ReadCloser) io.ReadCloser {
		rw, ok := b.(io.ReadWriter)
		if !ok {
			return b
		}
		return struct {
			io.ReadWriter
			io.Closer
		}{rw, io.NopCloser(nil)}
	})},
	{"upgrade", "cancels when RoundTrip returns", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			ctx, cancel := context.WithCancel(req.Context())
			defer cancel()
			return base.RoundTrip(req.WithContext(ctx))
		})
	}},
	{"upgrade_half_close", "hides CloseWrite", 0, answered(func(b io.ReadCloser) io.ReadCloser {
		return struct{ io.ReadWriteCloser }{b.(io.ReadWriteCloser)}
	})},
	{"redirects_pass", "follows redirects itself", 0, following},
	{"redirects_pass", "makes an error of a Location that is none", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil && resp.Header.Get("Location") != "" {
			if _, err := resp.Location(); err != nil {
				resp.Body.Close()
				return nil, err
			}
		}
		return resp, err
	})},
	{"redirects_by_client", "follows redirects itself", 0, following},
	{"cookies_by_client", "keeps cookies itself", 0, func(base http.RoundTripper) http.RoundTripper {
		jar, _ := cookiejar.New(nil)
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			req = req.Clone(req.Context())
			for _, c := range jar.Cookies(req.URL) {
				req.AddCookie(c)
			}
			resp, err := base.RoundTrip(req)
			if err == nil {
				jar.SetCookies(req.URL, resp.Cookies())
			}
			return resp, err
		})
	}},
	{"cookies_by_client", "drops cookies", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil {
			resp.Header.Del("Set-Cookie")
		}
		return resp, err
	})},
	{"idle_connections", "closes idle connections after an error", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			resp, err := base.RoundTrip(req)
			if err != nil {
				base.(interface{ CloseIdleConnections() }).CloseIdleConnections()
			}
			return resp, err
		})
	}},
	{"idle_connections", "forwards CloseIdleConnections twice", 0, func(base http.RoundTripper) http.RoundTripper {
		return idle{base, func(c func()) { c(); c() }}
	}},
	{"idle_connections", "does not forward CloseIdleConnections", 0, func(base http.RoundTripper) http.RoundTripper {
		return idle{base, func(func()) {}}
	}},
	{"connections_reused", "closes the connection of each request", 0, before(func(req *http.Request) *http.Request {
		req = req.WithContext(req.Context())
		req.Close = true
		return req
	})},
	{"connections_reused", "closes a 404 unread", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil && resp.StatusCode == http.StatusNotFound {
			resp.Body.Close()
			resp.Body = io.NopCloser(bytes.NewReader([]byte(answerOf(404))))
		}
		return resp, err
	})},
	{"refusal", "sends", 0, func(base http.RoundTripper) http.RoundTripper { return base }},
	{"refusal", "does not close the body", 0, refusing(func(*http.Request) {})},
	{"refusal", "changes the request", 0, refusing(func(req *http.Request) { closeOf(req); req.Header.Set("X-Refused", "1") })},
	{"refusal", "leaves a goroutine", 0, refusing(func(req *http.Request) { closeOf(req); go func() { <-req.Context().Done() }() })},
	{"refusal", "leaks a context", 0, refusing(func(req *http.Request) {
		closeOf(req)
		context.AfterFunc(req.Context(), func() {})
	})},
}

// closer, reading, ending and full are what the bodies of mutants do.
type closer struct {
	io.Closer
	then func()
}

func (c closer) Close() error { defer c.then(); return c.Closer.Close() }

type reading struct {
	io.Reader
	then func()
}

func (r reading) Read(p []byte) (int, error) { defer r.then(); return r.Reader.Read(p) }

type ending struct {
	io.Reader
	then func()
}

func (r ending) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil {
		r.then()
	}
	return n, err
}

type full struct{ io.Reader }

func (f full) Read(p []byte) (int, error) {
	b := make([]byte, 4096)
	n, err := io.ReadFull(f.Reader, b)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return copy(p, b[:n]), err
}

func peek(b io.ReadCloser) io.ReadCloser {
	first := make([]byte, 1)
	n, _ := b.Read(first)
	return reader{io.MultiReader(bytes.NewReader(first[:n]), b), b}
}

func noRequestURI(base http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.RequestURI != "" {
			closeOf(req)
			return nil, errors.New("http: Request.RequestURI can't be set in client requests")
		}
		return base.RoundTrip(req)
	})
}

func following(base http.RoundTripper) http.RoundTripper {
	return roundTripper((&http.Client{Transport: base}).Do)
}

func refusing(f func(*http.Request)) func(http.RoundTripper) http.RoundTripper {
	return func(http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			f(req)
			return nil, errors.New("refused")
		})
	}
}
