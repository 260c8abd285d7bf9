package idempotency_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/idempotency/idempotencytest"
)

func TestMemoryConforms(t *testing.T) {
	idempotencytest.Run(t, func(*testing.T) idempotency.Store { return idempotency.NewMemory(0) })
}

// hold returns one that no other has.
func hold(key int) idempotency.Hold {
	return idempotency.Hold{Key: idempotency.RecordKey("a", fmt.Sprint(key)), Owner: fmt.Sprint("owner", key), Lease: time.Minute, Keep: time.Hour}
}

func begin(t *testing.T, s idempotency.Store, c idempotency.Claim, want idempotency.State) idempotency.Found {
	t.Helper()
	got, err := s.Begin(t.Context(), c)
	if err != nil || got.State != want {
		t.Fatalf("Begin found %v, %v; want %v", got.State, err, want)
	}
	return got
}

func finish(t *testing.T, s idempotency.Store, h idempotency.Hold, size int) {
	t.Helper()
	a := idempotency.Answer{Status: 200, Header: http.Header{"Location": {"/here"}}, Body: bytes.Repeat([]byte("x"), size)}
	if err := s.Finish(t.Context(), h, a); err != nil {
		t.Fatal(err)
	}
}

// Whatever is asked of it, the store takes no more memory than it was given, and
// keeps every record of a request that runs.
func TestMemoryIsBounded(t *testing.T) {
	const limit, keys = 4 << 20, 10_000
	for _, size := range []int{0, 100, 5000} {
		before := heap()
		m := idempotency.NewMemory(limit)
		for key := range 100 { // these run on
			begin(t, m, idempotency.Claim{Hold: hold(-1 - key)}, idempotency.Started)
		}
		for key := range keys {
			begin(t, m, idempotency.Claim{Hold: hold(key)}, idempotency.Started)
			finish(t, m, hold(key), size)
		}
		if took := heap() - before; took > limit {
			t.Errorf("answers of %d bytes: the store takes %d bytes, want at most %d", size, took, limit)
		}
		for key := range 100 {
			other := hold(-1 - key)
			other.Owner = "another"
			begin(t, m, idempotency.Claim{Hold: other}, idempotency.Busy)
		}
		begin(t, m, idempotency.Claim{Hold: hold(keys - 1)}, idempotency.Done)
		begin(t, m, idempotency.Claim{Hold: hold(0)}, idempotency.Started)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Large answers are given up before records are: that a request was answered is
// worth more than what was.
func TestMemoryGivesUpLargeAnswersFirst(t *testing.T) {
	const large = 100 << 10
	m := idempotency.NewMemory(250 << 10)
	for key, size := range []int{10, large, large, 10, large} {
		begin(t, m, idempotency.Claim{Hold: hold(key)}, idempotency.Started)
		finish(t, m, hold(key), size)
	}
	for key, gone := range []bool{false, true, false, false, false} {
		got := begin(t, m, idempotency.Claim{Hold: hold(key)}, idempotency.Done).Answer
		if got.Tombstone != gone || got.Status != 200 || got.Header.Get("Location") != "/here" || gone != (len(got.Body) == 0) {
			t.Errorf("answer %d: Tombstone %t with status %d, header %v and %d bytes, want Tombstone %t", key, got.Tombstone, got.Status, got.Header, len(got.Body), gone)
		}
	}
}

// An answer that is larger than all of the memory leaves its tombstone.
func TestMemoryAnswerLargerThanAll(t *testing.T) {
	m := idempotency.NewMemory(8 << 10)
	begin(t, m, idempotency.Claim{Hold: hold(1)}, idempotency.Started)
	finish(t, m, hold(1), 64<<10)
	if got := begin(t, m, idempotency.Claim{Hold: hold(1)}, idempotency.Done).Answer; !got.Tombstone {
		t.Errorf("got %d bytes, want a tombstone", len(got.Body))
	}
}

// A memory full of requests that run turns new ones away, until one of them ends.
func TestMemoryFullOfRuns(t *testing.T) {
	m := idempotency.NewMemory(10 << 10)
	for key := range 10 {
		begin(t, m, idempotency.Claim{Hold: hold(key)}, idempotency.Started)
	}
	if _, err := m.Begin(t.Context(), idempotency.Claim{Hold: hold(10)}); err == nil || errors.Is(err, idempotency.ErrLost) {
		t.Fatalf("Begin in a memory full of runs: %v, want an error of its own", err)
	}
	if err := m.Release(t.Context(), hold(3)); err != nil {
		t.Fatal(err)
	}
	begin(t, m, idempotency.Claim{Hold: hold(10)}, idempotency.Started)
}

// What is kept no longer takes no memory, also if nobody asks for it again.
func TestMemoryForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := idempotency.NewMemory(10 << 10)
		for key := range 10 {
			begin(t, m, idempotency.Claim{Hold: hold(key)}, idempotency.Started)
			if key%2 == 0 {
				finish(t, m, hold(key), 0)
			}
		}
		time.Sleep(time.Hour)
		for key := range 10 {
			begin(t, m, idempotency.Claim{Hold: hold(100 + key)}, idempotency.Started)
		}
	})
}

// The lease ends to the nanosecond, for those who wait for its end as Left says.
func TestMemoryLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := idempotency.NewMemory(0)
		c, other := idempotency.Claim{Hold: hold(1)}, idempotency.Claim{Hold: hold(1)}
		other.Owner = "another"
		begin(t, m, c, idempotency.Started)
		time.Sleep(time.Minute - 1)
		if got := begin(t, m, other, idempotency.Busy).Left; got != 1 {
			t.Errorf("%v left, want 1ns", got)
		}
		time.Sleep(time.Nanosecond)
		begin(t, m, other, idempotency.Unknown)
	})
}

func TestMemoryCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := idempotency.NewMemory(0).Begin(ctx, idempotency.Claim{Hold: hold(1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
