package main

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// row makes seconds of 100 calls each, with the given successes.
func row(successes ...int) []second {
	seconds := make([]second, len(successes))
	for i, n := range successes {
		seconds[i] = second{calls: 100, successes: n}
	}
	return seconds
}

func TestRecovery(t *testing.T) {
	for _, tt := range []struct {
		name       string
		seconds    []second
		afterStall int
		want       int
		ok         bool
	}{
		{"at once", row(100, 0, 100, 100, 100), 2, 0, true},
		{"late", row(100, 0, 0, 50, 100, 99, 98, 100), 2, 2, true},
		{"one good second is not enough", row(100, 0, 0, 100, 0, 100, 0), 2, 0, false},
		{"never", row(100, 0, 0, 0, 0, 0), 2, 0, false},
		{"too short a rest", row(100, 0, 0, 100, 100), 2, 0, false},
		{"just", row(0, 99, 99, 99), 1, 0, true},
		{"not quite", row(0, 99, 99, 98), 1, 0, false},
		{"nothing called", make([]second, 9), 2, 0, false},
		{"the calm before does not count", row(100, 100, 100, 0, 0, 0), 3, 0, false},
		{"no seconds", nil, 0, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := recovery(tt.seconds, tt.afterStall)
			if got != tt.want || ok != tt.ok {
				t.Errorf("got %d, %v, want %d, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestTallyCountsBySecond(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	after := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	tally := newTally(start, 2)
	tally.call(after(0))
	tally.attempt(after(-0.1)) // a clock read before the start is of the first second
	tally.call(after(0.9))
	tally.attempt(after(0.95))
	tally.attempt(after(1.5))
	tally.attempt(after(2))
	tally.success(after(0.9), after(1.6))
	tally.success(after(0), after(7))
	tally.late(50 * time.Millisecond)
	tally.late(51 * time.Millisecond)
	tally.failure(kindTimeout, errors.New("slow"))
	tally.failure(kindOther, errors.New("first"))
	tally.failure(kindOther, errors.New("second"))

	if got, want := tally.second(0), (second{calls: 2, attempts: 2, successes: 2}); got != want {
		t.Errorf("second 0: got %+v, want %+v", got, want)
	}
	if got, want := tally.second(1), (second{attempts: 1, answers: 1}); got != want {
		t.Errorf("second 1: got %+v, want %+v", got, want)
	}
	if want := (second{attempts: 1, answers: 1}); tally.after != want || tally.lateCalls != 1 {
		t.Errorf("after the end %+v and %d late calls, want %+v and 1", tally.after, tally.lateCalls, want)
	}
	if tally.failures[kindTimeout] != 1 || tally.failures[kindOther] != 2 || tally.unexpected.Error() != "first" {
		t.Errorf("failures %v, first unexpected %v", tally.failures, tally.unexpected)
	}
}

func TestTables(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	cfg := config{duration: 5 * time.Second, calm: time.Second, stall: time.Second}
	good, bad := newTally(start, 5), newTally(start, 5)
	good.seconds = []second{
		{calls: 10, attempts: 10, successes: 10}, {calls: 10, attempts: 12, successes: 1},
		{calls: 10, attempts: 10, successes: 10}, {calls: 10, attempts: 10, successes: 10}, {calls: 10, attempts: 10, successes: 10},
	}
	bad.seconds = []second{
		{calls: 10, attempts: 10, successes: 10}, {calls: 10, attempts: 30}, {calls: 10, attempts: 40}, {attempts: 40}, {calls: 10, attempts: 40},
	}
	bad.lateCalls = 7
	bad.failure(kindOther, errors.New("too many open files"))
	s := &storm{cfg: cfg, lanes: []*lane{
		{policy: policy{name: "good", title: "good policy"}, tally: good},
		{policy: policy{name: "bad", title: "bad policy"}, tally: bad},
	}}
	var out bytes.Buffer
	if err := writeTables(&out, s.report()); err != nil {
		t.Fatal(err)
	}
	const want = `
Goodput (the share of the calls of each second that succeeded within their deadline),
and load (attempts sent per call):

second         good policy       bad policy
  0           100 %   1.00x     100 %   1.00x
  1 STALL      10 %   1.20x       0 %   3.00x
  2           100 %   1.00x       0 %   4.00x
  3           100 %   1.00x                -
  4           100 %   1.00x       0 %   4.00x

in the whole run     calls answered  back after the stall  load during the stall
good policy                  82.0 %                   0 s                  1.20x
bad policy                   25.0 %            not in 3 s                  3.00x
Back is the first of three seconds that together have a goodput of 99 %.

This machine was busy: 7 of 90 calls started late, so the figures are less reliable.
Close other programs or lower -capacity.

bad policy: calls that failed for another reason than the stall: 1, for example: too many open files
`
	if got := out.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if got, want := s.progressLine(1), "  1s STALL  good   0/12   bad   0/30 "; got != want {
		t.Errorf("progress line %q, want %q", got, want)
	}
	if err := writeTables(brokenWriter{}, s.report()); err == nil {
		t.Error("no error of a writer that fails")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
