package redisbudget

import (
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/datapunk/evenkeel/headers/service"
)

// othersKey is what the key of the budget ends with that all other services
// share. No other name is escaped to it.
const othersKey = "~overflow"

// keyOf returns the key of a budget and its shard. What is in the braces
// decides the slot of a cluster, so that the budgets of a shard have one.
func keyOf(prefix string, shards int, escaped string) (key string, shard int) {
	h := fnv.New32a()
	h.Write([]byte(escaped))
	shard = int(h.Sum32() % uint32(shards))
	return prefix + ":{" + prefix + ":" + strconv.Itoa(shard) + "}:" + escaped, shard
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
