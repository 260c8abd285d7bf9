package health

import (
	"context"
	"sync"
)

// A Memory is a [Store] in the memory of one process, for tests. Make one with
// [NewMemory].
type Memory struct {
	now  func() float64
	mu   sync.Mutex
	kept map[string]State
}

// NewMemory returns an empty store. The func now is its clock, in microseconds.
func NewMemory(now func() float64) *Memory { return &Memory{now: now, kept: map[string]State{}} }

// Place returns the name itself and the shard 0.
func (m *Memory) Place(name string) (key string, shard int) { return name, 0 }

// Exchange never fails.
func (m *Memory) Exchange(_ context.Context, keys []string, reports []Report) ([]Reply, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	replies := make([]Reply, len(keys))
	for i, key := range keys {
		s, known := m.kept[key]
		if !known {
			s = NewState(m.now())
		}
		replies[i] = s.Merge(reports[i], m.now())
		m.kept[key] = s
	}
	return replies, nil
}
