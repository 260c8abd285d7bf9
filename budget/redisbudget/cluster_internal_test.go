package redisbudget

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A cluster is three masters with a replica each.
type cluster struct {
	servers []*server
	admins  []*redis.Client
	ids     []string
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	needRedis(t)
	c := &cluster{}
	for i := range 6 {
		s := startRedis(t, "--cluster-enabled", "yes", "--cluster-config-file", filepath.Join(t.TempDir(), "nodes"), "--cluster-node-timeout", "1000")
		a := admin(t, s.addr)
		c.servers, c.admins = append(c.servers, s), append(c.admins, a)
		c.ids = append(c.ids, must(a.ClusterMyID(t.Context()).Result()))
		must(a.Do(t.Context(), "CLUSTER", "SET-CONFIG-EPOCH", i+1).Result())
		if i < 3 {
			must(a.ClusterAddSlotsRange(t.Context(), i*16384/3, (i+1)*16384/3-1).Result())
		}
		if i > 0 {
			must(c.admins[0].ClusterMeet(t.Context(), "127.0.0.1", s.port()).Result())
		}
	}
	for i := 3; i < 6; i++ {
		eventually(t, 15*time.Second, "a replica finds its master", func() bool {
			return c.admins[i].ClusterReplicate(t.Context(), c.ids[i-3]).Err() == nil
		})
	}
	eventually(t, 20*time.Second, "the cluster is whole", func() bool {
		for i, a := range c.admins {
			if !strings.Contains(a.ClusterInfo(t.Context()).Val(), "cluster_state:ok") ||
				!strings.Contains(a.ClusterInfo(t.Context()).Val(), "cluster_known_nodes:6") ||
				i >= 3 && !strings.Contains(a.Info(t.Context(), "replication").Val(), "master_link_status:up") ||
				strings.Count(a.ClusterNodes(t.Context()).Val(), "slave") != 3 {
				return false
			}
		}
		return true
	})
	return c
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (c *cluster) client(int) redis.UniversalClient {
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{c.servers[0].addr, c.servers[1].addr, c.servers[4].addr}, ContextTimeoutEnabled: true,
	})
}

// owner is the master that has a slot.
func (c *cluster) owner(slot int64) int { return min(int(slot*3/16384), 2) }

func TestShardsByTheClient(t *testing.T) {
	none := []string{"127.0.0.1:1"}
	for _, tt := range []struct {
		client redis.UniversalClient
		opts   []Option
		want   int
	}{
		{redis.NewClient(&redis.Options{Addr: none[0]}), nil, 1},
		{redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: none}), nil, 1},
		{redis.NewClusterClient(&redis.ClusterOptions{Addrs: none}), nil, 4},
		{redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": none[0]}}), nil, 4},
		{redis.NewClient(&redis.Options{Addr: none[0]}), []Option{WithShards(3)}, 3},
		{redis.NewClusterClient(&redis.ClusterOptions{Addrs: none}), []Option{WithShards(9)}, 9},
	} {
		c := defaults()
		for _, o := range tt.opts {
			o(&c)
		}
		if got := c.shardsFor(tt.client); got != tt.want {
			t.Errorf("%T with %d options: %d shards, want %d", tt.client, len(tt.opts), got, tt.want)
		}
		tt.client.Close()
	}
}

