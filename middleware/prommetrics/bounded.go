package prommetrics

import (
	"maps"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	names "github.com/datapunk/evenkeel/headers/service"
)

// maxLabel is how long a value of a label may be.
const maxLabel = 128

func isLabel(name string) bool {
	return name != "" && len(name) <= maxLabel && utf8.ValidString(name)
}

// bounded holds a T for each of the first names it is asked for, and one for
// all others. The map is replaced, not changed, when a name is new, so that
// looking one up takes no lock; once it is full it is never replaced again.
type bounded[T any] struct {
	limit int
	make  func(label string) *T

	known atomic.Pointer[map[string]*T]
	rest  atomic.Pointer[T]

	mu sync.Mutex // held to add to known, and to set rest
}

func (b *bounded[T]) of(name string) *T {
	known := b.known.Load()
	if known != nil {
		if t, ok := (*known)[name]; ok {
			return t
		}
		if len(*known) >= b.limit {
			name = names.Others
		}
	}
	if name != names.Others && isLabel(name) {
		return b.add(name, b.limit)
	}
	if rest := b.rest.Load(); rest != nil {
		return rest
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.others()
}

// others returns what names beyond the limit share; b.mu is held.
func (b *bounded[T]) others() *T {
	if b.rest.Load() == nil {
		b.rest.Store(b.make(names.Others))
	}
	return b.rest.Load()
}

// reserve is of without the limit.
func (b *bounded[T]) reserve(name string) *T { return b.add(name, math.MaxInt) }

func (b *bounded[T]) add(name string, limit int) *T {
	b.mu.Lock()
	defer b.mu.Unlock()
	var next map[string]*T
	if known := b.known.Load(); known != nil {
		if t, ok := (*known)[name]; ok {
			return t
		}
		if len(*known) >= limit {
			return b.others()
		}
		next = maps.Clone(*known)
	} else {
		next = make(map[string]*T)
	}
	// The name may be part of a request that is large.
	name = strings.Clone(name)
	t := b.make(name)
	next[name] = t
	b.known.Store(&next)
	return t
}
