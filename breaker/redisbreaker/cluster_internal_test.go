package redisbreaker

import (
	"fmt"
	"os"
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
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	needRedis(t)
	c := &cluster{}
	ctx := t.Context()
	var ids []string
	for i := range 6 {
		s := startRedis(t, "--cluster-enabled", "yes", "--cluster-config-file", filepath.Join(t.TempDir(), "nodes"), "--cluster-node-timeout", "1000")
		a := redis.NewClient(&redis.Options{Addr: s.addr})
		t.Cleanup(func() { a.Close() })
		c.servers, c.admins = append(c.servers, s), append(c.admins, a)
		id, err := a.ClusterMyID(ctx).Result()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
		a.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i < 3 {
			a.ClusterAddSlotsRange(ctx, i*16384/3, (i+1)*16384/3-1)
		}
		if i > 0 {
			c.admins[0].ClusterMeet(ctx, "127.0.0.1", s.port())
		}
	}
	for i := 3; i < 6; i++ {
		eventually(t, 20*time.Second, "a replica finds its master", func() bool {
			return c.admins[i].ClusterReplicate(ctx, ids[i-3]).Err() == nil
		})
	}
	eventually(t, 30*time.Second, "the cluster is whole", func() bool {
		for i, a := range c.admins {
			info := a.ClusterInfo(ctx).Val()
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:6") ||
				i >= 3 && !strings.Contains(a.Info(ctx, "replication").Val(), "master_link_status:up") ||
				strings.Count(a.ClusterNodes(ctx).Val(), "slave") != 3 {
				return false
			}
		}
		return true
	})
	return c
}

func (c *cluster) client() redis.UniversalClient {
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{c.servers[0].addr, c.servers[1].addr, c.servers[4].addr}, ContextTimeoutEnabled: true,
	})
}

// owner is the master that has a key.
func (c *cluster) owner(t *testing.T, key string) *server {
	t.Helper()
	slot, err := c.admins[0].ClusterKeySlot(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	return c.servers[min(int(slot*3/16384), 2)]
}

// Sentinels watch a master with a replica.
type sentinels struct {
	master *server
	addrs  []string
}

func startSentinels(t *testing.T) *sentinels {
	t.Helper()
	s := &sentinels{master: startRedis(t)}
	startRedis(t, "--replicaof", "127.0.0.1 "+s.master.port())
	for range 3 {
		x := &server{t: t, dir: t.TempDir(), addr: freeAddr(t)}
		x.sentinel = fmt.Sprintf(`port %s
bind 127.0.0.1
dir %s
sentinel monitor fleet 127.0.0.1 %s 2
sentinel down-after-milliseconds fleet 1000
sentinel failover-timeout fleet 3000
`, x.port(), x.dir, s.master.port())
		x.start()
		t.Cleanup(x.kill)
		s.addrs = append(s.addrs, x.addr)
	}
	first := redis.NewSentinelClient(&redis.Options{Addr: s.addrs[0]})
	defer first.Close()
	eventually(t, 20*time.Second, "the sentinels know each other and the replica", func() bool {
		m := first.Master(t.Context(), "fleet").Val()
		return m["num-other-sentinels"] == "2" && m["num-slaves"] == "1"
	})
	return s
}

func (s *sentinels) client() redis.UniversalClient {
	return redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "fleet", SentinelAddrs: s.addrs})
}

func emptyFile(t *testing.T, path string) string {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
