// Observe runs a client and a server under a changing load and serves their
// metrics at http://127.0.0.1:9464/metrics. If the prometheus command is
// installed, observe also starts a Prometheus that scrapes them and evaluates
// rules.yml, and http://127.0.0.1:9464/ draws the panels of dashboard.json from it.
// README.md explains each metric; dashboard.json is for Grafana.
//
//	go run ./examples/observe
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

type config struct {
	addr       string        // of the metrics page
	redis      string        // address for the fleet budget; "": an embedded one
	prometheus string        // the command
	runFor     time.Duration // 0: until interrupted
}

func main() {
	var c config
	flag.StringVar(&c.addr, "addr", "127.0.0.1:9464", "address that serves /metrics")
	flag.StringVar(&c.redis, "redis", "", "address of the Redis of the fleet budget; the default is an embedded one")
	flag.StringVar(&c.prometheus, "prometheus", "prometheus", "command that starts Prometheus, if it is installed")
	flag.DurationVar(&c.runFor, "for", 0, "how long to run; 0 runs until interrupted")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("observe: unexpected argument %q: want flags only", flag.Arg(0))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, c, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run returns when ctx is done and everything that it started has ended.
func run(ctx context.Context, c config, out io.Writer) error {
	if c.runFor < 0 {
		return fmt.Errorf("-for %v: want 0 or more", c.runFor)
	}
	if c.runFor > 0 {
		bounded, cancel := context.WithTimeout(ctx, c.runFor)
		defer cancel()
		ctx = bounded
	}
	registry := prometheus.NewRegistry()
	s, err := newStack(registry, c.redis, os.Stderr)
	if err != nil {
		return err
	}
	defer s.close()

	page, err := net.Listen("tcp", c.addr)
	if err != nil {
		return fmt.Errorf("-addr %s: want a free host:port: %w", c.addr, err)
	}
	defer page.Close()
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))

	prom, err := startPrometheus(ctx, c.prometheus, page.Addr().String())
	switch {
	case errors.Is(err, errNotInstalled):
	case err != nil:
		return err
	default:
		defer prom.stop()
		drawPanels(mux, prom.addr)
	}
	server := &http.Server{Handler: mux}
	defer server.Close()
	go server.Serve(page) // until Close
	fmt.Fprintf(out, "metrics: http://%s/metrics\n", page.Addr())
	if prom == nil {
		fmt.Fprintln(out, "prometheus: not installed")
	} else {
		fmt.Fprintf(out, "prometheus: http://%s\npanels: http://%s/\n", prom.addr, page.Addr())
	}
	s.load(ctx, func(p phase) { fmt.Fprintln(out, p) })
	return nil
}
