package prommetrics

import (
	"context"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
)

// How often a series takes an exemplar, and how soon it looks again at another
// event when one had nothing to show.
const (
	exemplarEvery = time.Second
	exemplarLook  = 10 * time.Millisecond
)

// maxTraceID keeps the exemplar within the 128 characters that OpenMetrics
// allows it.
const maxTraceID = 64

// tracked is a counter that can have exemplars.
type tracked struct {
	prometheus.Counter
	due due
}

// trackedDuration is a histogram that can.
type trackedDuration struct {
	prometheus.Observer
	due due
}

// due says when the next exemplar may be taken. The zero value: now.
type due struct{ next atomic.Int64 } // since Metrics were born

// count adds one. Only a refused event is worth an exemplar, and
// that even if its trace is not recorded: the logs have its ID too.
func (m *Metrics) count(ctx context.Context, c *tracked, refused bool) {
	if m.cfg.trace != nil && refused {
		if labels := m.exemplar(ctx, &c.due, false); labels != nil {
			c.Counter.(prometheus.ExemplarAdder).AddWithExemplar(1, labels)
			return
		}
	}
	c.Inc()
}

// observe adds a duration, with an exemplar if its trace is recorded.
func (m *Metrics) observe(ctx context.Context, h *trackedDuration, d time.Duration) {
	if m.cfg.trace != nil {
		if labels := m.exemplar(ctx, &h.due, true); labels != nil {
			h.Observer.(prometheus.ExemplarObserver).ObserveWithExemplar(d.Seconds(), labels)
			return
		}
	}
	h.Observe(d.Seconds())
}

// exemplar returns the labels of an exemplar if one is due and there is one.
func (m *Metrics) exemplar(ctx context.Context, d *due, recorded bool) prometheus.Labels {
	now := int64(time.Since(m.born))
	next := d.next.Load()
	if now < next || !d.next.CompareAndSwap(next, now+int64(exemplarLook)) {
		return nil
	}
	id, sampled := m.cfg.trace(ctx)
	if id == "" || len(id) > maxTraceID || !utf8.ValidString(id) || recorded && !sampled {
		return nil
	}
	d.next.Store(now + int64(exemplarEvery))
	return prometheus.Labels{"trace_id": id}
}
