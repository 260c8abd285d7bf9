package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// serveCPU makes the test binary a server whose handler does nothing but
// compute, with one processor, so that the clients have another.
const serveCPU = "EVENKEEL_OVERLOAD_SERVE"

const computing = 4 * time.Millisecond // of each request

func TestMain(m *testing.M) {
	if kind := os.Getenv(serveCPU); kind != "" {
		serve(kind)
		return
	}
	flag.Parse()
	os.Exit(m.Run())
}

// serve answers until its standard input ends.
func serve(kind string) {
	const turns = 1 << 20
	fastest := time.Hour // of a few: the first turns are slow
	for range 20 {
		start := time.Now()
		sink = compute(turns)
		fastest = min(fastest, time.Since(start))
	}
	n := int(turns * float64(computing) / float64(fastest))
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sink = compute(n)
		io.WriteString(w, "done\n")
	})
	if kind == "with" {
		wrap, err := middleware.New(middleware.WithShedding(middleware.Shedding{}))
		if err != nil {
			panic(err)
		}
		h = wrap(h)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("http://" + l.Addr().String())
	go http.Serve(l, h)
	io.Copy(io.Discard, os.Stdin)
}

var sink uint64

func compute(turns int) uint64 {
	x := uint64(1)
	for range turns {
		x = x*6364136223846793005 + 1
	}
	return x
}

// A handler that only computes never has two requests in it on one processor:
// the queue stands in the scheduler, before any middleware. It is the scheduler
// guard that keeps this one from collapsing.
func TestLoopbackCPU(t *testing.T) {
	if !*loopback {
		t.Skip("-loopback is not set")
	}
	const phase = 8 * time.Second
	with, without := loadCPU(t, "with", phase), loadCPU(t, "without", phase)
	t.Logf("calm, overload, calm again: %.0f/s with and %.0f/s without", with, without)
	most := float64(time.Second / computing)
	if with[1] < .6*most || with[2] < .8*with[0] {
		t.Errorf("%.0f/s in the overload and %.0f/s after it, want at least %.0f/s and nearly the %.0f/s from before", with[1], with[2], .6*most, with[0])
	}
	if without[1] > .5*most {
		t.Errorf("%.0f/s without, want a collapse, or this proves nothing", without[1])
	}
}

// loadCPU returns the calls per second that were answered in time in each phase.
func loadCPU(t *testing.T, kind string, phase time.Duration) (rates [3]float64) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), serveCPU+"="+kind, "GOMAXPROCS=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer stdin.Close()
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	s := &server{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}, url: strings.TrimSpace(url)}
	defer s.client.CloseIdleConnections()
	var calls sync.WaitGroup
	defer calls.Wait()
	most := float64(time.Second / computing)
	for i, load := range [...]float64{.4, 2, .4} {
		arrive(&calls, load*most/capacity, phase, s)
		rates[i] = float64(s.answered.Swap(0)) / phase.Seconds()
	}
	return rates
}
