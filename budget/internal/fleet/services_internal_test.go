package fleet

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers/service"
)

func TestPerServiceIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := wallMemory()
		f := join(t, m)
		of := mustPerService(t, f, budget.Policy{Ratio: 1}, 3)
		seen := map[*Budget]string{}
		for i := range 3 {
			b := of(fmt.Sprint("tenant-", i))
			if other, ok := seen[b]; ok {
				t.Errorf("tenant-%d has the budget of %s", i, other)
			}
			seen[b] = fmt.Sprint("tenant-", i)
		}
		spare := of("tenant-3")
		for _, name := range []string{"tenant-4", "", service.Others, strings.Repeat("x", MaxName+1)} {
			if of(name) != spare || seen[spare] != "" {
				t.Errorf("%.10q does not share the budget of the others", name)
			}
		}
		if a, b := of("tenant-1"), of("tenant-1"); a != b {
			t.Error("two budgets for one tenant")
		}
		time.Sleep(time.Second)
		held := of("tenant-0")
		held.Deposit() // one token
		if s := f.Stats("tenant-0"); s.Requests != 1 || s.Balance != 1 {
			t.Errorf("%+v", s)
		}
		n := 0
		for name := range f.All() {
			n++
			if name == "" {
				t.Error("a budget without a name")
			}
		}
		if n != 4 {
			t.Errorf("All returned %d budgets, want 3 and that of the others", n)
		}

		// Out of use, they hand back what they hold and make room.
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if s := f.Stats("tenant-0"); s.Requests != 0 {
			t.Errorf("still there: %+v", s)
		}
		if pool := m.kept["tenant-0"].Pool; pool != token {
			t.Errorf("the pool has %v, want the token that was held", pool)
		}
		if of("tenant-3") == spare {
			t.Error("no room after the others went out of use")
		}
		// Who held on to one can go on using it, and it is shared again.
		if held.Withdraw() {
			t.Error("what was handed back was spent too")
		}
		time.Sleep(50 * time.Millisecond)
		if !held.Withdraw() {
			t.Error("the pool's token did not come back to one that was forgotten")
		}
	})
}

// A budget made by name is the one that PerService finds, and is kept.
func TestPerServiceFindsBudgetsOfTheirOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := join(t, wallMemory())
		strict := mustBudget(t, f, "payments", budget.Policy{Ratio: 0.01})
		of := mustPerService(t, f, budget.Policy{Ratio: 0.2}, 2)
		if of("payments") != strict {
			t.Error("PerService made another budget")
		}
		api := of("api")
		if b := mustBudget(t, f, "api", budget.Policy{Ratio: 0.2}); b != api {
			t.Error("Budget made another budget")
		}
		if _, err := f.Budget("api", budget.Policy{Ratio: 0.3}); err == nil || !strings.Contains(err.Error(), "Ratio:0.2") {
			t.Errorf("another policy for the same name: %v", err)
		}
		time.Sleep(time.Minute)
		if of("api") != api {
			t.Error("a budget that was asked for by name was forgotten")
		}
	})
}

func TestPerServiceNamesWhatIsWrong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := join(t, wallMemory())
		_, err := f.Per("", budget.Policy{Ratio: -1, Hold: -1}, 0)
		for _, want := range []string{"room for 0 names", "Policy.Ratio -1", "Policy.Hold -1ns"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v lacks %q", err, want)
			}
		}
	})
}

// A retry needs a token of the service and one of the tenant; if the tenant
// has none, the service's is not spent.
func TestQuotaOfServiceAndTenant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := join(t, wallMemory())
		service := mustBudget(t, f, "service", budget.Policy{MinPerSecond: 100})
		tenants := mustPerService(t, f, budget.Policy{MinPerSecond: 5}, 100)
		noisy, calm := budget.All(service, tenants("noisy")), budget.All(service, tenants("calm"))
		granted := map[string]int{}
		started := time.Now()
		for time.Since(started) < 20*time.Second {
			for range 20 {
				if noisy.Withdraw() {
					granted["noisy"]++
				}
			}
			ok := calm.Withdraw()
			time.Sleep(50 * time.Millisecond)
			if ok || calm.Withdraw() {
				granted["calm"]++
			}
			time.Sleep(450 * time.Millisecond)
		}
		if n := granted["noisy"]; n < 85 || n > 106 {
			t.Errorf("a quota of 5 per second gave %d in 20 s", n)
		}
		if n := granted["calm"]; n < 20 {
			t.Errorf("the calm tenant got %d of 40", n)
		}
		if s := service.Stats(); s.Spent != float64(granted["noisy"]+granted["calm"]) {
			t.Errorf("the service spent %v for %v", s.Spent, granted)
		}
	})
}

