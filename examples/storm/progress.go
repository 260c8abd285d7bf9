package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// watch writes progress to w once a second until the returned func is called. On
// a terminal each line replaces the one before.
func (s *storm) watch(w io.Writer, silent bool) (done func()) {
	if silent {
		return func() {}
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { s.watching(w, stop) })
	return func() {
		close(stop)
		wg.Wait()
	}
}

func (s *storm) watching(w io.Writer, stop <-chan struct{}) {
	terminal, width := isTerminal(w), 0
	fmt.Fprintf(w, "%d clients make %g calls/s. The backend can serve %g/s, and stalls for %v after %v.\n"+
		"In each second, successful responses / attempts sent:\n", s.cfg.clients, s.cfg.rate, s.cfg.capacity, s.cfg.stall, s.cfg.calm)
	for i := range wholeSeconds(s.cfg.duration) {
		if !until(s.start.Add(time.Duration(i+1)*time.Second), stop) {
			if terminal {
				fmt.Fprintln(w)
			}
			return
		}
		line := s.progressLine(i)
		if terminal && len(line) < 80 { // a line that wraps cannot be replaced
			width = max(width, len(line))
			fmt.Fprintf(w, "\r%-*s", width, line)
		} else {
			fmt.Fprintln(w, line)
		}
	}
	if terminal {
		fmt.Fprintf(w, "\r%-*s\n", width, "Waiting for the last calls to end.")
	}
}

func (s *storm) progressLine(i int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%3ds ", i)
	if s.cfg.stalled(i) {
		b.WriteString("STALL")
	} else {
		b.WriteString("     ")
	}
	for _, l := range s.lanes {
		sec := l.tally.second(i)
		fmt.Fprintf(&b, "  %s %3d/%-3d", l.policy.name, sec.answers, sec.attempts)
	}
	return b.String()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
