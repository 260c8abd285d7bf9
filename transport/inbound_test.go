package transport_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport"
)

// A call that is made for an inbound request leaves retries to the others of
// its chain where they are at it.
func TestRetriesOfAChainDoNotMultiply(t *testing.T) {
	for _, tt := range []struct {
		name    string
		inbound int  // attempt
		saidNo  bool // by an earlier call for the same request
		answer  func(http.Header) int
		sent    int
		stop    transport.StopReason
		passed  bool // up
	}{
		{name: "first attempt above", inbound: 1, sent: 3, stop: transport.StopAttempts, passed: true},
		{name: "attempt unknown", sent: 3, stop: transport.StopAttempts, passed: true},
		{name: "a retry above", inbound: 2, sent: 1, stop: transport.StopDisabled},
		{name: "no from an earlier call", inbound: 1, saidNo: true, sent: 1, stop: transport.StopServerSaidNo, passed: true},
		{name: "no from below", inbound: 1, sent: 1, stop: transport.StopServerSaidNo, passed: true, answer: func(h http.Header) int {
			h.Set("X-Should-Retry", "false")
			return 503
		}},
		{name: "success", inbound: 1, sent: 1, stop: transport.StopSucceeded, answer: func(http.Header) int { return 200 }},
		{name: "the caller's fault", inbound: 1, sent: 1, stop: transport.StopNotRetryable, answer: func(http.Header) int { return 404 }},
	} {
		sent := 0
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			sent++
			w := httptest.NewRecorder()
			status := 503
			if tt.answer != nil {
				status = tt.answer(w.Header())
			}
			w.WriteHeader(status)
			return w.Result(), nil
		})
		chain, err := transport.New(base, transport.WithBudget(nil), transport.WithPolicy(transport.Policy{MaxAttempts: 3, BaseDelay: time.Nanosecond}))
		if err != nil {
			t.Fatal(err)
		}
		hop := &headers.Hop{Attempt: tt.inbound}
		if tt.saidNo {
			hop.SayNo()
		}
		req := httptest.NewRequest("GET", "http://below/", nil).WithContext(headers.WithHop(t.Context(), hop))
		resp, err := chain.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		c, _ := transport.CallOf(resp)
		if sent != tt.sent || c.Stop != tt.stop || hop.SaidNo() != tt.passed {
			t.Errorf("%s: sent %d, stop %q, passed up %v; want %d, %q, %v", tt.name, sent, c.Stop, hop.SaidNo(), tt.sent, tt.stop, tt.passed)
		}
	}
}

// Attempts that were used up while retries help are chance, and no reason for
// those above not to try again.
func TestChanceIsNotPassedUp(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fails  bool // every call before
		passed bool
	}{
		{name: "retries help", passed: false},
		{name: "nothing helps", fails: true, passed: true},
	} {
		status := 0
		base := transport.RoundTripperFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}, nil
		})
		chain, err := transport.New(base, transport.WithPolicy(transport.Policy{MaxAttempts: 2, BaseDelay: time.Nanosecond}))
		if err != nil {
			t.Fatal(err)
		}
		call := func() (*headers.Hop, transport.StopReason) {
			hop := &headers.Hop{Attempt: 1}
			resp, err := chain.RoundTrip(httptest.NewRequest("GET", "http://below/", nil).WithContext(headers.WithHop(t.Context(), hop)))
			if err != nil {
				t.Fatal(err)
			}
			c, _ := transport.CallOf(resp)
			return hop, c.Stop
		}
		for range 200 {
			if status = 200; tt.fails {
				status = 500
			}
			call()
		}
		status = 500
		hop, stop := call()
		if want := map[bool]transport.StopReason{false: transport.StopAttempts, true: transport.StopBudget}[tt.fails]; stop != want {
			t.Errorf("%s: stopped by %q, want %q", tt.name, stop, want)
		}
		if hop.SaidNo() != tt.passed {
			t.Errorf("%s: passed up %v, want %v", tt.name, hop.SaidNo(), tt.passed)
		}
	}
}

