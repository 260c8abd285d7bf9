// Package redisrate is a [middleware.Limiter] that a fleet shares through Redis:
// each key has one quota, whichever instance its requests reach.
//
//	limiter, err := redisrate.New(client, quota)
//	wrap, err := middleware.New(middleware.WithRate(middleware.Rate{Quota: quota, Limiter: limiter}))
//
// # When Redis is slow or not available
//
// A request waits for Redis for a short time ([WithTimeout]) and never fails
// because of it. If there is no answer in time, this process decides, by what Redis
// last said about the key and what was granted since. The next request asks Redis
// again. What was granted without Redis is reported with the next call and taken
// from the quota. So the total is right if single answers are late, if Redis pauses,
// and if a process is short of processor time and reads its answers late.
//
// The first call of all waits up to 1 s, because connections have to be made and a
// process may be short of processor time while it starts. If Redis returns an error
// in that time, no request waits longer.
//
// If answers are late several times in a row, for at least 200 ms, requests no
// longer wait, but Redis is still called. If there are no answers at all, Redis is
// called only once per pause ([WithPause]), and each instance counts on its own. For
// the first 10 s it grants the share of a key that it granted before. After that,
// and for a key it knows nothing about, each instance grants the whole quota. So the
// fleet grants at most the quota times the number of instances. When Redis is back,
// what was granted too much is a debt of the key, and no key is refused for longer
// than its burst takes to refill, or min(Per, 10 s) if that is longer.
//
// # What is stored
//
// Redis stores one number for each key: the time at which its quota will be whole
// again, in microseconds by the clock of Redis, with three decimals. The key expires
// then. A script takes a request from the quota in one round trip, by the generic
// cell rate algorithm of ITU-T I.371. Quotas are exact to the nanosecond per request.
// A key of more than 64 bytes is stored by its SHA-256.
//
// If the clock of Redis is set back, or a failover leads to a node whose clock is
// behind, a key loses at most one quota: a time that no requests can explain is
// corrected. If the clock is set forward, a key gains at most one.
//
// A key that Redis said is over its quota is refused by this process until that is
// over, with at most one call to Redis per second. So a flood of one key costs Redis
// at most as many calls from each instance as the quota has requests. A Redis key
// that holds something else is left alone, and each instance counts on its own.
//
// go-redis/redis_rate has a similar script. This package has its own because that
// one had its last release in April 2023, reads times as floating-point seconds, and
// returns an error where a server needs an answer.
package redisrate
