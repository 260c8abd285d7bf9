package main

import (
	"math"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A second is what began in one.
type second struct{ Calls, Good, Attempts int }

// A record is kept of one run.
type record struct {
	scenario scenario
	start    time.Time
	giveUp   func() // ends the run, which is of no use any more

	mu        sync.Mutex // guards what follows
	seconds   []second
	latencies []time.Duration // of good calls
	late      []time.Duration // by which calls began after their time
	stops     map[string]int
	after     int // attempts of calls that outlasted the run
	held      int // calls that were not sent at once
	parts     []second
}

// warmUp is the time whose latencies do not count where it is about the tail: a
// quantile has to be seen before it can be used.
const warmUp = 10 * time.Second

// hopeless is how late a call may begin before the run is ended.
const hopeless = time.Second

func newRecord(s scenario) *record {
	return &record{scenario: s, stops: map[string]int{}, seconds: make([]second, int(math.Ceil(s.length().Seconds()))), parts: make([]second, max(len(s.fleet), 1))}
}

func (r *record) sent(part int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parts[part].Attempts++
	if i := int(time.Since(r.start) / time.Second); i < len(r.seconds) {
		r.seconds[i].Attempts++
	} else {
		r.after++
	}
}

func (r *record) stopped(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stops[reason]++
}

func (r *record) arrived(late time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late = append(r.late, late)
	if late > hopeless {
		r.giveUp()
	}
}

func (r *record) delayed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held++
}

func (r *record) called(at, took time.Duration, good bool, part int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.seconds[int(at/time.Second)]
	s.Calls++
	r.parts[part].Calls++
	if good {
		s.Good++
		r.parts[part].Good++
		if r.scenario.kind != hedge || at >= warmUp {
			r.latencies = append(r.latencies, took)
		}
	}
}

// A result is what a run, or the median of several, came to.
type result struct {
	Scenario, Policy string
	Seed             uint64         `json:",omitempty"`
	Runs             int            `json:",omitempty"` // of which this is the median
	Calls, Attempts  int            `json:",omitempty"`
	Success          float64        // of the calls
	Recovered        float64        // seconds from the end of the fault; never is -1
	Amplification    float64        // attempts per call while the fault lasts, or in all without one
	InAll            float64        // attempts per call over the whole run
	P50, P99, P999   float64        // of good calls, in ms
	Late, LateMax    float64        // 99th percentile and maximum by which calls began late, in ms
	LateServer       float64        // maximum by which the server was late, in ms
	Stops            map[string]int `json:",omitempty"` // why calls ended, if the client says
	Refused          string         `json:",omitempty"` // why the run is not to be relied on
	Seconds          []second       `json:",omitempty"`
	Held             float64        `json:",omitempty"` // share of the calls that were not sent at once
	Parts            []float64      `json:",omitempty"` // success of each part of a mixed fleet
	Optimum          float64        `json:",omitempty"` // success that the service could have had; 0: not known
	OfOptimum        float64        `json:",omitempty"` // success, as a share of that
}

const never = -1

func (r *record) result() result {
	r.mu.Lock()
	defer r.mu.Unlock()
	res := result{Seconds: r.seconds, Attempts: r.after, Stops: r.stops, Recovered: never}
	var inFault second
	from, to := int(r.scenario.calm.Seconds()), int((r.scenario.calm + r.scenario.fault).Seconds())
	good := 0
	for i, s := range r.seconds {
		res.Calls += s.Calls
		res.Attempts += s.Attempts
		good += s.Good
		if i >= from && i < to {
			inFault.Calls += s.Calls
			inFault.Attempts += s.Attempts
		}
	}
	res.Success = ratio(good, res.Calls)
	res.InAll = ratio(res.Attempts, res.Calls)
	res.Held = ratio(r.held, res.Calls)
	if len(r.parts) > 1 {
		for _, p := range r.parts {
			res.Parts = append(res.Parts, ratio(p.Good, p.Calls))
		}
	}
	res.Amplification = res.InAll
	if r.scenario.fault > 0 {
		res.Amplification = ratio(inFault.Attempts, inFault.Calls)
		res.Recovered = recovered(r.seconds, to)
	}
	slices.Sort(r.latencies)
	slices.Sort(r.late)
	res.P50, res.P99, res.P999 = quantile(r.latencies, 0.5), quantile(r.latencies, 0.99), quantile(r.latencies, 0.999)
	res.Late, res.LateMax = quantile(r.late, 0.99), quantile(r.late, 1)
	return res
}

