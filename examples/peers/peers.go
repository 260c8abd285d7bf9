// Package peers benchmarks the chain of package transport and other Go libraries
// that retry or break circuits, in one process and one run. It is a module of its
// own, so none of them is a dependency of evenkeel. Its README says how to run it
// and how to read the results.
package peers

import (
	"net/http"
	"time"

	"github.com/PuerkitoBio/rehttp"
	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/transport"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"
	"github.com/sony/gobreaker/v2"
)

// A Contestant puts a library around a base.
type Contestant struct {
	Name string
	Wrap func(base http.RoundTripper) http.RoundTripper
}

// Contestants returns the bare base first and evenkeel second. Each that retries
// makes up to three attempts and otherwise has its defaults. None logs.
func Contestants() []Contestant {
	return []Contestant{
		{"bare", func(base http.RoundTripper) http.RoundTripper { return base }},
		{"evenkeel", func(base http.RoundTripper) http.RoundTripper { return must(transport.New(base)) }},
		{"evenkeel+breaker", func(base http.RoundTripper) http.RoundTripper {
			circuits := must(breaker.New())
			return must(transport.New(base, transport.WithBreaker(circuits.Wrap)))
		}},
		{"failsafe-go", func(base http.RoundTripper) http.RoundTripper {
			return failsafehttp.NewRoundTripper(base, failsafehttp.NewRetryPolicyBuilder().
				WithBackoff(100*time.Millisecond, 2*time.Second).Build())
		}},
		{"failsafe-go+breaker", func(base http.RoundTripper) http.RoundTripper {
			return failsafehttp.NewRoundTripper(base, failsafehttp.NewRetryPolicyBuilder().
				WithBackoff(100*time.Millisecond, 2*time.Second).Build(), circuitbreaker.NewWithDefaults[*http.Response]())
		}},
		{"go-retryablehttp", func(base http.RoundTripper) http.RoundTripper {
			c := retryablehttp.NewClient()
			c.HTTPClient = &http.Client{Transport: base}
			c.RetryMax = 2
			c.Logger = nil
			return &retryablehttp.RoundTripper{Client: c}
		}},
		{"rehttp", func(base http.RoundTripper) http.RoundTripper {
			return rehttp.NewTransport(base,
				rehttp.RetryAll(rehttp.RetryMaxRetries(2), rehttp.RetryAny(rehttp.RetryTemporaryErr(), rehttp.RetryStatusInterval(500, 600))),
				rehttp.ExpJitterDelay(100*time.Millisecond, 2*time.Second))
		}},
		{"gobreaker", func(base http.RoundTripper) http.RoundTripper {
			return &broken{next: base, cb: gobreaker.NewCircuitBreaker[*http.Response](gobreaker.Settings{})}
		}},
	}
}

// broken is the smallest RoundTripper with gobreaker around it.
type broken struct {
	next http.RoundTripper
	cb   *gobreaker.CircuitBreaker[*http.Response]
}

func (b *broken) RoundTrip(req *http.Request) (*http.Response, error) {
	return b.cb.Execute(func() (*http.Response, error) { return b.next.RoundTrip(req) })
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
