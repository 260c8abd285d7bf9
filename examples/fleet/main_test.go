package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// The test binary is also the program of the members.
func TestMain(m *testing.M) {
	if os.Getenv(memberEnv) != "" {
		os.Exit(member())
	}
	os.Exit(m.Run())
}

// lines is written to by several processes.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// The processes keep the budget of the fleet, as counted by the backend, and each
// hands back its tokens.
func TestFleet(t *testing.T) {
	var out lines
	s := settings{processes: 3, rate: 100, ratio: 0.1, floor: 10, failAfter: time.Second, failFor: 10 * time.Second, length: 5500 * time.Millisecond}
	if err := run(t.Context(), s, &out); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.b.String())
	var requests, retries, seconds int
	for line := range strings.Lines(out.b.String()) {
		var second, q, r int
		var state string
		if n, _ := fmt.Sscan(line, &second, &state, &q, &r); n == 4 {
			requests, retries, seconds = requests+q, retries+r, seconds+1
		}
	}
	if seconds < 4 || requests < 100 {
		t.Fatalf("%d requests in %d lines", requests, seconds)
	}
	// With what is under way between two counts.
	if most := 0.1*float64(requests) + 10*float64(seconds+1) + 5; float64(retries) > most {
		t.Errorf("%d retries for %d requests in %d s, want at most %.0f", retries, requests, seconds, most)
	}
	if least := 0.04 * float64(requests); float64(retries) < least {
		t.Errorf("%d retries for %d requests, of which most failed", retries, requests)
	}
	if n := strings.Count(out.b.String(), "handed back"); n != 3 {
		t.Errorf("%d of 3 processes handed back their credit", n)
	}
}

// The stall is played twice, with processes of their own each time, and both recoveries
// are told.
func TestHealth(t *testing.T) {
	var out lines
	s := settings{health: true, processes: 5, rate: 4, failAfter: time.Second, failFor: time.Second, length: 5 * time.Second, ratio: 0.1}
	if err := run(t.Context(), s, &out); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.b.String())
	for _, want := range []string{"5 processes, alone", "5 processes, with the fleet", "stalls", "  alone ", "  with the fleet ", "attempts per call in the stall"} {
		if !strings.Contains(out.b.String(), want) {
			t.Errorf("the output lacks %q", want)
		}
	}
}

// What is not given is what -health needs.
func TestSeldom(t *testing.T) {
	var s settings
	s.seldom(func(string) bool { return false })
	if s.processes != 40 || s.rate != 0.5 || s.failFor != 8*time.Second || s.length <= s.failFor {
		t.Errorf("got %+v", s)
	}
	s = settings{processes: 9, rate: 2, failFor: time.Second, length: time.Minute}
	want := s
	if s.seldom(func(string) bool { return true }); s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
}

// A member that fails is an error when the fleet stops.
func TestMemberThatFails(t *testing.T) {
	var out lines
	started, err := start(settings{processes: 1, rate: 100, ratio: -1}, "http://127.0.0.1:1", &out)
	if err != nil {
		t.Fatal(err)
	}
	if err := started.stop(); err == nil {
		t.Error("no error for a bad policy")
	}
}

func TestSettingsOutOfRange(t *testing.T) {
	good := settings{processes: 1, rate: 100, ratio: 0.1, floor: 10}
	if err := good.validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*settings){
		"-n 0: want":                                 func(s *settings) { s.processes = 0 },
		"-n 1001: want":                              func(s *settings) { s.processes = 1001 },
		"-rate 0: want":                              func(s *settings) { s.rate = 0 },
		"-rate NaN: want":                            func(s *settings) { s.rate = math.NaN() },
		"-for 0s: want more than -fail-after":        func(s *settings) { s.health = true },
		"-ratio -1, -floor 10: budget: Policy.Ratio": func(s *settings) { s.ratio = -1 },
		"-fail-after, -fail-for, -for: want":         func(s *settings) { s.length = -1 },
	} {
		s := good
		change(&s)
		if err := run(t.Context(), s, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}
