package transport_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/transport"
	"go.uber.org/goleak"
)

// files is a server of one resource whose responses break off.
type files struct {
	data   []byte
	etag   string
	cut    func(n int64) int                       // after how many bytes of response n; -1: never
	change func(n int64, h http.Header, w *[]byte) // of response n, after the first
	broke  error

	sent   atomic.Int64
	ranges []string
}

func (f *files) RoundTrip(req *http.Request) (*http.Response, error) {
	n := f.sent.Add(1)
	w := httptest.NewRecorder()
	w.Header().Set("Etag", f.etag)
	f.ranges = append(f.ranges, req.Header.Get("Range"))
	data := f.data
	if f.change != nil {
		f.change(n, w.Header(), &data)
	}
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(data))
	resp := w.Result()
	resp.Request = req
	if cut := f.cut(n); cut >= 0 {
		broke := f.broke
		if broke == nil {
			broke = io.ErrUnexpectedEOF
		}
		all, _ := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(all[:min(cut, len(all))]), failingReader{broke}))
	}
	return resp, nil
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// at once resumes without a wait and without a budget.
func atOnce(n int) []transport.Option {
	return []transport.Option{transport.WithResume(n), transport.WithBudget(nil),
		transport.WithBackoff(func(time.Duration, time.Duration, int, *http.Response) time.Duration { return 0 })}
}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

// Cut at every byte, and at every byte again, the caller gets the same bytes.
func TestResumeAtEveryByte(t *testing.T) {
	data := random(1024)
	for cut := range len(data) + 1 {
		f := &files{data: data, etag: `"v1"`, cut: func(n int64) int {
			switch n {
			case 1:
				return cut
			case 2:
				return (len(data) - cut) / 2
			}
			return -1
		}}
		resp, err := build(t, f, atOnce(2)...).RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if cut == len(data) { // all bytes came, so that there is no rest
			if err != io.ErrUnexpectedEOF || f.sent.Load() != 1 {
				t.Errorf("cut at the end: %v after %d requests, want the error", err, f.sent.Load())
			}
			continue
		}
		call, _ := transport.CallOf(resp)
		want := 3
		if (len(data)-cut)/2 == len(data)-cut {
			want = 2
		}
		if err != nil || !bytes.Equal(got, data) || call.Attempts != want || call.Status != 200 || call.Stop != transport.StopSucceeded {
			t.Fatalf("cut at %d: %d bytes, %v, %+v, want all with %d attempts", cut, len(got), err, call, want)
		}
		if want := fmt.Sprintf("bytes=%d-", cut); f.ranges[1] != want {
			t.Errorf("cut at %d: asked for %s, want %s", cut, f.ranges[1], want)
		}
		if resp.StatusCode != 200 || resp.ContentLength != int64(len(data)) || resp.Header.Get("Content-Range") != "" {
			t.Errorf("the response is %v, want that of the whole", resp)
		}
	}
}

