package transport

import (
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

// patientBudget has a stock of 600 retries, which take a batch of 100 calls at
// a time through an outage, whether or not anything succeeds. It does not go by
// evidence: that saves the last of the credit for calls that were not retried
// yet, and here the fifth retry is the one that succeeds.
var patientBudget = budget.Policy{
	Ratio: 0.1, MinPerSecond: 20, Hold: 10 * time.Second, Pool: 20 * time.Second,
}

// Patient configures a chain for programs that have time, such as command-line tools,
// cron jobs and batches. A restart or failover of the service costs them time, but no
// failed calls. The default of [New] is for servers, whose callers wait: its attempts
// are over within 300 milliseconds of waiting.
//
//   - The policy has MaxAttempts 6, BaseDelay 1s, MaxDelay 16s, MaxRetryAfter 2m and no
//     AttemptTimeout.
//   - The backoff is 1, 2, 4, 8 and 16 seconds, each reduced by a random part of up to
//     half. The last attempt is sent 15.5 to 31 seconds after the first, so an outage of
//     up to 15 seconds fails no call.
//   - The budget of each service starts with 600 retries, and earns 20 per second and 0.1
//     per request.
//
// The guard stays on. A deadline limits the waits: give an [http.Client] a Timeout of a
// minute or more, because a retry that does not fit is not waited for. Do not add
// [WithBreaker], which fails calls at once that could wait.
//
// Options given later override it. [WithPolicy] replaces the policy as a whole, so start
// from the figures above, for example to add an AttemptTimeout.
func Patient() Option {
	return option(func(c *config) {
		c.policy = Policy{
			MaxAttempts: 6, BaseDelay: time.Second, MaxDelay: 16 * time.Second, MaxRetryAfter: 2 * time.Minute,
		}
		c.backoff = halfJitter
		c.budget, c.noBudget, c.ownBudget = nil, false, patientBudget
	})
}

// halfJitter is exponential backoff less up to a half of it: full jitter has no
// lower bound, so that five waits may come to less than an outage.
func halfJitter(base, limit time.Duration, retry int, _ *http.Response) time.Duration {
	p := Policy{BaseDelay: base, MaxDelay: limit}
	d := p.ceiling(retry + 1)
	return d - upTo(d/2)
}
