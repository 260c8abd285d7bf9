package idempotency_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// A mortal is what one process sees of the store. At a random step the process dies: what
// it asks from then on has no effect, and its client hears nothing. At another it pauses
// for longer than the lease, and renews nothing meanwhile.
type mortal struct {
	*ledger
	diesAt, pausesAt int

	gate  chan struct{} // has one, which guards what follows; taken during a pause
	step  int
	alive bool
}

func newMortal(memory *idempotency.Memory) *mortal {
	m := &mortal{ledger: &ledger{Store: memory}, gate: make(chan struct{}, 1), alive: true}
	m.gate <- struct{}{}
	return m
}

// next takes a step, and reports whether the process lives after it.
func (m *mortal) next() bool {
	<-m.gate
	defer func() { m.gate <- struct{}{} }()
	m.step++
	if m.step == m.pausesAt {
		time.Sleep(1500 * time.Millisecond)
	}
	if m.step == m.diesAt {
		m.alive = false
	}
	return m.alive
}

func (m *mortal) lives() bool {
	<-m.gate
	defer func() { m.gate <- struct{}{} }()
	return m.alive
}

func (m *mortal) Begin(ctx context.Context, c idempotency.Claim) (idempotency.Found, error) {
	if !m.lives() {
		return idempotency.Found{}, errAway
	}
	f, err := m.ledger.Begin(ctx, c)
	if !m.next() {
		return idempotency.Found{}, errAway
	}
	return f, err
}

func (m *mortal) Renew(ctx context.Context, h idempotency.Hold) error {
	if !m.lives() {
		return errAway
	}
	return m.ledger.Renew(ctx, h)
}

func (m *mortal) Release(ctx context.Context, h idempotency.Hold) error {
	if !m.lives() {
		return errAway
	}
	return m.ledger.Release(ctx, h)
}

func (m *mortal) Finish(ctx context.Context, h idempotency.Hold, a idempotency.Answer) error {
	if !m.next() {
		return errAway
	}
	err := m.ledger.Finish(ctx, h, a)
	if !m.next() {
		return errAway
	}
	return err
}

func (m *mortal) InTx(ctx context.Context, h idempotency.Hold, run func(context.Context) (idempotency.Answer, bool)) error {
	err := m.ledger.InTx(ctx, h, func(ctx context.Context) (idempotency.Answer, bool) {
		a, commit := run(ctx)
		return a, m.next() && commit
	})
	if !m.next() {
		return errAway
	}
	return err
}

// Processes die and pause at every step, four clients send each key until they are
// answered: in a transaction each effect happens once, otherwise once at most, and all
// clients of a key get one answer.
func TestCrashAnywhere(t *testing.T) {
	const keys, clients = 150, 4
	for _, tx := range []bool{true, false} {
		t.Run(fmt.Sprintf("in a transaction %t", tx), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := &experiment{t: t, tx: tx, memory: idempotency.NewMemory(0), answers: make(map[string][]string), effects: make(map[string]int)}
				var all sync.WaitGroup
				for key := range keys {
					for client := range clients {
						all.Go(func() { x.client(fmt.Sprint("key ", key), rand.New(rand.NewPCG(uint64(key), uint64(client)))) })
					}
				}
				all.Wait()
				unknown := 0
				for key := range keys {
					name := fmt.Sprint("key ", key)
					answers := x.answers[name]
					if len(answers) != clients {
						t.Errorf("%s: %d answers, want %d", name, len(answers), clients)
					}
					for _, a := range answers {
						if a != answers[0] && a != "unknown" && answers[0] != "unknown" {
							t.Errorf("%s: answers %q, want one", name, answers)
						}
						if a == "unknown" {
							unknown++
						}
					}
					if n := x.effects[name]; n > 1 || tx && n != 1 {
						t.Errorf("%s: %d effects", name, n)
					}
				}
				if tx && unknown > 0 {
					t.Errorf("%d clients were told that nobody knows", unknown)
				}
				if x.deaths < keys/2 || x.requests < 2*keys {
					t.Errorf("%d requests with %d deaths: too few", x.requests, x.deaths)
				}
				t.Logf("%d requests, %d deaths, %d told that nobody knows", x.requests, x.deaths, unknown)
			})
		})
	}
}

type experiment struct {
	t      *testing.T
	tx     bool
	memory *idempotency.Memory

	mu       sync.Mutex // guards what follows
	answers  map[string][]string
	effects  map[string]int
	requests int
	deaths   int
}

// client sends a key to one process after the other until it is answered.
func (x *experiment) client(key string, r *rand.Rand) {
	for range 100 {
		store := newMortal(x.memory)
		if r.IntN(2) == 0 {
			store.diesAt = 1 + r.IntN(5)
		}
		if r.IntN(3) == 0 {
			store.pausesAt = 1 + r.IntN(5)
		}
		opts := []idempotency.Option{idempotency.Lease(time.Second), idempotency.Wait(time.Duration(r.IntN(2)) * 500 * time.Millisecond)}
		if x.tx {
			opts = append(opts, idempotency.InTransaction(everything))
		}
		run := fmt.Sprint(r.Uint32())
		k := newKit(x.t, store, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(10 * time.Millisecond)
			if store.lives() {
				write(r.Context(), key)
				if !x.tx {
					x.happened(key)
				}
			}
			if !store.next() {
				panic(http.ErrAbortHandler)
			}
			fmt.Fprint(w, run)
		}, opts...)
		w := httptest.NewRecorder()
		func() {
			defer func() { recover() }()
			k.handler.ServeHTTP(w, request(key, "{}"))
		}()
		for _, effect := range store.written() {
			x.happened(effect)
		}
		if x.answered(key, store.lives(), w) {
			return
		}
		time.Sleep(time.Duration(1+r.IntN(300)) * time.Millisecond)
	}
}

func (x *experiment) happened(key string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.effects[key]++
}

// answered notes the answer, if the client got one that ends its asking.
func (x *experiment) answered(key string, alive bool, w *httptest.ResponseRecorder) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.requests++
	if !alive {
		x.deaths++
		return false
	}
	switch {
	case w.Code == 200:
		x.answers[key] = append(x.answers[key], w.Body.String())
	case w.Code == 500 && w.Header().Get("X-Should-Retry") == "false":
		x.answers[key] = append(x.answers[key], "unknown")
	default:
		return false
	}
	return true
}
