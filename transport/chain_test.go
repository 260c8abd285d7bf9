package transport_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/transport"
)

// lost is a layer whose author forgot to return what it made.
func lost(http.RoundTripper) http.RoundTripper { return nil }

// A layer that comes out nil is found when the chain is made, not by its first
// call.
func TestLayersThatAreNil(t *testing.T) {
	_, err := transport.New(answering(200),
		transport.WithCallLayer(layered, nil, lost, layered),
		transport.WithAttemptLayer(layered), transport.WithAttemptLayer(lost, lost),
		transport.WithBreaker(lost))
	if err == nil {
		t.Fatal("New took layers that return nil")
	}
	want := []string{
		"transport: WithAttemptLayer: middleware 3 of 3 returned nil, want a RoundTripper",
		"transport: WithBreaker: middleware 1 of 1 returned nil, want a RoundTripper",
		"transport: WithCallLayer: middleware 3 of 4 returned nil, want a RoundTripper",
	}
	if got := strings.Split(err.Error(), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("New says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A layer that is not there is left out, so that one may depend on a setting.
func TestLayersThatAreNotThere(t *testing.T) {
	var off transport.Middleware
	rt := build(t, answering(200), transport.WithCallLayer(off), transport.WithAttemptLayer(off, off), transport.WithBreaker(off))
	if resp, err := rt.RoundTrip(get(t, t.Context())); err != nil || resp.StatusCode != 200 {
		t.Errorf("%v, %v; want 200", resp, err)
	}
	base := answering(200)
	if resp, err := transport.Chain(base, off, layered, off).RoundTrip(get(t, t.Context())); err != nil || resp.StatusCode != 200 {
		t.Errorf("Chain: %v, %v; want 200", resp, err)
	}
}

// A nil Transport of an http.Client is http.DefaultTransport: Chain must not
// return one where a layer was asked for.
func TestChainOfALayerThatIsNil(t *testing.T) {
	defer func() {
		if got, want := recover(), "transport: Chain: middleware 2 of 2 returned nil, want a RoundTripper"; got != want {
			t.Errorf("panic %v, want %q", got, want)
		}
	}()
	transport.Chain(answering(200), layered, lost)
}
