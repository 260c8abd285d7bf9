package redisstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/idempotency/redisstore"
	"github.com/redis/go-redis/v9"
)

// startPair starts a master and a replica that is in step.
func startPair(t *testing.T) (master, replica *server) {
	t.Helper()
	master = startRedis(t)
	replica = startRedis(t, "--replicaof", "127.0.0.1 "+master.port())
	client := replica.client(t)
	eventually(t, 10*time.Second, "the replica is in step", func() bool {
		return strings.Contains(client.Info(t.Context(), "replication").Val(), "master_link_status:up")
	})
	return master, replica
}

// With Replicas a claim survives the loss of the master, and without a replica no
// claim is granted.
func TestReplicas(t *testing.T) {
	t.Parallel()
	master, replica := startPair(t)
	ctx := t.Context()
	safe, plain := newStore(t, master.client(t), redisstore.Replicas(1)), newStore(t, master.client(t))
	kept := newClaim("kept", time.Minute)
	begin(t, safe, kept, idempotency.Started)
	if err := safe.Finish(ctx, kept.Hold, paid); err != nil {
		t.Fatal(err)
	}

	// The replica does not answer any more. So nothing begins, and no claim stays.
	running, stuck := newClaim("running", time.Minute), newClaim("stuck", 0)
	begin(t, plain, running, idempotency.Started)
	begin(t, plain, stuck, idempotency.Started)
	replica.kill()
	if got, err := safe.Begin(ctx, newClaim("new", time.Minute)); err == nil {
		t.Errorf("Begin without a replica: %+v, want an error", got)
	}
	if err := safe.Finish(ctx, running.Hold, paid); err == nil {
		t.Error("Finish without a replica: no error")
	}
	begin(t, plain, newClaim("new", time.Minute), idempotency.Started)
	// What an earlier run has done is still not known.
	resume := newClaim("stuck", time.Minute)
	resume.Resume = true
	if got, err := safe.Begin(ctx, resume); err == nil {
		t.Errorf("Begin with Resume and without a replica: %+v, want an error", got)
	}
	begin(t, plain, newClaim("stuck", time.Minute), idempotency.Unknown)
}

// What the first paragraph of the documentation says: a Redis that loses a claim has
// its request run a second time.
func TestSecondRunAfterLostClaims(t *testing.T) {
	t.Parallel()
	t.Run("FLUSHALL", func(t *testing.T) {
		servers(t, func(t *testing.T, client *redis.Client) {
			s := newStore(t, client)
			first := newClaim("k", time.Minute)
			begin(t, s, first, idempotency.Started)
			if err := client.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			begin(t, s, newClaim("k", time.Minute), idempotency.Started)
			// But the first one stores no answer over the other's.
			if err := s.Finish(t.Context(), first.Hold, paid); !errors.Is(err, idempotency.ErrLost) {
				t.Errorf("Finish of the first: %v, want ErrLost", err)
			}
		})
	})
	for _, tt := range []struct {
		name string
		opts []redisstore.Option
		want idempotency.State
	}{
		{"failover", nil, idempotency.Started},
		{"failover with Replicas", []redisstore.Option{redisstore.Replicas(1)}, idempotency.Busy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			master, replica := startPair(t)
			s := newStore(t, master.client(t), tt.opts...)
			admin := replica.client(t)
			if tt.opts == nil { // what replication is too late for
				if err := admin.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
					t.Fatal(err)
				}
			}
			begin(t, s, newClaim("k", time.Minute), idempotency.Started)
			master.kill()
			if err := admin.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
				t.Fatal(err)
			}
			begin(t, newStore(t, admin), newClaim("k", time.Minute), tt.want)
		})
	}
}

// The slot of a key moves to another master. The client finds that out, and replicas of
// that one confirm the claim.
func TestClusterSlotMoves(t *testing.T) {
	t.Parallel()
	c, ctx := startCluster(t, 2, 1), t.Context()
	s := newStore(t, c.client, redisstore.Replicas(1))
	begin(t, s, newClaim("another", time.Minute), idempotency.Started)
	claim := newClaim("k", time.Minute)
	slot, err := c.masters[0].ClusterKeySlot(ctx, "evenkeel:idempotency:{"+claim.Key+"}").Result()
	if err != nil {
		t.Fatal(err)
	}
	to := 1
	if slot >= 8192 {
		to = 0
	}
	for _, step := range []struct {
		at     int
		kind   string
		master int
	}{{to, "IMPORTING", 1 - to}, {1 - to, "MIGRATING", to}, {to, "NODE", to}, {1 - to, "NODE", to}} {
		if err := c.masters[step.at].Do(ctx, "CLUSTER", "SETSLOT", slot, step.kind, c.ids[step.master]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	begin(t, s, claim, idempotency.Started)
	if err := s.Finish(ctx, claim.Hold, paid); err != nil {
		t.Errorf("Finish: %v", err)
	}
	begin(t, s, newClaim("k", time.Minute), idempotency.Done)
	if n := c.masters[to].DBSize(ctx).Val(); n == 0 {
		t.Error("the key is not where its slot is")
	}
}

// A cluster without replicas lets nothing begin that needs one.
func TestClusterWithoutReplicas(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, 0)
	if got, err := newStore(t, c.client, redisstore.Replicas(1)).Begin(t.Context(), newClaim("k", time.Minute)); err == nil {
		t.Errorf("Begin: %+v, want an error", got)
	}
	begin(t, newStore(t, c.client), newClaim("k", time.Minute), idempotency.Started)
}
