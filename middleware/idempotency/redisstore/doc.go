// Package redisstore keeps the records of package idempotency in Redis, so that a
// request that is sent again to any process of a service happens at most once. That
// holds only for as long as Redis keeps its data: a claim that Redis loses, by a restart
// without persistence, FLUSHALL, eviction or a failover, has its request run a second
// time. For an effect in a database use package sqlstore, which keeps the record with
// the effect.
//
//	store, err := redisstore.New(client, redisstore.Replicas(1))
//	keys, err := idempotency.New(store, account)
//
// # What is stored
//
// One hash for each key, named by [Prefix] and a digest of caller and key, with the
// digest of the request, the owner, the lease and the answer. It expires after
// [idempotency.Keep]. Without an answer it takes about 300 bytes.
//
// Each method of the store is a script, in one round trip. All times are those of
// Redis's clock. Each script does the same once or many times for one owner: if the
// reply is lost, go-redis may send it again. A key that holds something else is an error,
// and is not changed.
//
// # When Redis is slow or not available
//
// A request whose claim gets no answer has 503, and its handler is not called, unless
// [idempotency.FailOpen] says otherwise. A run whose lease is over when Redis is back
// has an unknown outcome, until its process stores the answer, which it may still do.
//
// # How not to lose claims
//
// [Replicas] lets a request begin only when replicas have its claim, for one WAIT in
// the same round trip. Then a failover to one of them loses none. Redis Cluster and
// Sentinel promote the replica that has the most data if it can be reached, so it is no
// guarantee: while the network is split, a master without its replicas refuses claims,
// but a replica that was behind may be promoted.
//
// Set maxmemory-policy to noeviction, or to volatile-ttl and enough memory. The store
// asks for it once and tells [Observer] if claims can be evicted.
//
// The hash of a key has a hash tag of its own, so a cluster spreads them over all slots.
package redisstore
