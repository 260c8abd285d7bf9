package fleet

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

// An op is a step of a schedule: something happens to process i, n times or
// for n milliseconds.
type op struct {
	what string
	i, n int
}

// The kinds of ops, each as often as it should be, and those that there are
// besides for a policy with Evidence.
var (
	ops = strings.Fields(`
		deposit deposit deposit deposit withdraw withdraw withdraw pass pass pass pass
		exchange exchange exchange exchange lost-request lost-reply late-reply aborted twice
		crash flush forward back tremble tremble save fail-over refund pause resume`)
	evidenceOps = strings.Fields(`
		unaided unaided unaided unaided later later later
		admitted admitted helped helped helped wasted wasted wasted`)
)

func schedule(seed uint64, length int, ops []string) []op {
	r := rand.New(rand.NewPCG(seed, 99))
	s := make([]op, length)
	for k := range s {
		s[k] = op{ops[r.IntN(len(ops))], r.IntN(3), r.IntN(1 << r.IntN(12))}
	}
	return s
}

// A fashion is which processes of a lab have a policy with Evidence. In the
// mixed one a fleet is about to change over.
type fashion struct {
	name     string
	evidence [3]bool
	ops      []string
}

var fashions = []fashion{
	{"plain", [3]bool{}, ops},
	{"evidence", [3]bool{true, true, true}, slices.Concat(ops, evidenceOps)},
	{"mixed", [3]bool{false, true, true}, slices.Concat(ops, evidenceOps)},
}

// A lab runs a schedule on three processes with two budgets each, and keeps
// its own books of what was earned and spent.
type lab struct {
	fashion
	now       time.Duration
	jumped    float64 // of Redis's clock, in microseconds
	redis     *Memory
	saved     map[string]State
	processes [3]*process
	policy    budget.Policy
	seed      uint64
	mistake   string // to make on purpose

	earned  [2]float64 // by Ratio and by the floor
	repaid  [2]float64 // for retries that succeeded, the interest included
	helped  [2]float64 // retries, each of which brought interest
	alone   [2]float64 // by the floor, in processes that could not reach the fleet
	useless [2]float64 // retries that did not help, or have not yet
	spent   [2]float64
	limit   [2]float64 // the largest pool seen
}

type process struct {
	sync    *syncer
	policy  budget.Policy
	budgets [2]*Budget
	open    [2]int   // retries that were paid for, and of which nothing is known yet
	books   [2]books // of this process alone
}

// books are what an account should show: deposits as a count, the rest in micro-tokens.
type books struct{ deposits, repaid, spent int64 }

func newLab(f fashion, mistake string) *lab {
	l := &lab{fashion: f, mistake: mistake, policy: budget.Policy{Ratio: 0.3, MinPerSecond: 4, Hold: time.Second, Pool: 2 * time.Second}}
	l.redis = NewMemory(func() float64 { return 1e15 + float64(l.now.Microseconds()) + l.jumped })
	for i := range l.processes {
		l.start(i)
	}
	return l
}

func (l *lab) start(i int) {
	l.seed++
	p := &process{sync: newSyncer(testLimits, 1, rand.New(rand.NewPCG(l.seed, 1))), policy: l.policy}
	p.policy.Evidence = l.evidence[i]
	for k := range p.budgets {
		p.budgets[k] = newBudget(fmt.Sprint(k), fmt.Sprint(k), 0, p.policy, p.sync.wake)
		p.sync.join(p.budgets[k])
	}
	l.processes[i] = p
}

// earn is a request that pays for a part of a retry.
func (l *lab) earn(p *process, k int) {
	l.earned[k] += l.policy.Ratio
	p.books[k].deposits++
}

// send is a retry, if it was granted.
func (l *lab) send(p *process, k int, granted bool) {
	if granted {
		p.books[k].spent += token
	}
	if granted || l.mistake == "sends what was refused" {
		p.open[k]++
		l.spent[k]++
		l.useless[k]++
	}
}

