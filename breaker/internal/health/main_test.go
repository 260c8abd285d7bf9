package health_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// long runs the largest fleets too.
var long = flag.Bool("long", false, "run the simulations of 3,000 and more processes")

// raced says that the race detector is on, which slows a simulation down tenfold.
var raced bool
