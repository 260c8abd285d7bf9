package redisbudget

import (
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/datapunk/evenkeel/budget/internal/fleet"
	"github.com/datapunk/evenkeel/headers/service"
)

// layout is in each key, so that programs with another layout have other keys. Where
// a value does not fit the layout, it is left alone.
const layout = "v1"

// othersKey is what stands in a key for all names of a kind that have no budget of
// their own. No other name is escaped to it.
const othersKey = "~overflow"

// keyOf returns the key of a budget and its shard: prefix:v1:{prefix:shard}:kind~name,
// without kind~ for a service. What is in the braces decides the slot of a cluster, so
// that the budgets of a shard have one.
func keyOf(prefix string, shards int, name string) (key string, shard int) {
	kind, short := fleet.CutKind(name)
	escaped := escape(short)
	if kind != "" {
		escaped = escape(kind) + "~" + escaped
	}
	h := fnv.New32a()
	h.Write([]byte(escaped))
	shard = int(h.Sum32() % uint32(shards))
	return prefix + ":" + layout + ":{" + prefix + ":" + strconv.Itoa(shard) + "}:" + escaped, shard
}

// escape keeps letters, digits and a few marks, so that a name cannot break
// out of its key; everything else becomes %XX. That of all other services has a
// key that is not made so.
func escape(name string) string {
	if name == service.Others {
		return othersKey
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._-:/@", c) >= 0
}
