package clients_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/datapunk/evenkeel/transport"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type text = wrapperspb.StringValue

// In a program these are constants of the generated code.
const (
	findProcedure = "/shop.v1.ShopService/Find"
	buyProcedure  = "/shop.v1.ShopService/Buy"
	listProcedure = "/shop.v1.ShopService/List"
)

func connectTransport(base http.RoundTripper, options []transport.Option) (*transport.Transport, error) {
	// README: connect
	chain, err := transport.New(base, append(options, transport.WithRepeatable(func(r *http.Request) bool {
		return r.URL.Path == findProcedure // it has no side effects
	}))...)
	// README: end
	return chain, err
}

func shop() http.HandlerFunc {
	mux := http.NewServeMux()
	shout := func(_ context.Context, r *connect.Request[text]) (*connect.Response[text], error) {
		return connect.NewResponse(wrapperspb.String(strings.ToUpper(r.Msg.Value))), nil
	}
	for _, procedure := range []string{findProcedure, buyProcedure} {
		mux.Handle(procedure, connect.NewUnaryHandler(procedure, shout))
	}
	mux.Handle(listProcedure, connect.NewServerStreamHandler(listProcedure,
		func(ctx context.Context, r *connect.Request[text], s *connect.ServerStream[text]) error {
			if err := s.Send(r.Msg); err != nil {
				return err
			}
			pause((&http.Request{}).WithContext(ctx))
			return s.Send(r.Msg)
		}))
	return mux.ServeHTTP
}

func TestConnect(t *testing.T) {
	t.Parallel()
	busy := answer(503, "text/plain", "busy")
	client := func(t *testing.T, b *backend, rt http.RoundTripper, procedure string) *connect.Client[text, text] {
		return connect.NewClient[text, text](&http.Client{Transport: rt}, b.URL+procedure)
	}
	chained := func(t *testing.T, base http.RoundTripper) (http.RoundTripper, *record) {
		t.Helper()
		options, calls := options(t)
		chain, err := connectTransport(base, options)
		if err != nil {
			t.Fatal(err)
		}
		return chain, calls
	}

	t.Run("without side effects", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, busy, shop())
		chain, calls := chained(t, bare(t))
		resp, err := client(t, b, chain, findProcedure).CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("tea")))
		if err != nil || resp.Msg.Value != "TEA" {
			t.Errorf("got %v, %v, want TEA", resp, err)
		}
		b.expect(t, "POST "+findProcedure, 3)
		if got, want := calls.String(), "[POST 3 succeeded]"; got != want {
			t.Errorf("calls %s, want %s", got, want)
		}
	})
	t.Run("three attempts stay three", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, busy, nil)
		chain, _ := chained(t, bare(t))
		_, err := client(t, b, chain, findProcedure).CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("tea")))
		if got := connect.CodeOf(err); got != connect.CodeUnavailable {
			t.Errorf("code %v of %v, want unavailable", got, err)
		}
		b.expect(t, "POST "+findProcedure, 3)
	})
	t.Run("with side effects", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, reset, nil)
		chain, _ := chained(t, bare(t))
		_, without := client(t, b, bare(t), buyProcedure).CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("tea")))
		_, with := client(t, b, chain, buyProcedure).CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("tea")))
		sameError(t, without, with)
		b.expect(t, "POST "+buyProcedure, 2) // one each
	})
	t.Run("stream over HTTP/2", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 0, nil, shop())
		base := bare(t)
		base.Protocols = new(http.Protocols)
		base.Protocols.SetUnencryptedHTTP2(true)
		chain, _ := chained(t, base)
		stream, err := client(t, b, chain, listProcedure).CallServerStream(t.Context(), connect.NewRequest(wrapperspb.String("tea")))
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		got := 0
		for stream.Receive() {
			got++
		}
		if err := stream.Err(); got != 2 || err != nil {
			t.Errorf("%d messages, %v, want 2", got, err)
		}
	})
}
