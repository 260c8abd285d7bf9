package transport_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
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
		{name: "nothing, now and then", body: &solitary{pause: 3 * time.Millisecond}, after: 50 * time.Millisecond},
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

// dribble is a response body that notes what is done to it.
type dribble struct {
	left  int           // bytes
	each  int           // at most so many at a time
	pause time.Duration // before each
	read  int
	done  chan struct{}
	close func()
}

func (d *dribble) Read(p []byte) (int, error) {
	select {
	case <-after(d.pause):
	case <-d.done:
		return 0, http.ErrBodyReadAfterClose
	}
	if d.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), d.each, d.left)
	d.left -= n
	d.read += n
	return n, nil
}

func (d *dribble) Close() error { d.close(); return nil }

// A response that is dropped is read to its end within 64 KiB and 50 ms, and
// closed in any case. The next attempt waits no longer than that.
func TestDrain(t *testing.T) {
	const forever = 1 << 30
	for _, tt := range []struct {
		name   string
		length int64
		body   dribble
		read   [2]int // at least, at most
		took   time.Duration
	}{
		{"empty", 0, dribble{}, [2]int{0, 0}, 0},
		{"short", 5, dribble{left: 5, each: 5}, [2]int{5, 5}, 0},
		{"64 KiB", -1, dribble{left: 64 << 10, each: 4096}, [2]int{64 << 10, 64 << 10}, 0},
		{"64 KiB, announced", 64 << 10, dribble{left: 64 << 10, each: 4096}, [2]int{64 << 10, 64 << 10}, 0},
		{"more than 64 KiB", -1, dribble{left: 1 << 20, each: 4096}, [2]int{64 << 10, 64<<10 + 1}, 0},
		{"more than 64 KiB, announced", 1 << 20, dribble{left: 1 << 20, each: 4096}, [2]int{0, 0}, 0},
		{"endless", -1, dribble{left: forever, each: 4096}, [2]int{64 << 10, 64<<10 + 1}, 0},
		{"slow, but in time", -1, dribble{left: 4, each: 1, pause: 9 * time.Millisecond}, [2]int{4, 4}, 45 * time.Millisecond},
		{"too slow", -1, dribble{left: forever, each: 1, pause: 9 * time.Millisecond}, [2]int{5, 6}, 50 * time.Millisecond},
		{"stalled", -1, dribble{left: 1, each: 1, pause: time.Hour}, [2]int{0, 0}, 50 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body := &tt.body
				body.done = make(chan struct{})
				body.close = sync.OnceFunc(func() { close(body.done) })
				var first, second time.Time
				base := transport.RoundTripperFunc(func(*http.Request) (*http.Response, error) {
					if first.IsZero() {
						first = time.Now()
						return &http.Response{StatusCode: 503, ContentLength: tt.length, Header: http.Header{}, Body: body}, nil
					}
					second = time.Now()
					return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
				})
				resp, err := build(t, base, unlimited(), transport.WithBackoff(func(time.Duration, time.Duration, int, *http.Response) time.Duration { return 0 })).RoundTrip(get(t, t.Context()))
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("got %v, %v; want 200", resp, err)
				}
				if took := second.Sub(first); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				// A Read that nothing can end is not waited for, and the body
				// is closed after it, or in the end under it.
				time.Sleep(time.Minute)
				select {
				case <-body.done:
				default:
					t.Error("the body was not closed")
				}
				synctest.Wait()
				if body.read < tt.read[0] || body.read > tt.read[1] {
					t.Errorf("read %d bytes, want %d to %d", body.read, tt.read[0], tt.read[1])
				}
			})
		})
	}
}

// Responses that are dropped give their connections back.
func TestDroppedResponsesKeepTheConnection(t *testing.T) {
	const calls = 300
	for _, chunked := range []bool{false, true} {
		var n, conns atomic.Int32
		busy := []byte(strings.Repeat("x", 16<<10))
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1)%3 == 0 {
				io.WriteString(w, "ok")
				return
			}
			if !chunked {
				w.Header().Set("Content-Length", fmt.Sprint(len(busy)))
			}
			w.WriteHeader(503)
			w.Write(busy)
		}))
		srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				conns.Add(1)
			}
		}
		srv.Start()
		before := goleak.IgnoreCurrent()
		base := &http.Transport{}
		client := &http.Client{Transport: build(t, base, unlimited(), transport.WithPolicy(transport.Policy{BaseDelay: 1, MaxDelay: 1}))}
		for range calls {
			resp, err := client.Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			if got := text(t, resp); resp.StatusCode != 200 || got != "ok" {
				t.Fatalf("got %d %q, want 200 ok", resp.StatusCode, got)
			}
		}
		base.CloseIdleConnections()
		if got := conns.Load(); got > 2 || n.Load() != 3*calls {
			t.Errorf("chunked %v: %d calls in %d attempts used %d connections, want %d attempts and at most 2", chunked, calls, n.Load(), got, 3*calls)
		}
		srv.CloseClientConnections()
		goleak.VerifyNone(t, before)
		srv.Close()
	}
}
