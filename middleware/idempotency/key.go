package idempotency

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"

	"github.com/datapunk/evenkeel/headers"
)

// hasKey reports whether the request has a key, or what is to be one.
func hasKey(h http.Header) bool {
	return len(h[headers.IdempotencyKey]) > 0 || len(h[headers.XIdempotencyKey]) > 0
}

// keyOf returns the key of the request. A request must have one at most, so two
// fields are a mistake, unless they are the two names of the header with one key.
func keyOf(h http.Header) (string, bool) {
	values, older := h[headers.IdempotencyKey], h[headers.XIdempotencyKey]
	if len(values) > 1 || len(older) > 1 {
		return "", false
	}
	if len(values) == 0 {
		return headers.ParseIdempotencyKey(older[0])
	}
	key, ok := headers.ParseIdempotencyKey(values[0])
	if len(older) == 1 {
		if other, _ := headers.ParseIdempotencyKey(older[0]); other != key {
			return "", false
		}
	}
	return key, ok
}

// ByAuthorization is a scope for [New]: the caller is known by these credentials,
// by a digest of the Authorization header. It returns false without that header. A caller
// whose token is replaced between two attempts is another caller, so the id of an
// account is better where it is known.
func ByAuthorization(r *http.Request) (caller string, ok bool) {
	values := r.Header["Authorization"]
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	sum := sha256.Sum256([]byte(values[0]))
	return base64.RawURLEncoding.EncodeToString(sum[:]), true
}

// Derive returns the key for a call that the handler makes, such as a charge at a
// payment provider. It is the same on every run of the request, and another for
// another name, key or caller. So a run that is resumed repeats the call with the key
// of the first one, and the receiver repeats its answer. Without a key in ctx it
// returns a new one.
func Derive(ctx context.Context, name string) string {
	info, ok := ctx.Value(infoKey{}).(*Info)
	if !ok {
		return headers.NewIdempotencyKey()
	}
	return headers.DeriveIdempotencyKey(info.Hold.Key, name)
}
