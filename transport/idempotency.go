package transport

import (
	"crypto/rand"
	"net/http"

	"github.com/datapunk/evenkeel/headers"
)

// withIdempotencyKey returns req with a fresh key if it is a POST or PATCH
// that has none. It is made once per call, above the loop, so that all
// attempts carry the same (draft-ietf-httpapi-idempotency-key-header).
func withIdempotencyKey(req *http.Request) *http.Request {
	if !takesKey(req) || isSafe(req) {
		return req
	}
	req = withHeader(req)
	req.Header[headers.IdempotencyKey] = []string{headers.FormatIdempotencyKey(rand.Text())}
	return req
}

func takesKey(req *http.Request) bool {
	return req.Method == http.MethodPost || req.Method == http.MethodPatch
}
