package redisbudget

import (
	"context"
	"math"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func dialer(addr string) func(int) redis.UniversalClient {
	return func(int) redis.UniversalClient { return redis.NewClient(&redis.Options{Addr: addr}) }
}

// admin is a client for what a test does to a server.
func admin(t *testing.T, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { c.Close() })
	return c
}

// How long a fleet may take to notice that Redis is lost, and to share again.
// Both take one to two seconds.
const noticed, back = 3 * time.Second, 6 * time.Second

func TestServerKilledAndRestartedEmpty(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	h := newHerd(t, 1, dialer(s.addr))
	h.together(time.Second)
	s.kill()
	h.lost(noticed)
	h.onItsOwn(time.Second)
	s.start()
	t.Logf("shared again after %v", h.shares(back))
	h.together(time.Second)
	for i, c := range h.members {
		if n := c.changes.Load(); n != 2 && c.timeouts.Load() == 0 {
			t.Errorf("member %d told of %d changes, want that it lost Redis and found it", i, n)
		}
	}
}

func TestMemoryLost(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	h := newHerd(t, 1, dialer(s.addr))
	c := admin(t, s.addr)
	for _, cmd := range []string{"FLUSHALL", "SCRIPT"} {
		args := []any{cmd}
		if cmd == "SCRIPT" {
			args = append(args, "FLUSH")
		}
		if err := c.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
		h.together(1500 * time.Millisecond)
	}
	sent := int64(0)
	for i, m := range h.members {
		sent += m.scripts.Load()
		if m.changes.Load() != 0 && m.timeouts.Load() == 0 {
			t.Errorf("member %d thought that Redis was lost", i)
		}
	}
	if sent < 2 || sent > 4*herdSize {
		t.Errorf("the script was sent %d times, want at first and after SCRIPT FLUSH", sent)
	}
}

func TestServerPaused(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	h := newHerd(t, 1, dialer(s.addr))
	if err := admin(t, s.addr).Do(t.Context(), "CLIENT", "PAUSE", 2000, "ALL").Err(); err != nil {
		t.Fatal(err)
	}
	h.lost(noticed)
	t.Logf("shared again after %v", h.shares(back))
	h.together(time.Second)
}

func TestServerOutOfMemory(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	h := newHerd(t, 1, dialer(s.addr))
	c := admin(t, s.addr)
	if err := c.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	h.lost(noticed)
	h.onItsOwn(time.Second)
	if err := c.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("shared again after %v", h.shares(back))
	h.together(time.Second)
}

// A budget whose key holds a list is alone with that; the other is shared.
func TestForeignKey(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	h := newHerd(t, 2, dialer(s.addr))
	c, key := admin(t, s.addr), h.members[0].budgets[0].part().Key()
	pipe := c.TxPipeline()
	pipe.Del(t.Context(), key)
	pipe.RPush(t.Context(), key, "not ours")
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 3*time.Second, "the first is alone", func() bool {
		for _, m := range h.members {
			if m.budgets[0].Stats().Connected {
				return false
			}
		}
		return true
	})
	for i, m := range h.members {
		if st := m.budgets[1].Stats(); (!st.Connected || m.changes.Load() != 0) && m.timeouts.Load() == 0 {
			t.Errorf("member %d: the other budget: %+v", i, st)
		}
	}
	if got := c.LRange(t.Context(), key, 0, -1).Val(); len(got) != 1 || got[0] != "not ours" {
		t.Errorf("the list became %q", got)
	}
	c.Del(t.Context(), key)
	t.Logf("shared again after %v", h.shares(back))
}

// A replica that lags is promoted: what was taken from the pool in between is
// there again, which is at most one pool.
func TestReplicaPromotedWithLostWrites(t *testing.T) {
	t.Parallel()
	master := startRedis(t)
	link := newNetwork(t, master.addr) // over which the replica hears of what happens
	_, port, _ := net.SplitHostPort(link.proxy.Listen)
	replica := startRedis(t, "--replicaof", "127.0.0.1 "+port)
	r := admin(t, replica.addr)
	eventually(t, 10*time.Second, "the replica is in step", func() bool {
		return strings.Contains(r.Info(t.Context(), "replication").Val(), "master_link_status:up")
	})
	var promoted atomic.Bool // as a name that is looked up again
	h := newHerd(t, 1, func(int) redis.UniversalClient {
		return redis.NewClient(&redis.Options{Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			addr := master.addr
			if promoted.Load() {
				addr = replica.addr
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}})
	})
	h.together(time.Second)
	link.worsen("timeout", "downstream", `"timeout":0`)
	h.together(time.Second)
	key := h.members[0].budgets[0].part().Key()
	before, _ := r.Get(t.Context(), key).Result()
	if now, err := admin(t, master.addr).Get(t.Context(), key).Result(); err != nil || now == before || before == "" {
		t.Fatalf("nothing is lost: %v", err)
	}
	h.extra.Store(int64(math.Ceil(h.members[0].budgets[0].Stats().PoolCap)))
	master.kill()
	h.lost(noticed)
	if err := r.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	promoted.Store(true)
	t.Logf("promoted; shared again after %v", h.shares(back))
	h.together(time.Second)
}
