package transporttest_test

import (
	"net/http"
	"testing"

	"github.com/datapunk/evenkeel/transport/transporttest"
)

// The layers of the examples are what the examples say.
func TestSigner(t *testing.T) {
	transporttest.Run(t, func(base http.RoundTripper) http.RoundTripper { return &signer{next: base} })
}

func TestShut(t *testing.T) {
	transporttest.RunRefusing(t, func(http.RoundTripper) http.RoundTripper { return shut{} })
}
