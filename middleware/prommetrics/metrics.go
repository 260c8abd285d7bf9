package prommetrics

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/middleware"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics records what its observers are called with. Make one with [New]; it is safe for
// concurrent use and starts no goroutine. It is a [prometheus.Collector], so it can be
// unregistered.
type Metrics struct {
	cfg      config
	born     time.Time
	services bounded[service]
	client   clientVecs
	server   *serverSeries
	changes  *prometheus.CounterVec
	keys     *prometheus.CounterVec
	vecs     []prometheus.Collector

	mu       sync.Mutex // guards what follows; never held while a source is read
	breakers []*breakers
	budgets  []*budgets
	fleets   []*fleets
	loads    []func() middleware.Load

	scraping sync.Mutex // guards the accumulators
	local    accumulator[budget.Stats]
	fleet    accumulator[budget.FleetStats]
}

// service is a value of the label of that name.
type service struct {
	label  string
	client atomic.Pointer[clientSeries]
}

// New makes the collectors and registers them. If they are registered already, it returns
// the registered ones, with the options they were made with. Its error joins all mistakes
// in the options.
//
// Two servers in one process that should not be added up need a Metrics each, registered
// with prometheus.WrapRegistererWith and a label that tells them apart.
func New(registerer prometheus.Registerer, opts ...Option) (*Metrics, error) {
	cfg := defaults()
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	err := cfg.validate()
	if registerer == nil {
		err = errors.Join(errors.New("prommetrics: New(nil): want a registerer"), err)
	}
	if err != nil {
		return nil, err
	}
	m := build(cfg)
	err = registerer.Register(m)
	if already := (prometheus.AlreadyRegisteredError{}); errors.As(err, &already) {
		if existing, ok := already.ExistingCollector.(*Metrics); ok {
			return existing, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("prommetrics: %w", err)
	}
	return m, nil
}

func build(cfg config) *Metrics {
	m := &Metrics{cfg: cfg, born: time.Now()}
	m.local.figures, m.local.sum = budgetFigures, addStats
	m.fleet.figures, m.fleet.sum = fleetFigures, addFleetStats
	m.services.limit = cfg.maxServices
	m.services.make = func(label string) *service { return &service{label: label} }
	m.client = m.newClientVecs()
	m.server = m.newServerSeries()
	m.changes = m.counters("breaker_transitions_total",
		"State changes of circuits, since the start of the process.", "service", "from", "to")
	m.keys = m.counters("server_idempotency_total",
		"Requests with an Idempotency-Key, by what became of them.", "outcome")
	for _, name := range cfg.services {
		m.clientSeries(m.services.reserve(name))
	}
	return m
}

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, v := range m.vecs {
		v.Describe(ch)
	}
	ch <- breakerState
	ch <- inFlightRequests
	ch <- limitRequests
	for _, f := range budgetFigures {
		ch <- f.desc
	}
	for _, f := range fleetFigures {
		ch <- f.desc
	}
}

// Collect implements [prometheus.Collector].
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.collectBreakers(ch)
	m.collectBudgets(ch)
	m.collectLoads(ch)
	for _, v := range m.vecs { // to which the others may have added
		v.Collect(ch)
	}
}

const namespace = "evenkeel"

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.vecs = append(m.vecs, v)
	return v
}

// durations returns a histogram of seconds.
func (m *Metrics) durations(name, help string, labels ...string) *prometheus.HistogramVec {
	opts := prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: m.cfg.buckets}
	if m.cfg.native {
		opts.NativeHistogramBucketFactor = 1.1
		opts.NativeHistogramMaxBucketNumber = 160
		opts.NativeHistogramMinResetDuration = time.Hour
	}
	v := prometheus.NewHistogramVec(opts, labels)
	m.vecs = append(m.vecs, v)
	return v
}
