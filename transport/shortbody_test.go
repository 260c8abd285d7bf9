package transport_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/datapunk/evenkeel/transport"
)

// A held connection does not return from its first Write before it is told to,
// although all of it is sent.
type held struct {
	net.Conn
	writes  atomic.Int32
	release <-chan struct{}
	over    func() // the second Write, or Close
}

func (c *held) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if c.writes.Add(1) == 1 {
		<-c.release
	} else {
		c.over()
	}
	return n, err
}

func (c *held) Close() error {
	c.over()
	return c.Conn.Close()
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }
func (f readFunc) Close() error               { return nil }

// A body that net/http would write together with the header may be under way
// still when the server has answered, and GetBody may rewind it then.
func TestShortBodyThatRewindsArrivesWhole(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 256)
	for name, wrap := range map[string]func(io.Reader) io.ReadCloser{
		"the same reader": io.NopCloser,
		"in another type": func(r io.Reader) io.ReadCloser { return readFunc(r.Read) },
		"a reader of its own": func(r io.Reader) io.ReadCloser {
			return io.NopCloser(io.NewSectionReader(r.(io.ReaderAt), 0, int64(len(text))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			got := make(chan string, 2)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if calls.Add(1) == 1 {
					c := http.NewResponseController(w)
					c.EnableFullDuplex() // else it reads what it can of the body first
					w.Header().Set("Content-Length", "0")
					w.WriteHeader(http.StatusServiceUnavailable)
					c.Flush()
					io.Copy(io.Discard, r.Body)
					return
				}
				b, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				got <- string(b)
			}))
			defer srv.Close()
			release, over := make(chan struct{}), make(chan struct{})
			var conns atomic.Int32
			base := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, addr)
				if err != nil || conns.Add(1) > 1 {
					return conn, err
				}
				return &held{Conn: conn, release: release, over: sync.OnceFunc(func() { close(over) })}, nil
			}}
			defer base.CloseIdleConnections()
			rt, err := transport.New(base, transport.WithBudget(nil), transport.WithPolicy(transport.Policy{MaxAttempts: 2, BaseDelay: 1}))
			if err != nil {
				t.Fatal(err)
			}
			reader := bytes.NewReader([]byte(text))
			req, err := http.NewRequest("PUT", srv.URL, io.NopCloser(reader))
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = int64(len(text))
			req.GetBody = func() (io.ReadCloser, error) {
				reader.Seek(0, io.SeekStart)
				close(release)
				<-over // whatever the first attempt still reads, it has read
				return wrap(reader), nil
			}
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("status %d, want 200", resp.StatusCode)
			}
			if b := <-got; b != text {
				t.Errorf("%d bytes arrived, of which the text has %d, or others", len(b), len(text))
			}
		})
	}
}