// A request whose sender repeats it is sent once, and says why.
func TestRequestsThatTheirSenderRepeats(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		attempts    int
	}{
		{"Amz-Sdk-Request", "attempt=2; max=3", 1},
		{"Amz-Sdk-Request", "attempt=1; max=3", 1},
		{"Amz-Sdk-Request", "attempt=1; max=1", 3},
		{"X-Stainless-Retry-Count", "1", 1},
		{"X-Stainless-Retry-Count", "0", 3},
		{"Retry-Attempt", "2", 1},
		{"Retry-Attempt", "1", 3},
		{"Grpc-Previous-Rpc-Attempts", "1", 1},
		{"X-Goog-Api-Client", "gl-go/1 gccl-attempt-count/2", 1},
		{"X-Envoy-Attempt-Count", "1", 3},
		{"X-Envoy-Attempt-Count", "2", 1},
		{"Opc-Client-Retries", "true", 1},
	} {
		t.Run(tt.name+": "+tt.value, func(t *testing.T) {
			for name, answers := range map[string][]reply{"status": statuses(503), "error": {{err: fmt.Errorf("reset")}}} {
				s := &script{answers: answers}
				var told told
				req := get(t, t.Context())
				req.Header.Set(tt.name, tt.value)
				resp, err := build(t, s, unlimited(), quick, told.option()).RoundTrip(req)
				if err == nil {
					resp.Body.Close()
				}
				want := transport.StopAttempts
				if tt.attempts == 1 {
					want = transport.StopDisabled
				}
				if len(s.seen) != tt.attempts || told.calls[0].Stop != want {
					t.Errorf("%s: %d attempts, stop %s; want %d, %s", name, len(s.seen), told.calls[0].Stop, tt.attempts, want)
				}
			}
		})
	}
}

// A final answer has the same stop reason for every sender of the request.
func TestFinalAnswersOfWhatItsSenderRepeats(t *testing.T) {
	for status, want := range map[int]transport.StopReason{200: transport.StopSucceeded, 404: transport.StopNotRetryable} {
		req := get(t, t.Context())
		req.Header.Set("Retry-Attempt", "2")
		resp, err := build(t, answering(status)).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if call, _ := transport.CallOf(resp); call.Stop != want {
			t.Errorf("%d: stop %s, want %s", status, call.Stop, want)
		}
	}
}

// What the retries of an SDK and of the chain come to, where all attempts fail.
func TestSDKsThatRetry(t *testing.T) {
	for _, tt := range []struct {
		name, header string
		value        func(attempt int) string
		max          int // attempts of the SDK
		sent         int
	}{
		{"AWS", "Amz-Sdk-Request", func(n int) string { return fmt.Sprintf("attempt=%d; max=3", n) }, 3, 3},
		{"AWS, five", "Amz-Sdk-Request", func(n int) string { return fmt.Sprintf("attempt=%d; max=5", n) }, 5, 5},
		{"AWS, told not to", "Amz-Sdk-Request", func(n int) string { return "attempt=1; max=1" }, 1, 3},
		{"Oracle", "Opc-Client-Retries", func(int) string { return "true" }, 3, 3},
		{"Stainless", "X-Stainless-Retry-Count", func(n int) string { return fmt.Sprint(n - 1) }, 3, 5},
		{"Stainless, told not to", "X-Stainless-Retry-Count", func(n int) string { return "0" }, 1, 3},
		{"Google", "X-Goog-Api-Client", func(n int) string { return fmt.Sprintf("gl-go/1 gccl-attempt-count/%d", n) }, 3, 5},
	} {
		s := &script{answers: statuses(503)}
		rt := build(t, s, unlimited(), quick)
		for n := range tt.max {
			req := get(t, t.Context())
			req.Header.Set(tt.header, tt.value(n+1))
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		if len(s.seen) != tt.sent {
			t.Errorf("%s: %d attempts of the SDK became %d, want %d", tt.name, tt.max, len(s.seen), tt.sent)
		}
	}
}

// A proxy leaves retries to a client that is at it.
func TestProxiedRetries(t *testing.T) {
	s := &script{answers: statuses(503)}
	proxy := &httputil.ReverseProxy{Transport: build(t, s, unlimited(), quick), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: "api.test"})
	}}
	for _, tt := range []struct {
		header, value string
		want          int
	}{{"", "", 3}, {"Retry-Attempt", "2;max=3", 1}, {"Retry-Attempt", "1", 3}, {"Retry-Attempt", "1;max=3", 3}, {"Amz-Sdk-Request", "attempt=1; max=3", 1}, {"X-Envoy-Attempt-Count", "1", 3}} {
		s.seen = nil
		req := httptest.NewRequest("GET", "/", nil)
		if tt.header != "" {
			req.Header.Set(tt.header, tt.value)
		}
		proxy.ServeHTTP(httptest.NewRecorder(), req)
		if len(s.seen) != tt.want {
			t.Errorf("%s: %s: %d attempts, want %d", tt.header, tt.value, len(s.seen), tt.want)
		}
	}
}

