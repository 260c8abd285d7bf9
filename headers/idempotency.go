package headers

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
)

// maxKey bounds an idempotency key, as Stripe does.
const maxKey = 255

// FormatIdempotencyKey formats a key as a String of RFC 9651, in quotes, as the
// draft requires. It returns "" for a key that is empty, longer than 255 bytes or
// not printable ASCII.
func FormatIdempotencyKey(key string) string {
	if key == "" || len(key) > maxKey || !printable(key) {
		return ""
	}
	return string(appendString(make([]byte, 0, len(key)+2), key))
}

// ParseIdempotencyKey reads a key of 1 to 255 printable ASCII characters. It may be
// in quotes, or without as Stripe and others send it.
func ParseIdempotencyKey(value string) (key string, ok bool) {
	value = trim(value)
	if len(value) > 0 && value[0] == '"' {
		s, ok := scan(value)
		if !ok {
			return "", false
		}
		item, ok := s.item()
		ok = ok && s.params()
		s.spaces()
		if !ok || !s.done() || item.kind != kindString {
			return "", false
		}
		key = item.unescaped()
	} else {
		key = value
	}
	if key == "" || len(key) > maxKey || !printable(key) {
		return "", false
	}
	return key, true
}

// IdempotencyKeyOf returns the key of a request, from Idempotency-Key or else from
// X-Idempotency-Key.
func IdempotencyKeyOf(h http.Header) (key string, ok bool) {
	for _, name := range [...]string{IdempotencyKey, XIdempotencyKey} {
		if v, has := only(h, name); has {
			if key, ok := ParseIdempotencyKey(v); ok {
				return key, true
			}
		}
	}
	return "", false
}

// NewIdempotencyKey returns a key that nobody else has: 26 random letters and digits.
// Make it where the intent is made, and store it with the intent. If a user clicks
// again, or a job is run again, the request has the same key and happens once. A key
// made for each call, as transport.WithIdempotencyKeys makes it, is another one then.
func NewIdempotencyKey() string { return rand.Text() }

// DeriveIdempotencyKey returns the key for one of the requests that belong to an
// intent, such as its charge or its receipt. The same parent and name give the same
// key, others give others. It has 43 letters, digits, hyphens and underscores, and
// does not tell the parent.
func DeriveIdempotencyKey(parent, name string) string {
	h := sha256.New()
	var length [8]byte
	for _, part := range [...]string{"evenkeel derived key", parent, name} {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
