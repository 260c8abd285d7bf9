package main

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testContext ends with the test, or after a minute.
func testContext(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), time.Minute)
}

// The metric of the alert EvenkeelRedisLost changes when Redis is lost.
func TestRedisLost(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	s, err := newStack(registry, "", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	ctx, cancel := testContext(t)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	until := func(what string, want bool) {
		t.Helper()
		for connected(t, registry) != want {
			s.call(ctx) // a budget that is not used has nothing to exchange
			select {
			case <-poll.C:
			case <-ctx.Done():
				t.Fatalf("Redis is %s, and no metric says so", what)
			}
		}
	}
	until("there", true)
	s.fleet.memory.SetError("LOADING of a dataset that never ends")
	until("lost", false)
	s.fleet.memory.SetError("")
	until("back", true)
}

// connected reports whether all budgets are, and there is one.
func connected(t *testing.T, g prometheus.Gatherer) bool {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "evenkeel_fleet_budget_connected" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetGauge().GetValue() != 1 {
				return false
			}
		}
		return true
	}
	return false
}
