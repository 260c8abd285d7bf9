package limiter

import (
	"fmt"
	"math/rand/v2"
	"strings"
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

// Slots of a limit of 4, step by step: a letter takes one if it is free, an upper-case one
// gives it back, a digit takes the slots of those that were overtaken, up to so many, and
// begins a generation. A request is overtaken once 12 have entered since the generation
// after its own began.
func TestSlotsInTurn(t *testing.T) {
	for _, tt := range []struct {
		name      string
		steps     string
		gave      string // how many were taken until then, by each that gave back
		refused   string
		taken     int
		overtaken int32
		present   uint32 // generation
	}{
		{"each has one", "abc", "", "", 3, 0, 0},
		{"none is free", "abcdef", "", "ef", 4, 0, 0},
		{"one is free again", "abcdBf", "4", "", 4, 0, 0},
		{"so many were taken", "abcABC", "321", "", 0, 0, 0},
		{"of an earlier generation", "ab9cA", "3", "", 2, 0, 1},
		{"of two of them", "a9b9cABC", "321", "", 0, 0, 2},
		{"nobody entered: the generation goes on", "9a99b9", "", "", 2, 0, 2},
		{"one whom 11 have passed", "a9bBbBbBbBbBbBbBbBbBbBbB9", "22222222222", "", 1, 0, 2},
		{"one whom 12 have", "a9bBbBbBbBbBbBbBbBbBbBbBbB9", "222222222222", "", 0, 1, 2},
		{"it leaves: it had no slot", "a9bBbBbBbBbBbBbBbBbBbBbBbB9A", "2222222222221", "", 0, 0, 2},
		{"it leaves, beside another", "a9bBbBbBbBbBbBbBbBbBbBbBbB9cA", "2222222222222", "", 1, 0, 2},
		{"no more may be without a slot", "a9bBbBbBbBbBbBbBbBbBbBbBbB0", "222222222222", "", 1, 0, 2},
		{"two in one generation, and but one may", "ac9bBbBbBbBbBbBbBbBbBbBbBbB1", "333333333333", "", 2, 0, 2},
		{"two in one generation, and both may", "ac9bBbBbBbBbBbBbBbBbBbBbBbB2", "333333333333", "", 0, 2, 2},
		{"two in two, and but one may", "a9c9bBbBbBbBbBbBbBbBbBbBbBbB1", "333333333333", "", 1, 1, 3},
		{"two in two, and both may", "a9c9bBbBbBbBbBbBbBbBbBbBbBbB9", "333333333333", "", 0, 2, 3},
		{"another later", "a9bBbBbBbBbBbBbBbBbBbBbBbB9c9bBbBbBbBbBbBbBbBbBbBbBbB9", "222222222222222222222222", "", 0, 2, 4},
		{"no more may be, for long: no more generations", "a9" + strings.Repeat("bB0", 99), strings.Repeat("2", 99), "", 1, 0, 63},
		{"that, and then one may", "a9" + strings.Repeat("bB0", 99) + "1", strings.Repeat("2", 99), "", 0, 1, 64},
		{"two in two, and the younger leaves", "a9c9bBbBbBbBbBbBbBbBbBbBbBbB1C", "3333333333331", "", 0, 1, 3},
		{"two in two, and the older leaves", "a9c9bBbBbBbBbBbBbBbBbBbBbBbB1A", "3333333333332", "", 1, 0, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, present := range []uint32{0, 1, 63, 1<<20 - 2, 1<<20 - 1, 1<<32 - 2} { // after a long time, too
				var s slots
				s.present.Store(present)
				s.oldest = present
				s.number.Store(uint64(present&mostGeneration) << takenBits)
				in := map[rune]uint32{}
				gave, refused := "", ""
				for _, step := range tt.steps {
					switch {
					case step >= 'a':
						before, generation, ok := s.take(4)
						if !ok {
							if generation != 0 || before.taken() != 4 {
								t.Errorf("refused in generation %d with %d taken", generation, before.taken())
							}
							refused += string(step)
							continue
						}
						in[step] = generation
						if before.taken() != s.taken()-1 {
							t.Errorf("%d were taken before, and %d then", before.taken(), s.taken())
						}
					case step >= 'A':
						gave += fmt.Sprint(s.give(in[step+'a'-'A']))
					default:
						s.age(4, int(step-'0'))
					}
				}
				if gave != tt.gave || refused != tt.refused {
					t.Errorf("from %d: those that gave back found %s, and %q had none, want %s and %q", present, gave, refused, tt.gave, tt.refused)
				}
				if s.taken() != tt.taken || s.overtaken.Load() != tt.overtaken || s.present.Load()-present != tt.present {
					t.Errorf("from %d: %d taken, %d overtaken in generation %d, want %d, %d and %d", present,
						s.taken(), s.overtaken.Load(), s.present.Load()-present, tt.taken, tt.overtaken, tt.present)
				}
			}
		})
	}
}

// The generation of a request that made the number what it is, while another begins: the
// number has its lowest bits only.
func TestSlotsJoined(t *testing.T) {
	for _, tt := range []struct{ present, bits, want uint32 }{
		{10, 10, 10}, {10, 11, 11}, {10, 9, 9}, {1<<20 - 1, 0, 1 << 20}, {1 << 20, 1<<20 - 1, 1<<20 - 1},
		{5<<20 + 7, 8, 5<<20 + 8}, {1<<32 - 1, 0, 0}, {1<<32 - 1, 1<<20 - 1, 1<<32 - 1},
	} {
		var s slots
		s.present.Store(tt.present)
		if got := s.joined(slotCount(tt.bits) << takenBits); got != tt.want {
			t.Errorf("%d in generation %d: got %d, want %d", tt.bits, tt.present, got, tt.want)
		}
	}
	var s slots
	s.number.Store(mostTaken)
	if _, _, ok := s.take(1 << 30); ok {
		t.Error("got a slot although a number holds no more of them, want none")
	}
}
