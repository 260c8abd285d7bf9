package fleet

import (
	"context"
	"fmt"
	"math"
	"time"
)

// maxSwitches bounds for how many budgets that this process has no longer it remembers
// how their switch was turned.
const maxSwitches = 4096

// Turn pauses or resumes the budget of that name, in the whole fleet. If this process
// has the budget, it follows at once, and tells the others with its next exchange if
// this one fails. Turn returns about how many processes share the budget. If this
// process does not have it, and the store knows nothing of it, the error is
// [ErrNoBudget] and nothing has changed.
//
// Each turn has a number, the time in microseconds or one more than the newest that is
// known. The newest wins everywhere.
func (f *Fleet) Turn(ctx context.Context, name string, paused bool) (instances float64, err error) {
	if err := checkName(name); err != nil {
		return 0, err
	}
	if f.isOver() {
		return 0, ErrClosed
	}
	a := Ask{Turn: -1}
	if paused {
		a.Turn = 1
	}
	b := f.find(name)
	if b != nil {
		p := b.ledger.policy
		a.Ratio, a.Floor, a.Stock = p.Ratio, p.MinPerSecond, p.Pool.Seconds()
		a.Known = b.knows()
		f.follow(b, a.Turn*max(math.Abs(a.Known)+1, float64(time.Now().UnixMicro())))
	}
	key, shard := f.store.Place(name, len(f.sync.shards))
	answers, err := f.settle(ctx, &Exchange{Shard: shard, Safe: true, Keys: []string{key}, Asks: []Ask{a}})
	switch {
	case err != nil && b != nil:
		return 0, fmt.Errorf("only this process has followed yet: %w", err)
	case err != nil:
		return 0, err
	case answers[0].Foreign:
		return 0, fmt.Errorf("%s: %w", key, errForeign)
	case answers[0].Missing:
		return 0, ErrNoBudget
	}
	if b != nil {
		f.follow(b, answers[0].Switch)
	} else {
		f.remember(name, answers[0].Switch)
	}
	return answers[0].Instances, nil
}

func (f *Fleet) isOver() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

// follow turns the switch of a budget of this process.
func (f *Fleet) follow(b *Budget, switched float64) {
	if !b.turn(switched) {
		return
	}
	f.mu.Lock()
	f.turns = append(f.turns, b)
	f.mu.Unlock()
	f.nudge()
}

// remember notes the newest turn of a budget that this process does not have.
func (f *Fleet) remember(name string, switched float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noteSwitch(name, switched)
}

// noteSwitch is remember with the lock held.
func (f *Fleet) noteSwitch(name string, switched float64) {
	if math.Abs(switched) <= math.Abs(f.switches[name]) {
		return
	}
	if _, known := f.switches[name]; !known && len(f.switches) >= maxSwitches {
		for other := range f.switches { // any of them
			delete(f.switches, other)
			break
		}
	}
	f.switches[name] = switched
}

// settle is the store's, and returns when ctx is done even if the store does not.
func (f *Fleet) settle(ctx context.Context, x *Exchange) ([]Answer, error) {
	type reply struct {
		answers []Answer
		err     error
	}
	own := *x
	replies := make(chan reply, 1)
	go func() { // ends when the store returns
		answers, err := f.store.Settle(ctx, &own)
		replies <- reply{answers, err}
	}()
	select {
	case r := <-replies:
		x.Resent = own.Resent
		return r.answers, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
