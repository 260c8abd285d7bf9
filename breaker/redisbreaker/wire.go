package redisbreaker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/datapunk/evenkeel/breaker/internal/health"
)

const (
	reportSize = 14 * 8
	replySize  = 11 * 8
	// beyond is where a number can only be a mistake. Up to there doubles count exactly.
	beyond = 1 << 53
)

// pack is a report as the script reads it, in its order.
func pack(r health.Report) string {
	b := make([]byte, 0, reportSize)
	for _, x := range [...]float64{
		r.ID, r.Present, r.Calls, r.Fast, r.Slow, r.Passed, r.Late, r.LateAge,
		r.Asked, r.OK, r.Failed, r.IsolatedAt, r.IsolatedUntil, r.Isolate,
	} {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return string(b)
}

var errReply = errors.New("reply not understood")

// parseReply reads what the script returned for n keys. It returns all replies or none.
func parseReply(reply any, n int) ([]health.Reply, error) {
	list, ok := reply.([]any)
	if !ok || len(list) != n {
		return nil, fmt.Errorf("%w: %T instead of a list of %d", errReply, reply, n)
	}
	replies := make([]health.Reply, n)
	for i, r := range list {
		s, ok := r.(string)
		if !ok {
			return nil, fmt.Errorf("%w: reply %d is a %T", errReply, i, r)
		}
		if s == "foreign" {
			replies[i].Foreign = true
			continue
		}
		if err := unpack(&replies[i], s); err != nil {
			return nil, fmt.Errorf("%w: reply %d: %w", errReply, i, err)
		}
	}
	return replies, nil
}

func unpack(r *health.Reply, s string) error {
	if len(s) != replySize {
		return fmt.Errorf("%d bytes, want %d", len(s), replySize)
	}
	for i, x := range [...]*float64{
		&r.Share, &r.Circuit, &r.Passed, &r.Instances, &r.Calls, &r.Run, &r.Witnesses,
		&r.Failures, &r.IsolatedAt, &r.IsolatedUntil, &r.Left,
	} {
		*x = math.Float64frombits(binary.LittleEndian.Uint64([]byte(s[8*i : 8*i+8])))
		low := 0.0
		if x == &r.Passed {
			low = -1
		}
		// The comparison is false for NaN.
		if !(*x >= low && *x < beyond) {
			return fmt.Errorf("number %d is %v", i, *x)
		}
	}
	if r.Share == 0 || r.Share > 1 || r.Circuit == 0 || r.Circuit > 1 {
		return fmt.Errorf("shares %v and %v: want above 0 and at most 1", r.Share, r.Circuit)
	}
	return nil
}
