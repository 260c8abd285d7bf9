package middleware_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/transport"
)

// An attempt is timed up to the response header, at both ends. What takes longer
// than that arrives as it would without them.
func TestAttemptTimeoutEndsWithTheHeader(t *testing.T) {
	const long = 5 * time.Second // AttemptTimeout is 2 s
	download := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		for range 10 {
			w.Write(make([]byte, 10_000))
			http.NewResponseController(w).Flush()
			time.Sleep(long / 10)
		}
	}
	events := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 10 {
			if r.Context().Err() != nil {
				return // as handlers of events do
			}
			w.Write(make([]byte, 10_000))
			http.NewResponseController(w).Flush()
			time.Sleep(long / 10)
		}
	}
	duplex := func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		buf := make([]byte, 10_000)
		for {
			n, err := r.Body.Read(buf)
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Errorf("the handler reads %v", err)
				panic(http.ErrAbortHandler)
			}
			w.Write(buf[:n])
			http.NewResponseController(w).Flush()
		}
	}
	for name, handler := range map[string]http.HandlerFunc{"download": download, "events": events, "duplex": duplex} {
		for proto, http2 := range map[string]bool{"HTTP1": false, "HTTP2": true} {
			t.Run(name+"/"+proto, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					wrap, err := middleware.New(middleware.WithShedding(middleware.Shedding{}),
						middleware.WithDeadlines(middleware.Deadlines{Max: 10 * time.Second}), middleware.WithAttempts())
					if err != nil {
						t.Fatal(err)
					}
					over(t, &http.Server{}, wrap(handler), http2, func(c *http.Client) {
						bare := c.Transport.(*http.Transport)
						rt, err := transport.New(bare, transport.WithPolicy(transport.Policy{AttemptTimeout: 2 * time.Second}))
						if err != nil {
							t.Fatal(err)
						}
						for _, timeout := range []time.Duration{0, 8 * time.Second} { // of the client
							c = &http.Client{Transport: rt, Timeout: timeout}
							body := io.Reader(http.NoBody)
							if name == "duplex" {
								body = &trickle{left: 10, every: long / 10}
							}
							req, _ := http.NewRequest("POST", "http://x.test/", body)
							resp, err := c.Do(req)
							if err != nil {
								t.Fatal(err)
							}
							got, err := io.ReadAll(resp.Body)
							resp.Body.Close()
							if err != nil || len(got) != 100_000 {
								t.Errorf("Timeout %v: %d bytes, %v; want 100,000", timeout, len(got), err)
							}
						}
					})
				})
			})
		}
	}
}

// trickle yields 10,000 bytes at a time.
type trickle struct {
	left  int
	every time.Duration
}

func (r *trickle) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	r.left--
	time.Sleep(r.every)
	return copy(p, make([]byte, 10_000)), nil
}

// The deadline of a context bounds the handshake of an upgrade, and not what comes
// of it.
func TestUpgradeOutlivesItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		echo := func(w http.ResponseWriter, r *http.Request) {
			conn, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			for line, err := rw.ReadString('\n'); err == nil; line, err = rw.ReadString('\n') {
				if r.Context().Err() != nil {
					return // as a handler that heeds its context does
				}
				io.WriteString(conn, line)
			}
		}
		wrap, err := middleware.New(middleware.WithShedding(middleware.Shedding{}), middleware.WithDeadlines(middleware.Deadlines{}))
		if err != nil {
			t.Fatal(err)
		}
		over(t, &http.Server{}, wrap(http.HandlerFunc(echo)), false, func(c *http.Client) {
			rt, err := transport.New(c.Transport, transport.WithPolicy(transport.Policy{AttemptTimeout: 2 * time.Second}))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "GET", "http://x.test/", nil)
			req.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"echo"}}
			resp, err := rt.RoundTrip(req)
			if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
				t.Fatal(resp, err)
			}
			conn := resp.Body.(io.ReadWriteCloser)
			for range 10 {
				line := make([]byte, len("hello\n"))
				io.WriteString(conn, "hello\n")
				if _, err := io.ReadFull(conn, line); err != nil || strings.TrimSpace(string(line)) != "hello" {
					t.Fatalf("got %q, %v; want an echo", line, err)
				}
				time.Sleep(time.Second)
			}
			conn.Close()
		})
	})
}
