package main

import (
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

var loopback = flag.Bool("loopback", false, "load real servers on the loopback interface, which needs a quiet machine")

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(&out, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nwithout\n", "\nwith evenkeel\n", "1        70 %", "2       200 %", "3        70 %"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out.String())
		}
	}
}

// The same over net/http as in the simulation, with slack for what else the
// machine does.
func TestLoopback(t *testing.T) {
	if !*loopback {
		t.Skip("-loopback is not set")
	}
	const phase = 10 * time.Second
	goodput := func(n int64) float64 { return float64(n) / (capacity * phase.Seconds()) }
	wrap, err := middleware.New(middleware.WithShedding(middleware.Shedding{}))
	if err != nil {
		t.Fatal(err)
	}
	with, err := play(io.Discard, wrap(service()), phase)
	if err != nil {
		t.Fatal(err)
	}
	without, err := play(io.Discard, service(), phase)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("calm, overload, calm again: %.2f %.2f %.2f with and %.2f %.2f %.2f without", goodput(with[0]), goodput(with[1]), goodput(with[2]),
		goodput(without[0]), goodput(without[1]), goodput(without[2]))
	if goodput(with[1]) < .8 || goodput(with[2]) < .6 {
		t.Errorf("goodput %.2f in the overload and %.2f after it, want at least .8 and .6", goodput(with[1]), goodput(with[2]))
	}
	if goodput(without[1]) > .5 {
		t.Errorf("goodput %.2f without, want a collapse, or this proves nothing", goodput(without[1]))
	}
}
