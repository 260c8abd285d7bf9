package transport

import (
	"testing"
	"time"
)

// What a lane says step by step, in the order of the comments at its fields.
func TestLane(t *testing.T) {
	const ms = time.Millisecond
	type step struct {
		now     time.Duration
		do      string        // sends, or what came of the attempt that was sent at the time of
		of      time.Duration // this
		wait    time.Duration // that the refusal asks for
		next    time.Duration // when the next may be sent; 0: now
		blurred bool          // next is only known to be later than now
	}
	closing := step{now: time.Second, do: "refused", wait: 10 * time.Second, next: 11 * time.Second}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"closed until the time that the server named", []step{closing, {now: 10 * time.Second, next: 11 * time.Second}, {now: 11 * time.Second}}},
		{"one refused with it extends it", []step{closing, {now: 1100 * ms, do: "refused", wait: 20 * time.Second, next: 21100 * ms}}},
		{"one refused with it does not shorten it", []step{closing, {now: 1100 * ms, do: "refused", wait: time.Second, next: 11 * time.Second}}},
		{"one refused that was sent afterwards may", []step{closing,
			{now: 11 * time.Second, do: "sends", next: 11250 * ms},
			{now: 11100 * ms, do: "refused", of: 11 * time.Second, wait: time.Second, next: 12100 * ms}}},
		{"one, then one more for each that passes", []step{closing,
			{now: 11 * time.Second, do: "sends", next: 11250 * ms},
			{now: 11020 * ms, do: "passes", of: 11 * time.Second},
			{now: 11020 * ms, do: "sends"},
			{now: 11020 * ms, do: "sends", next: 11270 * ms},
			{now: 11040 * ms, do: "passes", of: 11020 * ms},
			{now: 11040 * ms, do: "passes", of: 11020 * ms},
			{now: 11040 * ms, do: "sends"},
			{now: 11040 * ms, do: "sends"},
			{now: 11040 * ms, do: "sends"},
			{now: 11040 * ms, do: "sends", next: 11290 * ms}}},
		{"one that hangs passes after the grace", []step{closing,
			{now: 11 * time.Second, do: "sends", next: 11250 * ms},
			{now: 11250 * ms},
			{now: 11250 * ms, do: "sends"},
			{now: 11250 * ms, do: "sends", next: 11500 * ms}}},
		{"the grace is twice what a refusal took", []step{closing,
			{now: 11 * time.Second, do: "sends", next: 11250 * ms},
			{now: 11050 * ms, do: "refused", of: 11 * time.Second, wait: time.Second, next: 12050 * ms},
			{now: 12050 * ms, do: "sends", next: 12150 * ms}}},
		{"a late response of before opens nothing", []step{closing, {now: 11 * time.Second, do: "sends", next: 11250 * ms},
			{now: 11010 * ms, do: "passes", of: 900 * ms, next: 11250 * ms}}},
		{"as many as were granted, then one at a time", []step{closing,
			{now: 11 * time.Second, do: "sends", next: 11250 * ms},
			{now: 11001 * ms, do: "passes", of: 11 * time.Second},
			{now: 11001 * ms, do: "sends"},
			{now: 11002 * ms, do: "passes", of: 11001 * ms},
			{now: 11002 * ms, do: "sends"},
			{now: 11003 * ms, do: "refused", of: 11002 * ms, wait: time.Second, next: 12003 * ms}, // two were granted, at a rate of 1,000
			{now: 12003 * ms, do: "sends", next: 12023 * ms},
			{now: 12010 * ms, do: "passes", of: 12003 * ms},
			{now: 12010 * ms, do: "sends", blurred: true},
			{now: 12020 * ms, do: "passes", of: 12010 * ms},
			{now: 12020 * ms, do: "sends", next: 12040 * ms}}},
		{"0.7 of the rate before", []step{closing,
			{now: 11 * time.Second, do: "sends", next: 11250 * ms},
			{now: 11250 * ms, do: "sends"},
			{now: 12 * time.Second, do: "refused", of: 11250 * ms, wait: time.Second, next: 13 * time.Second}, // 2 per second
			{now: 13 * time.Second, do: "sends", blurred: true},
			{now: 13700 * ms, do: "passes", of: 13 * time.Second, blurred: true}, // at most 0.72 s apart
			{now: 13720 * ms}}},
		{"free after as long as the wait", []step{closing,
			{now: 11 * time.Second, do: "sends", next: 11250 * ms},
			{now: 20 * time.Second, do: "sends"}, {now: 20 * time.Second, do: "sends", next: 20250 * ms},
			{now: 30 * time.Second, do: "sends"}, {now: 30 * time.Second, do: "sends"}, {now: 30 * time.Second, do: "sends"}, {now: 30 * time.Second, do: "sends"}}},
	} {
		l := newLane(0, 0)
		for i, s := range tt.steps {
			switch s.do {
			case "sends":
				if at, _ := l.next(s.now); at > s.now {
					t.Errorf("%s, step %d: sent before %v", tt.name, i+1, at)
				}
				l.take(s.now)
			case "passes":
				l.pass(s.of)
			case "refused":
				l.refused(s.of, s.now, s.wait, 0)
			}
			want := max(s.next, s.now)
			if got, known := l.next(s.now); !known || got != want && !(s.blurred && got > s.now) {
				t.Errorf("%s, step %d: next at %v, want %v", tt.name, i+1, got, want)
				break
			}
		}
	}
}

// A server that takes a steady rate, and names a whole second, gets near that rate.
func TestLaneFindsTheRate(t *testing.T) {
	l := newLane(0, 0)
	tokens, refilled, refusals, taken := 1.0, time.Duration(0), 0, 0
	l.refused(0, 0, time.Second, 0)
	for now := time.Duration(0); now < time.Minute; now += time.Millisecond {
		if at, _ := l.next(now); at > now {
			continue
		}
		l.take(now)
		tokens = min(tokens+10*(now-refilled).Seconds(), 1)
		refilled = now
		if tokens < 1 {
			refusals++
			l.refused(now, now, time.Second, 0)
			continue
		}
		tokens--
		taken++
		l.pass(now)
	}
	if taken < 300 || refusals > 30 {
		t.Errorf("%d of 600 taken, %d refused, want 300 and at most 30", taken, refusals)
	}
}
