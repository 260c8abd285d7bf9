// Package budget limits how many retries a service may get.
//
// A retry policy limits the retries of one call. In an outage every call fails, so
// three attempts each make three times the load, when the service can bear it least.
// A [Budget] limits the retries of all calls together. Each first attempt deposits
// a fraction of a token, and each retry withdraws a whole one. Without a token there
// is no retry.
//
// # What it promises
//
// A [Local] budget with ratio r and floor m keeps, in any window of time,
//
//	retries <= r · requests + m · time + stock at its start
//
// whatever fails and however many goroutines use it. The stock is at most
// (r · requests per second + m) · (Hold + Pool) tokens, 1.5 seconds' worth by
// default. At least one token may always be kept, and three with a floor. What the
// floor earned in the last quarter of a second belongs to the stock too.
//
// The floor lets a service with little traffic retry at all. A budget with a floor
// starts with max(3, m · (Hold + Pool)) tokens, so that the first call of a process
// can be retried: that is 3 tokens for a floor of up to 2 per second with the
// defaults. A budget without a floor starts empty. So a process that has just
// started can absorb a few failures and no burst. From its first quarter of a second
// on, the limit of the stock follows the traffic. Credit earned before that and
// above the limit is dropped.
//
// # What it promises with Evidence
//
// With [Policy].Evidence credit depends on whether retries help. A first attempt
// pays r only if it succeeded. A retry that succeeds soon gets its own token back,
// so that it was free. If it followed an error or a timeout, it also earns a token
// of interest. In any window of time
//
//	retries that did not help <= r · first attempts that succeeded + m · time
//	                             + retries that helped + stock at its start
//
// A retry under way has not helped yet. One that was under way at the start of the
// window belongs to the stock. One that was reported as [Admitted] is on neither
// side, because it was repaid without interest. The proof: all that is withdrawn in
// a window was in the balance at its start or came to it, and a retry that helped
// adds its own token to both sides.
//
// Interest creates credit, within three limits. First, it is one token for a call
// that succeeded, and a call succeeds once, so at most max(1, r) tokens are earned
// per successful call. Second, interest is paid only while the balance is below its
// limit, which it does not raise, so that less than two tokens are kept above it.
// Third, it ends when retries stop helping: in a window where nothing succeeds
//
//	retries <= m · time + stock at its start
//
// whatever helped before, and however many requests there are. The caller must
// settle each granted retry at most once.
//
// # What it promises with Proportional
//
// A thousand processes that each may send one retry per second send a thousand per
// second, however seldom they call. With [Policy].Proportional the floor earns no more
// than r for each request. So any number of budgets together keep, with q requests in all,
//
//	retries that did not help <= r · first attempts that succeeded + r · q
//	                             + retries that helped + stock at its start
//
// where the stock of each is max(3, m · (Hold + Pool)), and more with traffic. Retries
// after timeouts may not use that first part of the stock: WithdrawAfterTimeout grants
// only what is above it. The floor fills no more than that part. So in a window where
// nothing succeeds
//
//	retries after timeouts <= r · requests per second before it · (Hold + Pool)
//
// and a budget for which that is less than one grants none. With [Default] that is every
// budget with less than 3.3 requests per second. A stock that was spent is complete
// again after ten minutes without a request.
//
// # Choosing
//
// Ratio is the load that retries may add in an outage. 0.2 means at most 1.2 times
// the requests, as in Finagle, Linkerd and the Gateway API; the SRE book (chapter
// 21) recommends 0.1. Without Proportional, MinPerSecond multiplies with the number of
// processes: keep it small. [Default] is the policy of package transport.
//
// # What it does not do
//
// It does not choose which calls to retry. It does not see retries that do not ask
// it, such as those of net/http on a stale connection or those of a proxy.
package budget
