package redisstore

import (
	"context"
	"log/slog"
	"strings"

	"github.com/redis/go-redis/v9"
)

// An Observer is a set of hooks. Nil fields are skipped.
type Observer struct {
	// OnEviction is called once, with the first claim of a store, if Redis has a limit
	// of memory and a maxmemory-policy that may evict claims: then their requests may
	// be run twice. It is not called if Redis does not tell its configuration, which
	// many providers do not let it.
	OnEviction func(policy string)
}

// Log returns an observer that writes a line at level Warn if Redis may evict claims. A
// nil logger logs nothing.
func Log(logger *slog.Logger) Observer {
	if logger == nil {
		return Observer{}
	}
	return Observer{OnEviction: func(policy string) {
		logger.WarnContext(context.Background(), "idempotency: Redis may evict claims, and then their requests may be run twice",
			"maxmemory_policy", policy, "want", "noeviction")
	}}
}

// checkEviction asks the server that has the key for its configuration, once.
func (s *Store) checkEviction(ctx context.Context, name string) {
	if len(s.observers) == 0 || !s.checked.CompareAndSwap(false, true) {
		return
	}
	node, err := s.node(ctx, name)
	if err != nil {
		return
	}
	config, err := node.ConfigGet(ctx, "maxmemory*").Result()
	if err != nil || !evicts(config) {
		return
	}
	for _, o := range s.observers {
		if o.OnEviction != nil {
			o.OnEviction(config["maxmemory-policy"])
		}
	}
}

// evicts reports whether a server may drop keys that have not expired. With
// volatile-ttl those go first whose time is nearest, so claims are the last.
func evicts(config map[string]string) bool {
	policy := config["maxmemory-policy"]
	limited := strings.Trim(config["maxmemory"], "0") != ""
	return limited && policy != "noeviction" && policy != "volatile-ttl"
}

// node returns the client of the server that has the key, on which commands can follow
// each other on one connection.
func (s *Store) node(ctx context.Context, name string) (redis.UniversalClient, error) {
	switch client := s.client.(type) {
	case *redis.ClusterClient:
		return client.MasterForKey(ctx, name)
	case *redis.Ring:
		return client.GetShardClientForKey(name)
	}
	return s.client, nil
}
