package fleet

import "github.com/datapunk/evenkeel/budget"

// maxResting is how many budgets rest at most, of a process that knew more names.
const maxResting = 1024

// A rest is a budget that was forgotten since nobody used it, with what it knows of the
// fleet and the token it keeps: a service that is called a few times in a minute is
// forgotten between its calls, and its next may come when the store is away.
type rest struct {
	budget   *Budget
	switched float64 // the newest turn that it knows
}

// rest keeps a forgotten budget, with its lock and that of the fleet held.
func (f *Fleet) rest(b *Budget) {
	if _, known := f.resting[b.name]; !known && len(f.resting) >= maxResting {
		for other := range f.resting { // any of them
			delete(f.resting, other)
			break
		}
	}
	f.resting[b.name] = rest{b, b.ledger.switched}
}

// rouse returns the budget of that name and policy that rests, or nil. Its first call
// brings it back to the syncer. One that missed a turn of the switch is not used again:
// its lock is taken before that of the fleet, which is held.
func (f *Fleet) rouse(name string, p budget.Policy) *Budget {
	r, ok := f.resting[name]
	delete(f.resting, name)
	if turn, turned := f.switches[name]; !ok || r.budget.ledger.policy != p || turned && turn != r.switched {
		return nil
	}
	delete(f.switches, name)
	return r.budget
}
