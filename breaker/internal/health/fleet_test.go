package health_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker/internal/health"
	"github.com/datapunk/evenkeel/transport"
)

// A desk is a store whose replies a test decides. It notes what is reported.
type desk struct {
	mu      sync.Mutex
	reply   health.Reply
	err     error
	takes   time.Duration // an exchange
	until   time.Time     // services are isolated
	deaf    chan struct{} // if set, exchanges hang until it is closed, whatever their context
	reports []health.Report
	at      []time.Time
}

func newDesk() *desk { return &desk{reply: health.Reply{Share: 1, Circuit: 1, Passed: -1}} }

func (d *desk) Place(name string) (string, int) { return name, 0 }

func (d *desk) Exchange(_ context.Context, keys []string, reports []health.Report) ([]health.Reply, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reports = append(d.reports, reports...)
	d.at = append(d.at, time.Now())
	reply, err, deaf, takes := d.reply, d.err, d.deaf, d.takes
	if takes > 0 {
		d.mu.Unlock()
		time.Sleep(takes)
		d.mu.Lock()
	}
	if deaf != nil {
		d.mu.Unlock()
		<-deaf
		d.mu.Lock()
		err = errors.New("too late")
	}
	replies := make([]health.Reply, len(keys))
	for i := range replies {
		if took := reports[i].Isolate; took > 0 && err == nil {
			d.until = time.Now().Add(time.Duration(took * float64(time.Second)))
		}
		replies[i] = reply
		replies[i].Left = max(time.Until(d.until).Seconds(), 0)
	}
	return replies, err
}

func (d *desk) set(change func(*desk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *desk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.reports)
}

// events notes what an observer is told.
type events struct {
	mu   sync.Mutex
	seen []string
}

func (e *events) add(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = append(e.seen, fmt.Sprintf(format, args...))
}

func (e *events) Connected(lost, shards int, err error) { e.add("lost %d of %d", lost, shards) }
func (e *events) Changed(name string, r health.Reply) {
	e.add("%s %.2f %.2f %.0f", name, r.Share, r.Circuit, r.Left)
}
func (e *events) Foreign(name, key string) { e.add("foreign %s", key) }

func (e *events) take() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := fmt.Sprint(e.seen)
	e.seen = nil
	return s
}

func join(t *testing.T, s health.Store, o health.Observer, change func(*health.Params)) *health.Fleet {
	p := health.Params{Shards: 1, Interval: time.Second, Services: 10, Rare: 1.5}
	if change != nil {
		change(&p)
	}
	f := health.New(s, p, o)
	t.Cleanup(func() { f.Close(context.Background()) })
	return f
}

// share is the share of first attempts that are admitted, to within a few percent.
func share(s transport.FleetService, n int) float64 {
	admitted := 0
	for range n {
		if _, ok := s.Admit(1); ok {
			admitted++
		}
	}
	return float64(admitted) / float64(n)
}

func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// A process that starts sends everything until it has heard of the verdict, which takes
// one exchange. Of first attempts it sends the share then, and no others. If it turns
// out to make many calls it keeps its own judgement.
func TestVerdictApplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.reply.Share, d.reply.Circuit, d.takes = 0.25, 0.25, 10*time.Millisecond
		f := join(t, d, silent{}, nil)
		g, c := f.Guard().Service("api.test"), f.Circuits().Service("api.test")
		if _, ok := g.Admit(2); !ok {
			t.Error("a retry was refused before anything was heard")
		}
		settle(d.takes)
		for attempt, want := range map[int]bool{2: false, 3: false} {
			if retryIn, ok := g.Admit(attempt); ok != want || retryIn != time.Second {
				t.Errorf("attempt %d: admitted %v, again in %v; want it refused for 1s", attempt, ok, retryIn)
			}
		}
		if got := share(g, 4000); got < 0.2 || got > 0.3 {
			t.Errorf("%.2f of first attempts admitted, want 0.25", got)
		}
		tickets := 0
		for range 4000 {
			if open, retryIn := c.Verdict(); !open || retryIn != time.Second {
				t.Fatalf("open %v for %v, want true for 1s", open, retryIn)
			}
			if c.Ticket() {
				tickets++
			}
		}
		if tickets < 800 || tickets > 1200 {
			t.Errorf("%d of 4000 requests may pass, want about 1000", tickets)
		}
		settle(1200 * time.Millisecond) // it has heard of its own 4000 calls
		if got := share(g, 100); got != 1 {
			t.Errorf("%.2f admitted in a process with many calls, want all", got)
		}
		if open, _ := c.Verdict(); open {
			t.Error("open in a process with many requests")
		}
		settle(50 * time.Second)
		if got := share(g, 1000); got > 0.3 {
			t.Errorf("%.2f admitted in a process that has few calls again, want 0.25", got)
		}
	})
}

