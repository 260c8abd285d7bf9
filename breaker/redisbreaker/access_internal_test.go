package redisbreaker

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// leastACL is that of the package's documentation, for a single server and for a cluster.
var leastACL, clusterACL = strings.Fields("~evenkeel:health:v1:* resetchannels -@all +evalsha +eval +get +set +time"), []string{"+cluster|slots"}

// The ACL of the package's documentation is enough, and nothing in it is too much.
func TestLeastACL(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a := redis.NewClient(&redis.Options{Addr: s.addr})
	defer a.Close()
	checkLeast(t, leastACL, []*redis.Client{a}, func() redis.UniversalClient {
		return redis.NewClient(&redis.Options{Addr: s.addr, Username: "app", Password: "secret"})
	})
}

func TestLeastACLOfCluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	checkLeast(t, append(slices.Clone(leastACL), clusterACL...), c.admins, func() redis.UniversalClient {
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: []string{c.servers[0].addr}, Username: "app", Password: "secret", ContextTimeoutEnabled: true,
		})
	})
}

// checkLeast checks that a user with those rules, on all servers, can do what a process
// does, and one with any of them missing cannot.
func checkLeast(t *testing.T, rules []string, admins []*redis.Client, dial func() redis.UniversalClient) {
	works := func(rules []string) bool {
		args := []any{"acl", "setuser", "app", "reset", "on", ">secret"}
		for _, r := range rules {
			args = append(args, r)
		}
		for _, a := range admins {
			if err := a.Do(t.Context(), args...).Err(); err != nil {
				t.Fatal(err)
			}
			a.ScriptFlush(t.Context()) // which a replica refuses
		}
		client := dial()
		defer client.Close()
		f, err := New(client)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return f.Isolate(ctx, "api.test", time.Minute) == nil
	}
	if !works(rules) {
		t.Fatalf("%s does not do", strings.Join(rules, " "))
	}
	for i, r := range rules {
		if r[0] != '+' && r[0] != '~' {
			continue
		}
		if works(slices.Delete(slices.Clone(rules), i, i+1)) {
			t.Errorf("it works without %s, too", r)
		}
	}
}
