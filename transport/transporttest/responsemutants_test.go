package transporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

var responseMutants = []mutant{
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
				closeBody(req)
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
}
