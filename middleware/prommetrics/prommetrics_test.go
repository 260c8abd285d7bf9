package prommetrics_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/prommetrics"
	"github.com/datapunk/evenkeel/transport"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func build(t testing.TB, opts ...prommetrics.Option) (*prommetrics.Metrics, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	m, err := prommetrics.New(reg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return m, reg
}

// samples are the counters, gauges, and the counts and sums of histograms, by
// name{values of labels}, where the labels are in the order of their names.
func samples(t testing.TB, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			key := strings.TrimPrefix(f.GetName(), "evenkeel_")
			if len(values) > 0 {
				key += "{" + strings.Join(values, ",") + "}"
			}
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				got[key] = m.GetCounter().GetValue()
			case dto.MetricType_GAUGE:
				got[key] = m.GetGauge().GetValue()
			case dto.MetricType_HISTOGRAM:
				got[key+" count"] = float64(m.GetHistogram().GetSampleCount())
				got[key+" sum"] = m.GetHistogram().GetSampleSum()
			}
		}
	}
	return got
}

// check compares the samples that are not 0, except those whose name begins
// with skip.
func check(t *testing.T, g prometheus.Gatherer, want map[string]float64, skip string) {
	t.Helper()
	got := samples(t, g)
	maps.DeleteFunc(got, func(name string, v float64) bool {
		return v == 0 || skip != "" && strings.HasPrefix(name, skip)
	})
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if got[name] != want[name] {
			t.Errorf("%s is %v, want %v", name, got[name], want[name])
		}
	}
	for name, v := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is not there, want %v", name, v)
		}
	}
}

type refusal struct{ error }

func (refusal) RefusedFor() time.Duration { return time.Second }

type timeout struct{ error }

func (timeout) Timeout() bool { return true }

func TestAttempts(t *testing.T) {
	m, reg := build(t)
	broken := errors.New("connection reset")
	for _, a := range []struct {
		n, status int
		err       error
		after     int
		afterErr  error
	}{
		{1, 503, nil, 0, nil},
		{2, 0, timeout{broken}, 503, nil},
		{3, 0, broken, 0, timeout{broken}},
		{4, 429, nil, 0, broken},
		{5, 500, nil, 429, nil},
		{6, 0, context.Canceled, 500, nil},
		{2, 404, nil, 408, nil},
		{2, 200, nil, 0, refusal{broken}},
	} {
		m.Client().OnAttempt(t.Context(), transport.AttemptEvent{
			Service: "users", Attempt: a.n, Status: a.status, Err: a.err, Duration: time.Second,
			Waited: time.Duration(a.n-1) * time.Second, AfterStatus: a.after, AfterErr: a.afterErr,
		})
	}
	m.Client().OnAttempt(t.Context(), transport.AttemptEvent{
		Service: "users", Attempt: 2, Hedge: true, Status: 101, Duration: time.Second, Waited: time.Second,
	})
	check(t, reg, map[string]float64{
		"client_attempts_total{1,unavailable,users}":   1,
		"client_attempts_total{2,timeout,users}":       1,
		"client_attempts_total{3,error,users}":         1,
		"client_attempts_total{4+,throttled,users}":    1,
		"client_attempts_total{4+,server_error,users}": 1,
		"client_attempts_total{4+,cancelled,users}":    1,
		"client_attempts_total{2,client_error,users}":  1,
		"client_attempts_total{2,success,users}":       2,
		"client_retries_total{unavailable,users}":      1,
		"client_retries_total{timeout,users}":          1,
		"client_retries_total{error,users}":            1,
		"client_retries_total{throttled,users}":        1,
		"client_retries_total{server_error,users}":     1,
		"client_retries_total{client_error,users}":     1,
		"client_retries_total{hedge,users}":            1,
		"client_retries_total{refused,users}":          1,
		"client_attempt_duration_seconds{users} count": 9,
		"client_attempt_duration_seconds{users} sum":   9,
		"client_retry_wait_seconds{users} count":       8,
		"client_retry_wait_seconds{users} sum":         1 + 2 + 3 + 4 + 5 + 1 + 1 + 1,
	}, "")
}

