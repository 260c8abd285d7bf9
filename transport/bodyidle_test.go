package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/transport"
	"go.uber.org/goleak"
)

// slowly is a body of single bytes, each after a wait. It ends with its context, as that
// of net/http does.
type slowly struct {
	ctx   context.Context
	waits []time.Duration
}

func (s *slowly) Read(p []byte) (int, error) {
	if len(s.waits) == 0 {
		return 0, io.EOF
	}
	select {
	case <-after(s.waits[0]):
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
	s.waits = s.waits[1:]
	return copy(p, "x"), nil
}

func (s *slowly) Close() error { return nil }

// Only what a Read waits for counts, and a silence is a timeout that says how much came.
func TestBodyIdleTimeout(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name     string
		limit    time.Duration
		waits    []time.Duration
		consumer time.Duration // how long it takes between two Reads
		deadline time.Duration
		policy   transport.Policy
		read     int
		took     time.Duration
		err      error // nil: the silence, if read is less than all
	}{
		{name: "none", waits: []time.Duration{time.Hour, time.Hour}, read: 2, took: 2 * time.Hour},
		{name: "never silent for as long", limit: 5 * s, waits: []time.Duration{4 * s, 4 * s, 4 * s}, read: 3, took: 12 * s},
		{name: "silent before the first byte", limit: 5 * s, waits: []time.Duration{6 * s}, read: 0, took: 5 * s},
		{name: "silent after some", limit: 5 * s, waits: []time.Duration{s, s, 6 * s}, read: 2, took: 7 * s},
		{name: "a slow consumer", limit: s, waits: []time.Duration{0, 0, 0}, consumer: time.Hour, read: 3, took: 4 * time.Hour},
		{name: "beside an AttemptTimeout", limit: 5 * s, policy: transport.Policy{AttemptTimeout: 2 * s}, waits: []time.Duration{4 * s, 6 * s}, read: 1, took: 9 * s},
		{name: "the deadline of the caller first", limit: 5 * s, deadline: 3 * s, waits: []time.Duration{6 * s}, read: 0, took: 3 * s, err: context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var body *slowly
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					body = &slowly{req.Context(), tt.waits}
					return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body, Request: req}, nil
				})
				tt.policy.BodyIdleTimeout = tt.limit
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				resp, err := build(t, base, transport.WithPolicy(tt.policy)).RoundTrip(get(t, ctx))
				if err != nil {
					t.Fatal(err)
				}
				start, n := time.Now(), 0
				p := make([]byte, 8)
				for err == nil {
					time.Sleep(tt.consumer)
					var k int
					k, err = resp.Body.Read(p)
					n += k
				}
				if n != tt.read || time.Since(start) != tt.took {
					t.Errorf("read %d bytes in %v, want %d in %v", n, time.Since(start), tt.read, tt.took)
				}
				var timeout net.Error
				switch {
				case n == len(tt.waits):
					if err != io.EOF {
						t.Errorf("err = %v, want the end", err)
					}
				case tt.err != nil:
					if err != tt.err {
						t.Errorf("err = %v, want %v as it is", err, tt.err)
					}
				case !errors.As(err, &timeout) || !timeout.Timeout() || !errors.Is(err, context.DeadlineExceeded) ||
					!strings.Contains(err.Error(), fmt.Sprintf("BodyIdleTimeout 5s, after %d bytes", tt.read)):
					t.Errorf("err = %v, want a timeout after %d bytes", err, tt.read)
				}
				if _, again := resp.Body.Read(p); again != err && tt.err == nil {
					t.Errorf("then %v, want %v again", again, err)
				}
				resp.Body.Close()
				if tt.limit > 0 && body.ctx.Err() == nil {
					t.Error("the context of the attempt outlives its body")
				}
			})
		})
	}
}

// Over real connections, of HTTP/1.1 and HTTP/2. The breaker counts the silence.
func TestBodyIdleTimeoutOfAConnection(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, two := range []bool{false, true} {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "some")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}))
		srv.EnableHTTP2 = two
		srv.StartTLS()
		base := srv.Client().Transport.(*http.Transport)
		circuits, err := breaker.New(breaker.WithTripRatio(0.5, 5))
		if err != nil {
			t.Fatal(err)
		}
		rt := build(t, base, transport.WithPolicy(transport.Policy{BodyIdleTimeout: 20 * time.Millisecond}), transport.WithBreaker(circuits.Wrap),
			transport.WithServiceName(func(*http.Request) string { return "files" }))
		client := &http.Client{Transport: rt, Timeout: time.Minute}
		for range 20 {
			resp, err := client.Get(srv.URL)
			if err != nil {
				break // the circuit is open
			}
			text, err := io.ReadAll(resp.Body)
			var timeout net.Error
			if string(text) != "some" || !errors.As(err, &timeout) || !timeout.Timeout() || resp.ProtoMajor == 2 != two {
				t.Errorf("%s: read %q, %v, want some and a timeout", resp.Proto, text, err)
			}
			resp.Body.Close()
		}
		if state := circuits.State("files"); state != breaker.StateOpen {
			t.Errorf("the circuit is %v, want open", state)
		}
		base.CloseIdleConnections()
		srv.Close()
	}
}

