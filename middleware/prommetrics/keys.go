package prommetrics

import (
	"context"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/prometheus/client_golang/prometheus"
)

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
