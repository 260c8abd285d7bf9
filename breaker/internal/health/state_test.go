package health_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/datapunk/evenkeel/breaker/internal/health"
)

// A book is a state, a clock that a test moves, and what was last replied.
type book struct {
	health.State
	now  float64
	last health.Reply
}

func newBook() *book {
	b := &book{now: 1.7e15}
	b.State = health.NewState(b.now)
	return b
}

type step func(*book)

// tell has each of n processes, counted from first, report once, spread over a second.
func tell(first, n int, r health.Report) step {
	return func(b *book) {
		for i := range n {
			b.now += 1e6 / float64(n)
			r.ID, r.Present = float64(first+i), 1
			b.last = b.Merge(r, b.now)
		}
	}
}

func all(steps ...step) step {
	return func(b *book) {
		for _, s := range steps {
			s(b)
		}
	}
}

func repeat(n int, steps ...step) step {
	return func(b *book) {
		for range n {
			all(steps...)(b)
		}
	}
}

func wait(seconds float64) step { return func(b *book) { b.now += seconds * 1e6 } }

// What a process may report.
var (
	fine    = health.Report{Calls: 2, Fast: 2, Passed: 0.1e6, Asked: 2, OK: 2}
	quiet   = health.Report{Passed: -1}
	slow    = health.Report{Calls: 2, Slow: 2, Passed: 0.7e6}
	timeout = health.Report{Calls: 2, Passed: -1, Late: 2, LateAge: 1e6}
	held    = health.Report{Calls: 2, Passed: -1}
	broken  = health.Report{Asked: 5, Failed: 5, Passed: -1}
	refused = health.Report{Asked: 5, Passed: -1}
	up      = health.Report{Asked: 5, OK: 1, Passed: -1}
)

func one(r health.Report) step { return tell(500, 1, r) }

// The verdict on overload after each kind of history.
func TestOverload(t *testing.T) {
	overloaded := all(repeat(5, tell(0, 20, fine)), wait(1.5), repeat(2, tell(0, 20, timeout)))
	for _, tt := range []struct {
		rule  string
		steps step
		least float64
		most  float64
	}{
		{"nothing is known", quietly(1), 1, 1},
		{"all is well", repeat(9, tell(0, 20, fine)), 1, 1},
		{"timeouts after the last success", overloaded, 0.05, 0.15},
		{"of two processes only", all(repeat(5, tell(0, 20, fine)), wait(1.5), repeat(20, tell(0, 2, timeout), tell(2, 18, quiet))), 1, 1},
		{"of two, where there are no others", repeat(9, tell(0, 2, health.Report{Calls: 25, Passed: -1, Late: 2, LateAge: 1e6})), 0.05, 0.1},
		{"of one, where there is no other", repeat(20, tell(0, 1, health.Report{Calls: 50, Passed: -1, Late: 2, LateAge: 1e6})), 1, 1},
		{"few timeouts, a success, and few again", all(repeat(5, tell(0, 20, fine)), repeat(9, wait(1.1), tell(0, 6, health.Report{Calls: 7, Passed: -1, Late: 1, LateAge: 1e6}), one(fine))), 1, 1},
		{"of three, one of which has a success in between", repeat(9, tell(0, 3, timeout), tell(3, 1, fine)), 1, 1},
		{"a success that was sent before them changes nothing", all(overloaded, tell(0, 20, health.Report{Calls: 2, Passed: 9e6})), 0.05, 0.15},
		{"few timeouts", all(repeat(5, tell(0, 20, fine)), wait(1.5), tell(0, 6, health.Report{Passed: -1, Late: 1, LateAge: 1e6})), 1, 1},
		{"timeouts of attempts that were overtaken", all(repeat(5, tell(0, 20, fine)), repeat(3, tell(0, 20, health.Report{Passed: -1, Late: 2, LateAge: 30e6}))), 1, 1},
		{"old timeouts", all(tell(0, 20, fine), wait(1.5), tell(0, 3, timeout), wait(60), tell(3, 3, quiet)), 1, 1},
		{"one process that reports a lot", all(repeat(5, tell(0, 20, fine)), wait(1.5), tell(0, 3, health.Report{Passed: -1, Late: 1000, LateAge: 1e6})), 1, 1},
		{"while they go on", all(overloaded, repeat(9, tell(0, 20, timeout))), 0.08, 0.12},
		{"while nothing is sent", all(overloaded, repeat(9, tell(0, 20, held))), 0.08, 0.14},
		{"when nobody calls any more", all(overloaded, repeat(30, tell(0, 20, quiet))), 1, 1},
		{"the first fast successes", all(overloaded, tell(0, 20, held), one(fine)), 0.25, 0.6},
		{"more of them", all(overloaded, tell(0, 20, held), one(fine), one(fine), one(fine)), 1, 1},
		{"more timeouts than successes", all(overloaded, repeat(5, one(health.Report{Calls: 9, Fast: 1, Passed: 5e6, Late: 2, LateAge: 1e6}))), 0.05, 0.9},
		{"slow successes for a moment", all(overloaded, repeat(2, one(slow))), 0.05, 0.5},
		{"slow successes for good", all(overloaded, repeat(12, one(slow))), 1, 1},
	} {
		b := newBook()
		tt.steps(b)
		if got := b.last.Share; got < tt.least || got > tt.most {
			t.Errorf("%s: share %.3f, want %.2f to %.2f; %+v", tt.rule, got, tt.least, tt.most, b.last)
		}
	}
}

