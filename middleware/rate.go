package middleware

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware/internal/gcra"
)

// A Quota is how many requests may be sent in what time. They need not be spread
// evenly: Burst of them may come at once. Requests or Burst of math.MaxInt means no
// limit. Otherwise at most one request per nanosecond is allowed, and Burst must be
// refilled within 100 years.
type Quota struct {
	Requests int           // at least 1
	Per      time.Duration // at least 1 ms
	Burst    int           // the default 0 means Requests
}

// A Grant is the decision of a [Limiter] on one request.
type Grant struct {
	OK        bool
	Remaining int           // requests that could follow at once
	Reset     time.Duration // until the quota is whole again
	RetryIn   time.Duration // until the next request is granted; 0 if OK
}

// bounded keeps the durations in a range that can be added to: a Limiter may say
// "never" by the longest duration.
func (g Grant) bounded() Grant {
	g.Remaining = max(g.Remaining, 0)
	g.Reset = min(max(g.Reset, 0), maxDebt)
	g.RetryIn = min(max(g.RetryIn, 0), maxDebt)
	return g
}

// A Limiter counts the requests of each key. [NewLocalLimiter] makes one for this
// process; package redisrate has one that a fleet shares. Take is called for each
// request. It must not block for long, and it must answer even if what it depends on
// is not available.
type Limiter interface {
	Take(ctx context.Context, key string) Grant
}

// Rate configures [WithRate].
type Rate struct {
	// Name is the name of the quota in the RateLimit headers. The default is
	// "default".
	Name string
	// Quota is the quota of each key. A quota without a limit counts nothing and sets no
	// header.
	Quota Quota
	// Key returns whose request it is. Requests with the key "" are not limited. The
	// default is the address of the connection. IPv6 addresses count by their /64,
	// because a client has all of one.
	Key func(*http.Request) string
	// Limiter counts the requests, by the same Quota. The default is a local one of
	// 65,536 keys. A nil pointer in the interface is an error.
	Limiter Limiter
}

func (q Quota) filled() Quota {
	if q.Burst == 0 {
		q.Burst = q.Requests
	}
	return q
}

func (q Quota) validate() error {
	switch {
	case q.Requests < 1:
		return fmt.Errorf("quota: Requests %d: want at least 1", q.Requests)
	case q.Per < time.Millisecond:
		return fmt.Errorf("quota: Per %v: want at least 1ms", q.Per)
	case q.Burst < 0:
		return fmt.Errorf("quota: Burst %d: want at least 1, or 0 for Requests", q.Burst)
	case q.unlimited():
		return nil
	case q.interval() < 1:
		return fmt.Errorf("quota: %d requests per %v: out of range, want at most one in a nanosecond, or math.MaxInt for no limit", q.Requests, q.Per)
	case q.interval() > maxDebt/time.Duration(q.filled().Burst):
		return fmt.Errorf("quota: %d requests per %v with a burst of %d: out of range, want a burst that takes at most 100 years, or math.MaxInt for no limit",
			q.Requests, q.Per, q.filled().Burst)
	}
	return nil
}

func (q Quota) unlimited() bool { return q.Requests == math.MaxInt || q.Burst == math.MaxInt }

// interval is the time that one request is worth.
func (q Quota) interval() time.Duration { return q.Per / time.Duration(q.Requests) }

// rate is the quota as it is counted, filled.
func (q Quota) rate() gcra.Rate {
	return gcra.Rate{Interval: q.interval(), Burst: q.interval() * time.Duration(q.Burst)}
}

func (r Rate) validate() (errs []error) {
	if err := r.Quota.validate(); err != nil {
		errs = append(errs, fmt.Errorf("middleware: WithRate: %w", err))
	}
	switch v := reflect.ValueOf(r.Limiter); v.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map:
		if v.IsNil() {
			errs = append(errs, fmt.Errorf("middleware: WithRate: Limiter: the %T is nil", r.Limiter))
		}
	}
	for i := range len(r.Name) {
		if r.Name[i] < ' ' || r.Name[i] > '~' {
			errs = append(errs, errors.New("middleware: WithRate: Name: want printable ASCII"))
			break
		}
	}
	return errs
}

// rateLimit is a Rate in use.
type rateLimit struct {
	Limiter
	name   string
	policy string // its item of RateLimit-Policy
	key    func(*http.Request) string
	quota  Quota
}

func newRateLimit(r Rate) rateLimit {
	l := rateLimit{Limiter: r.Limiter, name: r.Name, key: r.Key, quota: r.Quota.filled()}
	if l.name == "" {
		l.name = "default"
	}
	if l.key == nil {
		l.key = address
	}
	if l.Limiter == nil {
		l.Limiter = newLocal(l.quota, defaultKeys)
	}
	l.policy = headers.QuotaPolicy{Name: l.name, Quota: int64(r.Quota.Requests), Window: r.Quota.Per}.String()
	return l
}

// allows takes from the quota and writes what is left of it into the header of
// the response. If there is nothing left it returns when to come back.
func (l *rateLimit) allows(x *exchange, r *http.Request) (time.Duration, bool) {
	key := l.key(r)
	if key == "" || l.quota.unlimited() {
		return 0, true
	}
	g := l.Take(r.Context(), key).bounded()
	l.write(x.Header(), g)
	if g.OK {
		return 0, true
	}
	// Those who were refused together shall not come back together.
	return g.RetryIn + rand.N(max(g.RetryIn/4, l.quota.interval())+1), false
}

// limitFields are those that write sets.
var limitFields = [...]string{headers.RateLimit, headers.RateLimitPolicy}

func (l *rateLimit) write(h http.Header, g Grant) {
	// Retry-After should not be earlier than the reset here
	// (draft-ietf-httpapi-ratelimit-headers).
	reset := g.Reset
	if !g.OK {
		reset = g.RetryIn
	}
	item := headers.ServiceLimit{Policy: l.name, Remaining: int64(g.Remaining), Reset: reset, HasReset: true}.String()
	list(h, headers.RateLimit, item)
	list(h, headers.RateLimitPolicy, l.policy)
}

// list adds an item to a field that is a list, to which other limits may have
// added before.
func list(h http.Header, name, item string) {
	if before := h[name]; len(before) > 0 {
		item = strings.Join(before, ", ") + ", " + item
	}
	h[name] = []string{item}
}

// address is the default key.
func address(r *http.Request) string {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	ip := a.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	p, _ := ip.Prefix(64)
	return p.String()
}
