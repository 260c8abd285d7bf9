package transporttest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

var streamChecks = []check{
	{"response_streams", "A response's header and each part of its body arrive when the server sends them.", everywhere, responseStreams},
	{"response_ends_early", "Closing a response that goes on ends it, at once and down to the server, also during a Read.", everywhere, responseEndsEarly},
	{"informational", "1xx responses pass.", everywhere, informational},
	{"trailers", "Trailers pass, both ways.", everywhere, trailers},
	{"upgrade", "The body of a 101 response stays writable.", stub | http1, upgrade},
	{"upgrade_outlives_context", "An upgraded connection is the caller's: it outlives the context of the call.", stub | http1, upgradeOutlivesContext},
	{"upgrade_half_close", "The body of a 101 response stays writable, and the caller can end its half by CloseWrite.", http1, upgradeHalfClose},
	{"reverse_proxy", "The layer can be the Transport of httputil.ReverseProxy, upgrades included.", http1, reverseProxy},
}

func responseStreams(e *env) error {
	var s stairs
	e.serve(s.handler(e))
	for _, k := range kinds {
		path := "/" + k.method
		req, _ := e.request(k, path)
		resp, err := e.send(req) // the header is sent, the rest is not
		if err != nil {
			return fmt.Errorf("%s, with no part of the response's body sent: %w", k.name, err)
		}
		for i := range 2 {
			if err := s.take(e, resp, path, i); err != nil {
				return fmt.Errorf("%s, step %d: %w", k.name, i, err)
			}
		}
		if rest, err := e.text(resp); err != nil || rest != "" {
			return fmt.Errorf("%s: after the last step came %q, %v", k.name, rest, err)
		}
	}
	return nil
}

func responseEndsEarly(e *env) error {
	left := make(chan struct{}, 1)
	e.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusOK)
		io.WriteString(w, "hello\n")
		http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			select {
			case left <- struct{}{}:
			default: // two copies were sent
			}
		case <-e.ctx.Done():
		}
	}))
	for _, reading := range []bool{false, true} {
		for _, k := range kinds {
			if err := e.endEarly(k, reading, left); err != nil {
				return fmt.Errorf("%s, Read under way: %v: %w", k.name, reading, err)
			}
		}
	}
	return nil
}

func (e *env) endEarly(k kind, reading bool, left <-chan struct{}) error {
	req, _ := e.request(k, "/")
	resp, err := e.send(req)
	if err != nil {
		return err
	}
	err = e.within("reading what was sent", func() error {
		_, err := io.ReadFull(resp.Body, make([]byte, len("hello\n")))
		return err
	})
	if err != nil {
		return err
	}
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		close(begun)
		if reading {
			resp.Body.Read(make([]byte, 1))
		}
	}()
	<-begun
	if err := e.within("closing a response that goes on", resp.Body.Close); err != nil {
		return err
	}
	if err := e.within("the Read that was under way", func() error { <-ended; return nil }); err != nil {
		return err
	}
	if !e.eventually(func() bool { return e.base.unclosed() == 0 }) {
		return errors.New("the response of the base was not closed")
	}
	return e.within("the response, at the server,", func() error { <-left; return nil })
}

func informational(e *env) error {
	const hint = "</style.css>; rel=preload"
	e.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", hint)
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	}))
	for _, k := range kinds {
		var hints atomic.Int32
		before := len(e.base.requests())
		req, _ := e.request(k, "/")
		resp, err := e.send(req.WithContext(httptrace.WithClientTrace(e.ctx, &httptrace.ClientTrace{
			Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
				if code == http.StatusEarlyHints && header.Get("Link") == hint {
					hints.Add(1)
				}
				return nil
			},
		})))
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		resp.Body.Close()
		sent := len(e.base.requests()) - before // each of which may bring a hint
		if n := int(hints.Load()); resp.StatusCode != http.StatusOK || n < 1 || n > sent {
			return fmt.Errorf("%s: got %d after %d early hints (103), want 200 after 1 for each of %d attempts", k.name, resp.StatusCode, n, sent)
		}
	}
	return nil
}

func trailers(e *env) error {
	e.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Announced")
		w.WriteHeader(http.StatusOK)
		io.Copy(w, r.Body)
		w.Header().Set("X-Announced", "got "+r.Trailer.Get("X-Sum"))
		w.Header().Set(http.TrailerPrefix+"X-Surprise", "too")
	}))
	req, err := http.NewRequestWithContext(e.ctx, "POST", e.url, nil)
	if err != nil {
		return err
	}
	req.ContentLength = -1
	req.Trailer = http.Header{"X-Sum": nil}
	req.Body = &source{r: io.MultiReader(strings.NewReader(content), eof(func() {
		req.Trailer.Set("X-Sum", "42") // only known now, as is usual
	}))}
	resp, err := e.send(req)
	if err != nil {
		return err
	}
	body, err := e.text(resp)
	switch {
	case err != nil:
		return err
	case body != content:
		return fmt.Errorf("got the body %q, want %q", body, content)
	case resp.Trailer.Get("X-Announced") == "got ":
		return errors.New("the request's trailer did not reach the server")
	case resp.Trailer.Get("X-Announced") != "got 42" || resp.Trailer.Get("X-Surprise") != "too":
		return fmt.Errorf("got the response's trailers %v, want one that was announced and one that was not", resp.Trailer)
	}
	return nil
}

