package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// startPage serves a page until stop is called or the test ends, and returns
// its URL.
func startPage(t *testing.T, args ...string) (url string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var stderr bytes.Buffer
	stdout, out := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"-http", "127.0.0.1:0"}, args...), out, &stderr)
		out.Close()
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if got := <-code; got != 0 || stderr.Len() > 0 {
			t.Errorf("exit code %d, want 0; stderr:\n%s", got, &stderr)
		}
	})
	t.Cleanup(stop)
	var said []byte
	for page := regexp.MustCompile(`http://127\.0\.0\.1:\d+/`); ; {
		part := make([]byte, 512)
		n, err := stdout.Read(part)
		said = append(said, part[:n]...)
		if found := page.Find(said); found != nil {
			return string(found), stop
		}
		if err != nil {
			t.Fatalf("no page: %q", said)
		}
	}
}

// still is a live storm without calls.
func still(t *testing.T, args ...string) *live {
	t.Helper()
	cfg, err := parse(append([]string{"-http", ":0", "-clients", "2"}, args...), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLive(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

// ask sends one request to a page. Headers are in pairs.
func ask(page http.Handler, method, target string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, target, nil)
	req.Host = "127.0.0.1:8080"
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	page.ServeHTTP(w, req)
	return w
}

func TestPageNeedsNothingElse(t *testing.T) {
	w := ask(still(t).page(true), "GET", "/")
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("got %d and %s, want 200 and HTML", w.Code, w.Header().Get("Content-Type"))
	}
	if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("Content-Security-Policy %q, want one that allows nothing by default", policy)
	}
	// The one thing that looks like an address is the name of SVG.
	page := strings.NewReplacer("http://www.w3.org/2000/svg", "").Replace(w.Body.String())
	if found := regexp.MustCompile(`(?i)https?:[^\s"']*|["'(]//|@import|url\([^#)]*\)`).FindAllString(page, -1); found != nil {
		t.Errorf("the page points to %q, want nothing outside", found)
	}
}

