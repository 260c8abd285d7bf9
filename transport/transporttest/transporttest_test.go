package transporttest

import (
	"net/http"
	"testing"
)

func TestIdentity(t *testing.T) {
	Run(t, func(base http.RoundTripper) http.RoundTripper { return base })
}
