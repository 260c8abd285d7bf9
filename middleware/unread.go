package middleware

import (
	"io"
	"net/http"
	"time"
)

const (
	maxUnread = 256 << 10              // what net/http reads of a body to keep a connection
	paceBytes = 16 << 10               // of a body that has to come
	paceTime  = 500 * time.Millisecond // in that time
)

// takeIn reads the body of a request that is refused. Then its connection can be used
// for the next request, and a client that reads no answer before it has sent everything
// gets this one. It reports false if reading is not worth it: the body is large, or comes
// so slowly that it would hold goroutine and connection for nothing. Without it net/http
// would read on before it sends the answer, for as long as the body takes.
//
// A client that waits for 100 Continue is answered without its body, and an HTTP/2
// connection stays usable without this.
func (x *exchange) takeIn() bool {
	r := x.request
	switch {
	case r.ProtoMajor != 1 || r.ContentLength == 0 || r.Body == nil || r.Header.Get("Expect") != "":
		return true
	case r.ContentLength < 0 || r.ContentLength > maxUnread:
		return false
	}
	for n := 0; n <= maxUnread; n += paceBytes {
		if !x.boundUnread() {
			return true // no connection whose reads could be waited for
		}
		if _, err := io.CopyN(io.Discard, r.Body, paceBytes); err != nil {
			return err == io.EOF
		}
	}
	return false
}

// boundUnread lets reads of the request fail soon, and reports whether it can. It also
// ends the reads of net/http after the answer, which keep the answer from being lost in a
// reset of the connection.
func (x *exchange) boundUnread() bool {
	at := time.Now().Add(paceTime)
	if srv := x.server(); srv != nil && srv.ReadTimeout > 0 {
		if own := x.machine.epoch.Add(x.now() + srv.ReadTimeout); own.Before(at) {
			at = own
		}
	}
	return http.NewResponseController(x.ResponseWriter).SetReadDeadline(at) == nil
}
