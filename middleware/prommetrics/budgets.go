package prommetrics

import (
	"iter"
	"math"

	"github.com/datapunk/evenkeel/budget"
	"github.com/prometheus/client_golang/prometheus"
)

type (
	// budgets and fleets are read when they are asked for.
	budgets struct {
		all func() iter.Seq2[string, budget.Stats]
	}
	fleets struct {
		all func() iter.Seq2[string, budget.FleetStats]
	}
)

// Budgets adds the local budgets of a source, such as the Budgets of a
// transport.Transport or the All of a budget.Services. It returns a func that removes
// them. Budgets of one service in several sources are added up.
func (m *Metrics) Budgets(all func() iter.Seq2[string, budget.Stats]) (remove func()) {
	return add(m, &m.budgets, &budgets{all})
}

// FleetBudgets adds the budgets that are shared with a fleet, such as the All of a
// redisbudget.Fleet. It returns a func that removes them. Their part in this process is
// added to the metrics of local budgets. The figures of the fleet are the same in every
// process except for the delay: do not add them up.
func (m *Metrics) FleetBudgets(all func() iter.Seq2[string, budget.FleetStats]) (remove func()) {
	return add(m, &m.fleets, &fleets{all})
}

const (
	withdrawals = "Retries that budgets were asked for."
	exchanges   = "Exchanges with the fleet."
)

var budgetFigures = []figure[budget.Stats]{
	figureOf(prometheus.GaugeValue, "budget_balance_tokens", "Retries that could be sent now.",
		func(s *budget.Stats) float64 { return s.Balance }),
	figureOf(prometheus.GaugeValue, "budget_ceiling_tokens", "Balance up to which requests add to it.",
		func(s *budget.Stats) float64 { return s.Ceiling }),
	// Spent falls when a retry is refunded, which a counter must not. Both are
	// whole tokens, apart from rounding in floating point.
	figureOf(prometheus.CounterValue, "budget_withdrawals_total", withdrawals,
		func(s *budget.Stats) float64 { return math.Round(s.Spent + s.Refunded) }, "granted"),
	figureOf(prometheus.CounterValue, "budget_withdrawals_total", withdrawals,
		func(s *budget.Stats) float64 { return float64(s.Denied) }, "refused"),
	figureOf(prometheus.CounterValue, "budget_repaid_tokens_total", "Credit returned for retries that helped.",
		func(s *budget.Stats) float64 { return s.Repaid }),
	figureOf(prometheus.CounterValue, "budget_refunds_total", "Retries that were granted but not sent after all.",
		func(s *budget.Stats) float64 { return math.Round(s.Refunded) }),
}

var fleetFigures = []figure[budget.FleetStats]{
	figureOf(prometheus.GaugeValue, "fleet_budget_connected", "1 if the latest exchange with the fleet succeeded.",
		func(s *budget.FleetStats) float64 { return one(s.Connected) }),
	figureOf(prometheus.GaugeValue, "fleet_budget_paused", "1 if retries are switched off for the whole fleet.",
		func(s *budget.FleetStats) float64 { return one(s.Paused) }),
	figureOf(prometheus.GaugeValue, "fleet_budget_interval_seconds", "Time between exchanges with the fleet.",
		func(s *budget.FleetStats) float64 { return s.Interval.Seconds() }),
	figureOf(prometheus.CounterValue, "fleet_budget_exchanges_total", exchanges,
		func(s *budget.FleetStats) float64 { return float64(s.Exchanges - s.Failures) }, "success"),
	figureOf(prometheus.CounterValue, "fleet_budget_exchanges_total", exchanges,
		func(s *budget.FleetStats) float64 { return float64(s.Failures) }, "error"),
	figureOf(prometheus.CounterValue, "fleet_budget_given_tokens_total", "Credit handed to the fleet.",
		func(s *budget.FleetStats) float64 { return s.Given }),
	figureOf(prometheus.CounterValue, "fleet_budget_granted_tokens_total", "Credit received from the fleet.",
		func(s *budget.FleetStats) float64 { return s.Granted }),
	figureOf(prometheus.CounterValue, "fleet_budget_lost_tokens_total", "Credit lost in exchanges that failed.",
		func(s *budget.FleetStats) float64 { return s.Lost }),
	figureOf(prometheus.GaugeValue, "fleet_budget_pool_tokens", "Credit that the fleet keeps in common.",
		func(s *budget.FleetStats) float64 { return s.Pool }),
	figureOf(prometheus.GaugeValue, "fleet_budget_pool_limit_tokens", "The most credit that the fleet keeps in common.",
		func(s *budget.FleetStats) float64 { return s.PoolCap }),
	figureOf(prometheus.GaugeValue, "fleet_budget_instances", "Processes that share the budget.",
		known(func(s *budget.FleetStats) float64 { return s.Instances })),
	figureOf(prometheus.GaugeValue, "fleet_budget_requests_per_second", "First attempts of the whole fleet.",
		known(func(s *budget.FleetStats) float64 { return s.FleetRequests })),
	figureOf(prometheus.GaugeValue, "fleet_budget_retries_per_second", "Retries of the whole fleet.",
		known(func(s *budget.FleetStats) float64 { return s.FleetRetries })),
	figureOf(prometheus.GaugeValue, "fleet_budget_refused_per_second", "Retries refused in the whole fleet.",
		known(func(s *budget.FleetStats) float64 { return s.FleetDenied })),
}

// known leaves a figure of the fleet out until it is known.
func known(of func(*budget.FleetStats) float64) func(*budget.FleetStats) float64 {
	return func(s *budget.FleetStats) float64 {
		if s.Learning {
			return math.NaN()
		}
		return of(s)
	}
}

// one is how Prometheus says true.
func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (m *Metrics) collectBudgets(ch chan<- prometheus.Metric) {
	m.scraping.Lock()
	defer m.scraping.Unlock()
	local, fleet := m.local.scrape(), m.fleet.scrape()
	for _, source := range sources(m, &m.budgets) {
		for name, s := range source.all() {
			local.add(entry{source, name}, m.services.of(name).label, s)
		}
	}
	for _, source := range sources(m, &m.fleets) {
		for name, s := range source.all() {
			label := m.services.of(name).label
			local.add(entry{source, name}, label, s.Stats)
			fleet.add(entry{source, name}, label, s)
		}
	}
	local.end(ch)
	fleet.end(ch)
}

// addStats adds up the levels of budgets that have one label.
func addStats(sum *budget.Stats, s budget.Stats) {
	sum.Balance += s.Balance
	sum.Ceiling += s.Ceiling
}

// addFleetStats does so for the fleet, where one that is lost, or paused, is
// what should be seen.
func addFleetStats(sum *budget.FleetStats, s budget.FleetStats) {
	sum.Connected = sum.Connected && s.Connected
	sum.Paused = sum.Paused || s.Paused
	sum.Learning = sum.Learning || s.Learning
	sum.Interval = max(sum.Interval, s.Interval)
	sum.Pool += s.Pool
	sum.PoolCap += s.PoolCap
	sum.Instances = max(sum.Instances, s.Instances)
	sum.FleetRequests += s.FleetRequests
	sum.FleetRetries += s.FleetRetries
	sum.FleetDenied += s.FleetDenied
}
