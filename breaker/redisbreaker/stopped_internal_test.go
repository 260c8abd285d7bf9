//go:build unix

package redisbreaker

import (
	"syscall"
	"testing"
)

// A server that is stopped for a while is no other fault for a process than one that is
// killed.
func TestServerStopped(t *testing.T) {
	t.Parallel()
	signal := func(sig syscall.Signal) func(*server) {
		return func(s *server) {
			s.t.Helper()
			if err := s.cmd.Process.Signal(sig); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	testFault(t, signal(syscall.SIGSTOP), signal(syscall.SIGCONT))
}
