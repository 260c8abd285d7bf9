// Package redisrate is a [middleware.Limiter] that a fleet shares through
// Redis: each key has one quota, whichever instance its requests reach.
//
//	limiter, err := redisrate.New(client, quota)
//	wrap, err := middleware.New(middleware.WithRate(middleware.Rate{Quota: quota, Limiter: limiter}))
//
// # Redis late, or away
//
// Requests wait for Redis for a short time and never fail because of it. One
// whose answer does not come in time is decided here, by what Redis said about
// its key last and what was granted since. That concerns this request alone:
// the next is asked for as before. The answer counts when it comes, and what was
// granted against it is told Redis with the next call, which takes it from the
// quota. So the sum is right where single answers are late, Redis makes a pause,
// or a process is short of processor time and takes its answers late.
//
// The first answer of all has a second, since connections have to be made and a
// process may be short of processor time while it starts. If Redis fails in that
// time, nobody waits.
//
// If answers are late several times in a row, for at least 200 ms, requests no
// longer wait, but Redis is asked all the same. If there are none at all, it is
// left alone except for one call per pause ([WithPause]), and each instance counts
// for itself. For the first 10 s it grants the share of a key that it granted
// before. From then on, and where it knows nothing of a key, the quota is that
// of each instance, so that the fleet lets through at most as many times more as
// it has instances, but never everything. What remains of that as a debt when
// Redis is back is bounded: no key is refused for longer than its burst takes to
// come back, or min(Per, 10 s) if that is more.
//
// # What is stored
//
// One number for each key: the time, in microseconds by the clock of Redis and
// with three decimals, at which its quota will be whole again. It expires then.
// Quotas are kept to the nanosecond per request. A script takes a request
// from the quota in one round trip, by the generic cell rate algorithm of ITU-T
// I.371. A clock of Redis that is set back, or a failover to a node whose clock
// is behind, costs a key at most one quota: a time that no requests can explain
// is corrected. One that is set forward gives it at most one. A key of more than
// 64 bytes is stored under its SHA-256.
//
// A key that is over its quota by what Redis said is refused here until that is
// over, and costs Redis at most one call in a second. A flood of one key costs
// it no more calls from each instance than its quota has requests. A key that
// holds something else is left alone, and counted by each instance.
//
// The script is our own since go-redis/redis_rate, which has a similar one, saw
// its last release in April 2023, reads times as floating-point seconds, and
// returns an error where a server needs an answer. The GCRA command that was
// planned for Redis 8.8 has been taken back.
package redisrate
