package idempotency

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

const (
	defaultMemory = 64 << 20
	// recordCost covers a record without its answer: the struct, its strings, and its
	// places in the map and the lists.
	recordCost = 1024
	lineCost   = 64 // of a header line, beside its text
	// largeAnswer is what an answer costs at least if it is given up before older
	// records are.
	largeAnswer = 4 << 10
)

var errMemoryFull = errors.New("idempotency: all of the memory is taken by requests that run")

// Memory is a [Store] for one process. Its records end with the process, so that a
// request that is sent again after a restart is run again. It is safe for concurrent
// use and starts no goroutine.
type Memory struct {
	max int64

	mu      sync.Mutex // guards what follows, and the records
	used    int64
	records map[string]*memoryRecord
	running list.List // by their latest sign of life
	done    list.List // in the order in which they were finished
	large   list.List // those of done whose answer is large
}

type memoryRecord struct {
	Record
	cost    int64
	place   *list.Element // in running or done
	bulky   *list.Element // in large
	changed chan struct{} // closed at the next change; nil if nobody waits for it
}

// NewMemory returns a store that takes about maxBytes of memory; 0 or less means
// 64 MiB. A record counts 1 KiB, and its answer. When the memory is full, the oldest
// answers of 4 KiB or more are given up: a retry of their request is told that the
// answer was not kept. Then the oldest records of requests that are done are dropped,
// and a retry of those is run again. The records of requests that run are never
// dropped. If they alone fill the memory, Begin returns an error.
func NewMemory(maxBytes int64) *Memory {
	if maxBytes <= 0 {
		maxBytes = defaultMemory
	}
	return &Memory{max: maxBytes, records: make(map[string]*memoryRecord)}
}

// Begin implements [Store].
func (m *Memory) Begin(ctx context.Context, c Claim) (Found, error) {
	if err := ctx.Err(); err != nil {
		return Found{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.expire(now)
	r := m.records[c.Key]
	if r != nil && !now.Before(r.KeepUntil) {
		m.remove(r)
		r = nil
	}
	if r == nil {
		return m.insert(now, c)
	}
	switch {
	case r.Fingerprint != c.Fingerprint:
		return Found{State: Mismatch}, nil
	case r.State == Done:
		return Found{State: Done, Answer: r.Answer}, nil
	case r.Owner == c.Owner:
	case now.Before(r.LeaseUntil):
		return Found{State: Busy, Left: r.LeaseUntil.Sub(now)}, nil
	case c.Resume:
		r.Owner = c.Owner
		r.Runs++
	default:
		return Found{State: Unknown}, nil
	}
	m.renew(now, r, c.Hold)
	return Found{State: Started, Runs: r.Runs}, nil
}

func (m *Memory) insert(now time.Time, c Claim) (Found, error) {
	m.makeRoom(recordCost)
	if m.used+recordCost > m.max {
		return Found{}, errMemoryFull
	}
	r := &memoryRecord{Record: Record{Key: c.Key, Fingerprint: c.Fingerprint, State: Busy, Owner: c.Owner, Runs: 1}, cost: recordCost}
	r.place = m.running.PushBack(r)
	m.used += r.cost
	m.records[c.Key] = r
	m.renew(now, r, c.Hold)
	return Found{State: Started, Runs: 1}, nil
}

// Renew implements [Store].
func (m *Memory) Renew(_ context.Context, h Hold) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[h.Key]
	if r == nil || r.State == Done || r.Owner != h.Owner {
		return ErrLost
	}
	m.renew(time.Now(), r, h)
	return nil
}

func (m *Memory) renew(now time.Time, r *memoryRecord, h Hold) {
	r.LeaseUntil, r.KeepUntil = now.Add(h.Lease), now.Add(h.Keep)
	m.running.MoveToBack(r.place)
	if h.Lease <= 0 {
		r.wake()
	}
}

// Finish implements [Store].
func (m *Memory) Finish(_ context.Context, h Hold, a Answer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[h.Key]
	if r == nil || r.Owner != h.Owner {
		return ErrLost
	}
	if r.State == Done {
		return nil
	}
	m.running.Remove(r.place)
	r.place = m.done.PushBack(r)
	r.State, r.LeaseUntil, r.KeepUntil, r.Answer = Done, time.Time{}, time.Now().Add(h.Keep), a
	size := sizeOf(a)
	r.cost += size
	m.used += size
	if size >= largeAnswer {
		r.bulky = m.large.PushBack(r)
	}
	m.makeRoom(0)
	r.wake()
	return nil
}

// Release implements [Store].
func (m *Memory) Release(_ context.Context, h Hold) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[h.Key]
	if r == nil {
		return nil
	}
	if r.State == Done || r.Owner != h.Owner {
		return ErrLost
	}
	m.remove(r)
	return nil
}

// changed returns a channel that is closed when the run that has the key ends, or nil
// if no run has it.
func (m *Memory) changed(key string) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[key]
	if r == nil || r.State == Done {
		return nil
	}
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.changed
}

func (r *memoryRecord) wake() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// expire drops what is kept no longer, as far as it is first in its list.
func (m *Memory) expire(now time.Time) {
	for _, l := range [...]*list.List{&m.running, &m.done} {
		for e := l.Front(); e != nil; e = l.Front() {
			r := e.Value.(*memoryRecord)
			if now.Before(r.KeepUntil) {
				break
			}
			m.remove(r)
		}
	}
}

// makeRoom gives up answers, then records, until there is room for size bytes.
func (m *Memory) makeRoom(size int64) {
	for m.used+size > m.max {
		if e := m.large.Front(); e != nil {
			m.giveUp(e.Value.(*memoryRecord))
		} else if e := m.done.Front(); e != nil {
			m.remove(e.Value.(*memoryRecord))
		} else {
			return
		}
	}
}

// giveUp keeps of an answer that it was there.
func (m *Memory) giveUp(r *memoryRecord) {
	m.large.Remove(r.bulky)
	r.bulky = nil
	m.used -= r.cost
	r.Answer = r.Answer.tombstone()
	r.cost = recordCost + sizeOf(r.Answer)
	m.used += r.cost
}

func (m *Memory) remove(r *memoryRecord) {
	if r.State == Done {
		m.done.Remove(r.place)
	} else {
		m.running.Remove(r.place)
	}
	if r.bulky != nil {
		m.large.Remove(r.bulky)
	}
	m.used -= r.cost
	delete(m.records, r.Key)
	r.wake()
}

func sizeOf(a Answer) int64 {
	size := int64(cap(a.Body))
	for name, values := range a.Header {
		for _, v := range values {
			size += int64(len(name) + len(v) + lineCost)
		}
	}
	return size
}
