package redisstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/redis/go-redis/v9"
)

var (
	errDied    = errors.New("the process has died")
	errBusy    = errors.New("another has the key")
	errUnknown = errors.New("nobody knows")
)

// crashLease is shorter than the pauses.
const crashLease = 100 * time.Millisecond

// An effect is one outside of Redis, which happens at once.
type effect struct {
	count   atomic.Int64
	mu      sync.Mutex
	answers map[string]bool
}

// fault has a process die or pause.
func fault() error {
	switch mathrand.IntN(12) {
	case 0, 1:
		return errDied
	case 2:
		<-time.After(crashLease + crashLease/2)
	}
	return nil
}

// serve is one request on a process of its own.
func (e *effect) serve(ctx context.Context, s idempotency.Store, key string, resume bool) error {
	c := newClaim(key, crashLease)
	c.Resume = resume
	found, err := s.Begin(ctx, c)
	switch {
	case err != nil:
		return err
	case found.State == idempotency.Done:
		e.answered(string(found.Answer.Body))
		return nil
	case found.State == idempotency.Unknown:
		return errUnknown
	case found.State != idempotency.Started:
		return errBusy
	}
	if err := fault(); err != nil { // after the claim
		return err
	}
	e.count.Add(1)
	if err := fault(); err != nil { // after the effect
		return err
	}
	answer := rand.Text()
	if err := s.Finish(ctx, c.Hold, idempotency.Answer{Status: 201, Body: []byte(answer)}); err != nil {
		return err
	}
	if err := fault(); err != nil { // after the answer is stored
		return err
	}
	e.answered(answer)
	return nil
}

func (e *effect) answered(body string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.answers == nil {
		e.answers = make(map[string]bool)
	}
	e.answers[body] = true
}

// client repeats a request until there is an answer, or nobody knows.
func (e *effect) client(t *testing.T, s idempotency.Store, key string, resume bool) {
	tick := time.NewTicker(crashLease / 4)
	defer tick.Stop()
	for range 400 {
		err := e.serve(t.Context(), s, key, resume)
		if err == nil || errors.Is(err, errUnknown) {
			return
		}
		<-tick.C
	}
	t.Errorf("%s was never answered", key)
}

// Processes die and pause anywhere, and clients repeat. An effect happens at most once
// and has one answer. If runs are resumed some happen twice: the experiment can fail.
func TestCrashAnywhere(t *testing.T) {
	const keys, clients = 100, 4
	servers(t, func(t *testing.T, client *redis.Client) {
		s := newStore(t, client)
		for _, resume := range []bool{false, true} {
			effects := make([]effect, keys)
			var all sync.WaitGroup
			for i := range effects {
				for range clients {
					all.Go(func() { effects[i].client(t, s, fmt.Sprint(resume, i), resume) })
				}
			}
			all.Wait()
			twice, never, differing := 0, 0, 0
			for i := range effects {
				switch n := effects[i].count.Load(); {
				case n > 1:
					twice++
				case n == 0:
					never++
				}
				if len(effects[i].answers) > 1 {
					differing++
				}
			}
			t.Logf("resumed %v: %d keys, %d effects twice, %d never, %d keys with two answers", resume, keys, twice, never, differing)
			if differing > 0 || (twice > 0) != resume {
				t.Errorf("resumed %v: %d effects twice, %d keys with two answers", resume, twice, differing)
			}
		}
	})
}
