package middleware

import (
	"fmt"
	"net/http"
	"time"
)

// Deadlines bounds how long requests may take.
type Deadlines struct {
	// Max is the most that any request may take; a client can only ask for
	// less. The default 0 means no bound.
	Max time.Duration
	// Default is what a request gets that does not say. The default 0 means
	// Max.
	Default time.Duration
}

func (d *Deadlines) validate() (errs []error) {
	if d == nil {
		return nil
	}
	if d.Max < 0 {
		errs = append(errs, fmt.Errorf("middleware: WithDeadlines: Max %v: want a positive duration, or 0 for none", d.Max))
	}
	if d.Default < 0 || d.Max > 0 && d.Default > d.Max {
		errs = append(errs, fmt.Errorf("middleware: WithDeadlines: Default %v: want at most Max, which is %v", d.Default, d.Max))
	}
	return errs
}

// bound returns how long a request may take whose client waits for so long, if
// it says so.
func (d *Deadlines) bound(left time.Duration, said bool) (time.Duration, bool) {
	switch {
	case !said && d.Default > 0:
		return d.Default, true
	case d.Max > 0 && (!said || left > d.Max):
		return d.Max, true
	}
	return left, said
}

// buffered is how much of a response net/http surely keeps in its buffers, so
// that writing it waits for no client.
const buffered = 2 << 10

// boundBody lets reads of the request's body fail once the deadline has passed,
// so that a client that sends slowly holds no slot for longer. Once the body is
// read to its end, net/http lifts the bound.
func (x *exchange) boundBody() {
	if x.expires == 0 || x.request.ContentLength == 0 {
		return
	}
	at := x.machine.epoch.Add(x.expires)
	if srv := x.server(); srv != nil && srv.ReadTimeout > 0 {
		if own := time.Now().Add(srv.ReadTimeout); own.Before(at) {
			at = own
		}
	}
	// A writer that cannot is none of a network connection.
	_ = http.NewResponseController(x.ResponseWriter).SetReadDeadline(at)
}

// boundWrites lets writes fail once the deadline has passed, so that a client
// that reads slowly holds no slot for longer. It costs nothing for responses
// that are so small that they cannot be waited for.
func (x *exchange) boundWrites(n int64) {
	if x.expires == 0 || x.bounded || x.bytes+n <= buffered {
		return
	}
	x.bounded = true
	at := x.machine.epoch.Add(x.expires)
	if srv := x.server(); srv != nil && srv.WriteTimeout > 0 {
		if own := time.Now().Add(srv.WriteTimeout); own.Before(at) {
			at = own
		}
	}
	_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(at)
}

// unboundWrites makes the connection good for the next request.
func (x *exchange) unboundWrites() {
	if !x.bounded || x.hijacked {
		return
	}
	var at time.Time
	if srv := x.server(); srv != nil && srv.WriteTimeout > 0 {
		at = time.Now().Add(srv.WriteTimeout)
	}
	_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(at)
}

func (x *exchange) server() *http.Server {
	srv, _ := x.origin.Context().Value(http.ServerContextKey).(*http.Server)
	return srv
}
