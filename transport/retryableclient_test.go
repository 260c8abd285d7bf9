package transport_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/datapunk/evenkeel/transport"
	"github.com/hashicorp/go-retryablehttp"
)

func TestRetryableClient(t *testing.T) {
	var n, bodies atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if string(b) == "hello" {
			bodies.Add(1)
		}
		n.Add(1)
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
			return
		}
		w.WriteHeader(503)
		io.WriteString(w, "no room")
	}))
	defer srv.Close()
	idle := &idler{RoundTripper: &http.Transport{}}
	rt := build(t, idle, unlimited(), transport.WithPolicy(transport.Policy{BaseDelay: 1}))
	c := transport.RetryableClient(rt)
	if c.RetryMax != 0 || c.Logger != nil {
		t.Errorf("RetryMax %d and Logger %v, want 0 and nil", c.RetryMax, c.Logger)
	}
	for _, tt := range []struct {
		name, path string
		body       any
		requests   int32
		bodies     int32
	}{
		{"no body", "/", nil, 3, 0},
		{"bytes", "/", []byte("hello"), 3, 3},
		{"buffer", "/", bytes.NewBufferString("hello"), 3, 3},
		{"reader", "/", io.MultiReader(strings.NewReader("hello")), 3, 3},
		{"a func", "/", func() (io.Reader, error) { return strings.NewReader("hello"), nil }, 3, 3},
		{"a redirect", "/moved", []byte("hello"), 4, 4},
	} {
		n.Store(0)
		bodies.Store(0)
		req, err := retryablehttp.NewRequest("PUT", srv.URL+tt.path, tt.body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := text(t, resp); got != "no room" || resp.StatusCode != 503 || n.Load() != tt.requests || bodies.Load() != tt.bodies {
			t.Errorf("%s: %d %q after %d requests, %d with the body; want the last 503 after %d, %d", tt.name, resp.StatusCode, got, n.Load(), bodies.Load(), tt.requests, tt.bodies)
		}
	}
	srv.Close()
	if _, err := c.Get(srv.URL); err == nil {
		t.Error("no error from a server that is gone")
	} else if e := new(transport.Error); !errors.As(err, &e) || e.Attempts != 3 {
		t.Errorf("%v, want the chain's error after 3 attempts", err)
	}
	if idle.closed != 0 {
		t.Errorf("the pool that others share was emptied %d times", idle.closed)
	}
}

// A response handler that fails leaves its error, no response, and no body open.
func TestRetryableClientWithAHandlerThatFails(t *testing.T) {
	broken := errors.New("does not parse")
	for _, tt := range []struct {
		name    string
		code    int
		handler func(*http.Response) error
		read    int // bytes, at least
	}{
		{"at once", 200, func(*http.Response) error { return broken }, 6},
		{"after a part", 200, func(r *http.Response) error { r.Body.Read(make([]byte, 2)); return broken }, 6},
		{"after all", 200, func(r *http.Response) error { io.Copy(io.Discard, r.Body); return broken }, 6},
		{"after a Close", 200, func(r *http.Response) error { r.Body.Close(); return broken }, 0},
		{"with the last of all attempts", 503, func(*http.Response) error { return broken }, 6},
		{"not at all", 200, func(*http.Response) error { return nil }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var body *solitary
			base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				body = &solitary{n: 6, end: 1}
				return &http.Response{StatusCode: tt.code, Header: http.Header{}, Body: body, ContentLength: 6}, nil
			})
			req, err := retryablehttp.NewRequest("GET", "http://api.test/", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.SetResponseHandler(tt.handler)
			resp, err := transport.RetryableClient(build(t, base, steady(0))).Do(req)
			if tt.name == "not at all" {
				if err != nil || text(t, resp) != "xxxxxx" {
					t.Errorf("got %v, %v; want the response, unread", resp, err)
				}
				return
			}
			if resp != nil || !errors.Is(err, broken) {
				t.Errorf("got %v, %v; want only the handler's error", resp, err)
			}
			if body.closes.Load() == 0 || body.clashes.Load() != 0 || tt.read > 0 && body.reads < 3 {
				t.Errorf("the body was closed %d times after %d reads and closes, want it drained and closed", body.closes.Load(), body.reads)
			}
		})
	}
}

// blocks is content of which every part is different, so that no part can stand
// for another.
func blocks(size int) []byte {
	b := make([]byte, 0, size+sha256.Size)
	for sum := sha256.Sum256(nil); len(b) < size; sum = sha256.Sum256(sum[:]) {
		b = append(b, sum[:]...)
	}
	return b[:size]
}

// The body of a go-retryablehttp request arrives as it is or not at all,
// whatever it is made of and wherever it is sent.
func TestRetryableClientSendsWhatItWasGiven(t *testing.T) {
	const size = 2 << 20
	content := blocks(size)
	name := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	file := func() any {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	for _, tt := range []struct {
		name string
		body func() any
	}{
		{"a strings.Reader", func() any { return strings.NewReader(string(content)) }},
		{"a bytes.Reader", func() any { return bytes.NewReader(content) }},
		{"a bytes.Buffer", func() any { return bytes.NewBuffer(bytes.Clone(content)) }},
		{"a file", file},
		{"a func", func() any { return func() (io.Reader, error) { return bytes.NewReader(content), nil } }},
	} {
		for _, path := range []string{"/busy", "/moved", "/moved/busy"} {
			t.Run(tt.name+path, func(t *testing.T) {
				t.Parallel() // a server that answers early lingers for half a second
				eachProtocol(t, func(t *testing.T, srv *warehouse, base http.RoundTripper) {
					c := transport.RetryableClient(build(t, base, unlimited(), steady(0)))
					req, err := retryablehttp.NewRequest("PUT", srv.url+path, tt.body())
					if err != nil {
						t.Fatal(err)
					}
					resp, err := c.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					if got := text(t, resp); resp.StatusCode != 200 || got != sumOf(content) {
						t.Errorf("got %d and the sum %s, want 200 and that of the body", resp.StatusCode, got)
					}
				})
			})
		}
	}
}