// A verdict that is not renewed fades within seconds. What an operator isolated stays
// so until its time.
func TestVerdictFades(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, e := newDesk(), &events{}
		d.reply.Share, d.reply.Circuit = 0.05, 0.05
		f := join(t, d, e, nil)
		g, c := f.Guard().Service("api.test"), f.Circuits().Service("api.test")
		settle(1200 * time.Millisecond)
		d.set(func(d *desk) { d.err = errors.New("down") })
		settle(1800 * time.Millisecond)
		if got := f.Stats("api.test"); got.Share != 0.05 || got.Connected {
			t.Errorf("%+v, want the verdict as it was, and not connected", got)
		}
		last := 0.05
		for range 8 {
			settle(time.Second)
			if now := f.Stats("api.test").Share; now < last || now > 4.5*last {
				t.Errorf("share %.2f after %.2f, want no step", now, last)
			} else {
				last = now
			}
		}
		if _, ok := g.Admit(2); !ok || f.Stats("api.test").Circuit != 1 {
			t.Errorf("after 10 s: %+v, want no verdict", f.Stats("api.test"))
		}
		if open, _ := c.Verdict(); open {
			t.Error("the circuit is open after 10 s")
		}
		d.set(func(d *desk) { d.err = nil })
		settle(1200 * time.Millisecond)
		if _, ok := g.Admit(2); ok {
			t.Error("the verdict does not apply when the store is back")
		}
		if got, want := e.take(), "[api.test 0.05 0.05 0 lost 1 of 1 api.test 0.05 0.05 0 lost 0 of 1]"; got != want {
			t.Errorf("told %s\nwant %s", got, want)
		}
		if err := f.Isolate(t.Context(), "api.test", time.Minute); err != nil {
			t.Fatal(err)
		}
		d.set(func(d *desk) { d.err = errors.New("down") })
		settle(50 * time.Second)
		if retryIn, ok := g.Admit(1); ok || retryIn != 10*time.Second {
			t.Errorf("admitted %v, again in %v: want it isolated for 10 s more", ok, retryIn)
		}
		settle(12 * time.Second)
		if _, ok := g.Admit(1); !ok {
			t.Error("isolated for longer than a minute")
		}
	})
}

// In a dry run nothing applies but what an operator does.
func TestDryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.reply.Share, d.reply.Circuit = 0.05, 0.05
		f := join(t, d, silent{}, func(p *health.Params) { p.DryRun = true })
		g, c := f.Guard().Service("api.test"), f.Circuits().Service("api.test")
		settle(time.Second)
		open, _ := c.Verdict()
		if _, ok := g.Admit(2); !ok || open || f.Stats("api.test").Share != 0.05 {
			t.Errorf("admitted %v, open %v, %+v: want a verdict that does not apply", ok, open, f.Stats("api.test"))
		}
		if err := f.Isolate(t.Context(), "api.test", time.Minute); err != nil {
			t.Fatal(err)
		}
		if _, ok := g.Admit(1); ok {
			t.Error("not isolated in a dry run")
		}
	})
}

