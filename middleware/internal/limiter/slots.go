package limiter

import (
	"sync"
	"sync/atomic"
)

// slots counts the requests that hold a slot, and all that ever got one, in one
// atomic number. By the second count, one in so many requests is measured at no
// further cost.
//
// A request that many others have overtaken does not wait in a line with them: it
// polls, streams, hangs, or is long work. It keeps working, but no longer holds a slot.
// To tell which requests were overtaken, each belongs to the generation in which it
// came. The present generation is part of the number, so its requests come and go by
// one atomic operation each. Only requests of earlier generations take the lock when
// they leave. A new generation begins only while requests wait.
type slots struct {
	number    atomic.Uint64 // a slotCount
	overtaken atomic.Int32  // requests that hold no slot any more
	present   atomic.Uint32 // the generation that requests join; its lowest bits are in the number

	mu      sync.Mutex // guards what follows, and who changes the generation
	oldest  uint32     // generation that holds slots
	members [generations]int32
	earlier int32               // the sum of members: the requests of all generations before the present one
	began   [generations]uint32 // how many had entered when it began
}

// generations is how many there are at most. perLimit is how many begin while as many
// requests enter as the limit is. A request is overtaken once overtakes times the limit
// entered after it.
const (
	generations = 64
	perLimit    = 8
	overtakes   = 3
)

// slotCount is the number: from its lowest bits on, requests in the handler, the
// generation, and requests that entered.
type slotCount uint64

const (
	takenBits      = 20
	generationBits = 20

	mostTaken      = 1<<takenBits - 1 // a process has no memory for more at a time
	mostGeneration = 1<<generationBits - 1
	mostEntered    = 1<<(64-takenBits-generationBits) - 1
	enters         = 1 << (takenBits + generationBits)
	admission      = enters | 1
)

func (n slotCount) taken() int         { return int(n & mostTaken) }
func (n slotCount) generation() uint32 { return uint32(n>>takenBits) & mostGeneration }
func (n slotCount) entered() uint32    { return uint32(n >> (takenBits + generationBits)) }

// next is the number in the generation that follows.
func (n slotCount) next() slotCount {
	return n&^(mostGeneration<<takenBits) | slotCount((n.generation()+1)&mostGeneration)<<takenBits
}

// since is how many have entered since there were so many, in a count that starts
// again from 0 at its end.
func (n slotCount) since(entered uint32) int64 {
	return int64((n.entered() - entered) & mostEntered)
}

func (s *slots) load() slotCount { return slotCount(s.number.Load()) }

func (s *slots) taken() int { return s.load().taken() }

// take takes a slot if there is one. It returns the counts before, and the
// generation.
func (s *slots) take(limit int) (before slotCount, generation uint32, ok bool) {
	limit = min(limit, mostTaken)
	for {
		before = s.load()
		if before.taken() >= limit {
			return before, 0, false
		}
		if s.number.CompareAndSwap(uint64(before), uint64(before)+admission) {
			return before, s.joined(before), true
		}
	}
}

// enter takes a slot whether or not there is one.
func (s *slots) enter() (generation uint32) {
	return s.joined(slotCount(s.number.Add(admission)))
}

// joined is the generation of a request that made the number what it is: the one
// next to the present that has its lowest bits.
func (s *slots) joined(n slotCount) uint32 {
	const rest = 32 - generationBits
	present := s.present.Load()
	return present + uint32(int32(n.generation()-present)<<rest>>rest)
}

// give gives a slot back, if the request still holds one. It returns how many
// were taken until now.
func (s *slots) give(generation uint32) int {
	for generation == s.present.Load() {
		n := s.load()
		if n.generation() != generation&mostGeneration {
			break
		}
		if s.number.CompareAndSwap(uint64(n), uint64(n)-1) {
			return n.taken()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if present := s.present.Load(); generation != present {
		if generation-s.oldest >= present-s.oldest {
			s.overtaken.Add(-1)
			return s.taken() + 1
		}
		s.members[generation%generations]--
		s.earlier--
	}
	return slotCount(s.number.Add(^uint64(0))).taken() + 1
}

// age takes the slots of the requests that were overtaken at the given limit, but of no
// more than spare.
func (s *slots) age(limit, spare int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, present := s.load(), s.present.Load()
	if n.since(s.began[present%generations]) >= int64(max(1, limit/perLimit)) {
		if present+1-s.oldest >= generations && !s.expire(&spare) {
			return
		}
		n = s.begin()
		present++
	}
	for s.oldest != present && n.since(s.began[(s.oldest+1)%generations]) >= overtakes*int64(limit) {
		if !s.expire(&spare) {
			return
		}
	}
}

// begin begins a generation, and returns the number in it.
func (s *slots) begin() slotCount {
	n := s.load()
	for !s.number.CompareAndSwap(uint64(n), uint64(n.next())) {
		n = s.load()
	}
	present := s.present.Load()
	s.members[present%generations] = int32(n.taken()) - s.earlier
	s.earlier = int32(n.taken())
	s.began[(present+1)%generations] = n.entered()
	s.present.Store(present + 1)
	return n.next()
}

// expire takes the slots of the oldest generation, unless they are too many.
func (s *slots) expire(spare *int) bool {
	n := s.members[s.oldest%generations]
	if int(n) > *spare {
		return false
	}
	s.oldest++
	s.earlier -= n
	*spare -= int(n)
	s.overtaken.Add(n)
	s.number.Add(-uint64(n))
	return true
}
