package redisstore_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// A server is a redis-server that a test started.
type server struct {
	addr string
	cmd  *exec.Cmd
}

// startRedis starts a server on a free port. Without a redis-server the test is
// skipped, or fails if EVENKEEL_REDIS=required.
func startRedis(t testing.TB, args ...string) *server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("EVENKEEL_REDIS") == "required" {
			t.Fatal(err)
		}
		t.Skip("no redis-server on PATH: what needs a real one is not tested (EVENKEEL_REDIS=required makes this a failure)")
	}
	s := &server{addr: freeAddr(t)}
	s.cmd = exec.Command(path, append([]string{"--port", s.port(), "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "no",
		"--repl-diskless-sync-delay", "0"}, args...)...)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	client := s.client(t)
	eventually(t, 10*time.Second, "the server answers", func() bool { return client.Ping(t.Context()).Err() == nil })
	return s
}

func (s *server) port() string { return s.addr[strings.LastIndexByte(s.addr, ':')+1:] }

// kill is kill -9, which ends a server that is stopped too.
func (s *server) kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

// client returns one that does not repeat commands.
func (s *server) client(t testing.TB) *redis.Client {
	return dial(t, &redis.Options{Addr: s.addr, MaxRetries: -1})
}

func dial(t testing.TB, o *redis.Options) *redis.Client {
	client := redis.NewClient(o)
	t.Cleanup(func() { client.Close() })
	return client
}

// freeAddr returns an address with a port that is free, and so is the second port of a
// cluster, 10,000 above.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(12_000)
		if addr := fmt.Sprint("127.0.0.1:", port); isFree(addr) && isFree(fmt.Sprint("127.0.0.1:", port+10_000)) {
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

func isFree(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// eventually polls, since a real server cannot be waited for in a bubble.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// embedded starts a Redis in this process, whose keys expire as time goes by.
func embedded(t testing.TB) (addr string) {
	m, err := miniredis.Run()
	if err != nil {
		t.Fatal(err)
	}
	tick, end, ended := time.NewTicker(5*time.Millisecond), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for last := time.Now(); ; {
			select {
			case <-tick.C:
				now := time.Now()
				m.FastForward(now.Sub(last))
				last = now
			case <-end:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(end)
		<-ended
		tick.Stop()
		m.Close()
	})
	return m.Addr()
}

// A cluster has masters, and as many replicas of each.
type cluster struct {
	client  *redis.ClusterClient
	masters []*redis.Client
	ids     []string // of the masters
}

func startCluster(t testing.TB, masters, replicas int) *cluster {
	t.Helper()
	c, nodes, ctx := &cluster{}, masters*(1+replicas), t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var addrs []string
	for i := range nodes {
		s := startRedis(t, "--cluster-enabled", "yes", "--cluster-config-file", filepath.Join(t.TempDir(), "nodes"))
		a := s.client(t)
		must(a.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
		if i < masters {
			must(a.ClusterAddSlotsRange(ctx, i*16384/masters, (i+1)*16384/masters-1).Err())
			id, err := a.ClusterMyID(ctx).Result()
			must(err)
			c.masters, c.ids, addrs = append(c.masters, a), append(c.ids, id), append(addrs, s.addr)
		}
		if i > 0 {
			must(c.masters[0].ClusterMeet(ctx, "127.0.0.1", s.port()).Err())
		}
		if i >= masters {
			eventually(t, 15*time.Second, "a replica finds its master", func() bool {
				return a.ClusterReplicate(ctx, c.ids[i%masters]).Err() == nil
			})
		}
	}
	for _, a := range c.masters {
		eventually(t, 20*time.Second, "the cluster is whole", func() bool {
			info := a.ClusterInfo(ctx).Val()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprint("cluster_known_nodes:", nodes)) &&
				strings.Contains(a.Info(ctx, "replication").Val(), fmt.Sprint("connected_slaves:", replicas))
		})
	}
	c.client = redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	t.Cleanup(func() { c.client.Close() })
	return c
}
