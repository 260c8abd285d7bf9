package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/oteltrace"
	"github.com/datapunk/evenkeel/middleware/prommetrics"
	"github.com/datapunk/evenkeel/transport"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// A stack is a client and a server with metrics, traces and logs.
type stack struct {
	backend  *backend
	server   *http.Server
	url      string
	client   *http.Client
	provider *sdktrace.TracerProvider
	fleet    *fleet
}

// services are named by the first part of the path.
var services = []string{"orders", "users"}

func newStack(registry prometheus.Registerer, redis string, logs io.Writer) (*stack, error) {
	// Without an exporter spans go nowhere; a real program adds one.
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.01))))
	tracing, err := oteltrace.New(
		oteltrace.WithTracerProvider(provider),
		oteltrace.WithPropagators(propagation.TraceContext{}),
	)
	if err != nil {
		return nil, err
	}
	metrics, err := prommetrics.New(registry,
		prommetrics.WithServices(services...),
		prommetrics.WithNativeHistograms(),
		prommetrics.WithExemplars(traceOf),
	)
	if err != nil {
		return nil, err
	}
	logger := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s := &stack{backend: &backend{}, provider: provider}
	handler, err := s.newServer(metrics, tracing, logger)
	if err != nil {
		return nil, err
	}
	if s.fleet, err = joinFleet(redis); err != nil {
		return nil, err
	}
	metrics.FleetBudgets(s.fleet.All)
	chain, err := newClient(s.fleet, metrics, tracing, logger)
	if err != nil {
		return nil, errors.Join(err, s.fleet.end())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, s.fleet.end())
	}
	s.url = "http://" + listener.Addr().String()
	s.server = &http.Server{Handler: handler}
	go s.server.Serve(listener) // until close
	s.client = &http.Client{Transport: chain, Timeout: 5 * time.Second}
	return s, nil
}

// traceOf returns the trace of an exemplar.
func traceOf(ctx context.Context) (string, bool) {
	span := trace.SpanContextFromContext(ctx)
	return span.TraceID().String(), span.IsSampled()
}

func (s *stack) newServer(metrics *prommetrics.Metrics, tracing *oteltrace.Tracing, logger *slog.Logger) (http.Handler, error) {
	wrap, err := middleware.New(
		middleware.WithConcurrency(16),
		middleware.WithAttempts(),
		middleware.WithDeadlines(middleware.Deadlines{Max: 2 * time.Second}),
		middleware.WithObserver(metrics.Server()),
		middleware.WithObserver(tracing.ServerObserver()),
		middleware.WithObserver(middleware.Log(logger)),
	)
	if err != nil {
		return nil, err
	}
	keys, err := idempotency.New(idempotency.NewMemory(16<<20), idempotency.ByAuthorization,
		idempotency.WithObserver(metrics.Idempotency()),
		idempotency.WithObserver(tracing.KeyObserver()),
		idempotency.WithObserver(idempotency.Log(logger)),
	)
	if err != nil {
		return nil, err
	}
	return tracing.Server(wrap(keys(s.backend))), nil
}

func newClient(shared *fleet, metrics *prommetrics.Metrics, tracing *oteltrace.Tracing, logger *slog.Logger) (*transport.Transport, error) {
	circuits, err := breaker.New(breaker.WithObserver(metrics.Breaker()))
	if err != nil {
		return nil, err
	}
	metrics.Breakers(circuits.All)
	budgets, err := shared.PerService(policy, 100)
	if err != nil {
		return nil, err
	}
	return transport.New(nil, append(tracing.Client(),
		transport.WithServiceName(func(r *http.Request) string {
			name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
			return name
		}),
		transport.WithPolicy(transport.Policy{BaseDelay: 20 * time.Millisecond, AttemptTimeout: time.Second}),
		transport.WithBudget(budgets),
		transport.WithBreaker(circuits.Wrap),
		transport.WithObserver(metrics.Client()),
		transport.WithObserver(transport.Log(logger)),
	)...)
}

func (s *stack) close() error {
	s.client.CloseIdleConnections()
	return errors.Join(s.fleet.end(), s.server.Close(), s.provider.Shutdown(context.Background()))
}
