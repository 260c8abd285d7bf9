// Package layout has the names of keys and the form of values of the budgets in Redis, for
// the processes of a fleet and for the command that shows them.
package layout

import (
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/datapunk/evenkeel/budget/internal/fleet"
	"github.com/datapunk/evenkeel/headers/service"
)

// Version is in each key, so that programs with another layout have other keys. Where
// a value does not fit the layout, it is left alone.
const Version = "v1"

// othersKey is what stands in a key for all names of a kind that have no budget of
// their own. No other name is escaped to it.
const othersKey = "~overflow"

// Key returns the key of a budget and its shard: prefix:v1:{prefix:shard}:kind~name,
// without kind~ for a service. What is in the braces decides the slot of a cluster, so
// that the budgets of a shard have one.
func Key(prefix string, shards int, name string) (key string, shard int) {
	kind, short := fleet.CutKind(name)
	escaped := escape(short)
	if kind != "" {
		escaped = escape(kind) + "~" + escaped
	}
	h := fnv.New32a()
	h.Write([]byte(escaped))
	shard = int(h.Sum32() % uint32(shards))
	return prefix + ":" + Version + ":{" + prefix + ":" + strconv.Itoa(shard) + "}:" + escaped, shard
}

// ParseKey is the opposite of Key. It returns false for the key of something else, or of
// another version.
func ParseKey(key string) (prefix string, shard int, name string, ok bool) {
	prefix, rest, found := strings.Cut(key, ":"+Version+":{")
	rest, hasPrefix := strings.CutPrefix(rest, prefix+":")
	number, escaped, hasName := strings.Cut(rest, "}:")
	shard, err := strconv.Atoi(number)
	if !found || !hasPrefix || !hasName || err != nil || shard < 0 || prefix == "" {
		return "", 0, "", false
	}
	kind := ""
	if before, after, ok := strings.Cut(escaped, "~"); ok && before != "" {
		if kind, ok = unescape(before); !ok {
			return "", 0, "", false
		}
		escaped = after
	}
	short, ok := unescape(escaped)
	return prefix, shard, fleet.JoinKind(kind, short), ok
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
		if c := name[i]; Plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// Plain reports whether a byte stands for itself in a key.
func Plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._-:/@", c) >= 0
}

// unescape is the opposite of escape.
func unescape(text string) (name string, ok bool) {
	if text == othersKey {
		return service.Others, true
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case Plain(c):
			b.WriteByte(c)
		case c == '%' && i+2 < len(text):
			n, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			return "", false
		}
	}
	return b.String(), b.Len() > 0
}
