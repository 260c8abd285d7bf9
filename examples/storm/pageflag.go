package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// settlePage checks what -http says, and that the flags given beside it make
// sense there.
func (c *config) settlePage(given map[string]bool) error {
	var errs []error
	if address, err := listenAddress(c.http); err != nil {
		errs = append(errs, fmt.Errorf("-http %q: %w", c.http, err))
	} else {
		c.http = address
	}
	for _, name := range []string{"duration", "calm", "json"} {
		if given[name] {
			errs = append(errs, fmt.Errorf("-%s: not with -http, which goes on until it is interrupted", name))
		}
	}
	c.calm, c.duration = 0, time.Hour // for the checks of the other flags
	if c.stall == 0 {
		errs = append(errs, errors.New("-stall 0s: want more with -http, where it is how long faults last"))
	}
	return errors.Join(errs...)
}

// listenAddress fills in the loopback where an address names no host: the page
// has buttons that others have no business with.
func listenAddress(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		reason := err.Error()
		var bad *net.AddrError
		if errors.As(err, &bad) {
			reason = bad.Err
		}
		return "", fmt.Errorf("%s: want host:port or :port, such as :8080", reason)
	}
	if _, err := net.LookupPort("tcp", port); err != nil || strings.TrimSpace(port) == "" {
		return "", fmt.Errorf("port %q: want 0 to 65535", port)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// backlog bounds the requests that wait at the backend, where a storm has no
// end: to five seconds of work, or twice what a client would wait. Those over it
// cannot be served in time anyway, so that clients see no difference.
func (c config) backlog() chan struct{} {
	if c.http == "" {
		return nil
	}
	seconds := max(5, 2*c.timeout.Seconds())
	return make(chan struct{}, max(workers, int(c.capacity*seconds)))
}
