package health

import "math"

// A State is what a fleet keeps of one service. A new one is made by [NewState]. No
// process is known by name, except for the last few that had bad news.
type State struct {
	At      float64 // time of the last report, in microseconds
	Present float64 // seconds that processes were there, decayed over longTerm
	TurnAt  float64 // when the verdicts were last judged

	// Of the overload. Calls and Run are decayed over shortTerm.
	Calls            float64
	Run              float64 // timeouts of attempts sent after Passed
	Passed           float64 // when the newest attempt was sent that is known to have succeeded
	Share            float64
	Fast, Slow, Late float64 // since TurnAt
	Steady           float64 // judgements in a row that saw slow successes and few timeouts

	// Of the circuit. Asked is decayed over shortTerm, Failures over longTerm.
	Asked     float64
	Failures  float64 // in a row; a success takes back redeems of them
	Circuit   float64
	Good, Bad float64 // since TurnAt

	IsolatedAt, IsolatedUntil float64

	Witnesses []float64 // of Run
	Failing   []float64 // processes whose calls failed; both as in remember
}

// The figures of the rule. The script has the same.
const (
	longTerm, shortTerm = 10, 3 // seconds
	second              = 1e6   // microseconds
	turnEvery           = second / 2

	probes    = 4 // per second, of the whole fleet
	leastRun  = 7 // timeouts that prove an overload
	mostRun   = 50
	runShare  = 8 // or an eighth of the calls per second, if that is between them
	mostLate  = 2 // that count of one report
	quorum    = 3 // processes with bad news, or as many as there are, but never 1
	steadyFor = 4 // judgements until slow is what the service is

	leastFailures = 100 // that prove an outage
	failingFor    = 5   // or those of so many seconds
	redeems       = 200 // failures that one success takes back
	ownFailures   = 5   // that count of one report, and a hundredth of all
	ownShare      = 100
)

// NewState is the state of a service that nobody has reported on.
func NewState(now float64) State { return State{At: now, TurnAt: now, Share: 1, Circuit: 1} }

// Merge adds a report at the time now, and judges. The conversions to float64 keep a
// compiler from fusing operations, so that the script comes to the same bits.
func (s *State) Merge(r Report, now float64) Reply {
	// A clock that trembles must not count time twice. One that went back for good must
	// not leave times in the future.
	if now < s.At && s.At-now < second {
		now = s.At
	}
	el := max(now-s.At, 0) / second
	s.At, s.TurnAt, s.Passed = now, min(s.TurnAt, now), min(s.Passed, now)

	long, short := 1+el/longTerm, 1+el/shortTerm
	s.Present = float64(s.Present/long) + r.Present
	instances := s.Present / (longTerm + el)
	s.Calls = float64(s.Calls/short) + r.Calls
	s.Asked = float64(s.Asked/short) + r.Asked
	calls, asked := s.Calls/(shortTerm+el), s.Asked/(shortTerm+el)

	half := math.Floor(now / turnEvery)
	s.order(r, now, half, short)
	s.count(r, half, long)
	witnesses, failing := fresh(s.Witnesses, half, 2*shortTerm), fresh(s.Failing, half, 2*longTerm)
	if took := now - s.TurnAt; took >= turnEvery {
		enough := float64(quorum)
		if instances < quorum-0.5 {
			enough = quorum - 1
		}
		s.judgeLoad(calls, took/second, witnesses >= enough)
		s.judgeCircuit(asked, failing >= enough)
		s.TurnAt = now
	}
	s.isolate(r, now)

	passed := -1.0
	if s.Passed > 0 {
		passed = now - s.Passed
	}
	return Reply{
		Share: s.Share, Circuit: s.Circuit, Passed: passed,
		Instances: instances, Calls: calls, Run: s.Run, Witnesses: witnesses, Failures: s.Failures,
		IsolatedAt: s.IsolatedAt, IsolatedUntil: s.IsolatedUntil, Left: max(s.IsolatedUntil-now, 0) / second,
	}
}

// isolate takes in what the process knows and what it asks for. The newest isolation or
// release wins, so that a store which lost its memory is told.
func (s *State) isolate(r Report, now float64) {
	if r.IsolatedAt > s.IsolatedAt {
		s.IsolatedAt, s.IsolatedUntil = r.IsolatedAt, r.IsolatedUntil
	}
	if r.Isolate != 0 {
		s.IsolatedAt, s.IsolatedUntil = max(now, s.IsolatedAt+1), 0
		if r.Isolate > 0 {
			s.IsolatedUntil = now + float64(r.Isolate*second)
		}
	}
}

// floor is the share of so many per second that are the probes of the fleet.
func floor(perSecond float64) float64 { return probes / max(perSecond, probes) }

// raised is the next share on the way back.
func raised(share float64) float64 { return min(max(4*share, 0.25), 1) }
