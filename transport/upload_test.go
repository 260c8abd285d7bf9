package transport_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// A warehouse is a server that answers with the sum of what it took. On a path
// with /busy it answers the first request of a call 503, on one with /moved it
// redirects, both before it has read anything; on /slow it keeps the first
// request waiting for long after it began to read.
type warehouse struct {
	url   string
	seen  sync.Map     // what a call has met, by its name and what it was
	taken atomic.Int32 // bodies
	wrong atomic.Int32 // of these, bodies that nobody sent
	sums  sync.Map     // of what may come
}

func sumOf(b []byte) string { sum := sha256.Sum256(b); return hex.EncodeToString(sum[:]) }

func (s *warehouse) first(r *http.Request, what string) bool {
	_, met := s.seen.LoadOrStore(r.Header.Get("X-Call")+what, true)
	return !met
}

func (s *warehouse) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/moved"):
		http.Redirect(w, r, "/to"+strings.TrimPrefix(r.URL.Path, "/moved"), http.StatusTemporaryRedirect)
		return
	case strings.Contains(r.URL.Path, "/busy") && s.first(r, "busy"):
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "no room")
		return
	}
	sum := sha256.New()
	if strings.Contains(r.URL.Path, "/slow") && s.first(r, "slow") {
		if _, err := io.CopyN(sum, r.Body, 64<<10); err != nil {
			return
		}
		<-time.After(30 * time.Millisecond) // for as long as the client's own delay, and more
	}
	if _, err := io.Copy(sum, r.Body); err != nil {
		return
	}
	got := hex.EncodeToString(sum.Sum(nil))
	s.taken.Add(1)
	if _, ok := s.sums.Load(got); !ok {
		s.wrong.Add(1)
	}
	io.WriteString(w, got)
}

// eachProtocol runs f over HTTP/1.1 and HTTP/2.
func eachProtocol(t *testing.T, f func(*testing.T, *warehouse, http.RoundTripper)) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP2=%v", http2), func(t *testing.T) {
			house := new(warehouse)
			srv := httptest.NewUnstartedServer(house)
			srv.EnableHTTP2 = http2
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			if http2 {
				srv.StartTLS()
			} else {
				srv.Start()
			}
			defer srv.Close()
			house.url = srv.URL
			f(t, house, srv.Client().Transport)
		})
	}
}

// seeker is a body as SDKs make them: one reader, put back to its start.
type seeker struct{ *bytes.Reader }

func (seeker) Close() error { return nil }

func (s seeker) again() (io.ReadCloser, error) {
	_, err := s.Seek(0, io.SeekStart)
	return s, err
}

// An upload that the server takes is the one that was sent, whatever GetBody
// does, with the server answering early, sending it elsewhere or hedged.
func TestUploadsArriveWholeOrNotAtAll(t *testing.T) {
	size, calls := 8<<20, 2
	if testing.Short() {
		size = 1 << 20
	}
	content := blocks(size)
	for _, tt := range []struct {
		name string
		body func(*http.Request)
	}{
		{"of http.NewRequest", nil},
		{"that rewinds", func(req *http.Request) {
			body := seeker{bytes.NewReader(content)}
			req.Body, req.GetBody = body, body.again
		}},
		{"that rewinds in plain clothes", func(req *http.Request) {
			body := strings.NewReader(string(content))
			req.Body, req.GetBody = io.NopCloser(body), func() (io.ReadCloser, error) {
				_, err := body.Seek(0, io.SeekStart)
				return io.NopCloser(body), err
			}
		}},
		{"that rewinds, of unknown length", func(req *http.Request) {
			body := seeker{bytes.NewReader(content)}
			req.Body, req.GetBody, req.ContentLength = body, body.again, -1
		}},
	} {
		for _, path := range []string{"/busy", "/moved/busy", "/slow"} {
			t.Run(tt.name+path, func(t *testing.T) {
				t.Parallel() // a server that answers early lingers for half a second
				eachProtocol(t, func(t *testing.T, house *warehouse, base http.RoundTripper) {
					house.sums.Store(sumOf(content), true)
					opts := []transport.Option{unlimited(), steady(0)}
					if strings.HasPrefix(path, "/slow") {
						opts = append(opts, transport.WithHedging(transport.Hedge{Delay: 10 * time.Millisecond, Ratio: 1}))
					}
					client := &http.Client{Transport: build(t, base, opts...)}
					var all sync.WaitGroup
					for i := range calls {
						req, err := http.NewRequestWithContext(t.Context(), "PUT", house.url+path, bytes.NewReader(content))
						if err != nil {
							t.Fatal(err)
						}
						if tt.body != nil {
							tt.body(req)
						}
						req.Header.Set("X-Call", fmt.Sprint(i))
						all.Go(func() {
							resp, err := client.Do(req)
							if err != nil {
								t.Error(err)
								return
							}
							if got := text(t, resp); resp.StatusCode != 200 || got != sumOf(content) {
								t.Errorf("got %d and the sum %.20q, want 200 and that of the body", resp.StatusCode, got)
							}
						})
					}
					all.Wait()
					if house.wrong.Load() != 0 || house.taken.Load() < int32(calls) {
						t.Errorf("the server took %d bodies, %d of them wrong; want %d or more, and none wrong", house.taken.Load(), house.wrong.Load(), calls)
					}
				})
			})
		}
	}
}

