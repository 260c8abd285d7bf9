package transport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// rewound is the one body that a request has: GetBody puts it back to its
// start, as that of go-retryablehttp and connect-go does. It is not for two
// attempts at a time, and fails the test if it is used so.
type rewound struct {
	t     *testing.T
	text  string
	pause time.Duration // of each Read
	fails error         // of GetBody

	at       int
	reading  atomic.Int32
	open     bool
	asked    int
	askedAt  time.Time
	released int // closes
}

func newRewound(t *testing.T, text string) *rewound { return &rewound{t: t, text: text, open: true} }

func (b *rewound) Read(p []byte) (int, error) {
	if b.reading.Add(1) > 1 {
		b.t.Error("two attempts read at a time")
	}
	defer b.reading.Add(-1)
	time.Sleep(b.pause) // in a bubble, or 0
	n := copy(p[:min(len(p), 3)], b.text[b.at:])
	if b.at += n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (b *rewound) Close() error {
	if b.reading.Load() > 0 {
		b.t.Error("closed during a Read")
	}
	b.open = false
	b.released++
	return nil
}

func (b *rewound) again() (io.ReadCloser, error) {
	if b.reading.Load() > 0 || b.open {
		b.t.Errorf("GetBody is asked with %d Reads under way and the body open: %v", b.reading.Load(), b.open)
	}
	b.asked++
	b.askedAt = time.Now()
	if b.fails != nil {
		return nil, b.fails
	}
	b.at, b.open = 0, true
	return b, nil
}

func (b *rewound) request(ctx context.Context) *http.Request {
	req, err := http.NewRequestWithContext(ctx, "PUT", "http://api.test/", b)
	if err != nil {
		b.t.Fatal(err)
	}
	req.ContentLength, req.GetBody = int64(len(b.text)), b.again
	return req
}

// early is a base that answers before it has read the body, and goes on
// reading: pause says how it waits before each Read. The last answer comes
// after all of the body.
type early struct {
	codes  []int // of the early answers; 0 is an error
	pause  time.Duration
	closes bool // when it is done with a body

	bodies  sync.WaitGroup
	sent    []time.Time
	arrived []string // of the last attempts
}

func (b *early) RoundTrip(req *http.Request) (*http.Response, error) {
	n := len(b.sent)
	b.sent = append(b.sent, time.Now())
	if n >= len(b.codes) {
		defer req.Body.Close()
		text, err := io.ReadAll(req.Body)
		b.arrived = append(b.arrived, string(text))
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, err
	}
	b.bodies.Go(func() {
		for buf := make([]byte, 4); ; {
			if _, err := req.Body.Read(buf); err != nil {
				break
			}
			time.Sleep(b.pause)
		}
		if b.closes {
			time.Sleep(time.Second)
			req.Body.Close()
		}
	})
	synctest.Wait()
	if b.codes[n] == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{StatusCode: b.codes[n], Header: http.Header{}, Body: io.NopCloser(strings.NewReader("no room")), ContentLength: 7}, nil
}

// Where GetBody rewinds the one body that there is, it is asked when nobody
// reads that any more, and an attempt of the past takes nothing from a new one.
func TestGetBodyOnceTheEarlierAttemptLetGo(t *testing.T) {
	const text = "what the caller sends, a few bytes at a time"
	for _, tt := range []struct {
		name  string
		base  *early
		read  time.Duration // that a Read takes
		after time.Duration // at which the second attempt is sent
	}{
		{"read to its end by then", &early{codes: []int{503}, closes: true}, 0, 100 * time.Millisecond},
		{"while it is read", &early{codes: []int{503}, pause: time.Hour, closes: true}, 0, 100 * time.Millisecond},
		{"while it is read, and never closed", &early{codes: []int{503}, pause: time.Hour}, 0, 100 * time.Millisecond},
		{"in the middle of a Read", &early{codes: []int{503}, closes: true}, 250 * time.Millisecond, 250 * time.Millisecond},
		{"after an error", &early{codes: []int{0}, pause: time.Hour, closes: true}, 0, 100 * time.Millisecond},
		{"in the middle of a Read, after an error", &early{codes: []int{0}}, 250 * time.Millisecond, 250 * time.Millisecond},
		{"twice", &early{codes: []int{503, 0}, pause: time.Hour, closes: true}, 0, 100 * time.Millisecond},
		{"an attempt that closes late", &early{codes: []int{0, 503}, closes: true}, 0, 100 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body, base := newRewound(t, text), tt.base
				body.pause = tt.read
				resp, err := build(t, base, unlimited(), steady(100*time.Millisecond)).RoundTrip(body.request(t.Context()))
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("got %v, %v; want 200", resp, err)
				}
				if len(base.arrived) != 1 || base.arrived[0] != text {
					t.Errorf("%q arrived, want all of it", base.arrived)
				}
				if got := base.sent[1].Sub(base.sent[0]); got != tt.after {
					t.Errorf("the second attempt came after %v, want %v", got, tt.after)
				}
				if last := base.sent[len(base.sent)-1]; !body.askedAt.Equal(last) || body.asked != len(base.codes) {
					t.Errorf("GetBody was asked %d times, and %v before the attempt was sent; want %d times, and just before", body.asked, last.Sub(body.askedAt), len(base.codes))
				}
				base.bodies.Wait()
				if want := len(base.sent); body.released != want {
					t.Errorf("bodies were closed %d times, want %d", body.released, want)
				}
			})
		})
	}
}

