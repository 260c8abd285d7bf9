// Package prommetrics records both ends in Prometheus.
//
//	metrics, err := prommetrics.New(prometheus.DefaultRegisterer)
//	circuits, err := breaker.New(breaker.WithOnStateChange(metrics.OnStateChange))
//	client, err := transport.New(nil,
//		transport.WithObserver(metrics.Client()),
//		transport.WithBreaker(circuits.Wrap),
//	)
//	wrap, err := middleware.New(middleware.WithObserver(metrics.Server()))
//	metrics.Breakers(circuits.All)
//	metrics.FleetBudgets(fleet.All) // of a redisbudget.Fleet; Budgets for local ones
//
// What calls and requests come to is counted as it happens; the state of
// breakers and budgets is read when Prometheus scrapes.
//
// # What it costs
//
// The series of a service are looked up once per event and never by their
// labels, so that a call that goes well allocates nothing here and takes about
// as long as reading a clock twice.
//
// # How many series there are
//
// The only label that comes from outside is the service, never a host or a
// path unless the service is named after one. It has at most as many values as
// [WithMaxServices] says; the services beyond are counted together as "other".
// All other labels are closed lists.
//
// # Words
//
// The label stop is a [transport.StopReason], the label reason of
// evenkeel_server_shed_total a [middleware.ShedReason]. What an attempt or a
// request came to is a [transport.Result] or a [middleware.Result], and what made
// a retry necessary is a result, or refused after breaker or guard had refused
// the attempt before, or hedge.
package prommetrics
