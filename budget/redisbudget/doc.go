// Package redisbudget shares retry budgets among all processes of a fleet, through
// Redis and off the request path.
//
// Local budgets already keep the ratio of a fleet: if each process retries at most a
// tenth of its own requests, so do all together. But floors and bursts multiply with
// the number of processes, a process with few requests never earns a whole token,
// and credit earned where calls succeed is wasted where they do not fail. A [Fleet]
// has one floor and one stock, and moves credit to where calls fail.
//
// # How it works
//
// Credit is conserved. Each request mints Ratio tokens in its process, and each
// retry burns one there. Redis keeps a small pool for each budget, which gets the
// surplus of the processes and the floor. Processes that refused a retry draw from
// it. One goroutine for each Fleet makes these exchanges, a few times a second while
// calls fail and every few seconds while none do. So [Shared.Deposit] and
// [Shared.Withdraw] take a few nanoseconds, and more requests do not mean more
// commands to Redis.
//
// A process without credit refuses a retry and asks the fleet at once. Package
// transport asks a second time after the wait before the retry, and if the exchange is
// still under way then waits for it, for BaseDelay at most. By then the process
// usually has a token, if the fleet had one. A process in use keeps one token for its
// next failure. With a Ratio it draws that ahead while the pool is at least half full and
// there is a floor to fill it, and keeps it when it goes out of use: by its next call Redis
// may be away.
//
// A pool that is short is shared by max-min fairness: each process that asks gets a
// token before any of them gets a second one, and what a process with few failures
// leaves goes to the others. So a process all of whose calls fail, for reasons of its
// own, does not take what the others need. If it is seen to have no use for retries at
// all, as with broken DNS, it can be bounded more tightly by a budget of its own:
//
//	budget.All(own, shared)
//
// # What it promises
//
// In any window of time, over all processes together,
//
//	retries <= Ratio · requests + MinPerSecond · (time + time alone) + stock at its start
//
// This holds for any number of processes and any interval between exchanges. The time
// alone is 0 unless Redis is out of reach: it is the time for which processes were cut
// off, as a part of the processes. The proof: let S be the sum of all credit, in the
// processes, in the pool and under way. Only three things raise S: a deposit, by Ratio;
// the floor, by the time that passed on Redis's clock since the pool was last stored;
// and in a process that is cut off its part of the floor, MinPerSecond divided by the
// number of processes that it last knew, by the time that passed on its own clock. A withdrawal lowers it. What a process gives leaves its
// account before it is sent and enters the pool at most once, because an exchange
// with credit is never sent twice. What the pool grants leaves it before the reply
// and enters a process at most once. Credit that is lost under way, dropped at a
// ceiling, held by a process that crashes or stored in a Redis that is emptied
// lowers S too. So S at the end of a window is at most S at its start, plus what was
// minted, plus the floor, minus the retries; and S is never negative.
//
// The stock is set as a time: Hold in the processes and Pool in Redis, 1.5 seconds'
// worth of budget by default. In addition each process may hold one token, and a
// process whose calls fail may hold what it needs until the next exchange, at most
// as much as the fleet may keep in common. In the simulations below, excess is the
// most that was spent in any window beyond what was earned in it.
//
// A process starts with no credit and may keep one token until it has traffic. Its
// first refusal asks the fleet. A budget that is new to the fleet is empty too. The
// limit of the pool is never less than one token.
//
// # What it promises with Evidence
//
// With the Evidence of [budget.Policy] two more things raise S, both in the account
// of one process. A retry that was admitted after a refusal gets its token back. A
// retry that helped after an error or a timeout also earns a token of interest. And
// only a first attempt that succeeded makes a deposit. In any window of time, over
// all processes together,
//
//	retries that did not help <= Ratio · first attempts that succeeded
//	                             + MinPerSecond · (time + time alone)
//	                             + retries that helped
//	                             + stock at its start
//
// A retry under way has not helped yet, and one whose process crashed never will.
// Those under way at the start belong to the stock. Those that were admitted are on
// neither side. The proof is the one above: S at the end is at most S at the start,
// plus deposits, floor, repayments and interest, minus all retries, and each retry
// that helped or was admitted cancels its own repayment. A retry is settled at most
// once, in the process that paid for it. Exchanges move surplus, whatever its origin,
// so a message that is lost, late or repeated never doubles a repayment. It may lose
// some.
//
// Interest has limits, as all credit has. There is no more of it than calls that
// succeeded. It is paid only below the ceiling of the account, so a process keeps
// less than two tokens above that. It raises neither the ceiling, nor the limit of
// the pool, nor the count of requests that these follow. Another process may spend
// it. But it ends when retries stop helping: where nothing succeeds in the whole
// fleet,
//
//	retries <= MinPerSecond · (time + time alone) + stock at its start
//
// for all processes and any number of requests, whatever helped before.
//
// # When Redis is slow, down or emptied
//
// Retries never become unlimited, and no request waits. If Redis does not answer
// within half a second, the credit of that exchange is lost. Each process then runs
// on the ratio of its own requests until an exchange without credit succeeds. If it
// knew for 30 s how many processes there are, it also earns its part of the floor while
// its budget is in use, and saves at most 3 tokens of that. A process that has never reached Redis has no floor. A Redis that was restarted empty, was flushed or has evicted the
// budget has lost a second of credit, which it earns again in about a second. If it
// lost its scripts, they are sent in the same exchange. A failover that loses writes
// brings back what was drawn in between, at most one pool. A clock of Redis that
// jumps forward earns the floor of Pool at most, and one that jumps back earns
// nothing. A value that is not a budget is not changed, and that budget is not
// shared.
//
// # What it does not cover
//
// A proxy in front of Redis that repeats commands can hand credit over twice. While
// a split cluster has two masters, each earns the floor, so the fleet has twice the
// floor for that time and one more pool. And like any budget it sees only the retries
// that ask it.
//
// # Choosing a policy
//
// Ratio is the load that retries may add in an outage: 0.1 as in the SRE book
// (chapter 21), or 0.2 as in Finagle, Linkerd and the Gateway API. MinPerSecond is
// that of the whole fleet, so it need not be small. Choose it so that a fleet at its
// quietest hour can retry, and so that the service can bear it on top of its load.
// With a Ratio of 0 it is a quota, of a service or a tenant, and Pool is its burst:
//
//	budget.All(service, tenants(tenant))
//
// Processes that share a budget should have the same policy. During a deployment
// each mints with its own Ratio. A fleet in several regions has a budget and a part
// of MinPerSecond in each: the ratios add up without Redis.
//
// # Sizing Redis
//
// A process makes at most about three rounds a second, each of one exchange for every
// 32 budgets that have something to say. The fleet makes about as
// many as [WithMaxSyncRate] says, plus one in five seconds from each process. An
// exchange takes some 30 microseconds of Redis for one budget, and less than 15 for
// each of many. A budget takes 140 bytes, whatever the number of processes (Redis 7.0
// on a busy virtual machine of two cores; BenchmarkScript measures yours). So 10,000
// processes need about a seventh of a core for each budget in use. In a cluster,
// [WithShards] spreads budgets over masters.
//
// Set ContextTimeoutEnabled on a cluster client. Without it the client holds on to a
// command after its deadline, and the next exchange waits.
//
// # Keys, and what a Redis user may do
//
// A budget is one string under
//
//	prefix:v1:{prefix:shard}:name
//	prefix:v1:{prefix:shard}:kind~name   of Per, such as tenant~acme
//
// v1 is the version of the layout: a program with another layout has keys of its own,
// so that both run side by side during a deployment, each with its own floor. In a
// name everything but letters, digits and ._-:/@ is %XX. The budget of all names without
// room is ~overflow. An unused budget is dropped after 10 minutes, one that was paused
// and resumed after 30 days, a paused one never. The processes need this much of an ACL:
//
//	ACL SETUSER budget on >password ~evenkeel:budget:* resetchannels -@all +evalsha +eval +get +set +time
//
// and +cluster|slots in a Cluster.
// The command evenkeel-fleet shows all budgets of a Redis, and pauses and resumes them:
//
//	go run github.com/datapunk/evenkeel/budget/redisbudget/cmd/evenkeel-fleet status
//
// Its user needs +scan too, and +cluster|slots for a Cluster.
//
// Who may write to the keys can stop all retries of the fleet, and can give each process
// the floor and the ratio of the pool's limit, but not stop a first attempt.
//
// # In figures
//
// These are simulations of whole fleets: the code of each process, in simulated
// time, with a model of the script that a test holds equal to it. Ratio is 0.1 and
// MinPerSecond 10. 10 processes have 1,000 requests per second; more processes have
// 10 each; load follows Zipf's law. For half a minute all attempts fail, or those of
// a fifth of the processes, or half of the fleet also cannot reach Redis for most of
// that time. Otherwise 0.5% fail. In the row troubles, Redis is down for 8 seconds
// and comes back empty, is flushed, and fails over to a replica that is a second
// behind, while 1% of the processes are replaced each second.
//
// peak is the ratio of retries to requests in the worst second, in per cent. steady
// is that ratio from the fifth second on, and target what it should be. excess is in
// seconds of budget. jain is the fairness among the processes that fail, while
// they do, each compared with its max-min share. used is the share of the budget, or
// of what was asked for, that was spent. calls/i is exchanges
// of one process per second while calls fail, calls/s the average over the fleet, and
// most that of the busiest second. A process may hold a token, however small the
// quota of the fleet, so with many processes a quota has a larger excess and its
// fairness means nothing.
//
//	                         of    peak  steady  target  excess   jain  used calls/i calls/s    most
//	everything fails         10    22.3   10.99   11.00    1.02  0.999  1.00    2.38      16      41
//	a fifth fails            10    12.3   10.93   11.00    0.29  0.998  0.99    2.85      17      36
//	... half is cut off      10    11.7    7.19   11.00    0.23  0.809  0.65    1.73      13      36
//	troubles                 10    22.0   10.63   11.00    0.99  1.000  0.96    1.53      12      41
//	quota of 50/s            10     9.9    5.03    5.00    1.18  0.999  1.00    2.94      19      56
//	everything fails       1000    26.0   10.09   10.10    1.56  0.989  1.00    0.89     619    1953
//	a fifth fails          1000    11.0    9.89   10.10    0.52  0.973  0.98    1.22     727    1290
//	... half is cut off    1000    11.0    6.56   10.10    0.52  0.712  0.65    0.75     533    1516
//	troubles               1000    24.9   10.02   10.10    1.48  0.988  0.99    0.65     520    2007
//	quota of 50/s          1000     2.3    0.50    0.50    3.96  0.562  0.99    0.93     626    1880
//	everything fails      10000    26.2   10.02   10.01    1.62  0.992  1.00    0.51    4167   11588
//	a fifth fails         10000    11.1    9.55   10.01    0.22  0.987  0.95    0.72    4796   10701
//	... half is cut off   10000    11.1    6.29   10.01    0.22  0.664  0.63    0.50    3862   11066
//	troubles              10000    25.7    9.97   10.01    1.57  0.989  1.00    0.48    3999   12766
//	quota of 50/s         10000     0.3    0.05    0.05    4.33  0.114  1.01    0.52    3892   10414
//
// The next table is for the same fleets with Evidence, a Ratio of 0.05 and at most
// five attempts. stock is the credit in tokens when everything begins to fail, after
// a time in which 0.5% or 20% of the attempts fail. sent is the number of retries in
// the half minute after that; the floor pays for 300 of them. succeed is the share of
// all calls that succeed while 20% of the attempts fail. 6.0s is a Hold of 2s and a
// Pool of 4s, as in package transport.
//
//	                    stock    sent    stock    sent  succeed
//	   of  Hold+Pool  (after 0.5%)     (after 20%)
//	   10       1.5s       92     360      110     401   0.9995
//	   10       6.0s      239     530      285     577   0.9997
//	 1000       1.5s     1609    1813     2837    2872   0.9988
//	 1000       6.0s     2991    2998     4038    4103   0.9992
//	10000       1.5s    15838   13998    44977   41939   0.9964
//	10000       6.0s    28061   25756    51082   48376   0.9985
//
// The half minute has 30,000, 300,000 and 3,000,000 requests. With many processes
// the stock is larger than its seconds: each may hold a token, and what it needs
// until the next exchange, for which 10,000 processes wait a second.
//
// go test -run TestSimulation -v -long ./budget/internal/fleet prints both tables.
package redisbudget
