package transporttest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
)

var passedOnMutants = []mutant{
	{"error_passed_on", "wraps every error", 0, after(wrapping)},
	{"error_passed_on", "wraps what is no timeout", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil || isTimeout(err) {
			return resp, err
		}
		return wrapping(resp, err)
	})},
	{"hints_pass", "drops what says when to come back", 0, answering(func(resp *http.Response) { resp.Header.Del("Retry-After") })},
	{"hints_pass", "says itself when to come back", 0, answering(func(resp *http.Response) {
		if resp.StatusCode == http.StatusServiceUnavailable {
			resp.Header.Set("Retry-After", "1")
		}
	})},
	{"hints_pass", "joins what was said twice", 0, answering(func(resp *http.Response) {
		if all := resp.Header["Retry-After"]; len(all) > 1 {
			resp.Header.Set("Retry-After", strings.Join(all, ", "))
		}
	})},
	{"response_ends_early", "reads a response to its end on Close", 0, downloaded(func(b io.ReadCloser) io.ReadCloser {
		return reader{b, closing(func() error {
			io.Copy(io.Discard, b)
			return b.Close()
		})}
	})},
	{"response_ends_early", "reads a response to its end behind Close", 0, downloaded(func(b io.ReadCloser) io.ReadCloser {
		return reader{b, closing(sync.OnceValue(func() error {
			go func() {
				io.Copy(io.Discard, b)
				b.Close()
			}()
			return nil
		}))}
	})},
	{"response_ends_early", "has Close wait for a Read", wires, downloaded(func(b io.ReadCloser) io.ReadCloser { return &locked{ReadCloser: b} })},
	{"upgrade_outlives_context", "closes an upgraded connection when the context ends", 0, switched(func(ctx context.Context, rw io.ReadWriteCloser) io.ReadWriteCloser {
		context.AfterFunc(ctx, func() { rw.Close() })
		return rw
	})},
	{"upgrade_outlives_context", "stops reading an upgraded connection when the context ends", 0, switched(func(ctx context.Context, rw io.ReadWriteCloser) io.ReadWriteCloser {
		return &timed{rw, ctx}
	})},
}

func wrapping(resp *http.Response, err error) (*http.Response, error) {
	if err != nil {
		err = fault{err, isTimeout(err), false}
	}
	return resp, err
}

// answering makes a layer that does something with the response.
func answering(f func(*http.Response)) func(http.RoundTripper) http.RoundTripper {
	return after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil {
			f(resp)
		}
		return resp, err
	})
}

// downloaded makes a layer that does something with the body of a response
// that is no upgraded connection.
func downloaded(f func(io.ReadCloser) io.ReadCloser) func(http.RoundTripper) http.RoundTripper {
	return answering(func(resp *http.Response) {
		if resp.StatusCode != http.StatusSwitchingProtocols && resp.Body != http.NoBody {
			resp.Body = f(resp.Body)
		}
	})
}

// switched makes a layer that does something with an upgraded connection.
func switched(f func(context.Context, io.ReadWriteCloser) io.ReadWriteCloser) func(http.RoundTripper) http.RoundTripper {
	return func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			resp, err := base.RoundTrip(req)
			if err == nil && resp.StatusCode == http.StatusSwitchingProtocols {
				resp.Body = f(req.Context(), resp.Body.(io.ReadWriteCloser))
			}
			return resp, err
		})
	}
}

type closing func() error

func (c closing) Close() error { return c() }

type locked struct {
	io.ReadCloser
	mu sync.Mutex
}

func (l *locked) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ReadCloser.Read(p)
}

func (l *locked) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ReadCloser.Close()
}

type timed struct {
	io.ReadWriteCloser
	ctx context.Context
}

func (t *timed) Read(p []byte) (int, error) {
	if err := t.ctx.Err(); err != nil {
		return 0, err
	}
	return t.ReadWriteCloser.Read(p)
}

func (t *timed) CloseWrite() error {
	return t.ReadWriteCloser.(interface{ CloseWrite() error }).CloseWrite()
}
