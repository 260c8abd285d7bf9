package transport

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// delay returns how long to wait after the given attempt: the backoff, or the server's
// hint if that is longer. The hint gets positive jitter, because many clients may have been
// told the same second.
func (p *Policy) delay(attempt int, hint time.Duration, custom retryablehttp.Backoff, resp *http.Response) time.Duration {
	var d time.Duration
	if custom != nil {
		d = min(max(custom(p.BaseDelay, p.MaxDelay, attempt-1, resp), 0), p.MaxDelay)
	} else {
		d = upTo(p.ceiling(attempt))
	}
	if hint > 0 {
		d = max(d, hint)
		d += upTo(min(max(p.BaseDelay, hint/4), math.MaxInt64-d))
	}
	return d
}

// ceiling is BaseDelay·2^(attempt-1), capped by MaxDelay without overflow.
func (p *Policy) ceiling(attempt int) time.Duration {
	ceiling := p.BaseDelay
	for range attempt - 1 {
		if ceiling > p.MaxDelay/2 {
			return p.MaxDelay
		}
		ceiling *= 2
	}
	return min(ceiling, p.MaxDelay)
}

// backoffs is the longest total backoff from the given attempt to the last.
func (p *Policy) backoffs(attempt int) (sum time.Duration) {
	for n := max(attempt, 1); n < p.MaxAttempts; n++ {
		sum += min(p.ceiling(n), math.MaxInt64-sum)
	}
	return sum
}

// upTo returns a random duration in [0, d].
func upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(min(d, math.MaxInt64-1) + 1)
}

// sleep waits for d and reports whether the context is still valid.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
