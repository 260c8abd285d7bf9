package transporttest

import (
	"context"
	"io"
	"net/http"
)

var streamMutants = []mutant{
	{"reverse_proxy", "refuses a RequestURI as http.Client does", 0, noRequestURI},
	{"reverse_proxy", "hides the Writer of an upgraded connection", 0, answered(func(b io.ReadCloser) io.ReadCloser { return reader{b, b} })},
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
