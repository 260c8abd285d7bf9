package peers

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/budget"
	failsafebudget "github.com/failsafe-go/failsafe-go/budget"
	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
)

// serve makes the test binary the server of the loopback benchmarks, so that
// what is measured there is the client alone.
const serve = "EVENKEEL_PEERS_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serve) != "" {
		server()
		return
	}
	flag.Parse()
	os.Exit(m.Run())
}

// server answers until its standard input ends.
func server() {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	fmt.Println("http://" + l.Addr().String())
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "ok")
	}))
	io.Copy(io.Discard, os.Stdin)
}

// startServer returns the URL of a server in another process.
func startServer(tb testing.TB) string {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serve+"=1", "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	in := must(cmd.StdinPipe())
	out := must(cmd.StdoutPipe())
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	url := make([]byte, 64)
	n := must(out.Read(url))
	return strings.TrimSpace(string(url[:n]))
}

// stub answers at once.
type stub struct{}

func (stub) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		io.Copy(io.Discard, req.Body)
		req.Body.Close()
	}
	return &http.Response{StatusCode: 200, Header: make(http.Header), Body: http.NoBody, Request: req}, nil
}

var payload = bytes.Repeat([]byte("x"), 1024)

func request(tb testing.TB, method, url string) *http.Request {
	var body io.Reader
	if method == "PUT" {
		body = bytes.NewReader(payload)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, url, body)
	if err != nil {
		tb.Fatal(err)
	}
	return req
}

