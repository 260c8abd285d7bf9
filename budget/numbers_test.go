package budget_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

// Whatever the numbers of a policy, it is kept, or an error names the field.
func TestPolicyNumbers(t *testing.T) {
	const all = 1 << 30
	for _, tt := range []struct {
		policy   budget.Policy
		low, top int // retries of 10 s with a request and a withdrawal each ms
		field    string
	}{
		{policy: budget.Policy{MinPerSecond: math.MaxInt}, field: "MinPerSecond"},
		{policy: budget.Policy{MinPerSecond: math.MaxInt32 * 4}, field: "MinPerSecond"},
		{policy: budget.Policy{MinPerSecond: 1 << 62}, field: "MinPerSecond"},
		{policy: budget.Policy{MinPerSecond: math.Inf(1)}, field: "MinPerSecond"},
		{policy: budget.Policy{MinPerSecond: math.NaN()}, field: "MinPerSecond"},
		{policy: budget.Policy{Ratio: math.MaxFloat64}, field: "Ratio"},
		{policy: budget.Policy{Ratio: math.MaxInt}, field: "Ratio"},
		{policy: budget.Policy{Ratio: 1, Hold: math.MaxInt64}, field: "Hold"},
		{policy: budget.Policy{Ratio: 1, Pool: math.MaxInt64}, field: "Pool"},
		{policy: budget.Policy{Ratio: 1, Pool: math.MinInt64}, field: "Pool"},
		{policy: budget.Policy{MinPerSecond: 1e9}, low: 10_000, top: 10_000},
		{policy: budget.Policy{MinPerSecond: 1e9, Hold: time.Hour, Pool: time.Hour}, low: 10_000, top: 10_000},
		{policy: budget.Policy{Ratio: 100, MinPerSecond: 1e9, Hold: time.Hour, Pool: time.Hour}, low: 10_000, top: 10_000},
		{policy: budget.Policy{Ratio: 100, Hold: time.Hour, Pool: time.Hour}, low: 10_000, top: 10_000},
		{policy: budget.Policy{Ratio: 1, Hold: 1, Pool: 1}, low: 9_000, top: 10_000},
		{policy: budget.Policy{Ratio: 0.5, Hold: 1, Pool: 1}, low: 4_500, top: 5_010},
		{policy: budget.Policy{Ratio: 1e-6}, low: 0, top: 1},
		{policy: budget.Policy{MinPerSecond: 1e-9}, low: 1, top: 3},
		{policy: budget.Policy{MinPerSecond: 50, Hold: time.Hour, Pool: time.Hour}, low: 10_000, top: 10_000},
	} {
		t.Run(fmt.Sprintf("%+v", tt.policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, err := budget.NewLocal(tt.policy)
				if (err != nil) != (tt.field != "") || err != nil && !strings.Contains(err.Error(), "Policy."+tt.field) {
					t.Fatalf("error %v, want one that names %q", err, tt.field)
				}
				if err != nil {
					return
				}
				granted := 0
				for range 10_000 {
					b.Deposit()
					if b.Withdraw() {
						granted++
					}
					s := b.Stats()
					if s.Balance < 0 || s.Ceiling <= 0 || s.Ceiling > all*1e6 || s.Balance > s.Ceiling+100 {
						t.Fatalf("after %d: %+v", granted, s)
					}
					time.Sleep(time.Millisecond)
				}
				if granted < tt.low || granted > tt.top {
					t.Errorf("%d retries, want %d to %d", granted, tt.low, tt.top)
				}
			})
		})
	}
}
