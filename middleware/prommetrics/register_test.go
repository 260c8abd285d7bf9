package prommetrics_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/prommetrics"
	"github.com/datapunk/evenkeel/transport"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func TestNewTwiceReturnsWhatIsThere(t *testing.T) {
	reg := prometheus.NewRegistry()
	for name, r := range map[string]prometheus.Registerer{
		"registry": reg, "wrapped": prometheus.WrapRegistererWith(prometheus.Labels{"handler": "admin"}, prometheus.NewRegistry()),
	} {
		first, err := prommetrics.New(r)
		if err != nil {
			t.Fatal(name, err)
		}
		second, err := prommetrics.New(r, prommetrics.WithMaxServices(7))
		if err != nil || second != first {
			t.Errorf("%s: %p and %v, want the first, %p", name, second, err, first)
		}
	}
	m, err := prommetrics.New(prometheus.WrapRegistererWith(prometheus.Labels{"handler": "admin"}, reg))
	if err == nil {
		t.Errorf("%p next to metrics with other labels, want the registry's error", m)
	}
}

func TestNewErrors(t *testing.T) {
	taken := prometheus.NewRegistry()
	taken.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "evenkeel_client_calls_total"}))
	tests := []struct {
		name string
		reg  prometheus.Registerer
		opts []prommetrics.Option
		want []string
	}{
		{"nil registerer", nil, nil, []string{"prommetrics: New(nil)"}},
		{"names taken", taken, nil, []string{"prommetrics: ", "evenkeel_client_calls_total"}},
		{"options", prometheus.NewRegistry(), []prommetrics.Option{
			prommetrics.WithMaxServices(0), prommetrics.WithServices("ok", "\xff", ""), prommetrics.WithBuckets(1, 1), nil,
		}, []string{"WithMaxServices(0)", `WithServices("\xff")`, `WithServices("")`, "WithBuckets([1 1])"}},
		{"no buckets", prometheus.NewRegistry(), []prommetrics.Option{prommetrics.WithBuckets()}, []string{"WithBuckets()"}},
	}
	for _, tt := range tests {
		m, err := prommetrics.New(tt.reg, tt.opts...)
		if m != nil || err == nil {
			t.Errorf("%s: %p and %v, want an error", tt.name, m, err)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q, want %q in it", tt.name, err, want)
			}
		}
	}
}

// constants returns the values of the constants of a type, from its source.
func constants(t *testing.T, file, typ string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == typ {
			v, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, v)
		}
		return true
	})
	if len(values) == 0 {
		t.Fatalf("no constants of %s in %s", typ, file)
	}
	return values
}

// Every stop reason that there is has its own word, from before it is needed.
func TestEveryStopReasonIsThere(t *testing.T) {
	_, reg := build(t, prommetrics.WithServices("users"))
	got := samples(t, reg)
	for _, stop := range constants(t, "../../transport/errors.go", "StopReason") {
		if _, ok := got["client_calls_total{users,"+stop+"}"]; !ok {
			t.Errorf("no series for the stop reason %s", stop)
		}
	}
}

// So has every reason to shed.
func TestEveryShedReasonIsThere(t *testing.T) {
	_, reg := build(t)
	got := samples(t, reg)
	for _, reason := range middleware.ShedReasons() {
		if _, ok := got["server_shed_total{"+string(reason)+"}"]; !ok {
			t.Errorf("no series for the reason %s", reason)
		}
	}
}

// So has every result, at either end.
func TestEveryResultIsThere(t *testing.T) {
	_, reg := build(t, prommetrics.WithServices("users"))
	got := samples(t, reg)
	for _, result := range constants(t, "../../transport/result.go", "Result") {
		if _, ok := got["client_attempts_total{1,"+result+",users}"]; !ok {
			t.Errorf("no series for attempts that came to %s", result)
		}
	}
	for _, result := range constants(t, "../../middleware/result.go", "Result") {
		if _, ok := got["server_requests_total{"+result+"}"]; !ok {
			t.Errorf("no series for requests that came to %s", result)
		}
	}
}

