package redisbreaker

import (
	"hash/fnv"
	"strconv"
	"strings"
)

// layout is the version of what is kept under a key, which has it in its name: another
// version of the program that keeps something else does not meet it.
const layout = "v1"

// keyOf returns the key of a service and its shard. What is in the braces decides the
// slot of a cluster, so that the services of a shard have one.
func keyOf(prefix string, shards int, escaped string) (key string, shard int) {
	h := fnv.New32a()
	h.Write([]byte(escaped))
	shard = int(h.Sum32() % uint32(shards))
	return prefix + ":" + layout + ":{" + prefix + ":" + strconv.Itoa(shard) + "}:" + escaped, shard
}

// escape keeps letters, digits and a few marks, so that a name cannot break
// out of its key. Everything else becomes %XX.
func escape(name string) string {
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
