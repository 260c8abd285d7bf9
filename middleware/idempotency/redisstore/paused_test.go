//go:build unix

package redisstore_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/redis/go-redis/v9"
)

// Redis stops for longer than a lease. Calls fail meanwhile, and afterwards the run
// whose lease is over is not run again by itself.
func TestPaused(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := newStore(t, dial(t, &redis.Options{Addr: server.addr, MaxRetries: -1, ReadTimeout: 200 * time.Millisecond}))
	lease := 2 * time.Second
	c := newClaim("k", lease)
	begin(t, s, c, idempotency.Started)
	if err := server.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	for time.Since(stopped) < 5*time.Second {
		if err := s.Renew(t.Context(), c.Hold); err == nil || errors.Is(err, idempotency.ErrLost) {
			t.Fatalf("Renew of a Redis that stopped: %v, want another error", err)
		}
		if got, err := s.Begin(t.Context(), newClaim("other", lease)); err == nil {
			t.Fatalf("Begin of a Redis that stopped: %+v", got)
		}
	}
	if err := server.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the server answers", func() bool {
		got, err := s.Begin(t.Context(), newClaim("k", lease))
		return err == nil && got.State == idempotency.Unknown
	})
	resume := newClaim("k", time.Minute)
	resume.Resume = true
	begin(t, s, resume, idempotency.Started)
	if err := s.Finish(t.Context(), c.Hold, paid); !errors.Is(err, idempotency.ErrLost) {
		t.Errorf("Finish of the run that lost the key: %v, want ErrLost", err)
	}
}
