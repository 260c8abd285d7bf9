package layout

import (
	"encoding/binary"
	"math"
	"time"
)

// Tag begins each value. It has the version of the form of what follows: eight
// doubles, little-endian. The script settle.lua of package redisbudget writes them.
const Tag = "evkbdgt1"

const (
	valueSize = len(Tag) + 8*8
	// Seconds over which the sums decay: those of presence and requests, and the others.
	long, short = 10, 1
)

// Figures are what the value of a budget says at a time. Rates are per second and of
// the whole fleet.
type Figures struct {
	Pool      float64 // tokens that the processes have in common
	Instances float64
	Requests  float64
	Retries   float64
	Refused   float64
	Paused    bool
	Last      time.Duration // since a process last spoke
}

// ParseValue reads a value at the time now of Redis's clock. It returns false for
// what is no value of a budget.
func ParseValue(value string, now time.Time) (f Figures, ok bool) {
	if len(value) != valueSize || value[:len(Tag)] != Tag {
		return Figures{}, false
	}
	var x [8]float64
	for i := range x {
		x[i] = math.Float64frombits(binary.LittleEndian.Uint64([]byte(value[len(Tag)+8*i:])))
		if !(math.Abs(x[i]) < 1<<53) { // nor if it is no number
			return Figures{}, false
		}
	}
	pool, at, present, requests, retries, refused, turned := x[0], x[1], x[2], x[3], x[5], x[6], x[7]
	elapsed := max(float64(now.UnixMicro())-at, 0) / 1e6
	slow := func(sum float64) float64 { return sum / (1 + elapsed/long) / (long + elapsed) }
	fast := func(sum float64) float64 { return sum / (1 + elapsed/short) / (short + elapsed) }
	return Figures{
		Pool: pool / 1e6, Instances: slow(present), Requests: slow(requests),
		Retries: fast(retries), Refused: fast(refused), Paused: turned > 0,
		Last: time.Duration(elapsed * float64(time.Second)),
	}, true
}
