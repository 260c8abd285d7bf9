package redisbudget_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/redisbudget"
	"github.com/datapunk/evenkeel/transport"
	"github.com/redis/go-redis/v9"
)

// upstream answers 503 so many times, and then 200.
type upstream struct{ failures atomic.Int64 }

func (u *upstream) RoundTrip(req *http.Request) (*http.Response, error) {
	status := http.StatusOK
	if u.failures.Add(-1) >= 0 {
		status = http.StatusServiceUnavailable
	}
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(http.StatusText(status))), Request: req,
	}, nil
}

func newFleet(t *testing.T, client redis.UniversalClient, opts ...redisbudget.Option) *redisbudget.Fleet {
	t.Helper()
	f, err := redisbudget.New(client, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close(t.Context()) })
	return f
}

// A process that holds no credit fetches some while it waits to retry. The
// first refusal wakes the exchange, the second question finds the token.
func TestTransportFetchesCreditDuringTheWait(t *testing.T) {
	client, stop := connect()
	t.Cleanup(stop)
	policy := budget.Policy{Ratio: 0.1, Pool: time.Minute}

	// Elsewhere calls succeed.
	elsewhere := newFleet(t, client)
	b, err := elsewhere.Budget("api.test", policy)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		b.Deposit() // a token in all
	}
	if err := elsewhere.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	fleet := newFleet(t, client)
	var up upstream
	budgets, err := fleet.PerService(policy, 10)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := transport.New(&up, transport.WithBudget(budgets),
		transport.WithBackoff(func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return time.Second }))
	if err != nil {
		t.Fatal(err)
	}
	get := func(failures int64) (*http.Response, string, transport.Call) {
		t.Helper()
		up.failures.Store(failures)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://api.test/", nil)
		resp, err := chain.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		call, _ := transport.CallOf(resp)
		return resp, string(body), call
	}

	resp, body, call := get(1)
	if resp.StatusCode != http.StatusOK || call.Attempts != 2 {
		t.Errorf("got %d %q after %d attempts (%s), want a retry paid with the token from elsewhere", resp.StatusCode, body, call.Attempts, call.Stop)
	}
	s := fleet.Stats("api.test")
	if s.Spent != 1 || s.Denied != 1 || s.Granted != 1 {
		t.Errorf("%+v, want one refusal, one token granted and one spent", s)
	}
	// Now the fleet has nothing: the real answer comes back, body and all.
	resp, body, call = get(1)
	if resp.StatusCode != http.StatusServiceUnavailable || body != "Service Unavailable" || call.Attempts != 1 || call.Stop != transport.StopBudget {
		t.Errorf("got %d %q after %d attempts (%s), want the answer of the first and stop at the budget", resp.StatusCode, body, call.Attempts, call.Stop)
	}
}
