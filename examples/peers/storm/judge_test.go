package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	storm := exam{ends: 2 * sec, perCall: 0.4}
	good := func(change func(map[string]*result)) map[string]result {
		of := map[string]*result{}
		for _, e := range entrants() {
			of[e.id] = &result{Runs: 3, Success: 0.9, Amplification: 0.4, Recovered: 2, OfOptimum: 0.95, Parts: []float64{0.9, 0.5}}
		}
		if change != nil {
			change(of)
		}
		all := map[string]result{}
		for id, r := range of {
			all[id] = *r
		}
		return all
	}
	for _, tt := range []struct {
		name   string
		exam   exam
		fleet  []part
		change func(map[string]*result)
		broken []string
	}{
		{name: "a good one", exam: storm},
		{"a client worse than none", exam{}, nil, func(of map[string]*result) { of["client"].Success, of["breaker"].Success = 0.889, 0.889 }, []string{"breaker: no harm", "client: no harm"}},
		{"a server worse than none", exam{}, nil, func(of map[string]*result) { of["server"].Success = 0.889 }, []string{"server: no harm"}},
		{"two ends worse than one", exam{}, nil, func(of map[string]*result) { of["server"].Success = 0.911 }, []string{"both: both ends"}},
		{"a breaker worse than the client", exam{}, nil, func(of map[string]*result) { of["client"].Success, of["both"].Success = 0.911, 0.911 }, []string{"breaker: like client"}},
		{"delayed where all is well", exam{}, nil, func(of map[string]*result) {
			for _, r := range of {
				r.Success = 0.999
			}
			of["client"].Held, of["both"].Held = 0.01, 0.011
		}, []string{"both: at once"}},
		{"delayed where it is not", exam{}, nil, func(of map[string]*result) { of["client"].Held = 0.5 }, nil},
		{"late", storm, nil, func(of map[string]*result) { of["client"].Recovered, of["breaker"].Recovered = 3, 5 }, []string{"client: ends"}},
		{"never", storm, nil, func(of map[string]*result) { of["breaker"].Recovered = never }, []string{"breaker: ends"}},
		{"late where nobody asks", exam{}, nil, func(of map[string]*result) { of["client"].Recovered = never }, nil},
		{"too many attempts", storm, nil, func(of map[string]*result) { of["both"].Amplification = 0.41 }, []string{"both: attempts"}},
		{"far from the optimum", storm, nil, func(of map[string]*result) { of["both"].OfOptimum, of["both"].Optimum = 0.949, 0.9 }, []string{"both: of optimum"}},
		{"where the optimum is not known", storm, nil, func(of map[string]*result) { of["both"].OfOptimum = 0 }, nil},
		{"our part of a fleet", exam{}, []part{{"evenkeel", 0.5}, {"none", 0.5}}, func(of map[string]*result) { of["client"].Parts = []float64{0.889, 1} }, []string{"client: no harm"}},
		{"a bad client where no retry did not play", exam{}, nil, func(of map[string]*result) { of["client"].Success = 0.1; delete(of, "none") }, nil},
		{"our part of a fleet where no retry did not play", exam{}, []part{{"evenkeel", 0.5}, {"none", 0.5}}, func(of map[string]*result) { delete(of, "none") }, nil},
		{"a bad breaker where the client did not play", exam{}, nil, func(of map[string]*result) { of["breaker"].Success = 0.895; delete(of, "client") }, nil},
		{"two ends worse than the server where the client did not play", exam{}, nil, func(of map[string]*result) { of["server"].Success = 0.911; delete(of, "client") }, []string{"both: both ends"}},
		{"two ends where neither end played alone", exam{}, nil, func(of map[string]*result) { delete(of, "client"); delete(of, "server") }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &scenario{id: "a world", server: naive, fleet: tt.fleet, exam: tt.exam}
			st := standing{w, good(tt.change)}
			for _, e := range entrants() {
				if !e.goesTo(w) {
					delete(st.of, e.id)
				}
			}
			var broken []string
			for _, v := range st.judge(false) {
				if !v.kept {
					broken = append(broken, v.who+": "+v.law)
				}
			}
			slices.Sort(broken)
			if !slices.Equal(broken, tt.broken) {
				t.Errorf("broken %q, want %q", broken, tt.broken)
			}
		})
	}
	for _, tt := range []struct {
		name             string
		success, attempt float64
		back             float64
		kept             bool
	}{
		{"room for chance", 0.87, 0.5, 4, true},
		{"not for fewer successes", 0.869, 0.5, 4, false},
		{"nor more attempts", 0.87, 0.501, 4, false},
		{"nor for later", 0.87, 0.5, 5, false},
	} {
		w := &scenario{id: "a world", server: naive, exam: storm}
		st := standing{w, good(func(of map[string]*result) {
			of["client"].Success, of["client"].Amplification, of["client"].Recovered = tt.success, tt.attempt, tt.back
		})}
		kept := true
		for _, v := range st.judge(true) {
			kept = kept && v.kept
		}
		if kept != tt.kept {
			t.Errorf("%s: kept %v, want %v", tt.name, kept, tt.kept)
		}
	}
}

