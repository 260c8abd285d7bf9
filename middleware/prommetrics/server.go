package prommetrics

import (
	"context"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/prometheus/client_golang/prometheus"
)

// maxReasons bounds the label reason. There are fewer, so that this is for
// a list that turns out not to be closed.
const maxReasons = 32

type serverSeries struct {
	verdicts        [len(verdicts)]prometheus.Counter
	reasons         bounded[reason]
	admitted, again prometheus.Counter // of the retries
	duration        trackedDuration
	queueWait       prometheus.Observer
}

// reason is a value of the label of that name.
type reason struct {
	shed  tracked
	would prometheus.Counter
}

func (m *Metrics) newServerSeries() *serverSeries {
	requests := m.counters("server_requests_total", "Requests, by what they came to.", "result")
	refused := m.counters("server_shed_total", "Requests refused without reaching the handler.", "reason")
	would := m.counters("server_would_shed_total", "Requests that only a dry run kept from being refused.", "reason")
	retries := m.counters("server_retries_total",
		"Requests whose client says that they are not its first attempt.", "verdict")
	s := &serverSeries{
		admitted: retries.WithLabelValues("admitted"),
		again:    retries.WithLabelValues("shed"),
		duration: trackedDuration{Observer: m.durations("server_request_duration_seconds",
			"Time of requests that reached the handler, from their arrival until they were answered, flushed or hijacked.").WithLabelValues()},
		queueWait: m.durations("server_queue_wait_seconds",
			"Time of requests from their arrival until they were admitted or refused.").WithLabelValues(),
	}
	for v, word := range verdicts {
		s.verdicts[v] = requests.WithLabelValues(string(word))
	}
	s.reasons.limit = maxReasons
	s.reasons.make = func(label string) *reason {
		return &reason{shed: tracked{Counter: refused.WithLabelValues(label)}, would: would.WithLabelValues(label)}
	}
	for _, r := range middleware.ShedReasons() {
		s.reasons.of(string(r))
	}
	return s
}

// Server returns an observer for middleware.WithObserver. One is enough for any number of
// middlewares, which are added up.
func (m *Metrics) Server() middleware.Observer {
	return middleware.Observer{OnRequest: m.onRequest, OnNew: m.onNew}
}

func (m *Metrics) onRequest(ctx context.Context, e middleware.Event) {
	s := m.server
	v := e.Result()
	s.verdicts[index(verdicts[:], v)].Inc()
	retries := s.again
	if v != middleware.ResultShed {
		m.observe(ctx, &s.duration, e.Duration-e.Streamed)
		retries = s.admitted
	}
	if e.Attempt > 1 {
		retries.Inc()
	}
	switch {
	case e.Shed == middleware.ShedNone:
	case e.DryRun:
		s.reasons.of(string(e.Shed)).would.Inc()
	default:
		m.count(ctx, &s.reasons.of(string(e.Shed)).shed, true)
	}
	s.queueWait.Observe(e.QueueWait.Seconds())
}

// How busy servers are is read when Prometheus scrapes: what the latest request
// to end has seen is no news once it has.
var (
	inFlightRequests = prometheus.NewDesc("evenkeel_server_in_flight_requests",
		"Requests in the handler, streams and hijacked connections not counted.", nil, nil)
	limitRequests = prometheus.NewDesc("evenkeel_server_limit_requests",
		"Requests for which there is room in the handler; 0 if nothing limits them.", nil, nil)
)

func (m *Metrics) onNew(load func() middleware.Load) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads = append(m.loads, load)
}

func (m *Metrics) collectLoads(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	loads := m.loads
	m.mu.Unlock()
	var sum middleware.Load
	for _, load := range loads {
		l := load()
		sum.InFlight += l.InFlight
		sum.Limit += l.Limit
	}
	ch <- prometheus.MustNewConstMetric(inFlightRequests, prometheus.GaugeValue, float64(sum.InFlight))
	ch <- prometheus.MustNewConstMetric(limitRequests, prometheus.GaugeValue, float64(sum.Limit))
}

// Idempotency returns an observer for idempotency.WithObserver. Its counter has a series
// for each [idempotency.Outcome] and none for a key or a caller. One is enough for any
// number of middlewares, which are added up.
func (m *Metrics) Idempotency() idempotency.Observer {
	outcomes := make(map[idempotency.Outcome]prometheus.Counter)
	for _, o := range idempotency.Outcomes() {
		outcomes[o] = m.keys.WithLabelValues(string(o))
	}
	return idempotency.Observer{OnKey: func(_ context.Context, e idempotency.Event) {
		if c := outcomes[e.Outcome]; c != nil {
			c.Inc()
		}
	}}
}
