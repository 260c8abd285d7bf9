// Observe runs a client and a server under a load that changes, and shows what
// both say about it: http://127.0.0.1:9464/metrics. Where the prometheus
// command is installed, it scrapes them and evaluates the rules beside this
// file. README.md says what the numbers mean; dashboard.json is for Grafana.
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
	prometheus string        // the command; "" if there is none
	runFor     time.Duration // 0: until interrupted
}

func main() {
	var c config
	flag.StringVar(&c.addr, "addr", "127.0.0.1:9464", "where to serve /metrics")
	flag.StringVar(&c.prometheus, "prometheus", "prometheus", "command of the Prometheus that scrapes it, if it is installed")
	flag.DurationVar(&c.runFor, "for", 0, "how long to run; 0 until interrupted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, c, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run returns when ctx ends, with everything that it started ended too.
func run(ctx context.Context, c config, out io.Writer) error {
	if c.runFor > 0 {
		bounded, cancel := context.WithTimeout(ctx, c.runFor)
		defer cancel()
		ctx = bounded
	}
	registry := prometheus.NewRegistry()
	s, err := newStack(registry, os.Stderr)
	if err != nil {
		return err
	}
	defer s.close()

	page, err := net.Listen("tcp", c.addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})}
	defer server.Close()
	go server.Serve(page) // until Close
	fmt.Fprintf(out, "metrics: http://%s/metrics\n", page.Addr())

	prom, err := startPrometheus(ctx, c.prometheus, page.Addr().String())
	switch {
	case errors.Is(err, errNotInstalled):
		fmt.Fprintln(out, "prometheus: not installed")
	case err != nil:
		return err
	default:
		defer prom.stop()
		fmt.Fprintf(out, "prometheus: http://%s\n", prom.addr)
	}
	s.load(ctx, func(w weather) { fmt.Fprintln(out, w) })
	return nil
}
