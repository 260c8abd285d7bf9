package idempotency

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
)

// read returns the fingerprint of the request, or why it cannot be computed. It reads
// the body and puts it back.
func (x *exchange) read() (fingerprint string, problem Outcome) {
	r := x.request
	digest, known := contentDigest(r.Header)
	known = known && x.fingerprint == nil
	if r.ContentLength > x.maxRequest && !known {
		return "", OutcomeBodyTooLarge
	}
	var body []byte
	if r.Body != nil && r.Body != http.NoBody {
		var err error
		if body, err = readUpTo(r.Body, r.ContentLength, x.maxRequest); err != nil {
			return "", unreadable(err)
		}
	}
	whole := int64(len(body)) <= x.maxRequest
	switch {
	case !whole && !known:
		return "", OutcomeBodyTooLarge
	case !whole:
		x.request = withBody(r, &verified{Reader: io.MultiReader(bytes.NewReader(body), r.Body), closer: r.Body, sum: sha256.New(), want: digest})
	default:
		if r.Body != nil && r.Body != http.NoBody {
			x.request = withBody(r, again{bytes.NewReader(body), r.Body})
		}
		digest = sha256.Sum256(body)
	}
	if x.fingerprint != nil {
		return encode(x.fingerprint(x.request, body)), ""
	}
	return encode([]byte(r.Method), []byte(target(r)), []byte(contentType(r.Header)), digest[:]), ""
}

// readUpTo reads the body, or limit and one byte of it.
func readUpTo(body io.Reader, length, limit int64) ([]byte, error) {
	var b bytes.Buffer
	if 0 < length && length <= limit {
		b.Grow(int(length) + bytes.MinRead) // which spares a copy at the end
	}
	_, err := b.ReadFrom(io.LimitReader(body, limit+1))
	return b.Bytes(), err
}

func unreadable(err error) Outcome {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return OutcomeBodyTooLarge
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return OutcomeCancelled
	}
	return OutcomeBodyUnreadable
}

func withBody(r *http.Request, body io.ReadCloser) *http.Request {
	r = r.WithContext(r.Context())
	r.Body = body
	return r
}

// again is a body that has been read, before its end.
type again struct {
	*bytes.Reader
	io.Closer
}

// target is what the client asked for. A router outside may have changed the URL,
// so it is taken from the request line, where that has a path.
func target(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	if r.URL.RawQuery == "" {
		return r.URL.EscapedPath()
	}
	return r.URL.EscapedPath() + "?" + r.URL.RawQuery
}

// contentType is in lower case, because clients differ in how they write it. What it
// loses of a boundary is in the body too.
func contentType(h http.Header) string {
	return strings.ToLower(strings.TrimSpace(h.Get("Content-Type")))
}

// encode returns a fingerprint of parts, in the form of record keys.
func encode(parts ...[]byte) string {
	h := sha256.New()
	var length [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
