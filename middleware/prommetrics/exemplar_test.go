package prommetrics_test

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/prommetrics"
	"github.com/datapunk/evenkeel/transport"
	"github.com/prometheus/client_golang/prometheus"
)

// full returns metrics that have something of everything.
func full(t *testing.T, opts ...prommetrics.Option) (*prommetrics.Metrics, *prometheus.Registry) {
	t.Helper()
	m, reg := build(t, opts...)
	c, s := m.Client(), m.Server()
	c.OnAttempt(t.Context(), transport.AttemptEvent{Service: "users", Attempt: 2, Status: 200, AfterStatus: 503})
	c.OnCall(t.Context(), transport.Call{Service: "users", Attempts: 2, WouldRetry: true, Stop: transport.StopSucceeded})
	s.OnRequest(t.Context(), middleware.Event{Status: 200, Shed: middleware.ShedExpired, DryRun: true})
	m.Breaker().OnStateChange(breaker.StateChange{Service: "users", To: breaker.StateOpen})
	m.Breakers(func() iter.Seq2[string, breaker.State] {
		return maps.All(map[string]breaker.State{"users": breaker.StateOpen})
	})
	m.FleetBudgets(func() iter.Seq2[string, budget.FleetStats] {
		return maps.All(map[string]budget.FleetStats{"users": {}})
	})
	return m, reg
}

type traceKey struct{}

// traced is the context of a call with a trace; one that begins with "-" is not
// recorded.
func traced(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, traceKey{}, id)
}

func traceOf(ctx context.Context) (string, bool) {
	id, _ := ctx.Value(traceKey{}).(string)
	return strings.TrimPrefix(id, "-"), !strings.HasPrefix(id, "-")
}

// exemplars are the lines of a scrape that have one, without timestamps.
func exemplars(t *testing.T, reg *prometheus.Registry) []string {
	t.Helper()
	var got []string
	for line := range strings.Lines(scrape(t, reg, "application/openmetrics-text; version=1.0.0")) {
		series, exemplar, ok := strings.Cut(line, " # ")
		if !ok {
			continue
		}
		labels, _, _ := strings.Cut(exemplar, "}")
		series, _, _ = strings.Cut(series, " ")
		got = append(got, series+" "+labels+"}")
	}
	return got
}

func TestExemplars(t *testing.T) {
	tests := []struct {
		name string
		call func(m *prommetrics.Metrics)
		want []string
	}{
		{"recorded call that goes well", func(m *prommetrics.Metrics) {
			m.Client().OnCall(traced(t.Context(), "a1"), transport.Call{Service: "users", Stop: transport.StopSucceeded, Elapsed: time.Millisecond})
		}, []string{`evenkeel_client_call_duration_seconds_bucket{service="users",le="0.005"} {trace_id="a1"}`}},
		{"call that goes well and is not recorded", func(m *prommetrics.Metrics) {
			m.Client().OnCall(traced(t.Context(), "-a1"), transport.Call{Service: "users", Stop: transport.StopSucceeded})
		}, nil},
		{"not retried and not recorded", func(m *prommetrics.Metrics) {
			m.Client().OnCall(traced(t.Context(), "-a1"), transport.Call{Service: "users", Stop: transport.StopBudget})
		}, []string{`evenkeel_client_calls_total{service="users",stop="budget"} {trace_id="a1"}`}},
		{"without a trace", func(m *prommetrics.Metrics) {
			m.Client().OnCall(t.Context(), transport.Call{Service: "users", Stop: transport.StopBudget})
		}, nil},
		{"a trace that no exemplar can hold", func(m *prommetrics.Metrics) {
			m.Client().OnCall(traced(t.Context(), strings.Repeat("x", 200)), transport.Call{Service: "users", Stop: transport.StopBudget})
			m.Client().OnCall(traced(t.Context(), "\xff"), transport.Call{Service: "users", Stop: transport.StopBreakerOpen})
		}, nil},
		{"shed", func(m *prommetrics.Metrics) {
			m.Server().OnRequest(traced(t.Context(), "-a1"), middleware.Event{Shed: middleware.ShedExpired})
		}, []string{`evenkeel_server_shed_total{reason="expired"} {trace_id="a1"}`}},
		{"served", func(m *prommetrics.Metrics) {
			m.Server().OnRequest(traced(t.Context(), "a1"), middleware.Event{Status: 200, Duration: time.Minute})
		}, []string{`evenkeel_server_request_duration_seconds_bucket{le="+Inf"} {trace_id="a1"}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, reg := build(t, prommetrics.WithExemplars(traceOf), prommetrics.WithNativeHistograms())
			tt.call(m)
			if got := exemplars(t, reg); !slices.Equal(got, tt.want) {
				t.Errorf("exemplars %q, want %q", got, tt.want)
			}
		})
	}
}

// In a storm an exemplar a second is enough, and most calls are not even asked
// for their trace.
func TestExemplarsInAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		m, reg := build(t, prommetrics.WithExemplars(func(ctx context.Context) (string, bool) {
			asked++
			return traceOf(ctx)
		}))
		storm := func(id string) {
			for range 1000 {
				m.Client().OnCall(traced(t.Context(), id), transport.Call{Service: "users", Stop: transport.StopBudget})
			}
		}
		storm("-first")
		time.Sleep(500 * time.Millisecond)
		storm("-second")
		if want := []string{`evenkeel_client_calls_total{service="users",stop="budget"} {trace_id="first"}`}; !slices.Equal(exemplars(t, reg), want) {
			t.Errorf("exemplars %q, want %q", exemplars(t, reg), want)
		}
		time.Sleep(500 * time.Millisecond)
		storm("-third")
		if want := []string{`evenkeel_client_calls_total{service="users",stop="budget"} {trace_id="third"}`}; !slices.Equal(exemplars(t, reg), want) {
			t.Errorf("exemplars %q, want %q", exemplars(t, reg), want)
		}
		if asked != 2+3 { // the counter in the first and the third storm, the duration in vain in each
			t.Errorf("asked for %d traces, want 5", asked)
		}
		if got := samples(t, reg)["client_calls_total{users,budget}"]; got != 3000 {
			t.Errorf("%v calls, want 3000", got)
		}
	})
}
