package headers_test

import (
	"testing"

	"github.com/datapunk/evenkeel/headers"
	"github.com/dunglas/httpsfv"
)

func BenchmarkParse(b *testing.B) {
	const list, key = `"burst";r=50;t=30, "daily";r=999;t=40000`, `"8e03978e-40d5-43e8-bc93-6894a57f9324"`
	request := of("Request-Timeout-Ms: 1500", `Retry-Attempt: 2;max=3;id="k3v9"`, "Accept: */*", "User-Agent: bench")
	refusal := of("Retry-After: 2", "Retry-After-Ms: 1250", "X-Should-Retry: true", "Date: Mon, 23 Nov 2026 12:00:00 GMT")
	attempt := of(`Retry-Attempt: 2;max=3;id="k3v9"`)
	limits := make([]headers.ServiceLimit, 0, 4)
	for _, bm := range []struct {
		name string
		f    func() bool
	}{
		{"list/evenkeel", func() bool { _, ok := headers.ParseRateLimit(limits, list); return ok }},
		{"list/httpsfv", func() bool { _, err := httpsfv.UnmarshalList([]string{list}); return err == nil }},
		{"key/evenkeel", func() bool { _, ok := headers.ParseIdempotencyKey(key); return ok }},
		{"key/httpsfv", func() bool { _, err := httpsfv.UnmarshalItem([]string{key}); return err == nil }},
		{"attempt/evenkeel", func() bool { _, ok := headers.AttemptOf(attempt); return ok }},
		{"attempt/httpsfv", func() bool { _, err := httpsfv.UnmarshalItem([]string{`2;max=3;id="k3v9"`}); return err == nil }},
		{"none/RetryAfterOf", func() bool { _, ok := headers.RetryAfterOf(nil, now); return !ok }},
		{"refusal/RetryAfterOf", func() bool { _, ok := headers.RetryAfterOf(refusal, now); return ok }},
		{"refusal/VerdictOf", func() bool { return headers.VerdictOf(refusal) == headers.Retry }},
		{"request/TimeoutOf", func() bool { _, ok := headers.TimeoutOf(request, now); return ok }},
		{"request/AttemptOf", func() bool { _, ok := headers.AttemptOf(request); return ok }},
		{"attempt/format", func() bool { return headers.Attempt{N: 2, Max: 3, ID: "k3v9"}.String() != "" }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !bm.f() {
					b.Fatal("wrong answer")
				}
			}
		})
	}
}