func send(tb testing.TB, rt http.RoundTripper, method, url string) {
	resp, err := rt.RoundTrip(request(tb, method, url))
	if err != nil {
		tb.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// The cost of the chain if nothing is retried and the base costs nothing. Each
// iteration makes a new request, because some libraries change it.
func BenchmarkStub(b *testing.B) {
	for _, method := range []string{"GET", "PUT"} {
		for _, c := range Contestants() {
			b.Run(method+"/"+c.Name, func(b *testing.B) {
				rt := c.Wrap(stub{})
				b.ReportAllocs()
				for b.Loop() {
					send(b, rt, method, "http://api.test/v1")
				}
			})
		}
	}
}

// The most allocations of a call that is not retried, above those of the stub.
func TestAllocations(t *testing.T) {
	allocs := map[string]float64{}
	for _, c := range Contestants() {
		rt := c.Wrap(stub{})
		req := request(t, "GET", "http://api.test/v1")
		allocs[c.Name] = testing.AllocsPerRun(1000, func() {
			if _, err := rt.RoundTrip(req); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Logf("allocations for a call over a stub: %v", allocs)
	for name, ceiling := range map[string]float64{"evenkeel": 6, "evenkeel+breaker": 6} {
		if got, ok := allocs[name]; !ok || got > ceiling {
			t.Errorf("%s: %v allocations, want at most %v", name, got, ceiling)
		}
	}
	if allocs["evenkeel"]-allocs["bare"] > (allocs["failsafe-go"]-allocs["bare"])/2 {
		t.Errorf("evenkeel adds more than half of the allocations that failsafe-go adds: %v", allocs)
	}
}

// What each adds to the stub, as a share of what failsafe-go adds, in CPU time of
// this process. The libraries take turns, so all of them meet the same noise. The
// result is the median over the rounds, with the 10th and 90th percentile.
func BenchmarkStubShare(b *testing.B) {
	r := newRace(b, func() http.RoundTripper { return stub{} })
	for b.Loop() {
		r.round(20000, func(rt http.RoundTripper) { send(b, rt, "GET", "http://api.test/v1") })
	}
	bare, failsafe := r.costs["bare"], r.costs["failsafe-go"]
	for _, c := range r.order {
		if c.Name == "bare" {
			continue
		}
		shares := make([]float64, len(bare))
		for i, cost := range r.costs[c.Name] {
			shares[i] = (cost - bare[i]) / (failsafe[i] - bare[i])
		}
		report(b, shares, "of-failsafe-"+c.Name)
	}
}

// CPU time of the client per request over loopback HTTP, as a ratio to the
// bare transport in the same round. The server is another process.
func BenchmarkLoopbackCPU(b *testing.B) {
	url := startServer(b)
	r := newRace(b, func() http.RoundTripper { return &http.Transport{} })
	for b.Loop() {
		r.round(1000, func(rt http.RoundTripper) { send(b, rt, "GET", url) })
	}
	b.ReportMetric(median(r.costs["bare"]), "cpu-ns/req-bare")
	for _, c := range r.order {
		if c.Name == "bare" {
			continue
		}
		ratios := make([]float64, len(r.costs["bare"]))
		for i, cost := range r.costs[c.Name] {
			ratios[i] = cost / r.costs["bare"][i]
		}
		report(b, ratios, "of-bare-"+c.Name)
		// Other programs can only add to a cost, so on a busy machine the
		// cheapest rounds are the best estimate.
		b.Logf("%-28s cheapest tenth %.3f of the bare transport's", "", tenth(r.costs[c.Name])/tenth(r.costs["bare"]))
	}
}

// race has the contestants take turns.
type race struct {
	order []Contestant
	rts   map[string]http.RoundTripper
	costs map[string][]float64 // CPU ns per request, by round
}

// only limits a race to some libraries, for more rounds in the same time.
var only = flag.String("only", "", "race only these besides bare and failsafe-go, such as evenkeel,rehttp")

// newRace gives each library its own base. The bare base runs twice: their
// difference is the noise of the measurement.
func newRace(b *testing.B, base func() http.RoundTripper) *race {
	r := &race{rts: map[string]http.RoundTripper{}, costs: map[string][]float64{}}
	again := Contestant{"bare-again", func(base http.RoundTripper) http.RoundTripper { return base }}
	for _, c := range append(Contestants(), again) {
		always := strings.HasPrefix(c.Name, "bare") || c.Name == "failsafe-go"
		if *only != "" && !always && !slices.Contains(strings.Split(*only, ","), c.Name) {
			continue
		}
		r.order = append(r.order, c)
		own := base()
		r.rts[c.Name] = c.Wrap(own)
		if t, ok := own.(*http.Transport); ok {
			b.Cleanup(t.CloseIdleConnections)
		}
	}
	return r
}

// round sends n requests through each library, in random order. n is large enough
// for each to pay for the collection of its own garbage.
func (r *race) round(n int, send func(http.RoundTripper)) {
	for _, i := range rand.Perm(len(r.order)) {
		c := r.order[i]
		rt := r.rts[c.Name]
		send(rt) // a connection may have been idle for the others' turns
		runtime.GC()
		before := cpu()
		for range n {
			send(rt)
		}
		r.costs[c.Name] = append(r.costs[c.Name], float64(cpu()-before)/float64(n))
	}
}

// cpu is the CPU time that this process has used, the garbage collector's too.
func cpu() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

func report(b *testing.B, values []float64, unit string) {
	b.ReportMetric(median(values), unit)
	b.Logf("%-28s median %.3f, p10 %.3f, p90 %.3f, of %d rounds", unit, median(values), tenth(values), quantile(values, 0.9), len(values))
}

func median(values []float64) float64 { return quantile(values, 0.5) }
func tenth(values []float64) float64  { return quantile(values, 0.1) }

func quantile(values []float64, p float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return values[int(p*float64(len(values)-1)+0.5)]
}

// zeros is a body of a given size that takes no memory.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	z.left -= n
	return n, nil
}

// An upload of 64 MiB that is not retried, with a GetBody as http.NewRequest
// would make one.
func BenchmarkUpload(b *testing.B) {
	const size = 64 << 20
	url := startServer(b)
	for _, c := range Contestants() {
		b.Run(c.Name, func(b *testing.B) {
			base := &http.Transport{}
			defer base.CloseIdleConnections()
			rt := c.Wrap(base)
			send(b, rt, "GET", url)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				req := request(b, "POST", url)
				req.Body, req.ContentLength = io.NopCloser(&zeros{size}), size
				req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(&zeros{size}), nil }
				resp, err := rt.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}

// The cost of a budget to a call that is not retried, and to one that is.
func BenchmarkBudget(b *testing.B) {
	// What failsafe-go's retry policy calls on its budget; the methods are not
	// in its exported interface.
	type failsafe interface {
		RecordExecution()
		ReleaseExecution()
		TryAcquirePermit() bool
		ReleasePermit()
	}
	own := must(budget.NewLocal(budget.Policy{Ratio: 1, MinPerSecond: 1000}))
	theirs := failsafebudget.New().(failsafe)
	limiter := rate.NewLimiter(rate.Limit(1e9), 1e9)
	for _, bm := range []struct {
		name string
		op   func()
	}{
		{"call/evenkeel", own.Deposit},
		{"call/failsafe-go", func() { theirs.RecordExecution(); theirs.ReleaseExecution() }},
		{"retry/evenkeel", func() { own.Deposit(); own.Withdraw() }},
		{"retry/failsafe-go", func() {
			theirs.RecordExecution()
			if theirs.TryAcquirePermit() {
				theirs.ReleasePermit()
			}
			theirs.ReleaseExecution()
		}},
		{"retry/x-time-rate", func() { limiter.Allow() }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bm.op()
			}
		})
		b.Run(bm.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					bm.op()
				}
			})
		})
	}
}

// Every library must send the request and return the response, and those that
// retry must retry. Otherwise the benchmark means nothing.
func TestContestantsWork(t *testing.T) {
	for _, c := range Contestants() {
		sent := 0
		rt := c.Wrap(roundTripper(func(req *http.Request) (*http.Response, error) {
			if sent++; sent == 1 && req.Method == "PUT" {
				req.Body.Close()
				return &http.Response{StatusCode: 503, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
			}
			return stub{}.RoundTrip(req)
		}))
		send(t, rt, "GET", "http://api.test/")
		if sent != 1 {
			t.Errorf("%s sent a GET %d times, want once", c.Name, sent)
		}
		sent = 0
		send(t, rt, "PUT", "http://api.test/")
		want := 2
		if c.Name == "bare" || c.Name == "gobreaker" {
			want = 1
		}
		if sent != want {
			t.Errorf("%s sent a PUT that got 503 first %d times, want %d", c.Name, sent, want)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
