package idempotency

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// An Option changes what [New] builds.
type Option func(*config)

type config struct {
	store Store
	scope func(*http.Request) (string, bool)

	required, resume, inTx func(*http.Request) bool
	wait, keep, lease      time.Duration
	maxRequest, maxAnswer  int64
	releaseOn              func(int) bool
	fingerprint            func(*http.Request, []byte) []byte
	headers                []string // that KeepHeaders adds
	failOpen               bool
	docs                   string
	observers              []Observer

	tx   Transactor      // the store, if there is an InTransaction
	kept map[string]bool // the fields of an answer that are kept
}

func defaults() config {
	return config{
		keep: 24 * time.Hour, lease: 30 * time.Second,
		maxRequest: 1 << 20, maxAnswer: 256 << 10,
		releaseOn: passing,
	}
}

func (c *config) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("idempotency: "+format, args...)) }
	if c.store == nil {
		wrong("New: want a store, not nil")
	}
	if c.scope == nil {
		wrong("New: want a scope, not nil")
	}
	if c.lease < time.Second {
		wrong("Lease(%v): want at least 1s", c.lease)
	}
	if c.keep <= c.lease {
		wrong("Keep(%v): want more than Lease(%v)", c.keep, c.lease)
	}
	if c.wait < 0 || c.wait > c.lease {
		wrong("Wait(%v): want 0 to Lease(%v)", c.wait, c.lease)
	}
	if c.maxRequest <= 0 || c.maxAnswer <= 0 {
		wrong("MaxBody(%d, %d): want two positive numbers of bytes", c.maxRequest, c.maxAnswer)
	}
	if tx, ok := c.store.(Transactor); c.inTx != nil && ok {
		c.tx = tx
	} else if c.inTx != nil && c.store != nil {
		wrong("InTransaction: want a store that is a Transactor, which %T is not", c.store)
	}
	for _, name := range c.headers {
		if !validField(name) {
			wrong("KeepHeaders(%q): want the name of a header", name)
		} else if slices.Contains(neverKept, http.CanonicalHeaderKey(name)) {
			wrong("KeepHeaders(%q): want a header that any sender of the request may see", name)
		}
	}
	if u, err := url.Parse(c.docs); c.docs != "" && (err != nil || !u.IsAbs() || strings.ContainsAny(c.docs, "<>\"\\ ")) {
		wrong("DocsURL(%q): want an absolute URL", c.docs)
	}
	return errors.Join(errs...)
}

// Required sets which requests must have a key. A POST or PATCH that matches and has
// no key gets 400. By default no request must have one: a request without a key passes
// as if the middleware were not there.
func Required(match func(*http.Request) bool) Option {
	return func(c *config) { c.required = match }
}

// Resume sets which requests are run again after their process has died, panicked or
// been interrupted, and left no answer. Their handler must be able to find out what
// the earlier run has done, or do nothing that must not be done twice; [Info].Runs tells
// it. By default no request is run again: the next request with the key is told that the
// outcome is unknown.
func Resume(match func(*http.Request) bool) Option {
	return func(c *config) { c.resume = match }
}

// InTransaction sets which requests are run in a transaction of the store, in which
// the answer is committed together with what the handler writes. Only then is the
// effect exactly once. Such a request is always resumed: what the earlier run had not
// committed did not happen. A status of 500 or above, one of [ReleaseOn] and a panic
// roll the transaction back and free the key. The answer is sent after the commit, so
// all of it is kept in memory until then, and the handler can not flush. The default is
// none; it is an error with a store that is no [Transactor].
func InTransaction(match func(*http.Request) bool) Option {
	return func(c *config) { c.inTx = match }
}

// Wait sets how long a request waits for another one with its key that is running.
// It gets the answer of the other one if that comes in time, and 409 otherwise. The
// default is 0: 409 at once. A negative duration, and one longer than [Lease], is an
// error.
func Wait(d time.Duration) Option {
	return func(c *config) { c.wait = d }
}

