package fleet

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// long runs the simulation with 10,000 instances, and more schedules.
var long = flag.Bool("long", false, "run the long simulations and fault schedules")

// raced says that the race detector is on, which slows a simulation down
// tenfold and finds nothing in it: it has one goroutine.
var raced bool

// steps is how many of something to do, in a short run and in a long one.
func steps(short, many int) int {
	switch {
	case *long:
		return many
	case raced:
		return short / 4
	}
	return short
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
