package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// A step of a process, or of time.
type step byte

const (
	stepBegin  step = 'b' // Begin
	stepEffect step = 'e' // the handler does its work; in a transaction, not yet committed
	stepFinish step = 'c' // of the transaction, with the answer; else Finish
	stepCrash  step = 'x'
	stepLapse  step = 'L' // the lease of the latest claim ends
	stepAgain  step = 'f' // the same Finish again: its reply was lost
)

// A world is two processes that serve requests with one key on one store.
type world struct {
	t       *testing.T
	store   idempotency.Store
	tx      bool
	resume  bool
	history string

	procs   [2]proc
	done    []string // effects that have happened
	answers []string // that clients have got
}

type proc struct {
	claim  idempotency.Claim
	at     step   // what it does next
	answer string // of its handler
	out    bool   // it has ended
	idle   bool   // the key was busy, and nothing has happened since
}

const leaseTime = time.Second

func newWorld(t *testing.T, tx, resume bool) *world {
	w := &world{t: t, store: idempotency.NewMemory(0), tx: tx, resume: resume}
	for i := range w.procs {
		w.procs[i].claim = idempotency.Claim{
			Hold:        idempotency.Hold{Key: idempotency.RecordKey("a", "k"), Owner: fmt.Sprint("process ", i), Lease: leaseTime, Keep: time.Hour},
			Fingerprint: "f", Resume: tx || resume,
		}
		w.procs[i].at = stepBegin
	}
	return w
}

// choices returns what may happen next: one of the two goes on or crashes, or time
// passes. One that found the key busy looks again only when something has happened.
func (w *world) choices() []string {
	var all []string
	for i, p := range w.procs {
		if !p.out && !p.idle {
			all = append(all, fmt.Sprint(i, string(p.at)))
			if p.at != stepBegin {
				all = append(all, fmt.Sprint(i, string(stepCrash)))
			}
		}
	}
	if !(w.procs[0].out && w.procs[1].out) && strings.Count(w.history, string(stepLapse)) < 2 {
		all = append(all, string(stepLapse))
	}
	return all
}

// play does what was chosen.
func (w *world) play(choice string) {
	w.history += choice + " "
	for i := range w.procs {
		w.procs[i].idle = false
	}
	if choice == string(stepLapse) {
		time.Sleep(leaseTime)
		return
	}
	p := &w.procs[choice[0]-'0']
	switch step(choice[1]) {
	case stepBegin:
		w.begin(p)
	case stepEffect:
		if !w.tx {
			w.done = append(w.done, p.answer)
		}
		p.at = stepFinish
	case stepFinish:
		err := w.finish(p)
		switch {
		case err == nil:
			if w.tx {
				w.done = append(w.done, p.answer)
			}
			p.at = stepAgain
			return
		case !errors.Is(err, idempotency.ErrLost):
			w.t.Errorf("%s: Finish: %v", w.history, err)
		case w.tx: // rolled back: the client is told to come back, or gets the other answer
			p.at = stepBegin
			return
		}
		p.out = true
	case stepAgain:
		if err := w.finish(p); err != nil {
			w.t.Errorf("%s: the same Finish again: %v", w.history, err)
		}
		w.answers = append(w.answers, p.answer)
		p.out = true
	case stepCrash:
		p.out = true
	}
}

func (w *world) finish(p *proc) error {
	return w.store.Finish(context.Background(), p.claim.Hold, idempotency.Answer{Status: 200, Body: []byte(p.answer)})
}

func (w *world) begin(p *proc) {
	for range 2 { // as if the first reply were lost
		f, err := w.store.Begin(context.Background(), p.claim)
		if err != nil {
			w.t.Fatalf("%s: Begin: %v", w.history, err)
		}
		switch f.State {
		case idempotency.Started:
			p.at = stepEffect
			p.answer = fmt.Sprintf("answer of %s, run %d", p.claim.Owner, f.Runs)
		case idempotency.Done:
			w.answers = append(w.answers, string(f.Answer.Body))
			p.out = true
			return
		case idempotency.Busy: // it comes back
			p.at, p.idle = stepBegin, true
		case idempotency.Unknown:
			p.out = true
		default:
			w.t.Fatalf("%s: Begin found %v", w.history, f.State)
		}
	}
}

// check is the law: in a transaction the effect happens once at most, and once if
// anybody got an answer; all answers are equal. Otherwise it happens once at most
// unless runs may be resumed, and then all answers are equal too.
func (w *world) check() {
	if (w.tx || !w.resume) && len(w.done) > 1 {
		w.t.Errorf("%s: effects %q, want one at most", w.history, w.done)
	}
	for _, a := range w.answers {
		if a != w.answers[0] {
			w.t.Errorf("%s: answers %q, want one", w.history, w.answers)
		}
	}
	if len(w.answers) > 0 && (len(w.done) == 0 || w.tx && w.done[0] != w.answers[0]) {
		w.t.Errorf("%s: effects %q, and the answer %q", w.history, w.done, w.answers[0])
	}
	// What the store says in the end is what everybody got.
	time.Sleep(3 * leaseTime)
	c := w.procs[0].claim
	c.Owner, c.Resume = "auditor", true
	f, err := w.store.Begin(context.Background(), c)
	if err != nil {
		w.t.Fatalf("%s: %v", w.history, err)
	}
	if len(w.answers) > 0 && (f.State != idempotency.Done || string(f.Answer.Body) != w.answers[0]) {
		w.t.Errorf("%s: the client got %q, and the store has %v %q", w.history, w.answers[0], f.State, f.Answer.Body)
	}
	if w.tx && f.State != idempotency.Done && len(w.done) > 0 {
		w.t.Errorf("%s: the effect is committed, and the store says %v", w.history, f.State)
	}
}

// All histories of two processes with one key, in which each may crash after each step
// and leases may end at any time, keep the law.
func TestAllInterleavings(t *testing.T) {
	for _, mode := range []struct {
		name       string
		tx, resume bool
	}{{"in a transaction", true, false}, {"unknown", false, false}, {"resumed", false, true}} {
		t.Run(mode.name, func(t *testing.T) {
			histories, effects, answered := 0, 0, 0
			// Each history is played from the start, since a store has no way back.
			var explore func(prefix []string)
			explore = func(prefix []string) {
				w := newWorld(t, mode.tx, mode.resume)
				for _, choice := range prefix {
					w.play(choice)
				}
				next := w.choices()
				if len(next) == 0 {
					w.check()
					histories++
					effects += len(w.done)
					answered += min(1, len(w.answers))
					return
				}
				for _, choice := range next {
					explore(append(prefix[:len(prefix):len(prefix)], choice))
				}
			}
			synctest.Test(t, func(*testing.T) { explore(nil) })
			t.Logf("%d histories, %d effects, %d with an answer", histories, effects, answered)
			if histories < 200 || answered < histories/10 || effects < answered {
				t.Errorf("%d histories with %d effects, %d of them with an answer: the test does not reach what it is for", histories, effects, answered)
			}
		})
	}
}
