package clients_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stripe/stripe-go/v82"
)

func stripeClient(url string, chain http.RoundTripper) *stripe.Client {
	config := &stripe.BackendConfig{URL: &url, LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull}}
	// README: stripe
	config.HTTPClient = &http.Client{Transport: chain}
	config.MaxNetworkRetries = stripe.Int64(0)
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, config)
	// README: end
	return stripe.NewClient("key", stripe.WithBackends(&stripe.Backends{API: backend}))
}

func TestStripe(t *testing.T) {
	t.Parallel()
	const route = "POST /v1/customers"
	busy := answer(503, "application/json", `{"error":{"type":"api_error","message":"busy"}}`)
	create := func(t *testing.T, b *backend, rt http.RoundTripper) (string, error) {
		customer, err := stripeClient(b.URL, rt).V1Customers.Create(t.Context(), &stripe.CustomerCreateParams{Name: stripe.String("Ann")})
		if err != nil {
			return "", err
		}
		return customer.ID, nil
	}

	t.Run("with the SDK's key", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, busy, answer(200, "application/json", `{"id":"cus_1","object":"customer"}`))
		chain, calls := newChain(t, bare(t))
		if id, err := create(t, b, chain); id != "cus_1" || err != nil {
			t.Errorf("created %q, %v, want cus_1", id, err)
		}
		b.expect(t, route, 3)
		first := b.of(route)[0]
		if string(first.body) != "name=Ann" {
			t.Errorf("body %q, want name=Ann", first.body)
		}
		for _, a := range b.of(route) {
			if key := a.Get("Idempotency-Key"); key == "" || key != first.Get("Idempotency-Key") {
				t.Errorf("key %q, want one, the same on all: %q", key, first.Get("Idempotency-Key"))
			}
		}
		if got, want := calls.String(), "[POST 3 succeeded]"; got != want {
			t.Errorf("calls %s, want %s", got, want)
		}
	})
	t.Run("three attempts stay three", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, busy, nil)
		chain, _ := newChain(t, bare(t))
		_, err := create(t, b, chain)
		if api, ok := errors.AsType[*stripe.Error](err); !ok || api.HTTPStatusCode != 503 {
			t.Errorf("error %v, want a stripe.Error of status 503", err)
		}
		b.expect(t, route, 3)
	})
	t.Run("three attempts stay three without an answer", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, reset, nil)
		chain, _ := newChain(t, bare(t))
		_, with := create(t, b, chain)
		b.expect(t, route, 3)
		_, without := create(t, b, bare(t))
		sameError(t, without, with)
	})
	t.Run("Stripe says no", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Stripe-Should-Retry", "false")
			busy(w, r)
		}, nil)
		chain, calls := newChain(t, bare(t))
		_, without := create(t, b, bare(t))
		_, with := create(t, b, chain)
		sameError(t, without, with)
		b.expect(t, route, 2) // one each
		if got, want := calls.String(), "[POST 1 server_said_no]"; got != want {
			t.Errorf("calls %s, want %s", got, want)
		}
	})
	t.Run("a lock is held", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, answer(409, "application/json", `{"error":{"type":"invalid_request_error","code":"lock_timeout"}}`),
			answer(200, "application/json", `{"id":"cus_1","object":"customer"}`))
		chain, _ := newChain(t, bare(t))
		p := readmePolicy()
		p.Statuses = []int{408, 409, 425, 429, 500, 502, 503, 504}
		if err := chain.SetPolicy("", p); err != nil {
			t.Fatal(err)
		}
		if _, err := create(t, b, chain); err != nil {
			t.Error(err)
		}
		b.expect(t, route, 3)
	})
	t.Run("a card is declined", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, answer(402, "application/json", `{"error":{"type":"card_error","code":"card_declined"}}`), nil)
		chain, _ := newChain(t, bare(t))
		_, without := create(t, b, bare(t))
		_, with := create(t, b, chain)
		sameError(t, without, with)
		if api, ok := errors.AsType[*stripe.Error](with); !ok || api.Code != stripe.ErrorCodeCardDeclined {
			t.Errorf("error %v, want a stripe.Error of a card that is declined", with)
		}
	})
}
