package redisbudget

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

// An op is a step of a schedule: something happens to process i, n times or
// for n milliseconds.
type op struct {
	what string
	i, n int
}

// The kinds of ops, each as often as it should be.
var ops = strings.Fields(`
	deposit deposit deposit deposit withdraw withdraw withdraw pass pass pass pass
	exchange exchange exchange exchange lost-request lost-reply late-reply aborted twice
	crash flush forward back tremble tremble save fail-over refund pause resume`)

func schedule(seed uint64, length int) []op {
	r := rand.New(rand.NewPCG(seed, 99))
	s := make([]op, length)
	for k := range s {
		s[k] = op{ops[r.IntN(len(ops))], r.IntN(3), r.IntN(1 << r.IntN(12))}
	}
	return s
}

// A lab runs a schedule on three processes with two budgets each, and keeps
// its own books of what was earned and spent.
type lab struct {
	now       time.Duration
	jumped    float64 // of Redis's clock, in microseconds
	redis     *model
	saved     map[string]state
	processes [3]*process
	policy    budget.Policy
	seed      uint64
	mistake   string // to make on purpose

	earned, spent [2]float64
	limit         [2]float64 // the largest pool seen
}

type process struct {
	sync    *syncer
	budgets [2]*Shared
	spent   [2]int
}

func newLab(mistake string) *lab {
	l := &lab{mistake: mistake, policy: budget.Policy{Ratio: 0.3, MinPerSecond: 4, Hold: time.Second, Pool: 2 * time.Second}}
	l.redis = newModel(func() float64 { return 1e15 + float64(l.now.Microseconds()) + l.jumped })
	for i := range l.processes {
		l.start(i)
	}
	return l
}

func (l *lab) start(i int) {
	l.seed++
	p := &process{sync: newSyncer(limits{defaultMin, defaultMax, defaultRate}, 1, rand.New(rand.NewPCG(l.seed, 1)))}
	for k := range p.budgets {
		p.budgets[k] = newShared(fmt.Sprint(k), fmt.Sprint(k), 0, l.policy, p.sync.wake)
		p.sync.join(p.budgets[k])
	}
	l.processes[i] = p
}

// do is one step.
func (l *lab) do(o op) {
	p := l.processes[o.i]
	switch o.what {
	case "deposit":
		for n := range o.n % 64 {
			p.budgets[n%2].Deposit()
			l.earned[n%2] += l.policy.Ratio
		}
	case "withdraw":
		for n := range o.n % 64 {
			if p.budgets[n%2].Withdraw() {
				p.spent[n%2]++
				l.spent[n%2]++
			}
		}
	case "refund":
		if p.spent[0] > 0 {
			p.budgets[0].Refund()
			p.spent[0]--
			l.spent[0]--
		}
	case "pass":
		l.pass(time.Duration(o.n) * time.Millisecond)
	case "crash":
		l.start(o.i)
	case "flush":
		clear(l.redis.kept)
	case "forward":
		l.jumped += float64(o.n) * 1000
		l.earnEach(l.policy.MinPerSecond * float64(o.n) / 1000)
	case "back":
		l.jumped -= float64(o.n) * 1000
	case "tremble": // back, seen by a call, and forward again
		ms, before := float64(o.n%1000), maps.Clone(l.redis.kept)
		l.jumped -= ms * 1000
		l.exchange(p, "exchange")
		l.jumped += ms * 1000
		for k := range l.earned {
			was, ok := before[fmt.Sprint(k)]
			if now := l.redis.kept[fmt.Sprint(k)]; !ok || now.at < was.at && was.at-now.at >= 1e6-300e3 {
				// A budget that was made meanwhile, or that took the clock
				// to have gone back for good, sees it jump.
				l.earned[k] += l.policy.MinPerSecond * ms / 1000
			}
		}
	case "save":
		l.saved = maps.Clone(l.redis.kept)
	case "fail-over":
		if l.saved != nil {
			for k := range l.earned {
				// And what the floor earns of the time since the copy.
				if s, ok := l.saved[fmt.Sprint(k)]; ok {
					l.earned[k] += l.limit[k] + l.policy.MinPerSecond*max(l.redis.now()-s.at, 0)/1e6
				}
			}
			l.redis.kept = maps.Clone(l.saved)
		}
	case "pause", "resume":
		turn := 1.0
		if o.what == "resume" {
			turn = -1
		}
		l.redis.settle(context.Background(), &call{keys: []string{"0"}, asks: []ask{{turn: turn}}})
	default:
		l.exchange(p, o.what)
	}
}

func (l *lab) pass(d time.Duration) {
	l.now += d
	l.earnEach(l.policy.MinPerSecond * d.Seconds())
}

func (l *lab) earnEach(tokens float64) {
	for k := range l.earned {
		l.earned[k] += tokens
	}
}

