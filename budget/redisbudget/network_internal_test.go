package redisbudget

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/datapunk/evenkeel/budget/internal/fleet"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
)

// A network is a proxy in front of a server that can be made worse.
type network struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

func newNetwork(t *testing.T, upstream string) *network {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	n := &network{t, toxiproxy.NewProxy(server, t.Name(), "127.0.0.1:0", upstream)}
	n.up()
	t.Cleanup(n.proxy.Stop)
	return n
}

// up starts the proxy. Its address stays.
func (n *network) up() {
	n.t.Helper()
	if err := n.proxy.Start(); err != nil {
		n.t.Fatal(err)
	}
}

func (n *network) worsen(kind, direction, attributes string) {
	n.t.Helper()
	j := fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"attributes":{%s}}`, kind, kind, direction, attributes)
	if _, err := n.proxy.Toxics.AddToxicJson(strings.NewReader(j)); err != nil {
		n.t.Fatal(err)
	}
}

func (n *network) mend() { n.proxy.Toxics.ResetToxics(context.Background()) }

// Whatever the network does, the fleet keeps its promise, and shares again
// when the network is whole.
func TestNetwork(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	for _, tt := range []struct {
		name                        string
		toxic, direction, attribute string
		shared                      bool // meanwhile
	}{
		{"some latency", "latency", "downstream", `"latency":100,"jitter":50`, true},
		{"more latency than an exchange may take", "latency", "downstream", `"latency":900`, false},
		{"a black hole for requests", "timeout", "upstream", `"timeout":0`, false},
		{"a black hole for replies", "timeout", "downstream", `"timeout":0`, false},
		{"a reset after the request", "reset_peer", "downstream", `"timeout":0`, false},
		{"replies cut short", "limit_data", "downstream", `"bytes":100`, false},
		{"a kilobyte per second", "bandwidth", "downstream", `"rate":1`, true},
		{"connections slow to close", "slow_close", "downstream", `"delay":1000`, true},
		{"replies in small pieces", "slicer", "downstream", `"average_size":7,"size_variation":3,"delay":100`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, s.addr)
			h := newHerd(t, 1, dialer(n.proxy.Listen), WithPrefix(prefixFor(tt.name)))
			n.worsen(tt.toxic, tt.direction, tt.attribute)
			if tt.shared {
				h.during(1500 * time.Millisecond)
			} else {
				h.lost(noticed)
				h.onItsOwn(time.Second)
			}
			n.mend()
			t.Logf("shared again after %v", h.shares(back))
			h.together(time.Second)
		})
	}
	t.Run("flapping", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, s.addr)
		h := newHerd(t, 1, dialer(n.proxy.Listen), WithPrefix(prefixFor("flapping")))
		for range 5 {
			n.proxy.Stop()
			h.during(200 * time.Millisecond)
			n.up()
			h.during(200 * time.Millisecond)
		}
		t.Logf("shared again after %v", h.shares(back))
		h.together(time.Second)
	})
}

func prefixFor(name string) string { return strings.ReplaceAll(name, " ", "-") }

// A call that carries credit is executed once although its reply is lost. As
// an ordinary command the client would repeat it on each of its connections.
func TestCreditIsHandedOverOnce(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	must(admin(t, server.addr).ScriptLoad(t.Context(), settleScript).Result())
	for _, tt := range []struct {
		name  string
		safe  bool
		gives float64 // that arrive of one token
	}{{"with credit", false, 1}, {"if it were an ordinary command", true, 4}} {
		t.Run(tt.name, func(t *testing.T) {
			thief := newThief(t, server.addr)
			client := redis.NewClient(&redis.Options{Addr: thief.addr})
			defer client.Close()
			s, ctx := store{client: client}, t.Context()
			give := fleet.Ask{Ratio: 1, Stock: 100, Requests: 1000, Give: 1e6}
			// The client greets a server on first use, so all are used.
			var conns []*redis.Conn
			for range 8 {
				c := client.Conn()
				must(c.Ping(ctx).Result())
				conns = append(conns, c)
			}
			for _, c := range conns {
				c.Close()
			}
			thief.on.Store(true)
			key := "{p}:" + tt.name
			if _, err := s.Settle(ctx, &fleet.Exchange{Keys: []string{key}, Asks: []fleet.Ask{give}, Safe: tt.safe}); err == nil {
				t.Fatal("the reply was not lost")
			}
			answers, err := store{client: admin(t, server.addr)}.Settle(ctx, &fleet.Exchange{Keys: []string{key}, Asks: make([]fleet.Ask, 1), Safe: true})
			if err != nil {
				t.Fatal(err)
			}
			if got := answers[0].Pool; got != tt.gives {
				t.Errorf("of one token given, %v arrived, want %v", got, tt.gives)
			}
		})
	}
}

// A thief is a proxy that lets requests through and, while it is on, hangs up
// instead of passing on the answer.
type thief struct {
	addr string
	on   atomic.Bool
}

func newThief(t *testing.T, upstream string) *thief {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	th := &thief{addr: l.Addr().String()}
	var busy sync.WaitGroup
	busy.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			busy.Go(func() { th.carry(client, upstream) })
		}
	})
	t.Cleanup(func() { l.Close(); busy.Wait() })
	return th
}

func (th *thief) carry(client net.Conn, upstream string) {
	defer client.Close()
	server, err := net.Dial("tcp", upstream)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		io.Copy(server, client)
		server.Close()
	}()
	b := make([]byte, 4096)
	for {
		n, err := server.Read(b)
		if err != nil || th.on.Load() {
			return
		}
		client.Write(b[:n])
	}
}
