package transport_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

func BenchmarkRoundTrip(b *testing.B) {
	ok := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: make(http.Header), Body: http.NoBody, Request: req}, nil
	})
	observed := transport.WithObserver(transport.Observer{
		OnAttempt: func(context.Context, transport.AttemptEvent) {},
		OnCall:    func(context.Context, transport.Call) {},
	})
	limited := transport.WithPolicy(transport.Policy{AttemptTimeout: time.Second})
	hour := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.Background(), time.Hour)
	}
	for _, bm := range []struct {
		name string
		opts []transport.Option
		bare bool
		ctx  func() (context.Context, context.CancelFunc)
	}{
		{name: "bare", bare: true},
		{name: "default"},
		{name: "observed", opts: []transport.Option{observed}},
		{name: "attempt timeout", opts: []transport.Option{limited}},
		{name: "deadline", ctx: hour},
		{name: "deadline, attempt timeout", opts: []transport.Option{limited}, ctx: hour},
	} {
		b.Run(bm.name, func(b *testing.B) {
			ctx := context.Background()
			if bm.ctx != nil {
				c, cancel := bm.ctx()
				defer cancel()
				ctx = c
			}
			req, err := http.NewRequestWithContext(ctx, "GET", "http://api.test/v1", nil)
			if err != nil {
				b.Fatal(err)
			}
			var rt http.RoundTripper = ok
			if !bm.bare {
				if rt, err = transport.New(ok, bm.opts...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				resp, err := rt.RoundTrip(req)
				if err != nil || resp.StatusCode != 200 {
					b.Fatal(resp, err)
				}
			}
		})
	}
}
