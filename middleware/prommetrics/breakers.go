package prommetrics

import (
	"iter"
	"slices"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/prometheus/client_golang/prometheus"
)

var states = [...]breaker.State{breaker.StateClosed, breaker.StateHalfOpen, breaker.StateOpen}

// transitions are the state changes that circuits make.
var transitions = [...][2]breaker.State{
	{breaker.StateClosed, breaker.StateOpen}, {breaker.StateOpen, breaker.StateHalfOpen},
	{breaker.StateHalfOpen, breaker.StateOpen}, {breaker.StateHalfOpen, breaker.StateClosed},
}

var breakerState = prometheus.NewDesc("evenkeel_breaker_state",
	"1 for the state that the circuit of a service is in; for (other services), how many circuits are in each.",
	[]string{"service", "state"}, nil)

// breakers is a set whose state is read when it is asked for.
type breakers struct {
	all func() iter.Seq2[string, breaker.State]
}

// Breaker returns an observer that counts how often circuits change state. The
// states themselves are added by [Metrics.Breakers].
func (m *Metrics) Breaker() breaker.Observer {
	return breaker.Observer{OnStateChange: func(c breaker.StateChange) {
		m.changes.WithLabelValues(m.services.of(c.Service).label, c.From.String(), c.To.String()).Inc()
	}}
}

// Breakers adds the states of a set of circuit breakers, such as circuits.All. It returns
// a func that removes them. A service that is in several sets has the sum of its circuits.
func (m *Metrics) Breakers(all func() iter.Seq2[string, breaker.State]) (remove func()) {
	return add(m, &m.breakers, &breakers{all})
}

// add appends a source and returns the func that removes it.
func add[T comparable](m *Metrics, to *[]T, source T) (remove func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*to = append(slices.Clip(*to), source)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		// A copy, since a scrape may be going through what was there.
		*to = slices.DeleteFunc(slices.Clone(*to), func(s T) bool { return s == source })
	}
}

// sources is a look at what add has made.
func sources[T any](m *Metrics, from *[]T) []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	return *from
}

func (m *Metrics) collectBreakers(ch chan<- prometheus.Metric) {
	counts := make(map[string]*[len(states)]float64)
	for _, b := range sources(m, &m.breakers) {
		for name, state := range b.all() {
			label := m.services.of(name).label
			if counts[label] == nil {
				counts[label] = new([len(states)]float64)
			}
			counts[label][state]++
		}
	}
	for label, count := range counts {
		for _, c := range transitions { // that the first of them is seen to count
			m.changes.WithLabelValues(label, c[0].String(), c[1].String())
		}
		for i, state := range states {
			ch <- prometheus.MustNewConstMetric(breakerState, prometheus.GaugeValue, count[i], label, state.String())
		}
	}
}
