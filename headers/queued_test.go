package headers_test

import (
	"testing"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

func TestQueued(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string
		want  time.Duration
	}{
		{"absent", nil, never},
		{"one", []string{"Request-Queued-Ms: 40"}, 40 * time.Millisecond},
		{"none", []string{"Request-Queued-Ms: 0"}, 0},
		{"empty", []string{"Request-Queued-Ms: "}, never},
		{"the longest of two lines", []string{"Request-Queued-Ms: 40", "Request-Queued-Ms: 250"}, 250 * time.Millisecond},
		{"the longest first", []string{"Request-Queued-Ms: 250", "Request-Queued-Ms: 40"}, 250 * time.Millisecond},
		{"the longest of a list", []string{"Request-Queued-Ms: 40, 250,7"}, 250 * time.Millisecond},
		{"malformed", []string{"Request-Queued-Ms: soon"}, never},
		{"malformed beside another", []string{"Request-Queued-Ms: soon", "Request-Queued-Ms: 40"}, 40 * time.Millisecond},
		{"malformed in a list", []string{"Request-Queued-Ms: 40, soon, "}, 40 * time.Millisecond},
		{"negative", []string{"Request-Queued-Ms: -1"}, never},
		{"a sign", []string{"Request-Queued-Ms: +1"}, never},
		{"a fraction", []string{"Request-Queued-Ms: 1.5"}, never},
		{"a unit", []string{"Request-Queued-Ms: 40ms"}, never},
		{"spaces around", []string{"Request-Queued-Ms:  \t40 \t"}, 40 * time.Millisecond},
		{"spaces within", []string{"Request-Queued-Ms: 4 0"}, never},
		{"the most", []string{"Request-Queued-Ms: 31535999999"}, headers.MaxDelay - time.Millisecond},
		{"saturates", []string{"Request-Queued-Ms: 31536000001"}, headers.MaxDelay},
		{"too large for an int64", []string{"Request-Queued-Ms: 99999999999999999999999"}, headers.MaxDelay},
		{"another header", []string{"Retry-After-Ms: 40", "Request-Timeout-Ms: 40"}, never},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := headers.QueuedOf(of(tt.lines...))
			if !ok {
				got += never
			}
			if got != tt.want {
				t.Errorf("QueuedOf(%q): got %v, want %v", tt.lines, got, tt.want)
			}
		})
	}
}
