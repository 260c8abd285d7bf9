package limiter

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// A simulation plays clients and handlers around a Controller, event by event,
// without goroutines, so minutes of load take milliseconds.
type simulation struct {
	*Controller
	random *rand.Rand
	now    time.Duration
	events events
	serial int
	waits  []*simRequest // in the queue of the Controller
	world  *world
	places []place
	counts [][]count // by kind and phase
	begin  time.Duration
	trace  func(*simulation) // called after each event
}

// A world is load on handlers.
type world struct {
	name   string
	length time.Duration
	phases []time.Duration // ends of the phases that are counted apart; the last is length
	kinds  []kind
	places func() []place // that requests work in
	bursts map[time.Duration]int
	config func(*Config)
}

// A kind is a stream of requests of one sort.
type kind struct {
	route    string
	known    bool // the route is known when the request comes
	rate     func(at time.Duration) float64
	work     func(at time.Duration, r *rand.Rand) time.Duration
	place    int // where it works
	fails    func(at time.Duration) bool
	patience time.Duration // after which its client leaves; 0: never
	says     bool          // the client says so
	useful   time.Duration // later answers are of no use; 0: a second, or patience if that is longer; less than 0: any is
}

// A count is what became of the requests of a kind that came in a phase.
type count struct{ all, refused, waited, good, late, failed int }

type simRequest struct {
	kind     *kind
	count    *count
	came     time.Duration
	entered  time.Duration
	work     time.Duration
	slot     Slot
	met      int // others, when it came
	waiter   *Waiter
	fails    bool
	resolved bool
}

type event struct {
	at     time.Duration
	serial int
	do     func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].serial < e[j].serial
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

func (s *simulation) at(t time.Duration, do func()) {
	s.serial++
	heap.Push(&s.events, event{max(t, s.now), s.serial, do})
}

// run plays the world with a seed.
func (w *world) run(seed uint64, trace func(*simulation)) *simulation {
	cfg := Config{Min: 2, Max: 10_000, Queue: true, MaxWait: time.Second, MaxPatience: time.Hour, MaxRetryAfter: 10 * time.Second}
	if w.config != nil {
		w.config(&cfg)
	}
	s := &simulation{Controller: New(cfg), random: rand.New(rand.NewPCG(seed, 1)), world: w, now: time.Second, begin: time.Second, trace: trace}
	if w.places != nil {
		s.places = w.places()
	}
	if w.phases == nil {
		w.phases = []time.Duration{w.length}
	}
	for i := range w.kinds {
		k := &w.kinds[i]
		s.counts = append(s.counts, make([]count, len(w.phases)))
		s.arrive(i, k)
	}
	for at, n := range w.bursts {
		s.at(s.begin+at, func() {
			for range n {
				s.request(0)
			}
		})
	}
	end := s.begin + w.length
	for s.events.Len() > 0 {
		e := heap.Pop(&s.events).(event)
		if e.at > end+20*time.Second {
			break
		}
		s.now = e.at
		e.do()
		s.settle()
		if s.trace != nil {
			s.trace(s)
		}
	}
	return s
}

func (s *simulation) elapsed() time.Duration { return s.now - s.begin }

// arrive lets requests of a kind come at random times.
func (s *simulation) arrive(i int, k *kind) {
	rate := k.rate(s.elapsed())
	if rate <= 0 {
		s.at(s.now+10*time.Millisecond, func() {
			if s.elapsed() < s.world.length {
				s.arrive(i, k)
			}
		})
		return
	}
	s.at(s.now+time.Duration(s.random.ExpFloat64()/rate*1e9), func() {
		if s.elapsed() >= s.world.length {
			return
		}
		s.request(i)
		s.arrive(i, k)
	})
}

