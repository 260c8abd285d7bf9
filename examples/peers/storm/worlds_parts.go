package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// partial are those in which a part of the service is hung, failing or slow.
func partial() []scenario {
	var list []scenario
	for _, n := range []int{3, 10} {
		one := func(id, what string, f flaws) {
			list = append(list, base("replica."+id+"-1of"+fmt.Sprint(n), "one of "+fmt.Sprint(n)+" replicas "+what+" for 20 s", func(s *scenario) {
				s.zones, s.workers, s.fault, s.load = n, 2, 20*sec, 0.5
				s.script, s.short = during(0, flawed(f), flawed(flaws{})), id == "hung" && n == 3
			}))
		}
		one("hung", "hangs", flaws{hang: 1})
		one("failing", "fails at once", flaws{fail: 1})
	}
	list = append(list,
		base("replica.hung-1of2", "one of two replicas hangs for 20 s", func(s *scenario) {
			s.zones, s.fault, s.load, s.script, s.short = 2, 20*sec, 0.3, during(0, flawed(flaws{hang: 1}), flawed(flaws{})), true
		}),
		base("replica.failing-1of2", "one of two replicas fails at once for 20 s", func(s *scenario) {
			s.zones, s.fault, s.load, s.script = 2, 20*sec, 0.3, during(0, flawed(flaws{fail: 1}), flawed(flaws{}))
		}),
		base("replica.later-2of5", "two of five replicas answer 500 ms later for 20 s", func(s *scenario) {
			s.zones, s.workers, s.load, s.fault = 5, 2, 0.5, 20*sec
			s.script = both(during(0, later(0.45, 0.55), punctual), during(1, later(0.45, 0.55), punctual))
		}),
		base("replica.stuck-2of5", "two of five replicas work ten times slower for 20 s, and queue", func(s *scenario) {
			s.zones, s.workers, s.load, s.fault = 5, 2, 0.5, 20*sec
			s.script = both(during(0, times(10), times(1)), during(1, times(10), times(1)))
		}),
		base("replica.rolling", "each of five replicas is gone for 2 s in turn", func(s *scenario) {
			s.zones, s.workers, s.load, s.fault = 5, 2, 0.5, 15*sec
			s.script = func(s *scenario) (all []event) {
				for i := range s.zones {
					at := s.calm + time.Duration(3*i)*sec
					all = append(all, event{at, i, refuses}, event{at + 2*sec, i, accepts})
				}
				return all
			}
		}),
		base("endpoint.hung-80", "80 % of the requests hang for 20 s", func(s *scenario) {
			s.fault, s.load, s.script = 20*sec, 0.5, during(0, flawed(flaws{hang: 0.8}), flawed(flaws{}))
		}),
		base("endpoint.hung-30", "30 % of the requests hang for 30 s", func(s *scenario) {
			s.fault, s.load, s.script = 30*sec, 0.4, during(0, flawed(flaws{hang: 0.3}), flawed(flaws{}))
		}),
		base("endpoint.slow-10", "one answer in ten 1.5 s later for 30 s, limit 1 s", func(s *scenario) {
			s.fault, s.script = 30*sec, during(0, sometimes(0.1, 1.5, 1.5), punctual)
		}),
		base("endpoint.slow-90", "nine answers in ten 900 ms later for 30 s, limit 1 s", func(s *scenario) {
			s.fault, s.script, s.short = 30*sec, during(0, sometimes(0.9, 0.8, 0.9), punctual), true
		}),
		base("loss", "3 % of the answers 1 to 3 s later for 40 s", func(s *scenario) {
			s.fault, s.load, s.script = 40*sec, 0.5, during(0, sometimes(0.03, 1, 3), punctual)
		}),
		base("tail", "2 % of the answers take 1 s to 10 s, as ever", func(s *scenario) {
			s.load, s.fault = 0.5, 0
			s.script = func(*scenario) []event {
				return []event{{0, 0, func(s *state) {
					s.extra = func(r *rand.Rand) time.Duration {
						if r.Float64() > 0.02 {
							return 0
						}
						return time.Duration(float64(sec) * math.Min(10, math.Pow(r.Float64(), -0.7)))
					}
				}}}
			}
		}),
		base("errors.posts", "a fifth of the POSTs fail at once for 20 s", func(s *scenario) {
			s.method, s.fault, s.script = "POST", 20*sec, during(0, flawed(flaws{fail: 0.2}), flawed(flaws{}))
		}),
	)
	return list
}

