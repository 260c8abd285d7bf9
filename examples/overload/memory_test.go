package main

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"testing"

	"github.com/datapunk/evenkeel/examples/overload/worlds"
)

// What is kept of routes and callers is bounded, however many there are.
func TestManyRoutesAndCallers(t *testing.T) {
	n := 200_000
	if *long {
		n = 1_000_000
	}
	wrap, err := new(worlds.World).Shedding()
	if err != nil {
		t.Fatal(err)
	}
	h := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { r.Pattern = r.URL.Path }))
	refused := 0
	send := func(from, to int) {
		for i := from; i < to; i++ {
			name := "/" + strconv.Itoa(i)
			r := httptest.NewRequest("GET", name, nil)
			r.Header[worlds.CallerHeader] = []string{name}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				refused++
			}
		}
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	send(0, 1000)
	before := heap()
	send(1000, n)
	grown := heap() - before
	runtime.KeepAlive(h)
	t.Logf("%d routes and callers: the heap grew by %d KiB, %d refused", n, grown>>10, refused)
	if grown > 4<<20 {
		t.Errorf("the heap grew by %d KiB for %d routes and callers, want at most 4 MiB", grown>>10, n)
	}
	if refused > n/100 {
		t.Errorf("%d of %d refused", refused, n)
	}
}
