package health

// order keeps the timeouts that nothing overtook. An attempt that succeeded shows that
// those which were sent before it hang, and do not wait in a queue.
func (s *State) order(r Report, now, half, short float64) {
	s.Run /= short
	if passed := now - r.Passed; r.Passed >= 0 && passed > s.Passed {
		s.Passed, s.Run, s.Witnesses = passed, 0, nil
	}
	late := min(r.Late, mostLate)
	if late > 0 && now-r.LateAge > s.Passed {
		s.Run += late
		s.Witnesses = remember(s.Witnesses, r.ID, half, 2*shortTerm)
	}
	s.Fast += r.Fast
	s.Slow += r.Slow
	s.Late += late
}

// judgeLoad engages when enough timeouts of enough processes came after anything that
// succeeded. Then only probes are sent, or as many as half of the successes, until
// successes come in time.
func (s *State) judgeLoad(calls, took float64, witnessed bool) {
	least, succeeded := floor(calls), s.Fast+s.Slow
	switch {
	case s.Share >= 1:
		if need := min(max(calls/runShare, leastRun), mostRun); s.Run >= need && witnessed {
			half := succeeded / 2 / max(float64(calls*took), 1)
			s.Share, s.Steady = max(min(half, 0.5), least), 0
		}
	case succeeded == 0 && s.Late > 0:
		s.Share, s.Steady = max(s.Share/4, least), 0
	case s.Fast > 0 && s.Late+s.Slow <= s.Fast:
		s.raise()
	case succeeded > s.Late:
		// What a service takes with next to nothing to do is what it takes.
		if s.Steady++; s.Steady >= steadyFor {
			s.raise()
		}
	default:
		s.Share = max(s.Share, least)
	}
	s.Fast, s.Slow, s.Late = 0, 0, 0
}

func (s *State) raise() {
	s.Share = raised(s.Share)
	if s.Share >= 1 {
		s.Run, s.Steady, s.Witnesses = 0, 0, nil
	}
}
