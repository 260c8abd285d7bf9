package health_test

import (
	"testing"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/breaker/internal/health"
	"github.com/datapunk/evenkeel/transport"
)

// hot returns what requests call, of a fleet that has nothing against them.
func hot(t testing.TB) (transport.FleetService, breaker.SharedService) {
	f := health.New(health.NewMemory(func() float64 { return 1e15 }), health.Params{Shards: 1, Interval: time.Second, Services: 10, Rare: 1.5}, silent{})
	t.Cleanup(func() { f.Close(t.Context()) })
	return f.Guard().Service("api.test"), f.Circuits().Service("api.test")
}

func BenchmarkHotPath(b *testing.B) {
	guard, circuit := hot(b)
	sent := time.Now()
	for _, bm := range []struct {
		name string
		f    func()
	}{
		{"Admit", func() { guard.Admit(1) }},
		{"Saw", func() { sent = sent.Add(time.Microsecond); guard.Saw(transport.SightFast, sent) }},
		{"Verdict", func() { circuit.Verdict() }},
		{"Saw of a circuit", func() { circuit.Saw(true) }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bm.f()
			}
		})
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	guard, circuit := hot(t)
	sent := time.Now()
	if n := testing.AllocsPerRun(1000, func() {
		guard.Admit(1)
		guard.Admit(2)
		sent = sent.Add(time.Millisecond)
		guard.Saw(transport.SightFast, sent)
		guard.Saw(transport.SightSlow, sent)
		guard.Saw(transport.SightLate, sent)
		circuit.Verdict()
		circuit.Ticket()
		circuit.Saw(true)
		circuit.Saw(false)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
