package idempotency

import (
	"io"
	"maps"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

const unbounded = math.MaxInt64

// A recorder is the handler's ResponseWriter. It keeps the answer until that is stored.
// It has no Hijack and no way to the writer inside, because what went past it could not
// be repeated.
type recorder struct {
	inner     http.ResponseWriter
	limit     int64 // of the body; a longer one becomes a stream
	before    http.Header
	code      int // 0 until the handler has written its header
	fields    http.Header
	body      []byte
	streaming bool // the answer goes out as it comes, and is not kept
}

func newRecorder(w http.ResponseWriter, limit int64) *recorder {
	return &recorder{inner: w, limit: limit, before: w.Header().Clone()}
}

// Header returns the one of the writer inside, with what outer layers have set.
func (r *recorder) Header() http.Header { return r.inner.Header() }

// WriteHeader passes informational responses, which are not kept.
func (r *recorder) WriteHeader(status int) {
	switch {
	case r.code != 0:
		// As of net/http, the first one counts.
	case status >= 200 && status <= 999 || status == http.StatusSwitchingProtocols:
		r.begin(status)
	default: // informational, or invalid: then net/http panics
		r.inner.WriteHeader(status)
	}
}

// begin keeps the header as it is: what the handler sets later does not count, unless
// it is a trailer.
func (r *recorder) begin(status int) {
	r.code = status
	r.fields = r.inner.Header().Clone()
}

func (r *recorder) Write(p []byte) (int, error) {
	if err := r.room(len(p)); err != nil {
		return 0, err
	}
	if r.streaming {
		return r.inner.Write(p)
	}
	r.body = append(r.body, p...)
	return len(p), nil
}

// WriteString implements [io.StringWriter].
func (r *recorder) WriteString(s string) (int, error) {
	if err := r.room(len(s)); err != nil {
		return 0, err
	}
	if r.streaming {
		return io.WriteString(r.inner, s)
	}
	r.body = append(r.body, s...)
	return len(s), nil
}

// room prepares for n more bytes of the body.
func (r *recorder) room(n int) error {
	if r.code == 0 {
		r.begin(http.StatusOK)
	}
	if !bodyAllowed(r.code) {
		return http.ErrBodyNotAllowed
	}
	if !r.streaming && int64(len(r.body))+int64(n) > r.limit {
		r.stream()
	}
	return nil
}

// stream sends what there is, and from now on everything as it comes.
func (r *recorder) stream() {
	if !r.streaming {
		r.send()
		r.streaming = true
		r.body = nil
	}
}

// SetReadDeadline is for [http.ResponseController].
func (r *recorder) SetReadDeadline(t time.Time) error {
	return http.NewResponseController(r.inner).SetReadDeadline(t)
}

// SetWriteDeadline is for [http.ResponseController].
func (r *recorder) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(r.inner).SetWriteDeadline(t)
}

func (r *recorder) wrote() bool { return r.code != 0 }

// status is the one of the answer: that of a handler that writes nothing is 200.
func (r *recorder) status() int {
	if r.code == 0 {
		return http.StatusOK
	}
	return r.code
}

// header is that of the answer.
func (r *recorder) header() http.Header {
	if r.code == 0 {
		return r.inner.Header()
	}
	return r.fields
}

// answer returns what is stored: the kept fields, and a body of at most limit bytes.
func (r *recorder) answer(kept map[string]bool, limit int64) Answer {
	a := Answer{Status: max(200, r.status()), Body: r.body}
	for name, values := range r.header() {
		if kept[name] && len(values) > 0 {
			if a.Header == nil {
				a.Header = make(http.Header)
			}
			a.Header[name] = values
		}
	}
	if r.streaming || int64(len(r.body)) > limit || r.status() < 200 {
		return a.tombstone()
	}
	return a
}

// final says of a stored failure that it does no good to send the request again: it
// would get the same answer.
func (r *recorder) final() {
	if !r.streaming && r.code >= 500 {
		headers.SetVerdict(r.fields, headers.DoNotRetry)
	}
}

// send writes the answer to the client. A handler that wrote nothing leaves that to
// net/http, or to the layer that knows why.
func (r *recorder) send() {
	if r.streaming || r.code == 0 {
		return
	}
	h := r.inner.Header()
	late := maps.Clone(h)
	clear(h)
	maps.Copy(h, r.fields)
	r.inner.WriteHeader(r.code)
	if len(r.body) > 0 {
		r.inner.Write(r.body)
	}
	for name, values := range late { // which are trailers now
		if strings.HasPrefix(name, http.TrailerPrefix) || announced(r.fields, name) {
			h[name] = values
		}
	}
}

// announced reports whether a field is named in a Trailer field.
func announced(h http.Header, name string) bool {
	for _, line := range h["Trailer"] {
		for field := range strings.SplitSeq(line, ",") {
			if http.CanonicalHeaderKey(strings.TrimSpace(field)) == name {
				return true
			}
		}
	}
	return false
}

// discard takes back what the handler has set in the header, for another answer.
func (r *recorder) discard() {
	h := r.inner.Header()
	clear(h)
	maps.Copy(h, r.before)
}

// bodyAllowed reports whether a response with the status has one (RFC 9110 section 6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// shape returns the writer for the handler: one that can flush if the writer inside
// can. The first flush makes the answer a stream.
func (r *recorder) shape() http.ResponseWriter {
	for w := r.inner; ; {
		switch w.(type) {
		case http.Flusher, interface{ FlushError() error }:
			return flusher{r}
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return r
		}
		w = u.Unwrap()
	}
}

type flusher struct{ *recorder }

func (f flusher) Flush() { f.FlushError() }

func (f flusher) FlushError() error {
	if f.code == 0 {
		f.begin(http.StatusOK)
	}
	f.stream()
	return http.NewResponseController(f.inner).Flush()
}
