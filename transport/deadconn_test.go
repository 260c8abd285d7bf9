package transport_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// forgetful is a NAT that forwards connections and may forget one: then it takes
// what is sent on it, passes nothing on and says nothing.
type forgetful struct {
	net.Listener
	to    string
	conns atomic.Int32
	dead  atomic.Int32 // connections up to this number are forgotten
	serve sync.WaitGroup

	mu   sync.Mutex // guards what follows
	open []net.Conn
	over bool
}

func forward(t *testing.T, to string) *forgetful {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forgetful{Listener: l, to: to}
	f.serve.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := f.conns.Add(1)
			f.serve.Go(func() { f.pass(c, n) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		f.end()
		f.serve.Wait()
	})
	return f
}

// end breaks all connections.
func (f *forgetful) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	for _, c := range f.open {
		c.Close()
	}
}

func (f *forgetful) keep(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = append(f.open, conns...)
	for _, c := range conns {
		if f.over {
			c.Close()
		}
	}
}

func (f *forgetful) pass(c net.Conn, n int32) {
	up, err := net.Dial("tcp", f.to)
	if err != nil {
		c.Close()
		return
	}
	f.keep(c, up)
	f.serve.Go(func() {
		f.copy(c, up, n)
		if f.dead.Load() < n { // a dead one is not even closed
			c.Close()
		}
	})
	f.copy(up, c, n)
	up.Close()
}

func (f *forgetful) copy(to io.Writer, from io.Reader, n int32) {
	b := make([]byte, 4096)
	for {
		k, err := from.Read(b)
		if err != nil {
			return
		}
		if f.dead.Load() < n {
			to.Write(b[:k])
		}
	}
}

// One dead HTTP/2 connection takes all attempts, unless the base pings it.
func TestDeadHTTP2Connection(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	for _, tt := range []struct {
		name  string
		pings *http.HTTP2Config
		heals bool
	}{
		{"as it comes", nil, false},
		{"with pings", &http.HTTP2Config{SendPingTimeout: 50 * time.Millisecond, PingTimeout: 50 * time.Millisecond}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nat := forward(t, srv.Listener.Addr().String())
			base := srv.Client().Transport.(*http.Transport).Clone()
			base.HTTP2 = tt.pings
			defer base.CloseIdleConnections()
			rt := build(t, base, unlimited(), transport.WithoutGuard(),
				transport.WithPolicy(transport.Policy{AttemptTimeout: 100 * time.Millisecond, BaseDelay: time.Millisecond}))
			call := func() error {
				req, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+nat.Addr().String(), nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := rt.RoundTrip(req)
				if err == nil {
					resp.Body.Close()
				}
				return err
			}
			for start := time.Now(); call() != nil; { // the first TLS handshake may be slow
				if time.Since(start) > 10*time.Second {
					t.Fatal("no connection")
				}
			}
			nat.dead.Store(nat.conns.Load())
			calls := 3
			if tt.heals {
				calls = 30
			}
			healed := false
			for range calls {
				if healed = call() == nil; healed {
					break
				}
			}
			if healed != tt.heals {
				t.Errorf("answered again: %v, want %v; %d connections", healed, tt.heals, nat.conns.Load())
			}
		})
	}
}
