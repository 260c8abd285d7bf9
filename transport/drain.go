package transport

import (
	"bytes"
	"io"
	"net/http"
	"time"
)

// What is left of a response that another attempt replaces is read within
// these bounds, so that its connection can be used again. A connection that
// would take more is cheaper to open anew.
const (
	drainBytes = 64 << 10
	drainTime  = 50 * time.Millisecond
)

// setAside ends the exchange of a response that another attempt is to replace.
// It returns the response with its body held in memory if all of it came
// within the bounds, else nil: should a layer refuse the next attempt, the
// response is still the last real one. The body is closed in every case.
// cancel, if not nil, ends the attempt.
func setAside(resp *http.Response, cancel func()) *http.Response {
	body := resp.Body
	if body == nil || body == http.NoBody {
		return resp
	}
	if resp.StatusCode == http.StatusSwitchingProtocols || resp.ContentLength > drainBytes {
		body.Close()
		return nil
	}
	// Where net/http decompresses, a Read that waits for the start of the body
	// holds a lock that Close needs, and only the end of its context ends it.
	if resp.Uncompressed && cancel == nil {
		body.Close()
		return nil
	}
	// Closing the body ends a Read that waits for a server which dribbles or
	// stalls; but for that, net/http allows the two at once.
	closed := make(chan struct{})
	timer := time.AfterFunc(drainTime, func() {
		defer close(closed)
		if cancel != nil {
			cancel()
		}
		body.Close()
	})
	defer func() {
		if !timer.Stop() {
			<-closed
			return
		}
		body.Close()
	}()
	held, err := io.ReadAll(io.LimitReader(body, drainBytes+1))
	if err != nil || len(held) > drainBytes {
		return nil
	}
	resp.Body = io.NopCloser(bytes.NewReader(held))
	return resp
}
