package prommetrics

import (
	"context"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/prometheus/client_golang/prometheus"
)

// What a request can come to besides a result.
const (
	shed = result(results) + iota
	panicked
	hijacked
	verdicts = results + iota
)

var verdictWords = append(append([]string(nil), resultWords[:]...), "shed", "panicked", "hijacked")

// maxReasons bounds the label reason. There are fewer, so that this is for
// a list that turns out not to be closed.
const maxReasons = 32

type serverSeries struct {
	verdicts        [verdicts]prometheus.Counter
	reasons         bounded[reason]
	admitted, again prometheus.Counter // of the retries
	duration        trackedDuration
	queueWait       prometheus.Observer
	inFlight, limit prometheus.Gauge
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
			"Time of requests that reached the handler, from their arrival.").WithLabelValues()},
		queueWait: m.durations("server_queue_wait_seconds",
			"Time of requests from their arrival until they were admitted or refused.").WithLabelValues(),
		inFlight: m.gauge("server_in_flight_requests",
			"Requests in the handler when the latest one to end had arrived."),
		limit: m.gauge("server_limit_requests",
			"Requests for which there was room in the handler then; 0 if nothing limits them."),
	}
	for v, word := range verdictWords {
		s.verdicts[v] = requests.WithLabelValues(word)
	}
	s.reasons.limit = maxReasons
	s.reasons.make = func(label string) *reason {
		return &reason{shed: tracked{Counter: refused.WithLabelValues(label)}, would: would.WithLabelValues(label)}
	}
	for _, r := range []middleware.ShedReason{middleware.ShedExpired, middleware.ShedConcurrency} {
		s.reasons.of(string(r))
	}
	return s
}

// Server returns the observer for middleware.WithObserver.
func (m *Metrics) Server() middleware.Observer {
	return middleware.Observer{OnRequest: m.onRequest}
}

func (m *Metrics) onRequest(ctx context.Context, e middleware.Event) {
	s := m.server
	v := verdictOf(e)
	s.verdicts[v].Inc()
	retries := s.again
	if v != shed {
		m.observe(ctx, &s.duration, e.Duration)
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
	s.inFlight.Set(float64(e.InFlight))
	s.limit.Set(float64(e.Limit))
}

func verdictOf(e middleware.Event) result {
	switch {
	case e.Shed != middleware.ShedNone && !e.DryRun:
		return shed
	case e.Panicked:
		return panicked
	case e.Hijacked:
		return hijacked
	}
	return resultOf(e.Status, nil)
}