// Keep sets how long a record is kept after its request has ended. A request that is
// sent again later than that is run again. The default is 24 h; a duration that is not
// longer than [Lease] is an error.
func Keep(d time.Duration) Option {
	return func(c *config) { c.keep = d }
}

// Lease sets how long a run may show no sign of life before it is given up as dead. A
// run that goes on renews its lease each third of it. A process that pauses for longer
// loses the key: it can no longer store an answer, and commits nothing in a
// transaction of the store. The default is 30 s; less than 1 s is an error.
func Lease(d time.Duration) Option {
	return func(c *config) { c.lease = d }
}

// MaxBody sets how many bytes of a request's body are read to compare it with an
// earlier one, and how many of an answer's body are kept. A longer request gets 413,
// unless it has a Content-Digest (RFC 9530) with sha-256. A longer answer is sent and
// not kept: if the request is sent again, it gets 409. The defaults are 1 MiB and
// 256 KiB; numbers that are not positive are an error.
func MaxBody(request, answer int64) Option {
	return func(c *config) { c.maxRequest, c.maxAnswer = request, answer }
}

// ReleaseOn sets after which statuses the key is free again: the handler says that it
// has done nothing, so the next request is run. The default is 401, 403, 408, 425 and
// 429, which are about the moment rather than the request. A 503 with Retry-After, and an
// error status with X-Should-Retry: true, always free the key: they ask the client to
// send the request again.
func ReleaseOn(status func(int) bool) Option {
	return func(c *config) {
		if status == nil {
			status = passing
		}
		c.releaseOn = status
	}
}

// passing reports whether a status is about the moment.
func passing(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return false
}

// Fingerprint sets how a request is told from another one with the same key: of is
// given the request and its whole body, and what it returns is compared. The default
// is the method, the path and query as they were sent, the Content-Type in lower case,
// and the body, byte by byte.
func Fingerprint(of func(r *http.Request, body []byte) []byte) Option {
	return func(c *config) { c.fingerprint = of }
}

// KeepHeaders adds header fields to those that are kept with an answer: Content-Type,
// Content-Language, Content-Encoding, Content-Disposition, Location, Link, ETag,
// Last-Modified and Cache-Control. It may be given more than once. Set-Cookie, and
// fields that belong to one connection or one message, are an error.
func KeepHeaders(names ...string) Option {
	return func(c *config) { c.headers = append(c.headers, names...) }
}

// FailOpen runs requests with a key while the store is not available, as if they had
// none. Then a request that is sent again may be run twice. Requests of [InTransaction]
// are not let through. The default is 503 without running the handler.
func FailOpen() Option {
	return func(c *config) { c.failOpen = true }
}

// DocsURL sets a page that explains to clients how to use keys here. Refusals link to
// it, and the type of a problem is a fragment of it, such as #key-reused. The default
// is the page of this package; a URL that is not absolute is an error.
func DocsURL(page string) Option {
	return func(c *config) { c.docs = page }
}

// WithObserver adds an observer. It may be given more than once; observers are
// called in order. The default is no observer.
func WithObserver(o Observer) Option {
	return func(c *config) { c.observers = append(c.observers, o) }
}

// keptFields are those of every answer.
var keptFields = []string{
	"Content-Type", "Content-Language", "Content-Encoding", "Content-Disposition",
	"Location", "Link", "Etag", "Last-Modified", "Cache-Control",
}

// neverKept belong to a client, a connection or a message.
var neverKept = []string{
	"Set-Cookie", "Set-Cookie2", "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding",
	"Te", "Trailer", "Upgrade", "Content-Length", "Date", headers.RequestQueuedMs, replayedField,
}

// keep makes the set of the fields that are kept.
func (c *config) keepFields() {
	c.kept = make(map[string]bool)
	for _, name := range slices.Concat(keptFields, c.headers) {
		c.kept[http.CanonicalHeaderKey(name)] = true
	}
}

// validField reports whether a name is a token (RFC 9110 section 5.6.2).
func validField(name string) bool {
	for i := range len(name) {
		if c := name[i]; !('a' <= c|0x20 && c|0x20 <= 'z') && !('0' <= c && c <= '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return name != ""
}