// Little is lost of what a service could do, and nothing that it could not.
func TestOptimum(t *testing.T) {
	constant := func(mean time.Duration) func(*rand.Rand) time.Duration {
		return func(*rand.Rand) time.Duration { return mean }
	}
	calm := base("calm", "", func(s *scenario) { s.work, s.load, s.fault = constant, 0.5, 0 })
	for _, tt := range []struct {
		name   string
		change func(*scenario)
		want   float64
	}{
		{"calm", nil, 1},
		// Of 58 s, those that came in the first five of a stall of ten are lost.
		{"a stall", func(s *scenario) { s.fault, s.script = 10*sec, stalled }, 1 - 5.0/58},
		{"connections refused", func(s *scenario) { s.fault, s.script = 10*sec, during(0, refuses, accepts) }, 1 - 5.0/58},
		// After 8 s of 49 a fifth of what is asked can be done. That is so for 6 s, until
		// what has the least time left has too little.
		{"one worker, ten times slower", func(s *scenario) { s.workers, s.load, s.script = 1, 0.5, from(0, times(10)); s.fault = sec }, (8 + 6.25/5) / 49},
		{"answers later than calls may take", func(s *scenario) { s.script, s.fault = from(0, later(5, 5)), sec }, 8.0 / 49},
		{"calls that may take less than the work", func(s *scenario) { s.deadline = 19 * time.Millisecond }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := calm
			if tt.change != nil {
				tt.change(&s)
			}
			got, known := s.optimum(1)
			if !known || math.Abs(got-tt.want) > 0.02 {
				t.Errorf("optimum %.3f, known %v, want %.3f", got, known, tt.want)
			}
		})
	}
	for name, change := range map[string]func(*scenario){
		"replicas": func(s *scenario) { s.zones = 2 }, "hops": func(s *scenario) { s.hops = 1 }, "flaws": func(s *scenario) { s.flaws.slow = 0.1 },
		"hangs": func(s *scenario) { s.script = from(0, flawed(flaws{hang: 0.1})) }, "fails": func(s *scenario) { s.script = from(0, flawed(flaws{fail: 0.1})) },
		"another server": func(s *scenario) { s.server = quota },
	} {
		s := calm
		change(&s)
		if _, known := s.optimum(1); known {
			t.Errorf("%s: there is an optimum, want none", name)
		}
	}
}

// A mixed fleet has each policy for its share of the clients.
func TestPartOf(t *testing.T) {
	s := scenario{clients: 20, fleet: []part{{"evenkeel", 0.8}, {"none", 0.2}}}
	count := map[string]int{}
	for i := range s.clients {
		count[s.policyOf(i, policy{}).id]++
	}
	if count["evenkeel"] != 16 || count["none"] != 4 {
		t.Errorf("got %v, want 16 and 4", count)
	}
}