// exchange makes the calls that are due, which fare as how says.
func (l *lab) exchange(p *process, how string) {
	l.pass(time.Duration(150) * time.Millisecond)
	for _, c := range p.sync.begin(l.now) {
		sent := *c
		if how == "aborted" { // between the keys: an error, and the first is done
			sent.keys, sent.asks = c.keys[:1], c.asks[:1]
		}
		var answers []answer
		if how != "lost-request" {
			answers = l.execute(&sent)
		}
		if how == "twice" && (c.safe || l.mistake == "repeats credit") {
			answers = l.execute(&sent)
		}
		if how == "exchange" || how == "twice" {
			p.sync.end(c, l.now, answers, nil)
			continue
		}
		p.sync.end(c, l.now, nil, errAway)
		if how == "late-reply" && l.mistake == "takes late answers" {
			for i, a := range answers[:min(len(answers), len(c.budgets))] {
				c.budgets[i].account.Bring(int64(a.grant) * token)
				c.budgets[i].account.Bring(int64(c.asks[i].give))
			}
		}
	}
}

func (l *lab) execute(c *call) []answer {
	before := maps.Clone(l.redis.kept)
	answers, _ := l.redis.settle(context.Background(), c)
	for i, k := range c.keys {
		if s := l.redis.kept[k]; l.mistake == "follows the clock" && c.asks[i].stock > 0 && s.at == before[k].at {
			s.at = l.redis.now()
			l.redis.kept[k] = s
		}
		b := int(k[0] - '0')
		l.limit[b] = max(l.limit[b], answers[i].limit)
	}
	return answers
}

// credit is all that could be spent of a budget: what the processes hold, the
// pool, and what the floor has earned since it was last asked.
func (l *lab) credit(k int) float64 {
	sum := 0.0
	for _, p := range l.processes {
		sum += float64(p.budgets[k].account.Books().Balance) / token
	}
	if s, ok := l.redis.kept[fmt.Sprint(k)]; ok {
		sum += s.pool/token + l.policy.MinPerSecond*max((l.redis.now()-s.at)/1e6, 0)
	}
	return sum
}

// run returns by how much credit and what was spent rose in a step beyond what
// was earned in it, at worst.
func (l *lab) run(s []op) (beyond float64) {
	for _, o := range s {
		var before [2]float64
		for k := range before {
			before[k] = l.credit(k) + l.spent[k] - l.earned[k]
		}
		l.do(o)
		for k := range before {
			beyond = max(beyond, l.credit(k)+l.spent[k]-l.earned[k]-before[k])
		}
	}
	return beyond
}

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
func TestConservation(t *testing.T) {
	for seed := range uint64(steps(200, 5000)) {
		s := schedule(seed, 400)
		if beyond := newLab("").run(s); beyond > rounding {
			s = shrink(s, func(s []op) bool { return newLab("").run(s) > rounding })
			t.Fatalf("seed %d: %v tokens from nothing, by\n%v", seed, beyond, s)
		}
	}
}

// Each way to break the promise is found, and shrunk to what breaks it.
func TestConservationFindsMistakes(t *testing.T) {
	for mistake, most := range map[string]int{"repeats credit": 15, "takes late answers": 15, "follows the clock": 8} {
		breaks := func(s []op) bool { return newLab(mistake).run(s) > rounding }
		for seed := uint64(0); ; seed++ {
			if seed == 500 {
				t.Errorf("%s: not found in %d schedules", mistake, seed)
				break
			}
			if s := schedule(seed, 400); breaks(s) {
				s = shrink(s, breaks)
				t.Logf("%s, seed %d: %v", mistake, seed, s)
				if len(s) > most {
					t.Errorf("%s: %d steps are left, want at most %d", mistake, len(s), most)
				}
				break
			}
		}
	}
}

// Most of what is earned can be spent: the books above would also agree with a
// budget that gave nothing.
func TestConservationIsTight(t *testing.T) {
	l := newLab("")
	for n := range 400 {
		l.do(op{"deposit", n % 3, 40})
		l.do(op{"withdraw", (n + 1) % 3, 63})
		l.do(op{"exchange", n % 3, 0})
	}
	if l.spent[0] < 0.9*l.earned[0] {
		t.Errorf("%.1f of %.1f tokens could be spent", l.spent[0], l.earned[0])
	}
}

// A clock that jumps a day ahead earns the floor of Pool, not of a day, and one
// that jumps back earns nothing.
func TestClockJumpEarnsAtMostAPool(t *testing.T) {
	now := 1e15
	m := newModel(func() float64 { return now })
	pool := func() float64 {
		a := ask{floor: 10, ratio: 1, stock: 2, requests: 1e6, draw: 0.5}
		answers, _ := m.settle(context.Background(), &call{keys: []string{"k"}, asks: []ask{a}})
		return answers[0].pool
	}
	for _, tt := range []struct{ jump, want float64 }{{0, 0}, {86400e6, 20}, {-86400e6, 20}, {100e3, 21}, {-900e3, 21}, {900e3, 21}} {
		now += tt.jump
		if got := pool(); got < tt.want-1e-6 || got > tt.want+1e-6 {
			t.Errorf("after a jump of %v us the pool is %v, want %v", tt.jump, got, tt.want)
		}
	}
}