// The slot of a budget moves to another master while it is in use.
func TestClusterSlotMoves(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	h := newHerd(t, 6, c.client)
	h.together(1500 * time.Millisecond)
	before := h.sample()
	calls := h.exchanges()
	key := h.members[0].budgets[0].part().Key()
	slot := must(c.admins[0].ClusterKeySlot(t.Context(), key).Result())
	from := c.owner(slot)
	to := (from + 1) % 3
	ctx := t.Context()
	must(c.admins[to].Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", c.ids[from]).Result())
	must(c.admins[from].Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", c.ids[to]).Result())
	<-time.After(300 * time.Millisecond) // keys lie on both sides
	for _, k := range must(c.admins[from].ClusterGetKeysInSlot(ctx, int(slot), 100).Result()) {
		must(c.admins[from].Migrate(ctx, "127.0.0.1", c.servers[to].port(), k, 0, time.Second).Result())
	}
	for _, i := range []int{to, from, 3 - to - from} {
		must(c.admins[i].Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", c.ids[to]).Result())
	}
	t.Logf("the slot has moved; shared again after %v", h.shares(back))
	h.together(1500 * time.Millisecond)
	after := h.sample()
	if each := float64(h.exchanges()-calls) / (after.at - before.at).Seconds() / herdSize; each > 4 && h.timeouts() == 0 {
		t.Errorf("%.1f calls per second from each member, want at most 3 and a burst", each)
	} else {
		t.Logf("%.1f calls per second from each member", each)
	}
}

// The master that has a budget dies, and its replica takes over.
func TestClusterMasterDies(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	h := newHerd(t, 6, c.client)
	h.together(1500 * time.Millisecond)
	key := h.members[0].budgets[0].part().Key()
	dead := c.owner(must(c.admins[0].ClusterKeySlot(t.Context(), key).Result()))
	c.servers[dead].kill()
	eventually(t, 5*time.Second, "some notice", func() bool { return h.connected() < herdSize })
	eventually(t, 20*time.Second, "a replica takes over", func() bool {
		for i := range 3 {
			if i != dead && (c.hasSlots(t, i, dead) || !strings.Contains(c.admins[i].ClusterInfo(t.Context()).Val(), "cluster_state:ok")) {
				return false
			}
		}
		return true
	})
	t.Logf("a replica took over for a dead master; shared again after %v", h.shares(back))
	h.together(1500 * time.Millisecond)
}

// hasSlots reports whether the node that is asked thinks that another has slots.
func (c *cluster) hasSlots(t *testing.T, asked, other int) bool {
	for line := range strings.Lines(c.admins[asked].ClusterNodes(t.Context()).Val()) {
		if strings.HasPrefix(line, c.ids[other]) {
			return len(strings.Fields(line)) > 8
		}
	}
	return false
}

func (h *herd) exchanges() (n int64) {
	for _, c := range h.members {
		n += c.exchanges.Load()
	}
	return n
}

func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	master := startRedis(t)
	replica := startRedis(t, "--replicaof", "127.0.0.1 "+master.port())
	var sentinels []string
	for range 3 {
		s := startSentinel(t, master)
		sentinels = append(sentinels, s.addr)
	}
	first := redis.NewSentinelClient(&redis.Options{Addr: sentinels[0]})
	defer first.Close()
	eventually(t, 15*time.Second, "the sentinels know each other and the replica", func() bool {
		m := first.Master(t.Context(), "fleet").Val()
		return m["num-other-sentinels"] == "2" && m["num-slaves"] == "1"
	})
	h := newHerd(t, 1, func(int) redis.UniversalClient {
		return redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "fleet", SentinelAddrs: sentinels})
	})
	h.together(time.Second)
	h.extra.Store(int64(h.policy.MinPerSecond + 300)) // what replication had not carried over
	master.kill()
	h.lost(noticed)
	eventually(t, 20*time.Second, "the replica is promoted", func() bool {
		return strings.Contains(admin(t, replica.addr).Info(t.Context(), "replication").Val(), "role:master")
	})
	t.Logf("promoted; shared again after %v", h.shares(10*time.Second))
	h.together(time.Second)
}

func startSentinel(t *testing.T, master *server) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), addr: freeAddr(t)}
	s.sentinel = fmt.Sprintf(`port %s
bind 127.0.0.1
dir %s
sentinel monitor fleet 127.0.0.1 %s 2
sentinel down-after-milliseconds fleet 1000
sentinel failover-timeout fleet 3000
`, s.port(), s.dir, master.port())
	s.start()
	t.Cleanup(s.kill)
	return s
}
