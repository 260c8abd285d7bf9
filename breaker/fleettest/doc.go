// Package fleettest tests what plugs into transport.WithFleet and breaker.WithShared: a
// conformance suite, [Test], and a fleet in memory whose delays and losses a test decides.
//
// With [New] a test sees a program's own behaviour in a fleet, without Redis and, in a
// bubble of testing/synctest, in no time. Each [Member] stands for a process.
package fleettest
