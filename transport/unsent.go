package transport

import (
	"errors"
	"net"
	"strings"
)

// streamError has the fields of net/http's HTTP/2 stream error, which errors.As can copy
// into such a struct.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return "stream error" }

// refusedStream is the error code by which an HTTP/2 server says that it processed
// nothing (RFC 9113 section 8.7).
const refusedStream = 0x7

// isUnsent reports whether the request certainly never reached the handler,
// so that even a POST may be sent again.
func isUnsent(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect" || op.Op == "socks connect") {
		return true
	}
	var stream streamError
	if errors.As(err, &stream) {
		return stream.Code == refusedStream
	}
	if _, refused := refusedBy(err); refused {
		return true
	}
	return saysUnsent(err) || strings.Contains(err.Error(), "net/http: TLS handshake timeout")
}

// saysUnsent searches the tree of an error for those of HTTP/2 that net/http has only as
// text. Only a whole text counts, because a part may be what a server sent.
func saysUnsent(err error) bool {
	if err == nil {
		return false
	}
	if isUnsentText(err.Error()) {
		return true
	}
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		return saysUnsent(err.Unwrap())
	case interface{ Unwrap() []error }:
		for _, err := range err.Unwrap() {
			if saysUnsent(err) {
				return true
			}
		}
	}
	return false
}

// isUnsentText recognises the texts of net/http and x/net/http2. After a GOAWAY they are
// used only for streams above the last that the server processed (RFC 9113 section 6.8).
// "http2: server sent GOAWAY and closed the connection" is used for the others.
func isUnsentText(text string) bool {
	switch text {
	case "http2: Transport received Server's graceful shutdown GOAWAY",
		"http2: client conn not usable",               // not a stream was opened
		"http2: client conn could not be established": // nor here
		return true
	}
	// To the first stream of a connection, with the code of an error.
	if code, ok := strings.CutPrefix(text, "http2: Transport received GOAWAY from server ErrCode:"); ok {
		return !strings.Contains(code, " ")
	}
	// A body without GetBody hides what happened.
	if text, ok := strings.CutPrefix(text, "http2: Transport: cannot retry err ["); ok {
		text, ok = strings.CutSuffix(text, "] after Request.Body was written; define Request.GetBody to avoid this error")
		return ok && isUnsentText(text)
	}
	// That of x/net/http2 cannot be copied.
	if text, ok := strings.CutPrefix(text, "stream error: stream ID "); ok {
		_, text, _ = strings.Cut(text, "; ")
		code, _, _ := strings.Cut(text, "; ")
		return code == "REFUSED_STREAM"
	}
	return false
}
