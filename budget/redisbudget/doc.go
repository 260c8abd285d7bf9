// Package redisbudget shares retry budgets among all processes of a fleet,
// through Redis and off the request path.
//
// Budgets of single processes keep the ratio of a fleet: if each retries at
// most a tenth of its own requests, so do all together. But their floors and
// bursts multiply with the number of processes, a process with few requests
// never earns a whole token, and credit earned where calls succeed is wasted
// where they do not fail. A [Fleet] has one floor and one stock, and moves
// credit to where calls fail.
//
// # How it works
//
// Credit is conserved: minted locally, spent locally, and what is left over
// cleared centrally. Each request mints Ratio tokens in its process, and each
// retry burns one there. In Redis lies one small pool for each budget, fed by
// what processes hand in and by the floor; processes that were refused draw
// from it. One goroutine for each Fleet does that, a few times in a second
// while calls fail and every few seconds while none do. So [Shared.Deposit]
// and [Shared.Withdraw] cost a few nanoseconds, and Redis gets no more calls
// when there are more requests.
//
// A process that holds nothing refuses a retry and at the same moment asks the
// fleet. Package transport asks a second time when the wait before the retry
// is over; by then there mostly is a token, if the fleet had one.
//
// # What it promises
//
// For every window of time, of whatever length, and all processes together,
//
//	retries <= Ratio · requests + MinPerSecond · time + stock at its start
//
// The bound holds for any number of processes and any interval between
// exchanges, and no clock of a process is in it. Let S be the sum of all
// credit: what processes hold, what is in the pool, and what is on its way.
// Only two things raise S: a deposit, by Ratio, and the floor, by the time
// that passed on Redis's clock since it was last stored. A withdrawal lowers
// it. What is given leaves the process before it is sent and enters the pool
// at most once, since a call with credit is never sent twice; what is granted
// leaves the pool before the answer and enters the process at most once. What
// is lost on the way, cut off by a ceiling, held by a process that crashes or
// stored in a Redis that is emptied lowers S as well. So S at the end of a
// window is at most S at its start, plus what was minted, plus the floor,
// minus the retries; and S is never negative.
//
// The stock is bounded in seconds of budget, Hold in the processes and Pool in
// Redis, of which the defaults come to 1.5. In the simulations below, excess
// is the most that was spent in any window beyond what was earned in it.
//
// # When Redis is slow, away or forgetful
//
// The budget never opens and no request waits. Without an answer within half a
// second the credit in that call is lost, and each process runs on the ratio of
// its own requests, without the floor, until a call without credit comes
// through. A Redis that was restarted empty, flushed, or has evicted the budget
// has lost a second of credit, which comes back in about a second. So has one
// that lost its scripts: it is sent them in the same exchange. A failover that
// loses writes brings back what was drawn in between, which is at most one
// pool. A clock of Redis that jumps forward earns the floor of Pool at most,
// and one that jumps back earns nothing. A value that is not a budget is left
// alone, and that budget to itself.
//
// # What it does not cover
//
// A proxy before Redis that repeats commands by itself can hand credit over
// twice. While a split cluster has two masters, each earns the floor, so that
// the fleet has it twice for as long, and one pool more. And as any budget it
// sees only the retries that ask it.
//
// # Choosing a policy
//
// Ratio is the load that retries may add in an outage: 0.1 as the SRE book
// (chapter 21) has it, or 0.2 as Finagle, Linkerd and the Gateway API.
// MinPerSecond is that of the whole fleet, so it need not be small: it should
// let a fleet at its quietest hour retry, and be within what the service can
// bear on top of its load. With a Ratio of 0 it is a quota, of a service or a
// tenant, and Pool its burst:
//
//	budget.All(service, tenants(tenant))
//
// Processes of one budget should have the same policy; during a deployment
// each mints with its own Ratio. A fleet in several regions has a budget and a
// part of MinPerSecond in each: the ratios add up without Redis.
//
// # Sizing Redis
//
// A process calls at most about three times in a second, and the fleet about
// as often as [WithMaxSyncRate] has it, on top of one call in five seconds from
// each. A call costs Redis 10 to 13 microseconds, or 5 to 8 for each budget
// where many share one (Redis 7.0, one core of a 2020s server); a budget takes
// 250 bytes, whatever the number of processes. So 10,000 processes need a tenth of a core
// for each budget in use. In a cluster, [WithShards] spreads budgets over
// masters.
//
// A cluster client should have ContextTimeoutEnabled set: without it, it holds
// on to a call after its deadline, and the next waits.
//
// # In figures
//
// Whole fleets of the code of this package in simulated time, with a model of
// the script that is tested to be equal to it. Ratio is 0.1 and MinPerSecond 10;
// 0.5% of attempts fail, and all of them, or those of a fifth of the processes,
// for half a minute. Load is spread by Zipf's law. peak is the highest
// ratio of any second, in per cent, steady that from the fifth second on,
// beside its target; excess in seconds of budget; jain the fairness among
// those that fail; used the part of the budget, or of what was asked for;
// calls/i those of a process per second while calls fail, calls/s those of all
// in the mean, and most in the busiest second. In troubles, Redis is away for
// 8 seconds and comes back empty, is flushed, and fails over to a replica that
// is a second behind, while 1% of the processes are replaced each second.
//
//	TABLE
//
// go test -run TestSimulation -v -long ./budget/redisbudget prints it.
package redisbudget
