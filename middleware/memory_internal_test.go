package middleware

import (
	"math"
	"os"
	"runtime/debug"
	"testing"
	"testing/fstest"
)

// The least limit counts of all control groups that the process is in.
func TestContainerLimit(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for _, tt := range []struct {
		name  string
		files fstest.MapFS
		want  uint64
	}{
		{"no control groups", fstest.MapFS{}, 0},
		{"version 2", fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("536870912\n")}, 512 << 20},
		{"version 2, max", fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("max\n")}, 0},
		{"version 2, a group above", fstest.MapFS{
			"proc/self/cgroup":                     file("0::/a/b\n"),
			"sys/fs/cgroup/a/b/memory.max":         file("max\n"),
			"sys/fs/cgroup/a/memory.max":           file("1000\n"),
			"sys/fs/cgroup/memory.max":             file("2000\n"),
			"sys/fs/cgroup/memory/limit_in_bytes":  file("1\n"),
			"sys/fs/cgroup/other/memory.max":       file("1\n"),
			"sys/fs/cgroup/a/b/below/memory.max":   file("1\n"),
			"sys/fs/cgroup/a/memory.limit_in_byte": file("1\n"),
		}, 1000},
		{"version 2, the path of the host", fstest.MapFS{"proc/self/cgroup": file("0::/kubepods/pod1/c1\n"), "sys/fs/cgroup/memory.max": file("3000\n")}, 3000},
		{"version 1", fstest.MapFS{
			"proc/self/cgroup": file("5:cpu,cpuacct:/c1\n4:memory:/docker/c1\n1:name=systemd:/docker/c1\n"),
			"sys/fs/cgroup/memory/docker/c1/memory.limit_in_bytes": file("4000\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes":           file("9223372036854771712\n"),
		}, 4000},
		{"version 1, with others", fstest.MapFS{"proc/self/cgroup": file("4:hugetlb,memory:/\n"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("5000\n")}, 5000},
		{"version 1, none", fstest.MapFS{"proc/self/cgroup": file("4:memory:/\n"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n")}, 0},
		{"nonsense", fstest.MapFS{"proc/self/cgroup": file("x\n:\n0::../..\n"), "sys/fs/cgroup/memory.max": file("much\n")}, 0},
	} {
		if got := containerLimit(tt.files); got != tt.want {
			t.Errorf("%s: limit %d, want %d", tt.name, got, tt.want)
		}
	}
	containerLimit(os.DirFS("/")) // whatever there is here
}

func TestMemoryThatCounts(t *testing.T) {
	const none = math.MaxInt64
	for _, tt := range []struct {
		name            string
		own, container  uint64 // limits
		live, goal      uint64
		wantLimit, want uint64 // 0: none
	}{
		{"no limit", none, 0, 10, 20, 0, 0},
		{"GOMEMLIMIT: what is live, and the stacks", 100, 0, 50, 90, 100, 57},
		{"GOMEMLIMIT below the container", 90, 100, 50, 80, 90, 57},
		{"GOMEMLIMIT above the container", 200, 100, 50, 80, 100, 87},
		{"a container: up to where the heap grows", none, 100, 30, 60, 100, 67},
		{"a container, and garbage is never collected", none, 100, 30, none, 0, 0},
		{"GOMEMLIMIT of 0", 0, 0, 30, 60, 0, 0},
	} {
		var v [memoryUnused + 1]uint64
		v[memoryLimitMetric], v[memoryLive], v[memoryGoal], v[memoryCollections] = tt.own, tt.live, tt.goal, 3
		v[memoryTotal], v[memoryReleased], v[memoryObjects], v[memoryFree], v[memoryUnused] = 100, 20, 60, 10, 3 // 7 others
		m := memoryUse{container: tt.container}
		got, ok := m.judged(v)
		if ok != (tt.wantLimit > 0) || ok && (got.Limit != tt.wantLimit || got.Used != tt.want || got.Collections != 3) {
			t.Errorf("%s: %+v, %t; want %d of %d", tt.name, got, ok, tt.want, tt.wantLimit)
		}
	}
}

// What the runtime says makes sense.
func TestMemoryOfThisProcess(t *testing.T) {
	before := debug.SetMemoryLimit(1 << 40)
	defer debug.SetMemoryLimit(before)
	m := newMemoryUse(fstest.MapFS{})
	s, ok := m.sample()
	if !ok || s.Limit != 1<<40 || s.Used == 0 || s.Used > 1<<36 {
		t.Errorf("%+v, %t; want some of 1 TiB", s, ok)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	if s, ok := m.sample(); ok {
		t.Errorf("%+v without a limit, want none", s)
	}
}