func quietly(seconds int) step { return repeat(seconds, tell(0, 1, quiet)) }

// The verdict on failures after each kind of history.
func TestCircuit(t *testing.T) {
	open := all(repeat(3, tell(0, 20, fine)), repeat(70, tell(0, 20, broken)))
	for _, tt := range []struct {
		rule  string
		steps step
		least float64
		most  float64
	}{
		{"all is well", repeat(9, tell(0, 20, fine)), 1, 1},
		{"all calls fail for a moment", repeat(3, tell(0, 20, broken)), 1, 1},
		{"and for good", repeat(9, tell(0, 20, broken)), 0.03, 0.1},
		{"after a good time", open, 0.03, 0.1},
		{"too few calls", repeat(30, tell(0, 3, health.Report{Asked: 1, Failed: 1, Passed: -1})), 1, 1},
		{"half of the calls fail", repeat(30, tell(0, 20, health.Report{Asked: 10, OK: 5, Failed: 5, Passed: -1})), 1, 1},
		{"99 of 100 fail", repeat(30, tell(0, 20, health.Report{Asked: 100, OK: 1, Failed: 99, Passed: -1})), 1, 1},
		{"one of a hundred succeeds", repeat(30, tell(0, 19, broken), tell(19, 1, up)), 1, 1},
		{"one loud process fails", repeat(60, tell(0, 1, health.Report{Asked: 9000, Failed: 9000, Passed: -1}), tell(1, 9, quiet)), 1, 1},
		{"three loud ones, and a quiet one succeeds", repeat(60, tell(0, 3, health.Report{Asked: 9000, Failed: 9000, Passed: -1}), tell(3, 1, fine)), 1, 1},
		{"failures while it is open prolong nothing", all(open, repeat(30, tell(0, 20, broken)), one(up), one(up), one(up)), 1, 1},
		{"nobody asks any more", all(open, repeat(30, tell(0, 20, quiet))), 1, 1},
		{"no probe has ended", all(open, repeat(3, tell(0, 20, refused))), 0.03, 0.1},
		{"one success", all(open, tell(0, 20, refused), one(up)), 0.25, 0.25},
		{"two in a row", all(open, tell(0, 20, refused), one(up), one(up)), 1, 1},
		{"then failures", all(open, tell(0, 20, refused), one(up), one(broken)), 0.03, 0.1},
	} {
		b := newBook()
		tt.steps(b)
		if got := b.last.Circuit; got < tt.least || got > tt.most {
			t.Errorf("%s: circuit %.3f, want %.2f to %.2f; %+v", tt.rule, got, tt.least, tt.most, b.last)
		}
	}
}