func TestCalls(t *testing.T) {
	m, reg := build(t)
	for _, c := range []transport.Call{
		{Attempts: 6, Stop: transport.StopCancelled, Elapsed: 16 * time.Second},
		{Attempts: 0, Stop: transport.StopBreakerOpen},
		{Attempts: 1, Stop: transport.StopDisabled, WouldRetry: true},
		{Attempts: 1, Stop: transport.StopSucceeded, Waited: 5 * time.Second, Paused: 3 * time.Second},
		{Attempts: 1, Stop: "news"},
	} {
		c.Service = "users"
		m.Client().OnCall(t.Context(), c)
	}
	m.Client().OnCall(t.Context(), transport.Call{Attempts: 1, Stop: transport.StopSucceeded}) // of Do
	check(t, reg, map[string]float64{
		"client_calls_total{users,cancelled}":                  1,
		"client_calls_total{users,breaker_open}":               1,
		"client_calls_total{users,disabled}":                   1,
		"client_calls_total{users,other}":                      1,
		"client_calls_total{(other services),succeeded}":       1,
		"client_calls_total{users,succeeded}":                  1,
		"client_would_retry_total{users}":                      1,
		"client_paused_seconds_total{users}":                   3,
		"client_call_attempts{users} sum":                      9,
		"client_call_attempts{users} count":                    5,
		"client_call_attempts{(other services)} sum":           1,
		"client_call_attempts{(other services)} count":         1,
		"client_call_duration_seconds{users} sum":              16,
		"client_call_duration_seconds{users} count":            5,
		"client_call_duration_seconds{(other services)} count": 1,
	}, "")
}

func TestServer(t *testing.T) {
	m, reg := build(t)
	for _, e := range []middleware.Event{
		{Status: 200, Attempt: 1, Duration: 2 * time.Second, QueueWait: time.Second},
		{Status: 200, Attempt: 2, Duration: time.Second},
		{Status: 404},
		{Status: 503},
		{Status: 500, Panicked: true},
		{Hijacked: true},
		{Status: 503, Shed: middleware.ShedConcurrency, Attempt: 3, QueueWait: time.Second},
		{Status: 504, Shed: middleware.ShedExpired},
		{Status: 200, Shed: middleware.ShedExpired, DryRun: true},
		{Status: 503, Shed: "a reason to come"},
		{Status: 200, Duration: 4 * time.Second, Streamed: 3 * time.Second},
		{Status: 200, Gone: true},
		{Status: 200, Aborted: true},
		{Status: 504, Expired: true},
	} {
		m.Server().OnRequest(t.Context(), e)
	}
	m.Server().OnNew(func() middleware.Load { return middleware.Load{InFlight: 3, Limit: 8} })
	m.Server().OnNew(func() middleware.Load { return middleware.Load{InFlight: 4} })
	check(t, reg, map[string]float64{
		"server_requests_total{success}":        4,
		"server_requests_total{cancelled}":      1,
		"server_requests_total{aborted}":        1,
		"server_requests_total{timeout}":        1,
		"server_requests_total{client_error}":   1,
		"server_requests_total{unavailable}":    1,
		"server_requests_total{panicked}":       1,
		"server_requests_total{hijacked}":       1,
		"server_requests_total{shed}":           3,
		"server_shed_total{concurrency}":        1,
		"server_shed_total{expired}":            1,
		"server_shed_total{a reason to come}":   1,
		"server_would_shed_total{expired}":      1,
		"server_retries_total{admitted}":        1,
		"server_retries_total{shed}":            1,
		"server_request_duration_seconds count": 11,
		"server_request_duration_seconds sum":   4,
		"server_queue_wait_seconds count":       14,
		"server_queue_wait_seconds sum":         2,
		"server_in_flight_requests":             7,
		"server_limit_requests":                 8,
	}, "")
}