// settle says what came of a retry of budget k, if there is one under way.
func (l *lab) settle(p *process, k int, o budget.Outcome) {
	if p.open[k] == 0 {
		return
	}
	p.open[k]--
	account := p.budgets[k].account
	told, worth := o, 0.0
	switch o {
	case budget.Admitted:
		worth = 1
	case budget.Helped:
		worth = 2
		l.helped[k]++
	}
	switch {
	case l.mistake == "pays interest on refusals" && o == budget.Admitted:
		told = budget.Helped
	case l.mistake == "repays what was wasted":
		told = budget.Admitted
	}
	if p.policy.Evidence && worth > 0 {
		l.repaid[k] += worth
		l.useless[k]--
		if b := account.Books(); b.Balance < b.Ceiling {
			p.books[k].repaid += int64(worth) * token
		}
	}
	if l.mistake != "forgets to repay" {
		p.budgets[k].Settle(told)
	}
	switch l.mistake {
	case "settles twice":
		p.budgets[k].Settle(told)
	case "refunds what was settled":
		p.budgets[k].Refund()
	}
}

// do is one step.
func (l *lab) do(o op) {
	p := l.processes[o.i]
	switch o.what {
	case "deposit":
		for n := range o.n % 64 {
			p.budgets[n%2].Deposit()
			if !p.policy.Evidence {
				l.earn(p, n%2)
			} else if l.mistake == "pays for failures" {
				p.budgets[n%2].Settle(budget.Unaided)
			}
		}
	case "unaided":
		for n := range o.n % 64 {
			p.budgets[n%2].Settle(budget.Unaided)
			if p.policy.Evidence {
				l.earn(p, n%2)
			}
		}
	case "withdraw":
		for n := range o.n % 64 {
			l.send(p, n%2, p.budgets[n%2].Withdraw())
		}
	case "later":
		for n := range o.n % 64 {
			l.send(p, n%2, p.budgets[n%2].WithdrawFor(2+n/2%5))
		}
	case "admitted", "helped", "wasted":
		outcome := map[string]budget.Outcome{"admitted": budget.Admitted, "helped": budget.Helped, "wasted": budget.Wasted}[o.what]
		for n := range o.n % 32 {
			l.settle(p, n%2, outcome)
		}
	case "refund":
		if p.open[0] > 0 {
			p.budgets[0].Refund()
			p.open[0]--
			p.books[0].spent -= token
			l.spent[0]--
			l.useless[0]--
		}
	case "pass":
		l.pass(time.Duration(o.n) * time.Millisecond)
	case "crash":
		// Of the retries under way nobody learns what comes of them.
		l.start(o.i)
		if l.mistake == "repays the dead" {
			for range p.open[0] {
				l.processes[o.i].budgets[0].Settle(budget.Helped)
			}
		}
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
			if now := l.redis.kept[fmt.Sprint(k)]; !ok || now.At < was.At && was.At-now.At >= 1e6-300e3 {
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
					l.earned[k] += l.limit[k] + l.policy.MinPerSecond*max(l.redis.now()-s.At, 0)/1e6
				}
			}
			l.redis.kept = maps.Clone(l.saved)
		}
	case "pause", "resume":
		turn := 1.0
		if o.what == "resume" {
			turn = -1
		}
		l.redis.Settle(context.Background(), &Exchange{Keys: []string{"0"}, Asks: []Ask{{Turn: turn}}})
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
	var alone [2]float64
	for k, b := range p.budgets {
		alone[k] = b.ledger.alone
	}
	calls := p.sync.begin(l.now)
	for k, b := range p.budgets {
		l.earned[k] += b.ledger.alone - alone[k]
		l.alone[k] += b.ledger.alone - alone[k]
	}
	for _, c := range calls {
		sent := *c
		if l.mistake == "keeps what it gives" {
			c.takeBack()
		}
		if how == "aborted" { // between the keys: an error, and the first is done
			sent.Keys, sent.Asks = c.Keys[:1], c.Asks[:1]
		}
		var answers []Answer
		if how != "lost-request" {
			answers = l.execute(&sent)
		}
		if how == "twice" && (c.Safe || l.mistake == "repeats credit") {
			answers = l.execute(&sent)
		}
		if how == "exchange" || how == "twice" {
			p.sync.end(c, l.now, answers, nil)
			if l.mistake == "loses what it was granted" && answers[0].Grant > 0 {
				c.budgets[0].account.TakeAbove(0)
			}
			continue
		}
		p.sync.end(c, l.now, nil, errAway)
		if l.mistake == "takes back what was lost" {
			c.takeBack()
		}
		if how == "late-reply" && l.mistake == "takes late answers" {
			for i, a := range answers[:min(len(answers), len(c.budgets))] {
				c.budgets[i].account.Bring(int64(a.Grant) * token)
				c.budgets[i].account.Bring(int64(c.Asks[i].Give))
			}
		}
	}
}

