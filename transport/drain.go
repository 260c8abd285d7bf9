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
func setAside(resp *http.Response) *http.Response {
	body := resp.Body
	if body == nil || body == http.NoBody {
		return resp
	}
	if resp.StatusCode == http.StatusSwitchingProtocols || resp.ContentLength > drainBytes {
		body.Close()
		return nil
	}
	// Closing the body ends a Read that waits for a server which dribbles or
	// stalls; net/http allows the two at once.
	closed := make(chan struct{})
	timer := time.AfterFunc(drainTime, func() {
		defer close(closed)
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
