package redisstore_test

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/idempotency/idempotencytest"
	"github.com/datapunk/evenkeel/middleware/idempotency/redisstore"
	"github.com/redis/go-redis/v9"
)

// servers are an embedded Redis and, where there is one, a real one.
func servers(t *testing.T, test func(t *testing.T, client *redis.Client)) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, dial(t, &redis.Options{Addr: embedded(t)}))
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		test(t, dial(t, &redis.Options{Addr: startRedis(t).addr}))
	})
}

func newStore(t testing.TB, client redis.UniversalClient, opts ...redisstore.Option) *redisstore.Store {
	t.Helper()
	s, err := redisstore.New(client, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newClaim returns one of a new owner.
func newClaim(key string, lease time.Duration) idempotency.Claim {
	return idempotency.Claim{
		Hold:        idempotency.Hold{Key: idempotency.RecordKey("caller", key), Owner: rand.Text(), Lease: lease, Keep: time.Hour},
		Fingerprint: idempotency.RecordKey("request", "one"),
	}
}

// begin expects the state.
func begin(t testing.TB, s idempotency.Store, c idempotency.Claim, want idempotency.State) idempotency.Found {
	t.Helper()
	got, err := s.Begin(t.Context(), c)
	if err != nil || got.State != want {
		t.Fatalf("Begin: %+v, %v; want %v", got, err, want)
	}
	return got
}

var paid = idempotency.Answer{Status: 201, Body: []byte("paid")}

func TestStore(t *testing.T) {
	servers(t, func(t *testing.T, client *redis.Client) {
		s := newStore(t, client)
		idempotencytest.Run(t, func(*testing.T) idempotency.Store { return s })
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		s := newStore(t, startCluster(t, 3, 0).client)
		idempotencytest.Run(t, func(*testing.T) idempotency.Store { return s })
	})
	t.Run("replicas", func(t *testing.T) {
		t.Parallel()
		master, _ := startPair(t)
		s := newStore(t, master.client(t), redisstore.Replicas(1))
		idempotencytest.Run(t, func(*testing.T) idempotency.Store { return s })
	})
}

func TestNewErrors(t *testing.T) {
	client := dial(t, &redis.Options{Addr: "127.0.0.1:1"})
	for _, tt := range []struct {
		name   string
		client redis.UniversalClient
		opts   []redisstore.Option
		want   []string // parts of the error; none: no error
	}{
		{"defaults", client, nil, nil},
		{"a nil option", client, []redisstore.Option{nil}, nil},
		{"all at their limits", client, []redisstore.Option{redisstore.Prefix(strings.Repeat("p", 64)), redisstore.Replicas(100)}, nil},
		{"no client", nil, nil, []string{"New: want a client"}},
		{"a nil client", (*redis.Client)(nil), nil, []string{"New: want a client"}},
		{"all wrong", nil, []redisstore.Option{redisstore.Prefix(""), redisstore.Replicas(-1)}, []string{`Prefix("")`, "Replicas(-1)", "New"}},
		{"too much", client, []redisstore.Option{redisstore.Prefix(strings.Repeat("p", 65)), redisstore.Replicas(101)}, []string{"Prefix", "Replicas(101)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := redisstore.New(tt.client, tt.opts...)
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q, want %q in it", err, part)
				}
			}
		})
	}
}

// A key with something else in it is an error for the operator and never an answer, and
// it stays as it is.
func TestForeign(t *testing.T) {
	servers(t, func(t *testing.T, client *redis.Client) {
		s, ctx := newStore(t, client), t.Context()
		for _, tt := range []struct {
			name string
			put  func(key string) error
		}{
			{"a string", func(key string) error { return client.Set(ctx, key, "text", 0).Err() }},
			{"a list", func(key string) error { return client.LPush(ctx, key, "text").Err() }},
			{"a hash of somebody else", func(key string) error { return client.HSet(ctx, key, "name", "text").Err() }},
			{"a record without an owner", func(key string) error {
				return client.HSet(ctx, key, "fp", newClaim("", 0).Fingerprint, "runs", 1, "lease", 1).Err()
			}},
			{"runs that are no number", func(key string) error {
				return client.HSet(ctx, key, "fp", newClaim("", 0).Fingerprint, "owner", "o", "runs", "many", "lease", 1).Err()
			}},
			{"bytes that are not an answer", func(key string) error {
				return client.HSet(ctx, key, "fp", newClaim("", 0).Fingerprint, "owner", "o", "runs", 1, "lease", 1, "answer", "200 OK").Err()
			}},
			{"an empty answer", func(key string) error {
				return client.HSet(ctx, key, "fp", newClaim("", 0).Fingerprint, "owner", "o", "runs", 1, "lease", 1, "answer", "").Err()
			}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				c := newClaim(tt.name, time.Minute)
				c.Resume = true
				key := "evenkeel:idempotency:{" + c.Key + "}"
				if err := tt.put(key); err != nil {
					t.Fatal(err)
				}
				before := client.Dump(ctx, key).Val()
				if got, err := s.Begin(ctx, c); err == nil || !strings.Contains(err.Error(), c.Key[:8]) || strings.Contains(err.Error(), c.Key) {
					t.Errorf("Begin: %+v, error %v; want one with the start of the key", got, err)
				}
				for name, err := range map[string]error{"Renew": s.Renew(ctx, c.Hold), "Finish": s.Finish(ctx, c.Hold, paid)} {
					if err == nil {
						t.Errorf("%s: no error", name)
					}
				}
				s.Release(ctx, c.Hold)
				if after := client.Dump(ctx, key).Val(); after != before {
					t.Errorf("the value has changed from %q to %q", before, after)
				}
			})
		}
	})
}