// takeBack puts what a call carried back into the accounts that gave it.
func (c *call) takeBack() {
	for i, b := range c.budgets {
		b.account.Bring(int64(c.Asks[i].Give))
	}
}

func (l *lab) execute(c *call) []Answer {
	before := maps.Clone(l.redis.kept)
	answers, _ := l.redis.Settle(context.Background(), &c.Exchange)
	for i, k := range c.Keys {
		if s := l.redis.kept[k]; l.mistake == "follows the clock" && c.Asks[i].Stock > 0 && s.At == before[k].At {
			s.At = l.redis.now()
			l.redis.kept[k] = s
		}
		b := int(k[0] - '0')
		l.limit[b] = max(l.limit[b], answers[i].Cap)
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
		sum += s.Pool/token + l.policy.MinPerSecond*max((l.redis.now()-s.At)/1e6, 0)
	}
	return sum
}

// excess is by how many retries that did not help, or have not yet, there were
// more than were earned, and than retries that did help.
func (l *lab) excess(k int) float64 { return l.useless[k] - l.earned[k] - l.helped[k] }

// run returns by how much credit and what was spent rose in a step beyond what
// was earned in it, or the excess in any window beyond the credit at its start,
// at worst.
func (l *lab) run(s []op) (beyond float64) {
	var lowest [2]float64 // of all windows; there is no credit at first
	for _, o := range s {
		var before [2]float64
		for k := range before {
			before[k] = l.credit(k) + l.spent[k] - l.earned[k] - l.repaid[k]
			lowest[k] = min(lowest[k], l.credit(k)+l.excess(k))
		}
		l.do(o)
		for k := range before {
			after := l.credit(k) + l.spent[k] - l.earned[k] - l.repaid[k]
			beyond = max(beyond, after-before[k], l.excess(k)-lowest[k])
		}
	}
	return beyond
}

// audit returns what is wrong with the books of the processes: each shows every
// deposit, repayment and retry once, and what it lacks besides went to the
// fleet, or was lost on the way there.
func (l *lab) audit() error {
	mint := int64(math.Round(l.policy.Ratio * token))
	for i, p := range l.processes {
		for k, b := range p.budgets {
			got, want, s := b.account.Books(), p.books[k], b.Stats()
			if got.Requests() != want.deposits || got.Repaid != want.repaid || got.Spent != want.spent {
				return fmt.Errorf("process %d, budget %d: %d deposits, %d repaid, %d spent, want %+v",
					i, k, got.Requests(), got.Repaid, got.Spent, want)
			}
			left := want.deposits*mint - got.Dropped + want.repaid - want.spent
			if elsewhere := s.Granted - s.Given - s.Lost + b.ledger.alone; math.Abs(float64(got.Balance-left)/token-elsewhere) > rounding {
				return fmt.Errorf("process %d, budget %d: a balance of %d where the books leave %d, with %v tokens from elsewhere",
					i, k, got.Balance, left, elsewhere)
			}
		}
	}
	return nil
}
