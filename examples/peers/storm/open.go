package main

// open lists the verdicts that are known to be against us, as "world: entrant:
// law". They are reported, and a run of all worlds fails where one of them is kept,
// so that the list says what is so.
//
// It is of medians of three and five runs, 2026-11-27. A verdict that chance decides is on it
// if one of them was against us, unless later changes decided it. Those of the breaker are of
// three.
// The optimum of herd, of the outages, held.restart, stall.mixed-deadlines and
// held.uneven lets calls wait longer than the four attempts take. With waits of that
// length it would be .834, .620, .673, .878 and .872, of which the client has .96 and more.
func open() []string {
	return []string{
		"clients.200.endpoint.hung-30: both: both ends",
		"clients.200.endpoint.hung-80: server: no harm",
		"clients.500.stall: breaker: like client",
		"clients.5000.stall: both: both ends",
		"clients.5000.stall: client: no harm",
		"cold: both: both ends",
		"drop.no-limit: both: attempts",
		"drop.no-limit: both: both ends",
		"drop.no-limit: both: ends",
		"half: both: attempts",
		"half: breaker: like client",
		"held.clients-400: both: attempts",
		"held.crowd: both: ends",
		"held.drop-mixed: both: attempts",
		"held.random-14: both: both ends",
		"held.random-16: both: both ends",
		"held.random-20: both: both ends",
		"held.random-20: breaker: like client",
		"held.random-33: both: both ends",
		"held.random-35: both: both ends",
		"held.random-37: both: both ends",
		"held.random-37: server: no harm",
		"held.recovers-slowly: both: attempts",
		"held.restart: client: of optimum",
		"held.sawtooth: both: at once",
		"held.spiky: server: no harm",
		"held.stall-6s: both: ends",
		"held.stall-6s: both: of optimum",
		"held.stall-6s: client: ends",
		"held.stall-6s: client: of optimum",
		"held.two-stalls: both: attempts",
		"held.two-stalls: both: of optimum",
		"held.two-stalls: client: of optimum",
		"held.uneven: both: ends",
		"held.uneven: both: of optimum",
		"held.uneven: client: ends",
		"held.uneven: client: of optimum",
		"herd: both: of optimum",
		"herd: client: of optimum",
		"later.900ms-20s: both: both ends",
		"later.900ms-20s: both: no harm",
		"llm.stall: server: no harm",
		"outage.10min: both: of optimum",
		"outage.10min: client: of optimum",
		"outage.30s: both: of optimum",
		"outage.30s: client: of optimum",
		"outage.dns: both: of optimum",
		"outage.dns: client: of optimum",
		"ramp: both: attempts",
		"replica.hung-1of2: both: both ends",
		"replica.hung-1of2: breaker: like client",
		"spike: both: attempts",
		"stall.mixed-deadlines: both: of optimum",
		"stall.mixed-deadlines: client: ends",
		"stall.mixed-deadlines: client: of optimum",
		"stall.no-limit: both: both ends",
		"stall.no-limit: both: of optimum",
		"stall.then-300ms: client: ends",
		"stall.then-600ms: both: both ends",
		"stall.then-600ms: both: ends",
		"stall.then-600ms: both: of optimum",
		"stall.then-600ms: client: ends",
		"stall.then-600ms: client: of optimum",
	}
}
