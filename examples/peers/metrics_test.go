package peers

import (
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/prommetrics"
	"github.com/datapunk/evenkeel/transport"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// observed is a call or a request with metrics, and the same without.
type observed struct {
	name          string
	without, with func()
}

// The CPU time that metrics add to a successful call and request: the difference
// between two that take turns. Each counts by result and observes a duration;
// prommetrics does so for the call and for the attempt.
func BenchmarkMetrics(b *testing.B) {
	all := append(observedCalls(b), observedRequests()...)
	costs := make([][]float64, len(all))
	for b.Loop() {
		for _, i := range rand.Perm(len(all)) {
			costs[i] = append(costs[i], perCall(all[i].with)-perCall(all[i].without))
		}
	}
	for i, o := range all {
		report(b, costs[i], "cpu-ns-"+o.name)
	}
}

// perCall is the lowest of several runs, each long enough to pay for its own
// garbage: other programs on the machine can only add to it.
func perCall(op func()) float64 {
	const runs, n = 5, 20_000
	runtime.GC()
	least := math.Inf(1)
	for range runs {
		before := cpu()
		for range n {
			op()
		}
		least = min(least, float64(cpu()-before)/n)
	}
	return least
}

// vectors are what promhttp instruments with.
func vectors() (*prometheus.CounterVec, *prometheus.HistogramVec) {
	labels := []string{"code", "method"}
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "total"}, labels),
		prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "seconds"}, labels)
}

func observedCalls(b *testing.B) []observed {
	req := request(b, "GET", "http://api.test/v1")
	call := func(rt http.RoundTripper) func() {
		return func() {
			if _, err := rt.RoundTrip(req); err != nil {
				b.Fatal(err)
			}
		}
	}
	metrics := func(opts ...prommetrics.Option) func() {
		m := must(prommetrics.New(prometheus.NewRegistry(), opts...))
		return call(must(transport.New(stub{}, transport.WithObserver(m.Client()))))
	}
	counter, seconds := vectors()
	plain := call(must(transport.New(stub{})))
	return []observed{
		{"client-prommetrics", plain, metrics()},
		{"client-prommetrics-native", plain, metrics(prommetrics.WithNativeHistograms())},
		{"client-promhttp", call(stub{}), call(promhttp.InstrumentRoundTripperCounter(counter,
			promhttp.InstrumentRoundTripperDuration(seconds, stub{})))},
		{"client-failsafe-go", call(failsafeClient(false)), call(failsafeClient(true))},
	}
}

// failsafeClient retries like the contestant of that name. With listeners it
// counts and times what it can tell: the execution, and each retry. Their
// handles are held, as a careful user would.
func failsafeClient(listeners bool) http.RoundTripper {
	counter, seconds := vectors()
	done, failed := counter.WithLabelValues("200", "get"), counter.WithLabelValues("500", "get")
	retries := counter.WithLabelValues("retry", "get")
	took := seconds.WithLabelValues("200", "get")
	policy := failsafehttp.NewRetryPolicyBuilder().WithBackoff(100*time.Millisecond, 2*time.Second)
	if listeners {
		policy.OnRetry(func(failsafe.ExecutionEvent[*http.Response]) { retries.Inc() })
	}
	executor := failsafe.With[*http.Response](policy.Build())
	if listeners {
		executor = executor.OnDone(func(e failsafe.ExecutionDoneEvent[*http.Response]) {
			took.Observe(e.ElapsedTime().Seconds())
			if e.Error != nil || e.Result.StatusCode >= 500 {
				failed.Inc()
				return
			}
			done.Inc()
		})
	}
	return failsafehttp.NewRoundTripperWithExecutor(stub{}, executor)
}

// quiet is a ResponseWriter that costs nothing.
type quiet http.Header

func (q quiet) Header() http.Header         { return http.Header(q) }
func (q quiet) Write(p []byte) (int, error) { return len(p), nil }
func (q quiet) WriteHeader(int)             {}

func observedRequests() []observed {
	w, req := quiet{}, httptest.NewRequest(http.MethodGet, "/", nil)
	serve := func(h http.Handler) func() { return func() { h.ServeHTTP(w, req) } }
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	chain := func(opts ...middleware.Option) func() {
		return serve(must(middleware.New(append(opts, middleware.WithConcurrency(100))...))(bare))
	}
	metrics := func(opts ...prommetrics.Option) func() {
		m := must(prommetrics.New(prometheus.NewRegistry(), opts...))
		return chain(middleware.WithObserver(m.Server()))
	}
	counter, seconds := vectors()
	return []observed{
		{"server-prommetrics", chain(), metrics()},
		{"server-prommetrics-native", chain(), metrics(prommetrics.WithNativeHistograms())},
		{"server-promhttp", serve(bare), serve(promhttp.InstrumentHandlerCounter(counter,
			promhttp.InstrumentHandlerDuration(seconds, bare)))},
	}
}

// Metrics allocate nothing on calls and requests that go well.
func TestMetricsAllocateNothing(t *testing.T) {
	m := must(prommetrics.New(prometheus.NewRegistry()))
	count := func(opts ...transport.Option) float64 {
		rt := must(transport.New(stub{}, opts...))
		req := request(t, "GET", "http://api.test/v1")
		return testing.AllocsPerRun(1000, func() { rt.RoundTrip(req) })
	}
	if without, with := count(), count(transport.WithObserver(m.Client())); with > without {
		t.Errorf("a call allocates %v times with metrics, %v without", with, without)
	}
}
