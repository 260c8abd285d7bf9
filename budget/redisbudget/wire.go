package redisbudget

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/datapunk/evenkeel/budget/internal/fleet"
)

const (
	askSize    = 12 * 8
	answerSize = 8 * 8
	// beyond is where a number can only be a mistake. Up to there doubles
	// count exactly.
	beyond = 1 << 53
)

// pack is an ask as the script reads it, in its order.
func pack(a fleet.Ask) string {
	b := make([]byte, 0, askSize)
	for _, x := range [...]float64{
		a.Ratio, a.Floor, a.Stock, a.Give, a.Want,
		a.Requests, a.Spent, a.Denied, a.Present, a.Draw, a.Known, a.Turn,
	} {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return string(b)
}

var errReply = errors.New("reply not understood")

// parseReply reads what the script returned for n keys. It returns all the
// answers or none.
func parseReply(reply any, n int) ([]fleet.Answer, error) {
	list, ok := reply.([]any)
	if !ok || len(list) != n {
		return nil, fmt.Errorf("%w: %T instead of a list of %d", errReply, reply, n)
	}
	answers := make([]fleet.Answer, n)
	for i, r := range list {
		s, ok := r.(string)
		if !ok {
			return nil, fmt.Errorf("%w: answer %d is a %T", errReply, i, r)
		}
		switch s {
		case "foreign":
			answers[i].Foreign = true
			continue
		case "none":
			answers[i].Missing = true
			continue
		}
		if err := unpack(&answers[i], s); err != nil {
			return nil, fmt.Errorf("%w: answer %d: %w", errReply, i, err)
		}
	}
	return answers, nil
}

func unpack(a *fleet.Answer, s string) error {
	if len(s) != answerSize {
		return fmt.Errorf("%d bytes, want %d", len(s), answerSize)
	}
	for i, x := range [...]*float64{
		&a.Grant, &a.Pool, &a.Cap, &a.Instances, &a.Requests, &a.Retries, &a.Denied, &a.Switch,
	} {
		*x = math.Float64frombits(binary.LittleEndian.Uint64([]byte(s[8*i : 8*i+8])))
		low := 0.0
		if x == &a.Switch {
			low = -beyond
		}
		// The comparison is false for NaN.
		if !(*x >= low && *x < beyond) {
			return fmt.Errorf("number %d is %v", i, *x)
		}
	}
	if a.Grant != math.Floor(a.Grant) {
		return fmt.Errorf("grants %v, which is not whole", a.Grant)
	}
	return nil
}
