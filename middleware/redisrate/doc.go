// Package redisrate is a [middleware.Limiter] that a fleet shares through
// Redis: each key has one quota, whichever instance its requests reach.
//
//	limiter, err := redisrate.New(client, quota)
//	wrap, err := middleware.New(middleware.WithRate(middleware.Rate{Quota: quota, Limiter: limiter}))
//
// # Redis away
//
// Requests wait for Redis for a short time and never fail because of it. When
// it does not answer, each instance counts for itself until it does: the quota
// of a key is then that of each instance, so that the fleet lets through at
// most as many times more as it has instances, but never everything.
//
// # What is stored
//
// One number for each key: the time, in microseconds by the clock of Redis, at
// which its quota will be whole again. It expires then. A script takes a request
// from the quota in one round trip, by the generic cell rate algorithm of ITU-T
// I.371. A key that is over its quota at one instance alone is refused there
// and costs Redis nothing.
//
// The script is our own since go-redis/redis_rate, which has a similar one, saw
// its last release in April 2023, reads times as floating-point seconds, and
// returns an error where a server needs an answer. The GCRA command that was
// planned for Redis 8.8 has been taken back.
package redisrate