// Isolate works at once in the process that is told, for a service that it has not
// called yet too, and ends by itself.
func TestIsolateHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, e := newDesk(), &events{}
		f := join(t, d, e, nil)
		if err := f.Isolate(t.Context(), "new.test", 90*time.Second); err != nil {
			t.Fatal(err)
		}
		g := f.Guard().Service("new.test")
		if retryIn, ok := g.Admit(1); ok || retryIn != 90*time.Second {
			t.Errorf("admitted %v, again in %v; want it refused for 90s", ok, retryIn)
		}
		synctest.Wait()
		if got, want := e.take(), "[new.test 1.00 1.00 90]"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		d.set(func(d *desk) { d.err = errors.New("down") })
		settle(90 * time.Second)
		if _, ok := g.Admit(1); !ok {
			t.Error("still isolated after 90 s")
		}
		if err := f.Isolate(t.Context(), "new.test", time.Second); err == nil {
			t.Error("no error although the store is down")
		}
		d.set(func(d *desk) { d.err, d.reply.Foreign = nil, true })
		if err := f.Isolate(t.Context(), "new.test", time.Second); !errors.Is(err, health.ErrForeign) {
			t.Errorf("got %v, want ErrForeign", err)
		}
		f.Close(t.Context())
		if err := f.Isolate(t.Context(), "new.test", time.Second); !errors.Is(err, health.ErrClosed) {
			t.Errorf("got %v after Close, want ErrClosed", err)
		}
	})
}

// A key that holds something else is said once, and no verdict applies.
func TestForeign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, e := newDesk(), &events{}
		d.reply.Foreign = true
		f := join(t, d, e, nil)
		g := f.Guard().Service("api.test")
		settle(5 * time.Second)
		if _, ok := g.Admit(2); !ok || f.Stats("api.test").Connected {
			t.Errorf("%+v: want no verdict, and not connected", f.Stats("api.test"))
		}
		d.set(func(d *desk) { d.reply.Foreign = false })
		settle(2 * time.Second)
		d.set(func(d *desk) { d.reply.Foreign = true })
		settle(5 * time.Second)
		if got, want := e.take(), "[foreign api.test foreign api.test]"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	})
}

// A client that never returns holds up nothing: no request, no Close, and one goroutine.
func TestDeafStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.reply.Share = 0.05
		f := join(t, d, silent{}, nil)
		g := f.Guard().Service("api.test")
		settle(time.Second)
		deaf := make(chan struct{})
		d.set(func(d *desk) { d.deaf = deaf })
		settle(1500 * time.Millisecond)
		before := d.count()
		settle(15 * time.Second)
		if got := d.count() - before; got > 1 {
			t.Errorf("%d exchanges while one hangs, want none", got)
		}
		if _, ok := g.Admit(2); !ok {
			t.Error("the verdict does not fade")
		}
		start := time.Now()
		if err := f.Close(t.Context()); err != nil || time.Since(start) > 0 {
			t.Errorf("Close took %v and returned %v", time.Since(start), err)
		}
		if err := f.Close(t.Context()); err != nil {
			t.Errorf("the second Close returned %v", err)
		}
		close(deaf)
	})
}

// Close lifts what applies, and returns by its context although a hook hangs.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.reply.Share, d.reply.Circuit = 0.05, 0.05
		hook := make(hang)
		f := join(t, d, hook, nil)
		g, c := f.Guard().Service("api.test"), f.Circuits().Service("api.test")
		settle(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		if err := f.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("Close returned %v after %v, want the error of its context after 3s", err, time.Since(start))
		}
		close(hook)
		if err := f.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		open, _ := c.Verdict()
		if _, ok := g.Admit(2); !ok || open {
			t.Error("a verdict applies after Close")
		}
		if s := f.Guard().Service("other.test"); s != nil {
			s.Admit(1) // and nothing happens
		}
	})
}

type hang chan struct{}

func (h hang) Connected(int, int, error)    {}
func (h hang) Changed(string, health.Reply) { <-h }
func (h hang) Foreign(string, string)       {}
