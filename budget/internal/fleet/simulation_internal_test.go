package fleet

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

const s = time.Second

// Everything fails between these.
const failFrom, failTo, simLength = 15 * s, 45 * s, 60 * s

func outage(now time.Duration, _, _ int) float64 {
	if now >= failFrom && now < failTo {
		return 1
	}
	return 0.005
}

// zone fails for every fifth instance, of all sizes.
func zone(now time.Duration, i, _ int) float64 {
	if i%5 == 2 {
		return outage(now, i, 0)
	}
	return 0.005
}

// figures are a line of the table in the package documentation.
type figures struct {
	peak, steady, target float64 // retries per request
	excess               float64 // seconds of budget
	jain                 float64
	used                 float64 // of the budget, or of what was asked for
	perInstance          float64 // calls of each per second, while it fails
	calls, most          float64 // of all per second, on average and in the busiest one
	broken               float64 // tokens beyond the bound
}

func simulate(sc scene, seed uint64) figures {
	if sc.length == 0 {
		sc.length = simLength
	}
	// Instances are compared while calls fail: what they send later needs no retries.
	sc.at = append(slices.Clone(sc.at), incident{failFrom + 5*s, func(w *world) { w.judging = true }}, incident{failTo, func(w *world) { w.judging = false }})
	w := newWorld(sc, seed)
	w.run()
	p := w.policy
	failing := total(w.between(failFrom+5*s, failTo))
	seconds := (failTo - failFrom - 5*s).Seconds()
	f := figures{
		peak:   w.peak(),
		steady: float64(failing.retries) / float64(failing.requests),
		target: p.Ratio + p.MinPerSecond/sc.requests,
		excess: w.excess(w.buckets, sc.requests),
		jain:   jain(w.members, 25, p.Ratio, func(m *member) bool { return sc.fails(failFrom, m.i, sc.instances) == 1 }),
		broken: w.bound.worst,
		calls:  float64(w.calls) / w.length.Seconds(),
	}
	f.perInstance = float64(failing.calls) / seconds / float64(sc.instances)
	f.used = float64(failing.retries) / min((p.Ratio*sc.requests+p.MinPerSecond)*seconds, float64(failing.failures-w.gaveUp))
	for at := time.Duration(0); at < w.length; at += s {
		f.most = max(f.most, float64(total(w.between(at, at+s)).calls))
	}
	return f
}

func (f figures) String() string {
	return fmt.Sprintf("%6.1f %7.2f %7.2f %7.2f %6.3f %5.2f %7.2f %7.0f %7.0f",
		100*f.peak, 100*f.steady, 100*f.target, f.excess, f.jain, f.used, f.perInstance, f.calls, f.most)
}

var header = fmt.Sprintf("%-20s %6s  %6s %7s %7s %7s %6s %5s %7s %7s %7s",
	"", "of", "peak", "steady", "target", "excess", "jain", "used", "calls/i", "calls/s", "most")

var sizes = []struct {
	instances int
	requests  float64
}{{10, 1000}, {1000, 10_000}, {10_000, 100_000}}

// troubles befall Redis and the fleet while everything fails.
var troubles = []incident{
	{20 * s, func(w *world) { w.gone = true }},
	{28 * s, func(w *world) { w.gone = false; clear(w.redis.kept) }}, // restarted, empty
	{33 * s, func(w *world) { clear(w.redis.kept) }},                 // FLUSHALL
	{36 * s, func(w *world) { w.backup = maps.Clone(w.redis.kept) }},
	{37 * s, func(w *world) { w.redis.kept = w.backup }}, // failover, a second is lost
}

// half of the fleet cannot reach Redis for a while.
func half(now time.Duration, i, n int) bool {
	return i%2 == 0 && now >= 20*s && now < 40*s
}

var scenes = []struct {
	name string
	scene
}{
	{"everything fails", scene{fails: outage}},
	{"a fifth fails", scene{fails: zone}},
	{"... half is cut off", scene{fails: zone, away: half}},
	{"troubles", scene{fails: outage, at: troubles, churn: 0.01}},
	{"quota of 50/s", scene{fails: outage, policy: budget.Policy{MinPerSecond: 50}}},
}

// The production code of whole fleets keeps the promises of the package
// documentation. With -v it prints the table there.
func TestSimulation(t *testing.T) {
	t.Log(header)
	for _, size := range sizes {
		if size.instances > 1000 && !*long || size.instances > 10 && raced {
			continue
		}
		for _, sc := range scenes {
			sc.instances, sc.requests = size.instances, size.requests
			if sc.policy == (budget.Policy{}) {
				sc.policy = budget.Policy{Ratio: 0.1, MinPerSecond: 10}
			}
			f := simulate(sc.scene, 1)
			t.Logf("%-20s %6d  %s", sc.name, sc.instances, f)
			within := func(what string, got, low, high float64) {
				if !(got >= low && got <= high) {
					t.Errorf("%s, %d instances: %s is %.4g, want %.4g to %.4g", sc.name, sc.instances, what, got, low, high)
				}
			}
			within("the steady ratio", f.steady, 0, f.target+0.003)
			within("calls per instance", f.perInstance, 0, 3)
			within("calls of the fleet", f.calls, 0, 6000)
			// What a failover brings back is within one pool, and so is what
			// a floor earns within the hundredth of a second of the trace.
			beyond := 0.001 + 2*bucketSize.Seconds()*sc.policy.MinPerSecond
			if sc.at != nil {
				beyond += f.target * sc.requests
			}
			within("tokens from nothing", f.broken, 0, beyond)
			if sc.policy.Ratio == 0 {
				// Each may hold a token, however small the quota of all is.
				within("the excess", f.excess*sc.policy.MinPerSecond, 0, 100+float64(sc.instances)/10)
				continue
			}
			within("the excess", f.excess, 0, 2)
			if sc.away == nil {
				within("what is used", f.used, 0.9, 1.01)
				within("the fairness", f.jain, 0.97, 1)
			}
		}
	}
}

// Instances whose own requests never earn a token together do. Each has one
// request in five seconds, of which one in twenty fails.
func TestSimulationOfRareCalls(t *testing.T) {
	for _, tt := range []struct {
		instances int
		least     float64 // of the failed calls that are retried
	}{{10, 0.5}, {100, 0.6}, {1000, 0.6}} {
		if tt.instances > 10 && raced {
			continue
		}
		w := newWorld(scene{
			instances: tt.instances, requests: 0.2 * float64(tt.instances), length: time.Duration(max(steps(200, 1000), 200)) * s, // fewer calls would prove nothing
			fails:  func(time.Duration, int, int) float64 { return 0.05 },
			policy: budget.Policy{Ratio: 0.1},
		}, 3)
		w.even()
		w.run()
		sum := total(w.buckets)
		retried, each := float64(sum.retries)/float64(sum.failures), float64(w.calls)/w.length.Seconds()/float64(tt.instances)
		t.Logf("%d instances: %.2f of %d failures retried, %.2f calls/s each", tt.instances, retried, sum.failures, each)
		if retried < tt.least || each > 1 {
			t.Errorf("%d instances: %.2f of the failures were retried at %.2f calls/s each, want at least %.2f at 1", tt.instances, retried, each, tt.least)
		}
	}
}
