package breaker_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/sony/gobreaker/v2"
)

func TestPanicsSettleTheCall(t *testing.T) {
	for name, opts := range map[string][]breaker.Option{
		"next":      {},
		"predicate": {breaker.WithFailureIf(func(*http.Response, error) bool { panic("predicate") })},
	} {
		synctest.Test(t, func(t *testing.T) {
			set := newSet(t, append(opts, breaker.WithTripRatio(0.5, 10))...)
			rt := set.Wrap(roundTripper(func(*http.Request) (*http.Response, error) {
				if name == "next" {
					panic(http.ErrAbortHandler)
				}
				return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
			}))
			for range 10 {
				func() {
					defer func() {
						if recover() == nil {
							t.Errorf("%s: the panic did not pass", name)
						}
					}()
					rt.RoundTrip(request(t, t.Context()))
				}()
			}
			if got := set.State("api.test"); got != breaker.StateOpen {
				t.Errorf("%s: %v after 10 panics, want open", name, got)
			}
		})
	}
}

func TestRefusalClosesTheBody(t *testing.T) {
	b := &backend{}
	rt := newSet(t, breaker.WithTripRatio(0.5, 1)).Wrap(b)
	send(t, rt, 1)
	req := request(t, t.Context())
	closed := 0
	req.Body = closer(func() { closed++ })
	if _, err := rt.RoundTrip(req); !errors.Is(err, breaker.ErrOpen) || closed != 1 {
		t.Errorf("%v with %d closes, want ErrOpen and one", err, closed)
	}
	var timeout interface{ Timeout() bool }
	_, err := rt.RoundTrip(request(t, t.Context()))
	if errors.As(err, &timeout) {
		t.Error("a refusal is no timeout")
	}
}

type closer func()

func (c closer) Read([]byte) (int, error) { return 0, io.EOF }
func (c closer) Close() error             { c(); return nil }

type upgraded struct{ io.Reader }

func (upgraded) Write(p []byte) (int, error) { return len(p), nil }
func (upgraded) Close() error                { return nil }

func TestUpgradedBodyStaysWritable(t *testing.T) {
	rt := newSet(t).Wrap(roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 101, Body: upgraded{strings.NewReader("")}}, nil
	}))
	resp, err := rt.RoundTrip(request(t, t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := resp.Body.(io.ReadWriteCloser); !ok {
		t.Errorf("%T is not writable", resp.Body)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	ok := roundTripper(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	})
	down := roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("down") })
	open := newSet(b, breaker.WithTripRatio(0.5, 1)).Wrap(down)
	send(b, open, 1)
	plain := gobreaker.NewCircuitBreaker[*http.Response](gobreaker.Settings{})
	for _, bm := range []struct {
		name string
		rt   http.RoundTripper
	}{
		{"bare", ok},
		{"closed", newSet(b).Wrap(ok)},
		{"open", open},
		{"plain gobreaker", roundTripper(func(req *http.Request) (*http.Response, error) {
			return plain.Execute(func() (*http.Response, error) { return ok(req) })
		})},
	} {
		b.Run(bm.name, func(b *testing.B) {
			req := request(b, context.Background())
			b.ReportAllocs()
			for b.Loop() {
				bm.rt.RoundTrip(req)
			}
		})
	}
}
