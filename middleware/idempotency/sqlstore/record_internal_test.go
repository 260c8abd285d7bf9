package sqlstore

import (
	"errors"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

func TestDecide(t *testing.T) {
	answer, err := idempotency.Answer{Status: 201}.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	running := record{fp: "f", owner: "a", runs: 2, lease: time.Second, keep: time.Hour}
	with := func(change func(*record)) record {
		r := running
		change(&r)
		return r
	}
	over := with(func(r *record) { r.lease = 0 })
	done := with(func(r *record) { r.lease, r.answer = 0, answer })
	claim := func(owner, fp string, resume bool) idempotency.Claim {
		return idempotency.Claim{Hold: idempotency.Hold{Owner: owner}, Fingerprint: fp, Resume: resume}
	}
	for _, tt := range []struct {
		name   string
		record record
		claim  idempotency.Claim
		want   idempotency.Found
		change change
	}{
		{"another runs", running, claim("b", "f", true), idempotency.Found{State: idempotency.Busy, Left: time.Second}, none},
		{"its owner", running, claim("a", "f", false), idempotency.Found{State: idempotency.Started, Runs: 2}, renew},
		{"its owner, late", over, claim("a", "f", false), idempotency.Found{State: idempotency.Started, Runs: 2}, renew},
		{"another request", running, claim("b", "g", true), idempotency.Found{State: idempotency.Mismatch}, none},
		{"another request of its owner", running, claim("a", "g", false), idempotency.Found{State: idempotency.Mismatch}, none},
		{"another request, when it is done", done, claim("b", "g", true), idempotency.Found{State: idempotency.Mismatch}, none},
		{"done", done, claim("b", "f", true), idempotency.Found{State: idempotency.Done, Answer: idempotency.Answer{Status: 201}}, none},
		{"done by this owner", done, claim("a", "f", false), idempotency.Found{State: idempotency.Done, Answer: idempotency.Answer{Status: 201}}, none},
		{"a lease that is over", over, claim("b", "f", false), idempotency.Found{State: idempotency.Unknown}, none},
		{"resumed", over, claim("b", "f", true), idempotency.Found{State: idempotency.Started, Runs: 3}, takeover},
		{"applied", with(func(r *record) { r.lease, r.applied = 0, 1 }), claim("b", "f", false), idempotency.Found{State: idempotency.Started, Runs: 3, Applied: true}, takeover},
		{"applied, and it runs", with(func(r *record) { r.applied = 1 }), claim("b", "f", true), idempotency.Found{State: idempotency.Busy, Left: time.Second}, none},
		{"kept no longer", with(func(r *record) { r.keep = 0 }), claim("b", "g", false), idempotency.Found{State: idempotency.Started, Runs: 1}, replace},
		{"an answer kept no longer", with(func(r *record) { r.keep, r.answer = -1, answer }), claim("b", "f", false), idempotency.Found{State: idempotency.Started, Runs: 1}, replace},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, change, err := decide(tt.record, tt.claim)
			if err != nil || got.State != tt.want.State || got.Runs != tt.want.Runs || got.Applied != tt.want.Applied ||
				got.Left != tt.want.Left || got.Answer.Status != tt.want.Answer.Status || change != tt.change {
				t.Errorf("got %+v, change %d, %v; want %+v, change %d", got, change, err, tt.want, tt.change)
			}
		})
	}
	foreign := with(func(r *record) { r.answer = []byte("200 OK") })
	if got, _, err := decide(foreign, claim("b", "f", true)); !errors.Is(err, errForeign) {
		t.Errorf("bytes that are not an answer: %+v, %v; want errForeign", got, err)
	}
}
