package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/breaker/redisbreaker"
	"github.com/datapunk/evenkeel/transport"
	"github.com/redis/go-redis/v9"
)

// A farm is a backend with one queue and one worker, who is busy at 70 % of its time.
// Like most it serves requests whose clients have gone.
type farm struct {
	url     string
	server  *http.Server
	queue   chan chan struct{}
	over    <-chan struct{}
	stalled atomic.Bool
	sent    atomic.Int64 // requests
	good    atomic.Int64 // responses to clients that still waited
}

// newFarm has a worker until ctx is done.
func newFarm(ctx context.Context, work time.Duration) (*farm, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &farm{url: "http://" + l.Addr().String(), queue: make(chan chan struct{}, 1<<16), over: ctx.Done()}
	f.server = &http.Server{Handler: f}
	go f.server.Serve(l) // until the end of play
	go f.work(ctx, work)
	return f, nil
}

func (f *farm) work(ctx context.Context, work time.Duration) {
	for {
		select {
		case <-ctx.Done():
			return
		case job := <-f.queue:
			for f.stalled.Load() && ctx.Err() == nil {
				wait(ctx, 10*time.Millisecond)
			}
			wait(ctx, time.Duration(rand.ExpFloat64()*float64(work)))
			close(job)
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (f *farm) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	f.sent.Add(1)
	job := make(chan struct{})
	f.queue <- job
	select {
	case <-job:
	case <-f.over:
		return
	}
	if r.Context().Err() == nil {
		f.good.Add(1)
	}
}

// health plays the same stall twice, with processes that judge alone and with a fleet,
// and prints what the backend saw.
func health(ctx context.Context, s settings, out io.Writer) error {
	alone, err := play(ctx, s, true, out)
	if err != nil {
		return err
	}
	shared, err := play(ctx, s, false, out)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nafter a stall of %v, %d processes with %g calls per second each were back\n", s.failFor, s.processes, s.rate)
	fmt.Fprintf(out, "  alone             %s\n  with the fleet    %s\n", alone, shared)
	return nil
}

// A recovery is how a run went.
type recovery struct {
	back     int     // seconds after the stall; -1: never
	attempts float64 // per call in the stall
}

func (r recovery) String() string {
	back := fmt.Sprintf("after %2d s", r.back)
	if r.back < 0 {
		back = "never     "
	}
	return fmt.Sprintf("%s, %.2f attempts per call in the stall", back, r.attempts)
}

func play(ctx context.Context, s settings, alone bool, out io.Writer) (r recovery, err error) {
	ctx, stop := context.WithTimeout(ctx, s.length)
	defer stop()
	usual := float64(s.processes) * s.rate
	f, err := newFarm(ctx, time.Duration(0.7/usual*float64(time.Second)))
	if err != nil {
		return r, err
	}
	defer f.server.Close()
	s.own = alone
	started, err := start(s, f.url, out)
	if err != nil {
		return r, err
	}
	name := "with the fleet"
	if alone {
		name = "alone"
	}
	fmt.Fprintf(out, "\n%d processes, %s\n%8s %-8s %10s %10s\n", s.processes, name, "second", "backend", "requests", "answered")
	r = f.watch(ctx, s, usual, out)
	stop()
	return r, started.stop()
}

// watch prints a line each second until ctx is done.
func (f *farm) watch(ctx context.Context, s settings, usual float64, out io.Writer) (r recovery) {
	r.back = -1
	second := time.NewTicker(time.Second)
	defer second.Stop()
	var sent, good int64
	var last [3]int64 // answered in each of the last seconds
	inStall, end := 0.0, int((s.failAfter+s.failFor)/time.Second)
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return r
		case <-second.C:
		}
		at := time.Duration(n) * time.Second
		state := "works"
		if f.stalled.Load() {
			state = "stalls"
			inStall++
			r.attempts += float64(f.sent.Load()-sent) / usual
		}
		f.stalled.Store(at >= s.failAfter && at < s.failAfter+s.failFor)
		fmt.Fprintf(out, "%8d %-8s %10d %10d\n", n, state, f.sent.Load()-sent, f.good.Load()-good)
		last[n%3] = f.good.Load() - good
		sent, good = f.sent.Load(), f.good.Load()
		if mean := float64(last[0]+last[1]+last[2]) / 3; n > end+2 && r.back < 0 && mean >= 0.85*usual {
			r.back = n - 3 - end
		}
		if inStall > 0 && !f.stalled.Load() && state == "stalls" {
			r.attempts /= inStall
		}
	}
}

// call is what a process of the health mode does: calls at random times, each with a
// deadline of five seconds.
func call(ctx context.Context, o order) (err error) {
	opts := []transport.Option{transport.WithPolicy(transport.Policy{MaxAttempts: 4, AttemptTimeout: time.Second})}
	if !o.Own {
		client := redis.NewClient(&redis.Options{Addr: o.Redis})
		defer client.Close()
		fleet, err := redisbreaker.New(client)
		if err != nil {
			return err
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			err = errors.Join(err, fleet.Close(ctx))
		}()
		opts = append(opts, transport.WithFleet(fleet.Guard()))
	}
	chain, err := transport.New(nil, opts...)
	if err != nil {
		return err
	}
	defer chain.CloseIdleConnections()
	client := &http.Client{Transport: chain, Timeout: 5 * time.Second}
	var busy sync.WaitGroup
	defer busy.Wait()
	for ctx.Err() == nil {
		wait(ctx, time.Duration(rand.ExpFloat64()/o.Rate*float64(time.Second)))
		busy.Go(func() { get(ctx, client, o.URL) })
	}
	return nil
}

func get(ctx context.Context, client *http.Client, url string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	if resp, err := client.Do(req); err == nil {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}
