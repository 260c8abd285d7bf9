// Package redisbreaker shares what the processes of a fleet see of a service, through
// Redis and off the request path. It is for fleets whose processes call a service too
// seldom to judge alone that it is overloaded or down.
//
//	fleet, err := redisbreaker.New(client)
//	circuits, err := breaker.New(breaker.WithShared(fleet.Circuits()))
//	rt, err := transport.New(nil,
//		transport.WithFleet(fleet.Guard()),
//		transport.WithBreaker(circuits.Wrap))
//	defer fleet.Close(ctx)
//
// # When it helps
//
// A service at 70 % of its capacity stalls for 8 seconds. This is when 95 % of its calls
// succeed again, and what clients send meanwhile, for 175 calls per second in all:
//
//	processes, calls/s each    alone                    with the fleet
//	   20       8.75           1-2 s, 0.28 per call     the same
//	   50       3.5            2 s, 0.46                the same
//	  100       1.75           3-4 s, 0.62              4-5 s, 0.49
//	  200       0.88           7 s, 0.84                4 s, 0.28
//	  400       0.44           12 s, 0.96               4 s, 0.28
//	1,000       0.17           17 s, 1.00               4 s, 0.26
//	3,000       0.06           16 s, 1.00               4 s, 0.28
//
// A breaker with its defaults needs 10 requests per second to open. With the fleet it is
// enough if all processes together make 20: the service gets about 4 requests per second
// from all of them while it is down, and all calls pass 2 to 3 seconds after it is back.
//
//	a process                               judges by
//	1.5 calls per second and more           its own guard
//	fewer                                   its own guard and the fleet
//	10 requests per second and more         its own circuit
//	fewer                                   its own circuit and the fleet
//	a fleet with 2 calls per second in all  its own: too little is known
//	a process that is the only one          its own
//	while Redis is away                     its own, after a few seconds
//
// Use it for services that many processes call: cron jobs, functions, sidecars, and
// services with hundreds of small instances. A few busy processes do not need it. Turn it
// on with [WithDryRun] first, and look at what its observer and [Fleet.Stats] tell.
//
// # How it works
//
// Each process counts what its attempts show and reports the counts once a second, the
// first bad news of a quiet second at once. A script in Redis adds them to one value for
// each service and replies with the verdicts. A request costs a few atomic operations and
// never waits for Redis.
//
// The order of attempts shows an overload. The fleet sees one when enough attempts timed
// out, 7 to 50 depending on the rate of calls, all sent after the newest attempt that is
// known to have succeeded in any process. In a queue no request overtakes another. So if
// an attempt that was sent later succeeds, the timeouts have another cause. They must
// come from at least 3 processes, and each report counts for at most 2. Then the guards of the fleet send about 4 first attempts per second
// in all, and no retries. When these succeed in time the share rises to a quarter and
// then to all, within two seconds. After 2 seconds slow successes count too: that
// is the latency of the service without load.
//
// An outage is seen when 3 processes report failures, 100 and those of 5 seconds at
// least, of which a success takes back 200. Then circuits let about 4 requests per second
// pass, until one succeeds.
//
// A verdict that is not renewed for three intervals fades: the share that is sent doubles
// each second. A process that has just started sends everything until its first report
// has a reply.
//
// # What one sick process can do
//
// A process whose network is broken adds at most 2 timeouts per report, and at least 3
// processes must report some. Its failures are bounded too. While another process has
// successes, it alone proves nothing; TestOneProcessProvesNothing checks this. With half of all processes poisoned the
// others lost no call in simulations. If all traffic is from sick processes, the fleet is
// right about what they see, and the probes go on.
//
// A malicious process can write what it wants. Keep it out with an ACL.
//
// # In Redis
//
// The key of a service is PREFIX:v1:{PREFIX:SHARD}:NAME, where NAME has %XX for all but
// letters, digits and ._-:/@. Its value is a string of 160 to 224 bytes: the tag evkhlth1,
// 19 doubles, and up to 8 processes with bad news, as report.lua describes. It expires
// ten minutes after the last report, or with the isolation. A value of another kind is
// left alone, and told to [Observer].OnForeign once. Another version of the layout has
// another key. All times are by Redis's clock. The figures of the rule belong to the
// layout, not to the options of a process, so two versions of a program agree.
//
// Redis needs about 12 microseconds for a report. 1,000 processes with one service use
// 1.2 % of a core. This user has what a process needs:
//
//	ACL SETUSER app on >secret ~evenkeel:health:v1:* resetchannels -@all +evalsha +eval +get +set +time
//
// In a Cluster it also needs +cluster|slots, and Sentinel has users of its own.
//
// # By hand
//
// [Fleet.Isolate] has all processes refuse the calls to a service for a time, and
// [Fleet.Release] ends that. breaker.Set has the same for one process, without Redis.
//
// # What to mind
//
// One verdict is for one service, so name services by what fails together: a shard, a
// region. Processes in two regions need two prefixes. A fleet that calls a service less
// than about 4 times per second has no use for verdicts, since the probes alone are as
// many.
package redisbreaker
