package prommetrics

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
)

// A figure is a metric that is read from a T.
type figure[T any] struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*T) float64
	more []string // label values after the service
}

// figureOf names a metric. Metrics of one name differ in more.
func figureOf[T any](kind prometheus.ValueType, name, help string, of func(*T) float64, more ...string) figure[T] {
	labels := []string{"service"}
	if len(more) > 0 {
		labels = append(labels, "result")
	}
	return figure[T]{prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil), kind, of, more}
}

func (f figure[T]) metric(service string, value float64) prometheus.Metric {
	return prometheus.MustNewConstMetric(f.desc, f.kind, value, append([]string{service}, f.more...)...)
}

// accumulator turns the Ts that sources show into metrics. What they count, it adds
// up itself: a T that is dropped, and perhaps made anew, must not lower a
// counter that it shares with others, which Prometheus would take for a restart
// and count again from 0.
type accumulator[T any] struct {
	figures []figure[T]
	sum     func(*T, T) // adds up what is no counter

	seen   map[entry][]float64  // at the scrape before
	totals map[string][]float64 // by label
}

// An entry is a T of a source.
type entry struct {
	source any
	name   string
}

// A scrape is one look at everything. There is one at a time, from before the
// sources are read: of two, the one with the older figures might come last.
type scrape[T any] struct {
	*accumulator[T]
	seen   map[entry][]float64
	levels map[string]*T // by label
}

func (l *accumulator[T]) scrape() *scrape[T] {
	if l.totals == nil {
		l.totals = make(map[string][]float64)
	}
	return &scrape[T]{l, make(map[entry][]float64), make(map[string]*T)}
}

func (s *scrape[T]) add(e entry, label string, t T) {
	if s.totals[label] == nil {
		s.totals[label] = make([]float64, len(s.figures))
	}
	now, before := make([]float64, len(s.figures)), s.accumulator.seen[e]
	for i, f := range s.figures {
		if f.kind != prometheus.CounterValue {
			continue
		}
		now[i] = f.of(&t)
		if before != nil && before[i] <= now[i] {
			s.totals[label][i] += now[i] - before[i]
		} else {
			s.totals[label][i] += now[i]
		}
	}
	s.seen[e] = now
	if level, ok := s.levels[label]; ok {
		s.sum(level, t)
	} else {
		s.levels[label] = &t
	}
}

// end sends the metrics. Counters stay when there is nothing left that counts.
func (s *scrape[T]) end(ch chan<- prometheus.Metric) {
	s.accumulator.seen = s.seen
	for label, totals := range s.totals {
		for i, f := range s.figures {
			if f.kind == prometheus.CounterValue {
				ch <- f.metric(label, totals[i])
			} else if level, ok := s.levels[label]; ok {
				if v := f.of(level); !math.IsNaN(v) { // or it is not known
					ch <- f.metric(label, v)
				}
			}
		}
	}
}
