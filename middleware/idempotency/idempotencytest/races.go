package idempotencytest

import (
	"fmt"
	"sync"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

const (
	crowd  = 16 // claims at the same time
	rounds = 20
)

// together begins all claims at once.
func (r *rig) together(claims []idempotency.Claim) ([]idempotency.Found, error) {
	found, errs := make([]idempotency.Found, len(claims)), make([]error, len(claims))
	var ready, all sync.WaitGroup
	ready.Add(len(claims))
	for i, c := range claims {
		all.Go(func() {
			ready.Done()
			ready.Wait()
			found[i], errs[i] = r.store.Begin(r, c)
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("store.Begin of one of %d at once: %w", len(claims), err)
		}
	}
	return found, nil
}

// onlyOne expects one Started with the number of runs, and Busy for the others.
func onlyOne(what string, found []idempotency.Found, runs int) error {
	started := 0
	for _, f := range found {
		switch {
		case f.State == idempotency.Started && f.Runs == runs:
			started++
		case f.State != idempotency.Busy:
			return fmt.Errorf("%s: Begin found %v with Runs %d, want one Started with Runs %d and the others Busy", what, f.State, f.Runs, runs)
		}
	}
	if started != 1 {
		return fmt.Errorf("%s: %d of %d claims are Started, want 1", what, started, len(found))
	}
	return nil
}

func race(r *rig) error {
	for range rounds {
		r.key = idempotency.RecordKey(r.key, "next")
		var claims []idempotency.Claim
		for range crowd {
			claims = append(claims, r.claim(long))
		}
		found, err := r.together(claims)
		if err != nil {
			return err
		}
		if err := onlyOne("a new key", found, 1); err != nil {
			return err
		}
	}
	return nil
}

// abandoned makes a record whose lease is over, and returns its claim.
func (r *rig) abandoned() (idempotency.Claim, error) {
	r.key = idempotency.RecordKey(r.key, "next")
	c := r.claim(long)
	if err := r.started("a new key", c, 1); err != nil {
		return c, err
	}
	return c, r.end(c)
}

func takeover(r *rig) error {
	for range rounds {
		if _, err := r.abandoned(); err != nil {
			return err
		}
		var claims []idempotency.Claim
		for range crowd {
			claims = append(claims, resuming(r.claim(long)))
		}
		found, err := r.together(claims)
		if err != nil {
			return err
		}
		if err := onlyOne("a lease that is over", found, 2); err != nil {
			return err
		}
	}
	return nil
}

// finishRace lets the owner finish while another takes over: either the other has the
// key and the owner is told so, or the other gets the answer.
func finishRace(r *rig) error {
	for range 2 * rounds {
		c, err := r.abandoned()
		if err != nil {
			return err
		}
		var finish error
		var all sync.WaitGroup
		all.Go(func() { finish = r.store.Finish(r, c.Hold, plain) })
		found, err := r.together([]idempotency.Claim{resuming(r.claim(long))})
		all.Wait()
		if err != nil {
			return err
		}
		switch {
		case finish == nil && found[0].State == idempotency.Done:
		case isLost(finish) && found[0].State == idempotency.Started:
		default:
			return fmt.Errorf("store.Finish returned %v, and the other claim found %v: want nil and done, or ErrLost and started", finish, found[0].State)
		}
	}
	return nil
}
