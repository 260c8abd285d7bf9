package redisbreaker

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/breaker/fleettest"
	"github.com/datapunk/evenkeel/transport"
	"github.com/redis/go-redis/v9"
)

// The promises of a fleet, kept through miniredis, a server, a cluster and sentinels.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) func() redis.UniversalClient{
		"miniredis": func(t *testing.T) func() redis.UniversalClient {
			m := miniredis.RunT(t)
			return func() redis.UniversalClient { return redis.NewClient(&redis.Options{Addr: m.Addr()}) }
		},
		"single": func(t *testing.T) func() redis.UniversalClient {
			s := startRedis(t)
			return func() redis.UniversalClient { return redis.NewClient(&redis.Options{Addr: s.addr}) }
		},
		"cluster":  func(t *testing.T) func() redis.UniversalClient { return startCluster(t).client },
		"sentinel": func(t *testing.T) func() redis.UniversalClient { return startSentinels(t).client },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := start(t)
			fleettest.Test(t, func(t *testing.T) fleettest.Member {
				c := client()
				f, err := New(c)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				return f
			})
		})
	}
}

// A crowd is a fleet of processes that call one service, each with a client of its own.
type crowd struct {
	t       *testing.T
	members []*Fleet
	guards  []transport.FleetService
	ended   chan struct{}
	slowest atomic.Int64 // ns that a call to Admit took
	late    atomic.Bool  // calls time out
	group   sync.WaitGroup
}

const crowdService = "farm.test"

// gather starts a crowd. All but the last member call ten times a second.
func gather(t *testing.T, n int, client func() redis.UniversalClient, opts ...Option) *crowd {
	t.Helper()
	c := &crowd{t: t, ended: make(chan struct{})}
	for range n {
		cl := client()
		f, err := New(cl, opts...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			f.Close(context.Background())
			cl.Close()
		})
		c.members, c.guards = append(c.members, f), append(c.guards, f.Guard().Service(crowdService))
	}
	for _, g := range c.guards[:n-1] {
		c.group.Go(func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-c.ended:
					return
				case <-tick.C:
				}
				start := time.Now()
				g.Admit(1)
				took := int64(time.Since(start))
				if took > c.slowest.Load() {
					c.slowest.Store(took)
				}
				if c.late.Load() {
					g.Saw(transport.SightLate, time.Now().Add(-time.Second))
				} else {
					g.Saw(transport.SightFast, time.Now())
				}
			}
		})
	}
	t.Cleanup(func() {
		close(c.ended)
		c.group.Wait()
	})
	return c
}

// refuses reports whether the last member, which calls seldom, follows a verdict.
func (c *crowd) refuses() bool {
	_, ok := c.guards[len(c.guards)-1].Admit(2)
	return !ok
}

func (c *crowd) eventually(within time.Duration, what string, ok func() bool) time.Duration {
	c.t.Helper()
	start := time.Now()
	eventually(c.t, within, what, ok)
	return time.Since(start).Round(10 * time.Millisecond)
}

// overload has all calls time out until the verdict is there.
func (c *crowd) overload() {
	c.t.Helper()
	c.late.Store(true)
	c.t.Logf("overload seen after %v", c.eventually(10*time.Second, "the verdict", c.refuses))
}

// alone says how long it takes until the verdict has faded.
func (c *crowd) alone() {
	c.t.Helper()
	c.t.Logf("faded after %v", c.eventually(15*time.Second, "the verdict fades", func() bool { return !c.refuses() }))
	c.calm()
}

// calm checks that no request ever waited for Redis. A machine that is busy may take a
// goroutine off its processor.
func (c *crowd) calm() {
	c.t.Helper()
	if took := time.Duration(c.slowest.Load()); took > 250*time.Millisecond {
		c.t.Errorf("a call to Admit took %v", took)
	}
}

func (c *crowd) connected() bool { return c.members[len(c.members)-1].Stats(crowdService).Connected }

func dialer(addr string) func() redis.UniversalClient {
	return func() redis.UniversalClient { return redis.NewClient(&redis.Options{Addr: addr}) }
}

// A server is killed, paused, flushed and started again. The verdict fades, no request
// waits, and within seconds of its return the fleet knows again what it sees.
func TestServerFaults(t *testing.T) {
	t.Parallel()
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		testFault(t, (*server).kill, (*server).start)
	})
	t.Run("flushed", func(t *testing.T) {
		t.Parallel()
		s := startRedis(t)
		admin := redis.NewClient(&redis.Options{Addr: s.addr})
		defer admin.Close()
		c := gather(t, 6, dialer(s.addr))
		c.overload()
		if err := c.members[0].Isolate(t.Context(), "other.test", time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := admin.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if err := admin.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		t.Logf("back after %v", c.eventually(10*time.Second, "the verdict is back", c.refuses))
		g := c.members[5].Guard().Service("other.test")
		c.eventually(5*time.Second, "the isolation is back", func() bool {
			_, ok := g.Admit(1)
			return !ok
		})
		c.calm()
	})
}

// testFault has a fault befall a server, and mends it.
func testFault(t *testing.T, fault, mend func(*server)) {
	t.Helper()
	s := startRedis(t)
	c := gather(t, 6, dialer(s.addr))
	c.overload()
	fault(s)
	c.alone()
	mend(s)
	t.Logf("back after %v", c.eventually(10*time.Second, "the verdict is back", c.refuses))
	c.late.Store(false)
	c.eventually(15*time.Second, "the verdict is lifted", func() bool { return !c.refuses() && c.connected() })
}

// A cluster loses the master of the service, and sentinels their master. A replica takes
// over.
func TestFailover(t *testing.T) {
	t.Parallel()
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		cl := startCluster(t)
		c := gather(t, 6, cl.client, WithShards(1))
		c.overload()
		key, _ := store{defaultPrefix, 1, nil}.Place(crowdService)
		cl.owner(t, key).kill()
		c.eventually(10*time.Second, "some notice", func() bool { return !c.connected() })
		t.Logf("a replica answers after %v", c.eventually(30*time.Second, "a replica takes over", c.connected))
		c.eventually(10*time.Second, "the verdict is back", c.refuses)
		c.calm()
	})
	t.Run("sentinel", func(t *testing.T) {
		t.Parallel()
		s := startSentinels(t)
		c := gather(t, 6, s.client)
		c.overload()
		s.master.kill()
		c.eventually(10*time.Second, "some notice", func() bool { return !c.connected() })
		t.Logf("the replica answers after %v", c.eventually(30*time.Second, "the replica takes over", c.connected))
		c.eventually(10*time.Second, "the verdict is back", c.refuses)
		c.calm()
	})
}