func TestSamplesAreJSON(t *testing.T) {
	l := still(t, "-policies", "client-breaker,none", "-stall", "8s")
	page := l.page(true)
	l.sample(l.start.Add(250 * time.Millisecond))
	l.lane.tally.call(time.Now())
	l.lane.tally.attempt(time.Now())
	l.lane.tally.attempt(time.Now())
	l.lane.tally.failure(kindTimeout, context.DeadlineExceeded)
	if err := l.use("none"); err != nil {
		t.Fatal(err)
	}
	l.sample(l.start.Add(500 * time.Millisecond))

	first := `{"number":1,"at":0.25,"policy":"client-breaker","naive_half":false,"fault":"","fault_left":0,"calls":0,"attempts":0,"answers":0,` +
		`"failures":{},"late_calls":0,"max_attempts":5,"budget":{"balance":12,"ceiling":12},` +
		`"guard":{"engaged":0,"probing":0,"waiting":0,"low":null,"median":null,"high":null,"in_flight":0},"breaker":{"closed":2,"half_open":0,"open":0},"server":null}`
	second := `{"number":2,"at":0.5,"policy":"none","naive_half":false,"fault":"","fault_left":0,"calls":1,"attempts":2,"answers":0,` +
		`"failures":{"timeout":1},"late_calls":0,"max_attempts":0,"budget":null,"guard":null,"breaker":null,"server":null}`
	for _, tt := range []struct{ target, want string }{
		{"/samples", "[" + first + "," + second + "]"},
		{"/samples?since=0", "[" + first + "," + second + "]"},
		{"/samples?since=1", "[" + second + "]"},
		{"/samples?since=9000", "[]"}, // of a storm before
	} {
		w := ask(page, "GET", tt.target)
		var got struct {
			Started int64
			Samples json.RawMessage
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v in %s", tt.target, err, w.Body)
		}
		if string(got.Samples) != tt.want || got.Started != l.start.UnixMilli() {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.target, got.Samples, tt.want)
		}
		if h := w.Header(); h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", tt.target, h)
		}
	}

	// A request for samples after the last one waits for the next.
	next := make(chan *httptest.ResponseRecorder)
	go func() { next <- ask(page, "GET", "/samples?since=2") }()
	for waiting := false; !waiting; {
		l.mu.Lock()
		waiting = l.history.newer != nil
		l.mu.Unlock()
		runtime.Gosched()
	}
	l.sample(l.start.Add(750 * time.Millisecond))
	if got := (<-next).Body.String(); !strings.Contains(got, `"samples":[{"number":3,"at":0.75,`) {
		t.Errorf("got %s, want sample 3", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	gone := httptest.NewRequestWithContext(ctx, "GET", "/samples?since=3", nil)
	gone.Host = "localhost"
	page.ServeHTTP(w, gone)
	if got := w.Body.String(); !strings.Contains(got, `"samples":[]`) {
		t.Errorf("got %s for who left, want none", got)
	}

	var setting Setting
	if err := json.Unmarshal(ask(page, "GET", "/setting").Body.Bytes(), &setting); err != nil {
		t.Fatal(err)
	}
	if setting.Clients != 2 || setting.Rate != 175 || setting.Capacity != 250 || setting.FaultSeconds != 8 || len(setting.Policies) != 2 {
		t.Errorf("setting %+v", setting)
	}
}

func TestButtons(t *testing.T) {
	l := still(t, "-policies", "retryablehttp,client", "-stall", "1h")
	page := l.page(true)
	for _, tt := range []struct {
		method, target string
		code           int
		fault, policy  string // after it
		attempts       int
	}{
		{"POST", "/fault/stall", 204, "stall", "retryablehttp", 0},
		{"POST", "/fault/quake", 404, "stall", "retryablehttp", 0},
		{"GET", "/fault/slow", 405, "stall", "retryablehttp", 0},
		{"POST", "/fault/slow", 204, "slow", "retryablehttp", 0},
		{"POST", "/fault/", 404, "slow", "retryablehttp", 0},
		{"POST", "/attempts/3", 409, "slow", "retryablehttp", 0},
		{"POST", "/policy/client", 204, "slow", "client", 5},
		{"POST", "/policy/none", 404, "slow", "client", 5}, // not of this run
		{"POST", "/fault/break", 204, "break", "client", 5},
		{"POST", "/attempts/3", 204, "break", "client", 3},
		{"POST", "/attempts/0", 400, "break", "client", 3},
		{"POST", "/attempts/11", 400, "break", "client", 3},
		{"POST", "/attempts/99999999999999999999", 400, "break", "client", 3},
		{"POST", "/attempts/few", 400, "break", "client", 3},
		{"POST", "/fault/none", 204, "", "client", 3},
		{"POST", "/", 405, "", "client", 3},
		{"GET", "/favicon.ico", 404, "", "client", 3},
		{"GET", "/samples?since=-1", 400, "", "client", 3},
		{"GET", "/samples?since=all", 400, "", "client", 3},
	} {
		w := ask(page, tt.method, tt.target)
		if w.Code != tt.code {
			t.Errorf("%s %s: got %d (%s), want %d", tt.method, tt.target, w.Code, strings.TrimSpace(w.Body.String()), tt.code)
		}
		l.sample(time.Now())
		samples := l.since(0)
		last := samples[len(samples)-1]
		if last.Fault != tt.fault || last.Policy != tt.policy || last.MaxAttempts != tt.attempts {
			t.Errorf("after %s %s: fault %q, policy %q, %d attempts; want %q, %q, %d",
				tt.method, tt.target, last.Fault, last.Policy, last.MaxAttempts, tt.fault, tt.policy, tt.attempts)
		}
	}
}

func TestOtherSitesHaveNoButtons(t *testing.T) {
	for _, tt := range []struct {
		name    string
		headers []string
		code    int
	}{
		{"a program", nil, 204},
		{"the page", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://127.0.0.1:8080"}, 204},
		{"the page in an old browser", []string{"Origin", "http://127.0.0.1:8080"}, 204},
		{"another site", []string{"Sec-Fetch-Site", "cross-site", "Origin", "http://evil.test"}, 403},
		{"another port", []string{"Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:9090"}, 403},
		{"another site in an old browser", []string{"Origin", "http://evil.test"}, 403},
		{"nowhere", []string{"Origin", "null"}, 403},
		{"another name for this machine", []string{"Host", "evil.test:8080", "Sec-Fetch-Site", "same-origin"}, 421},
		{"localhost", []string{"Host", "localhost:8080"}, 204},
		{"IPv6", []string{"Host", "[::1]:8080"}, 204},
		{"IPv6 without port", []string{"Host", "[::1]"}, 204},
		{"no name", []string{"Host", ""}, 421},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := still(t)
			for _, target := range []string{"/fault/stall", "/policy/none", "/attempts/7"} {
				if tt.code == 204 && target == "/policy/none" {
					continue // attempts are not for it to say
				}
				if w := ask(l.page(true), "POST", target, tt.headers...); w.Code != tt.code {
					t.Errorf("%s: got %d, want %d", target, w.Code, tt.code)
				}
			}
			fault, _ := l.fault(time.Now())
			if acted := fault != "" || l.policy.name != "client" || l.attempts != 5; acted != (tt.code == 204) {
				t.Errorf("fault %q, policy %s, %d attempts", fault, l.policy.name, l.attempts)
			}
		})
	}
	// A page that serves a network accepts every host name.
	if w := ask(still(t).page(false), "GET", "/", "Host", "storm.test"); w.Code != 200 {
		t.Errorf("not on the loopback: got %d, want 200", w.Code)
	}
}

