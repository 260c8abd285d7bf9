package redisbudget

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// long runs the simulation with 10,000 instances, and the tests on real
// servers for as long as a figure needs to be exact.
var long = flag.Bool("long", false, "run the long simulations and fault schedules")

// A server is a redis-server that a test started.
type server struct {
	t    testing.TB
	addr string
	dir  string
	args []string
	cmd  *exec.Cmd

	sentinel string // its configuration, if it is one
}

// startRedis starts a server with those arguments on a free port. Without a
// redis-server the test is skipped, or fails if EVENKEEL_REDIS=required.
func startRedis(t testing.TB, args ...string) *server {
	t.Helper()
	needRedis(t)
	s := &server{t: t, dir: t.TempDir(), args: args}
	s.addr = freeAddr(t)
	s.start()
	t.Cleanup(s.kill)
	return s
}

func needRedis(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("EVENKEEL_REDIS") == "required" {
			t.Fatal("EVENKEEL_REDIS=required, but there is no redis-server on PATH")
		}
		t.Skip("no redis-server on PATH: what needs a real one is not tested (EVENKEEL_REDIS=required makes this a failure)")
	}
}

// freeAddr returns an address with a port that is free, and so is the second port
// of a cluster, 10,000 above. Both are below those that systems give to
// connections, one of which might else take it before the server does.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(12_000)
		if addr := fmt.Sprint("127.0.0.1:", port); isFree(addr) && isFree(fmt.Sprint("127.0.0.1:", port+10_000)) {
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

func isFree(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	l.Close()
	return true
}

func (s *server) port() string { return s.addr[strings.LastIndexByte(s.addr, ':')+1:] }

// start runs the server and waits until it answers.
func (s *server) start() {
	s.t.Helper()
	args := append([]string{"--port", s.port(), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no",
		"--repl-diskless-sync-delay", "0", "--logfile", filepath.Join(s.dir, "log")}, s.args...)
	if s.sentinel != "" {
		conf := filepath.Join(s.dir, "sentinel.conf") // which it rewrites
		if err := os.WriteFile(conf, []byte(s.sentinel), 0o600); err != nil {
			s.t.Fatal(err)
		}
		args = []string{conf, "--sentinel", "--logfile", filepath.Join(s.dir, "log")}
	}
	s.cmd = exec.Command("redis-server", args...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1})
	defer client.Close()
	s.eventually(10*time.Second, "the server answers", func() bool {
		err := client.Ping(s.t.Context()).Err()
		return err == nil || strings.Contains(err.Error(), "LOADING")
	})
}

// kill is kill -9, which ends a server that is stopped too.
func (s *server) kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *server) eventually(within time.Duration, what string, ok func() bool) {
	s.t.Helper()
	eventually(s.t, within, what, ok)
}

// eventually polls, since a real server cannot be waited for in a bubble. Time in which
// the machine had no processor for this process does not count: nothing could happen in it.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	const often = 10 * time.Millisecond
	tick := time.NewTicker(often)
	defer tick.Stop()
	last, got := time.Now(), time.Duration(0)
	for ; !ok(); <-tick.C {
		got += min(time.Since(last), 2*often)
		last = time.Now()
		if got > within {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// steps is how many of something to do, in a short run and in a long one.
func steps(short, many int) int {
	switch {
	case *long:
		return many
	case raced:
		return short / 4
	}
	return short
}

// raced says that the race detector is on, which slows a simulation down
// tenfold and finds nothing in it: it has one goroutine.
var raced bool