// eof is an empty reader that calls back at its end.
type eof func()

func (f eof) Read([]byte) (int, error) { f(); return 0, io.EOF }

// upgraded is a handler that switches protocols, echoes lines, and says bye
// when the client has ended its half.
func upgraded(w http.ResponseWriter, _ *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	go func() { // the connection is no longer the handler's
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				break
			}
			io.WriteString(conn, "echo "+line)
		}
		io.WriteString(conn, "bye\n")
	}()
}

func upgrading(e *env, to string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(e.ctx, "GET", to, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	return req, nil
}

func (e *env) upgrade(ctx context.Context) (*http.Response, error) {
	e.serve(http.HandlerFunc(upgraded))
	req, err := upgrading(e, e.url)
	if err != nil {
		return nil, err
	}
	resp, err := e.send(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	e.ends = append(e.ends, func() { resp.Body.Close() })
	return resp, e.echo(resp)
}

func (e *env) echo(resp *http.Response) error {
	rw, ok := resp.Body.(io.ReadWriteCloser)
	if resp.StatusCode != http.StatusSwitchingProtocols || !ok {
		return fmt.Errorf("got %d with a Body of type %T, want 101 with an io.ReadWriteCloser", resp.StatusCode, resp.Body)
	}
	in := bufio.NewReader(rw)
	for i := range 3 {
		line := fmt.Sprintf("line %d\n", i)
		var got string
		err := e.within("an echo over the upgraded connection", func() (err error) {
			if _, err := io.WriteString(rw, line); err != nil {
				return err
			}
			got, err = in.ReadString('\n')
			return err
		})
		if err != nil || got != "echo "+line {
			return fmt.Errorf("line %d came back as %q, %v", i, got, err)
		}
	}
	return nil
}

func upgrade(e *env) error {
	resp, err := e.upgrade(e.ctx)
	if err != nil {
		return err
	}
	if err := e.attempt(resp).Context().Err(); err != nil {
		return fmt.Errorf("the context of the upgraded connection is done: %w", err)
	}
	resp.Body.Close()
	return e.within("a Read of the upgraded connection after its Close", func() error {
		if _, err := resp.Body.Read(make([]byte, 1)); err == nil {
			return errors.New("the connection is still open after Close")
		}
		return nil
	})
}

func upgradeOutlivesContext(e *env) error {
	ctx, cancel := e.cancellable()
	defer cancel()
	resp, err := e.upgrade(ctx)
	if err != nil {
		return err
	}
	cancel()
	<-time.After(e.moment()) // in which a layer might act on it
	if err := e.echo(resp); err != nil {
		return fmt.Errorf("after the caller's context has ended: %w", err)
	}
	return nil
}

func upgradeHalfClose(e *env) error {
	resp, err := e.upgrade(e.ctx)
	if err != nil {
		return err
	}
	half, ok := resp.Body.(interface{ CloseWrite() error })
	if !ok {
		return fmt.Errorf("a Body of type %T has no CloseWrite, which that of http.Transport has", resp.Body)
	}
	if err := half.CloseWrite(); err != nil {
		return fmt.Errorf("CloseWrite: %w", err)
	}
	rest, err := e.text(resp)
	if err != nil || rest != "bye\n" {
		return fmt.Errorf("after CloseWrite came %q, %v; want the bye of the server", rest, err)
	}
	return nil
}

func reverseProxy(e *env) error {
	mux := http.NewServeMux()
	mux.Handle("/", e.peer())
	mux.HandleFunc("/upgrade", upgraded)
	e.serve(mux)
	target, err := url.Parse(e.url)
	if err != nil {
		return err
	}
	var failed atomic.Value
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: e.layer,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			failed.Store(err.Error())
			w.WriteHeader(http.StatusBadGateway)
		},
	})
	e.ends = append(e.ends, front.Close, front.CloseClientConnections)
	client := front.Client()
	client.Timeout = e.patience
	resp, err := client.Post(front.URL+"/echo", "text/plain", strings.NewReader(content))
	if err != nil {
		return err
	}
	if got, err := e.text(resp); err != nil || got != content {
		return fmt.Errorf("through the proxy a POST was answered %q, %v, and the proxy said %v; want %q", got, err, failed.Load(), content)
	}
	req, err := upgrading(e, front.URL+"/upgrade")
	if err != nil {
		return err
	}
	resp, err = client.Transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := e.echo(resp); err != nil {
		return fmt.Errorf("through the proxy, which said %v: %w", failed.Load(), err)
	}
	return nil
}
