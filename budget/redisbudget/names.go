package redisbudget

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// maxName is the longest name of a budget, in bytes.
const maxName = 256

// overflow is the budget that services share for which there is no room. No
// name is escaped to it.
const overflow = "~overflow"

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("want a name")
	case len(name) > maxName:
		return fmt.Errorf("a name of %d bytes: want at most %d", len(name), maxName)
	}
	return nil
}

// keyOf returns the key of a budget and its shard. What is in the braces
// decides the slot of a cluster, so that the budgets of a shard have one.
func keyOf(prefix string, shards int, escaped string) (key string, shard int) {
	h := fnv.New32a()
	h.Write([]byte(escaped))
	shard = int(h.Sum32() % uint32(shards))
	return prefix + ":{" + prefix + ":" + strconv.Itoa(shard) + "}:" + escaped, shard
}

// escape keeps letters, digits and a few marks, so that a name cannot break
// out of its key; everything else becomes %XX.
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
