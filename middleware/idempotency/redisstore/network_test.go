package redisstore_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
)

// A counter counts round trips.
type counter struct{ n atomic.Int64 }

func (c *counter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmds)
	}
}

// newProxy returns a proxy in front of a server that can be made worse.
func newProxy(t *testing.T, upstream string) *toxiproxy.Proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, t.Name(), "127.0.0.1:0", upstream)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	return proxy
}

// cut lets so many bytes of replies through on each connection, and then hangs up.
func cut(t *testing.T, proxy *toxiproxy.Proxy, bytes int) {
	t.Helper()
	j := fmt.Sprintf(`{"name":"cut","type":"limit_data","stream":"downstream","attributes":{"bytes":%d}}`, bytes)
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(j)); err != nil {
		t.Fatal(err)
	}
}

// The reply of a call is lost. Its owner calls again and is recognized: it is not told
// that the key is busy or lost.
func TestLostReplies(t *testing.T) {
	s := startRedis(t)
	direct := newStore(t, s.client(t))
	c := newClaim("warm", time.Minute) // so that the server has the scripts
	begin(t, direct, c, idempotency.Started)
	for _, err := range []error{direct.Renew(t.Context(), c.Hold), direct.Finish(t.Context(), c.Hold, paid), direct.Release(t.Context(), newClaim("none", 0).Hold)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name  string
		begun bool
		call  func(idempotency.Store, idempotency.Claim) error
		after idempotency.State // what another claim finds
	}{
		{"Begin", false, func(s idempotency.Store, c idempotency.Claim) error {
			found, err := s.Begin(t.Context(), c)
			if err == nil && (found.State != idempotency.Started || found.Runs != 1) {
				t.Errorf("Begin: %+v, want Started and Runs 1", found)
			}
			return err
		}, idempotency.Busy},
		{"Renew", true, func(s idempotency.Store, c idempotency.Claim) error { return s.Renew(t.Context(), c.Hold) }, idempotency.Busy},
		{"Finish", true, func(s idempotency.Store, c idempotency.Claim) error { return s.Finish(t.Context(), c.Hold, paid) }, idempotency.Done},
		{"Release", true, func(s idempotency.Store, c idempotency.Claim) error { return s.Release(t.Context(), c.Hold) }, idempotency.Started},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxy := newProxy(t, s.addr)
			client := dial(t, &redis.Options{Addr: proxy.Listen, MaxRetries: -1, Protocol: 2, DisableIdentity: true})
			store := newStore(t, client)
			c := newClaim(tt.name, time.Minute)
			if tt.begun {
				begin(t, direct, c, idempotency.Started)
			}
			client.Ping(t.Context()) // so that there is a connection
			cut(t, proxy, 0)
			if err := tt.call(store, c); err == nil {
				t.Fatal("the reply was not lost")
			}
			proxy.Toxics.ResetToxics(t.Context())
			if err := tt.call(store, c); err != nil {
				t.Errorf("%s again: %v", tt.name, err)
			}
			begin(t, direct, newClaim(tt.name, time.Minute), tt.after)
		})
	}
}

// The client repeats a command by itself if the reply is lost, and its caller does not
// see that.
func TestRepeatedByTheClient(t *testing.T) {
	s := startRedis(t)
	begin(t, newStore(t, s.client(t)), newClaim("warm", time.Minute), idempotency.Started)
	proxy := newProxy(t, s.addr)
	var dials atomic.Int64
	client := dial(t, &redis.Options{Addr: proxy.Listen, Protocol: 2, DisableIdentity: true,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dials.Add(1) == 2 {
				proxy.Toxics.ResetToxics(ctx)
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}})
	store := newStore(t, client)
	client.Ping(t.Context())
	cut(t, proxy, 0)
	if got := begin(t, store, newClaim("k", time.Minute), idempotency.Started); got.Runs != 1 {
		t.Errorf("Runs %d, want 1", got.Runs)
	}
	if dials.Load() < 2 {
		t.Error("no reply was lost")
	}
}