// Whatever one process reports, and however often, it proves nothing while another has
// successes.
func TestOneProcessProvesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	some := func(most float64) float64 { return math.Floor(most * r.Float64()) }
	for range 2000 {
		b := newBook()
		for range 40 {
			b.now += some(300_000)
			b.last = b.Merge(health.Report{
				ID: some(2), Present: 9 * r.Float64(), Calls: some(1e6), Passed: some(2)*some(1e7) - 1,
				Late: some(1e6), LateAge: some(1e6), Asked: some(1e6), Failed: some(1e6),
			}, b.now)
			one(fine)(b)
			if b.last.Share < 1 || b.last.Circuit < 1 {
				t.Fatalf("%+v", b.last)
			}
		}
	}
}

// A clock that went back, and reports that come twice, are no news.
func TestClockAndRepeats(t *testing.T) {
	for _, tt := range []struct {
		what  string
		steps step
	}{
		{"the clock trembles", repeat(50, tell(0, 20, fine), wait(-0.05))},
		{"the clock goes back an hour", all(repeat(5, tell(0, 20, fine)), wait(-3600), repeat(5, tell(0, 20, fine)))},
		{"the clock goes on a year", all(repeat(5, tell(0, 20, fine)), wait(3e7), repeat(5, tell(0, 20, fine)))},
	} {
		b := newBook()
		tt.steps(b)
		if b.last.Share != 1 || b.last.Circuit != 1 || b.last.Calls > 80 || b.last.Instances > 40 {
			t.Errorf("%s: %+v", tt.what, b.last)
		}
	}
	b := newBook()
	repeat(5, tell(0, 20, fine))(b)
	at := b.At
	if b.last = b.Merge(fine, b.now-0.9e6); b.At != at {
		t.Errorf("a clock that trembles takes the time back by %v µs", at-b.At)
	}
	b = newBook()
	all(repeat(5, tell(0, 20, fine)), wait(-3600), repeat(3, tell(0, 20, timeout)))(b)
	if b.last.Share == 1 {
		t.Errorf("after the clock went back no overload is seen: %+v", b.last)
	}
	b = newBook()
	all(repeat(5, tell(0, 20, fine)), wait(1.5))(b)
	for range 5 {
		b.last = b.Merge(timeout, b.now)
	}
	b.now += 0.6e6
	if b.last = b.Merge(timeout, b.now); b.last.Share < 1 {
		t.Errorf("a report that came six times engaged: %+v", b.last)
	}
}

// The newest isolation or release wins, whatever the store remembers.
func TestIsolation(t *testing.T) {
	b := newBook()
	one(health.Report{Passed: -1, Isolate: 60})(b)
	if b.last.Left != 60 {
		t.Fatalf("%v s left, want 60", b.last.Left)
	}
	first := b.last
	wait(20)(b)
	one(fine)(b)
	if math.Abs(b.last.Left-39) > 0.01 {
		t.Errorf("%v s left, want 39", b.last.Left)
	}
	b.State = health.NewState(b.now) // the store lost its memory, and a process tells it
	one(health.Report{Passed: -1, IsolatedAt: first.IsolatedAt, IsolatedUntil: first.IsolatedUntil})(b)
	if math.Abs(b.last.Left-38) > 0.01 {
		t.Errorf("%v s left after the memory was lost, want 38", b.last.Left)
	}
	one(health.Report{Passed: -1, Isolate: -1})(b)
	one(health.Report{Passed: -1, IsolatedAt: first.IsolatedAt, IsolatedUntil: first.IsolatedUntil})(b)
	if b.last.Left != 0 {
		t.Errorf("%v s left after its release, want 0", b.last.Left)
	}
}
