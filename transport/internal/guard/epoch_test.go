package guard_test

import (
	"testing"
	"time"

	"github.com/datapunk/evenkeel/transport/internal/guard"
)

// Where attempts have no limit, a queue that outgrows T engages. Each row has the
// fastest response of epochs of 300 ms in milliseconds, with T = 1 s.
func TestGrowingQueue(t *testing.T) {
	for _, tt := range []struct {
		rule    string
		fastest []time.Duration
		engages bool
	}{
		{"two epochs in a row", []time.Duration{400, 610, 800, 800}, true},
		{"one is not enough", []time.Duration{400, 610, 610, 610}, false},
		{"nor are two with another between", []time.Duration{400, 610, 615, 800, 800}, false},
		{"not at the end of the second, with no response yet", []time.Duration{400, 610, 800}, false},
		{"by a tenth each", []time.Duration{800, 881, 970, 970}, true},
		{"not by less", []time.Duration{800, 879, 966, 966}, false},
		{"what is sent now takes more than T", []time.Duration{700, 800, 900, 900}, true},
		{"what is sent now takes less", []time.Duration{500, 600, 700, 700}, false},
		{"what is sent now takes a bit more", []time.Duration{540, 676, 812, 812}, false},
		{"it becomes faster", []time.Duration{900, 800, 700, 600, 500}, false},
	} {
		w := newWorld()
		w.do(calls(40), scale(guard.Scale{T: T, Guessed: true}), wait(T), each(0, 3, 20*ms, success), wait(200*ms))
		for _, d := range tt.fastest {
			// The first of an epoch is not the fastest.
			w.do(each(100*ms, 1, (d+50)*ms, success), each(100*ms, 1, d*ms, success), each(100*ms, 1, (d+90)*ms, success))
		}
		if got := w.Engaged(); got != tt.engages {
			t.Errorf("%s: engaged %v, want %v", tt.rule, got, tt.engages)
		}
	}
}
