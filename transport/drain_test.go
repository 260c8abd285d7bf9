package transport_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
	"go.uber.org/goleak"
)

// solitary is a body as layers make them that count: not for two goroutines at
// once, which it would notice. A Read that is due before the context ends
// brings n bytes of x.
type solitary struct {
	ctx   context.Context
	n     int
	pause time.Duration
	end   int // Reads after which io.EOF comes; 0: never

	inside, clashes, closes atomic.Int32
	reads                   int // for the race detector too
}

func (b *solitary) enter() {
	if b.inside.Add(1) > 1 {
		b.clashes.Add(1)
	}
}

func (b *solitary) Read(p []byte) (int, error) {
	b.enter()
	defer b.inside.Add(-1)
	b.reads++
	if b.pause > 0 {
		select {
		case <-time.After(b.pause):
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		}
	}
	if b.closes.Load() > 0 || b.end > 0 && b.reads > b.end {
		return 0, io.EOF
	}
	return copy(p, strings.Repeat("x", b.n)), nil
}

func (b *solitary) Close() error {
	b.enter()
	defer b.inside.Add(-1)
	b.reads++
	b.closes.Add(1)
	return nil
}

// Whatever a replaced response's body is like, one goroutine reads and closes
// it, and the next attempt is sent within 50 ms.
func TestDrainIsOneReader(t *testing.T) {
	for _, tt := range []struct {
		name   string
		body   *solitary
		limit  time.Duration // AttemptTimeout
		after  time.Duration // the second attempt
		reads  int           // with the Close; 0: any number
		sooner bool          // the body is closed before the second attempt
	}{
		{name: "whole", body: &solitary{n: 10, end: 3}, reads: 5, sooner: true},
		{name: "in dribs", body: &solitary{n: 1, pause: 20 * time.Millisecond}, after: 50 * time.Millisecond},
		{name: "in dribs, to be ended by its context", body: &solitary{n: 1, pause: 20 * time.Millisecond}, limit: time.Minute, after: 50 * time.Millisecond, sooner: true},
		{name: "stalled", body: &solitary{n: 1, pause: 3 * time.Second}, after: 50 * time.Millisecond, reads: 2},
		{name: "stalled, to be ended by its context", body: &solitary{n: 1, pause: time.Hour}, limit: time.Minute, after: 50 * time.Millisecond, reads: 2, sooner: true},
		{name: "nothing, again and again", body: &solitary{}, reads: 101, sooner: true},
		{name: "nothing, now and then", body: &solitary{pause: time.Millisecond}, after: 50 * time.Millisecond},
		{name: "without end", body: &solitary{n: 1000}, sooner: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body := tt.body
				var sent []time.Time
				closed := false
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					if sent = append(sent, time.Now()); len(sent) == 1 {
						body.ctx = req.Context()
						return &http.Response{StatusCode: 503, ContentLength: -1, Header: http.Header{}, Body: body}, nil
					}
					closed = body.closes.Load() > 0
					return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
				})
				resp, err := build(t, base, steady(0), transport.WithPolicy(transport.Policy{AttemptTimeout: tt.limit})).RoundTrip(get(t, t.Context()))
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("got %v, %v; want 200", resp, err)
				}
				if got := sent[1].Sub(sent[0]); got != tt.after || tt.sooner != closed {
					t.Errorf("the second attempt came after %v, with the body closed: %v; want %v, %v", got, closed, tt.after, tt.sooner)
				}
				time.Sleep(10 * time.Second) // a Read that nothing can end takes its time
				synctest.Wait()
				if n := body.closes.Load(); n != 1 || body.clashes.Load() != 0 {
					t.Errorf("the body was closed %d times and used by two at once %d times, want 1 and 0", n, body.clashes.Load())
				}
				if tt.reads > 0 && body.reads != tt.reads {
					t.Errorf("%d reads, want %d", body.reads, tt.reads)
				}
			})
		})
	}
}

// A body that only a Close would free is closed in the end, and the call has
// long gone on.
func TestDrainOfABodyThatNothingFrees(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		n := 0
		base := transport.RoundTripperFunc(func(*http.Request) (*http.Response, error) {
			if n++; n > 1 {
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
			}
			return &http.Response{StatusCode: 503, ContentLength: -1, Header: http.Header{}, Body: r}, nil
		})
		start := time.Now()
		resp, err := build(t, base, steady(0)).RoundTrip(get(t, t.Context()))
		if err != nil || resp.StatusCode != 200 || time.Since(start) != 50*time.Millisecond {
			t.Fatalf("got %v, %v after %v; want 200 after 50ms", resp, err, time.Since(start))
		}
		time.Sleep(10 * time.Second)
		if _, err := w.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("ten seconds later a write ends with %v, want a closed pipe", err)
		}
	})
}

