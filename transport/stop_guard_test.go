package transport_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// A layer that holds calls back as a guard does is named as one.
func TestHeldBackIsStoppedByGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := &transport.GuardError{Service: "api.test", RetryIn: time.Hour}
		holds := layer(func(http.RoundTripper, *http.Request) (*http.Response, error) { return nil, held })
		_, err := build(t, answering(200), transport.WithBreaker(holds)).RoundTrip(get(t, t.Context()))
		var e *transport.Error
		if !errors.As(err, &e) || e.Stop != transport.StopGuard || e.Attempts != 0 || !errors.Is(err, held) {
			t.Errorf("%v, want no attempt, stopped by guard", err)
		}
	})
}