func TestBodyIdleTimeoutInvalid(t *testing.T) {
	if _, err := transport.New(nil, transport.WithPolicy(transport.Policy{BodyIdleTimeout: -1})); err == nil || !strings.Contains(err.Error(), "Policy.BodyIdleTimeout -1ns") {
		t.Errorf("got %v, want an error that names the field", err)
	}
	var p transport.Policy
	if err := p.UnmarshalJSON([]byte(`{"bodyIdleTimeout": "5s"}`)); err != nil || p.BodyIdleTimeout != 5*time.Second {
		t.Errorf("got %v, %v, want 5s", p.BodyIdleTimeout, err)
	}
	if text, err := p.MarshalJSON(); err != nil || string(text) != `{"BodyIdleTimeout":"5s"}` {
		t.Errorf("got %s, %v, want the field", text, err)
	}
}

// pipe is the connection of an upgrade.
type pipe struct{ slowly }

func (p *pipe) Write(b []byte) (int, error) { return len(b), nil }

// What has no body to be silent in is left alone, and in each case the context of the
// attempt ends with what it was for.
func TestBodyIdleTimeoutOfWhatHasNoBody(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name string
		opts []transport.Option
		base func(req *http.Request) (*http.Response, error)
		want func(t *testing.T, resp *http.Response, err error)
		ends bool // the context of the attempt, with the call
	}{
		{"an error", nil, func(*http.Request) (*http.Response, error) { return nil, broken },
			func(t *testing.T, resp *http.Response, err error) {
				if resp != nil || err != broken {
					t.Errorf("got %v, %v, want the error of the base", resp, err)
				}
			}, true},
		{"a panic", nil, func(*http.Request) (*http.Response, error) { panic(broken) },
			func(*testing.T, *http.Response, error) {}, true},
		{"no body", nil, func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 204, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		}, func(t *testing.T, resp *http.Response, err error) {
			if err != nil || resp.Body != http.NoBody {
				t.Errorf("got %v, %v, want http.NoBody as it is", resp, err)
			}
		}, true},
		{"an upgrade", nil, func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 101, Header: http.Header{}, Request: req,
				Body: &pipe{slowly{req.Context(), []time.Duration{time.Hour}}}}, nil
		}, func(t *testing.T, resp *http.Response, err error) {
			if err != nil {
				t.Fatal(err)
			}
			if n, err := resp.Body.Read(make([]byte, 8)); n != 1 || err != nil {
				t.Errorf("read %d bytes after an hour, %v, want 1", n, err)
			}
			if w, ok := resp.Body.(io.Writer); !ok {
				t.Error("the connection cannot be written to")
			} else if n, err := w.Write([]byte("ping")); n != 4 || err != nil {
				t.Errorf("wrote %d bytes, %v, want 4", n, err)
			}
			resp.Body.Close()
		}, true},
		{"a dry run", []transport.Option{transport.WithDryRun()}, func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: &slowly{req.Context(), []time.Duration{time.Hour}}, Request: req}, nil
		}, func(t *testing.T, resp *http.Response, err error) {
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(resp.Body); len(text) != 1 || err != nil {
				t.Errorf("read %d bytes after an hour, %v, want 1", len(text), err)
			}
			resp.Body.Close()
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sent context.Context
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					sent = req.Context()
					return tt.base(req)
				})
				opts := append(tt.opts, transport.WithPolicy(transport.Policy{MaxAttempts: 1, BodyIdleTimeout: time.Second}))
				func() {
					defer func() {
						if p := recover(); p != nil && p != broken {
							panic(p)
						}
					}()
					resp, err := build(t, base, opts...).RoundTrip(get(t, t.Context()))
					tt.want(t, resp, err)
				}()
				if tt.ends && sent.Err() == nil {
					t.Error("the context of the attempt outlives it")
				}
			})
		})
	}
}