// otherServers are those before a server with a limit of another kind.
func otherServers() []scenario {
	var list []scenario
	for _, server := range []string{limitReq, inFlight} {
		list = append(list,
			base(server+".spike", "twice the load of 0.8 for 10 s before "+server, func(s *scenario) { s.server, s.load, s.spike = server, 0.8, 2 }),
			base(server+".stall", "a stall of 10 s before "+server, func(s *scenario) { s.server, s.script = server, stalled }))
	}
	return append(list,
		base("quota", "a quota of 80 % per 30 s, 429 with Retry-After", func(s *scenario) {
			s.server, s.fault, s.load, s.calm, s.after = quota, 0, 0.4, 30*sec, 60*sec
		}),
		base("closed.1s", "503 with Retry-After: 1 to all for 20 s", func(s *scenario) { s.fault, s.server = 20*sec, closed1 }),
		base("closed.120s", "503 with Retry-After: 120 to all for 20 s", func(s *scenario) { s.fault, s.server = 20*sec, closed120 }),
		base("shed.fifth", "503 with Retry-After: 1 to one request in five for 30 s, whatever the load is", func(s *scenario) {
			s.fault, s.server, s.load = 30*sec, fifthShed, 0.4
		}),
		base("shed.fifth-slow", "the same, answers of 300 ms", func(s *scenario) {
			s.fault, s.server, s.workers, s.mean, s.work, s.rate = 30*sec, fifthShed, 1000, 300*time.Millisecond, narrow, 150
		}),
	)
}

// fleets are those in which not all clients have our policy.
func fleets() []scenario {
	var list []scenario
	for _, share := range []float64{0.2, 0.5, 0.8} {
		for _, rest := range []string{"none", "retryablehttp"} {
			list = append(list, base("mixed."+percent(share)+"-"+rest, percent(share)+" % of the clients have our policy, the others "+rest+", a stall of 10 s", func(s *scenario) {
				s.clients, s.fleet, s.script = 20, []part{{"evenkeel", share}, {rest, 1 - share}}, stalled
			}))
		}
	}
	return list
}

// seldom are those of clients that call less than once a second each.
func seldom(others []scenario) []scenario {
	var list []scenario
	for _, n := range []int{20, 50, 100, 200, 300, 500, 1000, 5000} {
		list = append(list, base("clients."+fmt.Sprint(n)+".stall", "a stall of 10 s at 0.7, "+fmt.Sprint(n)+" clients", func(s *scenario) {
			s.clients, s.script, s.perCall = n, stalled, 1.1
			s.short = n == 200
		}))
	}
	again := []string{"replica.hung-1of3", "replica.hung-1of10", "replica.hung-1of2", "endpoint.hung-80", "endpoint.hung-30", "endpoint.slow-10", "endpoint.slow-90",
		"loss", "tail", "later.exponential", "later.600ms", "later.300ms", "later.900ms-20s", "pauses.1500ms", "flapping", "slow", "bimodal", "errors.10s", "outage.30s",
		"limit-req.spike", "in-flight.spike", "replica.rolling", "replica.later-2of5", "drop", "ramp", "on-off", "blips"}
	for _, id := range again {
		for _, s := range others {
			if s.id == id {
				s.id, s.title, s.clients, s.short = "clients.200."+id, s.title+", 200 clients", 200, false
				s.ends, s.perCall = 0, 0
				list = append(list, s)
			}
		}
	}
	for _, s := range list {
		for _, id := range strings.Fields("clients.50.stall clients.200.stall clients.1000.stall clients.200.replica.hung-1of3 clients.200.replica.hung-1of2") {
			if s.id == id {
				s.id, s.title, s.calm, s.short = s.id+".warm", s.title+", after two minutes of calm", 120*sec, false
				list = append(list, s)
			}
		}
	}
	return list
}
