package redisrate

import "time"

// Redis is late, or lost, if it was so several times in a row and for a time:
// a single answer can be late because a packet was lost, and all of them for a
// moment because Redis saved its data or this process had no processor.
const (
	several = 3
	stretch = 200 * time.Millisecond
	// opening is what the first answer of all has, since connections have to be
	// made, by a process that may have to share its processor while it starts.
	opening = time.Second
)

// A pulse tells from what came of the calls before whether Redis is to be asked,
// and waited for. It reads no clock and is not safe for concurrent use.
type pulse struct {
	timeout time.Duration
	pause   time.Duration
	late    streak        // calls without an answer in time
	lost    streak        // calls without an answer
	asked   time.Duration // last, while it was lost
	told    time.Duration // of a failure; 0: never
	begun   time.Duration // with the first call; 0: not yet
	open    bool          // something has come of a call
}

// A streak is what happened in a row.
type streak struct {
	n     int
	since time.Duration
}

func (s *streak) add(now time.Duration) {
	if s.n == 0 {
		s.since = now
	}
	s.n++
}

func (s *streak) lasts(now time.Duration) bool { return s.n >= several && now-s.since >= stretch }

// A question is whether to ask Redis, and how.
type question struct {
	ask   bool
	probe bool          // only to see whether it is there: what is owed is told later
	wait  time.Duration // for the answer
}

// ask says whether to ask Redis. One that is late is asked all the same, so that
// it knows what was granted; one that is lost is asked once in a pause.
func (p *pulse) ask(now time.Duration) question {
	if !p.open {
		if p.begun == 0 {
			p.begun = max(now, 1)
		}
		return question{ask: true, wait: max(p.begun+opening-now, p.timeout)}
	}
	if p.lost.lasts(now) {
		if now-p.asked < p.pause {
			return question{}
		}
		p.asked = now
		return question{ask: true, probe: true}
	}
	if p.late.lasts(now) {
		return question{ask: true}
	}
	return question{ask: true, wait: p.timeout}
}

// answered says that an answer came after a time, waited for or not.
func (p *pulse) answered(took time.Duration) {
	p.open, p.lost = true, streak{}
	if took <= p.timeout {
		p.late = streak{}
	}
}

// failed says that a call ended without an answer, or that nobody waits for it
// any longer.
func (p *pulse) failed(now time.Duration) {
	p.open = true
	p.late.add(now)
	p.lost.add(now)
}

// tell reports whether a failure is to be told, which is once in a pause.
func (p *pulse) tell(now time.Duration) bool {
	if p.told != 0 && now-p.told < p.pause {
		return false
	}
	p.told = max(now, 1)
	return true
}
