package transporttest_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/datapunk/evenkeel/transport/transporttest"
)

// signer is a layer that adds a signature to a copy of each request.
type signer struct{ next http.RoundTripper }

func (s *signer) RoundTrip(req *http.Request) (*http.Response, error) {
	signed := req.WithContext(req.Context()) // shallow: it keeps Body, GetBody and Trailer
	signed.Header = req.Header.Clone()
	if signed.Header != nil { // the base says what is wrong with one that has none
		signed.Header.Set("Signature", "sig1=:...:")
	}
	return s.next.RoundTrip(signed)
}

func (s *signer) CloseIdleConnections() {
	(&http.Client{Transport: s.next}).CloseIdleConnections() // if next has the method
}

// Only a test has a testing.T, so that this example does not run by itself: in
// a test file TestContract is a func of that name.
func Example() {
	TestContract := func(t *testing.T) {
		transporttest.Run(t, func(base http.RoundTripper) http.RoundTripper {
			return &signer{next: base}
		})
	}
	_ = TestContract
}

// The mistake is to write to the request that the caller still owns. The check
// request_unchanged sees it on every ground:
//
//	the contract says: The caller's request is never changed.
//	seen: a GET that succeeds: the Header of the caller's request changed from
//	map[X-Test:[/echo] ...] to map[Signature:[sig1=:...:] X-Test:[/echo] ...]
func ExampleRun_incorrect() {
	TestContract := func(t *testing.T) {
		transporttest.Run(t, func(base http.RoundTripper) http.RoundTripper {
			return &careless{next: base}
		})
	}
	_ = TestContract
}

type careless struct{ next http.RoundTripper }

func (c *careless) RoundTrip(req *http.Request) (*http.Response, error) {
	req.Header.Set("Signature", "sig1=:...:")
	return c.next.RoundTrip(req)
}

// A layer that can refuse is checked twice: open for what the contract asks of
// every layer, and shut for what it asks of a refusal.
func ExampleRunRefusing() {
	TestRefusal := func(t *testing.T) {
		transporttest.RunRefusing(t, func(base http.RoundTripper) http.RoundTripper {
			return shut{}
		})
	}
	_ = TestRefusal
}

// A layer that says in each error which service failed wraps the error of the
// base. errors.Is still finds that, and a timeout is still one.
func ExampleWithWrappedErrors() {
	TestContract := func(t *testing.T) {
		transporttest.Run(t, func(base http.RoundTripper) http.RoundTripper {
			return &naming{next: base}
		}, transporttest.WithWrappedErrors())
	}
	_ = TestContract
}

type naming struct{ next http.RoundTripper }

func (n *naming) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := n.next.RoundTrip(req)
	if err != nil {
		return nil, &serviceError{"api", err}
	}
	return resp, nil
}

func (n *naming) CloseIdleConnections() {
	(&http.Client{Transport: n.next}).CloseIdleConnections()
}

type serviceError struct {
	service string
	err     error
}

func (e *serviceError) Error() string { return "service " + e.service + ": " + e.err.Error() }
func (e *serviceError) Unwrap() error { return e.err }
func (e *serviceError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.err, &t) && t.Timeout()
}

// shut is a layer that lets nothing through.
type shut struct{}

func (shut) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		req.Body.Close()
	}
	return nil, http.ErrServerClosed
}

// The layer of ExampleWithWrappedErrors keeps the contract.
func TestWrappedErrorsPass(t *testing.T) {
	transporttest.Run(t, func(base http.RoundTripper) http.RoundTripper {
		return &naming{next: base}
	}, transporttest.WithWrappedErrors())
}