// A hundred cuts of 64 MiB over real connections, of HTTP/1.1 and HTTP/2, with flat memory.
func TestResumeOfALargeBody(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	const size, cuts = 64 << 20, 100
	data := random(size)
	want := sha256.Sum256(data)
	for _, two := range []bool{false, true} {
		var served atomic.Int64
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"v1"`)
			if served.Add(1) <= cuts {
				w = &cutting{w, rand.IntN(size / cuts)}
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		}))
		srv.EnableHTTP2 = two
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.StartTLS()
		base := srv.Client().Transport.(*http.Transport)
		rt := build(t, base, append(atOnce(cuts), transport.WithInFlight(1))...)
		resp, err := rt.RoundTrip(getFrom(t, srv.URL))
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		start, err := io.CopyN(h, resp.Body, size/10)
		if err != nil {
			t.Fatal(err)
		}
		before := liveHeap()
		n, err := io.Copy(h, resp.Body)
		grown := liveHeap() - before
		n += start
		call, _ := transport.CallOf(resp)
		if err != nil || n != size || [32]byte(h.Sum(nil)) != want || call.Attempts != cuts+1 || resp.ProtoMajor == 2 != two {
			t.Errorf("%s: %d bytes, %v, %d attempts, want all of %d with %d", resp.Proto, n, err, call.Attempts, size, cuts+1)
		}
		if grown > 4<<20 {
			t.Errorf("%s: the heap grew by %d KiB during the last nine tenths, want at most 4 MiB", resp.Proto, grown>>10)
		}
		resp.Body.Close()
		base.CloseIdleConnections()
		srv.Close()
	}
}

func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func getFrom(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// cutting breaks the connection after left bytes.
type cutting struct {
	http.ResponseWriter
	left int
}

func (c *cutting) Write(p []byte) (int, error) {
	if len(p) < c.left {
		c.left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	c.ResponseWriter.Write(p[:c.left])
	c.ResponseWriter.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// The rest is an attempt like any other: it is retried, numbered, paid for, and told to
// observers; the body before is closed first; and Close ends its wait.
func TestResumeIsAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := random(100)
		f := &files{data: data, etag: `"v1"`, cut: func(n int64) int { return []int{10, 10, -1}[min(n-1, 2)] }}
		var numbers []string
		failing := true
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			numbers = append(numbers, strings.SplitN(req.Header.Get("Retry-Attempt"), ";", 2)[0])
			if req.Header.Get("Range") != "" && failing {
				failing = false
				return &http.Response{StatusCode: 503, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
			}
			return f.RoundTrip(req)
		})
		var told told
		purse := &purse{}
		rt := build(t, base, transport.WithResume(5), transport.WithInFlight(1), told.option(), purse.option())
		resp, err := rt.RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("read %d bytes, %v, want all", len(got), err)
		}
		if got, want := strings.Join(numbers[1:], " "), "2 3 4"; got != want {
			t.Errorf("attempts are numbered %q, want %q", got, want)
		}
		if len(told.attempts) != 4 || len(told.calls) != 1 || told.attempts[1].AfterErr != io.ErrUnexpectedEOF || told.attempts[1].Waited <= 0 {
			t.Errorf("told of %+v and %d calls, want four attempts, the second after the error", told.attempts, len(told.calls))
		}
		if purse.deposits != 1 || purse.withdrawn-purse.refunded != 3 {
			t.Errorf("%d deposits, %d withdrawn, %d refunded, want 1 and 3 paid", purse.deposits, purse.withdrawn, purse.refunded)
		}
	})
}

func TestResumeEndsWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &files{data: random(100), etag: `"v1"`, cut: func(int64) int { return 10 }}
		rt := build(t, f, transport.WithResume(5), transport.WithBackoff(func(time.Duration, time.Duration, int, *http.Response) time.Duration { return time.Second }))
		for _, cancelled := range []bool{false, true} {
			ctx, cancel := context.WithCancel(t.Context())
			resp, err := rt.RoundTrip(get(t, ctx))
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			time.AfterFunc(500*time.Millisecond, func() {
				if cancelled {
					cancel()
				} else {
					resp.Body.Close()
				}
			})
			if got, err := io.ReadAll(resp.Body); len(got) != 10 || err == nil || time.Since(start) != 500*time.Millisecond {
				t.Errorf("read %d bytes, %v after %v, want 10 and an error after half a second", len(got), err, time.Since(start))
			}
			resp.Body.Close()
			cancel()
		}
	})
}

// A body that stalls is continued as well, and an open circuit ends it.
func TestResumeAfterSilence(t *testing.T) {
	data := random(1 << 16)
	var served atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"v1"`)
		if served.Add(1) == 1 {
			w.Header().Set("Accept-Ranges", "bytes")
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			w.Write(data[:1000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}))
	defer srv.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	rt := build(t, base, append(atOnce(1), transport.WithPolicy(transport.Policy{BodyIdleTimeout: 50 * time.Millisecond}))...)
	resp, err := rt.RoundTrip(getFrom(t, srv.URL))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, data) {
		t.Errorf("read %d bytes, %v, want all", len(got), err)
	}
	resp.Body.Close()

	circuits, err := breaker.New(breaker.WithTripRatio(0.01, 1), breaker.WithOpenFor(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	f := &files{data: data, etag: `"v1"`, cut: func(int64) int { return 10 }}
	rt = build(t, f, append(atOnce(1000), transport.WithBreaker(circuits.Wrap))...)
	if resp, err = rt.RoundTrip(get(t, t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err != io.ErrUnexpectedEOF {
		t.Errorf("err = %v, want the error that there was", err)
	}
	if n := f.sent.Load(); n > 200 {
		t.Errorf("%d requests, want no more once the circuit is open", n)
	}
}

// A continuation that is paid for and not sent costs nothing, and the caller gets the
// error that there was.
func TestResumeThatIsNotSent(t *testing.T) {
	for _, tt := range []struct {
		name      string
		leaves    time.Duration // when the caller gives up; 0: never
		deadline  time.Duration
		refuse    bool
		withdrawn int
		sent      int64
	}{
		{name: "sent", withdrawn: 1, sent: 2},
		{name: "the caller leaves during the wait", leaves: time.Second, withdrawn: 1, sent: 1},
		{name: "the wait is longer than the deadline", deadline: 5 * time.Second, sent: 1},
		{name: "the budget refuses", refuse: true, sent: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &purse{refuse: tt.refuse}
				f := &files{data: []byte("the whole"), etag: `"v1"`, cut: func(n int64) int {
					if n == 1 {
						return 5
					}
					return -1
				}}
				rt := build(t, f, transport.WithResume(1), transport.WithBudget(func(string) budget.Budget { return p }),
					transport.WithPolicy(transport.Policy{MaxDelay: time.Minute}),
					transport.WithBackoff(func(time.Duration, time.Duration, int, *http.Response) time.Duration { return 10 * time.Second }))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				resp, err := rt.RoundTrip(get(t, ctx))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if tt.leaves > 0 {
					time.AfterFunc(tt.leaves, cancel)
				}
				got, err := io.ReadAll(resp.Body)
				if tt.sent == 2 && (err != nil || string(got) != "the whole") {
					t.Errorf("got %q, %v, want all", got, err)
				}
				if tt.sent == 1 && (err != io.ErrUnexpectedEOF || string(got) != "the w") {
					t.Errorf("got %q, %v, want five bytes and the error that there was", got, err)
				}
				refunded := tt.withdrawn - int(tt.sent-1)
				if p.withdrawn != tt.withdrawn || p.refunded != refunded || f.sent.Load() != tt.sent {
					t.Errorf("%d withdrawn, %d refunded, %d sent, want %d, %d and %d", p.withdrawn, p.refunded, f.sent.Load(), tt.withdrawn, refunded, tt.sent)
				}
			})
		})
	}
}

func TestResumeInvalid(t *testing.T) {
	for _, n := range []int{0, -1} {
		if _, err := transport.New(nil, transport.WithResume(n)); err == nil || !strings.Contains(err.Error(), "WithResume(") {
			t.Errorf("WithResume(%d): got %v, want an error that names it", n, err)
		}
	}
}