func TestShedReasonsAreBounded(t *testing.T) {
	m, reg := build(t)
	for i := range 1000 {
		m.Server().OnRequest(t.Context(), middleware.Event{Shed: middleware.ShedReason(fmt.Sprint("reason", i))})
	}
	series, total := 0, 0.0
	for name, v := range samples(t, reg) {
		if strings.HasPrefix(name, "server_shed_total") {
			series++
			total += v
		}
	}
	if series != 33 || total != 1000 {
		t.Errorf("%d series with %v in all, want 32 and other with 1000", series, total)
	}
}

func TestBreakers(t *testing.T) {
	m, reg := build(t, prommetrics.WithMaxServices(2))
	set := func(states map[string]breaker.State) func() iter.Seq2[string, breaker.State] {
		return func() iter.Seq2[string, breaker.State] { return maps.All(states) }
	}
	m.Breaker().OnStateChange(breaker.StateChange{Service: "users", From: breaker.StateClosed, To: breaker.StateOpen})
	m.Breaker().OnStateChange(breaker.StateChange{Service: "orders", From: breaker.StateOpen, To: breaker.StateHalfOpen})
	m.Breaker().OnStateChange(breaker.StateChange{Service: "(other services)", From: breaker.StateHalfOpen, To: breaker.StateClosed})
	remove := m.Breakers(set(map[string]breaker.State{"users": breaker.StateOpen, "orders": breaker.StateClosed}))
	m.Breakers(set(map[string]breaker.State{"users": breaker.StateHalfOpen, "a": breaker.StateOpen, "b": breaker.StateOpen}))
	check(t, reg, map[string]float64{
		"breaker_transitions_total{closed,users,open}":                 1,
		"breaker_transitions_total{open,orders,half-open}":             1,
		"breaker_transitions_total{half-open,(other services),closed}": 1,
		"breaker_state{users,open}":                                    1,
		"breaker_state{users,half-open}":                               1,
		"breaker_state{orders,closed}":                                 1,
		"breaker_state{(other services),open}":                         2,
	}, "")
	remove()
	remove() // once is enough
	check(t, reg, map[string]float64{
		"breaker_state{users,half-open}":       1,
		"breaker_state{(other services),open}": 2,
	}, "breaker_transitions_total")
}

func TestBudgets(t *testing.T) {
	m, reg := build(t, prommetrics.WithMaxServices(1), prommetrics.WithServices("users"))
	budgets, err := budget.NewServices(budget.Policy{MinPerSecond: 2}, 2)
	if err != nil {
		t.Fatal(err)
	}
	m.Budgets(budgets.All)
	users := budgets.Budget("users")
	for range 4 {
		users.Withdraw()
	}
	users.(*budget.Local).Refund()
	budgets.Budget("orders").Withdraw()
	budgets.Budget("search").Withdraw() // for which there is no room
	check(t, reg, map[string]float64{
		"budget_balance_tokens{users}":                       1,
		"budget_ceiling_tokens{users}":                       3,
		"budget_withdrawals_total{granted,users}":            3,
		"budget_withdrawals_total{refused,users}":            1,
		"budget_refunds_total{users}":                        1,
		"budget_balance_tokens{(other services)}":            7,
		"budget_ceiling_tokens{(other services)}":            9, // those without room have the floor of two
		"budget_withdrawals_total{granted,(other services)}": 2,
	}, "")
}

