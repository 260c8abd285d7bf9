package prommetrics

import (
	"context"
	"errors"
	"time"

	"github.com/datapunk/evenkeel/transport"
	"github.com/prometheus/client_golang/prometheus"
)

// clientVecs are the metrics of the client; clientSeries holds what they have
// for one service.
type clientVecs struct {
	calls, attempts, retries, would, paused *prometheus.CounterVec
	callAttempts                            *prometheus.HistogramVec
	duration, attempt, wait                 *prometheus.HistogramVec
}

func (m *Metrics) newClientVecs() clientVecs {
	v := clientVecs{
		calls: m.counters("client_calls_total",
			"Calls, by the reason why there was no further attempt.", "service", "stop"),
		attempts: m.counters("client_attempts_total",
			"Attempts sent, by their place in the call and what they came to.", "service", "attempt", "result"),
		retries: m.counters("client_retries_total",
			"Attempts after the first, by what made them necessary.", "service", "reason"),
		would: m.counters("client_would_retry_total",
			"Calls of a dry run that would have been sent again.", "service"),
		paused: m.counters("client_paused_seconds_total",
			"Time that calls waited since the service had told another call to come back later.", "service"),
		duration: m.durations("client_call_duration_seconds",
			"Time of calls up to the response header, waits included.", "service"),
		attempt: m.durations("client_attempt_duration_seconds",
			"Time of single attempts up to the response header.", "service"),
		wait: m.durations("client_retry_wait_seconds",
			"Time waited before each attempt after the first.", "service"),
	}
	v.callAttempts = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "client_call_attempts",
		Help: "Attempts sent per call; 0 where breaker or guard refused it.", Buckets: []float64{0, 1, 2, 3, 4, 5, 10},
	}, []string{"service"})
	m.vecs = append(m.vecs, v.callAttempts)
	return v
}

// otherStop is the label of a stop reason that is not known.
const otherStop = "other"

// stops are the reasons that have a counter each; the last is for words that
// are not among them.
var stops = append(transport.StopReasons(), otherStop)

// refused reports whether a call ended because the chain refused it, or a
// further attempt of it.
func refused(stop transport.StopReason) bool {
	switch stop {
	case transport.StopSucceeded, transport.StopNotRetryable, transport.StopCancelled, transport.StopDisabled:
		return false
	}
	return true
}

// attemptWords are the places of attempts that are told apart.
var attemptWords = [...]string{"1", "2", "3", "4+"}

// A retry is the consequence of a result, or of one of these.
const (
	afterRefusal = len(results) + iota // breaker or guard refused the attempt before
	hedged                             // the attempt before has not ended
	reasons
)

func reasonWord(reason int) string {
	switch reason {
	case afterRefusal:
		return "refused"
	case hedged:
		return "hedge"
	}
	return string(results[reason])
}

// clientSeries is what a service has of the metrics. All of it is made at once:
// a ratio of which one side is not there yet is no ratio.
type clientSeries struct {
	calls    []tracked // by the place of the reason in stops
	attempts [len(attemptWords)][len(results)]prometheus.Counter
	retries  [reasons]prometheus.Counter
	would    prometheus.Counter
	paused   prometheus.Counter

	callAttempts, attempt, wait prometheus.Observer
	duration                    trackedDuration
}

// clientSeries returns those of s.
func (m *Metrics) clientSeries(s *service) *clientSeries {
	if c := s.client.Load(); c != nil {
		return c
	}
	v := &m.client
	c := &clientSeries{
		calls:        make([]tracked, len(stops)),
		callAttempts: v.callAttempts.WithLabelValues(s.label),
		attempt:      v.attempt.WithLabelValues(s.label),
		wait:         v.wait.WithLabelValues(s.label),
		would:        v.would.WithLabelValues(s.label),
		paused:       v.paused.WithLabelValues(s.label),
		duration:     trackedDuration{Observer: v.duration.WithLabelValues(s.label)},
	}
	for i, stop := range stops {
		c.calls[i].Counter = v.calls.WithLabelValues(s.label, string(stop))
	}
	for n, attempt := range attemptWords {
		for came, result := range results {
			c.attempts[n][came] = v.attempts.WithLabelValues(s.label, attempt, string(result))
		}
	}
	for why := range reasons {
		c.retries[why] = v.retries.WithLabelValues(s.label, reasonWord(why))
	}
	s.client.CompareAndSwap(nil, c)
	return s.client.Load()
}

// Client returns an observer for transport.WithObserver. One is enough for any number of
// transports. The operations of transport.Do are calls too; those without a service are
// counted as "(other services)".
func (m *Metrics) Client() transport.Observer {
	return transport.Observer{OnAttempt: m.onAttempt, OnCall: m.onCall}
}

func (m *Metrics) onAttempt(ctx context.Context, e transport.AttemptEvent) {
	c := m.clientSeries(m.services.of(e.Service))
	n := min(max(e.Attempt, 1), len(attemptWords)) - 1
	c.attempts[n][index(results[:], transport.ResultOf(ctx, e.Status, e.Err))].Inc()
	c.attempt.Observe(e.Duration.Seconds())
	if e.Attempt > 1 {
		c.retries[reasonOf(e)].Inc()
		c.wait.Observe(e.Waited.Seconds())
	}
}

func reasonOf(e transport.AttemptEvent) int {
	if e.Hedge {
		return hedged
	}
	var refused interface{ RefusedFor() time.Duration }
	if errors.As(e.AfterErr, &refused) {
		return afterRefusal
	}
	// The attempt before did not fail because its context had ended, or there
	// would be no further one.
	return index(results[:], transport.ResultOf(context.Background(), e.AfterStatus, e.AfterErr))
}

func (m *Metrics) onCall(ctx context.Context, call transport.Call) {
	c := m.clientSeries(m.services.of(call.Service))
	c.callAttempts.Observe(float64(call.Attempts))
	if call.WouldRetry {
		c.would.Inc()
	}
	if call.Paused > 0 {
		c.paused.Add(call.Paused.Seconds())
	}
	m.observe(ctx, &c.duration, call.Elapsed)
	m.count(ctx, &c.calls[index(stops, call.Stop)], refused(call.Stop))
}
