package idempotencytest

import (
	"crypto/rand"
	"fmt"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

func first(r *rig) error {
	other := r.claim(long)
	other.Key = idempotency.RecordKey("idempotencytest", rand.Text())
	if err := r.started("another key", other, 1); err != nil {
		return err
	}
	if err := r.started("a new key", r.claim(long), 1); err != nil {
		return err
	}
	if err := r.store.Release(r, other.Hold); err != nil {
		return fmt.Errorf("another key: Release: %w", err)
	}
	_, err := r.begin("the key", r.claim(long), idempotency.Busy)
	return err
}

func again(r *rig) error {
	c := r.claim(long)
	for range 3 {
		if err := r.started("the same claim", c, 1); err != nil {
			return err
		}
	}
	_, err := r.begin("another claim", r.claim(long), idempotency.Busy)
	return err
}

func busy(r *rig) error {
	if err := r.started("a new key", r.claim(long), 1); err != nil {
		return err
	}
	for _, c := range []idempotency.Claim{r.claim(long), resuming(r.claim(long)), r.claim(short)} {
		got, err := r.begin("another claim", c, idempotency.Busy)
		if err != nil {
			return err
		}
		if got.Left <= 0 || got.Left > long {
			return fmt.Errorf("another claim: %v left of a lease of %v that has just begun", got.Left, long)
		}
		if got.Left < long/2 {
			return fmt.Errorf("another claim: %v left, want about %v", got.Left, long)
		}
	}
	return nil
}

func mismatch(r *rig) error {
	c := r.claim(short)
	foreign := func(what string) error {
		f := resuming(r.claim(long))
		f.Fingerprint = fingerprint("two")
		if _, err := r.begin(what, f, idempotency.Mismatch); err != nil {
			return err
		}
		f.Owner = c.Owner
		_, err := r.begin(what+", by the owner", f, idempotency.Mismatch)
		return err
	}
	if err := r.started("a new key", c, 1); err != nil {
		return err
	}
	if err := foreign("while the lease lasts"); err != nil {
		return err
	}
	if err := r.lapse("after another fingerprint"); err != nil {
		return err
	}
	if err := foreign("after the lease"); err != nil {
		return err
	}
	if err := r.store.Finish(r, c.Hold, plain); err != nil {
		return fmt.Errorf("store.Finish after another fingerprint: %w", err)
	}
	if err := foreign("when it is done"); err != nil {
		return err
	}
	return r.finished("after another fingerprint", r.claim(long), plain)
}

func unknown(r *rig) error {
	c := r.claim(short)
	if err := r.started("a new key", c, 1); err != nil {
		return err
	}
	if err := r.lapse("a run that does not come back"); err != nil {
		return err
	}
	for range 2 {
		if _, err := r.begin("after the lease", r.claim(long), idempotency.Unknown); err != nil {
			return err
		}
	}
	return nil
}

func ownLease(r *rig) error {
	c := r.claim(short)
	if err := r.started("a new key", c, 1); err != nil {
		return err
	}
	if err := r.lapse("a run that is late"); err != nil {
		return err
	}
	again := c
	again.Lease = long
	if err := r.started("its owner after the lease", again, 1); err != nil {
		return err
	}
	if _, err := r.begin("another claim", resuming(r.claim(long)), idempotency.Busy); err != nil {
		return err
	}
	if err := r.store.Renew(r, c.Hold); err != nil {
		return fmt.Errorf("store.Renew: %w", err)
	}
	if err := r.lapse("a run that is late again"); err != nil {
		return err
	}
	h := c.Hold
	h.Lease = long
	if err := r.store.Renew(r, h); err != nil {
		return fmt.Errorf("store.Renew of a lease that is over: %w", err)
	}
	if _, err := r.begin("after Renew", r.claim(long), idempotency.Busy); err != nil {
		return err
	}
	if err := r.end(c); err != nil {
		return err
	}
	if err := r.store.Finish(r, c.Hold, plain); err != nil {
		return fmt.Errorf("store.Finish after the lease: %w", err)
	}
	return r.finished("after Finish", r.claim(long), plain)
}

func resume(r *rig) error {
	if err := r.started("a new key", resuming(r.claim(short)), 1); err != nil {
		return err
	}
	if err := r.lapse("a run that does not come back"); err != nil {
		return err
	}
	second := resuming(r.claim(long))
	for range 2 {
		if err := r.started("with Resume", second, 2); err != nil {
			return err
		}
	}
	if _, err := r.begin("a third claim", resuming(r.claim(long)), idempotency.Busy); err != nil {
		return err
	}
	if err := r.end(second); err != nil {
		return err
	}
	return r.started("the third run", resuming(r.claim(long)), 3)
}

// end ends the lease of the claim.
func (r *rig) end(c idempotency.Claim) error {
	h := c.Hold
	h.Lease = 0
	if err := r.store.Renew(r, h); err != nil {
		return fmt.Errorf("store.Renew with Lease 0: %w", err)
	}
	return r.lapse("a lease that was ended")
}

func fence(r *rig) error {
	stale, owner := r.claim(short), resuming(r.claim(long))
	if err := r.started("a new key", stale, 1); err != nil {
		return err
	}
	if err := r.lapse("a run that is late"); err != nil {
		return err
	}
	if err := r.started("the second run", owner, 2); err != nil {
		return err
	}
	turnedAway := func(when string) error {
		for _, q := range []struct {
			name string
			got  error
		}{
			{"Renew", r.store.Renew(r, stale.Hold)},
			{"Finish", r.store.Finish(r, stale.Hold, other)},
			{"Release", r.store.Release(r, stale.Hold)},
		} {
			if err := ask(q.name+" of an owner that has lost the key, "+when, q.got, idempotency.ErrLost); err != nil {
				return err
			}
		}
		return nil
	}
	if err := turnedAway("while another runs"); err != nil {
		return err
	}
	if _, err := r.begin("the first owner", stale, idempotency.Busy); err != nil {
		return err
	}
	if err := r.started("the second owner", owner, 2); err != nil {
		return err
	}
	if err := r.store.Finish(r, owner.Hold, plain); err != nil {
		return fmt.Errorf("store.Finish of the second owner: %w", err)
	}
	if err := turnedAway("when another has finished"); err != nil {
		return err
	}
	return r.finished("the first owner", stale, plain)
}

func renew(r *rig) error {
	c := r.claim(short)
	if err := r.started("a new key", c, 1); err != nil {
		return err
	}
	h := c.Hold
	h.Lease = long
	for range 2 {
		if err := r.store.Renew(r, h); err != nil {
			return fmt.Errorf("store.Renew: %w", err)
		}
	}
	wait(2 * short)
	got, err := r.begin("after the first lease", r.claim(long), idempotency.Busy)
	if err == nil && (got.Left > long || got.Left < long/2) {
		return fmt.Errorf("%v left of a lease renewed for %v", got.Left, long)
	}
	return err
}

func ended(r *rig) error {
	c := r.claim(long)
	if err := r.started("a new key", c, 1); err != nil {
		return err
	}
	if err := r.end(c); err != nil {
		return err
	}
	return r.started("with Resume", resuming(r.claim(long)), 2)
}
