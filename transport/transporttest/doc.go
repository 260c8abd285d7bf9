// Package transporttest checks that a layer around an [http.RoundTripper]
// keeps the contract of net/http to the letter, in the manner of
// testing/slogtest and testing/fstest. It needs nothing but the standard
// library and knows nothing of the layer, so that it serves layers of one's
// own:
//
//	func TestContract(t *testing.T) {
//		transporttest.Run(t, func(base http.RoundTripper) http.RoundTripper {
//			return &signer{next: base}
//		})
//	}
//
// Each sentence of the contract is a subtest, run on three grounds:
//
//   - stub: an http.Handler called in memory, in a synctest bubble, so that a
//     layer that waits costs no time and a call that hangs is found at once
//   - http1: an [http.Transport] and a server on loopback, upgraded (101)
//     connections among the rest
//   - http2: the same over TLS
//
// Contract/stub/body_closed is the name of one such subtest, and a failure
// gives the sentence that is broken and what was seen.
//
// # What a layer may do
//
// It may send a request more than once, also at the same time, give it more
// header fields, and end it with an error of its own making if that says why.
// Copies under way at a time share no reader and no Header, and GetBody, which
// may rewind the one reader that there is, is called once the copy before has
// let go of its body. A layer that wraps the error of a call which it only
// passed on says so by [WithWrappedErrors].
// It must not refuse what the checks send; for a layer in a state in which it
// does refuse there is [RunRefusing]. One that has no CloseIdleConnections, as
// a func has none, is not failed for that, but the end of idle_connections is
// skipped: http.Client's method then does nothing.
//
// A base that breaks the contract itself, by a response and an error together
// or by neither, is http.Client's to deal with; the checks have none.
//
// Each check calls wrap once and drops the layer afterwards. On the stub that
// is inside the bubble, whose goroutines must end: a layer that keeps one for
// its lifetime gets to stop it in its Close method, if it has one.
package transporttest
