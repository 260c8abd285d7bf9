package transport

import (
	"slices"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// The rules of decide from the last to the first. Each breaks facts that would
// otherwise be sent again; put on top of all that come before it in this list,
// it must still give its own reason. That pins the order.
var rules = []struct {
	name  string
	apply func(*facts)
	want  StopReason
}{
	{"the breaker stays open past the wait", func(f *facts) { f.openFor = f.wait + 1 }, StopBreakerOpen},
	{"the wait reaches the deadline", func(f *facts) { f.deadline, f.left = true, f.wait }, StopDeadline},
	{"the server asks for too long", func(f *facts) { f.hint = f.maxHint + 1 }, StopRetryAfter},
	{"the body is gone", func(f *facts) { f.replayable = false }, StopBody},
	{"the method is not safe", func(f *facts) { f.safe = false }, StopMethod},
	{"attempts are used up", func(f *facts) { f.attempt = f.max }, StopAttempts},
	{"retries are left to the client upstream", func(f *facts) { f.inbound = StopDisabled }, StopDisabled},
	{"retries are off", func(f *facts) { f.attempt, f.max = 1, 1 }, StopDisabled},
	{"the caller has gone", func(f *facts) { f.ended = StopCancelled }, StopCancelled},
	{"the deadline has passed", func(f *facts) { f.ended = StopDeadline }, StopDeadline},
	{"the server said no", func(f *facts) { f.verdict = headers.DoNotRetry }, StopServerSaidNo},
	{"the answer is final", func(f *facts) { f.class = classFinal }, StopNotRetryable},
	{"the answer is a success", func(f *facts) { f.class = classSuccess }, StopSucceeded},
}

func retryable() facts {
	return facts{
		class: classRetryable, attempt: 1, max: 3, safe: true, replayable: true,
		maxHint: time.Minute, wait: 100 * time.Millisecond,
	}
}

func TestDecideOrder(t *testing.T) {
	f := retryable()
	if got := decide(f); got != "" {
		t.Fatalf("decide(retryable facts) = %q, want another attempt", got)
	}
	for _, rule := range rules {
		alone := retryable()
		rule.apply(&alone)
		if got := decide(alone); got != rule.want {
			t.Errorf("%s, alone: %q, want %q", rule.name, got, rule.want)
		}
		rule.apply(&f)
		if got := decide(f); got != rule.want {
			t.Errorf("%s, with all later rules broken too: %q, want %q", rule.name, got, rule.want)
		}
	}
}

// What the order does not show.
var exceptions = []struct {
	name  string
	apply func(*facts)
	want  StopReason
}{
	{"unsafe but never sent", func(f *facts) { f.safe, f.unsent = false, true }, ""},
	{"the breaker closes within the wait", func(f *facts) { f.openFor = f.wait }, ""},
	{"refused, and closing within the wait", func(f *facts) { f.refused, f.openFor = StopBreakerOpen, f.wait }, ""},
	{"refused for longer", func(f *facts) { f.refused, f.openFor = StopGuard, f.wait+1 }, StopGuard},
	{"refused at the last try", func(f *facts) { f.refused, f.attempt = StopBreakerOpen, 3 }, StopBreakerOpen},
	{"refused with retries off", func(f *facts) { f.refused, f.attempt, f.max = StopGuard, 1, 1 }, StopGuard},
	{"refused for an inbound request that is a retry", func(f *facts) { f.refused, f.inbound = StopGuard, StopDisabled }, StopGuard},
	{"no place among those in flight", func(f *facts) { f.refused, f.max = StopInFlight, 0 }, StopInFlight},
	{"the hint is exactly what is allowed", func(f *facts) { f.hint = f.maxHint }, ""},
	{"the wait ends just before the deadline", func(f *facts) { f.deadline, f.left = true, f.wait+1 }, ""},
	{"an error of the caller's cancellation", func(f *facts) { f.class, f.failed, f.ended = classFinal, true, StopCancelled }, StopCancelled},
	{"a final response although the caller has gone", func(f *facts) { f.class, f.ended = classFinal, StopCancelled }, StopNotRetryable},
	{"the server wants a retry of what is not safe", func(f *facts) { f.verdict, f.unsent, f.safe = headers.Retry, true, false }, ""},
}

func TestDecideExceptions(t *testing.T) {
	for _, tt := range exceptions {
		f := retryable()
		tt.apply(&f)
		if got := decide(f); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A StopReason without a row here has no rule. The budget is asked after all rules.
func TestEveryStopReasonHasARow(t *testing.T) {
	has := map[StopReason]bool{StopBudget: true}
	for _, row := range slices.Concat(rules, exceptions) {
		has[row.want] = true
	}
	for _, reason := range StopReasons() {
		if !has[reason] {
			t.Errorf("no row for %s", reason)
		}
	}
}

func TestCeilingDoublesAndIsCapped(t *testing.T) {
	p := Policy{BaseDelay: 100 * time.Millisecond, MaxDelay: 700 * time.Millisecond}.filled()
	for attempt, want := range map[int]time.Duration{
		1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 3: 400 * time.Millisecond,
		4: 700 * time.Millisecond, 5: 700 * time.Millisecond, 1 << 20: 700 * time.Millisecond,
	} {
		if got := p.ceiling(attempt); got != want {
			t.Errorf("ceiling(%d) = %v, want %v", attempt, got, want)
		}
	}
	huge := Policy{BaseDelay: 1 << 61, MaxDelay: 1<<63 - 1}.filled()
	if got := huge.ceiling(50); got != huge.MaxDelay {
		t.Errorf("ceiling(50) of a huge base = %v, want %v", got, huge.MaxDelay)
	}
}

func TestDelay(t *testing.T) {
	p := Policy{BaseDelay: 100 * time.Millisecond, MaxDelay: time.Second}.filled()
	var least, most time.Duration = time.Hour, 0
	for range 2000 {
		d := p.delay(1, 0, nil, nil)
		least, most = min(least, d), max(most, d)
	}
	if least > 5*time.Millisecond || most < 95*time.Millisecond || most > 100*time.Millisecond {
		t.Errorf("full jitter spans [%v, %v], want nearly [0, 100ms]", least, most)
	}
	for range 2000 {
		// Never before the time asked for, and the jitter stays in proportion.
		if d := p.delay(1, 8*time.Second, nil, nil); d < 8*time.Second || d > 10*time.Second {
			t.Fatalf("with a hint of 8s: %v, want [8s, 10s]", d)
		}
		if d := p.delay(1, time.Millisecond, nil, nil); d < time.Millisecond || d > 200*time.Millisecond {
			t.Fatalf("with a hint of 1ms: %v, want [1ms, 200ms]", d)
		}
	}
}
