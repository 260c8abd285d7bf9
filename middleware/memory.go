package middleware

import (
	"bytes"
	"io/fs"
	"math"
	"path"
	"runtime/metrics"
	"strconv"
	"strings"

	"github.com/datapunk/evenkeel/middleware/internal/limiter"
)

// memoryUse reads from the runtime how much memory the process uses, and how much it
// may. It is not safe for concurrent use.
type memoryUse struct {
	container uint64 // limit of the container; 0: none
	read      []metrics.Sample
}

// The metrics that memoryUse reads.
const (
	memoryLimitMetric = iota
	memoryLive
	memoryGoal
	memoryCollections
	memoryTotal
	memoryReleased
	memoryObjects
	memoryFree
	memoryUnused
)

func newMemoryUse(root fs.FS) *memoryUse {
	m := &memoryUse{container: containerLimit(root)}
	for _, name := range []string{
		memoryLimitMetric: "/gc/gomemlimit:bytes",
		memoryLive:        "/gc/heap/live:bytes",
		memoryGoal:        "/gc/heap/goal:bytes",
		memoryCollections: "/gc/cycles/total:gc-cycles",
		memoryTotal:       "/memory/classes/total:bytes",
		memoryReleased:    "/memory/classes/heap/released:bytes",
		memoryObjects:     "/memory/classes/heap/objects:bytes",
		memoryFree:        "/memory/classes/heap/free:bytes",
		memoryUnused:      "/memory/classes/heap/unused:bytes",
	} {
		m.read = append(m.read, metrics.Sample{Name: name})
	}
	return m
}

// sample reports false where there is no limit.
func (m *memoryUse) sample() (limiter.MemorySample, bool) {
	metrics.Read(m.read)
	var v [memoryUnused + 1]uint64
	for i, s := range m.read {
		if s.Value.Kind() != metrics.KindUint64 {
			return limiter.MemorySample{}, false
		}
		v[i] = s.Value.Uint64()
	}
	return m.judged(v)
}

// judged chooses the limit that comes first. Within GOMEMLIMIT the garbage collector
// runs as often as it must, so that what counts is the live heap. In a container
// without it, the heap grows to its goal, garbage included, before any is collected.
func (m *memoryUse) judged(v [memoryUnused + 1]uint64) (limiter.MemorySample, bool) {
	others := v[memoryTotal] - v[memoryReleased] - v[memoryObjects] - v[memoryFree] - v[memoryUnused] // stacks and the like
	s := limiter.MemorySample{Collections: v[memoryCollections]}
	switch own := v[memoryLimitMetric]; {
	case own < math.MaxInt64 && (m.container == 0 || own <= m.container):
		s.Limit, s.Used = own, v[memoryLive]+others
	case m.container > 0 && v[memoryGoal] < math.MaxInt64:
		s.Limit, s.Used = m.container, v[memoryGoal]+others
	default:
		return s, false // none, or the garbage collector is off
	}
	return s, s.Limit > 0
}

// containerLimit returns how much memory the control group of this process may use,
// by version 2 or 1 of Linux; 0 means no limit, or that nothing is known.
func containerLimit(root fs.FS) (least uint64) {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(groups)) {
		// hierarchy:controllers:path
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, ok := strings.Cut(rest, ":")
		folder, file := "sys/fs/cgroup", "memory.max"
		switch {
		case !ok:
			continue
		case strings.Contains(","+controllers+",", ",memory,"):
			folder, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case controllers != "":
			continue
		}
		// The limits of all groups above hold too. In a container the path may be that
		// outside of it, of which only the root is there.
		for group = path.Join("/", group); ; group = path.Dir(group) {
			if n := readBytes(root, path.Join(folder, group, file)); n > 0 && (least == 0 || n < least) {
				least = n
			}
			if group == "/" {
				break
			}
		}
	}
	return least
}

// readBytes reads a number from a file. What is too large to be a limit is 0, as is
// "max".
func readBytes(root fs.FS, name string) uint64 {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil || n >= math.MaxInt64/2 {
		return 0
	}
	return n
}
