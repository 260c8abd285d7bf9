package limiter

import "sync/atomic"

// slots counts the requests in the handler, and all that ever entered it, in one
// atomic number. By the second count, one in so many requests is measured at no
// further cost.
type slots struct{ atomic.Uint64 }

// slotCount is the number: requests in the handler in its lower half, requests
// that entered in its upper half.
type slotCount uint64

const admission = 1<<32 | 1

func (n slotCount) taken() int      { return int(uint32(n)) }
func (n slotCount) entered() uint64 { return uint64(n >> 32) }

func (s *slots) taken() int { return slotCount(s.Load()).taken() }

// take takes a slot if there is one. It returns the counts before.
func (s *slots) take(limit int) (before slotCount, ok bool) {
	for {
		before = slotCount(s.Load())
		if before.taken() >= limit {
			return before, false
		}
		if s.CompareAndSwap(uint64(before), uint64(before)+admission) {
			return before, true
		}
	}
}
