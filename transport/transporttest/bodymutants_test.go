package transporttest

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
)

var bodyMutants = []mutant{
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
}

func peek(b io.ReadCloser) io.ReadCloser {
	first := make([]byte, 1)
	n, _ := b.Read(first)
	return reader{io.MultiReader(bytes.NewReader(first[:n]), b), b}
}
