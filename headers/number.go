package headers

import "time"

// MaxDelay is the longest duration that a header can give: one year. Longer ones
// saturate, even if their number does not fit in an int64.
const MaxDelay = 365 * 24 * time.Hour

// maxCount is what the number of an attempt saturates at.
const maxCount = 1 << 20

// digits reads a decimal number without sign, saturating at limit.
func digits(s string, limit int64) (int64, bool) {
	if overlong(s) {
		s = s[:maxValue]
	}
	if s == "" {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if n <= limit {
			n = n*10 + int64(c-'0')
		}
	}
	return min(n, limit), true
}

// span reads a decimal number of units, with or without a fraction, as a
// duration saturating at MaxDelay. Digits past the ninth of a fraction are
// dropped.
func span(s string, unit time.Duration) (time.Duration, bool) {
	s = trim(s)
	whole, fraction := s, ""
	for i := range len(s) {
		if s[i] == '.' {
			whole, fraction = s[:i], s[i+1:]
			if fraction == "" {
				return 0, false
			}
			break
		}
	}
	n, ok := digits(whole, int64(MaxDelay/unit))
	if !ok {
		return 0, false
	}
	d := time.Duration(n) * unit
	if fraction != "" {
		if _, ok := digits(fraction, 1); !ok {
			return 0, false
		}
		scale := unit
		for i := 0; i < len(fraction) && i < 9; i++ {
			scale /= 10
			d += time.Duration(fraction[i]-'0') * scale
		}
	}
	return min(d, MaxDelay), true
}

// clamp keeps a time difference within [0, MaxDelay].
func clamp(d time.Duration) time.Duration { return min(max(d, 0), MaxDelay) }
