package fleet

import (
	"math"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/internal/account"
)

const token = account.Token

const (
	// ahead is how much more than the demand of one interval is kept or wanted.
	ahead = 1.25
	// failingAt is the demand, per second, from which a budget counts as in use.
	failingAt = 0.25
	// giveEvery is how long credit is collected for a pool that is not full.
	giveEvery = time.Second
	// idleAfter is how long a budget lies still before it counts as unused.
	idleAfter = 10 * time.Second
	// aloneAfter is the same for what a process that cannot reach the fleet keeps.
	aloneAfter = 5 * time.Minute
	// aloneKeeps is how many tokens of the floor such a process saves, at most.
	aloneKeeps = 3
	// emptyFor bounds how far empty answers stretch the interval.
	emptyFor = 2 * time.Second
	// fades is the time that the figures of the fleet are averaged over.
	fades = 10 * time.Second
	// nearlyFull is the part of its cap at which a pool takes no more.
	nearlyFull = 0.95
)

// A ledger decides what one budget says to the fleet, and what it makes of the
// answer. Time is what passed since the fleet was made; nothing here reads a
// clock. Rates are per second.
type ledger struct {
	policy  budget.Policy
	account *account.Account

	seen   account.Books // at the last look
	looked time.Duration
	// requests is the most that the books ever showed: a look may miss some.
	requests int64
	active   time.Duration // when a look last found anything new
	dozes    bool          // out of use and out of reach: the next call ends the account's sleep
	rate     float64       // of requests
	demand   float64       // of withdrawals, the refused ones included

	said      account.Books // what the fleet has taken in
	saidAt    time.Duration
	heard     time.Duration // when the exchange was that the fleet last answered
	speakAt   time.Duration // not before, unless woken
	stretch   int
	wanted    bool // at the last exchange
	last      Answer
	learnt    time.Duration // when the figures of the fleet are known; 0: nobody answered yet
	connected bool
	foreign   bool
	switched  float64 // the newest turn of the switch that is known

	given, granted, lost float64
	alone                float64 // that the floor earned while the fleet was out of reach
	exchanges, failures  int64
}

// look brings the rates up to date, at the end of an interval.
func (l *ledger) look(now, interval time.Duration) {
	books := l.account.Books()
	spent, denied := books.Spent-l.seen.Spent, books.Denied-l.seen.Denied
	requests := max(books.Requests()-l.requests, 0)
	elapsed := (now - l.looked).Seconds()
	if requests != 0 || spent != 0 || denied != 0 || l.dozes && !l.account.Asleep() {
		l.active = now
	}
	// Without a ratio the books show only calls that fail.
	if l.dozes = !l.connected && l.exchanges > 0 && now-l.active > idleAfter; l.dozes {
		l.account.Sleep()
	}
	if elapsed <= 0 {
		return
	}
	l.seen, l.looked = books, now
	l.requests += requests
	l.earnAlone(elapsed)
	weight := -math.Expm1(-elapsed)
	l.rate += (float64(requests)/elapsed - l.rate) * weight
	withdrawn := max(float64(spent)/token+float64(denied), 0)
	l.demand += (withdrawn/elapsed - l.demand) * weight
	// It rises at once, by what cannot be chance: one withdrawal is no rate.
	l.demand = max(l.demand, (withdrawn-math.Sqrt(withdrawn))/max(elapsed, min(interval, time.Second).Seconds()))
	if l.rate < 1e-3 {
		l.rate = 0
	}
	if l.demand < 1e-3 {
		l.demand = 0
	}
}

// earnAlone earns an equal part of the fleet's floor while the fleet is out of reach, if
// the number of its processes is known, and never above what may be kept. The number
// counts budgets in use, so only those earn.
func (l *ledger) earnAlone(seconds float64) {
	if l.connected || l.paused() || !l.known() || l.looked-l.active > idleAfter {
		return
	}
	earned := math.Floor(l.policy.MinPerSecond * seconds / max(l.last.Instances, 1) * token)
	earned = max(min(earned, aloneKeeps*token-float64(l.account.Books().Balance)), 0)
	l.account.Bring(int64(earned))
	l.alone += earned / token
}

// known reports whether the figures of the fleet can be relied on.
func (l *ledger) known() bool { return l.learnt > 0 && l.heard >= l.learnt }

