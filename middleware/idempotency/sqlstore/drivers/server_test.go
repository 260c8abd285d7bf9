package drivers_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A server is a database server that the tests started, on a free port and with
// a directory of its own. All tests share it.
type server struct {
	name string // of the kind, in messages
	must string // the environment variable that makes its absence a failure
	user string // that runs it if the tests are run by root, as servers refuse
	// find returns its programs, or an error that names the one that is missing.
	find func() (programs []string, err error)
	// prepare returns the command that makes its files, and serve the one that runs it.
	prepare, serve func(programs []string, dir, port string) []string
	open           func(addr string) (*sql.DB, error)

	once sync.Once
	err  error
	addr string
	dir  string
	cmd  *exec.Cmd
	life io.Closer // the server ends when this is closed, or when the tests die
}

// errAbsent says that a server is not installed.
var errAbsent = errors.New("not installed")

// need starts the server at its first use and returns its address. Without the
// programs it skips the test.
func (s *server) need(t testing.TB) string {
	t.Helper()
	s.once.Do(s.start)
	switch {
	case errors.Is(s.err, errAbsent) && os.Getenv(s.must) != "required":
		t.Skipf("%v: %s is not tested (%s=required makes this a failure)", s.err, s.name, s.must)
	case s.err != nil:
		t.Fatalf("%s: %v", s.name, s.err)
	}
	return s.addr
}

func (s *server) start() {
	programs, err := s.find()
	if err != nil {
		s.err = err
		return
	}
	s.err = s.run(programs)
}

func (s *server) run(programs []string) error {
	var err error
	if s.dir, err = os.MkdirTemp("", "evenkeel-"+s.name); err != nil {
		return err
	}
	as, err := s.owner()
	if err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	port, err := freePort()
	if err != nil {
		return err
	}
	s.addr = "127.0.0.1:" + port
	args := s.prepare(programs, data, port)
	prepare := exec.Command(args[0], args[1:]...)
	prepare.SysProcAttr, prepare.Dir = as, s.dir
	if out, err := prepare.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", args[0], err, out)
	}
	// The shell ends the server when its input ends, which it also does if the
	// tests are killed.
	args = append([]string{"-c", `"$@" >log 2>&1 & read _; kill -9 $!`, "sh"}, s.serve(programs, data, port)...)
	s.cmd = exec.Command("sh", args...)
	s.cmd.SysProcAttr, s.cmd.Dir = as, s.dir
	if s.life, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	return s.answers()
}

// owner gives the directory to whom the server runs as.
func (s *server) owner() (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(s.user)
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	if err := os.Chown(s.dir, int(uid), int(gid)); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

// answers waits until the server does.
func (s *server) answers() error {
	db, err := s.open(s.addr)
	if err != nil {
		return err
	}
	defer db.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); ; <-tick.C {
		if err = db.PingContext(context.Background()); err == nil {
			return nil
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("no answer in 30 s: %w\n%s", err, log)
		}
	}
}

func (s *server) stop() {
	if s.life != nil {
		s.life.Close()
		s.cmd.Wait()
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

// freePort returns a port that is free, below those that systems give to
// connections, one of which might else take it before the server does.
func freePort() (string, error) {
	for range 100 {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err == nil {
			l.Close()
			return port, nil
		}
	}
	return "", errors.New("no free port")
}

// program returns the path of a program that is on PATH or in one of the places.
func program(name string, places ...string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, place := range places {
		found, _ := filepath.Glob(filepath.Join(place, name))
		if len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, errAbsent)
}

func programs(names []string, places ...string) (paths []string, err error) {
	for _, name := range names {
		path, err := program(name, places...)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}
