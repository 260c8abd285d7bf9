//go:build unix

package redisbudget

import (
	"syscall"
	"testing"
	"time"
)

func TestServerStopped(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	h := newHerd(t, 1, dialer(s.addr))
	s.signal(syscall.SIGSTOP)
	h.lost(noticed)
	h.onItsOwn(time.Second)
	s.signal(syscall.SIGCONT)
	t.Logf("shared again after %v", h.shares(back))
	h.together(time.Second)
}

// signal is for what only Unix can do to a server.
func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}
