package health_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker/internal/health"
	"github.com/datapunk/evenkeel/transport"
)

// Reports come once a second. The first bad news of a quiet second comes at once, and
// bad news that goes on does not.
func TestRhythm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		f := join(t, d, silent{}, nil)
		g := f.Guard().Service("api.test")
		settle(30 * time.Second)
		if n := d.count(); n < 28 || n > 33 {
			t.Errorf("%d reports in 30 s, want about 31", n)
		}
		before := d.count()
		g.Saw(transport.SightLate, time.Now().Add(-time.Second))
		synctest.Wait()
		if n := d.count() - before; n != 1 {
			t.Errorf("%d reports after a timeout, want 1 at once", n)
		}
		if r := d.reports[len(d.reports)-1]; r.Late != 1 || r.LateAge != 1e6 {
			t.Errorf("reported %+v, want one that is 1 s old", r)
		}
		before = d.count()
		for range 100 {
			settle(100 * time.Millisecond)
			g.Saw(transport.SightLate, time.Now())
		}
		if n := d.count() - before; n > 12 {
			t.Errorf("%d reports in 10 s of timeouts, want at most 12", n)
		}
		settle(5 * time.Second)
		rounds := len(d.at)
		for i := range 9 { // new services are reported soon, but not each by itself
			f.Guard().Service(fmt.Sprint(i))
			settle(10 * time.Millisecond)
		}
		if n := len(d.at) - rounds; n < 1 || n > 2 {
			t.Errorf("%d exchanges for nine new services, want 1 or 2", n)
		}
		if s := f.Stats("api.test"); s.Reports == 0 || s.Reports > int64(d.count()) {
			t.Errorf("%d reports in the Stats, want %d", s.Reports, d.count())
		}
	})
}

// What is reported is what was seen, each thing once.
func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		f := join(t, d, silent{}, nil)
		g, c := f.Guard().Service("api.test"), f.Circuits().Service("api.test")
		settle(time.Minute / 2)
		d.set(func(d *desk) { d.reports = nil })
		now := time.Now()
		g.Admit(1)
		g.Admit(1)
		g.Admit(2)
		g.Saw(transport.SightLate, now.Add(-2*time.Second)) // overtaken by what follows
		g.Saw(transport.SightSlow, now.Add(-time.Second))
		g.Saw(transport.SightFast, now.Add(-1500*time.Millisecond))
		g.Saw(transport.SightLate, now.Add(-1100*time.Millisecond)) // and this one by what came before
		c.Saw(true)
		c.Saw(true)
		settle(3 * time.Second)
		var sum health.Report
		passed := 0
		for _, r := range d.reports {
			sum.Calls += r.Calls
			sum.Fast += r.Fast
			sum.Slow += r.Slow
			sum.Late += r.Late
			sum.Asked += r.Asked
			sum.OK += r.OK
			if r.Passed >= 0 {
				passed++
				if sent := d.at[len(d.at)-1]; sent.IsZero() || r.Passed < 1e6 || r.Passed > 2.3e6 {
					t.Errorf("passed %v µs ago, want 1 s and what the report waited", r.Passed)
				}
			}
		}
		want := health.Report{Calls: 2, Fast: 1, Slow: 1, Asked: 2, OK: 2}
		if sum != want || passed != 1 {
			t.Errorf("reported %+v, and %d times what passed; want %+v once", sum, passed, want)
		}
		// What others saw pass overtakes too.
		d.set(func(d *desk) { d.reply.Passed = 0.1e6 })
		settle(2 * time.Second)
		d.set(func(d *desk) { d.reports = nil })
		g.Saw(transport.SightLate, time.Now().Add(-1500*time.Millisecond))
		synctest.Wait()
		if n := d.count(); n > 0 {
			t.Errorf("%d reports at once of a timeout that others have overtaken", n)
		}
		settle(2 * time.Second)
		for _, r := range d.reports {
			if r.Late > 0 || r.Passed >= 0 {
				t.Errorf("reported %+v, want nothing that others have overtaken or said", r)
			}
		}
	})
}

// A service that is not called for a minute is not reported, until it is called again.
// Then there is no room for more.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		f := join(t, d, silent{}, func(p *health.Params) { p.Services = 2 })
		a := f.Guard().Service("a.test")
		b := f.Circuits().Service("b.test")
		if f.Guard().Service("c.test") != nil || f.Circuits().Service("c.test") != nil {
			t.Error("room for a third service of two")
		}
		settle(65 * time.Second)
		before := d.count()
		settle(time.Minute)
		if n := d.count() - before; n > 0 {
			t.Errorf("%d reports of services that nobody calls", n)
		}
		d.set(func(d *desk) { d.reply.Share, d.reply.Circuit = 0.05, 0.05 })
		a.Admit(1)
		b.Verdict()
		settle(1200 * time.Millisecond)
		open, _ := b.Verdict()
		if _, ok := a.Admit(2); ok || !open {
			t.Errorf("admitted %v, open %v after services were called again: want the verdict", ok, open)
		}
		d.set(func(d *desk) { d.reply.Share, d.reply.Circuit = 1, 1 })
		settle(65 * time.Second)
		if f.Guard().Service("c.test") == nil {
			t.Error("no room although two services are not in use")
		}
		names := 0
		for range f.All() {
			names++
		}
		if names > 2 {
			t.Errorf("%d services, want at most 2", names)
		}
	})
}

// All methods are safe for concurrent use.
func TestConcurrently(t *testing.T) {
	f := join(t, health.NewMemory(func() float64 { return float64(time.Now().UnixMicro()) }), silent{}, func(p *health.Params) { p.Interval = time.Millisecond })
	var group sync.WaitGroup
	var n atomic.Int64
	for i := range 4 {
		group.Go(func() {
			for range 500 {
				name := fmt.Sprint(n.Add(1) % 12)
				if g := f.Guard().Service(name); g != nil {
					g.Admit(1)
					g.Saw(transport.Sight(i%3), time.Now())
				}
				if c := f.Circuits().Service(name); c != nil {
					c.Verdict()
					c.Ticket()
					c.Saw(i%2 == 0)
				}
				f.Stats(name)
				if i == 0 {
					f.Isolate(t.Context(), name, time.Millisecond)
				}
			}
		})
	}
	group.Wait()
}