// A process with thousands of budgets puts many in a call, in time for all.
func TestManyBudgetsShareCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var calls, budgets, most int
		f := joinAs(t, wallMemory(), 1, hooks{exchanged: func(r Result) {
			calls++
			budgets += r.Budgets
			most = max(most, r.Budgets)
		}})
		of := mustPerService(t, f, budget.Policy{Ratio: 0.5}, 10_000)
		for i := range 1000 {
			of(fmt.Sprint(i)).Deposit()
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if most != maxKeys || budgets < 1000 || calls > budgets/maxKeys+5 {
			t.Errorf("%d budgets in %d calls, at most %d in one", budgets, calls, most)
		}
		for name, s := range f.All() {
			if !s.Connected {
				t.Fatalf("%s was not shared within 3 s", name)
			}
		}
	})
}

func TestKindsOfNames(t *testing.T) {
	for _, tt := range []struct{ kind, short, name string }{
		{"", "api", "api"},
		{"tenant", "api", "tenant~api"},
		{"tenant", "a~b", "tenant~a~b"},
		{"", "a~b", "~a~b"}, // or it would be b of the kind a
		{"", "~", "~~"},
		{"tenant", "", "tenant~"},
	} {
		if got := JoinKind(tt.kind, tt.short); got != tt.name {
			t.Errorf("JoinKind(%q, %q) = %q, want %q", tt.kind, tt.short, got, tt.name)
		}
		if kind, short := CutKind(tt.name); kind != tt.kind || short != tt.short {
			t.Errorf("CutKind(%q) = %q, %q, want %q, %q", tt.name, kind, short, tt.kind, tt.short)
		}
	}
}

// A tenant and a service of one name have a budget each, also where there is no room.
func TestKindsHaveBudgetsOfTheirOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := join(t, wallMemory())
		services := mustPerService(t, f, budget.Policy{MinPerSecond: 1000}, 2)
		tenants, err := f.Per("tenant", budget.Policy{MinPerSecond: 1}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := services("api"), tenants("api"); a == b || a.Name() != "api" || b.Name() != "tenant~api" {
			t.Errorf("the budgets %q and %q, want api and tenant~api", a.Name(), b.Name())
		}
		if a, b := services("tenant~api"), tenants("api"); a == b || a.Key() == b.Key() {
			t.Errorf("a service and a tenant share the budget %q", a.Name())
		}
		if a, b := services("more"), tenants("more"); a == b || a.Name() == b.Name() || services("and more") != a || tenants("and more") != b {
			t.Errorf("the budgets %q and %q of those without room", a.Name(), b.Name())
		}
		if b, err := f.Budget("tenant~api", budget.Policy{MinPerSecond: 1}); err != nil || b != tenants("api") {
			t.Errorf("Budget returns %v and error %v, want that of the tenant", b, err)
		}
		// A set that has a budget made by name keeps to it.
		again, err := f.Per("tenant", budget.Policy{MinPerSecond: 1}, 1)
		if err != nil || again("api") != tenants("api") {
			t.Errorf("a second set of tenants has budgets of its own, error %v", err)
		}
		for _, tt := range []struct {
			kind   string
			policy budget.Policy
			limit  int
		}{
			{"tenant", budget.Policy{MinPerSecond: 2}, 1},
			{"tenant", budget.Policy{MinPerSecond: 1}, 2},
			{"ten~ant", budget.Policy{MinPerSecond: 1}, 1},
			{strings.Repeat("k", 65), budget.Policy{MinPerSecond: 1}, 1},
		} {
			if _, err := f.Per(tt.kind, tt.policy, tt.limit); err == nil {
				t.Errorf("Per(%.80q, %+v, %d): no error", tt.kind, tt.policy, tt.limit)
			}
		}
	})
}
