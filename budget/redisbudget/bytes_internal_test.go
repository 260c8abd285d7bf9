package redisbudget

import (
	"encoding/binary"
	"math"
)

func packFloat(x float64) string {
	return string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(x)))
}

func floatAt(s string, i int) float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64([]byte(s[8*i : 8*i+8])))
}
