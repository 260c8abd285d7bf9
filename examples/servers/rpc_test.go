package servers_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/datapunk/evenkeel/middleware"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type text = wrapperspb.StringValue

// In a program these are constants of the generated code.
const (
	serviceName   = "/shop.v1.ShopService/"
	findProcedure = serviceName + "Find"
	listProcedure = serviceName + "List"
)

func connectHandler(path string, service http.Handler, options []middleware.Option) (http.Handler, error) {
	// README: connect
	procedures := map[string]string{findProcedure: "Find", listProcedure: "List"}
	wrap, err := middleware.New(append(options, middleware.WithRoute(func(r *http.Request) string {
		return procedures[r.URL.Path]
	}))...)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(path, service)
	handler := wrap(mux)
	// README: end
	return handler, nil
}

func grpcHandler(server *grpc.Server, options []middleware.Option) (http.Handler, error) {
	// README: grpc
	methods := make(map[string]string)
	for service, info := range server.GetServiceInfo() {
		for _, m := range info.Methods {
			methods["/"+service+"/"+m.Name] = service + "/" + m.Name
		}
	}
	wrap, err := middleware.New(append(options, middleware.WithRoute(func(r *http.Request) string {
		return methods[r.URL.Path]
	}))...)
	if err != nil {
		return nil, err
	}
	handler := wrap(server)
	// README: end
	return handler, nil
}

// startHTTP2 serves a handler over HTTP/1 and unencrypted HTTP/2, and returns a
// client for the latter.
func startHTTP2(t *testing.T, h http.Handler) (string, *http.Client) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	base := &http.Transport{Protocols: new(http.Protocols)}
	base.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(base.CloseIdleConnections)
	return srv.URL, &http.Client{Transport: base}
}

// full sends a request while the only slot of a server is taken.
func (a *app) full(t *testing.T, url string, client *http.Client, send func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		resp, err := client.Get(url + "/block")
		if err == nil {
			resp.Body.Close()
		}
		done <- err
	}()
	<-a.entered
	send()
	a.release <- struct{}{}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestConnect(t *testing.T) {
	a := newApp()
	service := http.NewServeMux()
	service.Handle(findProcedure, connect.NewUnaryHandler(findProcedure, func(_ context.Context, r *connect.Request[text]) (*connect.Response[text], error) {
		return connect.NewResponse(wrapperspb.String(strings.ToUpper(r.Msg.Value))), nil
	}))
	service.Handle(listProcedure, connect.NewServerStreamHandler(listProcedure, func(ctx context.Context, r *connect.Request[text], s *connect.ServerStream[text]) error {
		if err := s.Send(r.Msg); err != nil {
			return err
		}
		a.await((&http.Request{}).WithContext(ctx))
		return s.Send(r.Msg)
	}))
	service.HandleFunc("/block", a.block)
	h, err := connectHandler("/", service, a.options())
	if err != nil {
		t.Fatal(err)
	}
	url, client := startHTTP2(t, h)
	for _, protocol := range []struct {
		name    string
		options []connect.ClientOption
	}{{"connect", nil}, {"grpc", []connect.ClientOption{connect.WithGRPC()}}, {"grpcweb", []connect.ClientOption{connect.WithGRPCWeb()}}} {
		t.Run(protocol.name, func(t *testing.T) {
			find := connect.NewClient[text, text](client, url+findProcedure, protocol.options...)
			list := connect.NewClient[text, text](client, url+listProcedure, protocol.options...)
			resp, err := find.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("tea")))
			if err != nil || resp.Msg.Value != "TEA" {
				t.Errorf("got %v, %v, want TEA", resp, err)
			}
			if e := a.event(t); e.Pattern != "Find" {
				t.Errorf("the route is %q, want Find", e.Pattern)
			}
			a.full(t, url, client, func() {
				_, err := find.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("tea")))
				if got := connect.CodeOf(err); got != connect.CodeUnavailable {
					t.Errorf("a refusal is %v of %v, want unavailable", got, err)
				}
			})
			if e := a.event(t); e.Pattern != "Find" || e.Shed != middleware.ShedConcurrency {
				t.Errorf("event of %q, shed %q, want Find and concurrency", e.Pattern, e.Shed)
			}
			a.event(t) // of the admitted request

			stream, err := list.CallServerStream(t.Context(), connect.NewRequest(wrapperspb.String("tea")))
			if err != nil {
				t.Fatal(err)
			}
			defer stream.Close()
			got := 0
			for stream.Receive() {
				if got++; got == 1 {
					a.next <- struct{}{}
				}
			}
			if err := stream.Err(); got != 2 || err != nil {
				t.Errorf("%d messages, %v, want 2", got, err)
			}
			if e := a.event(t); e.Pattern != "List" || e.Streamed == 0 {
				t.Errorf("event of %q, streamed %v, want a stream of List", e.Pattern, e.Streamed)
			}
		})
	}
}

func TestGRPC(t *testing.T) {
	const check, watch = "grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"
	a := newApp()
	server, checks := grpc.NewServer(), health.NewServer()
	healthpb.RegisterHealthServer(server, checks)
	h, err := grpcHandler(server, a.options())
	if err != nil {
		t.Fatal(err)
	}
	url, _ := startHTTP2(t, h)
	conn, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := healthpb.NewHealthClient(conn)

	if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
	if e := a.event(t); e.Pattern != check {
		t.Errorf("the route is %q, want %q", e.Pattern, check)
	}
	if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "unknown"}); status.Code(err) != codes.NotFound {
		t.Errorf("an error of the service is %v, want NotFound", err)
	}
	a.event(t)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []healthpb.HealthCheckResponse_ServingStatus{healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING} {
		if i == 1 {
			a.free(t) // while the stream goes on
			if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
				t.Errorf("another request during the stream: %v", err)
			}
			a.event(t)
			checks.SetServingStatus("", want)
		}
		if got, err := stream.Recv(); err != nil || got.Status != want {
			t.Fatalf("message %d is %v, %v, want %v", i+1, got, err, want)
		}
	}
	cancel()
	if e := a.event(t); e.Pattern != watch || e.Streamed == 0 {
		t.Errorf("event of %q, streamed %v, want a stream of %q", e.Pattern, e.Streamed, watch)
	}

	t.Run("refusal", func(t *testing.T) {
		b := newApp()
		both := http.NewServeMux()
		both.Handle("/", server)
		both.HandleFunc("/block", b.block)
		wrap, err := middleware.New(b.options()...)
		if err != nil {
			t.Fatal(err)
		}
		url, http2 := startHTTP2(t, wrap(both))
		conn, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		b.full(t, url, http2, func() {
			_, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
			if status.Code(err) != codes.Unavailable {
				t.Errorf("a refusal is %v, want Unavailable", err)
			}
		})
	})
}
