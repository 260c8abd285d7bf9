package clients_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/coder/websocket"
)

func proxyHandler(target *url.URL, chain http.RoundTripper) http.Handler {
	// README: proxy
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: chain,
	}
	// README: end
	return proxy
}

// front starts a proxy in front of a backend.
func front(t *testing.T, b *backend, rt http.RoundTripper) string {
	t.Helper()
	target, err := url.Parse(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(proxyHandler(target, rt))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestReverseProxy(t *testing.T) {
	t.Parallel()
	busy := answer(503, "text/plain", "busy")
	send := func(t *testing.T, method, url string, size int) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url+"/x", bytes.NewReader(make([]byte, size)))
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: bare(t)}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return resp.StatusCode, string(body)
	}

	for _, tt := range []struct {
		name, method string
		size         int
		then         http.HandlerFunc // nil if nothing ever serves
		times        int
		status       int
		body         string
	}{
		{"small body", "PUT", 60_000, answer(200, "", "ok"), 3, 200, "ok"},
		{"large body", "PUT", 70_000, answer(200, "", "ok"), 1, 503, "busy"},
		{"post", "POST", 10, answer(200, "", "ok"), 1, 503, "busy"},
		{"three attempts stay three", "GET", 0, nil, 3, 503, "busy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fails := 2
			if tt.then == nil {
				fails = always
			}
			b := serve(t, fails, busy, tt.then)
			chain, _ := newChain(t, bare(t))
			if status, body := send(t, tt.method, front(t, b, chain), tt.size); status != tt.status || body != tt.body {
				t.Errorf("got %d %q, want %d %q", status, body, tt.status, tt.body)
			}
			b.expect(t, tt.method+" /x", tt.times)
		})
	}
	t.Run("no answer", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, reset, nil)
		chain, _ := newChain(t, bare(t))
		for _, rt := range []http.RoundTripper{bare(t), chain} {
			if status, _ := send(t, "POST", front(t, b, rt), 10); status != 502 {
				t.Errorf("status %d, want 502", status)
			}
		}
		b.expect(t, "POST /x", 2) // one each
	})
	t.Run("stream", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, busy, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			slowly(w, r, "data: 1\n\n", "data: 2\n\n")
		})
		chain, _ := newChain(t, bare(t))
		if status, body := send(t, "GET", front(t, b, chain), 0); status != 200 || body != "data: 1\n\ndata: 2\n\n" {
			t.Errorf("got %d %q, want both events", status, body)
		}
	})
	t.Run("WebSocket", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, busy, func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer conn.CloseNow()
			kind, message, err := conn.Read(t.Context())
			if err != nil {
				return
			}
			pause(r)
			conn.Write(t.Context(), kind, message)
			conn.Close(websocket.StatusNormalClosure, "")
		})
		chain, _ := newChain(t, bare(t))
		conn, _, err := websocket.Dial(t.Context(), front(t, b, chain)+"/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		if err := conn.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.Read(t.Context()); string(got) != "hello" || err != nil {
			t.Errorf("read %q, %v, want hello", got, err)
		}
		b.expect(t, "GET /ws", 3)
	})
}
