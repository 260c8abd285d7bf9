package idempotencytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

var (
	plain = idempotency.Answer{Status: 201, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"id":1}`)}
	other = idempotency.Answer{Status: 202, Body: []byte("another run")}
)

// answers are what has to come back as it was.
var answers = []idempotency.Answer{
	plain,
	{Status: 204},
	{Status: 303, Header: http.Header{"Location": {"/a,b;c=\"d\""}}},
	{Status: 599, Body: []byte("failed")},
	{Status: 200, Header: http.Header{
		"Link":          {"</a>; rel=next, </b>; rel=last", "</c>"}, // lines are not joined or split
		"Etag":          {`W/"x"`},
		"X-Empty":       {"", ""},
		"X-Bytes":       {"\xe9\xff\x80", "tab\there"}, // not UTF-8
		"Last-Modified": {"Mon, 21 Oct 2026 07:28:00 GMT"},
	}, Body: []byte("\x00\x01\xff\r\n\"\\")},
	{Status: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: bytes.Repeat([]byte("0123456789abcdef"), 16<<10)},
}

func sameAnswer(what string, got, want idempotency.Answer) error {
	switch {
	case got.Status != want.Status:
		return fmt.Errorf("%s: answer with status %d, want %d", what, got.Status, want.Status)
	case got.Tombstone != want.Tombstone:
		return fmt.Errorf("%s: answer with Tombstone %t, want %t", what, got.Tombstone, want.Tombstone)
	case !maps.EqualFunc(got.Header, want.Header, slices.Equal):
		return fmt.Errorf("%s: answer with header %q, want %q", what, got.Header, want.Header)
	case !bytes.Equal(got.Body, want.Body):
		return fmt.Errorf("%s: answer with %d bytes of body, want the %d that were stored", what, len(got.Body), len(want.Body))
	}
	return nil
}

func isLost(err error) bool { return errors.Is(err, idempotency.ErrLost) }

func done(r *rig) error {
	for i, a := range answers {
		r.key = idempotency.RecordKey(r.key, "next")
		c := r.claim(long)
		if err := r.started("a new key", c, 1); err != nil {
			return err
		}
		if err := r.store.Finish(r, c.Hold, a); err != nil {
			return fmt.Errorf("store.Finish: %w", err)
		}
		for _, claim := range []idempotency.Claim{r.claim(long), resuming(r.claim(long)), c} {
			if err := r.finished(fmt.Sprintf("answer %d", i), claim, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func tombstone(r *rig) error {
	c := r.claim(long)
	if err := r.started("a new key", c, 1); err != nil {
		return err
	}
	a := idempotency.Answer{Status: 200, Header: http.Header{"Location": {"/payments/1"}}, Tombstone: true}
	if err := r.store.Finish(r, c.Hold, a); err != nil {
		return fmt.Errorf("store.Finish: %w", err)
	}
	return r.finished("an answer that was not kept", r.claim(long), a)
}

func finishedTwice(r *rig) error {
	c := r.claim(long)
	if err := r.started("a new key", c, 1); err != nil {
		return err
	}
	for i, a := range []idempotency.Answer{plain, plain, other} {
		if err := r.store.Finish(r, c.Hold, a); err != nil {
			return fmt.Errorf("store.Finish number %d: %w", i+1, err)
		}
	}
	if err := r.finished("after Finish", r.claim(long), plain); err != nil {
		return err
	}
	if err := ask("Renew after Finish", r.store.Renew(r, c.Hold), idempotency.ErrLost); err != nil {
		return err
	}
	if err := ask("Release after Finish", r.store.Release(r, c.Hold), idempotency.ErrLost); err != nil {
		return err
	}
	return r.finished("after Release", r.claim(long), plain)
}

func release(r *rig) error {
	c := r.claim(long)
	if err := r.started("a new key", c, 1); err != nil {
		return err
	}
	for range 2 {
		if err := r.store.Release(r, c.Hold); err != nil {
			return fmt.Errorf("store.Release: %w", err)
		}
	}
	next := r.claim(long)
	next.Fingerprint = fingerprint("two")
	if err := r.started("after Release", next, 1); err != nil {
		return err
	}
	if err := ask("Release of the key of another", r.store.Release(r, c.Hold), idempotency.ErrLost); err != nil {
		return err
	}
	return r.started("the same claim", next, 1)
}

func absent(r *rig) error {
	c := r.claim(long)
	if err := ask("Renew without a record", r.store.Renew(r, c.Hold), idempotency.ErrLost); err != nil {
		return err
	}
	if err := ask("Finish without a record", r.store.Finish(r, c.Hold, plain), idempotency.ErrLost); err != nil {
		return err
	}
	if err := ask("Release without a record", r.store.Release(r, c.Hold), nil); err != nil {
		return err
	}
	return r.started("a new key", r.claim(long), 1)
}

func keep(r *rig) error {
	c := r.claim(short)
	c.Keep = 3 * short
	next := r.claim(long)
	next.Fingerprint = fingerprint("two")
	if err := r.started("a new key", c, 1); err != nil {
		return err
	}
	if err := r.firstAgain("a record that is kept for a while", next); err != nil {
		return err
	}
	h := next.Hold
	h.Keep = 3 * short
	if err := r.store.Finish(r, h, plain); err != nil {
		return fmt.Errorf("store.Finish: %w", err)
	}
	return r.firstAgain("an answer that is kept for a while", r.claim(long))
}

// firstAgain waits until the record, which has another fingerprint, is dropped.
func (r *rig) firstAgain(what string, c idempotency.Claim) error {
	got, err := r.until(what, c, idempotency.Mismatch)
	if err == nil && (got.State != idempotency.Started || got.Runs != 1) {
		return fmt.Errorf("after %s: Begin found %v, Runs %d; want a first run", what, got.State, got.Runs)
	}
	return err
}

// kept has a run and an answer outlive the Keep with which they began.
func kept(r *rig) error {
	const brief = 600 * time.Millisecond
	run, answered := r.claim(short), r.claim(short)
	answered.Key = idempotency.RecordKey(r.key, "next")
	run.Keep, answered.Keep = brief, brief
	for _, c := range []idempotency.Claim{run, answered} {
		if err := r.started("a new key", c, 1); err != nil {
			return err
		}
	}
	run.Keep, answered.Keep = day, day
	if err := r.store.Renew(r, run.Hold); err != nil {
		return fmt.Errorf("store.Renew: %w", err)
	}
	if err := r.store.Finish(r, answered.Hold, plain); err != nil {
		return fmt.Errorf("store.Finish: %w", err)
	}
	wait(brief + short)
	if _, err := r.begin("a run after its first Keep", r.claim(long), idempotency.Unknown); err != nil {
		return err
	}
	r.key = answered.Key
	return r.finished("an answer after its first Keep", r.claim(long), plain)
}

// A store may refuse a call whose context is done, or do it. It must not do half.
func cancelled(r *rig) error {
	gone, cancel := context.WithCancel(r)
	cancel()
	c := r.claim(long)
	if _, err := r.store.Begin(gone, c); isLost(err) {
		return fmt.Errorf("store.Begin with a context that is done: %w", err)
	}
	if err := r.started("after it", c, 1); err != nil {
		return err
	}
	if err := r.store.Finish(gone, c.Hold, plain); isLost(err) {
		return fmt.Errorf("store.Finish with a context that is done: %w", err)
	}
	if err := r.store.Finish(r, c.Hold, plain); err != nil {
		return fmt.Errorf("store.Finish after it: %w", err)
	}
	return r.finished("in the end", r.claim(long), plain)
}