// recovered returns how many seconds after the given one the goodput is back:
// 99 % of the calls that begin in a second succeed, and 99 % of those in it and
// the four after.
func recovered(seconds []second, from int) float64 {
	for i := from; i+5 <= len(seconds); i++ {
		calls, good := 0, 0
		for _, s := range seconds[i : i+5] {
			calls += s.Calls
			good += s.Good
		}
		if ratio(seconds[i].Good, seconds[i].Calls) >= 0.99 && ratio(good, calls) >= 0.99 {
			return float64(i - from)
		}
	}
	return never
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// quantile returns the q quantile of sorted durations, in milliseconds.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return ms(sorted[min(int(q*float64(len(sorted))), len(sorted)-1)])
}

func ms(d time.Duration) float64 { return math.Round(float64(d)/1e4) / 100 }

func percent(x float64) string { return strconv.Itoa(int(math.Round(100 * x))) }

// The load generator and the server may be late by so much for a run to count:
// little against the time limit of an attempt, which is the finest scale that
// decides anything.
func (r *result) judge(s scenario) {
	limit := max(ms(s.timeout)/20, 5)
	switch {
	case r.Late > limit:
		r.Refused = "calls began late"
	case r.LateMax > 5*limit:
		r.Refused = "a call began late"
	case r.LateServer > 5*limit:
		r.Refused = "the server was late"
	}
}

// median returns the medians of runs of the same policy and scenario, and the
// seconds of the run whose success is the median.
func median(runs []result) result {
	m := runs[0]
	if len(runs) == 1 {
		m.Runs = 1
		return m
	}
	of := func(f func(result) float64) float64 {
		v := make([]float64, len(runs))
		for i, r := range runs {
			v[i] = f(r)
		}
		slices.Sort(v)
		if n := len(v); n%2 == 0 {
			return (v[n/2-1] + v[n/2]) / 2
		}
		return v[len(v)/2]
	}
	typical := slices.Clone(runs)
	slices.SortFunc(typical, func(a, b result) int { return int(math.Copysign(1, a.Success-b.Success)) })
	rec := of(func(r result) float64 {
		if r.Recovered == never {
			return math.Inf(1)
		}
		return r.Recovered
	})
	if math.IsInf(rec, 1) {
		rec = never
	}
	return result{
		Scenario: m.Scenario, Policy: m.Policy, Runs: len(runs), Recovered: rec,
		Success:       of(func(r result) float64 { return r.Success }),
		Amplification: of(func(r result) float64 { return r.Amplification }),
		InAll:         of(func(r result) float64 { return r.InAll }),
		P50:           of(func(r result) float64 { return r.P50 }),
		P99:           of(func(r result) float64 { return r.P99 }),
		P999:          of(func(r result) float64 { return r.P999 }),
		Late:          of(func(r result) float64 { return r.Late }),
		LateMax:       of(func(r result) float64 { return r.LateMax }),
		LateServer:    of(func(r result) float64 { return r.LateServer }),
		Held:          of(func(r result) float64 { return r.Held }),
		Parts:         typical[len(typical)/2].Parts,
		Optimum:       of(func(r result) float64 { return r.Optimum }),
		OfOptimum:     of(func(r result) float64 { return r.OfOptimum }),
		Seconds:       typical[len(typical)/2].Seconds,
		Stops:         typical[len(typical)/2].Stops,
	}
}