// Each method is one round trip. The first call needs another to load the script.
func TestRoundTrips(t *testing.T) {
	client := dial(t, &redis.Options{Addr: embedded(t)})
	s, ctx := newStore(t, client), t.Context()
	all := func(key string) {
		c := newClaim(key, time.Minute)
		begin(t, s, c, idempotency.Started)
		if err := errors.Join(s.Renew(ctx, c.Hold), s.Finish(ctx, c.Hold, paid)); err != nil {
			t.Fatal(err)
		}
		other := newClaim(key+"'", time.Minute)
		begin(t, s, other, idempotency.Started)
		if err := s.Release(ctx, other.Hold); err != nil {
			t.Fatal(err)
		}
	}
	all("sends the scripts")
	var trips counter
	client.AddHook(&trips)
	all("has them")
	if got := trips.n.Load(); got != 5 {
		t.Errorf("%d round trips for 5 calls", got)
	}
}

// The answer and the claim are in one key with the prefix, which expires.
func TestKeys(t *testing.T) {
	servers(t, func(t *testing.T, client *redis.Client) {
		s, ctx := newStore(t, client, redisstore.Prefix("shop")), t.Context()
		c := newClaim("k", time.Minute)
		begin(t, s, c, idempotency.Started)
		keys, err := client.Keys(ctx, "*").Result()
		if want := "shop:{" + c.Key + "}"; err != nil || len(keys) != 1 || keys[0] != want {
			t.Fatalf("keys %q, %v; want %q", keys, err, want)
		}
		if ttl := client.PTTL(ctx, keys[0]).Val(); ttl <= 59*time.Minute || ttl > time.Hour {
			t.Errorf("it expires in %v, want about an hour", ttl)
		}
		begin(t, newStore(t, client, redisstore.Prefix("office")), newClaim("k", time.Minute), idempotency.Started)
	})
}

func TestOnEviction(t *testing.T) {
	for _, tt := range []struct {
		memory, policy string
		warns          bool
	}{
		{"0", "allkeys-lru", false}, // without a limit nothing is evicted
		{"100mb", "noeviction", false},
		{"100mb", "volatile-ttl", false},
		{"100mb", "allkeys-lru", true},
		{"100mb", "volatile-lru", true},
		{"100mb", "allkeys-random", true},
	} {
		t.Run(tt.memory+" "+tt.policy, func(t *testing.T) {
			t.Parallel()
			client := startRedis(t, "--maxmemory", tt.memory, "--maxmemory-policy", tt.policy).client(t)
			var told []string
			var log strings.Builder
			s := newStore(t, client, redisstore.WithObserver(redisstore.Observer{OnEviction: func(policy string) { told = append(told, policy) }}),
				redisstore.WithObserver(redisstore.Observer{}), redisstore.WithObserver(redisstore.Log(nil)),
				redisstore.WithObserver(redisstore.Log(slog.New(slog.NewTextHandler(&log, nil)))))
			for _, key := range []string{"a", "b"} {
				begin(t, s, newClaim(key, time.Minute), idempotency.Started)
			}
			if want := tt.warns; (len(told) == 1 && told[0] == tt.policy) != want || strings.Count(log.String(), "level=WARN") != len(told) {
				t.Errorf("told %q and logged %q, want a warning: %v", told, log.String(), want)
			}
		})
	}
	t.Run("not told", func(t *testing.T) { // the embedded Redis has no CONFIG
		s := newStore(t, dial(t, &redis.Options{Addr: embedded(t)}), redisstore.WithObserver(redisstore.Log(slog.New(slog.NewTextHandler(os.Stderr, nil)))))
		begin(t, s, newClaim("a", time.Minute), idempotency.Started)
	})
}