// The answer in hand outlives a body that cannot be had.
func TestAnswerOutlivesABodyThatCannotBeHad(t *testing.T) {
	gone := errors.New("file is gone")
	for _, tt := range []struct {
		name  string
		read  time.Duration // that a Read takes
		fails error
		code  int
		took  time.Duration
	}{
		{"GetBody fails", 0, gone, 503, 100 * time.Millisecond},
		{"GetBody fails after an error", 0, gone, 0, 100 * time.Millisecond},
		{"a Read does not end", time.Hour, nil, 503, 300 * time.Millisecond},
		{"a Read does not end after an error", time.Hour, nil, 0, 300 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body := newRewound(t, "hello")
				body.pause, body.fails = tt.read, tt.fails
				base := &early{codes: []int{tt.code}}
				p := &purse{}
				start := time.Now()
				resp, err := build(t, base, p.option(), steady(100*time.Millisecond), transport.WithPolicy(transport.Policy{MaxDelay: 200 * time.Millisecond})).RoundTrip(body.request(t.Context()))
				var e *transport.Error
				switch {
				case tt.code == 0 && (!errors.As(err, &e) || e.Stop != transport.StopBody || !errors.Is(err, io.ErrUnexpectedEOF)):
					t.Errorf("got %v, %v; want the error of the base, stopped by body", resp, err)
				case tt.code != 0 && err != nil:
					t.Fatal(err)
				case tt.code != 0:
					call, _ := transport.CallOf(resp)
					if got := text(t, resp); resp.StatusCode != tt.code || got != "no room" || call.Stop != transport.StopBody {
						t.Errorf("got %d %q, stopped by %s; want the answer in hand, by body", resp.StatusCode, got, call.Stop)
					}
				}
				if got := time.Since(start); got != tt.took || len(base.sent) != 1 || p.withdrawn != p.refunded {
					t.Errorf("%d attempts in %v, %d paid and %d paid back; want one in %v, and all paid back", len(base.sent), got, p.withdrawn, p.refunded, tt.took)
				}
				base.bodies.Wait()
			})
		})
	}
}

// A long answer cannot be kept in memory. Its status and its start still say
// more than nothing, and its end says that it is not all.
func TestLongAnswerOutlivesABodyThatCannotBeHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := newRewound(t, "hello")
		body.fails = errors.New("file is gone")
		long := strings.Repeat("x", 1<<20)
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			req.Body.Close()
			return &http.Response{StatusCode: 503, Header: head("X-Why", "load"), Body: io.NopCloser(strings.NewReader(long)), ContentLength: -1}, nil
		})
		resp, err := build(t, base, unlimited()).RoundTrip(body.request(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if resp.StatusCode != 503 || resp.Header.Get("X-Why") != "load" || len(got) < 64<<10 || err == nil || !strings.Contains(err.Error(), "given up") {
			t.Errorf("got %d %v with %d bytes and then %v; want the answer with its start", resp.StatusCode, resp.Header, len(got), err)
		}
	})
}

// The caller may leave while a Read is waited for.
func TestCancelledWhileABodyIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := newRewound(t, "hello")
		body.pause = time.Hour
		base := &early{codes: []int{503}}
		gone := errors.New("the user left")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(gone) })
		start := time.Now()
		resp, err := build(t, base, unlimited(), steady(100*time.Millisecond)).RoundTrip(body.request(ctx))
		var e *transport.Error
		if resp != nil || !errors.As(err, &e) || e.Stop != transport.StopCancelled || !errors.Is(err, gone) || time.Since(start) != time.Second {
			t.Errorf("got %v, %v after %v; want an error for the caller's reason after 1s", resp, err, time.Since(start))
		}
		base.bodies.Wait()
	})
}

// What a base or a layer gets by the GetBody of its attempt is as much in its
// hands as the body that it was given.
func TestGetBodyOfAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := newRewound(t, "hello, world")
		var bases sync.WaitGroup
		defer bases.Wait()
		var arrived []string
		var stale error
		var first *http.Request
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			if first != nil {
				if _, stale = first.GetBody(); stale == nil {
					t.Error("an attempt of the past got a body")
				}
				defer req.Body.Close()
				b, err := io.ReadAll(req.Body)
				arrived = append(arrived, string(b))
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, err
			}
			first = req
			req.Body.Close() // as if the connection had broken
			again, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			bases.Go(func() {
				for buf := make([]byte, 1); err == nil; time.Sleep(time.Hour) {
					_, err = again.Read(buf)
				}
			})
			synctest.Wait()
			return &http.Response{StatusCode: 503, Header: http.Header{}, Body: http.NoBody}, nil
		})
		resp, err := build(t, base, unlimited()).RoundTrip(body.request(t.Context()))
		if err != nil || resp.StatusCode != 200 || len(arrived) != 1 || arrived[0] != "hello, world" {
			t.Errorf("got %v, %v, and %q arrived; want 200 and all of it", resp, err, arrived)
		}
	})
}