// However many names there are, the series do not grow past the limit, and what
// is over it allocates nothing.
func TestManyHosts(t *testing.T) {
	const limit, hosts = 50, 100_000
	m, reg := build(t, prommetrics.WithMaxServices(limit))
	o := m.Client()
	call := func(host string) {
		o.OnAttempt(t.Context(), transport.AttemptEvent{Service: host, Attempt: 1, Status: 200})
		o.OnCall(t.Context(), transport.Call{Service: host, Attempts: 1, Stop: transport.StopSucceeded})
	}
	names := make([]string, hosts)
	for i := range names {
		names[i] = "host-" + strconv.Itoa(i) + ".test"
	}
	for _, name := range names[:hosts/2] {
		call(name)
	}
	before := heap()
	for _, name := range names[hosts/2:] {
		call(name)
	}
	if grown := int64(heap()) - int64(before); grown > 64<<10 {
		t.Errorf("the heap grew by %d bytes from %d more hosts", grown, hosts/2)
	}
	runtime.KeepAlive(names)
	services, total := 0, 0.0
	for name, v := range samples(t, reg) {
		if strings.HasPrefix(name, "client_calls_total{") && strings.HasSuffix(name, ",succeeded}") {
			services++
			total += v
		}
	}
	if services != limit+1 || total != hosts {
		t.Errorf("%d services with %v calls, want %d and other with %d", services, total, limit, hosts)
	}
	m.Client().OnCall(t.Context(), transport.Call{Service: strings.Repeat("x", 129)})
	m.Client().OnCall(t.Context(), transport.Call{Service: "\xff"})
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// A name that is no label counts as the other services, even if there is room.
func TestNamesThatAreNoLabels(t *testing.T) {
	m, reg := build(t)
	for _, name := range []string{"", "\xff", strings.Repeat("x", 129), "(other services)"} {
		m.Client().OnCall(t.Context(), transport.Call{Service: name, Stop: transport.StopSucceeded})
	}
	if got := samples(t, reg)["client_calls_total{(other services),succeeded}"]; got != 4 {
		t.Errorf("%v calls of the other services, want 4", got)
	}
}

// The comment of WithMaxServices says how many series a service has.
func TestSeriesOfAService(t *testing.T) {
	_, reg := build(t, prommetrics.WithServices("users"))
	lines := 0
	for line := range strings.Lines(scrape(t, reg, "text/plain")) {
		if strings.Contains(line, `service="users"`) {
			lines++
		}
	}
	if lines != 121 {
		t.Errorf("%d series, want 121", lines)
	}
}

func TestNothingIsAllocatedWhenAllIsWell(t *testing.T) {
	m, _ := build(t, prommetrics.WithNativeHistograms())
	client, server := m.Client(), m.Server()
	events := func() {
		client.OnAttempt(t.Context(), transport.AttemptEvent{Service: "users", Attempt: 1, Status: 200, Duration: 1e6})
		client.OnCall(t.Context(), transport.Call{Service: "users", Attempts: 1, Stop: transport.StopSucceeded, Elapsed: 1e6})
		server.OnRequest(t.Context(), middleware.Event{Status: 200, Duration: 1e6, Attempt: 1})
		server.OnRequest(t.Context(), middleware.Event{Status: 503, Shed: middleware.ShedConcurrency})
	}
	events()
	if n := testing.AllocsPerRun(1000, events); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// The observers are called by many goroutines while Prometheus scrapes.
func TestScrapeWhileItHappens(t *testing.T) {
	m, reg := build(t, prommetrics.WithMaxServices(5))
	const workers, each = 8, 200
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				name := "service" + strconv.Itoa((w+i)%10)
				m.Client().OnAttempt(t.Context(), transport.AttemptEvent{Service: name, Attempt: 1 + i%5, Status: 200 + 100*(i%4)})
				m.Client().OnCall(t.Context(), transport.Call{Service: name, Attempts: 1, Stop: transport.StopBudget})
				m.Server().OnRequest(t.Context(), middleware.Event{Shed: middleware.ShedExpired})
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			samples(t, reg)
		}
	})
	wg.Wait()
	sum := func(prefix string) (n float64) {
		for name, v := range samples(t, reg) {
			if strings.HasPrefix(name, prefix) {
				n += v
			}
		}
		return n
	}
	for _, prefix := range []string{"client_attempts_total", "client_calls_total", "server_requests_total", "server_shed_total"} {
		if got := sum(prefix); got != workers*each {
			t.Errorf("%s adds up to %v, want %d", prefix, got, workers*each)
		}
	}
}

func scrape(t *testing.T, reg *prometheus.Registry, accept string) string {
	t.Helper()
	h := promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true, ErrorHandling: promhttp.HTTPErrorOnError})
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("scrape: %d %v\n%s", w.Code, err, body)
	}
	return string(body)
}

func TestLint(t *testing.T) {
	m, reg := full(t)
	_ = m
	problems, err := promlint.New(strings.NewReader(scrape(t, reg, "text/plain"))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