// The answer of a server that will not read the upload is never lost to a
// GetBody that fails.
func TestEarlyAnswerIsNotLost(t *testing.T) {
	eachProtocol(t, func(t *testing.T, house *warehouse, base http.RoundTripper) {
		client := &http.Client{Transport: build(t, base, unlimited(), steady(0))}
		for i := range 5 {
			body := seeker{bytes.NewReader(make([]byte, 4<<20))}
			req, err := http.NewRequestWithContext(t.Context(), "PUT", house.url+"/busy", body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Call", fmt.Sprint(i))
			req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("file is gone") }
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			call, _ := transport.CallOf(resp)
			if got := text(t, resp); resp.StatusCode != 503 || got != "no room" || call.Stop != transport.StopBody {
				t.Errorf("got %d %q, stopped by %s; want the 503, by body", resp.StatusCode, got, call.Stop)
			}
		}
	})
}

// While a refused budget is waited for, the base may go on sending the body
// that the answer is to: that answer may be all that there will be.
func TestUploadGoesOnUnderARefusedBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			io.WriteString(w, "hello, ")
			time.Sleep(time.Second)
			io.WriteString(w, "world")
			w.Close()
		}()
		got := make(chan string, 1)
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			go func() {
				b, err := io.ReadAll(req.Body)
				req.Body.Close()
				if err != nil {
					b = append(b, err.Error()...)
				}
				got <- string(b)
			}()
			synctest.Wait()
			return answering(503)(req)
		})
		p := &purse{refuse: true}
		resp, err := build(t, base, p.option(), steady(500*time.Millisecond)).RoundTrip(put(t, r))
		if err != nil {
			t.Fatal(err)
		}
		if call, _ := transport.CallOf(resp); call.Stop != transport.StopBudget {
			t.Errorf("stopped by %s, want budget", call.Stop)
		}
		if body := <-got; body != "hello, world" {
			t.Errorf("the base sent %q, want all of it", body)
		}
	})
}

// And if by then it has sent more than is kept, there is no other attempt.
func TestUploadThatOutgrowsReplayInTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			io.WriteString(w, "hell")
			time.Sleep(time.Second)
			io.WriteString(w, "o, world")
			w.Close()
		}()
		sent := 0
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			sent++
			go func() {
				io.Copy(io.Discard, req.Body)
				req.Body.Close()
			}()
			synctest.Wait()
			return answering(503)(req)
		})
		p := &purse{refuseFirst: true}
		resp, err := build(t, base, p.option(), steady(2*time.Second), transport.WithPolicy(transport.Policy{MaxReplayBytes: 6})).RoundTrip(put(t, r))
		if err != nil {
			t.Fatal(err)
		}
		call, _ := transport.CallOf(resp)
		if got := text(t, resp); call.Stop != transport.StopBody || got != "a body" || sent != 1 || p.withdrawn != p.refunded {
			t.Errorf("%+v, %q after %d attempts, %d paid and %d paid back; want the response, stopped by body", call, got, sent, p.withdrawn, p.refunded)
		}
	})
}

func TestGetBodyWithoutABody(t *testing.T) {
	req := put(t, strings.NewReader("hello"))
	req.GetBody = func() (io.ReadCloser, error) { return nil, nil }
	base := &script{answers: statuses(503)}
	resp, err := build(t, base, unlimited()).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if call, _ := transport.CallOf(resp); call.Stop != transport.StopBody || len(base.seen) != 1 {
		t.Errorf("%+v, want one attempt, stopped by body", call)
	}
}

// A server that answers before it asks for the body gets none, and what was
// not sent is there for the attempt that is.
func TestExpectContinue(t *testing.T) {
	var n atomic.Int32
	var got atomic.Value
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) < 3 {
			w.WriteHeader(503) // without a 100 Continue
			return
		}
		b, _ := io.ReadAll(r.Body)
		got.Store(string(b))
	}))
	defer srv.Close()
	for _, rewindable := range []bool{false, true} {
		n.Store(0)
		got.Store("")
		base := &http.Transport{ExpectContinueTimeout: time.Minute}
		made := 1
		body := &source{Reader: strings.NewReader("hello")}
		req, _ := http.NewRequest("PUT", srv.URL, body)
		req.Header.Set("Expect", "100-continue")
		req.ContentLength = 5
		if rewindable {
			req.GetBody = func() (io.ReadCloser, error) {
				made++
				return io.NopCloser(strings.NewReader("hello")), nil
			}
		}
		resp, err := build(t, base, unlimited(), transport.WithPolicy(transport.Policy{BaseDelay: 1, MaxDelay: 1})).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		base.CloseIdleConnections()
		// net/http may close a body after RoundTrip has returned.
		for start := time.Now(); body.closes.Load() == 0 && time.Since(start) < time.Minute; {
			runtime.Gosched()
		}
		if resp.StatusCode != 200 || got.Load() != "hello" || n.Load() != 3 || body.closes.Load() != 1 {
			t.Errorf("GetBody %v: %d, body %q after %d attempts, %d closes; want 200, hello, 3, 1", rewindable, resp.StatusCode, got.Load(), n.Load(), body.closes.Load())
		}
	}
}
