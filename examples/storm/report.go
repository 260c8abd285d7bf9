package main

import "maps"

// A Report is the document that -json writes.
type Report struct {
	DurationSeconds float64        `json:"duration_seconds"`
	CalmSeconds     float64        `json:"calm_seconds"`
	StallSeconds    float64        `json:"stall_seconds"`
	Clients         int            `json:"clients"`
	Rate            float64        `json:"calls_per_second"`
	Capacity        float64        `json:"capacity_per_second"`
	TimeoutSeconds  float64        `json:"attempt_timeout_seconds"`
	DeadlineSeconds float64        `json:"deadline_seconds"`
	Seed            uint64         `json:"seed"`
	Policies        []PolicyReport `json:"policies"`
}

// A PolicyReport counts the calls of one policy by their outcome.
type PolicyReport struct {
	Name           string         `json:"name"`
	Title          string         `json:"title"`
	Calls          int            `json:"calls"`
	Attempts       int            `json:"attempts"`
	AttemptsAfter  int            `json:"attempts_after_last_second"` // of Attempts
	Successes      int            `json:"successes"`
	SuccessPercent float64        `json:"success_percent"`
	Failures       map[string]int `json:"failures"` // by kind: timeout, status, refused, other
	// StallAmplification is attempts per call during the stall.
	StallAmplification float64 `json:"stall_amplification"`
	// RecoveredAfter is the number of seconds from the end of the stall to
	// the first of three that together have 99 % goodput; null if no three have it.
	RecoveredAfter *int           `json:"recovered_after_seconds"`
	LateCalls      int            `json:"late_calls"` // that started more than 50 ms late
	Unexpected     string         `json:"unexpected_error,omitempty"`
	Seconds        []SecondReport `json:"seconds"`
}

// A SecondReport is one second of a policy.
type SecondReport struct {
	Second         int     `json:"second"`
	Stalled        bool    `json:"stalled"`
	Calls          int     `json:"calls"`     // that arrived in this second
	Attempts       int     `json:"attempts"`  // that were sent in this second
	Successes      int     `json:"successes"` // of Calls, in whichever second the response came
	GoodputPercent float64 `json:"goodput_percent"`
	Amplification  float64 `json:"amplification"` // attempts per call
}

func (s *storm) report() Report {
	c := s.cfg
	r := Report{
		DurationSeconds: c.duration.Seconds(),
		CalmSeconds:     c.calm.Seconds(),
		StallSeconds:    c.stall.Seconds(),
		Clients:         c.clients,
		Rate:            c.rate,
		Capacity:        c.capacity,
		TimeoutSeconds:  c.timeout.Seconds(),
		DeadlineSeconds: c.deadline.Seconds(),
		Seed:            c.seed,
	}
	for _, l := range s.lanes {
		r.Policies = append(r.Policies, l.report(c))
	}
	return r
}

func (l *lane) report(cfg config) PolicyReport {
	t := l.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	p := PolicyReport{
		Name: l.policy.name, Title: l.policy.title,
		Attempts: t.after.attempts, AttemptsAfter: t.after.attempts,
		Failures: maps.Clone(t.failures), LateCalls: t.lateCalls,
	}
	if t.unexpected != nil {
		p.Unexpected = t.unexpected.Error()
	}
	var stall second
	for i, s := range t.seconds {
		p.Calls += s.calls
		p.Attempts += s.attempts
		p.Successes += s.successes
		if cfg.stalled(i) {
			stall.calls += s.calls
			stall.attempts += s.attempts
		}
		p.Seconds = append(p.Seconds, SecondReport{
			Second: i, Stalled: cfg.stalled(i),
			Calls: s.calls, Attempts: s.attempts, Successes: s.successes,
			GoodputPercent: 100 * ratio(s.successes, s.calls), Amplification: ratio(s.attempts, s.calls),
		})
	}
	p.SuccessPercent = 100 * ratio(p.Successes, p.Calls)
	p.StallAmplification = ratio(stall.attempts, stall.calls)
	if after, ok := recovery(t.seconds, cfg.afterStall()); ok {
		p.RecoveredAfter = &after
	}
	return p
}

// recovery returns the number of seconds from the stall to the first of three in
// a row that together have a goodput of 99 %. It reports false if the run has none.
func recovery(seconds []second, afterStall int) (after int, ok bool) {
	const row, percent = 3, 99
	for i := afterStall; i+row <= len(seconds); i++ {
		var sum second
		for _, s := range seconds[i : i+row] {
			sum.calls += s.calls
			sum.successes += s.successes
		}
		if sum.calls > 0 && sum.successes*100 >= sum.calls*percent {
			return i - afterStall, true
		}
	}
	return 0, false
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
