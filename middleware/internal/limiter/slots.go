package limiter

import "sync/atomic"

// slots counts the requests that hold a slot, and all that ever got one, in one
// atomic number. By the second count, one in so many requests is measured at no
// further cost.
//
// A request that many others have overtaken does not wait in a line with them: it
// polls, streams, hangs, or is long work. It keeps working, but holds no slot any
// more. For that, requests belong to the generation in which they came.
type slots struct {
	atomic.Uint64
	overtaken atomic.Int32               // requests that hold no slot any more
	present   atomic.Uint32              // number of the generation that requests join
	requests  [generations]atomic.Uint64 // of each: its number in the upper half, how many in the lower
	began     [generations]uint64        // how many had entered when it began
	oldest    uint32                     // number of the oldest that holds slots
}

// generations is how many there are at most, and perLimit how many come while as
// many requests enter as the limit is. A request is overtaken once so many times
// the limit entered after it.
const (
	generations = 64
	perLimit    = 8
	overtakes   = 3
)

// slotCount is the number: requests in the handler in its lower half, requests
// that entered in its upper half.
type slotCount uint64

const admission = 1<<32 | 1

func (n slotCount) taken() int      { return int(uint32(n)) }
func (n slotCount) entered() uint64 { return uint64(n >> 32) }

func (s *slots) taken() int { return slotCount(s.Load()).taken() }

// take takes a slot if there is one. It returns the counts before, and the
// generation.
func (s *slots) take(limit int) (before slotCount, generation uint32, ok bool) {
	for {
		before = slotCount(s.Load())
		if before.taken() >= limit {
			return before, 0, false
		}
		if s.CompareAndSwap(uint64(before), uint64(before)+admission) {
			return before, s.join(), true
		}
	}
}

// force takes a slot whether or not there is one, for a request that had one before.
func (s *slots) force() (generation uint32) {
	s.Add(1)
	return s.join()
}

// join counts a request in the present generation.
func (s *slots) join() uint32 {
	for {
		number := s.present.Load()
		g := &s.requests[number%generations]
		if n := g.Load(); uint32(n>>32) == number && g.CompareAndSwap(n, n+1) {
			return number
		}
	}
}

// give gives a slot back, if the request still holds one. It returns how many
// were taken until now.
func (s *slots) give(generation uint32) int {
	g := &s.requests[generation%generations]
	for {
		n := g.Load()
		if uint32(n>>32) != generation || n&expired != 0 {
			s.overtaken.Add(-1)
			return s.taken() + 1
		}
		if g.CompareAndSwap(n, n-1) {
			return slotCount(s.Add(^uint64(0))).taken() + 1
		}
	}
}

// expired marks a generation that holds no slots any more.
const expired = 1 << 31

// age takes their slots from the requests that were overtaken, at a limit, but not
// from more than spare. One at a time may call it.
func (s *slots) age(limit, spare int) {
	entered, present := slotCount(s.Load()).entered(), s.present.Load()
	if entered-s.began[present%generations] >= uint64(max(1, limit/perLimit)) {
		if present+1-s.oldest >= generations && !s.expire(&spare) {
			return
		}
		present++
		s.began[present%generations] = entered
		s.requests[present%generations].Store(uint64(present) << 32)
		s.present.Store(present)
	}
	for s.oldest < present && entered-s.began[(s.oldest+1)%generations] >= uint64(overtakes*limit) {
		if !s.expire(&spare) {
			return
		}
	}
}

// expire takes the slots of the oldest generation, unless they are too many.
func (s *slots) expire(spare *int) bool {
	g := &s.requests[s.oldest%generations]
	if int(uint32(g.Load())) > *spare {
		return false
	}
	n := uint32(g.Or(expired)) // may be fewer now
	s.oldest++
	*spare -= int(n)
	if n > 0 {
		s.overtaken.Add(int32(n))
		s.Add(^uint64(n - 1))
	}
	return true
}
