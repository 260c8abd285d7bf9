package fleet

import (
	"testing"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

// The figures of the fleet are known once they have been averaged for three
// times as long as they fade, and no longer when they fall faster than that.
func TestFiguresAreLearnt(t *testing.T) {
	const s = time.Second
	b := &Budget{}
	b.ledger.account = newBudget("b", "b", 0, budget.Policy{Ratio: 0.1}, func(*Budget) {}).account
	b.account = b.ledger.account
	for _, tt := range []struct {
		at        time.Duration
		instances float64
		learning  bool
	}{
		{1 * s, 0.8, true},
		{5 * s, 10, true},
		{30 * s, 19, true},
		{31 * s, 19, false},
		{36 * s, 12, false}, // processes leave
		{37 * s, 0.8, true}, // Redis was emptied
		{66 * s, 19, true},
		{67 * s, 19, false},
		{97 * s, 2, false}, // nothing was heard for long
	} {
		b.ledger.learn(Answer{Instances: tt.instances}, tt.at)
		b.ledger.last.Instances, b.ledger.heard = tt.instances, tt.at
		if got := b.Stats().Learning; got != tt.learning {
			t.Errorf("%v processes at %v: learning %v, want %v", tt.instances, tt.at, got, tt.learning)
		}
	}
}