// failing reports whether calls of this process fail enough to matter.
func (l *ledger) failing() bool {
	return l.demand > failingAt || l.account.Books().Denied > l.said.Denied
}

// own is the credit that Hold is worth at the present rate, in tokens.
func (l *ledger) own() float64 { return l.policy.Ratio * l.rate * l.policy.Hold.Seconds() }

// lease is what failing calls need until the next exchange, and no more than
// the fleet may keep in all: a burst that is over would else have one process
// save up beside the pool.
func (l *ledger) lease(interval time.Duration) float64 {
	mean := l.demand * interval.Seconds()
	need := ahead * mean
	if l.policy.Evidence {
		// With room for chance: where retries help, one that is refused for
		// want of a token loses more than the token is worth.
		need = mean + 2*math.Sqrt(mean)
	}
	if l.last.Cap > 0 {
		need = min(need, max(l.last.Cap, 1))
	}
	return need
}

// keep is what this process does not hand to the fleet, in tokens.
func (l *ledger) keep(interval time.Duration) float64 {
	switch {
	case l.paused():
		return 0
	case l.rate == 0 && l.demand == 0:
		return l.spare()
	case l.failing():
		// A token at least: crumbs of one's own must be able to grow to one.
		return max(l.own(), l.lease(interval), 1)
	}
	return max(l.own(), 1)
}

// spare is what a budget out of use keeps for its next failure, when the fleet may be out
// of reach: a token, where the floor soon replaces it and others find one too.
func (l *ledger) spare() float64 {
	if l.policy.MinPerSecond > 0 && l.heard > 0 && l.last.Pool >= max(l.last.Cap/2, 2) {
		return 1
	}
	return 0
}

// full reports whether the pool takes no more.
func (l *ledger) full() bool { return l.last.Pool >= nearlyFull*l.last.Cap }

func (l *ledger) paused() bool { return l.switched > 0 }

// settleCeiling sets up to where deposits count.
func (l *ledger) settleCeiling(interval time.Duration) {
	ceiling := l.policy.Ratio * l.rate * (l.policy.Hold + l.policy.Pool).Seconds()
	if l.connected {
		ceiling = max(l.own(), 1) + l.policy.Ratio
		if !l.full() {
			// What collects until it is given, with room for chance.
			ceiling += l.policy.Ratio * (ahead*l.rate*giveEvery.Seconds() + 3*math.Sqrt(l.rate))
		}
		if l.policy.Evidence {
			// Retries that help are repaid also where the fleet paid for them.
			ceiling = max(ceiling, l.keep(interval))
		}
	}
	l.account.SetCeiling(int64(ceiling * token))
	if !l.connected {
		// Nobody takes what was saved under heavier traffic.
		l.account.Drop(int64(max(ceiling, l.keep(interval), l.least()) * token))
	}
}

// least is what a process on its own may keep without traffic, until the budget is no
// longer in use: the token that it is saving for, and as much of the floor as a local
// budget starts with.
func (l *ledger) least() float64 {
	switch {
	case l.looked-l.active > aloneAfter:
		return 0
	case l.policy.MinPerSecond > 0 && l.known():
		return aloneKeeps
	}
	return 1
}

// prepare looks at the account and returns what to tell the fleet, if there is
// anything. Credit to give has then left the account. interval is the time
// until the next exchange, and quiet how long one may say nothing.
func (l *ledger) prepare(now, interval, quiet time.Duration, woken bool) (a Ask, books account.Books, speak bool) {
	l.look(now, interval)
	// Who could not ask for a while asks for more, so that all get the same
	// share of what they need, however often they ask.
	if l.wanted {
		interval = max(interval, min(now-l.saidAt, emptyFor))
	}
	l.settleCeiling(interval)
	// A little early is early enough, so that jitter does not cost a round.
	if now+interval/4 < l.speakAt && !woken {
		return Ask{}, books, false
	}
	books = l.account.Books()
	balance, denied := float64(books.Balance)/token, books.Denied-l.said.Denied
	keep := l.keep(interval)
	surplus := max(balance-keep, 0)
	if surplus == 0 && l.failing() && !l.paused() && !l.foreign {
		a.Want = max(math.Round(l.lease(interval)-balance), 0)
		if denied > 0 && balance < 1 {
			a.Want = max(a.Want, 1)
		}
	}
	silent := now - l.saidAt
	switch {
	case silent >= quiet, denied > 0, a.Want > 0, !l.connected:
	case surplus >= 1 && !l.full():
	case surplus > 0 && silent >= giveEvery && !l.full():
	default:
		return Ask{}, books, false
	}
	if surplus > 0 && !l.foreign {
		a.Give = float64(l.account.TakeAbove(int64(math.Ceil(keep * token))))
	}
	if l.policy.Ratio > 0 && l.connected && l.spare() > balance && !l.paused() && !l.foreign {
		a.Want = max(a.Want, 1) // for the next failure, when the fleet may be out of reach
	}
	l.report(&a, now, quiet, books)
	return a, books, true
}

