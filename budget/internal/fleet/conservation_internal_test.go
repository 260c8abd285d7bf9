package fleet

import (
	"context"
	"slices"
	"testing"
)

const rounding = 1e-6

// shrink returns a schedule that still breaks the promise and of which nothing
// can be left out.
func shrink(s []op, breaks func([]op) bool) []op {
	for size := len(s) / 2; size > 0; {
		shorter := false
		for at := 0; at+size <= len(s); {
			if t := slices.Delete(slices.Clone(s), at, at+size); breaks(t) {
				s, shorter = t, true
			} else {
				at += size
			}
		}
		if !shorter || size > len(s) {
			size /= 2
		}
	}
	return s
}

// However requests, failures, lost and late and repeated messages, crashes,
// clocks and failovers interleave, never is a token spent that was not earned.
// With Evidence, never is one earned but by a first attempt that succeeded, by
// the floor, or once by a retry that did.
func TestConservation(t *testing.T) {
	for _, f := range fashions {
		t.Run(f.name, func(t *testing.T) {
			for seed := range uint64(steps(200, 5000)) {
				s, l := schedule(seed, 400, f.ops), newLab(f, "")
				if beyond := l.run(s); beyond > rounding {
					s = shrink(s, func(s []op) bool { return newLab(f, "").run(s) > rounding })
					t.Fatalf("seed %d: %v tokens from nothing, by\n%v", seed, beyond, s)
				}
				if err := l.audit(); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		})
	}
}

// Each way to break the promise is found, and shrunk to what breaks it.
func TestConservationFindsMistakes(t *testing.T) {
	plain, evidence := fashions[0], fashions[1]
	for _, tt := range []struct {
		mistake string
		fashion fashion
		most    int
	}{
		{"repeats credit", plain, 15},
		{"takes late answers", plain, 15},
		{"follows the clock", plain, 8},
		{"keeps what it gives", plain, 15},
		{"takes back what was lost", plain, 15},
		{"repeats credit", evidence, 15},
		{"takes late answers", evidence, 15},
		{"keeps what it gives", evidence, 15},
		{"takes back what was lost", evidence, 15},
		{"settles twice", evidence, 15},
		{"refunds what was settled", evidence, 15},
		{"pays interest on refusals", evidence, 15},
		{"repays what was wasted", evidence, 15},
		{"repays the dead", evidence, 15},
		{"pays for failures", evidence, 15},
		{"sends what was refused", evidence, 15},
	} {
		breaks := func(s []op) bool { return newLab(tt.fashion, tt.mistake).run(s) > rounding }
		for seed := uint64(0); ; seed++ {
			if seed == 500 {
				t.Errorf("%s: not found in %d schedules", tt.mistake, seed)
				break
			}
			if s := schedule(seed, 400, tt.fashion.ops); breaks(s) {
				s = shrink(s, breaks)
				t.Logf("%s, seed %d: %v", tt.mistake, seed, s)
				if len(s) > tt.most {
					t.Errorf("%s: %d steps are left, want at most %d", tt.mistake, len(s), tt.most)
				}
				break
			}
		}
	}
}

// Nor is a token lost that a process does not know of.
func TestAuditFindsLosses(t *testing.T) {
	for _, mistake := range []string{"forgets to repay", "loses what it was granted"} {
		l := newLab(fashions[1], mistake)
		l.run(schedule(1, 400, fashions[1].ops))
		if err := l.audit(); err == nil {
			t.Errorf("%s: the books agree", mistake)
		} else {
			t.Logf("%s: %v", mistake, err)
		}
	}
}

// Most of what is earned can be spent: the books above would also agree with a
// budget that gave nothing.
func TestConservationIsTight(t *testing.T) {
	l := newLab(fashions[0], "")
	for n := range 400 {
		l.do(op{"deposit", n % 3, 40})
		l.do(op{"withdraw", (n + 1) % 3, 63})
		l.do(op{"exchange", n % 3, 0})
	}
	if l.spent[0] < 0.9*l.earned[0] {
		t.Errorf("%.1f of %.1f tokens could be spent", l.spent[0], l.earned[0])
	}
}

// With Evidence, what retries that help bring in one process can be spent where
// others fail, the interest too.
func TestConservationIsTightWithEvidence(t *testing.T) {
	l := newLab(fashions[1], "")
	for range 600 {
		l.do(op{"unaided", 0, 20})
		l.do(op{"withdraw", 0, 4})
		l.do(op{"helped", 0, 31})
		for i := range l.processes {
			l.do(op{"exchange", i, 0})
		}
		for i := range 2 {
			l.do(op{"withdraw", i + 1, 63})
			l.do(op{"wasted", i + 1, 31})
		}
	}
	if err := l.audit(); err != nil {
		t.Fatal(err)
	}
	earned, bound := l.earned[0], l.earned[0]+l.helped[0]
	t.Logf("%.0f retries did not help, of %.0f earned and %.0f of interest", l.useless[0], earned, l.helped[0])
	if l.useless[0] < 0.8*bound || l.useless[0] < 1.1*earned {
		t.Errorf("%.1f retries that did not help could be sent, want nearly the %.1f of the bound, and more than the %.1f without interest", l.useless[0], bound, earned)
	}
}

// A clock that jumps a day ahead earns the floor of Pool, not of a day, and one
// that jumps back earns nothing.
func TestClockJumpEarnsAtMostAPool(t *testing.T) {
	now := 1e15
	m := NewMemory(func() float64 { return now })
	pool := func() float64 {
		a := Ask{Floor: 10, Ratio: 1, Stock: 2, Requests: 1e6, Draw: 0.5}
		answers, _ := m.Settle(context.Background(), &Exchange{Keys: []string{"k"}, Asks: []Ask{a}})
		return answers[0].Pool
	}
	for _, tt := range []struct{ jump, want float64 }{{0, 0}, {86400e6, 20}, {-86400e6, 20}, {100e3, 21}, {-900e3, 21}, {900e3, 21}} {
		now += tt.jump
		if got := pool(); got < tt.want-1e-6 || got > tt.want+1e-6 {
			t.Errorf("after a jump of %v us the pool is %v, want %v", tt.jump, got, tt.want)
		}
	}
}
