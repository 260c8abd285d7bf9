package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/budget/redisbudget/internal/layout"
	"github.com/redis/go-redis/v9"
)

// perGet is how many values are asked for at a time.
const perGet = 200

// A found key is that of a budget, or of the health of a service.
type found struct {
	key, prefix string
	shard       int
	name        string
	foreign     bool // its value is of another version, or neither
	layout.Figures
	health *health // nil for a budget
}

// survey returns what is in Redis, sorted by prefix and name.
func (o *operator) survey(ctx context.Context) ([]found, error) {
	var keys []string
	var mu sync.Mutex
	scan := func(ctx context.Context, node redis.Cmdable) error {
		pattern := "*:" + layout.Version + ":{*}:*"
		if o.prefix != "" {
			pattern = globbed(o.prefix) + ":" + layout.Version + ":{*}:*"
		}
		it := node.Scan(ctx, 0, pattern, 1000).Iterator()
		for it.Next(ctx) {
			mu.Lock()
			keys = append(keys, it.Val())
			mu.Unlock()
		}
		return it.Err()
	}
	var err error
	if cluster, ok := o.client.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return scan(ctx, node) })
	} else {
		err = scan(ctx, o.client)
	}
	if err != nil {
		return nil, err
	}
	now, err := o.client.Time(ctx).Result()
	if err != nil {
		return nil, err
	}
	slices.Sort(keys)
	var all []found
	for part := range slices.Chunk(slices.Compact(keys), perGet) { // a scan may return a key twice
		more, err := o.read(ctx, part, now)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(strings.Compare(a.prefix, b.prefix), strings.Compare(a.name, b.name), cmp.Compare(a.shard, b.shard))
	})
	return all, nil
}

// read reads what is under keys. One that is gone meanwhile is left out.
func (o *operator) read(ctx context.Context, keys []string, now time.Time) ([]found, error) {
	pipe := o.client.Pipeline()
	gets := make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		gets[i] = pipe.Get(ctx, key)
	}
	pipe.Exec(ctx) // each Get has its error
	var all []found
	for i, get := range gets {
		prefix, shard, name, ok := layout.ParseKey(keys[i])
		value, err := get.Result()
		switch {
		case !ok || errors.Is(err, redis.Nil) || o.prefix != "" && prefix != o.prefix:
			continue
		case err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE"):
			return nil, fmt.Errorf("%s: %w", keys[i], err)
		}
		f := found{key: keys[i], prefix: prefix, shard: shard, name: name}
		if h, is := parseHealth(value, now); is {
			f.health = &h
		} else {
			f.Figures, ok = layout.ParseValue(value, now)
			f.foreign = !ok
		}
		all = append(all, f)
	}
	return all, nil
}

// globbed makes a text one that only itself matches in a pattern.
func globbed(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`).Replace(text)
}
