package transporttest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
)

// memory is a base that calls a handler, without sockets, so that it works in
// a synctest bubble. It does by the contract what http.Transport does.
type memory struct {
	handler http.Handler
	ctx     context.Context // ends every exchange
}

func (m *memory) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := unsendable(req); err != nil {
		closeBody(req)
		return nil, err
	}
	x := &exchange{req: req, over: m.ctx, header: make(http.Header), ready: make(chan struct{})}
	x.content, x.sink = io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	x.end = sync.OnceFunc(func() {
		cancel()
		closeBody(req)
	})
	stop := context.AfterFunc(req.Context(), func() { x.abort(context.Cause(req.Context())) })
	over := context.AfterFunc(m.ctx, func() { x.abort(m.ctx.Err()) })
	go func() {
		defer stop()
		defer over()
		x.serve(ctx, m.handler)
	}()
	<-x.ready
	return x.resp, x.err
}

func unsendable(req *http.Request) error {
	switch {
	case req.URL == nil:
		return errors.New("http: nil Request.URL")
	case req.Header == nil:
		return errors.New("http: nil Request.Header")
	case req.Context().Err() != nil:
		return context.Cause(req.Context())
	}
	return nil
}

// An exchange is the http.ResponseWriter of one request, and the answer to it.
type exchange struct {
	req     *http.Request
	over    context.Context // of memory
	end     func()          // of both directions
	content *io.PipeReader
	sink    *io.PipeWriter
	ready   chan struct{} // closed once there is a response or an error

	mu   sync.Mutex // guards what follows
	resp *http.Response
	err  error

	// What follows is the handler's, until the sink is closed.
	header   http.Header
	sent     bool
	bodiless bool
	hijacked bool
	trailers []string    // announced
	trailer  http.Header // what the reader gets at the end
}

// answer settles the call, if that was not done before.
func (x *exchange) answer(resp *http.Response, err error) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.resp != nil || x.err != nil {
		return false
	}
	x.resp, x.err = resp, err
	close(x.ready)
	return true
}

// abort ends the exchange from the caller's side.
func (x *exchange) abort(err error) {
	x.sink.CloseWithError(err)
	x.answer(nil, err) // before the handler learns of it and answers too
	x.end()
}

func (x *exchange) serve(ctx context.Context, h http.Handler) {
	in := x.req.WithContext(ctx)
	in.RequestURI = x.req.URL.RequestURI()
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	in.Header = x.req.Header.Clone()
	if in.Method == "" {
		in.Method = http.MethodGet
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.ContentLength == 0 && in.Body != http.NoBody {
		in.ContentLength = -1
	}
	defer func() {
		v := recover()
		if v != nil && v != http.ErrAbortHandler {
			panic(v)
		}
		if v == nil && !x.hijacked {
			x.send(http.StatusOK, true)
			x.gather()
			x.sink.Close()
		}
		x.sink.CloseWithError(io.ErrUnexpectedEOF)
		x.end()
		if !x.hijacked {
			x.answer(nil, io.EOF)
		}
	}()
	h.ServeHTTP(x, in)
}

func (x *exchange) Header() http.Header { return x.header }

func (x *exchange) WriteHeader(code int) {
	if code >= 200 {
		x.send(code, false)
		return
	}
	if t := httptrace.ContextClientTrace(x.req.Context()); t != nil && t.Got1xxResponse != nil {
		t.Got1xxResponse(code, textproto.MIMEHeader(x.header.Clone()))
	}
}

// send gives the caller the response; empty says that no body follows.
func (x *exchange) send(code int, empty bool) {
	if x.sent {
		return
	}
	x.sent = true
	x.bodiless = empty || x.req.Method == http.MethodHead || code == http.StatusNoContent || code == http.StatusNotModified
	resp := &http.Response{
		Status: strconv.Itoa(code) + " " + http.StatusText(code), StatusCode: code,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: x.header.Clone(), ContentLength: -1, Request: x.req,
	}
	if n, err := strconv.ParseInt(x.header.Get("Content-Length"), 10, 64); err == nil {
		resp.ContentLength = n
	} else if empty || code == http.StatusNoContent {
		resp.ContentLength = 0
	}
	if x.trailers = resp.Header.Values("Trailer"); len(x.trailers) > 0 {
		resp.Trailer = make(http.Header)
		for _, name := range x.trailers {
			resp.Trailer[name] = nil
		}
		resp.Header.Del("Trailer")
	}
	if resp.Body = (&received{x, resp}); x.bodiless {
		resp.Body = http.NoBody
		x.content.Close()
	}
	x.answer(resp, nil)
}

// gather finds the trailers among what the handler set.
func (x *exchange) gather() {
	x.trailer = make(http.Header)
	for _, name := range x.trailers {
		x.trailer[name] = x.header[name]
	}
	for name, values := range x.header {
		if after, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			x.trailer[after] = values
		}
	}
}

func (x *exchange) Write(p []byte) (int, error) {
	x.send(http.StatusOK, false)
	n, err := x.sink.Write(p)
	if x.bodiless {
		return len(p), nil
	}
	return n, err
}

func (x *exchange) Flush()                  { x.send(http.StatusOK, false) }
func (x *exchange) EnableFullDuplex() error { return nil }

// Hijack hands out the server's end of a connection and reads the answer that
// the handler writes on it.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	x.hijacked = true
	here, there := net.Pipe()
	go func() {
		r := bufio.NewReader(here)
		resp, err := http.ReadResponse(r, x.req)
		if err == nil && resp.StatusCode == http.StatusSwitchingProtocols {
			context.AfterFunc(x.over, func() { here.Close() })
			resp.Body = struct {
				io.Reader
				io.WriteCloser
			}{r, here}
		}
		if !x.answer(resp, err) {
			here.Close()
		}
	}()
	return there, bufio.NewReadWriter(bufio.NewReader(there), bufio.NewWriter(there)), nil
}

// received is the body of the response.
type received struct {
	x    *exchange
	resp *http.Response // whose Trailer the end of the body sets
}

func (b *received) Read(p []byte) (int, error) {
	n, err := b.x.content.Read(p)
	switch {
	case err != io.EOF || len(b.x.trailer) == 0:
	case b.resp.Trailer == nil:
		b.resp.Trailer = b.x.trailer
	default:
		maps.Copy(b.resp.Trailer, b.x.trailer)
	}
	return n, err
}

func (b *received) Close() error {
	b.x.end()
	return b.x.content.Close()
}
