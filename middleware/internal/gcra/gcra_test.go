package gcra_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/internal/gcra"
)

func TestName(t *testing.T) {
	long := strings.Repeat("k", 65)
	hashed := gcra.Name(long)
	if len(hashed) != 65 || hashed == long {
		t.Errorf("a key of 65 bytes is kept as %q, want its sum in 65 bytes", hashed)
	}
	for _, key := range []string{"", "k", strings.Repeat("k", 64), hashed[1:]} {
		if got := gcra.Name(key); got != key {
			t.Errorf("%q is kept as %q", key, got)
		}
	}
	if got := gcra.Name(hashed); got == hashed {
		t.Error("who sends the sum of a key is taken for who has the key")
	}
	// Processes must agree on it, and so must the next release.
	const want = "#59f1d666fce5d94e6a3225cb92ad724a95e43d13b9621de98f443e730a346105"
	if got := gcra.Name(strings.Repeat("long", 1000)); got != want {
		t.Errorf("4,000 bytes are kept as %q, want %q", got, want)
	}
	if gcra.Name(strings.Repeat("k", 1<<20)+"a") == gcra.Name(strings.Repeat("k", 1<<20)+"b") {
		t.Error("keys that differ in their last byte have one name")
	}
}

func TestTake(t *testing.T) {
	const s = time.Second
	r := gcra.Rate{Interval: s, Burst: 3 * s}
	for _, tt := range []struct {
		now, full, after time.Duration
		ok               bool
		left             int
		retryIn          time.Duration
	}{
		{10 * s, 0, 11 * s, true, 2, 0},
		{10 * s, 12 * s, 13 * s, true, 0, s},
		{10 * s, 12*s + 1, 12*s + 1, false, 0, 1},
		{10 * s, 13 * s, 13 * s, false, 0, s},
		{10 * s, 16 * s, 16 * s, false, 0, 4 * s}, // more is owed than a quota
	} {
		after, ok := r.Take(tt.now, tt.full)
		left, retryIn := r.Left(tt.now, after), r.RetryIn(tt.now, after)
		if after != tt.after || ok != tt.ok || left != tt.left || retryIn != tt.retryIn {
			t.Errorf("whole at %v: %v %v, %d left, retry in %v; want %v %v, %d, %v",
				tt.full, after, ok, left, retryIn, tt.after, tt.ok, tt.left, tt.retryIn)
		}
	}
}

type account time.Duration

func (a account) Full() time.Duration { return time.Duration(a) }

func TestKeysAreBounded(t *testing.T) {
	keys := gcra.NewKeys[account](100)
	put := func(name string, a account) {
		s := keys.Lock(name)
		defer s.Unlock()
		s.Add(name, a)
	}
	has := func(name string) bool {
		s := keys.Lock(name)
		defer s.Unlock()
		_, ok := s.Get(name)
		return ok
	}
	put("owes most", account(time.Hour))
	for i := range 10_000 {
		put(fmt.Sprint(i), account(i))
	}
	kept := 0
	for i := range 10_000 {
		if has(fmt.Sprint(i)) {
			kept++
		}
	}
	if kept > 112 || kept < 90 {
		t.Errorf("%d keys are kept, want about 100", kept)
	}
	if !has("owes most") {
		t.Error("the key that owes most was forgotten")
	}
}