type panicBody struct{}

func (panicBody) Read([]byte) (int, error) { panic("body") }
func (panicBody) Close() error             { return nil }

// A body that panics does so on the goroutine of the caller.
func TestDrainOfABodyThatPanics(t *testing.T) {
	base := transport.RoundTripperFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 503, ContentLength: -1, Header: http.Header{}, Body: panicBody{}}, nil
	})
	defer func() {
		if got := recover(); got != "body" {
			t.Errorf("recovered %v, want the panic of the body", got)
		}
	}()
	build(t, base, steady(0)).RoundTrip(get(t, t.Context()))
}

// The drain of a body that dribbles ends after 50 ms, to the moment.
func TestDrainEndsOnTime(t *testing.T) {
	for _, tt := range []struct {
		name  string
		head  string
		limit time.Duration
		takes time.Duration
	}{
		{"a body that dribbles", "HTTP/1.1 503 No\r\nContent-Length: 1000\r\n\r\n", 0, 50 * time.Millisecond},
		{"under an AttemptTimeout", "HTTP/1.1 503 No\r\nContent-Length: 1000\r\n\r\n", time.Minute, 50 * time.Millisecond},
		{"of unknown length", "HTTP/1.1 503 No\r\n\r\n", 0, 50 * time.Millisecond},
		{"a long one is not read at all", "HTTP/1.1 503 No\r\nContent-Length: 65537\r\n\r\n", 0, 0},
		{"nor a compressed one", "HTTP/1.1 503 No\r\nContent-Encoding: gzip\r\n\r\n", 0, 0},
		{"unless its attempt can be ended", "HTTP/1.1 503 No\r\nContent-Encoding: gzip\r\n\r\n", time.Minute, 50 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var served sync.WaitGroup
				var starts []time.Time
				base := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
					client, server := net.Pipe()
					served.Go(func() {
						defer server.Close()
						r := bufio.NewReader(server)
						if _, err := http.ReadRequest(r); err != nil {
							return
						}
						if starts = append(starts, time.Now()); len(starts) == 2 {
							io.WriteString(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
							return
						}
						io.WriteString(server, tt.head)
						for {
							time.Sleep(20 * time.Millisecond)
							b := "x"
							if strings.Contains(tt.head, "gzip") {
								b = "" // nothing ever
								if _, err := r.Peek(1); err != nil {
									return
								}
							}
							if _, err := io.WriteString(server, b); err != nil {
								return
							}
						}
					})
					return client, nil
				}}
				rt := build(t, base, steady(0), transport.WithPolicy(transport.Policy{AttemptTimeout: tt.limit}))
				resp, err := rt.RoundTrip(get(t, t.Context()))
				if err != nil || resp.StatusCode != 200 {
					t.Fatal(resp, err)
				}
				resp.Body.Close()
				base.CloseIdleConnections()
				served.Wait()
				if took := starts[1].Sub(starts[0]); took != tt.takes {
					t.Errorf("the drain took %v, want %v", took, tt.takes)
				}
			})
		})
	}
}

// A small body is drained, so that its connection serves the next attempt too.
func TestConnectionsAreReused(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var n, conns atomic.Int32
	junk := strings.Repeat("x", 16<<10)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%3 != 0 {
			w.WriteHeader(503)
			io.WriteString(w, junk)
		}
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	client := &http.Client{Transport: build(t, base, unlimited(), transport.WithPolicy(transport.Policy{BaseDelay: 1, MaxDelay: 1}))}
	for range 100 {
		resp, err := client.Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		if call, _ := transport.CallOf(resp); resp.StatusCode != 200 || call.Attempts != 3 {
			t.Fatalf("%d after %+v, want 200 after 3 attempts", resp.StatusCode, call)
		}
		resp.Body.Close()
	}
	if conns.Load() > 2 || n.Load() != 300 {
		t.Errorf("%d connections for %d serial attempts, want at most 2 for 300", conns.Load(), n.Load())
	}
}
