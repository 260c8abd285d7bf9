package transport_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// source is a request body that counts what is done to it.
type source struct {
	io.Reader
	reads, closes atomic.Int32
}

func (s *source) Read(p []byte) (int, error) { s.reads.Add(1); return s.Reader.Read(p) }
func (s *source) Close() error               { s.closes.Add(1); return nil }

func put(t *testing.T, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "PUT", "http://api.test/v1", body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestReplayOfABodyWithoutGetBody(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for _, tt := range []struct {
		name   string
		body   string
		length int64
		limit  int64
		sent   []string
		stop   transport.StopReason
	}{
		{"short, unknown length", "hello", -1, 0, []string{"hello", "hello", "hello"}, transport.StopAttempts},
		{"short, known length", "hello", 5, 0, []string{"hello", "hello", "hello"}, transport.StopAttempts},
		{"exactly the limit", "hello", -1, 5, []string{"hello", "hello", "hello"}, transport.StopAttempts},
		{"one byte over the limit", "hello!", -1, 5, []string{"hello!"}, transport.StopBody},
		{"over the default limit", long, -1, 0, []string{long}, transport.StopBody},
		{"over the limit by its length", long, 100_000, 0, []string{long}, transport.StopBody},
		{"empty", "", -1, 0, []string{"", "", ""}, transport.StopAttempts},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := &script{answers: statuses(503)}
				body := &source{Reader: strings.NewReader(tt.body)}
				req := put(t, body)
				req.ContentLength = tt.length
				resp, err := build(t, base, unlimited(), transport.WithPolicy(transport.Policy{MaxReplayBytes: tt.limit})).RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(base.bodies, "|"); got != strings.Join(tt.sent, "|") {
					t.Errorf("sent %d bodies %.80q, want %d", len(base.bodies), got, len(tt.sent))
				}
				if call, _ := transport.CallOf(resp); call.Stop != tt.stop {
					t.Errorf("stop = %q, want %q", call.Stop, tt.stop)
				}
				if got := body.closes.Load(); got != 1 {
					t.Errorf("the body was closed %d times, want once", got)
				}
				for i, r := range base.seen {
					if r.ContentLength != tt.length {
						t.Errorf("attempt %d has ContentLength %d, want %d", i+1, r.ContentLength, tt.length)
					}
				}
			})
		})
	}
}

// A server may answer before it has read the body. What the first attempt did
// not read must still reach the second, in order and exactly once.
func TestReplayAfterAnEarlyAnswer(t *testing.T) {
	for read := 0; read <= 12; read++ {
		synctest.Test(t, func(t *testing.T) {
			const want = "hello, world"
			var second string
			n := 0
			base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				defer req.Body.Close()
				if n++; n == 1 {
					io.ReadFull(req.Body, make([]byte, read))
					return &http.Response{StatusCode: 503, Body: http.NoBody}, nil
				}
				b, err := io.ReadAll(req.Body)
				second = string(b)
				return &http.Response{StatusCode: 200, Body: http.NoBody}, err
			})
			body := &source{Reader: strings.NewReader(want)}
			if _, err := build(t, base, unlimited()).RoundTrip(put(t, body)); err != nil {
				t.Fatal(err)
			}
			if second != want || body.closes.Load() != 1 {
				t.Errorf("after %d bytes the second attempt sent %q and closed %d times, want %q and once", read, second, body.closes.Load(), want)
			}
		})
	}
}

// An attempt that was given up may still be inside Read. It must take nothing
// from the one that follows.
func TestReplayWhileTheFirstAttemptStillReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		var second []byte
		n := 0
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			if n++; n == 1 {
				go func() { // as net/http's write loop does
					io.Copy(io.Discard, req.Body)
					req.Body.Close()
				}()
				synctest.Wait()
				return &http.Response{StatusCode: 503, Body: http.NoBody}, nil
			}
			defer req.Body.Close()
			var err error
			second, err = io.ReadAll(req.Body)
			return &http.Response{StatusCode: 200, Body: http.NoBody}, err
		})
		go func() {
			time.Sleep(time.Second) // the second attempt waits for the first one's Read by then
			io.WriteString(w, "hello, ")
			io.WriteString(w, "world")
			w.Close()
		}()
		if _, err := build(t, base, unlimited()).RoundTrip(put(t, r)); err != nil {
			t.Fatal(err)
		}
		if string(second) != "hello, world" {
			t.Errorf("the second attempt sent %q, want all of it", second)
		}
	})
}