func (s *simulation) request(i int) {
	k := &s.world.kinds[i]
	phase := 0
	for phase < len(s.world.phases)-1 && s.elapsed() >= s.world.phases[phase] {
		phase++
	}
	r := &simRequest{kind: k, count: &s.counts[i][phase], came: s.now}
	r.work = k.work(s.elapsed(), s.random)
	r.fails = k.fails != nil && k.fails(s.elapsed())
	r.count.all++
	if k.patience > 0 {
		// Its client leaves, and the handler goes on.
		s.at(s.now+k.patience, func() {
			if r.waiter != nil && !r.resolved {
				s.decided(r, s.Abandon(r.waiter, s.now, ReasonGone))
			}
		})
	}
	slot, met, ok := s.Enter()
	r.met = int(met.InFlight)
	if ok {
		s.serve(r, slot)
		return
	}
	if !s.Queues() {
		s.Refuse(s.now)
		r.count.refused++
		return
	}
	q := Request{Patience: k.patience, HasPatience: k.says}
	if k.known {
		q.Route = k.route
	}
	w, patience, reason := s.Join(s.now, q)
	if reason != ReasonNone {
		r.count.refused++
		return
	}
	r.waiter = w
	s.waits = append(s.waits, r)
	s.at(s.now+patience, func() {
		if !r.resolved {
			s.decided(r, s.Abandon(w, s.now, ReasonNone))
		}
	})
}

// settle looks for requests that got a decision.
func (s *simulation) settle() {
	for len(s.waits) > s.queue.all.length {
		before := len(s.waits)
		for _, r := range s.waits {
			if r.resolved {
				continue
			}
			select {
			case d := <-r.waiter.Done():
				s.decided(r, d)
			default:
			}
		}
		keep := s.waits[:0]
		for _, r := range s.waits {
			if !r.resolved {
				keep = append(keep, r)
			}
		}
		s.waits = keep
		if len(s.waits) == before {
			break
		}
	}
}

func (s *simulation) decided(r *simRequest, d Decision) {
	r.resolved = true
	switch {
	case d.Reason != ReasonNone:
		r.count.refused++
	default:
		if s.now > r.came {
			r.count.waited++
		}
		s.serve(r, d.Slot)
	}
}

func (s *simulation) serve(r *simRequest, slot Slot) {
	r.entered, r.slot = s.now, slot
	done := func() { s.done(r) }
	if r.kind.place < 0 || len(s.places) == 0 {
		s.at(s.now+r.work, done)
		return
	}
	s.places[r.kind.place].do(s, r.work, done)
}

func (s *simulation) done(r *simRequest) {
	took := s.now - r.came
	gone := r.kind.patience > 0 && took > r.kind.patience
	useful := r.kind.useful
	if useful == 0 {
		useful = max(time.Second, r.kind.patience)
	}
	switch {
	case r.fails:
		r.count.failed++
	case gone || useful > 0 && took > useful:
		r.count.late++
	default:
		r.count.good++
	}
	inFlight, waiting := s.Leave(r.slot)
	if waiting {
		s.Dispatch(s.now)
	}
	if r.slot.Weight > 0 {
		s.Learn(s.completion(r, inFlight, gone))
	}
}

// rate is how many good answers of a kind there were per second of a phase.
func (s *simulation) rate(kind, phase int) float64 {
	from := time.Duration(0)
	if phase > 0 {
		from = s.world.phases[phase-1]
	}
	return float64(s.counts[kind][phase].good) / (s.world.phases[phase] - from).Seconds()
}

// harmed is the share of the requests of a kind in a phase that were refused or
// made to wait for a slot.
func (s *simulation) harmed(kind, phase int) float64 {
	c := s.counts[kind][phase]
	return float64(c.refused+c.waited) / float64(max(1, c.all))
}

func (s *simulation) refusedShare(kind, phase int) float64 {
	c := s.counts[kind][phase]
	return float64(c.refused) / float64(max(1, c.all))
}

func (s *simulation) completion(r *simRequest, inFlight int, gone bool) Completion {
	outcome := Served
	switch {
	case gone:
		outcome = Gone
	case r.fails:
		outcome = Failed
	}
	return Completion{At: s.now, Took: s.now - r.entered, Waited: r.entered - r.came, Met: r.met, InFlight: inFlight, Waiting: s.queue.all.length > 0, Slot: r.slot, Outcome: outcome, Route: r.kind.route}
}
