package fleet

import (
	"testing"
	"time"

	"github.com/datapunk/evenkeel/budget"
)

// Policies with Evidence, with the default stock and that of transport.New.
var evidencePolicies = []budget.Policy{
	{Ratio: 0.05, MinPerSecond: 10, Evidence: true},
	{Ratio: 0.05, MinPerSecond: 10, Evidence: true, Hold: 2 * s, Pool: 4 * s},
}

// randomly is errors by chance, until everything fails.
func randomly(chance float64) func(time.Duration, int, int) float64 {
	return func(now time.Duration, i, n int) float64 { return max(chance, outage(now, i, n)) }
}

// Where nothing helps, a fleet with Evidence spends its stock and the floor and
// nothing else, however many requests there are, and however many retries
// helped before: what they brought beyond the stock is not kept.
func TestSimulationOfEvidenceWhereNothingHelps(t *testing.T) {
	for _, size := range sizes {
		if size.instances > 1000 && !*long || size.instances > 10 && raced {
			continue
		}
		for _, tt := range []struct {
			name   string
			errors float64
			scene
		}{
			{"after 0.5% errors", 0.005, scene{}},
			{"after 20% errors", 0.2, scene{}},
			{"with troubles", 0.2, scene{at: troubles, churn: 0.01}},
		} {
			for _, p := range evidencePolicies {
				sc := tt.scene
				sc.fails = randomly(tt.errors)
				sc.instances, sc.requests, sc.policy, sc.length, sc.attempts = size.instances, size.requests, p, simLength, 5
				var stock float64
				sc.at = append([]incident{{failFrom, func(w *world) { stock = w.stock() }}}, sc.at...)
				w := newWorld(sc, 1)
				w.run()
				within := func(what string, got, low, high float64) {
					if !(got >= low && got <= high) {
						t.Errorf("%d instances %s, Hold %v: %s is %.4g, want %.4g to %.4g", sc.instances, tt.name, w.policy.Hold, what, got, low, high)
					}
				}
				all, late := total(w.between(failFrom, failTo)), total(w.between(failFrom+10*s, failTo))
				retries, floor := float64(all.retries), p.MinPerSecond*(failTo-failFrom).Seconds()
				perSecond := p.Ratio*sc.requests + p.MinPerSecond
				// A process that fails may keep besides what it needs until
				// the next exchange, and two tokens for a retry that helped.
				exchange := testLimits.interval(float64(sc.instances)).Seconds()
				kept := perSecond*(w.policy.Hold+w.policy.Pool).Seconds() + tt.errors*sc.requests*exchange + 2*float64(sc.instances)
				t.Logf("%6d %-18s Hold %-5v: stock %5.0f, %5d retries for %7d requests, later %.4f of them, excess %.2f s, tokens from nothing %.2f",
					sc.instances, tt.name, w.policy.Hold, stock, all.retries, all.requests, float64(late.retries)/float64(late.requests), w.excess(w.buckets, sc.requests), w.bound.worst)
				revived, trace := 0.0, 0.001+2*bucketSize.Seconds()*p.MinPerSecond
				if tt.at != nil { // a failover, as above
					revived = perSecond * w.policy.Pool.Seconds()
				}
				within("tokens from nothing", w.bound.worst, 0, trace+revived)
				within("the stock", stock, 0, kept)
				within("the excess", w.excess(w.buckets, sc.requests)*perSecond, 0, kept+revived)
				within("retries while everything fails", retries, 0, stock+floor+trace+revived)
				if tt.at == nil {
					// Who had few calls has a token left, now and then.
					later := p.MinPerSecond * (failTo - failFrom - 10*s).Seconds()
					within("retries later", float64(late.retries), 0.9*later, 1.3*later+float64(sc.instances)/20)
				}
			}
		}
	}
}

// Where errors are random a fleet with Evidence can retry nearly every call,
// although it earns a token for twenty requests and a fifth of all attempts
// fail. Five in a row do in 0.03% of the calls.
func TestSimulationOfEvidenceWhereRetriesHelp(t *testing.T) {
	const from, to = 10 * s, 40 * s
	for _, size := range sizes {
		if size.instances > 1000 && !*long || size.instances > 10 && raced {
			continue
		}
		for i, p := range evidencePolicies {
			w := newWorld(scene{
				instances: size.instances, requests: size.requests, policy: p, length: to, attempts: 5,
				fails: func(now time.Duration, _, _ int) float64 {
					if now < from {
						return 0.005
					}
					return 0.2
				},
			}, 1)
			w.run()
			sum := total(w.between(from, to))
			succeeded := 1 - float64(sum.lost)/float64(sum.requests)
			t.Logf("%6d instances, Hold %-5v: %.4f of %d calls succeed, %d retries, %.2f calls/s each",
				size.instances, w.policy.Hold, succeeded, sum.requests, sum.retries, float64(w.calls)/to.Seconds()/float64(size.instances))
			least := []float64{0.989, 0.9985}[i]
			if size.instances > 1000 { // each speaks once in a second
				least = []float64{0.989, 0.997}[i]
			}
			if succeeded < least {
				t.Errorf("%d instances, Hold %v: %.4f of the calls succeed, want %.4f", size.instances, w.policy.Hold, succeeded, least)
			}
			if w.bound.worst > 0.001+2*bucketSize.Seconds()*p.MinPerSecond {
				t.Errorf("%d instances, Hold %v: %.2f tokens from nothing", size.instances, w.policy.Hold, w.bound.worst)
			}
		}
	}
}