// report fills in what happened since the fleet last heard of it. After a long
// silence that is scaled to the time that the fleet counts.
func (l *ledger) report(a *Ask, now, quiet time.Duration, books account.Books) {
	a.Ratio, a.Floor, a.Stock = l.policy.Ratio, l.policy.MinPerSecond, l.policy.Pool.Seconds()
	a.Known = l.switched
	silent := max(now-l.saidAt, 0)
	scale := 1.0
	if silent > 2*quiet {
		scale = (2 * quiet).Seconds() / silent.Seconds()
	}
	a.Present = silent.Seconds() * scale
	a.Requests = float64(max(books.Requests()-l.said.Requests(), 0)) * scale
	a.Spent = max(float64(books.Spent-l.said.Spent)/token, 0) * scale
	a.Denied = float64(books.Denied-l.said.Denied) * scale
}

// apply takes in the answer to a, which was prepared at the time at with books.
// An answer that cannot be true is refused whole.
func (l *ledger) apply(a Ask, r Answer, at time.Duration, books account.Books, limits Limits) bool {
	l.exchanges++
	if r.Foreign || r.Grant > a.Want {
		l.foreign = true
		l.lose(a, at)
		l.speakAt += probeEvery
		return false
	}
	l.foreign, l.connected = false, true
	l.given += a.Give / token
	l.granted += r.Grant
	if r.Grant > 0 {
		l.account.Bring(int64(r.Grant) * token)
	}
	l.learn(r, at)
	l.last, l.said, l.saidAt, l.heard = r, books, at, at
	l.wanted = a.Want > 0
	l.turn(r.Switch)

	interval := limits.interval(r.Instances)
	switch {
	case a.Want > 0 && r.Grant == 0, l.paused():
		l.stretch = min(2*max(l.stretch, 1), 4)
		interval = max(min(interval*time.Duration(l.stretch), emptyFor), interval)
	case a.Want == 0 && l.full() && r.Denied < failingAt && !l.failing():
		l.stretch = 4
		interval = min(4*interval, limits.Max)
	default:
		l.stretch = 1
	}
	l.speakAt = at + interval
	if r.Grant >= a.Want/2 && !l.paused() {
		l.account.Arm()
	}
	l.settleCeiling(interval)
	return true
}

// learn finds out from when on the figures of the fleet are known. They fade by
// a part of e in 10 s, so that if they fall faster Redis has lost its memory.
func (l *ledger) learn(r Answer, at time.Duration) {
	since := max(at-l.heard, 0).Seconds()
	slowest := l.last.Instances * math.Exp(-since/fades.Seconds()) / (1 + since/fades.Seconds())
	if l.learnt == 0 || r.Instances < slowest/2 {
		l.learnt = at + 3*fades
	}
}

// lose writes off what an exchange carried that failed.
func (l *ledger) lose(a Ask, at time.Duration) {
	l.failures++
	l.lost += a.Give / token
	l.connected = false
	l.speakAt = at
}

// turn follows the switch of the fleet.
func (l *ledger) turn(switched float64) (changed bool) {
	if math.Abs(switched) <= math.Abs(l.switched) {
		return false
	}
	was := l.paused()
	l.switched = switched
	l.account.Shut(l.paused())
	return was != l.paused()
}

// unused reports whether nothing is lost by forgetting the budget. A paused one is kept,
// to tell a store that has lost its memory.
func (l *ledger) unused(now time.Duration) bool {
	b, after := l.account.Books(), idleAfter
	if !l.connected {
		after = aloneAfter
	}
	return !l.paused() && now-l.active > after && b.Balance <= int64(l.spare()*token) && b.Denied == l.seen.Denied && b.Spent == l.seen.Spent
}