// A budget that is dropped and made anew starts from 0, and one that shares its
// label with others goes away from under a sum. Neither may lower a counter.
func TestCountersOfBudgetsNeverFall(t *testing.T) {
	m, reg := build(t, prommetrics.WithMaxServices(1), prommetrics.WithServices("users"))
	now := map[string]budget.Stats{"users": {Spent: 5}, "a": {Denied: 10}, "b": {Denied: 20}}
	m.Budgets(func() iter.Seq2[string, budget.Stats] { return maps.All(now) })
	steps := []struct {
		change         func()
		granted, other float64
	}{
		{func() {}, 5, 30},
		{func() { now["users"] = budget.Stats{Spent: 4, Refunded: 1} }, 5, 30},
		{func() { delete(now, "b") }, 5, 30},
		{func() { now["b"] = budget.Stats{Denied: 1} }, 5, 31},
		{func() { now["users"] = budget.Stats{Spent: 2}; now["a"] = budget.Stats{Denied: 11} }, 7, 32},
		{func() { delete(now, "users") }, 7, 32},
	}
	for i, step := range steps {
		step.change()
		got := samples(t, reg)
		if g := got["budget_withdrawals_total{granted,users}"]; g != step.granted {
			t.Errorf("step %d: granted %v, want %v", i, g, step.granted)
		}
		if o := got["budget_withdrawals_total{refused,(other services)}"]; o != step.other {
			t.Errorf("step %d: refused %v, want %v", i, o, step.other)
		}
	}
	if _, ok := samples(t, reg)["budget_balance_tokens{users}"]; ok {
		t.Error("the balance of a budget that is gone is still there")
	}
}

// What a process does not know of its fleet is no sample, rather than a wrong
// one.
func TestFleetFiguresNotKnownYet(t *testing.T) {
	m, reg := build(t)
	fleet := map[string]budget.FleetStats{"users": {
		Learning: true, Connected: true, Instances: 0.8, FleetRequests: 3, FleetRetries: 4, FleetDenied: 5, PoolCap: 9,
	}}
	m.FleetBudgets(func() iter.Seq2[string, budget.FleetStats] { return maps.All(fleet) })
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, f := range families {
		found[f.GetName()] = true
	}
	for name, want := range map[string]bool{
		"evenkeel_fleet_budget_pool_limit_tokens": true, "evenkeel_fleet_budget_connected": true,
		"evenkeel_fleet_budget_instances": false, "evenkeel_fleet_budget_requests_per_second": false,
		"evenkeel_fleet_budget_retries_per_second": false, "evenkeel_fleet_budget_refused_per_second": false,
	} {
		if found[name] != want {
			t.Errorf("%s: a sample %v, want %v", name, found[name], want)
		}
	}
}

func TestFleetBudgets(t *testing.T) {
	m, reg := build(t, prommetrics.WithMaxServices(1), prommetrics.WithServices("users"))
	fleet := map[string]budget.FleetStats{
		"users": {
			Stats: budget.Stats{Balance: 1, Ceiling: 2, Spent: 3, Denied: 4}, Connected: true, Paused: true,
			Interval: 2 * time.Second, Given: 5, Granted: 6, Lost: 7, Exchanges: 10, Failures: 2, Pool: 8, PoolCap: 9,
			Instances: 11, FleetRequests: 12, FleetRetries: 13, FleetDenied: 14,
		},
		"a": {Connected: true, Instances: 3, Pool: 1},
		"b": {Instances: 2, Pool: 1},
	}
	m.FleetBudgets(func() iter.Seq2[string, budget.FleetStats] { return maps.All(fleet) })
	check(t, reg, map[string]float64{
		"budget_balance_tokens{users}":                1,
		"budget_ceiling_tokens{users}":                2,
		"budget_withdrawals_total{granted,users}":     3,
		"budget_withdrawals_total{refused,users}":     4,
		"fleet_budget_connected{users}":               1,
		"fleet_budget_paused{users}":                  1,
		"fleet_budget_interval_seconds{users}":        2,
		"fleet_budget_given_tokens_total{users}":      5,
		"fleet_budget_granted_tokens_total{users}":    6,
		"fleet_budget_lost_tokens_total{users}":       7,
		"fleet_budget_exchanges_total{success,users}": 8,
		"fleet_budget_exchanges_total{error,users}":   2,
		"fleet_budget_pool_tokens{users}":             8,
		"fleet_budget_pool_limit_tokens{users}":       9,
		"fleet_budget_instances{users}":               11,
		"fleet_budget_requests_per_second{users}":     12,
		"fleet_budget_retries_per_second{users}":      13,
		"fleet_budget_refused_per_second{users}":      14,
		"fleet_budget_instances{(other services)}":    3,
		"fleet_budget_pool_tokens{(other services)}":  2,
	}, "")
}
