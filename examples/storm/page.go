package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

//go:embed page.html
var pageHTML []byte

// A Setting is what does not change while a live storm runs.
type Setting struct {
	Started       int64           `json:"started"` // Unix time in ms; it identifies the storm
	Clients       int             `json:"clients"`
	Rate          float64         `json:"calls_per_second"`
	Capacity      float64         `json:"capacity_per_second"`
	Timeout       float64         `json:"attempt_timeout_seconds"`
	FaultSeconds  float64         `json:"fault_seconds"`
	Slowness      float64         `json:"slowness"`
	DeployAdds    float64         `json:"deploy_adds_seconds"`
	SampleSeconds float64         `json:"sample_seconds"`
	History       float64         `json:"history_seconds"`
	Policies      []PolicySetting `json:"policies"`
}

// A PolicySetting is a policy that the page offers.
type PolicySetting struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	What  string `json:"what"`
}

// Samples is the answer to GET /samples.
type Samples struct {
	Started int64    `json:"started"`
	Samples []Sample `json:"samples"`
}

// servePage returns the exit code of a live storm: 0 if it was interrupted, 1 if
// it failed, 2 if it cannot listen.
func servePage(ctx context.Context, cfg config, stdout, stderr io.Writer) int {
	listener, err := net.Listen("tcp", cfg.http)
	if err != nil {
		fmt.Fprintf(stderr, "storm: -http %s: %v\n", cfg.http, err)
		return 2
	}
	defer listener.Close()
	l, err := newLive(cfg)
	if err != nil {
		fmt.Fprintln(stderr, "storm:", err)
		return 1
	}
	defer l.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	server := &http.Server{
		Handler:           l.page(isLoopback(listener.Addr())),
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          log.New(stderr, "storm: ", 0),
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			cancel(err)
		}
	}()
	fmt.Fprintf(stdout, "%d clients call %g/s, the backend can serve %g/s.\nThe page is at http://%s/ until you press Ctrl-C.\n",
		cfg.clients, cfg.rate, cfg.capacity, listener.Addr())
	l.run(ctx)
	server.Close() // at once: its responses are short
	<-served
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "storm:", err)
		return 1
	}
	return 0
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// page serves the page, its data, and its buttons:
//
//	GET  /samples?since=N     the samples after number N, or the next when there is one
//	POST /fault/{fault}       stall, slow, break or deploy for the time of -stall; none ends it
//	POST /policy/{name}       the policy of new calls
//	POST /fleet/{fleet}       half: every second client retries naively; whole: none does
//	POST /attempts/{number}   most attempts of a call, 1 to 10
//
// The page and programs such as curl can use the buttons; pages of other sites
// cannot. A page that serves only this machine refuses requests for other host
// names, so that no site can reach it by a name of its own (DNS rebinding).
func (l *live) page(local bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; "+
			"script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		w.Write(pageHTML)
	})
	mux.HandleFunc("GET /setting", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, l.setting()) })
	mux.HandleFunc("GET /samples", l.serveSamples)
	mux.HandleFunc("POST /fault/{fault}", func(w http.ResponseWriter, req *http.Request) {
		fault := req.PathValue("fault")
		if fault == "none" {
			fault = ""
		}
		done(w, l.setFault(fault))
	})
	mux.HandleFunc("POST /policy/{name}", func(w http.ResponseWriter, req *http.Request) {
		done(w, l.use(req.PathValue("name")))
	})
	mux.HandleFunc("POST /fleet/{fleet}", func(w http.ResponseWriter, req *http.Request) {
		switch fleet := req.PathValue("fleet"); fleet {
		case "half", "whole":
			done(w, l.mix(fleet == "half"))
		default:
			done(w, fmt.Errorf("fleet %q: %w", fleet, errNoSuch))
		}
	})
	mux.HandleFunc("POST /attempts/{number}", func(w http.ResponseWriter, req *http.Request) {
		n, err := strconv.Atoi(req.PathValue("number"))
		if err != nil {
			err = fmt.Errorf("attempts %q: %w", req.PathValue("number"), errRange)
		} else {
			err = l.retry(n)
		}
		done(w, err)
	})
	handler := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if local && !namesLoopback(req.Host) {
			http.Error(w, "this page is for this machine only", http.StatusMisdirectedRequest)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		handler.ServeHTTP(w, req)
	})
}

func namesLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func (l *live) serveSamples(w http.ResponseWriter, req *http.Request) {
	since := 0
	if text := req.URL.Query().Get("since"); text != "" {
		var err error
		if since, err = strconv.Atoi(text); err != nil || since < 0 {
			http.Error(w, fmt.Sprintf("since %q: want the number of a sample", text), http.StatusBadRequest)
			return
		}
	}
	l.await(req.Context(), since)
	writeJSON(w, Samples{Started: l.start.UnixMilli(), Samples: l.since(since)})
}

func (l *live) setting() Setting {
	s := Setting{
		Started: l.start.UnixMilli(),
		Clients: l.cfg.clients, Rate: l.cfg.rate, Capacity: l.cfg.capacity, Timeout: l.cfg.timeout.Seconds(),
		FaultSeconds: l.cfg.stall.Seconds(), Slowness: slowness, DeployAdds: deployAdds.Seconds(),
		SampleSeconds: samplePeriod.Seconds(), History: historyTime.Seconds(),
	}
	for _, p := range l.cfg.policies {
		s.Policies = append(s.Policies, PolicySetting{Name: p.name, Title: p.title, What: p.what})
	}
	return s
}

// done writes the response to a button.
func done(w http.ResponseWriter, err error) {
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, errNoSuch):
		http.Error(w, err.Error(), http.StatusNotFound)
	case errors.Is(err, errRange):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case errors.Is(err, errNotHere):
		http.Error(w, err.Error(), http.StatusConflict)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body)
}
