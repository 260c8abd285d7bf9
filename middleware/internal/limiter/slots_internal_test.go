package limiter

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// Requests that come and leave while generations begin and expire hold as
// many slots as there are of them, less those that were overtaken.
func TestSlotsAgainstAModel(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		limit := 1 + rng.IntN(40)
		var s slots
		s.present.Store(rng.Uint32()) // as after a long time
		s.oldest = s.present.Load()
		s.number.Store(rng.Uint64()&^mostTaken&^(mostGeneration<<takenBits) | uint64(s.oldest&mostGeneration)<<takenBits)
		s.began[s.oldest%generations] = s.load().entered()
		var in []uint32
		for range 3000 {
			before := len(in) - int(s.overtaken.Load())
			switch rng.IntN(5) {
			case 0, 1:
				if n, g, ok := s.take(limit); ok {
					in = append(in, g)
				} else if n.taken() < limit {
					t.Fatalf("seed %d: refused at %d of %d", seed, n.taken(), limit)
				}
			case 2:
				in = append(in, s.enter())
			case 3:
				if len(in) > 0 {
					i := rng.IntN(len(in))
					if got := s.give(in[i]); got != before && got != before+1 {
						t.Fatalf("seed %d: %d were taken, want %d", seed, got, before)
					}
					in[i] = in[len(in)-1]
					in = in[:len(in)-1]
				}
			case 4:
				s.age(limit, rng.IntN(20))
			}
			if want := len(in) - int(s.overtaken.Load()); s.taken() != want || want < 0 || s.overtaken.Load() < 0 {
				t.Fatalf("seed %d: %d taken of %d requests, %d overtaken", seed, s.taken(), len(in), s.overtaken.Load())
			}
		}
		for _, g := range in {
			s.give(g)
		}
		if s.taken() != 0 || s.overtaken.Load() != 0 {
			t.Fatalf("seed %d: %d taken and %d overtaken at the end, want none", seed, s.taken(), s.overtaken.Load())
		}
	}
}

// The same from several goroutines: nothing is lost.
func TestSlotsAtOnce(t *testing.T) {
	var s slots
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 2))
			var in []uint32
			for range 20000 {
				if _, g, ok := s.take(50); ok && rng.IntN(20) > 0 {
					s.give(g)
				} else if ok {
					in = append(in, g) // is overtaken
				}
				switch {
				case len(in) > 20:
					s.give(in[0])
					in = in[1:]
				case rng.IntN(50) == 0:
					in = append(in, s.enter())
				}
				if i == 0 {
					s.age(50, 1000)
				}
			}
			for _, g := range in {
				s.give(g)
			}
		})
	}
	wg.Wait()
	if s.taken() != 0 || s.overtaken.Load() != 0 {
		t.Errorf("%d taken and %d overtaken at the end, want none", s.taken(), s.overtaken.Load())
	}
	if s.present.Load() < 100 {
		t.Errorf("only %d generations", s.present.Load())
	}
}

// A request is overtaken when three times the limit entered after its generation.
func TestOvertaken(t *testing.T) {
	const limit = 16
	var s slots
	_, old, _ := s.take(limit)
	for i := range overtakes*limit + 1 {
		s.age(limit, 100)
		if got := s.overtaken.Load(); got != 0 {
			t.Fatalf("overtaken after %d others, want after %d", i, overtakes*limit+1)
		}
		_, g, _ := s.take(limit)
		s.give(g)
	}
	if s.age(limit, 0); s.overtaken.Load() != 0 {
		t.Error("overtaken without room for it")
	}
	if s.age(limit, 1); s.overtaken.Load() != 1 || s.taken() != 0 {
		t.Errorf("%d overtaken and %d taken, want 1 and 0", s.overtaken.Load(), s.taken())
	}
	s.give(old)
	if s.overtaken.Load() != 0 || s.taken() != 0 {
		t.Errorf("%d overtaken and %d taken after it left, want none", s.overtaken.Load(), s.taken())
	}
}
