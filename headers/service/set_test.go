package service_test

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/datapunk/evenkeel/headers/service"
)

type state struct {
	name string
	busy bool
}

func newSet(limit int) *service.Set[state] {
	return service.NewSet(limit, func(name string) *state { return &state{name: name} }, func(s *state) bool { return !s.busy })
}

// Every service has its own, whichever is found without a lookup, and what made
// room is not found any more.
func TestSetKeepsOneOfEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 100
		s := newSet(limit)
		kept := s.Get("busy")
		kept.busy = true
		old := s.Get("idle")
		for i := range 1000 {
			name := []string{"busy", "idle"}[i%2]
			if got := s.Get(name); got.name != name {
				t.Fatalf("got the state of %q for %q", got.name, name)
			}
		}
		for i := range limit - 2 {
			s.Get(fmt.Sprint(i))
		}
		for range 1000 { // so it is found without a lookup
			s.Get("idle")
		}
		if got := s.Get("new"); got == nil || got.name != "new" {
			t.Errorf("got %+v, want room for a new service", got)
		}
		if s.Peek("idle") != nil {
			t.Error("found a state that made room")
		}
		if s.Get("idle") == old {
			t.Error("got a state that made room")
		}
		if s.Get("busy") != kept || s.Peek("busy") != kept {
			t.Error("lost a state that was in use")
		}
	})
}

// Past the limit there is nothing, until something in the set is idle and a
// second has passed since the last look.
func TestSetPastItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		s := service.NewSet(2, func(name string) *state { return &state{name: name, busy: true} }, func(s *state) bool {
			looks++
			return !s.busy
		})
		first := s.Get("a")
		s.Get("b")
		for i := range 100_000 {
			if got := s.Get(fmt.Sprint("flood", i%1000)); got != nil {
				t.Fatalf("got %+v without room, want nil", got)
			}
		}
		if looks != 2 {
			t.Errorf("looked at %d states within a second, want 2", looks)
		}
		first.busy = false
		if s.Get("c") != nil {
			t.Error("looked again within a second")
		}
		time.Sleep(time.Second)
		if got := s.Get("c"); got == nil || s.Peek("a") != nil {
			t.Errorf("got %+v and a is %+v, want the room of a for c", got, s.Peek("a"))
		}
		names := map[string]bool{}
		for name, st := range s.All() {
			if name != st.name {
				t.Errorf("All gives %q the state of %q", name, st.name)
			}
			names[name] = true
		}
		if len(names) != 2 || !names["b"] || !names["c"] {
			t.Errorf("All gives %v, want b and c", names)
		}
		for range s.All() {
			break
		}
	})
}

func TestPeekCreatesNothing(t *testing.T) {
	s := newSet(1)
	if got := s.Peek("a"); got != nil {
		t.Errorf("Peek gives %+v of a service that was never asked for, want nil", got)
	}
	if s.Get("b") == nil {
		t.Error("Peek took the room")
	}
}

// Names that are kept are copies, and are not as long as data may make them.
func TestNamesAreCopies(t *testing.T) {
	url := "http://api.test/?" + strings.Repeat("x", 1000)
	name := url[len("http://"):][:len("api.test")]
	s := newSet(10)
	given := s.Get(name).name
	if given != name || unsafe.StringData(given) == unsafe.StringData(name) {
		t.Errorf("create was given %q at %p, want a copy of what is at %p", given, unsafe.StringData(given), unsafe.StringData(name))
	}
	for got := range s.All() {
		if unsafe.StringData(got) == unsafe.StringData(name) {
			t.Error("the key of the set is part of the URL")
		}
	}
	for _, tt := range []struct {
		length int
		kept   bool
	}{{0, true}, {1024, true}, {1025, false}, {1 << 20, false}} {
		name := strings.Repeat("n", tt.length)
		if got := s.Get(name); (got != nil) != tt.kept || (s.Peek(name) != nil) != tt.kept {
			t.Errorf("a name of %d bytes: kept %v, want %v", tt.length, got != nil, tt.kept)
		}
	}
}

func TestGetAllocatesNothing(t *testing.T) {
	s := newSet(3)
	s.Get("a")
	s.Get("b")
	if n := testing.AllocsPerRun(1000, func() { s.Get("a"); s.Get("b") }); n != 0 {
		t.Errorf("looking up two services allocates %v times, want 0", n)
	}
}

// However many ask, a service has one state, and there are never too many.
func TestSetUnderConcurrency(t *testing.T) {
	const limit = 8
	s := newSet(limit)
	for i := range limit {
		s.Get(fmt.Sprint("kept", i)).busy = true
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 5000 {
				name := fmt.Sprint("kept", i%limit)
				if got := s.Get(name); got == nil || got.name != name {
					t.Errorf("got %+v for %q", got, name)
					return
				}
				if got := s.Get(fmt.Sprint("new", g, i)); got != nil {
					t.Errorf("got %+v past the limit, want nil", got)
					return
				}
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
	n := 0
	for range s.All() {
		n++
	}
	if n != limit {
		t.Errorf("%d services in a set for %d", n, limit)
	}
}

func BenchmarkGet(b *testing.B) {
	s := newSet(2)
	s.Get("api.test").busy = true
	s.Get("db.test").busy = true
	for name, ask := range map[string]func(){
		"usual": func() { s.Get("api.test") },
		"two":   func() { s.Get("api.test"); s.Get("db.test") },
		"past":  func() { s.Get("other.test") },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}

// Of many that ask for a new name at once, all get the same.
func TestSetMakesOneForAll(t *testing.T) {
	made := 0 // with the set locked
	s := service.NewSet(1000, func(string) *int { made++; return &made }, func(*int) bool { return false })
	for i := range 200 {
		start := make(chan struct{})
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() { <-start; s.Get(strconv.Itoa(i)) })
		}
		close(start)
		wg.Wait()
		if made != i+1 {
			t.Fatalf("made %d for %d names", made, i+1)
		}
	}
}
