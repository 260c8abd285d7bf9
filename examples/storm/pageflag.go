package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// settlePage checks -http and the flags that do not fit it.
func (c *config) settlePage(given map[string]bool) error {
	var errs []error
	if address, err := listenAddress(c.http); err != nil {
		errs = append(errs, fmt.Errorf("-http %q: %w", c.http, err))
	} else {
		c.http = address
	}
	for _, name := range []string{"duration", "calm", "json"} {
		if given[name] {
			errs = append(errs, fmt.Errorf("-%s: not together with -http, which runs until it is interrupted", name))
		}
	}
	c.calm, c.duration = 0, time.Hour // for the checks of the other flags
	if c.stall == 0 {
		errs = append(errs, errors.New("-stall 0s: want more than 0 with -http, where it is how long a fault lasts"))
	}
	return errors.Join(errs...)
}

// listenAddress fills in the loopback interface where an address names no host:
// the buttons of the page are not for other machines.
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

// backlog bounds the requests that wait at the backend of a live storm, which
// has no end: to five seconds of work, or twice the timeout of an attempt if that
// is longer. Requests above it could not be served in time, so clients see no
// difference.
func (c config) backlog() chan struct{} {
	if c.http == "" {
		return nil
	}
	seconds := max(5, 2*c.timeout.Seconds())
	return make(chan struct{}, max(workerCount, int(c.capacity*seconds)))
}