func TestListenAddress(t *testing.T) {
	for address, want := range map[string]string{
		":8080":          "127.0.0.1:8080",
		":0":             "127.0.0.1:0",
		"localhost:8080": "localhost:8080",
		"0.0.0.0:80":     "0.0.0.0:80",
		"[::1]:8080":     "[::1]:8080",
		"[::]:8080":      "[::]:8080",
	} {
		if got, err := listenAddress(address); got != want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", address, got, err, want)
		}
	}
}

func TestPageFlagsOutOfRange(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct {
		args []string
		want string // in stderr
	}{
		{[]string{"-http", "8080"}, `storm: -http "8080": missing port in address: want host:port or :port, such as :8080`},
		{[]string{"-http", ""}, `storm: -http ""`},
		{[]string{"-http", ":"}, `storm: -http ":": port ""`},
		{[]string{"-http", ":66000"}, `storm: -http ":66000": port "66000": want 0 to 65535`},
		{[]string{"-http", ":-1"}, `port "-1"`},
		{[]string{"-http", "::1:80"}, "too many colons"},
		{[]string{"-http", "http://localhost:80"}, "too many colons"},
		{[]string{"-http", taken.Addr().String()}, "storm: -http " + taken.Addr().String() + ": listen tcp"},
		{[]string{"-http", ":0", "-json"}, "storm: -json: not together with -http"},
		{[]string{"-http", ":0", "-duration", "9s", "-calm", "1s"}, "storm: -calm: not together with -http"},
		{[]string{"-http", ":0", "-stall", "0s"}, "storm: -stall 0s: want more"},
		{[]string{"-http", ":0", "-policies", "nothing"}, `storm: -policies "nothing"`},
		{[]string{"-http", "8080", "-clients", "0"}, "storm: -clients 0"},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), tt.args, &stdout, &stderr); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if !strings.Contains(stderr.String(), tt.want) || stdout.Len() > 0 {
				t.Errorf("stderr %q, want %q in it; stdout %q, want nothing", &stderr, tt.want, &stdout)
			}
		})
	}
}