func TestNothingIsReadAhead(t *testing.T) {
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		req.Body.Close()
		return &http.Response{StatusCode: 401, Body: http.NoBody}, nil
	})
	body := &source{Reader: strings.NewReader("secret")}
	if _, err := build(t, base).RoundTrip(put(t, body)); err != nil {
		t.Fatal(err)
	}
	if body.reads.Load() != 0 || body.closes.Load() != 1 {
		t.Errorf("%d reads, %d closes; want 0 and 1", body.reads.Load(), body.closes.Load())
	}
}

func TestGetBodyComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &script{answers: statuses(503, 503, 200)}
		made := []*source{{Reader: strings.NewReader("hello")}}
		req := put(t, made[0])
		req.GetBody = func() (io.ReadCloser, error) {
			made = append(made, &source{Reader: strings.NewReader("hello")})
			return made[len(made)-1], nil
		}
		if _, err := build(t, base, unlimited()).RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		if len(made) != 3 || strings.Join(base.bodies, "|") != "hello|hello|hello" {
			t.Errorf("made %d bodies and sent %q, want 3 times hello", len(made), base.bodies)
		}
		for i, b := range made {
			if got := b.closes.Load(); got != 1 {
				t.Errorf("body %d was closed %d times, want once", i+1, got)
			}
		}
	})
}

func TestGetBodyFailingKeepsTheResponse(t *testing.T) {
	base := &script{answers: statuses(503)}
	req := put(t, strings.NewReader("hello"))
	req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("file is gone") }
	resp, err := build(t, base, unlimited()).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if call, _ := transport.CallOf(resp); call.Stop != transport.StopBody || text(t, resp) != "Service Unavailable" {
		t.Errorf("stop = %q, want body and the response unread", call.Stop)
	}
}

// A source that broke would break again, so there is nothing to retry with.
func TestBrokenSourceIsNotReplayed(t *testing.T) {
	broken := errors.New("disk on fire")
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		_, err := io.Copy(io.Discard, req.Body)
		req.Body.Close()
		return nil, err
	})
	body := &source{Reader: io.MultiReader(strings.NewReader("he"), &failing{broken})}
	var told told
	_, err := build(t, base, unlimited(), told.option()).RoundTrip(put(t, body))
	if told.calls[0].Stop != transport.StopBody || err != broken || body.closes.Load() != 1 {
		t.Errorf("err = %v with %d closes, want body, the cause, and one close", err, body.closes.Load())
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

// zeros is a body of a given size that costs nothing to make.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	z.left -= n
	return n, nil
}

func TestLargeUploadCostsNoMemory(t *testing.T) {
	const size = 64 << 20
	var got atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		got.Store(n)
	}))
	defer srv.Close()
	for _, rewindable := range []bool{false, true} {
		client := &http.Client{Transport: build(t, nil)}
		upload := func(size int) {
			req, err := http.NewRequest("PUT", srv.URL, io.NopCloser(&zeros{size}))
			if err != nil {
				t.Fatal(err)
			}
			if rewindable {
				req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(&zeros{size}), nil }
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		upload(1) // the connection and the copy buffers are not what is measured
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		upload(size)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("GetBody %v: uploading 64 MiB allocated %d bytes, want under 1 MiB", rewindable, n)
		}
		if got.Load() != size {
			t.Errorf("the server got %d bytes, want %d", got.Load(), size)
		}
	}
}

// The requests of a storm of writers over one transport must not mix.
func TestConcurrentReplays(t *testing.T) {
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%2 == 0 {
			w.WriteHeader(503) // without reading the body
			return
		}
		b, _ := io.ReadAll(r.Body)
		w.Write(b)
	}))
	defer srv.Close()
	client := &http.Client{Transport: build(t, nil, unlimited(), transport.WithPolicy(transport.Policy{MaxAttempts: 50, BaseDelay: 1}))}
	done := make(chan error, 8)
	for g := range 8 {
		go func() {
			for i := range 50 {
				want := bytes.Repeat([]byte{byte('a' + g)}, 1+i*100)
				req, _ := http.NewRequest("PUT", srv.URL, io.NopCloser(bytes.NewReader(want)))
				resp, err := client.Do(req)
				if err != nil {
					done <- err
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || !bytes.Equal(got, want) {
					done <- errors.Join(err, errors.New(resp.Status))
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