// A proxy that retries the first attempt of a chain further out numbers its own, and
// leaves retries to an SDK that announces itself too.
func TestProxyNumbersItsAttempts(t *testing.T) {
	for _, tt := range []struct {
		name string
		own  http.Header
		want []string
	}{
		{"the first of several", http.Header{"Retry-Attempt": {"1;max=5"}}, []string{"1;max=5", "2;max=3", "3;max=3"}},
		{"the first of one", http.Header{"Retry-Attempt": {"1;max=1"}}, []string{"1;max=1", "1;max=1", "1;max=1"}},
		{"the second", http.Header{"Retry-Attempt": {"2;max=5"}}, []string{"2;max=5"}},
		{"the first, of an SDK too", http.Header{"Retry-Attempt": {"1;max=5"}, "Amz-Sdk-Request": {"attempt=1; max=2"}}, []string{"1;max=5"}},
	} {
		s := &script{answers: statuses(503)}
		req := get(t, t.Context())
		maps.Copy(req.Header, tt.own)
		resp, err := build(t, s, unlimited(), quick).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		var got []string
		for _, sent := range s.seen {
			value, _, _ := strings.Cut(sent.Header.Get("Retry-Attempt"), ";id=")
			got = append(got, value)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: sent %q, want %q", tt.name, got, tt.want)
		}
		if !maps.EqualFunc(req.Header, tt.own, slices.Equal) {
			t.Errorf("%s: the caller's header is now %v, want %v", tt.name, req.Header, tt.own)
		}
	}
}

// The first attempt of an SDK may be hedged, which it does not do itself; its
// retries are sent once.
func TestHedgingBelowAnSDK(t *testing.T) {
	for value, want := range map[string]int{"attempt=1; max=3": 2, "attempt=2; max=3": 1} {
		synctest.Test(t, func(t *testing.T) {
			base := &replicas{copies: []copyOf{{after: time.Second, status: 200}, {after: time.Millisecond, status: 200}}}
			req := get(t, t.Context())
			req.Header.Set("Amz-Sdk-Request", value)
			resp, err := build(t, base, unlimited(), transport.WithHedging(transport.Hedge{Delay: 100 * time.Millisecond})).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if len(base.seen) != want {
				t.Errorf("%s: %d copies, want %d", value, len(base.seen), want)
			}
		})
	}
}

// An attempt that no layer sent multiplies nothing: it is asked for again.
func TestRefusedBeforeItsSenderRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: statuses(503)}
		asked := 0
		rt := build(t, s, unlimited(), transport.WithBreaker(layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if asked++; asked == 1 {
				return nil, refusedFor(time.Millisecond)
			}
			return next.RoundTrip(req)
		})), steady(10*time.Millisecond))
		req := get(t, t.Context())
		req.Header.Set("Amz-Sdk-Request", "attempt=1; max=3")
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		call, _ := transport.CallOf(resp)
		if asked != 2 || len(s.seen) != 1 || call.Stop != transport.StopDisabled {
			t.Errorf("asked for %d times and sent %d times, stop %s; want 2, 1, %s", asked, len(s.seen), call.Stop, transport.StopDisabled)
		}
	})
}

// Of two chains, one inside the other, the outer one retries; unless it does
// not, by its policy or in a dry run.
func TestChainInsideAnother(t *testing.T) {
	for _, tt := range []struct {
		name  string
		outer []transport.Option
		want  int
	}{
		{"both retry", nil, 3},
		{"five outside", []transport.Option{transport.WithPolicy(transport.Policy{MaxAttempts: 5, BaseDelay: 1, MaxDelay: 1})}, 5},
		{"none outside", []transport.Option{transport.WithPolicy(transport.Policy{MaxAttempts: 1})}, 3},
		{"a dry run outside", []transport.Option{transport.WithDryRun()}, 3},
		{"another request inside", []transport.Option{transport.WithAttemptLayer(layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			req = req.Clone(req.Context())
			req.URL.Path = "/elsewhere"
			req.Header.Del("Retry-Attempt")
			return next.RoundTrip(req)
		}))}, 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{answers: statuses(503)}
			inner := build(t, s, unlimited(), quick)
			send(t, build(t, transport.Chain(inner, layered), append([]transport.Option{unlimited(), quick}, tt.outer...)...))
			if len(s.seen) != tt.want {
				t.Errorf("%d attempts, want %d", len(s.seen), tt.want)
			}
		})
	}
}
