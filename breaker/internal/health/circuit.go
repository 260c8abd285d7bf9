package health

// count adds the calls that failed, and takes back what a success shows. The failures of
// one process are bounded, or a loud one would be all that is known.
func (s *State) count(r Report, half, long float64) {
	s.Failures /= long
	s.Failures += min(r.Failed, ownFailures+s.Failures/ownShare)
	if r.Failed > r.OK {
		s.Failing = remember(s.Failing, r.ID, half, 2*longTerm)
	}
	if r.OK > 0 {
		s.Failures = max(s.Failures-float64(redeems*r.OK), 0)
	}
	s.Good += r.OK
	s.Bad += r.Failed
}

// judgeCircuit opens when calls of enough processes fail for some time, and at most one
// in 200 succeeds. Then only probes pass, until one succeeds.
func (s *State) judgeCircuit(asked float64, failing bool) {
	least := floor(asked)
	switch {
	case s.Circuit >= 1:
		if s.Failures >= max(float64(failingFor*asked), leastFailures) && failing {
			s.Circuit, s.Failures = least, 0
		}
	case s.Good > 0:
		s.Circuit = raised(s.Circuit)
		if s.Circuit >= 1 {
			s.Failures, s.Failing = 0, nil
		}
	case s.Bad > 0:
		s.Circuit = least
	default:
		s.Circuit = max(s.Circuit, least)
	}
	s.Good, s.Bad = 0, 0
}
