package idempotency_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// nowhere is a response that nobody reads.
type nowhere struct{ header http.Header }

func (w *nowhere) Header() http.Header         { return w.header }
func (w *nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (w *nowhere) WriteHeader(int)             {}

func bare(b testing.TB, handler http.HandlerFunc) http.Handler {
	wrap, err := idempotency.New(idempotency.NewMemory(1<<30), caller, idempotency.Required(func(*http.Request) bool { return false }))
	if err != nil {
		b.Fatal(err)
	}
	return wrap(handler)
}

// A request without a key costs next to nothing.
func BenchmarkWithoutKey(b *testing.B) {
	none := func(http.ResponseWriter, *http.Request) {}
	for _, bb := range []struct {
		name    string
		handler http.Handler
		request *http.Request
	}{
		{"bare", http.HandlerFunc(none), request("", "")},
		{"POST", bare(b, none), request("", "")},
		{"GET", bare(b, none), httptest.NewRequest(http.MethodGet, "/", nil)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			w := &nowhere{make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				bb.handler.ServeHTTP(w, bb.request)
			}
		})
	}
}

// A request with a key, and a replay of 1 KiB, with the store in memory.
func BenchmarkWithKey(b *testing.B) {
	answer := make([]byte, 1<<10)
	handler := bare(b, func(w http.ResponseWriter, _ *http.Request) { w.Write(answer) })
	for _, bb := range []struct {
		name string
		key  func(i int) string
	}{
		{"first", func(i int) string { return fmt.Sprint("key ", i) }},
		{"replay", func(int) string { return "key" }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r := request(bb.key(i), "{}")
				handler.ServeHTTP(&nowhere{make(http.Header)}, r)
			}
		})
	}
}

// A request without a key makes no allocation.
func TestWithoutKeyAllocatesNothing(t *testing.T) {
	handler := bare(t, func(http.ResponseWriter, *http.Request) {})
	w, r := &nowhere{make(http.Header)}, request("", "")
	if got := testing.AllocsPerRun(100, func() { handler.ServeHTTP(w, r) }); got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

// A duplicate is told that the first request runs while that does not end: it waits for
// nothing of it.
func TestBusyIsAnsweredAtOnce(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	k := newKit(t, idempotency.NewMemory(0), func(http.ResponseWriter, *http.Request) {
		close(began)
		<-end // until the duplicate is answered
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.do(request("k", "{}"))
	}()
	<-began
	fastest := time.Hour
	for range 10 { // at least one is not disturbed by other processes
		start := time.Now()
		resp := k.do(request("k", "{}"))
		fastest = min(fastest, time.Since(start))
		k.expect("duplicate", resp, 409, idempotency.OutcomeInProgress)
	}
	close(end)
	<-done
	if fastest > 5*time.Millisecond {
		t.Errorf("the fastest of ten duplicates took %v, want at most 5ms", fastest)
	}
}
