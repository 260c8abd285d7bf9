package redisbudget

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// An ask is what this process says to the fleet about one budget. Amounts are
// in tokens, times in seconds. The order is that of the script.
type ask struct {
	ratio, floor, stock              float64
	give, want                       float64
	requests, spent, denied, present float64
	draw                             float64
	known, turn                      float64
}

// An answer is what the fleet says, in tokens. Rates are per second.
type answer struct {
	grant, pool, limit        float64
	instances                 float64
	requests, retries, denied float64
	switched                  float64
	foreign                   bool // the value under the key is not ours
}

const (
	askSize    = 12 * 8
	answerSize = 8 * 8
	// beyond is where a number can only be a mistake. Up to there doubles
	// count exactly.
	beyond = 1 << 53
)

func (a ask) pack() string {
	b := make([]byte, 0, askSize)
	for _, x := range [...]float64{
		a.ratio, a.floor, a.stock, a.give, a.want,
		a.requests, a.spent, a.denied, a.present, a.draw, a.known, a.turn,
	} {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return string(b)
}

var errReply = errors.New("redisbudget: reply not understood")

// parseReply reads what the script returned for n keys. It returns all the
// answers or none.
func parseReply(reply any, n int) ([]answer, error) {
	list, ok := reply.([]any)
	if !ok || len(list) != n {
		return nil, fmt.Errorf("%w: %T instead of a list of %d", errReply, reply, n)
	}
	answers := make([]answer, n)
	for i, r := range list {
		s, ok := r.(string)
		if !ok {
			return nil, fmt.Errorf("%w: answer %d is a %T", errReply, i, r)
		}
		if s == "foreign" {
			answers[i].foreign = true
			continue
		}
		if err := answers[i].parse(s); err != nil {
			return nil, fmt.Errorf("%w: answer %d: %w", errReply, i, err)
		}
	}
	return answers, nil
}

func (a *answer) parse(s string) error {
	if len(s) != answerSize {
		return fmt.Errorf("%d bytes, want %d", len(s), answerSize)
	}
	for i, x := range [...]*float64{
		&a.grant, &a.pool, &a.limit, &a.instances, &a.requests, &a.retries, &a.denied, &a.switched,
	} {
		*x = math.Float64frombits(binary.LittleEndian.Uint64([]byte(s[8*i : 8*i+8])))
		low := 0.0
		if x == &a.switched {
			low = -beyond
		}
		// The comparison is false for NaN.
		if !(*x >= low && *x < beyond) {
			return fmt.Errorf("number %d is %v", i, *x)
		}
	}
	if a.grant != math.Floor(a.grant) {
		return fmt.Errorf("grants %v, which is not whole", a.grant)
	}
	return nil
}
