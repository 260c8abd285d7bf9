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
// Redis, of which the defaults come to 1.5. Besides, each process may hold a
// token, and one whose calls fail what it needs until the next exchange, at
// most as much as the fleet may keep in common. In the simulations below, excess
// is the most that was spent in any window beyond what was earned in it.
//
// A process starts cold: it holds nothing, may keep one token until it has
// traffic, and with its first refusal asks the fleet. A budget that is new to
// the fleet is empty too. What may be kept in common is never less than a token.
//
// # What it promises with Evidence
//
// With the Evidence of [budget.Policy] two things more raise S, both in the
// account of one process. A retry that was admitted after a refusal brings its
// token back, and one that helped after an error or a timeout another one: that
// is interest, credit from nothing. And a deposit is made only by a first
// attempt that succeeded. So for every window of time, and all processes
// together,
//
//	retries that did not help <= Ratio · first attempts that succeeded
//	                             + MinPerSecond · time + retries that helped
//	                             + stock at its start
//
// A retry that is under way has not helped yet, and one whose process crashed
// never will. Those under way at the start belong to the stock, and those that
// were admitted are on neither side. The proof is the one above: S at the end
// is at most S at the start, plus deposits, floor, repayments and interest,
// minus all retries, of which each that helped or was admitted cancels its
// repayment. A retry is settled at most once, and in the process that paid for
// it. What is exchanged is surplus, which does not show where it came from, so
// that a message that is lost, late or repeated does to repayments what it does
// to deposits: none is doubled, and some may be lost.
//
// Interest is bounded as all credit is. There is no more of it than calls that
// succeeded. It is paid only below the ceiling of the account, so that a process
// keeps less than two tokens above that; and neither the ceiling, nor the cap
// of the pool, nor the count of requests that they follow, is raised by it. What
// one process earns by it another may spend, as with any credit. But it ends
// with its reason: where nothing succeeds in the whole fleet,
//
//	retries <= MinPerSecond · time + stock at its start
//
// for all processes and any number of requests, whatever helped before.
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
// each. A call takes some 30 microseconds of Redis for one budget, and less than
// 15 for each where many share it; a budget takes 140 bytes, whatever the number
// of processes (Redis 7.0 on a busy virtual machine of two cores; BenchmarkScript
// measures yours). So 10,000 processes need about a seventh of a core for each
// budget in use. In a cluster, [WithShards] spreads budgets over masters.
//
// A cluster client should have ContextTimeoutEnabled set: without it, it holds
// on to a call after its deadline, and the next waits.
//
// # In figures
//
// Whole fleets of the code of this package, in simulated time, with a model of
// the script that is tested to be equal to it. Ratio is 0.1 and MinPerSecond
// 10, with 1,000 requests per second for 10 processes, and 10 from each for
// more; load is spread by Zipf's law. For half a minute all attempts fail, or
// those of a fifth of the processes, and half of the fleet cannot reach Redis
// for most of that; otherwise 0.5% fail. In troubles Redis is away for 8
// seconds and comes back empty, is flushed, and fails over to a replica that
// is a second behind, while 1% of the processes are replaced each second.
//
// peak is the ratio of the worst second in per cent; steady that from the fifth
// second on, beside its target; excess is in seconds of budget; jain is the
// fairness among the processes that fail, and used the part of the budget, or
// of what was asked for, that was spent. calls/i are calls to Redis of one
// process per second while calls fail, calls/s those of all in the mean, and
// most in the busiest second. A process may hold a token, however small the
// quota of the fleet: for quotas, excess grows and fairness has no meaning
// where processes are many.
//
//	                         of    peak  steady  target  excess   jain  used calls/i calls/s    most
//	everything fails         10    22.1   11.00   11.00    1.01  0.999  1.00    2.33      16      42
//	a fifth fails            10    12.4   10.96   11.00    0.30  0.998  1.00    2.84      17      33
//	... half is cut off      10    13.9    7.18   11.00    0.51  0.686  0.65    1.74      13      35
//	troubles                 10    22.0   10.66   11.00    1.00  0.999  0.96    1.52      12      48
//	quota of 50/s            10    10.2    5.03    5.00    1.19  0.863  1.00    2.94      19      52
//	everything fails       1000    23.8   10.10   10.10    1.35  0.985  1.00    0.89     634    1999
//	a fifth fails          1000    10.8   10.04   10.10    0.43  0.976  0.99    1.11     684    1149
//	... half is cut off    1000    10.8    6.76   10.10    0.43  0.770  0.67    0.69     509    1374
//	troubles               1000    22.9   10.02   10.10    1.28  0.985  0.99    0.65     533    1993
//	quota of 50/s          1000     1.4    0.50    0.50    2.27  0.423  1.00    0.94     639    1890
//	everything fails      10000    22.1   10.02   10.01    1.22  0.977  1.00    0.53    4301   11277
//	a fifth fails         10000    11.2    9.77   10.01    0.25  0.975  0.98    0.72    4918   10344
//	... half is cut off   10000    10.0    6.65   10.01    0.17  0.791  0.66    0.48    3937   11034
//	troubles              10000    22.2    9.96   10.01    1.23  0.975  1.00    0.49    4111   13198
//	quota of 50/s         10000     0.1    0.05    0.05    1.63  0.072  1.01    0.52    3898   10418
//
// With Evidence, a Ratio of 0.05 and at most five attempts, the same fleets do
// as follows. stock is the credit at the moment when everything begins to fail,
// in tokens, after a time in which 0.5% or 20% of the attempts fail; sent are
// the retries of the half minute after it, of which the floor pays for 300;
// succeed is the part of all calls that succeed while 20% of the attempts fail.
// The stock of 6s is a Hold of 2s and a Pool of 4s, as package transport has
// them.
//
//	                    stock    sent    stock    sent  succeed
//	   of  Hold+Pool  (after 0.5%)     (after 20%)
//	   10       1.5s       92     359      115     407   0.9997
//	   10       6.0s      239     530      270     560   0.9995
//	 1000       1.5s     1122    1089     2554    2600   0.9897
//	 1000       6.0s     2829    2974     3855    3934   0.9992
//	10000       1.5s    10959    8519    40956   38339   0.9907
//	10000       6.0s    27920   26071    47894   45328   0.9973
//
// The half minute has 30,000, 300,000 and 3,000,000 requests. What the stock of
// many processes has beyond its seconds are the tokens that each may hold, and
// what it needs until the next exchange, for which 10,000 wait a second.
//
// go test -run TestSimulation -v -long ./budget/internal/fleet prints both.
package redisbudget
