package redisbudget

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/redisbudget/internal/layout"
	"github.com/redis/go-redis/v9"
)

var accessPolicy = budget.Policy{Ratio: 0.1, MinPerSecond: 10}

// leastACL is that of the package's documentation, for a single server and for a cluster.
var leastACL, clusterACL = strings.Fields("~evenkeel:budget:* resetchannels -@all +evalsha +eval +get +set +time"), []string{"+cluster|slots"}

// The ACL of the package's documentation is enough, and nothing in it is too much.
func TestLeastACL(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	checkLeast(t, leastACL, []*redis.Client{admin(t, s.addr)}, func() redis.UniversalClient {
		return redis.NewClient(&redis.Options{Addr: s.addr, Username: "budget", Password: "password"})
	})
}

func TestLeastACLOfCluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	checkLeast(t, append(slices.Clone(leastACL), clusterACL...), c.admins, func() redis.UniversalClient {
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: []string{c.servers[0].addr}, Username: "budget", Password: "password", ContextTimeoutEnabled: true,
		})
	})
}

// checkLeast checks that a user with those rules, on all servers, can do what a process
// does, and one with any of them missing cannot.
func checkLeast(t *testing.T, rules []string, admins []*redis.Client, dial func() redis.UniversalClient) {
	works := func(rules []string) bool {
		args := []any{"acl", "setuser", "budget", "reset", "on", ">password"}
		for _, r := range rules {
			args = append(args, r)
		}
		for _, a := range admins {
			must(a.Do(t.Context(), args...).Result())
			a.ScriptFlush(t.Context()) // which a replica refuses
		}
		client := dial()
		defer client.Close()
		told := make(chan error, 100)
		f := must(New(client, WithObserver(Observer{OnExchange: func(e ExchangeEvent) { told <- e.Err }})))
		defer f.Close(t.Context())
		must(f.Budget("payments", accessPolicy))
		return <-told == nil
	}
	// An exchange that a busy machine made late says nothing of the rules.
	for tries := 1; !works(rules); tries++ {
		if tries == 5 {
			t.Fatalf("%s does not do", strings.Join(rules, " "))
		}
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

func TestTimeToLive(t *testing.T) {
	s := startRedis(t)
	a := admin(t, s.addr)
	f := must(New(a))
	defer f.Close(t.Context())
	b := must(f.Budget("payments", accessPolicy))
	key, _ := layout.Key(defaultPrefix, 1, "payments")
	eventually(t, 5*time.Second, "the budget is connected", func() bool { return b.Stats().Connected })
	ttl := func() time.Duration { return must(a.TTL(t.Context(), key).Result()) }
	if got := ttl(); got < 9*time.Minute || got > 10*time.Minute {
		t.Errorf("a budget is kept for %v, want 10 minutes", got)
	}
	must(f.Pause(t.Context(), "payments"))
	if got := ttl(); got != -1 {
		t.Errorf("a paused budget is kept for %v, want for ever", got)
	}
	must(f.Resume(t.Context(), "payments"))
	if got := ttl(); got < 29*24*time.Hour {
		t.Errorf("a budget that was resumed is kept for %v, want 30 days", got)
	}
}

// Beside a fleet with another layout, under other keys or with other values, the fleet
// works, and leaves the other's values alone.
func TestLayoutsSideBySide(t *testing.T) {
	s := startRedis(t)
	a := admin(t, s.addr)
	key, _ := layout.Key(defaultPrefix, 1, "payments")
	other := strings.Replace(key, ":"+layout.Version+":", ":", 1)
	for _, k := range []string{other, strings.Replace(key, ":"+layout.Version+":", ":v2:", 1)} {
		must(a.Set(t.Context(), k, "evkbdgt9"+strings.Repeat("x", 100), 0).Result())
	}
	foreign, _ := layout.Key(defaultPrefix, 1, "search")
	must(a.Set(t.Context(), foreign, "evkbdgt9 of another version", 0).Result())
	f := must(New(a))
	payments, search := must(f.Budget("payments", accessPolicy)), must(f.Budget("search", accessPolicy))
	eventually(t, 5*time.Second, "payments is connected", func() bool { return payments.Stats().Connected })
	for range 10 {
		search.Deposit()
	}
	if !search.Withdraw() {
		t.Error("the budget under a key with another layout does not run on its own ratio")
	}
	f.Close(t.Context())
	for k, want := range map[string]string{other: "evkbdgt9" + strings.Repeat("x", 100), foreign: "evkbdgt9 of another version"} {
		if got := must(a.Get(t.Context(), k).Result()); got != want {
			t.Errorf("%s now has %q", k, got)
		}
	}
}

// A pointer that is nil is an error of New, not a panic of the first exchange.
func TestNilClients(t *testing.T) {
	for name, client := range map[string]redis.UniversalClient{
		"nil": nil, "single": (*redis.Client)(nil), "cluster": (*redis.ClusterClient)(nil), "ring": (*redis.Ring)(nil),
	} {
		if f, err := New(client); err == nil || !strings.Contains(err.Error(), "the client is nil") {
			t.Errorf("%s: %v and error %v", name, f, err)
		}
	}
}
